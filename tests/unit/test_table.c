/* The hash table against a plain list, in order, with removals and many keys. */
#include "test.h"
#include <stdio.h>
#include "vm/base/table.h"

static int marks[4];

static void few(void) {
  Table *t = table_new();
  CHECK(!table_get(t, STR("a")) && table_count(t) == 0);
  table_set(t, STR("a"), &marks[0]);
  table_set(t, STR(""), &marks[1]);
  table_set(t, STR("a key longer than the sixteen bytes kept inside"), &marks[2]);
  table_set(t, STR("a"), &marks[3]); /* replaced in place */
  CHECK(table_get(t, STR("a")) == &marks[3] && table_get(t, STR("")) == &marks[1]);
  CHECK(table_get(t, STR("a key longer than the sixteen bytes kept inside")) == &marks[2]);
  CHECK(!table_get(t, STR("b")) && !table_get(t, STR("a\0")) && table_count(t) == 3);
  CHECK(table_get(t, (Str){0}) == &marks[1]);
  table_set(t, STR("a"), NULL);
  table_set(t, STR("never there"), NULL);
  CHECK(!table_get(t, STR("a")) && table_count(t) == 2);
  table_free(t);
  table_free(NULL);
}

static void order(void) {
  Table *t = table_new();
  char keys[] = "fedcba";
  uint32_t at = 0;
  Str key;
  void *value;
  for (size_t i = 0; i < 6; i++) table_set(t, (Str){&keys[i], 1}, &keys[i]);
  table_set(t, STR("d"), NULL);
  table_set(t, STR("d"), &marks[0]); /* comes last now */
  char seen[8] = {0};
  for (size_t n = 0; table_next(t, &at, &key, &value); n++) {
    seen[n] = key.at[0];
    if (key.at[0] == 'e') table_set(t, key, NULL); /* what the walk stands on may go */
  }
  CHECK(strcmp(seen, "fecbad") == 0 && table_count(t) == 5);
  table_free(t);
}

enum { MANY = 20000 };

static void many(void) {
  Table *t = table_new();
  static int values[MANY];
  for (uint64_t i = 0; i < MANY; i++) table_set(t, table_key64(&i), &values[i]);
  for (uint64_t i = 0; i < MANY; i += 2) table_set(t, table_key64(&i), NULL);
  CHECK(table_count(t) == MANY / 2);
  bool right = true;
  for (uint64_t i = 0; i < MANY; i++) right &= table_get(t, table_key64(&i)) == (i % 2 ? &values[i] : NULL);
  CHECK(right);
  for (int round = 0; round < 50; round++) { /* the gaps are used again: it does not grow for ever */
    for (uint64_t i = 0; i < 1000; i++) table_set(t, table_key64(&(uint64_t){i * 2}), &values[i]);
    for (uint64_t i = 0; i < 1000; i++) table_set(t, table_key64(&(uint64_t){i * 2}), NULL);
  }
  CHECK(table_count(t) == MANY / 2);
  uint32_t at = 0;
  uint64_t expected = 1, key;
  Str bytes;
  while (table_next(t, &at, &bytes, NULL)) {
    memcpy(&key, bytes.at, sizeof key);
    right &= key == expected;
    expected += 2;
  }
  CHECK(right && expected == MANY + 1);
  table_free(t);
}

static void long_keys(void) {
  Table *t = table_new();
  char key[64];
  for (int i = 0; i < 500; i++) {
    int size = snprintf(key, sizeof key, "the same beginning of a long name %d", i);
    table_set(t, (Str){key, (size_t)size}, &marks[i % 4]);
  }
  bool right = table_count(t) == 500;
  for (int i = 0; i < 500; i++) {
    int size = snprintf(key, sizeof key, "the same beginning of a long name %d", i);
    right &= table_get(t, (Str){key, (size_t)size}) == &marks[i % 4];
  }
  CHECK(right);
  table_free(t);
}

int main(void) {
  RUN_TEST(few);
  RUN_TEST(order);
  RUN_TEST(many);
  RUN_TEST(long_keys);
  return TEST_END();
}
