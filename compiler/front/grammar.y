/* The grammar: LALR(1), no conflicts. Binary operators are told apart by the
** precedence below, everything else by the rules. Words arrive as keywords only
** where they are words (words.c), lines as NEWLINE, INDENT and DEDENT (layout.c).
**
** Each action is one call of an ast_ builder, or hands a value on. BADLINE and its
** kin stand for a line that did not parse: parse.c restores the stack to the line's
** beginning and feeds them, so the lines around and the block below it still parse. */

%name front_parse
%token_prefix TK_
%token_type {Tok}
%extra_context {Build *b}
%stack_size 6000
%start_symbol unit

%include {
#include "compiler/front/ast_build.h"
#define NDEBUG 1
#define YYNOERRORRECOVERY 1
#define front_parse_ENGINEALWAYSONSTACK 1
}
%syntax_error { b->failed = true; (void)yymajor; (void)yyminor; }
%stack_overflow { b->failed = true; }

%token BAD IS.

%right ARROW.
%right TRY.
%left OR.
%left AND.
%right NOT.
%nonassoc CMP IN.
%left PIPE COALESCE.
%left PLUS MINUS.
%left STAR.
%right AWAIT.
%left DOT QDOT LP LB QLB.

%default_type {Expr *}
%type block {Stmt *}
%type stmt {Stmt *}
%type inline {Stmt *}
%type simple {Stmt *}
%type if_chain {StmtList}
%type try_chain {Stmt *}
%type bad {Stmt *}
%type assign_head {Stmt *}
%type branches {Stmt *}
%type branch_stmt {Stmt *}
%type stmts {StmtList}
%type branch_list {StmtList}
%type catch {Arm *}
%type arm {Arm *}
%type arms {ArmList}
%type pattern {Pattern *}
%type pattern_one {Pattern *}
%type pattern_item {Pattern *}
%type map_pattern {Pattern *}
%type patterns {PatternList}
%type pattern_ors {PatternList}
%type patterns_opt {PatternList}
%type map_patterns {PatternList}
%type map_patterns_opt {PatternList}
%type vars {Field *}
%type items {ExprList}
%type items_opt {ExprList}
%type values {ExprList}
%type interp {ExprList}
%type args {ArgList}
%type args_opt {ArgList}
%type arg {Arg *}
%type entries {ArgList}
%type entries_opt {ArgList}
%type entry {Arg *}
%type type {TypeExpr *}
%type type_union {TypeList}
%type type_one {TypeExpr *}
%type type_post {TypeExpr *}
%type type_opt {TypeExpr *}
%type types {TypeList}
%type types_opt {TypeList}
%type result {TypeExpr *}
%type field {Field *}
%type fields {FieldList}
%type fields_opt {FieldList}
%type params_opt {FieldList}
%type field_lines {FieldList}
%type decl {Decl *}
%type fn_sig {Decl *}
%type fn_head {Decl *}
%type query_head {Decl *}
%type workflow_head {Decl *}
%type tool_head {Decl *}
%type tool {Decl *}
%type extern_head {Decl *}
%type extern {Decl *}
%type type_head {Decl *}
%type message {Decl *}
%type message_head {Decl *}
%type workflow {WorkflowBody}
%type setting {Setting *}
%type whole {Expr *}
%type named {ArgList}
%type options {ArgList}
%type body {Decl *}
%type body_head {Decl *}
%type member {Decl *}
%type names {NamesList}
%type name_list {NamesList}
%type commands {NamesList}
%type clause_guard {Expr *}
%type state_fields {FieldList}
%type state_field {Field *}
%type zone_opt {Tok}
%type missed_opt {Tok}
%type test_head {Decl *}
%type stub_answer {Arg *}
%type stub_answers {ArgList}
%type path {Expr *}
%type approve {Expr *}
%type settle {Tok}
%type as_opt {Tok}
%type alias_opt {Tok}

/* ---- a file ---- */
unit ::= items_of_file.
items_of_file ::= .
items_of_file ::= items_of_file stmt(S). { ast_unit_stmt(b, S); }
items_of_file ::= items_of_file decl(D). { ast_unit_decl(b, D); }

/* ---- blocks ---- */
block(A) ::= NEWLINE INDENT stmts(L) DEDENT. { A = L.first; }
block(A) ::= inline(S). { A = S; }
stmts(A) ::= stmt(S). { A = ast_stmts(S); }
stmts(A) ::= stmts(L) stmt(S). { A = ast_stmts_add(L, S); }

stmt(A) ::= inline(S). { A = S; }
stmt(A) ::= if_chain(L). { A = L.first; }
stmt(A) ::= if_chain(L) ELSE COLON block(B). { A = ast_else(L, B); }
stmt(A) ::= try_chain(S). { A = ast_try_end(b, S); }
stmt(A) ::= try_chain(S) FINALLY COLON block(B). { A = ast_try_finally(b, S, B); }
stmt(A) ::= MATCH(T) expr(V) COLON NEWLINE INDENT arms(L) DEDENT.
  { A = ast_match(b, T, V, L.first); }
stmt(A) ::= bad(S). { A = S; }

bad(A) ::= BADLINE(T) NEWLINE. { A = ast_bad(b, T, NULL); }
bad(A) ::= BADLINE(T) NEWLINE INDENT stmts(L) DEDENT. { A = ast_bad(b, T, L.first); }
bad(A) ::= BADMATCH(T) NEWLINE. { A = ast_bad(b, T, NULL); }
bad(A) ::= BADMATCH(T) NEWLINE INDENT arms DEDENT. { A = ast_bad(b, T, NULL); }
bad(A) ::= bad(S) ELSE COLON block. { A = S; }
bad(A) ::= bad(S) ELIF expr COLON block. { A = S; }
bad(A) ::= bad(S) catch. { A = S; }
bad(A) ::= bad(S) FINALLY COLON block. { A = S; }

