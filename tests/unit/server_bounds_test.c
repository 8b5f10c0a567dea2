/* What one client, or all together, can make the server hold. */
#include "unit/server_fixture.h"

#define HOST "Host: localhost\r\n"
#define REQUEST "GET / HTTP/1.1\r\n" HOST "\r\n"
#define POST_HEAD(length) "POST / HTTP/1.1\r\n" HOST "Connection: close\r\nContent-Length: " length "\r\n\r\n"

static void an_address_has_its_share(void **state)
{
    struct listener_options listener;
    struct server_options options = options_plain(&listener);
    own(text_done) struct text refused = {0}, served = {0};
    int fds[3];

    options.connections_per_address_max = ARRAY_LEN(fds);
    struct server *server = server_up(&options);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = connect_to(server_port(server, 0));
    eventually(counters(server).connections_open == ARRAY_LEN(fds));
    talk(server_port(server, 0), REQUEST, &refused);
    assert_int_equal(refused.len, 0);
    assert_int_equal(counters(server).refusals[REFUSED_ADDRESS], 1);
    /* A place that is left is given again. */
    close(fds[0]);
    eventually(counters(server).connections_open == ARRAY_LEN(fds) - 1);
    talk(server_port(server, 0), "GET /close HTTP/1.1\r\n" HOST "\r\n", &served);
    assert_contains(&served, "HTTP/1.1 200 OK");
    close(fds[1]);
    close(fds[2]);
    server_down(server);
}

static void a_proxy_has_no_share(void **state)
{
    static const char *const trusted[] = {"127.0.0.0/8"};
    struct listener_options listener;
    struct server_options options = options_plain(&listener);
    int fds[5];

    options.connections_per_address_max = 1;
    options.trusted_proxies = trusted;
    options.trusted_proxy_count = ARRAY_LEN(trusted);
    struct server *server = server_up(&options);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = connect_to(server_port(server, 0));
    eventually(counters(server).connections_open == ARRAY_LEN(fds));
    assert_int_equal(counters(server).refusals[REFUSED_ADDRESS], 0);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    server_down(server);
}

