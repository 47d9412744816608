/* Rounds, and waiting between them. */
#include "vm/runtime/scheduler.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vm/base/cbor.h"
#include "vm/base/file.h"
#include "vm/base/mem.h"
#include "vm/core/heap.h"
#include "vm/runtime/app.h"
#include "vm/runtime/approvals.h"
#include "vm/runtime/schedule.h"

enum {
  SLICE_TICKS = 1000000, /* of a run that keeps nobody waiting: some milliseconds */
  SLICE_FIRST = 50000,   /* while others are here: about a millisecond, and no round takes longer for one of them */
  HEAVY_BYTES = 16 << 20, /* collecting so much takes longer than a round should */
  EVENTS_A_TURN = 1024,
  LOOK_EVERY_US = 2000
};
#define PARK_GRACE_US INT64_C(20000) /* a wait that ends sooner is not worth an image */

static const Str encoded_nil = {"\xf6", 1};

/* ---- life ---------------------------------------------------------------- */

bool scheduler_new(Node *node, const SchedulerOptions *options, Scheduler **out, Err *err) {
  Scheduler *s = MEM_NEW(Scheduler);
  s->node = node;
  s->store = node_store(node);
  s->options = *options;
  if (s->options.threads == 0) s->options.threads = workers_cores();
  clock_begin(&s->clock, options->seeded);
  if (options->seeded && options->start_us != 0) s->clock.now_us = options->start_us;
  s->by_number = table_new();
  s->by_id = table_new();
  s->awaiters = table_new();
  s->refused = table_new();
  s->timers = timers_new();
  s->adopted = table_new();
  s->grouping = grouping_new();
  s->next_number = s->first_number = store_next_run(s->store);
  s->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (s->stop_fd < 0) FAIL(err, ERR_IO, "eventfd: %s", strerror(errno));
  bool ok = s->stop_fd >= 0 && mail_read(s->store, &s->mail, err) && gate_new(s, &s->gate, err);
  if (!ok || (options->listen && !control_open(node_dir(node), &s->control, err))) {
    scheduler_free(s);
    return false;
  }
  if (options->app) s->app = app_new(s, &(AppOptions){.crons = options->crons, .cache = options->agent_cache});
  *out = s;
  return true;
}

static void awaiters_free(Table *t) {
  uint32_t cursor = 0;
  Str key;
  void *value;
  while (table_next(t, &cursor, &key, &value)) {
    for (Awaiter *a = value; a != NULL;) {
      Awaiter *next = a->next;
      mem_free(a);
      a = next;
    }
  }
  table_free(t);
}

static void slots_free(Scheduler *s) {
  SlotList all = {0};
  uint32_t cursor = 0;
  Str key;
  void *value;
  while (table_next(s->by_number, &cursor, &key, &value)) slot_list_add(&all, value);
  for (uint32_t i = 0; i < all.count; i++) slot_free(all.at[i]);
  mem_free(all.at);
  table_free(s->by_number);
  table_free(s->by_id);
}

static void texts_free(Table *t) {
  uint32_t cursor = 0;
  Str key;
  void *value;
  while (table_next(t, &cursor, &key, &value)) mem_free(value);
  table_free(t);
}

static void visitor_leave(Scheduler *s) {
  if (s->visitor != NULL) slot_free(s->visitor);
  s->visitor = NULL;
}

void scheduler_free(Scheduler *s) {
  if (s == NULL) return;
  control_close(s->control);
  away_free(s);
  if (s->effects != NULL) effects_free(s->effects);
  workers_free(s->workers);
  if (s->app != NULL) app_free(s->app);
  visitor_leave(s);
  slots_free(s);
  awaiters_free(s->awaiters);
  texts_free(s->refused);
  table_free(s->adopted);
  timers_free(s->timers);
  gate_free(s->gate);
  for (uint32_t i = 0; i < s->arrived_count; i++) buf_deinit(&s->arrived[i].value);
  mem_free(s->arrived);
  grouping_free(s->grouping);
  buf_deinit(&s->mail);
  mem_free(s->ready.at);
  mem_free(s->turn.at);
  mem_free(s->touched.at);
  mem_free(s->calm);
  if (s->stop_fd >= 0) close(s->stop_fd);
  mem_free(s);
}

struct App *scheduler_app(Scheduler *s) { return s->app; }
struct Control *scheduler_control(Scheduler *s) { return s->control; }

