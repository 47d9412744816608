/* The checker's order of work: declare every name, resolve every type, walk every
** body of the program's own files, then those of the standard library they reach,
** and last what needs the whole: purity, upcasts, what nobody uses. */
#include "compiler/check/check.h"

#include "compiler/check/checker.h"
#include "vm/base/table.h"

/* ---- names ---- */

static Str unit_prefix(Checker *c, const Unit *unit) {
  if (!unit->next) return STR(""); /* the root */
  Str path = c->diags->sources[unit->source].path;
  size_t from = path.size, size;
  while (!unit->standard && from > 0 && path.at[from - 1] != '/') from--;
  if (unit->standard) from = 0;
  size = path.size - from;
  if (size > 3 && memcmp(path.at + path.size - 3, ".z8", 3) == 0) size -= 3;
  char *text = arena_alloc(c->arena, size + 2);
  for (size_t i = 0; i < size; i++) text[i] = path.at[from + i] == '/' ? '.' : path.at[from + i];
  text[size] = '.';
  return (Str){text, size + 1};
}

static Str joined(Checker *c, Str a, const char *middle, Str b) {
  size_t m = strlen(middle);
  if (a.size + m == 0) return b;
  char *text = arena_alloc(c->arena, a.size + m + b.size + 1);
  if (a.size) memcpy(text, a.at, a.size);
  memcpy(text + a.size, middle, m);
  if (b.size) memcpy(text + a.size + m, b.at, b.size);
  return (Str){text, a.size + m + b.size};
}

/* ---- declaring ---- */

static void report_twice(Checker *c, const Decl *decl, const Symbol *before) {
  Diag *diag = REPORT(c, DUPLICATE_DECLARATION, decl->name_span, decl->name->text);
  report_note(c, diag, before->span, "the first `" STR_FMT "` is here", STR_ARG(decl->name->text));
}

static Symbol *symbol_new(Checker *c, Decl *decl, SymbolKind kind) {
  Symbol *symbol = ARENA_NEW(c->arena, Symbol);
  *symbol =
      (Symbol){.kind = kind, .name = decl->name, .span = decl->name_span, .decl = decl, .reg = -1};
  decl->symbol = symbol;
  return symbol;
}

/* Names of a program's own files are seen everywhere in it; those of the library only through their
 * module. */
void declare_name(Checker *c, Decl *decl, SymbolKind kind) {
  Symbol *before = decl->name->binding;
  symbol_new(c, decl, kind);
  if (decl->unit->standard) return;
  if (before && before->decl) report_twice(c, decl, before);
  else scope_bind(c, decl->name, decl->symbol);
}

static Body *decl_body_new(Checker *c, Decl *decl, FnKind kind, Str prefix, const char *tail) {
  Str name = joined(c, prefix, "", decl->name->text);
  if (*tail) name = joined(c, name, tail, STR(""));
  return body_new(c, kind, name, decl->name_span, decl, NULL);
}

Body *declare_body(Checker *c, Decl *decl, FnKind kind, Str prefix, const char *tail) {
  Body *body = decl_body_new(c, decl, kind, prefix, tail);
  decl->function = &body->function;
  body->function.body = decl->body;
  return body;
}

static Symbol *key_new(Checker *c, Body *body) {
  Variable *v = ARENA_NEW(c->arena, Variable);
  v->symbol = (Symbol){.kind = SYMBOL_VARIABLE,
                       .name = c->name_key,
                       .span = body->function.span,
                       .reg = -1,
                       .owner = &body->function,
                       .type = c->t_string,
                       .parameter = true,
                       .writes = 1};
  v->quiet = true;
  v->symbol.next = body->function.locals;
  body->function.locals = &v->symbol;
  return body->function.key = &v->symbol;
}

