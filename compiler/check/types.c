/* Hash-consed types: equal types are one address, so comparing is free. */
#include "compiler/check/symbol.h"

struct Types {
  Arena *arena;
  Type **buckets;
  uint32_t bucket_count, count;
  Type *simple[TYPE_ERROR + 1];
};

enum { UNION_MAX = 12 }; /* a wider join is `any`; written unions may be wider */

static uint32_t mix(uint32_t h, uint64_t v) {
  uint64_t x = (h ^ v) * UINT64_C(0x9E3779B97F4A7C15);
  return (uint32_t)(x ^ (x >> 32));
}

static uint64_t id_of(const Type *t) { return t ? t->id + 1u : 0; }

static uint32_t text_hash(Str s) {
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < s.size; i++) h = (h ^ (uint8_t)s.at[i]) * 16777619u;
  return h;
}

static uint32_t literal_hash(const Expr *e) {
  if (e->kind == EXPR_STRING) return text_hash(e->text);
  return mix(e->kind, e->kind == EXPR_BOOL ? (uint64_t)e->boolean : (uint64_t)e->integer);
}

static bool literal_same(const Expr *a, const Expr *b) {
  if (a == b) return true;
  if (!a || !b || a->kind != b->kind) return false;
  if (a->kind == EXPR_STRING) return str_equal(a->text, b->text);
  return a->kind == EXPR_BOOL ? a->boolean == b->boolean : a->integer == b->integer;
}

static uint32_t type_hash(const Type *t) {
  uint32_t h = mix(t->kind, id_of(t->elem) * 31 + id_of(t->result));
  for (uint32_t i = 0; i < t->member_count; i++) h = mix(h, t->members[i]->id);
  for (uint32_t i = 0; t->params && i < t->param_count; i++) h = mix(h, t->params[i]->id);
  for (TypeField *f = t->fields; f; f = f->next)
    h = mix(h, id_of(f->type) + text_hash(f->name->text));
  if (t->decl) h = mix(h, t->decl->name_span.at);
  if (t->literal) h = mix(h, literal_hash(t->literal));
  return mix(h, t->param_count * 7u + t->min_params);
}

static bool fields_same(const TypeField *a, const TypeField *b) {
  for (; a && b; a = a->next, b = b->next) {
    if (a->name != b->name || a->type != b->type || a->optional != b->optional) return false;
  }
  return a == b;
}

static bool type_same(const Type *a, const Type *b) {
  if (a->kind != b->kind || a->elem != b->elem || a->result != b->result || a->decl != b->decl)
    return false;
  if (a->member_count != b->member_count || a->param_count != b->param_count) return false;
  if (a->min_params != b->min_params || !a->params != !b->params) return false;
  for (uint32_t i = 0; i < a->member_count; i++) {
    if (a->members[i] != b->members[i]) return false;
  }
  for (uint32_t i = 0; a->params && i < a->param_count; i++) {
    if (a->params[i] != b->params[i]) return false;
  }
  if (a->literal != b->literal && !literal_same(a->literal, b->literal)) return false;
  return fields_same(a->fields, b->fields);
}

static void types_rehash(Types *types) {
  uint32_t count = types->bucket_count * 2;
  Type **buckets = ARENA_ARRAY(types->arena, Type *, count);
  for (uint32_t i = 0; i < types->bucket_count; i++) {
    for (Type *t = types->buckets[i], *next; t; t = next) {
      Type **slot = &buckets[type_hash(t) & (count - 1)];
      next = t->chain;
      t->chain = *slot;
      *slot = t;
    }
  }
  types->buckets = buckets;
  types->bucket_count = count;
}

/* The one type equal to `wanted`, copied into the arena if it is new. */
static Type *intern(Types *types, const Type *wanted) {
  Type **slot = &types->buckets[type_hash(wanted) & (types->bucket_count - 1)];
  for (Type *t = *slot; t; t = t->chain) {
    if (type_same(t, wanted)) return t;
  }
  Type *made = ARENA_NEW(types->arena, Type);
  *made = *wanted;
  if (wanted->params) {
    made->params = ARENA_ARRAY(types->arena, Type *, wanted->param_count + 1);
    if (wanted->param_count)
      memcpy(made->params, wanted->params, wanted->param_count * sizeof *made->params);
  }
  made->id = types->count++;
  made->chain = *slot;
  *slot = made;
  if (types->count > types->bucket_count) types_rehash(types);
  return made;
}

