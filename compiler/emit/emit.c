/* The driver: what the script, the workflows, the tools and the application's parts
** reach is emitted, in the order it is met; then the tables that need the whole. */
#include "compiler/emit/emit.h"

#include <stdlib.h>

#include "compiler/emit/emitter.h"

/* ---- declarations ---- */

static uint8_t tool_class(const Decl *decl) {
  const Setting *s = setting_find(decl, "effect");
  if (s == NULL || s->first == NULL || s->first->kind != EXPR_NAME) return CLASS_REVERSIBLE;
  Str word = s->first->name->text;
  if (str_equal(word, STR("read"))) return CLASS_READ;
  return str_equal(word, STR("irreversible")) ? CLASS_IRREVERSIBLE : CLASS_REVERSIBLE;
}

static const int64_t SECOND_US = 1000000;
static const BundleAttempts tool_attempts = {1, 1000000, 60 * 1000000, NONE_INDEX, 0};

static void tool_limit(Emitter *e, const Setting *s, BundleTool *tool) {
  if (s == NULL || s->first == NULL || s->first->kind != EXPR_STRING) return;
  tool->limit_name = const_text(e, s->first->text);
  tool->limit_count = (uint32_t)folded_number(s->second, 1);
  tool->limit_per_us = folded_number(s->third, SECOND_US);
}

uint32_t tool_index(Emitter *e, Decl *decl) {
  if (decl->symbol->index != 0) return decl->symbol->index - 1;
  decl->symbol->index = e->out->tool_count + 1;
  BundleTool tool = {.check = NONE_INDEX, .limit_name = NONE_INDEX};
  tool.name = const_name(e, decl->name);
  tool.doc = const_text_or(e, decl->doc);
  tool.perform = fn_index(e, decl->function);
  if (decl->check_function != NULL) tool.check = fn_index(e, decl->check_function);
  tool.effect_class = tool_class(decl);
  BundleAttempts attempts = attempts_read(e, decl, tool_attempts);
  tool.unless = attempts.unless;
  tool.timeout_us = attempts.timeout_us;
  tool.max_attempts = attempts.max_attempts;
  tool.backoff_min_us = attempts.backoff_min_us;
  tool.backoff_max_us = attempts.backoff_max_us;
  tool_limit(e, setting_find(decl, "limit"), &tool);
  tool.result = type_index(e, decl->type != NULL ? decl->function->result : NULL);
  *PUSH_ITEM(e, e->out->tools, e->out->tool_count, e->tool_cap) = tool;
  return decl->symbol->index - 1;
}

uint32_t workflow_index(Emitter *e, Decl *decl) {
  if (decl->symbol->index != 0) return decl->symbol->index - 1;
  decl->symbol->index = e->out->workflow_count + 1;
  uint32_t count = e->workflow_decl_count;
  *PUSH_ITEM(e, e->workflow_decls, count, e->workflow_decl_cap) = decl;
  e->workflow_decl_count = count;
  BundleWorkflow workflow = {.name = const_name(e, decl->name), .fn = fn_index(e, decl->function),
                             .doc = const_text_or(e, decl->doc)};
  *PUSH_ITEM(e, e->out->workflows, e->out->workflow_count, e->workflow_cap) = workflow;
  return decl->symbol->index - 1;
}

uint32_t config_index(Emitter *e, Decl *decl) {
  if (decl->symbol->index != 0) return decl->symbol->index - 1;
  BundleConfig config = {
      .name = const_name(e, decl->name),
      .type = type_index(e, decl->type != NULL ? decl->symbol->type : NULL),
      .fallback = decl->value != NULL ? const_literal(e, decl->value) : NONE_INDEX};
  *PUSH_ITEM(e, e->out->configs, e->out->config_count, e->config_cap) = config;
  decl->symbol->index = e->out->config_count;
  return decl->symbol->index - 1;
}

uint32_t extern_index(Emitter *e, Decl *decl) {
  (void)e;
  return decl->symbol->index - 1; /* externs_declare made them all */
}

