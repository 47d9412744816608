/* Signatures of natives and effects: "(text: string, int?) -> list[string]".
** A type that is not known (a type variable such as T) is `any`; `...` after a
** parameter lets it repeat. The texts are ours, so what does not parse is `any`. */
#include "compiler/check/checker.h"

enum { SIGNATURE_MAX = 16 };

typedef struct Reader {
  Checker *c;
  const char *at, *end;
} Reader;

static Type *read_type(Reader *r);

static void skip_blank(Reader *r) {
  while (r->at < r->end && *r->at == ' ') r->at++;
}

static bool take(Reader *r, const char *word) {
  size_t size = strlen(word);
  skip_blank(r);
  if ((size_t)(r->end - r->at) < size || memcmp(r->at, word, size) != 0) return false;
  r->at += size;
  return true;
}

static bool word_char(char ch) {
  return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
         ch == '_';
}

static Str read_word(Reader *r) {
  skip_blank(r);
  const char *from = r->at;
  while (r->at < r->end && word_char(*r->at)) r->at++;
  return (Str){from, (size_t)(r->at - from)};
}

static Type *number_type(Checker *c) {
  return type_union(c->types, (Type *[]){c->t_int, c->t_float, c->t_decimal}, 3);
}

static Type *simple_type(Reader *r, Str word) {
  if (str_equal(word, STR("number"))) return number_type(r->c);
  for (int kind = 0; kind <= TYPE_ERROR; kind++) {
    if (!str_equal(word, str_of(type_kind_word((TypeKind)kind)))) continue;
    if (kind == TYPE_LIST) return r->c->t_list;
    if (kind == TYPE_MAP) return r->c->t_map;
    if (kind == TYPE_HANDLE) return type_handle(r->c->types, NULL);
    if (kind == TYPE_FUNCTION) return type_function(r->c->types, NULL, 0, 0, NULL);
    if (kind == TYPE_OBJECT || kind == TYPE_RECORD || kind == TYPE_UNION || kind == TYPE_LITERAL)
      break;
    return type_simple(r->c->types, (TypeKind)kind);
  }
  return r->c->t_any;
}

static Type *read_function(Reader *r) {
  Type *params[SIGNATURE_MAX];
  uint32_t count = 0;
  if (!take(r, "(")) return type_function(r->c->types, NULL, 0, 0, NULL);
  while (!take(r, ")") && r->at < r->end && count < SIGNATURE_MAX) {
    params[count++] = read_type(r);
    take(r, ",");
  }
  Type *result = take(r, "->") ? read_type(r) : r->c->t_any;
  Type **kept = ARENA_ARRAY(r->c->arena, Type *, count + 1);
  if (count) memcpy(kept, params, count * sizeof *kept);
  return type_function(r->c->types, kept, count, count, result);
}

/* Field names need no intern table: they are matched through the type's own Names. */
static Type *read_object(Reader *r) {
  TypeField *first = NULL, **last = &first;
  while (!take(r, "}") && r->at < r->end) {
    TypeField *field = ARENA_NEW(r->c->arena, TypeField);
    Name *name = ARENA_NEW(r->c->arena, Name);
    name->text = read_word(r);
    take(r, ":");
    *field = (TypeField){.name = name, .type = read_type(r)};
    *last = field;
    last = &field->next;
    take(r, ",");
  }
  return type_object(r->c->types, first);
}

static Type *read_primary(Reader *r) {
  if (take(r, "{")) return read_object(r);
  Str word = read_word(r);
  if (word.size == 0) {
    r->at += r->at < r->end;
    return r->c->t_any;
  }
  if (str_equal(word, STR("fn"))) return read_function(r);
  Type *type = simple_type(r, word);
  if (!take(r, "[")) return type;
  Type *elem = read_type(r);
  if (take(r, ",")) elem = read_type(r);
  take(r, "]");
  if (type->kind == TYPE_LIST) return type_list(r->c->types, elem);
  return type->kind == TYPE_MAP ? type_map(r->c->types, elem) : type;
}

static Type *read_type(Reader *r) {
  Type *type = read_primary(r);
  while (r->at < r->end) {
    if (take(r, "?")) type = type_optional(r->c->types, type);
    else if (take(r, "|")) type = type_union(r->c->types, (Type *[]){type, read_primary(r)}, 2);
    else break;
  }
  return type;
}

/* A name before a colon, if there is one. */
static Str read_param_name(Reader *r) {
  const char *from = r->at;
  Str word = read_word(r);
  if (word.size && take(r, ":")) return word;
  r->at = from;
  return (Str){0};
}

static bool skip_default(Reader *r) {
  if (!take(r, "=")) return false;
  while (r->at < r->end && *r->at != ',' && *r->at != ')') r->at++;
  return true;
}

static void read_params(Reader *r, Signature *s) {
  while (!take(r, ")") && r->at < r->end && s->count < SIGNATURE_MAX) {
    if (take(r, "...")) {
      s->params[s->count] = r->c->t_any;
      s->names[s->count++] = (Str){0};
      s->max = LIMIT_ARGUMENTS;
      continue;
    }
    skip_blank(r);
    s->names[s->count] = read_param_name(r);
    Type *type = read_type(r);
    bool optional = skip_default(r);
    s->params[s->count++] = type;
    if (take(r, "...")) s->max = LIMIT_ARGUMENTS;
    else if (!optional && !type_may_be_nil(type)) s->min = s->count;
    take(r, ",");
  }
}

Signature *signature_parse(Checker *c, Str text) {
  Reader r = {c, text.at, text.at + text.size};
  Signature *s = ARENA_NEW(c->arena, Signature);
  s->params = ARENA_ARRAY(c->arena, Type *, SIGNATURE_MAX + 1);
  s->names = ARENA_ARRAY(c->arena, Str, SIGNATURE_MAX + 1);
  s->result = c->t_any;
  if (!take(&r, "(")) return s;
  read_params(&r, s);
  if (s->max < s->count) s->max = s->count;
  if (take(&r, "->")) s->result = read_type(&r);
  else s->result = c->t_nil;
  return s;
}
