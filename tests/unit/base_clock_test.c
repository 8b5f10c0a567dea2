/* Times as text and back, and two clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bailiff/clock.h"

static void assert_formats(int64_t ms, const char *expected)
{
    char out[TIME_TEXT_SIZE];

    time_format(ms, out);
    assert_string_equal(out, expected);
}

static void test_formats(void **state)
{
    assert_formats(0, "1970-01-01T00:00:00.000Z");
    assert_formats(1, "1970-01-01T00:00:00.001Z");
    assert_formats(951782400000, "2000-02-29T00:00:00.000Z");
    assert_formats(1709164799999, "2024-02-28T23:59:59.999Z");
    assert_formats(1709164800000, "2024-02-29T00:00:00.000Z");
    assert_formats(1709251200000, "2024-03-01T00:00:00.000Z");
    assert_formats(4107542400000, "2100-03-01T00:00:00.000Z"); /* 2100 has no 29 February */
    assert_formats(4107542399999, "2100-02-28T23:59:59.999Z");
    assert_formats(253402300799999, "9999-12-31T23:59:59.999Z");
}

static void test_formats_what_cannot_be_within_bounds(void **state)
{
    assert_formats(-1, "1970-01-01T00:00:00.000Z");
    assert_formats(INT64_MIN, "1970-01-01T00:00:00.000Z");
    assert_formats(INT64_MAX, "9999-12-31T23:59:59.999Z");
}

static void assert_parses(const char *s, int64_t expected)
{
    int64_t ms = -4711;

    if (!time_parse(s, strlen(s), &ms))
        fail_msg("'%s' was refused", s);
    assert_int_equal(ms, expected);
}

static void test_parses(void **state)
{
    assert_parses("1970-01-01T00:00:00Z", 0);
    assert_parses("1969-12-31T23:59:59Z", -1000);
    assert_parses("0001-01-01T00:00:00Z", -62135596800000);
    assert_parses("2024-02-29T12:34:56Z", 1709210096000);
    assert_parses("2024-02-29t12:34:56z", 1709210096000);
    assert_parses("2024-02-29 12:34:56Z", 1709210096000);
    assert_parses("2024-02-29T12:34:56.7Z", 1709210096700);
    assert_parses("2024-02-29T12:34:56.789Z", 1709210096789);
    assert_parses("2024-02-29T12:34:56.789999999Z", 1709210096789); /* what is finer is cut, not rounded */
    assert_parses("2024-02-29T12:34:56+00:00", 1709210096000);
    assert_parses("2024-02-29T14:04:56+01:30", 1709210096000);
    assert_parses("2024-02-29T07:34:56-05:00", 1709210096000);
    assert_parses("2016-12-31T23:59:60Z", 1483228799000); /* a leap second is the second before it */
}

static void test_refuses_everything_else(void **state)
{
    static const char *const bad[] = {
        "",
        "2024",
        "2024-02-29",
        "2024-02-29T12:34:56", /* no offset */
        "2024-02-29T12:34Z",
        "2024-02-29T12:34:56.Z", /* a fraction without digits */
        "2024-02-29T12:34:56.1234567890Z",
        "2024-02-29T12:34:56,5Z",
        "2024-02-29T12:34:56Z ",
        " 2024-02-29T12:34:56Z",
        "2024-02-29T12:34:56ZZ",
        "2024-02-29T12:34:56+0100",
        "2024-02-29T12:34:56+24:00",
        "2024-02-29T12:34:56+01:60",
        "2024-02-29T12:34:56+01",
        "2024-2-29T12:34:56Z",
        "24-02-29T12:34:56Z",
        "2024/02/29T12:34:56Z",
        "2024-02-29X12:34:56Z",
        "2024-00-29T12:34:56Z",
        "2024-13-29T12:34:56Z",
        "2024-02-00T12:34:56Z",
        "2024-02-30T12:34:56Z",
        "2023-02-29T12:34:56Z", /* no leap year */
        "2100-02-29T12:34:56Z",
        "2024-04-31T12:34:56Z",
        "2024-02-29T24:00:00Z",
        "2024-02-29T12:60:56Z",
        "2024-02-29T12:34:61Z",
        "-024-02-29T12:34:56Z",
        "+2024-02-29T12:34:56Z",
        "2024-02-29T12:34:5\xc2\xb2Z",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t ms = -4711;
        if (time_parse(bad[i], strlen(bad[i]), &ms))
            fail_msg("'%s' was taken as %lld", bad[i], (long long)ms);
        assert_int_equal(ms, -4711);
    }
    int64_t ms;
    assert_false(time_parse("2024-02-29T12:34:56\0Z", 21, &ms));
    assert_false(time_parse("2024-02-29T12:34:56Z", 19, &ms)); /* no more is read than is there */
}

static void test_every_day_comes_back(void **state)
{
    const int64_t day = 86400000;

    for (int64_t ms = 0; ms <= 253402300799999; ms += 11 * day + 3723004) {
        char text[TIME_TEXT_SIZE];
        int64_t back = -1;
        time_format(ms, text);
        assert_true(time_parse(text, strlen(text), &back));
        assert_int_equal(back, ms);
    }
}

static void test_clocks(void **state)
{
    int64_t mono = clock_mono_ms(), mono_us = clock_mono_us();

    assert_true(clock_wall_ms() > 1700000000000); /* set at all */
    assert_true(clock_mono_ms() >= mono);
    assert_true(clock_mono_us() >= mono_us);
    assert_true(mono_us / 1000 >= mono);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_formats_what_cannot_be_within_bounds),
        cmocka_unit_test(test_parses),
        cmocka_unit_test(test_refuses_everything_else),
        cmocka_unit_test(test_every_day_comes_back),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
