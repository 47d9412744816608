/* vm/runtime/jobs.h: jobs through queues, from waiting to over; what a person may do; crons. Time is virtual. */
#include "bus_world.h"

#include "tests/support/faulty_vfs.h"
#include "vm/runtime/jobs.h"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

/* ---- enqueuing from outside ----------------------------------------------------------- */

typedef struct Placed {
  bool came;
  Uuid id;
} Placed;

static void placed_done(void *context, bool ok, Str value) {
  Placed *p = context;
  CborReader r = cbor_reader(value);
  Str text;
  Err err;
  p->came = ok && cbor_text(&r, &text, &err) && uuid_parse(text, &p->id);
}

typedef struct Options {
  int64_t in_us, at_us; /* 0: not given */
  int priority;         /* below 0: not given */
  const char *queue;
} Options;

static void options_put(const Options *o, Buf *out) {
  Buf pairs = {0};
  uint64_t count = 0;
  if (o->in_us != 0) {
    cbor_put_text(&pairs, STR("schedule_in")), cbor_put_tag(&pairs, CBOR_TAG_DURATION), cbor_put_int(&pairs, o->in_us);
    count++;
  }
  if (o->at_us != 0) {
    cbor_put_text(&pairs, STR("at")), cbor_put_tag(&pairs, CBOR_TAG_TIME), cbor_put_int(&pairs, o->at_us);
    count++;
  }
  if (o->priority >= 0) cbor_put_text(&pairs, STR("priority")), cbor_put_int(&pairs, o->priority), count++;
  if (o->queue != NULL) cbor_put_text(&pairs, STR("queue")), cbor_put_text(&pairs, str_of(o->queue)), count++;
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 2 * count);
  buf_str(out, buf_view(&pairs));
  buf_deinit(&pairs);
}

static bool put(World *w, const char *worker, const char *json, const Options *o, Placed *p, Err *err) {
  Buf data = {0}, options = {0};
  bool ok = cbor_from_json(str_of(json), &data, err);
  if (o != NULL) options_put(o, &options);
  *p = (Placed){0};
  ok = ok && jobs_enqueue(w->app, str_of(worker), buf_view(&data), buf_view(&options), (Str){0}, STR("ada"), placed_done,
                          p, err);
  buf_deinit(&data);
  buf_deinit(&options);
  return ok;
}

/* Several at once: `n` is in their data. They are committed, and what is due is done. */
static void put_n(World *w, const char *worker, int n, const Options *o, Placed *p) {
  char json[40];
  Err err = {0};
  Placed own;
  snprintf(json, sizeof json, "{\"n\": %d}", n);
  bool ok = put(w, worker, json, o, p != NULL ? p : &own, &err);
  CHECK(ok);
  if (!ok) fprintf(stderr, "%s\n", err.text);
  (void)world_run(w);
}

/* Time passes, bit by bit, and what is due happens. */
static void pass(World *w, int64_t us) {
  int64_t step = us > 10 * MINUTE ? 10 * SECOND : SECOND / 4;
  for (int64_t until = w->s->clock.now_us + us; w->s->clock.now_us < until;) {
    int64_t left = until - w->s->clock.now_us;
    w->s->clock.now_us += left < step ? left : step;
    CHECK(world_run(w) != SCHEDULE_FAILED);
  }
}

static Str printed(World *w) { return buf_view(&w->printed); }

static JobRow row_of(World *w, Uuid id, Buf *keep) {
  JobRow row = {0};
  Err err;
  CHECK(store_job_by_id(w->s->store, id, &row, keep, &err));
  return row;
}

static bool state_is(World *w, const Placed *p, JobState state) {
  Buf keep = {0};
  JobRow row = row_of(w, p->id, &keep);
  if (row.state != state)
    fprintf(stderr, "state %d, want %d; note " STR_FMT "\n", row.state, (int)state, STR_ARG(row.note));
  buf_deinit(&keep);
  return row.state == state;
}

typedef struct QueueSeen {
  const char *name;
  QueueInfo info;
  bool found;
} QueueSeen;

static bool queue_seen(void *context, const QueueInfo *info) {
  QueueSeen *seen = context;
  if (!str_equal(info->name, str_of(seen->name))) return true;
  seen->info = *info;
  seen->found = true;
  return false;
}

static QueueInfo queue_of(World *w, const char *name) {
  QueueSeen seen = {.name = name};
  Err err = {0};
  CHECK(queues_each(w->app, queue_seen, &seen, &err) && seen.found);
  return seen.info;
}

static SchedulerOptions seeded(void) { return (SchedulerOptions){.seeded = true, .seed = {{7}}}; }

static bool start(World *w, Code *code, const char *text) {
  return code_make(code, text) && world_start(w, NULL, code, seeded());
}

static void stop(World *w, Code *code) {
  world_stop(w);
  code_done(code);
}

/* ---- one job ------------------------------------------------------------------------------ */

static const char add_program[] =
    "queue \"adds\":\n  concurrency 1\n"
    "worker Add(n: int):\n  queue \"adds\"\n  perform(job):\n    print(\"${job.n}\")\n    return job.n + 1\n";

static void a_job_runs_once(void) {
  World w;
  Code code;
  Placed p;
  Buf keep = {0};
  NEED(start(&w, &code, add_program));
  put_n(&w, "Add", 4, NULL, &p);
  CHECK(p.came);
  CHECK_STR(printed(&w), STR("4;"));
  JobRow row = row_of(&w, p.id, &keep);
  CHECK(row.state == JOB_DONE && row.attempt == 1 && row.lease == 1 && row.run != 0 && row.ended_us > 0);
  CHECK(row.input.size == 0 && row.meta.size == 0);
  CHECK(queue_of(&w, "adds").executing == 0);
  pass(&w, HOUR);
  CHECK_STR(printed(&w), STR("4;"));
  buf_deinit(&keep);
  stop(&w, &code);
}

