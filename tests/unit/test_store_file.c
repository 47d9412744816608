/* Both back ends are given the same groups, sound or not; then what only a file can get wrong: what is behind in it
** after a crash, keys on the way to their index, spoiled pages, an older schema, a query without an index. */
#include "tests/unit/test.h"
#include <pthread.h>
#include <sqlite3.h>
#include "tests/unit/store_world.h"
#include "vm/store/sqlite_impl.h"

/* ---- the same groups, sound or not, to both ---- */

enum { PART = 6 };
typedef struct Parts {
  RunRow created[PART], updated[PART];
  StreamRow streams[PART];
  LogRow rows[PART];
  PageRow pages[PART];
  KvRow kv[PART];
  JobRow jobs[PART], job_updates[PART];
  char text[PART][8], keys[PART][12];
} Parts;

static uint64_t chance;
static uint64_t any(uint64_t below) {
  chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407;
  return (chance >> 33) % below;
}

static Str any_text(void) {
  static const char *const texts[] = {"a", "bb", "ccc", "dddd", "a\xff", "ab"};
  return str_of(texts[any(COUNT_OF(texts))]);
}

static Str any_key(char text[12]) {
  snprintf(text, 12, "%.*s%u", (int)any(9), "same-pre", (unsigned)any(20));
  return str_of(text);
}

static void any_numbers(Store *store, Parts *p, StoreGroup *g) {
  uint64_t next = store_next_run(store), count = any(4);
  for (uint64_t i = 0; i < count; i++) {
    uint64_t number = next + (any(30) ? i : i + 1);
    if (any(2)) {
      p->created[g->created_count] = run_of(number, (RunStatus)(1 + any(9)), (int64_t)any(80) - 10);
      if (any(40) == 0) p->created[g->created_count].id = id_of(1);
      g->created_count++;
    } else {
      snprintf(p->text[i], sizeof p->text[i], "s%03u", (unsigned)any(1000));
      p->streams[g->stream_count++] = (StreamRow){.number = number, .key = str_of(p->text[i])};
    }
  }
  uint64_t limit = next + count + (any(40) == 0);
  for (uint64_t n = any(PART); n > 0 && limit > 1; n--)
    p->rows[g->row_count++] = row_of(1 + any(limit - 1), any_text());
  for (uint64_t n = any(2); n > 0 && next > 1; n--)
    p->updated[g->updated_count++] = run_of(1 + any(next - 1), (RunStatus)(1 + any(9)), (int64_t)any(80) - 10);
}

/* A page of some row: often one that makes no sense. */
static void any_page(Store *store, Parts *p, StoreGroup *g) {
  LogRow row;
  Buf keep = {0};
  Err err;
  if (store_last_gid(store) > 0 && any(3) == 0 &&
      store_log_get(store, 1 + any(store_last_gid(store)), &row, &keep, &err))
    p->pages[g->page_count++] = (PageRow){.stream = row.run, .through = row.gid, .bytes = any_text()};
  buf_deinit(&keep);
}

static void any_rest(Store *store, Parts *p, StoreGroup *g) {
  uint64_t next = store_next_job(store);
  for (uint64_t n = any(PART); n > 0; n--)
    p->kv[g->kv_count++] = (KvRow){(uint8_t)(1 + any(8)), any_key(p->keys[n - 1]), any(3) ? any_text() : (Str){0}};
  for (uint64_t n = any(3); n > 0; n--) {
    p->jobs[g->job_count] = job_of(next + g->job_count, any(3) ? "a" : "b", (uint8_t)any(10), (int64_t)any(100));
    p->jobs[g->job_count].lease = any(3);
    g->job_count++;
  }
  for (uint64_t n = any(3); n > 0 && next > 1; n--) {
    JobRow *job = &p->job_updates[g->job_update_count++];
    *job = job_of(1 + any(next - 1), "b", (uint8_t)any(10), (int64_t)any(100));
    job->state = (uint8_t)(1 + any(5));
    job->lease = any(20) ? 5 + store_last_gid(store) : 1;
  }
}

static void any_group(Store *store, Parts *p, StoreGroup *g) {
  *g = (StoreGroup){.created = p->created,
                    .updated = p->updated,
                    .streams = p->streams,
                    .rows = p->rows,
                    .pages = p->pages,
                    .kv = p->kv,
                    .jobs = p->jobs,
                    .job_updates = p->job_updates};
  any_numbers(store, p, g);
  any_page(store, p, g);
  any_rest(store, p, g);
}

