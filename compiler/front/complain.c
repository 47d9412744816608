/* Says what is wrong where the parser stopped, in the reader's terms. The whole line
** is at hand, so the rules below look at it for what was most likely meant, from the
** particular to the general; the first that knows speaks. Only lines that failed come
** here: a rule may guess boldly, it cannot refuse anything that is right. */
#include "compiler/front/ast_build.h"

typedef struct Complaint {
  Build *b;
  Diags *diags;
  const Parser *parser;
  const Token *tokens;
  const Token *t; /* what the parser would not take */
  uint32_t at, count;
  uint16_t first, before, after; /* kinds: of the line's head, and around t (0 if none) */
  const Token *open;             /* the innermost bracket open at t, or NULL */
} Complaint;

typedef bool (*Rule)(Complaint *c);

static Str text_of(const Complaint *c, const Token *t) {
  return (Str){c->b->text + (t->tok.span.at - c->b->base), t->tok.span.size};
}

static Str shown(const Complaint *c, const Token *t) {
  Str text = text_of(c, t);
  switch (t->kind) {
    case TK_NEWLINE:
      return STR("the end of the line");
    case TK_STRING:
    case TK_INTERP_BEGIN:
    case TK_INTERP_MID:
    case TK_INTERP_END:
      return STR("a string");
    default:
      break;
  }
  if (text.size > 40) text.size = 40;
  return diag_format(c->diags, "`" STR_FMT "`", STR_ARG(text));
}

/* Right behind a token: where something is missing. */
static Span behind(const Token *t) { return (Span){t->tok.span.at + t->tok.span.size, 0}; }

static bool accepts(const Complaint *c, uint16_t kind) { return parser_accepts(c->parser, kind); }

static Diag *say(Complaint *c, DiagId id, const Token *t) {
  return DIAG_ADD(c->diags, id, t->tok.span, text_of(c, t));
}

static Diag *say_fix(Complaint *c, DiagId id, const Token *t, const char *fix) {
  Diag *diag = say(c, id, t);
  diag_label(diag, diag_format(c->diags, "write `%s`", fix));
  diag_fix(diag, str_of(fix));
  return diag;
}

static bool is_one_of(Str text, const char *const *words) {
  for (; *words; words++) {
    if (str_equal(text, str_of(*words))) return true;
  }
  return false;
}

/* ---- what kind of token ---- */

static bool is_operator(uint16_t kind) {
  switch (kind) {
    case TK_PLUS:
    case TK_MINUS:
    case TK_STAR:
    case TK_CMP:
    case TK_IN:
    case TK_AND:
    case TK_OR:
    case TK_NOT:
    case TK_COALESCE:
    case TK_PIPE:
    case TK_ASSIGN:
    case TK_OPASSIGN:
    case TK_ARROW:
    case TK_DOT:
    case TK_QDOT:
      return true;
    default:
      return false;
  }
}

static bool is_header(uint16_t kind) {
  switch (kind) {
    case TK_IF:
    case TK_ELIF:
    case TK_ELSE:
    case TK_FOR:
    case TK_WHILE:
    case TK_LOOP:
    case TK_MATCH:
    case TK_TRY:
    case TK_CATCH:
    case TK_FINALLY:
    case TK_PARALLEL:
    case TK_RACE:
    case TK_BRANCH:
    case TK_FN:
    case TK_PURE:
    case TK_TYPE:
    case TK_UPCAST:
    case TK_WORKFLOW:
    case TK_QUERY:
    case TK_TOOL:
    case TK_EXTERN:
    case TK_PERFORM:
    case TK_CHECK:
    case TK_AGENT:
    case TK_ROUTER:
    case TK_HANDLER:
    case TK_WORKER:
    case TK_MODEL:
    case TK_AI_AGENT:
    case TK_STRATEGY:
    case TK_BUDGET:
    case TK_QUEUE:
    case TK_EVERY:
    case TK_TEST:
    case TK_DECIDE:
    case TK_EVOLVE:
    case TK_VIEW:
    case TK_ON:
      return true;
    default:
      return false;
  }
}

