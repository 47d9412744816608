/* Fields, indexes, what a walk gives, and names used as values. */
#include "compiler/check/checker.h"

/* ---- fields ---- */

static void report_field(Checker *c, Expr *member, const Type *type, const Field *fields,
                         const TypeField *known) {
  Buf near = {0};
  if (!member) return;
  for (; fields; fields = fields->next) buf_put(&near, &fields->name->text, sizeof(Str));
  for (; known; known = known->next) buf_put(&near, &known->name->text, sizeof(Str));
  Diag *diag =
      REPORT(c, UNKNOWN_FIELD, member->name_span, type_phrase(c, type), member->name->text);
  report_nearest(c, diag, member->name->text, (const Str *)(void *)near.at,
                 near.size / sizeof(Str));
  if (type->decl)
    report_note(c, diag, type->decl->name_span, "`" STR_FMT "` is declared here",
                STR_ARG(type->decl->name->text));
  buf_deinit(&near);
}

static Type *record_field(Checker *c, Type *type, Name *name, Expr *member) {
  uint32_t slot = 0;
  for (Field *f = type->decl ? type->decl->fields : NULL; f; f = f->next, slot++) {
    if (f->name != name) continue;
    if (member) {
      member->resolution = MEMBER_SLOT;
      member->slot = slot;
    }
    return f->symbol && f->symbol->type ? f->symbol->type : c->t_any;
  }
  report_field(c, member, type, type->decl ? type->decl->fields : NULL, NULL);
  return NULL;
}

static Type *error_field(Checker *c, Type *type, Name *name, Expr *member) {
  static const char *const names[] = {"code", "message", "data", "at"};
  Buf near = {0};
  if (name_is(name, "code") || name_is(name, "message")) return c->t_string;
  if (name_is(name, "data") || name_is(name, "at")) return c->t_any;
  if (!member) return NULL;
  for (size_t i = 0; i < COUNT_OF(names); i++)
    buf_put(&near, &(Str){names[i], strlen(names[i])}, sizeof(Str));
  Diag *diag = REPORT(c, UNKNOWN_FIELD, member->name_span, type_phrase(c, type), name->text);
  report_nearest(c, diag, name->text, (const Str *)(void *)near.at, near.size / sizeof(Str));
  buf_deinit(&near);
  return NULL;
}

/* A value without fields. Often a method's call without its parentheses, or another language's
 * `.length`. */
static Type *no_field(Checker *c, Type *type, Name *name, Expr *member) {
  if (!member) return NULL;
  if (type->kind == TYPE_NIL) {
    REPORT(c, NIL_ACCESS, member->name_span, name->text);
    return NULL;
  }
  Diag *diag = REPORT(c, NO_FIELDS, member->name_span, type_phrase(c, type), name->text);
  Module *module = module_of_kind(c, type->kind == TYPE_LITERAL ? TYPE_STRING : type->kind);
  if (name_is(name, "length") || name_is(name, "size") || name_is(name, "count")) {
    report_help(c, diag, "len(" STR_FMT ") counts", STR_ARG(source_text(c, member->left->span)));
  } else if (module && module_member(c, module, name->text)) {
    report_label(c, diag, "did you mean `" STR_FMT "()`?", STR_ARG(name->text));
    if (diag) diag_fix(diag, str_join3(c, "", name->text, "()"));
  }
  return NULL;
}

static Type *union_field(Checker *c, Type *type, Name *name, Expr *member) {
  Type *joined = NULL;
  for (uint32_t i = 0; i < type->member_count; i++) {
    Type *m = type->members[i];
    if (m->kind == TYPE_NIL) continue;
    joined = type_join(c->types, joined, field_type(c, m, name, NULL));
  }
  if (joined || !member) return joined;
  const Type *first = type_without_nil(c, type);
  report_field(c, member, type, first->decl ? first->decl->fields : NULL, NULL);
  return NULL;
}

