/* TLS listeners: versions, protocols, certificates and their reload, client certificates. */
#include <sys/stat.h>

#include "unit/server_tls_fixture.h"

/* ---- TLS ---- */

static void only_modern_tls_is_spoken(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, false);
    struct server *server = server_up(&options);
    unsigned port = server_port(server, 0);
    uint64_t failed = counters(server).refusals[REFUSED_HANDSHAKE];

    assert_true(is_served(port, (struct client_options){.version = TLS1_3_VERSION}));
    assert_true(is_served(port, (struct client_options){.version = TLS1_2_VERSION}));
    assert_false(is_served(port, (struct client_options){.version = TLS1_1_VERSION}));
    eventually(counters(server).refusals[REFUSED_HANDSHAKE] == failed + 1);
    server_down(server);
}

static void protocols_are_agreed_upon(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, false);
    struct server *server = server_up(&options);
    unsigned port = server_port(server, 0);
    const unsigned char *chosen;
    unsigned len;
    struct client c;

    assert_true(client_open(&c, port, (struct client_options){.alpn = (const unsigned char *)"\x02h2\x08http/1.1"}));
    SSL_get0_alpn_selected(c.ssl, &chosen, &len);
    assert_int_equal(len, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    client_close(&c);
    /* Strangers get no HTTP/2, whatever they ask for or send. */
    assert_false(is_served(port, (struct client_options){.alpn = (const unsigned char *)"\x02h2"}));
    assert_false(is_served(port, (struct client_options){.alpn = (const unsigned char *)"\x03"
                                                                                        "ftp"}));
    own(text_done) struct text answer = {0};
    assert_true(client_open(&c, port, (struct client_options){0}));
    client_talk(&c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &answer);
    client_close(&c);
    assert_contains(&answer, "HTTP/1.1 400 ");
    server_down(server);
}

static void handshakes_are_bounded_in_time(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, false);
    own(text_done) struct text silent = {0}, half = {0};

    options.handshake_timeout_ms = 100;
    struct server *server = server_up(&options);
    talk(server_port(server, 0), "", &silent); /* ends, or the test does not */
    talk(server_port(server, 0), "\x16\x03\x01", &half);
    assert_int_equal(counters(server).refusals[REFUSED_HANDSHAKE], 2);
    assert_int_equal(stub.started, stub.finished);
    server_down(server);
}

static void plain_http_on_a_tls_port_is_refused(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, false);
    struct server *server = server_up(&options);
    own(text_done) struct text answer = {0};

    talk(server_port(server, 0), "GET / HTTP/1.1\r\n" LAST "\r\n", &answer);
    assert_lacks(&answer, "HTTP/1.1 2");
    eventually(counters(server).refusals[REFUSED_HANDSHAKE] == 1);
    server_down(server);
}

static void large_answers_and_streams_pass(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, false);
    struct server *server = server_up(&options);
    own(text_done) struct text answer = {0};
    struct client c;

    assert_true(client_open(&c, server_port(server, 0), (struct client_options){0}));
    client_talk(
        &c, "GET /big HTTP/1.1\r\n" HOST "\r\nGET /stream HTTP/1.1\r\n" HOST "\r\nGET /end HTTP/1.1\r\n" LAST "\r\n",
        &answer);
    client_close(&c);
    assert_int_equal(strspn(body_of(&answer), "b"), 200000);
    assert_contains(&answer, "\r\n0\r\n\r\nHTTP/1.1 200 OK");
    assert_contains(&answer, "|/end|");
    server_down(server);
}

static void addresses_have_one_name(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, false);
    own(text_done) struct text answer = {0};
    struct client c;

    listener.address = "::";
    struct server *server = server_up(&options);
    assert_true(client_open(&c, server_port(server, 0), (struct client_options){0}));
    client_talk(&c, "GET / HTTP/1.1\r\n" LAST "\r\n", &answer);
    client_close(&c);
    assert_contains(&answer, "|127.0.0.1|secure|");
    server_down(server);
}

/* ---- certificates ---- */

/* Which certificate the server shows: the last bytes of its signature. */
static uint64_t certificate_of(unsigned port)
{
    struct client c;
    unsigned char *der = NULL;
    uint64_t tail;

    assert_true(client_open(&c, port, (struct client_options){0}));
    X509 *certificate = SSL_get1_peer_certificate(c.ssl);
    int len = i2d_X509(certificate, &der);
    memcpy(&tail, der + len - sizeof(tail), sizeof(tail));
    OPENSSL_free(der);
    X509_free(certificate);
    client_close(&c);
    return tail;
}

