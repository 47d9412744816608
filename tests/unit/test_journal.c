/* Journals over the memory store: what was put comes back, replay agrees or says exactly where it
 * does not. */
#include "tests/unit/test.h"
#include "lang/tables.h"
#include "vm/base/mem.h"
#include "vm/journal/diverge.h"

static const Hash256 key = {{1, 2, 3}};

/* [{tag 40010: ["url", URL, "n", N]}] as encoded operands. */
static Str operands(Buf *out, const char *url, uint64_t n) {
  buf_clear(out);
  cbor_put_array(out, 1);
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 4);
  cbor_put_text(out, STR("url"));
  cbor_put_text(out, str_of(url));
  cbor_put_text(out, STR("n"));
  cbor_put_uint(out, n);
  return buf_view(out);
}

static Record head_record(void) {
  return (Record){.kind = RECORD_HEAD,
                  .HEAD = {.semantics = STR("s1"),
                           .entry = STR("Main"),
                           .input = STR("\x80"),
                           .config = STR("\x80"),
                           .patches = STR("\x80"),
                           .at = 1,
                           .tenant = STR("default")}};
}

static Record asked(uint64_t site, Str ops, int64_t at) {
  return (Record){
      .kind = RECORD_ASKED,
      .ASKED = {
          .kind = EFFECT_HTTP, .site = site, .target = STR("GET"), .operands = ops, .at = at}};
}

static Record answered(uint64_t ref, Str value) {
  return (Record){.kind = RECORD_ANSWERED,
                  .ANSWERED = {.ref = ref, .outcome = STR("ok"), .value = value, .at = 50}};
}

static Record patch(const char *id, uint64_t value) {
  return (Record){.kind = RECORD_PATCH, .PATCH = {.id = str_of(id), .value = value}};
}

static Record ended(Str result) {
  return (Record){.kind = RECORD_ENDED,
                  .ENDED = {.status = STR("done"), .result = result, .at = 99}};
}

static bool put(Journal *j, Record r) { return journal_put(j, &r); }

/* Commits what the journal holds as the rows of run 1 (made when `first`). */
static void save(Store *store, Journal *j, bool first) {
  Err err;
  RunRow run = {.number = 1, .id = {{9}}, .entry = STR("Main"), .status = RUN_STATUS_RUNNING};
  LogRow row = {.run = 1};
  StoreGroup g = {.created = &run, .created_count = first, .rows = &row, .row_count = 1};
  CHECK(journal_take(j, &row, &g));
  CHECK(store_commit(store, &g, &err));
  store_group_deinit(&g);
}

static Journal *load(Store *store, bool same_code) {
  Err err = {0};
  Journal *j = NULL;
  bool ok = journal_load(store, 1, key, same_code, &j, &err);
  CHECK(ok);
  if (!ok) fprintf(stderr, "  %s\n", err.text);
  return j;
}

/* HEAD, ASKED a, ANSWERED, READ now, PATCH p=1, ASKED b, ANSWERED, ENDED in two rows. */
static Store *history(void) {
  Store *store = store_open_memory();
  Journal *j = journal_new(key);
  Buf ops = {0};
  CHECK(journal_live(j) && journal_seq(j) == 0);
  CHECK(put(j, head_record()));
  CHECK(put(j, asked(11, operands(&ops, "http://x/orders/17", 1), 1000)));
  save(store, j, true);
  CHECK(!journal_take(j, &(LogRow){0}, &(StoreGroup){0}));
  CHECK(put(j, answered(1, STR("\x0a"))));
  Record read = {
      .kind = RECORD_READ,
      .READ = {.kind = EFFECT_NOW, .site = 12, .operands = STR("\x80"), .value = STR("\x05")}};
  CHECK(put(j, read));
  CHECK(put(j, patch("p", 1)));
  CHECK(put(j, asked(13, operands(&ops, "http://x/pay", 2), 2000)));
  CHECK(put(j, answered(5, STR("\x0b"))));
  CHECK(put(j, ended(STR("\x01"))));
  CHECK(journal_seq(j) == 8);
  save(store, j, false);
  journal_free(j);
  buf_deinit(&ops);
  return store;
}

/* The same run again up to the second request; how = what is changed. */
typedef struct Again {
  const char *first_url, *second_url;
  uint64_t first_site, fiber;
  bool skip_first, no_patch;
} Again;

static bool read_now(Journal *j) {
  Record question = {.kind = RECORD_READ,
                     .READ = {.kind = EFFECT_NOW, .site = 12, .operands = STR("\x80")}},
         answer;
  return journal_read(j, &question, &answer) && str_equal(answer.READ.value, STR("\x05"));
}

