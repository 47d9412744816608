/* Models, ai_agents, limits and budgets to the bundle's tables: what a node must know of them before any call. What
** they do is code like any other. */
#include "compiler/emit/emitter.h"

static Range32 names_add(Emitter *e, const NameList *names) {
  Range32 range = {e->out->index_count, 0};
  for (; names != NULL; names = names->next, range.count++)
    index_add(e, const_name(e, names->name));
  return range;
}

static uint32_t bounded(int64_t n) { return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n; }

static void model_add(Emitter *e, Decl *decl) {
  const ModelInfo *info = decl->model;
  BundleModel m = {.name = const_name(e, decl->name),
                   .doc = const_text_or(e, decl->doc),
                   .fn = fn_index(e, decl->function),
                   .provider = const_text_or(e, info->provider),
                   .key = const_text_or(e, info->key),
                   .requests = bounded(info->limit.requests),
                   .requests_per_us = info->limit.requests_per_us,
                   .tokens = info->limit.tokens,
                   .tokens_per_us = info->limit.tokens_per_us,
                   .fallbacks = names_add(e, info->fallbacks)};
  *PUSH_ITEM(e, e->out->models, e->out->model_count, e->model_cap) = m;
}

/* The library's own: whichever provider has a key. */
static void default_add(Emitter *e, const char *name) {
  Function *fn = library_find(e, "model", str_of(name));
  if (fn == NULL) return;
  BundleModel m = {.name = const_text(e, str_of(name)),
                   .doc = NONE_INDEX,
                   .fn = fn_index(e, fn),
                   .provider = NONE_INDEX,
                   .key = NONE_INDEX,
                   .fallbacks = {e->out->index_count, 0}};
  *PUSH_ITEM(e, e->out->models, e->out->model_count, e->model_cap) = m;
}

static void ai_agent_add(Emitter *e, Decl *decl) {
  const AiAgent *ai = decl->ai;
  BundleAiAgent a = {.name = const_name(e, decl->name),
                     .doc = const_text_or(e, decl->doc),
                     .workflow = workflow_index(e, decl),
                     .model = const_text(e, ai->model->text),
                     .strategy = const_text(e, ai->strategy),
                     .answer = type_index(e, ai->answer_type),
                     .max_iterations = bounded(ai->max_iterations)};
  a.tools.first = e->out->index_count;
  for (const AiTool *tool = ai->tools; tool != NULL; tool = tool->next, a.tools.count++)
    index_add(e, const_name(e, tool->decl->name));
  *PUSH_ITEM(e, e->out->ai_agents, e->out->ai_agent_count, e->ai_agent_cap) = a;
}

static uint32_t name_or(Emitter *e, Name *name) {
  return name != NULL ? const_name(e, name) : NONE_INDEX;
}

static void allowance_add(Emitter *e, const Decl *decl) {
  const Allowance *from = decl->allowance;
  if (from == NULL) return;
  const Bounds *b = &from->bounds;
  BundleAllowance a = {.name = const_name(e, decl->name),
                       .kind = decl->kind == DECL_BUDGET ? ALLOWANCE_BUDGET : ALLOWANCE_LIMIT,
                       .by = from->by,
                       .provider = name_or(e, from->provider),
                       .model = name_or(e, from->model),
                       .agent = name_or(e, from->agent),
                       .tool = name_or(e, from->tool),
                       .requests = bounded(b->requests),
                       .requests_per_us = b->requests_per_us,
                       .tokens = b->tokens,
                       .tokens_per_us = b->tokens_per_us,
                       .nanodollars = b->nanodollars,
                       .nanodollars_per_us = b->nanodollars_per_us};
  *PUSH_ITEM(e, e->out->allowances, e->out->allowance_count, e->allowance_cap) = a;
}

void model_tables(Emitter *e) {
  for (Unit *u = e->checked->units; u != NULL; u = u->next) {
    for (Decl *d = u->decls; d != NULL && !u->standard; d = d->next) {
      if (d->model != NULL) model_add(e, d);
      else if (d->ai != NULL) ai_agent_add(e, d);
      else if (d->kind == DECL_LIMIT || d->kind == DECL_BUDGET) allowance_add(e, d);
    }
  }
  if (e->checked->default_models & 1) default_add(e, "fast");
  if (e->checked->default_models & 2) default_add(e, "smart");
}