static void declare_tool(Checker *c, Decl *decl, Str prefix) {
  declare_name(c, decl, SYMBOL_TOOL);
  declare_body(c, decl, FNKIND_PERFORM, prefix, ".perform");
  if (!decl->check) return;
  Body *check = decl_body_new(c, decl, FNKIND_CHECK, prefix, ".check");
  check->function.body = decl->check;
  decl->check_function = &check->function;
}

static void declare_workflow(Checker *c, Decl *decl, Str prefix) {
  declare_name(c, decl, SYMBOL_WORKFLOW);
  Body *body = declare_body(c, decl, FNKIND_WORKFLOW, prefix, "");
  for (Decl *q = decl->members; q; q = q->next) {
    q->unit = decl->unit;
    for (Decl *before = decl->members; before != q; before = before->next) {
      if (before->name != q->name) continue;
      Diag *diag = REPORT(c, DUPLICATE_QUERY, q->name_span, decl->name->text, q->name->text);
      report_note(c, diag, before->name_span, "the first one is here");
      break;
    }
    Body *query = declare_body(c, q, FNKIND_QUERY, body->function.name, ".");
    query->function.name = joined(c, body->function.name, ".", q->name->text);
    query->function.parent = &body->function;
    query->function.asserted_pure = true;
    query->place = PURE_QUERY;
  }
}

static void declare_extern(Checker *c, Decl *decl) {
  for (Decl *fn = decl->members; fn; fn = fn->next) {
    fn->unit = decl->unit;
    declare_name(c, fn, SYMBOL_EXTERN);
    Body *body = ARENA_NEW(c->arena, Body); /* no code of its own: it is not among the functions */
    body->function = (Function){.kind = FNKIND_FN,
                                .name = fn->name->text,
                                .span = fn->name_span,
                                .unit = c->unit,
                                .decl = fn};
    body->function.last_capture = &body->function.captures;
    body->state = BODY_DONE;
    fn->function = &body->function;
  }
}

static void declare_type(Checker *c, Decl *decl, Str prefix) {
  declare_name(c, decl, SYMBOL_TYPE);
  if (decl->kind == DECL_TYPE && decl->type) return;
  Body *body = declare_body(c, decl, FNKIND_CONSTRUCTOR, prefix, "");
  body->function.asserted_pure = true;
  body->place = PURE_DEFAULT;
}

static Str module_of_import(const Decl *decl) {
  Str text = decl->text;
  if (text.size > 4 && memcmp(text.at, "std.", 4) == 0) return (Str){text.at + 4, text.size - 4};
  return text;
}

/* An alias is bound only while its own file is walked: see unit_enter. */
static void declare_import(Checker *c, Decl *decl) {
  if (!decl->name) return;
  Symbol *symbol = symbol_new(c, decl, SYMBOL_MODULE);
  if (decl->standard) symbol->effect_arg = module_of_import(decl);
  else symbol->unit = decl->imported;
}

/* Limits and budgets are named by nobody in a program: their names are in a space of their own. */
static void declare_allowance(Checker *c, Decl *decl) {
  Str key = str_join3(c, "limit ", decl->name->text, "");
  const Decl *before = table_get(c->names, key);
  if (!before) {
    table_set(c->names, key, decl);
    return;
  }
  Diag *diag = REPORT(c, DUPLICATE_DECLARATION, decl->name_span, decl->name->text);
  report_note(c, diag, before->name_span, "the first `" STR_FMT "` is here",
              STR_ARG(decl->name->text));
}

