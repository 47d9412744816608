/* The word pass: which names of a line are words of the language. A word that is not
** reserved is one only where lang/keywords.def says it may begin or continue
** something, judged by the token before and the token behind it. Everywhere else it
** is a name like any other. */
#include "compiler/front/token.h"

const WordInfo word_info[] = {
    {NULL, 0, 0, 0},
#define WORD(token, text, rule, meaning) {text, TK_##token, RULE_##rule, 0},
#define FOREIGN(name, text, token, diag) {text, TK_##token, RULE_FOREIGN, DIAG_##diag},
#include "lang/keywords.def"
#undef WORD
#undef FOREIGN
    {NULL, 0, 0, 0},
};

bool token_ends_operand(uint16_t kind) {
  switch (kind) {
    case TK_ID:
    case TK_INT:
    case TK_FLOAT:
    case TK_DECIMAL:
    case TK_DURATION:
    case TK_STRING:
    case TK_INTERP_END:
    case TK_RP:
    case TK_RB:
    case TK_RC:
    case TK_TRUE:
    case TK_FALSE:
    case TK_NIL:
    case TK_QUESTION:
      return true;
    default:
      return false;
  }
}

/* A word not yet marked: could it begin an operand, if it turned out to be a name? */
static bool word_begins_operand(const Name *name) {
  if (word_info[name->word].rule != RULE_RESERVED || name->word == WORD_NONE) return true;
  switch (name->word) {
    case WORD_TRUE:
    case WORD_FALSE:
    case WORD_NIL:
    case WORD_NOT:
    case WORD_TRY:
    case WORD_AWAIT:
      return true;
    default:
      return false;
  }
}

bool token_begins_operand(const Token *token) {
  switch (token->kind) {
    case TK_ID:
      return word_begins_operand(token->tok.name);
    case TK_INT:
    case TK_FLOAT:
    case TK_DECIMAL:
    case TK_DURATION:
    case TK_STRING:
    case TK_INTERP_BEGIN:
    case TK_LC:
      return true;
    case TK_LP:
    case TK_LB:
      return token->space;
    case TK_MINUS:
      return token->space && !token[1].space;
    default:
      return false;
  }
}

/* Is this token a name, as far as can be told before it is marked itself? */
static bool is_name(const Token *token) {
  if (token->kind != TK_ID) return false;
  return token->tok.name->word == WORD_NONE ||
         word_info[token->tok.name->word].rule != RULE_RESERVED;
}

/* Behind the words of declarations a reserved word is a wrong name, not an operator. */
static bool is_declared_name(const Token *token) {
  if (is_name(token)) return true;
  if (token->kind != TK_ID) return false;
  switch (token->tok.name->word) {
    case WORD_IS:
    case WORD_IN:
    case WORD_AND:
    case WORD_OR:
    case WORD_NOT:
    case WORD_IF:
    case WORD_ELSE:
    case WORD_FOR:
      return false;
    default:
      return true;
  }
}

/* The pass over one line. */
typedef struct Marking {
  uint16_t before; /* kind of the token before, marked */
  bool head;       /* a statement may begin here */
  BlockKind block;
  uint32_t depth; /* open brackets */
  uint16_t first; /* the line's head, marked; 0 while it is not known */
  bool sends;     /* `dispatch` was seen: `with` may follow */
  bool queues;    /* `enqueue` was seen: options may follow */
} Marking;

static bool is_word(const Token *token, Word word) {
  return token->kind == TK_ID && token->tok.name->word == word;
}

/* `race: int = 3` declares a variable of that name; variables are not called like types, so it cannot be a block that
** assigns. colon: the token behind the word. */
static bool declares_variable(const Token *colon) {
  static const char *const types[] = {"int",  "float", "decimal", "string",   "bool", "bytes",
                                      "list", "map",   "time",    "duration", "any"};
  if (colon->kind != TK_COLON || !is_name(&colon[1])) return false;
  Str name = colon[1].tok.name->text;
  bool type = name.at[0] >= 'A' && name.at[0] <= 'Z';
  for (size_t i = 0; i < COUNT_OF(types); i++) type = type || str_equal(name, str_of(types[i]));
  uint16_t next = colon[2].kind;
  return type && (next == TK_ASSIGN || next == TK_QUESTION || next == TK_LB);
}

