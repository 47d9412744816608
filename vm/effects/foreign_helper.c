/* The extern helper: a process of its own that loads libraries and calls their functions
** through libffi. It may crash; nothing is lost but the outcome of that call. */
#include <dlfcn.h>
#include <errno.h>
#include <ffi.h>
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/base/text.h"
#include "vm/effects/effect.h"
#include "vm/effects/foreign_wire.h"

typedef struct Call {
  Str library, symbol, kinds;
  uint64_t result;
  bool any_path;
  uint64_t arg_count;
  void *function;
  ffi_type *types[FOREIGN_PARAMS];
  void *values[FOREIGN_PARAMS];
  union CallSlot {
    int64_t i;
    double f;
    char *text;
  } slots[FOREIGN_PARAMS];
} Call;

/* ---- frames ------------------------------------------------------------------- */

static bool read_all(void *to, size_t size) {
  char *at = to;
  while (size > 0) {
    ssize_t n = read(FOREIGN_FD, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    size -= (size_t)n;
  }
  return true;
}

static bool write_all(const char *at, size_t size) {
  while (size > 0) {
    ssize_t n = write(FOREIGN_FD, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    size -= (size_t)n;
  }
  return true;
}

static bool frame_read(Buf *frame) {
  uint32_t size;
  buf_clear(frame);
  if (!read_all(&size, sizeof size) || size > FOREIGN_FRAME_MAX) return false;
  char *room = buf_more(frame, size);
  if (room == NULL || !read_all(room, size)) return false;
  frame->size += size;
  return true;
}

static bool frame_write(const Buf *body) {
  uint32_t size = (uint32_t)body->size;
  return write_all((const char *)&size, sizeof size) && write_all(body->at, body->size);
}

/* ---- arguments ------------------------------------------------------------------ */

static bool integer_take(const CborItem *item, int64_t *out) {
  if (item->kind == CBOR_UINT && item->n <= INT64_MAX) *out = (int64_t)item->n;
  else if (item->kind == CBOR_NEGINT) *out = -1 - (int64_t)item->n;
  else return false;
  return true;
}

static bool text_take(const CborItem *item, union CallSlot *slot) {
  if (item->kind != CBOR_TEXT || memchr(item->bytes.at, 0, item->bytes.size) != NULL) return false;
  slot->text = mem_alloc(item->bytes.size + 1);
  memcpy(slot->text, item->bytes.at, item->bytes.size);
  return true;
}

static bool argument_take(Call *c, uint64_t i, const CborItem *item) {
  union CallSlot *slot = &c->slots[i];
  c->values[i] = slot;
  switch ((TypeKind)c->kinds.at[i]) {
    case TYPE_INT:
      c->types[i] = &ffi_type_sint64;
      return integer_take(item, &slot->i);
    case TYPE_FLOAT:
      c->types[i] = &ffi_type_double;
      if (item->kind == CBOR_FLOAT) slot->f = item->f;
      else if (integer_take(item, &slot->i)) slot->f = (double)slot->i;
      else return false;
      return true;
    case TYPE_BOOL:
      c->types[i] = &ffi_type_sint64;
      slot->i = item->n != 0;
      return item->kind == CBOR_BOOL;
    case TYPE_STRING:
      c->types[i] = &ffi_type_pointer;
      return text_take(item, slot);
    default:
      return false;
  }
}

static bool call_read(Call *c, Str frame, Err *err) {
  CborReader r = cbor_reader(frame);
  CborItem item;
  uint64_t count;
  if (!cbor_array(&r, &count, err) || !cbor_text(&r, &c->library, err) ||
      !cbor_text(&r, &c->symbol, err) || !cbor_bytes(&r, &c->kinds, err) ||
      !cbor_uint(&r, &c->result, err) || !cbor_next(&r, &item, err))
    return false;
  c->any_path = item.n != 0;
  if (!cbor_array(&r, &c->arg_count, err)) return false;
  if (c->arg_count != c->kinds.size || c->arg_count > FOREIGN_PARAMS) {
    FAIL(err, ERR_INVALID, "it takes %zu arguments (32 at most), and %" PRIu64 " came",
         c->kinds.size, c->arg_count);
    return false;
  }
  for (uint64_t i = 0; i < c->arg_count; i++) {
    if (!cbor_next(&r, &item, err)) return false;
    if (argument_take(c, i, &item)) continue;
    FAIL(err, ERR_INVALID, "argument %" PRIu64 " must be %s", i + 1,
         type_kind_word((TypeKind)c->kinds.at[i]));
    return false;
  }
  return true;
}

/* ---- libraries ------------------------------------------------------------------- */

/* Where the loader found it: only what the system itself installed counts as the system's. */
static bool is_system_library(void *library) {
  static const char *const folders[] = {"/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/",
                                        "/usr/local/lib/"};
  struct link_map *map = NULL;
  if (dlinfo(library, RTLD_DI_LINKMAP, &map) != 0 || map == NULL) return false;
  for (size_t i = 0; i < COUNT_OF(folders); i++)
    if (strncmp(map->l_name, folders[i], strlen(folders[i])) == 0) return true;
  return false;
}

static char *text_copy(Str s) {
  char *copy = mem_alloc(s.size + 1);
  memcpy(copy, s.at, s.size);
  return copy;
}

static bool function_find(Call *c, Err *err) {
  char *library = text_copy(c->library), *symbol = text_copy(c->symbol);
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) FAIL(err, ERR_NOT_FOUND, "%s", dlerror());
  else if (!c->any_path && !is_system_library(handle))
    FAIL(err, ERR_DENIED, "%s is not a library of the system", library);
  else c->function = dlsym(handle, symbol);
  if (handle != NULL && err->code == ERR_NONE && c->function == NULL)
    FAIL(err, ERR_NOT_FOUND, "%s has no function named %s", library, symbol);
  mem_free(library);
  mem_free(symbol);
  return c->function != NULL;
}

/* ---- the call ---------------------------------------------------------------------- */

typedef union CallResult {
  ffi_arg word;
  int64_t i;
  double f;
  const char *text;
} CallResult;

static ffi_type *result_type(uint64_t kind) {
  switch ((TypeKind)kind) {
    case TYPE_INT:
      return &ffi_type_sint64;
    case TYPE_BOOL:
      return &ffi_type_sint32;
    case TYPE_FLOAT:
      return &ffi_type_double;
    case TYPE_STRING:
      return &ffi_type_pointer;
    case TYPE_NIL:
    case TYPE_ANY:
      return &ffi_type_void;
    default:
      return NULL;
  }
}

static bool result_put(const Call *c, const CallResult *result, Buf *value, Err *err) {
  switch ((TypeKind)c->result) {
    case TYPE_INT:
      cbor_put_int(value, result->i);
      return true;
    case TYPE_BOOL:
      cbor_put_bool(value, (uint32_t)result->word != 0);
      return true;
    case TYPE_FLOAT:
      cbor_put_float(value, result->f);
      return true;
    case TYPE_STRING: {
      Str text = str_of(result->text);
      if (text.at == NULL) {
        cbor_put_nil(value);
        return true;
      }
      if (text.size > FOREIGN_FRAME_MAX / 2 || !utf8_valid(text)) {
        FAIL(err, ERR_INVALID, "its result is not UTF-8 text, or too long");
        return false;
      }
      cbor_put_text(value, text);
      return true;
    }
    default:
      cbor_put_nil(value);
      return true;
  }
}

static bool call_make(Call *c, Buf *value, Err *err) {
  ffi_cif cif;
  CallResult result = {0};
  ffi_type *type = result_type(c->result);
  if (type == NULL ||
      ffi_prep_cif(&cif, FFI_DEFAULT_ABI, (unsigned)c->arg_count, type, c->types) != FFI_OK) {
    FAIL(err, ERR_INVALID, "such a signature cannot be called");
    return false;
  }
  ffi_call(&cif, FFI_FN(c->function), &result, c->values);
  return result_put(c, &result, value, err);
}

static void call_deinit(Call *c) {
  for (uint64_t i = 0; i < c->arg_count && i < FOREIGN_PARAMS; i++)
    if (c->types[i] == &ffi_type_pointer) mem_free(c->slots[i].text);
}

static bool serve_one(Buf *frame) {
  Call call = {0};
  Err err = {0};
  Buf value = {0}, reply = {0};
  if (!frame_read(frame)) return false;
  bool ok = call_read(&call, buf_view(frame), &err) && function_find(&call, &err) &&
            call_make(&call, &value, &err);
  cbor_put_array(&reply, 2);
  cbor_put_text(&reply, ok ? STR("ok") : STR("error"));
  if (ok) buf_str(&reply, buf_view(&value));
  else cbor_put_text(&reply, utf8_valid(str_of(err.text)) ? str_of(err.text) : STR("it failed"));
  ok = frame_write(&reply);
  call_deinit(&call);
  buf_deinit(&value);
  buf_deinit(&reply);
  return ok;
}

int extern_helper_main(void) {
  struct rlimit no_core = {0, 0};
  Buf frame = {.max = FOREIGN_FRAME_MAX};
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setrlimit(RLIMIT_CORE, &no_core);
  while (serve_one(&frame)) {
  }
  buf_deinit(&frame);
  return 0;
}
