/* A bank account as a bundle of hand-written code: what the decider's tests and benchmark run. */
#ifndef Z8_TEST_DECIDER_PROGRAM_H
#define Z8_TEST_DECIDER_PROGRAM_H

#include "asm.h"
#include "vm/core/machine.h"

enum {
  STATE, OPEN, DEPOSIT, WITHDRAW, SPIN, ODD, NOTE, OPENED, DEPOSITED, WITHDRAWN, SPUN, NOTED, RECEIPT, MOVED, ADDRESS
};

/* state: id 0, balance 1, notes 2 */
static const char account_text[] =
    ".fn main regs=1\n RETNIL\n"
    /* constructors */
    ".fn Account.state params=3 min=0 regs=8\n LOADNIL 3\n LOADI 4 0\n NEWLIST 5 0 0\n NEWREC 3 3 0\n RET 3\n"
    ".fn Open params=1 regs=2\n SHARE 0\n NEWREC 1 0 1\n RET 1\n"
    ".fn Deposit params=2 min=2 regs=4\n JGTI 1 0 @ok\n LOADK 2 \"amount does not satisfy: amount > 0\"\n"
    " FAULT 2 14\nok:\n NEWREC 2 0 2\n RET 2\n"
    ".fn Withdraw params=3 min=2 regs=4\n JARG 2 @given\n LOADK 2 \"cash\"\ngiven:\n NEWREC 3 0 3\n RET 3\n"
    ".fn Spin params=1 regs=3\n NEWREC 1 0 4\n RET 1\n"
    ".fn Odd params=1 regs=3\n NEWREC 1 0 5\n RET 1\n"
    ".fn Note params=2 min=1 regs=4\n JARG 1 @given\n LOADNIL 1\ngiven:\n SHARE 0\n SHARE 1\n NEWREC 2 0 6\n RET 2\n"
    ".fn Opened params=1 regs=2\n NEWREC 1 0 7\n RET 1\n"
    ".fn Deposited params=1 regs=2\n NEWREC 1 0 8\n RET 1\n"
    ".fn Withdrawn params=1 regs=2\n NEWREC 1 0 9\n RET 1\n"
    ".fn Spun params=1 regs=2\n NEWREC 1 0 10\n RET 1\n"
    ".fn Noted params=1 regs=2\n NEWREC 1 0 11\n RET 1\n"
    ".fn Receipt params=2 min=1 regs=4\n JARG 1 @given\n LOADI 1 5\ngiven:\n NEWREC 2 0 12\n RET 2\n"
    ".fn Moved params=2 regs=3 min=1\n JARG 1 @given\n LOADNIL 1\ngiven:\n NEWREC 2 0 13\n RET 2\n"
    ".fn Address params=2 regs=3\n NEWREC 2 0 14\n RET 2\n"
    /* Moved: 1 -> 2 renames `to` into `place`; 2 -> 3 adds `at` */
    ".fn up1 params=1 regs=5 cache=2\n GETF 1 0 0 \"to\"\n NEWMAP 2 1\n LOADK 3 \"place\"\n SETI 2 3 1\n RET 2\n"
    ".fn up2 params=1 regs=5 cache=2\n GETF 1 0 0 \"place\"\n NEWMAP 2 2\n LOADK 3 \"place\"\n SETI 2 3 1\n"
    " LOADK 3 \"at\"\n LOADI 4 7\n SETI 2 3 4\n RET 2\n"
    /* decide */
    ".fn d_open params=3 regs=6\n GETSLOT 3 1 0 1\n SHARE 3\n NEWREC 3 3 7\n CALLN 3 1 !decide.emit\n"
    " LOADK 3 \"opened\"\n"
    " CALLN 3 1 !decide.reply\n RETNIL\n"
    ".fn g_open params=3 regs=6\n GETSLOT 3 0 0 0\n JNIL 3 @yes\n LOADFALSE 3\n RET 3\nyes:\n LOADTRUE 3\n RET 3\n"
    ".fn d_deposit params=3 regs=6\n GETSLOT 3 1 1 2\n NEWREC 3 3 8\n CALLN 3 1 !decide.emit\n RETNIL\n"
    ".fn g_withdraw params=3 regs=6\n GETSLOT 3 1 1 3\n GETSLOT 4 0 1 0\n LT 3 4 3\n RET 3\n"
    ".fn d_refuse params=3 regs=8\n LOADK 3 \"insufficient_funds\"\n LOADNIL 4\n NEWMAP 5 1\n LOADK 6 \"short\"\n"
    " GETSLOT 7 1 1 3\n SETI 5 6 7\n CALLN 3 3 !decide.reject\n RETNIL\n"
    ".fn d_withdraw params=3 regs=8\n GETSLOT 3 1 1 3\n MOVE 4 3\n NEWREC 3 3 9\n CALLN 3 1 !decide.emit\n"
    " LOADI 5 5\n NEWREC 3 4 12\n NEWMAP 4 1\n LOADK 5 \"priority\"\n LOADI 6 1\n"
    " SETI 4 5 6\n CALLN 3 2 !decide.enqueue\n RETNIL\n"
    /* Spin: n ticks, then an event; below 0: without end; 5: the evolve faults after a change */
    ".fn d_spin params=3 regs=8\n GETSLOT 3 1 0 4\nagain:\n JEQI 3 0 @over\n ADDI 3 3 -1\n LOOP @again\nover:\n"
    " GETSLOT 3 1 0 4\n NEWREC 3 3 10\n CALLN 3 1 !decide.emit\n RETNIL\n"
    /* Odd: its guard is `1 + "x"` */
    ".fn g_odd params=3 regs=6\n LOADI 3 1\n LOADK 4 \"x\"\n ADD 3 3 4\n RET 3\n"
    ".fn d_odd params=3 regs=6\n RETNIL\n"
    /* other bodies for Odd, which tests put in its place */
    ".fn d_flood params=3 regs=8\n GETSLOT 3 1 0 5\nagain:\n MOVE 4 3\n NEWREC 4 4 8\n CALLN 4 1 !decide.emit\n"
    " ADDI 3 3 -1\n JEQI 3 0 @over\n LOOP @again\nover:\n RETNIL\n"
    ".fn d_bomb params=3 regs=8\n LOADI 3 1\n NEWLIST 3 3 1\nagain:\n SHARE 3\n ADD 3 3 3\n LOOP @again\n"
    ".fn d_raise params=3 regs=8\n LOADK 3 \"too_late\"\n LOADK 4 \"it is over\"\n GETSLOT 5 1 0 5\n"
    " CALLN 3 3 !error.make\n RAISE 3\n"
    ".fn d_reply params=3 regs=8\n CLOSURE 3 0 0 &main\n CALLN 3 1 !decide.reply\n RETNIL\n"
    ".fn d_keep params=3 regs=8\n CLOSURE 3 0 0 &main\n NEWREC 3 3 11\n CALLN 3 1 !decide.emit\n RETNIL\n"
    ".fn d_note params=3 regs=6\n GETSLOT 3 1 0 6\n SHARE 3\n NEWREC 3 3 11\n CALLN 3 1 !decide.emit\n RETNIL\n"
    /* evolve */
    ".fn e_opened params=3 regs=6\n GETSLOT 3 1 0 7\n SETSLOT 0 3 0 0\n RET 0\n"
    ".fn e_deposited params=3 regs=6\n GETSLOT 3 1 0 8\n GETSLOT 4 0 1 0\n ADD 4 4 3\n SETSLOT 0 4 1 0\n RET 0\n"
    ".fn e_withdrawn params=3 regs=6\n GETSLOT 3 1 0 9\n GETSLOT 4 0 1 0\n SUB 4 4 3\n SETSLOT 0 4 1 0\n RET 0\n"
    ".fn e_spun params=3 regs=6\n GETSLOT 3 1 0 10\n LOADI 4 99\n SETSLOT 0 4 1 0\n JNEI 3 5 @fine\n LOADK 4 \"x\"\n"
    " ADD 3 3 4\nfine:\n RET 0\n"
    ".fn e_noted params=3 regs=6 cache=2\n OWN 0\n OWNF 3 0 0 \"notes\"\n GETSLOT 4 1 0 11\n SHARE 4\n PUSH 3 4\n"
    " SETSLOT 0 3 2 0\n RET 0\n"
    ".fn e_moved params=3 regs=6 cache=2\n GETF 3 1 0 \"place\"\n SETSLOT 0 3 0 0\n GETF 3 2 1 \"by\"\n"
    " SETSLOT 0 3 1 0\n RET 0\n"
    /* invariants, view, before */
    ".fn i_below params=1 regs=3\n GETSLOT 1 0 1 0\n LOADI 2 0\n LE 1 2 1\n RET 1\n"
    ".fn i_much params=1 regs=3\n GETSLOT 1 0 1 0\n LOADI 2 1000\n LE 1 1 2\n RET 1\n"
    ".fn v_over params=2 regs=4\n GETSLOT 2 0 1 0\n LT 2 1 2\n RET 2\n"
    ".fn b_check params=2 regs=6\n GETSLOT 2 0 0 2\n LOADK 3 \"blocked\"\n JNE 2 3 @fine\n LOADK 2 \"forbidden\"\n"
    " LOADK 3 \"not you\"\n"
    " CALLN 2 2 !error.make\n RAISE 2\nfine:\n RETNIL\n";

