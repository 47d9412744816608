/* z8 log: the journal of a run or of an agent instance, one line per record. */
#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/text.h"
#include "vm/cli/story.h"
#include "vm/cli/stream_page.h"
#include "vm/runtime/offline.h"

enum { VALUE_SHOWN = 160, MESSAGES_SHOWN = 4 };

/* Cut at a character, with … where something is left out. */
static void put_short(Buf *out, Str text) {
  size_t size = text.size;
  if (size > VALUE_SHOWN) {
    size = VALUE_SHOWN;
    while (size > 0 && ((unsigned char)text.at[size] & 0xc0) == 0x80) size--;
  }
  for (size_t i = 0; i < size; i++)
    buf_byte(out, (uint8_t)((unsigned char)text.at[i] < 0x20 ? ' ' : text.at[i]));
  if (size < text.size) buf_text(out, "…");
}

/* ---- calls of models -------------------------------------------------------------- */

static void known_put(Buf *out, Str name) {
  for (size_t i = 0; i < name.size && i < 4; i++) buf_format(out, "%02x", (unsigned char)name.at[i]);
}

static void messages_field(Buf *out, Str messages) {
  Str base = cbor_map_get(messages, STR("base")), bytes, message;
  CborReader r = cbor_reader(base);
  Err ignored;
  StoryItems items = story_items(cbor_map_get(messages, STR("new")));
  if (base.at != NULL && cbor_bytes(&r, &bytes, &ignored)) {
    buf_text(out, " after ");
    known_put(out, bytes);
  }
  for (uint32_t shown = 0; shown < MESSAGES_SHOWN && story_next(&items, &message); shown++) {
    buf_format(out, "%s" STR_FMT ": ", shown == 0 ? " " : " | ", STR_ARG(story_field(message, "role")));
    put_short(out, story_field(message, "content"));
  }
  if (items.left > 0) buf_format(out, " | … %" PRIu64 " more", items.left);
}

/* What a call adds to what the run has on record: the messages before are named, not repeated. */
static bool delta_field(Buf *out, Str operands) {
  StoryItems items = story_items(operands);
  Str call;
  if (!story_next(&items, &call)) return false;
  Str messages = cbor_map_get(call, STR("messages")), purpose = story_field(call, "purpose");
  if (messages.size == 0 || cbor_map_get(messages, STR("new")).at == NULL) return false;
  buf_format(out, STR_FMT " " STR_FMT, STR_ARG(story_field(call, "provider")), STR_ARG(story_field(call, "name")));
  if (purpose.size > 0) buf_format(out, " (" STR_FMT ")", STR_ARG(purpose));
  messages_field(out, messages);
  return true;
}

/* ---- fields --------------------------------------------------------------------- */

static void value_field(Buf *out, Str value) {
  Buf json = {0};
  Hash256 blob;
  Err ignored;
  if (record_is_blob(value, &blob)) {
    char id[65];
    hash256_text(blob, id);
    buf_format(out, "blob %.12s", id);
  } else if (cbor_to_json(value, &json, &ignored)) {
    put_short(out, buf_view(&json));
  } else {
    buf_format(out, "(%zu bytes)", value.size);
  }
  buf_deinit(&json);
}

static bool is_time(const RecordField *field) { return strcmp(field->name, "at") == 0; }

static void number_field(Buf *out, const RecordField *field, uint64_t n) {
  const EffectInfo *effect = strcmp(field->name, "kind") == 0 ? effect_info(n) : NULL;
  if (effect != NULL) buf_text(out, effect->word);
  else if (strcmp(field->name, "site") == 0) buf_format(out, "%08" PRIx64, n);
  else buf_format(out, "%" PRIu64, n);
}

static void field_put(Buf *out, const RecordField *field, const void *at) {
  char text[65];
  switch ((FieldType)field->type) {
    case FIELD_U64:
      number_field(out, field, *(const uint64_t *)at);
      return;
    case FIELD_I64:
      if (is_time(field)) time_print(*(const int64_t *)at, out);
      else buf_format(out, "%" PRId64, *(const int64_t *)at);
      return;
    case FIELD_TEXT:
      put_short(out, *(const Str *)at);
      return;
    case FIELD_HASH:
      hash256_text(*(const Hash256 *)at, text);
      buf_format(out, "%.12s", text);
      return;
    case FIELD_UUID:
      uuid_text(*(const Uuid *)at, text);
      buf_text(out, text);
      return;
    case FIELD_VALUE:
    case FIELD_VALUES:
    case FIELD_NOTE:
      value_field(out, *(const Str *)at);
      return;
  }
}

/* Fields that say nothing: absent notes, empty texts. */
static bool field_silent(const RecordField *field, const void *at) {
  bool is_text = field->type == FIELD_TEXT || field->type == FIELD_NOTE;
  return is_text && ((const Str *)at)->size == 0;
}

static bool log_text(void *context, const Record *record) {
  Cli *cli = context;
  const RecordInfo *info = record_info(record->kind);
  static const char *const colours[] = {"\033[1m", "\033[36m", "\033[32m", "\033[34m", "\033[35m"};
  buf_format(&cli->out, "%6" PRIu64 "  %s%-12s%s", record->seq,
             cli->colour ? colours[info->record_class] : "", info->name,
             cli->colour ? "\033[0m" : "");
  for (uint32_t i = 0; i < info->field_count; i++) {
    const RecordField *field = &info->fields[i];
    const void *at = (const char *)record + field->offset;
    if (field_silent(field, at)) continue;
    buf_format(&cli->out, "  %s ", field->name);
    bool call = record->kind == RECORD_ASKED && record->ASKED.kind == EFFECT_MODEL && field->type == FIELD_VALUES;
    if (call && delta_field(&cli->out, *(const Str *)at)) continue;
    field_put(&cli->out, field, at);
  }
  buf_byte(&cli->out, '\n');
  return true;
}

static bool log_json(void *context, const Record *record) {
  Cli *cli = context;
  Err err;
  size_t before = cli->out.size;
  if (!record_to_json(record, &cli->out, &err)) {
    cli->out.size = before;
    buf_format(&cli->out, "{\"seq\":%" PRIu64 ",\"record\":\"%s\"}", record->seq,
               record_info(record->kind)->name);
  }
  buf_byte(&cli->out, '\n');
  return true;
}

int verb_log(Cli *cli) {
  Named named;
  Err err = {0};
  int status = EXIT_DONE;
  bool (*each)(void *, const Record *) = cli->json ? log_json : log_text;
  if (session_open(cli, &status) != SESSION_OPEN) return status;
  Store *store = node_store(cli->node);
  bool ok = named_find(cli, cli->args.words[0], &named, &err);
  if (ok && named.stream) ok = stream_records(store, named.row.number, each, cli, &err);
  else if (ok) ok = offline_records(store, named.run.number, each, cli, &err);
  named_deinit(&named);
  return ok ? EXIT_DONE : output_err(cli, &err);
}
