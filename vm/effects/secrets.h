/* Sealed values: templates of text and names of secrets, which stand in journals as
** they are. Here, just before an effect leaves, the names become plaintext; what was
** resolved is kept so that it can be masked in error texts, and wiped. */
#ifndef Z8_SECRETS_H
#define Z8_SECRETS_H

#include "vm/base/buf.h"
#include "vm/base/err.h"

typedef struct Secrets {
  Buf *plain; /* each secret's text */
  uint32_t count, cap;
  Buf resolved; /* the encoded value with sealed parts as strings */
} Secrets;

typedef bool SecretFn(void *context, Str name, Buf *value);

/* ERR_NOT_FOUND names a secret there is none of. *out points into value when nothing was sealed. */
MUST_USE bool secrets_resolve(Secrets *s, Str value, SecretFn *secret, void *context, Str *out,
                              Err *err);
/* Does the text hold one of them? */
bool secrets_in(const Secrets *s, Str text);
/* Every occurrence becomes ******. A secret of less than SECRET_MASKED_BYTES is none worth hiding and stands: it is
** what servers without keys are given ("none", "ollama", "x"), and texts hold such words by chance. Keys that providers
** give out are of 20 bytes and more, and rules for passwords refuse those of less than 8. */
enum { SECRET_MASKED_BYTES = 8 };
void secrets_mask(const Secrets *s, Str text, Buf *out);
/* The same for text that comes in pieces, cut anywhere: what may be the beginning of a secret stays in `held` until
** more has come, or it is the `last`. */
void secrets_mask_piece(const Secrets *s, Buf *held, Str piece, bool last, Buf *out);
/* The same in the texts of the reply to a model call, or of an error. What is ours stays: the names of fields, an
** error's code, id and name of a tool call, by which it is matched with what was offered. */
void secrets_mask_value(const Secrets *s, Str value, Buf *out);
void secrets_forget(Secrets *s); /* wipes the resolved value; what was in it can still be masked */
void secrets_wipe(Secrets *s);

#endif
