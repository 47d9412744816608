/* vm/runtime/limits.h: sliding windows that are never too full, and fair queues. */
#include "test.h"

#include "vm/base/mem.h"
#include "vm/runtime/limits.h"

static Limit *limit_for(Limits **limits, Store **store, Grouping **grouping, uint64_t most, int64_t per_us) {
  *store = store_open_memory();
  *grouping = grouping_new();
  *limits = limits_new(*store, *grouping);
  return limits_get(*limits, STR("k"), STR("model fast"), false, most, per_us);
}

static void limit_done(Limits *limits, Store *store, Grouping *grouping) {
  limits_free(limits);
  grouping_free(grouping);
  store_close(store);
}

/* A small generator: the same numbers each time. */
static uint32_t chance(uint32_t *state, uint32_t below) {
  *state = *state * 1664525u + 1013904223u;
  return (*state >> 8) % below;
}

enum { CALLS = 4000 };

/* However they come: no window has more than the limit, and none waits longer than a 64th of the window more than it
** must. */
static void windows_check(uint64_t most, int64_t per_us, uint32_t gap, bool tokens) {
  static int64_t at[CALLS];
  static uint64_t took[CALLS];
  Limits *limits;
  Store *store;
  Grouping *g;
  uint32_t state = 7;
  int64_t now = 1000;
  Limit *l = limit_for(&limits, &store, &g, most, per_us);
  uint32_t first = 0;
  uint64_t within = 0;
  for (uint32_t i = 0; i < CALLS; i++) {
    now += chance(&state, gap);
    uint64_t want = tokens ? 1 + chance(&state, (uint32_t)most) : 1;
    int64_t from = now;
    while (!limit_room(l, want, now)) {
      int64_t opens = limit_opens(l, want, now);
      CHECK(opens > now);
      now = opens > now ? opens : now + 1;
    }
    took[i] = want;
    at[i] = limit_take(l, want, now);
    CHECK(at[i] == now);
    for (within += want; at[first] + per_us <= now; first++) within -= took[first];
    CHECK(within <= most);
    if (now > from) { /* it did not wait for what had left a 64th before */
      uint64_t earlier = within;
      for (uint32_t k = first; k > 0 && at[k - 1] + per_us > now - per_us / LIMIT_PARTS - 1; k--) earlier += took[k - 1];
      CHECK(earlier > most);
    }
  }
  CHECK(l->count <= LIMIT_PIECES_MAX);
  limit_done(limits, store, g);
}

static void test_windows(void) {
  windows_check(1, 1000000, 400000, false);
  windows_check(10, 1000, 90, false);
  windows_check(50, 60000000, 500000, false);
  windows_check(1000, 60000000, 9000, false); /* more than there are pieces */
  windows_check(5000, 1000000, 300, false);
  windows_check(200000, 60000000, 30000, true);
}

/* More than the whole limit passes alone. */
static void test_too_large(void) {
  Limits *limits;
  Store *store;
  Grouping *g;
  Limit *l = limit_for(&limits, &store, &g, 100, 1000);
  CHECK(limit_room(l, 5000, 0));
  (void)limit_take(l, 5000, 0);
  CHECK(!limit_room(l, 1, 999) && limit_opens(l, 1, 0) == 1000 && limit_room(l, 1, 1000));
  (void)limit_take(l, 1, 1000);
  CHECK(!limit_room(l, 5000, 1500) && limit_opens(l, 5000, 1500) == 2000);
  limit_done(limits, store, g);
}

static void test_correction(void) {
  Limits *limits;
  Store *store;
  Grouping *g;
  Limit *l = limit_for(&limits, &store, &g, 100, 1000);
  int64_t a = limit_take(l, 60, 0), b = limit_take(l, 40, 100);
  CHECK(!limit_room(l, 1, 200));
  limit_correct(l, a, 60, 20);
  CHECK(limit_used(l, 200) == 60 && limit_room(l, 40, 200));
  limit_correct(l, b, 40, 90);
  CHECK(limit_used(l, 200) == 110 && !limit_room(l, 1, 200));
  limit_correct(l, 77777, 5, 0); /* its piece is gone */
  CHECK(limit_used(l, 1000) == 90);
  limit_done(limits, store, g);
}

