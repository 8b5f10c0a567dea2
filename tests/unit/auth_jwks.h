/* JWK Sets for the tests of auth, made from keys that the test has. */
#ifndef AUTH_JWKS_H
#define AUTH_JWKS_H

#include "unit/auth_tokens.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>

/* "\"n\":\"…\"" of a number of the key */
static inline char *number(EVP_PKEY *pkey, const char *param, const char *name, size_t size)
{
    BIGNUM *n = NULL;
    uint8_t bytes[2100];
    struct text out = {0};

    assert_int_equal(EVP_PKEY_get_bn_param(pkey, param, &n), 1);
    size_t len = size ? size : (size_t)BN_num_bytes(n);
    assert_int_equal(BN_bn2binpad(n, bytes, (int)len), (int)len);
    text_printf(&out, "\"%s\":\"", name);
    base64url_encode(bytes, len, &out);
    text_append_char(&out, '"');
    BN_free(n);
    return text_take(&out);
}

static inline char *rsa_jwk(EVP_PKEY *pkey, const char *more)
{
    own(freep) char *n = number(pkey, OSSL_PKEY_PARAM_RSA_N, "n", 0);
    own(freep) char *e = number(pkey, OSSL_PKEY_PARAM_RSA_E, "e", 0);

    return xprintf("{\"kty\":\"RSA\",%s,%s%s}", n, e, more);
}

static inline char *ec_jwk(EVP_PKEY *pkey, const char *curve, size_t size, const char *more)
{
    own(freep) char *x = number(pkey, OSSL_PKEY_PARAM_EC_PUB_X, "x", size);
    own(freep) char *y = number(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, "y", size);

    return xprintf("{\"kty\":\"EC\",\"crv\":\"%s\",%s,%s%s}", curve, x, y, more);
}

/* Options whose jwks_file holds these keys; the path stays until the next call. */
static inline struct issuer_options jwks_options(const char *keys)
{
    static char path[128];
    own(freep) char *json = xprintf("{\"keys\":[%s]}", keys);
    own(freep) char *file = test_file("keys.json", json, strlen(json), 0600);
    struct issuer_options options = test_options();

    snprintf(path, sizeof(path), "%s", file);
    options.jwks_file = path;
    return options;
}

static inline void refuse_jwks(const char *keys, const char *words)
{
    struct issuer_options options = jwks_options(keys);

    test_refuses_options(&options, words);
}

#endif
