/* Settings of agents, handlers, workers and queues: folded in place to literals, and within their
 * bounds. */
#include "compiler/check/checker.h"
#include "vm/base/cron_times.h"
#include "vm/base/zone.h"

enum { CONCURRENCY_MAX = 1000, PRIORITY_MAX = 9, GLOBAL_MAX = 1000000 };

static void report_range(Checker *c, Span span, const Name *setting, const char *range) {
  REPORT(c, SETTING_RANGE, span, setting->text, str_of(range));
}

static void int_setting(Checker *c, Setting *s, int64_t least, int64_t most, const char *range) {
  if (!s->first) return;
  Span span = s->first->span;
  const Expr *value = setting_fold(c, &s->first);
  if (value && (value->kind != EXPR_INT || value->integer < least || value->integer > most))
    report_range(c, span, s->name, range);
}

static void word_setting(Checker *c, const Setting *s, const char *a, const char *b) {
  const Expr *e = s->first;
  if (!e || e->kind == EXPR_BAD) return;
  if (e->kind == EXPR_NAME && (name_is(e->name, a) || name_is(e->name, b))) return;
  Str words[] = {str_of(a), str_of(b)}, have = source_text(c, e->span);
  Diag *diag = REPORT(c, SETTING_WORD, e->span, s->name->text, words[0], words[1], have);
  report_nearest(c, diag, have, words, 2);
}

static void text_setting(Checker *c, Setting *s) {
  if (!s->first) return;
  Span span = s->first->span;
  const Expr *value = setting_fold(c, &s->first);
  if (value && (value->kind != EXPR_STRING || value->text.size == 0))
    report_range(c, span, s->name, "a text that is not empty");
}

/* ---- the fields a setting names ---- */

static bool has_field(const Decl *decl, const Name *name) {
  for (const Field *f = decl->fields; f; f = f->next) {
    if (f->name == name) return true;
  }
  return false;
}

static void key_field(Checker *c, const NameList *n, const Decl *message, const char *why) {
  if (has_field(message, n->name)) return;
  Diag *diag = REPORT(c, KEY_FIELD, n->span, message->name->text, n->name->text, str_of(why));
  report_fields_nearest(c, diag, n->name, message);
  report_note(c, diag, message->name_span, "`" STR_FMT "` is %s here", STR_ARG(message->name->text),
              message->implied ? "first used" : "declared");
}

static void names_once(Checker *c, const NameList *names) {
  for (const NameList *n = names; n; n = n->next) {
    const NameList *first = names;
    while (first->name != n->name) first = first->next;
    if (first == n) continue;
    Diag *diag = REPORT(c, DUPLICATE_FIELD, n->span, n->name->text);
    report_note(c, diag, first->span, "the first `" STR_FMT "` is here", STR_ARG(n->name->text));
  }
}

static void key_setting(Checker *c, const Decl *decl, const Setting *s) {
  names_once(c, s->names);
  for (const NameList *n = s->names; n; n = n->next) {
    if (decl->kind == DECL_WORKER) key_field(c, n, decl, "which would tell its jobs apart");
    for (const Decl *on = decl->kind == DECL_HANDLER ? decl->members : NULL; on; on = on->next) {
      if (on->kind == DECL_ON && on->symbol)
        key_field(c, n, on->symbol->decl, "by which the handler would order its events");
    }
  }
}

static void unique_setting(Checker *c, const Decl *decl, Setting *s) {
  key_setting(c, decl, s);
  if (s->second) setting_duration(c, &s->second, "the time of `unique`");
}

/* ---- each ---- */

static void attempts_setting(Checker *c, Decl *decl, Setting *s) {
  if (name_is(s->name, "backoff") && s->first) {
    setting_duration(c, &s->first, "a wait between attempts");
    return;
  }
  if (s->first) setting_count(c, &s->first, DIAG_TOOL_ATTEMPTS);
  backoff_check(c, s);
  unless_check(c, decl, s);
}

