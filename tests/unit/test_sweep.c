/* A whole program on a store that dies: killed at operations of the store all through its life,
** with and without the power going, with single operations failing, and around every commit.
** After each death the runs are taken up and go on to their end, and then all must be as if
** nothing had happened: the same answer, every run over, every journal whole and replaying to its
** own state, nothing irreversible done twice, nothing asked again that was confirmed. */
#include <stdlib.h>
#include "tests/unit/test.h"

#include "compiler/compile.h"
#include "sweep_program.h"
#include "sweep_world.h"
#include "tests/support/faulty_vfs.h"
#include "vm/base/cbor.h"
#include "vm/base/file.h"
#include "vm/base/json.h"
#include "vm/base/mem.h"
#include "vm/journal/journal.h"
#include "vm/runtime/offline.h"
#include "vm/runtime/scheduler.h"
#include "vm/store/store_impl.h"

/* ---- one life of the process ------------------------------------------------------- */

typedef enum { CUT_NONE, CUT_BEFORE_COMMIT, CUT_AFTER_COMMIT, CUT_AFTER_LEAVING } CutWhere;

typedef struct Life {
  FaultyVfs *vfs;
  Node *node;
  Scheduler *s;
  CutWhere where;
  uint64_t cut_at, commits, rounds; /* which one is the last */
  bool cut, signalled;
  char why[400];
} Life;

static char directory[] = "/tmp/z8-sweep-XXXXXX";
static char book[64];
static Bundle *program;
static Buf program_bytes;

/* The store with our own commit in front of its own; one life at a time. */
static Life *living;
static const StoreOps *inner_ops;
static StoreOps cut_ops;

static bool cut_commit(Store *store, StoreGroup *group, Err *err) {
  bool now = ++living->commits == living->cut_at;
  if (now && living->where == CUT_BEFORE_COMMIT) living->cut = true;
  else if (!inner_ops->commit(store, group, err)) return false;
  else if (now && living->where == CUT_AFTER_COMMIT) living->cut = true;
  if (!living->cut) return true;
  faulty_vfs_arm(living->vfs, FAULTY_KILL, 1);
  FAIL(err, ERR_IO, "the process is dead");
  return false;
}

static void life_flush(void *context) {
  Life *life = context;
  if (life->where != CUT_AFTER_LEAVING || life->commits < life->cut_at || life->cut) return;
  life->cut = true;
  if (life->cut_at % 2) usleep(1500); /* what left arrives */
  faulty_vfs_arm(life->vfs, FAULTY_KILL, 1);
  scheduler_stop(life->s);
}

static void life_notice(void *context, Str text) {
  Life *life = context;
  size_t used = strlen(life->why);
  snprintf(life->why + used, sizeof life->why - used, "\n    " STR_FMT, STR_ARG(text));
}

static bool life_open(Life *life, SchedulerOptions o, Err *err) {
  NodeOptions node = {.dir = directory, .fixed_key = true, .vfs = "faulty"};
  o.flush = life_flush;
  o.notice = life_notice;
  o.context = life;
  memset(o.seed.byte, 9, 32);
  if (!node_open(&node, &life->node, err)) return false;
  living = life;
  Store *store = node_store(life->node);
  inner_ops = store->ops;
  cut_ops = *inner_ops;
  cut_ops.commit = cut_commit;
  store->ops = &cut_ops;
  return scheduler_new(life->node, &o, &life->s, err);
}

static void life_close(Life *life) {
  scheduler_free(life->s);
  if (life->node != NULL) node_close(life->node);
  life->s = NULL;
  life->node = NULL;
  world_drain();
}

/* ---- the people around it: who signals, settles and kills -------------------------- */

typedef struct Look { /* what is seen of one run in the store */
  uint64_t number, unknown;
  Uuid id;
  bool main, doomed, over;
} Look;

typedef struct Looks {
  Look at[64];
  int count;
  Look *now;
} Looks;

