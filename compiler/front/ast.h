/* The syntax tree. Nodes live in the compilation's arena and point at interned
** names. The parser fills everything but the fields marked [check], which the
** checker fills and the emitter reads. A list is a chain through `next`.
**
** Every node has a Span. Pipes are gone already: `x |> f(a)` is f(x, a). */
#ifndef Z8_AST_H
#define Z8_AST_H

#include "vm/base/base.h"

/* A piece of source. Every file of a compilation has its own stretch of one
** number line (Source.base), so a place is one number. */
typedef struct Span {
  uint32_t at, size;
} Span;

/* An interned identifier or word: one struct per spelling, compared by address. */
typedef struct Name {
  Str text;
  uint32_t hash;
  uint16_t word;          /* Word from keywords.def, 0 if not a word */
  struct Name *next;      /* chain of the intern table */
  struct Symbol *binding; /* [check] innermost binding now in scope */
  uint32_t constant;      /* [emit] its constant's index + 1, 0 if none */
} Name;

typedef struct Type Type;     /* compiler/check/types.h */
typedef struct Symbol Symbol; /* compiler/check/symbol.h */
typedef struct Expr Expr;
typedef struct Stmt Stmt;
typedef struct Decl Decl;

/* ---- types as written ---- */
typedef enum {
  TEXPR_NAME,
  TEXPR_LIST,
  TEXPR_MAP,
  TEXPR_OPTIONAL,
  TEXPR_UNION,
  TEXPR_LITERAL,
  TEXPR_OBJECT,
  TEXPR_FN
} TypeExprKind;
typedef struct TypeExpr {
  TypeExprKind kind;
  Span span;
  Name *name; /* NAME: int, Point, … */
  struct TypeExpr
      *first; /* LIST, MAP, OPTIONAL: the element; UNION: members by `next`; FN: parameters */
  struct TypeExpr *result; /* FN */
  Expr *literal;           /* LITERAL: a string, int or bool literal */
  struct Field *fields;    /* OBJECT */
  struct TypeExpr *next;
} TypeExpr;

/* A field of a record or message, a parameter, a workflow's or tool's input. */
typedef struct Field {
  Name *name;
  Span span;      /* of the name */
  TypeExpr *type; /* or NULL */
  Expr *value;    /* default, or NULL */
  Expr *where;    /* constraint over the fields so far, or NULL */
  Str doc;
  Symbol *symbol; /* [check] */
  struct Field *next;
} Field;

/* ---- expressions ---- */
typedef enum {
  EXPR_NIL,
  EXPR_BOOL,
  EXPR_INT,
  EXPR_FLOAT,
  EXPR_DECIMAL,
  EXPR_STRING,
  EXPR_DURATION,
  EXPR_INTERP, /* parts: EXPR_STRING and expressions, in `first` */
  EXPR_NAME,
  EXPR_MEMBER,        /* object.name, or object?.name if safe */
  EXPR_INDEX,         /* object[index], or object?[index] if safe */
  EXPR_SLICE,         /* object[low:high], either may be NULL */
  EXPR_CALL,          /* callee(args) */
  EXPR_LIST,          /* items in `first`; EXPR_SPREAD among them */
  EXPR_MAP,           /* entries */
  EXPR_SPREAD,        /* ...operand, in lists and maps and in patterns (operand NULL: a bare ...) */
  EXPR_LAMBDA,        /* fields -> operand */
  EXPR_UNARY,         /* op: UNARY_NEG, UNARY_NOT */
  EXPR_BINARY,        /* left op right */
  EXPR_COMPREHENSION, /* [operand for name(, name2)? in iter if cond] */
  EXPR_TRY,           /* try operand */
  EXPR_AWAIT,         /* await: await_kind and operands */
  EXPR_START,         /* start callee(args); operand is an EXPR_CALL */
  EXPR_PARALLEL_FOR,  /* parallel [settle] for name in iter [limit n]: body */
  EXPR_RACE,          /* race: branches */
  EXPR_DISPATCH,      /* dispatch operand [with args]: operand gives a command, mostly an EXPR_CALL;
                         because */
  EXPR_ENQUEUE,       /* enqueue operand [args]: operand gives a job, an EXPR_CALL; because. Args:
                         schedule_in, at, priority … */
  EXPR_APPROVE,       /* approve left for operand(…) [within high]; because. [check] operand becomes the record of the
                         tool's arguments, symbol the tool */
  EXPR_FIT,           /* [check] only: operand as a record of the type of `symbol` */
  EXPR_BAD            /* where the parser recovered; the checker keeps quiet about it */
} ExprKind;

