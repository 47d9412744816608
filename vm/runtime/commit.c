/* The commit of a round, and what it allows: requests leave, ends are told, parked runs
** give their memory back. Nothing here happens before store_commit said yes. */
#include "vm/base/mem.h"
#include "vm/runtime/schedule.h"

/* ---- the group ----------------------------------------------------------- */

static RunRow slot_row(const Slot *slot) {
  Scheduler *s = slot->scheduler;
  RunRow row = {.number = slot->number,
                .id = slot->id,
                .bundle = slot->bundle,
                .entry = slot->entry,
                .parent = slot->parent,
                .status = slot->status,
                .started_us = slot->started_us};
  if (run_status_over(slot->status)) row.ended_us = clock_now(&s->clock);
  if (slot->status == RUN_STATUS_PARKED) row.wake_us = slot->wake_us;
  row.records = slot->run != NULL ? journal_seq(run_journal(slot->run)) : slot->records;
  bool told = slot->status != RUN_STATUS_RUNNING && slot->status != RUN_STATUS_PARKED &&
              slot->status != RUN_STATUS_DONE;
  if (told && slot->note != NULL) row.note = str_of(slot->note);
  return row;
}

static void group_bundle(Scheduler *s, const Slot *slot) {
  StoreGroup *g = &s->group;
  Str bytes;
  if (!node_bundle_take(s->node, slot->bundle, &bytes)) return;
  uint32_t cap = s->bundle_cap;
  g->bundle_ids = mem_grow(g->bundle_ids, &cap, g->bundle_count + 1, sizeof *g->bundle_ids);
  g->bundles = mem_grow(g->bundles, &s->bundle_cap, g->bundle_count + 1, sizeof *g->bundles);
  g->bundle_ids[g->bundle_count] = slot->bundle;
  g->bundles[g->bundle_count++] = bytes;
}

static void group_created(Scheduler *s, Slot *slot) {
  StoreGroup *g = &s->group;
  if (!slot->created) return;
  slot->created = false;
  group_bundle(s, slot);
  g->created = mem_grow(g->created, &s->created_cap, g->created_count + 1, sizeof *g->created);
  RunRow row = slot_row(slot);
  row.status = RUN_STATUS_RUNNING;
  g->created[g->created_count++] = row;
}

static void group_updated(Scheduler *s, Slot *slot) {
  StoreGroup *g = &s->group;
  if (slot->status == slot->stored) return;
  slot->stored = slot->status;
  g->updated = mem_grow(g->updated, &s->updated_cap, g->updated_count + 1, sizeof *g->updated);
  g->updated[g->updated_count++] = slot_row(slot);
}

static void group_slot(Scheduler *s, Slot *slot) {
  StoreGroup *g = &s->group;
  g->rows = mem_grow(g->rows, &s->row_cap, g->row_count + 1, sizeof *g->rows);
  LogRow *row = &g->rows[g->row_count];
  *row = (LogRow){.run = slot->number};
  if (slot->run != NULL && journal_take(run_journal(slot->run), row, g)) g->row_count++;
  group_updated(s, slot);
}

static void group_clear(StoreGroup *g) {
  g->created_count = g->row_count = g->updated_count = g->image_count = 0;
  g->blob_count = g->bundle_count = 0;
}

/* Letters that are on record now need not be kept. */
static void letters_drop(Scheduler *s, Slot *slot) {
  Err err;
  if (slot->letters == 0) return;
  if (!mail_take(&s->mail, slot->number, slot->letters, &err))
    scheduler_notice(s, "mail for runs cannot be read: %s", err.text);
  slot->letters = 0;
  s->mail_changed = true;
}

static bool group_commit(Scheduler *s, Err *err) {
  StoreGroup *g = &s->group;
  bool any = g->created_count + g->row_count + g->updated_count + g->image_count > 0;
  g->meta = s->mail_changed ? "mail" : NULL;
  g->meta_value = buf_view(&s->mail);
  if (s->failed) FAIL(err, ERR_IO, "the store could not be read");
  bool ok = !s->failed && (!any || store_commit(s->store, g, err));
  if (ok && any) s->mail_changed = false;
  group_clear(g);
  if (!ok) {
    s->failed = true;
    err_context(err, "the store failed; nothing that was not stored has been promised to anyone");
  }
  return ok;
}

/* ---- after it ------------------------------------------------------------ */

/* --park-restore: the run goes through its image, as after a restart. */
static bool park_restore(Scheduler *s, Slot *slot, Err *err) {
  Buf image = {0};
  Hash256 state;
  Journal *old = run_journal(slot->run);
  Journal *journal = journal_resume(node_tenant_key(s->node), journal_seq(old), journal_head(old));
  run_image(slot->run, &image, &state);
  const Program *program;
  Run *restored = NULL;
  bool ok = node_program(s->node, slot->bundle, &program, err) &&
            run_restore(program, &slot->host.calls, journal, buf_view(&image), &restored, err);
  if (ok) {
    run_free(slot->run);
    slot->run = restored;
  } else {
    journal_free(journal);
  }
  buf_deinit(&image);
  return ok;
}