static void what_may_be_enqueued(void) {
  World w;
  Code code;
  Placed p;
  Err err = {0};
  NEED(start(&w, &code, add_program));
  CHECK(!put(&w, "Sub", "{}", NULL, &p, &err) && err.code == ERR_NOT_FOUND);
  CHECK_HAS(str_of(err.text), "it has Add");
  CHECK(!put(&w, "Add", "{\"n\": \"x\"}", NULL, &p, &err) && err.code == ERR_INVALID);
  CHECK(!put(&w, "Add", "{}", NULL, &p, &err) && err.code == ERR_INVALID);
  CHECK(!put(&w, "Add", "{\"n\": 1}", &(Options){.priority = 10}, &p, &err) && err.code == ERR_INVALID);
  CHECK_HAS(str_of(err.text), "0 (first) to 9");
  CHECK(!put(&w, "Add", "{\"n\": 1}", &(Options){.priority = -1, .queue = ""}, &p, &err));
  CHECK(!put(&w, "Add", "{\"n\": 1}", &(Options){.priority = -1, .in_us = -5}, &p, &err));
  CHECK_HAS(str_of(err.text), "not negative");
  CHECK(!put(&w, "Add", "{\"n\": 1}", &(Options){.priority = -1, .in_us = 5, .at_us = 5}, &p, &err));
  CHECK_HAS(str_of(err.text), "not both");
  CHECK(!jobs_enqueue(w.app, STR("Add"), STR("\xd9\x9c\x4a\x82\x61n\x01"), STR("\x01"), (Str){0}, (Str){0}, NULL, NULL,
                      &err));
  CHECK_HAS(str_of(err.text), "a map");
  (void)world_run(&w);
  CHECK(store_counts(w.s->store).jobs == 0);
  stop(&w, &code);
}

static void meta_says_who_and_why(void) {
  World w;
  Code code;
  Placed p;
  Err err = {0};
  NEED(start(&w, &code, "worker Say():\n  perform(job):\n    print(\"${meta.actor} ${meta.tenant} ${meta.causation} "
                        "${meta.correlation is meta.id} ${meta.time}\")\n"));
  CHECK(put(&w, "Say", "{}", NULL, &p, &err));
  (void)world_run(&w);
  CHECK_HAS(printed(&w), "ada default nil true 20");
  stop(&w, &code);
}

/* ---- order ------------------------------------------------------------------------------------ */

static void hold(World *w, const char *queue, bool paused) {
  Err err = {0};
  CHECK(queue_pause(w->app, str_of(queue), paused, &err));
  (void)world_run(w);
}

static void priorities_then_due_times(void) {
  World w;
  Code code;
  NEED(start(&w, &code, add_program));
  hold(&w, "adds", true);
  put_n(&w, "Add", 1, NULL, NULL); /* 5 unless said */
  put_n(&w, "Add", 2, &(Options){.priority = 9}, NULL);
  put_n(&w, "Add", 3, &(Options){.priority = 0}, NULL);
  put_n(&w, "Add", 4, &(Options){.priority = 0, .in_us = SECOND}, NULL);
  put_n(&w, "Add", 5, &(Options){.priority = 0}, NULL);
  pass(&w, 2 * SECOND);
  CHECK(printed(&w).size == 0);
  CHECK(queue_of(&w, "adds").available == 5);
  hold(&w, "adds", false);
  CHECK_STR(printed(&w), STR("3;5;4;1;2;"));
  stop(&w, &code);
}

/* A step of priority is worth a minute: who has waited nine more minutes than another is ahead of him whatever both are. */
static void who_waits_long_rises(void) {
  World w;
  Code code;
  NEED(start(&w, &code, add_program));
  hold(&w, "adds", true);
  put_n(&w, "Add", 1, &(Options){.priority = 9}, NULL);
  pass(&w, 8 * MINUTE + 30 * SECOND);
  put_n(&w, "Add", 2, &(Options){.priority = 0}, NULL);
  put_n(&w, "Add", 3, &(Options){.priority = 3}, NULL);
  pass(&w, MINUTE);
  put_n(&w, "Add", 4, &(Options){.priority = 0}, NULL);
  hold(&w, "adds", false);
  CHECK_STR(printed(&w), STR("2;1;4;3;"));
  stop(&w, &code);
}

/* A flood of the first priority does not keep the last one waiting for ever. */
static void nobody_starves(void) {
  World w;
  Code code;
  NEED(start(&w, &code, "queue \"slow\":\n  concurrency 1\n"
                        "worker Slow(n: int):\n  queue \"slow\"\n  perform(job):\n    sleep 30s\n    print(\"${job.n}\")\n"));
  put_n(&w, "Slow", 999, &(Options){.priority = 9}, NULL);
  put_n(&w, "Slow", 999, &(Options){.priority = 9}, NULL);
  for (int n = 0; n < 80; n++) { /* twice as many as can be done */
    put_n(&w, "Slow", n, &(Options){.priority = 0}, NULL);
    pass(&w, 15 * SECOND);
  }
  size_t count = 0;
  for (Str rest = printed(&w); rest.size >= 4; rest.at++, rest.size--) count += memcmp(rest.at, "999;", 4) == 0;
  CHECK(count == 2);
  stop(&w, &code);
}

static void scheduled_jobs_wait(void) {
  World w;
  Code code;
  Placed p;
  NEED(start(&w, &code, add_program));
  int64_t at = w.s->clock.now_us;
  put_n(&w, "Add", 1, &(Options){.priority = -1, .in_us = 2 * HOUR}, &p);
  put_n(&w, "Add", 2, &(Options){.priority = -1, .at_us = at + HOUR}, NULL);
  put_n(&w, "Add", 3, &(Options){.priority = -1, .at_us = at - HOUR}, NULL); /* in the past is now */
  CHECK_STR(printed(&w), STR("3;"));
  CHECK(jobs_next_due(w.app->jobs) == at + HOUR);
  CHECK(queue_of(&w, "adds").next_due_us == at + HOUR);
  pass(&w, HOUR - SECOND);
  CHECK_STR(printed(&w), STR("3;"));
  pass(&w, 2 * SECOND);
  CHECK_STR(printed(&w), STR("3;2;"));
  pass(&w, HOUR);
  CHECK_STR(printed(&w), STR("3;2;1;"));
  CHECK(state_is(&w, &p, JOB_DONE));
  CHECK(jobs_next_due(w.app->jobs) == 0);
  stop(&w, &code);
}

/* ---- room -------------------------------------------------------------------------------------- */

static const char nap_program[] =
    "queue \"naps\":\n  concurrency 3\n"
    "queue \"few\":\n  concurrency 5\n  global 2\n"
    "queue \"rare\":\n  limit 2 per 1m\n"
    "worker Nap(n: int):\n  queue \"naps\"\n  perform(job):\n    sleep 10s\n    print(\"${job.n}\")\n";

static void concurrency_and_global(void) {
  World w;
  Code code;
  NEED(start(&w, &code, nap_program));
  for (int n = 0; n < 7; n++) put_n(&w, "Nap", n, NULL, NULL);
  for (int n = 0; n < 4; n++) put_n(&w, "Nap", 10 + n, &(Options){.priority = -1, .queue = "few"}, NULL);
  for (int n = 0; n < 12; n++) put_n(&w, "Nap", 20 + n, &(Options){.priority = -1, .queue = "other"}, NULL);
  CHECK(queue_of(&w, "naps").executing == 3 && queue_of(&w, "naps").available == 4);
  CHECK(queue_of(&w, "few").executing == 2 && queue_of(&w, "few").concurrency == 2);
  CHECK(queue_of(&w, "other").executing == 10); /* of one that is not declared */
  pass(&w, 11 * SECOND);
  CHECK(queue_of(&w, "naps").executing == 3 && queue_of(&w, "naps").available == 1);
  pass(&w, 20 * SECOND);
  CHECK(queue_of(&w, "naps").executing == 0 && queue_of(&w, "few").executing == 0);
  CHECK(jobs_next_due(w.app->jobs) == 0);
  stop(&w, &code);
}

