/* Calls: what is called, its arguments against its parameters, what it gives. */
#include "compiler/check/checker.h"

static uint32_t arg_count(const Arg *arg) {
  uint32_t count = 0;
  for (; arg; arg = arg->next) count++;
  return count;
}

static void args_infer(Checker *c, Arg *args) {
  for (; args; args = args->next) {
    if (args->value) expr_infer(c, args->value, NULL);
  }
}

/* ---- named arguments into parameter order ---- */

typedef struct Params {       /* of what is called, however it is declared */
  Field *fields;              /* of a declaration… */
  const Signature *signature; /* …or of a built-in */
  Str name;                   /* for messages */
  Span declared;              /* size 0: a built-in */
  uint32_t skip;              /* parameters already given: the object of a method */
  uint32_t count, min;
  bool partial; /* any of them may be left out */
} Params;

/* `any?` is any, yet its question mark counts. */
bool param_optional(const Field *f) {
  if (f->value || (f->type && f->type->kind == TEXPR_OPTIONAL)) return true;
  return f->symbol && f->symbol->type && type_may_be_nil(f->symbol->type);
}

static Params params_of_fields(Field *fields, Str name, Span declared, uint32_t skip) {
  Params p = {.fields = fields, .name = name, .declared = declared, .skip = skip};
  for (uint32_t i = 0; i < skip && p.fields; i++) p.fields = p.fields->next;
  for (Field *f = p.fields; f; f = f->next) {
    p.count++;
    if (!param_optional(f)) p.min = p.count;
  }
  return p;
}

static Params params_of_signature(const Signature *s, Str name, uint32_t skip) {
  return (Params){.signature = s,
                  .name = name,
                  .skip = skip,
                  .count = s->max > skip ? s->max - skip : 0,
                  .min = s->min > skip ? s->min - skip : 0};
}

static Str param_name(const Params *p, uint32_t index, const Field *field) {
  if (field) return field->name->text;
  index += p->skip;
  return p->signature && index < p->signature->count ? p->signature->names[index] : (Str){0};
}

static int64_t param_find(const Params *p, const Name *wanted) {
  Str name = wanted->text;
  uint32_t index = 0;
  for (Field *f = p->fields; f; f = f->next, index++) {
    if (f->name == wanted) return index;
  }
  for (index = 0; p->signature && index + p->skip < p->signature->count; index++) {
    Str have = p->signature->names[index + p->skip];
    if (have.at && str_equal(have, name)) return index;
  }
  return -1;
}

static void report_argument_name(Checker *c, const Params *p, const Arg *arg) {
  Buf near = {0};
  for (Field *f = p->fields; f; f = f->next) buf_put(&near, &f->name->text, sizeof(Str));
  for (uint32_t i = p->skip; p->signature && i < p->signature->count; i++) {
    if (p->signature->names[i].at) buf_put(&near, &p->signature->names[i], sizeof(Str));
  }
  Diag *diag = REPORT(c, UNKNOWN_ARGUMENT, arg->name_span, p->name, arg->name->text);
  report_nearest(c, diag, arg->name->text, (const Str *)(void *)near.at, near.size / sizeof(Str));
  if (p->declared.size)
    report_note(c, diag, p->declared, "`" STR_FMT "` is declared here", STR_ARG(p->name));
  buf_deinit(&near);
}

static void report_count(Checker *c, const Params *p, Span span, uint32_t given) {
  Str takes = p->min == p->count ? count_text(c, p->count, "argument")
                                 : diag_format(c->diags, "%u to %u arguments", p->min, p->count);
  Diag *diag =
      REPORT(c, TOO_MANY_ARGUMENTS, span, p->name, takes, diag_format(c->diags, "%u", given));
  if (p->declared.size)
    report_note(c, diag, p->declared, "`" STR_FMT "` is declared here", STR_ARG(p->name));
}

/* Puts `arg` at its parameter's place; false if it has none or the place is taken. */
static bool arg_place(Checker *c, const Params *p, Arg **places, Arg *arg, uint32_t position) {
  int64_t index = position;
  if (arg->name) {
    index = param_find(p, arg->name);
    if (index < 0) return report_argument_name(c, p, arg), false;
  }
  if (places[index]) {
    Diag *diag = REPORT(c, DUPLICATE_ARGUMENT, arg->name ? arg->name_span : arg->value->span,
                        arg->name ? arg->name->text : param_name(p, (uint32_t)index, NULL));
    report_note(c, diag, places[index]->value->span, "it is already given here");
    return false;
  }
  places[index] = arg;
  return true;
}

