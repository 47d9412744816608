/* Tools and extern functions: what they promise the outside and how it is tried. */
#include "compiler/check/checker.h"

/* Folds a setting's value in place; NULL if it is no constant. */
Expr *setting_fold(Checker *c, Expr **slot) {
  if (!*slot) return NULL;
  Expr *value = constant_fold(c, *slot, DIAG_SETTING_NOT_CONSTANT);
  if (value) *slot = value;
  return value;
}

bool setting_duration(Checker *c, Expr **slot, const char *what) {
  Expr *value = setting_fold(c, slot);
  if (!value) return false;
  if (value->kind != EXPR_DURATION) {
    Diag *diag = REPORT(c, DURATION_WANTED, value->span, str_of(what),
                        type_phrase(c, value->type ? value->type : c->t_any));
    if (value->kind == EXPR_INT) {
      report_label(c, diag, "did you mean %" PRId64 "s?", value->integer);
      if (diag) diag_fix(diag, diag_format(c->diags, "%" PRId64 "s", value->integer));
    }
    return false;
  }
  if (value->integer > 0) return true;
  REPORT(c, DURATION_POSITIVE, value->span, str_of(what));
  return false;
}

void setting_count(Checker *c, Expr **slot, DiagId id) {
  Expr *value = setting_fold(c, slot);
  if (value && (value->kind != EXPR_INT || value->integer < 1 || value->integer > UINT32_MAX)) {
    checker_report(c, id, value->span, 0, NULL);
  }
}

static void class_check(Checker *c, const Setting *s) {
  static const Str words[] = {{"read", 4}, {"reversible", 10}, {"irreversible", 12}};
  const Expr *e = s->first;
  if (!e || e->kind == EXPR_BAD) return;
  Str text = e->kind == EXPR_NAME ? e->name->text : source_text(c, e->span);
  for (size_t i = 0; e->kind == EXPR_NAME && i < COUNT_OF(words); i++) {
    if (str_equal(text, words[i])) return;
  }
  report_nearest(c, REPORT(c, TOOL_CLASS, e->span, text), text, words, COUNT_OF(words));
}

void backoff_check(Checker *c, Setting *s) {
  if (!s->second || !s->third) return;
  bool low = setting_duration(c, &s->second, "the first wait"),
       high = setting_duration(c, &s->third, "the longest wait");
  if (low && high && s->second->integer > s->third->integer) {
    REPORT(c, TOOL_BACKOFF, s->second->span, source_text(c, s->second->span),
           source_text(c, s->third->span));
  }
}

/* `unless e.code in [...]`: a body of its own whose one parameter is the error `e`. */
void unless_check(Checker *c, Decl *tool, Setting *s) {
  if (!s->cond) return;
  Body *body = body_new(c, FNKIND_UNLESS, str_join3(c, "", tool->name->text, ".unless"),
                        s->cond->span, tool, NULL);
  Field *field = ARENA_NEW(c->arena, Field);
  *field = (Field){.name = c->name_error, .span = s->cond->span};
  declare_params(c, body, field);
  field->symbol->type = c->t_error;
  ((Variable *)field->symbol)->quiet = true;
  body->function.asserted_pure = true;
  body->place = PURE_UNLESS;
  body->function.expr = s->cond;
  s->function = &body->function;
  body_walk(c, body);
  Type *type = body->function.result ? body->function.result : c->t_any;
  if (type_fit(type, c->t_bool) == FIT_NO && s->cond->kind != EXPR_BAD) {
    REPORT(c, NOT_BOOL, s->cond->span, type_phrase(c, type));
  }
}

static void setting_check(Checker *c, Decl *tool, Setting *s) {
  if (name_is(s->name, "effect")) class_check(c, s);
  else if (name_is(s->name, "timeout")) setting_duration(c, &s->first, "a timeout");
  else if (name_is(s->name, "max_attempts") || name_is(s->name, "backoff")) {
    if (s->first) setting_count(c, &s->first, DIAG_TOOL_ATTEMPTS);
    backoff_check(c, s);
    unless_check(c, tool, s);
  } else if (name_is(s->name, "limit")) {
    if (s->second) setting_count(c, &s->second, DIAG_TOOL_LIMIT);
    setting_duration(c, &s->third, "the time of a limit");
  }
}

