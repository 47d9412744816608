/* Clock, environment, secrets. */
#include "vm/runtime/host.h"

#include <stdlib.h>

#include "vm/base/file.h"
#include "vm/runtime/testing.h"

#define VIRTUAL_START_US INT64_C(1767225600000000) /* 2026-01-01T00:00:00Z */
enum { NAME_MAX_BYTES = 200 };

void clock_begin(Clock *clock, bool virtual_time) {
  clock->virtual_time = virtual_time;
  clock->now_us = VIRTUAL_START_US;
}

int64_t clock_now(const Clock *clock) {
  return clock->virtual_time ? clock->now_us : clock_now_us();
}

static int64_t host_now(void *context) {
  Host *host = context;
  if (!host->clock->virtual_time) return clock_now_us();
  return host->clock->now_us + ++host->readings;
}

static bool host_env(void *context, Str name, Buf *value) {
  (void)context;
  char text[NAME_MAX_BYTES + 1] = {0};
  if (name.size > NAME_MAX_BYTES) return false;
  memcpy(text, name.at, name.size);
  const char *set = getenv(text);
  if (set != NULL) buf_text(value, set);
  return set != NULL;
}

/* In a test every secret is there: what is stubbed needs none, and what is sent all the same is refused then. */
static bool host_has_secret(void *context, Str name) {
  Host *host = context;
  Buf value = {0};
  if (node_testing(host->node) != NULL) return true;
  bool found = node_secret(host->node, name, &value);
  if (value.at != NULL) memset(value.at, 0, value.size);
  buf_deinit(&value);
  return found;
}

static bool host_stubbed(void *context, Str tool) {
  const Host *host = context;
  const Testing *testing = node_testing(host->node);
  return testing != NULL && testing_stubbed(testing, tool);
}

void host_init(Host *host, Node *node, const Clock *clock) {
  *host = (Host){.node = node, .clock = clock};
  host->calls = (RunHost){host, host_now, host_env, host_has_secret, host_stubbed};
}

void host_settle(Host *host, int64_t *latest_us) {
  int64_t latest = host->clock->now_us + host->readings;
  if (latest > *latest_us) *latest_us = latest;
  host->readings = 0;
}
