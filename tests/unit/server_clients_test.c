/* Client certificates: who is let in, what is known of them, and when they are shut out again. */
#include "unit/server_pki.h"

#define ASK "GET /certificate HTTP/1.1\r\n" HOST "\r\n"
#define ASK_LAST "GET /certificate HTTP/1.1\r\n" LAST "\r\n"

static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* ---- what was refused, as the audit log would be told ---- */

static struct {
    pthread_mutex_t lock;
    char reasons[64][160], shown[64][128];
    int count;
} told = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_refused(const struct services *services, const struct server_refused *what)
{
    pthread_mutex_lock(&told.lock);
    if (told.count < (int)ARRAY_LEN(told.reasons)) {
        snprintf(told.reasons[told.count], sizeof(told.reasons[0]), "%s", what->reason);
        snprintf(told.shown[told.count], sizeof(told.shown[0]), "%s", what->shown ? what->shown->subject : "none");
        told.count++;
    }
    pthread_mutex_unlock(&told.lock);
}

static bool was_told(const char *reason, const char *shown)
{
    bool found = false;

    pthread_mutex_lock(&told.lock);
    for (int i = 0; i < told.count; i++)
        found = found || (strstr(told.reasons[i], reason) && strstr(told.shown[i], shown));
    pthread_mutex_unlock(&told.lock);
    return found;
}

static void tell_anew(void)
{
    pthread_mutex_lock(&told.lock);
    told.count = 0;
    pthread_mutex_unlock(&told.lock);
}

/* ---- help ---- */

static bool asks(unsigned port, struct client_options o, struct text *answer)
{
    struct client c;
    bool open = client_open(&c, port, o);

    text_clear(answer);
    if (open)
        client_talk(&c, ASK_LAST, answer);
    client_close(&c);
    return open && answer->len > 0 && strstr(answer->data, "HTTP/1.1 200 OK");
}

static bool is_let_in(unsigned port, const char *certificate)
{
    own(text_done) struct text answer = {0};
    unsigned good = 0;

    for (size_t v = 0; v < ARRAY_LEN(VERSIONS); v++)
        good += asks(port, (struct client_options){.version = VERSIONS[v], .certificate = certificate}, &answer);
    assert_true(good == 0 || good == ARRAY_LEN(VERSIONS)); /* both versions judge alike */
    return good > 0;
}

static struct server_options options_clients(struct listener_options *listener, bool optional)
{
    struct server_options options = options_tls(listener, true);

    listener->client_certificate_optional = optional;
    options.refused = on_refused;
    tell_anew();
    return options;
}

static void expect_fault(const struct server_options *options, const char *what)
{
    struct server *server = NULL;
    struct fault fault = {0}, checked = {0};

    assert_false(server_start(options, &server, &fault));
    assert_int_equal(fault.kind, FAULT_INVALID);
    if (!strstr(fault.message, what) || !strstr(fault.message, "test:1: "))
        fail_msg("\"%s\" is not in: %s (%s)", what, fault.message, fault.detail);
    assert_false(server_tls_check(&options->listeners[0], &checked)); /* check-config says the same */
    assert_string_equal(checked.message, fault.message);
}

/* ---- what is known ---- */

static void the_certificate_is_known(void **state)
{
    struct listener_options listener;
    struct server_options options = options_clients(&listener, false);
    struct server *server = server_up(&options);
    own(text_done) struct text answer = {0};
    uint8_t digest[32];
    char fingerprint[65];
    own(text_done) struct text thumbprint = {0};
    X509 *alice = pki_read("client-alice.pem");

    assert_int_equal(X509_digest(alice, EVP_sha256(), digest, NULL), 1);
    hex_encode(digest, sizeof(digest), fingerprint);
    base64url_encode(digest, sizeof(digest), &thumbprint);
    for (size_t v = 0; v < ARRAY_LEN(VERSIONS); v++) {
        assert_true(asks(server_port(server, 0),
                         (struct client_options){.version = VERSIONS[v], .certificate = "client-alice.pem"}, &answer));
        assert_contains(&answer, "|CN=alice,O=bailiff development|CN=bailiff development CA for clients,O=bailiff "
                                 "development|");
        assert_contains(&answer, fingerprint);
        assert_contains(&answer, thumbprint.data);
    }
    X509_free(alice);
    server_down(server);
}

