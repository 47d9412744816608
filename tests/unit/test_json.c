/* JSON against RFC 8259: what must be accepted, what must be refused, where the RFC leaves a
** choice what this reader chose; values, places of errors, printing. Own cases. */
#include "test.h"
#include "vm/base/cbor.h"
#include "vm/base/json.h"
#include "vm/base/text.h"

/* Reads everything; true if it is one JSON text. */
static bool accepts(Str text) {
  JsonReader r;
  JsonEvent event;
  json_init(&r, text);
  do event = json_next(&r);
  while (event != JSON_END && event != JSON_ERROR);
  CHECK(json_next(&r) == event); /* both ends are lasting */
  CHECK(event == JSON_END || r.error);
  json_deinit(&r);
  return event == JSON_END;
}

#define T(literal) {(literal), sizeof(literal) - 1}

static const Str accepted[] = {
    /* single values, with the four kinds of space around them */
    T("null"), T("true"), T("false"), T("0"), T("-0"), T("1"), T("-1"), T("10"), T("\"\""),
    T("\"a\""), T("[]"), T("{}"), T(" null"), T("null "), T("\tnull\t"), T("\nnull\n"),
    T("\rnull\r"), T(" \t\r\n null \t\r\n "), T("        1234567890        "),
    /* numbers */
    T("0.0"), T("-0.0"), T("0.5"), T("-0.5"), T("1.0"), T("1.50"), T("10.01"), T("1e1"), T("1E1"),
    T("1e+1"), T("1e-1"), T("1E+1"), T("1E-1"), T("1e01"), T("1e-01"), T("1e00"), T("0e0"),
    T("0e+1"), T("0E-1"), T("-0e0"), T("0.0e0"), T("1.5e10"), T("-1.5E-10"), T("123456789"),
    T("123456789012345678"), T("1234567890123456789"), T("9223372036854775807"),
    T("-9223372036854775808"), T("9223372036854775808"), T("-9223372036854775809"),
    T("100000000000000000000000000000000000000000000000000"), T("1.7976931348623157e308"),
    T("-1.7976931348623157e308"), T("4.9e-324"), T("1e-400"), T("-1e-400"), T("1e-99999999999999999999"),
    T("0e99999999999999999999"), T("0.00000000000000000000000000000000000000000000000000000000000000000000001"),
    T("3.14159265358979323846264338327950288419716939937510582097494459"), T("20e1"), T("123e65"),
    T("123.456e78"), T("-123"), T("-1.25"), T("0.1e1"), T("1e-2"), T("2.2250738585072011e-308"),
    T("[1]"), T("[-1]"), T("[1.5]"), T("[0]"), T("[0,0]"), T("[ 4]"), T("[0e+1]"), T("[1E22]"),
    /* strings */
    T("\"\\\"\""), T("\"\\\\\""), T("\"\\/\""), T("\"/\""), T("\"\\b\\f\\n\\r\\t\""), T("\"\\u0000\""),
    T("\"\\u0041\""), T("\"\\u00e9\""), T("\"\\u00E9\""), T("\"\\u20AC\""), T("\"\\uD834\\uDD1E\""),
    T("\"\\ud834\\udd1e\""), T("\"\\uDBFF\\uDFFF\""), T("\"\\uD800\\uDC00\""), T("\"\\uFFFF\""),
    T("\"\\uFFFE\""), T("\"\\uFDD0\""), T("\"\\u2028\\u2029\""), T("\"\\u0012\""), T("\"\\u001f\""),
    T("\"\\u007f\""), T("\"\x7f\""), T("\"\xc3\xa9\""), T("\"\xe2\x82\xac\""), T("\"\xf0\x9d\x84\x9e\""),
    T("\"\xf4\x8f\xbf\xbf\""), T("\"\xef\xbf\xbf\""), T("\"\xe2\x80\xa8\xe2\x80\xa9\""), T("\"\xc2\x80\""),
    T("\"\xef\xbb\xbf\""), T("\"\xed\x9f\xbf\""), T("\"\xee\x80\x80\""), T("\" \""), T("\"a/*b*/c\""),
    T("\"//\""), T("\"'\""), T("\"[{,:}]\""), T("\"\\\\u0000\""), T("\"\\\\a\""), T("\"\\\\\\\\\""),
    T("\"\\\\n\""), T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), T("\"\\u0060\\u012a\\u12AB\""), T("\"aa\\u0000bb\""),
    T("\"a string just past eight bytes\""), T("\"1234567\""), T("\"12345678\""), T("\"123456789\""),
    T("\"1234567\\n\""), T("\"12345678\\n12345678\\n\""), T("\"\xe3\x81\x82\xe3\x81\x84\xe3\x81\x86\xe3\x81\x88\""),
    /* arrays and objects */
    T("[[]]"), T("[[],[]]"), T("[{}]"), T("[{},{}]"), T("[null]"), T("[true,false,null]"),
    T("[1,\"a\",[],{},null]"), T("[ ]"), T("[\n]"), T("[ [ ] , [ ] ]"), T("[1\n,2]"), T("[1,\n2]"),
    T(" [1]"), T("[1] "), T("[\"\"]"), T("[\"a\",\"b\"]"), T("[[[[[[[[[[]]]]]]]]]]"), T("{ }"), T("{\n}"),
    T("{\"\":0}"), T("{\"a\":1}"), T("{\"a\":1,\"b\":2}"), T("{\"a\":1,\"a\":1}"), T("{\"a\":1,\"a\":2}"),
    T("{\"a\":{}}"), T("{\"a\":[]}"), T("{\"a\":{\"b\":{\"c\":[{}]}}}"), T("{ \"a\" : 1 , \"b\" : 2 }"),
    T("{\n\"a\"\n:\n1\n}"), T("{\"\\u0061\":1}"), T("{\"\\u0000\":1}"), T("{\"a\\\"b\":1}"),
    T("{\"\xc3\xa9\":\"\xc3\xa9\"}"), T("{\"a\":\"b\",\"c\":null,\"d\":[1,2,{\"e\":true}]}"),
};