/* What may follow a colon on its own line. */
inline(A) ::= simple(S) NEWLINE. { A = S; }
inline(A) ::= FOR(T) vars(V) IN expr(E) COLON block(B). { A = ast_for(b, T, V, E, B); }
inline(A) ::= WHILE(T) expr(E) COLON block(B). { A = ast_while(b, T, E, B); }
inline(A) ::= LOOP(T) COLON block(B). { A = ast_loop(b, T, NULL, B); }
inline(A) ::= LOOP(T) MAX expr(E) COLON block(B). { A = ast_loop(b, T, E, B); }
inline(A) ::= PARALLEL(T) settle(S) COLON branches(B). { A = ast_parallel(b, T, S, B); }
inline(A) ::= BUDGET(T) LC entries_opt(L) RC(R) COLON block(B). { A = ast_budget(b, T, ast_map(b, T, L, R), B); }
inline(A) ::= block_expr(E). { A = ast_stmt_expr(b, E); }
inline(A) ::= assign_head(S) block_expr(E). { A = ast_assign_value(b, S, E); }
inline(A) ::= RETURN(T) block_expr(E). { A = ast_return(b, T, E); }

if_chain(A) ::= IF(T) expr(E) COLON block(B). { A = ast_stmts(ast_if(b, T, E, B)); }
if_chain(A) ::= if_chain(L) ELIF(T) expr(E) COLON block(B).
  { A = ast_elif(b, L, ast_if(b, T, E, B)); }
try_chain(A) ::= TRY(T) COLON block(B). { A = ast_try_block(b, T, B); }
try_chain(A) ::= try_chain(S) catch(C). { A = ast_try_catch(S, C); }
catch(A) ::= BADCATCH(T) NEWLINE. { A = ast_catch(b, T, NULL, NULL, NULL); }
catch(A) ::= BADCATCH(T) NEWLINE INDENT stmts(L) DEDENT.
  { A = ast_catch(b, T, NULL, NULL, L.first); }
catch(A) ::= CATCH(T) COLON block(B). { A = ast_catch(b, T, NULL, NULL, B); }
catch(A) ::= CATCH(T) ID(N) COLON block(B). { A = ast_catch(b, T, &N, NULL, B); }
catch(A) ::= CATCH(T) ID(N) WHEN expr(G) COLON block(B). { A = ast_catch(b, T, &N, G, B); }

block_expr(A) ::= PARALLEL(T) settle(S) FOR vars(V) IN expr(E) COLON block(B).
  { A = ast_parallel_for(b, T, S, V, E, NULL, B); }
block_expr(A) ::= PARALLEL(T) settle(S) FOR vars(V) IN expr(E) LIMIT expr(L) COLON block(B).
  { A = ast_parallel_for(b, T, S, V, E, L, B); }
block_expr(A) ::= RACE(T) COLON branches(B). { A = ast_race(b, T, B); }
settle(A) ::= . { A = (Tok){.span = {0, 0}}; }
settle(A) ::= SETTLE(T). { A = T; }
branches(A) ::= NEWLINE INDENT branch_list(L) DEDENT. { A = L.first; }
branches(A) ::= inline(S). { A = S; }
branch_list(A) ::= branch_stmt(S). { A = ast_stmts(S); }
branch_list(A) ::= branch_list(L) branch_stmt(S). { A = ast_stmts_add(L, S); }
branch_stmt(A) ::= stmt(S). { A = S; }
branch_stmt(A) ::= BRANCH(T) COLON block(B). { A = ast_branch(b, T, B); }

vars(A) ::= ID(N). { A = ast_var(b, N, NULL); }
vars(A) ::= ID(N) COMMA ID(M). { A = ast_var(b, N, &M); }

/* ---- simple statements ---- */
simple(A) ::= whole(E). { A = ast_stmt_expr(b, E); }
simple(A) ::= assign_head(S) whole(E). { A = ast_assign_value(b, S, E); }
simple(A) ::= expr(X) OPASSIGN(O) value(E). { A = ast_assign_op(b, X, O, E); }
simple(A) ::= BREAK(T). { A = ast_word_stmt(b, STMT_BREAK, T); }
simple(A) ::= CONTINUE(T). { A = ast_word_stmt(b, STMT_CONTINUE, T); }
simple(A) ::= PASS(T). { A = ast_word_stmt(b, STMT_PASS, T); }
simple(A) ::= RETURN(T). { A = ast_return(b, T, NULL); }
simple(A) ::= RETURN(T) whole(E). { A = ast_return(b, T, E); }
simple(A) ::= RETURN(T) CONFIRMED(C) expr(E). { A = ast_return(b, T, ast_confirmed(b, C, E)); }
simple(A) ::= ASSERT(T) expr(E). { A = ast_assert(b, T, E, NULL); }
simple(A) ::= ASSERT(T) expr(E) COMMA expr(M). { A = ast_assert(b, T, E, M); }
simple(A) ::= RAISE(T). { A = ast_raise(b, T, NULL, (ArgList){0}); }
simple(A) ::= RAISE(T) expr(E). { A = ast_raise(b, T, E, (ArgList){0}); }
simple(A) ::= RAISE(T) expr(E) COMMA args(L). { A = ast_raise(b, T, E, L); }
simple(A) ::= SLEEP(T) expr(E) because(W). { A = ast_asking(b, STMT_SLEEP, T, E, W); }
simple(A) ::= CANCEL(T) expr(E) because(W). { A = ast_asking(b, STMT_CANCEL, T, E, W); }
simple(A) ::= SIGNAL(T) ID(N) TO expr(H) because(W). { A = ast_signal(b, T, N, NULL, H, W); }
simple(A) ::= SIGNAL(T) ID(N) LP RP TO expr(H) because(W). { A = ast_signal(b, T, N, NULL, H, W); }
simple(A) ::= SIGNAL(T) ID(N) LP value(E) RP TO expr(H) because(W).
  { A = ast_signal(b, T, N, E, H, W); }
simple(A) ::= CONTINUE_AS_NEW(T) LP args_opt(L) RP because(W).
  { A = ast_continue_as_new(b, T, L, W); }
simple(A) ::= EMIT(T) expr(E). { A = ast_said(b, STMT_EMIT, T, E); }
simple(A) ::= REPLY(T) expr(E). { A = ast_said(b, STMT_REPLY, T, E); }
simple(A) ::= REJECT(T) expr(E). { A = ast_reject(b, T, E, (ArgList){0}); }
simple(A) ::= REJECT(T) expr(E) COMMA args(L). { A = ast_reject(b, T, E, L); }
simple(A) ::= SNOOZE(T) expr(E) because(W). { A = ast_asking(b, STMT_SNOOZE, T, E, W); }
simple(A) ::= EXPECT(T) expr(E). { A = ast_expect(b, T, E, NULL); }
simple(A) ::= EXPECT(T) expr(E) COMMA expr(M). { A = ast_expect(b, T, E, M); }
simple(A) ::= STUB(T) ID(W) ID(N) ARROW stub_answer(X).
  { A = ast_stub(b, T, W, N, ast_args(b, (ArgList){0}, X)); }
