/* One command: admitted, named, let through by the middleware, decided, appended. Or one view. Every refusal on the
** way is an answer; only a store that cannot be read stops the round. */
#include <stdarg.h>

#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/runtime/bus_impl.h"

static Str uuid_bytes(const Uuid *id) { return (Str){(const char *)id->byte, sizeof id->byte}; }
static bool uuid_none(Uuid id) {
  static const Uuid none;
  return memcmp(&id, &none, sizeof id) == 0;
}

/* ---- refusals ------------------------------------------------------------- */

void bus_error(Bus *b, Str code, Str message, Str data) {
  buf_clear(&b->value);
  cbor_put_tag(&b->value, CBOR_TAG_ERROR);
  cbor_put_array(&b->value, 4);
  cbor_put_text(&b->value, code);
  cbor_put_text(&b->value, message);
  if (data.size > 0) buf_str(&b->value, data);
  else cbor_put_nil(&b->value);
  cbor_put_nil(&b->value);
}

void bus_errorf(Bus *b, const char *code, const char *format, ...) {
  Buf message = {0};
  va_list args;
  va_start(args, format);
  buf_vformat(&message, format, args);
  va_end(args);
  bus_error(b, str_of(code), buf_view(&message), (Str){0});
  buf_deinit(&message);
}

static Carry refused(Bus *b, const Refusal *r) {
  bus_error(b, r->code, r->message, r->data);
  return CARRIED;
}

/* The bytes of an instance are wrong, or do not fit the code: it alone is out of order. */
static Carry broken(Bus *b, Err *err) {
  if (err->code == ERR_IO || err->code == ERR_FULL || err->code == ERR_NONE) return CARRY_FAILED;
  bus_errorf(b, "broken_instance", "%s", err->text);
  return CARRIED;
}

/* ---- who: tenant, key ------------------------------------------------------- */

static bool has_control(Str text) {
  for (size_t i = 0; i < text.size; i++)
    if ((uint8_t)text.at[i] < 0x20 || text.at[i] == 0x7f) return true;
  return false;
}

bool tenant_valid(Str tenant) { return tenant.size <= 128 && !has_control(tenant) && utf8_valid(tenant); }

static bool tenant_fits(Bus *b, const Order *o) {
  if (tenant_valid(o->c.tenant)) return true;
  bus_errorf(b, "invalid_tenant", "a tenant's name has at most 128 bytes and no control characters");
  return false;
}

/* b->name gets the stream's key: what keeps tenants apart is that no id and no tenant may hold a tab. */
static bool key_make(Bus *b, Order *o, Str prefix, Str text) {
  bool own = o->c.tenant.size > 0 && !str_equal(o->c.tenant, STR("default"));
  buf_clear(&b->name);
  if (own) {
    buf_str(&b->name, o->c.tenant);
    buf_byte(&b->name, '\t');
  }
  buf_str(&b->name, prefix);
  buf_str(&b->name, text);
  o->key = buf_view(&b->name);
  if (text.size > 0 && o->key.size <= LIMIT_KEY_BYTES && !has_control(text)) return true;
  bus_errorf(b, "no_identity", "an instance's name has 1 to %d bytes with its prefix, and no control characters",
             (int)LIMIT_KEY_BYTES);
  return false;
}

/* ---- views -------------------------------------------------------------------- */

static Str agent_prefix(const Bundle *bundle, uint32_t agent) {
  for (uint32_t n = 0; n < bundle->route_count; n++)
    if (bundle->routes[n].agent == agent) return bundle_text(bundle, bundle->routes[n].prefix);
  return (Str){0};
}

static Carry wait_in_line(Bus *b, const Order *o, Instance *who);

