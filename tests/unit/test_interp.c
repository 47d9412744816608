/* The loop: each group of instructions, faults and handlers, limits, both dispatches. */
#include "asm.h"
#include "test.h"
#include "vm/core/machine.h"
#include "vm/core/heap.h"

typedef struct World {
  Asm *a;
  Program *p;
  Machine *m;
  Fiber *f;
  Err err;
} World;

static uint64_t charged_limit = 1 << 30;

static bool world_begin(World *w, Asm *a, const char *text) {
  *w = (World){.a = a};
  asm_text(a, text);
  if (!program_new(&a->b, &w->p, &w->err)) {
    fprintf(stderr, "refused: %s\n", w->err.text);
    return false;
  }
  w->m = machine_new(w->p);
  w->f = fiber_new(w->m, 0, NULL, 0);
  return true;
}

static void world_end(World *w) {
  machine_free(w->m);
  program_free(w->p);
  asm_free(w->a);
}

/* The printed result of the script, or the error; in both loops the same, ticks included. */
static const char *run_asm(Asm *a, const char *text) {
  static char out[2][600];
  static const char *const ends[] = {"", "fault ", "effect", "parallel", "return", "raise", "slice", "live"};
  World w;
  if (!world_begin(&w, a, text)) return "refused";
  for (int i = 0; i < 2; i++) {
    Machine *m = i ? machine_new(w.p) : w.m;
    Fiber *f = i ? fiber_new(m, 0, NULL, 0) : w.f;
    m->ticks_limit = 1000000;
    m->charged_limit = charged_limit;
    Stop stop = (i ? interp_run_switch : interp_run)(m, f);
    Buf text_ = {.max = 500};
    value_print(m, f->result, false, &text_);
    snprintf(out[i], sizeof out[i], "%s%.*s", ends[stop], (int)text_.size, text_.at ? text_.at : "");
    buf_deinit(&text_);
    if (i) {
      CHECK(m->ticks == w.m->ticks && m->charged == w.m->charged);
      machine_free(m);
    }
  }
  CHECK_STR(str_of(out[1]), str_of(out[0]));
  world_end(&w);
  return out[0];
}
static const char *run_text(const char *text) { return run_asm(asm_new(), text); }

#define RUNS(text, want) CHECK_STR(str_of(run_text(".fn main regs=12 cache=8 flags=4\n" text)), str_of(want))

static void test_arithmetic(void) {
  RUNS("LOADI 0 2\nLOADI 1 3\nADD 0 0 1\nRET 0", "5");
  RUNS("LOADK 0 i4611686018427387903\nADDI 0 0 1\nRET 0", "4611686018427387904");
  RUNS("LOADK 0 i9223372036854775807\nADDI 0 0 1\nRET 0",
       "fault overflow: the result does not fit in a 64-bit int: 9223372036854775807 + 1");
  RUNS("LOADK 0 i9223372036854775807\nLOADI 1 2\nSUB 0 0 1\nRET 0", "9223372036854775805");
  RUNS("LOADI 0 7\nLOADI 1 2\nDIV 0 0 1\nRET 0", "3.5");
  RUNS("LOADI 0 -7\nLOADI 1 2\nIDIV 0 0 1\nRET 0", "-4");
  RUNS("LOADI 0 -7\nLOADI 1 2\nMOD 0 0 1\nRET 0", "1");
  RUNS("LOADI 0 7\nLOADI 1 -2\nMOD 0 0 1\nRET 0", "-1");
  RUNS("LOADI 0 7\nLOADI 1 0\nMOD 0 0 1\nRET 0", "fault divide_by_zero: division by zero: 7 % 0");
  RUNS("LOADK 0 0.1\nLOADK 1 0.2\nADD 0 0 1\nRET 0", "0.30000000000000004");
  RUNS("LOADK 0 1.0\nLOADK 1 1.0\nSUB 0 0 1\nRET 0", "0.0");
  RUNS("LOADK 0 1.5\nLOADI 1 2\nMUL 0 0 1\nRET 0", "3.0");
  RUNS("LOADK 0 5.5\nLOADK 1 -2.0\nMOD 0 0 1\nRET 0", "-0.5");
  RUNS("LOADK 0 \"a\"\nLOADI 1 2\nMUL 0 0 1\nRET 0", "fault type_mismatch: cannot compute string \"a\" * int 2");
  RUNS("LOADI 0 3\nNEG 0 0\nRET 0", "-3");
  RUNS("LOADTRUE 0\nNOT 0 0\nRET 0", "false");
}

