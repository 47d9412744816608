/* Sites are looked up by id in the bundle of their own side: the recorded line is shown
** from the source that was recorded, whatever the working copy holds now.
**
** What is likely follows from the class, and from which of the two sites each bundle knows:
** a site that only the new code has was added, one that only the old code has was removed. */
#include "vm/run/explain.h"
#include "vm/base/hash.h"
#include "vm/base/json.h"
#include "vm/journal/diverge.h"
#include "vm/run/run.h"

typedef struct Side { /* one record and where in the source it was asked */
  bool present;
  Record record;
  const Bundle *bundle;
  const BundleSite *site;
} Side;

typedef struct Page {
  const Divergence *d;
  const Bundle *current, *recorded;
  const char *run;
  Side was, now, agreed;
  DivergeSpot spot;
  bool has_spot;
  Buf cause, next;
} Page;

/* ---- gathering ---- */

static bool site_id_of(const Record *r, uint64_t *id) {
  if (r->kind == RECORD_ASKED) *id = r->ASKED.site;
  else if (r->kind == RECORD_READ) *id = r->READ.site;
  else if (r->kind == RECORD_RECALLED) *id = r->RECALLED.site;
  else return false;
  return true;
}

static const BundleSite *site_find(const Bundle *b, uint64_t id) {
  for (uint32_t i = 0; b && i < b->site_count; i++) {
    if (b->sites[i].id == id) return &b->sites[i];
  }
  return NULL;
}

static Side side_of(Str bytes, const Bundle *own, const Bundle *other) {
  Err ignored;
  uint64_t id;
  Side s = {.bundle = own};
  if (!bytes.size || !record_decode(bytes, &s.record, &ignored)) return s;
  s.present = true;
  if (!site_id_of(&s.record, &id)) return s;
  s.site = site_find(own, id);
  if (!s.site && !own) { /* the old bundle is gone: the new one may still have that site */
    s.bundle = other;
    s.site = site_find(other, id);
  }
  return s;
}

static Str fn_name(const Side *s) {
  return s->site ? bundle_text(s->bundle, s->bundle->fns[s->site->fn].name) : (Str){0};
}

static const BundleSource *source_of(const Side *s) {
  if (!s->site) return NULL;
  uint32_t source = s->bundle->fns[s->site->fn].source;
  return source < s->bundle->source_count ? &s->bundle->sources[source] : NULL;
}

static Str line_of(Str text, uint32_t line) {
  const char *at = text.at, *end = text.at + text.size;
  for (uint32_t i = 1; i < line && at < end; i++) {
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    if (!newline) return (Str){0};
    at = newline + 1;
  }
  const char *newline = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
  return (Str){at, (size_t)((newline ? newline : end) - at)};
}

/* ---- what was done, in a line ---- */

static void put_effect(uint64_t kind, Str target, Buf *out) {
  const EffectInfo *info = effect_info(kind);
  buf_text(out, info ? info->word : "an effect");
  if (target.size) {
    buf_byte(out, ' ');
    buf_str(out, target);
  }
}

static void put_values(Str values, Buf *out) {
  enum { SHOWN = 200 };
  Err ignored;
  Buf text = {0};
  if (!values.size || !cbor_to_json(values, &text, &ignored)) {
    buf_deinit(&text);
    return;
  }
  size_t size = text.size > SHOWN ? SHOWN : text.size;
  while (size < text.size && size > 0 && ((uint8_t)text.at[size] & 0xc0) == 0x80) size--;
  buf_byte(out, ' ');
  buf_put(out, text.at, size);
  if (size < text.size) buf_text(out, "…");
  buf_deinit(&text);
}

