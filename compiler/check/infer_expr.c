/* The type of every expression. `expected` is what a value had better be: it
** gives empty lists, map literals and literal strings their exact type, and lets a
** misfit be told at the item itself. What is not known is `any`. */
#include "compiler/check/checker.h"

enum { INFER_DEPTH_MAX = 1500 };

Type *type_without_nil(Checker *c, Type *type) {
  if (type->kind != TYPE_UNION) return type;
  Type **members = ARENA_ARRAY(c->arena, Type *, type->member_count);
  uint32_t count = 0;
  for (uint32_t i = 0; i < type->member_count; i++) {
    if (type->members[i]->kind != TYPE_NIL) members[count++] = type->members[i];
  }
  return count == type->member_count ? type : type_union(c->types, members, count);
}

bool type_may_be_nil(const Type *type) {
  if (type->kind == TYPE_NIL) return true;
  for (uint32_t i = 0; i < type->member_count; i++) {
    if (type->members[i]->kind == TYPE_NIL) return true;
  }
  return false;
}

bool type_has_sealed(const Type *type) { return type->kind == TYPE_SEALED; }

/* ---- fitting, with the report ---- */

static void literal_candidates(const Type *wanted, Buf *out) {
  for (uint32_t i = 0; i < wanted->member_count; i++) {
    const Type *m = wanted->members[i];
    if (m->kind == TYPE_LITERAL && m->literal->kind == EXPR_STRING)
      buf_put(out, &m->literal->text, sizeof(Str));
  }
  if (wanted->kind == TYPE_LITERAL && wanted->literal->kind == EXPR_STRING) {
    buf_put(out, &wanted->literal->text, sizeof(Str));
  }
}

static bool report_literal(Checker *c, const Expr *e, const Type *wanted) {
  Buf near = {0};
  literal_candidates(wanted, &near);
  if (near.size == 0 || e->kind != EXPR_STRING) return buf_deinit(&near), false;
  Diag *diag = REPORT(c, LITERAL_VALUE, e->span, e->text, type_text(c, wanted));
  Str best = diag_nearest(e->text, (const Str *)(void *)near.at, near.size / sizeof(Str));
  if (best.at) {
    report_label(c, diag, "did you mean \"" STR_FMT "\"?", STR_ARG(best));
    if (diag) diag_fix(diag, str_join3(c, "\"", best, "\""));
  }
  buf_deinit(&near);
  return true;
}

static void help_misfit(Checker *c, Diag *diag, const Expr *e, const Type *have,
                        const Type *wanted) {
  if (have->kind == TYPE_INT && type_fit(type_simple(c->types, TYPE_DECIMAL), wanted) == FIT_YES) {
    report_help(c, diag,
                e->kind == EXPR_INT ? "an exact decimal is written with its point and a d: %" PRId64
                                      ".0d"
                                    : "decimal(x) makes an exact decimal of an int",
                e->integer);
  } else if (wanted->kind == TYPE_STRING && have->kind != TYPE_NIL && have->kind != TYPE_SEALED) {
    report_help(c, diag, "str(x) or \"${x}\" turns a value into text");
  } else if (have->kind == TYPE_STRING &&
             (wanted->kind == TYPE_INT || wanted->kind == TYPE_FLOAT)) {
    report_help(c, diag, "%s(x) reads a number from text", type_kind_word(wanted->kind));
  } else if (have->kind == TYPE_NIL) {
    report_help(c, diag, "a type that may be nil is written with a question mark: " STR_FMT "?",
                STR_ARG(type_text(c, wanted)));
  }
}

bool fit_require(Checker *c, Expr *e, Type *have, Type *wanted, DiagId id, Str extra, Span other,
                 const char *note) {
  if (LIKELY(have == wanted) || type_fit(have, wanted) != FIT_NO) return true;
  if (e->kind == EXPR_BAD || report_literal(c, e, wanted)) return false;
  Diag *diag = checker_report(c, id, e->span, 3,
                              (const Str[]){type_phrase(c, have), type_text(c, wanted), extra});
  if (note) report_note(c, diag, other, "%s", note);
  help_misfit(c, diag, e, have, wanted);
  return false;
}

