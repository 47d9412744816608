/* Order: a stable merge sort of (key, value) pairs. Nothing is allocated on the
** heap while it runs, so the pairs may hold bare values. Keys that are all small
** ints or all strings are compared without a call. */
#include "vm/base/mem.h"
#include "vm/core/natives.h"

typedef struct Pair {
  Value key, value;
} Pair;

typedef struct Sort {
  CompareWork work;
  int sign;     /* -1: the greatest first */
  Value bad[2]; /* two that have no order */
  bool stopped;
} Sort;

typedef int CompareFn(Sort *s, Value a, Value b);

static inline int compare_ints(Sort *s, Value a, Value b) {
  (void)s;
  return (int64_t)a < (int64_t)b ? -1 : (int64_t)a > (int64_t)b; /* tagged alike */
}

static inline int compare_texts(Sort *s, Value a, Value b) {
  const StringObj *x = (const StringObj *)value_obj(a), *y = (const StringObj *)value_obj(b);
  uint32_t size = x->head.size < y->head.size ? x->head.size : y->head.size;
  int c = x == y ? 0 : memcmp(x->bytes, y->bytes, size);
  s->work.steps += 1 + size / 32;
  if (UNLIKELY(s->work.steps > s->work.max)) s->work.long_ = s->stopped = true;
  if (c) return c;
  return x->head.size < y->head.size ? -1 : x->head.size > y->head.size;
}

static int compare_any(Sort *s, Value a, Value b) {
  int c = value_compare_bounded(a, b, &s->work);
  if (c != 2) return c;
  if (!s->stopped) s->bad[0] = a, s->bad[1] = b;
  s->stopped = true;
  return 0;
}

enum { RUN = 8 };

static inline __attribute__((always_inline)) void sort_run(Sort *s, Pair *p, size_t n,
                                                           CompareFn *compare) {
  for (size_t i = 1; i < n; i++) {
    Pair x = p[i];
    size_t j = i;
    for (; j > 0 && s->sign * compare(s, p[j - 1].key, x.key) > 0; j--) p[j] = p[j - 1];
    p[j] = x;
  }
}

static inline __attribute__((always_inline)) void merge(Sort *s, const Pair *a, size_t na,
                                                        const Pair *b, size_t nb, Pair *out,
                                                        CompareFn *compare) {
  if (s->sign * compare(s, a[na - 1].key, b[0].key) <= 0) { /* already in order */
    memcpy(out, a, na * sizeof *out);
    memcpy(out + na, b, nb * sizeof *out);
    return;
  }
  while (na && nb) {
    bool right = s->sign * compare(s, a->key, b->key) > 0;
    *out++ = right ? *b : *a;
    a += !right, na -= !right;
    b += right, nb -= right;
  }
  memcpy(out, a, na * sizeof *out);
  memcpy(out + na, b, nb * sizeof *out);
}

/* Sorts p with scratch of the same size; the result is in whichever of the two it returns. */
static inline __attribute__((always_inline)) Pair *sort_pairs(Sort *s, Pair *p, Pair *scratch,
                                                              size_t n, CompareFn *compare) {
  for (size_t i = 0; i < n; i += RUN) sort_run(s, p + i, n - i < RUN ? n - i : RUN, compare);
  for (size_t width = RUN; width < n && !s->stopped; width *= 2) {
    for (size_t i = 0; i < n; i += 2 * width) {
      size_t na = n - i < width ? n - i : width, nb = n - i - na < width ? n - i - na : width;
      if (nb) merge(s, p + i, na, p + i + na, nb, scratch + i, compare);
      else memcpy(scratch + i, p + i, na * sizeof *p);
    }
    Pair *t = p;
    p = scratch;
    scratch = t;
  }
  return p;
}

static Pair *sort_ints(Sort *s, Pair *p, Pair *scratch, size_t n) {
  return sort_pairs(s, p, scratch, n, compare_ints);
}
static Pair *sort_texts(Sort *s, Pair *p, Pair *scratch, size_t n) {
  return sort_pairs(s, p, scratch, n, compare_texts);
}
static Pair *sort_any(Sort *s, Pair *p, Pair *scratch, size_t n) {
  return sort_pairs(s, p, scratch, n, compare_any);
}

static Pair *sort_by_kind(Sort *s, Pair *p, Pair *scratch, size_t n) {
  size_t ints = 0, texts = 0;
  for (size_t i = 0; i < n; i++) {
    ints += value_is_int(p[i].key);
    texts += value_is_kind(p[i].key, OBJ_STRING);
  }
  if (ints == n) return sort_ints(s, p, scratch, n);
  return texts == n ? sort_texts(s, p, scratch, n) : sort_any(s, p, scratch, n);
}