/* The budget holds two bodies of the largest size here. */
static void bodies_share_a_budget(void **state)
{
    struct listener_options listener;
    struct server_options options = options_plain(&listener);
    own(text_done) struct text refused = {0}, small = {0}, chunked = {0}, later = {0};
    int first, second;

    options.connections_max = 20;
    options.memory_budget = server_memory_needed(20, BODY_MAX);
    struct server *server = server_up(&options);
    int fds[16]; /* as many as it must hold at least */
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = connect_to(server_port(server, 0));
        send_text(fds[i], i % 2 ? POST_HEAD("65536") : "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
        eventually(counters(server).body_bytes == (i + 1) * 2 * BODY_MAX);
    }
    first = fds[1], second = fds[2];
    talk(server_port(server, 0), POST_HEAD("5") "hello", &refused);
    assert_contains(&refused, "HTTP/1.1 503 Service Unavailable");
    assert_contains(&refused, "retry-after: 1");
    assert_contains(&refused, "application/problem+json");
    talk(server_port(server, 0), "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &chunked);
    assert_contains(&chunked, "HTTP/1.1 503 Service Unavailable");
    assert_int_equal(counters(server).refusals[REFUSED_MEMORY], 2);
    /* What has no body does not care. */
    talk(server_port(server, 0), "GET /close HTTP/1.1\r\n" HOST "\r\n", &small);
    assert_contains(&small, "HTTP/1.1 200 OK");
    /* A client that goes, or is answered, makes room. */
    close(first);
    eventually(counters(server).body_bytes == 15 * 2 * BODY_MAX);
    talk(server_port(server, 0), POST_HEAD("5") "hello", &later);
    assert_contains(&later, "|hello|");
    send_text(second, "5\r\nhello\r\n0\r\n\r\n");
    eventually(counters(server).body_bytes == 14 * 2 * BODY_MAX);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        if (i != 1)
            close(fds[i]);
    eventually(counters(server).body_bytes == 0);
    server_down(server);
}

static struct server_options options_shared(struct listener_options *listener)
{
    struct server_options options = options_plain(listener);

    options.connections_max = 100;
    options.memory_budget = server_memory_needed(100, BODY_MAX); /* for 16 bodies of the largest size */
    options.bodies_per_address_max = 0;                          /* an eighth of that */
    return options;
}

static void hold_bodies(const struct server *server, const char *source, const char *head, int fds[static 2])
{
    uint64_t before = counters(server).body_bytes;

    for (size_t i = 0; i < 2; i++) {
        fds[i] = connect_from(source, server_port(server, 0));
        send_text(fds[i], head);
        eventually(counters(server).body_bytes == before + (i + 1) * 2 * BODY_MAX);
    }
}

static void talk_from(const struct server *server, const char *source, const char *request, struct text *answer)
{
    int fd = connect_from(source, server_port(server, 0));

    text_clear(answer);
    send_text(fd, request);
    receive_all(fd, answer);
    close(fd);
}

static void an_address_has_its_share_of_bodies(void **state)
{
    struct listener_options listener;
    struct server_options options = options_shared(&listener);
    struct server *server = server_up(&options);
    own(text_done) struct text answer = {0};
    int fds[2];

    hold_bodies(server, "127.0.0.66", POST_HEAD("65536"), fds);
    for (unsigned i = 0; i < 3; i++) {
        talk_from(server, "127.0.0.66", POST_HEAD("5") "hello", &answer);
        assert_contains(&answer, "HTTP/1.1 429 Too Many Requests");
        assert_contains(&answer, "retry-after: 1");
        assert_contains(&answer, "Too many bodies of this address are on their way.");
    }
    assert_int_equal(counters(server).refusals[REFUSED_BODIES], 3);
    talk_from(server, "127.0.0.66", "GET /close HTTP/1.1\r\n" HOST "\r\n", &answer);
    assert_contains(&answer, "HTTP/1.1 200 OK");
    talk_from(server, "127.0.0.67", POST_HEAD("5") "hello", &answer);
    assert_contains(&answer, "|hello|");
    close(fds[0]);
    eventually(counters(server).body_bytes == 2 * BODY_MAX);
    talk_from(server, "127.0.0.66", POST_HEAD("5") "hello", &answer);
    assert_contains(&answer, "|hello|");
    close(fds[1]);
    eventually(counters(server).body_bytes == 0);
    assert_int_equal(counters(server).refusals[REFUSED_MEMORY], 0);
    server_down(server);
}

/* A proxy's clients have a share each, by the address that it gives them; the proxy has none. */
static void bodies_behind_a_proxy_are_its_clients(void **state)
{
    static const char *const trusted[] = {"127.0.0.1"};
    static const char named[] =
        "POST / HTTP/1.1\r\n" HOST "X-Forwarded-For: 192.0.2.1\r\nContent-Length: 65536\r\n\r\n";
    static const char unnamed[] = POST_HEAD("65536");
    struct listener_options listener;
    struct server_options options = options_shared(&listener);
    own(text_done) struct text answer = {0}, nobody = {0};
    int fds[2], more[2], again[2];

    options.trusted_proxies = trusted;
    options.trusted_proxy_count = ARRAY_LEN(trusted);
    struct server *server = server_up(&options);
    hold_bodies(server, "127.0.0.1", named, fds);
    talk_from(server, "127.0.0.1", named, &answer);
    assert_contains(&answer, "HTTP/1.1 429 Too Many Requests");
    hold_bodies(server, "127.0.0.1", unnamed, more);
    hold_bodies(server, "127.0.0.1", unnamed, again);
    /* Nor is a body waited for of which nobody can say whose it is. */
    text_append_str(&nobody, "POST / HTTP/1.1\r\n" HOST "X-Forwarded-For: 192.0.2.1");
    for (int i = 0; i < 32; i++)
        text_append_str(&nobody, ", 127.0.0.1");
    text_append_str(&nobody, "\r\nContent-Length: 65536\r\n\r\n");
    talk_from(server, "127.0.0.1", nobody.data, &answer);
    assert_contains(&answer, "HTTP/1.1 400 Bad Request");
    assert_contains(&answer, "X-Forwarded-For is malformed");
    for (size_t i = 0; i < 2; i++) {
        close(fds[i]);
        close(more[i]);
        close(again[i]);
    }
    eventually(counters(server).body_bytes == 0);
    server_down(server);
}

/* What is there takes what it takes: requests that wait for an answer do not use the share up. */
static void a_whole_body_takes_its_length(void **state)
{
    struct listener_options listener;
    struct server_options options = options_shared(&listener);
    struct server *server = server_up(&options);
    own(text_done) struct text answer = {0};
    int fds[8];

    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = connect_to(server_port(server, 0));
        send_text(fds[i], "POST /wait HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        eventually(waiting() == (int)i + 1);
        assert_int_equal(counters(server).body_bytes, (i + 1) * 10);
    }
    release_tickets();
    receive_until(fds[0], &answer, "waited");
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    eventually(counters(server).body_bytes == 0);
    server_down(server);
}

static void a_share_that_holds_no_body_is_refused(void **state)
{
    struct listener_options listener;
    struct server_options options = options_shared(&listener);
    struct server *server = NULL;
    struct fault fault = {0};

    options.bodies_per_address_max = 2 * BODY_MAX - 1;
    assert_false(server_start(&options, &server, &fault));
    assert_non_null(
        strstr(fault.message, "limits.address.bodies is too small: one body of the largest size takes 128 KiB"));
}

static void a_budget_that_cannot_work_is_refused(void **state)
{
    struct listener_options listener;
    struct server_options options = options_plain(&listener);
    struct server *server = NULL;
    struct fault fault = {0};

    options.memory_budget = server_memory_needed(options.connections_max, BODY_MAX) - 1;
    assert_false(server_start(&options, &server, &fault));
    assert_non_null(strstr(fault.message, "limits.memory_budget is too small: 100 connections"));
}

static void streams_are_limited(void **state)
{
    for (int of_subject = 0; of_subject < 2; of_subject++) {
        struct listener_options listener;
        struct server_options options = options_plain(&listener);
        own(text_done) struct text refused = {0}, whole = {0}, after = {0};
        *(of_subject ? &options.streams_per_subject_max : &options.streams_max) = 2;
        struct server *server = server_up(&options);
        int fds[2];

        stub.hold_sources = true;
        for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
            fds[i] = connect_to(server_port(server, 0));
            send_text(fds[i], "GET /stream-later HTTP/1.1\r\n" HOST "\r\n");
            eventually(counters(server).streams_open == i + 1);
        }
        talk(server_port(server, 0), "GET /stream HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", &refused);
        assert_contains(&refused, of_subject ? "HTTP/1.1 429 Too Many Requests" : "HTTP/1.1 503 Service Unavailable");
        assert_contains(&refused, "Retry-After: 1");
        assert_int_equal(counters(server).refusals[REFUSED_STREAMS], 1);
        talk(server_port(server, 0), "GET /close HTTP/1.1\r\n" HOST "\r\n", &whole);
        assert_contains(&whole, "HTTP/1.1 200 OK");
        stub.hold_sources = false;
        eventually(counters(server).streams_open == 0);
        talk(server_port(server, 0), "GET /stream HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", &after);
        assert_contains(&after, "HTTP/1.1 200 OK");
        close(fds[0]);
        close(fds[1]);
        server_down(server);
    }
}

