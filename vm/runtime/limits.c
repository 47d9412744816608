/* Windows, their queues, and all of them by key. */
#include "vm/runtime/limits.h"

#include "vm/base/cbor.h"
#include "vm/base/mem.h"

/* ---- one window ------------------------------------------------------------------ */

static int64_t time_after(int64_t at_us, int64_t us) {
  int64_t sum;
  return __builtin_add_overflow(at_us, us, &sum) ? INT64_MAX : sum;
}

static bool piece_in(const Limit *l, const LimitPiece *p, int64_t now_us) {
  return time_after(p->last_us, l->per_us) > now_us;
}

static uint64_t count_add(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }

uint64_t limit_used(const Limit *l, int64_t now_us) {
  uint64_t used = 0;
  for (uint32_t i = 0; i < l->count; i++)
    if (piece_in(l, &l->pieces[i], now_us)) used = count_add(used, l->pieces[i].count);
  return used;
}

static uint64_t wanted(const Limit *l, uint64_t want) { return want > l->most ? l->most : want; }

bool limit_room(const Limit *l, uint64_t want, int64_t now_us) {
  return count_add(limit_used(l, now_us), wanted(l, want)) <= l->most;
}

int64_t limit_opens(const Limit *l, uint64_t want, int64_t now_us) {
  uint64_t used = limit_used(l, now_us);
  for (uint32_t i = 0; i < l->count; i++) {
    const LimitPiece *p = &l->pieces[i];
    if (!piece_in(l, p, now_us)) continue;
    if (count_add(used, wanted(l, want)) <= l->most) break;
    used -= p->count;
    now_us = time_after(p->last_us, l->per_us);
  }
  return now_us;
}

/* Neighbours become one as long as that is no longer than a 64th. */
static void pieces_join(Limit *l) {
  uint32_t kept = 0;
  for (uint32_t i = 1; i < l->count; i++) {
    LimitPiece *to = &l->pieces[kept];
    if (l->pieces[i].last_us - to->first_us < l->per_us / LIMIT_PARTS) {
      to->last_us = l->pieces[i].last_us;
      to->count = count_add(to->count, l->pieces[i].count);
    } else {
      l->pieces[++kept] = l->pieces[i];
    }
  }
  l->count = kept + 1;
}

static void pieces_past(Limit *l, int64_t now_us) {
  uint32_t gone = 0;
  while (gone < l->count && !piece_in(l, &l->pieces[gone], now_us)) gone++;
  l->count -= gone;
  if (gone > 0) memmove(l->pieces, l->pieces + gone, l->count * sizeof *l->pieces);
}

int64_t limit_take(Limit *l, uint64_t want, int64_t now_us) {
  pieces_past(l, now_us);
  if (l->count >= LIMIT_PIECES_MAX) pieces_join(l);
  LimitPiece *last = l->count > 0 ? &l->pieces[l->count - 1] : NULL;
  if (last != NULL && last->last_us > now_us) now_us = last->last_us; /* the clock went back */
  bool full = l->count >= LIMIT_PIECES_MAX; /* a longer window than before left more */
  if (last != NULL && (last->last_us == now_us || full)) {
    last->last_us = now_us;
    last->count = count_add(last->count, want);
    return now_us;
  }
  l->pieces = mem_grow(l->pieces, &l->cap, l->count + 1, sizeof *l->pieces);
  l->pieces[l->count++] = (LimitPiece){now_us, now_us, want};
  return now_us;
}

void limit_correct(Limit *l, int64_t at_us, uint64_t taken, uint64_t was) {
  for (uint32_t i = 0; i < l->count; i++) {
    LimitPiece *p = &l->pieces[i];
    if (p->first_us > at_us || p->last_us < at_us) continue;
    p->count = count_add(p->count > taken ? p->count - taken : 0, was);
    return;
  }
}

/* [first, last - first, count, …]; each first after the one before. */
void limit_encode(const Limit *l, Buf *out) {
  int64_t before = 0;
  cbor_put_array(out, 3 * (uint64_t)l->count);
  for (uint32_t i = 0; i < l->count; i++) {
    cbor_put_int(out, l->pieces[i].first_us - before);
    cbor_put_int(out, l->pieces[i].last_us - l->pieces[i].first_us);
    cbor_put_uint(out, l->pieces[i].count);
    before = l->pieces[i].first_us;
  }
}

static bool piece_read(CborReader *r, int64_t before_us, LimitPiece *p) {
  int64_t after, length;
  Err ignored;
  return cbor_int(r, &after, &ignored) && cbor_int(r, &length, &ignored) && cbor_uint(r, &p->count, &ignored) &&
         after >= 0 && length >= 0 && !__builtin_add_overflow(before_us, after, &p->first_us) &&
         !__builtin_add_overflow(p->first_us, length, &p->last_us);
}

bool limit_decode(Limit *l, Str value) {
  CborReader r = cbor_reader(value);
  uint64_t count;
  int64_t before = 0;
  Err ignored;
  l->count = 0;
  if (!cbor_array(&r, &count, &ignored) || count % 3 != 0 || count / 3 > LIMIT_PIECES_MAX) return false;
  for (; count > 0; count -= 3) {
    LimitPiece p;
    if (!piece_read(&r, before, &p)) return false;
    l->pieces = mem_grow(l->pieces, &l->cap, l->count + 1, sizeof *l->pieces);
    l->pieces[l->count++] = p;
    before = p.first_us;
  }
  return true;
}

/* ---- the queue ---------------------------------------------------------------------- */

