/* Pieces of text in the order in which they come. */
#include "vm/cli/stream_show.h"

#include "vm/base/hash.h"
#include "vm/base/mem.h"

void stream_show_break(StreamShow *show, Buf *out) {
  if (show->mid_line) buf_byte(out, '\n');
  show->mid_line = false;
}

void stream_show_deinit(StreamShow *show) {
  mem_free(show->open);
  mem_free(show->broken);
  *show = (StreamShow){0};
}

static bool is_of(const OpenStream *stream, const StreamPiece *piece) {
  return stream->seq == piece->seq && memcmp(&stream->run, &piece->run, sizeof piece->run) == 0;
}

static OpenStream *stream_find(StreamShow *show, const StreamPiece *piece) {
  for (uint32_t i = 0; i < show->count; i++)
    if (is_of(&show->open[i], piece)) return &show->open[i];
  return NULL;
}

static bool broken_take(StreamShow *show, Uuid run) {
  for (uint32_t i = 0; i < show->broken_count; i++) {
    if (memcmp(&show->broken[i], &run, sizeof run) != 0) continue;
    show->broken[i] = show->broken[--show->broken_count];
    return true;
  }
  return false;
}

static void broken_put(StreamShow *show, Uuid run) {
  show->broken = mem_grow(show->broken, &show->broken_cap, show->broken_count + 1, sizeof *show->broken);
  show->broken[show->broken_count++] = run;
}

static void stream_end(StreamShow *show, const StreamPiece *piece, Buf *out) {
  OpenStream *stream = stream_find(show, piece);
  if (stream == NULL) return;
  if (is_of(&show->last, piece)) {
    if (piece->kind == PIECE_BROKEN && show->mid_line) buf_text(out, " (broke off)");
    stream_show_break(show, out);
  }
  *stream = show->open[--show->count];
  broken_take(show, piece->run);
  if (piece->kind == PIECE_BROKEN) broken_put(show, piece->run);
}

/* True: it begins, or begins anew. */
static bool stream_begin(StreamShow *show, const StreamPiece *piece, bool *again) {
  OpenStream *stream = stream_find(show, piece);
  *again = piece->attempt > 0 || (stream == NULL && broken_take(show, piece->run));
  if (stream != NULL && stream->attempt == piece->attempt) return false;
  if (stream == NULL) {
    show->open = mem_grow(show->open, &show->cap, show->count + 1, sizeof *show->open);
    stream = &show->open[show->count++];
  }
  *stream = (OpenStream){piece->run, piece->seq, piece->attempt};
  return true;
}

/* Whose text it is, where that may be asked: several come at once, or another one's line was broken. */
static void name_put(const StreamPiece *piece, Buf *out) {
  buf_byte(out, '[');
  output_safe(out, piece->agent.size > 0 ? piece->agent : piece->model);
  buf_text(out, "] ");
}

void stream_show(StreamShow *show, const StreamPiece *piece, Buf *out) {
  bool again;
  if (piece->kind != PIECE_TEXT) {
    stream_end(show, piece, out);
    return;
  }
  bool begins = stream_begin(show, piece, &again);
  bool goes_on = show->mid_line && !begins && is_of(&show->last, piece);
  if (!goes_on) {
    stream_show_break(show, out);
    if (show->count > 1) name_put(piece, out);
    if (begins && again) buf_text(out, "(asked again) ");
  }
  output_safe(out, piece->text);
  show->last = (OpenStream){piece->run, piece->seq, piece->attempt};
  if (piece->text.size > 0) show->mid_line = piece->text.at[piece->text.size - 1] != '\n';
}

void stream_json(const StreamPiece *piece, Buf *out) {
  char id[37];
  uuid_text(piece->run, id);
  buf_byte(out, '{');
  json_text(out, "stream", piece->text);
  json_text(out, "run", str_of(id));
  json_number(out, "seq", piece->seq);
  json_number(out, "attempt", piece->attempt);
  if (piece->agent.size > 0) json_text(out, "agent", piece->agent);
  json_text(out, "model", piece->model);
  if (piece->kind != PIECE_TEXT) json_text(out, "end", piece->kind == PIECE_ENDED ? STR("answered") : STR("broken"));
  buf_text(out, "}\n");
}
