/* Classes of divergence, and the walk over two encoded values in step that finds
** the first difference. */
#include "vm/journal/diverge.h"
#include "lang/tables.h"
#include "vm/base/text.h"

const char *diverge_word(DivergeKind kind) {
  switch (kind) {
    case DIVERGE_NONE:
      return "none";
    case DIVERGE_KIND:
      return "kind";
    case DIVERGE_SITE:
      return "site";
    case DIVERGE_OPERAND:
      return "operand";
    case DIVERGE_EXTRA:
      return "extra";
    case DIVERGE_MISSING:
      return "missing";
    case DIVERGE_DELIVERY:
      return "delivery";
    case DIVERGE_STATE:
      return "state";
    case DIVERGE_RESULT:
      return "result";
    case DIVERGE_PATCH:
      return "patch";
    case DIVERGE_DAMAGED:
      return "damaged";
  }
  return "?";
}

/* ---- classes ---- */

static bool asks(const Record *r) {
  uint8_t record_class = record_info(r->kind)->record_class;
  return record_class == RECORD_CLASS_COMMAND || record_class == RECORD_CLASS_FUSED;
}

bool diverge_same_question(const Record *a, const Record *b) {
  if (a->kind != b->kind) return false;
  if (a->kind == RECORD_ASKED) {
    return a->ASKED.kind == b->ASKED.kind && a->ASKED.site == b->ASKED.site &&
           str_equal(a->ASKED.target, b->ASKED.target) &&
           str_equal(a->ASKED.operands, b->ASKED.operands);
  }
  if (a->kind == RECORD_RECALLED) {
    return a->RECALLED.kind == b->RECALLED.kind && a->RECALLED.site == b->RECALLED.site &&
           a->RECALLED.ref == b->RECALLED.ref;
  }
  return a->kind == RECORD_READ && a->READ.kind == b->READ.kind && a->READ.site == b->READ.site &&
         str_equal(a->READ.operands, b->READ.operands);
}

/* A call asked elsewhere: was the recorded one left out, or is this another one in its place? */
static DivergeKind classify_moved(DivergeKind otherwise, DivergeLater later) {
  return later == LATER_NOT ? otherwise : DIVERGE_MISSING;
}

static DivergeKind classify_asked(const Record_ASKED *was, const Record_ASKED *now, bool same_code,
                                  DivergeLater later) {
  if (was->kind != now->kind) return classify_moved(DIVERGE_KIND, later);
  bool same_operands =
      str_equal(was->operands, now->operands) && str_equal(was->because, now->because);
  if (!str_equal(was->target, now->target)) return classify_moved(DIVERGE_SITE, later);
  if (was->site != now->site && (same_code || later != LATER_NOT))
    return classify_moved(DIVERGE_SITE, later);
  if (!same_operands) return DIVERGE_OPERAND;
  return DIVERGE_DELIVERY; /* another fiber, or after another number of events */
}

static DivergeKind classify_read(const Record_READ *was, const Record_READ *now, bool same_code,
                                 DivergeLater later) {
  if (was->kind != now->kind) return classify_moved(DIVERGE_KIND, later);
  if (was->site != now->site && (same_code || later != LATER_NOT))
    return classify_moved(DIVERGE_SITE, later);
  if (!str_equal(was->operands, now->operands)) return DIVERGE_OPERAND;
  return was->fiber != now->fiber ? DIVERGE_DELIVERY : DIVERGE_RESULT;
}

/* The command it stands for is named by the record alone: another one means another past. */
static DivergeKind classify_recalled(const Record_RECALLED *was, const Record_RECALLED *now, bool same_code,
                                     DivergeLater later) {
  if (was->kind != now->kind) return classify_moved(DIVERGE_KIND, later);
  if (was->site != now->site && (same_code || later != LATER_NOT))
    return classify_moved(DIVERGE_SITE, later);
  return was->fiber != now->fiber ? DIVERGE_DELIVERY : DIVERGE_OPERAND;
}

