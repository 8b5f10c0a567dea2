/* Keys, tokens and files for the tests of auth: made by hand over OpenSSL, with nothing of the code under test but
 * base64url and the table of algorithms. */
#ifndef AUTH_TOKENS_H
#define AUTH_TOKENS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <ftw.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/algorithm.h"
#include "bailiff/auth.h"
#include "bailiff/file.h"

static const int64_t NOW = 1767323045; /* any time will do: the code is told what time it is */

#define ISSUER "https://idp.example.com/realm"
#define AUDIENCE "bailiff"
#define SECRET "0123456789abcdef0123456789ABCDEFghijklmnopqrstuvGHIJKLMNOPQRSTUV" /* 64 bytes */

/* ---- a folder of the test's own ---- */

static char test_folder[64];

static inline int test_folder_make(void **state)
{
    snprintf(test_folder, sizeof(test_folder), "/tmp/bailiff-auth-XXXXXX");
    return mkdtemp(test_folder) ? 0 : -1;
}

static inline int test_remove_entry(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    return remove(path);
}

static inline int test_folder_remove(void **state)
{
    return nftw(test_folder, test_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static inline char *test_path(const char *name)
{
    return xprintf("%s/%s", test_folder, name);
}

/* Writes a file anew; the path is to be freed. */
static inline char *test_file(const char *name, const void *data, size_t len, mode_t mode)
{
    char *path = test_path(name);

    unlink(path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

/* ---- keys ---- */

static inline EVP_PKEY *test_key(enum jwt_algorithm a)
{
    const struct algorithm *facts = algorithm_get(a);
    EVP_PKEY *pkey = NULL;

    switch (facts->family) {
    case FAMILY_RSA:
    case FAMILY_PSS:
        pkey = EVP_RSA_gen(2048);
        break;
    case FAMILY_EC:
        pkey = EVP_EC_gen(facts->curve);
        break;
    case FAMILY_EDDSA:
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        break;
    case FAMILY_HMAC:
        pkey = EVP_PKEY_new_raw_private_key_ex(NULL, "HMAC", NULL, (const unsigned char *)SECRET, strlen(SECRET));
        break;
    }
    assert_non_null(pkey);
    return pkey;
}

static inline char *test_pem(EVP_PKEY *pkey, bool private)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;

    assert_int_equal(private ? PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL)
                             : PEM_write_bio_PUBKEY(bio, pkey),
                     1);
    long len = BIO_get_mem_data(bio, &data);
    char *pem = xstrndup(data, (size_t)len);
    BIO_free(bio);
    return pem;
}

/* ---- tokens ---- */

/* DER to r || s */
static inline size_t test_raw_signature(const uint8_t *der, size_t len, size_t half, uint8_t *out)
{
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &der, (long)len);

    assert_non_null(s);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(s), out, (int)half), half);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(s), out + half, (int)half), half);
    ECDSA_SIG_free(s);
    return 2 * half;
}

static inline size_t test_sign(EVP_PKEY *pkey, enum jwt_algorithm a, struct span input, uint8_t out[static 1024])
{
    const struct algorithm *facts = algorithm_get(a);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pkey_ctx;
    uint8_t der[1024];
    size_t len = sizeof(der);

    assert_int_equal(EVP_DigestSignInit_ex(ctx, &pkey_ctx, facts->digest, NULL, NULL, pkey, NULL), 1);
    if (facts->family == FAMILY_PSS) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pkey_ctx, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey_ctx, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    assert_int_equal(EVP_DigestSign(ctx, der, &len, (const unsigned char *)input.data, input.len), 1);
    EVP_MD_CTX_free(ctx);
    if (facts->family == FAMILY_EC)
        return test_raw_signature(der, len, facts->coordinate_size, out);
    memcpy(out, der, len);
    return len;
}

/* header.payload.signature of any bytes */
static inline char *test_token_bytes(EVP_PKEY *pkey, enum jwt_algorithm a, struct span header, struct span payload)
{
    struct text token = {0};
    uint8_t signature[1024];

    base64url_encode((const uint8_t *)header.data, header.len, &token);
    text_append_char(&token, '.');
    base64url_encode((const uint8_t *)payload.data, payload.len, &token);
    size_t len = test_sign(pkey, a, text_span(&token), signature);
    text_append_char(&token, '.');
    base64url_encode(signature, len, &token);
    return text_take(&token);
}

static inline char *test_token(EVP_PKEY *pkey, enum jwt_algorithm a, const char *header, const char *claims)
{
    return test_token_bytes(pkey, a, span_of(header), span_of(claims));
}

