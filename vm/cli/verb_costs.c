/* z8 costs: what models cost, from the books that the calls themselves are settled in. */
#include "vm/base/mem.h"
#include "vm/base/text.h"
#include "vm/cli/cli.h"
#include "vm/runtime/ledger.h"

typedef enum { BY_WORD_DAY, BY_WORD_TENANT, BY_WORD_AGENT, BY_WORD_MODEL, BY_WORDS } ByWord;
static const char *const by_words[BY_WORDS] = {"day", "tenant", "agent", "model"};

typedef struct Sum { /* a line; the texts are owned by `keys` */
  Buf keys[BY_WORDS];
  CostRow amounts; /* its texts are not used */
} Sum;

typedef struct CostsPage {
  Cli *cli;
  bool by[BY_WORDS];
  Sum *sums;
  uint32_t count, cap;
  CostRow total;
} CostsPage;

/* ---- gathering ------------------------------------------------------------------- */

static void amounts_sum(CostRow *to, const CostRow *row) {
  to->calls = amount_add(to->calls, row->calls);
  to->input = amount_add(to->input, row->input);
  to->cached = amount_add(to->cached, row->cached);
  to->output = amount_add(to->output, row->output);
  to->nanodollars = amount_add(to->nanodollars, row->nanodollars);
  to->uncertain_calls = amount_add(to->uncertain_calls, row->uncertain_calls);
  to->uncertain_nanodollars = amount_add(to->uncertain_nanodollars, row->uncertain_nanodollars);
  to->reserved_nanodollars = amount_add(to->reserved_nanodollars, row->reserved_nanodollars);
}

static void keys_put(const CostsPage *page, const CostRow *row, Buf keys[BY_WORDS]) {
  if (page->by[BY_WORD_DAY]) {
    Buf *day = &keys[BY_WORD_DAY];
    time_print(row->day_us, day);
    if (day->size > 10) day->size = 10; /* the date */
  }
  if (page->by[BY_WORD_TENANT]) buf_str(&keys[BY_WORD_TENANT], row->tenant);
  if (page->by[BY_WORD_AGENT]) buf_str(&keys[BY_WORD_AGENT], row->agent);
  if (page->by[BY_WORD_MODEL]) buf_str(&keys[BY_WORD_MODEL], row->model);
}

static int keys_compare(const Buf *a, const Buf *b) {
  for (int i = 0; i < BY_WORDS; i++) {
    Str x = buf_view(&a[i]), y = buf_view(&b[i]);
    size_t common = x.size < y.size ? x.size : y.size;
    int order = common > 0 ? memcmp(x.at, y.at, common) : 0;
    if (order == 0 && x.size != y.size) order = x.size < y.size ? -1 : 1;
    if (order != 0) return order;
  }
  return 0;
}

static void keys_deinit(Buf keys[BY_WORDS]) {
  for (int i = 0; i < BY_WORDS; i++) buf_deinit(&keys[i]);
}

/* Where a line with these keys is, or belongs. */
static uint32_t sum_place(const CostsPage *page, const Buf keys[BY_WORDS], bool *found) {
  uint32_t low = 0, high = page->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (keys_compare(page->sums[middle].keys, keys) < 0) low = middle + 1;
    else high = middle;
  }
  *found = low < page->count && keys_compare(page->sums[low].keys, keys) == 0;
  return low;
}

static bool costs_row(void *context, const CostRow *row) {
  CostsPage *page = context;
  Buf keys[BY_WORDS] = {{0}};
  bool found;
  amounts_sum(&page->total, row);
  keys_put(page, row, keys);
  uint32_t at = sum_place(page, keys, &found);
  if (!found) {
    page->sums = mem_grow(page->sums, &page->cap, page->count + 1, sizeof *page->sums);
    memmove(&page->sums[at + 1], &page->sums[at], (page->count - at) * sizeof *page->sums);
    page->sums[at] = (Sum){0};
    memcpy(page->sums[at].keys, keys, sizeof keys);
    page->count++;
  } else {
    keys_deinit(keys);
  }
  amounts_sum(&page->sums[at].amounts, row);
  return true;
}

/* ---- showing --------------------------------------------------------------------- */

static void dollars_json(Buf *out, const char *name, int64_t nanodollars) {
  json_name(out, name);
  dollars_print(nanodollars, out);
}

static void amounts_json(Buf *out, const CostRow *a) {
  json_number(out, "calls", (uint64_t)a->calls);
  json_number(out, "input", (uint64_t)a->input);
  json_number(out, "cached", (uint64_t)a->cached);
  json_number(out, "output", (uint64_t)a->output);
  dollars_json(out, "usd", a->nanodollars);
  json_number(out, "uncertain_calls", (uint64_t)a->uncertain_calls);
  dollars_json(out, "uncertain_usd", a->uncertain_nanodollars);
  dollars_json(out, "reserved_usd", a->reserved_nanodollars);
}

