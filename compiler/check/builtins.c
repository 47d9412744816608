/* What is in scope without being declared: natives, effects that are called like
** functions, and the modules that hold them together with the functions of
** stdlib/MODULE.z8. One hash finds them all by (module, name). */
#include "compiler/check/checker.h"

typedef struct Entry {
  uint32_t module;
  Str name;
  Symbol *symbol;
  struct Entry *next;
} Entry;

struct Builtins {
  Entry *buckets[1024];
  Module *modules;
  uint32_t module_count;
  Module *of_kind[TYPE_ERROR + 1];
  const Signature **natives; /* parsed on first need */
  const Signature **effects;
  Symbol **unnamed; /* by NativeId: those of `decide` */
};

typedef struct EffectName {
  const char *module, *name, *arg, *signature;
  uint8_t effect;
} EffectName;

#define HTTP_REST                                                                              \
  "headers: map?, json: any=, body: any=, timeout: duration?) -> {status: int, headers: map, " \
  "body: any, json: any}"
#define HTTP_SIGNATURE "(url: string | sealed, " HTTP_REST
static const EffectName effect_names[] = {
    {"core", "now", "", "() -> time", EFFECT_NOW},
    {"core", "random", "", "(a: int?, b: int?) -> any", EFFECT_RANDOM},
    {"core", "uuid", "", "() -> string", EFFECT_UUID},
    {"core", "args", "", "() -> list[string]", EFFECT_ARGS},
    {"core", "env", "", "(name: string) -> string?", EFFECT_ENV},
    {"core", "secret", "", "(name: string) -> sealed", EFFECT_SECRET},
    {"core", "print", "", "(any...)", EFFECT_PRINT},
    {"core", "log", "", "(any...)", EFFECT_LOG},
    {"core", "patched", "", "(id: string) -> bool", EFFECT_PATCHED},
    {"core", "deprecate_patch", "", "(id: string)", EFFECT_DEPRECATE_PATCH},
    {"http", "get", "GET", HTTP_SIGNATURE, EFFECT_HTTP},
    {"http", "post", "POST", HTTP_SIGNATURE, EFFECT_HTTP},
    {"http", "put", "PUT", HTTP_SIGNATURE, EFFECT_HTTP},
    {"http", "patch", "PATCH", HTTP_SIGNATURE, EFFECT_HTTP},
    {"http", "delete", "DELETE", HTTP_SIGNATURE, EFFECT_HTTP},
    {"http", "head", "HEAD", HTTP_SIGNATURE, EFFECT_HTTP},
    {"http", "options", "OPTIONS", HTTP_SIGNATURE, EFFECT_HTTP},
    {"http", "request", "", "(method: string, url: string | sealed, " HTTP_REST, EFFECT_HTTP},
    {"model", "ask", "", "(call: map) -> map", EFFECT_MODEL},
    {"agent", "note", "", "(kind: string, text: string, data: any=)", EFFECT_NOTE},
    {"agent", "recall", "", "(agent: string, conversation: string, most: int) -> list[map]", EFFECT_RECALL},
    {"agent", "remember", "", "(agent: string, conversation: string, question: any, answer: any)", EFFECT_REMEMBER},
    {"budget", "left", "", "() -> {usd: decimal?, tokens: int?, calls: int?, spent: map}", EFFECT_BUDGET_LEFT},
    {"file", "read", "text", "(path: string) -> string", EFFECT_FILE_READ},
    {"file", "read_bytes", "bytes", "(path: string) -> bytes", EFFECT_FILE_READ},
    {"file", "lines", "lines", "(path: string) -> list[string]", EFFECT_FILE_READ},
    {"file", "exists", "exists", "(path: string) -> bool", EFFECT_FILE_READ},
    {"file", "list", "list", "(path: string) -> list[string]", EFFECT_FILE_READ},
    {"file", "write", "write", "(path: string, data: any) -> any", EFFECT_FILE_WRITE},
    {"file", "append", "append", "(path: string, data: any) -> any", EFFECT_FILE_WRITE},
    {"file", "delete", "delete", "(path: string) -> any", EFFECT_FILE_WRITE},
};

