/* For benchmarks: a model's server on loopback, in a process of its own. It answers each request after a given time and
** measures what is not its own doing: how long after its last answer to a run (`run=N;` in the text of a request) the
** next request of that run came. In a run that does nothing but call, that is the whole overhead of a call. */
#ifndef Z8_BENCH_PEER_H
#define Z8_BENCH_PEER_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm/base/file.h"

enum {
  PEER_FDS_MAX = 65536,
  PEER_RUNS_MAX = 65536,
  PEER_GAPS_MAX = 1 << 20,
  PEER_EVENTS = 256,
  PEER_REQUEST_MAX = 65536
};

typedef struct Peer { /* shared by both processes */
  int port;
  _Atomic int64_t delay_us; /* from a request to its answer, in the mean: half of it to one and a half */
  atomic_bool hold;         /* no answer leaves meanwhile */
  atomic_uint asked;
  atomic_uint gap_count;
  float gaps_us[PEER_GAPS_MAX];
} Peer;

typedef struct PeerCall {
  int fd;
  uint32_t run;
  bool stream;
  int64_t due_us;
} PeerCall;

#define PEER_USAGE "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":8}"
#define PEER_BODY                                                                                             \
  "{\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":" \
  "\"I am fine, and you are welcome.\"},\"finish_reason\":\"stop\"}]," PEER_USAGE "}"
#define PEER_PIECE(text)                                                                                     \
  "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,"    \
  "\"delta\":{\"content\":\"" text "\"},\"finish_reason\":null}]}\n\n"
#define PEER_STREAM                                                                                         \
  PEER_PIECE("I ") PEER_PIECE("am ") PEER_PIECE("fine, ") PEER_PIECE("and ") PEER_PIECE("you ")             \
  PEER_PIECE("are ") PEER_PIECE("welcome") PEER_PIECE(".")                                                  \
  "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n" \
  "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[]," PEER_USAGE "}\n\ndata: [DONE]\n\n"

static int64_t peer_sent_us[PEER_RUNS_MAX]; /* the last answer to each run; 0: none */

static void peer_answer(const PeerCall *c) {
  static const char plain[] = PEER_BODY, stream[] = PEER_STREAM;
  char out[4096];
  int size = snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
                      c->stream ? "text/event-stream" : "application/json",
                      c->stream ? sizeof stream - 1 : sizeof plain - 1, c->stream ? stream : plain);
  peer_sent_us[c->run] = clock_monotonic_us();
  if (send(c->fd, out, (size_t)size, MSG_NOSIGNAL) < 0) close(c->fd);
}

static void peer_gap(Peer *p, uint32_t run, int64_t now_us) {
  int64_t before = peer_sent_us[run];
  uint32_t at = atomic_load(&p->gap_count);
  if (before == 0 || at == PEER_GAPS_MAX) return;
  p->gaps_us[at] = (float)(now_us - before);
  atomic_store(&p->gap_count, at + 1);
}

/* True: a whole request came; its end is the body's last brace. */
static bool peer_read(Peer *p, int fd, PeerCall *c) {
  static char bytes[PEER_REQUEST_MAX + 1];
  ssize_t n = recv(fd, bytes, PEER_REQUEST_MAX, MSG_DONTWAIT);
  if (n <= 0) close(fd);
  if (n <= 0 || bytes[n - 1] != '}') return false;
  int64_t now = clock_monotonic_us(), delay = atomic_load(&p->delay_us);
  bytes[n] = 0;
  const char *mark = strstr(bytes, "run=");
  *c = (PeerCall){fd, mark != NULL ? (uint32_t)strtoul(mark + 4, NULL, 10) % PEER_RUNS_MAX : 0,
                  strstr(bytes, "\"stream\":true") != NULL, now + delay / 2 + (delay > 0 ? rand() % delay : 0)};
  if (mark != NULL) peer_gap(p, c->run, now);
  atomic_fetch_add(&p->asked, 1);
  return true;
}

static void peer_accept(int listener, int watch) {
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), one = 1;
  if (fd < 0) return;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  epoll_ctl(watch, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
}

static int peer_wait_ms(Peer *p, const PeerCall *first) {
  if (first == NULL) return -1;
  if (atomic_load(&p->hold)) return 20;
  int64_t left = first->due_us - clock_monotonic_us();
  return left > 0 ? (int)((left + 999) / 1000) : 0;
}

/* In order of time; mostly at the end. */
static void peer_queue(PeerCall *line, uint32_t first, uint32_t *last, const PeerCall *c) {
  uint32_t at = *last;
  for (; at != first; at = (at + PEER_FDS_MAX - 1) % PEER_FDS_MAX) {
    const PeerCall *before = &line[(at + PEER_FDS_MAX - 1) % PEER_FDS_MAX];
    if (before->due_us <= c->due_us) break;
    line[at] = *before;
  }
  line[at] = *c;
  *last = (*last + 1) % PEER_FDS_MAX;
}

static void peer_serve(Peer *p, int listener) {
  static PeerCall line[PEER_FDS_MAX];
  struct epoll_event events[PEER_EVENTS];
  uint32_t first = 0, last = 0;
  int watch = epoll_create1(0);
  epoll_ctl(watch, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
  for (;;) {
    int count = epoll_wait(watch, events, PEER_EVENTS, peer_wait_ms(p, first != last ? &line[first] : NULL));
    for (int i = 0; i < count; i++) {
      PeerCall c;
      if (events[i].data.fd == listener) peer_accept(listener, watch);
      else if (!peer_read(p, events[i].data.fd, &c)) continue;
      else if (atomic_load(&p->delay_us) == 0 && !atomic_load(&p->hold)) peer_answer(&c);
      else peer_queue(line, first, &last, &c);
    }
    while (first != last && !atomic_load(&p->hold) && line[first].due_us <= clock_monotonic_us()) {
      peer_answer(&line[first]);
      first = (first + 1) % PEER_FDS_MAX;
    }
  }
}

static void peer_descriptors(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

static pid_t peer_child;

/* Before any thread is made. */
static Peer *peer_start(int64_t delay_us) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  Peer *p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (p == MAP_FAILED || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 4096) != 0) abort();
  getsockname(fd, (struct sockaddr *)&address, &size);
  peer_descriptors();
  p->port = ntohs(address.sin_port);
  atomic_store(&p->delay_us, delay_us);
  peer_child = fork();
  if (peer_child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    peer_serve(p, fd);
  }
  close(fd);
  return p;
}

static void peer_stop(Peer *p) {
  kill(peer_child, SIGKILL);
  waitpid(peer_child, NULL, 0);
  munmap(p, sizeof *p);
}
#endif
