/* The store on a disk that fails, fills up, dies with the process or loses its power, at
** every single operation in turn. Two runs are written by one commit each time, so that half
** a commit would show; after every fault the store is opened again and must hold all that was
** acknowledged, nothing by half, with its chain whole, and go on from there. */
#include "tests/unit/test.h"
#include "tests/support/faulty_vfs.h"
#include "vm/journal/journal.h"
#include "vm/base/mem.h"

enum { GROUPS = 6, RECORDS = 3 /* of each run in each group */ };
static const Hash256 key = {{1}};
static const char dir[] = "d";

typedef struct World {
  FaultyVfs *vfs;
  Store *store;
  Journal *journals[2];
  int acknowledged; /* groups */
  bool refused;     /* a commit failed: every later one must */
} World;

static Record record_of(int group, int i, Str big) {
  if (group == 0 && i == 0)
    return (Record){.kind = RECORD_HEAD, .HEAD = {.entry = STR("Main"), .tenant = STR("t")}};
  return (Record){.kind = RECORD_SIGNALLED,
                  .SIGNALLED = {.name = STR("s"),
                                .id = STR("x"),
                                .value = i == 1 ? big : STR("\x07"),
                                .at = group * 10 + i}};
}

/* A value large enough to be a blob, its own for each group. */
static void big_value(int group, Buf *out) {
  char text[5000];
  memset(text, 'a' + group, sizeof text);
  buf_clear(out);
  cbor_put_text(out, (Str){text, sizeof text});
}

static bool commit_group(World *w, int n) {
  Err err;
  Buf big = {0};
  LogRow rows[2] = {{.run = 1}, {.run = 2}};
  RunRow runs[2] = {0};
  ImageRow image = {.run = 1, .seq = (uint64_t)n, .bytes = STR("image")};
  StoreGroup g = {.rows = rows, .row_count = 2};
  big_value(n, &big);
  for (int r = 0; r < 2; r++) {
    for (int i = 0; i < RECORDS; i++) {
      Record record = record_of(n, i, buf_view(&big));
      if (!journal_put(w->journals[r], &record)) CHECK(false);
    }
    CHECK(journal_take(w->journals[r], &rows[r], &g));
    runs[r] = (RunRow){.number = (uint64_t)r + 1,
                       .id = {{(uint8_t)(r + 1)}},
                       .entry = STR("Main"),
                       .status = n % 2 ? RUN_STATUS_PARKED : RUN_STATUS_RUNNING,
                       .records = (uint64_t)n};
  }
  if (n == 0) g.created = runs, g.created_count = 2;
  else if (n % 2) g.updated = runs, g.updated_count = 2;
  if (n % 2) g.images = &image, g.image_count = 1;
  bool ok = store_commit(w->store, &g, &err);
  CHECK(!(ok && w->refused));
  if (!ok) CHECK(err.code == ERR_IO || err.code == ERR_FULL || err.code == ERR_DENIED);
  store_group_deinit(&g);
  buf_deinit(&big);
  return ok;
}

/* Opens, commits half of the groups, closes, opens again and commits the rest: so checkpoints and a
*WAL that
** starts over are part of it. Goes on after a failure, as a careless caller would. */
static void live(World *w) {
  Err err;
  w->acknowledged = 0;
  w->refused = false;
  for (int r = 0; r < 2; r++) w->journals[r] = journal_new(key);
  for (int half = 0; half < 2; half++) {
    if (w->refused || !store_open_sqlite(dir, "faulty", &w->store, &err)) break;
    for (int n = half * GROUPS / 2; n < (half + 1) * GROUPS / 2; n++) {
      if (commit_group(w, n)) w->acknowledged = n + 1;
      else w->refused = true;
    }
    store_close(w->store);
  }
  for (int r = 0; r < 2; r++) journal_free(w->journals[r]);
}

/* ---- what must hold afterwards ---- */

static bool blobs_there(Store *store, uint64_t run, Err *err) {
  Journal *j;
  if (!journal_load(store, run, key, true, &j, err)) return false;
  Record head, event;
  const Record *first = journal_peek(j);
  if (first) head = *first;
  bool ok = first && journal_put(j, &head);
  while (ok && !journal_live(j))
    ok =
        journal_event(j, &event) && (event.seq % RECORDS != 1 || event.SIGNALLED.value.size > 5000);
  if (!ok) FAIL(err, ERR_CORRUPT, "%s", journal_divergence(j)->damage.text);
  journal_free(j);
  return ok;
}

static bool goes_on(Store *store, Err *err) {
  uint64_t count, after;
  Journal *j;
  if (!journal_verify(store, 1, &count, err) || !journal_load(store, 1, key, true, &j, err))
    return false;
  Record r, head = *journal_peek(j);
  bool ok = journal_put(j, &head);
  while (ok && journal_event(j, &r)) continue;
  r = (Record){.kind = RECORD_KILLED, .KILLED = {.why = STR("test")}};
  LogRow row = {.run = 1};
  StoreGroup g = {.rows = &row, .row_count = 1};
  ok = ok && journal_put(j, &r) && journal_take(j, &row, &g) && store_commit(store, &g, err) &&
       journal_verify(store, 1, &after, err);
  if (ok && after != count + 1) {
    FAIL(err, ERR_CORRUPT, "%d records and one more give %d", (int)count, (int)after);
    ok = false;
  }
  journal_free(j);
  return ok;
}

