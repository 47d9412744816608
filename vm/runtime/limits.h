/* Rate limits of tools: a sliding window per name. A call beyond the limit is
** deferred to the moment the window has room, first come first served, and never
** dropped. The windows are this process's: after a restart they begin empty. */
#ifndef Z8_LIMITS_H
#define Z8_LIMITS_H

#include "vm/base/base.h"

typedef struct Limits Limits;
Limits *limits_new(void);
void limits_free(Limits *limits);
/* When a call that asks now may go: now_us, or later. The place is taken: the caller keeps the
 * appointment. */
int64_t limits_admit(Limits *limits, Str name, uint32_t count, int64_t per_us, int64_t now_us);

#endif
