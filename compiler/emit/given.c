/* A test's own statements. given, when, stub and calls ask the test's world; `then`
** compares with what the last `when` gave, `expect` with what the program says.
**
** What is not as expected raises "expectation_failed": the message shows both sides,
** data is {expected, got}, for whoever shows the difference in another way. */
#include "compiler/emit/emitter.h"

enum { SOURCE_MAX = 160 };

/* ---- asking ---- */

static void test_ask(Body *b, const char *which, uint8_t base, uint32_t count, Span span) {
  uint32_t name = const_text(b->e, str_of(which));
  effect_ask(b, EFFECT_TEST, name, name, base, count, NULL, span);
}

/* A list of the events in the arguments, however many there are. */
static void events_to(Body *b, Arg *args, uint8_t list) {
  emit(b, OP_NEWLIST, list, 0, 0);
  for (; args != NULL; args = args->next) {
    uint16_t mark = b->next;
    uint8_t event = reg_take(b);
    construct_partial(b, args->value, event);
    emit(b, OP_PUSH, list, event, 0);
    regs_release(b, mark);
  }
}

static void given_stmt(Body *b, Stmt *s) {
  uint8_t base = regs_take(b, 2);
  load_text(b, base, s->name->text);
  events_to(b, s->args, (uint8_t)(base + 1));
  test_ask(b, "given", base, 2, s->span);
}

static void when_stmt(Body *b, Stmt *s) {
  uint8_t base = reg_take(b);
  construct_partial(b, s->value, base);
  test_ask(b, "when", base, 1, s->span);
  if (b->fn->outcome != NULL) emit(b, OP_MOVE, var_read(b, b->fn->outcome), base, 0);
}

/* What a model or a person answers: one list, made by the checker. */
static void stub_answers(Body *b, Stmt *s) {
  bool model = s->test == STUB_MODEL;
  uint8_t base = reg_take(b);
  if (model) load_text(b, base, s->name->text);
  uint8_t list = model ? reg_take(b) : base;
  expr_to(b, s->value, list, USE_OWN);
  test_ask(b, model ? "stub model" : "stub approve", base, model ? 2 : 1, s->span);
}

static void stub_stmt(Body *b, Stmt *s) {
  if (s->test != STUB_TOOL) {
    stub_answers(b, s);
    return;
  }
  uint8_t base = regs_take(b, 2), list = (uint8_t)(base + 1);
  load_text(b, base, s->name->text);
  emit(b, OP_NEWLIST, list, 0, 0);
  for (Arg *arg = s->args; arg != NULL; arg = arg->next) {
    uint8_t pair = regs_take(b, 2);
    load_int(b, pair, arg->stub);
    if (arg->stub == STUB_LOST || arg->value == NULL) emit(b, OP_LOADNIL, pair + 1u, 0, 0);
    else expr_to(b, arg->value, (uint8_t)(pair + 1), USE_OWN);
    emit(b, OP_NEWLIST, pair, pair, 2);
    emit(b, OP_PUSH, list, pair, 0);
    regs_release(b, pair);
  }
  test_ask(b, "stub", base, 2, s->span);
}

void calls_to(Body *b, Expr *e, uint8_t base) {
  uint32_t count = args_to(b, e->args, USE_OWN);
  test_ask(b, e->op ? "calls model" : "calls", base, count, e->span);
}

/* ---- what was not as expected ---- */

/* The words between and before the two values. */
typedef struct Sides {
  const char *expected, *got;
} Sides;
static const Sides plain_sides = {": expected ", ", and got "};
static const Sides refused_sides = {": expected ", ", and it was refused: "};
static const Sides accepted_sides = {": expected a refusal, ", ", and it was accepted: "};
static const Sides compared_sides = {": it is false: the left side is ", ", the right side is "};

static void shown(Body *b, uint8_t target, uint8_t value) {
  emit(b, OP_MOVE, target, value, 0);
  native_call(b, NATIVE_core_repr, target, 1);
}

