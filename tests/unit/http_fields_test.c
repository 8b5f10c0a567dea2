#include "http_kit.h"

/* ---- Idempotency-Key ---- */

static enum header_state read_key(const char *first, const char *second, struct span *key)
{
    struct exchange x = {0};

    if (first)
        kit_request_header(&x, "idempotency-key", first);
    if (second)
        kit_request_header(&x, "Idempotency-Key", second);
    enum header_state state = idempotency_key_read(&x, key);
    kit_exchange_done(&x);
    return state;
}

static void test_idempotency_keys(void **state)
{
    static const struct {
        const char *value, *key;
    } good[] = {
        {"8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"},
        {"\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", "8e03978e-40d5-43dd-bc93-6894a57f9324"},
        {" \"a b\"\t", "a b"},
        {"\"a,b;c\"", "a,b;c"},
        {"\"a\\\"b\\\\\"", "a\\\"b\\\\"},
        {"x/y+z==", "x/y+z=="},
    };
    static const char *const bad[] = {
        "",         " ",      "\"\"",      "\"",   "\"a",          "a\"",       "\"a\"b\"", "\"a\\\"",
        "\"a\\b\"", "a b",    "a,b",       "a;b",  "\"a\", \"b\"", "\"a\";p=1", "\xc3\xa9", "\"\xc3\xa9\"",
        "a\x01",    "\"\t\"", "\"a\x7f\"", "a\\b",
    };
    struct span key;

    assert_int_equal(read_key(NULL, NULL, &key), HEADER_NONE);
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(read_key(good[i].value, NULL, &key), HEADER_OK);
        assert_span(key, good[i].key);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (read_key(bad[i], NULL, &key) != HEADER_BAD)
            fail_msg("taken: %s", bad[i]);
    assert_int_equal(read_key("a", "a", &key), HEADER_BAD);
}

static void test_idempotency_keys_have_a_longest_length(void **state)
{
    char bare[257] = "", quoted[600] = "\"";
    struct span key;

    memset(bare, 'k', 255);
    assert_int_equal(read_key(bare, NULL, &key), HEADER_OK);
    bare[255] = 'k';
    assert_int_equal(read_key(bare, NULL, &key), HEADER_BAD);
    for (size_t i = 0; i < 255; i++)
        strcat(quoted, "\\\\"); /* one character */
    strcat(quoted, "\"");
    assert_int_equal(read_key(quoted, NULL, &key), HEADER_OK);
    quoted[511] = '\0';
    strcat(quoted, "x\"");
    assert_int_equal(read_key(quoted, NULL, &key), HEADER_BAD);
}

/* ---- traceparent ---- */

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

static void test_traceparents(void **state)
{
    static const char *const good[] = {
        "00-" TRACE "-" PARENT "-01",
        "01-" TRACE "-" PARENT "-01",
        "cc-" TRACE "-" PARENT "-01-what-the-future-will-be-like",
        "cc-" TRACE "-" PARENT "-01-",
    };
    static const char *const bad[] = {
        "",
        "00",
        "00-" TRACE "-" PARENT "-0",
        "00-" TRACE "-" PARENT "-01-",
        "00-" TRACE "-" PARENT "-01-x",
        "cc-" TRACE "-" PARENT "-01x",
        "cc-" TRACE "-" PARENT "-01.x",
        "ff-" TRACE "-" PARENT "-01",
        "0g-" TRACE "-" PARENT "-01",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
        "00-" TRACE "-00F067AA0BA902B7-01",
        "00-" TRACE "-" PARENT "-0A",
        "00_" TRACE "-" PARENT "-01",
        "00-" TRACE "_" PARENT "-01",
        "00-" TRACE "-" PARENT "_01",
        " 00-" TRACE "-" PARENT "-01",
        "00-" TRACE "-" PARENT "-01 ",
    };
    struct span trace = {0}, parent = {0};
    uint8_t flags = 0;

    assert_int_equal(traceparent_read((struct span){0}, &trace, &parent, &flags), HEADER_NONE);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (traceparent_read(span_of(bad[i]), &trace, &parent, &flags) != HEADER_BAD)
            fail_msg("taken: %s", bad[i]);
    assert_null(trace.data);
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        flags = 0;
        assert_int_equal(traceparent_read(span_of(good[i]), &trace, &parent, &flags), HEADER_OK);
        assert_span(trace, TRACE);
        assert_span(parent, PARENT);
        assert_int_equal(flags, 1);
    }
}

/* ---- entity tags ---- */

static void test_entity_tags(void **state)
{
    static const struct {
        const char *list;
        bool strong, weak; /* does "abc" match? */
    } cases[] = {
        {"\"abc\"", true, true},      {"W/\"abc\"", false, true},       {"*", true, true},
        {" * ", true, true},          {"\"x\", \"abc\"", true, true},   {"\"x\",\"abc\",W/\"y\"", true, true},
        {", ,\"abc\",", true, true},  {"\"a,b\", \"abc\"", true, true}, {"\"a,abc\"", false, false},
        {"\"x\"", false, false},      {"\"\"", false, false},           {"", false, false},
        {"abc", false, false},        {"\"abc", false, false},          {"abc\"", false, false},
        {"w/\"abc\"", false, false},  {"W\"abc\"", false, false},       {"\"abc\" \"x\"", false, false},
        {"\"abc\", x", false, false}, /* malformed anywhere: no match */
        {"\"abc\", *", false, false}, {"*, \"abc\"", false, false},     {"\"a c\", \"abc\"", false, false},
        {"W/", false, false},         {"\"ABC\"", false, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (etag_list_matches(span_of(cases[i].list), "abc", false) != cases[i].strong ||
            etag_list_matches(span_of(cases[i].list), "abc", true) != cases[i].weak)
            fail_msg("wrong: %s", cases[i].list);
    assert_false(etag_list_matches((struct span){0}, "abc", true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idempotency_keys),
        cmocka_unit_test(test_idempotency_keys_have_a_longest_length),
        cmocka_unit_test(test_traceparents),
        cmocka_unit_test(test_entity_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