Types *types_new(Arena *arena) {
  Types *types = ARENA_NEW(arena, Types);
  types->arena = arena;
  types->bucket_count = 128;
  types->buckets = ARENA_ARRAY(arena, Type *, types->bucket_count);
  for (int kind = 0; kind <= TYPE_ERROR; kind++) {
    types->simple[kind] = intern(types, &(Type){.kind = (TypeKind)kind});
  }
  return types;
}

Type *type_simple(Types *types, TypeKind kind) { return types->simple[kind]; }

Type *type_list(Types *types, Type *elem) {
  return intern(types, &(Type){.kind = TYPE_LIST, .elem = elem ? elem : types->simple[TYPE_ANY]});
}

Type *type_map(Types *types, Type *elem) {
  return intern(types, &(Type){.kind = TYPE_MAP, .elem = elem ? elem : types->simple[TYPE_ANY]});
}

Type *type_record(Types *types, Decl *decl) {
  return intern(types, &(Type){.kind = TYPE_RECORD, .decl = decl});
}

Type *type_optional(Types *types, Type *type) {
  Type *members[] = {type, types->simple[TYPE_NIL]};
  return type_union(types, members, 2);
}

/* Flattens, sorts and removes doubles. A literal beside its whole kind is dropped; so is an int
 * beside float. */
static uint32_t union_add(Type **out, uint32_t count, Type *type) {
  uint32_t at = count;
  for (uint32_t i = 0; i < count; i++) {
    if (out[i] == type) return count;
  }
  while (at > 0 && out[at - 1]->id > type->id) {
    out[at] = out[at - 1];
    at--;
  }
  out[at] = type;
  return count + 1;
}

static uint32_t union_size(Type **members, uint32_t count) {
  uint32_t size = 0;
  for (uint32_t i = 0; i < count; i++)
    size += members[i]->kind == TYPE_UNION ? members[i]->member_count : 1;
  return size;
}

static bool union_covered(Type **flat, uint32_t count, const Type *type) {
  for (uint32_t i = 0; i < count; i++) {
    if (flat[i] != type && type->kind == TYPE_LITERAL && type_fit(type, flat[i]) == FIT_YES)
      return true;
  }
  return false;
}

Type *type_union(Types *types, Type **members, uint32_t count) {
  uint32_t size = union_size(members, count), flat_count = 0, kept = 0;
  Type **flat = ARENA_ARRAY(types->arena, Type *, size + 1);
  for (uint32_t i = 0; i < count; i++) {
    if (members[i]->kind == TYPE_ANY) return types->simple[TYPE_ANY];
    if (members[i]->kind != TYPE_UNION) flat_count = union_add(flat, flat_count, members[i]);
    for (uint32_t j = 0; j < members[i]->member_count; j++) {
      flat_count = union_add(flat, flat_count, members[i]->members[j]);
    }
  }
  for (uint32_t i = 0; i < flat_count; i++) {
    if (!union_covered(flat, flat_count, flat[i])) flat[kept++] = flat[i];
  }
  if (kept == 1) return flat[0];
  return intern(types, &(Type){.kind = TYPE_UNION, .members = flat, .member_count = kept});
}

Type *type_literal(Types *types, Expr *literal) {
  return intern(types, &(Type){.kind = TYPE_LITERAL, .literal = literal});
}

Type *type_object(Types *types, TypeField *fields) {
  return intern(types, &(Type){.kind = TYPE_OBJECT, .fields = fields});
}

Type *type_function(Types *types, Type **params, uint32_t count, uint32_t min, Type *result) {
  return intern(types, &(Type){.kind = TYPE_FUNCTION,
                               .params = params,
                               .param_count = count,
                               .min_params = min,
                               .result = result});
}

Type *type_handle(Types *types, Type *result) {
  return intern(types, &(Type){.kind = TYPE_HANDLE, .elem = result});
}

/* ---- fit ---- */

static Fit fit_and(Fit a, Fit b) { return a < b ? a : b; }

static TypeKind literal_kind(const Expr *e) {
  if (e->kind == EXPR_STRING) return TYPE_STRING;
  return e->kind == EXPR_BOOL ? TYPE_BOOL : TYPE_INT;
}

static Fit fit_from_union(const Type *from, const Type *to) {
  bool yes = true, no = true;
  for (uint32_t i = 0; i < from->member_count; i++) {
    Fit fit = type_fit(from->members[i], to);
    yes = yes && fit == FIT_YES;
    no = no && fit == FIT_NO;
  }
  return yes ? FIT_YES : no ? FIT_NO : FIT_MAYBE;
}

static Fit fit_to_union(const Type *from, const Type *to) {
  Fit best = FIT_NO;
  for (uint32_t i = 0; i < to->member_count && best != FIT_YES; i++) {
    Fit fit = type_fit(from, to->members[i]);
    if (fit > best) best = fit;
  }
  return best;
}

