/* The store's promises, the same for every back end; then what only a file can get wrong. */
#include "tests/unit/test.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <sqlite3.h>
#include "tests/support/faulty_vfs.h"
#include "vm/base/file.h"
#include "vm/base/hash.h"
#include "vm/store/store.h"

static FaultyVfs *vfs; /* a disk in memory for the SQLite back end */

typedef struct Backend {
  const char *name;
  bool keeps;
} Backend;
static const Backend backends[] = {{"memory", false}, {"sqlite", true}};

static Store *open_store(const Backend *b) {
  Store *store = NULL;
  Err err = {0};
  if (!b->keeps) return store_open_memory();
  bool ok = store_open_sqlite("s", "faulty", &store, &err);
  CHECK(ok);
  if (!ok) fprintf(stderr, "  %s\n", err.text);
  return store;
}

static Uuid id_of(uint8_t first, uint8_t last) {
  Uuid id = {{0x01, 0x92, 0xf3, 0x4a, first}};
  id.byte[15] = last;
  return id;
}

static Hash256 head_of(uint64_t n) { return sha256((Str){(const char *)&n, sizeof n}); }

static RunRow run_row(Store *store, uint8_t first, uint8_t last) {
  return (RunRow){.number = store_next_run(store),
                  .id = id_of(first, last),
                  .entry = STR("Refund"),
                  .parent = 0,
                  .bundle = head_of(1),
                  .status = RUN_STATUS_RUNNING,
                  .started_us = 100,
                  .note = STR("")};
}

static void add_run(Store *store, uint8_t first, uint8_t last) {
  Err err;
  RunRow run = run_row(store, first, last);
  CHECK(store_commit(store, &(StoreGroup){.created = &run, .created_count = 1}, &err));
}

static void add_row(Store *store, uint64_t run, const char *bytes) {
  Err err;
  LogRow row = {.run = run, .bytes = str_of(bytes), .head = head_of(strlen(bytes))};
  CHECK(store_commit(store, &(StoreGroup){.rows = &row, .row_count = 1}, &err));
}

typedef struct Joined {
  Buf text;
  uint64_t last, count;
  bool stop_at_one;
} Joined;
static bool join(void *context, const LogRow *row) {
  Joined *j = context;
  CHECK(row->prev == j->last);
  Hash256 want = head_of(row->bytes.size);
  CHECK(memcmp(&want, &row->head, sizeof want) == 0);
  j->last = row->gid;
  j->count++;
  buf_str(&j->text, row->bytes);
  buf_byte(&j->text, ' ');
  return !j->stop_at_one;
}

static void has_rows(Store *store, uint64_t run, const char *want) {
  Err err = {0};
  Joined j = {0};
  bool ok = store_log_each(store, run, join, &j, &err);
  CHECK(ok);
  if (!ok) fprintf(stderr, "  %s\n", err.text);
  CHECK_STR(buf_view(&j.text), str_of(want));
  buf_deinit(&j.text);
}

static uint64_t sum_numbers(Store *store, uint64_t from, int status);

/* ---- for each back end ---- */

