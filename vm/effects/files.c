/* Files, on the I/O thread. Writing replaces the whole file or nothing of it; deleting
** what is not there is fine, so that both may be asked again after a crash. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/base/cbor.h"
#include "vm/base/file.h"
#include "vm/base/mem.h"
#include "vm/base/text.h"
#include "vm/effects/work.h"

static bool whole_read(const char *path, Buf *out, Err *err) {
  return file_read(path, LIMIT_VALUE_BYTES, out, err);
}

static bool text_read(const char *path, Buf *out, Err *err) {
  if (!whole_read(path, out, err)) return false;
  if (utf8_valid(buf_view(out))) return true;
  FAIL(err, ERR_INVALID, "%s is not UTF-8 text; file.read_bytes takes it as it is", path);
  return false;
}

static void lines_put(Str text, Buf *value) {
  uint64_t count = 0;
  Buf lines = {0};
  while (text.size > 0) {
    const char *end = memchr(text.at, '\n', text.size);
    size_t size = end != NULL ? (size_t)(end - text.at) : text.size;
    bool cr = size > 0 && text.at[size - 1] == '\r';
    cbor_put_text(&lines, (Str){text.at, cr ? size - 1 : size});
    count++;
    size_t step = end != NULL ? size + 1 : size;
    text = (Str){text.at + step, text.size - step};
  }
  cbor_put_array(value, count);
  buf_str(value, buf_view(&lines));
  buf_deinit(&lines);
}

static int name_order(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

static int name_shown(const struct dirent *entry) {
  const char *name = entry->d_name;
  return strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && utf8_valid(str_of(name));
}

static bool list_put(const char *path, Buf *value, Err *err) {
  struct dirent **names;
  int count = scandir(path, &names, name_shown, name_order);
  if (count < 0) {
    FAIL(err, ERR_IO, "cannot list %s: %s", path, strerror(errno));
    return false;
  }
  cbor_put_array(value, (uint64_t)count);
  for (int i = 0; i < count; i++) {
    cbor_put_text(value, str_of(names[i]->d_name));
    free(names[i]);
  }
  free(names);
  return true;
}

static bool read_put(Str which, const char *path, Buf *value, Err *err) {
  Buf bytes = {0};
  struct stat info;
  bool ok = true;
  if (str_equal(which, STR("exists"))) {
    cbor_put_bool(value, stat(path, &info) == 0);
  } else if (str_equal(which, STR("list"))) {
    ok = list_put(path, value, err);
  } else if (str_equal(which, STR("bytes"))) {
    ok = whole_read(path, &bytes, err);
    if (ok) cbor_put_bytes(value, buf_view(&bytes));
  } else {
    ok = text_read(path, &bytes, err);
    if (ok && str_equal(which, STR("lines"))) lines_put(buf_view(&bytes), value);
    else if (ok) cbor_put_text(value, buf_view(&bytes));
  }
  buf_deinit(&bytes);
  return ok;
}

static bool append(const char *path, Str data, Err *err) {
  int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  bool ok = fd >= 0;
  while (ok && data.size > 0) {
    ssize_t n = write(fd, data.at, data.size);
    if (n < 0 && errno == EINTR) continue;
    ok = n >= 0;
    if (ok) data = (Str){data.at + n, data.size - (size_t)n};
  }
  ok = ok && fsync(fd) == 0;
  if (!ok) FAIL(err, ERR_IO, "cannot append to %s: %s", path, strerror(errno));
  if (fd >= 0) close(fd);
  return ok;
}

static bool delete (const char *path, Err *err) {
  if (unlink(path) == 0 || errno == ENOENT) return true;
  FAIL(err, ERR_IO, "cannot delete %s: %s", path, strerror(errno));
  return false;
}

static bool data_operand(CborReader *r, Str *data, Err *err) {
  CborItem item;
  if (!cbor_next(r, &item, err)) return false;
  *data = item.bytes;
  if (item.kind == CBOR_TEXT || item.kind == CBOR_BYTES) return true;
  FAIL(err, ERR_INVALID, "what is written to a file must be a string or bytes");
  return false;
}

static bool write_do(Str which, const char *path, CborReader *r, Err *err) {
  Str data;
  if (str_equal(which, STR("delete"))) return delete (path, err);
  if (!data_operand(r, &data, err)) return false;
  return str_equal(which, STR("append")) ? append(path, data, err) : file_write(path, data, err);
}

static bool path_operand(CborReader *r, char **path, Err *err) {
  uint64_t count;
  Str text;
  if (!cbor_array(r, &count, err) || !cbor_text(r, &text, err)) return false;
  if (text.size == 0 || text.size > 4096 || memchr(text.at, 0, text.size) != NULL) {
    FAIL(err, ERR_INVALID,
         "this is no path: it is empty, longer than 4096 bytes or holds a zero byte");
    return false;
  }
  *path = mem_alloc(text.size + 1);
  memcpy(*path, text.at, text.size);
  return true;
}

void file_work(Effects *e, Job *job) {
  Str operands;
  Err err = {0};
  char *path = NULL;
  Buf value = {0};
  if (!job_operands(e, job, &operands)) return;
  CborReader r = cbor_reader(operands);
  bool ok = path_operand(&r, &path, &err);
  if (ok && job->request.effect == EFFECT_FILE_READ) {
    ok = read_put(job->request.target, path, &value, &err);
  } else if (ok) {
    ok = write_do(job->request.target, path, &r, &err);
    cbor_put_nil(&value);
  }
  mem_free(path);
  if (ok && !value.full) {
    job_done(e, job, "ok", &value);
    return;
  }
  buf_deinit(&value);
  job_failed(e, job, "error", "file_failed", "%s", err.text);
}