static bool again(Journal *j, Again how) {
  Buf ops = {0};
  Record event;
  bool ok = put(j, head_record());
  if (ok && !how.skip_first) {
    Record r = asked(how.first_site, operands(&ops, how.first_url, 1), 7);
    r.ASKED.fiber = how.fiber;
    ok = journal_put(j, &r) && r.seq == 1 && r.ASKED.at == 1000 && journal_event(j, &event) &&
         event.ANSWERED.ref == 1 && read_now(j);
    if (ok && !how.no_patch) ok = put(j, patch("p", 1));
  }
  if (ok) ok = put(j, asked(13, operands(&ops, how.second_url, 2), 8));
  if (ok) ok = journal_event(j, &event) && put(j, ended(STR("\x01")));
  buf_deinit(&ops);
  return ok;
}

static const Again same = {
    .first_url = "http://x/orders/17", .second_url = "http://x/pay", .first_site = 11};

static void test_replay_agrees(void) {
  Store *store = history();
  Journal *j = load(store, true);
  uint64_t count;
  Err err;
  CHECK(!journal_live(j) && journal_seq(j) == 0 && journal_peek(j)->kind == RECORD_HEAD);
  CHECK(again(j, same));
  CHECK(journal_live(j) && journal_seq(j) == 8 && journal_position(j) == 8);
  CHECK(journal_divergence(j)->kind == DIVERGE_NONE);
  CHECK(journal_verify(store, 1, &count, &err) && count == 8);
  journal_free(j);
  store_close(store);
}

static void test_live_after_history(void) {
  Store *store = history();
  Journal *j = load(store, true), *fresh = journal_resume(key, 8, (Hash256){{0}});
  Err err;
  uint64_t count;
  CHECK(again(j, same));
  Hash256 before = journal_head(j);
  journal_free(fresh);
  fresh = journal_resume(key, 8, before);
  CHECK(put(j, patch("late", 0)) && put(fresh, patch("late", 0)));
  Hash256 a = journal_head(j), b = journal_head(fresh);
  CHECK(memcmp(&a, &b, sizeof a) == 0 && memcmp(&a, &before, sizeof a) != 0);
  save(store, j, false);
  CHECK(journal_verify(store, 1, &count, &err) && count == 9);
  journal_free(j);
  journal_free(fresh);
  store_close(store);
}

static void test_read_only(void) {
  Store *store = history();
  Journal *j = load(store, true);
  journal_read_only(j);
  CHECK(again(j, same));
  CHECK(!put(j, ended(STR("\x01"))) && journal_divergence(j)->kind == DIVERGE_NONE);
  journal_free(j);
  store_close(store);
}

static void diverges(Again how, bool same_code, DivergeKind kind, uint64_t seq, const char *path) {
  Store *store = history();
  Journal *j = load(store, same_code);
  DivergeSpot spot;
  CHECK(!again(j, how));
  const Divergence *d = journal_divergence(j);
  CHECK_STR(str_of(diverge_word(d->kind)), str_of(diverge_word(kind)));
  CHECK(d->seq == seq);
  bool found = diverge_spot(d, &spot);
  CHECK(found == (path != NULL));
  if (path) CHECK_STR(buf_view(&spot.path), str_of(path));
  diverge_spot_deinit(&spot);
  CHECK(!put(j, ended(STR("\x01"))));
  CHECK_STR(str_of(diverge_word(journal_divergence(j)->kind)), str_of(diverge_word(kind)));
  journal_free(j);
  store_close(store);
}

static void test_divergences(void) {
  Again h = same;
  h.first_url = "http://x/orders/017";
  diverges(h, true, DIVERGE_OPERAND, 1, "operands[0].url[16]");
  diverges(h, false, DIVERGE_OPERAND, 1, "operands[0].url[16]");
  h = same;
  h.first_site = 99;
  diverges(h, true, DIVERGE_SITE, 1, "site");
  h = same;
  h.fiber = 3;
  diverges(h, true, DIVERGE_DELIVERY, 1, "fiber");
  h = same;
  h.skip_first = true; /* the second request stands later in history */
  diverges(h, true, DIVERGE_MISSING, 1, "operands[0].url[9]");
}

static void test_site_is_a_note(void) {
  Store *store = history();
  Journal *j = load(store, false);
  Again h = same;
  h.first_site = 99;
  CHECK(again(j, h) && journal_notes(j) == 1);
  journal_free(j);
  store_close(store);
}