static void externs_declare(Emitter *e, const Decl *library) {
  for (Decl *d = library->members; d != NULL; d = d->next) {
    if (d->symbol == NULL || d->symbol->index != 0) continue;
    BundleExtern made = {.library = const_text(e, library->text), .name = const_name(e, d->name)};
    made.result = type_index(e, d->function != NULL ? d->function->result : NULL);
    made.params = fields_add(e, d->fields);
    *PUSH_ITEM(e, e->out->externs, e->out->extern_count, e->extern_cap) = made;
    d->symbol->index = e->out->extern_count;
  }
}

/* ---- shapes ---- */

static const Decl *upcast_from(const Emitter *e, const Decl *message, uint32_t version) {
  for (const Unit *u = e->checked->units; u != NULL; u = u->next) {
    for (const Decl *d = u->decls; d != NULL; d = d->next) {
      if (d->kind == DECL_UPCAST && d->symbol == message->symbol && d->from_version == version)
        return d;
    }
  }
  return NULL;
}

static bool is_message(const Decl *decl) {
  return decl->kind == DECL_COMMAND || decl->kind == DECL_EVENT;
}

static Range32 shape_upcasts(Emitter *e, const Decl *decl, uint32_t version) {
  Range32 range = {e->out->index_count, 0};
  if (!is_message(decl)) return range;
  for (uint32_t from = 1; from < version && from < 1000; from++, range.count++) {
    const Decl *upcast = upcast_from(e, decl, from);
    index_add(
        e, upcast != NULL && upcast->function != NULL ? fn_index(e, upcast->function) : NONE_INDEX);
  }
  return range;
}

static uint8_t shape_kind(const Decl *decl) {
  switch (decl->kind) {
    case DECL_COMMAND: return SHAPE_COMMAND;
    case DECL_EVENT: return SHAPE_EVENT;
    case DECL_AGENT: return SHAPE_STATE;
    case DECL_WORKER: return SHAPE_JOB;
    default: return SHAPE_TYPE;
  }
}

static void shape_emit(Emitter *e, Decl *decl) {
  e->where = decl->name_span;
  bool versioned = is_message(decl) && decl->value != NULL && decl->value->kind == EXPR_INT;
  uint32_t version = versioned ? (uint32_t)decl->value->integer : 1;
  bool state = decl->kind == DECL_AGENT;
  BundleShape shape = {
      .kind = shape_kind(decl),
      .name = state ? const_text(e, decl->function->name) : const_name(e, decl->name),
      .version = version,
      .constructor = fn_index(e, decl->function),
      .doc = const_text_or(e, decl->doc)};
  shape.stored_name =
      decl->kind == DECL_EVENT && decl->text.size > 0 ? const_text(e, decl->text) : shape.name;
  shape.fields = fields_add(e, decl->fields);
  shape.upcasts = shape_upcasts(e, decl, version);
  *PUSH_ITEM(e, e->out->shapes, e->out->shape_count, e->shape_cap) = shape;
}

/* ---- methods whose receiver is known only at run time ---- */

