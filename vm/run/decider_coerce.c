/* Values from anywhere in the form that fields and parameters want. */
#include "vm/run/decider_impl.h"

enum { COERCE_DEPTH = 64 /* records in records of a message given as maps */ };

/* ---- one value ----
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

static void within_field(Decider *d, const BundleField *f) {
  Buf step = {.max = 100};
  buf_format(&step, "." STR_FMT, STR_ARG(bundle_text(d->b, f->name)));
  buf_put(&step, "", 1);
  within(d, step.full ? ".…" : step.at);
  buf_deinit(&step);
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

static bool type_has_nil(const Bundle *b, uint32_t type) {
  const BundleType *t = &b->types[type];
  if (t->kind == TYPE_ANY || t->kind == TYPE_NIL) return true;
  for (uint32_t i = 0; t->kind == TYPE_UNION && i < t->members.count; i++) {
    if (b->types[b->indexes[t->members.first + i]].kind == TYPE_NIL) return true;
  }
  return false;
}

static const BundleField *field_of(const Bundle *b, Range32 fields, Value key) {
  if (!value_is_kind(key, OBJ_STRING)) return NULL;
  const StringObj *s = (const StringObj *)value_obj(key);
  for (uint32_t i = 0; i < fields.count; i++) {
    const BundleField *f = &b->fields[fields.first + i];
    if (str_equal(bundle_text(b, f->name), (Str){s->bytes, s->head.size})) return f;
  }
  return NULL;
}

/* The map itself with its entries as the fields want them. A nil that an optional field cannot have means that it was
** not given; what is no field stays, as it does wherever a map is such a record. */
static bool object_of(Decider *d, uint32_t slot, uint32_t type, uint32_t depth) {
  Machine *m = d->m;
  Range32 fields = d->b->types[type].fields;
  Value key, v;
  uint32_t base = m->held_count;
  bool ok = true;
  machine_hold(m, VALUE_NIL); /* the map to be; then keys and values */
  for (uint32_t cursor = 0; ok && map_next(m->held[slot], &cursor, &key, &v);) {
    const BundleField *f = field_of(d->b, fields, key);
    if (f && v == VALUE_NIL && f->optional && !type_has_nil(d->b, f->type)) continue;
    value_share(v);
    machine_hold(m, key);
    machine_hold(m, v);
    ok = !f || coerce(d, m->held_count - 1, f->type, depth + 1);
    if (!ok) within_field(d, f);
  }
  if (ok) m->held[base] = map_new(m, (m->held_count - base) / 2);
  for (uint32_t i = base + 1; ok && i < m->held_count; i += 2) {
    Value made = m->held[base]; /* has room: nothing moves */
    map_set(m, &made, m->held[i], m->held[i + 1]);
  }
  if (ok) ok = machine_fits(m, d->side, m->held[base], type) || misfit(d, slot, type); /* a field is missing */
  if (ok) m->held[slot] = m->held[base];
  value_share(m->held[slot]);
  m->held_count = base;
  return ok;
}

/* Whether a map says, in the fields that tell the members of a union apart, that it is this record. */
static bool tags_agree(const Decider *d, Value map, Range32 fields) {
  const Bundle *b = d->b;
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
    bool record = mt->kind == TYPE_RECORD || mt->kind == TYPE_OBJECT;
    Range32 fields = mt->kind == TYPE_RECORD ? d->b->shapes[mt->shape].fields : mt->fields;
    if (record && (!map || !tags_agree(d, d->m->held[slot], fields))) continue;
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
    case TYPE_OBJECT: return value_is_kind(v, OBJ_MAP) ? object_of(d, slot, type, depth) : misfit(d, slot, type);
    case TYPE_INT: case TYPE_DECIMAL: case TYPE_TIME: case TYPE_DURATION: case TYPE_BYTES:
      return scalar_of(d->m, slot, (TypeKind)t->kind) || misfit(d, slot, type);
    case TYPE_ANY: case TYPE_NIL: case TYPE_BOOL: case TYPE_FLOAT: case TYPE_STRING:
    case TYPE_FUNCTION: case TYPE_HANDLE: case TYPE_SEALED: case TYPE_ERROR: case TYPE_LITERAL:
      break;
  }
  return misfit(d, slot, type);
}

