/* Server-Sent Events: the standard's own examples and what stands against it, cut anywhere. */
#include "app_kit.h"

#include "app/sse.h"

struct told {
    struct text text; /* one line an event: id|type|data; a comment is ":" */
    size_t count, stop_after;
};

static bool take(void *arg, const struct sse_event *event)
{
    struct told *t = arg;

    if (event->data.data)
        text_printf(&t->text, "%s|%s|%.*s\n", event->id, event->type, (int)event->data.len, event->data.data);
    else
        text_append_str(&t->text, ":\n");
    return ++t->count != t->stop_after;
}

/* However it is cut, the same is told. */
#define ASSERT_TOLD(stream, expected) assert_told((struct span){(stream), sizeof(stream) - 1}, expected)
static void assert_told(struct span stream, const char *expected)
{
    for (size_t piece = 1; piece <= stream.len; piece++) {
        struct told told = {0};
        struct sse s;

        sse_init(&s, take, &told);
        for (size_t at = 0; at < stream.len; at += piece)
            assert_true(sse_feed(&s, (struct span){stream.data + at, MIN(piece, stream.len - at)}));
        assert_string_equal(told.text.len ? told.text.data : "", expected);
        sse_done(&s);
        text_done(&told.text);
    }
}

static void test_events(void **state)
{
    ASSERT_TOLD("data: a\n\n", "||a\n");
    ASSERT_TOLD("data: YHOO\ndata: +2\ndata: 10\n\n", "||YHOO\n+2\n10\n");
    ASSERT_TOLD(": hello\n\ndata: first\nid: 1\n\ndata:second\nid\n\ndata:  third\n\n",
                ":\n1||first\n||second\n|| third\n");
    ASSERT_TOLD("data\n\ndata\ndata\n\ndata:", "||\n||\n\n"); /* the last is not whole */
    ASSERT_TOLD("event: reset\nid: 7\ndata: {}\n\ndata: x\n\n", "7|reset|{}\n7||x\n");
    ASSERT_TOLD("event: lonely\n\ndata: x\n\n", "||x\n"); /* an event without data is none */
}

static void test_line_ends(void **state)
{
    ASSERT_TOLD("data: a\r\rdata: b\r\n\r\ndata: c\n\n", "||a\n||b\n||c\n");
    ASSERT_TOLD("\xef\xbb\xbf"
                "data: a\n\ndata: \xef\xbb\xbf\n\n",
                "||a\n||\xef\xbb\xbf\n");
}

static void test_what_is_ignored(void **state)
{
    ASSERT_TOLD("retry: 2000\nfoo: bar\nDATA: x\n data: y\nnonsense\n\n", "");
    ASSERT_TOLD("id: 1\ndata: a\n\nid: 2\0x\ndata: b\n\n", "1||a\n1||b\n");
}

/* An id without data moves the place on, once it is whole. */
static void test_where_to_go_on(void **state)
{
    struct told told = {0};
    struct sse s;

    sse_init(&s, take, &told);
    assert_true(sse_feed(&s, SPAN(":\nid: 41\n\nid: 42\ndata: cut o")));
    assert_string_equal(s.id.data, "41");
    sse_restart(&s);
    assert_true(sse_feed(&s, SPAN("data: whole\n\n")));
    assert_string_equal(told.text.data, ":\n41||whole\n");
    sse_done(&s);
    text_done(&told.text);
}

static void test_limits(void **state)
{
    own(freep) char *long_line = xmalloc(SSE_LINE_MAX + 2);
    struct told told = {.stop_after = 1};
    struct sse s;

    memset(long_line, 'x', SSE_LINE_MAX + 2);
    sse_init(&s, take, &told);
    assert_false(sse_feed(&s, (struct span){long_line, SSE_LINE_MAX + 1}));
    assert_true(s.too_large);
    sse_restart(&s);
    assert_true(sse_feed(&s, (struct span){long_line, SSE_LINE_MAX}));
    assert_true(sse_feed(&s, SPAN("\n")));
    memcpy(long_line, "data:", 5);
    long_line[SSE_LINE_MAX - 1] = '\n';
    bool fine = true;
    for (size_t i = 0; fine && i < 10; i++)
        fine = sse_feed(&s, (struct span){long_line, SSE_LINE_MAX});
    assert_false(fine);
    assert_true(s.too_large);
    sse_restart(&s);
    assert_false(sse_feed(&s, SPAN("data: a\n\ndata: b\n\n"))); /* it was told to stop */
    assert_false(s.too_large);
    assert_int_equal(told.count, 1);
    sse_done(&s);
    text_done(&told.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),         cmocka_unit_test(test_line_ends), cmocka_unit_test(test_what_is_ignored),
        cmocka_unit_test(test_where_to_go_on), cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
