/* Builders of the tree: each action of grammar.y is one call of them. They take
** tokens and finished parts, fill spans, and report what the grammar leaves open
** (a target that cannot be assigned to, a setting that does not exist). */
#ifndef Z8_AST_BUILD_H
#define Z8_AST_BUILD_H

#include "compiler/front/token.h"

/* One file being parsed. */
typedef struct Build {
  Arena *arena;
  Diags *diags;
  Names *names;
  const char *text; /* of the file; a span's bytes are text[span.at - base] */
  uint32_t base;
  Unit *unit;
  Decl *last_decl;
  Stmt *last_stmt;
  Str doc;      /* `##` comments above the line now read */
  bool failed;  /* the parser met a token it cannot take */
  bool swallow; /* the block below the bad line is best left out */
  DeclKind body; /* the declaration whose settings are read: the last one that has any */
} Build;

/* Lists while they grow: the end is kept, so that adding is one step. */
typedef struct ExprList {
  Expr *first, *last;
} ExprList;
typedef struct ArgList {
  Arg *first, *last;
} ArgList;
typedef struct StmtList {
  Stmt *first, *last;
} StmtList;
typedef struct ArmList {
  Arm *first, *last;
} ArmList;
typedef struct FieldList {
  Field *first, *last;
} FieldList;
typedef struct TypeList {
  TypeExpr *first, *last;
} TypeList;
typedef struct PatternList {
  Pattern *first, *last;
} PatternList;
typedef struct NamesList {
  NameList *first, *last;
} NamesList;
typedef struct WorkflowBody {
  Decl *decl;
  Stmt *last;
} WorkflowBody;

/* The generated parser: a fixed stack, no memory of its own. */
typedef struct Parser {
  _Alignas(16) char bytes[6000 * 24 + 64];
} Parser;
void front_parseInit(void *parser, Build *b);
void front_parse(void *parser, int kind, Tok tok);
uint32_t parser_height(const Parser *parser);
void parser_cut(Parser *parser, uint32_t height);
bool parser_accepts(const Parser *parser, int kind);
enum { PARSER_STACK = 6000 };

static inline Span span_join(Span from, Span to) {
  return (Span){from.at, to.at + to.size - from.at};
}

/* ---- expressions ---- */
void ast_hold(Build *b, Expr *parent, Expr *child); /* the parent is deeper than its child; or NULL */
Expr *ast_name(Build *b, Tok name);
Expr *ast_path(Build *b, Tok name);
Expr *ast_int(Build *b, Tok t);
Expr *ast_float(Build *b, Tok t);
Expr *ast_decimal(Build *b, Tok t);
Expr *ast_duration(Build *b, Tok t);
Expr *ast_string(Build *b, Tok t);
Expr *ast_bool(Build *b, Tok t, bool value);
Expr *ast_nil(Build *b, Tok t);
ExprList ast_interp_part(Build *b, ExprList parts, Tok text, Expr *value);
Expr *ast_interp(Build *b, ExprList parts, Tok end);
Expr *ast_parens(Build *b, Tok open, Expr *e, Tok close);
Expr *ast_list(Build *b, Tok open, ExprList items, Tok close);
Expr *ast_map(Build *b, Tok open, ArgList entries, Tok close);
Expr *ast_comprehension(Build *b, Tok open, Expr *element, Field *vars, Expr *iter, Expr *cond,
                        Tok close);
Expr *ast_spread(Build *b, Tok dots, Expr *operand);
Expr *ast_member(Build *b, Expr *object, Tok name, bool safe);
Expr *ast_index(Build *b, Expr *object, Expr *index, Tok close, bool safe);
Expr *ast_slice(Build *b, Expr *object, Expr *low, Expr *high, Tok close);
Expr *ast_call(Build *b, Expr *callee, ArgList args, Tok close);
Expr *ast_start(Build *b, Tok start, Expr *callee, ArgList args, Tok close);
Expr *ast_binary(Build *b, uint64_t op, Expr *left, Expr *right);
Expr *ast_unary(Build *b, UnaryOp op, Tok t, Expr *operand);
Expr *ast_negative(Build *b, Tok minus, Expr *operand);
Expr *ast_pipe(Build *b, Expr *value, Tok pipe, Expr *target);
Expr *ast_try(Build *b, Tok t, Expr *operand);
Expr *ast_await(Build *b, AwaitKind kind, Tok t, Expr *operand);
Expr *ast_await_signal(Build *b, Tok t, Tok name, Expr *within);
Expr *ast_because(Build *b, Expr *call, Expr *why);
Expr *ast_confirmed(Build *b, Tok word, Expr *value);
Expr *ast_lambda(Build *b, Tok open, ExprList params, Expr *body);
Expr *ast_lambda_name(Build *b, Tok name, Expr *body);
Expr *ast_parallel_for(Build *b, Tok t, Tok settle, Field *vars, Expr *iter, Expr *limit,
                       Stmt *body);