simple(A) ::= STUB(T) ID(W) ARROW stub_answer(X).
  { A = ast_stub(b, T, W, W, ast_args(b, (ArgList){0}, X)); }
simple(A) ::= GIVEN(T) ID(N) COLON args(L). { A = ast_given(b, T, N, L); }
simple(A) ::= WHEN(T) expr(E). { A = ast_said(b, STMT_WHEN, T, E); }
simple(A) ::= THEN(T) args(L). { A = ast_then(b, T, THEN_EVENTS, NULL, L); }
simple(A) ::= THEN(T) REJECT expr(E). { A = ast_then(b, T, THEN_REJECT, E, (ArgList){0}); }
simple(A) ::= THEN(T) REJECT expr(E) COMMA args(L). { A = ast_then(b, T, THEN_REJECT, E, L); }
simple(A) ::= THEN(T) REPLY expr(E). { A = ast_then(b, T, THEN_REPLY, E, (ArgList){0}); }
simple(A) ::= THEN(T) STATE expr(E). { A = ast_then(b, T, THEN_STATE, E, (ArgList){0}); }
simple(A) ::= THEN(T) NOTHING. { A = ast_then(b, T, THEN_NOTHING, NULL, (ArgList){0}); }
stub_answer(A) ::= expr(E). { A = ast_stub_answer(b, NULL, E); }
stub_answer(A) ::= RAISE(T) expr(E). { A = ast_stub_answer(b, &T, E); }
stub_answer(A) ::= CALL(T) path(E) LP args_opt(L) RP(R). { A = ast_stub_call(b, T, ast_call(b, E, L, R)); }
stub_answer(A) ::= STUBS stub_answers(L) comma_opt RB. { A = ast_stub_list(b, L); }
stub_answers(A) ::= stub_answer(X). { A = ast_args(b, (ArgList){0}, X); }
stub_answers(A) ::= stub_answers(L) COMMA stub_answer(X). { A = ast_args(b, L, X); }
assign_head(A) ::= expr(X) ASSIGN. { A = ast_assign(b, X, NULL); }
assign_head(A) ::= expr(X) COLON type(T) ASSIGN. { A = ast_assign(b, X, T); }
because(A) ::= . { A = NULL; }
because(A) ::= BECAUSE expr(E). { A = E; }

/* ---- match ---- */
arms(A) ::= arm(M). { A = ast_arms(M); }
arms(A) ::= arms(L) arm(M). { A = ast_arms_add(L, M); }
arm(A) ::= pattern(P) COLON block(B). { A = ast_arm(b, P, NULL, B); }
arm(A) ::= pattern(P) WHEN expr(G) COLON block(B). { A = ast_arm(b, P, G, B); }
arm(A) ::= BADLINE NEWLINE. { A = NULL; }
arm(A) ::= BADLINE NEWLINE INDENT stmts DEDENT. { A = NULL; }
pattern(A) ::= pattern_one(P). { A = P; }
pattern(A) ::= pattern_ors(L). { A = ast_pattern_or(b, L); }
pattern_ors(A) ::= pattern_one(P) BAR pattern_one(Q).
  { A = ast_patterns(ast_patterns((PatternList){0}, P), Q); }
pattern_ors(A) ::= pattern_ors(L) BAR pattern_one(Q). { A = ast_patterns(L, Q); }
pattern_one(A) ::= literal(E). { A = ast_pattern_value(b, E); }
pattern_one(A) ::= ID(N). { A = ast_pattern_name(b, N); }
pattern_one(A) ::= ID(N) DOT ID(M).
  { A = ast_pattern_value(b, ast_member(b, ast_name(b, N), M, false)); }
pattern_one(A) ::= ID(N) LP patterns_opt(L) RP(E). { A = ast_pattern_record(b, N, L, E); }
pattern_one(A) ::= LB(T) patterns_opt(L) RB(E). { A = ast_pattern_list(b, T, L, E); }
pattern_one(A) ::= LC(T) map_patterns_opt(L) RC(E). { A = ast_pattern_map(b, T, L, E); }
pattern_one(A) ::= LP pattern(P) RP. { A = P; }
patterns_opt(A) ::= . { A = (PatternList){0}; }
patterns_opt(A) ::= patterns(L) comma_opt. { A = L; }
patterns(A) ::= pattern_item(P). { A = ast_patterns((PatternList){0}, P); }
patterns(A) ::= patterns(L) COMMA pattern_item(P). { A = ast_patterns(L, P); }
pattern_item(A) ::= pattern(P). { A = P; }
pattern_item(A) ::= ID(N) COLON pattern(P). { A = ast_pattern_field(b, N, P); }
pattern_item(A) ::= ELLIPSIS(T). { A = ast_pattern_rest(b, T, NULL); }
pattern_item(A) ::= ELLIPSIS(T) ID(N). { A = ast_pattern_rest(b, T, &N); }
map_patterns_opt(A) ::= . { A = (PatternList){0}; }
map_patterns_opt(A) ::= map_patterns(L) comma_opt. { A = L; }
map_patterns(A) ::= map_pattern(P). { A = ast_patterns((PatternList){0}, P); }
map_patterns(A) ::= map_patterns(L) COMMA map_pattern(P). { A = ast_patterns(L, P); }
map_pattern(A) ::= ID(N). { A = ast_pattern_field(b, N, ast_pattern_name(b, N)); }
map_pattern(A) ::= ID(N) COLON pattern(P). { A = ast_pattern_field(b, N, P); }
map_pattern(A) ::= STRING(K) COLON pattern(P). { A = ast_pattern_key(b, K, P); }
map_pattern(A) ::= ELLIPSIS. { A = NULL; }

/* ---- expressions ---- */
value(A) ::= expr(E). { A = E; }
value(A) ::= expr(E) BECAUSE expr(W). { A = ast_because(b, E, W); }

