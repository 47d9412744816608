/* Tokens, and how source becomes lines of them.
**
**   lexer.re   bytes to tokens, one at a time
**   layout.c   tokens to logical lines: indentation, brackets, continuation lines, doc comments
**   words.c    the word pass over one logical line: which words are keywords here
**
** A line is at hand as a whole before the parser sees its first token, so the word
** pass and the explanations of errors may look around in it. */
#ifndef Z8_TOKEN_H
#define Z8_TOKEN_H

#include "compiler/diag.h"
#include "compiler/front/ast.h"
#include "compiler/front/parse.h"
#include "grammar.h"
#include "lang/tables.h"

/* What the parser's stack holds of a token. */
typedef struct Tok {
  Span span;
  union {
    Name *name;      /* ID and every word */
    int64_t integer; /* INT, DURATION */
    double number;   /* FLOAT */
    uint64_t op;     /* operators: a BinaryOp; OPASSIGN: the same + 1 */
    struct {
      uint8_t open, close; /* strings: bytes of the delimiters before and after the text */
      bool escaped, block; /* has a backslash; is a """ block */
    } text;
  };
} Tok;

typedef struct Token {
  Tok tok;
  uint16_t kind; /* TK_… of grammar.h; 0 at the end of the file */
  bool space;    /* white space in front */
} Token;

/* ---- words ---- */
typedef enum {
  WORD_NONE,
#define WORD(token, ...) WORD_##token,
#define FOREIGN(name, ...) WORD_FOREIGN_##name,
#include "lang/keywords.def"
#undef WORD
#undef FOREIGN
} Word;
typedef enum {
  RULE_RESERVED,
  RULE_NAMED,
  RULE_FN,
  RULE_QUOTED,
  RULE_BLOCK,
  RULE_PART,
  RULE_LINE,
  RULE_OPERAND,
  RULE_CALLED,
  RULE_PREFIX,
  RULE_AWAITED,
  RULE_RETURNED,
  RULE_ASKING,
  RULE_AFTER,
  RULE_INFIX,
  RULE_FOREIGN
} WordRule;
typedef struct WordInfo {
  const char *text;
  uint16_t token;
  uint8_t rule;
  uint16_t diag; /* FOREIGN: DiagId */
} WordInfo;
extern const WordInfo word_info[]; /* by Word */

/* What the lines of a block are: decides which heads are words. */
typedef enum {
  BLOCK_PLAIN,
  BLOCK_TOOL,
  BLOCK_FIELDS,
  BLOCK_ARMS,
  BLOCK_AGENT,
  BLOCK_ROUTER,
  BLOCK_HANDLER,
  BLOCK_WORKER,
  BLOCK_QUEUE,
  BLOCK_MODEL,
  BLOCK_AI_AGENT,
  BLOCK_TEST
} BlockKind;

/* ---- lexer ---- */
typedef struct Bracket {
  char kind;  /* ( [ { or $ for an interpolation */
  bool block; /* $: of a """ block */
  uint32_t offset;
} Bracket;

typedef struct Lexer {
  const char *text, *at, *end; /* *end is a zero byte */
  uint32_t base;               /* Span.at of text */
  Names *names;
  Diags *diags;
  uint32_t depth; /* brackets open */
  Bracket brackets[200];
  uint16_t before; /* kind of the token before */
  bool reported;   /* an error was told since the line began */
  bool no_comment_end;  /* no closing sign of a foreign comment lies ahead */
} Lexer;

/* Kinds the lexer alone uses. */
enum { LEX_END_OF_LINE = 1000 };

/* The next token of the line; LEX_END_OF_LINE with the cursor after the line break, 0 at the end.
 */
uint16_t lex_token(Lexer *lexer, Token *token);
Span lex_span(const Lexer *lexer, const char *from, const char *to);
/* An error of the lexer or layout: the parser keeps quiet about the rest of the line. */
Diag *lex_error(Lexer *lexer, DiagId id, Span span, const Str *args, size_t count);
#define LEX_ERROR(lexer, id, span, ...)                       \
  lex_error(lexer, id, span, (const Str[]){__VA_ARGS__, {0}}, \
            sizeof((const Str[]){__VA_ARGS__}) / sizeof(Str))
#define LEX_ERROR0(lexer, id, span) lex_error(lexer, id, span, NULL, 0)

/* literal.c: what a number's spelling means. Reports what is wrong and still gives a token. */
uint16_t literal_number(Lexer *lexer, const char *from, Token *token);

/* ---- layout ---- */
typedef struct Line {
  Token *tokens; /* the last one is NEWLINE */
  uint32_t count, cap;
  uint32_t dedents; /* blocks that ended before it */
  bool indented;    /* deeper than the line before */
  bool reported;    /* lexer or layout told an error in it */
  bool last;        /* the file ended: no tokens */
  Str doc;          /* `##` comments right above, raw; at == NULL if none */
} Line;

typedef struct Layout {
  Lexer lexer;
  uint32_t depth;
  uint32_t indents[201]; /* columns of the open blocks; [0] is 0 */
  uint32_t token_count;
  Line line;
} Layout;

void layout_init(Layout *layout, Names *names, Diags *diags, Str text, uint32_t base);
void layout_deinit(Layout *layout);
/* Reads the next logical line into layout->line. */
void layout_next(Layout *layout);

/* ---- words ---- */
/* Turns names into words where they are words. Merges `is not` and `not in`. */
void words_mark(Lexer *lexer, Line *line, BlockKind block);
/* May a token of this kind end an operand, may it begin one? */
bool token_ends_operand(uint16_t kind);
bool token_begins_operand(const Token *token);

#endif