typedef enum { UNARY_NEG, UNARY_NOT } UnaryOp;
typedef enum {
  BIN_ADD,
  BIN_SUB,
  BIN_MUL,
  BIN_DIV,
  BIN_IDIV,
  BIN_MOD,
  BIN_EQ,
  BIN_NE,
  BIN_LT,
  BIN_LE,
  BIN_GT,
  BIN_GE, /* `is` is BIN_EQ, `is not` BIN_NE */
  BIN_IN,
  BIN_NOT_IN,
  BIN_AND,
  BIN_OR,
  BIN_COALESCE
} BinaryOp;
typedef enum { AWAIT_HANDLE, AWAIT_ALL, AWAIT_ANY, AWAIT_SIGNAL } AwaitKind;

typedef struct Arg { /* of a call, or an entry of a map literal */
  Name *name;        /* named argument, or NULL. Map entry: the key when written as a name */
  Span name_span;
  Expr *key;   /* map entry `"a b": v` or `[expr]: v`; else NULL */
  Expr *value; /* shorthand {a} gives value EXPR_NAME a; a spread entry: EXPR_SPREAD */
  uint8_t stub; /* of a STMT_STUB: StubKind */
  struct Arg *items; /* of a STMT_STUB: a list of answers, or a model's calls (each `value` an EXPR_CALL) */
  struct Arg *next;
} Arg;

enum { EXPR_DEPTH_MAX = 1000 };

struct Expr {
  ExprKind kind;
  uint8_t op;         /* UnaryOp, BinaryOp or AwaitKind */
  bool safe;          /* MEMBER, INDEX: `?.` `?[` */
  bool parenthesised; /* for messages and the formatter */
  bool settle;        /* PARALLEL_FOR */
  bool asks;          /* CALL: `ask` stands before it */
  bool rate;          /* LIST of two: `50 per 1m`, in a limit or budget */
  Span span;
  Expr *next; /* in a list of expressions */
  union {
    bool boolean;
    int64_t integer; /* INT; DURATION in microseconds */
    double number;
    Str text;   /* STRING (escapes done), DECIMAL ("12.50") */
    Name *name; /* NAME; MEMBER's member; AWAIT_SIGNAL's signal */
  };
  Span name_span; /* MEMBER: of the member */
  Expr *left,
      *right; /* BINARY; MEMBER, INDEX, SLICE, CALL: left is the object or callee; INDEX: right */
  Expr *low, *high; /* SLICE; AWAIT_SIGNAL: high is the `within`; PARALLEL_FOR: high is the limit */
  Expr *operand;    /* UNARY, LAMBDA's body expression, SPREAD, TRY, COMPREHENSION's element, AWAIT,
                       START */
  Expr *first;      /* INTERP, LIST: items by `next` */
  Expr *iter, *cond; /* COMPREHENSION, PARALLEL_FOR (iter) */
  Arg *args;         /* CALL, MAP */
  Expr *because;     /* CALL, START: `because` after it, or NULL */
  Field *fields;     /* LAMBDA: parameters; COMPREHENSION, PARALLEL_FOR: the one or two variables */
  Stmt *body;        /* PARALLEL_FOR; RACE: branches as STMT_BRANCH */

  /* [check] */
  Type *type;
  Symbol *symbol; /* NAME: what it names; MEMBER: a module's function, a native; CALL: the resolved
                     callee if static */
  struct Function *function; /* LAMBDA, PARALLEL_FOR, and each branch: its own scope and captures */
  uint8_t resolution;        /* CALL: CallKind, see check.h; MEMBER: MemberKind */
  uint16_t depth; /* levels below it; the parser keeps it at EXPR_DEPTH_MAX or less, so walks may
                     recurse */
  uint32_t slot;  /* MEMBER with a known shape: field number */
};

