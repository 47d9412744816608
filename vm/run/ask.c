/* What an EFFECT instruction asks for: local reads are answered at once, sends
** leave when durable, the rest becomes a command that an event will answer. */
#include "vm/run/state.h"

/* ---- records ---- */

const BundleSite *ask_site(const Run *run) { return &run->bundle->sites[run->machine->ask.site]; }

uint32_t ask_count(const Run *run) {
  return run->machine->ask.arg_count - (run->machine->ask.has_because ? 1u : 0u);
}

bool ask_operand(Run *run, Fiber *f, uint32_t i, Buf *out) {
  Value v = machine_ask_arg(run->machine, f, i);
  if (v == VALUE_MISSING) {
    buf_put(out, missing_argument, sizeof missing_argument);
    return true;
  }
  const char *why;
  if (wire_put(run->machine, v, out, &why)) return true;
  strand_raise(run, f->id, error_fault(run->machine, f, FAULT_VALUE, "%s cannot be given to %s", why,
                                       effect_info(ask_site(run)->kind)->word));
  return false;
}

bool ask_operands(Run *run, Fiber *f, uint32_t from, Buf *out) {
  uint32_t count = ask_count(run);
  buf_clear(out);
  cbor_put_array(out, count > from ? count - from : 0);
  for (uint32_t i = from; i < count; i++) {
    if (!ask_operand(run, f, i, out)) return false;
  }
  if (!out->full) return true;
  strand_raise(run, f->id, error_fault(run->machine, f, FAULT_SIZE, "%d bytes of operands", (int)BUF_MAX));
  return false;
}

/* The command record of the fiber's ask. `because` holds the bytes the record points to. */
void ask_record(Run *run, Fiber *f, Str target, Str operands, Buf *because, Record *out) {
  const BundleSite *site = ask_site(run);
  out->kind = RECORD_ASKED;
  out->ASKED = (Record_ASKED){.kind = site->kind, .site = site->id, .fiber = f->id, .delivered = run->delivered,
                              .target = target, .operands = operands, .at = run_time(run)};
  if (!run->machine->ask.has_because) return;
  const char *why;
  Value v = machine_ask_arg(run->machine, f, ask_count(run));
  if (wire_put(run->machine, v, because, &why)) out->ASKED.because = buf_view(because);
}

static const Str encoded_nil = {"\xf6", 1};

bool ask_put(Run *run, Fiber *f, Str target, Str operands, uint64_t *seq) {
  Buf because = {0};
  Record r;
  ask_record(run, f, target, operands, &because, &r);
  bool ok = run_put(run, &r);
  *seq = r.seq;
  buf_deinit(&because);
  return ok;
}

/* ---- local reads ---- */

static bool random_bounds(Run *run, Fiber *f, int64_t *low, int64_t *high) {
  uint32_t count = ask_count(run);
  *low = 0;
  bool ok = value_to_int(machine_ask_arg(run->machine, f, count - 1), high);
  if (ok && count == 2) ok = value_to_int(machine_ask_arg(run->machine, f, 0), low);
  if (ok && count == 2 && *high < INT64_MAX) (*high)++; /* random(a, b) includes b */
  if (ok && *low < *high) return true;
  strand_raise(run, f->id, error_fault(run->machine, f, FAULT_VALUE,
                                       "random takes nothing, a positive int, or a range of two ints"));
  return false;
}

static bool random_value(Run *run, Fiber *f, Buf *out) {
  uint64_t bits;
  run_random(run, (uint8_t *)&bits, sizeof bits);
  if (ask_count(run) == 0) {
    cbor_put_float(out, (double)(bits >> 11) * 0x1p-53);
    return true;
  }
  int64_t low, high;
  if (!random_bounds(run, f, &low, &high)) return false;
  uint64_t span = (uint64_t)high - (uint64_t)low;
  uint64_t limit = UINT64_MAX - UINT64_MAX % span; /* draw again above it: every answer is as likely */
  while (bits >= limit) run_random(run, (uint8_t *)&bits, sizeof bits);
  cbor_put_int(out, (int64_t)((uint64_t)low + bits % span));
  return true;
}