/* Rebuilds the list in parameter order, an Arg without value for each hole. */
static void args_relink(Checker *c, Expr *call, Arg **places, uint32_t count) {
  Arg **tail = &call->args;
  uint32_t used = count;
  while (used > 0 && !places[used - 1]) used--;
  for (uint32_t i = 0; i < used; i++) {
    if (!places[i]) places[i] = ARENA_NEW(c->arena, Arg);
    *tail = places[i];
    tail = &places[i]->next;
  }
  *tail = NULL;
}

static bool args_order(Checker *c, Expr *call, const Params *p) {
  bool good = true, named = false;
  uint32_t position = 0;
  Arg **places = ARENA_ARRAY(c->arena, Arg *, p->count + 1);
  for (Arg *arg = call->args, *next; arg; arg = next, position++) {
    next = arg->next;
    if (!arg->name && named) {
      REPORT0(c, POSITIONAL_AFTER_NAMED, arg->value->span);
      return false;
    }
    named = named || arg->name;
    if (position >= p->count && !arg->name)
      return report_count(c, p, arg->value->span, arg_count(call->args)), false;
    good = arg_place(c, p, places, arg, position) && good;
  }
  if (good) args_relink(c, call, places, p->count);
  return good;
}

/* ---- arguments against parameters ---- */

static void report_missing(Checker *c, Expr *call, const Params *p, uint32_t index,
                           const Field *field) {
  Str name = param_name(p, index, field);
  Str what = name.at ? str_join3(c, "`", name, "`") : diag_format(c->diags, "number %u", index + 1);
  Diag *diag = REPORT(c, MISSING_ARGUMENT, call->span, p->name, what);
  if (p->declared.size)
    report_note(c, diag, field ? field->span : p->declared, "it is declared here");
}

static Str param_words(Checker *c, const Params *p, uint32_t index, const Field *field) {
  Str name = param_name(p, index, field);
  if (!name.at)
    return diag_format(c->diags, "argument %u of `" STR_FMT "`", index + 1, STR_ARG(p->name));
  return diag_format(c->diags, "`" STR_FMT "` of `" STR_FMT "`", STR_ARG(name), STR_ARG(p->name));
}

static void arg_check(Checker *c, const Params *p, Arg *arg, uint32_t index, Field *field) {
  Type *wanted = c->t_any;
  if (field) wanted = field->symbol && field->symbol->type ? field->symbol->type : c->t_any;
  else if (p->signature && index + p->skip < p->signature->count)
    wanted = p->signature->params[index + p->skip];
  Type *have = expr_infer(c, arg->value, wanted);
  if (LIKELY(have == wanted) || type_fit(have, wanted) != FIT_NO) return;
  if (have->kind == TYPE_FUNCTION && wanted->kind == TYPE_FUNCTION) {
    REPORT(c, LAMBDA_ARITY, arg->value->span, count_text(c, have->min_params, "argument"),
           param_words(c, p, index, field), diag_format(c->diags, "%u", wanted->param_count));
    return;
  }
  fit_require(c, arg->value, have, wanted, DIAG_ARGUMENT_TYPE, param_words(c, p, index, field),
              field ? field->span : (Span){0}, field ? "the parameter is declared here" : NULL);
}

static bool args_check(Checker *c, Expr *call, const Params *p) {
  bool named = false, spread = false;
  uint32_t given = 0, index = 0;
  for (Arg *arg = call->args; arg; arg = arg->next, given++) {
    named = named || arg->name;
    spread = spread || arg->value->kind == EXPR_SPREAD;
  }
  bool ordered = !named || args_order(c, call, p);
  if (!ordered || spread) return args_infer(c, call->args), false;
  Field *field = p->fields;
  bool good = true;
  Arg *arg = call->args;
  for (; arg; arg = arg->next, index++) {
    if (index >= p->count) {
      report_count(c, p, arg->value->span, given);
      return args_infer(c, arg), false;
    }
    if (arg->value) arg_check(c, p, arg, index, field);
    else if (!p->partial && (field ? !param_optional(field) : index < p->min))
      good = false, report_missing(c, call, p, index, field);
    field = field ? field->next : NULL;
  }
  for (; good && !p->partial && index < p->min; index++, field = field ? field->next : NULL) {
    if (field ? param_optional(field) : false) continue;
    report_missing(c, call, p, index, field);
    good = false;
  }
  return good;
}

