/* A tool call, from intent to outcome.
**
**               +--------- admitted by its limit (ADMITTING), if it has one
**               v
**   asked -> PERFORMING --returned--> done "ok"
**               |   |
**               |   +--raised (known failure): attempts left -> RETRYING -> PERFORMING; else done "error"
**               |
**               +--lost (outcome unknown)
**                    reversible: as a failed attempt, sent again under the same key
**                    irreversible with a check: CHECKING --confirmed--> done "ok"
**                         |  absent -> PERFORMING again      nil, raised, lost -> RECHECKING -> CHECKING
**                    irreversible without: STUCK until a person resolves it
**
** The intent (the ASKED record) is durable before any request of the body leaves,
** because requests leave only after a commit; and a body that sent nothing is
** followed by a commit before its outcome is used (run->commit_due). */
#include "vm/run/state.h"

static ToolCall *call_of(Strand *s) {
  ASSERT(s->tool_count > 0);
  return &s->tools[s->tool_count - 1];
}

static const BundleTool *tool_of(const Run *run, const ToolCall *call) { return &run->bundle->tools[call->tool]; }

static Str tool_name(const Run *run, const ToolCall *call) {
  return bundle_text(run->bundle, tool_of(run, call)->name);
}

/* ---- calling its bodies ---- */

/* The EFFECT at which the fiber stands: its instruction, as another fiber may have asked for something since. */
static const uint32_t *ask_words(const Run *run, const Fiber *f) {
  const Frame *frame = &f->frames[f->frame_count - 1];
  const uint32_t *at = &run->bundle->code[run->bundle->fns[frame->fn].code + frame->pc - op_info[OP_EFFECT].words];
  ASSERT((*at & 0xff) == OP_EFFECT);
  return at;
}

/* How many arguments it has. */
static uint32_t ask_given(const Run *run, const Fiber *f) {
  uint32_t word = *ask_words(run, f);
  return ((word >> 16) & 0xff) - (word >> 24);
}

static uint32_t ask_site_index(const Run *run, const Fiber *f) { return ask_words(run, f)[1]; }

/* Calls perform or check above the fiber's frames: the tool's arguments as they stand in its registers, then
** the key. */
static void body_call(Run *run, Fiber *f, uint32_t fn) {
  Machine *m = run->machine;
  ToolCall *call = call_of(run_strand(run, f->id));
  const BundleFn *body = &run->bundle->fns[fn];
  uint32_t params = body->params.count, given = ask_given(run, f);
  char key[96];
  run_key(run, memory_first(run, call->seq), key);
  m->temp[0] = string_new(m, str_of(key));
  Value args[ARGS_MAX];
  for (uint32_t i = 0; i + 1 < params; i++) args[i] = i < given ? machine_ask_arg(m, f, i) : VALUE_MISSING;
  args[params - 1] = m->temp[0];
  m->temp[0] = VALUE_NIL;
  run_strand(run, f->id)->on = FIBER_ON_NOTHING;
  scopes_trim(run_strand(run, f->id), call->scopes); /* an attempt before it may have been abandoned */
  fiber_call(m, f, fn, args, params);
  run_ready_first(run, f->id);
}

/* ---- a test's answer in the place of a body ---- */

/* In history it is as it was then: whoever replays need not be the test. */
static bool stubbed(Run *run, Str tool) {
  if (!journal_live(run->journal)) return journal_peek_asked(run->journal) == EFFECT_STUB;
  return run->host->stubbed && run->host->stubbed(run->host->context, tool);
}

static bool stub_operands(Run *run, Fiber *f, Buf *out) {
  uint32_t count = ask_given(run, f);
  const char *why;
  buf_clear(out);
  cbor_put_array(out, count);
  for (uint32_t i = 0; i < count; i++) {
    Value v = machine_ask_arg(run->machine, f, i);
    if (v == VALUE_MISSING) buf_put(out, missing_argument, sizeof missing_argument);
    else if (!wire_put(run->machine, v, out, &why)) return false;
  }
  return true;
}

