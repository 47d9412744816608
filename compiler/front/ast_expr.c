/* Builders of expressions and patterns. */
#include "compiler/front/ast_build.h"

static Expr *expr_new(Build *b, ExprKind kind, Span span) {
  Expr *e = ARENA_NEW(b->arena, Expr);
  e->kind = kind;
  e->span = span;
  return e;
}

/* Past the limit the child is cut off, so that nobody who walks the tree needs more stack than we
** tested with. */
static void cut(Build *b, Expr *parent, Expr *child) {
  DIAG_ADD(b->diags, DIAG_TOO_DEEP, child->span, diag_format(b->diags, "%d", EXPR_DEPTH_MAX),
           STR("levels in one expression"));
  Expr *next = child->next;
  *child = (Expr){.kind = EXPR_BAD, .span = child->span, .next = next};
  parent->depth = 1;
}

/* Counts a child's levels. */
static inline void hold(Build *b, Expr *parent, Expr *child) {
  if (!child || child->depth < parent->depth) return;
  parent->depth = (uint16_t)(child->depth + 1);
  if (UNLIKELY(child->depth == EXPR_DEPTH_MAX)) cut(b, parent, child);
}

void ast_hold(Build *b, Expr *parent, Expr *child) { hold(b, parent, child); }

static void hold_list(Build *b, Expr *parent, Expr *first) {
  for (Expr *e = first; e; e = e->next) hold(b, parent, e);
}

static void hold_args(Build *b, Expr *parent, Arg *first) {
  for (Arg *arg = first; arg; arg = arg->next) {
    hold(b, parent, arg->key);
    hold(b, parent, arg->value);
  }
}

ExprList ast_exprs(ExprList list, Expr *e) {
  if (list.last) list.last->next = e;
  else list.first = e;
  list.last = e;
  return list;
}

/* ---- leaves ---- */

Expr *ast_name(Build *b, Tok name) {
  Expr *e = expr_new(b, EXPR_NAME, name.span);
  e->name = name.name;
  return e;
}

Expr *ast_path(Build *b, Tok name) { return ast_name(b, name); }

Expr *ast_int(Build *b, Tok t) {
  Expr *e = expr_new(b, EXPR_INT, t.span);
  e->integer = t.integer;
  return e;
}

Expr *ast_float(Build *b, Tok t) {
  Expr *e = expr_new(b, EXPR_FLOAT, t.span);
  e->number = t.number;
  return e;
}

/* The digits without their `d`, and without `_`. */
Expr *ast_decimal(Build *b, Tok t) {
  Expr *e = expr_new(b, EXPR_DECIMAL, t.span);
  const char *from = b->text + (t.span.at - b->base);
  char *to = arena_alloc(b->arena, t.span.size);
  size_t size = 0;
  for (uint32_t i = 0; i + 1 < t.span.size; i++) {
    if (from[i] != '_') to[size++] = from[i];
  }
  e->text = (Str){to, size};
  return e;
}

Expr *ast_duration(Build *b, Tok t) {
  Expr *e = expr_new(b, EXPR_DURATION, t.span);
  e->integer = t.integer;
  return e;
}

Expr *ast_string(Build *b, Tok t) {
  Expr *e = expr_new(b, EXPR_STRING, t.span);
  e->text = literal_text(b, t);
  return e;
}

Expr *ast_bool(Build *b, Tok t, bool value) {
  Expr *e = expr_new(b, EXPR_BOOL, t.span);
  e->boolean = value;
  return e;
}

Expr *ast_nil(Build *b, Tok t) { return expr_new(b, EXPR_NIL, t.span); }

/* ---- interpolation: raw texts until the end is known, since a block's indentation is common ----
 */