static bool look_record(void *context, const Record *r) {
  Look *look = ((Looks *)context)->now;
  if (r->kind == RECORD_TOOL_UNKNOWN) look->unknown = r->TOOL_UNKNOWN.ref;
  if (r->kind == RECORD_RESOLVED) look->unknown = 0;
  return true;
}

static bool look_run(void *context, const RunRow *row) {
  Looks *looks = context;
  if (looks->count == 64) abort();
  looks->at[looks->count++] = (Look){.number = row->number,
                                     .id = row->id,
                                     .main = str_equal(row->entry, STR("Main")),
                                     .doomed = str_equal(row->entry, STR("Doomed")),
                                     .over = run_status_over(row->status)};
  return true;
}

static bool looks_take(Life *life, Looks *looks, Err *err) {
  Store *store = node_store(life->node);
  *looks = (Looks){0};
  if (!store_run_each(store, 1, STORE_UNFINISHED, look_run, looks, err)) return false;
  for (int i = 0; i < looks->count; i++) {
    looks->now = &looks->at[i];
    if (!offline_records(store, looks->now->number, look_record, looks, err)) return false;
  }
  return true;
}

static bool give_signal(Life *life, const Look *look, Err *err) {
  char id[37], text[64];
  Buf value = {0};
  uuid_text(look->id, id);
  snprintf(text, sizeof text, "{\"home\": \"%s\"}", id);
  if (!cbor_from_json(str_of(text), &value, err)) return false;
  Record event = {.kind = RECORD_SIGNALLED,
                  .SIGNALLED = {
                      .name = STR("go"), .id = STR("go once"), .value = buf_view(&value)}};
  bool ok = scheduler_deliver(life->s, look->number, &event, err);
  life->signalled = true;
  buf_deinit(&value);
  return ok;
}

/* A person looks at the other side's books. */
static bool give_verdict(Life *life, const Look *look, Err *err) {
  char id[37], key[KEY_SIZE];
  Buf value = {0};
  uuid_text(look->id, id);
  snprintf(key, sizeof key, "%s-g0-%" PRIu64, id, look->unknown);
  pthread_mutex_lock(&world.lock);
  bool done = world_asked(key)->performed > 0;
  pthread_mutex_unlock(&world.lock);
  cbor_put_int(&value, 6);
  Record event = {.kind = RECORD_RESOLVED,
                  .RESOLVED = {.ref = look->unknown,
                               .outcome = done ? STR("confirmed") : STR("absent"),
                               .value = buf_view(&value),
                               .by = STR("a person")}};
  bool ok = scheduler_deliver(life->s, look->number, &event, err);
  buf_deinit(&value);
  return ok;
}

static bool give_end(Life *life, const Look *look, Err *err) {
  Record event = {.kind = RECORD_KILLED, .KILLED = {.why = STR("too large")}};
  return scheduler_deliver(life->s, look->number, &event, err);
}

/* *acted: somebody did something, so that going on may lead somewhere. */
static bool people_act(Life *life, bool *acted, Err *err) {
  Looks looks;
  if (!looks_take(life, &looks, err)) return false;
  for (int i = 0; i < looks.count; i++) {
    const Look *look = &looks.at[i];
    bool ok = true, act = true;
    if (look->over) continue;
    if (look->unknown != 0) ok = give_verdict(life, look, err);
    else if (look->main && !life->signalled) ok = give_signal(life, look, err);
    else if (look->doomed) ok = give_end(life, look, err);
    else act = false;
    if (!ok) return false;
    *acted |= act;
  }
  return true;
}

/* Until all is over. False: the process died, or something is wrong (then life->why says what). */
static bool life_drive(Life *life, Err *err) {
  for (int turn = 0, idle = 0; idle < 2; turn++) {
    bool acted = false;
    ScheduleResult r = scheduler_run(life->s, 0, turn % 2 ? PATIENCE_FOR_EVER : 0, err);
    if (r == SCHEDULE_OVER) return true;
    if (r == SCHEDULE_FAILED || r == SCHEDULE_STOPPED) return false;
    if (!people_act(life, &acted, err)) return false;
    idle = acted ? 0 : idle + 1;
  }
  life_notice(life, STR("nothing goes on, and nobody knows what to do"));
  FAIL(err, ERR_INVALID, "it hangs");
  return false;
}

