/* Streams, pages, keys and values, jobs and sleeping runs: the same from every back end. */
#include "tests/unit/test.h"
#include "tests/unit/store_world.h"

static uint64_t add_stream(Store *store, Str key) {
  StreamRow row = {.number = store_next_run(store), .key = key};
  commit_ok(store, &(StoreGroup){.streams = &row, .stream_count = 1});
  return row.number;
}

static uint64_t add_row(Store *store, uint64_t number, Str bytes) {
  LogRow row = row_of(number, bytes);
  commit_ok(store, &(StoreGroup){.rows = &row, .row_count = 1});
  return row.gid;
}

static void reads(Store *store, uint64_t number, uint64_t after, const char *want) {
  Buf text = {0};
  Err err = {0};
  CHECK(store_stream_read(store, number, after, join, &text, &err));
  CHECK_STR(buf_view(&text), str_of(want));
  buf_deinit(&text);
}

/* ---- streams ---- */

static void share_numbers(Store *store) {
  Buf keep = {0};
  Err err;
  RunRow runs[2] = {run_of(2, RUN_STATUS_RUNNING, 0), run_of(4, RUN_STATUS_RUNNING, 0)}, run;
  StreamRow streams[2] = {{.number = 3, .key = STR("b")}, {.number = 1, .key = STR("a")}}, stream;
  LogRow rows[3] = {row_of(3, STR("x")), row_of(4, STR("y")), row_of(3, STR("z"))};
  StoreGroup g = {
      .created = runs, .created_count = 2, .streams = streams, .stream_count = 2, .rows = rows, .row_count = 3};
  CHECK(store_last_gid(store) == 0);
  commit_ok(store, &g);
  CHECK(store_next_run(store) == 5 && store_last_gid(store) == 3);
  CHECK(store_stream_get(store, 3, &stream, &keep, &err) && stream.last_gid == 3 && stream.page == 0);
  CHECK_STR(stream.key, STR("b"));
  CHECK(store_stream_find(store, STR("a"), &stream, &keep, &err) && stream.number == 1 && stream.last_gid == 0);
  CHECK(!store_stream_find(store, STR("ab"), &stream, &keep, &err) && err.code == ERR_NOT_FOUND);
  CHECK(!store_stream_get(store, 2, &stream, &keep, &err) && err.code == ERR_NOT_FOUND);
  CHECK(!store_run_get(store, 3, &run, &keep, &err) && err.code == ERR_NOT_FOUND);
  CHECK(store_run_get(store, 4, &run, &keep, &err) && run.last_gid == 2);
  reads(store, 3, 0, "1:x 3:z ");
  reads(store, 1, 0, "");
  CHECK(!store_stream_read(store, 2, 0, join, &keep, &err) && err.code == ERR_NOT_FOUND);
  LogRow last;
  CHECK(store_log_last(store, 3, &last, &keep, &err) && last.gid == 3 && last.prev == 1);
  CHECK(store_counts(store).runs == 2 && store_counts(store).streams == 2 && store_counts(store).jobs == 0);
  buf_deinit(&keep);
}

static void refuse_streams(Store *store) {
  char text[600];
  memset(text, 'k', sizeof text);
  add_stream(store, STR("a"));
  RunRow run = run_of(2, RUN_STATUS_RUNNING, 0), change = run_of(1, RUN_STATUS_DONE, 0);
  StreamRow same = {.number = 2, .key = STR("a")}, gap = {.number = 3, .key = STR("c")}, empty = {.number = 2},
            large = {.number = 2, .key = {text, 513}}, most = {.number = 2, .key = {text, 512}};
  StreamRow twice[2] = {{.number = 2, .key = STR("x")}, {.number = 3, .key = STR("x")}};
  CHECK(refuses(store, &(StoreGroup){.streams = &same, .stream_count = 1}, "`a` already"));
  CHECK(refuses(store, &(StoreGroup){.streams = twice, .stream_count = 2}, "`x` already"));
  CHECK(refuses(store, &(StoreGroup){.streams = &gap, .stream_count = 1}, "not the next one"));
  CHECK(refuses(store, &(StoreGroup){.streams = &empty, .stream_count = 1}, "0 bytes"));
  CHECK(refuses(store, &(StoreGroup){.streams = &large, .stream_count = 1}, "513 bytes"));
  same.key = STR("new");
  CHECK(refuses(store, &(StoreGroup){.streams = &same, .stream_count = 1, .created = &run, .created_count = 1},
                "not the next one"));
  CHECK(refuses(store, &(StoreGroup){.updated = &change, .updated_count = 1}, "not a run"));
  commit_ok(store, &(StoreGroup){.streams = &most, .stream_count = 1});
  CHECK(store_counts(store).streams == 2 && store_counts(store).runs == 0);
}