static void commits_and_reads(const Backend *b) {
  Store *store = open_store(b);
  Buf keep = {0};
  Err err;
  RunRow row, both[2] = {run_row(store, 1, 1), run_row(store, 1, 2)};
  both[1].number = 2;
  both[1].parent = 1;
  LogRow rows[3] = {{.run = 1, .bytes = STR("a"), .head = head_of(1)},
                    {.run = 2, .bytes = STR("bb"), .head = head_of(2)},
                    {.run = 1, .bytes = STR("ccc"), .head = head_of(3)}};
  StoreGroup g = {.created = both, .created_count = 2, .rows = rows, .row_count = 3};
  CHECK(store_next_run(store) == 1);
  CHECK(store_commit(store, &g, &err));
  CHECK(rows[0].gid == 1 && rows[2].gid == 3 && rows[2].prev == 1 && rows[1].prev == 0);
  CHECK(store_next_run(store) == 3);
  has_rows(store, 1, "a ccc ");
  has_rows(store, 2, "bb ");
  CHECK(store_run_get(store, 2, &row, &keep, &err));
  CHECK(row.parent == 1 && row.status == RUN_STATUS_RUNNING && row.started_us == 100 &&
        row.last_gid == 2);
  CHECK_STR(row.entry, STR("Refund"));
  RunRow change = {.number = 2,
                   .status = RUN_STATUS_DONE,
                   .ended_us = 200,
                   .wake_us = 7,
                   .records = 9,
                   .note = STR("fine")};
  CHECK(store_commit(store, &(StoreGroup){.updated = &change, .updated_count = 1}, &err));
  CHECK(store_run_by_id(store, id_of(1, 2), &row, &keep, &err));
  CHECK(row.number == 2 && row.status == RUN_STATUS_DONE && row.ended_us == 200 &&
        row.wake_us == 7 && row.records == 9);
  CHECK_STR(row.note, STR("fine"));
  CHECK_STR(row.entry, STR("Refund"));
  CHECK(row.last_gid == 2 && store_stats(store).commits == 2 && store_stats(store).rows == 3);
  CHECK(!store_run_get(store, 3, &row, &keep, &err) && err.code == ERR_NOT_FOUND);
  CHECK(!store_log_each(store, 3, join, &(Joined){0}, &err) && err.code == ERR_NOT_FOUND);
  buf_deinit(&keep);
  store_close(store);
}

static void refuses_nonsense(const Backend *b) {
  Store *store = open_store(b);
  Err err;
  add_run(store, 1, 1);
  RunRow again = run_row(store, 1, 1), skipped = run_row(store, 1, 3);
  LogRow row = {.run = 2, .bytes = STR("x")};
  skipped.number = 5;
  CHECK(!store_commit(store, &(StoreGroup){.created = &again, .created_count = 1}, &err) &&
        err.code == ERR_INVALID);
  CHECK(!store_commit(store, &(StoreGroup){.created = &skipped, .created_count = 1}, &err) &&
        err.code == ERR_INVALID);
  CHECK(!store_commit(store, &(StoreGroup){.rows = &row, .row_count = 1}, &err) &&
        err.code == ERR_INVALID);
  LogRow mine = {.run = 1, .bytes = STR("x"), .head = head_of(1)};
  RunRow two[2] = {run_row(store, 9, 9), run_row(store, 1, 1)};
  two[1].number++;
  StoreGroup half = {.created = two, .created_count = 2, .rows = &mine, .row_count = 1};
  CHECK(!store_commit(store, &half, &err) && err.code == ERR_INVALID);
  has_rows(store, 1, ""); /* nothing of it, and the store is well */
  add_row(store, 1, "y");
  add_run(store, 9, 9);
  has_rows(store, 1, "y ");
  store_close(store);
}

static void finds_by_prefix(const Backend *b) {
  Store *store = open_store(b);
  Buf keep = {0};
  Err err;
  RunRow row;
  add_run(store, 0xaa, 1);
  add_run(store, 0xab, 2);
  CHECK(store_run_find(store, STR("0192f34a-aa"), &row, &keep, &err) && row.number == 1);
  CHECK(store_run_find(store, STR("0192F34A-AB"), &row, &keep, &err) && row.number == 2);
  CHECK(!store_run_find(store, STR("0192f34a-a"), &row, &keep, &err) && err.code == ERR_INVALID);
  CHECK(!store_run_find(store, STR("0192"), &row, &keep, &err) && err.code == ERR_INVALID);
  CHECK(!store_run_find(store, STR("0193"), &row, &keep, &err) && err.code == ERR_NOT_FOUND);
  CHECK(!store_run_find(store, STR("019"), &row, &keep, &err) && err.code == ERR_INVALID);
  CHECK(!store_run_find(store, STR("zzzz"), &row, &keep, &err) && err.code == ERR_INVALID);
  CHECK(!store_run_find(store, STR("0192f34aaa"), &row, &keep, &err) && err.code == ERR_INVALID);
  char text[37];
  uuid_text(id_of(0xab, 2), text);
  CHECK(store_run_find(store, str_of(text), &row, &keep, &err) && row.number == 2);
  CHECK(!store_run_by_id(store, id_of(0xab, 3), &row, &keep, &err) && err.code == ERR_NOT_FOUND);
  buf_deinit(&keep);
  store_close(store);
}