static bool life_begin(Life *life, Err *err) {
  const Program *p;
  Uuid id;
  BeginOptions begin = {.bundle = program->id, .entry = STR("Main"), .input = STR("\x80")};
  return node_program_add(life->node, program, buf_view(&program_bytes), &p, err) &&
         scheduler_begin(life->s, &begin, &id, err);
}

static bool life_go_on(Life *life, Err *err) {
  uint32_t resumed, failed;
  if (store_next_run(node_store(life->node)) == 1) return life_begin(life, err);
  if (!scheduler_resume_all(life->s, &resumed, &failed, err)) return false;
  if (failed == 0) return true;
  FAIL(err, ERR_INVALID, "%u runs were not taken up", failed);
  return false;
}

static bool life_live(Life *life, SchedulerOptions o, Err *err) {
  return life_open(life, o, err) && life_go_on(life, err) && life_drive(life, err);
}

/* ---- what must hold ------------------------------------------------------------------ */

typedef struct Seen {
  uint64_t kinds[2]; /* bits by number of the record kind */
  uint64_t effects;
  uint64_t generation;
  Uuid run;
  Hash256 state;
  bool ended;
  Buf result;
} Seen;

static Seen seen;

static bool note_confirmed(void *context, const Record *r) {
  Seen *s = context;
  char id[37], key[KEY_SIZE];
  if (r->kind == RECORD_HEAD) {
    s->run = r->HEAD.run;
    s->generation = r->HEAD.generation;
  }
  if (r->kind != RECORD_TOOL_DONE) return true;
  uuid_text(s->run, id);
  snprintf(key, sizeof key, "%s-g%" PRIu64 "-%" PRIu64, id, s->generation, r->TOOL_DONE.ref);
  pthread_mutex_lock(&world.lock);
  world_asked(key)->confirmed = true;
  pthread_mutex_unlock(&world.lock);
  return true;
}

/* What the journals say is settled may not be asked of the world again. */
static bool confirmed_mark(Node *node, Err *err) {
  Seen s = {0};
  for (uint64_t n = 1; n < store_next_run(node_store(node)); n++)
    if (!offline_records(node_store(node), n, note_confirmed, &s, err)) return false;
  return true;
}

static bool see_record(void *context, const Record *r) {
  Seen *s = context;
  s->kinds[r->kind / 64] |= UINT64_C(1) << r->kind % 64;
  if (r->kind == RECORD_ASKED) s->effects |= UINT64_C(1) << r->ASKED.kind;
  if (r->kind == RECORD_READ) s->effects |= UINT64_C(1) << r->READ.kind;
  if (r->kind != RECORD_ENDED) return true;
  s->ended = true;
  s->state = r->ENDED.state;
  buf_clear(&s->result);
  buf_str(&s->result, r->ENDED.result);
  return true;
}

static bool result_right(const RunRow *row, Err *err) {
  CborReader r = cbor_reader(buf_view(&seen.result));
  Str text;
  RunStatus want = str_equal(row->entry, STR("Doomed"))    ? RUN_STATUS_KILLED
                   : str_equal(row->entry, STR("Sleeper")) ? RUN_STATUS_CANCELLED
                                                           : RUN_STATUS_DONE;
  if (row->status != want) {
    Buf shown = {0};
    Err ignored;
    if (!cbor_to_json(buf_view(&seen.result), &shown, &ignored)) buf_clear(&shown);
    FAIL(err, ERR_INVALID, "run %d, " STR_FMT ", is %s: " STR_FMT, (int)row->number,
         STR_ARG(row->entry), run_status_word(row->status), STR_ARG(buf_view(&shown)));
    buf_deinit(&shown);
    return false;
  }
  if (!str_equal(row->entry, STR("Main"))) return true;
  if (!cbor_text(&r, &text, err)) return false;
  if (str_equal(text, str_of(expected))) return true;
  FAIL(err, ERR_INVALID, "the answer is " STR_FMT, STR_ARG(text));
  return false;
}

