/* The abstract cost table: what each logical operation adds to the bytes that
** limit_memory counts, and to ticks. Part of the semantics id: a run must meet its
** limits at the same instruction on every machine and after every restore, so
** nothing here may depend on capacity, ropes, collections or addresses. */
#ifndef Z8_COST_H
#define Z8_COST_H

enum {
  COST_BOX = 16,          /* a float or int that does not fit a word, a time, a duration */
  COST_DECIMAL = 24,
  COST_TEXT = 16,         /* a string or bytes, besides its bytes */
  COST_LIST = 32,         /* a list, besides its elements */
  COST_ELEMENT = 8,
  COST_PUSH = 16,         /* one element appended or inserted */
  COST_MAP = 48,
  COST_ENTRY = 24,        /* one entry of a map that is copied */
  COST_PUT = 48,          /* one new entry */
  COST_RECORD = 16,       /* and 8 a field */
  COST_CLOSURE = 16,      /* and 8 a captured value */
  COST_HANDLE = 48,
  COST_ERROR = 40,
  COST_RANGE = 32,
  COST_SEALED = 16,
  WORK_COMPARE = 64        /* bytes of bulk work for one pair of values compared */
};

#endif
