/* TLS beyond the handshake: tickets, stapling, key updates. */
#include <openssl/ocsp.h>
#include <openssl/pem.h>

#include "unit/server_tls_fixture.h"

#define REQUEST "GET / HTTP/1.1\r\n" LAST "\r\n"

/* Talks once; hands out the session that came of it; tells whether `session` was resumed. */
static bool resumes(unsigned port, int version, SSL_SESSION *session, SSL_SESSION **ret_session)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct client c = {context, SSL_new(context), connect_to(port)};
    own(text_done) struct text answer = {0};

    SSL_set_min_proto_version(c.ssl, version);
    SSL_set_max_proto_version(c.ssl, version);
    SSL_set_fd(c.ssl, c.fd);
    if (session) { /* a copy, for a session is used once */
        SSL_SESSION *copy = SSL_SESSION_dup(session);
        SSL_set_session(c.ssl, copy);
        SSL_SESSION_free(copy);
    }
    if (SSL_connect(c.ssl) != 1)
        fail_msg("no connection");
    client_talk(&c, REQUEST, &answer);
    assert_contains(&answer, "HTTP/1.1 200 OK");
    bool resumed = SSL_session_reused(c.ssl);
    if (ret_session)
        *ret_session = SSL_get1_session(c.ssl);
    SSL_set_shutdown(c.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* or OpenSSL takes the session for a bad one */
    client_close(&c);
    return resumed;
}

static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void sessions_are_resumed_on_every_loop(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, false);
    struct fault fault = {0};

    options.loops = 4;
    struct server *server = server_up(&options);
    for (size_t v = 0; v < ARRAY_LEN(VERSIONS); v++) {
        SSL_SESSION *session = NULL;
        assert_false(resumes(server_port(server, 0), VERSIONS[v], NULL, &session));
        for (int i = 0; i < 16; i++) /* the kernel deals the loops out */
            assert_true(resumes(server_port(server, 0), VERSIONS[v], session, NULL));
        assert_true(server_reload_tls(server, &fault));
        assert_true(resumes(server_port(server, 0), VERSIONS[v], session, NULL));
        SSL_SESSION_free(session);
    }
    server_down(server);
}

static void ticket_keys_grow_old(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, false);

    options.ticket_period_ms = 1000;
    struct server *server = server_up(&options);
    for (size_t v = 0; v < ARRAY_LEN(VERSIONS); v++) {
        SSL_SESSION *session = NULL, *fresh = NULL;
        unsigned port = server_port(server, 0);
        assert_false(resumes(port, VERSIONS[v], NULL, &session));
        SSL_SESSION_set_timeout(session, 3600); /* as a client that ignores what it was told */
        eventually(!resumes(port, VERSIONS[v], session, NULL));
        assert_false(resumes(port, VERSIONS[v], session, &fresh));
        assert_true(resumes(port, VERSIONS[v], fresh, NULL));
        SSL_SESSION_free(session);
        SSL_SESSION_free(fresh);
    }
    server_down(server);
}

static void tickets_are_of_one_listener(void **state)
{
    struct listener_options listeners[2], one;
    struct server_options options = options_tls(&one, false);
    SSL_SESSION *session = NULL;

    listeners[0] = listeners[1] = one;
    listeners[1].address = "127.0.0.2";
    options.listeners = listeners;
    options.listener_count = 2;
    struct server *server = server_up(&options);
    assert_false(resumes(server_port(server, 0), TLS1_3_VERSION, NULL, &session));
    assert_true(resumes(server_port(server, 0), TLS1_3_VERSION, session, NULL));
    SSL_SESSION_free(session);
    server_down(server);
}

/* ---- OCSP ---- */

static X509 *read_certificate(const char *name)
{
    BIO *bio = BIO_new_file(file(name), "r");
    X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    BIO_free(bio);
    return x;
}

static EVP_PKEY *read_key(const char *name)
{
    BIO *bio = BIO_new_file(file(name), "r");
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

    BIO_free(bio);
    return key;
}

struct responder {
    const char *about, *signer, *key; /* files */
    int status;
    long from_s, to_s; /* from now */
};
static const struct responder GOOD = {"server.pem", "ca.pem", "ca-key.pem", V_OCSP_CERTSTATUS_GOOD, -60, 86400};

static void make_response(const char *name, struct responder r)
{
    X509 *about = read_certificate(r.about), *ca = read_certificate("ca.pem"), *signer = read_certificate(r.signer);
    EVP_PKEY *key = read_key(r.key);
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    ASN1_TIME *from = X509_gmtime_adj(NULL, r.from_s), *to = X509_gmtime_adj(NULL, r.to_s);
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, about, ca);

    assert_non_null(OCSP_basic_add1_status(basic, id, r.status, 0, r.status ? from : NULL, from, to));
    assert_int_equal(OCSP_basic_sign(basic, signer, key, EVP_sha256(), NULL, 0), 1);
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    BIO *out = BIO_new_file(file(name), "w");
    assert_int_equal(i2d_OCSP_RESPONSE_bio(out, response), 1);
    BIO_free(out);
    OCSP_RESPONSE_free(response);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    OCSP_BASICRESP_free(basic);
    EVP_PKEY_free(key);
    X509_free(about);
    X509_free(ca);
    X509_free(signer);
    shell("cd %s && cat server.pem ca.pem >chain.pem", folder);
}