static bool join_key(void *context, const StreamRow *row) {
  buf_str(context, row->key);
  buf_byte(context, ' ');
  return true;
}

static void list_streams(Store *store) {
  static const char *const keys[] = {"b", "ab", "a", "b\xff", "b\xff\xff", "abc", "c", "aa"};
  Buf text = {0};
  Err err;
  for (size_t i = 0; i < COUNT_OF(keys); i++) add_stream(store, str_of(keys[i]));
  CHECK(store_stream_each(store, STR(""), STR(""), join_key, &text, &err));
  CHECK_STR(buf_view(&text), STR("a aa ab abc b b\xff b\xff\xff c "));
  buf_clear(&text);
  CHECK(store_stream_each(store, STR("a"), STR("aa"), join_key, &text, &err));
  CHECK_STR(buf_view(&text), STR("ab abc "));
  buf_clear(&text);
  CHECK(store_stream_each(store, STR("b\xff"), STR("a"), join_key, &text, &err));
  CHECK_STR(buf_view(&text), STR("b\xff b\xff\xff "));
  buf_clear(&text);
  CHECK(store_stream_each(store, STR("ab"), STR("ac"), join_key, &text, &err) && text.size == 0);
  StreamRow many[700];
  char names[700][8];
  for (uint64_t i = 0; i < 700; i++) {
    snprintf(names[i], sizeof names[i], "m%03d", (int)(i * 11 % 700));
    many[i] = (StreamRow){.number = store_next_run(store) + i, .key = str_of(names[i])};
  }
  commit_ok(store, &(StoreGroup){.streams = many, .stream_count = 700});
  buf_clear(&text);
  CHECK(store_stream_each(store, STR("m"), STR("m000"), join_key, &text, &err) && text.size == 699 * 5);
  CHECK(memcmp(text.at, "m001 m002 ", 10) == 0 && memcmp(text.at + text.size - 5, "m699 ", 5) == 0);
  buf_deinit(&text);
}

/* ---- pages ---- */

static void read_pages(Store *store) {
  uint64_t other = add_stream(store, STR("other")), stream = add_stream(store, STR("s"));
  for (int i = 0; i < 6; i++) {
    add_row(store, stream, STR("a"));
    if (i % 2) add_row(store, other, STR("-"));
  } /* rows 1 2 4 5 7 8 of it */
  PageRow first = {.stream = stream, .through = 4, .bytes = STR("AAA")};
  commit_ok(store, &(StoreGroup){.pages = &first, .page_count = 1});
  CHECK(first.id == 1 && first.prev == 0);
  reads(store, stream, 0, "4:AAA 5:a 7:a 8:a ");
  reads(store, stream, 1, "2:a 4:a 5:a 7:a 8:a ");
  reads(store, stream, 4, "5:a 7:a 8:a ");
  reads(store, stream, 8, "");
  reads(store, stream, 99, "");
  LogRow row = row_of(stream, STR("b")); /* gid 10, with a page that has it, and another stream's row before */
  PageRow two[2] = {{.stream = stream, .through = 5, .bytes = STR("B")},
                    {.stream = stream, .through = 10, .bytes = STR("CCC")}};
  commit_ok(store, &(StoreGroup){.rows = &row, .row_count = 1, .pages = two, .page_count = 2});
  CHECK(two[1].id == 3 && two[1].prev == 2 && two[0].prev == 1);
  reads(store, stream, 0, "4:AAA 5:B 10:CCC ");
  reads(store, stream, 3, "4:a 5:B 10:CCC ");
  reads(store, stream, 4, "5:B 10:CCC ");
  reads(store, stream, 6, "7:a 8:a 10:b ");
  add_row(store, stream, STR("c"));
  reads(store, stream, 0, "4:AAA 5:B 10:CCC 11:c ");
  reads(store, stream, 10, "11:c ");
  PageRow bad[] = {{.stream = other, .through = 4},  {.stream = stream, .through = 10},
                   {.stream = stream, .through = 8}, {.stream = stream, .through = 12},
                   {.stream = stream, .through = 0}, {.stream = 9, .through = 1}};
  for (size_t i = 0; i < COUNT_OF(bad); i++)
    CHECK(refuses(store, &(StoreGroup){.pages = &bad[i], .page_count = 1}, "page"));
  RunRow run = run_of(store_next_run(store), RUN_STATUS_RUNNING, 0);
  row = row_of(run.number, STR("r"));
  PageRow of_run = {.stream = run.number, .through = 12};
  CHECK(
      refuses(store,
              &(StoreGroup){
                  .created = &run, .created_count = 1, .rows = &row, .row_count = 1, .pages = &of_run, .page_count = 1},
              "must be a stream"));
  reads(store, stream, 0, "4:AAA 5:B 10:CCC 11:c ");
}