/* Counted at the start; in any minute at most two begin. */
static void a_limit_defers(void) {
  World w;
  Code code;
  NEED(start(&w, &code, nap_program));
  Options rare = {.priority = -1, .queue = "rare"};
  put_n(&w, "Nap", 0, &rare, NULL);
  pass(&w, 40 * SECOND);
  for (int n = 1; n < 5; n++) put_n(&w, "Nap", n, &rare, NULL);
  pass(&w, 15 * SECOND); /* at 55 s: two have begun */
  CHECK_STR(printed(&w), STR("0;1;"));
  CHECK(queue_of(&w, "rare").executing == 0);
  pass(&w, 20 * SECOND); /* at 75 s: the first left the window at 60 s */
  CHECK_STR(printed(&w), STR("0;1;2;"));
  pass(&w, 40 * SECOND); /* at 115 s: the second at 100 s */
  CHECK_STR(printed(&w), STR("0;1;2;3;"));
  pass(&w, 20 * SECOND);
  CHECK_STR(printed(&w), STR("0;1;2;3;4;"));
  stop(&w, &code);
}

static void pause_and_scale(void) {
  World w;
  Code code;
  Err err = {0};
  NEED(start(&w, &code, nap_program));
  hold(&w, "naps", true);
  for (int n = 0; n < 7; n++) put_n(&w, "Nap", n, NULL, NULL);
  CHECK(queue_of(&w, "naps").paused && queue_of(&w, "naps").executing == 0);
  CHECK(jobs_next_due(w.app->jobs) == 0 && !jobs_ready(w.app->jobs));
  CHECK(queue_scale(w.app, STR("naps"), 5, &err));
  CHECK(queue_of(&w, "naps").scaled && queue_of(&w, "naps").concurrency == 5);
  hold(&w, "naps", false);
  CHECK(queue_of(&w, "naps").executing == 5);
  CHECK(queue_scale(w.app, STR("naps"), 0, &err));
  pass(&w, 11 * SECOND);
  CHECK(queue_of(&w, "naps").executing == 2 && queue_of(&w, "naps").concurrency == 3);
  CHECK(!queue_pause(w.app, STR("nap"), true, &err) && err.code == ERR_NOT_FOUND);
  CHECK_HAS(str_of(err.text), "there are: default, naps");
  stop(&w, &code);
}

/* ---- unique -------------------------------------------------------------------------------------- */

static const char unique_program[] =
    "worker Keep(n: int, x: int?):\n  unique by n\n  perform(job):\n    sleep 10s\n    print(\"k${job.n}/${job.x}\")\n"
    "worker Hour(n: int):\n  unique by n within 1h\n  perform(job): print(\"h${job.n}\")\n"
    "worker Last(n: int, x: int?):\n  queue \"last\"\n  unique by n replace\n"
    "  perform(job):\n    sleep 10s\n    print(\"l${job.n}/${job.x}\")\n";

static bool same_job(const Placed *a, const Placed *b) { return memcmp(&a->id, &b->id, sizeof a->id) == 0; }

static void unique_keeps_the_first(void) {
  World w;
  Code code;
  Placed a, b, c, d;
  Err err = {0};
  NEED(start(&w, &code, unique_program));
  CHECK(put(&w, "Keep", "{\"n\": 1, \"x\": 1}", NULL, &a, &err));
  CHECK(put(&w, "Keep", "{\"n\": 1, \"x\": 2}", NULL, &b, &err)); /* two of one round */
  CHECK(put(&w, "Keep", "{\"n\": 2, \"x\": 3}", NULL, &c, &err));
  (void)world_run(&w);
  CHECK(same_job(&a, &b) && !same_job(&a, &c));
  put_n(&w, "Keep", 1, NULL, &d); /* while it executes */
  CHECK(same_job(&a, &d));
  pass(&w, 11 * SECOND);
  CHECK_STR(printed(&w), STR("k1/1;k2/3;"));
  put_n(&w, "Keep", 1, NULL, &d); /* it is over */
  CHECK(!same_job(&a, &d));
  pass(&w, 11 * SECOND);
  CHECK_STR(printed(&w), STR("k1/1;k2/3;k1/nil;"));
  stop(&w, &code);
}

static void unique_within_a_time(void) {
  World w;
  Code code;
  Placed a, b;
  NEED(start(&w, &code, unique_program));
  put_n(&w, "Hour", 1, NULL, &a);
  CHECK(state_is(&w, &a, JOB_DONE));
  pass(&w, 59 * MINUTE);
  put_n(&w, "Hour", 1, NULL, &b);
  CHECK(same_job(&a, &b));
  pass(&w, 2 * MINUTE);
  put_n(&w, "Hour", 1, NULL, &b);
  CHECK(!same_job(&a, &b));
  CHECK_STR(printed(&w), STR("h1;h1;"));
  stop(&w, &code);
}

/* What was cancelled holds nothing: enqueuing it again must do it. */
static void unique_and_cancelled(void) {
  World w;
  Code code;
  Placed a, b;
  Err err = {0};
  NEED(start(&w, &code, unique_program));
  put_n(&w, "Hour", 1, &(Options){.priority = -1, .in_us = HOUR}, &a);
  CHECK(job_cancel(w.app, a.id, STR("no more"), &err));
  put_n(&w, "Hour", 1, NULL, &b);
  CHECK(!same_job(&a, &b) && state_is(&w, &b, JOB_DONE) && state_is(&w, &a, JOB_CANCELLED));
  stop(&w, &code);
}

