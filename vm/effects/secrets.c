/* Sealed templates to plaintext, and plaintext to asterisks. */
#include "vm/effects/secrets.h"

#include "lang/tables.h"
#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/base/text.h"

typedef struct Walk {
  Secrets *secrets;
  SecretFn *secret;
  void *context;
  CborReader reader;
  Err *err;
} Walk;

static bool secret_append(Walk *w, Str name, Buf *text) {
  Secrets *s = w->secrets;
  s->plain = mem_grow(s->plain, &s->cap, s->count + 1, sizeof *s->plain);
  Buf *plain = &s->plain[s->count];
  if (w->secret == NULL || !w->secret(w->context, name, plain)) {
    FAIL(w->err, ERR_NOT_FOUND, "there is no secret named " STR_FMT, STR_ARG(name));
    return false;
  }
  s->count++;
  if (!utf8_valid(buf_view(plain))) {
    FAIL(w->err, ERR_INVALID, "the secret " STR_FMT " is not text", STR_ARG(name));
    return false;
  }
  buf_str(text, buf_view(plain));
  return true;
}

/* One part: a string, or [name]. */
static bool part_append(Walk *w, Buf *text) {
  CborItem item;
  Str name;
  if (!cbor_next(&w->reader, &item, w->err)) return false;
  if (item.kind == CBOR_TEXT) {
    buf_str(text, item.bytes);
    return true;
  }
  if (item.kind != CBOR_ARRAY || item.n != 1 || !cbor_text(&w->reader, &name, w->err)) {
    FAIL(w->err, ERR_CORRUPT, "a sealed value holds something else than text and names");
    return false;
  }
  return secret_append(w, name, text);
}

static bool sealed_resolve(Walk *w) {
  uint64_t count;
  Buf text = {0};
  bool ok = cbor_array(&w->reader, &count, w->err);
  for (uint64_t i = 0; ok && i < count; i++) ok = part_append(w, &text);
  if (ok) cbor_put_text(&w->secrets->resolved, buf_view(&text));
  if (text.at != NULL) explicit_bzero(text.at, text.size);
  buf_deinit(&text);
  return ok;
}

/* Copies items until as many are done as were due. Depth is a count, not the C stack. */
static bool walk(Walk *w) {
  Buf *out = &w->secrets->resolved;
  CborItem item;
  for (uint64_t due = 1; due > 0;) {
    const uint8_t *start = w->reader.at;
    if (!cbor_next(&w->reader, &item, w->err)) return false;
    due--;
    if (item.kind == CBOR_TAG && item.n == CBOR_TAG_SEALED) {
      if (!sealed_resolve(w)) return false;
      continue;
    }
    buf_put(out, start, (size_t)(w->reader.at - start));
    if (item.kind == CBOR_ARRAY) due += item.n;
    if (item.kind == CBOR_TAG) due++;
  }
  if (out->full) FAIL(w->err, ERR_LIMIT, "a value with its secrets is too large");
  return !out->full;
}

static bool holds_sealed(Str value) {
  Buf tag = {0};
  cbor_put_tag(&tag, CBOR_TAG_SEALED);
  bool found = value.size > 0 && memmem(value.at, value.size, tag.at, tag.size) != NULL;
  buf_deinit(&tag);
  return found;
}

bool secrets_resolve(Secrets *s, Str value, SecretFn *secret, void *context, Str *out, Err *err) {
  *out = value;
  if (!holds_sealed(value)) return true;
  Walk w = {s, secret, context, cbor_reader(value), err};
  s->resolved.max = LIMIT_VALUE_BYTES;
  if (!walk(&w)) return false;
  *out = buf_view(&s->resolved);
  return true;
}

bool secrets_in(const Secrets *s, Str text) {
  for (uint32_t i = 0; i < s->count; i++) {
    Str plain = buf_view(&s->plain[i]);
    if (plain.size > 0 && text.size > 0 && memmem(text.at, text.size, plain.at, plain.size) != NULL)
      return true;
  }
  return false;
}

/* ---- masking ---- */

static bool is_masked(Str plain) { return plain.size >= SECRET_MASKED_BYTES; }

/* The longest secret that begins here, 0 if none. */
static size_t secret_at(const Secrets *s, Str rest) {
  size_t longest = 0;
  for (uint32_t i = 0; i < s->count; i++) {
    Str plain = buf_view(&s->plain[i]);
    if (!is_masked(plain) || plain.size <= longest || plain.size > rest.size) continue;
    if (memcmp(rest.at, plain.at, plain.size) == 0) longest = plain.size;
  }
  return longest;
}

