/* What a run did, gathered from its journal: commands with what came of them, signals, and what befell it. The pages
** about a run (verb_inspect.c, agent_page.c) are made from it. */
#ifndef Z8_STORY_H
#define Z8_STORY_H

#include "vm/cli/cli.h"
#include "vm/runtime/prices.h"

/* A call of a model: what it was asked beyond what the run had asked before, and what it said. All owned. */
typedef struct ModelStep {
  Buf provider, name, agent, purpose; /* texts, empty where the call does not say */
  Buf system; /* text: where no call before had this one */
  Buf tools;  /* JSON list of names: where no call before had these */
  Buf news;   /* encoded list: the messages that no call before had */
  Buf reply;  /* the encoded reply, or where failed the encoded error; empty: there is none yet */
  bool failed;
  bool refused; /* by a budget: it was never sent */
  bool dropped; /* nobody wanted its answer any more */
  bool lost;    /* its answer is, and it may have been billed: the books count what was expected of it as uncertain */
  bool used;    /* usage is known; of one that is lost it is that of what came of it, and bought nothing */
  Usage usage;
  Price price;
  int64_t nanodollars; /* where the price and the usage are known */
  bool broken; /* it cannot be read: only what the command itself says is known */
} ModelStep;

typedef enum { STEP_COMMAND, STEP_SIGNAL, STEP_MARK } StepKind;
typedef struct Step {
  StepKind kind;
  uint64_t seq;
  uint8_t effect; /* EffectKind of a COMMAND */
  uint64_t site;
  int64_t at, answered; /* 0: not known */
  Buf target;
  Buf operands, because, outcome, value; /* JSON, but outcome a word; empty: none */
  Buf asked, answer;                     /* encoded, of kinds from EFFECT_MODEL on */
  Buf mark;                              /* of a MARK: what befell the run, in a sentence */
  uint32_t attempts;
  ModelStep *model; /* of EFFECT_MODEL; owned */
  bool has_child;   /* a run that it started */
  Uuid child;
  uint32_t wanted_by; /* index of the model's step whose reply wanted this call; NOBODY: the code itself did */
  uint32_t wanted_at; /* and which of its calls */
} Step;
#define NOBODY UINT32_MAX

typedef struct Conversation Conversation;
typedef struct Story {
  Cli *cli;
  const RunRow *row;
  const Bundle *bundle; /* NULL: it is not in the store */
  Step *steps;
  uint32_t count, cap;
  uint64_t reads, signals, marks;
  Buf input, config, parent, result; /* JSON, but for parent: "RUN#SEQ" */
  Buf arguments, ended; /* encoded: input and result */
  Uuid parent_id, cause; /* zero: none */
  uint64_t parent_seq;
  bool has_parent;
  uint64_t generation;
  Hash256 state; /* where it ended */
  bool sealed;
  Conversation *conversation;
  Hash256 *seen; /* systems and lists of tools that were shown */
  uint32_t seen_count, seen_cap;
} Story;

/* Of `row`, which must outlive it. story_deinit in any case. */
MUST_USE bool story_load(Cli *cli, const RunRow *row, Story *out, Err *err);
void story_deinit(Story *story);

Step *story_find(Story *story, uint64_t seq);
/* "file:line" of a site; nothing where it is not known. */
void story_place(const Story *story, uint64_t site, Buf *out);
/* A recorded value as JSON: blobs fetched; "null" for what cannot be shown. */
void story_json(const Story *story, Str value, Buf *out);
/* Why nobody decided an approval; NULL: somebody did, or may yet. */
const char *approval_undecided(const Story *story, const Step *approval);
/* What it waits for, one line each: asked of the run itself, here or re-run. */
void story_waits(Story *story, Buf *out);

/* ---- story_model.c ---- */
void story_model_asked(Story *story, Step *step, Str operands);
void story_model_answered(Step *step, Str outcome, Str value);
/* Finds for each call of a tool or an agent the reply that wanted it. */
void story_match(Story *story);

typedef struct ModelTotals {
  uint64_t calls, failed, lost; /* lost: failed too */
  uint64_t dropped, refused;    /* of the calls; no calls at all */
  Usage usage;
  int64_t nanodollars;
  bool priced; /* one of them had a price */
} ModelTotals;
ModelTotals story_totals(const Story *story);

/* ---- values ---- */
Str story_field(Str map, const char *key);  /* of an encoded map: a text, or nothing */
bool story_flag(Str map, const char *key); /* true there */
/* A text as it is, anything else as JSON. */
void story_print(Str value, Buf *out);
/* The items of an encoded list. */
typedef struct StoryItems {
  const uint8_t *at, *end;
  uint64_t left;
} StoryItems;
/* Item n of an encoded list; nothing where there is none. */
Str story_item(Str list, uint64_t n);
StoryItems story_items(Str list); /* none of what is no list */
bool story_next(StoryItems *items, Str *item);

#endif