whole(A) ::= value(E). { A = E; }
whole(A) ::= approve(E). { A = E; }
whole(A) ::= approve(E) BECAUSE expr(W). { A = ast_because(b, E, W); }
approve(A) ::= APPROVE(T) expr(Q) FOR path(E) LP args_opt(L) RP(R).
  { A = ast_approve(b, T, Q, ast_call(b, E, L, R), NULL); }
approve(A) ::= APPROVE(T) expr(Q) FOR path(E) LP args_opt(L) RP(R) WITHIN expr(D).
  { A = ast_approve(b, T, Q, ast_call(b, E, L, R), D); }
whole(A) ::= expr(E) WITH(T) named(L). { A = ast_with(b, E, T, L); }
whole(A) ::= expr(E) WITH(T) named(L) BECAUSE expr(W). { A = ast_because(b, ast_with(b, E, T, L), W); }
whole(A) ::= expr(E) options(L). { A = ast_options(b, E, L); }
whole(A) ::= expr(E) options(L) BECAUSE expr(W). { A = ast_because(b, ast_options(b, E, L), W); }
named(A) ::= ID(N) COLON expr(E). { A = ast_args(b, (ArgList){0}, ast_arg(b, &N, E)); }
named(A) ::= named(L) COMMA ID(N) COLON expr(E). { A = ast_args(b, L, ast_arg(b, &N, E)); }
options(A) ::= OPTION(N) COLON expr(E). { A = ast_args(b, (ArgList){0}, ast_arg(b, &N, E)); }
options(A) ::= options(L) COMMA OPTION(N) COLON expr(E). { A = ast_args(b, L, ast_arg(b, &N, E)); }

literal(A) ::= INT(T). { A = ast_int(b, T); }
literal(A) ::= FLOAT(T). { A = ast_float(b, T); }
literal(A) ::= DECIMAL(T). { A = ast_decimal(b, T); }
literal(A) ::= DURATION(T). { A = ast_duration(b, T); }
literal(A) ::= STRING(T). { A = ast_string(b, T); }
literal(A) ::= TRUE(T). { A = ast_bool(b, T, true); }
literal(A) ::= FALSE(T). { A = ast_bool(b, T, false); }
literal(A) ::= NIL(T). { A = ast_nil(b, T); }
literal(A) ::= MINUS(M) INT(T). { A = ast_negative(b, M, ast_int(b, T)); }
literal(A) ::= MINUS(M) FLOAT(T). { A = ast_negative(b, M, ast_float(b, T)); }
literal(A) ::= MINUS(M) DECIMAL(T). { A = ast_negative(b, M, ast_decimal(b, T)); }
literal(A) ::= MINUS(M) DURATION(T). { A = ast_negative(b, M, ast_duration(b, T)); }

expr(A) ::= ID(T). { A = ast_name(b, T); }
expr(A) ::= INT(T). { A = ast_int(b, T); }
expr(A) ::= FLOAT(T). { A = ast_float(b, T); }
expr(A) ::= DECIMAL(T). { A = ast_decimal(b, T); }
expr(A) ::= DURATION(T). { A = ast_duration(b, T); }
expr(A) ::= STRING(T). { A = ast_string(b, T); }
expr(A) ::= TRUE(T). { A = ast_bool(b, T, true); }
expr(A) ::= FALSE(T). { A = ast_bool(b, T, false); }
expr(A) ::= NIL(T). { A = ast_nil(b, T); }
expr(A) ::= interp(L) INTERP_END(T). { A = ast_interp(b, L, T); }
expr(A) ::= LP(T) whole(E) RP(R). { A = ast_parens(b, T, E, R); }
expr(A) ::= LB(T) items_opt(L) RB(R). { A = ast_list(b, T, L, R); }
expr(A) ::= LB(T) value(E) FOR vars(V) IN expr(I) RB(R).
  { A = ast_comprehension(b, T, E, V, I, NULL, R); }
expr(A) ::= LB(T) value(E) FOR vars(V) IN expr(I) IF expr(C) RB(R).
  { A = ast_comprehension(b, T, E, V, I, C, R); }
expr(A) ::= LC(T) entries_opt(L) RC(R). { A = ast_map(b, T, L, R); }
expr(A) ::= expr(X) DOT ID(N). { A = ast_member(b, X, N, false); }
expr(A) ::= expr(X) QDOT ID(N). { A = ast_member(b, X, N, true); }
expr(A) ::= expr(X) LB value(I) RB(R). { A = ast_index(b, X, I, R, false); }
expr(A) ::= expr(X) QLB value(I) RB(R). { A = ast_index(b, X, I, R, true); }
expr(A) ::= expr(X) LB expr(F) COLON expr(T) RB(R). { A = ast_slice(b, X, F, T, R); }
expr(A) ::= expr(X) LB expr(F) COLON RB(R). { A = ast_slice(b, X, F, NULL, R); }
expr(A) ::= expr(X) LB COLON expr(T) RB(R). { A = ast_slice(b, X, NULL, T, R); }
expr(A) ::= expr(X) LB COLON RB(R). { A = ast_slice(b, X, NULL, NULL, R); }
expr(A) ::= expr(X) LP args_opt(L) RP(R). { A = ast_call(b, X, L, R); }
expr(A) ::= expr(X) OR expr(Y). { A = ast_binary(b, BIN_OR, X, Y); }
expr(A) ::= expr(X) AND expr(Y). { A = ast_binary(b, BIN_AND, X, Y); }
expr(A) ::= expr(X) CMP(O) expr(Y). { A = ast_binary(b, O.op, X, Y); }
expr(A) ::= expr(X) IN expr(Y). { A = ast_binary(b, BIN_IN, X, Y); }
expr(A) ::= expr(X) COALESCE expr(Y). { A = ast_binary(b, BIN_COALESCE, X, Y); }
expr(A) ::= expr(X) PIPE(T) expr(Y). { A = ast_pipe(b, X, T, Y); }
expr(A) ::= expr(X) PLUS expr(Y). { A = ast_binary(b, BIN_ADD, X, Y); }
expr(A) ::= expr(X) MINUS expr(Y). { A = ast_binary(b, BIN_SUB, X, Y); }
expr(A) ::= expr(X) STAR(O) expr(Y). { A = ast_binary(b, O.op, X, Y); }
expr(A) ::= NOT(T) expr(X). { A = ast_unary(b, UNARY_NOT, T, X); }
expr(A) ::= MINUS(T) expr(X). [AWAIT] { A = ast_negative(b, T, X); }
expr(A) ::= TRY(T) expr(X). { A = ast_try(b, T, X); }
expr(A) ::= AWAIT(T) expr(X). { A = ast_await(b, AWAIT_HANDLE, T, X); }
expr(A) ::= AWAIT(T) ALL expr(X). [AWAIT] { A = ast_await(b, AWAIT_ALL, T, X); }
expr(A) ::= AWAIT(T) ANY expr(X). [AWAIT] { A = ast_await(b, AWAIT_ANY, T, X); }
expr(A) ::= AWAIT(T) SIGNAL ID(N). { A = ast_await_signal(b, T, N, NULL); }
expr(A) ::= AWAIT(T) SIGNAL ID(N) WITHIN expr(D). [COALESCE] { A = ast_await_signal(b, T, N, D); }
expr(A) ::= START(T) path(E) LP args_opt(L) RP(R). { A = ast_start(b, T, E, L, R); }
expr(A) ::= ASK(T) path(E) LP args_opt(L) RP(R). { A = ast_ask(b, T, E, L, R); }
expr(A) ::= DISPATCH(T) path(E) LP args_opt(L) RP(R).
  { A = ast_dispatch(b, T, ast_call(b, E, L, R)); }
