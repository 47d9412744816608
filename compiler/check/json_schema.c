/* JSON Schemas of records: what a model is told of a tool's arguments and of the answer that is wanted. Types that
** JSON has not are texts or numbers, as the admission of values reads them back (vm/run). What a `where` asks stands
** in the description, in the program's own words. */
#include "compiler/check/made.h"
#include "vm/base/json.h"

enum { SCHEMA_DEPTH_MAX = 24 };

typedef struct Schema {
  Checker *c;
  Buf *out;
  const Decl *open[SCHEMA_DEPTH_MAX]; /* records around: one inside itself is any object */
  uint32_t depth;
  Span span; /* of what is described, for what cannot be */
} Schema;

static void type_put(Schema *s, const Type *type, Str description);

static void member(Schema *s, const char *name, Str text) {
  buf_format(s->out, "\"%s\":", name);
  json_put_string(s->out, text);
}

static void described(Schema *s, const char *type, Str description) {
  buf_format(s->out, "{\"type\":\"%s\"", type);
  if (description.size > 0) buf_byte(s->out, ','), member(s, "description", description);
}

static void simple(Schema *s, const char *type, const char *format, Str description) {
  described(s, type, description);
  if (format) buf_format(s->out, ",\"format\":\"%s\"", format);
  buf_byte(s->out, '}');
}

/* ---- fields ---- */

static Str field_words(Schema *s, const Field *f) {
  Str where = f->where ? source_text(s->c, f->where->span) : (Str){0};
  if (!where.size) return f->doc;
  return f->doc.size
             ? diag_format(s->c->diags, STR_FMT " (" STR_FMT ")", STR_ARG(f->doc), STR_ARG(where))
             : where;
}

static void object_put(Schema *s, const Field *fields, Str description) {
  bool any = false;
  described(s, "object", description);
  buf_text(s->out, ",\"properties\":{");
  for (const Field *f = fields; f; f = f->next) {
    if (f != fields) buf_byte(s->out, ',');
    json_put_string(s->out, f->name->text);
    buf_byte(s->out, ':');
    type_put(s, f->symbol && f->symbol->type ? f->symbol->type : s->c->t_any, field_words(s, f));
  }
  buf_text(s->out, "},\"required\":[");
  for (const Field *f = fields; f; f = f->next) {
    if (param_optional(f)) continue;
    if (any) buf_byte(s->out, ',');
    json_put_string(s->out, f->name->text);
    any = true;
  }
  buf_text(s->out, "],\"additionalProperties\":false}");
}

static void shape_put(Schema *s, const TypeField *fields, Str description) {
  bool any = false;
  described(s, "object", description);
  buf_text(s->out, ",\"properties\":{");
  for (const TypeField *f = fields; f; f = f->next) {
    if (f != fields) buf_byte(s->out, ',');
    json_put_string(s->out, f->name->text);
    buf_byte(s->out, ':');
    type_put(s, f->type, (Str){0});
  }
  buf_text(s->out, "},\"required\":[");
  for (const TypeField *f = fields; f; f = f->next) {
    if (f->optional) continue;
    if (any) buf_byte(s->out, ',');
    json_put_string(s->out, f->name->text);
    any = true;
  }
  buf_text(s->out, "]}");
}

static void record_put(Schema *s, const Decl *decl, Str description) {
  bool inside = s->depth == SCHEMA_DEPTH_MAX;
  for (uint32_t i = 0; i < s->depth; i++) inside = inside || s->open[i] == decl;
  if (inside) {
    simple(s, "object", NULL, description);
    return;
  }
  s->open[s->depth++] = decl;
  object_put(s, decl->fields, description.size ? description : decl->doc);
  s->depth--;
}

/* ---- unions ---- */

static void literal_put(Schema *s, const Expr *literal) {
  if (literal->kind == EXPR_STRING) json_put_string(s->out, literal->text);
  else if (literal->kind == EXPR_BOOL) buf_text(s->out, literal->boolean ? "true" : "false");
  else buf_format(s->out, "%" PRId64, literal->integer);
}

static const char *literal_type(const Expr *literal) {
  return literal->kind == EXPR_STRING ? "string"
         : literal->kind == EXPR_BOOL ? "boolean"
                                      : "integer";
}

