/* A binary heap of pointers; each timer knows its index, so dropping is log n. */
#include "vm/runtime/timers.h"

#include "vm/base/mem.h"
#include "vm/base/table.h"

typedef struct TimerNode {
  Timer timer;
  uint32_t index;
} TimerNode;

struct Timers {
  TimerNode **heap;
  uint32_t count, cap;
  Table *by_key;
};

typedef struct TimerKey {
  uint64_t run, seq;
} TimerKey;

static Str key_str(const TimerKey *key) { return (Str){(const char *)key, sizeof *key}; }

Timers *timers_new(void) {
  Timers *t = MEM_NEW(Timers);
  t->by_key = table_new();
  return t;
}

void timers_free(Timers *t) {
  if (t == NULL) return;
  for (uint32_t i = 0; i < t->count; i++) mem_free(t->heap[i]);
  mem_free(t->heap);
  table_free(t->by_key);
  mem_free(t);
}

static bool before(const TimerNode *a, const TimerNode *b) {
  if (a->timer.due_us != b->timer.due_us) return a->timer.due_us < b->timer.due_us;
  if (a->timer.run != b->timer.run) return a->timer.run < b->timer.run;
  return a->timer.seq < b->timer.seq;
}

static void place(Timers *t, uint32_t i, TimerNode *node) {
  t->heap[i] = node;
  node->index = i;
}

static void sift_up(Timers *t, uint32_t i) {
  TimerNode *node = t->heap[i];
  while (i > 0 && before(node, t->heap[(i - 1) / 2])) {
    place(t, i, t->heap[(i - 1) / 2]);
    i = (i - 1) / 2;
  }
  place(t, i, node);
}

static void sift_down(Timers *t, uint32_t i) {
  TimerNode *node = t->heap[i];
  for (;;) {
    uint32_t child = 2 * i + 1;
    if (child >= t->count) break;
    if (child + 1 < t->count && before(t->heap[child + 1], t->heap[child])) child++;
    if (!before(t->heap[child], node)) break;
    place(t, i, t->heap[child]);
    i = child;
  }
  place(t, i, node);
}

static void remove_at(Timers *t, uint32_t i) {
  TimerNode *gone = t->heap[i], *last = t->heap[--t->count];
  TimerKey key = {gone->timer.run, gone->timer.seq};
  table_set(t->by_key, key_str(&key), NULL);
  mem_free(gone);
  if (i == t->count) return;
  place(t, i, last);
  sift_up(t, i);
  sift_down(t, last->index);
}

void timers_add(Timers *t, Timer timer) {
  TimerKey key = {timer.run, timer.seq};
  timers_drop(t, timer.run, timer.seq);
  TimerNode *node = MEM_NEW(TimerNode);
  node->timer = timer;
  t->heap = mem_grow(t->heap, &t->cap, t->count + 1, sizeof *t->heap);
  place(t, t->count++, node);
  sift_up(t, node->index);
  table_set(t->by_key, key_str(&key), node);
}

bool timers_drop(Timers *t, uint64_t run, uint64_t seq) {
  TimerKey key = {run, seq};
  TimerNode *node = table_get(t->by_key, key_str(&key));
  if (node != NULL) remove_at(t, node->index);
  return node != NULL;
}

bool timers_peek(const Timers *t, Timer *out) {
  if (t->count > 0) *out = t->heap[0]->timer;
  return t->count > 0;
}

bool timers_take(Timers *t, Timer *out) {
  if (!timers_peek(t, out)) return false;
  remove_at(t, 0);
  return true;
}

uint32_t timers_count(const Timers *t) { return t->count; }
