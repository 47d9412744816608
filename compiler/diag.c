/* Collecting and drawing diagnostics. Nothing here reads a file or prints: the
** sources are at hand and the drawing goes to a Buf. */
#include "compiler/diag.h"

#include <stdarg.h>
#include <stdlib.h>

#include "lang/tables.h"
#include "vm/base/json.h"
#include "vm/base/mem.h"
#include "vm/base/text.h"

enum { ERROR = SEVERITY_ERROR, WARNING = SEVERITY_WARNING };

const DiagInfo diag_info[] = {
#define DIAG(name, number, severity, message, explanation) \
  {#name, number, severity, message, explanation},
#include "lang/diagnostics.def"
#undef DIAG
    {NULL, 0, 0, NULL, NULL},
};

/* ---- collecting ---- */

void diags_init(Diags *diags, Arena *arena) {
  *diags = (Diags){.arena = arena};
  diags->last = &diags->first;
}

static Str fill(Arena *arena, const char *message, const Str *args, size_t arg_count) {
  Buf out = {0};
  for (const char *p = message; *p; p++) {
    if (p[0] == '{' && p[1] >= '0' && p[1] <= '9' && p[2] == '}') {
      size_t index = (size_t)(p[1] - '0');
      if (index < arg_count) buf_str(&out, args[index]);
      p += 2;
    } else {
      buf_byte(&out, (uint8_t)*p);
    }
  }
  Str text = arena_str(arena, buf_view(&out));
  buf_deinit(&out);
  return text;
}

/* One error a place: the first one said there is the cause, what follows are its echoes. */
static bool is_kept(const Diags *diags, DiagId id, Span span) {
  bool error = diag_info[id].severity == SEVERITY_ERROR;
  if ((error ? diags->error_count : diags->warning_count) >= LIMIT_DIAGNOSTICS) return false;
  if (span.at == 0) return true;
  for (const Diag *d = diags->first; d; d = d->next) {
    if (d->span.at != span.at) continue;
    if (diag_info[d->id].severity == SEVERITY_ERROR || d->id == id) return false;
  }
  return true;
}

/* What nobody will see is written into one spare, so that callers need not care. */
static Diag *spare(Diags *diags) {
  if (!diags->spare) diags->spare = ARENA_NEW(diags->arena, Diag);
  *diags->spare = (Diag){0};
  return diags->spare;
}

Diag *diag_add(Diags *diags, DiagId id, Span span, const Str *args, size_t arg_count) {
  Diag *diag = is_kept(diags, id, span) ? ARENA_NEW(diags->arena, Diag) : spare(diags);
  diag->id = id;
  diag->span = span;
  if (diag == diags->spare) return diag;
  diag->message = fill(diags->arena, diag_info[id].message, args, arg_count);
  *diags->last = diag;
  diags->last = &diag->next;
  if (diag_info[id].severity == SEVERITY_ERROR) diags->error_count++;
  else diags->warning_count++;
  return diag;
}

void diag_note(Diags *diags, Diag *diag, Span span, Str text) {
  DiagNote *note = ARENA_NEW(diags->arena, DiagNote);
  *note = (DiagNote){.span = span, .text = text};
  DiagNote **end = &diag->notes;
  while (*end) end = &(*end)->next;
  *end = note;
}

void diag_label(Diag *diag, Str text) { diag->label = text; }
void diag_help(Diag *diag, Str text) { diag->help = text; }
void diag_fix(Diag *diag, Str replacement) { diag->fix = replacement; }

Str diag_format(Diags *diags, const char *format, ...) {
  Buf out = {0};
  va_list args;
  va_start(args, format);
  buf_vformat(&out, format, args);
  va_end(args);
  Str text = arena_str(diags->arena, buf_view(&out));
  buf_deinit(&out);
  return text;
}

/* ---- the nearest spelling ---- */

enum { NEAR_MAX = 48 };

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 32) : c; }

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Edit distance with neighbours swapped counting one; capitals cost nothing here. */
static uint32_t distance(Str a, Str b) {
  uint32_t rows[3][NEAR_MAX + 1];
  for (uint32_t j = 0; j <= b.size; j++) rows[0][j] = j;
  for (uint32_t i = 1; i <= a.size; i++) {
    uint32_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *older = rows[(i + 1) % 3];
    now[0] = i;
    for (uint32_t j = 1; j <= b.size; j++) {
      char x = lower(a.at[i - 1]), y = lower(b.at[j - 1]);
      now[j] = least(before[j - 1] + (x != y), 1 + least(before[j], now[j - 1]));
      if (i > 1 && j > 1 && x == lower(b.at[j - 2]) && lower(a.at[i - 2]) == y) {
        now[j] = least(now[j], older[j - 2] + 1);
      }
    }
  }
  return rows[a.size % 3][b.size];
}

