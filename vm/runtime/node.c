/* Opening and closing a data directory; programs by the hash of their bundle. */
#include "vm/runtime/node.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "vm/base/file.h"
#include "vm/base/mem.h"
#include "vm/base/table.h"

typedef struct NodeProgram {
  Hash256 id;
  Arena arena; /* of a bundle read from the store */
  Bundle own;
  Program *program;
  Buf unstored; /* bytes not in the store yet */
} NodeProgram;

struct Node {
  struct Testing *testing;
  char *dir;
  int lock_fd; /* -1: none */
  Store *store;
  Hash256 tenant_key;
  Table *programs; /* by bundle id */
};

static char *path_join(const char *dir, const char *name) {
  size_t dir_size = strlen(dir), name_size = strlen(name);
  char *path = mem_alloc(dir_size + name_size + 2);
  memcpy(path, dir, dir_size);
  path[dir_size] = '/';
  memcpy(path + dir_size + 1, name, name_size);
  return path;
}

/* ---- opening ------------------------------------------------------------- */

static bool directory_ready(const NodeOptions *options, Err *err) {
  struct stat info;
  if (!options->must_exist) return dir_make(options->dir, err);
  char *db = path_join(options->dir, "z8.db");
  bool there = stat(db, &info) == 0;
  mem_free(db);
  if (!there)
    FAIL(err, ERR_NOT_FOUND, "there are no runs in %s; is it the right --dir?", options->dir);
  return there;
}

static bool lock_directory(Node *node, Err *err) {
  char *path = path_join(node->dir, "lock");
  bool ok = lock_take(path, &node->lock_fd, err);
  mem_free(path);
  if (!ok) node->lock_fd = -1;
  return ok;
}

/* Blob ids are keyed so that nobody can tell from an id whether two tenants hold the same bytes. */
static bool tenant_key_ready(Node *node, bool fixed, Err *err) {
  Buf stored = {0};
  bool ok = true;
  memset(node->tenant_key.byte, 0x5a, sizeof node->tenant_key.byte);
  if (store_meta_get(node->store, "tenant_key", &stored, err) && stored.size == 32) {
    memcpy(node->tenant_key.byte, stored.at, 32);
  } else {
    if (!fixed) random_bytes(node->tenant_key.byte, 32);
    ok = store_meta_set(node->store, "tenant_key", (Str){(char *)node->tenant_key.byte, 32}, err);
  }
  buf_deinit(&stored);
  return ok;
}

static bool store_ready(Node *node, const NodeOptions *options, Err *err) {
  if (options->memory) node->store = store_open_memory();
  else if (!directory_ready(options, err) || !lock_directory(node, err) ||
           !store_open_sqlite(node->dir, options->vfs, &node->store, err))
    return false;
  return tenant_key_ready(node, options->fixed_key, err);
}

bool node_open(const NodeOptions *options, Node **out, Err *err) {
  Node *node = MEM_NEW(Node);
  node->lock_fd = -1;
  node->dir = mem_alloc(strlen(options->dir) + 1);
  memcpy(node->dir, options->dir, strlen(options->dir));
  node->programs = table_new();
  if (!store_ready(node, options, err)) {
    node_close(node);
    return false;
  }
  *out = node;
  return true;
}

static void program_drop(NodeProgram *p) {
  program_free(p->program);
  arena_deinit(&p->arena);
  buf_deinit(&p->unstored);
  mem_free(p);
}

void node_close(Node *node) {
  uint32_t cursor = 0;
  Str key;
  void *value;
  if (node == NULL) return;
  while (table_next(node->programs, &cursor, &key, &value)) program_drop(value);
  table_free(node->programs);
  if (node->store != NULL) store_close(node->store);
  if (node->lock_fd >= 0) lock_release(node->lock_fd);
  mem_free(node->dir);
  mem_free(node);
}