void scheduler_notice(Scheduler *s, const char *format, ...) {
  Buf text = {0};
  va_list args;
  if (s->options.notice == NULL) return;
  va_start(args, format);
  buf_vformat(&text, format, args);
  va_end(args);
  s->options.notice(s->options.context, buf_view(&text));
  buf_deinit(&text);
}

bool scheduler_begin(Scheduler *s, const BeginOptions *options, Uuid *id, Err *err) {
  Slot *slot;
  char what[40];
  int size = snprintf(what, sizeof what, "begin %" PRIu64, s->begun++);
  Hash256 chance = scheduler_chance(s, (Str){what, (size_t)size});
  SlotHead head = {.id = uuid_v7(clock_now(&s->clock), chance.byte),
                   .bundle = options->bundle,
                   .entry = options->entry,
                   .input = options->input,
                   .args = options->args,
                   .tenant = options->tenant};
  if (!slot_begin(s, &head, &slot, err)) return false;
  *id = slot->id;
  return true;
}

ScheduleCounts scheduler_counts(const Scheduler *s) {
  return (ScheduleCounts){s->slot_count + (uint32_t)s->dormant_count, s->stuck_count, s->diverged_count,
                          s->corrupt_count};
}

uint64_t scheduler_number(Scheduler *s, Uuid id) {
  Slot *slot = slot_by_id(s, id);
  return slot != NULL ? slot->number : 0;
}

/* A dormant run is looked at without taking it up: nothing of it stays but until the next look. */
static bool visitor_enter(Scheduler *s, uint64_t number, Err *err) {
  RunRow row;
  Buf keep = {0};
  const Program *program;
  bool ok = store_run_get(s->store, number, &row, &keep, err);
  if (ok && row_dormant(s, &row)) {
    s->visitor = slot_new(s, &row);
    ok = node_program(s->node, row.bundle, &program, err) && slot_restore(s->visitor, program, err);
    if (!ok) visitor_leave(s);
  }
  buf_deinit(&keep);
  return ok;
}

Run *scheduler_find(Scheduler *s, uint64_t number) {
  Slot *slot = slot_by_number(s, number);
  Err err;
  visitor_leave(s);
  if (slot != NULL && slot->over) return NULL;
  if (slot != NULL && slot->away) away_wait(s, slot);
  if (slot != NULL ? slot_wake(slot, &err) : visitor_enter(s, number, &err)) {
    if (slot == NULL) slot = s->visitor;
    return slot != NULL ? slot->run : NULL;
  }
  scheduler_notice(s, "a parked run cannot be woken: %s", err.text);
  return NULL;
}

/* ---- step 2: turns, on any thread ----------------------------------------- */

static void settle_note(Slot *slot, uint64_t seq) {
  slot->settles = mem_grow(slot->settles, &slot->settle_cap, slot->settle_count + 1, sizeof *slot->settles);
  slot->settles[slot->settle_count++] = seq;
}

/* Gives the run its next event. False: none is left that it takes. */
static bool turn_event(Slot *slot) {
  Inbox *event;
  Err ignored; /* an answer that is not waited for any more is no event */
  while ((event = inbox_take(slot)) != NULL) {
    bool ok = run_deliver(slot->run, &event->record, &ignored);
    if (ok && event->record.kind == RECORD_RESOLVED) slot->resolved++;
    if (ok && event->record.kind == RECORD_REVIVED) slot->dead = false;
    slot->letters += event->letter;
    if (event->call) settle_note(slot, event->record.ANSWERED.ref);
    mem_free(event);
    if (ok) return true;
  }
  return false;
}

/* A timer that was dropped in this step may wait in the inbox already. */
static void turn_drops(Slot *slot, const RunOutput *out) {
  for (uint32_t i = 0; i < out->count; i++)
    if (out->requests[i].kind == REQUEST_DROP) inbox_drop_timer(slot, out->requests[i].seq);
}

/* Do others wait while one run is stepped? */
static bool in_company(const Scheduler *s) { return s->slot_count > 1 || s->app != NULL; }

static uint64_t slice_of(const Scheduler *s) {
  if (s->options.slice != 0) return s->options.slice;
  return in_company(s) && !s->options.seeded ? SLICE_FIRST : SLICE_TICKS;
}