static bool is_declaration(uint16_t kind) {
  switch (kind) {
    case TK_FN:
    case TK_PURE:
    case TK_CONST:
    case TK_CONFIG:
    case TK_IMPORT:
    case TK_TYPE:
    case TK_COMMAND:
    case TK_EVENT:
    case TK_UPCAST:
    case TK_WORKFLOW:
    case TK_TOOL:
    case TK_EXTERN:
    case TK_AGENT:
    case TK_ROUTER:
    case TK_HANDLER:
    case TK_WORKER:
    case TK_MODEL:
    case TK_AI_AGENT:
    case TK_STRATEGY:
    case TK_QUEUE:
    case TK_EVERY:
    case TK_TEST:
      return true;
    default:
      return false;
  }
}

/* Statements that cannot stand within a line. */
static bool is_statement_word(uint16_t kind) {
  switch (kind) {
    case TK_IF:
    case TK_FOR:
    case TK_WHILE:
    case TK_MATCH:
    case TK_TRY:
    case TK_LOOP:
    case TK_PARALLEL:
    case TK_RACE:
    case TK_RETURN:
    case TK_RAISE:
    case TK_ASSERT:
    case TK_BREAK:
    case TK_CONTINUE:
    case TK_PASS:
      return true;
    default:
      return false;
  }
}

static bool is_reserved(const Token *t) {
  static const uint16_t literals[] = {TK_TRUE, TK_FALSE, TK_NIL};
  for (size_t i = 0; i < COUNT_OF(literals); i++) {
    if (t->kind == literals[i]) return false;
  }
  for (uint16_t word = WORD_NONE + 1; word_info[word].text; word++) {
    if (word_info[word].rule == RULE_RESERVED && word_info[word].token == t->kind) return true;
  }
  return false;
}

static bool is_value(const Token *t) {
  return token_begins_operand(t) || t->kind == TK_LP || t->kind == TK_LB || t->kind == TK_TRUE ||
         t->kind == TK_FALSE || t->kind == TK_NIL;
}

/* ---- lines that begin with another language's word ---- */

typedef struct Foreign {
  const char *words[8];
  DiagId id;
  const char *fix;
} Foreign;
static const Foreign foreign_heads[] = {
    {{"sub", "proc", "procedure", NULL}, DIAG_FN_WORD, "fn"},
    {{"let", "var", "val", "mut", "local", "auto", NULL}, DIAG_LET_WORD, NULL},
    {{"class", "struct", "interface", "record", "enum", "object", NULL}, DIAG_TYPE_WORD, NULL},
    {{"switch", "case", "select", "default", NULL}, DIAG_MATCH_WORD, NULL},
    {{"foreach", "until", "unless", "do", "repeat", "forever", NULL}, DIAG_LOOP_WORD, NULL},
    {{"include", "require", "use", "using", "from", NULL}, DIAG_IMPORT_FORM, NULL},
};

static bool rule_foreign_head(Complaint *c) {
  if (c->first != TK_ID || c->at == 0) return false;
  Str text = text_of(c, &c->tokens[0]);
  for (size_t i = 0; i < COUNT_OF(foreign_heads); i++) {
    const Foreign *f = &foreign_heads[i];
    if (!is_one_of(text, f->words)) continue;
    if (f->fix) say_fix(c, f->id, &c->tokens[0], f->fix);
    else say(c, f->id, &c->tokens[0]);
    c->b->swallow = f->id == DIAG_TYPE_WORD || f->id == DIAG_MATCH_WORD;
    return true;
  }
  return false;
}

static bool rule_else_if(Complaint *c) {
  if (c->first != TK_ELSE || c->at != 1 || c->t->kind != TK_IF) return false;
  Span span = span_join(c->tokens[0].tok.span, c->t->tok.span);
  Diag *diag = DIAG_ADD(c->diags, DIAG_ELSE_IF, span, STR("else if"));
  diag_label(diag, STR("write `elif`"));
  diag_fix(diag, STR("elif"));
  return true;
}

