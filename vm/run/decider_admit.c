/* Messages from anywhere made records of this program; and what a router asks of a command. */
#include "vm/base/hash.h"
#include "vm/run/decider_impl.h"

enum { COERCE_DEPTH = 64 /* records in records of a message given as maps */ };

/* ---- values in the form the field wants ----
** JSON has no times, decimals or records, and another bundle's records arrive as maps: what does not fit as it is, is
** read as the field's type where that can only be meant so. Values wait on the machine's stack of held ones, because
** making a value may move the others. */

static bool coerce(Decider *d, uint32_t slot, uint32_t type, uint32_t depth);

/* What cannot be had, for the message; false. Who holds it says where it was on the way out (within). */
static bool misfit(Decider *d, uint32_t slot, uint32_t type) {
  buf_clear(&d->path);
  buf_clear(&d->misfit);
  d->misfit_type = type;
  machine_value_text(d->m, d->m->held[slot], &d->misfit);
  return false;
}

static void within(Decider *d, const char *step) {
  Buf path = {.max = 200};
  buf_text(&path, step);
  buf_str(&path, buf_view(&d->path));
  buf_clear(&d->path);
  buf_str(&d->path, buf_view(&path));
  buf_deinit(&path);
}

static void within_item(Decider *d, uint32_t i) {
  char step[16];
  snprintf(step, sizeof step, "[%u]", i);
  within(d, step);
}

static void within_key(Decider *d, Value key) {
  Buf step = {.max = 100};
  buf_byte(&step, '[');
  value_print(d->m, key, true, &step);
  buf_put(&step, "]", 2); /* with its end */
  within(d, step.full ? "[…]" : step.at);
  buf_deinit(&step);
}

static Str held_text(const Machine *m, uint32_t slot) {
  const StringObj *s = (const StringObj *)value_obj(m->held[slot]);
  return (Str){s->bytes, s->head.size};
}

static bool decimal_of(Machine *m, uint32_t slot) {
  Value v = m->held[slot];
  Decimal decimal;
  int64_t i;
  double f;
  Buf text = {0};
  bool ok = true;
  if (value_to_int(v, &i)) decimal = decimal_from_int(i);
  else if (value_to_float(v, &f)) {
    float_print(f, &text); /* the shortest text: what a person or JSON wrote */
    ok = decimal_parse(buf_view(&text), &decimal);
  } else ok = value_is_kind(v, OBJ_STRING) && decimal_parse(held_text(m, slot), &decimal);
  buf_deinit(&text);
  if (ok) m->held[slot] = decimal_value(m, decimal);
  return ok;
}

/* To JSON 5.0 is the number 5. */
static bool int_of(Machine *m, uint32_t slot) {
  double f;
  if (!value_to_float(m->held[slot], &f) || !(f >= -9007199254740992.0 && f <= 9007199254740992.0)) return false;
  if (f != (double)(int64_t)f) return false;
  m->held[slot] = value_int(m, (int64_t)f);
  return true;
}

static bool scalar_of(Machine *m, uint32_t slot, TypeKind kind) {
  int64_t us;
  if (kind == TYPE_DECIMAL) return decimal_of(m, slot);
  if (kind == TYPE_INT) return int_of(m, slot);
  if (!value_is_kind(m->held[slot], OBJ_STRING)) return false;
  if (kind == TYPE_TIME && time_parse(held_text(m, slot), &us)) m->held[slot] = time_new(m, us);
  else if (kind == TYPE_DURATION && duration_parse(held_text(m, slot), &us)) m->held[slot] = duration_new(m, us);
  else if (kind == TYPE_BYTES) {
    Buf bytes = {0};
    bool ok = base64_decode(held_text(m, slot), false, &bytes);
    if (ok) m->held[slot] = bytes_new(m, buf_view(&bytes));
    buf_deinit(&bytes);
    return ok;
  } else return false;
  return true;
}

static bool list_of(Decider *d, uint32_t slot, uint32_t elem, uint32_t depth) {
  Machine *m = d->m;
  uint32_t count = list_count(m->held[slot]), base = m->held_count;
  bool ok = true;
  for (uint32_t i = 0; i < count && ok; i++) {
    machine_hold(m, list_at(m->held[slot], i));
    ok = coerce(d, base + i, elem, depth + 1);
    if (!ok) within_item(d, i);
  }
  if (ok) m->held[slot] = list_from(m, m->held + base, count);
  value_share(m->held[slot]);
  m->held_count = base;
  return ok;
}

