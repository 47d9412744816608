/* JSON text as an encoded value, in one pass and linear time.
**
** CBOR wants the count of items before them, and JSON tells it after. So the items go into `body`
** without their containers' heads, `holes` notes where each head belongs, and a last copy puts
** them in. Members of the objects still open are kept to find equal names: the first keeps its
** place and takes the last one's value, as assignment to a map would do. */
#include "vm/base/cbor.h"
#include "vm/base/json.h"
#include "vm/base/mem.h"
#include "vm/base/table.h"

typedef struct Hole {
  size_t at; /* in body */
  uint32_t count;
  bool object;
} Hole;

typedef struct Member {
  size_t key, value, end;      /* in body */
  uint32_t holes_from, holes_to; /* those of the value */
} Member;

typedef struct Open { /* a container still open */
  uint32_t hole, members;
} Open;

typedef struct Encoder {
  JsonReader json;
  Buf body;
  Hole *holes;
  Member *members;
  Open *open;
  uint32_t hole_count, hole_cap, member_count, member_cap, depth, open_cap;
} Encoder;

static void encoder_deinit(Encoder *e) {
  json_deinit(&e->json);
  buf_deinit(&e->body);
  mem_free(e->holes);
  mem_free(e->members);
  mem_free(e->open);
}

/* -- equal names -- */

static Str member_key(const Encoder *e, const Member *m) {
  return (Str){e->body.at + m->key, m->value - m->key};
}

/* The member before `last` with the same name, or NULL. Few are compared, many looked up. */
static Member *member_same(const Encoder *e, Member *first, Member *last, Table *names) {
  Str key = member_key(e, last);
  if (names) {
    Member *same = table_get(names, key);
    if (!same) table_set(names, key, last);
    return same;
  }
  for (Member *m = first; m < last; m++) {
    if (str_equal(member_key(e, m), key)) return m;
  }
  return NULL;
}

static void member_copy(const Encoder *e, Buf *body, Hole *holes, uint32_t *count,
                        const Member *name, const Member *m) {
  buf_str(body, member_key(e, name));
  for (uint32_t i = m->holes_from; i < m->holes_to; i++) {
    holes[*count] = e->holes[i];
    holes[(*count)++].at += body->size - m->value;
  }
  buf_put(body, e->body.at + m->value, m->end - m->value);
}

/* Rewrites the object that began at first: chosen[i] tells whose value member i takes, -1 for none. */
static void members_rewrite(Encoder *e, const Member *first, uint32_t count,
                            const int64_t *chosen) {
  Buf body = {0};
  uint32_t kept = 0, holes_from = first->holes_from, hole_count = 0;
  size_t start = first->key;
  Hole *holes = mem_alloc((e->hole_count - holes_from + 1) * sizeof *holes);
  for (uint32_t i = 0; i < count; i++) {
    if (chosen[i] < 0) continue;
    member_copy(e, &body, holes, &hole_count, first + i, first + chosen[i]);
    kept++;
  }
  e->body.size = start;
  for (uint32_t i = 0; i < hole_count; i++) holes[i].at += start;
  buf_str(&e->body, buf_view(&body));
  memcpy(e->holes + holes_from, holes, hole_count * sizeof *holes);
  e->hole_count = holes_from + hole_count;
  e->holes[e->open[e->depth - 1].hole].count = kept;
  mem_free(holes);
  buf_deinit(&body);
}

static void object_end(Encoder *e, const Open *open) {
  uint32_t count = e->member_count - open->members;
  e->holes[open->hole].count = count;
  if (count == 0) return;
  Member *first = e->members + open->members;
  Table *names = count > 16 ? table_new() : NULL;
  int64_t *chosen = NULL;
  for (uint32_t i = 0; i < count; i++) {
    Member *same = member_same(e, first, first + i, names);
    if (same && !chosen) {
      chosen = mem_alloc(count * sizeof *chosen);
      for (uint32_t k = 0; k < count; k++) chosen[k] = k;
    }
    if (!same) continue;
    chosen[same - first] = i;
    chosen[i] = -1;
  }
  if (chosen) members_rewrite(e, first, count, chosen);
  e->member_count = open->members;
  mem_free(chosen);
  table_free(names);
}

