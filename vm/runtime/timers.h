/* Timers: a heap by due time, then run, then command, so that timers that are due
** together fire in an order nobody's thread decides. One can be dropped. */
#ifndef Z8_TIMERS_H
#define Z8_TIMERS_H

#include "vm/base/base.h"

typedef struct Timer {
  int64_t due_us;
  uint64_t run, seq;
} Timer;

typedef struct Timers Timers;
Timers *timers_new(void);
void timers_free(Timers *t);
/* A second one of the same (run, seq) replaces the first. */
void timers_add(Timers *t, Timer timer);
bool timers_drop(Timers *t, uint64_t run, uint64_t seq); /* false: there is none */
bool timers_peek(const Timers *t, Timer *out);
bool timers_take(Timers *t, Timer *out);
uint32_t timers_count(const Timers *t);

#endif
