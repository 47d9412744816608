/* match: patterns against the type of the value, what they bind, which arms can
** be reached, and whether the arms cover everything where that can be proved. The
** value's type is split into cells (members of a union, true and false); an arm
** without a guard that takes all of a cell covers it. */
#include "compiler/check/checker.h"

typedef struct Cell {
  Type *type;
  Expr *literal; /* true, false: a cell of bool */
  bool covered;
  bool touched; /* partly taken, in a way that may add up to the whole */
} Cell;

typedef struct Seen { /* a literal an earlier arm without guard took */
  Expr *value;
  Span span;
} Seen;

typedef struct Match {
  Cell *cells;
  uint32_t cell_count;
  Seen *seen; /* hash */
  uint32_t seen_size;
  Variable *subject;
  bool refutable; /* of the pattern being read: it may fail on a value of its type */
  bool guarded;
  uint32_t
      *first; /* in a further alternative of an OR: the scope where the first one's names begin */
} Match;

/* ---- cells ---- */

static void cell_add(Checker *c, Match *m, Type *type) {
  if (type->kind != TYPE_BOOL) {
    m->cells[m->cell_count++] = (Cell){.type = type, .touched = type->kind == TYPE_ANY};
    return;
  }
  for (int b = 0; b < 2; b++) {
    Expr *literal = ARENA_NEW(c->arena, Expr);
    *literal = (Expr){.kind = EXPR_BOOL, .boolean = b == 0};
    m->cells[m->cell_count++] = (Cell){.type = type, .literal = literal};
  }
}

static void cells_make(Checker *c, Match *m, Type *type) {
  uint32_t count = type->kind == TYPE_UNION ? type->member_count : 1;
  m->cells = ARENA_ARRAY(c->arena, Cell, count * 2);
  for (uint32_t i = 0; i < count; i++)
    cell_add(c, m, type->kind == TYPE_UNION ? type->members[i] : type);
}

static bool all_covered(const Match *m) {
  for (uint32_t i = 0; i < m->cell_count; i++) {
    if (!m->cells[i].covered) return false;
  }
  return true;
}

/* The type of what no arm has taken yet. */
static Type *cells_left(Checker *c, const Match *m) {
  Type *left = NULL;
  for (uint32_t i = 0; i < m->cell_count; i++) {
    if (!m->cells[i].covered) left = type_join(c->types, left, m->cells[i].type);
  }
  return left ? left : c->t_any;
}

static void cell_take(const Match *m, Cell *cell, bool whole) {
  if (whole && !m->guarded) cell->covered = true;
  else cell->touched = true;
}

static void take_all(Match *m) {
  for (uint32_t i = 0; i < m->cell_count; i++) cell_take(m, &m->cells[i], true);
}

static TypeKind literal_type_kind(const Expr *e) {
  switch (e->kind) {
    case EXPR_NIL:
      return TYPE_NIL;
    case EXPR_BOOL:
      return TYPE_BOOL;
    case EXPR_INT:
      return TYPE_INT;
    case EXPR_FLOAT:
      return TYPE_FLOAT;
    case EXPR_DECIMAL:
      return TYPE_DECIMAL;
    case EXPR_STRING:
      return TYPE_STRING;
    case EXPR_DURATION:
      return TYPE_DURATION;
    default:
      return TYPE_ANY;
  }
}

static void take_literal(Match *m, const Expr *value) {
  for (uint32_t i = 0; i < m->cell_count; i++) {
    Cell *cell = &m->cells[i];
    if (cell->literal ? literal_equal(cell->literal, value)
        : cell->type->kind == TYPE_LITERAL
            ? literal_equal(cell->type->literal, value)
            : cell->type->kind == TYPE_NIL && value->kind == EXPR_NIL) {
      cell_take(m, cell, true);
    } else if (m->guarded && (cell->type->kind == literal_type_kind(value))) cell->touched = true;
  }
}

