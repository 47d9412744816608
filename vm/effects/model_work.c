/* The effect MODEL: from the encoded request to a call on its way, and from a reader's last word to an outcome. What is
** secret is resolved here, just before sending, and masked in whatever comes back: providers repeat a key that they do
** not know in the error they send. */
#include "vm/base/mem.h"
#include "vm/effects/model_impl.h"
#include "vm/effects/model_offline.h"
#include "vm/effects/work.h"

/* ---- outcomes ----------------------------------------------------------------------- */

static void value_done(Effects *e, Job *job, const char *outcome, Buf *value) {
  if (secrets_in(&job->secrets, buf_view(value))) {
    Buf masked = {0};
    secrets_mask_value(&job->secrets, buf_view(value), &masked);
    buf_deinit(value);
    *value = masked;
  }
  job_done(e, job, outcome, value);
}

void model_work_done(Effects *e, Job *job, ModelReader *reader, bool lost, bool sent, const char *why) {
  Buf value = {0}, masked = {0};
  secrets_mask(&job->secrets, str_of(why), &masked);
  const char *outcome = model_reader_end(reader, lost, sent, buf_view(&masked), &value);
  model_reader_free(reader);
  buf_deinit(&masked);
  value_done(e, job, outcome, &value);
}

void model_work_text(Effects *e, const Job *job, ModelText *to, Str text, bool last) {
  Buf value = {0};
  if (job->secrets.count > 0) secrets_mask_piece(&job->secrets, &to->held, text, last, &value);
  else if (text.size > 0) buf_str(&value, text);
  if (value.size > 0) job_progress(e, job, &to->ticket, "text", &value);
  if (last) buf_deinit(&to->held);
}

/* ---- calls ---------------------------------------------------------------------------- */

/* The pieces come one by one, as a server's would; an owner who looks late finds them joined. */
static void offline_pieces(Effects *e, const Job *job, Str reply) {
  ModelText to = {0};
  Str text = value_get_text(reply, "text");
  for (size_t at = 0, size; (size = model_offline_piece(text, at)) > 0; at += size)
    model_work_text(e, job, &to, (Str){text.at + at, size}, false);
  model_work_text(e, job, &to, (Str){0}, true);
}

static void offline_answer(Effects *e, Job *job, Str call) {
  Buf value = {0};
  const char *outcome = model_offline(call, &value);
  if (strcmp(outcome, "ok") == 0 && value_true(value_get(call, "stream"))) offline_pieces(e, job, buf_view(&value));
  value_done(e, job, outcome, &value);
}

/* The one operand, with its secrets. */
static bool call_take(Effects *e, Job *job, Str *call, Err *err) {
  const EffectOptions *o = effects_options(e);
  Str operands;
  uint64_t count;
  if (!secrets_resolve(&job->secrets, job->request.operands, o->secret, o->context, &operands, err)) return false;
  CborReader r = cbor_reader(operands);
  if (!cbor_array(&r, &count, err) || !cbor_skip(&r, call, err)) return false;
  if (count != 1) FAIL(err, ERR_INVALID, "a call to a model has one operand");
  return count == 1;
}

static void call_failed(Effects *e, Job *job, Str call, ModelErrorCode code, const char *why) {
  ModelReader *reader = model_reader_new(call);
  reader->failure.code = MODEL_ERROR_NONE; /* what is known here is more than that it is no call */
  buf_clear(&reader->failure.message);
  model_fail(reader, code, RETRY_NEVER, "%s", why);
  model_work_done(e, job, reader, true, false, why);
}

void model_work(Effects *e, ModelClient *client, Job *job) {
  Str call = STR("\xf6");
  ModelHttp http;
  Err err = {0};
  if (!call_take(e, job, &call, &err)) {
    call_failed(e, job, STR("\xf6"), err.code == ERR_NOT_FOUND ? MODEL_AUTH : MODEL_INVALID, err.text);
  } else if (str_equal(value_get_text(call, "provider"), STR("offline"))) {
    offline_answer(e, job, call);
  } else if (!model_request(call, &http, &err)) {
    call_failed(e, job, call, MODEL_INVALID, err.text);
  } else {
    ModelReader *reader = model_reader_new(call);
    secrets_forget(&job->secrets);
    model_client_start(client, job_trim(job), reader, &http);
  }
}