static void uuid_value(Run *run, Buf *out) {
  uint8_t chance[10];
  char text[37];
  run_random(run, chance, sizeof chance);
  uuid_text(uuid_v7(run->host->now_us(run->host->context), chance), text);
  cbor_put_text(out, str_of(text));
}

static bool name_operand(Run *run, Fiber *f, Str *name) {
  Value v = machine_ask_arg(run->machine, f, 0);
  if (value_is_kind(v, OBJ_STRING) || value_is_kind(v, OBJ_ROPE)) {
    *name = string_text(run->machine, &v);
    return true;
  }
  strand_raise(run, f->id, error_fault(run->machine, f, FAULT_TYPE, "%s takes a name, a string",
                                       effect_info(ask_site(run)->kind)->word));
  return false;
}

static bool env_value(Run *run, Fiber *f, Buf *out) {
  Str name;
  Buf text = {0};
  if (!name_operand(run, f, &name)) return false;
  if (run->host->env(run->host->context, name, &text)) cbor_put_text(out, buf_view(&text));
  else cbor_put_nil(out);
  buf_deinit(&text);
  return true;
}

static bool secret_value(Run *run, Fiber *f, Buf *out) {
  Str name;
  if (!name_operand(run, f, &name)) return false;
  cbor_put_bool(out, run->host->has_secret(run->host->context, name));
  return true;
}

/* They are in the head, beside the configuration, under a name that no `config` can have. */
static void args_value(Run *run, Buf *out) {
  Str list = cbor_map_get(run->head.HEAD.config, STR("args()"));
  if (list.at) buf_str(out, list);
  else cbor_put_array(out, 0);
}

static bool read_value(Run *run, Fiber *f, EffectKind kind, Buf *out) {
  switch (kind) {
    case EFFECT_NOW:
      cbor_put_tag(out, CBOR_TAG_TIME);
      cbor_put_int(out, run->host->now_us(run->host->context));
      return true;
    case EFFECT_RANDOM: return random_value(run, f, out);
    case EFFECT_UUID: uuid_value(run, out); return true;
    case EFFECT_ARGS: args_value(run, out); return true;
    case EFFECT_ENV: return env_value(run, f, out);
    case EFFECT_SECRET: return secret_value(run, f, out);
    default: UNREACHABLE();
  }
}

static void read_answer(Run *run, Fiber *f, EffectKind kind, Str bytes) {
  Machine *m = run->machine;
  Value v;
  Err err;
  if (!wire_get(m, bytes, &v, &err)) {
    strand_raise(run, f->id, error_fault(m, f, FAULT_INTERNAL, "%s", err.text));
    return;
  }
  if (kind == EFFECT_SECRET) {
    Value name = machine_ask_arg(m, f, 0);
    Str text = string_text(m, &name);
    if (v != VALUE_TRUE) {
      strand_raise(run, f->id, error_fault(m, f, FAULT_SECRET, STR_FMT, STR_ARG(text)));
      return;
    }
    v = sealed_secret(m, text);
  }
  fiber_answer(m, f, v);
  run_ready_first(run, f->id);
}

/* In history the recorded answer is taken; the random stream is advanced alike. */
static void ask_read(Run *run, Fiber *f, EffectKind kind) {
  Buf value = {0};
  if (!ask_operands(run, f, 0, &run->scratch)) return;
  Record question = {.kind = RECORD_READ,
                     .READ = {.kind = kind, .site = ask_site(run)->id, .fiber = f->id,
                              .operands = buf_view(&run->scratch)}};
  if (!journal_live(run->journal)) {
    Record answer;
    if (kind == EFFECT_RANDOM || kind == EFFECT_UUID) {
      if (!read_value(run, f, kind, &value)) goto out; /* advances the stream; raised already if refused */
    }
    if (journal_read(run->journal, &question, &answer)) {
      read_answer(run, f, kind, answer.READ.value);
      goto out;
    }
    if (!journal_live(run->journal) || journal_divergence(run->journal)->kind != DIVERGE_NONE) {
      run->diverged = true;
      goto out;
    }
  }
  if (value.size == 0 && !read_value(run, f, kind, &value)) goto out;
  question.READ.value = buf_view(&value);
  if (run_put(run, &question)) read_answer(run, f, kind, buf_view(&value));
out:
  buf_deinit(&value);
}

