/* Thousands of requests over libcurl at a time, in one thread.
**
** Sockets are watched by epoll and libcurl is told what happened (its socket interface): with 10 000 requests waiting,
** polling them all at each step would cost more than the requests. libcurl looks for a connection to use again by
** walking over all it has to that host, so requests are spread over shards, each a multi handle with connections of its
** own, filled from the first on.
**
** Shards of TLS are larger, as a handshake costs more than the walk, and each multi handle keeps the certificates of
** all authorities, most of a megabyte. */
#ifndef Z8_SHARDS_H
#define Z8_SHARDS_H

#include "vm/effects/curl_api.h"

enum { SHARD_REQUESTS = 256, SHARD_REQUESTS_TLS = 4096 };

typedef struct Shard Shard;
typedef struct Shards Shards;
/* A request is over. It is still to be removed, which may be done here. */
typedef void ShardsDone(void *context, CURL *easy, CURLcode code);

/* api must outlive it. */
MUST_USE bool shards_open(const CurlApi *api, ShardsDone *done, void *context, Shards **out, Err *err);
void shards_close(Shards *s); /* no request may be left */
/* NULL: libcurl has no room for it. The request starts with the next turn. */
Shard *shards_add(Shards *s, CURL *easy, bool tls);
void shards_remove(Shard *shard, CURL *easy); /* not from within a callback of libcurl's */
int shards_fd(const Shards *s);               /* readable when a turn has to do */
int64_t shards_deadline_us(const Shards *s);  /* when one has to do anyway; 0: never */
bool shards_turn(Shards *s);                  /* what can be done without waiting; true: perhaps there is more */
bool shards_tidy(Shards *s);                  /* closes those long unused; false: none is open */

#endif
