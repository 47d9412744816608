/* Names to what they mean. Name.binding is the innermost binding; a stack of
** names undoes it. Variables belong to a body, not to a block: the first
** assignment declares them there; only those of loops, arms and comprehensions are
** taken back at the end of theirs. */
#include "compiler/check/checker.h"

bool name_is(const Name *name, const char *text) { return str_equal(name->text, str_of(text)); }
bool name_is_wild(const Name *name) { return name->text.size == 1 && name->text.at[0] == '_'; }
bool name_is_hidden(const Name *name) { return name->text.size > 0 && name->text.at[0] == '_'; }

uint32_t scope_open(Checker *c) { return c->binding_count; }

void scope_close(Checker *c, uint32_t mark) {
  while (c->binding_count > mark) {
    Name *name = c->bindings[--c->binding_count];
    name->binding = name->binding->outer;
  }
}

/* A block ends: what was first assigned in it stays, what it bound for itself goes. No name is there twice. */
void scope_close_block(Checker *c, uint32_t mark) {
  uint32_t kept = mark;
  for (uint32_t i = mark; i < c->binding_count; i++) {
    Name *name = c->bindings[i];
    const Symbol *symbol = name->binding;
    bool stays = symbol->kind == SYMBOL_VARIABLE && !((const Variable *)symbol)->scoped;
    if (stays) c->bindings[kept++] = name;
    else name->binding = symbol->outer;
  }
  c->binding_count = kept;
}

void scope_bind(Checker *c, Name *name, Symbol *symbol) {
  GROW(c, c->bindings, c->binding_count, c->binding_cap);
  symbol->outer = name->binding;
  name->binding = symbol;
  c->bindings[c->binding_count++] = name;
}

/* Lambdas, branches and queries see the variables around them. */
bool body_sees_outer(const Function *function) {
  return function->kind == FNKIND_LAMBDA || function->kind == FNKIND_BRANCH ||
         function->kind == FNKIND_QUERY;
}

static bool owner_visible(const Function *here, const Function *owner) {
  while (here && here != owner) here = body_sees_outer(here) ? here->parent : NULL;
  return here != NULL;
}

static bool visible(Checker *c, const Symbol *symbol) {
  if (symbol->kind == SYMBOL_VARIABLE || symbol->owner) /* also fields of the state, its views */
    return c->frame && owner_visible(current_function(c), symbol->owner);
  if (!symbol->decl || symbol->decl->unit == c->unit) return true;
  return symbol->kind != SYMBOL_MODULE && !c->unit->standard;
}

/* `key` of a tool's perform and check, `e` of an unless, `meta` of a clause: bound only there. */
static Symbol *special_variable(Checker *c, const Name *name) {
  for (Function *f = c->frame ? current_function(c) : NULL; f;
       f = body_sees_outer(f) ? f->parent : NULL) {
    if (f->key && name_is(name, "key")) return f->key;
    if (f->kind == FNKIND_UNLESS && name_is(name, "e")) return f->params->symbol;
    if (f->meta && name_is(name, "meta")) return f->meta;
  }
  return NULL;
}

Symbol *scope_find(Checker *c, Name *name) {
  Symbol *symbol = name->binding;
  if (symbol && symbol->kind == SYMBOL_VARIABLE && c->frame && symbol->owner == current_function(c))
    return symbol;
  if (symbol && symbol->kind == SYMBOL_FIELD && visible(c, symbol)) return symbol;
  if (name->text.size == 1 || name->text.size == 3 || name->text.size == 4) {
    Symbol *special = special_variable(c, name);
    if (special) return special;
  }
  while (symbol && !visible(c, symbol)) symbol = symbol->outer;
  if (symbol) return symbol;
  symbol = builtin_global(c, name);
  if (symbol && !name->binding) name->binding = symbol;
  return symbol;
}

/* ---- an unknown name ---- */

static void unknown_declare(Checker *c, Name *name, Span span);

static void names_nearest(Checker *c, Diag *diag, Name *name) {
  Buf near = {0};
  for (uint32_t i = 0; i < c->binding_count; i++) {
    const Symbol *symbol = c->bindings[i]->binding;
    bool hidden = symbol && symbol->kind == SYMBOL_VARIABLE && ((const Variable *)symbol)->hidden;
    if (symbol && !hidden && visible(c, symbol)) buf_put(&near, &c->bindings[i]->text, sizeof(Str));
  }
  builtin_candidates(c, &near);
  report_nearest(c, diag, name->text, (const Str *)(void *)near.at, near.size / sizeof(Str));
  buf_deinit(&near);
}