static int compare_u32(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static uint32_t sort_unique(uint32_t *items, uint32_t count) {
  uint32_t kept = 0;
  if (count > 0) qsort(items, count, sizeof *items, compare_u32);
  for (uint32_t i = 0; i < count; i++) {
    if (kept == 0 || items[kept - 1] != items[i]) items[kept++] = items[i];
  }
  return kept;
}

typedef struct ReceiverKind {
  const char *module;
  TypeKind kind;
} ReceiverKind;
static const ReceiverKind receivers[] = {/* by number of the kind */
                                         {"int", TYPE_INT},           {"float", TYPE_FLOAT},
                                         {"decimal", TYPE_DECIMAL},   {"text", TYPE_STRING},
                                         {"bytes", TYPE_BYTES},       {"list", TYPE_LIST},
                                         {"map", TYPE_MAP},           {"time", TYPE_TIME},
                                         {"duration", TYPE_DURATION}, {"handle", TYPE_HANDLE},
                                         {"error", TYPE_ERROR}};

static bool native_find(const char *module, Str name, uint32_t *native) {
  for (*native = 0; *native < (uint32_t)NATIVE_COUNT; ++*native) {
    const NativeInfo *info = &native_info[*native];
    if (str_equal(str_of(info->name), name) && strcmp(info->module, module) == 0) return true;
  }
  return false;
}

static bool path_is_module(Str path, const char *module) {
  size_t size = strlen(module);
  return path.size == size + 7 && memcmp(path.at, "std/", 4) == 0 &&
         memcmp(path.at + 4, module, size) == 0;
}

Function *library_find(const Emitter *e, const char *module, Str name) {
  for (const Unit *u = e->checked->units; u != NULL; u = u->next) {
    if (!u->standard || !path_is_module(e->diags->sources[u->source].path, module)) continue;
    for (const Decl *d = u->decls; d != NULL; d = d->next) {
      if (d->kind == DECL_FN && str_equal(d->name->text, name)) return d->function;
    }
  }
  return NULL;
}

static void method_entries(Emitter *e, uint32_t name) {
  Str text = e->out->consts[name].text;
  for (size_t i = 0; i < COUNT_OF(receivers); i++) {
    BundleMethod m = {.name = name, .kind = (uint8_t)receivers[i].kind, .native = 1};
    Function *fn = NULL;
    if (!native_find(receivers[i].module, text, &m.target)) {
      fn = library_find(e, receivers[i].module, text);
      if (fn == NULL) continue;
      m.native = 0;
      m.target = fn_index(e, fn);
    }
    *PUSH_ITEM(e, e->out->methods, e->out->method_count, e->method_cap) = m;
  }
}

/* Each name once, whenever it is met. */
static void method_note(Emitter *e, uint32_t name) {
  if (name >= e->method_seen_size) {
    uint32_t size = (name + 1) * 2;
    uint8_t *seen = arena_alloc(e->arena, size);
    if (e->method_seen_size > 0) memcpy(seen, e->method_seen, e->method_seen_size);
    e->method_seen = seen;
    e->method_seen_size = size;
  }
  if (e->method_seen[name]) return;
  e->method_seen[name] = 1;
  method_entries(e, name);
}

/* ---- flags along the calls ---- */

static uint8_t flags_upward(uint8_t caller, uint8_t callee) {
  uint8_t more = callee & (FN_EFFECTS | FN_MAY_SUSPEND);
  if (caller & FN_PURE) more &= (uint8_t)~FN_EFFECTS;
  return caller | more;
}

/* Who calls what may be suspended may be suspended itself. Callers are found by callee: a counting
 * sort. */
static void flags_spread(Emitter *e) {
  uint32_t fns = e->out->fn_count, work_count = 0;
  uint32_t *first = ARENA_ARRAY(e->arena, uint32_t, fns + 2),
           *callers = ARENA_ARRAY(e->arena, uint32_t, e->edge_count + 1);
  uint32_t *work = ARENA_ARRAY(e->arena, uint32_t, (size_t)fns * 2 + 1);
  for (uint32_t i = 0; i < e->edge_count; i++) first[e->edges[i].to + 2]++;
  for (uint32_t i = 2; i < fns + 2; i++) first[i] += first[i - 1];
  for (uint32_t i = 0; i < e->edge_count; i++)
    callers[first[e->edges[i].to + 1]++] = e->edges[i].from;
  for (uint32_t i = 0; i < fns; i++) {
    if (e->out->fns[i].flags & FN_MAY_SUSPEND) work[work_count++] = i;
  }
  while (work_count > 0) {
    uint32_t callee = work[--work_count];
    for (uint32_t i = first[callee]; i < first[callee + 1]; i++) {
      BundleFn *caller = &e->out->fns[callers[i]];
      uint8_t flags = flags_upward(caller->flags, e->out->fns[callee].flags);
      if (flags == caller->flags) continue;
      caller->flags = flags; /* each function comes here at most twice: two flags */
      work[work_count++] = callers[i];
    }
  }
}

/* ---- queries ---- */

/* Once every workflow has its registers. */
static void queries_emit(Emitter *e, uint32_t index) {
  BundleWorkflow *workflow = &e->out->workflows[index];
  workflow->queries.first = e->out->query_count;
  for (Decl *q = e->workflow_decls[index]->members; q != NULL; q = q->next) {
    if (q->function == NULL) continue;
    BundleQuery query = {.name = const_name(e, q->name), .fn = fn_index(e, q->function)};
    query.captures.first = e->out->index_count;
    for (const Capture *c = q->function->captures; c != NULL; c = c->next, query.captures.count++) {
      index_add(e, (uint32_t)c->outer->reg);
    }
    *PUSH_ITEM(e, e->out->queries, e->out->query_count, e->query_cap) = query;
    workflow->queries.count++;
  }
}

/* ---- the whole ---- */

static void declare(Emitter *e, Decl *decl) {
  switch (decl->kind) {
    case DECL_WORKFLOW: workflow_index(e, decl); return;
    case DECL_TOOL: tool_index(e, decl); return;
    case DECL_EXTERN: externs_declare(e, decl); return;
    case DECL_TYPE: case DECL_COMMAND: case DECL_EVENT:
      if (decl->function != NULL && !decl->made) shape_index(e, decl);
      return;
    case DECL_FN:
    case DECL_CONST:
    case DECL_CONFIG:
    case DECL_IMPORT:
    case DECL_UPCAST:
    case DECL_QUERY:
    case DECL_AGENT: case DECL_DECIDE: case DECL_EVOLVE: case DECL_VIEW: case DECL_INVARIANT:
    case DECL_ROUTER: case DECL_IDENTIFY: case DECL_ROUTE: case DECL_BEFORE: case DECL_HANDLER:
    case DECL_ON: case DECL_WORKER: case DECL_QUEUE: case DECL_EVERY: case DECL_START:
    case DECL_TEST: /* application.c */
    case DECL_MODEL: case DECL_AI_AGENT: case DECL_LIMIT: case DECL_BUDGET: /* model_tables.c */
      return;
  }
}

static void declare_units(Emitter *e) {
  for (Unit *u = e->checked->units; u != NULL; u = u->next) {
    if (u->next == NULL) e->root = u;
  }
  fn_index(e, e->checked->script);
  for (Unit *u = e->checked->units; u != NULL; u = u->next) {
    for (Decl *d = u->decls; d != NULL && !u->standard; d = d->next) declare(e, d);
  }
  application_declare(e);
  model_tables(e);
}

/* Functions and shapes name one another: both lists are worked off until nothing new comes. */
static void emit_reached(Emitter *e) {
  uint32_t fn = 0, shape = 0, workflow = 0, named = 0;
  for (;;) {
    if (shape < e->shape_decl_count) shape_emit(e, e->shape_decls[shape++]);
    else if (fn < e->function_count) function_emit(e, fn, e->functions[fn]), fn++;
    else if (workflow < e->out->workflow_count) queries_emit(e, workflow++);
    else if (named < e->method_name_count) {
      while (named < e->method_name_count) method_note(e, e->method_names[named++]);
    } else return;
  }
}

static int compare_methods(const void *a, const void *b) {
  const BundleMethod *x = a, *y = b;
  if (x->name != y->name) return x->name < y->name ? -1 : 1;
  return (int)x->kind - (int)y->kind;
}

static void finish(Emitter *e) {
  Bundle *b = e->out;
  flags_spread(e);
  b->patch_count = sort_unique(b->patches, b->patch_count);
  if (b->method_count > 0) qsort(b->methods, b->method_count, sizeof *b->methods, compare_methods);
  evolving_hashes(e);
}

bool emit_bundle(Arena *arena, Diags *diags, const Checked *checked, Str root_name, Bundle *out) {
  Emitter e = {
      .arena = arena, .diags = diags, .checked = checked, .out = out, .root_name = root_name};
  *out = (Bundle){0};
  e.source_of = ARENA_ARRAY(arena, uint32_t, diags->source_count + 1);
  e.native_keeps = ARENA_ARRAY(arena, uint8_t, NATIVE_COUNT + 1);
  out->name = const_text(&e, root_name);
  proofs_find(checked);
  declare_units(&e);
  emit_reached(&e);
  finish(&e);
  return !e.failed;
}
