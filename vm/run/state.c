/* The run's own state as bytes: beside the machine's in an image, and in its
** hash. One CBOR array in fixed order; loading trusts nothing. */
#include "vm/run/state.h"

/* ---- save ---- */

static void put_str(Buf *out, Str s) {
  if (s.at) cbor_put_bytes(out, s);
  else cbor_put_nil(out);
}

/* Scopes of budgets, and names of what calls of models hold, are items at the end, and only where there are any: a
** state without them has the bytes, and the hash, that it had before there were such things. */
static void wait_save(const Wait *w, Buf *out) {
  cbor_put_array(out, w->scopes.size ? 16 : 15);
  cbor_put_uint(out, w->seq);
  cbor_put_uint(out, w->fiber);
  cbor_put_uint(out, w->kind);
  cbor_put_uint(out, w->effect);
  cbor_put_uint(out, w->effect_class);
  cbor_put_uint(out, w->dropped);
  cbor_put_uint(out, w->extern_index);
  cbor_put_int(out, w->timeout_us);
  cbor_put_int(out, w->due_us);
  cbor_put_bytes(out, (Str){(const char *)w->run.byte, 16});
  cbor_put_uint(out, w->limit_count);
  cbor_put_int(out, w->limit_per_us);
  put_str(out, w->target);
  put_str(out, w->operands);
  put_str(out, w->key);
  if (w->scopes.size) put_str(out, w->scopes);
}

/* [inherited, [seq, limits, …], of each tool's call how many were around it…] */
static void scopes_save(const Strand *s, Buf *out) {
  cbor_put_array(out, 2 + (uint64_t)s->tool_count);
  cbor_put_uint(out, s->inherited);
  cbor_put_array(out, (uint64_t)s->scope_count * 2);
  for (uint32_t i = 0; i < s->scope_count; i++) {
    cbor_put_uint(out, s->scopes[i].seq);
    cbor_put_bytes(out, s->scopes[i].limits);
  }
  for (uint32_t i = 0; i < s->tool_count; i++) cbor_put_uint(out, s->tools[i].scopes);
}

static void waits_save(Wait *const *waits, uint32_t count, Buf *out) {
  cbor_put_array(out, count);
  for (uint32_t i = 0; i < count; i++) wait_save(waits[i], out);
}

static void strand_save(const Strand *s, uint32_t id, Buf *out) {
  cbor_put_array(out, s->scope_count ? 13 : 12);
  cbor_put_uint(out, id);
  cbor_put_uint(out, s->group);
  cbor_put_uint(out, s->index);
  cbor_put_uint(out, s->on);
  cbor_put_uint(out, (uint64_t)(s->await_any | (s->cancelled ? 2 : 0) | (s->cancel_due ? 4 : 0)));
  cbor_put_uint(out, s->seq);
  cbor_put_uint(out, s->timer_seq);
  cbor_put_uint(out, s->waits_group);
  cbor_put_uint(out, s->signal);
  cbor_put_uint(out, s->await_count);
  cbor_put_array(out, (uint64_t)s->await_count * 3);
  for (uint32_t i = 0; i < s->await_count; i++) {
    cbor_put_uint(out, s->awaits[i].seq);
    cbor_put_uint(out, s->awaits[i].outcome);
    put_str(out, s->awaits[i].value);
  }
  cbor_put_array(out, (uint64_t)s->tool_count * 7);
  for (uint32_t i = 0; i < s->tool_count; i++) {
    const ToolCall *t = &s->tools[i];
    cbor_put_uint(out, t->seq);
    cbor_put_uint(out, t->tool);
    cbor_put_uint(out, t->attempt);
    cbor_put_uint(out, t->checks);
    cbor_put_uint(out, t->sends);
    cbor_put_uint(out, t->phase);
    cbor_put_uint(out, t->interrupted);
  }
  if (s->scope_count) scopes_save(s, out);
}

static void strands_save(const Run *run, Buf *out) {
  uint32_t live = 0;
  for (uint32_t i = 0; i < run->strand_count; i++) live += run->strands[i] != NULL;
  cbor_put_array(out, live);
  for (uint32_t i = 0; i < run->strand_count; i++) {
    if (run->strands[i]) strand_save(run->strands[i], i, out);
  }
}

