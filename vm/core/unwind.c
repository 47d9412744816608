/* Faults: error values, where they happened, and the way from there to a handler. */
#include <stdarg.h>

#include "vm/core/loop.h"
#include "vm/core/program.h"

/* ---- places ---- */

static BundleLine frame_line(const Machine *m, const Frame *fr) {
  uint32_t pc = fr->pc ? fr->pc - 1 : 0; /* within the instruction being executed */
  return bundle_line(m->bundle, &m->bundle->fns[fr->fn], pc);
}

static void frame_place(const Machine *m, const Frame *fr, Buf *out) {
  const BundleFn *fn = &m->bundle->fns[fr->fn];
  BundleLine at = frame_line(m, fr);
  buf_str(out, bundle_text(m->bundle, fn->name));
  buf_text(out, " (");
  if (fn->source < m->bundle->source_count)
    buf_str(out, bundle_text(m->bundle, m->bundle->sources[fn->source].path));
  buf_format(out, ":%" PRIu32 ":%" PRIu32 ")", at.line, at.column);
}

void fiber_trace(const Machine *m, const Fiber *f, Buf *out) {
  enum { SHOWN = 24 };
  for (uint32_t i = f->frame_count, shown = 0; i-- > 0; shown++) {
    if (shown == SHOWN && i > SHOWN) {
      buf_format(out, "  … %" PRIu32 " more\n", i - SHOWN);
      i = SHOWN;
    }
    buf_text(out, "  ");
    frame_place(m, &f->frames[i], out);
    buf_byte(out, '\n');
  }
}

uint32_t fiber_site_line(const Machine *m, const Fiber *f) {
  return f->frame_count ? frame_line(m, &f->frames[f->frame_count - 1]).line : 0;
}

static Value place_value(Machine *m, const Fiber *f) {
  if (!f || f->frame_count == 0) return VALUE_NIL;
  Buf text = {0};
  frame_place(m, &f->frames[f->frame_count - 1], &text);
  Value v = string_new(m, buf_view(&text));
  buf_deinit(&text);
  return v;
}

/* ---- error values ---- */

Value error_new(Machine *m, const Fiber *f, Str code, Str message, Value data, bool catchable) {
  temps_save(m, 4, 4);
  m->temp[4] = value_settle(m, data);
  m->temp[5] = string_new(m, code);
  m->temp[6] = string_new(m, message);
  m->temp[7] = place_value(m, f);
  Value error = error_value(m, m->temp[5], m->temp[6], m->temp[4], m->temp[7], catchable);
  temps_restore(m, 4, 4);
  return error;
}

/* The fault's own words, with %s replaced by what it is about. */
static void fault_text(FaultCode code, Str about, Buf *out) {
  const char *message = fault_info[code].message, *hole = strstr(message, "%s");
  if (!hole) {
    buf_text(out, message);
    return;
  }
  buf_put(out, message, (size_t)(hole - message));
  buf_str(out, about);
  buf_text(out, hole + 2);
}

static Value fault_value(Machine *m, const Fiber *f, FaultCode code, const char *format,
                         va_list args) {
  Buf about = {0}, text = {0};
  buf_vformat(&about, format, args);
  fault_text(code, buf_view(&about), &text);
  Value error = error_new(m, f, str_of(fault_info[code].code), buf_view(&text), VALUE_NIL,
                          fault_info[code].catchable);
  buf_deinit(&about);
  buf_deinit(&text);
  return error;
}

Value error_fault(Machine *m, const Fiber *f, FaultCode code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  Value error = fault_value(m, f, code, format, args);
  va_end(args);
  return error;
}

bool op_fault(Machine *m, FaultCode code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  Value error = fault_value(m, m->running, code, format, args);
  va_end(args);
  m->running->result = error;
  return false;
}

/* What the native had in hand is given up, so that it can fail anywhere. */
bool native_fault(Machine *m, Value *result, FaultCode code, const char *format, ...) {
  va_list args;
  for (size_t i = 0; i < COUNT_OF(m->temp); i++) m->temp[i] = VALUE_NIL;
  va_start(args, format);
  *result = fault_value(m, m->running, code, format, args);
  va_end(args);
  return false;
}

bool error_catchable(Value error) { return value_obj(error)->aux & 1; }

static Str text_or_nothing(Value v) {
  if (!value_is_kind(v, OBJ_STRING)) return (Str){0};
  return (Str){((const StringObj *)value_obj(v))->bytes, value_obj(v)->size};
}
Str error_code(Value error) { return text_or_nothing(((const ErrorObj *)value_obj(error))->code); }
Str error_message(Value error) {
  return text_or_nothing(((const ErrorObj *)value_obj(error))->message);
}

bool op_fault_about(Machine *m, FaultCode code, Value about) {
  if (!value_is_text(about)) return op_fault(m, code, "%s", value_brief(m, about, false).text);
  m->temp[0] = about;
  Str text = string_text(m, &m->temp[0]);
  int size = text.size > 400 ? 400 : (int)text.size;
  while (size > 0 && (size_t)size < text.size && ((uint8_t)text.at[size] & 0xc0) == 0x80) size--;
  char copy[404];
  memcpy(copy, text.at, (size_t)size);
  copy[size] = 0;
  m->temp[0] = VALUE_NIL;
  return op_fault(m, code, "%s", copy);
}

