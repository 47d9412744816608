/* A JSON Schema as providers take it that generate by it. */
#ifndef Z8_MODEL_SCHEMA_H
#define Z8_MODEL_SCHEMA_H

#include "vm/base/buf.h"
#include "vm/base/err.h"

/* Appends the schema without what Anthropic's structured output refuses: bounds of numbers, lengths and counts are
** left out (the answer is checked against its type anyway), oneOf becomes anyOf, and an object that does not say
** whether it may have other properties is said to have none. ERR_INVALID: no JSON, or an object of any names. */
MUST_USE bool schema_plain(Str schema, Buf *out, Err *err);
/* Appends the schema as OpenAI's strict mode takes it, and gives true: objects have no other names than those they say
** and require them all, so that what may be left out is null instead. False where that cannot be said (maps of any
** names, anything at all, what may be left out and is never null): then the schema is appended as it is. */
MUST_USE bool schema_strict(Str schema, Buf *out);

#endif