/* NULL: no value of the type has it (reported where `member` is given). */
Type *field_type(Checker *c, Type *type, Name *name, Expr *member) {
  switch (type->kind) {
    case TYPE_ANY:
    case TYPE_HANDLE:
      return c->t_any;
    case TYPE_RECORD:
      return record_field(c, type, name, member);
    case TYPE_MAP:
      return type->elem;
    case TYPE_ERROR:
      return error_field(c, type, name, member);
    case TYPE_UNION:
      return union_field(c, type, name, member);
    case TYPE_OBJECT:
      for (TypeField *f = type->fields; f; f = f->next) {
        if (str_equal(f->name->text, name->text))
          return f->optional ? type_optional(c->types, f->type) : f->type;
      }
      return c->t_any;
    default:
      return no_field(c, type, name, member);
  }
}

/* ---- module.name ---- */

static void report_module(Checker *c, Expr *e, Module *module, Str module_name) {
  Buf near = {0};
  if (module) module_candidates(c, module, &near);
  Diag *diag = REPORT(c, UNKNOWN_MEMBER, e->name_span, module_name, e->name->text);
  report_nearest(c, diag, e->name->text, (const Str *)(void *)near.at, near.size / sizeof(Str));
  buf_deinit(&near);
}

static Symbol *unit_member(Unit *unit, const Name *name) {
  for (Decl *d = unit->decls; d; d = d->next) {
    if (d->name == name && d->symbol && d->kind != DECL_IMPORT && d->kind != DECL_UPCAST)
      return d->symbol;
  }
  return NULL;
}

/* The module `e` names, if it is a name of one. `int` and such are both a function and a module. */
static Symbol *module_named(Checker *c, Expr *e) {
  if (e->kind != EXPR_NAME) return NULL;
  Symbol *symbol = scope_find(c, e->name);
  if (!symbol || symbol->kind == SYMBOL_VARIABLE) return NULL;
  if (symbol->kind == SYMBOL_MODULE) return symbol;
  bool builtin = symbol->kind == SYMBOL_NATIVE || symbol->kind == SYMBOL_EFFECT;
  Module *module = builtin ? module_by_name(c, e->name->text) : NULL;
  return module ? &module->symbol : NULL;
}

/* The member of the module that e->left names: *is_module says whether it names one at all. */
Symbol *module_lookup(Checker *c, Expr *e, bool *is_module) {
  Symbol *symbol = module_named(c, e->left), *found = NULL;
  *is_module = symbol != NULL;
  if (!symbol) return NULL;
  symbol->reads++;
  e->left->symbol = symbol;
  e->left->type = c->t_any;
  if (symbol->unit) {
    found = unit_member(symbol->unit, e->name);
    if (!found) report_module(c, e, NULL, e->left->name->text);
  } else {
    Module *module = (Module *)symbol;
    if (symbol->decl) module = module_by_name(c, symbol->effect_arg);
    found = module ? module_member(c, module, e->name->text) : NULL;
    if (!found) report_module(c, e, module, e->left->name->text);
  }
  if (found) e->resolution = MEMBER_SYMBOL;
  return found;
}

Type *member_infer(Checker *c, Expr *e) {
  bool is_module;
  Symbol *symbol = module_lookup(c, e, &is_module);
  if (symbol) {
    e->symbol = symbol;
    return symbol_value(c, e, symbol);
  }
  if (is_module) {
    e->resolution = MEMBER_BAD;
    return c->t_any;
  }
  Type *type = expr_infer(c, e->left, NULL);
  e->resolution = MEMBER_FIELD;
  bool nil_left = e->safe && type->kind == TYPE_NIL;
  Type *found =
      nil_left ? c->t_nil : field_type(c, e->safe ? type_without_nil(c, type) : type, e->name, e);
  if (e->safe && e->resolution == MEMBER_SLOT && type->kind != TYPE_RECORD)
    e->resolution = MEMBER_FIELD;
  if (!found) {
    e->resolution = MEMBER_BAD;
    return c->t_any;
  }
  return e->safe ? type_optional(c->types, found) : found;
}

