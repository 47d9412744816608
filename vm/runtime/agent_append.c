/* An accepted command becomes a row of its stream: the command, its events, the chain over them. Values stand in the
** records themselves, large ones too, so that a stream is folded without looking anything up.
**
** The store gives gids in the order of the group's rows, so the row's gid is known before the commit; pages, snapshots
** and positions of events say it. */
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/journal/chain.h"
#include "vm/runtime/agents_impl.h"

enum { PAGE_BYTES = 1 << 20 /* rows past this begin another page */ };

/* ---- records --------------------------------------------------------------- */

static void record_put(Agents *a, Instance *i, Record *record) {
  Buf *b = &a->record;
  record->seq = i->records;
  buf_clear(b);
  if (buf_room(b, CHAIN_ROOM + record_bound(record)) != NULL) {
    b->size = CHAIN_ROOM;
    record_encode(record, b);
  }
  ASSERT(!b->full); /* agents_fit has looked at the sizes */
  size_t size = b->size - CHAIN_ROOM;
  i->head = chain_next_in_place(i->records++, &i->head, b->at + CHAIN_ROOM, size);
  frame_put(&a->rows, (Str){b->at + CHAIN_ROOM, size});
}

static void put_stream(Agents *a, Instance *i, const Accepted *c) {
  Record r = {.kind = RECORD_STREAM,
              .STREAM = {.key = {i->key, i->key_size}, .agent = a->infos[i->agent].name,
                         .tenant = c->tenant, .at = c->at_us}};
  i->stream = a->app->scheduler->next_number++;
  grouping_stream(app_grouping(a->app), &(StreamRow){.number = i->stream, .key = r.STREAM.key});
  record_put(a, i, &r);
}

static void put_accepted(Agents *a, Instance *i, const Accepted *c) {
  Record r = {.kind = RECORD_ACCEPTED,
              .ACCEPTED = {.id = c->id, .type = c->type, .version = c->version, .data = c->data,
                           .bundle = a->app->bundle->id, .causation = c->causation, .correlation = c->correlation,
                           .actor = c->actor, .metadata = c->metadata, .at = c->at_us}};
  record_put(a, i, &r);
}

static void put_happened(Agents *a, Instance *i, const DecidedEvent *e, Uuid *id) {
  *id = app_uuid(a->app);
  Record r = {.kind = RECORD_HAPPENED,
              .HAPPENED = {.id = *id, .type = e->type, .version = e->version, .number = ++i->version,
                           .data = e->data}};
  app_note_version(a->app, e->type, e->version);
  record_put(a, i, &r);
}

/* ---- pages ------------------------------------------------------------------- */

typedef struct Paging {
  Agents *agents;
  Instance *instance;
  uint64_t through;
} Paging;

static void page_put(Paging *p) {
  Buf *page = &p->agents->page;
  PageRow row = {.stream = p->instance->stream, .through = p->through, .bytes = buf_view(page)};
  if (page->size > 0) grouping_page(app_grouping(p->agents->app), &row);
  buf_clear(page);
}

static bool page_row(void *context, const LogRow *row) {
  Paging *p = context;
  if (p->agents->page.size + row->bytes.size > PAGE_BYTES) page_put(p);
  buf_str(&p->agents->page, row->bytes);
  p->through = row->gid;
  return true;
}

/* The rows of this round that no page has yet, last to first. True: they are all it has in this round. */
static bool fresh_gather(Agents *a, const Instance *i, uint32_t *count) {
  uint32_t n = i->fresh;
  *count = 0;
  for (; n > 0 && a->fresh[n - 1].row.gid > i->page_gid; n = a->fresh[n - 1].before) {
    a->chain = mem_grow(a->chain, &a->chain_cap, *count + 1, sizeof *a->chain);
    a->chain[(*count)++] = n - 1;
  }
  return n == 0;
}

/* Copies of the rows since the last page. A page is a cache: one that cannot be made now is made later. */
static void instance_page(Agents *a, Instance *i) {
  Paging p = {a, i, 0};
  Err ignored;
  uint32_t count;
  buf_clear(&a->page);
  bool whole = fresh_gather(a, i, &count);
  if (whole && i->durable_gid > i->page_gid &&
      !store_stream_read(app_store(a->app), i->stream, i->page_gid, page_row, &p, &ignored))
    return;
  while (count > 0) {
    const FreshRow *f = &a->fresh[a->chain[--count]];
    page_row(&p, &(LogRow){.gid = f->row.gid, .bytes = {a->rows.at + f->at, f->size}});
  }
  page_put(&p);
  i->page_gid = i->last_gid;
  i->unpaged = 0;
}

/* ---- appending ----------------------------------------------------------------- */

bool agents_fit(const Accepted *c, const Decision *d, Err *err) {
  size_t size = c->data.size + c->metadata.size + c->actor.size;
  for (uint32_t n = 0; n < d->event_count; n++) size += d->events[n].data.size;
  if (size <= LIMIT_RECORD_BYTES && d->event_count <= LIMIT_COMMAND_EVENTS) return true;
  if (d->event_count > LIMIT_COMMAND_EVENTS) {
    FAIL(err, ERR_LIMIT, "one command gives %u events, and %d is the limit", d->event_count,
         (int)LIMIT_COMMAND_EVENTS);
  } else {
    FAIL(err, ERR_LIMIT, "the command and its events are of %zu bytes, and %d is the limit", size,
         (int)LIMIT_RECORD_BYTES);
  }
  return false;
}

static void fresh_begin(Agents *a) {
  if (!a->over) return;
  a->fresh_count = a->with_count = 0;
  buf_clear(&a->rows);
  a->over = false;
}

static void fresh_add(Agents *a, Instance *i, size_t at, uint32_t events) {
  Grouping *g = app_grouping(a->app);
  a->fresh = mem_grow(a->fresh, &a->fresh_cap, a->fresh_count + 1, sizeof *a->fresh);
  FreshRow *f = &a->fresh[a->fresh_count++];
  *f = (FreshRow){.row = {.run = i->stream, .head = i->head}, .at = at, .size = a->rows.size - at,
                  .before = i->fresh, .events = events};
  f->row.gid = store_last_gid(app_store(a->app)) + grouping_group(g)->row_count + 1;
  f->row.bytes = (Str){a->rows.at + at, f->size};
  grouping_row(g, &f->row);
  i->fresh = a->fresh_count;
  i->last_gid = f->row.gid;
}

void agents_append(Agents *a, Instance *i, const Accepted *c, const Decision *d, Uuid *event_ids) {
  fresh_begin(a);
  size_t at = a->rows.size;
  instance_touch(a, i);
  if (i->stream == 0) put_stream(a, i, c);
  put_accepted(a, i, c);
  app_note_version(a->app, c->type, c->version);
  for (uint32_t n = 0; n < d->event_count; n++) put_happened(a, i, &d->events[n], &event_ids[n]);
  fresh_add(a, i, at, d->event_count);
  if (d->event_count > 0) i->seat->stale = true;
  if (++i->unpaged >= PAGE_ROWS) instance_page(a, i);
}

void agents_settle(Agents *a, Instance *i, bool stored) {
  uint32_t every = a->infos[i->agent].agent->snapshot_every;
  ASSERT(i->seat != NULL);
  decider_settle(i->seat->decider, stored);
  if (!stored || every == 0 || i->version - i->snapshot < every) return;
  buf_clear(&a->scratch);
  if (!decider_save(i->seat->decider, &a->scratch)) return;
  instance_state_set(a, i, buf_view(&a->scratch));
  i->seat->stale = false;
  instance_snapshot(a, i, buf_view(&a->scratch));
}
