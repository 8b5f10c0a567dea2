/* Which keys are good enough, and for which algorithm. */
#include <openssl/bn.h>
#include <openssl/core_names.h>

#include "auth/key.h"
#include "auth/openssl_end.h"

static void bignum_freep(BIGNUM **n)
{
    BN_free(*n);
}

static const struct algorithm *ec_algorithm(EVP_PKEY *pkey, enum jwt_algorithm *ret)
{
    char group[64];
    size_t len = 0;

    bool named = EVP_PKEY_get_group_name(pkey, group, sizeof(group), &len) == 1;
    openssl_drop_errors();
    if (!named)
        return NULL;
    for (unsigned a = ALG_ES256; a <= ALG_ES512; a++) {
        const struct algorithm *candidate = algorithm_get((enum jwt_algorithm)a);
        if (str_eq(candidate->group, group)) {
            *ret = (enum jwt_algorithm)a;
            return candidate;
        }
    }
    return NULL;
}

algorithm_set key_algorithms(EVP_PKEY *pkey)
{
    enum jwt_algorithm curve;

    if (EVP_PKEY_is_a(pkey, "RSA"))
        return algorithms_of_family(FAMILY_RSA) | algorithms_of_family(FAMILY_PSS);
    if (EVP_PKEY_is_a(pkey, "EC"))
        return ec_algorithm(pkey, &curve) ? ALGORITHM_BIT(curve) : 0;
    if (EVP_PKEY_is_a(pkey, "ED25519") || EVP_PKEY_is_a(pkey, "ED448"))
        return ALGORITHM_BIT(ALG_EDDSA);
    return 0;
}

static bool check_rsa(EVP_PKEY *pkey, const char *where, struct fault *fault)
{
    own(bignum_freep) BIGNUM *e = NULL;
    int bits = EVP_PKEY_get_bits(pkey);

    if (bits < RSA_BITS_MIN)
        return fault_set(fault, FAULT_INVALID, "%s: an RSA key of %d bits is too weak; at least %d are needed.", where,
                         bits, RSA_BITS_MIN);
    if (bits > RSA_BITS_MAX)
        return fault_set(fault, FAULT_INVALID, "%s: an RSA key of %d bits is too slow to use; at most %d are accepted.",
                         where, bits, RSA_BITS_MAX);
    if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
        return fault_internal(fault, "OpenSSL gives no exponent of an RSA key");
    /* below 2^16 + 1 FIPS 186-5 allows none; a long one only makes every check slow */
    if (!BN_is_odd(e) || BN_num_bits(e) < 17 || BN_num_bits(e) > 64)
        return fault_set(fault, FAULT_INVALID,
                         "%s: the RSA key's public exponent must be odd, at least 65537 and at most 64 bits long.",
                         where);
    return true;
}

static bool check_ec(EVP_PKEY *pkey, const char *where, struct fault *fault)
{
    int explicit_curve = 0;

    if (EVP_PKEY_get_int_param(pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicit_curve) == 1 &&
        explicit_curve)
        return fault_set(fault, FAULT_INVALID, "%s: the EC key spells its curve out; only named curves are accepted.",
                         where);
    return true;
}

static bool check_consistent(EVP_PKEY *pkey)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool ok = ctx && EVP_PKEY_public_check(ctx) == 1;

    EVP_PKEY_CTX_free(ctx);
    return ok;
}

bool key_check(EVP_PKEY *pkey, const char *where, struct fault *fault)
{
    if (EVP_PKEY_is_a(pkey, "RSA-PSS"))
        return fault_set(
            fault, FAULT_INVALID,
            "%s: the key is restricted to RSASSA-PSS by its encoding, which is not supported; give it as a "
            "plain RSA key with algorithm PS256.",
            where);
    if (key_algorithms(pkey) == 0)
        return fault_set(fault, FAULT_INVALID,
                         "%s: the key is of a kind that signs no tokens; RSA, EC (P-256, P-384, P-521), Ed25519 and "
                         "Ed448 are accepted.",
                         where);
    bool ok = true;
    if (EVP_PKEY_is_a(pkey, "RSA"))
        ok = check_rsa(pkey, where, fault);
    else if (EVP_PKEY_is_a(pkey, "EC"))
        ok = check_ec(pkey, where, fault);
    if (ok && !check_consistent(pkey))
        ok = fault_set(fault, FAULT_INVALID, "%s: the numbers of the key do not make a valid public key.", where);
    return openssl_end(ok, fault);
}

bool secret_check(struct span secret, enum jwt_algorithm algorithm, const char *where, struct fault *fault)
{
    const struct algorithm *a = algorithm_get(algorithm);
    bool seen[256] = {false};
    unsigned distinct = 0;

    if (secret.len > SECRET_SIZE_MAX)
        return fault_set(fault, FAULT_INVALID, "%s: a secret has at most %d bytes.", where, SECRET_SIZE_MAX);
    if (secret.len < a->digest_size)
        return fault_set(
            fault, FAULT_INVALID,
            "%s: a secret of %zu bytes is too short for %s; at least %zu are needed (openssl rand -base64 64).", where,
            secret.len, a->name, a->digest_size);
    /* whoever knows a public key could sign with it */
    if (memmem(secret.data, secret.len, "-----BEGIN", 10))
        return fault_set(fault, FAULT_INVALID, "%s: a PEM file is no secret; use pem_file for a public key.", where);
    for (size_t i = 0; i < secret.len; i++) {
        distinct += !seen[(uint8_t)secret.data[i]];
        seen[(uint8_t)secret.data[i]] = true;
    }
    if (distinct < 8)
        return fault_set(fault, FAULT_INVALID,
                         "%s: the secret repeats a few bytes; make a random one (openssl rand -base64 64).", where);
    return true;
}

bool key_rules_pin(const struct key_rules *rules, algorithm_set fitting, const char *where,
                   enum jwt_algorithm *ret_algorithm, bool *ret_use, struct fault *fault)
{
    algorithm_set left = fitting & rules->allowed;
    enum jwt_algorithm named;

    if (rules->algorithm && jwt_algorithm_parse(span_of(rules->algorithm), &named) && (left & ALGORITHM_BIT(named)))
        left = ALGORITHM_BIT(named);
    if (left & (left - 1)) {
        own(text_done) struct text names = {0};
        algorithms_text(left, &names);
        return fault_set(fault, FAULT_INVALID,
                         "%s: the key fits %s; say which one it is for with \"algorithm\" or \"algorithms\".", where,
                         names.data);
    }
    *ret_use = left != 0;
    if (left)
        *ret_algorithm = (enum jwt_algorithm)__builtin_ctz(left);
    return true;
}
