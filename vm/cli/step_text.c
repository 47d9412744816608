/* Steps as lines. */
#include "vm/cli/step_text.h"

#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/text.h"
#include "vm/runtime/error_value.h"

enum { STEP_INDENT = 20 };

/* ---- pieces ---------------------------------------------------------------------- */

static size_t cut_at(Str text, size_t most) {
  if (text.size <= most) return text.size;
  while (most > 0 && ((unsigned char)text.at[most] & 0xc0) == 0x80) most--;
  return most;
}

void labelled_put(Buf *out, int indent, const char *label, Str text, size_t most) {
  while (text.size > 0 && (text.at[text.size - 1] == '\n' || text.at[text.size - 1] == ' ')) text.size--;
  size_t size = cut_at(text, most);
  Buf safe = {0};
  output_safe(&safe, (Str){text.at, size}); /* a model's text must not steer the terminal */
  buf_format(out, "%*s%-10s ", indent, "", label);
  for (size_t i = 0; i < safe.size; i++) {
    if (safe.at[i] == '\n') buf_format(out, "\n%*s", indent + 11, "");
    else buf_byte(out, (uint8_t)safe.at[i]);
  }
  buf_deinit(&safe);
  if (size < text.size) buf_format(out, "… (%zu bytes more)", text.size - size);
  buf_byte(out, '\n');
}

static void message_put(Buf *out, int indent, Str message, bool failures) {
  Str role = story_field(message, "role"), content = story_field(message, "content");
  Buf text = {0};
  if (str_equal(role, STR("tool"))) {
    if (!failures || !story_flag(message, "error")) return;
    buf_format(&text, STR_FMT ": ", STR_ARG(story_field(message, "name")));
  } else if (str_equal(role, STR("assistant"))) {
    buf_text(&text, "(said before) ");
  } else if (!str_equal(role, STR("user"))) {
    buf_format(&text, "(" STR_FMT ") ", STR_ARG(role));
  }
  buf_str(&text, content);
  labelled_put(out, indent, "told", buf_view(&text), TEXT_SHOWN);
  buf_deinit(&text);
}

void messages_put(Buf *out, int indent, Str list, bool failures) {
  StoryItems items = story_items(list);
  Str message;
  while (story_next(&items, &message)) message_put(out, indent, message, failures);
}

void usage_put(Buf *out, const Usage *u, bool priced, int64_t nanodollars) {
  buf_format(out, "%s%" PRId64 " tokens in", u->exact ? "" : "about ", u->input);
  if (u->cached > 0) buf_format(out, " (%" PRId64 " cached)", u->cached);
  buf_format(out, ", %" PRId64 " out", u->output);
  if (!priced) return;
  buf_text(out, ", $");
  dollars_print(nanodollars, out);
}

void calls_put(Buf *out, const ModelTotals *t) {
  buf_format(out, "%" PRIu64 " call%s of models", t->calls, t->calls == 1 ? "" : "s");
  if (t->failed > 0) buf_format(out, " (%" PRIu64 " failed)", t->failed);
}

void unsummed_put(Buf *out, const ModelTotals *t) {
  if (t->lost > 0) buf_format(out, "; %" PRIu64 " lost, charged as uncertain in `z8 costs`", t->lost);
  if (t->dropped > 0) buf_format(out, "; %" PRIu64 " dropped, what they cost is in `z8 costs` alone", t->dropped);
  if (t->refused > 0) buf_format(out, "; %" PRIu64 " refused by a budget", t->refused);
}

static void took_put(const Step *s, Buf *out) {
  if (s->answered < s->at || s->answered == 0 || s->at == 0) return;
  buf_text(out, ", ");
  duration_print(whole_ms(s->answered - s->at), out);
}

/* ---- models ---------------------------------------------------------------------- */

static void model_error_put(const Step *s, Buf *out) {
  Buf text = {0};
  ErrorParts parts;
  if (!error_decode(buf_view(&s->model->reply), &parts)) return;
  buf_format(&text, STR_FMT ": " STR_FMT, STR_ARG(parts.code), STR_ARG(parts.message));
  Str class = parts.data.size > 0 ? story_field(parts.data, "class") : (Str){0};
  if (str_equal(class, STR("wait"))) buf_text(&text, " (may be asked again)");
  if (str_equal(class, STR("unknown"))) buf_text(&text, " (nobody knows whether it was answered, and billed)");
  labelled_put(out, STEP_INDENT, "failed", buf_view(&text), VALUE_SHOWN);
  buf_deinit(&text);
}