static void test_kinds_of_stopping(void) {
  Store *store = history();
  Journal *j = load(store, true);
  CHECK(put(j, head_record()));
  CHECK(!put(j, ended(STR("\x01")))); /* it ends; history goes on */
  CHECK(journal_divergence(j)->kind == DIVERGE_MISSING);
  CHECK(journal_divergence(j)->recorded.size > 0 && journal_divergence(j)->agreed.size > 0);
  journal_free(j);
  j = load(store, true);
  CHECK(put(j, head_record()));
  journal_diverge(j, DIVERGE_MISSING, NULL);
  CHECK(journal_divergence(j)->kind == DIVERGE_MISSING && journal_divergence(j)->current.size == 0);
  journal_free(j);
  store_close(store);
}

static void test_extra_and_result(void) {
  Store *store = history();
  Buf ops = {0};
  Journal *j = load(store, true);
  Record event;
  CHECK(put(j, head_record()) && put(j, asked(11, operands(&ops, same.first_url, 1), 0)));
  CHECK(!put(j,
             asked(77, operands(&ops, "http://new", 1), 0))); /* history waits for an answer here */
  CHECK(journal_divergence(j)->kind == DIVERGE_EXTRA);
  journal_free(j);
  j = load(store, true);
  CHECK(put(j, head_record()) && put(j, asked(11, operands(&ops, same.first_url, 1), 0)));
  CHECK(!put(j, asked(13, operands(&ops, same.second_url, 2),
                      0))); /* asked later in history, after more */
  CHECK(journal_divergence(j)->kind == DIVERGE_EXTRA);
  journal_free(j);
  j = load(store, true);
  CHECK(put(j, head_record()) && put(j, asked(11, operands(&ops, same.first_url, 1), 0)) &&
        journal_event(j, &event));
  CHECK(read_now(j) && put(j, asked(13, operands(&ops, same.second_url, 2), 0)) &&
        journal_event(j, &event));
  CHECK(!put(j, ended(STR("\x02"))) && journal_divergence(j)->kind == DIVERGE_RESULT);
  journal_free(j);
  buf_deinit(&ops);
  store_close(store);
}

static void test_patches(void) {
  Store *store = history();
  bool value = false;
  Journal *j = load(store, true);
  CHECK(journal_patch_ahead(j, STR("p"), &value) && value);
  CHECK(!journal_patch_ahead(j, STR("q"), &value));
  CHECK(put(j, head_record()) && put(j, patch("p", 1))); /* decided earlier than it was */
  CHECK(!journal_patch_ahead(j, STR("p"), &value));
  CHECK(journal_seq(j) == 1);
  CHECK(put(j, patch("q", 0)) &&
        journal_seq(j) == 1); /* unknown to history: false, and no record */
  CHECK(!put(j, patch("q", 1)) && journal_divergence(j)->kind == DIVERGE_PATCH);
  journal_free(j);
  Again h = same;
  h.no_patch = true; /* old code does not ask for it */
  j = load(store, true);
  CHECK(again(j, h) && journal_live(j));
  CHECK(journal_patch_ahead(j, STR("p"), &value) && value); /* …and may do so later */
  CHECK(put(j, patch("p", 1)) && journal_seq(j) == 8);
  journal_free(j);
  j = load(store, true);
  CHECK(put(j, head_record()) && !put(j, patch("p", 0)) &&
        journal_divergence(j)->kind == DIVERGE_PATCH);
  journal_free(j);
  store_close(store);
}

static void test_blobs(void) {
  Store *store = store_open_memory();
  Journal *j = journal_new(key);
  Buf ops = {0}, keep = {0}, text = {0};
  Err err;
  Str out;
  for (size_t i = 0; i < LIMIT_BLOB_BYTES; i++) buf_byte(&text, 'x');
  buf_byte(&text, 0);
  Str big = operands(&ops, text.at, 1);
  CHECK(put(j, head_record()) && put(j, asked(1, big, 5)) && put(j, asked(2, big, 5)) &&
        put(j, answered(1, big)));
  LogRow row = {.run = 1};
  RunRow run = {.number = 1, .status = RUN_STATUS_RUNNING};
  StoreGroup g = {.created = &run, .created_count = 1, .rows = &row, .row_count = 1};
  CHECK(journal_take(j, &row, &g) && g.blob_count == 1 && row.bytes.size < 512); /* kept once */
  CHECK(str_equal(g.blobs[0], big));
  char ref[RECORD_BLOB_REF];
  record_blob_ref(g.blob_ids[0], ref);
  CHECK(store_commit(store, &g, &err));
  store_group_deinit(&g);
  journal_free(j);
  CHECK(journal_value(store, (Str){ref, sizeof ref}, &keep, &out, &err) && str_equal(out, big));
  CHECK(journal_value(store, STR("\x01"), &keep, &out, &err) && str_equal(out, STR("\x01")));
  j = load(store, true);
  Record event;
  CHECK(put(j, head_record()) && str_equal(journal_peek(j)->ASKED.operands, big));
  CHECK(put(j, asked(1, big, 0)) && put(j, asked(2, big, 0)));
  CHECK(journal_event(j, &event) && str_equal(event.ANSWERED.value, big));
  journal_free(j);
  big.at = memcpy(text.at, big.at, text.size < big.size ? text.size : big.size);
  text.at[2000] = 'y';
  j = load(store, true);
  DivergeSpot spot;
  CHECK(put(j, head_record()) &&
        !put(j, asked(1, (Str){text.at, ops.size < text.size ? ops.size : text.size}, 0)));
  CHECK(journal_divergence(j)->kind == DIVERGE_OPERAND);
  (void)diverge_spot(journal_divergence(j), &spot);
  diverge_spot_deinit(&spot);
  journal_free(j);
  buf_deinit(&ops);
  buf_deinit(&keep);
  buf_deinit(&text);
  store_close(store);
}