Type *expr_require(Checker *c, Expr *e, Type *wanted, DiagId id, Str extra, Span other,
                   const char *note) {
  Type *have = expr_infer(c, e, wanted);
  fit_require(c, e, have, wanted, id, extra, other, note);
  return have;
}

bool duration_require(Checker *c, Expr *e, const char *what) {
  Type *type = expr_infer(c, e, NULL);
  if (type_fit(type, c->t_duration) != FIT_NO || e->kind == EXPR_BAD) return true;
  Diag *diag = REPORT(c, DURATION_WANTED, e->span, str_of(what), type_phrase(c, type));
  if (e->kind == EXPR_INT) {
    report_label(c, diag, "did you mean %" PRId64 "s?", e->integer);
    if (diag) diag_fix(diag, diag_format(c->diags, "%" PRId64 "s", e->integer));
  } else
    report_help(c, diag, "a duration is written 250ms, 30s, 5m, 8h or 2d, or made by seconds(n)");
  return false;
}

/* ---- conditions ---- */

static void fix_condition(Checker *c, Diag *diag, Expr *e, const Type *type) {
  Str text = source_text(c, e->span);
  const char *form = NULL;
  if (type->kind == TYPE_LIST || type->kind == TYPE_MAP || type->kind == TYPE_STRING ||
      type->kind == TYPE_BYTES) {
    form = "len(" STR_FMT ") > 0";
  } else if (type->kind == TYPE_INT || type->kind == TYPE_FLOAT) form = STR_FMT " != 0";
  else if (type->kind != TYPE_NIL) form = STR_FMT " is not nil";
  if (!form || !diag || e->kind == EXPR_STRING || e->kind == EXPR_INT) return;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  Str fixed = diag_format(c->diags, form, STR_ARG(text));
#pragma GCC diagnostic pop
  report_label(c, diag, "did you mean `" STR_FMT "`?", STR_ARG(fixed));
  diag_fix(diag, fixed);
}

static void condition_type(Checker *c, Expr *e, Type *type) {
  if (type == c->t_bool || type_fit(type, c->t_bool) != FIT_NO || e->kind == EXPR_BAD) return;
  fix_condition(c, REPORT(c, NOT_BOOL, e->span, type_phrase(c, type)), e, type);
}

void condition_check(Checker *c, Expr *cond) {
  condition_type(c, cond, expr_infer(c, cond, c->t_bool));
  if (cond->kind == EXPR_BOOL && !cond->parenthesised && !(c->unit && c->unit->standard)) {
    REPORT(c, CONDITION_CONSTANT, cond->span, cond->boolean ? STR("true") : STR("false"));
  }
}

/* ---- literals ---- */

/* The literal type among what is expected that is exactly this literal. */
static Type *literal_expected(const Expr *e, Type *expected) {
  if (!expected) return NULL;
  if (expected->kind == TYPE_LITERAL) return literal_equal(e, expected->literal) ? expected : NULL;
  for (uint32_t i = 0; i < expected->member_count; i++) {
    Type *found = literal_expected(e, expected->members[i]);
    if (found) return found;
  }
  return NULL;
}

/* Where only literals are expected and this is none of them, it keeps its own: then the misfit is
 * certain. */
static Type *literal_type(Checker *c, Expr *e, Type *expected, Type *simple) {
  if (!expected || (expected->kind != TYPE_LITERAL && expected->kind != TYPE_UNION)) return simple;
  Type *exact = literal_expected(e, expected);
  if (exact) return exact;
  return type_fit(simple, expected) == FIT_MAYBE ? type_literal(c->types, e) : simple;
}