typedef struct Sum {
  uint64_t sum, most;
} Sum;
static bool sum_run(void *context, const RunRow *row) {
  Sum *s = context;
  s->sum += row->number;
  CHECK_STR(row->entry, STR("Refund"));
  return --s->most > 0;
}

static uint64_t sum_numbers(Store *store, uint64_t from, int status) {
  Sum s = {.most = UINT64_MAX};
  Err err;
  CHECK(store_run_each(store, from, status, sum_run, &s, &err));
  return s.sum;
}

static void lists_runs(const Backend *b) {
  enum { MANY = 600 };
  Store *store = open_store(b);
  Err err;
  RunRow rows[MANY];
  for (uint32_t i = 0; i < MANY; i++) {
    rows[i] = run_row(store, (uint8_t)(i >> 8), (uint8_t)i);
    rows[i].number = i + 1;
    rows[i].status = (RunStatus)(i % 8 + 1);
  }
  CHECK(store_commit(store, &(StoreGroup){.created = rows, .created_count = MANY}, &err));
  uint64_t all = MANY * (MANY + 1) / 2, open = 0, done = 0;
  for (uint64_t n = 1; n <= MANY; n++) {
    if (!run_status_over(rows[n - 1].status)) open += n;
    if (rows[n - 1].status == RUN_STATUS_DONE) done += n;
  }
  CHECK(sum_numbers(store, 0, 0) == all);
  CHECK(sum_numbers(store, 600, 0) == 600 && sum_numbers(store, 601, 0) == 0);
  CHECK(sum_numbers(store, 0, STORE_UNFINISHED) == open);
  CHECK(sum_numbers(store, 1, RUN_STATUS_DONE) == done);
  Sum few = {.most = 300};
  CHECK(store_run_each(store, 1, 0, sum_run, &few, &err) && few.sum == 300 * 301 / 2);
  store_close(store);
}

static void keeps_the_rest(const Backend *b) {
  Store *store = open_store(b);
  Buf got = {0};
  Err err;
  ImageRow image = {.run = 1, .seq = 5, .head = head_of(5), .bytes = STR("image one")}, out;
  StoreGroup g = {.images = &image, .image_count = 1};
  Hash256 bundle_id = head_of(77);
  Str bundle = STR("bundle");
  add_run(store, 1, 1);
  g.bundle_ids = &bundle_id;
  g.bundles = &bundle;
  g.bundle_count = 1;
  for (uint64_t i = 0; i < 5; i++)
    store_group_blob(&g, head_of(i % 4), i == 4 ? STR("not this") : STR("blob"));
  CHECK(store_commit(store, &g, &err));
  image = (ImageRow){.run = 1, .seq = 6, .head = head_of(6), .bytes = STR("two")};
  CHECK(store_commit(store, &(StoreGroup){.images = &image, .image_count = 1}, &err));
  CHECK(store_image_get(store, 1, &out, &got, &err) && out.seq == 6 &&
        str_equal(out.bytes, STR("two")));
  CHECK(memcmp(&out.head, &image.head, sizeof out.head) == 0);
  CHECK(!store_image_get(store, 2, &out, &got, &err) && err.code == ERR_NOT_FOUND);
  buf_clear(&got);
  CHECK(store_blob_get(store, head_of(0), &got, &err) &&
        str_equal(buf_view(&got), STR("blob"))); /* kept once */
  CHECK(!store_blob_get(store, head_of(9), &got, &err) && err.code == ERR_NOT_FOUND);
  buf_clear(&got);
  CHECK(store_bundle_get(store, bundle_id, &got, &err) && str_equal(buf_view(&got), STR("bundle")));
  CHECK(!store_bundle_get(store, head_of(1), &got, &err) && err.code == ERR_NOT_FOUND);
  buf_clear(&got);
  CHECK(store_meta_get(store, "tenant_key", &got, &err) && got.size == 32);
  CHECK(!store_meta_get(store, "nothing", &got, &err) && err.code == ERR_NOT_FOUND);
  CHECK(store_meta_set(store, "zone", STR("A"), &err) &&
        store_meta_set(store, "zone", STR("B"), &err));
  buf_clear(&got);
  CHECK(store_meta_get(store, "zone", &got, &err) && str_equal(buf_view(&got), STR("B")));
  store_group_deinit(&g);
  buf_deinit(&got);
  store_close(store);
}

