/* Files are two buffers: what a reader sees now, and what is certainly on the disk,
** with the list of what lies between. */
#include "tests/support/faulty_vfs.h"
#include <pthread.h>
#include <stdio.h>
#include "vm/base/buf.h"
#include "vm/base/mem.h"

enum { FILES_MAX = 32, PIECE = 512, SHM_PAGES = 64, SHM_LOCKS = 8 };

typedef struct Pending { /* a write or, bytes being NULL, a truncation, not yet synced */
  size_t at, size;
  char *bytes;
} Pending;

typedef struct MemFile {
  char path[128];
  bool exists;
  Buf now, synced;
  Pending *pending;
  uint32_t pending_count, pending_cap;
  uint32_t open;
  /* locks of the main file, and of shared memory */
  uint32_t shared;
  struct Handle *reserved, *waiting, *exclusive;
  uint32_t shm_shared[SHM_LOCKS];
  struct Handle *shm_exclusive[SHM_LOCKS];
  void *shm[SHM_PAGES];
} MemFile;

typedef struct Handle {
  sqlite3_file file; /* first */
  FaultyVfs *v;
  MemFile *f;
  int level;
  uint8_t shm_shared, shm_exclusive; /* bits */
  bool delete_on_close;
} Handle;

struct FaultyVfs {
  sqlite3_vfs vfs; /* first */
  pthread_mutex_t lock;
  MemFile files[FILES_MAX];
  FaultyMode mode;
  uint64_t nth, ops, syncs, chance;
  uint32_t anonymous;
  bool dead, hit, ignore_syncs;
};

static FaultyVfs *vfs_of(sqlite3_vfs *v) { return (FaultyVfs *)(void *)v; }
static Handle *handle_of(sqlite3_file *f) { return (Handle *)(void *)f; }

