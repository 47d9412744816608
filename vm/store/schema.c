/* Version N of the schema is the first N steps below. A step is never changed once it
** is released: a new version is a new step. */
#include "vm/store/schema.h"
#include "vm/base/file.h"

#define APPLICATION_ID 0x5a385a38 /* "Z8Z8", in the file's header: says whose database it is */
#define TEXT_OF(n) #n
#define TEXT_OF_VALUE(n) TEXT_OF(n)

static const char *const steps[] = {
    /* 1. The log is append-only, one row for all records of one run in one commit. run_open must be named by its
    ** exact condition in queries: statuses that are not over (store.h). */
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
    "PRAGMA application_id = " TEXT_OF_VALUE(APPLICATION_ID) ";",
    /* 2. Applications: streams, their pages, keys and values, jobs; a run may be dead or sleep in the file alone.
    ** Partial indexes are used only where a query names their exact condition (sqlite_impl.h), and with a list of
    ** values (IN) each change of a row would make a temporary table, to look in. job_open and run_resumable hold what
    ** an opening must look at; what is over costs nothing then. Runs parked by version 1 were all taken up at a start,
    ** and nobody told their parents: so once more. scattered: sqlite_keys.c. */
    "UPDATE run SET wake = -1 WHERE status = 2;"
    "DROP INDEX run_open;"
    "CREATE INDEX run_open ON run(number) WHERE status < 3 OR status > 5 AND status <> 8;"
    "CREATE INDEX run_dead ON run(number) WHERE status = 9;"
    "CREATE INDEX run_resumable ON run(number) WHERE status = 1 OR status = 6 OR status = 7 OR status = 2 AND wake < 0;"
    "CREATE INDEX run_wake ON run(wake) WHERE status = 2 AND +wake > 0;"
    "CREATE TABLE stream(number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, last_gid INT NOT NULL,"
    "  page INT NOT NULL) STRICT;"
    "CREATE TABLE page(id INTEGER PRIMARY KEY, stream INT NOT NULL, prev INT NOT NULL, through INT NOT NULL,"
    "  bytes BLOB NOT NULL) STRICT;"
    "CREATE TABLE kv(space INT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY(space, key))"
    "  STRICT, WITHOUT ROWID;"
    "CREATE TABLE scattered(seq INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB NOT NULL) STRICT;"
    "CREATE TABLE scattered_index(key BLOB PRIMARY KEY, seq INT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE job(number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, worker TEXT NOT NULL,"
    "  queue TEXT NOT NULL, state INT NOT NULL, priority INT NOT NULL, due INT NOT NULL, enqueued INT NOT NULL,"
    "  ended INT NOT NULL, attempt INT NOT NULL, lease INT NOT NULL, run INT NOT NULL, input BLOB NOT NULL,"
    "  meta BLOB NOT NULL, uniq BLOB NOT NULL, note TEXT NOT NULL) STRICT;"
    "CREATE INDEX job_ready ON job(queue, priority, due) WHERE state = 1;"
    "CREATE INDEX job_open ON job(state) WHERE state < 3 OR state = 5;",
};
enum { VERSION = COUNT_OF(steps) };

/* ---- SQLite's errors in our terms ---- */

static ErrCode code_of(int rc) {
  switch (rc & 0xff) {
    case SQLITE_FULL:
      return ERR_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ERR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ERR_CORRUPT;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
      return ERR_DENIED;
    case SQLITE_CONSTRAINT:
      return ERR_INVALID;
    case SQLITE_TOOBIG:
      return ERR_LIMIT;
    default:
      return ERR_IO;
  }
}

static const char *advice(int rc) {
  switch (rc & 0xff) {
    case SQLITE_FULL:
      return "; free some space, then `z8 recover`";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "; another process is writing to it: end that one first";
    case SQLITE_NOTADB:
      return "; move the file away, or name another --dir";
    case SQLITE_CORRUPT:
      return "; restore it from a backup, and have the disk checked";
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      return "; the directory and the files in it must be writable by this user";
    case SQLITE_IOERR:
      return "; look at the disk and the system's log, then `z8 recover`";
    default:
      return "";
  }
}

bool sqlite_failed(sqlite3 *db, int rc, const char *path, const char *doing, Err *err) {
  bool latest =
      db && (sqlite3_errcode(db) & 0xff) == (rc & 0xff); /* else db speaks of another call */
  FAIL(err, code_of(rc), "%s: %s: SQLite says: %s (%d)%s", path, doing,
       latest ? sqlite3_errmsg(db) : sqlite3_errstr(rc), latest ? sqlite3_extended_errcode(db) : rc,
       advice(rc));
  return false;
}

/* ---- versions ---- */

static bool read_int(sqlite3 *db, const char *sql, int64_t *out, const char *path, Err *err) {
  sqlite3_stmt *stmt = NULL;
  int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW) *out = sqlite3_column_int64(stmt, 0);
  bool ok = rc == SQLITE_ROW || sqlite_failed(db, rc, path, "reading it", err);
  sqlite3_finalize(stmt);
  return ok;
}

static bool run_sql(sqlite3 *db, const char *sql, const char *path, Err *err) {
  int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
  return rc == SQLITE_OK || sqlite_failed(db, rc, path, "making its tables", err);
}

/* A key of the store's own, until somebody gives it another: blob ids are made with it. */
static bool add_tenant_key(sqlite3 *db, const char *path, Err *err) {
  uint8_t key[32];
  sqlite3_stmt *stmt = NULL;
  random_bytes(key, sizeof key);
  int rc = sqlite3_prepare_v2(db, "INSERT INTO meta VALUES('tenant_key', ?)", -1, &stmt, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_bind_blob(stmt, 1, key, sizeof key, SQLITE_STATIC);
  if (rc == SQLITE_OK) rc = sqlite3_step(stmt);
  bool ok = rc == SQLITE_DONE || sqlite_failed(db, rc, path, "making its tables", err);
  sqlite3_finalize(stmt);
  return ok;
}

static bool step_up(sqlite3 *db, int64_t from, const char *path, Err *err) {
  char version[64];
  snprintf(version, sizeof version, "PRAGMA user_version = %d", (int)from + 1);
  if (!run_sql(db, "BEGIN IMMEDIATE", path, err)) return false;
  bool ok = run_sql(db, steps[from], path, err) && (from > 0 || add_tenant_key(db, path, err)) &&
            run_sql(db, version, path, err) && run_sql(db, "COMMIT", path, err);
  if (!ok) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
  return ok;
}

bool schema_look(sqlite3 *db, const char *path, int64_t *version, Err *err) {
  int64_t owner, tables;
  if (!read_int(db, "PRAGMA user_version", version, path, err) ||
      !read_int(db, "PRAGMA application_id", &owner, path, err) ||
      !read_int(db, "SELECT count(*) FROM sqlite_schema", &tables, path, err)) {
    return false;
  }
  if (owner != APPLICATION_ID && (owner != 0 || *version != 0 || tables != 0)) {
    FAIL(err, ERR_INVALID, "%s is an SQLite database, but not one that z8 made; name another --dir",
         path);
    return false;
  }
  if (*version < 0 || *version > VERSION) {
    FAIL(err, ERR_VERSION,
         "%s has schema version %d and this z8 knows up to %d: use the z8 that made it, or a newer "
         "one",
         path, (int)*version, (int)VERSION);
    return false;
  }
  return true;
}

bool schema_bring_up(sqlite3 *db, const char *path, int64_t version, Err *err) {
  for (; version < VERSION; version++) {
    if (!step_up(db, version, path, err)) return false;
  }
  return true;
}
