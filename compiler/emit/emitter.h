/* What the parts of the emitter share; nobody outside this folder includes it.
**
** Three rules hold everywhere:
**
** 1. Registers are a stack. `next` is the lowest unused one; who takes temporaries
**    gives them back with regs_release. A function's variables that are seen to its
**    end are pinned where they were born; those of a loop, arm or catch go with it.
** 2. An expression is emitted into a register that somebody chose (expr_to), or
**    says where it already is (expr_any). Only its last instruction may write a
**    variable's register: a fault in between must leave the variable as it was.
** 3. USE_OWN means that the value gets a second home (a variable, a container, a
**    closure, an effect): a read of a variable or of a part of a container is then
**    marked shared. USE_BORROW means it is only looked at. */
#ifndef Z8_EMITTER_H
#define Z8_EMITTER_H

#include "compiler/emit/emit.h"
#include "vm/bundle/format.h"

typedef struct Jump { /* a jump whose target is not known yet */
  uint32_t at;
  uint32_t place;
  struct Jump *next;
} Jump;
typedef struct Label {
  Jump *jumps;
} Label;

typedef struct ConstTable { /* open addressing: index + 1 */
  uint32_t *slots;
  uint32_t mask;
} ConstTable;

typedef struct SiteCount { /* how many sites there are of (fn, kind, target, patch) */
  uint32_t fn, kind, target, patch, count;
} SiteCount;

typedef struct Edge { /* a static call */
  uint32_t from, to;
} Edge;

/* A growing array in the arena. */
#define PUSH_ITEM(e, array, count, cap)                                                  \
  ((count) < (cap)                                                                       \
       ? (void)0                                                                         \
       : (void)((array) = emitter_grow((e), (array), (count), &(cap), sizeof *(array))), \
   &(array)[(count)++])

typedef struct Emitter {
  Arena *arena;
  Diags *diags;
  const Checked *checked;
  Bundle *out;
  Str root_name;
  Span where; /* the declaration being emitted */
  bool failed;

  uint32_t const_cap, field_cap, index_cap, type_cap, shape_cap, fn_cap, code_cap, handler_cap,
      line_cap, site_cap, query_cap, workflow_cap, tool_cap, extern_cap, config_cap, patch_cap,
      method_cap, source_cap, clause_cap, view_cap, invariant_cap, agent_cap, route_cap, router_cap,
      subscriber_cap, worker_cap, queue_cap, cron_cap, test_cap, model_cap, ai_agent_cap, allowance_cap;
  uint64_t *const_hashes;
  uint32_t const_hash_cap;
  ConstTable table;
  uint32_t *type_weights;
  uint32_t type_weight_cap;
  uint32_t simple_types[TYPE_ERROR + 1]; /* by kind: index + 1 */

  Unit *root;
  Function **functions; /* by index in the bundle: what is to be emitted */
  uint32_t function_count, function_cap;
  Decl **shape_decls;
  uint32_t shape_decl_count, shape_decl_cap;
  uint32_t *source_of; /* source index of the compilation -> bundle's, + 1 */
  SiteCount *site_counts;
  uint32_t site_slots, site_used;
  Edge *edges;
  uint32_t edge_count, edge_cap;
  uint32_t *method_names; /* constants that CALLM names */
  uint32_t method_name_count, method_name_cap;
  uint8_t *method_seen; /* per constant */
  uint32_t method_seen_size;
  Decl **workflow_decls;
  uint32_t workflow_decl_count, workflow_decl_cap;
  Function **partials; /* see construct_partial */
  uint32_t partial_count, partial_cap;
  Decl **agent_decls; /* by index in the bundle */
  uint32_t agent_decl_cap;
  uint8_t *native_keeps; /* per native, once known: 1 gives a value of its own, 2 may give a part of
                            another */
  Jump *spare_jumps;
} Emitter;

/* A stretch of code under a handler. It has holes where a `finally` was emitted inline on the way
 * out. */
typedef struct Piece {
  uint32_t start, end;
  struct Piece *next;
} Piece;
typedef struct LoopScope LoopScope;
typedef struct Guard {
  struct Guard *outer;
  uint8_t kind;      /* HandlerKind */
  Stmt *final;       /* FINALLY: its body */
  LoopScope *loop;   /* around the try statement */
  uint32_t patch;
  int caught;        /* around the try statement */
  uint32_t start;    /* of the stretch now open */
  Piece *pieces;
} Guard;

