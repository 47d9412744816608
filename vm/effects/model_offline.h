/* The offline provider: answers where no key is set, so that a fresh machine runs every program. It is not a model and
** says so. It needs no network, and the same call gets the same answer always:
**
** 1. If the call has a `script`, a list, the answer is its item number N, N being how many assistant messages the
**    conversation has. An item is a string (the text), {text: "…"}, {calls: [{name, arguments}], text?} (arguments that
**    are a string count as the unreadable text a model sent), or {answer: VALUE} (VALUE as JSON). A script that is too
**    short is an error. A script {rules: [{when: "part", …}]} is for conversations of any length: the first rule whose
**    `when` stands in the last user message or in the system prompt answers, as an item of those forms. A rule without
**    `when` fits always, one with `calls` only while none was made since that message. One with `turns`, a list of
**    such items, gives the next of them after each assistant message since that message. If none fits it is an error.
** 2. Else, if tools are offered and none was called since the last user message, it calls the first tool whose name or
**    description shares a word with that message; its arguments are the smallest its schema allows, with quoted texts,
**    words with digits and numbers of the message where they fit. A `choice` of "none" forbids that, "required" or a
**    name demands it.
** 3. Else, if an `answer` is wanted, it is the smallest value its schema allows (model_instance.h), as JSON.
** 4. Else a short text: that this is the offline provider, what was asked, what tools returned.
**
** Tokens are those of model_estimate.h, and `exact`: its own count is the only one there is. A text of more than
** max_tokens is cut there, with stop "length". */
#ifndef Z8_MODEL_OFFLINE_H
#define Z8_MODEL_OFFLINE_H

#include "vm/base/buf.h"

/* Gives "ok" with a reply, or "error" with an error: the forms are those of model_reader_end. */
const char *model_offline(Str call, Buf *value);

/* The size of the piece of `text` that begins at `at`, as a stream would bring it: a word and the space behind it;
** 0 at the end. */
size_t model_offline_piece(Str text, size_t at);

#endif