static uint32_t entry_hash(uint32_t module, Str name) {
  uint32_t h = 2166136261u + module * 97u;
  for (size_t i = 0; i < name.size; i++) h = (h ^ (uint8_t)name.at[i]) * 16777619u;
  return (h ^ (h >> 15)) & 1023u;
}

static Symbol *entry_find(const Builtins *b, uint32_t module, Str name) {
  for (Entry *e = b->buckets[entry_hash(module, name)]; e; e = e->next) {
    if (e->module == module && str_equal(e->name, name)) return e->symbol;
  }
  return NULL;
}

/* The first of a name stays: natives before the functions of stdlib. */
static void entry_add(Checker *c, uint32_t module, Str name, Symbol *symbol) {
  Entry **slot = &c->builtins->buckets[entry_hash(module, name)];
  if (entry_find(c->builtins, module, name)) return;
  Entry *e = ARENA_NEW(c->arena, Entry);
  *e = (Entry){module, name, symbol, *slot};
  *slot = e;
}

Module *module_by_name(Checker *c, Str name) {
  for (Module *m = c->builtins->modules; m; m = m->next) {
    if (str_equal(m->name, name)) return m;
  }
  return NULL;
}

/* Module 0 is core: what stands there needs no prefix, and neither do the modules themselves. */
static Module *module_make(Checker *c, Str name) {
  Module *m = module_by_name(c, name);
  if (m) return m;
  m = ARENA_NEW(c->arena, Module);
  *m = (Module){.symbol = {.kind = SYMBOL_MODULE, .reg = -1},
                .name = name,
                .id = c->builtins->module_count++};
  m->next = c->builtins->modules;
  c->builtins->modules = m;
  if (m->id) entry_add(c, 0, name, &m->symbol);
  return m;
}

static void natives_add(Checker *c) {
  Module *module = NULL;
  for (uint32_t i = 0; i < NATIVE_COUNT; i++) {
    Str name = str_of(native_info[i].module);
    bool unnamed = str_equal(name, STR("decide"));
    if (!unnamed && (!module || !str_equal(module->name, name))) module = module_make(c, name);
    Symbol *symbol = ARENA_NEW(c->arena, Symbol);
    *symbol = (Symbol){.kind = SYMBOL_NATIVE, .native = (NativeId)i, .reg = -1};
    if (unnamed) {
      c->builtins->unnamed[i] = symbol;
      continue;
    }
    entry_add(c, module->id, str_of(native_info[i].name), symbol);
  }
}

static void effects_add(Checker *c) {
  for (uint32_t i = 0; i < COUNT_OF(effect_names); i++) {
    const EffectName *e = &effect_names[i];
    Symbol *symbol = ARENA_NEW(c->arena, Symbol);
    *symbol = (Symbol){.kind = SYMBOL_EFFECT,
                       .effect = e->effect,
                       .effect_arg = str_of(e->arg),
                       .reg = -1,
                       .index = i};
    entry_add(c, module_make(c, str_of(e->module))->id, str_of(e->name), symbol);
  }
}

/* "std/text.z8" is module text. */
static Str unit_module_name(Checker *c, const Unit *unit) {
  Str path = c->diags->sources[unit->source].path;
  size_t from = path.size;
  while (from > 0 && path.at[from - 1] != '/') from--;
  size_t size = path.size - from;
  return (Str){path.at + from, size > 3 ? size - 3 : size};
}

static void unit_add(Checker *c, Unit *unit) {
  Module *module = module_make(c, unit_module_name(c, unit));
  module->unit = unit;
  for (Decl *d = unit->decls; d; d = d->next) {
    if (d->symbol && d->name && !name_is_hidden(d->name))
      entry_add(c, module->id, d->name->text, d->symbol);
  }
}