Str diag_nearest(Str wanted, const Str *candidates, size_t count) {
  Str best = {0};
  if (wanted.size == 0 || wanted.size > NEAR_MAX) return best;
  uint32_t best_distance = (uint32_t)(wanted.size <= 2 ? 1 : (wanted.size + 2) / 3);
  if (wanted.size == 1) best_distance = 0; /* one letter resembles every other one */
  for (size_t i = 0; i < count; i++) {
    Str candidate = candidates[i];
    if (candidate.size == 0 || candidate.size > NEAR_MAX || str_equal(candidate, wanted)) continue;
    uint32_t d = distance(wanted, candidate);
    if (d < best_distance || (d == best_distance && !best.at)) {
      best = candidate;
      best_distance = d;
    }
  }
  return best;
}

/* ---- places ---- */

static const Source *source_of(const Diags *diags, uint32_t at) {
  for (uint32_t i = diags->source_count; i-- > 0;) {
    if (diags->sources[i].base <= at) return &diags->sources[i];
  }
  return NULL;
}

static void lines_find(Arena *arena, Source *source) {
  uint32_t count = 1;
  for (size_t i = 0; i < source->text.size; i++) count += source->text.at[i] == '\n';
  source->lines = ARENA_ARRAY(arena, uint32_t, count);
  source->line_count = count;
  uint32_t line = 1;
  for (size_t i = 0; i < source->text.size; i++) {
    if (source->text.at[i] == '\n') source->lines[line++] = (uint32_t)i + 1;
  }
}

static uint32_t line_of(const Source *source, uint32_t offset) {
  uint32_t low = 0, high = source->line_count;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (source->lines[middle] <= offset) low = middle;
    else high = middle;
  }
  return low;
}

static bool is_continuation(char c) { return ((uint8_t)c & 0xc0) == 0x80; }

static uint32_t characters(const char *at, size_t size) {
  uint32_t count = 0;
  for (size_t i = 0; i < size; i++) count += !is_continuation(at[i]);
  return count;
}

Place diag_place(Diags *diags, uint32_t at) {
  const Source *source = source_of(diags, at);
  if (!source) return (Place){0};
  if (!source->lines) lines_find(diags->arena, &diags->sources[source - diags->sources]);
  uint32_t offset = at - source->base;
  if (offset > source->text.size) offset = (uint32_t)source->text.size;
  uint32_t line = line_of(source, offset), start = source->lines[line];
  return (Place){source, line + 1, 1 + characters(source->text.at + start, offset - start)};
}

/* The text of a line without its line break. */
static Str line_text(Place place) {
  uint32_t start = place.source->lines[place.line - 1];
  const char *at = place.source->text.at + start;
  size_t size = place.source->text.size - start;
  const char *end = size ? memchr(at, '\n', size) : NULL;
  if (end) size = (size_t)(end - at);
  if (size > 0 && at[size - 1] == '\r') size--;
  return (Str){at, size};
}

/* ---- drawing ---- */

