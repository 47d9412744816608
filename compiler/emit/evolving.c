/* What folding an agent's events runs, as one hash: a snapshot is good as long as it
** stays the same. It is taken of what the code means, so that an edit elsewhere does
** not change it: numbers of constants, functions, shapes and types are replaced by
** what they stand for, functions by the order in which they are met from the evolve
** clauses on, jumps by which instruction they go to. Left out: lines, names of
** functions, cache slots, and the checks of parameters (proofs.c leaves those away
** where every caller is known; the declared types stand in for them).
**
** Shapes are named where code only reads their fields: a new field of an event that
** no evolve reads is no change. The agent's own state counts whole. */
#include <stdlib.h>

#include "compiler/emit/emitter.h"
#include "vm/base/hash.h"

typedef struct Print {
  Emitter *e;
  const Bundle *b;
  Sha256 sha;
  uint32_t *met; /* per function: when it was met, from 1; 0: not yet */
  uint32_t *order;
  uint32_t count;
  const BundleFn *fn; /* being hashed */
  uint32_t *ordinal;  /* per word of it: how many instructions stand before */
} Print;

static void put_number(Print *p, uint64_t n) {
  char bytes[8];
  for (int i = 0; i < 8; i++) bytes[i] = (char)(n >> 8 * i);
  sha256_add(&p->sha, (Str){bytes, sizeof bytes});
}

static void put_text(Print *p, Str text) {
  put_number(p, text.size);
  sha256_add(&p->sha, text);
}

static void put_word(Print *p, const char *word) { put_text(p, str_of(word)); }

static void put_const(Print *p, uint32_t index) {
  const BundleConst *c = &p->b->consts[index];
  uint64_t bits;
  memcpy(&bits, &c->f, sizeof bits);
  put_number(p, c->kind);
  put_number(p, (uint64_t)c->i);
  put_number(p, bits);
  put_text(p, c->text);
}

static void put_fn(Print *p, uint32_t fn) {
  if (p->met[fn] == 0) {
    p->order[p->count++] = fn;
    p->met[fn] = p->count;
  }
  put_number(p, p->met[fn]);
}

/* ---- types and shapes ---- */

static void put_type(Print *p, uint32_t index);

static void put_fields(Print *p, Range32 fields) {
  put_number(p, fields.count);
  for (uint32_t i = 0; i < fields.count; i++) {
    const BundleField *f = &p->b->fields[fields.first + i];
    put_text(p, bundle_text(p->b, f->name));
    put_type(p, f->type);
    put_number(p, f->optional);
  }
}

static void put_shape_name(Print *p, uint32_t shape) {
  put_text(p, bundle_text(p->b, p->b->shapes[shape].name));
}

static void put_type(Print *p, uint32_t index) {
  const BundleType *t = &p->b->types[index];
  put_number(p, t->kind);
  if (t->elem != NONE_INDEX) put_type(p, t->elem);
  if (t->shape != NONE_INDEX) put_shape_name(p, t->shape);
  if (t->literal != NONE_INDEX) put_const(p, t->literal);
  put_number(p, t->members.count);
  for (uint32_t i = 0; i < t->members.count; i++)
    put_type(p, p->b->indexes[t->members.first + i]);
  put_fields(p, t->fields);
}

static void put_shape(Print *p, uint32_t shape) {
  put_shape_name(p, shape);
  put_fields(p, p->b->shapes[shape].fields);
}

/* ---- instructions ---- */

static bool is_param_check(const Print *p, const uint32_t *code) {
  uint32_t reg = code[0] >> 8 & 0xff;
  return (code[0] & 0xff) == OP_CHECK && reg < p->fn->params.count &&
         p->b->fields[p->fn->params.first + reg].type == code[1];
}

static void count_instructions(Print *p, const uint32_t *code) {
  uint32_t count = 0;
  for (uint32_t pc = 0; pc < p->fn->code_count; pc += op_info[code[pc] & 0xff].words) {
    p->ordinal[pc] = count;
    count += !is_param_check(p, code + pc);
  }
  p->ordinal[p->fn->code_count] = count;
}