/* `queue mailers:` `test it works:` */
static bool rule_quoted_name(Complaint *c) {
  static const char *const quoted[] = {"queue", "test", "every", "extern", NULL};
  if (c->first != TK_ID || c->at != 1 || c->t->kind != TK_ID) return false;
  if (!is_one_of(text_of(c, &c->tokens[0]), quoted) || c->tokens[c->count - 2].kind != TK_COLON) return false;
  DIAG_ADD(c->diags, DIAG_QUOTED_NAME, c->t->tok.span, text_of(c, &c->tokens[0]));
  c->b->swallow = true;
  return true;
}

static bool rule_guard_word(Complaint *c) {
  bool clause = c->first == TK_DECIDE || c->first == TK_CATCH;
  if (!clause || c->t->kind != TK_IF || c->open || !accepts(c, TK_WHEN)) return false;
  say_fix(c, DIAG_GUARD_WORD, c->t, "when");
  return true;
}

/* ---- things in the wrong place ---- */

static bool rule_alone(Complaint *c) {
  if (c->at != 0) return false;
  switch (c->t->kind) {
    case TK_ELSE:
    case TK_ELIF:
      say(c, DIAG_ELSE_ALONE, c->t);
      return true;
    case TK_CATCH:
    case TK_FINALLY:
      say(c, DIAG_CATCH_ALONE, c->t);
      return true;
    case TK_BRANCH:
      say(c, DIAG_BRANCH_PLACE, c->t);
      return true;
    case TK_QUERY:
      say(c, DIAG_QUERY_PLACE, c->t);
      return true;
    default:
      break;
  }
  if (!is_declaration(c->t->kind)) return false;
  say(c, DIAG_NESTED_DECLARATION, c->t);
  return true;
}

static bool rule_tool_part(Complaint *c) {
  if (c->at != 0 || !accepts(c, TK_SETTING)) return false;
  if (c->b->body == DECL_TOOL) {
    say(c, DIAG_TOOL_PART, c->t);
  } else {
    Diag *diag = say(c, DIAG_BODY_PART, c->t);
    diag_help(diag, body_has(c->b->body));
  }
  return true;
}

/* `undo(result):` in a tool: a part it does not have reads like a setting first. What is wrong within brackets, or
** within a text, is no matter of the setting's form. */
static bool rule_setting(Complaint *c) {
  if (c->first != TK_SETTING) return false;
  const Token *head = &c->tokens[0];
  if (!setting_is_known(c->b, head->tok.name)) {
    complain_setting(c->b, head->tok.name, head->tok.span);
    return true;
  }
  if (c->open || (accepts(c, TK_ID) && c->t->kind != TK_NEWLINE && is_operator(c->before))) return false;
  Span span =
      c->at == 0 ? head->tok.span : span_join(head->tok.span, c->tokens[c->at - 1].tok.span);
  Diag *diag = DIAG_ADD(c->diags, DIAG_SETTING_FORM, span, text_of(c, head));
  diag_help(diag, diag_format(c->diags, "`z8 explain E%04u` shows how each setting is written",
                              diag_info[DIAG_SETTING_FORM].number));
  return true;
}

/* ---- words as names ---- */

/* `if = 3`, `fn match(…)`, `for in in xs`, `f(x, in: 2)` */
static bool rule_reserved_name(Complaint *c) {
  bool assigns = c->t->kind == TK_ASSIGN || c->t->kind == TK_OPASSIGN;
  if (assigns && c->at == 1 && is_reserved(&c->tokens[0])) {
    say(c, DIAG_RESERVED_NAME, &c->tokens[0]);
    return true;
  }
  if (!is_reserved(c->t)) return false;
  if (c->at == 0 && (c->after == TK_ASSIGN || c->after == TK_DOT || c->after == TK_OPASSIGN)) {
    say(c, DIAG_RESERVED_NAME, c->t);
    return true;
  }
  bool behind_word = is_declaration(c->before) || c->before == TK_QUERY || c->before == TK_SIGNAL ||
                     c->before == TK_START || c->before == TK_FOR || c->before == TK_CATCH ||
                     c->before == TK_AS;
  bool in_list = (c->before == TK_COMMA || c->before == TK_LP) &&
                 (c->after == TK_COMMA || c->after == TK_RP || c->after == TK_ASSIGN);
  bool for_in = c->before == TK_FOR && c->t->kind == TK_IN && c->after != TK_IN;
  if (for_in || !(behind_word || in_list)) return false;
  if (c->t->kind == TK_FN && c->before == TK_PURE) return false;
  say(c, DIAG_RESERVED_NAME, c->t);
  return true;
}