static Type *interp_infer(Checker *c, Expr *e) {
  Type *type = c->t_string;
  for (Expr *part = e->first; part; part = part->next) {
    if (type_has_sealed(expr_infer(c, part, NULL))) type = c->t_sealed;
  }
  return type;
}

/* What of the expected type a list, map or lambda literal is to be: NULL if nothing or several. */
static Type *expected_kind(Type *expected, TypeKind a, TypeKind b) {
  if (!expected) return NULL;
  if (expected->kind == a || expected->kind == b) return expected;
  Type *found = NULL;
  for (uint32_t i = 0; i < expected->member_count; i++) {
    if (expected->members[i]->kind != a && expected->members[i]->kind != b) continue;
    if (found) return NULL;
    found = expected->members[i];
  }
  return found;
}

static Type *spread_list(Checker *c, Expr *item) {
  Type *type = item->operand ? expr_infer(c, item->operand, NULL) : c->t_list;
  item->type = type;
  Type *elem = element_type(c, type, false, NULL);
  if (type_fit(type, c->t_list) != FIT_NO && elem) return type->kind == TYPE_LIST ? elem : c->t_any;
  if (item->operand && item->operand->kind != EXPR_BAD) {
    REPORT(c, SPREAD_TYPE, item->span, type_phrase(c, type), STR("list"));
  }
  return c->t_any;
}

static Type *list_infer(Checker *c, Expr *e, Type *expected) {
  Type *want = expected_kind(expected, TYPE_LIST, TYPE_LIST);
  Type *elem = want ? want->elem : NULL, *joined = NULL;
  if (e->rate) REPORT0(c, RATE_PLACE, e->span);
  bool exact = want != NULL, told = false;
  for (Expr *item = e->first; item; item = item->next) {
    Type *type = item->kind == EXPR_SPREAD ? spread_list(c, item) : expr_infer(c, item, elem);
    joined = joined ? type_join(c->types, joined, type) : type;
    if (!elem) continue;
    exact = exact && type_fit(type, elem) == FIT_YES;
    if (item->kind == EXPR_SPREAD) continue;
    told = !fit_require(c, item, type, elem, DIAG_ELEMENT_TYPE, (Str){0}, (Span){0}, NULL) || told;
  }
  if (exact || told) return want;
  return type_list(c->types, joined ? joined : c->t_any);
}

/* ---- map literals ---- */

typedef struct KeySeen {
  Str text;
  Span span;
} KeySeen;

static Span entry_span(const Arg *arg) {
  return arg->name ? arg->name_span : arg->key ? arg->key->span : arg->value->span;
}

/* The key as text where it is known: a name, a string, an int or a bool; at == NULL otherwise. */
static Str entry_key(const Arg *arg) {
  if (arg->name) return arg->name->text;
  if (arg->key && arg->key->kind == EXPR_STRING)
    return arg->key->text.at ? arg->key->text : STR("");
  return (Str){0};
}

static uint32_t key_hash(Str s) {
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < s.size; i++) h = (h ^ (uint8_t)s.at[i]) * 16777619u;
  return h ^ (h >> 13);
}

static void keys_check(Checker *c, Arg *args, uint32_t count) {
  uint32_t size = 4;
  while (size < count * 2) size *= 2;
  KeySeen *seen = ARENA_ARRAY(c->arena, KeySeen, size);
  for (Arg *arg = args; arg; arg = arg->next) {
    Str key = entry_key(arg);
    if (!key.at) continue;
    uint32_t at = key_hash(key) & (size - 1);
    while (seen[at].text.at && !str_equal(seen[at].text, key)) at = (at + 1) & (size - 1);
    if (seen[at].text.at) {
      Diag *diag = REPORT(c, DUPLICATE_KEY, entry_span(arg), key);
      report_note(c, diag, seen[at].span, "the first `" STR_FMT "` is here", STR_ARG(key));
    } else seen[at] = (KeySeen){key, entry_span(arg)};
  }
}

