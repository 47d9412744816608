/* What a bundle must satisfy beyond the bounds of each member, so that those who
** walk it need no care: functions tile the code, types are made of earlier types
** (no walk over them can go round), every function is of the kind its place asks. */
#include "vm/base/mem.h"
#include "vm/bundle/format.h"

typedef struct Shares { /* items of the shared pools that ranges have claimed so far */
  uint64_t fields, indexes;
} Shares;

static bool wrong(Err *err, const char *pool, uint32_t item, const char *what) {
  FAIL(err, ERR_CORRUPT, "bundle: %s %" PRIu32 ": %s", pool, item, what);
  return false;
}

static bool kind_of(const Bundle *b, uint32_t fn, FnKind kind) {
  return fn < b->fn_count && b->fns[fn].kind == kind;
}

static const char *type_wrong(const Bundle *b, uint32_t index) {
  const BundleType *t = &b->types[index];
  bool has_elem = t->kind == TYPE_LIST || t->kind == TYPE_MAP;
  if (t->elem != NONE_INDEX && t->elem >= index) return "it is made of a later type";
  if (has_elem != (t->elem != NONE_INDEX)) return "element type";
  if ((t->kind == TYPE_RECORD) != (t->shape != NONE_INDEX)) return "shape";
  if ((t->kind == TYPE_LITERAL) != (t->literal != NONE_INDEX)) return "literal";
  if (t->kind != TYPE_UNION && t->members.count != 0) return "members";
  if (t->kind != TYPE_OBJECT && t->fields.count != 0) return "fields";
  for (uint32_t i = 0; i < t->members.count; i++) {
    if (b->indexes[t->members.first + i] >= index) return "it is made of a later type";
  }
  for (uint32_t i = 0; i < t->fields.count; i++) {
    if (b->fields[t->fields.first + i].type >= index) return "it is made of a later type";
  }
  return NULL;
}

/* Parts of a type written out in full, parts of parts too: what checking or printing it may cost.
 */
static uint64_t type_weight(const Bundle *b, const BundleType *t, const uint32_t *weights) {
  uint64_t weight = 1;
  if (t->elem != NONE_INDEX) weight += weights[t->elem];
  for (uint32_t i = 0; i < t->members.count; i++)
    weight += weights[b->indexes[t->members.first + i]];
  for (uint32_t i = 0; i < t->fields.count; i++)
    weight += weights[b->fields[t->fields.first + i].type];
  return weight;
}

static bool check_types(const Bundle *b, Shares *shares, Err *err) {
  const char *what = NULL;
  uint32_t *weights = mem_alloc(sizeof(uint32_t) * ((size_t)b->type_count + 1));
  uint32_t i = 0;
  for (; i < b->type_count && what == NULL; i++) {
    if ((what = type_wrong(b, i)) != NULL) break;
    uint64_t weight = type_weight(b, &b->types[i], weights);
    if (weight > BUNDLE_TYPE_WEIGHT) what = "it has too many parts";
    weights[i] = (uint32_t)weight;
    shares->indexes += b->types[i].members.count;
    shares->fields += b->types[i].fields.count;
    if (shares->indexes > b->index_count || shares->fields > b->field_count)
      what = "ranges overlap";
    if (what != NULL) break;
  }
  mem_free(weights);
  return what == NULL || wrong(err, "type", i, what);
}

static const char *shape_wrong(const Bundle *b, const BundleShape *s) {
  if (s->version == 0) return "versions begin at 1";
  if (s->fields.count > LIMIT_ARGUMENTS) return "too many fields";
  if (!kind_of(b, s->constructor, FNKIND_CONSTRUCTOR)) return "its constructor is not one";
  if (b->fns[s->constructor].params.count != s->fields.count) return "its constructor's parameters";
  for (uint32_t i = 0; i < s->upcasts.count; i++) {
    uint32_t fn = b->indexes[s->upcasts.first + i];
    if (fn == NONE_INDEX) continue;
    if (!kind_of(b, fn, FNKIND_UPCAST) || b->fns[fn].params.count != 1) return "an upcast";
  }
  return NULL;
}

