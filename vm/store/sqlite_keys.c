/* Values by keys that come at random: replies by idempotency key, jobs' unique keys.
**
** In a sorted table each such key would change a page of its own: 8 kB written twice for a hundred bytes. So their rows
** are appended to `scattered`, in order of seq, and the sorted scattered_index (key to seq) learns of them later:
** `fresh` knows those that it does not have yet, in order of key. When they are many each commit takes some of them
** over, going around in order of key, so that one page of the index takes many of them at a time. An opening reads the
** rows after meta's swept_seq again; closing leaves none.
**
** Within a group only the last word on a key counts, so nothing here depends on what the same group said before. What
** a group changes in memory is changed after its commit: a refused one leaves no trace. */
#include <stdlib.h>
#include "vm/store/sqlite_impl.h"
#include "vm/base/mem.h"

enum {
  KEYS_HELD = 1 << 17, /* fresh keys that may be: some 10 MB, and what an opening reads at most three times over */
  SWEEP_LEAST = 64,    /* taken over by a small commit; a large one takes two for each of its own */
  BATCH_ROWS = 256, BATCH_BYTES = 1 << 20
};

bool keys_scattered(uint8_t space) { return space == SPACE_REPLY || space == SPACE_UNIQUE; }

/* Space and key as one key. */
static Str whole_key(Buf *whole, uint8_t space, Str key) {
  buf_clear(whole);
  buf_byte(whole, space);
  buf_str(whole, key);
  return buf_view(whole);
}

/* ---- statements of the writer ---- */

static int drop_row(SqliteStore *s, uint64_t seq) {
  bind_int(s->write[WRITE_DROP_KEY], 1, seq);
  return write_run(s, WRITE_DROP_KEY);
}

static int find_indexed(SqliteStore *s, Str key, uint64_t *seq) {
  *seq = 0;
  bind_bytes(s->write[WRITE_FIND_KEY], 1, key.at, key.size);
  return write_number(s, WRITE_FIND_KEY, seq, NULL);
}

/* The index learns of it; the row that it had of this key before goes. */
static int index_key(SqliteStore *s, Str key, uint64_t seq) {
  uint64_t old;
  int rc = find_indexed(s, key, &old);
  if (rc != SQLITE_OK || old == seq) return rc;
  if (old != 0) rc = drop_row(s, old);
  if (rc != SQLITE_OK) return rc;
  bind_bytes(s->write[WRITE_INDEX_KEY], 1, key.at, key.size);
  bind_int(s->write[WRITE_INDEX_KEY], 2, seq);
  return write_run(s, WRITE_INDEX_KEY);
}

/* ---- a group ---- */

static int set_key(SqliteStore *s, KeyWord *word, Str key) {
  uint64_t seq = key_set_get(&s->keys.fresh, key);
  WriteStatement which = seq ? WRITE_SET_KEY : WRITE_ADD_KEY;
  if (!seq) seq = word->added = s->keys.next_seq + s->keys.added++;
  bind_int(s->write[which], 1, seq);
  bind_bytes(s->write[which], 2, word->row->value.at, word->row->value.size);
  if (word->added) bind_bytes(s->write[which], 3, key.at, key.size);
  return write_run(s, which);
}

static int drop_key(SqliteStore *s, Str key) {
  uint64_t seq = key_set_get(&s->keys.fresh, key), indexed;
  int rc = seq ? drop_row(s, seq) : SQLITE_OK;
  if (rc == SQLITE_OK) rc = find_indexed(s, key, &indexed);
  if (rc != SQLITE_OK || indexed == 0) return rc;
  if (indexed != seq) rc = drop_row(s, indexed);
  bind_bytes(s->write[WRITE_UNINDEX_KEY], 1, key.at, key.size);
  return rc == SQLITE_OK ? write_run(s, WRITE_UNINDEX_KEY) : rc;
}

static int by_key(const void *a, const void *b) {
  const KvRow *x = ((const KeyWord *)a)->row, *y = ((const KeyWord *)b)->row;
  if (x->space != y->space) return x->space < y->space ? -1 : 1;
  int order = str_order(x->key, y->key);
  return order != 0 ? order : (x > y) - (x < y); /* in the order of the group */
}

