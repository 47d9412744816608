/* Which bodies perform effects, and by what calls; which are reached at all; and
** the places that must not. Each body keeps the call by which its nearest effect is
** reached, so the chain is at hand when it has to be shown. */
#include "compiler/check/checker.h"

void purity_effect(Checker *c, Span span, Str word) {
  Body *body = c->frame->body;
  if (c->place != PURE_NONE) {
    PureUse *use = ARENA_NEW(c->arena, PureUse);
    *use = (PureUse){.place = c->place, .span = span, .word = word, .next = c->uses};
    c->uses = use;
  }
  if (body->effect_word.at) return;
  body->effect_word = word;
  body->effect_span = span;
}

static void edge_place(Checker *c, Body *to, Span span) {
  PureUse *use = ARENA_NEW(c->arena, PureUse);
  *use = (PureUse){.place = c->place, .span = span, .to = to, .next = c->uses};
  c->uses = use;
}

void purity_edge(Checker *c, Body *to, Span span, EdgeKind kind) {
  Body *from = c->frame->body;
  bool later = kind != EDGE_INNER; /* lambdas and branches are walked where they stand */
  if (later && to->state == BODY_NEW && to->function.unit->standard) {
    GROW(c, c->pending, c->pending_count, c->pending_cap);
    c->pending[c->pending_count++] = to;
  }
  if (from->edges && from->edges->to == to && from->edges->kind == kind && c->place == PURE_NONE)
    return;
  Edge *edge = ARENA_NEW(c->arena, Edge);
  *edge = (Edge){.from = from,
                 .to = to,
                 .span = span,
                 .kind = kind,
                 .next = from->edges,
                 .reverse = to->callers};
  from->edges = edge;
  to->callers = edge;
  if (c->place != PURE_NONE && kind != EDGE_DYNAMIC) edge_place(c, to, span);
}

/* ---- spreading what is known along the calls ---- */

typedef struct Queue {
  Body **items;
  uint32_t head, tail;
} Queue;

static uint32_t body_count(Checker *c) {
  uint32_t count = 0;
  for (Function *f = c->out->functions; f; f = f->next) count++;
  return count;
}

/* Breadth first from the bodies with an effect of their own: the chain kept is a shortest one. */
static void spread_effects(Checker *c, Queue *q) {
  for (Function *f = c->out->functions; f; f = f->next) {
    Body *body = (Body *)f;
    if (!body->effect_word.at) continue;
    f->effects = true;
    q->items[q->tail++] = body;
  }
  while (q->head < q->tail) {
    for (Edge *e = q->items[q->head++]->callers; e; e = e->reverse) {
      if (e->kind == EDGE_DYNAMIC || e->from->function.effects || e->from == c->constants) continue;
      e->from->function.effects = true;
      e->from->via = e;
      q->items[q->tail++] = e->from;
    }
  }
}

static void spread_calls_values(Checker *c, Queue *q) {
  q->head = q->tail = 0;
  for (Function *f = c->out->functions; f; f = f->next) {
    if (f->calls_values) q->items[q->tail++] = (Body *)f;
  }
  while (q->head < q->tail) {
    for (Edge *e = q->items[q->head++]->callers; e; e = e->reverse) {
      if (e->from->function.calls_values || e->from == c->constants) continue;
      e->from->function.calls_values = true;
      q->items[q->tail++] = e->from;
    }
  }
}

static bool is_root(Checker *c, const Function *f) {
  switch ((FnKind)f->kind) {
    case FNKIND_SCRIPT:
      return f == c->out->script;
    case FNKIND_WORKFLOW:
    case FNKIND_PERFORM:
    case FNKIND_CHECK:
    case FNKIND_UNLESS:
    case FNKIND_CONSTRUCTOR:
    case FNKIND_QUERY:
    case FNKIND_UPCAST:
    case FNKIND_DECIDE:
    case FNKIND_GUARD:
    case FNKIND_EVOLVE:
    case FNKIND_VIEW:
    case FNKIND_INVARIANT:
    case FNKIND_ON:
    case FNKIND_JOB:
    case FNKIND_TICK:
    case FNKIND_TEST:
      return !f->unit->standard;
    case FNKIND_FN:
      return ((const Body *)f)->place == PURE_BEFORE;
    case FNKIND_LAMBDA:
    case FNKIND_BRANCH:
      return false;
  }
  return false;
}

static void spread_reached(Checker *c, Queue *q) {
  q->head = q->tail = 0;
  for (Function *f = c->out->functions; f; f = f->next) {
    f->reached = is_root(c, f);
    if (f->reached) q->items[q->tail++] = (Body *)f;
  }
  while (q->head < q->tail) {
    for (Edge *e = q->items[q->head++]->edges; e; e = e->next) {
      if (e->to->function.reached) continue;
      e->to->function.reached = true;
      q->items[q->tail++] = e->to;
    }
  }
}

/* ---- the reports ---- */

static void chain_step(const Body *body, Buf *out) {
  if (body->function.kind == FNKIND_LAMBDA) buf_text(out, "a function written here");
  else if (body->function.kind == FNKIND_BRANCH) buf_text(out, "a branch");
  else {
    Str name = body->function.decl && body->function.decl->name ? body->function.decl->name->text
                                                                : body->function.name;
    buf_str(out, name);
    buf_text(out, "()");
  }
  buf_text(out, " -> ");
}