expr(A) ::= DISPATCH(T) path(E). [ARROW] { A = ast_dispatch(b, T, E); }
expr(A) ::= ENQUEUE(T) path(E) LP args_opt(L) RP(R).
  { A = ast_enqueue(b, T, ast_call(b, E, L, R)); }
expr(A) ::= ID(N) ARROW expr(E). { A = ast_lambda_name(b, N, E); }
expr(A) ::= LP(T) RP ARROW expr(E). [ARROW] { A = ast_lambda(b, T, (ExprList){0}, E); }
expr(A) ::= LP(T) whole(X) RP ARROW expr(E). [ARROW]
  { A = ast_lambda(b, T, ast_exprs((ExprList){0}, X), E); }
expr(A) ::= LP(T) values(L) RP ARROW expr(E). [ARROW] { A = ast_lambda(b, T, L, E); }
values(A) ::= value(X) COMMA value(Y). { A = ast_exprs(ast_exprs((ExprList){0}, X), Y); }
values(A) ::= values(L) COMMA value(X). { A = ast_exprs(L, X); }
path(A) ::= ID(N). { A = ast_path(b, N); }
path(A) ::= path(E) DOT ID(N). { A = ast_member(b, E, N, false); }

interp(A) ::= INTERP_BEGIN(T) value(E). { A = ast_interp_part(b, (ExprList){0}, T, E); }
interp(A) ::= interp(L) INTERP_MID(T) value(E). { A = ast_interp_part(b, L, T, E); }

comma_opt ::= .
comma_opt ::= COMMA.
items_opt(A) ::= . { A = (ExprList){0}; }
items_opt(A) ::= items(L) comma_opt. { A = L; }
items(A) ::= item(E). { A = ast_exprs((ExprList){0}, E); }
items(A) ::= items(L) COMMA item(E). { A = ast_exprs(L, E); }
item(A) ::= value(E). { A = E; }
item(A) ::= ELLIPSIS(T). { A = ast_spread(b, T, NULL); }
item(A) ::= ELLIPSIS(T) expr(E). { A = ast_spread(b, T, E); }

args_opt(A) ::= . { A = (ArgList){0}; }
args_opt(A) ::= args(L) comma_opt. { A = L; }
args(A) ::= arg(X). { A = ast_args(b, (ArgList){0}, X); }
args(A) ::= args(L) COMMA arg(X). { A = ast_args(b, L, X); }
arg(A) ::= value(E). { A = ast_arg(b, NULL, E); }
arg(A) ::= ID(N) COLON value(E). { A = ast_arg(b, &N, E); }

entries_opt(A) ::= . { A = (ArgList){0}; }
entries_opt(A) ::= entries(L) comma_opt. { A = L; }
entries(A) ::= entry(X). { A = ast_args(b, (ArgList){0}, X); }
entries(A) ::= entries(L) COMMA entry(X). { A = ast_args(b, L, X); }
entry(A) ::= ID(N). { A = ast_arg(b, &N, ast_name(b, N)); }
entry(A) ::= ID(N) COLON value(E). { A = ast_arg(b, &N, E); }
entry(A) ::= ID(N) COLON expr(E) PER expr(P). { A = ast_arg(b, &N, ast_rate(b, E, P)); }
entry(A) ::= STRING(K) COLON value(E). { A = ast_entry(b, ast_string(b, K), E); }
entry(A) ::= INT(K) COLON value(E). { A = ast_entry(b, ast_int(b, K), E); }
entry(A) ::= interp(L) INTERP_END(T) COLON value(E). { A = ast_entry(b, ast_interp(b, L, T), E); }
entry(A) ::= LB expr(K) RB COLON value(E). { A = ast_entry(b, K, E); }
entry(A) ::= ELLIPSIS(T) expr(E). { A = ast_arg(b, NULL, ast_spread(b, T, E)); }