/* A header that fits, and claims that are fine but for what `more` adds (", \"x\": 1"). */
static inline char *test_good_token(EVP_PKEY *pkey, enum jwt_algorithm a, const char *kid, const char *more)
{
    char *header = kid ? xprintf("{\"alg\":\"%s\",\"kid\":\"%s\"}", jwt_algorithm_name(a), kid)
                       : xprintf("{\"alg\":\"%s\"}", jwt_algorithm_name(a));
    char *claims =
        xprintf("{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"sub\":\"alice\",\"iat\":%lld,\"exp\":%lld%s}",
                (long long)NOW - 60, (long long)NOW + 600, more ? more : "");
    char *token = test_token(pkey, a, header, claims);

    free(header);
    free(claims);
    return token;
}

/* ---- verifiers ---- */

static const char *const TEST_AUDIENCES[] = {AUDIENCE, "https://bailiff.example.com"};

static inline struct issuer_options test_options(void)
{
    return (struct issuer_options){.issuer = ISSUER,
                                   .audiences = TEST_AUDIENCES,
                                   .audience_count = ARRAY_LEN(TEST_AUDIENCES),
                                   .leeway_s = 30,
                                   .where = "bailiff.yaml:31"};
}

static inline struct verifier *test_verifier(const struct issuer_options *options)
{
    struct verifier *v = NULL;
    struct fault fault = {0};

    if (!verifier_new(options, 1, &v, &fault))
        fail_msg("verifier_new: %s %s", fault.message, fault.detail);
    return v;
}

/* A verifier with this one key. */
static inline struct verifier *test_verifier_of(EVP_PKEY *pkey, enum jwt_algorithm a, const char *kid,
                                                struct issuer_options options)
{
    bool secret = algorithm_get(a)->family == FAMILY_HMAC;
    char *content = secret ? xstrdup(SECRET) : test_pem(pkey, false);
    char *path = test_file(secret ? "key.secret" : "key.pem", content, strlen(content), 0600);

    options.pem_file = secret ? NULL : path;
    options.secret_file = secret ? path : NULL;
    options.algorithm = jwt_algorithm_name(a);
    options.key_id = kid;
    struct verifier *v = test_verifier(&options);
    free(content);
    free(path);
    return v;
}

/* Whatever the options refuse: the message must hold all of `words`, separated by '|'. */
static inline void test_refuses_options(const struct issuer_options *options, const char *words)
{
    struct verifier *v = (struct verifier *)0x1;
    struct fault fault = {0};
    struct span rest = span_of(words), word;

    if (verifier_new(options, 1, &v, &fault))
        fail_msg("accepted, but should say: %s", words);
    assert_ptr_equal(v, (struct verifier *)0x1);
    assert_int_equal(fault.kind, FAULT_INVALID);
    while (span_cut(&rest, '|', &word))
        if (!memmem(fault.message, strlen(fault.message), word.data, word.len))
            fail_msg("\"%s\" does not hold \"%.*s\"", fault.message, (int)word.len, word.data);
}

/* What a cache says is what the verifier says, though it takes a shorter way to the signature. The good are then asked again. */
static inline void test_cache_agrees(const struct verifier *v, struct span token, const struct fault *refusal)
{
    struct token_cache *cache = token_cache_new(8);

    for (int round = 0; round < 2; round++) {
        struct identity *identity = NULL;
        struct fault fault = {0};
        bool good = token_cache_check(cache, v, token, NULL, NOW, &identity, &fault);
        assert_true(good == !refusal);
        assert_string_equal(fault.detail, refusal ? refusal->detail : "");
        identity_unref(identity);
    }
    token_cache_free(cache);
}

static inline struct identity *test_accept(const struct verifier *v, const char *token)
{
    struct identity *identity = NULL;
    struct fault fault = {0};

    if (!verifier_check(v, span_of(token), NULL, NOW, &identity, &fault))
        fail_msg("refused: %s (%s)", fault.message, fault.detail);
    assert_int_equal(fault.kind, FAULT_NONE);
    assert_non_null(identity);
    test_cache_agrees(v, span_of(token), NULL);
    return identity;
}

/* The refusal's form (RFC 6750 §3) and its reason. */
static inline void test_is_refusal(const struct fault *fault, const char *reason)
{
    assert_int_equal(fault->kind, FAULT_UNAUTHENTICATED);
    assert_string_equal(fault->detail, reason);
    assert_true(fault->message[0] != '\0');
    for (const char *p = fault->message; *p; p++)
        assert_true(*p >= 0x20 && *p <= 0x7e && *p != '"' && *p != '\\');
    assert_int_equal(ERR_peek_error(), 0); /* nothing is left for TLS to stumble over */
}

static inline void test_refuse_span(const struct verifier *v, struct span token, const char *reason)
{
    struct identity *identity = (struct identity *)0x1;
    struct fault fault = {0};

    if (verifier_check(v, token, NULL, NOW, &identity, &fault))
        fail_msg("accepted, but should be: %s", reason);
    assert_ptr_equal(identity, (struct identity *)0x1);
    test_cache_agrees(v, token, &fault);
    test_is_refusal(&fault, reason);
}

static inline void test_refuse(const struct verifier *v, const char *token, const char *reason)
{
    test_refuse_span(v, span_of(token), reason);
}

#endif