static void declare(Checker *c, Decl *decl, Str prefix) {
  decl->unit = c->unit;
  if (decl->kind == DECL_EXTERN) declare_extern(c, decl);
  if (decl->kind == DECL_IMPORT) declare_import(c, decl);
  if (decl->kind >= DECL_AGENT) app_declare(c, decl, prefix);
  if (!decl->name) return;
  switch (decl->kind) {
    case DECL_FN: {
      declare_name(c, decl, SYMBOL_FN);
      Body *body = declare_body(c, decl, FNKIND_FN, prefix, "");
      body->function.asserted_pure = decl->pure;
      body->place = decl->pure ? PURE_FN : PURE_NONE;
      return;
    }
    case DECL_CONST:
      declare_name(c, decl, SYMBOL_CONST);
      return;
    case DECL_CONFIG:
      declare_name(c, decl, SYMBOL_CONFIG);
      return;
    case DECL_TYPE:
    case DECL_COMMAND:
    case DECL_EVENT:
      declare_type(c, decl, prefix);
      return;
    case DECL_WORKFLOW:
      declare_workflow(c, decl, prefix);
      return;
    case DECL_TOOL:
      declare_tool(c, decl, prefix);
      return;
    case DECL_LIMIT:
    case DECL_BUDGET:
      declare_allowance(c, decl);
      return;
    case DECL_UPCAST: {
      Body *body = declare_body(c, decl, FNKIND_UPCAST, prefix, ".upcast");
      body->function.asserted_pure = true;
      body->place = PURE_UPCAST;
      return;
    }
    default:
      return;
  }
}

/* One that is used and not declared. */
void declare_message(Checker *c, Decl *decl) { declare(c, decl, unit_prefix(c, decl->unit)); }

void declare_units(Checker *c, Unit *units) {
  for (Unit *unit = units; unit; unit = unit->next) {
    Str prefix = unit_prefix(c, unit);
    c->unit = unit;
    for (Decl *d = unit->decls; d; d = d->next) declare(c, d, prefix);
  }
}

/* ---- types of declarations ---- */

static void signature_resolve(Checker *c, Decl *decl) {
  Body *body = decl_body(decl);
  declare_params(c, body, decl->fields);
  if (decl->type) body->function.result = type_resolve(c, decl->type);
  else if (decl->kind == DECL_TOOL && !decl->body) body->function.result = c->t_any;
}

/* The check has the parameters of perform, in variables of its own. */
static void check_params(Checker *c, Decl *decl) {
  Field *first = NULL, **last = &first;
  for (Field *f = decl->fields; f; f = f->next) {
    Field *copy = ARENA_NEW(c->arena, Field);
    *copy = *f;
    copy->symbol = NULL;
    copy->where = NULL;
    copy->next = NULL;
    *last = copy;
    last = &copy->next;
  }
  declare_params(c, (Body *)decl->check_function, first);
}

static void config_resolve(Checker *c, Decl *decl) {
  Expr *value = decl->value ? constant_fold(c, decl->value, DIAG_CONFIG_NOT_CONSTANT) : NULL;
  Type *type = decl->type ? type_resolve(c, decl->type) : NULL;
  Type *have = decl->value && decl->value->type ? decl->value->type : c->t_any;
  if (type && value)
    fit_require(c, decl->value, have, type, DIAG_DEFAULT_TYPE, decl->name->text, decl->type->span,
                NULL);
  if (value) decl->value = value;
  decl->symbol->type = type ? type : have;
}

static void upcast_resolve(Checker *c, Decl *decl) {
  Symbol *symbol = scope_find(c, decl->name);
  bool message =
      symbol && symbol->kind == SYMBOL_TYPE && symbol->decl && symbol->decl->kind != DECL_TYPE;
  declare_params(c, decl_body(decl), decl->fields);
  if (message) decl->symbol = symbol;
  else if (symbol) REPORT(c, UPCAST_NOT_MESSAGE, decl->name_span, decl->name->text);
  else scope_resolve(c, decl->name, decl->name_span);
  if (decl->fields && decl->fields->next)
    REPORT(c, UPCAST_PARAMETER, decl->fields->next->span, decl->name->text);
  else if (!decl->fields) REPORT(c, UPCAST_PARAMETER, decl->name_span, decl->name->text);
}