static TypeField *object_field(Type *object, Str key) {
  for (TypeField *f = object ? object->fields : NULL; f; f = f->next) {
    if (str_equal(f->name->text, key)) return f;
  }
  return NULL;
}

static void key_check(Checker *c, Arg *arg) {
  if (arg->name || !arg->key) return;
  Type *type = expr_infer(c, arg->key, NULL);
  Type *allowed[] = {c->t_string, c->t_int, c->t_bool, c->t_time};
  for (size_t i = 0; i < COUNT_OF(allowed); i++) {
    if (type_fit(type, allowed[i]) != FIT_NO) return;
  }
  if (arg->key->kind != EXPR_BAD) REPORT(c, KEY_TYPE, arg->key->span, type_phrase(c, type));
}

static Type *spread_map(Checker *c, Expr *item) {
  Type *type = item->operand ? expr_infer(c, item->operand, NULL) : c->t_map;
  item->type = type;
  bool fits = type_fit(type, c->t_map) != FIT_NO || type->kind == TYPE_RECORD;
  if (!fits && item->operand && item->operand->kind != EXPR_BAD) {
    REPORT(c, SPREAD_TYPE, item->span, type_phrase(c, type), STR("map"));
  }
  return type->kind == TYPE_MAP ? type->elem : c->t_any;
}

typedef struct MapWalk { /* what is learnt from the entries of a map literal */
  Type *want, *joined;
  bool exact, spread;
  bool told; /* a misfit was: the whole is taken as what was wanted */
  uint32_t count;
} MapWalk;

static void entry_infer(Checker *c, Arg *arg, MapWalk *walk) {
  walk->count++;
  if (arg->value->kind == EXPR_SPREAD) {
    Type *type = spread_map(c, arg->value);
    walk->joined = walk->joined ? type_join(c->types, walk->joined, type) : type;
    walk->exact = false;
    walk->spread = true;
    return;
  }
  key_check(c, arg);
  Str key = entry_key(arg);
  TypeField *field = walk->want && walk->want->kind == TYPE_OBJECT && key.at
                         ? object_field(walk->want, key)
                         : NULL;
  Type *wanted = field                                        ? field->type
                 : walk->want && walk->want->kind == TYPE_MAP ? walk->want->elem
                                                              : NULL;
  Type *type = expr_infer(c, arg->value, wanted);
  walk->joined = walk->joined ? type_join(c->types, walk->joined, type) : type;
  if (!wanted) return;
  walk->exact = walk->exact && type_fit(type, wanted) == FIT_YES;
  if (type_fit(type, wanted) != FIT_NO) return;
  Str what = key.at ? str_join3(c, "`", key, "`") : STR("this entry");
  walk->told = !fit_require(c, arg->value, type, wanted, DIAG_FIELD_TYPE, what, (Span){0}, NULL) ||
               walk->told;
}

static bool has_key(const Arg *args, Str key) {
  for (; args; args = args->next) {
    Str have = entry_key(args);
    if (have.at ? str_equal(have, key) : args->key != NULL)
      return true; /* a computed key may be it */
  }
  return false;
}

static void fields_missing(Checker *c, Expr *e, MapWalk *walk) {
  for (TypeField *f = walk->want->fields; f; f = f->next) {
    if (has_key(e->args, f->name->text)) continue;
    if (!f->optional) {
      REPORT(c, MISSING_FIELD, e->span, f->name->text, type_text(c, walk->want));
      walk->told = true;
    }
  }
}

static Type *map_infer(Checker *c, Expr *e, Type *expected) {
  MapWalk walk = {.want = expected_kind(expected, TYPE_MAP, TYPE_OBJECT)};
  walk.exact = walk.want != NULL;
  for (Arg *arg = e->args; arg; arg = arg->next) entry_infer(c, arg, &walk);
  if (walk.count > 1) keys_check(c, e->args, walk.count);
  if (walk.want && walk.want->kind == TYPE_OBJECT && !walk.spread) fields_missing(c, e, &walk);
  if (walk.exact || walk.told) return walk.want;
  return type_map(c->types, walk.joined ? walk.joined : c->t_any);
}