static void slot_turn(void *context, uint32_t index) {
  Scheduler *s = context;
  Slot *slot = s->turn.at[index];
  uint64_t slice = slice_of(s);
  uint32_t events = 0;
  while (!slot->quiescent || (events++ < EVENTS_A_TURN && turn_event(slot))) {
    run_machine(slot->run)->switch_loop = s->options.switch_vm;
    RunOutput *out = slot_out(slot);
    slot->result = run_step(slot->run, slice, out);
    slot->quiescent = slot->result == STEP_WAITING;
    turn_drops(slot, out);
    if (!slot->quiescent) return;
  }
}

/* Who used up a slice, or holds much memory, goes on beside the rounds: nobody waits for it. Not with a seed, where
** what is in which round must not depend on time. */
static bool turn_away(Scheduler *s, Slot *slot) {
  bool may = s->options.slice == 0 && !s->options.seeded && s->options.threads > 1 && in_company(s);
  bool heavy = slot->run != NULL && run_machine(slot->run)->heap->live > HEAVY_BYTES;
  if (!may || slot->touched || (!slot->sliced && !heavy)) return false; /* touched: this round's commit needs it here */
  if (slot->quiescent && !turn_event(slot)) return false;
  slot->quiescent = false;
  run_machine(slot->run)->switch_loop = s->options.switch_vm;
  slot_out(slot);
  away_send(s, slot);
  return true;
}

static void turn_back(Scheduler *s) {
  Slot *slot;
  while ((slot = away_next(s)) != NULL) {
    slot->quiescent = slot->result == STEP_WAITING;
    turn_drops(slot, &slot->outs[slot->out_count - 1]);
    slot_list_add(&s->turn, slot);
  }
}

static int slot_order(const void *a, const void *b) {
  const Slot *x = *(Slot *const *)a, *y = *(Slot *const *)b;
  return (x->number > y->number) - (x->number < y->number);
}

static void slot_lost(Slot *slot, const Err *err) {
  char id[37];
  uuid_text(slot->id, id);
  scheduler_notice(slot->scheduler, "run %s cannot be woken: %s", id, err->text);
  slot->over = true; /* here; in the store it stays as it is */
  slot->status = slot->stored;
  if (err->code == ERR_CORRUPT) slot->scheduler->corrupt_count++;
}

/* The ready runs, in memory and in order of number. */
static void turn_gather(Scheduler *s) {
  SlotList empty = s->turn;
  Err err;
  s->turn = s->ready;
  s->ready = empty;
  s->ready.count = 0;
  if (s->turn.count > 1) qsort(s->turn.at, s->turn.count, sizeof(Slot *), slot_order);
  for (uint32_t i = 0; i < s->turn.count; i++) {
    Slot *slot = s->turn.at[i];
    slot->ready = false;
    if (slot->run == NULL && !slot_wake(slot, &err)) slot_lost(slot, &err);
  }
}

/* Without those that are lost, and those that go on elsewhere. */
static void turn_take(Scheduler *s) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < s->turn.count; i++) {
    Slot *slot = s->turn.at[i];
    if (slot->over && slot->run == NULL) slot_free(slot);
    else if (!turn_away(s, slot)) s->turn.at[kept++] = slot;
  }
  s->turn.count = kept;
}

static void turn_step(Scheduler *s) {
  uint32_t count = s->turn.count;
  if (count > 1 && s->options.threads > 1) {
    if (s->workers == NULL) s->workers = workers_new(s->options.threads);
    workers_run(s->workers, slot_turn, s, count);
  } else {
    for (uint32_t i = 0; i < count; i++) slot_turn(s, i);
  }
  turn_back(s);
  for (uint32_t i = 0; i < s->turn.count; i++) {
    Slot *slot = s->turn.at[i];
    for (; slot->resolved > 0; slot->resolved--) slot_person(slot, -1);
    for (uint32_t n = 0; n < slot->settle_count; n++) gate_settle(s, slot->number, slot->settles[n]);
    slot->settle_count = 0;
    slot->sliced = slot->result == STEP_SLICE;
    slot_after_step(slot);
  }
}

static bool round_run(Scheduler *s, Err *err) {
  turn_gather(s);
  turn_take(s);
  turn_step(s);
  return round_commit(s, err);
}

/* ---- step 1: what arrived -------------------------------------------------- */

