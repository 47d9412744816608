#include "lang/tables.h"

#include <stddef.h>

#define WORDS_NONE 1
#define WORDS_FN 2
#define WORDS_NATIVE 2
#define WORDS_NAME 2
#define WORDS_SHAPE 2
#define WORDS_TYPE 2
#define WORDS_CONST 2
#define WORDS_CONFIG 2
#define WORDS_JUMP 2
#define WORDS_EFFECT 3
const OpInfo op_info[OP_COUNT] = {
#define OP(name, a, b, c, ext, meaning) \
  {#name, ROLE_##a, ROLE_##b, ROLE_##c, EXT_##ext, WORDS_##ext, meaning},
#include "lang/opcodes.def"
#undef OP
};

static const EffectInfo effects[] = {
#define EFFECT(name, number, word, cls, how, meaning) \
  {#name, word, meaning, number, CLASS_##cls, HOW_##how},
#include "lang/effects.def"
#undef EFFECT
};

const EffectInfo *effect_info(uint64_t number) {
  for (size_t i = 0; i < sizeof effects / sizeof effects[0]; i++) {
    if (effects[i].kind == number) return &effects[i];
  }
  return NULL;
}

const char *effect_class_word(EffectClass c) {
  switch (c) {
    case CLASS_NONE: return "none";
    case CLASS_READ: return "read";
    case CLASS_REVERSIBLE: return "reversible";
    case CLASS_IRREVERSIBLE: return "irreversible";
    case CLASS_AS_DECLARED: return "as declared";
  }
  return "?";
}

const ProviderInfo provider_info[PROVIDER_COUNT] = {
#define PROVIDER(id, word, url, key, can, meaning) {word, url, key, can},
#include "lang/providers.def"
#undef PROVIDER
};

const FaultInfo fault_info[FAULT_COUNT] = {
#define FAULT(name, code, catchable, message) {code, message, catchable},
#include "lang/faults.def"
#undef FAULT
};

const char *type_kind_word(TypeKind kind) {
  switch (kind) {
#define TYPE(name, number, word, what) case TYPE_##name: return word;
#include "lang/types.def"
#undef TYPE
  }
  return "?";
}

enum { CHANGES = NATIVE_CHANGES };
const NativeInfo native_info[NATIVE_COUNT + 1] = {
#define NATIVE(id, module, name, min, max, signature, flags, meaning) \
  {module, name, signature, meaning, min, max, flags},
#include "lang/natives.def"
#undef NATIVE
  {NULL, NULL, NULL, NULL, 0, 0, 0},
};
