/* Sizes and times as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bailiff/quantity.h"

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } CASES[] = {{"0", 0},
                 {"0KiB", 0},
                 {"1B", 1},
                 {"64KiB", 65536},
                 {"10MiB", 10 << 20},
                 {"1GiB", 1 << 30},
                 {"16777215TiB", UINT64_C(16777215) << 40}};

    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        uint64_t bytes = 1;

        assert_true(size_parse(span_of(CASES[i].text), &bytes));
        assert_int_equal(bytes, CASES[i].bytes);
    }
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } CASES[] = {{"0", 0}, {"500ms", 500}, {"10s", 10000}, {"5m", 300000}, {"24h", 86400000}};

    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        uint64_t ms = 1;

        assert_true(duration_parse(span_of(CASES[i].text), &ms));
        assert_int_equal(ms, CASES[i].ms);
    }
}

static void test_what_is_none(void **state)
{
    static const char *const SIZES[] = {"",
                                        "1",
                                        "KiB",
                                        "1kb",
                                        "1 KiB",
                                        "-1KiB",
                                        "1.5MiB",
                                        "1kiB",
                                        "1KiB ",
                                        " 1B",
                                        "0x1KiB",
                                        "1KiBB",
                                        "18446744073709551616B",
                                        "16777216TiB"};
    static const char *const TIMES[] = {"",     "1",  "s",  "1 s",   "-1s",
                                        "1.5s", "1d", "1S", "10sec", "18446744073709551615s"};
    uint64_t n = 42;

    for (size_t i = 0; i < ARRAY_LEN(SIZES); i++)
        if (size_parse(span_of(SIZES[i]), &n))
            fail_msg("\"%s\" was read", SIZES[i]);
    for (size_t i = 0; i < ARRAY_LEN(TIMES); i++)
        if (duration_parse(span_of(TIMES[i]), &n))
            fail_msg("\"%s\" was read", TIMES[i]);
    assert_int_equal(n, 42);
}

static void test_formats_read_the_same(void **state)
{
    static const uint64_t VALUES[] = {0,     1,     999,     1000,     1023,    1024,      1536,
                                      60000, 90000, 3600000, 86400000, 1 << 20, UINT64_MAX};

    for (size_t i = 0; i < ARRAY_LEN(VALUES); i++) {
        own(text_done) struct text size = {0}, time = {0};
        uint64_t n = 1;

        size_format(VALUES[i], &size);
        assert_true(size_parse(text_span(&size), &n));
        assert_int_equal(n, VALUES[i]);
        duration_format(VALUES[i], &time);
        assert_true(duration_parse(text_span(&time), &n));
        assert_int_equal(n, VALUES[i]);
    }
}

static void test_formats_are_short(void **state)
{
    own(text_done) struct text out = {0};

    size_format(UINT64_C(3) << 30, &out);
    text_append_char(&out, ' ');
    size_format(1500, &out);
    text_append_char(&out, ' ');
    duration_format(90000, &out);
    text_append_char(&out, ' ');
    duration_format(86400000, &out);
    assert_string_equal(out.data, "3GiB 1500B 90s 24h");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_formats_read_the_same),
        cmocka_unit_test(test_formats_are_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