static bool rule_missing_name(Complaint *c) {
  if (c->at == 0 || !accepts(c, TK_ID) || accepts(c, TK_INT)) return false;
  const Token *before = c->t - 1;
  bool wants = is_declaration(before->kind) || before->kind == TK_QUERY || before->kind == TK_DOT ||
               before->kind == TK_QDOT || before->kind == TK_START || before->kind == TK_SIGNAL ||
               before->kind == TK_AS;
  if (!wants || before->kind == TK_IMPORT) return false;
  DIAG_ADD(c->diags, DIAG_MISSING_NAME, behind(before), text_of(c, before));
  return true;
}

/* ---- statements that are not values ---- */

static bool rule_value_block(Complaint *c) {
  if (!is_statement_word(c->t->kind) || c->at == 0 || c->open) return false;
  if (c->t->kind == TK_IF && token_ends_operand(c->before)) {
    say(c, DIAG_CONDITIONAL_EXPRESSION, c->t);
    return true;
  }
  if (c->before == TK_COLON && is_header(c->first)) {
    say(c, DIAG_ONE_LINE_BLOCK, c->t);
    return true;
  }
  bool value = c->before == TK_ASSIGN || c->before == TK_RETURN || c->before == TK_OPASSIGN;
  if (value) say(c, c->t->kind == TK_IF ? DIAG_CONDITIONAL_EXPRESSION : DIAG_VALUE_BLOCK, c->t);
  c->b->swallow = value && c->t->kind == TK_MATCH;
  return value;
}

/* `x = parallel:` does its branches, but has no value of its own. */
static bool rule_parallel_value(Complaint *c) {
  if (c->at < 2 || c->t->kind != TK_COLON) return false;
  bool settle = c->before == TK_SETTLE;
  const Token *word = &c->tokens[c->at - 1 - settle];
  if (word->kind != TK_PARALLEL || word == c->tokens) return false;
  Diag *diag = say(c, DIAG_VALUE_BLOCK, word);
  diag_help(diag, STR("what its branches assign is seen behind it: parallel: a = f() …"));
  return true;
}

static bool rule_ternary(Complaint *c) {
  if (c->t->kind == TK_QUESTION) {
    say(c, DIAG_TERNARY, c->t);
    return true;
  }
  bool inside =
      c->t->kind == TK_IF && c->open && token_ends_operand(c->before) && c->open->kind != TK_LB;
  if (inside) say(c, DIAG_CONDITIONAL_EXPRESSION, c->t);
  return inside;
}

static bool rule_lambda(Complaint *c) {
  if (c->t->kind != TK_FN || c->at == 0 || is_declaration(c->before)) return false;
  say(c, DIAG_LAMBDA_FORM, c->t);
  return true;
}

/* ---- operators ---- */

static bool rule_assign_in_condition(Complaint *c) {
  if (c->t->kind != TK_ASSIGN) return false;
  bool condition =
      c->first == TK_IF || c->first == TK_ELIF || c->first == TK_WHILE || c->first == TK_ASSERT;
  for (uint32_t i = 0; i < c->at && !condition; i++) {
    uint16_t kind = c->tokens[i].kind;
    condition = kind == TK_WHEN || kind == TK_WHERE || kind == TK_UNLESS;
  }
  if (!condition) return false;
  if (c->open && c->open->kind == TK_LP && token_ends_operand(c->open[-1].kind)) return false;
  say_fix(c, DIAG_ASSIGN_IN_CONDITION, c->t, "==");
  return true;
}

static bool rule_named_argument(Complaint *c) {
  if (c->t->kind != TK_ASSIGN || !c->open || c->before != TK_ID) return false;
  say_fix(c, DIAG_NAMED_ARGUMENT, c->t, ":");
  return true;
}

