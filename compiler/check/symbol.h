/* What a name stands for, and what a function is made of: filled by the checker,
** read by the emitter. */
#ifndef Z8_SYMBOL_H
#define Z8_SYMBOL_H

#include "compiler/check/types.h"
#include "compiler/front/ast.h"

typedef struct Function Function;

typedef enum {
  SYMBOL_VARIABLE, /* local, parameter, loop variable, pattern binding */
  SYMBOL_FN,
  SYMBOL_CONST,
  SYMBOL_CONFIG,
  SYMBOL_TYPE, /* type, command, event: constructs a record; a `type Id = string` alias names a type
                  only */
  SYMBOL_WORKFLOW,
  SYMBOL_TOOL,
  SYMBOL_EXTERN,
  SYMBOL_NATIVE, /* natives.def: `native` */
  SYMBOL_EFFECT, /* built-in effects called like functions: now random uuid env secret print log,
                    http.*, file.* …: `effect` */
  SYMBOL_MODULE, /* import alias, or a built-in module: math, json, text, http… */
  /* the application: see "The application" in check.h */
  SYMBOL_AGENT,   /* decl: DECL_AGENT. type: the record type of its state */
  SYMBOL_VIEW,    /* decl: DECL_VIEW; agent: whose */
  SYMBOL_ROUTER,  /* decl: DECL_ROUTER */
  SYMBOL_HANDLER, /* decl: DECL_HANDLER */
  SYMBOL_WORKER,  /* decl: DECL_WORKER. type: the record type of its job; called, it constructs one */
  SYMBOL_FIELD    /* [check] only: a state field, or a parameter that binds a message's field. No decorated tree
                     names one: such a name was rewritten to `state.field`, `message.field` */
} SymbolKind;

struct Symbol {
  SymbolKind kind;
  Name *name;
  Span span;        /* where declared */
  Type *type;       /* VARIABLE: joined over its assignments; FN: a function type */
  Decl *decl;       /* declarations */
  Function *owner;  /* VARIABLE: the function it belongs to */
  bool parameter;   /* VARIABLE */
  bool captured;    /* VARIABLE: some inner function or query holds it */
  bool changed;     /* VARIABLE: updated in place or assigned after its first assignment */
  bool maybe_unset; /* VARIABLE: some read may come before any assignment: emitter guards with FAULT
                       UNSET (only where allowed) */
  uint32_t reads, writes;
  NativeId native; /* NATIVE */
  uint8_t effect;  /* EFFECT: EffectKind */
  Str effect_arg;  /* EFFECT: ext2 text: "get", "read"…; empty if none */
  Unit *unit;      /* MODULE: an imported file; NULL for a built-in module */
  Expr *constant;  /* CONST: its folded value (a literal expression, or LIST/MAP of them) */
  Decl *agent;     /* VIEW */
  Symbol *outer;   /* the binding this one hides, while in scope */
  Symbol *next;    /* in its scope; AGENT: its last view, VIEW: the one before */

  /* [emit] */
  int32_t reg;    /* VARIABLE: register, -1 if none */
  uint32_t index; /* FN, TYPE, WORKFLOW, TOOL, EXTERN, CONFIG: index in the bundle + 1, 0 if not yet
                     emitted */
};

/* A body of code with its own registers: function, lambda, script, workflow,
** perform, check, query, one branch of parallel/race, the body of a parallel for. */
typedef struct Capture {
  Symbol *outer; /* variable of the enclosing function */
  Symbol *inner; /* its copy here (captured by value) */
  struct Capture *next;
} Capture;

struct Function {
  uint8_t kind; /* FnKind of vm/bundle/bundle.h */
  Str name;     /* qualified: what traces and sites say; lambdas: "outer.fn#1", by order in outer */
  Span span;
  Function *parent; /* for lambdas, branches, queries */
  Unit *unit;
  Decl *decl; /* or NULL */
  Field *params;
  Stmt *body;  /* or NULL: then expr */
  Expr *expr;  /* lambda's expression body */
  bool single; /* BRANCH made of one statement: `body` is that one, its `next` belongs to others */
  Expr *value_expr; /* BRANCH, parallel-for body: the expression that ends it and gives its value:
                    ** of a last expression statement, or the value of a last assignment to a name; NULL: its
                    ** value is nil */
  Symbol *key;      /* PERFORM, CHECK: the variable `key`, after the parameters */
  Symbol *state;    /* DECIDE, GUARD, EVOLVE, VIEW, INVARIANT: the parameter that holds the state; among `params` */
  Symbol *message;  /* DECIDE, GUARD, EVOLVE, ON, JOB: the command, event or job; among `params` */
  Symbol *meta;     /* DECIDE, GUARD, EVOLVE, ON, JOB: the parameter `meta`, last of `params`; reads > 0: it is used */
  Symbol *outcome;  /* TEST: the variable that holds what the last `when` gave; NULL: there is no `when` */
  Capture *captures, **last_capture;
  Symbol *locals;   /* all variables of the function by next-in-function order */
  Symbol **results; /* BRANCH and parallel bodies: variables assigned inside that the outside sees
                       afterwards… */
  Symbol **result_targets; /* …and the outer variables they go to */
  uint32_t result_count;
  Type *result;
  bool asserted_pure;
  bool effects;      /* holds an effect or calls (statically) what does */
  bool calls_values; /* calls function values or unknown methods */
  bool reached; /* from the script, a workflow or a tool: others are checked but not emitted from
                   the library */
  struct Function *next; /* all functions, in order of meeting */
  uint32_t index;        /* [emit] its index in the bundle + 1, 0 if it is not emitted yet */
  bool
      proven; /* [emit] every call is static and its arguments surely fit: it need not check them */
};
#endif
