/* A pool of threads for one kind of work at a time: the same function over the
** indexes of an array. The caller takes part and returns when all is done. */
#ifndef Z8_WORKERS_H
#define Z8_WORKERS_H

#include "vm/base/base.h"

typedef void WorkFn(void *context, uint32_t index);
typedef struct Workers Workers;

/* `threads` in all, the caller's included. */
Workers *workers_new(uint32_t threads);
void workers_free(Workers *w);
void workers_run(Workers *w, WorkFn *work, void *context, uint32_t count);
uint32_t workers_cores(void);

#endif
