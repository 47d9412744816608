/* What went wrong, and whether and when asking again makes sense.
**
** A provider's words are looked up first (code, then details.error_code, then type), then its message where those
** words are too general, then the status. Money is looked for before anything else: a quota that is used up answers
** 429 like a rate limit, and asking again would go on for ever. */
#include <math.h>
#include <strings.h>

#include "vm/base/file.h"
#include "vm/effects/model_impl.h"

enum { STATUS_OVERLOADED = 529 };
#define WAIT_MAX_US (INT64_C(31) * 86400 * 1000000)

static Str view(const Buf *b) { return b->size > 0 ? buf_view(b) : (Str){"", 0}; }

/* -- the table -- */

typedef struct Verdict {
  ModelErrorCode code;
  ModelRetry retry;
} Verdict;
typedef struct WordRow {
  const char *word;
  Verdict verdict;
  bool general; /* the message may know better */
} WordRow;

#define NEVER(code) {MODEL_##code, RETRY_NEVER}
#define WAIT(code) {MODEL_##code, RETRY_WAIT}
#define UNKNOWN(code) {MODEL_##code, RETRY_UNKNOWN}

static const WordRow words[] = {
    /* money */
    {"insufficient_quota", NEVER(QUOTA), false},
    {"credit_balance_exhausted", NEVER(QUOTA), false},
    {"credit_balance_too_low", NEVER(QUOTA), false},
    {"insufficient_credits", NEVER(QUOTA), false},
    {"insufficient_balance", NEVER(QUOTA), false},
    {"billing_hard_limit_reached", NEVER(QUOTA), false},
    {"billing_not_active", NEVER(QUOTA), false},
    {"billing_error", NEVER(QUOTA), false},
    {"budget_exceeded", NEVER(QUOTA), false},
    {"spend_limit_reached", NEVER(QUOTA), false},
    {"spend_limit_exceeded", NEVER(QUOTA), false},
    {"enforced_spend_limit_reached", NEVER(QUOTA), false},
    {"project_spend_limit_reached", NEVER(QUOTA), false},
    {"organization_spend_limit_reached", NEVER(QUOTA), false},
    {"workspace_spend_limit_reached", NEVER(QUOTA), false},
    {"quota_exceeded", NEVER(QUOTA), false},
    /* who asks */
    {"invalid_api_key", NEVER(AUTH), false},
    {"authentication_error", NEVER(AUTH), false},
    {"permission_error", NEVER(AUTH), true},
    {"permission_denied", NEVER(AUTH), false},
    {"account_deactivated", NEVER(AUTH), false},
    {"invalid_organization", NEVER(AUTH), false},
    {"unsupported_country_region_territory", NEVER(AUTH), false},
    /* too much */
    {"context_length_exceeded", NEVER(CONTEXT), false},
    {"context_window_exceeded", NEVER(CONTEXT), false},
    {"model_context_window_exceeded", NEVER(CONTEXT), false},
    {"request_too_large", NEVER(CONTEXT), false},
    {"exceed_context_size_error", NEVER(CONTEXT), false},
    /* what may not be asked */
    {"content_policy_violation", NEVER(REFUSED), false},
    {"content_filter", NEVER(REFUSED), false},
    {"invalid_prompt", NEVER(REFUSED), false},
    {"moderation_blocked", NEVER(REFUSED), false},
    {"cyber_policy", NEVER(REFUSED), false},
    /* wrong */
    {"model_not_found", NEVER(INVALID), false},
    {"not_found_error", NEVER(INVALID), true},
    {"invalid_request_error", NEVER(INVALID), true},
    {"invalid_value", NEVER(INVALID), true},
    {"unsupported_parameter", NEVER(INVALID), false},
    {"unsupported_value", NEVER(INVALID), false},
    {"invalid_json_schema", NEVER(INVALID), false},
    {"invalid_function_parameters", NEVER(INVALID), false},
    /* later */
    {"rate_limit_exceeded", WAIT(RATE_LIMITED), true}, /* or a request that never fits in */
    {"rate_limit_error", WAIT(RATE_LIMITED), true},
    {"too_many_requests", WAIT(RATE_LIMITED), true},
    {"tokens", WAIT(RATE_LIMITED), true}, /* types of OpenAI's 429 */
    {"requests", WAIT(RATE_LIMITED), true},
    {"overloaded_error", WAIT(OVERLOADED), false},
    {"overloaded", WAIT(OVERLOADED), false},
    {"server_is_overloaded", WAIT(OVERLOADED), false},
    {"engine_overloaded", WAIT(OVERLOADED), false},
    {"service_unavailable", WAIT(OVERLOADED), false},
    {"slow_down", WAIT(OVERLOADED), false},
    {"server_error", WAIT(SERVER), true},
    {"internal_server_error", WAIT(SERVER), true},
    {"internal_error", WAIT(SERVER), true},
    {"api_error", WAIT(SERVER), true},
    {"timeout_error", UNKNOWN(SERVER), false},
    {"request_timeout", UNKNOWN(SERVER), false},
};