static void unique_replaces_who_waits(void) {
  World w;
  Code code;
  Placed a, b;
  Err err = {0};
  Options late = {.priority = 7, .in_us = HOUR}, soon = {.priority = 2, .in_us = MINUTE};
  Buf keep = {0};
  NEED(start(&w, &code, unique_program));
  CHECK(put(&w, "Last", "{\"n\": 1, \"x\": 1}", &late, &a, &err));
  CHECK(put(&w, "Last", "{\"n\": 1, \"x\": 2}", &late, &b, &err)); /* not committed yet */
  (void)world_run(&w);
  CHECK(same_job(&a, &b));
  CHECK(put(&w, "Last", "{\"n\": 1, \"x\": 3}", &soon, &b, &err));
  (void)world_run(&w);
  CHECK(same_job(&a, &b));
  JobRow row = row_of(&w, a.id, &keep);
  CHECK(row.priority == 2 && row.state == JOB_AVAILABLE);
  pass(&w, MINUTE + SECOND);
  CHECK(state_is(&w, &a, JOB_EXECUTING));
  CHECK(put(&w, "Last", "{\"n\": 1, \"x\": 4}", NULL, &b, &err)); /* it executes: kept */
  (void)world_run(&w);
  CHECK(same_job(&a, &b));
  pass(&w, 10 * SECOND);
  CHECK_STR(printed(&w), STR("l1/3;"));
  CHECK(store_counts(w.s->store).jobs == 1);
  buf_deinit(&keep);
  stop(&w, &code);
}

/* Keys whose time is over do not stay for ever. */
static bool count_entry(void *context, Str key, Str value) {
  (void)key, (void)value;
  ++*(int *)context;
  return true;
}

static void unique_keys_are_forgotten(void) {
  World w;
  Code code;
  Err err = {0};
  int count = 0;
  NEED(start(&w, &code, unique_program));
  for (int n = 0; n < 20; n++) put_n(&w, "Hour", n, NULL, NULL);
  pass(&w, 2 * HOUR);
  put_n(&w, "Hour", 100, NULL, NULL);
  pass(&w, MINUTE);
  CHECK(store_kv_each(w.s->store, SPACE_UNIQUE, (Str){0}, (Str){0}, count_entry, &count, &err));
  CHECK(count == 1);
  stop(&w, &code);
}

/* ---- attempts. What was printed once is not printed again by later ones: the lease counts them --------------------------------------------------------------------------------------- */

static const char flaky_program[] =
    "queue \"flaky\":\n  concurrency 1\n"
    "tool Try(n: int) -> int:\n  max_attempts 1\n  perform: return n\n"
    "worker Flaky(n: int):\n  queue \"flaky\"\n  max_attempts 3 backoff 10s..20s\n  perform(job):\n"
    "    print(\"try\")\n    raise \"flaky\", message: \"no luck\"\n"
    "worker Quick(n: int):\n  queue \"flaky\"\n  perform(job): print(\"q${job.n}\")\n"
    "worker Later(n: int):\n  queue \"flaky\"\n  perform(job):\n    print(\"later\")\n    snooze 1m\n"
    "worker Over(n: int):\n  queue \"flaky\"\n  perform(job):\n    print(\"over\")\n    cancel \"not needed\"\n"
    "workflow Waits():\n  r = try await(enqueue Flaky(n: 1))\n  print(r.error.code)\n"
    "workflow Gets():\n  r = try await(enqueue Over(n: 1))\n  print(r.error.message)\n";

static void attempts_then_dead(void) {
  World w;
  Code code;
  Placed p;
  Buf keep = {0};
  NEED(start(&w, &code, flaky_program));
  put_n(&w, "Flaky", 1, NULL, &p);
  JobRow row = row_of(&w, p.id, &keep);
  CHECK(row.state == JOB_AVAILABLE && row.attempt == 1 && row.run != 0 && row.due_us > w.s->clock.now_us);
  CHECK_STR(row.note, STR("flaky: no luck"));
  CHECK(queue_of(&w, "flaky").executing == 0); /* its place is free */
  put_n(&w, "Quick", 1, NULL, NULL);
  CHECK_STR(printed(&w), STR("try;q1;"));
  pass(&w, 13 * SECOND);
  row = row_of(&w, p.id, &keep);
  CHECK(row.state == JOB_AVAILABLE && row.attempt == 2 && row.lease == 2);
  pass(&w, 30 * SECOND);
  row = row_of(&w, p.id, &keep);
  CHECK(row.state == JOB_DEAD && row.attempt == 3 && row.lease == 3);
  CHECK(row.input.size > 0); /* kept: a person may want to look, or try again */
  CHECK_HAS(buf_view(&w.notices), "dead letters: flaky: no luck");
  pass(&w, HOUR);
  row = row_of(&w, p.id, &keep);
  CHECK(row.lease == 3 && jobs_next_due(w.app->jobs) == 0);
  CHECK_STR(printed(&w), STR("try;q1;"));
  buf_deinit(&keep);
  stop(&w, &code);
}

static void snooze_and_give_up(void) {
  World w;
  Code code;
  Placed later, over;
  Buf keep = {0};
  NEED(start(&w, &code, flaky_program));
  put_n(&w, "Later", 1, NULL, &later);
  put_n(&w, "Over", 1, NULL, &over);
  CHECK(state_is(&w, &later, JOB_AVAILABLE) && state_is(&w, &over, JOB_CANCELLED));
  JobRow row = row_of(&w, over.id, &keep);
  CHECK_HAS(row.note, "not needed");
  pass(&w, 3 * MINUTE + SECOND);
  row = row_of(&w, later.id, &keep);
  CHECK(row.state == JOB_AVAILABLE && row.attempt == 1 && row.lease == 4); /* a snooze does not count */
  CHECK_STR(printed(&w), STR("later;over;"));
  buf_deinit(&keep);
  stop(&w, &code);
}

static bool begin(World *w, Code *code, const char *entry) {
  Uuid id;
  Err err = {0};
  bool ok = scheduler_begin(w->s, &(BeginOptions){.bundle = code->c->bundle.id, .entry = str_of(entry), .input = STR("\x80")}, &id, &err);
  if (!ok) fprintf(stderr, "%s\n", err.text);
  return ok;
}

static void who_awaits_is_told(void) {
  World w;
  Code code;
  NEED(start(&w, &code, flaky_program));
  CHECK(begin(&w, &code, "Waits"));
  pass(&w, HOUR);
  CHECK_STR(printed(&w), STR("try;flaky;"));
  CHECK(begin(&w, &code, "Gets"));
  pass(&w, SECOND);
  CHECK_HAS(printed(&w), "over;");
  CHECK_HAS(printed(&w), "cancelled");
  stop(&w, &code);
}

static void results_are_awaited(void) {
  World w;
  Code code;
  NEED(start(&w, &code, "worker Twice(n: int):\n  perform(job):\n    sleep 1h\n    return job.n * 2\n"
                        "workflow All():\n  a = enqueue Twice(n: 1)\n  b = enqueue Twice(n: 2) schedule_in: 2h\n"
                        "  xs = await all [a, b]\n  print(\"${xs}\")\n"));
  CHECK(begin(&w, &code, "All"));
  pass(&w, HOUR + SECOND);
  CHECK(printed(&w).size == 0);
  pass(&w, 3 * HOUR);
  CHECK_STR(printed(&w), STR("[2, 4];"));
  stop(&w, &code);
}

