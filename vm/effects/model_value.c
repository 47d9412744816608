/* What all providers need to write JSON and to read encoded values nobody vouches for. */
#include <math.h>

#include "vm/base/json.h"
#include "vm/effects/model_impl.h"

/* -- JSON out -- */

void json_item(Buf *out) {
  if (out->size == 0) return;
  char last = out->at[out->size - 1];
  if (last != '{' && last != '[' && last != ',' && last != ':') buf_byte(out, ',');
}

void json_member(Buf *out, const char *name) {
  json_item(out);
  json_put_string(out, str_of(name));
  buf_byte(out, ':');
}

void json_member_text(Buf *out, const char *name, Str utf8) {
  json_member(out, name);
  json_put_string(out, utf8);
}

void json_member_int(Buf *out, const char *name, int64_t n) {
  json_member(out, name);
  buf_format(out, "%" PRId64, n);
}

void json_member_float(Buf *out, const char *name, double f) {
  json_member(out, name);
  float_print(f, out);
}

void json_member_bool(Buf *out, const char *name, bool b) {
  json_member(out, name);
  buf_text(out, b ? "true" : "false");
}

void json_member_raw(Buf *out, const char *name, Str json) {
  json_member(out, name);
  buf_str(out, json);
}

/* nan and infinities have no JSON: null. */
static void put_json(Buf *out, Str value) {
  size_t before = out->size;
  Err ignored;
  if (value.at && cbor_to_json(value, out, &ignored)) return;
  out->size = before;
  buf_text(out, "null");
}

void json_member_value(Buf *out, const char *name, Str value) {
  json_member(out, name);
  put_json(out, value);
}

void model_content_text(Buf *out, Str value) {
  Str text;
  if (value_is_nil(value)) return;
  if (value_text(value, &text)) buf_str(out, text);
  else put_json(out, value);
}

void model_content(Buf *out, Str value) {
  Buf text = {0};
  Str plain;
  if (value_text(value, &plain)) {
    json_put_string(out, plain);
    return;
  }
  model_content_text(&text, value);
  json_put_string(out, buf_view(&text));
  buf_deinit(&text);
}

void model_tool_content(Buf *out, const ModelMessage *message) {
  Buf text = {0};
  if (message->error) buf_text(&text, "Error: ");
  model_content_text(&text, message->content);
  json_put_string(out, buf_view(&text));
  buf_deinit(&text);
}

void model_arguments(Buf *out, const ModelToolCall *call) {
  if (call->arguments.at) put_json(out, call->arguments);
  else buf_text(out, "{}");
}

/* -- encoded values in -- */

static bool item_of(Str value, CborItem *item) {
  CborReader r = cbor_reader(value);
  Err ignored;
  return value.size > 0 && cbor_next(&r, item, &ignored);
}

bool value_text(Str value, Str *out) {
  CborItem item;
  if (!item_of(value, &item) || item.kind != CBOR_TEXT) return false;
  *out = item.bytes;
  return true;
}

bool value_bytes(Str value, Str *out) {
  CborItem item;
  if (!item_of(value, &item) || (item.kind != CBOR_TEXT && item.kind != CBOR_BYTES)) return false;
  *out = item.bytes;
  return true;
}

bool value_integer(Str value, int64_t *out) {
  CborReader r = cbor_reader(value);
  double f;
  Err ignored;
  if (value.size > 0 && cbor_int(&r, out, &ignored)) return true;
  if (!value_number(value, &f) || f != floor(f) || !(fabs(f) < 9e15)) return false;
  *out = (int64_t)f;
  return true;
}

bool value_number(Str value, double *out) {
  CborItem item;
  if (!item_of(value, &item)) return false;
  if (item.kind == CBOR_FLOAT) *out = item.f;
  else if (item.kind == CBOR_UINT) *out = (double)item.n;
  else if (item.kind == CBOR_NEGINT) *out = -1.0 - (double)item.n;
  else return false;
  return true;
}

bool value_true(Str value) {
  CborItem item;
  return item_of(value, &item) && item.kind == CBOR_BOOL && item.n;
}

bool value_is_nil(Str value) {
  CborItem item;
  return value.size == 0 || (item_of(value, &item) && item.kind == CBOR_NIL);
}

bool value_is_map(Str value) {
  CborItem item;
  return item_of(value, &item) && item.kind == CBOR_TAG && (item.n == CBOR_TAG_MAP || item.n == CBOR_TAG_RECORD);
}

bool value_is_list(Str value) {
  CborItem item;
  return item_of(value, &item) && item.kind == CBOR_ARRAY;
}

Str value_get_text(Str map, const char *name) {
  Str text;
  if (!value_text(value_get(map, name), &text)) return (Str){0};
  return text.at ? text : (Str){"", 0};
}

bool value_fields(Str map, ValueFields *out) {
  CborReader r = cbor_reader(map);
  CborItem tag, item;
  uint64_t count;
  Err err;
  out->count = 0;
  if (!value_is_map(map) || !cbor_next(&r, &tag, &err) || !cbor_array(&r, &count, &err)) return false;
  for (uint64_t i = 0; i < count / 2; i++) {
    CborReader key = r;
    if (!cbor_skip(&r, NULL, &err) || !cbor_next(&key, &item, &err)) return false;
    if (out->count == VALUE_FIELDS_MAX) return false;
    out->names[out->count] = item.kind == CBOR_TEXT ? item.bytes : (Str){0};
    if (!cbor_skip(&r, &out->values[out->count], &err)) return false;
    out->count += item.kind == CBOR_TEXT;
  }
  return true;
}

Str value_field(const ValueFields *map, const char *name) {
  Str wanted = str_of(name);
  for (uint32_t i = 0; i < map->count; i++)
    if (str_equal(map->names[i], wanted)) return map->values[i];
  return (Str){0};
}