static Store *again(Store *store, uint64_t round) {
  if (round % 3 == 0) faulty_vfs_arm(vfs, FAULTY_KILL, 1); /* its close writes nothing */
  store_close(store);
  faulty_vfs_restart(vfs, round % 6 == 0, round);
  store = open_sqlite();
  if (round % 2) sqlite_store(store)->flush.rows = 30, sqlite_store(store)->flush.least = 3; /* it is always at it */
  if (round % 2) sqlite_store(store)->keys.held = 2;
  return store;
}

static void test_same_groups(void) {
  uint64_t refused = 0, accepted = 0;
  Buf one = {0}, two = {0};
  vfs = faulty_vfs_new("faulty");
  Store *m = store_open_memory(), *s = open_sqlite();
  for (uint64_t round = 1; round <= 1500; round++) {
    static Parts p, q;
    Err err, other;
    StoreGroup g;
    any_group(s, &p, &g);
    q = p;
    StoreGroup h = g;
    h.rows = q.rows;
    h.pages = q.pages;
    bool ok = store_commit(m, &g, &err);
    CHECK(ok == store_commit(s, &h, &other));
    if (!ok) CHECK_STR(str_of(err.text), str_of(other.text));
    for (uint32_t i = 0; ok && i < g.page_count; i++)
      CHECK(p.pages[i].id == q.pages[i].id && p.pages[i].prev == q.pages[i].prev);
    *(ok ? &accepted : &refused) += 1;
    if (round % 150 == 0) s = again(s, round / 150);
    if (round % 50 != 0) continue;
    dump_store(m, &one);
    dump_store(s, &two);
    CHECK(str_equal(buf_view(&one), buf_view(&two)));
  }
  CHECK(refused > 100 && accepted > 500 && one.size > 100000);
  store_close(m);
  store_close(s);
  buf_deinit(&one);
  buf_deinit(&two);
  faulty_vfs_free(vfs);
}

/* ---- only in a file ---- */

/* Enough rows that the streams' rows in the file are brought up to date while it goes on; then a crash. */
static void test_behind(void) {
  enum { STREAMS = 3000, ROUNDS = 110, ROWS = 512 };
  static StreamRow streams[STREAMS];
  static LogRow rows[ROWS];
  static uint64_t last[STREAMS + 1];
  char key[STREAMS][8];
  Buf keep = {0};
  Err err;
  StreamRow row;
  vfs = faulty_vfs_new("faulty");
  Store *store = open_sqlite();
  for (uint64_t i = 0; i < STREAMS; i++) {
    snprintf(key[i], sizeof key[i], "%d", (int)i);
    streams[i] = (StreamRow){.number = i + 1, .key = str_of(key[i])};
  }
  commit_ok(store, &(StoreGroup){.streams = streams, .stream_count = STREAMS});
  for (uint64_t round = 0; round < ROUNDS; round++) {
    for (uint64_t i = 0; i < ROWS; i++) rows[i] = row_of(1 + any(i % 2 ? STREAMS : 50), STR("row"));
    commit_ok(store, &(StoreGroup){.rows = rows, .row_count = ROWS});
    for (uint64_t i = 0; i < ROWS; i++) {
      CHECK(rows[i].prev == last[rows[i].run]);
      last[rows[i].run] = rows[i].gid;
    }
  }
  CHECK(sqlite_store(store)->indexed_gid > 0 && sqlite_store(store)->indexed_gid < ROUNDS * ROWS);
  for (int turn = 0; turn < 3; turn++) {
    for (uint64_t n = 1; n <= STREAMS; n++) {
      CHECK(store_stream_get(store, n, &row, &keep, &err) && row.last_gid == last[n]);
    }
    CHECK(store_counts(store).streams == STREAMS && store_next_run(store) == STREAMS + 1);
    if (turn < 1) faulty_vfs_arm(vfs, FAULTY_KILL, 1);
    store_close(store);
    faulty_vfs_restart(vfs, true, 1);
    store = open_sqlite();
    if (turn == 0) CHECK(sqlite_store(store)->dirty_count > 100);
    rows[0] = row_of(7, STR("more"));
    commit_ok(store, &(StoreGroup){.rows = rows, .row_count = 1});
    CHECK(rows[0].prev == last[7]);
    last[7] = rows[0].gid;
    sqlite_store(store)->checkpoint_at = 0;
  }
  store_close(store);
  buf_deinit(&keep);
  faulty_vfs_free(vfs);
}