/* ---- what a person does ------------------------------------------------------------------------------- */

static void a_person_cancels(void) {
  World w;
  Code code;
  Placed waits, sleeps, between;
  Err err = {0};
  NEED(start(&w, &code, nap_program));
  put_n(&w, "Nap", 1, &(Options){.priority = -1, .in_us = HOUR}, &waits);
  put_n(&w, "Nap", 2, NULL, &sleeps);
  CHECK(job_cancel(w.app, waits.id, STR("why not"), &err));
  CHECK(state_is(&w, &waits, JOB_CANCELLED));
  CHECK(state_is(&w, &sleeps, JOB_EXECUTING));
  CHECK(job_cancel(w.app, sleeps.id, STR("enough"), &err));
  (void)world_run(&w);
  CHECK(state_is(&w, &sleeps, JOB_CANCELLED));
  CHECK(queue_of(&w, "naps").executing == 0);
  CHECK(!job_cancel(w.app, sleeps.id, STR("again"), &err) && err.code == ERR_INVALID);
  CHECK(!job_cancel(w.app, (Uuid){{9}}, STR("nobody"), &err) && err.code == ERR_NOT_FOUND);
  CHECK(!job_retry(w.app, sleeps.id, STR("ada"), &err) && err.code == ERR_INVALID);
  pass(&w, 2 * HOUR);
  CHECK(printed(&w).size == 0);
  stop(&w, &code);
  NEED(start(&w, &code, flaky_program));
  put_n(&w, "Flaky", 1, NULL, &between);
  CHECK(state_is(&w, &between, JOB_AVAILABLE));
  CHECK(job_cancel(w.app, between.id, STR("between attempts"), &err));
  pass(&w, HOUR);
  CHECK(state_is(&w, &between, JOB_CANCELLED));
  CHECK_STR(printed(&w), STR("try;"));
  stop(&w, &code);
}

static void a_person_tries_again(void) {
  World w;
  Code code;
  Placed p;
  Err err = {0};
  Buf keep = {0};
  NEED(start(&w, &code, flaky_program));
  put_n(&w, "Flaky", 1, NULL, &p);
  CHECK(job_retry(w.app, p.id, STR("ada"), &err)); /* not when it is due: now */
  (void)world_run(&w);
  JobRow row = row_of(&w, p.id, &keep);
  CHECK(row.state == JOB_AVAILABLE && row.attempt == 2);
  pass(&w, HOUR);
  CHECK(state_is(&w, &p, JOB_DEAD));
  CHECK(job_retry(w.app, p.id, STR("ada"), &err)); /* three more */
  (void)world_run(&w);
  row = row_of(&w, p.id, &keep);
  CHECK(row.state == JOB_AVAILABLE && row.attempt == 4);
  CHECK(queue_of(&w, "flaky").executing == 0);
  pass(&w, HOUR);
  row = row_of(&w, p.id, &keep);
  CHECK(row.state == JOB_DEAD && row.attempt == 6 && row.lease == 6);
  CHECK(job_cancel(w.app, p.id, STR("give it up"), &err));
  (void)world_run(&w);
  CHECK(state_is(&w, &p, JOB_CANCELLED));
  buf_deinit(&keep);
  stop(&w, &code);
}

/* ---- restarts --------------------------------------------------------------------------------------------- */

static void executing_jobs_go_on_after_a_restart(void) {
  World w;
  Code code;
  Placed p[5];
  Buf keep = {0};
  char room[64];
  const char *dir = dir_new(room);
  NEED(code_make(&code, nap_program) && world_start(&w, dir, &code, seeded()));
  for (int n = 0; n < 5; n++) put_n(&w, "Nap", n, NULL, &p[n]);
  CHECK(queue_of(&w, "naps").executing == 3);
  world_stop(&w);
  NEED(world_start(&w, dir, &code, seeded()));
  CHECK(queue_of(&w, "naps").executing == 3); /* they keep their places */
  (void)world_run(&w);
  JobRow row = row_of(&w, p[0].id, &keep);
  CHECK(row.state == JOB_EXECUTING && row.lease == 2 && row.attempt == 1);
  CHECK(state_is(&w, &p[3], JOB_AVAILABLE));
  pass(&w, MINUTE);
  CHECK_STR(printed(&w), STR("0;1;2;3;4;"));
  for (int n = 0; n < 5; n++) CHECK(state_is(&w, &p[n], JOB_DONE));
  buf_deinit(&keep);
  stop(&w, &code);
  dir_gone(dir);
}

/* Nobody "rescues" a job because it takes long: its lease is its process's. And what one job did twice would be seen. */
static void long_jobs_are_left_alone(void) {
  World w;
  Code code;
  Placed p;
  Buf keep = {0};
  NEED(start(&w, &code, "worker Long(n: int):\n  perform(job):\n    sleep 3d\n    print(\"long ${job.n}\")\n"));
  put_n(&w, "Long", 1, NULL, &p);
  pass(&w, 71 * HOUR);
  CHECK(state_is(&w, &p, JOB_EXECUTING) && queue_of(&w, "default").executing == 1);
  pass(&w, 2 * HOUR);
  JobRow row = row_of(&w, p.id, &keep);
  CHECK(row.state == JOB_DONE && row.attempt == 1 && row.lease == 1);
  CHECK_STR(printed(&w), STR("long 1;"));
  buf_deinit(&keep);
  stop(&w, &code);
}

/* Whoever lost its lease cannot say how the job ended. */
static void an_older_lease_is_refused(void) {
  World w;
  Code code;
  Placed p;
  Err err = {0};
  Buf keep = {0};
  NEED(start(&w, &code, nap_program));
  put_n(&w, "Nap", 1, NULL, &p);
  JobRow row = row_of(&w, p.id, &keep);
  CHECK(row.state == JOB_EXECUTING && row.lease == 1);
  row.lease = 0;
  row.state = JOB_DONE;
  StoreGroup group = {.job_updates = &row, .job_update_count = 1};
  CHECK(!store_commit(w.s->store, &group, &err) && err.code == ERR_INVALID);
  CHECK(state_is(&w, &p, JOB_EXECUTING));
  buf_deinit(&keep);
  stop(&w, &code);
}

static void waiting_attempts_go_on_after_a_restart(void) {
  World w;
  Code code;
  Placed p;
  Buf keep = {0};
  char room[64];
  const char *dir = dir_new(room);
  NEED(code_make(&code, flaky_program) && world_start(&w, dir, &code, seeded()));
  put_n(&w, "Flaky", 1, NULL, &p);
  world_stop(&w);
  NEED(world_start(&w, dir, &code, seeded()));
  pass(&w, HOUR);
  JobRow row = row_of(&w, p.id, &keep);
  CHECK(row.state == JOB_DEAD && row.attempt == 3 && row.lease == 3);
  buf_deinit(&keep);
  stop(&w, &code);
  dir_gone(dir);
}

