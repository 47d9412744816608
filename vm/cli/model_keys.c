/* Keys of models, looked for where a call would find them. */
#include "vm/cli/model_keys.h"

#include "vm/base/buf.h"

static bool secret_set(Node *node, Str name) {
  Buf value = {0};
  bool set = node_secret(node, name, &value) && value.size > 0;
  if (value.at != NULL) memset(value.at, 0, value.size);
  buf_deinit(&value);
  return set;
}

void model_keys_each(Node *node, const Bundle *b, void (*each)(void *context, const ModelKey *key), void *context) {
  for (uint32_t i = 0; i < b->model_count; i++) {
    const BundleModel *m = &b->models[i];
    ModelKey key = {.model = bundle_text(b, m->name), .provider = bundle_text(b, m->provider), .set = true};
    if (m->provider == NONE_INDEX) {
      bool anthropic = secret_set(node, STR("ANTHROPIC_API_KEY"));
      key.variable = anthropic ? STR("ANTHROPIC_API_KEY") : STR("OPENAI_API_KEY");
      key.set = anthropic || secret_set(node, key.variable);
    } else if (m->key != NONE_INDEX) {
      key.variable = bundle_text(b, m->key);
      key.set = secret_set(node, key.variable);
    }
    each(context, &key);
  }
}

typedef struct Missing {
  Err *err;
  bool any;
} Missing;

static void missing_say(void *context, const ModelKey *key) {
  Missing *missing = context;
  if (key->set || missing->any) return;
  missing->any = true;
  const char *either = key->provider.size == 0 ? "ANTHROPIC_API_KEY or " : "";
  FAIL(missing->err, ERR_INVALID,
       "the model " STR_FMT " has no key: set %s" STR_FMT " in the environment, or as a line NAME=VALUE in the file "
       "`secrets` of the data directory, and start again%s",
       STR_ARG(key->model), either, STR_ARG(key->variable),
       either[0] != 0 ? "; or declare a model with `provider: offline` or another one" : "");
}

bool model_keys_check(Node *node, const Bundle *bundle, Err *err) {
  Missing missing = {.err = err};
  model_keys_each(node, bundle, missing_say, &missing);
  return !missing.any;
}