/* What the body of perform or check would do, asked of the test, under the same key. */
static void stub(Run *run, Fiber *f) {
  Strand *s = run_strand(run, f->id);
  ToolCall *call = call_of(s);
  const BundleTool *tool = tool_of(run, call);
  Buf *operands = &run->scratch;
  char key[96];
  bool ok = stub_operands(run, f, operands);
  ASSERT(ok); /* they are on record with the intent */
  Record r = {.kind = RECORD_ASKED,
              .ASKED = {.kind = EFFECT_STUB, .site = run->bundle->sites[ask_site_index(run, f)].id, .fiber = f->id,
                        .delivered = run->delivered, .target = tool_name(run, call), .operands = buf_view(operands),
                        .at = run_time(run)}};
  if (!run_put(run, &r)) return;
  run_key(run, memory_first(run, call->seq), key);
  if (call->phase == TOOL_PERFORMING) call->sends = 1;
  s->on = FIBER_ON_ANSWER;
  s->seq = r.seq;
  wait_add(run, &(Request){.kind = REQUEST_EFFECT, .seq = r.seq, .effect = EFFECT_STUB,
                           .attempt = call->phase == TOOL_CHECKING ? call->checks : 0,
                           .effect_class = tool->effect_class, .target = tool_name(run, call),
                           .operands = buf_view(operands), .key = str_of(key), .timeout_us = tool->timeout_us}, f->id);
}

/* Frames of its innermost call stand on the strand's fiber. */
bool tool_in_body(Run *run, const Strand *s) {
  const ToolCall *call = &s->tools[s->tool_count - 1];
  if (call->phase != TOOL_PERFORMING && call->phase != TOOL_CHECKING) return false;
  const Wait *asked = s->on == FIBER_ON_ANSWER ? wait_find(run, s->seq) : NULL;
  return !asked || asked->effect != EFFECT_STUB;
}

static void perform(Run *run, Fiber *f) {
  ToolCall *call = call_of(run_strand(run, f->id));
  call->phase = TOOL_PERFORMING;
  call->sends = 0;
  if (stubbed(run, tool_name(run, call))) {
    stub(run, f);
    return;
  }
  body_call(run, f, tool_of(run, call)->perform);
}

static void check(Run *run, Fiber *f) {
  ToolCall *call = call_of(run_strand(run, f->id));
  call->phase = TOOL_CHECKING;
  call->checks++;
  if (stubbed(run, tool_name(run, call))) stub(run, f);
  else body_call(run, f, tool_of(run, call)->check);
}

/* By a limit of its own, or one that is declared for it. */
static bool is_limited(const Run *run, const BundleTool *tool) {
  const Bundle *b = run->bundle;
  for (uint32_t i = 0; i < b->allowance_count; i++) {
    uint32_t of = b->allowances[i].tool;
    if (of != NONE_INDEX && str_equal(bundle_text(b, of), bundle_text(b, tool->name))) return true;
  }
  return tool->limit_name != NONE_INDEX;
}

static Request admission(const Run *run, const BundleTool *tool, uint64_t seq) {
  const Bundle *b = run->bundle;
  return (Request){.kind = REQUEST_ADMIT, .seq = seq, .effect = EFFECT_TOOL, .effect_class = tool->effect_class,
                   .target = bundle_text(b, tool->limit_name), .limit_count = tool->limit_count,
                   .limit_per_us = tool->limit_per_us, .key = bundle_text(b, tool->name)};
}

bool run_admission(const Run *run, uint64_t seq, Request *out) {
  for (uint32_t i = 0; i < run->strand_count; i++) {
    Strand *s = run->strands[i];
    if (s == NULL || s->on != FIBER_ON_ANSWER || s->seq != seq || s->tool_count == 0) continue;
    const ToolCall *call = call_of(s);
    const BundleTool *tool = tool_of(run, call);
    if (call->phase != TOOL_PERFORMING || !is_limited(run, tool)) return false;
    *out = admission(run, tool, seq);
    return true;
  }
  return false;
}

