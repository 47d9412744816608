/* Server and client of the directory's socket. */
#include "vm/runtime/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "vm/base/mem.h"

typedef struct Client {
  int fd;
  Buf in, out;
  size_t sent;
  uint64_t serial;
  bool deferred; /* it was read whole, and its answer comes later */
  bool subscriber, ending; /* ending: when all is read it is over */
  size_t room;
} Client;

struct Control {
  int listen_fd, epoll_fd, dir_fd;
  Client *clients[CONTROL_CLIENTS_MAX];
  Client *answering; /* while `answer` is called */
  uint64_t serial;
};

/* A data directory's path may be longer than a socket's name may be, so the name goes through
 * /proc. */
static bool socket_address(const char *dir, int *dir_fd, struct sockaddr_un *address, Err *err) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  *dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (*dir_fd < 0) {
    FAIL(err, ERR_NOT_FOUND, "%s: %s", dir, strerror(errno));
    return false;
  }
  snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/control.sock", *dir_fd);
  return true;
}

/* ---- the server ---------------------------------------------------------- */

static bool watch(int epoll_fd, int fd, uint32_t events, void *data, int operation) {
  struct epoll_event event = {.events = events, .data = {.ptr = data}};
  return epoll_ctl(epoll_fd, operation, fd, &event) == 0;
}

static bool listen_at(Control *c, const struct sockaddr_un *address) {
  unlinkat(c->dir_fd, "control.sock", 0);
  mode_t before = umask(0077);
  bool bound = bind(c->listen_fd, (const struct sockaddr *)address, sizeof *address) == 0;
  umask(before);
  return bound && listen(c->listen_fd, 16) == 0 &&
         watch(c->epoll_fd, c->listen_fd, EPOLLIN, NULL, EPOLL_CTL_ADD);
}

bool control_open(const char *dir, Control **out, Err *err) {
  struct sockaddr_un address;
  Control *c = MEM_NEW(Control);
  c->listen_fd = c->epoll_fd = c->dir_fd = -1;
  if (!socket_address(dir, &c->dir_fd, &address, err)) goto fail;
  c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (c->listen_fd < 0 || c->epoll_fd < 0 || !listen_at(c, &address)) {
    FAIL(err, ERR_IO, "cannot listen in %s: %s", dir, strerror(errno));
    goto fail;
  }
  *out = c;
  return true;
fail:
  control_close(c);
  return false;
}

static void client_drop(Control *c, uint32_t i) {
  Client *client = c->clients[i];
  close(client->fd);
  buf_deinit(&client->in);
  buf_deinit(&client->out);
  mem_free(client);
  c->clients[i] = NULL;
}

void control_close(Control *c) {
  if (c == NULL) return;
  for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
    if (c->clients[i] != NULL) client_drop(c, i);
  if (c->listen_fd >= 0 && c->dir_fd >= 0) unlinkat(c->dir_fd, "control.sock", 0);
  if (c->listen_fd >= 0) close(c->listen_fd);
  if (c->epoll_fd >= 0) close(c->epoll_fd);
  if (c->dir_fd >= 0) close(c->dir_fd);
  mem_free(c);
}

int control_fd(const Control *c) { return c->epoll_fd; }

static void clients_accept(Control *c) {
  for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
    if (c->clients[i] != NULL) continue;
    int fd = accept4(c->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    c->clients[i] = MEM_NEW(Client);
    c->clients[i]->fd = fd;
    c->clients[i]->serial = ++c->serial;
    c->clients[i]->in.max = CONTROL_MESSAGE_MAX + 4;
    if (!watch(c->epoll_fd, fd, EPOLLIN, c->clients[i], EPOLL_CTL_ADD)) client_drop(c, i);
  }
}

static void frame_put(Buf *out, Str body) {
  uint8_t head[4] = {(uint8_t)(body.size >> 24), (uint8_t)(body.size >> 16),
                     (uint8_t)(body.size >> 8), (uint8_t)body.size};
  buf_put(out, head, 4);
  buf_str(out, body);
}

