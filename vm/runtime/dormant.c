/* Dormancy: what waits long is an image and a row of the store, and nothing in memory.
**
**   calm      a run whose fibers all wait, since its last turn (scheduler->calm)
**   parked    …and all its waits are long: it gets an image, its Run goes (its slot may stay)
**   dormant   …and nobody in memory has to know of them: its slot goes too
**
** What wakes a dormant run is a timer (dormant_wake), an event that is for it (a signal, an end of a child …:
** slot_take_up), or a person. Memory holds at most some thousands of runs that wait: when they are due in
** hundreds of thousands they are taken up, stepped and put back in batches. */
#include "vm/base/file.h"
#include "vm/base/mem.h"
#include "vm/core/heap.h"
#include "vm/runtime/schedule.h"

enum {
  AWAKE_MAX = 6000,     /* so many runs in memory: few more are woken, and who waits is parked at once */
  WAKE_BATCH = 2000,    /* woken between two rounds */
  WAKE_LEAST = 64,      /* …even then: who is in memory may be busy for long */
  PARK_BATCH = 1000,    /* images in one commit */
  PARK_OFTEN = 500,     /* calm runs that are worth a commit of their own between rounds */
  AWAITS_MAX = 64,      /* who awaits more stays: each time it is taken up all of them are looked up */
  AWAKE_FEW = 500,      /* so many light runs may wait for replies here: they take no memory worth an image */
  LIGHT_BYTES = 256 << 10,
  REPLY_GRACE_US = 1000000, /* else a reply that takes longer is waited for outside */
  REPLY_PATIENCE_US = 60000000,
  BUSY_GRACE_US = 20000 /* a run that was stepped so shortly ago may be needed again at once */
};

/* ---- who is dormant -------------------------------------------------------- */

static bool row_ours(const Scheduler *s, uint64_t number) {
  return s->whole || number >= s->first_number || table_get(s->adopted, table_key64(&number)) != NULL;
}

static bool row_sleeps(const RunRow *row) { return row->status == RUN_STATUS_PARKED && row->wake_us >= 0; }

bool run_ours(const Scheduler *s, uint64_t number) {
  return slot_by_number((Scheduler *)(uintptr_t)s, number) != NULL || row_ours(s, number);
}

bool row_dormant(const Scheduler *s, const RunRow *row) {
  return row_sleeps(row) && row_ours(s, row->number) && slot_by_number((Scheduler *)(uintptr_t)s, row->number) == NULL;
}

void dormant_leave(Scheduler *s, const RunRow *row) {
  if (!row_dormant(s, row)) return;
  if (s->dormant_count > 0) s->dormant_count--;
  table_set(s->adopted, table_key64(&row->number), NULL);
}

static void wake_note(Scheduler *s, uint64_t number, int64_t wake_us) {
  if (!s->whole && number < s->first_number) table_set(s->adopted, table_key64(&number), s);
  if (wake_us != 0 && s->wake_known && (s->next_wake_us == 0 || wake_us < s->next_wake_us)) s->next_wake_us = wake_us;
}

/* Its image and row are stored: what memory knows of its waits goes, and the slot. */
static void slot_sleep(Slot *slot) {
  Scheduler *s = slot->scheduler;
  RunOutput open = {0};
  uint64_t number = slot->number;
  int64_t wake_us = slot->wake_us;
  bool dead = slot->status == RUN_STATUS_DEAD;
  run_open_requests(slot->run, &open);
  for (uint32_t i = 0; i < open.count; i++) {
    const Request *r = &open.requests[i];
    if (r->kind == REQUEST_TIMER || r->kind == REQUEST_APPROVAL) timers_drop(s->timers, number, r->seq);
    else if (r->kind == REQUEST_AWAIT) awaiter_drop(s, number, r);
  }
  run_output_deinit(&open);
  slot_free(slot);
  if (dead) return;
  s->dormant_count++;
  wake_note(s, number, wake_us);
}

/* ---- parking ----------------------------------------------------------------- */

void slot_calm(Slot *slot) {
  Scheduler *s = slot->scheduler;
  slot->calm_us = clock_monotonic_us();
  s->calm_next_us = 0;
  if (slot->calm) return;
  slot->calm = true;
  s->calm = mem_grow(s->calm, &s->calm_cap, s->calm_count + 1, sizeof *s->calm);
  s->calm[s->calm_count++] = slot->number;
}

static bool may_park(const Slot *slot) {
  return !slot->over && !slot->ready && !slot->away && slot->quiescent && slot->run != NULL && slot->inbox == NULL &&
         slot->asks == NULL && !slot->touched && (run_parked(slot->run) || run_parkable(slot->run));
}

