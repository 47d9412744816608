/* The verifier: one refusal after another, and what must pass. */
#include "asm.h"
#include "test.h"
#include "vm/core/verify.h"

static Err err;

static bool passes_with(Asm *a, const char *text) {
  err = (Err){0};
  bool ok = verify_bundle(asm_text(a, text), &err);
  asm_free(a);
  return ok;
}
static bool passes(const char *text) { return passes_with(asm_new(), text); }
static bool refused(const char *text, const char *why) {
  bool ok = passes(text);
  if (!ok && strstr(err.text, why)) return true;
  fprintf(stderr, "said: %s\n", ok ? "(passed)" : err.text);
  return false;
}

static void test_operands(void) {
  CHECK(refused(".fn main regs=2\nLOADI 2 0\nRET 0", "a register is not there"));
  CHECK(refused(".fn main regs=2\nLOADK 0 999\nRET 0", "no such constant"));
  CHECK(refused(".fn main regs=2\nLOADKX 0 999\nRET 0", "no such constant"));
  CHECK(refused(".fn main regs=4\nLOADI 0 1\nLOADI 1 1\nNEWLIST 0 0 9\nRET 0",
                "a register is not there"));
  CHECK(refused(".fn main regs=3\nLOADI 0 1\nLOADI 1 1\nLOADI 2 1\nFORPREP 0 @e\ne:\nRETNIL",
                "a register is not there"));
  CHECK(refused(".fn main regs=3\nLOADI 0 1\nITERPREP 0 0\nt:\nITERNEXT 0 @e\nLOOP @t\ne:\nRETNIL",
                "a register is not there"));
  CHECK(refused(".fn main regs=2\nLOADI 0 1\nGETF 0 0 0 \"x\"\nRET 0", "no such cache slot"));
  CHECK(refused(".fn main regs=2 cache=1\nLOADI 0 1\nGETF 0 0 0 0.5\nRET 0",
                "a name is not a string"));
  CHECK(refused(".fn main regs=2\nLOADI 0 1\nCHECK 0 7\nRET 0", "no such type"));
  CHECK(refused(".fn main regs=2\nLOADI 0 1\nNEWREC 0 0 7\nRET 0", "no such shape"));
  CHECK(refused(".fn main regs=2\nCONFIG 0 0\nRET 0", "no such config"));
  CHECK(refused(".fn main regs=2\nLOADI 0 1\nFAULT 0 200", "no such fault"));
  CHECK(refused(".fn main regs=2\nCALLN 0 0 99999\nRET 0", "no such native"));
  CHECK(refused(".fn main regs=2 flags=4\nLOADI 0 1\nCALLM 0 0 0 \"x\"\nRET 0",
                "a method without a receiver"));
  Asm *a = asm_new();
  asm_shape(a, "P", "x y");
  CHECK(!passes_with(a, ".fn main regs=2\nLOADI 0 1\nNEWREC 0 0 0\nRET 0") &&
        strstr(err.text, "read before"));
  a = asm_new();
  asm_shape(a, "P", "x y");
  CHECK(!passes_with(a, ".fn main regs=2\nLOADI 0 1\nGETSLOT 0 0 2 0\nRET 0") &&
        strstr(err.text, "no such field"));
  a = asm_new();
  asm_text(a, ".fn main regs=2\nRETNIL");
  a->code[0] |= 1 << 8;
  CHECK(!verify_bundle(&a->b, &err) && strstr(err.text, "unused"));
  a->code[0] = 250;
  CHECK(!verify_bundle(&a->b, &err) && strstr(err.text, "no such instruction"));
  asm_free(a);
}

static void test_jumps(void) {
  CHECK(refused(".fn main regs=2\nJMP 5\nRETNIL", "a jump leaves the function"));
  CHECK(refused(".fn main regs=2\nLOOP -9\nRETNIL", "a jump leaves the function"));
  CHECK(refused(".fn main regs=2\nLOADI 0 1\nt:\nJMP @t", "counts no tick"));
  CHECK(refused(".fn main regs=2\nLOADTRUE 0\nt:\nJT 0 @t\nRETNIL", "counts no tick"));
  CHECK(refused(".fn main regs=2\nJMP 1\nLOADKX 0 0\nRETNIL", "a jump into an instruction"));
  CHECK(refused(".fn main regs=2\nLOADI 0 1", "the code runs past its end"));
  CHECK(refused(".fn main regs=2\nLOADTRUE 0\nJT 0 0", "a jump leaves the function"));
  CHECK(passes(".fn main regs=2\nt:\nLOOP @t"));
  Asm *a = asm_new();
  asm_text(a, ".fn main regs=2\nLOADKX 0 0\nRETNIL");
  a->fns[0].code_count = 1;
  CHECK(!verify_bundle(&a->b, &err) && strstr(err.text, "cut short"));
  asm_free(a);
}