/* Rows far apart, close together and alone: every way the walk back can go. */
static void walks_history(const Backend *b) {
  Store *store = open_store(b);
  Buf want[3] = {0};
  Joined one = {.stop_at_one = true};
  Err err;
  char text[16];
  for (uint8_t r = 0; r < 3; r++) add_run(store, r, r);
  for (uint32_t i = 0; i < 200; i++) {
    uint64_t run = i < 40 ? 1 : i % 30 == 0 ? 2 : i % 3 == 0 ? 1 : 3;
    snprintf(text, sizeof text, "%u", i);
    add_row(store, run, text);
    buf_text(&want[run - 1], text);
    buf_byte(&want[run - 1], ' ');
  }
  for (uint32_t r = 0; r < 3; r++) {
    buf_byte(&want[r], 0);
    has_rows(store, r + 1, want[r].at);
    buf_deinit(&want[r]);
  }
  CHECK(store_log_each(store, 1, join, &one, &err) && one.count == 1);
  buf_deinit(&one.text);
  store_close(store);
}

#define FOR_EACH_BACKEND(name)                        \
  static void test_##name(void) {                     \
    for (size_t i = 0; i < COUNT_OF(backends); i++) { \
      vfs = faulty_vfs_new("faulty");                 \
      name(&backends[i]);                             \
      faulty_vfs_free(vfs);                           \
    }                                                 \
  }
FOR_EACH_BACKEND(commits_and_reads)
FOR_EACH_BACKEND(refuses_nonsense)
FOR_EACH_BACKEND(finds_by_prefix)
FOR_EACH_BACKEND(lists_runs)
FOR_EACH_BACKEND(keeps_the_rest)
FOR_EACH_BACKEND(walks_history)

/* ---- reopening ---- */

static const Backend *const sqlite = &backends[1];

static void test_reopen(void) {
  Buf key = {0}, again = {0}, keep = {0};
  Err err;
  RunRow row;
  vfs = faulty_vfs_new("faulty");
  Store *store = open_store(sqlite);
  CHECK(store_meta_get(store, "tenant_key", &key, &err));
  add_run(store, 1, 1);
  add_row(store, 1, "a");
  store_close(store);
  store = open_store(sqlite);
  CHECK(store_next_run(store) == 2);
  CHECK(store_meta_get(store, "tenant_key", &again, &err) &&
        str_equal(buf_view(&key), buf_view(&again)));
  CHECK(store_run_get(store, 1, &row, &keep, &err) && row.last_gid == 1);
  add_row(store, 1, "bb");
  has_rows(store, 1, "a bb ");
  store_close(store);
  buf_deinit(&key);
  buf_deinit(&again);
  buf_deinit(&keep);
  faulty_vfs_free(vfs);
}