void fields_call(Checker *c, Arg **args, Field *fields, Str name, Span declared, Span span) {
  Expr call = {.kind = EXPR_CALL, .span = span, .args = *args};
  Params p = params_of_fields(fields, name, declared, 0);
  args_check(c, &call, &p);
  *args = call.args;
}

/* ---- calls by what is called ---- */

static Type *result_of(Checker *c, Body *body) {
  body_ensure(c, body);
  return body->function.result ? body->function.result : c->t_any;
}

static Type *function_call(Checker *c, Expr *e, Symbol *symbol) {
  Params p = params_of_fields(symbol->decl->fields, symbol->name->text, symbol->span, 0);
  e->resolution = CALL_FUNCTION;
  args_check(c, e, &p);
  purity_edge(c, decl_body(symbol->decl), e->span, EDGE_CALL);
  return result_of(c, decl_body(symbol->decl));
}

/* The fields of what is not declared have no order. */
static bool implied_positional(Checker *c, Expr *e, const Symbol *symbol) {
  for (const Arg *arg = e->args; arg; arg = arg->next) {
    if (arg->name || arg->value->kind == EXPR_SPREAD) continue;
    Diag *diag = REPORT(c, IMPLIED_POSITIONAL, arg->value->span, symbol->name->text);
    report_help(c, diag, "name the field, " STR_FMT "(amount: 5), or declare it with its fields",
                STR_ARG(symbol->name->text));
    args_infer(c, e->args);
    return true;
  }
  return false;
}

static Type *construct_call(Checker *c, Expr *e, Symbol *symbol) {
  if (symbol->type && symbol->type->kind == TYPE_RECORD && symbol->type->decl &&
      symbol->type->decl->symbol != symbol) {
    symbol = symbol->type->decl->symbol; /* an alias of a record */
    e->symbol = symbol;
  }
  if (!symbol->decl || !symbol->decl->function) {
    REPORT(c, ALIAS_CALLED, e->left->span, symbol->name->text,
           symbol->type ? type_text(c, symbol->type) : STR("any"));
    args_infer(c, e->args);
    return c->t_any;
  }
  if (decl_is_implied(symbol->decl) && implied_positional(c, e, symbol)) return type_record(c->types, symbol->decl);
  Params p = params_of_fields(symbol->decl->fields, symbol->name->text, symbol->span, 0);
  e->resolution = CALL_CONSTRUCT;
  p.partial = c->partial == e;
  if (symbol->decl->kind == DECL_EVENT) made_note(c, symbol);
  args_check(c, e, &p);
  purity_edge(c, decl_body(symbol->decl), e->span, EDGE_CALL);
  return type_record(c->types, symbol->decl);
}

static EffectClass tool_class(const Decl *decl) {
  for (Setting *s = decl->settings; s; s = s->next) {
    if (!name_is(s->name, "effect") || !s->first || s->first->kind != EXPR_NAME) continue;
    if (name_is(s->first->name, "irreversible")) return CLASS_IRREVERSIBLE;
    if (name_is(s->first->name, "read")) return CLASS_READ;
  }
  return CLASS_REVERSIBLE;
}

static Type *outside_call(Checker *c, Expr *e, Symbol *symbol, CallKind kind) {
  Decl *decl = symbol->decl;
  Params p = params_of_fields(decl->fields, symbol->name->text, symbol->span, 0);
  e->resolution = (uint8_t)kind;
  args_check(c, e, &p);
  purity_effect(c, e->span, symbol->name->text);
  if (kind != CALL_EXTERN) purity_edge(c, decl_body(decl), e->span, EDGE_DYNAMIC);
  if (kind == CALL_TOOL && c->frame->races && tool_class(decl) == CLASS_IRREVERSIBLE) {
    Diag *diag = REPORT(c, IRREVERSIBLE_IN_RACE, e->span, symbol->name->text);
    report_note(c, diag, symbol->span, "`" STR_FMT "` is declared irreversible here",
                STR_ARG(symbol->name->text));
    report_help(
        c, diag,
        "the loser of a race may already have acted; call it after the race, with what won");
  }
  return result_of(c, decl_body(decl));
}

static Str native_name(Checker *c, const Symbol *symbol) {
  (void)c;
  return str_of(native_info[symbol->native].name);
}