static bool rule_chained(Complaint *c) {
  if (c->t->kind != TK_CMP && c->t->kind != TK_IN) return false;
  if (!token_ends_operand(c->before) || !accepts(c, TK_AND)) return false;
  for (uint32_t i = c->at; i-- > 0;) {
    uint16_t kind = c->tokens[i].kind;
    if (kind != TK_CMP && kind != TK_IN) continue;
    Diag *diag = say(c, DIAG_CHAINED_COMPARISON, c->t);
    diag_note(c->diags, diag, c->tokens[i].tok.span, STR("the first comparison is here"));
    return true;
  }
  return false;
}

static bool rule_spread(Complaint *c) {
  if (c->t->kind != TK_ELLIPSIS) return false;
  say(c, DIAG_SPREAD_PLACE, c->t);
  return true;
}

static bool rule_map_comprehension(Complaint *c) {
  if (c->t->kind != TK_FOR || !c->open || c->open->kind == TK_LB) return false;
  say(c, DIAG_MAP_COMPREHENSION, c->t);
  return true;
}

/* ---- blocks ---- */

static bool rule_brace_block(Complaint *c) {
  if (!is_header(c->first) || !accepts(c, TK_COLON)) return false;
  bool word = c->t->kind == TK_ID &&
              is_one_of(text_of(c, c->t), (const char *const[]){"then", "do", "begin", NULL});
  if (c->t->kind != TK_LC && !word) return false;
  Diag *diag = say(c, DIAG_BRACE_BLOCK, c->t);
  diag_label(diag, STR("write `:`, and indent the block"));
  return true;
}

static bool rule_missing_colon(Complaint *c) {
  if (!is_header(c->first) || c->open || !accepts(c, TK_COLON) || c->at == 0) return false;
  bool line_ends = c->t->kind == TK_NEWLINE;
  bool block_follows = !token_ends_operand(c->before) || c->first == TK_ELSE || c->first == TK_TRY;
  if (!line_ends && !block_follows && !is_statement_word(c->t->kind)) return false;
  Diag *diag = DIAG_ADD0(c->diags, DIAG_MISSING_COLON, behind(c->t - 1));
  diag_label(diag, STR("write `:`"));
  diag_fix(diag, STR(":"));
  return true;
}

static bool rule_arm_colon(Complaint *c) {
  bool ends = c->t->kind == TK_NEWLINE || c->t->kind == TK_ARROW;
  if (!ends || !accepts(c, TK_WHEN) || !accepts(c, TK_BAR)) return false;
  DIAG_ADD0(c->diags, DIAG_ARM_COLON, behind(c->t - 1));
  return true;
}

/* ---- forms of particular lines ---- */

static bool form(Complaint *c, DiagId id) {
  say(c, id, c->t);
  return true;
}

static bool form_line(Complaint *c, DiagId id) {
  const Token *last = c->t->kind == TK_NEWLINE ? c->t - 1 : c->t;
  DIAG_ADD(c->diags, id, span_join(c->tokens[0].tok.span, last->tok.span), text_of(c, c->t));
  return true;
}

static bool in_type(const Complaint *c) {
  return accepts(c, TK_NIL) && accepts(c, TK_LC) && accepts(c, TK_FN) && !accepts(c, TK_LB);
}

static bool rule_form(Complaint *c) {
  bool named = c->at >= 2 && c->tokens[1].kind == TK_ID;
  switch (c->first) {
    case TK_FOR:
      if (c->at <= 4 && c->before != TK_IN && !accepts(c, TK_COLON) && !accepts(c, TK_INT)) {
        return form_line(c, DIAG_FOR_FORM);
      }
      return false;
    case TK_LOOP:
      return c->at == 1 ? form(c, DIAG_LOOP_FORM) : false;
    case TK_CATCH:
      return !accepts(c, TK_INT) ? form_line(c, DIAG_CATCH_FORM) : false;
    case TK_IMPORT:
      return form_line(c, DIAG_IMPORT_FORM);
    case TK_SIGNAL:
      return accepts(c, TK_TO) || (c->before == TK_RP && !c->open) ? form_line(c, DIAG_SIGNAL_FORM)
                                                                   : false;
    case TK_CONST:
      return named && c->t->kind == TK_NEWLINE && accepts(c, TK_ASSIGN)
                 ? form_line(c, DIAG_CONST_VALUE)
                 : false;
    default:
      return false;
  }
}