static void take_kind(Match *m, const Type *type, bool whole) {
  for (uint32_t i = 0; i < m->cell_count; i++) {
    Fit fit = type_fit(m->cells[i].type, type);
    if (fit == FIT_YES) cell_take(m, &m->cells[i], whole);
    else if (fit == FIT_MAYBE) m->cells[i].touched = true;
  }
}

/* ---- literals seen before ---- */

static uint32_t literal_hash(const Expr *e) {
  uint32_t h = 2166136261u ^ (uint32_t)e->kind;
  if (e->kind == EXPR_STRING || e->kind == EXPR_DECIMAL) {
    for (size_t i = 0; i < e->text.size; i++) h = (h ^ (uint8_t)e->text.at[i]) * 16777619u;
  } else if (e->kind == EXPR_BOOL) h += e->boolean;
  else if (e->kind == EXPR_INT || e->kind == EXPR_DURATION)
    h = (h ^ (uint32_t)e->integer) * 16777619u;
  return h ^ (h >> 14);
}

static void seen_check(Checker *c, Match *m, Expr *value, Span span) {
  if (!m->seen) return;
  uint32_t at = literal_hash(value) & (m->seen_size - 1);
  for (; m->seen[at].value; at = (at + 1) & (m->seen_size - 1)) {
    if (!literal_equal(m->seen[at].value, value)) continue;
    Diag *diag = REPORT(c, PATTERN_DUPLICATE, span, source_text(c, span));
    report_note(c, diag, m->seen[at].span, "this arm takes it already");
    return;
  }
  if (!m->guarded) m->seen[at] = (Seen){value, span};
}

static uint32_t pattern_values(const Pattern *p) {
  uint32_t count = p->kind == PATTERN_VALUE;
  for (const Pattern *item = p->kind == PATTERN_OR ? p->items : NULL; item; item = item->next)
    count += pattern_values(item);
  return count;
}

static void seen_make(Checker *c, Match *m, const Arm *arms) {
  uint32_t count = 0;
  for (; arms; arms = arms->next) count += arms->pattern ? pattern_values(arms->pattern) : 0;
  if (count < 2) return;
  for (m->seen_size = 4; m->seen_size < count * 2;) m->seen_size *= 2;
  m->seen = ARENA_ARRAY(c->arena, Seen, m->seen_size);
}

/* ---- patterns ---- */

static void pattern_check(Checker *c, Match *m, Pattern *p, Type *type, uint32_t mark);

static Variable *bound_before(Checker *c, const Name *name, uint32_t mark) {
  for (uint32_t i = mark; i < c->binding_count; i++) {
    if (c->bindings[i] == name) return (Variable *)name->binding;
  }
  return NULL;
}

/* In the second and later alternatives of an OR a name is the one bound by the first. */
static Symbol *pattern_bind(Checker *c, Match *m, Name *name, Span span, Type *type,
                            uint32_t mark) {
  Variable *v = bound_before(c, name, m->first ? *m->first : mark);
  if (v && !m->first) {
    Diag *diag = REPORT(c, DUPLICATE_BINDING, span, name->text);
    report_note(c, diag, v->symbol.span, "it is bound here already");
    return &v->symbol;
  }
  if (v) {
    flow_set(c, v, type_join(c->types, v->flow, type));
    return &v->symbol;
  }
  v = variable_declare(c, name, span, true);
  v->symbol.writes = 1;
  flow_set(c, v, type);
  return &v->symbol;
}

/* A pattern that takes none of the values the type has. */
static void misfit(Checker *c, const Pattern *p, Type *pattern, Type *type) {
  if (type_fit(pattern, type) != FIT_NO || type_fit(type, pattern) != FIT_NO) return;
  REPORT(c, PATTERN_TYPE, p->span, type_phrase(c, pattern), type_phrase(c, type));
}

