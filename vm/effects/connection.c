/* Options, addresses and failures common to http_client.c and model_client.c. */
#include "vm/effects/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

/* ---- addresses ------------------------------------------------------------------ */

static bool is_private4(uint32_t a) {
  return a >> 24 == 127 || a >> 24 == 10 || a >> 24 == 0 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 ||
         a >> 16 == 0xa9fe || a >> 22 == 0x191 /* 100.64/10 */ || a >> 28 >= 0xe;
}

static bool is_private6(const struct in6_addr *a) {
  const uint8_t *b = a->s6_addr;
  if (IN6_IS_ADDR_V4MAPPED(a))
    return is_private4((uint32_t)b[12] << 24 | (uint32_t)b[13] << 16 | (uint32_t)b[14] << 8 | b[15]);
  return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a) || IN6_IS_ADDR_LINKLOCAL(a) ||
         IN6_IS_ADDR_MULTICAST(a) || (b[0] & 0xfe) == 0xfc;
}

static bool is_private(const struct curl_sockaddr *address) {
  if (address->family == AF_INET)
    return is_private4(ntohl(((const struct sockaddr_in *)(const void *)&address->addr)->sin_addr.s_addr));
  if (address->family == AF_INET6)
    return is_private6(&((const struct sockaddr_in6 *)(const void *)&address->addr)->sin6_addr);
  return true;
}

/* Checked on the address, so no name gets around it. */
static curl_socket_t on_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
  ConnectionGuard *guard = context;
  (void)purpose;
  if (!guard->allow_private && is_private(address)) {
    guard->refused = true;
    return CURL_SOCKET_BAD;
  }
  int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0 && (errno == EMFILE || errno == ENFILE)) guard->exhausted = true;
  return fd;
}

/* ---- options ---------------------------------------------------------------------- */

#define SET(option, value) (void)api->easy_setopt(easy, CURLOPT_##option, value)

/* Certificates of authorities come from one file: a folder beside it, which some builds of libcurl set by themselves,
** would make each connection read and keep the whole file again (25 ms and some 100 KB for the usual 140). */
static void authorities(const CurlApi *api, CURL *easy) {
  const char *given = getenv("SSL_CERT_FILE");
  char *usual = NULL;
  if (given != NULL && given[0] != 0) SET(CAINFO, given);
  else given = api->easy_getinfo(easy, CURLINFO_CAINFO, &usual) == CURLE_OK ? usual : NULL;
  if (given != NULL) SET(CAPATH, NULL);
}

void connection_prepare(const CurlApi *api, CURL *easy) {
  SET(NOSIGNAL, 1L);
  SET(PROTOCOLS_STR, "http,https");
  SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(SSL_VERIFYPEER, 1L);
  SET(SSL_VERIFYHOST, 2L);
  authorities(api, easy);
  SET(FOLLOWLOCATION, 0L);
  SET(NETRC, 0L);
  SET(OPENSOCKETFUNCTION, on_socket);
}

void connection_guard(const CurlApi *api, CURL *easy, ConnectionGuard *guard) { SET(OPENSOCKETDATA, guard); }

void connection_timeout(const CurlApi *api, CURL *easy, int64_t left_us) {
  if (left_us < 1000) left_us = 1000;
  SET(TIMEOUT_MS, (long)(left_us / 1000));
  SET(CONNECTTIMEOUT_MS, (long)((left_us < CONNECT_TIMEOUT_US ? left_us : CONNECT_TIMEOUT_US) / 1000));
}

/* ---- failures ---------------------------------------------------------------------- */

bool connection_sent(const CurlApi *api, CURL *easy, CURLcode code) {
  long bytes = 0;
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_URL_MALFORMAT:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
      return false;
    default: /* CURLE_UNSUPPORTED_PROTOCOL too: it is also said of an answer that is no HTTP */
      break;
  }
  api->easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &bytes);
  return bytes > 0;
}

const char *connection_why(const CurlApi *api, const ConnectionGuard *guard, CURLcode code, const char *said) {
  if (guard->refused) return "its address is in a private network, which this node does not call";
  if (guard->exhausted)
    return "this process has no file descriptor left for a connection; allow it more (ulimit -n)";
  return said[0] != 0 ? said : api->easy_strerror(code);
}
