/* Bundles: round trip, every truncation refused, damaged bytes never accepted as something else. */
#include "test.h"

#include "compiler/compile.h"
#include "vm/base/hash.h"
#include "vm/bundle/bundle.h"

/* A program with something of every pool. */
static const char program[] =
    "config bank: string = \"http://127.0.0.1:1\"\n"
    "const RATE = 0.25\n"
    "type Point: x: int where x >= 0, y: int = 2\n"
    "command Pay(amount: decimal where amount > 0.0d, mode: \"fast\" | \"slow\")\n"
    "event Paid version 2 as \"bank.paid\" (amount: int, note: string?)\n"
    "upcast Paid from 1 (old): return {amount: old.amount, note: nil}\n"
    "extern \"libm.so.6\":\n"
    "  fn cbrt(x: float) -> float\n"
    "## Moves money.\n"
    "tool Wire(account: string, amount: int) -> { id: string }:\n"
    "  effect irreversible\n"
    "  timeout 30s\n"
    "  max_attempts 5 backoff 1s..5m unless e.code in [\"declined\"]\n"
    "  limit \"bank\" 10 per 1s\n"
    "  perform:\n"
    "    r = http.post(\"${bank}/wires\", json: {account, amount}, headers: {\"Idempotency-Key\": "
    "key})\n"
    "    return {id: r.json.id}\n"
    "  check:\n"
    "    r = http.get(\"${bank}/wires/${key}\")\n"
    "    if r.status is 404: return absent\n"
    "    return confirmed {id: r.json.id}\n"
    "workflow Day(n: int):\n"
    "  done = 0\n"
    "  if patched(\"v2\"): sleep 5s\n"
    "  for i in range(n):\n"
    "    Wire(account: \"a\", amount: i) because \"due\"\n"
    "    done += 1\n"
    "  return done\n"
    "  query progress(): return done\n"
    "fn any_len(x): return x.len()\n"
    "p = Point(x: 1)\n"
    "try: p.x = any_len(\"abc\")\n"
    "catch e: print(e.message, RATE, 1h, Pay(amount: 1.5d, mode: \"fast\"))\n"
    "finally: print(cbrt(8.0), Paid(amount: 1))\n"
    "run = start Day(2)\n"
    "print(await(run), p.y)\n";

static bool read_program(void *context, Str path, Arena *arena, Str *text, Err *err) {
  (void)context, (void)path, (void)arena, (void)err;
  *text = (Str){program, sizeof program - 1};
  return true;
}

static Arena sample_arena;
static Buf sample; /* its bytes */

static bool sample_make(void) {
  Compilation c;
  arena_init(&sample_arena);
  bool good = compile(&sample_arena, STR("sample.z8"), (SourceReader){read_program, NULL},
                      (CompileOptions){0}, &c);
  if (good) {
    bundle_write(&c.bundle, &sample);
    return true;
  }
  Buf text = {0};
  diag_render(&c.diags, false, &text);
  fprintf(stderr, "%.*s\n", (int)text.size, text.at);
  buf_deinit(&text);
  return false;
}

static bool reads(Str bytes, Err *err) {
  Arena arena;
  Bundle bundle;
  arena_init(&arena);
  bool good = bundle_read(bytes, &arena, &bundle, err);
  if (good) { /* what was read is written back the same */
    Buf again = {0};
    bundle_write(&bundle, &again);
    CHECK(str_equal(buf_view(&again), bytes));
    buf_deinit(&again);
  }
  arena_deinit(&arena);
  return good;
}