Expr *ast_race(Build *b, Tok t, Stmt *branches);
ExprList ast_exprs(ExprList list, Expr *e);
Arg *ast_arg(Build *b, const Tok *name, Expr *value);
Arg *ast_entry(Build *b, Expr *key, Expr *value);
ArgList ast_args(Build *b, ArgList list, Arg *arg);
Field *ast_var(Build *b, Tok first, const Tok *second);

/* ---- patterns ---- */
Pattern *ast_pattern_value(Build *b, Expr *value);
Pattern *ast_pattern_name(Build *b, Tok name);
Pattern *ast_pattern_record(Build *b, Tok name, PatternList items, Tok close);
Pattern *ast_pattern_list(Build *b, Tok open, PatternList items, Tok close);
Pattern *ast_pattern_map(Build *b, Tok open, PatternList items, Tok close);
Pattern *ast_pattern_field(Build *b, Tok name, Pattern *pattern);
Pattern *ast_pattern_key(Build *b, Tok key, Pattern *pattern);
Pattern *ast_pattern_rest(Build *b, Tok dots, const Tok *name);
Pattern *ast_pattern_or(Build *b, PatternList items);
PatternList ast_patterns(PatternList list, Pattern *pattern);

/* ---- statements ---- */
StmtList ast_stmts(Stmt *stmt);
StmtList ast_stmts_add(StmtList list, Stmt *stmt);
Stmt *ast_stmt_expr(Build *b, Expr *value);
Stmt *ast_assign(Build *b, Expr *target, TypeExpr *type); /* its value is not there yet */
Stmt *ast_assign_value(Build *b, Stmt *assign, Expr *value);
Stmt *ast_assign_op(Build *b, Expr *target, Tok op, Expr *value);
Stmt *ast_word_stmt(Build *b, StmtKind kind, Tok t);
Stmt *ast_return(Build *b, Tok t, Expr *value);
Stmt *ast_assert(Build *b, Tok t, Expr *cond, Expr *message);
Stmt *ast_raise(Build *b, Tok t, Expr *code, ArgList args);
Stmt *ast_asking(Build *b, StmtKind kind, Tok t, Expr *value, Expr *because);
Stmt *ast_signal(Build *b, Tok t, Tok name, Expr *value, Expr *handle, Expr *because);
Stmt *ast_continue_as_new(Build *b, Tok t, ArgList args, Expr *because);
Stmt *ast_if(Build *b, Tok t, Expr *cond, Stmt *body);
StmtList ast_elif(Build *b, StmtList chain, Stmt *elif);
Stmt *ast_else(StmtList chain, Stmt *body);
Stmt *ast_for(Build *b, Tok t, Field *vars, Expr *value, Stmt *body);
Stmt *ast_while(Build *b, Tok t, Expr *cond, Stmt *body);
Stmt *ast_loop(Build *b, Tok t, Expr *max, Stmt *body);
Stmt *ast_parallel(Build *b, Tok t, Tok settle, Stmt *branches);
Stmt *ast_branch(Build *b, Tok t, Stmt *body);
Stmt *ast_match(Build *b, Tok t, Expr *value, Arm *arms);
Arm *ast_arm(Build *b, Pattern *pattern, Expr *guard, Stmt *body);
ArmList ast_arms(Arm *arm);
ArmList ast_arms_add(ArmList list, Arm *arm);
Stmt *ast_try_block(Build *b, Tok t, Stmt *body);
Stmt *ast_try_catch(Stmt *stmt, Arm *arm);
Stmt *ast_try_end(Build *b, Stmt *stmt);
Arm *ast_catch(Build *b, Tok t, const Tok *name, Expr *guard, Stmt *body);
Stmt *ast_try_finally(Build *b, Stmt *stmt, Stmt *body);
Stmt *ast_bad(Build *b, Tok t, Stmt *body);
void ast_unit_stmt(Build *b, Stmt *stmt);

