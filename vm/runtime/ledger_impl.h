/* Between ledger.c, ledger_rows.c and ledger_books.c. */
#ifndef Z8_LEDGER_IMPL_H
#define Z8_LEDGER_IMPL_H

#include "vm/base/table.h"
#include "vm/runtime/ledger.h"

/* Keys: 's', run's id, seq of the scope, 8 bytes big-endian; or 'p' and what a pool is of; or 'm' and a model. */
enum { KEY_SCOPE = 's', KEY_POOL = 'p', KEY_MODEL = 'm', SCOPE_KEY_BYTES = 1 + 16 + 8 };

struct Account {
  Str key; /* owned */
  Amounts spent, expected, reserved;
  int64_t window_us;
  uint32_t holds;   /* in this window or an earlier one */
  uint32_t alone;   /* of this window: those beside which nobody may begin */
  uint32_t waiters; /* calls that wait for room, here or in another account of theirs */
  uint32_t line;    /* of them, those that wait here: nobody passes them */
  uint32_t heirs;   /* runs begun within it that are not over */
  bool over;        /* its run is: it goes when nothing is held and nobody inherits */
  Account *next;    /* of the same run */
};

struct Ledger {
  Store *store;
  Grouping *grouping;
  Table *accounts; /* by key */
  Table *owners;   /* by run's id: the first Account of its scopes */
  Table *books;    /* by key: CostRow, of those that were added to lately */
  Table *learned;  /* by key: Learned, of models that were asked lately */
  Buf key, value;  /* scratch */
  bool loaded;     /* all scopes that the store has are here */
  bool failed;
};

/* The account of a key; made, or read from the store, when it is not there. */
Account *ledger_account(Ledger *ledger, Str key);
void account_put(Ledger *ledger, const Account *account);
void account_leave(Ledger *ledger, Account *account); /* goes, if nobody has to do with it any more */
MUST_USE bool account_decode(Str value, Account *account);
void account_hold(const HoldAccount *held, const Hold *hold);

void learned_free(Ledger *ledger);
void books_free(Ledger *ledger);
/* Adds a call to its book. */
void book_add(Ledger *ledger, Str key, const Usage *usage, int64_t nanodollars, bool uncertain);

void key_u64(Buf *out, uint64_t n); /* 8 bytes big-endian */
uint64_t key_u64_at(const char *at);
#endif
