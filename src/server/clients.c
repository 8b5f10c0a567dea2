/* Certificates that clients show: asked for, verified, looked at again when what they are verified by has changed.
 *
 * A connection keeps its client's certificate for life, so a reload of CAs or revocation lists, and the end of a certificate's or list's time,
 * end the connections that would not be let in any more. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "bailiff/file.h"
#include "server/internal.h"

enum { CA_BYTES_MAX = 1 << 20, CHAIN_MAX = 4, SHOWN_BYTES_MAX = 32 << 10, CHECKED_A_TURN = 16, SECURITY_LEVEL = 2 };

static void bio_freep(BIO **bio)
{
    BIO_free(*bio);
}

static void x509_freep(X509 **x)
{
    X509_free(*x);
}

/* ---- the handshake ---- */

/* libh2o keeps the SSL to itself; its BIO leads back to the socket. NULL: this is another libh2o than we know, and its clients have no
 * certificate. */
static struct connection *connection_of_ssl(const SSL *ssl)
{
    BIO *bio = SSL_get_rbio(ssl);

    if (!bio || !str_eq(BIO_method_name(bio), "h2o_socket"))
        return NULL;
    h2o_socket_t *socket = BIO_get_data(bio);
    return socket ? socket->on_close.data : NULL;
}

/* Not proved to be the client's, but it is what it showed. */
static void remember_refusal(X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct connection *c = ssl ? connection_of_ssl(ssl) : NULL;
    X509 *leaf = X509_STORE_CTX_get0_cert(store);

    if (!c || c->certificate_fault)
        return;
    c->certificate_fault = X509_verify_cert_error_string(X509_STORE_CTX_get_error(store));
    c->certificate = leaf ? certificate_new(leaf) : NULL;
}

/* A certificate of that CA without any stated use, or with another, is not a client's. */
static int verify(int ok, X509_STORE_CTX *store)
{
    if (ok && X509_STORE_CTX_get_error_depth(store) == 0) {
        uint32_t use = X509_get_extended_key_usage(X509_STORE_CTX_get_current_cert(store));
        ok = use != UINT32_MAX && (use & XKU_SSL_CLIENT);
        if (!ok)
            X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
    }
    if (!ok)
        remember_refusal(store);
    return ok;
}

static void on_info(const SSL *ssl, int where, int value)
{
    struct connection *c;

    if (where & SSL_CB_HANDSHAKE_DONE) {
        c = connection_of_ssl(ssl);
        if (c)
            c->ssl = (SSL *)ssl;
    } else if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT &&
               ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
        c = connection_of_ssl(ssl);
        if (c && !c->certificate_fault)
            c->certificate_fault = "none was shown";
    }
}

/* ---- the context ---- */

static bool load_cas(struct tls *tls, const struct listener_options *options, struct fault *fault)
{
    own(text_done) struct text pem = {0};
    struct fault cause = {0};

    if (!file_read_trusted(options->client_ca_file, CA_BYTES_MAX, &pem, &cause))
        return tls_at(options, &cause, fault);
    own(bio_freep) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    tls->client_cas = sk_X509_new_null();
    for (;;) {
        own(x509_freep) X509 *ca = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
        if (!ca)
            break;
        if (X509_check_ca(ca) != 1 || X509_STORE_add_cert(SSL_CTX_get_cert_store(tls->context), ca) != 1 ||
            SSL_CTX_add_client_CA(tls->context, ca) != 1 || sk_X509_push(tls->client_cas, ca) <= 0)
            return tls_bad_file(options, options->client_ca_file, "holds a certificate that is no CA's", fault);
        ca = NULL; /* the stack's */
    }
    if (sk_X509_num(tls->client_cas) == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return tls_bad_file(options, options->client_ca_file, "holds no CA certificates in PEM form", fault);
    ERR_clear_error();
    return true;
}

bool clients_load(struct tls *tls, const struct listener_options *options, struct log *log, struct fault *fault)
{
    bool required = !options->client_certificate_optional;

    if (!load_cas(tls, options, fault))
        return false;
    X509_VERIFY_PARAM_set_purpose(SSL_CTX_get0_param(tls->context), X509_PURPOSE_SSL_CLIENT);
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), verify);
    SSL_CTX_set_verify_depth(tls->context, CHAIN_MAX);
    SSL_CTX_set_max_cert_list(tls->context, SHOWN_BYTES_MAX);
    SSL_CTX_set_info_callback(tls->context, on_info);
    /* A ticket would stand in for the certificate's key later on. */
    SSL_CTX_set_options(tls->context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(tls->context, 0);
    return options->client_crl_count == 0 || crl_load(tls, options, log, fault);
}

/* ---- connections ---- */

static bool refuse(struct connection *c, const char *reason)
{
    record_client_refusal(c, reason, false);
    h2o_socket_close(c->socket);
    return false;
}

/* What is in force now; by it the connection is to be verified. */
static struct tls *current_tls(struct connection *c)
{
    struct server *server = c->loop->server;

    pthread_mutex_lock(&server->lock);
    struct tls *tls = tls_ref(c->listener->tls);
    c->trust = server->trust;
    pthread_mutex_unlock(&server->lock);
    return tls;
}

