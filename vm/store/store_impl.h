/* What a back end is to store.c, and what back ends share. Private to vm/store. */
#ifndef Z8_STORE_IMPL_H
#define Z8_STORE_IMPL_H

#include "vm/store/store.h"

typedef bool RunEach(void *context, const RunRow *row);
typedef bool LogEach(void *context, const LogRow *row);

typedef struct StoreOps {
  void (*close)(Store *store);
  uint64_t (*next_run)(Store *store);
  bool (*commit)(Store *store, StoreGroup *group, Err *err);
  StoreStats (*stats)(const Store *store);
  bool (*run_get)(Store *store, uint64_t number, RunRow *out, Buf *keep, Err *err);
  /* ids from `low` to `high`, both included: how many there are (2: two or more), the first in *out */
  bool (*run_range)(Store *store, Uuid low, Uuid high, int *found, RunRow *out, Buf *keep, Err *err);
  bool (*run_each)(Store *store, uint64_t from, int status, RunEach *each, void *context, Err *err);
  bool (*log_each)(Store *store, uint64_t run, LogEach *each, void *context, Err *err);
  bool (*log_last)(Store *store, uint64_t run, LogRow *out, Buf *keep, Err *err);
  bool (*image_get)(Store *store, uint64_t run, ImageRow *out, Buf *keep, Err *err);
  bool (*blob_get)(Store *store, Hash256 id, Buf *out, Err *err);
  bool (*bundle_get)(Store *store, Hash256 id, Buf *out, Err *err);
  bool (*meta_get)(Store *store, const char *name, Buf *out, Err *err);
  bool (*meta_set)(Store *store, const char *name, Str value, Err *err);
} StoreOps;

struct Store {
  const StoreOps *ops;
};

/* Does the group make sense for a store whose next run is `next_run`? */
MUST_USE bool store_group_check(const StoreGroup *group, uint64_t next_run, Err *err);
/* The row's texts are copied into keep (cleared first) and point there. */
void run_row_keep(RunRow *row, Buf *keep);
MUST_USE bool fail_no_run(uint64_t number, Err *err);
MUST_USE bool fail_no_image(uint64_t run, Err *err);
MUST_USE bool fail_no_blob(const char *what, Hash256 id, Err *err);
MUST_USE bool fail_no_meta(const char *name, Err *err);
#endif