static bool add(void *context, const LogRow *row) {
  buf_str(context, row->bytes);
  return true;
}

/* Many pages and a straggling tail, from every beginning: what is given is what was written. */
static void read_long_streams(Store *store) {
  enum { ROWS = 700, EVERY = 5 };
  uint64_t stream = add_stream(store, STR("long")), other = add_stream(store, STR("other")), gids[ROWS];
  Buf page = {0}, want = {0}, got = {0};
  Err err;
  char text[16];
  for (uint32_t i = 0; i < ROWS; i++) {
    snprintf(text, sizeof text, "%u,", i);
    gids[i] = add_row(store, stream, str_of(text));
    buf_text(&page, text);
    if (i % 3 == 0) add_row(store, other, STR("o"));
    if (i % EVERY != EVERY - 1 || i > ROWS - 20) continue;
    PageRow row = {.stream = stream, .through = gids[i], .bytes = buf_view(&page)};
    commit_ok(store, &(StoreGroup){.pages = &row, .page_count = 1});
    buf_clear(&page);
  }
  for (uint32_t from = 0; from < ROWS; from += 7) {
    buf_clear(&want);
    buf_clear(&got);
    for (uint32_t i = from; i < ROWS; i++) buf_format(&want, "%u,", i);
    CHECK(store_stream_read(store, stream, from ? gids[from - 1] : 0, add, &got, &err));
    CHECK_STR(buf_view(&got), buf_view(&want));
  }
  buf_deinit(&page);
  buf_deinit(&want);
  buf_deinit(&got);
}

static bool stop_at_third(void *context, const LogRow *row) {
  (void)row;
  return ++*(int *)context < 3;
}

static void read_the_log(Store *store) {
  Buf text = {0}, large = {0};
  Err err;
  LogRow row;
  int count = 0;
  uint64_t a = add_stream(store, STR("a")), b = add_stream(store, STR("b"));
  for (int i = 0; i < 600; i++) add_row(store, i % 2 ? a : b, i % 2 ? STR("x") : STR("y"));
  for (int i = 0; i < 3 << 18; i++) buf_byte(&large, 'l');
  for (int i = 0; i < 3; i++) add_row(store, a, buf_view(&large));
  CHECK(store_log_from(store, 598, add, &text, &err) && text.size == 2 + 3 * large.size);
  CHECK(memcmp(text.at, "yxl", 3) == 0);
  buf_clear(&text);
  CHECK(store_log_from(store, 0, add, &text, &err) && text.size == 600 + 3 * large.size);
  CHECK(store_log_from(store, 603, add, &text, &err) && store_log_from(store, 10000, add, &text, &err));
  CHECK(text.size == 600 + 3 * large.size);
  CHECK(store_log_from(store, 0, stop_at_third, &count, &err) && count == 3);
  CHECK(store_log_get(store, 4, &row, &text, &err) && row.run == a && row.prev == 2 && str_equal(row.bytes, STR("x")));
  CHECK(!store_log_get(store, 0, &row, &text, &err) && err.code == ERR_NOT_FOUND);
  CHECK(!store_log_get(store, 604, &row, &text, &err) && err.code == ERR_NOT_FOUND);
  buf_deinit(&text);
  buf_deinit(&large);
}

/* ---- keys and values ---- */

static void set_kv(Store *store, StoreSpace space, Str key, Str value) {
  KvRow row = {.space = (uint8_t)space, .key = key, .value = value};
  commit_ok(store, &(StoreGroup){.kv = &row, .kv_count = 1});
}

