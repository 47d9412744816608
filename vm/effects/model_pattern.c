/* The smallest text a regular expression matches: first alternatives, least repetitions, first members of classes.
** It is for patterns in schemas ("^[A-Z]{2}-[0-9]+$"); look-around, back references and \p are beyond it. */
#include "vm/base/text.h"
#include "vm/effects/model_instance.h"

enum { DEPTH_MAX = 32, TIMES_MAX = 4096, TEXT_MAX = 64 << 10 };

typedef struct Walk {
  Str p;
  size_t at;
  uint32_t depth;
  Buf *out;
} Walk;

static bool alternatives(Walk *w);

static char peek(const Walk *w) { return w->at < w->p.size ? w->p.at[w->at] : '\0'; }
static bool more(const Walk *w) { return w->at < w->p.size; }

/* What a letter behind a backslash stands for; 0: it is beyond this, or is a place and no character. */
static char escaped(char c) {
  switch (c) {
  case 'd': return '0';
  case 'w': return 'a';
  case 's': return ' ';
  case 'D':
  case 'S': return 'a';
  case 'W': return '-';
  case 'n': return '\n';
  case 't': return '\t';
  case 'r': return '\r';
  default: break;
  }
  bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '\0';
  return plain ? '\0' : c;
}

static bool excluded(Str members, char c) {
  for (size_t i = 0; i < members.size; i++) {
    if (i + 2 < members.size && members.at[i + 1] == '-') {
      if (c >= members.at[i] && c <= members.at[i + 2]) return true;
      i += 2;
    } else if (members.at[i] == '\\' && i + 1 < members.size) {
      char stands = escaped(members.at[++i]);
      bool digit = c >= '0' && c <= '9', letter = c >= 'a' && c <= 'z';
      if (stands == c || (members.at[i] == 'd' && digit) || (members.at[i] == 'w' && (digit || letter))) return true;
    } else if (members.at[i] == c) {
      return true;
    }
  }
  return false;
}

static bool class_member(Str members, bool negated, Buf *out) {
  static const char tries[] = "a0 -A_.!";
  char code = '\0';
  if (!negated && members.size && (uint8_t)members.at[0] >= 0x80) { /* a character of several bytes */
    size_t at = 0;
    utf8_next(members, &at);
    buf_put(out, members.at, at);
    return true;
  }
  bool escape = members.size > 1 && members.at[0] == '\\';
  if (!negated && members.size) code = escape ? escaped(members.at[1]) : members.at[0];
  for (size_t i = 0; negated && !code && tries[i]; i++) {
    if (!excluded(members, tries[i])) code = tries[i];
  }
  if (code) buf_byte(out, (uint8_t)code);
  return code != '\0';
}

static bool class_(Walk *w) {
  bool negated = peek(w) == '^';
  w->at += negated;
  size_t from = w->at;
  while (more(w) && (peek(w) != ']' || w->at == from)) w->at += peek(w) == '\\' ? 2 : 1;
  if (!more(w)) return false;
  Str members = {w->p.at + from, w->at - from};
  w->at++;
  return class_member(members, negated, w->out);
}

static bool group(Walk *w) {
  if (peek(w) == '?') {
    w->at++;
    if (peek(w) != ':') return false;
    w->at++;
  }
  if (++w->depth > DEPTH_MAX || !alternatives(w) || peek(w) != ')') return false;
  w->depth--;
  w->at++;
  return true;
}

static bool atom(Walk *w) {
  char c = w->p.at[w->at++], stands;
  switch (c) {
  case '^':
  case '$': return true;
  case '.': buf_byte(w->out, 'a'); return true;
  case '[': return class_(w);
  case '(': return group(w);
  case '*':
  case '+':
  case '?':
  case '{': return false;
  case '\\':
    stands = escaped(peek(w));
    if (!stands) return false;
    w->at++;
    buf_byte(w->out, (uint8_t)stands);
    return true;
  default: buf_byte(w->out, (uint8_t)c);
  }
  while (more(w) && (peek(w) & 0xc0) == 0x80) buf_byte(w->out, (uint8_t)w->p.at[w->at++]);
  return true;
}

/* How often at least; false: malformed or too often. */
static bool times(Walk *w, uint32_t *least) {
  *least = 1;
  char c = peek(w);
  if (c == '*' || c == '?') *least = 0;
  else if (c == '{') {
    *least = 0;
    for (w->at++; peek(w) >= '0' && peek(w) <= '9'; w->at++) {
      *least = *least * 10 + (uint32_t)(peek(w) - '0');
      if (*least > TIMES_MAX) return false;
    }
    while (more(w) && peek(w) != '}') w->at++;
    if (!more(w)) return false;
  } else if (c != '+') {
    return true;
  }
  w->at++;
  if (peek(w) == '?' || peek(w) == '+') w->at++; /* lazy, possessive */
  return true;
}

static bool sequence(Walk *w) {
  while (more(w) && peek(w) != '|' && peek(w) != ')') {
    size_t from = w->out->size;
    uint32_t least;
    if (!atom(w) || !times(w, &least)) return false;
    size_t size = w->out->size - from;
    if (least == 0) w->out->size = from;
    for (uint32_t i = 1; i < least; i++) {
      if (w->out->size + size > TEXT_MAX) return false;
      for (size_t k = 0; k < size; k++) buf_byte(w->out, (uint8_t)w->out->at[from + k]);
    }
  }
  return true;
}

/* The first is kept; the others are walked to find where they end. */
static bool alternatives(Walk *w) {
  if (!sequence(w)) return false;
  size_t kept = w->out->size;
  while (peek(w) == '|') {
    w->at++;
    if (!sequence(w)) return false;
    w->out->size = kept;
  }
  return true;
}

bool pattern_instance(Str pattern, Buf *out) {
  Walk w = {.p = pattern, .out = out};
  size_t from = out->size;
  bool ok = alternatives(&w) && !more(&w) && !out->full && out->size - from <= TEXT_MAX;
  if (ok && utf8_valid((Str){out->at + from, out->size - from})) return true;
  out->size = from;
  return false;
}
