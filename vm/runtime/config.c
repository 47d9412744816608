/* Configuration values of a bundle, from the environment. */
#include <ctype.h>
#include <stdlib.h>

#include "vm/base/cbor.h"
#include "vm/base/text.h"
#include "vm/runtime/host.h"

enum { VARIABLE_MAX = 128 };

static void variable_name(Str name, char out[VARIABLE_MAX + 4]) {
  size_t size = name.size < VARIABLE_MAX ? name.size : VARIABLE_MAX;
  memcpy(out, "Z8_", 3);
  for (size_t i = 0; i < size; i++) out[3 + i] = (char)toupper((unsigned char)name.at[i]);
  out[3 + size] = 0;
}

static bool put_text_as(Buf *out, TypeKind kind, Str text) {
  int64_t i;
  double f;
  Decimal d;
  Err ignored;
  switch (kind) {
    case TYPE_INT:
      return int_parse(text, &i) ? (cbor_put_int(out, i), true) : false;
    case TYPE_FLOAT:
      return float_parse(text, &f) ? (cbor_put_float(out, f), true) : false;
    case TYPE_DECIMAL:
      return decimal_parse(text, &d) ? (cbor_put_decimal(out, d), true) : false;
    case TYPE_DURATION:
      if (!duration_parse(text, &i)) return false;
      cbor_put_tag(out, CBOR_TAG_DURATION);
      cbor_put_int(out, i);
      return true;
    case TYPE_TIME:
      if (!time_parse(text, &i)) return false;
      cbor_put_tag(out, CBOR_TAG_TIME);
      cbor_put_int(out, i);
      return true;
    case TYPE_BOOL:
      cbor_put_bool(out, str_equal(text, STR("true")));
      return str_equal(text, STR("true")) || str_equal(text, STR("false"));
    case TYPE_LIST:
    case TYPE_MAP:
    case TYPE_OBJECT:
    case TYPE_RECORD:
      return cbor_from_json(text, out, &ignored);
    case TYPE_STRING:
    case TYPE_ANY:
    case TYPE_LITERAL:
    case TYPE_NIL:
    case TYPE_BYTES:
    case TYPE_FUNCTION:
    case TYPE_HANDLE:
    case TYPE_SEALED:
    case TYPE_ERROR:
      if (!utf8_valid(text)) return false;
      cbor_put_text(out, text);
      return true;
    case TYPE_UNION:
      break; /* taken apart by the caller */
  }
  return false;
}

/* A union takes the first member that fits. */
static bool put_typed(const Bundle *b, uint32_t type, Buf *out, Str text) {
  const BundleType *t = &b->types[type];
  if (t->kind == TYPE_LITERAL)
    return str_equal(bundle_text(b, t->literal), text) && put_text_as(out, TYPE_STRING, text);
  if (t->kind != TYPE_UNION) {
    size_t before = out->size;
    if (put_text_as(out, (TypeKind)t->kind, text)) return true;
    out->size = before;
    return false;
  }
  for (uint32_t i = 0; i < t->members.count; i++) {
    uint32_t member = b->indexes[t->members.first + i];
    if (b->types[member].kind != TYPE_NIL && put_typed(b, member, out, text)) return true;
  }
  return false;
}

static void put_constant(const BundleConst *c, Buf *out) {
  Decimal d;
  switch ((ConstKind)c->kind) {
    case CONST_INT:
      cbor_put_int(out, c->i);
      return;
    case CONST_FLOAT:
      cbor_put_float(out, c->f);
      return;
    case CONST_STRING:
      cbor_put_text(out, c->text);
      return;
    case CONST_BYTES:
      cbor_put_bytes(out, c->text);
      return;
    case CONST_DECIMAL:
      if (decimal_parse(c->text, &d)) cbor_put_decimal(out, d);
      else cbor_put_nil(out);
      return;
    case CONST_DURATION:
      cbor_put_tag(out, CBOR_TAG_DURATION);
      cbor_put_int(out, c->i);
      return;
    case CONST_NIL:
      cbor_put_nil(out);
      return;
    case CONST_BOOL:
      cbor_put_bool(out, c->i != 0);
      return;
  }
}

static bool config_value_put(const Bundle *b, const BundleConfig *config, Buf *out, Err *err) {
  Str name = bundle_text(b, config->name);
  char variable[VARIABLE_MAX + 4];
  variable_name(name, variable);
  const char *set = getenv(variable);
  cbor_put_text(out, name);
  if (set != NULL) {
    if (put_typed(b, config->type, out, str_of(set))) return true;
    FAIL(err, ERR_INVALID, "config " STR_FMT ": %s is \"%.80s\", which is not of type %s",
         STR_ARG(name), variable, set, type_kind_word((TypeKind)b->types[config->type].kind));
    return false;
  }
  if (config->fallback != NONE_INDEX) {
    put_constant(&b->consts[config->fallback], out);
    return true;
  }
  FAIL(err, ERR_INVALID,
       "config " STR_FMT " has no default and is not set: set %s in the environment", STR_ARG(name),
       variable);
  return false;
}

bool config_read(const Bundle *b, Str args, Buf *out, Err *err) {
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 2 * ((uint64_t)b->config_count + (args.size > 0)));
  if (args.size > 0) {
    cbor_put_text(out, STR("args()"));
    buf_str(out, args);
  }
  for (uint32_t i = 0; i < b->config_count; i++)
    if (!config_value_put(b, &b->configs[i], out, err)) return false;
  return true;
}
