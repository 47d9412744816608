/* What a run is, as its journal says, and how a generation of it begins from that. */
#include "vm/run/decider.h"
#include "vm/run/state.h"

const Record *run_head(const Run *run) { return &run->head; }

bool head_keep(Run *run, const Record *head, Err *err) {
  Buf bytes = {0};
  record_encode(head, &bytes);
  buf_deinit(&run->head_bytes);
  run->head_bytes = bytes;
  if (!record_decode(buf_view(&run->head_bytes), &run->head, err)) return false;
  run_identify(run);
  return true;
}

void head_patches(const Bundle *b, Buf *out) {
  cbor_put_array(out, b->patch_count);
  for (uint32_t i = 0; i < b->patch_count; i++) cbor_put_text(out, bundle_text(b, b->patches[i]));
}

/* ---- the machine ---- */

/* The configuration as a list by index, from the head's map by name. */
static Value config_value(Machine *m, const BundleConfig *config, Str map) {
  Str bytes = cbor_map_get(map, bundle_text(m->bundle, config->name));
  Value v = VALUE_NIL;
  Err err;
  if (bytes.at && !wire_get(m, bytes, &v, &err)) v = VALUE_NIL;
  return v;
}

void machine_config(Machine *m, Str map) {
  if (m->bundle->config_count == 0) return;
  m->config = list_new(m, m->bundle->config_count);
  for (uint32_t i = 0; i < m->bundle->config_count; i++) {
    Value v = config_value(m, &m->bundle->configs[i], map);
    list_push(m, &m->config, v);
  }
  value_share(m->config);
}

void machine_fresh(Run *run) {
  bool switch_loop = run->machine && run->machine->switch_loop;
  if (run->machine) machine_free(run->machine);
  run->machine = machine_new(run->program);
  run->machine->switch_loop = switch_loop;
  machine_config(run->machine, run->head.HEAD.config);
}

/* ---- the input ---- */

const uint8_t missing_argument[4] = {0xd9, 0x9c, 0x53, 0xf6}; /* tag 40019 of nil */
bool argument_left_out(Str encoded) {
  return encoded.size == sizeof missing_argument && memcmp(encoded.at, missing_argument, sizeof missing_argument) == 0;
}

/* The arguments into m->roots as a list; a left-out one is MISSING there. */
static bool input_decode(Machine *m, Str input, Value *list, uint32_t *count, Err *err) {
  CborReader r = cbor_reader(input);
  uint64_t n;
  if (!cbor_array(&r, &n, err)) return false;
  if (n > LIMIT_ARGUMENTS) return FAIL(err, ERR_LIMIT, "a run takes at most %d arguments", (int)LIMIT_ARGUMENTS), false;
  *list = list_new(m, (uint32_t)n);
  for (uint64_t i = 0; i < n; i++) {
    Str item;
    Value v;
    if (!cbor_skip(&r, &item, err)) return false;
    if (argument_left_out(item)) v = VALUE_MISSING;
    else if (!wire_get(m, item, &v, err)) return false;
    list_push(m, list, v);
  }
  *count = (uint32_t)n;
  return true;
}

/* The bundle's shape of which the record is an older version, and that version. */
static uint32_t older_shape(const Bundle *b, Str record, uint64_t *version) {
  CborReader r = cbor_reader(record);
  CborItem item;
  uint64_t count;
  Str name;
  Err ignored;
  bool ok = cbor_next(&r, &item, &ignored) && item.kind == CBOR_TAG && item.n == CBOR_TAG_RECORD &&
            cbor_array(&r, &count, &ignored) && cbor_text(&r, &name, &ignored) && cbor_uint(&r, version, &ignored);
  for (uint32_t i = 0; ok && i < b->shape_count; i++) {
    const BundleShape *s = &b->shapes[i];
    if (s->version > *version && str_equal(bundle_text(b, s->stored_name), name)) return i;
  }
  return NONE_INDEX;
}

