/* What settings of models and ai_agents may be, once their types are found: what is surely wrong is told here, before
** anything is paid for. What only the run can tell, the library tells before it asks a model. */
#include "compiler/check/checker.h"

#include <strings.h>

enum { NUMBER_MAX = 1000000 };

static Expr *value_of(const Decl *decl, const char *name) {
  const Setting *s = setting_named(decl, name);
  return s && s->first->kind != EXPR_BAD ? s->first : NULL;
}

static Diag *told(Checker *c, const Expr *e, const char *name, const char *what) {
  return REPORT(c, SETTING_RANGE, e->span, str_of(name), str_of(what));
}

static bool surely_not(const Expr *e, const Type *wanted) {
  return e->type && e->kind != EXPR_BAD && type_fit(e->type, wanted) == FIT_NO;
}

/* False where it is not known. */
static bool below_zero(const Expr *known) {
  if (!known) return false;
  if (known->kind == EXPR_INT || known->kind == EXPR_DURATION) return known->integer < 0;
  if (known->kind == EXPR_FLOAT) return known->number < 0;
  return known->kind == EXPR_DECIMAL && known->text.size && known->text.at[0] == '-';
}

/* ---- one value ---- */

static void type_setting(Checker *c, const Decl *decl, const char *name, const Type *wanted,
                         const char *what) {
  const Expr *e = value_of(decl, name);
  if (e && e->kind != EXPR_NIL && surely_not(e, wanted)) told(c, e, name, what);
}

/* Elsewhere a float is tried as an int, since 2.0 is one; a setting takes none. */
static void whole_setting(Checker *c, const Decl *decl, const char *name, int64_t least,
                          int64_t most, const char *what) {
  Expr *e = value_of(decl, name);
  if (!e) return;
  const Expr *known = constant_known(c, e);
  bool wrong = surely_not(e, c->t_int) || e->type == c->t_float;
  if (known && known->kind == EXPR_INT) wrong = known->integer < least || known->integer > most;
  if (known && known->kind == EXPR_NIL && decl->model) return; /* as if it were not said */
  if (wrong) told(c, e, name, what);
}

static void temperature_setting(Checker *c, const Decl *model) {
  Expr *e = value_of(model, "temperature");
  if (!e || e->kind == EXPR_NIL) return;
  if (surely_not(e, c->t_float) || below_zero(constant_known(c, e)))
    told(c, e, "temperature", "a number, from 0 on");
}

static void timeout_setting(Checker *c, const Decl *model) {
  Expr *e = value_of(model, "timeout");
  if (!e || e->kind == EXPR_NIL) return;
  const Expr *known = constant_known(c, e);
  bool none = known && known->kind == EXPR_DURATION && known->integer <= 0;
  if (none || surely_not(e, c->t_duration)) told(c, e, "timeout", "a duration above zero, like 2m");
}

static bool starts_with(Str text, Str head) {
  return text.size >= head.size && strncasecmp(text.at, head.at, head.size) == 0;
}

static void url_setting(Checker *c, const Decl *model) {
  Expr *e = value_of(model, "url");
  if (!e || e->kind == EXPR_NIL) return;
  const Expr *known = constant_known(c, e);
  bool text = known && known->kind == EXPR_STRING;
  bool address = text && (starts_with(known->text, STR("http://")) ||
                          starts_with(known->text, STR("https://")));
  if ((text && !address) || surely_not(e, c->t_string))
    told(c, e, "url", "the address of a server: it begins with http:// or https://");
}

static void effort_setting(Checker *c, const Decl *model) {
  static const char what[] = "\"low\", \"medium\" or \"high\"";
  const Str words[] = {STR("low"), STR("medium"), STR("high")};
  Expr *e = value_of(model, "effort");
  if (!e || e->kind == EXPR_NIL) return;
  const Expr *known = constant_known(c, e);
  if (!known || known->kind != EXPR_STRING) {
    if (surely_not(e, c->t_string)) told(c, e, "effort", what);
    return;
  }
  for (size_t i = 0; i < COUNT_OF(words); i++) {
    if (str_equal(known->text, words[i])) return;
  }
  Str near = diag_nearest(known->text, words, COUNT_OF(words));
  Diag *diag = told(c, e, "effort", what);
  if (near.at) report_label(c, diag, "did you mean \"" STR_FMT "\"?", STR_ARG(near));
}