struct LoopScope {
  LoopScope *outer;
  Guard *guard;      /* around the loop: a break leaves those inside */
  Label breaks, nexts;
  bool back;         /* continue goes back to `top`, else forward to `nexts` */
  uint32_t top;
};

typedef struct Body { /* one function being emitted */
  Emitter *e;
  Function *fn;
  uint32_t index;      /* in the bundle */
  uint32_t start;      /* its first word in the pool */
  uint32_t first_line; /* in the pool of lines */
  uint32_t first_handler;
  uint16_t next, top,
      pinned;          /* next register; most ever; registers below are variables to the end */
  bool is_var[256];    /* holds a variable: written last */
  bool borrowed[256];  /* a variable whose value belongs to somebody else: shared before it is
                          returned */
  bool dead;           /* no path leads here: nothing is emitted */
  bool careful; /* some part of this statement changes a variable: operands are copied out first */
  bool careless;       /* no statement of the body is of that kind */
  bool too_large, told;
  bool effects, suspends; /* found in its own code */
  uint32_t place;      /* Span.at of what is being emitted, */
  uint32_t placed;     /* and of the last line entry */
  const Source *source;
  uint32_t line;       /* index of the line last looked up */
  bool ascii;
  LoopScope *loop;
  Guard *guard;
  uint32_t patch;      /* constant: patched("id") is true here, or NONE_INDEX */
  int caught;          /* register of the error of the catch around, or -1 */
  uint32_t caches;
  Expr *held[16];      /* literals kept in registers during the outermost loop, see hold.c */
  uint8_t held_reg[16];
  uint32_t held_count;
} Body;

typedef enum { USE_BORROW, USE_OWN } Use;

/* ---- pools.c: tables of the bundle ---- */
void *emitter_grow(Emitter *e, void *array, uint32_t count, uint32_t *cap, size_t size);
uint32_t const_add(Emitter *e, const BundleConst *c);
uint32_t const_text(Emitter *e, Str text);
uint32_t const_text_or(Emitter *e, Str text); /* NONE_INDEX for none */
uint32_t const_name(Emitter *e, Name *name);
uint32_t const_int(Emitter *e, int64_t i);
/* The constant of a literal expression (not a list or map). */
uint32_t const_literal(Emitter *e, const Expr *literal);
uint32_t type_index(Emitter *e, Type *type);
uint32_t type_simple_index(Emitter *e, TypeKind kind);
uint32_t type_add(Emitter *e, const BundleType *type);
uint32_t field_add(Emitter *e, const BundleField *field);
uint32_t index_add(Emitter *e, uint32_t index);
uint32_t source_index(Emitter *e, const Unit *unit);
uint32_t fn_index(Emitter *e, Function *fn);
uint32_t shape_index(Emitter *e, Decl *decl);
uint32_t workflow_index(Emitter *e, Decl *decl);
uint32_t tool_index(Emitter *e, Decl *decl);
uint32_t extern_index(Emitter *e, Decl *decl);
uint32_t config_index(Emitter *e, Decl *decl);
uint32_t patch_id(Emitter *e, Str id);
uint32_t method_name(Emitter *e, Name *name);
uint32_t site_add(Body *b, uint8_t kind, uint32_t target);
bool field_optional(const Field *field);

/* ---- code.c: words, registers, jumps, places ---- */
void emit(Body *b, Op op, uint32_t a, uint32_t bb, uint32_t c);
void emit_wide(Body *b, Op op, uint32_t a, int32_t wide);
void emit_ext(Body *b, Op op, uint32_t a, uint32_t bb, uint32_t c, uint32_t ext);
void emit_effect_word(Body *b, uint32_t a, uint32_t count, uint32_t because, uint32_t site,
                      uint32_t operand);
uint32_t code_here(const Body *b);
uint8_t reg_take(Body *b);
uint8_t regs_take(Body *b, uint32_t count);
void regs_release(Body *b, uint32_t mark);
void jump_to(Body *b, Op op, uint32_t a, uint32_t bb, Label *label);
void label_here(Body *b, Label *label);
void jump_back(Body *b, Op op, uint32_t a, uint32_t top);
void place_at(Body *b, Span span);
uint32_t cache_slot(Body *b);
void load_const(Body *b, uint8_t target, uint32_t constant);
void load_int(Body *b, uint8_t target, int64_t i);
void load_text(Body *b, uint8_t target, Str text);
void place_line(Body *b, uint32_t at, uint32_t *line, uint32_t *column);

