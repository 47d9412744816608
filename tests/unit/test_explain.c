/* The page about a divergence, over two small bundles made by hand. */
#include "tests/unit/test.h"
#include "vm/run/explain.h"

static const char run_id_text[37] = "0192f34a-0000-7000-8000-000000000001";

enum { C_NAME, C_PATH, C_FN, C_COUNT };

/* A bundle with one function CloseDay in close.z8 and these sites, one a line from line 2 on. */
typedef struct Made {
  Bundle bundle;
  BundleConst consts[C_COUNT];
  BundleFn fn;
  BundleSource source;
  BundleSite sites[4];
} Made;

static void make(Made *m, uint8_t id, const uint32_t *sites, uint32_t count, const char *text) {
  memset(m, 0, sizeof *m);
  m->consts[C_NAME] = m->consts[C_PATH] =
      (BundleConst){.kind = CONST_STRING, .text = STR("close.z8")};
  m->consts[C_FN] = (BundleConst){.kind = CONST_STRING, .text = STR("CloseDay")};
  m->fn = (BundleFn){.name = C_FN};
  m->source = (BundleSource){.path = C_PATH, .text = str_of(text)};
  for (uint32_t i = 0; i < count; i++)
    m->sites[i] = (BundleSite){.id = sites[i], .line = i + 2, .column = 7};
  m->bundle = (Bundle){.id = {{id}},
                       .consts = m->consts,
                       .const_count = C_COUNT,
                       .fns = &m->fn,
                       .fn_count = 1,
                       .sources = &m->source,
                       .source_count = 1,
                       .sites = m->sites,
                       .site_count = count};
}

static Record asked(uint32_t site, const char *operands) {
  return (Record){
      .kind = RECORD_ASKED,
      .seq = 4,
      .ASKED = {
          .kind = EFFECT_HTTP, .site = site, .target = STR("GET"), .operands = str_of(operands)}};
}

static Divergence difference(DivergeKind kind, Record was, Record now) {
  Divergence d = {.kind = kind, .seq = 4};
  Record before = {
      .kind = RECORD_READ,
      .seq = 3,
      .READ = {.kind = EFFECT_NOW, .site = 1, .operands = STR("\x80"), .value = STR("\x01")}};
  record_encode(&was, &d.recorded);
  record_encode(&now, &d.current);
  record_encode(&before, &d.agreed);
  return d;
}

static void forget(Divergence *d) {
  buf_deinit(&d->recorded);
  buf_deinit(&d->current);
  buf_deinit(&d->agreed);
}

static bool has(const Buf *page, const char *words) {
  bool found = page->at && strstr(page->at, words) != NULL;
  if (!found) fprintf(stderr, "  missing `%s` in:\n%s\n", words, page->at ? page->at : "");
  return found;
}

static const char old_text[] =
    "workflow CloseDay(id):\n  a = now()\n  b = http.get(\"/orders/17\")\n";
static const char new_text[] =
    "workflow CloseDay(id):\n  a = now()\n  c = http.get(\"/new\")\n  b = "
    "http.get(\"/orders/17\")\n";

static void page_of(Made *now, Made *was, Divergence *d, Buf *page) {
  buf_clear(page);
  explain_divergence(&now->bundle, was ? &was->bundle : NULL, d, run_id_text, page);
  buf_byte(page, 0);
}

static void test_operand(void) {
  Made was, now;
  Buf page = {0};
  make(&was, 1, (uint32_t[]){1, 2}, 2, old_text);
  make(&now, 2, (uint32_t[]){1, 9, 2}, 3, new_text);
  Divergence d = difference(DIVERGE_OPERAND,
                            asked(2,
                                  "\x81\x62"
                                  "ab"),
                            asked(2,
                                  "\x81\x62"
                                  "ac"));
  page_of(&now, &was, &d, &page);
  CHECK(has(&page, "operand divergence in run 0192f34a-0000-7000-8000-000000000001 at journal #4"));
  CHECK(has(&page, "close.z8:3:7 in CloseDay") && has(&page, "3 |   b = http.get(\"/orders/17\")"));
  CHECK(has(&page, "close.z8:4:7 in CloseDay"));
  CHECK(has(&page, "first difference: operands[0][1]") && has(&page, "recorded \"ab\"") &&
        has(&page, "code now \"ac\""));
  CHECK(has(&page, "last agreed: #3 now") && has(&page, "(close.z8:2)"));
  CHECK(has(&page, "patched(\"close-day-v2\")") && has(&page, "next: z8 replay 0192f34a"));
  forget(&d);
  buf_deinit(&page);
}

static void test_added_and_removed(void) {
  Made was, now;
  Buf page = {0};
  make(&was, 1, (uint32_t[]){1, 2}, 2, old_text);
  make(&now, 2, (uint32_t[]){1, 9, 2}, 3, new_text);
  Divergence d = difference(DIVERGE_SITE, asked(2, "\x80"), asked(9, "\x80"));
  page_of(&now, &was, &d, &page);
  CHECK(has(&page, "likely: a call was added in `CloseDay`"));
  forget(&d);
  d = difference(DIVERGE_SITE, asked(9, "\x80"), asked(2, "\x80"));
  page_of(&was, &now, &d, &page);
  CHECK(has(&page, "likely: a call was removed from `CloseDay`"));
  page_of(&was, NULL, &d, &page); /* the old bundle is gone */
  CHECK(has(&page, "recorded gone"));
  page_of(&was, &was, &d, &page);
  CHECK(has(&page, "(the same)") && has(&page, "the code is the recorded code"));
  forget(&d);
  buf_deinit(&page);
}

static void test_json(void) {
  Made was, now;
  Buf page = {0};
  make(&was, 1, (uint32_t[]){1, 2}, 2, old_text);
  make(&now, 2, (uint32_t[]){1, 9, 2}, 3, new_text);
  Divergence d = difference(DIVERGE_OPERAND, asked(2, "\x81\x01"), asked(2, "\x81\x02"));
  explain_divergence_json(&now.bundle, &was.bundle, &d, run_id_text, &page);
  buf_byte(&page, 0);
  CHECK(has(&page, "{\"class\":\"operand\",\"seq\":4,\"run\":\"0192f34a"));
  CHECK(has(&page,
            "\"place\":{\"line\":3,\"column\":7,\"file\":\"close.z8\",\"function\":\"CloseDay\""));
  CHECK(has(&page, "\"path\":\"operands[0]\",\"recorded_value\":\"1\",\"current_value\":\"2\""));
  forget(&d);
  buf_deinit(&page);
}

/* Whatever is missing, a page comes out. */
static void test_little_known(void) {
  Made now;
  Buf page = {0};
  make(&now, 2, (uint32_t[]){1}, 1, "");
  for (DivergeKind kind = DIVERGE_NONE; kind <= DIVERGE_DAMAGED; kind++) {
    Divergence d = {.kind = kind, .seq = 9};
    page_of(&now, NULL, &d, &page);
    CHECK(has(&page, diverge_word(kind)));
    buf_clear(&page);
    explain_divergence_json(&now.bundle, &now.bundle, &d, run_id_text, &page);
    CHECK(page.size > 0 && page.at[page.size - 1] == '}');
  }
  buf_deinit(&page);
}

int main(void) {
  RUN_TEST(test_operand);
  RUN_TEST(test_added_and_removed);
  RUN_TEST(test_json);
  RUN_TEST(test_little_known);
  return TEST_END();
}
