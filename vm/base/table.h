/* A hash table from byte strings or 64-bit keys to pointers; insertion order when
** walked. Keys of bytes are copied. */
#ifndef Z8_TABLE_H
#define Z8_TABLE_H
#include "vm/base/base.h"
typedef struct Table Table;
Table *table_new(void);
void table_free(Table *t);
void *table_get(const Table *t, Str key);
void table_set(Table *t, Str key, void *value);  /* NULL removes */
static inline Str table_key64(const uint64_t *key) { return (Str){(const char *)key, sizeof *key}; }
uint32_t table_count(const Table *t);
bool table_next(const Table *t, uint32_t *cursor, Str *key, void **value);
#endif
