/* The world of test_sweep.c: a server on loopback that counts by Idempotency-Key what it was asked
** and what it did, and loses replies. */
#ifndef Z8_SWEEP_WORLD_H
#define Z8_SWEEP_WORLD_H

#include "loopback.h"
#include "tests/unit/test.h"

/* ---- the world ------------------------------------------------------------------- */

enum { KEYS_MAX = 256, KEY_SIZE = 120 };

typedef struct Asked { /* one Idempotency-Key */
  char key[KEY_SIZE];
  int received, performed, n;
  bool irreversible, confirmed; /* confirmed: its outcome is in the journal */
} Asked;

typedef struct World {
  Loopback net; /* its listening socket and port; the threads are ours */
  pthread_mutex_t lock;
  Asked keys[KEYS_MAX];
  int key_count, requests, clients, asked_again;
} World;

static World world = {.lock = PTHREAD_MUTEX_INITIALIZER};

static Asked *world_asked(const char *key) {
  for (int i = 0; i < world.key_count; i++)
    if (strcmp(world.keys[i].key, key) == 0) return &world.keys[i];
  if (world.key_count == KEYS_MAX) abort();
  Asked *a = &world.keys[world.key_count++];
  *a = (Asked){0};
  snprintf(a->key, sizeof a->key, "%s", key);
  return a;
}

static void header_value(const char *head, const char *name, char out[KEY_SIZE]) {
  const char *at = strcasestr(head, name);
  out[0] = 0;
  if (at == NULL) return;
  at += strlen(name);
  at += strspn(at, " ");
  snprintf(out, KEY_SIZE, "%.*s", (int)strcspn(at, "\r"), at);
}

static void reply_number(int fd, int status, int n) {
  char body[40];
  int size = snprintf(body, sizeof body, "{\"n\":%d}", n);
  loop_reply(fd, status, "Content-Type: application/json\r\n", (Str){body, (size_t)size});
}

/* The first time: 503 for /add/2, a reply lost after the deed for /pay/3 and /hand/5, and a
 * connection lost before it for /pay/4. False: no answer. */
static bool world_post(int fd, const char *path, const char *key) {
  int n = atoi(strchr(path + 1, '/') + 1);
  pthread_mutex_lock(&world.lock);
  Asked *a = world_asked(key);
  bool first = a->received++ == 0, busy = n == 2 && first, refused = n == 402;
  bool dropped = strncmp(path, "/pay/4", 6) == 0 && first;
  bool lost = first && (strncmp(path, "/pay/3", 6) == 0 || strncmp(path, "/hand/", 6) == 0);
  a->n = n + 1;
  a->irreversible = strncmp(path, "/add/", 5) != 0;
  if (a->confirmed) world.asked_again++;
  if (!busy && !refused && !dropped) a->performed++;
  pthread_mutex_unlock(&world.lock);
  if (dropped || lost) return false;
  reply_number(fd, busy ? 503 : refused ? 402 : 200, n + 1);
  return true;
}

static void world_by_key(int fd, const char *path) {
  char key[KEY_SIZE];
  snprintf(key, sizeof key, "%.*s", (int)strcspn(path, " "), path);
  pthread_mutex_lock(&world.lock);
  const Asked *a = world_asked(key);
  int n = a->performed > 0 ? a->n : 0;
  pthread_mutex_unlock(&world.lock);
  reply_number(fd, n ? 200 : 404, n);
}

static bool world_answer(int fd, char *request, size_t head, size_t whole) {
  const char *path = strchr(request, ' ') + 1;
  char key[KEY_SIZE];
  header_value(request, "\nidempotency-key:", key);
  if (strncmp(path, "/echo", 5) == 0) {
    loop_reply(fd, 200, "", (Str){request + head, whole - head});
  } else if (strncmp(path, "/by-key/", 8) == 0) {
    world_by_key(fd, path + 8);
  } else if (strncmp(request, "POST ", 5) == 0) {
    return world_post(fd, path, key);
  } else {
    if (strncmp(path, "/slow/", 6) == 0) usleep(5000);
    reply_number(fd, 200, atoi(strchr(path + 1, '/') + 1) + 1);
  }
  return true;
}

static void world_count(int *counter, int change) {
  pthread_mutex_lock(&world.lock);
  *counter += change;
  pthread_mutex_unlock(&world.lock);
}

static void *world_client(void *context) {
  enum { CAP = 1 << 16 };
  int fd = *(int *)context;
  char *request = malloc(CAP);
  size_t head, whole;
  while ((head = loop_request(fd, request, CAP, &whole)) > 0) {
    world_count(&world.requests, 1);
    if (!world_answer(fd, request, head, whole)) break;
  }
  free(request);
  free(context);
  close(fd);
  world_count(&world.clients, -1);
  return NULL;
}

static void *world_main(void *context) {
  int fd;
  (void)context;
  while ((fd = accept(world.net.fd, NULL, NULL)) >= 0) {
    int *own = malloc(sizeof *own);
    pthread_t thread;
    *own = fd;
    world_count(&world.clients, 1);
    pthread_create(&thread, NULL, world_client, own);
    pthread_detach(thread);
  }
  return NULL;
}

static void world_start(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  world.net.fd = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(world.net.fd, (struct sockaddr *)&address, size) != 0 || listen(world.net.fd, 64) != 0)
    abort();
  getsockname(world.net.fd, (struct sockaddr *)&address, &size);
  world.net.port = ntohs(address.sin_port);
  pthread_create(&world.net.thread, NULL, world_main, NULL);
}

static int world_get(const int *counter) {
  pthread_mutex_lock(&world.lock);
  int n = *counter;
  pthread_mutex_unlock(&world.lock);
  return n;
}

/* What a dead process had sent is still on its way: waits until all of it has been dealt with. A
 * connection of our own is accepted after all of the dead one's. */
static void world_drain(void) {
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)world.net.port),
                           .sin_addr = {htonl(INADDR_LOOPBACK)}};
  char answer[200];
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) abort();
  loop_put(fd, "GET /look/1 HTTP/1.1\r\n\r\n", 24);
  CHECK(recv(fd, answer, sizeof answer, 0) > 0);
  close(fd);
  while (world_get(&world.clients) > 0) usleep(100);
}

#endif