static Fit fit_from_literal(const Type *from, const Type *to) {
  TypeKind kind = literal_kind(from->literal);
  if (to->kind == TYPE_LITERAL) return literal_same(from->literal, to->literal) ? FIT_YES : FIT_NO;
  return to->kind == kind || (kind == TYPE_INT && to->kind == TYPE_FLOAT) ? FIT_YES : FIT_NO;
}

static Fit fit_to_literal(const Type *from, const Type *to) {
  TypeKind kind = literal_kind(to->literal);
  return from->kind == kind || (kind == TYPE_INT && from->kind == TYPE_FLOAT) ? FIT_MAYBE : FIT_NO;
}

static Fit fit_elem(const Type *from, const Type *to) {
  return type_fit(from->elem, to->elem) == FIT_YES ? FIT_YES : FIT_MAYBE; /* empty ones fit */
}

/* Every value of type `from` has the field `name`? Its type or NULL; *known: whether that settles
 * it. */
static const Type *shape_field(const Type *from, const Name *name, bool *known, bool *optional) {
  *known = from->kind == TYPE_RECORD;
  *optional = false;
  for (const TypeField *f = from->fields; f; f = f->next) {
    if (!str_equal(f->name->text, name->text)) continue; /* names of signatures are not interned */
    return *known = true, *optional = f->optional, f->type;
  }
  for (const Field *f = from->decl ? from->decl->fields : NULL; f; f = f->next) {
    if (!str_equal(f->name->text, name->text)) continue;
    return *known = f->symbol && f->symbol->type, *known ? f->symbol->type : NULL;
  }
  return NULL;
}

static Fit fit_to_object(const Type *from, const Type *to) {
  Fit all = FIT_YES;
  for (const TypeField *f = to->fields; f; f = f->next) {
    bool known, optional;
    const Type *have = shape_field(from, f->name, &known, &optional);
    Fit fit = have ? type_fit(have, f->type) : !known ? FIT_MAYBE : f->optional ? FIT_YES : FIT_NO;
    if (have && optional && !f->optional && fit == FIT_YES) fit = FIT_MAYBE;
    if (have && optional && fit == FIT_NO) fit = FIT_MAYBE;
    all = fit_and(all, fit);
  }
  return all;
}

static Fit fit_map_to_object(const Type *from, const Type *to) {
  for (const TypeField *f = to->fields; f; f = f->next) {
    if (!f->optional && type_fit(from->elem, f->type) == FIT_NO) return FIT_NO;
  }
  return to->fields ? FIT_MAYBE : FIT_YES;
}

static Fit fit_function(const Type *from, const Type *to) {
  if (!from->params || !to->params) return FIT_YES;
  return from->min_params > to->param_count || from->param_count < to->param_count ? FIT_NO
                                                                                   : FIT_YES;
}

static Fit fit_same_kind(const Type *from, const Type *to) {
  switch (to->kind) {
    case TYPE_LIST:
    case TYPE_MAP:
      return fit_elem(from, to);
    case TYPE_RECORD:
      return from->decl == to->decl ? FIT_YES : FIT_NO;
    case TYPE_OBJECT:
      return fit_to_object(from, to);
    case TYPE_FUNCTION:
      return fit_function(from, to);
    default:
      return FIT_YES;
  }
}

Fit type_fit(const Type *from, const Type *to) {
  if (from == to || to->kind == TYPE_ANY) return FIT_YES;
  if (from->kind == TYPE_ANY) return FIT_MAYBE;
  if (from->kind == TYPE_UNION) return fit_from_union(from, to);
  if (to->kind == TYPE_UNION) return fit_to_union(from, to);
  if (from->kind == TYPE_LITERAL) return fit_from_literal(from, to);
  if (to->kind == TYPE_LITERAL) return fit_to_literal(from, to);
  if (from->kind == to->kind) return fit_same_kind(from, to);
  if (from->kind == TYPE_INT && to->kind == TYPE_FLOAT) return FIT_YES;
  if (from->kind == TYPE_FLOAT && to->kind == TYPE_INT) return FIT_MAYBE;
  if (to->kind == TYPE_OBJECT && from->kind == TYPE_RECORD) return fit_to_object(from, to);
  if (to->kind == TYPE_OBJECT && from->kind == TYPE_MAP) return fit_map_to_object(from, to);
  if (from->kind == TYPE_OBJECT && (to->kind == TYPE_MAP || to->kind == TYPE_RECORD))
    return FIT_MAYBE;
  return FIT_NO;
}

