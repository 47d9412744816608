/* A process that runs: what `run` and `recover` have in common. */
#ifndef Z8_LIVE_H
#define Z8_LIVE_H

#include "vm/cli/stream_show.h"
#include "vm/cli/tail.h"

struct Asked;
typedef struct Live {
  Cli *cli;
  Scheduler *scheduler;
  Uuid watched;     /* the run whose end decides the exit status; zero: every run */
  RunStatus status; /* of the watched run, once it is over */
  uint32_t failed;  /* runs that no other one started and that failed */
  bool serve;       /* set before live_open: crons are taken, nobody is told that only waits are left */
  Followers *followers;     /* those who follow; NULL: nobody did yet */
  struct Asked *asked;      /* who waits for the answer of a run */
  bool stream;      /* the text of models is shown as it comes */
  StreamShow show;
  bool aside;       /* set before live_open: what runs say meanwhile was not asked for: it goes to err, as text */
} Live;

/* The directory (made if need be), a scheduler that listens, signals that stop it. False: *status
 * says. */
MUST_USE bool live_open(Live *live, Cli *cli, bool must_exist, int *status);
void live_close(Live *live);
/* Rounds until it is over, parked, stuck or stopped; says so; the exit status. */
int live_run(Live *live, uint64_t target, int64_t patience_us);

/* ---- verb_ask.c ---- */
void asked_ended(Live *live, const RunEnd *end); /* those who wait for that run have their answer */
void asked_stopped(Live *live, int status, const char *why); /* the others will not have it from this process */

#endif