static void put_record(const Record *r, Buf *out) {
  switch (r->kind) {
    case RECORD_ASKED:
      put_effect(r->ASKED.kind, r->ASKED.target, out);
      put_values(r->ASKED.operands, out);
      return;
    case RECORD_READ:
      put_effect(r->READ.kind, (Str){0}, out);
      put_values(r->READ.operands, out);
      return;
    case RECORD_RECALLED:
      put_effect(r->RECALLED.kind, (Str){0}, out);
      buf_format(out, ", recalled from #%" PRIu64, r->RECALLED.ref);
      return;
    case RECORD_RETRIED:
      buf_format(out, "attempt %" PRIu64 " is over (" STR_FMT ")", r->RETRIED.attempt, STR_ARG(r->RETRIED.why));
      put_values(r->RETRIED.error, out);
      return;
    case RECORD_EXHAUSTED:
      buf_format(out, "the attempts are used up after number %" PRIu64, r->EXHAUSTED.attempt);
      put_values(r->EXHAUSTED.error, out);
      return;
    case RECORD_ENDED:
      buf_format(out, "the run ended: " STR_FMT, STR_ARG(r->ENDED.status));
      put_values(r->ENDED.result, out);
      return;
    case RECORD_PATCH:
      buf_format(out, "patched(\"" STR_FMT "\") was %s", STR_ARG(r->PATCH.id),
                 r->PATCH.value ? "true" : "false");
      return;
    case RECORD_ANSWERED:
      buf_format(out, "an answer to #%" PRIu64 " (" STR_FMT ")", r->ANSWERED.ref,
                 STR_ARG(r->ANSWERED.outcome));
      return;
    case RECORD_SIGNALLED:
      buf_format(out, "signal \"" STR_FMT "\" arrived", STR_ARG(r->SIGNALLED.name));
      return;
    case RECORD_TOOL_DONE:
      buf_format(out, "the tool call #%" PRIu64 " was settled: " STR_FMT, r->TOOL_DONE.ref,
                 STR_ARG(r->TOOL_DONE.outcome));
      return;
    case RECORD_HEAD:
    case RECORD_TOOL_ATTEMPT:
    case RECORD_TOOL_UNKNOWN:
    case RECORD_CANCELLED:
    case RECORD_CANCEL_ASKED:
    case RECORD_RESOLVED:
    case RECORD_DISCARDED:
    case RECORD_KILLED:
    case RECORD_REVIVED:
    case RECORD_PARKED:
    case RECORD_CONTINUED:
    case RECORD_STREAM:
    case RECORD_ACCEPTED:
    case RECORD_HAPPENED:
      buf_text(out, record_info(r->kind)->what);
      return;
  }
}

static void put_side(const char *label, const Side *s, const char *absent, Buf *out) {
  buf_format(out, "  %-10s ", label);
  if (s->present) put_record(&s->record, out);
  else buf_text(out, absent);
  buf_byte(out, '\n');
  const BundleSource *source = source_of(s);
  if (!source) return;
  Str path = bundle_text(s->bundle, source->path), line = line_of(source->text, s->site->line);
  buf_format(out, "             --> " STR_FMT ":%u:%u in " STR_FMT "\n", STR_ARG(path),
             s->site->line, s->site->column, STR_ARG(fn_name(s)));
  buf_format(out, "      %6u | " STR_FMT "\n", s->site->line, STR_ARG(line));
  buf_text(out, "             | ");
  for (uint32_t i = 1; i < s->site->column && i < 200; i++) buf_byte(out, ' ');
  buf_text(out, "^\n");
}

/* ---- the likely cause ---- */

static void patch_advice(const Side *s, const char *what, Buf *out) {
  Str fn = fn_name(s);
  buf_format(out,
             "; if that is meant, keep the old way for runs that began before: `if patched(\"");
  for (size_t i = 0; i < fn.size; i++) {
    char c = fn.at[i];
    bool upper = c >= 'A' && c <= 'Z';
    if (upper && i > 0 && fn.at[i - 1] != '.') buf_byte(out, '-');
    buf_byte(out, (uint8_t)(upper ? c - 'A' + 'a' : c == '.' || c == '_' ? '-' : c));
  }
  buf_format(out, "%s-v2\"):` around %s", fn.size ? "" : "change", what);
}

static void put_fn(const Side *s, const char *before, Buf *out) {
  Str fn = fn_name(s);
  if (fn.size) buf_format(out, "%s`" STR_FMT "`", before, STR_ARG(fn));
}

static bool same_code(const Page *p) {
  return p->recorded && memcmp(&p->current->id, &p->recorded->id, sizeof p->current->id) == 0;
}

static bool only_in_own(const Side *s, const Bundle *other) {
  uint64_t id;
  return s->present && other && site_id_of(&s->record, &id) && s->site && !site_find(other, id);
}

/* KIND and SITE: another call stands where the recorded one was. */
static void cause_of_call(Page *p) {
  bool added = only_in_own(&p->now, p->recorded), removed = only_in_own(&p->was, p->current);
  if (added && !removed) {
    buf_text(&p->cause, "a call was added");
    put_fn(&p->now, " in ", &p->cause);
    patch_advice(&p->now, "the new call", &p->cause);
  } else if (removed && !added) {
    buf_text(&p->cause, "a call was removed");
    put_fn(&p->was, " from ", &p->cause);
    patch_advice(&p->was, "leaving it out", &p->cause);
  } else if (added) {
    buf_text(&p->cause, "a call was replaced by another one");
    put_fn(&p->now, " in ", &p->cause);
    patch_advice(&p->now, "the new call", &p->cause);
  } else {
    buf_text(&p->cause,
             "the calls come in another order, or a condition before them turns out otherwise");
    put_fn(p->now.site ? &p->now : &p->was, " in ", &p->cause);
    patch_advice(p->now.site ? &p->now : &p->was, "what changed", &p->cause);
  }
}

