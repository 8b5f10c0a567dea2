/* TLS contexts: one a listener, shared by all loops. */
#include <limits.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "bailiff/file.h"
#include "server/internal.h"

enum { PEM_MAX = 1 << 20, EXPIRY_WARNING_S = 14 * 86400 };

static void bio_freep(BIO **bio)
{
    BIO_free(*bio);
}

static void x509_freep(X509 **x)
{
    X509_free(*x);
}

static void pkey_freep(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

/* Wipes a secret before its memory is used again. */
static void secret_done(struct text *t)
{
    OPENSSL_cleanse(t->data, t->cap);
    text_done(t);
}

/* Files already name themselves in their faults; this adds where they were named. */
bool tls_at(const struct listener_options *options, struct fault *cause, struct fault *fault)
{
    fault_set(fault, cause->kind, "%s: %s", options->where ? options->where : "listener", cause->message);
    return cause->detail[0] ? fault_detail(fault, "%s", cause->detail) : false;
}

bool tls_bad_file(const struct listener_options *options, const char *file, const char *what, struct fault *fault)
{
    char error[256];

    ERR_error_string_n(ERR_peek_last_error(), error, sizeof(error));
    ERR_clear_error();
    fault_set(fault, FAULT_INVALID, "%s: %s %s.", options->where ? options->where : "listener", file, what);
    return fault_detail(fault, "%s", error);
}

static void warn_of_expiry(const struct listener_options *options, const X509 *certificate, struct log *log)
{
    time_t now = time(NULL), soon = now + EXPIRY_WARNING_S;
    const char *what = X509_cmp_time(X509_get0_notBefore(certificate), &now) > 0   ? "is not valid yet"
                       : X509_cmp_time(X509_get0_notAfter(certificate), &now) < 0  ? "has expired"
                       : X509_cmp_time(X509_get0_notAfter(certificate), &soon) < 0 ? "expires within 14 days"
                                                                                   : NULL;
    if (what)
        log_write(log, LOG_WARNING, "tls.certificate", what, L_STR("file", options->certificate_file),
                  L_STR("where", options->where));
}

static bool load_certificate(SSL_CTX *context, const struct listener_options *options, struct log *log,
                             struct fault *fault)
{
    own(text_done) struct text pem = {0};
    struct fault cause = {0};

    if (!file_read(options->certificate_file, PEM_MAX, &pem, &cause))
        return tls_at(options, &cause, fault);
    own(bio_freep) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    own(x509_freep) X509 *leaf = bio ? PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL) : NULL;
    if (!leaf)
        return tls_bad_file(options, options->certificate_file, "holds no certificate in PEM form", fault);
    if (SSL_CTX_use_certificate(context, leaf) != 1)
        return tls_bad_file(options, options->certificate_file, "holds a certificate that is too weak or unusable",
                            fault);
    warn_of_expiry(options, leaf, log);

    for (X509 *next; (next = PEM_read_bio_X509(bio, NULL, NULL, NULL));) {
        if (SSL_CTX_add0_chain_cert(context, next) != 1) {
            X509_free(next);
            return tls_bad_file(options, options->certificate_file, "holds an unusable chain", fault);
        }
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return tls_bad_file(options, options->certificate_file, "has a broken certificate in its chain", fault);
    ERR_clear_error();
    return true;
}

/* A server that starts by itself has nobody to ask. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    return -1;
}

static bool load_key(SSL_CTX *context, const struct listener_options *options, struct fault *fault)
{
    own(secret_done) struct text pem = {0};
    struct fault cause = {0};

    if (!file_read_secret(options->key_file, PEM_MAX, &pem, &cause))
        return tls_at(options, &cause, fault);
    own(bio_freep) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    own(pkey_freep) EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    if (!key)
        return tls_bad_file(options, options->key_file, "holds no private key in PEM form without a passphrase", fault);
    if (SSL_CTX_use_PrivateKey(context, key) != 1 || SSL_CTX_check_private_key(context) != 1)
        return tls_bad_file(options, options->key_file, "is not the key of the certificate, or too weak", fault);
    return true;
}

/* A client that names protocols but none of ours is refused (RFC 7301 §3.2): it speaks something else. */
static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                           unsigned in_len, void *arg)
{
    static const unsigned char http1[] = "\x08http/1.1\x08http/1.0", http2[] = "\x02h2\x08http/1.1\x08http/1.0";
    const unsigned char *ours = arg ? http2 : http1;
    unsigned our_len = arg ? sizeof(http2) - 1 : sizeof(http1) - 1;

    if (SSL_select_next_proto((unsigned char **)out, out_len, ours, our_len, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}

bool tls_is_http2(h2o_socket_t *socket)
{
    h2o_iovec_t protocol = h2o_socket_ssl_get_selected_protocol(socket);

    return protocol.len == 2 && memcmp(protocol.base, "h2", 2) == 0;
}

static const char CIPHERS_TLS12[] = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char CIPHERS_TLS13[] = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";

static bool set_policy(SSL_CTX *context, bool http2)
{
    SSL_CTX_set_security_level(context, 2);
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(context, select_protocol, http2 ? context : NULL);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(context, CIPHERS_TLS12) == 1 &&
           SSL_CTX_set_ciphersuites(context, CIPHERS_TLS13) == 1 &&
           SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1;
}

/* Tickets resume without memory of ours. What one listener gave out no other takes: they may ask for different things. Where clients
 * have certificates there are none at all. */
static bool set_sessions(SSL_CTX *context, const struct listener_options *options, unsigned period_ms)
{
    uint8_t id[32];
    own(freep) char *name = xprintf("bailiff %s %u", options->address, options->port);

    digest_sha256(name, strlen(name), id);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(context, MAX((long)(period_ms / 1000), 1L));
    SSL_CTX_set_num_tickets(context, 1);
    return SSL_CTX_set_session_id_context(context, id, sizeof(id)) == 1 &&
           (options->client_ca_file || ticket_keys_use(context));
}

bool tls_new(const struct listener_options *options, struct ticket_keys *tickets, struct log *log, struct tls **ret_tls,
             struct fault *fault)
{
    own(tls_unrefp) struct tls *tls = xcalloc(1, sizeof(*tls));

    ERR_clear_error();
    tls->references = 1;
    tls->lists_until_s = INT64_MAX;
    tls->tickets = tickets;
    tls->context = SSL_CTX_new(TLS_server_method());
    if (!tls->context || !set_policy(tls->context, listener_offers_http2(options)) ||
        !set_sessions(tls->context, options, ticket_keys_period_ms(tickets)) ||
        SSL_CTX_set_app_data(tls->context, tls) != 1)
        return fault_internal(fault, "OpenSSL refuses the TLS policy");
    if (!load_certificate(tls->context, options, log, fault) || !load_key(tls->context, options, fault))
        return false;
    if (options->client_ca_file && !clients_load(tls, options, log, fault))
        return false;
    if (options->ocsp_file && !staple_load(tls, options, log, fault))
        return false;
    *ret_tls = give(tls);
    return true;
}

struct tls *tls_ref(struct tls *tls)
{
    atomic_fetch_add_explicit(&tls->references, 1, memory_order_relaxed);
    return tls;
}

void tls_unref(struct tls *tls)
{
    if (!tls || atomic_fetch_sub_explicit(&tls->references, 1, memory_order_acq_rel) > 1)
        return;
    SSL_CTX_free(tls->context);
    sk_X509_pop_free(tls->client_cas, X509_free);
    sk_X509_CRL_pop_free(tls->crls, X509_CRL_free);
    OPENSSL_free(tls->staple);
    free(tls);
}