/* The same verification as the handshake's, by what is in force now. NULL: still good; else why not. */
static const char *verify_again(struct connection *c, const struct tls *tls)
{
    X509_STORE_CTX *store = X509_STORE_CTX_new();
    const char *fault = "out of memory";

    if (!tls->client_cas) {
        fault = "certificates are not taken any more";
    } else if (store && X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(tls->context),
                                            SSL_get0_peer_certificate(c->ssl), SSL_get_peer_cert_chain(c->ssl)) == 1) {
        X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(store), SECURITY_LEVEL);
        X509_STORE_CTX_set_default(store, "ssl_client");
        X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(store), SSL_CTX_get0_param(tls->context));
        X509_STORE_CTX_set_verify_cb(store, verify);
        fault = X509_verify_cert(store) == 1 ? NULL : X509_verify_cert_error_string(X509_STORE_CTX_get_error(store));
        c->certificate_until_s = crl_good_until(tls, X509_STORE_CTX_get0_chain(store));
    }
    X509_STORE_CTX_free(store);
    ERR_clear_error();
    return fault;
}

bool clients_admit(struct connection *c)
{
    X509 *leaf = c->ssl ? SSL_get0_peer_certificate(c->ssl) : NULL;
    own(tls_unrefp) struct tls *tls = current_tls(c);
    const char *fault = NULL;

    if (!leaf)
        return c->listener->options.client_certificate_optional || refuse(c, "none was shown");
    if (SSL_session_reused(c->ssl)) /* it cannot be; but if it were, nothing would have been proved */
        return refuse(c, "a session was resumed");
    c->certificate = certificate_new(leaf);
    c->certificate_until_s = crl_good_until(c->tls, SSL_get0_verified_chain(c->ssl));
    if (!c->certificate || SSL_get_verify_result(c->ssl) != X509_V_OK)
        return refuse(c, "it could not be verified");
    if (tls != c->tls) /* there was a reload while it was let in */
        fault = verify_again(c, tls);
    if (fault)
        return refuse(c, fault);
    h2o_linklist_insert(&c->loop->certified, &c->certified_link);
    return true;
}

/* What it has sent already is not executed either. */
static void end(struct connection *c, const char *reason)
{
    record_client_refusal(c, reason, true);
    c->distrusted = true;
    h2o_linklist_unlink(&c->certified_link);
    connection_reset(c);
}

static bool check(struct connection *c)
{
    own(tls_unrefp) struct tls *tls = current_tls(c);
    const char *fault = verify_again(c, tls);

    if (fault)
        end(c, fault);
    return !fault;
}

static bool is_checked(const struct connection *c)
{
    return c->trust == atomic_load_explicit(&c->loop->server->trust, memory_order_acquire);
}

bool clients_still_admit(struct connection *c)
{
    return !c->distrusted && (!h2o_linklist_is_linked(&c->certified_link) || is_checked(c) || check(c));
}

static void check_some(struct loop *loop)
{
    for (int i = 0; i < CHECKED_A_TURN && !h2o_linklist_is_empty(&loop->unchecked); i++) {
        struct connection *c = container_of(loop->unchecked.next, struct connection, certified_link);
        if (!is_checked(c) && !check(c))
            continue;
        h2o_linklist_unlink(&c->certified_link);
        h2o_linklist_insert(&loop->certified, &c->certified_link);
    }
}

/* Verifying takes a tenth of a millisecond: a few a turn, so that nobody else waits. Whoever asks for something in the meantime is
 * verified first. */
static void on_check(h2o_timeout_entry_t *entry)
{
    struct loop *loop = container_of(entry, struct loop, client_check);

    check_some(loop);
    if (!h2o_linklist_is_empty(&loop->unchecked))
        h2o_timeout_link(loop->context.loop, &loop->context.zero_timeout, &loop->client_check);
}

void clients_check_all(struct loop *loop)
{
    h2o_linklist_insert_list(&loop->unchecked, &loop->certified);
    if (!h2o_timeout_is_linked(&loop->client_check))
        h2o_timeout_link(loop->context.loop, &loop->context.zero_timeout, &loop->client_check);
}

static void end_expired(h2o_linklist_t *list)
{
    int64_t now_s = time(NULL);

    for (h2o_linklist_t *node = list->next, *next; node != list; node = next) {
        struct connection *c = container_of(node, struct connection, certified_link);
        next = node->next;
        if (now_s >= c->certificate_until_s)
            end(c, "it or a revocation list has expired");
    }
}

static void on_tick(h2o_timeout_entry_t *entry)
{
    struct loop *loop = container_of(entry, struct loop, client_tick);

    end_expired(&loop->certified);
    end_expired(&loop->unchecked);
    h2o_timeout_link(loop->context.loop, &loop->context.one_sec_timeout, &loop->client_tick);
}

void clients_begin(struct loop *loop)
{
    loop->client_check.cb = on_check;
    loop->client_tick.cb = on_tick;
    on_tick(&loop->client_tick);
}

void clients_end(struct loop *loop)
{
    if (h2o_timeout_is_linked(&loop->client_check))
        h2o_timeout_unlink(&loop->client_check);
    if (h2o_timeout_is_linked(&loop->client_tick))
        h2o_timeout_unlink(&loop->client_tick);
}