static void costs_json(const CostsPage *page, Buf *out) {
  for (uint32_t i = 0; i < page->count; i++) {
    buf_byte(out, '{');
    for (int k = 0; k < BY_WORDS; k++)
      if (page->by[k]) json_text(out, by_words[k], buf_view(&page->sums[i].keys[k]));
    amounts_json(out, &page->sums[i].amounts);
    buf_text(out, "}\n");
  }
  buf_byte(out, '{');
  json_name(out, "total");
  buf_byte(out, '{');
  amounts_json(out, &page->total);
  buf_text(out, "}}\n");
}

static void dollars_cell(Buf *out, int64_t nanodollars) {
  Buf text = {0};
  buf_byte(&text, '$');
  dollars_print(nanodollars, &text);
  buf_format(out, "  %12.*s", STR_ARG(buf_view(&text)));
  buf_deinit(&text);
}

static void amounts_text(Buf *out, const CostRow *a) {
  buf_format(out, "%7" PRId64 "  %11" PRId64 "  %11" PRId64 "  %11" PRId64, a->calls, a->input, a->cached, a->output);
  dollars_cell(out, a->nanodollars);
  dollars_cell(out, a->uncertain_nanodollars);
  dollars_cell(out, a->reserved_nanodollars);
  buf_byte(out, '\n');
}

static size_t key_width(const CostsPage *page, int k) {
  size_t width = strlen(by_words[k]) > 5 ? strlen(by_words[k]) : 5; /* "total" */
  for (uint32_t i = 0; i < page->count; i++)
    if (page->sums[i].keys[k].size > width) width = page->sums[i].keys[k].size;
  return width < 40 ? width : 40;
}

static void keys_text(const CostsPage *page, const Sum *sum, const char *word, Buf *out) {
  for (int k = 0; k < BY_WORDS; k++) {
    if (!page->by[k]) continue;
    Str text = sum != NULL ? buf_view(&sum->keys[k]) : word != NULL ? str_of(word) : str_of(by_words[k]);
    if (sum != NULL && text.size == 0) text = STR("-");
    buf_format(out, "%-*.*s  ", (int)key_width(page, k), STR_ARG(text));
    if (word != NULL) word = "";
  }
}

static void costs_text(const CostsPage *page, Buf *out) {
  Buf head = {0};
  keys_text(page, NULL, NULL, &head);
  buf_format(&head, "%7s  %11s  %11s  %11s  %12s  %12s  %12s", "calls", "tokens in", "of them cached", "tokens out",
             "cost", "uncertain", "reserved now");
  buf_byte(&head, 0);
  output_bold(out, page->cli->colour, head.at);
  buf_byte(out, '\n');
  buf_deinit(&head);
  for (uint32_t i = 0; i < page->count; i++) {
    keys_text(page, &page->sums[i], NULL, out);
    amounts_text(out, &page->sums[i].amounts);
  }
  keys_text(page, NULL, "total", out);
  amounts_text(out, &page->total);
}

/* ---- the verb -------------------------------------------------------------------- */

static bool by_word(CostsPage *page, Str word) {
  for (int k = 0; k < BY_WORDS; k++) {
    if (!str_equal(word, str_of(by_words[k]))) continue;
    page->by[k] = true;
    return true;
  }
  return false;
}

static bool by_read(CostsPage *page) {
  const char *given = page->cli->args.values[OPTION_BY];
  for (int k = 0; k < BY_WORDS; k++) page->by[k] = given == NULL;
  for (Str rest = str_of(given != NULL ? given : ""); rest.size > 0;) {
    const char *comma = memchr(rest.at, ',', rest.size);
    size_t size = comma != NULL ? (size_t)(comma - rest.at) : rest.size;
    if (!by_word(page, (Str){rest.at, size})) return false;
    size_t step = comma != NULL ? size + 1 : size;
    rest = (Str){rest.at + step, rest.size - step};
  }
  return given == NULL || given[0] != 0;
}

static void nothing_text(Cli *cli) {
  const char *since = cli->args.values[OPTION_SINCE];
  if (since != NULL) buf_format(&cli->out, "no model was asked since %s\n", since);
  else buf_text(&cli->out, "no model was asked yet\n");
}

static int costs(CostsPage *page, int64_t since_us) {
  Cli *cli = page->cli;
  Err err = {0};
  if (!ledger_costs_each(node_store(cli->node), since_us, costs_row, page, &err)) return output_err(cli, &err);
  if (cli->json) costs_json(page, &cli->out);
  else if (page->count == 0) nothing_text(cli);
  else costs_text(page, &cli->out);
  return EXIT_DONE;
}

int verb_costs(Cli *cli) {
  CostsPage page = {.cli = cli};
  int64_t since_us = 0;
  int status = EXIT_DONE;
  if (!by_read(&page)) return output_error(cli, EXIT_USAGE, "--by takes words of day,tenant,agent,model");
  const char *since = cli->args.values[OPTION_SINCE];
  if (since != NULL && (!time_parse(str_of(since), &since_us) || since_us < 0))
    return output_error(cli, EXIT_USAGE, "--since takes a date: 2026-11-01");
  if (session_open(cli, &status) != SESSION_OPEN) return status;
  status = costs(&page, since_us);
  for (uint32_t i = 0; i < page.count; i++) keys_deinit(page.sums[i].keys);
  mem_free(page.sums);
  return status;
}