void secrets_mask(const Secrets *s, Str text, Buf *out) {
  while (text.size > 0) {
    size_t size = secret_at(s, text);
    if (size > 0) buf_text(out, "******");
    else buf_byte(out, (uint8_t)text.at[0]);
    size_t step = size > 0 ? size : 1;
    text = (Str){text.at + step, text.size - step};
  }
}

/* Could it go on to be one? */
static bool secret_begun(const Secrets *s, Str rest) {
  for (uint32_t i = 0; i < s->count; i++) {
    Str plain = buf_view(&s->plain[i]);
    if (is_masked(plain) && rest.size < plain.size && memcmp(rest.at, plain.at, rest.size) == 0) return true;
  }
  return false;
}

void secrets_mask_piece(const Secrets *s, Buf *held, Str piece, bool last, Buf *out) {
  size_t at = 0;
  buf_str(held, piece);
  while (at < held->size) {
    Str rest = {held->at + at, held->size - at};
    if (!last && secret_begun(s, rest)) break;
    size_t size = secret_at(s, rest);
    if (size > 0) buf_text(out, "******");
    else buf_byte(out, (uint8_t)rest.at[0]);
    at += size > 0 ? size : 1;
  }
  if (at == 0) return;
  memmove(held->at, held->at + at, held->size - at);
  held->size -= at;
}

static void mask_item(const Secrets *s, const CborItem *item, Str whole, Buf *out) {
  Buf masked = {0};
  if (item->kind != CBOR_TEXT && item->kind != CBOR_BYTES) {
    buf_str(out, whole);
    return;
  }
  secrets_mask(s, item->bytes, &masked);
  Str text = masked.size > 0 ? buf_view(&masked) : STR("");
  if (item->kind == CBOR_TEXT && utf8_valid(text)) cbor_put_text(out, text);
  else cbor_put_bytes(out, text);
  buf_deinit(&masked);
}

typedef struct Level { /* an array that is being walked through; maps and errors are such */
  uint64_t tag, count, at; /* the tag before it; items; those that were begun */
  Str name;                /* of a map: the last one */
} Level;
typedef struct Levels {
  Level *all;
  uint32_t count, cap;
} Levels;

/* Is the item, about to be counted, ours? */
static bool is_ours(const Levels *levels) {
  if (levels->count == 0) return false;
  const Level *l = &levels->all[levels->count - 1];
  if (l->tag == CBOR_TAG_ERROR) return l->at == 0;
  if (l->tag != CBOR_TAG_MAP) return false;
  if (l->at % 2 == 0) return true;
  bool call = levels->count == 3; /* {calls: [{id, name, arguments: {…}}]} */
  return call && (str_equal(l->name, STR("id")) || str_equal(l->name, STR("name")));
}

static void level_count(Levels *levels, const CborItem *item) {
  if (levels->count == 0) return;
  Level *l = &levels->all[levels->count - 1];
  if (l->tag == CBOR_TAG_MAP && l->at % 2 == 0) l->name = item->kind == CBOR_TEXT ? item->bytes : (Str){0};
  l->at++;
}

static void level_begin(Levels *levels, uint64_t tag, uint64_t count) {
  levels->all = mem_grow(levels->all, &levels->cap, levels->count + 1, sizeof *levels->all);
  levels->all[levels->count++] = (Level){.tag = tag, .count = count};
}

static void levels_end(Levels *levels) {
  for (; levels->count > 0; levels->count--) {
    const Level *l = &levels->all[levels->count - 1];
    if (l->at < l->count) return;
  }
}

void secrets_mask_value(const Secrets *s, Str value, Buf *out) {
  CborReader r = cbor_reader(value);
  CborItem item;
  Levels levels = {0};
  uint64_t tag = 0;
  Err err;
  while (r.at < r.end) {
    const char *start = (const char *)r.at;
    if (!cbor_next(&r, &item, &err)) break;
    Str whole = {start, (size_t)((const char *)r.at - start)};
    if (is_ours(&levels)) buf_str(out, whole);
    else mask_item(s, &item, whole, out);
    if (item.kind != CBOR_TAG) level_count(&levels, &item); /* a tag is part of what follows */
    if (item.kind == CBOR_ARRAY) level_begin(&levels, tag, item.n);
    tag = item.kind == CBOR_TAG ? item.n : 0;
    levels_end(&levels);
  }
  mem_free(levels.all);
}

static void wipe(Buf *buf) {
  if (buf->at != NULL) explicit_bzero(buf->at, buf->size);
  buf_deinit(buf);
}

void secrets_forget(Secrets *s) {
  wipe(&s->resolved);
  s->resolved = (Buf){0};
}

void secrets_wipe(Secrets *s) {
  for (uint32_t i = 0; i < s->cap; i++) wipe(&s->plain[i]);
  mem_free(s->plain);
  wipe(&s->resolved);
  *s = (Secrets){0};
}
