/* HTTP/1 over plain sockets: keep-alive, framing of answers, sources, refusals. */
#include "unit/server_fixture.h"

#define HOST "Host: localhost\r\n"
#define LAST HOST "Connection: close\r\n"

static int set_up(void **state)
{
    struct listener_options listener;
    struct server_options options = options_plain(&listener);

    *state = server_up(&options);
    return 0;
}

static int tear_down(void **state)
{
    server_down(*state);
    return 0;
}

static void requests_become_exchanges(void **state)
{
    own(text_done) struct text answer = {0};

    assert_true(talk(server_port(*state, 0),
                     "POST /a/../%2f//b?x=1&y HTTP/1.1\r\n" LAST "X-Odd:  two words \r\nContent-Length: 5\r\n\r\nhello",
                     &answer));
    assert_contains(&answer, "HTTP/1.1 200 OK\r\n");
    assert_contains(&answer, "Connection: close\r\n");
    assert_contains(&answer, "POST|/a/../%2f//b|x=1&y|hello|127.0.0.1|plain|");
    assert_contains(&answer, "x-odd=two words;");
    assert_contains(&answer, "host=localhost;content-length=5;");
    assert_lacks(&answer, "Server:");
}

static void chunked_bodies_arrive_whole(void **state)
{
    own(text_done) struct text answer = {0};
    int fd = connect_to(server_port(*state, 0));

    send_text(fd, "POST /p?q HTTP/1.1\r\n" LAST "Transfer-Encoding: chunked\r\n\r\n5\r\nhel");
    usleep(20000);
    send_text(fd, "lo\r\n1;x=y\r\n!\r\n0\r\n\r\n");
    assert_true(receive_all(fd, &answer));
    close(fd);
    assert_contains(&answer, "POST|/p|q|hello!|");
}

static void connections_are_kept_and_pipelined(void **state)
{
    own(text_done) struct text request = {0}, answer = {0};

    for (int i = 0; i < 50; i++)
        text_printf(&request, "GET /%d HTTP/1.1\r\n" HOST "\r\n", i);
    text_append_str(&request, "GET /last HTTP/1.1\r\n" LAST "\r\n");
    assert_true(talk(server_port(*state, 0), request.data, &answer));
    assert_int_equal(count_of(&answer, "HTTP/1.1 200 OK"), 51);
    assert_contains(&answer, "GET|/last|");
    assert_true(strstr(answer.data, "GET|/0|") < strstr(answer.data, "GET|/49|"));
}

static void pipelined_sources_come_in_order(void **state)
{
    own(text_done) struct text answer = {0};

    assert_true(talk(server_port(*state, 0),
                     "GET /stream HTTP/1.1\r\n" HOST "\r\nGET /stream-known HTTP/1.1\r\n" HOST
                     "\r\nGET /after HTTP/1.1\r\n" LAST "\r\n",
                     &answer));
    assert_int_equal(count_of(&answer, "HTTP/1.1 200 OK"), 3);
    assert_contains(&answer, "0\r\n\r\nHTTP/1.1 200 OK");
    assert_contains(&answer, "|/after|");
}

static void head_has_no_body(void **state)
{
    own(text_done) struct text answer = {0}, stream = {0};

    assert_true(talk(server_port(*state, 0), "HEAD /big HTTP/1.1\r\n" LAST "\r\n", &answer));
    assert_contains(&answer, "Content-Length: 200000\r\n");
    assert_string_equal(body_of(&answer), "");
    assert_true(talk(server_port(*state, 0), "HEAD /stream HTTP/1.1\r\n" LAST "\r\n", &stream));
    assert_string_equal(body_of(&stream), "");
}

static void some_statuses_have_no_body(void **state)
{
    own(text_done) struct text answer = {0};

    assert_true(talk(
        server_port(*state, 0),
        "GET /204 HTTP/1.1\r\n" HOST "\r\nGET /304 HTTP/1.1\r\n" HOST "\r\nGET /x HTTP/1.1\r\n" LAST "\r\n", &answer));
    assert_contains(&answer, "HTTP/1.1 204 No Content\r\n");
    assert_contains(&answer, "HTTP/1.1 304 Not Modified\r\n");
    assert_lacks(&answer, "never sent");
    assert_int_equal(count_of(&answer, "Content-Length"), 1);
    assert_lacks(&answer, "transfer-encoding");
}

static void large_bodies_are_whole(void **state)
{
    own(text_done) struct text answer = {0};

    assert_true(talk(server_port(*state, 0), "GET /big HTTP/1.1\r\n" LAST "\r\n", &answer));
    assert_int_equal(strspn(body_of(&answer), "b"), 200000);
}

