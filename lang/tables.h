/* Enums and info arrays made from the .def tables of this folder. */
#ifndef Z8_TABLES_H
#define Z8_TABLES_H

#include <stdint.h>

/* opcodes */
typedef enum {
#define OP(name, ...) OP_##name,
#include "lang/opcodes.def"
#undef OP
} Op;
enum { OP_COUNT = 0
#define OP(name, ...) +1
#include "lang/opcodes.def"
#undef OP
};
typedef enum { ROLE___, ROLE_R, ROLE_W, ROLE_RW, ROLE_U8, ROLE_I8, ROLE_K16, ROLE_I16, ROLE_J16,
               ROLE_J24, ROLE_ARGS } Role;
typedef enum { EXT_NONE, EXT_FN, EXT_NATIVE, EXT_NAME, EXT_SHAPE, EXT_TYPE, EXT_CONST, EXT_CONFIG, EXT_JUMP,
               EXT_EFFECT } Ext;
typedef struct OpInfo {
  const char *name;
  uint8_t a, b, c; /* Role */
  uint8_t ext;     /* Ext */
  uint8_t words;   /* 1, 2 or 3 */
  const char *meaning;
} OpInfo;
extern const OpInfo op_info[OP_COUNT];

/* effects */
typedef enum {
#define EFFECT(name, number, ...) EFFECT_##name = number,
#include "lang/effects.def"
#undef EFFECT
} EffectKind;
typedef enum { CLASS_NONE, CLASS_READ, CLASS_REVERSIBLE, CLASS_IRREVERSIBLE, CLASS_AS_DECLARED } EffectClass;
typedef enum { HOW_LOCAL, HOW_SEND, HOW_ASK, HOW_RUN } EffectHow;
typedef struct EffectInfo {
  const char *name, *word, *meaning;
  uint8_t kind, effect_class, how;
} EffectInfo;
/* NULL when no effect bears the number. */
const EffectInfo *effect_info(uint64_t number);
const char *effect_class_word(EffectClass c); /* "read", "reversible", "irreversible", "none" */

/* faults */
typedef enum {
#define FAULT(name, ...) FAULT_##name,
#include "lang/faults.def"
#undef FAULT
} FaultCode;
enum { FAULT_COUNT = 0
#define FAULT(name, ...) +1
#include "lang/faults.def"
#undef FAULT
};
typedef struct FaultInfo {
  const char *code, *message;
  uint8_t catchable;
} FaultInfo;
extern const FaultInfo fault_info[FAULT_COUNT];

/* types */
typedef enum {
#define TYPE(name, number, ...) TYPE_##name = number,
#include "lang/types.def"
#undef TYPE
} TypeKind;
const char *type_kind_word(TypeKind kind);

/* limits */
#define LIMIT(name, number, what) static const uint64_t LIMIT_##name = number;
#include "lang/limits.def"
#undef LIMIT

/* natives */
enum { NATIVE_CHANGES = 1 };
typedef enum {
#define NATIVE(id, ...) NATIVE_##id,
#include "lang/natives.def"
#undef NATIVE
  NATIVE_COUNT
} NativeId;
typedef struct NativeInfo {
  const char *module, *name, *signature, *meaning;
  uint8_t min, max, flags;
} NativeInfo;
extern const NativeInfo native_info[];

/* providers of models */
enum {
  CAN_TOOLS = 1, CAN_PARALLEL = 2, CAN_CHOICE = 4, CAN_SCHEMA = 8, CAN_SEED = 16, CAN_STOP = 32, CAN_BACKGROUND = 64,
  CAN_CACHE = 128
};
typedef enum {
#define PROVIDER(id, ...) PROVIDER_##id,
#include "lang/providers.def"
#undef PROVIDER
} ProviderId;
enum { PROVIDER_COUNT = 0
#define PROVIDER(id, ...) +1
#include "lang/providers.def"
#undef PROVIDER
};
typedef struct ProviderInfo {
  const char *name, *url, *key; /* key: the secret that usually holds it, or NULL */
  uint8_t can;                  /* CAN_* */
} ProviderInfo;
extern const ProviderInfo provider_info[PROVIDER_COUNT];

/* How a record's fields and names are read: see vm/journal/record.h for the structs. */
#endif
