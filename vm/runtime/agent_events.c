/* Events out of rows: for folding, for handlers, for people; and the `meta` that code sees.
**
** Folding reads millions of rows, so a HAPPENED record is taken apart by hand here: its payload is the last
** field, and so needs no looking for its end. */
#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/journal/chain.h"
#include "vm/runtime/agents_impl.h"

enum { ITEMS_HAPPENED = 7 };

/* ---- rows ---------------------------------------------------------------- */

static bool damaged(const char *what, Err *err) {
  FAIL(err, ERR_CORRUPT, "a row of an agent's stream: %s", what);
  return false;
}

static bool happened(Str record, RowReader *r, Err *err) {
  CborReader c = cbor_reader(record);
  uint64_t items, number;
  Str id;
  Record_HAPPENED *e = &r->event;
  if (!cbor_array(&c, &items, err) || !cbor_uint(&c, &number, err) || !cbor_uint(&c, &r->seq, err) ||
      !cbor_bytes(&c, &id, err) || !cbor_text(&c, &e->type, err) || !cbor_uint(&c, &e->version, err) ||
      !cbor_uint(&c, &e->number, err))
    return false;
  if (items != ITEMS_HAPPENED || id.size != sizeof e->id || c.at >= c.end) return damaged("an event's record", err);
  memcpy(e->id.byte, id.at, id.size);
  e->data = (Str){(const char *)c.at, (size_t)(c.end - c.at)};
  return true;
}

static bool accepted(Str bytes, RowReader *r, Err *err) {
  Record record;
  if (!record_decode(bytes, &record, err)) return false;
  r->accepted = record.ACCEPTED;
  return true;
}

bool row_event(RowReader *r, Err *err) {
  Str record;
  bool broken;
  uint64_t number;
  err->code = ERR_NONE;
  while (frame_next(&r->rest, &record, &broken)) {
    if (!record_scan(record, &number, &r->seq)) return damaged("bytes that are no record", err);
    r->any = true;
    if (number == RECORD_HAPPENED) return happened(record, r, err);
    if (number == RECORD_ACCEPTED && r->commands && !accepted(record, r, err)) return false;
    if (number != RECORD_ACCEPTED && number != RECORD_STREAM) {
      r->rest = (Str){0}; /* a run's row */
      return false;
    }
  }
  return broken ? damaged("bytes that are no frame", err) : false;
}

bool events_each(const LogRow *row, bool (*each)(void *context, const StoredEvent *event), void *context, Err *err) {
  RowReader r = {.rest = row->bytes, .commands = true};
  uint64_t position = row->gid * 4096;
  while (row_event(&r, err)) {
    const Record_ACCEPTED *c = &r.accepted;
    StoredEvent e = {.position = ++position, .stream = row->run, .number = r.event.number,
                     .id = r.event.id, .command = c->id, .correlation = c->correlation, .causation = c->causation,
                     .type = r.event.type, .data = r.event.data, .version = r.event.version,
                     .actor = c->actor, .metadata = c->metadata, .bundle = c->bundle, .at_us = c->at};
    if (!each(context, &e)) return true;
  }
  return err->code == ERR_NONE;
}

/* ---- meta ------------------------------------------------------------------ */

static void put_name(Buf *out, const char *name) { cbor_put_text(out, str_of(name)); }

static void put_id(Buf *out, const char *name, Uuid id) {
  static const Uuid none;
  char text[37];
  put_name(out, name);
  if (memcmp(&id, &none, sizeof id) == 0) {
    cbor_put_nil(out);
    return;
  }
  uuid_text(id, text);
  cbor_put_text(out, (Str){text, 36});
}

static void put_text_or_nil(Buf *out, const char *name, Str text) {
  put_name(out, name);
  if (text.size > 0) cbor_put_text(out, text);
  else cbor_put_nil(out);
}

typedef struct Meta { /* what commands and events share */
  Uuid id, causation, correlation;
  int64_t at_us;
  Str actor, tenant, metadata;
} Meta;

enum { META_COMMAND = 7, META_EVENT = META_COMMAND + 3 /* entries */ };

