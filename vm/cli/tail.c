/* Followers. */
#include "vm/cli/tail.h"

#include <unistd.h>

#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/cli/run_page.h"
#include "vm/cli/stream_show.h"
#include "vm/runtime/control.h"
#include "vm/runtime/error_value.h"

enum { ANSWERS_KEPT = 64 };

typedef struct Known { /* whether a run belongs to those that are followed */
  Uuid run;
  bool belongs;
} Known;

typedef struct Tail {
  ControlTicket ticket;
  bool json, one; /* one: only run `number`, and those it started */
  uint64_t number;
  Uuid run;
  Known known[ANSWERS_KEPT];
  uint32_t known_count;
  uint64_t missed;
  StreamShow show;
} Tail;

struct Followers {
  Scheduler *scheduler;
  Node *node;
  Tail **at;
  uint32_t count, cap;
};

/* ---- who follows ----------------------------------------------------------------- */

static void tail_drop(Followers *followers, uint32_t i) {
  stream_show_deinit(&followers->at[i]->show);
  mem_free(followers->at[i]);
  followers->at[i] = followers->at[--followers->count];
}

void followers_free(Followers *followers) {
  if (followers == NULL) return;
  while (followers->count > 0) tail_drop(followers, 0);
  mem_free(followers->at);
  mem_free(followers);
}

/* Is it over already? Then its end is the answer. */
static bool tail_named(Cli *guest, Tail *tail, int *status) {
  RunRow row;
  Buf keep = {0};
  Err err = {0};
  char id[37];
  bool found = session_run(guest, guest->args.words[0], &row, &keep, &err);
  bool over = found && run_status_over(row.status);
  if (!found) *status = output_err(guest, &err);
  if (over) {
    uuid_text(row.id, id);
    *status = row.status == RUN_STATUS_DONE ? EXIT_DONE : EXIT_FAILED;
    buf_format(&guest->err, "run %s is over: %s\n", id, run_status_word(row.status));
  }
  tail->one = true;
  if (found) tail->number = row.number, tail->run = row.id;
  buf_deinit(&keep);
  return found && !over;
}

bool followers_add(Followers **followers, Cli *guest, int *status) {
  Tail tail = {.json = args_has(&guest->args, OPTION_JSON)};
  if (guest->args.word_count > 0 && !tail_named(guest, &tail, status)) return false;
  if (!control_subscribe(scheduler_control(guest->scheduler), TAIL_ROOM, &tail.ticket)) {
    *status = output_error(guest, EXIT_FAILED, "%d follow this process already", CONTROL_SUBSCRIBERS_MAX);
    return false;
  }
  if (*followers == NULL) *followers = MEM_NEW(Followers);
  (*followers)->scheduler = guest->scheduler;
  (*followers)->node = guest->node;
  (*followers)->at = mem_grow((*followers)->at, &(*followers)->cap, (*followers)->count + 1, sizeof *(*followers)->at);
  Tail *own = MEM_NEW(Tail);
  *own = tail;
  (*followers)->at[(*followers)->count++] = own;
  return true;
}

/* ---- what is followed ------------------------------------------------------------ */

/* Is the run the one followed, or one it started, or …? */
static bool descends(Followers *followers, const Tail *tail, Uuid run) {
  RunRow row;
  Buf keep = {0};
  Err ignored;
  uint64_t number = scheduler_number(followers->scheduler, run);
  while (number != 0 && number != tail->number) {
    bool read = store_run_get(node_store(followers->node), number, &row, &keep, &ignored);
    number = read ? row.parent : 0;
    buf_clear(&keep);
  }
  buf_deinit(&keep);
  return number != 0;
}

static bool follows(Followers *followers, Tail *tail, Uuid run) {
  if (!tail->one || memcmp(&run, &tail->run, sizeof run) == 0) return true;
  for (uint32_t i = 0; i < tail->known_count && i < ANSWERS_KEPT; i++)
    if (memcmp(&tail->known[i].run, &run, sizeof run) == 0) return tail->known[i].belongs;
  Known *known = &tail->known[tail->known_count++ % ANSWERS_KEPT];
  *known = (Known){run, descends(followers, tail, run)};
  return known->belongs;
}

/* ---- telling --------------------------------------------------------------------- */

static void frame_encode(int fd, Str bytes, Buf *frame) {
  cbor_put_array(frame, 2);
  cbor_put_uint(frame, (uint64_t)fd);
  cbor_put_bytes(frame, bytes);
}

static void missed_put(const Tail *tail, Buf *out) {
  if (tail->json) buf_format(out, "{\"missed\":%" PRIu64 "}\n", tail->missed);
  else
    buf_format(out, "(%" PRIu64 " line%s or piece%s of text left out here: they came faster than they were read)\n",
               tail->missed, tail->missed == 1 ? "" : "s", tail->missed == 1 ? "" : "s");
}

