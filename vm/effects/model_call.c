/* A call out of its encoded map, checked, so that no provider has to ask twice; and the parts of requests that all
** providers share. */
#include <math.h>
#include <strings.h>

#include "vm/base/json.h"
#include "vm/base/mem.h"
#include "vm/effects/model_impl.h"

enum { URL_BYTES_MAX = 8192, KEY_BYTES_MAX = 8192, NAME_BYTES_MAX = 256, STOPS_MAX = 16 };

static bool refuse(Err *err, const char *why) {
  FAIL(err, ERR_INVALID, "a model call %s", why);
  return false;
}

/* -- fields -- */

/* A string or nil. */
static bool text_field(const ValueFields *map, const char *name, Str *out, Err *err) {
  Str value = value_field(map, name);
  *out = (Str){0};
  if (value_is_nil(value)) return true;
  *out = value_field_text(map, name);
  if (out->at) return true;
  FAIL(err, ERR_INVALID, "a model call's %s must be a string", name);
  return false;
}

static bool int_field(const ValueFields *map, const char *name, bool *has, int64_t *out, Err *err) {
  Str value = value_field(map, name);
  *has = !value_is_nil(value);
  if (!*has || value_integer(value, out)) return true;
  FAIL(err, ERR_INVALID, "a model call's %s must be an int", name);
  return false;
}

/* Names of tools and answers, as the strictest provider wants them. */
static bool is_word(Str s) {
  for (size_t i = 0; i < s.size; i++) {
    char c = s.at[i];
    bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!fine) return false;
  }
  return s.size >= 1 && s.size <= 64;
}

static bool is_visible(Str s) {
  for (size_t i = 0; i < s.size; i++)
    if ((uint8_t)s.at[i] <= ' ' || s.at[i] == 0x7f) return false;
  return s.size > 0;
}

/* JSON text that is one object; space around it does no harm. */
static bool is_object(Str json) {
  JsonReader r;
  json_init(&r, json);
  JsonEvent event = json_next(&r);
  bool object = event == JSON_OBJECT;
  while (event != JSON_END && event != JSON_ERROR) event = json_next(&r);
  json_deinit(&r);
  return object && event == JSON_END;
}

/* -- whom to ask -- */

static bool url_check(Str url, Err *err) {
  size_t scheme = url.size > 7 && strncasecmp(url.at, "http://", 7) == 0    ? 7
                  : url.size > 8 && strncasecmp(url.at, "https://", 8) == 0 ? 8
                                                                            : 0;
  bool host = scheme > 0 && url.at[scheme] != '/' && url.at[scheme] != '?' && url.at[scheme] != ':';
  if (host && is_visible(url) && url.size <= URL_BYTES_MAX && memchr(url.at, '#', url.size) == NULL) return true;
  FAIL(err, ERR_INVALID, "a model's url begins with http:// or https:// and has no spaces, like %s",
       provider_info[PROVIDER_OPENAI].url);
  return false;
}

static bool target_read(const ValueFields *map, ModelCall *c, Err *err) {
  Str provider;
  if (!text_field(map, "provider", &provider, err)) return false;
  if (!provider.at || !provider_by_name(provider, &c->provider)) {
    FAIL(err, ERR_INVALID,
         "no provider is called \"%.*s\"; there are openai, openai_responses, anthropic, ollama, offline",
         provider.size < 60 ? (int)provider.size : 0, provider.at ? provider.at : "");
    return false;
  }
  if (!text_field(map, "url", &c->url, err) || !text_field(map, "name", &c->name, err) ||
      !text_field(map, "api_key", &c->key, err))
    return false;
  if (c->url.at && !url_check(c->url, err)) return false;
  if (!c->url.at) c->url = str_of(provider_info[c->provider].url);
  while (c->url.size > 0 && c->url.at[c->url.size - 1] == '/') c->url.size--;
  if (c->provider == PROVIDER_OFFLINE && !c->name.at) c->name = STR("offline");
  if (!c->name.at || c->name.size == 0 || c->name.size > NAME_BYTES_MAX)
    return refuse(err, "needs the model's name, a string of at most 256 bytes");
  if (c->key.at && c->key.size == 0) c->key = (Str){0};
  if (c->key.at && (!is_visible(c->key) || c->key.size > KEY_BYTES_MAX))
    return refuse(err, "has an api_key with spaces or line ends in it; it cannot be sent as a header");
  return true;
}

