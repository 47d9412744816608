/* Types as written, records, messages and their upcasts. */
#include "compiler/check/checker.h"
#include "vm/base/table.h"

enum { ALIAS_DEPTH_MAX = 300 };

static Type *simple_named(Checker *c, Str word) {
  switch (word.size ? word.at[0] : 0) {
    case 'a':
      return str_equal(word, STR("any")) ? c->t_any : NULL;
    case 'b':
      return str_equal(word, STR("bool"))    ? c->t_bool
             : str_equal(word, STR("bytes")) ? c->t_bytes
                                             : NULL;
    case 'd':
      return str_equal(word, STR("decimal"))    ? c->t_decimal
             : str_equal(word, STR("duration")) ? c->t_duration
                                                : NULL;
    case 'e':
      return str_equal(word, STR("error")) ? c->t_error : NULL;
    case 'f':
      if (str_equal(word, STR("fn"))) return type_function(c->types, NULL, 0, 0, NULL);
      return str_equal(word, STR("float")) ? c->t_float : NULL;
    case 'h':
      return str_equal(word, STR("handle")) ? type_handle(c->types, NULL) : NULL;
    case 'i':
      return str_equal(word, STR("int")) ? c->t_int : NULL;
    case 'l':
      return str_equal(word, STR("list")) ? c->t_list : NULL;
    case 'm':
      return str_equal(word, STR("map")) ? c->t_map : NULL;
    case 'n':
      return str_equal(word, STR("nil")) ? c->t_nil : NULL;
    case 's':
      return str_equal(word, STR("string"))   ? c->t_string
             : str_equal(word, STR("sealed")) ? c->t_sealed
                                              : NULL;
    case 't':
      return str_equal(word, STR("time")) ? c->t_time : NULL;
    default:
      return NULL;
  }
}

static void report_type(Checker *c, const TypeExpr *t) {
  Buf near = {0};
  static const char *const simple[] = {"any",   "bool",  "bytes",  "decimal", "duration",
                                 "error", "float", "handle", "int",     "list",
                                 "map",   "nil",   "string", "sealed",  "time"};
  for (size_t i = 0; i < COUNT_OF(simple); i++)
    buf_put(&near, &(Str){simple[i], strlen(simple[i])}, sizeof(Str));
  for (uint32_t i = 0; i < c->binding_count; i++) {
    const Symbol *s = c->bindings[i]->binding;
    if (s && s->kind == SYMBOL_TYPE) buf_put(&near, &c->bindings[i]->text, sizeof(Str));
  }
  Diag *diag = REPORT(c, UNKNOWN_TYPE, t->span, t->name->text);
  static const struct {
    const char *other, *ours;
  } foreign[] = {{"str", "string"},   {"String", "string"}, {"number", "float"}, {"dict", "map"},
                 {"array", "list"},   {"boolean", "bool"},  {"object", "map"},   {"integer", "int"},
                 {"double", "float"}, {"void", "nil"}};
  for (size_t i = 0; i < COUNT_OF(foreign); i++) {
    if (!name_is(t->name, foreign[i].other)) continue;
    report_label(c, diag, "it is called `%s` here", foreign[i].ours);
    if (diag) diag_fix(diag, str_of(foreign[i].ours));
    buf_deinit(&near);
    return;
  }
  report_nearest(c, diag, t->name->text, (const Str *)(void *)near.at, near.size / sizeof(Str));
  buf_deinit(&near);
}

static Type *named_resolve(Checker *c, TypeExpr *t) {
  Type *simple = simple_named(c, t->name->text);
  if (simple) return simple;
  Symbol *symbol = scope_find(c, t->name);
  if (symbol && symbol->kind == SYMBOL_TYPE) {
    symbol->reads++;
    return alias_type(c, symbol);
  }
  if (symbol) {
    Diag *diag = REPORT(c, NOT_A_TYPE, t->span, t->name->text);
    if (symbol->span.size)
      report_note(c, diag, symbol->span, "`" STR_FMT "` is declared here", STR_ARG(t->name->text));
  } else report_type(c, t);
  return c->t_any;
}

static Type *union_resolve(Checker *c, TypeExpr *t) {
  uint32_t count = 0;
  for (TypeExpr *m = t->first; m; m = m->next) count++;
  Type **members = ARENA_ARRAY(c->arena, Type *, count + 1);
  count = 0;
  for (TypeExpr *m = t->first; m; m = m->next) members[count++] = type_resolve(c, m);
  GROW(c, c->unions, c->union_count, c->union_cap);
  c->unions[c->union_count++] = t;
  return type_union(c->types, members, count);
}

static Type *object_resolve(Checker *c, TypeExpr *t) {
  TypeField *first = NULL, **last = &first;
  for (Field *f = t->fields; f; f = f->next) {
    for (TypeField *before = first; before; before = before->next) {
      if (before->name != f->name) continue;
      REPORT(c, DUPLICATE_FIELD, f->span, f->name->text);
      break;
    }
    TypeField *field = ARENA_NEW(c->arena, TypeField);
    Type *type = f->type ? type_resolve(c, f->type) : c->t_any;
    *field = (TypeField){
        .name = f->name, .type = type, .optional = param_optional(f) || type_may_be_nil(type)};
    *last = field;
    last = &field->next;
  }
  return type_object(c->types, first);
}

