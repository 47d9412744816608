/* Models: a declaration becomes a function of its name that gives the call's settings; what a node must know before
** any call (provider, key, limits, fallbacks) stands beside it. And `limit NAME`, `budget NAME`. */
#include "compiler/check/made.h"
#include "vm/base/text.h"

const Setting *setting_named(const Decl *decl, const char *name) {
  for (const Setting *s = decl->settings; s; s = s->next) {
    if (name_is(s->name, name)) return s;
  }
  return NULL;
}

static Expr *setting_value(const Decl *decl, const char *name) {
  const Setting *s = setting_named(decl, name);
  return s ? s->first : NULL;
}

/* ---- the provider ---- */

/* `fast` and `smart` are there without being declared. */
bool model_is_default(const Name *name) { return name_is(name, "fast") || name_is(name, "smart"); }

static const ProviderInfo *provider_of(const Decl *model) {
  const Expr *e = setting_value(model, "provider");
  for (int i = 0; e && e->kind == EXPR_NAME && i < PROVIDER_COUNT; i++) {
    if (name_is(e->name, provider_info[i].name)) return &provider_info[i];
  }
  return NULL;
}

/* `provider: fast` takes what the library's `fast` takes: whichever has a key. */
static const Expr *provider_default(const Decl *model) {
  const Expr *e = setting_value(model, "provider");
  return e && e->kind == EXPR_NAME && model_is_default(e->name) ? e : NULL;
}

static void provider_check(Checker *c, const Decl *model) {
  Str words[PROVIDER_COUNT];
  const Expr *e = setting_value(model, "provider");
  if (provider_default(model)) return;
  if (!e) {
    Diag *diag = REPORT(c, MODEL_PROVIDER, model->name_span, model->name->text, STR("nothing"));
    report_help(c, diag, "provider: openai");
    return;
  }
  if (e->kind == EXPR_BAD || provider_of(model)) return;
  for (int i = 0; i < PROVIDER_COUNT; i++) words[i] = str_of(provider_info[i].name);
  Str have = source_text(c, e->span);
  report_nearest(
      c, REPORT(c, MODEL_PROVIDER, e->span, model->name->text, str_join3(c, "`", have, "`")), have,
      words, PROVIDER_COUNT);
}

static void ability_check(Checker *c, const Decl *model, const char *setting, uint8_t can) {
  const ProviderInfo *provider = provider_of(model);
  const Setting *s = setting_named(model, setting);
  if (!provider || !s || (provider->can & can)) return;
  if (s->first->kind == EXPR_NIL || (s->first->kind == EXPR_BOOL && !s->first->boolean)) return;
  REPORT(c, MODEL_CANNOT, s->span, str_of(provider->name), str_of(setting));
}

/* The name of the secret, where the program says it in so many words. */
static Str secret_name(const Expr *e) {
  bool call =
      e && e->kind == EXPR_CALL && e->left->kind == EXPR_NAME && name_is(e->left->name, "secret");
  const Arg *arg = call ? e->args : NULL;
  return arg && arg->value && arg->value->kind == EXPR_STRING ? arg->value->text : (Str){0};
}

/* ---- the function ---- */

static Expr *key_value(Checker *c, const Decl *model, const ProviderInfo *provider) {
  Expr *given = setting_value(model, "api_key");
  bool usual = !given && provider && provider->key && !setting_named(model, "url");
  if (!usual) return given;
  Expr *name = made_text(c, model->name_span, str_of(provider->key));
  return made_call(c, model->name_span,
                   made_name(c, model->name_span, made_label(c, STR("secret"))),
                   made_arg(c, NULL, name));
}

/* [ smart ] is [() -> smart()]: a fallback's own key is looked for only when it is its turn. */
static Expr *fallback_value(Checker *c, Decl *model) {
  const Expr *e = setting_value(model, "fallback");
  MadeList list = {0};
  if (!e) return NULL;
  NameList **last = &model->model->fallbacks;
  for (const Expr *item = e->kind == EXPR_LIST ? e->first : NULL; item; item = item->next) {
    if (item->kind != EXPR_NAME) continue;
    NameList *name = ARENA_NEW(c->arena, NameList);
    *name = (NameList){.name = item->name, .span = item->span};
    *last = name;
    last = &name->next;
    made_item(&list, made_lambda(c, item->span, NULL, model_value(c, item->span, item->name)));
  }
  return made_list(c, e->span, &list);
}

