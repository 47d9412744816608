/* libcurl, loaded when the first HTTP effect comes.
**
** Linked the usual way it brings some thirty libraries into every start of z8, which
** costs 7 ms and 4 MB even where no HTTP is spoken (`z8 check`, a script that computes).
** So the functions are looked up at run time; types and constants are the header's. */
#ifndef Z8_CURL_API_H
#define Z8_CURL_API_H

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "vm/base/err.h"

typedef struct CurlApi {
#define CURL_FN(name) __typeof__(curl_##name) *name;
#include "vm/effects/curl_fns.def"
#undef CURL_FN
} CurlApi;

/* ERR_NOT_FOUND says what is missing on this machine. */
MUST_USE bool curl_api_load(CurlApi *api, Err *err);

#endif
