/* Diagnostics in the checker's words: types as phrases, suggestions, notes. Only
** errors come here, so text may be made freely. */
#include <stdarg.h>

#include "compiler/check/checker.h"

void *checker_grow(Checker *c, void *array, uint32_t count, uint32_t *cap, size_t size) {
  *cap = *cap ? *cap * 2 : 16;
  char *grown = arena_alloc(c->arena, *cap * size);
  if (count) memcpy(grown, array, count * size);
  return grown;
}

/* Warnings about the standard library's own text are nobody's business. */
Diag *checker_report(Checker *c, DiagId id, Span span, size_t count, const Str *args) {
  if (c->unit && c->unit->standard && diag_info[id].severity == SEVERITY_WARNING) return NULL;
  return diag_add(c->diags, id, span, args, count);
}

static Str keep(Checker *c, Buf *buf) {
  Str text = arena_str(c->diags->arena, buf_view(buf));
  buf_deinit(buf);
  return text;
}

static Str keep_format(Checker *c, const char *format, va_list args) {
  Buf buf = {0};
  buf_vformat(&buf, format, args);
  return keep(c, &buf);
}

void report_note(Checker *c, Diag *diag, Span span, const char *format, ...) {
  va_list args;
  if (!diag) return;
  va_start(args, format);
  diag_note(c->diags, diag, span, keep_format(c, format, args));
  va_end(args);
}

void report_label(Checker *c, Diag *diag, const char *format, ...) {
  va_list args;
  if (!diag) return;
  va_start(args, format);
  diag_label(diag, keep_format(c, format, args));
  va_end(args);
}

void report_help(Checker *c, Diag *diag, const char *format, ...) {
  va_list args;
  if (!diag) return;
  va_start(args, format);
  diag_help(diag, keep_format(c, format, args));
  va_end(args);
}

void report_nearest(Checker *c, Diag *diag, Str wanted, const Str *candidates, size_t count) {
  if (!diag) return;
  Str near = diag_nearest(wanted, candidates, count);
  if (!near.at) return;
  report_label(c, diag, "did you mean `" STR_FMT "`?", STR_ARG(near));
  diag_fix(diag, arena_str(c->diags->arena, near));
}

Str type_text(Checker *c, const Type *type) {
  Buf buf = {0};
  type_print(type, &buf);
  return keep(c, &buf);
}

/* The type as one would say it: "an int", "a list of strings" stays "a list[string]". */
Str type_phrase(Checker *c, const Type *type) {
  Buf buf = {0};
  bool bare = type->kind == TYPE_NIL || type->kind == TYPE_LITERAL || type->kind == TYPE_UNION ||
              type->kind == TYPE_OBJECT || type->kind == TYPE_BYTES || type->kind == TYPE_ANY;
  if (type->kind == TYPE_FUNCTION) {
    buf_text(&buf, "a function");
    return keep(c, &buf);
  }
  Str text = type_text(c, type);
  if (!bare) buf_text(&buf, text.size && strchr("aeiouAEIO", text.at[0]) ? "an " : "a ");
  if (type->kind == TYPE_SEALED) buf_text(&buf, "sealed value");
  else buf_str(&buf, text);
  return keep(c, &buf);
}

Str count_text(Checker *c, uint32_t count, const char *noun) {
  if (count == 0) return diag_format(c->diags, "no %ss", noun);
  return diag_format(c->diags, count == 1 ? "%u %s" : "%u %ss", count, noun);
}

Str source_text(Checker *c, Span span) {
  for (uint32_t i = 0; i < c->diags->source_count; i++) {
    const Source *source = &c->diags->sources[i];
    if (span.at < source->base || span.at - source->base > source->text.size) continue;
    size_t from = span.at - source->base, left = source->text.size - from;
    return (Str){source->text.at + from, span.size < left ? span.size : left};
  }
  return STR("");
}

Str str_join3(Checker *c, const char *before, Str s, const char *after) {
  return diag_format(c->diags, "%s" STR_FMT "%s", before, STR_ARG(s), after);
}
