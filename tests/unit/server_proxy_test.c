/* Proxies in front: PROXY headers and X-Forwarded-For on live connections. */
#include "unit/server_tls_fixture.h"

static const char V4[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\x00\x02\x01\x0a\x00\x00\x01\x04\xd2\x20\xfb";
static const char LOCAL[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
static const char V4_TRUSTED[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\x00\x00\x09\x0a\x00\x00\x01\x04\xd2\x20\xfb";
static const char UNIX_PREFIX[] = "\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8";

#define SIZED(s) (s), sizeof(s) - 1
static const char *const LOOPBACK[] = {"127.0.0.0/8"};

static struct server_options options_proxied(struct listener_options *listener, bool proxy_protocol)
{
    struct server_options options = options_plain(listener);

    listener->proxy_protocol = proxy_protocol;
    options.trusted_proxies = LOOPBACK;
    options.trusted_proxy_count = ARRAY_LEN(LOOPBACK);
    return options;
}

static void send_bytes(int fd, const char *bytes, size_t size)
{
    if (send(fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
        fail_msg("send: %s", strerror(errno));
}

/* The header alone, then the request, or byte by byte. */
static void talk_proxied(unsigned port, const char *header, size_t size, bool slowly, const char *request,
                         struct text *answer)
{
    int fd = connect_to(port);

    for (size_t i = 0; slowly && i < size; i++) {
        send_bytes(fd, header + i, 1);
        usleep(200);
    }
    if (!slowly)
        send_bytes(fd, header, size);
    send_text(fd, request);
    receive_all(fd, answer);
    close(fd);
}

static void the_header_names_the_client(void **state)
{
    static char on_unix[16 + 216];
    struct listener_options listener;
    struct server_options options = options_proxied(&listener, true);
    struct server *server = server_up(&options);
    const struct {
        const char *header;
        size_t size;
        const char *forwarded, *address;
    } cases[] = {
        {SIZED(V4), "", "|192.0.2.1|"},
        {SIZED(V4), "X-Forwarded-For: 198.51.100.7\r\n", "|192.0.2.1|"}, /* a stranger's own word */
        {SIZED(LOCAL), "", "|127.0.0.1|"},
        {SIZED(V4_TRUSTED), "X-Forwarded-For: 203.0.113.1, 198.51.100.7\r\n", "|198.51.100.7|"},
        {on_unix, sizeof(on_unix), "X-Forwarded-For: 198.51.100.7\r\n", "|unix|"},
    };

    memcpy(on_unix, UNIX_PREFIX, 16);
    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
        own(text_done) struct text answer = {0};
        own(freep) char *request =
            xprintf("GET / HTTP/1.1\r\n" HOST "%sConnection: close\r\n\r\n", cases[i / 2].forwarded);
        talk_proxied(server_port(server, 0), cases[i / 2].header, cases[i / 2].size, i % 2, request, &answer);
        assert_contains(&answer, cases[i / 2].address);
    }
    for (int r = 0; r < SERVER_REFUSALS; r++)
        assert_int_equal(counters(server).refusals[r], 0);
    server_down(server);
}

static void without_a_header_there_is_no_service(void **state)
{
    struct listener_options listener;
    struct server_options options = options_proxied(&listener, true);
    static const char *const requests[] = {"GET / HTTP/1.1\r\n" HOST "\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
                                           "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"};
    own(text_done) struct text slow = {0};
    int started = stub.started;

    options.handshake_timeout_ms = 300;
    struct server *server = server_up(&options);
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        own(text_done) struct text answer = {0};
        talk(server_port(server, 0), requests[i], &answer);
        assert_int_equal(answer.len, 0);
        assert_int_equal(counters(server).refusals[REFUSED_PROXY], i + 1);
    }
    talk(server_port(server, 0), "\r\n\r", &slow); /* ends, or the test does not */
    assert_int_equal(slow.len, 0);
    assert_int_equal(counters(server).refusals[REFUSED_PROXY], ARRAY_LEN(requests) + 1);
    assert_int_equal(stub.started, started);
    server_down(server);
}

static void strangers_may_not_use_a_proxys_listener(void **state)
{
    static const char *const elsewhere[] = {"10.0.0.0/8"};
    struct listener_options listener;
    struct server_options options = options_proxied(&listener, true);
    own(text_done) struct text answer = {0};
    int started = stub.started;

    options.trusted_proxies = elsewhere;
    struct server *server = server_up(&options);
    int fd = connect_to(server_port(server, 0));
    send(fd, SIZED(V4), MSG_NOSIGNAL);
    send_text(fd, "GET / HTTP/1.1\r\n" LAST "\r\n");
    receive_all(fd, &answer);
    close(fd);
    assert_int_equal(answer.len, 0);
    assert_int_equal(counters(server).refusals[REFUSED_PROXY], 1);
    assert_int_equal(stub.started, started);
    server_down(server);
}

static void the_share_is_the_clients(void **state)
{
    struct listener_options listener;
    struct server_options options = options_proxied(&listener, true);
    own(text_done) struct text answer = {0}, other = {0};

    options.connections_per_address_max = 1;
    struct server *server = server_up(&options);
    int fd = connect_to(server_port(server, 0));
    send_bytes(fd, SIZED(V4));
    send_text(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    receive_until(fd, &other, "host=localhost;");
    talk_proxied(server_port(server, 0), SIZED(V4), false, "", &answer);
    assert_int_equal(counters(server).refusals[REFUSED_ADDRESS], 1);
    close(fd);
    server_down(server);
}

static void forwarded_is_believed_of_proxies_only(void **state)
{
    static const struct {
        bool trusted;
        const char *headers, *expected;
    } cases[] = {
        {true, "X-Forwarded-For: 192.0.2.1\r\n", "|192.0.2.1|"},
        {true, "x-forwarded-for: junk, 192.0.2.1\r\nX-FORWARDED-FOR: 127.0.0.5\r\n", "|192.0.2.1|"},
        {true, "X-Forwarded-For: 2001:db8::7\r\n", "|2001:db8::7|"},
        {true, "", "|127.0.0.1|"},
        {true, "X-Forwarded-For: unknown\r\n", "HTTP/1.1 400 Bad Request"},
        {true, "X-Forwarded-For:\r\n", "HTTP/1.1 400 Bad Request"},
        {false, "X-Forwarded-For: 192.0.2.1\r\n", "|127.0.0.1|"},
        {false, "X-Forwarded-For: unknown\r\n", "|127.0.0.1|"},
    };
    struct listener_options listeners[2];
    struct server_options trusting = options_proxied(&listeners[0], false), plain = options_plain(&listeners[1]);
    struct server *servers[] = {server_up(&plain), server_up(&trusting)};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        own(text_done) struct text answer = {0};
        own(freep) char *request = xprintf("GET / HTTP/1.1\r\n" HOST "%sConnection: close\r\n\r\n", cases[i].headers);
        talk(server_port(servers[cases[i].trusted], 0), request, &answer);
        assert_contains(&answer, cases[i].expected);
    }
    assert_int_equal(counters(servers[1]).refusals[REFUSED_FORWARDED], 2);
    server_stop(servers[0]);
    server_free(servers[0]);
    server_down(servers[1]);
}

/* Whoever is held up longest goes first, and those that come can come. */
static atomic_int counted;

static void on_count(const struct services *services, const char *address)
{
    counted++;
}

static void handshakes_push_out_the_oldest(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, false);
    int fds[3];
    char c;

    options.loops = 1;
    options.handshakes_max = 2;
    options.count_refusal = on_count;
    struct server *server = server_up(&options);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = connect_to(server_port(server, 0));
        eventually(counters(server).connections == i + 1);
    }
    assert_true(recv(fds[0], &c, 1, 0) <= 0);
    assert_int_equal(counters(server).refusals[REFUSED_PUSHED_OUT], 1);
    assert_true(is_served(server_port(server, 0), (struct client_options){0})); /* pushes out the next */
    assert_true(recv(fds[1], &c, 1, 0) <= 0);
    for (int i = 0; i < 5; i++) /* one that is over is no handshake any more */
        assert_true(is_served(server_port(server, 0), (struct client_options){0}));
    assert_int_equal(recv(fds[2], &c, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(counters(server).refusals[REFUSED_PUSHED_OUT], 2);
    assert_int_equal(counted, 0); /* it was others' doing: a flood of them shall not bar whom it pushes out */
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    server_down(server);
}

/* Somebody who only looks is no attack. */
static void looks_are_not_refusals(void **state)
{
    struct listener_options listener;
    struct server_options options = options_proxied(&listener, true);
    struct server *server = server_up(&options);

    close(connect_to(server_port(server, 0)));
    eventually(counters(server).connections == 1 && counters(server).connections_open == 0);
    assert_int_equal(counters(server).refusals[REFUSED_PROXY], 0);
    server_down(server);
}

/* TLS begins behind the header, wherever the packets are cut. */
static void tls_comes_behind_the_header(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, false);

    listener.proxy_protocol = true;
    options.trusted_proxies = LOOPBACK;
    options.trusted_proxy_count = ARRAY_LEN(LOOPBACK);
    struct server *server = server_up(&options);
    for (int together = 0; together < 2; together++) {
        own(text_done) struct text answer = {0}, hello = {0};
        SSL_CTX *context = SSL_CTX_new(TLS_client_method());
        SSL *ssl = SSL_new(context);
        int fd = connect_to(server_port(server, 0));
        char *bytes;
        if (together) { /* the header and the first flight in one packet */
            SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
            BIO_set_mem_eof_return(SSL_get_rbio(ssl), -1);
            assert_int_equal(SSL_connect(ssl), -1);
            text_append(&hello, SIZED(V4));
            long size = BIO_get_mem_data(SSL_get_wbio(ssl), &bytes);
            text_append(&hello, bytes, (size_t)size);
            send_bytes(fd, hello.data, hello.len);
        } else {
            send_bytes(fd, SIZED(V4));
        }
        SSL_set_fd(ssl, fd);
        assert_int_equal(SSL_connect(ssl), 1);
        struct client c = {context, ssl, fd};
        client_talk(&c, "GET / HTTP/1.1\r\n" LAST "\r\n", &answer);
        assert_contains(&answer, "|192.0.2.1|secure|");
        client_close(&c);
    }
    server_down(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_names_the_client),
        cmocka_unit_test(without_a_header_there_is_no_service),
        cmocka_unit_test(strangers_may_not_use_a_proxys_listener),
        cmocka_unit_test(the_share_is_the_clients),
        cmocka_unit_test(forwarded_is_believed_of_proxies_only),
        cmocka_unit_test(handshakes_push_out_the_oldest),
        cmocka_unit_test(looks_are_not_refusals),
        cmocka_unit_test(tls_comes_behind_the_header),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
