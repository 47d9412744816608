/* Messages from anywhere made records of this program; and what a router asks of a command. */
#include "vm/base/hash.h"
#include "vm/run/decider_impl.h"
#include "vm/run/run.h"

/* ---- making ---- */

static Whole whole_shape(const Decider *d, uint32_t shape) {
  return (Whole){decider_shape_name(d, shape), d->b->shapes[shape].fields};
}

static bool construct(Decider *d, uint32_t shape, Value *message, Words *w, Refusal *out) {
  Machine *m = d->m;
  Whole whole = whole_shape(d, shape);
  uint32_t base = m->held_count, fn = d->b->shapes[shape].constructor, count = whole.fields.count;
  Value result;
  if (!whole_hold(d, &whole, message, w, out)) return false;
  if (fn >= d->b->fn_count) result = record_new(m, shape, m->held + base, count);
  else if (!decider_call(d, fn, m->held + base, count, &result)) {
    Str name = decider_shape_name(d, shape), why = error_message(result);
    return words_refuse(w, out, "invalid_message", STR_FMT ": " STR_FMT, STR_ARG(name), STR_ARG(why));
  }
  value_share(result);
  *message = result;
  return decider_is_record(result, shape) ||
         words_fault(w, out, "invalid_message", "the constructor of " STR_FMT " makes something else",
                     STR_ARG(decider_shape_name(d, shape)));
}

/* What one program's record calls its fields; of another's, or of an older version, there are only the names. */
static void map_of_record(Decider *d, Value *message) {
  Machine *m = d->m;
  uint32_t count = value_obj(*message)->size, base = m->held_count;
  machine_hold(m, map_new(m, count));
  for (uint32_t i = 0; i < count; i++) {
    const RecordObj *r = (const RecordObj *)value_obj(*message);
    Str name = bundle_text(d->b, d->b->fields[d->b->shapes[r->shape].fields.first + i].name);
    machine_hold(m, string_new(m, name));
    Value v = ((const RecordObj *)value_obj(*message))->field[i];
    value_share(v);
    map_set(m, &m->held[base], m->held[base + 1], v);
    m->held_count = base + 1;
  }
  *message = m->held[base];
  m->held_count = base;
}

static bool upcast(Decider *d, uint32_t shape, uint64_t version, Value *message, Words *w, Refusal *out) {
  const BundleShape *s = &d->b->shapes[shape];
  for (; version < s->version; version++) {
    uint32_t fn = version <= s->upcasts.count ? d->b->indexes[s->upcasts.first + version - 1] : NONE_INDEX;
    Value result;
    if (fn == NONE_INDEX) continue; /* the versions do not differ in a way that matters */
    value_share(*message);
    if (!decider_call(d, fn, message, 1, &result))
      return words_error(d, w, out, result, "the upcast of " STR_FMT " from version %" PRIu64 " failed",
                         STR_ARG(decider_shape_name(d, shape)), version);
    value_share(result);
    *message = result;
  }
  return true;
}

static bool version_known(Decider *d, uint32_t shape, uint64_t version, Words *w, Refusal *out) {
  uint32_t present = d->b->shapes[shape].version;
  return version <= present ||
         words_refuse(w, out, "newer_message", STR_FMT " is of version %" PRIu64 ", and this program knows version %"
                      PRIu32 ": deploy the newer program", STR_ARG(decider_shape_name(d, shape)), version, present);
}

static bool not_it(Decider *d, uint32_t shape, Value v, Words *w, Refusal *out) {
  Buf found = {0};
  machine_value_text(d->m, v, &found);
  words_refuse(w, out, "invalid_message", "a " STR_FMT " is a record or a map of its fields, and this is " STR_FMT,
               STR_ARG(decider_shape_name(d, shape)), STR_ARG(buf_view(&found)));
  buf_deinit(&found);
  return false;
}

static bool make(Decider *d, uint32_t shape, uint64_t version, Make how, Value *message, Words *w, Refusal *out) {
  if (!version_known(d, shape, version, w, out)) return false;
  if (version != 0 && !upcast(d, shape, version, message, w, out)) return false;
  if (decider_is_record(*message, shape)) return true; /* by the upcast */
  if (value_is_kind(*message, OBJ_RECORD)) return not_it(d, shape, *message, w, out);
  if (!value_is_kind(*message, OBJ_MAP)) return not_it(d, shape, *message, w, out);
  Whole whole = whole_shape(d, shape);
  if (how == MAKE_STRICT && !whole_keys_known(d, &whole, *message, w, out)) return false;
  return construct(d, shape, message, w, out);
}

