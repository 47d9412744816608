/* The socket in a data directory, DIR/control.sock: how another z8 reaches the
** process that holds the directory. Only the directory's owner can connect.
**
** One request and one answer per connection, each framed as a 4-byte big-endian
** size and that many bytes. A request is a CBOR array of texts, the command line;
** an answer is [exit status, standard output, standard error].
**
** A connection may become a subscriber's: it stays open and is fed frames until an answer ends it. */
#ifndef Z8_CONTROL_H
#define Z8_CONTROL_H

#include "vm/base/buf.h"
#include "vm/base/err.h"

enum { CONTROL_MESSAGE_MAX = 64 << 20, CONTROL_CLIENTS_MAX = 64, CONTROL_SUBSCRIBERS_MAX = 32 };

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

/* Within `answer`: the connection stays open, and what was put in the buffer is left out. At most `room` bytes are kept
** for a subscriber that does not read. False: there are CONTROL_SUBSCRIBERS_MAX already. */
bool control_subscribe(Control *c, size_t room, ControlTicket *out);
typedef enum { FEED_DONE, FEED_FULL /* nothing was put */, FEED_GONE } Feed;
/* Never waits. `last`: the connection ends when this has been read; room is always made for it. */
Feed control_feed(Control *c, ControlTicket ticket, Str frame, bool last);

/* Does a process listen there? */
bool control_listens(const char *dir);
/* The other side: connects, asks, waits for the answer. ERR_NOT_FOUND: nobody listens. */
MUST_USE bool control_ask(const char *dir, Str request, Buf *answer, Err *err);
/* Becomes a subscriber: `each` gets every frame as it comes, until it returns false (true is returned) or the
** connection ends (false, with err->code NONE). False with ERR_NOT_FOUND: nobody listens. */
MUST_USE bool control_follow(const char *dir, Str request, bool (*each)(void *context, Str frame), void *context,
                             Err *err);

#endif