static Expr *pattern_value(Checker *c, Pattern *p) {
  Expr *e = p->value;
  if (e->kind == EXPR_BAD) return NULL;
  if (!e->type) expr_infer(c, e, NULL);
  if (e->kind != EXPR_NAME && e->kind != EXPR_MEMBER) {
    Expr *value = constant_fold(c, e, DIAG_PATTERN_VALUE);
    if (value) p->value = value;
    return value;
  }
  if (!e->symbol) return NULL;
  if (e->symbol->kind != SYMBOL_CONST) {
    REPORT0(c, PATTERN_VALUE, e->span);
    return NULL;
  }
  p->symbol = e->symbol;
  return constant_of(c, e->symbol);
}

static Type *value_pattern_type(Checker *c, Expr *value) {
  TypeKind kind = literal_type_kind(value);
  bool exact = kind == TYPE_STRING || kind == TYPE_INT || kind == TYPE_BOOL;
  return exact ? type_literal(c->types, value) : type_simple(c->types, kind);
}

static void value_check(Checker *c, Match *m, Pattern *p, Type *type, bool top) {
  Expr *value = pattern_value(c, p);
  m->refutable = true;
  if (!value) return;
  Type *pattern = value_pattern_type(c, value);
  bool numeric =
      value->kind == EXPR_INT || value->kind == EXPR_FLOAT || value->kind == EXPR_DECIMAL;
  Type *number = type_union(c->types, (Type *[]){c->t_int, c->t_float, c->t_decimal}, 3);
  if (!numeric || type_fit(type, number) == FIT_NO) {
    if (pattern->kind == TYPE_LITERAL && value->kind == EXPR_STRING &&
        type_fit(pattern, type) == FIT_NO) {
      fit_require(c, p->value, pattern, type, DIAG_PATTERN_TYPE, (Str){0}, (Span){0}, NULL);
    } else misfit(c, p, pattern, type);
  }
  if (top) {
    seen_check(c, m, value, p->span);
    take_literal(m, value);
  }
}

static void report_pattern_fields(Checker *c, const Pattern *p, const Pattern *item,
                                  const Decl *decl) {
  Buf near = {0};
  for (const Field *f = decl->fields; f; f = f->next) buf_put(&near, &f->name->text, sizeof(Str));
  Diag *diag = REPORT(c, PATTERN_FIELD, item->span, decl->name->text,
                      item->field ? item->field->text : STR("that many fields"));
  if (item->field)
    report_nearest(c, diag, item->field->text, (const Str *)(void *)near.at,
                   near.size / sizeof(Str));
  report_note(c, diag, decl->name_span, "`" STR_FMT "` is declared here",
              STR_ARG(decl->name->text));
  (void)p;
  buf_deinit(&near);
}

static Field *item_field(const Decl *decl, const Pattern *item, uint32_t position) {
  Field *f = decl->fields;
  if (!item->field) {
    while (f && position--) f = f->next;
    return f;
  }
  while (f && f->name != item->field) f = f->next;
  return f;
}

static Symbol *record_symbol(Checker *c, const Pattern *p) {
  Symbol *symbol = scope_find(c, p->name);
  if (symbol && symbol->kind == SYMBOL_TYPE) {
    Type *type = alias_type(c, symbol);
    if (type->kind == TYPE_RECORD && type->decl->symbol) return type->decl->symbol;
  }
  if (symbol) {
    Diag *diag = REPORT(c, PATTERN_RECORD, p->span, p->name->text);
    if (symbol->span.size)
      report_note(c, diag, symbol->span, "`" STR_FMT "` is declared here", STR_ARG(p->name->text));
  } else scope_resolve(c, p->name, p->span);
  return NULL;
}

