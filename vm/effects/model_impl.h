/* Between model.c and the providers. Only vm/effects/model*.c and their tests look in here.
**
** A provider turns a ModelCall into an HTTP request, and what comes back into r->reply (or a failure). model.c does
** what all have in common: it decodes and checks the call, cuts streams into events, decodes JSON, bounds what comes,
** reads status and retry headers, classifies errors, encodes reply or error. What a provider sees of one reply:
**
**   event* finish     where the body is a stream   (status 2xx)
**   whole             where it is one JSON text    (status 2xx; also when a stream was asked for)
**   nothing           any other status: the body is classified as an error
**
** What a provider is handed is never trusted: a field may be missing or of another kind. All value_* helpers take a
** Str of an encoded value whose at may be NULL (absent) and never fail other than by saying false. */
#ifndef Z8_MODEL_IMPL_H
#define Z8_MODEL_IMPL_H

#include "vm/base/cbor.h"
#include "vm/base/json.h"
#include "vm/effects/model.h"
#include "vm/effects/sse.h"

enum {
  MODEL_CALLS_MAX = 1024,    /* tool calls in one reply */
  MODEL_MESSAGE_BYTES = 2000 /* of an error's message */
};

/* -- the call, decoded and checked; all Strs point into the encoded call -- */

typedef enum { ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL } ModelRole;
typedef struct ModelToolCall { /* an earlier one, in an assistant message */
  Str id, name;
  Str arguments; /* encoded map; at NULL: there is `invalid` instead */
  Str invalid;
} ModelToolCall;
typedef struct ModelMessage {
  ModelRole role;
  Str content; /* encoded value; at NULL: none. model_content() prints it */
  ModelToolCall *calls;
  uint32_t call_count;
  Str raw;      /* bytes the same provider gave; at NULL: none */
  Str id, name; /* ROLE_TOOL: of the call that is answered, of the tool (at NULL: not told) */
  bool error;   /* ROLE_TOOL: the tool failed */
} ModelMessage;
typedef struct ModelTool {
  Str name, description; /* description.at NULL: none */
  Str schema;            /* JSON text, checked to be one object */
} ModelTool;
typedef enum { CHOICE_UNSET, CHOICE_AUTO, CHOICE_NONE, CHOICE_REQUIRED, CHOICE_TOOL } ModelChoice;

typedef struct ModelCall {
  ProviderId provider;
  Str url; /* without slashes at its end; the provider's own if none was given */
  Str name, key, system; /* key, system: at NULL: none. key has no control characters */
  ModelMessage *messages;
  ModelTool *tools;
  uint32_t message_count, tool_count;
  ModelChoice choice;
  Str choice_name; /* CHOICE_TOOL: of one of the tools */
  Str answer_name, answer_schema; /* answer_schema.at NULL: no structured output. name: [A-Za-z0-9_-]{1,64} */
  int64_t max_tokens;
  bool has_temperature, has_seed;
  double temperature;
  int64_t seed;
  Str *stops;
  uint32_t stop_count;
  Str effort; /* "low" "medium" "high"; at NULL: not given */
  bool stream, background;
  Str resume_id; /* at NULL: a new call */
  bool has_after;
  uint64_t resume_after;
} ModelCall;
/* ERR_INVALID: says what does not fit, capabilities of the provider included. Deinit either way. */
MUST_USE bool model_call_read(Str call, ModelCall *out, Err *err);
void model_call_deinit(ModelCall *call);

/* -- requests -- */

/* base + path. A base that ends in a path's short first part keeps it once: "http://h/v1" + "/v1/chat" is
** "http://h/v1/chat". Queries, of base and path, go to the end. */
void model_url(ModelHttp *out, Str base, const char *path);
bool model_url_has_path(Str base); /* more than a host */
/* Value = prefix and value. Copied; all header values may move until the last is added. */
void model_header(ModelHttp *out, const char *name, const char *prefix, Str value);

/* JSON text, members and items separated as needed: a comma unless a bracket or nothing stands before. Brackets are
** written with buf_byte. */
void json_member(Buf *out, const char *name); /* ,"name": */
void json_item(Buf *out);                     /* , */
void json_member_text(Buf *out, const char *name, Str utf8);
void json_member_int(Buf *out, const char *name, int64_t n);
void json_member_float(Buf *out, const char *name, double f);
void json_member_bool(Buf *out, const char *name, bool b);
void json_member_raw(Buf *out, const char *name, Str json);   /* JSON text as it is */
void json_member_value(Buf *out, const char *name, Str value); /* an encoded value as JSON */
/* A content as one JSON string: a string as it is, nil or absent as "", anything else as the text of its JSON. */
void model_content(Buf *out, Str value);
/* The same without quotes: plain text. */
void model_content_text(Buf *out, Str value);
/* The content of a tool's answer as a JSON string; for providers without a field for it an error says so in words. */
void model_tool_content(Buf *out, const ModelMessage *message);
/* The arguments of an earlier call as a JSON object: {} where they were invalid. */
void model_arguments(Buf *out, const ModelToolCall *call);