/* -- events -- */

static void container_begin(Encoder *e, bool object) {
  e->holes = mem_grow(e->holes, &e->hole_cap, e->hole_count + 1, sizeof *e->holes);
  e->open = mem_grow(e->open, &e->open_cap, e->depth + 1, sizeof *e->open);
  e->holes[e->hole_count] = (Hole){e->body.size, 0, object};
  e->open[e->depth++] = (Open){e->hole_count++, e->member_count};
}

static void member_begin(Encoder *e) {
  e->members = mem_grow(e->members, &e->member_cap, e->member_count + 1, sizeof *e->members);
  size_t key = e->body.size;
  cbor_put_text(&e->body, e->json.string);
  e->members[e->member_count++] = (Member){key, e->body.size, 0, e->hole_count, 0};
}

/* A value has been written: it is the last item of the container around it. */
static void value_end(Encoder *e) {
  if (e->depth == 0) return;
  Hole *hole = &e->holes[e->open[e->depth - 1].hole];
  if (!hole->object) {
    hole->count++;
    return;
  }
  Member *m = &e->members[e->member_count - 1];
  m->end = e->body.size;
  m->holes_to = e->hole_count;
}

static void container_end(Encoder *e) {
  const Open *open = &e->open[e->depth - 1];
  if (e->holes[open->hole].object) object_end(e, open);
  e->depth--;
  value_end(e);
}

static bool encode_event(Encoder *e, JsonEvent event, Err *err) {
  Buf *body = &e->body;
  uint32_t line, column;
  switch (event) {
  case JSON_OBJECT:
  case JSON_ARRAY: container_begin(e, event == JSON_OBJECT); return true;
  case JSON_OBJECT_END:
  case JSON_ARRAY_END: container_end(e); return true;
  case JSON_NAME: member_begin(e); return true;
  case JSON_STRING: cbor_put_text(body, e->json.string); break;
  case JSON_INT: cbor_put_int(body, e->json.integer); break;
  case JSON_FLOAT: cbor_put_float(body, e->json.number); break;
  case JSON_TRUE:
  case JSON_FALSE: cbor_put_bool(body, event == JSON_TRUE); break;
  case JSON_NULL: cbor_put_nil(body); break;
  case JSON_END: return true;
  case JSON_ERROR:
    json_place(&e->json, &line, &column);
    FAIL(err, ERR_INVALID, "JSON, line %" PRIu32 ", column %" PRIu32 ": %s", line, column,
         e->json.error);
    return false;
  }
  value_end(e);
  return true;
}

static void put_part(const Encoder *e, size_t from, size_t to, Buf *out) {
  if (to > from) buf_put(out, e->body.at + from, to - from);
}

static void holes_fill(const Encoder *e, Buf *out) {
  size_t at = 0;
  for (uint32_t i = 0; i < e->hole_count; i++) {
    const Hole *hole = &e->holes[i];
    put_part(e, at, hole->at, out);
    at = hole->at;
    if (hole->object) cbor_put_tag(out, CBOR_TAG_MAP);
    cbor_put_array(out, (uint64_t)hole->count << hole->object);
  }
  put_part(e, at, e->body.size, out);
}

bool cbor_from_json(Str json, Buf *out, Err *err) {
  Encoder e = {0};
  JsonEvent event;
  bool ok;
  json_init(&e.json, json);
  do {
    event = json_next(&e.json);
    ok = encode_event(&e, event, err);
  } while (ok && event != JSON_END);
  if (ok) holes_fill(&e, out);
  if (ok && (e.body.full || out->full)) {
    FAIL(err, ERR_LIMIT, "the encoded JSON is larger than its limit");
    ok = false;
  }
  encoder_deinit(&e);
  return ok;
}
