/* A node: a data directory, held by this process alone.
**
** It has the lock, the store, the tenant's key and the programs that runs are
** made of, and nothing of how runs go on (scheduler.h). The directory holds:
**
**   z8.db         the store           lock           who has the directory
**   control.sock  where a running process listens (control.h)
**   secrets       NAME=value lines, if the environment is not the place for them */
#ifndef Z8_NODE_H
#define Z8_NODE_H

#include "vm/core/machine.h"
#include "vm/store/store.h"

typedef struct NodeOptions {
  const char *dir;
  bool memory;     /* nothing is kept: no directory, no lock */
  bool fixed_key;  /* the tenant's key is a constant: journals that can be compared byte for byte */
  bool must_exist; /* ERR_NOT_FOUND instead of making the directory */
  const char *vfs; /* the store's SQLite file system by name, for tests; NULL: the system's */
} NodeOptions;

typedef struct Node Node;

/* ERR_BUSY names the process that has the directory. */
MUST_USE bool node_open(const NodeOptions *options, Node **out, Err *err);
void node_close(Node *node);

/* A test's world, which answers for tools it has stubs of; not owned. NULL, as at first: none. */
struct Testing;
void node_testing_set(Node *node, struct Testing *testing);
struct Testing *node_testing(const Node *node);

Store *node_store(Node *node);
const char *node_dir(const Node *node);
Hash256 node_tenant_key(const Node *node);
/* The value of a secret: the environment variable of that name, else a line of the file `secrets`.
 */
bool node_secret(Node *node, Str name, Buf *value);

/* A verified program of the store, loaded once. ERR_NOT_FOUND: the bundle is not there. */
MUST_USE bool node_program(Node *node, Hash256 bundle, const Program **out, Err *err);
/* Adds one that was just compiled or read; its bytes are stored with the first run that uses it
** (node_bundle_take). The bundle must live as long as the node. */
MUST_USE bool node_program_add(Node *node, const Bundle *bundle, Str bytes, const Program **out,
                               Err *err);
/* The bytes of a program that the store does not have yet, once; false if it has them. */
bool node_bundle_take(Node *node, Hash256 bundle, Str *bytes);

#endif