bool message_make(Decider *d, uint32_t shape, uint64_t version, Make how, Value *message, Words *w, Refusal *out) {
  uint32_t base = d->m->held_count;
  if (decider_is_record(*message, shape)) map_of_record(d, message);
  d->depth++;
  bool ok = make(d, shape, version, how, message, w, out);
  d->depth--;
  d->m->held_count = base;
  return ok;
}

/* The type name and version that an encoded record bears. False: it is no record. */
static bool record_head(Str data, Str *name, uint64_t *version) {
  CborReader r = cbor_reader(data);
  CborItem tag;
  uint64_t count;
  Err ignored;
  return cbor_next(&r, &tag, &ignored) && tag.kind == CBOR_TAG && tag.n == CBOR_TAG_RECORD &&
         cbor_array(&r, &count, &ignored) && cbor_text(&r, name, &ignored) && cbor_uint(&r, version, &ignored);
}

bool message_get(Decider *d, uint32_t shape, Str data, uint64_t version, Make how, Value *root, Words *w,
                 Refusal *out) {
  Str mine = decider_shape_name(d, shape), stored = bundle_text(d->b, d->b->shapes[shape].stored_name), name;
  uint64_t said;
  Err err;
  if (record_head(data, &name, &said)) {
    if (!str_equal(name, stored))
      return words_refuse(w, out, "invalid_message", "a " STR_FMT " is wanted, and this is a %.*s", STR_ARG(mine),
                          name.size > 80 ? 80 : (int)name.size, name.at);
    if (version == 0) version = said;
  }
  if (!version_known(d, shape, version, w, out)) return false;
  if (!wire_get(d->m, data, root, &err))
    return words_refuse(w, out, "invalid_message", STR_FMT " cannot be read: %s", STR_ARG(mine), err.text);
  return message_make(d, shape, version, how, root, w, out);
}

/* ---- admission ---- */

static bool message_put(Decider *d, uint32_t shape, Buf *out, Refusal *refusal) {
  const char *why;
  size_t before = out->size;
  Str name = decider_shape_name(d, shape);
  if (!wire_put(d->m, d->m->roots[ROOT_WORK], out, &why))
    return words_refuse(&d->aside, refusal, "invalid_message", STR_FMT ": %s", STR_ARG(name), why);
  if (out->size - before <= LIMIT_RECORD_BYTES) return true;
  out->size = before;
  return words_refuse(&d->aside, refusal, "invalid_message", STR_FMT " is larger than 64 MB", STR_ARG(name));
}

bool decider_admit(Decider *d, uint32_t shape, Str data, uint64_t version, bool trusted, Buf *data_out,
                   Refusal *refusal) {
  ASSERT(shape < d->b->shape_count);
  Value *work = &d->m->roots[ROOT_WORK];
  bool own = trusted && (version == 0 || version == d->b->shapes[shape].version);
  if (own && wire_get_planned(d->m, decider_plan(d, shape), data, work)) {
    *work = VALUE_NIL;
    buf_str(data_out, data);
    return true;
  }
  Make how = d->b->shapes[shape].kind == SHAPE_EVENT ? MAKE_STORED : MAKE_STRICT; /* an event has happened */
  bool ok = message_get(d, shape, data, version, how, work, &d->aside, refusal) &&
            message_put(d, shape, data_out, refusal);
  *work = VALUE_NIL;
  return ok;
}

/* Each as it is encoded in a run's input. */
static bool arguments_put(Decider *d, uint32_t base, const Whole *whole, Buf *out, Refusal *refusal) {
  const char *why;
  cbor_put_array(out, whole->fields.count);
  for (uint32_t i = 0; i < whole->fields.count; i++) {
    Value v = d->m->held[base + i];
    if (v == VALUE_MISSING) buf_put(out, missing_argument, sizeof missing_argument);
    else if (!wire_put(d->m, v, out, &why))
      return words_refuse(&d->aside, refusal, "invalid_message", STR_FMT ": %s", STR_ARG(whole->name), why);
  }
  return true;
}

bool decider_arguments(Decider *d, uint32_t fn, Str data, Buf *input, Refusal *refusal) {
  Value *work = &d->m->roots[ROOT_WORK];
  Whole whole = {bundle_text(d->b, d->b->fns[fn].name), d->b->fns[fn].params};
  uint32_t base = d->m->held_count;
  Err err;
  bool ok = wire_get(d->m, data, work, &err) && value_is_kind(*work, OBJ_MAP);
  if (!ok)
    words_refuse(&d->aside, refusal, "invalid_message", "the arguments of " STR_FMT " are a map", STR_ARG(whole.name));
  ok = ok && whole_keys_known(d, &whole, *work, &d->aside, refusal) &&
       whole_hold(d, &whole, work, &d->aside, refusal) && arguments_put(d, base, &whole, input, refusal);
  d->m->held_count = base;
  *work = VALUE_NIL;
  return ok;
}

