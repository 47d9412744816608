/* The I/O thread: takes requests, drives HTTP, files and the extern helper, queues outcomes.
**
** The owner's side is three lists under one lock: what was submitted, what is not wanted
** any more, what is done. wake_fd tells the thread, done_fd the owner. */
#include "vm/effects/effect.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vm/base/cbor.h"
#include "vm/base/file.h"
#include "vm/base/mem.h"
#include "vm/base/text.h"
#include "vm/effects/outbox.h"
#include "vm/effects/work.h"

typedef struct Drop {
  uint64_t run, seq;
} Drop;

struct Effects {
  EffectOptions options;
  pthread_mutex_t lock;
  pthread_t thread;
  bool started, leaving;
  Job *submitted, **submitted_end;
  Drop *drops;
  uint32_t drop_count, drop_cap;
  Outbox done;
  int wake_fd;
  Http *http; /* the thread's own */
  ModelClient *models;
  Foreign *foreign;
};

const EffectOptions *effects_options(const Effects *e) { return &e->options; }

/* ---- jobs ----------------------------------------------------------------- */

static void text_move(char **at, Str *s) {
  if (s->size > 0) memcpy(*at, s->at, s->size);
  s->at = *at;
  *at += s->size;
}

Job *job_new(const EffectRequest *r) {
  size_t size = r->target.size + r->operands.size + r->key.size + r->library.size + r->symbol.size +
                r->param_count;
  Job *job = mem_alloc(sizeof *job + size);
  char *at = (char *)(job + 1);
  job->request = *r;
  text_move(&at, &job->request.target);
  text_move(&at, &job->request.operands);
  text_move(&at, &job->request.key);
  text_move(&at, &job->request.library);
  text_move(&at, &job->request.symbol);
  if (r->param_count > 0) memcpy(at, r->param_kinds, r->param_count);
  job->request.param_kinds = (const uint8_t *)at;
  return job;
}

Job *job_trim(Job *job) {
  EffectRequest *r = &job->request;
  r->target = r->operands = r->key = r->library = r->symbol = (Str){0};
  r->param_kinds = NULL;
  r->param_count = 0;
  return mem_realloc(job, sizeof *job);
}

void job_free(Job *job) {
  secrets_wipe(&job->secrets);
  mem_free(job);
}

static void signal_fd(int fd) {
  uint64_t one = 1;
  ssize_t n = write(fd, &one, sizeof one);
  (void)n; /* full means it is set */
}

void job_done(Effects *e, Job *job, const char *outcome, Buf *value) {
  EffectOutcome o = {job->request.run, job->request.seq, outcome, *value, false};
  *value = (Buf){0};
  outbox_put(&e->done, &o);
  job_free(job);
}

void job_progress(Effects *e, const Job *job, uint64_t *ticket, const char *what, Buf *value) {
  EffectOutcome o = {job->request.run, job->request.seq, what, *value, true};
  *value = (Buf){0};
  outbox_progress(&e->done, ticket, strcmp(what, "text") == 0, &o);
}

static void error_put(Buf *out, const char *code, Str message) {
  cbor_put_tag(out, CBOR_TAG_ERROR);
  cbor_put_array(out, 4);
  cbor_put_text(out, str_of(code));
  cbor_put_text(out, utf8_valid(message) ? message : STR("(the message is not text)"));
  cbor_put_nil(out);
  cbor_put_nil(out);
}

void job_failed(Effects *e, Job *job, const char *outcome, const char *code, const char *format,
                ...) {
  Buf text = {0}, masked = {0}, value = {0};
  va_list args;
  va_start(args, format);
  buf_vformat(&text, format, args);
  va_end(args);
  secrets_mask(&job->secrets, buf_view(&text), &masked);
  error_put(&value, code, buf_view(&masked));
  buf_deinit(&text);
  buf_deinit(&masked);
  job_done(e, job, outcome, &value);
}

bool job_operands(Effects *e, Job *job, Str *out) {
  Err err;
  if (secrets_resolve(&job->secrets, job->request.operands, e->options.secret, e->options.context,
                      out, &err))
    return true;
  job_failed(e, job, "error", err.code == ERR_NOT_FOUND ? "secret_missing" : "bad_value", "%s",
             err.text);
  return false;
}

/* ---- the thread ------------------------------------------------------------ */

static void job_start(Effects *e, Job *job) {
  job->started_us = clock_monotonic_us();
  switch ((EffectKind)job->request.effect) {
    case EFFECT_HTTP:
      if (e->http == NULL) e->http = http_new(e);
      http_start(e->http, job);
      return;
    case EFFECT_FILE_READ:
    case EFFECT_FILE_WRITE:
      file_work(e, job);
      return;
    case EFFECT_MODEL:
      if (e->models == NULL) e->models = model_client_new(e);
      model_work(e, e->models, job);
      return;
    case EFFECT_FOREIGN:
      if (e->foreign == NULL) e->foreign = foreign_new(e);
      foreign_start(e->foreign, job);
      return;
    default:
      break;
  }
  job_failed(e, job, "error", "internal", "effect %d is not one of the outside world",
             job->request.effect);
}

