/* TLS listeners, client certificates and HTTP/2, with certificates of certs/make-dev. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include "unit/server_fixture.h"

#define HOST "Host: localhost\r\n"
#define LAST HOST "Connection: close\r\n"

static char folder[] = "/tmp/bailiff-tls-XXXXXX";

static char *file(const char *name)
{
    static char paths[16][128];
    static int next;
    char *path = paths[next++ % 16];

    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static void shell(const char *format, ...) printf_like(1, 2);
static void shell(const char *format, ...)
{
    char command[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

static int make_certificates(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    shell("certs/make-dev --dir %s --client alice >/dev/null", folder);
    /* Of the clients' CA, but a server's by its use; and one that states no use at all. */
    shell("cd %s && openssl req -new -key client-alice-key.pem -subj /CN=x -out x.csr 2>/dev/null && "
          "echo extendedKeyUsage=serverAuth >x.ext && "
          "openssl x509 -req -in x.csr -CA clients-ca.pem -CAkey clients-ca-key.pem -set_serial 9 -days 9 -extfile x.ext "
          "-out client-server.pem 2>/dev/null && "
          "openssl x509 -req -in x.csr -CA clients-ca.pem -CAkey clients-ca-key.pem -set_serial 8 -days 9 "
          "-out client-useless.pem 2>/dev/null",
          folder);
    return 0;
}

static int remove_certificates(void **state)
{
    shell("rm -r %s", folder);
    return 0;
}

static struct server_options options_tls(struct listener_options *listener, bool clients)
{
    struct server_options options = options_plain(listener);

    listener->tls = true;
    listener->certificate_file = file("server.pem");
    listener->key_file = file("server-key.pem");
    listener->client_ca_file = clients ? file("clients-ca.pem") : NULL;
    return options;
}

/* ---- a TLS client ---- */

struct client {
    SSL_CTX *context;
    SSL *ssl;
    int fd;
};

struct client_options {
    int version;               /* the only one offered; 0: any */
    const unsigned char *alpn; /* with length bytes */
    const char *certificate;
};

static bool client_open(struct client *c, unsigned port, struct client_options o)
{
    *c = (struct client){.context = SSL_CTX_new(TLS_client_method()), .fd = connect_to(port)};
    SSL_CTX_load_verify_locations(c->context, file("ca.pem"), NULL);
    SSL_CTX_set_verify(c->context, SSL_VERIFY_PEER, NULL);
    if (o.version) {
        SSL_CTX_set_security_level(c->context, 0);
        SSL_CTX_set_min_proto_version(c->context, o.version);
        SSL_CTX_set_max_proto_version(c->context, o.version);
    }
    if (o.alpn)
        SSL_CTX_set_alpn_protos(c->context, o.alpn, (unsigned)strlen((const char *)o.alpn));
    if (o.certificate) {
        SSL_CTX_use_certificate_file(c->context, file(o.certificate), SSL_FILETYPE_PEM);
        SSL_CTX_use_PrivateKey_file(c->context, file("client-alice-key.pem"), SSL_FILETYPE_PEM);
    }
    c->ssl = SSL_new(c->context);
    SSL_set_fd(c->ssl, c->fd);
    SSL_set1_host(c->ssl, "localhost");
    return SSL_connect(c->ssl) == 1;
}

static void client_close(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->context);
    close(c->fd);
    ERR_clear_error();
}

static void client_receive(struct client *c, struct text *out)
{
    char buf[16384];
    int n;

    text_append(out, "", 0);
    while ((n = SSL_read(c->ssl, buf, sizeof(buf))) > 0)
        text_append(out, buf, (size_t)n);
}

static void client_talk(struct client *c, const char *request, struct text *answer)
{
    SSL_write(c->ssl, request, (int)strlen(request));
    client_receive(c, answer);
}

/* TLS 1.3 tells a client that it was refused after its own handshake has succeeded. */
static bool is_served(unsigned port, struct client_options o)
{
    struct client c;
    own(text_done) struct text answer = {0};
    bool open = client_open(&c, port, o);

    if (open)
        client_talk(&c, "GET / HTTP/1.1\r\n" LAST "\r\n", &answer);
    client_close(&c);
    return open && answer.len > 0 && strstr(answer.data, "|secure|");
}