static Expr *raw_part(Build *b, Tok t) {
  Expr *e = expr_new(b, EXPR_STRING, t.span);
  uint32_t inside = t.text.open + t.text.close;
  uint32_t size = t.span.size > inside ? t.span.size - inside : 0;
  e->span = (Span){t.span.at + t.text.open, size};
  e->text = (Str){b->text + (e->span.at - b->base), size};
  e->safe = t.text.escaped;
  return e;
}

ExprList ast_interp_part(Build *b, ExprList parts, Tok text, Expr *value) {
  return ast_exprs(ast_exprs(parts, raw_part(b, text)), value);
}

static void unescape_parts(Build *b, Expr *first) {
  for (Expr *e = first; e; e = e->next) {
    if (e->kind != EXPR_STRING || !e->safe) continue;
    e->text = literal_unescape(b, e->text);
    e->safe = false;
  }
}

/* Every second part is a text; the empty ones go. */
static Expr *without_empty(Expr *first) {
  Expr *kept = NULL, **end = &kept;
  bool text = true;
  for (Expr *e = first; e; e = e->next, text = !text) {
    if (text && e->text.size == 0) continue;
    *end = e;
    end = &e->next;
  }
  *end = NULL;
  return kept;
}

Expr *ast_interp(Build *b, ExprList parts, Tok end) {
  Span begin = parts.first->span;
  uint32_t open = end.text.block ? 3 : 1;
  parts = ast_exprs(parts, raw_part(b, end));
  Span span = {begin.at - open, end.span.at + end.span.size - begin.at + open};
  Expr *e = expr_new(b, EXPR_INTERP, span);
  if (end.text.block) literal_block_parts(b, parts.first);
  else unescape_parts(b, parts.first);
  e->first = without_empty(parts.first);
  hold_list(b, e, e->first);
  return e;
}

/* ---- brackets ---- */

Expr *ast_parens(Build *b, Tok open, Expr *e, Tok close) {
  (void)b;
  e->parenthesised = true;
  e->span = span_join(open.span, close.span);
  return e;
}

Expr *ast_list(Build *b, Tok open, ExprList items, Tok close) {
  Expr *e = expr_new(b, EXPR_LIST, span_join(open.span, close.span));
  e->first = items.first;
  hold_list(b, e, items.first);
  return e;
}

Expr *ast_map(Build *b, Tok open, ArgList entries, Tok close) {
  Expr *e = expr_new(b, EXPR_MAP, span_join(open.span, close.span));
  e->args = entries.first;
  hold_args(b, e, entries.first);
  return e;
}

Expr *ast_comprehension(Build *b, Tok open, Expr *element, Field *vars, Expr *iter, Expr *cond,
                        Tok close) {
  Expr *e = expr_new(b, EXPR_COMPREHENSION, span_join(open.span, close.span));
  e->operand = element;
  e->fields = vars;
  e->iter = iter;
  e->cond = cond;
  hold(b, e, element);
  hold(b, e, iter);
  hold(b, e, cond);
  return e;
}

Expr *ast_spread(Build *b, Tok dots, Expr *operand) {
  Expr *e = expr_new(b, EXPR_SPREAD, operand ? span_join(dots.span, operand->span) : dots.span);
  e->operand = operand;
  hold(b, e, operand);
  return e;
}

Arg *ast_arg(Build *b, const Tok *name, Expr *value) {
  Arg *arg = ARENA_NEW(b->arena, Arg);
  arg->value = value;
  if (!name) return arg;
  arg->name = name->name;
  arg->name_span = name->span;
  return arg;
}

Arg *ast_entry(Build *b, Expr *key, Expr *value) {
  Arg *arg = ast_arg(b, NULL, value);
  arg->key = key;
  return arg;
}

ArgList ast_args(Build *b, ArgList list, Arg *arg) {
  (void)b;
  if (list.last) list.last->next = arg;
  else list.first = arg;
  list.last = arg;
  return list;
}

/* ---- postfix ---- */