static void names_are_printable_and_bounded(void **state)
{
    struct listener_options listener;
    struct server_options options = options_clients(&listener, false);
    char longest[600];
    const struct {
        struct pki_certificate certificate;
        const char *shown;
    } cases[] = {
        {{.subject = "a,b+c=\"d\"\n\x1b[31m", .serial = 7}, "|CN=a\\,b\\+c=\\\"d\\\"\\0A\\1B[31m|"},
        {{.subject = "M\xc3\xbcller", .serial = 0x7fffffff}, "|CN=M\\C3\\BCller|"},
        {{.subject = NULL, .alternative = "URI:spiffe://example.com/batch", .serial = 8},
         "|URI:spiffe://example.com/batch|"},
        {{.subject = NULL, .alternative = "IP:10.0.0.1,DNS:batch.example.com", .serial = 9}, "|DNS:batch.example.com|"},
        {{.subject = NULL, .serial = 10}, "||CN=bailiff development CA for clients"},
        {{.subject = NULL, .alternative = longest, .serial = 11}, "xxxxxxxxxx...|"},
    };
    struct server *server = server_up(&options);
    own(text_done) struct text answer = {0};

    memset(longest, 'x', sizeof(longest) - 1);
    memcpy(longest, "DNS:", 4);
    longest[sizeof(longest) - 1] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        pki_make("named.pem", cases[i].certificate);
        assert_true(asks(server_port(server, 0), (struct client_options){.certificate = "named.pem"}, &answer));
        assert_contains(&answer, cases[i].shown);
    }
    assert_true(answer.len < 1000);
    server_down(server);
}

/* ---- who is let in ---- */

static void make_strangers(void)
{
    /* A CA of the same name, but not of the same key. */
    shell("cd %s && openssl req -new -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout false-ca-key.pem "
          "-subj "
          "'/O=bailiff development/CN=bailiff development CA for clients' -days 9 -out false-ca.pem 2>/dev/null",
          folder);
    pki_make("forged.pem", (struct pki_certificate){
                               .subject = "alice", .serial = 20, .ca = "false-ca.pem", .ca_key = "false-ca-key.pem"});
    pki_make("expired.pem", (struct pki_certificate){.subject = "late", .serial = 21, .from_s = -7200, .to_s = -3600});
    pki_make("early.pem", (struct pki_certificate){.subject = "early", .serial = 22, .from_s = 3600});
    pki_make("server-only.pem", (struct pki_certificate){.subject = "srv", .serial = 23, .use = "serverAuth"});
    pki_make("no-use.pem", (struct pki_certificate){.subject = "useless", .serial = 24, .use = ""});
    pki_make("both-uses.pem",
             (struct pki_certificate){.subject = "both", .serial = 25, .use = "serverAuth,clientAuth"});
    pki_make("any-use.pem", (struct pki_certificate){.subject = "any", .serial = 26, .use = "anyExtendedKeyUsage"});
    pki_make("below-a-leaf.pem",
             (struct pki_certificate){
                 .subject = "below", .serial = 27, .ca = "client-alice.pem", .ca_key = "client-alice-key.pem"});
}