/* ---- TLS ---- */

static void only_modern_tls_is_spoken(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, false);
    struct server *server = server_up(&options);
    unsigned port = server_port(server, 0);
    uint64_t failed = counters(server).handshakes_failed;

    assert_true(is_served(port, (struct client_options){.version = TLS1_3_VERSION}));
    assert_true(is_served(port, (struct client_options){.version = TLS1_2_VERSION}));
    assert_false(is_served(port, (struct client_options){.version = TLS1_1_VERSION}));
    eventually(counters(server).handshakes_failed == failed + 1);
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
    assert_false(is_served(port, (struct client_options){.alpn = (const unsigned char *)"\x03" "ftp"}));
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
    assert_int_equal(counters(server).handshakes_failed, 2);
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
    eventually(counters(server).handshakes_failed == 1);
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
    client_talk(&c,
                "GET /big HTTP/1.1\r\n" HOST "\r\nGET /stream HTTP/1.1\r\n" HOST "\r\nGET /end HTTP/1.1\r\n" LAST "\r\n",
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

static void *stop_server(void *server)
{
    server_stop(server);
    return NULL;
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
    shell("cd %s && openssl req -x509 -newkey rsa:1024 -nodes -subj /CN=weak -keyout weak-key.pem -out weak.pem 2>/dev/null",
          folder);
    listener.client_ca_file = NULL;
    listener.certificate_file = file("weak.pem");
    listener.key_file = file("weak-key.pem");
    expect_fault(&options, "too weak");
}

/* ---- client certificates and HTTP/2 ---- */

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
    eventually(counters(server).handshakes_failed == 6);
    server_down(server);
}

enum {
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_RST_STREAM = 3,
    FRAME_SETTINGS = 4,
    FRAME_WINDOW_UPDATE = 8,
    END_STREAM = 1,
    END_HEADERS = 4
};

static void frame_send(struct client *c, int type, int flags, unsigned stream, const void *payload, size_t len)
{
    unsigned char frame[256] = {0, (unsigned char)(len >> 8), (unsigned char)len, (unsigned char)type,
                                (unsigned char)flags, 0, 0, 0, (unsigned char)stream};

    memcpy(frame + 9, payload, len);
    SSL_write(c->ssl, frame, (int)(9 + len));
}