typedef struct Tiling { /* where the next function's pieces must begin */
  uint32_t code, handler, line;
} Tiling;

static const char *fn_parts_wrong(const Bundle *b, const BundleFn *fn) {
  for (uint32_t i = 0; i < fn->handlers.count; i++) {
    const BundleHandler *h = &b->handlers[fn->handlers.first + i];
    if (h->start >= h->end || h->end > fn->code_count || h->target >= fn->code_count) {
      return "a handler leaves the code";
    }
    if (h->reg >= fn->regs) return "a handler's register";
  }
  for (uint32_t i = 0; i < fn->lines.count; i++) {
    const BundleLine *line = &b->lines[fn->lines.first + i];
    if (line->pc >= fn->code_count) return "a line leaves the code";
    if (i > 0 && line->pc <= line[-1].pc) return "lines are not in order";
  }
  return NULL;
}

static const char *fn_wrong(const Bundle *b, const BundleFn *fn, Tiling *tiling) {
  uint32_t first = fn->params.count + fn->captures;
  if (fn->params.count > LIMIT_ARGUMENTS || first > fn->regs)
    return "more parameters than registers";
  if (fn->regs > LIMIT_REGISTERS) return "too many registers";
  if (fn->min_args > fn->params.count) return "it wants more arguments than it has parameters";
  if (fn->code != tiling->code || fn->handlers.first != tiling->handler ||
      fn->lines.first != tiling->line) {
    return "its code does not follow that of the one before";
  }
  if (fn->code_count == 0 || fn->code_count > LIMIT_STRAIGHT_LINE) return "size of the code";
  if (fn->code_count > b->code_count - fn->code) return "the code leaves its pool";
  *tiling = (Tiling){fn->code + fn->code_count, fn->handlers.first + fn->handlers.count,
                     fn->lines.first + fn->lines.count};
  return fn_parts_wrong(b, fn);
}

static const char *query_wrong(const Bundle *b, const BundleWorkflow *w, const BundleQuery *q) {
  const BundleFn *fn = &b->fns[q->fn], *frame = &b->fns[w->fn];
  if (fn->kind != FNKIND_QUERY || fn->captures != q->captures.count) return "a query's function";
  for (uint32_t i = 0; i < q->captures.count; i++) {
    if (b->indexes[q->captures.first + i] >= frame->regs) return "a query's registers";
  }
  return NULL;
}

static const char *workflow_wrong(const Bundle *b, const BundleWorkflow *w) {
  if (!kind_of(b, w->fn, FNKIND_WORKFLOW)) return "its function is not a workflow";
  for (uint32_t i = 0; i < w->queries.count; i++) {
    const char *what = query_wrong(b, w, &b->queries[w->queries.first + i]);
    if (what != NULL) return what;
  }
  return NULL;
}

static const char *tool_wrong(const Bundle *b, const BundleTool *t) {
  if (!kind_of(b, t->perform, FNKIND_PERFORM) || b->fns[t->perform].params.count == 0)
    return "perform";
  uint32_t params = b->fns[t->perform].params.count;
  if (t->check != NONE_INDEX) {
    if (!kind_of(b, t->check, FNKIND_CHECK) || b->fns[t->check].params.count != params)
      return "check";
  }
  if (t->unless != NONE_INDEX) {
    if (!kind_of(b, t->unless, FNKIND_UNLESS) || b->fns[t->unless].params.count != 1)
      return "unless";
  }
  if (t->max_attempts == 0) return "it may never be tried";
  if (t->timeout_us < 0 || t->backoff_min_us < 0 || t->backoff_max_us < t->backoff_min_us)
    return "times";
  if (t->limit_name != NONE_INDEX && (t->limit_count == 0 || t->limit_per_us <= 0)) return "limit";
  return NULL;
}

static const char *site_wrong(const Bundle *b, const BundleSite *s) {
  if (effect_info(s->kind) == NULL) return "an effect that is not known";
  return bundle_site_id(b, s) == s->id ? NULL : "its id is not that of its place";
}