/* Does it await a run that waits for a reply? Soon after that one it will be needed. */
static bool awaits_reply(const Slot *slot) {
  RunOutput open = {0};
  bool near = false;
  run_open_requests(slot->run, &open);
  for (uint32_t i = 0; i < open.count && !near; i++) {
    if (open.requests[i].kind != REQUEST_AWAIT) continue;
    const Slot *child = slot_by_id(slot->scheduler, open.requests[i].run);
    near = child != NULL && child->run != NULL && child->calls != NULL && !gate_queued(child);
  }
  run_output_deinit(&open);
  return near;
}

static int64_t reply_grace(const Slot *slot) {
  bool light = slot->run != NULL && run_machine(slot->run)->heap->live <= LIGHT_BYTES;
  return light && slot->scheduler->awake_count <= AWAKE_FEW ? REPLY_PATIENCE_US : REPLY_GRACE_US;
}

/* A reply may come any moment: only when it is slow, or memory is short, the run leaves. */
static bool reply_near(const Slot *slot, int64_t now_us) {
  const Scheduler *s = slot->scheduler;
  if (slot->run == NULL || gate_queued(slot) || s->awake_count >= AWAKE_MAX) return false;
  if (run_parked(slot->run) && !awaits_reply(slot)) return false;
  return s->options.seeded || now_us - slot->calm_us < reply_grace(slot);
}

static bool may_sleep(const Slot *slot) {
  RunOutput open = {0};
  uint32_t awaits = 0;
  if (slot->persons > 0) return false;
  run_open_requests(slot->run, &open);
  for (uint32_t i = 0; i < open.count; i++) awaits += open.requests[i].kind == REQUEST_AWAIT;
  run_output_deinit(&open);
  return awaits <= AWAITS_MAX && run_dormant(slot->run);
}

/* Puts its image in the group, and its row if that changes. */
static void park_one(Scheduler *s, Slot *slot) {
  Journal *journal = run_journal(slot->run);
  slot->records = journal_seq(journal);
  slot->wake_us = may_sleep(slot) ? run_wake_us(slot->run) : AWAKE_WAITS;
  if (slot->persons == 0 && slot->status != RUN_STATUS_DEAD) slot->status = RUN_STATUS_PARKED;
  if (slot->imaged != slot->records) {
    Buf image = {0};
    Hash256 state;
    run_image(slot->run, &image, &state);
    grouping_image(s->grouping, &(ImageRow){.run = slot->number,
                                            .seq = slot->records - 1,
                                            .head = journal_head(journal),
                                            .bytes = buf_view(&image)});
    buf_deinit(&image);
    slot->imaged = slot->records;
  }
  group_updated(s, slot);
}

/* What runs leave behind lies between what stays, in pieces that malloc keeps. */
void memory_settle(Scheduler *s) {
  if (s->left_count < PARK_BATCH) return;
  s->left_count = 0;
  mem_trim();
}

static void parked_leave(Scheduler *s, SlotList *parked) {
  s->left_count += parked->count;
  for (uint32_t i = 0; i < parked->count; i++) {
    Slot *slot = parked->at[i];
    if (slot->wake_us != AWAKE_WAITS) slot_sleep(slot);
    else slot_evict(slot);
  }
  parked->count = 0;
}

static bool park_list(Scheduler *s, SlotList *parked, Err *err) {
  if (parked->count == 0) return true;
  for (uint32_t i = 0; i < parked->count; i++) park_one(s, parked->at[i]);
  if (!group_commit(s, err)) return false;
  parked_leave(s, parked);
  return true;
}

/* Who is not calm any more comes back to the list after its next turn. */
bool park_calm(Scheduler *s, int64_t grace_us, Err *err) {
  SlotList parked = {0};
  uint32_t kept = 0, count = s->calm_count;
  int64_t now = s->calm_looked_us = clock_monotonic_us(), next = 0;
  bool ok = true;
  for (uint32_t i = 0; i < count; i++) {
    Slot *slot = slot_by_number(s, s->calm[i]);
    if (slot == NULL) continue;
    if (!ok || slot->touched || (grace_us > 0 && now - slot->calm_us < grace_us)) {
      s->calm[kept++] = slot->number;
      next = now;
      continue;
    }
    if (may_park(slot) && reply_near(slot, now)) {
      s->calm[kept++] = slot->number;
      int64_t look = slot->calm_us + reply_grace(slot);
      if (next == 0 || look < next) next = look;
      continue;
    }
    slot->calm = false;
    if (!may_park(slot)) continue;
    slot_list_add(&parked, slot);
    if (parked.count == PARK_BATCH) ok = park_list(s, &parked, err);
  }
  ok = ok && park_list(s, &parked, err);
  s->calm_count = kept;
  s->calm_next_us = next;
  mem_free(parked.at);
  return ok;
}

