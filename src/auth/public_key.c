/* Public keys as JSON. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "auth/public_key.h"
#include "bailiff/json.h"

/* Base64urlUInt of at least `size` bytes (RFC 7518 §2, §6.2.1.2) as a JSON member. */
static bool member_number(EVP_PKEY *pkey, const char *param, size_t size, const char *name, struct text *out)
{
    BIGNUM *n = NULL;
    uint8_t bytes[SIGNATURE_SIZE_MAX];
    bool ok = EVP_PKEY_get_bn_param(pkey, param, &n) == 1 && (size_t)BN_num_bytes(n) <= sizeof(bytes);

    if (ok) {
        own(text_done) struct text encoded = {0};
        size_t len = size ? size : (size_t)BN_num_bytes(n);
        ok = BN_bn2binpad(n, bytes, (int)len) >= 0;
        if (ok) {
            base64url_encode(bytes, len, &encoded);
            jw_member_string(out, name, encoded.data);
        }
    }
    BN_free(n);
    return ok;
}

/* The required members in lexicographic order: what RFC 7638 §3 hashes. */
static bool required_members(EVP_PKEY *pkey, struct text *out)
{
    algorithm_set fitting = key_algorithms(pkey);

    if (fitting & ALGORITHM_BIT(ALG_RS256)) {
        if (!member_number(pkey, OSSL_PKEY_PARAM_RSA_E, 0, "e", out))
            return false;
        jw_member_string(out, "kty", "RSA");
        return member_number(pkey, OSSL_PKEY_PARAM_RSA_N, 0, "n", out);
    }
    if (!(fitting & algorithms_of_family(FAMILY_EC)))
        return false;
    const struct algorithm *a = algorithm_get((enum jwt_algorithm)__builtin_ctz(fitting));
    jw_member_string(out, "crv", a->curve);
    jw_member_string(out, "kty", "EC");
    return member_number(pkey, OSSL_PKEY_PARAM_EC_PUB_X, a->coordinate_size, "x", out) &&
           member_number(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, a->coordinate_size, "y", out);
}

bool public_key_thumbprint(EVP_PKEY *pkey, struct text *out, struct fault *fault)
{
    own(text_done) struct text json = {0};
    uint8_t digest[32];
    size_t len = 0;

    jw_open(&json, '{');
    if (!required_members(pkey, &json))
        return fault_internal(fault, "OpenSSL does not give the numbers of a public key");
    jw_close(&json, '}');
    if (EVP_Q_digest(NULL, "SHA256", NULL, json.data, json.len, digest, &len) != 1)
        return fault_internal(fault, "OpenSSL cannot compute SHA-256");
    base64url_encode(digest, sizeof(digest), out);
    return true;
}

bool public_key_jwks(EVP_PKEY *pkey, enum jwt_algorithm algorithm, const char *id, struct text *out,
                     struct fault *fault)
{
    jw_open(out, '{');
    jw_key(out, "keys");
    jw_open(out, '[');
    jw_open(out, '{');
    jw_member_string(out, "use", "sig");
    jw_member_string(out, "alg", jwt_algorithm_name(algorithm));
    jw_member_string(out, "kid", id);
    if (!required_members(pkey, out))
        return fault_internal(fault, "OpenSSL does not give the numbers of a public key");
    jw_close(out, '}');
    jw_close(out, ']');
    jw_close(out, '}');
    text_append_char(out, '\n');
    return true;
}