/* ---- join ---- */

static Type *join_elems(Types *types, Type *a, Type *b) {
  Type *elem = type_join(types, a->elem, b->elem);
  return a->kind == TYPE_LIST ? type_list(types, elem) : type_map(types, elem);
}

static Type *literal_widened(Types *types, Type *t) {
  return t->kind == TYPE_LITERAL ? types->simple[literal_kind(t->literal)] : t;
}

/* The member of union `u` that is a container of b's kind takes b in. */
static Type *join_union(Types *types, Type *u, Type *b) {
  Type **members = ARENA_ARRAY(types->arena, Type *, u->member_count + 1);
  bool taken = false;
  for (uint32_t i = 0; i < u->member_count; i++) {
    Type *m = u->members[i];
    bool container = m->kind == b->kind && (b->kind == TYPE_LIST || b->kind == TYPE_MAP);
    members[i] = container ? join_elems(types, m, b) : m;
    taken = taken || container;
  }
  if (!taken) members[u->member_count] = b;
  return type_union(types, members, u->member_count + !taken);
}

Type *type_join(Types *types, Type *a, Type *b) {
  if (a == b || !b) return a;
  if (!a) return b;
  if (type_fit(a, b) == FIT_YES) return b;
  if (type_fit(b, a) == FIT_YES) return a;
  if (a->kind == b->kind && (a->kind == TYPE_LIST || a->kind == TYPE_MAP))
    return join_elems(types, a, b);
  a = literal_widened(types, a);
  b = literal_widened(types, b);
  if (b->kind == TYPE_UNION) {
    Type *all = a;
    for (uint32_t i = 0; i < b->member_count; i++) {
      all = all->kind == TYPE_ANY ? all : type_join(types, all, b->members[i]);
    }
    return all;
  }
  Type *joined =
      a->kind == TYPE_UNION ? join_union(types, a, b) : type_union(types, (Type *[]){a, b}, 2);
  return joined->member_count > UNION_MAX ? types->simple[TYPE_ANY] : joined;
}

/* ---- print ---- */

static void print_literal(const Expr *e, Buf *out) {
  if (e->kind == EXPR_BOOL) buf_text(out, e->boolean ? "true" : "false");
  else if (e->kind == EXPR_INT) buf_format(out, "%" PRId64, e->integer);
  else buf_format(out, "\"" STR_FMT "\"", STR_ARG(e->text));
}

static void print_union(const Type *t, Buf *out) {
  bool nil = false;
  uint32_t shown = 0;
  for (uint32_t i = 0; i < t->member_count; i++) {
    if (t->members[i]->kind == TYPE_NIL) {
      nil = true;
      continue;
    }
    if (shown++) buf_text(out, " | ");
    type_print(t->members[i], out);
  }
  if (nil) buf_text(out, shown == 1 ? "?" : " | nil");
}

static void print_object(const Type *t, Buf *out) {
  buf_text(out, "{");
  for (const TypeField *f = t->fields; f; f = f->next) {
    buf_format(out, f == t->fields ? "" STR_FMT ": " : ", " STR_FMT ": ", STR_ARG(f->name->text));
    type_print(f->type, out);
  }
  buf_text(out, "}");
}

static void print_function(const Type *t, Buf *out) {
  if (!t->params) {
    buf_text(out, "fn");
    return;
  }
  buf_text(out, "fn(");
  for (uint32_t i = 0; i < t->param_count; i++) {
    if (i) buf_text(out, ", ");
    type_print(t->params[i], out);
  }
  buf_text(out, ")");
  if (t->result && t->result->kind != TYPE_ANY) {
    buf_text(out, " -> ");
    type_print(t->result, out);
  }
}

void type_print(const Type *type, Buf *out) {
  switch (type->kind) {
    case TYPE_LIST:
    case TYPE_MAP:
      buf_text(out, type_kind_word(type->kind));
      if (!type->elem || type->elem->kind == TYPE_ANY) return;
      buf_text(out, "[");
      type_print(type->elem, out);
      buf_text(out, "]");
      return;
    case TYPE_RECORD:
      if (type->decl) buf_str(out, type->decl->name->text);
      else buf_text(out, "record");
      return;
    case TYPE_OBJECT:
      print_object(type, out);
      return;
    case TYPE_UNION:
      print_union(type, out);
      return;
    case TYPE_LITERAL:
      print_literal(type->literal, out);
      return;
    case TYPE_FUNCTION:
      print_function(type, out);
      return;
    default:
      buf_text(out, type_kind_word(type->kind));
      return;
  }
}