static void decl_resolve(Checker *c, Decl *decl) {
  switch (decl->kind) {
    case DECL_CONST:
    case DECL_IMPORT:
      return;
    case DECL_CONFIG:
      if (decl->symbol) config_resolve(c, decl);
      return;
    case DECL_EXTERN:
      for (Decl *fn = decl->members; fn; fn = fn->next) {
        signature_resolve(c, fn);
        if (!fn->type) fn->function->result = c->t_nil;
      }
      return;
    case DECL_UPCAST:
      if (decl->function) upcast_resolve(c, decl);
      return;
    case DECL_TYPE:
    case DECL_COMMAND:
    case DECL_EVENT:
      if (!decl->symbol) return;
      alias_type(c, decl->symbol);
      if (decl->function) declare_params(c, decl_body(decl), decl->fields);
      return;
    case DECL_WORKFLOW:
      for (Decl *q = decl->members; q; q = q->next) signature_resolve(c, q);
      break;
    case DECL_FN:
    case DECL_TOOL:
    case DECL_QUERY:
      break;
    default:
      app_resolve(c, decl);
      return;
  }
  if (!decl->function) return;
  signature_resolve(c, decl);
  if (decl->kind == DECL_TOOL) key_new(c, decl_body(decl));
  if (!decl->check_function) return;
  check_params(c, decl);
  key_new(c, (Body *)decl->check_function);
}

static void units_resolve(Checker *c, Unit *units) {
  for (Unit *unit = units; unit; unit = unit->next) {
    uint32_t mark = scope_open(c);
    unit_enter(c, unit);
    for (Decl *d = unit->decls; d; d = d->next) decl_resolve(c, d);
    unit_leave(c, mark);
  }
}

/* ---- one file ---- */

void unit_enter(Checker *c, Unit *unit) {
  c->unit = unit;
  for (Decl *d = unit->decls; d; d = d->next) {
    bool own = unit->standard && d->kind != DECL_UPCAST;
    if (d->symbol && d->name && (own || d->kind == DECL_IMPORT)) scope_bind(c, d->name, d->symbol);
  }
}

void unit_leave(Checker *c, uint32_t mark) { scope_close(c, mark); }

static void strategy_check(Checker *c, const Decl *decl) {
  name_style_check(c, decl->name, decl->name_span, true, "a strategy");
  if (!decl->fields) REPORT(c, STRATEGY_PARAMETER, decl->name_span, decl->name->text);
}

void decl_check(Checker *c, Decl *decl) {
  switch (decl->kind) {
    case DECL_IMPORT:
      return;
    case DECL_CONST:
      if (decl->symbol) constant_of(c, decl->symbol);
      return;
    case DECL_CONFIG:
      if (decl->symbol) config_check(c, decl);
      return;
    case DECL_TYPE:
    case DECL_COMMAND:
    case DECL_EVENT:
      if (decl->symbol) type_check_decl(c, decl);
      return;
    case DECL_WORKFLOW:
      if (decl->symbol) workflow_check(c, decl);
      return;
    case DECL_TOOL:
      if (decl->symbol) tool_check(c, decl);
      return;
    case DECL_EXTERN:
      extern_check(c, decl);
      return;
    case DECL_FN:
      if (decl->model) {
        model_check(c, decl);
        return;
      }
      if (decl->strategy) strategy_check(c, decl);
      else name_style_check(c, decl->name, decl->name_span, false, "a function");
      break;
    case DECL_LIMIT:
    case DECL_BUDGET:
      allowance_check(c, decl);
      return;
    case DECL_UPCAST:
    case DECL_QUERY:
      break;
    default:
      app_check(c, decl);
      return;
  }
  if (decl->function) body_walk(c, decl_body(decl));
}

static void imports_unused(Checker *c, const Unit *unit) {
  for (Decl *d = unit->decls; d; d = d->next) {
    if (d->kind != DECL_IMPORT || !d->symbol || d->symbol->reads || name_is_hidden(d->name))
      continue;
    REPORT(c, UNUSED_IMPORT, d->name_span, d->name->text);
  }
}

/* The script stays open while the functions are walked: a function that names one of its variables
 * is told so. */