/* ---- lambdas and comprehensions ---- */

Str inner_name(Checker *c, const char *tag) {
  Str outer = c->frame->body->function.name;
  char *text = arena_alloc(c->arena, outer.size + 24);
  int tail = snprintf(text + outer.size, 24, ".%s#%u", tag, ++c->frame->lambda_count);
  if (outer.size) memcpy(text, outer.at, outer.size);
  return (Str){text, outer.size + (size_t)tail};
}

static Type *lambda_infer(Checker *c, Expr *e, Type *expected) {
  Frame frame;
  Type *want = expected_kind(expected, TYPE_FUNCTION, TYPE_FUNCTION);
  Body *body = body_new(c, FNKIND_LAMBDA, inner_name(c, "fn"), e->span, NULL, current_function(c));
  e->function = &body->function;
  body->function.expr = e->operand;
  purity_edge(c, body, e->span, EDGE_INNER);
  body_open(c, &frame, body);
  body_params(c, body, e->fields);
  Type *result = expr_infer(c, e->operand, want ? want->result : NULL);
  body->function.result = result;
  body_close(c, &frame);
  return body_function_type(c, body, NULL);
}

static void walk_variables(Checker *c, Field *fields, Expr *iter, Type *type) {
  Type *key = c->t_any, *elem = element_type(c, type, fields && fields->next, &key);
  if (!elem) {
    if (iter->kind != EXPR_BAD) {
      Diag *diag = REPORT(c, NOT_ITERABLE, iter->span, type_phrase(c, type));
      if (type->kind == TYPE_INT) {
        Str fixed = str_join3(c, "range(", source_text(c, iter->span), ")");
        report_label(c, diag, "did you mean `" STR_FMT "`?", STR_ARG(fixed));
        if (diag) diag_fix(diag, fixed);
      }
    }
    elem = c->t_any;
  }
  for (Field *f = fields; f; f = f->next) {
    Type *one = fields->next && f == fields ? key : elem;
    if (name_is_wild(f->name)) continue;
    Variable *v = variable_declare(c, f->name, f->span, true);
    f->symbol = &v->symbol;
    v->symbol.writes = 1;
    v->quiet = true; /* counting turns is use enough */
    flow_set(c, v, one);
  }
}

/* Shared with the for statement, which keeps the scope open. */
void for_variables(Checker *c, Field *fields, Expr *iter, Type *type) {
  if (fields && fields->next && fields->name == fields->next->name && !name_is_wild(fields->name)) {
    REPORT(c, DUPLICATE_BINDING, fields->next->span, fields->name->text);
  }
  walk_variables(c, fields, iter, type);
}

static Type *comprehension_infer(Checker *c, Expr *e, Type *expected) {
  Type *want = expected_kind(expected, TYPE_LIST, TYPE_LIST);
  uint32_t scope = scope_open(c);
  for_variables(c, e->fields, e->iter, expr_infer(c, e->iter, NULL));
  Level level = flow_open(c);
  if (e->cond) {
    condition_check(c, e->cond);
    narrow_condition(c, e->cond, true);
  }
  Type *type = expr_infer(c, e->operand, want ? want->elem : NULL);
  flow_drop(c, level);
  scope_close_block(c, scope);
  return type_list(c->types, type);
}

/* ---- waiting ---- */

static Type *handle_result(Checker *c, Expr *operand, Type *type, DiagId id) {
  if (type->kind == TYPE_HANDLE) return type->elem ? type->elem : c->t_any;
  if (type_fit(type, type_handle(c->types, NULL)) == FIT_NO && operand->kind != EXPR_BAD) {
    Diag *diag = checker_report(c, id, operand->span, 1, (const Str[]){type_phrase(c, type)});
    report_help(c, diag,
                "a handle comes from `start Workflow(…)`; calling a workflow waits by itself");
  }
  return c->t_any;
}

