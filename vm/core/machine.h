/* The machine: one run's heap and fibers, and the loop that executes them.
**
** It performs nothing. interp_run executes one fiber until it must stop and says
** why; vm/run owns the machine, decides which fiber goes next and hands answers
** in. At every return the machine is complete: it can be imaged (image.h), copied,
** restored and continued, and nothing of it is on the C stack.
**
** One machine is used by one thread at a time. Programs are shared, read-only. */
#ifndef Z8_MACHINE_H
#define Z8_MACHINE_H

#include "vm/base/buf.h"
#include "vm/bundle/bundle.h"
#include "vm/core/value.h"

/* A verified bundle with its constants as values; shared by all runs of it, across threads. */
typedef struct Program Program;
/* Verifies (verify.h) and prepares. The bundle must outlive it. ERR_CORRUPT says what is wrong. */
MUST_USE bool program_new(const Bundle *bundle, Program **out, Err *err);
void program_free(Program *program);
const Bundle *program_bundle(const Program *program);
/* From now on its machines set bytes[i] when they execute the instruction at word i of the bundle's code; NULL: no
** more. Slower, the same otherwise. Before any machine of it runs. */
void program_cover(const Program *program, uint8_t *bytes);

typedef struct Frame {
  uint32_t fn;
  uint32_t pc;    /* words from the function's first; the next instruction */
  uint32_t base;  /* first register, index into the fiber's stack */
  uint8_t ret;    /* the caller's register the result goes to */
  uint8_t flags;  /* FRAME_* */
} Frame;
enum {
  FRAME_BOUNDARY = 1, /* its return or fault stops the loop: a tool's body */
  FRAME_BOTTOM = 2,   /* the fiber's first */
  FRAME_PURE = 4      /* its function is pure, or one below it is */
};

typedef enum {
  FIBER_READY,    /* can be run */
  FIBER_BLOCKED,  /* asked for something; fiber_answer / fiber_raise make it ready */
  FIBER_DONE,     /* `result` holds what it returned */
  FIBER_FAULTED   /* `result` holds the uncaught error value */
} FiberStatus;

typedef struct Fiber {
  uint32_t id;             /* 0 is the main one; in order of birth, never reused */
  uint8_t status;          /* FiberStatus */
  uint8_t dest;            /* register of the top frame that the answer goes to */
  Frame *frames; uint32_t frame_count, frame_cap;
  Value *stack; uint32_t stack_cap;
  Value *stack_end;        /* words from here on are nil; a frame that needs more moves it (fiber.c) */
  Value result;
  bool raised;             /* `result` is an error to be raised where the fiber stands */
} Fiber;

typedef enum {
  STOP_DONE,      /* the fiber's last frame returned: fiber->result */
  STOP_FAULT,     /* uncaught: fiber->result is the error value; its frames are gone */
  STOP_EFFECT,    /* EFFECT: machine->ask is filled; the fiber is BLOCKED */
  STOP_PARALLEL,  /* PARALLEL or PARFOR: machine->ask is filled; the fiber is BLOCKED */
  STOP_RETURN,    /* a boundary frame returned: fiber->result; the frame is gone; the fiber is BLOCKED */
  STOP_RAISE,     /* a fault reached a boundary frame: fiber->result is the error; the frame is gone; BLOCKED */
  STOP_SLICE,     /* the slice ended; nothing to see; run again */
  STOP_LIVE       /* the node's live-memory limit is passed: end the run */
} Stop;

/* What a fiber asked for. Arguments are read by machine_ask_arg (they stay in the fiber's registers). */
typedef struct Ask {
  uint8_t op;          /* OP_EFFECT, OP_PARALLEL or OP_PARFOR */
  uint8_t mode;        /* PARALLEL, PARFOR: 0 all, 1 settle, 2 race */
  uint8_t arg_count;
  bool has_because;    /* the last argument is the because */
  uint32_t site;       /* EFFECT: index in bundle->sites */
  uint32_t operand;    /* EFFECT: the second ext word */
} Ask;

struct Machine {
  const Program *program;
  const Bundle *bundle;
  struct Heap *heap;      /* heap.h */
  Fiber **fibers;         /* by birth; NULL where one was reaped */
  uint32_t fiber_count, fiber_cap;
  Fiber *running;
  Ask ask;
  uint64_t ticks;         /* since the run began; deterministic */
  uint64_t ticks_limit;   /* ticks at which limit_instructions faults; vm/run moves it at deliveries */
  uint64_t slice_end;     /* ticks at which to return STOP_SLICE; invisible to the program */
  uint64_t trip;          /* the loop's own: ticks at which it must look up; 0: at the next tick */
  uint64_t charged;       /* bytes by the abstract cost table since the last delivery */
  uint64_t charged_limit;
  Buf scratch;            /* for building text; empty between instructions, keeps its room */
  uint32_t *cache;        /* field caches; never affects results */
  Value config;           /* a list: the run's config values by index; scanned and imaged */
  Value roots[8];         /* values vm/run keeps alive: scanned and imaged */
  bool switch_loop;       /* vm/run uses interp_run_switch: for differential tests */
  Value saved[24];        /* temps set aside, see heap.h: scanned */
  uint32_t saved_count;
  Value temp[8];          /* natives' scratch roots: scanned, nil between instructions */
  Value *held; uint32_t held_count, held_cap; /* a stack of more of them (machine_hold); empty between instructions */
};