/* 1: a whole frame; 0: more is to come; -1: too large. */
static int frame_get(const Buf *in, Str *body) {
  const uint8_t *p = (const uint8_t *)in->at;
  if (in->full) return -1;
  if (in->size < 4) return 0;
  size_t size = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
  if (size > CONTROL_MESSAGE_MAX) return -1;
  *body = (Str){in->at + 4, size};
  return in->size - 4 >= size;
}

/* False: the connection is over. */
static bool client_read(Client *client) {
  char bytes[16384];
  for (;;) {
    ssize_t n = read(client->fd, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN;
    if (n == 0) return false;
    buf_put(&client->in, bytes, (size_t)n);
    if (client->in.full) return false;
  }
}

/* 1: all is written; 0: the rest follows when the other side reads; -1: the connection is over. */
static int client_push(Control *c, Client *client) {
  while (client->sent < client->out.size) {
    ssize_t n = send(client->fd, client->out.at + client->sent, client->out.size - client->sent,
                     MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN)
      return watch(c->epoll_fd, client->fd, client->subscriber ? EPOLLIN | EPOLLOUT : EPOLLOUT, client,
                   EPOLL_CTL_MOD) ? 0 : -1;
    if (n < 0) return -1;
    client->sent += (size_t)n;
  }
  return 1;
}

/* False: the connection is over. */
static bool client_write(Control *c, Client *client) { return client_push(c, client) == 0; }

/* What was sent makes room. */
static void subscriber_compact(Client *client) {
  if (client->sent == 0) return;
  memmove(client->out.at, client->out.at + client->sent, client->out.size - client->sent);
  client->out.size -= client->sent;
  client->sent = 0;
}

static bool subscriber_push(Control *c, Client *client) {
  int pushed = client_push(c, client);
  if (pushed < 0 || (pushed == 1 && client->ending)) return false;
  bool quiet = pushed == 1 && client->out.size > 0;
  subscriber_compact(client);
  return !quiet || watch(c->epoll_fd, client->fd, EPOLLIN, client, EPOLL_CTL_MOD);
}

/* It has nothing more to say: what it sends is taken for its end. */
static bool subscriber_serve(Control *c, Client *client) {
  char byte;
  ssize_t n = recv(client->fd, &byte, 1, MSG_PEEK);
  bool here = n < 0 && (errno == EAGAIN || errno == EINTR);
  return here && subscriber_push(c, client);
}

static bool client_serve(Control *c, Client *client, void (*answer)(void *, Str, Buf *),
                         void *context) {
  Str request;
  if (client->subscriber) return subscriber_serve(c, client);
  if (client->out.size > 0) return client_write(c, client);
  bool open = client_read(client);
  if (client->deferred) return open;
  int whole = frame_get(&client->in, &request);
  if (whole == 0) return open;
  if (whole < 0) return false;
  Buf reply = {.max = CONTROL_MESSAGE_MAX};
  c->answering = client;
  answer(context, request, &reply);
  c->answering = NULL;
  if (!client->deferred) frame_put(&client->out, buf_view(&reply));
  buf_deinit(&reply);
  if (client->subscriber) client->deferred = false;
  if (client->subscriber) return open && subscriber_push(c, client);
  return client->deferred ? open : client_write(c, client);
}

ControlTicket control_defer(Control *c) {
  ASSERT(c->answering != NULL);
  c->answering->deferred = true;
  ControlTicket ticket = {0, c->answering->serial};
  while (c->clients[ticket.client] != c->answering) ticket.client++;
  return ticket;
}

void control_reply(Control *c, ControlTicket ticket, Str answer) {
  Client *client = c->clients[ticket.client];
  if (client == NULL || client->serial != ticket.serial) return;
  client->deferred = false;
  frame_put(&client->out, answer);
  if (!client_write(c, client)) client_drop(c, ticket.client);
}

bool control_subscribe(Control *c, size_t room, ControlTicket *out) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) count += c->clients[i] != NULL && c->clients[i]->subscriber;
  if (count >= CONTROL_SUBSCRIBERS_MAX) return false;
  *out = control_defer(c);
  c->answering->subscriber = true;
  c->answering->room = room;
  return true;
}

