/* Whether a state can be stored, and how many bytes it takes.
**
** A shared container never changes again, nor does anything in it: what was found of one is kept in the unused
** word of its head (a copy begins without), so that after a decision only what it touched is walked. The kept
** word is the depth in its high 4 bits and the bytes, rounded up, as a float of 5 and 7 bits; deep ones have none. */
#include "vm/base/cbor.h"
#include "vm/run/decider_impl.h"

enum { KEPT_DEPTH = 15, KEPT_FROM = 32 /* bytes: less is walked as fast */ };

typedef struct Walk {
  const Decider *d;
  uint64_t bytes;
  const char *why;
} Walk;

/* At least `bytes`, at most a hundredth more. */
static uint16_t size_word(uint64_t bytes) {
  uint32_t shift = 0;
  while (bytes >> shift >= 128) shift++;
  uint64_t mantissa = (bytes + ((UINT64_C(1) << shift) - 1)) >> shift;
  if (mantissa == 128) mantissa = 64, shift++;
  return (uint16_t)(shift << 7 | mantissa);
}
static uint64_t word_size(uint16_t word) { return (uint64_t)(word & 0x7f) << (word >> 7 & 0x1f); }

enum { TAG_BYTES = 3 };
static uint64_t head_bytes(uint64_t n) { return n < 24 ? 1 : n < 256 ? 2 : n < 65536 ? 3 : n <= UINT32_MAX ? 5 : 9; }
static uint64_t text_bytes(uint64_t size) { return size + head_bytes(size); }

static uint64_t int_bytes(int64_t i) { return head_bytes((uint64_t)(i < 0 ? ~i : i)); }

/* Gives the depth below and with v. */
static uint32_t walk(Walk *w, Value v, uint32_t depth);

static bool walk_over(Walk *w, uint64_t bytes) {
  w->bytes += bytes;
  if (w->bytes > LIMIT_STATE_BYTES) w->why = "it would be larger than 16 MB";
  return w->why != NULL;
}

static uint32_t walk_values(Walk *w, const Value *at, uint32_t count, uint32_t depth) {
  uint32_t deepest = 0;
  for (uint32_t i = 0; i < count && !w->why; i++) {
    if (LIKELY(value_is_int(at[i]))) {
      walk_over(w, int_bytes(value_small(at[i])));
      continue;
    }
    uint32_t below = walk(w, at[i], depth);
    if (below > deepest) deepest = below;
  }
  return deepest;
}

static uint32_t walk_map(Walk *w, const MapObj *map, uint32_t depth) {
  const MapEntry *at = map->used ? (const MapEntry *)(void *)((ArrayObj *)value_obj(map->entries))->at : NULL;
  uint32_t deepest = 0;
  for (uint32_t i = 0; i < map->used && !w->why; i++) {
    if (at[i].key == VALUE_MISSING) continue;
    uint32_t below = walk_values(w, &at[i].key, 2, depth);
    if (below > deepest) deepest = below;
  }
  return deepest;
}

static uint32_t walk_record(Walk *w, const RecordObj *r, uint32_t depth) {
  const Bundle *b = w->d->b;
  const BundleShape *s = &b->shapes[r->shape];
  walk_over(w, text_bytes(bundle_text(b, s->stored_name).size) + head_bytes(s->version));
  for (uint32_t i = 0; i < r->head.size; i++)
    walk_over(w, text_bytes(bundle_text(b, b->fields[s->fields.first + i].name).size));
  return walk_values(w, r->field, r->head.size, depth);
}

static uint32_t walk_container(Walk *w, Obj *o, uint32_t depth) {
  bool shared = (o->flags & OBJ_SHARED) != 0;
  uint64_t before = w->bytes;
  uint32_t deepest = 0;
  if (shared && o->aux != 0) {
    walk_over(w, word_size(o->aux));
    deepest = o->aux >> 12;
    if (depth + deepest > LIMIT_VALUE_DEPTH) w->why = "it is nested too deep";
    return deepest;
  }
  walk_over(w, head_bytes((uint64_t)o->size * 2 + 2) + (o->kind == OBJ_LIST ? 0 : TAG_BYTES));
  if (o->kind == OBJ_LIST) deepest = walk_values(w, list_items((Value)(uintptr_t)o), o->size, depth + 1);
  else if (o->kind == OBJ_MAP) deepest = walk_map(w, (const MapObj *)o, depth + 1);
  else deepest = walk_record(w, (const RecordObj *)o, depth + 1);
  deepest++;
  uint64_t size = w->bytes - before;
  if (shared && !w->why && deepest <= KEPT_DEPTH && size >= KEPT_FROM)
    o->aux = (uint16_t)(deepest << 12 | size_word(size));
  return deepest;
}

static uint32_t walk_object(Walk *w, Obj *o, uint32_t depth) {
  switch ((ObjKind)o->kind) {
    case OBJ_FLOAT: case OBJ_INT: walk_over(w, 9); return 0;
    case OBJ_TIME: case OBJ_DURATION: walk_over(w, 12); return 0;
    case OBJ_DECIMAL: walk_over(w, 24); return 0;
    case OBJ_RANGE: walk_over(w, 32); return 0;
    case OBJ_STRING: case OBJ_ROPE: case OBJ_BYTES: walk_over(w, text_bytes(o->size)); return 0;
    case OBJ_LIST: case OBJ_MAP: case OBJ_RECORD: return walk_container(w, o, depth);
    case OBJ_HANDLE: walk_over(w, 32); return 1 + walk(w, ((HandleObj *)o)->name, depth + 1);
    case OBJ_SEALED: walk_over(w, 3); return 1 + walk(w, ((SealedObj *)o)->parts, depth + 1);
    case OBJ_ERROR: walk_over(w, 4); return 1 + walk_values(w, &((ErrorObj *)o)->code, 4, depth + 1);
    case OBJ_CLOSURE: w->why = "it holds a function, and functions cannot be stored"; return 0;
    case OBJ_ARRAY: case OBJ_TABLE: break;
  }
  w->why = "it holds what cannot be stored";
  return 0;
}

static uint32_t walk(Walk *w, Value v, uint32_t depth) {
  if (depth >= LIMIT_VALUE_DEPTH) {
    w->why = "it is nested too deep";
    return 0;
  }
  if (value_is_int(v)) walk_over(w, int_bytes(value_small(v)));
  else if (value_is_flonum(v)) walk_over(w, 9);
  else if (value_is_obj(v)) return walk_object(w, value_obj(v), depth);
  else walk_over(w, 1);
  return 0;
}

const char *state_unfit(const Decider *d, Value state) {
  Walk w = {.d = d};
  walk(&w, state, 0);
  return w.why;
}