static void test_compare(void) {
  RUNS("LOADI 0 2\nLOADK 1 2.0\nEQ 0 0 1\nRET 0", "true");
  RUNS("LOADI 0 2\nLOADK 1 2.5\nLT 0 0 1\nRET 0", "true");
  RUNS("LOADK 0 \"a\"\nLOADK 1 \"b\"\nLE 0 0 1\nRET 0", "true");
  RUNS("LOADK 0 \"a\"\nLOADI 1 1\nLT 0 0 1\nRET 0", "fault type_mismatch: string \"a\" and int 1 have no order");
  RUNS("LOADI 0 5\nJLTI 0 6 @less\nLOADI 0 0\nRET 0\nless:\nLOADI 0 1\nRET 0", "1");
  RUNS("LOADK 0 5.0\nJGEI 0 6 @less\nLOADI 0 0\nRET 0\nless:\nLOADI 0 1\nRET 0", "0");
  RUNS("LOADK 0 \"x\"\nJNEI 0 6 @yes\nLOADI 0 0\nRET 0\nyes:\nLOADI 0 1\nRET 0", "1");
  RUNS("LOADI 0 1\nJT 0 @yes\nyes:\nRET 0", "fault not_a_bool: a condition must be true or false, and this is int 1");
}

static void test_loops(void) {
  RUNS("LOADI 4 0\nLOADI 0 0\nLOADI 1 10\nLOADI 2 1\nFORPREP 0 @end\ntop:\nADD 4 4 3\nFORNEXT 0 @top\nend:\nRET 4", "45");
  RUNS("LOADI 4 0\nLOADI 0 10\nLOADI 1 0\nLOADI 2 -3\nFORPREP 0 @end\ntop:\nADD 4 4 3\nFORNEXT 0 @top\nend:\nRET 4", "22");
  RUNS("LOADI 4 0\nLOADK 0 i9223372036854775805\nLOADK 1 i9223372036854775807\nLOADI 2 1\nFORPREP 0 @end\ntop:\nADDI 4 4 1\n"
       "FORNEXT 0 @top\nend:\nRET 4", "2");
  RUNS("LOADI 4 0\nLOADI 0 0\nLOADI 1 5\nLOADI 2 0\nFORPREP 0 @end\nend:\nRET 4", "fault bad_value: the step of a range cannot be 0");
  RUNS("LOADK 0 \"aé🙂\"\nNEWLIST 5 0 0\nITERPREP 1 0\ntop:\nITERNEXT 1 @end\nPUSH 5 3\nLOOP @top\nend:\nRET 5",
       "[\"a\", \"é\", \"🙂\"]");
  RUNS("LOADK 0 \"aé🙂\"\nNEWLIST 5 0 0\nITERPREP 1 0\ntop:\nITERNEXT2 1 @end\nPUSH 5 3\nPUSH 5 4\nLOOP @top\nend:\nRET 5",
       "[0, \"a\", 1, \"é\", 2, \"🙂\"]");
  RUNS("top:\nLOOP @top", "fault limit_instructions: the run went past its limit of 2000000000 ticks between two effects; is a loop endless?");
}