typedef struct Account {
  Asm *a;
  Program *program;
  BundleClause clauses[16];
  BundleInvariant invariants[2];
  BundleView views[1];
  BundleAgent agents[1];
  BundleRoute routes[1];
  BundleWorker workers[1];
} Account;

static inline uint32_t account_fn(const Account *t, const char *name) {
  for (uint32_t i = 0; i < t->a->b.fn_count; i++) {
    if (str_equal(bundle_text(&t->a->b, t->a->fns[i].name), str_of(name))) return i;
  }
  fprintf(stderr, "no function %s\n", name);
  abort();
}

static inline void account_shape(Account *t, const char *name, const char *fields, ShapeKind kind) {
  t->a->shapes[asm_shape(t->a, name, fields)].kind = (uint8_t)kind;
}

static inline void account_clause(Account *t, uint32_t shape, const char *guard, const char *fn, bool meta) {
  Bundle *b = &t->a->b;
  uint32_t test = guard ? account_fn(t, guard) : NONE_INDEX;
  t->clauses[b->clause_count++] = (BundleClause){shape, test, account_fn(t, fn), meta};
}

static inline void account_fields(Account *t) {
  Asm *a = t->a;
  uint32_t any = 0, integer = asm_type(a, TYPE_INT), text = asm_type(a, TYPE_STRING);
  uint32_t record = asm_type(a, TYPE_RECORD), nil = asm_type(a, TYPE_NIL);
  uint32_t maybe = asm_type(a, TYPE_UNION), decimal = asm_type(a, TYPE_DECIMAL);
  a->types[record].shape = ADDRESS;
  a->types[maybe].members = (Range32){a->b.index_count, 2};
  a->indexes[a->b.index_count++] = record, a->indexes[a->b.index_count++] = nil;
#define FIELD(shape, n) a->fields[a->shapes[shape].fields.first + (n)]
  for (uint32_t i = 0; i < 3; i++) FIELD(STATE, i).optional = 1;
  FIELD(OPEN, 0).type = text, FIELD(DEPOSIT, 0).type = text, FIELD(DEPOSIT, 1).type = integer;
  FIELD(WITHDRAW, 1).type = integer, FIELD(WITHDRAW, 2).type = text, FIELD(WITHDRAW, 2).optional = 1;
  FIELD(SPIN, 0).type = integer, FIELD(RECEIPT, 1).optional = 1;
  FIELD(NOTE, 1).type = maybe, FIELD(NOTE, 1).optional = 1;
  FIELD(NOTE, 0).type = any, FIELD(MOVED, 1).optional = 1;
  FIELD(ADDRESS, 0).type = text, FIELD(ADDRESS, 1).type = decimal;
#undef FIELD
}

