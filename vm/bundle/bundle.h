/* A bundle in memory: what the compiler makes and the machine runs.
**
** All arrays live in the arena the bundle was made in (compile) or read into
** (bundle_read), and are read-only once made. Indexes are 32-bit; NONE_INDEX
** means "none". bundle_write (writer.c) gives the canonical bytes, whose SHA-256
** is the bundle's id; bundle_read (reader.c) checks every bound and every index of
** untrusted bytes, so that the struct it gives is well formed. It says nothing of
** the code itself: that is vm/core/verify.h. */
#ifndef Z8_BUNDLE_H
#define Z8_BUNDLE_H

#include "lang/tables.h"
#include "vm/base/arena.h"
#include "vm/base/base.h"
#include "vm/base/buf.h"
#include "vm/base/err.h"

#define NONE_INDEX UINT32_MAX
#define BUNDLE_FORMAT 3 /* opcode numbers and sections belong to this number */

typedef struct Range32 { /* count items from index `first` of a pool */
  uint32_t first, count;
} Range32;

typedef enum {
  CONST_INT,
  CONST_FLOAT,
  CONST_STRING,
  CONST_BYTES,
  CONST_DECIMAL,
  CONST_DURATION,
  CONST_NIL,
  CONST_BOOL
} ConstKind;
typedef struct BundleConst {
  uint8_t kind; /* ConstKind */
  int64_t i;    /* INT, BOOL; DURATION in microseconds */
  double f;     /* FLOAT */
  Str text;     /* STRING, BYTES; DECIMAL as its plain text, "12.50" */
} BundleConst;

/* A field of a shape or an object type, or a parameter. */
typedef struct BundleField {
  uint32_t name;    /* constant: STRING */
  uint32_t type;    /* type index */
  uint8_t optional; /* may be left out: it has a default, or may be nil */
  uint32_t doc;     /* constant or NONE_INDEX */
} BundleField;

typedef struct BundleType {
  uint8_t kind;     /* TypeKind */
  uint32_t elem;    /* LIST, MAP: type index; else NONE_INDEX */
  uint32_t shape;   /* RECORD: shape index */
  uint32_t literal; /* LITERAL: constant index */
  Range32 members;  /* UNION: into `indexes`, type indexes */
  Range32 fields;   /* OBJECT: into `fields` */
} BundleType;

typedef enum {
  SHAPE_TYPE,
  SHAPE_COMMAND,
  SHAPE_EVENT,
  SHAPE_STATE, /* an agent's state: "Account.state"; its constructor takes no argument and gives the initial one */
  SHAPE_JOB    /* a worker's job: what enqueue gives and perform gets */
} ShapeKind;
typedef struct BundleShape {
  uint8_t kind;         /* ShapeKind */
  uint32_t name;        /* constant */
  uint32_t stored_name; /* constant: an event's `as`; else == name */
  uint32_t version;     /* of a message; 1 unless said */
  Range32 fields;       /* into `fields` */
  uint32_t constructor; /* function that checks types, defaults and `where`; never NONE_INDEX */
  Range32
      upcasts; /* into `indexes`: function for version 1 -> 2, 2 -> 3 …, NONE_INDEX where none */
  uint32_t doc;
} BundleShape;

enum {
  FN_PURE =
      1, /* asserted pure: `pure fn`, query, where, guard. No effect below it, at run time either */
  FN_EFFECTS = 2,     /* holds an effect, or calls a function that does */
  FN_MAY_SUSPEND = 4, /* FN_EFFECTS, or calls function values: its frames are nil-filled on entry */
  FN_VARIADIC = 8     /* unused in format 1 */
};
typedef enum {
  FNKIND_FN,
  FNKIND_LAMBDA,
  FNKIND_SCRIPT,
  FNKIND_WORKFLOW,
  FNKIND_PERFORM,
  FNKIND_CHECK,
  FNKIND_UNLESS,
  FNKIND_CONSTRUCTOR,
  FNKIND_QUERY,
  FNKIND_BRANCH,
  FNKIND_UPCAST,
  /* of an agent, all pure; `meta` is a map, or nil where the bundle says that nobody reads it */
  FNKIND_DECIDE,    /* (state, command, meta) -> nil; what it decided is said through the natives of module decide */
  FNKIND_GUARD,     /* (state, command, meta) -> bool */
  FNKIND_EVOLVE,    /* (state, event, meta) -> the new state */
  FNKIND_VIEW,      /* (state, parameters…) -> value */
  FNKIND_INVARIANT, /* (state) -> bool */
  /* durable, each the entry of runs of its own */
  FNKIND_ON,        /* (event, meta) */
  FNKIND_JOB,       /* (job, meta) -> the job's result */
  FNKIND_TICK,      /* () */
  FNKIND_TEST       /* () */
} FnKind;