static void kinds_add(Checker *c) {
  static const struct {
    TypeKind kind;
    const char *name;
  } kinds[] = {
      {TYPE_STRING, "text"},     {TYPE_LIST, "list"},     {TYPE_MAP, "map"},
      {TYPE_BYTES, "bytes"},     {TYPE_TIME, "time"},     {TYPE_DURATION, "duration"},
      {TYPE_DECIMAL, "decimal"}, {TYPE_INT, "int"},       {TYPE_FLOAT, "float"},
      {TYPE_ERROR, "error"},     {TYPE_HANDLE, "handle"},
  };
  for (size_t i = 0; i < COUNT_OF(kinds); i++) {
    c->builtins->of_kind[kinds[i].kind] = module_make(c, str_of(kinds[i].name));
  }
}

void builtins_init(Checker *c, Unit *units) {
  c->builtins = ARENA_NEW(c->arena, Builtins);
  c->builtins->natives = ARENA_ARRAY(c->arena, const Signature *, NATIVE_COUNT + 1);
  c->builtins->effects = ARENA_ARRAY(c->arena, const Signature *, COUNT_OF(effect_names));
  c->builtins->unnamed = ARENA_ARRAY(c->arena, Symbol *, NATIVE_COUNT + 1);
  module_make(c, STR("core"));
  natives_add(c);
  effects_add(c);
  kinds_add(c);
  for (Unit *unit = units; unit; unit = unit->next) {
    if (unit->standard) unit_add(c, unit);
  }
}

Symbol *native_symbol_of(Checker *c, NativeId native) { return c->builtins->unnamed[native]; }

Symbol *builtin_global(Checker *c, const Name *name) {
  return entry_find(c->builtins, 0, name->text);
}
Module *module_of_kind(Checker *c, TypeKind kind) { return c->builtins->of_kind[kind]; }
Symbol *module_member(Checker *c, const Module *module, Str name) {
  return entry_find(c->builtins, module->id, name);
}

static Symbol *method_find(Checker *c, size_t kind, Str name) {
  Module *module = c->builtins->of_kind[kind];
  return module ? module_member(c, module, name) : NULL;
}

bool method_changes(Checker *c, Str name) {
  for (size_t kind = 0; kind <= TYPE_ERROR; kind++) {
    Symbol *symbol = method_find(c, kind, name);
    if (symbol && symbol->kind == SYMBOL_NATIVE &&
        (native_info[symbol->native].flags & NATIVE_CHANGES))
      return true;
  }
  return false;
}

bool method_exists(Checker *c, Str name) {
  for (size_t kind = 0; kind <= TYPE_ERROR; kind++) {
    if (method_find(c, kind, name)) return true;
  }
  return false;
}

void method_reach(Checker *c, Str name, Span span) {
  for (size_t kind = 0; kind <= TYPE_ERROR; kind++) {
    Symbol *symbol = method_find(c, kind, name);
    if (symbol && symbol->kind == SYMBOL_FN)
      purity_edge(c, decl_body(symbol->decl), span, EDGE_DYNAMIC);
  }
}

void module_candidates(Checker *c, const Module *module, Buf *out) {
  for (size_t i = 0; i < COUNT_OF(c->builtins->buckets); i++) {
    for (Entry *e = c->builtins->buckets[i]; e; e = e->next) {
      if (e->module == module->id) buf_put(out, &e->name, sizeof(Str));
    }
  }
}

void builtin_candidates(Checker *c, Buf *out) {
  for (Module *m = c->builtins->modules; m; m = m->next) {
    if (m->id == 0) module_candidates(c, m, out);
  }
}

const Signature *symbol_signature(Checker *c, Symbol *symbol) {
  bool native = symbol->kind == SYMBOL_NATIVE;
  const Signature **slot =
      native ? &c->builtins->natives[symbol->native] : &c->builtins->effects[symbol->index];
  if (*slot) return *slot;
  const char *text =
      native ? native_info[symbol->native].signature : effect_names[symbol->index].signature;
  Signature *made = signature_parse(c, str_of(text));
  if (native) {
    made->min = native_info[symbol->native].min;
    made->max = native_info[symbol->native].max;
  }
  return *slot = made;
}
