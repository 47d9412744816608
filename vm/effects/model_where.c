/* What the words of a `where` say of a number or a length. They stand in the description of a schema as the program has
** them; the plain forms are read here, and whatever else they say is left to who checks the value. */
#include "vm/base/text.h"
#include "vm/effects/model_impl.h"
#include "vm/effects/model_instance.h"

enum { NUMBER_MAX = 40 };

typedef struct Words {
  const char *at, *end;
} Words;

static bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

static void skip_spaces(Words *w) {
  while (w->at < w->end && *w->at == ' ') w->at++;
}

static bool skip(Words *w, const char *what) {
  size_t size = strlen(what);
  skip_spaces(w);
  if ((size_t)(w->end - w->at) < size || memcmp(w->at, what, size) != 0) return false;
  w->at += size;
  return true;
}

/* 40_000, -1, 0.50d. */
static bool number(Words *w, double *n) {
  char text[NUMBER_MAX];
  size_t size = 0;
  skip_spaces(w);
  for (; w->at < w->end && (is_word(*w->at) || *w->at == '-'); w->at++) {
    if (size == sizeof text) return false;
    if (*w->at != '_') text[size++] = *w->at;
  }
  if (size > 0 && text[size - 1] == 'd') size--;
  return float_parse((Str){text, size}, n);
}

/* ---- bounds ---- */

static void low(Bounds *b, double n, bool above) {
  if (b->has_low && (n < b->low || (n == b->low && !above))) return;
  b->low = n;
  b->has_low = true;
  b->above = above;
}

static void high(Bounds *b, double n, bool below) {
  if (b->has_high && (n > b->high || (n == b->high && !below))) return;
  b->high = n;
  b->has_high = true;
  b->below = below;
}

/* After "in range(": to its end, which is out, or from and to. */
static bool range(Words *w, Bounds *b) {
  double from = 0, to;
  if (!number(w, &to)) return false;
  if (skip(w, ",")) {
    from = to;
    if (!number(w, &to)) return false;
  }
  if (!skip(w, ")")) return false;
  low(b, from, false);
  high(b, to, true);
  return true;
}

static bool compared(Words *w, Bounds *b) {
  double n;
  if (skip(w, "in range(")) return range(w, b);
  bool more = skip(w, ">"), less = !more && skip(w, "<"), with = (more || less) && w->at < w->end && *w->at == '=';
  if (with) w->at++;
  if (!more && !less && !skip(w, "== ") && !skip(w, "is ")) return false;
  if (!number(w, &n)) return false;
  if (!less) low(b, n, more && !with);
  if (!more) high(b, n, less && !with);
  return true;
}

/* ---- the words ---- */

static bool ends_with(Str words, size_t at, const char *what) {
  size_t size = strlen(what);
  return at >= size && memcmp(words.at + at - size, what, size) == 0;
}

/* Whether the name stands at this place, as a whole word; within len( ) or not. */
static bool named(Str words, size_t at, Str name, bool length) {
  size_t end = at + name.size;
  if (end > words.size || memcmp(words.at + at, name.at, name.size) != 0) return false;
  if (at > 0 && is_word(words.at[at - 1])) return false;
  if (end < words.size && is_word(words.at[end])) return false;
  if (ends_with(words, length && at >= 4 ? at - 4 : at, "not ")) return false;
  return !length || (ends_with(words, at, "len(") && end < words.size && words.at[end] == ')');
}

void where_bounds(Str words, Str name, bool length, Bounds *b) {
  bool any = false;
  for (size_t at = 0; name.size > 0 && at < words.size; at++) {
    if (any && ends_with(words, at, " or ")) return; /* the first of alternatives will do */
    if (!named(words, at, name, length)) continue;
    Words w = {words.at + at + name.size + length, words.at + words.size};
    any |= compared(&w, b);
  }
}