/* ---- keys that come at random ---- */

static void random_key(uint64_t n, char key[16]) {
  Hash256 h = head_of(n);
  memcpy(key, h.byte, 16);
}

static void put_keys(Store *store, uint64_t from, uint64_t count, const char *value) {
  static KvRow rows[100];
  static char keys[100][16];
  for (uint64_t i = 0; i < count; i++) {
    random_key(from + i, keys[i]);
    rows[i] = (KvRow){SPACE_REPLY, {keys[i], 16}, str_of(value)};
    if (!value) rows[i].value = (Str){0};
  }
  commit_ok(store, &(StoreGroup){.kv = rows, .kv_count = (uint32_t)count});
}

static bool has_key(Store *store, uint64_t n, const char *want) {
  Buf value = {0};
  Err err = {0};
  char key[16];
  random_key(n, key);
  bool found = store_kv_get(store, SPACE_REPLY, (Str){key, 16}, &value, &err);
  bool right = want ? found && str_equal(buf_view(&value), str_of(want)) : !found && err.code == ERR_NOT_FOUND;
  buf_deinit(&value);
  return right;
}

typedef struct InOrder {
  char last[16];
  uint64_t count;
} InOrder;
static bool is_in_order(void *context, Str key, Str value) {
  InOrder *o = context;
  CHECK(key.size == 16 && (o->count == 0 || memcmp(key.at, o->last, 16) > 0) && value.size == 1);
  memcpy(o->last, key.at, 16);
  o->count++;
  return true;
}

static uint64_t rows_of(Store *store, const char *table) {
  char sql[64];
  sqlite3_stmt *q = NULL;
  snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table);
  uint64_t count = UINT64_MAX;
  if (sqlite3_prepare_v2(sqlite_store(store)->writer, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
    count = (uint64_t)sqlite3_column_int64(q, 0);
  sqlite3_finalize(q);
  return count;
}

/* Set, set again and dropped while they are fresh, in the index, or both, over crashes and closes: none is lost, none
** comes back, and when all are in the index no row is left that nothing leads to. */
static void test_scattered_keys(void) {
  Err err;
  vfs = faulty_vfs_new("faulty");
  Store *store = open_sqlite();
  for (int turn = 0; turn < 3; turn++) {
    sqlite_store(store)->keys.held = turn == 1 ? 100000 : 150;
    uint64_t base = (uint64_t)turn * 10000;
    for (uint64_t n = 0; n < 1500; n += 100) put_keys(store, base + n, 100, "1");
    put_keys(store, base + 700, 100, "2");
    put_keys(store, base + 1300, 100, "2");
    put_keys(store, base + 0, 100, NULL);
    put_keys(store, base + 1450, 50, NULL);
    put_keys(store, base + 9000, 50, NULL);
    if (turn == 2) CHECK(sqlite_store(store)->keys.fresh.count < 600 && rows_of(store, "scattered_index") > 1000);
    for (int again = 0; again < 3; again++) {
      for (uint64_t n = 0; n < 1500; n++)
        CHECK(has_key(store, base + n, n < 100 || n >= 1450 ? NULL : n / 100 == 7 || n / 100 == 13 ? "2" : "1"));
      InOrder all = {0};
      CHECK(store_kv_each(store, SPACE_REPLY, STR(""), STR(""), is_in_order, &all, &err));
      CHECK(all.count == 1350 * ((uint64_t)turn + 1) && rows_of(store, "scattered") >= all.count);
      if (again == 0) faulty_vfs_arm(vfs, FAULTY_KILL, 1);
      store_close(store);
      faulty_vfs_restart(vfs, true, 1);
      store = open_sqlite();
      if (again == 1) put_keys(store, base + 700, 1, "2"); /* so that closing settles it */
      if (again == 2) CHECK(turn != 1 || sqlite_store(store)->keys.fresh.count < 2048);
    }
  }
  CHECK(keys_sweep_all(sqlite_store(store)) == SQLITE_OK);
  CHECK(sqlite_store(store)->keys.fresh.count == 0);
  CHECK(rows_of(store, "scattered_index") == 3 * 1350 && rows_of(store, "scattered") == 3 * 1350);
  store_close(store);
  store = open_sqlite();
  CHECK(sqlite_store(store)->keys.fresh.count == 0);
  put_keys(store, 1, 1, "3");
  CHECK(has_key(store, 1, "3") && has_key(store, 20200, "1"));
  store_close(store);
  faulty_vfs_free(vfs);
}

typedef struct Reader {
  Store *store;
  uint64_t written; /* keys that are committed; atomic */
  bool stop;        /* atomic */
  uint64_t reads;
} Reader;

static void *read_keys(void *context) {
  Reader *r = context;
  for (uint64_t n = 0; !__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE); n++) {
    uint64_t written = __atomic_load_n(&r->written, __ATOMIC_ACQUIRE);
    if (written == 0) continue;
    CHECK(has_key(r->store, n * 7919 % written, "1"));
    InOrder all = {0};
    Err err;
    if (n % 64 == 0)
      CHECK(store_kv_each(r->store, SPACE_REPLY, STR(""), STR(""), is_in_order, &all, &err) && all.count >= written);
    r->reads++;
  }
  return NULL;
}