/* ---- sends ---- */

void send_keep(Run *run, const Request *request) {
  request_put(run, request);
  if (request->kind == REQUEST_OUTPUT) return;
  run->sends = mem_grow(run->sends, &run->send_cap, run->send_count + 1, sizeof(Wait *));
  run->sends[run->send_count++] = wait_new(request, 0);
}

static void ask_output(Run *run, Fiber *f, EffectKind kind) {
  Buf text = {0}, operands = {0};
  for (uint32_t i = 0; i < ask_count(run); i++) {
    if (i) buf_byte(&text, ' ');
    value_print(run->machine, machine_ask_arg(run->machine, f, i), false, &text);
  }
  cbor_put_array(&operands, 1);
  cbor_put_text(&operands, buf_view(&text));
  uint64_t seq;
  bool known = memory_recalls(run, f, kind, CLASS_NONE, (Str){"", 0}, buf_view(&operands));
  if (!known && ask_put(run, f, (Str){"", 0}, buf_view(&operands), &seq)) {
    (void)memory_asked(run, seq, buf_view(&operands));
    memory_confirm(run, seq, encoded_nil);
    send_keep(run, &(Request){.kind = REQUEST_OUTPUT, .seq = seq, .effect = (uint8_t)kind,
                              .operands = buf_view(&text)});
    ask_done(run, f, VALUE_NIL);
  }
  buf_deinit(&text);
  buf_deinit(&operands);
}

/* A line of the record, for whoever reads it. */
static void ask_note(Run *run, Fiber *f) {
  Buf *operands = &run->scratch;
  uint64_t seq;
  if (!ask_operands(run, f, 0, operands)) return;
  if (memory_recalls(run, f, EFFECT_NOTE, CLASS_NONE, (Str){"", 0}, buf_view(operands))) return;
  if (!ask_put(run, f, (Str){"", 0}, buf_view(operands), &seq)) return;
  (void)memory_asked(run, seq, buf_view(operands));
  memory_confirm(run, seq, encoded_nil);
  ask_done(run, f, VALUE_NIL);
}

/* A run as an operand: a handle, or its id as text. */
bool ask_run_id(Run *run, Fiber *f, Value v, Uuid *id) {
  if (value_is_kind(v, OBJ_HANDLE)) {
    memcpy(id->byte, ((HandleObj *)value_obj(v))->run, 16);
    return true;
  }
  if (value_is_kind(v, OBJ_STRING) && uuid_parse(string_text(run->machine, &v), id)) return true;
  strand_raise(run, f->id, error_fault(run->machine, f, FAULT_TYPE, "%s takes a run: a handle, or its id",
                                       effect_info(ask_site(run)->kind)->word));
  return false;
}

static void ask_send(Run *run, Fiber *f, EffectKind kind) {
  bool signal = kind == EFFECT_SIGNAL_SEND;
  Buf operands = {0}, value = {0};
  Uuid id;
  uint64_t seq;
  Str name = signal ? bundle_text(run->bundle, run->machine->ask.operand) : (Str){"", 0};
  if (!ask_run_id(run, f, machine_ask_arg(run->machine, f, signal ? 1 : 0), &id)) goto out;
  if (!ask_operands(run, f, 0, &operands)) goto out;
  if (signal && !ask_operand(run, f, 0, &value)) goto out;
  if (memory_recalls(run, f, kind, CLASS_NONE, name, buf_view(&operands))) goto out;
  if (!ask_put(run, f, name, buf_view(&operands), &seq)) goto out;
  (void)memory_asked(run, seq, buf_view(&operands));
  memory_confirm(run, seq, encoded_nil);
  send_keep(run, &(Request){.kind = signal ? REQUEST_SIGNAL : REQUEST_CANCEL, .seq = seq, .effect = (uint8_t)kind,
                            .target = name, .operands = buf_view(&value), .run = id});
  ask_done(run, f, VALUE_NIL);
out:
  buf_deinit(&operands);
  buf_deinit(&value);
}

