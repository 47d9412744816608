/* What is emitted for the shapes of code that have to be fast: counted in the disassembly. */
#include "test.h"

#include "compiler/compile.h"
#include "vm/core/verify.h"

static bool read_program(void *context, Str path, Arena *arena, Str *text, Err *err) {
  (void)path, (void)arena, (void)err;
  *text = str_of(context);
  return true;
}

/* The disassembly of the function called `f`, without its head. Empty if the program is wrong. */
static char code[20000];

static void emitted(const char *program) {
  Arena arena;
  Compilation c;
  Buf out = {0};
  Err err = {0};
  char source[4000];
  code[0] = 0;
  snprintf(source, sizeof source, "%s", program);
  arena_init(&arena);
  if (compile(&arena, STR("f.z8"), (SourceReader){read_program, source}, (CompileOptions){0}, &c)) {
    CHECK(verify_bundle(&c.bundle, &err));
    bundle_dump(&c.bundle, &out);
    buf_byte(&out, 0);
    const char *start = strstr(out.at, "\nfn f(");
    const char *end = start != NULL ? strstr(start + 1, "\n\n") : NULL;
    if (start != NULL)
      snprintf(code, sizeof code, "%.*s", end != NULL ? (int)(end - start) : 20000, start);
  } else {
    diag_render(&c.diags, false, &out);
    fprintf(stderr, "%.*s\n", (int)out.size, out.at);
  }
  buf_deinit(&out);
  arena_deinit(&arena);
}

static int count(const char *word) {
  int n = 0;
  for (const char *at = code; (at = strstr(at, word)) != NULL; at++) n++;
  return n;
}

static int instructions(void) {
  int n = 0;
  for (const char *at = code; (at = strchr(at, '\n')) != NULL; at++) {
    n += strncmp(at, "\n     ", 6) == 0 && strstr(at, "  ") != NULL && at[9] != '|' &&
         at[8] >= '0' && at[8] <= '9';
  }
  return n;
}

static void test_sum_is_one_instruction(void) {
  emitted("fn f(a: int, b: int):\n  x = a\n  x = a + b\n  x += 1\n  return x\nprint(f(1, 2))\n");
  CHECK(count(" ADD ") == 1 && count(" ADDI ") == 1 && count(" MOVE ") == 1);
  CHECK(count(" CHECK ") == 0); /* only called by name, with ints */
  CHECK(instructions() == 4);
}

static void test_unsure_arguments_are_checked(void) {
  emitted("fn f(a: int): return a\nfn g(x): return f(x)\nprint(g(1))\n");
  CHECK(count(" CHECK ") == 1);
  emitted("fn f(a: int): return a\nh = f\nprint(h(1))\n");
  CHECK(count(" CHECK ") == 1);
}

static void test_recursion(void) {
  emitted(
      "fn f(n: int) -> int:\n  if n < 2: return n\n  return f(n - 1) + f(n - 2)\nprint(f(9))\n");
  CHECK(count(" CHECK ") == 0 && count(" MOVE") == 0 && count(" JGEI ") == 1 &&
        instructions() == 8);
}

static void test_element_update(void) {
  emitted(
      "fn f(n: int):\n  a = [0]\n  for i in range(n): a[i] = a[i] + 1\n  return a\nprint(f(1))\n");
  CHECK(count(" GETI ") == 1 && count(" ADDI ") == 1 && count(" SETI ") == 1 &&
        count(" FORNEXT ") == 1);
  CHECK(count(" MOVESH ") == 0 && count(" OWN") == 0 && count(" LOOP ") == 0);
}

static void test_record_slots(void) {
  emitted(
      "type P: x: int, y: int\nfn f(n: int):\n  p = P(x: 1, y: n)\n  p.x += p.y\n  return "
      "p.x\nprint(f(2))\n");
  CHECK(count(" NEWREC ") == 1 && count(" GETSLOT ") == 3 && count(" SETSLOT ") == 1 &&
        count(" CALL ") == 0);
}

static void test_literals_held_in_loops(void) {
  emitted(
      "fn f(n: int):\n  t = 0.0\n  for i in range(n): t = t * 0.5 + 0.25\n  return "
      "t\nprint(f(1))\n");
  const char *top = strstr(code, "FORPREP");
  CHECK(top != NULL && strstr(top, "LOADK") == NULL);
}

static void test_borrowed_parts(void) {
  const char *start =
      "type P: x: int\nfn f(ps: list[P]):\n  t = 0\n  for i in range(1):\n    p = ps[i]\n";
  char program[400];
  snprintf(program, sizeof program,
           "%s    t += p.x\n    ps[i].x = 5\n  return t\nprint(f([P(x: 1)]))\n", start);
  emitted(program);
  CHECK(count(" SHARE ") == 1); /* the parameter, once */
  snprintf(program, sizeof program,
           "%s    ps[i].x = 5\n    t += p.x\n  return t\nprint(f([P(x: 1)]))\n", start);
  emitted(program);
  CHECK(count(" SHARE ") == 2); /* p is read after the update */
}

static void test_run_of_updates_owns_once(void) {
  emitted(
      "fn f(n: int):\n  a = [{x: 0, y: 0}]\n  a[n].x = n + 1\n  a[n].y = n + 2\n  return "
      "a\nprint(f(0))\n");
  CHECK(count(" OWNI ") == 1 && count(" SETF ") == 4);
}

int main(void) {
  RUN_TEST(test_sum_is_one_instruction);
  RUN_TEST(test_unsure_arguments_are_checked);
  RUN_TEST(test_recursion);
  RUN_TEST(test_element_update);
  RUN_TEST(test_record_slots);
  RUN_TEST(test_literals_held_in_loops);
  RUN_TEST(test_borrowed_parts);
  RUN_TEST(test_run_of_updates_owns_once);
  return TEST_END();
}