/* ---- patterns are expressions read as patterns; see Arm ---- */
typedef enum {
  PATTERN_WILD,   /* _ */
  PATTERN_BIND,   /* lower-case name */
  PATTERN_VALUE,  /* literal, constant name, -1 */
  PATTERN_RECORD, /* Circle(r), Circle(r: x): `type_name`, `items` with `field` or by position */
  PATTERN_MAP,    /* {kind: "square", side} */
  PATTERN_LIST,   /* [first, ...rest] */
  PATTERN_REST,   /* ...rest or ... inside a list; name may be NULL */
  PATTERN_OR      /* 0 | 1 : items */
} PatternKind;
typedef struct Pattern {
  PatternKind kind;
  Span span;
  Name *name;  /* BIND, REST; RECORD: the type */
  Name *field; /* item of a RECORD or MAP: which field (NULL: by position); a map key that is no
                  name is in key */
  Str key;     /* item of a MAP written with a string key; at == NULL otherwise */
  Expr *value; /* VALUE */
  struct Pattern *items; /* by next */
  struct Pattern *next;
  Symbol *symbol; /* [check] BIND, REST: the variable; RECORD: the type; VALUE: a constant */
} Pattern;

typedef struct Arm { /* of a match, or a catch */
  Span span;
  Pattern *pattern; /* match; NULL in a catch */
  Name *name;       /* catch: the error's variable, or NULL */
  Span name_span;
  Expr *guard; /* when, or NULL */
  Stmt *body;
  Symbol *symbol; /* [check] catch variable */
  struct Arm *next;
} Arm;

/* ---- statements ---- */
typedef enum {
  STMT_EXPR,
  STMT_ASSIGN, /* target op= value; target is NAME, MEMBER, INDEX, or a LIST/MAP literal to
                  destructure */
  STMT_IF,     /* cond, body, otherwise (another STMT_IF for elif) */
  STMT_FOR,    /* fields: one or two variables; value: the collection */
  STMT_WHILE,
  STMT_LOOP /* value: the max, or NULL */,
  STMT_BREAK,
  STMT_CONTINUE,
  STMT_RETURN,
  STMT_PASS,
  STMT_ASSERT,   /* cond, value: the message or NULL */
  STMT_MATCH,    /* value, arms */
  STMT_RAISE,    /* value: code, args: message, data; value NULL: raise again inside a catch */
  STMT_TRY,      /* body, arms: catches, final */
  STMT_PARALLEL, /* body: each statement a branch, or STMT_BRANCH; settle */
  STMT_BRANCH,   /* body */
  STMT_SLEEP,    /* value */
  STMT_SIGNAL,   /* signal name(value) to cond(handle) */
  STMT_CANCEL,   /* value */
  STMT_CONTINUE_AS_NEW, /* args */
  STMT_EMIT,            /* value: the event, an EXPR_CALL. In decide */
  STMT_REPLY,           /* value. In decide */
  STMT_REJECT,          /* value: the code; args: message, data. In decide */
  STMT_SNOOZE,          /* value: a duration. In a worker's perform */
  STMT_GIVEN,           /* name: the agent; args: its events. In test, as all below */
  STMT_WHEN,            /* value: the command, an EXPR_CALL */
  STMT_THEN,            /* test: ThenKind; value: code, reply or state's map; args: THEN_EVENTS' events */
  STMT_STUB,            /* name: the tool; arms: NULL; args: what it does, in order, see StubKind */
  STMT_EXPECT,          /* cond; value: the message or NULL */
  STMT_BUDGET,          /* value: an EXPR_MAP; body */
  STMT_END_BUDGET,      /* [check] only: made for the `finally` of a budget */
  STMT_BAD
} StmtKind;