/* Pauses, scales, windows of limits and unique keys are the store's. */
static void what_an_operator_set_survives(void) {
  World w;
  Code code;
  Err err = {0};
  char room[64];
  const char *dir = dir_new(room);
  Options rare = {.priority = -1, .queue = "rare"}, made = {.priority = -1, .queue = "made up"};
  NEED(code_make(&code, nap_program) && world_start(&w, dir, &code, seeded()));
  put_n(&w, "Nap", 1, &rare, NULL);
  put_n(&w, "Nap", 2, &rare, NULL);
  put_n(&w, "Nap", 3, &rare, NULL);
  put_n(&w, "Nap", 4, &(Options){.priority = -1, .in_us = HOUR, .queue = "made up"}, NULL);
  hold(&w, "naps", true);
  CHECK(queue_scale(w.app, STR("few"), 1, &err));
  int64_t now = w.s->clock.now_us;
  world_stop(&w);
  NEED(world_open(&w, dir, seeded()));
  w.s->clock.now_us = now;
  CHECK(world_activate(&w, &code, &err));
  uint32_t resumed, failed;
  CHECK(scheduler_resume_all(w.s, &resumed, &failed, &err));
  CHECK(queue_of(&w, "naps").paused && queue_of(&w, "few").concurrency == 1 && queue_of(&w, "few").scaled);
  CHECK(queue_of(&w, "made up").available == 1);
  pass(&w, 30 * SECOND);
  CHECK_STR(printed(&w), STR("1;2;")); /* the third must wait for the window that began before */
  pass(&w, 45 * SECOND);
  CHECK_STR(printed(&w), STR("1;2;3;"));
  pass(&w, HOUR);
  CHECK_STR(printed(&w), STR("1;2;3;4;"));
  (void)made;
  stop(&w, &code);
  dir_gone(dir);
}

/* ---- bundles ------------------------------------------------------------------------------------------------ */

static void jobs_without_a_worker_wait(void) {
  World w;
  Code code, other;
  Placed p;
  Err err = {0};
  NEED(start(&w, &code, add_program));
  NEED(code_make(&other, "queue \"adds\":\n  concurrency 1\n"
                         "worker New(n: int):\n  queue \"adds\"\n  perform(job): print(\"new${job.n}\")\n"));
  put_n(&w, "Add", 1, &(Options){.priority = -1, .in_us = MINUTE}, &p);
  put_n(&w, "Add", 2, &(Options){.priority = -1, .in_us = MINUTE}, NULL);
  CHECK(world_activate(&w, &other, &err));
  pass(&w, 2 * MINUTE);
  put_n(&w, "New", 3, NULL, NULL); /* they are in nobody's way */
  CHECK_STR(printed(&w), STR("new3;"));
  CHECK(state_is(&w, &p, JOB_AVAILABLE));
  CHECK_HAS(buf_view(&w.notices), "worker Add, which the active program does not have");
  size_t said = w.notices.size;
  pass(&w, HOUR);
  CHECK(w.notices.size == said); /* once */
  CHECK(world_activate(&w, &code, &err));
  pass(&w, SECOND);
  CHECK_STR(printed(&w), STR("new3;1;2;"));
  stop(&w, &code);
  code_done(&other);
}

/* New jobs follow the active bundle; their data is checked where it was made by another. */
static void jobs_follow_the_active_bundle(void) {
  World w;
  Code code, other;
  Placed good, bad;
  Err err = {0};
  Buf keep = {0};
  NEED(start(&w, &code, "worker Say(n: int, x: int?):\n  perform(job): print(\"old${job.n}\")\n"));
  NEED(code_make(&other, "worker Say(n: int, x: int):\n  perform(job): print(\"new${job.n}\")\n"));
  CHECK(put(&w, "Say", "{\"n\": 1, \"x\": 5}", &(Options){.priority = -1, .in_us = MINUTE}, &good, &err));
  CHECK(put(&w, "Say", "{\"n\": 2}", &(Options){.priority = -1, .in_us = MINUTE}, &bad, &err));
  (void)world_run(&w);
  CHECK(world_activate(&w, &other, &err));
  pass(&w, 2 * MINUTE);
  CHECK_STR(printed(&w), STR("new1;"));
  CHECK(state_is(&w, &good, JOB_DONE) && state_is(&w, &bad, JOB_DEAD));
  JobRow row = row_of(&w, bad.id, &keep);
  CHECK_HAS(row.note, "x");
  CHECK(world_activate(&w, &code, &err)); /* back: then it fits again */
  CHECK(job_retry(w.app, bad.id, STR("ada"), &err));
  (void)world_run(&w);
  CHECK_STR(printed(&w), STR("new1;old2;"));
  buf_deinit(&keep);
  stop(&w, &code);
  code_done(&other);
}

/* ---- decisions ------------------------------------------------------------------------------------------------ */

static void enqueued_with_the_decision(void) {
  World w;
  Code code;
  NEED(start(&w, &code,
             "command Pay(id: string, n: int)\nevent Paid(n: int)\n"
             "agent Account:\n  state { total: 0 }\n"
             "  decide Pay(n) when n > 100:\n    enqueue Receipt(n: n)\n    reject \"too_much\"\n"
             "  decide Pay(n):\n    emit Paid(n: n)\n    enqueue Receipt(n: n) schedule_in: 1m, priority: 1\n"
             "  evolve Paid(n): total += n\n"
             "  view sum(): return total\n"
             "worker Receipt(n: int):\n  perform(job): print(\"${job.n} ${meta.tenant} ${meta.causation is nil}\")\n"
             "router App:\n  identify Account by id\n  dispatch [Pay] -> Account\nstart App\n"));
  CHECK_HAS(ask(&w, "Pay", "{\"id\": \"a\", \"n\": 5}", NULL), "ok");
  CHECK(printed(&w).size == 0);
  CHECK_STR(ask(&w, "Pay", "{\"id\": \"a\", \"n\": 500}", NULL), STR("too_much")); /* nothing of it stays */
  CHECK_STR(look(&w, "Account", "a", "sum", ""), STR("5"));
  CHECK(store_counts(w.s->store).jobs == 1);
  pass(&w, MINUTE);
  CHECK_STR(printed(&w), STR("5 default false;"));
  stop(&w, &code);
}

/* ---- crons ------------------------------------------------------------------------------------------------------ */

static SchedulerOptions with_crons(void) {
  SchedulerOptions o = seeded();
  o.crons = true;
  return o;
}