static void stop_setting(Checker *c, const Decl *model) {
  const Expr *e = value_of(model, "stop");
  if (!e || e->kind == EXPR_NIL) return;
  if (surely_not(e, c->t_list)) told(c, e, "stop", "a list of texts");
  for (const Expr *item = e->kind == EXPR_LIST ? e->first : NULL; item; item = item->next) {
    if (item->kind == EXPR_SPREAD) continue;
    bool empty = item->kind == EXPR_STRING && item->text.size == 0;
    if (empty || surely_not(item, c->t_string)) told(c, item, "stop", "a list of texts");
  }
}

static void price_setting(Checker *c, const Decl *model) {
  static const char *const keys[] = {"input", "output", "cached", "cache_write"};
  const Expr *e = value_of(model, "price");
  if (!e || !keys_known(c, e, keys, COUNT_OF(keys), "price")) return;
  for (const Arg *arg = e->args; arg; arg = arg->next) {
    if (surely_not(arg->value, c->t_decimal))
      told(c, arg->value, "price", "in decimals, dollars per million tokens: 0.25d");
    else if (below_zero(constant_known(c, arg->value)))
      told(c, arg->value, "price", "in dollars per million tokens, from 0 on");
  }
}

/* ---- a script ---- */

static const char an_answer[] =
    "made of answers: \"a text\", { text: \"…\" }, { calls: [ … ] } or { answer: VALUE }";

static const Expr *entry_value(const Expr *map, Str name) {
  for (const Arg *arg = map->args; arg; arg = arg->next) {
    if (str_equal(entry_name(arg), name)) return arg->value;
  }
  return NULL;
}

/* Every key is one of these, or a misspelt one was told. */
static bool entries_known(Checker *c, const Expr *map, const char *const *keys, size_t count) {
  uint32_t errors = c->diags->error_count;
  return keys_known(c, map, keys, count, "script") && c->diags->error_count == errors;
}

/* What is written out, or surely is neither that nor anything like it. */
static bool is_list(Checker *c, const Expr *e, const char *what) {
  if (e && e->kind != EXPR_LIST && surely_not(e, c->t_list)) told(c, e, "script", what);
  return e && e->kind == EXPR_LIST;
}

static void text_entry(Checker *c, const Expr *map, Str name, const char *what) {
  const Expr *e = entry_value(map, name);
  if (e && e->kind != EXPR_NIL && surely_not(e, c->t_string)) told(c, e, "script", what);
}

static void script_call(Checker *c, const Expr *e) {
  static const char *const keys[] = {"name", "arguments"};
  static const char what[] = "made of calls that have a name: { name: \"Tool\", arguments: {…} }";
  if (e->kind != EXPR_MAP) {
    if (surely_not(e, c->t_map)) told(c, e, "script", what);
    return;
  }
  bool known = entries_known(c, e, keys, COUNT_OF(keys));
  if (known && !entry_value(e, STR("name"))) told(c, e, "script", what);
  text_entry(c, e, STR("name"), what);
}

static void script_answer(Checker *c, const Expr *e);

static void script_entries(Checker *c, const Expr *e, bool rule) {
  static const char *const keys[] = {"text", "calls", "answer", "when", "turns"};
  bool known = entries_known(c, e, keys, rule ? 5 : 3);
  const Expr *calls = entry_value(e, STR("calls")), *turns = entry_value(e, STR("turns"));
  text_entry(c, e, STR("text"), "made of texts: { text: \"…\" }");
  text_entry(c, e, STR("when"), "made of rules with a text to look for: { when: \"…\", text: \"…\" }");
  if (is_list(c, calls, "made of lists of calls: { calls: [ { name: \"Tool\" } ] }")) {
    for (const Expr *one = calls->first; one; one = one->next) script_call(c, one);
  }
  if (is_list(c, turns, "made of lists of answers: { when: \"…\", turns: [ … ] }")) {
    for (const Expr *one = turns->first; one; one = one->next) script_answer(c, one);
  }
  if (known && !calls && !turns && !entry_value(e, STR("text")) && !entry_value(e, STR("answer")))
    told(c, e, "script", an_answer);
}

static void script_answer(Checker *c, const Expr *e) {
  if (e->kind == EXPR_MAP) script_entries(c, e, false);
  else if (e->kind != EXPR_SPREAD && surely_not(e, c->t_string) && surely_not(e, c->t_map))
    told(c, e, "script", an_answer);
}