/* Parts of messages, in lower case. A rate limit's message may mention billing ("add a payment method at …/billing"),
** so none of these is just that word. */
static const WordRow phrases[] = {
    {"credit balance is too low", NEVER(QUOTA), false},
    {"exceeded your current quota", NEVER(QUOTA), false},
    {"insufficient balance", NEVER(QUOTA), false},
    {"insufficient credit", NEVER(QUOTA), false},
    {"requires more credits", NEVER(QUOTA), false},
    {"spend limit", NEVER(QUOTA), false},
    {"spending limit", NEVER(QUOTA), false},
    {"api usage limits", NEVER(QUOTA), false},
    {"billing hard limit", NEVER(QUOTA), false},
    {"context length", NEVER(CONTEXT), false},
    {"context window", NEVER(CONTEXT), false},
    {"context size", NEVER(CONTEXT), false},
    {"context limit", NEVER(CONTEXT), false},
    {"maximum context", NEVER(CONTEXT), false},
    {"request too large", NEVER(CONTEXT), false},
    {"prompt is too long", NEVER(CONTEXT), false},
    {"prompt too long", NEVER(CONTEXT), false},
    {"input is too long", NEVER(CONTEXT), false},
    {"too many input tokens", NEVER(CONTEXT), false},
    {"content management policy", NEVER(REFUSED), false},
    {"content filtering policy", NEVER(REFUSED), false},
    {"usage policy", NEVER(REFUSED), false},
    {"incorrect api key", NEVER(AUTH), false},
    {"invalid api key", NEVER(AUTH), false},
    {"model is overloaded", WAIT(OVERLOADED), false},
    {"server busy", WAIT(OVERLOADED), false},
    {"rate limit reached", WAIT(RATE_LIMITED), false},
};

static Verdict by_status(int status) {
  switch (status) {
    case 401:
    case 403: return (Verdict)NEVER(AUTH);
    case 402: return (Verdict)NEVER(QUOTA);
    case 408: return (Verdict)UNKNOWN(SERVER);
    case 409:
    case 425: return (Verdict)WAIT(SERVER);
    case 413: return (Verdict)NEVER(CONTEXT);
    case 429: return (Verdict)WAIT(RATE_LIMITED);
    case 503:
    case STATUS_OVERLOADED: return (Verdict)WAIT(OVERLOADED);
    case 504: /* whoever stands between gave up; behind it the answer may have been made */
    case 524: return (Verdict)UNKNOWN(SERVER);
    default: break;
  }
  return status >= 500 ? (Verdict)WAIT(SERVER) : (Verdict)NEVER(INVALID);
}

static bool equal_folded(Str a, Str b) { return a.size == b.size && strncasecmp(a.at, b.at, a.size) == 0; }

static const WordRow *word_row(Str word) {
  for (size_t i = 0; i < COUNT_OF(words) && word.size > 0; i++)
    if (equal_folded(word, str_of(words[i].word))) return &words[i];
  return NULL;
}

static bool has_phrase(Str message, const char *phrase) {
  size_t size = strlen(phrase);
  for (size_t i = 0; i + size <= message.size; i++)
    if (strncasecmp(message.at + i, phrase, size) == 0) return true;
  return false;
}

static const WordRow *phrase_row(Str message) {
  for (size_t i = 0; i < COUNT_OF(phrases); i++)
    if (has_phrase(message, phrases[i].word)) return &phrases[i];
  return NULL;
}

/* -- what the provider said -- */