static inline void account_shapes(Account *t) {
  account_shape(t, "Account.state", "id balance notes", SHAPE_STATE);
  account_shape(t, "Open", "account_id", SHAPE_COMMAND);
  account_shape(t, "Deposit", "account_id amount", SHAPE_COMMAND);
  account_shape(t, "Withdraw", "account_id amount how", SHAPE_COMMAND);
  account_shape(t, "Spin", "n", SHAPE_COMMAND);
  account_shape(t, "Odd", "n", SHAPE_COMMAND);
  account_shape(t, "Note", "note address", SHAPE_COMMAND);
  account_shape(t, "Opened", "account_id", SHAPE_EVENT);
  account_shape(t, "Deposited", "amount", SHAPE_EVENT);
  account_shape(t, "Withdrawn", "amount", SHAPE_EVENT);
  account_shape(t, "Spun", "n", SHAPE_EVENT);
  account_shape(t, "Noted", "note", SHAPE_EVENT);
  account_shape(t, "Receipt", "amount copies", SHAPE_JOB);
  account_shape(t, "Moved", "place at", SHAPE_EVENT);
  account_shape(t, "Address", "street number", SHAPE_TYPE);
  account_fields(t);
}

static inline void account_agent(Account *t) {
  Bundle *b = &t->a->b;
  b->clauses = t->clauses, b->agents = t->agents, b->invariants = t->invariants, b->views = t->views;
  b->routes = t->routes, b->workers = t->workers;
  account_clause(t, OPEN, "g_open", "d_open", false);
  account_clause(t, DEPOSIT, NULL, "d_deposit", false);
  account_clause(t, WITHDRAW, "g_withdraw", "d_refuse", false);
  account_clause(t, WITHDRAW, NULL, "d_withdraw", false);
  account_clause(t, SPIN, NULL, "d_spin", false);
  account_clause(t, ODD, "g_odd", "d_odd", false);
  account_clause(t, NOTE, NULL, "d_note", false);
  uint32_t decides = b->clause_count;
  account_clause(t, OPENED, NULL, "e_opened", false);
  account_clause(t, DEPOSITED, NULL, "e_deposited", false);
  account_clause(t, WITHDRAWN, NULL, "e_withdrawn", false);
  account_clause(t, SPUN, NULL, "e_spun", false);
  account_clause(t, NOTED, NULL, "e_noted", false);
  account_clause(t, MOVED, NULL, "e_moved", true);
  t->invariants[0] = (BundleInvariant){account_fn(t, "i_below"), asm_string(t->a, "never below zero", 16)};
  t->invariants[1] = (BundleInvariant){account_fn(t, "i_much"), NONE_INDEX};
  t->views[0] = (BundleView){asm_string(t->a, "over", 4), account_fn(t, "v_over")};
  b->invariant_count = 2, b->view_count = 1, b->agent_count = 1;
  t->agents[0] = (BundleAgent){.name = asm_string(t->a, "Account", 7), .doc = NONE_INDEX, .state = STATE,
                               .decides = {0, decides}, .evolves = {decides, b->clause_count - decides},
                               .invariants = {0, 2}, .views = {0, 1}, .code = NONE_INDEX};
}

