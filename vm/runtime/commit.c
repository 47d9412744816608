/* The commit of a round, and what it allows: requests leave, ends are told. Nothing of
** that happens before store_commit said yes. */
#include "vm/base/mem.h"
#include "vm/runtime/app.h"
#include "vm/runtime/approvals.h"
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

static void group_created(Scheduler *s, Slot *slot) {
  Str bytes;
  if (!slot->created) return;
  slot->created = false;
  if (node_bundle_take(s->node, slot->bundle, &bytes)) grouping_bundle(s->grouping, slot->bundle, bytes);
  RunRow row = slot_row(slot);
  if (run_status_over(slot->status)) slot->stored = slot->status; /* begun and ended in one round: written once */
  else row.status = RUN_STATUS_RUNNING;
  grouping_created(s->grouping, &row);
}

void group_updated(Scheduler *s, Slot *slot) {
  bool parked = slot->status == RUN_STATUS_PARKED;
  if (slot->status == slot->stored && (!parked || slot->wake_us == slot->stored_wake_us)) return;
  slot->stored = slot->status;
  slot->stored_wake_us = slot->wake_us;
  RunRow row = slot_row(slot);
  grouping_updated(s->grouping, &row);
}

static void group_slot(Scheduler *s, Slot *slot) {
  LogRow row = {.run = slot->number};
  if (slot->run != NULL && journal_take(run_journal(slot->run), &row, grouping_group(s->grouping)))
    grouping_row(s->grouping, &row);
  group_updated(s, slot);
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

bool group_commit(Scheduler *s, Err *err) {
  Grouping *g = s->grouping;
  bool any = !grouping_empty(g), ok = !s->failed;
  if (!ok) FAIL(err, ERR_IO, "the store could not be read");
  if (any && s->mail_changed) grouping_meta(g, "mail", buf_view(&s->mail));
  ok = ok && (!any || store_commit(s->store, grouping_group(g), err));
  if (ok && any) s->mail_changed = false;
  grouping_clear(g);
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
  if (slot->quiescent && slot->inbox != NULL) slot_ready(slot); /* what its turn had no room for */
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
  for (const Inbox *event = slot->inbox; event != NULL; event = event->next) { /* nobody will take them now */
    slot->letters += event->letter;
    if (event->call) gate_settle(s, slot->number, event->record.ANSWERED.ref);
  }
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

/* What is over has its end in this commit: the application's rows, and a parent that was dormant. */
static void slot_settle(Scheduler *s, Slot *slot) {
  if (!slot->over || slot->settled) return;
  slot->settled = true;
  if (slot->run == NULL) return;
  gate_over(s, slot);
  approvals_over(s, slot);
  bool app = slot->entry_kind == ENTRY_JOB || slot->entry_kind == ENTRY_ON || slot->entry_kind == ENTRY_TICK;
  if (s->app != NULL && app) app_over(s->app, slot);
  if (run_status_over(slot->status)) child_ending(s, slot);
}

/* All that must be done before the commit; `touched` may grow meanwhile. */
static void round_settle(Scheduler *s) {
  gate_retry(s);
  for (uint32_t i = 0; i < s->turn.count; i++) {
    dispatch_before_commit(s, s->turn.at[i]);
    slot_settle(s, s->turn.at[i]);
  }
  for (uint32_t i = 0; i < s->touched.count; i++) {
    dispatch_before_commit(s, s->touched.at[i]);
    slot_settle(s, s->touched.at[i]);
  }
  clock_settle(s);
  slots_merge(s);
}

static bool round_store(Scheduler *s, Err *err) {
  for (uint32_t i = 0; i < s->turn.count; i++) group_created(s, s->turn.at[i]);
  for (uint32_t i = 0; i < s->turn.count; i++) group_slot(s, s->turn.at[i]);
  for (uint32_t i = 0; i < s->turn.count; i++) letters_drop(s, s->turn.at[i]);
  s->rounds++;
  if (group_commit(s, err)) return true;
  if (s->app != NULL) app_refused(s->app);
  return false;
}

/* For tests: is this where the process dies? */
static bool crash_due(Scheduler *s) {
  s->crashed = s->crashed || (s->options.crash != NULL && s->options.crash(s->options.context));
  return s->crashed;
}

bool round_commit(Scheduler *s, Err *err) {
  bool ok = true;
  round_settle(s);
  if (!round_store(s, err)) return false;
  if (crash_due(s)) return true;
  for (uint32_t i = 0; i < s->turn.count; i++) s->turn.at[i]->in_turn = false;
  for (uint32_t i = 0; ok && i < s->turn.count; i++) ok = slot_after_commit(s, s->turn.at[i], err);
  for (uint32_t i = 0; i < s->turn.count; i++) slot_leave(s, s->turn.at[i]);
  s->turn.count = 0;
  if (ok) gate_committed(s);
  ok = ok && (s->app == NULL || app_committed(s->app, err));
  if (ok) crash_due(s);
  return ok;
}
