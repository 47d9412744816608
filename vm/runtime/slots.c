/* Slots: the runs that are here, in memory or parked. */
#include <stdarg.h>

#include "vm/base/cbor.h"
#include "vm/base/file.h"
#include "vm/base/mem.h"
#include "vm/runtime/map_with.h"
#include "vm/runtime/schedule.h"

/* ---- finding and listing ------------------------------------------------- */

static Str uuid_key(const Uuid *id) { return (Str){(const char *)id->byte, sizeof id->byte}; }

Slot *slot_by_number(Scheduler *s, uint64_t number) {
  return table_get(s->by_number, table_key64(&number));
}
Slot *slot_by_id(Scheduler *s, Uuid id) { return table_get(s->by_id, uuid_key(&id)); }

void slot_list_add(SlotList *list, Slot *slot) {
  list->at = mem_grow(list->at, &list->cap, list->count + 1, sizeof *list->at);
  list->at[list->count++] = slot;
}

void slot_ready(Slot *slot) {
  if (slot->ready || slot->over || slot->away) return; /* away: seen to when it is back */
  slot->ready = true;
  slot_list_add(&slot->scheduler->ready, slot);
}

void slot_touch(Slot *slot) {
  ASSERT(!slot->away);
  if (slot->touched) return;
  slot->touched = true;
  slot_list_add(&slot->scheduler->touched, slot);
}

Slot *slot_new(Scheduler *s, const RunRow *row) {
  Slot *slot = MEM_NEW(Slot);
  slot->scheduler = s;
  slot->number = row->number;
  slot->id = row->id;
  slot->bundle = row->bundle;
  slot->parent = row->parent;
  slot->started_us = row->started_us;
  slot->status = slot->stored = row->status;
  slot->wake_us = slot->stored_wake_us = row->wake_us;
  slot->records = row->records;
  slot->inbox_end = &slot->inbox;
  slot->asks_end = &slot->asks;
  char *entry = mem_alloc(row->entry.size + 1);
  if (row->entry.size > 0) memcpy(entry, row->entry.at, row->entry.size);
  slot->entry = (Str){entry, row->entry.size};
  host_init(&slot->host, s->node, &s->clock);
  return slot;
}

/* Whose run it is, as soon as its program is known. */
static void slot_program(Slot *slot, const Program *program) {
  BundleEntry entry;
  slot->program_bundle = program_bundle(program);
  if (bundle_entry(slot->program_bundle, slot->entry, &entry)) slot->entry_kind = (uint8_t)entry.kind;
}

static void slot_enter(Slot *slot) {
  Scheduler *s = slot->scheduler;
  table_set(s->by_number, table_key64(&slot->number), slot);
  table_set(s->by_id, uuid_key(&slot->id), slot);
  s->slot_count++;
}

void slot_free(Slot *slot) {
  Scheduler *s = slot->scheduler;
  if (slot_by_number(s, slot->number) == slot) {
    table_set(s->by_number, table_key64(&slot->number), NULL);
    table_set(s->by_id, uuid_key(&slot->id), NULL);
    s->slot_count--;
  }
  if (slot->persons > 0) s->stuck_count--;
  if (slot->run != NULL) s->awake_count--, run_free(slot->run);
  gate_forget(slot);
  inbox_clear(slot);
  asks_clear(slot);
  mem_free(slot->settles);
  for (uint32_t i = 0; i < slot->out_cap; i++) run_output_deinit(&slot->outs[i]);
  mem_free(slot->outs);
  mem_free((void *)(uintptr_t)slot->entry.at);
  mem_free(slot->note);
  mem_free(slot);
}

RunOutput *slot_out(Slot *slot) {
  slot->outs = mem_grow(slot->outs, &slot->out_cap, slot->out_count + 1, sizeof *slot->outs);
  RunOutput *out = &slot->outs[slot->out_count++];
  out->count = 0;
  return out;
}

