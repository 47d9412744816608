/* What the parts of the checker share; nobody outside this folder includes it.
**
** One pass walks every body once. A variable's Symbol is the head of a Variable,
** which also says what is known of it at the point the walk has reached; a
** Function is the head of a Body, which also holds its edges of the call graph. */
#ifndef Z8_CHECKER_H
#define Z8_CHECKER_H

#include "compiler/check/check.h"
#include "vm/bundle/bundle.h"

typedef struct Checker Checker;
typedef struct Body Body;

/* A growing array in the arena: AT(c, array, count, cap) makes room for one more. */
#define GROW(c, array, count, cap) \
  ((count) < (cap)                 \
       ? (void)0                   \
       : (void)((array) = checker_grow((c), (array), (count), &(cap), sizeof *(array))))
void *checker_grow(Checker *c, void *array, uint32_t count, uint32_t *cap, size_t size);

typedef struct Variable {
  Symbol symbol;       /* first: a VARIABLE's Symbol is one of these */
  Type *declared;      /* as annotated, or NULL */
  Type *flow;          /* what it holds here; NULL before any assignment */
  bool set;            /* assigned on every path to here */
  bool scoped;         /* of a loop, a match arm, a catch, a comprehension: not seen outside it */
  bool quiet;          /* no warning that it is unused */
  bool unknown;        /* stands for a name that means nothing: told once */
  bool hidden;         /* a parameter nobody wrote: no program can name it */
  bool state;          /* holds an agent's state, or a copy of it */
  uint32_t level;      /* of flow.c: where its state was last saved */
  struct Merge *merge; /* the merge it is an item of, and its index there */
  uint32_t merge_index;
  const Stmt *parallel; /* the parallel that assigned it last */
} Variable;

/* A name that stands for a field of the state or of a message: rewritten to a member where it is met. */
typedef struct Binding {
  Symbol symbol;  /* first: a FIELD's Symbol is one of these */
  Symbol *record; /* the hidden parameter it is a field of */
  uint32_t slot;
  bool state;
} Binding;

typedef struct Message { /* what the program does with a command or event */
  const Symbol *symbol;
  Span routed;         /* size 0: it is not */
  const Decl *route, *router; /* by which one, of which router */
  bool made;           /* outside of tests */
  const Decl *decider; /* the first agent that decides it */
  uint32_t deciders;
} Message;

typedef enum { EDGE_CALL, EDGE_VALUE, EDGE_INNER, EDGE_DYNAMIC } EdgeKind;
typedef struct Edge { /* `from` calls `to`, or holds it */
  Body *from, *to;
  Span span;
  EdgeKind kind;
  struct Edge *next;    /* of the same `from` */
  struct Edge *reverse; /* of the same `to` */
} Edge;

typedef enum { BODY_NEW, BODY_OPEN, BODY_DONE } BodyState;
struct Body {
  Function function; /* first: a Function is one of these */
  uint8_t state;     /* BodyState */
  Edge *edges, *callers;
  Span effect_span; /* its first effect of its own; what it is in effect_word */
  Str effect_word;
  Span config_span; /* where it reads a configuration value; size 0: it does not */
  Edge *via;     /* otherwise the call by which the nearest effect is reached */
  uint8_t place; /* PurePlace: why it has to be pure */
  const Decl *agent;  /* of agent code: whose state it sees */
  const Decl *clause; /* whose parameters bind its message */
  const Decl *tested; /* TEST: the agent of the last `given` or `when` */
};

/* Places that must be pure, for the message. */
typedef enum {
  PURE_NONE,
  PURE_FN,
  PURE_QUERY,
  PURE_WHERE,
  PURE_GUARD,
  PURE_UPCAST,
  PURE_UNLESS,
  PURE_DEFAULT,
  PURE_DECIDE,
  PURE_EVOLVE,
  PURE_VIEW,
  PURE_INVARIANT,
  PURE_BEFORE
} PurePlace;
typedef struct PureUse { /* an effect, or a call that may reach one, in a where or a guard inside
                            another body */
  PurePlace place;
  Span span;
  Str word; /* the effect's own word, or at == NULL: see to */
  Body *to;
  struct PureUse *next;
} PureUse;