/* Whose settings come first: all that the library's `fast` has, or the provider and the name. */
static void provider_entries(Checker *c, const Decl *model, MadeMap *map) {
  const ProviderInfo *provider = provider_of(model);
  const Expr *same = provider_default(model);
  if (same) {
    Expr *settings = made_library_call(c, same->span, "model",
                                       name_is(same->name, "fast") ? "fast" : "smart", NULL);
    Expr *spread = made_nil(c, same->span);
    spread->kind = EXPR_SPREAD;
    spread->operand = settings;
    made_add(map, made_arg(c, NULL, spread));
  }
  made_entry(c, map, "model", made_text(c, model->name_span, model->name->text));
  if (same) return;
  made_entry(c, map, "provider",
             made_text(c, model->name_span, provider ? str_of(provider->name) : STR("offline")));
  if (!setting_named(model, "name"))
    made_entry(c, map, "name", made_text(c, model->name_span, model->name->text));
}

static Expr *settings_map(Checker *c, Decl *model) {
  static const char *const plain[] = {"url",     "name",         "temperature", "max_tokens",
                                      "seed",    "stop",         "effort",      "background",
                                      "timeout", "max_attempts", "price",       "script"};
  const ProviderInfo *provider = provider_of(model);
  Expr *stream = setting_value(model, "stream"), *key = key_value(c, model, provider);
  MadeMap map = {0};
  provider_entries(c, model, &map);
  for (size_t i = 0; i < COUNT_OF(plain); i++) {
    Expr *value = setting_value(model, plain[i]);
    if (value) made_entry(c, &map, plain[i], value);
  }
  if (key) made_entry(c, &map, "api_key", key);
  made_entry(c, &map, "stream", stream ? stream : made_bool(c, model->name_span, true));
  Expr *fallback = fallback_value(c, model);
  if (fallback) made_entry(c, &map, "fallback", fallback);
  return made_map(c, model->span, &map);
}

void model_become(Checker *c, Decl *model) {
  const ProviderInfo *provider = provider_of(model);
  model->model = ARENA_NEW(c->arena, ModelInfo);
  model->kind = DECL_FN;
  model->body = made_return(c, model->name_span, settings_map(c, model));
  Expr *key = key_value(c, model, provider);
  model->model->key = secret_name(key);
  if (provider) model->model->provider = str_of(provider->name);
}

static Decl *model_decl(const Name *name) {
  const Symbol *symbol = name->binding;
  return symbol && symbol->decl && symbol->decl->model ? symbol->decl : NULL;
}

bool model_known(Checker *c, Name *name, Span span) {
  if (model_decl(name) || (!name->binding && model_is_default(name))) return true;
  Buf near = {0};
  for (const Unit *u = c->out->units; u; u = u->next) {
    for (const Decl *d = u->decls; d; d = d->next) {
      if (d->model) buf_put(&near, &d->name->text, sizeof(Str));
    }
  }
  Diag *diag = REPORT(c, MODEL_UNKNOWN, span, name->text);
  report_nearest(c, diag, name->text, (const Str *)(void *)near.at, near.size / sizeof(Str));
  buf_deinit(&near);
  return false;
}

/* What gives the settings of the model of that name. Before anything is declared. */
Expr *model_value(Checker *c, Span span, Name *name) {
  const Decl *decl = declared_decl(c, name);
  if (!decl && model_is_default(name)) {
    c->out->default_models |= name_is(name, "fast") ? 1 : 2;
    return made_library_call(c, span, "model", name_is(name, "fast") ? "fast" : "smart", NULL);
  }
  if (!decl || (decl->kind != DECL_MODEL && !decl->model))
    return made_nil(c, span); /* model_known tells */
  return made_call(c, span, made_name(c, span, name), NULL);
}

/* ---- rates ---- */

/* Dollars to nanodollars. */
static bool decimal_nano(Decimal d, int64_t *out) {
  Decimal scaled;
  return decimal_mul(d, decimal_from_int(1000000000), &scaled) &&
         decimal_round(scaled, 0, ROUND_UP, &scaled) && decimal_to_int(scaled, out);
}

static bool amount_fold(Checker *c, Expr *e, bool money, int64_t *out) {
  const Expr *value = constant_fold(c, e, DIAG_SETTING_NOT_CONSTANT);
  Decimal decimal;
  if (!value) return false;
  bool whole = value->kind == EXPR_INT;
  if (!money || whole) {
    bool fits = whole && value->integer > 0 &&
                value->integer <= (money ? INT64_MAX / 1000000000 : INT64_C(1) << 48);
    if (!fits)
      REPORT(c, BOUND_AMOUNT, e->span,
             money ? STR("an amount of dollars above zero") : STR("a whole number above zero"));
    *out = fits ? value->integer * (money ? 1000000000 : 1) : 0;
    return fits;
  }
  bool good = value->kind == EXPR_DECIMAL && decimal_parse(value->text, &decimal) &&
              decimal_nano(decimal, out) && *out > 0;
  if (!good) REPORT(c, BOUND_AMOUNT, e->span, STR("an amount of dollars above zero, like 0.50d"));
  return good;
}

