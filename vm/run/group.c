/* Parallel branches: fibers of one run in groups. Structured: the fiber that
** began a group goes on when every branch is over.
**
**   all     results in order; the first failure cancels the rest and is raised
**   settle  each result as {ok, value, error}; nothing is cancelled
**   race    the first to end decides, by value or by error; the rest are cancelled
**
** No record is needed: which branch goes when follows from the journal's events. */
#include "vm/run/state.h"

enum { MODE_ALL, MODE_SETTLE, MODE_RACE };

static uint32_t group_id(const Run *run, const Group *g) {
  for (uint32_t i = 0; i < run->group_count; i++) {
    if (run->groups[i] == g) return i;
  }
  UNREACHABLE();
}

/* What parallel for walks: a list, or a range of ints. */
static bool walk_count(Value over, uint64_t *count) {
  if (value_is_kind(over, OBJ_LIST)) return *count = list_count(over), true;
  if (!value_is_kind(over, OBJ_RANGE)) return false;
  const RangeObj *r = (const RangeObj *)value_obj(over);
  if (r->step > 0) *count = r->to > r->from ? ((uint64_t)r->to - (uint64_t)r->from - 1) / (uint64_t)r->step + 1 : 0;
  else *count = r->to < r->from ? ((uint64_t)r->from - (uint64_t)r->to - 1) / (0 - (uint64_t)r->step) + 1 : 0;
  return true;
}

static Value walk_item(Machine *m, Value over, uint32_t index) {
  if (value_is_kind(over, OBJ_LIST)) return list_at(over, index);
  const RangeObj *r = (const RangeObj *)value_obj(over);
  return value_int(m, (int64_t)((uint64_t)r->from + index * (uint64_t)r->step));
}

static Fiber *branch_fiber(Run *run, Group *g, Fiber *parent, uint32_t index) {
  Machine *m = run->machine;
  if (g->op == OP_PARALLEL) return fiber_new_closure(m, machine_ask_arg(m, parent, index), NULL, 0);
  Value item = walk_item(m, machine_ask_arg(m, parent, 0), index);
  value_share(item);
  return fiber_new_closure(m, machine_ask_arg(m, parent, 1), &item, 1);
}

static uint32_t fibers_alive(const Run *run) {
  uint32_t alive = 0;
  for (uint32_t i = 0; i < run->group_count; i++) alive += run->groups[i] ? run->groups[i]->running : 0;
  return alive;
}

/* Starts branches up to the group's limit. */
static void group_feed(Run *run, Group *g) {
  Fiber *parent = fiber_by_id(run->machine, g->parent);
  uint32_t id = group_id(run, g);
  while (g->decided == NO_GROUP && g->next < g->total && g->running < g->limit) {
    Fiber *f = branch_fiber(run, g, parent, g->next);
    Strand *s = run_strand(run, f->id);
    s->group = id;
    s->index = g->next;
    s->lineage = memory_branch(g->lineage, g->next);
    scopes_inherit(s, run_strand(run, g->parent));
    g->children[g->next++] = f->id;
    g->running++;
    run_ready(run, f->id);
  }
}

static bool parfor_operands(Run *run, Fiber *f, uint32_t *total, uint32_t *limit) {
  Machine *m = run->machine;
  Value list = machine_ask_arg(m, f, 0), bound = machine_ask_arg(m, f, 2);
  int64_t n = 0;
  uint64_t count;
  if (!walk_count(list, &count)) {
    strand_raise(run, f->id, error_fault(m, f, FAULT_TYPE, "parallel for walks a list or a range"));
    return false;
  }
  if (count >= UINT32_MAX) {
    strand_raise(run, f->id, error_fault(m, f, FAULT_SIZE, "%" PRIu32 " branches", UINT32_MAX));
    return false;
  }
  if (bound != VALUE_NIL && (!value_to_int(bound, &n) || n < 1)) {
    strand_raise(run, f->id, error_fault(m, f, FAULT_VALUE, "the limit of parallel for is a positive int"));
    return false;
  }
  *total = (uint32_t)count;
  *limit = bound == VALUE_NIL || n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
  return true;
}

