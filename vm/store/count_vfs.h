/* A thin VFS over another one that counts syncs, so that StoreStats.syncs is what happened and no estimate. */
#ifndef Z8_COUNT_VFS_H
#define Z8_COUNT_VFS_H

#include <sqlite3.h>
#include "vm/base/base.h"

typedef struct CountVfs CountVfs;
/* Over the VFS called `base` (NULL: SQLite's default). NULL if there is no such VFS. */
CountVfs *count_vfs_new(const char *base);
void count_vfs_free(CountVfs *vfs); /* when no file of it is open any more */
const char *count_vfs_name(const CountVfs *vfs);
uint64_t count_vfs_syncs(const CountVfs *vfs);
#endif
