/* Strings stand in blocks that are kept from round to round: a group that was made once costs no
** allocation afterwards. A block that an unusual round needed is given back. */
#include "vm/runtime/grouping.h"

#include "vm/base/mem.h"
#include "vm/base/table.h"

enum { BLOCK_BYTES = 256 << 10, KEPT_BYTES = 4 << 20 };

typedef struct Block {
  struct Block *next;
  size_t size, used;
  char bytes[];
} Block;

struct Grouping {
  StoreGroup group;
  uint32_t created_cap, row_cap, updated_cap, image_cap, bundle_cap, stream_cap, page_cap, kv_cap, job_cap,
      job_update_cap;
  Block *first, *last;
  Table *kv;   /* by space and key: index + 1 in group.kv; NULL until it is needed */
  Table *jobs; /* by number: index + 1 in group.job_updates; NULL until it is needed */
  Buf key;
};

Grouping *grouping_new(void) { return MEM_NEW(Grouping); }

static void blocks_free(Block *block) {
  while (block != NULL) {
    Block *next = block->next;
    mem_free(block);
    block = next;
  }
}

void grouping_free(Grouping *g) {
  if (g == NULL) return;
  StoreGroup *group = &g->group;
  mem_free(group->created);
  mem_free(group->rows);
  mem_free(group->updated);
  mem_free(group->images);
  mem_free(group->bundle_ids);
  mem_free(group->bundles);
  mem_free(group->streams);
  mem_free(group->pages);
  mem_free(group->kv);
  mem_free(group->jobs);
  mem_free(group->job_updates);
  store_group_deinit(group);
  blocks_free(g->first);
  table_free(g->kv);
  table_free(g->jobs);
  buf_deinit(&g->key);
  mem_free(g);
}

/* ---- strings ------------------------------------------------------------- */

static Block *block_for(Grouping *g, size_t size) {
  while (g->last != NULL && g->last->size - g->last->used < size && g->last->next != NULL) g->last = g->last->next;
  if (g->last != NULL && g->last->size - g->last->used >= size) return g->last;
  size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
  Block *block = mem_alloc(sizeof *block + room);
  block->size = room;
  if (g->last == NULL) g->first = block;
  else g->last->next = block;
  return g->last = block;
}

static Str keep(Grouping *g, Str s) {
  if (s.at == NULL) return s;
  if (s.size == 0) return (Str){"", 0};
  Block *block = block_for(g, s.size);
  char *copy = block->bytes + block->used;
  memcpy(copy, s.at, s.size);
  block->used += s.size;
  return (Str){copy, s.size};
}

static void blocks_clear(Grouping *g) {
  size_t kept = 0;
  for (Block **link = &g->first; *link != NULL;) {
    Block *block = *link;
    block->used = 0;
    kept += block->size;
    if (kept > KEPT_BYTES && block != g->first) {
      blocks_free(block);
      *link = NULL;
      break;
    }
    link = &block->next;
  }
  g->last = g->first;
}

/* ---- what goes in --------------------------------------------------------- */

#define ADD(array, count, cap) \
  (group->array = mem_grow(group->array, &g->cap, group->count + 1, sizeof *group->array), \
   &group->array[group->count++])

static void run_row(Grouping *g, RunRow *to, const RunRow *row) {
  *to = *row;
  to->entry = keep(g, row->entry);
  to->note = keep(g, row->note);
}

void grouping_created(Grouping *g, const RunRow *row) {
  StoreGroup *group = &g->group;
  run_row(g, ADD(created, created_count, created_cap), row);
}

void grouping_updated(Grouping *g, const RunRow *row) {
  StoreGroup *group = &g->group;
  run_row(g, ADD(updated, updated_count, updated_cap), row);
}

void grouping_row(Grouping *g, const LogRow *row) {
  StoreGroup *group = &g->group;
  LogRow *to = ADD(rows, row_count, row_cap);
  *to = *row;
  to->bytes = keep(g, row->bytes);
}

void grouping_image(Grouping *g, const ImageRow *row) {
  StoreGroup *group = &g->group;
  ImageRow *to = ADD(images, image_count, image_cap);
  *to = *row;
  to->bytes = keep(g, row->bytes);
}

void grouping_blob(Grouping *g, Hash256 id, Str bytes) { store_group_blob(&g->group, id, keep(g, bytes)); }

