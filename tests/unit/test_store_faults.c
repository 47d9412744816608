/* The store on a disk that fails, fills up, dies with the process or loses its power, at
** every single operation in turn. Two runs are written by one commit each time, so that half
** a commit would show; after every fault the store is opened again and must hold all that was
** acknowledged, nothing by half, with its chain whole, and go on from there. */
#include "tests/unit/test.h"
#include "tests/support/faulty_vfs.h"
#include "vm/journal/journal.h"
#include "vm/base/mem.h"
#include "tests/unit/store_world.h"
#include "vm/store/sqlite_impl.h"

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

/* Opens, commits half of the groups, closes, opens again and commits the rest: so checkpoints and a WAL that starts
** over are part of it. Goes on after a failure, as a careless caller would. */
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

typedef bool Trial(FaultyMode mode, uint64_t nth, bool ignore_syncs, bool power_loss, uint64_t seed, bool *over,
                   Err *err);

static void sweep(Trial *of, FaultyMode mode, bool power_loss, uint64_t seeds, const char *what) {
  bool over = false;
  uint64_t n = 1;
  for (; !over; n++) {
    for (uint64_t seed = 0; seed < seeds; seed++) {
      Err err = {0};
      bool ok = of(mode, n, false, power_loss, n * 31 + seed, &over, &err);
      CHECK(ok);
      if (!ok)
        fprintf(stderr, "  %s at operation %d, seed %d: %s\n", what, (int)n, (int)seed, err.text);
    }
  }
  printf("%s: %d operations\n", what, (int)n - 2);
  CHECK(n > 100);
}

static void test_failing(void) { sweep(trial, FAULTY_IOERR, false, 1, "an operation fails"); }
static void test_failing_then_power(void) {
  sweep(trial, FAULTY_IOERR, true, 1, "an operation fails, then the power goes");
}
static void test_full(void) {
  sweep(trial, FAULTY_FULL, true, 1, "the disk is full, then the power goes");
}
static void test_kill(void) { sweep(trial, FAULTY_KILL, false, 1, "the process is killed"); }
static void test_power(void) { sweep(trial, FAULTY_KILL, true, 2, "the power goes"); }

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

/* ---- every part of a group ---- */

/* Group n of an application: streams and runs, rows of both, a page, a snapshot that goes and comes, a job that is
** enqueued, leased and done. What a store holds after each is what the one in memory holds. */
enum { PARTS_GROUPS = 8, WIDTH = 3 };
static Buf after_group[PARTS_GROUPS + 1]; /* the store in memory after so many groups, as text */

static bool parts_commit(Store *store, uint64_t n, Err *err) {
  char keys[WIDTH][16], page_bytes[300];
  uint64_t first = 1 + n * (WIDTH + 1);
  RunRow run = run_of(first, RUN_STATUS_PARKED, (int64_t)n), change = run_of(1, RUN_STATUS_DEAD, 0);
  StreamRow streams[WIDTH];
  LogRow rows[2 * WIDTH + 1];
  KvRow kv[3] = {{SPACE_SNAPSHOT, STR("same"), STR("state")},
                 {SPACE_REPLY, {(const char *)&n, sizeof n}, STR("reply")},
                 {SPACE_DELIVERY, STR("now and then"), n % 2 ? STR("x") : (Str){0}}};
  JobRow job = job_of(n + 1, "a", (uint8_t)(n % 10), (int64_t)n), updates[2];
  PageRow page = {.stream = 2, .through = 1 + n * COUNT_OF(rows), .bytes = {page_bytes, sizeof page_bytes}};
  memset(page_bytes, 'p', sizeof page_bytes);
  for (uint64_t i = 0; i < WIDTH; i++) {
    snprintf(keys[i], sizeof keys[i], "agent-%d", (int)(n * 7 + i));
    streams[i] = (StreamRow){.number = first + 1 + i, .key = str_of(keys[i])};
    rows[1 + i] = row_of(first + i, STR("its first row"));
    rows[1 + WIDTH + i] = row_of(1 + n + i, STR("one more row"));
  }
  rows[0] = row_of(2, STR("a row of the stream that has pages"));
  for (uint64_t i = 0; i < 2 && n > i; i++) {
    updates[i] = job_of(n - i, "a", 1, 0);
    updates[i].state = (uint8_t)(i ? JOB_DONE : JOB_EXECUTING);
    updates[i].lease = i + 1;
  }
  StoreGroup g = {.created = &run, .created_count = 1, .streams = streams, .stream_count = WIDTH, .rows = rows,
                  .row_count = COUNT_OF(rows), .updated = &change, .updated_count = n % 4 == 3, .pages = &page,
                  .page_count = n % 3 == 2, .kv = kv, .kv_count = COUNT_OF(kv), .jobs = &job, .job_count = 1,
                  .job_updates = updates, .job_update_count = n < 2 ? (uint32_t)n : 2,
                  .meta = "group", .meta_value = {keys[0], strlen(keys[0])}};
  return store_commit(store, &g, err);
}

