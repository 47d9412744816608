/* vm/cli/args: the command line as data. */
#include "test.h"

#include "vm/cli/args.h"

#define PARSE(args, err, ...)                                               \
  args_parse((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), \
             (const char *const[]){__VA_ARGS__}, args, err)

static bool refused(const char *const *argv, int count, const char *part) {
  Args args;
  Err err = {0};
  bool ok = args_parse(count, argv, &args, &err);
  args_deinit(&args);
  if (!ok && strstr(err.text, part) != NULL) return true;
  fprintf(stderr, "  got: %s\n", ok ? "(accepted)" : err.text);
  return false;
}
#define REFUSED(part, ...)                    \
  refused((const char *const[]){__VA_ARGS__}, \
          (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), part)

static void test_words_and_options(void) {
  Args a;
  Err err;
  CHECK(PARSE(&a, &err, "run", "--dir", "d", "f.z8", "--json", "--threads=3", "--", "--x", "y"));
  CHECK(a.verb == VERB_RUN && a.word_count == 1 && strcmp(a.words[0], "f.z8") == 0);
  CHECK(args_has(&a, OPTION_JSON) && strcmp(a.values[OPTION_DIR], "d") == 0);
  CHECK(strcmp(a.values[OPTION_THREADS], "3") == 0);
  CHECK(a.rest_count == 2 && strcmp(a.rest[0], "--x") == 0);
  args_deinit(&a);
  CHECK(PARSE(&a, &err, "build", "-oout.z8b", "f.z8"));
  CHECK(strcmp(a.values[OPTION_OUTPUT], "out.z8b") == 0);
  args_deinit(&a);
  CHECK(PARSE(&a, &err, "signal", "0190", "go", "-5"));
  CHECK(a.word_count == 3 && strcmp(a.words[2], "-5") == 0);
  args_deinit(&a);
  CHECK(PARSE(&a, &err, "check"));
  CHECK(a.word_count == 0);
  args_deinit(&a);
}

static void test_help_and_version(void) {
  Args a;
  Err err;
  CHECK(PARSE(&a, &err, "--version") && a.verb == VERB_VERSION);
  args_deinit(&a);
  CHECK(PARSE(&a, &err, "-h") && a.verb == VERB_HELP);
  args_deinit(&a);
  CHECK(PARSE(&a, &err, "replay", "--help") && a.help); /* no RUN needed to ask for help */
  args_deinit(&a);
}

static void test_refusals(void) {
  CHECK(REFUSED("did you mean `replay`", "repaly", "x"));
  CHECK(REFUSED("`z8 help` lists them", "frobnicate"));
  CHECK(REFUSED("did you mean --threads", "run", "f.z8", "--thread", "2"));
  CHECK(REFUSED("has no option", "runs", "--with", "x"));
  CHECK(REFUSED("needs a value", "run", "f.z8", "--dir"));
  CHECK(REFUSED("takes no value", "run", "f.z8", "--json=yes"));
  CHECK(REFUSED("usage: z8 run", "run"));
  CHECK(REFUSED("does not take extra", "run", "f.z8", "extra"));
  CHECK(REFUSED("has no option -z", "run", "-z"));
}

static void test_tables(void) {
  Buf out = {0};
  args_help(&out);
  for (uint32_t i = 0; i < VERB_COUNT; i++) {
    VerbId id;
    CHECK(args_verb_by_name(verb_info[i].name, &id) && id == i);
    args_help_verb((VerbId)i, &out);
  }
  CHECK(!out.full && memmem(out.at, out.size, "seed", 4) == NULL); /* hidden options stay hidden */
  CHECK(args_nearest_verb("rnu") != NULL || args_nearest_verb("runz") != NULL);
  buf_deinit(&out);
}

int main(void) {
  RUN_TEST(test_words_and_options);
  RUN_TEST(test_help_and_version);
  RUN_TEST(test_refusals);
  RUN_TEST(test_tables);
  return TEST_END();
}
