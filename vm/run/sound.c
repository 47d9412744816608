/* Whether a state that was loaded holds together: who waits for what, and what is asked for whom, must
** agree with where the fibers stand. What is not looked at here cannot hurt: it is wrong at most. */
#include "vm/run/state.h"

static bool has_strand(const Run *run, uint32_t id) { return id < run->strand_count && run->strands[id]; }

static bool blocked(const Run *run, uint32_t id) {
  const Fiber *f = fiber_by_id(run->machine, id);
  return f && f->status == FIBER_BLOCKED;
}

static const Group *group_at(const Run *run, uint32_t id) { return id < run->group_count ? run->groups[id] : NULL; }

/* ---- branches ---- */

static bool group_sound(const Run *run, uint32_t id) {
  const Group *g = run->groups[id];
  uint32_t alive = 0;
  if (!has_strand(run, g->parent) || !blocked(run, g->parent)) return false;
  const Strand *parent = run->strands[g->parent];
  if (parent->on != FIBER_ON_GROUP || parent->waits_group != id) return false;
  for (uint32_t i = 0; i < g->next; i++) {
    if (!has_strand(run, g->children[i])) return false;
    const Strand *s = run->strands[g->children[i]];
    const Fiber *f = fiber_by_id(run->machine, g->children[i]);
    if (s->group != id || s->index != i) return false;
    alive += f->status == FIBER_READY || f->status == FIBER_BLOCKED;
  }
  return alive == g->running && alive > 0 && (g->op == OP_PARALLEL || g->limit > 0);
}

/* From a branch to its parent and on one comes to the main fiber. */
static bool rooted(const Run *run, const Strand *s) {
  for (uint32_t steps = 0; s->group != NO_GROUP; steps++) {
    const Group *g = group_at(run, s->group);
    if (!g || s->index >= g->next || steps > run->group_count || !has_strand(run, g->parent)) return false;
    s = run->strands[g->parent];
  }
  return run->strand_count > 0 && s == run->strands[0];
}

/* ---- waits ---- */

/* The instruction at which the strand's innermost tool call stands; frames of its body are above it. */
static bool tool_stands(const Run *run, uint32_t id, const ToolCall *call, bool body) {
  const Fiber *f = fiber_by_id(run->machine, id);
  uint32_t top = f->frame_count;
  while (body && top > 0 && !(f->frames[top - 1].flags & FRAME_BOUNDARY)) top--;
  if (top <= (body ? 1u : 0u)) return false;
  const Frame *fr = &f->frames[top - (body ? 2 : 1)];
  uint32_t words = op_info[OP_EFFECT].words;
  if (fr->pc < words) return false;
  const uint32_t *at = &run->bundle->code[run->bundle->fns[fr->fn].code + fr->pc - words];
  return (at[0] & 0xff) == OP_EFFECT && at[2] == call->tool && run->bundle->sites[at[1]].kind == EFFECT_TOOL;
}

static bool tools_sound(Run *run, uint32_t id) {
  const Strand *s = run->strands[id];
  if (s->tool_count == 0) return true;
  const ToolCall *call = &s->tools[s->tool_count - 1];
  const BundleTool *tool = &run->bundle->tools[call->tool];
  if (call->phase == TOOL_CHECKING && tool->check == NONE_INDEX) return false;
  if (call->phase == TOOL_RECHECKING && tool->check == NONE_INDEX) return false;
  return tool_stands(run, id, call, tool_in_body(run, s));
}

static bool awaits(const Strand *s, uint64_t seq) {
  for (uint32_t i = 0; i < s->await_count; i++) {
    if (s->awaits[i].seq == seq && s->awaits[i].outcome == 0) return true;
  }
  return false;
}

/* A decision is held against what was asked: the fiber must stand there. */
static bool stands_at_approve(const Run *run, uint32_t id) {
  const Fiber *f = fiber_by_id(run->machine, id);
  uint32_t words = op_info[OP_EFFECT].words;
  if (f->frame_count == 0) return false;
  const Frame *fr = &f->frames[f->frame_count - 1];
  if (fr->pc < words) return false;
  const uint32_t *at = &run->bundle->code[run->bundle->fns[fr->fn].code + fr->pc - words];
  return (at[0] & 0xff) == OP_EFFECT && run->bundle->sites[at[1]].kind == EFFECT_APPROVE;
}

/* Of a wait that is not dropped, for an effect: its answer goes to a strand that waits for it. */
static bool wait_sound(const Run *run, const Wait *w) {
  if (!has_strand(run, w->fiber) || !blocked(run, w->fiber)) return false;
  const Strand *s = run->strands[w->fiber];
  uint8_t phase = s->tool_count ? s->tools[s->tool_count - 1].phase : TOOL_PERFORMING;
  bool between = phase != TOOL_PERFORMING && phase != TOOL_CHECKING && phase != TOOL_STUCK;
  if ((w->effect == EFFECT_TOOL) != between) return false; /* only its own timer and limit answer such a call */
  if (w->kind == REQUEST_APPROVAL && !stands_at_approve(run, w->fiber)) return false;
  if (w->effect == EFFECT_STUB && (s->tool_count == 0 || phase == TOOL_STUCK)) return false;
  switch ((FiberWait)s->on) {
    case FIBER_ON_ANSWER: return s->seq == w->seq;
    case FIBER_ON_SIGNAL: return s->timer_seq == w->seq;
    case FIBER_ON_AWAITS: return awaits(s, w->seq);
    case FIBER_ON_NOTHING: case FIBER_ON_GROUP: case FIBER_ON_PERSON: return false;
  }
  return false;
}

static bool strand_sound(Run *run, uint32_t id) {
  const Strand *s = run->strands[id];
  const Group *g = s->on == FIBER_ON_GROUP ? group_at(run, s->waits_group) : NULL;
  if (!rooted(run, s)) return false;
  if (s->on == FIBER_ON_GROUP && (!g || g->parent != id)) return false;
  if (s->on != FIBER_ON_NOTHING && !blocked(run, id)) return false;
  if (s->on == FIBER_ON_PERSON && (s->tool_count == 0 || s->tools[s->tool_count - 1].phase != TOOL_STUCK)) return false;
  return tools_sound(run, id);
}

/* ---- readiness ---- */

static bool ready_sound(const Run *run) {
  bool ok = true;
  bool *seen = mem_alloc(run->machine->fiber_count + 1);
  for (uint32_t i = 0; ok && i < run->ready_count; i++) {
    const Fiber *f = fiber_by_id(run->machine, run->ready[i]);
    ok = f && f->status != FIBER_BLOCKED && has_strand(run, run->ready[i]) && !seen[run->ready[i]];
    seen[run->ready[i]] = true;
  }
  mem_free(seen);
  return ok;
}

bool state_sound(Run *run) {
  for (uint32_t i = 0; i < run->group_count; i++) {
    if (run->groups[i] && !group_sound(run, i)) return false;
  }
  for (uint32_t i = 0; i < run->strand_count; i++) {
    if (run->strands[i] && !strand_sound(run, i)) return false;
  }
  for (uint32_t i = 0; i < run->wait_count; i++) {
    const Wait *w = run->waits[i];
    if (!w->dropped && w->effect != 0 && !wait_sound(run, w)) return false;
  }
  return ready_sound(run);
}