typedef struct Said {
  Buf told; /* `message` points into it where it had to be put together */
  Str message, words[4];
  int status;
} Said;

static bool is_status(int64_t n) { return n >= 400 && n <= 599; }

/* A code is a word with most, and a status as a number with some gateways. */
static void said_code(Said *s, Str code) {
  int64_t number = 0;
  bool is_word = value_text(code, &s->words[0]);
  if (is_word ? !int_parse(s->words[0], &number) : !value_integer(code, &number)) return;
  if (is_status(number) && s->status == 0) s->status = (int)number;
}

/* Words within what stands for a message: text, a map that has some, or a list of these. Of a list the first few:
** FastAPI tells each field that does not fit, as {loc: ["body", "model"], msg: "field required"}. */
static bool tell(Buf *out, Str value, uint32_t depth);

static const char *const message_names[] = {"message", "msg", "detail", "error", "errors", "title"};

static void tell_place(Buf *out, Str loc) {
  ValueList l;
  Str step, text;
  int64_t index;
  size_t before = out->size;
  if (!value_list(loc, &l)) return;
  for (const char *dot = ""; value_next(&l, &step); dot = ".") {
    if (value_text(step, &text)) buf_format(out, "%s" STR_FMT, dot, STR_ARG(text));
    else if (value_integer(step, &index)) buf_format(out, "%s%" PRId64, dot, index);
  }
  if (out->size > before) buf_text(out, ": ");
}

static bool tell_map(Buf *out, Str map, uint32_t depth) {
  size_t before = out->size;
  tell_place(out, value_get(map, "loc"));
  for (size_t i = 0; i < COUNT_OF(message_names); i++)
    if (tell(out, value_get(map, message_names[i]), depth + 1)) return true;
  out->size = before;
  return false;
}

static bool tell_list(Buf *out, ValueList *l, uint32_t depth) {
  enum { TOLD_MAX = 4 };
  Str item;
  int told = 0;
  while (told < TOLD_MAX && value_next(l, &item)) {
    size_t before = out->size;
    if (told > 0) buf_text(out, "; ");
    if (tell(out, item, depth + 1)) told++;
    else out->size = before;
  }
  return told > 0;
}

static bool tell(Buf *out, Str value, uint32_t depth) {
  ValueList l;
  Str text;
  if (depth > 4 || out->size > MODEL_MESSAGE_BYTES) return false;
  if (value_text(value, &text)) buf_str(out, text);
  else if (value_list(value, &l)) return tell_list(out, &l, depth);
  else return value_is_map(value) && tell_map(out, value, depth);
  return text.size > 0;
}

static void said_map(Said *s, Str error) {
  if (tell_map(&s->told, error, 0)) s->message = view(&s->told);
  said_code(s, value_get(error, "code"));
  s->words[1] = value_get_text(value_get(error, "details"), "error_code");
  s->words[2] = value_get_text(error, "type");
  s->words[3] = value_get_text(error, "status");
}

/* {error: {…}}, {error: "text"}, {…}, "text", or a list of such a thing. Free `told`. */
static Said said_of(Str error, int status) {
  Said s = {.status = status >= 400 ? status : 0};
  ValueList l;
  Str item;
  if (value_list(error, &l) && value_next(&l, &item)) error = item;
  Str inner = value_get(error, "error");
  if (value_is_map(inner)) error = inner;
  if (value_text(error, &s.message)) return s;
  if (value_is_map(error)) said_map(&s, error);
  return s;
}

static Verdict verdict_of(const Said *s) {
  const WordRow *general = NULL, *phrase;
  for (size_t i = 0; i < COUNT_OF(s->words); i++) {
    const WordRow *row = word_row(s->words[i]);
    if (row && row->verdict.code == MODEL_QUOTA) return row->verdict;
  }
  for (size_t i = 0; i < COUNT_OF(s->words); i++) {
    const WordRow *row = word_row(s->words[i]);
    if (row && !row->general) return row->verdict;
    if (row && !general) general = row;
  }
  if ((phrase = phrase_row(s->message)) != NULL) return phrase->verdict;
  if (general && (s->status == 0 || s->status == 400 || general->verdict.retry != RETRY_NEVER)) return general->verdict;
  return s->status > 0 ? by_status(s->status) : (Verdict)WAIT(SERVER);
}

