/* Agents that a model thinks for. A declaration becomes a workflow whose body is
**
**   budget {…}:
** return agent.run({agent, question, system, model, tools, answer, …}, run -> strategy.react(run))
**
** so that its runs are runs like all others. What the library gets is data: nothing in the machine knows of agents.
** */
#include "compiler/check/made.h"

enum { ITERATIONS = 10, REPAIRS = 2, MEMORY = 20 };

static const char *const strategies[] = {"direct", "cot", "react",  "tot",
                                         "got",    "aot", "revise", "adaptive"};

/* ---- what it is told ---- */

static bool has_param(const Decl *agent, const char *name) {
  for (const Field *f = agent->fields; f; f = f->next) {
    if (name_is(f->name, name)) return true;
  }
  return false;
}

static Name *param_name(const Decl *agent, const char *name) {
  const Field *f = agent->fields;
  while (!name_is(f->name, name)) f = f->next;
  return f->name;
}

static Expr *text_of(Checker *c, Span span, MadeList *parts) {
  Expr *e = made_nil(c, span);
  e->kind = EXPR_INTERP;
  e->first = parts->first;
  return e;
}

/* "${query}", or each parameter on a line of its own. */
static Expr *question_value(Checker *c, const Decl *agent) {
  const Setting *task = setting_named(agent, "task");
  Span span = agent->name_span;
  MadeList parts = {0};
  if (task) return task->first;
  if (has_param(agent, "query")) {
    made_item(&parts, made_name(c, span, param_name(agent, "query")));
    return text_of(c, span, &parts);
  }
  for (const Field *f = agent->fields; f; f = f->next) {
    if (name_is(f->name, "conversation") || name_is(f->name, "details")) continue;
    Str label =
        diag_format(c->diags, "%s" STR_FMT ": ", parts.first ? "\n" : "", STR_ARG(f->name->text));
    made_item(&parts, made_text(c, span, label));
    made_item(&parts, made_name(c, span, f->name));
  }
  return text_of(c, span, &parts);
}

/* ---- tools ---- */

static const char *tool_effect(const Decl *decl) {
  const Setting *s = decl->kind == DECL_TOOL ? setting_named(decl, "effect") : NULL;
  if (decl->kind != DECL_TOOL) return "agent";
  if (s && s->first && s->first->kind == EXPR_NAME && name_is(s->first->name, "read"))
    return "read";
  return s && s->first && s->first->kind == EXPR_NAME && name_is(s->first->name, "irreversible")
             ? "irreversible"
             : "reversible";
}

static Expr *tool_entry(Checker *c, AiTool *tool, Span span) {
  Decl *decl = tool->decl;
  MadeMap map = {0};
  tool->schema = made_text(c, span, STR("{}"));
  made_entry(c, &map, "name", made_text(c, span, decl->name->text));
  made_entry(c, &map, "description", made_text(c, span, decl->doc));
  made_entry(c, &map, "schema", tool->schema);
  made_entry(c, &map, "effect", made_text(c, span, str_of(tool_effect(decl))));
  made_entry(c, &map, "asks",
             made_bool(c, span, decl->kind == DECL_TOOL && setting_named(decl, "ask")));
  made_entry(c, &map, "call", made_name(c, span, decl->called->name));
  return made_map(c, span, &map);
}

static void report_no_tool(Checker *c, const Expr *e) {
  if (e->kind == EXPR_BAD) return;
  Diag *diag = REPORT(c, AI_TOOL, e->span, source_text(c, e->span));
  report_help(c, diag, "tools: [ LookupCustomer, Refund ] names tools, workflows and ai_agents");
}

static bool may_call(const Decl *decl) {
  return decl &&
         (decl->kind == DECL_TOOL || decl->kind == DECL_WORKFLOW || decl->kind == DECL_AI_AGENT);
}

/* Names of tools are few: a model is told all of them. */
static bool tool_twice(Checker *c, const Expr *first, const Expr *e) {
  while (first->kind != EXPR_NAME || first->name != e->name) first = first->next;
  if (first == e) return false;
  Diag *diag = REPORT(c, AI_TOOL_TWICE, e->span, e->name->text);
  report_note(c, diag, first->span, "the first one is here");
  return true;
}

static Expr *tools_value(Checker *c, Decl *agent) {
  const Setting *s = setting_named(agent, "tools");
  AiTool **last = &agent->ai->tools;
  MadeList list = {0};
  if (s && s->first->kind != EXPR_LIST) report_no_tool(c, s->first);
  for (const Expr *e = s && s->first->kind == EXPR_LIST ? s->first->first : NULL; e; e = e->next) {
    Decl *decl = e->kind == EXPR_NAME ? declared_decl(c, e->name) : NULL;
    if (!may_call(decl)) {
      report_no_tool(c, e);
      continue;
    }
    if (tool_twice(c, s->first->first, e)) continue;
    companions_make(c, decl);
    AiTool *tool = ARENA_NEW(c->arena, AiTool);
    *tool = (AiTool){.decl = decl, .arguments = decl->arguments};
    *last = tool;
    last = &tool->next;
    made_item(&list, tool_entry(c, tool, e->span));
  }
  return made_list(c, agent->name_span, &list);
}

