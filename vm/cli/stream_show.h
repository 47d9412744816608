/* The text of models as it comes, on a terminal: several streams may come at once, and other lines between them. */
#ifndef Z8_STREAM_SHOW_H
#define Z8_STREAM_SHOW_H

#include "vm/cli/cli.h"

typedef struct OpenStream {
  Uuid run;
  uint64_t seq;
  uint32_t attempt;
} OpenStream;
typedef struct StreamShow {
  OpenStream *open;
  uint32_t count, cap;
  Uuid *broken; /* runs whose last stream broke off: the next one says so */
  uint32_t broken_count, broken_cap;
  OpenStream last; /* whose text was written last */
  bool mid_line;   /* its line is not ended */
} StreamShow;

void stream_show(StreamShow *show, const StreamPiece *piece, Buf *out);
/* Before another line is written. */
void stream_show_break(StreamShow *show, Buf *out);
void stream_show_deinit(StreamShow *show);
/* A line {"stream": …} for a piece; one without text says how it ended. */
void stream_json(const StreamPiece *piece, Buf *out);

#endif