static void test_defined(void) {
  CHECK(refused(".fn main regs=2\nRET 1", "read before it is written"));
  CHECK(refused(".fn main regs=3\nLOADTRUE 0\nJT 0 @a\nLOADI 1 1\na:\nRET 1",
                "read before it is written"));
  CHECK(
      passes(".fn main regs=3\nLOADTRUE 0\nJT 0 @a\nLOADI 1 1\nJMP @b\na:\nLOADI 1 2\nb:\nRET 1"));
  CHECK(passes(".fn main regs=3 flags=4\nRET 1"));
  CHECK(refused(
      ".fn main regs=5\nLOADI 0 1\nLOADI 1 1\nLOADI 2 1\nFORPREP 0 @e\nt:\nFORNEXT 0 @t\ne:\nRET 3",
      "read before"));
  CHECK(
      passes(".fn main regs=5\nLOADI 0 1\nLOADI 1 1\nLOADI 2 1\nFORPREP 0 @e\nt:\nMOVE 4 "
             "3\nFORNEXT 0 @t\ne:\nRET 2"));
  CHECK(refused(".fn main regs=4\na:\nLOADI 0 1\nLOADI 1 1\nb:\nRET 1\nc:\nRET 1\n.catch a b c 2",
                "read before"));
  CHECK(passes(".fn main regs=4\nLOADI 1 1\na:\nLOADI 0 1\nb:\nRET 1\nc:\nRET 1\n.catch a b c 2"));
  CHECK(passes(".fn main regs=4\na:\nLOADI 0 1\nb:\nRET 0\nc:\nRET 2\n.catch a b c 2"));
  CHECK(refused(".fn main regs=4\nLOADI 0 1\nCALL 0 2 &f\nRET 0\n.fn f params=2 regs=2\nRET 1",
                "read before"));
}

static void test_functions(void) {
  CHECK(refused(".fn main regs=2\nCALL 0 0 77\nRET 0", "no such function"));
  CHECK(refused(".fn main regs=2\nCALL 0 0 &f\nRET 0\n.fn f params=1 regs=1\nRET 0",
                "wrong number of arguments"));
  CHECK(refused(".fn main regs=2\nCALL 0 0 &f\nRET 0\n.fn f captures=1 regs=1\nRET 0",
                "without its values"));
  CHECK(refused(".fn main regs=2\nCLOSURE 0 0 0 &f\nRET 0\n.fn f captures=1 regs=1\nRET 0",
                "wrong number of values"));
  CHECK(refused(".fn main regs=2\nLOADI 0 1\nCALLV 0 0\nRET 0", "not filled"));
  CHECK(refused(".fn main regs=2\nCALL 0 0 &f\nRET 0\n.fn f regs=1 flags=6\nRET 0",
                "from one without"));
  CHECK(refused(".fn main regs=2 flags=3\nRETNIL", "a pure function with effects"));
  CHECK(refused(".fn main regs=2 flags=2\nRETNIL", "whose frame is not filled"));
  CHECK(refused(".fn main regs=2\nPARALLEL 0 1 0\nRET 0", "branches"));
  CHECK(refused(".fn main params=1 regs=2\nRET 0", "its script"));
}