/* ---- commands ---- */

void ask_done(Run *run, Fiber *f, Value v) {
  fiber_answer(run->machine, f, v);
  run_ready_first(run, f->id);
}

void ask_wait(Run *run, Fiber *f, const Request *request) {
  Strand *s = run_strand(run, f->id);
  s->on = FIBER_ON_ANSWER;
  s->seq = request->seq;
  wait_add(run, request, f->id);
}

static bool http_is_read(Str method) {
  return str_equal(method, STR("GET")) || str_equal(method, STR("HEAD")) || str_equal(method, STR("OPTIONS"));
}

/* The class of a call: its own if it only reads, else that of the tool around it. */
static EffectClass ask_class(Run *run, const Strand *s, EffectKind kind, Str target) {
  EffectClass own = (EffectClass)effect_info(kind)->effect_class;
  if (kind == EFFECT_VIEW) return CLASS_READ;
  if (own == CLASS_AS_DECLARED) own = http_is_read(target) ? CLASS_READ : CLASS_REVERSIBLE;
  if (own == CLASS_READ || own == CLASS_NONE || s->tool_count == 0) return own;
  return (EffectClass)run->bundle->tools[s->tools[s->tool_count - 1].tool].effect_class;
}

/* The key of what leaves: a tool's own for its first, numbered for further ones; else the command's. In every attempt
** it is that of the first. */
static void ask_key(Run *run, Strand *s, uint64_t first, bool counts, char out[96]) {
  ToolCall *tool = s->tool_count ? &s->tools[s->tool_count - 1] : NULL;
  run_key(run, tool ? memory_first(run, tool->seq) : first, out);
  if (!tool || !counts) return;
  size_t size = strlen(out);
  if (tool->phase == TOOL_CHECKING) snprintf(out + size, 96 - size, "-check");
  else if (++tool->sends > 1) snprintf(out + size, 96 - size, ".%u", tool->sends);
}

/* LIBRARY:NAME of a foreign function. */
static Str foreign_target(const Run *run, uint32_t index, Buf *keep) {
  const BundleExtern *e = &run->bundle->externs[index];
  buf_str(keep, bundle_text(run->bundle, e->library));
  buf_byte(keep, ':');
  buf_str(keep, bundle_text(run->bundle, e->name));
  return buf_view(keep);
}

/* Where the program does not say which command it dispatches, the record does. */
static bool dispatched_name(Run *run, Fiber *f, Str *name) {
  Value v = machine_ask_arg(run->machine, f, 0);
  const BundleShape *shape =
      value_is_kind(v, OBJ_RECORD) ? &run->bundle->shapes[((const RecordObj *)value_obj(v))->shape] : NULL;
  if (shape != NULL && shape->kind == SHAPE_COMMAND) {
    *name = bundle_text(run->bundle, shape->name);
    return true;
  }
  strand_raise(run, f->id, error_fault(run->machine, f, FAULT_TYPE, "dispatch takes a command, and this is %s",
                                       type_kind_word(value_type(v))));
  return false;
}

/* What of the world is asked for by no name of its own. */
static bool is_nameless(EffectKind kind) {
  return kind == EFFECT_BUDGET_LEFT || kind == EFFECT_RECALL || kind == EFFECT_REMEMBER;
}

