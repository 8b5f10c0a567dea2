/* Heads of HTTP/1 requests: what is refused, what is not, and that arrival in pieces makes no difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

#include "server/head.h"

enum { BODY_MAX = 65536 };
#define HOST "Host: localhost\r\n"

static const char *const BAD[] = {
    /* framing */
    "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: 5, 5\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: 5 \t5\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n",
    "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding\t: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n",
    /* Host */
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
    /* lines */
    "GET / HTTP/1.1\nHost: a\n\n",
    "GET / HTTP/1.1\r\nHost: a\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\n",
    "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\tfolded\r\n\r\n",
    "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST "X: a\x01"
    "b\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST "X: a\x7f\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST "X: a\x1b[2J\r\n\r\n",
    "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
    "\nGET / HTTP/1.1\r\n" HOST "\r\n",
    /* fields */
    "GET / HTTP/1.1\r\n" HOST ": empty\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST "a b: c\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST "a(b: c\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST "\xc3\xa4: c\r\n\r\n",
    /* request line */
    "GET /\r\n" HOST "\r\n",
    "GET  / HTTP/1.1\r\n" HOST "\r\n",
    "GET / HTTP/1.1 \r\n" HOST "\r\n",
    "GET / HTTP/1.1 x\r\n" HOST "\r\n",
    "GET\t/\tHTTP/1.1\r\n" HOST "\r\n",
    " GET / HTTP/1.1\r\n" HOST "\r\n",
    "GET / HTTP/1.2\r\n" HOST "\r\n",
    "GET / HTTP/2.0\r\n" HOST "\r\n",
    "GET / HTTP/0.9\r\n" HOST "\r\n",
    "GET / http/1.1\r\n" HOST "\r\n",
    "GET / HTTP/01.1\r\n" HOST "\r\n",
    "GET / HTTP/1.1x\r\n" HOST "\r\n",
    "G@T / HTTP/1.1\r\n" HOST "\r\n",
    "get / HTTP/1.1\r\n" HOST "\r\n",
    "BREW /pot HTTP/1.1\r\n" HOST "\r\n",
    "TRACE / HTTP/1.1\r\n" HOST "\r\n",
    "OTHER / HTTP/1.1\r\n" HOST "\r\n",
    "G\xc3\x89T / HTTP/1.1\r\n" HOST "\r\n",
    "AMETHODWHOSENAMEISMUCHTOOLONGTOBEONE / HTTP/1.1\r\n" HOST "\r\n",
    "GET http://localhost/ HTTP/1.1\r\n" HOST "\r\n",
    "GET * HTTP/1.1\r\n" HOST "\r\n",
    "CONNECT localhost:443 HTTP/1.1\r\n" HOST "\r\n",
    "GET /a#b HTTP/1.1\r\n" HOST "\r\n",
    "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n",
    "GET index HTTP/1.1\r\n" HOST "\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
};

static const char *const GOOD[] = {
    "GET / HTTP/1.1\r\n" HOST "\r\n",
    "\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: old\r\nConnection: keep-alive\r\n\r\n",
    "GET /a/b/../c%2f?x=1&y=//%00 HTTP/1.1\r\n" HOST "\r\n",
    "PATCH / HTTP/1.1\r\n" HOST "\r\n",
    "OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
    "GET / HTTP/1.1\r\nhOsT:localhost:8443\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n",
    "GET / HTTP/1.1\r\nHost:  \t localhost \t \r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST "X-Empty:\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST "X: a\tb\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST "X: gr\xc3\xbc\xc3\x9f\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST "X: 1\r\nX: 2\r\nX: 1\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST "!#$%&'*+-.^_`|~09az: odd\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: 0000005\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: 65536\r\nExpect: 100-continue\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc",
    "GET / HTTP/1.1\r\n" HOST "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
};

static enum head_verdict read_whole(const char *s, struct head *head)
{
    return head_read(s, strlen(s), 0, BODY_MAX, head);
}

/* As it comes over a slow line: a byte at a time. */
static enum head_verdict read_slowly(const char *s, struct head *head)
{
    enum head_verdict verdict = HEAD_MORE;

    for (size_t len = 1; verdict == HEAD_MORE && len <= strlen(s); len++)
        verdict = head_read(s, len, len - 1, BODY_MAX, head);
    return verdict;
}

static void bad_heads_are_refused(void **state)
{
    struct head head;

    assert_true(ARRAY_LEN(BAD) >= 60);
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        if (read_whole(BAD[i], &head) != HEAD_REFUSED)
            fail_msg("accepted: %s", BAD[i]);
        assert_int_equal(head.status, 400);
        assert_non_null(head.reason);
        if (read_slowly(BAD[i], &head) != HEAD_REFUSED)
            fail_msg("accepted in pieces: %s", BAD[i]);
    }
}