/* ---- types and declarations ---- */
TypeExpr *ast_type_name(Build *b, Tok name);
TypeExpr *ast_type_of(Build *b, Tok name, TypeExpr *element, Tok close);
TypeExpr *ast_type_optional(Build *b, TypeExpr *type, Tok mark);
TypeExpr *ast_type_literal(Build *b, Expr *literal);
TypeExpr *ast_type_object(Build *b, Tok open, FieldList fields, Tok close);
TypeExpr *ast_type_fn(Build *b, Tok fn, TypeList params, TypeExpr *result, Tok close);
TypeExpr *ast_type_union(Build *b, TypeList members);
TypeList ast_types(TypeList list, TypeExpr *type);
Field *ast_field(Build *b, Tok name, TypeExpr *type, Expr *value, Expr *where);
FieldList ast_fields(FieldList list, Field *field);
FieldList ast_field_line(Build *b, FieldList above, FieldList line);
Decl *ast_declare(Build *b, DeclKind kind, Tok t, Tok name);
Decl *ast_signature(Build *b, Decl *decl, FieldList params, TypeExpr *result);
Decl *ast_fn(Build *b, Tok t, Tok name, FieldList params, TypeExpr *result);
Decl *ast_pure(Build *b, Tok t, Decl *decl);
Decl *ast_body(Decl *decl, Stmt *body);
Decl *ast_constant(Build *b, DeclKind kind, Tok t, Tok name, TypeExpr *type, Expr *value);
Decl *ast_import(Build *b, Tok t, Tok path, Tok alias);
Decl *ast_import_module(Build *b, Tok t, Expr *path, Tok alias);
Decl *ast_type_alias(Build *b, Decl *decl, TypeExpr *type);
Decl *ast_with_fields(Build *b, Decl *decl, FieldList fields);
Decl *ast_message(Build *b, Decl *decl, const Tok *version, Tok stored);
Decl *ast_upcast(Build *b, Tok t, Tok name, Tok from, FieldList params, Stmt *body);
WorkflowBody ast_workflow(Decl *decl);
WorkflowBody ast_workflow_stmt(WorkflowBody body, Stmt *stmt);
WorkflowBody ast_workflow_query(WorkflowBody body, Decl *query);
Decl *ast_workflow_end(WorkflowBody body);
Setting *ast_setting(Build *b, Tok name, Expr *first, Expr *second, Expr *third, Expr *cond);
Setting *ast_setting_rate(Build *b, Tok name, Expr *rate, Expr *count, Expr *per);
Decl *ast_tool_setting(Build *b, Decl *tool, Setting *setting);
Decl *ast_tool_perform(Build *b, Decl *tool, Tok t, Stmt *body);
Decl *ast_tool_remote(Build *b, Decl *tool, Tok t, Tok method, Expr *url);
Decl *ast_tool_check(Build *b, Decl *tool, Tok t, Stmt *body);
Decl *ast_tool_end(Decl *tool);
Decl *ast_extern(Build *b, Tok t, Tok library);
Decl *ast_extern_fn(Decl *decl, Decl *fn);
Decl *ast_extern_end(Decl *decl);
void ast_unit_decl(Build *b, Decl *decl);