static void cause_of_operand(Page *p) {
  if (p->has_spot)
    buf_format(&p->cause, "`" STR_FMT "` of the same call is computed otherwise",
               STR_ARG(buf_view(&p->spot.path)));
  else buf_text(&p->cause, "an argument of the same call is computed otherwise");
  put_fn(&p->now, " in ", &p->cause);
  patch_advice(&p->now, "the new way to compute it", &p->cause);
}

static void cause_with(Page *p, const char *words, const Side *s, const char *around) {
  buf_text(&p->cause, words);
  put_fn(s, " in ", &p->cause);
  patch_advice(s, around, &p->cause);
}

/* The same code may not diverge: then it is not the code. */
static bool cause_is_not_the_code(Page *p) {
  if (p->d->kind == DIVERGE_DAMAGED) {
    buf_format(&p->cause, "the store cannot give back what was recorded: %s", p->d->damage.text);
    return true;
  }
  if (!same_code(p)) return false;
  buf_text(&p->cause,
           "the code is the recorded code, so this is a fault of z8, of the machine, or of the "
           "stored history:"
           " please report it with this page");
  return true;
}

static void find_cause(Page *p) {
  if (cause_is_not_the_code(p)) return;
  switch (p->d->kind) {
    case DIVERGE_KIND:
    case DIVERGE_SITE:
      cause_of_call(p);
      return;
    case DIVERGE_OPERAND:
      cause_of_operand(p);
      return;
    case DIVERGE_EXTRA:
      cause_with(p, "a call was added, or a loop goes round once more", &p->now, "the new call");
      return;
    case DIVERGE_MISSING:
      cause_with(p, "a call was removed or moved, or a loop ends earlier",
                 p->was.site ? &p->was : &p->now, "the change");
      return;
    case DIVERGE_DELIVERY:
      cause_with(p, "branches run in another order, or something is awaited earlier or later",
                 &p->now, "the change");
      return;
    case DIVERGE_STATE:
      buf_text(
          &p->cause,
          "every call agreed, and values kept in variables differ: code between the calls changed");
      return;
    case DIVERGE_RESULT:
      buf_text(&p->cause,
               "every call agreed, and the result is computed otherwise: code after the last call "
               "changed");
      return;
    case DIVERGE_PATCH:
      buf_text(&p->cause,
               "a patch marker was decided otherwise than recorded: it was retired while this run "
               "still needs"
               " its old branch, or its id was used before; bring the old branch back");
      return;
    case DIVERGE_NONE:
    case DIVERGE_DAMAGED:
      return;
  }
}

static void find_next(Page *p) {
  if (p->d->kind == DIVERGE_DAMAGED) {
    buf_text(&p->next, "z8 doctor");
  } else if (same_code(p)) {
    buf_format(&p->next, "z8 log %s", p->run);
  } else {
    const Bundle *b = p->current;
    Str path = b->source_count ? bundle_text(b, b->sources[0].path) : STR("FILE");
    buf_format(&p->next, "z8 replay %s --with " STR_FMT, p->run, STR_ARG(path));
  }
}

/* ---- the page ---- */

static Page page_make(const Bundle *current, const Bundle *recorded, const Divergence *d,
                      const char *run) {
  Page p = {.d = d, .current = current, .recorded = recorded, .run = run};
  p.was = side_of(buf_view(&d->recorded), recorded, current);
  p.now = side_of(buf_view(&d->current), current, NULL);
  p.agreed = side_of(buf_view(&d->agreed), recorded, current);
  p.has_spot = diverge_spot(d, &p.spot);
  find_cause(&p);
  find_next(&p);
  return p;
}

static void page_deinit(Page *p) {
  diverge_spot_deinit(&p->spot);
  buf_deinit(&p->cause);
  buf_deinit(&p->next);
}

static void put_bundles(const Page *p, Buf *out) {
  char now[65], was[65];
  hash256_text(p->current->id, now);
  if (p->recorded) hash256_text(p->recorded->id, was);
  buf_format(out, "  bundles:   recorded %.12s, running %.12s%s\n", p->recorded ? was : "gone", now,
             same_code(p) ? " (the same)" : "");
}

