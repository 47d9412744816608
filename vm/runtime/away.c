/* Long turns: a run that used up its slice, or whose memory is large, goes on here, one slice at a time,
** while the rounds of the others go on without it. As many at once as there are threads; more take their
** turns. What a slice gave joins the next round, as if it had been stepped there. */
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vm/base/mem.h"
#include "vm/runtime/schedule.h"

enum { AWAY_SLICE = 500000, AWAY_THREADS_MAX = 64 };

struct Away {
  pthread_mutex_t lock;
  pthread_cond_t sent, back;
  pthread_t threads[AWAY_THREADS_MAX];
  uint32_t thread_count;
  Slot *out, **out_end;   /* waiting for a thread */
  Slot *done, **done_end; /* back, not fetched yet */
  uint32_t count;         /* sent and not fetched; of the scheduler's thread */
  atomic_bool any_done;
  bool leaving;
  int fd;
};

static Slot *list_take(Slot **first, Slot ***end) {
  Slot *slot = *first;
  if (slot == NULL) return NULL;
  *first = slot->next_away;
  if (*first == NULL) *end = first;
  slot->next_away = NULL;
  return slot;
}

static void list_put(Slot ***end, Slot *slot) {
  **end = slot;
  *end = &slot->next_away;
}

static void away_tell(Away *a) {
  uint64_t one = 1;
  atomic_store(&a->any_done, true);
  ssize_t n = write(a->fd, &one, sizeof one);
  (void)n; /* it can only be full, and then it is set */
}

static void *away_main(void *context) {
  Away *a = context;
  pthread_mutex_lock(&a->lock);
  for (;;) {
    while (a->out == NULL && !a->leaving) pthread_cond_wait(&a->sent, &a->lock);
    if (a->leaving) break;
    Slot *slot = list_take(&a->out, &a->out_end);
    pthread_mutex_unlock(&a->lock);
    slot->result = run_step(slot->run, AWAY_SLICE, &slot->outs[slot->out_count - 1]);
    pthread_mutex_lock(&a->lock);
    list_put(&a->done_end, slot);
    away_tell(a);
    pthread_cond_broadcast(&a->back);
  }
  pthread_mutex_unlock(&a->lock);
  return NULL;
}

/* A thread for each run that is out, up to as many as the scheduler may have. None could be made: the slice is
** done here. */
static void away_thread(Scheduler *s) {
  Away *a = s->away;
  uint32_t most = s->options.threads < AWAY_THREADS_MAX ? s->options.threads : AWAY_THREADS_MAX;
  if (a->thread_count >= most || a->thread_count >= a->count) return;
  if (pthread_create(&a->threads[a->thread_count], NULL, away_main, a) == 0) a->thread_count++;
}

static Away *away_new(void) {
  Away *a = MEM_NEW(Away);
  pthread_mutex_init(&a->lock, NULL);
  pthread_cond_init(&a->sent, NULL);
  pthread_cond_init(&a->back, NULL);
  a->out_end = &a->out;
  a->done_end = &a->done;
  a->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return a;
}

void away_send(Scheduler *s, Slot *slot) {
  if (s->away == NULL) s->away = away_new();
  Away *a = s->away;
  ASSERT(!slot->away && !slot->touched && !slot->in_turn && slot->out_count > 0);
  slot->away = true;
  a->count++;
  away_thread(s);
  bool here = a->thread_count == 0;
  if (here) slot->result = run_step(slot->run, AWAY_SLICE, &slot->outs[slot->out_count - 1]);
  pthread_mutex_lock(&a->lock);
  if (here) {
    list_put(&a->done_end, slot);
    away_tell(a);
  } else {
    list_put(&a->out_end, slot);
    pthread_cond_signal(&a->sent);
  }
  pthread_mutex_unlock(&a->lock);
}

bool away_ready(const Scheduler *s) { return s->away != NULL && atomic_load(&s->away->any_done); }

Slot *away_next(Scheduler *s) {
  uint64_t times;
  Away *a = s->away;
  if (!away_ready(s)) return NULL;
  pthread_mutex_lock(&a->lock);
  Slot *slot = list_take(&a->done, &a->done_end);
  if (a->done == NULL) {
    atomic_store(&a->any_done, false);
    ssize_t n = read(a->fd, &times, sizeof times);
    (void)n;
  }
  pthread_mutex_unlock(&a->lock);
  if (slot == NULL) return NULL;
  slot->away = false;
  a->count--;
  return slot;
}

static bool is_back(const Away *a, const Slot *slot) {
  for (const Slot *at = a->done; at != NULL; at = at->next_away)
    if (at == slot) return true;
  return false;
}

void away_wait(Scheduler *s, Slot *slot) {
  Away *a = s->away;
  pthread_mutex_lock(&a->lock);
  while (!is_back(a, slot)) pthread_cond_wait(&a->back, &a->lock);
  pthread_mutex_unlock(&a->lock);
}

uint32_t away_count(const Scheduler *s) { return s->away != NULL ? s->away->count : 0; }
int away_fd(const Scheduler *s) { return s->away != NULL ? s->away->fd : -1; }

void away_free(Scheduler *s) {
  Away *a = s->away;
  if (a == NULL) return;
  pthread_mutex_lock(&a->lock);
  a->leaving = true;
  pthread_cond_broadcast(&a->sent);
  pthread_mutex_unlock(&a->lock);
  for (uint32_t i = 0; i < a->thread_count; i++) pthread_join(a->threads[i], NULL);
  pthread_cond_destroy(&a->sent);
  pthread_cond_destroy(&a->back);
  pthread_mutex_destroy(&a->lock);
  if (a->fd >= 0) close(a->fd);
  mem_free(a);
  s->away = NULL;
}