static void charge_sort(Machine *m, uint64_t n) {
  uint64_t rounds = 1;
  while (rounds < 32 && (uint64_t)1 << rounds < n) rounds++;
  machine_work(m, n * rounds * WORK_COMPARE);
}

static bool sort_fault(Machine *m, Sort *s, const char *what, Value *result) {
  if (s->stopped && !s->work.deep && !s->work.long_)
    return unordered(m, what, s->bad[0], s->bad[1], result);
  return compare_end(m, &s->work, what, result);
}

/* `keys` may be NULL: the elements are their own. Both are roots and have as many elements. */
bool list_sort_by(Machine *m, Value *list, Value *keys, bool descending, const char *what,
                  Value *result) {
  uint32_t n = list_count(*list);
  Value made;
  if (!list_of_nils(m, n, &made, result)) return false;
  charge_sort(m, n);
  if (n == 0) return *result = made, true;
  Pair *pairs = mem_alloc(2 * (size_t)n * sizeof *pairs);
  const Value *values = list_items(*list), *by = keys ? list_items(*keys) : values;
  for (uint32_t i = 0; i < n; i++) pairs[i] = (Pair){by[i], values[i]};
  Sort s = {.work = compare_begin(m), .sign = descending ? -1 : 1};
  const Pair *sorted = sort_by_kind(&s, pairs, pairs + n, n);
  Value *out = list_items(made);
  for (uint32_t i = 0; i < n; i++) out[i] = shared(sorted[i].value);
  mem_free(pairs);
  *result = made;
  if (s.stopped) return sort_fault(m, &s, what, result);
  machine_work(m, s.work.steps * WORK_COMPARE);
  return true;
}

static bool sort_arguments(Machine *m, Value *args, uint32_t count, uint32_t flag, bool *down,
                           Value *result) {
  *down = false;
  if (!arg_list(m, &args[0], "list.sort: the list", result)) return false;
  return !arg_given(args, count, flag) ||
         arg_bool(m, args[flag], "list.sort: descending", down, result);
}

NATIVE_BODY(list_sort) {
  bool down;
  if (!sort_arguments(m, args, count, 1, &down, result)) return false;
  return list_sort_by(m, &args[0], NULL, down, "list.sort", result);
}

NATIVE_BODY(list_sort_keys) {
  bool down;
  if (!sort_arguments(m, args, count, 2, &down, result)) return false;
  if (!arg_list(m, &args[1], "list.sort_keys: the keys", result)) return false;
  if (list_count(args[0]) != list_count(args[1])) {
    return native_fault(m, result, FAULT_VALUE,
                        "list.sort_keys: %" PRIu32 " elements, and %" PRIu32 " keys",
                        list_count(args[0]), list_count(args[1]));
  }
  return list_sort_by(m, &args[0], &args[1], down, "list.sort_keys", result);
}

NATIVE_BODY(list_is_sorted) {
  if (!arg_list(m, &args[0], "list.is_sorted: the list", result)) return false;
  CompareWork work = compare_begin(m);
  const Value *items = list_items(args[0]);
  bool sorted = true;
  for (uint32_t i = 1, n = list_count(args[0]); i < n && sorted; i++) {
    int c = value_compare_bounded(items[i - 1], items[i], &work);
    if (c == 2 && !work.deep && !work.long_)
      return unordered(m, "list.is_sorted", items[i - 1], items[i], result);
    sorted = c <= 0;
  }
  *result = value_bool(sorted);
  return compare_end(m, &work, "list.is_sorted", result);
}

/* ---- maps by key ---- */

static bool entry_kinds_fit(const Value *keys, uint32_t n) {
  for (uint32_t i = 1; i < n; i++) {
    if (value_type(keys[i]) != value_type(keys[0])) return false;
  }
  return true;
}

NATIVE_BODY(map_sort) {
  if (!arg_map(m, args[0], "map.sort: the map", result)) return false;
  Value made;
  if (!native_map_keys(m, args, 1, &m->temp[4])) return false;
  if (!entry_kinds_fit(list_items(m->temp[4]), list_count(m->temp[4]))) {
    m->temp[4] = VALUE_NIL;
    return native_fault(m, result, FAULT_TYPE, "map.sort: keys of different kinds have no order");
  }
  if (!list_sort_by(m, &m->temp[4], NULL, false, "map.sort", &made)) return *result = made, false;
  m->temp[4] = made;
  m->temp[5] = map_new(m, list_count(m->temp[4]));
  for (uint32_t i = 0, n = list_count(m->temp[4]); i < n; i++) {
    Value key = list_at(m->temp[4], i), v;
    if (map_find(args[0], key, &v)) map_set(m, &m->temp[5], key, shared(v));
  }
  *result = m->temp[5];
  m->temp[4] = m->temp[5] = VALUE_NIL;
  return true;
}