static Type *function_resolve(Checker *c, TypeExpr *t) {
  uint32_t count = 0;
  for (TypeExpr *p = t->first; p; p = p->next) count++;
  Type **params = ARENA_ARRAY(c->arena, Type *, count + 1);
  count = 0;
  for (TypeExpr *p = t->first; p; p = p->next) params[count++] = type_resolve(c, p);
  return type_function(c->types, params, count, count,
                       t->result ? type_resolve(c, t->result) : c->t_any);
}

Type *type_resolve(Checker *c, TypeExpr *t) {
  switch (t->kind) {
    case TEXPR_NAME:
      return named_resolve(c, t);
    case TEXPR_LIST:
      return type_list(c->types, t->first ? type_resolve(c, t->first) : NULL);
    case TEXPR_MAP:
      return type_map(c->types, t->first ? type_resolve(c, t->first) : NULL);
    case TEXPR_OPTIONAL:
      return type_optional(c->types, type_resolve(c, t->first));
    case TEXPR_UNION:
      return union_resolve(c, t);
    case TEXPR_LITERAL:
      return t->literal->kind == EXPR_BAD ? c->t_any : type_literal(c->types, t->literal);
    case TEXPR_OBJECT:
      return object_resolve(c, t);
    case TEXPR_FN:
      return function_resolve(c, t);
  }
  return c->t_any;
}

/* The type a TYPE symbol names. An alias is resolved on first need; writes: 1 while it is being
 * resolved. */
Type *alias_type(Checker *c, Symbol *symbol) {
  if (symbol->type) return symbol->type;
  Decl *decl = symbol->decl;
  if (decl->kind != DECL_TYPE || !decl->type) return symbol->type = type_record(c->types, decl);
  if (symbol->writes) {
    REPORT(c, TYPE_CYCLE, decl->name_span, decl->name->text);
    return c->t_any;
  }
  if (c->depth > ALIAS_DEPTH_MAX) {
    REPORT(c, TOO_DEEP, decl->name_span, STR("300"), STR("names of types, each for the next"));
    return c->t_any;
  }
  symbol->writes = 1;
  c->depth++;
  Type *type = type_resolve(c, decl->type);
  c->depth--;
  symbol->writes = 0;
  return symbol->type = symbol->type ? symbol->type : type;
}

/* ---- unions of records have a tag ---- */

static const Expr *tag_literal(const Decl *decl, const Name *name) {
  for (Field *f = decl->fields; f; f = f->next) {
    if (f->name != name) continue;
    return f->symbol && f->symbol->type && f->symbol->type->kind == TYPE_LITERAL
               ? f->symbol->type->literal
               : NULL;
  }
  return NULL;
}

static bool tag_distinct(Type **records, uint32_t count, const Name *name) {
  for (uint32_t i = 0; i < count; i++) {
    const Expr *mine = tag_literal(records[i]->decl, name);
    if (!mine) return false;
    for (uint32_t j = 0; j < i; j++) {
      if (literal_equal(mine, tag_literal(records[j]->decl, name))) return false;
    }
  }
  return true;
}

static bool has_tag(Type **records, uint32_t count) {
  for (Field *f = records[0]->decl->fields; f; f = f->next) {
    if (tag_distinct(records, count, f->name)) return true;
  }
  return false;
}

enum { TAGGED_MAX = 64 };

static void union_check(Checker *c, TypeExpr *t) {
  Type *records[TAGGED_MAX];
  uint32_t count = 0;
  for (TypeExpr *m = t->first; m; m = m->next) {
    Symbol *s = m->kind == TEXPR_NAME ? scope_find(c, m->name) : NULL;
    bool record = s && s->kind == SYMBOL_TYPE && s->type && s->type->kind == TYPE_RECORD;
    if (record && count < TAGGED_MAX) records[count++] = s->type;
  }
  if (count < 2 || has_tag(records, count)) return;
  Diag *diag =
      REPORT(c, UNION_TAG, t->span, records[0]->decl->name->text, records[1]->decl->name->text);
  report_note(c, diag, records[0]->decl->name_span, "`" STR_FMT "` is declared here",
              STR_ARG(records[0]->decl->name->text));
  report_help(c, diag,
              "give each a field with a literal type of its own: kind: \"circle\" = \"circle\"");
}

/* ---- records that need themselves ---- */

/* Symbol.writes: 0 not seen, 1 on the way here, 2 done. */
static bool record_endless(Checker *c, Symbol *symbol, uint32_t depth) {
  if (symbol->writes == 2 || depth > ALIAS_DEPTH_MAX) return false;
  if (symbol->writes == 1) return true;
  symbol->writes = 1;
  bool endless = false;
  for (Field *f = symbol->decl->fields; f && !endless; f = f->next) {
    Type *type = f->symbol ? f->symbol->type : NULL;
    if (type && type->kind == TYPE_RECORD && !f->value)
      endless = record_endless(c, type->decl->symbol, depth + 1);
  }
  symbol->writes = 2;
  return endless;
}