static void strangers_are_kept_out(void **state)
{
    static const struct {
        const char *certificate, *reason, *shown;
    } cases[] = {
        {"forged.pem", "", "CN=alice"},
        {"expired.pem", "certificate has expired", "CN=late"},
        {"early.pem", "not yet valid", "CN=early"},
        {"server-only.pem", "purpose", "CN=srv"},
        {"no-use.pem", "purpose", "CN=useless"},
        {"any-use.pem", "purpose", "CN=any"},
        {"below-a-leaf.pem", "", "CN=below"},
    };

    make_strangers();
    for (int optional = 0; optional <= 1; optional++) {
        struct listener_options listener;
        struct server_options options = options_clients(&listener, optional);
        struct server *server = server_up(&options);
        unsigned port = server_port(server, 0);
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            if (is_let_in(port, cases[i].certificate))
                fail_msg("%s was let in", cases[i].certificate);
            eventually(was_told(cases[i].reason, cases[i].shown));
        }
        assert_true(is_let_in(port, "both-uses.pem"));
        assert_true(is_let_in(port, "client-alice.pem"));
        eventually(counters(server).refusals[REFUSED_CERTIFICATE] == 2 * ARRAY_LEN(cases));
        /* Without any it depends; a bad one is not taken for none. */
        assert_int_equal(is_let_in(port, NULL), optional);
        if (!optional)
            eventually(was_told("none was shown", "none"));
        server_down(server);
    }
}

static void optional_certificates_get_no_http2(void **state)
{
    static const unsigned char both[] = "\x02h2\x08http/1.1";
    struct listener_options listener;

    for (int optional = 0; optional <= 1; optional++) {
        struct server_options options = options_clients(&listener, optional);
        struct server *server = server_up(&options);
        const unsigned char *chosen;
        struct client c;
        unsigned len;
        assert_true(client_open(&c, server_port(server, 0),
                                (struct client_options){.alpn = both, .certificate = "client-alice.pem"}));
        SSL_get0_alpn_selected(c.ssl, &chosen, &len);
        assert_int_equal(len, optional ? 8 : 2);
        client_close(&c);
        server_down(server);
    }
}

/* ---- a ticket would do without the key ---- */

