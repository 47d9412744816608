/* The bundle's pools: what is added once is found again by value (constants) or
** through the node it comes from (types, functions, declarations). */
#include "compiler/emit/emitter.h"
#include "vm/base/hash.h"

void *emitter_grow(Emitter *e, void *array, uint32_t count, uint32_t *cap, size_t size) {
  uint32_t wanted = *cap < 16 ? 32 : *cap * 2;
  void *bigger = arena_alloc(e->arena, (size_t)wanted * size);
  if (count > 0) memcpy(bigger, array, (size_t)count * size);
  *cap = wanted;
  return bigger;
}

/* ---- constants ---- */

static uint64_t const_hash(const BundleConst *c) {
  uint64_t bits = (uint64_t)c->i;
  if (c->kind == CONST_FLOAT) memcpy(&bits, &c->f, sizeof bits);
  uint64_t hash = c->text.size > 0 ? hash_bytes(c->text.at, c->text.size) : 0;
  hash ^= (bits + c->kind * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd);
  return hash ^ hash >> 29;
}

static bool const_same(const BundleConst *a, const BundleConst *b) {
  return a->kind == b->kind && a->i == b->i && memcmp(&a->f, &b->f, sizeof a->f) == 0 &&
         str_equal(a->text, b->text);
}

static void table_put(ConstTable *t, uint64_t hash, uint32_t index) {
  uint32_t at = (uint32_t)hash & t->mask;
  while (t->slots[at] != 0) at = (at + 1) & t->mask;
  t->slots[at] = index + 1;
}

static void table_grow(Emitter *e) {
  uint32_t size = e->table.slots == NULL ? 256 : (e->table.mask + 1) * 2;
  e->table = (ConstTable){ARENA_ARRAY(e->arena, uint32_t, size), size - 1};
  for (uint32_t i = 0; i < e->out->const_count; i++) table_put(&e->table, e->const_hashes[i], i);
}

uint32_t const_add(Emitter *e, const BundleConst *c) {
  Bundle *b = e->out;
  if (e->table.slots == NULL || b->const_count * 2 > e->table.mask) table_grow(e);
  uint64_t hash = const_hash(c);
  uint32_t at = (uint32_t)hash & e->table.mask;
  for (; e->table.slots[at] != 0; at = (at + 1) & e->table.mask) {
    uint32_t index = e->table.slots[at] - 1;
    if (e->const_hashes[index] == hash && const_same(&b->consts[index], c)) return index;
  }
  uint32_t hashed = b->const_count;
  *PUSH_ITEM(e, e->const_hashes, hashed, e->const_hash_cap) = hash;
  *PUSH_ITEM(e, b->consts, b->const_count, e->const_cap) = *c;
  e->table.slots[at] = b->const_count;
  return b->const_count - 1;
}

uint32_t const_text(Emitter *e, Str text) {
  return const_add(e, &(BundleConst){.kind = CONST_STRING, .text = text});
}

uint32_t const_text_or(Emitter *e, Str text) {
  return text.size == 0 ? NONE_INDEX : const_text(e, text);
}

uint32_t const_int(Emitter *e, int64_t i) {
  return const_add(e, &(BundleConst){.kind = CONST_INT, .i = i});
}

uint32_t const_name(Emitter *e, Name *name) {
  if (name->constant == 0) name->constant = const_text(e, name->text) + 1;
  return name->constant - 1;
}

uint32_t const_literal(Emitter *e, const Expr *literal) {
  switch (literal->kind) {
    case EXPR_BOOL: return const_add(e, &(BundleConst){.kind = CONST_BOOL, .i = literal->boolean});
    case EXPR_INT: return const_int(e, literal->integer);
    case EXPR_DURATION:
      return const_add(e, &(BundleConst){.kind = CONST_DURATION, .i = literal->integer});
    case EXPR_FLOAT: return const_add(e, &(BundleConst){.kind = CONST_FLOAT, .f = literal->number});
    case EXPR_DECIMAL:
      return const_add(e, &(BundleConst){.kind = CONST_DECIMAL, .text = literal->text});
    case EXPR_STRING: return const_text(e, literal->text);
    default: return const_add(e, &(BundleConst){.kind = CONST_NIL});
  }
}

/* ---- types: a type stands after those it is made of ---- */