Machine *machine_new(const Program *program);
void machine_free(Machine *m);

/* A fiber that will call function fn with the arguments. Of a function with captures (a query) all are given:
** its parameters, VALUE_MISSING where left out, then the captured values. A wrong number: the fiber's first
** interp_run is STOP_FAULT. */
Fiber *fiber_new(Machine *m, uint32_t fn, const Value *args, uint32_t count);
/* A fiber that will call a closure. */
Fiber *fiber_new_closure(Machine *m, Value closure, const Value *args, uint32_t count);
void fiber_reap(Machine *m, Fiber *f); /* frees a DONE or FAULTED one, or any one that is abandoned */
Fiber *fiber_by_id(Machine *m, uint32_t id);

/* Executes f (READY) until it stops. The switch build and the computed-goto build do the same. */
Stop interp_run(Machine *m, Fiber *f);
Stop interp_run_switch(Machine *m, Fiber *f); /* the switch build's body, in the same binary, for differential tests */

/* Argument `index` of the EFFECT, PARALLEL or PARFOR instruction at which the fiber is BLOCKED. It is read from the
** registers of the frame that holds the instruction (frames of a boundary call above it are skipped), so it stays
** readable until the fiber is answered: a tool's attempts and a parallel for's later elements come from here. */
Value machine_ask_arg(const Machine *m, const Fiber *f, uint32_t index);
/* The BLOCKED fiber goes on with this value in its destination register. */
void fiber_answer(Machine *m, Fiber *f, Value v);
/* The BLOCKED fiber (or a READY one that is not running: a cancellation) goes on with this error raised where it
** stands. `code` < FAULT_COUNT decides whether
** catch sees it; the error may also unwind to nothing: the next interp_run then returns STOP_FAULT. */
void fiber_raise(Machine *m, Fiber *f, Value error);
/* Calls a bundle function on top of the BLOCKED fiber's frames as a boundary frame (a tool's perform or
** check). The fiber becomes READY; its return comes as STOP_RETURN or STOP_RAISE, BLOCKED again. */
void fiber_call(Machine *m, Fiber *f, uint32_t fn, const Value *args, uint32_t count);
/* Drops frames down to and including the topmost boundary frame: a tool's body is abandoned. */
void fiber_abandon_call(Machine *m, Fiber *f);

/* The error value {code, message, data, at}. `at` is where the fiber stands: "fn (file:line:col)". */
Value error_new(Machine *m, const Fiber *f, Str code, Str message, Value data, bool catchable);
Value error_fault(Machine *m, const Fiber *f, FaultCode code, const char *format, ...) PRINTF_LIKE(4, 5);
bool error_catchable(Value error);
Str error_code(Value error);
Str error_message(Value error);

/* Where a fiber stands, innermost first, as text for inspect and fault reports. */
void fiber_trace(const Machine *m, const Fiber *f, Buf *out);
uint32_t fiber_site_line(const Machine *m, const Fiber *f);

/* Runs a pure function to its end at once (query, unless, upcast) on a fiber of its own. Charged to the
** given tick budget; false with *error set if it faulted or asked for an effect. */
bool machine_call_pure(Machine *m, uint32_t fn, const Value *args, uint32_t count, uint64_t ticks_max,
                       Value *result, Value *error);

/* ---- calls from outside, again and again, on one fiber (recall.c) ---- */
/* A fiber with nothing to do. */
Fiber *fiber_idle(Machine *m);
/* Whatever it was at is dropped. */
void fiber_rest(Fiber *f);
/* What it was at is dropped, and it is READY to call fn, which is pure here even if it does not say so. Allocates
** nothing (a wrong number of arguments: a fault that the next interp_run gives). An argument of which the caller
** keeps nothing but a root that it will set anew may be unshared: the function then changes it in place. */
void fiber_recall(Machine *m, Fiber *f, uint32_t fn, const Value *args, uint32_t count);
/* Forgets every value but the config: fibers rest, roots are nil, a large heap is given back. */
void machine_clear(Machine *m);
/* Whether a value fits a type of the bundle (tags and shapes; not `where`); f: any fiber, at rest. */
bool machine_fits(Machine *m, Fiber *f, Value v, uint32_t type);
void machine_type_text(const Bundle *b, uint32_t type, Buf *out);      /* "int", "list[string]?" */
void machine_value_text(const Machine *m, Value v, Buf *out);          /* "int 3", cut when it is long */
Value error_data(Value error);
Str error_at(Value error); /* where it was raised; empty if unknown */
#endif
