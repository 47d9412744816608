/* A tiny assembler for tests: text to a Bundle in memory.
**
**   .fn NAME params=N regs=N [min=N] [captures=N] [cache=N] [flags=N]
**   .catch START END TARGET REG      .finally START END TARGET REG    (labels)
**   LABEL:
**   OPCODE operand ...               in the order A B C ext ext2, leaving out unused ones
**
** Operands: a number; @LABEL for a jump; "text", 2.5 or i5 a constant; &NAME a function; !module.name a
** native. `#` begins a comment. Functions stand in the order written; the first is the script. Shapes are
** added in C (asm_shape) before the text refers to them by number. */
#ifndef Z8_TEST_ASM_H
#define Z8_TEST_ASM_H

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "vm/base/mem.h"
#include "vm/bundle/bundle.h"

enum { ASM_MAX = 512, ASM_CODE = 8192 };

typedef struct AsmLabel { char name[40]; uint32_t pc, fn; } AsmLabel;
typedef struct AsmFix { char name[40]; uint32_t at, next, fn; int kind; } AsmFix; /* 0 J24, 1 J16, 2 word, 3 function */

typedef struct Asm {
  Bundle b;
  BundleConst consts[ASM_MAX];
  BundleField fields[ASM_MAX];
  BundleType types[ASM_MAX];
  BundleShape shapes[ASM_MAX];
  BundleFn fns[ASM_MAX];
  uint32_t code[ASM_CODE];
  BundleHandler handlers[ASM_MAX];
  BundleSite sites[ASM_MAX];
  BundleConfig configs[ASM_MAX];
  BundleMethod methods[ASM_MAX];
  BundleTool tools[ASM_MAX];
  BundleWorkflow workflows[ASM_MAX];
  BundleQuery queries[ASM_MAX];
  BundleSource sources[1];
  BundleLine lines[1];
  uint32_t indexes[ASM_MAX];
  AsmLabel labels[ASM_MAX]; uint32_t label_count;
  AsmFix fixes[ASM_MAX]; uint32_t fix_count;
  struct { char label[3][40]; uint32_t fn; uint8_t reg, kind; } ranges[ASM_MAX]; uint32_t range_count;
} Asm;

static inline uint32_t asm_const(Asm *a, BundleConst k) {
  for (uint32_t i = 0; i < a->b.const_count; i++) {
    BundleConst *o = &a->consts[i];
    if (o->kind == k.kind && o->i == k.i && memcmp(&o->f, &k.f, 8) == 0 && str_equal(o->text, k.text)) return i;
  }
  a->consts[a->b.const_count] = k;
  return a->b.const_count++;
}
static inline uint32_t asm_string(Asm *a, const char *text, size_t size) {
  for (uint32_t i = 0; i < a->b.const_count; i++) {
    if (a->consts[i].kind == CONST_STRING && str_equal(a->consts[i].text, (Str){text, size})) return i;
  }
  char *copy = mem_alloc(size + 1);
  memcpy(copy, text, size);
  return asm_const(a, (BundleConst){.kind = CONST_STRING, .text = {copy, size}});
}
static inline uint32_t asm_field(Asm *a, const char *name, uint32_t type) {
  a->fields[a->b.field_count] = (BundleField){asm_string(a, name, strlen(name)), type, 0, NONE_INDEX};
  return a->b.field_count++;
}
static inline uint32_t asm_type(Asm *a, TypeKind kind) {
  a->types[a->b.type_count] = (BundleType){.kind = (uint8_t)kind, .elem = NONE_INDEX, .shape = NONE_INDEX, .literal = NONE_INDEX};
  return a->b.type_count++;
}
/* names: space-separated fields */
static inline uint32_t asm_shape(Asm *a, const char *name, const char *names) {
  BundleShape *s = &a->shapes[a->b.shape_count];
  *s = (BundleShape){.name = asm_string(a, name, strlen(name)), .version = 1, .constructor = NONE_INDEX, .doc = NONE_INDEX};
  s->stored_name = s->name;
  s->fields.first = a->b.field_count;
  for (const char *p = names; *p;) {
    size_t n = strcspn(p, " ");
    a->fields[a->b.field_count++] = (BundleField){asm_string(a, p, n), 0, 0, NONE_INDEX};
    s->fields.count++;
    p += n + (p[n] == ' ');
  }
  return a->b.shape_count++;
}
static inline uint32_t asm_site(Asm *a, uint32_t fn, EffectKind kind) {
  a->sites[a->b.site_count] = (BundleSite){.fn = fn, .kind = (uint8_t)kind, .target = NONE_INDEX, .patch = NONE_INDEX};
  return a->b.site_count++;
}