static void test_effects(void) {
  Asm *a = asm_new();
  asm_site(a, 0, EFFECT_NOW);
  CHECK(!passes_with(a, ".fn main regs=2\nEFFECT 0 0 0 0 0\nRET 0") &&
        strstr(err.text, "declares none"));
  CHECK(refused(".fn main regs=2 flags=6\nEFFECT 0 0 0 0 0\nRET 0", "site"));
  a = asm_new();
  asm_site(a, 1, EFFECT_NOW);
  CHECK(!passes_with(a, ".fn main regs=2 flags=6\nEFFECT 0 0 0 0 0\nRET 0\n.fn f regs=1\nRETNIL") &&
        strstr(err.text, "belongs elsewhere"));
  a = asm_new();
  asm_site(a, 0, EFFECT_TOOL);
  CHECK(!passes_with(a, ".fn main regs=2 flags=6\nEFFECT 0 0 0 0 0\nRET 0") &&
        strstr(err.text, "no such tool"));
  a = asm_new();
  asm_site(a, 0, EFFECT_SIGNAL_WAIT);
  CHECK(!passes_with(a, ".fn main regs=2 flags=6\nEFFECT 0 0 0 0 77\nRET 0") &&
        strstr(err.text, "not a string"));
  a = asm_new();
  asm_site(a, 0, EFFECT_NOW);
  CHECK(!passes_with(a, ".fn main regs=2 flags=6\nEFFECT 0 0 1 0 0\nRET 0") &&
        strstr(err.text, "because"));
}

static void test_handlers(void) {
  Asm *a = asm_new();
  asm_text(a, ".fn main regs=2\na:\nLOADKX 0 0\nb:\nRET 0\nc:\nRET 1\n.catch a b c 1");
  CHECK(verify_bundle(&a->b, &err));
  a->handlers[0].target = 1;
  CHECK(!verify_bundle(&a->b, &err) && strstr(err.text, "jump into"));
  a->handlers[0].target = 9;
  CHECK(!verify_bundle(&a->b, &err) && strstr(err.text, "leaves the function"));
  a->handlers[0].target = 3;
  a->handlers[0].end = 1;
  CHECK(!verify_bundle(&a->b, &err) && strstr(err.text, "cuts an instruction"));
  a->handlers[0].end = 2;
  a->handlers[0].reg = 2;
  CHECK(!verify_bundle(&a->b, &err));
  asm_free(a);
}

typedef struct Tables { /* one of each table of an application */
  BundleClause clauses[3];
  BundleView view;
  BundleInvariant invariant;
  BundleAgent agent;
  BundleRoute route;
  BundleSubscriber handler;
  BundleWorker worker;
  BundleCron cron;
  BundleTest test;
} Tables;

/* Functions by number: 1 constructor, 2 of (state, message, meta), 3 of (state), 4 of (event, meta), 5 of nothing. */
static Asm *application(Tables *t) {
  Asm *a = asm_new();
  asm_shape(a, "A.state", "n");
  asm_text(a,
           ".fn main regs=1\nRETNIL\n.fn make params=1 min=0 regs=1\nRETNIL\n"
           ".fn three params=3 regs=3\nRET 0\n.fn one params=1 regs=1\nRET 0\n"
           ".fn two params=2 regs=2\nRET 0\n.fn none regs=1\nRETNIL\n"
           ".fn acts params=3 regs=3 flags=6\nRET 0\n.fn acts1 params=1 regs=1 flags=6\nRET 0");
  a->shapes[0].constructor = 1;
  BundleAttempts once = {.max_attempts = 1, .unless = NONE_INDEX};
  *t = (Tables){.clauses = {{.guard = 2, .fn = 2}, {.guard = NONE_INDEX, .fn = 2}, {.guard = NONE_INDEX, .fn = 4}},
                .view = {.fn = 3},
                .invariant = {.fn = 3, .message = NONE_INDEX},
                .agent = {.decides = {0, 1}, .evolves = {1, 1}, .views = {0, 1}, .invariants = {0, 1}},
                .route = {.before = {0, 1}},
                .handler = {.concurrency = 1, .clauses = {2, 1}, .attempts = once},
                .worker = {.fn = 4, .attempts = once},
                .cron = {.fn = 5},
                .test = {.fn = 5}};
  a->indexes[0] = 4;
  a->b.index_count = 1;
  a->b.clauses = t->clauses, a->b.clause_count = 3, a->b.views = &t->view, a->b.view_count = 1;
  a->b.invariants = &t->invariant, a->b.invariant_count = 1, a->b.agents = &t->agent, a->b.agent_count = 1;
  a->b.routes = &t->route, a->b.route_count = 1, a->b.subscribers = &t->handler, a->b.subscriber_count = 1;
  a->b.workers = &t->worker, a->b.worker_count = 1, a->b.crons = &t->cron, a->b.cron_count = 1;
  a->b.tests = &t->test, a->b.test_count = 1;
  return a;
}