/* `loop:` `loop max 3:` `parallel settle:` `xs = parallel for …` `x = race:` */
static bool is_block_word(const Marking *m, Word word, const Token *next) {
  bool value = m->before == TK_ASSIGN || m->before == TK_RETURN;
  bool here = m->head || (value && m->depth == 0 && (word == WORD_PARALLEL || word == WORD_RACE));
  if (!here || declares_variable(next)) return false;
  if (next->kind == TK_COLON) return true;
  if (word == WORD_LOOP) return is_word(next, WORD_MAX) || next->kind == TK_INT;
  return word == WORD_PARALLEL && (is_word(next, WORD_SETTLE) || is_word(next, WORD_FOR));
}

static bool is_after(const Marking *m, Word word, const Token *next) {
  if (word == WORD_MAX) return m->before == TK_LOOP && token_begins_operand(next);
  return word == WORD_SETTLE && m->before == TK_PARALLEL;
}

/* Words that mean something in lines of one kind only. */
static bool is_line_word(const Marking *m, Word word, const Token *next) {
  switch (word) {
    case WORD_WITH:
      return token_ends_operand(m->before) && (m->sends || m->first == TK_TEST) && is_name(next);
    case WORD_MISSED:
      return token_ends_operand(m->before) && m->first == TK_EVERY && is_name(next);
    case WORD_BY:
      return (m->before == TK_SETTING || token_ends_operand(m->before)) && m->depth == 0 &&
             (m->first == TK_SETTING || m->first == TK_IDENTIFY);
    case WORD_NOTHING:
      return m->before == TK_THEN;
    case WORD_CALL:
      return m->first == TK_STUB && m->before != TK_STUB && !token_ends_operand(m->before) && is_name(next);
    default:
      return false;
  }
}

/* `null` where a value stands; a program may still have a variable of that name to assign to. */
static bool is_foreign_value(const Marking *m, uint16_t next) {
  bool named = next == TK_ASSIGN || next == TK_OPASSIGN || next == TK_LP || next == TK_ARROW ||
               next == TK_DOT || (next == TK_COLON && m->depth > 0);
  return !named && !token_ends_operand(m->before) && m->before != TK_FOR && m->before != TK_FN;
}

/* `def f(x):`, `except e:`, `throw "x"`: never right as they stand, so they can be taken as meant.
 */
static bool is_foreign_head(const Marking *m, uint16_t token, const Token *next) {
  if (!m->head || m->before != 0) return false;
  if (token == TK_FN) return is_name(next);
  return token_begins_operand(next) || (token == TK_CATCH && next->kind == TK_COLON);
}

static bool is_foreign(const Marking *m, Word word, const Token *next) {
  uint16_t token = word_info[word].token;
  bool value = token == TK_NIL || token == TK_TRUE || token == TK_FALSE;
  return value ? is_foreign_value(m, next->kind) : is_foreign_head(m, token, next);
}

static bool applies(const Marking *m, Word word, WordRule rule, const Token *next) {
  switch (rule) {
    case RULE_RESERVED:
      return true;
    case RULE_NAMED:
      if (word == WORD_SIGNAL && m->before == TK_AWAIT) return is_name(next);
      if (word == WORD_BUDGET && m->head && next->kind == TK_LC) return true;
      return m->head && is_declared_name(next);
    case RULE_FN:
      return m->head && is_word(next, WORD_FN);
    case RULE_QUOTED:
      return m->head && next->kind == TK_STRING;
    case RULE_BLOCK:
      return is_block_word(m, word, next);
    case RULE_PART: /* known by their place in a declaration's body */
      return word == WORD_STATE && m->before == TK_THEN;
    case RULE_LINE:
      return is_line_word(m, word, next);
    case RULE_OPERAND:
      if (m->before == TK_THEN) return word == WORD_REJECT || word == WORD_REPLY;
      return m->head && token_begins_operand(next);
    case RULE_CALLED:
      return m->head && next->kind == TK_LP;
    case RULE_PREFIX:
      return is_name(next) && !token_ends_operand(m->before);
    case RULE_AWAITED:
      return m->before == TK_AWAIT && token_begins_operand(next);
    case RULE_ASKING:
      return !token_ends_operand(m->before) && m->before != TK_SIGNAL && m->before != TK_STUB && m->before != TK_FOR &&
             token_begins_operand(next);
    case RULE_RETURNED:
      return m->before == TK_RETURN && token_begins_operand(next);
    case RULE_AFTER:
      return is_after(m, word, next);
    case RULE_INFIX: /* `limit NAME: {…}` declares, too */
      if (word == WORD_LIMIT && m->head && m->block == BLOCK_PLAIN)
        return is_name(next) && next[1].kind == TK_COLON && next[2].kind == TK_LC;
      return token_ends_operand(m->before);
    case RULE_FOREIGN:
      return is_foreign(m, word, next);
  }
  return false;
}

