/* The world of a test. */
#include "vm/runtime/testing.h"

#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/base/table.h"
#include "vm/run/decider.h"
#include "vm/runtime/schedule.h"

#include "vm/runtime/testing_impl.h"

typedef enum { ANSWER_VALUE, ANSWER_RAISE, ANSWER_LOST } AnswerKind; /* as compiler/front/ast.h's StubKind */

typedef struct Answer {
  uint8_t kind;
  Str value; /* owned, encoded */
} Answer;

typedef struct Stub { /* what stands in for a tool */
  Answer *answers;
  uint32_t count;
} Stub;

/* A call is known by its key. One that was answered by a value gives that again, as a server does that knows its keys;
** one that failed or whose reply was lost is tried anew, with the next answer. */
typedef struct Call {
  uint32_t answer; /* index of the stub's answers, not yet bounded */
  bool anew;       /* that one was no value */
  bool doubtful;   /* the process was lost before the answer came: asked again it is the same call */
  bool checked;    /* it was asked by `check`: what befell the call itself is known */
} Call;

typedef struct Calls { /* of a tool */
  Table *keys;   /* Call by idempotency key */
  uint32_t next; /* answer */
  uint64_t made;
} Calls;

typedef struct Pending { /* a call of this round: answered when its intent is durable */
  uint64_t run, seq;
  uint32_t answer;
  bool absent; /* a check of what did not happen */
  const Stub *stub;
} Pending;

struct Testing {
  App *app;
  Decider *decider;
  const Program *program; /* the decider's */
  Table *stubs, *calls;   /* by tool */
  Table *states;          /* of agents by name, as given and as the last `when` left it: Buf */
  Str last;               /* the agent given last; owned */
  World *world;           /* models and people */
  Pending *pending;
  uint32_t pending_count, pending_cap;
};

World *testing_world(const Testing *t) { return t->world; }

Testing *testing_new(void) {
  Testing *t = MEM_NEW(Testing);
  t->stubs = table_new();
  t->calls = table_new();
  t->states = table_new();
  t->world = world_new();
  return t;
}

static void stub_free(Stub *stub) {
  if (stub == NULL) return;
  for (uint32_t i = 0; i < stub->count; i++) mem_free((char *)(uintptr_t)stub->answers[i].value.at);
  mem_free(stub->answers);
  mem_free(stub);
}

static void calls_free(Calls *calls) {
  uint32_t at = 0;
  void *call;
  while (table_next(calls->keys, &at, NULL, &call)) mem_free(call);
  table_free(calls->keys);
  mem_free(calls);
}

void testing_free(Testing *t) {
  if (t == NULL) return;
  uint32_t at = 0;
  void *value;
  while (table_next(t->stubs, &at, NULL, &value)) stub_free(value);
  for (at = 0; table_next(t->calls, &at, NULL, &value);) calls_free(value);
  for (at = 0; table_next(t->states, &at, NULL, &value);) {
    buf_deinit(value);
    mem_free(value);
  }
  table_free(t->stubs);
  table_free(t->calls);
  table_free(t->states);
  world_free(t->world);
  decider_free(t->decider);
  mem_free((char *)(uintptr_t)t->last.at);
  mem_free(t->pending);
  mem_free(t);
}

void testing_attach(Testing *t, App *app) {
  t->app = app;
  app->testing = t;
  node_testing_set(app->scheduler->node, t);
  t->pending_count = 0;
  decider_free(t->decider);
  t->decider = NULL;
  t->program = NULL;
}

/* The program may have been loaded again since. */
static Decider *decider_of(Testing *t) {
  if (t->decider != NULL && t->program == t->app->program) return t->decider;
  decider_free(t->decider);
  t->program = t->app->program;
  t->decider = app_decider(t->app);
  return t->decider;
}

static Str str_own(Str s) {
  char *at = mem_alloc(s.size + 1);
  memcpy(at, s.at, s.size);
  return (Str){at, s.size};
}