static void test_application(void) {
  Tables t;
  Asm *a = application(&t);
  CHECK(verify_bundle(&a->b, &err));
  struct {
    uint32_t *place;
    uint32_t value;
    const char *says;
  } wrong[] = {{&t.clauses[0].fn, 3, "a clause's function takes something else"},
               {&t.clauses[0].fn, 6, "a clause's function has effects"},
               {&t.clauses[0].guard, 6, "a guard is no pure function"},
               {&t.clauses[1].fn, 6, "a clause's function has effects"},
               {&t.clauses[2].fn, 2, "handler 0: a clause's function"},
               {&t.view.fn, 7, "a view is no pure function"},
               {&t.view.fn, 5, "a view is no pure function"},
               {&t.invariant.fn, 7, "an invariant is no pure function"},
               {&t.invariant.fn, 4, "an invariant is no pure function"},
               {&a->indexes[0], 2, "what runs before"},
               {&a->indexes[0], 7, "what runs before"},
               {&a->shapes[0].constructor, 3, "cannot be made of nothing"},
               {&t.handler.attempts.unless, 7, "handler 0: unless"},
               {&t.worker.attempts.unless, 4, "worker 0: unless"},
               {&t.worker.fn, 3, "worker 0"},
               {&t.cron.fn, 3, "cron 0"},
               {&t.test.fn, 3, "test 0"}};
  for (size_t i = 0; i < COUNT_OF(wrong); i++) {
    uint32_t kept = *wrong[i].place;
    *wrong[i].place = wrong[i].value;
    CHECK(!verify_bundle(&a->b, &err) && strstr(err.text, wrong[i].says) != NULL);
    if (strstr(err.text, wrong[i].says) == NULL) fprintf(stderr, "%zu: %s\n", i, err.text);
    *wrong[i].place = kept;
  }
  CHECK(verify_bundle(&a->b, &err));
  asm_free(a);
}

/* An effect of the application says its name and takes its operands. */
static bool passes_effect(EffectKind kind, const char *text) {
  Asm *a = asm_new();
  asm_site(a, 0, kind);
  return passes_with(a, text);
}

static void test_application_effects(void) {
  static const char two[] = ".fn main regs=2 flags=6\nEFFECT 0 2 0 0 \"x\"\nRET 0";
  static const char one[] = ".fn main regs=2 flags=6\nEFFECT 0 1 0 0 \"x\"\nRET 0";
  static const char none[] = ".fn main regs=2 flags=6\nEFFECT 0 0 0 0 \"x\"\nRET 0";
  static const char nameless[] = ".fn main regs=2 flags=6\nEFFECT 0 2 0 0 0.5\nRET 0";
  CHECK(passes_effect(EFFECT_DISPATCH, two) && passes_effect(EFFECT_ENQUEUE, two));
  CHECK(!passes_effect(EFFECT_DISPATCH, one) && strstr(err.text, "number of operands"));
  CHECK(!passes_effect(EFFECT_ENQUEUE, one) && !passes_effect(EFFECT_SNOOZE, two));
  CHECK(!passes_effect(EFFECT_DISPATCH, nameless) && strstr(err.text, "not a string"));
  CHECK(passes_effect(EFFECT_VIEW, one) && passes_effect(EFFECT_VIEW, two));
  CHECK(!passes_effect(EFFECT_VIEW, none) && !passes_effect(EFFECT_TEST, none));
  CHECK(!passes_effect(EFFECT_TEST, nameless) && !passes_effect(EFFECT_STUB, nameless));
  CHECK(passes_effect(EFFECT_SNOOZE, one) && passes_effect(EFFECT_GIVE_UP, one));
  CHECK(!passes_effect(EFFECT_GIVE_UP, none));
}

int main(void) {
  RUN_TEST(test_operands);
  RUN_TEST(test_jumps);
  RUN_TEST(test_defined);
  RUN_TEST(test_functions);
  RUN_TEST(test_effects);
  RUN_TEST(test_handlers);
  RUN_TEST(test_application);
  RUN_TEST(test_application_effects);
  return TEST_END();
}