static void certificates_are_reloaded_under_connections(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, false);
    struct server *server = server_up(&options);
    unsigned port = server_port(server, 0);
    own(text_done) struct text answer = {0};
    struct fault fault = {0};
    struct client before;
    uint64_t first = certificate_of(port);

    assert_true(client_open(&before, port, (struct client_options){0}));
    int silent = connect_to(port); /* holds the old context without having begun */
    eventually(counters(server).connections_open >= 2);
    shell("cd %s && mv server.pem old.pem && mv server-key.pem old-key.pem", folder);
    assert_false(server_reload_tls(server, &fault));
    assert_non_null(strstr(fault.message, "test:1: "));
    assert_non_null(strstr(fault.message, "server.pem"));
    assert_true(certificate_of(port) == first);
    shell("certs/make-dev --dir %s >/dev/null", folder);
    fault = (struct fault){0};
    assert_true(server_reload_tls(server, &fault));
    assert_true(certificate_of(port) != first);
    client_talk(&before, "GET / HTTP/1.1\r\n" LAST "\r\n", &answer);
    assert_contains(&answer, "HTTP/1.1 200 OK");
    client_close(&before);
    close(silent);
    server_down(server);
}

static void expect_fault(const struct server_options *options, const char *what)
{
    struct server *server = NULL;
    struct fault fault = {0};

    assert_false(server_start(options, &server, &fault));
    assert_int_equal(fault.kind, FAULT_INVALID);
    assert_non_null(strstr(fault.message, "test:1: "));
    if (!strstr(fault.message, what))
        fail_msg("\"%s\" is not in: %s", what, fault.message);
}

static void bad_files_are_explained(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);

    listener.certificate_file = file("missing.pem");
    expect_fault(&options, "missing.pem");
    listener.certificate_file = file("server-key.pem");
    expect_fault(&options, "holds no certificate");
    listener.certificate_file = file("client-alice.pem");
    expect_fault(&options, "is not the key of the certificate");
    listener.certificate_file = file("server.pem");
    listener.key_file = file("server.pem");
    chmod(file("server.pem"), 0600);
    expect_fault(&options, "holds no private key");
    listener.key_file = file("open-key.pem");
    shell("cd %s && cp server-key.pem open-key.pem && chmod 644 open-key.pem", folder);
    expect_fault(&options, "others can read it");
    listener.key_file = file("locked-key.pem");
    shell("cd %s && openssl ec -in server-key.pem -aes256 -passout pass:x -out locked-key.pem 2>/dev/null", folder);
    expect_fault(&options, "without a passphrase");
    listener.key_file = file("server-key.pem");
    listener.client_ca_file = file("client-alice.pem");
    expect_fault(&options, "no CA's");
    listener.client_ca_file = file("client-alice-key.pem");
    expect_fault(&options, "holds no CA certificates");
    shell("cd %s && openssl req -x509 -newkey rsa:1024 -nodes -subj /CN=weak -keyout weak-key.pem -out weak.pem "
          "2>/dev/null",
          folder);
    listener.client_ca_file = NULL;
    listener.certificate_file = file("weak.pem");
    listener.key_file = file("weak-key.pem");
    expect_fault(&options, "too weak");
}

/* ---- client certificates ---- */

static void only_certified_clients_are_served(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    struct server *server = server_up(&options);
    unsigned port = server_port(server, 0);

    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        assert_true(is_served(port, (struct client_options){.version = version, .certificate = "client-alice.pem"}));
        assert_false(is_served(port, (struct client_options){.version = version}));
        assert_false(is_served(port, (struct client_options){.version = version, .certificate = "client-server.pem"}));
        assert_false(is_served(port, (struct client_options){.version = version, .certificate = "client-useless.pem"}));
    }
    eventually(counters(server).refusals[REFUSED_CERTIFICATE] == 6);
    assert_int_equal(counters(server).refusals[REFUSED_HANDSHAKE], 0);
    server_down(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_modern_tls_is_spoken),
        cmocka_unit_test(protocols_are_agreed_upon),
        cmocka_unit_test(handshakes_are_bounded_in_time),
        cmocka_unit_test(plain_http_on_a_tls_port_is_refused),
        cmocka_unit_test(large_answers_and_streams_pass),
        cmocka_unit_test(addresses_have_one_name),
        cmocka_unit_test(certificates_are_reloaded_under_connections),
        cmocka_unit_test(bad_files_are_explained),
        cmocka_unit_test(only_certified_clients_are_served),
    };
    signal(SIGPIPE, SIG_IGN); /* SSL_write of the clients */
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
