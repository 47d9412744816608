/* A bundle's bytes, drawn:
**
**   "Z8B1"                     magic
**   u32                        BUNDLE_FORMAT
**   u32 x 32                   how many items each pool has, in the order of BUNDLE_POOLS
**   u32 u32                    constant: the bundle's name; function: the script
**   u32 x code_count           code, so that it lies 4-byte aligned in the file
**   constants                  kind, then: varint zigzag (INT, DURATION), 8 bytes (FLOAT),
**                              varint size and bytes (STRING, BYTES, DECIMAL), 0 or 1 (BOOL)
**   indexes                    varint of index + 1, 0 for NONE_INDEX
**   patches                    varints
**   pools of sections.def      in its order, member by member
**
** Fixed numbers are little-endian. A varint has 7 bits a byte, low ones first, and
** is as short as it can be: there is one spelling of every bundle. The pools `code`,
** `handlers`, `lines` are cut up among the functions in order, without gap or overlap;
** ranges of `fields` and `indexes` share nothing. A type comes after those it is made of. */
#ifndef Z8_BUNDLE_FORMAT_H
#define Z8_BUNDLE_FORMAT_H

#include "vm/bundle/bundle.h"

#define BUNDLE_MAGIC "Z8B1"
#define BUNDLE_TYPE_WEIGHT 4096 /* parts of one type, counted as if written out in full */
#define BUNDLE_POOLS(POOL) \
  POOL(code) POOL(const) POOL(index) POOL(patch) POOL(field) POOL(type) POOL(shape) POOL(fn) \
  POOL(handler) POOL(line) POOL(site) POOL(query) POOL(workflow) POOL(tool) POOL(extern) \
  POOL(config) POOL(method) POOL(clause) POOL(view) POOL(invariant) POOL(agent) POOL(route) \
  POOL(router) POOL(subscriber) POOL(worker) POOL(queue) POOL(cron) POOL(test) POOL(model) POOL(ai_agent) \
  POOL(allowance) POOL(source)

#define POOL_ONE(pool) +1
enum { BUNDLE_POOL_COUNT = 0 BUNDLE_POOLS(POOL_ONE) };
#undef POOL_ONE
enum { BUNDLE_HEAD_BYTES = 4 + 4 + 4 * BUNDLE_POOL_COUNT + 8 };
_Static_assert(BUNDLE_POOL_COUNT == 32, "the drawing above says 32");

/* What the bounds of single members cannot say (wellformed.c): order, tiling, kinds of
** functions. Fills err with ERR_CORRUPT. */
MUST_USE bool bundle_wellformed(const Bundle *bundle, Err *err);
/* The same of agents, routers, handlers, workers, queues, crons, tests, models and their agents (wellformed_app.c).
** *indexes: how many items of that pool ranges have claimed so far; it adds its own. */
MUST_USE bool bundle_application_wellformed(const Bundle *bundle, uint64_t *indexes, Err *err);

/* What a disassembly begins with: what the bundle declares, a line for each (summary.c). */
void bundle_summary(const Bundle *bundle, Buf *out);

#endif