static bool same_key(const KvRow *a, const KvRow *b) { return a->space == b->space && str_equal(a->key, b->key); }

/* The group's last words on scattered keys. */
static void last_words(SqliteStore *s, const StoreGroup *g) {
  KeyWord *words = s->keys.words;
  uint32_t count = 0, kept = 0;
  for (uint32_t i = 0; i < g->kv_count; i++) {
    if (!keys_scattered(g->kv[i].space)) continue;
    words = mem_grow(words, &s->keys.word_cap, count + 1, sizeof *words);
    words[count++] = (KeyWord){.row = &g->kv[i]};
  }
  if (count > 1) qsort(words, count, sizeof *words, by_key);
  for (uint32_t i = 0; i < count; i++) {
    if (i + 1 < count && same_key(words[i].row, words[i + 1].row)) continue;
    words[kept++] = words[i];
  }
  s->keys.words = words;
  s->keys.word_count = kept;
}

static int sweep(SqliteStore *s, uint64_t most);

int keys_write(SqliteStore *s, const StoreGroup *g) {
  s->keys.added = s->keys.swept = 0;
  s->keys.round_over = false;
  last_words(s, g);
  int rc = SQLITE_OK;
  if (s->keys.fresh.count >= s->keys.held) {
    uint64_t twice = 2 * (uint64_t)s->keys.word_count;
    rc = sweep(s, twice > SWEEP_LEAST ? twice : SWEEP_LEAST);
  }
  for (uint32_t i = 0; rc == SQLITE_OK && i < s->keys.word_count; i++) {
    KeyWord *word = &s->keys.words[i];
    Str key = whole_key(&s->keys.whole, word->row->space, word->row->key);
    rc = word->row->value.at ? set_key(s, word, key) : drop_key(s, key);
  }
  return rc;
}

static void forget_swept(SqliteStore *s) {
  for (; s->keys.swept > 0; s->keys.swept--) {
    Str key;
    uint64_t seq;
    KeyPlace place = key_set_from(&s->keys.fresh, buf_view(&s->keys.from));
    if (!key_set_next(&s->keys.fresh, &place, &key, &seq)) break;
    key_set_remove(&s->keys.fresh, key);
  }
  buf_clear(&s->keys.from);
  buf_str(&s->keys.from, buf_view(&s->keys.next_from));
  if (s->keys.round_over) s->keys.round_seq = s->keys.next_seq;
}

void keys_commit(SqliteStore *s) {
  pthread_mutex_lock(&s->tail_lock);
  if (s->keys.swept > 0 || s->keys.round_over) forget_swept(s);
  for (uint32_t i = 0; i < s->keys.word_count; i++) {
    const KeyWord *word = &s->keys.words[i];
    Str key = whole_key(&s->keys.whole, word->row->space, word->row->key);
    if (!word->row->value.at) key_set_remove(&s->keys.fresh, key);
    else if (word->added) key_set_put(&s->keys.fresh, key, word->added);
  }
  s->keys.next_seq += s->keys.added;
  pthread_mutex_unlock(&s->tail_lock);
  s->keys.word_count = 0;
}

/* ---- taking them over ---- */

/* The next ones in order of key. After the last one all of those from before the round are in the index. */
static int sweep(SqliteStore *s, uint64_t most) {
  KeyPlace place = key_set_from(&s->keys.fresh, buf_view(&s->keys.from));
  Str key;
  uint64_t seq;
  int rc = SQLITE_OK;
  buf_clear(&s->keys.next_from);
  buf_str(&s->keys.next_from, buf_view(&s->keys.from));
  while (rc == SQLITE_OK && s->keys.swept < most) {
    if (!key_set_next(&s->keys.fresh, &place, &key, &seq)) {
      buf_clear(&s->keys.next_from);
      s->keys.round_over = true;
      return write_number_setting(s, "swept_seq", s->keys.round_seq - 1);
    }
    rc = index_key(s, key, seq);
    s->keys.swept++;
    buf_clear(&s->keys.next_from);
    buf_str(&s->keys.next_from, key);
    buf_byte(&s->keys.next_from, 0);
  }
  return rc;
}

