/* The module url: RFC 3986 references taken apart, put together and resolved, and
** queries as maps. Work is on a copy of the text, since making values moves it. */
#include "vm/core/natives.h"

typedef struct Url { /* at == NULL: absent, which is not the same as empty */
  Str scheme, user, host, port, path, query, fragment;
} Url;

/* ---- taking apart ---- */

static Str str_from(Str s, size_t from) { return (Str){s.at + from, s.size - from}; }

static size_t find_any(Str s, const char *stops) {
  size_t i = 0;
  while (i < s.size && !strchr(stops, s.at[i])) i++;
  return i;
}

/* Cuts off what follows `sign`, if it is there. */
static Str cut_after(Str *s, char sign) {
  const char *at = s->size ? memchr(s->at, sign, s->size) : NULL;
  if (!at) return (Str){0};
  size_t head = (size_t)(at - s->at);
  Str tail = str_from(*s, head + 1);
  s->size = head;
  return tail;
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static Str scheme_of(Str s) {
  size_t i = 0;
  while (i < s.size &&
         (is_letter(s.at[i]) || (i > 0 && (is_digit(s.at[i]) || strchr("+-.", s.at[i])))))
    i++;
  return i > 0 && i < s.size && s.at[i] == ':' ? (Str){s.at, i} : (Str){0};
}

static const char *authority_split(Str authority, Url *out) {
  const char *at = authority.size ? memrchr(authority.at, '@', authority.size) : NULL;
  if (at) {
    out->user = (Str){authority.at, (size_t)(at - authority.at)};
    authority = str_from(authority, out->user.size + 1);
  }
  size_t from = 0;
  if (authority.size && authority.at[0] == '[') {
    from = find_any(authority, "]");
    if (from == authority.size) return "an address in [ ] has no end";
  }
  Str tail = str_from(authority, from);
  Str port = cut_after(&tail, ':');
  out->host = (Str){authority.at, from + tail.size};
  out->port = port.size ? port : (Str){0};
  for (size_t i = 0; i < port.size; i++) {
    if (!is_digit(port.at[i]) || i > 4) return "the port must be a number up to 65535";
  }
  return NULL;
}

/* NULL, or what is wrong. */
static const char *url_split(Str s, Url *out) {
  *out = (Url){0};
  for (size_t i = 0; i < s.size; i++) {
    if ((uint8_t)s.at[i] <= ' ' || s.at[i] == 0x7f)
      return "a URL has no blanks or control characters";
  }
  out->fragment = cut_after(&s, '#');
  out->query = cut_after(&s, '?');
  out->scheme = scheme_of(s);
  if (out->scheme.at) s = str_from(s, out->scheme.size + 1);
  const char *why = NULL;
  if (s.size >= 2 && memcmp(s.at, "//", 2) == 0) {
    s = str_from(s, 2);
    size_t end = find_any(s, "/");
    why = authority_split((Str){s.at, end}, out);
    s = str_from(s, end);
  }
  out->path = s;
  return why;
}

static void put_lower(Buf *out, Str s) {
  for (size_t i = 0; i < s.size; i++)
    buf_byte(out, (uint8_t)(s.at[i] >= 'A' && s.at[i] <= 'Z' ? s.at[i] + 32 : s.at[i]));
}

/* Puts a part into the map in m->temp[4]; nil when it is absent. */
static void set_part(Machine *m, const char *name, Str part, bool lower) {
  Buf text = {0};
  m->temp[5] = VALUE_NIL;
  if (part.at) {
    if (lower) put_lower(&text, part);
    else buf_str(&text, part);
    m->temp[5] = string_new(m, buf_view(&text));
  }
  map_set_text(m, &m->temp[4], str_of(name), m->temp[5]);
  buf_deinit(&text);
}

static void set_parts(Machine *m, const Url *u) {
  int64_t port = 0;
  m->temp[4] = map_new(m, 8);
  set_part(m, "scheme", u->scheme, true);
  set_part(m, "user", u->user, false);
  set_part(m, "host", u->host, true);
  map_set_text(m, &m->temp[4], STR("port"),
               u->port.at && int_parse(u->port, &port) ? value_small_int(port) : VALUE_NIL);
  set_part(m, "path", u->path, false);
  set_part(m, "query", u->query, false);
  set_part(m, "fragment", u->fragment, false);
}

static bool take_map(Machine *m, Value *result) {
  *result = m->temp[4];
  m->temp[4] = m->temp[5] = VALUE_NIL;
  return true;
}

/* A copy of the text of an argument; the argument has been checked. */
static Buf text_copy(Machine *m, Value v) {
  Buf copy = {0};
  machine_work(m, text_of(v).size);
  buf_str(&copy, text_of(v));
  buf_byte(&copy, 0); /* so that even an empty text has an address */
  copy.size--;
  return copy;
}

NATIVE_BODY(url_parse) {
  Url u;
  int64_t port = 0;
  if (!arg_text(m, &args[0], "url.parse: the URL", result)) return false;
  Buf copy = text_copy(m, args[0]);
  const char *why = url_split(buf_view(&copy), &u);
  if (!why && u.port.at && (!int_parse(u.port, &port) || port > 65535))
    why = "the port must be a number up to 65535";
  if (!why) set_parts(m, &u);
  buf_deinit(&copy);
  return why ? native_fault(m, result, FAULT_PARSE, "url.parse: %s", why) : take_map(m, result);
}

/* ---- queries ---- */

static bool put_query_value(Machine *m, Str name, Value v, Buf *out, Value *result) {
  Buf text = {.max = LIMIT_VALUE_BYTES};
  if (v == VALUE_NIL) return true;
  if (value_is_kind(v, OBJ_SEALED) || value_is_container(v)) {
    return arg_mismatch(m, "url.query: a value", "a string, a number or a list of these", v,
                        result);
  }
  value_print(m, v, false, &text);
  if (out->size) buf_byte(out, '&');
  percent_encode(name, out);
  buf_byte(out, '=');
  percent_encode(buf_view(&text), out);
  buf_deinit(&text);
  return true;
}

static bool put_query(Machine *m, Value map, Buf *out, Value *result) {
  Value key, v;
  for (uint32_t cursor = 0; map_next(map, &cursor, &key, &v);) {
    Buf name = {.max = LIMIT_VALUE_BYTES};
    bool ok = true;
    value_print(m, key, false, &name);
    bool many = value_is_kind(v, OBJ_LIST);
    for (uint32_t i = 0, n = many ? list_count(v) : 1; i < n && ok; i++) {
      ok = put_query_value(m, buf_view(&name), many ? list_at(v, i) : v, out, result);
    }
    buf_deinit(&name);
    if (!ok) return false;
  }
  machine_work(m, out->size);
  return true;
}

NATIVE_BODY(url_query) {
  Buf out = {.max = LIMIT_VALUE_BYTES};
  if (!arg_map(m, args[0], "url.query: the map", result)) return false;
  if (put_query(m, args[0], &out, result)) return string_take(m, &out, result);
  buf_deinit(&out);
  return false;
}

/* A name seen before keeps its values in a list. */
static void query_add(Machine *m, Str name, Str value) {
  Value before;
  m->temp[5] = string_new(m, name);
  m->temp[6] = string_new(m, value);
  if (map_find(m->temp[4], m->temp[5], &before)) {
    if (!value_is_kind(before, OBJ_LIST)) {
      m->temp[7] = list_new(m, 2);
      map_find(m->temp[4], m->temp[5], &before);
      list_push(m, &m->temp[7], before);
      map_set(m, &m->temp[4], m->temp[5], m->temp[7]);
    } else {
      m->temp[7] = before;
    }
    list_push(m, &m->temp[7], m->temp[6]);
  } else {
    map_set(m, &m->temp[4], m->temp[5], m->temp[6]);
  }
  m->temp[5] = m->temp[6] = m->temp[7] = VALUE_NIL;
}

static bool query_piece(Machine *m, Str piece) {
  Buf name = {0}, value = {0};
  Str tail = cut_after(&piece, '=');
  bool ok = percent_decode(piece, true, &name) && percent_decode(tail, true, &value) &&
            utf8_valid(buf_view(&name)) && utf8_valid(buf_view(&value));
  if (ok) query_add(m, buf_view(&name), buf_view(&value));
  buf_deinit(&name);
  buf_deinit(&value);
  return ok;
}

NATIVE_BODY(url_parse_query) {
  if (!arg_text(m, &args[0], "url.parse_query: the query", result)) return false;
  Buf copy = text_copy(m, args[0]);
  Str rest = buf_view(&copy);
  bool ok = true;
  if (rest.size && rest.at[0] == '?') rest = str_from(rest, 1);
  m->temp[4] = map_new(m, 0);
  while (rest.size && ok) {
    size_t end = find_any(rest, "&");
    if (end > 0) ok = query_piece(m, (Str){rest.at, end});
    rest = str_from(rest, end < rest.size ? end + 1 : end);
  }
  buf_deinit(&copy);
  if (ok) return take_map(m, result);
  m->temp[4] = VALUE_NIL;
  return native_fault(m, result, FAULT_PARSE,
                      "url.parse_query: a %% must be followed by two digits that give UTF-8");
}

/* ---- putting together ---- */

static void url_put(const Url *u, Str path, Buf *out) {
  if (u->scheme.at) buf_str(out, u->scheme), buf_byte(out, ':');
  if (u->host.at) {
    buf_text(out, "//");
    if (u->user.at) buf_str(out, u->user), buf_byte(out, '@');
    buf_str(out, u->host);
    if (u->port.at) buf_byte(out, ':'), buf_str(out, u->port);
    if (path.size && path.at[0] != '/') buf_byte(out, '/');
  }
  buf_str(out, path);
  if (u->query.at) buf_byte(out, '?'), buf_str(out, u->query);
  if (u->fragment.at) buf_byte(out, '#'), buf_str(out, u->fragment);
}

/* The text of a part of url.build's map, appended to `store` behind its offset; absent stays absent. */
static bool part_text(Machine *m, Value map, const char *name, Buf *store, size_t span[2],
                      Value *result) {
  Value v;
  span[0] = span[1] = SIZE_MAX;
  if (!map_find_text(map, str_of(name), &v) || v == VALUE_NIL) return true;
  span[0] = store->size;
  int64_t i;
  if (value_is_kind(v, OBJ_MAP) && strcmp(name, "query") == 0) {
    if (!put_query(m, v, store, result)) return false;
  } else if (value_to_int(v, &i) && strcmp(name, "port") == 0) {
    int_print(i, store);
  } else if (value_is_kind(v, OBJ_STRING)) {
    buf_str(store, text_of(v));
  } else {
    return arg_mismatch(m, "url.build: a part", "a string", v, result);
  }
  span[1] = store->size;
  return true;
}

NATIVE_BODY(url_build) {
  static const char *const names[] = {"scheme", "user",  "host",    "port",
                                      "path",   "query", "fragment"};
  size_t span[COUNT_OF(names)][2];
  Str part[COUNT_OF(names)];
  Buf store = {.max = LIMIT_VALUE_BYTES}, out = {.max = LIMIT_VALUE_BYTES};
  if (!arg_map(m, args[0], "url.build: the map", result)) return false;
  bool ok = true;
  for (size_t i = 0; i < COUNT_OF(names) && ok; i++) {
    ok = part_text(m, args[0], names[i], &store, span[i], result);
    if (ok && i == 5 && span[i][0] < span[i][1] && store.at[span[i][0]] == '&')
      span[i][0]++; /* put_query saw a filled buffer */
  }
  buf_byte(&store, 0);
  for (size_t i = 0; i < COUNT_OF(names) && ok; i++) {
    part[i] =
        span[i][0] == SIZE_MAX ? (Str){0} : (Str){store.at + span[i][0], span[i][1] - span[i][0]};
  }
  if (ok)
    url_put(&(Url){part[0], part[1], part[2], part[3], part[4], part[5], part[6]}, part[4], &out);
  buf_deinit(&store);
  return ok && string_take(m, &out, result);
}

/* ---- joining (RFC 3986, 5.2) ---- */

/* Drops the last segment of what has been written since `base`, with the slash before it. */
static void drop_segment(Buf *out, size_t base) {
  while (out->size > base && out->at[out->size - 1] != '/') out->size--;
  if (out->size > base) out->size--;
}

static void put_without_dots(Str path, Buf *out) {
  size_t base = out->size;
  bool rooted = path.size && path.at[0] == '/', trailing = false;
  size_t i = rooted;
  while (i <= path.size && path.size) {
    Str rest = str_from(path, i);
    Str segment = {rest.at, find_any(rest, "/")};
    bool last = i + segment.size >= path.size;
    bool dot = str_equal(segment, STR(".")), dots = str_equal(segment, STR(".."));
    if (dots) drop_segment(out, base);
    trailing = last && (dot || dots);
    if (!dot && !dots) {
      if (rooted || out->size > base) buf_byte(out, '/');
      buf_str(out, segment);
    }
    if (last) break;
    i += segment.size + 1;
  }
  if (trailing && (rooted || out->size > base)) buf_byte(out, '/');
}

/* The path of a reference that is relative to the base's. */
static void put_merged(const Url *base, Str path, Buf *out) {
  Str head = base->path;
  while (head.size && head.at[head.size - 1] != '/') head.size--;
  if (base->host.at && base->path.size == 0) buf_byte(out, '/');
  buf_str(out, head);
  buf_str(out, path);
}

static void url_resolve(const Url *base, const Url *ref, Buf *out) {
  Url made = *ref;
  Buf merged = {0}, path = {0};
  if (!ref->scheme.at) made.scheme = base->scheme;
  bool own = ref->scheme.at || ref->host.at;
  if (!own) made.host = base->host, made.user = base->user, made.port = base->port;
  if (!own && ref->path.size == 0) {
    buf_str(&path, base->path);
    if (!ref->query.at) made.query = base->query;
  } else {
    if (own || ref->path.at[0] == '/') buf_str(&merged, ref->path);
    else put_merged(base, ref->path, &merged);
    put_without_dots(buf_view(&merged), &path);
  }
  url_put(&made, buf_view(&path), out);
  buf_deinit(&merged);
  buf_deinit(&path);
}

NATIVE_BODY(url_join) {
  Url base, ref;
  if (!arg_text(m, &args[0], "url.join: the base", result) ||
      !arg_text(m, &args[1], "url.join: the link", result))
    return false;
  Buf first = text_copy(m, args[0]), second = text_copy(m, args[1]),
      out = {.max = LIMIT_VALUE_BYTES};
  const char *why = url_split(buf_view(&first), &base);
  if (!why) why = url_split(buf_view(&second), &ref);
  if (!why && !base.scheme.at) why = "the base must have a scheme";
  if (!why) url_resolve(&base, &ref, &out);
  buf_deinit(&first);
  buf_deinit(&second);
  return why ? native_fault(m, result, FAULT_PARSE, "url.join: %s", why)
             : string_take(m, &out, result);
}

/* ---- percent signs ---- */

NATIVE_BODY(url_encode) {
  Buf out = {.max = LIMIT_VALUE_BYTES};
  if (!arg_text(m, &args[0], "url.encode: the text", result)) return false;
  machine_work(m, text_of(args[0]).size);
  percent_encode(text_of(args[0]), &out);
  return string_take(m, &out, result);
}

NATIVE_BODY(url_decode) {
  Buf out = {.max = LIMIT_VALUE_BYTES};
  if (!arg_text(m, &args[0], "url.decode: the text", result)) return false;
  machine_work(m, text_of(args[0]).size);
  if (percent_decode(text_of(args[0]), false, &out) && utf8_valid(buf_view(&out)))
    return string_take(m, &out, result);
  buf_deinit(&out);
  return native_fault(m, result, FAULT_PARSE,
                      "url.decode: a %% must be followed by two digits that give UTF-8");
}