typedef struct Paint {
  Buf *out;
  bool colour;
} Paint;

#define RED "\033[1;31m"
#define YELLOW "\033[1;33m"
#define CYAN "\033[1;36m"
#define GREEN "\033[1;32m"
#define BOLD "\033[1m"
#define DIM "\033[2m"
#define RESET "\033[0m"

static void paint(Paint p, const char *colour, Str text) {
  if (p.colour) buf_text(p.out, colour);
  buf_str(p.out, text);
  if (p.colour) buf_text(p.out, RESET);
}

enum { WINDOW = 120 }; /* characters of a line that are shown; longer ones are cut on both sides */

/* One character of source as it may be shown: no control characters, no broken UTF-8. */
static size_t put_character(Buf *out, const char *at, size_t size) {
  uint8_t c = (uint8_t)*at;
  size_t length = 1;
  while (length < size && length < 4 && is_continuation(at[length])) length++;
  if (c < 0x80 && length == 1) buf_byte(out, c == '\t' ? ' ' : c < ' ' || c == 0x7f ? '?' : c);
  else if (c >= 0xc2 && utf8_valid((Str){at, length})) buf_put(out, at, length);
  else buf_byte(out, '?');
  return length;
}

/* Characters as put_character walks them. */
static uint32_t drawn(const char *at, size_t size) {
  uint32_t count = 0;
  for (size_t i = 0; i < size; count++) {
    size_t length = 1;
    while (i + length < size && length < 4 && is_continuation(at[i + length])) length++;
    i += length;
  }
  return count;
}

typedef struct Excerpt {
  Str line;                /* what is shown of it */
  bool left, right;        /* cut there */
  uint32_t before, length; /* characters before the span, and of it, on this line */
} Excerpt;

/* Lines of machines are long: only the bytes near the span are looked at, and of those a window
** of characters is shown. */
static Str near_bytes(Str line, size_t start, size_t size) {
  enum { NEAR_BYTES = 4 * WINDOW };
  size_t from = start > NEAR_BYTES ? start - NEAR_BYTES : 0;
  size_t to = line.size - start - size > NEAR_BYTES ? start + size + NEAR_BYTES : line.size;
  if (to - from > 4 * NEAR_BYTES) to = from + 4 * NEAR_BYTES;
  while (from > 0 && from < start && is_continuation(line.at[from])) from++;
  return (Str){line.at + from, to - from};
}

/* The bytes of so many characters. */
static size_t character_bytes(Str text, uint32_t count) {
  size_t at = 0;
  while (count-- > 0 && at < text.size) {
    size_t length = 1;
    while (at + length < text.size && length < 4 && is_continuation(text.at[at + length])) length++;
    at += length;
  }
  return at;
}

static Excerpt excerpt_of(Place place, Span span) {
  Str line = line_text(place);
  size_t start = span.at - place.source->base - place.source->lines[place.line - 1];
  if (start > line.size) start = line.size;
  size_t size = span.size < line.size - start ? span.size : line.size - start;
  Str shown = near_bytes(line, start, size);
  size_t inside = start - (size_t)(shown.at - line.at);
  uint32_t before = drawn(shown.at, inside), cut = before > WINDOW ? before - WINDOW / 3 : 0;
  shown.at += character_bytes(shown, cut);
  shown.size = line.size - (size_t)(shown.at - line.at) < shown.size
                   ? line.size - (size_t)(shown.at - line.at)
                   : shown.size;
  shown.size = character_bytes(shown, WINDOW);
  Excerpt e = {.line = shown, .left = shown.at > line.at, .before = before - cut};
  e.right = shown.at + shown.size < line.at + line.size;
  e.length = drawn(line.at + start, size < 4 * WINDOW ? size : 4 * WINDOW);
  if (e.length == 0) e.length = 1;
  if (e.before + e.length > WINDOW + 1) e.length = WINDOW + 1 - e.before;
  return e;
}