static Type *await_list(Checker *c, Expr *e, bool all) {
  Type *type = expr_infer(c, e->operand, NULL);
  Type *elem = type->kind == TYPE_LIST ? type->elem : c->t_any;
  if (type_fit(type, c->t_list) == FIT_NO && e->operand->kind != EXPR_BAD) {
    REPORT(c, AWAIT_LIST, e->operand->span, all ? STR("all") : STR("any"), type_phrase(c, type));
  }
  Type *one = handle_result(c, e->operand, elem, DIAG_AWAIT_NOT_HANDLE);
  return all ? type_list(c->types, one) : one;
}

static Type *await_infer(Checker *c, Expr *e) {
  static const char *const words[] = {"await", "await all", "await any", "await signal"};
  purity_effect(c, e->span, str_of(words[e->op]));
  switch ((AwaitKind)e->op) {
    case AWAIT_HANDLE:
      return handle_result(c, e->operand, expr_infer(c, e->operand, NULL), DIAG_AWAIT_NOT_HANDLE);
    case AWAIT_ALL:
      return await_list(c, e, true);
    case AWAIT_ANY:
      return await_list(c, e, false);
    case AWAIT_SIGNAL:
      if (e->high) duration_require(c, e->high, "the time of `within`");
      return c->t_any;
  }
  return c->t_any;
}

static bool agent_named(Checker *c, const Expr *call) {
  const Symbol *symbol = call->kind == EXPR_CALL && call->left->kind == EXPR_NAME
                             ? scope_find(c, call->left->name)
                             : NULL;
  return symbol && symbol->kind == SYMBOL_WORKFLOW && symbol->decl->ai;
}

static Type *start_infer(Checker *c, Expr *e) {
  Expr *call = e->operand;
  bool asks = call->asks;
  call->asks = asks || agent_named(c, call);
  Type *result = expr_infer(c, call, NULL);
  if (call->kind != EXPR_CALL ||
      (call->resolution != CALL_WORKFLOW && call->resolution != CALL_BAD)) {
    Diag *diag = REPORT0(c, START_NOT_WORKFLOW, call->span);
    if (call->kind == EXPR_CALL && call->symbol) {
      report_note(c, diag, call->symbol->span, "`" STR_FMT "` is declared here",
                  STR_ARG(source_text(c, call->left->span)));
    }
  }
  if (e->because) expr_infer(c, e->because, NULL);
  return type_handle(c->types, result);
}

Type *outcome_type(Checker *c, Type *value) {
  TypeField *ok = c->t_outcome->fields, *made = ARENA_ARRAY(c->arena, TypeField, 3);
  made[0] = *ok;
  made[1] = *ok->next;
  made[1].type = type_optional(c->types, value);
  made[2] = *ok->next->next;
  made[0].next = &made[1];
  made[1].next = &made[2];
  return type_object(c->types, &made[0]);
}

static Type *try_infer(Checker *c, Expr *e) {
  Level level = flow_open(c);
  Type *type = expr_infer(c, e->operand, NULL);
  flow_keep(c, level);
  return outcome_type(c, type);
}

/* ---- names ---- */

static bool check_rewrite(Checker *c, Expr *e) {
  if (current_function(c)->kind != FNKIND_CHECK || scope_find(c, e->name) ||
      !name_is(e->name, "absent"))
    return false;
  Expr *word = ARENA_NEW(c->arena, Expr);
  *word = (Expr){.kind = EXPR_STRING, .span = e->span, .text = STR("absent"), .type = c->t_string};
  *e = (Expr){.kind = EXPR_LIST, .span = e->span, .next = e->next, .first = word};
  return true;
}