static uint32_t weight_of(const Emitter *e, const BundleType *t) {
  uint64_t weight = 1;
  if (t->elem != NONE_INDEX) weight += e->type_weights[t->elem];
  for (uint32_t i = 0; i < t->members.count; i++)
    weight += e->type_weights[e->out->indexes[t->members.first + i]];
  for (uint32_t i = 0; i < t->fields.count; i++)
    weight += e->type_weights[e->out->fields[t->fields.first + i].type];
  return weight > BUNDLE_TYPE_WEIGHT ? BUNDLE_TYPE_WEIGHT + 1 : (uint32_t)weight;
}

uint32_t type_add(Emitter *e, const BundleType *type) {
  Bundle *b = e->out;
  uint32_t weight = weight_of(e, type), weighed = b->type_count;
  BundleType any = {
      .kind = TYPE_ANY, .elem = NONE_INDEX, .shape = NONE_INDEX, .literal = NONE_INDEX};
  if (weight > BUNDLE_TYPE_WEIGHT && !e->failed) {
    DIAG_ADD0(e->diags, DIAG_TYPE_TOO_LARGE, e->where);
    e->failed = true;
  }
  *PUSH_ITEM(e, e->type_weights, weighed, e->type_weight_cap) =
      weight > BUNDLE_TYPE_WEIGHT ? 1 : weight;
  *PUSH_ITEM(e, b->types, b->type_count, e->type_cap) = weight > BUNDLE_TYPE_WEIGHT ? any : *type;
  return b->type_count - 1;
}

static BundleType type_blank(TypeKind kind) {
  return (BundleType){
      .kind = (uint8_t)kind, .elem = NONE_INDEX, .shape = NONE_INDEX, .literal = NONE_INDEX};
}

uint32_t type_simple_index(Emitter *e, TypeKind kind) {
  if (e->simple_types[kind] == 0) {
    BundleType t = type_blank(kind);
    if (kind == TYPE_LIST || kind == TYPE_MAP) t.elem = type_simple_index(e, TYPE_ANY);
    e->simple_types[kind] = type_add(e, &t) + 1;
  }
  return e->simple_types[kind] - 1;
}

/* Parts first: their own ranges must not stand in the midst of this one. */
static Range32 union_members(Emitter *e, const Type *type) {
  for (uint32_t i = 0; i < type->member_count; i++) type_index(e, type->members[i]);
  Range32 range = {e->out->index_count, type->member_count};
  for (uint32_t i = 0; i < type->member_count; i++) index_add(e, type_index(e, type->members[i]));
  return range;
}

static Range32 object_fields(Emitter *e, const Type *type) {
  for (TypeField *f = type->fields; f != NULL; f = f->next) type_index(e, f->type);
  Range32 range = {e->out->field_count, 0};
  for (TypeField *f = type->fields; f != NULL; f = f->next, range.count++) {
    field_add(e, &(BundleField){.name = const_name(e, f->name), .type = type_index(e, f->type),
                                .optional = f->optional, .doc = NONE_INDEX});
  }
  return range;
}

uint32_t type_index(Emitter *e, Type *type) {
  if (type == NULL) return type_simple_index(e, TYPE_ANY);
  if (type->index != 0) return type->index - 1;
  BundleType t = type_blank(type->kind);
  switch (type->kind) {
    case TYPE_LIST:
    case TYPE_MAP: t.elem = type_index(e, type->elem); break;
    case TYPE_RECORD: t.shape = shape_index(e, type->decl); break;
    case TYPE_LITERAL: t.literal = const_literal(e, type->literal); break;
    case TYPE_UNION: t.members = union_members(e, type); break;
    case TYPE_OBJECT: t.fields = object_fields(e, type); break;
    case TYPE_ANY: case TYPE_NIL: case TYPE_BOOL: case TYPE_INT: case TYPE_FLOAT: case TYPE_DECIMAL:
    case TYPE_STRING: case TYPE_BYTES: case TYPE_TIME: case TYPE_DURATION: case TYPE_FUNCTION:
    case TYPE_HANDLE: case TYPE_SEALED: case TYPE_ERROR:
      type->index = type_simple_index(e, type->kind) + 1;
      return type->index - 1;
  }
  type->index = type_add(e, &t) + 1;
  return type->index - 1;
}