static const char *method_wrong(const Bundle *b, const BundleMethod *m,
                                const BundleMethod *before) {
  uint32_t count = m->native ? (uint32_t)NATIVE_COUNT : b->fn_count;
  if (m->target >= count) return "an index is out of range";
  if (before == NULL) return NULL;
  bool sorted = before->name < m->name || (before->name == m->name && before->kind < m->kind);
  return sorted ? NULL : "methods are not in order";
}

/* ---- the walk ---- */

static bool check_shapes(const Bundle *b, Shares *shares, Err *err) {
  for (uint32_t i = 0; i < b->shape_count; i++) {
    const char *what = shape_wrong(b, &b->shapes[i]);
    if (what != NULL) return wrong(err, "shape", i, what);
    shares->indexes += b->shapes[i].upcasts.count;
    shares->fields += b->shapes[i].fields.count;
  }
  return true;
}

static bool check_fns(const Bundle *b, Shares *shares, Err *err) {
  Tiling tiling = {0, 0, 0};
  for (uint32_t i = 0; i < b->fn_count; i++) {
    const char *what = fn_wrong(b, &b->fns[i], &tiling);
    if (what != NULL) return wrong(err, "fn", i, what);
    shares->fields += b->fns[i].params.count;
  }
  if (tiling.code != b->code_count)
    return wrong(err, "code", tiling.code, "belongs to no function");
  if (tiling.handler != b->handler_count)
    return wrong(err, "handler", tiling.handler, "belongs to no function");
  if (tiling.line != b->line_count)
    return wrong(err, "line", tiling.line, "belongs to no function");
  return true;
}

static bool check_declarations(const Bundle *b, Shares *shares, Err *err) {
  uint64_t queries = 0;
  const char *what;
  for (uint32_t i = 0; i < b->workflow_count; i++) {
    if ((queries += b->workflows[i].queries.count) > b->query_count)
      return wrong(err, "workflow", i, "queries");
    if ((what = workflow_wrong(b, &b->workflows[i])) != NULL)
      return wrong(err, "workflow", i, what);
  }
  for (uint32_t i = 0; i < b->query_count; i++) shares->indexes += b->queries[i].captures.count;
  for (uint32_t i = 0; i < b->tool_count; i++) {
    if ((what = tool_wrong(b, &b->tools[i])) != NULL) return wrong(err, "tool", i, what);
  }
  for (uint32_t i = 0; i < b->extern_count; i++) shares->fields += b->externs[i].params.count;
  return true;
}

static bool check_tables(const Bundle *b, Err *err) {
  const char *what;
  for (uint32_t i = 0; i < b->site_count; i++) {
    if ((what = site_wrong(b, &b->sites[i])) != NULL) return wrong(err, "site", i, what);
  }
  for (uint32_t i = 0; i < b->method_count; i++) {
    what = method_wrong(b, &b->methods[i], i == 0 ? NULL : &b->methods[i - 1]);
    if (what != NULL) return wrong(err, "method", i, what);
  }
  return true;
}

bool bundle_wellformed(const Bundle *b, Err *err) {
  Shares shares = {0, 0};
  if (!check_types(b, &shares, err)) return false;
  if (!check_shapes(b, &shares, err) || !check_fns(b, &shares, err)) return false;
  if (!check_declarations(b, &shares, err) || !check_tables(b, err)) return false;
  if (!bundle_application_wellformed(b, &shares.indexes, err)) return false;
  if (!kind_of(b, b->script, FNKIND_SCRIPT))
    return wrong(err, "fn", b->script, "it is not a script");
  if (b->fns[b->script].params.count + b->fns[b->script].captures != 0) {
    return wrong(err, "fn", b->script, "a script takes nothing");
  }
  if (shares.fields > b->field_count || shares.indexes > b->index_count) {
    return wrong(err, "bundle", 0, "ranges overlap");
  }
  return true;
}