/* (agent, conversation, most) or (agent, conversation, question, answer), of which the last two may be anything. */
static bool conversation_operands(Run *run, Fiber *f, EffectKind kind) {
  int64_t most;
  bool ok = value_is_text(machine_ask_arg(run->machine, f, 0)) && value_is_text(machine_ask_arg(run->machine, f, 1));
  if (kind == EFFECT_RECALL) ok = ok && value_to_int(machine_ask_arg(run->machine, f, 2), &most) && most >= 0;
  if (ok) return true;
  strand_raise(run, f->id, error_fault(run->machine, f, FAULT_TYPE, kind == EFFECT_RECALL
                 ? "recall takes an agent's name, a conversation and how many of its answers at most"
                 : "remember takes an agent's name, a conversation, a question and its answer"));
  return false;
}

static void ask_world(Run *run, Fiber *f, EffectKind kind) {
  Strand *s = run_strand(run, f->id);
  Buf keep = {0}, scopes = {0}, *operands = &run->scratch;
  uint64_t seq;
  char key[96];
  bool foreign = kind == EFFECT_FOREIGN;
  uint32_t operand = run->machine->ask.operand;
  Str target = {"", 0};
  if (foreign) target = foreign_target(run, operand, &keep);
  else if (!is_nameless(kind)) target = bundle_text(run->bundle, operand);
  if ((kind == EFFECT_RECALL || kind == EFFECT_REMEMBER) && !conversation_operands(run, f, kind)) goto out;
  if (kind == EFFECT_DISPATCH && target.size == 0 && !dispatched_name(run, f, &target)) goto out;
  EffectClass effect_class = ask_class(run, s, kind, target);
  if (!ask_operands(run, f, 0, operands)) goto out;
  if (memory_recalls(run, f, kind, effect_class, target, buf_view(operands))) goto out;
  if (!ask_put(run, f, target, buf_view(operands), &seq)) goto out;
  FirstAsked first = memory_asked(run, seq, buf_view(operands));
  ask_key(run, s, first.seq, effect_class != CLASS_READ, key);
  int64_t timeout = s->tool_count ? run->bundle->tools[s->tools[s->tool_count - 1].tool].timeout_us : 0;
  if (kind == EFFECT_BUDGET_LEFT) scopes_put(run, s, &scopes);
  ask_wait(run, f, &(Request){.kind = REQUEST_EFFECT, .seq = seq, .effect = (uint8_t)kind,
                              .effect_class = (uint8_t)effect_class, .extern_index = foreign ? operand : 0,
                              .target = target, .operands = buf_view(operands),
                              .scopes = buf_view(&scopes), .key = str_of(key), .timeout_us = timeout,
                              .resend = first.seq != seq});
out:
  buf_deinit(&keep);
  buf_deinit(&scopes);
}

bool ask_duration(Run *run, Fiber *f, Value v, int64_t *us) {
  if (value_is_kind(v, OBJ_DURATION)) {
    *us = ((IntObj *)value_obj(v))->i;
    if (*us < 0) *us = 0;
    return true;
  }
  strand_raise(run, f->id, error_fault(run->machine, f, FAULT_TYPE, "%s takes a duration, like 5s or minutes(n)",
                                       effect_info(ask_site(run)->kind)->word));
  return false;
}

int64_t ask_due(int64_t from, int64_t us) {
  int64_t due;
  return __builtin_add_overflow(from, us, &due) ? INT64_MAX : due;
}

static void ask_sleep(Run *run, Fiber *f) {
  Buf *operands = &run->scratch;
  int64_t us;
  uint64_t seq;
  if (!ask_duration(run, f, machine_ask_arg(run->machine, f, 0), &us)) return;
  if (!ask_operands(run, f, 0, operands)) return;
  if (memory_recalls(run, f, EFFECT_SLEEP, CLASS_NONE, (Str){"", 0}, buf_view(operands))) return;
  if (!ask_put(run, f, (Str){"", 0}, buf_view(operands), &seq)) return;
  FirstAsked first = memory_asked(run, seq, buf_view(operands));
  ask_wait(run, f, &(Request){.kind = REQUEST_TIMER, .seq = seq, .effect = EFFECT_SLEEP,
                              .due_us = ask_due(first.at_us, us), .timeout_us = us});
}

