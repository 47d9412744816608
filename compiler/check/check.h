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
  CALL_BAD,             /* an error was reported */
  CALL_FUNCTION,        /* symbol FN: static call of a Z8 function */
  CALL_VALUE,           /* callee is any expression giving a function */
  CALL_NATIVE,          /* symbol NATIVE: args as they stand */
  CALL_NATIVE_METHOD,   /* x.f(a): symbol NATIVE, the object is the first argument */
  CALL_FUNCTION_METHOD, /* x.f(a): symbol FN of stdlib, the object is the first argument */
  CALL_METHOD,          /* x.f(a), receiver's kind known only at run time: CALLM */
  CALL_CONSTRUCT,       /* symbol TYPE: a record */
  CALL_EFFECT,          /* symbol EFFECT */
  CALL_TOOL,
  CALL_WORKFLOW,
  CALL_EXTERN,
  CALL_PATCHED,
  CALL_DEPRECATE_PATCH, /* one string literal */
  CALL_UPCAST           /* upcast(EventName, old_value, version): reserved for messages */
} CallKind;

/* Decisions for the emitter:
** - METHOD calls (NATIVE_METHOD, FUNCTION_METHOD, METHOD): `left` is EXPR_MEMBER, its `left` the
*object. `args` holds the
**   arguments after the object; named ones have been put in order. `x?.f(a)` is METHOD with
*left->safe: nil if x is nil.
** - PATCHED, DEPRECATE_PATCH: the id is args->value, an EXPR_STRING.
** - EFFECT: args in the order of these parameters: http.get/post/put/patch/delete/head/options
*(url, headers, json, body,
**   timeout); http.request (method, url, headers, json, body, timeout); file.* (path, data); print,
*log (values…);
**   env, secret (name); random (a, b). Symbol.effect_arg is "GET" and so on (empty for
*http.request); for files the
**   word of effects.def: text bytes lines exists list / write append delete.
** - `return absent` and `return confirmed X` in a tool's check have been rewritten to the list
*literals ["absent"] and
**   ["confirmed", X]: nothing is left to do for them.
** - A native, effect, tool, workflow, extern or type used as a value (`xs.map(str)`) has been
*rewritten to a LAMBDA
**   that calls it, so EXPR_NAME and MEMBER_SYMBOL as values are only VARIABLE, FN, CONST and
*CONFIG.
** - Settings of a tool are folded in place to literals: timeout.first,
*max_attempts.first/second/third (DURATION, INT),
**   limit.first STRING, second INT, third DURATION; effect.first stays EXPR_NAME. `unless`:
*Setting.function, of kind
**   FNKIND_UNLESS, one parameter, body in Function.expr.
** - Config defaults and constants are folded: Decl.value (CONFIG) and Symbol.constant are literals
*(CONST: or LIST, MAP).
** - Type, command and event declarations: Decl.function has kind FNKIND_CONSTRUCTOR, params are the
*fields (Field.symbol),
**   no body. A plain alias `type Id = string` has none.
** - UPCAST: Decl.symbol is the message's symbol. Imports have no symbol but the alias.
** - Parallel: each statement of STMT_PARALLEL.body and each STMT_BRANCH of a race has Stmt.function
*(kind FNKIND_BRANCH, body
**   as Function.body: for a STMT_BRANCH its body, else that one statement alone: do not follow its
*`next`, see
**   Function.single). Its value: see Function.value_expr.
** - PARALLEL_FOR: Expr.function (FNKIND_BRANCH), one parameter: params == Expr.fields.
** - In a branch's Function.results the inner symbol may be unset at the end of the branch (return
*nil then).
** - `x.f` where x is known to be a map, object, error, union or any is MEMBER_FIELD; RECORD with
*known shape MEMBER_SLOT.
** - MATCH, FOR, catch variables belong to the function's locals like all others. `_` as a name is
*never a variable:
**   Field.symbol, Pattern.symbol are NULL for it, and an assignment `_ = x` evaluates x only
*(target EXPR_NAME with symbol NULL). */

typedef enum {
  MEMBER_BAD,
  MEMBER_FIELD, /* record, map or error known only at run time: GETF */
  MEMBER_SLOT,  /* record of a known type: GETSLOT, Expr.slot */
  MEMBER_SYMBOL /* module.name: Expr.symbol is the function, native, effect or constant */
} MemberKind;

typedef struct Checked {
  Unit *units;         /* imported files before those that import them; the root file last */
  Function *functions; /* every function, lambda, branch… by next */
  Types *types;
  Function *script; /* the root file's */
} Checked;

typedef struct CheckOptions {
  bool strict; /* warnings count as errors */
} CheckOptions;

/* units: root last, as compile.c ordered them. Fills *out whatever was found; errors are in diags.
 */
void check_program(Arena *arena, Diags *diags, Unit *units, CheckOptions options, Checked *out);
#endif
