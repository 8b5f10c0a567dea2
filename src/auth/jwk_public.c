/* The numbers of a JWK into an OpenSSL public key. */
#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include "auth/key_files.h"
#include "auth/openssl_end.h"

static void pkey_ctx_freep(EVP_PKEY_CTX **ctx)
{
    EVP_PKEY_CTX_free(*ctx);
}

static void params_freep(OSSL_PARAM **params)
{
    OSSL_PARAM_free(*params);
}

static void builder_freep(OSSL_PARAM_BLD **builder)
{
    OSSL_PARAM_BLD_free(*builder);
}

static void bignum_freep(BIGNUM **n)
{
    BN_free(*n);
}

/* The bytes of a base64url member. */
static bool member_bytes(const json_t *jwk, const char *name, const char *where, uint8_t *out, size_t cap,
                         size_t *ret_len, struct fault *fault)
{
    const json_t *member = json_object_get(jwk, name);
    struct span encoded = {json_string_value(member), json_string_length(member)};

    if (!json_is_string(member) || encoded.len == 0)
        return fault_set(fault, FAULT_INVALID, "%s: \"%s\" is missing or no string.", where, name);
    if (!base64url_decode(encoded, out, cap, ret_len))
        return fault_set(fault, FAULT_INVALID,
                         "%s: \"%s\" is too long or not base64url (RFC 4648 section 5, no padding).", where, name);
    return true;
}

static bool build(const char *type, OSSL_PARAM_BLD *builder, const char *where, EVP_PKEY **ret_pkey,
                  struct fault *fault)
{
    own(params_freep) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    own(pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;

    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1)
        return fault_unavailable(fault, 1, "There is no memory for a key of kind %s.", type);
    if (EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return fault_set(fault, FAULT_INVALID, "%s: the numbers of the key do not make a valid public key.", where);
    *ret_pkey = pkey;
    return true;
}

/* Some producers put a zero byte before n although RFC 7518 §6.3.1.1 forbids it; the number is the same. */
static bool rsa_public(const json_t *jwk, const char *where, EVP_PKEY **ret_pkey, struct fault *fault)
{
    uint8_t n_bytes[2 * SIGNATURE_SIZE_MAX + 1], e_bytes[64];
    size_t n_len, e_len;

    if (!member_bytes(jwk, "n", where, n_bytes, sizeof(n_bytes), &n_len, fault) ||
        !member_bytes(jwk, "e", where, e_bytes, sizeof(e_bytes), &e_len, fault))
        return false;
    own(bignum_freep) BIGNUM *n = BN_bin2bn(n_bytes, (int)n_len, NULL);
    own(bignum_freep) BIGNUM *e = BN_bin2bn(e_bytes, (int)e_len, NULL);
    own(builder_freep) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (!n || !e || !builder)
        return fault_unavailable(fault, 1, "There is no memory for an RSA key.");
    if (BN_is_zero(n) || BN_is_zero(e))
        return fault_set(fault, FAULT_INVALID, "%s: \"n\" or \"e\" is zero.", where);
    if (OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) != 1)
        return fault_unavailable(fault, 1, "There is no memory for an RSA key.");
    return build("RSA", builder, where, ret_pkey, fault);
}

static const struct algorithm *find_curve(const char *name)
{
    for (unsigned a = ALG_ES256; a <= ALG_ES512; a++)
        if (str_eq(algorithm_get((enum jwt_algorithm)a)->curve, name))
            return algorithm_get((enum jwt_algorithm)a);
    return NULL;
}

static bool coordinate(const json_t *jwk, const char *name, const char *where, uint8_t *out, size_t size,
                       struct fault *fault)
{
    size_t len;

    if (!member_bytes(jwk, name, where, out, size, &len, fault))
        return false;
    if (len != size) /* RFC 7518 §6.2.1.2: always full length */
        return fault_set(fault, FAULT_INVALID, "%s: \"%s\" has %zu bytes; its curve needs %zu.", where, name, len,
                         size);
    return true;
}

static bool ec_public(const json_t *jwk, const char *curve, const char *where, EVP_PKEY **ret_pkey, struct fault *fault)
{
    const struct algorithm *a = find_curve(curve);
    uint8_t point[1 + 2 * 66] = {0x04}; /* uncompressed: x and y follow */

    if (!a) {
        *ret_pkey = NULL;
        return true;
    }
    if (!coordinate(jwk, "x", where, point + 1, a->coordinate_size, fault) ||
        !coordinate(jwk, "y", where, point + 1 + a->coordinate_size, a->coordinate_size, fault))
        return false;
    own(builder_freep) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (!builder || OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, a->group, 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * a->coordinate_size) != 1)
        return fault_unavailable(fault, 1, "There is no memory for an EC key.");
    return build("EC", builder, where, ret_pkey, fault);
}

static bool okp_public(const json_t *jwk, const char *curve, const char *where, EVP_PKEY **ret_pkey,
                       struct fault *fault)
{
    size_t size = str_eq(curve, "Ed25519") ? 32 : str_eq(curve, "Ed448") ? 57 : 0;
    uint8_t x[57];

    if (size == 0) { /* X25519, X448: for key agreement */
        *ret_pkey = NULL;
        return true;
    }
    if (!coordinate(jwk, "x", where, x, size, fault))
        return false;
    EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key_ex(NULL, size == 32 ? "ED25519" : "ED448", NULL, x, size);
    if (!pkey)
        return fault_set(fault, FAULT_INVALID, "%s: \"x\" is not a public key of %s.", where, curve);
    *ret_pkey = pkey;
    return true;
}

bool jwk_public(const json_t *jwk, const char *where, EVP_PKEY **ret_pkey, struct fault *fault)
{
    const char *type = json_string_value(json_object_get(jwk, "kty"));
    const char *curve = json_string_value(json_object_get(jwk, "crv"));
    bool ok;

    if (str_eq(type, "RSA"))
        ok = rsa_public(jwk, where, ret_pkey, fault);
    else if (!curve)
        ok = fault_set(fault, FAULT_INVALID, "%s: \"crv\" is missing or no string.", where);
    else if (str_eq(type, "EC"))
        ok = ec_public(jwk, curve, where, ret_pkey, fault);
    else
        ok = okp_public(jwk, curve, where, ret_pkey, fault);
    return openssl_end(ok, fault);
}