typedef enum { THEN_EVENTS, THEN_REJECT, THEN_REPLY, THEN_STATE, THEN_NOTHING } ThenKind;
/* `stub tool Name -> value | raise "code" | lost | [ … of them ]`: each an Arg whose `stub` says which. The last one
** is repeated. */
typedef enum {
  STUB_VALUE,
  STUB_RAISE,
  STUB_LOST,
  STUB_CALLS /* of a model: `items` are its calls, one or several at once */
} StubKind;
typedef enum { STUB_TOOL, STUB_MODEL, STUB_APPROVE } StubWhat;

struct Stmt {
  StmtKind kind;
  uint8_t test; /* THEN: ThenKind; STUB: StubWhat */
  uint8_t op;  /* ASSIGN: BinaryOp + 1 of `+=` and its kin, 0 for `=` */
  bool settle; /* PARALLEL */
  Span span;   /* of the header line */
  Stmt *next;
  Expr *target, *value, *cond;
  TypeExpr *type; /* ASSIGN `x: int = 1`, or NULL */
  Name *name;     /* SIGNAL */
  Field *fields;  /* FOR */
  Stmt *body, *otherwise, *final;
  Arm *arms;
  Arg *args;
  Expr *because;             /* SIGNAL, CANCEL, SLEEP */
  struct Function *function; /* [check] BRANCH (and a statement used as one) */
  Str doc;
};

/* ---- declarations ---- */
typedef enum {
  DECL_FN,
  DECL_CONST,
  DECL_CONFIG,
  DECL_IMPORT,
  DECL_TYPE,
  DECL_COMMAND,
  DECL_EVENT,
  DECL_UPCAST,
  DECL_WORKFLOW,
  DECL_QUERY,
  DECL_TOOL,
  DECL_EXTERN,
  /* the application. Members stand in Decl.members, in order */
  DECL_AGENT,     /* settings; fields: its state; members: DECIDE EVOLVE VIEW INVARIANT */
  DECL_DECIDE,    /* name: the command; fields: parameters; guard; body */
  DECL_EVOLVE,    /* name: the event; fields; body */
  DECL_VIEW,      /* name; fields; type; body */
  DECL_INVARIANT, /* value: the condition; text: the message, or empty */
  DECL_ROUTER,    /* settings: validate; members: IDENTIFY ROUTE BEFORE */
  DECL_IDENTIFY,  /* name: the agent; names: the field; text: the prefix, or empty */
  DECL_ROUTE,     /* names: commands; name: the agent they go to */
  DECL_BEFORE,    /* names: commands, none: every command; name: the function */
  DECL_HANDLER,   /* settings; members: ON */
  DECL_ON,        /* name: the event; fields; body */
  DECL_WORKER,    /* fields: the job's, if declared; settings; body: perform; params: perform's parameters */
  DECL_QUEUE,     /* text: its name; settings */
  DECL_EVERY,     /* text: the cron expression; zone; missed; body */
  DECL_START,     /* name: what a node starts */
  DECL_TEST,      /* text: its name; crashes; body */
  DECL_MODEL,     /* settings */
  DECL_AI_AGENT,  /* fields: parameters; settings; type: its answer's, or NULL */
  DECL_LIMIT,     /* value: an EXPR_MAP */
  DECL_BUDGET     /* likewise */
} DeclKind;

typedef struct NameList { /* `[A, B]`, `by a, b` */
  Name *name;
  Span span;
  Symbol *symbol; /* [check] */
  struct NameList *next;
} NameList;
typedef enum { MISSED_SKIP, MISSED_ONCE, MISSED_ALL } MissedTicks; /* `missed skip|once|all`; once unless said */

typedef struct Setting { /* a line of a declaration's body: `timeout 30s`, `limit "bank" 10 per 1s`
                          */
  Name *name;
  Span span, name_span;
  Expr *first, *second,
      *third; /* by setting: timeout(first); max_attempts(first) backoff second..third, unless cond;
                 limit first(name) second per third; effect: first EXPR_NAME */
  NameList *names; /* concurrency … by, unique by; validate: none */
  bool replace;    /* unique … replace */
  Expr *cond;
  struct Function *function; /* [check] of cond (`unless`): kind FNKIND_UNLESS, one parameter */
  struct Setting *next;
} Setting;