Brief value_brief(const Machine *m, Value v, bool kind) {
  enum { SHOWN = 60 };
  Brief brief;
  Buf text = {.max = SHOWN + 1};
  value_print(m, v, true, &text);
  size_t size = text.size < SHOWN ? text.size : SHOWN;
  bool cut = text.full || text.size > SHOWN;
  while (cut && size > 0 && ((uint8_t)text.at[size - 1] & 0xc0) == 0x80) size--;
  if (cut && size > 0 && ((uint8_t)text.at[size - 1] & 0x80)) size--;
  bool plain = v == VALUE_NIL || value_is_bool(v);
  snprintf(brief.text, sizeof brief.text, "%s%s%.*s%s",
           kind && !plain ? type_kind_word(value_type(v)) : "", kind && !plain ? " " : "",
           (int)size, size ? text.at : "", cut ? "…" : "");
  buf_deinit(&text);
  return brief;
}

void error_place(Machine *m, Fiber *f) {
  if (((const ErrorObj *)value_obj(f->result))->at != VALUE_NIL) return;
  temps_save(m, 0, 1);
  m->temp[0] = place_value(m, f);
  const ErrorObj *e =
      (const ErrorObj *)value_obj(f->result); /* a fiber's result is a root: it may have moved */
  f->result = error_value(m, e->code, e->message, e->data, m->temp[0], e->head.aux & 1);
  temps_restore(m, 0, 1);
}

bool op_raise(Machine *m, Value *a) {
  if (!value_is_kind(*a, OBJ_ERROR)) {
    return op_fault(m, FAULT_TYPE, "only an error can be raised, and this is %s",
                    value_brief(m, *a, true).text);
  }
  m->running->result = *a;
  error_place(m, m->running);
  return false;
}

/* ---- unwinding ---- */

/* Limits, divergence and what is broken end a run without its cleaning up. */
static bool error_runs_finally(Value error) {
  Str code = error_code(error);
  if (error_catchable(error)) return true;
  return str_equal(code, STR("cancelled")) || str_equal(code, STR("unknown"));
}

static const BundleHandler *frame_handler(const Machine *m, const Frame *fr, Value error) {
  const BundleFn *fn = &m->bundle->fns[fr->fn];
  const BundleHandler *h = m->bundle->handlers + fn->handlers.first;
  uint32_t pc = fr->pc ? fr->pc - 1 : 0;
  for (uint32_t i = 0; i < fn->handlers.count; i++, h++) {
    if (pc < h->start || pc >= h->end) continue;
    if (h->kind == HANDLER_CATCH ? error_catchable(error) : error_runs_finally(error)) return h;
  }
  return NULL;
}

Unwound fiber_unwind(Machine *m, Fiber *f) {
  Value error = f->result;
  while (f->frame_count > 0) {
    Frame *fr = &f->frames[f->frame_count - 1];
    const BundleHandler *h = frame_handler(m, fr, error);
    if (h) {
      fr->pc = h->target;
      f->stack[fr->base + h->reg] = error;
      f->result = VALUE_NIL;
      return UNWOUND_HANDLED;
    }
    f->frame_count--;
    if (fr->flags & FRAME_BOUNDARY) {
      f->status = FIBER_BLOCKED;
      return UNWOUND_BOUNDARY;
    }
  }
  f->status = FIBER_FAULTED;
  return UNWOUND_BOTTOM;
}

/* ---- ticks ---- */

void machine_set_trip(Machine *m) {
  bool stop = m->charged > m->charged_limit || m->heap->over_live;
  m->trip = stop ? 0 : m->ticks_limit < m->slice_end ? m->ticks_limit : m->slice_end;
}

/* Limits that the program can meet come before the node's own and before the slice: they must strike at the same tick
** in every run of it. */
static Tick tick_fault(Machine *m, bool memory) {
  m->running->frames[m->running->frame_count - 1].pc++; /* the place is the next instruction */
  if (memory) op_fault(m, FAULT_MEMORY, "%" PRIu64 " MB", m->charged_limit >> 20);
  else op_fault(m, FAULT_FUEL, "%" PRIu64, LIMIT_TICKS);
  return TICK_FAULT;
}

Tick machine_tick(Machine *m) {
  machine_set_trip(m);
  bool memory = m->charged > m->charged_limit;
  if (memory || m->ticks >= m->ticks_limit) return tick_fault(m, memory);
  if (m->heap->over_live) return TICK_LIVE;
  return m->ticks >= m->slice_end ? TICK_SLICE : TICK_GO_ON;
}

/* New memory is judged at ticks alone: whether an operation came by here may depend on room in a list or
** on a rope, which the program must not notice. */
Tick machine_worked(Machine *m) {
  if (m->ticks >= m->ticks_limit) return tick_fault(m, false);
  if (m->heap->over_live) return TICK_LIVE;
  return m->ticks >= m->slice_end ? TICK_SLICE : TICK_GO_ON;
}