static bool join_kv(void *context, Str key, Str value) {
  buf_format(context, STR_FMT "=" STR_FMT " ", STR_ARG(key), STR_ARG(value));
  return true;
}

static void keep_values(Store *store) {
  Buf text = {0};
  Err err;
  KvRow rows[] = {{SPACE_APP, STR("a"), STR("1")},     {SPACE_APP, STR("b"), STR("2")}, {SPACE_APP, STR("a"), STR("3")},
                  {SPACE_CRON, STR("a"), STR("cron")}, {SPACE_APP, STR("c"), STR("4")}, {SPACE_APP, STR("c"), {0}},
                  {SPACE_APP, STR("ab"), STR("")}};
  commit_ok(store, &(StoreGroup){.kv = rows, .kv_count = COUNT_OF(rows)});
  CHECK(store_kv_get(store, SPACE_APP, STR("a"), &text, &err));
  CHECK_STR(buf_view(&text), STR("3"));
  CHECK(!store_kv_get(store, SPACE_APP, STR("c"), &text, &err) && err.code == ERR_NOT_FOUND);
  CHECK(!store_kv_get(store, SPACE_QUEUE, STR("a"), &text, &err) && err.code == ERR_NOT_FOUND);
  buf_clear(&text);
  CHECK(store_kv_get(store, SPACE_APP, STR("ab"), &text, &err) && text.size == 0);
  CHECK(store_kv_each(store, SPACE_APP, STR(""), STR(""), join_kv, &text, &err));
  CHECK_STR(buf_view(&text), STR("a=3 ab= b=2 "));
  buf_clear(&text);
  CHECK(store_kv_each(store, SPACE_APP, STR("a"), STR("a"), join_kv, &text, &err));
  CHECK_STR(buf_view(&text), STR("ab= "));
  set_kv(store, SPACE_APP, STR("b"), (Str){0});
  set_kv(store, SPACE_APP, STR("nothing"), (Str){0});
  buf_clear(&text);
  CHECK(store_kv_each(store, SPACE_APP, STR("b"), STR(""), join_kv, &text, &err) && text.size == 0);
  KvRow nowhere = {0, STR("a"), STR("1")};
  CHECK(refuses(store, &(StoreGroup){.kv = &nowhere, .kv_count = 1}, "space"));
  buf_deinit(&text);
}

typedef struct Walk {
  Store *store;
  uint64_t count, sum;
} Walk;

/* What a caller's function does to the list it is given is no harm. */
static bool drop_seen(void *context, Str key, Str value) {
  Walk *w = context;
  char copy[16];
  memcpy(copy, key.at, key.size);
  w->sum += value.size;
  if (w->count++ % 2 == 0) set_kv(w->store, SPACE_DELIVERY, (Str){copy, key.size}, (Str){0});
  return true;
}

static void list_many_values(Store *store) {
  enum { MANY = 1000 };
  static char key[MANY][8];
  static KvRow rows[MANY];
  Buf large = {0};
  Err err;
  for (int i = 0; i < 9000; i++) buf_byte(&large, (uint8_t)i);
  for (int i = 0; i < MANY; i++) {
    snprintf(key[i], sizeof key[i], "k%04d", i * 7 % MANY);
    rows[i] = (KvRow){SPACE_DELIVERY, str_of(key[i]), buf_view(&large)};
  }
  commit_ok(store, &(StoreGroup){.kv = rows, .kv_count = MANY});
  Walk walk = {.store = store}, again = {.store = store};
  CHECK(store_kv_each(store, SPACE_DELIVERY, STR("k"), STR(""), drop_seen, &walk, &err));
  CHECK(walk.count == MANY && walk.sum == MANY * 9000);
  CHECK(store_kv_each(store, SPACE_DELIVERY, STR("k"), STR("k0501"), drop_seen, &again, &err) && again.count == 249);
  buf_deinit(&large);
}

/* ---- jobs ---- */

static bool join_job(void *context, const JobRow *r) {
  buf_format(context, "%" PRIu64 " ", r->number);
  return true;
}

static void due(Store *store, const char *queue, int64_t now, uint32_t limit, const char *want) {
  Buf text = {0};
  Err err;
  CHECK(store_job_due(store, str_of(queue), now, limit, join_job, &text, &err));
  CHECK_STR(buf_view(&text), str_of(want));
  buf_deinit(&text);
}