static bool rule_type_form(Complaint *c) {
  bool brackets = c->t->kind == TK_LB || c->t->kind == TK_RB;
  bool list = brackets && (in_type(c) || (c->before == TK_LB && accepts(c, TK_NIL)));
  if (!list) return false;
  Diag *diag = say(c, DIAG_TYPE_FORM, c->t);
  diag_help(diag, STR("a list is list[int], a map is map[int]"));
  return true;
}

/* `x: int` alone */
static bool rule_declare_value(Complaint *c) {
  if (c->first != TK_ID || c->count < 3 || c->tokens[1].kind != TK_COLON || c->open) return false;
  if (c->at <= 2 || c->t->kind != TK_NEWLINE || !accepts(c, TK_ASSIGN)) return false;
  Span span = span_join(c->tokens[0].tok.span, (c->t - 1)->tok.span);
  DIAG_ADD0(c->diags, DIAG_DECLARE_VALUE, span);
  return true;
}

static bool rule_stray_colon(Complaint *c) {
  if (c->t->kind == TK_COLON && c->after == TK_NEWLINE && !c->open)
    return form(c, DIAG_STRAY_COLON);
  bool typed =
      c->t->kind == TK_NEWLINE && c->before == TK_COLON && !c->open && !is_header(c->first);
  if (!typed) return false;
  say(c, DIAG_STRAY_COLON, c->t - 1);
  return true;
}

static bool rule_pattern(Complaint *c) {
  bool pattern =
      c->at > 0 && !c->open && accepts(c, TK_WHEN) && accepts(c, TK_COLON) && accepts(c, TK_BAR);
  bool begins = c->at == 0 && accepts(c, TK_STRING) && !accepts(c, TK_RETURN) && accepts(c, TK_LC);
  if (!(pattern || begins) || c->t->kind == TK_NEWLINE) return false;
  if (begins && !accepts(c, TK_MINUS)) return false;
  DIAG_ADD(c->diags, DIAG_PATTERN_FORM, c->t->tok.span, shown(c, c->t));
  return true;
}

/* ---- the general ones ---- */

static bool rule_missing_value(Complaint *c) {
  if (c->at == 0 || !accepts(c, TK_INT)) return false;
  const Token *before = c->t - 1;
  bool closes = c->t->kind == TK_RP || c->t->kind == TK_RB || c->t->kind == TK_RC ||
                c->t->kind == TK_NEWLINE || c->t->kind == TK_COLON || c->t->kind == TK_COMMA ||
                is_operator(c->t->kind);
  if (!closes) return false;
  Str where = diag_format(c->diags, "after " STR_FMT, STR_ARG(shown(c, before)));
  DIAG_ADD(c->diags, DIAG_MISSING_VALUE, behind(before), where);
  return true;
}

static bool rule_side_by_side(Complaint *c) {
  if (c->at == 0 || !token_ends_operand(c->before) || !is_value(c->t)) return false;
  bool comma = c->open && accepts(c, TK_COMMA);
  if (comma) {
    Diag *diag = say(c, DIAG_MISSING_COMMA, c->t);
    diag_note(c->diags, diag, c->open->tok.span, STR("the bracket opens here"));
    return true;
  }
  if (!accepts(c, TK_PLUS) && !accepts(c, TK_DOT)) return false;
  bool call = c->at == 1 && c->first == TK_ID && !c->open;
  if (!call) return form(c, DIAG_MISSING_OPERATOR);
  Diag *diag = say(c, DIAG_CALL_PARENTHESES, &c->tokens[0]);
  Str name = text_of(c, &c->tokens[0]);
  diag_label(diag, diag_format(c->diags, "write `" STR_FMT "(…)`", STR_ARG(name)));
  return true;
}

typedef struct Expectation {
  uint16_t kind;
  const char *text;
} Expectation;
static const Expectation expectations[] = {{TK_COLON, "`:`"},  {TK_RP, "`)`"},
                                           {TK_RB, "`]`"},     {TK_RC, "`}`"},
                                           {TK_COMMA, "`,`"},  {TK_ASSIGN, "`=`"},
                                           {TK_IN, "`in`"},    {TK_TO, "`to`"},
                                           {TK_LP, "`(`"},     {TK_DOTDOT, "`..`"},
                                           {TK_PER, "`per`"},  {TK_FROM, "`from`"},
                                           {TK_ARROW, "`->`"}, {TK_NEWLINE, "the end of the line"}};