/* ---- indexes ---- */

static Type *index_pair(Checker *c, Type *type, Type *key, bool *bad_key) {
  switch (type->kind == TYPE_LITERAL ? TYPE_STRING : type->kind) {
    case TYPE_ANY:
    case TYPE_RECORD:
    case TYPE_OBJECT:
    case TYPE_ERROR:
      return c->t_any;
    case TYPE_LIST:
      *bad_key = type_fit(key, c->t_int) == FIT_NO;
      return type->elem;
    case TYPE_STRING:
      *bad_key = type_fit(key, c->t_int) == FIT_NO;
      return c->t_string;
    case TYPE_BYTES:
      *bad_key = type_fit(key, c->t_int) == FIT_NO;
      return c->t_int;
    case TYPE_MAP:
      *bad_key = type_fit(key, c->t_string) == FIT_NO && type_fit(key, c->t_int) == FIT_NO &&
                 type_fit(key, c->t_bool) == FIT_NO && type_fit(key, c->t_time) == FIT_NO;
      return type->elem;
    default:
      return NULL;
  }
}

Type *index_infer(Checker *c, Expr *e) {
  Type *type = expr_infer(c, e->left, NULL);
  Type *key = expr_infer(c, e->right, NULL);
  Type *joined = NULL;
  bool bad_key = false, any_good = false;
  uint32_t count = type->kind == TYPE_UNION ? type->member_count : 1;
  for (uint32_t i = 0; i < count; i++) {
    bool bad = false;
    Type *found = index_pair(c, count > 1 ? type->members[i] : type, key, &bad);
    joined = type_join(c->types, joined, found);
    any_good = any_good || (found && !bad);
    bad_key = bad_key || bad;
  }
  if (e->safe && type->kind == TYPE_NIL) return c->t_nil;
  if (!joined && e->left->kind != EXPR_BAD)
    REPORT(c, NOT_INDEXABLE, e->left->span, type_phrase(c, type));
  else if (bad_key && !any_good && e->right->kind != EXPR_BAD) {
    REPORT(c, INDEX_TYPE, e->right->span, type_phrase(c, key), type_text(c, type),
           type_phrase(c, type));
  }
  if (!joined) return c->t_any;
  return e->safe ? type_optional(c->types, joined) : joined;
}

/* ---- walks ---- */

static Type *element_one(Checker *c, Type *type, bool second, Type **key) {
  switch (type->kind == TYPE_LITERAL ? TYPE_STRING : type->kind) {
    case TYPE_ANY:
    case TYPE_OBJECT:
    case TYPE_RECORD:
      *key = c->t_any;
      return c->t_any;
    case TYPE_LIST:
      *key = c->t_int;
      return type->elem;
    case TYPE_MAP:
      *key = c->t_any;
      return second ? type->elem : c->t_any;
    case TYPE_STRING:
      *key = c->t_int;
      return type->kind == TYPE_LITERAL && type->literal->kind != EXPR_STRING ? NULL : c->t_string;
    case TYPE_BYTES:
      *key = c->t_int;
      return c->t_int;
    default:
      return NULL;
  }
}

Type *element_type(Checker *c, Type *type, bool second, Type **key) {
  Type *ignored = c->t_any, *joined = NULL, *keys = NULL;
  if (!key) key = &ignored;
  if (type->kind != TYPE_UNION) return element_one(c, type, second, key);
  for (uint32_t i = 0; i < type->member_count; i++) {
    Type *one_key = c->t_any, *one = element_one(c, type->members[i], second, &one_key);
    if (!one) continue;
    joined = type_join(c->types, joined, one);
    keys = type_join(c->types, keys, one_key);
  }
  *key = keys ? keys : c->t_any;
  return joined;
}