/* ---- types ---- */
type(A) ::= type_one(T). { A = T; }
type(A) ::= type_union(L). { A = ast_type_union(b, L); }
type_union(A) ::= type_one(T) BAR type_one(U). { A = ast_types(ast_types((TypeList){0}, T), U); }
type_union(A) ::= type_union(L) BAR type_one(U). { A = ast_types(L, U); }
type_one(A) ::= type_post(T). { A = T; }
type_one(A) ::= FN(F) LP types_opt(L) RP(R). { A = ast_type_fn(b, F, L, NULL, R); }
type_one(A) ::= FN(F) LP types_opt(L) RP(R) ARROW type_one(T). { A = ast_type_fn(b, F, L, T, R); }
type_post(A) ::= ID(N). { A = ast_type_name(b, N); }
type_post(A) ::= NIL(N). { A = ast_type_name(b, N); }
type_post(A) ::= ID(N) LB type(T) RB(R). { A = ast_type_of(b, N, T, R); }
type_post(A) ::= type_post(T) QUESTION(Q). { A = ast_type_optional(b, T, Q); }
type_post(A) ::= STRING(T). { A = ast_type_literal(b, ast_string(b, T)); }
type_post(A) ::= INT(T). { A = ast_type_literal(b, ast_int(b, T)); }
type_post(A) ::= MINUS(M) INT(T). { A = ast_type_literal(b, ast_negative(b, M, ast_int(b, T))); }
type_post(A) ::= TRUE(T). { A = ast_type_literal(b, ast_bool(b, T, true)); }
type_post(A) ::= FALSE(T). { A = ast_type_literal(b, ast_bool(b, T, false)); }
type_post(A) ::= LC(T) fields_opt(L) RC(R). { A = ast_type_object(b, T, L, R); }
type_post(A) ::= LP type(T) RP. { A = T; }
types_opt(A) ::= . { A = (TypeList){0}; }
types_opt(A) ::= types(L) comma_opt. { A = L; }
types(A) ::= type(T). { A = ast_types((TypeList){0}, T); }
types(A) ::= types(L) COMMA type(T). { A = ast_types(L, T); }
type_opt(A) ::= . { A = NULL; }
type_opt(A) ::= COLON type(T). { A = T; }
result(A) ::= . { A = NULL; }
result(A) ::= ARROW type(T). { A = T; }

/* ---- fields and parameters ---- */
field(A) ::= ID(N) type_opt(T) default(D) where(W). { A = ast_field(b, N, T, D, W); }
default(A) ::= . { A = NULL; }
default(A) ::= ASSIGN expr(E). { A = E; }
where(A) ::= . { A = NULL; }
where(A) ::= WHERE expr(E). { A = E; }
fields(A) ::= field(F). { A = ast_fields((FieldList){0}, F); }
fields(A) ::= fields(L) COMMA field(F). { A = ast_fields(L, F); }
fields_opt(A) ::= . { A = (FieldList){0}; }
fields_opt(A) ::= fields(L) comma_opt. { A = L; }
params_opt(A) ::= . { A = (FieldList){0}; }
params_opt(A) ::= LP fields_opt(L) RP. { A = L; }
field_lines(A) ::= fields(L) comma_opt NEWLINE. { A = ast_field_line(b, (FieldList){0}, L); }
field_lines(A) ::= field_lines(M) fields(L) comma_opt NEWLINE. { A = ast_field_line(b, M, L); }
field_lines(A) ::= BADLINE NEWLINE. { A = (FieldList){0}; }
field_lines(A) ::= field_lines(M) BADLINE NEWLINE. { A = M; }

/* ---- declarations ---- */
fn_sig(A) ::= FN(T) ID(N) LP fields_opt(L) RP result(R). { A = ast_fn(b, T, N, L, R); }
fn_head(A) ::= fn_sig(D) COLON. { A = D; }
fn_head(A) ::= STRATEGY(T) ID(N) LP fields_opt(L) RP result(R) COLON. { A = ast_strategy(b, T, N, L, R); }
fn_head(A) ::= PURE(T) fn_sig(D) COLON. { A = ast_pure(b, T, D); }
decl(A) ::= fn_head(D) block(B). { A = ast_body(D, B); }

decl(A) ::= CONST(T) ID(N) type_opt(Y) ASSIGN expr(E) NEWLINE.
  { A = ast_constant(b, DECL_CONST, T, N, Y, E); }
decl(A) ::= CONFIG(T) ID(N) type_opt(Y) default(E) NEWLINE.
  { A = ast_constant(b, DECL_CONFIG, T, N, Y, E); }
decl(A) ::= IMPORT(T) STRING(P) alias_opt(N) NEWLINE. { A = ast_import(b, T, P, N); }
decl(A) ::= IMPORT(T) path(P) alias_opt(N) NEWLINE. { A = ast_import_module(b, T, P, N); }
alias_opt(A) ::= . { A = (Tok){.span = {0, 0}}; }
alias_opt(A) ::= AS ID(N). { A = N; }

type_head(A) ::= TYPE(T) ID(N). { A = ast_declare(b, DECL_TYPE, T, N); }
decl(A) ::= type_head(D) ASSIGN type(T) NEWLINE. { A = ast_type_alias(b, D, T); }
decl(A) ::= type_head(D) COLON NEWLINE INDENT field_lines(L) DEDENT.
  { A = ast_with_fields(b, D, L); }
decl(A) ::= type_head(D) COLON fields(L) comma_opt NEWLINE. { A = ast_with_fields(b, D, L); }

message_head(A) ::= COMMAND(T) ID(N). { A = ast_declare(b, DECL_COMMAND, T, N); }
message_head(A) ::= EVENT(T) ID(N). { A = ast_declare(b, DECL_EVENT, T, N); }
message(A) ::= message_head(D) as_opt(S). { A = ast_message(b, D, NULL, S); }
message(A) ::= message_head(D) VERSION INT(V) as_opt(S). { A = ast_message(b, D, &V, S); }
as_opt(A) ::= . { A = (Tok){.span = {0, 0}}; }
as_opt(A) ::= AS STRING(S). { A = S; }
decl(A) ::= message(D) params_opt(L) NEWLINE. { A = ast_with_fields(b, D, L); }
decl(A) ::= UPCAST(T) ID(N) FROM INT(V) LP fields_opt(L) RP COLON block(B).
  { A = ast_upcast(b, T, N, V, L, B); }

workflow_head(A) ::= WORKFLOW(T) ID(N) params_opt(L) result(R) COLON.
  { A = ast_signature(b, ast_declare(b, DECL_WORKFLOW, T, N), L, R); }
workflow(A) ::= workflow_head(D) NEWLINE INDENT. { A = ast_workflow(D); }
workflow(A) ::= workflow(W) stmt(S). { A = ast_workflow_stmt(W, S); }
workflow(A) ::= workflow(W) query_head(D) block(B). { A = ast_workflow_query(W, ast_body(D, B)); }
query_head(A) ::= QUERY(T) ID(N) params_opt(L) result(R) COLON.
  { A = ast_signature(b, ast_declare(b, DECL_QUERY, T, N), L, R); }
decl(A) ::= workflow(W) DEDENT. { A = ast_workflow_end(W); }
decl(A) ::= workflow_head(D) inline(S). { A = ast_body(D, S); }

