/* Log lines: one a write, and nothing that a client sends can look like structure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "bailiff/clock.h"
#include "bailiff/json.h"
#include "bailiff/log.h"

/* What a line says behind its time. */
static char *line_of(enum log_format format, const char *message, const struct log_field *fields, size_t count)
{
    struct log *log = log_new(-1, format, LOG_DEBUG);
    own(text_done) struct text line = {0};

    log_format_line(log, &line, LOG_WARNING, "thing.happened", message, fields, count);
    log_free(log);
    assert_int_equal(line.data[line.len - 1], '\n');
    assert_ptr_equal(memchr(line.data, '\n', line.len), line.data + line.len - 1); /* one line */
    line.data[line.len - 1] = '\0';
    if (format == LOG_JSON)
        return text_take(&line);
    int64_t ms;
    char *rest = strchr(line.data, ' ');
    assert_non_null(rest);
    assert_true(time_parse(line.data, (size_t)(rest - line.data), &ms));
    return xstrdup(rest + 1);
}
#define LINE(format, message, ...)                                    \
    line_of(format, message, (const struct log_field[]){__VA_ARGS__}, \
            sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

static void test_text(void **state)
{
    own(freep) char *line =
        LINE(LOG_TEXT, "It did.", L_STR("who", "me"), L_INT("n", -5), L_STR("absent", NULL), L_STR("empty", ""));

    assert_string_equal(line, "warning thing.happened \"It did.\" who=me n=-5 empty=\"\"");
}

static void test_text_cannot_be_forged(void **state)
{
    own(freep) char *line = LINE(LOG_TEXT, NULL, L_STR("path", "/x role=admin"), L_STR("b", "a\nwarning fake"),
                                 L_STR("c", "\"q\\"), L_STR("d", "é\x1b[31m"));

    assert_string_equal(
        line,
        "warning thing.happened path=\"/x role=admin\" b=\"a\\nwarning fake\" c=\"\\\"q\\\\\" d=\"é\\u001b[31m\"");
}

static void test_json(void **state)
{
    own(freep) char *line = LINE(LOG_JSON, "It did.", L_STR("who", "a\"b\n\xff"), L_INT("n", 7), L_STR("absent", NULL));
    own(json_freep) json_t *read = NULL;
    bool ok = true;

    assert_true(json_read(span_of(line), "The line", &read, NULL));
    assert_string_equal(json_member_string(read, "level", &ok), "warning");
    assert_string_equal(json_member_string(read, "event", &ok), "thing.happened");
    assert_string_equal(json_member_string(read, "message", &ok), "It did.");
    assert_string_equal(json_member_string(read, "who", &ok), "a\"b\n\xef\xbf\xbd");
    assert_int_equal(json_member_int(read, "n", 0, &ok), 7);
    assert_null(json_object_get(read, "absent"));
    assert_non_null(json_object_get(read, "time"));
    assert_true(ok);
}

static void test_levels(void **state)
{
    int ends[2];
    char buffer[1000];

    assert_int_equal(pipe(ends), 0);
    struct log *log = log_new(ends[1], LOG_TEXT, LOG_WARNING);
    assert_false(log_enabled(log, LOG_INFO));
    assert_true(log_enabled(log, LOG_ERROR));
    assert_false(log_enabled(NULL, LOG_ERROR));
    log_write(log, LOG_INFO, "a.quiet", NULL, L_INT("n", 1));
    log_write(log, LOG_ERROR, "a.loud", "Now!", L_INT("n", 2));
    log_write(NULL, LOG_ERROR, "a.lost", NULL, L_INT("n", 3));
    ssize_t n = read(ends[0], buffer, sizeof(buffer) - 1);
    assert_true(n > 0);
    buffer[n] = '\0';
    assert_null(strstr(buffer, "quiet"));
    assert_non_null(strstr(buffer, "error a.loud Now! n=2\n"));
    log_free(log);
    close(ends[0]);
    close(ends[1]);
}

static void test_a_log_that_cannot_be_written_is_no_end(void **state)
{
    struct log *log = log_new(-1, LOG_TEXT, LOG_DEBUG);

    log_write(log, LOG_ERROR, "a.loud", NULL, L_INT("n", 1));
    log_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_cannot_be_forged),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_a_log_that_cannot_be_written_is_no_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