static void wants_put(Str calls, Buf *out) {
  StoryItems items = story_items(calls);
  Str call;
  while (story_next(&items, &call)) {
    Buf text = {0};
    Str arguments = cbor_map_get(call, STR("arguments"));
    buf_format(&text, STR_FMT " ", STR_ARG(story_field(call, "name")));
    Str invalid = story_field(call, "invalid");
    if (invalid.size > 0) buf_format(&text, "(no JSON) " STR_FMT, STR_ARG(invalid));
    else if (arguments.size > 0) story_print(arguments, &text);
    labelled_put(out, STEP_INDENT, "wants", buf_view(&text), VALUE_SHOWN);
    buf_deinit(&text);
  }
}

static void reply_put(const Step *s, Buf *out) {
  Str reply = buf_view(&s->model->reply);
  Str text = story_field(reply, "text"), stop = story_field(reply, "stop"), refusal = story_field(reply, "refusal");
  if (text.size > 0) labelled_put(out, STEP_INDENT, "says", text, TEXT_SHOWN);
  if (refusal.size > 0) labelled_put(out, STEP_INDENT, "refuses", refusal, TEXT_SHOWN);
  wants_put(cbor_map_get(reply, STR("calls")), out);
  bool usual = str_equal(stop, STR("end")) || str_equal(stop, STR("calls"));
  if (str_equal(stop, STR("length"))) stop = STR("max_tokens were reached");
  if (!usual && stop.size > 0) labelled_put(out, STEP_INDENT, "stopped", stop, 80);
}

static void model_head(const Step *s, Buf *out) {
  const ModelStep *m = s->model;
  Str target = s->target.size > 0 ? buf_view(&s->target) : buf_view(&m->name);
  buf_format(out, "model " STR_FMT, STR_ARG(target));
  if (m->purpose.size > 0) buf_format(out, " (" STR_FMT ")", STR_ARG(buf_view(&m->purpose)));
  buf_text(out, ": ");
  if (m->used) usage_put(out, &m->usage, m->price.known && !m->lost, m->nanodollars);
  else if (s->outcome.size > 0) buf_str(out, m->failed ? STR("no answer") : buf_view(&s->outcome));
  else buf_text(out, "no answer yet");
  took_put(s, out);
}

static void model_body(const Step *s, bool quiet, Buf *out) {
  const ModelStep *m = s->model;
  if (m->broken) labelled_put(out, STEP_INDENT, "", STR("its record cannot be read"), 80);
  if (!quiet && m->system.size > 0) labelled_put(out, STEP_INDENT, "system", buf_view(&m->system), TEXT_SHOWN);
  if (!quiet) messages_put(out, STEP_INDENT, buf_view(&m->news), true);
  if (m->reply.size == 0) return;
  if (m->failed) model_error_put(s, out);
  else reply_put(s, out);
}

/* ---- other kinds ----------------------------------------------------------------- */

static Str operand(const Step *s, uint64_t n) { return story_item(buf_view(&s->asked), n); }

static void print_operand(const Step *s, uint64_t n, Buf *out) {
  Str value = operand(s, n);
  if (value.size > 0) story_print(value, out);
}

static void note_head(const Step *s, Buf *out) {
  buf_text(out, "note ");
  print_operand(s, 0, out);
  Buf text = {0};
  print_operand(s, 1, &text);
  for (size_t i = 0; i < text.size; i++)
    if (text.at[i] == '\n') text.at[i] = ' ';
  buf_text(out, ": ");
  output_safe(out, (Str){text.at, cut_at(buf_view(&text), TEXT_SHOWN)});
  buf_deinit(&text);
}

static void approval_body(const Story *story, const Step *s, Buf *out) {
  Buf text = {0};
  const char *undecided = approval_undecided(story, s);
  Str answer = buf_view(&s->answer), verdict = story_field(answer, "verdict"), why = story_field(answer, "why");
  Buf arguments = {0};
  print_operand(s, 2, &arguments);
  labelled_put(out, STEP_INDENT, "arguments", buf_view(&arguments), VALUE_SHOWN);
  buf_clear(&arguments);
  if (undecided != NULL) buf_format(&text, "nobody: %s", undecided);
  else if (s->outcome.size == 0) buf_text(&text, "nobody yet");
  else buf_format(&text, STR_FMT " by " STR_FMT, STR_ARG(verdict), STR_ARG(story_field(answer, "by")));
  if (why.size > 0) buf_format(&text, ": " STR_FMT, STR_ARG(why));
  labelled_put(out, STEP_INDENT, "decided", buf_view(&text), TEXT_SHOWN);
  if (str_equal(verdict, STR("edited"))) {
    story_print(cbor_map_get(answer, STR("arguments")), &arguments);
    labelled_put(out, STEP_INDENT, "edited to", buf_view(&arguments), VALUE_SHOWN);
  }
  buf_deinit(&arguments);
  buf_deinit(&text);
}

