/* Drives a fuzz target without libFuzzer: every file of a corpus folder, then
** mutations of them from a fixed seed, for a number of rounds.
**   smoke ROUNDS SEED FILE... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vm/base/buf.h"
#include "vm/base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t state;
static uint64_t chance(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static void once(const char *bytes, size_t size) {
  uint8_t *copy = malloc(size ? size : 1); /* exact size, so that an overrun is seen */
  if (size) memcpy(copy, bytes, size);
  LLVMFuzzerTestOneInput(copy, size);
  free(copy);
}

static void mutate(Buf *b) {
  uint64_t times = 1 + chance() % 6;
  while (times-- && b->size) {
    size_t at = chance() % b->size;
    switch (chance() % 6) {
      case 0: b->at[at] = (char)chance(); break;
      case 1: b->at[at] ^= (char)(1 << chance() % 8); break;
      case 2: b->size = at; break;
      case 3: memmove(b->at + at, b->at + at + 1, b->size - at - 1); b->size--; break;
      case 4: b->at[at] = (char)(chance() % 2 ? 0xff : 0); break;
      case 5: {
        size_t n = chance() % 16, from = chance() % b->size;
        if (n > b->size - from) n = b->size - from;
        if (n > b->size - at) n = b->size - at;
        memmove(b->at + at, b->at + from, n);
      }
    }
  }
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  long rounds = atol(argv[1]);
  state = strtoull(argv[2], NULL, 10) | 1;
  long ran = 0;
  once("", 0);
  for (int i = 3; i < argc; i++) {
    Buf file = {0};
    Err err;
    if (!file_read(argv[i], 16 << 20, &file, &err)) continue;
    once(file.at, file.size);
    for (long r = 0; r < rounds; r++, ran++) {
      Buf b = {0};
      buf_put(&b, file.at, file.size);
      mutate(&b);
      once(b.at, b.size);
      buf_deinit(&b);
    }
    buf_deinit(&file);
  }
  printf("%ld inputs\n", ran);
  return 0;
}
