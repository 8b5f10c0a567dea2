/* Revocation lists of the CAs that certify clients. One that cannot be relied on is refused when it is read, with the reason: once in
 * force it would keep out everybody, or nobody. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "bailiff/file.h"
#include "server/internal.h"

enum { LIST_BYTES_MAX = 64 << 20, SOON_S = 3600 };

struct reading {
    struct tls *tls;
    const struct listener_options *options;
    const char *file;
    struct fault *fault;
};

static void bio_freep(BIO **bio)
{
    BIO_free(*bio);
}

static void crl_freep(X509_CRL **crl)
{
    X509_CRL_free(*crl);
}

static bool bad(const struct reading *r, const char *what)
{
    return tls_bad_file(r->options, r->file, what, r->fault);
}

/* The CA that signed it. A CA that changed its key has two certificates of one name. */
static X509 *signer_of(const struct tls *tls, X509_CRL *crl)
{
    for (int i = 0; i < sk_X509_num(tls->client_cas); i++) {
        X509 *ca = sk_X509_value(tls->client_cas, i);
        if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(ca)) == 0 &&
            X509_CRL_verify(crl, X509_get0_pubkey(ca)) == 1)
            return ca;
    }
    ERR_clear_error();
    return NULL;
}

static bool strong_signature(const X509_CRL *crl)
{
    int digest = NID_undef;

    /* Ed25519 and its sister name no digest of their own. */
    if (OBJ_find_sigid_algs(X509_CRL_get_signature_nid(crl), &digest, NULL) != 1)
        return false;
    return digest != NID_md5 && digest != NID_sha1 && digest != NID_md4 && digest != NID_md2;
}

static bool check_times(const struct reading *r, const X509_CRL *crl)
{
    time_t now = time(NULL);

    if (!X509_CRL_get0_nextUpdate(crl))
        return bad(r, "does not say when it is renewed (nextUpdate); nobody could tell whether it is current");
    if (X509_cmp_time(X509_CRL_get0_lastUpdate(crl), &now) >= 0)
        return bad(r, "is not valid yet (lastUpdate); look at this machine's clock");
    if (X509_cmp_time(X509_CRL_get0_nextUpdate(crl), &now) <= 0)
        return bad(r, "has expired (nextUpdate); fetch the CA's current one");
    return true;
}

static bool check(const struct reading *r, X509_CRL *crl)
{
    X509 *ca = signer_of(r->tls, crl);

    if (!ca)
        return bad(r, "is not signed by a CA of client_ca; put the CA that signed it there, too");
    if (!(X509_get_key_usage(ca) & KU_CRL_SIGN))
        return bad(r, "is signed by a CA that may not sign such lists (keyUsage cRLSign)");
    if (!strong_signature(crl))
        return bad(r, "is signed with a broken digest (MD5 or SHA-1)");
    if (X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0)
        return bad(r, "holds only the changes since another list (a delta CRL); give the complete one");
    if (X509_CRL_get_ext_by_NID(crl, NID_issuing_distribution_point, -1) >= 0 ||
        X509_CRL_get_ext_by_critical(crl, 1, -1) >= 0)
        return bad(r,
                   "covers only a part of the CA's certificates (it has a critical extension); give the complete one");
    return check_times(r, crl);
}

static void tell(const struct reading *r, X509_CRL *crl, struct log *log)
{
    own(freep) char *issuer = certificate_name(X509_CRL_get_issuer(crl));
    int64_t until_s = asn1_time_s(X509_CRL_get0_nextUpdate(crl));
    bool soon = until_s - time(NULL) < SOON_S;

    log_write(log, soon ? LOG_WARNING : LOG_INFO, "tls.crl",
              soon ? "A revocation list expires within an hour; then its CA's clients are refused." : "In force.",
              L_STR("file", r->file), L_STR("issuer", issuer),
              L_INT("revoked", MAX(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)), 0)),
              L_INT("valid_s", until_s - time(NULL)), L_STR("where", r->options->where));
}

static bool read_lists(const struct reading *r, struct log *log)
{
    own(text_done) struct text pem = {0};
    struct fault cause = {0};
    unsigned count = 0;

    if (!file_read_trusted(r->file, LIST_BYTES_MAX, &pem, &cause))
        return tls_at(r->options, &cause, r->fault);
    own(bio_freep) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    for (;; count++) {
        own(crl_freep) X509_CRL *crl = bio ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;
        if (!crl)
            break;
        if (!check(r, crl))
            return false;
        if (X509_STORE_add_crl(SSL_CTX_get_cert_store(r->tls->context), crl) != 1 ||
            sk_X509_CRL_push(r->tls->crls, crl) <= 0)
            return bad(r, "cannot be used");
        tell(r, crl, log);
        crl = NULL; /* the stack's */
    }
    if (count == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return bad(r, "holds no revocation list in PEM form (-----BEGIN X509 CRL-----)");
    ERR_clear_error();
    return true;
}

/* The latest list of a CA decides how long its certificates can be judged. 0: it has none. */
static int64_t lists_until(const struct tls *tls, const X509_NAME *ca)
{
    int64_t until_s = 0;

    for (int i = 0; i < sk_X509_CRL_num(tls->crls); i++) {
        X509_CRL *crl = sk_X509_CRL_value(tls->crls, i);
        if (X509_NAME_cmp(X509_CRL_get_issuer(crl), ca) == 0)
            until_s = MAX(until_s, asn1_time_s(X509_CRL_get0_nextUpdate(crl)));
    }
    return until_s;
}

/* Where one CA's is missing, all that it certified are refused: nobody wants that. */
static bool check_complete(const struct reading *r)
{
    r->tls->lists_until_s = INT64_MAX;
    for (int i = 0; i < sk_X509_num(r->tls->client_cas); i++) {
        const X509_NAME *name = X509_get_subject_name(sk_X509_value(r->tls->client_cas, i));
        int64_t until_s = lists_until(r->tls, name);
        own(freep) char *text = certificate_name(name);
        own(freep) char *what =
            xprintf("has a CA without a revocation list in client_crl: %s; all its clients would be refused", text);
        if (until_s == 0)
            return tls_bad_file(r->options, r->options->client_ca_file, what, r->fault);
        r->tls->lists_until_s = MIN(r->tls->lists_until_s, until_s);
    }
    return true;
}

bool crl_load(struct tls *tls, const struct listener_options *options, struct log *log, struct fault *fault)
{
    struct reading r = {tls, options, NULL, fault};

    tls->crls = sk_X509_CRL_new_null();
    for (size_t i = 0; i < options->client_crl_count; i++) {
        r.file = options->client_crl_files[i];
        if (!read_lists(&r, log))
            return false;
    }
    if (!check_complete(&r))
        return false;
    return X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(tls->context),
                                       X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1 ||
           fault_internal(fault, "OpenSSL refuses to look at revocation lists");
}

int64_t crl_good_until(const struct tls *tls, STACK_OF(X509) * chain)
{
    int64_t until_s = INT64_MAX;

    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *x = sk_X509_value(chain, i);
        until_s = MIN(until_s, asn1_time_s(X509_get0_notAfter(x)));
        if (tls->crls)
            until_s = MIN(until_s, lists_until(tls, X509_get_issuer_name(x)));
    }
    return until_s;
}
