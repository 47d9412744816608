/* Calls of models: recorded as what is new in them (conversation.h), sent whole. */
#include "vm/run/state.h"

/* NameSet kept of one run. Past them all are forgotten, and calls are recorded whole again. */
enum { KNOWN_MAX = 1 << 16 };

static void known_add(Run *run, Str names) {
  if (run->known.count + names.size / NAME_SIZE > KNOWN_MAX) name_set_clear(&run->known);
  for (size_t at = 0; at < names.size; at += NAME_SIZE) {
    ValueName name;
    memcpy(name.byte, names.at + at, sizeof name.byte);
    (void)name_set_add(&run->known, name);
  }
}

/* ---- asking ---- */

static bool call_sound(Run *run, Fiber *f) {
  Value call = machine_ask_arg(run->machine, f, 0), messages = VALUE_NIL;
  bool ok = value_is_kind(call, OBJ_MAP);
  if (ok && map_find_text(call, STR("messages"), &messages))
    ok = messages == VALUE_NIL || value_is_kind(messages, OBJ_LIST);
  if (ok) return true;
  strand_raise(run, f->id, error_fault(run->machine, f, FAULT_VALUE,
                                       "a model is called with a map in which `messages` is a list"));
  return false;
}

static Str call_text(Str call, Str key) {
  CborReader r = cbor_reader(cbor_map_get(call, key));
  Str text;
  Err ignored;
  return r.at != r.end && cbor_text(&r, &text, &ignored) ? text : (Str){"", 0};
}

/* Its own, or what the tool around it may take. */
static int64_t call_timeout(Run *run, const Fiber *f, const Strand *s) {
  Value v;
  if (map_find_text(machine_ask_arg(run->machine, f, 0), STR("timeout"), &v) && value_is_kind(v, OBJ_DURATION)) {
    int64_t us = ((const IntObj *)value_obj(v))->i;
    if (us > 0) return us;
  }
  return s->tool_count ? run->bundle->tools[s->tools[s->tool_count - 1].tool].timeout_us : 0;
}

/* The command, with what of the call is not on record yet. */
static bool delta_put(Run *run, Fiber *f, Str target, Str call, uint64_t *seq) {
  Buf delta = {0}, fresh = {0};
  Err err;
  cbor_put_array(&delta, 1);
  bool sound = conversation_delta(&run->known, call, &delta, &fresh, &err);
  ASSERT(sound && !delta.full); /* call_sound; and it is hardly longer than the call */
  bool ok = ask_put(run, f, target, buf_view(&delta), seq);
  if (ok) known_add(run, buf_view(&fresh));
  buf_deinit(&delta);
  buf_deinit(&fresh);
  return ok;
}

/* A call may be repeated, at the price of a second charge. So it is REVERSIBLE whatever tool it is made in, its lost
** reply is not an unknown outcome of that tool, and it does not take the tool's key, which is for what the tool does.
**
** One that an earlier attempt confirmed is recalled. That makes nothing known: what it holds was recorded, and became
** known, when it was first asked. */
void ask_model(Run *run, Fiber *f) {
  Strand *s = run_strand(run, f->id);
  Buf *operands = &run->scratch, scopes = {0};
  uint64_t seq;
  char key[96];
  if (!call_sound(run, f) || !ask_operands(run, f, 0, operands)) return;
  Str call = {operands->at + 1, operands->size - 1}; /* behind the head of an array of one */
  Str target = call_text(call, STR("model"));
  if (memory_recalls(run, f, EFFECT_MODEL, CLASS_REVERSIBLE, target, buf_view(operands))) return;
  if (!delta_put(run, f, target, call, &seq)) return;
  FirstAsked first = memory_asked(run, seq, buf_view(operands));
  run_key(run, first.seq, key);
  scopes_put(run, s, &scopes);
  ask_wait(run, f, &(Request){.kind = REQUEST_EFFECT, .seq = seq, .effect = EFFECT_MODEL,
                              .effect_class = CLASS_REVERSIBLE, .target = target, .operands = buf_view(operands),
                              .scopes = buf_view(&scopes), .key = str_of(key),
                              .timeout_us = call_timeout(run, f, s), .resend = first.seq != seq});
  buf_deinit(&scopes);
}

/* ---- what came back ---- */

/* The reply is on record: so the next call of the conversation need not say it again. */
void model_replied(Run *run, const Wait *wait, Str reply) {
  ValueName name;
  if (wait->operands.size < 2) return;
  Str call = {wait->operands.at + 1, wait->operands.size - 1};
  if (conversation_replied(call, reply, &name)) known_add(run, (Str){(const char *)name.byte, sizeof name.byte});
}

Value model_error(Run *run, const Fiber *f, Value error, bool lost) {
  Machine *m = run->machine;
  if (value_is_kind(error, OBJ_ERROR)) return error;
  if (!lost) return error_fault(m, f, FAULT_INTERNAL, "a call of a model failed without an error");
  m->temp[0] = map_new(m, 1);
  Value unknown = string_new(m, STR("unknown"));
  map_set_text(m, &m->temp[0], STR("class"), unknown);
  error = error_new(m, f, STR("model_network"), STR("the reply was lost: it may have been given, and charged for"),
                    m->temp[0], true);
  m->temp[0] = VALUE_NIL;
  return error;
}