/* -- failures -- */

static void message_put(Buf *out, Str message) {
  size_t size = message.size < MODEL_MESSAGE_BYTES ? message.size : MODEL_MESSAGE_BYTES;
  while (size > 0 && !utf8_valid((Str){message.at, size})) size--; /* a character cut in two */
  buf_put(out, message.at, size);
}

static void fail_with(ModelReader *r, Verdict verdict, Str message) {
  r->over = true;
  if (r->failure.code != MODEL_ERROR_NONE) return;
  r->failure.code = verdict.code;
  r->failure.retry = verdict.retry;
  message_put(&r->failure.message, message);
}

void model_fail(ModelReader *r, ModelErrorCode code, ModelRetry retry, const char *format, ...) {
  Buf text = {0};
  va_list args;
  va_start(args, format);
  buf_vformat(&text, format, args);
  va_end(args);
  fail_with(r, (Verdict){code, retry}, view(&text));
  buf_deinit(&text);
}

/* The provider may say itself whether to ask again; about money it is not believed. What has begun may be billed. */
static Verdict overruled(const ModelReader *r, Verdict v) {
  if (v.code == MODEL_QUOTA) return v;
  if (r->waits.should_retry == 0 && v.retry == RETRY_WAIT) v.retry = RETRY_NEVER;
  if (r->waits.should_retry == 1 && r->status >= 400) v.retry = RETRY_WAIT;
  if (r->begun && v.retry == RETRY_WAIT) v.retry = RETRY_UNKNOWN;
  return v;
}

static void message_make(const ModelReader *r, const Said *s, Buf *out) {
  const char *provider = provider_info[r->id].name;
  if (s->message.size > 0) message_put(out, s->message);
  else if (s->words[0].size > 0) message_put(out, s->words[0]);
  else if (s->words[2].size > 0) message_put(out, s->words[2]);
  else buf_text(out, "the provider gave an error without a word on it");
  if (r->status >= 300) buf_format(out, " (%s, HTTP %d)", provider, r->status);
  else buf_format(out, " (%s, within the answer)", provider);
}

void model_fail_by(ModelReader *r, Str error) {
  Said said = said_of(error, r->status);
  Verdict verdict = overruled(r, verdict_of(&said));
  Buf message = {0};
  if (r->failure.code == MODEL_ERROR_NONE && verdict.retry != RETRY_NEVER)
    r->failure.wait_us = model_waits_us(&r->waits, said.message);
  message_make(r, &said, &message);
  fail_with(r, verdict, view(&message));
  buf_deinit(&message);
  buf_deinit(&said.told);
}

/* Of a page for people its title; of other text its first line. */
static Str shown_part(Str body) {
  static const char open[] = "<title>";
  for (size_t i = 0; i + sizeof open - 1 <= body.size; i++) {
    if (strncasecmp(body.at + i, open, sizeof open - 1) != 0) continue;
    body = (Str){body.at + i + sizeof open - 1, body.size - i - (sizeof open - 1)};
    const char *end = memchr(body.at, '<', body.size);
    return (Str){body.at, end ? (size_t)(end - body.at) : body.size};
  }
  if (body.size > 0 && body.at[0] == '<') return (Str){"", 0};
  const char *end = body.size > 0 ? memchr(body.at, '\n', body.size) : NULL;
  return (Str){body.at, end ? (size_t)(end - body.at) : body.size};
}

static Str trimmed(Str s) {
  while (s.size > 0 && (uint8_t)s.at[0] <= ' ') s = (Str){s.at + 1, s.size - 1};
  while (s.size > 0 && (uint8_t)s.at[s.size - 1] <= ' ') s.size--;
  return s;
}