/* Of a run that is gone nothing is put on record, and what the call cost is settled at once. */
void outcome_deliver(Scheduler *s, EffectOutcome *o) {
  Slot *slot = slot_by_number(s, o->run);
  bool call = gate_outcome(s, o);
  if (slot != NULL && !slot->over) inbox_outcome(slot, o->seq, o->outcome, buf_view(&o->value), call);
  else if (call) gate_settle(s, o->run, o->seq);
  buf_deinit(&o->value);
}

static int outcome_order(const void *a, const void *b) {
  const EffectOutcome *x = a, *y = b;
  if (x->run != y->run) return x->run < y->run ? -1 : 1;
  return (x->seq > y->seq) - (x->seq < y->seq);
}

static void outcomes_take(Scheduler *s) {
  EffectOutcome o;
  while (s->effects != NULL && s->in_flight > 0 && effects_next(s->effects, &o)) {
    if (o.more) {
      gate_progress(s, &o);
      buf_deinit(&o.value);
      continue;
    }
    s->in_flight--;
    if (gate_take_up(s, &o)) {
      buf_deinit(&o.value);
      continue;
    }
    if (!s->options.seeded) {
      outcome_deliver(s, &o);
      continue;
    }
    s->arrived = mem_grow(s->arrived, &s->arrived_cap, s->arrived_count + 1, sizeof *s->arrived);
    s->arrived[s->arrived_count++] = o;
  }
}

/* With a seed outcomes wait for each other, so that the network's order is nobody's business. */
static void outcomes_sorted(Scheduler *s) {
  if (s->in_flight > 0 || s->ready.count > 0 || s->arrived_count == 0) return;
  qsort(s->arrived, s->arrived_count, sizeof *s->arrived, outcome_order);
  for (uint32_t i = 0; i < s->arrived_count; i++) outcome_deliver(s, &s->arrived[i]);
  s->arrived_count = 0;
}

/* The next timer of a run that is still here. */
static bool timer_next(Scheduler *s, Timer *out) {
  while (timers_peek(s->timers, out)) {
    if (slot_by_number(s, out->run) != NULL) return true;
    timers_take(s->timers, out);
  }
  return false;
}

static void timers_fire(Scheduler *s) {
  Timer t;
  int64_t now = clock_now(&s->clock);
  while (timer_next(s, &t) && t.due_us <= now) {
    timers_take(s->timers, &t);
    inbox_answer(slot_by_number(s, t.run), t.seq, "ok", encoded_nil, true);
  }
}

/* Looking costs a system call: between rounds of microseconds it is done now and then. */
static void control_look(Scheduler *s) {
  int64_t now = clock_monotonic_us();
  bool due = s->ready.count == 0 || now - s->looked_us >= LOOK_EVERY_US;
  if (s->control == NULL || s->options.control == NULL || !due) return;
  s->looked_us = now;
  control_serve(s->control, s->options.control, s->options.context);
}

static bool collect(Scheduler *s, Err *err) {
  visitor_leave(s);
  outcomes_take(s);
  if (s->options.seeded) outcomes_sorted(s);
  if (!s->options.seeded || (s->ready.count == 0 && s->in_flight == 0)) {
    if (!dormant_wake(s, clock_now(&s->clock), err)) return false;
    timers_fire(s);
    gate_collect(s, clock_now(&s->clock));
  }
  s->failed |= gate_failed(s->gate);
  control_look(s);
  return true;
}

/* ---- waiting --------------------------------------------------------------- */

/* True: something happened before the time was over. timeout_us < 0: for ever. */
static bool wait_events(Scheduler *s, int64_t timeout_us) {
  struct pollfd fds[4] = {{s->stop_fd, POLLIN, 0}};
  nfds_t count = 1;
  if (s->control != NULL) fds[count++] = (struct pollfd){control_fd(s->control), POLLIN, 0};
  /* Its descriptor is read while something is in flight, and not looked at else: it may be left readable. */
  if (s->effects != NULL && s->in_flight > 0) fds[count++] = (struct pollfd){effects_fd(s->effects), POLLIN, 0};
  if (s->away != NULL) fds[count++] = (struct pollfd){away_fd(s), POLLIN, 0};
  struct timespec t = {timeout_us / 1000000, timeout_us % 1000000 * 1000};
  return ppoll(fds, count, timeout_us < 0 ? NULL : &t, NULL) > 0;
}