/* ---- the rest ---- */

uint32_t field_add(Emitter *e, const BundleField *field) {
  *PUSH_ITEM(e, e->out->fields, e->out->field_count, e->field_cap) = *field;
  return e->out->field_count - 1;
}

uint32_t index_add(Emitter *e, uint32_t index) {
  *PUSH_ITEM(e, e->out->indexes, e->out->index_count, e->index_cap) = index;
  return e->out->index_count - 1;
}

uint32_t source_index(Emitter *e, const Unit *unit) {
  uint32_t source = unit->source;
  if (e->source_of[source] == 0) {
    const Source *s = &e->diags->sources[source];
    Str path = unit == e->root ? e->root_name : s->path;
    BundleSource added = {.path = const_text(e, path), .text = s->text};
    *PUSH_ITEM(e, e->out->sources, e->out->source_count, e->source_cap) = added;
    e->source_of[source] = e->out->source_count;
  }
  return e->source_of[source] - 1;
}

uint32_t fn_index(Emitter *e, Function *fn) {
  if (fn->index == 0) {
    uint32_t count = e->function_count;
    *PUSH_ITEM(e, e->functions, count, e->function_cap) = fn;
    fn->index = e->function_count = count;
  }
  return fn->index - 1;
}

uint32_t shape_index(Emitter *e, Decl *decl) {
  Symbol *symbol = decl->symbol;
  if (symbol->index == 0) {
    uint32_t count = e->shape_decl_count;
    *PUSH_ITEM(e, e->shape_decls, count, e->shape_decl_cap) = decl;
    symbol->index = e->shape_decl_count = count;
  }
  return symbol->index - 1;
}

/* Noted at every use; sorted and made unique at the end. */
uint32_t patch_id(Emitter *e, Str id) {
  uint32_t constant = const_text(e, id);
  *PUSH_ITEM(e, e->out->patches, e->out->patch_count, e->patch_cap) = constant;
  return constant;
}

uint32_t method_name(Emitter *e, Name *name) {
  uint32_t constant = const_name(e, name);
  *PUSH_ITEM(e, e->method_names, e->method_name_count, e->method_name_cap) = constant;
  return constant;
}

/* ---- sites ---- */

static uint32_t site_slot(const Emitter *e, const SiteCount *key) {
  uint32_t h = key->fn * 0x9e3779b1u ^ key->kind * 0x85ebca6bu ^ key->target * 0xc2b2ae35u ^
               key->patch * 0x27d4eb2fu;
  uint32_t at = (h ^ h >> 15) & (e->site_slots - 1);
  for (;; at = (at + 1) & (e->site_slots - 1)) {
    const SiteCount *s = &e->site_counts[at];
    if (s->count == 0) return at;
    if (s->fn == key->fn && s->kind == key->kind && s->target == key->target &&
        s->patch == key->patch)
      return at;
  }
}

static void sites_grow(Emitter *e) {
  SiteCount *old = e->site_counts;
  uint32_t count = e->site_slots;
  e->site_slots = count == 0 ? 64 : count * 2;
  e->site_counts = ARENA_ARRAY(e->arena, SiteCount, e->site_slots);
  for (uint32_t i = 0; i < count; i++) {
    if (old[i].count > 0) e->site_counts[site_slot(e, &old[i])] = old[i];
  }
}

/* Which one among equals: the same function, effect, target and patch. */
static uint32_t site_ordinal(Emitter *e, const SiteCount *key) {
  if (e->site_used * 2 >= e->site_slots) sites_grow(e);
  SiteCount *s = &e->site_counts[site_slot(e, key)];
  if (s->count == 0) {
    *s = *key;
    e->site_used++;
  }
  return s->count++;
}

uint32_t site_add(Body *b, uint8_t kind, uint32_t target) {
  Emitter *e = b->e;
  BundleSite site = {.fn = b->index, .kind = kind, .target = target, .patch = b->patch};
  site.ordinal = site_ordinal(
      e, &(SiteCount){.fn = b->index, .kind = kind, .target = target, .patch = b->patch});
  place_line(b, b->place, &site.line, &site.column);
  site.id = bundle_site_id(e->out, &site);
  *PUSH_ITEM(e, e->out->sites, e->out->site_count, e->site_cap) = site;
  return e->out->site_count - 1;
}