/* [check] What an ai_agent is, beside the workflow it becomes. */
typedef struct AiTool { /* what it may call */
  Decl *decl;     /* TOOL or WORKFLOW */
  Decl *arguments; /* the record of its arguments */
  Expr *schema;   /* a STRING, whose text is made once all types are known */
  struct AiTool *next;
} AiTool;
typedef struct AiAgent {
  Name *model;
  Str strategy;      /* as it is written */
  AiTool *tools;
  TypeExpr *answer;  /* or NULL: text */
  Decl *answer_record; /* whose schema the model is given, or NULL */
  Expr *answer_schema;
  Type *answer_type;
  Expr *degrade;     /* an EXPR_NAME, or NULL */
  Expr *thinks;      /* the call of the strategy */
  int64_t max_iterations;
} AiAgent;
/* [check] What a node must know of a model; and what a `limit` or `budget` bounds. Amounts 0: not bounded. */
typedef struct Bounds {
  int64_t requests, requests_per_us, tokens, tokens_per_us, nanodollars, nanodollars_per_us;
} Bounds;
typedef struct ModelInfo {
  Str provider, key; /* at NULL: none */
  Bounds limit;
  NameList *fallbacks;
} ModelInfo;
typedef struct Allowance {
  uint8_t by; /* BY_* */
  Name *provider, *model, *agent, *tool; /* or NULL */
  Bounds bounds;
} Allowance;

struct Decl {
  DeclKind kind;
  bool pure; /* FN */
  bool strategy; /* FN: declared by `strategy` */
  bool made;     /* [check] nobody wrote it */
  AiAgent *ai;           /* [check] WORKFLOW: it was declared by `ai_agent` */
  ModelInfo *model;      /* [check] FN: it was declared by `model` */
  Allowance *allowance;  /* [check] LIMIT, BUDGET */
  struct Decl *arguments, *act, *called; /* [check] of what a model may call: see compiler/check/ai_tool.c */
  Span span, name_span;
  Name *name; /* the alias of an import, or NULL */
  Str doc;
  Field *fields;  /* parameters, fields */
  TypeExpr *type; /* result; type of a const or config; TYPE that names another type: `type Id =
                     string` */
  Expr *value;    /* const, config default; EVENT, COMMAND: `version n` */
  Str text;      /* IMPORT: path in quotes, or dotted name; EVENT: the `as` name; EXTERN: library */
  bool standard; /* IMPORT std.x */
  Stmt *body;    /* FN, WORKFLOW, QUERY, UPCAST; TOOL: perform */
  Stmt *check;   /* TOOL */
  Span check_span;
  Setting *settings;     /* TOOL */
  Decl *members;         /* WORKFLOW: queries; EXTERN: functions */
  Expr *guard;           /* DECIDE: when, or NULL */
  NameList *names;       /* IDENTIFY, ROUTE, BEFORE */
  Field *params;         /* WORKER: of perform */
  bool declared;         /* WORKER: has a field list of its own */
  bool implied;          /* COMMAND, EVENT: made by the checker for a message that is used but not declared */
  Str zone;              /* EVERY: `in "Europe/Paris"`, else empty: UTC */
  uint8_t missed;        /* EVERY: MissedTicks */
  bool crashes;          /* TEST: with crashes */
  uint32_t from_version; /* UPCAST: `from 1`; fields: the one parameter */
  Decl *next;
  struct Unit *unit;     /* the file it stands in */
  struct Unit *imported; /* [compile] IMPORT of a file: its unit; NULL for the library */
  Symbol *symbol;        /* [check] */
  struct Function *function, *check_function; /* [check]; DECIDE: check_function is its guard's */
};

/* One source file after parsing. */
typedef struct Unit {
  uint32_t source; /* index in the compilation's sources */
  bool standard;   /* of the standard library */
  bool application; /* has something that names commands, events or jobs */
  bool models;      /* names a module for models, or declares what needs them */
  Decl *decls;     /* in order */
  Stmt *script;    /* statements outside declarations, in order */
  struct Unit *next;
  struct Function *function; /* [check] the script */
} Unit;

#endif
