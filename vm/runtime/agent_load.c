/* An instance out of the store: its snapshot, if the code that made it is the code of today, then the rows after
** it, folded. A snapshot is never truth: one that does not fit is passed over. */
#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/journal/chain.h"
#include "vm/runtime/agents_impl.h"

/* ---- snapshots ------------------------------------------------------------- */

typedef struct StreamKey {
  char byte[8];
} StreamKey;

static Str stream_key(uint64_t stream, StreamKey *room) {
  for (int n = 7; n >= 0; n--, stream >>= 8) room->byte[n] = (char)stream;
  return (Str){room->byte, sizeof room->byte};
}

enum { SNAPSHOT_ITEMS = 8 };

void instance_snapshot(Agents *a, Instance *i, Str state) {
  const AgentInfo *info = &a->infos[i->agent];
  StreamKey room;
  Buf value = {0};
  cbor_put_array(&value, SNAPSHOT_ITEMS);
  cbor_put_bytes(&value, info->code);
  cbor_put_text(&value, info->name);
  cbor_put_uint(&value, i->version);
  cbor_put_uint(&value, i->records);
  cbor_put_uint(&value, i->last_gid);
  cbor_put_uint(&value, i->page_gid);
  cbor_put_uint(&value, i->unpaged);
  cbor_put_bytes(&value, state);
  grouping_kv(app_grouping(a->app), SPACE_SNAPSHOT, stream_key(i->stream, &room), buf_view(&value));
  buf_deinit(&value);
  i->snapshot = i->version;
}

typedef struct Snapshot {
  Str code, agent, state;
  uint64_t version, records, gid, page_gid, unpaged;
} Snapshot;

static bool snapshot_decode(Str value, Snapshot *s) {
  CborReader r = cbor_reader(value);
  Err ignored;
  uint64_t items;
  return cbor_array(&r, &items, &ignored) && items == SNAPSHOT_ITEMS && cbor_bytes(&r, &s->code, &ignored) &&
         cbor_text(&r, &s->agent, &ignored) && cbor_uint(&r, &s->version, &ignored) &&
         cbor_uint(&r, &s->records, &ignored) && cbor_uint(&r, &s->gid, &ignored) &&
         cbor_uint(&r, &s->page_gid, &ignored) && cbor_uint(&r, &s->unpaged, &ignored) &&
         cbor_bytes(&r, &s->state, &ignored);
}

/* Begins with the snapshot where there is a good one, else with the initial state. */
static bool state_begin(Agents *a, Instance *i, Buf *keep, Err *err) {
  const AgentInfo *info = &a->infos[i->agent];
  StreamKey room;
  Snapshot s;
  Err no = {0};
  buf_clear(keep);
  bool found = info->agent->snapshot_every > 0 &&
               store_kv_get(app_store(a->app), SPACE_SNAPSHOT, stream_key(i->stream, &room), keep, &no);
  if (!found && no.code != ERR_NONE && no.code != ERR_NOT_FOUND) {
    *err = no;
    return false;
  }
  bool good = found && snapshot_decode(buf_view(keep), &s) && str_equal(s.code, info->code) &&
              str_equal(s.agent, info->name) && s.gid <= i->last_gid;
  if (good && decider_load(i->seat->decider, i->agent, s.state, &no)) {
    instance_state_set(a, i, s.state);
    i->version = i->snapshot = s.version;
    i->page_gid = s.page_gid;
    i->unpaged = (uint32_t)s.unpaged;
    i->durable_gid = s.gid;
    return true;
  }
  return decider_load(i->seat->decider, i->agent, (Str){0}, err);
}

/* ---- rows -------------------------------------------------------------------- */

typedef struct Loading {
  Agents *agents;
  Instance *instance;
  const AgentInfo *info;
  Decider *decider;
  Str tenant;
  Buf meta;
  bool first, ok;
  Err *err;
} Loading;

static bool right_agent(Loading *l, Str row) {
  Str bytes;
  bool broken;
  Record record;
  if (!frame_next(&row, &bytes, &broken)) {
    FAIL(l->err, ERR_CORRUPT, "the stream's first row cannot be read");
    return false;
  }
  if (!record_decode(bytes, &record, l->err)) return false;
  if (record.kind == RECORD_STREAM && str_equal(record.STREAM.agent, l->info->name)) return true;
  if (record.kind != RECORD_STREAM) {
    FAIL(l->err, ERR_CORRUPT, "the stream does not begin with what it is");
    return false;
  }
  FAIL(l->err, ERR_INVALID, "it is an instance of " STR_FMT ", and not of " STR_FMT
       ": give the agents different prefixes", STR_ARG(record.STREAM.agent), STR_ARG(l->info->name));
  return false;
}