static bool map_of(Decider *d, uint32_t slot, uint32_t elem, uint32_t depth) {
  Machine *m = d->m;
  Value key, v;
  uint32_t base = m->held_count;
  bool ok = true;
  machine_hold(m, VALUE_NIL); /* the part in hand; then keys and parts */
  for (uint32_t cursor = 0; ok && map_next(m->held[slot], &cursor, &key, &v);) {
    machine_hold(m, key);
    machine_hold(m, v);
    ok = coerce(d, m->held_count - 1, elem, depth + 1);
    if (!ok) within_key(d, m->held[m->held_count - 2]);
  }
  if (ok) m->held[base] = map_new(m, (m->held_count - base) / 2);
  for (uint32_t i = base + 1; ok && i < m->held_count; i += 2) {
    Value made = m->held[base]; /* has room: nothing moves */
    map_set(m, &made, m->held[i], m->held[i + 1]);
  }
  if (ok) m->held[slot] = m->held[base];
  value_share(m->held[slot]);
  m->held_count = base;
  return ok;
}

/* Whether a map says, in the fields that tell the members of a union apart, that it is this record. */
static bool tags_agree(const Decider *d, Value map, uint32_t shape) {
  const Bundle *b = d->b;
  Range32 fields = b->shapes[shape].fields;
  for (uint32_t i = 0; i < fields.count; i++) {
    const BundleField *f = &b->fields[fields.first + i];
    Value v;
    if (b->types[f->type].kind != TYPE_LITERAL) continue;
    if (!map_find_text(map, bundle_text(b, f->name), &v)) return false;
    if (!machine_fits(d->m, d->side, v, f->type)) return false;
  }
  return true;
}

/* Of several that it might have been, none is to blame; if it could have been one only, that one says what is wrong. */
static bool union_of(Decider *d, uint32_t slot, uint32_t type, uint32_t depth) {
  const BundleType *t = &d->b->types[type];
  uint32_t tried = 0;
  for (uint32_t i = 0; i < t->members.count; i++) {
    uint32_t member = d->b->indexes[t->members.first + i];
    const BundleType *mt = &d->b->types[member];
    bool map = value_is_kind(d->m->held[slot], OBJ_MAP);
    if (mt->kind == TYPE_NIL) continue; /* it is not */
    if (mt->kind == TYPE_RECORD && (!map || !tags_agree(d, d->m->held[slot], mt->shape))) continue;
    tried++;
    if (coerce(d, slot, member, depth + 1)) {
      buf_clear(&d->inner.message); /* of one that was tried before */
      return true;
    }
  }
  return tried == 1 ? false : misfit(d, slot, type);
}

static bool record_of(Decider *d, uint32_t slot, uint32_t shape) {
  Machine *m = d->m;
  Refusal ignored;
  Value work = m->roots[ROOT_WORK];
  machine_hold(m, work);
  m->roots[ROOT_WORK] = m->held[slot];
  bool ok = message_make(d, shape, 0, MAKE_STRICT, &m->roots[ROOT_WORK], &d->inner, &ignored);
  if (ok) m->held[slot] = m->roots[ROOT_WORK];
  m->roots[ROOT_WORK] = m->held[--m->held_count];
  if (!ok) buf_clear(&d->path); /* it is in the words of the inner one */
  return ok;
}

/* Brings held[slot] to the type if it is not of it. */
static bool coerce(Decider *d, uint32_t slot, uint32_t type, uint32_t depth) {
  const BundleType *t = &d->b->types[type];
  Value v = d->m->held[slot];
  if (machine_fits(d->m, d->side, v, type)) return true;
  if (depth > COERCE_DEPTH || d->depth > COERCE_DEPTH) return misfit(d, slot, type);
  switch ((TypeKind)t->kind) {
    case TYPE_LIST: return value_is_kind(v, OBJ_LIST) ? list_of(d, slot, t->elem, depth) : misfit(d, slot, type);
    case TYPE_MAP: return value_is_kind(v, OBJ_MAP) ? map_of(d, slot, t->elem, depth) : misfit(d, slot, type);
    case TYPE_UNION: return union_of(d, slot, type, depth);
    case TYPE_RECORD: return value_is_kind(v, OBJ_MAP) ? record_of(d, slot, t->shape) : misfit(d, slot, type);
    case TYPE_INT: case TYPE_DECIMAL: case TYPE_TIME: case TYPE_DURATION: case TYPE_BYTES:
      return scalar_of(d->m, slot, (TypeKind)t->kind) || misfit(d, slot, type);
    case TYPE_ANY: case TYPE_NIL: case TYPE_BOOL: case TYPE_FLOAT: case TYPE_STRING:
    case TYPE_FUNCTION: case TYPE_HANDLE: case TYPE_SEALED: case TYPE_ERROR: case TYPE_OBJECT: case TYPE_LITERAL:
      break;
  }
  return misfit(d, slot, type);
}

/* ---- fields ---- */

static void put_fields(const Decider *d, uint32_t shape, Buf *out) {
  Range32 fields = d->b->shapes[shape].fields;
  for (uint32_t i = 0; i < fields.count; i++) {
    if (i > 0) buf_text(out, ", ");
    buf_str(out, bundle_text(d->b, d->b->fields[fields.first + i].name));
  }
}