static void put_meta(Buf *out, const Meta *m, uint64_t entries) {
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 2 * entries);
  put_id(out, "id", m->id);
  put_name(out, "time");
  cbor_put_tag(out, CBOR_TAG_TIME);
  cbor_put_int(out, m->at_us);
  put_text_or_nil(out, "actor", m->actor);
  put_name(out, "tenant");
  cbor_put_text(out, m->tenant.size > 0 ? m->tenant : STR("default"));
  put_id(out, "causation", m->causation);
  put_id(out, "correlation", m->correlation);
  put_name(out, "metadata");
  if (m->metadata.size > 0) buf_str(out, m->metadata);
  else cbor_put_nil(out);
}

void command_meta(const Accepted *c, Buf *out) {
  Meta m = {c->id, c->causation, c->correlation, c->at_us, c->actor, c->tenant, c->metadata};
  put_meta(out, &m, META_COMMAND);
}

void event_meta(const StoredEvent *e, Buf *out) {
  Meta m = {e->id, e->command, e->correlation, e->at_us, e->actor, e->tenant, e->metadata};
  put_meta(out, &m, META_EVENT);
  put_name(out, "stream");
  cbor_put_text(out, e->key);
  put_name(out, "number");
  cbor_put_uint(out, e->number);
  put_name(out, "position");
  cbor_put_uint(out, e->position);
}

Accepted accepted_of(const Record_ACCEPTED *r, Str tenant) {
  return (Accepted){.id = r->id, .causation = r->causation, .correlation = r->correlation, .type = r->type,
                    .data = r->data, .actor = r->actor, .tenant = tenant, .metadata = r->metadata,
                    .version = r->version, .at_us = r->at};
}

/* ---- names of streams -------------------------------------------------------- */

Str stream_key_tenant(Str stream_key, Str *key) {
  const char *tab = stream_key.size > 0 ? memchr(stream_key.at, '\t', stream_key.size) : NULL;
  *key = stream_key;
  if (tab == NULL) return STR("default");
  size_t size = (size_t)(tab - stream_key.at);
  *key = (Str){tab + 1, stream_key.size - size - 1};
  return (Str){stream_key.at, size};
}

void names_clear(Agents *a) {
  for (uint32_t i = 0; i < NAMES_KEPT; i++) {
    mem_free(a->names[i].text);
    a->names[i] = (StreamName){0};
  }
}

static Str name_part(StreamName *n, size_t *at, Str part) {
  char *to = n->text + *at;
  if (part.size > 0) memcpy(to, part.at, part.size);
  *at += part.size;
  return (Str){to, part.size};
}

static void name_keep(StreamName *n, const Record_STREAM *s) {
  size_t at = 0;
  Str key;
  (void)stream_key_tenant(s->key, &key);
  mem_free(n->text);
  n->text = mem_alloc(key.size + s->agent.size + s->tenant.size);
  n->key = name_part(n, &at, key);
  n->agent = name_part(n, &at, s->agent);
  n->tenant = name_part(n, &at, s->tenant);
}

static bool first_record(void *context, const LogRow *row) {
  StreamName *n = context;
  Str rest = row->bytes, bytes;
  bool broken;
  Record record;
  Err ignored;
  if (frame_next(&rest, &bytes, &broken) && record_decode(bytes, &record, &ignored) && record.kind == RECORD_STREAM)
    name_keep(n, &record.STREAM);
  return false;
}

bool agents_stream_name(Agents *a, uint64_t stream, Str *key, Str *agent, Str *tenant, Err *err) {
  StreamName *n = &a->names[stream % NAMES_KEPT];
  if (n->stream != stream) {
    n->stream = 0;
    mem_free(n->text);
    n->text = NULL;
    if (!store_stream_read(app_store(a->app), stream, 0, first_record, n, err)) return false;
    if (n->text == NULL) return damaged("a stream that does not say which it is", err);
    n->stream = stream;
  }
  *key = n->key;
  *agent = n->agent;
  *tenant = n->tenant;
  return true;
}