/* ---- what a router asks ---- */

/* An encoded part of an encoded record or map. */
static Str part_of(Str data, Str name) { return cbor_map_get(data, name); }

static bool no_identity(Decider *d, const BundleRoute *route, const char *why, Refusal *out) {
  return words_refuse(&d->aside, out, "no_identity", "`" STR_FMT "` of " STR_FMT " names the " STR_FMT ", and %s",
                      STR_ARG(bundle_text(d->b, route->field)), STR_ARG(decider_shape_name(d, route->command)),
                      STR_ARG(bundle_text(d->b, d->b->agents[route->agent].name)), why);
}

static bool has_control(Str s) {
  for (size_t i = 0; i < s.size; i++) {
    if ((uint8_t)s.at[i] < 0x20 || s.at[i] == 0x7f) return true;
    if ((uint8_t)s.at[i] == 0xc2 && i + 1 < s.size && (uint8_t)s.at[i + 1] < 0xa0) return true; /* C1 */
  }
  return false;
}

bool decider_identity(Decider *d, const BundleRoute *route, Str data, Buf *text, Refusal *refusal) {
  Str part = part_of(data, bundle_text(d->b, route->field));
  CborReader r = cbor_reader(part);
  CborItem item = {0};
  Err ignored;
  if (!part.at || !cbor_next(&r, &item, &ignored) || item.kind == CBOR_NIL)
    return no_identity(d, route, "it is not given", refusal);
  if ((item.kind == CBOR_UINT || item.kind == CBOR_NEGINT) && item.n <= INT64_MAX) {
    int_print(item.kind == CBOR_UINT ? (int64_t)item.n : -1 - (int64_t)item.n, text);
    return true;
  }
  if (item.kind != CBOR_TEXT) return no_identity(d, route, "it must be a string or an int", refusal);
  if (item.bytes.size == 0) return no_identity(d, route, "it is empty", refusal);
  if (item.bytes.size + bundle_text(d->b, route->prefix).size > LIMIT_KEY_BYTES)
    return no_identity(d, route, "it is longer than 512 bytes", refusal);
  if (has_control(item.bytes)) return no_identity(d, route, "it holds control characters", refusal);
  buf_str(text, item.bytes);
  return true;
}

bool decider_before(Decider *d, const BundleRoute *route, Str data, Str meta, Refusal *refusal) {
  Machine *m = d->m;
  Err err;
  Value about, result;
  bool ok = true;
  if (route->before.count == 0) return true;
  if (!wire_get_planned(m, decider_plan(d, route->command), data, &m->roots[ROOT_WORK]) &&
      !message_get(d, route->command, data, 0, MAKE_STRICT, &m->roots[ROOT_WORK], &d->aside, refusal))
    return false;
  value_share(m->roots[ROOT_WORK]);
  if (!decider_get(d, meta, &about, &err))
    ok = words_fault(&d->aside, refusal, "invalid_message", "the meta of a command cannot be read: %s", err.text);
  uint32_t base = m->held_count;
  machine_hold(m, ok ? about : VALUE_NIL);
  for (uint32_t i = 0; i < route->before.count && ok; i++) {
    uint32_t fn = d->b->indexes[route->before.first + i];
    Value args[2] = {m->roots[ROOT_WORK], m->held[base]};
    uint32_t count = d->b->fns[fn].params.count < 2 ? d->b->fns[fn].params.count : 2;
    if (!decider_call(d, fn, args, count, &result))
      ok = words_error(d, &d->aside, refusal, result, "`before` " STR_FMT " failed",
                       STR_ARG(bundle_text(d->b, d->b->fns[fn].name)));
  }
  m->held_count = base;
  m->roots[ROOT_WORK] = VALUE_NIL;
  return ok;
}

bool decider_unique(Decider *d, const BundleWorker *worker, Str data, Hash256 *key) {
  static const Str none = {"\xf6", 1};
  Sha256 hash;
  if (worker->unique.count == 0) return false;
  sha256_begin(&hash);
  sha256_add(&hash, bundle_text(d->b, worker->name));
  for (uint32_t i = 0; i < worker->unique.count; i++) {
    Str name = bundle_text(d->b, d->b->indexes[worker->unique.first + i]), part = part_of(data, name);
    sha256_add(&hash, (Str){"", 1});
    sha256_add(&hash, name);
    sha256_add(&hash, (Str){"", 1});
    sha256_add(&hash, part.at ? part : none);
  }
  *key = sha256_end(&hash);
  return true;
}