static DivergeKind classify_same(const Record *was, const Record *now, bool same_code,
                                 DivergeLater later) {
  switch (was->kind) {
    case RECORD_ASKED:
      return classify_asked(&was->ASKED, &now->ASKED, same_code, later);
    case RECORD_READ:
      return classify_read(&was->READ, &now->READ, same_code, later);
    case RECORD_RECALLED:
      return classify_recalled(&was->RECALLED, &now->RECALLED, same_code, later);
    case RECORD_PATCH:
      return DIVERGE_PATCH;
    case RECORD_PARKED:
      return DIVERGE_STATE;
    case RECORD_ENDED: {
      const Record_ENDED *a = &was->ENDED, *b = &now->ENDED;
      return str_equal(a->status, b->status) && str_equal(a->result, b->result) ? DIVERGE_STATE
                                                                                : DIVERGE_RESULT;
    }
    case RECORD_ANSWERED:
    case RECORD_SIGNALLED:
    case RECORD_CANCEL_ASKED:
    case RECORD_RESOLVED:
    case RECORD_DISCARDED:
    case RECORD_KILLED:
    case RECORD_REVIVED:
      return DIVERGE_DELIVERY;
    case RECORD_HEAD:
    case RECORD_RETRIED:
    case RECORD_EXHAUSTED:
    case RECORD_STREAM: /* of streams, which are folded and never compared */
    case RECORD_ACCEPTED:
    case RECORD_HAPPENED:
    case RECORD_TOOL_ATTEMPT:
    case RECORD_TOOL_DONE:
    case RECORD_TOOL_UNKNOWN:
    case RECORD_CANCELLED:
    case RECORD_CONTINUED:
      return DIVERGE_OPERAND;
  }
  UNREACHABLE();
}

DivergeKind diverge_classify(const Record *recorded, const Record *current, bool same_code,
                             DivergeLater later) {
  if (!recorded) return DIVERGE_EXTRA;
  if (!current) return DIVERGE_MISSING;
  if (recorded->kind == current->kind) return classify_same(recorded, current, same_code, later);
  if (current->kind == RECORD_PATCH) return DIVERGE_PATCH;
  if (!asks(current)) return DIVERGE_MISSING; /* it ends or parks, and history goes on */
  if (asks(recorded)) return classify_moved(DIVERGE_KIND, later);
  return later == LATER_AFTER_EVENTS ? DIVERGE_DELIVERY : DIVERGE_EXTRA;
}

/* ---- the first differing spot ---- */

enum { SHOWN_BYTES = 160 };

/* A value as JSON, cut at a character when long. */
static void show(Str value, Buf *out) {
  Err ignored;
  Hash256 id;
  Buf text = {0};
  if (!value.size) buf_text(&text, "nothing");
  else if (record_is_blob(value, &id)) buf_text(&text, "(a large value, kept apart)");
  else if (!cbor_to_json(value, &text, &ignored)) buf_text(&text, "(not readable)");
  size_t size = text.size;
  if (size > SHOWN_BYTES) {
    size = SHOWN_BYTES;
    while (size > 0 && ((uint8_t)text.at[size] & 0xc0) == 0x80) size--;
  }
  buf_put(out, text.at, size);
  if (size < text.size) buf_text(out, "…");
  buf_deinit(&text);
}

static bool spot_here(DivergeSpot *spot, Str a, Str b) {
  show(a, &spot->recorded);
  show(b, &spot->current);
  return true;
}

