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
