/* A tree as one line of s-expressions per statement and declaration, for tests. */
#ifndef Z8_AST_DUMP_H
#define Z8_AST_DUMP_H

#include "compiler/front/ast.h"
#include "vm/base/buf.h"

static void dump_expr(Buf *out, const Expr *e);
static void dump_stmts(Buf *out, const Stmt *s, int indent);
static void dump_type(Buf *out, const TypeExpr *t);

static void dump_name(Buf *out, const Name *name) {
  if (name) buf_str(out, name->text);
  else buf_text(out, "-");
}

static void dump_quoted(Buf *out, Str text) {
  buf_byte(out, '"');
  for (size_t i = 0; i < text.size; i++) {
    if (text.at[i] == '\n') buf_text(out, "\\n");
    else buf_byte(out, (uint8_t)text.at[i]);
  }
  buf_byte(out, '"');
}

static void dump_part(Buf *out, const char *word, const Expr *e) {
  if (!e) return;
  buf_format(out, " %s", word);
  if (*word) buf_byte(out, ' ');
  dump_expr(out, e);
}

static void dump_exprs(Buf *out, const Expr *first) {
  for (const Expr *e = first; e; e = e->next) {
    buf_byte(out, ' ');
    dump_expr(out, e);
  }
}

static void dump_args(Buf *out, const Arg *arg) {
  for (; arg; arg = arg->next) {
    buf_byte(out, ' ');
    if (arg->name) buf_format(out, STR_FMT ": ", STR_ARG(arg->name->text));
    if (arg->stub == STUB_RAISE) buf_text(out, "raise ");
    if (arg->key) {
      buf_byte(out, '[');
      dump_expr(out, arg->key);
      buf_text(out, "]: ");
    }
    dump_expr(out, arg->value);
  }
}

static void dump_fields(Buf *out, const Field *field) {
  for (const char *gap = ""; field; field = field->next, gap = " ") {
    buf_text(out, gap);
    dump_name(out, field->name);
    if (field->type) {
      buf_byte(out, ':');
      dump_type(out, field->type);
    }
    if (field->value) {
      buf_byte(out, '=');
      dump_expr(out, field->value);
    }
    if (field->where) dump_part(out, "where", field->where);
    if (field->doc.size) {
      buf_text(out, " doc ");
      dump_quoted(out, field->doc);
    }
  }
}

static void dump_types(Buf *out, const TypeExpr *first, const char *between) {
  for (const TypeExpr *t = first; t; t = t->next) {
    if (t != first) buf_text(out, between);
    dump_type(out, t);
  }
}

static void dump_type(Buf *out, const TypeExpr *t) {
  switch (t->kind) {
    case TEXPR_NAME:
      dump_name(out, t->name);
      break;
    case TEXPR_LIST:
      buf_text(out, "list[");
      dump_type(out, t->first);
      buf_text(out, "]");
      break;
    case TEXPR_MAP:
      buf_text(out, "map[");
      dump_type(out, t->first);
      buf_text(out, "]");
      break;
    case TEXPR_OPTIONAL:
      dump_type(out, t->first);
      buf_text(out, "?");
      break;
    case TEXPR_UNION:
      buf_text(out, "(");
      dump_types(out, t->first, "|");
      buf_text(out, ")");
      break;
    case TEXPR_LITERAL:
      dump_expr(out, t->literal);
      break;
    case TEXPR_OBJECT:
      buf_text(out, "{");
      dump_fields(out, t->fields);
      buf_text(out, "}");
      break;
    case TEXPR_FN:
      buf_text(out, "fn(");
      dump_types(out, t->first, " ");
      buf_text(out, ")");
      if (t->result) {
        buf_text(out, "->");
        dump_type(out, t->result);
      }
      break;
  }
}

static const char *const dump_binary[] = {"+",  "-", "*",  "/",  "//",     "%",   "==", "!=", "<",
                                          "<=", ">", ">=", "in", "not-in", "and", "or", "??"};
static const char *const dump_await[] = {"await", "await-all", "await-any", "await-signal"};

