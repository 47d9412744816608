/* What all that goes out over libcurl has in common: certificates are verified, only http and https are spoken,
** addresses of the node's own network are refused where it says so, and what is known of a request that failed.
** Proxies are those of the environment, as libcurl reads it. The authorities that may vouch for a server are the
** system's, or those in the file that SSL_CERT_FILE names. */
#ifndef Z8_CONNECTION_H
#define Z8_CONNECTION_H

#include "vm/effects/curl_api.h"

#define CONNECT_TIMEOUT_US INT64_C(10000000)

typedef struct ConnectionGuard { /* of one request; stays where it is while the request lives */
  bool allow_private;
  bool refused;   /* its address is private */
  bool exhausted; /* there was no descriptor for a socket */
} ConnectionGuard;

/* Sets all of that on a handle, and HTTP/1.1. */
void connection_prepare(const CurlApi *api, CURL *easy);
void connection_guard(const CurlApi *api, CURL *easy, ConnectionGuard *guard);
/* In whole milliseconds, at least one: the request's, and what of it connecting may take. */
void connection_timeout(const CurlApi *api, CURL *easy, int64_t left_us);
/* A request ended with this code: may a byte of it have left? */
bool connection_sent(const CurlApi *api, CURL *easy, CURLcode code);
/* Why, in words. `said` is libcurl's error buffer. */
const char *connection_why(const CurlApi *api, const ConnectionGuard *guard, CURLcode code, const char *said);

#endif