/* ---- the answer ---- */

/* A declared record is its own schema; anything else is the field `answer` of one. */
static bool answer_is_record(Checker *c, const TypeExpr *type) {
  const Decl *decl = type->kind == TEXPR_NAME ? declared_decl(c, type->name) : NULL;
  return decl && decl->kind == DECL_TYPE && !decl->type;
}

static Expr *answer_value(Checker *c, Decl *agent) {
  AiAgent *ai = agent->ai;
  Span span = agent->name_span;
  Name *value = made_label(c, STR("value"));
  MadeMap map = {0};
  if (!ai->answer) return made_nil(c, span);
  bool record = answer_is_record(c, ai->answer);
  Expr *fit;
  if (record) {
    ai->answer_record = declared_decl(c, ai->answer->name);
    fit = made_fit(c, span, ai->answer->name, made_name(c, span, value));
  } else {
    Name *name = made_dotted(c, agent->name->text, "answer"), *field = made_label(c, STR("answer"));
    ai->answer_record = made_decl(c, agent->unit, DECL_TYPE, span, name);
    ai->answer_record->fields = made_field(c, span, field, ai->answer, NULL);
    fit = made_member(c, span, made_fit(c, span, name, made_name(c, span, value)), field);
  }
  ai->answer_schema = made_text(c, span, STR("{}"));
  made_entry(c, &map, "name",
             made_text(c, span, record ? ai->answer->name->text : agent->name->text));
  made_entry(c, &map, "schema", ai->answer_schema);
  made_entry(c, &map, "wrapped", made_bool(c, span, !record));
  made_entry(c, &map, "fit", made_lambda(c, span, value, fit));
  return made_map(c, span, &map);
}

/* ---- how it thinks ---- */

static void report_strategy(Checker *c, const Expr *e) {
  Str names[COUNT_OF(strategies)], have = source_text(c, e->span);
  for (size_t i = 0; i < COUNT_OF(strategies); i++) names[i] = str_of(strategies[i]);
  if (e->kind == EXPR_BAD) return;
  report_nearest(c, REPORT(c, STRATEGY_UNKNOWN, e->span, have), have, names, COUNT_OF(names));
}

static const char *library_strategy(const Expr *name) {
  for (size_t i = 0; name->kind == EXPR_NAME && i < COUNT_OF(strategies); i++) {
    if (name_is(name->name, strategies[i])) return strategies[i];
  }
  return NULL;
}

/* As it is written: a name, or a call with options. */
static Expr *named_strategy(Checker *c, const Decl *agent, Expr *written, Arg *args) {
  const Expr *name = written->kind == EXPR_CALL ? written->left : written;
  const Decl *own = name->kind == EXPR_NAME ? declared_decl(c, name->name) : NULL;
  const char *known = library_strategy(name);
  if (written->kind == EXPR_CALL) args->next = written->args;
  if (own && own->strategy)
    return made_call(c, written->span, made_name(c, written->span, name->name), args);
  if (!known) return report_strategy(c, written), made_nil(c, written->span);
  if (agent->ai->tools && strcmp(known, "react") != 0 && strcmp(known, "adaptive") != 0)
    REPORT(c, TOOLS_UNUSED, written->span, str_of(known));
  return made_library_call(c, written->span, "strategy", known, args);
}

static const char *usual_strategy(const Decl *agent) { return agent->ai->tools ? "react" : "direct"; }

/* Its name, as `details` gives it. */
static Str strategy_word(const Decl *agent) {
  const Setting *s = setting_named(agent, "strategy");
  const Expr *name = s && s->first->kind == EXPR_CALL ? s->first->left : s ? s->first : NULL;
  return name && name->kind == EXPR_NAME ? name->name->text : str_of(usual_strategy(agent));
}

/* run -> NAME(run, options…) */
static Expr *strategy_value(Checker *c, Decl *agent) {
  const Setting *s = setting_named(agent, "strategy");
  Span span = s ? s->first->span : agent->name_span;
  Name *run = made_label(c, STR("run"));
  Arg *args = made_arg(c, NULL, made_name(c, span, run));
  const char *usual = usual_strategy(agent);
  agent->ai->strategy = s ? source_text(c, span) : str_of(usual);
  Expr *value = s ? named_strategy(c, agent, s->first, args)
                  : made_library_call(c, span, "strategy", usual, args);
  agent->ai->thinks = value;
  return made_lambda(c, span, run, value);
}

/* ---- numbers and words ---- */

/* What it may be is looked at once its type is known: ai_settings_check. */
static Expr *number_value(Checker *c, const Decl *agent, const char *setting, int64_t usual) {
  const Setting *s = setting_named(agent, setting);
  return s ? s->first : made_int(c, agent->name_span, usual);
}