/* Nothing is sent, so no write fails: the end of the connection is seen all the same. */
static void a_stream_ends_with_its_client(void **state)
{
    struct listener_options listener;
    struct server_options options = options_plain(&listener);
    struct server *server = server_up(&options);

    stub.hold_sources = true;
    int fd = connect_to(server_port(server, 0));
    send_text(fd, "GET /stream-later HTTP/1.1\r\n" HOST "\r\n");
    eventually(counters(server).streams_open == 1);
    close(fd);
    eventually(counters(server).streams_open == 0 && counters(server).connections_open == 0);
    stub.hold_sources = false;
    server_down(server);
}

/* ---- slow readers ---- */

static int connect_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(a.sun_path, path);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        fail_msg("connect: %s", strerror(errno));
    return fd;
}

/* A byte now and then keeps TCP's own timer quiet, but not ours. */
static void trickling_readers_are_cut(void **state)
{
    static const char *const requests[] = {"GET /stream-endless HTTP/1.1\r\n" HOST "\r\n",
                                           "GET /big HTTP/1.1\r\n" HOST "\r\n"};
    char path[] = "/tmp/bailiff-bounds-XXXXXX", c;

    for (size_t i = 0; i < 4; i++) {
        struct listener_options listener;
        struct server_options options = options_plain(&listener);
        bool on_unix = i % 2;
        options.write_timeout_ms = 400;
        if (on_unix) {
            close(mkstemp(path));
            unlink(path);
            listener = (struct listener_options){.address = path};
        }
        struct server *server = server_up(&options);
        int fd = on_unix ? connect_unix(path) : connect_to(server_port(server, 0)), small = 2048;
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        /* /big would fit into the kernel's buffers once. */
        for (int repeat = 0; repeat < (i < 2 ? 1 : 40); repeat++)
            send_text(fd, requests[i / 2]);
        for (int reads = 0; counters(server).refusals[REFUSED_SLOW_READER] == 0; reads++) {
            if (reads > 400)
                fail_msg("case %zu: a slow reader was endured", i);
            (void)!recv(fd, &c, 1, MSG_DONTWAIT);
            usleep(50000);
        }
        eventually(counters(server).connections_open == 0);
        close(fd);
        server_down(server);
        if (on_unix)
            strcpy(path + strlen(path) - 6, "XXXXXX");
    }
}

