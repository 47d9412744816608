/* One `test` block, run: on an empty store, on virtual time, in a world of its own. */
#ifndef Z8_TEST_RUN_H
#define Z8_TEST_RUN_H

#include "vm/bundle/bundle.h"
#include "vm/store/store.h"

typedef struct TestCase {
  const Bundle *bundle; /* read by several threads */
  Str bytes;            /* the bundle's */
  uint8_t *cover;       /* a byte for each word of the bundle's code, or NULL */
  uint32_t test;        /* index in bundle->tests */
  const char *file;
  bool crashes;         /* again with a crash at every commit */

  /* ---- what came of it ---- */
  bool passed;
  uint32_t crash_points; /* how often it was run with a crash; of those that passed */
  uint32_t crashed_at;   /* 1, 2 …: the crash that it did not survive; 0: it failed without one */
  RunStatus status;
  Buf error;             /* encoded, where it failed by its run's error */
  Buf message;           /* where it could not be run at all */
  Buf printed;           /* what the test's runs printed, of the run that failed */
  int64_t took_us;
} TestCase;

/* Runs it; fills what came of it. Any thread. */
void test_run(TestCase *test);
void test_case_deinit(TestCase *test);
#endif