static inline void account_router(Account *t) {
  Bundle *b = &t->a->b;
  t->routes[0] = (BundleRoute){.command = DEPOSIT, .field = asm_string(t->a, "account_id", 10),
                               .prefix = asm_string(t->a, "a-", 2), .before = {b->index_count, 1}};
  t->a->indexes[b->index_count++] = account_fn(t, "b_check");
  t->workers[0] = (BundleWorker){.name = asm_string(t->a, "Receipt", 7), .shape = RECEIPT,
                                 .fn = account_fn(t, "b_check"), .queue = asm_string(t->a, "default", 7),
                                 .unique = {b->index_count, 1},
                                 .attempts = {.max_attempts = 1, .unless = NONE_INDEX}};
  t->a->indexes[b->index_count++] = asm_string(t->a, "amount", 6);
  b->route_count = b->worker_count = 1;
}

static inline Account *account_new(void) {
  Account *t = mem_alloc(sizeof *t);
  Err err = {0};
  t->a = asm_new();
  account_shapes(t);
  asm_text(t->a, account_text);
  for (uint32_t i = 0; i < t->a->b.shape_count; i++) {
    Str name = bundle_text(&t->a->b, t->a->shapes[i].name);
    char text[40];
    snprintf(text, sizeof text, STR_FMT, STR_ARG(name));
    t->a->shapes[i].constructor = account_fn(t, text);
    t->a->fns[account_fn(t, text)].kind = FNKIND_CONSTRUCTOR;
  }
  t->a->shapes[MOVED].version = 3;
  t->a->shapes[MOVED].upcasts = (Range32){t->a->b.index_count, 2};
  t->a->indexes[t->a->b.index_count++] = account_fn(t, "up1");
  t->a->indexes[t->a->b.index_count++] = account_fn(t, "up2");
  account_agent(t);
  account_router(t);
  if (!program_new(&t->a->b, &t->program, &err)) {
    fprintf(stderr, "the account's program: %s\n", err.text);
    abort();
  }
  return t;
}

static inline void account_free(Account *t) {
  program_free(t->program);
  asm_free(t->a);
  mem_free(t);
}
#endif
