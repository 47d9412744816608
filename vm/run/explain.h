/* The page about a divergence: like a compiler's error, with both sides, their source
** lines, the first differing operand, the likely cause and what to do next. */
#ifndef Z8_EXPLAIN_H
#define Z8_EXPLAIN_H

#include "vm/bundle/bundle.h"
#include "vm/journal/journal.h"

/* current: the bundle that ran now; recorded: the one the run began with, or NULL when it is gone. run_text: the
** run's id. */
void explain_divergence(const Bundle *current, const Bundle *recorded, const Divergence *d, const char run_text[37],
                        Buf *out);
/* One JSON object: class, seq, run, recorded, current and agreed {record…, site {…}}, path, cause, next. */
void explain_divergence_json(const Bundle *current, const Bundle *recorded, const Divergence *d,
                             const char run_text[37], Buf *out);
#endif