/* `{in: 1}` and `f(from: x)`: a key is a name, whatever it spells. */
static bool is_key(const Marking *m, const Token *next) {
  bool opened = m->before == TK_LC || m->before == TK_LP || m->before == TK_COMMA;
  return opened && m->depth > 0 && next->kind == TK_COLON;
}

static uint16_t marked(const Marking *m, const Token *token) {
  Word word = (Word)token->tok.name->word;
  const WordInfo *info = &word_info[word];
  const Token *next = token + 1;
  if (m->before == TK_DOT || m->before == TK_QDOT) return TK_ID;
  bool literal = word == WORD_TRUE || word == WORD_FALSE || word == WORD_NIL;
  if (info->rule == RULE_RESERVED && !literal && is_key(m, next)) return TK_ID;
  return applies(m, word, info->rule, next) ? info->token : TK_ID;
}

static bool is_part(BlockKind block, Word word) {
  switch (word) {
    case WORD_PERFORM:
      return block == BLOCK_TOOL || block == BLOCK_WORKER;
    case WORD_CHECK:
      return block == BLOCK_TOOL;
    case WORD_STATE:
    case WORD_INVARIANT:
    case WORD_DECIDE:
    case WORD_EVOLVE:
    case WORD_VIEW:
      return block == BLOCK_AGENT;
    case WORD_IDENTIFY:
    case WORD_BEFORE:
      return block == BLOCK_ROUTER;
    case WORD_ANSWER:
      return block == BLOCK_AI_AGENT;
    case WORD_ON:
      return block == BLOCK_HANDLER;
    case WORD_GIVEN:
    case WORD_WHEN:
    case WORD_THEN:
      return block == BLOCK_TEST;
    default:
      return false;
  }
}

/* The head of a line in a declaration's body: a part, or a setting whose colon may be left out. */
static uint16_t body_head(BlockKind block, const Token *token) {
  if (token->kind != TK_ID) return token->kind;
  Word word = (Word)token->tok.name->word;
  if (block == BLOCK_ROUTER && word == WORD_DISPATCH) return TK_ROUTE;
  if (is_part(block, word)) return word_info[word].token;
  return is_name(token) ? TK_SETTING : word_info[word].token;
}

static bool has_settings(BlockKind block) {
  switch (block) {
    case BLOCK_TOOL:
    case BLOCK_AGENT:
    case BLOCK_ROUTER:
    case BLOCK_HANDLER:
    case BLOCK_WORKER:
    case BLOCK_QUEUE:
    case BLOCK_MODEL:
    case BLOCK_AI_AGENT:
      return true;
    case BLOCK_PLAIN:
    case BLOCK_FIELDS:
    case BLOCK_ARMS:
    case BLOCK_TEST:
      break;
  }
  return false;
}

/* `balance: int = 0` in an agent's state: is there a `=` behind this colon, before the next field? */
static bool is_typed(const Token *colon) {
  uint32_t depth = 0;
  for (const Token *t = colon + 1; t->kind != TK_NEWLINE; t++) {
    bool opens = t->kind == TK_LP || t->kind == TK_LB || t->kind == TK_LC || t->kind == TK_QLB;
    bool closes = t->kind == TK_RP || t->kind == TK_RB || t->kind == TK_RC;
    if (depth == 0 && (closes || t->kind == TK_COMMA)) return false;
    if (depth == 0 && t->kind == TK_ASSIGN) return true;
    if (opens) depth++;
    if (closes) depth--;
  }
  return false;
}

/* Lines in which signs and names may mean something of their own. */
static inline bool special(const Marking *m) {
  return UNLIKELY(m->queues || m->first == TK_STATE || m->first == TK_STUB);
}

/* `-> [` and `[call …`: what a stub says, one after the other. */
static bool lists_stubs(const Marking *m, const Token *bracket) {
  if (m->before == TK_ARROW && m->depth == 0) return true;
  return bracket[1].kind == TK_ID && bracket[1].tok.name->word == WORD_CALL;
}