/* A blob that is gone is damage, not a crash and not a silent nil. */
static void test_lost_blob(void) {
  Store *store = store_open_memory();
  Journal *j = journal_new(key);
  char ref[RECORD_BLOB_REF];
  Record event;
  record_blob_ref((Hash256){{5}}, ref);
  CHECK(put(j, head_record()) && put(j, answered(0, (Str){ref, sizeof ref})));
  save(store, j, true);
  journal_free(j);
  j = load(store, true);
  CHECK(put(j, head_record()) && !journal_event(j, &event));
  CHECK(journal_divergence(j)->kind == DIVERGE_DAMAGED &&
        journal_divergence(j)->damage.code == ERR_NOT_FOUND);
  journal_free(j);
  store_close(store);
}

typedef struct Copy {
  Buf bytes;
  LogRow rows[8];
  size_t offset[8];
  uint32_t count;
} Copy;
static bool copy_row(void *context, const LogRow *row) {
  Copy *c = context;
  c->offset[c->count] = c->bytes.size;
  c->rows[c->count++] = *row;
  buf_str(&c->bytes, row->bytes);
  return true;
}

/* Every bit of the stored rows, changed one at a time, is found; so are lost and swapped rows. */
static void test_verify_finds_all(void) {
  Store *store = history();
  Copy c = {0};
  Err err;
  uint64_t count;
  CHECK(store_log_each(store, 1, copy_row, &c, &err) && c.count == 2);
  for (uint32_t i = 0; i < c.count; i++) c.rows[i].bytes.at = c.bytes.at + c.offset[i];
  for (size_t bit = 0; bit < c.bytes.size * 8; bit++) {
    c.bytes.at[bit / 8] = (char)(c.bytes.at[bit / 8] ^ 1 << bit % 8);
    Store *bent = store_open_memory();
    RunRow run = {.number = 1, .status = RUN_STATUS_RUNNING};
    StoreGroup g = {.created = &run, .created_count = 1, .rows = c.rows, .row_count = c.count};
    CHECK(store_commit(bent, &g, &err));
    CHECK(!journal_verify(bent, 1, &count, &err) &&
          (err.code == ERR_CORRUPT || err.code == ERR_VERSION));
    Journal *j = NULL;
    CHECK(!journal_load(bent, 1, key, true, &j, &err));
    store_close(bent);
    c.bytes.at[bit / 8] = (char)(c.bytes.at[bit / 8] ^ 1 << bit % 8);
  }
  Store *bent = store_open_memory();
  RunRow run = {.number = 1, .status = RUN_STATUS_RUNNING};
  StoreGroup g = {.created = &run, .created_count = 1, .rows = c.rows + 1, .row_count = 1};
  CHECK(store_commit(bent, &g, &err) && !journal_verify(bent, 1, &count, &err));
  store_close(bent);
  buf_deinit(&c.bytes);
  store_close(store);
}

int main(void) {
  RUN_TEST(test_replay_agrees);
  RUN_TEST(test_live_after_history);
  RUN_TEST(test_read_only);
  RUN_TEST(test_divergences);
  RUN_TEST(test_site_is_a_note);
  RUN_TEST(test_kinds_of_stopping);
  RUN_TEST(test_extra_and_result);
  RUN_TEST(test_patches);
  RUN_TEST(test_blobs);
  RUN_TEST(test_lost_blob);
  RUN_TEST(test_verify_finds_all);
  return TEST_END();
}