static void record_check(Checker *c, Match *m, Pattern *p, Type *type, uint32_t mark, bool top) {
  Symbol *symbol = record_symbol(c, p);
  const Decl *decl = symbol ? symbol->decl : NULL;
  uint32_t position = 0;
  bool refutable = m->refutable;
  m->refutable = false;
  p->symbol = symbol;
  for (Pattern *item = p->items; item; item = item->next, position++) {
    Field *field = decl ? item_field(decl, item, position) : NULL;
    if (decl && !field) {
      report_pattern_fields(c, p, item, decl);
      m->refutable = true;
    }
    pattern_check(c, m, item, field && field->symbol ? field->symbol->type : c->t_any, mark);
  }
  bool whole = !m->refutable;
  m->refutable = refutable || !(type->kind == TYPE_RECORD && decl && type->decl == decl && whole);
  if (!symbol) return;
  Type *record = alias_type(c, symbol);
  misfit(c, p, record, type);
  if (!top) return;
  take_kind(m, record, whole);
  if (m->subject) flow_narrow(c, m->subject, record);
}

static void map_check(Checker *c, Match *m, Pattern *p, Type *type, uint32_t mark, bool top) {
  m->refutable = true;
  bool fits =
      type_fit(type, c->t_map) != FIT_NO || type->kind == TYPE_RECORD || type->kind == TYPE_ERROR;
  for (uint32_t i = 0; i < type->member_count; i++)
    fits = fits || type->members[i]->kind == TYPE_RECORD;
  if (!fits) REPORT(c, PATTERN_TYPE, p->span, STR("a map"), type_phrase(c, type));
  for (Pattern *item = p->items; item; item = item->next) {
    Type *found =
        item->field && type->kind != TYPE_UNION ? field_type(c, type, item->field, NULL) : NULL;
    if (item->kind == PATTERN_REST) found = c->t_map;
    pattern_check(c, m, item, found ? found : c->t_any, mark);
  }
  for (uint32_t i = 0; top && i < m->cell_count; i++) m->cells[i].touched = true;
}

static void list_check(Checker *c, Match *m, Pattern *p, Type *type, uint32_t mark, bool top) {
  Type *elem = type->kind == TYPE_LIST ? type->elem : c->t_any;
  bool whole = p->items && p->items->kind == PATTERN_REST && !p->items->next;
  misfit(c, p, c->t_list, type);
  for (Pattern *item = p->items; item; item = item->next) {
    pattern_check(c, m, item, item->kind == PATTERN_REST ? type_list(c->types, elem) : elem, mark);
  }
  m->refutable = m->refutable || !whole;
  if (top) take_kind(m, c->t_list, whole);
}

static uint32_t bind_count(const Pattern *p) {
  uint32_t count =
      (p->kind == PATTERN_BIND || (p->kind == PATTERN_REST && p->name)) && !name_is_wild(p->name);
  for (const Pattern *item = p->items; item; item = item->next) {
    count += bind_count(item);
    if (p->kind == PATTERN_OR) return count;
  }
  return count;
}

/* Alternatives bind the same names, so that the arm's body need not ask which one it was. */
static bool binds_same(Checker *c, const Pattern *p, uint32_t mark) {
  if ((p->kind == PATTERN_BIND || (p->kind == PATTERN_REST && p->name)) && !name_is_wild(p->name)) {
    return bound_before(c, p->name, mark) != NULL;
  }
  for (const Pattern *item = p->items; item; item = item->next) {
    if (!binds_same(c, item, mark)) return false;
  }
  return true;
}

static void pattern_top(Checker *c, Match *m, Pattern *p, Type *type, uint32_t mark, bool top);

static void or_check(Checker *c, Match *m, Pattern *p, Type *type, uint32_t mark, bool top) {
  uint32_t own = scope_open(c), count = p->items ? bind_count(p->items) : 0;
  uint32_t *outer = m->first;
  for (Pattern *item = p->items; item; item = item->next) {
    if (item != p->items) {
      m->first = &own;
      if (bind_count(item) != count || !binds_same(c, item, own)) {
        Diag *diag = REPORT0(c, PATTERN_OR_NAMES, item->span);
        report_note(c, diag, p->items->span, "the first alternative is here");
      }
    }
    pattern_top(c, m, item, type, mark, top);
  }
  m->first = outer;
}

