/* Life of a run: begin, load, restore, end; what all parts share. */
#include "vm/run/run.h"

#include "vm/core/image.h"
#include "vm/core/semantics.h"
#include "vm/run/state.h"

enum { CHECKER_VERSION = 1 }; /* of the comparison rules of replay */

void run_output_deinit(RunOutput *out) {
  mem_free(out->requests);
  buf_deinit(&out->bytes);
  *out = (RunOutput){0};
}

static Run *run_new(const Program *program, const RunHost *host, Journal *journal) {
  Run *run = MEM_NEW(Run);
  run->program = program;
  run->bundle = program_bundle(program);
  run->host = host;
  run->journal = journal;
  run->status = RUN_STATUS_RUNNING;
  run->decided = NO_FIBER;
  return run;
}

void run_free(Run *run) {
  if (!run) return;
  generation_free(run);
  for (uint32_t i = 0; i < run->signal_count; i++) {
    mem_free((void *)(uintptr_t)run->signals[i].name.at);
    mem_free((void *)(uintptr_t)run->signals[i].value.at);
  }
  mem_free(run->strands);
  mem_free(run->wait_block);
  mem_free(run->sends);
  mem_free(run->groups);
  mem_free(run->ready_block);
  mem_free(run->patches);
  mem_free(run->signals);
  mem_free(run->signal_ids);
  name_set_deinit(&run->known);
  decider_free(run->decider);
  buf_deinit(&run->head_bytes);
  buf_deinit(&run->result);
  run_output_deinit(&run->early);
  buf_deinit(&run->scratch);
  journal_free(run->journal);
  mem_free(run);
}

/* ---- beginning ---- */

bool run_begin(const Program *program, const RunHost *host, Journal *journal, const RunHead *h,
               Run **out, Err *err) {
  Run *run = run_new(program, host, journal);
  Buf patches = {0}, present = {0};
  Str input = {0};
  head_patches(run->bundle, &patches);
  bool ok = input_present(program, h->entry, h->config, h->input, &present, &input, err);
  Record head = {.kind = RECORD_HEAD,
                 .HEAD = {.run = h->id, .bundle = run->bundle->id, .semantics = STR(SEMANTICS_ID),
                          .checker = CHECKER_VERSION, .entry = h->entry, .input = input,
                          .config = h->config, .patches = buf_view(&patches), .seed = h->seed, .at = h->at_us,
                          .tenant = h->tenant, .causation = h->causation, .correlation = h->correlation,
                          .parent = h->parent}};
  ok = ok && head_keep(run, &head, err) && generation_start(run, err);
  buf_deinit(&patches);
  buf_deinit(&present);
  if (!ok) {
    run->journal = NULL;
    run_free(run);
    return false;
  }
  Record put = run->head;
  if (!journal_put(journal, &put)) UNREACHABLE();
  run->fresh = true;
  attempts_started(run, put.seq);
  *out = run;
  return true;
}

bool run_load(const Program *program, const RunHost *host, Journal *journal, bool other_code, Run **out,
              Err *err) {
  const Record *first = journal_peek(journal);
  if (!first || first->kind != RECORD_HEAD) {
    FAIL(err, ERR_CORRUPT, "the journal does not begin with a head record");
    return false;
  }
  if (!str_equal(first->HEAD.semantics, STR(SEMANTICS_ID))) {
    FAIL(err, ERR_VERSION, "this run was made under the semantics \"" STR_FMT "\", and this z8 has \"%s\"",
         STR_ARG(first->HEAD.semantics), SEMANTICS_ID);
    return false;
  }
  Run *run = run_new(program, host, journal);
  run->other_code = other_code;
  Record head = *first;
  if (!head_keep(run, &head, err) || !generation_start(run, err)) {
    run->journal = NULL;
    run_free(run);
    return false;
  }
  if (!journal_put(journal, &head)) UNREACHABLE(); /* it is the recorded one */
  attempts_started(run, head.seq);
  *out = run;
  return true;
}