/* All of them, in a transaction of its own. */
int keys_sweep_all(SqliteStore *s) {
  if (s->keys.fresh.count == 0) return SQLITE_OK;
  s->keys.added = s->keys.swept = s->keys.word_count = 0;
  buf_clear(&s->keys.from);
  s->keys.round_seq = s->keys.next_seq;
  int rc = write_run(s, WRITE_BEGIN);
  if (rc == SQLITE_OK) rc = sweep(s, UINT64_MAX);
  if (rc == SQLITE_OK) rc = write_run(s, WRITE_COMMIT);
  if (rc == SQLITE_OK) keys_commit(s);
  return rc;
}

/* ---- life ---- */

int keys_recover(SqliteStore *s) {
  uint64_t swept = 0, last = 0;
  int rc = write_setting_get(s, "swept_seq", &swept);
  if (rc == SQLITE_OK) rc = write_number(s, WRITE_MAX_KEY, &last, NULL);
  s->keys.held = KEYS_HELD;
  s->keys.next_seq = (last > swept ? last : swept) + 1;
  s->keys.round_seq = s->keys.next_seq;
  if (rc != SQLITE_OK) return rc;
  sqlite3_stmt *q = s->write[WRITE_KEYS_TAIL];
  bind_int(q, 1, swept);
  while ((rc = sqlite3_step(q)) == SQLITE_ROW) key_set_put(&s->keys.fresh, column_bytes(q, 1), column_number(q, 0));
  int reset = sqlite3_reset(q);
  return rc == SQLITE_DONE ? SQLITE_OK : reset;
}

void keys_free(SqliteStore *s) {
  key_set_deinit(&s->keys.fresh);
  buf_deinit(&s->keys.from);
  buf_deinit(&s->keys.next_from);
  buf_deinit(&s->keys.whole);
  mem_free(s->keys.words);
}

/* ---- reading ---- */

static uint64_t fresh_seq(SqliteStore *s, Str key) {
  pthread_mutex_lock(&s->tail_lock);
  uint64_t seq = key_set_get(&s->keys.fresh, key);
  pthread_mutex_unlock(&s->tail_lock);
  return seq;
}

static bool get_value(SqliteStore *s, sqlite3_stmt *q, bool *found, Buf *out, Err *err) {
  int rc = sqlite3_step(q);
  *found = rc == SQLITE_ROW;
  if (*found) buf_str(out, column_bytes(q, 0));
  return read_end(s, q, rc, "reading a value", err);
}

/* A row that memory knows and the file has no more was replaced or dropped meanwhile: memory knows better by now. */
static bool value_find(SqliteStore *s, Str key, bool *found, Buf *out, Err *err) {
  for (uint64_t seq, before = 0; (seq = fresh_seq(s, key)) != 0 && seq != before; before = seq) {
    sqlite3_stmt *q = read_begin(s, READ_KEY_VALUE);
    bind_int(q, 1, seq);
    if (!get_value(s, q, found, out, err)) return false;
    if (*found) return true;
  }
  sqlite3_stmt *q = read_begin(s, READ_KEY);
  bind_bytes(q, 1, key.at, key.size);
  return get_value(s, q, found, out, err);
}

bool keys_get(SqliteStore *s, StoreSpace space, Str key, Buf *out, Err *err) {
  Buf whole = {0};
  bool found;
  bool ok = value_find(s, whole_key(&whole, (uint8_t)space, key), &found, out, err);
  buf_deinit(&whole);
  return ok && (found || fail_no_kv(space, err));
}

/* A batch of the index with values, and the fresh keys of the same stretch: merged, a fresh one is the truth. */
typedef struct KeyBatch {
  struct { size_t key, value; } indexed[BATCH_ROWS];
  size_t fresh[BATCH_ROWS];
  uint32_t indexed_count, fresh_count;
  bool indexed_over, fresh_over;
  Buf indexed_texts, fresh_keys, from, prefix, value;
} KeyBatch;