static void draw_line(Paint p, const Excerpt *e) {
  if (e->left) buf_text(p.out, "…");
  for (size_t at = 0; at < e->line.size;) {
    at += put_character(p.out, e->line.at + at, e->line.size - at);
  }
  if (e->right) buf_text(p.out, "…");
  while (p.out->size > 0 && p.out->at[p.out->size - 1] == ' ') p.out->size--;
  buf_byte(p.out, '\n');
}

static void draw_carets(Paint p, const Excerpt *e, const char *colour, Str label) {
  for (uint32_t i = 0; i < e->before + e->left; i++) buf_byte(p.out, ' ');
  if (p.colour) buf_text(p.out, colour);
  for (uint32_t i = 0; i < e->length; i++) buf_byte(p.out, '^');
  if (label.size > 0) buf_byte(p.out, ' ');
  buf_str(p.out, label);
  if (p.colour) buf_text(p.out, RESET);
  buf_byte(p.out, '\n');
}

static void draw_span(Paint p, Diags *diags, Span span, const char *colour, Str label) {
  Place place = diag_place(diags, span.at);
  if (!place.source || span.at == 0) return;
  buf_format(p.out, "  " STR_FMT ":%u:%u\n", STR_ARG(place.source->path), place.line, place.column);
  char gutter[16];
  int width = snprintf(gutter, sizeof gutter, "%5u", place.line);
  Excerpt e = excerpt_of(place, span);
  if (p.colour) buf_text(p.out, DIM);
  buf_format(p.out, "%s | ", gutter);
  if (p.colour) buf_text(p.out, RESET);
  draw_line(p, &e);
  if (p.colour) buf_text(p.out, DIM);
  buf_format(p.out, "%*s | ", width, "");
  if (p.colour) buf_text(p.out, RESET);
  draw_carets(p, &e, colour, label);
}

static void code_put(Buf *out, const DiagInfo *info) {
  buf_format(out, "Z8-%c%04u", info->severity == SEVERITY_ERROR ? 'E' : 'W', info->number);
}

static const char *severity_word(const DiagInfo *info) {
  return info->severity == SEVERITY_ERROR ? "error" : "warning";
}

static void draw(Paint p, Diags *diags, const Diag *diag) {
  const DiagInfo *info = &diag_info[diag->id];
  const char *colour = info->severity == SEVERITY_ERROR ? RED : YELLOW;
  if (p.colour) buf_text(p.out, colour);
  buf_format(p.out, "%s[", severity_word(info));
  code_put(p.out, info);
  buf_text(p.out, "]");
  if (p.colour) buf_text(p.out, RESET);
  buf_text(p.out, ": ");
  paint(p, BOLD, diag->message);
  buf_byte(p.out, '\n');
  draw_span(p, diags, diag->span, colour, diag->label);
  for (const DiagNote *note = diag->notes; note; note = note->next) {
    buf_text(p.out, "  ");
    paint(p, CYAN, STR("note:"));
    buf_format(p.out, " " STR_FMT "\n", STR_ARG(note->text));
    draw_span(p, diags, note->span, CYAN, (Str){0});
  }
  if (diag->help.size == 0) return;
  buf_text(p.out, "  ");
  paint(p, GREEN, STR("help:"));
  buf_format(p.out, " " STR_FMT "\n", STR_ARG(diag->help));
}

typedef struct Ranked {
  const Diag *diag;
  uint32_t order;
} Ranked;

static int compare_places(const void *left, const void *right) {
  const Ranked *a = left, *b = right;
  if (a->diag->span.at != b->diag->span.at) return a->diag->span.at < b->diag->span.at ? -1 : 1;
  return a->order < b->order ? -1 : a->order > b->order;
}