/* -- messages -- */

static bool tool_call_read(Str map, ModelToolCall *out, Err *err) {
  Str arguments = value_get(map, "arguments");
  *out = (ModelToolCall){.id = value_get_text(map, "id"), .name = value_get_text(map, "name")};
  if (!out->id.at || !out->name.at) return refuse(err, "has an earlier tool call without id or name");
  if (value_is_map(arguments)) out->arguments = arguments;
  else if (!value_is_nil(arguments)) return refuse(err, "has an earlier tool call whose arguments are no map");
  out->invalid = value_get_text(map, "invalid");
  if (!out->arguments.at && !out->invalid.at) out->invalid = STR("");
  return true;
}

static bool tool_calls_read(Str list, ModelMessage *out, Err *err) {
  ValueList l;
  Str item;
  uint32_t cap = 0;
  if (value_is_nil(list)) return true;
  if (!value_list(list, &l)) return refuse(err, "has a message whose calls are no list");
  while (value_next(&l, &item)) {
    out->calls = mem_grow(out->calls, &cap, out->call_count + 1, sizeof *out->calls);
    if (!tool_call_read(item, &out->calls[out->call_count], err)) return false;
    out->call_count++;
  }
  return true;
}

static bool role_read(Str map, ModelRole *out, Err *err) {
  Str role = value_get_text(map, "role");
  if (str_equal(role, STR("user"))) *out = ROLE_USER;
  else if (str_equal(role, STR("assistant"))) *out = ROLE_ASSISTANT;
  else if (str_equal(role, STR("tool"))) *out = ROLE_TOOL;
  else return refuse(err, "has a message whose role is not \"user\", \"assistant\" or \"tool\"");
  return true;
}

static bool message_read(Str map, ModelMessage *out, Err *err) {
  if (!role_read(map, &out->role, err)) return false;
  out->content = value_get(map, "content");
  if (value_is_nil(out->content)) out->content = (Str){0};
  if (out->role == ROLE_TOOL) {
    out->id = value_get_text(map, "id");
    out->name = value_get_text(map, "name");
    out->error = value_true(value_get(map, "error"));
    return out->id.at || refuse(err, "has a tool's answer without the id of its call");
  }
  if (out->role == ROLE_USER) return true;
  Str raw = value_get(map, "raw");
  if (!value_is_nil(raw) && !value_bytes(raw, &out->raw)) return refuse(err, "has a message whose raw is no bytes");
  return tool_calls_read(value_get(map, "calls"), out, err);
}

static bool messages_read(const ValueFields *map, ModelCall *c, Err *err) {
  ValueList l;
  Str item, list = value_field(map, "messages");
  uint32_t cap = 0;
  if (value_is_nil(list) && c->resume_id.at) return true;
  if (!value_list(list, &l)) return refuse(err, "needs messages, a list");
  while (value_next(&l, &item)) {
    c->messages = mem_grow(c->messages, &cap, c->message_count + 1, sizeof *c->messages);
    c->message_count++;
    if (!message_read(item, &c->messages[c->message_count - 1], err)) return false;
  }
  return c->message_count > 0 || c->resume_id.at || refuse(err, "needs at least one message");
}

/* -- tools and answers -- */

static bool tool_read(Str map, ModelTool *out, Err *err) {
  *out = (ModelTool){value_get_text(map, "name"), value_get_text(map, "description"), value_get_text(map, "schema")};
  if (!is_word(out->name)) {
    FAIL(err, ERR_INVALID, "a tool's name is 1 to 64 letters, digits, _ and -: \"%.*s\" is not one",
         out->name.size < 80 ? (int)out->name.size : 0, out->name.at ? out->name.at : "");
    return false;
  }
  if (is_object(out->schema)) return true;
  FAIL(err, ERR_INVALID, "the schema of the tool %.*s must be a JSON object", STR_ARG(out->name));
  return false;
}

static bool tools_read(const ValueFields *map, ModelCall *c, Err *err) {
  ValueList l;
  Str item, list = value_field(map, "tools");
  uint32_t cap = 0;
  if (value_is_nil(list)) return true;
  if (!value_list(list, &l)) return refuse(err, "has tools that are no list");
  while (value_next(&l, &item)) {
    c->tools = mem_grow(c->tools, &cap, c->tool_count + 1, sizeof *c->tools);
    if (!tool_read(item, &c->tools[c->tool_count], err)) return false;
    c->tool_count++;
  }
  return true;
}