void slot_note(Slot *slot, const char *format, ...) {
  char text[256];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  size_t size = strcspn(text, "\n");
  mem_free(slot->note);
  slot->note = mem_alloc(size + 1);
  memcpy(slot->note, text, size);
}

void slot_person(Slot *slot, int change) {
  bool was = slot->persons > 0;
  if (change < 0 && slot->persons == 0) return;
  slot->persons += (uint32_t)change;
  bool is = slot->persons > 0;
  if (is && !was) slot->scheduler->stuck_count++;
  if (was && !is) slot->scheduler->stuck_count--;
  slot->status = is ? RUN_STATUS_STUCK : RUN_STATUS_RUNNING;
}

/* ---- beginning ----------------------------------------------------------- */

/* Chance for a new run: the system's, or derived from the seed and what it is for. */
Hash256 scheduler_chance(Scheduler *s, Str what) {
  Hash256 h;
  if (!s->options.seeded) {
    random_bytes(h.byte, sizeof h.byte);
    return h;
  }
  return hmac_sha256((Str){(char *)s->options.seed.byte, sizeof s->options.seed.byte}, what);
}

Str slot_tenant(const Slot *slot) { return run_head(slot->run)->HEAD.tenant; }

Uuid slot_correlation(const Slot *slot) {
  CborReader r = cbor_reader(run_head(slot->run)->HEAD.correlation);
  Str bytes;
  Uuid id = slot->id;
  Err ignored;
  if (r.at < r.end && cbor_bytes(&r, &bytes, &ignored) && bytes.size == sizeof id.byte)
    memcpy(id.byte, bytes.at, sizeof id.byte);
  return id;
}

typedef struct Origin { /* encoded: who started it, what caused it, and the tree it belongs to */
  Buf parent, causation, correlation;
} Origin;

static Str or_null(Str s) { return s.size > 0 ? s : (Str){0}; }

static void origin_encode(Origin *o, const SlotHead *h) {
  buf_str(&o->causation, h->causation);
  buf_str(&o->correlation, h->correlation);
  if (h->parent == NULL) return;
  cbor_put_array(&o->parent, 2);
  cbor_put_bytes(&o->parent, uuid_key(&h->parent->id));
  cbor_put_uint(&o->parent, h->parent_seq);
  if (o->causation.size == 0) cbor_put_bytes(&o->causation, uuid_key(&h->parent->id));
  Uuid root = slot_correlation(h->parent);
  if (o->correlation.size == 0) cbor_put_bytes(&o->correlation, uuid_key(&root));
}

static Str tenant_of(const SlotHead *h) {
  if (h->tenant.size > 0) return h->tenant;
  return h->parent != NULL ? slot_tenant(h->parent) : STR("default");
}

/* What it may read, and beside it, under names that no `config` can have, its arguments and budgets. */
static bool head_config(const Program *program, const SlotHead *h, Buf *out, Err *err) {
  Buf config = {0};
  bool ok = config_read(program_bundle(program), h->args, &config, err);
  if (ok && h->scopes.size > 0) map_with(buf_view(&config), STR("budget()"), h->scopes, out);
  else if (ok) buf_str(out, buf_view(&config));
  buf_deinit(&config);
  return ok;
}

static bool run_make(Slot *slot, const Program *program, const SlotHead *h, Err *err) {
  Scheduler *s = slot->scheduler;
  Buf config = {0};
  Origin origin = {0};
  Journal *journal = journal_new(node_tenant_key(s->node));
  origin_encode(&origin, h);
  RunHead head = {.id = slot->id,
                  .entry = slot->entry,
                  .input = h->input,
                  .seed = scheduler_chance(s, uuid_key(&slot->id)),
                  .at_us = slot->started_us,
                  .tenant = tenant_of(h),
                  .parent = or_null(buf_view(&origin.parent)),
                  .causation = or_null(buf_view(&origin.causation)),
                  .correlation = or_null(buf_view(&origin.correlation))};
  bool ok = head_config(program, h, &config, err);
  head.config = buf_view(&config);
  ok = ok && run_begin(program, &slot->host.calls, journal, &head, &slot->run, err);
  if (ok) s->awake_count++;
  else journal_free(journal);
  buf_deinit(&config);
  buf_deinit(&origin.parent);
  buf_deinit(&origin.causation);
  buf_deinit(&origin.correlation);
  return ok;
}