static void test_round_trip(void) {
  Arena arena;
  Bundle bundle;
  Err err = {0};
  arena_init(&arena);
  CHECK(bundle_read(buf_view(&sample), &arena, &bundle, &err));
  CHECK_STR(bundle_text(&bundle, bundle.name), STR("sample.z8"));
  Hash256 hash = sha256(buf_view(&sample));
  CHECK(memcmp(&hash, &bundle.id, sizeof hash) == 0);
  CHECK(bundle.tool_count == 1 && bundle.workflow_count == 1 && bundle.query_count == 1);
  CHECK(bundle.shape_count == 3 && bundle.config_count == 1 && bundle.extern_count == 1);
  CHECK(bundle.patch_count == 1 && bundle.method_count > 0 && bundle.handler_count > 0);
  CHECK((uintptr_t)bundle.code % 4 == 0);
  arena_deinit(&arena);
  CHECK(reads(buf_view(&sample), &err));
}

static void test_lines(void) {
  Arena arena;
  Bundle bundle;
  Err err = {0};
  arena_init(&arena);
  CHECK(bundle_read(buf_view(&sample), &arena, &bundle, &err));
  const BundleFn *script = &bundle.fns[bundle.script];
  uint32_t last = 0;
  for (uint32_t pc = 0; pc < script->code_count; pc++) {
    BundleLine line = bundle_line(&bundle, script, pc);
    CHECK(line.line > 0 && line.column > 0 && line.line <= 40);
    last = line.line;
  }
  CHECK(last > 30);
  arena_deinit(&arena);
}

static void test_dump(void) {
  Arena arena;
  Bundle bundle;
  Err err = {0};
  Buf out = {0};
  arena_init(&arena);
  CHECK(bundle_read(buf_view(&sample), &arena, &bundle, &err));
  bundle_dump(&bundle, &out);
  buf_byte(&out, 0);
  CHECK(strstr(out.at, "perform Wire.perform(account: string, amount: int, key: string)") != NULL);
  CHECK(strstr(out.at, "for i in range(n):") != NULL);
  CHECK(strstr(out.at, "EFFECT") != NULL && strstr(out.at, "under v2") != NULL);
  CHECK(strstr(out.at, "-> L") != NULL && strstr(out.at, "finally [") != NULL);
  buf_deinit(&out);
  arena_deinit(&arena);
}

static void test_truncations(void) {
  for (size_t size = 0; size < sample.size; size++) {
    Err err = {0};
    CHECK(!reads((Str){sample.at, size}, &err));
    CHECK(err.code == ERR_CORRUPT && err.text[0] != 0);
  }
}

static void test_longer(void) {
  Err err = {0};
  Buf longer = {0};
  buf_str(&longer, buf_view(&sample));
  buf_byte(&longer, 0);
  CHECK(!reads(buf_view(&longer), &err));
  buf_deinit(&longer);
}

/* Each flipped byte gives an error or another bundle, whose own bytes these are. */
static void test_flips(void) {
  uint64_t seed = 88172645463325252u;
  for (int round = 0; round < 6000; round++) {
    Buf damaged = {0};
    buf_str(&damaged, buf_view(&sample));
    for (int flip = 0; flip <= round % 3; flip++) {
      seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
      damaged.at[seed % damaged.size] ^= (char)(1u << (seed >> 40) % 8);
    }
    Err err = {0};
    if (!reads(buf_view(&damaged), &err)) CHECK(err.code == ERR_CORRUPT);
    buf_deinit(&damaged);
  }
}

static void test_huge_counts(void) {
  for (size_t at = 8; at < 8 + 4 * 20; at += 4) {
    Buf damaged = {0};
    Err err = {0};
    buf_str(&damaged, buf_view(&sample));
    memset(damaged.at + at, 0xff, 4);
    CHECK(!reads(buf_view(&damaged), &err));
    buf_deinit(&damaged);
  }
}

int main(void) {
  if (!sample_make()) return 1;
  RUN_TEST(test_round_trip);
  RUN_TEST(test_lines);
  RUN_TEST(test_dump);
  RUN_TEST(test_truncations);
  RUN_TEST(test_longer);
  RUN_TEST(test_flips);
  RUN_TEST(test_huge_counts);
  buf_deinit(&sample);
  arena_deinit(&sample_arena);
  return TEST_END();
}
