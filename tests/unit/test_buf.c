/* Buffers, arenas, arrays that grow, errors, and files with the directory's lock. */
#include "test.h"
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "vm/base/arena.h"
#include "vm/base/buf.h"
#include "vm/base/err.h"
#include "vm/base/file.h"
#include "vm/base/mem.h"

static void growing(void) {
  Buf b = {0};
  for (int i = 0; i < 10000; i++) buf_byte(&b, (uint8_t)i);
  CHECK(b.size == 10000 && (uint8_t)b.at[9999] == (uint8_t)9999 && !b.full);
  buf_clear(&b);
  buf_str(&b, STR("ab"));
  buf_text(&b, "cd");
  buf_format(&b, "%d-%s", 12, "x");
  buf_str(&b, (Str){0});
  CHECK_STR(buf_view(&b), STR("abcd12-x"));
  char *room = buf_more(&b, 3);
  memcpy(room, "yz!", 3);
  CHECK(b.size == 8);
  b.size += 3;
  CHECK_STR(buf_view(&b), STR("abcd12-xyz!"));
  buf_clear(&b);
  buf_format(&b, "%0500d", 7); /* past the small space on the stack */
  CHECK(b.size == 500 && b.at[499] == '7' && b.at[0] == '0');
  buf_deinit(&b);
  CHECK(!b.at && !b.size);
}

static void filling(void) {
  Buf b = {.max = 10};
  buf_text(&b, "12345678");
  buf_text(&b, "abc");
  CHECK(b.full && b.size == 8);
  buf_text(&b, "x"); /* would fit, but the text already has a hole */
  CHECK(b.full && b.size == 8 && !buf_more(&b, 1));
  buf_clear(&b);
  buf_text(&b, "1234567890");
  CHECK(!b.full && b.size == 10);
  buf_byte(&b, 'x');
  CHECK(b.full && b.size == 10);
  buf_deinit(&b);
  CHECK(b.max == 10);
  CHECK(!buf_more(&b, SIZE_MAX) && b.full);
}

static void arenas(void) {
  Arena a;
  arena_init(&a);
  void *nothing = arena_alloc(&a, 0);
  CHECK(nothing);
  for (size_t i = 1; i < 3000; i += 7) {
    uint8_t *p = arena_alloc(&a, i);
    CHECK(((uintptr_t)p & 15) == 0 && p[0] == 0 && p[i - 1] == 0);
    memset(p, 0xff, i);
  }
  int64_t *many = ARENA_ARRAY(&a, int64_t, 1000000), *one = ARENA_NEW(&a, int64_t);
  CHECK(many[0] == 0 && many[999999] == 0 && *one == 0 && a.total > 8000000);
  Str copy = arena_str(&a, STR("text"));
  CHECK_STR(copy, STR("text"));
  CHECK(copy.at[4] == 0 && arena_str(&a, (Str){0}).size == 0);
  arena_deinit(&a);
  CHECK(a.total == 0 && !a.chunks);
}

static void arrays(void) {
  uint32_t cap = 0, *items = NULL;
  for (uint32_t i = 0; i < 1000; i++) {
    items = mem_grow(items, &cap, i + 1, sizeof *items);
    CHECK(items[i] == 0);
    items[i] = i;
  }
  CHECK(cap >= 1000 && items[0] == 0 && items[999] == 999);
  CHECK(mem_grow(items, &cap, 10, sizeof *items) == items);
  mem_free(items);
  mem_free(NULL);
}

static void errors(void) {
  Err err = {0};
  FAIL(&err, ERR_IO, "disk %d", 3);
  err_context(&err, "run %s", "a");
  CHECK(err.code == ERR_IO && strcmp(err.text, "run a: disk 3") == 0 && err.line > 0 && strstr(err.file, "test_buf.c"));
  FAIL(&err, ERR_FULL, "again: %s", err.text); /* its own text as an argument */
  CHECK(strcmp(err.text, "again: run a: disk 3") == 0);
  for (int i = 0; i < 200; i++) err_context(&err, "outer %d", i);
  CHECK(strlen(err.text) < sizeof err.text && strncmp(err.text, "outer 199: outer 198: ", 22) == 0);
  FAIL((Err *)NULL, ERR_IO, "nobody asks");
}