bool slot_begin(Scheduler *s, const SlotHead *head, Slot **out, Err *err) {
  const Program *program;
  if (!node_program(s->node, head->bundle, &program, err)) return false;
  RunRow row = {.number = s->next_number,
                .id = head->id,
                .bundle = head->bundle,
                .entry = head->entry,
                .parent = head->parent != NULL ? head->parent->number : 0,
                .status = RUN_STATUS_RUNNING,
                .started_us = clock_now(&s->clock)};
  Slot *slot = slot_new(s, &row);
  slot_program(slot, program);
  if (!run_make(slot, program, head, err)) {
    slot_free(slot);
    return false;
  }
  s->next_number++;
  slot->created = true;
  slot_enter(slot);
  slot_ready(slot);
  slot_touch(slot);
  gate_heir(s->gate, head->scopes, 1);
  *out = slot;
  return true;
}

/* ---- parking and waking -------------------------------------------------- */

void slot_evict(Slot *slot) {
  run_free(slot->run);
  slot->run = NULL;
  slot->scheduler->awake_count--;
  for (uint32_t i = 0; i < slot->out_cap; i++) run_output_deinit(&slot->outs[i]);
  mem_free(slot->outs);
  slot->outs = NULL;
  slot->out_count = slot->out_cap = 0;
}

/* The chain's head as the log has it: an image is of the end of this very history, or it is not used. */
static bool head_matches(Slot *slot, uint64_t last_gid, Hash256 head) {
  Store *store = slot->scheduler->store;
  LogRow last;
  Buf keep = {0};
  Err ignored;
  bool ok = (last_gid != 0 ? store_log_get(store, last_gid, &last, &keep, &ignored)
                           : store_log_last(store, slot->number, &last, &keep, &ignored)) &&
            last.run == slot->number && memcmp(last.head.byte, head.byte, sizeof head.byte) == 0;
  buf_deinit(&keep);
  return ok;
}

static bool run_from_image(Slot *slot, const Program *program, uint64_t last_gid, Err *err) {
  Scheduler *s = slot->scheduler;
  ImageRow image;
  Buf keep = {0};
  Journal *journal = NULL;
  bool ok = store_image_get(s->store, slot->number, &image, &keep, err);
  if (ok && !head_matches(slot, last_gid, image.head)) {
    FAIL(err, ERR_NOT_FOUND, "the image does not belong to the end of the journal");
    ok = false;
  }
  if (ok) {
    journal = journal_resume(node_tenant_key(s->node), image.seq + 1, image.head);
    ok = run_restore(program, &slot->host.calls, journal, image.bytes, &slot->run, err);
    if (ok) s->awake_count++, slot->imaged = image.seq + 1;
    else journal_free(journal);
  }
  buf_deinit(&keep);
  return ok;
}

bool slot_restore(Slot *slot, const Program *program, Err *err) {
  slot->result = STEP_WAITING;
  slot->quiescent = true;
  slot_program(slot, program);
  return run_from_image(slot, program, 0, err);
}

static bool run_from_history(Slot *slot, const Program *program, RunOutput *fresh, Err *err) {
  Scheduler *s = slot->scheduler;
  Journal *journal;
  if (!journal_load(s->store, slot->number, node_tenant_key(s->node), true, &journal, err))
    return false;
  if (!run_load(program, &slot->host.calls, journal, false, &slot->run, err)) {
    journal_free(journal);
    return false;
  }
  run_machine(slot->run)->switch_loop = s->options.switch_vm;
  slot->result = run_replay(slot->run, fresh);
  s->awake_count++;
  return true;
}

