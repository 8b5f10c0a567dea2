/* Keys: prepared once, used often. */
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "auth/key.h"
#include "auth/openssl_end.h"
#include "auth/refusal.h"

enum { DER_SIZE_MAX = 160 }; /* of an ECDSA signature; P-521: 2 × (66 + 3) + 3 */

static void md_ctx_freep(EVP_MD_CTX **ctx)
{
    EVP_MD_CTX_free(*ctx);
}

static void signature_freep(ECDSA_SIG **signature)
{
    ECDSA_SIG_free(*signature);
}

void key_done(struct key *key)
{
    free(key->id);
    EVP_MD_CTX_free(key->prepared);
    rsa_public_free(key->rsa);
    *key = (struct key){0};
}

static size_t signature_size(EVP_PKEY *pkey, const struct algorithm *a)
{
    switch (a->family) {
    case FAMILY_EC:
        return 2 * a->coordinate_size;
    case FAMILY_HMAC:
        return a->digest_size;
    default:
        return (size_t)EVP_PKEY_get_size(pkey);
    }
}

static bool use_pss(EVP_PKEY_CTX *ctx, const struct algorithm *a)
{
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, a->digest, NULL) == 1;
}

static bool prepare(struct key *key, EVP_PKEY *pkey, enum jwt_algorithm algorithm, const char *id, struct fault *fault)
{
    const struct algorithm *a = algorithm_get(algorithm);
    EVP_PKEY_CTX *pkey_ctx = NULL; /* belongs to ctx */
    own(md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    bool ok = ctx && (a->family == FAMILY_HMAC
                          ? EVP_DigestSignInit_ex(ctx, &pkey_ctx, a->digest, NULL, NULL, pkey, NULL) == 1
                          : EVP_DigestVerifyInit_ex(ctx, &pkey_ctx, a->digest, NULL, NULL, pkey, NULL) == 1);
    if (ok && a->family == FAMILY_PSS)
        ok = use_pss(pkey_ctx, a);
    size_t size = ok ? signature_size(pkey, a) : 0;
    if (!openssl_end(size > 0 || fault_internal(fault, "OpenSSL cannot prepare a key for %s", a->name), fault))
        return false;
    *key = (struct key){.algorithm = algorithm,
                        .id = id ? xstrdup(id) : NULL,
                        .signature_size = size,
                        .prepared = give(ctx),
                        .rsa = algorithm == ALG_RS256 ? rsa_public_new(pkey) : NULL};
    return true;
}

bool key_init(struct key *key, EVP_PKEY *pkey, enum jwt_algorithm algorithm, const char *id, struct fault *fault)
{
    if (!(key_algorithms(pkey) & ALGORITHM_BIT(algorithm)))
        return fault_internal(fault, "%s does not fit its key", jwt_algorithm_name(algorithm));
    return prepare(key, pkey, algorithm, id, fault);
}

bool key_init_secret(struct key *key, struct span secret, enum jwt_algorithm algorithm, const char *id,
                     struct fault *fault)
{
    own(pkey_freep) EVP_PKEY *pkey =
        EVP_PKEY_new_raw_private_key_ex(NULL, "HMAC", NULL, (const unsigned char *)secret.data, secret.len);

    if (!pkey)
        return openssl_end(fault_internal(fault, "OpenSSL cannot make an HMAC key"), fault);
    return prepare(key, pkey, algorithm, id, fault);
}

/* JWS has r and s side by side (RFC 7518 §3.4); OpenSSL wants them in DER and checks their range itself. */
static bool ecdsa_to_der(struct span raw, uint8_t *out, size_t cap, size_t *ret_len)
{
    own(signature_freep) ECDSA_SIG *signature = ECDSA_SIG_new();
    int half = (int)(raw.len / 2);
    const unsigned char *bytes = (const unsigned char *)raw.data;
    BIGNUM *r = BN_bin2bn(bytes, half, NULL), *s = BN_bin2bn(bytes + half, half, NULL);

    if (!signature || !r || !s || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return false;
    }
    int len = i2d_ECDSA_SIG(signature, NULL);
    if (len <= 0 || (size_t)len > cap)
        return false;
    *ret_len = (size_t)i2d_ECDSA_SIG(signature, &out);
    return true;
}

static bool verify_mac(EVP_MD_CTX *ctx, struct span input, struct span signature)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    size_t len = sizeof(mac);
    bool ok = EVP_DigestSign(ctx, mac, &len, (const unsigned char *)input.data, input.len) == 1 &&
              len == signature.len && CRYPTO_memcmp(mac, signature.data, len) == 0;

    OPENSSL_cleanse(mac, sizeof(mac));
    return ok;
}