typedef struct Batch {
  Job *jobs;
  Drop *drops;
  uint32_t drop_count;
  bool leaving;
} Batch;

static Batch batch_take(Effects *e) {
  uint64_t count;
  ssize_t n = read(e->wake_fd, &count, sizeof count);
  (void)n; /* EAGAIN: another reason to look */
  pthread_mutex_lock(&e->lock);
  Batch b = {e->submitted, e->drops, e->drop_count, e->leaving};
  e->submitted = NULL;
  e->submitted_end = &e->submitted;
  e->drops = NULL;
  e->drop_count = e->drop_cap = 0;
  pthread_mutex_unlock(&e->lock);
  return b;
}

static void batch_work(Effects *e, Batch *b) {
  while (b->jobs != NULL) {
    Job *job = b->jobs;
    b->jobs = job->next;
    if (b->leaving) job_free(job);
    else job_start(e, job);
  }
  for (uint32_t i = 0; i < b->drop_count && e->http != NULL; i++)
    http_drop(e->http, b->drops[i].run, b->drops[i].seq);
  mem_free(b->drops);
}

static int wait_ms(const Effects *e) {
  int64_t deadline = e->foreign != NULL ? foreign_deadline_us(e->foreign) : 0;
  int64_t models = e->models != NULL ? model_client_deadline_us(e->models) : 0;
  if (deadline == 0 || (models != 0 && models < deadline)) deadline = models;
  if (deadline == 0) return -1;
  int64_t left = (deadline - clock_monotonic_us() + 999) / 1000;
  return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

static void thread_wait(Effects *e) {
  struct pollfd fds[3] = {{e->wake_fd, POLLIN, 0}};
  uint32_t count = 1;
  int helper = e->foreign != NULL ? foreign_fd(e->foreign) : -1;
  int models = e->models != NULL ? model_client_fd(e->models) : -1;
  if (helper >= 0) fds[count++] = (struct pollfd){helper, POLLIN, 0};
  if (models >= 0) fds[count++] = (struct pollfd){models, POLLIN, 0};
  if (e->http != NULL && http_busy(e->http)) http_wait(e->http, fds, count, wait_ms(e));
  else poll(fds, count, wait_ms(e));
  if (e->foreign != NULL) foreign_work(e->foreign, helper >= 0 && fds[1].revents != 0);
  if (e->models != NULL) model_client_turn(e->models);
}

static void *thread_main(void *context) {
  Effects *e = context;
  for (;;) {
    Batch b = batch_take(e);
    batch_work(e, &b);
    if (b.leaving) break;
    thread_wait(e);
  }
  if (e->http != NULL) http_free(e->http);
  if (e->models != NULL) model_client_free(e->models);
  if (e->foreign != NULL) foreign_free(e->foreign);
  return NULL;
}

/* ---- the owner's side -------------------------------------------------------- */

bool effects_new(const EffectOptions *options, Effects **out, Err *err) {
  Effects *e = MEM_NEW(Effects);
  e->options = *options;
  e->submitted_end = &e->submitted;
  e->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  pthread_mutex_init(&e->lock, NULL);
  if (!outbox_init(&e->done, err)) {
    effects_free(e);
    return false;
  }
  if (e->wake_fd < 0) {
    FAIL(err, ERR_IO, "cannot make an eventfd: %s", strerror(errno));
    effects_free(e);
    return false;
  }
  *out = e;
  return true;
}

/* Signals are for the main thread. */
static bool thread_start(Effects *e) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool ok = pthread_create(&e->thread, NULL, thread_main, e) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return ok;
}

void effects_submit(Effects *e, const EffectRequest *r) {
  Job *job = job_new(r);
  pthread_mutex_lock(&e->lock);
  if (!e->started) e->started = thread_start(e);
  bool ok = e->started, first = e->submitted == NULL; /* of a batch: the thread takes all there is */
  if (ok) {
    *e->submitted_end = job;
    e->submitted_end = &job->next;
  }
  pthread_mutex_unlock(&e->lock);
  if (ok && first) signal_fd(e->wake_fd);
  if (!ok) job_failed(e, job, "error", "http_failed", "the system has no thread left for effects");
}

void effects_drop(Effects *e, uint64_t run, uint64_t seq) {
  pthread_mutex_lock(&e->lock);
  e->drops = mem_grow(e->drops, &e->drop_cap, e->drop_count + 1, sizeof *e->drops);
  e->drops[e->drop_count++] = (Drop){run, seq};
  pthread_mutex_unlock(&e->lock);
  signal_fd(e->wake_fd);
}

bool effects_next(Effects *e, EffectOutcome *out) { return outbox_take(&e->done, out); }

int effects_fd(const Effects *e) { return e->done.fd; }

void effects_free(Effects *e) {
  if (e == NULL) return;
  if (e->started) {
    pthread_mutex_lock(&e->lock);
    e->leaving = true;
    pthread_mutex_unlock(&e->lock);
    signal_fd(e->wake_fd);
    pthread_join(e->thread, NULL);
  }
  outbox_deinit(&e->done);
  mem_free(e->drops);
  if (e->wake_fd >= 0) close(e->wake_fd);
  pthread_mutex_destroy(&e->lock);
  mem_free(e);
}
