/* A binary heap whose items know their place. */
#include "vm/runtime/deadlines.h"

#include "vm/base/mem.h"

void deadlines_deinit(Deadlines *d) {
  for (uint32_t i = 0; i < d->count; i++) d->at[i]->place = 0;
  mem_free(d->at);
  *d = (Deadlines){0};
}

static void put(Deadlines *d, uint32_t at, Deadline *deadline) {
  d->at[at] = deadline;
  deadline->place = at + 1;
}

static void rise(Deadlines *d, uint32_t at) {
  Deadline *moving = d->at[at];
  for (; at > 0 && d->at[(at - 1) / 2]->due_us > moving->due_us; at = (at - 1) / 2) put(d, at, d->at[(at - 1) / 2]);
  put(d, at, moving);
}

static void sink(Deadlines *d, uint32_t at) {
  Deadline *moving = d->at[at];
  for (uint32_t below; (below = 2 * at + 1) < d->count; at = below) {
    if (below + 1 < d->count && d->at[below + 1]->due_us < d->at[below]->due_us) below++;
    if (d->at[below]->due_us >= moving->due_us) break;
    put(d, at, d->at[below]);
  }
  put(d, at, moving);
}

void deadlines_drop(Deadlines *d, Deadline *deadline) {
  if (deadline->place == 0) return;
  uint32_t at = deadline->place - 1;
  ASSERT(at < d->count && d->at[at] == deadline);
  deadline->place = 0;
  Deadline *last = d->at[--d->count];
  if (last == deadline) return;
  put(d, at, last);
  rise(d, at);
  sink(d, last->place - 1);
}

void deadlines_set(Deadlines *d, Deadline *deadline, int64_t due_us) {
  deadlines_drop(d, deadline);
  deadline->due_us = due_us;
  d->at = mem_grow(d->at, &d->cap, d->count + 1, sizeof(Deadline *));
  put(d, d->count++, deadline);
  rise(d, d->count - 1);
}
