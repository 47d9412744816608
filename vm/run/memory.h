/* What the attempts of one run remember of each other: every command that leaves a trace, by its
** place (the lineage of its fiber, the site, how often this attempt came by there). Private to vm/run.
**
**   first time there             asked, under a key of its own
**   again, not confirmed         asked again, under the first one's key
**   again, confirmed             not asked: RECALLED, and the recorded result, or the recorded error
**   again, with other operands   the run is stuck (operand_changed)
**
** An error is remembered only if the attempt went on after it to another act; an attempt that came to
** its end through it has done nothing about it, and asks again. What the code reads is never remembered. */
#ifndef Z8_RUN_MEMORY_H
#define Z8_RUN_MEMORY_H

#include "vm/core/machine.h"
#include "vm/run/run.h"

typedef struct Memory Memory;

Memory *memory_new(void);
void memory_free(Memory *memory);

/* ---- asking. All of these do nothing, and say nothing is known, in a run without attempts ---- */
/* The fiber asks for `kind` at its site. True: it needs no asking any more: it has its answer, or its error, or the
** run is stuck or has diverged. Else the command is to be put, then memory_asked. */
bool memory_recalls(Run *run, Fiber *fiber, EffectKind kind, EffectClass effect_class, Str target, Str operands);
/* The command was put as `seq`. What it was first asked as, for all that is made of it: keys, ids of children; and
** when: a deadline that was set stays. */
typedef struct FirstAsked {
  uint64_t seq;
  int64_t at_us;
  bool maybe; /* a tool's call: for all that is known it may have happened already */
} FirstAsked;
FirstAsked memory_asked(Run *run, uint64_t seq, Str operands);
uint64_t memory_first(const Run *run, uint64_t seq); /* the same, later */

/* ---- outcomes; of commands that are not remembered they are passed over ---- */
void memory_confirm(Run *run, uint64_t seq, Str value);
/* The fiber gets this value. An HTTP "not now" confirms nothing, unless the code acts upon it. */
void memory_answer(Run *run, uint32_t fiber, uint64_t seq, Str value);
void memory_late(Run *run, uint64_t seq, Str value); /* nobody gets it any more */
/* An error is about to be raised in the fiber. */
typedef enum {
  ERROR_NOT_DONE, /* what was asked did not happen: in another attempt it may be another thing */
  ERROR_MAYBE,    /* nobody knows */
  ERROR_DONE      /* it happened, and this is what came of it: never asked again */
} ErrorMeans;
void memory_error(Run *run, uint32_t fiber, uint64_t seq, Value error, ErrorMeans means);
void memory_maybe(Run *run, uint64_t seq); /* of a tool's call: it may have happened */

/* ---- branches ---- */
uint64_t memory_group(Run *run, const Fiber *parent); /* the lineage of a group that begins here */
uint64_t memory_branch(uint64_t group, uint32_t index);
void memory_joined(Run *run, uint32_t group); /* its branches are about to go: what they met is their parent's now */

/* ---- attempts ---- */
void memory_attempt_over(Run *run, Str error); /* encoded, or empty: it ended otherwise */
/* Calls to child runs that were asked for and never heard of. */
void memory_open_calls(Run *run, void (*each)(Run *run, uint64_t seq, Uuid child));

void memory_save(const Run *run, Buf *out); /* one item */
MUST_USE bool memory_load(Run *run, CborReader *r, Err *err);
#endif