void records_check(Checker *c, Unit *units) {
  for (uint32_t i = 0; i < c->union_count; i++) union_check(c, c->unions[i]);
  for (Unit *unit = units; unit; unit = unit->next) {
    for (Decl *d = unit->decls; d; d = d->next) {
      bool record =
          d->function && d->symbol && d->symbol->kind == SYMBOL_TYPE && d->kind != DECL_UPCAST;
      if (record && record_endless(c, d->symbol, 0)) {
        Diag *diag = REPORT(c, RECORD_ENDLESS, d->name_span, d->name->text);
        report_help(c, diag, "let the field be nil (" STR_FMT "?) or a list[" STR_FMT "]",
                    STR_ARG(d->name->text), STR_ARG(d->name->text));
      }
    }
  }
}

/* ---- messages ---- */

static uint32_t message_version(const Decl *decl) {
  if (!decl->value || decl->value->kind != EXPR_INT || decl->value->integer < 1) return 1;
  return decl->value->integer > UINT16_MAX ? UINT16_MAX : (uint32_t)decl->value->integer;
}

void type_check_decl(Checker *c, Decl *decl) {
  if (decl->value && decl->kind != DECL_TYPE &&
      (decl->value->kind != EXPR_INT || decl->value->integer < 1 ||
       decl->value->integer > UINT16_MAX)) {
    REPORT(c, VERSION_NUMBER, decl->value->span, decl->name->text);
  }
  name_style_check(c, decl->name, decl->name_span, true, "a type");
  if (decl->kind != DECL_TYPE) message_fields_check(c, decl);
  if (decl->function) body_walk(c, decl_body(decl));
}

typedef struct Chain { /* upcasts of one message, by the version they start from */
  Decl *message;
  Decl **from;
  uint32_t version;
} Chain;

static void upcast_place(Checker *c, Chain *chain, Decl *upcast) {
  uint32_t from = upcast->from_version;
  if (from == 0) return;
  if (from >= chain->version) {
    Diag *diag =
        REPORT(c, UPCAST_BEYOND, upcast->name_span, upcast->name->text,
               diag_format(c->diags, "%u", from), diag_format(c->diags, "%u", chain->version));
    report_note(c, diag, chain->message->name_span, "`" STR_FMT "` is declared here",
                STR_ARG(upcast->name->text));
  } else if (chain->from[from]) {
    Diag *diag = REPORT(c, DUPLICATE_UPCAST, upcast->name_span, upcast->name->text,
                        diag_format(c->diags, "%u", from));
    report_note(c, diag, chain->from[from]->name_span, "the first one is here");
  } else chain->from[from] = upcast;
}

static void chain_gaps(Checker *c, const Chain *chain) {
  uint32_t first = 1;
  while (first < chain->version && !chain->from[first]) first++;
  for (uint32_t v = first; v < chain->version; v++) {
    if (chain->from[v]) continue;
    Diag *diag = REPORT(c, UPCAST_GAP, chain->message->name_span, chain->message->name->text,
                        diag_format(c->diags, "%u", v), diag_format(c->diags, "%u", v + 1));
    report_note(c, diag, chain->from[first]->name_span, "this upcast leads only to version %u", v);
    return;
  }
}

static Chain *chain_of(Checker *c, Table *chains, Decl *upcast) {
  Symbol *symbol = upcast->symbol;
  Chain *chain = table_get(chains, symbol->name->text);
  if (chain) return chain;
  chain = ARENA_NEW(c->arena, Chain);
  chain->message = symbol->decl;
  chain->version = message_version(symbol->decl);
  chain->from = ARENA_ARRAY(c->arena, Decl *, chain->version + 1);
  table_set(chains, symbol->name->text, chain);
  return chain;
}

static void stored_name_check(Checker *c, Table *stored, Decl *decl) {
  Str name = decl->text.at ? decl->text : decl->name->text;
  Decl *before = table_get(stored, name);
  if (!before) {
    table_set(stored, name, decl);
    return;
  }
  if (!decl->text.at && !before->text.at) return; /* a double declaration, told elsewhere */
  Diag *diag = REPORT(c, STORED_NAME_TWICE, decl->name_span, decl->name->text, name);
  report_note(c, diag, before->name_span, "`" STR_FMT "` is stored under it already",
              STR_ARG(before->name->text));
}

void upcasts_check(Checker *c, Unit *units) {
  Table *chains = table_new(), *stored = table_new();
  for (Unit *unit = units; unit; unit = unit->next) {
    for (Decl *d = unit->decls; d; d = d->next) {
      if (d->kind == DECL_EVENT && d->name) stored_name_check(c, stored, d);
      if (d->kind == DECL_UPCAST && d->symbol) upcast_place(c, chain_of(c, chains, d), d);
    }
  }
  uint32_t cursor = 0;
  Str key;
  void *chain;
  while (table_next(chains, &cursor, &key, &chain)) chain_gaps(c, chain);
  table_free(chains);
  table_free(stored);
}
