/* The attempts of a job's or handling's run.
**
**            HEAD                            returned
**   (new) --------> RUNNING -------------------------------------------> over: done
**                   ^  ^ |  raised, timed out, snoozed: RETRIED
**           REVIVED |  | +----------------------------> WAITING --- cancel ---> over: cancelled
**                   |  +------- its turn: ANSWERED -------+
**              DEAD, STUCK <---- raised for the last time, or KILLED: EXHAUSTED;  cancel as above
**
** An attempt is the entry's function from its beginning, on a machine of its own; what earlier ones did it
** finds in the run's memory (memory.c). Between two of them there is no fiber at all. */
#include "vm/base/text.h"
#include "vm/run/state.h"

enum { NOTE_SIZE = 200, UNLESS_TICKS = 1000000, MAIN = 0 };

/* ---- life ---- */

void attempts_init(Run *run) {
  BundleEntry entry;
  if (!bundle_entry(run->bundle, run->head.HEAD.entry, &entry) || !entry.attempts) return;
  Attempts *a = run->attempts = MEM_NEW(Attempts);
  a->rules = entry.attempts;
  a->number = a->first = 1;
  a->last = a->rules->max_attempts > 0 ? a->rules->max_attempts : 1;
  a->memory = memory_new();
}

void attempts_free(Run *run) {
  Attempts *a = run->attempts;
  if (!a) return;
  memory_free(a->memory);
  buf_deinit(&a->why);
  buf_deinit(&a->error);
  buf_deinit(&a->note);
  mem_free(a);
  run->attempts = NULL;
}

bool attempts_resting(const Run *run) { return run->attempts && run->attempts->phase != ATTEMPT_RUNNING; }

/* ---- beginning ---- */

static int64_t due_after(int64_t from, int64_t us) {
  int64_t due;
  return __builtin_add_overflow(from, us, &due) ? INT64_MAX : due;
}

void attempts_started(Run *run, uint64_t seq) {
  Attempts *a = run->attempts;
  if (!a || a->rules->timeout_us <= 0) return;
  a->timed = true;
  a->timer_seq = seq;
  wait_add(run, &(Request){.kind = REQUEST_TIMER, .seq = seq, .timeout_us = a->rules->timeout_us,
                           .due_us = due_after(run->now_us, a->rules->timeout_us)}, MAIN);
}

static void begin(Run *run, uint64_t seq) {
  Attempts *a = run->attempts;
  Err err;
  a->phase = ATTEMPT_RUNNING;
  run->status = RUN_STATUS_RUNNING;
  buf_clear(&run->result);
  if (!main_begin(run, &err)) { /* the same input began the first one */
    run_end(run, RUN_STATUS_FAILED,
            error_new(run->machine, NULL, STR("wrong_arguments"), str_of(err.text), VALUE_NIL, true));
    return;
  }
  attempts_started(run, seq);
}

void attempts_revived(Run *run, uint64_t seq) {
  Attempts *a = run->attempts;
  a->first = ++a->number;
  a->last = a->number > UINT32_MAX - a->rules->max_attempts ? UINT32_MAX : a->number + a->rules->max_attempts - 1;
  begin(run, seq);
}

/* ---- the end of one ---- */

static bool is_cancelled(const Fiber *f) {
  if (f->status != FIBER_FAULTED || error_catchable(f->result)) return false;
  return str_equal(error_code(f->result), STR("cancelled"));
}

static void timer_drop(Run *run) {
  Attempts *a = run->attempts;
  if (!a->timed) return;
  a->timed = false;
  request_put(run, &(Request){.kind = REQUEST_DROP, .seq = a->timer_seq});
  wait_remove(run, a->timer_seq);
}

/* Nothing of the attempt stays but late answers that may come. */
static void clear(Run *run) {
  for (uint32_t i = 0; i < run->strand_count; i++) strand_free(run->strands[i]);
  for (uint32_t i = 0; i < run->group_count; i++) group_free(run->groups[i]);
  run->strand_count = run->group_count = run->ready_count = 0;
  for (uint32_t i = 0; i < run->wait_count; i++) run->waits[i]->fiber = MAIN;
  machine_fresh(run);
  run->attempts->leaving = LEAVE_NOT;
  run->attempts->timed_out = false;
}