/* `50 per 1m`, or where it may be for ever `50`. */
static void rate_fold(Checker *c, Expr *e, const char *what, bool forever, bool money,
                      int64_t *amount, int64_t *per_us) {
  bool rate = e->kind == EXPR_LIST && e->rate;
  if (!rate && !forever) {
    Diag *diag = REPORT(c, RATE_WANTED, e->span, str_of(what));
    report_help(c, diag, "%s: 50 per 1m", what);
    return;
  }
  if (!amount_fold(c, rate ? e->first : e, money, amount) || !rate) return;
  Expr *per = e->first->next;
  if (setting_duration(c, &per, "the time of a limit")) *per_us = per->integer;
  else *amount = 0;
}

Str entry_name(const Arg *entry) {
  if (entry->name) return entry->name->text;
  return entry->key && entry->key->kind == EXPR_STRING ? entry->key->text : (Str){0};
}

/* A map literal whose keys are among these; tells of all others. False: it is no such map. */
bool keys_known(Checker *c, const Expr *e, const char *const *keys, size_t count,
                const char *what) {
  Str names[16];
  for (size_t i = 0; i < count; i++) names[i] = str_of(keys[i]);
  if (e->kind != EXPR_MAP) {
    if (e->kind != EXPR_BAD)
      REPORT(c, MAP_WANTED, e->span, str_of(what), diag_format(c->diags, "{ %s: … }", keys[0]));
    return false;
  }
  for (const Arg *arg = e->args; arg; arg = arg->next) {
    Str name = entry_name(arg);
    bool known = false;
    for (size_t i = 0; i < count; i++) known = known || str_equal(name, names[i]);
    if (known) continue;
    Span span = arg->name ? arg->name_span : arg->value->span;
    report_nearest(c, REPORT(c, MAP_KEY, span, str_of(what), name.at ? name : source_text(c, span)),
                   name, names, count);
  }
  return true;
}

/* False: there is nothing among its entries that bounds. */
static bool bounds_fold(Checker *c, const Expr *map, bool budget, Bounds *out) {
  bool any = false;
  for (const Arg *arg = map->args; arg; arg = arg->next) {
    Str name = entry_name(arg);
    if (str_equal(name, STR("requests")) || str_equal(name, STR("calls")))
      rate_fold(c, arg->value, "requests", budget, false, &out->requests, &out->requests_per_us);
    else if (str_equal(name, STR("tokens")))
      rate_fold(c, arg->value, "tokens", budget, false, &out->tokens, &out->tokens_per_us);
    else if (str_equal(name, STR("usd")))
      rate_fold(c, arg->value, "usd", budget, true, &out->nanodollars, &out->nanodollars_per_us);
    else continue;
    any = true;
  }
  return any;
}

/* ---- checks ---- */

static void fallback_cycle(Checker *c, const Decl *model) {
  const Decl *at = model;
  for (uint32_t steps = 0; at && steps < 1000; steps++) {
    const NameList *next = at->model->fallbacks;
    for (const NameList *n = next; n; n = n->next) {
      if (n->name != model->name) continue;
      REPORT(c, FALLBACK_CYCLE, n->span, model->name->text);
      return;
    }
    at = next ? model_decl(next->name) : NULL;
  }
}

void model_check(Checker *c, Decl *model) {
  static const char *const keys[] = {"requests", "tokens"};
  name_style_check(c, model->name, model->name_span, false, "a model");
  provider_check(c, model);
  ability_check(c, model, "seed", CAN_SEED);
  ability_check(c, model, "stop", CAN_STOP);
  ability_check(c, model, "background", CAN_BACKGROUND);
  body_walk(c, decl_body(model));
  model_settings_check(c, model);
  const Expr *limit = setting_value(model, "limit"), *fallback = setting_value(model, "fallback");
  if (limit && keys_known(c, limit, keys, COUNT_OF(keys), "limit"))
    (void)bounds_fold(c, limit, false, &model->model->limit);
  if (fallback && fallback->kind != EXPR_LIST && fallback->kind != EXPR_BAD)
    REPORT(c, SETTING_RANGE, fallback->span, STR("fallback"), STR("a list of models: [ smart ]"));
  for (NameList *n = model->model->fallbacks; n; n = n->next) model_known(c, n->name, n->span);
  fallback_cycle(c, model);
}

/* ---- limit NAME, budget NAME ---- */