static Carry carry_view(Bus *b, Order *o, Outcome *out, Err *err) {
  const Bundle *bundle = b->app->bundle;
  uintptr_t view = (uintptr_t)table_get(b->views, o->c.name);
  Refusal refusal;
  Instance *who;
  if (view == 0) {
    bus_errorf(b, "unknown_view", "no agent of the active program has the view " STR_FMT, STR_ARG(o->c.name));
    return CARRIED;
  }
  uint32_t agent = b->view_agents[view - 1];
  if (!tenant_fits(b, o) || !key_make(b, o, agent_prefix(bundle, agent), o->id)) return CARRIED;
  if (!agents_find(b->app->agents, agent, o->key, &who, err)) {
    if (err->code == ERR_BUSY) call_put(&b->queue, call_new(o));
    return err->code == ERR_BUSY ? CARRY_LATER : broken(b, err);
  }
  if (instance_held(who)) return wait_in_line(b, o, who);
  buf_clear(&b->value);
  out->ok = decider_view(agents_seat(b->app->agents, who), bundle->views[view - 1].fn, o->c.data, &b->value, &refusal);
  return out->ok ? CARRIED : refused(b, &refusal);
}

/* ---- admission ------------------------------------------------------------------ */

static bool metadata_fits(Bus *b, const Order *o) {
  CborReader r = cbor_reader(o->c.metadata), whole = r;
  CborItem item;
  Err ignored;
  if (o->c.metadata.size == 0) return true;
  if (cbor_next(&r, &item, &ignored) && item.kind == CBOR_TAG && item.n == CBOR_TAG_MAP &&
      cbor_skip(&whole, NULL, &ignored) && whole.at == whole.end)
    return true;
  bus_errorf(b, "invalid_message", "metadata is a map");
  return false;
}

static bool route_find(Bus *b, Order *o) {
  uintptr_t route = (uintptr_t)table_get(b->by_command, o->c.name);
  o->route = (uint32_t)route - 1;
  if (route != 0) return true;
  bus_errorf(b, "unknown_command", "no router of the active program routes the command " STR_FMT,
             STR_ARG(o->c.name));
  return false;
}

static void ids_make(Bus *b, Order *o) {
  if (uuid_none(o->c.id)) o->c.id = app_uuid(b->app);
  if (uuid_none(o->c.correlation)) o->c.correlation = o->c.id;
  if (o->at_us == 0) o->at_us = app_now(b->app);
}

static Accepted accepted_of_order(const Order *o, uint64_t version) {
  return (Accepted){.id = o->c.id, .causation = o->c.causation, .correlation = o->c.correlation, .type = o->c.name,
                    .data = o->c.data, .actor = o->c.actor,
                    .tenant = o->c.tenant.size > 0 ? o->c.tenant : STR("default"), .metadata = o->c.metadata,
                    .version = version, .at_us = o->at_us};
}

/* The first handler of an encoded list that the program does not have; empty: it has all of them. */
static bool handlers_known(Bus *b, const Order *o) {
  CborReader r = cbor_reader(o->c.handlers);
  Err ignored;
  uint64_t count = 0;
  Str name = {0};
  if (o->c.consistency != CONSISTENCY_HANDLERS) return true;
  bool ok = cbor_array(&r, &count, &ignored);
  for (; ok && count > 0; count--) ok = cbor_text(&r, &name, &ignored) && handlers_has(b->app->handlers, name);
  if (!ok) bus_errorf(b, "unknown_handler", "the active program has no handler `" STR_FMT "`", STR_ARG(name));
  return ok;
}

static bool inside_one(Bus *b, const Order *o) {
  CborReader r = cbor_reader(o->c.handlers);
  Err ignored;
  uint64_t count = 0;
  Str name;
  if (o->c.consistency == CONSISTENCY_STRONG) return handlers_inside(b->app->handlers, o->c.caller, (Str){0});
  bool ok = cbor_array(&r, &count, &ignored);
  for (; ok && count > 0 && cbor_text(&r, &name, &ignored); count--)
    if (handlers_inside(b->app->handlers, o->c.caller, name)) return true;
  return false;
}