static void order_jobs(Store *store) {
  int64_t when;
  Err err;
  JobRow jobs[] = {job_of(1, "a", 5, 10), job_of(2, "a", 0, 20), job_of(3, "a", 5, 5), job_of(4, "b", 0, 0),
                   job_of(5, "a", 5, 10), job_of(6, "a", 9, 90), job_of(7, "a", 0, 70)};
  jobs[6].state = JOB_DONE;
  commit_ok(store, &(StoreGroup){.jobs = jobs, .job_count = COUNT_OF(jobs)});
  CHECK(store_next_job(store) == 8 && store_counts(store).jobs == 7);
  due(store, "a", 20, 100, "2 3 1 5 ");
  due(store, "a", 19, 100, "3 1 5 ");
  due(store, "a", 20, 3, "2 3 1 ");
  due(store, "a", 20, 0, "");
  due(store, "b", 0, 9, "4 ");
  due(store, "c", 99, 9, "");
  Buf text = {0};
  uint64_t waiting;
  CHECK(store_job_due_of(store, STR("a"), 5, 10, 2, join_job, &text, &err));
  CHECK_STR(buf_view(&text), STR("3 1 "));
  CHECK(store_job_due_of(store, STR("a"), 9, 10, 2, join_job, &text, &err) && text.size == 4);
  CHECK(store_job_waiting(store, STR("a"), &waiting, &err) && waiting == 5);
  buf_deinit(&text);
  CHECK(store_job_next_due(store, STR("a"), 4, &when, &err) && when == 5);
  CHECK(store_job_next_due(store, STR("a"), 10, &when, &err) && when == 20);
  CHECK(store_job_next_due(store, STR("a"), 20, &when, &err) && when == 90);
  CHECK(store_job_next_due(store, STR("a"), 90, &when, &err) && when == 0);
}

static void change_jobs(Store *store) {
  Buf keep = {0};
  Err err;
  JobRow job = job_of(1, "a", 5, 10), got;
  commit_ok(store, &(StoreGroup){.jobs = &job, .job_count = 1});
  CHECK(store_job_by_id(store, job.id, &got, &keep, &err) && got.number == 1 && got.enqueued_us == 3);
  CHECK_STR(got.worker, STR("Mail"));
  CHECK_STR(got.meta, STR("meta"));
  CHECK(!store_job_by_id(store, id_of(5), &got, &keep, &err) && err.code == ERR_NOT_FOUND);
  CHECK(!store_job_get(store, 2, &got, &keep, &err) && err.code == ERR_NOT_FOUND);
  job.state = JOB_EXECUTING;
  job.attempt = 1;
  job.lease = 7;
  job.run = 9;
  job.input = job.worker = (Str){0}; /* an update does not say them */
  commit_ok(store, &(StoreGroup){.job_updates = &job, .job_update_count = 1});
  CHECK(store_job_get(store, 1, &got, &keep, &err) && got.state == JOB_EXECUTING && got.lease == 7 && got.run == 9);
  CHECK_STR(got.input, STR("input"));
  CHECK_STR(got.worker, STR("Mail"));
  due(store, "a", 99, 9, "");
  RunRow run = run_of(1, RUN_STATUS_RUNNING, 0);
  KvRow kv = {SPACE_APP, STR("a"), STR("1")};
  JobRow late = job;
  late.lease = 6;
  late.state = JOB_DONE;
  StoreGroup g = {
      .created = &run, .created_count = 1, .kv = &kv, .kv_count = 1, .job_updates = &late, .job_update_count = 1};
  CHECK(refuses(store, &g, "leased anew"));
  CHECK(store_next_run(store) == 1 && !store_kv_get(store, SPACE_APP, STR("a"), &keep, &err)); /* nothing of it */
  JobRow both[2] = {job, job};
  both[0].lease = 9;
  both[1].lease = 8;
  CHECK(refuses(store, &(StoreGroup){.job_updates = both, .job_update_count = 2}, "leased anew"));
  late.lease = 7;
  late.note = STR("fine");
  late.unique = STR("");
  commit_ok(store, &g); /* and the store lives on */
  CHECK(store_job_get(store, 1, &got, &keep, &err) && got.state == JOB_DONE && got.input.size == 0 &&
        got.meta.size == 0 && got.unique.size == 0);
  CHECK_STR(got.note, STR("fine"));
  JobRow dead = job_of(2, "a", 0, 0);
  dead.state = JOB_DEAD;
  commit_ok(store, &(StoreGroup){.jobs = &dead, .job_count = 1, .job_updates = &dead, .job_update_count = 1});
  CHECK(store_job_get(store, 2, &got, &keep, &err));
  CHECK_STR(got.input, STR("input")); /* it may be tried again */
  buf_deinit(&keep);
}