/* flow.c */
typedef struct Saved {
  Variable *variable;
  Type *flow;
  bool set;
  uint32_t level;
} Saved;
typedef struct Level {
  uint32_t mark, outer;
} Level;
typedef struct Merged {
  Variable *variable;
  Type *flow;
  bool set;
  uint32_t paths, last; /* how many changed it, and the last one that did */
  struct Merge *outer;  /* where the variable was an item before */
  uint32_t outer_index;
} Merged;
typedef struct Merge { /* paths that meet */
  Merged *items;
  uint32_t count, cap, paths;
} Merge;
typedef struct Change { /* in a loop: an assignment to a name, or a change in place of what it holds
                         */
  Name *name;
  Expr *value; /* NULL: unknown */
  Expr *path;  /* in place: what changes */
  Span span;
  uint8_t op;
  bool in_place;
} Change;
typedef struct LoopChanges {
  Stmt *loop;
  uint32_t first, end;
} LoopChanges;
typedef struct Changes {
  Change *items;
  uint32_t count, cap;
  LoopChanges *loops;
  uint32_t loop_count, loop_cap, cursor;
} Changes;

typedef struct Loop {
  struct Loop *outer;
  bool endless; /* only break ends it: paths out of it are merged in `exits` */
  bool left;    /* some break was seen */
  Level level;
  Merge exits;
} Loop;

typedef struct Frame { /* a body being walked */
  Body *body;
  struct Frame *outer;
  Loop *loop;
  Changes *changes; /* of the outermost loop around, or NULL */
  Type *returns;    /* joined over the returns; NULL none yet */
  uint32_t catches; /* catch arms around */
  uint32_t races;   /* race expressions around */
  uint32_t lambda_count;
  bool reachable;
  bool exports;   /* a branch of parallel: what it assigns is seen outside */
  bool dead_told; /* unreachable code was reported */
  uint32_t scope;
  Level level;
  PurePlace place;
} Frame;

typedef struct Module { /* a built-in module: natives, effects and the functions of stdlib/NAME.z8
                         */
  Symbol symbol;
  Str name;
  Unit *unit;
  uint32_t id;
  struct Module *next;
} Module;

typedef struct Builtins Builtins;

struct Checker {
  Arena *arena;
  Diags *diags;
  Types *types;
  Checked *out;
  CheckOptions options;
  Builtins *builtins;
  Unit *unit;
  Frame *frame;
  const Expr *partial; /* a message that a test makes: fields it lacks are nil */
  Function **last_function;
  Name **bindings; /* scopes: names bound, in order; see scope.c */
  uint32_t binding_count, binding_cap;
  Saved *trail; /* see flow.c */
  uint32_t trail_count, trail_cap;
  uint32_t level, level_next;
  uint32_t depth;     /* of expressions and inferences under way */
  uint32_t inferring; /* bodies being walked on demand */
  PurePlace place;    /* inside a where or guard */
  PureUse *uses;
  Body **pending; /* functions of the standard library to walk */
  uint32_t pending_count, pending_cap;
  Body *constants;   /* stands for the place of constant expressions */
  TypeExpr **unions; /* unions to look at once all fields have their types */
  uint32_t union_count, union_cap;
  uint32_t comprehensions;
  Name *name_key, *name_error; /* `key` of tools, `e` of an unless */
  Name *name_state, *name_message, *name_meta, *name_outcome, *name_decide; /* of what nobody wrote */
  struct Table *declared;           /* see models.c; NULL: a program without models */
  struct Table *messages, *clauses; /* see router.c */
  struct Table *names;              /* of clauses, views and crons: how many there are of each */
  uint32_t routers;
  bool dollars; /* some scope or ai_agent has a budget of dollars */
  const Expr *statement; /* the expression that is a statement by itself */
  Type *t_any, *t_nil, *t_bool, *t_int, *t_float, *t_decimal, *t_string, *t_bytes, *t_time,
      *t_duration, *t_sealed, *t_error, *t_list, *t_map, *t_outcome;
};

