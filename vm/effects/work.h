/* A request in progress, and what the kinds of effect share. Private to vm/effects. */
#ifndef Z8_WORK_H
#define Z8_WORK_H

#include "vm/effects/effect.h"
#include "vm/effects/secrets.h"

typedef struct Job {
  EffectRequest request; /* its strings stand behind the job */
  struct Job *next;
  Secrets secrets;    /* resolved for this job: wiped when it is freed */
  int64_t started_us; /* monotonic */
} Job;

Job *job_new(const EffectRequest *r);
void job_free(Job *job);
/* Without its strings, which are not needed any more: it may have to wait long. The job may move. */
Job *job_trim(Job *job);

/* From the I/O thread: the job is over and freed. `value` is taken over. */
void job_done(Effects *e, Job *job, const char *outcome, Buf *value);
/* The same with an encoded error; secrets in the message are masked. */
void job_failed(Effects *e, Job *job, const char *outcome, const char *code, const char *format,
                ...) PRINTF_LIKE(5, 6);
/* The operands with sealed parts resolved; points into the job or its secrets. False: the job was
 * failed. */
MUST_USE bool job_operands(Effects *e, Job *job, Str *out);
/* Progress: "text" (value joins what waits) or "resume" (value takes its place). `value` is taken over; ticket: 0 at
 * first, one for each of both. */
void job_progress(Effects *e, const Job *job, uint64_t *ticket, const char *what, Buf *value);
const EffectOptions *effects_options(const Effects *e);

/* ---- files.c ---- */
void file_work(Effects *e, Job *job);

/* ---- http_client.c ---- */
typedef struct Http Http;
struct pollfd;
Http *http_new(Effects *e);
void http_free(Http *http);
void http_start(Http *http, Job *job);
void http_drop(Http *http, uint64_t run, uint64_t seq); /* only a READ is cut short */
bool http_busy(const Http *http);
/* Waits for its own sockets and the others', then does what can be done. */
void http_wait(Http *http, struct pollfd *others, uint32_t count, int timeout_ms);

/* ---- model_work.c ---- */
typedef struct ModelClient ModelClient;
typedef struct ModelReader ModelReader;
/* Offline calls are answered at once; others are given to the client. */
void model_work(Effects *e, ModelClient *client, Job *job);
/* The reader's last word as the job's outcome, secrets masked; frees both. */
void model_work_done(Effects *e, Job *job, ModelReader *reader, bool lost, bool sent, const char *why);
/* Text that came, as progress; secrets masked, also where they come in two pieces. */
typedef struct ModelText {
  uint64_t ticket;
  Buf held; /* gone after the last */
} ModelText;
void model_work_text(Effects *e, const Job *job, ModelText *to, Str text, bool last);

/* ---- model_client.c ---- */
struct ModelHttp;
ModelClient *model_client_new(Effects *e); /* loads nothing yet */
void model_client_free(ModelClient *client);
/* All are taken over. */
void model_client_start(ModelClient *client, Job *job, ModelReader *reader, struct ModelHttp *http);
int model_client_fd(const ModelClient *client);         /* readable when turn has to do; -1: nothing is on its way */
int64_t model_client_deadline_us(const ModelClient *client); /* when it has to do anyway; 0: never */
void model_client_turn(ModelClient *client);            /* does what can be done without waiting */

/* ---- foreign.c ---- */
typedef struct Foreign Foreign;
Foreign *foreign_new(Effects *e);
void foreign_free(Foreign *f);
void foreign_start(Foreign *f, Job *job);
int foreign_fd(const Foreign *f);              /* -1: nothing is expected of the helper */
void foreign_work(Foreign *f, bool readable);  /* takes a reply, sees to timeouts, sends the next */
int64_t foreign_deadline_us(const Foreign *f); /* 0: none */

#endif