static void refuse_jobs(Store *store) {
  JobRow job = job_of(1, "a", 5, 10), skipped = job_of(2, "a", 5, 10), low = job_of(1, "a", 10, 0),
         odd = job_of(1, "a", 0, 0);
  JobRow twice[2] = {job_of(1, "a", 0, 0), job_of(2, "a", 0, 0)};
  odd.state = 6;
  twice[1].id = twice[0].id;
  CHECK(refuses(store, &(StoreGroup){.jobs = &skipped, .job_count = 1}, "not the next one"));
  CHECK(refuses(store, &(StoreGroup){.job_updates = &job, .job_update_count = 1}, "next one"));
  CHECK(refuses(store, &(StoreGroup){.jobs = &low, .job_count = 1}, "priority 10"));
  CHECK(refuses(store, &(StoreGroup){.jobs = &odd, .job_count = 1}, "state 6"));
  CHECK(refuses(store, &(StoreGroup){.jobs = twice, .job_count = 2}, "job 0192f3"));
  commit_ok(store, &(StoreGroup){.jobs = &job, .job_count = 1});
  skipped.id = job.id;
  CHECK(refuses(store, &(StoreGroup){.jobs = &skipped, .job_count = 1}, "already"));
  CHECK(store_counts(store).jobs == 1);
}

static bool count_job(void *context, const JobRow *r) {
  Walk *w = context;
  w->count++;
  w->sum += r->number;
  return true;
}

static void list_jobs(Store *store) {
  enum { MANY = 900 };
  static JobRow jobs[MANY];
  Err err;
  for (uint64_t i = 0; i < MANY; i++) {
    jobs[i] = job_of(i + 1, "a", (uint8_t)(i % 10), (int64_t)(MANY - i));
    if (i % 3 == 0) jobs[i].state = (uint8_t)(i / 3 % 5 + 1);
  }
  commit_ok(store, &(StoreGroup){.jobs = jobs, .job_count = MANY});
  uint64_t counted = 0;
  for (uint8_t state = 1; state <= 5; state++) {
    Walk walk = {0};
    uint64_t sum = 0;
    for (uint64_t i = 99; i < MANY; i++) sum += jobs[i].state == state ? i + 1 : 0;
    CHECK(store_job_each(store, 100, state, count_job, &walk, &err) && walk.sum == sum);
    counted += walk.count;
  }
  CHECK(counted == MANY - 99);
  Walk all = {0}, ready = {0};
  CHECK(store_job_each(store, 0, 0, count_job, &all, &err) && all.count == MANY);
  CHECK(store_job_due(store, STR("a"), MANY, 500, count_job, &ready, &err) && ready.count == 500);
  ready = (Walk){0};
  CHECK(store_job_due(store, STR("a"), MANY, MANY, count_job, &ready, &err) && ready.count == 660);
  for (uint64_t i = 0; i < MANY; i++) {
    jobs[i] = job_of(MANY + i + 1, "many at once", (uint8_t)(i / 450), (int64_t)(i / 400));
  }
  commit_ok(store, &(StoreGroup){.jobs = jobs, .job_count = MANY});
  Buf text = {0}, want = {0};
  for (uint64_t i = 0; i < 850; i++) buf_format(&want, "%" PRIu64 " ", MANY + i + 1);
  CHECK(store_job_due(store, STR("many at once"), 9, 850, join_job, &text, &err));
  CHECK_STR(buf_view(&text), buf_view(&want));
  buf_deinit(&text);
  buf_deinit(&want);
}

/* ---- runs that sleep ---- */

