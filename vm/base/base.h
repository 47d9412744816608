/* The one header every other one sees: fixed-width types, slices, assertions.
**
** ASSERT stays on in release: the journal makes a crash cheap and a wrong
** state expensive. It is for bugs only, never for what a user, a file or the
** network can cause. ASSERT_SLOW is for whole-structure walks, debug only. */
#ifndef Z8_BASE_H
#define Z8_BASE_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NO_RETURN __attribute__((noreturn))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

NO_RETURN void assert_failed(const char *what, const char *file, int line);
#define ASSERT(cond) (LIKELY(cond) ? (void)0 : assert_failed(#cond, __FILE__, __LINE__))
#ifdef Z8_DEBUG
#define ASSERT_SLOW(cond) ASSERT(cond)
#else
#define ASSERT_SLOW(cond) ((void)0)
#endif
#define UNREACHABLE() assert_failed("unreachable", __FILE__, __LINE__)

/* A borrowed run of bytes, usually UTF-8, not terminated. Whoever made the
** bytes owns them; a Str never frees. The empty Str may have at == NULL. */
typedef struct Str {
  const char *at;
  size_t size;
} Str;

#define STR(literal) ((Str){("" literal), sizeof(literal) - 1})
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).size, (s).at

static inline Str str_of(const char *text) { return (Str){text, text ? strlen(text) : 0}; }
static inline bool str_equal(Str a, Str b) {
  return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

/* A SHA-256 value: bundle ids, chain heads, blob ids, state hashes. */
typedef struct Hash256 {
  uint8_t byte[32];
} Hash256;

/* A UUIDv7 (RFC 9562): runs and events. */
typedef struct Uuid {
  uint8_t byte[16];
} Uuid;

#endif