/* -- reading encoded values -- */

bool value_text(Str value, Str *out);         /* a string */
bool value_bytes(Str value, Str *out);        /* a string or bytes */
bool value_integer(Str value, int64_t *out);      /* an int, or a float without fraction */
bool value_number(Str value, double *out);    /* an int or a float */
bool value_true(Str value);                   /* true, and nothing else */
bool value_is_nil(Str value);                 /* nil or absent */
bool value_is_map(Str value);
bool value_is_list(Str value);
static inline Str value_get(Str map, const char *name) { return cbor_map_get(map, str_of(name)); }
Str value_get_text(Str map, const char *name); /* a string's text; {NULL, 0} where there is none */
/* The fields of a map by one walk, for maps that are asked for many. False: it is none, or has too many. */
enum { VALUE_FIELDS_MAX = 64 };
typedef struct ValueFields {
  Str names[VALUE_FIELDS_MAX], values[VALUE_FIELDS_MAX];
  uint32_t count;
} ValueFields;
MUST_USE bool value_fields(Str map, ValueFields *out);
Str value_field(const ValueFields *map, const char *name);
Str value_field_text(const ValueFields *map, const char *name);
/*   ValueList l; Str item; if (value_list(v, &l)) while (value_next(&l, &item)) …   */
typedef struct ValueList {
  CborReader r;
  uint64_t left;
} ValueList;
bool value_list(Str value, ValueList *out);
bool value_next(ValueList *l, Str *item);
/* JSON text as an encoded value. Lone surrogates and bytes that are no UTF-8 become U+FFFD, which servers that cut
** streams by tokens send. False: it is no JSON. */
MUST_USE bool model_decode(Str json, Buf *out);
/* The bytes of an object's member (the last of that name), as they stand in the text. False: there is none. For what
** must go back byte by byte. */
bool json_slice(Str json, Str name, Str *out);
/* The object with that member, a string, replaced or put first; all else as it stands in the text. */
void json_put_with(Buf *out, Str object, const char *name, Str utf8);
/* As json_slice for the items of an array, one after the other; of what is no array none. */
typedef struct JsonSlices {
  JsonReader r;
  bool open;
} JsonSlices;
void json_slices_begin(JsonSlices *s, Str json);
bool json_slices_next(JsonSlices *s, Str *out);
void json_slices_end(JsonSlices *s);
bool json_slice_item(Str json, uint64_t index, Str *out); /* one of them */

/* -- what comes back -- */

typedef enum { STOP_NONE, STOP_END, STOP_CALLS, STOP_LENGTH, STOP_REFUSAL, STOP_FILTER, STOP_OTHER } ModelStop;
typedef struct ReplyCall {
  uint64_t index; /* the provider's number for it */
  Buf id, name, arguments; /* arguments: JSON text so far; empty counts as {} */
  uint32_t depth;          /* open brackets of arguments, by model_reply_arguments */
  bool in_string, escaped, whole;
} ReplyCall;
typedef struct ModelUsage {
  uint64_t input, cached, cache_write, output, reasoning; /* input with cached and cache_write in it */
  bool has_input, has_output;                             /* told by the provider */
} ModelUsage;
typedef struct ModelReply {
  Buf text, refusal, raw, model, id;
  bool has_refusal, has_raw;
  ReplyCall *calls;
  uint32_t call_count, call_cap;
  ModelStop stop; /* with calls and STOP_END or STOP_NONE "calls" is said */
  ModelUsage usage;
} ModelReply;

typedef enum {
  MODEL_ERROR_NONE, MODEL_AUTH, MODEL_INVALID, MODEL_CONTEXT, MODEL_REFUSED, MODEL_RATE_LIMITED, MODEL_OVERLOADED,
  MODEL_SERVER, MODEL_NETWORK, MODEL_QUOTA, MODEL_REPLY
} ModelErrorCode;
typedef enum { RETRY_NEVER, RETRY_WAIT, RETRY_UNKNOWN } ModelRetry;

typedef struct ModelLimit {
  bool gone;        /* nothing remains */
  int64_t span_us;  /* until it is there again; -1: not said */
  int64_t date_us;  /* the same as a time */
} ModelLimit;
typedef struct ModelWaits { /* from headers; -1: not said */
  int64_t after_ms_us, after_us, after_date_us;
  int64_t date_us; /* the server's clock */
  ModelLimit limits[4]; /* of requests, input tokens, output tokens, tokens */
  int8_t should_retry; /* x-should-retry: 1, 0, -1 */
} ModelWaits;
void model_waits_init(ModelWaits *w);
void model_waits_header(ModelWaits *w, Str name, Str value);
int64_t model_waits_us(const ModelWaits *w, Str message); /* how long; 0: not said. message: "try again in 41.7s" */

typedef struct ModelFailure {
  ModelErrorCode code; /* MODEL_ERROR_NONE: none */
  ModelRetry retry;
  int64_t wait_us;
  Buf message;
} ModelFailure;