/* "fee() -> http.get: an effect", with a note at each step. */
static Str chain_text(Checker *c, const Body *body, Diag *diag) {
  Buf out = {0};
  uint32_t steps = 0;
  for (; body && !body->effect_word.at; body = body->via ? body->via->to : NULL, steps++) {
    if (steps < 12) chain_step(body, &out);
    else if (steps == 12) buf_text(&out, "… -> ");
    if (body->via && steps < 6) report_note(c, diag, body->via->span, "it goes on here");
  }
  if (body) {
    chain_step(body, &out);
    buf_str(&out, body->effect_word);
    report_note(c, diag, body->effect_span, "and here is the effect");
  }
  buf_text(&out, ": an effect");
  Str text = arena_str(c->diags->arena, buf_view(&out));
  buf_deinit(&out);
  return text;
}

static DiagId place_diag(PurePlace place) {
  switch (place) {
    case PURE_QUERY:
      return DIAG_EFFECT_IN_QUERY;
    case PURE_WHERE:
      return DIAG_EFFECT_IN_WHERE;
    case PURE_GUARD:
      return DIAG_EFFECT_IN_GUARD;
    case PURE_UPCAST:
      return DIAG_EFFECT_IN_UPCAST;
    case PURE_UNLESS:
      return DIAG_EFFECT_IN_UNLESS;
    case PURE_DEFAULT:
      return DIAG_EFFECT_IN_DEFAULT;
    case PURE_DECIDE:
    case PURE_EVOLVE:
    case PURE_VIEW:
    case PURE_INVARIANT:
    case PURE_BEFORE:
      return DIAG_EFFECT_IN_AGENT;
    case PURE_NONE:
    case PURE_FN:
      break;
  }
  return DIAG_EFFECT_IN_PURE;
}

static Str place_name(const Body *body) {
  const Decl *decl = body->function.decl;
  return decl && decl->name ? decl->name->text : body->function.name;
}

/* What the message calls a place of an agent; elsewhere its name. */
static Str place_words(Checker *c, PurePlace place, Str name) {
  switch (place) {
    case PURE_DECIDE:
      return str_join3(c, "the `decide` of `", name, "`");
    case PURE_EVOLVE:
      return str_join3(c, "the `evolve` of `", name, "`");
    case PURE_VIEW:
      return str_join3(c, "the view `", name, "`");
    case PURE_INVARIANT:
      return STR("an invariant");
    case PURE_BEFORE:
      return str_join3(c, "`", name, "`, which looks at commands before an agent does,");
    default:
      return name;
  }
}

static const char *place_lead(PurePlace place) {
  switch (place) {
    case PURE_FN:
      return "pure fn ";
    case PURE_DECIDE:
      return "decide ";
    case PURE_EVOLVE:
      return "evolve ";
    case PURE_VIEW:
      return "view ";
    default:
      return "";
  }
}

static void report_body(Checker *c, Body *body) {
  Span span = body->effect_word.at ? body->effect_span : body->via->span;
  Str name = place_name(body);
  Str told = place_words(c, (PurePlace)body->place, name);
  Diag *diag = checker_report(c, place_diag((PurePlace)body->place), span, 1, &told);
  Str rest = body->effect_word.at ? str_join3(c, "", body->effect_word, ": an effect")
                                  : chain_text(c, body->via->to, diag);
  const char *lead = place_lead((PurePlace)body->place);
  report_label(c, diag, "%s" STR_FMT " -> " STR_FMT, lead, STR_ARG(name), STR_ARG(rest));
}

static void report_use(Checker *c, const PureUse *use) {
  if (use->to && !use->to->function.effects) return;
  Diag *diag = checker_report(c, place_diag(use->place), use->span, 0, NULL);
  Str rest = use->to ? chain_text(c, use->to, diag) : str_join3(c, "", use->word, ": an effect");
  report_label(c, diag, STR_FMT, STR_ARG(rest));
}

/* A state follows from its events alone, on every node and for ever: nothing that folds may read the configuration. */
static void config_in_evolve(Checker *c, Queue *q, Body *from) {
  Body **seen = q->items;
  uint32_t count = 0;
  seen[count++] = from;
  for (uint32_t at = 0; at < count; at++) {
    if (seen[at]->config_span.size > 0) {
      Str name = place_name(from);
      Diag *diag = checker_report(c, DIAG_CONFIG_IN_EVOLVE, seen[at]->config_span, 1, &name);
      if (at > 0) report_note(c, diag, from->function.span, "it is reached from here");
      return;
    }
    for (Edge *e = seen[at]->edges; e; e = e->next) {
      uint32_t known = 0;
      while (known < count && seen[known] != e->to) known++;
      if (known == count) seen[count++] = e->to;
    }
  }
}

void purity_check(Checker *c) {
  Queue q = {ARENA_ARRAY(c->arena, Body *, body_count(c) + 1), 0, 0};
  spread_effects(c, &q);
  spread_calls_values(c, &q);
  spread_reached(c, &q);
  for (const PureUse *use = c->uses; use; use = use->next) report_use(c, use);
  for (Function *f = c->out->functions; f; f = f->next) {
    if (f->asserted_pure && f->effects) report_body(c, (Body *)f);
    if (f->kind == FNKIND_EVOLVE) config_in_evolve(c, &q, (Body *)f);
  }
}