static bool tool_is_read(const Decl *tool, Span *where) {
  for (const Setting *s = tool->settings; s; s = s->next) {
    if (!name_is(s->name, "effect") || !s->first || s->first->kind != EXPR_NAME) continue;
    *where = s->span;
    return name_is(s->first->name, "read");
  }
  return false;
}

static void key_parameter_check(Checker *c, const Decl *tool) {
  for (const Field *f = tool->fields; f; f = f->next) {
    if (name_is(f->name, "key")) REPORT(c, KEY_PARAMETER, f->span, tool->name->text);
  }
}

void tool_check(Checker *c, Decl *tool) {
  Span where;
  name_style_check(c, tool->name, tool->name_span, true, "a tool");
  key_parameter_check(c, tool);
  for (Setting *s = tool->settings; s; s = s->next) setting_check(c, tool, s);
  if (!tool->body) REPORT(c, TOOL_NO_PERFORM, tool->name_span, tool->name->text);
  if (tool->check && tool_is_read(tool, &where)) {
    Diag *diag = REPORT(c, TOOL_CHECK_READ, tool->check_span, tool->name->text);
    report_note(c, diag, where, "it is declared a read here: a lost one is simply asked again");
  }
  if (tool->function) body_walk(c, decl_body(tool));
  if (tool->check_function) body_walk(c, (Body *)tool->check_function);
}

/* ---- extern ---- */

static bool extern_simple(Checker *c, const Type *type) {
  return type == c->t_int || type == c->t_float || type == c->t_string || type == c->t_bool;
}

static void extern_function(Checker *c, Decl *fn) {
  for (Field *f = fn->fields; f; f = f->next) {
    Type *type = f->symbol ? f->symbol->type : c->t_any;
    if (!f->type) REPORT(c, EXTERN_UNTYPED, f->span, f->name->text);
    else if (!extern_simple(c, type)) REPORT(c, EXTERN_TYPE, f->type->span, type_text(c, type));
    if (f->value || f->where) REPORT(c, EXTERN_DEFAULT, f->span, f->name->text);
  }
  Type *result = fn->type ? fn->function->result : c->t_nil;
  if (result != c->t_nil && !extern_simple(c, result))
    REPORT(c, EXTERN_TYPE, fn->type->span, type_text(c, result));
}

void extern_check(Checker *c, Decl *decl) {
  for (Decl *fn = decl->members; fn; fn = fn->next) {
    if (fn->function) extern_function(c, fn);
  }
}

/* ---- workflow, config ---- */

void workflow_check(Checker *c, Decl *decl) {
  if (decl->ai) ai_agent_check(c, decl);
  else name_style_check(c, decl->name, decl->name_span, true, "a workflow");
  if (decl->function) body_walk(c, decl_body(decl));
  if (decl->ai) ai_settings_check(c, decl);
}

static bool config_type_fits(Checker *c, const Type *type) {
  const Type *plain = type_without_nil(c, (Type *)(uintptr_t)type);
  return extern_simple(c, plain) || plain == c->t_decimal || plain == c->t_duration ||
         (plain->kind == TYPE_LITERAL ||
          (plain->kind == TYPE_UNION && plain->members[0]->kind == TYPE_LITERAL));
}

void config_check(Checker *c, Decl *decl) {
  Type *type = decl->symbol->type;
  if (type && type->kind == TYPE_ANY && !decl->type && !decl->value) {
    REPORT(c, CONFIG_UNTYPED, decl->name_span, decl->name->text);
  } else if (type && type->kind != TYPE_ANY && !config_type_fits(c, type)) {
    REPORT(c, CONFIG_TYPE, decl->type ? decl->type->span : decl->name_span, decl->name->text,
           type_text(c, type));
  }
}