/* Waits at most until `until_us` (0: for ever); a wait that lasts parks who is calm. */
static bool wait_and_park(Scheduler *s, int64_t until_us, Err *err) {
  int64_t left = until_us == 0 ? -1 : until_us - clock_now(&s->clock);
  if (until_us != 0 && left <= 0) return true;
  int64_t grace = s->calm_next_us - clock_monotonic_us();
  if (grace < PARK_GRACE_US) grace = PARK_GRACE_US;
  if (s->calm_count > 0 && (left < 0 || left > grace)) {
    if (wait_events(s, grace)) return true;
    if (until_us == 0 && s->in_flight == 0 && away_count(s) == 0 && s->options.waiting != NULL)
      s->options.waiting(s->options.context);
    if (!park_calm(s, 0, err)) return false;
    memory_settle(s);
    return true;
  }
  wait_events(s, left);
  return true;
}

typedef enum { IDLE_WAIT, IDLE_OVER, IDLE_PARKED, IDLE_STUCK } Idle;

/* The next moment at which something happens by itself; 0: there is none. */
static int64_t next_due(Scheduler *s) {
  Timer t;
  int64_t wake, due = timer_next(s, &t) ? t.due_us : 0;
  if (dormant_next(s, &wake) && (due == 0 || wake < due)) due = wake;
  int64_t app = s->app != NULL ? app_next_due(s->app) : 0, gate = gate_next_due(s);
  if (app != 0 && (due == 0 || app < due)) due = app;
  return gate != 0 && (due == 0 || gate < due) ? gate : due;
}

/* Is the run asked for over (or diverged, or lost)? A dormant one is not. */
static bool target_done(Scheduler *s, uint64_t target) {
  RunRow row;
  Buf keep = {0};
  Err ignored;
  if (target == 0 || slot_by_number(s, target) != NULL) return false;
  bool waits = store_run_get(s->store, target, &row, &keep, &ignored) &&
               (row_dormant(s, &row) || row.status == RUN_STATUS_DEAD);
  buf_deinit(&keep);
  return !waits;
}

/* Nothing is ready: what is there to wait for? *until_us: what is due next, 0 if it is not that. */
static Idle idle_judge(Scheduler *s, uint64_t target, int64_t patience_us, int64_t *until_us) {
  bool done = target_done(s, target), none = s->slot_count + s->dormant_count == 0;
  int64_t patience = done ? 0 : patience_us;
  if (none && s->app == NULL) return IDLE_OVER;
  *until_us = next_due(s);
  if (!none && (s->in_flight > 0 || away_count(s) > 0)) return IDLE_WAIT;
  bool soon = *until_us != 0 && (patience < 0 || *until_us - clock_now(&s->clock) <= patience);
  if (soon) return IDLE_WAIT;
  if (done) return IDLE_OVER;
  if (patience == PATIENCE_SERVE) return IDLE_WAIT;
  if (none) return *until_us != 0 ? IDLE_PARKED : IDLE_OVER;
  if (s->stuck_count > 0) return IDLE_STUCK;
  if (patience < 0 && s->control != NULL) return IDLE_WAIT;
  if (approvals_wait(s)) return IDLE_STUCK;
  return IDLE_PARKED;
}

static bool idle_wait(Scheduler *s, int64_t until_us, Err *err) {
  bool timer_only = s->in_flight == 0 && away_count(s) == 0 && until_us != 0;
  if (s->options.seeded && timer_only) {
    if (until_us > s->clock.now_us) s->clock.now_us = until_us;
    return true;
  }
  return wait_and_park(s, s->options.seeded ? 0 : until_us, err);
}

static ScheduleResult idle_result(Scheduler *s, Idle idle, Err *err) {
  if (!park_calm(s, 0, err)) return SCHEDULE_FAILED;
  switch (idle) {
    case IDLE_OVER:
      return SCHEDULE_OVER;
    case IDLE_STUCK:
      return SCHEDULE_STUCK;
    case IDLE_PARKED:
    case IDLE_WAIT:
      break;
  }
  return SCHEDULE_PARKED;
}

/* ---- mail -------------------------------------------------------------------- */

static bool letter_take(void *context, uint64_t run, const Record *event) {
  Slot *slot = context;
  if (run == slot->number && !slot->over) inbox_put(slot, event, false, true);
  return true;
}