/* Waits until the tool's limit lets this attempt through. seq: of the command that is answered. */
static void admit(Run *run, Fiber *f, uint64_t seq) {
  Strand *s = run_strand(run, f->id);
  ToolCall *call = call_of(s);
  const BundleTool *tool = tool_of(run, call);
  if (!is_limited(run, tool)) {
    perform(run, f);
    return;
  }
  call->phase = TOOL_ADMITTING;
  s->on = FIBER_ON_ANSWER;
  s->seq = seq;
  Request r = admission(run, tool, seq);
  wait_add(run, &r, f->id);
}

/* ---- the outcome ---- */

/* The call is over: records it and takes it off. False: the run goes no further. */
static bool done(Run *run, Fiber *f, const char *outcome, Str result) {
  Strand *s = run_strand(run, f->id);
  ToolCall *call = call_of(s);
  Record r;
  r.kind = RECORD_TOOL_DONE;
  r.TOOL_DONE = (Record_TOOL_DONE){.ref = call->seq, .outcome = str_of(outcome), .result = result};
  if (!run_put(run, &r)) return false;
  bool reads = tool_of(run, call)->effect_class == CLASS_READ;
  bool unsaved = call->seq >= run->settled && journal_live(run->journal);
  if (!reads && unsaved) run->commit_due = true; /* its intent is not on disk yet */
  if (str_equal(r.TOOL_DONE.outcome, STR("ok"))) memory_confirm(run, call->seq, result);
  scopes_trim(s, call->scopes);
  s->tool_count--;
  return true;
}

/* A cancellation that waited for the outcome strikes now. */
static bool cancel_was_due(Run *run, Fiber *f) {
  Strand *s = run_strand(run, f->id);
  if (!s->cancel_due || strand_shielded(run, s)) return false;
  s->cancel_due = false;
  strand_raise(run, f->id, error_fault(run->machine, f, FAULT_CANCELLED, "%s", ""));
  return true;
}

static void done_ok(Run *run, Fiber *f, Value result) {
  Machine *m = run->machine;
  Buf *bytes = &run->scratch;
  const char *why;
  m->temp[0] = result;
  buf_clear(bytes);
  if (!wire_put(m, result, bytes, &why)) {
    m->temp[0] = VALUE_NIL;
    Value error = error_fault(m, f, FAULT_VALUE, "a tool's result cannot hold %s", why);
    buf_clear(bytes);
    uint64_t seq = call_of(run_strand(run, f->id))->seq;
    if (wire_put(m, error, bytes, &why) && done(run, f, "error", buf_view(bytes))) {
      memory_error(run, f->id, seq, error, ERROR_DONE);
      strand_raise(run, f->id, error);
    }
  } else if (done(run, f, "ok", buf_view(bytes))) {
    Value v = m->temp[0];
    m->temp[0] = VALUE_NIL;
    if (!cancel_was_due(run, f)) {
      fiber_answer(m, f, v);
      run_strand(run, f->id)->on = FIBER_ON_NOTHING;
      run_ready_first(run, f->id);
    }
  }
  m->temp[0] = VALUE_NIL;
}

static void done_error(Run *run, Fiber *f, Value error, ErrorMeans means) {
  Machine *m = run->machine;
  Buf bytes = {0};
  const char *why;
  m->temp[0] = error;
  if (!wire_put(m, error, &bytes, &why)) cbor_put_nil(&bytes);
  uint64_t seq = call_of(run_strand(run, f->id))->seq;
  if (done(run, f, "error", buf_view(&bytes))) {
    error = m->temp[0];
    m->temp[0] = VALUE_NIL;
    if (!cancel_was_due(run, f)) {
      memory_error(run, f->id, seq, error, means);
      strand_raise(run, f->id, error);
    }
  }
  m->temp[0] = VALUE_NIL;
  buf_deinit(&bytes);
}