static bool slot_after_commit(Scheduler *s, Slot *slot, Err *err) {
  dispatch_after_commit(s, slot);
  bool parked = s->options.park_restore && slot->run != NULL && !slot->over && slot->quiescent &&
                run_parked(slot->run);
  return !parked || park_restore(s, slot, err);
}

static void end_tell(Scheduler *s, Slot *slot, bool awaited) {
  RunEnd end = {.run = slot->id,
                .status = slot->status,
                .live = slot->run,
                .child = slot->parent != 0,
                .awaited = awaited};
  (void)run_status(slot->run, &end.value);
  s->options.ended(s->options.context, &end);
}

static void slot_leave(Scheduler *s, Slot *slot) {
  if (!slot->over) return;
  bool told = slot->run != NULL && run_status_over(slot->status) && child_ended(s, slot);
  if (s->options.ended != NULL && slot->run != NULL) end_tell(s, slot, told);
  for (const Inbox *event = slot->inbox; event != NULL; event = event->next)
    slot->letters += event->letter; /* nobody will take them now */
  letters_drop(s, slot);
  slot_free(slot);
}

static void clock_settle(Scheduler *s) {
  int64_t latest = s->clock.now_us;
  for (uint32_t i = 0; i < s->turn.count; i++) host_settle(&s->turn.at[i]->host, &latest);
  for (uint32_t i = 0; i < s->touched.count; i++) host_settle(&s->touched.at[i]->host, &latest);
  s->clock.now_us = latest;
}

/* One list of all that take part in the commit. */
static void slots_merge(Scheduler *s) {
  for (uint32_t i = 0; i < s->turn.count; i++) s->turn.at[i]->in_turn = true;
  for (uint32_t i = 0; i < s->touched.count; i++) {
    Slot *slot = s->touched.at[i];
    slot->touched = false;
    if (slot->in_turn) continue;
    slot->in_turn = true;
    slot_list_add(&s->turn, slot);
  }
  s->touched.count = 0;
}

bool round_commit(Scheduler *s, Err *err) {
  bool ok = true;
  for (uint32_t i = 0; i < s->turn.count; i++) dispatch_before_commit(s, s->turn.at[i]);
  for (uint32_t i = 0; i < s->touched.count; i++)
    dispatch_before_commit(s, s->touched.at[i]); /* it may grow */
  clock_settle(s);
  slots_merge(s);
  for (uint32_t i = 0; i < s->turn.count; i++) group_created(s, s->turn.at[i]);
  for (uint32_t i = 0; i < s->turn.count; i++) group_slot(s, s->turn.at[i]);
  for (uint32_t i = 0; i < s->turn.count; i++) letters_drop(s, s->turn.at[i]);
  if (!group_commit(s, err)) return false;
  for (uint32_t i = 0; i < s->turn.count; i++) s->turn.at[i]->in_turn = false;
  for (uint32_t i = 0; ok && i < s->turn.count; i++) ok = slot_after_commit(s, s->turn.at[i], err);
  for (uint32_t i = 0; i < s->turn.count; i++) slot_leave(s, s->turn.at[i]);
  s->turn.count = 0;
  return ok;
}

/* ---- parking ------------------------------------------------------------- */

typedef struct Parking {
  Slot **slots;
  Buf *images;
  uint32_t count;
} Parking;

static bool may_park(const Slot *slot) {
  return slot != NULL && !slot->over && !slot->ready && slot->quiescent && slot->run != NULL &&
         slot->inbox == NULL && run_parked(slot->run);
}

static void park_one(Scheduler *s, Parking *p, Slot *slot) {
  Hash256 state;
  Buf *image = &p->images[p->count];
  run_image(slot->run, image, &state);
  slot->records = journal_seq(run_journal(slot->run));
  slot->wake_us = run_wake_us(slot->run);
  if (slot->persons == 0) slot->status = RUN_STATUS_PARKED;
  s->group.images[p->count] = (ImageRow){.run = slot->number,
                                         .seq = slot->records - 1,
                                         .head = journal_head(run_journal(slot->run)),
                                         .bytes = buf_view(image)};
  group_updated(s, slot);
  p->slots[p->count++] = slot;
}

bool park_calm(Scheduler *s, Err *err) {
  uint32_t count = s->calm_count;
  if (count == 0) return true;
  Parking p = {.slots = mem_alloc(count * sizeof *p.slots),
               .images = mem_alloc(count * sizeof *p.images)};
  s->group.images = mem_alloc(count * sizeof *s->group.images);
  for (uint32_t i = 0; i < count; i++) {
    Slot *slot = slot_by_number(s, s->calm[i]);
    if (slot != NULL) slot->calm = false;
    if (may_park(slot)) park_one(s, &p, slot);
  }
  s->calm_count = 0;
  s->group.image_count = p.count;
  bool ok = group_commit(s, err);
  for (uint32_t i = 0; ok && i < p.count; i++) slot_evict(p.slots[i]);
  for (uint32_t i = 0; i < p.count; i++) buf_deinit(&p.images[i]);
  mem_free(s->group.images);
  s->group.images = NULL;
  mem_free(p.images);
  mem_free(p.slots);
  return ok;
}