static const Str refused[] = {
    /* nothing, or not one value */
    T(""), T(" "), T("\n"), T("null null"), T("1 2"), T("[] []"), T("{} {}"), T("[]1"), T("1,"),
    T(",1"), T("{}{}"), T("[1]x"), T("\"a\" \"b\""), T("\"a\"x"), T("true]"), T("]"), T("}"), T(":"),
    T(","), T("[]]"), T("{}}"), T("{}#"), T("[]/*c*/"), T("/**/[]"), T("//\n1"), T("#1\n1"), T("1\0"),
    T("\0" "1"), T("[1\0]"), T("\v1"), T("\f1"), T("[\f]"), T("\xc2\xa0" "1"), T("\xe2\x81\xa0" "1"),
    T("\xef\xbb\xbf" "1"), T("\xef\xbb\xbf[]"), T("\xef\xbb\xbf"), T("\xef"), T("\xff\xfe[\0]\0"),
    T("\0[\0]"), T("\xfe\xff\0[\0]"), T("<.>"), T("[<null>]"), T("$"), T("'a'"), T("`a`"), T("a"),
    /* words */
    T("nul"), T("nulll"), T("n"), T("NULL"), T("Null"), T("tru"), T("truee"), T("t"), T("True"),
    T("TRUE"), T("fals"), T("falsee"), T("f"), T("False"), T("undefined"), T("nan"), T("NaN"),
    T("-NaN"), T("Infinity"), T("-Infinity"), T("inf"), T("+Inf"), T("[nul]"), T("[tru]"), T("[fals]"),
    T("nill"), T("[true false]"), T("[truefalse]"), T("None"), T("tr\0e"),
    /* numbers */
    T("+1"), T("++1"), T("-"), T("--1"), T("+-1"), T("-+1"), T("- 1"), T("01"), T("-01"), T("00"),
    T("-00"), T("012"), T("00.1"), T("-00.1"), T("01.5"), T("1."), T("-1."), T("0."), T(".5"),
    T("-.5"), T("."), T("-."), T("1.e1"), T("0.e1"), T(".e1"), T("1.."), T("1..2"), T("1.2.3"),
    T("1e"), T("1E"), T("1e+"), T("1e-"), T("1e+-1"), T("1e++1"), T("1ee1"), T("1e1e1"), T("1e1.5"),
    T("1.5e"), T("1.5e+"), T("0e"), T("0e+"), T("e1"), T("-e1"), T("1 000"), T("1,000"), T("1_000"),
    T("0x1"), T("0x"), T("0x42"), T("1x"), T("1a"), T("-1x"), T("0b1"), T("0o7"), T("1f"), T("1L"),
    T("1.8011670033376514H-308"), T("1.2a-3"), T("\xef\xbc\x91"), T("[1 2]"), T("[-]"), T("[-a]"),
    T("[1.]"), T("[.1]"), T("[+1]"), T("[1+2]"), T("[0.1.2]"), T("[-2.]"), T("[0E]"), T("[1.0e+]"),
    T("[012]"), T("[-012]"), T("[1e]"), T("[9.e+]"), T("[1eE2]"), T("[\xe5]"), T("[1\xe5]"), T("[1e1\xe5]"),
    T("[0\xe5]"), T("[-123.123foo]"), T("1\xa0"),
    /* strings */
    T("\""), T("\"a"), T("a\""), T("\"\\\""), T("\"\\"), T("\"\\u"), T("\"\\u0"), T("\"\\u00"),
    T("\"\\u000"), T("\"\\u0000"), T("\"\\u\""), T("\"\\u1\""), T("\"\\u12\""), T("\"\\u123\""),
    T("\"\\u12G4\""), T("\"\\u 123\""), T("\"\\u+123\""), T("\"\\U0041\""), T("\"\\x41\""), T("\"\\a\""),
    T("\"\\v\""), T("\"\\0\""), T("\"\\'\""), T("\"\\ \""), T("\"\\\n\""), T("\"\\\0\""), T("\"\\\xc3\xa9\""),
    T("\"\n\""), T("\"\r\""), T("\"\t\""), T("\"\0\""), T("\"\x01\""), T("\"\x1f\""), T("\"\b\""),
    T("\"1234567\n\""), T("\"12345678\n\""), T("\"long enough to go by words\t\""), T("\"a\0b\""),
    T("\"\\\\\\\""), T("\"\\\\"), T("[\"a"), T("[\"a]"), T("[\"\\"), T("{\"a"), T("{\"a\\"), T("[\\n]"),
    T("[\"\\u\"]"), T("[\"\\u00A\"]"), T("[\"\\uD834\\uDd\"]"), T("['a']"), T("[\"\\{}\"]"), T("[\"\\\\\\\"]"),
    /* lone and mixed-up surrogates */
    T("\"\\uD800\""), T("\"\\uDBFF\""), T("\"\\uDC00\""), T("\"\\uDFFF\""), T("\"\\uD800a\""),
    T("\"\\uD800\\n\""), T("\"\\uD800\\u0041\""), T("\"\\uD800\\uD800\""), T("\"\\uD800\\uD800\\uDC00\""),
    T("\"\\uDC00\\uD800\""), T("\"\\uD800\\uE000\""), T("\"\\uD800\\u\""), T("\"\\uD800\\u1\""),
    T("\"\\uD800\\u1x\""), T("\"\\uD800\\"), T("\"\\uD800\\u"), T("\"\\uD83D\\uDE0\""), T("\"\\ud800abc\""),
    T("\"\\uDd1e\\uD834\""), T("\"\\uD834 \\uDD1E\""),
    /* bytes that are not UTF-8 */
    T("\"\x80\""), T("\"\xbf\""), T("\"\xc0\x80\""), T("\"\xc0\xaf\""), T("\"\xc1\xbf\""), T("\"\xc3\""),
    T("\"\xc3(\""), T("\"\xe2\x82\""), T("\"\xe2(\xa1\""), T("\"\xe0\x80\x80\""), T("\"\xe0\x9f\xbf\""),
    T("\"\xed\xa0\x80\""), T("\"\xed\xbf\xbf\""), T("\"\xf0\x80\x80\x80\""), T("\"\xf0\x8f\xbf\xbf\""),
    T("\"\xf0\x9d\x84\""), T("\"\xf4\x90\x80\x80\""), T("\"\xf5\x80\x80\x80\""), T("\"\xfc\x80\x80\x80\x80\x80\""),
    T("\"\xfe\""), T("\"\xff\""), T("\"abcdefgh\xff\""), T("\"\xe9\""), T("\"\\n\xff\""), T("\"\xff\\n\""),
    T("{\"\xff\":1}"), T("[\"\xe0\xff\"]"), T("\xff"), T("[\xff]"), T("{\xff:1}"),
    /* arrays */
    T("["), T("[1"), T("[1,"), T("[1,]"), T("[,]"), T("[,1]"), T("[1,,2]"), T("[1,,]"), T("[,,]"),
    T("[1 1]"), T("[\"a\" 1]"), T("[1:2]"), T("[1;2]"), T("[}"), T("[1}"), T("[\"a\":1]"), T("[[]"),
    T("[[1]"), T("[{}"), T("[1]]"), T("[1],"), T("[\"x\"]]"), T("[\"\","), T("[3[4]]"), T("[x"), T("[\"x\""),
    T("[1,\n1\n,1"), T("[*]"), T("[\"a\",\n4\n,1,"), T("[ , \"\"]"), T("[a"), T("[][]"), T("[1]1"),
    /* objects */
    T("{"), T("{\"a\""), T("{\"a\":"), T("{\"a\":1"), T("{\"a\":1,"), T("{\"a\":1,}"), T("{,}"), T("{,\"a\":1}"),
    T("{\"a\":1,,\"b\":2}"), T("{\"a\"}"), T("{\"a\",1}"), T("{\"a\" 1}"), T("{\"a\"::1}"), T("{\"a\":}"),
    T("{:1}"), T("{1:1}"), T("{a:1}"), T("{'a':1}"), T("{null:1}"), T("{true:1}"), T("{[]:1}"), T("{{}:1}"),
    T("{\"a\":1 \"b\":2}"), T("{\"a\":1;\"b\":2}"), T("{\"a\":1]"), T("{]"), T("{\"a\":1}}"), T("{\"a\":1}#"),
    T("{\"a\":1}/**/"), T("{\"a\":/*c*/1}"), T("{\"a\":1,\"b\"}"), T("{\"a\":1,b}"), T("{\"a\":1 2}"), T("{{}}"),
    T("{\"a\" b}"), T("{\"a\":a}"), T("{\"a\":'b'}"), T("{9999E9999:1}"), T("{\"a\":1,\"a\":}"), T("{\"x\", null}"),
    T("{\"id\":0,,,,,}"), T("{\"a\":true} \"x\""), T("{\"asd\":\"asd\""), T("{\"a\":[}"), T("{\"a\":[1}]"),
    T("{[: \"x\"}"),
    /* numbers out of a double's range: refused, not infinite */
    T("1e400"), T("-1e400"), T("1e309"), T("1.8e308"), T("123123e100000"), T("0.4e00669999999999999999999999"),
    T("-1e+9999"), T("1e99999999999999999999"), T("[123.456e789]"),
};