/* A source that has nothing to send keeps nobody waiting but the client. */
static void streams_that_wait_are_spared(void **state)
{
    struct listener_options listener;
    struct server_options options = options_plain(&listener);
    own(text_done) struct text answer = {0};

    options.write_timeout_ms = 200;
    stub.hold_sources = true;
    struct server *server = server_up(&options);
    int fd = connect_to(server_port(server, 0));
    send_text(fd, "GET /stream-later HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    eventually(counters(server).streams_open == 1);
    usleep(1000 * 1000); /* longer than the timeout: nothing may happen */
    stub.hold_sources = false;
    assert_true(receive_all(fd, &answer));
    assert_contains(&answer, "0\r\n\r\n");
    assert_int_equal(counters(server).refusals[REFUSED_SLOW_READER], 0);
    close(fd);
    server_down(server);
}

/* ---- the log ---- */

static void a_flood_of_refusals_is_few_lines(void **state)
{
    enum { FLOOD = 200 };
    struct listener_options listener;
    struct server_options options = options_plain(&listener);
    char path[] = "/tmp/bailiff-bounds-XXXXXX";
    int fd = mkstemp(path);
    own(text_done) struct text lines = {0};
    char buf[4096];
    int64_t more = 0;

    unlink(path);
    options.log = log_new(fd, LOG_JSON, LOG_INFO);
    options.loops = 1;
    struct server *server = server_up(&options);
    for (int i = 0; i < FLOOD; i++) {
        own(text_done) struct text answer = {0};
        talk(server_port(server, 0), "BAD\r\n\r\n", &answer);
        assert_contains(&answer, "HTTP/1.1 400");
    }
    assert_int_equal(counters(server).refusals[REFUSED_PARSER], FLOOD);
    server_down(server);
    log_free(options.log);
    lseek(fd, 0, SEEK_SET);
    for (ssize_t n; (n = read(fd, buf, sizeof(buf))) > 0;)
        text_append(&lines, buf, (size_t)n);
    close(fd);
    /* None is lost: each has its line, or is counted in one. */
    for (const char *at = lines.data; (at = strstr(at, "\"more\":")); at++)
        more += atoll(at + 7);
    assert_true(more > 0);
    assert_int_equal(more + count_of(&lines, "\"reason\":"), FLOOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_its_share),
        cmocka_unit_test(a_proxy_has_no_share),
        cmocka_unit_test(bodies_share_a_budget),
        cmocka_unit_test(an_address_has_its_share_of_bodies),
        cmocka_unit_test(bodies_behind_a_proxy_are_its_clients),
        cmocka_unit_test(a_whole_body_takes_its_length),
        cmocka_unit_test(a_share_that_holds_no_body_is_refused),
        cmocka_unit_test(a_budget_that_cannot_work_is_refused),
        cmocka_unit_test(streams_are_limited),
        cmocka_unit_test(a_stream_ends_with_its_client),
        cmocka_unit_test(trickling_readers_are_cut),
        cmocka_unit_test(streams_that_wait_are_spared),
        cmocka_unit_test(a_flood_of_refusals_is_few_lines),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
