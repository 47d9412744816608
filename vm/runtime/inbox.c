/* Events on their way to runs. */
#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/runtime/schedule.h"

static size_t text_size(const Record *r) {
  switch (r->kind) {
    case RECORD_ANSWERED:
      return r->ANSWERED.outcome.size + r->ANSWERED.value.size;
    case RECORD_SIGNALLED:
      return r->SIGNALLED.name.size + r->SIGNALLED.id.size + r->SIGNALLED.value.size +
             r->SIGNALLED.from.size;
    case RECORD_CANCEL_ASKED:
      return r->CANCEL_ASKED.why.size + r->CANCEL_ASKED.from.size;
    case RECORD_RESOLVED:
      return r->RESOLVED.outcome.size + r->RESOLVED.value.size + r->RESOLVED.by.size;
    default:
      return 0;
  }
}

static void text_move(char **at, Str *s) {
  if (s->at == NULL) return;
  if (s->size > 0) memcpy(*at, s->at, s->size);
  s->at = *at;
  *at += s->size;
}

/* Makes the strings of the event's record stand behind it. */
static void texts_own(Record *r, char *at) {
  switch (r->kind) {
    case RECORD_ANSWERED:
      text_move(&at, &r->ANSWERED.outcome);
      text_move(&at, &r->ANSWERED.value);
      return;
    case RECORD_SIGNALLED:
      text_move(&at, &r->SIGNALLED.name);
      text_move(&at, &r->SIGNALLED.id);
      text_move(&at, &r->SIGNALLED.value);
      text_move(&at, &r->SIGNALLED.from);
      return;
    case RECORD_CANCEL_ASKED:
      text_move(&at, &r->CANCEL_ASKED.why);
      text_move(&at, &r->CANCEL_ASKED.from);
      return;
    case RECORD_RESOLVED:
      text_move(&at, &r->RESOLVED.outcome);
      text_move(&at, &r->RESOLVED.value);
      text_move(&at, &r->RESOLVED.by);
      return;
    default:
      return;
  }
}

static Inbox *inbox_add(Slot *slot, const Record *record) {
  Inbox *event = mem_alloc(sizeof *event + text_size(record));
  event->record = *record;
  texts_own(&event->record, (char *)(event + 1));
  *slot->inbox_end = event;
  slot->inbox_end = &event->next;
  slot_ready(slot);
  return event;
}

void inbox_put(Slot *slot, const Record *record, bool timer, bool letter) {
  Inbox *event = inbox_add(slot, record);
  event->timer = timer;
  event->letter = letter;
}

void inbox_outcome(Slot *slot, uint64_t seq, const char *outcome, Str value, bool call) {
  Record r = {.kind = RECORD_ANSWERED, .ANSWERED = {.ref = seq, .outcome = str_of(outcome), .value = value}};
  inbox_add(slot, &r)->call = call;
}

void inbox_answer(Slot *slot, uint64_t seq, const char *outcome, Str value, bool timer) {
  Record r = {.kind = RECORD_ANSWERED,
              .ANSWERED = {.ref = seq, .outcome = str_of(outcome), .value = value}};
  inbox_put(slot, &r, timer, false);
}

void inbox_drop_timer(Slot *slot, uint64_t seq) {
  Inbox **link = &slot->inbox;
  while (*link != NULL) {
    Inbox *event = *link;
    if (event->timer && event->record.ANSWERED.ref == seq) {
      *link = event->next;
      mem_free(event);
    } else {
      link = &event->next;
    }
  }
  slot->inbox_end = link;
}

Inbox *inbox_take(Slot *slot) {
  Inbox *event = slot->inbox;
  if (event == NULL) return NULL;
  slot->inbox = event->next;
  if (slot->inbox == NULL) slot->inbox_end = &slot->inbox;
  return event;
}

void inbox_clear(Slot *slot) {
  Inbox *event;
  while ((event = inbox_take(slot)) != NULL) mem_free(event);
}