/* What a native gives that its signature cannot say. */
static Type *native_result(Checker *c, const Symbol *symbol, const Signature *s, Type *receiver,
                           const Arg *args) {
  const NativeInfo *info = &native_info[symbol->native];
  Type *first = receiver ? receiver : args && args->value ? args->value->type : NULL;
  bool changes_elem = info->flags & NATIVE_CHANGES;
  if (first && first->kind == TYPE_LIST && s->result == c->t_list && !changes_elem) {
    static const char *const keep[] = {"sorted", "reversed", "reverse", "slice",
                                 "take",   "drop",     "unique"};
    for (size_t i = 0; i < COUNT_OF(keep); i++) {
      if (strcmp(info->name, keep[i]) == 0) return first;
    }
  }
  return s->result;
}

/* The argument that becomes an element, for natives that are known to add one. */
static Expr *added_value(const Symbol *symbol, const Arg *args) {
  static const char *const adders[] = {"push", "append", "insert", "set", "put"};
  while (args && args->next) args = args->next;
  for (size_t i = 0; args && i < COUNT_OF(adders); i++) {
    if (strcmp(native_info[symbol->native].name, adders[i]) == 0) return args->value;
  }
  return NULL;
}

Type *added_type(Checker *c, const Arg *args) {
  Type *joined = NULL;
  for (; args; args = args->next) {
    Type *type = args->value ? args->value->type : NULL;
    joined = type_join(c->types, joined, type);
    if (type && (type->kind == TYPE_LIST || type->kind == TYPE_MAP))
      joined = type_join(c->types, joined, type->elem);
  }
  return joined;
}

static Type *native_call(Checker *c, Expr *e, Symbol *symbol) {
  const Signature *s = symbol_signature(c, symbol);
  Params p = params_of_signature(s, native_name(c, symbol), 0);
  e->resolution = CALL_NATIVE;
  args_check(c, e, &p);
  if ((native_info[symbol->native].flags & NATIVE_CHANGES) && e->args && e->args->value) {
    path_changed(c, e->args->value, added_type(c, e->args->next),
                 added_value(symbol, e->args->next));
  }
  return native_result(c, symbol, s, NULL, e->args);
}

/* ---- effects and patches ---- */

static void sealed_shown(Checker *c, const Expr *e) {
  for (Arg *arg = e->args; arg; arg = arg->next) {
    if (arg->value && arg->value->type && arg->value->type->kind == TYPE_SEALED) {
      Diag *diag = REPORT(c, SEALED_PRINTED, arg->value->span, source_text(c, e->left->span));
      report_help(c, diag,
                  "a sealed value may go into an effect's operand, such as a header of http.get");
    }
  }
}

static Type *random_type(Checker *c, const Expr *e) { return e->args ? c->t_int : c->t_float; }

static Type *patch_call(Checker *c, Expr *e, Symbol *symbol, const Params *p) {
  bool patched = symbol->effect == EFFECT_PATCHED;
  e->resolution = patched ? CALL_PATCHED : CALL_DEPRECATE_PATCH;
  args_check(c, e, p);
  if (e->args && e->args->value && e->args->value->kind != EXPR_STRING &&
      e->args->value->kind != EXPR_BAD) {
    REPORT(c, PATCH_LITERAL, e->args->value->span,
           patched ? STR("patched") : STR("deprecate_patch"));
  }
  return patched ? c->t_bool : c->t_nil;
}

static Type *effect_call(Checker *c, Expr *e, Symbol *symbol) {
  const Signature *s = symbol_signature(c, symbol);
  Str name = source_text(c, e->left->span);
  Params p = params_of_signature(s, name, 0);
  purity_effect(c, e->span, name);
  if (symbol->effect == EFFECT_PATCHED || symbol->effect == EFFECT_DEPRECATE_PATCH)
    return patch_call(c, e, symbol, &p);
  e->resolution = CALL_EFFECT;
  args_check(c, e, &p);
  if (symbol->effect == EFFECT_PRINT || symbol->effect == EFFECT_LOG) sealed_shown(c, e);
  return symbol->effect == EFFECT_RANDOM ? random_type(c, e) : s->result;
}

/* ---- calls of values ---- */

static void no_names(Checker *c, const Expr *e, Str what) {
  for (Arg *arg = e->args; arg; arg = arg->next) {
    if (arg->name) {
      REPORT(c, NAME_IN_VALUE_CALL, arg->name_span, what);
      return;
    }
  }
}