static void dump_expr_inside(Buf *out, const Expr *e) {
  switch (e->kind) {
    case EXPR_MEMBER:
      buf_text(out, e->safe ? "?. " : ". ");
      dump_expr(out, e->left);
      buf_format(out, " " STR_FMT, STR_ARG(e->name->text));
      break;
    case EXPR_INDEX:
      buf_text(out, e->safe ? "?[]" : "[]");
      dump_part(out, "", e->left);
      dump_part(out, "", e->right);
      break;
    case EXPR_SLICE:
      buf_text(out, "slice ");
      dump_expr(out, e->left);
      dump_part(out, "from", e->low);
      dump_part(out, "to", e->high);
      break;
    case EXPR_CALL:
      buf_text(out, "call ");
      dump_expr(out, e->left);
      dump_args(out, e->args);
      break;
    case EXPR_INTERP:
      buf_text(out, "interp");
      dump_exprs(out, e->first);
      break;
    case EXPR_LIST:
      buf_text(out, "list");
      dump_exprs(out, e->first);
      break;
    case EXPR_MAP:
      buf_text(out, "map");
      dump_args(out, e->args);
      break;
    case EXPR_SPREAD:
      buf_text(out, "...");
      dump_part(out, "", e->operand);
      break;
    case EXPR_LAMBDA:
      buf_text(out, "lambda [");
      dump_fields(out, e->fields);
      buf_text(out, "] ");
      dump_expr(out, e->operand);
      break;
    case EXPR_UNARY:
      buf_text(out, e->op == UNARY_NEG ? "neg" : "not");
      dump_part(out, "", e->operand);
      break;
    case EXPR_BINARY:
      buf_text(out, dump_binary[e->op]);
      dump_part(out, "", e->left);
      dump_part(out, "", e->right);
      break;
    case EXPR_COMPREHENSION:
    case EXPR_PARALLEL_FOR:
      buf_text(out, e->kind == EXPR_COMPREHENSION ? "comprehension" : "parallel-for");
      if (e->settle) buf_text(out, " settle");
      dump_part(out, "", e->operand);
      buf_text(out, " [");
      dump_fields(out, e->fields);
      buf_text(out, "]");
      dump_part(out, "in", e->iter);
      dump_part(out, "if", e->cond);
      dump_part(out, "limit", e->high);
      dump_stmts(out, e->body, 2);
      break;
    case EXPR_TRY:
      buf_text(out, "try");
      dump_part(out, "", e->operand);
      break;
    case EXPR_AWAIT:
      buf_text(out, dump_await[e->op]);
      if (e->op == AWAIT_SIGNAL) buf_format(out, " " STR_FMT, STR_ARG(e->name->text));
      dump_part(out, "", e->operand);
      dump_part(out, "within", e->high);
      break;
    case EXPR_START:
      buf_text(out, "start");
      dump_part(out, "", e->operand);
      break;
    case EXPR_DISPATCH:
    case EXPR_ENQUEUE:
      buf_text(out, e->kind == EXPR_DISPATCH ? "dispatch" : "enqueue");
      dump_part(out, "", e->operand);
      dump_args(out, e->args);
      break;
    case EXPR_RACE:
      buf_text(out, "race");
      dump_stmts(out, e->body, 2);
      break;
    default:
      buf_text(out, "bad");
      break;
  }
  dump_part(out, "because", e->because);
}

static void dump_expr(Buf *out, const Expr *e) {
  switch (e->kind) {
    case EXPR_NIL:
      buf_text(out, "nil");
      return;
    case EXPR_BOOL:
      buf_text(out, e->boolean ? "true" : "false");
      return;
    case EXPR_INT:
      buf_format(out, "%" PRId64, e->integer);
      return;
    case EXPR_FLOAT:
      buf_format(out, "%g", e->number);
      return;
    case EXPR_DECIMAL:
      buf_format(out, STR_FMT "d", STR_ARG(e->text));
      return;
    case EXPR_STRING:
      dump_quoted(out, e->text);
      return;
    case EXPR_DURATION:
      buf_format(out, "%" PRId64 "us", e->integer);
      return;
    case EXPR_NAME:
      dump_name(out, e->name);
      return;
    default:
      break;
  }
  buf_byte(out, '(');
  dump_expr_inside(out, e);
  buf_byte(out, ')');
}

static void dump_pattern(Buf *out, const Pattern *p) {
  static const char *const words[] = {"_", "bind", "value", "record", "map", "list", "rest", "or"};
  if (p->field) buf_format(out, STR_FMT ": ", STR_ARG(p->field->text));
  if (p->key.at) {
    dump_quoted(out, p->key);
    buf_text(out, ": ");
  }
  buf_format(out, "<%s", words[p->kind]);
  if (p->name) {
    buf_byte(out, ' ');
    dump_name(out, p->name);
  }
  dump_part(out, "", p->value);
  for (const Pattern *item = p->items; item; item = item->next) {
    buf_byte(out, ' ');
    dump_pattern(out, item);
  }
  buf_byte(out, '>');
}

static void dump_arms(Buf *out, const Arm *arm, int indent) {
  for (; arm; arm = arm->next) {
    buf_format(out, "\n%*s%s ", indent, "", arm->pattern ? "arm" : "catch");
    if (arm->pattern) dump_pattern(out, arm->pattern);
    else dump_name(out, arm->name);
    dump_part(out, "when", arm->guard);
    dump_stmts(out, arm->body, indent + 2);
  }
}

static void dump_block(Buf *out, const char *word, const Stmt *body, int indent) {
  if (!body) return;
  buf_format(out, "\n%*s%s", indent, "", word);
  dump_stmts(out, body, indent + 2);
}