static bool message_present(const Program *program, Str config, uint32_t shape, Str message, uint64_t version,
                            Buf *out, Err *err) {
  const Bundle *b = program_bundle(program);
  Decider *d = decider_new(program);
  decider_configure(d, config);
  Refusal refusal;
  bool ok = decider_admit(d, shape, message, version, true, out, &refusal);
  if (!ok) {
    FAIL(err, ERR_INVALID, STR_FMT " of version %" PRIu64 " cannot be made one of version %u: " STR_FMT ": " STR_FMT,
         STR_ARG(bundle_text(b, b->shapes[shape].stored_name)), version, b->shapes[shape].version,
         STR_ARG(refusal.code), STR_ARG(refusal.message));
  }
  decider_free(d);
  return ok;
}

/* A run stays on its bundle, so this is done once, before its head is written. */
bool input_present(const Program *program, Str entry, Str config, Str input, Buf *keep, Str *out, Err *err) {
  const Bundle *b = program_bundle(program);
  BundleEntry e;
  CborReader r = cbor_reader(input);
  uint64_t count, version;
  Str message;
  Err ignored;
  *out = input;
  if (!bundle_entry(b, entry, &e) || (e.kind != ENTRY_JOB && e.kind != ENTRY_ON)) return true;
  if (!cbor_array(&r, &count, &ignored) || count == 0 || !cbor_skip(&r, &message, &ignored)) return true;
  uint32_t shape = older_shape(b, message, &version);
  if (shape == NONE_INDEX) return true;
  Buf present = {0};
  bool ok = message_present(program, config, shape, message, version, &present, err);
  if (ok) {
    cbor_put_array(keep, count);
    buf_str(keep, buf_view(&present));
    buf_str(keep, (Str){(const char *)r.at, (size_t)(r.end - r.at)});
    *out = buf_view(keep);
  }
  buf_deinit(&present);
  return ok;
}

/* ---- beginning ---- */

bool main_begin(Run *run, Err *err) {
  BundleEntry entry;
  Machine *m = run->machine;
  uint32_t count = 0;
  if (!bundle_entry(run->bundle, run->head.HEAD.entry, &entry) || entry.fn == NONE_INDEX) {
    FAIL(err, ERR_NOT_FOUND, "the bundle has nothing named \"" STR_FMT "\" that a run can begin with",
         STR_ARG(run->head.HEAD.entry));
    return false;
  }
  if (!input_decode(m, run->head.HEAD.input, &m->roots[0], &count, err)) return false;
  const BundleFn *f = &run->bundle->fns[entry.fn];
  if (count < f->min_args || count > f->params.count) {
    FAIL(err, ERR_INVALID, STR_FMT " takes %u argument%s, and %u came", STR_ARG(bundle_text(run->bundle, f->name)),
         f->params.count, f->params.count == 1 ? "" : "s", count);
    return false;
  }
  Value args[ARGS_MAX];
  for (uint32_t i = 0; i < count; i++) args[i] = list_at(m->roots[0], i);
  m->roots[0] = VALUE_NIL;
  Fiber *main = fiber_new(m, entry.fn, args, count);
  run_strand(run, main->id)->lineage = 1;
  run_ready(run, main->id);
  run->began = run->park_due = true;
  return true;
}

void generation_free(Run *run) {
  run->decided = NO_FIBER;
  if (run->machine) machine_free(run->machine);
  run->machine = NULL;
  for (uint32_t i = 0; i < run->strand_count; i++) strand_free(run->strands[i]);
  for (uint32_t i = 0; i < run->wait_count; i++) wait_free(run->waits[i]);
  for (uint32_t i = 0; i < run->send_count; i++) wait_free(run->sends[i]);
  for (uint32_t i = 0; i < run->group_count; i++) group_free(run->groups[i]);
  run->strand_count = run->wait_count = run->send_count = run->group_count = 0;
  run->ready_count = run->patch_count = 0;
  attempts_free(run);
}

bool generation_start(Run *run, Err *err) {
  bool switch_loop = run->machine && run->machine->switch_loop;
  generation_free(run);
  machine_fresh(run);
  run->machine->switch_loop = switch_loop;
  if (!main_begin(run, err)) return false;
  run->draws = 0;
  run->now_us = run->head.HEAD.at;
  attempts_init(run);
  return true;
}
