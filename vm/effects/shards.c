/* Multi handles under one epoll. */
#include "vm/effects/shards.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vm/base/file.h"
#include "vm/base/mem.h"

enum { EVENTS_MAX = 256 };
#define KEPT_US INT64_C(60000000)

struct Shard {
  Shards *all;
  CURLM *multi; /* NULL: closed, as nothing used it */
  uint32_t index, active;
  bool tls;
  bool touched;     /* messages may be there */
  int64_t due_us;   /* libcurl's timer; 0: none */
  int64_t empty_us; /* since when nothing is active */
};

struct Shards {
  const CurlApi *api;
  ShardsDone *done;
  void *context;
  int epoll;
  Shard **at;
  uint32_t count, cap;
};

bool shards_open(const CurlApi *api, ShardsDone *done, void *context, Shards **out, Err *err) {
  int fd = epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) {
    FAIL(err, ERR_IO, "cannot watch sockets: %s", strerror(errno));
    return false;
  }
  *out = MEM_NEW(Shards);
  **out = (Shards){.api = api, .done = done, .context = context, .epoll = fd};
  return true;
}

void shards_close(Shards *s) {
  if (s == NULL) return;
  for (uint32_t i = 0; i < s->count; i++) {
    ASSERT(s->at[i]->active == 0);
    if (s->at[i]->multi != NULL) s->api->multi_cleanup(s->at[i]->multi);
    mem_free(s->at[i]);
  }
  close(s->epoll);
  mem_free(s->at);
  mem_free(s);
}

/* ---- what libcurl calls ----------------------------------------------------------- */

/* `known` is not NULL where epoll has the socket already. */
static int on_watch(CURL *easy, curl_socket_t fd, int what, void *context, void *known) {
  Shard *shard = context;
  Shards *s = shard->all;
  struct epoll_event event = {.data.u64 = (uint64_t)shard->index << 32 | (uint32_t)fd};
  (void)easy;
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(s->epoll, EPOLL_CTL_DEL, fd, &event);
    return 0;
  }
  if (what & CURL_POLL_IN) event.events |= EPOLLIN;
  if (what & CURL_POLL_OUT) event.events |= EPOLLOUT;
  if (epoll_ctl(s->epoll, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0)
    epoll_ctl(s->epoll, known != NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
  if (known == NULL) s->api->multi_assign(shard->multi, fd, shard);
  return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *context) {
  Shard *shard = context;
  (void)multi;
  shard->due_us = timeout_ms < 0 ? 0 : clock_monotonic_us() + timeout_ms * 1000;
  return 0;
}

/* ---- requests in and out -------------------------------------------------------------- */

static bool shard_open(Shard *shard) {
  const CurlApi *api = shard->all->api;
  shard->multi = api->multi_init();
  if (shard->multi == NULL) return false;
  api->multi_setopt(shard->multi, CURLMOPT_MAXCONNECTS, (long)SHARD_REQUESTS);
  api->multi_setopt(shard->multi, CURLMOPT_SOCKETFUNCTION, on_watch);
  api->multi_setopt(shard->multi, CURLMOPT_SOCKETDATA, shard);
  api->multi_setopt(shard->multi, CURLMOPT_TIMERFUNCTION, on_timer);
  api->multi_setopt(shard->multi, CURLMOPT_TIMERDATA, shard);
  return true;
}

static bool has_room(const Shard *shard, bool tls) {
  return shard->tls == tls && shard->active < (tls ? SHARD_REQUESTS_TLS : SHARD_REQUESTS);
}

static Shard *with_room(Shards *s, bool tls) {
  uint32_t i = 0;
  while (i < s->count && !has_room(s->at[i], tls)) i++;
  if (i == s->count) {
    s->at = mem_grow(s->at, &s->cap, s->count + 1, sizeof *s->at);
    s->at[i] = MEM_NEW(Shard);
    *s->at[i] = (Shard){.all = s, .index = i, .tls = tls};
    s->count++;
  }
  return s->at[i]->multi != NULL || shard_open(s->at[i]) ? s->at[i] : NULL;
}

Shard *shards_add(Shards *s, CURL *easy, bool tls) {
  Shard *shard = with_room(s, tls);
  if (shard == NULL || s->api->multi_add_handle(shard->multi, easy) != CURLM_OK) return NULL;
  shard->active++;
  shard->touched = true;
  return shard;
}

void shards_remove(Shard *shard, CURL *easy) {
  shard->all->api->multi_remove_handle(shard->multi, easy);
  if (--shard->active == 0) shard->empty_us = clock_monotonic_us();
}

/* ---- turns ------------------------------------------------------------------------------ */

int shards_fd(const Shards *s) { return s->epoll; }

int64_t shards_deadline_us(const Shards *s) {
  int64_t first = 0;
  for (uint32_t i = 0; i < s->count; i++) {
    int64_t due = s->at[i]->due_us;
    if (due != 0 && (first == 0 || due < first)) first = due;
  }
  return first;
}

static bool sockets_turn(Shards *s) {
  struct epoll_event events[EVENTS_MAX];
  int running, count = epoll_wait(s->epoll, events, EVENTS_MAX, 0);
  for (int i = 0; i < count; i++) {
    Shard *shard = s->at[events[i].data.u64 >> 32];
    uint32_t what = events[i].events;
    int flags = (what & EPOLLIN ? CURL_CSELECT_IN : 0) | (what & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                (what & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
    if (shard->multi == NULL) continue;
    s->api->multi_socket_action(shard->multi, (curl_socket_t)(events[i].data.u64 & 0xffffffff), flags, &running);
    shard->touched = true;
  }
  return count == EVENTS_MAX;
}

static void finished(Shard *shard) {
  Shards *s = shard->all;
  CURLMsg *message;
  int left;
  shard->touched = false;
  while ((message = s->api->multi_info_read(shard->multi, &left)) != NULL)
    if (message->msg == CURLMSG_DONE) s->done(s->context, message->easy_handle, message->data.result);
}

bool shards_turn(Shards *s) {
  bool more = sockets_turn(s);
  int running;
  int64_t now = clock_monotonic_us();
  for (uint32_t i = 0; i < s->count; i++) {
    Shard *shard = s->at[i];
    if (shard->due_us != 0 && shard->due_us <= now) {
      shard->due_us = 0;
      s->api->multi_socket_action(shard->multi, CURL_SOCKET_TIMEOUT, 0, &running);
      shard->touched = more = true;
    }
    if (shard->touched && shard->multi != NULL) finished(shard);
  }
  return more;
}

bool shards_tidy(Shards *s) {
  int64_t now = clock_monotonic_us();
  bool open = false;
  for (uint32_t i = 0; i < s->count; i++) {
    Shard *shard = s->at[i];
    if (shard->multi != NULL && shard->active == 0 && now - shard->empty_us >= KEPT_US) {
      s->api->multi_cleanup(shard->multi);
      shard->multi = NULL;
      shard->due_us = 0;
    }
    open |= shard->multi != NULL;
  }
  return open;
}
