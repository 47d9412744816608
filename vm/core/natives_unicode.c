/* The module text, as far as it needs Unicode's tables: case, normal forms, kinds
** of character. The tables are utf8proc's; their version is in semantics.h. ASCII
** text takes none of these paths. */
#include <utf8proc.h>

#include "vm/base/mem.h"
#include "vm/core/natives.h"

typedef enum { CASE_UPPER, CASE_LOWER, CASE_TITLE, CASE_CAPITAL } Case;

static bool ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static char ascii_upper(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 32) : c; }
static char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static void ascii_case(char *out, Str s, Case to) {
  bool start = true;
  if (to == CASE_UPPER) {
    for (size_t i = 0; i < s.size; i++) out[i] = ascii_upper(s.at[i]);
  } else if (to == CASE_LOWER) {
    for (size_t i = 0; i < s.size; i++) out[i] = ascii_lower(s.at[i]);
  } else {
    for (size_t i = 0; i < s.size; i++) {
      out[i] = start ? ascii_upper(s.at[i]) : ascii_lower(s.at[i]);
      start = to == CASE_TITLE && !ascii_letter(s.at[i]) && s.at[i] != '\'';
    }
  }
}

static bool is_letter(uint32_t code) {
  switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return true;
    default: return false;
  }
}

static bool is_mark(uint32_t code) {
  utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)code);
  return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_MC;
}

static void put_code(Buf *out, uint32_t code) {
  char bytes[4];
  buf_put(out, bytes, utf8_put(bytes, code));
}

static uint32_t code_case(uint32_t code, Case to, bool start) {
  if (to == CASE_UPPER) return (uint32_t)utf8proc_toupper((utf8proc_int32_t)code);
  if (to == CASE_LOWER || !start) return (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
  return (uint32_t)utf8proc_totitle((utf8proc_int32_t)code);
}

static void unicode_case(Buf *out, Str s, Case to) {
  bool start = true;
  for (size_t at = 0; at < s.size;) {
    uint32_t code = utf8_next(s, &at);
    if (code == 0xdf && to == CASE_UPPER)
      buf_text(out, "SS"); /* the one common letter that grows */
    else put_code(out, code_case(code, to, start));
    start =
        to == CASE_TITLE && !is_letter(code) && !is_mark(code) && code != '\'' && code != 0x2019;
  }
}

static bool text_case(Machine *m, Value *arg, Case to, const char *what, Value *result) {
  if (!arg_text(m, arg, what, result)) return false;
  size_t size = text_of(*arg).size;
  machine_work(m, size);
  if (!text_is_plain(*arg)) {
    Buf out = {.max = LIMIT_VALUE_BYTES};
    unicode_case(&out, text_of(*arg), to);
    return string_take(m, &out, result);
  }
  if (!room_for(m, size, result)) return false;
  Value made;
  char *out = string_begin(m, size, size, &made);
  ascii_case(out, text_of(*arg), to);
  *result = made;
  return true;
}

NATIVE_BODY(text_upper) {
  return text_case(m, &args[0], CASE_UPPER, "text.upper: the text", result);
}
NATIVE_BODY(text_lower) {
  return text_case(m, &args[0], CASE_LOWER, "text.lower: the text", result);
}
NATIVE_BODY(text_title) {
  return text_case(m, &args[0], CASE_TITLE, "text.title: the text", result);
}
NATIVE_BODY(text_capitalize) {
  return text_case(m, &args[0], CASE_CAPITAL, "text.capitalize: the text", result);
}

/* ---- normal forms and folding: the text is taken apart, and put together again ---- */

static bool unicode_map(Machine *m, Value *arg, utf8proc_option_t options, Value *result) {
  Str s = text_of(*arg);
  machine_work(m, s.size * 4);
  utf8proc_ssize_t wanted = utf8proc_decompose((const utf8proc_uint8_t *)s.at,
                                               (utf8proc_ssize_t)s.size, NULL, 0, options);
  if (wanted < 0 || (uint64_t)wanted > LIMIT_VALUE_BYTES)
    return native_fault(m, result, FAULT_SIZE, "256 MB");
  utf8proc_int32_t *codes = mem_alloc(((size_t)wanted + 1) * sizeof *codes);
  utf8proc_ssize_t got = utf8proc_decompose((const utf8proc_uint8_t *)s.at,
                                            (utf8proc_ssize_t)s.size, codes, wanted, options);
  if (options & UTF8PROC_COMPOSE) got = utf8proc_normalize_utf32(codes, got, options);
  Buf out = {.max = LIMIT_VALUE_BYTES};
  for (utf8proc_ssize_t i = 0; i < got; i++) put_code(&out, (uint32_t)codes[i]);
  mem_free(codes);
  return string_take(m, &out, result);
}

NATIVE_BODY(text_casefold) {
  if (!arg_text(m, &args[0], "text.casefold: the text", result)) return false;
  if (text_is_plain(args[0]))
    return text_case(m, &args[0], CASE_LOWER, "text.casefold: the text", result);
  return unicode_map(m, &args[0], UTF8PROC_STABLE | UTF8PROC_CASEFOLD | UTF8PROC_COMPOSE, result);
}

static bool form_options(Str form, utf8proc_option_t *out) {
  if (str_equal(form, STR("NFC"))) *out = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
  else if (str_equal(form, STR("NFD"))) *out = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
  else if (str_equal(form, STR("NFKC")))
    *out = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
  else if (str_equal(form, STR("NFKD")))
    *out = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT;
  else return false;
  return true;
}

NATIVE_BODY(text_normalize) {
  utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
  if (!arg_text(m, &args[0], "text.normalize: the text", result)) return false;
  if (arg_given(args, count, 1)) {
    if (!arg_text(m, &args[1], "text.normalize: the form", result)) return false;
    if (!form_options(text_of(args[1]), &options)) {
      return native_fault(m, result, FAULT_VALUE,
                          "text.normalize: the form must be NFC, NFD, NFKC or NFKD");
    }
  }
  *result = args[0];
  return text_is_plain(args[0]) || unicode_map(m, &args[0], options, result);
}

/* ---- kinds of character ---- */

NATIVE_BODY(text_is_letters) {
  if (!arg_text(m, &args[0], "text.is_letters: the text", result)) return false;
  Str s = text_of(args[0]);
  bool all = s.size > 0;
  machine_work(m, s.size);
  for (size_t at = 0; all && at < s.size;) {
    bool first = at == 0;
    uint32_t code = utf8_next(s, &at);
    all = is_letter(code) || (!first && is_mark(code));
  }
  *result = value_bool(all);
  return true;
}

NATIVE_BODY(text_is_space) {
  if (!arg_text(m, &args[0], "text.is_space: the text", result)) return false;
  Str s = text_of(args[0]);
  size_t at = 0;
  machine_work(m, s.size);
  for (size_t n; at < s.size && (n = space_size(s, at)) > 0;) at += n;
  *result = value_bool(s.size > 0 && at == s.size);
  return true;
}

NATIVE_BODY(text_width) {
  if (!arg_text(m, &args[0], "text.width: the text", result)) return false;
  Str s = text_of(args[0]);
  int64_t width = 0;
  machine_work(m, s.size);
  for (size_t at = 0; at < s.size;)
    width += utf8proc_charwidth((utf8proc_int32_t)utf8_next(s, &at));
  *result = value_small_int(width);
  return true;
}