static void setting_one(Checker *c, Decl *decl, Setting *s) {
  Str name = s->name->text;
  if (str_equal(name, STR("snapshot")))
    int_setting(c, s, 1, UINT32_MAX, "a number of events, at least 1");
  else if (str_equal(name, STR("lifespan"))) setting_duration(c, &s->first, "a lifespan");
  else if (str_equal(name, STR("timeout"))) setting_duration(c, &s->first, "a timeout");
  else if (str_equal(name, STR("from"))) word_setting(c, s, "origin", "current");
  else if (str_equal(name, STR("consistency"))) word_setting(c, s, "eventual", "strong");
  else if (str_equal(name, STR("priority")))
    int_setting(c, s, 0, PRIORITY_MAX, "a whole number from 0 (first) to 9");
  else if (str_equal(name, STR("global")))
    int_setting(c, s, 1, GLOBAL_MAX, "a whole number from 1 to 1 000 000");
  else if (str_equal(name, STR("queue"))) text_setting(c, s);
  else if (str_equal(name, STR("unique"))) unique_setting(c, decl, s);
  else if (str_equal(name, STR("max_attempts")) || str_equal(name, STR("backoff")))
    attempts_setting(c, decl, s);
  else if (str_equal(name, STR("concurrency"))) {
    int_setting(c, s, 1, CONCURRENCY_MAX, "a whole number from 1 to 1000");
    key_setting(c, decl, s);
  } else if (str_equal(name, STR("limit"))) {
    if (s->second) setting_count(c, &s->second, DIAG_TOOL_LIMIT);
    setting_duration(c, &s->third, "the time of a limit");
  }
}

/* The waits are said once. */
static void waits_once(Checker *c, const Decl *decl) {
  const Setting *attempts = NULL, *backoff = NULL;
  for (const Setting *s = decl->settings; s; s = s->next) {
    if (name_is(s->name, "max_attempts") && s->second) attempts = s;
    if (name_is(s->name, "backoff")) backoff = s;
  }
  if (!attempts || !backoff) return;
  Diag *diag = REPORT0(c, BACKOFF_TWICE, backoff->span);
  report_note(c, diag, attempts->span, "the first one is here");
}

void settings_check(Checker *c, Decl *decl) {
  for (Setting *s = decl->settings; s; s = s->next) setting_one(c, decl, s);
  waits_once(c, decl);
  if (decl->kind == DECL_QUEUE && decl->text.size == 0) {
    REPORT(c, SETTING_RANGE, decl->name_span, STR("queue"), STR("a text that is not empty"));
  }
}

/* ---- every ---- */

static bool zone_known(Str name, Err *err) {
  Zone *zone = NULL;
  bool known = zone_open(name, &zone, err);
  zone_free(zone);
  return known;
}

/* A zone this machine does not know may be known where the program will run; one that none can know
 * is wrong. */
static void zone_check(Checker *c, const Decl *every) {
  Err err = {0}, other = {0};
  if (!every->zone.at || zone_known(every->zone, &err)) return;
  if (err.code == ERR_INVALID) REPORT(c, CRON_ZONE, every->name_span, every->zone);
  else if (err.code == ERR_NOT_FOUND && zone_known(STR("Europe/London"), &other)) {
    Diag *diag = REPORT(c, ZONE_UNKNOWN, every->name_span, every->zone);
    report_help(c, diag, "zones are called by region and city, as in Europe/Paris");
  }
}

void cron_check(Checker *c, const Decl *every) {
  CronTimes *times = NULL;
  Err err = {0};
  if (!cron_parse(every->text, STR(""), &times, &err)) {
    Diag *diag =
        REPORT(c, CRON_TEXT, every->name_span, arena_str(c->diags->arena, str_of(err.text)));
    report_help(c, diag, "`every \"30 6 * * 1-5\"` comes at half past six from Monday to Friday");
  }
  cron_free(times);
  zone_check(c, every);
}
