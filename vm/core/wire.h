/* Language values as bytes and back: what journals, requests, images of nothing
** else. Deterministic CBOR (RFC 8949 4.2), with these forms of our own, because a
** map's order and a record's type must come back:
**
**   nil bool int float string bytes   plain CBOR; floats in their shortest exact form, NaN f97e00
**   decimal   tag 4 [-scale, coefficient]
**   list      array
**   map       tag 40010 array [k1, v1, k2, v2, …], insertion order
**   record    tag 40011 array [type name, version, f1, v1, f2, v2, …], names as declared
**   time      tag 40012 int (microseconds since 1970)     duration  tag 40013 int (microseconds)
**   handle    tag 40014 [run bytes(16), seq, workflow name]
**   sealed    tag 40015 array of parts: a string, or [secret name]
**   error     tag 40016 [code, message, data, at]
**   range     tag 40017 [from, to, step]
** Functions have no bytes: encoding one fails and says so. */
#ifndef Z8_WIRE_H
#define Z8_WIRE_H

#include "vm/base/cbor.h"
#include "vm/core/heap.h"

/* Appends v. False with *why (a literal) when v holds what cannot be stored; out is then as before. */
MUST_USE bool wire_put(const Machine *m, Value v, Buf *out, const char **why);
/* Decodes one value into the machine's heap, born shared. Bytes are untrusted: false and err on anything
** not canonical, too deep or too large. A record type the program does not have comes back as a map. */
MUST_USE bool wire_get(Machine *m, Str bytes, Value *out, Err *err);

/* The value that stands next in r, which moves past it. */
MUST_USE bool wire_get_part(Machine *m, CborReader *r, Value *out, Err *err);

/* Records of one shape, at sight: their encodings agree in all but the fields' values. */
typedef struct WirePlan WirePlan;
WirePlan *wire_plan_new(const Bundle *bundle, uint32_t shape);
void wire_plan_free(WirePlan *plan);
/* Whether the bytes begin like a record of the shape in its present version. */
bool wire_plan_begins(const WirePlan *plan, Str bytes);
/* Decodes such a record, unshared; what is in it is shared. False: it is something else, or damaged; wire_get says
** what. */
MUST_USE bool wire_get_planned(Machine *m, const WirePlan *plan, Str bytes, Value *out);

/* JSON as values: objects as maps in order, 1 int, 1.0 float. False with a message that says where. */
MUST_USE bool wire_from_json(Machine *m, Str json, Value *out, Buf *why);
/* A value as JSON text; false with *why for functions, sealed values, NaN. Decimals as numbers. */
MUST_USE bool wire_to_json(const Machine *m, Value v, bool pretty, Buf *out, const char **why);
/* The same from encoded bytes with no machine at hand: for the CLI and vm/effects, in vm/base/cbor.h. */

#endif
