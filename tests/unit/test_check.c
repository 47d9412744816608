/* Types: one address per type, fit, join, printing. */
#include "test.h"

#include "compiler/check/symbol.h"

static Arena arena;
static Types *types;

static Type *simple(TypeKind kind) { return type_simple(types, kind); }

static Type *text_literal(const char *text) {
  Expr *e = ARENA_NEW(&arena, Expr);
  e->kind = EXPR_STRING;
  e->text = str_of(text);
  return type_literal(types, e);
}

static Type *either(Type *a, Type *b) { return type_union(types, (Type *[]){a, b}, 2); }

static Name *name_of(const char *text) {
  Name *name = ARENA_NEW(&arena, Name);
  name->text = str_of(text);
  return name;
}

static TypeField *field_of(const char *name, Type *type, bool optional, TypeField *next) {
  TypeField *f = ARENA_NEW(&arena, TypeField);
  *f = (TypeField){.name = name_of(name), .type = type, .optional = optional, .next = next};
  return f;
}

static Decl *record_of(const char *name, const char *field, Type *type) {
  Decl *decl = ARENA_NEW(&arena, Decl);
  Field *f = ARENA_NEW(&arena, Field);
  Symbol *symbol = ARENA_NEW(&arena, Symbol);
  decl->kind = DECL_TYPE;
  decl->name = name_of(name);
  decl->fields = f;
  symbol->type = type;
  f->name = name_of(field);
  f->symbol = symbol;
  return decl;
}

static void check_print(const Type *type, const char *want) {
  Buf out = {0};
  type_print(type, &out);
  CHECK_STR(buf_view(&out), str_of(want));
  buf_deinit(&out);
}

static void same_type_same_address(void) {
  Type *i = simple(TYPE_INT), *s = simple(TYPE_STRING);
  CHECK(type_list(types, i) == type_list(types, i));
  CHECK(type_list(types, i) != type_list(types, s));
  CHECK(type_list(types, NULL) == type_list(types, simple(TYPE_ANY)));
  CHECK(type_optional(types, i) == either(simple(TYPE_NIL), i));
  CHECK(either(i, i) == i);
  CHECK(text_literal("a") == text_literal("a"));
  CHECK(text_literal("a") != text_literal("b"));
  CHECK(either(text_literal("a"), s) == s);
  CHECK(either(i, simple(TYPE_ANY)) == simple(TYPE_ANY));
  CHECK(type_union(types, (Type *[]){either(i, s), simple(TYPE_NIL)}, 2) ==
        type_union(types, (Type *[]){s, type_optional(types, i)}, 2));
  CHECK(type_function(types, (Type *[]){i}, 1, 1, s) == type_function(types, (Type *[]){i}, 1, 1, s));
}

static void many_types_stay_apart(void) {
  Type *made[2000], *t = simple(TYPE_INT);
  for (int i = 0; i < 2000; i++) made[i] = t = type_list(types, t);
  t = simple(TYPE_INT);
  for (int i = 0; i < 2000; i++) {
    t = type_list(types, t);
    CHECK(t == made[i]);
  }
}

static void fit_of_simple_types(void) {
  Type *i = simple(TYPE_INT), *f = simple(TYPE_FLOAT), *s = simple(TYPE_STRING), *any = simple(TYPE_ANY);
  CHECK(type_fit(i, i) == FIT_YES);
  CHECK(type_fit(i, f) == FIT_YES);
  CHECK(type_fit(f, i) == FIT_MAYBE);
  CHECK(type_fit(i, s) == FIT_NO);
  CHECK(type_fit(i, simple(TYPE_DECIMAL)) == FIT_NO);
  CHECK(type_fit(any, s) == FIT_MAYBE);
  CHECK(type_fit(s, any) == FIT_YES);
  CHECK(type_fit(simple(TYPE_SEALED), s) == FIT_NO);
}

static void fit_of_unions_and_literals(void) {
  Type *i = simple(TYPE_INT), *s = simple(TYPE_STRING), *nil = simple(TYPE_NIL);
  Type *level = either(text_literal("low"), text_literal("high"));
  CHECK(type_fit(i, type_optional(types, i)) == FIT_YES);
  CHECK(type_fit(type_optional(types, i), i) == FIT_MAYBE);
  CHECK(type_fit(nil, i) == FIT_NO);
  CHECK(type_fit(either(s, nil), i) == FIT_NO);
  CHECK(type_fit(text_literal("low"), level) == FIT_YES);
  CHECK(type_fit(text_literal("mid"), level) == FIT_NO);
  CHECK(type_fit(s, level) == FIT_MAYBE);
  CHECK(type_fit(level, s) == FIT_YES);
  CHECK(type_fit(i, level) == FIT_NO);
}