static void good_heads_are_read(void **state)
{
    struct head head, slow;

    assert_true(ARRAY_LEN(GOOD) >= 20);
    for (size_t i = 0; i < ARRAY_LEN(GOOD); i++) {
        if (read_whole(GOOD[i], &head) != HEAD_OK)
            fail_msg("refused (%s): %s", head.reason, GOOD[i]);
        if (read_slowly(GOOD[i], &slow) != HEAD_OK)
            fail_msg("refused in pieces (%s): %s", slow.reason, GOOD[i]);
        assert_int_equal(head.len, slow.len);
        assert_memory_equal(GOOD[i] + head.len - 4, "\r\n\r\n", 4);
        assert_int_equal(head.field_count, slow.field_count);
        assert_true(span_eq(head.target, slow.target));
        for (size_t cut = 0; cut < head.len; cut++)
            assert_int_equal(head_read(GOOD[i], cut, 0, BODY_MAX, &slow), HEAD_MORE);
    }
}

static void every_part_is_found(void **state)
{
    const char *text = "POST /p?q HTTP/1.1\r\nHost: h\r\nA:  b \r\nContent-Length: 12\r\n\r\nhello";
    struct head head;

    assert_int_equal(read_whole(text, &head), HEAD_OK);
    assert_true(span_is(head.method, "POST"));
    assert_true(span_is(head.target, "/p?q"));
    assert_int_equal(head.minor_version, 1);
    assert_int_equal(head.field_count, 3);
    assert_true(span_is(head.fields[1].name, "A"));
    assert_true(span_is(head.fields[1].value, "b"));
    assert_true(head.has_length);
    assert_int_equal(head.content_length, 12);
    assert_string_equal(text + head.len, "hello");
}

static void large_bodies_are_refused_with_the_head(void **state)
{
    struct head head;

    assert_int_equal(read_whole("POST / HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n", &head), HEAD_REFUSED);
    assert_int_equal(head.status, 413);
}

static void other_expectations_are_refused(void **state)
{
    struct head head;

    assert_int_equal(read_whole("POST / HTTP/1.1\r\n" HOST "Expect: tea\r\n\r\n", &head), HEAD_REFUSED);
    assert_int_equal(head.status, 417);
}

static void build(struct text *t, size_t fields, size_t value_len)
{
    text_append_str(t, "GET / HTTP/1.1\r\n" HOST);
    for (size_t i = 1; i < fields; i++) {
        text_printf(t, "x-%zu: ", i);
        for (size_t k = 0; k < value_len; k++)
            text_append_char(t, 'v');
        text_append_str(t, "\r\n");
    }
    text_append_str(t, "\r\n");
}

static void sixty_four_fields_and_no_more(void **state)
{
    own(text_done) struct text fits = {0}, more = {0};
    struct head head;

    build(&fits, 64, 4);
    build(&more, 65, 4);
    assert_int_equal(read_whole(fits.data, &head), HEAD_OK);
    assert_int_equal(head.field_count, 64);
    assert_int_equal(read_whole(more.data, &head), HEAD_REFUSED);
    assert_int_equal(head.status, 400);
}

static void heads_are_bounded(void **state)
{
    own(text_done) struct text large = {0}, fits = {0};
    struct head head;

    build(&fits, 16, 1000);
    assert_true(fits.len < HEAD_SIZE_MAX);
    assert_int_equal(read_whole(fits.data, &head), HEAD_OK);
    build(&large, 20, 1000);
    assert_int_equal(read_whole(large.data, &head), HEAD_REFUSED);
    assert_int_equal(head.status, 431);
    assert_int_equal(read_slowly(large.data, &head), HEAD_REFUSED);
    assert_int_equal(head.status, 431);
    /* Refused before its end has come. */
    assert_int_equal(head_read(large.data, HEAD_SIZE_MAX - 1, 0, BODY_MAX, &head), HEAD_MORE);
    assert_int_equal(head_read(large.data, HEAD_SIZE_MAX, 0, BODY_MAX, &head), HEAD_REFUSED);
}

static void nul_bytes_are_refused(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n";
    struct head head;

    assert_int_equal(head_read(text, sizeof(text) - 1, 0, BODY_MAX, &head), HEAD_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_heads_are_refused),
        cmocka_unit_test(good_heads_are_read),
        cmocka_unit_test(every_part_is_found),
        cmocka_unit_test(large_bodies_are_refused_with_the_head),
        cmocka_unit_test(other_expectations_are_refused),
        cmocka_unit_test(sixty_four_fields_and_no_more),
        cmocka_unit_test(heads_are_bounded),
        cmocka_unit_test(nul_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