static bool unknown_field(Decider *d, uint32_t shape, Str name, Words *w, Refusal *out) {
  Buf known = {.max = 600};
  put_fields(d, shape, &known);
  words_refuse(w, out, "invalid_message", known.size ? STR_FMT " has no field `%.*s`; it has " STR_FMT
                                                     : STR_FMT " has no field `%.*s`: it has none%.*s",
               STR_ARG(decider_shape_name(d, shape)), name.size > 80 ? 80 : (int)name.size, name.at,
               STR_ARG(buf_view(&known)));
  buf_deinit(&known);
  return false;
}

static bool shape_has(const Decider *d, uint32_t shape, Str name) {
  Range32 fields = d->b->shapes[shape].fields;
  for (uint32_t i = 0; i < fields.count; i++) {
    if (str_equal(bundle_text(d->b, d->b->fields[fields.first + i].name), name)) return true;
  }
  return false;
}

static bool keys_known(Decider *d, uint32_t shape, Value map, Words *w, Refusal *out) {
  Value key, v;
  for (uint32_t cursor = 0; map_next(map, &cursor, &key, &v);) {
    if (!value_is_kind(key, OBJ_STRING))
      return words_refuse(w, out, "invalid_message", "the fields of " STR_FMT " are named by strings",
                          STR_ARG(decider_shape_name(d, shape)));
    const StringObj *s = (const StringObj *)value_obj(key);
    Str name = {s->bytes, s->head.size};
    if (!shape_has(d, shape, name)) return unknown_field(d, shape, name, w, out);
  }
  return true;
}

static bool type_has_nil(const Bundle *b, uint32_t type) {
  const BundleType *t = &b->types[type];
  if (t->kind == TYPE_ANY || t->kind == TYPE_NIL) return true;
  for (uint32_t i = 0; t->kind == TYPE_UNION && i < t->members.count; i++) {
    if (b->types[b->indexes[t->members.first + i]].kind == TYPE_NIL) return true;
  }
  return false;
}

static bool field_missing(Decider *d, uint32_t shape, const BundleField *f, Words *w, Refusal *out) {
  Buf type = {.max = 300};
  machine_type_text(d->b, f->type, &type);
  words_refuse(w, out, "invalid_message", STR_FMT " needs `" STR_FMT "`: " STR_FMT,
               STR_ARG(decider_shape_name(d, shape)), STR_ARG(bundle_text(d->b, f->name)), STR_ARG(buf_view(&type)));
  buf_deinit(&type);
  return false;
}

static bool field_refused(Decider *d, uint32_t shape, const BundleField *f, Value v, Words *w, Refusal *out) {
  Buf why = {.max = 800};
  if (d->inner.message.size > 0) {
    buf_text(&why, ": ");
    buf_str(&why, buf_view(&d->inner.message));
  } else {
    buf_text(&why, " must be ");
    machine_type_text(d->b, d->path.size > 0 ? d->misfit_type : f->type, &why);
    buf_text(&why, ", and this is ");
    if (d->path.size > 0) buf_str(&why, buf_view(&d->misfit));
    else machine_value_text(d->m, v, &why);
  }
  words_refuse(w, out, "invalid_message", "`" STR_FMT STR_FMT "` of " STR_FMT STR_FMT,
               STR_ARG(bundle_text(d->b, f->name)), STR_ARG(buf_view(&d->path)), STR_ARG(decider_shape_name(d, shape)),
               STR_ARG(buf_view(&why)));
  buf_deinit(&why);
  return false;
}

/* Holds the argument for one field. A nil that the field cannot have means that it was not given. */
static bool field_hold(Decider *d, uint32_t shape, const BundleField *f, Value from, Words *w, Refusal *out) {
  Machine *m = d->m;
  Value v;
  if (!map_find_text(from, bundle_text(d->b, f->name), &v)) v = VALUE_MISSING;
  if (v == VALUE_NIL && f->optional && !type_has_nil(d->b, f->type)) v = VALUE_MISSING;
  if (v == VALUE_MISSING && !f->optional) return field_missing(d, shape, f, w, out);
  machine_hold(m, v);
  uint32_t slot = m->held_count - 1;
  buf_clear(&d->inner.message);
  buf_clear(&d->path);
  if (v == VALUE_MISSING || coerce(d, slot, f->type, 0)) return true;
  return field_refused(d, shape, f, m->held[slot], w, out);
}

/* ---- making ---- */

static bool construct(Decider *d, uint32_t shape, Value *message, Words *w, Refusal *out) {
  Machine *m = d->m;
  Range32 fields = d->b->shapes[shape].fields;
  uint32_t base = m->held_count, fn = d->b->shapes[shape].constructor;
  Value result;
  for (uint32_t i = 0; i < fields.count; i++) {
    if (!field_hold(d, shape, &d->b->fields[fields.first + i], *message, w, out)) return false;
  }
  if (fn >= d->b->fn_count) result = record_new(m, shape, m->held + base, fields.count);
  else if (!decider_call(d, fn, m->held + base, fields.count, &result)) {
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
  if (how == MAKE_STRICT && !keys_known(d, shape, *message, w, out)) return false;
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