static void report_invisible(Checker *c, Name *name, const Symbol *symbol, Span span) {
  bool script = symbol->owner->kind == FNKIND_SCRIPT;
  Diag *diag = REPORT(c, SCRIPT_VARIABLE, span, name->text,
                      script ? STR("the script") : str_join3(c, "`", symbol->owner->name, "`"));
  report_note(c, diag, symbol->span, "`" STR_FMT "` is set here", STR_ARG(name->text));
  report_help(c, diag, "pass it as a parameter, or make it a `const` if it never changes");
}

static bool report_key_outside(Checker *c, Name *name, Span span) {
  if (name_is(name, "key")) REPORT0(c, KEY_OUTSIDE, span);
  else if (name_is(name, "meta")) REPORT0(c, META_OUTSIDE, span);
  else if (name_is(name, "absent") || name_is(name, "confirmed"))
    REPORT(c, CONFIRMED_OUTSIDE, span, name->text);
  else return false;
  return true;
}

static bool report_later(Checker *c, const Name *name, Span span) {
  Span where;
  if (!c->frame || c->frame->body == c->constants || !assigned_somewhere(c, name, &where))
    return false;
  Diag *diag = REPORT(c, READ_BEFORE_SET, span, name->text);
  report_note(c, diag, where, "it gets its value only here");
  return true;
}

Symbol *scope_resolve(Checker *c, Name *name, Span span) {
  Symbol *symbol = scope_find(c, name);
  if (symbol || c->diags->error_count >= LIMIT_DIAGNOSTICS) return symbol;
  for (symbol = name->binding; symbol; symbol = symbol->outer) {
    if (symbol->kind != SYMBOL_VARIABLE || ((Variable *)symbol)->unknown) continue;
    report_invisible(c, name, symbol, span);
    if (c->frame) unknown_declare(c, name, span);
    return NULL;
  }
  if (report_key_outside(c, name, span) || report_later(c, name, span)) return NULL;
  names_nearest(c, REPORT(c, UNKNOWN_NAME, span, name->text), name);
  if (c->frame) unknown_declare(c, name, span);
  return NULL;
}

/* ---- variables ---- */

static Variable *variable_new(Checker *c, Name *name, Span span) {
  Variable *v = ARENA_NEW(c->arena, Variable);
  Function *owner = current_function(c);
  v->symbol.kind = SYMBOL_VARIABLE;
  v->symbol.name = name;
  v->symbol.span = span;
  v->symbol.owner = owner;
  v->symbol.reg = -1;
  v->symbol.next = owner->locals;
  owner->locals = &v->symbol;
  return v;
}

/* Told once in a body: after that the name stands for anything. */
static void unknown_declare(Checker *c, Name *name, Span span) {
  Variable *v = variable_new(c, name, span);
  v->quiet = v->set = v->scoped = v->unknown = true;
  v->flow = v->symbol.type = c->t_any;
  scope_bind(c, name, &v->symbol);
}

static void report_shadow(Checker *c, const Symbol *outer, Name *name, Span span) {
  bool named = outer->kind == SYMBOL_FIELD || outer->kind == SYMBOL_VARIABLE;
  if (name_is_hidden(name) || !named || !visible(c, outer)) return;
  Diag *diag = REPORT(c, SHADOWED, span, name->text);
  report_note(c, diag, outer->span, "the other `" STR_FMT "` is here", STR_ARG(name->text));
}

Variable *variable_declare(Checker *c, Name *name, Span span, bool scoped) {
  if (scoped && name->binding) report_shadow(c, name->binding, name, span);
  Variable *v = variable_new(c, name, span);
  v->scoped = scoped;
  scope_bind(c, name, &v->symbol);
  name_style_check(c, name, span, false, "a variable");
  return v;
}

static Variable *capture_find(Function *f, const Symbol *symbol) {
  for (Capture *k = f->captures; k; k = k->next) {
    if (k->outer == symbol) return (Variable *)k->inner;
  }
  return NULL;
}

static Type *captured_type(Checker *c, Function *f, Variable *outer) {
  if (f->kind != FNKIND_QUERY) return outer->flow ? outer->flow : c->t_any;
  return type_optional(c->types, outer->symbol.type ? outer->symbol.type : c->t_any);
}