/* The last token of a line is what ends it: only others may look at the next one. */
static uint16_t in_line(const Marking *m, const Token *token) {
  if (m->first == TK_STATE && m->depth == 1 && token->kind == TK_COLON && m->before == TK_ID)
    return is_typed(token) ? TK_TYPED : TK_COLON;
  if (m->first == TK_STUB && token->kind == TK_LB && lists_stubs(m, token)) return TK_STUBS;
  bool follows = token_ends_operand(m->before) || m->before == TK_COMMA;
  if (m->queues && token->kind == TK_ID && m->depth == 0 && follows && token[1].kind == TK_COLON) return TK_OPTION;
  return token->kind;
}

/* `is`, `is not` and `not in` are comparisons like the signs. Returns how many tokens to leave out.
 */
static uint32_t comparison(Token *token, bool after_operand) {
  if (token->kind == TK_IS) {
    bool negated = is_word(token + 1, WORD_NOT);
    token->tok.op = negated ? BIN_NE : BIN_EQ;
    token->kind = TK_CMP;
    return negated;
  }
  if (token->kind != TK_NOT || !after_operand || !is_word(token + 1, WORD_IN)) return 0;
  token->tok.op = BIN_NOT_IN;
  token->kind = TK_CMP;
  return 1;
}

static Str word_text(uint16_t token) {
  uint16_t word = WORD_NONE + 1;
  while (word_info[word].token != token) word++;
  return str_of(word_info[word].text);
}

static void tell_foreign(Lexer *lexer, const Token *token) {
  Name *name = token->tok.name;
  if (word_info[name->word].rule != RULE_FOREIGN || token->kind == TK_ID) return;
  Str fix = word_text(token->kind);
  Diag *diag =
      LEX_ERROR(lexer, (DiagId)word_info[name->word].diag, token->tok.span, name->text, fix);
  diag_label(diag, diag_format(lexer->diags, "write `" STR_FMT "`", STR_ARG(fix)));
  diag_fix(diag, fix);
}

static void step(Marking *m, const Token *token) {
  uint16_t kind = token->kind;
  if (kind == TK_LP || kind == TK_LB || kind == TK_LC || kind == TK_QLB || kind == TK_STUBS) m->depth++;
  if ((kind == TK_RP || kind == TK_RB || kind == TK_RC) && m->depth > 0) m->depth--;
  if (m->first == 0) m->first = kind;
  if (kind == TK_DISPATCH) m->sends = true;
  if (kind == TK_ENQUEUE) m->queues = true;
  bool listed = m->first == TK_ROUTE || m->first == TK_BEFORE || m->first == TK_GIVEN || m->block == BLOCK_FIELDS;
  m->head = kind == TK_COLON && m->depth == 0 && !listed;
  m->before = kind;
}

void words_mark(Lexer *lexer, Line *line, BlockKind block) {
  Token *tokens = line->tokens;
  Marking m = {.block = block, .head = block == BLOCK_PLAIN || block == BLOCK_TEST};
  uint32_t to = 0, at = 0;
  Word word = tokens[0].kind == TK_ID ? (Word)tokens[0].tok.name->word : WORD_NONE;
  if (has_settings(block) || is_part(block, word)) {
    tokens[0].kind = body_head(block, &tokens[0]);
    bool setting = tokens[0].kind == TK_SETTING || tokens[0].kind == TK_ANSWER;
    bool colon = setting && tokens[1].kind == TK_COLON;
    step(&m, &tokens[0]);
    to = 1;
    at = colon ? 2 : 1;
  }
  for (; at < line->count; at++, to++) {
    Token *token = &tokens[at];
    if (m.first == TK_HANDLER && m.head && to == 3 && token->kind == TK_ID) { /* handler A: on B(e): … */
      token->kind = body_head(BLOCK_HANDLER, token);
    } else if ((token->kind = special(&m) ? in_line(&m, token) : token->kind) == TK_ID &&
               token->tok.name->word != WORD_NONE) {
      token->kind = marked(&m, token);
      tell_foreign(lexer, token);
      at += comparison(token, token_ends_operand(m.before));
    }
    if (to != at) tokens[to] = *token;
    step(&m, token);
    if (token->kind == TK_TYPE && to == 0) m.block = BLOCK_FIELDS; /* type P: race: string */
  }
  line->count = to;
  line->reported = lexer->reported;
}
