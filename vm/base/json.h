/* JSON (RFC 8259), strict: a pull parser without a tree, and a writer. Used by
** core (values), cbor.c (encoded values) and the CLI. Every text is checked as
** UTF-8; depth is at most LIMIT_JSON_DEPTH; duplicate names are kept in order. */
#ifndef Z8_JSON_H
#define Z8_JSON_H
#include "vm/base/buf.h"
typedef enum { JSON_OBJECT, JSON_OBJECT_END, JSON_ARRAY, JSON_ARRAY_END, JSON_NAME, JSON_STRING, JSON_INT,
               JSON_FLOAT, JSON_TRUE, JSON_FALSE, JSON_NULL, JSON_END, JSON_ERROR } JsonEvent;
typedef struct JsonReader {
  Str text;
  size_t at;
  uint32_t depth;
  uint8_t *stack;    /* one byte a level; owned */
  uint8_t state;
  Buf scratch;       /* unescaped strings */
  Str string;        /* NAME, STRING: valid until the next call */
  int64_t integer;   /* INT: digits without . or e that fit 64 bits; larger ones come as FLOAT */
  double number;     /* FLOAT; out of range is an error, not infinity */
  const char *error; /* what is wrong, at `at` */
} JsonReader;
void json_init(JsonReader *r, Str text);
void json_deinit(JsonReader *r);
JsonEvent json_next(JsonReader *r);
/* Line and column of r->at, from 1. */
void json_place(const JsonReader *r, uint32_t *line, uint32_t *column);
void json_put_string(Buf *out, Str utf8); /* quoted and escaped */
#endif