/* Killed without a close: the runs' rows are behind, and the log says so. A store that was only
 * read writes nothing. */
static void test_last_gid_after_kill(void) {
  Buf keep = {0};
  Err err;
  RunRow row;
  vfs = faulty_vfs_new("faulty");
  Store *store = open_store(sqlite);
  add_run(store, 1, 1);
  add_run(store, 2, 2);
  for (int i = 0; i < 5; i++) add_row(store, 1 + (uint64_t)i % 2, "r");
  faulty_vfs_arm(vfs, FAULTY_KILL, 1);
  store_close(store);
  faulty_vfs_restart(vfs, true, 1);
  uint64_t syncs = faulty_vfs_syncs(vfs);
  for (int i = 0; i < 2; i++) {
    store = open_store(sqlite);
    CHECK(store_run_get(store, 1, &row, &keep, &err) && row.last_gid == 5);
    CHECK(store_run_get(store, 2, &row, &keep, &err) && row.last_gid == 4);
    has_rows(store, 1, "r r r ");
    store_close(store);
    CHECK(faulty_vfs_syncs(vfs) == syncs);
  }
  store = open_store(sqlite);
  add_row(store, 2, "s");
  store_close(store);
  CHECK(faulty_vfs_syncs(vfs) > syncs);
  store = open_store(sqlite);
  has_rows(store, 2, "r r s ");
  store_close(store);
  buf_deinit(&keep);
  faulty_vfs_free(vfs);
}

static void test_syncs_are_counted(void) {
  vfs = faulty_vfs_new("faulty");
  Store *store = open_store(sqlite);
  add_run(store, 1, 1);
  add_row(store, 1, "x"); /* past the first write to a new WAL, whose header is synced too */
  uint64_t before = store_stats(store).syncs;
  for (int i = 0; i < 10; i++) add_row(store, 1, "x");
  CHECK(store_stats(store).syncs - before == 10); /* one sync a commit */
  CHECK(store_stats(store).syncs == faulty_vfs_syncs(vfs));
  store_close(store);
  faulty_vfs_free(vfs);
}

static void test_dead_stays_dead(void) {
  Err err;
  LogRow row = {.run = 1, .bytes = STR("x"), .head = head_of(1)};
  StoreGroup g = {.rows = &row, .row_count = 1};
  vfs = faulty_vfs_new("faulty");
  Store *store = open_store(sqlite);
  add_run(store, 1, 1);
  for (uint64_t n = 1; !faulty_vfs_hit(vfs); n++) { /* the first operation that is a write */
    faulty_vfs_arm(vfs, FAULTY_FULL, n);
    if (!store_commit(store, &g, &err)) break;
  }
  CHECK(faulty_vfs_hit(vfs) && err.code == ERR_FULL && strstr(err.text, "full") &&
        strstr(err.text, "space"));
  faulty_vfs_arm(vfs, FAULTY_FULL, 0);
  CHECK(!store_commit(store, &g, &err) && err.code == ERR_FULL && strstr(err.text, "earlier"));
  CHECK(!store_meta_set(store, "a", STR("b"), &err) && err.code == ERR_FULL);
  Joined j = {0};
  CHECK(store_log_each(store, 1, join, &j, &err)); /* reading goes on */
  buf_deinit(&j.text);
  store_close(store);
  faulty_vfs_free(vfs);
}

/* ---- what a file can be ---- */

static void opens_with(Str file, ErrCode code, const char *words) {
  Store *store;
  Err err = {0};
  vfs = faulty_vfs_new("faulty");
  faulty_vfs_plant(vfs, "s/z8.db", file);
  CHECK(!store_open_sqlite("s", "faulty", &store, &err));
  CHECK(err.code == code && strstr(err.text, words) && strstr(err.text, "s/z8.db"));
  if (err.code != code) fprintf(stderr, "  code %d: %s\n", err.code, err.text);
  faulty_vfs_free(vfs);
}