/* The library's modules for models are read only by programs that name one: `strategy.react`, `std.model`. */
static bool names_models(const Name *name) {
  static const char *const modules[] = {"model", "agent", "schema", "judge", "strategy"};
  for (size_t i = 0; i < COUNT_OF(modules); i++) {
    if (str_equal(name->text, str_of(modules[i]))) return true;
  }
  return false;
}

static void note_models(Build *b, const Expr *object, const Name *name) {
  if (object->kind != EXPR_NAME || b->unit->models) return;
  bool standard = str_equal(object->name->text, STR("std"));
  b->unit->models = names_models(standard ? name : object->name);
}

Expr *ast_member(Build *b, Expr *object, Tok name, bool safe) {
  note_models(b, object, name.name);
  Expr *e = expr_new(b, EXPR_MEMBER, span_join(object->span, name.span));
  e->left = object;
  e->name = name.name;
  e->name_span = name.span;
  e->safe = safe;
  hold(b, e, object);
  return e;
}

Expr *ast_index(Build *b, Expr *object, Expr *index, Tok close, bool safe) {
  Expr *e = expr_new(b, EXPR_INDEX, span_join(object->span, close.span));
  e->left = object;
  e->right = index;
  e->safe = safe;
  hold(b, e, object);
  hold(b, e, index);
  return e;
}

Expr *ast_slice(Build *b, Expr *object, Expr *low, Expr *high, Tok close) {
  Expr *e = expr_new(b, EXPR_SLICE, span_join(object->span, close.span));
  e->left = object;
  e->low = low;
  e->high = high;
  hold(b, e, object);
  hold(b, e, low);
  hold(b, e, high);
  return e;
}

static Expr *call_new(Build *b, Expr *callee, Arg *args, Span span) {
  Expr *e = expr_new(b, EXPR_CALL, span);
  e->left = callee;
  e->args = args;
  hold(b, e, callee);
  hold_args(b, e, args);
  return e;
}

Expr *ast_call(Build *b, Expr *callee, ArgList args, Tok close) {
  return call_new(b, callee, args.first, span_join(callee->span, close.span));
}

Expr *ast_start(Build *b, Tok start, Expr *callee, ArgList args, Tok close) {
  Expr *e = expr_new(b, EXPR_START, span_join(start.span, close.span));
  e->operand = ast_call(b, callee, args, close);
  hold(b, e, e->operand);
  return e;
}

static Expr *sent(Build *b, ExprKind kind, Tok t, Expr *operand) {
  Expr *e = expr_new(b, kind, span_join(t.span, operand->span));
  e->operand = operand;
  hold(b, e, operand);
  b->unit->application = true;
  return e;
}

Expr *ast_dispatch(Build *b, Tok t, Expr *command) { return sent(b, EXPR_DISPATCH, t, command); }

Expr *ast_enqueue(Build *b, Tok t, Expr *job) { return sent(b, EXPR_ENQUEUE, t, job); }

/* The dispatch or enqueue that options belong to: `x = try dispatch C() with …`. */
static Expr *sent_in(Expr *e, ExprKind kind) {
  while (e && e->kind != kind && (e->kind == EXPR_TRY || e->kind == EXPR_AWAIT || e->kind == EXPR_LAMBDA))
    e = e->operand;
  return e && e->kind == kind && !e->args ? e : NULL;
}

static Expr *options_put(Build *b, Expr *e, ExprKind kind, ArgList options) {
  Expr *target = sent_in(e, kind);
  if (!target) {
    if (e->kind != EXPR_BAD) DIAG_ADD0(b->diags, DIAG_OPTIONS_PLACE, e->span);
    return e;
  }
  target->args = options.first;
  for (Arg *arg = options.first; arg; arg = arg->next) {
    hold(b, target, arg->value);
    target->span = span_join(target->span, arg->value->span);
  }
  return e;
}

Expr *ast_with(Build *b, Expr *dispatch, Tok with, ArgList options) {
  (void)with;
  return options_put(b, dispatch, EXPR_DISPATCH, options);
}

