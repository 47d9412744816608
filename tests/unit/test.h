/* A tiny harness: each TEST is a function; CHECK counts and goes on. The closing
** line is "N passed, N failed". A unit test's only friend is its module's header. */
#ifndef Z8_TEST_H
#define Z8_TEST_H
#include <stdio.h>
#include "vm/base/base.h"
static int test_failures, test_passes, test_checks_failed;
#define CHECK(cond) \
  ((cond) ? (void)0 : (void)(test_checks_failed++, fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #cond)))
#define CHECK_STR(got, want) do { Str g_ = (got), w_ = (want); if (!str_equal(g_, w_)) { test_checks_failed++; \
  fprintf(stderr, "%s:%d: got \"%.*s\", want \"%.*s\"\n", __FILE__, __LINE__, STR_ARG(g_), STR_ARG(w_)); } } while (0)
#define RUN_TEST(name) do { int before_ = test_checks_failed; name(); \
  if (test_checks_failed == before_) test_passes++; \
  else { test_failures++; fprintf(stderr, "FAILED %s\n", #name); } } while (0)
#define TEST_END() (printf("%d passed, %d failed\n", test_passes, test_failures), test_failures != 0)
#endif