Str value_field_text(const ValueFields *map, const char *name) {
  Str text;
  return value_text(value_field(map, name), &text) ? text : (Str){0};
}

bool value_list(Str value, ValueList *out) {
  Err ignored;
  *out = (ValueList){cbor_reader(value), 0};
  return value.size > 0 && cbor_array(&out->r, &out->left, &ignored);
}

bool value_next(ValueList *l, Str *item) {
  Err ignored;
  if (l->left == 0 || !cbor_skip(&l->r, item, &ignored)) return false;
  l->left--;
  return true;
}

/* -- JSON in -- */

static size_t utf8_size(Str s) {
  for (size_t size = 1; size <= 4 && size <= s.size; size++)
    if (utf8_valid((Str){s.at, size})) return size;
  return 0;
}

/* The code of a \uXXXX escape that begins here; -1: there is none. */
static int32_t escape_code(Str s) {
  if (s.size < 6 || s.at[0] != '\\' || s.at[1] != 'u') return -1;
  int32_t code = 0;
  for (size_t i = 2; i < 6; i++) {
    int digit = hex_value(s.at[i]);
    if (digit < 0) return -1;
    code = code * 16 + digit;
  }
  return code;
}

/* How much of the text stands for itself here; 0: *lost bytes have to become U+FFFD. */
static size_t sound_size(Str s, size_t *lost) {
  if (s.at[0] == '\\' && s.size > 1) {
    int32_t code = escape_code(s);
    if (code < 0xd800 || code > 0xdfff) return utf8_size((Str){s.at + 1, s.size - 1}) == 1 ? 2 : 1;
    int32_t low = escape_code((Str){s.at + 6, s.size - 6});
    *lost = 6;
    return code < 0xdc00 && low >= 0xdc00 && low <= 0xdfff ? 12 : 0;
  }
  *lost = 1;
  return utf8_size(s);
}

static void mend(Str json, Buf *out) {
  size_t lost = 1;
  while (json.size > 0) {
    size_t size = sound_size(json, &lost);
    if (size > 0) buf_put(out, json.at, size);
    else buf_text(out, "\xef\xbf\xbd");
    if (size == 0) size = lost;
    json = (Str){json.at + size, json.size - size};
  }
}

bool model_decode(Str json, Buf *out) {
  size_t before = out->size;
  Err ignored;
  if (cbor_from_json(json, out, &ignored)) return true;
  Buf mended = {0};
  out->size = before;
  mend(json, &mended);
  bool ok = !str_equal(buf_view(&mended), json) && cbor_from_json(buf_view(&mended), out, &ignored);
  if (!ok) out->size = before;
  buf_deinit(&mended);
  return ok;
}

/* -- slices of JSON text -- */

/* The value that comes next, from its first byte to its last. False: the text ends or is broken. */
static bool slice_value(JsonReader *r, JsonEvent first, size_t start, Str *out) {
  uint32_t depth = 0;
  JsonEvent event = first;
  for (;;) {
    if (event == JSON_END || event == JSON_ERROR) return false;
    if (event == JSON_OBJECT || event == JSON_ARRAY) depth++;
    if (event == JSON_OBJECT_END || event == JSON_ARRAY_END) depth--;
    if (depth == 0) break;
    event = json_next(r);
  }
  while (start < r->at && strchr(" \t\r\n,:", r->text.at[start]) != NULL) start++;
  *out = (Str){r->text.at + start, r->at - start};
  return true;
}

bool json_slice(Str json, Str name, Str *out) {
  JsonReader r;
  bool found = false;
  Str value;
  json_init(&r, json);
  JsonEvent event = json_next(&r);
  while (event == JSON_OBJECT && (event = json_next(&r)) == JSON_NAME) {
    bool wanted = str_equal(r.string, name);
    size_t start = r.at;
    if (!slice_value(&r, json_next(&r), start, &value)) break;
    if (wanted) *out = value;
    found |= wanted;
    event = JSON_OBJECT;
  }
  json_deinit(&r);
  return found;
}

void json_put_with(Buf *out, Str object, const char *name, Str utf8) {
  Str old;
  const char *end = object.at + object.size;
  if (json_slice(object, str_of(name), &old)) {
    buf_put(out, object.at, (size_t)(old.at - object.at));
    json_put_string(out, utf8);
    buf_put(out, old.at + old.size, (size_t)(end - old.at) - old.size);
    return;
  }
  const char *open = memchr(object.at, '{', object.size);
  ASSERT(open != NULL);
  buf_put(out, object.at, (size_t)(open - object.at) + 1);
  json_member_text(out, name, utf8);
  size_t rest = (size_t)(end - open) - 1;
  for (open++; rest > 0 && (uint8_t)*open <= ' '; open++) rest--;
  if (rest > 0 && *open != '}') buf_byte(out, ',');
  buf_put(out, open, rest);
}

void json_slices_begin(JsonSlices *s, Str json) {
  json_init(&s->r, json);
  s->open = json_next(&s->r) == JSON_ARRAY;
}

bool json_slices_next(JsonSlices *s, Str *out) {
  size_t start = s->r.at;
  JsonEvent event = s->open ? json_next(&s->r) : JSON_ERROR;
  s->open = s->open && event != JSON_ARRAY_END && slice_value(&s->r, event, start, out);
  return s->open;
}

void json_slices_end(JsonSlices *s) { json_deinit(&s->r); }

bool json_slice_item(Str json, uint64_t index, Str *out) {
  JsonSlices s;
  json_slices_begin(&s, json);
  while (json_slices_next(&s, out) && index > 0) index--;
  bool found = s.open && index == 0;
  json_slices_end(&s);
  return found;
}
