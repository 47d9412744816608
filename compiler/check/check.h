/* The checker: names to declarations, types as far as they can be known,
** patterns, purity, the rules of each declaration. It decorates the tree and
** reports; it never prints and never stops at the first error.
**
** What a call turned out to be is in Expr.resolution, so that the emitter does
** not resolve anything again. Named arguments have been put in parameter order:
** CALL.args then holds one Arg per parameter up to the last one given, with
** value NULL where a parameter was left out. */
#ifndef Z8_CHECK_H
#define Z8_CHECK_H

#include "compiler/check/symbol.h"
#include "compiler/check/types.h"
#include "compiler/diag.h"

typedef enum {
  CALL_BAD,          /* an error was reported */
  CALL_FUNCTION,     /* symbol FN: static call of a Z8 function */
  CALL_VALUE,        /* callee is any expression giving a function */
  CALL_NATIVE,       /* symbol NATIVE: args as they stand */
  CALL_NATIVE_METHOD,/* x.f(a): symbol NATIVE, the object is the first argument */
  CALL_FUNCTION_METHOD, /* x.f(a): symbol FN of stdlib, the object is the first argument */
  CALL_METHOD,       /* x.f(a), receiver's kind known only at run time: CALLM */
  CALL_CONSTRUCT,    /* symbol TYPE: a record */
  CALL_EFFECT,       /* symbol EFFECT */
  CALL_TOOL, CALL_WORKFLOW, CALL_EXTERN,
  CALL_PATCHED, CALL_DEPRECATE_PATCH, /* one string literal */
  CALL_UPCAST        /* upcast(EventName, old_value, version): reserved for messages */
} CallKind;

typedef enum {
  MEMBER_BAD,
  MEMBER_FIELD,      /* record, map or error known only at run time: GETF */
  MEMBER_SLOT,       /* record of a known type: GETSLOT, Expr.slot */
  MEMBER_SYMBOL      /* module.name: Expr.symbol is the function, native, effect or constant */
} MemberKind;

typedef struct Checked {
  Unit *units;         /* imported files before those that import them; the root file last */
  Function *functions; /* every function, lambda, branch… by next */
  Types *types;
  Function *script;    /* the root file's */
} Checked;

typedef struct CheckOptions {
  bool strict; /* warnings count as errors */
} CheckOptions;

/* units: root last, as compile.c ordered them. Fills *out whatever was found; errors are in diags. */
void check_program(Arena *arena, Diags *diags, Unit *units, CheckOptions options, Checked *out);
#endif
