/* The node's side of `extern`: one helper process, one call at a time. What a wrong
** signature can hurt is the helper; when it dies, or does not answer in time and is
** killed, the outcome is "unknown" and the next call gets a new one. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm/base/cbor.h"
#include "vm/base/file.h"
#include "vm/base/mem.h"
#include "vm/effects/foreign_wire.h"
#include "vm/effects/work.h"

#define FOREIGN_TIMEOUT_US INT64_C(30000000)

struct Foreign {
  Effects *effects;
  pid_t pid; /* 0: no helper */
  int fd;
  Job *queue, **queue_end;
  Job *current;
  Buf in;
  int64_t deadline_us;
};

Foreign *foreign_new(Effects *e) {
  Foreign *f = MEM_NEW(Foreign);
  f->effects = e;
  f->fd = -1;
  f->queue_end = &f->queue;
  f->in.max = FOREIGN_FRAME_MAX + 4;
  return f;
}

/* ---- the process ------------------------------------------------------------ */

/* Ends the helper, if there is one, and says how it ended. */
static int helper_end(Foreign *f, bool kill_it) {
  int status = 0;
  if (f->pid == 0) return 0;
  if (kill_it) kill(f->pid, SIGKILL);
  close(f->fd);
  while (waitpid(f->pid, &status, 0) < 0 && errno == EINTR) {
  }
  f->pid = 0;
  f->fd = -1;
  buf_clear(&f->in);
  return status;
}

static bool helper_spawn(Foreign *f, int child_fd) {
  static char program[] = "z8", flag[] = "--extern-helper";
  char *argv[] = {program, flag, NULL};
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, child_fd, FOREIGN_FD);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  int failed = posix_spawn(&f->pid, "/proc/self/exe", &actions, &attributes, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) f->pid = 0;
  return failed == 0;
}

static bool helper_ready(Foreign *f) {
  int pair[2];
  if (f->pid != 0) return true;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return false;
  f->fd = pair[0];
  bool ok = helper_spawn(f, pair[1]);
  close(pair[1]);
  if (!ok) close(pair[0]);
  if (!ok) f->fd = -1;
  return ok;
}

/* ---- one call ---------------------------------------------------------------- */

static void current_failed(Foreign *f, const char *outcome, const char *code, const char *text) {
  Job *job = f->current;
  f->current = NULL;
  f->deadline_us = 0;
  job_failed(f->effects, job, outcome, code, "extern " STR_FMT " of " STR_FMT ": %s",
             STR_ARG(job->request.symbol), STR_ARG(job->request.library), text);
}

static bool listed(const char *list, Str library) {
  while (*list != 0) {
    size_t size = strcspn(list, ":");
    if (str_equal((Str){list, size}, library)) return true;
    list += size + (list[size] == ':');
  }
  return false;
}

static bool allowed(const Foreign *f, Str library) {
  const char *list = effects_options(f->effects)->extern_allow;
  return list != NULL ? listed(list, library) : foreign_is_soname(library);
}

static void request_put(const Job *job, Str operands, bool any_path, Buf *frame) {
  const EffectRequest *r = &job->request;
  uint32_t size = 0;
  buf_put(frame, &size, sizeof size);
  cbor_put_array(frame, 6);
  cbor_put_text(frame, r->library);
  cbor_put_text(frame, r->symbol);
  cbor_put_bytes(frame, (Str){(const char *)r->param_kinds, r->param_count});
  cbor_put_uint(frame, r->result_kind);
  cbor_put_bool(frame, any_path);
  buf_str(frame, operands);
  size = (uint32_t)(frame->size - sizeof size);
  memcpy(frame->at, &size, sizeof size);
}