Expr *ast_options(Build *b, Expr *enqueue, ArgList options) {
  return options_put(b, enqueue, EXPR_ENQUEUE, options);
}

/* ---- operators ---- */

Expr *ast_binary(Build *b, uint64_t op, Expr *left, Expr *right) {
  if (right->kind == EXPR_INT && right->integer == INT64_MIN &&
      b->text[right->span.at - b->base] != '-') {
    Str text = {b->text + (right->span.at - b->base), right->span.size};
    DIAG_ADD(b->diags, DIAG_INT_RANGE, right->span, text); /* its minus was an operator */
  }
  Expr *e = expr_new(b, EXPR_BINARY, span_join(left->span, right->span));
  e->op = (uint8_t)op;
  e->left = left;
  e->right = right;
  hold(b, e, left);
  hold(b, e, right);
  return e;
}

Expr *ast_unary(Build *b, UnaryOp op, Tok t, Expr *operand) {
  Expr *e = expr_new(b, EXPR_UNARY, span_join(t.span, operand->span));
  e->op = (uint8_t)op;
  e->operand = operand;
  hold(b, e, operand);
  return e;
}

/* A number's minus belongs to the number; 9223372036854775808 exists only behind one. */
Expr *ast_negative(Build *b, Tok minus, Expr *operand) {
  bool number = operand->kind == EXPR_INT || operand->kind == EXPR_DURATION;
  bool negated = b->text[operand->span.at - b->base] == '-';
  if (operand->parenthesised || negated || (!number && operand->kind != EXPR_FLOAT)) {
    return ast_unary(b, UNARY_NEG, minus, operand);
  }
  if (number && operand->integer != INT64_MIN) operand->integer = -operand->integer;
  if (!number) operand->number = -operand->number;
  operand->span = span_join(minus.span, operand->span);
  return operand;
}

/* `x |> f(a)` is f(x, a); `x |> f` is f(x). */
Expr *ast_pipe(Build *b, Expr *value, Tok pipe, Expr *target) {
  Span span = span_join(value->span, target->span);
  Arg *arg = ast_arg(b, NULL, value);
  if (target->kind == EXPR_CALL && !target->parenthesised) {
    arg->next = target->args;
    target->args = arg;
    target->span = span;
    hold(b, target, value);
    return target;
  }
  bool callable = target->kind == EXPR_NAME || target->kind == EXPR_MEMBER ||
                  target->kind == EXPR_CALL || target->kind == EXPR_LAMBDA ||
                  target->kind == EXPR_INDEX || target->kind == EXPR_BAD;
  if (!callable) {
    Diag *diag = DIAG_ADD0(b->diags, DIAG_PIPE_TARGET, target->span);
    diag_note(b->diags, diag, pipe.span, STR("the value goes into a call here"));
  }
  return call_new(b, target, arg, span);
}

Expr *ast_try(Build *b, Tok t, Expr *operand) {
  Expr *e = expr_new(b, EXPR_TRY, span_join(t.span, operand->span));
  e->operand = operand;
  hold(b, e, operand);
  return e;
}

static Expr *await_node(Build *b, AwaitKind kind, Tok t, Expr *operand) {
  Expr *e = expr_new(b, EXPR_AWAIT, span_join(t.span, operand->span));
  e->op = (uint8_t)kind;
  e->operand = operand;
  hold(b, e, operand);
  return e;
}

static bool is_postfix(const Expr *e) {
  return e->kind == EXPR_MEMBER || e->kind == EXPR_INDEX || e->kind == EXPR_SLICE || e->kind == EXPR_CALL;
}