void grouping_bundle(Grouping *g, Hash256 id, Str bytes) {
  StoreGroup *group = &g->group;
  uint32_t cap = g->bundle_cap;
  group->bundle_ids = mem_grow(group->bundle_ids, &cap, group->bundle_count + 1, sizeof *group->bundle_ids);
  group->bundles = mem_grow(group->bundles, &g->bundle_cap, group->bundle_count + 1, sizeof *group->bundles);
  group->bundle_ids[group->bundle_count] = id;
  group->bundles[group->bundle_count++] = keep(g, bytes);
}

void grouping_stream(Grouping *g, const StreamRow *row) {
  StoreGroup *group = &g->group;
  StreamRow *to = ADD(streams, stream_count, stream_cap);
  *to = *row;
  to->key = keep(g, row->key);
}

void grouping_page(Grouping *g, const PageRow *row) {
  StoreGroup *group = &g->group;
  PageRow *to = ADD(pages, page_count, page_cap);
  *to = *row;
  to->bytes = keep(g, row->bytes);
}

static void job_row(Grouping *g, JobRow *to, const JobRow *row) {
  *to = *row;
  to->worker = keep(g, row->worker);
  to->queue = keep(g, row->queue);
  to->input = keep(g, row->input);
  to->meta = keep(g, row->meta);
  to->unique = keep(g, row->unique);
  to->note = keep(g, row->note);
}

void grouping_job(Grouping *g, const JobRow *row) {
  StoreGroup *group = &g->group;
  job_row(g, ADD(jobs, job_count, job_cap), row);
}

/* A job that begins and ends in one round is written once. */
void grouping_job_update(Grouping *g, const JobRow *row) {
  StoreGroup *group = &g->group;
  if (g->jobs == NULL) g->jobs = table_new();
  uintptr_t found = (uintptr_t)table_get(g->jobs, table_key64(&row->number));
  if (found == 0) {
    job_row(g, ADD(job_updates, job_update_count, job_update_cap), row);
    table_set(g->jobs, table_key64(&row->number), (void *)(uintptr_t)group->job_update_count);
    return;
  }
  JobRow *to = &group->job_updates[found - 1], before = *to;
  job_row(g, to, row);
  if (to->input.at == NULL) to->input = before.input;
  if (to->meta.at == NULL) to->meta = before.meta;
}

/* ---- key and value --------------------------------------------------------- */

static uintptr_t kv_find(const Grouping *g, StoreSpace space, Str key, Buf *full) {
  buf_clear(full);
  buf_byte(full, (uint8_t)space);
  buf_str(full, key);
  return g->kv != NULL ? (uintptr_t)table_get(g->kv, buf_view(full)) : 0;
}

void grouping_kv(Grouping *g, StoreSpace space, Str key, Str value) {
  StoreGroup *group = &g->group;
  uintptr_t found = kv_find(g, space, key, &g->key);
  if (found != 0) {
    group->kv[found - 1].value = keep(g, value);
    return;
  }
  KvRow *to = ADD(kv, kv_count, kv_cap);
  *to = (KvRow){.space = (uint8_t)space, .key = keep(g, key), .value = keep(g, value)};
  if (g->kv == NULL) g->kv = table_new();
  table_set(g->kv, buf_view(&g->key), (void *)(uintptr_t)group->kv_count);
}

bool grouping_kv_get(const Grouping *g, StoreSpace space, Str key, Str *value) {
  Buf full = {0};
  if (g->group.kv_count == 0) return false;
  uintptr_t found = kv_find(g, space, key, &full);
  buf_deinit(&full);
  if (found == 0) return false;
  *value = g->group.kv[found - 1].value;
  return true;
}

void grouping_meta(Grouping *g, const char *name, Str value) {
  ASSERT(g->group.meta == NULL || strcmp(g->group.meta, name) == 0); /* the store takes one a group */
  g->group.meta = name;
  g->group.meta_value = keep(g, value);
}

/* ---- the group ------------------------------------------------------------- */

bool grouping_empty(const Grouping *g) {
  const StoreGroup *x = &g->group;
  return x->created_count + x->row_count + x->updated_count + x->image_count + x->blob_count + x->bundle_count +
             x->stream_count + x->page_count + x->kv_count + x->job_count + x->job_update_count == 0 &&
         x->meta == NULL;
}

StoreGroup *grouping_group(Grouping *g) { return &g->group; }

void grouping_clear(Grouping *g) {
  StoreGroup *x = &g->group;
  x->created_count = x->row_count = x->updated_count = x->image_count = x->blob_count = x->bundle_count = 0;
  x->stream_count = x->page_count = x->kv_count = x->job_count = x->job_update_count = 0;
  x->meta = NULL;
  table_free(g->kv);
  table_free(g->jobs);
  g->kv = g->jobs = NULL;
  blocks_clear(g);
}