/* The text around the difference, so that both sides stay short. */
static bool spot_text(DivergeSpot *spot, Str a, Str b) {
  enum { BEFORE = 24, AFTER = 48 };
  size_t same = 0, least = a.size < b.size ? a.size : b.size;
  while (same < least && a.at[same] == b.at[same]) same++;
  while (same > 0 && same < least && ((uint8_t)a.at[same] & 0xc0) == 0x80) same--;
  buf_format(&spot->path, "[%zu]", utf8_count((Str){a.at, same}));
  size_t from = same > BEFORE ? same - BEFORE : 0;
  while (from > 0 && ((uint8_t)a.at[from] & 0xc0) == 0x80) from--;
  Str side[2] = {a, b};
  Buf *shown[2] = {&spot->recorded, &spot->current};
  for (int i = 0; i < 2; i++) {
    size_t to = side[i].size - same > AFTER ? same + AFTER : side[i].size;
    while (to > from && to < side[i].size && ((uint8_t)side[i].at[to] & 0xc0) == 0x80) to--;
    Str part = {side[i].at + from, to - from};
    buf_format(shown[i], "%s\"" STR_FMT "\"%s", from ? "…" : "", STR_ARG(part),
               to < side[i].size ? "…" : "");
  }
  return true;
}

static bool item_differs(Str a, Str b, DivergeSpot *spot);

static void path_key(Str key, Buf *path) {
  CborReader r = cbor_reader(key);
  CborItem item;
  Err ignored;
  bool name = cbor_next(&r, &item, &ignored) && item.kind == CBOR_TEXT && item.bytes.size > 0;
  for (size_t i = 0; name && i < item.bytes.size; i++) {
    char c = item.bytes.at[i];
    name = c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (i > 0 && c >= '0' && c <= '9');
  }
  if (name) {
    buf_byte(path, '.');
    buf_str(path, item.bytes);
  } else {
    buf_byte(path, '[');
    show(key, path);
    buf_byte(path, ']');
  }
}

/* Items of two arrays in step. `names`: from item `names` on they are key, value, key, value… (-1:
 * no keys). */
static bool items_differ(CborReader a, uint64_t count_a, CborReader b, uint64_t count_b,
                         int64_t names, DivergeSpot *spot) {
  Err ignored;
  Str key = {0};
  for (uint64_t i = 0; i < count_a || i < count_b; i++) {
    Str x = {0}, y = {0};
    if (i < count_a && !cbor_skip(&a, &x, &ignored)) return false;
    if (i < count_b && !cbor_skip(&b, &y, &ignored)) return false;
    bool paired = names >= 0 && i >= (uint64_t)names,
         is_key = paired && (i - (uint64_t)names) % 2 == 0;
    if (is_key) key = x;
    if (str_equal(x, y)) continue;
    if (is_key) {
      buf_text(&spot->path, " (its keys)");
      return spot_here(spot, x, y);
    }
    if (paired) path_key(key, &spot->path);
    else if (names < 0) buf_format(&spot->path, "[%" PRIu64 "]", i);
    return x.size && y.size ? item_differs(x, y, spot) : spot_here(spot, x, y);
  }
  return false;
}

static bool tag_differs(uint64_t tag, CborReader a, CborReader b, DivergeSpot *spot, Str whole_a,
                        Str whole_b) {
  Err ignored;
  uint64_t count_a, count_b;
  if (tag != CBOR_TAG_MAP && tag != CBOR_TAG_RECORD) return spot_here(spot, whole_a, whole_b);
  if (!cbor_array(&a, &count_a, &ignored) || !cbor_array(&b, &count_b, &ignored)) return false;
  return items_differ(a, count_a, b, count_b, tag == CBOR_TAG_MAP ? 0 : 2, spot);
}

/* Depth is bounded: whoever made these values, and cbor_skip, hold it to LIMIT_VALUE_DEPTH. */
static bool item_differs(Str a, Str b, DivergeSpot *spot) {
  CborReader ra = cbor_reader(a), rb = cbor_reader(b);
  CborItem x, y;
  Err ignored;
  if (str_equal(a, b)) return false;
  if (!cbor_next(&ra, &x, &ignored) || !cbor_next(&rb, &y, &ignored)) return false;
  if (x.kind != y.kind) return spot_here(spot, a, b);
  if (x.kind == CBOR_TEXT) return spot_text(spot, x.bytes, y.bytes);
  if (x.kind == CBOR_ARRAY) return items_differ(ra, x.n, rb, y.n, -1, spot);
  if (x.kind == CBOR_TAG && x.n == y.n) return tag_differs(x.n, ra, rb, spot, a, b);
  return spot_here(spot, a, b);
}