/* ---- trying again ---- */

/* Capped exponential, with a jitter that follows from the call and the attempt, so that it replays. */
static int64_t backoff(const Run *run, const ToolCall *call, uint32_t attempt) {
  const BundleTool *tool = tool_of(run, call);
  int64_t wait = tool->backoff_min_us, most = tool->backoff_max_us > wait ? tool->backoff_max_us : wait;
  for (uint32_t i = 1; i < attempt && wait < most; i++) wait = wait > most / 2 ? most : wait * 2;
  struct { Uuid id; uint64_t generation, seq, attempt; } seed = {run->id, run->generation, call->seq, attempt};
  uint64_t h = hash_bytes(&seed, sizeof seed);
  return wait / 2 + (wait / 2 > 0 ? (int64_t)(h % (uint64_t)(wait / 2 + 1)) : 0);
}

/* Records that the phase will be tried again and starts the timer for it. `error` is rooted by the caller. */
static void again(Run *run, Fiber *f, ToolPhase phase, uint32_t attempt, Value error) {
  Strand *s = run_strand(run, f->id);
  ToolCall *call = call_of(s);
  Buf note = {0};
  const char *why;
  if (error != VALUE_NIL && !wire_put(run->machine, error, &note, &why)) buf_clear(&note);
  int64_t wait = backoff(run, call, attempt);
  Record r = {.kind = RECORD_TOOL_ATTEMPT,
              .TOOL_ATTEMPT = {.ref = call->seq, .attempt = attempt,
                               .phase = phase == TOOL_RETRYING ? STR("perform") : STR("check"),
                               .wait_us = (uint64_t)wait, .error = note.size ? buf_view(&note) : (Str){0},
                               .at = run_time(run)}};
  if (run_put(run, &r)) {
    call->phase = (uint8_t)phase;
    s->on = FIBER_ON_ANSWER;
    s->seq = r.seq;
    wait_add(run, &(Request){.kind = REQUEST_TIMER, .seq = r.seq, .effect = EFFECT_TOOL, .timeout_us = wait,
                             .due_us = run->now_us + wait}, f->id);
  }
  buf_deinit(&note);
}

/* Its retry timer rang, or its limit admits it. */
void tool_timer(Run *run, Fiber *f) {
  Strand *s = run_strand(run, f->id);
  ToolCall *call = call_of(s);
  switch ((ToolPhase)call->phase) {
    case TOOL_RETRYING: admit(run, f, s->seq); return;
    case TOOL_ADMITTING: perform(run, f); return;
    case TOOL_RECHECKING: check(run, f); return;
    case TOOL_PERFORMING: case TOOL_CHECKING: case TOOL_STUCK: break;
  }
  UNREACHABLE();
}

static bool unless_says_stop(Run *run, const BundleTool *tool, Value error) {
  if (tool->unless == NONE_INDEX) return false;
  Value stop, fault;
  return machine_call_pure(run->machine, tool->unless, &error, 1, 1000000, &stop, &fault) && stop == VALUE_TRUE;
}

/* A known failure of an attempt. */
static void failed(Run *run, Fiber *f, Value error, ErrorMeans means) {
  Machine *m = run->machine;
  ToolCall *call = call_of(run_strand(run, f->id));
  const BundleTool *tool = tool_of(run, call);
  m->temp[1] = error;
  bool retry = call->attempt < tool->max_attempts && error_catchable(error) &&
               !unless_says_stop(run, tool, error);
  error = m->temp[1];
  if (retry) again(run, f, TOOL_RETRYING, ++call->attempt, error);
  else done_error(run, f, error, means);
  m->temp[1] = VALUE_NIL;
}

static Value lost_error(Run *run, Fiber *f, const char *what) {
  char text[256];
  snprintf(text, sizeof text, STR_FMT ": %s", STR_ARG(tool_name(run, call_of(run_strand(run, f->id)))), what);
  return error_new(run->machine, f, STR("unknown"), str_of(text), VALUE_NIL, true);
}