Feed control_feed(Control *c, ControlTicket ticket, Str frame, bool last) {
  Client *client = c->clients[ticket.client];
  if (client == NULL || client->serial != ticket.serial || client->ending) return FEED_GONE;
  if (!last && client->out.size - client->sent + frame.size + 4 > client->room) return FEED_FULL;
  frame_put(&client->out, frame);
  client->ending = last;
  if (client == c->answering || subscriber_push(c, client)) return FEED_DONE;
  client_drop(c, ticket.client);
  return last ? FEED_DONE : FEED_GONE;
}

static void client_event(Control *c, Client *client, void (*answer)(void *, Str, Buf *),
                         void *context) {
  for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
    if (c->clients[i] != client) continue;
    if (!client_serve(c, client, answer, context)) client_drop(c, i);
    return;
  }
}

void control_serve(Control *c, void (*answer)(void *context, Str request, Buf *answer),
                   void *context) {
  struct epoll_event events[16];
  int count = epoll_wait(c->epoll_fd, events, 16, 0);
  for (int i = 0; i < count; i++) {
    if (events[i].data.ptr == NULL) clients_accept(c);
    else client_event(c, events[i].data.ptr, answer, context);
  }
}

/* ---- the client ---------------------------------------------------------- */

static bool send_all(int fd, const Buf *frame) {
  size_t at = 0;
  while (at < frame->size) {
    ssize_t n = send(fd, frame->at + at, frame->size - at, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += (size_t)n;
  }
  return true;
}

/* False: a frame is broken, or it ended before one was whole. `in` keeps what came. */
static bool receive_into(int fd, Buf *in, Str *body) {
  char bytes[16384];
  int whole;
  while ((whole = frame_get(in, body)) == 0) {
    ssize_t n = read(fd, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    buf_put(in, bytes, (size_t)n);
  }
  return whole == 1;
}

static bool receive_frame(int fd, Buf *answer) {
  Buf in = {.max = CONTROL_MESSAGE_MAX + 4};
  Str body;
  bool whole = receive_into(fd, &in, &body);
  if (whole) buf_str(answer, body);
  buf_deinit(&in);
  return whole;
}

static bool exchange(int fd, Str request, Buf *answer, Err *err) {
  Buf frame = {0};
  frame_put(&frame, request);
  bool ok = send_all(fd, &frame) && receive_frame(fd, answer);
  if (!ok) FAIL(err, ERR_IO, "the process that holds the directory did not answer; is it ending?");
  buf_deinit(&frame);
  return ok;
}

/* A connected socket, or -1. */
static int control_connect(const char *dir, Err *err) {
  struct sockaddr_un address;
  int dir_fd;
  if (!socket_address(dir, &dir_fd, &address, err)) return -1;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool ok = fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
  close(dir_fd);
  if (ok) return fd;
  FAIL(err, ERR_NOT_FOUND, "nobody listens in %s", dir);
  if (fd >= 0) close(fd);
  return -1;
}

bool control_listens(const char *dir) {
  Err ignored;
  int fd = control_connect(dir, &ignored);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

bool control_ask(const char *dir, Str request, Buf *answer, Err *err) {
  int fd = control_connect(dir, err);
  if (fd < 0) return false;
  bool ok = exchange(fd, request, answer, err);
  close(fd);
  return ok;
}

static bool follow(int fd, bool (*each)(void *context, Str frame), void *context) {
  Buf in = {.max = CONTROL_MESSAGE_MAX + 4};
  Str body;
  bool more = true;
  while (more && receive_into(fd, &in, &body)) {
    more = each(context, body);
    size_t taken = body.size + 4;
    memmove(in.at, in.at + taken, in.size - taken);
    in.size -= taken;
  }
  buf_deinit(&in);
  return !more;
}

bool control_follow(const char *dir, Str request, bool (*each)(void *context, Str frame), void *context, Err *err) {
  Buf frame = {0};
  int fd = control_connect(dir, err);
  if (fd < 0) return false;
  frame_put(&frame, request);
  bool ended = send_all(fd, &frame) && follow(fd, each, context);
  buf_deinit(&frame);
  close(fd);
  return ended;
}
