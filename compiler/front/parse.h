/* Source text to tree: lexer.re, layout.c, grammar.y, ast.c, recover in parse.c.
**
** Several errors come out of one file: the parser is snapshotted at each logical
** line and a bad line becomes STMT_BAD / EXPR_BAD, about which later passes keep
** quiet. */
#ifndef Z8_PARSE_H
#define Z8_PARSE_H

#include "compiler/diag.h"
#include "compiler/front/ast.h"
#include "vm/base/arena.h"

/* The intern table of one compilation. */
typedef struct Names Names;
Names *names_new(Arena *arena);
Name *name_intern(Names *names, Str text);

/* Parses diags->sources[source]. Never fails: what cannot be read is reported. */
Unit *parse_unit(Arena *arena, Names *names, Diags *diags, uint32_t source);
#endif