bool run_restore(const Program *program, const RunHost *host, Journal *journal, Str image, Run **out, Err *err) {
  Run *run = run_new(program, host, journal);
  Str extra;
  if (!image_load(program, image, &run->machine, &extra, err) || !state_load(run, extra, err)) {
    run->journal = NULL;
    run_free(run);
    return false;
  }
  *out = run;
  return true;
}

/* The next generation of continue_as_new: its head is recorded, or recorded already. */
void run_start_generation(Run *run) {
  Record head = run->head;
  head.HEAD.generation = run->generation + 1;
  const Record *recorded = journal_peek(run->journal);
  bool known = recorded && recorded->kind == RECORD_HEAD;
  head.HEAD.at = known ? recorded->HEAD.at : run->host->now_us(run->host->context);
  head.HEAD.input = buf_view(&run->scratch);
  Buf patches = {0};
  if (!known) {
    head_patches(run->bundle, &patches);
    head.HEAD.bundle = run->bundle->id;
    head.HEAD.patches = buf_view(&patches);
  } else {
    head.HEAD.bundle = recorded->HEAD.bundle;
    head.HEAD.patches = recorded->HEAD.patches;
  }
  Err err;
  bool ok = head_keep(run, &head, &err);
  ASSERT(ok);
  buf_deinit(&patches);
  Record put = run->head;
  if (!run_put(run, &put)) return;
  if (!generation_start(run, &err)) {
    run->machine = run->machine ? run->machine : machine_new(run->program);
    Value error = error_new(run->machine, NULL, STR("wrong_arguments"), str_of(err.text), VALUE_NIL, true);
    run_end(run, RUN_STATUS_FAILED, error);
    return;
  }
  attempts_started(run, put.seq);
}

/* ---- shared ---- */

bool run_put(Run *run, Record *record) {
  if (run->diverged) return false;
  run->fresh = journal_live(run->journal);
  if (run->fresh) {
    for (uint32_t i = 0; i < run->patch_count; i++) { /* decisions that history had no place for */
      Patch *p = &run->patches[i];
      if (!p->unwritten) continue;
      p->unwritten = false;
      Record r = {.kind = RECORD_PATCH, .PATCH = {.id = bundle_text(run->bundle, p->id), .value = p->value}};
      if (!journal_put(run->journal, &r)) return run->diverged = true, false;
    }
  }
  if (!journal_put(run->journal, record)) {
    run->diverged = true;
    return false;
  }
  if (record->kind == RECORD_ASKED) run->now_us = record->ASKED.at;
  if (record->kind == RECORD_TOOL_ATTEMPT) run->now_us = record->TOOL_ATTEMPT.at;
  if (record->kind == RECORD_RETRIED) run->now_us = record->RETRIED.at;
  if (record->kind == RECORD_EXHAUSTED) run->now_us = record->EXHAUSTED.at;
  return true;
}

/* In history anything will do: run_put takes the recorded time over. */
int64_t run_time(const Run *run) {
  return journal_live(run->journal) ? run->host->now_us(run->host->context) : run->now_us;
}

void run_random(Run *run, uint8_t *out, size_t size) {
  while (size > 0) {
    struct { uint8_t seed[32]; uint64_t generation, draw; } block;
    memset(&block, 0, sizeof block);
    memcpy(block.seed, run->head.HEAD.seed.byte, 32);
    block.generation = run->generation;
    block.draw = run->draws++;
    Hash256 h = sha256((Str){(const char *)&block, sizeof block});
    size_t n = size < sizeof h.byte ? size : sizeof h.byte;
    memcpy(out, h.byte, n);
    out += n;
    size -= n;
  }
}

static char *digits_put(char *at, uint64_t n) {
  char reversed[20];
  size_t count = 0;
  do reversed[count++] = (char)('0' + n % 10);
  while ((n /= 10) > 0);
  while (count > 0) *at++ = reversed[--count];
  return at;
}