static void wake_runs(Store *store) {
  int64_t when;
  Err err;
  RunRow runs[] = {
      run_of(1, RUN_STATUS_RUNNING, 0),  run_of(2, RUN_STATUS_PARKED, -1),  run_of(3, RUN_STATUS_PARKED, 0),
      run_of(4, RUN_STATUS_PARKED, 30),  run_of(5, RUN_STATUS_PARKED, 20),  run_of(6, RUN_STATUS_DONE, 5),
      run_of(7, RUN_STATUS_DIVERGED, 5), run_of(8, RUN_STATUS_STUCK, 0),    run_of(9, RUN_STATUS_DEAD, 1),
      run_of(10, RUN_STATUS_KILLED, 0),  run_of(11, RUN_STATUS_PARKED, 20), run_of(12, RUN_STATUS_RUNNING, 7)};
  CHECK(store_run_next_wake(store, &when, &err) && when == 0);
  commit_ok(store, &(StoreGroup){.created = runs, .created_count = COUNT_OF(runs)});
  runs_are(store, STORE_RESUMABLE, "1 2 7 8 12 ");
  runs_are(store, STORE_UNFINISHED, "1 2 3 4 5 7 8 9 11 12 ");
  runs_are(store, RUN_STATUS_DEAD, "9 ");
  runs_are(store, RUN_STATUS_PARKED, "2 3 4 5 11 ");
  CHECK(store_run_next_wake(store, &when, &err) && when == 20);
  runs_due(store, 19, 9, "");
  runs_due(store, 20, 9, "5 11 ");
  runs_due(store, 30, 9, "5 11 4 ");
  runs_due(store, 99, 2, "5 11 ");
  runs_due(store, 99, 0, "");
  RunRow change = run_of(5, RUN_STATUS_RUNNING, 0);
  commit_ok(store, &(StoreGroup){.updated = &change, .updated_count = 1});
  runs_due(store, 30, 9, "11 4 ");
  runs_are(store, STORE_RESUMABLE, "1 2 5 7 8 12 ");
  CHECK_STR(str_of(run_status_word(RUN_STATUS_DEAD)), STR("dead"));
}

static void wake_many(Store *store) {
  enum { MANY = 1000 };
  static RunRow runs[MANY];
  Buf text = {0}, want = {0};
  Err err;
  for (uint64_t i = 0; i < MANY; i++)
    runs[i] = run_of(i + 1, RUN_STATUS_PARKED, (int64_t)(i / 300 + 1)); /* some at once */
  commit_ok(store, &(StoreGroup){.created = runs, .created_count = MANY});
  for (int i = 1; i <= 700; i++) buf_format(&want, "%d ", i);
  CHECK(store_run_due(store, 9, 700, join_run, &text, &err));
  CHECK_STR(buf_view(&text), buf_view(&want));
  buf_deinit(&text);
  buf_deinit(&want);
}

#define FOR_EACH_BACKEND(name)      \
  static void test_##name(void) {   \
    vfs = faulty_vfs_new("faulty"); \
    Store *m = store_open_memory(); \
    name(m);                        \
    store_close(m);                 \
    Store *s = open_sqlite();       \
    name(s);                        \
    store_close(s);                 \
    faulty_vfs_free(vfs);           \
  }
FOR_EACH_BACKEND(share_numbers)
FOR_EACH_BACKEND(refuse_streams)
FOR_EACH_BACKEND(list_streams)
FOR_EACH_BACKEND(read_pages)
FOR_EACH_BACKEND(read_long_streams)
FOR_EACH_BACKEND(read_the_log)
FOR_EACH_BACKEND(keep_values)
FOR_EACH_BACKEND(list_many_values)
FOR_EACH_BACKEND(order_jobs)
FOR_EACH_BACKEND(change_jobs)
FOR_EACH_BACKEND(refuse_jobs)
FOR_EACH_BACKEND(list_jobs)
FOR_EACH_BACKEND(wake_runs)
FOR_EACH_BACKEND(wake_many)

int main(void) {
  RUN_TEST(test_share_numbers);
  RUN_TEST(test_refuse_streams);
  RUN_TEST(test_list_streams);
  RUN_TEST(test_read_pages);
  RUN_TEST(test_read_long_streams);
  RUN_TEST(test_read_the_log);
  RUN_TEST(test_keep_values);
  RUN_TEST(test_list_many_values);
  RUN_TEST(test_order_jobs);
  RUN_TEST(test_change_jobs);
  RUN_TEST(test_refuse_jobs);
  RUN_TEST(test_list_jobs);
  RUN_TEST(test_wake_runs);
  RUN_TEST(test_wake_many);
  return TEST_END();
}