static bool choice_read(const ValueFields *map, ModelCall *c, Err *err) {
  Str choice;
  if (!text_field(map, "choice", &choice, err)) return false;
  if (!choice.at) return true;
  if (str_equal(choice, STR("auto"))) c->choice = CHOICE_AUTO;
  else if (str_equal(choice, STR("none"))) c->choice = CHOICE_NONE;
  else if (str_equal(choice, STR("required"))) c->choice = CHOICE_REQUIRED;
  else c->choice = CHOICE_TOOL;
  if (c->choice == CHOICE_REQUIRED && c->tool_count == 0) return refuse(err, "requires a tool call but has no tools");
  if (c->tool_count == 0 && c->choice != CHOICE_TOOL) c->choice = CHOICE_UNSET;
  if (c->choice != CHOICE_TOOL) return true;
  c->choice_name = choice;
  for (uint32_t i = 0; i < c->tool_count; i++)
    if (str_equal(c->tools[i].name, choice)) return true;
  return refuse(err, "chooses a tool that is not among its tools");
}

static bool answer_read(const ValueFields *map, ModelCall *c, Err *err) {
  Str answer = value_field(map, "answer");
  if (value_is_nil(answer)) return true;
  c->answer_name = value_get_text(answer, "name");
  c->answer_schema = value_get_text(answer, "schema");
  if (!is_word(c->answer_name)) return refuse(err, "needs a name for its answer: 1 to 64 letters, digits, _ and -");
  return is_object(c->answer_schema) || refuse(err, "needs a schema for its answer, a JSON object");
}

/* -- knobs -- */

static bool stops_read(const ValueFields *map, ModelCall *c, Err *err) {
  ValueList l;
  Str item, stop, list = value_field(map, "stop");
  uint32_t cap = 0;
  if (value_is_nil(list)) return true;
  if (!value_list(list, &l)) return refuse(err, "has a stop that is no list of strings");
  while (value_next(&l, &item)) {
    if (!value_text(item, &stop) || stop.size == 0 || c->stop_count == STOPS_MAX)
      return refuse(err, "has a stop that is no list of at most 16 strings, none of them empty");
    c->stops = mem_grow(c->stops, &cap, c->stop_count + 1, sizeof *c->stops);
    c->stops[c->stop_count++] = stop;
  }
  return true;
}

static bool effort_read(const ValueFields *map, ModelCall *c, Err *err) {
  if (!text_field(map, "effort", &c->effort, err)) return false;
  return !c->effort.at || str_equal(c->effort, STR("low")) || str_equal(c->effort, STR("medium")) ||
         str_equal(c->effort, STR("high")) || refuse(err, "has an effort that is not \"low\", \"medium\" or \"high\"");
}

static bool knobs_read(const ValueFields *map, ModelCall *c, Err *err) {
  bool has_max;
  Str temperature = value_field(map, "temperature");
  if (!int_field(map, "max_tokens", &has_max, &c->max_tokens, err)) return false;
  if (has_max && c->max_tokens <= 0) return refuse(err, "needs a max_tokens above zero");
  if (!has_max) c->max_tokens = MODEL_ANSWER_TOKENS;
  if (!int_field(map, "seed", &c->has_seed, &c->seed, err)) return false;
  c->has_temperature = !value_is_nil(temperature);
  if (c->has_temperature && (!value_number(temperature, &c->temperature) || !isfinite(c->temperature)))
    return refuse(err, "has a temperature that is no number");
  c->stream = value_true(value_field(map, "stream"));
  c->background = value_true(value_field(map, "background"));
  return stops_read(map, c, err) && effort_read(map, c, err);
}

static bool resume_read(const ValueFields *map, ModelCall *c, Err *err) {
  Str resume = value_field(map, "resume");
  int64_t after;
  if (value_is_nil(resume)) return true;
  c->resume_id = value_get_text(resume, "id");
  if (!is_visible(c->resume_id) || c->resume_id.size > NAME_BYTES_MAX)
    return refuse(err, "is to take up a response but gives no id of one");
  ValueFields fields;
  if (!value_fields(resume, &fields)) return refuse(err, "has a resume that is no small map");
  if (!int_field(&fields, "after", &c->has_after, &after, err)) return false;
  if (c->has_after && after < 0) return refuse(err, "is to take up a response after a number below zero");
  if (c->has_after) c->resume_after = (uint64_t)after;
  return true;
}