/* Up to three things that could stand here; empty if there are more or none. */
static Str expected(const Complaint *c) {
  const char *found[3];
  size_t count = 0;
  bool goes_on = accepts(c, TK_PLUS); /* a value may always be continued: that is no news */
  if (accepts(c, TK_INT)) return accepts(c, TK_ID) ? STR("a value") : STR("a whole number");
  if (accepts(c, TK_ID)) return STR("a name");
  for (size_t i = 0; i < COUNT_OF(expectations); i++) {
    if (!accepts(c, expectations[i].kind)) continue;
    uint16_t kind = expectations[i].kind;
    if (goes_on && (kind == TK_IN || kind == TK_LP || kind == TK_ARROW)) continue;
    if (count == 3) return (Str){0};
    found[count++] = expectations[i].text;
  }
  if (count == 0) return (Str){0};
  if (count == 1) return str_of(found[0]);
  if (count == 2) return diag_format(c->diags, "%s or %s", found[0], found[1]);
  return diag_format(c->diags, "%s, %s or %s", found[0], found[1], found[2]);
}

static bool rule_expected(Complaint *c) {
  Str wanted = c->at > 0 ? expected(c) : (Str){0};
  if (wanted.size > 0) DIAG_ADD(c->diags, DIAG_EXPECTED, c->t->tok.span, wanted, shown(c, c->t));
  else DIAG_ADD(c->diags, DIAG_UNEXPECTED, c->t->tok.span, shown(c, c->t));
  return true;
}

/* What the lexer left to be told here. */
static bool rule_bad(Complaint *c) {
  if (c->t->kind != TK_BAD) return false;
  bool semicolon = str_equal(text_of(c, c->t), STR(";"));
  return form(c, semicolon ? DIAG_SEMICOLON : DIAG_INCREMENT);
}

static bool rule_for(Complaint *c) { return c->first == TK_FOR && rule_form(c); }

static const Rule rules[] = {rule_reserved_name,
                             rule_for,
                             rule_bad,
                             rule_quoted_name,
                             rule_guard_word,
                             rule_foreign_head,
                             rule_else_if,
                             rule_tool_part,
                             rule_alone,
                             rule_setting,
                             rule_assign_in_condition,
                             rule_named_argument,
                             rule_value_block,
                             rule_parallel_value,
                             rule_ternary,
                             rule_lambda,
                             rule_chained,
                             rule_map_comprehension,
                             rule_brace_block,
                             rule_type_form,
                             rule_form,
                             rule_missing_name,
                             rule_missing_colon,
                             rule_arm_colon,
                             rule_spread,
                             rule_declare_value,
                             rule_stray_colon,
                             rule_pattern,
                             rule_missing_value,
                             rule_side_by_side,
                             rule_expected};

static const Token *innermost(const Token *tokens, uint32_t at) {
  uint32_t depth = 0;
  while (at-- > 0) {
    uint16_t kind = tokens[at].kind;
    if (kind == TK_RP || kind == TK_RB || kind == TK_RC || kind == TK_INTERP_END) depth++;
    bool opens = kind == TK_LP || kind == TK_LB || kind == TK_QLB || kind == TK_LC ||
                 kind == TK_INTERP_BEGIN;
    if (opens && depth-- == 0) return &tokens[at];
  }
  return NULL;
}

void complain(Build *b, const Parser *parser, const Line *line, uint32_t at) {
  const Token *tokens = line->tokens;
  Complaint c = {.b = b,
                 .diags = b->diags,
                 .parser = parser,
                 .tokens = tokens,
                 .t = &tokens[at],
                 .at = at,
                 .count = line->count,
                 .first = tokens[0].kind,
                 .before = at > 0 ? tokens[at - 1].kind : 0,
                 .after = at + 1 < line->count ? tokens[at + 1].kind : 0,
                 .open = innermost(tokens, at)};
  for (size_t i = 0; i < COUNT_OF(rules); i++) {
    if (rules[i](&c)) return;
  }
}