static void no_session_is_resumed(void **state)
{
    for (int optional = 0; optional <= 1; optional++) {
        struct listener_options listeners[2], one;
        struct server_options options = options_clients(&one, optional);
        listeners[0] = listeners[1] = one;
        listeners[1].client_ca_file = NULL; /* its tickets are not good next door */
        options.listeners = listeners;
        options.listener_count = 2;
        struct server *server = server_up(&options);
        for (size_t v = 0; v < ARRAY_LEN(VERSIONS); v++) {
            for (unsigned from = 0; from <= 1; from++) {
                own(text_done) struct text answer = {0};
                struct client c, again;
                assert_true(
                    client_open(&c, server_port(server, from),
                                (struct client_options){.version = VERSIONS[v], .certificate = "client-alice.pem"}));
                client_talk(&c, ASK_LAST, &answer);
                SSL_SESSION *session = SSL_get1_session(c.ssl);
                if (from == 0) /* nothing was handed out that could be used again */
                    assert_false(SSL_SESSION_has_ticket(session) ||
                                 (VERSIONS[v] == TLS1_3_VERSION && SSL_SESSION_is_resumable(session)));
                SSL_set_shutdown(c.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
                again = (struct client){SSL_CTX_new(TLS_client_method()), NULL, connect_to(server_port(server, 0))};
                again.ssl = SSL_new(again.context); /* which has no certificate */
                SSL_set_min_proto_version(again.ssl, VERSIONS[v]);
                SSL_set_max_proto_version(again.ssl, VERSIONS[v]);
                SSL_set_fd(again.ssl, again.fd);
                SSL_set_session(again.ssl, session);
                text_clear(&answer);
                if (SSL_connect(again.ssl) == 1) {
                    assert_false(SSL_session_reused(again.ssl));
                    client_talk(&again, ASK_LAST, &answer);
                }
                if (optional)
                    assert_contains(&answer, "|no certificate|");
                else
                    assert_true(answer.len == 0);
                SSL_SESSION_free(session);
                client_close(&again);
                client_close(&c);
            }
        }
        server_down(server);
    }
}

/* ---- revocation lists ---- */

static const char *const *lists(const char *first, const char *second)
{
    static const char *files[2];

    files[0] = first ? file(first) : NULL;
    files[1] = second ? file(second) : NULL;
    return files;
}

static void revoked_certificates_are_refused(void **state)
{
    struct listener_options listener;
    struct server_options options = options_clients(&listener, false);

    pki_make("bob.pem", (struct pki_certificate){.subject = "bob", .serial = 30});
    pki_list("crl.pem", (struct pki_list){.revoked = "bob.pem"});
    listener.client_crl_files = lists("crl.pem", NULL);
    listener.client_crl_count = 1;
    struct server *server = server_up(&options);
    assert_true(is_let_in(server_port(server, 0), "client-alice.pem"));
    assert_false(is_let_in(server_port(server, 0), "bob.pem"));
    eventually(was_told("certificate revoked", "CN=bob"));
    assert_true(server_revocation_lists_until(server) > time(NULL) + 86000);
    server_down(server);
}

/* Leaf and chain: a CA between may be revoked, too. */
static void a_chain_is_checked_throughout(void **state)
{
    struct listener_options listener;
    struct server_options options = options_clients(&listener, false);
    struct fault fault = {0};

    /* a root, and a CA between it and its clients */
    shell("cd %s && openssl req -new -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root-key.pem "
          "-subj /CN=root "
          "-addext keyUsage=critical,keyCertSign,cRLSign -days 9 -out root.pem 2>/dev/null && "
          "openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out between-key.pem",
          folder);
    pki_make("between.pem", (struct pki_certificate){.subject = "between",
                                                     .is_ca = true,
                                                     .serial = 40,
                                                     .ca = "root.pem",
                                                     .ca_key = "root-key.pem",
                                                     .key = "between-key.pem"});
    pki_make("leaf.pem", (struct pki_certificate){
                             .subject = "leaf", .serial = 41, .ca = "between.pem", .ca_key = "between-key.pem"});
    shell("cd %s && cat leaf.pem between.pem >leaf-chain.pem && cat root.pem between.pem >cas.pem", folder);
    pki_list("root.crl", (struct pki_list){.ca = "root.pem", .ca_key = "root-key.pem"});
    pki_list("between.crl", (struct pki_list){.ca = "between.pem", .ca_key = "between-key.pem"});
    listener.client_ca_file = file("cas.pem");
    listener.client_crl_files = lists("root.crl", NULL);
    listener.client_crl_count = 1;
    expect_fault(&options, "has a CA without a revocation list in client_crl: CN=between");
    listener.client_crl_files = lists("root.crl", "between.crl");
    listener.client_crl_count = 2;
    struct server *server = server_up(&options);
    assert_true(is_let_in(server_port(server, 0), "leaf-chain.pem"));
    assert_true(is_let_in(server_port(server, 0), "leaf.pem")); /* we have the CA between ourselves */
    assert_false(is_let_in(server_port(server, 0), "client-alice.pem"));
    pki_list("root.crl", (struct pki_list){.ca = "root.pem", .ca_key = "root-key.pem", .revoked = "between.pem"});
    assert_true(server_reload_tls(server, &fault));
    assert_false(is_let_in(server_port(server, 0), "leaf-chain.pem"));
    eventually(was_told("certificate revoked", ""));
    server_down(server);
}

static void lists_that_cannot_be_relied_on_are_refused(void **state)
{
    static const struct {
        struct pki_list list;
        const char *said;
    } cases[] = {
        {{.to_s = -10, .from_s = -3600}, "crl.pem has expired (nextUpdate)"},
        {{.from_s = 3600}, "crl.pem is not valid yet (lastUpdate)"},
        {{.to_s = -86400L * 366}, "crl.pem does not say when it is renewed (nextUpdate)"},
        {{.ca = "ca.pem", .ca_key = "ca-key.pem"}, "crl.pem is not signed by a CA of client_ca"},
        {{.ca_key = "ca-key.pem"}, "crl.pem is not signed by a CA of client_ca"},
        {{.extension = NID_delta_crl}, "crl.pem holds only the changes since another list"},
        {{.extension = NID_crl_number}, "crl.pem covers only a part"},
    };
    struct listener_options listener;
    struct server_options options = options_clients(&listener, false);

    listener.client_crl_count = 1;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        pki_list("crl.pem", cases[i].list);
        listener.client_crl_files = lists("crl.pem", NULL);
        listener.certificate_file = file("server.pem"); /* anew: file() forgets the oldest */
        listener.key_file = file("server-key.pem");
        listener.client_ca_file = file("clients-ca.pem");
        expect_fault(&options, cases[i].said);
    }
    pki_list("crl.pem", (struct pki_list){.digest = EVP_sha1()});
    expect_fault(&options, "crl.pem is signed with a broken digest");
    shell("cd %s && echo junk >crl.pem", folder);
    expect_fault(&options, "crl.pem holds no revocation list in PEM form");
    pki_list("crl.pem", (struct pki_list){.append = true});
    shell("cd %s && printf -- '-----BEGIN X509 CRL-----\\nAAAA\\n-----END X509 CRL-----\\n' >>crl.pem", folder);
    expect_fault(&options, "crl.pem holds no revocation list in PEM form");
    shell("cd %s && rm crl.pem", folder);
    expect_fault(&options, "No such file");
    /* A CA that may not sign lists. */
    shell("cd %s && openssl req -new -x509 -key clients-ca-key.pem -subj /CN=limited -addext "
          "keyUsage=critical,keyCertSign -days 9 -out limited.pem",
          folder);
    pki_list("crl.pem", (struct pki_list){.ca = "limited.pem"});
    listener.client_ca_file = file("limited.pem");
    expect_fault(&options, "crl.pem is signed by a CA that may not sign such lists");
}