static void line_insert(Limit *l, LimitLine *line) {
  LimitLine **link = &l->first;
  if (l->last != NULL && l->last->since <= line->since) link = &l->last->next;
  while (*link != NULL && (*link)->since <= line->since) link = &(*link)->next;
  line->next = *link;
  *link = line;
  if (line->next == NULL) l->last = line;
}

static void line_remove(Limit *l, LimitLine *line, uint64_t run) {
  LimitLine **link = &l->first, *before = NULL;
  for (; *link != line; link = &(*link)->next) before = *link;
  *link = line->next;
  if (l->last == line) l->last = before;
  if (line->first == NULL) {
    table_set(l->lines, table_key64(&run), NULL);
    mem_free(line);
  }
}

void limit_join(Limit *l, LimitTurn *turn) {
  if (l->lines == NULL) l->lines = table_new();
  LimitLine *line = table_get(l->lines, table_key64(&turn->run));
  if (line == NULL) {
    line = MEM_NEW(LimitLine);
    line->since = turn->since;
    table_set(l->lines, table_key64(&turn->run), line);
    line_insert(l, line);
  }
  turn->next = NULL;
  if (line->first == NULL) line->first = turn;
  else line->last->next = turn;
  line->last = turn;
  l->waiting++;
}

void limit_leave(Limit *l, LimitTurn *turn) {
  LimitLine *line = table_get(l->lines, table_key64(&turn->run));
  LimitTurn **link = &line->first, *before = NULL;
  for (; *link != turn; link = &(*link)->next) before = *link;
  *link = turn->next;
  if (line->last == turn) line->last = before;
  turn->next = NULL;
  l->waiting--;
  if (line->first == NULL) line_remove(l, line, turn->run);
}

LimitTurn *limit_next(const Limit *l) { return l->first != NULL ? l->first->first : NULL; }

void limit_passed(Limit *l, uint64_t since) {
  LimitLine *line = l->first;
  LimitTurn *turn = line->first;
  bool more = turn->next != NULL;
  limit_leave(l, turn);
  if (!more || line->next == NULL) return;
  line_remove(l, line, turn->run);
  line->since = since;
  line_insert(l, line);
}

/* Round by round: from each other run as many as this one has before it, and one more from those whose turn is
** earlier. */
uint32_t limit_ahead(const Limit *l, const LimitTurn *turn) {
  const LimitLine *own = table_get(l->lines, table_key64(&turn->run));
  uint32_t place = 0, ahead = 0;
  bool earlier = true;
  for (const LimitTurn *t = own->first; t != turn; t = t->next) place++;
  for (const LimitLine *line = l->first; line != NULL; line = line->next) {
    uint32_t most = place + earlier, n = 0;
    if (line == own) {
      earlier = false;
      continue;
    }
    for (const LimitTurn *t = line->first; t != NULL && n < most; t = t->next) n++;
    ahead += n;
  }
  return ahead + place;
}

/* ---- all of them ------------------------------------------------------------------------ */

struct Limits {
  Store *store;
  Grouping *grouping;
  Table *by_key;
  Buf value;
  bool failed;
};

Limits *limits_new(Store *store, Grouping *grouping) {
  Limits *limits = MEM_NEW(Limits);
  limits->store = store;
  limits->grouping = grouping;
  limits->by_key = table_new();
  return limits;
}

static void limit_free(Limit *l) {
  uint32_t at = 0;
  void *line;
  while (l->lines != NULL && table_next(l->lines, &at, NULL, &line)) mem_free(line);
  table_free(l->lines);
  mem_free((char *)(uintptr_t)l->key.at);
  mem_free((char *)(uintptr_t)l->name.at);
  mem_free(l->pieces);
  mem_free(l);
}

void limits_free(Limits *limits) {
  uint32_t at = 0;
  void *limit;
  if (limits == NULL) return;
  while (table_next(limits->by_key, &at, NULL, &limit)) limit_free(limit);
  table_free(limits->by_key);
  buf_deinit(&limits->value);
  mem_free(limits);
}

bool limits_failed(const Limits *limits) { return limits->failed; }

static Str str_own(Str s) {
  char *copy = mem_alloc(s.size + 1);
  if (s.size > 0) memcpy(copy, s.at, s.size);
  return (Str){copy, s.size};
}

static Limit *limit_new(Limits *limits, Str key, Str name) {
  Limit *l = MEM_NEW(Limit);
  Err err = {0};
  l->key = str_own(key);
  l->name = str_own(name);
  table_set(limits->by_key, l->key, l);
  buf_clear(&limits->value);
  bool found = store_kv_get(limits->store, SPACE_LIMIT, key, &limits->value, &err);
  if (found ? !limit_decode(l, buf_view(&limits->value)) : err.code != ERR_NOT_FOUND) limits->failed = true;
  return l;
}

Limit *limits_get(Limits *limits, Str key, Str name, bool tokens, uint64_t most, int64_t per_us) {
  Limit *l = table_get(limits->by_key, key);
  if (l == NULL) l = limit_new(limits, key, name);
  l->tokens = tokens;
  l->most = most > 0 ? most : 1;
  l->per_us = per_us > 0 ? per_us : 1;
  return l;
}

void limits_keep(Limits *limits, const Limit *l) {
  buf_clear(&limits->value);
  limit_encode(l, &limits->value);
  grouping_kv(limits->grouping, SPACE_LIMIT, l->key, buf_view(&limits->value));
}

bool limits_next(const Limits *limits, uint32_t *cursor, Limit **limit) {
  void *at;
  if (!table_next(limits->by_key, cursor, NULL, &at)) return false;
  *limit = at;
  return true;
}