/* ---- vars.c ---- */
void var_bind(Body *b, Symbol *symbol, uint8_t reg);   /* of a loop, arm or catch */
void var_unbind(Body *b, Symbol *symbol);
uint8_t var_pin(Body *b, Symbol *symbol);              /* to the end of the function */
/* The register to assign to. *born: it is new, holds nothing yet and is still the top of the stack.
 */
uint8_t var_target(Body *b, Symbol *symbol, bool *born);
void var_born(Body *b, uint8_t reg);
uint8_t var_read(Body *b, Symbol *symbol);
void move_value(Body *b, uint8_t target, uint8_t from, const Type *type, Use use);
bool type_plain(const Type *type);                     /* no value of it can be updated in place */
Type *expr_type(const Expr *e);

/* ---- parts.c ---- */
typedef void PartFn(Expr *part, void *context);
void expr_parts(Expr *e, PartFn *see, void *context);   /* each direct part */
void block_parts(Stmt *s, PartFn *see,
                 void *context); /* each whole expression of the statements, blocks inside too */

/* ---- proofs.c ---- */
void proofs_find(const Checked *checked);

/* ---- borrow.c ---- */
/* Sets Symbol.index of the function's variables that hold a part of another one's value unshared.
 */
void borrows_find(Body *b);

/* ---- fold.c ---- */
const Expr *call_changes(
    const Expr *call); /* what the call itself updates in place; NULL if nothing */
/* The literal an expression is equal to: itself, a constant's value, a small sum; NULL if none. */
Expr *literal_of(Body *b, Expr *e);
bool literal_small(Body *b, Expr *e, int64_t *i); /* an int that fits in the I forms */
bool expr_changes(Expr *e); /* something in it updates a variable in place */
void careful_begin(Body *b, Expr *root, Expr *other);
bool native_gives_own(Emitter *e, NativeId native);
bool method_may_change(const Name *name);
const Symbol *native_symbol(const Expr *call); /* NULL unless it calls a native */

/* ---- hold.c ---- */
uint32_t hold_begin(Body *b, Expr *cond, Stmt *body);
void hold_end(Body *b, uint32_t count);
int hold_find(const Body *b, const Expr *literal);

/* ---- expr.c ---- */
void expr_to(Body *b, Expr *e, uint8_t target, Use use);
uint8_t expr_any(Body *b, Expr *e, Use use);
void expr_drop(Body *b, Expr *e); /* for what it does */
void list_to(Body *b, Expr *items, uint8_t target);
bool target_simple(const Body *b, uint8_t target); /* may be written before the last instruction */

/* ---- cond.c ---- */
void cond_jump(Body *b, Expr *e, bool when, Label *to);
void binary_to(Body *b, Expr *e, uint8_t target);
void binary_op(Body *b, BinaryOp op, uint8_t target, uint8_t left, Expr *right, Span span);
void binary_regs(Body *b, BinaryOp op, uint8_t t, uint8_t l, uint8_t r);
void cond_value(Body *b, Expr *e, uint8_t target);

/* ---- path.c: reading and updating parts ---- */
void member_to(Body *b, Expr *e, uint8_t target);
void index_to(Body *b, Expr *e, uint8_t target);
void slice_to(Body *b, Expr *e, uint8_t target);
bool path_is_variable(const Expr *e); /* name, name.a, name[i].b … */
/* A register with the container at this path, unshared. Its keys are evaluated first. */
uint8_t path_own(Body *b, Expr *e);
void path_assign(Body *b, Stmt *s);
uint32_t path_run(
    const Stmt *s); /* how many statements from here update parts of one container, at least 1 */
Stmt *path_run_emit(Body *b, Stmt *s, uint32_t count); /* the statement after them */
void path_store(Body *b, Expr *target, uint8_t value, const Type *type);
void path_push(Body *b, Expr *list, Expr *value);
void field_get(Body *b, uint8_t target, uint8_t object, uint32_t name);
void field_set(Body *b, uint8_t object, uint32_t name, uint8_t value);

