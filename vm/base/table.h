/* A hash table from byte strings or 64-bit keys to pointers; insertion order when
** walked. Keys of bytes are copied.
**
**   uint32_t at = 0; Str key; void *value;
**   while (table_next(t, &at, &key, &value)) …   removing while walking is fine, adding is not */
#ifndef Z8_TABLE_H
#define Z8_TABLE_H
#include "vm/base/base.h"
typedef struct Table Table;
Table *table_new(void);
void table_free(Table *t);                       /* NULL is fine; the values are the caller's */
void *table_get(const Table *t, Str key);        /* NULL when absent */
void table_set(Table *t, Str key, void *value);  /* NULL removes */
static inline Str table_key64(const uint64_t *key) { return (Str){(const char *)key, sizeof *key}; }
uint32_t table_count(const Table *t);
/* *cursor starts at 0; key and value may be NULL. The key lives as long as its entry and no longer than
** the next addition. */
bool table_next(const Table *t, uint32_t *cursor, Str *key, void **value);
#endif