static void put_target(Print *p, int64_t target) {
  bool within = target >= 0 && target <= p->fn->code_count;
  put_number(p, within ? p->ordinal[target] : UINT32_MAX);
}

static void put_role(Print *p, uint8_t role, uint32_t w, uint32_t value, int64_t next) {
  switch ((Role)role) {
    case ROLE___: return;
    case ROLE_R: case ROLE_W: case ROLE_RW: case ROLE_U8: case ROLE_I8:
    case ROLE_ARGS: put_number(p, value); return;
    case ROLE_K16: put_const(p, w >> 16); return;
    case ROLE_I16: put_number(p, w >> 16); return;
    case ROLE_J16: put_target(p, next + (int16_t)(w >> 16)); return;
    case ROLE_J24: put_target(p, next + ((int32_t)w >> 8)); return;
  }
}

/* Whatever the receiver turns out to be. */
static void put_methods(Print *p, uint32_t name) {
  for (uint32_t i = 0; i < p->b->method_count; i++) {
    const BundleMethod *m = &p->b->methods[i];
    if (m->name != name) continue;
    put_number(p, m->kind);
    if (!m->native) put_fn(p, m->target);
  }
}

static void put_ext(Print *p, Op op, const uint32_t *code, int64_t next) {
  uint32_t n = code[1], slot = code[0] >> 24;
  switch ((Ext)op_info[op].ext) {
    case EXT_NONE: return;
    case EXT_FN: put_fn(p, n); return;
    case EXT_NATIVE:
      put_word(p, native_info[n].module);
      put_word(p, native_info[n].name);
      return;
    case EXT_NAME:
      put_const(p, n);
      if (op == OP_CALLM) put_methods(p, n);
      return;
    case EXT_SHAPE:
      if (op == OP_NEWREC) put_shape(p, n);
      else put_shape_name(p, n);
      if (op != OP_NEWREC)
        put_text(p, bundle_text(p->b, p->b->fields[p->b->shapes[n].fields.first + slot].name));
      return;
    case EXT_TYPE: put_type(p, n); return;
    case EXT_CONST: put_const(p, n); return;
    case EXT_CONFIG: put_text(p, bundle_text(p->b, p->b->configs[n].name)); return;
    case EXT_JUMP: put_target(p, next + (int32_t)n); return;
    case EXT_EFFECT: put_number(p, p->b->sites[n].id); return; /* none: evolving is pure */
  }
}

/* C is a cache slot, or the number of a field that put_ext names. */
static bool third_is_place(Op op) {
  return op == OP_GETF || op == OP_GETFQ || op == OP_SETF || op == OP_OWNF || op == OP_GETSLOT ||
         op == OP_SETSLOT;
}

static void put_instruction(Print *p, const uint32_t *code, uint32_t pc) {
  uint32_t w = code[0];
  Op op = (Op)(w & 0xff);
  const OpInfo *info = &op_info[op];
  int64_t next = (int64_t)pc + info->words;
  put_word(p, op == OP_LOADKX ? op_info[OP_LOADK].name : info->name);
  put_role(p, info->a, w, w >> 8 & 0xff, next);
  put_role(p, info->b, w, w >> 16 & 0xff, next);
  if (!third_is_place(op)) put_role(p, info->c, w, w >> 24, next);
  put_ext(p, op, code, next);
}

/* ---- functions ---- */

static void put_handlers(Print *p) {
  put_number(p, p->fn->handlers.count);
  for (uint32_t i = 0; i < p->fn->handlers.count; i++) {
    const BundleHandler *h = &p->b->handlers[p->fn->handlers.first + i];
    put_target(p, h->start);
    put_target(p, h->end);
    put_target(p, h->target);
    put_number(p, h->reg);
    put_number(p, h->kind);
  }
}