/* The bytes of a database made by these statements. */
static void database(const char *sql, Buf *out) {
  sqlite3 *db;
  sqlite3_int64 size = 0;
  CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK &&
        sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
  unsigned char *bytes = sqlite3_serialize(db, "main", &size, 0);
  buf_clear(out);
  buf_put(out, bytes, (size_t)size);
  sqlite3_free(bytes);
  sqlite3_close(db);
}

static void test_strange_files(void) {
  Buf file = {0};
  for (int i = 0; i < 9000; i++) buf_byte(&file, (uint8_t)(i * 31));
  opens_with(buf_view(&file), ERR_CORRUPT, "not a database");
  database("CREATE TABLE notes(a)", &file);
  opens_with(buf_view(&file), ERR_INVALID, "not one that z8 made");
  database("PRAGMA application_id = 1513642552; PRAGMA user_version = 99; CREATE TABLE a(b)",
           &file);
  opens_with(buf_view(&file), ERR_VERSION, "schema version 99");
  buf_deinit(&file);
}

enum { PAGE = 8192 };

/* A store of one run with 400 rows: the bytes of its file. */
static void good_file(Buf *out) {
  size_t size;
  vfs = faulty_vfs_new("faulty");
  Store *store = open_store(sqlite);
  add_run(store, 1, 1);
  for (int i = 0; i < 400; i++)
    add_row(store, 1, "some bytes to fill the pages of the log with, so that there are a few");
  store_close(store);
  const char *bytes = faulty_vfs_file(vfs, "s/z8.db", &size);
  buf_put(out, bytes, size);
  faulty_vfs_free(vfs);
}

/* Any page overwritten: an error or the right answer, never a crash and never a wrong answer
 * unseen. */
static void test_corrupt_pages(void) {
  Buf good = {0}, bad = {0}, keep = {0};
  int errors = 0;
  good_file(&good);
  for (size_t page = 0; page < good.size / PAGE; page++) {
    Store *store;
    RunRow row;
    Err err = {0};
    Joined j = {0};
    buf_clear(&bad);
    buf_put(&bad, good.at, good.size);
    memset(bad.at + page * PAGE + (page ? 0 : 100), 0x5a, PAGE - 100);
    vfs = faulty_vfs_new("faulty");
    faulty_vfs_plant(vfs, "s/z8.db", buf_view(&bad));
    bool ok = store_open_sqlite("s", "faulty", &store, &err);
    if (ok) {
      ok = store_log_each(store, 1, join, &j, &err) &&
           store_run_by_id(store, id_of(1, 1), &row, &keep, &err);
      store_close(store);
    }
    errors += !ok;
    CHECK(ok ? j.count == 400 : err.code == ERR_CORRUPT);
    if (!ok && err.code != ERR_CORRUPT) fprintf(stderr, "  page %zu: %s\n", page + 1, err.text);
    buf_deinit(&j.text);
    faulty_vfs_free(vfs);
  }
  CHECK(errors > 3);
  buf_deinit(&good);
  buf_deinit(&bad);
  buf_deinit(&keep);
}

/* ---- a real directory ---- */

static void remove_store(const char *dir) {
  static const char *const names[] = {"z8.db", "z8.db-wal", "z8.db-shm"};
  char path[256];
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    unlink(path);
  }
  rmdir(dir);
}

static Store *open_here(char *dir) {
  Store *store = NULL;
  Err err = {0};
  bool ok = mkdtemp(dir) && store_open_sqlite(dir, NULL, &store, &err);
  CHECK(ok);
  if (!ok) fprintf(stderr, "  %s\n", err.text);
  return store;
}

