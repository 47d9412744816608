/* A world that does what the test says, around one run of a job: what leaves the run is noted line by line, answers are
** given by hand, time is moved by hand. Whenever the run waits, it goes through an image, and its whole history is
** replayed beside it: both must come to the same state and the same open requests. */
#ifndef Z8_ATTEMPTS_WORLD_H
#define Z8_ATTEMPTS_WORLD_H

#include <stdlib.h>

#include "tests/unit/test.h"

#include "compiler/compile.h"
#include "vm/base/json.h"
#include "vm/base/mem.h"
#include "vm/run/run.h"

#define NEED(cond) do { bool ready_ = (cond); CHECK(ready_ && #cond); if (!ready_) return; } while (0)
#define CHECK_HAS(got, part) do { Str g_ = (got); if (memmem(g_.at, g_.size, part, strlen(part)) == NULL) { \
  test_checks_failed++; fprintf(stderr, "%s:%d: \"%.*s\" has no \"%s\"\n", __FILE__, __LINE__, STR_ARG(g_), part); } } \
  while (0)

typedef struct Open { /* a request that waits for its answer */
  RequestKind kind;
  uint64_t seq;
  int64_t due_us;
  bool resend;
  char text[200];
} Open;

typedef struct World {
  Arena arena;
  Compilation *c;
  const char *source;
  Program *program;
  Store *store;
  Run *run;
  RunHost host;
  int64_t now;
  const char *stub; /* the tool that a test answers for */
  Buf left;         /* what left since it was last asked for, a line each */
  Buf said;         /* for texts that a test looks at */
  Open open[128];
  int open_count;
  bool created, over;
} World;

static const Hash256 tenant = {{1, 2, 3}};
static void (*world_patch)(Bundle *bundle); /* between compiler and program; NULL: as it was compiled */

/* ---- the host ---- */

static int64_t world_now(void *context) { return ((World *)context)->now++; }
static bool world_env(void *context, Str name, Buf *value) {
  (void)context;
  if (!str_equal(name, STR("HOME"))) return false;
  buf_text(value, "/home");
  return true;
}
static bool world_secret(void *context, Str name) { (void)context, (void)name; return true; }
static bool world_stubbed(void *context, Str tool) {
  World *w = context;
  return w->stub != NULL && str_equal(tool, str_of(w->stub));
}

/* ---- requests ---- */

static const char *kind_word(RequestKind kind) {
  switch (kind) {
    case REQUEST_EFFECT: return "ask";
    case REQUEST_TIMER: return "timer";
    case REQUEST_OUTPUT: return "print";
    case REQUEST_START: return "start";
    case REQUEST_AWAIT: return "await";
    case REQUEST_SIGNAL: return "signal";
    case REQUEST_CANCEL: return "cancel";
    case REQUEST_DROP: return "drop";
    case REQUEST_ADMIT: return "admit";
    case REQUEST_PERSON: return "person";
    case REQUEST_TURN: return "turn";
    case REQUEST_DEAD: return "dead";
    case REQUEST_APPROVAL: return "approval";
  }
  return "?";
}

/* `ask http POST k3`, `timer 5000`, `turn 2 oops: oops`, `start Leaf 7f3a`: enough to know it by. */
static void request_text(const World *w, const Request *r, Buf *out) {
  const EffectInfo *info = effect_info(r->effect);
  const char *key = r->key.size ? memmem(r->key.at, r->key.size, "-g0-", 4) : NULL;
  buf_text(out, kind_word(r->kind));
  if (r->kind == REQUEST_OUTPUT) buf_format(out, " " STR_FMT, STR_ARG(r->operands));
  if (r->kind == REQUEST_EFFECT || r->kind == REQUEST_DROP) buf_format(out, " %s", info ? info->word : "attempt");
  if (r->target.size) buf_format(out, " " STR_FMT, STR_ARG(r->target));
  if (key) buf_format(out, " k%.*s", (int)(r->key.at + r->key.size - key - 4), key + 4);
  if (r->kind == REQUEST_TIMER) buf_format(out, " %" PRId64, r->timeout_us / 1000);
  if (r->kind == REQUEST_START || r->kind == REQUEST_CANCEL || r->kind == REQUEST_AWAIT)
    buf_format(out, " %02x%02x", r->run.byte[14], r->run.byte[15]);
  if (r->attempt) buf_format(out, " %u", r->attempt);
  if (r->note.size) buf_format(out, " " STR_FMT, STR_ARG(r->note));
  (void)w;
}

