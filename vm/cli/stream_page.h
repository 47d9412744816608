/* Pages about agent instances: what `z8 inspect KEY` and `z8 log KEY` show of a stream. */
#ifndef Z8_STREAM_PAGE_H
#define Z8_STREAM_PAGE_H

#include "vm/cli/cli.h"

/* What a word names: a run (by id, the beginning of one, `last`), else the instance of that key; with --tenant always
** an instance, that tenant's. */
typedef struct Named {
  bool stream;
  RunRow run;    /* Strs live in keep */
  StreamRow row;
  Buf keep;
} Named;
/* ERR_NOT_FOUND: neither; the message says how to find one. named_deinit in any case. */
MUST_USE bool named_find(Cli *cli, const char *word, Named *out, Err *err);
void named_deinit(Named *named);

/* Its records from first to last; record->seq counts from 0. `each` returns false to stop. */
MUST_USE bool stream_records(Store *store, uint64_t stream, bool (*each)(void *context, const Record *record),
                             void *context, Err *err);
/* Agent, version, state as the stored active bundle folds it, the last events: on cli->out. Gives the exit status. */
int stream_inspect(Cli *cli, const StreamRow *row);

#endif
