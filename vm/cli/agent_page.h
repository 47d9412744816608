/* The page of a run of an ai_agent: who asked what, what it knew, thought and did, and what came of it. */
#ifndef Z8_AGENT_PAGE_H
#define Z8_AGENT_PAGE_H

#include "vm/cli/story.h"

/* The declaration whose run it is; NULL: it is no ai_agent's. */
const BundleAiAgent *agent_of(const Story *story);
/* `waits`: a line for each thing it waits for. */
void agent_page(const Story *story, const BundleAiAgent *agent, const Buf *waits, Buf *out);

/* What it answered, and whether its work was done. */
typedef struct AgentEnd {
  Str answer;    /* encoded; empty: none */
  bool over, complete;
  Str reason;    /* text; empty: none is said */
} AgentEnd;
AgentEnd agent_end(const Story *story);
/* Who or what began the run, as a sentence. */
void trigger_put(const Story *story, Buf *out);
/* The arguments by name: an encoded value each. */
void agent_arguments(const Story *story, const BundleAiAgent *agent,
                     void (*each)(void *context, Str name, Str value), void *context);
/* "state …, chain …"; the words are the hashes, whole. */
bool seal_read(const Story *story, char state[65], char chain[65]);

#endif
