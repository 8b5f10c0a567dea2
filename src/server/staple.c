/* OCSP stapling: the certification authority's word that our certificate is still good, from a file that somebody else keeps fresh.
 *
 * A response about another certificate, or not signed by its issuer, is a mistake; one that has expired is left out: a stale
 * staple is worse than none. */
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>

#include "bailiff/file.h"
#include "server/internal.h"

enum { OCSP_MAX = 1 << 16, CLOCK_LEEWAY_S = 300 };

static void response_freep(OCSP_RESPONSE **r)
{
    OCSP_RESPONSE_free(*r);
}

static void basic_freep(OCSP_BASICRESP **b)
{
    OCSP_BASICRESP_free(*b);
}

static void id_freep(OCSP_CERTID **id)
{
    OCSP_CERTID_free(*id);
}

static void store_freep(X509_STORE **store)
{
    X509_STORE_free(*store);
}

static bool bad(const struct listener_options *options, const char *what, struct fault *fault)
{
    char error[256];

    ERR_error_string_n(ERR_peek_last_error(), error, sizeof(error));
    ERR_clear_error();
    fault_set(fault, FAULT_INVALID, "%s: ocsp_file %s %s.", options->where ? options->where : "listener",
              options->ocsp_file, what);
    return fault_detail(fault, "%s", error);
}

/* Of the certificate's own issuer, which stands behind it in its file. */
static X509 *issuer_of(SSL_CTX *context, X509 *certificate)
{
    STACK_OF(X509) *chain = NULL;

    SSL_CTX_get0_chain_certs(context, &chain);
    for (int i = 0; i < sk_X509_num(chain); i++)
        if (X509_check_issued(sk_X509_value(chain, i), certificate) == X509_V_OK)
            return sk_X509_value(chain, i);
    return NULL;
}

static bool is_signed(OCSP_BASICRESP *basic, X509 *issuer)
{
    own(store_freep) X509_STORE *store = X509_STORE_new();

    if (!store || X509_STORE_add_cert(store, issuer) != 1 ||
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) != 1)
        return false;
    STACK_OF(X509) *certificates = sk_X509_new_null();
    bool good =
        certificates && sk_X509_push(certificates, issuer) > 0 && OCSP_basic_verify(basic, certificates, store, 0) == 1;
    sk_X509_free(certificates);
    return good;
}

/* When the response stops being true. */
static bool expiry_of(const ASN1_GENERALIZEDTIME *next_update, time_t *ret)
{
    struct tm tm;

    if (!next_update || ASN1_TIME_to_tm(next_update, &tm) != 1)
        return false;
    *ret = timegm(&tm);
    return true;
}

static int on_status(SSL *ssl, void *arg)
{
    const struct tls *tls = arg;

    if (time(NULL) >= tls->staple_until)
        return SSL_TLSEXT_ERR_NOACK;
    unsigned char *copy = OPENSSL_memdup(tls->staple, tls->staple_len); /* OpenSSL frees it */
    if (!copy || SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)tls->staple_len) != 1) {
        OPENSSL_free(copy);
        return SSL_TLSEXT_ERR_NOACK;
    }
    return SSL_TLSEXT_ERR_OK;
}

static void warn(const struct listener_options *options, struct log *log, const char *what)
{
    log_write(log, LOG_WARNING, "tls.ocsp", what, L_STR("file", options->ocsp_file), L_STR("where", options->where));
}

static bool use(struct tls *tls, const struct text *der, time_t until)
{
    tls->staple = OPENSSL_memdup(der->data, der->len);
    tls->staple_len = der->len;
    tls->staple_until = until;
    return tls->staple && SSL_CTX_set_tlsext_status_cb(tls->context, on_status) == 1 &&
           SSL_CTX_set_tlsext_status_arg(tls->context, tls) == 1;
}

static bool read_response(const struct text *der, const struct listener_options *options, OCSP_BASICRESP **ret_basic,
                          struct fault *fault)
{
    const unsigned char *at = (const unsigned char *)der->data;
    own(response_freep) OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)der->len);

    if (!response || at != (const unsigned char *)der->data + der->len)
        return bad(options, "is no OCSP response in DER", fault);
    if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return bad(options, "is a responder's error, not an answer", fault);
    *ret_basic = OCSP_response_get1_basic(response);
    return *ret_basic || bad(options, "holds no basic response", fault);
}

bool staple_load(struct tls *tls, const struct listener_options *options, struct log *log, struct fault *fault)
{
    own(text_done) struct text der = {0};
    own(basic_freep) OCSP_BASICRESP *basic = NULL;
    ASN1_GENERALIZEDTIME *revoked, *this_update, *next_update;
    struct fault cause = {0};
    int status, reason;
    time_t until;

    if (!file_read(options->ocsp_file, OCSP_MAX, &der, &cause))
        return fault_set(fault, cause.kind, "%s: %s", options->where ? options->where : "listener", cause.message);
    if (!read_response(&der, options, &basic, fault))
        return false;
    X509 *certificate = SSL_CTX_get0_certificate(tls->context), *issuer = issuer_of(tls->context, certificate);
    if (!issuer)
        return bad(options, "cannot be checked: the certificate's file does not hold its issuer's behind it", fault);
    own(id_freep) OCSP_CERTID *id = OCSP_cert_to_id(NULL, certificate, issuer);
    if (!id || OCSP_resp_find_status(basic, id, &status, &reason, &revoked, &this_update, &next_update) != 1)
        return bad(options, "is about another certificate", fault);
    if (!is_signed(basic, issuer))
        return bad(options, "is not signed by the certificate's issuer", fault);
    ERR_clear_error();
    if (status != V_OCSP_CERTSTATUS_GOOD)
        warn(options, log, "says that the certificate is not good; it is stapled, and clients will refuse it");
    if (!expiry_of(next_update, &until) || OCSP_check_validity(this_update, next_update, CLOCK_LEEWAY_S, -1) != 1) {
        ERR_clear_error();
        warn(options, log, "has expired, is not valid yet, or does not say until when it is; nothing is stapled");
        return true;
    }
    return use(tls, &der, until) || fault_internal(fault, "OpenSSL takes no OCSP response");
}