static bool send_all(int fd, Str bytes) {
  while (bytes.size > 0) {
    ssize_t n = send(fd, bytes.at, bytes.size, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = (Str){bytes.at + n, bytes.size - (size_t)n};
  }
  return true;
}

static void call_send(Foreign *f, Str operands) {
  Buf frame = {.max = FOREIGN_FRAME_MAX};
  Job *job = f->current;
  request_put(job, operands, effects_options(f->effects)->extern_allow != NULL, &frame);
  f->deadline_us = clock_monotonic_us() +
                   (job->request.timeout_us > 0 ? job->request.timeout_us : FOREIGN_TIMEOUT_US);
  if (frame.full) {
    current_failed(f, "error", "extern_failed", "its arguments are too large");
  } else if (!send_all(f->fd, buf_view(&frame))) {
    helper_end(f, true);
    current_failed(f, "unknown", "extern_failed", "the helper process is gone");
  }
  if (frame.at != NULL) explicit_bzero(frame.at, frame.size);
  buf_deinit(&frame);
}

static void call_begin(Foreign *f) {
  Job *job = f->queue;
  Str operands;
  f->queue = job->next;
  if (f->queue == NULL) f->queue_end = &f->queue;
  if (!job_operands(f->effects, job, &operands)) return;
  f->current = job;
  if (!allowed(f, job->request.library))
    current_failed(f, "error", "extern_failed",
                   "this library is not allowed on this node (Z8_EXTERN lists those that are)");
  else if (!helper_ready(f))
    current_failed(f, "error", "extern_failed", "the helper process could not be started");
  else call_send(f, operands);
}

/* ---- replies ------------------------------------------------------------------ */

static void helper_died(Foreign *f) {
  char text[96];
  int status = helper_end(f, true);
  if (WIFSIGNALED(status))
    snprintf(text, sizeof text, "the helper process died of signal %d; is the signature right?",
             WTERMSIG(status));
  else
    snprintf(text, sizeof text, "the helper process ended with status %d in the middle of the call",
             WEXITSTATUS(status));
  current_failed(f, "unknown", "extern_failed", text);
}

static void reply_take(Foreign *f, Str body) {
  CborReader r = cbor_reader(body);
  Err err;
  uint64_t count;
  Str outcome, value;
  Buf out = {0};
  if (!cbor_array(&r, &count, &err) || !cbor_text(&r, &outcome, &err) ||
      !cbor_skip(&r, &value, &err)) {
    helper_died(f);
    return;
  }
  Job *job = f->current;
  f->current = NULL;
  f->deadline_us = 0;
  if (str_equal(outcome, STR("ok"))) {
    buf_str(&out, value);
    job_done(f->effects, job, "ok", &out);
    return;
  }
  CborReader text = cbor_reader(value);
  Str message = STR("it failed");
  if (!cbor_text(&text, &message, &err)) message = STR("it failed");
  job_failed(f->effects, job, "error", "extern_failed", STR_FMT, STR_ARG(message));
}

static void helper_read(Foreign *f) {
  char bytes[16384];
  uint32_t size;
  ssize_t n = recv(f->fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n > 0) buf_put(&f->in, bytes, (size_t)n);
  if (n <= 0 || f->in.full) {
    helper_died(f);
    return;
  }
  if (f->in.size < sizeof size) return;
  memcpy(&size, f->in.at, sizeof size);
  if (f->in.size - sizeof size < size) return;
  reply_take(f, (Str){f->in.at + sizeof size, size});
  buf_clear(&f->in);
}

static void deadline_check(Foreign *f) {
  if (f->current == NULL || clock_monotonic_us() < f->deadline_us) return;
  helper_end(f, true);
  current_failed(f, "unknown", "timeout", "no answer in time; the helper process was ended");
}

void foreign_work(Foreign *f, bool readable) {
  if (f->current != NULL && readable) helper_read(f);
  deadline_check(f);
  while (f->current == NULL && f->queue != NULL) call_begin(f);
}

void foreign_start(Foreign *f, Job *job) {
  job->next = NULL;
  *f->queue_end = job;
  f->queue_end = &job->next;
  while (f->current == NULL && f->queue != NULL) call_begin(f);
}

int foreign_fd(const Foreign *f) { return f->current != NULL ? f->fd : -1; }
int64_t foreign_deadline_us(const Foreign *f) { return f->current != NULL ? f->deadline_us : 0; }

void foreign_free(Foreign *f) {
  helper_end(f, true);
  if (f->current != NULL) job_free(f->current);
  while (f->queue != NULL) {
    Job *job = f->queue;
    f->queue = job->next;
    job_free(job);
  }
  buf_deinit(&f->in);
  mem_free(f);
}
