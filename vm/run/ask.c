/* What an EFFECT instruction asks for: local reads are answered at once, sends
** leave when durable, the rest becomes a command that an event will answer. */
#include "vm/run/state.h"

/* ---- records ---- */

static const BundleSite *ask_site(const Run *run) { return &run->bundle->sites[run->machine->ask.site]; }

static uint32_t ask_count(const Run *run) {
  return run->machine->ask.arg_count - (run->machine->ask.has_because ? 1u : 0u);
}

static bool operand_put(Run *run, Fiber *f, uint32_t i, Buf *out) {
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
    if (!operand_put(run, f, i, out)) return false;
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

/* Puts the command; false when the run goes no further. *seq is its number. */
static bool ask_put(Run *run, Fiber *f, Str target, Str operands, uint64_t *seq) {
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
    fiber_answer(run->machine, f, VALUE_NIL);
    run_ready_first(run, f->id);
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
  fiber_answer(run->machine, f, VALUE_NIL);
  run_ready_first(run, f->id);
}

/* A run as an operand: a handle, or its id as text. */
static bool run_operand(Run *run, Fiber *f, Value v, Uuid *id) {
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
  if (!run_operand(run, f, machine_ask_arg(run->machine, f, signal ? 1 : 0), &id)) goto out;
  if (!ask_operands(run, f, 0, &operands)) goto out;
  if (signal && !operand_put(run, f, 0, &value)) goto out;
  if (memory_recalls(run, f, kind, CLASS_NONE, name, buf_view(&operands))) goto out;
  if (!ask_put(run, f, name, buf_view(&operands), &seq)) goto out;
  (void)memory_asked(run, seq, buf_view(&operands));
  memory_confirm(run, seq, encoded_nil);
  send_keep(run, &(Request){.kind = signal ? REQUEST_SIGNAL : REQUEST_CANCEL, .seq = seq, .effect = (uint8_t)kind,
                            .target = name, .operands = buf_view(&value), .run = id});
  fiber_answer(run->machine, f, VALUE_NIL);
  run_ready_first(run, f->id);
out:
  buf_deinit(&operands);
  buf_deinit(&value);
}

/* ---- commands ---- */

/* Registers the wait of a command the fiber is blocked on. */
static void ask_wait(Run *run, Fiber *f, const Request *request) {
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

static void ask_world(Run *run, Fiber *f, EffectKind kind) {
  Strand *s = run_strand(run, f->id);
  Buf keep = {0}, *operands = &run->scratch;
  uint64_t seq;
  char key[96];
  bool foreign = kind == EFFECT_FOREIGN;
  uint32_t operand = run->machine->ask.operand;
  Str target = foreign ? foreign_target(run, operand, &keep) : bundle_text(run->bundle, operand);
  if (kind == EFFECT_DISPATCH && target.size == 0 && !dispatched_name(run, f, &target)) goto out;
  EffectClass effect_class = ask_class(run, s, kind, target);
  if (!ask_operands(run, f, 0, operands)) goto out;
  if (memory_recalls(run, f, kind, effect_class, target, buf_view(operands))) goto out;
  if (!ask_put(run, f, target, buf_view(operands), &seq)) goto out;
  FirstAsked first = memory_asked(run, seq, buf_view(operands));
  ask_key(run, s, first.seq, effect_class != CLASS_READ, key);
  int64_t timeout = s->tool_count ? run->bundle->tools[s->tools[s->tool_count - 1].tool].timeout_us : 0;
  ask_wait(run, f, &(Request){.kind = REQUEST_EFFECT, .seq = seq, .effect = (uint8_t)kind,
                              .effect_class = (uint8_t)effect_class, .extern_index = foreign ? operand : 0,
                              .target = target, .operands = buf_view(operands),
                              .key = str_of(key), .timeout_us = timeout, .resend = first.seq != seq});
out:
  buf_deinit(&keep);
}

static bool duration_operand(Run *run, Fiber *f, Value v, int64_t *us) {
  if (value_is_kind(v, OBJ_DURATION)) {
    *us = ((IntObj *)value_obj(v))->i;
    if (*us < 0) *us = 0;
    return true;
  }
  strand_raise(run, f->id, error_fault(run->machine, f, FAULT_TYPE, "%s takes a duration, like 5s or minutes(n)",
                                       effect_info(ask_site(run)->kind)->word));
  return false;
}

static int64_t due_after(int64_t from, int64_t us) {
  int64_t due;
  return __builtin_add_overflow(from, us, &due) ? INT64_MAX : due;
}

static void ask_sleep(Run *run, Fiber *f) {
  Buf *operands = &run->scratch;
  int64_t us;
  uint64_t seq;
  if (!duration_operand(run, f, machine_ask_arg(run->machine, f, 0), &us)) return;
  if (!ask_operands(run, f, 0, operands)) return;
  if (memory_recalls(run, f, EFFECT_SLEEP, CLASS_NONE, (Str){"", 0}, buf_view(operands))) return;
  if (!ask_put(run, f, (Str){"", 0}, buf_view(operands), &seq)) return;
  FirstAsked first = memory_asked(run, seq, buf_view(operands));
  ask_wait(run, f, &(Request){.kind = REQUEST_TIMER, .seq = seq, .effect = EFFECT_SLEEP,
                              .due_us = due_after(first.at_us, us), .timeout_us = us});
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
  if (kind == EFFECT_SNOOZE && !duration_operand(run, f, machine_ask_arg(m, f, 0), &us)) return;
  if (kind == EFFECT_GIVE_UP) value_print(m, machine_ask_arg(m, f, 0), false, &why);
  if (ask_operands(run, f, 0, operands) && ask_put(run, f, (Str){"", 0}, buf_view(operands), &seq)) {
    attempts_leave(run, f, kind, us, buf_view(&why));
  }
  buf_deinit(&why);
}

/* ---- signals ---- */

static bool signal_take(Run *run, Str name, uint64_t seq, Value *value) {
  for (uint32_t i = 0; i < run->signal_count; i++) {
    if (!str_equal(run->signals[i].name, name)) continue;
    Signal signal = run->signals[i];
    memmove(&run->signals[i], &run->signals[i + 1], (--run->signal_count - i) * sizeof signal);
    Err err;
    bool ok = wire_get(run->machine, signal.value, value, &err);
    ASSERT(ok); /* it was decoded when it arrived */
    memory_confirm(run, seq, signal.value);
    mem_free((void *)(uintptr_t)signal.name.at);
    mem_free((void *)(uintptr_t)signal.value.at);
    return true;
  }
  return false;
}

static void ask_signal(Run *run, Fiber *f) {
  Machine *m = run->machine;
  Strand *s = run_strand(run, f->id);
  Str name = bundle_text(run->bundle, m->ask.operand);
  Buf operands = {0};
  uint64_t seq;
  int64_t us = 0;
  Value within = ask_count(run) ? machine_ask_arg(m, f, 0) : VALUE_NIL;
  if (within != VALUE_NIL && !duration_operand(run, f, within, &us)) goto out;
  if (!ask_operands(run, f, 0, &operands)) goto out;
  if (memory_recalls(run, f, EFFECT_SIGNAL_WAIT, CLASS_NONE, name, buf_view(&operands))) goto out;
  if (!ask_put(run, f, name, buf_view(&operands), &seq)) goto out;
  FirstAsked first = memory_asked(run, seq, buf_view(&operands));
  Value value;
  if (signal_take(run, name, seq, &value)) {
    fiber_answer(m, f, value);
    run_ready_first(run, f->id);
    goto out;
  }
  s->on = FIBER_ON_SIGNAL;
  s->seq = seq;
  s->signal = m->ask.operand;
  s->timer_seq = 0;
  if (within != VALUE_NIL) {
    s->timer_seq = seq;
    wait_add(run, &(Request){.kind = REQUEST_TIMER, .seq = seq, .effect = EFFECT_SIGNAL_WAIT,
                             .due_us = due_after(first.at_us, us), .timeout_us = us}, f->id);
  }
out:
  buf_deinit(&operands);
}

/* The oldest strand that waits for the name gets it. False: nobody does. */
bool ask_signal_arrived(Run *run, Str name, Str bytes) {
  for (uint32_t i = 0; i < run->strand_count; i++) {
    Strand *s = run->strands[i];
    if (!s || s->on != FIBER_ON_SIGNAL || !str_equal(bundle_text(run->bundle, s->signal), name)) continue;
    if (s->timer_seq) {
      Wait *w = wait_find(run, s->timer_seq);
      if (w) {
        request_put(run, &(Request){.kind = REQUEST_DROP, .seq = w->seq, .effect = w->effect});
        wait_remove(run, w->seq);
      }
    }
    Value v;
    Err err;
    bool ok = wire_get(run->machine, bytes, &v, &err);
    ASSERT(ok);
    memory_confirm(run, s->seq, bytes);
    strand_answer(run, i, v);
    return true;
  }
  return false;
}

/* ---- other runs ---- */

/* The handle is known before anything is started. */
static void started(Run *run, Fiber *f, uint64_t seq, Uuid child, Str name) {
  Value handle = handle_new(run->machine, child.byte, seq, name);
  Buf bytes = {0};
  const char *why;
  if (run->attempts && wire_put(run->machine, handle, &bytes, &why)) memory_confirm(run, seq, buf_view(&bytes));
  buf_deinit(&bytes);
  fiber_answer(run->machine, f, handle);
  run_ready_first(run, f->id);
}

static void ask_start(Run *run, Fiber *f, EffectKind kind) {
  const BundleWorkflow *w = &run->bundle->workflows[run->machine->ask.operand];
  Str name = bundle_text(run->bundle, w->name);
  Buf operands = {0};
  uint64_t seq;
  if (!ask_operands(run, f, 0, &operands)) goto out;
  if (memory_recalls(run, f, kind, CLASS_NONE, name, buf_view(&operands))) goto out;
  if (!ask_put(run, f, name, buf_view(&operands), &seq)) goto out;
  FirstAsked first = memory_asked(run, seq, buf_view(&operands));
  Request request = {.kind = REQUEST_START, .seq = seq, .effect = (uint8_t)kind, .target = name,
                     .operands = buf_view(&operands), .run = run_child_id(run, first.seq, first.at_us),
                     .resend = first.seq != seq};
  send_keep(run, &request);
  if (kind == EFFECT_RUN_START) {
    started(run, f, seq, request.run, name);
  } else {
    request.kind = REQUEST_AWAIT;
    request.operands = (Str){0};
    ask_wait(run, f, &request);
  }
out:
  buf_deinit(&operands);
}

/* One command for each handle; `list` false: the single operand is the handle. */
static void ask_await(Run *run, Fiber *f, EffectKind kind) {
  Machine *m = run->machine;
  Strand *s = run_strand(run, f->id);
  Value operand = machine_ask_arg(m, f, 0);
  bool single = kind == EFFECT_RUN_AWAIT;
  if (!single && !value_is_kind(operand, OBJ_LIST)) {
    strand_raise(run, f->id, error_fault(m, f, FAULT_TYPE, "%s takes a list of runs", effect_info(kind)->word));
    return;
  }
  uint32_t count = single ? 1 : list_count(operand);
  if (count == 0) {
    fiber_answer(m, f, kind == EFFECT_AWAIT_ALL ? list_new(m, 0) : VALUE_NIL);
    run_ready_first(run, f->id);
    return;
  }
  Uuid *ids = mem_alloc(count * sizeof *ids);
  for (uint32_t i = 0; i < count; i++) {
    operand = machine_ask_arg(m, f, 0);
    if (!run_operand(run, f, single ? operand : list_at(operand, i), &ids[i])) goto out;
  }
  s->on = single ? FIBER_ON_ANSWER : FIBER_ON_AWAITS;
  s->await_any = kind == EFFECT_AWAIT_ANY;
  if (!single) {
    s->awaits = mem_alloc(count * sizeof *s->awaits);
    s->await_count = count;
  }
  for (uint32_t i = 0; i < count; i++) {
    Buf operands = {0};
    cbor_put_array(&operands, 1);
    const char *why;
    operand = machine_ask_arg(m, f, 0);
    bool ok = wire_put(m, single ? operand : list_at(operand, i), &operands, &why);
    ASSERT(ok);
    uint64_t seq;
    if (ask_put(run, f, (Str){"", 0}, buf_view(&operands), &seq)) {
      if (single) s->seq = seq;
      else s->awaits[i].seq = seq;
      wait_add(run, &(Request){.kind = REQUEST_AWAIT, .seq = seq, .effect = (uint8_t)kind, .run = ids[i]}, f->id);
    }
    buf_deinit(&operands);
  }
out:
  mem_free(ids);
}

static void awaits_clear(Strand *s) {
  for (uint32_t i = 0; i < s->await_count; i++) mem_free((void *)(uintptr_t)s->awaits[i].value.at);
  mem_free(s->awaits);
  s->awaits = NULL;
  s->await_count = 0;
}

static void awaits_drop_rest(Run *run, Strand *s) {
  for (uint32_t i = 0; i < s->await_count; i++) {
    Wait *w = s->awaits[i].outcome == 0 ? wait_find(run, s->awaits[i].seq) : NULL;
    if (w) wait_drop(run, w, STR("another was enough"));
  }
}

static Value decoded(Run *run, Str bytes) {
  Value v;
  Err err;
  if (!wire_get(run->machine, bytes, &v, &err)) v = VALUE_NIL;
  return v;
}

static void awaits_all(Run *run, uint32_t fiber, Strand *s) {
  Machine *m = run->machine;
  m->roots[0] = list_new(m, s->await_count);
  for (uint32_t i = 0; i < s->await_count; i++) {
    Value v = decoded(run, s->awaits[i].value);
    list_push(m, &m->roots[0], v);
  }
  awaits_clear(s);
  Value list = m->roots[0];
  m->roots[0] = VALUE_NIL;
  strand_answer(run, fiber, list);
}

/* One of the runs a strand awaits has ended. */
static void await_came(Run *run, uint32_t fiber, uint64_t seq, bool ok, Str value, Value v) {
  Strand *s = run_strand(run, fiber);
  uint32_t open = 0;
  for (uint32_t i = 0; i < s->await_count; i++) {
    Awaited *a = &s->awaits[i];
    if (a->seq == seq) {
      a->outcome = ok ? 1 : 2;
      char *copy = mem_alloc(value.size + 1);
      memcpy(copy, value.at, value.size);
      a->value = (Str){copy, value.size};
    }
    if (a->outcome == 0) open++;
  }
  if (ok && !s->await_any) {
    if (open == 0) awaits_all(run, fiber, s);
    return;
  }
  awaits_drop_rest(run, s);
  awaits_clear(s);
  if (ok) strand_answer(run, fiber, v);
  else strand_raise(run, fiber, v);
}

/* ---- patches ---- */

static Patch *patch_find(Run *run, uint32_t id) {
  for (uint32_t i = 0; i < run->patch_count; i++) {
    if (run->patches[i].id == id) return &run->patches[i];
  }
  return NULL;
}

static Patch *patch_add(Run *run, uint32_t id) {
  run->patches = mem_grow(run->patches, &run->patch_cap, run->patch_count + 1, sizeof *run->patches);
  Patch *p = &run->patches[run->patch_count++];
  *p = (Patch){.id = id};
  return p;
}

/* Decided once per run and id: as recorded anywhere ahead; false in a history written without it; else true. */
static void ask_patched(Run *run, Fiber *f, bool deprecated) {
  uint32_t id = run->machine->ask.operand;
  Str text = bundle_text(run->bundle, id);
  Patch *p = patch_find(run, id);
  if (!p) {
    p = patch_add(run, id);
    bool recorded = journal_patch_ahead(run->journal, text, &p->value);
    if (!recorded) {
      p->value = deprecated || journal_live(run->journal);
      p->unwritten = !journal_live(run->journal) && !deprecated;
    }
    if (recorded || journal_live(run->journal)) {
      Record r = {.kind = RECORD_PATCH, .PATCH = {.id = text, .value = p->value}};
      if (deprecated && !p->value) r.PATCH.value = 1; /* the old branch is gone: this run still needs it */
      if (!run_put(run, &r)) return;
    }
  }
  fiber_answer(run->machine, f, deprecated ? VALUE_NIL : value_bool(p->value));
  run_ready_first(run, f->id);
}

/* ---- continue_as_new ---- */

static void carried_encode(Run *run, Buf *out) {
  cbor_put_array(out, run->signal_count);
  for (uint32_t i = 0; i < run->signal_count; i++) {
    cbor_put_array(out, 2);
    cbor_put_text(out, run->signals[i].name);
    buf_str(out, run->signals[i].value);
  }
}

static bool branch_waits(const Run *run) {
  for (uint32_t i = 0; i < run->wait_count; i++) {
    if (run->waits[i]->effect != 0) return true;
  }
  return false;
}

static void ask_continue(Run *run, Fiber *f) {
  Buf carried = {0};
  if (!ask_operands(run, f, 0, &run->scratch)) return;
  if (branch_waits(run) || f->id != 0) {
    strand_raise(run, f->id, error_fault(run->machine, f, FAULT_VALUE,
                                         "continue_as_new is only possible when no branch is running"));
    return;
  }
  carried_encode(run, &carried);
  const Record *recorded = journal_peek(run->journal);
  bool known = recorded && recorded->kind == RECORD_CONTINUED;
  Record r = {.kind = RECORD_CONTINUED,
              .CONTINUED = {.input = buf_view(&run->scratch), .carried = buf_view(&carried),
                            .at = known ? recorded->CONTINUED.at : run->host->now_us(run->host->context)}};
  bool ok = run_put(run, &r);
  buf_deinit(&carried);
  if (ok) run_start_generation(run);
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
    case EFFECT_MODEL: case EFFECT_APPROVE: case EFFECT_BUDGET: case EFFECT_BUDGET_END: case EFFECT_BUDGET_LEFT:
    case EFFECT_FIT: case EFFECT_RECALL: case EFFECT_REMEMBER:
      ask_world(run, f, kind); return;
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
  if (wait->effect == EFFECT_TOOL) {
    tool_timer(run, f);
  } else if (wait->effect == EFFECT_STUB && s->tool_count > 0) {
    tool_stub_answered(run, f, outcome, v);
  } else if (s->on == FIBER_ON_AWAITS) {
    await_came(run, wait->fiber, wait->seq, ok, value, v);
  } else if (ok) {
    memory_answer(run, wait->fiber, wait->seq, value);
    strand_answer(run, wait->fiber, v);
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