static void tables(void) {
  for (size_t i = 0; i < COUNT_OF(accepted); i++) {
    if (accepts(accepted[i])) continue;
    fprintf(stderr, "should be accepted (%zu): " STR_FMT "\n", i, STR_ARG(accepted[i]));
    CHECK(false);
  }
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    if (!accepts(refused[i])) continue;
    fprintf(stderr, "should be refused (%zu): " STR_FMT "\n", i, STR_ARG(refused[i]));
    CHECK(false);
  }
}

/* Nested openers and closers around nothing. */
static bool accepts_nested(size_t depth, size_t closers, const char *open, const char *close) {
  Buf text = {0};
  for (size_t i = 0; i < depth; i++) buf_text(&text, open);
  for (size_t i = 0; i < closers; i++) buf_text(&text, close);
  bool ok = accepts(buf_view(&text));
  buf_deinit(&text);
  return ok;
}

static void nesting(void) {
  CHECK(accepts_nested(500, 500, "[", "]"));
  CHECK(accepts_nested(512, 512, "[", "]"));
  CHECK(!accepts_nested(513, 513, "[", "]"));
  CHECK(!accepts_nested(100000, 0, "[", "]"));
  CHECK(!accepts_nested(50000, 0, "[{\"\":", ""));
  CHECK(!accepts_nested(511, 510, "[", "]"));
  CHECK(!accepts_nested(10, 11, "[", "]"));
}

