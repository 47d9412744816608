/* The SQLite schema, its version, and how older ones are brought up to it. */
#ifndef Z8_SCHEMA_H
#define Z8_SCHEMA_H

#include <sqlite3.h>
#include "vm/base/err.h"

/* Makes a new file's schema, or migrates an older one, each step in one transaction. ERR_VERSION: a newer z8
** made it. ERR_INVALID: a database, but not one of ours. Writes nothing when it is current. */
MUST_USE bool schema_open(sqlite3 *db, const char *path, Err *err);

/* Fills err from what SQLite says of its last failed call: code, words, and what to do about it. Always false. */
bool sqlite_failed(sqlite3 *db, int rc, const char *path, const char *doing, Err *err);
#endif