/* Raises. `what` is a register with a text. The values have a second home in the error from here on. */
static void fail(Body *b, uint8_t what, const Sides *sides, uint8_t expected, uint8_t got) {
  uint16_t mark = b->next;
  uint8_t base = regs_take(b, 3), text = regs_take(b, 5);
  emit(b, OP_SHARE, expected, 0, 0);
  emit(b, OP_SHARE, got, 0, 0);
  load_text(b, base, str_of(fault_info[FAULT_EXPECT].code));
  emit(b, OP_MOVE, text, what, 0);
  load_text(b, (uint8_t)(text + 1), str_of(sides->expected));
  shown(b, (uint8_t)(text + 2), expected);
  load_text(b, (uint8_t)(text + 3), str_of(sides->got));
  shown(b, (uint8_t)(text + 4), got);
  emit(b, OP_CONCAT, base + 1u, text, 5);
  emit(b, OP_NEWMAP, base + 2u, 2, 0);
  field_set(b, (uint8_t)(base + 2), const_text(b->e, STR("expected")), expected);
  field_set(b, (uint8_t)(base + 2), const_text(b->e, STR("got")), got);
  native_call(b, NATIVE_error_make, base, 3);
  emit(b, OP_RAISE, base, 0, 0);
  regs_release(b, mark);
}

static void fail_text(Body *b, Str what, const Sides *sides, uint8_t expected, uint8_t got) {
  uint8_t reg = reg_take(b);
  load_text(b, reg, what);
  fail(b, reg, sides, expected, got);
}

/* ---- then ---- */

static uint8_t part_get(Body *b, uint8_t map, const char *name) {
  uint8_t reg = reg_take(b);
  field_get(b, reg, map, const_text(b->e, str_of(name)));
  return reg;
}

static void same_or_fail(Body *b, Str what, uint8_t expected, uint8_t got) {
  Label same = {0};
  uint16_t mark = b->next;
  jump_to(b, OP_JEQ, expected, got, &same);
  fail_text(b, what, &plain_sides, expected, got);
  regs_release(b, mark);
  label_here(b, &same);
}

static Expr *named_part(const Stmt *s, const char *name) {
  for (const Arg *arg = s->args; arg != NULL; arg = arg->next) {
    if (arg->name != NULL && str_equal(arg->name->text, str_of(name))) return arg->value;
  }
  return NULL;
}

/* Only what the test names is compared. */
static void refusal_part(Body *b, const char *what, const char *name, Expr *value, uint8_t refusal) {
  uint16_t mark = b->next;
  if (value == NULL) return;
  uint8_t expected = reg_take(b);
  expr_to(b, value, expected, USE_OWN);
  same_or_fail(b, str_of(what), expected, part_get(b, refusal, name));
  regs_release(b, mark);
}

static void then_reject(Body *b, Stmt *s, uint8_t outcome, uint8_t refusal) {
  Label refused = {0};
  uint16_t mark = b->next;
  uint8_t code = reg_take(b);
  expr_to(b, s->value, code, USE_OWN);
  jump_to(b, OP_JNOTNIL, refusal, 0, &refused);
  fail_text(b, STR("the command"), &accepted_sides, code, part_get(b, outcome, "events"));
  label_here(b, &refused);
  regs_release(b, code + 1u);
  same_or_fail(b, STR("the refusal's code"), code, part_get(b, refusal, "code"));
  refusal_part(b, "the refusal's message", "message", named_part(s, "message"), refusal);
  refusal_part(b, "the refusal's data", "data", named_part(s, "data"), refusal);
  regs_release(b, mark);
}

/* Only the entries of `expected` are compared. */
static void then_state(Body *b, uint8_t outcome, uint8_t expected) {
  Label over = {0}, same = {0};
  uint8_t state = part_get(b, outcome, "state"), walk = regs_take(b, 4), got = reg_take(b);
  uint8_t key = (uint8_t)(walk + 2), value = (uint8_t)(walk + 3), what = regs_take(b, 2);
  emit(b, OP_ITERPREP, walk, expected, 0);
  uint32_t top = code_here(b);
  jump_to(b, OP_ITERNEXT2, walk, 0, &over);
  emit(b, OP_GETI, got, state, key);
  jump_to(b, OP_JEQ, value, got, &same);
  load_text(b, what, STR("state."));
  emit(b, OP_MOVE, what + 1u, key, 0);
  emit(b, OP_CONCAT, what, what, 2);
  fail(b, what, &plain_sides, value, got);
  label_here(b, &same);
  jump_back(b, OP_LOOP, 0, top);
  label_here(b, &over);
}