static void unit_check(Checker *c, Unit *unit) {
  Frame frame;
  uint32_t mark = scope_open(c);
  unit_enter(c, unit);
  Body *script =
      body_new(c, FNKIND_SCRIPT,
               unit->next ? joined(c, unit_prefix(c, unit), "script", STR("")) : STR("script"),
               unit->script ? unit->script->span : (Span){0}, NULL, NULL);
  script->state = BODY_DONE;
  unit->function = &script->function;
  script->function.body = unit->script;
  script->function.result = c->t_nil;
  body_open(c, &frame, script);
  block_check(c, unit->script);
  for (Decl *d = unit->decls; d; d = d->next) decl_check(c, d);
  body_close(c, &frame);
  imports_unused(c, unit);
  unit_leave(c, mark);
}

/* ---- the whole ---- */

static void types_init(Checker *c) {
  Types *t = c->types = types_new(c->arena);
  c->t_any = type_simple(t, TYPE_ANY);
  c->t_nil = type_simple(t, TYPE_NIL);
  c->t_bool = type_simple(t, TYPE_BOOL);
  c->t_int = type_simple(t, TYPE_INT);
  c->t_float = type_simple(t, TYPE_FLOAT);
  c->t_decimal = type_simple(t, TYPE_DECIMAL);
  c->t_string = type_simple(t, TYPE_STRING);
  c->t_bytes = type_simple(t, TYPE_BYTES);
  c->t_time = type_simple(t, TYPE_TIME);
  c->t_duration = type_simple(t, TYPE_DURATION);
  c->t_sealed = type_simple(t, TYPE_SEALED);
  c->t_error = type_simple(t, TYPE_ERROR);
  c->t_list = type_list(t, NULL);
  c->t_map = type_map(t, NULL);
  c->t_outcome = signature_parse(c, STR("() -> {ok: bool, value: any, error: error?}"))->result;
}

static Name *own_name(Checker *c, const char *text) {
  Name *name = ARENA_NEW(c->arena, Name);
  name->text = str_of(text);
  return name;
}

static void checker_init(Checker *c, Unit *units) {
  types_init(c);
  c->last_function = &c->out->functions;
  c->name_key = own_name(c, "key");
  c->name_error = own_name(c, "e");
  c->name_state = own_name(c, "state");
  c->name_message = own_name(c, "message");
  c->name_meta = own_name(c, "meta");
  c->name_outcome = own_name(c, "outcome");
  c->name_decide = own_name(c, "decide");
  c->constants = ARENA_NEW(c->arena, Body);
  c->constants->function = (Function){.kind = FNKIND_FN, .name = STR("a constant"), .unit = units};
  c->constants->function.last_capture = &c->constants->function.captures;
  c->constants->state = BODY_DONE;
}

static void library_walk(Checker *c) {
  while (c->pending_count > 0) body_walk(c, c->pending[--c->pending_count]);
}

static void whole_check(Checker *c, Unit *units) {
  models_declare(c, units);
  declare_units(c, units);
  implied_declare(c, units);
  builtins_init(c, units);
  units_resolve(c, units);
  models_resolve(c, units);
  routers_resolve(c, units);
  for (Unit *unit = units; unit; unit = unit->next) {
    if (unit->standard) continue;
    unit_check(c, unit);
    c->out->script = unit->function;
  }
  library_walk(c);
  records_check(c, units);
  upcasts_check(c, units);
  purity_check(c);
  app_warn(c, units);
  models_warn(c, units);
}

void check_program(Arena *arena, Diags *diags, Unit *units, CheckOptions options, Checked *out) {
  Checker c = {.arena = arena, .diags = diags, .options = options, .out = out};
  *out = (Checked){.units = units};
  if (!units) return;
  checker_init(&c, units);
  out->types = c.types;
  c.messages = table_new();
  c.clauses = table_new();
  c.names = table_new();
  whole_check(&c, units);
  models_end(&c);
  table_free(c.messages);
  table_free(c.clauses);
  table_free(c.names);
}