static void put_body(Print *p, const BundleFn *fn) {
  const uint32_t *code = p->b->code + fn->code;
  p->fn = fn;
  count_instructions(p, code);
  put_number(p, fn->min_args);
  put_number(p, fn->captures);
  put_number(p, fn->params.count);
  for (uint32_t i = 0; i < fn->params.count; i++)
    put_type(p, p->b->fields[fn->params.first + i].type);
  put_handlers(p);
  put_number(p, p->ordinal[fn->code_count]);
  for (uint32_t pc = 0; pc < fn->code_count; pc += op_info[code[pc] & 0xff].words) {
    if (!is_param_check(p, code + pc)) put_instruction(p, code + pc, pc);
  }
}

/* ---- an agent ---- */

typedef struct Evolve {
  Str event;
  const BundleClause *clause;
} Evolve;

static int compare_evolves(const void *a, const void *b) {
  const Evolve *x = a, *y = b;
  size_t size = x->event.size < y->event.size ? x->event.size : y->event.size;
  int order = size > 0 ? memcmp(x->event.at, y->event.at, size) : 0;
  if (order != 0) return order;
  return x->event.size < y->event.size ? -1 : x->event.size > y->event.size;
}

/* The order they are written in does not matter: there is one for each event. */
static Evolve *evolves_sorted(Print *p, Range32 clauses) {
  const Bundle *b = p->b;
  Evolve *evolves = ARENA_ARRAY(p->e->arena, Evolve, (size_t)clauses.count + 1);
  for (uint32_t i = 0; i < clauses.count; i++) {
    const BundleClause *c = &b->clauses[clauses.first + i];
    evolves[i] = (Evolve){bundle_text(b, b->shapes[c->shape].stored_name), c};
  }
  if (clauses.count > 0) qsort(evolves, clauses.count, sizeof *evolves, compare_evolves);
  return evolves;
}

static void put_evolve(Print *p, const Evolve *evolve) {
  const BundleClause *c = evolve->clause;
  const BundleShape *event = &p->b->shapes[c->shape];
  put_text(p, evolve->event);
  put_number(p, event->version);
  put_number(p, c->uses_meta);
  put_fn(p, c->fn);
  for (uint32_t i = 0; i < event->upcasts.count; i++) {
    uint32_t fn = p->b->indexes[event->upcasts.first + i];
    if (fn == NONE_INDEX) put_number(p, 0);
    else put_fn(p, fn);
  }
  /* what an event stored without some field gets there; an implied one gets nil */
  if (!p->e->shape_decls[c->shape]->implied) put_fn(p, event->constructor);
}

static Hash256 agent_hash(Print *p, const BundleAgent *agent) {
  const Evolve *evolves = evolves_sorted(p, agent->evolves);
  p->count = 0;
  sha256_begin(&p->sha);
  put_word(p, "evolving 1");
  put_shape(p, agent->state);
  put_fn(p, p->b->shapes[agent->state].constructor);
  for (uint32_t i = 0; i < agent->evolves.count; i++) put_evolve(p, &evolves[i]);
  for (uint32_t i = 0; i < p->count; i++) put_body(p, &p->b->fns[p->order[i]]);
  for (uint32_t i = 0; i < p->count; i++) p->met[p->order[i]] = 0;
  return sha256_end(&p->sha);
}

void evolving_hashes(Emitter *e) {
  Bundle *b = e->out;
  uint32_t longest = 0;
  if (b->agent_count == 0 || e->failed) return;
  for (uint32_t i = 0; i < b->fn_count; i++) {
    if (b->fns[i].code_count > longest) longest = b->fns[i].code_count;
  }
  Print p = {.e = e, .b = b};
  p.met = ARENA_ARRAY(e->arena, uint32_t, (size_t)b->fn_count + 1);
  p.order = ARENA_ARRAY(e->arena, uint32_t, (size_t)b->fn_count + 1);
  p.ordinal = ARENA_ARRAY(e->arena, uint32_t, (size_t)longest + 1);
  for (uint32_t i = 0; i < b->agent_count; i++) {
    Hash256 *hash = ARENA_NEW(e->arena, Hash256);
    *hash = agent_hash(&p, &b->agents[i]);
    Str bytes = {(const char *)hash->byte, sizeof hash->byte};
    b->agents[i].code = const_add(e, &(BundleConst){.kind = CONST_BYTES, .text = bytes});
  }
}