/* What the test names, as one value beside the same part of the outcome. */
static void then_expected(Body *b, Stmt *s, uint8_t target) {
  if (s->test == THEN_EVENTS) events_to(b, s->args, target);
  else if (s->test == THEN_NOTHING) emit(b, OP_NEWLIST, target, 0, 0);
  else expr_to(b, s->value, target, USE_OWN);
}

static void then_stmt(Body *b, Stmt *s) {
  Label accepted = {0};
  if (b->fn->outcome == NULL) return; /* without a `when`: refused by the checker */
  uint8_t outcome = var_read(b, b->fn->outcome), refusal = part_get(b, outcome, "rejection");
  if (s->test == THEN_REJECT) {
    then_reject(b, s, outcome, refusal);
    return;
  }
  uint8_t expected = reg_take(b);
  then_expected(b, s, expected);
  if (s->test == THEN_STATE) { /* of a refusal, too: the unchanged one */
    then_state(b, outcome, expected);
    return;
  }
  jump_to(b, OP_JNIL, refusal, 0, &accepted);
  fail_text(b, STR("the command"), &refused_sides, expected, refusal);
  label_here(b, &accepted);
  if (s->test == THEN_REPLY)
    same_or_fail(b, STR("the reply"), expected, part_get(b, outcome, "reply"));
  else
    same_or_fail(b, STR("the events"), expected, part_get(b, outcome, "events"));
}

/* ---- expect ---- */

static bool is_comparison(const Expr *e) {
  return e->kind == EXPR_BINARY && e->op >= BIN_EQ && e->op <= BIN_NOT_IN;
}

/* The first line of the condition as it is written. */
static Str source_of(const Body *b, Span span) {
  Str text = span_text(b, span);
  const char *end = text.size > 0 ? memchr(text.at, '\n', text.size) : NULL;
  if (end != NULL) text.size = (size_t)(end - text.at);
  if (text.size > SOURCE_MAX) {
    text.size = SOURCE_MAX;
    while (text.size > 0 && ((uint8_t)text.at[text.size] & 0xc0) == 0x80) text.size--;
  }
  return text;
}

/* "why (source)", or the source alone. */
static void expect_what(Body *b, Stmt *s, uint8_t what) {
  uint16_t mark = b->next;
  Str source = source_of(b, s->cond->span);
  if (s->value == NULL) {
    load_text(b, what, source);
    return;
  }
  uint8_t parts = regs_take(b, 4);
  expr_to(b, s->value, parts, USE_BORROW);
  load_text(b, (uint8_t)(parts + 1), STR(" ("));
  load_text(b, (uint8_t)(parts + 2), source);
  load_text(b, (uint8_t)(parts + 3), STR(")"));
  emit(b, OP_CONCAT, what, parts, 4);
  regs_release(b, mark);
}

static void expect_comparison(Body *b, Stmt *s) {
  Label holds = {0};
  Expr *cond = s->cond;
  uint8_t left = reg_take(b), right = reg_take(b), answer = reg_take(b);
  expr_to(b, cond->left, left, USE_OWN);
  expr_to(b, cond->right, right, USE_OWN);
  place_at(b, cond->span);
  binary_regs(b, (BinaryOp)cond->op, answer, left, right);
  jump_to(b, OP_JT, answer, 0, &holds);
  expect_what(b, s, answer);
  if (cond->op == BIN_EQ) fail(b, answer, &plain_sides, right, left);
  else fail(b, answer, &compared_sides, left, right);
  label_here(b, &holds);
}

static void expect_stmt(Body *b, Stmt *s) {
  Label holds = {0};
  if (is_comparison(s->cond)) {
    expect_comparison(b, s);
    return;
  }
  cond_jump(b, s->cond, true, &holds);
  uint8_t what = regs_take(b, 2);
  expect_what(b, s, what);
  load_text(b, (uint8_t)(what + 1), STR(": it is false"));
  emit(b, OP_CONCAT, what, what, 2);
  emit(b, OP_FAULT, what, FAULT_EXPECT, 0);
  label_here(b, &holds);
}

/* ---- all ---- */

void test_stmt(Body *b, Stmt *s) {
  uint16_t mark = b->next;
  if (s->kind == STMT_GIVEN) given_stmt(b, s);
  else if (s->kind == STMT_WHEN) when_stmt(b, s);
  else if (s->kind == STMT_THEN) then_stmt(b, s);
  else if (s->kind == STMT_STUB) stub_stmt(b, s);
  else expect_stmt(b, s);
  regs_release(b, mark);
}