static bool replays(Node *node, const RunRow *row, Err *err) {
  Replayed r;
  if (!offline_replay(node, row, NULL, row->number % 2, &r, err)) return false;
  bool ok = r.result == STEP_ENDED && r.records == row->records &&
            memcmp(&r.state, &seen.state, sizeof r.state) == 0;
  if (!ok)
    FAIL(err, ERR_DIVERGED, "run %d replays to %d, %d records of %d", (int)row->number,
         (int)r.result, (int)r.records, (int)row->records);
  if (r.result == STEP_DIVERGED) {
    Buf page = {0};
    run_explain(r.run, NULL, &page);
    fprintf(stderr, STR_FMT "\n", STR_ARG(buf_view(&page)));
    buf_deinit(&page);
  }
  run_free(r.run);
  return ok;
}

static bool run_right(Node *node, uint64_t number, Err *err) {
  RunRow row;
  Buf keep = {0};
  uint64_t records;
  seen.ended = false;
  bool ok = store_run_get(node_store(node), number, &row, &keep, err) &&
            journal_verify(node_store(node), number, &records, err) &&
            offline_records(node_store(node), number, see_record, &seen, err) &&
            result_right(&row, err) && replays(node, &row, err);
  if (ok && !seen.ended) {
    FAIL(err, ERR_INVALID, "run %d has no end", (int)number);
    ok = false;
  }
  buf_deinit(&keep);
  return ok;
}

static int book_lines(const char *line) {
  Buf text = {0};
  Err ignored;
  int count = 0;
  if (file_read(book, 1 << 20, &text, &ignored)) {
    buf_byte(&text, 0);
    for (const char *at = text.at; (at = strstr(at, line)) != NULL; at++) count++;
  }
  buf_deinit(&text);
  return count;
}

static bool world_right(int deaths, Err *err) {
  int one = book_lines("one\n"), sleeper = book_lines("sleeper\n");
  bool ok = world.asked_again == 0 && one >= 1 && one <= 1 + deaths && sleeper >= 1 &&
            sleeper <= 1 + deaths;
  for (int i = 0; ok && i < world.key_count; i++) {
    const Asked *a = &world.keys[i];
    if (a->received == 0) continue;
    int most = a->irreversible ? 1 : 1 + deaths, least = a->n == 403 ? 0 : 1;
    ok = a->performed >= least && a->performed <= most && a->received <= 2 + deaths;
    if (!ok)
      FAIL(err, ERR_INVALID, "%s (%d): received %d, performed %d", a->key, a->n, a->received,
           a->performed);
  }
  if (!ok && err->text[0] == 0)
    FAIL(err, ERR_INVALID, "asked again: %d; lines: %d, %d", world.asked_again, one, sleeper);
  return ok;
}

/* After the last life, in which all ran to its end. */
static bool all_right(Life *life, int deaths, Err *err) {
  int requests = world_get(&world.requests);
  uint64_t runs = store_next_run(node_store(life->node)) - 1;
  for (uint64_t n = 1; n <= runs; n++)
    if (!run_right(life->node, n, err)) return false;
  if (runs != 12 || world_get(&world.requests) != requests) {
    FAIL(err, ERR_INVALID, "%d runs; replaying asked the world %d times", (int)runs,
         world_get(&world.requests) - requests);
    return false;
  }
  return world_right(deaths, err);
}

/* Of the store's thousand operations each sweep takes every seventh, each its own; around commits
 * every one is taken. */
/* SWEEP_STRIDE=1 strikes at every store operation in turn; the usual run takes every seventh, each mode others. */
static uint64_t stride_of(void) {
  const char *wanted = getenv("SWEEP_STRIDE");
  uint64_t n = wanted ? strtoull(wanted, NULL, 10) : 0;
  return n ? n : 7;
}
#define STRIDE stride_of()

/* ---- trials -------------------------------------------------------------------------- */