/* All are literals of one kind: an enumeration. */
static bool enum_put(Schema *s, const Type *type, Str description) {
  const Type *first = type->members[0];
  for (uint32_t i = 0; i < type->member_count; i++) {
    if (type->members[i]->kind != TYPE_LITERAL ||
        type->members[i]->literal->kind != first->literal->kind)
      return false;
  }
  described(s, literal_type(first->literal), description);
  buf_text(s->out, ",\"enum\":[");
  for (uint32_t i = 0; i < type->member_count; i++) {
    if (i) buf_byte(s->out, ',');
    literal_put(s, type->members[i]->literal);
  }
  buf_text(s->out, "]}");
  return true;
}

static void union_put(Schema *s, const Type *type, Str description) {
  const Type *plain = type_without_nil(s->c, (Type *)(uintptr_t)type);
  bool nil = plain != type;
  if (!nil && enum_put(s, type, description)) return;
  buf_byte(s->out, '{');
  if (description.size > 0) member(s, "description", description), buf_byte(s->out, ',');
  buf_text(s->out, "\"anyOf\":[");
  if (plain->kind != TYPE_UNION || (nil && plain->members[0]->kind == TYPE_LITERAL)) {
    type_put(s, plain, (Str){0});
  } else {
    for (uint32_t i = 0; i < plain->member_count; i++) {
      if (i) buf_byte(s->out, ',');
      type_put(s, plain->members[i], (Str){0});
    }
  }
  buf_text(s->out, nil ? ",{\"type\":\"null\"}]}" : "]}");
}

/* ---- by kind ---- */

static void list_put(Schema *s, const Type *type, Str description) {
  described(s, "array", description);
  buf_text(s->out, ",\"items\":");
  type_put(s, type->elem ? type->elem : s->c->t_any, (Str){0});
  buf_byte(s->out, '}');
}

static void map_put(Schema *s, const Type *type, Str description) {
  described(s, "object", description);
  buf_text(s->out, ",\"additionalProperties\":");
  if (type->elem && type->elem->kind != TYPE_ANY) type_put(s, type->elem, (Str){0});
  else buf_text(s->out, "true");
  buf_byte(s->out, '}');
}

static void const_put(Schema *s, const Type *type, Str description) {
  described(s, literal_type(type->literal), description);
  buf_text(s->out, ",\"enum\":[");
  literal_put(s, type->literal);
  buf_text(s->out, "]}");
}

static void impossible(Schema *s, const Type *type) {
  REPORT(s->c, SCHEMA_TYPE, s->span, type_phrase(s->c, type));
  buf_text(s->out, "{}");
}

static void any_put(Schema *s, Str description) {
  buf_byte(s->out, '{');
  if (description.size > 0) member(s, "description", description);
  buf_byte(s->out, '}');
}

static void type_put(Schema *s, const Type *type, Str description) {
  switch (type->kind) {
    case TYPE_ANY:
      any_put(s, description);
      return;
    case TYPE_NIL:
      simple(s, "null", NULL, description);
      return;
    case TYPE_BOOL:
      simple(s, "boolean", NULL, description);
      return;
    case TYPE_INT:
      simple(s, "integer", NULL, description);
      return;
    case TYPE_FLOAT:
    case TYPE_DECIMAL:
      simple(s, "number", NULL, description);
      return;
    case TYPE_STRING:
      simple(s, "string", NULL, description);
      return;
    case TYPE_BYTES:
      simple(s, "string", NULL, description.size ? description : STR("base64"));
      return;
    case TYPE_TIME:
      simple(s, "string", "date-time", description);
      return;
    case TYPE_DURATION:
      simple(s, "string", NULL,
             description.size ? description : STR("a length of time, like 30s, 5m, 8h or 2d"));
      return;
    case TYPE_LIST:
      list_put(s, type, description);
      return;
    case TYPE_MAP:
      map_put(s, type, description);
      return;
    case TYPE_RECORD:
      record_put(s, type->decl, description);
      return;
    case TYPE_OBJECT:
      shape_put(s, type->fields, description);
      return;
    case TYPE_UNION:
      union_put(s, type, description);
      return;
    case TYPE_LITERAL:
      const_put(s, type, description);
      return;
    case TYPE_FUNCTION:
    case TYPE_HANDLE:
    case TYPE_SEALED:
    case TYPE_ERROR:
      impossible(s, type);
      return;
  }
}

Str schema_of(Checker *c, const Decl *record) {
  Buf out = {0};
  Schema s = {.c = c, .out = &out, .span = record->name_span};
  record_put(&s, record, (Str){0});
  Str text = arena_str(c->arena, buf_view(&out));
  buf_deinit(&out);
  return text;
}