/* "code: message" of the last attempt's end in one line, shortened. */
static void note_put(Run *run, Buf *out) {
  CborReader r = cbor_reader(buf_view(&run->attempts->error));
  CborItem item;
  uint64_t count;
  Str code, message;
  Err ignored;
  buf_clear(out);
  if (!run->attempts->error.size) return;
  if (!cbor_next(&r, &item, &ignored) || item.kind != CBOR_TAG || !cbor_array(&r, &count, &ignored)) return;
  if (!cbor_text(&r, &code, &ignored) || !cbor_text(&r, &message, &ignored)) return;
  buf_format(out, STR_FMT ": " STR_FMT, STR_ARG(code), STR_ARG(message));
  for (size_t i = 0; i < out->size; i++) {
    if ((uint8_t)out->at[i] < ' ') out->at[i] = ' ';
  }
  size_t size = out->size < NOTE_SIZE ? out->size : NOTE_SIZE;
  while (size < out->size && size > 0 && ((uint8_t)out->at[size] & 0xc0) == 0x80) size--;
  out->size = size;
}

/* What run_status says of a run that rests. */
static void rest(Run *run) {
  const Attempts *a = run->attempts;
  if (a->phase != ATTEMPT_DEAD && a->phase != ATTEMPT_STUCK) return;
  run->status = a->phase == ATTEMPT_DEAD ? RUN_STATUS_DEAD : RUN_STATUS_STUCK;
  buf_clear(&run->result);
  buf_str(&run->result, buf_view(&a->error));
}

void attempts_request(Run *run, Request *out) {
  Attempts *a = run->attempts;
  note_put(run, &a->note);
  out->kind = a->phase == ATTEMPT_WAITING ? REQUEST_TURN : REQUEST_DEAD;
  out->seq = a->seq;
  out->attempt = a->number;
  out->note = buf_view(&a->note);
}

/* ---- another one ---- */

/* Capped exponential from the first wait on, and up to a quarter more, by chance: jobs that failed together do not come
** back together. */
static int64_t backoff(Run *run) {
  const Attempts *a = run->attempts;
  int64_t wait = a->rules->backoff_min_us > 0 ? a->rules->backoff_min_us : 0;
  int64_t most = a->rules->backoff_max_us > wait ? a->rules->backoff_max_us : wait;
  for (uint32_t n = a->first; n < a->number && wait < most; n++) wait = wait > most / 2 ? most : wait * 2;
  uint64_t chance;
  run_random(run, (uint8_t *)&chance, sizeof chance);
  int64_t more = (int64_t)(chance % ((uint64_t)wait / 4 + 1));
  return more > most - wait ? most : wait + more;
}

static void again(Run *run, const char *why, bool counts, int64_t wait) {
  Attempts *a = run->attempts;
  Request turn = {0};
  Record r = {.kind = RECORD_RETRIED,
              .RETRIED = {.attempt = a->number, .why = str_of(why), .error = buf_view(&a->error),
                          .wait_us = (uint64_t)wait, .at = run_time(run)}};
  if (!run_put(run, &r)) return;
  a->number += counts;
  a->phase = ATTEMPT_WAITING;
  a->seq = r.seq;
  clear(run);
  attempts_request(run, &turn);
  turn.timeout_us = wait;
  turn.due_us = due_after(run->now_us, wait);
  wait_add(run, &turn, MAIN);
}

static void exhausted(Run *run, bool stuck) {
  Attempts *a = run->attempts;
  Request dead = {0};
  Record r = {.kind = RECORD_EXHAUSTED,
              .EXHAUSTED = {.attempt = a->number, .error = buf_view(&a->error), .at = run_time(run)}};
  if (!run_put(run, &r)) return;
  a->phase = stuck ? ATTEMPT_STUCK : ATTEMPT_DEAD;
  a->seq = r.seq;
  clear(run);
  rest(run);
  attempts_request(run, &dead);
  request_put(run, &dead);
}

static bool unless_says_stop(Run *run, Value error) {
  const BundleAttempts *rules = run->attempts->rules;
  Value stop, fault;
  if (rules->unless == NONE_INDEX) return false;
  return machine_call_pure(run->machine, rules->unless, &error, 1, UNLESS_TICKS, &stop, &fault) && stop == VALUE_TRUE;
}

