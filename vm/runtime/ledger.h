/* The ledger of calls of models: what was spent, what is reserved for calls in flight, and the books.
**
** An account is a budget someone set: of a scope (`budget {…}:`, an agent's), or of a declaration, one for each
** tenant, agent, model … it says, of a window of time. Before a call leaves it is reserved in all its accounts (a
** hold); it is settled with what it did cost in the commit that has its answer on record. What is reserved is the sum
** of the holds and stored nowhere else, so the two can never disagree.
**
** A call is two amounts: what is expected of it, and the most it is thought to cost. It needs room for what is
** expected; what it reserves in an account is the most, so that calls beside it cannot spend the difference. Where the
** most does not fit it is alone: no other call begins in that account before it is settled. So of all calls in flight
** in an account all but one are within what is reserved for them, and together they overspend it by no more than that
** one would by itself: by what it costs beyond what is expected of it. (To let it reserve "all that is left" instead
** would not do: what others give back when they are settled would admit a second one that is not covered.)
**
** What a model charges beyond the most that was thought is remembered (ledger_learn) and belongs to the most from then
** on; of a model that never charged anything it is as much as fits into the largest context windows, so that its first
** call is alone in all but large budgets. It is never expected: a gateway's outlier makes calls wait for each other,
** and refuses none. People are told what is expected.
**
** Written through the round's Grouping; the sums are cached, so reads see what the round decided. Used on the
** scheduler's thread. */
#ifndef Z8_LEDGER_H
#define Z8_LEDGER_H

#include "vm/runtime/grouping.h"
#include "vm/runtime/prices.h"

typedef struct Amounts {
  int64_t nanodollars, tokens, calls;
} Amounts;
enum { NO_BOUND = -1 }; /* of an amount that is a limit */
Amounts amounts_add(Amounts a, Amounts b);

typedef struct Account Account;

/* An account as one call sees it. */
typedef struct AccountUse {
  Account *account;
  Str name;       /* as it is told: "budget", "Acme" */
  Amounts limit;
  int64_t per_us; /* how long its windows are; 0: it has one without an end */
  bool waits; /* in line there: see ledger_queued */
} AccountUse;

/* What a call asks for. */
typedef struct Want {
  Amounts expected, most;
} Want;

/* Of one call in flight. What it reserved, where, and whose book it is in. */
typedef struct HoldAccount {
  Account *account;
  int64_t window_us; /* where the window began in which it was reserved; 0: it has no end */
  bool alone; /* what is expected is reserved, and nobody may begin beside it; else the most is */
} HoldAccount;
typedef struct Hold {
  Amounts expected, most;
  Usage usage;         /* what is charged if nobody knows what it cost: what is expected, and what its model was seen */
  int64_t nanodollars; /* to charge beyond the most that was thought */
  HoldAccount *accounts; /* owned */
  uint32_t count;
  Str book; /* owned: a key of SPACE_BOOK */
} Hold;
void hold_deinit(Hold *hold);

typedef struct Ledger Ledger;
Ledger *ledger_new(Store *store, Grouping *grouping);
void ledger_free(Ledger *ledger);
/* Accounts of scopes whose runs are over, and the runs begun within them too, go. */
MUST_USE bool ledger_load(Ledger *ledger, Err *err);

/* The store could not be read: what it says may be too little. */
bool ledger_failed(const Ledger *ledger);

/* ---- accounts ---- */
Account *ledger_scope(Ledger *ledger, Uuid run, uint64_t seq);
/* `key` names it; another window begins with nothing spent. *window_us is the one that counts: not an earlier one,
** should the clock have gone back. */
Account *ledger_pool(Ledger *ledger, Str key, int64_t *window_us);
/* The window that holds a moment; and those in which a call counts that waited are the ones of now. */
int64_t window_of(int64_t per_us, int64_t now_us);
void ledger_windows(const AccountUse *uses, uint32_t count, int64_t now_us);
Amounts account_spent(const Account *account);
Amounts account_expected(const Account *account); /* of the calls in flight: what people are told */
Amounts account_reserved(const Account *account); /* for them: what others may not have */
bool account_alone(const Account *account);       /* one of them is: nobody may begin */
void ledger_run_over(Ledger *ledger, Uuid run); /* the accounts of its scopes go, when nobody has to do with them */
/* A run began within that scope (1), or one that had is over (-1): it spends from there even when the owner is over. */
void ledger_heir(Ledger *ledger, Account *account, int change);

