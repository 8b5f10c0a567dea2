/* Certificates and revocation lists made to measure, for server_*_test.c. All keys are client-alice-key.pem and clients-ca-key.pem. */
#ifndef BAILIFF_TESTS_SERVER_PKI_H
#define BAILIFF_TESTS_SERVER_PKI_H

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "unit/server_tls_fixture.h"

static inline X509 *pki_read(const char *name)
{
    BIO *bio = BIO_new_file(file(name), "r");
    X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    assert_non_null(x);
    return x;
}

static inline EVP_PKEY *pki_key(const char *name)
{
    BIO *bio = BIO_new_file(file(name), "r");
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    assert_non_null(key);
    return key;
}

struct pki_certificate {
    const char *subject;     /* CN; NULL: none at all */
    const char *ca, *ca_key; /* NULL: clients-ca.pem */
    const char *key;         /* NULL: client-alice-key.pem */
    const char *use;         /* extendedKeyUsage; NULL: clientAuth; "": none */
    const char *alternative; /* subjectAltName, or NULL */
    bool is_ca;
    long serial, from_s, to_s; /* from now; to_s 0: a day */
};

static inline void pki_extend(X509 *x, X509 *ca, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, ca, x, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    X509_add_ext(x, extension, -1);
    X509_EXTENSION_free(extension);
}

static inline void pki_make(const char *name, struct pki_certificate c)
{
    X509 *x = X509_new(), *ca = pki_read(c.ca ? c.ca : "clients-ca.pem");
    EVP_PKEY *key = pki_key(c.key ? c.key : "client-alice-key.pem"),
             *ca_key = pki_key(c.ca_key ? c.ca_key : "clients-ca-key.pem");

    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), c.serial);
    X509_gmtime_adj(X509_getm_notBefore(x), c.from_s ? c.from_s : -60);
    X509_gmtime_adj(X509_getm_notAfter(x), c.to_s ? c.to_s : 86400);
    X509_set_issuer_name(x, X509_get_subject_name(ca));
    if (c.subject)
        X509_NAME_add_entry_by_NID(X509_get_subject_name(x), NID_commonName, MBSTRING_UTF8,
                                   (const unsigned char *)c.subject, -1, -1, 0);
    X509_set_pubkey(x, key);
    pki_extend(x, ca, NID_basic_constraints, c.is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    pki_extend(x, ca, NID_key_usage, c.is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
    if (!c.is_ca && (!c.use || c.use[0]))
        pki_extend(x, ca, NID_ext_key_usage, c.use ? c.use : "clientAuth");
    if (c.alternative)
        pki_extend(x, ca, NID_subject_alt_name, c.alternative);
    assert_true(X509_sign(x, ca_key, EVP_sha256()) > 0);
    BIO *out = BIO_new_file(file(name), "w");
    assert_int_equal(PEM_write_bio_X509(out, x), 1);
    BIO_free(out);
    X509_free(x);
    X509_free(ca);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
}

struct pki_list {
    const char *ca, *ca_key; /* NULL: clients-ca.pem */
    const char *revoked;     /* a certificate's file, or NULL */
    long from_s, to_s;       /* from now; to_s 0: a day; below -86400 * 365: no nextUpdate */
    const EVP_MD *digest;    /* NULL: SHA-256 */
    int extension;           /* a critical one of this NID; 0: none */
    bool append;             /* to the file */
};

static inline void pki_revoke(X509_CRL *crl, const char *name)
{
    X509 *x = pki_read(name);
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_TIME *when = X509_gmtime_adj(NULL, -30);

    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(x));
    X509_REVOKED_set_revocationDate(entry, when);
    assert_int_equal(X509_CRL_add0_revoked(crl, entry), 1);
    ASN1_TIME_free(when);
    X509_free(x);
}

static inline void pki_list(const char *name, struct pki_list l)
{
    X509_CRL *crl = X509_CRL_new();
    X509 *ca = pki_read(l.ca ? l.ca : "clients-ca.pem");
    EVP_PKEY *key = pki_key(l.ca_key ? l.ca_key : "clients-ca-key.pem");
    ASN1_TIME *from = X509_gmtime_adj(NULL, l.from_s ? l.from_s : -60);
    ASN1_TIME *to = X509_gmtime_adj(NULL, l.to_s ? l.to_s : 86400);

    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca));
    X509_CRL_set1_lastUpdate(crl, from);
    if (l.to_s > -86400 * 365)
        X509_CRL_set1_nextUpdate(crl, to);
    if (l.revoked)
        pki_revoke(crl, l.revoked);
    if (l.extension) {
        ASN1_INTEGER *one = ASN1_INTEGER_new();
        ASN1_INTEGER_set(one, 1);
        assert_int_equal(X509_CRL_add1_ext_i2d(crl, l.extension, one, 1, 0), 1);
        ASN1_INTEGER_free(one);
    }
    X509_CRL_sort(crl);
    assert_true(X509_CRL_sign(crl, key, l.digest ? l.digest : EVP_sha256()) > 0);
    BIO *out = BIO_new_file(file(name), l.append ? "a" : "w");
    assert_int_equal(PEM_write_bio_X509_CRL(out, crl), 1);
    BIO_free(out);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    EVP_PKEY_free(key);
    X509_free(ca);
    X509_CRL_free(crl);
}

#endif
