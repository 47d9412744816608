/* The queue of outcomes. The descriptor is written when the queue stops being empty and read when it is found empty,
** so that a thousand outcomes in one go cost one write. */
#include "vm/effects/outbox.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vm/base/mem.h"

enum { FIRST_CAP = 64 };

bool outbox_init(Outbox *box, Err *err) {
  *box = (Outbox){.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  pthread_mutex_init(&box->lock, NULL);
  if (box->fd < 0) FAIL(err, ERR_IO, "cannot make an eventfd: %s", strerror(errno));
  return box->fd >= 0;
}

static EffectOutcome *item_at(Outbox *box, uint64_t number) { return &box->items[number & (box->cap - 1)]; }

void outbox_deinit(Outbox *box) {
  for (; box->first < box->end; box->first++) buf_deinit(&item_at(box, box->first)->value);
  mem_free(box->items);
  if (box->fd >= 0) close(box->fd);
  pthread_mutex_destroy(&box->lock);
}

static void grow(Outbox *box) {
  uint32_t cap = box->cap > 0 ? box->cap * 2 : FIRST_CAP;
  EffectOutcome *items = mem_alloc(cap * sizeof *items);
  for (uint64_t n = box->first; n < box->end; n++) items[n & (cap - 1)] = *item_at(box, n);
  mem_free(box->items);
  box->items = items;
  box->cap = cap;
}

static void append(Outbox *box, EffectOutcome *o) {
  uint64_t one = 1;
  if (box->end - box->first == box->cap) grow(box);
  *item_at(box, box->end++) = *o;
  o->value = (Buf){0};
  if (box->end - box->first > 1) return;
  ssize_t n = write(box->fd, &one, sizeof one);
  (void)n; /* full means it is set */
}

void outbox_put(Outbox *box, EffectOutcome *o) {
  pthread_mutex_lock(&box->lock);
  append(box, o);
  pthread_mutex_unlock(&box->lock);
}

void outbox_progress(Outbox *box, uint64_t *ticket, bool joins, EffectOutcome *o) {
  pthread_mutex_lock(&box->lock);
  if (*ticket > box->first) { /* a ticket is the number after the item's */
    Buf *value = &item_at(box, *ticket - 1)->value;
    if (!joins) buf_clear(value);
    buf_str(value, buf_view(&o->value));
    buf_deinit(&o->value);
  } else {
    append(box, o);
    *ticket = box->end;
  }
  pthread_mutex_unlock(&box->lock);
}

bool outbox_take(Outbox *box, EffectOutcome *out) {
  pthread_mutex_lock(&box->lock);
  bool any = box->first < box->end;
  if (any) {
    *out = *item_at(box, box->first++);
  } else {
    uint64_t count;
    ssize_t n = read(box->fd, &count, sizeof count);
    (void)n;
  }
  pthread_mutex_unlock(&box->lock);
  return any;
}