typedef struct Death {
  FaultyMode mode;
  uint64_t nth; /* operation of the store that goes wrong */
  CutWhere where;
  uint64_t at; /* or the commit around which the process ends */
  bool power;  /* what was not synced is lost */
} Death;

static void world_reset(void) {
  world.key_count = world.requests = world.asked_again = 0;
  unlink(book);
}

static uint64_t last_ops, first_ops; /* of the store, in a trial's latest and first life */

/* One life that meets its death, or does not. */
static bool live_and_die(FaultyVfs *vfs, const Death *d, SchedulerOptions o, bool *struck,
                         Err *err) {
  Life life = {.vfs = vfs, .where = d->where, .cut_at = d->at};
  faulty_vfs_arm(vfs, d->mode, d->nth);
  bool ok = life_live(&life, o, err);
  life_close(&life);
  *struck = faulty_vfs_hit(vfs);
  last_ops = faulty_vfs_ops(vfs);
  if (!ok && !*struck && life.why[0]) err_context(err, life.why);
  faulty_vfs_restart(vfs, d->power, d->nth + d->at);
  return ok || *struck;
}

static bool live_on(FaultyVfs *vfs, SchedulerOptions o, int deaths, Err *err) {
  Life life = {.vfs = vfs};
  faulty_vfs_arm(vfs, FAULTY_KILL, 0);
  bool ok = life_open(&life, o, err) && confirmed_mark(life.node, err) && life_go_on(&life, err) &&
            life_drive(&life, err) && all_right(&life, deaths, err);
  if (!ok && life.why[0]) err_context(err, life.why);
  life_close(&life);
  return ok;
}

/* Dies as often as told, then lives to the end. */
static bool trial(const Death *deaths, int count, SchedulerOptions o, bool *struck, Err *err) {
  FaultyVfs *vfs = faulty_vfs_new("faulty");
  bool ok = true, this_one;
  int died = 0;
  setenv("Z8_NAP", o.seeded ? "1500" : "25", 1);
  world_reset();
  for (int i = 0; ok && i < count; i++) {
    ok = live_and_die(vfs, &deaths[i], o, &this_one, err);
    if (i == 0) *struck = this_one, first_ops = last_ops;
    died += this_one;
  }
  ok = ok && live_on(vfs, o, died, err);
  faulty_vfs_free(vfs);
  return ok;
}

/* Every trial its own way to run: clocks, threads, slices, images at every park. */
static SchedulerOptions ways(uint64_t n) {
  return (SchedulerOptions){.seeded = n % 4 != 3,
                            .threads = n % 5 == 4 ? 2 : 1,
                            .slice = n % 7 == 6 ? 60 : 0,
                            .park_restore = n % 3 == 2,
                            .switch_vm = n % 2 == 1};
}

static void report(const char *what, uint64_t n, const Err *err) {
  fprintf(stderr, "  %s %d: %s\n", what, (int)n, err->text);
}

static void sweep(const char *what, Death d, uint64_t first, uint64_t stride, uint64_t again) {
  bool struck, over = false;
  uint64_t points = 0;
  for (uint64_t n = first; !over; n += stride) {
    Err err = {0};
    d.nth = n;
    Death second = d;
    second.nth = again == 0 ? 0 : 40 + n * 31 % again;
    bool ok = trial((Death[]){d, second}, again == 0 ? 1 : 2, ways(n), &struck, &err);
    points += struck;
    over = first_ops < n;
    CHECK(ok);
    if (!ok) report(what, n, &err);
  }
  printf("%s: %d points, of %d operations\n", what, (int)points, (int)first_ops);
  CHECK(points > 20);
}

static void commits(const char *what, CutWhere where) {
  bool struck = true;
  uint64_t n = 0;
  while (struck) {
    Err err = {0};
    Death d = {.where = where, .at = ++n};
    bool ok = trial(&d, 1, ways(n), &struck, &err);
    CHECK(ok);
    if (!ok) report(what, n, &err);
  }
  printf("%s: %d commits\n", what, (int)n - 1);
  CHECK(n > 30);
}