static void answers_cannot_be_split(void **state)
{
    own(text_done) struct text answer = {0};

    assert_true(talk(server_port(*state, 0), "GET /inject HTTP/1.1\r\n" LAST "\r\n", &answer));
    assert_lacks(&answer, "X-Injected");
    assert_contains(&answer, "Content-Length: 5\r\n");
    assert_int_equal(count_of(&answer, "ontent-"), 2);
}

static void close_closes(void **state)
{
    own(text_done) struct text answer = {0};

    assert_true(talk(server_port(*state, 0), "GET /close HTTP/1.1\r\n" HOST "\r\n", &answer));
    assert_contains(&answer, "Connection: close\r\n");
}

static void sources_are_streamed(void **state)
{
    own(text_done) struct text chunked = {0}, known = {0}, old = {0};
    unsigned port = server_port(*state, 0);

    assert_true(talk(port, "GET /stream HTTP/1.1\r\n" LAST "\r\n", &chunked));
    assert_contains(&chunked, "transfer-encoding: chunked\r\n");
    assert_contains(&chunked, "\r\n\r\n3e80\r\n");
    assert_contains(&chunked, "\r\n0\r\n\r\n");
    assert_true(talk(port, "GET /stream-known HTTP/1.1\r\n" LAST "\r\n", &known));
    assert_contains(&known, "Content-Length: 160000\r\n");
    assert_int_equal(strlen(body_of(&known)), 160000);
    /* HTTP/1.0 knows no chunks: the body ends with the connection. */
    assert_true(talk(port, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &old));
    assert_contains(&old, "Connection: close\r\n");
    assert_int_equal(strlen(body_of(&old)), 160000);
}

/* The head does not wait for them. */
static void sources_may_have_nothing_yet(void **state)
{
    for (int minor = 0; minor <= 1; minor++) {
        own(text_done) struct text head = {0}, rest = {0}, request = {0};
        int fd = connect_to(server_port(*state, 0));

        stub.hold_sources = true;
        text_printf(&request, "GET /stream-later HTTP/1.%d\r\n%s\r\n", minor, LAST);
        send_text(fd, request.data);
        receive_until(fd, &head, "\r\n\r\n");
        assert_contains(&head, "HTTP/1.1 200 ");
        assert_int_equal(strlen(body_of(&head)), 0);
        assert_int_equal(stub.live_sources, 1);
        stub.hold_sources = false;
        assert_true(receive_all(fd, &rest));
        close(fd);
        if (minor == 1)
            assert_contains(&rest, "\r\n0\r\n\r\n");
        else
            assert_true(rest.len % 16000 == 0 && rest.len > 0);
    }
}

/* A body that failed never looks like one that ended. */
static void failures_are_never_valid_ends(void **state)
{
    unsigned port = server_port(*state, 0);
    static const char *const paths[] = {"/stream-failed", "/stream-failed-known", "/stream-short", "/stream-long"};

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        for (int minor = 0; minor <= 1; minor++) {
            own(text_done) struct text request = {0}, answer = {0};
            text_printf(&request, "GET %s HTTP/1.%d\r\n" HOST "\r\n", paths[i], minor);
            assert_false(talk(port, request.data, &answer));
            assert_lacks(&answer, "\r\n0\r\n\r\n");
        }
    }
    eventually(stub.live_sources == 0);
}

static void slow_readers_hold_one_piece(void **state)
{
    own(text_done) struct text answer = {0};
    int fd = connect_to(server_port(*state, 0));

    send_text(fd, "GET /stream-endless HTTP/1.1\r\n" HOST "\r\n");
    receive_until(fd, &answer, "\r\n3e80\r\n");
    assert_int_equal(stub.live_sources, 1);
    close(fd); /* gone in the middle: the next write notices */
    eventually(stub.live_sources == 0);
}

static void bad_requests_are_refused_and_counted(void **state)
{
    static const char *const bad[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST HOST "\r\n",
        "GET / HTTP/1.1\n" HOST "\n",
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nTrailer: y\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET http://localhost/ HTTP/1.1\r\n" HOST "\r\n",
    };
    struct server *server = *state;
    int started = stub.started;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        own(text_done) struct text answer = {0}, request = {0};
        uint64_t refusals = counters(server).refusals[REFUSED_PARSER];
        text_append_str(&request, bad[i]);
        text_append_str(&request, "GET /smuggled HTTP/1.1\r\n" HOST "\r\n");
        talk(server_port(server, 0), request.data, &answer);
        assert_contains(&answer, "HTTP/1.1 400 Bad Request\r\n");
        assert_contains(&answer, "Connection: close\r\n");
        assert_contains(&answer, "content-type: application/problem+json\r\n");
        assert_contains(&answer, "\"status\":400");
        assert_int_equal(count_of(&answer, "HTTP/1.1"), 1);
        assert_int_equal(counters(server).refusals[REFUSED_PARSER], refusals + 1);
    }
    assert_int_equal(stub.started, started);
}

