/* Saying exactly what differed: the class of a divergence, and the first spot at
** which two records differ, down to the character of a text inside an operand. */
#ifndef Z8_DIVERGE_H
#define Z8_DIVERGE_H

#include "vm/journal/journal.h"

/* The class of a difference between what is recorded and what the code does now. `later`: the same
** question stands further on in history, after events only (LATER_AFTER_EVENTS) or after commands too. */
typedef enum { LATER_NOT, LATER_AFTER_EVENTS, LATER_AFTER_COMMANDS } DivergeLater;
DivergeKind diverge_classify(const Record *recorded, const Record *current, bool same_code, DivergeLater later);

/* Do both ask the same thing at the same site, whenever that was? */
bool diverge_same_question(const Record *a, const Record *b);

/* The first spot at which the two records differ: its path ("operands[0].url[28]", "site") and both sides as
** JSON text, shortened. False when there are not two records of one kind, or they do not differ. */
typedef struct DivergeSpot {
  Buf path, recorded, current;
} DivergeSpot;
bool diverge_spot(const Divergence *d, DivergeSpot *out);
void diverge_spot_deinit(DivergeSpot *spot);
#endif