static void read_fresh(SqliteStore *s, KeyBatch *b) {
  Str key;
  uint64_t seq;
  b->fresh_count = 0;
  buf_clear(&b->fresh_keys);
  pthread_mutex_lock(&s->tail_lock);
  KeyPlace place = key_set_from(&s->keys.fresh, buf_view(&b->from));
  while (b->fresh_count < BATCH_ROWS && key_set_next(&s->keys.fresh, &place, &key, &seq) &&
         str_begins(key, buf_view(&b->prefix))) {
    buf_str(&b->fresh_keys, key);
    b->fresh[b->fresh_count++] = key.size;
  }
  pthread_mutex_unlock(&s->tail_lock);
  b->fresh_over = b->fresh_count < BATCH_ROWS;
}

/* After the fresh ones: what leaves those meanwhile is in the index then. */
static bool read_indexed(SqliteStore *s, KeyBatch *b, Err *err) {
  sqlite3_stmt *q = read_begin(s, READ_KEYS);
  int rc = SQLITE_DONE;
  b->indexed_count = 0;
  b->indexed_over = true;
  buf_clear(&b->indexed_texts);
  bind_bytes(q, 1, b->from.at, b->from.size);
  while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
    Str key = column_bytes(q, 0), value = column_bytes(q, 1);
    if (!str_begins(key, buf_view(&b->prefix))) break;
    buf_str(&b->indexed_texts, key);
    buf_str(&b->indexed_texts, value);
    b->indexed[b->indexed_count].key = key.size;
    b->indexed[b->indexed_count++].value = value.size;
    b->indexed_over = b->indexed_count < BATCH_ROWS && b->indexed_texts.size < BATCH_BYTES;
    if (!b->indexed_over) break;
  }
  return read_end(s, q, rc, "listing what is there", err);
}

/* Gives the batch in order, as far as both parts reach. *more: nobody said stop, and there is more. */
static bool give_batch(SqliteStore *s, KeyBatch *b, KvEach *each, void *context, bool *more, Err *err) {
  uint32_t i = 0, k = 0;
  size_t at = 0, fresh_at = 0;
  while (true) {
    bool has_indexed = i < b->indexed_count, has_fresh = k < b->fresh_count, found = true;
    if ((!has_indexed && !b->indexed_over) || (!has_fresh && !b->fresh_over)) return true; /* the next batch */
    *more = *more && (has_indexed || has_fresh);
    if (!*more) return true;
    Str one = has_indexed ? (Str){b->indexed_texts.at + at, b->indexed[i].key} : (Str){0};
    Str two = has_fresh ? (Str){b->fresh_keys.at + fresh_at, b->fresh[k]} : (Str){0};
    int order = !has_indexed ? 1 : !has_fresh ? -1 : str_order(one, two);
    Str key = order < 0 ? one : two, value = {0};
    if (order < 0) {
      value = (Str){one.at + one.size, b->indexed[i].value};
    } else {
      buf_clear(&b->value);
      if (!value_find(s, key, &found, &b->value, err)) return false;
      value = buf_view(&b->value);
      fresh_at += b->fresh[k++];
    }
    if (order <= 0) at += b->indexed[i].key + b->indexed[i].value, i++;
    buf_clear(&b->from);
    buf_str(&b->from, key);
    buf_byte(&b->from, 0);
    if (found) *more = each(context, (Str){key.at + 1, key.size - 1}, value);
  }
}

bool keys_each(SqliteStore *s, StoreSpace space, Str prefix, Str from, KvEach *each, void *context, Err *err) {
  KeyBatch *b = MEM_NEW(KeyBatch);
  bool ok = true, more = true;
  whole_key(&b->prefix, (uint8_t)space, prefix);
  whole_key(&b->from, (uint8_t)space, from);
  while (ok && more) {
    read_fresh(s, b);
    ok = read_indexed(s, b, err) && give_batch(s, b, each, context, &more, err);
  }
  buf_deinit(&b->indexed_texts);
  buf_deinit(&b->fresh_keys);
  buf_deinit(&b->from);
  buf_deinit(&b->prefix);
  buf_deinit(&b->value);
  mem_free(b);
  return ok;
}
