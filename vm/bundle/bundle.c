/* Small questions about a bundle. */
#include "vm/bundle/bundle.h"

#include "vm/base/hash.h"

BundleLine bundle_line(const Bundle *bundle, const BundleFn *fn, uint32_t pc) {
  uint32_t low = 0, high = fn->lines.count;
  const BundleLine *lines = bundle->lines + fn->lines.first;
  while (low < high) { /* the first line that begins after pc */
    uint32_t middle = low + (high - low) / 2;
    if (lines[middle].pc <= pc) low = middle + 1;
    else high = middle;
  }
  return low == 0 ? (BundleLine){0, 1, 1} : lines[low - 1];
}

static void add_number(Sha256 *s, uint32_t n) {
  char digits[10];
  size_t at = sizeof digits;
  do digits[--at] = (char)('0' + n % 10);
  while ((n /= 10) != 0);
  sha256_add(s, (Str){digits + at, sizeof digits - at});
}

uint32_t bundle_site_id(const Bundle *b, const BundleSite *site) {
  const EffectInfo *info = effect_info(site->kind);
  Sha256 s;
  sha256_begin(&s);
  sha256_add(&s, bundle_text(b, b->fns[site->fn].name));
  sha256_add(&s, (Str){"", 1});
  sha256_add(&s, str_of(info != NULL ? info->word : ""));
  sha256_add(&s, (Str){"", 1});
  sha256_add(&s, bundle_text(b, site->target));
  sha256_add(&s, (Str){"", 1});
  sha256_add(&s, bundle_text(b, site->patch));
  sha256_add(&s, (Str){"", 1});
  add_number(&s, site->ordinal);
  Hash256 hash = sha256_end(&s);
  const uint8_t *p = hash.byte;
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

/* ---- what a run begins with ---- */

static bool entry(BundleEntry *out, EntryKind kind, uint32_t index, uint32_t fn,
                  const BundleAttempts *attempts) {
  *out = (BundleEntry){.kind = kind, .index = index, .fn = fn, .attempts = attempts};
  return true;
}

/* "Handler.stored event name" */
static bool entry_on(const Bundle *b, Str name, BundleEntry *out) {
  for (uint32_t i = 0; i < b->subscriber_count; i++) {
    const BundleSubscriber *s = &b->subscribers[i];
    Str own = bundle_text(b, s->name);
    if (name.size <= own.size || name.at[own.size] != '.' ||
        memcmp(name.at, own.at, own.size) != 0)
      continue;
    Str event = {name.at + own.size + 1, name.size - own.size - 1};
    for (uint32_t n = 0; n < s->clauses.count; n++) {
      const BundleClause *c = &b->clauses[s->clauses.first + n];
      if (str_equal(bundle_text(b, b->shapes[c->shape].stored_name), event))
        return entry(out, ENTRY_ON, i, c->fn, &s->attempts);
    }
  }
  return false;
}

/* `test "name"` */
static bool entry_test(const Bundle *b, Str name, BundleEntry *out) {
  static const char before[] = "test \"";
  size_t size = sizeof before - 1;
  if (name.size <= size || memcmp(name.at, before, size) != 0 || name.at[name.size - 1] != '"')
    return false;
  Str wanted = {name.at + size, name.size - size - 1};
  for (uint32_t i = 0; i < b->test_count; i++) {
    if (str_equal(bundle_text(b, b->tests[i].name), wanted))
      return entry(out, ENTRY_TEST, i, b->tests[i].fn, NULL);
  }
  return false;
}

static bool named(const Bundle *b, uint32_t constant, Str name) {
  return str_equal(bundle_text(b, constant), name);
}

bool bundle_entry(const Bundle *b, Str name, BundleEntry *out) {
  if (name.size == 0) return entry(out, ENTRY_SCRIPT, 0, b->script, NULL);
  for (uint32_t i = 0; i < b->workflow_count; i++) {
    if (named(b, b->workflows[i].name, name))
      return entry(out, ENTRY_WORKFLOW, i, b->workflows[i].fn, NULL);
  }
  for (uint32_t i = 0; i < b->worker_count; i++) {
    const BundleWorker *w = &b->workers[i];
    if (named(b, w->name, name)) return entry(out, ENTRY_JOB, i, w->fn, &w->attempts);
  }
  for (uint32_t i = 0; i < b->cron_count; i++) {
    if (named(b, b->crons[i].name, name)) return entry(out, ENTRY_TICK, i, b->crons[i].fn, NULL);
  }
  return entry_on(b, name, out) || entry_test(b, name, out);
}