/* ---- ast_app.c: agents, routers, handlers, workers, queues, crons, tests ---- */
NamesList ast_names(Build *b, NamesList list, Tok name);
/* A declaration whose body is lines: settings and members, turned round by ast_decl_end. */
Decl *ast_decl_setting(Build *b, Decl *decl, Setting *setting);
Decl *ast_decl_member(Decl *decl, Decl *member);
Decl *ast_decl_end(Decl *decl);
Decl *ast_agent_state(Build *b, Decl *agent, Tok t, FieldList fields);
Field *ast_state_field(Build *b, Tok name, TypeExpr *type, Expr *value);
Decl *ast_invariant(Build *b, Tok t, Expr *cond, Tok message);
Decl *ast_clause(Build *b, DeclKind kind, Tok t, Tok name, FieldList params, Expr *guard, Stmt *body);
Decl *ast_identify(Build *b, Tok t, Tok agent, NamesList by, const Tok *word, Tok prefix);
Decl *ast_route(Build *b, Tok t, NamesList commands, Tok agent);
Decl *ast_before(Build *b, Tok t, NamesList commands, Tok function);
/* `every command` in a line of a router: anything else is told. */
NamesList ast_every_command(Build *b, Tok every, Tok command);
Decl *ast_worker_perform(Build *b, Decl *worker, Tok t, FieldList params, Stmt *body);
Decl *ast_quoted(Build *b, DeclKind kind, Tok t, Tok text);
Decl *ast_every(Build *b, Tok t, Tok text, Tok zone, Tok missed, Stmt *body);
Decl *ast_start_decl(Build *b, Tok t, Tok name);
Decl *ast_test_head(Build *b, Tok t, Tok name, const Tok *with);
Setting *ast_setting_words(Build *b, Tok name, Tok first, Tok second); /* validate every command */
Setting *ast_setting_every(Build *b, Tok name, Tok every, Tok count, Tok events);
Setting *ast_setting_by(Build *b, Tok name, Expr *count, NamesList by, Expr *within, const Tok *replace);
Expr *ast_dispatch(Build *b, Tok t, Expr *command);
Expr *ast_enqueue(Build *b, Tok t, Expr *job);
Expr *ast_with(Build *b, Expr *dispatch, Tok with, ArgList options);
Expr *ast_options(Build *b, Expr *enqueue, ArgList options);
Stmt *ast_said(Build *b, StmtKind kind, Tok t, Expr *value); /* emit reply snooze when */
Stmt *ast_reject(Build *b, Tok t, Expr *code, ArgList args);
Stmt *ast_given(Build *b, Tok t, Tok agent, ArgList events);
Stmt *ast_then(Build *b, Tok t, ThenKind kind, Expr *value, ArgList args);
Stmt *ast_stub(Build *b, Tok t, Tok word, Tok tool, ArgList answers);
Arg *ast_stub_answer(Build *b, const Tok *raise, Expr *value);
Stmt *ast_expect(Build *b, Tok t, Expr *cond, Expr *message);

/* ---- ast_model.c: models, their agents, budgets, approvals ---- */
Setting *ast_setting_ask(Build *b, Tok name, Expr *question, Expr *within);
Decl *ast_strategy(Build *b, Tok t, Tok name, FieldList params, TypeExpr *result);
Decl *ast_ai_agent(Build *b, Tok t, Tok name, FieldList params);
Decl *ast_answer(Build *b, Decl *agent, Tok t, TypeExpr *type);
Decl *ast_allowance(Build *b, DeclKind kind, Tok t, Tok name, Expr *map);
Expr *ast_ask(Build *b, Tok t, Expr *callee, ArgList args, Tok close);
Expr *ast_approve(Build *b, Tok t, Expr *question, Expr *call, Expr *within);
Expr *ast_rate(Build *b, Expr *amount, Expr *per);
Stmt *ast_budget(Build *b, Tok t, Expr *map, Stmt *body);
Arg *ast_stub_call(Build *b, Tok t, Expr *call);
Arg *ast_stub_list(Build *b, ArgList answers);
void complain_setting(Build *b, Name *name, Span span);
bool setting_is_known(const Build *b, Name *name);
bool setting_owner(DeclKind kind); /* has settings */
Str body_has(DeclKind owner);      /* what its body may hold, in a sentence */
Decl *decls_turned(Decl *list);    /* the other way round */
void complain_twice(Build *b, Span span, Span before, Str what);

/* literal.c: the text of a string token, escapes done. */
Str literal_text(Build *b, Tok t);
/* The texts of an interpolated string's parts, in place: EXPR_STRING parts hold raw source. */
void literal_block_parts(Build *b, Expr *parts);
Str literal_unescape(Build *b, Str raw);

/* complain.c: says what is wrong at tokens[at], which the parser would not take. */
void complain(Build *b, const Parser *parser, const Line *line, uint32_t at);

#endif
