/* Files and the directory lock. */
#ifndef Z8_FILE_H
#define Z8_FILE_H
#include "vm/base/buf.h"
#include "vm/base/err.h"
/* Appends the whole file to out; ERR_LIMIT when it has more than max bytes. */
MUST_USE bool file_read(const char *path, size_t max, Buf *out, Err *err);
MUST_USE bool file_write(const char *path, Str bytes, Err *err);     /* to a new file, synced, then renamed over */
MUST_USE bool dir_make(const char *path, Err *err);                  /* with parents; fine if it exists */
/* An exclusive lock held by this process until it ends: flock on path, with our pid inside (flock, because
** an fcntl lock goes when anyone in the process closes another descriptor of the file). ERR_BUSY: "PATH is in
** use by process PID". Returns the descriptor. */
MUST_USE bool lock_take(const char *path, int *fd, Err *err);
void lock_release(int fd);
int64_t clock_now_us(void);        /* wall clock; banned below vm/effects by banned.h */
int64_t clock_monotonic_us(void);
void random_bytes(void *out, size_t size);
#endif
