/* Calls to models through vm/effects against a server on loopback, in a process of its own:
**   bench_model rate CALLS CONCURRENT   answers come at once: calls a second
**   bench_model hold CALLS SECONDS      answers come late: memory a call that waits holds, all of the process counted
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm/base/cbor.h"
#include "vm/base/file.h"
#include "vm/effects/effect.h"

enum { FDS_MAX = 65536, EVENTS = 256, REQUEST_MAX = 16384 };

#define BODY                                                                                                  \
  "{\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":" \
  "\"Fine.\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}"

/* ---- the server ------------------------------------------------------------------ */

typedef struct Peer {
  size_t seen; /* bytes of the request so far */
  int64_t due_us;
} Peer;

static void answer(int fd) {
  static char out[512];
  static int size;
  if (size == 0)
    size =
        snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                 sizeof BODY - 1, BODY);
  if (send(fd, out, (size_t)size, MSG_NOSIGNAL) < 0) close(fd);
}

/* The whole request came: its end is the body's last brace. */
static bool whole(int fd) {
  char bytes[REQUEST_MAX];
  ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (n <= 0) close(fd);
  return n > 0 && bytes[n - 1] == '}';
}

static int peer_accept(int listener, int watch) {
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), one = 1;
  if (fd < 0) return -1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  epoll_ctl(watch, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
  return fd;
}

static void serve(int listener, int64_t delay_us) {
  static Peer peers[FDS_MAX];
  struct epoll_event events[EVENTS];
  int watch = epoll_create1(0), last = 0;
  epoll_ctl(watch, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
  for (;;) {
    int count = epoll_wait(watch, events, EVENTS, delay_us > 0 ? 20 : -1);
    int64_t now = clock_monotonic_us();
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        if ((fd = peer_accept(listener, watch)) > last) last = fd;
      } else if (whole(fd)) {
        if (delay_us == 0) answer(fd);
        else peers[fd].due_us = now + delay_us;
      }
    }
    for (int fd = 0; delay_us > 0 && fd <= last; fd++) {
      if (peers[fd].due_us == 0 || peers[fd].due_us > now) continue;
      peers[fd].due_us = 0;
      answer(fd);
    }
  }
}

static int server_start(int64_t delay_us, pid_t *child) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 4096) != 0) abort();
  getsockname(fd, (struct sockaddr *)&address, &size);
  *child = fork();
  if (*child == 0) serve(fd, delay_us);
  close(fd);
  return ntohs(address.sin_port);
}

/* ---- calls -------------------------------------------------------------------------- */

static void operands_make(int port, Buf *out) {
  Buf json = {0};
  Err err;
  buf_format(&json,
             "[{\"provider\":\"openai\",\"url\":\"http://127.0.0.1:%d/v1\",\"name\":\"m\",\"api_key\":\"k\","
             "\"system\":\"You are brief.\",\"messages\":[{\"role\":\"user\",\"content\":\"",
             port);
  for (int i = 0; i < 100; i++) buf_text(&json, "how are you? ");
  buf_text(&json, "\"}]}]");
  if (!cbor_from_json(buf_view(&json), out, &err)) abort();
  buf_deinit(&json);
}

static void submit(Effects *e, Str operands, uint64_t seq) {
  effects_submit(
      e, &(EffectRequest){
             .run = 1, .seq = seq, .effect = EFFECT_MODEL, .effect_class = CLASS_REVERSIBLE, .operands = operands});
}

static void outcome_take(Effects *e) {
  EffectOutcome o;
  while (!effects_next(e, &o)) {
    struct pollfd p = {effects_fd(e), POLLIN, 0};
    poll(&p, 1, 1000);
  }
  if (strcmp(o.outcome, "ok") != 0) {
    Buf json = {0};
    Err err;
    if (cbor_to_json(buf_view(&o.value), &json, &err))
      fprintf(stderr, "%s " STR_FMT "\n", o.outcome, STR_ARG(buf_view(&json)));
    exit(1);
  }
  buf_deinit(&o.value);
}

static long resident_kb(void) {
  Buf text = {0};
  Err err;
  long kb = 0;
  if (!file_read("/proc/self/status", 1 << 16, &text, &err)) abort();
  buf_byte(&text, 0);
  kb = strtol(strstr(text.at, "VmRSS:") + 6, NULL, 10);
  buf_deinit(&text);
  return kb;
}

static void rate(Effects *e, Str operands, uint64_t calls, uint64_t concurrent) {
  uint64_t asked = 0, got = 0;
  for (uint64_t i = 0; i < concurrent; i++) submit(e, operands, asked++);
  int64_t start = clock_monotonic_us();
  for (; got < calls; got++) {
    outcome_take(e);
    if (asked < calls) submit(e, operands, asked++);
  }
  printf("%.0f calls/s, %" PRIu64 " at a time\n", (double)calls * 1e6 / (double)(clock_monotonic_us() - start),
         concurrent);
}

static void hold(Effects *e, Str operands, uint64_t calls) {
  submit(e, operands, 0);
  outcome_take(e); /* libcurl is there */
  long before = resident_kb();
  int64_t start = clock_monotonic_us();
  for (uint64_t i = 0; i < calls; i++) submit(e, operands, i + 1);
  sleep(4);
  long after = resident_kb();
  for (uint64_t i = 0; i < calls; i++) outcome_take(e);
  printf("%.1f KB a call, %" PRIu64 " waiting; all answered in %.1f s\n", (double)(after - before) / (double)calls,
         calls, (double)(clock_monotonic_us() - start) / 1e6);
}

int main(int argc, char **argv) {
  Effects *e;
  Err err;
  Buf operands = {0};
  pid_t child;
  struct rlimit files = {FDS_MAX, FDS_MAX};
  if (argc != 4) return 2;
  bool holds = strcmp(argv[1], "hold") == 0;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  int port = server_start(holds ? strtol(argv[3], NULL, 10) * 1000000 : 0, &child);
  if (!effects_new(&(EffectOptions){.allow_loopback = true}, &e, &err)) return 1;
  operands_make(port, &operands);
  if (holds) hold(e, buf_view(&operands), strtoull(argv[2], NULL, 10));
  else rate(e, buf_view(&operands), strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
  effects_free(e);
  buf_deinit(&operands);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  return 0;
}