typedef struct Provider Provider;
struct ModelReader {
  const Provider *provider;
  ProviderId id;
  bool stream, background; /* asked for */
  int status;  /* 0: none came */
  ModelReply reply;
  ModelFailure failure; /* the first that was said */
  bool begun;    /* something of the answer came: from here on it may have been billed */
  bool complete; /* the provider has said how it ended: a connection that breaks now does no harm */
  bool over;     /* nothing more is needed */
  bool has_resume;
  bool resumed; /* the beginning of the text was given to an earlier reader */
  Buf resume_id;
  bool has_after;
  uint64_t resume_after;
  void *state; /* the provider's, state_size bytes, zeroed at the start */
  /* model.c's own from here */
  Buf *out;
  Buf body, scratch, request_id;
  Buf encoding, first; /* content-encoding, where there is one; the first bytes of a stream */
  bool evented;        /* an event that is an object came */
  Sse splitter;
  bool sniffed, as_stream, ending;
  uint64_t fed, estimate, earlier_calls;
  ModelWaits waits;
};

/* Appends to the reply's text and to what the caller of feed sees; sets begun. */
void model_reply_text(ModelReader *r, Str utf8);
void model_reply_refusal(ModelReader *r, Str utf8);
/* The last call with that index, made if there is none; NULL and a failure past MODEL_CALLS_MAX. Sets begun. */
ReplyCall *model_reply_call(ModelReader *r, uint64_t index);
ReplyCall *model_reply_call_new(ModelReader *r, uint64_t index); /* the same, but always a new one */
/* Appends: a string is JSON text, a map becomes it. Keeps `whole`: the brackets are closed. */
void model_reply_arguments(ReplyCall *call, Str value);
void model_reply_arguments_clear(ReplyCall *call);
/* The id under which the call stands in the reply, and with which its result will come: the provider's if it gave one
** that no call before has, else ours. A provider that keeps calls in `raw` writes it there too, or the results of the
** next request would belong to no call in it. */
void model_reply_call_id(const ModelReader *r, uint32_t at, Buf *out);
bool model_reply_call_named(const ModelReader *r, uint64_t index, Buf *id); /* by its index; false: there is none */
void model_reply_set(Buf *field, Str value); /* replaces, unless value is empty */
/* An encoded usage map of OpenAI's kind (chat or responses), tolerantly: what is missing or nil stays as it was. */
void model_usage_openai(ModelUsage *u, Str usage);
/* One field of such a map that is a number >= 0; false: leaves out alone. */
bool model_usage_field(Str usage, const char *name, uint64_t *out);

/* The first failure stands; sets over. The message is cut at MODEL_MESSAGE_BYTES. */
void model_fail(ModelReader *r, ModelErrorCode code, ModelRetry retry, const char *format, ...) PRINTF_LIKE(4, 5);
/* The reply as an encoded value; numbers nobody told are estimated. */
void model_reply_encode(ModelReader *r, Buf *out);
void model_reply_drop_calls(ModelReply *reply); /* what a later, whole word on them replaces */
void model_reply_deinit(ModelReply *reply);
/* {class, wait_us, status, request_id, sent, usage, partial} inside [code, message, data, nil]. */
void model_error_encode(ModelReader *r, bool sent, Buf *out);

/* What a provider says went wrong, classified by its words, the status and the headers. `error`: an encoded map
** {message, type, code, …}, a string, or absent; or a map that has such a thing under "error". */
void model_fail_by(ModelReader *r, Str error);
/* The same for a whole body, JSON or not, of a reply with an error's status. Nothing is asked for but plain bytes: one
** that is encoded all the same is said to be. */
void model_fail_body(ModelReader *r, Str body);

/* -- providers -- */

struct Provider {
  /* URL, headers, body. Everything in the call is checked; ERR_INVALID only for what is the provider's own. */
  bool (*request)(const ModelCall *call, ModelHttp *out, Err *err);
  /* How a stream is cut: server-sent events, or one JSON text a line. */
  SseKind framing;
  /* An "error" that is not nil in an event or answer is no business of the provider's, unless it says so. */
  bool own_errors;
  size_t state_size;                 /* of r->state */
  void (*deinit)(ModelReader *r);    /* frees what is in r->state (not itself); or NULL */
  /* One event of a stream: its name ("" if it has none), the JSON text and the same decoded. Sets r->over when nothing
  ** more is needed. "[DONE]" never arrives here: model.c ends the reply at it. */
  void (*event)(ModelReader *r, Str name, Str json, Str value);
  void (*whole)(ModelReader *r, Str json, Str value); /* an answer in one JSON text */
  /* The stream has ended by itself or was lost, nothing failed: last chance to finish the reply and to set complete;
  ** or NULL. */
  void (*finish)(ModelReader *r);
};
/* URL and headers of both of OpenAI's ways; path begins with "/v1", which a base with a path of its own replaces. */
void model_openai_address(const ModelCall *call, const char *path, ModelHttp *out);
/* provider_offline sends nothing: model_work.c asks model_offline.h, which encodes its reply as all others are. */
extern const Provider provider_openai, provider_responses, provider_anthropic, provider_ollama, provider_offline;

#endif