static inline Asm *asm_new(void) {
  Asm *a = mem_alloc(sizeof *a);
  Bundle *b = &a->b;
  b->consts = a->consts, b->fields = a->fields, b->types = a->types, b->shapes = a->shapes, b->fns = a->fns;
  b->code = a->code, b->handlers = a->handlers, b->sites = a->sites, b->configs = a->configs, b->methods = a->methods;
  b->indexes = a->indexes, b->tools = a->tools, b->workflows = a->workflows, b->queries = a->queries, b->sources = a->sources, b->lines = a->lines;
  b->name = asm_string(a, "test.z8", 7);
  b->sources[0] = (BundleSource){.path = b->name};
  b->source_count = 1;
  asm_type(a, TYPE_ANY); /* type 0 */
  return a;
}
static inline void asm_free(Asm *a) {
  for (uint32_t i = 0; i < a->b.const_count; i++) mem_free((void *)(uintptr_t)a->consts[i].text.at);
  mem_free(a);
}

static inline const char *asm_word(const char *p, char *out) {
  while (*p == ' ' || *p == '\t' || *p == ',') p++;
  size_t n = 0;
  while (*p && !isspace((unsigned char)*p) && *p != ',' && n < 39) out[n++] = *p++;
  out[n] = 0;
  return p;
}
static inline uint32_t asm_option(const char *line, const char *name, uint32_t otherwise) {
  const char *at = strstr(line, name);
  return at ? (uint32_t)strtol(at + strlen(name), NULL, 0) : otherwise;
}
static inline void asm_begin_fn(Asm *a, const char *line) {
  char name[40];
  asm_word(line, name);
  BundleFn *fn = &a->fns[a->b.fn_count++];
  *fn = (BundleFn){.name = asm_string(a, name, strlen(name)), .code = a->b.code_count, .result = 0};
  fn->params = (Range32){a->b.field_count, asm_option(line, "params=", 0)};
  for (uint32_t i = 0; i < fn->params.count; i++) asm_field(a, "p", 0);
  fn->min_args = (uint8_t)asm_option(line, "min=", fn->params.count);
  fn->regs = (uint8_t)asm_option(line, "regs=", 1);
  fn->captures = (uint8_t)asm_option(line, "captures=", 0);
  fn->cache_count = asm_option(line, "cache=", 0);
  fn->flags = (uint8_t)asm_option(line, "flags=", 0);
  fn->kind = a->b.fn_count == 1 ? FNKIND_SCRIPT : FNKIND_FN;
}
static inline void asm_fix(Asm *a, const char *name, uint32_t at, uint32_t next, int kind) {
  AsmFix *f = &a->fixes[a->fix_count++];
  snprintf(f->name, sizeof f->name, "%.39s", name);
  f->at = at, f->next = next, f->fn = a->b.fn_count - 1, f->kind = kind;
}
static inline const char *asm_operand(Asm *a, const char *p, uint32_t at, uint32_t next, int kind, int64_t *out) {
  while (*p == ' ' || *p == ',') p++;
  *out = 0;
  if (*p == '"') {
    const char *end = strchr(p + 1, '"');
    *out = asm_string(a, p + 1, (size_t)(end - p - 1));
    return end + 1;
  }
  char word[40];
  p = asm_word(p, word);
  if (word[0] == '@') asm_fix(a, word + 1, at, next, kind);
  else if (word[0] == '&') asm_fix(a, word + 1, at, next, 3);
  else if (word[0] == 'i') *out = asm_const(a, (BundleConst){.kind = CONST_INT, .i = strtoll(word + 1, NULL, 0)});
  else if (word[0] == '!') {
    for (uint32_t n = 0; n < NATIVE_COUNT; n++) {
      char full[80];
      snprintf(full, sizeof full, "%s.%s", native_info[n].module, native_info[n].name);
      if (strcmp(full, word + 1) == 0) *out = n;
    }
  } else if (strchr(word, '.')) {
    double f;
    sscanf(word, "%lf", &f);
    *out = asm_const(a, (BundleConst){.kind = CONST_FLOAT, .f = f});
  } else *out = strtoll(word, NULL, 0);
  return p;
}
static inline void asm_instruction(Asm *a, const char *p) {
  char name[40];
  p = asm_word(p, name);
  uint32_t op = 0;
  while (op < OP_COUNT && strcmp(op_info[op].name, name) != 0) op++;
  if (op == OP_COUNT) {
    fprintf(stderr, "asm: no opcode %s\n", name);
    abort();
  }
  const OpInfo *info = &op_info[op];
  uint32_t at = a->b.code_count, next = at + info->words, w = op;
  uint8_t roles[3] = {info->a, info->b, info->c};
  for (int i = 0; i < 3; i++) {
    int64_t v = 0;
    if (roles[i] == ROLE___) continue;
    p = asm_operand(a, p, at, next, roles[i] == ROLE_J24 ? 0 : 1, &v);
    w |= ((uint32_t)v & (roles[i] == ROLE_J24 ? 0xffffffu : roles[i] == ROLE_J16 || roles[i] == ROLE_K16 || roles[i] == ROLE_I16 ? 0xffffu : 0xffu)) << (8 + 8 * i);
  }
  a->code[a->b.code_count++] = w;
  for (int i = 1; i < info->words; i++) {
    int64_t v = 0;
    p = asm_operand(a, p, at + (uint32_t)i, next, 2, &v);
    a->code[a->b.code_count++] = (uint32_t)v;
  }
}
static inline uint32_t asm_find(Asm *a, const char *name, uint32_t fn) {
  for (uint32_t i = 0; i < a->label_count; i++) {
    if (a->labels[i].fn == fn && strcmp(a->labels[i].name, name) == 0) return a->labels[i].pc;
  }
  fprintf(stderr, "asm: no label %s\n", name);
  abort();
}
static inline void asm_resolve(Asm *a) {
  for (uint32_t i = 0; i < a->fix_count; i++) {
    AsmFix *f = &a->fixes[i];
    if (f->kind == 3) {
      for (uint32_t n = 0; n < a->b.fn_count; n++) {
        Str name = bundle_text(&a->b, a->fns[n].name);
        if (str_equal(name, str_of(f->name))) a->code[f->at] = n;
      }
      continue;
    }
    int32_t offset = (int32_t)(asm_find(a, f->name, f->fn) - f->next);
    if (f->kind == 0) a->code[f->at] |= (uint32_t)offset << 8;
    else if (f->kind == 1) a->code[f->at] |= (uint32_t)offset << 16;
    else a->code[f->at] = (uint32_t)offset;
  }
  for (uint32_t fn = 0; fn < a->b.fn_count; fn++) {
    a->fns[fn].handlers.first = a->b.handler_count;
    for (uint32_t i = 0; i < a->range_count; i++) {
      if (a->ranges[i].fn != fn) continue;
      uint32_t base = a->fns[fn].code;
      a->handlers[a->b.handler_count++] = (BundleHandler){
          asm_find(a, a->ranges[i].label[0], fn) - base, asm_find(a, a->ranges[i].label[1], fn) - base,
          asm_find(a, a->ranges[i].label[2], fn) - base, a->ranges[i].reg, a->ranges[i].kind};
      a->fns[fn].handlers.count++;
    }
  }
}
static inline void asm_range(Asm *a, const char *p, uint8_t kind) {
  char reg[40];
  for (int i = 0; i < 3; i++) p = asm_word(p, a->ranges[a->range_count].label[i]);
  asm_word(p, reg);
  a->ranges[a->range_count].reg = (uint8_t)atoi(reg);
  a->ranges[a->range_count].kind = kind;
  a->ranges[a->range_count++].fn = a->b.fn_count - 1;
}
static inline void asm_line(Asm *a, char *line) {
  char *hash = strchr(line, '#'), *p = line;
  if (hash) *hash = 0;
  while (isspace((unsigned char)*p)) p++;
  size_t n = strlen(p);
  while (n > 0 && isspace((unsigned char)p[n - 1])) p[--n] = 0;
  if (n == 0) return;
  if (strncmp(p, ".fn ", 4) == 0) asm_begin_fn(a, p + 4);
  else if (strncmp(p, ".catch ", 7) == 0) asm_range(a, p + 7, HANDLER_CATCH);
  else if (strncmp(p, ".finally ", 9) == 0) asm_range(a, p + 9, HANDLER_FINALLY);
  else if (p[n - 1] == ':') {
    AsmLabel *label = &a->labels[a->label_count++];
    p[n - 1] = 0;
    snprintf(label->name, sizeof label->name, "%.39s", p);
    label->pc = a->b.code_count;
    label->fn = a->b.fn_count - 1;
  } else asm_instruction(a, p);
  if (a->b.fn_count) a->fns[a->b.fn_count - 1].code_count = a->b.code_count - a->fns[a->b.fn_count - 1].code;
}
/* Assembles the whole text; to be called once. */
static inline Bundle *asm_text(Asm *a, const char *text) {
  char line[256];
  while (*text) {
    size_t n = strcspn(text, "\n");
    snprintf(line, sizeof line, "%.*s", (int)(n < 255 ? n : 255), text);
    asm_line(a, line);
    text += n + (text[n] == '\n');
  }
  asm_resolve(a);
  return &a->b;
}
#endif
