/* A small HTTP server on loopback, in threads of the test itself. One request a time and
** connection; `hits` counts requests that were read whole.
**
**   /echo        {"method","path","headers":{…},"body"}     /status/N   that status
**   /json        {"a":[1,2.5,"x"]}                          /slow       answers after 400 ms
**   /lost        reads, then closes without an answer       /large/N    N bytes of 'x'
**   /to/PATH     302 to /PATH here                          /other      302 to /echo at "localhost"
** /rubbish bytes that are no HTTP /binary three bytes that are no UTF-8 */
#ifndef Z8_LOOPBACK_H
#define Z8_LOOPBACK_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vm/base/json.h"

typedef struct LoopClient LoopClient;
typedef struct Loopback {
  int fd, port;
  pthread_t thread;
  atomic_int hits, connections;
  /* Instead of the pages above; false: the connection is closed. */
  bool (*answer)(LoopClient *c, char *request, size_t head, size_t whole);
} Loopback;

struct LoopClient {
  Loopback *server;
  int fd, requests; /* so many on this connection, this one counted */
};

static inline void loop_put(int fd, const char *bytes, size_t size) {
  while (size > 0) {
    ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes += n;
    size -= (size_t)n;
  }
}

static inline void loop_reply(int fd, int status, const char *headers, Str body) {
  Buf out = {0};
  buf_format(&out, "HTTP/1.1 %d Fine\r\nContent-Length: %zu\r\n%s\r\n", status, body.size, headers);
  buf_str(&out, body);
  loop_put(fd, out.at, out.size);
  buf_deinit(&out);
}

static inline size_t loop_length(const char *head) {
  const char *at = strcasestr(head, "\ncontent-length:");
  return at != NULL ? (size_t)strtoul(at + 16, NULL, 10) : 0;
}

/* Reads one request into buf; its head's size, 0 at the end of the connection. */
static inline size_t loop_request(int fd, char *buf, size_t cap, size_t *whole) {
  size_t size = 0;
  for (;;) {
    ssize_t n = recv(fd, buf + size, cap - 1 - size, 0);
    if (n <= 0) return 0;
    size += (size_t)n;
    buf[size] = 0;
    const char *end = strstr(buf, "\r\n\r\n");
    if (end == NULL) continue;
    size_t head = (size_t)(end - buf) + 4;
    *whole = head + loop_length(buf);
    if (size >= *whole) return head;
  }
}

static inline void loop_echo(int fd, char *request, size_t head, size_t whole) {
  Buf out = {0};
  char *line = strstr(request, "\r\n") + 2, *space = strchr(request, ' ');
  char *path_end = strchr(space + 1, ' ');
  buf_text(&out, "{\"method\":");
  json_put_string(&out, (Str){request, (size_t)(space - request)});
  buf_text(&out, ",\"path\":");
  json_put_string(&out, (Str){space + 1, (size_t)(path_end - space - 1)});
  buf_text(&out, ",\"headers\":{");
  for (bool first = true; line < request + head - 2; first = false) {
    char *end = strstr(line, "\r\n"), *colon = strchr(line, ':');
    if (!first) buf_byte(&out, ',');
    json_put_string(&out, (Str){line, (size_t)(colon - line)});
    buf_byte(&out, ':');
    char *value = colon + 1 + strspn(colon + 1, " ");
    json_put_string(&out, (Str){value, (size_t)(end - value)});
    line = end + 2;
  }
  buf_text(&out, "},\"body\":");
  json_put_string(&out, (Str){request + head, whole - head});
  buf_byte(&out, '}');
  loop_reply(fd, 200,
             "Content-Type: application/json; charset=utf-8\r\nX-Twice: a\r\nX-Twice: b\r\n",
             buf_view(&out));
  buf_deinit(&out);
}

static inline bool loop_answer(LoopClient *c, char *request, size_t head, size_t whole) {
  char *path = strchr(request, ' ') + 1, headers[200];
  if (strncmp(path, "/echo", 5) == 0) loop_echo(c->fd, request, head, whole);
  else if (strncmp(path, "/json", 5) == 0)
    loop_reply(c->fd, 200, "Content-Type: application/json\r\n", STR("{\"a\":[1,2.5,\"x\"]}"));
  else if (strncmp(path, "/status/", 8) == 0) loop_reply(c->fd, atoi(path + 8), "", STR("said"));
  else if (strncmp(path, "/slow", 5) == 0) {
    usleep(400000);
    loop_reply(c->fd, 200, "", STR("late"));
  } else if (strncmp(path, "/lost", 5) == 0) return false;
  else if (strncmp(path, "/to/", 4) == 0) {
    snprintf(headers, sizeof headers, "Location: %.*s\r\n", (int)strcspn(path + 3, " "), path + 3);
    loop_reply(c->fd, 302, headers, STR("moved"));
  } else if (strncmp(path, "/other", 6) == 0) {
    snprintf(headers, sizeof headers, "Location: http://localhost:%d/echo\r\n", c->server->port);
    loop_reply(c->fd, 302, headers, STR("moved"));
  } else if (strncmp(path, "/large/", 7) == 0) {
    size_t size = (size_t)strtoul(path + 7, NULL, 10);
    char *body = malloc(size + 1);
    memset(body, 'x', size);
    loop_reply(c->fd, 200, "", (Str){body, size});
    free(body);
  } else if (strncmp(path, "/rubbish", 8) == 0) {
    loop_put(c->fd, "\x01\x02 what\r\n\r\n", 11);
    return false;
  } else if (strncmp(path, "/binary", 7) == 0) loop_reply(c->fd, 200, "", STR("\xff\xfe\x01"));
  else loop_reply(c->fd, 404, "", STR("no such page"));
  return true;
}

static inline void *loop_client(void *context) {
  LoopClient *c = context;
  enum { CAP = 1 << 20 };
  char *request = malloc(CAP);
  size_t head, whole;
  while ((head = loop_request(c->fd, request, CAP, &whole)) > 0) {
    atomic_fetch_add(&c->server->hits, 1);
    c->requests++;
    if (!(c->server->answer ? c->server->answer : loop_answer)(c, request, head, whole)) break;
  }
  free(request);
  close(c->fd);
  free(c);
  return NULL;
}

static inline void *loop_main(void *context) {
  Loopback *l = context;
  int fd;
  while ((fd = accept(l->fd, NULL, NULL)) >= 0) {
    LoopClient *c = malloc(sizeof *c);
    pthread_t thread;
    *c = (LoopClient){l, fd, 0};
    atomic_fetch_add(&l->connections, 1);
    pthread_create(&thread, NULL, loop_client, c);
    pthread_detach(thread);
  }
  return NULL;
}

static inline void loopback_start(Loopback *l) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  atomic_store(&l->hits, 0);
  atomic_store(&l->connections, 0);
  l->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(l->fd, (struct sockaddr *)&address, size) != 0 || listen(l->fd, 512) != 0) abort();
  getsockname(l->fd, (struct sockaddr *)&address, &size);
  l->port = ntohs(address.sin_port);
  pthread_create(&l->thread, NULL, loop_main, l);
}

static inline void loopback_stop(Loopback *l) {
  shutdown(l->fd, SHUT_RDWR);
  close(l->fd);
  pthread_join(l->thread, NULL);
}

#endif