/* ---- errors of the test itself ---------------------------------------------- */

static bool test_error(Buf *value, const char **outcome, Str code, const char *text, Str about) {
  Buf message = {0};
  buf_format(&message, text, STR_ARG(about));
  buf_clear(value);
  error_encode(value, code, buf_view(&message));
  buf_deinit(&message);
  *outcome = "error";
  return true;
}

/* ---- given --------------------------------------------------------------------- */

static uint32_t agent_by_name(const Bundle *b, Str name) {
  for (uint32_t i = 0; i < b->agent_count; i++) {
    if (str_equal(bundle_text(b, b->agents[i].name), name)) return i;
  }
  return NONE_INDEX;
}

static Buf *state_of(Testing *t, Str agent) {
  Buf *state = table_get(t->states, agent);
  if (state != NULL) return state;
  state = MEM_NEW(Buf);
  table_set(t->states, agent, state);
  return state;
}

/* The stored name of an encoded record's type, and its version. */
static bool record_type(const Bundle *b, Str record, Str *type, uint64_t *version) {
  CborReader r = cbor_reader(record);
  CborItem item;
  uint64_t count;
  Str name;
  Err ignored;
  if (!cbor_next(&r, &item, &ignored) || item.kind != CBOR_TAG || item.n != CBOR_TAG_RECORD ||
      !cbor_array(&r, &count, &ignored) || !cbor_text(&r, &name, &ignored) || !cbor_uint(&r, version, &ignored))
    return false;
  *type = name;
  for (uint32_t i = 0; i < b->shape_count; i++) {
    if (str_equal(bundle_text(b, b->shapes[i].name), name)) *type = bundle_text(b, b->shapes[i].stored_name);
  }
  return true;
}

static const Str empty_map = {"\xd9\x9c\x4a\x80", 4}; /* tag 40010, no entries */

static bool given(Testing *t, CborReader *r, Buf *value, const char **outcome) {
  const Bundle *b = t->app->bundle;
  Decider *d = decider_of(t);
  uint64_t events, version;
  Str agent, event, type = {0};
  Err err = {0};
  if (!cbor_text(r, &agent, &err) || !cbor_array(r, &events, &err)) return false;
  uint32_t index = agent_by_name(b, agent);
  if (index == NONE_INDEX) return test_error(value, outcome, STR("bad_value"), "there is no agent " STR_FMT, agent);
  bool ok = decider_load(d, index, (Str){0}, &err);
  for (; ok && events > 0; events--) {
    ok = cbor_skip(r, &event, &err) && record_type(b, event, &type, &version) &&
         decider_fold(d, type, version, event, empty_map, &err);
  }
  if (!ok) return test_error(value, outcome, STR("expectation_failed"), "given: " STR_FMT, str_of(err.text));
  Buf *state = state_of(t, agent);
  buf_clear(state);
  decider_save(d, state);
  mem_free((char *)(uintptr_t)t->last.at);
  t->last = str_own(agent);
  cbor_put_nil(value);
  return true;
}

/* ---- when ---------------------------------------------------------------------- */

static bool decides(const Bundle *b, const BundleAgent *agent, uint32_t shape) {
  for (uint32_t i = 0; i < agent->decides.count; i++) {
    if (b->clauses[agent->decides.first + i].shape == shape) return true;
  }
  return false;
}

/* Who decides it: the agent given last if it does, else the first that does. */
static uint32_t agent_for(const Testing *t, uint32_t shape) {
  const Bundle *b = t->app->bundle;
  uint32_t last = t->last.at != NULL ? agent_by_name(b, t->last) : NONE_INDEX;
  if (last != NONE_INDEX && decides(b, &b->agents[last], shape)) return last;
  for (uint32_t i = 0; i < b->agent_count; i++) {
    if (decides(b, &b->agents[i], shape)) return i;
  }
  return NONE_INDEX;
}

