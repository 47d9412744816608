/* vm/cli/provenance: the tree of what caused what, out of a store made by hand. */
#include "test.h"

#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/cli/provenance.h"
#include "vm/journal/chain.h"
#include "vm/journal/record.h"

typedef struct World {
  Store *store;
  Buf row; /* framed records of the row in hand */
} World;

/* Ids are told apart by their first byte; eight characters name one. */
static Uuid id(uint8_t n) { return (Uuid){{n, 0x11, 0x22, 0x33, 0x44, n}}; }
static const Uuid none;
static const int64_t at_us = 1700000000000000;

static void put(World *w, Record *record) {
  Buf bytes = {0};
  buf_room(&bytes, record_bound(record));
  record_encode(record, &bytes);
  frame_put(&w->row, buf_view(&bytes));
  buf_deinit(&bytes);
}

static void commit(World *w, StoreGroup *group) {
  Err err = {0};
  bool ok = store_commit(w->store, group, &err);
  CHECK(ok);
  if (!ok) fprintf(stderr, "  %s\n", err.text);
  buf_clear(&w->row);
}

static Str note(Uuid of, Buf *keep) {
  static const Uuid nobody;
  buf_clear(keep);
  if (memcmp(&of, &nobody, sizeof of) == 0) return (Str){0};
  cbor_put_bytes(keep, (Str){(const char *)of.byte, 16});
  return buf_view(keep);
}

/* A run by its head alone. */
static void put_run(World *w, uint64_t number, Uuid run, const char *entry, Uuid cause, Uuid correlation) {
  Buf causation = {0}, root = {0};
  Record head = {.kind = RECORD_HEAD,
                 .HEAD = {.run = run, .semantics = STR("z8/1"), .entry = str_of(entry), .input = STR("\x80"),
                          .config = STR("\xf6"), .patches = STR("\x80"), .at = at_us, .tenant = STR("default"),
                          .causation = note(cause, &causation), .correlation = note(correlation, &root)}};
  put(w, &head);
  LogRow row = {.run = number, .bytes = buf_view(&w->row)};
  RunRow created = {.number = number, .id = run, .entry = str_of(entry), .status = RUN_STATUS_DONE};
  commit(w, &(StoreGroup){.rows = &row, .row_count = 1, .created = &created, .created_count = 1});
  buf_deinit(&causation);
  buf_deinit(&root);
}

static void put_accepted(World *w, Uuid command, Uuid cause, Uuid correlation) {
  Record r = {.kind = RECORD_ACCEPTED,
              .seq = 1,
              .ACCEPTED = {.id = command, .type = STR("Pay"), .version = 1, .data = STR("\xf6"), .causation = cause,
                           .correlation = correlation, .actor = STR("ada"), .at = at_us}};
  put(w, &r);
}

static void put_happened(World *w, Uuid event, uint64_t number) {
  Record r = {.kind = RECORD_HAPPENED,
              .seq = 1 + number,
              .HAPPENED = {.id = event, .type = STR("Paid"), .version = 1, .number = number, .data = STR("\xf6")}};
  put(w, &r);
}

static void put_stream(World *w, uint64_t number, const char *key) {
  StreamRow stream = {.number = number, .key = str_of(key)};
  LogRow row = {.run = number, .bytes = buf_view(&w->row)};
  commit(w, &(StoreGroup){.rows = &row, .row_count = 1, .streams = &stream, .stream_count = 1});
}

static void text_entry(Buf *out, const char *name, Uuid value) {
  char text[37];
  uuid_text(value, text);
  cbor_put_text(out, str_of(name));
  cbor_put_text(out, str_of(text));
}

static void put_job(World *w, uint64_t number, Uuid job, Uuid cause, Uuid correlation) {
  Buf meta = {0};
  cbor_put_tag(&meta, CBOR_TAG_MAP);
  cbor_put_array(&meta, 4);
  text_entry(&meta, "causation", cause);
  text_entry(&meta, "correlation", correlation);
  JobRow row = {.number = number, .id = job, .worker = STR("Mail"), .queue = STR("default"), .state = JOB_AVAILABLE,
                .enqueued_us = at_us, .input = STR("\xf6"), .meta = buf_view(&meta)};
  commit(w, &(StoreGroup){.jobs = &row, .job_count = 1});
  buf_deinit(&meta);
}

/* run 1 -> command 2 -> events 3, 4; event 3 -> run 5 -> job 6 (waiting); job 7 is executed: it is run 7. */
static World world(void) {
  World w = {.store = store_open_memory()};
  put_run(&w, 1, id(1), "", none, none);
  Record stream = {.kind = RECORD_STREAM,
                   .STREAM = {.key = STR("account-a"), .agent = STR("Account"), .tenant = STR("default"), .at = at_us}};
  put(&w, &stream);
  put_accepted(&w, id(2), id(1), id(1));
  put_happened(&w, id(3), 1);
  put_happened(&w, id(4), 2);
  put_stream(&w, 2, "account-a");
  put_run(&w, 3, id(5), "Books.Paid", id(3), id(1));
  put_job(&w, 1, id(6), id(5), id(1));
  put_job(&w, 2, id(7), id(5), id(1));
  put_run(&w, 4, id(7), "Mail", id(5), id(1));
  put_run(&w, 5, id(0x21), "Other", none, none); /* of another beginning */
  return w;
}

