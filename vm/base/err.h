/* Operating errors (disk, network, bad bytes): functions return false and fill the
** last argument. FAIL keeps where it was first said. Only cli and server print. */
#ifndef Z8_ERR_H
#define Z8_ERR_H
#include "vm/base/base.h"
typedef enum {
  ERR_NONE, ERR_IO, ERR_FULL, ERR_CORRUPT, ERR_NOT_FOUND, ERR_BUSY, ERR_LIMIT, ERR_INVALID,
  ERR_DENIED, ERR_VERSION, ERR_NETWORK, ERR_TIMEOUT, ERR_DIVERGED
} ErrCode;
typedef struct Err {
  ErrCode code;
  const char *file; /* who said so first */
  int line;
  char text[480];
} Err;
void err_set(Err *err, ErrCode code, const char *file, int line, const char *format, ...) PRINTF_LIKE(5, 6);
void err_context(Err *err, const char *format, ...) PRINTF_LIKE(2, 3); /* puts "context: " before the text */
#define FAIL(err, code, ...) err_set((err), (code), __FILE__, __LINE__, __VA_ARGS__)
#endif
