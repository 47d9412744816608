/* Steps of a run as lines a person reads: calls of models, notes, approvals, tools, waits. */
#ifndef Z8_STEP_TEXT_H
#define Z8_STEP_TEXT_H

#include "vm/cli/story.h"

/* One step, of one line or more. begin_us: what its time counts from, 0: no times. `quiet`: a call of a model whose
** new messages the page has shown already. */
void step_text(const Story *story, const Step *step, int64_t begin_us, bool quiet, Buf *out);

/* A label, and text whose further lines stand below its first: about `most` bytes of it, and how many there are
** more. */
void labelled_put(Buf *out, int indent, const char *label, Str text, size_t most);
/* The messages of an encoded list, each under its role; results of tools only where `failures` and they failed. */
void messages_put(Buf *out, int indent, Str list, bool failures);
/* "114 tokens in (50 cached), 20 out, $0.0000685" */
void usage_put(Buf *out, const Usage *usage, bool priced, int64_t nanodollars);
/* "3 calls of models (2 failed)" */
void calls_put(Buf *out, const ModelTotals *totals);
/* What the sum of them has not: "; 1 lost, charged as uncertain in `z8 costs`; 2 refused by a budget" */
void unsummed_put(Buf *out, const ModelTotals *totals);
/* Without the microseconds, where there are milliseconds. */
static inline int64_t whole_ms(int64_t us) { return us >= 1000 ? us - us % 1000 : us; }
enum { TEXT_SHOWN = 2000, VALUE_SHOWN = 400 };

#endif