/* ---- report.c: diagnostics in the checker's words ---- */
#define REPORT(c, id, span, ...)                                                           \
  checker_report((c), DIAG_##id, (span), sizeof((const Str[]){__VA_ARGS__}) / sizeof(Str), \
                 (const Str[]){__VA_ARGS__})
#define REPORT0(c, id, span) checker_report((c), DIAG_##id, (span), 0, NULL)
Diag *checker_report(Checker *c, DiagId id, Span span, size_t count, const Str *args);
void report_note(Checker *c, Diag *diag, Span span, const char *format, ...) PRINTF_LIKE(4, 5);
void report_label(Checker *c, Diag *diag, const char *format, ...) PRINTF_LIKE(3, 4);
void report_help(Checker *c, Diag *diag, const char *format, ...) PRINTF_LIKE(3, 4);
/* "did you mean `x`?" and the fix, if one of the candidates is near. */
void report_nearest(Checker *c, Diag *diag, Str wanted, const Str *candidates, size_t count);
Str type_text(Checker *c, const Type *type);
Str type_phrase(Checker *c, const Type *type); /* "an int", "a list[string]", "nil" */
Str count_text(Checker *c, uint32_t count, const char *noun); /* "1 argument", "no arguments" */
Str source_text(Checker *c, Span span);
Str str_join3(Checker *c, const char *before, Str s, const char *after);

/* ---- scope.c ---- */
uint32_t scope_open(Checker *c);
void scope_close(Checker *c, uint32_t mark);
void scope_close_block(Checker *c, uint32_t mark); /* variables that belong to the body stay */
void scope_bind(Checker *c, Name *name, Symbol *symbol);
/* What the name means here: NULL if nothing. Marks nothing as read. */
Symbol *scope_find(Checker *c, Name *name);
/* Same, with an error when there is nothing. */
Symbol *scope_resolve(Checker *c, Name *name, Span span);
Variable *variable_declare(Checker *c, Name *name, Span span, bool scoped);
/* The variable as the current body sees it: a capture if it belongs to a body around. */
Variable *variable_here(Checker *c, Symbol *symbol, Span span);
/* The type of a read; reports what is not surely set. */
Type *variable_read(Checker *c, Variable *variable, Span span);
bool name_is(const Name *name, const char *text);
bool name_is_wild(const Name *name);
bool name_is_hidden(const Name *name); /* starts with _ */
void scope_warn_unused(Checker *c, Body *body);
void name_style_check(Checker *c, Name *name, Span span, bool camel, const char *what);
bool body_sees_outer(const Function *function);

/* ---- flow.c ---- */
Level flow_open(Checker *c);
void flow_set(Checker *c, Variable *variable, Type *type);
void flow_narrow(Checker *c, Variable *variable, Type *type);
void flow_drop(Checker *c, Level level); /* back to the state at flow_open */
void flow_keep(Checker *c, Level level); /* the changes become the outer level's */
void merge_path(Checker *c, Merge *merge,
                Level level); /* this path's state joins; back to the state at flow_open */
void merge_copy(Checker *c, Merge *merge, Level level); /* same, without going back (break) */
void merge_end(Checker *c, Merge *merge); /* what all paths agree on is the state now */
void loop_begin(Checker *c, Stmt *loop);  /* forgets what the loop may change */
void loop_end(Checker *c, Stmt *loop);
void narrow_condition(Checker *c, Expr *cond, bool truth);
bool assigned_somewhere(Checker *c, const Name *name,
                        Span *where); /* in the current body; for messages */

