/* A run's story as one JSON document: field names are part of the interface (lang/reference/cli.md). */
#ifndef Z8_STORY_JSON_H
#define Z8_STORY_JSON_H

#include "vm/cli/story.h"

/* `waits`: a line for each thing it waits for. */
void story_document(const Story *story, const Buf *waits, Buf *out);

#endif