void group_begin(Run *run, Fiber *f) {
  const Ask *ask = &run->machine->ask;
  uint32_t total = ask->arg_count, limit = UINT32_MAX;
  uint8_t mode = ask->mode, op = ask->op;
  if (op == OP_PARFOR && !parfor_operands(run, f, &total, &limit)) return;
  uint32_t most = limit < total ? limit : total;
  if (fibers_alive(run) + most > LIMIT_FIBERS) {
    strand_raise(run, f->id, error_fault(run->machine, f, FAULT_FIBERS, "%d", (int)LIMIT_FIBERS));
    return;
  }
  if (total == 0) {
    fiber_answer(run->machine, f, list_new(run->machine, 0));
    run_ready_first(run, f->id);
    return;
  }
  Group *g = MEM_NEW(Group);
  *g = (Group){.parent = f->id, .op = op, .mode = mode, .total = total, .limit = limit, .decided = NO_GROUP};
  g->children = mem_alloc(total * sizeof *g->children);
  g->lineage = memory_group(run, f);
  run->groups = mem_grow(run->groups, &run->group_cap, run->group_count + 1, sizeof(Group *));
  Strand *s = run_strand(run, f->id);
  s->on = FIBER_ON_GROUP;
  s->waits_group = run->group_count;
  run->groups[run->group_count++] = g;
  group_feed(run, g);
}

/* ---- results ---- */

static Value settled(Machine *m, Fiber *f) {
  bool ok = f->status == FIBER_DONE;
  m->temp[0] = map_new(m, 3);
  map_set_text(m, &m->temp[0], STR("ok"), value_bool(ok));
  map_set_text(m, &m->temp[0], STR("value"), ok ? f->result : VALUE_NIL);
  map_set_text(m, &m->temp[0], STR("error"), ok ? VALUE_NIL : f->result);
  Value map = m->temp[0];
  m->temp[0] = VALUE_NIL;
  return map;
}

static Value group_list(Run *run, Group *g) {
  Machine *m = run->machine;
  m->roots[1] = list_new(m, g->total);
  for (uint32_t i = 0; i < g->total; i++) {
    Fiber *f = fiber_by_id(m, g->children[i]);
    Value v = g->mode == MODE_SETTLE ? settled(m, f) : f->result;
    list_push(m, &m->roots[1], v);
  }
  Value list = m->roots[1];
  m->roots[1] = VALUE_NIL;
  return list;
}

static void group_reap(Run *run, Group *g) {
  for (uint32_t i = 0; i < g->next; i++) {
    uint32_t id = g->children[i];
    fiber_reap(run->machine, fiber_by_id(run->machine, id));
    strand_free(run->strands[id]);
    run->strands[id] = NULL;
  }
}

static void group_over(Run *run, Group *g) {
  Machine *m = run->machine;
  uint32_t parent = g->parent, id = group_id(run, g);
  bool ok = true;
  Value v;
  if (g->decided != NO_GROUP) {
    Fiber *decider = fiber_by_id(m, g->children[g->decided]);
    ok = decider->status == FIBER_DONE;
    v = decider->result;
  } else {
    v = group_list(run, g);
  }
  memory_joined(run, id);
  group_reap(run, g);
  group_free(g);
  run->groups[id] = NULL;
  while (run->group_count && !run->groups[run->group_count - 1]) run->group_count--;
  if (ok) strand_answer(run, parent, v);
  else strand_raise(run, parent, v);
}

/* A branch has returned or failed. */
void group_child_over(Run *run, Fiber *child) {
  Strand *s = run_strand(run, child->id);
  Group *g = run->groups[s->group];
  g->running--;
  bool failed = child->status == FIBER_FAULTED;
  bool decides = g->mode == MODE_RACE || (failed && (g->mode == MODE_ALL || !error_catchable(child->result)));
  if (decides && g->decided == NO_GROUP) {
    g->decided = s->index;
    for (uint32_t i = 0; i < g->next; i++) {
      if (i == s->index) continue;
      cancel_strand(run, g->children[i], g->mode == MODE_RACE ? WHY_RACE : "another branch failed");
    }
  }
  group_feed(run, g);
  if (g->running == 0 && (g->next == g->total || g->decided != NO_GROUP)) group_over(run, g);
}