/* ---- builtins.c ---- */
void builtins_init(Checker *c, Unit *units);
Symbol *builtin_global(Checker *c, const Name *name);
Module *module_of_kind(Checker *c, TypeKind kind);
Symbol *module_member(Checker *c, const Module *module, Str name);
Module *module_by_name(Checker *c, Str name);
bool method_changes(Checker *c, Str name);
/* Functions of stdlib that a call of this method might reach. */
void method_reach(Checker *c, Str name, Span span);
bool method_exists(Checker *c, Str name);
void module_candidates(Checker *c, const Module *module, Buf *out_array); /* Strs */
void builtin_candidates(Checker *c, Buf *out_array);
typedef struct Signature {
  Type **params;
  Str *names; /* at NULL where the parameter has none */
  uint32_t count, min, max;
  Type *result;
} Signature;
const Signature *symbol_signature(Checker *c, Symbol *symbol); /* of a NATIVE or EFFECT */

Symbol *native_symbol_of(Checker *c, NativeId native); /* of one that no program can name */

/* ---- signatures.c ---- */
Signature *signature_parse(Checker *c, Str text);

/* ---- infer_*.c ---- */
Type *expr_infer(Checker *c, Expr *expr,
                 Type *expected); /* expected: NULL, or what it had better be */
/* Infers, and reports with `id` ({0} what it is, {1} what it must be, {2} extra) if it surely does
 * not fit. */
Type *expr_require(Checker *c, Expr *expr, Type *wanted, DiagId id, Str extra, Span other,
                   const char *note);
bool fit_require(Checker *c, Expr *expr, Type *have, Type *wanted, DiagId id, Str extra, Span other,
                 const char *note);
void condition_check(Checker *c, Expr *cond);
bool duration_require(Checker *c, Expr *expr, const char *what);
Type *call_infer(Checker *c, Expr *call, Type *expected);
Type *operator_infer(Checker *c, Expr *expr);
Type *binary_type(Checker *c, BinaryOp op, Type *a, Type *b, Expr *left, Expr *right, Span span);
Type *member_infer(Checker *c, Expr *expr);
Type *index_infer(Checker *c, Expr *expr);
Type *field_type(Checker *c, Type *type, Name *name, Expr *member); /* member may be NULL */
Type *element_type(Checker *c, Type *type, bool second,
                   Type **key); /* of a walk; NULL: cannot be walked */
Type *symbol_value(Checker *c, Expr *expr, Symbol *symbol);
void expr_rewrite_lambda(Checker *c, Expr *expr, Symbol *symbol);
Type *type_without_nil(Checker *c, Type *type);
bool type_may_be_nil(const Type *type);
bool type_has_sealed(const Type *type);
Type *concurrent_infer(Checker *c, Expr *expr); /* RACE, PARALLEL_FOR */
void parallel_check(Checker *c, Stmt *stmt);
void block_check(Checker *c, Stmt *body);
void statement_check(Checker *c, Stmt *stmt);
void assign_check(Checker *c, Stmt *stmt);
Variable *assign_name(Checker *c, Name *name, Span span, Type *type, Expr *target);
/* The value at a path (xs, m.k[i]) was changed in place; `added` joins its elements, `value` is
 * told if it misfits. */
void path_changed(Checker *c, Expr *path, Type *added, Expr *value);
Type *added_type(Checker *c, const Arg *args);
bool param_optional(const Field *f); /* may be left out: a default, or a type that may be nil */
/* Arguments of `args` against fields, put in order; for continue_as_new. */
void fields_call(Checker *c, Arg **args, Field *fields, Str name, Span declared, Span span);
void for_variables(Checker *c, Field *fields, Expr *iter, Type *type);
Symbol *module_lookup(Checker *c, Expr *e, bool *is_module);
Str inner_name(Checker *c, const char *tag); /* "outer.fn#1" */
Expr *value_of_block(const Stmt *body);
Type *outcome_type(Checker *c, Type *value); /* {ok, value, error} */
bool expr_is_effect(const Expr *expr);
bool expr_is_pure_value(const Expr *expr);

/* ---- match.c ---- */
void match_check(Checker *c, Stmt *stmt);

