/* The command line as data: a verb, its options, its words. Made from verbs.def.
**
** Options may stand before or after words, as `--name VALUE`, `--name=VALUE` or
** `-n VALUE`; after `--` everything is an argument of the program. A word that is
** not known is answered with the nearest one that is. Nothing is printed here. */
#ifndef Z8_ARGS_H
#define Z8_ARGS_H

#include "vm/base/base.h"
#include "vm/base/buf.h"
#include "vm/base/err.h"

typedef enum {
#define OPTION(id, ...) OPTION_##id,
#include "vm/cli/verbs.def"
#undef OPTION
  OPTION_COUNT
} OptionId;

typedef enum {
#define VERB(id, ...) VERB_##id,
#include "vm/cli/verbs.def"
#undef VERB
  VERB_COUNT
} VerbId;

typedef struct OptionInfo {
  const char *name;
  char letter;
  const char *argument; /* NULL: a flag */
  const char *meaning;  /* empty: hidden */
} OptionInfo;
extern const OptionInfo option_info[OPTION_COUNT];

typedef struct VerbInfo {
  const char *name, *usage;
  uint32_t least, most;
  uint64_t options; /* bit per OptionId */
  const char *summary, *more;
} VerbInfo;
extern const VerbInfo verb_info[VERB_COUNT];

enum { ARGS_WORDS_MAX = 4096 };

typedef struct Args {
  VerbId verb;
  bool help;                        /* --help was given */
  const char *values[OPTION_COUNT]; /* NULL: not given; a flag's is "" */
  const char **words;               /* owned array; the texts are argv's */
  uint32_t word_count;
  const char *const *rest; /* after `--` */
  uint32_t rest_count;
} Args;

/* argv without the program's name. ERR_INVALID says what is wrong and suggests. */
MUST_USE bool args_parse(int argc, const char *const *argv, Args *out, Err *err);
void args_deinit(Args *args);
static inline bool args_has(const Args *args, OptionId id) { return args->values[id] != NULL; }

/* `z8 help` and `z8 help VERB`. */
void args_help(Buf *out);
void args_help_verb(VerbId verb, Buf *out);
bool args_verb_by_name(const char *name, VerbId *out);
/* The nearest verb's name, or NULL. */
const char *args_nearest_verb(const char *name);

#endif