/* Waiting for the handler that waits for us would never end. */
static bool may_wait(Bus *b, const Order *o) {
  if (o->c.consistency == CONSISTENCY_EVENTUAL || uuid_none(o->c.caller) || !inside_one(b, o)) return true;
  bus_errorf(b, "strong_in_handler", "the handling of an event dispatches with strong consistency, and the handler it "
             "would wait for is the one it is in: dispatch with consistency: eventual here");
  return false;
}

static bool admit(Bus *b, Order *o) {
  const RouteInfo *info = &b->routes[o->route];
  const BundleShape *shape = &b->app->bundle->shapes[info->route->command];
  uint64_t version = o->c.version > 0 ? o->c.version : shape->version;
  Refusal refusal;
  buf_clear(&b->data);
  buf_clear(&b->work);
  bool ok = decider_admit(b->desk, info->route->command, o->c.data, version, o->c.trusted, &b->data, &refusal);
  if (ok) o->c.data = buf_view(&b->data);
  ok = ok && decider_identity(b->desk, info->route, o->c.data, &b->work, &refusal);
  if (!ok) refused(b, &refusal);
  return ok && key_make(b, o, info->prefix, buf_view(&b->work));
}

static bool before(Bus *b, Order *o) {
  const RouteInfo *info = &b->routes[o->route];
  Refusal refusal;
  buf_clear(&b->meta);
  if (info->meta) {
    Accepted c = accepted_of_order(o, 0);
    command_meta(&c, &b->meta);
  }
  o->meta = buf_view(&b->meta);
  if (info->route->before.count == 0 || decider_before(b->desk, info->route, o->c.data, o->meta, &refusal)) return true;
  refused(b, &refusal);
  return false;
}

static bool prepare(Bus *b, Order *o) {
  if (o->admitted) return true;
  if (!tenant_fits(b, o) || !metadata_fits(b, o) || !route_find(b, o) || !handlers_known(b, o)) return false;
  ids_make(b, o);
  if (!admit(b, o) || !may_wait(b, o) || !before(b, o)) return false;
  o->admitted = true;
  return true;
}

/* ---- what was decided --------------------------------------------------------------- */

static void put_name(Buf *out, const char *name) { cbor_put_text(out, str_of(name)); }

/* {reply, version, events} and perhaps `state`, which is appended later. */
static void result_put(Bus *b, const Order *o, const Instance *who, const Decision *d) {
  Buf *out = &b->value;
  buf_clear(out);
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, o->c.returning_state ? 8 : 6);
  put_name(out, "reply");
  if (d->reply.at != NULL) buf_str(out, d->reply);
  else cbor_put_nil(out);
  put_name(out, "version");
  cbor_put_uint(out, instance_version(who));
  put_name(out, "events");
  cbor_put_array(out, d->event_count);
  for (uint32_t n = 0; n < d->event_count; n++) buf_str(out, d->events[n].data);
  if (o->c.returning_state) put_name(out, "state");
}

static Uuid derived_id(Uuid from, uint64_t n, int64_t at_us) {
  uint8_t bytes[24];
  memcpy(bytes, from.byte, 16);
  for (int i = 0; i < 8; i++) bytes[16 + i] = (uint8_t)(n >> (8 * i));
  Hash256 h = sha256((Str){(char *)bytes, sizeof bytes});
  return uuid_v7(at_us, h.byte);
}

/* What the jobs would refuse is refused before any of them is in the group: a decision is done whole or not at all. */
static bool jobs_fit(Bus *b, const Decision *d, Err *err) {
  for (uint32_t n = 0; n < d->job_count; n++)
    if (!jobs_check(b->app->jobs, d->jobs[n].worker, d->jobs[n].options, err)) return false;
  return true;
}

/* *count: how many are in the group. */
static bool jobs_put(Bus *b, const Order *o, const Decision *d, uint32_t *count, Err *err) {
  for (*count = 0; *count < d->job_count; (*count)++) {
    const DecidedJob *job = &d->jobs[*count];
    JobPlaced placed;
    NewJob new_job = {.worker = job->worker, .data = job->data, .options = job->options,
                      .id = derived_id(o->c.id, *count, o->at_us), .tenant = o->c.tenant, .actor = o->c.actor,
                      .causation = o->c.id, .correlation = o->c.correlation};
    if (!jobs_place(b->app->jobs, &new_job, &placed, err)) return false;
  }
  return true;
}

