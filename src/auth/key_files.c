/* Key files of the three kinds. */
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "auth/key_files.h"
#include "auth/openssl_end.h"
#include "bailiff/file.h"

static void bio_freep(BIO **bio)
{
    BIO_free(*bio);
}

static void x509_freep(X509 **certificate)
{
    X509_free(*certificate);
}

void secret_text_done(struct text *secret)
{
    if (secret->data)
        OPENSSL_cleanse(secret->data, secret->cap);
    text_done(secret);
}

struct span secret_of_file(const struct text *content)
{
    struct span secret = text_span(content);

    if (secret.len > 0 && secret.data[secret.len - 1] == '\n')
        secret.len--;
    if (secret.len > 0 && secret.data[secret.len - 1] == '\r')
        secret.len--;
    return secret;
}

/* ---- JWKS ---- */

bool key_file_jwks(const char *path, const char *where, const struct key_rules *rules, struct key_set *ret_keys,
                   struct fault *fault)
{
    own(secret_text_done) struct text content = {0}, guarded = {0};
    own(key_set_done) struct key_set set = {0};
    struct fault problem = {0};
    bool secret = false;

    if (!file_read_trusted(path, JWKS_SIZE_MAX, &content, &problem))
        return fault_set(fault, FAULT_INVALID, "%s: %s", where, problem.message);
    if (!jwks_read(text_span(&content), where, rules, &set, &secret, fault))
        return false;
    if (secret && !file_read_secret(path, JWKS_SIZE_MAX, &guarded, &problem))
        return fault_set(fault, FAULT_INVALID, "%s: %s", where, problem.message);
    *ret_keys = set;
    set = (struct key_set){0};
    return true;
}

/* ---- PEM ---- */

static bool from_certificate(BIO *bio, const char *where, EVP_PKEY **ret_pkey, struct fault *fault)
{
    own(x509_freep) X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    if (!certificate)
        return fault_set(fault, FAULT_INVALID, "%s: it is not a certificate that can be read.", where);
    uint32_t usage = X509_get_key_usage(certificate); /* all bits when the certificate does not say */
    if (!(usage & KU_DIGITAL_SIGNATURE))
        return fault_set(fault, FAULT_INVALID, "%s: the certificate's key usage does not allow digital signatures.",
                         where);
    EVP_PKEY *pkey = X509_get_pubkey(certificate);
    if (!pkey)
        return fault_set(fault, FAULT_INVALID, "%s: the certificate's public key cannot be read.", where);
    *ret_pkey = pkey;
    return true;
}

static bool from_public_key(BIO *bio, const char *where, EVP_PKEY **ret_pkey, struct fault *fault)
{
    EVP_PKEY *pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);

    if (!pkey)
        return fault_set(fault, FAULT_INVALID, "%s: it is not a public key that can be read.", where);
    *ret_pkey = pkey;
    return true;
}

static bool pem_read(const struct text *pem, const char *where, EVP_PKEY **ret_pkey, struct fault *fault)
{
    const char *begin = pem->len == strlen(pem->data) ? strstr(pem->data, "-----BEGIN ") : NULL;

    if (!begin)
        return fault_set(fault, FAULT_INVALID, "%s: it is not PEM (no BEGIN line).", where);
    if (strstr(pem->data, "PRIVATE KEY-----"))
        return fault_set(fault, FAULT_INVALID,
                         "%s: it holds a private key; give the public key only (openssl pkey -pubout).", where);
    if (strstr(begin + 1, "-----BEGIN "))
        return fault_set(fault, FAULT_INVALID,
                         "%s: it holds more than one key or certificate; leave one, or use a JWKS.", where);
    own(bio_freep) BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    if (!bio)
        return fault_unavailable(fault, 1, "There is no memory for a PEM file.");
    if (strncmp(begin, "-----BEGIN CERTIFICATE-----", 27) == 0)
        return from_certificate(bio, where, ret_pkey, fault);
    if (strncmp(begin, "-----BEGIN PUBLIC KEY-----", 26) == 0)
        return from_public_key(bio, where, ret_pkey, fault);
    return fault_set(
        fault, FAULT_INVALID,
        "%s: only PUBLIC KEY and CERTIFICATE are accepted (openssl rsa -RSAPublicKey_in -pubout converts).", where);
}

static bool keep_only(struct key *key, const char *id, const char *where, struct key_set *ret_keys, struct fault *fault)
{
    struct key_set set = {0};

    key->any_id = !id;
    if (!key_set_add(&set, key, where, fault))
        return false;
    *ret_keys = set;
    return true;
}

/* The one algorithm of a file that cannot say it itself. */
static bool pin_file(const struct key_rules *rules, algorithm_set fitting, const char *where, enum jwt_algorithm *ret,
                     struct fault *fault)
{
    enum jwt_algorithm named;
    bool use;

    if (rules->algorithm && jwt_algorithm_parse(span_of(rules->algorithm), &named) && !(fitting & ALGORITHM_BIT(named)))
        return fault_set(fault, FAULT_INVALID, "%s: the key does not fit \"algorithm\" %s.", where, rules->algorithm);
    if (!key_rules_pin(rules, fitting, where, ret, &use, fault))
        return false;
    if (!use)
        return fault_set(fault, FAULT_INVALID, "%s: the key fits none of \"algorithms\".", where);
    return true;
}

bool key_file_pem(const char *path, const char *where, const struct key_rules *rules, const char *id,
                  struct key_set *ret_keys, struct fault *fault)
{
    own(secret_text_done) struct text content = {0};
    own(pkey_freep) EVP_PKEY *pkey = NULL;
    own(key_done) struct key key = {0};
    struct fault problem = {0};
    enum jwt_algorithm algorithm;

    if (!file_read_trusted(path, PEM_SIZE_MAX, &content, &problem))
        return fault_set(fault, FAULT_INVALID, "%s: %s", where, problem.message);
    return openssl_end(pem_read(&content, where, &pkey, fault), fault) && key_check(pkey, where, fault) &&
           pin_file(rules, key_algorithms(pkey), where, &algorithm, fault) &&
           key_init(&key, pkey, algorithm, id, fault) && keep_only(&key, id, where, ret_keys, fault);
}

/* ---- secrets ---- */

bool key_file_secret(const char *path, const char *where, const struct key_rules *rules, const char *id,
                     struct key_set *ret_keys, struct fault *fault)
{
    own(secret_text_done) struct text content = {0};
    own(key_done) struct key key = {0};
    struct fault problem = {0};
    enum jwt_algorithm algorithm;

    if (!file_read_secret(path, SECRET_SIZE_MAX + 2, &content, &problem))
        return fault_set(fault, FAULT_INVALID, "%s: %s", where, problem.message);
    struct span secret = secret_of_file(&content);
    return pin_file(rules, algorithms_of_family(FAMILY_HMAC), where, &algorithm, fault) &&
           secret_check(secret, algorithm, where, fault) && key_init_secret(&key, secret, algorithm, id, fault) &&
           keep_only(&key, id, where, ret_keys, fault);
}