/* ---- call.c ---- */
void call_to(Body *b, Expr *e, uint8_t target, bool wanted);
bool call_fresh(Body *b, const Expr *e);
/* A message in a test may lack fields that it needs elsewhere: they are nil. It is made by a constructor of its own. */
void construct_partial(Body *b, Expr *e, uint8_t target);
bool function_is_partial(const Function *fn);
void closure_to(Body *b, Function *fn, uint8_t target);
/* A window whose result lands in target when it can: then its base is target. */
uint8_t window_begin(Body *b, uint8_t target);
uint32_t args_to(Body *b, Arg *args, Use use); /* into the next registers; how many */
void call_static(Body *b, Function *fn, uint8_t base, uint32_t count);
void native_call(Body *b, NativeId native, uint8_t base, uint32_t count);

/* ---- effect.c ---- */
/* One effect: its operands stand from `base` on, `because` is evaluated behind them. `target`: the constant its site
** is known by, or NONE_INDEX; `operand`: the second ext word. */
void effect_ask(Body *b, uint8_t kind, uint32_t target, uint32_t operand, uint8_t base,
                uint32_t count, Expr *because, Span span);
void effect_to(Body *b, Expr *e,
               uint8_t target); /* CALL_EFFECT, TOOL, WORKFLOW, EXTERN, PATCHED… */
void await_to(Body *b, Expr *e, uint8_t target);
void dispatch_to(Body *b, Expr *e, uint8_t target);
void enqueue_to(Body *b, Expr *e, uint8_t target);
void start_to(Body *b, Expr *e, uint8_t target);
void approve_to(Body *b, Expr *e, uint8_t target);
void fit_to(Body *b, Expr *e, uint8_t target);
void race_to(Body *b, Expr *e, uint8_t target);
void parallel_for_to(Body *b, Expr *e, uint8_t target);
void parallel_stmt(Body *b, Stmt *s);
void budget_effect(Body *b, Stmt *s); /* STMT_BUDGET: it begins; STMT_END_BUDGET */
void effect_stmt(Body *b, Stmt *s); /* SLEEP, SIGNAL, CANCEL, SNOOZE, CONTINUE_AS_NEW */
Str patch_of(Expr *cond,
             bool truth); /* the id surely true where cond is `truth`; at NULL if none */

/* ---- given.c: what only tests say ---- */
void test_stmt(Body *b, Stmt *s);               /* GIVEN, WHEN, THEN, STUB, EXPECT */
void calls_to(Body *b, Expr *e, uint8_t base);  /* CALL_CALLS */

/* ---- pattern.c ---- */
void match_stmt(Body *b, Stmt *s);
void destructure(Body *b, Expr *target, Expr *value);

/* ---- try.c ---- */
void try_stmt(Body *b, Stmt *s);
void try_to(Body *b, Expr *e, uint8_t target);
void raise_stmt(Body *b, Stmt *s);
/* Runs the finally blocks between here and `stop` inline; after the jump or return: guards_return.
 */
void guards_leave(Body *b, Guard *stop);
void guards_return(Body *b, Guard *stop);
void fault_text(Body *b, FaultCode code, Str text);

/* ---- loops.c ---- */
void for_stmt(Body *b, Stmt *s);
void while_stmt(Body *b, Stmt *s);
void loop_stmt(Body *b, Stmt *s);
void break_stmt(Body *b, Stmt *s);
void comprehension_to(Body *b, Expr *e, uint8_t target);

/* ---- lower.c ---- */
void block(Body *b, Stmt *s);
void stmt(Body *b, Stmt *s);
void return_reg(Body *b, uint8_t reg);
void return_value(Body *b, Expr *value);
void variable_check(Body *b, const Symbol *symbol, uint8_t reg, const Type *type);
Str span_text(const Body *b, Span span);

/* ---- emit.c ---- */
Function *library_find(const Emitter *e, const char *module, Str name);

/* ---- model_tables.c ---- */
void model_tables(Emitter *e); /* models, ai_agents, limits and budgets to their tables */

/* ---- application.c ---- */
const Setting *setting_find(const Decl *decl, const char *name);
int64_t folded_number(const Expr *e, int64_t fallback); /* of an int or a duration in microseconds */
/* max_attempts, backoff, unless and timeout of a declaration; what it does not say as in `fallback`. */
BundleAttempts attempts_read(Emitter *e, const Decl *decl, BundleAttempts fallback);
void application_declare(Emitter *e);

/* ---- evolving.c ---- */
void evolving_hashes(Emitter *e); /* BundleAgent.code of each, once all code stands */

/* ---- function.c ---- */
Range32 fields_add(Emitter *e, const Field *fields);
void function_emit(Emitter *e, uint32_t index, Function *fn);

#endif
