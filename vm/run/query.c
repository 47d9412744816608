/* Reading a run from outside: its queries, and what it waits for. */
#include "vm/base/text.h"
#include "vm/run/state.h"

enum { LINE_SIZE = 200 };

static const BundleQuery *query_find(const Run *run, Str name) {
  const Bundle *b = run->bundle;
  for (uint32_t i = 0; i < b->workflow_count; i++) {
    const BundleWorkflow *w = &b->workflows[i];
    if (!str_equal(bundle_text(b, w->name), run->head.HEAD.entry)) continue;
    for (uint32_t q = 0; q < w->queries.count; q++) {
      const BundleQuery *query = &b->queries[w->queries.first + q];
      if (str_equal(bundle_text(b, query->name), name)) return query;
    }
  }
  return NULL;
}

static bool query_args(Run *run, Str bytes, uint32_t params, Value *args, Err *err) {
  CborReader r = cbor_reader(bytes);
  uint64_t count = 0;
  if (bytes.size && !cbor_array(&r, &count, err)) return false;
  if (count > params) return FAIL(err, ERR_INVALID, "the query takes %u arguments", params), false;
  for (uint32_t i = 0; i < params; i++) {
    Str item;
    args[i] = VALUE_MISSING;
    if (i < count && (!cbor_skip(&r, &item, err) || !wire_get(run->machine, item, &args[i], err))) return false;
    run->machine->roots[2 + i % 4] = args[i]; /* few parameters; kept while the next is decoded */
  }
  return true;
}

bool run_query(Run *run, Str name, Str arguments, Buf *value, Err *err) {
  Machine *m = run->machine;
  const BundleQuery *q = query_find(run, name);
  Value args[ARGS_MAX], result, error;
  if (!q) {
    FAIL(err, ERR_NOT_FOUND, STR_FMT " has no query named " STR_FMT, STR_ARG(run->head.HEAD.entry), STR_ARG(name));
    return false;
  }
  if (attempts_resting(run)) return FAIL(err, ERR_INVALID, "no attempt of the run is being made"), false;
  if (run->ended || !fiber_by_id(m, 0)) return FAIL(err, ERR_INVALID, "the run is over"), false;
  const BundleFn *fn = &run->bundle->fns[q->fn];
  uint32_t params = fn->params.count;
  if (params > 4) return FAIL(err, ERR_LIMIT, "a query takes at most 4 arguments"), false;
  if (!query_args(run, arguments, params, args, err)) return false;
  const Fiber *main = fiber_by_id(m, 0);
  for (uint32_t i = 0; i < q->captures.count; i++) {
    Value v = main->stack[main->frames[0].base + run->bundle->indexes[q->captures.first + i]];
    value_share(v);
    args[params + i] = v;
  }
  uint64_t ticks = m->ticks, charged = m->charged;
  bool ok = machine_call_pure(m, q->fn, args, params + q->captures.count, 10000000, &result, &error);
  m->ticks = ticks; /* a question leaves no trace in the run */
  m->charged = charged;
  for (uint32_t i = 0; i < 4; i++) m->roots[2 + i] = VALUE_NIL;
  const char *why;
  if (!ok) return FAIL(err, ERR_INVALID, "the query failed: " STR_FMT, STR_ARG(error_message(error))), false;
  if (!wire_put(m, result, value, &why)) return FAIL(err, ERR_INVALID, "a query cannot answer with %s", why), false;
  return true;
}

/* In one line, and not all of it. */
static void put_line(Str text, Buf *out) {
  size_t size = text.size < LINE_SIZE ? text.size : LINE_SIZE;
  while (size > 0 && size < text.size && ((uint8_t)text.at[size] & 0xc0) == 0x80) size--;
  for (size_t i = 0; i < size; i++) buf_byte(out, (uint8_t)text.at[i] < ' ' ? ' ' : (uint8_t)text.at[i]);
  if (size < text.size) buf_text(out, "…");
}