/* ---- a call ---- */
typedef enum {
  RESERVE_DONE,
  RESERVE_WAIT, /* it would fit if other calls had not reserved, or waits behind one that does */
  RESERVE_NEVER /* *which does not have so much left */
} Reserve;
/* Nothing changes but with DONE; then the hold is filled, and is to be stored (ledger_hold_put). */
Reserve ledger_reserve(Ledger *ledger, const AccountUse *uses, uint32_t count, const Want *want, Hold *hold,
                       uint32_t *which);
/* One who waits stands in line in those of its accounts that have no room for it: nobody may pass it there. In the
** others it keeps nobody waiting, so who is stuck in a small budget does not hold up all that share a larger one. Where
** it once was in line it will be again, should it have to wait on, so none waits for ever. */
void ledger_wait(AccountUse *uses, uint32_t count, const Want *want);
void ledger_wait_over(AccountUse *uses, uint32_t count);
void ledger_release(Ledger *ledger, Hold *hold); /* it never left */
/* It cost this much. `uncertain`: nobody knows whether it did. The hold is empty afterwards. */
void ledger_settle(Ledger *ledger, Hold *hold, const Usage *usage, int64_t nanodollars, bool uncertain);

/* ---- what models charge ---- */
enum { UNTOLD_TOKENS = 2000000 };
typedef struct Learned { /* tokens beyond what was thought the most, lately; input is UNTOLD_TOKENS until it is told */
  int64_t input, output;
} Learned;
/* `model`: as it is named where prices and tokens are one, by provider and name. */
Learned ledger_learned(Ledger *ledger, Str model);
/* A reply was charged. `most`: what was thought without anything learned. More than ever is believed at once, less bit
** by bit, in eighths; what is within an eighth changes nothing, so in the ordinary case a model has one write. */
void ledger_learn(Ledger *ledger, Str model, const Usage *charged, const Usage *most);

/* ---- rows of holds ---- */
typedef struct HoldRow {
  uint64_t run, seq;
  bool sent;
  uint32_t attempt; /* how often it was asked again before */
  Str resume;       /* encoded {id, after}, or empty */
} HoldRow;
void ledger_hold_put(Ledger *ledger, const HoldRow *row, const Hold *hold);
void ledger_hold_drop(Ledger *ledger, uint64_t run, uint64_t seq);
/* All that the store has; `each` owns the hold from then on. One that can be taken up again holds what it held; of all
** others it is known what will be charged: that is reserved, and they are not alone. */
MUST_USE bool ledger_holds(Ledger *ledger, void (*each)(void *context, const HoldRow *row, Hold *hold), void *context,
                           Err *err);

/* ---- books ---- */
void book_key(int64_t now_us, Str tenant, Str agent, Str model, Buf *out);
typedef struct CostRow {
  int64_t day_us; /* midnight UTC */
  Str tenant, agent, model;
  int64_t calls, input, cached, output; /* tokens */
  int64_t nanodollars;                  /* uncertain ones among them */
  int64_t uncertain_calls, uncertain_nanodollars;
  int64_t reserved_nanodollars; /* of calls in flight now */
} CostRow;
/* In order of day, tenant, agent, model; from_us: the first day, 0: all. */
MUST_USE bool ledger_costs_each(Store *store, int64_t from_us, bool (*each)(void *context, const CostRow *row),
                                void *context, Err *err);
#endif
