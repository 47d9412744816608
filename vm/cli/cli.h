/* What every verb gets: its arguments, and two buffers for what it says.
**
** A verb is a function of Cli that returns the exit status. It writes to `out`
** and `err`; main.c prints them. So the same verb can be carried out by the
** process that holds a data directory on behalf of another one (remote.c): then
** `node` and `scheduler` are set and the buffers travel back over the socket. */
#ifndef Z8_CLI_H
#define Z8_CLI_H

#include "vm/cli/args.h"
#include "vm/runtime/scheduler.h"

enum {
  EXIT_DONE = 0,
  EXIT_FAILED = 1,
  EXIT_USAGE = 2,
  EXIT_DIVERGED = 3,
  EXIT_INTEGRITY = 4,
  EXIT_PERSON = 5,
  EXIT_LATER = -1, /* a verb carried out for another process goes on: later_done ends it */
  EXIT_FOLLOW = -2 /* another process wants to follow this one: tail.h */
};

struct App;
struct Live;
struct Later;
typedef struct Cli {
  Args args;
  Buf out, err;
  bool json, colour, colour_err; /* colour of out, of err */
  const char *dir;
  Node *node;           /* the directory, once open */
  Scheduler *scheduler; /* set while a running process carries the verb out for another */
  struct Live *live;    /* the process that runs, whoever the verb is for; NULL: none does */
  struct Later *later;  /* set while its answer is still to come */
  void (*finished)(struct Cli *cli, int status); /* and whom to tell */
} Cli;

#define VERB(id, function, ...) int function(Cli *cli);
#include "vm/cli/verbs.def"
#undef VERB

/* Runs the verb of cli->args. */
int cli_dispatch(Cli *cli);

/* ---- output.c ---- */
/* Whether what goes to the descriptor may be coloured. */
bool output_colour(int fd);
/* Writes all of it; false when nobody reads any more. Clears the buffer. */
bool output_flush(int fd, Buf *buf);
/* "z8: text" on err; gives `status` back. */
int output_error(Cli *cli, int status, const char *format, ...) PRINTF_LIKE(3, 4);
int output_err(Cli *cli,
               const Err *err); /* exit status by kind: 4 for corrupt, 3 for diverged, else 1 */
void output_bold(Buf *out, bool colour, const char *text);
/* Text that others wrote, without what would steer a terminal: line breaks and tabs stay. */
void output_safe(Buf *out, Str text);
/* `"name":` of a JSON object that may have members already. */
void json_name(Buf *out, const char *name);
void json_text(Buf *out, const char *name, Str value);
void json_number(Buf *out, const char *name, uint64_t value);
void json_time(Buf *out, const char *name, int64_t us); /* null for 0 */
/* An encoded value as JSON. One that cannot be shown so comes as null. */
void json_value(Buf *out, const char *name, Str value);

/* ---- load.c: programs from files ---- */
typedef struct Loaded {
  Arena arena;
  Bundle *bundle; /* lives in the arena */
  Buf bytes;      /* its canonical bytes; empty after load_check */
} Loaded;
/* A source file is compiled, a bundle read. False: what is wrong is in cli->err (cli->out with
 * --json). */
MUST_USE bool load_program(Cli *cli, const char *path, Loaded *out);
void loaded_deinit(Loaded *loaded);
/* Diagnostics only. Counts are added to. */
MUST_USE bool load_check(Cli *cli, const char *path, uint32_t *errors, uint32_t *warnings);

/* The .z8 files of the current folder, sorted. */
typedef struct Sources {
  char **at;
  uint32_t count, cap;
} Sources;
void sources_here(Sources *sources);
void sources_deinit(Sources *sources);

/* ---- verb_send.c ---- */
bool words_utf8(const Cli *cli); /* all that the command line says */
MUST_USE bool words_fit(const Cli *cli, Err *err); /* and --tenant is a tenant's name */
Str option_text(const Cli *cli, OptionId id); /* "": not given */
void output_answer(Cli *cli, Str value); /* as JSON, a line */

/* ---- session.c: the data directory ---- */
const char *session_dir(const Cli *cli);
const char *session_user(void); /* who asks: USER, else "operator" */
/* Opens cli->node. If another process holds the directory the verb is carried out there:
**remote_status is its
** exit status and the answer is in cli->out; then there is no node. False: an exit status in
**status. */
typedef enum { SESSION_OPEN, SESSION_REMOTE, SESSION_FAILED } SessionResult;
SessionResult session_open(Cli *cli, int *status);
/* The command line as a request to the process that holds the directory. */
void session_request(const Cli *cli, Buf *out);
/* Opens it here. Another verb may have it for a moment: waited for, unless its holder listens and
 * so stays. */
MUST_USE bool session_node(Cli *cli, const NodeOptions *options, Err *err);
void session_close(Cli *cli);
/* ---- later.c: verbs whose answer comes after a commit ----
** later_run gives `begin` a scheduler with the application: that of the process that holds the directory, or one made
** here for as long as it takes. begin starts the work and has later_done called when its result is durable; what the
** verb says is in later->cli->out by then. begin may fail: the verb fails with the error. */
typedef struct Later {
  Cli *cli;
  bool done;
  int status;
  void *work; /* the verb's own; later_done frees it (mem_free) */
  int64_t patience_us; /* of a process made here: how long runs may wait for, before it gives up; begin may change it */
} Later;
int later_run(Cli *cli, bool (*begin)(Later *later, struct App *app, Err *err));
void later_done(Later *later, int status);
/* The one a guest verb left behind with EXIT_LATER, to be given back by `finished`. session.c only. */
void later_detach(Cli *guest, void (*finished)(Cli *guest, int status));

/* A run by id, prefix or `last`. */
MUST_USE bool session_run(Cli *cli, const char *name, RunRow *row, Buf *keep, Err *err);
/* What a running process does with a request from another: SchedulerOptions.control. */
void session_control(void *context, Str request, Buf *answer);

#endif