/* Nothing is in the group yet: the decision is dropped, and the caller told why. */
static Carry dropped(Bus *b, Instance *who, Err *err) {
  agents_settle(b->app->agents, who, false);
  if (err->code == ERR_IO || err->code == ERR_FULL) return CARRY_FAILED;
  bus_errorf(b, err->code == ERR_LIMIT ? "limit_record" : "invalid_job", "%s", err->text);
  return CARRIED;
}

static Carry accept(Bus *b, Order *o, Instance *who, const Decision *d, Outcome *out, Err *err) {
  const BundleShape *shape = &b->app->bundle->shapes[b->routes[o->route].route->command];
  Accepted c = accepted_of_order(o, shape->version);
  Agents *agents = b->app->agents;
  uint8_t key[16];
  b->event_ids = mem_grow(b->event_ids, &b->event_cap, d->event_count + 1, sizeof *b->event_ids);
  uint32_t placed = 0;
  if (!agents_fit(&c, d, err) || !jobs_fit(b, d, err) || !jobs_put(b, o, d, &placed, err)) {
    if (placed == 0) return dropped(b, who, err);
    err_context(err, "one of the jobs of a decision cannot be placed");
    return CARRY_FAILED;
  }
  agents_append(agents, who, &c, d, b->event_ids);
  result_put(b, o, who, d);
  out->ok = true;
  out->position = d->event_count > 0 ? instance_gid(who) * 4096 + d->event_count : 0;
  agents_settle(agents, who, true);
  if (o->c.returning_state && !agents_state(agents, who, &b->value, err)) return CARRY_FAILED;
  if (o->c.idempotency_key.size > 0) {
    reply_key(o, key);
    reply_keep(b, (Str){(char *)key, sizeof key}, reply_check(o), out);
  }
  out->stored = o->asker.run != 0 && (o->late || bus_awaits(b, o, out));
  if (out->stored) reply_keep(b, uuid_bytes(&o->c.id), 0, out);
  return CARRIED;
}

/* ---- deciding ------------------------------------------------------------------------- */

static Deciding *deciding_of(Bus *b, const Instance *who) {
  for (Deciding *d = b->deciding; d != NULL; d = d->next)
    if (d->who == who) return d;
  return NULL;
}

static Carry wait_in_line(Bus *b, const Order *o, Instance *who) {
  Deciding *d = deciding_of(b, who);
  ASSERT(d != NULL);
  if (d->line.count >= LINE_MAX) {
    bus_errorf(b, "busy", "%d commands wait for this instance already: try again later", (int)LINE_MAX);
    return CARRIED;
  }
  Call *call = call_new(o);
  call->o.late = true;
  call_put(&d->line, call);
  return CARRY_LATER;
}

static Carry decide_later(Bus *b, const Order *o, Instance *who) {
  Deciding *d = MEM_NEW(Deciding);
  d->who = who;
  d->call = call_new(o);
  d->call->o.late = true;
  *b->deciding_end = d;
  b->deciding_end = &d->next;
  agents_hold(b->app->agents, who, true);
  b->slices++;
  return CARRY_LATER;
}

static Carry decided(Bus *b, Order *o, Instance *who, const Decision *d, Outcome *out, Err *err) {
  if (d->refused) return refused(b, &d->refusal);
  return accept(b, o, who, d, out, err);
}

/* The same key again: what was answered then. True: the order has its outcome, or *carry says why not. */
static bool answered_before(Bus *b, const Order *o, Outcome *out, Carry *carry, Err *err) {
  uint8_t key[16];
  bool other = false;
  *carry = CARRIED;
  if (o->c.idempotency_key.size == 0) return false;
  reply_key(o, key);
  if (reply_find(b, (Str){(char *)key, sizeof key}, reply_check(o), out, &other, err)) return true;
  if (err->code != ERR_NOT_FOUND) {
    *carry = CARRY_FAILED;
    return true;
  }
  if (other)
    bus_errorf(b, "idempotency_key_reused", "this idempotency key was used for another command, or another instance");
  return other;
}