/* A key that is there is there at every moment, whichever place it is just in. */
static void test_keys_while_they_move(void) {
  pthread_t thread;
  vfs = faulty_vfs_new("faulty");
  Reader reader = {.store = open_sqlite()};
  sqlite_store(reader.store)->keys.held = 300;
  CHECK(pthread_create(&thread, NULL, read_keys, &reader) == 0);
  for (uint64_t n = 0; n < 6000; n += 50) {
    put_keys(reader.store, n, 50, "1");
    __atomic_store_n(&reader.written, n + 50, __ATOMIC_RELEASE);
    if (n % 500 == 0) put_keys(reader.store, n / 2, 50, "1");
  }
  __atomic_store_n(&reader.stop, true, __ATOMIC_RELEASE);
  pthread_join(thread, NULL);
  CHECK(reader.reads > 0);
  store_close(reader.store);
  faulty_vfs_free(vfs);
}

/* ---- strange files ---- */

static void fill(Store *store) {
  static Parts p;
  StoreGroup g;
  Err err;
  for (uint64_t n = 0; n < 300; n += 100) put_keys(store, n, 100, "1");
  for (int n = 0; n < 300; n++) {
    any_group(store, &p, &g);
    if (!store_commit(store, &g, &err)) CHECK(err.code == ERR_INVALID);
  }
  StreamRow stream = {.number = store_next_run(store), .key = STR("long")};
  commit_ok(store, &(StoreGroup){.streams = &stream, .stream_count = 1});
  for (int n = 0; n < 300; n++) {
    LogRow row = row_of(stream.number, STR("a row of a stream that has pages"));
    PageRow page = {.stream = stream.number, .through = store_last_gid(store) + 1, .bytes = STR("five of them")};
    commit_ok(store, &(StoreGroup){.rows = &row, .row_count = 1, .pages = &page, .page_count = n % 5 == 4});
  }
}

/* Any page of a file that has everything overwritten: what is asked is answered, or refused with the reason. */
static void test_corrupt_pages(void) {
  enum { PAGE = 8192 };
  Buf good = {0}, bad = {0}, out = {0}, keep = {0};
  size_t size;
  int refused = 0;
  vfs = faulty_vfs_new("faulty");
  Store *store = open_sqlite();
  sqlite_store(store)->keys.held = 100;
  fill(store);
  CHECK(sqlite_settle(sqlite_store(store), &(Err){0}));
  store_close(store);
  const char *bytes = faulty_vfs_file(vfs, "s/z8.db", &size);
  buf_put(&good, bytes, size);
  faulty_vfs_free(vfs);
  for (size_t at = 0; at < good.size; at += PAGE) {
    buf_clear(&bad);
    buf_put(&bad, good.at, good.size);
    memset(bad.at + at + (at ? 0 : 100), 0x5a, PAGE - 100);
    vfs = faulty_vfs_new("faulty");
    faulty_vfs_plant(vfs, "s/z8.db", buf_view(&bad));
    Err err = {0};
    StreamRow stream;
    bool ok = store_open_sqlite("s", "faulty", &store, &err);
    if (ok) {
      buf_clear(&out);
      ok = store_run_each(store, 1, 0, dump_run, &out, &err) && store_run_due(store, 5, 9999, dump_run, &out, &err) &&
           store_stream_each(store, STR(""), STR(""), dump_stream, &out, &err) &&
           store_stream_find(store, STR("long"), &stream, &keep, &err) &&
           store_stream_read(store, stream.number, 9, dump_row, &out, &err) &&
           store_log_from(store, 0, dump_row, &out, &err) &&
           store_kv_each(store, SPACE_REPLY, STR(""), STR(""), dump_kv, &out, &err) &&
           store_job_each(store, 1, 0, dump_job, &out, &err) && store_job_each(store, 1, 1, dump_job, &out, &err) &&
           store_job_due(store, STR("a"), 99999, 9999, dump_job, &out, &err);
      store_close(store);
    }
    refused += !ok;
    CHECK(ok || err.code == ERR_CORRUPT || err.code == ERR_NOT_FOUND);
    if (!ok && err.code != ERR_CORRUPT && err.code != ERR_NOT_FOUND)
      fprintf(stderr, "  page %zu: %s\n", at / PAGE, err.text);
    faulty_vfs_free(vfs);
  }
  CHECK(refused > 20);
  buf_deinit(&good);
  buf_deinit(&bad);
  buf_deinit(&out);
  buf_deinit(&keep);
}

