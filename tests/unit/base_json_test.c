/* Strict reading of JSON: what is taken, what is refused, and where the message points. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bailiff/json.h"

static json_t *read_good(struct span s)
{
    json_t *value = NULL;
    struct fault fault = {0};

    if (!json_read(s, "The body", &value, &fault))
        fail_msg("'%.*s': %s", (int)s.len, s.data, fault.message);
    return value;
}

/* The message has each of the words. */
static void assert_bad(struct span s, const char *place, const char *why)
{
    json_t *value = NULL;
    struct fault fault = {0};

    if (json_read(s, "The body", &value, &fault))
        fail_msg("'%.*s' was taken", (int)s.len, s.data);
    assert_null(value);
    assert_int_equal(fault.kind, FAULT_INVALID);
    if (strncmp(fault.message, "The body is ", 12) != 0 || !strstr(fault.message, place) || !strstr(fault.message, why))
        fail_msg("'%.*s': '%s' does not say '%s' and '%s'", (int)s.len, s.data, fault.message, place, why);
}

static void test_takes_any_value(void **state)
{
    static const char *const good[] = {
        "{}", "[]", "null", "true", "-1.5e3", "\"x\"", " [1, {\"a\": [null]}]\n", "\"\\u00e9\\ud83d\\ude00\""};

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        own(json_freep) json_t *value = read_good(span_of(good[i]));
        assert_non_null(value);
    }
}

static void test_says_where(void **state)
{
    assert_bad(SPAN(""), "line 1, column", "ends too early");
    assert_bad((struct span){0}, "line 1", "ends too early");
    assert_bad(SPAN("{\"a\": 1,\n \"b\": }"), "line 2, column 7", "a token is not where JSON has one");
    assert_bad(SPAN("{\n\n  \"é\": x}"), "line 3, column 8", "a token is not where JSON has one");
    assert_bad(SPAN("{\"a\": 1"), "line 1", "ends too early");
    assert_bad(SPAN("[1]]"), "line 1, column 4", "behind its end");
    assert_bad(SPAN("{} {}"), "line 1, column 4", "behind its end");
}

static void test_refuses(void **state)
{
    assert_bad(SPAN("{\"a\":1,\"b\":2,\"a\":3}"), "line 1", "stands twice");
    assert_bad(SPAN("{\"a\":1,\"\\u0061\":3}"), "line 1", "stands twice"); /* the same name otherwise spelt */
    assert_bad(SPAN("\"a\\u0000b\""), "line 1", "NUL");
    assert_bad(SPAN("{\"a\\u0000b\":1}"), "line 1", "NUL");
    assert_bad(SPAN("\"\xff\""), "line 1", "UTF-8");
    assert_bad(SPAN("\"\xc0\x80\""), "line 1", "UTF-8");
    assert_bad(SPAN("\"\xed\xa0\x80\""), "line 1", "UTF-8");
    assert_bad(SPAN("[1e999]"), "line 1", "out of range");
    assert_bad(SPAN("[99999999999999999999]"), "line 1", "out of range");
    static const char *const bad[] = {"[NaN]",  "[Infinity]",  "[+1]", "[01]",       "[1.]",    "[.5]",
                                      "{a:1}",  "{'a':1}",     "[1,]", "{\"a\":1,}", "// x\n1", "\"\\x41\"",
                                      "\"\t\"", "\"\\ud800\"", "tru",  "nul"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_bad(span_of(bad[i]), "line 1", "");
    assert_bad(SPAN("{}\0"), "line 1", "");
    assert_bad(SPAN("\xef\xbb\xbf{}"), "line 1", ""); /* a byte order mark */
}

static void nest(struct text *t, size_t depth)
{
    for (size_t i = 0; i < depth; i++)
        text_append_char(t, '[');
    for (size_t i = 0; i < depth; i++)
        text_append_char(t, ']');
}

static void test_depth_is_bounded_before_anything_recurses(void **state)
{
    own(text_done) struct text good = {0};
    own(text_done) struct text bad = {0};
    own(text_done) struct text huge = {0};

    nest(&good, JSON_DEPTH_MAX);
    own(json_freep) json_t *value = read_good(text_span(&good));
    assert_non_null(value);
    nest(&bad, JSON_DEPTH_MAX + 1);
    assert_bad(text_span(&bad), "line 1, column 65", "nested too deeply");
    for (size_t i = 0; i < 1000000; i++)
        text_append_str(&huge, "{\"a\":");
    assert_bad(text_span(&huge), "line 1", "nested too deeply");
}

static void test_brackets_in_strings_are_no_depth(void **state)
{
    own(text_done) struct text t = {0};

    text_append_str(&t, "[\"");
    for (size_t i = 0; i < 200; i++)
        text_append_str(&t, i % 2 ? "\\\"[" : "{\\\\");
    text_append_str(&t, "\"]");
    own(json_freep) json_t *value = read_good(text_span(&t));
    assert_non_null(value);
}

static void test_members(void **state)
{
    own(json_freep) json_t *o = read_good(SPAN("{\"s\":\"x\",\"i\":7,\"b\":true,\"n\":null,\"f\":1.5}"));
    bool ok = true;

    assert_string_equal(json_member_string(o, "s", &ok), "x");
    assert_null(json_member_string(o, "n", &ok));
    assert_null(json_member_string(o, "absent", &ok));
    assert_int_equal(json_member_int(o, "i", -1, &ok), 7);
    assert_int_equal(json_member_int(o, "n", -1, &ok), -1);
    assert_true(json_member_bool(o, "b", false, &ok));
    assert_true(json_member_bool(o, "absent", true, &ok));
    assert_true(ok);

    assert_null(json_member_string(o, "i", &ok));
    assert_false(ok);
    assert_string_equal(json_member_string(o, "s", &ok), "x");
    assert_false(ok); /* never set to true again */
    ok = true;
    assert_int_equal(json_member_int(o, "f", -1, &ok), -1);
    assert_false(ok);
    ok = true;
    assert_false(json_member_bool(o, "i", false, &ok));
    assert_false(ok);
}

/* RFC 6901 §5 */
static void test_pointers(void **state)
{
    own(json_freep) json_t *d =
        read_good(SPAN("{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"m~n\":8,\" \":7,\"x\":{\"y\":[{\"z\":9}]}}"));
    static const struct {
        const char *pointer;
        int value;
    } numbers[] = {{"/", 0}, {"/a~1b", 1}, {"/m~0n", 8}, {"/ ", 7}, {"/x/y/0/z", 9}};

    assert_ptr_equal(json_pointer(d, ""), d);
    assert_string_equal(json_string_value(json_pointer(d, "/foo/1")), "baz");
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        const json_t *found = json_pointer(d, numbers[i].pointer);
        assert_non_null(found);
        assert_int_equal(json_integer_value(found), numbers[i].value);
    }
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
    for (size_t i = 0; i < ARRAY_LEN(nowhere); i++)
        assert_null(json_pointer(d, nowhere[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_any_value),
        cmocka_unit_test(test_says_where),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_depth_is_bounded_before_anything_recurses),
        cmocka_unit_test(test_brackets_in_strings_are_no_depth),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_pointers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