/* ---- what changes while connections are open ---- */

static bool still_answers(struct client *c)
{
    char buf[4096];

    return SSL_write(c->ssl, ASK, sizeof(ASK) - 1) > 0 && SSL_read(c->ssl, buf, sizeof(buf)) > 0;
}

static void a_reload_shuts_out_who_was_revoked(void **state)
{
    struct listener_options listener;
    struct server_options options = options_clients(&listener, false);
    struct client alice, bob, streaming;
    struct fault fault = {0};
    char buf[4096];

    pki_make("bob.pem", (struct pki_certificate){.subject = "bob", .serial = 30});
    pki_list("crl.pem", (struct pki_list){.from_s = 0});
    listener.client_crl_files = lists("crl.pem", NULL);
    listener.client_crl_count = 1;
    struct server *server = server_up(&options);
    unsigned port = server_port(server, 0);
    assert_true(client_open(&alice, port, (struct client_options){.certificate = "client-alice.pem"}));
    assert_true(client_open(&bob, port, (struct client_options){.certificate = "bob.pem"}));
    assert_true(client_open(&streaming, port, (struct client_options){.certificate = "bob.pem"}));
    assert_true(still_answers(&alice) && still_answers(&bob));
    stub.hold_sources = true;
    static const char stream[] = "GET /stream-later HTTP/1.1\r\n" HOST "\r\n";
    SSL_write(streaming.ssl, stream, sizeof(stream) - 1);
    eventually(stub.live_sources == 1);
    assert_true(server_reload_tls(server, &fault)); /* which changes nothing for them */
    usleep(50000);
    assert_true(still_answers(&alice) && still_answers(&bob));

    pki_list("crl.pem", (struct pki_list){.to_s = -10, .from_s = -3600, .revoked = "bob.pem"});
    assert_false(server_reload_tls(server, &fault)); /* the old one stays in force */
    assert_non_null(strstr(fault.message, "has expired"));
    assert_true(is_let_in(port, "bob.pem"));
    assert_true(still_answers(&bob));

    fault = (struct fault){0};
    tell_anew();
    pki_list("crl.pem", (struct pki_list){.revoked = "bob.pem"});
    assert_true(server_reload_tls(server, &fault));
    assert_false(is_let_in(port, "bob.pem"));
    assert_true(SSL_read(bob.ssl, buf, sizeof(buf)) <= 0);
    while (SSL_read(streaming.ssl, buf, sizeof(buf)) > 0) /* ends, or the test does not */
        ;
    stub.hold_sources = false;
    assert_true(still_answers(&alice));
    eventually(was_told("certificate revoked", "CN=bob"));
    client_close(&alice);
    client_close(&bob);
    client_close(&streaming);
    server_down(server);
}