/* Events as a line: one letter each, with the values of names, strings and numbers. */
static void events(Str text, Str want) {
  static const char letters[] = {'{', '}', '[', ']', 'N', 'S', 'I', 'F', 't', 'f', 'n', '.', '!'};
  Buf line = {0};
  JsonReader r;
  JsonEvent event;
  json_init(&r, text);
  do {
    event = json_next(&r);
    buf_byte(&line, (uint8_t)letters[event]);
    if (event == JSON_NAME || event == JSON_STRING) json_put_string(&line, r.string);
    if (event == JSON_INT) int_print(r.integer, &line);
    if (event == JSON_FLOAT) float_print(r.number, &line);
  } while (event != JSON_END && event != JSON_ERROR);
  CHECK_STR(buf_view(&line), want);
  json_deinit(&r);
  buf_deinit(&line);
}

static void values(void) {
  events(STR("{\"a\": [1, 2.0, \"x\"], \"b\": {}}"), STR("{N\"a\"[I1F2.0S\"x\"]N\"b\"{}}."));
  events(STR("[true,false,null]"), STR("[tfn]."));
  events(STR("-0"), STR("I0."));
  events(STR("-0.0"), STR("F-0.0."));
  events(STR("999999999999999999"), STR("I999999999999999999."));
  events(STR("9223372036854775807"), STR("I9223372036854775807."));
  events(STR("-9223372036854775808"), STR("I-9223372036854775808."));
  events(STR("9223372036854775808"), STR("F9.223372036854776e18."));
  events(STR("-9223372036854775809"), STR("F-9.223372036854776e18."));
  events(STR("1e3"), STR("F1000.0."));
  events(STR("1E-7"), STR("F1e-7."));
  events(STR("1e-400"), STR("F0.0."));
  events(STR("0.1"), STR("F0.1."));
  events(STR("123456789012345678.5"), STR("F1.2345678901234568e17."));
  events(STR("\"\\u0041\\u00e9\\uD834\\uDD1E\\u0000\""), STR("S\"A\xc3\xa9\xf0\x9d\x84\x9e\\u0000\"."));
  events(STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), STR("S\"\\\"\\\\/\\b\\f\\n\\r\\t\"."));
  events(STR("{\"a\":1,\"a\":2}"), STR("{N\"a\"I1N\"a\"I2}."));
  events(STR("[1,"), STR("[I1!"));
}

