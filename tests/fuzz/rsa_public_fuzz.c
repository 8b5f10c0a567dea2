/* Powers modulo any odd number of the sizes that we take ourselves, against OpenSSL's.
 *
 * The first byte chooses the size; then come the modulus and the base, each in runs: a byte, and how often it is there. So a few
 * bytes make limbs of nothing but ones or zeros. */
#include <openssl/bn.h>
#include <openssl/err.h>

#include "auth/rsa_public.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool truth)
{
    if (!truth)
        abort();
}

static void fill(uint8_t *number, size_t size, const uint8_t **data, const uint8_t *end)
{
    memset(number, 0, size);
    for (size_t at = 0; at < size && end - *data >= 2; *data += 2) {
        size_t run = MIN((size_t)(*data)[1] + 1, size - at);
        memset(number + at, (*data)[0], run);
        at += run;
    }
}

static void compare(const struct rsa_public *key, const BIGNUM *n, const uint8_t *base)
{
    uint8_t power[RSA_PUBLIC_SIZE_MAX];
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *x = BN_bin2bn(base, (int)key->size, NULL), *e = BN_new(), *y = BN_new();

    demand(ctx && x && e && y && BN_set_word(e, 65537) == 1 && BN_mod_exp(y, x, e, n, ctx) == 1 &&
           BN_bn2binpad(y, power, (int)key->size) == (int)key->size);
    demand(rsa_public_power_is(key, base, power) == (BN_cmp(x, n) < 0));
    power[base[0] % key->size] ^= 1;
    demand(!rsa_public_power_is(key, base, power));
    BN_free(x);
    BN_free(e);
    BN_free(y);
    BN_CTX_free(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t sizes[] = {256, 384, 512};
    uint8_t modulus[RSA_PUBLIC_SIZE_MAX], base[RSA_PUBLIC_SIZE_MAX];
    const uint8_t *next = data + 1;

    if (size < 1 || !ifma_supported())
        return 0;
    size_t bytes = sizes[data[0] % ARRAY_LEN(sizes)];
    fill(modulus, bytes, &next, data + size);
    fill(base, bytes, &next, data + size);
    modulus[0] |= 0x80;
    modulus[bytes - 1] |= 1;
    BIGNUM *n = BN_bin2bn(modulus, (int)bytes, NULL);
    struct rsa_public *key = n ? rsa_public_of(n) : NULL;
    demand(key); /* NULL: the two disagreed on the powers that are tried when a key is prepared */
    compare(key, n, base);
    demand(ERR_peek_error() == 0);
    rsa_public_free(key);
    BN_free(n);
    return 0;
}