static bool version_fits(Bus *b, const Order *o, const Instance *who) {
  uint64_t version = instance_version(who);
  if (o->c.expected_version < 0 || (uint64_t)o->c.expected_version == version) return true;
  buf_clear(&b->work);
  cbor_put_tag(&b->work, CBOR_TAG_MAP);
  cbor_put_array(&b->work, 4);
  put_name(&b->work, "expected");
  cbor_put_int(&b->work, o->c.expected_version);
  put_name(&b->work, "version");
  cbor_put_uint(&b->work, version);
  Buf message = {0};
  buf_format(&message, "version %" PRId64 " was expected, and the instance is at %" PRIu64, o->c.expected_version,
             version);
  bus_error(b, STR("wrong_version"), buf_view(&message), buf_view(&b->work));
  buf_deinit(&message);
  return false;
}

static Carry carry_command(Bus *b, Order *o, Outcome *out, Err *err) {
  Instance *who;
  Decision d = {0};
  Carry carry;
  if (!prepare(b, o)) return CARRIED;
  const BundleRoute *route = b->routes[o->route].route;
  if (!agents_find(b->app->agents, route->agent, o->key, &who, err)) {
    if (err->code != ERR_BUSY) return broken(b, err);
    call_put(&b->queue, call_new(o));
    return CARRY_LATER;
  }
  if (instance_held(who)) return wait_in_line(b, o, who);
  if (answered_before(b, o, out, &carry, err)) return carry;
  if (!version_fits(b, o, who)) return CARRIED;
  Decider *seat = agents_seat(b->app->agents, who);
  if (decider_decide(seat, route->command, o->c.data, o->meta, SLICE_DECIDE, &d) == DECIDE_SLICE)
    return decide_later(b, o, who);
  return decided(b, o, who, &d, out, err);
}

Carry bus_carry(Bus *b, Order *o, Outcome *out, Err *err) {
  err->code = ERR_NONE;
  return o->view ? carry_view(b, o, out, err) : carry_command(b, o, out, err);
}

/* ---- long decisions -------------------------------------------------------------------- */

/* Those in line, in order, until one of them takes long again: it is then the one that is decided. */
static bool line_go(Bus *b, Deciding *d, const Instance *who, Err *err) {
  Call *call;
  while ((call = call_take(&d->line)) != NULL) {
    Outcome out = {0};
    Carry carry = bus_carry(b, &call->o, &out, err);
    if (carry == CARRIED) bus_reply(b, &call->o, &out);
    mem_free(call);
    if (carry == CARRY_FAILED) return false;
    if (carry != CARRY_LATER) continue;
    Deciding *again = deciding_of(b, who); /* or it is in the queue, for want of a decider */
    if (again == NULL) continue;
    again->line = d->line;
    if (again->line.first == NULL) again->line.end = &again->line.first;
    d->line = (CallList){0};
  }
  return true;
}

bool bus_decide_on(Bus *b, Deciding *d, bool *over, Err *err) {
  const Instance *who = d->who;
  Decision decision = {0};
  Outcome out = {0};
  agents_hold(b->app->agents, d->who, false);
  Decider *seat = agents_seat(b->app->agents, d->who);
  *over = false;
  if (decider_go(seat, SLICE_DECIDE, &decision) == DECIDE_SLICE) {
    agents_hold(b->app->agents, d->who, true);
    return true;
  }
  *over = true;
  Carry carry = decided(b, &d->call->o, d->who, &decision, &out, err);
  if (carry == CARRIED) bus_reply(b, &d->call->o, &out);
  mem_free(d->call);
  d->call = NULL;
  d->who = NULL;
  return carry != CARRY_FAILED && line_go(b, d, who, err);
}