static void place(Str text, uint32_t line, uint32_t column) {
  JsonReader r;
  JsonEvent event;
  uint32_t l, c;
  json_init(&r, text);
  do event = json_next(&r);
  while (event != JSON_END && event != JSON_ERROR);
  json_place(&r, &l, &c);
  CHECK(event == JSON_ERROR && l == line && c == column);
  json_deinit(&r);
}

static void places(void) {
  place(STR("x"), 1, 1);
  place(STR("[1,\n 2,\n  x]"), 3, 3);
  place(STR("\"\xc3\xa9\" x"), 1, 5); /* characters, not bytes */
  place(STR("[1, 01]"), 1, 5);
  place(STR(""), 1, 1);
  place(STR("[\n"), 2, 1);
  place(STR("[\"ab\ncd\"]"), 1, 5);
}

static void printing(void) {
  Buf out = {0};
  json_put_string(&out, STR("a\"b\\c/\n\r\t\b\f\x01\x1f\x7f\xc3\xa9\xe2\x80\xa8"));
  CHECK_STR(buf_view(&out), STR("\"a\\\"b\\\\c/\\n\\r\\t\\b\\f\\u0001\\u001f\x7f\xc3\xa9\xe2\x80\xa8\""));
  buf_clear(&out);
  json_put_string(&out, (Str){0});
  json_put_string(&out, STR("\0"));
  CHECK_STR(buf_view(&out), STR("\"\"\"\\u0000\""));
  buf_deinit(&out);
}

