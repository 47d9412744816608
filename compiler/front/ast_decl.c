/* Builders of types and declarations. */
#include "compiler/front/ast_build.h"
#include "vm/base/buf.h"

/* ---- types as written ---- */

static TypeExpr *type_new(Build *b, TypeExprKind kind, Span span) {
  TypeExpr *t = ARENA_NEW(b->arena, TypeExpr);
  t->kind = kind;
  t->span = span;
  return t;
}

TypeExpr *ast_type_name(Build *b, Tok name) {
  TypeExpr *t = type_new(b, TEXPR_NAME, name.span);
  t->name = name.name;
  return t;
}

TypeExpr *ast_type_of(Build *b, Tok name, TypeExpr *element, Tok close) {
  bool list = str_equal(name.name->text, STR("list")), map = str_equal(name.name->text, STR("map"));
  if (!list && !map) DIAG_ADD(b->diags, DIAG_TYPE_ELEMENT, name.span, name.name->text);
  TypeExpr *t = type_new(b, map ? TEXPR_MAP : TEXPR_LIST, span_join(name.span, close.span));
  t->first = element;
  return t;
}

/* `T??` is `T?`. */
TypeExpr *ast_type_optional(Build *b, TypeExpr *type, Tok mark) {
  if (type->kind == TEXPR_OPTIONAL) return type;
  TypeExpr *t = type_new(b, TEXPR_OPTIONAL, span_join(type->span, mark.span));
  t->first = type;
  return t;
}

TypeExpr *ast_type_literal(Build *b, Expr *literal) {
  TypeExpr *t = type_new(b, TEXPR_LITERAL, literal->span);
  t->literal = literal;
  return t;
}

TypeExpr *ast_type_object(Build *b, Tok open, FieldList fields, Tok close) {
  TypeExpr *t = type_new(b, TEXPR_OBJECT, span_join(open.span, close.span));
  t->fields = fields.first;
  return t;
}

TypeExpr *ast_type_fn(Build *b, Tok fn, TypeList params, TypeExpr *result, Tok close) {
  TypeExpr *t = type_new(b, TEXPR_FN, span_join(fn.span, result ? result->span : close.span));
  t->first = params.first;
  t->result = result;
  return t;
}

TypeExpr *ast_type_union(Build *b, TypeList members) {
  TypeExpr *t = type_new(b, TEXPR_UNION, span_join(members.first->span, members.last->span));
  t->first = members.first;
  return t;
}

TypeList ast_types(TypeList list, TypeExpr *type) {
  if (list.last) list.last->next = type;
  else list.first = type;
  list.last = type;
  return list;
}

/* ---- fields ---- */

Field *ast_field(Build *b, Tok name, TypeExpr *type, Expr *value, Expr *where) {
  Field *field = ARENA_NEW(b->arena, Field);
  field->name = name.name;
  field->span = name.span;
  field->type = type;
  field->value = value;
  field->where = where;
  return field;
}

FieldList ast_fields(FieldList list, Field *field) {
  if (list.last) list.last->next = field;
  else list.first = field;
  list.last = field;
  return list;
}

/* The comment without its marks, line by line. */
static Str doc_take(Build *b) {
  Str raw = b->doc;
  b->doc = (Str){0};
  if (raw.size == 0) return raw;
  char *text = arena_alloc(b->arena, raw.size);
  size_t size = 0;
  for (const char *at = raw.at, *end = raw.at + raw.size; at < end;) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    const char *next = stop ? stop + 1 : end;
    if (!stop) stop = end;
    while (at < stop && *at == ' ') at++;
    if (stop - at >= 2) at += 2;
    if (at < stop && *at == ' ') at++;
    while (stop > at && (stop[-1] == ' ' || stop[-1] == '\r')) stop--;
    if (size > 0) text[size++] = '\n';
    memcpy(text + size, at, (size_t)(stop - at));
    size += (size_t)(stop - at);
    at = next;
  }
  return (Str){text, size};
}

FieldList ast_field_line(Build *b, FieldList above, FieldList line) {
  line.first->doc = doc_take(b);
  if (!above.last) return line;
  above.last->next = line.first;
  above.last = line.last;
  return above;
}

/* ---- declarations ---- */

Decl *ast_declare(Build *b, DeclKind kind, Tok t, Tok name) {
  Decl *decl = ARENA_NEW(b->arena, Decl);
  decl->kind = kind;
  decl->span = span_join(t.span, name.span.size > 0 ? name.span : t.span);
  decl->name_span = name.span;
  decl->name = name.name;
  decl->doc = doc_take(b);
  decl->unit = b->unit;
  if (setting_owner(kind)) b->body = kind;
  if (kind >= DECL_AGENT && kind <= DECL_TEST) b->unit->application = true;
  if (kind >= DECL_MODEL) b->unit->models = true;
  return decl;
}