void model_fail_body(ModelReader *r, Str body) {
  Buf value = {0};
  bool redirect = r->status >= 300 && r->status < 400;
  body = trimmed(body);
  if (redirect) {
    model_fail(r, MODEL_INVALID, RETRY_NEVER, "the server sends elsewhere (HTTP %d); set the url it means", r->status);
  } else if (model_decode(body, &value)) {
    model_fail_by(r, buf_view(&value));
  } else if (r->encoding.size > 0) {
    Buf words_of = {0};
    buf_format(&words_of, "its words are encoded as " STR_FMT ", which was not asked for", STR_ARG(view(&r->encoding)));
    cbor_put_text(&value, view(&words_of));
    model_fail_by(r, view(&value));
    buf_deinit(&words_of);
  } else {
    Str shown = trimmed(shown_part(body));
    if (shown.size > 200) shown.size = 200;
    while (shown.size > 0 && !utf8_valid(shown)) shown.size--;
    if (shown.size > 0) cbor_put_text(&value, shown);
    model_fail_by(r, shown.size > 0 ? buf_view(&value) : (Str){0});
  }
  buf_deinit(&value);
}

/* -- when to ask again -- */

void model_waits_init(ModelWaits *w) {
  *w = (ModelWaits){.after_ms_us = -1, .after_us = -1, .after_date_us = -1, .date_us = -1, .should_retry = -1};
  for (size_t i = 0; i < COUNT_OF(w->limits); i++) w->limits[i] = (ModelLimit){false, -1, -1};
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Digits with an optional point, at the front of s; they are taken off it. */
static bool take_number(Str *s, double *out) {
  size_t size = 0;
  while (size < s->size && (is_digit(s->at[size]) ||
                            (s->at[size] == '.' && size + 1 < s->size && is_digit(s->at[size + 1]))))
    size++;
  if (size == 0 || size > 20 || !is_digit(s->at[0]) || !float_parse((Str){s->at, size}, out)) return false;
  *s = (Str){s->at + size, s->size - size};
  return true;
}

static int64_t us_of(double seconds) {
  double us = ceil(seconds * 1e6);
  return us < (double)WAIT_MAX_US ? (int64_t)us : WAIT_MAX_US;
}

static double unit_seconds(Str *s) {
  static const struct {
    const char *name;
    double seconds;
  } units[] = {{"milliseconds", 1e-3}, {"millisecond", 1e-3}, {"ms", 1e-3},   {"minutes", 60},   {"minute", 60},
               {"min", 60},            {"m", 60},             {"hours", 3600}, {"hour", 3600},    {"h", 3600},
               {"days", 86400},        {"day", 86400},        {"d", 86400},   {"seconds", 1},    {"second", 1},
               {"sec", 1},             {"s", 1}};
  for (size_t i = 0; i < COUNT_OF(units); i++) {
    size_t size = strlen(units[i].name);
    if (s->size < size || strncasecmp(s->at, units[i].name, size) != 0) continue;
    *s = (Str){s->at + size, s->size - size};
    return units[i].seconds;
  }
  return 0;
}

/* "6m0s", "41.724s", "20ms", "2 minutes"; a number alone is seconds if `bare`. -1: it is none. */
static int64_t span_us(Str s, bool bare) {
  double number, total = 0;
  bool any = false;
  while (take_number(&s, &number)) {
    Str rest = trimmed(s);
    double unit = unit_seconds(&rest);
    if (unit == 0 && bare && !any && rest.size == 0) return us_of(number);
    if (unit == 0) break;
    total += number * unit;
    any = true;
    s = rest;
  }
  return any ? us_of(total) : -1;
}

static int month_of(Str s) {
  static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  for (int i = 0; i < 12; i++)
    if (s.size >= 3 && strncasecmp(names + 3 * i, s.at, 3) == 0) return i + 1;
  return 0;
}

static bool two_digits(const char *at, int32_t *out) {
  *out = (at[0] - '0') * 10 + (at[1] - '0');
  return is_digit(at[0]) && is_digit(at[1]);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT"; the older forms are not sent any more. */
static bool http_date(Str s, int64_t *us) {
  TimeParts parts = {0};
  int32_t century, year;
  if (s.size != 29 || s.at[3] != ',' || s.at[19] != ':' || s.at[22] != ':') return false;
  parts.month = month_of((Str){s.at + 8, 3});
  if (!two_digits(s.at + 5, &parts.day) || !two_digits(s.at + 12, &century) || !two_digits(s.at + 14, &year) ||
      !two_digits(s.at + 17, &parts.hour) || !two_digits(s.at + 20, &parts.minute) ||
      !two_digits(s.at + 23, &parts.second) || parts.month == 0)
    return false;
  parts.year = century * 100 + year;
  return time_join(&parts, us);
}

/* What the server's clock shows, or ours. */
static int64_t now_us(const ModelWaits *w) { return w->date_us >= 0 ? w->date_us : clock_now_us(); }

static int64_t until_us(const ModelWaits *w, int64_t then_us) {
  int64_t left = then_us - now_us(w);
  return left < 0 ? 0 : left < WAIT_MAX_US ? left : WAIT_MAX_US;
}

/* retry-after: seconds, or a date. */
static void after_header(ModelWaits *w, Str value) {
  int64_t us = span_us(value, true), date;
  if (us >= 0) w->after_us = us;
  else if (http_date(value, &date)) w->after_date_us = date;
}

/* Reset of a limit: a span with OpenAI, a time with Anthropic. Negative and odd ones say nothing. */
static void reset_header(ModelLimit *limit, Str value) {
  int64_t us, then;
  if (time_parse(value, &then)) {
    if (then > limit->date_us) limit->date_us = then;
  } else if ((us = span_us(value, false)) > limit->span_us) {
    limit->span_us = us;
  }
}

static bool begins(Str s, const char *part) { return s.size >= strlen(part) && memcmp(s.at, part, strlen(part)) == 0; }
static bool ends(Str s, const char *part) {
  size_t size = strlen(part);
  return s.size >= size && memcmp(s.at + s.size - size, part, size) == 0;
}

/* x-ratelimit-remaining-tokens, anthropic-ratelimit-input-tokens-remaining and so on. */
static void limit_header(ModelWaits *w, Str name, Str value) {
  static const char *const kinds[] = {"requests", "input-tokens", "output-tokens"};
  size_t kind = 0;
  while (kind < COUNT_OF(kinds) && !has_phrase(name, kinds[kind])) kind++;
  ModelLimit *limit = &w->limits[kind];
  if (begins(name, "x-ratelimit-reset-") || ends(name, "-reset")) reset_header(limit, value);
  else if (has_phrase(name, "remaining") && str_equal(value, STR("0"))) limit->gone = true;
}

void model_waits_header(ModelWaits *w, Str name, Str value) {
  double ms;
  Str rest = value = trimmed(value);
  if (str_equal(name, STR("retry-after-ms"))) {
    if (take_number(&rest, &ms) && rest.size == 0) w->after_ms_us = us_of(ms / 1000);
  } else if (str_equal(name, STR("retry-after"))) {
    after_header(w, value);
  } else if (str_equal(name, STR("x-should-retry"))) {
    if (equal_folded(value, STR("true"))) w->should_retry = 1;
    if (equal_folded(value, STR("false"))) w->should_retry = 0;
  } else if (str_equal(name, STR("date"))) {
    if (!http_date(value, &w->date_us)) w->date_us = -1;
  } else if (begins(name, "x-ratelimit-") || begins(name, "anthropic-ratelimit-")) {
    limit_header(w, name, value);
  }
}

static int64_t limit_us(const ModelWaits *w, const ModelLimit *limit) {
  if (!limit->gone) return 0;
  int64_t date = limit->date_us >= 0 ? until_us(w, limit->date_us) : 0;
  return limit->span_us > date ? limit->span_us : date;
}

/* "Please try again in 41.724s." */
static int64_t text_us(Str message) {
  static const char *const leads[] = {"try again in ", "retry after ", "retry in "};
  for (size_t k = 0; k < COUNT_OF(leads); k++) {
    size_t size = strlen(leads[k]);
    for (size_t i = 0; i + size <= message.size; i++) {
      if (strncasecmp(message.at + i, leads[k], size) != 0) continue;
      int64_t us = span_us((Str){message.at + i + size, message.size - i - size}, false);
      if (us >= 0) return us;
    }
  }
  return 0;
}

int64_t model_waits_us(const ModelWaits *w, Str message) {
  if (w->after_ms_us >= 0) return w->after_ms_us;
  if (w->after_us >= 0) return w->after_us;
  if (w->after_date_us >= 0) return until_us(w, w->after_date_us);
  int64_t wait = 0;
  for (size_t i = 0; i < COUNT_OF(w->limits); i++) {
    int64_t us = limit_us(w, &w->limits[i]);
    if (us > wait) wait = us;
  }
  return wait > 0 ? wait : text_us(message);
}