/* Through the encoded form and back. */
static void encoded(Str json, Str want) {
  Buf bytes = {0}, text = {0};
  Err err = {0};
  CHECK(cbor_from_json(json, &bytes, &err) && cbor_to_json(buf_view(&bytes), &text, &err));
  CHECK_STR(buf_view(&text), want);
  buf_deinit(&bytes);
  buf_deinit(&text);
}

static void to_encoded(void) {
  Err err = {0};
  Buf out = {0};
  encoded(STR(" { \"a\" : [ 1 , 2.50 , -3 , 1e22 ] , \"b\" : { \"c\" : null } , \"d\":[[],{},\"\"] } "),
          STR("{\"a\":[1,2.5,-3,1e22],\"b\":{\"c\":null},\"d\":[[],{},\"\"]}"));
  encoded(STR("[[[1],[2,3]],[]]"), STR("[[[1],[2,3]],[]]"));
  encoded(STR("true"), STR("true"));
  encoded(STR("{\"a\":1,\"b\":2,\"a\":3}"), STR("{\"a\":3,\"b\":2}"));
  encoded(STR("{\"a\":[1,[2]],\"b\":{\"x\":[]},\"a\":{\"k\":[7,{}]},\"c\":[[]],\"b\":5}"),
          STR("{\"a\":{\"k\":[7,{}]},\"b\":5,\"c\":[[]]}"));
  encoded(STR("[{\"a\":{\"a\":1,\"a\":[2]},\"a\":{\"a\":[3],\"a\":4}},[9]]"), STR("[{\"a\":{\"a\":4}},[9]]"));
  encoded(STR("{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":10,\"k\":11,\"l\":12,"
              "\"m\":13,\"n\":14,\"o\":15,\"p\":16,\"q\":[17],\"r\":18,\"q\":[19],\"a\":[20]}"),
          STR("{\"a\":[20],\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":10,\"k\":11,\"l\":12,"
              "\"m\":13,\"n\":14,\"o\":15,\"p\":16,\"q\":[19],\"r\":18}"));
  CHECK(!cbor_from_json(STR("[1,\n2,]"), &out, &err) && err.code == ERR_INVALID && strstr(err.text, "line 2, column 3"));
  CHECK(out.size == 0);
}

int main(void) {
  RUN_TEST(tables);
  RUN_TEST(nesting);
  RUN_TEST(values);
  RUN_TEST(places);
  RUN_TEST(printing);
  RUN_TEST(to_encoded);
  return TEST_END();
}