/* All of them by place, those said first before others of the same place. Freed by the caller. */
static Ranked *ranked(const Diags *diags, uint32_t *count) {
  *count = 0;
  for (const Diag *d = diags->first; d; d = d->next) (*count)++;
  Ranked *all = mem_alloc(sizeof(Ranked) * (*count + 1));
  uint32_t i = 0;
  for (const Diag *d = diags->first; d; d = d->next, i++) all[i] = (Ranked){d, i};
  qsort(all, *count, sizeof *all, compare_places);
  return all;
}

void diag_render(Diags *diags, bool colour, Buf *out) {
  uint32_t count;
  Ranked *all = ranked(diags, &count);
  for (uint32_t i = 0; i < count; i++) {
    if (i > 0) buf_byte(out, '\n');
    draw((Paint){out, colour}, diags, all[i].diag);
  }
  mem_free(all);
}

/* ---- as data ---- */

static void json_text(Buf *out, const char *name, Str value) {
  buf_format(out, ",\"%s\":", name);
  json_put_string(out, value);
}

static void json_place_put(Buf *out, Diags *diags, Span span) {
  Place from = diag_place(diags, span.at);
  if (!from.source || span.at == 0) return;
  Place to = diag_place(diags, span.at + span.size);
  json_text(out, "file", from.source->path);
  buf_format(out, ",\"line\":%u,\"column\":%u", from.line, from.column);
  if (to.source == from.source) {
    buf_format(out, ",\"end_line\":%u,\"end_column\":%u", to.line, to.column);
  }
}

static void json_put(Buf *out, Diags *diags, const Diag *diag) {
  const DiagInfo *info = &diag_info[diag->id];
  buf_text(out, "{\"code\":\"");
  code_put(out, info);
  buf_format(out, "\",\"severity\":\"%s\"", severity_word(info));
  json_text(out, "message", diag->message);
  json_place_put(out, diags, diag->span);
  if (diag->label.size > 0) json_text(out, "label", diag->label);
  if (diag->help.size > 0) json_text(out, "help", diag->help);
  if (diag->fix.at) json_text(out, "fix", diag->fix);
  if (diag->notes) buf_text(out, ",\"notes\":[");
  for (const DiagNote *note = diag->notes; note; note = note->next) {
    buf_text(out, "{\"message\":");
    json_put_string(out, note->text);
    json_place_put(out, diags, note->span);
    buf_text(out, note->next ? "}," : "}]");
  }
  buf_text(out, "}\n");
}

void diag_render_json(Diags *diags, Buf *out) {
  uint32_t count;
  Ranked *all = ranked(diags, &count);
  for (uint32_t i = 0; i < count; i++) json_put(out, diags, all[i].diag);
  mem_free(all);
}

/* ---- z8 explain ---- */

static bool code_number(Str code, uint32_t *number) {
  if (code.size > 3 && memcmp(code.at, "Z8-", 3) == 0) code = (Str){code.at + 3, code.size - 3};
  if (code.size > 1 && strchr("EWew", code.at[0])) code = (Str){code.at + 1, code.size - 1};
  if (code.size == 0 || code.size > 5) return false;
  *number = 0;
  for (size_t i = 0; i < code.size; i++) {
    if (code.at[i] < '0' || code.at[i] > '9') return false;
    *number = *number * 10 + (uint32_t)(code.at[i] - '0');
  }
  return true;
}

bool diag_explain(Str code, Buf *out) {
  uint32_t number;
  if (!code_number(code, &number)) return false;
  for (size_t i = 0; diag_info[i].name; i++) {
    if (diag_info[i].number != number) continue;
    buf_format(out, "%s[", severity_word(&diag_info[i]));
    code_put(out, &diag_info[i]);
    buf_text(out, "]: ");
    for (const char *p = diag_info[i].message; *p; p++) {
      bool hole = p[0] == '{' && p[1] >= '0' && p[1] <= '9' && p[2] == '}';
      buf_text(out, hole ? "…" : (char[]){*p, 0});
      if (hole) p += 2;
    }
    buf_format(out, "\n\n%s\n", diag_info[i].explanation);
    return true;
  }
  return false;
}