static Expr *on_limit_value(Checker *c, const Decl *agent) {
  const Setting *s = setting_named(agent, "on_limit");
  if (!s) return made_text(c, agent->name_span, STR("error"));
  bool word = s->first->kind == EXPR_NAME &&
              (name_is(s->first->name, "error") || name_is(s->first->name, "answer"));
  if (!word && s->first->kind != EXPR_BAD)
    REPORT(c, SETTING_WORD, s->first->span, s->name->text, STR("error"), STR("answer"),
           source_text(c, s->first->span));
  return made_text(c, s->first->span, word ? s->first->name->text : STR("error"));
}

/* The budget's map without `degrade`, which is a model. */
static Expr *budget_value(Checker *c, const Decl *agent, Expr **degrade) {
  const Setting *s = setting_named(agent, "budget");
  MadeMap map = {0};
  *degrade = made_nil(c, agent->name_span);
  if (s && s->first->kind != EXPR_MAP) return s->first; /* told where it is checked */
  for (Arg *arg = s ? s->first->args : NULL, *next; arg; arg = next) {
    next = arg->next;
    arg->next = NULL;
    bool model = arg->name && name_is(arg->name, "degrade") && arg->value->kind == EXPR_NAME;
    if (model)
      *degrade = made_lambda(c, arg->value->span, NULL,
                             model_value(c, arg->value->span, arg->value->name));
    else made_add(&map, arg);
    if (model) agent->ai->degrade = arg->value;
  }
  return made_map(c, s ? s->first->span : agent->name_span, &map);
}

/* ---- the whole ---- */

static Expr *run_value(Checker *c, Decl *agent, Expr *degrade) {
  const Setting *model = setting_named(agent, "model"), *prompt = setting_named(agent, "prompt");
  Span span = agent->name_span;
  MadeMap map = {0};
  agent->ai->model =
      model && model->first->kind == EXPR_NAME ? model->first->name : made_label(c, STR("fast"));
  made_entry(c, &map, "agent", made_text(c, span, agent->name->text));
  made_entry(c, &map, "question", question_value(c, agent));
  made_entry(c, &map, "system", prompt ? prompt->first : made_nil(c, span));
  made_entry(c, &map, "model", model_value(c, model ? model->first->span : span, agent->ai->model));
  made_entry(c, &map, "tools", tools_value(c, agent));
  made_entry(c, &map, "answer", answer_value(c, agent));
  made_entry(c, &map, "max_iterations", number_value(c, agent, "max_iterations", ITERATIONS));
  made_entry(c, &map, "repairs", number_value(c, agent, "repairs", REPAIRS));
  made_entry(c, &map, "memory", number_value(c, agent, "memory", MEMORY));
  made_entry(c, &map, "on_limit", on_limit_value(c, agent));
  made_entry(c, &map, "conversation", made_name(c, span, param_name(agent, "conversation")));
  made_entry(c, &map, "details", made_name(c, span, param_name(agent, "details")));
  made_entry(c, &map, "degrade", degrade);
  made_entry(c, &map, "strategy", made_text(c, span, strategy_word(agent)));
  return made_map(c, span, &map);
}

void ai_agent_become(Checker *c, Decl *agent) {
  Expr *degrade;
  Span span = agent->name_span;
  Stmt *budget = made_return(c, span, NULL);
  budget->kind = STMT_BUDGET;
  budget->value = budget_value(c, agent, &degrade);
  Arg *args = made_arg(c, NULL, run_value(c, agent, degrade));
  Expr *strategy = strategy_value(c, agent);
  args->next = made_arg(c, NULL, strategy);
  const Setting *iterations = setting_named(agent, "max_iterations");
  agent->ai->max_iterations =
      iterations && iterations->first->kind == EXPR_INT ? iterations->first->integer : ITERATIONS;
  budget->body = made_return(c, span, made_library_call(c, span, "agent", "run", args));
  agent->body = budget;
}

/* Before any agent's tools are looked at: one may be another one's tool. */
void ai_agent_begin(Checker *c, Decl *agent) {
  agent->ai = ARENA_NEW(c->arena, AiAgent);
  agent->ai->answer = agent->type;
  agent->type = NULL; /* with `details` it gives more */
  agent->kind = DECL_WORKFLOW;
}

void ai_agent_check(Checker *c, const Decl *agent) {
  const Setting *model = setting_named(agent, "model");
  name_style_check(c, agent->name, agent->name_span, true, "an ai_agent");
  if (model && model->first->kind != EXPR_NAME && model->first->kind != EXPR_BAD)
    REPORT(c, MODEL_UNKNOWN, model->first->span, source_text(c, model->first->span));
  else if (model && model->first->kind == EXPR_NAME)
    model_known(c, model->first->name, model->first->span);
  if (agent->ai->degrade) model_known(c, agent->ai->degrade->name, agent->ai->degrade->span);
}