static void need_person(Run *run, Fiber *f) {
  Strand *s = run_strand(run, f->id);
  ToolCall *call = call_of(s);
  Record r = {.kind = RECORD_TOOL_UNKNOWN, .TOOL_UNKNOWN = {.ref = call->seq}};
  if (!run_put(run, &r)) return;
  call->phase = TOOL_STUCK;
  s->on = FIBER_ON_PERSON;
  s->seq = call->seq;
  request_put(run, &(Request){.kind = REQUEST_PERSON, .seq = call->seq, .effect = EFFECT_TOOL,
                              .target = tool_name(run, call)});
}

/* It is irreversible and may have happened. */
static void ask_books(Run *run, Fiber *f) {
  if (tool_of(run, call_of(run_strand(run, f->id)))->check != NONE_INDEX) check(run, f);
  else need_person(run, f);
}

static void lost(Run *run, Fiber *f, bool interrupted) {
  Strand *s = run_strand(run, f->id);
  ToolCall *call = call_of(s);
  const BundleTool *tool = tool_of(run, call);
  s->on = FIBER_ON_NOTHING;
  if (call->phase == TOOL_PERFORMING) call->interrupted = interrupted;
  if (call->phase == TOOL_CHECKING) {
    again(run, f, TOOL_RECHECKING, call->checks, VALUE_NIL);
  } else if (tool->effect_class != CLASS_IRREVERSIBLE) {
    memory_maybe(run, call->seq);
    if (interrupted) again(run, f, TOOL_RETRYING, call->attempt, VALUE_NIL); /* the same attempt, not a further one */
    else failed(run, f, lost_error(run, f, "the reply was lost: it may have happened"), ERROR_MAYBE);
  } else {
    ask_books(run, f);
  }
}

/* The outcome of what the body sent is unknown: the body is abandoned. */
void tool_lost(Run *run, Fiber *f, bool interrupted) {
  fiber_abandon_call(run->machine, f);
  lost(run, f, interrupted);
}

/* ---- the intent ---- */

void tool_begin(Run *run, Fiber *f) {
  Strand *s = run_strand(run, f->id);
  uint32_t index = run->machine->ask.operand;
  const BundleTool *tool = &run->bundle->tools[index];
  Buf *operands = &run->scratch, because = {0};
  Str name = bundle_text(run->bundle, tool->name);
  if (ask_operands(run, f, 0, operands) &&
      !memory_recalls(run, f, EFFECT_TOOL, (EffectClass)tool->effect_class, name, buf_view(operands))) {
    Record r;
    ask_record(run, f, name, buf_view(operands), &because, &r);
    if (run_put(run, &r)) {
      FirstAsked first = memory_asked(run, r.seq, buf_view(operands));
      s->tools = mem_grow(s->tools, &s->tool_cap, s->tool_count + 1, sizeof *s->tools);
      s->tools[s->tool_count++] = (ToolCall){.seq = r.seq, .tool = index, .attempt = 1, .interrupted = first.maybe,
                                                .scopes = s->scope_count};
      if (first.maybe && tool->effect_class == CLASS_IRREVERSIBLE) ask_books(run, f);
      else admit(run, f, r.seq);
    }
  }
  buf_deinit(&because);
}

/* ---- its bodies came to an end ---- */

static void absent(Run *run, Fiber *f) {
  ToolCall *call = call_of(run_strand(run, f->id));
  if (call->interrupted) again(run, f, TOOL_RETRYING, call->attempt, VALUE_NIL);
  else if (call->attempt < tool_of(run, call)->max_attempts) again(run, f, TOOL_RETRYING, ++call->attempt, VALUE_NIL);
  else done_error(run, f, lost_error(run, f, "it was not done, and no attempt is left"), ERROR_NOT_DONE);
}

