/* Scanning a number once, shared by number_text.c and json.c; for this folder only. */
#ifndef Z8_NUMBER_SCAN_H
#define Z8_NUMBER_SCAN_H
#include "vm/base/base.h"
/* The value is mantissa * 10^exponent, but for digits past the 19th. */
typedef struct NumberScan {
  const char *start, *digits, *digits_end; /* digits: after the sign, may hold a point */
  uint64_t mantissa;
  int64_t exponent, count; /* significant digits, whether kept or not */
  bool minus, fraction;    /* fraction: a point or an exponent was there */
  bool inexact;            /* digits other than 0 past the 19th */
} NumberScan;
/* [-] digits [. digits] [e [+-] digits]; where it ended, or NULL if it is no number. Leading zeros are taken. */
const char *number_scan(const char *p, const char *end, NumberScan *out);
bool number_to_double(const NumberScan *n, double *out); /* correctly rounded; false when out of range */
size_t digits_put(char *out, uint64_t n);                /* decimal digits, at most 20; how many */
#endif