/* The status stapled to a handshake: -1: none. */
static int stapled(unsigned port)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct client c = {context, SSL_new(context), connect_to(port)};
    const unsigned char *der;
    int status = -1;

    SSL_set_tlsext_status_type(c.ssl, TLSEXT_STATUSTYPE_ocsp);
    SSL_set_fd(c.ssl, c.fd);
    assert_int_equal(SSL_connect(c.ssl), 1);
    long len = SSL_get_tlsext_status_ocsp_resp(c.ssl, &der);
    if (len > 0) {
        OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &der, len);
        OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
        status = OCSP_single_get0_status(OCSP_resp_get0(basic, 0), NULL, NULL, NULL, NULL);
        OCSP_BASICRESP_free(basic);
        OCSP_RESPONSE_free(response);
    }
    client_close(&c);
    return status;
}

static void good_responses_are_stapled(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, false);
    struct responder r = GOOD;
    struct fault fault = {0};

    make_response("staple.der", GOOD);
    listener.certificate_file = file("chain.pem");
    listener.ocsp_file = file("staple.der");
    struct server *server = server_up(&options);
    assert_int_equal(stapled(server_port(server, 0)), V_OCSP_CERTSTATUS_GOOD);
    /* One that has expired, or is not true yet, is not, and keeps nobody out; a fresh one comes with the next reload. */
    r.from_s = -86400, r.to_s = -3600;
    make_response("staple.der", r);
    assert_true(server_reload_tls(server, &fault));
    assert_int_equal(stapled(server_port(server, 0)), -1);
    r.from_s = 3600, r.to_s = 86400;
    make_response("staple.der", r);
    assert_true(server_reload_tls(server, &fault));
    assert_int_equal(stapled(server_port(server, 0)), -1);
    r = GOOD, r.status = V_OCSP_CERTSTATUS_REVOKED;
    make_response("staple.der", r);
    assert_true(server_reload_tls(server, &fault));
    assert_int_equal(stapled(server_port(server, 0)), V_OCSP_CERTSTATUS_REVOKED);
    /* It expires while the server runs. */
    r = GOOD, r.to_s = 2;
    make_response("staple.der", r);
    assert_true(server_reload_tls(server, &fault));
    eventually(stapled(server_port(server, 0)) == -1);
    server_down(server);
}

static void other_responses_are_refused(void **state)
{
    struct listener_options listener;
    struct server_options options = options_tls(&listener, false);
    struct server *server = NULL;
    struct responder stranger = GOOD, elsewhere = GOOD;
    const struct {
        struct responder responder;
        const char *setup, *certificate, *said;
    } cases[] = {
        {GOOD, "true", "server.pem", "does not hold its issuer's"},
        {GOOD, "echo junk >bad.der", "chain.pem", "is no OCSP response in DER"},
        {GOOD, "printf x >>bad.der", "chain.pem", "is no OCSP response in DER"},
        {GOOD, "printf '\\060\\003\\012\\001\\003' >bad.der", "chain.pem", "is a responder's error"},
        {(stranger.signer = "other.pem", stranger.key = "client-alice-key.pem", stranger), "true", "chain.pem",
         "is not signed by the certificate's issuer"},
        {(elsewhere.about = "other.pem", elsewhere), "true", "chain.pem", "is about another certificate"},
        {GOOD, "rm bad.der", "chain.pem", "No such file"},
    };

    shell("cd %s && openssl req -new -x509 -key client-alice-key.pem -subj /CN=other -days 9 -set_serial 77 -out "
          "other.pem",
          folder);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fault fault = {0};
        make_response("bad.der", cases[i].responder);
        shell("cd %s && %s", folder, cases[i].setup);
        listener.certificate_file = file(cases[i].certificate); /* anew: file() forgets the oldest */
        listener.key_file = file("server-key.pem");
        listener.ocsp_file = file("bad.der");
        if (server_start(&options, &server, &fault))
            fail_msg("case %zu started", i);
        if (!strstr(fault.message, cases[i].said))
            fail_msg("case %zu: %s (%s)", i, fault.message, fault.detail);
    }
}

/* ---- TLS 1.3 key updates ---- */

static void key_updates_are_answered(void **state)
{
    static const int types[] = {SSL_KEY_UPDATE_NOT_REQUESTED, SSL_KEY_UPDATE_REQUESTED};
    struct listener_options listener;
    struct server_options options = options_tls(&listener, false);
    struct server *server = server_up(&options);

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct client c;
        own(text_done) struct text answer = {0};
        char buf[4096];
        assert_true(client_open(&c, server_port(server, 0), (struct client_options){.version = TLS1_3_VERSION}));
        for (int round = 0; round < 3; round++) {
            const char request[] = "GET / HTTP/1.1\r\n" HOST "\r\n";
            assert_int_equal(SSL_key_update(c.ssl, types[i]), 1);
            assert_int_equal(SSL_write(c.ssl, request, sizeof(request) - 1), sizeof(request) - 1);
            int n = SSL_read(c.ssl, buf, sizeof(buf) - 1);
            if (n <= 0)
                fail_msg("type %d, round %d: the connection ended", types[i], round);
        }
        client_talk(&c, REQUEST, &answer);
        assert_contains(&answer, "HTTP/1.1 200 OK");
        client_close(&c);
    }
    server_down(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_are_resumed_on_every_loop), cmocka_unit_test(ticket_keys_grow_old),
        cmocka_unit_test(tickets_are_of_one_listener),        cmocka_unit_test(good_responses_are_stapled),
        cmocka_unit_test(other_responses_are_refused),        cmocka_unit_test(key_updates_are_answered),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
