/* Durable steps against raw SQLite doing the same commits, in one run:
** one run at a time (a step's outcome is stored before the next begins), and 256
** runs at once (group commit). The steps are made by the z8 binary itself. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(int rc, sqlite3 *db) {
  if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW) return;
  fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(db));
  exit(1);
}

/* Rows a second of plain SQLite: WAL, FULL, `batch` rows a transaction, rows of `size` bytes. */
static double raw_rows(const char *path, int batch, int commits, int size) {
  sqlite3 *db;
  sqlite3_stmt *insert;
  unlink(path);
  must(sqlite3_open(path, &db), db);
  must(sqlite3_exec(db, "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                    "CREATE TABLE log(gid INTEGER PRIMARY KEY, run INT, bytes BLOB)", 0, 0, 0), db);
  must(sqlite3_prepare_v2(db, "INSERT INTO log(run, bytes) VALUES(?, ?)", -1, &insert, 0), db);
  char *row = malloc((size_t)size);
  memset(row, 'x', (size_t)size);
  double start = seconds();
  for (int c = 0; c < commits; c++) {
    must(sqlite3_exec(db, "BEGIN IMMEDIATE", 0, 0, 0), db);
    for (int i = 0; i < batch; i++) {
      sqlite3_bind_int(insert, 1, i);
      sqlite3_bind_blob(insert, 2, row, size, SQLITE_STATIC);
      must(sqlite3_step(insert), db);
      sqlite3_reset(insert);
    }
    must(sqlite3_exec(db, "COMMIT", 0, 0, 0), db);
  }
  double took = seconds() - start;
  sqlite3_finalize(insert);
  sqlite3_close(db);
  free(row);
  return (double)batch * commits / took;
}

static void write_file(const char *path, const char *text) {
  FILE *f = fopen(path, "w");
  if (!f) exit(1);
  fputs(text, f);
  fclose(f);
}

/* Wall time of `z8 run`, the process and all. */
static double z8_run(const char *file, const char *dir) {
  const char *z8 = getenv("Z8");
  char command[1000];
  snprintf(command, sizeof command, "rm -rf %s; Z8_STATS=1 %s run --dir %s %s >/dev/null 2>z8.err", dir, z8 ? z8 : "z8", dir, file);
  double start = seconds();
  int status = system(command);
  double took = seconds() - start;
  if (status != 0) {
    fprintf(stderr, "%s failed:\n", command);
    if (system("cat z8.err >&2")) exit(1);
    exit(1);
  }
  return took;
}

/* commits and fdatasyncs of the last run, from what it said. */
static void stats(double *commits, double *syncs) {
  char line[300];
  FILE *f = fopen("z8.err", "r");
  *commits = *syncs = 0;
  while (f && fgets(line, sizeof line, f)) {
    unsigned long c, r, s;
    if (sscanf(line, "stats commits %lu rows %lu syncs %lu", &c, &r, &s) == 3) *commits = (double)c, *syncs = (double)s;
  }
  if (f) fclose(f);
}

static double median(double *x, int n) {
  for (int i = 0; i < n; i++)
    for (int j = i + 1; j < n; j++)
      if (x[j] < x[i]) { double t = x[i]; x[i] = x[j]; x[j] = t; }
  return x[n / 2];
}

/* The average row of the log that z8 wrote, and how many there are. */
static void log_rows(const char *dir, double *size, double *count) {
  char path[300];
  sqlite3 *db;
  sqlite3_stmt *q;
  snprintf(path, sizeof path, "%s/z8.db", dir);
  must(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, 0), db);
  must(sqlite3_prepare_v2(db, "SELECT avg(length(bytes) + length(head)), count(*) FROM log", -1, &q, 0), db);
  must(sqlite3_step(q), db);
  *size = sqlite3_column_double(q, 0);
  *count = sqlite3_column_double(q, 1);
  sqlite3_finalize(q);
  sqlite3_close(db);
}

int main(void) {
  enum { ROUNDS = 5, ALONE = 3000, RUNS = 256, EACH = 120 };
  write_file("alone.z8",
             "tool Step(n: int) -> int:\n  perform: return n + 1\n\n"
             "n = 0\nfor i in range(3000): n = Step(n)\nprint(n)\n");
  write_file("nothing.z8", "print(1)\n");
  write_file("many.z8",
             "tool Step(n: int) -> int:\n  perform: return n + 1\n\n"
             "workflow Steps(count: int):\n  n = 0\n  for i in range(count): n = Step(n)\n  return n\n\n"
             "xs = parallel for i in range(256): Steps(120)\nprint(len(xs))\n");
  double size, rows, commits1, syncs1, commits256, syncs256, alone[ROUNDS], many[ROUNDS], raw1[ROUNDS], raw256[ROUNDS], start[ROUNDS];
  z8_run("many.z8", "many");
  log_rows("many", &size, &rows);
  for (int i = 0; i < ROUNDS; i++) {
    start[i] = z8_run("nothing.z8", "nothing");
    raw1[i] = raw_rows("raw.db", 1, ALONE, (int)size);
    alone[i] = ALONE / (z8_run("alone.z8", "alone") - start[i]);
    stats(&commits1, &syncs1);
    raw256[i] = raw_rows("raw.db", 256, 400, (int)size);
    many[i] = (double)RUNS * EACH / (z8_run("many.z8", "many") - start[i]);
    stats(&commits256, &syncs256);
  }
  double a = median(alone, ROUNDS), m = median(many, ROUNDS), r1 = median(raw1, ROUNDS), r256 = median(raw256, ROUNDS);
  printf("durable steps, medians of %d interleaved rounds; rows of %.0f bytes, WAL, synchronous=FULL\n", ROUNDS, size);
  printf("  one run at a time: %.0f steps/s; raw commits of one row %.0f/s; a step costs %.2fx of a commit (floor 1.5x)\n", a, r1, r1 / a);
  printf("    %.0f commits, %.0f fdatasyncs for %d steps (raw: one a commit)\n", commits1, syncs1, ALONE);
  printf("  256 runs at once:  %.0f steps/s (%.0f log rows); raw rows, 256 a commit, %.0f/s; ratio %.2fx (floor 0.2x)\n", m, rows, r256, m / r256);
  printf("    %.0f commits, %.0f fdatasyncs for %d steps\n", commits256, syncs256, RUNS * EACH);
  return 0;
}