static uint32_t command_shape(const Bundle *b, Str command) {
  Str type;
  uint64_t version;
  if (!record_type(b, command, &type, &version)) return NONE_INDEX;
  for (uint32_t i = 0; i < b->shape_count; i++) {
    if (b->shapes[i].kind == SHAPE_COMMAND && str_equal(bundle_text(b, b->shapes[i].stored_name), type)) return i;
  }
  return NONE_INDEX;
}

static void entry(Buf *out, const char *name) { cbor_put_text(out, str_of(name)); }

static void value_or_nil(Buf *out, Str value) {
  if (value.at != NULL) buf_str(out, value);
  else cbor_put_nil(out);
}

static void rejection_put(const Decision *d, Buf *out) {
  if (!d->refused) {
    cbor_put_nil(out);
    return;
  }
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 6);
  entry(out, "code");
  cbor_put_text(out, d->refusal.code);
  entry(out, "message");
  cbor_put_text(out, d->refusal.message);
  entry(out, "data");
  value_or_nil(out, d->refusal.data);
}

/* A record [name, version, f1, v1 …] as the map of its fields. */
static void fields_map(Str record, Buf *out) {
  CborReader r = cbor_reader(record);
  CborItem item;
  uint64_t count = 0;
  Err ignored;
  bool ok = cbor_next(&r, &item, &ignored) && cbor_array(&r, &count, &ignored) && count >= 2 &&
            cbor_skip(&r, NULL, &ignored) && cbor_skip(&r, NULL, &ignored);
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, ok ? count - 2 : 0);
  if (ok) buf_put(out, r.at, (size_t)(r.end - r.at));
}

/* {events, rejection, reply, state, jobs} */
static void outcome_put(Decider *decider, const Decision *d, Buf *state, Buf *out) {
  buf_clear(state);
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 10);
  entry(out, "events");
  cbor_put_array(out, d->refused ? 0 : d->event_count);
  for (uint32_t i = 0; !d->refused && i < d->event_count; i++) buf_str(out, d->events[i].data);
  entry(out, "rejection");
  rejection_put(d, out);
  entry(out, "reply");
  value_or_nil(out, d->refused ? (Str){0} : d->reply);
  entry(out, "jobs");
  cbor_put_array(out, d->refused ? 0 : d->job_count);
  for (uint32_t i = 0; !d->refused && i < d->job_count; i++) buf_str(out, d->jobs[i].data);
  entry(out, "state");
  decider_settle(decider, true);
  decider_save(decider, state);
  fields_map(buf_view(state), out);
}

/* {id, time, actor, tenant, causation, correlation} of a command that nobody sent. */
static void meta_put(const Testing *t, Buf *out) {
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 12);
  entry(out, "id");
  cbor_put_text(out, STR("00000000-0000-7000-8000-000000000000"));
  entry(out, "time");
  cbor_put_tag(out, CBOR_TAG_TIME);
  cbor_put_int(out, app_now(t->app));
  entry(out, "actor");
  cbor_put_text(out, STR("test"));
  entry(out, "tenant");
  cbor_put_text(out, STR("default"));
  entry(out, "causation");
  cbor_put_nil(out);
  entry(out, "correlation");
  cbor_put_nil(out);
}