/* As version 1 made it. */
static const char version_one[] =
    "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL;"
    "CREATE TABLE log(gid INTEGER PRIMARY KEY, run INT, prev INT, head BLOB, bytes BLOB);"
    "CREATE TABLE run(number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, bundle BLOB NOT NULL,"
    "  entry TEXT NOT NULL, parent INT NOT NULL, status INT NOT NULL, started INT NOT NULL,"
    "  ended INT NOT NULL, wake INT NOT NULL, last_gid INT NOT NULL, records INT NOT NULL,"
    "  note TEXT NOT NULL) STRICT;"
    "CREATE INDEX run_open ON run(number) WHERE status IN (1, 2, 6, 7);"
    "CREATE TABLE image(run INTEGER PRIMARY KEY, seq INT NOT NULL, head BLOB NOT NULL,"
    "  bytes BLOB NOT NULL) STRICT;"
    "CREATE TABLE blob(id BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL) STRICT;"
    "CREATE TABLE bundle(id BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL) STRICT;"
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "INSERT INTO meta VALUES('tenant_key', zeroblob(32)), ('indexed_gid', x'31');"
    "INSERT INTO run VALUES(1, x'0192f300000000000000000000000001', zeroblob(32), 'Main', 0, 2, 5, 0, 30, 1, 1, '');"
    "INSERT INTO run VALUES(2, x'0192f300000000000000000000000002', zeroblob(32), 'Main', 0, 1, 5, 0, 0, 0, 1, '');"
    "INSERT INTO log VALUES(1, 1, 0, zeroblob(32), x'61'), (2, 2, 0, zeroblob(32), x'62'), (3, 1, 1, zeroblob(32), "
    "x'63');"
    "PRAGMA application_id = 1513642552; PRAGMA user_version = 1;";

static void plant_version_one(void) {
  sqlite3 *db;
  sqlite3_int64 size = 0;
  CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK && sqlite3_exec(db, version_one, NULL, NULL, NULL) == SQLITE_OK);
  unsigned char *bytes = sqlite3_serialize(db, "main", &size, 0);
  faulty_vfs_plant(vfs, "s/z8.db", (Str){(const char *)bytes, (size_t)size});
  sqlite3_free(bytes);
  sqlite3_close(db);
}

static bool is_migrated(Store *store) {
  Buf keep = {0}, rows = {0};
  Err err;
  StreamRow stream = {.number = 3, .key = STR("new")}, found;
  bool ok = store_next_run(store) == 3 && store_log_each(store, 1, join, &rows, &err) &&
            str_equal(buf_view(&rows), STR("1:a 3:c ")) &&
            store_commit(store, &(StoreGroup){.streams = &stream, .stream_count = 1}, &err) &&
            store_stream_find(store, STR("new"), &found, &keep, &err) && found.number == 3;
  buf_deinit(&keep);
  buf_deinit(&rows);
  return ok;
}