/* What could not be told is counted, and told of with the next that can. False: it follows no more. */
static bool tell(Followers *followers, Tail *tail, int fd, Str bytes) {
  Buf text = {0}, frame = {0};
  if (tail->missed > 0) missed_put(tail, &text);
  buf_str(&text, bytes);
  frame_encode(fd, buf_view(&text), &frame);
  Feed fed = control_feed(scheduler_control(followers->scheduler), tail->ticket, buf_view(&frame), false);
  tail->missed = fed == FEED_FULL ? tail->missed + 1 : 0;
  buf_deinit(&text);
  buf_deinit(&frame);
  return fed != FEED_GONE;
}

static void finish(Followers *followers, Tail *tail, int status) {
  Buf answer = {0};
  cbor_put_array(&answer, 3);
  cbor_put_uint(&answer, (uint64_t)status);
  cbor_put_bytes(&answer, (Str){0});
  cbor_put_bytes(&answer, (Str){0});
  control_feed(scheduler_control(followers->scheduler), tail->ticket, buf_view(&answer), true);
  buf_deinit(&answer);
}

/* ---- what happens ---------------------------------------------------------------- */

static bool told_output(Followers *followers, Tail *tail, Uuid run, EffectKind kind, Str text) {
  char id[37];
  Buf line = {0};
  uuid_text(run, id);
  if (tail->json) {
    buf_byte(&line, '{');
    json_text(&line, kind == EFFECT_LOG ? "log" : "print", text);
    json_text(&line, "run", str_of(id));
    buf_text(&line, "}\n");
  } else {
    stream_show_break(&tail->show, &line);
    output_safe(&line, text);
    buf_byte(&line, '\n');
  }
  bool here = tell(followers, tail, STDOUT_FILENO, buf_view(&line));
  buf_deinit(&line);
  return here;
}

void followers_output(Followers *followers, Uuid run, EffectKind kind, Str text) {
  for (uint32_t i = followers != NULL ? followers->count : 0; i-- > 0;) {
    Tail *tail = followers->at[i];
    if (follows(followers, tail, run) && !told_output(followers, tail, run, kind, text)) tail_drop(followers, i);
  }
}

static bool told_piece(Followers *followers, Tail *tail, const StreamPiece *piece) {
  Buf text = {0};
  if (tail->json) stream_json(piece, &text);
  else stream_show(&tail->show, piece, &text);
  bool here = text.size == 0 || tell(followers, tail, STDOUT_FILENO, buf_view(&text));
  buf_deinit(&text);
  return here;
}

void followers_stream(Followers *followers, const StreamPiece *piece) {
  for (uint32_t i = followers != NULL ? followers->count : 0; i-- > 0;) {
    Tail *tail = followers->at[i];
    if (follows(followers, tail, piece->run) && !told_piece(followers, tail, piece)) tail_drop(followers, i);
  }
}

static void end_text(const RunEnd *end, const char *id, Buf *out) {
  ErrorParts parts;
  buf_format(out, "run %s %s", id, run_status_word(end->status));
  if (end->status != RUN_STATUS_DONE && error_decode(end->value, &parts)) {
    buf_format(out, ": " STR_FMT " ", STR_ARG(parts.code));
    output_safe(out, parts.message);
  }
  buf_byte(out, '\n');
}

static bool told_end(Followers *followers, Tail *tail, const RunEnd *end) {
  char id[37];
  Buf line = {0};
  uuid_text(end->run, id);
  if (tail->json) {
    buf_byte(&line, '{');
    json_text(&line, "run", str_of(id));
    json_text(&line, "status", str_of(run_status_word(end->status)));
    json_value(&line, end->status == RUN_STATUS_DONE ? "result" : "error", end->value);
    buf_text(&line, "}\n");
  } else {
    stream_show_break(&tail->show, &line);
    end_text(end, id, &line);
  }
  bool here = tell(followers, tail, STDOUT_FILENO, buf_view(&line));
  buf_deinit(&line);
  bool last = tail->one && memcmp(&end->run, &tail->run, sizeof tail->run) == 0;
  if (here && last) finish(followers, tail, end->status == RUN_STATUS_DONE ? EXIT_DONE : EXIT_FAILED);
  return here && !last;
}

void followers_ended(Followers *followers, const RunEnd *end) {
  for (uint32_t i = followers != NULL ? followers->count : 0; i-- > 0;) {
    Tail *tail = followers->at[i];
    if (follows(followers, tail, end->run) && !told_end(followers, tail, end)) tail_drop(followers, i);
  }
}

void followers_notice(Followers *followers, Str text) {
  for (uint32_t i = followers != NULL ? followers->count : 0; i-- > 0;) {
    Tail *tail = followers->at[i];
    Buf line = {0};
    stream_show_break(&tail->show, &line);
    buf_format(&line, "z8: " STR_FMT "\n", STR_ARG(text));
    bool here = tail->one || tell(followers, tail, STDERR_FILENO, buf_view(&line));
    buf_deinit(&line);
    if (!here) tail_drop(followers, i);
  }
}