static void groups_save(const Run *run, Buf *out) {
  cbor_put_array(out, run->group_count);
  for (uint32_t i = 0; i < run->group_count; i++) {
    const Group *g = run->groups[i];
    if (!g) {
      cbor_put_nil(out);
      continue;
    }
    cbor_put_array(out, 8 + (uint64_t)g->next);
    cbor_put_uint(out, g->parent);
    cbor_put_uint(out, g->op);
    cbor_put_uint(out, g->mode);
    cbor_put_uint(out, g->total);
    cbor_put_uint(out, g->next);
    cbor_put_uint(out, g->running);
    cbor_put_uint(out, g->limit);
    cbor_put_uint(out, g->decided);
    for (uint32_t c = 0; c < g->next; c++) cbor_put_uint(out, g->children[c]);
  }
}

static void lists_save(const Run *run, Buf *out) {
  cbor_put_array(out, run->ready_count);
  for (uint32_t i = 0; i < run->ready_count; i++) cbor_put_uint(out, run->ready[i]);
  cbor_put_array(out, (uint64_t)run->patch_count * 3);
  for (uint32_t i = 0; i < run->patch_count; i++) {
    cbor_put_uint(out, run->patches[i].id);
    cbor_put_uint(out, run->patches[i].value);
    cbor_put_uint(out, run->patches[i].unwritten);
  }
  cbor_put_array(out, (uint64_t)run->signal_count * 2);
  for (uint32_t i = 0; i < run->signal_count; i++) {
    cbor_put_bytes(out, run->signals[i].name);
    cbor_put_bytes(out, run->signals[i].value);
  }
  cbor_put_array(out, run->signal_id_count);
  for (uint32_t i = 0; i < run->signal_id_count; i++) cbor_put_uint(out, run->signal_ids[i]);
}

void state_save(const Run *run, Buf *out) {
  cbor_put_array(out, 13u + (run->attempts != NULL) + (run->known.count > 0));
  cbor_put_bytes(out, buf_view(&run->head_bytes));
  cbor_put_int(out, run->now_us);
  cbor_put_uint(out, run->delivered);
  cbor_put_uint(out, run->draws);
  cbor_put_uint(out, run->cancelling);
  waits_save(run->waits, run->wait_count, out);
  waits_save(run->sends, run->send_count, out);
  strands_save(run, out);
  groups_save(run, out);
  lists_save(run, out); /* four items */
  if (run->attempts) attempts_save(run, out);
  if (run->known.count) cbor_put_bytes(out, (Str){(const char *)run->known.at, run->known.count * sizeof(ValueName)});
}

/* ---- load: a reader that remembers its first failure, checked at the end ---- */

typedef struct Loader {
  CborReader r;
  Run *run;
  Err *err;
  bool bad;
} Loader;

static void refuse(Loader *l, const char *what) {
  if (!l->bad) FAIL(l->err, ERR_CORRUPT, "the image's run state is damaged: %s", what);
  l->bad = true;
}

static uint64_t get_uint(Loader *l, uint64_t most, const char *what) {
  uint64_t n = 0;
  if (l->bad) return 0;
  if (!cbor_uint(&l->r, &n, l->err)) l->bad = true;
  else if (n > most) refuse(l, what);
  return l->bad ? 0 : n;
}

static int64_t get_int(Loader *l) {
  int64_t n = 0;
  if (!l->bad && !cbor_int(&l->r, &n, l->err)) l->bad = true;
  return n;
}

static uint64_t get_array(Loader *l) {
  uint64_t n = 0;
  if (l->bad) return 0;
  if (!cbor_array(&l->r, &n, l->err)) l->bad = true;
  else if (n > (uint64_t)(l->r.end - l->r.at)) refuse(l, "an array longer than the bytes left");
  return l->bad ? 0 : n;
}

static Str get_str(Loader *l) {
  CborItem item;
  if (l->bad) return (Str){0};
  if (!cbor_next(&l->r, &item, l->err)) return l->bad = true, (Str){0};
  if (item.kind == CBOR_NIL) return (Str){0};
  if (item.kind != CBOR_BYTES) return refuse(l, "bytes were expected"), (Str){0};
  return item.bytes.at ? item.bytes : (Str){"", 0};
}

static Str own(Str s) {
  char *copy = mem_alloc(s.size + 1);
  if (s.size) memcpy(copy, s.at, s.size);
  return (Str){copy, s.size};
}

/* The waits of attempts are for no effect. */
static bool wait_known(const Loader *l, const Request *r) {
  if (r->effect == 0) return l->run->attempts && (r->kind == REQUEST_TIMER || r->kind == REQUEST_TURN);
  if ((r->kind == REQUEST_APPROVAL) != (r->effect == EFFECT_APPROVE)) return false;
  return effect_info(r->effect) && (r->kind <= REQUEST_PERSON || r->kind == REQUEST_APPROVAL);
}