static void by_fold(Checker *c, const Expr *e, Allowance *a) {
  static const struct {
    const char *word;
    uint8_t bit;
  } words[] = {
      {"tenant", BY_TENANT}, {"agent", BY_AGENT}, {"model", BY_MODEL}, {"provider", BY_PROVIDER}};
  bool good = e->kind == EXPR_LIST;
  for (const Expr *item = good ? e->first : NULL; item; item = item->next) {
    uint8_t bit = 0;
    for (size_t i = 0; i < COUNT_OF(words); i++) {
      if (item->kind == EXPR_NAME && name_is(item->name, words[i].word)) bit = words[i].bit;
    }
    a->by |= bit;
    good = good && bit;
  }
  if (!good && e->kind != EXPR_BAD)
    REPORT(c, SETTING_RANGE, e->span, STR("by"),
           STR("a list of tenant, agent, model and provider"));
}

static Name *filter_name(Checker *c, const Expr *e, const char *what) {
  if (e->kind == EXPR_NAME) return e->name;
  if (e->kind != EXPR_BAD) REPORT(c, SETTING_RANGE, e->span, str_of(what), STR("a name"));
  return NULL;
}

static Name *provider_filter(Checker *c, const Expr *e) {
  for (int i = 0; e->kind == EXPR_NAME && i < PROVIDER_COUNT; i++) {
    if (name_is(e->name, provider_info[i].name)) return e->name;
  }
  REPORT(c, MODEL_PROVIDER, e->span, STR("limit"), source_text(c, e->span));
  return NULL;
}

static Name *declared_filter(Checker *c, const Expr *e, const char *what) {
  Name *name = filter_name(c, e, what);
  const Decl *decl = name && name->binding ? name->binding->decl : NULL;
  bool agent = strcmp(what, "agent") == 0;
  if (!name || (decl && (agent ? decl->ai != NULL : decl->kind == DECL_TOOL))) return name;
  REPORT(c, SETTING_RANGE, e->span, str_of(what),
         agent ? STR("the name of an ai_agent") : STR("the name of a tool"));
  return NULL;
}

void allowance_check(Checker *c, Decl *decl) {
  static const char *const limits[] = {"requests", "tokens", "provider", "model",
                                       "tool",     "agent",  "by"};
  static const char *const budgets[] = {"usd",   "tokens", "calls", "provider",
                                        "model", "agent",  "by"};
  bool budget = decl->kind == DECL_BUDGET;
  Allowance *a = decl->allowance = ARENA_NEW(c->arena, Allowance);
  name_style_check(c, decl->name, decl->name_span, true, budget ? "a budget" : "a limit");
  if (!keys_known(c, decl->value, budget ? budgets : limits, COUNT_OF(limits),
                  budget ? "budget" : "limit"))
    return;
  bool any = bounds_fold(c, decl->value, budget, &a->bounds);
  for (const Arg *arg = decl->value->args; arg; arg = arg->next) {
    Str name = entry_name(arg);
    if (str_equal(name, STR("by"))) by_fold(c, arg->value, a);
    else if (str_equal(name, STR("provider"))) a->provider = provider_filter(c, arg->value);
    else if (str_equal(name, STR("agent"))) a->agent = declared_filter(c, arg->value, "agent");
    else if (str_equal(name, STR("tool"))) a->tool = declared_filter(c, arg->value, "tool");
    else if (str_equal(name, STR("model")) &&
             (a->model = filter_name(c, arg->value, "model")) != NULL)
      model_known(c, a->model, arg->value->span);
  }
  const Bounds *b = &a->bounds;
  if (!any) REPORT(c, BOUNDS_NOTHING, decl->name_span, decl->name->text);
  if (a->tool && (b->tokens || a->provider || a->model))
    REPORT(c, SETTING_RANGE, decl->name_span, decl->name->text,
           STR("a limit of a tool: requests only"));
}

/* ---- dollars that nothing counts ---- */

static bool budget_counts(const Decl *budget, const Decl *model) {
  const Allowance *a = budget->kind == DECL_BUDGET ? budget->allowance : NULL;
  if (!a || !a->bounds.nanodollars || (a->model && a->model != model->name)) return false;
  return !a->provider || str_equal(a->provider->text, model->model->provider);
}

static bool dollars_bounded(const Checker *c, const Decl *model) {
  if (c->dollars) return true;
  for (const Unit *u = c->out->units; u; u = u->next) {
    for (const Decl *d = u->standard ? NULL : u->decls; d; d = d->next) {
      if (budget_counts(d, model)) return true;
    }
  }
  return false;
}

/* What the provider alone decides (fast, smart) has the library's prices; offline costs nothing. */
void model_dollars_warn(Checker *c, Decl *model) {
  const ProviderInfo *provider = provider_of(model);
  bool costless = !provider || provider == &provider_info[PROVIDER_OFFLINE];
  if (costless || setting_named(model, "price") || !dollars_bounded(c, model)) return;
  Diag *diag = REPORT(c, DOLLARS_UNCOUNTED, model->name_span, model->name->text);
  report_help(c, diag, "give it a `price`, or bound `tokens`");
}