static bool event_fold(Loading *l, const RowReader *r) {
  Instance *i = l->instance;
  if (r->event.number <= i->version) return true; /* a page may begin before the snapshot's end */
  if (r->event.number != i->version + 1) {
    FAIL(l->err, ERR_CORRUPT, "event %" PRIu64 " follows event %" PRIu64, r->event.number, i->version);
    return false;
  }
  buf_clear(&l->meta);
  if (l->info->evolve_meta) {
    Accepted command = accepted_of(&r->accepted, l->tenant);
    command_meta(&command, &l->meta);
  }
  if (!decider_fold(l->decider, r->event.type, r->event.version, r->event.data, buf_view(&l->meta), l->err)) {
    err_context(l->err, "event %" PRIu64 " (" STR_FMT ")", r->event.number, STR_ARG(r->event.type));
    return false;
  }
  i->version++;
  i->seat->stale = true;
  l->agents->counts.folds++;
  return true;
}

static bool is_page(const LogRow *row) {
  static const Hash256 none;
  return memcmp(&row->head, &none, sizeof none) == 0;
}

static bool row_fold(void *context, const LogRow *row) {
  Loading *l = context;
  Instance *i = l->instance;
  RowReader r = {.rest = row->bytes, .commands = l->info->evolve_meta};
  l->ok = !l->first || right_agent(l, row->bytes);
  l->first = false;
  while (l->ok && row_event(&r, l->err)) l->ok = event_fold(l, &r);
  l->ok = l->ok && l->err->code == ERR_NONE;
  if (is_page(row)) {
    i->page_gid = row->gid;
    i->unpaged = 0;
  } else {
    i->unpaged++;
  }
  return l->ok;
}

/* What the next row goes on from: the head and the count of records after the last one. */
static bool end_read(Agents *a, Instance *i, Buf *keep, Err *err) {
  LogRow row;
  Str record;
  bool broken;
  uint64_t number, seq;
  if (!store_log_get(app_store(a->app), i->last_gid, &row, keep, err)) return false;
  i->head = row.head;
  i->records = 0;
  while (frame_next(&row.bytes, &record, &broken))
    if (record_scan(record, &number, &seq)) i->records = seq + 1;
  if (i->records > 0 && !broken) return true;
  FAIL(err, ERR_CORRUPT, "the last row of the stream cannot be read");
  return false;
}

static bool stream_fold(Agents *a, Instance *i, Buf *keep, Err *err) {
  Str key;
  Loading l = {.agents = a, .instance = i, .info = &a->infos[i->agent], .decider = i->seat->decider, .ok = true,
               .err = err};
  if (!state_begin(a, i, keep, err)) return false;
  l.first = i->snapshot == 0;
  l.tenant = stream_key_tenant((Str){i->key, i->key_size}, &key);
  err->code = ERR_NONE;
  bool ok = i->durable_gid == i->last_gid ||
            store_stream_read(app_store(a->app), i->stream, i->durable_gid, row_fold, &l, err);
  buf_deinit(&l.meta);
  return ok && l.ok && end_read(a, i, keep, err);
}

bool instance_load(Agents *a, Instance *i, Err *err) {
  StreamRow row;
  Seat *seat;
  Buf keep = {0};
  if (!seat_take(a, i, &seat, err)) return false;
  bool ok = store_stream_find(app_store(a->app), (Str){i->key, i->key_size}, &row, &keep, err);
  if (ok) {
    i->stream = row.number;
    i->last_gid = row.last_gid;
    a->counts.loads++;
    ok = stream_fold(a, i, &keep, err);
    i->durable_gid = i->last_gid;
    if (!ok) err_context(err, "`" STR_FMT "`", (int)i->key_size, i->key);
  } else if (err->code == ERR_NOT_FOUND) {
    ok = decider_load(seat->decider, i->agent, (Str){0}, err);
  }
  buf_deinit(&keep);
  return ok;
}
