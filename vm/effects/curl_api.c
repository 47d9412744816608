/* Loading libcurl. */
#include "vm/effects/curl_api.h"

#include <dlfcn.h>

static bool function_load(void *library, const char *name, void *slot, Err *err) {
  void *at = dlsym(library, name);
  if (at == NULL) FAIL(err, ERR_NOT_FOUND, "libcurl has no %s; it is too old", name);
  memcpy(slot, &at, sizeof at);
  return at != NULL;
}

bool curl_api_load(CurlApi *api, Err *err) {
  void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    FAIL(err, ERR_NOT_FOUND,
         "HTTP needs libcurl (libcurl.so.4), which this machine does not have: %s", dlerror());
    return false;
  }
#define CURL_FN(name) \
  if (!function_load(library, "curl_" #name, &api->name, err)) return false;
#include "vm/effects/curl_fns.def"
#undef CURL_FN
  return api->global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}