static bool verify(const struct key *key, EVP_MD_CTX *ctx, struct span input, struct span signature)
{
    const unsigned char *bytes = (const unsigned char *)signature.data;
    size_t len = signature.len;
    uint8_t der[DER_SIZE_MAX];

    switch (algorithm_get(key->algorithm)->family) {
    case FAMILY_HMAC:
        return verify_mac(ctx, input, signature);
    case FAMILY_EC:
        if (!ecdsa_to_der(signature, der, sizeof(der), &len))
            return false;
        bytes = der;
        break;
    default:
        break;
    }
    return EVP_DigestVerify(ctx, bytes, len, (const unsigned char *)input.data, input.len) == 1;
}

/* What was found of a signature, with OpenSSL's errors still there. */
static bool verdict(bool good, bool ready, struct fault *fault)
{
    bool is_short = openssl_drop_errors() || !ready;

    if (good)
        return true;
    return is_short ? fault_unavailable(fault, 1, "There is no memory to verify a token.")
                    : refuse(fault, REFUSED_SIGNATURE);
}

bool key_verify(const struct key *key, struct span input, struct span signature, struct fault *fault)
{
    if (signature.len != key->signature_size)
        return refuse(fault, REFUSED_SIGNATURE);

    own(md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ready = ctx && EVP_MD_CTX_copy_ex(ctx, key->prepared) == 1;
    return verdict(ready && verify(key, ctx, input, signature), ready, fault);
}

/* ---- digests ---- */

static void pkey_ctx_freep(EVP_PKEY_CTX **ctx)
{
    EVP_PKEY_CTX_free(*ctx);
}

static bool takes_digest(const struct algorithm *a)
{
    return a->digest_size == 32 && (a->family == FAMILY_RSA || a->family == FAMILY_PSS || a->family == FAMILY_EC);
}

static bool digest_context_init(EVP_PKEY_CTX *ctx, const struct algorithm *a)
{
    if (EVP_PKEY_verify_init(ctx) != 1)
        return false;
    if (a->family == FAMILY_RSA && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1)
        return false;
    if (a->family == FAMILY_PSS && !use_pss(ctx, a))
        return false;
    return EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1;
}

EVP_PKEY_CTX *key_digest_context(const struct key *key)
{
    const struct algorithm *a = algorithm_get(key->algorithm);

    if (!takes_digest(a))
        return NULL;
    EVP_PKEY *pkey = EVP_PKEY_CTX_get0_pkey(EVP_MD_CTX_get_pkey_ctx(key->prepared));
    own(pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool ok = ctx && digest_context_init(ctx, a);
    openssl_drop_errors();
    return ok ? give(ctx) : NULL;
}

bool key_verify_digest(const struct key *key, EVP_PKEY_CTX *context, const uint8_t sha256[static 32],
                       struct span signature, struct fault *fault)
{
    const unsigned char *bytes = (const unsigned char *)signature.data;
    size_t len = signature.len;
    uint8_t der[DER_SIZE_MAX];

    if (signature.len != key->signature_size)
        return refuse(fault, REFUSED_SIGNATURE);
    if (key->rsa)
        return rsa_public_verify(key->rsa, sha256, signature) || refuse(fault, REFUSED_SIGNATURE);
    if (algorithm_get(key->algorithm)->family == FAMILY_EC) {
        len = ecdsa_to_der(signature, der, sizeof(der), &len) ? len : 0;
        bytes = der;
    }
    return verdict(len > 0 && EVP_PKEY_verify(context, bytes, len, sha256, 32) == 1, true, fault);
}

/* ---- sets ---- */

void key_set_done(struct key_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        key_done(&set->items[i]);
    free(set->items);
    *set = (struct key_set){0};
}

bool key_set_add(struct key_set *set, struct key *key, const char *where, struct fault *fault)
{
    if (set->count == KEY_SET_MAX)
        return fault_set(fault, FAULT_INVALID, "%s: more than %d keys.", where, KEY_SET_MAX);
    for (size_t i = 0; i < set->count; i++)
        if (key->id && str_eq(set->items[i].id, key->id))
            return fault_set(fault, FAULT_INVALID, "%s: another key has the same kid; give each a kid of its own.",
                             where);
    set->items = xrealloc(set->items, (set->count + 1) * sizeof(*set->items));
    set->items[set->count++] = *key;
    *key = (struct key){0};
    return true;
}
