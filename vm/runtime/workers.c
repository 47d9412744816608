/* Threads sleep on a condition between jobs; indexes are handed out by an atomic counter. A thread that wakes when all
** indexes are taken is not waited for: on a busy machine it may come milliseconds late. Few indexes are not worth
** waking anybody. */
#include "vm/runtime/workers.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "vm/base/mem.h"

enum { THREADS_MAX = 256, WORTH_A_THREAD = 4 /* indexes */ };

struct Workers {
  pthread_mutex_t lock;
  pthread_cond_t start, done;
  pthread_t threads[THREADS_MAX];
  uint32_t thread_count;
  uint64_t job;  /* counts jobs: a thread that sees another number has work, if it is open */
  bool open;     /* threads may join */
  uint32_t busy; /* threads in the job */
  bool leaving;
  WorkFn *work;
  void *context;
  uint32_t count;
  atomic_uint next;
};

static void work_through(Workers *w) {
  for (;;) {
    uint32_t i = atomic_fetch_add_explicit(&w->next, 1, memory_order_relaxed);
    if (i >= w->count) return;
    w->work(w->context, i);
  }
}

static void *worker_main(void *context) {
  Workers *w = context;
  uint64_t seen = 0;
  pthread_mutex_lock(&w->lock);
  for (;;) {
    while (w->job == seen && !w->leaving) pthread_cond_wait(&w->start, &w->lock);
    if (w->leaving) break;
    seen = w->job;
    if (!w->open) continue;
    w->busy++;
    pthread_mutex_unlock(&w->lock);
    work_through(w);
    pthread_mutex_lock(&w->lock);
    if (--w->busy == 0) pthread_cond_signal(&w->done);
  }
  pthread_mutex_unlock(&w->lock);
  return NULL;
}

Workers *workers_new(uint32_t threads) {
  Workers *w = MEM_NEW(Workers);
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->start, NULL);
  pthread_cond_init(&w->done, NULL);
  if (threads > THREADS_MAX) threads = THREADS_MAX;
  while (w->thread_count + 1 < threads) {
    if (pthread_create(&w->threads[w->thread_count], NULL, worker_main, w) != 0)
      break; /* fewer, then */
    w->thread_count++;
  }
  return w;
}

void workers_free(Workers *w) {
  if (w == NULL) return;
  pthread_mutex_lock(&w->lock);
  w->leaving = true;
  pthread_cond_broadcast(&w->start);
  pthread_mutex_unlock(&w->lock);
  for (uint32_t i = 0; i < w->thread_count; i++) pthread_join(w->threads[i], NULL);
  pthread_cond_destroy(&w->start);
  pthread_cond_destroy(&w->done);
  pthread_mutex_destroy(&w->lock);
  mem_free(w);
}

static void job_open(Workers *w, WorkFn *work, void *context, uint32_t count) {
  uint32_t helpers = count / WORTH_A_THREAD;
  pthread_mutex_lock(&w->lock);
  w->work = work;
  w->context = context;
  w->count = count;
  atomic_store_explicit(&w->next, 0, memory_order_relaxed);
  w->job++;
  w->open = true;
  for (uint32_t i = 0; i < helpers && i < w->thread_count; i++) pthread_cond_signal(&w->start);
  pthread_mutex_unlock(&w->lock);
}

static void job_close(Workers *w) {
  pthread_mutex_lock(&w->lock);
  w->open = false;
  while (w->busy > 0) pthread_cond_wait(&w->done, &w->lock);
  pthread_mutex_unlock(&w->lock);
}

void workers_run(Workers *w, WorkFn *work, void *context, uint32_t count) {
  if (count < WORTH_A_THREAD) {
    for (uint32_t i = 0; i < count; i++) work(context, i);
    return;
  }
  job_open(w, work, context, count);
  work_through(w);
  job_close(w);
}

uint32_t workers_cores(void) {
  cpu_set_t set;
  CPU_ZERO(&set);
  int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return count < 1 ? 1 : (uint32_t)count;
}
