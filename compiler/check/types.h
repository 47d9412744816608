/* The checker's types: hash-consed in the compilation's arena, so the same type
** is the same address. ANY is what is not known; it fits everything and
** everything may be tried as it (a run-time check guards where it matters). */
#ifndef Z8_TYPES_H
#define Z8_TYPES_H

#include "compiler/front/ast.h"
#include "lang/tables.h"
#include "vm/base/arena.h"
#include "vm/base/buf.h"

typedef struct TypeField {
  Name *name;
  Type *type;
  bool optional;
  struct TypeField *next;
} TypeField;

struct Type {
  TypeKind kind;
  Type *elem;         /* LIST, MAP; HANDLE: the result, or NULL */
  Type **members;     /* UNION: at least two, no unions among them, sorted */
  uint32_t member_count;
  Decl *decl;         /* RECORD: type, command or event */
  TypeField *fields;  /* OBJECT */
  Expr *literal;      /* LITERAL: EXPR_STRING, EXPR_INT or EXPR_BOOL */
  Type **params;      /* FUNCTION; NULL if not known */
  uint32_t param_count, min_params;
  Type *result;       /* FUNCTION */
  uint32_t id;        /* dense, in order of making */
  uint32_t index;     /* [emit] index in the bundle's type table + 1, 0 if none */
  Type *chain;
};

typedef struct Types Types; /* the table */
Types *types_new(Arena *arena);
Type *type_simple(Types *types, TypeKind kind);      /* ANY … BYTES, TIME, DURATION, SEALED, ERROR */
Type *type_list(Types *types, Type *elem);
Type *type_map(Types *types, Type *elem);
Type *type_record(Types *types, Decl *decl);
Type *type_optional(Types *types, Type *type);
Type *type_union(Types *types, Type **members, uint32_t count);
Type *type_literal(Types *types, Expr *literal);
Type *type_object(Types *types, TypeField *fields);
Type *type_function(Types *types, Type **params, uint32_t count, uint32_t min, Type *result);
Type *type_handle(Types *types, Type *result);

/* Does every value of `from` fit `to`? MAYBE where only the run can tell. */
typedef enum { FIT_NO, FIT_MAYBE, FIT_YES } Fit;
Fit type_fit(const Type *from, const Type *to);
/* The smallest type both fit: for branches, list elements. */
Type *type_join(Types *types, Type *a, Type *b);
void type_print(const Type *type, Buf *out);
#endif