static void dump_stmt(Buf *out, const Stmt *s, int indent) {
  static const char *const words[] = {"expr",   "assign", "if",       "for",    "while",
                                      "loop",   "break",  "continue", "return", "pass",
                                      "assert", "match",  "raise",    "try",    "parallel",
                                      "branch", "sleep",  "signal",   "cancel", "continue_as_new",
                                      "emit",   "reply",  "reject",   "snooze", "given",
                                      "when",   "then",   "stub",     "expect", "bad"};
  static const char *const thens[] = {"", " reject", " reply", " state", " nothing"};
  buf_text(out, words[s->kind]);
  if (s->kind == STMT_ASSIGN && s->op) buf_format(out, " %s=", dump_binary[s->op - 1]);
  if (s->settle) buf_text(out, " settle");
  if (s->kind == STMT_THEN) buf_text(out, thens[s->test]);
  if (s->name) {
    buf_byte(out, ' ');
    dump_name(out, s->name);
  }
  if (s->fields) {
    buf_text(out, " [");
    dump_fields(out, s->fields);
    buf_text(out, "]");
  }
  dump_part(out, "", s->target);
  if (s->type) {
    buf_text(out, " : ");
    dump_type(out, s->type);
  }
  dump_part(out, s->kind == STMT_SIGNAL ? "to" : "", s->cond);
  dump_part(out, "", s->value);
  dump_args(out, s->args);
  dump_part(out, "because", s->because);
  dump_stmts(out, s->body, indent + 2);
  dump_arms(out, s->arms, indent);
  dump_block(out, "else", s->otherwise, indent);
  dump_block(out, "finally", s->final, indent);
}

static void dump_stmts(Buf *out, const Stmt *s, int indent) {
  for (; s; s = s->next) {
    buf_format(out, "\n%*s", indent, "");
    dump_stmt(out, s, indent);
  }
}

static void dump_names(Buf *out, const char *word, const NameList *names) {
  buf_format(out, " %s", word);
  for (; names; names = names->next) {
    buf_byte(out, ' ');
    dump_name(out, names->name);
  }
}

static void dump_settings(Buf *out, const Setting *s) {
  for (; s; s = s->next) {
    buf_text(out, "\n  setting ");
    dump_name(out, s->name);
    dump_part(out, "", s->first);
    dump_part(out, "second", s->second);
    dump_part(out, "third", s->third);
    dump_part(out, "unless", s->cond);
    if (s->names) dump_names(out, "by", s->names);
    if (s->replace) buf_text(out, " replace");
  }
}

static void dump_decl(Buf *out, const Decl *d) {
  static const char *const words[] = {"fn",    "const",  "config",   "import", "type", "command",
                                      "event", "upcast", "workflow", "query",  "tool", "extern",
                                      "agent", "decide", "evolve",   "view",   "invariant", "router",
                                      "identify", "route", "before", "handler", "on", "worker",
                                      "queue", "every",  "start",    "test"};
  if (d->pure) buf_text(out, "pure ");
  buf_format(out, "%s ", words[d->kind]);
  dump_name(out, d->name);
  if (d->standard) buf_text(out, " standard");
  if (d->text.at) {
    buf_byte(out, ' ');
    dump_quoted(out, d->text);
  }
  if (d->from_version) buf_format(out, " from %u", d->from_version);
  if (d->fields) {
    buf_text(out, " [");
    dump_fields(out, d->fields);
    buf_text(out, "]");
  }
  if (d->type) {
    buf_text(out, " -> ");
    dump_type(out, d->type);
  }
  dump_part(out, "=", d->value);
  dump_part(out, "when", d->guard);
  if (d->names) dump_names(out, "of", d->names);
  if (d->zone.at) {
    buf_text(out, " in ");
    dump_quoted(out, d->zone);
  }
  if (d->kind == DECL_EVERY) buf_format(out, " missed %u", d->missed);
  if (d->crashes) buf_text(out, " crashes");
  if (d->params) {
    buf_text(out, " perform [");
    dump_fields(out, d->params);
    buf_text(out, "]");
  }
  if (d->doc.size) {
    buf_text(out, " doc ");
    dump_quoted(out, d->doc);
  }
  dump_settings(out, d->settings);
  dump_stmts(out, d->body, 2);
  dump_block(out, "check", d->check, 2);
  for (const Decl *member = d->members; member; member = member->next) {
    buf_text(out, "\n  member ");
    dump_decl(out, member);
  }
}

static void dump_unit(Buf *out, const Unit *unit) {
  for (const Decl *d = unit->decls; d; d = d->next) {
    dump_decl(out, d);
    buf_byte(out, '\n');
  }
  for (const Stmt *s = unit->script; s; s = s->next) {
    dump_stmt(out, s, 0);
    buf_byte(out, '\n');
  }
}

#endif