/* ---- tests ---------------------------------------------------------------------------- */

/* Records of agents' streams, and of the attempts that only jobs and handlings have, are not of this program. */
static bool of_runs(int number) {
  bool attempts = number == RECORD_RETRIED || number == RECORD_EXHAUSTED || number == RECORD_RECALLED ||
                  number == RECORD_REVIVED;
  return !attempts && number < RECORD_STREAM;
}

/* Undisturbed, in every way; together the journals hold every kind of record that runs of workflows have. */
static void test_whole(void) {
  for (uint64_t n = 0; n < 12; n++) {
    Err err = {0};
    bool struck, ok = trial(NULL, 0, ways(n), &struck, &err);
    CHECK(ok);
    if (!ok) report("undisturbed", n, &err);
  }
#define RECORD(name, number, class, what) \
  CHECK(!of_runs(number) || seen.kinds[(number) / 64] >> ((number) % 64) & 1);
#define FIELD(type, name)
#define END(name)
#include "lang/records.def"
#undef RECORD
#undef FIELD
#undef END
}

static void test_kill(void) {
  sweep("killed", (Death){.mode = FAULTY_KILL}, 1, STRIDE, 0);
}
static void test_power(void) {
  sweep("the power goes", (Death){.mode = FAULTY_KILL, .power = true}, 2, STRIDE, 0);
}
static void test_twice(void) {
  sweep("killed twice", (Death){.mode = FAULTY_KILL, .power = true}, 3, 3 * STRIDE, 300);
}
static void test_failing(void) {
  sweep("an operation fails", (Death){.mode = FAULTY_IOERR}, 4, STRIDE, 0);
}
static void test_full(void) {
  sweep("the disk is full", (Death){.mode = FAULTY_FULL}, 5, STRIDE, 0);
}
static void test_before_commit(void) { commits("before a commit", CUT_BEFORE_COMMIT); }
static void test_after_commit(void) { commits("between commit and leaving", CUT_AFTER_COMMIT); }
static void test_after_leaving(void) { commits("after leaving", CUT_AFTER_LEAVING); }

/* ---- the program ---------------------------------------------------------------------- */

static bool source_read(void *context, Str path, Arena *arena, Str *text, Err *err) {
  (void)context, (void)path, (void)arena, (void)err;
  *text = str_of(source);
  return true;
}

static bool program_ready(Arena *arena) {
  char host[64];
  Compilation *c = ARENA_NEW(arena, Compilation);
  Buf said = {0};
  snprintf(host, sizeof host, "http://127.0.0.1:%d", world.net.port);
  snprintf(book, sizeof book, "%s/book", directory);
  setenv("Z8_HOST", host, 1);
  setenv("Z8_BOOK", book, 1);
  SourceReader reader = {source_read, NULL};
  bool ok = compile(arena, STR("sweep.z8"), reader, (CompileOptions){0}, c);
  diag_render(&c->diags, false, &said);
  if (said.size > 0) fprintf(stderr, STR_FMT, STR_ARG(buf_view(&said)));
  program = &c->bundle;
  if (ok) bundle_write(program, &program_bytes);
  buf_deinit(&said);
  return ok;
}

int main(void) {
  Arena arena;
  arena_init(&arena);
  if (mkdtemp(directory) == NULL) return 1;
  world_start();
  if (!program_ready(&arena)) return 1;
  RUN_TEST(test_whole);
  RUN_TEST(test_before_commit);
  RUN_TEST(test_after_commit);
  RUN_TEST(test_after_leaving);
  RUN_TEST(test_kill);
  RUN_TEST(test_power);
  RUN_TEST(test_failing);
  RUN_TEST(test_full);
  RUN_TEST(test_twice);
  loopback_stop(&world.net);
  unlink(book);
  snprintf(book, sizeof book, "%s/lock", directory);
  unlink(book);
  rmdir(directory);
  arena_deinit(&arena);
  buf_deinit(&program_bytes);
  buf_deinit(&seen.result);
  return TEST_END();
}
