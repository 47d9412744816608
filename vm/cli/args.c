/* Parsing and help of the command line, from verbs.def. */
#include "vm/cli/args.h"

#include "vm/base/mem.h"

const OptionInfo option_info[OPTION_COUNT] = {
#define OPTION(id, name, letter, argument, meaning) {name, letter, argument, meaning},
#include "vm/cli/verbs.def"
#undef OPTION
};

enum { MANY = ARGS_WORDS_MAX };
#define O(id) (UINT64_C(1) << OPTION_##id)
const VerbInfo verb_info[VERB_COUNT] = {
#define VERB(id, function, name, usage, least, most, options, summary, more) \
  {name, usage, least, most, (options) | O(HELP), summary, more},
#include "vm/cli/verbs.def"
#undef VERB
};

/* ---- nearest words ------------------------------------------------------- */

enum { WORD_MAX = 32 };

/* Edit distance of two short words; more than WORD_MAX characters are simply far. */
static uint32_t word_distance(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b);
  uint32_t row[WORD_MAX + 1];
  if (n > WORD_MAX || m > WORD_MAX) return WORD_MAX;
  for (size_t j = 0; j <= m; j++) row[j] = (uint32_t)j;
  for (size_t i = 1; i <= n; i++) {
    uint32_t diagonal = row[0];
    row[0] = (uint32_t)i;
    for (size_t j = 1; j <= m; j++) {
      uint32_t change = diagonal + (a[i - 1] != b[j - 1]);
      uint32_t least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
      diagonal = row[j];
      row[j] = change < least ? change : least;
    }
  }
  return row[m];
}

static void nearest_try(const char *wanted, const char *candidate, uint32_t *best,
                        const char **out) {
  uint32_t d = word_distance(wanted, candidate);
  if (d < *best && d <= 1 + strlen(candidate) / 3) {
    *best = d;
    *out = candidate;
  }
}

const char *args_nearest_verb(const char *name) {
  uint32_t best = WORD_MAX;
  const char *out = NULL;
  for (uint32_t i = 0; i < VERB_COUNT; i++) nearest_try(name, verb_info[i].name, &best, &out);
  return out;
}

static const char *nearest_option(const char *name, uint64_t allowed) {
  uint32_t best = WORD_MAX;
  const char *out = NULL;
  for (uint32_t i = 0; i < OPTION_COUNT; i++) {
    bool shown = option_info[i].meaning[0] != 0 && (allowed >> i & 1) != 0;
    if (shown) nearest_try(name, option_info[i].name, &best, &out);
  }
  return out;
}

bool args_verb_by_name(const char *name, VerbId *out) {
  for (uint32_t i = 0; i < VERB_COUNT; i++) {
    if (strcmp(name, verb_info[i].name) != 0) continue;
    *out = (VerbId)i;
    return true;
  }
  return false;
}

/* ---- parsing ------------------------------------------------------------- */

typedef struct Cursor {
  int argc, at;
  const char *const *argv;
} Cursor;

static bool option_find(const char *name, size_t size, OptionId *out) {
  for (uint32_t i = 0; i < OPTION_COUNT; i++) {
    if (strlen(option_info[i].name) != size || memcmp(option_info[i].name, name, size) != 0)
      continue;
    *out = (OptionId)i;
    return true;
  }
  return false;
}

static bool letter_find(char letter, OptionId *out) {
  for (uint32_t i = 0; i < OPTION_COUNT; i++) {
    if (letter == 0 || option_info[i].letter != letter) continue;
    *out = (OptionId)i;
    return true;
  }
  return false;
}

static bool option_unknown(const Args *args, const char *word, Err *err) {
  char name[WORD_MAX + 1] = {0};
  const char *bare = word + strspn(word, "-");
  memcpy(name, bare, strcspn(bare, "=") < WORD_MAX ? strcspn(bare, "=") : WORD_MAX);
  const char *near = nearest_option(name, verb_info[args->verb].options);
  if (near != NULL)
    FAIL(err, ERR_INVALID, "`z8 %s` has no option %.60s; did you mean --%s?",
         verb_info[args->verb].name, word, near);
  else
    FAIL(err, ERR_INVALID, "`z8 %s` has no option %.60s; `z8 help %s` lists them",
         verb_info[args->verb].name, word, verb_info[args->verb].name);
  return false;
}

/* Sets an option from its own word (`=value`) or the one after it. */
static bool option_set(Args *args, OptionId id, const char *word, const char *inline_value,
                       Cursor *c, Err *err) {
  const OptionInfo *info = &option_info[id];
  if ((verb_info[args->verb].options >> id & 1) == 0) return option_unknown(args, word, err);
  if (info->argument == NULL) {
    if (inline_value != NULL) {
      FAIL(err, ERR_INVALID, "--%s takes no value", info->name);
      return false;
    }
    args->values[id] = "";
    return true;
  }
  if (inline_value == NULL && c->at >= c->argc) {
    FAIL(err, ERR_INVALID, "--%s needs a value: --%s %s", info->name, info->name, info->argument);
    return false;
  }
  args->values[id] = inline_value != NULL ? inline_value : c->argv[c->at++];
  return true;
}