static Value timeout_error(Run *run) {
  Buf text = {0};
  duration_print(run->attempts->rules->timeout_us, &text);
  Value error = error_fault(run->machine, NULL, FAULT_TIMEOUT, "the attempt took longer than " STR_FMT,
                            STR_ARG(buf_view(&text)));
  buf_deinit(&text);
  return error;
}

static void failed(Run *run, Fiber *f) {
  Attempts *a = run->attempts;
  bool timed_out = a->timed_out;
  if (timed_out && is_cancelled(f)) f->result = timeout_error(run);
  buf_clear(&a->error);
  run_encode(run, f->result, &a->error);
  memory_attempt_over(run, buf_view(&a->error));
  bool catchable = error_catchable(f->result);
  bool stuck = !catchable && str_equal(error_code(f->result), STR("operand_changed"));
  bool more = a->number < a->last && catchable && !unless_says_stop(run, f->result);
  if (more) again(run, timed_out ? "timeout" : "failed", true, backoff(run));
  else exhausted(run, stuck);
}

bool attempts_killed(Run *run, Value error) {
  Attempts *a = run->attempts;
  if (!a || a->phase != ATTEMPT_RUNNING || run->cancelling) return false;
  buf_clear(&a->error);
  run_encode(run, error, &a->error);
  timer_drop(run);
  cancel_rough(run, "killed");
  memory_attempt_over(run, buf_view(&a->error));
  exhausted(run, false);
  return true;
}

static void gave_up(Run *run) {
  Attempts *a = run->attempts;
  run_end(run, RUN_STATUS_CANCELLED,
          error_new(run->machine, NULL, STR("cancelled"), buf_view(&a->why), VALUE_NIL, false));
}

bool attempts_over(Run *run, Fiber *f) {
  Attempts *a = run->attempts;
  timer_drop(run);
  if (run->cancelling || (f->status == FIBER_DONE && a->leaving != LEAVE_GIVE_UP)) return false;
  if (a->leaving == LEAVE_GIVE_UP) {
    gave_up(run);
  } else if (a->leaving == LEAVE_SNOOZE && is_cancelled(f)) {
    buf_clear(&a->error);
    memory_attempt_over(run, (Str){0});
    again(run, "snoozed", false, a->snooze_us);
  } else {
    failed(run, f);
  }
  return true;
}

/* ---- leaving before the end ---- */

static const char *leave_word(const Attempts *a) {
  return a->leaving == LEAVE_SNOOZE ? "it goes on later" : "it gave up";
}

/* `finally` blocks run first, as for a cancellation. In one of them nothing more can be decided. */
void attempts_leave(Run *run, Fiber *f, EffectKind kind, int64_t snooze_us, Str why) {
  Attempts *a = run->attempts;
  Strand *main = run_strand(run, MAIN);
  if (!main->cancelled) {
    a->leaving = kind == EFFECT_SNOOZE ? LEAVE_SNOOZE : LEAVE_GIVE_UP;
    a->snooze_us = snooze_us;
    buf_clear(&a->why);
    buf_str(&a->why, why);
    cancel_strand(run, MAIN, leave_word(a));
  }
  if (run->diverged || f->status != FIBER_BLOCKED) return;
  strand_raise(run, f->id, error_fault(run->machine, f, FAULT_CANCELLED, "%s", ""));
}

void attempts_answered(Run *run, const Wait *wait) {
  Attempts *a = run->attempts;
  if (wait->kind == REQUEST_TURN) {
    begin(run, wait->seq);
    return;
  }
  a->timed = false;
  a->timed_out = true;
  cancel_strand(run, MAIN, "its attempt took too long");
}

void attempts_cancelled(Run *run, Str why) {
  run_end(run, RUN_STATUS_CANCELLED, error_fault(run->machine, NULL, FAULT_CANCELLED, ": " STR_FMT, STR_ARG(why)));
}

/* ---- for people ---- */

