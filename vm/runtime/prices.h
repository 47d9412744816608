/* Money: prices of models, and what tokens come to. Dollars are int64 nanodollars, prices picodollars a token (a dollar
** for a million tokens is 1 000 000 of them). Costs are rounded up and stay at INT64_MAX where they would be more. */
#ifndef Z8_PRICES_H
#define Z8_PRICES_H

#include "vm/base/buf.h"

typedef struct Price {
  bool known; /* else nothing costs money; tokens still count */
  int64_t input, output, cached, cache_write; /* picodollars a token; what is not given is the input's */
} Price;

typedef struct Usage { /* tokens of one call; input has cached and cache_write in it */
  int64_t input, cached, cache_write, output;
  bool exact;
} Usage;

int64_t amount_add(int64_t a, int64_t b);  /* saturates; both at least 0 */
int64_t amount_less(int64_t a, int64_t b); /* not below 0 */

/* An encoded map {input, output, cached, cache_write} of dollars for a million tokens; nil or absent: not known. */
Price price_read(Str map);
int64_t price_cost(const Price *price, const Usage *usage); /* nanodollars */
/* `usage` of a reply or of an error's data. False: there is none. */
bool usage_read(Str map, Usage *out);

/* An encoded decimal, int or float of dollars as nanodollars, rounded down; -1: it is none. */
int64_t dollars_read(Str value);
void dollars_put(int64_t nanodollars, Buf *out); /* an encoded decimal without zeros at its end */
/* "0.0123": at least two places. */
void dollars_print(int64_t nanodollars, Buf *out);
#endif