/* `await(run).state` reads a member of the answer: what follows the brackets applies to the result. */
Expr *ast_await(Build *b, AwaitKind kind, Tok t, Expr *operand) {
  Expr *last = NULL, *base = operand;
  while (is_postfix(base) && !base->parenthesised) {
    last = base;
    base->span = span_join(t.span, base->span);
    base = base->left;
  }
  if (!last || !base->parenthesised) return await_node(b, kind, t, operand);
  last->left = await_node(b, kind, t, base);
  return operand;
}

Expr *ast_await_signal(Build *b, Tok t, Tok name, Expr *within) {
  Expr *e = expr_new(b, EXPR_AWAIT, span_join(t.span, within ? within->span : name.span));
  e->op = AWAIT_SIGNAL;
  e->name = name.name;
  e->name_span = name.span;
  e->high = within;
  hold(b, e, within);
  return e;
}

/* The call a `because` belongs to: `await start W() because …`, `f().field because …`. */
static Expr *called_in(Expr *e) {
  while (e) {
    switch (e->kind) {
      case EXPR_CALL:
      case EXPR_START:
      case EXPR_DISPATCH:
      case EXPR_ENQUEUE:
        return e;
      case EXPR_AWAIT:
        if (!e->operand || (e->operand->kind != EXPR_START && e->operand->kind != EXPR_ENQUEUE)) return e;
        e = e->operand;
        break;
      case EXPR_TRY:
      case EXPR_LAMBDA:
        e = e->operand;
        break;
      case EXPR_MEMBER:
      case EXPR_INDEX:
        e = e->left;
        break;
      case EXPR_BINARY:
        e = e->op == BIN_COALESCE ? e->left : NULL;
        break;
      default:
        return NULL;
    }
  }
  return NULL;
}

Expr *ast_because(Build *b, Expr *call, Expr *why) {
  Expr *target = called_in(call);
  if (target) {
    target->because = why;
    hold(b, target, why);
  } else if (call->kind != EXPR_BAD) {
    DIAG_ADD0(b->diags, DIAG_BECAUSE_PLACE, call->span);
  }
  return call;
}

Expr *ast_confirmed(Build *b, Tok word, Expr *value) {
  Expr *callee = ast_name(b, word);
  return call_new(b, callee, ast_arg(b, NULL, value), span_join(word.span, value->span));
}

/* ---- lambdas ---- */

static Field *param_new(Build *b, Name *name, Span span) {
  Field *field = ARENA_NEW(b->arena, Field);
  field->name = name;
  field->span = span;
  return field;
}

static Expr *lambda_new(Build *b, Span from, Field *params, Expr *body) {
  Expr *e = expr_new(b, EXPR_LAMBDA, span_join(from, body->span));
  e->fields = params;
  e->operand = body;
  hold(b, e, body);
  return e;
}

Expr *ast_lambda_name(Build *b, Tok name, Expr *body) {
  return lambda_new(b, name.span, param_new(b, name.name, name.span), body);
}

Expr *ast_lambda(Build *b, Tok open, ExprList params, Expr *body) {
  Field *first = NULL, **end = &first;
  for (Expr *e = params.first; e; e = e->next) {
    if (e->kind != EXPR_NAME || e->parenthesised) {
      DIAG_ADD0(b->diags, DIAG_LAMBDA_PARAMETER, e->span);
      continue;
    }
    *end = param_new(b, e->name, e->span);
    end = &(*end)->next;
  }
  return lambda_new(b, open.span, first, body);
}

Field *ast_var(Build *b, Tok first, const Tok *second) {
  Field *field = param_new(b, first.name, first.span);
  if (second) field->next = param_new(b, second->name, second->span);
  return field;
}

/* ---- expressions that hold blocks ---- */

Expr *ast_parallel_for(Build *b, Tok t, Tok settle, Field *vars, Expr *iter, Expr *limit,
                       Stmt *body) {
  Expr *e = expr_new(b, EXPR_PARALLEL_FOR, span_join(t.span, (limit ? limit : iter)->span));
  e->settle = settle.span.size > 0;
  e->fields = vars;
  e->iter = iter;
  e->high = limit;
  e->body = body;
  hold(b, e, iter);
  hold(b, e, limit);
  return e;
}