/* The sweep over all connections takes its time; until it comes to one, what that one asks for is not executed either. */
static void nothing_is_executed_before_the_check(void **state)
{
    enum { CROWD = 60 };
    struct listener_options listener;
    struct server_options options = options_clients(&listener, false);
    struct client holder, crowd[CROWD];
    struct fault fault = {0};

    pki_make("bob.pem", (struct pki_certificate){.subject = "bob", .serial = 30});
    pki_list("crl.pem", (struct pki_list){.from_s = 0});
    listener.client_crl_files = lists("crl.pem", NULL);
    listener.client_crl_count = 1;
    options.loops = 1;
    struct server *server = server_up(&options);
    unsigned port = server_port(server, 0);
    assert_true(client_open(&holder, port, (struct client_options){.certificate = "client-alice.pem"}));
    for (int i = 0; i < CROWD; i++) {
        assert_true(client_open(&crowd[i], port, (struct client_options){.certificate = "bob.pem"}));
        assert_true(still_answers(&crowd[i]));
    }

    static const char hold[] = "GET /hold HTTP/1.1\r\n" HOST "\r\n";
    stub.hold_loop = true;
    SSL_write(holder.ssl, hold, sizeof(hold) - 1);
    eventually(stub.loop_held);
    int started = stub.started;
    pki_list("crl.pem", (struct pki_list){.revoked = "bob.pem"});
    assert_true(server_reload_tls(server, &fault));
    for (int i = 0; i < CROWD; i++)
        SSL_write(crowd[i].ssl, ASK, sizeof(ASK) - 1);
    stub.hold_loop = false;
    for (int i = 0; i < CROWD; i++) {
        char buf[4096];
        assert_true(SSL_read(crowd[i].ssl, buf, sizeof(buf)) <= 0);
        client_close(&crowd[i]);
    }
    assert_int_equal(stub.started, started);
    assert_true(still_answers(&holder));
    client_close(&holder);
    server_down(server);
}

static void a_reload_shuts_out_a_cas_clients(void **state)
{
    struct listener_options listener;
    struct server_options options = options_clients(&listener, false);
    struct fault fault = {0};
    struct client alice;
    char buf[4096];

    shell("cd %s && cp clients-ca.pem trusted.pem", folder);
    listener.client_ca_file = file("trusted.pem");
    struct server *server = server_up(&options);
    assert_true(
        client_open(&alice, server_port(server, 0), (struct client_options){.certificate = "client-alice.pem"}));
    assert_true(still_answers(&alice));
    shell("cd %s && cp ca.pem trusted.pem", folder);
    assert_true(server_reload_tls(server, &fault));
    assert_true(SSL_read(alice.ssl, buf, sizeof(buf)) <= 0);
    assert_false(is_let_in(server_port(server, 0), "client-alice.pem"));
    client_close(&alice);
    server_down(server);
}

static void many_are_looked_at_again(void **state)
{
    enum { CLIENTS = 60 }; /* more than a turn's */
    struct listener_options listener;
    struct server_options options = options_clients(&listener, false);
    struct client clients[CLIENTS];
    struct fault fault = {0};

    pki_make("bob.pem", (struct pki_certificate){.subject = "bob", .serial = 30});
    pki_list("crl.pem", (struct pki_list){.from_s = 0});
    listener.client_crl_files = lists("crl.pem", NULL);
    listener.client_crl_count = 1;
    struct server *server = server_up(&options);
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(client_open(&clients[i], server_port(server, 0),
                                (struct client_options){.certificate = i % 2 ? "bob.pem" : "client-alice.pem"}));
        assert_true(still_answers(&clients[i]));
    }
    pki_list("crl.pem", (struct pki_list){.revoked = "bob.pem"});
    assert_true(server_reload_tls(server, &fault) && server_reload_tls(server, &fault));
    eventually(counters(server).connections_open == CLIENTS / 2);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(still_answers(&clients[i]), i % 2 == 0);
        client_close(&clients[i]);
    }
    server_down(server);
}