static void large_bodies_are_refused(void **state)
{
    own(text_done) struct text announced = {0}, chunked = {0}, request = {0}, fits = {0}, exact = {0};
    unsigned port = server_port(*state, 0);
    int started = stub.started;

    talk(port, "POST / HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n", &announced);
    assert_contains(&announced, "HTTP/1.1 413 Content Too Large\r\n");
    assert_contains(&announced, "application/problem+json");
    text_printf(&request, "POST / HTTP/1.1\r\n" LAST "Transfer-Encoding: chunked\r\n\r\n10001\r\n%0*d", 65537, 0);
    talk(port, request.data, &chunked);
    assert_contains(&chunked, "HTTP/1.1 413 Content Too Large\r\n");
    assert_contains(&chunked, "application/problem+json");
    assert_int_equal(stub.started, started);
    text_clear(&request);
    text_printf(&request, "POST / HTTP/1.1\r\n" LAST "Transfer-Encoding: chunked\r\n\r\n10000\r\n%0*d\r\n0\r\n\r\n",
                65536, 0);
    assert_true(talk(port, request.data, &fits));
    assert_contains(&fits, "content-length=65536;");
    text_clear(&request);
    text_printf(&request, "POST / HTTP/1.1\r\n" LAST "Content-Length: 65536\r\n\r\n%0*d", 65536, 0);
    assert_true(talk(port, request.data, &exact));
    assert_contains(&exact, "content-length=65536;");
}

/* The answer must not be lost because the connection is closed over a body that nobody read. */
static void refusals_reach_busy_clients(void **state)
{
    for (int i = 0; i < 20; i++) {
        own(text_done) struct text request = {0}, answer = {0};
        text_printf(&request, "POST / HTTP/1.1\r\n" HOST "Content-Length: 600000\r\n\r\n%0*d", 600000, 0);
        int fd = connect_to(server_port(*state, 0));
        send_text(fd, request.data);
        shutdown(fd, SHUT_WR);
        assert_true(receive_all(fd, &answer));
        close(fd);
        assert_contains(&answer, "HTTP/1.1 413 ");
    }
    eventually(counters(*state).connections_open == 0);
}

static void expectations_are_met(void **state)
{
    own(text_done) struct text answer = {0};
    int fd = connect_to(server_port(*state, 0));

    send_text(fd, "POST /e HTTP/1.1\r\n" LAST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    receive_until(fd, &answer, "HTTP/1.1 100 Continue\r\n\r\n");
    send_text(fd, "ok");
    assert_true(receive_all(fd, &answer));
    close(fd);
    assert_contains(&answer, "POST|/e||ok|");
}

static void http2_is_not_spoken_to_strangers(void **state)
{
    own(text_done) struct text upgrade = {0};

    assert_true(talk(server_port(*state, 0),
                     "GET /u HTTP/1.1\r\n" HOST
                     "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
                     &upgrade));
    assert_contains(&upgrade, "HTTP/1.1 200 OK\r\n");
    assert_lacks(&upgrade, "101");
}

static void waiting_exchanges_resume(void **state)
{
    own(text_done) struct text answer = {0};
    int fd = connect_to(server_port(*state, 0)), turns;

    send_text(fd, "GET /wait HTTP/1.1\r\n" LAST "\r\n");
    eventually(waiting() == 1);
    turns = stub.turns;
    release_tickets();
    assert_true(receive_all(fd, &answer));
    close(fd);
    assert_string_equal(body_of(&answer), "waited");
    assert_true(stub.turns > turns);
}

static void a_client_may_leave_while_it_waits(void **state)
{
    int finished = stub.finished;
    struct linger now = {.l_onoff = 1};

    for (int i = 0; i < 8; i++) {
        int fd = connect_to(server_port(*state, 0));
        send_text(fd, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
        eventually(waiting() == i + 1);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        close(fd);
    }
    release_tickets();
    eventually(stub.finished == finished + 8);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(requests_become_exchanges),
        TEST(chunked_bodies_arrive_whole),
        TEST(connections_are_kept_and_pipelined),
        TEST(pipelined_sources_come_in_order),
        TEST(head_has_no_body),
        TEST(some_statuses_have_no_body),
        TEST(large_bodies_are_whole),
        TEST(answers_cannot_be_split),
        TEST(close_closes),
        TEST(sources_are_streamed),
        TEST(sources_may_have_nothing_yet),
        TEST(failures_are_never_valid_ends),
        TEST(slow_readers_hold_one_piece),
        TEST(bad_requests_are_refused_and_counted),
        TEST(large_bodies_are_refused),
        TEST(refusals_reach_busy_clients),
        TEST(expectations_are_met),
        TEST(http2_is_not_spoken_to_strangers),
        TEST(waiting_exchanges_resume),
        TEST(a_client_may_leave_while_it_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