#define CRON_PROGRAM(missed) "every \"0 * * * *\" missed " missed ": print(\"tick\")\n"

static size_t ticks(const World *w) { return w->printed.size / 5; }

/* Opens at a time, `us` after it runs on. */
static bool cron_start(World *w, const char *dir, Code *code, int64_t at_us) {
  Err err = {0};
  uint32_t resumed, failed;
  if (!world_open(w, dir, with_crons())) return false;
  w->s->clock.now_us = at_us;
  bool ok = world_activate(w, code, &err) && scheduler_resume_all(w->s, &resumed, &failed, &err);
  if (!ok) fprintf(stderr, "%s\n", err.text);
  (void)world_run(w);
  return ok;
}

static int64_t moment(const char *text) {
  int64_t us = 0;
  CHECK(time_parse(str_of(text), &us));
  return us;
}

static void crons_tick(void) {
  World w;
  Code code;
  NEED(code_make(&code, CRON_PROGRAM("skip")));
  NEED(cron_start(&w, NULL, &code, moment("2026-11-20T10:30:00Z")));
  CHECK(ticks(&w) == 0); /* a new one begins now */
  CHECK(crons_next_due(w.app->crons) == moment("2026-11-20T11:00:00Z"));
  pass(&w, 30 * MINUTE);
  CHECK(ticks(&w) == 1);
  pass(&w, 5 * HOUR);
  CHECK(ticks(&w) == 6);
  stop(&w, &code);
}

static void crons_after_a_pause(const char *text, size_t want, size_t want_soon) {
  World w;
  Code code;
  char room[64];
  const char *dir = dir_new(room);
  NEED(code_make(&code, text));
  NEED(cron_start(&w, dir, &code, moment("2026-11-20T10:30:00Z")));
  pass(&w, 31 * MINUTE);
  CHECK(ticks(&w) == 1);
  world_stop(&w);
  NEED(cron_start(&w, dir, &code, moment("2026-11-20T11:02:00Z"))); /* the same tick is not taken again */
  CHECK(ticks(&w) == 0);
  world_stop(&w);
  NEED(cron_start(&w, dir, &code, moment("2026-11-20T15:30:00Z"))); /* four were missed */
  CHECK(ticks(&w) == want);
  pass(&w, 31 * MINUTE);
  CHECK(ticks(&w) == want + 1);
  world_stop(&w);
  NEED(cron_start(&w, dir, &code, moment("2026-11-20T19:00:20Z"))); /* two were, and one is in time */
  CHECK(ticks(&w) == want_soon);
  stop(&w, &code);
  dir_gone(dir);
}

static void missed_ticks(void) {
  crons_after_a_pause(CRON_PROGRAM("skip"), 0, 1);
  crons_after_a_pause(CRON_PROGRAM("once"), 1, 1);
  crons_after_a_pause(CRON_PROGRAM("all"), 4, 3);
}

static void a_thousand_missed_ticks(void) {
  World w;
  Code code;
  char room[64];
  const char *dir = dir_new(room);
  NEED(code_make(&code, CRON_PROGRAM("all")));
  NEED(cron_start(&w, dir, &code, moment("2026-01-01T00:30:00Z")));
  world_stop(&w);
  NEED(cron_start(&w, dir, &code, moment("2026-11-20T10:30:00Z")));
  CHECK(ticks(&w) == 1000);
  CHECK_HAS(buf_view(&w.notices), "the latest 1000 are made up for");
  stop(&w, &code);
  dir_gone(dir);
}

/* Twice the same expression are two crons; one that is gone and comes back begins anew. */
static void crons_follow_the_active_bundle(void) {
  World w;
  Code code, other;
  Err err = {0};
  NEED(code_make(&code, "every \"0 * * * *\" missed all: print(\"tick\")\nevery \"0 * * * *\": print(\"tack\")\n"));
  NEED(code_make(&other, "every \"30 * * * *\": print(\"half\")\n"));
  NEED(cron_start(&w, NULL, &code, moment("2026-11-20T10:30:00Z")));
  pass(&w, 40 * MINUTE);
  CHECK_STR(printed(&w), STR("tick;tack;"));
  CHECK(world_activate(&w, &other, &err));
  pass(&w, 5 * HOUR);
  CHECK_STR(printed(&w), STR("tick;tack;half;half;half;half;half;"));
  CHECK(world_activate(&w, &code, &err));
  pass(&w, SECOND);
  CHECK(ticks(&w) == 7);
  stop(&w, &code);
  code_done(&other);
}

/* A tick that fails is said; one that takes long does not keep the next one waiting. */
static void ticks_fail_and_overlap(void) {
  World w;
  Code code;
  NEED(code_make(&code, "every \"0 * * * *\":\n  print(\"tick\")\n  sleep 90m\n  raise \"broken\"\n"));
  NEED(cron_start(&w, NULL, &code, moment("2026-11-20T10:30:00Z")));
  pass(&w, 2 * HOUR + 15 * MINUTE);
  CHECK(ticks(&w) == 2);
  CHECK_HAS(buf_view(&w.notices), "broken");
  stop(&w, &code);
}

static void crons_only_where_asked(void) {
  World w;
  Code code;
  NEED(start(&w, &code, CRON_PROGRAM("all")));
  CHECK(crons_next_due(w.app->crons) == 0);
  pass(&w, 5 * HOUR);
  CHECK(ticks(&w) == 0);
  stop(&w, &code);
}

/* ---- crashes ---------------------------------------------------------------------------------------------------- */

/* Everything a job may go through. What each did is counted by an agent. */
static const char busy_program[] =
    "command Put(id: string, n: int)\nevent Added(n: int)\n"
    "agent Box:\n  state { total: 0 }\n  decide Put(n):\n    emit Added(n: n)\n  evolve Added(n): total += n\n"
    "  view sum(): return total\n"
    "router App:\n  identify Box by id\n  dispatch [Put] -> Box\nstart App\n"
    "queue \"few\":\n  concurrency 2\n"
    "worker Add(n: int):\n  queue \"few\"\n"
    "  perform(job):\n    dispatch Put(id: \"a\", n: job.n)\n    sleep 1ms\n    return job.n\n"
    "worker One(n: int):\n  unique by n within 1h\n  perform(job): dispatch Put(id: \"a\", n: job.n)\n"
    "worker Flaky(n: int):\n  max_attempts 3 backoff 1ms..2ms\n"
    "  perform(job):\n    dispatch Put(id: \"b\", n: 1)\n    raise \"flaky\"\n"
    "a = enqueue Add(n: 1)\nb = enqueue Add(n: 10) priority: 0\nc = enqueue Add(n: 100) schedule_in: 5ms\n"
    "d = enqueue One(n: 1000)\ne = enqueue One(n: 1000)\nf = enqueue Flaky(n: 1)\n"
    "xs = await all [a, b, c]\nprint(\"got ${xs}\")\n"
    "await(d)\nawait(e)\nr = try await(f)\nprint(\"over ${r.ok}\")\n";