static Wait *wait_load(Loader *l) {
  Request r = {0};
  uint64_t items = get_array(l);
  if (items != 15 && items != 16) refuse(l, "a wait");
  r.seq = get_uint(l, UINT64_MAX, "");
  uint32_t fibers = l->run->machine->fiber_count;
  uint32_t fiber = (uint32_t)get_uint(l, fibers ? fibers - 1 : 0, "a wait's fiber");
  r.kind = (RequestKind)get_uint(l, REQUEST_APPROVAL, "a wait's kind");
  r.effect = (uint8_t)get_uint(l, 255, "a wait's effect");
  if (!l->bad && !wait_known(l, &r)) refuse(l, "a wait's effect");
  r.effect_class = (uint8_t)get_uint(l, CLASS_AS_DECLARED, "a wait's class");
  bool dropped = get_uint(l, 1, "a wait") == 1;
  r.extern_index = (uint32_t)get_uint(l, UINT32_MAX, "a wait");
  if (r.effect == EFFECT_FOREIGN && r.extern_index >= l->run->bundle->extern_count) refuse(l, "a wait's extern");
  r.timeout_us = get_int(l);
  r.due_us = get_int(l);
  Str id = get_str(l);
  if (id.size == 16) memcpy(r.run.byte, id.at, 16);
  else refuse(l, "a run id");
  r.limit_count = (uint32_t)get_uint(l, UINT32_MAX, "a wait");
  r.limit_per_us = get_int(l);
  r.target = get_str(l);
  r.operands = get_str(l);
  r.key = get_str(l);
  if (items == 16) r.scopes = get_str(l);
  if (l->bad) return NULL;
  Wait *w = wait_new(&r, fiber);
  w->dropped = dropped;
  return w;
}

static void waits_load(Loader *l) {
  Run *run = l->run;
  uint64_t n = get_array(l);
  for (uint64_t i = 0; i < n && !l->bad; i++) {
    Wait *w = wait_load(l);
    if (!w) return;
    if (run->wait_count && run->waits[run->wait_count - 1]->seq >= w->seq) refuse(l, "waits out of order");
    wait_insert(run, w);
  }
}

static void sends_load(Loader *l) {
  Run *run = l->run;
  uint64_t n = get_array(l);
  for (uint64_t i = 0; i < n && !l->bad; i++) {
    Wait *w = wait_load(l);
    if (!w) return;
    if (run->send_count && run->sends[run->send_count - 1]->seq > w->seq) refuse(l, "sends out of order");
    run->sends = mem_grow(run->sends, &run->send_cap, run->send_count + 1, sizeof(Wait *));
    run->sends[run->send_count++] = w;
  }
}

static bool strand_consistent(const Loader *l, const Strand *s) {
  const Run *run = l->run;
  if (s->on == FIBER_ON_SIGNAL) {
    return s->signal < run->bundle->const_count && run->bundle->consts[s->signal].kind == CONST_STRING;
  }
  if (s->on == FIBER_ON_PERSON) return s->tool_count > 0;
  return true;
}

static void scopes_load(Loader *l, Strand *s) {
  if (get_array(l) != 2 + (uint64_t)s->tool_count) refuse(l, "a strand's budgets");
  s->inherited = (uint32_t)get_uint(l, LIMIT_BUDGETS, "a strand's budgets");
  uint64_t count = get_array(l) / 2;
  if (count > LIMIT_BUDGETS || s->inherited > count) refuse(l, "a strand's budgets");
  for (uint64_t i = 0; i < count && !l->bad; i++) {
    uint64_t seq = get_uint(l, UINT64_MAX, "");
    Str limits = get_str(l);
    CborReader r = cbor_reader(limits);
    if (!l->bad && (!cbor_skip(&r, NULL, l->err) || r.at != r.end)) refuse(l, "a budget");
    if (!l->bad) scopes_open(s, seq, limits);
  }
  for (uint32_t i = 0; i < s->tool_count && !l->bad; i++) {
    s->tools[i].scopes = (uint32_t)get_uint(l, count, "a tool's budgets");
    if (i > 0 && s->tools[i].scopes < s->tools[i - 1].scopes) refuse(l, "a tool's budgets");
  }
}