static bool is_open(RequestKind kind) {
  return kind == REQUEST_EFFECT || kind == REQUEST_TIMER || kind == REQUEST_AWAIT || kind == REQUEST_ADMIT ||
         kind == REQUEST_TURN || kind == REQUEST_PERSON || kind == REQUEST_APPROVAL;
}

static void open_remove(World *w, uint64_t seq) {
  for (int i = 0; i < w->open_count; i++) {
    if (w->open[i].seq != seq) continue;
    memmove(&w->open[i], &w->open[i + 1], (size_t)(--w->open_count - i) * sizeof w->open[0]);
    return;
  }
}

/* A dropped one may be answered late: it stays. */
static void requests_take(World *w, const RunOutput *out) {
  for (uint32_t i = 0; i < out->count; i++) {
    const Request *r = &out->requests[i];
    size_t from = w->left.size;
    request_text(w, r, &w->left);
    Str line = {w->left.at + from, w->left.size - from};
    if (r->kind == REQUEST_DROP && (r->effect == 0 || r->effect == EFFECT_SLEEP)) open_remove(w, r->seq);
    if (is_open(r->kind)) {
      if (w->open_count == 128) abort();
      Open *o = &w->open[w->open_count++];
      *o = (Open){.kind = r->kind, .seq = r->seq, .due_us = r->due_us, .resend = r->resend};
      snprintf(o->text, sizeof o->text, STR_FMT, STR_ARG(line));
    }
    buf_byte(&w->left, '\n');
  }
}

/* ---- the store ---- */

static void world_commit(World *w) {
  Err err = {0};
  StoreGroup group = {0};
  LogRow row = {.run = 1};
  RunRow created = {.number = 1, .id = run_id(w->run), .bundle = w->c->bundle.id, .status = RUN_STATUS_RUNNING};
  if (!journal_take(run_journal(w->run), &row, &group)) return;
  row.run = 1;
  group.rows = &row;
  group.row_count = 1;
  group.created = &created;
  group.created_count = !w->created;
  bool ok = store_commit(w->store, &group, &err);
  CHECK(ok);
  if (!ok) fprintf(stderr, "  %s\n", err.text);
  w->created = true;
  store_group_deinit(&group);
}

/* ---- proofs ---- */

static void open_text(World *w, Run *run, Buf *out) {
  RunOutput open = {0};
  run_open_requests(run, &open);
  for (uint32_t i = 0; i < open.count; i++) {
    request_text(w, &open.requests[i], out);
    buf_format(out, " #%" PRIu64 " %" PRId64 "\n", open.requests[i].seq, open.requests[i].due_us);
  }
  run_output_deinit(&open);
}

static void same_as(World *w, Run *other, const char *what) {
  Buf a = {0}, b = {0}, mine = {0}, theirs = {0};
  Hash256 x, y;
  run_image(w->run, &a, &x);
  run_image(other, &b, &y);
  bool same = memcmp(&x, &y, sizeof x) == 0;
  CHECK(same && "the state");
  open_text(w, w->run, &mine);
  open_text(w, other, &theirs);
  CHECK_STR(buf_view(&theirs), buf_view(&mine));
  if (!same) fprintf(stderr, "  %s: %zu and %zu bytes\n", what, a.size, b.size);
  for (size_t i = 0; !same && i < a.size && i < b.size; i++)
    if (a.at[i] != b.at[i]) fprintf(stderr, " [%zu] %02x %02x", i, (uint8_t)a.at[i], (uint8_t)b.at[i]);
  buf_deinit(&a);
  buf_deinit(&b);
  buf_deinit(&mine);
  buf_deinit(&theirs);
}