void ast_unit_decl(Build *b, Decl *decl) {
  if (!decl || (decl->kind == DECL_TOOL && !decl->name)) return; /* its header did not parse */
  if (b->last_decl) b->last_decl->next = decl;
  else b->unit->decls = decl;
  b->last_decl = decl;
}

Decl *ast_signature(Build *b, Decl *decl, FieldList params, TypeExpr *result) {
  (void)b;
  decl->fields = params.first;
  decl->type = result;
  if (result) decl->span = span_join(decl->span, result->span);
  return decl;
}

Decl *ast_fn(Build *b, Tok t, Tok name, FieldList params, TypeExpr *result) {
  return ast_signature(b, ast_declare(b, DECL_FN, t, name), params, result);
}

Decl *ast_pure(Build *b, Tok t, Decl *decl) {
  (void)b;
  decl->pure = true;
  decl->span = span_join(t.span, decl->span);
  return decl;
}

Decl *ast_body(Decl *decl, Stmt *body) {
  decl->body = body;
  return decl;
}

Decl *ast_constant(Build *b, DeclKind kind, Tok t, Tok name, TypeExpr *type, Expr *value) {
  Decl *decl = ast_declare(b, kind, t, name);
  decl->type = type;
  decl->value = value;
  return decl;
}

static Decl *import_new(Build *b, Tok t, Span path, Tok alias) {
  Decl *decl = ast_declare(b, DECL_IMPORT, t, alias);
  decl->span = span_join(t.span, path);
  if (alias.span.size > 0) return decl;
  decl->name = NULL;
  decl->name_span = path;
  return decl;
}

Decl *ast_import(Build *b, Tok t, Tok path, Tok alias) {
  Decl *decl = import_new(b, t, path.span, alias);
  decl->text = literal_text(b, path);
  return decl;
}

/* `std.text`: the path is the source text itself, without spaces. */
Decl *ast_import_module(Build *b, Tok t, Expr *path, Tok alias) {
  Decl *decl = import_new(b, t, path->span, alias);
  decl->text = (Str){b->text + (path->span.at - b->base), path->span.size};
  decl->standard = path->kind == EXPR_MEMBER && path->left->kind == EXPR_NAME &&
                   str_equal(path->left->name->text, STR("std"));
  if (decl->standard) return decl;
  DIAG_ADD(b->diags, DIAG_IMPORT_FORM, path->span, decl->text);
  decl->text = (Str){0}; /* nothing to read */
  return decl;
}

Decl *ast_type_alias(Build *b, Decl *decl, TypeExpr *type) {
  (void)b;
  decl->type = type;
  return decl;
}

Decl *ast_with_fields(Build *b, Decl *decl, FieldList fields) {
  (void)b;
  decl->fields = fields.first;
  return decl;
}

Decl *ast_message(Build *b, Decl *decl, const Tok *version, Tok stored) {
  if (version) decl->value = ast_int(b, *version);
  if (stored.span.size > 0) decl->text = literal_text(b, stored);
  return decl;
}

Decl *ast_upcast(Build *b, Tok t, Tok name, Tok from, FieldList params, Stmt *body) {
  Decl *decl = ast_declare(b, DECL_UPCAST, t, name);
  if (from.integer < 1 || from.integer > UINT16_MAX) {
    DIAG_ADD0(b->diags, DIAG_UPCAST_VERSION, from.span);
  } else {
    decl->from_version = (uint32_t)from.integer;
  }
  decl->fields = params.first;
  decl->body = body;
  return decl;
}

/* ---- workflow, extern, tool: what comes is put in front, and turned round at the end ---- */

Decl *decls_turned(Decl *list) {
  Decl *turned = NULL;
  while (list) {
    Decl *next = list->next;
    list->next = turned;
    turned = list;
    list = next;
  }
  return turned;
}

WorkflowBody ast_workflow(Decl *decl) { return (WorkflowBody){decl, NULL}; }

WorkflowBody ast_workflow_stmt(WorkflowBody body, Stmt *stmt) {
  if (body.last) body.last->next = stmt;
  else body.decl->body = stmt;
  body.last = stmt;
  return body;
}

WorkflowBody ast_workflow_query(WorkflowBody body, Decl *query) {
  query->next = body.decl->members;
  body.decl->members = query;
  return body;
}

Decl *ast_workflow_end(WorkflowBody body) {
  body.decl->members = decls_turned(body.decl->members);
  return body.decl;
}

Decl *ast_extern(Build *b, Tok t, Tok library) {
  Decl *decl = ast_declare(b, DECL_EXTERN, t, (Tok){.span = library.span});
  decl->name = NULL;
  decl->text = literal_text(b, library);
  return decl;
}