void node_testing_set(Node *node, struct Testing *testing) { node->testing = testing; }
struct Testing *node_testing(const Node *node) { return node->testing; }

Store *node_store(Node *node) { return node->store; }
const char *node_dir(const Node *node) { return node->dir; }
Hash256 node_tenant_key(const Node *node) { return node->tenant_key; }

/* ---- programs ------------------------------------------------------------ */

static Str hash_key(const Hash256 *id) { return (Str){(const char *)id->byte, sizeof id->byte}; }

static bool program_load(Node *node, NodeProgram *p, Err *err) {
  Buf bytes = {0};
  bool ok = store_bundle_get(node->store, p->id, &bytes, err) &&
            bundle_read(buf_view(&bytes), &p->arena, &p->own, err) &&
            program_new(&p->own, &p->program, err);
  buf_deinit(&bytes);
  return ok;
}

bool node_program(Node *node, Hash256 bundle, const Program **out, Err *err) {
  NodeProgram *p = table_get(node->programs, hash_key(&bundle));
  if (p == NULL) {
    p = MEM_NEW(NodeProgram);
    p->id = bundle;
    arena_init(&p->arena);
    if (!program_load(node, p, err)) {
      program_drop(p);
      return false;
    }
    table_set(node->programs, hash_key(&bundle), p);
  }
  *out = p->program;
  return true;
}

static void bytes_keep(Node *node, NodeProgram *p, Str bytes) {
  Buf stored = {0};
  Err ignored;
  if (!store_bundle_get(node->store, p->id, &stored, &ignored)) buf_str(&p->unstored, bytes);
  buf_deinit(&stored);
}

bool node_program_add(Node *node, const Bundle *bundle, Str bytes, const Program **out, Err *err) {
  NodeProgram *p = table_get(node->programs, hash_key(&bundle->id));
  if (p == NULL) {
    p = MEM_NEW(NodeProgram);
    p->id = bundle->id;
    arena_init(&p->arena);
    if (!program_new(bundle, &p->program, err)) {
      program_drop(p);
      return false;
    }
    bytes_keep(node, p, bytes);
    table_set(node->programs, hash_key(&bundle->id), p);
  }
  *out = p->program;
  return true;
}

bool node_bundle_take(Node *node, Hash256 bundle, Str *bytes) {
  NodeProgram *p = table_get(node->programs, hash_key(&bundle));
  if (p == NULL || p->unstored.size == 0) return false;
  *bytes = buf_view(&p->unstored);
  p->unstored.size = 0; /* the bytes stay where they are until the node closes */
  return true;
}

/* ---- secrets ------------------------------------------------------------- */

/* Finds `name=value` among the lines. */
static bool line_find(Str text, Str name, Buf *value) {
  while (text.size > 0) {
    const char *end = memchr(text.at, '\n', text.size);
    size_t size = end ? (size_t)(end - text.at) : text.size;
    if (size > name.size && text.at[name.size] == '=' && memcmp(text.at, name.at, name.size) == 0) {
      buf_put(value, text.at + name.size + 1, size - name.size - 1);
      return true;
    }
    size_t step = end ? size + 1 : size;
    text = (Str){text.at + step, text.size - step};
  }
  return false;
}

enum { SECRET_NAME_MAX = 200, SECRETS_FILE_MAX = 1 << 20 };

bool node_secret(Node *node, Str name, Buf *value) {
  char text[SECRET_NAME_MAX + 1] = {0};
  if (name.size == 0 || name.size > SECRET_NAME_MAX) return false;
  memcpy(text, name.at, name.size);
  const char *set = getenv(text);
  if (set != NULL) {
    buf_text(value, set);
    return true;
  }
  Buf file = {0};
  Err ignored;
  char *path = path_join(node->dir, "secrets");
  bool found =
      file_read(path, SECRETS_FILE_MAX, &file, &ignored) && line_find(buf_view(&file), name, value);
  buf_deinit(&file);
  mem_free(path);
  return found;
}
