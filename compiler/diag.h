/* Diagnostics: data in a list; a pass goes on and reports all it can, and never
** prints. Each kind is one line of lang/diagnostics.def:
**
**   DIAG(NAME, 412, ERROR|WARNING, "message with {0} {1}", "explanation for z8 explain")
**
** Codes are for ever: Z8-E0412, Z8-W0801. diag_render draws them like this
** (colour where asked):
**
**   error[Z8-E0205]: there is no `acount_id` here
**     bank.z8:12:18
**      12 |   balance = acount_id + 1
**         |             ^^^^^^^^^ did you mean `account_id`?
**      note: … bank.z8:3:5 … with its own line and underline
**     help: … */
#ifndef Z8_DIAG_H
#define Z8_DIAG_H

#include "compiler/front/ast.h"
#include "vm/base/arena.h"
#include "vm/base/buf.h"

typedef enum {
#define DIAG(name, ...) DIAG_##name,
#include "lang/diagnostics.def"
#undef DIAG
  DIAG_COUNT
} DiagId;

typedef enum { SEVERITY_ERROR, SEVERITY_WARNING } Severity;

typedef struct DiagInfo {
  const char *name;
  uint16_t number;
  uint8_t severity;
  const char *message, *explanation;
} DiagInfo;
extern const DiagInfo diag_info[];

typedef struct DiagNote {
  Span span; /* size 0 and at 0: no place */
  Str text;
  struct DiagNote *next;
} DiagNote;

typedef struct Diag {
  DiagId id;
  Span span;
  Str message;         /* placeholders filled */
  Str label;           /* beside the underline: "did you mean `x`?"; may be empty */
  Str help;            /* a line at the end; may be empty */
  Str fix;             /* replacement for the span where there is one (editors, --json); at NULL if none */
  DiagNote *notes;
  struct Diag *next;
} Diag;

/* A source file of a compilation. */
typedef struct Source {
  Str path; /* as shown: as given or imported */
  Str text;
  uint32_t base;        /* Span.at of its first byte */
  uint32_t *lines;      /* offsets of line starts; made on first need */
  uint32_t line_count;
  bool standard;
} Source;

typedef struct Diags {
  Arena *arena;
  Diag *first, **last;
  Diag *spare; /* stands for those past the limits */
  uint32_t error_count, warning_count;
  Source *sources; /* array kept by the compilation */
  uint32_t source_count;
} Diags;

void diags_init(Diags *diags, Arena *arena);
/* Adds one; at most LIMIT_DIAGNOSTICS errors are kept, and one per place. Arguments fill {0}, {1}… */
Diag *diag_add(Diags *diags, DiagId id, Span span, const Str *args, size_t arg_count);
#define DIAG_ADD(diags, id, span, ...) \
  diag_add(diags, id, span, (const Str[]){__VA_ARGS__}, sizeof((const Str[]){__VA_ARGS__}) / sizeof(Str))
#define DIAG_ADD0(diags, id, span) diag_add(diags, id, span, NULL, 0)
void diag_note(Diags *diags, Diag *diag, Span span, Str text);
void diag_label(Diag *diag, Str text);
void diag_help(Diag *diag, Str text);
void diag_fix(Diag *diag, Str replacement);
/* Text in the diagnostics' arena, for labels and notes. */
Str diag_format(Diags *diags, const char *format, ...) PRINTF_LIKE(2, 3);
/* The candidate nearest to `wanted` by edit distance, close enough to suggest; at == NULL if none. */
Str diag_nearest(Str wanted, const Str *candidates, size_t count);

typedef struct Place {
  const Source *source;
  uint32_t line, column; /* from 1; column in characters */
} Place;
Place diag_place(Diags *diags, uint32_t at);

/* Sorted by place; errors and warnings as text, or one JSON document per line. */
void diag_render(Diags *diags, bool colour, Buf *out);
void diag_render_json(Diags *diags, Buf *out);
/* `z8 explain`: false when no diagnostic has the code ("Z8-E0412", "E0412" or "412"). */
bool diag_explain(Str code, Buf *out);

#endif