tool_head(A) ::= TOOL(T) ID(N) params_opt(L) result(R) COLON.
  { A = ast_signature(b, ast_declare(b, DECL_TOOL, T, N), L, R); }
tool(A) ::= tool_head(D) NEWLINE INDENT. { A = D; }
tool(A) ::= BADTOOL(T) NEWLINE INDENT. { A = ast_declare(b, DECL_TOOL, T, T); }
tool(A) ::= tool(D) setting(S) NEWLINE. { A = ast_tool_setting(b, D, S); }
tool(A) ::= tool(D) PERFORM(T) COLON block(B). { A = ast_tool_perform(b, D, T, B); }
tool(A) ::= tool(D) PERFORM(T) ID(V) expr(U) NEWLINE. { A = ast_tool_remote(b, D, T, V, U); }
tool(A) ::= tool(D) CHECK(T) COLON block(B). { A = ast_tool_check(b, D, T, B); }
tool(A) ::= tool(D) BADLINE NEWLINE. { A = D; }
tool(A) ::= tool(D) BADLINE NEWLINE INDENT stmts DEDENT. { A = D; }
decl(A) ::= tool(D) DEDENT. { A = ast_tool_end(D); }
decl(A) ::= BADTOOL NEWLINE. { A = NULL; }

setting(A) ::= SETTING(N) expr(E) unless(C). { A = ast_setting(b, N, E, NULL, NULL, C); }
setting(A) ::= SETTING(N) expr(E) DOTDOT expr(T) unless(C).
  { A = ast_setting(b, N, NULL, E, T, C); }
setting(A) ::= SETTING(N) expr(E) BACKOFF expr(F) DOTDOT expr(T) unless(C).
  { A = ast_setting(b, N, E, F, T, C); }
setting(A) ::= SETTING(N) expr(E) PER expr(P). { A = ast_setting_rate(b, N, NULL, E, P); }
setting(A) ::= SETTING(N) STRING(S) WITHIN expr(W). { A = ast_setting_ask(b, N, ast_string(b, S), W); }
setting(A) ::= SETTING(N) interp(L) INTERP_END(T) WITHIN expr(W).
  { A = ast_setting_ask(b, N, ast_interp(b, L, T), W); }
setting(A) ::= SETTING(N) STRING(S) INT(E) PER expr(P).
  { A = ast_setting_rate(b, N, ast_string(b, S), ast_int(b, E), P); }
setting(A) ::= SETTING(N) STRING(S) ID(E) PER expr(P).
  { A = ast_setting_rate(b, N, ast_string(b, S), ast_name(b, E), P); }
unless(A) ::= . { A = NULL; }
unless(A) ::= UNLESS expr(E). { A = E; }

extern_head(A) ::= EXTERN(T) STRING(S) COLON. { A = ast_extern(b, T, S); }
extern(A) ::= extern_head(D) NEWLINE INDENT. { A = D; }
extern(A) ::= extern(D) fn_sig(F) NEWLINE. { A = ast_extern_fn(D, F); }
extern(A) ::= extern(D) BADLINE NEWLINE. { A = D; }
decl(A) ::= extern(D) DEDENT. { A = ast_extern_end(D); }
decl(A) ::= extern_head(D) fn_sig(F) NEWLINE. { A = ast_extern_fn(D, F); }

/* ---- the application: declarations whose bodies are lines ---- */
body_head(A) ::= AGENT(T) ID(N) COLON. { A = ast_declare(b, DECL_AGENT, T, N); }
body_head(A) ::= ROUTER(T) ID(N) COLON. { A = ast_declare(b, DECL_ROUTER, T, N); }
body_head(A) ::= HANDLER(T) ID(N) COLON. { A = ast_declare(b, DECL_HANDLER, T, N); }
body_head(A) ::= WORKER(T) ID(N) params_opt(L) COLON.
  { A = ast_signature(b, ast_declare(b, DECL_WORKER, T, N), L, NULL); }
body_head(A) ::= QUEUE(T) STRING(S) COLON. { A = ast_quoted(b, DECL_QUEUE, T, S); }
body_head(A) ::= MODEL(T) ID(N) COLON. { A = ast_declare(b, DECL_MODEL, T, N); }
body_head(A) ::= AI_AGENT(T) ID(N) params_opt(L) COLON.
  { A = ast_ai_agent(b, T, N, L); }
body(A) ::= body(D) ANSWER(T) type(Y) NEWLINE. { A = ast_answer(b, D, T, Y); }
decl(A) ::= BUDGET(T) ID(N) COLON expr(E) NEWLINE. { A = ast_allowance(b, DECL_BUDGET, T, N, E); }
decl(A) ::= LIMIT(T) ID(N) COLON expr(E) NEWLINE. { A = ast_allowance(b, DECL_LIMIT, T, N, E); }
body(A) ::= body_head(D) NEWLINE INDENT. { A = D; }
body(A) ::= body(D) setting(S) NEWLINE. { A = ast_decl_setting(b, D, S); }
body(A) ::= body(D) member(M). { A = ast_decl_member(D, M); }
body(A) ::= body(D) STATE(T) LC state_fields(L) comma_opt RC NEWLINE.
  { A = ast_agent_state(b, D, T, L); }
body(A) ::= body(D) PERFORM(T) params_opt(L) COLON block(B).
  { A = ast_worker_perform(b, D, T, L, B); }
body(A) ::= body(D) BADLINE NEWLINE. { A = D; }
body(A) ::= body(D) BADLINE NEWLINE INDENT stmts DEDENT. { A = D; }
decl(A) ::= body(D) DEDENT. { A = ast_decl_end(D); }
decl(A) ::= body_head(D) member(M). { A = ast_decl_member(D, M); }

state_fields(A) ::= state_field(F). { A = ast_fields((FieldList){0}, F); }
state_fields(A) ::= state_fields(L) COMMA state_field(F). { A = ast_fields(L, F); }
state_field(A) ::= ID(N). { A = ast_state_field(b, N, NULL, NULL); }
state_field(A) ::= ID(N) COLON expr(E). { A = ast_state_field(b, N, NULL, E); }
state_field(A) ::= ID(N) TYPED type(T) ASSIGN expr(E). { A = ast_state_field(b, N, T, E); }

