/* Rate limits: at most so many (calls, tokens) in any stretch of so long. What does not fit waits, is never dropped,
** and goes in turn: runs one after the other, what one run asks in its own order.
**
** A window is kept as pieces of at most 1/64 of its length; a piece leaves when its last moment does. So what is in a
** window is never counted too low, and too high only for what left it within the last 64th. It is stored
** (SPACE_LIMIT) in the commit that admits something, so that a restart does not begin with an empty one. */
#ifndef Z8_LIMITS_H
#define Z8_LIMITS_H

#include "vm/base/table.h"
#include "vm/runtime/grouping.h"

enum { LIMIT_PARTS = 64, LIMIT_PIECES_MAX = 2 * LIMIT_PARTS };

typedef struct LimitPiece {
  int64_t first_us, last_us;
  uint64_t count;
} LimitPiece;

/* A place in the queue of a limit; part of what waits. */
typedef struct LimitTurn {
  struct LimitTurn *next;
  uint64_t run;
  uint64_t since; /* since when it waits: a number from one count for all limits */
} LimitTurn;

typedef struct LimitLine { /* of one run */
  LimitTurn *first, *last;
  uint64_t since; /* lines are in this order */
  struct LimitLine *next;
} LimitLine;

typedef struct Limit {
  Str key, name; /* owned; name: as it is told, "model fast" */
  bool tokens;   /* what is counted */
  uint64_t most;
  int64_t per_us;
  uint32_t count, cap;
  LimitPiece *pieces;      /* in order of time */
  LimitLine *first, *last; /* whose turn it is */
  Table *lines;            /* by run; NULL: nobody ever waited */
  uint32_t waiting;
  const LimitTurn *held;   /* who was let through and waits for another limit: nobody passes meanwhile; NULL: none */
} Limit;

/* ---- one window, by itself ---- */
/* How much of it is used at that moment. */
uint64_t limit_used(const Limit *limit, int64_t now_us);
/* Something that is more than all of it passes alone, when it is empty. */
bool limit_room(const Limit *limit, uint64_t want, int64_t now_us);
int64_t limit_opens(const Limit *limit, uint64_t want, int64_t now_us); /* when there will be room */
/* Gives the moment it was counted at: limit_correct finds it by that. */
int64_t limit_take(Limit *limit, uint64_t want, int64_t now_us);
void limit_correct(Limit *limit, int64_t at_us, uint64_t taken, uint64_t was);
void limit_encode(const Limit *limit, Buf *out);
MUST_USE bool limit_decode(Limit *limit, Str value);

/* ---- its queue ---- */
void limit_join(Limit *limit, LimitTurn *turn); /* before those who wait for less long */
void limit_leave(Limit *limit, LimitTurn *turn);
LimitTurn *limit_next(const Limit *limit); /* NULL: nobody waits */
/* The next one has been let through: it leaves, and its run goes to the end, as if it waited since `since`. */
void limit_passed(Limit *limit, uint64_t since);
uint32_t limit_ahead(const Limit *limit, const LimitTurn *turn); /* how many go before it */

/* ---- all of a node ---- */
typedef struct Limits Limits;
Limits *limits_new(Store *store, Grouping *grouping);
void limits_free(Limits *limits);
/* The limit of that key, read from the store when first asked for; it is most per per_us from now on. */
Limit *limits_get(Limits *limits, Str key, Str name, bool tokens, uint64_t most, int64_t per_us);
void limits_keep(Limits *limits, const Limit *limit); /* with the next commit */
bool limits_failed(const Limits *limits);             /* the store could not be read */
bool limits_next(const Limits *limits, uint32_t *cursor, Limit **limit); /* all; *cursor begins at 0 */
#endif