void attempts_waits(Run *run, Buf *out) {
  const Attempts *a = run->attempts;
  Request r = {0};
  if (!attempts_resting(run)) return;
  attempts_request(run, &r);
  buf_format(out, "#%" PRIu64, a->seq);
  const Wait *turn = wait_find(run, a->seq);
  if (a->phase == ATTEMPT_WAITING && turn) {
    buf_format(out, " attempt %u of %u, not before ", a->number, a->last);
    time_print(turn->due_us, out);
    if (r.note.size) buf_format(out, "; the last one ended with " STR_FMT, STR_ARG(r.note));
  } else {
    buf_format(out, " attempt %u was the last one: " STR_FMT, a->number, STR_ARG(r.note));
  }
  buf_byte(out, '\n');
}

/* ---- as bytes ---- */

void attempts_save(const Run *run, Buf *out) {
  const Attempts *a = run->attempts;
  cbor_put_array(out, 12);
  cbor_put_uint(out, a->number);
  cbor_put_uint(out, a->first);
  cbor_put_uint(out, a->last);
  cbor_put_uint(out, a->phase);
  cbor_put_uint(out, a->leaving);
  cbor_put_uint(out, (uint64_t)(a->timed | (a->timed_out ? 2 : 0)));
  cbor_put_uint(out, a->timer_seq);
  cbor_put_uint(out, a->seq);
  cbor_put_int(out, a->snooze_us);
  cbor_put_text(out, buf_view(&a->why));
  cbor_put_bytes(out, buf_view(&a->error));
  memory_save(run, out);
}

static bool damaged(Err *err) {
  FAIL(err, ERR_CORRUPT, "the image's run state is damaged: its attempts");
  return false;
}

static bool numbers_load(Attempts *a, CborReader *r, Err *err) {
  uint64_t n[6];
  for (int i = 0; i < 6; i++) {
    if (!cbor_uint(r, &n[i], err)) return false;
    if (n[i] > UINT32_MAX) return damaged(err);
  }
  if (n[1] < 1 || n[0] < n[1] || n[2] < n[0]) return damaged(err);
  if (n[3] > ATTEMPT_STUCK || n[4] > LEAVE_GIVE_UP || n[5] > 3) return damaged(err);
  a->number = (uint32_t)n[0];
  a->first = (uint32_t)n[1];
  a->last = (uint32_t)n[2];
  a->phase = (uint8_t)n[3];
  a->leaving = (uint8_t)n[4];
  a->timed = n[5] & 1;
  a->timed_out = (n[5] & 2) != 0;
  return true;
}

/* Its own waits are those that its phase says, and while it rests there is nothing else. */
static bool consistent(Run *run) {
  const Attempts *a = run->attempts;
  uint32_t own = 0;
  for (uint32_t i = 0; i < run->wait_count; i++) own += run->waits[i]->effect == 0;
  if (own != (uint32_t)(a->timed + (a->phase == ATTEMPT_WAITING))) return false;
  const Wait *timer = a->timed ? wait_find(run, a->timer_seq) : NULL;
  if (a->timed && (!timer || timer->effect || timer->kind != REQUEST_TIMER)) return false;
  if (a->phase == ATTEMPT_RUNNING) return fiber_by_id(run->machine, MAIN) && run->strand_count > 0;
  const Wait *turn = a->phase == ATTEMPT_WAITING ? wait_find(run, a->seq) : NULL;
  if (a->phase == ATTEMPT_WAITING && (!turn || turn->effect || turn->kind != REQUEST_TURN)) return false;
  return run->machine->fiber_count == 0 && run->strand_count == 0 && run->ready_count == 0 && run->group_count == 0;
}

bool attempts_load(Run *run, CborReader *r, Err *err) {
  Attempts *a = run->attempts;
  uint64_t items;
  Str why, error;
  if (!cbor_array(r, &items, err) || (items != 12 && !damaged(err)) || !numbers_load(a, r, err)) return false;
  if (!cbor_uint(r, &a->timer_seq, err) || !cbor_uint(r, &a->seq, err)) return false;
  if (!cbor_int(r, &a->snooze_us, err)) return false;
  if (!cbor_text(r, &why, err) || !cbor_bytes(r, &error, err) || !memory_load(run, r, err)) return false;
  buf_str(&a->why, why);
  buf_str(&a->error, error);
  if (!consistent(run)) return damaged(err);
  rest(run);
  return true;
}
