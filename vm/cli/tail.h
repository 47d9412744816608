/* `z8 tail`: what a process that runs tells those who follow it, over the directory's socket.
**
** A frame is [descriptor, bytes], to be written as it is; or the last one, an answer as control.h has it. Each follower
** has a buffer of TAIL_ROOM bytes: what does not fit is left out, and it is told how much that was. */
#ifndef Z8_TAIL_H
#define Z8_TAIL_H

#include "vm/cli/cli.h"

enum { TAIL_ROOM = 1 << 20 };

typedef struct Followers Followers; /* those who follow one process */
/* The verb carried out for another process. True: it follows from now on; false: what cli->out and err say, and
** *status, is the answer. */
bool followers_add(Followers **followers, Cli *guest, int *status);
void followers_free(Followers *followers);

/* Told to those who follow that run; followers may be NULL. */
void followers_output(Followers *followers, Uuid run, EffectKind kind, Str text);
void followers_stream(Followers *followers, const StreamPiece *piece);
void followers_ended(Followers *followers, const RunEnd *end);
void followers_notice(Followers *followers, Str text);

#endif