static void pattern_top(Checker *c, Match *m, Pattern *p, Type *type, uint32_t mark, bool top) {
  switch (p->kind) {
    case PATTERN_WILD:
      if (top) take_all(m);
      return;
    case PATTERN_BIND:
      if (name_is_wild(p->name)) {
        if (top) take_all(m);
        return;
      }
      p->symbol = pattern_bind(c, m, p->name, p->span, top ? cells_left(c, m) : type, mark);
      if (top) take_all(m);
      return;
    case PATTERN_REST:
      if (p->name && !name_is_wild(p->name))
        p->symbol = pattern_bind(c, m, p->name, p->span, type, mark);
      return;
    case PATTERN_VALUE:
      value_check(c, m, p, type, top);
      return;
    case PATTERN_RECORD:
      record_check(c, m, p, type, mark, top);
      return;
    case PATTERN_MAP:
      map_check(c, m, p, type, mark, top);
      return;
    case PATTERN_LIST:
      list_check(c, m, p, type, mark, top);
      return;
    case PATTERN_OR:
      or_check(c, m, p, type, mark, top);
      return;
  }
}

static void pattern_check(Checker *c, Match *m, Pattern *p, Type *type, uint32_t mark) {
  pattern_top(c, m, p, type, mark, false);
}

/* ---- the statement ---- */

static void guard_check(Checker *c, Expr *guard) {
  PurePlace outer = c->place;
  if (!guard) return;
  c->place = PURE_GUARD;
  condition_check(c, guard);
  c->place = outer;
  narrow_condition(c, guard, true);
}

static void arm_check(Checker *c, Match *m, Arm *arm, Type *type) {
  uint32_t scope = scope_open(c);
  if (all_covered(m)) {
    Diag *diag = REPORT0(c, UNREACHABLE_ARM, arm->pattern->span);
    report_label(c, diag, "the arms above take every value");
  }
  m->guarded = arm->guard != NULL;
  m->refutable = false;
  pattern_top(c, m, arm->pattern, type, scope, true);
  guard_check(c, arm->guard);
  block_check(c, arm->body);
  scope_close_block(c, scope);
}

/* Lists add up by length, which cells do not follow: `[]` with `[first, ...rest]` is everything. */
static bool cell_open(const Cell *cell) {
  return !cell->covered && !cell->touched && cell->type->kind != TYPE_OBJECT;
}

static void complete_check(Checker *c, const Match *m, const Stmt *s) {
  Type *left = NULL;
  for (uint32_t i = 0; i < m->cell_count; i++) {
    const Cell *cell = &m->cells[i];
    if (!cell_open(cell)) continue;
    left = type_join(c->types, left,
                     cell->literal ? type_literal(c->types, cell->literal) : cell->type);
  }
  if (!left) return;
  Diag *diag = REPORT(c, MATCH_INCOMPLETE, s->span, type_text(c, left));
  report_help(c, diag, "add the missing arm, or `_:` for all the rest");
}

void match_check(Checker *c, Stmt *s) {
  Match m = {0};
  Merge merge = {0};
  bool entry = c->frame->reachable;
  Type *type = expr_infer(c, s->value, NULL);
  Symbol *symbol = s->value->kind == EXPR_NAME ? s->value->symbol : NULL;
  if (symbol && symbol->kind == SYMBOL_VARIABLE && symbol->owner == current_function(c))
    m.subject = (Variable *)symbol;
  cells_make(c, &m, type);
  seen_make(c, &m, s->arms);
  for (Arm *arm = s->arms; arm; arm = arm->next) {
    if (!arm->pattern) continue;
    Level level = flow_open(c);
    c->frame->reachable = entry;
    arm_check(c, &m, arm, type);
    merge_path(c, &merge, level);
  }
  merge_end(c, &merge);
  c->frame->reachable = c->frame->reachable && entry;
  complete_check(c, &m, s);
}
