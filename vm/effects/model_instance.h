/* The smallest value a JSON Schema allows: what the offline provider answers where a model would think. The same
** schema and the same message give the same value always.
**
** Understood: $ref within the schema, const, enum, default, anyOf and oneOf and allOf (their first), type (of a list
** the first that is not null), properties and required, items and prefixItems with minItems, minimum, maximum, their
** exclusive forms, multipleOf, minLength, maxLength, pattern (plain regular expressions), the common formats; and of a
** description the words that a `where` of a type puts there, where they compare a field or its length with a number. */
#ifndef Z8_MODEL_INSTANCE_H
#define Z8_MODEL_INSTANCE_H

#include "vm/base/buf.h"
#include "vm/base/err.h"

enum { HINTS_MAX = 32 };

/* What a message names: quoted texts, words with a digit or an @ in them, numbers. Each is used once. */
typedef enum { HINT_QUOTED, HINT_WORD, HINT_NUMBER } HintKind;
typedef struct Hint {
  Str text; /* into the message */
  HintKind kind;
  bool used;
} Hint;
typedef struct Hints {
  Str message;
  Hint at[HINTS_MAX];
  uint32_t count;
} Hints;
void hints_read(Hints *hints, Str message); /* which must outlive them */

/* Appends the encoded value. schema: JSON text; nil-like texts ("" and "true") allow anything. name: what a string is
** said to stand for. hints may be NULL. ERR_INVALID: no JSON; ERR_LIMIT: the value has no end. */
MUST_USE bool schema_instance(Str schema, Str name, Hints *hints, Buf *out, Err *err);

/* The smallest text a regular expression matches, taking the first of alternatives; false if it is beyond this. */
bool pattern_instance(Str pattern, Buf *out);

typedef struct Bounds {
  double low, high, step; /* step 0: none */
  bool has_low, has_high, above, below; /* above, below: the bound itself is out */
} Bounds;

/* Narrows the bounds by what words like "n > 3 and n < 9", "n in range(1, 6)" say of the name, or of its length. */
void where_bounds(Str words, Str name, bool length, Bounds *b);

/* Whether two texts share a word of three letters or more that says something: "refunds" in "the refund?" too. */
bool words_shared(Str a, Str b);

#endif
