/* Who waits, and who may go. */
#include "vm/base/mem.h"
#include "vm/base/text.h"
#include "vm/runtime/gate_impl.h"

/* ---- limits --------------------------------------------------------------------------- */

/* The limit that holds it up, NULL: none. `own`: whose queue it leads. Nobody passes those who wait. */
static Limit *blocked_by(const Call *c, const Limit *own, int64_t now_us) {
  for (uint32_t i = 0; i < c->limit_count; i++) {
    Limit *l = c->limits[i].limit;
    bool behind = l != own && l->waiting > 0;
    if (behind || !limit_room(l, c->limits[i].want, now_us)) return l;
  }
  return NULL;
}

static void limits_take(Gate *g, Call *c, int64_t now_us) {
  for (uint32_t i = 0; i < c->limit_count; i++) {
    LimitUse *use = &c->limits[i];
    use->at_us = limit_take(use->limit, use->want, now_us);
    limits_keep(g->limits, use->limit);
  }
}

static void queue_join(Gate *g, Call *c, Limit *l) {
  if (l->waiting == 0) {
    bool there = false;
    for (uint32_t i = 0; i < g->queued_count; i++) there |= g->queued[i] == l;
    if (!there) {
      g->queued = mem_grow(g->queued, &g->queued_cap, g->queued_count + 1, sizeof(Limit *));
      g->queued[g->queued_count++] = l;
    }
  }
  c->state = CALL_LIMIT;
  c->queue = l;
  limit_join(l, &c->turn);
}

static void call_pass(Gate *g, Call *c, int64_t now_us) {
  limits_take(g, c, now_us);
  c->queue = NULL;
  call_chosen(g, c);
}

void call_limits(Scheduler *s, Call *c) {
  int64_t now = clock_now(&s->clock);
  Limit *l = c->stub ? NULL : blocked_by(c, NULL, now);
  if (c->stub) call_chosen(s->gate, c);
  else if (l == NULL) call_pass(s->gate, c, now);
  else {
    queue_join(s->gate, c, l);
    call_hold_put(s->gate, c);
  }
}

/* False: the next one must wait. */
static bool queue_step(Gate *g, Limit *l, int64_t now_us) {
  LimitTurn *turn = limit_next(l);
  if (turn == NULL) return false;
  Call *c = (Call *)(void *)turn;
  Limit *by = blocked_by(c, l, now_us);
  if (by == l) return false;
  limit_passed(l);
  if (by != NULL) queue_join(g, c, by);
  else call_pass(g, c, now_us);
  return true;
}

void gate_collect(Scheduler *s, int64_t now_us) {
  Gate *g = s->gate;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < g->queued_count; i++) { /* may grow meanwhile */
    while (queue_step(g, g->queued[i], now_us)) continue;
  }
  for (uint32_t i = 0; i < g->queued_count; i++)
    if (g->queued[i]->waiting > 0) g->queued[kept++] = g->queued[i];
  g->queued_count = kept;
}

static int64_t limit_due(const Limit *l, int64_t now_us) {
  const Call *c = (const Call *)(const void *)limit_next(l);
  if (c == NULL) return 0;
  for (uint32_t i = 0; i < c->limit_count; i++)
    if (c->limits[i].limit == l) return limit_opens(l, c->limits[i].want, now_us);
  return now_us;
}

int64_t gate_next_due(Scheduler *s) {
  Gate *g = s->gate;
  int64_t next = 0, now = clock_now(&s->clock);
  for (uint32_t i = 0; i < g->queued_count; i++) {
    int64_t due = limit_due(g->queued[i], now);
    if (due != 0 && (next == 0 || due < next)) next = due;
  }
  return next;
}

/* ---- budgets --------------------------------------------------------------------------- */

void call_budget(Gate *g, Call *c) {
  c->state = CALL_BUDGET;
  c->next_waiting = NULL;
  *g->waiting_end = c;
  g->waiting_end = &c->next_waiting;
  ledger_wait(c->uses, c->use_count, &c->want);
}

static void budget_leave(Gate *g, Call *c) {
  Call **link = &g->waiting;
  while (*link != c) link = &(*link)->next_waiting;
  *link = c->next_waiting;
  if (g->waiting_end == &c->next_waiting) g->waiting_end = link;
  ledger_wait_over(c->uses, c->use_count);
}

void call_unqueue(Gate *g, Call *c) {
  if (c->state == CALL_BUDGET) budget_leave(g, c);
  if (c->state == CALL_LIMIT) limit_leave(c->queue, &c->turn);
}

/* ---- told -------------------------------------------------------------------------------- */

static void limit_told(const Call *c, int64_t now_us, Buf *out) {
  const Limit *l = c->queue;
  uint32_t ahead = limit_ahead(l, &c->turn);
  int64_t due = limit_due(l, now_us), wait_s = (due - now_us + 999999) / 1000000;
  buf_format(out, "#%" PRIu64 " waiting %" PRId64 " s%s for " STR_FMT ", %" PRIu64 " of %" PRIu64 " %s per ", c->seq,
             wait_s > 0 ? wait_s : 0, ahead > 0 ? " or more" : "", STR_ARG(l->name), limit_used(l, now_us), l->most,
             l->tokens ? "tokens" : "requests");
  duration_print(l->per_us, out);
  if (ahead > 0) buf_format(out, ", %u before it", ahead);
  buf_byte(out, '\n');
}

void scheduler_waiting(Scheduler *s, uint64_t number, Buf *out) {
  const Slot *slot = slot_by_number(s, number);
  for (const Call *c = slot != NULL ? slot->calls : NULL; c != NULL; c = c->next) {
    if (c->state == CALL_LIMIT) limit_told(c, clock_now(&s->clock), out);
    if (c->state == CALL_BUDGET)
      buf_format(out, "#%" PRIu64 " waiting for other calls of its budget to end\n", c->seq);
  }
}

bool gate_queued(const Slot *slot) {
  for (const Call *c = slot->calls; c != NULL; c = c->next)
    if (c->state == CALL_LIMIT || c->state == CALL_BUDGET) return true;
  return false;
}