static void test_locked_by_another(void) {
  char dir[] = "/tmp/z8-store-XXXXXX", path[64];
  Err err;
  int ready[2], done[2];
  char byte = 0;
  Store *store = open_here(dir);
  add_run(store, 1, 1);
  snprintf(path, sizeof path, "%s/z8.db", dir);
  CHECK(pipe(ready) == 0 && pipe(done) == 0);
  pid_t child = fork();
  if (child == 0) {
    sqlite3 *db;
    int rc = sqlite3_open(path, &db);
    if (rc == SQLITE_OK) rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    byte = (char)rc;
    if (write(ready[1], &byte, 1) == 1 && read(done[0], &byte, 1) == 1) _exit(0);
    _exit(1);
  }
  CHECK(read(ready[0], &byte, 1) == 1 && byte == 0);
  LogRow row = {.run = 1, .bytes = STR("x"), .head = head_of(1)};
  CHECK(!store_commit(store, &(StoreGroup){.rows = &row, .row_count = 1}, &err) &&
        err.code == ERR_BUSY);
  CHECK(strstr(err.text, "another process"));
  CHECK(write(done[1], &byte, 1) == 1);
  waitpid(child, NULL, 0);
  store_close(store);
  remove_store(dir);
}

static void test_no_directory(void) {
  Store *store;
  Err err = {0};
  CHECK(!store_open_sqlite("/proc/nowhere/z8", NULL, &store, &err) && err.code != ERR_NONE &&
        err.text[0]);
  CHECK(!store_open_sqlite("x", "no such vfs", &store, &err) && err.code == ERR_INVALID);
}

typedef struct Reader {
  Store *store;
  bool *stop;
  uint64_t reads;
} Reader;

static bool is_ordered(void *context, const LogRow *row) {
  uint64_t *last = context;
  CHECK(row->prev == *last);
  *last = row->gid;
  return true;
}

static void *read_on(void *context) {
  Reader *r = context;
  Buf keep = {0};
  Err err;
  RunRow row;
  while (!__atomic_load_n(r->stop, __ATOMIC_RELAXED)) {
    uint64_t last = 0;
    CHECK(store_run_get(r->store, 1 + r->reads % 2, &row, &keep, &err));
    CHECK(store_log_each(r->store, row.number, is_ordered, &last, &err) && last >= row.last_gid);
    CHECK(sum_numbers(r->store, 0, STORE_UNFINISHED) >= 3);
    r->reads++;
  }
  buf_deinit(&keep);
  return NULL;
}

static void test_two_read_while_one_writes(void) {
  char dir[] = "/tmp/z8-store-XXXXXX";
  bool stop = false;
  pthread_t threads[2];
  Store *store = open_here(dir);
  Reader readers[2] = {{.store = store, .stop = &stop}, {.store = store, .stop = &stop}};
  add_run(store, 1, 1);
  add_run(store, 2, 2);
  for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, read_on, &readers[i]) == 0);
  for (int i = 0; i < 300; i++) {
    add_row(store, 1 + (uint64_t)i % 2, "row");
    if (i % 50 == 0) add_run(store, 3, (uint8_t)i);
  }
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  CHECK(readers[0].reads > 0 && readers[1].reads > 0);
  store_close(store);
  remove_store(dir);
}

int main(void) {
  RUN_TEST(test_commits_and_reads);
  RUN_TEST(test_refuses_nonsense);
  RUN_TEST(test_finds_by_prefix);
  RUN_TEST(test_lists_runs);
  RUN_TEST(test_keeps_the_rest);
  RUN_TEST(test_walks_history);
  RUN_TEST(test_reopen);
  RUN_TEST(test_last_gid_after_kill);
  RUN_TEST(test_syncs_are_counted);
  RUN_TEST(test_dead_stays_dead);
  RUN_TEST(test_strange_files);
  RUN_TEST(test_corrupt_pages);
  RUN_TEST(test_locked_by_another);
  RUN_TEST(test_no_directory);
  RUN_TEST(test_two_read_while_one_writes);
  return TEST_END();
}