/* What the provider has no field for would be dropped in silence, so it is refused. */
static bool fits_provider(const ModelCall *c, Err *err) {
  const ProviderInfo *info = &provider_info[c->provider];
  const char *what = NULL;
  if (c->tool_count > 0 && !(info->can & CAN_TOOLS)) what = "tools";
  if ((c->choice == CHOICE_REQUIRED || c->choice == CHOICE_TOOL) && !(info->can & CAN_CHOICE)) what = "choice";
  if (c->answer_schema.at && !(info->can & CAN_SCHEMA)) what = "answer";
  if (c->has_seed && !(info->can & CAN_SEED)) what = "seed";
  if (c->stop_count > 0 && !(info->can & CAN_STOP)) what = "stop";
  if (c->background && !(info->can & CAN_BACKGROUND)) what = "background";
  if (c->resume_id.at && !(info->can & CAN_BACKGROUND)) what = "resume";
  if (!what) return true;
  FAIL(err, ERR_INVALID, "the provider %s has no \"%s\"; leave it out or take another provider", info->name, what);
  return false;
}

bool model_call_read(Str call, ModelCall *out, Err *err) {
  *out = (ModelCall){0};
  ValueFields map; /* looked through once: what is looked for stands behind long messages */
  if (!value_is_map(call)) return refuse(err, "is a map");
  if (!value_fields(call, &map)) return refuse(err, "is a map of at most 64 fields");
  return target_read(&map, out, err) && text_field(&map, "system", &out->system, err) && resume_read(&map, out, err) &&
         messages_read(&map, out, err) && tools_read(&map, out, err) && choice_read(&map, out, err) &&
         answer_read(&map, out, err) && knobs_read(&map, out, err) && fits_provider(out, err);
}

void model_call_deinit(ModelCall *c) {
  for (uint32_t i = 0; i < c->message_count; i++) mem_free(c->messages[i].calls);
  mem_free(c->messages);
  mem_free(c->tools);
  mem_free(c->stops);
  *c = (ModelCall){0};
}

/* -- requests -- */

/* Where the path begins: behind the host. */
static size_t path_start(Str url) {
  const char *slashes = memmem(url.at, url.size, "://", 3);
  size_t at = slashes ? (size_t)(slashes - url.at) + 3 : 0;
  while (at < url.size && url.at[at] != '/' && url.at[at] != '?') at++;
  return at;
}

bool model_url_has_path(Str base) {
  size_t at = path_start(base);
  return at + 1 < base.size && base.at[at] == '/' && base.at[at + 1] != '?';
}

void model_url(ModelHttp *out, Str base, const char *path) {
  const char *query = base.size > 0 ? memchr(base.at, '?', base.size) : NULL;
  Str rest = query ? (Str){query, (size_t)(base.at + base.size - query)} : (Str){"", 0};
  base.size -= rest.size;
  while (base.size > 0 && base.at[base.size - 1] == '/') base.size--;
  const char *second = strchr(path + 1, '/');
  size_t first = second ? (size_t)(second - path) : strlen(path);
  bool twice = first <= strlen("/api") && base.size >= first && path_start(base) <= base.size - first &&
               memcmp(base.at + base.size - first, path, first) == 0;
  buf_clear(&out->url);
  buf_str(&out->url, base);
  buf_text(&out->url, twice ? path + first : path);
  if (rest.size > 0 && strchr(path, '?')) {
    buf_byte(&out->url, '&');
    rest = (Str){rest.at + 1, rest.size - 1};
  }
  buf_str(&out->url, rest);
  buf_byte(&out->url, 0);
}

void model_header(ModelHttp *out, const char *name, const char *prefix, Str value) {
  ASSERT(out->header_count < COUNT_OF(out->headers));
  size_t before = out->texts.size;
  buf_text(&out->texts, prefix);
  buf_str(&out->texts, value);
  out->headers[out->header_count++] = (ModelHeader){name, {NULL, out->texts.size - before}};
  size_t at = 0;
  for (uint32_t i = 0; i < out->header_count; i++) {
    out->headers[i].value.at = out->texts.at + at;
    at += out->headers[i].value.size;
  }
}