static void know_parts(void) {
  Err err;
  Store *store = store_open_memory();
  for (uint64_t n = 0; n <= PARTS_GROUPS; n++) {
    dump_store(store, &after_group[n]);
    if (n < PARTS_GROUPS) CHECK(parts_commit(store, n, &err));
  }
  store_close(store);
}

/* Every setting that makes rare things happen often. */
static bool parts_open(Store **store, Err *err) {
  if (!store_open_sqlite(dir, "faulty", store, err)) return false;
  sqlite_store(*store)->flush.rows = 20;
  sqlite_store(*store)->flush.least = 2;
  sqlite_store(*store)->keys.held = 2;
  return true;
}

static uint64_t parts_live(void) {
  uint64_t acknowledged = 0;
  bool refused = false;
  Err err;
  Store *store;
  for (uint64_t half = 0; half < 2 && !refused; half++) {
    if (!parts_open(&store, &err)) break;
    for (uint64_t n = half * PARTS_GROUPS / 2; n < (half + 1) * PARTS_GROUPS / 2; n++) {
      sqlite_store(store)->checkpoint_at = n % 3 ? 1000 : 0;
      bool ok = parts_commit(store, n, &err);
      CHECK(!(ok && refused));
      if (!ok) CHECK(err.code == ERR_IO || err.code == ERR_FULL || err.code == ERR_DENIED);
      if (ok) acknowledged = n + 1;
      else refused = true;
    }
    store_close(store);
  }
  return acknowledged;
}

static bool parts_whole(Store *store, uint64_t acknowledged, Err *err) {
  Buf now = {0};
  uint64_t n = (store_next_run(store) - 1) / (WIDTH + 1);
  dump_store(store, &now);
  bool ok = n >= acknowledged && n <= acknowledged + 1 && str_equal(buf_view(&now), buf_view(&after_group[n]));
  if (!ok) FAIL(err, ERR_CORRUPT, "%d groups acknowledged, %d or parts of them there", (int)acknowledged, (int)n);
  if (ok && n < PARTS_GROUPS) {
    ok = parts_commit(store, n, err);
    dump_store(store, &now);
    if (ok && !str_equal(buf_view(&now), buf_view(&after_group[n + 1])))
      ok = (FAIL(err, ERR_CORRUPT, "it did not go on as it should after group %d", (int)n), false);
  }
  buf_deinit(&now);
  return ok;
}

static bool parts_trial(FaultyMode mode, uint64_t nth, bool ignore_syncs, bool power_loss, uint64_t seed, bool *over,
                        Err *err) {
  vfs = faulty_vfs_new("faulty");
  Store *store;
  faulty_vfs_ignore_syncs(vfs, ignore_syncs);
  faulty_vfs_arm(vfs, mode, nth);
  uint64_t acknowledged = parts_live();
  *over = faulty_vfs_ops(vfs) < nth;
  if (*over) CHECK(acknowledged == PARTS_GROUPS);
  faulty_vfs_restart(vfs, power_loss, seed);
  faulty_vfs_ignore_syncs(vfs, false);
  bool ok = parts_open(&store, err);
  if (ok) {
    ok = parts_whole(store, acknowledged, err);
    store_close(store);
  }
  faulty_vfs_free(vfs);
  return ok;
}

static void test_parts(void) {
  know_parts();
  sweep(parts_trial, FAULTY_IOERR, true, 1, "every part: an operation fails, then the power goes");
  sweep(parts_trial, FAULTY_FULL, true, 1, "every part: the disk is full, then the power goes");
  sweep(parts_trial, FAULTY_KILL, false, 1, "every part: the process is killed");
  sweep(parts_trial, FAULTY_KILL, true, 1, "every part: the power goes");
  int lost = 0;
  for (uint64_t n = 40; n < 400; n += 9) {
    bool over;
    Err err;
    lost += !parts_trial(FAULTY_KILL, n, true, true, n, &over, &err);
  }
  printf("every part, without syncs: %d of 40 power losses lost something\n", lost);
  CHECK(lost > 4);
  for (int n = 0; n <= PARTS_GROUPS; n++) buf_deinit(&after_group[n]);
}

int main(void) {
  RUN_TEST(test_failing);
  RUN_TEST(test_failing_then_power);
  RUN_TEST(test_full);
  RUN_TEST(test_kill);
  RUN_TEST(test_power);
  RUN_TEST(test_missing_sync_is_seen);
  RUN_TEST(test_parts);
  return TEST_END();
}