bool slot_wake(Slot *slot, Err *err) {
  const Program *program;
  if (slot->run != NULL) return true;
  if (!node_program(slot->scheduler->node, slot->bundle, &program, err)) return false;
  Err no_image; /* an image is only a cache: without one that fits the history is walked */
  if (!run_from_image(slot, program, 0, &no_image)) {
    RunOutput fresh = {0};
    bool ok = run_from_history(slot, program, &fresh, err);
    run_output_deinit(&fresh);
    if (!ok) return false;
  }
  slot->result = STEP_WAITING;
  slot->quiescent = true;
  return true;
}

/* ---- after a step --------------------------------------------------------- */

static void slot_ended(Slot *slot) {
  Str value;
  slot->over = true;
  slot->status = run_status(slot->run, &value);
  ErrorParts parts;
  if (slot->status != RUN_STATUS_DONE && error_decode(value, &parts))
    slot_note(slot, STR_FMT ": " STR_FMT, STR_ARG(parts.code), STR_ARG(parts.message));
}

static void slot_diverged(Slot *slot) {
  const Divergence *d = journal_divergence(run_journal(slot->run));
  char id[37];
  uuid_text(slot->id, id);
  slot->over = true;
  slot->status = RUN_STATUS_DIVERGED;
  slot->scheduler->diverged_count++;
  slot_note(slot, "diverged at record %" PRIu64 " (%s): z8 replay %s", d->seq,
            diverge_word(d->kind), id);
  scheduler_notice(slot->scheduler, "run %s %s", id, slot->note);
}

void slot_after_step(Slot *slot) {
  if (slot->persons == 0 && !slot->over) slot->status = slot->dead ? RUN_STATUS_DEAD : RUN_STATUS_RUNNING;
  switch (slot->result) {
    case STEP_WAITING:
      slot_calm(slot);
      return;
    case STEP_COMMIT:
    case STEP_SLICE:
    case STEP_CONTINUED:
      slot_ready(slot);
      return;
    case STEP_ENDED:
      slot_ended(slot);
      return;
    case STEP_DIVERGED:
    case STEP_HISTORY_END:
      slot_diverged(slot);
      return;
  }
}

/* ---- taking up a run of the store ---------------------------------------- */

static bool run_take_up(Slot *slot, const RunRow *row, RunOutput *fresh, Err *err) {
  const Program *program;
  Err no_image;
  if (!node_program(slot->scheduler->node, row->bundle, &program, err)) return false;
  slot_program(slot, program);
  slot->result = STEP_WAITING;
  return run_from_image(slot, program, row->last_gid, &no_image) || run_from_history(slot, program, fresh, err);
}

/* A dormant run's row changes with the next commit, whatever happens: once it is here other things rely on
** its memory (an awaiter), and after a crash it must be here again. */
static void status_taken_up(Slot *slot, const RunRow *row) {
  if (slot->over || !slot->quiescent) return;
  if (row->status == RUN_STATUS_PARKED && row->wake_us < 0) slot->status = RUN_STATUS_PARKED;
}

bool slot_take_up(Scheduler *s, const RunRow *row, Err *err) {
  Slot *slot = slot_new(s, row);
  RunOutput *fresh = slot_out(slot), open = {0};
  if (!run_take_up(slot, row, fresh, err)) {
    slot_free(slot);
    return false;
  }
  dormant_leave(s, row);
  slot->quiescent = slot->result == STEP_WAITING;
  slot->sliced = slot->result == STEP_SLICE;
  slot_enter(slot);
  slot_touch(slot);
  slot_after_step(slot);
  status_taken_up(slot, row);
  if (!slot->over) {
    run_open_requests(slot->run, &open);
    dispatch_open(s, slot, fresh, &open);
    run_output_deinit(&open);
  }
  if (!slot->quiescent && !slot->over) slot_ready(slot);
  slot_mail(slot);
  return true;
}