static void report_not_callable(Checker *c, Expr *e, const Type *type) {
  if (e->left->kind == EXPR_BAD) return;
  Diag *diag = REPORT(c, NOT_CALLABLE, e->left->span, type_phrase(c, type));
  if (e->left->kind != EXPR_NAME || !e->left->symbol) return;
  report_note(c, diag, e->left->symbol->span, "`" STR_FMT "` is this variable",
              STR_ARG(e->left->name->text));
  if (builtin_global(c, e->left->name)) {
    report_help(c, diag, "the variable hides the built-in `" STR_FMT "`: give it another name",
                STR_ARG(e->left->name->text));
  }
}

static Type *value_result(Checker *c, Expr *e, Type *type) {
  Type *function = NULL;
  bool callable = type->kind == TYPE_ANY;
  if (type->kind == TYPE_FUNCTION) function = type;
  for (uint32_t i = 0; i < type->member_count; i++) {
    callable =
        callable || type->members[i]->kind == TYPE_FUNCTION || type->members[i]->kind == TYPE_ANY;
  }
  if (!function && !callable) return report_not_callable(c, e, type), c->t_any;
  if (!function || !function->params) return c->t_any;
  uint32_t given = arg_count(e->args);
  if (given < function->min_params || given > function->param_count) {
    REPORT(c, VALUE_ARGUMENTS, e->span, count_text(c, function->param_count, "argument"),
           diag_format(c->diags, "%u", given));
  }
  return function->result ? function->result : c->t_any;
}

static Type *value_call(Checker *c, Expr *e) {
  Type *type = expr_infer(c, e->left, NULL);
  e->resolution = CALL_VALUE;
  current_function(c)->calls_values = true;
  no_names(c, e, STR("a function held in a value"));
  args_infer(c, e->args);
  return value_result(c, e, type);
}

static void report_agent_called(Checker *c, const Expr *e, const Symbol *agent) {
  Diag *diag = REPORT(c, AGENT_CALLED, e->span, agent->name->text);
  const Decl *view = agent->decl->members;
  while (view && view->kind != DECL_VIEW) view = view->next;
  report_note(c, diag, agent->span, "`" STR_FMT "` is declared here", STR_ARG(agent->name->text));
  report_help(c, diag, STR_FMT "(\"a\")." STR_FMT "() asks a view, and dispatch sends it a command",
              STR_ARG(agent->name->text), STR_ARG(view ? view->name->text : STR("view")));
}

static Type *symbol_call(Checker *c, Expr *e, Symbol *symbol) {
  e->symbol = symbol;
  symbol->reads++;
  switch (symbol->kind) {
    case SYMBOL_FN:
      return function_call(c, e, symbol);
    case SYMBOL_TYPE:
    case SYMBOL_WORKER:
      return construct_call(c, e, symbol);
    case SYMBOL_VIEW:
      return view_own_call(c, e, symbol);
    case SYMBOL_WORKFLOW:
      return outside_call(c, e, symbol, CALL_WORKFLOW);
    case SYMBOL_TOOL:
      return outside_call(c, e, symbol, CALL_TOOL);
    case SYMBOL_EXTERN:
      return outside_call(c, e, symbol, CALL_EXTERN);
    case SYMBOL_NATIVE:
      return native_call(c, e, symbol);
    case SYMBOL_EFFECT:
      return effect_call(c, e, symbol);
    case SYMBOL_VARIABLE:
    case SYMBOL_CONST:
    case SYMBOL_CONFIG:
    case SYMBOL_FIELD:
      symbol->reads--;
      e->symbol = NULL;
      return value_call(c, e);
    case SYMBOL_MODULE:
    case SYMBOL_AGENT:
    case SYMBOL_ROUTER:
    case SYMBOL_HANDLER:
      break;
  }
  symbol->reads--;
  e->symbol = NULL;
  if (symbol->kind == SYMBOL_AGENT) report_agent_called(c, e, symbol);
  else REPORT(c, NOT_CALLABLE, e->left->span, symbol_phrase(symbol));
  args_infer(c, e->args);
  return c->t_any;
}

/* ---- methods ---- */

/* The one kind of value the receiver surely has; ANY if it is not sure. */
static TypeKind receiver_kind(const Type *type) {
  if (type->kind == TYPE_LITERAL) {
    return type->literal->kind == EXPR_STRING ? TYPE_STRING
           : type->literal->kind == EXPR_INT  ? TYPE_INT
                                              : TYPE_BOOL;
  }
  return type->kind == TYPE_UNION ? TYPE_ANY : type->kind;
}

