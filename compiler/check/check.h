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
  CALL_UPCAST,          /* upcast(EventName, old_value, version): reserved for messages */
  CALL_VIEW,            /* Agent(id).view(args): symbol VIEW; args: the id, then one for each parameter of the view */
  CALL_CALLS            /* calls(Tool), in a test: args->value is an EXPR_STRING, the tool's name */
} CallKind;

/* Decisions for the emitter:
** - METHOD calls (NATIVE_METHOD, FUNCTION_METHOD, METHOD): `left` is EXPR_MEMBER, its `left` the object. `args` holds
** the
** arguments after the object; named ones have been put in order. `x?.f(a)` is METHOD with left->safe: nil if x is
** nil.
** - PATCHED, DEPRECATE_PATCH: the id is args->value, an EXPR_STRING.
** - EFFECT: args in the order of these parameters: http.get/post/put/patch/delete/head/options (url, headers, json,
** body,
** timeout); http.request (method, url, headers, json, body, timeout); file.* (path, data); print, log (values…);
** env, secret (name); random (a, b). Symbol.effect_arg is "GET" and so on (empty for http.request); for files the
**   word of effects.def: text bytes lines exists list / write append delete.
** - `return absent` and `return confirmed X` in a tool's check have been rewritten to the list literals ["absent"]
** and
**   ["confirmed", X]: nothing is left to do for them.
** - A native, effect, tool, workflow, extern or type used as a value (`xs.map(str)`) has been rewritten to a LAMBDA
** that calls it, so EXPR_NAME and MEMBER_SYMBOL as values are only VARIABLE, FN, CONST and CONFIG.
** - Settings of a tool are folded in place to literals: timeout.first, max_attempts.first/second/third (DURATION,
** INT),
** limit.first STRING, second INT, third DURATION; effect.first stays EXPR_NAME. `unless`: Setting.function, of kind
**   FNKIND_UNLESS, one parameter, body in Function.expr.
** - Config defaults and constants are folded: Decl.value (CONFIG) and Symbol.constant are literals (CONST: or LIST,
** MAP).
** - Type, command and event declarations: Decl.function has kind FNKIND_CONSTRUCTOR, params are the fields
** (Field.symbol),
**   no body. A plain alias `type Id = string` has none.
** - UPCAST: Decl.symbol is the message's symbol. Imports have no symbol but the alias.
** - Parallel: each statement of STMT_PARALLEL.body and each STMT_BRANCH of a race has Stmt.function (kind
** FNKIND_BRANCH, body
** as Function.body: for a STMT_BRANCH its body, else that one statement alone: do not follow its `next`, see
**   Function.single). Its value: see Function.value_expr.
** - PARALLEL_FOR: Expr.function (FNKIND_BRANCH), one parameter: params == Expr.fields.
** - In a branch's Function.results the inner symbol may be unset at the end of the branch (return nil then).
** - `x.f` where x is known to be a map, object, error, union or any is MEMBER_FIELD; RECORD with known shape
** MEMBER_SLOT.
** - MATCH, FOR, catch variables belong to the function's locals like all others. `_` as a name is never a variable:
** Field.symbol, Pattern.symbol are NULL for it, and an assignment `_ = x` evaluates x only (target EXPR_NAME with
** symbol NULL). */