/* ---- fields ---- */

static void put_fields(const Decider *d, Range32 fields, Buf *out) {
  for (uint32_t i = 0; i < fields.count; i++) {
    if (i > 0) buf_text(out, ", ");
    buf_str(out, bundle_text(d->b, d->b->fields[fields.first + i].name));
  }
}

static bool unknown_field(Decider *d, const Whole *whole, Str name, Words *w, Refusal *out) {
  Buf known = {.max = 600};
  put_fields(d, whole->fields, &known);
  words_refuse(w, out, "invalid_message", known.size ? STR_FMT " has no field `%.*s`; it has " STR_FMT
                                                     : STR_FMT " has no field `%.*s`: it has none%.*s",
               STR_ARG(whole->name), name.size > 80 ? 80 : (int)name.size, name.at,
               STR_ARG(buf_view(&known)));
  buf_deinit(&known);
  return false;
}

static bool fields_have(const Decider *d, Range32 fields, Str name) {
  for (uint32_t i = 0; i < fields.count; i++) {
    if (str_equal(bundle_text(d->b, d->b->fields[fields.first + i].name), name)) return true;
  }
  return false;
}

bool whole_keys_known(Decider *d, const Whole *whole, Value map, Words *w, Refusal *out) {
  Value key, v;
  for (uint32_t cursor = 0; map_next(map, &cursor, &key, &v);) {
    if (!value_is_kind(key, OBJ_STRING))
      return words_refuse(w, out, "invalid_message", "the fields of " STR_FMT " are named by strings",
                          STR_ARG(whole->name));
    const StringObj *s = (const StringObj *)value_obj(key);
    Str name = {s->bytes, s->head.size};
    if (!fields_have(d, whole->fields, name)) return unknown_field(d, whole, name, w, out);
  }
  return true;
}

static bool field_missing(Decider *d, Str whole, const BundleField *f, Words *w, Refusal *out) {
  Buf type = {.max = 300};
  machine_type_text(d->b, f->type, &type);
  words_refuse(w, out, "invalid_message", STR_FMT " needs `" STR_FMT "`: " STR_FMT,
               STR_ARG(whole), STR_ARG(bundle_text(d->b, f->name)), STR_ARG(buf_view(&type)));
  buf_deinit(&type);
  return false;
}

static bool field_refused(Decider *d, Str whole, const BundleField *f, Value v, Words *w, Refusal *out) {
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
               STR_ARG(bundle_text(d->b, f->name)), STR_ARG(buf_view(&d->path)), STR_ARG(whole),
               STR_ARG(buf_view(&why)));
  buf_deinit(&why);
  return false;
}

/* Holds the argument for one field. A nil that the field cannot have means that it was not given. */
static bool field_hold(Decider *d, Str whole, const BundleField *f, Value from, Words *w, Refusal *out) {
  Machine *m = d->m;
  Value v;
  if (!map_find_text(from, bundle_text(d->b, f->name), &v)) v = VALUE_MISSING;
  if (v == VALUE_NIL && f->optional && !type_has_nil(d->b, f->type)) v = VALUE_MISSING;
  if (v == VALUE_MISSING && !f->optional) return field_missing(d, whole, f, w, out);
  machine_hold(m, v);
  uint32_t slot = m->held_count - 1;
  buf_clear(&d->inner.message);
  buf_clear(&d->path);
  if (v == VALUE_MISSING || coerce(d, slot, f->type, 0)) return true;
  return field_refused(d, whole, f, m->held[slot], w, out);
}

bool whole_hold(Decider *d, const Whole *whole, const Value *from, Words *w, Refusal *out) {
  for (uint32_t i = 0; i < whole->fields.count; i++) {
    if (!field_hold(d, whole->name, &d->b->fields[whole->fields.first + i], *from, w, out)) return false;
  }
  return true;
}
