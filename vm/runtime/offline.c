/* Runs that nobody runs. */
#include "vm/runtime/offline.h"

#include "vm/base/mem.h"
#include "vm/journal/chain.h"
#include "vm/runtime/approvals.h"
#include "vm/runtime/host.h"
#include "vm/runtime/mail.h"

/* ---- replay ------------------------------------------------------------------ */

/* A replay reads what was recorded: these answer only where history has ended, and nothing is kept
 * of it. */
static int64_t no_time(void *context) {
  (void)context;
  return 0;
}

static bool no_env(void *context, Str name, Buf *value) {
  (void)context;
  (void)name;
  (void)value;
  return false;
}

static bool no_secret(void *context, Str name) {
  (void)context;
  (void)name;
  return false;
}

static const RunHost replay_host = {.now_us = no_time, .env = no_env, .has_secret = no_secret};

static bool code_choose(Node *node, const RunRow *row, const Program **program, bool *other,
                        Err *err) {
  if (*program == NULL && !node_program(node, row->bundle, program, err)) return false;
  const Bundle *bundle = program_bundle(*program);
  *other = memcmp(bundle->id.byte, row->bundle.byte, sizeof bundle->id.byte) != 0;
  return true;
}

static void replay_walk(Replayed *out) {
  RunOutput requests = {0};
  Buf image = {0};
  do out->result = run_replay(out->run, &requests);
  while (out->result == STEP_COMMIT || out->result == STEP_SLICE || out->result == STEP_CONTINUED);
  out->records = journal_position(run_journal(out->run));
  if (out->result != STEP_DIVERGED) run_image(out->run, &image, &out->state);
  buf_deinit(&image);
  run_output_deinit(&requests);
}

bool offline_replay(Node *node, const RunRow *row, const Program *program, bool switch_vm,
                    Replayed *out, Err *err) {
  Journal *journal;
  bool other;
  *out = (Replayed){0};
  if (!code_choose(node, row, &program, &other, err)) return false;
  if (!journal_load(node_store(node), row->number, node_tenant_key(node), !other, &journal, err))
    return false;
  journal_read_only(journal);
  if (!run_load(program, &replay_host, journal, other, &out->run, err)) {
    journal_free(journal);
    return false;
  }
  run_machine(out->run)->switch_loop = switch_vm;
  replay_walk(out);
  return true;
}

/* ---- delivery ------------------------------------------------------------------ */

/* What it does not ask people any more is not to be decided either: of a cancelled run, nothing. */
static bool gone_find(Node *node, const RunRow *row, Run *run, ApprovalsGone *out, Err *err) {
  RunOutput open = {0};
  run_open_requests(run, &open);
  bool ok = approvals_gone(node_store(node), row->id, &open, out, err);
  run_output_deinit(&open);
  return ok;
}

static bool group_commit(Node *node, const RunRow *row, Run *run, KvRow *kv, uint32_t kv_count, Err *err) {
  StoreGroup group = {0};
  LogRow log = {.run = row->number};
  RunRow updated = *row;
  updated.status = RUN_STATUS_RUNNING;
  updated.wake_us = 0;
  updated.records = journal_seq(run_journal(run));
  updated.note = (Str){0};
  if (!journal_take(run_journal(run), &log, &group)) return true; /* a signal that came already */
  group.rows = &log;
  group.row_count = 1;
  group.updated = &updated;
  group.updated_count = 1;
  group.kv = kv;
  group.kv_count = kv_count;
  bool ok = store_commit(node_store(node), &group, err);
  store_group_deinit(&group);
  return ok;
}

static bool offline_commit(Node *node, const RunRow *row, Run *run, const KvRow *also, Err *err) {
  ApprovalsGone gone = {0};
  bool ok = gone_find(node, row, run, &gone, err);
  if (ok && also != NULL) {
    gone.rows = mem_grow(gone.rows, &gone.cap, gone.count + 1, sizeof *gone.rows);
    gone.rows[gone.count++] = *also;
  }
  ok = ok && group_commit(node, row, run, gone.rows, gone.count, err);
  approvals_gone_deinit(&gone);
  return ok;
}

static bool quiescent_at_end(Run *run, Err *err) {
  RunOutput fresh = {0};
  StepResult result = run_replay(run, &fresh);
  uint32_t asked = fresh.count;
  run_output_deinit(&fresh);
  if (result == STEP_WAITING && asked == 0) return true;
  if (result == STEP_DIVERGED)
    FAIL(err, ERR_DIVERGED, "the run diverges from its own journal; `z8 replay` explains");
  else FAIL(err, ERR_BUSY, "the run was interrupted in the middle of a step");
  return false;
}

/* It is delivered later: what goes with it changes now, and its run will know what to do. */
static bool offline_mail(Node *node, const RunRow *row, const Record *event, KvRow *also, Err *err) {
  StoreGroup group = {.kv = also, .kv_count = 1};
  return mail_add(node_store(node), row->number, event, err) &&
         (also == NULL || store_commit(node_store(node), &group, err));
}

bool offline_deliver_with(Node *node, const RunRow *row, Record *event, KvRow *also, Err *err) {
  const Program *program;
  Journal *journal;
  Host host;
  Clock clock;
  Run *run;
  clock_begin(&clock, false);
  host_init(&host, node, &clock);
  if (!node_program(node, row->bundle, &program, err)) return false;
  if (!journal_load(node_store(node), row->number, node_tenant_key(node), true, &journal, err))
    return false;
  if (!run_load(program, &host.calls, journal, false, &run, err)) {
    journal_free(journal);
    return false;
  }
  bool free_now = quiescent_at_end(run, err);
  bool ok = free_now && run_deliver(run, event, err) && offline_commit(node, row, run, also, err);
  run_free(run);
  if (!free_now && err->code == ERR_BUSY)
    return offline_mail(node, row, event, also, err);
  return ok;
}

bool offline_deliver(Node *node, const RunRow *row, Record *event, Err *err) {
  return offline_deliver_with(node, row, event, NULL, err);
}

/* ---- records ------------------------------------------------------------------- */

typedef struct EachRecord {
  bool (*each)(void *context, const Record *record);
  void *context;
  Err *err;
  bool ok, stop;
} EachRecord;

static bool row_records(void *context, const LogRow *row) {
  EachRecord *e = context;
  Str rest = row->bytes, bytes;
  Record record;
  bool broken = false;
  while (!e->stop && frame_next(&rest, &bytes, &broken)) {
    e->ok = record_decode(bytes, &record, e->err);
    e->stop = !e->ok || !e->each(e->context, &record);
  }
  if (broken) {
    FAIL(e->err, ERR_CORRUPT, "row %" PRIu64 " of the log is cut off or not framed", row->gid);
    e->ok = false;
  }
  return e->ok && !e->stop;
}

bool offline_records(Store *store, uint64_t number,
                     bool (*each)(void *context, const Record *record), void *context, Err *err) {
  EachRecord e = {each, context, err, true, false};
  return store_log_each(store, number, row_records, &e, err) && e.ok;
}