typedef enum { HANDLER_CATCH, HANDLER_FINALLY } HandlerKind;
typedef struct BundleHandler { /* innermost first; ranges nest */
  uint32_t start, end;         /* instruction words [start, end) */
  uint32_t target;             /* where to go on */
  uint8_t reg;                 /* CATCH: the error value; FINALLY: the kept fault, for RERAISE */
  uint8_t
      kind; /* HandlerKind. CATCH takes catchable faults, FINALLY all but limits and divergence */
} BundleHandler;

typedef struct BundleLine { /* words from pc on belong to this place */
  uint32_t pc;
  uint32_t line, column; /* from 1 */
} BundleLine;

typedef struct BundleFn {
  uint32_t name;    /* constant: qualified, "file.f" without the root file's name: "add",
                       "std.text.words", "CloseDay" */
  uint8_t kind;     /* FnKind */
  uint8_t flags;    /* FN_* */
  uint8_t min_args; /* fewer is a fault; those between min_args and the count of params arrive as
                       "not given" */
  Range32 params;   /* into `fields` */
  uint8_t captures; /* registers after the parameters, filled from the closure */
  uint8_t regs;     /* registers in all: params + captures + variables + temporaries */
  uint32_t code, code_count; /* into `code`, in words */
  Range32 handlers, lines;
  uint32_t cache_count; /* field cache slots, 0..256 */
  uint32_t result;      /* type index */
  uint32_t source;      /* source index */
} BundleFn;

/* Where an effect stands. The id names the place across edits elsewhere: the first 32 bits of
** SHA-256 over function name, effect word, target, enclosing patch id and the ordinal among equals.
 */
typedef struct BundleSite {
  uint32_t fn;
  uint8_t kind;    /* EffectKind */
  uint32_t target; /* constant: the callee's or signal's name, or NONE_INDEX */
  uint32_t patch;  /* constant: innermost enclosing patched("id") being true, or NONE_INDEX */
  uint32_t ordinal;
  uint32_t id;
  uint32_t line, column;
} BundleSite;

typedef struct BundleQuery {
  uint32_t name, fn;
  Range32 captures; /* into `indexes`: registers of the workflow's own frame, in the order of fn's
                       captures */
} BundleQuery;

typedef struct BundleWorkflow {
  uint32_t name, fn, doc;
  Range32 queries; /* into `queries` */
} BundleWorkflow;

typedef struct BundleTool {
  uint32_t name, doc;
  uint32_t perform, check; /* functions of (params…, key); check may be NONE_INDEX */
  uint32_t unless; /* pure function of (error) -> bool: true means do not retry; or NONE_INDEX */
  uint8_t effect_class;  /* EffectClass */
  int64_t timeout_us;    /* 0: none */
  uint32_t max_attempts; /* at least 1 */
  int64_t backoff_min_us, backoff_max_us;
  uint32_t limit_name; /* constant or NONE_INDEX */
  uint32_t limit_count;
  int64_t limit_per_us;
  uint32_t result; /* type */
} BundleTool;

/* How often something is tried: of workers and handlers. */
typedef struct BundleAttempts {
  uint32_t max_attempts; /* at least 1 */
  int64_t backoff_min_us, backoff_max_us;
  uint32_t unless;    /* pure function of (error) -> bool: true means no further attempt; or NONE_INDEX */
  int64_t timeout_us; /* of one attempt; 0: none */
} BundleAttempts;

typedef struct BundleClause { /* decide, evolve, on */
  uint32_t shape;     /* the message */
  uint32_t guard, fn; /* guard: NONE_INDEX: always */
  uint8_t uses_meta;
} BundleClause;

typedef struct BundleView {
  uint32_t name, fn;
} BundleView;

typedef struct BundleInvariant {
  uint32_t fn, message; /* constant or NONE_INDEX */
} BundleInvariant;

typedef struct BundleAgent {
  uint32_t name, doc;
  uint32_t state;           /* shape: SHAPE_STATE */
  Range32 decides, evolves; /* into `clauses`: decides in the order written */
  Range32 views, invariants;
  uint32_t snapshot_every; /* events; 0: never */
  int64_t lifespan_us;     /* 0: as long as there is room */
  uint32_t code;           /* constant: BYTES, 32: SHA-256 over the state's shape and all that evolving reaches; a
                              snapshot is good as long as it does not change */
} BundleAgent;

