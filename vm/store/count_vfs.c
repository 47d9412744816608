/* Every call is passed on; xSync is counted first. Shared memory and locks are the
** base's own, so nothing of SQLite's guarantees changes. */
#include "vm/store/count_vfs.h"
#include "vm/base/mem.h"

struct CountVfs {
  sqlite3_vfs vfs; /* first: SQLite hands back a pointer to it */
  sqlite3_vfs *base;
  uint64_t syncs;
  char name[40];
};

typedef struct CountFile {
  sqlite3_file file; /* first, for the same reason; the base's file follows this struct */
  CountVfs *owner;
} CountFile;

enum { BASE_OFFSET = (sizeof(CountFile) + 15) / 16 * 16 };

static inline sqlite3_file *under(sqlite3_file *f) {
  return (sqlite3_file *)(void *)((char *)f + BASE_OFFSET);
}

/* ---- files ---- */

static int file_close(sqlite3_file *f) { return under(f)->pMethods->xClose(under(f)); }
static int file_get(sqlite3_file *f, void *out, int size, sqlite3_int64 at) {
  return under(f)->pMethods->xRead(under(f), out, size, at);
}
static int file_set(sqlite3_file *f, const void *bytes, int size, sqlite3_int64 at) {
  return under(f)->pMethods->xWrite(under(f), bytes, size, at);
}
static int file_truncate(sqlite3_file *f, sqlite3_int64 size) {
  return under(f)->pMethods->xTruncate(under(f), size);
}
static int file_sync(sqlite3_file *f, int flags) {
  __atomic_fetch_add(&((CountFile *)(void *)f)->owner->syncs, 1, __ATOMIC_RELAXED);
  return under(f)->pMethods->xSync(under(f), flags);
}
static int file_size(sqlite3_file *f, sqlite3_int64 *size) {
  return under(f)->pMethods->xFileSize(under(f), size);
}
static int file_lock(sqlite3_file *f, int level) {
  return under(f)->pMethods->xLock(under(f), level);
}
static int file_unlock(sqlite3_file *f, int level) {
  return under(f)->pMethods->xUnlock(under(f), level);
}
static int file_reserved(sqlite3_file *f, int *out) {
  return under(f)->pMethods->xCheckReservedLock(under(f), out);
}
static int file_control(sqlite3_file *f, int op, void *arg) {
  return under(f)->pMethods->xFileControl(under(f), op, arg);
}
static int file_sector(sqlite3_file *f) { return under(f)->pMethods->xSectorSize(under(f)); }
static int file_device(sqlite3_file *f) {
  return under(f)->pMethods->xDeviceCharacteristics(under(f));
}
static int shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out) {
  return under(f)->pMethods->xShmMap(under(f), page, size, extend, out);
}
static int shm_lock(sqlite3_file *f, int offset, int n, int flags) {
  return under(f)->pMethods->xShmLock(under(f), offset, n, flags);
}
static void shm_barrier(sqlite3_file *f) { under(f)->pMethods->xShmBarrier(under(f)); }
static int shm_unmap(sqlite3_file *f, int drop) {
  return under(f)->pMethods->xShmUnmap(under(f), drop);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_get,
    .xWrite = file_set,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_device,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

/* ---- the file system ---- */

static inline sqlite3_vfs *base_of(sqlite3_vfs *v) { return ((CountVfs *)(void *)v)->base; }

static int vfs_open(sqlite3_vfs *v, const char *path, sqlite3_file *f, int flags, int *out) {
  sqlite3_file *base = under(f);
  f->pMethods = NULL;
  base->pMethods = NULL;
  int rc = base_of(v)->xOpen(base_of(v), path, base, flags, out);
  if (base->pMethods) f->pMethods = &methods; /* then SQLite closes it, even after an error */
  ((CountFile *)(void *)f)->owner = (CountVfs *)(void *)v;
  return rc;
}
static int vfs_delete(sqlite3_vfs *v, const char *path, int sync) {
  return base_of(v)->xDelete(base_of(v), path, sync);
}
static int vfs_access(sqlite3_vfs *v, const char *path, int flags, int *out) {
  return base_of(v)->xAccess(base_of(v), path, flags, out);
}
static int vfs_full(sqlite3_vfs *v, const char *path, int size, char *out) {
  return base_of(v)->xFullPathname(base_of(v), path, size, out);
}
static int vfs_chance(sqlite3_vfs *v, int size, char *out) {
  return base_of(v)->xRandomness(base_of(v), size, out);
}
static int vfs_sleep(sqlite3_vfs *v, int us) { return base_of(v)->xSleep(base_of(v), us); }
static int vfs_day(sqlite3_vfs *v, double *out) {
  return base_of(v)->xCurrentTime(base_of(v), out);
}
static int vfs_error(sqlite3_vfs *v, int size, char *out) {
  return base_of(v)->xGetLastError(base_of(v), size, out);
}

CountVfs *count_vfs_new(const char *base) {
  sqlite3_vfs *under_it = sqlite3_vfs_find(base);
  if (!under_it) return NULL;
  CountVfs *c = MEM_NEW(CountVfs);
  c->base = under_it;
  snprintf(c->name, sizeof c->name, "z8-count-%p", (void *)c);
  c->vfs = (sqlite3_vfs){.iVersion = 1,
                         .szOsFile = (int)BASE_OFFSET + under_it->szOsFile,
                         .mxPathname = under_it->mxPathname,
                         .zName = c->name,
                         .xOpen = vfs_open,
                         .xDelete = vfs_delete,
                         .xAccess = vfs_access,
                         .xFullPathname = vfs_full,
                         .xRandomness = vfs_chance,
                         .xSleep = vfs_sleep,
                         .xCurrentTime = vfs_day,
                         .xGetLastError = vfs_error};
  sqlite3_vfs_register(&c->vfs, 0);
  return c;
}

void count_vfs_free(CountVfs *c) {
  if (!c) return;
  sqlite3_vfs_unregister(&c->vfs);
  mem_free(c);
}

const char *count_vfs_name(const CountVfs *c) { return c->name; }
uint64_t count_vfs_syncs(const CountVfs *c) { return __atomic_load_n(&c->syncs, __ATOMIC_RELAXED); }