/* The first of the operands. */
static Str operand_of(const Wait *w) {
  CborReader r = cbor_reader(w->operands);
  uint64_t count;
  Str item;
  Err ignored;
  return cbor_array(&r, &count, &ignored) && count && cbor_skip(&r, &item, &ignored) ? item : (Str){0};
}

static Str text_of(Str value) {
  CborReader r = cbor_reader(value);
  Str text;
  Err ignored;
  return r.at != r.end && cbor_text(&r, &text, &ignored) ? text : (Str){"", 0};
}

/* "model fast (openai gpt-5-mini)". */
static void model_line(const Wait *w, Buf *out) {
  Str call = operand_of(w);
  Str provider = text_of(cbor_map_get(call, STR("provider"))), name = text_of(cbor_map_get(call, STR("name")));
  buf_format(out, "#%" PRIu64 " model%s", w->seq, w->target.size ? " " : "");
  put_line(w->target, out);
  if (provider.size) {
    buf_text(out, " (");
    put_line(provider, out);
    if (name.size) buf_byte(out, ' ');
    put_line(name, out);
    buf_byte(out, ')');
  }
  buf_byte(out, '\n');
}

/* "approval of Refund: Refund 30? (until 2026-…)". */
static void approval_line(const Wait *w, Buf *out) {
  buf_format(out, "#%" PRIu64 " approval of " STR_FMT ": ", w->seq, STR_ARG(w->target));
  put_line(text_of(operand_of(w)), out);
  if (w->due_us) {
    buf_text(out, " (until ");
    time_print(w->due_us, out);
    buf_byte(out, ')');
  }
  buf_byte(out, '\n');
}

static void wait_line(const Run *run, const Wait *w, Buf *out) {
  if (w->kind == REQUEST_TURN) return; /* attempts_waits says more */
  if (w->effect == 0) {
    buf_format(out, "#%" PRIu64 " attempt %u must be over by ", w->seq, run->attempts->number);
    time_print(w->due_us, out);
    buf_byte(out, '\n');
    return;
  }
  if (w->kind == REQUEST_APPROVAL) {
    approval_line(w, out);
    return;
  }
  if (w->effect == EFFECT_MODEL) {
    model_line(w, out);
    return;
  }
  const EffectInfo *info = effect_info(w->effect);
  buf_format(out, "#%" PRIu64 " %s", w->seq, info ? info->word : "?");
  if (w->target.size) buf_format(out, " " STR_FMT, STR_ARG(w->target));
  if (w->kind == REQUEST_TIMER) {
    buf_text(out, " until ");
    time_print(w->due_us, out);
  }
  if (w->kind == REQUEST_AWAIT) {
    char id[37];
    uuid_text(w->run, id);
    buf_format(out, " run %s", id);
  }
  if (w->kind == REQUEST_ADMIT) buf_text(out, " (waits for its limit)");
  buf_byte(out, '\n');
}

void run_waits(Run *run, Buf *out) {
  attempts_waits(run, out);
  for (uint32_t i = 0; i < run->wait_count; i++) {
    if (!run->waits[i]->dropped) wait_line(run, run->waits[i], out);
  }
  for (uint32_t i = 0; i < run->strand_count; i++) {
    const Strand *s = run->strands[i];
    if (s && s->on == FIBER_ON_SIGNAL && !s->timer_seq) {
      buf_format(out, "#%" PRIu64 " await signal " STR_FMT "\n", s->seq, STR_ARG(bundle_text(run->bundle, s->signal)));
    }
    if (s && s->on == FIBER_ON_PERSON) {
      const ToolCall *call = &s->tools[s->tool_count - 1];
      Str name = bundle_text(run->bundle, run->bundle->tools[call->tool].name);
      buf_format(out, "#%" PRIu64 " " STR_FMT ": its outcome is unknown; settle it with z8 resolve\n", s->seq,
                 STR_ARG(name));
    }
  }
}
