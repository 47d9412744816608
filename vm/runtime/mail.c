/* Letters, back to back: the run's number, the event's record as bytes. */
#include "vm/runtime/mail.h"

bool mail_read(Store *store, Buf *out, Err *err) {
  Err missing = {0};
  buf_clear(out);
  if (store_meta_get(store, "mail", out, &missing) || missing.code == ERR_NOT_FOUND) return true;
  *err = missing;
  return false;
}

bool mail_write(Store *store, Str mail, Err *err) {
  return store_meta_set(store, "mail", mail, err);
}

static void letter_put(Buf *out, uint64_t run, Str record) {
  cbor_put_uint(out, run);
  cbor_put_bytes(out, record);
}

void mail_put(Buf *mail, uint64_t run, const Record *event) {
  Buf record = {0};
  record_encode(event, &record);
  letter_put(mail, run, buf_view(&record));
  buf_deinit(&record);
}

bool mail_add(Store *store, uint64_t run, const Record *event, Err *err) {
  Buf mail = {0};
  bool ok = mail_read(store, &mail, err);
  if (ok) mail_put(&mail, run, event);
  ok = ok && mail_write(store, buf_view(&mail), err);
  buf_deinit(&mail);
  return ok;
}

typedef struct Taking {
  uint64_t run;
  uint32_t count;
} Taking;

static bool letter_stays(void *context, uint64_t run, const Record *event) {
  Taking *t = context;
  (void)event;
  if (run != t->run || t->count == 0) return true;
  t->count--;
  return false;
}

bool mail_take(Buf *mail, uint64_t run, uint32_t count, Err *err) {
  Buf rest = {0};
  Taking t = {run, count};
  bool ok = mail_each(buf_view(mail), letter_stays, &t, &rest, err);
  if (ok) {
    buf_clear(mail);
    buf_str(mail, buf_view(&rest));
  }
  buf_deinit(&rest);
  return ok;
}

bool mail_each(Str mail, bool (*each)(void *context, uint64_t run, const Record *event),
               void *context, Buf *rest, Err *err) {
  CborReader r = cbor_reader(mail);
  while (r.at < r.end) {
    uint64_t run;
    Str bytes;
    Record event;
    if (!cbor_uint(&r, &run, err) || !cbor_bytes(&r, &bytes, err) ||
        !record_decode(bytes, &event, err))
      return false;
    if (each(context, run, &event) && rest != NULL) letter_put(rest, run, bytes);
  }
  return true;
}

/* ---- who is to be cancelled --------------------------------------------------- */

static bool letter_cancels(void *context, uint64_t run, const Record *event) {
  if (event->kind == RECORD_CANCEL_ASKED) buf_put(context, &run, sizeof run);
  return true;
}

bool mail_cancels(Store *store, Buf *runs, Err *err) {
  Buf mail = {0};
  bool ok = mail_read(store, &mail, err) && mail_each(buf_view(&mail), letter_cancels, runs, NULL, err);
  buf_deinit(&mail);
  return ok;
}

bool mail_cancels_run(const Buf *runs, uint64_t run) {
  for (size_t at = 0; at < runs->size; at += sizeof run)
    if (memcmp(runs->at + at, &run, sizeof run) == 0) return true;
  return false;
}