/* What is stored is what is read; rubbish is not. */
static void test_stored(void) {
  Limits *limits;
  Store *store;
  Grouping *g;
  Err err = {0};
  Limit *l = limit_for(&limits, &store, &g, 1000, 1000000), again = {.per_us = 1000000, .most = 1000};
  Buf bytes = {0};
  for (int i = 0; i < 300; i++) (void)limit_take(l, 1, 5000 * i);
  limit_encode(l, &bytes);
  CHECK(limit_decode(&again, buf_view(&bytes)) && again.count == l->count);
  CHECK(limit_used(&again, 1600000) == limit_used(l, 1600000));
  CHECK(!limit_decode(&again, STR("\x83\x01\x02")) && !limit_decode(&again, STR("\x82\x01\x02")));
  limits_keep(limits, l);
  CHECK(store_commit(store, grouping_group(g), &err));
  grouping_clear(g);
  Limits *other = limits_new(store, g);
  Limit *read = limits_get(other, STR("k"), STR("model fast"), false, 1000, 1000000);
  CHECK(!limits_failed(other) && limit_used(read, 1600000) == limit_used(l, 1600000));
  limits_free(other);
  buf_deinit(&bytes);
  mem_free(again.pieces);
  limit_done(limits, store, g);
}

/* Runs take turns; a run's own wishes stay in order. */
static void test_turns(void) {
  Limits *limits;
  Store *store;
  Grouping *g;
  Limit *l = limit_for(&limits, &store, &g, 1, 1000);
  LimitTurn a[4] = {{.run = 1}, {.run = 1}, {.run = 1}, {.run = 1}}, b[2] = {{.run = 2}, {.run = 2}}, c = {.run = 3};
  for (int i = 0; i < 4; i++) limit_join(l, &a[i]);
  for (int i = 0; i < 2; i++) limit_join(l, &b[i]);
  limit_join(l, &c);
  CHECK(limit_ahead(l, &a[0]) == 0 && limit_ahead(l, &b[0]) == 1 && limit_ahead(l, &c) == 2);
  CHECK(limit_ahead(l, &a[1]) == 3 && limit_ahead(l, &b[1]) == 4 && limit_ahead(l, &a[3]) == 6);
  limit_leave(l, &a[2]); /* its run was cancelled */
  const LimitTurn *order[] = {&a[0], &b[0], &c, &a[1], &b[1], &a[3]};
  for (size_t i = 0; i < COUNT_OF(order); i++) {
    CHECK(limit_next(l) == order[i]);
    limit_passed(l, UINT64_MAX);
  }
  CHECK(limit_next(l) == NULL && l->waiting == 0);
  limit_join(l, &c);
  limit_join(l, &a[0]);
  limit_leave(l, &c);
  CHECK(limit_next(l) == &a[0]);
  limit_leave(l, &a[0]);
  CHECK(l->waiting == 0 && l->first == NULL && l->last == NULL);
  limit_done(limits, store, g);
}

/* Who comes from the queue of another limit has waited since then; a run that had its turn has waited for less long. */
static void test_since(void) {
  Limits *limits;
  Store *store;
  Grouping *g;
  Limit *l = limit_for(&limits, &store, &g, 1, 1000);
  LimitTurn a[2] = {{.run = 1, .since = 4}, {.run = 1, .since = 5}}, b = {.run = 2, .since = 7};
  LimitTurn early = {.run = 3, .since = 2}, middle = {.run = 4, .since = 6}, late = {.run = 5, .since = 9};
  for (int i = 0; i < 2; i++) limit_join(l, &a[i]);
  limit_join(l, &b);
  limit_join(l, &late);
  limit_join(l, &middle);
  limit_join(l, &early);
  const LimitTurn *order[] = {&early, &a[0], &middle, &b, &a[1], &late};
  for (size_t i = 0; i < COUNT_OF(order); i++) {
    CHECK(limit_next(l) == order[i]);
    limit_passed(l, 8);
  }
  CHECK(l->waiting == 0 && l->first == NULL && l->last == NULL);
  limit_done(limits, store, g);
}

int main(void) {
  RUN_TEST(test_windows);
  RUN_TEST(test_too_large);
  RUN_TEST(test_correction);
  RUN_TEST(test_stored);
  RUN_TEST(test_turns);
  RUN_TEST(test_since);
  return TEST_END();
}
