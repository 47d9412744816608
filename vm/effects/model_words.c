/* What a message names, for the offline provider: candidates for arguments, and words shared with a tool. */
#include "vm/base/text.h"
#include "vm/effects/model_instance.h"

enum { QUOTED_MAX = 200, MESSAGE_MAX = 8 << 10 }; /* bytes looked at: work grows with their square */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (uint8_t)c >= 0x80; }
static bool is_word(char c) { return is_digit(c) || is_letter(c); }
static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }
static char byte_at(Str s, size_t at) { return at < s.size ? s.at[at] : '\0'; }

/* -- candidates -- */

static void hint_add(Hints *h, Str text, HintKind kind) {
  if (h->count < HINTS_MAX && text.size) h->at[h->count++] = (Hint){text, kind, false};
}

/* The quotation that begins at `at`; 0: none does. An apostrophe opens only where no word goes before it, and closes
** only where none goes on. */
static size_t quoted_size(Str s, size_t at, size_t *open) {
  static const char *const pairs[][2] = {{"\"", "\""}, {"'", "'"}, {"`", "`"}, {"\xe2\x80\x9c", "\xe2\x80\x9d"},
                                         {"\xe2\x80\x9e", "\xe2\x80\x9c"}, {"\xc2\xab", "\xc2\xbb"}};
  for (size_t i = 0; i < COUNT_OF(pairs); i++) {
    Str from = str_of(pairs[i][0]), to = str_of(pairs[i][1]);
    if (s.size - at < from.size || memcmp(s.at + at, from.at, from.size) != 0) continue;
    bool single = from.at[0] == '\'';
    if (single && at > 0 && is_word(s.at[at - 1])) continue;
    for (size_t end = at + from.size; end + to.size <= s.size; end++) {
      if (s.at[end] == '\n' || end - at > QUOTED_MAX) break;
      if (memcmp(s.at + end, to.at, to.size) != 0) continue;
      if (single && is_word(byte_at(s, end + 1))) continue;
      *open = from.size;
      return end - at - from.size;
    }
  }
  return 0;
}

/* Signs that join a word where it goes on behind them: a-1, ada@x.org, 12:30, https://x.org, 1.5 and 1,000. */
static bool joins(Str s, size_t at) {
  char c = s.at[at], next = byte_at(s, at + 1);
  if (c == '/' || c == ':') return is_word(next) || next == '/';
  if (c == ',') {
    bool three = is_digit(next) && is_digit(byte_at(s, at + 2)) && is_digit(byte_at(s, at + 3));
    return three && is_digit(s.at[at - 1]) && !is_digit(byte_at(s, at + 4));
  }
  return (c == '-' || c == '_' || c == '.' || c == '@' || c == '+') && is_word(next);
}

static bool is_number(Str word) {
  double number;
  char text[40];
  size_t size = 0;
  for (size_t i = 0; i < word.size && size < sizeof text; i++) {
    if (word.at[i] != ',') text[size++] = word.at[i];
  }
  return size < sizeof text && is_digit(word.at[word.size - 1]) && !is_letter(word.at[0]) &&
         float_parse((Str){text, size}, &number);
}

static void word_add(Hints *h, Str s, size_t from, size_t end) {
  Str word = {s.at + from, end - from};
  bool telling = false;
  for (size_t i = 0; i < word.size; i++) telling |= is_digit(word.at[i]) || word.at[i] == '@';
  if (!telling) return;
  bool minus = from > 0 && s.at[from - 1] == '-' && (from < 2 || s.at[from - 2] <= ' ');
  Str number = minus ? (Str){word.at - 1, word.size + 1} : word;
  if (is_number(number)) hint_add(h, number, HINT_NUMBER);
  else hint_add(h, word, HINT_WORD);
}

void hints_read(Hints *h, Str s) {
  if (s.size > MESSAGE_MAX) {
    s.size = MESSAGE_MAX;
    while (s.size && (s.at[s.size] & 0xc0) == 0x80) s.size--; /* whole characters */
  }
  *h = (Hints){.message = s};
  for (size_t at = 0; at < s.size;) {
    size_t open = 0, size = quoted_size(s, at, &open), end = at;
    if (size) {
      hint_add(h, (Str){s.at + at + open, size}, HINT_QUOTED);
      at += size + open;
      at += open; /* the closing mark is as long as the opening one */
      continue;
    }
    if (!is_word(s.at[at])) {
      at++;
      continue;
    }
    while (end < s.size && (is_word(s.at[end]) || joins(s, end))) end++;
    word_add(h, s, at, end);
    at = end;
  }
}

/* -- words that two texts share -- */

/* The next word at or after *at, in a name too: "LookupCustomer" and "lookup_customer" are two words each. */
static bool word_next(Str s, size_t *at, Str *word) {
  while (*at < s.size && !is_word(s.at[*at])) ++*at;
  size_t from = *at, end = from;
  while (end < s.size && is_word(s.at[end])) {
    bool capital = s.at[end] >= 'A' && s.at[end] <= 'Z';
    if (capital && end > from && s.at[end - 1] >= 'a' && s.at[end - 1] <= 'z') break;
    end++;
  }
  *at = end;
  *word = (Str){s.at + from, end - from};
  return end > from;
}

static bool same_letters(Str a, Str b, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (lower(a.at[i]) != lower(b.at[i])) return false;
  }
  return true;
}

static bool says_nothing(Str word) {
  static const char *const plain[] = {"the",  "and",  "for",  "with", "that", "this",  "you",   "your", "are",  "was",
                                      "were", "has",  "have", "had",  "not",  "but",   "from",  "what", "who",  "when",
                                      "why",  "how",  "all",  "any",  "can",  "could", "would", "its",  "into", "one",
                                      "our",  "out",  "per",  "than", "then", "they",  "their", "there", "use", "used",
                                      "will", "which", "please", "about", "does", "did", "been", "her", "his", "him",
                                      "she",  "of",   "only", "also", "where", "some", "them", "these", "those", "may"};
  if (word.size < 3) return true;
  for (size_t i = 0; i < COUNT_OF(plain); i++) {
    Str p = str_of(plain[i]);
    if (p.size == word.size && same_letters(word, p, p.size)) return true;
  }
  return false;
}

/* Equal, or one goes on where the other, of four letters or more, ends: refund, refunds, refunded. */
static bool words_alike(Str a, Str b) {
  size_t shorter = a.size < b.size ? a.size : b.size, longer = a.size + b.size - shorter;
  if (shorter != longer && (shorter < 4 || longer - shorter > 3)) return false;
  return same_letters(a, b, shorter);
}

bool words_shared(Str a, Str b) {
  Str x, y;
  for (size_t i = 0; word_next(a, &i, &x);) {
    if (says_nothing(x)) continue;
    for (size_t k = 0; word_next(b, &k, &y);) {
      if (!says_nothing(y) && words_alike(x, y)) return true;
    }
  }
  return false;
}
