/* Errors as encoded values, where there is no machine: [code, message, data, at]. */
#ifndef Z8_ERROR_VALUE_H
#define Z8_ERROR_VALUE_H

#include "vm/base/buf.h"

/* data and at are nil. */
void error_encode(Buf *out, Str code, Str message);

/* Of an error kept as one line, "code: message". */
void error_line_split(Str line, Str *code, Str *message);

/* With data, an encoded value. */
void error_encode_data(Buf *out, Str code, Str message, Str data);

typedef struct ErrorParts {
  Str code, message;
  Str data; /* encoded */
  Str at;   /* "fn (file:line:column)", or empty */
} ErrorParts;
/* False: not an error. The parts point into value. */
bool error_decode(Str value, ErrorParts *out);

#endif