/* ---- names as values ---- */

static uint32_t required_fields(const Field *f) {
  uint32_t count = 0;
  for (; f; f = f->next) count += !param_optional(f);
  return count;
}

static uint32_t required_arguments(Checker *c, Symbol *symbol) {
  if (symbol->decl) return required_fields(symbol->decl->fields);
  uint32_t min = symbol_signature(c, symbol)->min;
  return symbol->kind == SYMBOL_EFFECT &&
                 (symbol->effect == EFFECT_PRINT || symbol->effect == EFFECT_LOG)
             ? 1
             : min;
}

/* `str` becomes `a -> str(a)`: only Z8 functions are values at run time. */
void expr_rewrite_lambda(Checker *c, Expr *e, Symbol *symbol) {
  static const char letters[] = "abcdefgh";
  uint32_t count = required_arguments(c, symbol);
  Expr *callee = ARENA_NEW(c->arena, Expr), *call = ARENA_NEW(c->arena, Expr);
  Field **field = &(Field *){NULL}, **fields = field;
  Arg **arg = &call->args;
  *callee = *e;
  callee->next = NULL;
  *call = (Expr){.kind = EXPR_CALL, .span = e->span, .left = callee};
  arg = &call->args;
  for (uint32_t i = 0; i < count; i++) {
    Name *name = ARENA_NEW(c->arena, Name);
    name->text = (Str){&letters[i % 8], 1};
    Expr *value = ARENA_NEW(c->arena, Expr);
    *value = (Expr){.kind = EXPR_NAME, .span = e->span, .name = name};
    *arg = ARENA_NEW(c->arena, Arg);
    (*arg)->value = value;
    arg = &(*arg)->next;
    *field = ARENA_NEW(c->arena, Field);
    **field = (Field){.name = name, .span = e->span};
    field = &(*field)->next;
  }
  *e = (Expr){
      .kind = EXPR_LAMBDA, .span = e->span, .next = e->next, .operand = call, .fields = *fields};
}

static bool calls_something(const Symbol *symbol) {
  if (symbol->kind == SYMBOL_TYPE) return symbol->decl && symbol->decl->function;
  if (symbol->kind == SYMBOL_EFFECT)
    return symbol->effect != EFFECT_PATCHED && symbol->effect != EFFECT_DEPRECATE_PATCH;
  return symbol->kind == SYMBOL_NATIVE || symbol->kind == SYMBOL_TOOL ||
         symbol->kind == SYMBOL_WORKFLOW || symbol->kind == SYMBOL_EXTERN;
}

static Type *function_value(Checker *c, Expr *e, Symbol *symbol) {
  purity_edge(c, decl_body(symbol->decl), e->span, EDGE_VALUE);
  return body_function_type(c, decl_body(symbol->decl), symbol->decl);
}

Type *symbol_value(Checker *c, Expr *e, Symbol *symbol) {
  e->symbol = symbol;
  switch (symbol->kind) {
    case SYMBOL_VARIABLE: {
      Variable *v = variable_here(c, symbol, e->span);
      e->symbol = &v->symbol;
      return variable_read(c, v, e->span);
    }
    case SYMBOL_CONST:
      symbol->reads++;
      constant_of(c, symbol);
      return symbol->type ? symbol->type : c->t_any;
    case SYMBOL_CONFIG:
      symbol->reads++;
      if (c->frame->body->config_span.size == 0) c->frame->body->config_span = e->span;
      return symbol->type ? symbol->type : c->t_any;
    case SYMBOL_FN:
      symbol->reads++;
      return function_value(c, e, symbol);
    default:
      break;
  }
  if (calls_something(symbol)) {
    expr_rewrite_lambda(c, e, symbol);
    return expr_infer(c, e, NULL);
  }
  REPORT(c, NOT_A_VALUE, e->span, source_text(c, e->span), symbol_phrase(symbol));
  e->symbol = NULL;
  return c->t_any;
}