static uint64_t next_chance(uint64_t *state) {
  *state += UINT64_C(0x9e3779b97f4a7c15);
  uint64_t z = *state;
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

/* Counts one operation. SQLITE_OK, or how it fails; *died when this is the moment of the kill. */
static int count_op(FaultyVfs *v, int error, bool writes, bool *died) {
  bool now = false;
  int rc = SQLITE_OK;
  pthread_mutex_lock(&v->lock);
  if (v->dead) {
    rc = error;
  } else if (++v->ops == v->nth && (v->mode != FAULTY_FULL || writes)) {
    v->hit = true;
    v->dead = now = v->mode == FAULTY_KILL;
    rc = v->mode == FAULTY_FULL ? SQLITE_FULL : error;
  }
  pthread_mutex_unlock(&v->lock);
  if (died) *died = now;
  return rc;
}

/* ---- bytes ---- */

static void image_write(Buf *b, size_t at, const char *bytes, size_t size) {
  if (at + size > b->size) {
    size_t more = at + size - b->size;
    char *room = buf_more(b, more);
    ASSERT(room);
    memset(room, 0, more);
    b->size += more;
  }
  memcpy(b->at + at, bytes, size);
}

static void image_truncate(Buf *b, size_t size) {
  if (size < b->size) b->size = size;
}

static void pending_add(MemFile *f, size_t at, const void *bytes, size_t size) {
  f->pending = mem_grow(f->pending, &f->pending_cap, f->pending_count + 1, sizeof *f->pending);
  Pending *p = &f->pending[f->pending_count++];
  *p = (Pending){.at = at, .size = size};
  if (!bytes) return;
  p->bytes = mem_alloc(size + 1);
  memcpy(p->bytes, bytes, size);
}

static void pending_clear(MemFile *f) {
  for (uint32_t i = 0; i < f->pending_count; i++) mem_free(f->pending[i].bytes);
  f->pending_count = 0;
}

static void pending_apply(MemFile *f) {
  for (uint32_t i = 0; i < f->pending_count; i++) {
    const Pending *p = &f->pending[i];
    if (p->bytes) image_write(&f->synced, p->at, p->bytes, p->size);
    else image_truncate(&f->synced, p->at);
  }
  pending_clear(f);
}

/* What a disk may have kept of unsynced writes: any pieces of any of them. Some seeds lose all,
 * some nothing. */
static void pending_lose(MemFile *f, uint64_t *chance) {
  uint64_t odds = next_chance(chance) % 5;
  for (uint32_t i = 0; i < f->pending_count; i++) {
    const Pending *p = &f->pending[i];
    if (!p->bytes) {
      if (next_chance(chance) % 4 < odds) image_truncate(&f->synced, p->at);
      continue;
    }
    for (size_t at = 0; at < p->size; at += PIECE) {
      size_t size = p->size - at < PIECE ? p->size - at : PIECE;
      if (next_chance(chance) % 4 < odds) image_write(&f->synced, p->at + at, p->bytes + at, size);
    }
  }
  pending_clear(f);
}

/* ---- file methods ---- */

static int file_get(sqlite3_file *file, void *out, int size, sqlite3_int64 at) {
  Handle *h = handle_of(file);
  int rc = count_op(h->v, SQLITE_IOERR_READ, false, NULL);
  if (rc != SQLITE_OK) return rc;
  pthread_mutex_lock(&h->v->lock);
  const Buf *b = &h->f->now;
  size_t from = (size_t)at, want = (size_t)size, have = from < b->size ? b->size - from : 0;
  if (have > want) have = want;
  if (have) memcpy(out, b->at + from, have);
  memset((char *)out + have, 0, want - have);
  pthread_mutex_unlock(&h->v->lock);
  return have == want ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int file_set(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at) {
  Handle *h = handle_of(file);
  bool died;
  int rc = count_op(h->v, SQLITE_IOERR_WRITE, true, &died);
  size_t n = died ? (size_t)size / 2 : (size_t)size;
  if (rc != SQLITE_OK && !died) return rc;
  pthread_mutex_lock(&h->v->lock);
  image_write(&h->f->now, (size_t)at, bytes, n);
  pending_add(h->f, (size_t)at, bytes, n);
  pthread_mutex_unlock(&h->v->lock);
  return rc;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size) {
  Handle *h = handle_of(file);
  int rc = count_op(h->v, SQLITE_IOERR_TRUNCATE, true, NULL);
  if (rc != SQLITE_OK) return rc;
  pthread_mutex_lock(&h->v->lock);
  image_truncate(&h->f->now, (size_t)size);
  pending_add(h->f, (size_t)size, NULL, 0);
  pthread_mutex_unlock(&h->v->lock);
  return SQLITE_OK;
}

static int file_sync(sqlite3_file *file, int flags) {
  Handle *h = handle_of(file);
  (void)flags;
  int rc = count_op(h->v, SQLITE_IOERR_FSYNC, true, NULL);
  if (rc != SQLITE_OK) return rc;
  pthread_mutex_lock(&h->v->lock);
  h->v->syncs++;
  if (!h->v->ignore_syncs) pending_apply(h->f);
  pthread_mutex_unlock(&h->v->lock);
  return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size) {
  Handle *h = handle_of(file);
  int rc = count_op(h->v, SQLITE_IOERR_FSTAT, false, NULL);
  pthread_mutex_lock(&h->v->lock);
  *size = (sqlite3_int64)h->f->now.size;
  pthread_mutex_unlock(&h->v->lock);
  return rc;
}

/* ---- locks of the main file ---- */

static bool other(const Handle *owner, const Handle *h) { return owner && owner != h; }

static int lock_shared(Handle *h) {
  MemFile *f = h->f;
  if (other(f->waiting, h) || other(f->exclusive, h)) return SQLITE_BUSY;
  f->shared++;
  h->level = SQLITE_LOCK_SHARED;
  return SQLITE_OK;
}

static int lock_more(Handle *h, int level) {
  MemFile *f = h->f;
  if (other(f->reserved, h) || other(f->exclusive, h)) return SQLITE_BUSY;
  f->reserved = h;
  if (level == SQLITE_LOCK_RESERVED) {
    h->level = level;
    return SQLITE_OK;
  }
  f->waiting = h;
  h->level = SQLITE_LOCK_PENDING;
  if (f->shared > 1) return SQLITE_BUSY;
  f->exclusive = h;
  h->level = SQLITE_LOCK_EXCLUSIVE;
  return SQLITE_OK;
}

static int file_lock(sqlite3_file *file, int level) {
  Handle *h = handle_of(file);
  int rc = count_op(h->v, SQLITE_IOERR_LOCK, false, NULL);
  if (rc != SQLITE_OK || h->level >= level) return rc;
  pthread_mutex_lock(&h->v->lock);
  if (h->level == SQLITE_LOCK_NONE) rc = lock_shared(h);
  if (rc == SQLITE_OK && level > SQLITE_LOCK_SHARED) rc = lock_more(h, level);
  pthread_mutex_unlock(&h->v->lock);
  return rc;
}

static int file_unlock(sqlite3_file *file, int level) {
  Handle *h = handle_of(file);
  (void)count_op(h->v, SQLITE_OK, false, NULL);
  pthread_mutex_lock(&h->v->lock);
  MemFile *f = h->f;
  if (h->level > level) {
    if (f->reserved == h) f->reserved = NULL;
    if (f->waiting == h) f->waiting = NULL;
    if (f->exclusive == h) f->exclusive = NULL;
    if (level == SQLITE_LOCK_NONE) f->shared--;
    h->level = level;
  }
  pthread_mutex_unlock(&h->v->lock);
  return SQLITE_OK;
}

static int file_reserved(sqlite3_file *file, int *out) {
  Handle *h = handle_of(file);
  int rc = count_op(h->v, SQLITE_IOERR_CHECKRESERVEDLOCK, false, NULL);
  *out = h->f->reserved != NULL;
  return rc;
}

static int file_control(sqlite3_file *file, int op, void *arg) {
  (void)file, (void)op, (void)arg;
  return SQLITE_NOTFOUND;
}
static int file_sector(sqlite3_file *file) {
  (void)file;
  return 4096;
}
static int file_device(sqlite3_file *file) {
  (void)file;
  return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* as SQLite assumes of every disk */
}

/* ---- shared memory ---- */

static int shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out) {
  Handle *h = handle_of(file);
  int rc = count_op(h->v, SQLITE_IOERR_SHMMAP, false, NULL);
  *out = NULL;
  if (rc != SQLITE_OK) return rc;
  if (page >= SHM_PAGES) return SQLITE_IOERR_SHMSIZE;
  pthread_mutex_lock(&h->v->lock);
  if (!h->f->shm[page] && extend) h->f->shm[page] = mem_alloc((size_t)size);
  *out = h->f->shm[page];
  pthread_mutex_unlock(&h->v->lock);
  return SQLITE_OK;
}

static bool shm_free_for(const Handle *h, int slot, bool exclusive) {
  const MemFile *f = h->f;
  if (other(f->shm_exclusive[slot], h)) return false;
  uint32_t mine = h->shm_shared >> slot & 1;
  return !exclusive || f->shm_shared[slot] == mine;
}

static void shm_slot(Handle *h, int slot, bool take, bool exclusive) {
  uint8_t bit = (uint8_t)(1u << slot);
  MemFile *f = h->f;
  if (exclusive) {
    f->shm_exclusive[slot] = take ? h : NULL;
    h->shm_exclusive = (uint8_t)(take ? h->shm_exclusive | bit : h->shm_exclusive & ~bit);
  } else if (take != !!(h->shm_shared & bit)) {
    f->shm_shared[slot] += take ? 1u : UINT32_MAX;
    h->shm_shared = (uint8_t)(h->shm_shared ^ bit);
  }
}

static int shm_lock(sqlite3_file *file, int offset, int n, int flags) {
  Handle *h = handle_of(file);
  bool take = flags & SQLITE_SHM_LOCK, exclusive = flags & SQLITE_SHM_EXCLUSIVE;
  int rc = count_op(h->v, take ? SQLITE_IOERR_SHMLOCK : SQLITE_OK, false, NULL);
  if (rc != SQLITE_OK && take) return rc;
  pthread_mutex_lock(&h->v->lock);
  for (int i = offset; take && i < offset + n; i++) {
    if (!shm_free_for(h, i, exclusive)) rc = SQLITE_BUSY;
  }
  for (int i = offset; rc == SQLITE_OK && i < offset + n; i++) {
    bool held_exclusive = h->shm_exclusive >> i & 1;
    shm_slot(h, i, take, take ? exclusive : held_exclusive);
  }
  pthread_mutex_unlock(&h->v->lock);
  return take ? rc : SQLITE_OK;
}

static void shm_barrier(sqlite3_file *file) {
  (void)file;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static int shm_unmap(sqlite3_file *file, int drop) {
  Handle *h = handle_of(file);
  (void)drop; /* the pages stay until a restart: losing them early is what real systems do not do
                 either */
  pthread_mutex_lock(&h->v->lock);
  for (int i = 0; i < SHM_LOCKS; i++) {
    if (h->shm_exclusive >> i & 1) shm_slot(h, i, false, true);
    if (h->shm_shared >> i & 1) shm_slot(h, i, false, false);
  }
  pthread_mutex_unlock(&h->v->lock);
  return SQLITE_OK;
}

/* ---- open and close ---- */

static void file_drop(MemFile *f) {
  pending_clear(f);
  mem_free(f->pending);
  buf_deinit(&f->now);
  buf_deinit(&f->synced);
  for (int i = 0; i < SHM_PAGES; i++) mem_free(f->shm[i]);
  *f = (MemFile){0};
}

static int file_close(sqlite3_file *file) {
  Handle *h = handle_of(file);
  (void)count_op(h->v, SQLITE_OK, false, NULL);
  file_unlock(file, SQLITE_LOCK_NONE);
  shm_unmap(file, 0);
  pthread_mutex_lock(&h->v->lock);
  if (--h->f->open == 0 && h->delete_on_close) file_drop(h->f);
  pthread_mutex_unlock(&h->v->lock);
  return SQLITE_OK;
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

static MemFile *file_find(FaultyVfs *v, const char *path) {
  for (int i = 0; i < FILES_MAX; i++) {
    if (v->files[i].exists && strcmp(v->files[i].path, path) == 0) return &v->files[i];
  }
  return NULL;
}

static MemFile *file_make(FaultyVfs *v, const char *path) {
  for (int i = 0; i < FILES_MAX; i++) {
    MemFile *f = &v->files[i];
    if (f->exists) continue;
    f->exists = true;
    snprintf(f->path, sizeof f->path, "%s", path);
    return f;
  }
  return NULL;
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out) {
  FaultyVfs *v = vfs_of(vfs);
  Handle *h = handle_of(file);
  char name[32];
  file->pMethods = NULL;
  if (count_op(v, SQLITE_CANTOPEN, false, NULL) != SQLITE_OK) return SQLITE_CANTOPEN;
  pthread_mutex_lock(&v->lock);
  if (!path) {
    snprintf(name, sizeof name, "anonymous-%u", v->anonymous++);
    path = name;
  }
  MemFile *f = file_find(v, path);
  if (!f && (flags & SQLITE_OPEN_CREATE)) f = file_make(v, path);
  if (f) {
    f->open++;
    *h = (Handle){
        .file = {&methods}, .v = v, .f = f, .delete_on_close = flags & SQLITE_OPEN_DELETEONCLOSE};
  }
  pthread_mutex_unlock(&v->lock);
  if (out) *out = flags;
  return f ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync) {
  FaultyVfs *v = vfs_of(vfs);
  (void)sync;
  int rc = count_op(v, SQLITE_IOERR_DELETE, true, NULL);
  if (rc != SQLITE_OK) return rc;
  pthread_mutex_lock(&v->lock);
  MemFile *f = file_find(v, path);
  if (f && f->open == 0) file_drop(f);
  pthread_mutex_unlock(&v->lock);
  return f ? SQLITE_OK : SQLITE_IOERR_DELETE_NOENT;
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *out) {
  FaultyVfs *v = vfs_of(vfs);
  (void)flags;
  int rc = count_op(v, SQLITE_IOERR_ACCESS, false, NULL);
  *out = rc == SQLITE_OK && file_find(v, path) != NULL;
  return rc;
}

static int vfs_full(sqlite3_vfs *vfs, const char *path, int size, char *out) {
  (void)vfs;
  snprintf(out, (size_t)size, "%s", path);
  return SQLITE_OK;
}

static int vfs_chance(sqlite3_vfs *vfs, int size, char *out) {
  for (int i = 0; i < size; i++) out[i] = (char)next_chance(&vfs_of(vfs)->chance);
  return size;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us) {
  (void)vfs;
  return us;
}

static int vfs_day(sqlite3_vfs *vfs, double *out) {
  (void)vfs;
  *out = 2460000.5;
  return SQLITE_OK;
}

static int vfs_error(sqlite3_vfs *vfs, int size, char *out) {
  (void)vfs;
  if (size > 0) *out = 0;
  return 0;
}

/* ---- for tests ---- */

FaultyVfs *faulty_vfs_new(const char *name) {
  FaultyVfs *v = MEM_NEW(FaultyVfs);
  pthread_mutex_init(&v->lock, NULL);
  v->vfs = (sqlite3_vfs){.iVersion = 1,
                         .szOsFile = sizeof(Handle),
                         .mxPathname = 120,
                         .zName = name,
                         .xOpen = vfs_open,
                         .xDelete = vfs_delete,
                         .xAccess = vfs_access,
                         .xFullPathname = vfs_full,
                         .xRandomness = vfs_chance,
                         .xSleep = vfs_sleep,
                         .xCurrentTime = vfs_day,
                         .xGetLastError = vfs_error};
  sqlite3_vfs_register(&v->vfs, 0);
  return v;
}

void faulty_vfs_free(FaultyVfs *v) {
  sqlite3_vfs_unregister(&v->vfs);
  for (int i = 0; i < FILES_MAX; i++) file_drop(&v->files[i]);
  pthread_mutex_destroy(&v->lock);
  mem_free(v);
}

void faulty_vfs_arm(FaultyVfs *v, FaultyMode mode, uint64_t nth) {
  v->mode = mode;
  v->nth = nth;
  v->ops = 0;
  v->hit = false;
}

bool faulty_vfs_hit(const FaultyVfs *v) { return v->hit; }
uint64_t faulty_vfs_ops(const FaultyVfs *v) { return v->ops; }
uint64_t faulty_vfs_syncs(const FaultyVfs *v) { return v->syncs; }
void faulty_vfs_ignore_syncs(FaultyVfs *v, bool ignore) { v->ignore_syncs = ignore; }

void faulty_vfs_restart(FaultyVfs *v, bool power_loss, uint64_t seed) {
  v->dead = v->hit = false;
  v->nth = 0;
  for (int i = 0; i < FILES_MAX; i++) {
    MemFile *f = &v->files[i];
    if (!f->exists) continue;
    ASSERT(f->open == 0);
    if (power_loss) pending_lose(f, &seed);
    else pending_apply(f);
    buf_clear(&f->now);
    buf_put(&f->now, f->synced.at, f->synced.size);
    for (int p = 0; p < SHM_PAGES; p++) {
      mem_free(f->shm[p]);
      f->shm[p] = NULL;
    }
  }
}

char *faulty_vfs_file(FaultyVfs *v, const char *path, size_t *size) {
  MemFile *f = file_find(v, path);
  if (!f) return NULL;
  *size = f->now.size;
  return f->now.at;
}

void faulty_vfs_plant(FaultyVfs *v, const char *path, Str bytes) {
  MemFile *f = file_find(v, path);
  if (!f) f = file_make(v, path);
  pending_clear(f);
  buf_clear(&f->now);
  buf_clear(&f->synced);
  buf_str(&f->now, bytes);
  buf_str(&f->synced, bytes);
}
