/* The modules base64, hex, hash and json. */
#include "vm/base/hash.h"
#include "vm/base/json.h"
#include "vm/core/natives.h"
#include "vm/core/wire.h"

/* ---- base64, hex ---- */

static bool decode_fault(Machine *m, Buf *out, const char *what, const char *wanted,
                         Value *result) {
  buf_deinit(out);
  return native_fault(m, result, FAULT_PARSE, "%s: the text is not %s", what, wanted);
}

static bool base64_text(Machine *m, Value *args, bool url, Value *result) {
  Str data;
  Buf out = {.max = LIMIT_VALUE_BYTES};
  if (!arg_data(m, &args[0], "base64.encode: the data", &data, result)) return false;
  machine_work(m, data.size);
  base64_encode(data, url, &out);
  return string_take(m, &out, result);
}

static bool base64_bytes(Machine *m, Value *args, bool url, Value *result) {
  Buf out = {.max = LIMIT_VALUE_BYTES};
  if (!arg_text(m, &args[0], "base64.decode: the text", result)) return false;
  machine_work(m, text_of(args[0]).size);
  if (!base64_decode(text_of(args[0]), url, &out))
    return decode_fault(m, &out, "base64.decode", "base64", result);
  return bytes_take(m, &out, result);
}

NATIVE_BODY(base64_encode) { return base64_text(m, args, false, result); }
NATIVE_BODY(base64_encode_url) { return base64_text(m, args, true, result); }
NATIVE_BODY(base64_decode) { return base64_bytes(m, args, false, result); }
NATIVE_BODY(base64_decode_url) { return base64_bytes(m, args, true, result); }

NATIVE_BODY(hex_encode) {
  Str data;
  Buf out = {.max = LIMIT_VALUE_BYTES};
  if (!arg_data(m, &args[0], "hex.encode: the data", &data, result)) return false;
  machine_work(m, data.size);
  hex_encode(data, &out);
  return string_take(m, &out, result);
}

NATIVE_BODY(hex_decode) {
  Buf out = {.max = LIMIT_VALUE_BYTES};
  if (!arg_text(m, &args[0], "hex.decode: the text", result)) return false;
  machine_work(m, text_of(args[0]).size);
  if (!hex_decode(text_of(args[0]), &out))
    return decode_fault(m, &out, "hex.decode", "pairs of hexadecimal digits", result);
  return bytes_take(m, &out, result);
}

/* ---- hash ---- */

static bool give_hash(Machine *m, Hash256 hash, Value *result) {
  char text[65];
  hash256_text(hash, text);
  *result = string_new(m, str_of(text));
  return true;
}

NATIVE_BODY(hash_sha256) {
  Str data;
  if (!arg_data(m, &args[0], "hash.sha256: the data", &data, result)) return false;
  machine_work(m, data.size * 2);
  return give_hash(m, sha256(data), result);
}

NATIVE_BODY(hash_hmac_sha256) {
  Str key, data;
  if (!arg_data(m, &args[0], "hash.hmac_sha256: the key", &key, result)) return false;
  if (!arg_data(m, &args[1], "hash.hmac_sha256: the data", &data, result)) return false;
  if (!arg_data(m, &args[0], "hash.hmac_sha256: the key", &key, result))
    return false; /* it may have moved */
  machine_work(m, (key.size + data.size) * 2);
  return give_hash(m, hmac_sha256(key, data), result);
}

/* CRC-32 (polynomial edb88320, reflected), four bits at a time. */
NATIVE_BODY(hash_crc32) {
  static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                     0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                     0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                     0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
  Str data;
  uint32_t crc = 0xffffffffu;
  if (!arg_data(m, &args[0], "hash.crc32: the data", &data, result)) return false;
  machine_work(m, data.size * 2);
  for (size_t i = 0; i < data.size; i++) {
    crc ^= (uint8_t)data.at[i];
    crc = crc >> 4 ^ table[crc & 15];
    crc = crc >> 4 ^ table[crc & 15];
  }
  *result = value_small_int((int64_t)(crc ^ 0xffffffffu));
  return true;
}

/* ---- json ---- */

NATIVE_BODY(json_parse) {
  Str data;
  Buf copy = {0}, why = {0}; /* a copy: the values that are made may move the text */
  if (!arg_data(m, &args[0], "json.parse: the text", &data, result)) return false;
  machine_work(m, data.size * 2);
  buf_str(&copy, data);
  bool ok = wire_from_json(m, buf_view(&copy), result, &why);
  if (!ok) native_fault(m, result, FAULT_PARSE, "json.parse: " STR_FMT, STR_ARG(buf_view(&why)));
  buf_deinit(&copy);
  buf_deinit(&why);
  return ok;
}

NATIVE_BODY(json_is_valid) {
  Str data;
  JsonReader reader;
  JsonEvent event;
  if (!arg_data(m, &args[0], "json.is_valid: the text", &data, result)) return false;
  machine_work(m, data.size);
  json_init(&reader, data);
  do event = json_next(&reader);
  while (event != JSON_END && event != JSON_ERROR);
  json_deinit(&reader);
  *result = value_bool(event == JSON_END);
  return true;
}

NATIVE_BODY(json_stringify) {
  bool pretty = false;
  const char *why = NULL;
  if (arg_given(args, count, 1) && !arg_bool(m, args[1], "json.stringify: pretty", &pretty, result))
    return false;
  args[0] = value_settle(m, args[0]);
  Buf out = {.max = LIMIT_VALUE_BYTES};
  if (!wire_to_json(m, args[0], pretty, &out, &why)) {
    bool full = out.full;
    buf_deinit(&out);
    return full ? native_fault(m, result, FAULT_SIZE, "256 MB")
                : native_fault(m, result, FAULT_VALUE, "json.stringify: %s",
                               why ? why : "this has no JSON form");
  }
  machine_work(m, out.size * 2);
  return string_take(m, &out, result);
}
