/* What agents remember of conversations: RECALL and REMEMBER, answered in the commit of the question. Rows of
** SPACE_CONVERSATION: one for each turn, {question, answer, at}, and one with the number of the last. */
#ifndef Z8_REMEMBER_H
#define Z8_REMEMBER_H

#include "vm/run/run.h"
#include "vm/runtime/grouping.h"

/* The outcome: "ok" with the answer in `value`, or "error". *failed: the store could not be read. */
const char *conversation_ask(Store *store, Grouping *grouping, Str tenant, int64_t now_us, const Request *r, Buf *value,
                             bool *failed);
#endif