static void world_replay(World *w) {
  Journal *journal;
  Run *run = NULL;
  RunOutput out = {0};
  Err err = {0};
  NEED(journal_load(w->store, 1, tenant, true, &journal, &err));
  NEED(run_load(w->program, &w->host, journal, false, &run, &err));
  int64_t now = w->now;
  StepResult result = run_replay(run, &out);
  w->now = now;
  const Divergence *d = journal_divergence(journal);
  CHECK(d->kind == DIVERGE_NONE);
  if (d->kind != DIVERGE_NONE) {
    Buf page = {0};
    run_explain(run, &w->c->bundle, &page);
    fprintf(stderr, STR_FMT "\n", STR_ARG(buf_view(&page)));
    buf_deinit(&page);
  }
  CHECK(result == (w->over ? STEP_ENDED : STEP_WAITING));
  CHECK(out.count == 0); /* a replay asks for nothing */
  if (!w->over) same_as(w, run, "replay");
  run_output_deinit(&out);
  run_free(run);
}

static void world_restore(World *w) {
  Buf image = {0};
  Hash256 state;
  Run *run;
  Err err = {0};
  Journal *old = run_journal(w->run);
  Journal *journal = journal_resume(tenant, journal_seq(old), journal_head(old));
  run_image(w->run, &image, &state);
  bool ok = run_restore(w->program, &w->host, journal, buf_view(&image), &run, &err);
  CHECK(ok);
  if (!ok) {
    fprintf(stderr, "  %s\n", err.text);
    journal_free(journal);
  } else {
    same_as(w, run, "image");
    run_free(w->run);
    w->run = run;
  }
  buf_deinit(&image);
}

/* ---- going on ---- */

static void world_go(World *w) {
  RunOutput out = {0};
  StepResult result;
  do {
    result = run_step(w->run, 0, &out);
    world_commit(w);
    requests_take(w, &out);
  } while (result == STEP_COMMIT || result == STEP_SLICE || result == STEP_CONTINUED);
  w->over = result == STEP_ENDED;
  CHECK(result == STEP_ENDED || result == STEP_WAITING);
  run_output_deinit(&out);
  world_replay(w);
  if (result == STEP_WAITING) world_restore(w);
}

static bool world_deliver(World *w, Record event) {
  Err err = {0};
  if (w->run == NULL || w->over) return false;
  bool ok = run_deliver(w->run, &event, &err);
  if (ok) world_go(w);
  else {
    buf_clear(&w->said);
    buf_text(&w->said, err.text);
  }
  return ok;
}

static Open *open_find(World *w, const char *part) {
  for (int i = 0; i < w->open_count; i++)
    if (strstr(w->open[i].text, part) != NULL) return &w->open[i];
  return NULL;
}

/* Answers the first open request whose line has `part` in it. */
static void answer(World *w, const char *part, const char *outcome, const char *json) {
  Open *o = open_find(w, part);
  Buf value = {0};
  Err err = {0};
  if (o == NULL) fprintf(stderr, "nothing open is like \"%s\"\n", part);
  NEED(o != NULL);
  if (strcmp(outcome, "error") == 0) { /* json is the code */
    cbor_put_tag(&value, CBOR_TAG_ERROR);
    cbor_put_array(&value, 4);
    cbor_put_text(&value, str_of(json));
    cbor_put_text(&value, str_of(json));
    cbor_put_nil(&value);
    cbor_put_nil(&value);
  } else {
    NEED(cbor_from_json(str_of(json), &value, &err));
  }
  uint64_t seq = o->seq;
  open_remove(w, seq);
  CHECK(world_deliver(w, (Record){.kind = RECORD_ANSWERED, .ANSWERED = {.ref = seq, .outcome = str_of(outcome),
                                                                        .value = buf_view(&value)}}));
  buf_deinit(&value);
}

/* The clock goes on to the first thing that is due, and that is delivered. */
static void ring(World *w) {
  Open *first = NULL;
  for (int i = 0; i < w->open_count; i++) {
    Open *o = &w->open[i];
    if ((o->kind == REQUEST_TIMER || o->kind == REQUEST_TURN) && (first == NULL || o->due_us < first->due_us)) first = o;
  }
  NEED(first != NULL);
  if (first->due_us > w->now) w->now = first->due_us;
  answer(w, first->text, "ok", "null");
}

/* What left since the last call. */
static Str left(World *w) {
  buf_clear(&w->said);
  buf_str(&w->said, buf_view(&w->left));
  buf_clear(&w->left);
  return buf_view(&w->said);
}

/* All records as the JSON of one kind, a line each. */
typedef struct Records {
  Buf *out;
  const char *name;
  uint32_t count;
} Records;

