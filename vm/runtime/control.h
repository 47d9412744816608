/* The socket in a data directory, DIR/control.sock: how another z8 reaches the
** process that holds the directory. Only the directory's owner can connect.
**
** One request and one answer per connection, each framed as a 4-byte big-endian
** size and that many bytes. A request is a CBOR array of texts, the command line;
** an answer is [exit status, standard output, standard error]. */
#ifndef Z8_CONTROL_H
#define Z8_CONTROL_H

#include "vm/base/buf.h"
#include "vm/base/err.h"

enum { CONTROL_MESSAGE_MAX = 64 << 20, CONTROL_CLIENTS_MAX = 64 };

typedef struct Control Control;
/* Listens. A socket left by a dead process is replaced: the caller holds the directory's lock. */
MUST_USE bool control_open(const char *dir, Control **out, Err *err);
void control_close(Control *c);   /* removes the socket */
int control_fd(const Control *c); /* an epoll descriptor: readable when there is something to do */
/* Takes connections and bytes, never waits. `answer` is called for each whole request. */
void control_serve(Control *c, void (*answer)(void *context, Str request, Buf *answer),
                   void *context);

/* Within `answer`: the answer comes later, through control_reply. What was put in the buffer is left out. */
typedef struct ControlTicket {
  uint32_t client;
  uint64_t serial;
} ControlTicket;
ControlTicket control_defer(Control *c);
/* Nobody may wait for it any more: then nothing happens. */
void control_reply(Control *c, ControlTicket ticket, Str answer);

/* Does a process listen there? */
bool control_listens(const char *dir);
/* The other side: connects, asks, waits for the answer. ERR_NOT_FOUND: nobody listens. */
MUST_USE bool control_ask(const char *dir, Str request, Buf *answer, Err *err);

#endif