static bool option_take(Args *args, const char *word, Cursor *c, Err *err) {
  OptionId id;
  if (word[1] == '-') {
    size_t size = strcspn(word + 2, "=");
    const char *value = word[2 + size] == '=' ? word + 3 + size : NULL;
    if (!option_find(word + 2, size, &id)) return option_unknown(args, word, err);
    return option_set(args, id, word, value, c, err);
  }
  if (!letter_find(word[1], &id)) return option_unknown(args, word, err);
  return option_set(args, id, word, word[2] != 0 ? word + 2 : NULL, c, err);
}

static bool word_take(Args *args, const char *word, Err *err) {
  if (args->word_count >= verb_info[args->verb].most) {
    FAIL(err, ERR_INVALID, "`z8 %s` does not take %.60s: z8 %s %s", verb_info[args->verb].name,
         word, verb_info[args->verb].name, verb_info[args->verb].usage);
    return false;
  }
  args->words[args->word_count++] = word;
  return true;
}

static bool is_option(const char *word) {
  return word[0] == '-' && word[1] != 0 && !(word[1] >= '0' && word[1] <= '9');
}

static bool words_enough(const Args *args, Err *err) {
  const VerbInfo *verb = &verb_info[args->verb];
  if (args->help || args->word_count >= verb->least) return true;
  FAIL(err, ERR_INVALID, "usage: z8 %s %s", verb->name, verb->usage);
  return false;
}

static bool verb_take(const char *name, Args *out, Err *err) {
  if (args_verb_by_name(name, &out->verb)) return true;
  const char *near = args_nearest_verb(name);
  if (near != NULL)
    FAIL(err, ERR_INVALID, "z8 has no verb `%.60s`; did you mean `%s`?", name, near);
  else FAIL(err, ERR_INVALID, "z8 has no verb `%.60s`; `z8 help` lists them", name);
  return false;
}

static bool rest_take(Cursor *c, Args *out, Err *err) {
  while (c->at < c->argc) {
    const char *word = c->argv[c->at++];
    if (strcmp(word, "--") == 0) {
      out->rest = c->argv + c->at;
      out->rest_count = (uint32_t)(c->argc - c->at);
      return true;
    }
    bool ok = is_option(word) ? option_take(out, word, c, err) : word_take(out, word, err);
    if (!ok) return false;
  }
  return true;
}

bool args_parse(int argc, const char *const *argv, Args *out, Err *err) {
  Cursor c = {.argc = argc, .at = 1, .argv = argv};
  *out = (Args){.verb = VERB_HELP};
  if (argc < 1) {
    FAIL(err, ERR_INVALID, "no verb given; `z8 help` lists them");
    return false;
  }
  if (argc > ARGS_WORDS_MAX) {
    FAIL(err, ERR_LIMIT, "more than %d arguments", ARGS_WORDS_MAX);
    return false;
  }
  out->words = mem_alloc(sizeof(char *) * (size_t)(argc + 1));
  const char *name = argv[0];
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
  if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) name = "version";
  if (!verb_take(name, out, err) || !rest_take(&c, out, err)) return false;
  out->help = args_has(out, OPTION_HELP);
  return words_enough(out, err);
}

void args_deinit(Args *args) {
  mem_free(args->words);
  *args = (Args){0};
}

/* ---- help ---------------------------------------------------------------- */

enum { HELP_COLUMN = 26 };

static void help_verb_line(const VerbInfo *info, Buf *out) {
  Buf left = {0};
  buf_format(&left, "%s %s", info->name, info->usage);
  bool wide = left.size > HELP_COLUMN;
  buf_format(out, "  " STR_FMT "%s%*s %s\n", STR_ARG(buf_view(&left)), wide ? "\n  " : "",
             wide ? HELP_COLUMN : (int)(HELP_COLUMN - left.size), "", info->summary);
  buf_deinit(&left);
}

void args_help(Buf *out) {
  buf_text(out, "z8: programs that survive. Usage: z8 VERB [options] [arguments]\n\n");
  for (uint32_t i = 0; i < VERB_COUNT; i++) help_verb_line(&verb_info[i], out);
  buf_text(
      out,
      "\n`z8 help VERB` says more. Exit status: 0 done, 1 the program or check failed, 2 wrong\n"
      "usage, 3 divergence on replay, 4 integrity broken, 5 needs a person.\n");
}

static void help_option(const OptionInfo *info, Buf *out) {
  Buf left = {0};
  if (info->letter != 0) buf_format(&left, "-%c, ", info->letter);
  buf_format(&left, "--%s%s%s", info->name, info->argument ? " " : "",
             info->argument ? info->argument : "");
  buf_format(out, "  " STR_FMT "%*s%s\n", STR_ARG(buf_view(&left)),
             left.size < 22 ? (int)(22 - left.size) : 1, "", info->meaning);
  buf_deinit(&left);
}

void args_help_verb(VerbId verb, Buf *out) {
  const VerbInfo *info = &verb_info[verb];
  buf_format(out, "z8 %s %s\n\n%s.\n", info->name, info->usage, info->summary);
  if (info->more[0] != 0) buf_format(out, "%s\n", info->more);
  bool first = true;
  for (uint32_t i = 0; i < OPTION_COUNT; i++) {
    bool shown = (info->options >> i & 1) != 0 && option_info[i].meaning[0] != 0;
    if (!shown) continue;
    if (first) buf_text(out, "\nOptions:\n");
    help_option(&option_info[i], out);
    first = false;
  }
}
