/* A window keeps the last `count` appointments in a ring: the next one may be no
** earlier than `per` after the one `count` places before it. So any stretch of
** length `per` holds at most `count`, with no clock tick in between. */
#include "vm/runtime/limits.h"

#include "vm/base/mem.h"
#include "vm/base/table.h"

typedef struct Window {
  uint32_t count, next;
  int64_t *taken; /* INT64_MIN: not used yet */
} Window;

struct Limits {
  Table *windows;
};

Limits *limits_new(void) {
  Limits *limits = MEM_NEW(Limits);
  limits->windows = table_new();
  return limits;
}

static void window_free(Window *w) {
  mem_free(w->taken);
  mem_free(w);
}

void limits_free(Limits *limits) {
  uint32_t cursor = 0;
  Str key;
  void *value;
  if (limits == NULL) return;
  while (table_next(limits->windows, &cursor, &key, &value)) window_free(value);
  table_free(limits->windows);
  mem_free(limits);
}

static Window *window_new(uint32_t count) {
  Window *w = MEM_NEW(Window);
  w->count = count;
  w->taken = mem_alloc(count * sizeof *w->taken);
  for (uint32_t i = 0; i < count; i++) w->taken[i] = INT64_MIN;
  return w;
}

/* Another bundle may give the name another count: the window begins anew, with its last
 * appointment. */
static Window *window_for(Limits *limits, Str name, uint32_t count) {
  Window *w = table_get(limits->windows, name);
  if (w != NULL && w->count == count) return w;
  Window *fresh = window_new(count);
  if (w != NULL) {
    fresh->taken[0] = w->taken[(w->next + w->count - 1) % w->count];
    fresh->next = 1 % count;
    window_free(w);
  }
  table_set(limits->windows, name, fresh);
  return fresh;
}

int64_t limits_admit(Limits *limits, Str name, uint32_t count, int64_t per_us, int64_t now_us) {
  enum { COUNT_MAX = 1 << 20 };
  if (count == 0) count = 1;
  if (count > COUNT_MAX) count = COUNT_MAX;
  Window *w = window_for(limits, name, count);
  int64_t oldest = w->taken[w->next], at = now_us;
  int64_t last = w->taken[(w->next + w->count - 1) % w->count];
  if (oldest != INT64_MIN && oldest + per_us > at) at = oldest + per_us;
  if (last > at) at = last; /* first come, first served */
  w->taken[w->next] = at;
  w->next = (w->next + 1) % w->count;
  return at;
}