/* Parameters by name, from the declaration in the run's own program. */
static const BundleFn *target_fn(const Story *story, const Step *s) {
  const Bundle *b = story->bundle;
  if (b == NULL) return NULL;
  for (uint32_t i = 0; s->effect == EFFECT_TOOL && i < b->tool_count; i++)
    if (str_equal(bundle_text(b, b->tools[i].name), buf_view(&s->target))) return &b->fns[b->tools[i].perform];
  for (uint32_t i = 0; s->effect != EFFECT_TOOL && i < b->workflow_count; i++)
    if (str_equal(bundle_text(b, b->workflows[i].name), buf_view(&s->target))) return &b->fns[b->workflows[i].fn];
  return NULL;
}

static void arguments_put(const Story *story, const Step *s, Buf *out) {
  const BundleFn *fn = target_fn(story, s);
  StoryItems items = story_items(buf_view(&s->asked));
  Str item;
  if (fn == NULL || items.left > fn->params.count) {
    buf_str(out, buf_view(&s->operands));
    return;
  }
  for (uint32_t i = 0; story_next(&items, &item); i++) {
    Err ignored;
    Str name = bundle_text(story->bundle, story->bundle->fields[fn->params.first + i].name);
    buf_format(out, "%s" STR_FMT ": ", i > 0 ? ", " : "", STR_ARG(name));
    size_t before = out->size;
    if (!cbor_to_json(item, out, &ignored)) out->size = before, buf_text(out, "…");
  }
}

static bool is_agent(const Story *story, Str name) {
  const Bundle *b = story->bundle;
  for (uint32_t i = 0; b != NULL && i < b->ai_agent_count; i++)
    if (str_equal(bundle_text(b, b->ai_agents[i].name), name)) return true;
  return false;
}

static void call_head(const Story *story, const Step *s, Buf *out) {
  Buf arguments = {0};
  arguments_put(story, s, &arguments);
  const char *what = s->effect == EFFECT_TOOL ? "tool" : is_agent(story, buf_view(&s->target)) ? "agent" : "workflow";
  buf_format(out, "%s " STR_FMT "(", what, STR_ARG(buf_view(&s->target)));
  size_t size = cut_at(buf_view(&arguments), VALUE_SHOWN);
  buf_put(out, arguments.at, size);
  buf_text(out, size < arguments.size ? "…)" : ")");
  if (s->attempts > 1) buf_format(out, ", %u attempts", s->attempts);
  took_put(s, out);
  buf_deinit(&arguments);
}

/* An error as "code: message", anything else as it is. */
static void outcome_put(const Step *s, Buf *out) {
  bool ok = str_equal(buf_view(&s->outcome), STR("ok")) || str_equal(buf_view(&s->outcome), STR("confirmed"));
  labelled_put(out, STEP_INDENT, ok ? "gives" : "ends", buf_view(&s->value), VALUE_SHOWN);
}

static void call_body(const Step *s, Buf *out) {
  char id[37];
  Buf text = {0};
  Err ignored;
  if (s->has_child) {
    uuid_text(s->child, id);
    labelled_put(out, STEP_INDENT, "run", str_of(id), 40);
  }
  if (s->because.size > 0) {
    Buf why = {0};
    if (cbor_from_json(buf_view(&s->because), &why, &ignored)) story_print(buf_view(&why), &text);
    labelled_put(out, STEP_INDENT, "because", buf_view(&text), VALUE_SHOWN);
    buf_deinit(&why);
  }
  if (s->outcome.size == 0) labelled_put(out, STEP_INDENT, "gives", STR("nothing yet"), 40);
  else outcome_put(s, out);
  buf_deinit(&text);
}

