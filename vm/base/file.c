/* Files, the directory lock, and the process's sources of time and chance. */
#include "vm/base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "vm/base/text.h"

static bool fail_errno(Err *err, const char *what, const char *path) {
  ErrCode code = errno == ENOENT || errno == ENOTDIR            ? ERR_NOT_FOUND
                 : errno == EACCES || errno == EPERM || errno == EROFS ? ERR_DENIED
                 : errno == ENOSPC || errno == EDQUOT           ? ERR_FULL
                                                                : ERR_IO;
  FAIL(err, code, "%s %s: %s", what, path, strerror(errno));
  return false;
}

/* -- reading and writing whole files -- */

static bool read_all(int fd, const char *path, size_t max, Buf *out, Err *err) {
  size_t before = out->size;
  for (;;) {
    char *room = buf_more(out, 65536);
    char small[4096];
    size_t size = room ? 65536 : sizeof small; /* out is near its own maximum: see if we are done */
    ssize_t got = read(fd, room ? room : small, size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(err, "cannot read", path);
    if (got == 0) break;
    out->full = false;
    if (room) out->size += (size_t)got;
    else buf_put(out, small, (size_t)got);
    if (out->full || out->size - before > max) {
      FAIL(err, ERR_LIMIT, "%s is larger than %zu bytes", path, max);
      return false;
    }
  }
  out->full = false;
  return true;
}

bool file_read(const char *path, size_t max, Buf *out, Err *err) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail_errno(err, "cannot open", path);
  struct stat info;
  bool ok = false;
  if (fstat(fd, &info) != 0) {
    fail_errno(err, "cannot read", path);
  } else if (S_ISDIR(info.st_mode)) {
    FAIL(err, ERR_INVALID, "%s is a directory, not a file", path);
  } else {
    ok = read_all(fd, path, max, out, err);
  }
  close(fd);
  return ok;
}

static bool write_all(int fd, Str bytes) {
  while (bytes.size) {
    ssize_t put = write(fd, bytes.at, bytes.size);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    bytes.at += put;
    bytes.size -= (size_t)put;
  }
  return true;
}

/* The rename is durable only once the directory is. */
static bool sync_parent(const char *path) {
  const char *slash = strrchr(path, '/');
  char *parent = slash == path ? strdup("/")
                 : slash       ? strndup(path, (size_t)(slash - path))
                               : strdup(".");
  ASSERT(parent);
  int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  free(parent);
  if (fd < 0) return false;
  bool ok = fsync(fd) == 0 || errno == EINVAL; /* some file systems cannot */
  close(fd);
  return ok;
}

static bool write_synced(const char *path, Str bytes) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return false;
  bool ok = write_all(fd, bytes) && fsync(fd) == 0;
  int why = errno;
  if (close(fd) != 0) return false;
  errno = why;
  return ok;
}

bool file_write(const char *path, Str bytes, Err *err) {
  Buf temporary = {0};
  buf_format(&temporary, "%s.%ld.new", path, (long)getpid());
  buf_byte(&temporary, 0);
  bool ok =
      write_synced(temporary.at, bytes) && rename(temporary.at, path) == 0 && sync_parent(path);
  if (!ok) {
    fail_errno(err, "cannot write", path);
    unlink(temporary.at);
  }
  buf_deinit(&temporary);
  return ok;
}

static bool dir_make_one(const char *path, Err *err) {
  struct stat info;
  if (mkdir(path, 0777) == 0) return true;
  int why = errno;
  if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) return true;
  errno = why;
  return fail_errno(err, "cannot make the directory", path);
}

bool dir_make(const char *path, Err *err) {
  Buf part = {0};
  bool ok = true;
  for (const char *p = path; ok; p++) {
    bool edge = *p == 0 || (*p == '/' && p != path);
    if (edge) {
      buf_clear(&part);
      buf_put(&part, path, (size_t)(p - path));
      buf_byte(&part, 0);
      ok = dir_make_one(part.at, err);
    }
    if (*p == 0) break;
  }
  buf_deinit(&part);
  return ok;
}

/* -- the lock -- */

/* The holder writes its pid just after it has the lock, so an empty file is read again. */
static int64_t lock_holder(int fd) {
  for (int attempt = 0; attempt < 50; attempt++) {
    char text[24];
    int64_t pid;
    ssize_t size = pread(fd, text, sizeof text, 0);
    while (size > 0 && text[size - 1] == '\n') size--;
    if (size > 0 && int_parse((Str){text, (size_t)size}, &pid)) return pid;
    nanosleep(&(struct timespec){0, 2000000}, NULL);
  }
  return 0;
}

static bool lock_try(int fd, const char *path, Err *err) {
  char text[24];
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return fail_errno(err, "cannot lock", path);
    FAIL(err, ERR_BUSY, "%s is in use by process %" PRId64, path, lock_holder(fd));
    return false;
  }
  int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
  if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)size, 0) != size) {
    return fail_errno(err, "cannot write", path);
  }
  return true;
}

bool lock_take(const char *path, int *fd, Err *err) {
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) return fail_errno(err, "cannot open", path);
  if (!lock_try(file, path, err)) {
    close(file);
    return false;
  }
  *fd = file;
  return true;
}

/* The file stays: unlinking it would let two processes lock two files of one name. */
void lock_release(int fd) {
  if (fd < 0) return;
  if (ftruncate(fd, 0) != 0) errno = 0; /* a stale pid does no harm */
  close(fd);
}

/* -- time and chance -- */

static int64_t clock_us(clockid_t clock) {
  struct timespec now;
  int failed = clock_gettime(clock, &now);
  ASSERT(!failed);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_now_us(void) { return clock_us(CLOCK_REALTIME); }
int64_t clock_monotonic_us(void) { return clock_us(CLOCK_MONOTONIC); }

void random_bytes(void *out, size_t size) {
  char *p = out;
  while (size) {
    ssize_t got = getrandom(p, size, 0);
    if (got < 0) {
      ASSERT(errno == EINTR);
      continue;
    }
    p += got;
    size -= (size_t)got;
  }
}