static bool when(Testing *t, CborReader *r, Buf *value, const char **outcome) {
  const Bundle *b = t->app->bundle;
  Decider *d = decider_of(t);
  Decision decision;
  Str command;
  Err err = {0};
  if (!cbor_skip(r, &command, &err)) return false;
  uint32_t shape = command_shape(b, command);
  uint32_t agent = shape != NONE_INDEX ? agent_for(t, shape) : NONE_INDEX;
  if (agent == NONE_INDEX)
    return test_error(value, outcome, STR("bad_value"), "when: no agent decides this command" STR_FMT, STR(""));
  Buf *state = state_of(t, bundle_text(b, b->agents[agent].name)), meta = {0};
  if (!decider_load(d, agent, buf_view(state), &err))
    return test_error(value, outcome, STR("bad_value"), "when: " STR_FMT, str_of(err.text));
  meta_put(t, &meta);
  DecideResult result = decider_decide(d, shape, command, buf_view(&meta), LIMIT_DECIDE_TICKS, &decision);
  while (result == DECIDE_SLICE) result = decider_go(d, LIMIT_DECIDE_TICKS, &decision);
  outcome_put(d, &decision, state, value);
  buf_deinit(&meta);
  return true;
}

/* ---- stubs ----------------------------------------------------------------------- */

bool testing_stubbed(const Testing *t, Str tool) { return table_get(t->stubs, tool) != NULL; }

static Calls *calls_of(Testing *t, Str tool) {
  Calls *calls = table_get(t->calls, tool);
  if (calls != NULL) return calls;
  calls = MEM_NEW(Calls);
  calls->keys = table_new();
  table_set(t->calls, tool, calls);
  return calls;
}

static bool stub_set(Testing *t, CborReader *r, Buf *value) {
  Str tool, answer;
  uint64_t count, pair, kind;
  Err ignored;
  if (!cbor_text(r, &tool, &ignored) || !cbor_array(r, &count, &ignored) || count == 0) return false;
  Stub *stub = MEM_NEW(Stub);
  stub->answers = mem_alloc((size_t)count * sizeof(Answer));
  while (stub->count < count) {
    bool ok = cbor_array(r, &pair, &ignored) && pair == 2 && cbor_uint(r, &kind, &ignored) && kind <= ANSWER_LOST &&
              cbor_skip(r, &answer, &ignored);
    if (!ok) break;
    stub->answers[stub->count++] = (Answer){(uint8_t)kind, str_own(answer)};
  }
  if (stub->count < count) {
    stub_free(stub);
    return false;
  }
  for (uint32_t i = 0; i < t->pending_count; i++) { /* asked in this round: answered by what it replaces */
    if (t->pending[i].stub == table_get(t->stubs, tool)) t->pending[i].stub = stub, t->pending[i].answer = 0;
  }
  stub_free(table_get(t->stubs, tool));
  table_set(t->stubs, tool, stub);
  calls_of(t, tool)->next = 0; /* a stub set anew begins with its first answer */
  cbor_put_nil(value);
  return true;
}

static bool calls_count(Testing *t, CborReader *r, Buf *value) {
  Str tool;
  Err ignored;
  if (!cbor_text(r, &tool, &ignored)) return false;
  cbor_put_uint(value, calls_of(t, tool)->made);
  return true;
}

static Call *call_of(Calls *calls, Str key) {
  Call *call = table_get(calls->keys, key);
  bool fresh = call == NULL;
  if (fresh) {
    call = MEM_NEW(Call);
    table_set(calls->keys, key, call);
  }
  if (fresh || (call->anew && !call->doubtful)) {
    call->answer = calls->next++;
    calls->made++;
  }
  call->doubtful = call->checked = false;
  return call;
}

static uint8_t kind_at(const Stub *stub, uint32_t answer) {
  if (stub == NULL) return ANSWER_LOST;
  return stub->answers[answer < stub->count ? answer : stub->count - 1].kind;
}

/* `check` asks what became of a call: the next answer says so, unless the process was lost while the call or an
** earlier check of it was open. Then the world knows: what it would have answered. False: the call did not happen, and
** sent again it will fail as it would have. */
static bool check_call(Calls *calls, const Stub *stub, Call *call) {
  bool again = call->doubtful && kind_at(stub, call->answer) != ANSWER_LOST;
  if (again && !call->checked && kind_at(stub, call->answer) == ANSWER_RAISE) return false;
  if (!again && (call->anew || call->doubtful)) call->answer = calls->next++;
  call->doubtful = false;
  call->checked = true;
  return true;
}

