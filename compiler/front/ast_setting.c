/* Settings: lines `name value` of a declaration's body, from lang/settings.def. */
#include "compiler/front/ast_build.h"

typedef enum {
  FORM_ONE,
  FORM_ATTEMPTS,
  FORM_RATE,
  FORM_WORD,
  FORM_EVERY,
  FORM_BY,
  FORM_UNIQUE,
  FORM_ASK,
  FORM_VALIDATE
} SettingForm;
typedef struct SettingInfo {
  uint8_t owner; /* DeclKind */
  uint8_t form;
  const char *name, *example;
} SettingInfo;
static const SettingInfo settings[] = {
#define SETTING(declaration, name, form, example, meaning) \
  {DECL_##declaration, FORM_##form, name, example},
#include "lang/settings.def"
#undef SETTING
};

bool setting_owner(DeclKind kind) {
  for (size_t i = 0; i < COUNT_OF(settings); i++) {
    if (settings[i].owner == kind) return true;
  }
  return false;
}

static const SettingInfo *setting_info(DeclKind owner, Str name) {
  for (size_t i = 0; i < COUNT_OF(settings); i++) {
    if (settings[i].owner == owner && str_equal(str_of(settings[i].name), name)) return &settings[i];
  }
  return NULL;
}

bool setting_is_known(const Build *b, Name *name) {
  return setting_info(b->body, name->text) != NULL;
}

static Str owner_noun(DeclKind owner) {
  switch (owner) {
    case DECL_TOOL:
      return STR("a tool");
    case DECL_AGENT:
      return STR("an agent");
    case DECL_ROUTER:
      return STR("a router");
    case DECL_HANDLER:
      return STR("a handler");
    case DECL_WORKER:
      return STR("a worker");
    case DECL_MODEL:
      return STR("a model");
    case DECL_AI_AGENT:
      return STR("an ai_agent");
    default:
      return STR("a queue");
  }
}

Str body_has(DeclKind owner) {
  switch (owner) {
    case DECL_TOOL:
      return STR("a tool has effect, timeout, max_attempts, backoff, limit, ask, perform: and check:");
    case DECL_MODEL:
      return STR("a model has provider, name, url, api_key, temperature, max_tokens, price, limit, fallback, timeout, "
                 "max_attempts, effort, seed, stop, stream, background and script");
    case DECL_AI_AGENT:
      return STR(
          "an ai_agent has model, prompt, task, tools, strategy, answer, repairs, max_iterations, "
          "on_limit, memory "
          "and budget");
    case DECL_AGENT:
      return STR("an agent has state, decide, evolve, view, invariant, snapshot and lifespan");
    case DECL_ROUTER:
      return STR("a router has identify, dispatch, before and validate");
    case DECL_HANDLER:
      return STR("a handler has on, from, consistency, concurrency, max_attempts, backoff and timeout");
    case DECL_WORKER:
      return STR("a worker has perform(job):, queue, priority, max_attempts, backoff, timeout and unique");
    default:
      return STR("a queue has concurrency, global and limit");
  }
}

/* A word at the head of a line that is no setting of the declaration. */
void complain_setting(Build *b, Name *name, Span span) {
  Str names[COUNT_OF(settings)];
  size_t count = 0;
  for (size_t i = 0; i < COUNT_OF(settings); i++) {
    if (settings[i].owner == b->body) names[count++] = str_of(settings[i].name);
  }
  Diag *diag = DIAG_ADD(b->diags, DIAG_UNKNOWN_SETTING, span, name->text, owner_noun(b->body));
  Str near = diag_nearest(name->text, names, count);
  if (near.at) {
    diag_label(diag, diag_format(b->diags, "did you mean `" STR_FMT "`?", STR_ARG(near)));
    diag_fix(diag, near);
  }
  diag_help(diag, body_has(b->body));
}

static bool form_fits(uint8_t wanted, SettingForm form) {
  if (wanted == form) return true;
  if (form == FORM_ONE)
    return wanted == FORM_ATTEMPTS || wanted == FORM_WORD || wanted == FORM_BY ||
           wanted == FORM_ASK;
  return form == FORM_BY && wanted == FORM_UNIQUE;
}

static Setting *setting_new(Build *b, Tok name, Span last, SettingForm form) {
  Setting *s = ARENA_NEW(b->arena, Setting);
  s->name = name.name;
  s->name_span = name.span;
  s->span = span_join(name.span, last);
  const SettingInfo *info = setting_info(b->body, name.name->text);
  if (info && info->form == FORM_ASK) b->unit->models = true;
  if (!info) {
    complain_setting(b, name.name, name.span);
  } else if (!form_fits(info->form, form)) {
    Diag *diag = DIAG_ADD(b->diags, DIAG_SETTING_FORM, s->span, name.name->text);
    diag_help(diag, diag_format(b->diags, "write it like this: %s", info->example));
  }
  return s;
}

Setting *ast_setting(Build *b, Tok name, Expr *first, Expr *second, Expr *third, Expr *cond) {
  bool plain = !second && !cond;
  Expr *last = cond ? cond : third ? third : first;
  Setting *s = setting_new(b, name, last->span, plain ? FORM_ONE : FORM_ATTEMPTS);
  s->first = first;
  s->second = second;
  s->third = third;
  s->cond = cond;
  return s;
}

Setting *ast_setting_rate(Build *b, Tok name, Expr *rate, Expr *count, Expr *per) {
  Setting *s = setting_new(b, name, per->span, FORM_RATE);
  s->first = rate;
  s->second = count;
  s->third = per;
  return s;
}

Setting *ast_setting_ask(Build *b, Tok name, Expr *question, Expr *within) {
  Setting *s = setting_new(b, name, within->span, FORM_ASK);
  s->first = question;
  s->second = within;
  return s;
}

static void complain_form(Build *b, const Setting *s) {
  const SettingInfo *info = setting_info(b->body, s->name->text);
  if (!info) return;
  Diag *diag = DIAG_ADD(b->diags, DIAG_SETTING_FORM, s->span, s->name->text);
  diag_help(diag, diag_format(b->diags, "write it like this: %s", info->example));
}

static bool spells(Tok word, const char *text) {
  return str_equal(word.name->text, str_of(text));
}

Setting *ast_setting_words(Build *b, Tok name, Tok first, Tok second) {
  Setting *s = setting_new(b, name, second.span, FORM_VALIDATE);
  if (!spells(first, "every") || !spells(second, "command")) complain_form(b, s);
  return s;
}

Setting *ast_setting_every(Build *b, Tok name, Tok every, Tok count, Tok events) {
  Setting *s = setting_new(b, name, events.span, FORM_EVERY);
  s->first = ast_int(b, count);
  if (!spells(every, "every") || !(spells(events, "events") || spells(events, "event")))
    complain_form(b, s);
  return s;
}

Setting *ast_setting_by(Build *b, Tok name, Expr *count, NamesList by, Expr *within,
                        const Tok *replace) {
  Span last = replace ? replace->span : within ? within->span : by.last->span;
  Setting *s = setting_new(b, name, last, count ? FORM_BY : FORM_UNIQUE);
  s->first = count;
  s->second = within;
  s->names = by.first;
  s->replace = replace != NULL;
  if (replace && !spells(*replace, "replace")) complain_form(b, s);
  return s;
}

/* Settings are few, but a file may repeat one a million times: each is looked for among at most
** as many as there are names. */
Decl *ast_decl_setting(Build *b, Decl *decl, Setting *setting) {
  for (Setting *s = decl->settings; s; s = s->next) {
    if (s->name != setting->name) continue;
    complain_twice(b, setting->name_span, s->name_span, setting->name->text);
    return decl;
  }
  if (!setting_is_known(b, setting->name)) return decl;
  setting->next = decl->settings;
  decl->settings = setting;
  return decl;
}

Decl *ast_decl_member(Decl *decl, Decl *member) {
  if (!member) return decl;
  member->next = decl->members;
  decl->members = member;
  return decl;
}

Decl *ast_decl_end(Decl *decl) {
  Setting *turned = NULL;
  while (decl->settings) {
    Setting *s = decl->settings;
    decl->settings = s->next;
    s->next = turned;
    turned = s;
  }
  decl->settings = turned;
  decl->members = decls_turned(decl->members);
  return decl;
}
