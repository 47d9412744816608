/* Nodes that nobody wrote: what a declaration of a model or an ai_agent stands for, as a tree of its own. They bear
** the span of what they were made for. Names made here are not interned, so no program can name what they declare,
** and nothing that a program declares hides what they mean. */
#ifndef Z8_MADE_H
#define Z8_MADE_H

#include "compiler/check/checker.h"

Name *made_label(Checker *c, Str text);                       /* a name of its own */
Name *made_dotted(Checker *c, Str before, const char *after); /* "Wire.arguments" */

Expr *made_name(Checker *c, Span span, Name *name);
Expr *made_text(Checker *c, Span span, Str text);
Expr *made_int(Checker *c, Span span, int64_t i);
Expr *made_bool(Checker *c, Span span, bool b);
Expr *made_nil(Checker *c, Span span);
Expr *made_member(Checker *c, Span span, Expr *object, Name *name);
Expr *made_call(Checker *c, Span span, Expr *callee, Arg *args);
/* module.name(args), of the library. */
Expr *made_library_call(Checker *c, Span span, const char *module, const char *name, Arg *args);
Expr *made_lambda(Checker *c, Span span, Name *parameter,
                  Expr *value); /* parameter NULL: it has none */
Expr *made_fit(Checker *c, Span span, Name *type, Expr *value);
Arg *made_arg(Checker *c, Name *name, Expr *value); /* name NULL: by its place */

typedef struct MadeMap { /* a map, or arguments, entry by entry */
  Arg *first, **last;
} MadeMap;
void made_entry(Checker *c, MadeMap *map, const char *key, Expr *value);
void made_add(MadeMap *map, Arg *arg);
Expr *made_map(Checker *c, Span span, const MadeMap *map);
typedef struct MadeList {
  Expr *first, **last;
} MadeList;
void made_item(MadeList *list, Expr *item);
Expr *made_list(Checker *c, Span span, const MadeList *list);

Stmt *made_return(Checker *c, Span span, Expr *value);
TypeExpr *made_type(Checker *c, Span span, Name *name);
Field *made_field(Checker *c, Span span, Name *name, TypeExpr *type, Expr *value);
/* A declaration at the end of the unit, before anything is declared. */
Decl *made_decl(Checker *c, Unit *unit, DeclKind kind, Span span, Name *name);

/* A tree as the parser made it, once more: for what stands in two places. */
Expr *expr_clone(Checker *c, const Expr *e);
Field *fields_clone(Checker *c, const Field *fields, bool bare); /* bare: names and types only */

#endif