/* ---- decl_*.c ---- */
Type *type_resolve(Checker *c, TypeExpr *texpr);
Type *alias_type(Checker *c, Symbol *symbol);
void declare_units(Checker *c, Unit *units);
void records_check(Checker *c, Unit *units);
void declare_params(Checker *c, Body *body, Field *fields);
void body_settle(Checker *c, Frame *frame); /* its result, from what was returned */
void decl_check(Checker *c, Decl *decl);
void unit_enter(Checker *c, Unit *unit);
void unit_leave(Checker *c, uint32_t mark);
Body *body_new(Checker *c, FnKind kind, Str name, Span span, Decl *decl, Function *parent);
void body_params(Checker *c, Body *body, Field *fields);
void body_open(Checker *c, Frame *frame, Body *body);
void body_close(Checker *c, Frame *frame);
void body_walk(Checker *c, Body *body);   /* params, body, result */
void body_ensure(Checker *c, Body *body); /* its result is wanted */
void upcasts_check(Checker *c, Unit *units);
void tool_check(Checker *c, Decl *decl);
void workflow_check(Checker *c, Decl *decl);
void extern_check(Checker *c, Decl *decl);
void type_check_decl(Checker *c, Decl *decl);
void config_check(Checker *c, Decl *decl);
Type *body_function_type(Checker *c, Body *body, Decl *decl);
/* A literal (or list or map of them) equal to the constant expression; NULL and reported if it is
 * none. */
Expr *constant_fold(Checker *c, Expr *expr, DiagId id);
const Expr *constant_known(Checker *c, Expr *expr); /* NULL: it is none, which is no error */
Expr *constant_of(Checker *c, Symbol *symbol);
bool literal_equal(const Expr *a, const Expr *b);

bool setting_duration(Checker *c, Expr **slot, const char *what); /* folds it; false: told */
Expr *setting_fold(Checker *c, Expr **slot);                      /* NULL: told */
void setting_count(Checker *c, Expr **slot, DiagId id);
void backoff_check(Checker *c, Setting *setting);
void unless_check(Checker *c, Decl *decl, Setting *setting);

/* ---- check.c: declaring ---- */
void declare_name(Checker *c, Decl *decl, SymbolKind kind);
Body *declare_body(Checker *c, Decl *decl, FnKind kind, Str prefix, const char *tail);
void declare_message(Checker *c, Decl *decl);

/* ---- implied.c ---- */
void implied_declare(Checker *c, Unit *units);
bool decl_is_implied(const Decl *decl); /* its fields are found, not declared */

/* ---- clause.c ---- */
Field *clause_params(const Decl *clause);
bool name_is_whole(const Name *name);           /* cmd e event job msg old */
const Field *clause_whole(const Decl *clause);  /* the parameter that binds the whole message, or NULL */
void state_parameter(Checker *c, Body *body, const Decl *agent);
void clause_resolve(Checker *c, Decl *clause, Symbol *message, const Decl *agent);
void view_resolve(Checker *c, Decl *view, const Decl *agent);
void clause_bind(Checker *c, Body *body);
Binding *binding_named(Checker *c, Name *name); /* NULL: the name is none */
void binding_rewrite(Checker *c, Expr *expr, Binding *binding);
bool state_may_change(Checker *c, const Variable *root, const Expr *path);
void evolve_returns(Checker *c, Stmt *stmt);
void evolve_ends(Checker *c, Function *function);

/* ---- decl_app.c, app_*.c ---- */
void app_declare(Checker *c, Decl *decl, Str prefix);
void app_resolve(Checker *c, Decl *decl);
void app_check(Checker *c, Decl *decl);
void message_fields_check(Checker *c, const Decl *decl);
void settings_check(Checker *c, Decl *decl);
void cron_check(Checker *c, const Decl *decl);
void app_statement(Checker *c, Stmt *stmt);
bool give_up_check(Checker *c, Stmt *stmt);
void expr_rewrite_native(Checker *c, Expr *expr, NativeId native, Arg *args);
Type *dispatch_infer(Checker *c, Expr *expr);
Type *enqueue_infer(Checker *c, Expr *expr);
Symbol *view_instance(Checker *c, const Expr *call); /* the agent, if it is Agent(id).view(…) */
Type *view_call(Checker *c, Expr *call, Symbol *agent);
Type *view_own_call(Checker *c, Expr *call, Symbol *view);
bool is_calls(Checker *c, const Expr *call);
Type *calls_infer(Checker *c, Expr *call);