/* A store of version 1 becomes one of this version, also when the power goes at any moment of it. */
static void test_migration(void) {
  bool over = false;
  uint64_t n = 0;
  for (; !over; n++) {
    Store *store = NULL;
    Err err;
    vfs = faulty_vfs_new("faulty");
    plant_version_one();
    faulty_vfs_arm(vfs, FAULTY_KILL, n);
    if (store_open_sqlite("s", "faulty", &store, &err)) store_close(store);
    over = n > 0 && !faulty_vfs_hit(vfs);
    faulty_vfs_restart(vfs, true, n);
    store = open_sqlite();
    CHECK(store && is_migrated(store));
    runs_are(store, STORE_RESUMABLE, "1 2 "); /* version 1 took all of them up, so they are once more */
    runs_due(store, 30, 9, "");
    store_close(store);
    faulty_vfs_free(vfs);
  }
  CHECK(n > 20);
}

/* Every query finds its rows by an index: a million that are over, asleep or of others cost nothing. Those that look
** at all rows of a table are named here. */
static void test_queries_use_indexes(void) {
  static const struct {
    const char *name, *sql;
  } queries[] = {
#define STATEMENT(name, sql) {#name, sql},
      READ_STATEMENTS(STATEMENT) WRITE_STATEMENTS(STATEMENT)
#undef STATEMENT
  };
  vfs = faulty_vfs_new("faulty");
  Store *store = open_sqlite();
  int planned = 0;
  for (size_t i = 0; i < COUNT_OF(queries); i++) {
    Buf sql = {0};
    sqlite3_stmt *q = NULL;
    buf_format(&sql, "EXPLAIN QUERY PLAN %s", queries[i].sql);
    buf_byte(&sql, 0);
    if (sqlite3_prepare_v2(sqlite_store(store)->reader, sql.at, -1, &q, NULL) == SQLITE_OK) {
      while (sqlite3_step(q) == SQLITE_ROW) {
        const char *step = (const char *)sqlite3_column_text(q, 3);
        bool all = strncmp(step, "SCAN", 4) == 0 && strcmp(step, "SCAN CONSTANT ROW") != 0,
             sorts = strstr(step, "TEMP B-TREE");
        if (strcmp(queries[i].name, "MAX_PAGE") == 0 || strncmp(queries[i].name, "MAX_", 4) == 0)
          all = false; /* the last row only */
        CHECK(!all && !sorts);
        if (all || sorts) fprintf(stderr, "  %s: %s\n", queries[i].name, step);
        planned++;
      }
    }
    sqlite3_finalize(q);
    buf_deinit(&sql);
  }
  CHECK(planned > 40);
  static const struct {
    ReadStatement which;
    const char *index;
  } partial[] = {{READ_RUNS_OPEN, "run_open"},
                 {READ_RUNS_DEAD, "run_dead"},
                 {READ_RUNS_RESUMABLE, "run_resumable"},
                 {READ_RUNS_DUE, "run_wake (wake>? AND wake<?)"},
                 {READ_RUNS_DUE_SAME, "run_wake (wake=? AND rowid>?)"},
                 {READ_NEXT_WAKE, "run_wake"},
                 {READ_JOBS_OPEN, "job_open"},
                 {READ_JOBS_DUE, "job_ready (queue=? AND priority=? AND due>? AND due<?)"},
                 {READ_JOBS_DUE_SAME, "job_ready (queue=? AND priority=? AND due=? AND rowid>?)"},
                 {READ_JOB_NEXT, "job_ready"}};
  for (size_t i = 0; i < COUNT_OF(partial); i++) {
    Buf sql = {0};
    sqlite3_stmt *q = NULL;
    buf_format(&sql, "EXPLAIN QUERY PLAN %s", sqlite3_sql(sqlite_store(store)->read[partial[i].which]));
    buf_byte(&sql, 0);
    CHECK(sqlite3_prepare_v2(sqlite_store(store)->reader, sql.at, -1, &q, NULL) == SQLITE_OK &&
          sqlite3_step(q) == SQLITE_ROW);
    const char *step = (const char *)sqlite3_column_text(q, 3);
    CHECK(step && strstr(step, partial[i].index));
    if (!step || !strstr(step, partial[i].index)) fprintf(stderr, "  %s\n", step);
    sqlite3_finalize(q);
    buf_deinit(&sql);
  }
  store_close(store);
  faulty_vfs_free(vfs);
}

int main(void) {
  RUN_TEST(test_same_groups);
  RUN_TEST(test_behind);
  RUN_TEST(test_scattered_keys);
  RUN_TEST(test_keys_while_they_move);
  RUN_TEST(test_corrupt_pages);
  RUN_TEST(test_migration);
  RUN_TEST(test_queries_use_indexes);
  return TEST_END();
}