static void strand_load(Loader *l) {
  Run *run = l->run;
  uint64_t items = get_array(l);
  if (items != 12 && items != 13) refuse(l, "a strand");
  uint64_t id = get_uint(l, UINT32_MAX - 1, "a strand's id");
  if (l->bad || id >= run->machine->fiber_count || !run->machine->fibers[id]) {
    refuse(l, "a strand without a fiber");
    return;
  }
  Strand *s = run_strand(run, (uint32_t)id);
  s->group = (uint32_t)get_uint(l, UINT32_MAX, "");
  s->index = (uint32_t)get_uint(l, UINT32_MAX, "");
  s->on = (uint8_t)get_uint(l, FIBER_ON_PERSON, "a strand's wait");
  uint64_t flags = get_uint(l, 7, "a strand's flags");
  s->await_any = flags & 1;
  s->cancelled = (flags & 2) != 0;
  s->cancel_due = (flags & 4) != 0;
  s->seq = get_uint(l, UINT64_MAX, "");
  s->timer_seq = get_uint(l, UINT64_MAX, "");
  s->waits_group = (uint32_t)get_uint(l, UINT32_MAX, "");
  s->signal = (uint32_t)get_uint(l, UINT32_MAX, "");
  uint64_t awaits = get_uint(l, 1u << 24, "awaits");
  if (get_array(l) != awaits * 3) refuse(l, "awaits");
  if (l->bad) return;
  s->awaits = awaits ? mem_alloc(awaits * sizeof *s->awaits) : NULL;
  for (uint64_t i = 0; i < awaits && !l->bad; i++, s->await_count++) {
    s->awaits[i].seq = get_uint(l, UINT64_MAX, "");
    s->awaits[i].outcome = (uint8_t)get_uint(l, 2, "an await's outcome");
    Str value = get_str(l);
    s->awaits[i].value = value.at ? own(value) : (Str){0};
  }
  uint64_t tools = get_array(l) / 7;
  for (uint64_t i = 0; i < tools && !l->bad; i++) {
    ToolCall t = {.seq = get_uint(l, UINT64_MAX, "")};
    t.tool = (uint32_t)get_uint(l, run->bundle->tool_count ? run->bundle->tool_count - 1 : 0, "a tool's index");
    t.attempt = (uint32_t)get_uint(l, UINT32_MAX, "");
    t.checks = (uint32_t)get_uint(l, UINT32_MAX, "");
    t.sends = (uint32_t)get_uint(l, UINT32_MAX, "");
    t.phase = (uint8_t)get_uint(l, TOOL_STUCK, "a tool's phase");
    t.interrupted = get_uint(l, 1, "a tool's flag") == 1;
    if (run->bundle->tool_count == 0) refuse(l, "a tool's index");
    s->tools = mem_grow(s->tools, &s->tool_cap, s->tool_count + 1, sizeof t);
    s->tools[s->tool_count++] = t;
  }
  if (!l->bad && items == 13) scopes_load(l, s);
  if (!l->bad && !strand_consistent(l, s)) refuse(l, "a strand");
}

static Group *group_load(Loader *l, uint64_t items) {
  Run *run = l->run;
  Group *g = MEM_NEW(Group);
  g->parent = (uint32_t)get_uint(l, run->machine->fiber_count, "a group's parent");
  g->op = (uint8_t)get_uint(l, 255, "");
  g->mode = (uint8_t)get_uint(l, 2, "a group's mode");
  g->total = (uint32_t)get_uint(l, UINT32_MAX - 1, "");
  g->next = (uint32_t)get_uint(l, g->total, "a group's count");
  g->running = (uint32_t)get_uint(l, g->next, "a group's count");
  g->limit = (uint32_t)get_uint(l, UINT32_MAX, "");
  g->decided = (uint32_t)get_uint(l, UINT32_MAX, "");
  if (g->op != OP_PARALLEL && g->op != OP_PARFOR) refuse(l, "a group's kind");
  bool decided_fits = g->decided == NO_GROUP || g->decided < g->next;
  if (!l->bad && (items != 8 + (uint64_t)g->next || !decided_fits)) refuse(l, "a group");
  if (!l->bad && g->total > (1u << 26)) refuse(l, "a group's size");
  if (l->bad) return g;
  g->children = mem_alloc((g->total + 1) * sizeof *g->children);
  for (uint32_t i = 0; i < g->next && !l->bad; i++) {
    uint64_t id = get_uint(l, UINT32_MAX, "");
    if (id >= run->machine->fiber_count || !run->machine->fibers[id]) refuse(l, "a group's branch");
    g->children[i] = (uint32_t)id;
  }
  return g;
}

