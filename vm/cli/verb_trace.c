/* z8 causes, effects, trace: the tree of what caused what. */
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/base/text.h"
#include "vm/cli/cli.h"
#include "vm/cli/provenance.h"

static const char *const kind_words[] = {"run", "command", "event", "job"};

typedef struct TracePage {
  Cli *cli;
  const Provenance *p;
  uint32_t *first, *next; /* children of each, in order of the log; UINT32_MAX: none */
  uint32_t put;           /* so far: a damaged log may hold a circle */
} TracePage;

static void page_open(TracePage *page, Cli *cli, const Provenance *p) {
  uint32_t count = provenance_count(p);
  *page = (TracePage){cli, p, mem_alloc(count * sizeof(uint32_t)), mem_alloc(count * sizeof(uint32_t)), 0};
  for (uint32_t i = 0; i < count; i++) page->first[i] = page->next[i] = UINT32_MAX;
  for (uint32_t i = count; i-- > 0;) { /* backwards, so that lists come out in order */
    uint32_t cause = provenance_cause(p, i);
    if (cause == UINT32_MAX) continue;
    page->next[i] = page->first[cause];
    page->first[cause] = i;
  }
}

static void page_close(TracePage *page) {
  mem_free(page->first);
  mem_free(page->next);
}

static void node_json(Cli *cli, const ProvenanceNode *n, uint32_t depth, bool asked) {
  static const Uuid none;
  char id[37], cause[37];
  uuid_text(n->id, id);
  uuid_text(n->cause, cause);
  buf_byte(&cli->out, '{');
  json_text(&cli->out, "kind", str_of(kind_words[n->kind]));
  json_text(&cli->out, "id", str_of(id));
  json_name(&cli->out, "causation");
  if (memcmp(n->cause.byte, none.byte, 16) == 0) buf_text(&cli->out, "null");
  else buf_format(&cli->out, "\"%s\"", cause);
  json_text(&cli->out, "name", n->name);
  json_text(&cli->out, "where", n->where);
  json_time(&cli->out, "at", n->at_us);
  json_number(&cli->out, "depth", depth);
  json_name(&cli->out, "asked");
  buf_text(&cli->out, asked ? "true}\n" : "false}\n");
}

static void node_put(TracePage *page, uint32_t i, uint32_t depth) {
  Cli *cli = page->cli;
  const ProvenanceNode *n = provenance_node(page->p, i);
  bool asked = i == provenance_start(page->p);
  char id[37];
  Buf at = {0};
  page->put++;
  if (cli->json) {
    node_json(cli, n, depth, asked);
    return;
  }
  uuid_text(n->id, id);
  time_print(n->at_us, &at);
  buf_format(&cli->out, "%s %*s%s " STR_FMT, asked ? "*" : " ", (int)depth * 2, "", kind_words[n->kind],
             STR_ARG(n->name));
  if (n->where.size > 0) buf_format(&cli->out, " (" STR_FMT ")", STR_ARG(n->where));
  buf_format(&cli->out, "  %s  " STR_FMT "\n", id, STR_ARG(buf_view(&at)));
  buf_deinit(&at);
}

/* Everything below i, without recursion: a chain of causes may be as long as the log. */
static void tree_put(TracePage *page, uint32_t root, uint32_t depth) {
  uint32_t i = root;
  node_put(page, i, depth);
  while (page->put <= provenance_count(page->p)) {
    if (page->first[i] != UINT32_MAX) {
      i = page->first[i];
      node_put(page, i, ++depth);
      continue;
    }
    while (i != root && page->next[i] == UINT32_MAX) {
      i = provenance_cause(page->p, i);
      depth--;
    }
    if (i == root) return;
    i = page->next[i];
    node_put(page, i, depth);
  }
}

static void causes_put(TracePage *page) {
  uint32_t depth = 0;
  for (uint32_t i = provenance_start(page->p); i != UINT32_MAX && depth <= provenance_count(page->p); depth++) {
    node_put(page, i, page->cli->json ? depth : 0);
    i = provenance_cause(page->p, i);
  }
}

static void trace_put(TracePage *page) {
  for (uint32_t i = 0; i < provenance_count(page->p); i++)
    if (provenance_cause(page->p, i) == UINT32_MAX) tree_put(page, i, 0);
}

typedef enum { TRACE_CAUSES, TRACE_EFFECTS, TRACE_ALL } TraceHow;

static int trace(Cli *cli, TraceHow how) {
  Provenance *p;
  TracePage page;
  Err err = {0};
  int status = EXIT_DONE;
  if (session_open(cli, &status) != SESSION_OPEN) return status;
  if (!provenance_load(node_store(cli->node), str_of(cli->args.words[0]), &p, &err)) return output_err(cli, &err);
  page_open(&page, cli, p);
  if (how == TRACE_CAUSES) causes_put(&page);
  if (how == TRACE_EFFECTS) tree_put(&page, provenance_start(p), 0);
  if (how == TRACE_ALL) trace_put(&page);
  page_close(&page);
  provenance_free(p);
  return status;
}

int verb_causes(Cli *cli) { return trace(cli, TRACE_CAUSES); }
int verb_effects(Cli *cli) { return trace(cli, TRACE_EFFECTS); }
int verb_trace(Cli *cli) { return trace(cli, TRACE_ALL); }