void slot_mail(Slot *slot) {
  Err err;
  Str mail = buf_view(&slot->scheduler->mail);
  if (mail.size > 0 && !mail_each(mail, letter_take, slot, NULL, &err))
    scheduler_notice(slot->scheduler, "mail for runs cannot be read: %s", err.text);
}

/* Is the letter still on its way? Not if its run took all it had, or is over. */
static bool letter_open(void *context, uint64_t run, const Record *event) {
  Scheduler *s = context;
  Slot *slot = slot_by_number(s, run);
  RunRow row;
  Buf keep = {0};
  Err ignored;
  (void)event;
  if (slot != NULL) return slot->inbox != NULL;
  bool over = !store_run_get(s->store, run, &row, &keep, &ignored) || run_status_over(row.status);
  buf_deinit(&keep);
  return !over;
}

static void mail_settle(Scheduler *s) {
  Buf rest = {0};
  Err err;
  if (s->mail.size > 0 && mail_each(buf_view(&s->mail), letter_open, s, &rest, &err) &&
      (rest.size < s->mail.size || s->mail_changed) &&
      mail_write(s->store, buf_view(&rest), &err)) {
    s->mail_changed = false;
    buf_clear(&s->mail);
    buf_str(&s->mail, buf_view(&rest));
  }
  buf_deinit(&rest);
}

/* ---- the loop ---------------------------------------------------------------- */

/* Something to step, or to commit. */
static bool work_left(const Scheduler *s) {
  return s->ready.count > 0 || s->touched.count > 0 || !grouping_empty(s->grouping) || away_ready(s);
}

static ScheduleResult rounds(Scheduler *s, uint64_t target, int64_t patience_us, Err *err) {
  int64_t until_us;
  for (;;) {
    if (!collect(s, err)) return SCHEDULE_FAILED;
    if (s->options.flush != NULL) s->options.flush(s->options.context);
    if (s->failed) {
      FAIL(err, ERR_IO, "the store failed");
      return SCHEDULE_FAILED;
    }
    if (atomic_load(&s->stopping)) return SCHEDULE_STOPPED;
    if (s->app != NULL && !app_collect(s->app, clock_now(&s->clock), err)) return SCHEDULE_FAILED;
    if (work_left(s)) {
      if (!round_run(s, err) || (!s->crashed && !park_busy(s, err))) return SCHEDULE_FAILED;
      if (s->crashed) return SCHEDULE_STOPPED;
      continue;
    }
    if (s->app != NULL && app_ready(s->app)) continue;
    Idle idle = idle_judge(s, target, patience_us, &until_us);
    if (idle != IDLE_WAIT) return idle_result(s, idle, err);
    if (!idle_wait(s, until_us, err)) return SCHEDULE_FAILED;
  }
}

ScheduleResult scheduler_run(Scheduler *s, uint64_t target, int64_t patience_us, Err *err) {
  ScheduleResult result = rounds(s, target, patience_us, err);
  if (result != SCHEDULE_FAILED && !s->crashed) mail_settle(s);
  return result;
}

void scheduler_stop(Scheduler *s) {
  uint64_t one = 1;
  atomic_store(&s->stopping, true);
  ssize_t n = write(s->stop_fd, &one, sizeof one);
  (void)n; /* it can only be full, and then it is set */
}

/* ---- events from outside ---------------------------------------------------- */

bool scheduler_deliver(Scheduler *s, uint64_t number, const Record *event, Err *err) {
  Slot *slot = slot_by_number(s, number);
  if (slot == NULL) {
    if (!scheduler_resume(s, number, err)) return false;
    slot = slot_by_number(s, number);
  }
  if (!slot->quiescent || slot->inbox != NULL || slot->over) {
    inbox_put(slot, event, false, false); /* it is busy: in its turn */
    return true;
  }
  Record copy = *event;
  if (!slot_wake(slot, err) || !run_deliver(slot->run, &copy, err)) return false;
  if (event->kind == RECORD_RESOLVED) slot_person(slot, -1);
  if (event->kind == RECORD_REVIVED) slot->dead = false;
  slot->quiescent = false;
  slot->status = slot->persons > 0 ? RUN_STATUS_STUCK : RUN_STATUS_RUNNING;
  slot_ready(slot);
  slot_touch(slot);
  return round_commit(s, err);
}