static void world_end(World *w) {
  store_close(w->store);
  buf_deinit(&w->row);
}

/* "0 run (script); 1 command Pay account-a < 0; …": each with the index of its cause. */
static void say(const Provenance *p, Buf *out) {
  static const char *const kinds[] = {"run", "command", "event", "job"};
  for (uint32_t i = 0; i < provenance_count(p); i++) {
    const ProvenanceNode *n = provenance_node(p, i);
    uint32_t cause = provenance_cause(p, i);
    buf_format(out, "%u %s " STR_FMT " " STR_FMT, i, kinds[n->kind], STR_ARG(n->name), STR_ARG(n->where));
    if (cause != UINT32_MAX) buf_format(out, " < %u", cause);
    buf_byte(out, '\n');
  }
}

static void test_tree(void) {
  World w = world();
  Err err = {0};
  static const uint8_t asked[] = {1, 2, 3, 4, 5, 6, 7};
  for (size_t i = 0; i < COUNT_OF(asked); i++) {
    Buf text = {0};
    char whole[37];
    Provenance *p = NULL;
    uuid_text(id(asked[i]), whole);
    bool ok = provenance_load(w.store, (Str){whole, i % 2 == 0 ? 36 : 8}, &p, &err);
    CHECK(ok);
    if (!ok) fprintf(stderr, "  %s: %s\n", whole, err.text);
    if (!ok) continue;
    say(p, &text);
    CHECK_STR(buf_view(&text), STR("0 run (script) done\n1 command Pay account-a < 0\n2 event Paid account-a < 1\n"
                                   "3 event Paid account-a < 1\n4 run Books.Paid done < 2\n5 job Mail available < 4\n"
                                   "6 job Mail available < 4\n"));
    Uuid start = provenance_node(p, provenance_start(p))->id;
    CHECK(memcmp(start.byte, id(asked[i]).byte, 16) == 0);
    provenance_free(p);
    buf_deinit(&text);
  }
  world_end(&w);
}

static bool refuses(World *w, const char *word, ErrCode code, const char *part) {
  Provenance *p = NULL;
  Err err = {0};
  bool refused = !provenance_load(w->store, str_of(word), &p, &err) && err.code == code && strstr(err.text, part);
  if (!refused) fprintf(stderr, "  %s: %d %s\n", word, err.code, err.text);
  return refused;
}

static void test_refused(void) {
  World w = world();
  put_run(&w, 6, (Uuid){{1, 0x11, 0x22, 0x33, 0x44, 9}}, "Twin", none, none); /* begins as run 1 does */
  CHECK(refuses(&w, "01112233", ERR_INVALID, "several ids"));
  CHECK(refuses(&w, "99887766", ERR_NOT_FOUND, "no event, command, job or run"));
  CHECK(refuses(&w, "0111223", ERR_INVALID, "8 characters"));
  CHECK(refuses(&w, "", ERR_INVALID, "8 characters"));
  CHECK(refuses(&w, "account-a", ERR_INVALID, "hex digits"));
  CHECK(refuses(&w, "011122334401112233440111223344011", ERR_INVALID, "hex digits"));
  world_end(&w);
}

/* Damaged logs may hold circles, and causes that are not there. */
static void test_circles(void) {
  World w = {.store = store_open_memory()};
  Buf text = {0};
  Err err = {0};
  Provenance *p = NULL;
  put_run(&w, 1, id(1), "A", id(2), id(9));
  put_run(&w, 2, id(2), "B", id(1), id(9));
  put_run(&w, 3, id(3), "C", id(3), id(9));
  put_run(&w, 4, id(4), "D", id(8), id(9));
  CHECK(provenance_load(w.store, STR("03112233"), &p, &err));
  if (p != NULL) say(p, &text);
  CHECK_STR(buf_view(&text), STR("0 run A done < 1\n1 run B done < 0\n2 run C done\n3 run D done\n"));
  provenance_free(p);
  buf_deinit(&text);
  world_end(&w);
}

/* A row that is no row is passed over, whatever bytes it has. */
static void test_damaged_rows(void) {
  Provenance *p = NULL;
  Err err = {0};
  for (size_t cut = 0; cut < 40; cut++) {
    World w = world();
    put_accepted(&w, id(0x31), id(1), id(1));
    w.row.size = w.row.size > cut ? w.row.size - cut : 0;
    if (w.row.size > cut) w.row.at[cut] ^= 0x55;
    buf_text(&w.row, "\xff\xff\xff\xff\xff\xff");
    put_stream(&w, 6, "broken");
    CHECK(provenance_load(w.store, STR("02112233"), &p, &err));
    CHECK(p != NULL && provenance_count(p) >= 7);
    provenance_free(p);
    p = NULL;
    world_end(&w);
  }
}

int main(void) {
  RUN_TEST(test_tree);
  RUN_TEST(test_refused);
  RUN_TEST(test_circles);
  RUN_TEST(test_damaged_rows);
  return TEST_END();
}