/* The variable of body `f`'s parent comes into `f` by value. */
static Variable *capture_add(Checker *c, Function *f, Variable *outer, Span span) {
  Variable *inner = capture_find(f, &outer->symbol);
  if (inner) return inner;
  Capture *capture = ARENA_NEW(c->arena, Capture);
  inner = ARENA_NEW(c->arena, Variable);
  inner->symbol = (Symbol){
      .kind = SYMBOL_VARIABLE, .name = outer->symbol.name, .span = span, .owner = f, .reg = -1};
  inner->symbol.type = inner->flow = captured_type(c, f, outer);
  inner->declared = outer->declared;
  inner->state = outer->state;
  inner->hidden = outer->hidden;
  inner->quiet = true;
  inner->set = outer->set || f->kind == FNKIND_QUERY;
  inner->symbol.maybe_unset = f->kind == FNKIND_QUERY;
  inner->symbol.next = f->locals;
  f->locals = &inner->symbol;
  outer->symbol.captured = true;
  outer->symbol.reads++;
  *capture = (Capture){.outer = &outer->symbol, .inner = &inner->symbol};
  *f->last_capture = capture;
  f->last_capture = &capture->next;
  return inner;
}

static Variable *capture_into(Checker *c, Function *f, Variable *variable, Span span) {
  if (variable->symbol.owner == f) return variable;
  return capture_add(c, f, capture_into(c, f->parent, variable, span), span);
}

Variable *variable_here(Checker *c, Symbol *symbol, Span span) {
  return capture_into(c, current_function(c), (Variable *)symbol, span);
}

static void report_unset(Checker *c, Variable *v, Span span) {
  bool never = v->symbol.span.at >= span.at;
  Diag *diag = never ? REPORT(c, READ_BEFORE_SET, span, v->symbol.name->text)
                     : REPORT(c, MAYBE_UNSET, span, v->symbol.name->text);
  report_note(c, diag, v->symbol.span,
              never ? "it gets its value only here" : "it is set here, on some paths");
  report_help(c, diag, "give `" STR_FMT "` a value before, such as `" STR_FMT " = nil`",
              STR_ARG(v->symbol.name->text), STR_ARG(v->symbol.name->text));
  v->set = true; /* once is enough */
}

Type *variable_read(Checker *c, Variable *v, Span span) {
  v->symbol.reads++;
  if (UNLIKELY(!v->set) && c->frame->reachable) report_unset(c, v, span);
  return v->flow ? v->flow : c->t_any;
}

/* ---- warnings at the end of a body ---- */

/* Not beside errors: what an error keeps from being seen is no news. */
void scope_warn_unused(Checker *c, Body *body) {
  if (c->diags->error_count > 0) return;
  for (Symbol *s = body->function.locals; s; s = s->next) {
    Variable *v = (Variable *)s;
    if (s->reads || v->quiet || s->captured || name_is_hidden(s->name)) continue;
    if (!s->parameter) REPORT(c, UNUSED_VARIABLE, s->span, s->name->text);
    else if (body->function.kind == FNKIND_LAMBDA)
      REPORT(c, UNUSED_PARAMETER, s->span, s->name->text);
  }
}

static bool style_fits(Str text, bool camel) {
  size_t i = 0;
  while (i < text.size && text.at[i] == '_') i++;
  if (i == text.size) return true;
  bool upper = text.at[i] >= 'A' && text.at[i] <= 'Z';
  if (camel) return upper && !memchr(text.at, '_', text.size);
  for (; i < text.size; i++) {
    if (text.at[i] >= 'A' && text.at[i] <= 'Z') return false;
  }
  return true;
}

static Str style_changed(Checker *c, Str text, bool camel) {
  Buf out = {0};
  bool start = true;
  for (size_t i = 0; i < text.size; i++) {
    char ch = text.at[i];
    bool upper = ch >= 'A' && ch <= 'Z', lower = ch >= 'a' && ch <= 'z';
    if (camel && ch != '_') buf_byte(&out, (uint8_t)(start && lower ? ch - 32 : ch));
    if (!camel && upper && i > 0 && text.at[i - 1] >= 'a') buf_byte(&out, '_');
    if (!camel) buf_byte(&out, (uint8_t)(upper ? ch + 32 : ch));
    start = ch == '_';
  }
  Str made = arena_str(c->diags->arena, buf_view(&out));
  buf_deinit(&out);
  return made;
}

/* Constants may also be UPPER_CASE: the caller asks for them with camel false and skips those. */
void name_style_check(Checker *c, Name *name, Span span, bool camel, const char *what) {
  if (LIKELY(style_fits(name->text, camel)) || c->unit->standard) return;
  if (memchr(name->text.at, '.', name->text.size)) return; /* nobody wrote it */
  Str better = style_changed(c, name->text, camel);
  Diag *diag = REPORT(c, NAME_STYLE, span, name->text, str_of(what),
                      camel ? STR("UpperCamel") : STR("snake_case"));
  report_label(c, diag, "`" STR_FMT "`", STR_ARG(better));
  if (diag) diag_fix(diag, better);
}
