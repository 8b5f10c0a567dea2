/* Text for people: harmless, in columns, times, durations. */
#include "app_kit.h"

#include <time.h>

#include "app/shown.h"

#define ASSERT_SHOWN(function, input, expected)                      \
    do {                                                             \
        own(text_done) struct text shown = {0};                      \
        function(&shown, (struct span){(input), sizeof(input) - 1}); \
        assert_string_equal(shown.len ? shown.data : "", expected);  \
    } while (0)

static void test_plain_text_stays(void **state)
{
    ASSERT_SHOWN(shown_append, "", "");
    ASSERT_SHOWN(shown_append, "JOB_a-1 (x) \\ \"q\"", "JOB_a-1 (x) \\ \"q\"");
    ASSERT_SHOWN(shown_append, "Größe 数据 😀 e\xcc\x81", "Größe 数据 😀 e\xcc\x81");
}

static void test_what_drives_a_terminal_is_shown(void **state)
{
    ASSERT_SHOWN(shown_append, "\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\a");
    ASSERT_SHOWN(shown_append,
                 "a\r\nb\tc\bd\x7f"
                 "e",
                 "a\\r\\nb\\tc\\bd\\x7fe");
    ASSERT_SHOWN(shown_append, "nul\0end", "nul\\x00end");
    ASSERT_SHOWN(shown_append,
                 "\xc2\x9b"
                 "31m",
                 "\\x9b31m"); /* CSI as U+009B */
    ASSERT_SHOWN(shown_append,
                 "\x9b"
                 "31m",
                 "\\x9b31m"); /* and as a bare byte */
    ASSERT_SHOWN(shown_append,
                 "a\xe2\x80\xae"
                 "exe.txt",
                 "a\\u202eexe.txt");                                                /* right-to-left override */
    ASSERT_SHOWN(shown_append, "x\xe2\x80\x8by\xef\xbb\xbfz", "x\\u200by\\ufeffz"); /* zero width */
    ASSERT_SHOWN(shown_append, "t\xf3\xa0\x81\x81", "t\\U000e0041");                /* tag characters */
}

static void test_bytes_that_are_no_text(void **state)
{
    ASSERT_SHOWN(shown_append, "\xff\xfe", "\\xff\\xfe");
    ASSERT_SHOWN(shown_append, "\xc3", "\\xc3");
    ASSERT_SHOWN(shown_append, "\xc0\xaf", "\\xc0\\xaf");                   /* overlong */
    ASSERT_SHOWN(shown_append, "\xed\xa0\x80!", "\\xed\\xa0\\x80!");        /* surrogate */
    ASSERT_SHOWN(shown_append, "\xf0\x9f\x98", "\\xf0\\x9f\\x98");          /* cut off */
    ASSERT_SHOWN(shown_append, "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* beyond Unicode */
}

static void test_json_stays_json(void **state)
{
    ASSERT_SHOWN(shown_append_json, "{\"a\":\"\xc2\x9b\x7f\"}\n", "{\"a\":\"\\u009b\\u007f\"}\n");
    ASSERT_SHOWN(shown_append_json, "\"\xe2\x80\xae\xf3\xa0\x81\x81\"", "\"\\u202e\\udb40\\udc41\"");
    ASSERT_SHOWN(shown_append_json, "\"Größe\"", "\"Größe\"");
}

/* However it is cut, a log is shown the same. */
static void test_logs_in_pieces(void **state)
{
    static const char LOG[] = "ok\tGröße 数😀\n\x1b[31mred\r\xff\xc3";
    static const char SHOWN[] = "ok\tGröße 数😀\n\\x1b[31mred\\r\\xff\\xc3";

    for (size_t piece = 1; piece <= sizeof(LOG); piece++) {
        own(text_done) struct text shown = {0};
        struct shown_stream stream = {0};

        for (size_t at = 0; at < sizeof(LOG) - 1; at += piece)
            shown_stream_append(&stream, &shown, (struct span){LOG + at, MIN(piece, sizeof(LOG) - 1 - at)});
        shown_stream_end(&stream, &shown);
        assert_string_equal(shown.data, SHOWN);
    }
}

static void test_columns(void **state)
{
    assert_int_equal(shown_columns(SPAN("")), 0);
    assert_int_equal(shown_columns(SPAN("abc")), 3);
    assert_int_equal(shown_columns(SPAN("Größe")), 5);
    assert_int_equal(shown_columns(SPAN("数据")), 4);
    assert_int_equal(shown_columns(SPAN("e\xcc\x81")), 1);
    assert_int_equal(shown_columns(SPAN("😀")), 2);
}

static void assert_time(const char *time, bool zone, const char *expected)
{
    own(text_done) struct text shown = {0};

    shown_time(&shown, time, zone);
    assert_string_equal(shown.data, expected);
}

static void test_times(void **state)
{
    setenv("TZ", "XXX-05:30", 1);
    tzset();
    assert_time("2026-01-02T03:04:05.678Z", false, "2026-01-02 08:34:05");
    assert_time("2026-01-02T03:04:05.678Z", true, "2026-01-02 08:34:05 +0530");
    assert_time("2026-01-02 03:04:05.678000", false, "2026-01-02 08:34:05");
    assert_time("yesterday\x1b[", false, "yesterday\\x1b[");
    assert_time("2026-99-02 03:04:05.678000", false, "2026-99-02 03:04:05.678000");
    unsetenv("TZ");
    tzset();
}

static void assert_duration(int64_t ms, const char *expected)
{
    own(text_done) struct text shown = {0};

    shown_duration(&shown, ms);
    assert_string_equal(shown.data, expected);
}

static void test_durations(void **state)
{
    assert_duration(0, "0ms");
    assert_duration(999, "999ms");
    assert_duration(1000, "1.0s");
    assert_duration(59999, "59.9s");
    assert_duration(245000, "4m05s");
    assert_duration(7380000, "2h03m");
    assert_duration(273600000, "3d04h");
    assert_duration(-1, "-");
    assert_duration(INT64_MAX, "106751991167d07h");
}

static void test_tables(void **state)
{
    static const char *const TITLES[] = {"ID", "STATUS", "BY"};
    own(table_done) struct table t;
    own(freep) char *printed = NULL;
    size_t len;
    FILE *out = open_memstream(&printed, &len);

    table_init(&t, TITLES, ARRAY_LEN(TITLES));
    table_print(&t, out); /* without rows: nothing, not even titles */
    fflush(out);
    assert_string_equal(printed, "");
    for (size_t i = 0; i < 2; i++) {
        table_cell(&t, i == 0 ? "数据" : "a\nb");
        table_cell(&t, i == 0 ? "RUNNING" : NULL);
        table_cell(&t, i == 0 ? "Zoë" : "");
    }
    table_print(&t, out);
    table_cell(&t, "next");
    table_cell(&t, "OK");
    table_cell(&t, "x");
    table_print(&t, out);
    fclose(out);
    assert_string_equal(printed, "ID    STATUS   BY\n"
                                 "数据  RUNNING  Zoë\n"
                                 "a\\nb  -        -\n"
                                 "next  OK       x\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_text_stays),
        cmocka_unit_test(test_what_drives_a_terminal_is_shown),
        cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_json_stays_json),
        cmocka_unit_test(test_logs_in_pieces),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