/* One field, as a value of its own: the walk then needs to know only values. */
static void field_as_item(const RecordField *field, const void *at, Buf *out) {
  switch ((FieldType)field->type) {
    case FIELD_U64:
      cbor_put_uint(out, *(const uint64_t *)at);
      return;
    case FIELD_I64:
      cbor_put_int(out, *(const int64_t *)at);
      return;
    case FIELD_TEXT:
      cbor_put_text(out, *(const Str *)at);
      return;
    case FIELD_HASH:
      cbor_put_bytes(out, (Str){at, sizeof(Hash256)});
      return;
    case FIELD_UUID:
      cbor_put_bytes(out, (Str){at, sizeof(Uuid)});
      return;
    case FIELD_VALUE:
    case FIELD_VALUES:
    case FIELD_NOTE:
      if (((const Str *)at)->size) buf_str(out, *(const Str *)at);
      else cbor_put_nil(out);
      return;
  }
  UNREACHABLE();
}

/* Numbers that have words are shown with them; a site is looked up in the bundles by whoever shows
 * it. */
static bool number_spot(const RecordField *field, const void *a, const void *b, DivergeSpot *spot) {
  uint64_t was = *(const uint64_t *)a, now = *(const uint64_t *)b;
  bool kind = strcmp(field->name, "kind") == 0;
  const EffectInfo *was_effect = kind ? effect_info(was) : NULL,
                   *now_effect = kind ? effect_info(now) : NULL;
  if (!was_effect || !now_effect) return false;
  buf_text(&spot->recorded, was_effect->word);
  buf_text(&spot->current, now_effect->word);
  return true;
}

static bool field_differs(const RecordField *field, const Record *was, const Record *now,
                          DivergeSpot *spot) {
  const char *a = (const char *)was + field->offset, *b = (const char *)now + field->offset;
  Buf x = {0}, y = {0};
  field_as_item(field, a, &x);
  field_as_item(field, b, &y);
  bool differs = !str_equal(buf_view(&x), buf_view(&y));
  if (differs) {
    buf_text(&spot->path, field->name);
    if (field->type != FIELD_U64 || !number_spot(field, a, b, spot)) {
      if (!item_differs(buf_view(&x), buf_view(&y), spot))
        spot_here(spot, buf_view(&x), buf_view(&y));
    }
  }
  buf_deinit(&x);
  buf_deinit(&y);
  return differs;
}

/* Sites move with any edit; what a reader wants to know first is in the operands. So: effect and target, then values,
** then the rest. */
static int field_rank(const RecordField *field) {
  if (strcmp(field->name, "kind") == 0 || strcmp(field->name, "target") == 0) return 0;
  if (strcmp(field->name, "at") == 0) return 3;
  bool value = field->type == FIELD_VALUE || field->type == FIELD_VALUES ||
               field->type == FIELD_NOTE || field->type == FIELD_TEXT;
  return value ? 1 : 2;
}

bool diverge_spot(const Divergence *d, DivergeSpot *out) {
  Record was, now;
  Err ignored;
  *out = (DivergeSpot){0};
  if (!d->recorded.size || !d->current.size) return false;
  if (!record_decode(buf_view(&d->recorded), &was, &ignored)) return false;
  if (!record_decode(buf_view(&d->current), &now, &ignored) || was.kind != now.kind) return false;
  const RecordInfo *info = record_info(was.kind);
  for (int rank = 0; rank < 3; rank++) {
    for (uint32_t i = 0; i < info->field_count; i++) {
      if (field_rank(&info->fields[i]) == rank && field_differs(&info->fields[i], &was, &now, out))
        return true;
    }
  }
  return false;
}

void diverge_spot_deinit(DivergeSpot *spot) {
  buf_deinit(&spot->path);
  buf_deinit(&spot->recorded);
  buf_deinit(&spot->current);
}