static void script_rules(Checker *c, const Expr *script) {
  static const char *const keys[] = {"rules"};
  static const char what[] = "a list of answers, or { rules: [ { when: \"…\", text: \"…\" } ] }";
  bool known = entries_known(c, script, keys, 1);
  const Expr *rules = entry_value(script, STR("rules"));
  if (known && !rules) told(c, script, "script", what);
  for (const Expr *e = is_list(c, rules, what) ? rules->first : NULL; e; e = e->next) {
    if (e->kind == EXPR_MAP) script_entries(c, e, true);
    else if (e->kind != EXPR_SPREAD && surely_not(e, c->t_map)) told(c, e, "script", what);
  }
}

static void script_setting(Checker *c, const Decl *model) {
  Expr *e = value_of(model, "script");
  if (!e || e->kind == EXPR_NIL) return;
  if (e->kind == EXPR_MAP) script_rules(c, e);
  else if (e->kind == EXPR_LIST) {
    for (const Expr *one = e->first; one; one = one->next) script_answer(c, one);
  } else if (surely_not(e, c->t_list) && surely_not(e, c->t_map)) {
    told(c, e, "script", "a list of answers, or { rules: [ … ] }");
  }
}

/* ---- options of a strategy ---- */

static bool number_of(const Expr *e, double *out) {
  *out = e->kind == EXPR_INT ? (double)e->integer : e->number;
  return e->kind == EXPR_INT || e->kind == EXPR_FLOAT;
}

/* `name >= 1`, and what is joined by `and`: does it surely not hold of the number? */
static bool surely_fails(const Expr *where, const Name *name, double value) {
  double bound;
  if (where->kind != EXPR_BINARY) return false;
  if (where->op == BIN_AND)
    return surely_fails(where->left, name, value) || surely_fails(where->right, name, value);
  if (where->left->kind != EXPR_NAME || where->left->name != name) return false;
  if (!number_of(where->right, &bound)) return false;
  if (where->op == BIN_GE) return value < bound;
  if (where->op == BIN_GT) return value <= bound;
  if (where->op == BIN_LE) return value > bound;
  return where->op == BIN_LT && value >= bound;
}

static void options_check(Checker *c, const Decl *agent) {
  const Expr *call = agent->ai->thinks;
  const Decl *decl = call->kind == EXPR_CALL && call->symbol ? call->symbol->decl : NULL;
  const Field *f = decl ? decl->fields : NULL;
  for (const Arg *arg = call->args; arg && f; arg = arg->next, f = f->next) {
    const Expr *known = arg->value && f->where ? constant_known(c, arg->value) : NULL;
    double value;
    if (!known || !number_of(known, &value) || !surely_fails(f->where, f->name, value)) continue;
    Str where = source_text(c, f->where->span);
    REPORT(c, SETTING_RANGE, arg->value->span, f->name->text,
           diag_format(c->diags, "a number with " STR_FMT, STR_ARG(where)));
  }
}

/* ---- all of them ---- */

void model_settings_check(Checker *c, const Decl *model) {
  url_setting(c, model);
  type_setting(c, model, "name", c->t_string, "a text");
  type_setting(c, model, "api_key", c->t_sealed, "a secret: secret(\"NAME\")");
  whole_setting(c, model, "max_tokens", 1, INT64_MAX, "a whole number of tokens, at least 1");
  whole_setting(c, model, "seed", INT64_MIN, INT64_MAX, "a whole number");
  stop_setting(c, model);
  effort_setting(c, model);
  type_setting(c, model, "stream", c->t_bool, "true or false");
  type_setting(c, model, "background", c->t_bool, "true or false");
  timeout_setting(c, model);
  whole_setting(c, model, "max_attempts", 1, NUMBER_MAX, "a number of attempts, at least 1");
  temperature_setting(c, model);
  price_setting(c, model);
  script_setting(c, model);
}

void ai_settings_check(Checker *c, const Decl *agent) {
  options_check(c, agent);
  type_setting(c, agent, "prompt", c->t_string, "a text");
  type_setting(c, agent, "task", c->t_string, "a text");
  whole_setting(c, agent, "max_iterations", 1, NUMBER_MAX, "a whole number, at least 1");
  whole_setting(c, agent, "repairs", 0, NUMBER_MAX, "a whole number, at least 0");
  whole_setting(c, agent, "memory", 0, NUMBER_MAX, "a whole number, at least 0");
}
