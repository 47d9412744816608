/* Any words as a command line: parsed, or refused with a message. */
#include <stdlib.h>
#include <string.h>

#include "vm/cli/args.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS_MAX = 64 };

/* The input is cut into words at zero bytes. */
static int words_cut(char *text, size_t size, const char **words) {
  int count = 0;
  for (size_t at = 0; at < size && count < WORDS_MAX; at += strlen(text + at) + 1)
    words[count++] = text + at;
  return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *words[WORDS_MAX];
  char *text = calloc(1, size + 1);
  Args args;
  Err err = {0};
  if (size > 0) memcpy(text, data, size);
  bool ok = args_parse(words_cut(text, size, words), words, &args, &err);
  if (ok == (err.text[0] != 0) ||
      (ok && !args.help && args.word_count < verb_info[args.verb].least))
    abort();
  args_deinit(&args);
  free(text);
  return 0;
}