/* The application.
**
** Parameters. The hidden ones (state, message, meta) are ordinary Fields at their place in Function.params,
** without `type` (so nothing is checked on entry), without default, with a symbol; Function.state, .message and
** .meta are those symbols. So a function's params are exactly what the bundle's functions take:
**   DECIDE, GUARD, EVOLVE (state, message, meta) · VIEW (state, parameters…) · INVARIANT (state) · ON (event, meta)
**   · JOB (job, meta) · TICK () · TEST ()
** A parameter that binds a field (`Deposit(amount)`) is no variable: `amount` has been rewritten to
** `message.amount`, a state field `balance` to `state.balance`: EXPR_MEMBER, MEMBER_SLOT, its `left` an EXPR_NAME
** of that parameter (or of its capture in a lambda). So `balance += 1` is an assignment to a path whose root is
** the parameter `state` (symbol.changed). A parameter that binds the whole message (`cmd`) is the message
** parameter itself. `meta` is an EXPR_NAME of the meta parameter.
** The state parameter of an EVOLVE should be owned by it, not borrowed, so that it is updated in place. An
** EVOLVE's body has been given `return state` at its end and at every return: STMT_RETURN whose value is an
** EXPR_NAME.
**
** Declarations:
** - AGENT: Decl.symbol AGENT. Decl.fields: the state's fields, each with a `value` (nil where none was written).
**   Decl.function: the state's constructor (FNKIND_CONSTRUCTOR, named "Account.state"; all its params have a
**   default, so called without arguments it gives the initial state). type_record(agent's Decl) is the state's
**   type, its shape is SHAPE_STATE under the function's name. An agent without `state` has no fields.
** - DECIDE: symbol: the command's (a TYPE); function DECIDE; check_function: the guard (GUARD, Function.expr) or
**   NULL.
**   EVOLVE, ON: symbol: the event's; function EVOLVE, ON. They are in the order written.
** - VIEW: symbol VIEW; function VIEW, its params after the first are Decl.fields; Decl.type as in FN.
** - INVARIANT: function INVARIANT (Function.expr). Decl.text: the message, at == NULL if none.
** - ROUTER: symbol ROUTER. Members: IDENTIFY: symbol AGENT, names: one, the field. ROUTE: symbol AGENT; each of
**   names has `symbol`, the command's. BEFORE: symbol FN, which takes two arguments (command, meta); names
**   likewise, none: all commands. A command's agent: its ROUTE's; field and prefix: of the IDENTIFY with the same
**   symbol in the same router (there is one); `before`: those BEFOREs of its router, in order, that name it or
**   have no names. START: symbol ROUTER.
** - HANDLER: symbol HANDLER; members ON, no two of one event.
** - WORKER: symbol WORKER; Decl.fields: the job's fields (implied ones with value nil); function: the constructor
**   (FNKIND_CONSTRUCTOR; type_record(the Decl) is the job's type, SHAPE_JOB under the worker's name);
**   check_function: the JOB, its body. Constructed by CALL_CONSTRUCT, symbol WORKER.
** - QUEUE: no symbol. EVERY: function TICK. TEST: function TEST.
** - An implied command or event is a COMMAND or EVENT with `implied`, at the end of its unit's decls, with symbol
**   and function like a declared one; each field has the value nil and no type.
** - Settings are folded in place: lifespan.first, timeout.first DURATION; snapshot.first, priority.first,
**   concurrency.first, global.first INT; queue.first STRING; from.first, consistency.first an EXPR_NAME (origin
**   current / strong eventual); max_attempts as in tools (first, second, third, function), also when a line
**   `backoff 1s..5m` stands by itself (a setting of its own: second, third, function; `backoff 5s`: first);
**   limit.second INT, third DURATION; unique: names, second DURATION or NULL, replace.
**
** Statements and expressions:
** - EMIT, REPLY, REJECT and a decide's ENQUEUE are gone: they are STMT_EXPR with a CALL, CALL_NATIVE of
**   decide_emit, decide_reply, decide_reject, decide_enqueue (args: a job, a map or nil); after a REJECT stands a
**   STMT_RETURN.
** - DISPATCH: operand: the command (a record, or any). `right`: its options, an EXPR_MAP of strings to values (the
**   same Args as `args`), or NULL. Words are EXPR_STRINGs by now, handlers an EXPR_LIST of them. `symbol`: the
**   command's, or NULL where it is known only at run time (ext2 is then the empty text).
** - ENQUEUE outside of decide: operand: a CALL_CONSTRUCT; `symbol`: the WORKER; `right` likewise.
** - SNOOZE: value, in a JOB. CANCEL in a Function of kind JOB whose value is not of TYPE_HANDLE is a GIVE_UP.
** - GIVEN: name: the agent (its text is the constant); args: the events. WHEN: value: the command;
**   Function.outcome gets what it gives. THEN compares with Function.outcome: THEN_REJECT value: the code, args:
**   `message`, `data` (each with its name, either may be missing); THEN_REPLY value; THEN_STATE value: an
**   EXPR_MAP, only its entries are compared; THEN_EVENTS args: all events, in order; THEN_NOTHING: neither events
**   nor a refusal.
** - STUB: name: the tool; args: STUB_VALUE value; STUB_RAISE value: the code; STUB_LOST: value is not to be
**   evaluated.
** - EXPECT: cond, value. */

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
  uint8_t default_models; /* of the library's that are used: 1 fast, 2 smart */
} Checked;

typedef struct CheckOptions {
  bool strict; /* warnings count as errors */
} CheckOptions;

/* units: root last, as compile.c ordered them. Fills *out whatever was found; errors are in diags.
 */
void check_program(Arena *arena, Diags *diags, Unit *units, CheckOptions options, Checked *out);
#endif
