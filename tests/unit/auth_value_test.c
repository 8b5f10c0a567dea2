/* The JSON of tokens, read in place. jansson, which reads everything else, says what is JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/value.h"
#include "bailiff/json.h"

static struct values values;
static char bytes[1 << 16];

static const struct value *read(struct span s)
{
    const struct value *value = NULL;

    assert_true(s.len < sizeof(bytes));
    memcpy(bytes, s.data, s.len);
    return value_read(bytes, s.len, &values, &value) ? value : NULL;
}

static const struct value *read_good(struct span s)
{
    const struct value *value = read(s);

    assert_non_null(value);
    return value;
}

static void assert_text(const struct value *value, const char *wanted)
{
    assert_non_null(value);
    assert_int_equal(value->type, VALUE_STRING);
    assert_string_equal(value_text(value), wanted);
    assert_int_equal(value->text.len, strlen(wanted));
}

static void test_reads_every_kind(void **state)
{
    const struct value *v = read_good(SPAN(" {\"s\":\"x\",\"n\":-1.5e1,\"i\":1795622934,\"t\":true,\"f\":false,"
                                           "\"z\":null,\"a\":[1,[],{}],\"e\":\"\"}\r\n"));

    assert_text(value_member(v, SPAN("s")), "x");
    assert_text(value_member(v, SPAN("e")), "");
    assert_true(value_member(v, SPAN("n"))->number == -15);
    assert_true(value_member(v, SPAN("i"))->number == 1795622934);
    assert_int_equal(value_member(v, SPAN("t"))->type, VALUE_BOOLEAN);
    assert_int_equal(value_member(v, SPAN("f"))->type, VALUE_BOOLEAN);
    assert_int_equal(value_member(v, SPAN("z"))->type, VALUE_NULL);
    const struct value *array = value_member(v, SPAN("a"));
    assert_int_equal(array->type, VALUE_ARRAY);
    assert_true(array->first->number == 1);
    assert_null(array->first->next->first);
    assert_int_equal(array->first->next->next->type, VALUE_OBJECT);
    assert_null(array->first->next->next->next);
    assert_null(value_member(v, SPAN("absent")));
    assert_null(value_member(array, SPAN("s")));
    assert_null(value_member(NULL, SPAN("s")));
    assert_null(value_text(array));
    assert_null(value_text(NULL));
}

static void test_unescapes(void **state)
{
    assert_text(read_good(SPAN("\"\\\"\\\\\\/\\b\\f\\n\\r\\t|\"")), "\"\\/\b\f\n\r\t|");
    assert_text(read_good(SPAN("\"a\\u0041\\u00e9\\u20AC\\ud83d\\ude00z\"")),
                "aA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z");
    assert_text(value_member(read_good(SPAN("{\"\\u0073ub\":\"x\"}")), SPAN("sub")), "x");
}

/* Each of these is refused by json_read, too. */
static void test_refuses(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1,}",
        "{'a':1}",
        "tru",
        "nul",
        "falsy",
        "1 2",
        "{} {}",
        "[NaN]",
        "[+1]",
        "[01]",
        "[1.]",
        "[.5]",
        "[-]",
        "[1e]",
        "[1e+]",
        "[0x10]",
        "[Infinity]",
        "[1e999]",
        "[-1e999]",
        "[99999999999999999999]",
        "\"\t\"",
        "\"\\x41\"",
        "\"\\u12\"",
        "\"\\u00g0\"",
        "\"abc",
        "\"abc\\",
        "\"abc\\\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\u0000\"",
        "{\"a\\u0000\":1}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "\"\xff\"",
        "\"\xed\xa0\x80\"",
        "\xef\xbb\xbf{}",
        "[1}",
        "{\"a\":1]",
        "// x\n1",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        json_t *value = NULL;
        assert_false(json_read(span_of(bad[i]), "It", &value, NULL));
        if (read(span_of(bad[i])))
            fail_msg("accepted: %s", bad[i]);
    }
    assert_null(read(SPAN("{}\0")));
    assert_null(read(SPAN("\"a\0b\"")));
}

/* start, then count pieces of before, a number and after, then end. */
static const struct value *read_numbered(const char *start, const char *before, const char *after, size_t count,
                                         const char *end)
{
    own(text_done) struct text t = {0};

    text_append_str(&t, start);
    for (size_t i = 0; i < count; i++)
        text_printf(&t, "%s%zu%s", before, i, after);
    text_append_str(&t, end);
    return read(text_span(&t));
}

static const struct value *read_repeated(const char *piece, size_t count)
{
    own(text_done) struct text t = {0};

    for (size_t i = 0; i < count; i++)
        text_append_str(&t, piece);
    return read(text_span(&t));
}

static void test_is_bounded(void **state)
{
    own(text_done) struct text deep = {0};

    assert_non_null(read_numbered("[0", ",", "", VALUES_MAX - 2, "]")); /* the array is one, too */
    assert_null(read_numbered("[0", ",", "", VALUES_MAX - 1, "]"));
    assert_non_null(read_numbered("{\"a\":0", ",\"m", "\":0", VALUE_MEMBERS_MAX - 1, "}"));
    assert_null(read_numbered("{\"a\":0", ",\"m", "\":0", VALUE_MEMBERS_MAX, "}"));
    for (size_t i = 0; i < JSON_DEPTH_MAX; i++)
        text_append_char(&deep, '[');
    for (size_t i = 0; i < JSON_DEPTH_MAX; i++)
        text_append_char(&deep, ']');
    assert_non_null(read(text_span(&deep)));
    assert_null(read_repeated("[", JSON_DEPTH_MAX + 1));
    assert_null(read_repeated("{\"a\":", 10000));
}

static void test_members_are_told_apart_in_the_largest_object(void **state)
{
    const struct value *v = read_numbered("{\"m\":0", ",\"m", "\":0", VALUE_MEMBERS_MAX - 1, "}");

    assert_non_null(value_member(v, SPAN("m254")));
    assert_null(read_numbered("{\"m\":0", ",\"m", "\":0", VALUE_MEMBERS_MAX - 2, ",\"m77\":1}"));
}

/* RFC 6901 §5 */
static void test_pointers(void **state)
{
    const struct value *d =
        read_good(SPAN("{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"m~n\":8,\" \":7,\"x\":{\"y\":[{\"z\":9}]}}"));
    static const struct {
        const char *pointer;
        int value;
    } numbers[] = {{"/", 0}, {"/a~1b", 1}, {"/m~0n", 8}, {"/ ", 7}, {"/x/y/0/z", 9}};
    static const char *const nowhere[] = {"foo",
                                          "/no",
                                          "/foo/2",
                                          "/foo/-",
                                          "/foo/01",
                                          "/foo/x",
                                          "/foo/0/x",
                                          "/m~2n",
                                          "/m~",
                                          "/foo/",
                                          "/foo/99999999999999999999"};

    assert_ptr_equal(value_at(d, ""), d);
    assert_text(value_at(d, "/foo/1"), "baz");
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        assert_true(value_at(d, numbers[i].pointer)->number == numbers[i].value);
    for (size_t i = 0; i < ARRAY_LEN(nowhere); i++)
        assert_null(value_at(d, nowhere[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_every_kind),
        cmocka_unit_test(test_unescapes),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_is_bounded),
        cmocka_unit_test(test_members_are_told_apart_in_the_largest_object),
        cmocka_unit_test(test_pointers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
