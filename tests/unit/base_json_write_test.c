/* Writing JSON: commas where they belong, and every byte a client sent comes out as valid JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bailiff/random.h"
#include "bailiff/json.h"

static void test_commas(void **state)
{
    own(text_done) struct text t = {0};

    jw_open(&t, '{');
    jw_member_int(&t, "a", -1);
    jw_member_bool(&t, "b", true);
    jw_key(&t, "c");
    jw_open(&t, '[');
    jw_int(&t, 1);
    jw_open(&t, '{');
    jw_close(&t, '}');
    jw_open(&t, '[');
    jw_close(&t, ']');
    jw_null(&t);
    jw_bool(&t, false);
    jw_raw(&t, "{\"x\":1}", 7);
    jw_close(&t, ']');
    jw_member_string(&t, "d", "x");
    jw_member_raw(&t, "e", "[2]");
    jw_member_raw(&t, "f", NULL);
    jw_member_string(&t, "g", NULL);
    jw_close(&t, '}');
    assert_string_equal(
        t.data,
        "{\"a\":-1,\"b\":true,\"c\":[1,{},[],null,false,{\"x\":1}],\"d\":\"x\",\"e\":[2],\"f\":null,\"g\":null}");
}

static void test_strings_ending_like_structure(void **state)
{
    static const char *const values[] = {"{", "[", ":", ",", "}", "]", "\n", ""};
    own(text_done) struct text t = {0};
    own(json_freep) json_t *back = NULL;

    jw_open(&t, '[');
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        jw_string(&t, values[i]);
    jw_close(&t, ']');
    assert_true(json_read(text_span(&t), "It", &back, NULL));
    assert_int_equal(json_array_size(back), ARRAY_LEN(values));
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        assert_string_equal(json_string_value(json_array_get(back, i)), values[i]);
}

static void test_lines_stand_apart(void **state)
{
    own(text_done) struct text t = {0};

    jw_open(&t, '{');
    jw_close(&t, '}');
    text_append_char(&t, '\n');
    jw_open(&t, '{');
    jw_close(&t, '}');
    assert_string_equal(t.data, "{}\n{}");
}

static void assert_writes(const char *bytes, size_t len, const char *expected)
{
    own(text_done) struct text t = {0};

    jw_string_len(&t, bytes, len);
    assert_string_equal(t.data, expected);
}

static void test_escapes(void **state)
{
    assert_writes("a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"");
    assert_writes("\n\r\t\x01\x1f", 5, "\"\\n\\r\\t\\u0001\\u001f\"");
    assert_writes("\0", 1, "\"\\u0000\"");
    assert_writes("é€😀", 9, "\"é€😀\"");
}

static void test_what_is_no_utf8_is_replaced(void **state)
{
    assert_writes("a\xff"
                  "b",
                  3,
                  "\"a\xef\xbf\xbd"
                  "b\"");
    assert_writes("\xc3", 1, "\"\xef\xbf\xbd\"");
    assert_writes("\xe2\x82"
                  "a",
                  3,
                  "\"\xef\xbf\xbd\xef\xbf\xbd"
                  "a\"");
    assert_writes("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

/* Whatever the bytes are, the result is one valid JSON string. */
static void test_any_bytes_make_valid_json(void **state)
{
    uint8_t bytes[64];

    for (int round = 0; round < 2000; round++) {
        own(text_done) struct text t = {0};
        own(json_freep) json_t *back = NULL;
        struct fault fault = {0};
        random_bytes(bytes, sizeof(bytes));
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] |= bytes[i] == 0; /* a NUL is written, but not read */
        jw_string_len(&t, (const char *)bytes, sizeof(bytes));
        if (!json_read(text_span(&t), "It", &back, &fault))
            fail_msg("%s", fault.message);
        assert_true(json_is_string(back));
    }
}

static void test_times(void **state)
{
    own(text_done) struct text t = {0};

    jw_open(&t, '{');
    jw_member_time(&t, "never", 0);
    jw_member_time(&t, "then", 951782400001);
    jw_close(&t, '}');
    assert_string_equal(t.data, "{\"never\":null,\"then\":\"2000-02-29T00:00:00.001Z\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commas),
        cmocka_unit_test(test_strings_ending_like_structure),
        cmocka_unit_test(test_lines_stand_apart),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_what_is_no_utf8_is_replaced),
        cmocka_unit_test(test_any_bytes_make_valid_json),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