typedef struct BundleRoute {
  uint32_t command; /* shape */
  uint32_t agent;
  uint32_t field;  /* constant: the name of the command's field that identifies the instance */
  uint32_t prefix; /* constant, maybe "" */
  Range32 before;  /* into `indexes`: functions (command, meta), in order; what they raise refuses the command */
} BundleRoute;

typedef struct BundleRouter {
  uint32_t name;
  uint8_t validate, started; /* started: `start NAME` stands in the program */
  Range32 routes;
} BundleRouter;

typedef struct BundleSubscriber {
  uint32_t name, doc;
  uint8_t from_current, strong;
  uint32_t concurrency;
  Range32 keys;    /* into `indexes`: constants, the fields of `concurrency n by`; none: one key a stream */
  Range32 clauses; /* on */
  BundleAttempts attempts;
} BundleSubscriber;

typedef struct BundleWorker {
  uint32_t name, doc;
  uint32_t shape; /* SHAPE_JOB, of the same name */
  uint32_t fn;    /* FNKIND_JOB */
  uint8_t uses_meta, priority;
  uint32_t queue;      /* constant */
  Range32 unique;      /* into `indexes`: constants, names of fields; none: not unique */
  int64_t unique_us;   /* 0: until the job is over */
  uint8_t replace;
  BundleAttempts attempts;
} BundleWorker;

typedef struct BundleQueue {
  uint32_t name;
  uint32_t concurrency, global; /* global 0: no such bound */
  uint32_t limit_count;         /* 0: none */
  int64_t limit_per_us;
} BundleQueue;

typedef struct BundleCron {
  uint32_t name; /* constant: how its runs and its row are called, `every "0 6 * * *"`, then ` #2` where it repeats */
  uint32_t text, zone; /* constants; zone "" is UTC */
  uint8_t missed;      /* 0 skip, 1 once, 2 all */
  uint32_t fn;
} BundleCron;

typedef struct BundleTest {
  uint32_t name, fn;
  uint8_t crashes;
} BundleTest;

/* A model: what its declaration says is what its function gives, a call's map without messages. Here stands what a node
** must know before any call. */
typedef struct BundleModel {
  uint32_t name, doc;
  uint32_t fn;            /* () -> map */
  uint32_t provider;      /* constant; NONE_INDEX: whichever has a key in the environment, else offline */
  uint32_t key;           /* constant: the secret that holds its key, or NONE_INDEX */
  uint32_t requests;      /* its limits; 0: none */
  int64_t requests_per_us;
  int64_t tokens, tokens_per_us;
  Range32 fallbacks;      /* into `indexes`: constants, names of models */
} BundleModel;

typedef struct BundleAiAgent {
  uint32_t name, doc;
  uint32_t workflow;       /* whose runs are its runs */
  uint32_t model;          /* constant: the model's name */
  uint32_t strategy;       /* constant: as it is written */
  Range32 tools;           /* into `indexes`: constants, names of tools, agents and workflows */
  uint32_t answer;         /* type */
  uint32_t max_iterations;
} BundleAiAgent;

/* `limit NAME: {…}` and `budget NAME: {…}`: what all calls together may take in a length of time. */
typedef enum { ALLOWANCE_LIMIT, ALLOWANCE_BUDGET } AllowanceKind;
enum { BY_TENANT = 1, BY_AGENT = 2, BY_MODEL = 4, BY_PROVIDER = 8, BY_ALL = 15 };
typedef struct BundleAllowance {
  uint32_t name;
  uint8_t kind;                           /* AllowanceKind */
  uint8_t by;                             /* BY_*: one for each of these, else one for all */
  uint32_t provider, model, agent, tool;  /* constants: only calls of these; NONE_INDEX: of any. tool: calls of that
                                             tool, and no model's; LIMIT only, and then only `requests` */
  uint32_t requests;                      /* 0: no such bound, here and below */
  int64_t requests_per_us;                /* of a BUDGET 0: for ever, here and below */
  int64_t tokens, tokens_per_us;
  int64_t nanodollars, nanodollars_per_us; /* BUDGET only */
} BundleAllowance;

typedef struct BundleExtern {
  uint32_t library, name; /* constants */
  Range32 params;         /* into `fields` */
  uint32_t result;
} BundleExtern;

typedef struct BundleConfig {
  uint32_t name, type;
  uint32_t fallback; /* constant or NONE_INDEX: then it must be set */
} BundleConfig;

