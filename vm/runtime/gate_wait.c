/* Who waits, and who may go. */
#include "vm/base/mem.h"
#include "vm/base/text.h"
#include "vm/runtime/gate_impl.h"

/* ---- limits --------------------------------------------------------------------------- */

static void limits_take(Gate *g, Call *c, int64_t now_us) {
  for (uint32_t i = 0; i < c->limit_count; i++) {
    LimitUse *use = &c->limits[i];
    use->at_us = limit_take(use->limit, use->want, now_us);
    limits_keep(g->limits, use->limit);
  }
}

static void queue_join(Gate *g, Call *c, uint32_t place) {
  Limit *l = c->limits[place].limit;
  if (l->waiting == 0) {
    bool there = false;
    for (uint32_t i = 0; i < g->queued_count; i++) there |= g->queued[i] == l;
    if (!there) {
      g->queued = mem_grow(g->queued, &g->queued_cap, g->queued_count + 1, sizeof(Limit *));
      g->queued[g->queued_count++] = l;
    }
  }
  c->state = CALL_LIMIT;
  c->place = place;
  if (c->turn.since == 0) c->turn.since = ++g->turns;
  limit_join(l, &c->turn);
}

static void limits_let_go(Call *c, uint32_t first, uint32_t end) {
  for (uint32_t i = first; i < end; i++) c->limits[i].limit->held = NULL;
}

static void let_go_note(Gate *g, const Call *c) {
  for (uint32_t i = 0; i + 1 < c->limit_count; i++) {
    Limit *l = c->limits[i].limit;
    if (l->waiting == 0) continue;
    g->let_go = mem_grow(g->let_go, &g->let_go_cap, g->let_go_count + 1, sizeof(Limit *));
    g->let_go[g->let_go_count++] = l;
  }
}

/* Room in all of them at once, which it holds; what was counted too low may have been corrected since. */
static void call_pass(Gate *g, Call *c, int64_t now_us) {
  uint32_t i = 0;
  while (i < c->limit_count && limit_room(c->limits[i].limit, c->limits[i].want, now_us)) i++;
  limits_let_go(c, i, c->limit_count);
  if (i < c->limit_count) {
    queue_join(g, c, i);
    return;
  }
  limits_let_go(c, 0, c->limit_count);
  let_go_note(g, c);
  limits_take(g, c, now_us);
  call_chosen(g, c);
}

/* From limit to limit, in the same order for all: who waits for a broad one holds the narrower ones it was let through,
** so that others cannot take from each whenever it waits for the other; and since the order is the same, no two can
** hold what the other one needs. */
static void call_go_on(Gate *g, Call *c, uint32_t place, int64_t now_us) {
  for (; place < c->limit_count; place++) {
    Limit *l = c->limits[place].limit;
    if (l->held == &c->turn) continue; /* it counts there twice */
    if (l->held != NULL || l->waiting > 0 || !limit_room(l, c->limits[place].want, now_us)) {
      queue_join(g, c, place);
      return;
    }
    l->held = &c->turn;
  }
  call_pass(g, c, now_us);
}

void call_limits(Scheduler *s, Call *c) {
  if (c->stub) call_chosen(s->gate, c);
  else call_go_on(s->gate, c, 0, clock_now(&s->clock));
  if (c->state == CALL_LIMIT) call_hold_put(s->gate, c);
}

/* False: the next one must wait. */
static bool queue_step(Gate *g, Limit *l, int64_t now_us) {
  LimitTurn *turn = limit_next(l);
  if (turn == NULL || l->held != NULL) return false;
  Call *c = (Call *)(void *)turn;
  if (!limit_room(l, c->limits[c->place].want, now_us)) return false;
  limit_passed(l, ++g->turns);
  l->held = turn;
  call_go_on(g, c, c->place + 1, now_us);
  return true;
}

/* Who passes lets go what others wait for, who may have waited for longer than those that are next where it passed. */
static void let_go_steps(Gate *g, int64_t now_us) {
  while (g->let_go_count > 0) {
    Limit *l = g->let_go[--g->let_go_count];
    while (queue_step(g, l, now_us)) continue;
  }
}

void gate_collect(Scheduler *s, int64_t now_us) {
  Gate *g = s->gate;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < g->queued_count; i++) /* may grow meanwhile */
    while (queue_step(g, g->queued[i], now_us)) let_go_steps(g, now_us);
  for (uint32_t i = 0; i < g->queued_count; i++)
    if (g->queued[i]->waiting > 0) g->queued[kept++] = g->queued[i];
  g->queued_count = kept;
}

static int64_t limit_due(const Limit *l, int64_t now_us) {
  const Call *c = (const Call *)(const void *)limit_next(l);
  return c == NULL || l->held != NULL ? 0 : limit_opens(l, c->limits[c->place].want, now_us);
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
  if (c->state != CALL_LIMIT) return;
  limit_leave(c->limits[c->place].limit, &c->turn);
  limits_let_go(c, 0, c->place);
}

/* ---- told -------------------------------------------------------------------------------- */

static void limit_told(const Call *c, int64_t now_us, Buf *out) {
  const Limit *l = c->limits[c->place].limit;
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