bool scheduler_resume(Scheduler *s, uint64_t number, Err *err) {
  RunRow row;
  Buf keep = {0};
  if (slot_by_number(s, number) != NULL) return true;
  bool ok = store_run_get(s->store, number, &row, &keep, err);
  if (ok && run_status_over(row.status)) {
    FAIL(err, ERR_INVALID, "the run is over: %s", run_status_word(row.status));
    ok = false;
  }
  ok = ok && slot_take_up(s, &row, err);
  buf_deinit(&keep);
  return ok;
}

void slot_answer(Scheduler *s, uint64_t number, uint64_t seq, const char *outcome, Str value) {
  Err err;
  if (slot_by_number(s, number) == NULL && !scheduler_resume(s, number, &err)) {
    if (err.code == ERR_IO) s->failed = true;
    if (err.code != ERR_INVALID) scheduler_notice(s, "a run that got an answer cannot be continued: %s", err.text);
    return;
  }
  Slot *slot = slot_by_number(s, number);
  if (!slot->over) inbox_answer(slot, seq, outcome, value, false);
}

typedef struct Numbers {
  uint64_t *at;
  uint32_t count, cap;
} Numbers;

static bool number_add(void *context, const RunRow *row) {
  Numbers *n = context;
  n->at = mem_grow(n->at, &n->cap, n->count + 1, sizeof *n->at);
  n->at[n->count++] = row->number;
  return true;
}

static void resume_failed(Scheduler *s, uint64_t number, const Err *why) {
  char id[37] = "?";
  RunRow row;
  Buf keep = {0};
  Err ignored;
  if (store_run_get(s->store, number, &row, &keep, &ignored)) uuid_text(row.id, id);
  scheduler_notice(s, "run %s cannot be continued: %s", id, why->text);
  if (why->code == ERR_CORRUPT) s->corrupt_count++;
  buf_deinit(&keep);
}

static bool letter_to(void *context, uint64_t run, const Record *event) {
  Numbers *n = context;
  (void)event;
  n->at = mem_grow(n->at, &n->cap, n->count + 1, sizeof *n->at);
  n->at[n->count++] = run;
  return true;
}

static void letters_resume(Scheduler *s) {
  Numbers numbers = {0};
  Err ignored;
  bool ok = mail_each(buf_view(&s->mail), letter_to, &numbers, NULL, &ignored);
  for (uint32_t i = 0; ok && i < numbers.count; i++) {
    if (slot_by_number(s, numbers.at[i]) == NULL && !scheduler_resume(s, numbers.at[i], &ignored)) continue;
  }
  mem_free(numbers.at);
}

static bool dormant_add(void *context, const RunRow *row) {
  Scheduler *s = context;
  s->dormant_count += row->wake_us >= 0 && slot_by_number(s, row->number) == NULL;
  return true;
}

/* Those that are dormant stay where they are: from now on all of them are this scheduler's. */
static bool whole_begin(Scheduler *s, Err *err) {
  if (s->whole) return true;
  s->whole = true;
  s->wake_known = false;
  s->dormant_count = 0;
  return store_run_each(s->store, 1, RUN_STATUS_PARKED, dormant_add, s, err);
}

bool scheduler_resume_all(Scheduler *s, uint32_t *resumed, uint32_t *failed, Err *err) {
  Numbers numbers = {0};
  Err why;
  bool ok = store_run_each(s->store, 1, STORE_RESUMABLE, number_add, &numbers, err) && whole_begin(s, err);
  *resumed = *failed = 0;
  for (uint32_t i = 0; ok && i < numbers.count; i++) {
    if (scheduler_resume(s, numbers.at[i], &why)) {
      (*resumed)++;
    } else {
      (*failed)++;
      resume_failed(s, numbers.at[i], &why);
    }
  }
  if (ok) letters_resume(s);
  *resumed += (uint32_t)s->dormant_count;
  mem_free(numbers.at);
  return ok;
}