static bool fields_hold_function(Checker *c, Type *type, Name *name) {
  Type *field =
      type->kind == TYPE_RECORD || type->kind == TYPE_MAP ? field_type(c, type, name, NULL) : NULL;
  return field != NULL;
}

static void report_method(Checker *c, Expr *e, const Type *type, const Module *module) {
  Buf near = {0};
  Expr *member = e->left;
  if (module) module_candidates(c, module, &near);
  for (Field *f = type->decl ? type->decl->fields : NULL; f; f = f->next)
    buf_put(&near, &f->name->text, sizeof(Str));
  Diag *diag =
      REPORT(c, UNKNOWN_METHOD, member->name_span, type_phrase(c, type), member->name->text);
  if (name_is(member->name, "length") || name_is(member->name, "size")) {
    report_help(c, diag, "len(" STR_FMT ") counts", STR_ARG(source_text(c, member->left->span)));
  } else
    report_nearest(c, diag, member->name->text, (const Str *)(void *)near.at,
                   near.size / sizeof(Str));
  buf_deinit(&near);
}

static Type *method_known(Checker *c, Expr *e, Type *type, Symbol *symbol) {
  e->symbol = symbol;
  if (symbol->kind == SYMBOL_FN) {
    Params p = params_of_fields(symbol->decl->fields, symbol->name->text, (Span){0}, 1);
    e->resolution = CALL_FUNCTION_METHOD;
    args_check(c, e, &p);
    purity_edge(c, decl_body(symbol->decl), e->span, EDGE_CALL);
    return result_of(c, decl_body(symbol->decl));
  }
  const Signature *s = symbol_signature(c, symbol);
  Params p = params_of_signature(s, native_name(c, symbol), 1);
  e->resolution = CALL_NATIVE_METHOD;
  args_check(c, e, &p);
  if (native_info[symbol->native].flags & NATIVE_CHANGES) {
    path_changed(c, e->left->left, added_type(c, e->args), added_value(symbol, e->args));
  }
  return native_result(c, symbol, s, type, e->args);
}

static Type *method_dynamic(Checker *c, Expr *e) {
  Str name = e->left->name->text;
  e->resolution = CALL_METHOD;
  current_function(c)->calls_values = true;
  no_names(c, e, STR("a method of a value whose type is not known"));
  args_infer(c, e->args);
  if (method_changes(c, name)) path_changed(c, e->left->left, c->t_any, NULL);
  method_reach(c, name, e->span);
  return c->t_any;
}

/* No value of the type can have a method of that name. */
static bool method_none(Checker *c, const Expr *e, const Type *type) {
  TypeKind kind = receiver_kind(type);
  if (kind == TYPE_RECORD) return !method_exists(c, e->left->name->text);
  return kind != TYPE_ANY && kind != TYPE_OBJECT && kind != TYPE_MAP &&
         e->left->left->kind != EXPR_BAD;
}

/* A map or record may hold a function under that name. */
static Type *held_call(Checker *c, Expr *e, Type *type) {
  Type *held = field_type(c, type, e->left->name, e->left);
  if (e->left->resolution != MEMBER_SLOT) e->left->resolution = held ? MEMBER_FIELD : MEMBER_BAD;
  e->left->type = held ? held : c->t_any;
  e->resolution = CALL_VALUE;
  current_function(c)->calls_values = true;
  no_names(c, e, STR("a function held in a value"));
  args_infer(c, e->args);
  return held ? value_result(c, e, held) : c->t_any;
}

static Type *method_call(Checker *c, Expr *e) {
  Type *type = expr_infer(c, e->left->left, NULL);
  TypeKind kind = receiver_kind(type);
  Str name = e->left->name->text;
  Module *module = module_of_kind(c, kind);
  Symbol *symbol = module ? module_member(c, module, name) : NULL;
  e->left->resolution = MEMBER_FIELD;
  e->left->type = c->t_any;
  bool certain = kind != TYPE_FLOAT && !e->left->safe;
  if (symbol && certain && (symbol->kind == SYMBOL_FN || symbol->kind == SYMBOL_NATIVE)) {
    return method_known(c, e, type, symbol);
  }
  if (!e->left->safe && !symbol && fields_hold_function(c, type, e->left->name))
    return held_call(c, e, type);
  if (type->kind == TYPE_NIL && !e->left->safe)
    return REPORT(c, NIL_ACCESS, e->left->name_span, name), args_infer(c, e->args), c->t_any;
  if (!symbol && method_none(c, e, type)) {
    report_method(c, e, type, module);
    args_infer(c, e->args);
    return c->t_any;
  }
  if (!method_exists(c, name) && kind == TYPE_ANY && !e->left->safe) return held_call(c, e, type);
  return method_dynamic(c, e);
}

