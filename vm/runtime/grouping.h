/* What the round's commit will hold. Whoever changes something durable adds it here while the round is
** made; scheduler_commit gives the whole group to the store. Strings are copied: they are the caller's
** again at once. Private to vm/runtime; used on the scheduler's thread. */
#ifndef Z8_GROUPING_H
#define Z8_GROUPING_H

#include "vm/store/store.h"

typedef struct Grouping Grouping;
Grouping *grouping_new(void);
void grouping_free(Grouping *g);

void grouping_created(Grouping *g, const RunRow *row);
void grouping_updated(Grouping *g, const RunRow *row);
void grouping_row(Grouping *g, const LogRow *row);
void grouping_image(Grouping *g, const ImageRow *row);
void grouping_blob(Grouping *g, Hash256 id, Str bytes);
void grouping_bundle(Grouping *g, Hash256 id, Str bytes);
void grouping_stream(Grouping *g, const StreamRow *row);
void grouping_page(Grouping *g, const PageRow *row);
/* value.at == NULL: the entry goes. A later one of the same key in one group wins. */
void grouping_kv(Grouping *g, StoreSpace space, Str key, Str value);
void grouping_job(Grouping *g, const JobRow *row);
/* A later one of the same job in one group wins; input and meta of the earlier one stay where it gives none. */
void grouping_job_update(Grouping *g, const JobRow *row);
/* What the group has of the key already: reads must see what this round decided. False: nothing. *value.at == NULL: it
** goes with this group. */
bool grouping_kv_get(const Grouping *g, StoreSpace space, Str key, Str *value);
void grouping_meta(Grouping *g, const char *name, Str value);

bool grouping_empty(const Grouping *g);
StoreGroup *grouping_group(Grouping *g); /* for store_commit and journal_take (its blobs) */
void grouping_clear(Grouping *g);        /* after the commit; keeps its room */
#endif