/* ---- router.c ---- */
Message *message_of(Checker *c, const Symbol *symbol);
Symbol *declared_named(Checker *c, Name *name, Span span, SymbolKind kind);
Symbol *message_named(Checker *c, Name *name, Span span, DeclKind kind);
Str symbol_phrase(const Symbol *symbol); /* "a worker" */
bool type_names_instance(Checker *c, const Type *type); /* it may be a string or an int */
Diag *report_fields_nearest(Checker *c, Diag *diag, Name *wanted, const Decl *decl);
/* Clauses by owner, message and kind. clause_record keeps the first; another one is given the first. */
Decl *clause_of(Checker *c, const Decl *owner, const Symbol *symbol, DeclKind kind);
const Decl *clause_record(Checker *c, const Decl *owner, Decl *clause);
const Decl *view_of(Checker *c, const Decl *agent, const Name *name);
const Decl *view_record(Checker *c, const Decl *agent, Decl *view);
void made_note(Checker *c, const Symbol *event);
void evolve_warn(Checker *c, const Expr *event, const Decl *agent, const Symbol *symbol);
void routers_resolve(Checker *c, Unit *units);
void app_warn(Checker *c, Unit *units);

/* ---- models: models.c, model_decl.c, ai_agent.c, ai_tool.c, json_schema.c, infer_model.c ---- */
void models_declare(Checker *c, Unit *units); /* before names are declared: what declarations become */
void models_resolve(Checker *c, Unit *units); /* once every type is known: schemas */
void models_warn(Checker *c, Unit *units);
void models_end(Checker *c);
Decl *declared_decl(Checker *c, Name *name); /* the program's own of that name; in a program with models */
const Setting *setting_named(const Decl *decl, const char *name);
void model_become(Checker *c, Decl *model);
void model_check(Checker *c, Decl *model);
Expr *model_value(Checker *c, Span span, Name *name);
bool model_known(Checker *c, Name *name, Span span); /* false: told */
bool model_is_default(const Name *name);
void model_dollars_warn(Checker *c, Decl *model); /* once all budgets are checked */
void allowance_check(Checker *c, Decl *decl);
Str entry_name(const Arg *entry); /* of a map; at NULL: it is found when it runs */
bool keys_known(Checker *c, const Expr *e, const char *const *keys, size_t count, const char *what);
void ai_agent_begin(Checker *c, Decl *agent);
void ai_agent_become(Checker *c, Decl *agent);
void ai_agent_check(Checker *c, const Decl *agent);
void model_settings_check(Checker *c, const Decl *model); /* setting_value.c: once types are found */
void ai_settings_check(Checker *c, const Decl *agent);
void companions_make(Checker *c, Decl *decl);
Str schema_of(Checker *c, const Decl *record);
Type *ask_infer(Checker *c, Expr *call, Type *type);
bool start_run_rewrite(Checker *c, Expr *dispatch);
Type *approve_infer(Checker *c, Expr *e);
Type *fit_infer(Checker *c, Expr *e);
void budget_check(Checker *c, Stmt *s);
void stub_answers_check(Checker *c, Stmt *s);

/* ---- purity.c ---- */
void purity_effect(Checker *c, Span span, Str word);
void purity_edge(Checker *c, Body *to, Span span, EdgeKind kind);
void purity_check(Checker *c);

static inline Function *current_function(Checker *c) { return &c->frame->body->function; }
static inline Body *decl_body(const Decl *decl) { return (Body *)decl->function; }
#endif