typedef struct States {
  uint32_t count[6];
} States;

static bool state_count(void *context, const JobRow *row) {
  States *states = context;
  states->count[row->state]++;
  return true;
}

static void begin_script(World *w, Code *code) {
  Uuid id;
  Err err = {0};
  BeginOptions begin_options = {.bundle = code->c->bundle.id, .entry = STR(""), .input = STR("\x80")};
  CHECK(scheduler_begin(w->s, &begin_options, &id, &err));
}

/* Whatever happened before: all was done, and once. */
static void all_is_done(World *w, Code *code) {
  Err err = {0};
  States states = {{0}};
  if (store_counts(w->s->store).runs == 0) begin_script(w, code); /* not even begun */
  CHECK(scheduler_run(w->s, 0, 3 * SECOND, &err) != SCHEDULE_FAILED);
  CHECK_STR(look(w, "Box", "a", "sum", ""), STR("1111"));
  CHECK_STR(look(w, "Box", "b", "sum", ""), STR("1"));
  CHECK(store_job_each(w->s->store, 1, 0, state_count, &states, &err));
  CHECK(states.count[JOB_DONE] == 4 && states.count[JOB_DEAD] == 1 && store_counts(w->s->store).jobs == 5);
  CHECK(queue_of(w, "few").executing == 0 && queue_of(w, "default").executing == 0);
}

static bool stopped_before(Code *code, const char *dir, int rounds) {
  World w;
  Err err = {0};
  if (!world_start(&w, dir, code, (SchedulerOptions){0})) return true;
  begin_script(&w, code);
  w.flushes = rounds;
  ScheduleResult r = scheduler_run(w.s, 0, 3 * SECOND, &err);
  CHECK(r != SCHEDULE_FAILED);
  world_stop(&w);
  if (!world_start(&w, dir, code, (SchedulerOptions){0})) return true;
  all_is_done(&w, code);
  if (test_checks_failed > 0) fprintf(stderr, "stopped before round %d\n", rounds);
  world_stop(&w);
  return r != SCHEDULE_STOPPED;
}

static void stopped_before_every_round(void) {
  Code code;
  char room[64];
  int rounds = 1;
  NEED(code_make(&code, busy_program));
  for (bool over = false; !over && rounds < 200 && test_checks_failed == 0; rounds++) {
    const char *dir = dir_new(room);
    over = stopped_before(&code, dir, rounds);
    dir_gone(dir);
  }
  CHECK(rounds > 10);
  code_done(&code);
}

/* The process dies in the middle of an operation of the store; half of the time the power goes too. */
static bool killed_at(FaultyVfs *vfs, Code *code, const char *dir, uint64_t nth) {
  World w;
  Err err = {0};
  if (!world_start(&w, dir, code, (SchedulerOptions){0})) return true;
  faulty_vfs_arm(vfs, FAULTY_KILL, nth);
  begin_script(&w, code);
  ScheduleResult r = scheduler_run(w.s, 0, 3 * SECOND, &err);
  if (r == SCHEDULE_FAILED) CHECK(faulty_vfs_hit(vfs));
  else CHECK(!faulty_vfs_hit(vfs) || faulty_vfs_ops(vfs) == nth); /* the last lock given back: nothing was to come */
  bool past = faulty_vfs_ops(vfs) < nth;
  world_stop(&w);
  faulty_vfs_arm(vfs, FAULTY_KILL, 0);
  faulty_vfs_restart(vfs, nth % 2 == 0, nth);
  if (!world_start(&w, dir, code, (SchedulerOptions){0})) {
    CHECK(false);
    return true;
  }
  all_is_done(&w, code);
  if (test_checks_failed > 0) fprintf(stderr, "killed at operation %" PRIu64 "\n", nth);
  world_stop(&w);
  return past;
}

static void killed_at_operations_of_the_store(void) {
  Code code;
  char room[64];
  uint64_t nth = 1;
  NEED(code_make(&code, busy_program));
  world_vfs = "jobs-faulty";
  for (bool over = false; !over && nth < 5000 && test_checks_failed == 0; nth += 5) {
    FaultyVfs *vfs = faulty_vfs_new(world_vfs);
    const char *dir = dir_new(room);
    over = killed_at(vfs, &code, dir, nth);
    dir_gone(dir);
    faulty_vfs_free(vfs);
  }
  CHECK(nth > 50);
  world_vfs = NULL;
  code_done(&code);
}

int main(void) {
  RUN_TEST(a_job_runs_once);
  RUN_TEST(what_may_be_enqueued);
  RUN_TEST(meta_says_who_and_why);
  RUN_TEST(priorities_then_due_times);
  RUN_TEST(who_waits_long_rises);
  RUN_TEST(nobody_starves);
  RUN_TEST(scheduled_jobs_wait);
  RUN_TEST(concurrency_and_global);
  RUN_TEST(a_limit_defers);
  RUN_TEST(pause_and_scale);
  RUN_TEST(unique_keeps_the_first);
  RUN_TEST(unique_within_a_time);
  RUN_TEST(unique_and_cancelled);
  RUN_TEST(unique_replaces_who_waits);
  RUN_TEST(unique_keys_are_forgotten);
  RUN_TEST(attempts_then_dead);
  RUN_TEST(snooze_and_give_up);
  RUN_TEST(who_awaits_is_told);
  RUN_TEST(results_are_awaited);
  RUN_TEST(a_person_cancels);
  RUN_TEST(a_person_tries_again);
  RUN_TEST(executing_jobs_go_on_after_a_restart);
  RUN_TEST(long_jobs_are_left_alone);
  RUN_TEST(an_older_lease_is_refused);
  RUN_TEST(waiting_attempts_go_on_after_a_restart);
  RUN_TEST(what_an_operator_set_survives);
  RUN_TEST(jobs_without_a_worker_wait);
  RUN_TEST(jobs_follow_the_active_bundle);
  RUN_TEST(enqueued_with_the_decision);
  RUN_TEST(crons_tick);
  RUN_TEST(missed_ticks);
  RUN_TEST(a_thousand_missed_ticks);
  RUN_TEST(crons_follow_the_active_bundle);
  RUN_TEST(ticks_fail_and_overlap);
  RUN_TEST(crons_only_where_asked);
  RUN_TEST(stopped_before_every_round);
  RUN_TEST(killed_at_operations_of_the_store);
  return TEST_END();
}