static Type *member_call(Checker *c, Expr *e) {
  bool is_module;
  Symbol *symbol = module_lookup(c, e->left, &is_module);
  if (symbol) {
    e->left->symbol = symbol;
    e->left->type = c->t_any;
    return symbol_call(c, e, symbol);
  }
  if (!is_module) return method_call(c, e);
  e->left->resolution = MEMBER_BAD;
  args_infer(c, e->args);
  return c->t_any;
}

/* ---- `return confirmed X` ---- */

static bool confirmed_rewrite(Checker *c, Expr *e) {
  if (current_function(c)->kind != FNKIND_CHECK || !name_is(e->left->name, "confirmed"))
    return false;
  if (scope_find(c, e->left->name)) return false;
  Expr *word = ARENA_NEW(c->arena, Expr), *value = e->args ? e->args->value : NULL;
  *word = (Expr){.kind = EXPR_STRING, .span = e->left->span, .text = STR("confirmed")};
  if (!value) {
    value = ARENA_NEW(c->arena, Expr);
    *value = (Expr){.kind = EXPR_NIL, .span = e->span};
  }
  word->next = value;
  value->next = NULL;
  *e = (Expr){.kind = EXPR_LIST, .span = e->span, .next = e->next, .first = word};
  return true;
}

static Type *confirmed_infer(Checker *c, Expr *e) {
  Decl *decl = current_function(c)->decl;
  Expr *value = e->first->next;
  Type *wanted = decl && decl->function && decl->type ? decl->function->result : NULL;
  Type *type = wanted ? expr_require(c, value, wanted, DIAG_RETURN_TYPE, decl->name->text,
                                     decl->name_span, NULL)
                      : expr_infer(c, value, NULL);
  e->first->type = c->t_string;
  return type_list(c->types, type_join(c->types, c->t_string, type));
}

/* ---- because ---- */

static bool call_is_effect(const Expr *e) {
  return e->resolution == CALL_EFFECT || e->resolution == CALL_TOOL ||
         e->resolution == CALL_WORKFLOW || e->resolution == CALL_EXTERN || e->resolution == CALL_VIEW;
}

static void because_check(Checker *c, Expr *e) {
  Type *type = expr_infer(c, e->because, NULL);
  if (e->resolution != CALL_BAD && !call_is_effect(e)) {
    Diag *diag = REPORT(c, BECAUSE_NOT_EFFECT, e->because->span, source_text(c, e->left->span));
    report_help(
        c, diag,
        "`because` is recorded beside an effect: a tool, a workflow, http, a file, a signal");
  }
  if (type->kind == TYPE_SEALED) REPORT(c, SEALED_PRINTED, e->because->span, STR("because"));
}

static Type *callee_infer(Checker *c, Expr *e) {
  if (e->left->kind == EXPR_MEMBER) {
    Symbol *agent = view_instance(c, e);
    return agent ? view_call(c, e, agent) : member_call(c, e);
  }
  if (e->left->kind != EXPR_NAME) return value_call(c, e);
  if (e->left->name->text.size == 5 && is_calls(c, e)) return calls_infer(c, e);
  Symbol *symbol = scope_resolve(c, e->left->name, e->left->span);
  if (symbol) {
    e->left->symbol = symbol;
    e->left->type = c->t_any;
    return symbol_call(c, e, symbol);
  }
  args_infer(c, e->args);
  return c->t_any;
}

Type *call_infer(Checker *c, Expr *e, Type *expected) {
  (void)expected;
  e->resolution = CALL_BAD;
  if (e->left->kind == EXPR_NAME && e->left->name->text.size == 9 && confirmed_rewrite(c, e))
    return confirmed_infer(c, e);
  Type *type = callee_infer(c, e);
  if (e->asks || e->resolution == CALL_WORKFLOW) type = ask_infer(c, e, type);
  if (e->because) because_check(c, e);
  return type;
}
