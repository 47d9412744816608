/* What the code asks about itself: patches, and to begin anew (continue_as_new). */
#include "vm/run/state.h"

/* ---- patches ---- */

static Patch *patch_find(Run *run, uint32_t id) {
  for (uint32_t i = 0; i < run->patch_count; i++) {
    if (run->patches[i].id == id) return &run->patches[i];
  }
  return NULL;
}

static Patch *patch_add(Run *run, uint32_t id) {
  run->patches = mem_grow(run->patches, &run->patch_cap, run->patch_count + 1, sizeof *run->patches);
  Patch *p = &run->patches[run->patch_count++];
  *p = (Patch){.id = id};
  return p;
}

/* Decided once per run and id: as recorded anywhere ahead; false in a history written without it; else true. */
void ask_patched(Run *run, Fiber *f, bool deprecated) {
  uint32_t id = run->machine->ask.operand;
  Str text = bundle_text(run->bundle, id);
  Patch *p = patch_find(run, id);
  if (!p) {
    p = patch_add(run, id);
    bool recorded = journal_patch_ahead(run->journal, text, &p->value);
    if (!recorded) {
      p->value = deprecated || journal_live(run->journal);
      p->unwritten = !journal_live(run->journal) && !deprecated;
    }
    if (recorded || journal_live(run->journal)) {
      Record r = {.kind = RECORD_PATCH, .PATCH = {.id = text, .value = p->value}};
      if (deprecated && !p->value) r.PATCH.value = 1; /* the old branch is gone: this run still needs it */
      if (!run_put(run, &r)) return;
    }
  }
  fiber_answer(run->machine, f, deprecated ? VALUE_NIL : value_bool(p->value));
  run_ready_first(run, f->id);
}

/* ---- continue_as_new ---- */

static void carried_encode(Run *run, Buf *out) {
  cbor_put_array(out, run->signal_count);
  for (uint32_t i = 0; i < run->signal_count; i++) {
    cbor_put_array(out, 2);
    cbor_put_text(out, run->signals[i].name);
    buf_str(out, run->signals[i].value);
  }
}

static bool branch_waits(const Run *run) {
  for (uint32_t i = 0; i < run->wait_count; i++) {
    if (run->waits[i]->effect != 0) return true;
  }
  return false;
}

void ask_continue(Run *run, Fiber *f) {
  Buf carried = {0};
  if (!ask_operands(run, f, 0, &run->scratch)) return;
  if (branch_waits(run) || f->id != 0) {
    strand_raise(run, f->id, error_fault(run->machine, f, FAULT_VALUE,
                                         "continue_as_new is only possible when no branch is running"));
    return;
  }
  carried_encode(run, &carried);
  const Record *recorded = journal_peek(run->journal);
  bool known = recorded && recorded->kind == RECORD_CONTINUED;
  Record r = {.kind = RECORD_CONTINUED,
              .CONTINUED = {.input = buf_view(&run->scratch), .carried = buf_view(&carried),
                            .at = known ? recorded->CONTINUED.at : run->host->now_us(run->host->context)}};
  bool ok = run_put(run, &r);
  buf_deinit(&carried);
  if (ok) run_start_generation(run);
}