static char folder[] = "/tmp/z8_test_XXXXXX";

static const char *path_of(Buf *b, const char *name) {
  buf_clear(b);
  buf_format(b, "%s/%s", folder, name);
  buf_byte(b, 0);
  return b->at;
}

static void files(void) {
  Buf path = {0}, data = {0}, big = {0};
  Err err = {0};
  CHECK(dir_make(path_of(&path, "a/b/c"), &err) && dir_make(path.at, &err));
  CHECK(file_write(path_of(&path, "a/b/c/f"), STR("one"), &err) && file_write(path.at, STR("two"), &err));
  CHECK(file_read(path.at, 100, &data, &err));
  CHECK_STR(buf_view(&data), STR("two"));
  CHECK(file_read(path.at, 3, &data, &err)); /* appends, and may be just as large as allowed */
  CHECK_STR(buf_view(&data), STR("twotwo"));
  CHECK(!file_read(path.at, 2, &data, &err) && err.code == ERR_LIMIT);
  CHECK(!file_read(path_of(&path, "none"), 9, &data, &err) && err.code == ERR_NOT_FOUND && strstr(err.text, "none"));
  CHECK(!file_read(path_of(&path, "a"), 9, &data, &err) && err.code == ERR_INVALID);
  CHECK(!file_write(path_of(&path, "no/such/f"), STR(""), &err) && err.code == ERR_NOT_FOUND);
  CHECK(!dir_make(path_of(&path, "a/b/c/f/d"), &err));
  for (int i = 0; i < 300000; i++) buf_byte(&big, (uint8_t)i);
  buf_clear(&data);
  CHECK(file_write(path_of(&path, "big"), buf_view(&big), &err) && file_read(path.at, 1 << 20, &data, &err));
  CHECK_STR(buf_view(&data), buf_view(&big));
  Buf tight = {.max = 300000};
  CHECK(file_read(path.at, 1 << 20, &tight, &err) && tight.size == 300000 && !tight.full);
  buf_deinit(&tight);
  buf_deinit(&path);
  buf_deinit(&data);
  buf_deinit(&big);
}

/* A child holds the lock until told; the parent is refused with its pid, and gets it when the child dies. */
static void locking(void) {
  Buf path = {0};
  Err err = {0};
  int fd = -1, ready[2];
  const char *lock = path_of(&path, "lock");
  CHECK(pipe(ready) == 0);
  pid_t child = fork();
  if (child == 0) {
    char byte = lock_take(lock, &fd, &err) ? 'y' : 'n';
    _exit(write(ready[1], &byte, 1) == 1 ? (pause(), 0) : 1);
  }
  char byte = 0, want[80];
  CHECK(read(ready[0], &byte, 1) == 1 && byte == 'y');
  CHECK(!lock_take(lock, &fd, &err) && err.code == ERR_BUSY);
  snprintf(want, sizeof want, "is in use by process %ld", (long)child);
  CHECK(strstr(err.text, want) && strstr(err.text, lock));
  kill(child, 9);
  CHECK(waitpid(child, NULL, 0) == child);
  CHECK(lock_take(lock, &fd, &err));
  int second = -1;
  CHECK(!lock_take(lock, &second, &err) && err.code == ERR_BUSY); /* within one process too */
  lock_release(fd);
  CHECK(lock_take(lock, &fd, &err));
  lock_release(fd);
  close(ready[0]);
  close(ready[1]);
  buf_deinit(&path);
}

static void time_and_chance(void) {
  uint8_t a[32] = {0}, b[32] = {0};
  random_bytes(a, sizeof a);
  random_bytes(b, sizeof b);
  CHECK(memcmp(a, b, sizeof a) != 0);
  int64_t before = clock_monotonic_us();
  CHECK(clock_now_us() > 1600000000000000 && clock_monotonic_us() >= before);
}

int main(void) {
  if (!mkdtemp(folder)) return 1;
  RUN_TEST(growing);
  RUN_TEST(filling);
  RUN_TEST(arenas);
  RUN_TEST(arrays);
  RUN_TEST(errors);
  RUN_TEST(files);
  RUN_TEST(locking);
  RUN_TEST(time_and_chance);
  char command[64];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  return system(command) != 0 || TEST_END();
}
