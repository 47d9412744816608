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

bool mail_add(Store *store, uint64_t run, const Record *event, Err *err) {
  Buf mail = {0}, record = {0};
  record_encode(event, &record);
  bool ok = mail_read(store, &mail, err);
  if (ok) letter_put(&mail, run, buf_view(&record));
  ok = ok && mail_write(store, buf_view(&mail), err);
  buf_deinit(&mail);
  buf_deinit(&record);
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
