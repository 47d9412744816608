/* Mail: events for runs that cannot take them yet: nobody runs them and they were interrupted in
** the middle of a step, or they are busy. Kept in the store until they are on record, and written
** in the same commit as what sent them.
** It may be delivered again after a crash: signals are known by id, the others do no harm twice. */
#ifndef Z8_MAIL_H
#define Z8_MAIL_H

#include "vm/journal/record.h"
#include "vm/store/store.h"

MUST_USE bool mail_add(Store *store, uint64_t run, const Record *event, Err *err);
void mail_put(Buf *mail, uint64_t run, const Record *event);
/* Takes out the run's oldest letters, `count` of them or all. */
MUST_USE bool mail_take(Buf *mail, uint64_t run, uint32_t count, Err *err);
/* All of it, as bytes; empty if there is none. */
MUST_USE bool mail_read(Store *store, Buf *out, Err *err);
/* Walks those bytes; `each` gives false to have the letter taken out of *rest (may be NULL). */
MUST_USE bool mail_each(Str mail, bool (*each)(void *context, uint64_t run, const Record *event),
                        void *context, Buf *rest, Err *err);
MUST_USE bool mail_write(Store *store, Str mail, Err *err);
/* Appends the numbers of the runs that letters ask to cancel, back to back. */
MUST_USE bool mail_cancels(Store *store, Buf *runs, Err *err);
bool mail_cancels_run(const Buf *runs, uint64_t run); /* is it among those? */

#endif
