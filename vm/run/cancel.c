/* Cancellation: a strand that waits is told by a fault that no catch takes, so
** that its `finally` blocks run (they may perform effects). An irreversible call
** whose outcome is not known is let finish first. */
#include "vm/run/state.h"

/* The effects in flight of a strand are no longer wanted. */
static void drop_waits(Run *run, uint32_t fiber, const char *why) {
  for (uint32_t i = 0; i < run->wait_count;) {
    Wait *w = run->waits[i];
    if (w->fiber != fiber || w->dropped || w->effect == 0) { /* the timer of the attempt itself is not the strand's */
      i++;
      continue;
    }
    uint32_t before = run->wait_count;
    wait_drop(run, w, str_of(why));
    if (run->diverged) return;
    if (run->wait_count == before) i++; /* kept, for its late answer */
  }
}

static void abandon_tools(Run *run, Strand *s, Fiber *f) {
  while (s->tool_count > 0) {
    const ToolCall *call = &s->tools[s->tool_count - 1];
    if (call->phase == TOOL_PERFORMING) memory_maybe(run, call->seq);
    if (tool_in_body(run, s)) fiber_abandon_call(run->machine, f);
    scopes_trim(s, call->scopes);
    s->tool_count--;
  }
}

/* The run's fibers will not go on at all: no `finally`, no frame is looked at. */
void cancel_rough(Run *run, const char *why) {
  for (uint32_t i = 0; i < run->strand_count && !run->diverged; i++) {
    const Strand *s = run->strands[i];
    if (!s) continue;
    drop_waits(run, i, why);
    for (uint32_t t = 0; t < s->tool_count; t++)
      if (s->tools[t].phase == TOOL_PERFORMING) memory_maybe(run, s->tools[t].seq);
  }
}

void cancel_strand(Run *run, uint32_t fiber, const char *why) {
  Fiber *f = fiber_by_id(run->machine, fiber);
  if (!f || f->status == FIBER_DONE || f->status == FIBER_FAULTED) return;
  Strand *s = run_strand(run, fiber);
  if (s->cancelled) return;
  s->cancelled = true;
  if (s->on == FIBER_ON_GROUP) { /* its branches are told; it hears of it through them */
    Group *g = run->groups[s->waits_group];
    uint32_t started = g->next;
    if (g->decided == NO_GROUP && started < g->total) g->total = started;
    for (uint32_t i = 0; i < started; i++) cancel_strand(run, g->children[i], why);
    return;
  }
  if (strand_shielded(run, s)) {
    s->cancel_due = true;
    return;
  }
  drop_waits(run, fiber, why);
  if (run->diverged) return;
  for (uint32_t i = 0; i < s->await_count; i++) mem_free((void *)(uintptr_t)s->awaits[i].value.at);
  mem_free(s->awaits);
  s->awaits = NULL;
  s->await_count = 0;
  abandon_tools(run, s, f);
  if (f->status == FIBER_BLOCKED) {
    strand_raise(run, fiber, error_fault(run->machine, f, FAULT_CANCELLED, ": %s", why));
  } else {
    s->cancel_due = true; /* it is ready, in the queue: struck when its turn comes (step.c) */
  }
}

void cancel_run(Run *run, Str why) {
  char text[200];
  snprintf(text, sizeof text, "%.*s", (int)(why.size < 190 ? why.size : 190), why.at);
  run->cancelling = true;
  if (attempts_resting(run)) {
    attempts_cancelled(run, str_of(text));
    return;
  }
  uint32_t count = run->strand_count; /* strands that begin later belong to finally blocks */
  for (uint32_t i = 0; i < count; i++) {
    if (run->strands[i] && run->strands[i]->group == NO_GROUP) cancel_strand(run, i, text);
  }
}