static void other_head(const Step *s, Buf *out) {
  const EffectInfo *effect = effect_info(s->effect);
  buf_text(out, effect != NULL ? effect->word : "effect");
  if (s->target.size > 0) buf_format(out, " " STR_FMT, STR_ARG(buf_view(&s->target)));
  Str operands = buf_view(&s->operands);
  if (operands.size > 2) buf_format(out, " %.*s", (int)cut_at(operands, 120), operands.at);
  bool asks = effect != NULL && effect->how == HOW_ASK;
  if (s->outcome.size == 0) {
    if (asks && s->effect != EFFECT_RUN_START) buf_text(out, " -> (open)");
    return;
  }
  if (str_equal(buf_view(&s->outcome), STR("ok")) && str_equal(buf_view(&s->value), STR("null"))) return;
  buf_format(out, " -> " STR_FMT " %.*s", STR_ARG(buf_view(&s->outcome)), (int)cut_at(buf_view(&s->value), 120),
             s->value.at);
}

/* "budget: at most $0.50, 40000 tokens" */
static void budget_head(const Step *s, Buf *out) {
  static const char *const names[][2] = {{"usd", ""}, {"tokens", " tokens"}, {"calls", " calls"}};
  Str limits = operand(s, 0);
  bool any = false;
  buf_text(out, "budget:");
  for (size_t i = 0; limits.size > 0 && i < sizeof names / sizeof *names; i++) {
    Str value = cbor_map_get(limits, str_of(names[i][0]));
    if (value.size == 0 || str_equal(value, STR("\xf6"))) continue;
    buf_text(out, any ? ", " : " at most ");
    if (i == 0) buf_byte(out, '$');
    story_print(value, out);
    buf_text(out, names[i][1]);
    any = true;
  }
  if (!any) buf_text(out, " no bounds");
}

static void sleep_head(const Step *s, Buf *out) {
  Str operands = buf_view(&s->operands);
  if (operands.size > 4) operands = (Str){operands.at + 2, operands.size - 4}; /* ["5s"] */
  buf_format(out, "%s " STR_FMT, s->outcome.size > 0 ? "slept" : "sleeps", STR_ARG(operands));
}

/* ---- a step ---------------------------------------------------------------------- */

static void begin_put(const Step *s, int64_t begin_us, Buf *out) {
  Buf since = {0};
  buf_format(out, "  #%-6" PRIu64, s->seq);
  int64_t us = begin_us > 0 && s->at > begin_us ? s->at - begin_us : 0;
  if (us >= 1000) {
    buf_byte(&since, '+');
    duration_print(whole_ms(us), &since);
  }
  buf_format(out, " %-10.*s", STR_ARG(buf_view(&since)));
  buf_deinit(&since);
}

static void head_put(const Story *story, const Step *s, Buf *out) {
  if (s->kind == STEP_MARK) {
    buf_format(out, "-- " STR_FMT, STR_ARG(buf_view(&s->mark)));
  } else if (s->kind == STEP_SIGNAL) {
    buf_format(out, "signal " STR_FMT " came: " STR_FMT, STR_ARG(buf_view(&s->target)),
               STR_ARG(buf_view(&s->operands)));
  } else if (s->effect == EFFECT_MODEL) {
    model_head(s, out);
  } else if (s->effect == EFFECT_NOTE) {
    note_head(s, out);
  } else if (s->effect == EFFECT_APPROVE) {
    Buf question = {0};
    print_operand(s, 0, &question);
    buf_format(out, "asks a person about " STR_FMT ": ", STR_ARG(buf_view(&s->target)));
    output_safe(out, buf_view(&question));
    buf_deinit(&question);
  } else if (s->effect == EFFECT_TOOL || s->effect == EFFECT_RUN_CALL) {
    call_head(story, s, out);
  } else if (s->effect == EFFECT_BUDGET) {
    budget_head(s, out);
  } else if (s->effect == EFFECT_SLEEP) {
    sleep_head(s, out);
  } else {
    other_head(s, out);
  }
}

void step_text(const Story *story, const Step *s, int64_t begin_us, bool quiet, Buf *out) {
  begin_put(s, begin_us, out);
  head_put(story, s, out);
  buf_byte(out, '\n');
  if (s->kind != STEP_COMMAND) return;
  if (s->effect == EFFECT_MODEL) model_body(s, quiet, out);
  else if (s->effect == EFFECT_APPROVE) approval_body(story, s, out);
  else if (s->effect == EFFECT_TOOL || s->effect == EFFECT_RUN_CALL) call_body(s, out);
}
