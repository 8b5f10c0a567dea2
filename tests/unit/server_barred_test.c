/* Addresses of which too much was refused: what counts against whom, and what becomes of a barred one. */
#include "unit/server_fixture.h"

#define HOST "Host: localhost\r\n"
#define REQUEST "GET /close HTTP/1.1\r\n" HOST "\r\n"
#define BAD "BAD\r\n\r\n"

static struct {
    pthread_mutex_t lock;
    struct text counted, recorded; /* "address " of each */
    atomic_bool barred;
} told = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_count(const struct services *services, const char *address)
{
    pthread_mutex_lock(&told.lock);
    text_printf(&told.counted, "%s ", address);
    pthread_mutex_unlock(&told.lock);
}

static void on_refused(const struct services *services, const struct server_refused *what)
{
    pthread_mutex_lock(&told.lock);
    text_printf(&told.recorded, "%s%s ", what->address, what->request_id ? "" : "!");
    pthread_mutex_unlock(&told.lock);
}

static bool on_ask(const struct services *services, const char *address, unsigned *ret_retry_after_s)
{
    *ret_retry_after_s = 1;
    return told.barred && (strcmp(address, "127.0.0.1") == 0 || strncmp(address, "192.0.2.", 8) == 0);
}

static struct server_options options_told(struct listener_options *listener)
{
    struct server_options options = options_plain(listener);

    text_clear(&told.counted);
    text_clear(&told.recorded);
    text_append(&told.counted, "", 0);
    text_append(&told.recorded, "", 0);
    told.barred = false;
    options.count_refusal = on_count;
    options.refused = on_refused;
    options.is_barred = on_ask;
    return options;
}

static void assert_told(struct text *t, const char *what)
{
    pthread_mutex_lock(&told.lock);
    own(freep) char *copy = xstrndup(t->data ? t->data : "", t->len);
    text_clear(t);
    pthread_mutex_unlock(&told.lock);
    assert_string_equal(copy, what);
}

static void what_a_stranger_does_counts(void **state)
{
    struct listener_options listener;
    struct server_options options = options_told(&listener);
    own(text_done) struct text malformed = {0}, large = {0}, chunk = {0}, slow = {0}, fine = {0};

    options.head_timeout_ms = 200;
    struct server *server = server_up(&options);
    talk(server_port(server, 0), REQUEST, &fine);
    assert_told(&told.counted, "");
    talk(server_port(server, 0), BAD, &malformed);
    assert_told(&told.counted, "127.0.0.1 ");
    talk(server_port(server, 0), "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999\r\n\r\n", &large);
    assert_contains(&large, "HTTP/1.1 413");
    assert_told(&told.counted, "127.0.0.1 ");
    talk(server_port(server, 0), "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nx\r\n", &chunk);
    assert_contains(&chunk, "HTTP/1.1 400");
    assert_told(&told.counted, "127.0.0.1 ");
    assert_told(&told.recorded, "127.0.0.1 127.0.0.1 127.0.0.1 ");
    talk(server_port(server, 0), "GET / HT", &slow);
    assert_told(&told.counted, "127.0.0.1 ");
    assert_told(&told.recorded, ""); /* a connection, no request */
    server_down(server);
}

static void a_barred_address_gets_no_connection(void **state)
{
    struct listener_options listener;
    struct server_options options = options_told(&listener);
    own(text_done) struct text none = {0}, again = {0};
    struct server *server = server_up(&options);

    told.barred = true;
    talk(server_port(server, 0), REQUEST, &none);
    assert_int_equal(none.len, 0);
    assert_int_equal(counters(server).refusals[REFUSED_BARRED], 1);
    assert_told(&told.recorded, "127.0.0.1! "); /* counted */
    assert_told(&told.counted, "");             /* being barred is no reason to be barred longer */
    told.barred = false;
    talk(server_port(server, 0), REQUEST, &again);
    assert_contains(&again, "HTTP/1.1 200 OK");
    server_down(server);
}

/* A proxy answers for nobody: only clients that it names are counted, and it is never barred. */
static void a_proxy_is_spared(void **state)
{
    static const char *const trusted[] = {"127.0.0.0/8"};
    struct listener_options listener;
    struct server_options options = options_told(&listener);
    own(text_done) struct text malformed = {0}, large = {0}, chunk = {0}, unnamed = {0}, unreadable = {0}, served = {0};

    options.trusted_proxies = trusted;
    options.trusted_proxy_count = ARRAY_LEN(trusted);
    struct server *server = server_up(&options);
    talk(server_port(server, 0), BAD, &malformed); /* nothing in such a head is believed */
    assert_told(&told.counted, "");
    assert_told(&told.recorded, "127.0.0.1 ");
    talk(server_port(server, 0),
         "POST / HTTP/1.1\r\n" HOST "X-Forwarded-For: 192.0.2.7\r\nContent-Length: 99999999\r\n\r\n", &large);
    assert_contains(&large, "HTTP/1.1 413");
    assert_told(&told.counted, "192.0.2.7 ");
    assert_told(&told.recorded, "192.0.2.7 ");
    talk(server_port(server, 0),
         "POST / HTTP/1.1\r\n" HOST "X-Forwarded-For: 192.0.2.8\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", &chunk);
    assert_contains(&chunk, "HTTP/1.1 400");
    assert_told(&told.counted, "192.0.2.8 ");
    talk(server_port(server, 0), "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999\r\n\r\n", &unnamed);
    assert_told(&told.counted, "");
    talk(server_port(server, 0), "GET / HTTP/1.1\r\n" HOST "X-Forwarded-For: nonsense\r\n\r\n", &unreadable);
    assert_contains(&unreadable, "HTTP/1.1 400");
    assert_told(&told.counted, "");
    told.barred = true; /* 127.0.0.1 too: but nobody asks for a proxy */
    talk(server_port(server, 0), REQUEST, &served);
    assert_contains(&served, "HTTP/1.1 200 OK");
    assert_int_equal(counters(server).refusals[REFUSED_BARRED], 0);
    server_down(server);
}

/* With the PROXY protocol a connection is one client's: it is the client that is barred. */
static void the_client_of_a_proxy_header_is_barred(void **state)
{
    static const char *const trusted[] = {"127.0.0.1"};
    static const char header[] =
        "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x09\x7f\0\0\x01\x10\0\x01\xbb" /* 192.0.2.9 */
        REQUEST;
    struct listener_options listener;
    struct server_options options = options_told(&listener);

    listener.proxy_protocol = true;
    options.trusted_proxies = trusted;
    options.trusted_proxy_count = ARRAY_LEN(trusted);
    struct server *server = server_up(&options);
    for (int barred = 0; barred < 2; barred++) {
        own(text_done) struct text answer = {0};
        told.barred = barred;
        int fd = connect_to(server_port(server, 0));
        assert_int_equal(send(fd, header, sizeof(header) - 1, MSG_NOSIGNAL), sizeof(header) - 1);
        receive_all(fd, &answer);
        close(fd);
        assert_int_equal(answer.len > 0, !barred);
    }
    assert_told(&told.recorded, "192.0.2.9! ");
    server_down(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_stranger_does_counts),
        cmocka_unit_test(a_barred_address_gets_no_connection),
        cmocka_unit_test(a_proxy_is_spared),
        cmocka_unit_test(the_client_of_a_proxy_header_is_barred),
    };
    signal(SIGPIPE, SIG_IGN);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    text_done(&told.counted);
    text_done(&told.recorded);
    return failed;
}