member(A) ::= INVARIANT(T) expr(E) NEWLINE. { A = ast_invariant(b, T, E, (Tok){.span = {0, 0}}); }
member(A) ::= INVARIANT(T) expr(E) COMMA STRING(S) NEWLINE. { A = ast_invariant(b, T, E, S); }
member(A) ::= DECIDE(T) ID(N) params_opt(L) clause_guard(G) COLON block(B).
  { A = ast_clause(b, DECL_DECIDE, T, N, L, G, B); }
member(A) ::= EVOLVE(T) ID(N) params_opt(L) COLON block(B).
  { A = ast_clause(b, DECL_EVOLVE, T, N, L, NULL, B); }
member(A) ::= ON(T) ID(N) params_opt(L) COLON block(B).
  { A = ast_clause(b, DECL_ON, T, N, L, NULL, B); }
member(A) ::= VIEW(T) ID(N) params_opt(L) result(R) COLON block(B).
  { A = ast_body(ast_signature(b, ast_declare(b, DECL_VIEW, T, N), L, R), B); }
member(A) ::= IDENTIFY(T) ID(N) BY name_list(L) NEWLINE.
  { A = ast_identify(b, T, N, L, NULL, (Tok){.span = {0, 0}}); }
member(A) ::= IDENTIFY(T) ID(N) BY name_list(L) COMMA ID(W) STRING(S) NEWLINE.
  { A = ast_identify(b, T, N, L, &W, S); }
member(A) ::= ROUTE(T) commands(L) ARROW ID(N) NEWLINE. { A = ast_route(b, T, L, N); }
member(A) ::= BEFORE(T) commands(L) COLON ID(N) NEWLINE. { A = ast_before(b, T, L, N); }
member(A) ::= BEFORE(T) ID(E) ID(C) COLON ID(N) NEWLINE.
  { A = ast_before(b, T, ast_every_command(b, E, C), N); }
clause_guard(A) ::= . { A = NULL; }
clause_guard(A) ::= WHEN expr(E). { A = E; }
commands(A) ::= ID(N). { A = ast_names(b, (NamesList){0}, N); }
commands(A) ::= LB names(L) comma_opt RB. { A = L; }
names(A) ::= ID(N). { A = ast_names(b, (NamesList){0}, N); }
names(A) ::= names(L) COMMA ID(N). { A = ast_names(b, L, N); }
name_list(A) ::= ID(N). { A = ast_names(b, (NamesList){0}, N); }

setting(A) ::= SETTING(N) ID(X) ID(Y). { A = ast_setting_words(b, N, X, Y); }
setting(A) ::= SETTING(N) ID(X) INT(C) ID(Y). { A = ast_setting_every(b, N, X, C, Y); }
setting(A) ::= SETTING(N) expr(E) BY names(L). { A = ast_setting_by(b, N, E, L, NULL, NULL); }
setting(A) ::= SETTING(N) BY names(L). { A = ast_setting_by(b, N, NULL, L, NULL, NULL); }
setting(A) ::= SETTING(N) BY names(L) ID(R). { A = ast_setting_by(b, N, NULL, L, NULL, &R); }
setting(A) ::= SETTING(N) BY names(L) WITHIN expr(E).
  { A = ast_setting_by(b, N, NULL, L, E, NULL); }
setting(A) ::= SETTING(N) BY names(L) WITHIN expr(E) ID(R).
  { A = ast_setting_by(b, N, NULL, L, E, &R); }

decl(A) ::= EVERY(T) STRING(S) zone_opt(Z) missed_opt(M) COLON block(B).
  { A = ast_every(b, T, S, Z, M, B); }
zone_opt(A) ::= . { A = (Tok){.span = {0, 0}}; }
zone_opt(A) ::= IN STRING(Z). { A = Z; }
missed_opt(A) ::= . { A = (Tok){.span = {0, 0}}; }
missed_opt(A) ::= MISSED ID(M). { A = M; }
decl(A) ::= START(T) ID(N) NEWLINE. { A = ast_start_decl(b, T, N); }
test_head(A) ::= TEST(T) STRING(S). { A = ast_test_head(b, T, S, NULL); }
test_head(A) ::= TEST(T) STRING(S) WITH ID(W). { A = ast_test_head(b, T, S, &W); }
decl(A) ::= test_head(D) COLON block(B). { A = ast_body(D, B); }

/* ---- what parse.c does beside feeding tokens ---- */
%code {
/* The stack's height, and back to it: what stands below a line's beginning does not change
** while the line is read. */
uint32_t parser_height(const Parser *parser) {
  const yyParser *p = (const yyParser *)parser->bytes;
  return (uint32_t)(p->yytos - p->yystack);
}

void parser_cut(Parser *parser, uint32_t height) {
  yyParser *p = (yyParser *)parser->bytes;
  if (p->yytos > p->yystack + height) p->yytos = p->yystack + height;
}

/* Would this token be taken now? Plays the reductions it would cause on states alone. */
bool parser_accepts(const Parser *parser, int kind) {
  const yyParser *p = (const yyParser *)parser->bytes;
  uint32_t base = (uint32_t)(p->yytos - p->yystack), top = 0;
  YYACTIONTYPE states[64]; /* states above `base`; reductions add few before they take away */
  YYACTIONTYPE state = p->yytos->stateno;
  for (;;) {
    YYACTIONTYPE act = yy_find_shift_action((YYCODETYPE)kind, state);
    if (act <= YY_MAX_SHIFTREDUCE || act == YY_ACCEPT_ACTION) return true;
    if (act < YY_MIN_REDUCE) return false;
    unsigned rule = act - YY_MIN_REDUCE;
    uint32_t pops = (uint32_t)-yyRuleInfoNRhs[rule];
    while (pops > 0 && top > 0) top--, pops--;
    if (pops > base) return false;
    base -= pops;
    YYACTIONTYPE below = top > 0 ? states[top - 1] : p->yystack[base].stateno;
    state = yy_find_reduce_action(below, (YYCODETYPE)yyRuleInfoLhs[rule]);
    if (top == 64) return false;
    states[top++] = state;
  }
}

_Static_assert(sizeof(yyParser) <= sizeof(((Parser *)0)->bytes), "Parser.bytes is too small");
}