void run_identify(Run *run) {
  run->id = run->head.HEAD.run;
  run->generation = run->head.HEAD.generation;
  uuid_text(run->id, run->key);
  char *at = run->key + 36;
  *at++ = '-', *at++ = 'g';
  at = digits_put(at, run->generation);
  *at++ = '-';
  run->key_size = (uint32_t)(at - run->key);
}

/* RUN-gGENERATION-SEQ. By hand: every tool call makes one. */
void run_key(const Run *run, uint64_t seq, char out[96]) {
  memcpy(out, run->key, sizeof run->key);
  *digits_put(out + run->key_size, seq) = 0;
}

/* A child's id follows from its parent and the command, so that it is known at once and the same ever after. */
Uuid run_child_id(const Run *run, uint64_t seq, int64_t at_us) {
  Buf b = {0};
  buf_put(&b, run->id.byte, 16);
  cbor_put_uint(&b, seq);
  buf_put(&b, run->head.HEAD.seed.byte, 32);
  Hash256 h = sha256(buf_view(&b));
  buf_deinit(&b);
  return uuid_v7(at_us, h.byte);
}

bool run_encode(Run *run, Value v, Buf *out) {
  const char *why;
  if (wire_put(run->machine, v, out, &why)) return true;
  Value error = error_fault(run->machine, NULL, FAULT_VALUE, "the result of a run cannot hold %s", why);
  if (!wire_put(run->machine, error, out, &why)) cbor_put_nil(out);
  return false;
}

/* A called run ends with its caller, whichever attempt it was that called it. */
static void call_unwanted(Run *run, uint64_t seq, Uuid child) {
  request_put(run, &(Request){.kind = REQUEST_CANCEL, .seq = seq, .effect = EFFECT_RUN_CALL, .run = child});
}

/* Nobody is to decide for a run that is over. */
static void wait_end(Run *run, const Wait *w) {
  if (w->kind == REQUEST_APPROVAL) {
    request_put(run, &(Request){.kind = REQUEST_DROP, .seq = w->seq, .effect = w->effect});
  }
  wait_remove(run, w->seq);
}

void run_end(Run *run, RunStatus status, Value value) {
  buf_clear(&run->result);
  if (!run_encode(run, value, &run->result)) status = RUN_STATUS_FAILED;
  run->ended = true;
  run->status = status;
  run->ready_count = 0;
  while (run->wait_count) wait_end(run, run->waits[run->wait_count - 1]);
  Record r = {.kind = RECORD_ENDED};
  r.ENDED.status = str_of(run_status_word(status));
  r.ENDED.result = buf_view(&run->result);
  r.ENDED.ticks = run->machine->ticks;
  const Record *recorded = journal_peek(run->journal);
  bool known = recorded && recorded->kind == RECORD_ENDED;
  r.ENDED.at = known ? recorded->ENDED.at : run->host->now_us(run->host->context);
  run->now_us = r.ENDED.at;
  Buf image = {0};
  run_image(run, &image, &r.ENDED.state);
  buf_deinit(&image);
  if (known && run->other_code) { /* other code counts other ticks and has another state; the result must agree */
    r.ENDED.state = recorded->ENDED.state;
    r.ENDED.ticks = recorded->ENDED.ticks;
  }
  if (run_put(run, &r)) memory_open_calls(run, call_unwanted);
}

Journal *run_journal(Run *run) { return run->journal; }
Machine *run_machine(Run *run) { return run->machine; }
Uuid run_id(const Run *run) { return run->id; }
uint64_t run_generation(const Run *run) { return run->generation; }

RunStatus run_status(const Run *run, Str *result) {
  *result = buf_view(&run->result);
  return run->status;
}

void run_image(Run *run, Buf *out, Hash256 *state) {
  Buf extra = {0};
  state_save(run, &extra);
  image_save(run->machine, buf_view(&extra), out, state);
  buf_deinit(&extra);
}