/* Both runs hold the records of the same number of groups, and at least those acknowledged. */
static bool whole(Store *store, int acknowledged, Err *err) {
  uint64_t counts[2] = {0};
  ImageRow image;
  RunRow row;
  Buf keep = {0};
  bool any = store_next_run(store) > 1, ok = true;
  for (uint64_t run = 1; ok && any && run <= 2; run++) {
    ok = journal_verify(store, run, &counts[run - 1], err) && blobs_there(store, run, err);
  }
  int groups = (int)(counts[0] / RECORDS);
  if (ok && (counts[0] != counts[1] || counts[0] % RECORDS || groups < acknowledged ||
             groups > acknowledged + 1)) {
    FAIL(err, ERR_CORRUPT, "%d and %d records, %d groups acknowledged", (int)counts[0],
         (int)counts[1], acknowledged);
    ok = false;
  }
  if (ok && groups > 0) {
    uint64_t told =
        groups % 2 ? (uint64_t)groups - 2 : (uint64_t)groups - 1; /* the last odd one said so */
    ok = store_run_get(store, 2, &row, &keep, err);
    if (ok && groups > 1 && row.records != told) {
      FAIL(err, ERR_CORRUPT, "the run's row is of group %d, not %d", (int)row.records, (int)told);
      ok = false;
    }
    if (ok && groups > 1) ok = store_image_get(store, 1, &image, &keep, err) && image.seq == told;
  }
  buf_deinit(&keep);
  return ok && (groups == 0 || goes_on(store, err));
}

static bool recovered(World *w, Err *err) {
  Store *store;
  if (!store_open_sqlite(dir, "faulty", &store, err)) return false;
  bool ok = whole(store, w->acknowledged, err);
  store_close(store);
  return ok;
}

/* One world, one fault, one recovery. */
static bool trial(FaultyMode mode, uint64_t nth, bool ignore_syncs, bool power_loss, uint64_t seed,
                  bool *over, Err *err) {
  World w = {.vfs = faulty_vfs_new("faulty")};
  faulty_vfs_ignore_syncs(w.vfs, ignore_syncs);
  faulty_vfs_arm(w.vfs, mode, nth);
  live(&w);
  *over = faulty_vfs_ops(w.vfs) < nth;
  if (*over) CHECK(w.acknowledged == GROUPS);
  faulty_vfs_restart(w.vfs, power_loss, seed);
  faulty_vfs_ignore_syncs(w.vfs, false);
  bool ok = recovered(&w, err);
  faulty_vfs_free(w.vfs);
  return ok;
}

static void sweep(FaultyMode mode, bool power_loss, uint64_t seeds, const char *what) {
  bool over = false;
  uint64_t n = 1;
  for (; !over; n++) {
    for (uint64_t seed = 0; seed < seeds; seed++) {
      Err err = {0};
      bool ok = trial(mode, n, false, power_loss, n * 31 + seed, &over, &err);
      CHECK(ok);
      if (!ok)
        fprintf(stderr, "  %s at operation %d, seed %d: %s\n", what, (int)n, (int)seed, err.text);
    }
  }
  printf("%s: %d operations\n", what, (int)n - 2);
  CHECK(n > 100);
}

static void test_failing(void) { sweep(FAULTY_IOERR, false, 1, "an operation fails"); }
static void test_failing_then_power(void) {
  sweep(FAULTY_IOERR, true, 1, "an operation fails, then the power goes");
}
static void test_full(void) {
  sweep(FAULTY_FULL, true, 1, "the disk is full, then the power goes");
}
static void test_kill(void) { sweep(FAULTY_KILL, false, 1, "the process is killed"); }
static void test_power(void) { sweep(FAULTY_KILL, true, 2, "the power goes"); }

/* The same with a disk that syncs nothing must lose something, or all of the above proves nothing.
 */
static void test_missing_sync_is_seen(void) {
  bool over = false;
  int lost = 0, tries = 0;
  for (uint64_t n = 20; !over; n += 7, tries++) {
    Err err = {0};
    lost += !trial(FAULTY_KILL, n, true, true, n, &over, &err);
  }
  printf("without syncs: %d of %d power losses lost something\n", lost, tries);
  CHECK(lost > tries / 10);
}

int main(void) {
  RUN_TEST(test_failing);
  RUN_TEST(test_failing_then_power);
  RUN_TEST(test_full);
  RUN_TEST(test_kill);
  RUN_TEST(test_power);
  RUN_TEST(test_missing_sync_is_seen);
  return TEST_END();
}