typedef struct BundleMethod { /* for calls on receivers whose kind is known only at run time */
  uint32_t name;              /* constant */
  uint8_t kind;               /* TypeKind of the receiver */
  uint8_t native;             /* 1: target is a NativeId, 0: a function index */
  uint32_t target;
} BundleMethod;

typedef struct BundleSource {
  uint32_t path; /* constant: as imported, "bank.z8", "std/text.z8" */
  Str text;
} BundleSource;

typedef struct Bundle {
  Hash256 id;      /* of the bytes; set by bundle_write and bundle_read */
  uint32_t name;   /* constant: the root file's name */
  uint32_t script; /* function */

  BundleConst *consts;
  uint32_t const_count;
  BundleField *fields;
  uint32_t field_count;
  uint32_t *indexes;
  uint32_t index_count;
  BundleType *types;
  uint32_t type_count;
  BundleShape *shapes;
  uint32_t shape_count;
  BundleFn *fns;
  uint32_t fn_count;
  uint32_t *code;
  uint32_t code_count;
  BundleHandler *handlers;
  uint32_t handler_count;
  BundleLine *lines;
  uint32_t line_count;
  BundleSite *sites;
  uint32_t site_count;
  BundleQuery *queries;
  uint32_t query_count;
  BundleWorkflow *workflows;
  uint32_t workflow_count;
  BundleTool *tools;
  uint32_t tool_count;
  BundleExtern *externs;
  uint32_t extern_count;
  BundleConfig *configs;
  uint32_t config_count;
  uint32_t *patches;
  uint32_t patch_count; /* constants: ids of patched(…), sorted */
  BundleMethod *methods;
  uint32_t method_count; /* sorted by (name, kind) */
  BundleClause *clauses;
  uint32_t clause_count;
  BundleView *views;
  uint32_t view_count;
  BundleInvariant *invariants;
  uint32_t invariant_count;
  BundleAgent *agents;
  uint32_t agent_count;
  BundleRoute *routes;
  uint32_t route_count;
  BundleRouter *routers;
  uint32_t router_count;
  BundleSubscriber *subscribers; /* handlers; the word `handler` is taken by those of try */
  uint32_t subscriber_count;
  BundleWorker *workers;
  uint32_t worker_count;
  BundleQueue *queues;
  uint32_t queue_count;
  BundleCron *crons;
  uint32_t cron_count;
  BundleTest *tests;
  uint32_t test_count;
  BundleModel *models;
  uint32_t model_count;
  BundleAiAgent *ai_agents;
  uint32_t ai_agent_count;
  BundleAllowance *allowances;
  uint32_t allowance_count;
  BundleSource *sources;
  uint32_t source_count;
} Bundle;

/* Appends the canonical bytes to out and sets bundle->id. The same struct gives the same bytes. */
void bundle_write(Bundle *bundle, Buf *out);

/* Reads bytes nobody vouches for. Everything is copied into the arena. On failure says what is
** wrong and where (ERR_CORRUPT), touching nothing outside the arena. */
MUST_USE bool bundle_read(Str bytes, Arena *arena, Bundle *bundle, Err *err);

static inline Str bundle_text(const Bundle *b, uint32_t constant) {
  return constant == NONE_INDEX ? (Str){0} : b->consts[constant].text;
}

/* What a run can be begun with, by the name in its head: "" the script, a workflow's, worker's or cron's name,
** `test "name"`, and "Handler.stored event name" for the handling of an event. */
typedef enum { ENTRY_SCRIPT, ENTRY_WORKFLOW, ENTRY_JOB, ENTRY_ON, ENTRY_TICK, ENTRY_TEST } EntryKind;
typedef struct BundleEntry {
  EntryKind kind;
  uint32_t index; /* of workflow, worker, subscriber, cron, test */
  uint32_t fn;
  const BundleAttempts *attempts; /* of JOB and ON; else NULL */
} BundleEntry;
bool bundle_entry(const Bundle *bundle, Str name, BundleEntry *out);

/* The place of instruction word pc (relative to the function's first word). */
BundleLine bundle_line(const Bundle *bundle, const BundleFn *fn, uint32_t pc);

/* The id a site must have: the first 4 bytes, big-endian, of SHA-256 over function name, effect word, target, patch
** id and the ordinal in decimal, with a zero byte between each two. */
uint32_t bundle_site_id(const Bundle *bundle, const BundleSite *site);

/* The disassembler: readable code beside its source lines (dump.c). */
void bundle_dump(const Bundle *bundle, Buf *out);

#endif
