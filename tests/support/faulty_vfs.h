/* An SQLite VFS in memory that goes wrong on demand.
**
** It counts every operation, can fail the N-th or stop at it ("kill": that one and all
** later ones fail, a write among them having been done by half), and knows for each
** file what was synced. A restart after a kill either keeps what was written (the process died) or
** loses and tears what was not synced (the power went): of each unsynced write every
** 512-byte piece is kept or lost by chance, in any order. Creating and deleting a file is
** durable at once: SQLite syncs the directory itself.
**
** Handles of one VFS may be used by several threads. */
#ifndef Z8_FAULTY_VFS_H
#define Z8_FAULTY_VFS_H
#include <sqlite3.h>
#include "vm/base/base.h"

typedef struct FaultyVfs FaultyVfs;
FaultyVfs *faulty_vfs_new(const char *name);
void faulty_vfs_free(FaultyVfs *v); /* when every file is closed */

typedef enum { FAULTY_IOERR, FAULTY_FULL /* writes only */, FAULTY_KILL } FaultyMode;
/* The N-th operation from now on, counted from 1, goes wrong; 0: none. */
void faulty_vfs_arm(FaultyVfs *v, FaultyMode mode, uint64_t nth);
bool faulty_vfs_hit(const FaultyVfs *v);     /* it happened */
uint64_t faulty_vfs_ops(const FaultyVfs *v); /* since it was armed */
uint64_t faulty_vfs_syncs(const FaultyVfs *v);
/* A disk that says "synced" and is not: what a missing fsync amounts to. */
void faulty_vfs_ignore_syncs(FaultyVfs *v, bool ignore);
/* Every file must be closed. power_loss: see above; seed chooses what is lost. */
void faulty_vfs_restart(FaultyVfs *v, bool power_loss, uint64_t seed);
/* The bytes of a file, to look at or to spoil; NULL if there is none. */
char *faulty_vfs_file(FaultyVfs *v, const char *path, size_t *size);
/* Puts a file there, as if it had always been. */
void faulty_vfs_plant(FaultyVfs *v, const char *path, Str bytes);
#endif