/* A statement of a race is a branch of one. */
Expr *ast_race(Build *b, Tok t, Stmt *branches) {
  Expr *e = expr_new(b, EXPR_RACE, t.span);
  Stmt **end = &e->body;
  for (Stmt *s = branches, *next; s; s = next) {
    next = s->next;
    s->next = NULL;
    if (s->kind != STMT_BRANCH) s = ast_branch(b, (Tok){.span = s->span}, s);
    *end = s;
    end = &s->next;
  }
  return e;
}

/* ---- patterns ---- */

static Pattern *pattern_new(Build *b, PatternKind kind, Span span) {
  Pattern *p = ARENA_NEW(b->arena, Pattern);
  p->kind = kind;
  p->span = span;
  return p;
}

Pattern *ast_pattern_value(Build *b, Expr *value) {
  Pattern *p = pattern_new(b, PATTERN_VALUE, value->span);
  p->value = value;
  return p;
}

/* `_` fits anything, a lower-case name binds, an upper-case one is a constant. */
Pattern *ast_pattern_name(Build *b, Tok name) {
  Str text = name.name->text;
  if (str_equal(text, STR("_"))) return pattern_new(b, PATTERN_WILD, name.span);
  size_t first = 0;
  while (first < text.size && text.at[first] == '_') first++;
  bool upper = first < text.size && text.at[first] >= 'A' && text.at[first] <= 'Z';
  if (upper) return ast_pattern_value(b, ast_name(b, name));
  Pattern *p = pattern_new(b, PATTERN_BIND, name.span);
  p->name = name.name;
  return p;
}

Pattern *ast_pattern_record(Build *b, Tok name, PatternList items, Tok close) {
  Pattern *p = pattern_new(b, PATTERN_RECORD, span_join(name.span, close.span));
  p->name = name.name;
  p->items = items.first;
  return p;
}

/* A list has one rest: where the others would begin could not be told. */
Pattern *ast_pattern_list(Build *b, Tok open, PatternList items, Tok close) {
  Pattern *p = pattern_new(b, PATTERN_LIST, span_join(open.span, close.span)), *rest = NULL;
  p->items = items.first;
  for (Pattern *item = items.first; item; item = item->next) {
    if (item->kind != PATTERN_REST) continue;
    if (rest) {
      Diag *diag = DIAG_ADD0(b->diags, DIAG_TWO_RESTS, item->span);
      diag_note(b->diags, diag, rest->span, STR("the first one is here"));
    }
    rest = item;
  }
  return p;
}

Pattern *ast_pattern_map(Build *b, Tok open, PatternList items, Tok close) {
  Pattern *p = pattern_new(b, PATTERN_MAP, span_join(open.span, close.span));
  p->items = items.first;
  return p;
}

Pattern *ast_pattern_field(Build *b, Tok name, Pattern *pattern) {
  (void)b;
  pattern->field = name.name;
  return pattern;
}

Pattern *ast_pattern_key(Build *b, Tok key, Pattern *pattern) {
  pattern->key = literal_text(b, key);
  return pattern;
}

Pattern *ast_pattern_rest(Build *b, Tok dots, const Tok *name) {
  Pattern *p = pattern_new(b, PATTERN_REST, name ? span_join(dots.span, name->span) : dots.span);
  if (name) p->name = name->name;
  return p;
}

Pattern *ast_pattern_or(Build *b, PatternList items) {
  Pattern *p = pattern_new(b, PATTERN_OR, span_join(items.first->span, items.last->span));
  p->items = items.first;
  return p;
}

PatternList ast_patterns(PatternList list, Pattern *pattern) {
  if (!pattern) return list;
  if (list.last) list.last->next = pattern;
  else list.first = pattern;
  list.last = pattern;
  return list;
}