static void fit_of_containers(void) {
  Type *i = simple(TYPE_INT), *s = simple(TYPE_STRING);
  CHECK(type_fit(type_list(types, i), type_list(types, simple(TYPE_FLOAT))) == FIT_YES);
  CHECK(type_fit(type_list(types, i), type_list(types, s)) == FIT_MAYBE); /* both may be empty */
  CHECK(type_fit(type_list(types, i), type_map(types, i)) == FIT_NO);
  CHECK(type_fit(type_map(types, i), type_map(types, NULL)) == FIT_YES);
}

static void fit_of_shapes(void) {
  Type *i = simple(TYPE_INT), *s = simple(TYPE_STRING);
  Type *has_x = type_object(types, field_of("x", i, false, NULL));
  Type *has_y = type_object(types, field_of("y", i, false, NULL));
  Type *may_y = type_object(types, field_of("y", i, true, NULL));
  Type *point = type_record(types, record_of("Point", "x", i));
  Type *label = type_record(types, record_of("Label", "x", s));
  CHECK(type_fit(point, has_x) == FIT_YES);
  CHECK(type_fit(point, has_y) == FIT_NO);
  CHECK(type_fit(point, may_y) == FIT_YES);
  CHECK(type_fit(label, has_x) == FIT_NO);
  CHECK(type_fit(point, label) == FIT_NO);
  CHECK(type_fit(has_x, point) == FIT_MAYBE);
  CHECK(type_fit(has_x, has_y) == FIT_MAYBE);
  CHECK(type_fit(type_map(types, i), has_x) == FIT_MAYBE);
  CHECK(type_fit(type_map(types, s), has_x) == FIT_NO);
  CHECK(type_fit(point, type_map(types, NULL)) == FIT_NO);
}

static void fit_of_functions(void) {
  Type *any = simple(TYPE_ANY);
  Type *one = type_function(types, (Type *[]){any}, 1, 1, any);
  Type *two = type_function(types, (Type *[]){any, any}, 2, 2, any);
  Type *one_or_two = type_function(types, (Type *[]){any, any}, 2, 1, any);
  Type *some = type_function(types, NULL, 0, 0, NULL);
  CHECK(type_fit(two, one) == FIT_NO);
  CHECK(type_fit(one, two) == FIT_NO);
  CHECK(type_fit(one_or_two, one) == FIT_YES);
  CHECK(type_fit(one_or_two, two) == FIT_YES);
  CHECK(type_fit(one, some) == FIT_YES);
}

static void joins(void) {
  Type *i = simple(TYPE_INT), *s = simple(TYPE_STRING), *any = simple(TYPE_ANY);
  CHECK(type_join(types, i, i) == i);
  CHECK(type_join(types, NULL, i) == i);
  CHECK(type_join(types, i, simple(TYPE_FLOAT)) == simple(TYPE_FLOAT));
  CHECK(type_join(types, i, any) == any);
  CHECK(type_join(types, i, s) == either(i, s));
  CHECK(type_join(types, type_list(types, i), type_list(types, s)) == type_list(types, either(i, s)));
  CHECK(type_join(types, text_literal("a"), text_literal("b")) == s);
  CHECK(type_join(types, either(i, simple(TYPE_NIL)), s) ==
        type_union(types, (Type *[]){i, s, simple(TYPE_NIL)}, 3));
}

static void wide_joins_give_up(void) {
  Type *all = NULL;
  for (int i = 0; i < 40; i++) all = type_join(types, all, type_record(types, record_of("R", "x", simple(TYPE_INT))));
  CHECK(all == simple(TYPE_ANY));
}

static void printing(void) {
  Type *i = simple(TYPE_INT);
  check_print(type_list(types, i), "list[int]");
  check_print(type_map(types, NULL), "map");
  check_print(type_optional(types, i), "int?");
  Type *low = text_literal("early"), *high = text_literal("late");
  check_print(either(high, low), "\"early\" | \"late\""); /* in the order of making */
  check_print(type_object(types, field_of("a", i, false, field_of("b", type_optional(types, i), true, NULL))),
              "{a: int, b: int?}");
  check_print(type_function(types, (Type *[]){i, i}, 2, 2, simple(TYPE_BOOL)), "fn(int, int) -> bool");
  check_print(type_record(types, record_of("Point", "x", i)), "Point");
}

int main(void) {
  arena_init(&arena);
  types = types_new(&arena);
  RUN_TEST(same_type_same_address);
  RUN_TEST(many_types_stay_apart);
  RUN_TEST(fit_of_simple_types);
  RUN_TEST(fit_of_unions_and_literals);
  RUN_TEST(fit_of_containers);
  RUN_TEST(fit_of_shapes);
  RUN_TEST(fit_of_functions);
  RUN_TEST(joins);
  RUN_TEST(wide_joins_give_up);
  RUN_TEST(printing);
  arena_deinit(&arena);
  return TEST_END();
}