static void test_containers(void) {
  RUNS("LOADI 0 1\nLOADI 1 2\nNEWLIST 2 0 2\nMOVESH 3 2\nPUSH 3 0\nSETI 2 0 1\nNEWLIST 2 2 2\nRET 2", "[[1, 2], [1, 2, 1]]");
  RUNS("LOADI 0 1\nNEWLIST 0 0 1\nLOADI 1 -1\nGETI 0 0 1\nRET 0", "1");
  RUNS("LOADI 0 1\nNEWLIST 0 0 1\nLOADI 1 3\nGETI 0 0 1\nRET 0", "fault index_out_of_range: index 3 is outside this list of 1");
  RUNS("NEWMAP 0 0\nLOADI 1 5\nSETF 0 1 0 \"color\"\nGETF 2 0 0 \"color\"\nGETF 2 0 0 \"colour\"\nRET 2",
       "fault key_missing: there is no key \"colour\" here; the nearest is \"color\"");
  RUNS("NEWMAP 0 0\nLOADI 1 5\nSETF 0 1 0 \"a\"\nNEWMAP 3 0\nSETF 3 0 1 \"in\"\nMOVESH 4 3\nOWN 3\nOWNF 5 3 2 \"in\"\nLOADI 6 9\n"
       "SETF 5 6 3 \"a\"\nNEWLIST 3 3 2\nRET 3", "[{in: {a: 9}}, {in: {a: 5}}]");
  RUNS("LOADI 0 1\nNEWLIST 0 0 1\nNEWLIST 0 0 1\nMOVESH 1 0\nOWN 0\nLOADI 2 0\nOWNI 3 0 2\nLOADI 4 7\nPUSH 3 4\nNEWLIST 0 0 2\nRET 0",
       "[[[1, 7]], [[1]]]");
  RUNS("LOADK 0 \"héllo\"\nLOADI 1 1\nLOADI 2 3\nSLICE 0 0 1\nRET 0", "él");
  RUNS("LOADI 0 5\nLOADK 1 \" and \"\nLOADK 2 2.5\nCONCAT 0 0 3\nRET 0", "5 and 2.5");
  RUNS("LOADI 0 5\nNEWLIST 1 0 1\nIN 0 0 1\nRET 0", "true");
}

static void test_records(void) {
  Asm *a = asm_new();
  asm_shape(a, "Point", "x y");
  CHECK_STR(str_of(run_asm(a, ".fn main regs=6 cache=4\nLOADI 0 1\nLOADI 1 2\nNEWREC 2 0 0\nMOVESH 3 2\nLOADI 0 5\nSETF 2 0 0 \"x\"\n"
                              "GETF 4 2 1 \"x\"\nGETF 4 2 1 \"x\"\nADDI 4 4 1\nSETSLOT 2 4 1 0\nNEWLIST 2 2 2\nRET 2")),
            STR("[Point(x: 5, y: 6), Point(x: 1, y: 2)]"));
  a = asm_new();
  asm_shape(a, "Point", "x y");
  CHECK_STR(str_of(run_asm(a, ".fn main regs=6 cache=4\nLOADI 0 1\nLOADI 1 2\nNEWREC 2 0 0\nGETF 4 2 1 \"z\"\nRET 2")),
            STR("fault no_such_field: there is no field \"z\" here; the nearest is \"x\""));
}

static void test_calls(void) {
  RUNS("LOADI 0 20\nCALL 0 1 &fib\nRET 0\n.fn fib params=1 regs=4\nJGEI 0 2 @go\nRET 0\ngo:\nADDI 1 0 -1\nCALL 1 1 &fib\nADDI 2 0 -2\n"
       "CALL 2 1 &fib\nADD 0 1 2\nRET 0", "6765");
  RUNS("LOADI 0 1\nCALL 0 1 &two\nRET 0\n.fn two params=2 min=1 regs=4\nJARG 1 @given\nLOADI 1 41\ngiven:\nADD 0 0 1\nRET 0", "42");
  RUNS("LOADI 0 5\nCLOSURE 1 0 1 &add\nLOADI 2 7\nCALLV 1 1\nRET 1\n.fn add params=1 captures=1 regs=3\nADD 0 0 1\nRET 0", "12");
  RUNS("LOADI 0 5\nCLOSURE 1 0 1 &add\nCALLV 1 0\nRET 1\n.fn add params=1 captures=1 regs=3\nADD 0 0 1\nRET 0",
       "fault wrong_arguments: add takes 1 to 1 arguments and was given 0");
  RUNS("LOADI 0 5\nCALLV 0 0\nRET 0", "fault not_a_function: int 5 cannot be called");
  RUNS("CALL 0 0 &deep\nRET 0\n.fn deep regs=4\nCALL 0 0 &deep\nRET 0",
       "fault limit_depth: calls are nested more than 10000 deep; is a recursion endless?");
}

