#include "auth/rsa_public.h"

#include <endian.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>

#include "auth/openssl_end.h"

enum {
    EXPONENT = 65537,
    POWERS_TRIED = 4,
};

static void bn_freep(BIGNUM **n)
{
    BN_free(*n);
}

static void bn_ctx_freep(BN_CTX **ctx)
{
    BN_CTX_free(*ctx);
}

static void rsa_public_freep(struct rsa_public **key)
{
    rsa_public_free(*key);
}

void rsa_public_free(struct rsa_public *key)
{
    free(key);
}

/* Limbs begin at every 13th half byte, so each lies within eight bytes. */
static void read_limbs(const struct rsa_public *key, const uint8_t *bytes, uint64_t *ret)
{
    uint8_t lowest_first[RSA_PUBLIC_SIZE_MAX + 2 * sizeof(uint64_t)] = {0};

    for (size_t i = 0; i < key->size; i++)
        lowest_first[key->size - 1 - i] = bytes[i];
    for (size_t i = 0; i < key->modulus.limbs; i++) {
        size_t bit = i * IFMA_LIMB_BITS;
        uint64_t around;
        memcpy(&around, lowest_first + bit / 8, sizeof(around));
        ret[i] = le64toh(around) >> bit % 8 & IFMA_LIMB_MASK;
    }
}

static bool read_number(const struct rsa_public *key, const BIGNUM *number, uint64_t *ret)
{
    uint8_t bytes[RSA_PUBLIC_SIZE_MAX];

    if (BN_bn2binpad(number, bytes, (int)key->size) != (int)key->size)
        return false;
    read_limbs(key, bytes, ret);
    return true;
}

bool rsa_public_power_is(const struct rsa_public *key, const uint8_t *base, const uint8_t *expected)
{
    uint64_t x[IFMA_LIMBS_MAX], power[IFMA_LIMBS_MAX], wanted[IFMA_LIMBS_MAX];

    read_limbs(key, base, x);
    if (!ifma_is_reduced(&key->modulus, x))
        return false;
    ifma_power(&key->modulus, x, power);
    read_limbs(key, expected, wanted);
    return memcmp(power, wanted, key->modulus.limbs * sizeof(power[0])) == 0;
}

/* Is what we compute of x what OpenSSL does? *x becomes the power. */
static bool power_agrees(const struct rsa_public *key, BIGNUM *x, const BIGNUM *e, const BIGNUM *n, BN_CTX *ctx)
{
    uint8_t base[RSA_PUBLIC_SIZE_MAX], power[RSA_PUBLIC_SIZE_MAX];
    int size = (int)key->size;

    return BN_bn2binpad(x, base, size) == size && BN_mod_exp(x, x, e, n, ctx) == 1 &&
           BN_bn2binpad(x, power, size) == size && rsa_public_power_is(key, base, power);
}

/* n - 1, whose power is itself; then 2 and what becomes of it, which soon looks like any number. */
bool rsa_public_agrees(const struct rsa_public *key, const BIGNUM *n)
{
    own(bn_ctx_freep) BN_CTX *ctx = BN_CTX_new();
    own(bn_freep) BIGNUM *x = BN_dup(n), *e = BN_new();

    if (!ctx || !x || !e || BN_set_word(e, EXPONENT) != 1 || BN_sub_word(x, 1) != 1 ||
        !power_agrees(key, x, e, n, ctx) || BN_set_word(x, 2) != 1)
        return false;
    for (unsigned i = 1; i < POWERS_TRIED; i++)
        if (!power_agrees(key, x, e, n, ctx))
            return false;
    return true;
}

static bool prepare(struct rsa_public *key, const BIGNUM *n)
{
    own(bn_ctx_freep) BN_CTX *ctx = BN_CTX_new();
    own(bn_freep) BIGNUM *r_squared = BN_new();
    int bits_of_r = (int)key->modulus.limbs * IFMA_LIMB_BITS;

    if (!ctx || !r_squared || BN_set_bit(r_squared, 2 * bits_of_r) != 1 ||
        BN_nnmod(r_squared, r_squared, n, ctx) != 1 || !read_number(key, n, key->modulus.n) ||
        !read_number(key, r_squared, key->modulus.r_squared))
        return false;
    key->modulus.inverse = ifma_inverse(key->modulus.n[0]);
    return true;
}

struct rsa_public *rsa_public_of(const BIGNUM *n)
{
    unsigned limbs = ifma_limbs(BN_num_bits(n));

    if (!ifma_supported() || limbs == 0 || BN_is_negative(n) || !BN_is_odd(n))
        return NULL;
    own(rsa_public_freep) struct rsa_public *key = xcalloc(1, sizeof(*key));
    key->size = (size_t)BN_num_bytes(n);
    key->modulus.limbs = limbs;
    return prepare(key, n) && rsa_public_agrees(key, n) ? give(key) : NULL;
}

struct rsa_public *rsa_public_new(const EVP_PKEY *pkey)
{
    own(bn_freep) BIGNUM *n = NULL;
    own(bn_freep) BIGNUM *e = NULL;
    bool fits = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
                EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_word(e, EXPONENT);
    struct rsa_public *key = fits ? rsa_public_of(n) : NULL;

    openssl_drop_errors();
    return key;
}

/* What the signer must have signed (RFC 8017 §9.2). It is made and compared as a whole; a signature is never parsed, so there is
 * nothing in it that could be overlooked. */
static void encode(const struct rsa_public *key, const uint8_t sha256[static 32], uint8_t *ret)
{
    static const uint8_t digest_info[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                          0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
    uint8_t *digest = ret + key->size - 32, *info = digest - sizeof(digest_info);

    memset(ret, 0xff, key->size);
    ret[0] = 0x00;
    ret[1] = 0x01;
    info[-1] = 0x00;
    memcpy(info, digest_info, sizeof(digest_info));
    memcpy(digest, sha256, 32);
}

bool rsa_public_verify(const struct rsa_public *key, const uint8_t sha256[static 32], struct span signature)
{
    uint8_t encoded[RSA_PUBLIC_SIZE_MAX];

    if (signature.len != key->size)
        return false;
    encode(key, sha256, encoded);
    return rsa_public_power_is(key, (const uint8_t *)signature.data, encoded);
}
