/* Model calls in one common form, and what each provider makes of it. No socket is known here: a call
** becomes an HTTP request, bytes that come back become a reply, so that all of it can be tested with
** recorded bytes and fed rubbish.
**
** A call is an encoded map (keys that are missing count as nil):
**   provider   "openai" "openai_responses" "anthropic" "ollama" "offline"
**   url        base, or nil for the provider's own;  name  the model's;  api_key  a string (resolved), or nil
**   system     string or nil
**   messages   list of {role: "user", content} {role: "assistant", content, calls, raw} {role: "tool", id, name,
**              content, error}; raw: bytes as the provider gave them, sent back as they are to the same provider
**   tools      list of {name, description, schema}; schema is JSON text
**   choice     nil "auto" "none" "required" or a tool's name
**   answer     {name, schema} or nil: structured output
**   max_tokens temperature seed stop effort   int, float, int, list of strings, "low" "medium" "high"; or nil. An
**              answer that is not bounded is bounded by MODEL_ANSWER_TOKENS, for every provider: budgets reserve it
**   stream     bool;  background  bool (openai_responses)
**   resume     {id, after} or nil: take up a background response
**
** A reply is an encoded map:
**   text, calls: list of {id, name, arguments: map, or nil with invalid: the text that is no JSON object}
**   stop       "end" "calls" "length" "refusal" "filter" "other";  refusal  string or nil
**   raw        bytes or nil;  model, id, request_id  strings or nil
**   usage      {input, cached, cache_write, output, reasoning, exact}: input counts all of the prompt, the cached part
**              included; exact is false where the provider did not say and numbers were estimated
**
** An error is [code, message, data, nil]; data has {class, wait_us, status, request_id, sent, usage}:
**   code model_auth model_invalid model_context model_refused model_rate_limited model_overloaded model_server
**        model_network model_quota (money: never retried) model_reply (what came cannot be read)
**   class "never" "wait" (after wait_us, or backoff if it is 0) "unknown" (sent, and perhaps answered and billed) */
#ifndef Z8_MODEL_H
#define Z8_MODEL_H

#include "lang/tables.h"
#include "vm/base/buf.h"
#include "vm/base/err.h"

bool provider_by_name(Str name, ProviderId *out);

enum { MODEL_ANSWER_TOKENS = 4096 }; /* what the oldest models can give */

typedef struct ModelHeader {
  const char *name;
  Str value;
} ModelHeader;
typedef struct ModelHttp { /* a call as HTTP */
  const char *method;      /* "POST"; "GET" to resume */
  Buf url;                 /* terminated */
  ModelHeader headers[8];
  uint32_t header_count;
  Buf body, texts; /* texts: behind the headers */
  bool stream;
} ModelHttp;
/* ERR_INVALID: the call makes no sense, or the provider cannot do it; says what. */
MUST_USE bool model_request(Str call, ModelHttp *out, Err *err);
void model_http_deinit(ModelHttp *http); /* wipes: it held a key */
/* How many tokens the prompt has. `likely`: about, never less than a third of the true number for text. `most`: no
** dictionary that falls back on bytes makes more of what is sent; what a server adds to it, a hidden prompt, is not in
** it. Linear, allocates nothing; likely <= most. */
typedef struct ModelTokens {
  uint64_t likely, most;
} ModelTokens;
ModelTokens model_tokens(Str call);
uint64_t model_estimate(Str call); /* what is likely */

/* What comes back, piece by piece. */
typedef struct ModelReader ModelReader;
ModelReader *model_reader_new(Str call);
void model_reader_free(ModelReader *r);
/* Status and headers, once, before any bytes. name in lower case. */
void model_reader_status(ModelReader *r, int status);
void model_reader_header(ModelReader *r, Str name, Str value);
/* Bytes of the body, cut anywhere. New text of the answer is appended to `text`. False: it is over, or cannot be
** read; nothing more is needed. */
bool model_reader_feed(ModelReader *r, Str bytes, Buf *text);
/* The connection ended: by itself, or `lost` (then `why` says how; sent: the request had left). Gives "ok" with a
** reply, "error" or "unknown" with an error. A stream that broke after content is "unknown", with what had come in
** data.partial. */
const char *model_reader_end(ModelReader *r, bool lost, bool sent, Str why, Buf *value);
/* Of a background response: its id as soon as it is known, and the last event's number; false: none. */
bool model_reader_resume(const ModelReader *r, Str *id, uint64_t *after);

#endif