static bool records_row(void *context, const LogRow *row) {
  Records *records = context;
  Str rest = row->bytes;
  Err ignored;
  while (rest.size > 0) {
    size_t size = 0;
    int shift = 0;
    do size |= (size_t)((uint8_t)*rest.at & 0x7f) << shift, shift += 7;
    while ((uint8_t)(rest.size--, *rest.at++) & 0x80);
    Record r;
    if (!record_decode((Str){rest.at, size}, &r, &ignored)) return false;
    rest.at += size;
    rest.size -= size;
    if (strcmp(record_info(r.kind)->name, records->name) != 0) continue;
    records->count++;
    if (!record_to_json(&r, records->out, &ignored)) return false;
    buf_byte(records->out, '\n');
  }
  return true;
}

/* Of that kind: how many there are; their JSON is in w->said. */
static uint32_t records(World *w, const char *name) {
  Err err = {0};
  Records all = {.out = &w->said, .name = name};
  buf_clear(&w->said);
  CHECK(store_log_each(w->store, 1, records_row, &all, &err));
  return all.count;
}

/* ---- beginning ---- */

static bool world_source(void *context, Str path, Arena *arena, Str *text, Err *err) {
  (void)path, (void)arena, (void)err;
  *text = str_of(((World *)context)->source);
  return true;
}

static bool world_compile(World *w, const char *source) {
  Buf bytes = {0}, said = {0};
  Err err = {0};
  *w = (World){.source = source, .now = 1700000000000000};
  w->host = (RunHost){w, world_now, world_env, world_secret, world_stubbed};
  arena_init(&w->arena);
  w->c = ARENA_NEW(&w->arena, Compilation);
  bool ok = compile(&w->arena, STR("job.z8"), (SourceReader){world_source, w}, (CompileOptions){0}, w->c);
  diag_render(&w->c->diags, false, &said);
  if (said.size > 0) fprintf(stderr, STR_FMT, STR_ARG(buf_view(&said)));
  if (ok) bundle_write(&w->c->bundle, &bytes);
  if (ok && world_patch) world_patch(&w->c->bundle);
  ok = ok && program_new(&w->c->bundle, &w->program, &err);
  buf_deinit(&bytes);
  buf_deinit(&said);
  w->store = store_open_memory();
  return ok;
}

static bool world_begin_with(World *w, const char *entry, Str input, Err *err) {
  uint8_t id[10] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
  RunHead head = {.id = uuid_v7(w->now, id), .entry = str_of(entry), .input = input, .config = STR("\xd9\x9c\x4a\x80"),
                  .seed = {{5}}, .at_us = w->now, .tenant = STR("default")};
  Journal *journal = journal_new(tenant);
  if (!run_begin(w->program, &w->host, journal, &head, &w->run, err)) {
    journal_free(journal);
    return false;
  }
  world_go(w);
  return true;
}

/* A run of worker W over the job W(n: 1). */
static bool world_start(World *w, const char *source) {
  Buf input = {0};
  Err err = {0};
  bool ok = world_compile(w, source);
  cbor_put_array(&input, 2);
  cbor_put_tag(&input, CBOR_TAG_RECORD);
  cbor_put_array(&input, 4);
  cbor_put_text(&input, STR("W"));
  cbor_put_uint(&input, 1);
  cbor_put_text(&input, STR("n"));
  cbor_put_uint(&input, 1);
  cbor_put_nil(&input);
  ok = ok && world_begin_with(w, "W", buf_view(&input), &err);
  if (!ok) fprintf(stderr, "  %s\n", err.text);
  buf_deinit(&input);
  return ok;
}

static void world_end(World *w) {
  run_free(w->run);
  program_free(w->program);
  store_close(w->store);
  buf_deinit(&w->left);
  buf_deinit(&w->said);
  arena_deinit(&w->arena);
}

/* How it ended, or rests: "done 5", "dead {"code":…}". */
static Str ending(World *w) {
  Str value;
  Err ignored;
  RunStatus status = run_status(w->run, &value);
  buf_clear(&w->said);
  buf_format(&w->said, "%s ", run_status_word(status));
  if (value.size && !cbor_to_json(value, &w->said, &ignored)) buf_text(&w->said, "?");
  return buf_view(&w->said);
}
#endif