Decl *ast_extern_fn(Decl *decl, Decl *fn) {
  fn->next = decl->members;
  decl->members = fn;
  return decl;
}

Decl *ast_extern_end(Decl *decl) {
  decl->members = decls_turned(decl->members);
  return decl;
}

/* ---- tool ---- */

void complain_twice(Build *b, Span span, Span before, Str what) {
  Diag *diag = DIAG_ADD(b->diags, DIAG_TOOL_TWICE, span, what);
  diag_note(b->diags, diag, before, STR("the first one is here"));
}

Decl *ast_tool_setting(Build *b, Decl *tool, Setting *setting) {
  return ast_decl_setting(b, tool, setting);
}

Decl *ast_tool_perform(Build *b, Decl *tool, Tok t, Stmt *body) {
  if (tool->body) complain_twice(b, t.span, tool->body->span, STR("perform"));
  else tool->body = body;
  return tool;
}

/* ---- perform post "https://…": the call and its answer, as if they had been written out ---- */

static Tok word(Build *b, Span span, const char *text) {
  return (Tok){.span = span, .name = name_intern(b->names, str_of(text))};
}

static Expr *text_new(Build *b, Span span, const char *text) {
  Expr *e = ast_nil(b, (Tok){.span = span});
  e->kind = EXPR_STRING;
  e->text = str_of(text);
  return e;
}

/* {account, amount}: the tool's parameters */
static Expr *parameters_map(Build *b, const Decl *tool, Span span) {
  ArgList entries = {0};
  for (const Field *field = tool->fields; field; field = field->next) {
    Tok name = {.span = span, .name = field->name};
    entries = ast_args(b, entries, ast_arg(b, &name, ast_name(b, name)));
  }
  return ast_map(b, (Tok){.span = span}, entries, (Tok){.span = span});
}

/* http.METHOD(url, json: {parameters}, headers: {"Idempotency-Key": key}) */
static Expr *remote_call(Build *b, const Decl *tool, Tok method, Expr *url) {
  Span span = url->span;
  Tok json = word(b, span, "json"), headers = word(b, span, "headers"), end = {.span = span};
  Expr *key = ast_name(b, word(b, span, "key"));
  ArgList header =
      ast_args(b, (ArgList){0}, ast_entry(b, text_new(b, span, "Idempotency-Key"), key));
  ArgList args = ast_args(b, (ArgList){0}, ast_arg(b, NULL, url));
  args = ast_args(b, args, ast_arg(b, &json, parameters_map(b, tool, span)));
  args = ast_args(b, args, ast_arg(b, &headers, ast_map(b, end, header, end)));
  Expr *callee = ast_member(b, ast_name(b, word(b, method.span, "http")), method, false);
  return ast_call(b, callee, args, end);
}

/* if reply.status >= 400: raise "remote_status", data: {status: reply.status, body: reply.body} */
static Stmt *remote_refusal(Build *b, Tok reply, Tok at) {
  Tok status = word(b, at.span, "status"), body = word(b, at.span, "body"),
      data = word(b, at.span, "data");
  Expr *got = ast_member(b, ast_name(b, reply), status, false);
  Expr *bound = ast_int(b, (Tok){.span = at.span, .integer = 400});
  ArgList entries = ast_args(b, (ArgList){0},
                             ast_arg(b, &status, ast_member(b, ast_name(b, reply), status, false)));
  entries = ast_args(b, entries, ast_arg(b, &body, ast_member(b, ast_name(b, reply), body, false)));
  ArgList args = ast_args(b, (ArgList){0}, ast_arg(b, &data, ast_map(b, at, entries, at)));
  Stmt *raise = ast_raise(b, at, text_new(b, at.span, "remote_status"), args);
  return ast_if(b, at, ast_binary(b, BIN_GE, got, bound), raise);
}

Decl *ast_tool_remote(Build *b, Decl *tool, Tok t, Tok method, Expr *url) {
  Tok at = {.span = url->span}, reply = word(b, url->span, "(reply)"); /* no program's own name */
  Stmt *assign = ast_assign(b, ast_name(b, reply), NULL);
  assign = ast_assign_value(b, assign, remote_call(b, tool, method, url));
  Stmt *answer =
      ast_return(b, at, ast_member(b, ast_name(b, reply), word(b, url->span, "json"), false));
  StmtList body = ast_stmts_add(ast_stmts(assign), remote_refusal(b, reply, at));
  return ast_tool_perform(b, tool, t, ast_stmts_add(body, answer).first);
}

Decl *ast_tool_check(Build *b, Decl *tool, Tok t, Stmt *body) {
  if (tool->check) {
    complain_twice(b, t.span, tool->check_span, STR("check"));
    return tool;
  }
  tool->check = body;
  tool->check_span = t.span;
  return tool;
}

Decl *ast_tool_end(Decl *tool) { return ast_decl_end(tool); }