static void put_spot(const Page *p, Buf *out) {
  if (!p->has_spot) return;
  buf_format(out, "  first difference: " STR_FMT "\n", STR_ARG(buf_view(&p->spot.path)));
  buf_format(out, "    recorded " STR_FMT "\n", STR_ARG(buf_view(&p->spot.recorded)));
  buf_format(out, "    code now " STR_FMT "\n", STR_ARG(buf_view(&p->spot.current)));
}

void explain_divergence(const Bundle *current, const Bundle *recorded, const Divergence *d,
                        const char run_text[37], Buf *out) {
  Page p = page_make(current, recorded, d, run_text);
  const char *nothing_now = d->kind == DIVERGE_MISSING ? "nothing: it stopped asking" : "(nothing)";
  buf_format(out, "%s divergence in run %s at journal #%" PRIu64 "\n", diverge_word(d->kind),
             run_text, d->seq);
  put_side("recorded:", &p.was,
           d->kind == DIVERGE_EXTRA ? "nothing: history waits here" : "(nothing)", out);
  put_side("code now:", &p.now, nothing_now, out);
  put_spot(&p, out);
  if (p.agreed.present) {
    buf_format(out, "  last agreed: #%" PRIu64 " ", p.agreed.record.seq);
    put_record(&p.agreed.record, out);
    const BundleSource *source = source_of(&p.agreed);
    if (source) {
      Str path = bundle_text(p.agreed.bundle, source->path);
      buf_format(out, " (" STR_FMT ":%u)", STR_ARG(path), p.agreed.site->line);
    }
    buf_byte(out, '\n');
  }
  put_bundles(&p, out);
  buf_format(out, "  likely: " STR_FMT "\n", STR_ARG(buf_view(&p.cause)));
  buf_format(out, "  next: " STR_FMT "\n", STR_ARG(buf_view(&p.next)));
  page_deinit(&p);
}

/* ---- the same as JSON ---- */

static void json_text(const char *name, Str text, Buf *out) {
  buf_format(out, ",\"%s\":", name);
  json_put_string(out, text);
}

static void json_side(const char *name, const Side *s, Buf *out) {
  Err ignored;
  Buf record = {0};
  buf_format(out, ",\"%s\":", name);
  if (!s->present || !record_to_json(&s->record, &record, &ignored)) {
    buf_text(out, "null");
    buf_deinit(&record);
    return;
  }
  buf_put(out, record.at, record.size - 1); /* without its closing brace */
  const BundleSource *source = source_of(s);
  if (source) {
    buf_text(out, ",\"place\":{\"line\":");
    buf_format(out, "%u,\"column\":%u", s->site->line, s->site->column);
    json_text("file", bundle_text(s->bundle, source->path), out);
    json_text("function", fn_name(s), out);
    json_text("text", line_of(source->text, s->site->line), out);
    buf_byte(out, '}');
  }
  buf_byte(out, '}');
  buf_deinit(&record);
}

void explain_divergence_json(const Bundle *current, const Bundle *recorded, const Divergence *d,
                             const char run_text[37], Buf *out) {
  Page p = page_make(current, recorded, d, run_text);
  buf_format(out, "{\"class\":\"%s\",\"seq\":%" PRIu64, diverge_word(d->kind), d->seq);
  json_text("run", str_of(run_text), out);
  json_side("recorded", &p.was, out);
  json_side("current", &p.now, out);
  json_side("agreed", &p.agreed, out);
  if (p.has_spot) {
    json_text("path", buf_view(&p.spot.path), out);
    json_text("recorded_value", buf_view(&p.spot.recorded), out);
    json_text("current_value", buf_view(&p.spot.current), out);
  }
  json_text("cause", buf_view(&p.cause), out);
  json_text("next", buf_view(&p.next), out);
  buf_byte(out, '}');
  page_deinit(&p);
}

/* ---- for a run ---- */

static void with_run(Run *run, const Bundle *recorded, Buf *out,
                     void (*explain)(const Bundle *, const Bundle *, const Divergence *,
                                     const char *, Buf *)) {
  char text[37];
  uuid_text(run_id(run), text);
  explain(run_machine(run)->bundle, recorded, journal_divergence(run_journal(run)), text, out);
}

void run_explain(Run *run, const Bundle *recorded, Buf *out) {
  with_run(run, recorded, out, explain_divergence);
}
void run_explain_json(Run *run, const Bundle *recorded, Buf *out) {
  with_run(run, recorded, out, explain_divergence_json);
}
