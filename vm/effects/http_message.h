/* HTTP as data: a request out of operands, a reply into a value. No socket is known
** here, so that all of it can be fed rubbish by tests. */
#ifndef Z8_HTTP_MESSAGE_H
#define Z8_HTTP_MESSAGE_H

#include "vm/base/buf.h"
#include "vm/base/err.h"

enum { HTTP_HEADERS_MAX = 200, HTTP_HEADER_BYTES_MAX = 256 << 10 };

typedef struct HttpHeader {
  Str name, value;
} HttpHeader;

typedef struct HttpRequest {
  Str method;
  Buf url; /* terminated */
  HttpHeader headers[HTTP_HEADERS_MAX];
  uint32_t header_count;
  Buf texts; /* of header values that are not strings */
  bool has_body;
  Buf body;
  const char *body_type; /* content-type of the body; used if no header says */
  int64_t timeout_us;    /* 0: not given */
} HttpRequest;

/* Operands: an array of one map {method, url, headers?, json?, body?, timeout?}, nothing sealed. Headers point into
** it. ERR_INVALID says what does not fit. */
MUST_USE bool http_request_read(Str operands, HttpRequest *out, Err *err);
void http_request_deinit(HttpRequest *r); /* wipes what it held */
bool http_request_has(const HttpRequest *r, Str name);

typedef struct HttpReply {
  int64_t status;
  Buf names, values; /* of the headers, back to back */
  struct {
    uint32_t name, value;
  } ends[HTTP_HEADERS_MAX];
  uint32_t header_count;
  Buf body;
} HttpReply;

/* One line as it came, with its line end. A status line begins the headers anew (redirects, 100 Continue). False:
** there are too many. */
MUST_USE bool http_reply_line(HttpReply *reply, Str line);
/* {status, headers, body, json}: names in lower case; body a string if it is UTF-8, else bytes; json the parsed body
** if the content-type says so, else nil. */
void http_reply_encode(const HttpReply *reply, Buf *out);
void http_reply_deinit(HttpReply *reply);
bool http_reply_header(const HttpReply *reply, Str name, Str *value); /* name in lower case */

/* Scheme and host with port of a URL: what is safe to say in an error. Empty if there is none. */
Str http_origin(Str url);

#endif