static void checked(Run *run, Fiber *f, Value verdict) {
  ToolCall *call = call_of(run_strand(run, f->id));
  bool list = value_is_kind(verdict, OBJ_LIST);
  uint32_t count = list ? list_count(verdict) : 0;
  Value word = count ? list_at(verdict, 0) : VALUE_NIL;
  Str text = value_is_kind(word, OBJ_STRING) ? string_text(run->machine, &word) : (Str){"", 0};
  if (count == 2 && str_equal(text, STR("confirmed"))) {
    done_ok(run, f, list_at(verdict, 1));
  } else if (count == 1 && str_equal(text, STR("absent"))) {
    absent(run, f);
  } else {
    again(run, f, TOOL_RECHECKING, call->checks, VALUE_NIL);
  }
}

void tool_returned(Run *run, Fiber *f) {
  ToolCall *call = call_of(run_strand(run, f->id));
  Value v = f->result;
  f->result = VALUE_NIL;
  if (call->phase == TOOL_CHECKING) checked(run, f, v);
  else done_ok(run, f, v);
}

static void raised(Run *run, Fiber *f, Value error) {
  ToolCall *call = call_of(run_strand(run, f->id));
  if (call->phase != TOOL_CHECKING) {
    failed(run, f, error, ERROR_NOT_DONE);
  } else if (error_catchable(error)) {
    run->machine->temp[1] = error;
    again(run, f, TOOL_RECHECKING, call->checks, error);
    run->machine->temp[1] = VALUE_NIL;
  } else {
    done_error(run, f, error, ERROR_MAYBE);
  }
}

void tool_raised(Run *run, Fiber *f) {
  Value error = f->result;
  f->result = VALUE_NIL;
  raised(run, f, error);
}

/* As its body would have ended; but there is no body to be abandoned. Of a check a value says that it was done, and
** "absent" that it was not. */
void tool_stub_answered(Run *run, Fiber *f, Str outcome, Value v) {
  if (str_equal(outcome, STR("ok"))) {
    run_strand(run, f->id)->on = FIBER_ON_NOTHING;
    done_ok(run, f, v);
  } else if (str_equal(outcome, STR("error"))) {
    run_strand(run, f->id)->on = FIBER_ON_NOTHING;
    if (!value_is_kind(v, OBJ_ERROR)) {
      v = error_fault(run->machine, f, FAULT_INTERNAL, "a stub failed without an error");
    }
    bool checking = call_of(run_strand(run, f->id))->phase == TOOL_CHECKING;
    if (checking && str_equal(error_code(v), STR("absent"))) absent(run, f);
    else raised(run, f, v);
  } else {
    lost(run, f, str_equal(outcome, STR("interrupted")));
  }
}

/* ---- people ---- */

bool tool_resolve(Run *run, uint64_t seq, Str outcome, Str value, Err *err) {
  for (uint32_t i = 0; i < run->strand_count; i++) {
    Strand *s = run->strands[i];
    if (!s || s->on != FIBER_ON_PERSON || s->seq != seq) continue;
    Fiber *f = fiber_by_id(run->machine, i);
    s->on = FIBER_ON_NOTHING;
    if (str_equal(outcome, STR("absent"))) {
      call_of(s)->attempt++;
      admit(run, f, seq);
      return true;
    }
    Value v;
    if (!wire_get(run->machine, value, &v, err)) return s->on = FIBER_ON_PERSON, false;
    done_ok(run, f, v);
    return true;
  }
  FAIL(err, ERR_NOT_FOUND, "no unknown outcome waits at #%" PRIu64 " of this run", seq);
  return false;
}

/* An irreversible call whose outcome is not known yet may not be struck by cancellation. */
bool strand_shielded(const Run *run, const Strand *s) {
  for (uint32_t i = 0; i < s->tool_count; i++) {
    const ToolCall *call = &s->tools[i];
    bool begun = call->phase != TOOL_ADMITTING && !(call->phase == TOOL_RETRYING);
    if (begun && run->bundle->tools[call->tool].effect_class == CLASS_IRREVERSIBLE) return true;
  }
  return false;
}