static void test_errors(void) {
  RUNS("a:\nLOADI 0 1\nLOADI 1 0\nMOD 0 0 1\nb:\nRET 0\nc:\nGETF 0 2 0 \"code\"\nRET 0\n.catch a b c 2", "divide_by_zero");
  RUNS("a:\nCALL 0 0 &bad\nb:\nRET 0\nc:\nGETF 0 2 0 \"at\"\nRET 0\n.catch a b c 2\n.fn bad regs=2\nLOADI 0 1\nFAULT 0 18",
       "bad (test.z8:1:1)");
  RUNS("LOADI 5 0\na:\nLOADI 0 1\nLOADI 1 0\nMOD 0 0 1\nb:\nRET 0\nc:\nLOADI 5 3\nRERAISE 2\nd:\nRET 5\n.finally a b c 2\n.catch c d d 2", "3");
}

static void test_ropes(void) {
  RUNS("LOADK 0 \"\"\nLOADK 5 \"0123456789\"\nLOADI 1 0\nLOADI 2 100\nLOADI 3 1\nFORPREP 1 @end\ntop:\nADD 0 0 5\nFORNEXT 1 @top\nend:\n"
       "LOADI 1 995\nGETI 2 0 1\nMOVE 3 0\nEQ 4 0 3\nLOADK 5 \"0\"\nADD 0 5 0\nEQ 5 0 3\nNEWLIST 0 2 4\nLOADNIL 3\nLOADI 1 1\nNEWLIST 2 2 1\nRET 2",
       "[\"5\"]");
  RUNS("LOADK 0 \"x\"\ntop:\nADD 0 0 0\nLOOP @top", "fault limit_size: one value would be larger than the limit of 256 MB");
  charged_limit = 1 << 22;
  RUNS("LOADI 0 1\ntop:\nNEWLIST 1 0 1\nLOOP @top", "fault limit_memory: the run went past its limit of 4 MB of new memory between two deliveries");
}

static void test_effects(void) {
  Asm *a = asm_new();
  asm_site(a, 0, EFFECT_PRINT);
  World w;
  CHECK(world_begin(&w, a, ".fn main regs=6 flags=6\na:\nLOADI 2 5\nLOADI 3 6\nEFFECT 2 2 0 0 0\nADD 2 2 2\nEFFECT 2 1 0 0 0\nb:\nRET 2\nc:\nLOADI 0 99\nRET 0\n"
                           ".catch a b c 1\n.fn body params=1 regs=3\nADDI 0 0 1\nRET 0"));
  CHECK(interp_run(w.m, w.f) == STOP_EFFECT);
  CHECK(w.m->ask.arg_count == 2 && machine_ask_arg(w.m, w.f, 1) == value_small_int(6));
  Value arg = value_small_int(30);
  fiber_call(w.m, w.f, 1, &arg, 1);
  CHECK(machine_ask_arg(w.m, w.f, 0) == value_small_int(5));
  CHECK(interp_run(w.m, w.f) == STOP_RETURN);
  CHECK(w.f->result == value_small_int(31) && w.f->status == FIBER_BLOCKED);
  fiber_answer(w.m, w.f, value_small_int(4));
  CHECK(interp_run(w.m, w.f) == STOP_EFFECT);
  CHECK(machine_ask_arg(w.m, w.f, 0) == value_small_int(8));
  fiber_raise(w.m, w.f, error_new(w.m, w.f, STR("boom"), STR("it broke"), VALUE_NIL, true));
  CHECK(interp_run(w.m, w.f) == STOP_DONE);
  CHECK(w.f->result == value_small_int(99));
  world_end(&w);
}

static void test_slices(void) {
  World w;
  CHECK(world_begin(&w, asm_new(), ".fn main regs=8\nLOADI 4 0\nLOADI 0 0\nLOADI 1 1000\nLOADI 2 1\nFORPREP 0 @end\ntop:\nADD 4 4 3\nFORNEXT 0 @top\nend:\nRET 4"));
  uint32_t slices = 0;
  for (w.m->slice_end = 1; interp_run(w.m, w.f) == STOP_SLICE; w.m->slice_end = w.m->ticks + 1) slices++;
  CHECK(slices == 999 && w.f->result == value_small_int(499500));
  world_end(&w);
}

int main(void) {
  RUN_TEST(test_arithmetic);
  RUN_TEST(test_compare);
  RUN_TEST(test_loops);
  RUN_TEST(test_containers);
  RUN_TEST(test_records);
  RUN_TEST(test_calls);
  RUN_TEST(test_errors);
  RUN_TEST(test_ropes);
  RUN_TEST(test_effects);
  RUN_TEST(test_slices);
  return TEST_END();
}