static Type *name_infer(Checker *c, Expr *e, Type *expected) {
  if (e->name->text.size == 6 && c->frame && check_rewrite(c, e)) return list_infer(c, e, expected);
  Symbol *symbol = scope_resolve(c, e->name, e->span);
  if (symbol && symbol->kind == SYMBOL_FIELD) {
    binding_rewrite(c, e, (Binding *)symbol);
    return member_infer(c, e);
  }
  return symbol ? symbol_value(c, e, symbol) : c->t_any;
}

static Type *slice_bound(Checker *c, Expr *e) {
  return e ? expr_require(c, e, c->t_int, DIAG_INDEX_TYPE, STR("a slice"), (Span){0}, NULL) : NULL;
}

static Type *slice_infer(Checker *c, Expr *e) {
  Type *type = expr_infer(c, e->left, NULL);
  slice_bound(c, e->low);
  slice_bound(c, e->high);
  bool fits = type_fit(type, c->t_list) != FIT_NO || type_fit(type, c->t_string) != FIT_NO ||
              type_fit(type, c->t_bytes) != FIT_NO;
  if (!fits && e->left->kind != EXPR_BAD)
    REPORT(c, NOT_SLICEABLE, e->left->span, type_phrase(c, type));
  if (type->kind == TYPE_LITERAL) return c->t_string;
  return fits && type->kind != TYPE_UNION ? type : c->t_any;
}

static Type *spread_misplaced(Checker *c, Expr *e) {
  if (e->operand) expr_infer(c, e->operand, NULL);
  /* the parser has said so */
  return c->t_any;
}

static Type *infer_kind(Checker *c, Expr *e, Type *expected) {
  switch (e->kind) {
    case EXPR_NIL:
      return c->t_nil;
    case EXPR_BOOL:
      return literal_type(c, e, expected, c->t_bool);
    case EXPR_INT:
      return literal_type(c, e, expected, c->t_int);
    case EXPR_FLOAT:
      return c->t_float;
    case EXPR_DECIMAL:
      return c->t_decimal;
    case EXPR_STRING:
      return literal_type(c, e, expected, c->t_string);
    case EXPR_DURATION:
      return c->t_duration;
    case EXPR_INTERP:
      return interp_infer(c, e);
    case EXPR_NAME:
      return name_infer(c, e, expected);
    case EXPR_MEMBER:
      return member_infer(c, e);
    case EXPR_INDEX:
      return index_infer(c, e);
    case EXPR_SLICE:
      return slice_infer(c, e);
    case EXPR_CALL:
      return call_infer(c, e, expected);
    case EXPR_LIST:
      return list_infer(c, e, expected);
    case EXPR_MAP:
      return map_infer(c, e, expected);
    case EXPR_SPREAD:
      return spread_misplaced(c, e);
    case EXPR_LAMBDA:
      return lambda_infer(c, e, expected);
    case EXPR_UNARY:
    case EXPR_BINARY:
      return operator_infer(c, e);
    case EXPR_COMPREHENSION:
      return comprehension_infer(c, e, expected);
    case EXPR_TRY:
      return try_infer(c, e);
    case EXPR_AWAIT:
      return await_infer(c, e);
    case EXPR_START:
      return start_infer(c, e);
    case EXPR_PARALLEL_FOR:
    case EXPR_RACE:
      return concurrent_infer(c, e);
    case EXPR_DISPATCH:
      return dispatch_infer(c, e);
    case EXPR_ENQUEUE:
      return enqueue_infer(c, e);
    case EXPR_APPROVE:
      return approve_infer(c, e);
    case EXPR_FIT:
      return fit_infer(c, e);
    case EXPR_BAD:
      return c->t_any;
  }
  return c->t_any;
}

Type *expr_infer(Checker *c, Expr *e, Type *expected) {
  if (c->depth >= INFER_DEPTH_MAX) {
    return e->type = c->t_any; /* the parser's limit is lower, and told */
  }
  c->depth++;
  e->type = infer_kind(c, e, expected);
  c->depth--;
  return e->type;
}