static bool read_exactly(struct client *c, unsigned char *out, size_t len)
{
    for (size_t at = 0; at < len;) {
        int n = SSL_read(c->ssl, out + at, (int)(len - at));
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

/* Collects DATA of a stream until it ends; returns the type of the frame that ended it, -1 for the connection's end. */
static int stream_receive(struct client *c, unsigned stream, struct text *body)
{
    unsigned char head[9], payload[1 << 15];

    text_append(body, "", 0);
    while (read_exactly(c, head, 9)) {
        size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        if (len > sizeof(payload) || !read_exactly(c, payload, len))
            return -1;
        if (head[8] != stream)
            continue;
        if (head[3] == FRAME_DATA)
            text_append(body, payload, len);
        if (head[3] == FRAME_RST_STREAM || (head[4] & END_STREAM))
            return head[3];
    }
    return -1;
}

static void http2_open(struct client *c, unsigned port)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    assert_true(client_open(c, port,
                            (struct client_options){.alpn = (const unsigned char *)"\x02h2\x08http/1.1",
                                                    .certificate = "client-alice.pem"}));
    SSL_write(c->ssl, preface, sizeof(preface) - 1);
    frame_send(c, FRAME_SETTINGS, 0, 0, "", 0);
    frame_send(c, FRAME_WINDOW_UPDATE, 0, 0, "\x00\x08\x00\x00", 4);
}

/* GET path, with HPACK literals that need no table: RFC 7541 §6.2.2. */
static void http2_get(struct client *c, unsigned stream, const char *path, const char *name, const char *value)
{
    own(text_done) struct text block = {0};

    text_append_str(&block, "\x82\x87\x01\x09localhost\x04");
    text_append_char(&block, (char)strlen(path));
    text_append_str(&block, path);
    if (name) {
        text_append(&block, "\x00", 1);
        text_append_char(&block, (char)strlen(name));
        text_append_str(&block, name);
        text_append_char(&block, (char)strlen(value));
        text_append_str(&block, value);
    }
    frame_send(c, FRAME_HEADERS, END_STREAM | END_HEADERS, stream, block.data, block.len);
}

static void http2_is_spoken_to_certified_clients(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    struct server *server = server_up(&options);
    own(text_done) struct text hello = {0}, stream = {0}, failed = {0}, big = {0}, bad = {0}, waited = {0};
    struct client c;

    http2_open(&c, server_port(server, 0));
    http2_get(&c, 1, "/two?q=1", "x-mine", "yes");
    assert_int_equal(stream_receive(&c, 1, &hello), FRAME_DATA);
    assert_contains(&hello, "GET|/two|q=1||127.0.0.1|secure|x-mine=yes;host=localhost;");
    http2_get(&c, 3, "/stream-known", NULL, NULL);
    http2_get(&c, 5, "/stream-failed", NULL, NULL);
    assert_int_equal(stream_receive(&c, 5, &failed), FRAME_RST_STREAM);
    client_close(&c);

    http2_open(&c, server_port(server, 0));
    http2_get(&c, 1, "/stream", NULL, NULL);
    /* The stream's window is 65535 bytes: what is beyond it has to wait, and the source with it. */
    eventually(stub.live_sources == 1);
    frame_send(&c, FRAME_WINDOW_UPDATE, 0, 1, "\x00\x04\x00\x00", 4);
    assert_int_equal(stream_receive(&c, 1, &stream), FRAME_DATA);
    assert_int_equal(stream.len, 160000);
    http2_get(&c, 3, "bad path", NULL, NULL);
    stream_receive(&c, 3, &bad);
    assert_contains(&bad, "\"status\":400");
    http2_get(&c, 5, "/wait", NULL, NULL);
    eventually(waiting() == 1);
    release_tickets();
    assert_int_equal(stream_receive(&c, 5, &waited), FRAME_DATA);
    assert_string_equal(waited.data, "waited");
    client_close(&c);
    server_down(server);
}

static void http2_streams_may_be_reset_while_they_wait(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    struct server *server = server_up(&options);
    int finished = stub.finished;
    struct client c;

    http2_open(&c, server_port(server, 0));
    http2_get(&c, 1, "/wait", NULL, NULL);
    http2_get(&c, 3, "/wait", NULL, NULL);
    eventually(waiting() == 2);
    frame_send(&c, FRAME_RST_STREAM, 0, 1, "\0\0\0\x08", 4);
    eventually(stub.finished == finished + 1);
    client_close(&c); /* and the other with its connection */
    eventually(stub.finished == finished + 2);
    release_tickets();
    server_down(server);
}

static void http2_drains(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    struct server *server = server_up(&options);
    own(text_done) struct text waited = {0};
    struct client idle, busy;
    pthread_t thread;

    http2_open(&idle, server_port(server, 0));
    http2_open(&busy, server_port(server, 0));
    http2_get(&busy, 1, "/wait", NULL, NULL);
    eventually(waiting() == 1);
    pthread_create(&thread, NULL, stop_server, server);
    assert_int_equal(stream_receive(&idle, 1, &waited), -1);
    release_tickets();
    assert_int_equal(stream_receive(&busy, 1, &waited), FRAME_DATA);
    assert_string_equal(waited.data, "waited");
    pthread_join(thread, NULL);
    client_close(&idle);
    client_close(&busy);
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
        cmocka_unit_test(http2_is_spoken_to_certified_clients),
        cmocka_unit_test(http2_streams_may_be_reset_while_they_wait),
        cmocka_unit_test(http2_drains),
    };
    signal(SIGPIPE, SIG_IGN); /* SSL_write of the clients */
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
