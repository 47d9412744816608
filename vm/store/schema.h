/* The SQLite schema, its version, and how older ones are brought up to it. */
#ifndef Z8_SCHEMA_H
#define Z8_SCHEMA_H

#include <sqlite3.h>
#include "vm/base/err.h"

/* What is there, writing nothing: 0 for a new file. ERR_VERSION: a newer z8 made it. ERR_INVALID: a database, but
** not one of ours. */
MUST_USE bool schema_look(sqlite3 *db, const char *path, int64_t *version, Err *err);
/* Makes a new file's tables, or migrates those of `version`; each step is one transaction. */
MUST_USE bool schema_bring_up(sqlite3 *db, const char *path, int64_t version, Err *err);

/* Fills err from what SQLite says of its last failed call: code, words, and what to do about it. Always false. */
bool sqlite_failed(sqlite3 *db, int rc, const char *path, const char *doing, Err *err);
#endif