/* With a seed only how many there are may decide: moments differ from run to run. */
bool park_busy(Scheduler *s, Err *err) {
  if (s->awake_count >= AWAKE_MAX && s->calm_count >= PARK_BATCH) return park_calm(s, 0, err);
  if (s->options.seeded || s->calm_count < PARK_OFTEN) return true;
  Slot *first = slot_by_number(s, s->calm[0]);
  int64_t now = clock_monotonic_us();
  if (first != NULL && now - first->calm_us < BUSY_GRACE_US) return true;
  if (now - s->calm_looked_us < BUSY_GRACE_US) return true; /* those that are left wait for replies */
  return park_calm(s, BUSY_GRACE_US, err);
}

/* ---- waking ------------------------------------------------------------------ */

static bool first_ours(void *context, const RunRow *row) {
  Scheduler *s = context;
  if (!row_dormant(s, row)) return true;
  s->next_wake_us = row->wake_us;
  return false;
}

/* Runs of others, that were parked in this directory before, are passed over; mostly there are few. */
static bool next_wake(Scheduler *s, Err *err) {
  s->next_wake_us = 0;
  if (s->whole) return store_run_next_wake(s->store, &s->next_wake_us, err);
  return store_run_due(s->store, INT64_MAX, UINT32_MAX, first_ours, s, err);
}

bool dormant_next(Scheduler *s, int64_t *wake_us) {
  Err err;
  if (s->dormant_count == 0) return false;
  if (!s->wake_known && !next_wake(s, &err)) {
    scheduler_notice(s, "when parked runs are due cannot be read: %s", err.text);
    s->failed = true;
    return false;
  }
  s->wake_known = true;
  *wake_us = s->next_wake_us;
  return s->next_wake_us != 0;
}

typedef struct DueRow { /* a row with its texts apart */
  RunRow row;
  size_t entry, note; /* offsets */
} DueRow;

typedef struct Due {
  Scheduler *s;
  DueRow *rows;
  uint32_t count, cap, limit;
  Buf texts;
} Due;

static bool due_add(void *context, const RunRow *row) {
  Due *d = context;
  if (!row_dormant(d->s, row)) return true; /* if it is here its row changes with the next commit */
  d->rows = mem_grow(d->rows, &d->cap, d->count + 1, sizeof *d->rows);
  d->rows[d->count++] = (DueRow){*row, d->texts.size, d->texts.size + row->entry.size};
  buf_str(&d->texts, row->entry);
  buf_str(&d->texts, row->note);
  return d->count < d->limit;
}

/* It cannot be woken: the next start tries again and says so. */
static void due_lost(Scheduler *s, RunRow *row, const Err *why) {
  char id[37];
  uuid_text(row->id, id);
  scheduler_notice(s, "run %s cannot be woken: %s", id, why->text);
  if (why->code == ERR_IO) s->failed = true;
  if (why->code == ERR_CORRUPT) s->corrupt_count++;
  dormant_leave(s, row);
  row->wake_us = AWAKE_WAITS;
  grouping_updated(s->grouping, row);
}

static void due_take_up(Scheduler *s, DueRow *due, const Buf *texts) {
  Err err;
  RunRow row = due->row;
  row.entry.at = texts->at + due->entry;
  row.note.at = texts->at + due->note;
  if (slot_by_number(s, row.number) != NULL || slot_take_up(s, &row, &err)) return;
  due_lost(s, &row, &err);
}

bool dormant_wake(Scheduler *s, int64_t now_us, Err *err) {
  Due due = {.s = s};
  int64_t next;
  if (!dormant_next(s, &next) || next > now_us) return true;
  due.limit = s->awake_count >= AWAKE_MAX ? WAKE_LEAST : WAKE_BATCH;
  if (s->options.seeded) due.limit = UINT32_MAX; /* all that is due takes part in one round, as in any other life */
  bool ok = store_run_due(s->store, now_us, UINT32_MAX, due_add, &due, err);
  for (uint32_t i = 0; ok && i < due.count; i++) due_take_up(s, &due.rows[i], &due.texts);
  s->wake_known = false;
  mem_free(due.rows);
  buf_deinit(&due.texts);
  return ok;
}