/* A job's attempt is over: it comes back later, or never. */
static void ask_leave(Run *run, Fiber *f, EffectKind kind) {
  Machine *m = run->machine;
  Buf *operands = &run->scratch, why = {0};
  int64_t us = 0;
  uint64_t seq;
  if (!run->attempts) {
    strand_raise(run, f->id, error_fault(m, f, FAULT_VALUE, "%s is possible in a worker's job only",
                                         effect_info(kind)->word));
    return;
  }
  if (kind == EFFECT_SNOOZE && !ask_duration(run, f, machine_ask_arg(m, f, 0), &us)) return;
  if (kind == EFFECT_GIVE_UP) value_print(m, machine_ask_arg(m, f, 0), false, &why);
  if (ask_operands(run, f, 0, operands) && ask_put(run, f, (Str){"", 0}, buf_view(operands), &seq)) {
    attempts_leave(run, f, kind, us, buf_view(&why));
  }
  buf_deinit(&why);
}

/* ---- dispatch ---- */

void run_ask(Run *run, Fiber *f) {
  EffectKind kind = (EffectKind)ask_site(run)->kind;
  switch (kind) {
    case EFFECT_NOW: case EFFECT_RANDOM: case EFFECT_UUID: case EFFECT_ARGS: case EFFECT_ENV: case EFFECT_SECRET:
      ask_read(run, f, kind); return;
    case EFFECT_PRINT: case EFFECT_LOG: ask_output(run, f, kind); return;
    case EFFECT_NOTE: ask_note(run, f); return;
    case EFFECT_HTTP: case EFFECT_FILE_READ: case EFFECT_FILE_WRITE: case EFFECT_FOREIGN:
      ask_world(run, f, kind); return;
    case EFFECT_SLEEP: ask_sleep(run, f); return;
    case EFFECT_SIGNAL_WAIT: ask_signal(run, f); return;
    case EFFECT_RUN_START: case EFFECT_RUN_CALL: ask_start(run, f, kind); return;
    case EFFECT_RUN_AWAIT: case EFFECT_AWAIT_ALL: case EFFECT_AWAIT_ANY: ask_await(run, f, kind); return;
    case EFFECT_SIGNAL_SEND: case EFFECT_RUN_CANCEL: ask_send(run, f, kind); return;
    case EFFECT_CONTINUE_AS_NEW: ask_continue(run, f); return;
    case EFFECT_PATCHED: ask_patched(run, f, false); return;
    case EFFECT_DEPRECATE_PATCH: ask_patched(run, f, true); return;
    case EFFECT_DISPATCH: case EFFECT_VIEW: case EFFECT_ENQUEUE: case EFFECT_TEST: case EFFECT_STUB:
    case EFFECT_BUDGET_LEFT: case EFFECT_RECALL: case EFFECT_REMEMBER:
      ask_world(run, f, kind); return;
    case EFFECT_MODEL: ask_model(run, f); return;
    case EFFECT_APPROVE: ask_approve(run, f); return;
    case EFFECT_BUDGET: ask_budget(run, f); return;
    case EFFECT_BUDGET_END: ask_budget_end(run, f); return;
    case EFFECT_FIT: ask_fit(run, f); return;
    case EFFECT_SNOOZE: case EFFECT_GIVE_UP: ask_leave(run, f, kind); return;
    case EFFECT_TOOL: tool_begin(run, f); return;
  }
}

/* What no catch could take in another run (a limit of its own) can be dealt with in this one. */
static Value foreign_error(Run *run, const Wait *wait, Value error) {
  if (wait->kind != REQUEST_AWAIT || error_catchable(error)) return error;
  Buf text = {0};
  buf_format(&text, STR_FMT ": " STR_FMT, STR_ARG(error_code(error)), STR_ARG(error_message(error)));
  error = error_new(run->machine, NULL, STR("child_failed"), buf_view(&text), VALUE_NIL, true);
  buf_deinit(&text);
  return error;
}

