/* How many tokens a text is, about, without any model's dictionary. Linear, allocates nothing. For ordinary text
** it is never below a third of the true number, and seldom above twice it. */
#ifndef Z8_MODEL_ESTIMATE_H
#define Z8_MODEL_ESTIMATE_H

#include "vm/base/base.h"

uint64_t estimate_text(Str utf8); /* bytes that are no UTF-8 count one token each */
/* Of any encoded value, as the JSON it would be sent as. What cannot be read counts nothing. */
uint64_t estimate_value(Str value);

#endif