static void groups_load(Loader *l) {
  Run *run = l->run;
  uint64_t n = get_array(l);
  for (uint64_t i = 0; i < n && !l->bad; i++) {
    CborItem item;
    Group *g = NULL;
    if (!cbor_next(&l->r, &item, l->err)) l->bad = true;
    else if (item.kind == CBOR_ARRAY) g = group_load(l, item.n);
    else if (item.kind != CBOR_NIL) refuse(l, "a group");
    run->groups = mem_grow(run->groups, &run->group_cap, run->group_count + 1, sizeof(Group *));
    run->groups[run->group_count++] = g;
  }
}

static void lists_load(Loader *l) {
  Run *run = l->run;
  uint64_t n = get_array(l);
  for (uint64_t i = 0; i < n && !l->bad; i++) {
    uint64_t id = get_uint(l, UINT32_MAX, "");
    if (id >= run->machine->fiber_count || !run->machine->fibers[id]) refuse(l, "a ready fiber");
    else run_ready(run, (uint32_t)id);
  }
  n = get_array(l) / 3;
  for (uint64_t i = 0; i < n && !l->bad; i++) {
    Patch p = {.id = (uint32_t)get_uint(l, run->bundle->const_count ? run->bundle->const_count - 1 : 0, "a patch")};
    p.value = get_uint(l, 1, "a patch") == 1;
    p.unwritten = get_uint(l, 1, "a patch") == 1;
    run->patches = mem_grow(run->patches, &run->patch_cap, run->patch_count + 1, sizeof p);
    run->patches[run->patch_count++] = p;
  }
  n = get_array(l) / 2;
  for (uint64_t i = 0; i < n && !l->bad; i++) {
    Str name = get_str(l), value = get_str(l);
    Value v;
    if (l->bad || !name.at || !value.at || !wire_get(run->machine, value, &v, l->err)) {
      refuse(l, "a signal");
      return;
    }
    run->signals = mem_grow(run->signals, &run->signal_cap, run->signal_count + 1, sizeof *run->signals);
    run->signals[run->signal_count++] = (Signal){own(name), own(value)};
  }
  n = get_array(l);
  for (uint64_t i = 0; i < n && !l->bad; i++) {
    uint64_t h = get_uint(l, UINT64_MAX, "");
    run->signal_ids = mem_grow(run->signal_ids, &run->signal_id_cap, run->signal_id_count + 1, sizeof h);
    run->signal_ids[run->signal_id_count++] = h;
  }
}

static void known_load(Loader *l) {
  Str names = get_str(l);
  if (names.size == 0 || names.size % sizeof(ValueName)) refuse(l, "names of what is on record");
  for (size_t at = 0; at < names.size && !l->bad; at += sizeof(ValueName)) {
    ValueName name;
    memcpy(&name, names.at + at, sizeof name);
    if (name_set_add(&l->run->known, name) != at / sizeof(ValueName)) refuse(l, "a name stands twice");
  }
}

bool state_load(Run *run, Str bytes, Err *err) {
  Loader l = {.r = cbor_reader(bytes), .run = run, .err = err};
  uint64_t items = get_array(&l);
  Str head = get_str(&l);
  if (!l.bad) {
    buf_put(&run->head_bytes, head.at, head.size);
    if (!record_decode(buf_view(&run->head_bytes), &run->head, err)) return false;
    if (run->head.kind != RECORD_HEAD) refuse(&l, "its head");
    if (!l.bad) run_identify(run);
    if (!l.bad) attempts_init(run);
  }
  uint64_t least = run->attempts ? 14 : 13;
  if (items != least && items != least + 1) refuse(&l, "its shape");
  run->now_us = get_int(&l);
  run->delivered = get_uint(&l, UINT64_MAX, "");
  run->draws = get_uint(&l, UINT64_MAX, "");
  run->cancelling = get_uint(&l, 1, "its flags") == 1;
  waits_load(&l);
  sends_load(&l);
  uint64_t strands = get_array(&l);
  for (uint64_t i = 0; i < strands && !l.bad; i++) strand_load(&l);
  groups_load(&l);
  lists_load(&l);
  if (!l.bad && run->attempts && !attempts_load(run, &l.r, err)) l.bad = true;
  if (!l.bad && items > least) known_load(&l);
  if (!l.bad && l.r.at != l.r.end) refuse(&l, "bytes after its end");
  if (!l.bad && !state_sound(run)) refuse(&l, "its parts disagree");
  return !l.bad;
}
