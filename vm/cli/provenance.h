/* What caused what: commands, events, jobs and runs as one tree.
**
** Everything that follows from one beginning has the same correlation id, and names its cause. So the
** tree of an id is found by two walks over the log: one for the id's own row, one for all rows with its
** correlation. Rows are skipped by a search for the 16 bytes, so a walk costs little more than reading. */
#ifndef Z8_PROVENANCE_H
#define Z8_PROVENANCE_H

#include "vm/store/store.h"

typedef enum { NODE_RUN, NODE_COMMAND, NODE_EVENT, NODE_JOB } ProvenanceKind;
typedef struct ProvenanceNode {
  ProvenanceKind kind;
  Uuid id, cause; /* cause zero: a beginning */
  Str name;       /* workflow, message's type, worker */
  Str where;      /* the instance's key, the run's status, the job's state */
  int64_t at_us;
} ProvenanceNode;

typedef struct Provenance Provenance;
/* By id or an unambiguous beginning of one, 8 characters at least. ERR_NOT_FOUND: nothing bears it. */
MUST_USE bool provenance_load(Store *store, Str id, Provenance **out, Err *err);
void provenance_free(Provenance *p);
uint32_t provenance_count(const Provenance *p);
const ProvenanceNode *provenance_node(const Provenance *p, uint32_t i); /* in order of the log */
uint32_t provenance_start(const Provenance *p);                        /* the one that was asked for */
uint32_t provenance_cause(const Provenance *p, uint32_t i);            /* UINT32_MAX: none here */

#endif