/* So with what ended a decision or view: there it was a limit, here it is a refusal as others are. */
Value ask_refusal(Run *run, uint64_t effect, Value error) {
  if ((effect != EFFECT_DISPATCH && effect != EFFECT_VIEW) || error_catchable(error)) return error;
  Buf code = {0}, message = {0};
  buf_str(&code, error_code(error));
  buf_str(&message, error_message(error));
  error = error_new(run->machine, NULL, buf_view(&code), buf_view(&message), error_data(error), true);
  buf_deinit(&code);
  buf_deinit(&message);
  return error;
}

static void ask_failed(Run *run, const Wait *wait, ErrorMeans means, Value error) {
  memory_error(run, wait->fiber, wait->seq, error, means);
  strand_raise(run, wait->fiber, error);
}

/* What befell an agent's code, a limit say, is a refusal to who asked: it may be caught. */
static Value refusal_of(Run *run, const Wait *wait, Fiber *f, Value error) {
  bool refusal = wait->effect == EFFECT_DISPATCH || wait->effect == EFFECT_VIEW || wait->effect == EFFECT_ENQUEUE;
  if (!refusal || error_catchable(error)) return error;
  Machine *m = run->machine;
  Buf code = {0}, message = {0}; /* copies: the new error is allocated while they are read */
  buf_str(&code, error_code(error));
  buf_str(&message, error_message(error));
  Value caught = error_new(m, f, buf_view(&code), buf_view(&message), error_data(error), true);
  buf_deinit(&code);
  buf_deinit(&message);
  return caught;
}

/* An answer to a command that somebody waits for. The wait is gone already; `seq` and `fiber` were its. */
void ask_answered(Run *run, const Wait *wait, Str outcome, Str value, Value v) {
  if (wait->effect == 0) {
    attempts_answered(run, wait);
    return;
  }
  Strand *s = run_strand(run, wait->fiber);
  Fiber *f = fiber_by_id(run->machine, wait->fiber);
  bool ok = str_equal(outcome, STR("ok"));
  if (!ok && value_is_kind(v, OBJ_ERROR)) v = ask_refusal(run, wait->effect, foreign_error(run, wait, v));
  bool lost = str_equal(outcome, STR("unknown")) || str_equal(outcome, STR("interrupted"));
  bool model = wait->effect == EFFECT_MODEL;
  if (model && ok) model_replied(run, wait, value);
  if (wait->kind == REQUEST_APPROVAL) { /* its row goes with the commit that has the answer */
    request_put(run, &(Request){.kind = REQUEST_DROP, .seq = wait->seq, .effect = wait->effect});
  }
  if (wait->effect == EFFECT_TOOL) {
    tool_timer(run, f);
  } else if (wait->effect == EFFECT_STUB && s->tool_count > 0) {
    tool_stub_answered(run, f, outcome, v);
  } else if (s->on == FIBER_ON_AWAITS) {
    ask_await_came(run, wait->fiber, wait->seq, ok, value, v);
  } else if (ok) {
    memory_answer(run, wait->fiber, wait->seq, value);
    if (wait->kind == REQUEST_APPROVAL) approval_answered(run, wait, v);
    else strand_answer(run, wait->fiber, v);
  } else if (model) {
    ask_failed(run, wait, ERROR_NOT_DONE, model_error(run, f, v, lost));
  } else if (lost && s->tool_count > 0) {
    tool_lost(run, f, str_equal(outcome, STR("interrupted")));
  } else if (lost) {
    ask_failed(run, wait, ERROR_MAYBE,
               error_fault(run->machine, f, FAULT_HTTP,
                           "the reply of %s was lost: it may have happened", effect_info(wait->effect)->word));
  } else {
    if (!value_is_kind(v, OBJ_ERROR)) {
      v = error_fault(run->machine, f, FAULT_INTERNAL, "an effect failed without an error");
    }
    ask_failed(run, wait, wait->effect == EFFECT_RUN_CALL ? ERROR_DONE : ERROR_NOT_DONE, refusal_of(run, wait, f, v));
  }
}
