/* Chunked bodies: what is refused, what is not, and that arrival in pieces makes no difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

#include "bailiff/text.h"
#include "server/chunks.h"

struct body_case {
    const char *wire, *body; /* body NULL: refused */
    ssize_t left;
};

static const struct body_case CASES[] = {
    {"0\r\n\r\n", "", 0},
    {"5\r\nhello\r\n0\r\n\r\n", "hello", 0},
    {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET /", "hello world", 5},
    {"00000005\r\nhello\r\n00\r\n\r\n", "hello", 0},
    {"A\r\n0123456789\r\n0\r\n\r\n", "0123456789", 0},
    {"a\r\n0123456789\r\n0\r\n\r\n", "0123456789", 0},
    {"5;name=value\r\nhello\r\n0;x\r\n\r\n", "hello", 0},
    {"2\r\n\r\n\r\n0\r\n\r\n", "\r\n", 0},
    {"\r\n", NULL, 0},
    {"g\r\n", NULL, 0},
    {"-1\r\n", NULL, 0},
    {"+5\r\nhello\r\n", NULL, 0},
    {"0x5\r\nhello\r\n", NULL, 0},
    {" 5\r\nhello\r\n", NULL, 0},
    {"5 \r\nhello\r\n", NULL, 0},
    {"5 ;x\r\nhello\r\n", NULL, 0},
    {";x\r\n", NULL, 0},
    {"5\nhello\r\n0\r\n\r\n", NULL, 0},
    {"5\rhello\r\n0\r\n\r\n", NULL, 0},
    {"5\r\nhello\n0\r\n\r\n", NULL, 0},
    {"5\r\nhello0\r\n\r\n", NULL, 0},
    {"5\r\nhello\r\r\n0\r\n\r\n", NULL, 0},
    {"5\r\nhelloworld\r\n0\r\n\r\n", NULL, 0},
    {"000000005\r\nhello\r\n", NULL, 0},
    {"fffffffff\r\n", NULL, 0},
    {"10000000000000005\r\nhello\r\n0\r\n\r\n", NULL, 0},
    {"5;a\nb\r\nhello\r\n0\r\n\r\n", NULL, 0},
    {"5;a\001\r\nhello\r\n0\r\n\r\n", NULL, 0},
    {"0\r\nX-Trailer: a\r\n\r\n", NULL, 0},
    {"0\r\nContent-Length: 5\r\n\r\n", NULL, 0},
    {"0\r\n\n", NULL, 0},
    {"0\n\n", NULL, 0},
};

/* Feeds `step` bytes at a time behind what is decoded already, as libh2o does. */
static ssize_t feed(const char *wire, size_t step, struct text *body)
{
    struct phr_chunked_decoder decoder = {0};
    ssize_t ret = -2;
    size_t len = strlen(wire);

    text_append(body, "", 0);
    for (size_t at = 0; ret == -2 && at < len;) {
        size_t n = MIN(step, len - at), kept = body->len;
        text_append(body, wire + at, n);
        at += n;
        size_t size = n;
        ret = chunks_read(&decoder, body->data + kept, &size);
        body->len = kept + size;
    }
    return ret;
}

static void each_case_is_judged(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        for (size_t step = 1; step <= strlen(CASES[i].wire); step++) {
            own(text_done) struct text body = {0};
            ssize_t ret = feed(CASES[i].wire, step, &body);
            if (!CASES[i].body) {
                if (ret != -1)
                    fail_msg("accepted by %zu: %s", step, CASES[i].wire);
                continue;
            }
            if (ret < 0)
                fail_msg("refused by %zu: %s", step, CASES[i].wire);
            assert_int_equal(body.len, strlen(CASES[i].body));
            assert_memory_equal(body.data, CASES[i].body, body.len);
        }
        own(text_done) struct text whole = {0};
        if (CASES[i].body)
            assert_int_equal(feed(CASES[i].wire, strlen(CASES[i].wire), &whole), CASES[i].left);
    }
}

static void extensions_are_bounded(void **state)
{
    own(text_done) struct text fits = {0}, more = {0}, body = {0}, other = {0};

    text_append_str(&fits, "1;");
    for (int i = 0; i < CHUNK_EXTENSION_MAX; i++)
        text_append_char(&fits, 'x');
    text_append_span(&more, text_span(&fits));
    text_append_str(&fits, "\r\na\r\n0\r\n\r\n");
    text_append_str(&more, "x\r\na\r\n0\r\n\r\n");
    assert_int_equal(feed(fits.data, 7, &body), 0);
    assert_int_equal(feed(more.data, 7, &other), -1);
}

static void unfinished_bodies_wait(void **state)
{
    static const char wire[] = "5\r\nhello\r\n0\r\n\r\n";

    for (size_t len = 1; len < sizeof(wire) - 1; len++) {
        own(text_done) struct text body = {0};
        own(freep) char *part = xstrndup(wire, len);
        assert_int_equal(feed(part, 3, &body), -2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_case_is_judged),
        cmocka_unit_test(extensions_are_bounded),
        cmocka_unit_test(unfinished_bodies_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