static void open_connections_end_with_what_they_are_judged_by(void **state)
{
    struct listener_options listener, with_list;
    struct server_options options = options_clients(&listener, false), list_options = options;
    struct client brief, listed;
    char buf[4096];

    pki_make("brief.pem", (struct pki_certificate){.subject = "brief", .serial = 50, .to_s = 4});
    pki_list("crl.pem", (struct pki_list){.to_s = 4});
    with_list = listener;
    with_list.client_crl_files = lists("crl.pem", NULL);
    with_list.client_crl_count = 1;
    list_options.listeners = &with_list;
    struct server *server = server_up(&options), *lister = server_up(&list_options);
    assert_true(client_open(&brief, server_port(server, 0), (struct client_options){.certificate = "brief.pem"}));
    assert_true(
        client_open(&listed, server_port(lister, 0), (struct client_options){.certificate = "client-alice.pem"}));
    assert_true(still_answers(&brief) && still_answers(&listed));
    assert_true(SSL_read(brief.ssl, buf, sizeof(buf)) <= 0); /* they end, or the test does not */
    assert_true(SSL_read(listed.ssl, buf, sizeof(buf)) <= 0);
    eventually(was_told("has expired", "CN=brief") && was_told("has expired", "CN=alice"));
    assert_false(is_let_in(server_port(lister, 0), "client-alice.pem"));
    eventually(was_told("CRL has expired", "CN=alice"));
    client_close(&brief);
    client_close(&listed);
    server_stop(lister);
    server_free(lister);
    server_down(server);
}

/* A proxy that has a certificate proves who it is, not who those are that it speaks for. */
static void a_proxy_has_no_certificate_for_others(void **state)
{
    static const char *const trusted[] = {"127.0.0.1"};
    struct listener_options listener;
    struct server_options options = options_tls(&listener, true);
    own(text_done) struct text own_words = {0}, forwarded = {0};
    struct client c;

    options.trusted_proxies = trusted;
    options.trusted_proxy_count = ARRAY_LEN(trusted);
    struct server *server = server_up(&options);
    assert_true(asks(server_port(server, 0), (struct client_options){.certificate = "client-alice.pem"}, &own_words));
    assert_contains(&own_words, "alice");
    assert_true(client_open(&c, server_port(server, 0), (struct client_options){.certificate = "client-alice.pem"}));
    client_talk(&c, "GET /certificate HTTP/1.1\r\n" LAST "X-Forwarded-For: 192.0.2.7\r\n\r\n", &forwarded);
    client_close(&c);
    assert_contains(&forwarded, "|no certificate|");
    server_down(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_certificate_is_known),
        cmocka_unit_test(a_proxy_has_no_certificate_for_others),
        cmocka_unit_test(names_are_printable_and_bounded),
        cmocka_unit_test(strangers_are_kept_out),
        cmocka_unit_test(optional_certificates_get_no_http2),
        cmocka_unit_test(no_session_is_resumed),
        cmocka_unit_test(revoked_certificates_are_refused),
        cmocka_unit_test(a_chain_is_checked_throughout),
        cmocka_unit_test(lists_that_cannot_be_relied_on_are_refused),
        cmocka_unit_test(a_reload_shuts_out_who_was_revoked),
        cmocka_unit_test(nothing_is_executed_before_the_check),
        cmocka_unit_test(a_reload_shuts_out_a_cas_clients),
        cmocka_unit_test(many_are_looked_at_again),
        cmocka_unit_test(open_connections_end_with_what_they_are_judged_by),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