static void stub_called(Testing *t, const Slot *slot, const Request *r) {
  Stub *stub = table_get(t->stubs, r->target);
  Calls *calls = calls_of(t, r->target);
  Call *call = r->attempt > 0 ? table_get(calls->keys, r->key) : NULL;
  Pending answer = {.run = slot->number, .seq = r->seq, .stub = stub};
  if (call != NULL && !check_call(calls, stub, call)) {
    answer.absent = true;
  } else {
    if (call == NULL) call = call_of(calls, r->key);
    answer.answer = stub != NULL && call->answer >= stub->count ? stub->count - 1 : call->answer;
    call->anew = kind_at(stub, call->answer) != ANSWER_VALUE;
  }
  t->pending = mem_grow(t->pending, &t->pending_cap, t->pending_count + 1, sizeof *t->pending);
  t->pending[t->pending_count++] = answer;
}

static void pending_answer(Testing *t, const Pending *p) {
  static const Str nil = {"\xf6", 1};
  const Answer *answer = p->stub != NULL ? &p->stub->answers[p->answer] : NULL;
  Buf error = {0};
  Str code = {0};
  if (p->absent) {
    error_encode(&error, STR("absent"), STR("the test says so"));
    slot_answer(t->app->scheduler, p->run, p->seq, "error", buf_view(&error));
  } else if (answer == NULL || answer->kind == ANSWER_LOST) {
    error_encode(&error, STR("lost"), STR("the test lost the reply"));
    slot_answer(t->app->scheduler, p->run, p->seq, "unknown", buf_view(&error));
  } else if (answer->kind == ANSWER_RAISE) {
    CborReader r = cbor_reader(answer->value);
    Err ignored;
    if (!cbor_text(&r, &code, &ignored)) code = STR("raised");
    error_encode(&error, code, STR("the test says so"));
    slot_answer(t->app->scheduler, p->run, p->seq, "error", buf_view(&error));
  } else {
    slot_answer(t->app->scheduler, p->run, p->seq, "ok", answer->value.size > 0 ? answer->value : nil);
  }
  buf_deinit(&error);
}

void testing_committed(Testing *t) {
  uint32_t count = t->pending_count;
  t->pending_count = 0;
  for (uint32_t i = 0; i < count; i++) pending_answer(t, &t->pending[i]);
}

void testing_refused(Testing *t) { t->pending_count = 0; }

void testing_ask_open(Testing *t, Slot *slot, const Request *r) {
  static const Str nil = {"\xf6", 1};
  if (r->effect != EFFECT_STUB) return;
  Call *call = table_get(calls_of(t, r->target)->keys, r->key);
  if (call != NULL) call->doubtful = true;
  slot_answer(t->app->scheduler, slot->number, r->seq, "interrupted", nil);
}

/* ---- asking -------------------------------------------------------------------------- */

bool testing_ask(Testing *t, Slot *slot, const Request *r, Buf *value, const char **outcome) {
  CborReader reader = cbor_reader(r->operands);
  uint64_t count;
  Err ignored;
  bool ok = false;
  *outcome = "ok";
  if (r->effect == EFFECT_STUB) {
    stub_called(t, slot, r);
    return false;
  }
  if (!cbor_array(&reader, &count, &ignored)) ok = false;
  else if (str_equal(r->target, STR("given"))) ok = given(t, &reader, value, outcome);
  else if (str_equal(r->target, STR("when"))) ok = when(t, &reader, value, outcome);
  else if (str_equal(r->target, STR("stub"))) ok = stub_set(t, &reader, value);
  else if (str_equal(r->target, STR("calls"))) ok = calls_count(t, &reader, value);
  else ok = world_ask(t->world, r->target, &reader, value);
  return ok || test_error(value, outcome, STR("bad_value"), STR_FMT " cannot be read", r->target);
}
