/* The outside world. Requests come encoded, outcomes go back encoded; no VM value is known here. One I/O thread
** drives libcurl's multi interface, file work and the extern helper process; outcomes are queued and the owner is woken
** through a descriptor.
**
** Outcome words are for ever (they stand in journals):
**   "ok"       value is the answer
**   "error"    value is an encoded error [code, message, data, nil]: it is known that nothing was done, or the world
**              said no
**   "unknown"  it may have happened: lost after sending, timed out, the helper died
**   "interrupted"  said by the runtime, not from here: it may have happened, the process ended meanwhile
** An HTTP reply of any status is "ok"; the program looks at the status. A request that could not be sent at all
** (refused, no such host) is "error".
**
** A MODEL request has one operand, the call of model.h (api_key may be sealed). Its outcome is a reply or an error of
** model.h. Before it there may be any number of others, with `more` set, which stand in no journal:
**   "text"     value is raw UTF-8: what came of the answer's text since the last one. Provisional: the reply says what
**              the text is, and after an error all of it is void.
**   "resume"   value is the encoded map {id, after} by which a background response can be taken up again (`resume` of
**              the call), as soon as it is known, then at most about once a second, and once more before the outcome.
** What came while the owner did not look is one "text" and one "resume" per request, so that an owner who is slow is
** not flooded; a text is never longer than the answer may be. They come in order, and the last without `more`. */
#ifndef Z8_EFFECT_H
#define Z8_EFFECT_H

#include "vm/base/buf.h"
#include "vm/base/err.h"
#include "lang/tables.h"

typedef struct EffectRequest {
  uint64_t run, seq;    /* who asked: handed back with the outcome */
  uint8_t effect;       /* EffectKind: HTTP, FILE_READ, FILE_WRITE, FOREIGN, MODEL */
  uint8_t effect_class; /* EffectClass */
  Str target;           /* effects.def's ext2 text */
  Str operands;         /* encoded array */
  Str key;            /* Idempotency-Key: added to HTTP requests that are not READ and bear none */
  int64_t timeout_us; /* 0: default, 30 s for HTTP, 600 s for MODEL */
  /* FOREIGN: */
  Str library, symbol;
  const uint8_t *param_kinds;
  uint32_t param_count; /* TypeKind: INT FLOAT STRING BOOL */
  uint8_t result_kind;
} EffectRequest;

typedef struct EffectOutcome {
  uint64_t run, seq;
  const char *outcome; /* "ok", "error", "unknown"; with more "text", "resume" */
  Buf value;           /* encoded; of "text" the text */
  bool more;           /* progress: the request goes on */
} EffectOutcome;

typedef struct EffectOptions {
  bool allow_loopback;
  const char *extern_allow; /* ':'-separated libraries, or NULL: those of the system */
  bool (*secret)(void *context, Str name,
                 Buf *value); /* plaintext, for sealed templates just before sending */
  void *context;
  int64_t model_idle_us; /* a model's answer has begun, and then nothing came for so long; 0: 120 s */
} EffectOptions;

typedef struct Effects Effects;
MUST_USE bool effects_new(const EffectOptions *options, Effects **out, Err *err);
void effects_free(Effects *e);
int effects_fd(const Effects *e);                        /* readable when outcomes wait */
void effects_submit(Effects *e, const EffectRequest *r); /* copies; any thread */
/* The outcome is not wanted. An HTTP read is cut short and fails; everything else goes on, and its outcome comes: of a
** call to a model too, because what it used must be known. */
void effects_drop(Effects *e, uint64_t run, uint64_t seq);
bool effects_next(Effects *e, EffectOutcome *out); /* false: none now; the caller frees value */

/* `z8 --extern-helper`: what the helper process does until its input ends. */
int extern_helper_main(void);
#endif
