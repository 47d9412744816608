/* Folding and deciding in memory, on one core: events already decoded, events as stored bytes, a cold instance of a
** hundred events, and decisions from a command's bytes to a settled state. The agent's code is that of
** tests/unit/decider_program.h, an account whose evolve is `balance += amount`. */
#include <time.h>

#include "tests/unit/decider_program.h"
#include "vm/run/decider_impl.h"

enum { ROUNDS = 5, FOLDS = 4000000, COLD = 20000, COLD_EVENTS = 100, DECISIONS = 300000 };

static void stop(const char *what, const char *why) {
  fprintf(stderr, "bench_fold: %s: %s\n", what, why);
  exit(1);
}

/* Of this thread, so that a busy machine takes nothing away. */
static double core_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* The median of the rounds. */
static double measured(double (*round)(Decider *d), Decider *d) {
  double seconds[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) seconds[i] = round(d);
  qsort(seconds, ROUNDS, sizeof seconds[0], compare);
  return seconds[ROUNDS / 2];
}

static void load(Decider *d) {
  Err err;
  if (!decider_load(d, 0, (Str){0}, &err)) stop("load", err.text);
}

/* A stored event: a record of one field. */
static void put_event(Buf *out, const char *type, const char *field) {
  cbor_put_tag(out, CBOR_TAG_RECORD);
  cbor_put_array(out, 4);
  cbor_put_text(out, str_of(type));
  cbor_put_uint(out, 1);
  cbor_put_text(out, str_of(field));
}

static Buf deposited, withdrawn, note;

static void balance_is(Decider *d, int64_t want) {
  const RecordObj *state = (const RecordObj *)value_obj(decider_machine(d)->roots[ROOT_STATE]);
  if (state->field[1] != value_small_int(want)) stop("fold", "the balance is wrong");
}

static double round_decoded(Decider *d) {
  Machine *m = decider_machine(d);
  load(d);
  const FoldEntry *e = fold_entry_of(d, DEPOSITED);
  if (!wire_get_planned(m, decider_plan(d, DEPOSITED), buf_view(&deposited), &m->roots[ROOT_EVENT])) stop("event", "?");
  value_share(m->roots[ROOT_EVENT]);
  Value error;
  double start = core_seconds();
  for (int i = 0; i < FOLDS; i++) {
    if (!fold_value(d, e, m->roots[ROOT_EVENT], VALUE_NIL, &error)) stop("fold", error_message(error).at);
  }
  double took = core_seconds() - start;
  balance_is(d, (int64_t)FOLDS * 300);
  return took;
}

static void fold(Decider *d, const char *type, const Buf *data) {
  Err err;
  if (!decider_fold(d, str_of(type), 1, buf_view(data), (Str){0}, &err)) stop("fold", err.text);
}

static double round_stored(Decider *d) {
  load(d);
  double start = core_seconds();
  for (int i = 0; i < FOLDS; i++) fold(d, "Deposited", &deposited);
  double took = core_seconds() - start;
  balance_is(d, (int64_t)FOLDS * 300);
  return took;
}

/* An event with a text and a list, kept in the state's list: folding that allocates. */
static double round_notes(Decider *d) {
  double took = 0;
  for (int n = 0; n < FOLDS / 10; n += 10000) {
    load(d);
    double start = core_seconds();
    for (int i = 0; i < 10000; i++) fold(d, "Noted", &note);
    took += core_seconds() - start;
  }
  return took;
}

static double round_cold(Decider *d) {
  Buf state = {0};
  double start = core_seconds();
  for (int i = 0; i < COLD; i++) {
    load(d);
    for (int n = 0; n < COLD_EVENTS; n++) {
      if (n % 10 == 0) fold(d, "Withdrawn", &withdrawn);
      else fold(d, "Deposited", &deposited);
    }
    buf_clear(&state);
    if (!decider_save(d, &state)) stop("save", "it cannot be");
  }
  buf_deinit(&state);
  return core_seconds() - start;
}

/* Admitted, decided, folded, invariants, settled. */
static double round_decided(Decider *d) {
  Decision out;
  Refusal refusal;
  Buf data = {0}, given = {0};
  Err err;
  if (!cbor_from_json(STR("{\"account_id\": \"acc-17\", \"amount\": 3}"), &given, &err)) stop("command", err.text);
  load(d);
  double start = core_seconds();
  for (int i = 0; i < DECISIONS; i++) {
    if (i % 300 == 0) load(d); /* its second invariant bounds the balance */
    buf_clear(&data);
    if (!decider_admit(d, DEPOSIT, buf_view(&given), 1, false, &data, &refusal)) stop("admit", refusal.message.at);
    decider_decide(d, DEPOSIT, buf_view(&data), (Str){0}, 0, &out);
    if (out.refused) stop("decide", out.refusal.message.at);
    decider_settle(d, true);
  }
  double took = core_seconds() - start;
  buf_deinit(&data);
  buf_deinit(&given);
  return took;
}

int main(void) {
  Account *account = account_new();
  Decider *d = decider_new(account->program);
  put_event(&deposited, "Deposited", "amount");
  cbor_put_int(&deposited, 300);
  put_event(&withdrawn, "Withdrawn", "amount");
  cbor_put_int(&withdrawn, 1);
  put_event(&note, "Noted", "note");
  cbor_put_array(&note, 2);
  cbor_put_text(&note, STR("a note of some thirty characters"));
  cbor_put_int(&note, 1);
  printf("folding in memory, one core, medians of %d\n", ROUNDS);
  printf("  decoded events         %6.2f M/s (floor 8)\n", FOLDS / measured(round_decoded, d) / 1e6);
  printf("  stored events          %6.2f M/s (floor 1.5, aim 4)\n", FOLDS / measured(round_stored, d) / 1e6);
  printf("  stored, kept in a list %6.2f M/s\n", FOLDS / 10 / measured(round_notes, d) / 1e6);
  printf("  a cold instance of %d events, loaded, folded, saved: %.1f us\n", COLD_EVENTS,
         measured(round_cold, d) / COLD * 1e6);
  printf("  decisions, from the command's bytes to the settled state: %.2f M/s\n",
         DECISIONS / measured(round_decided, d) / 1e6);
  decider_free(d);
  account_free(account);
  buf_deinit(&deposited), buf_deinit(&withdrawn), buf_deinit(&note);
  return 0;
}
