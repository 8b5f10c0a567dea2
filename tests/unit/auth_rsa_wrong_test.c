/* A processor that computes a power wrongly, or has no IFMA: its keys are OpenSSL's to judge, and are judged rightly.
 *
 * All of auth/rsa_ifma.c is replaced by the functions below, which compute with OpenSSL; so this runs on every machine. */
#include "unit/auth_tokens.h"

#include <openssl/bn.h>

#include "auth/key_bench.h"

enum { RIGHT = -1, POWERS = 4, LIMBS = 40 };

static bool supported;
static int wrong_at; /* which power is wrong */
static int powers;   /* computed so far */
static unsigned wrong_limb;

bool ifma_supported(void)
{
    return supported;
}

unsigned ifma_limbs(int bits)
{
    return bits == 2048 ? LIMBS : 0;
}

uint64_t ifma_inverse(uint64_t lowest_limb)
{
    return 0;
}

static BIGNUM *number_of(const uint64_t *limbs)
{
    BIGNUM *n = BN_new();

    for (unsigned i = LIMBS; i-- > 0;)
        assert_true(BN_lshift(n, n, IFMA_LIMB_BITS) == 1 && BN_add_word(n, limbs[i]) == 1);
    return n;
}

bool ifma_is_reduced(const struct ifma_modulus *modulus, const uint64_t *x)
{
    BIGNUM *a = number_of(x), *n = number_of(modulus->n);
    bool is_reduced = BN_cmp(a, n) < 0;

    BN_free(a);
    BN_free(n);
    return is_reduced;
}

void ifma_power(const struct ifma_modulus *modulus, const uint64_t *x, uint64_t *ret)
{
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *a = number_of(x), *n = number_of(modulus->n), *e = BN_new();

    assert_true(BN_set_word(e, 65537) == 1 && BN_mod_exp(a, a, e, n, ctx) == 1);
    for (unsigned i = 0; i < LIMBS; i++) {
        ret[i] = 0;
        for (int bit = 0; bit < IFMA_LIMB_BITS; bit++)
            ret[i] |= (uint64_t)BN_is_bit_set(a, (int)i * IFMA_LIMB_BITS + bit) << bit;
    }
    if (powers++ == wrong_at)
        ret[wrong_limb] ^= 1;
    BN_free(a);
    BN_free(n);
    BN_free(e);
    BN_CTX_free(ctx);
}

static EVP_PKEY *pkey;
static uint8_t good[1024], sha256[32];
static struct span good_signature;
static const char INPUT[] = "header.payload";

static int make(void **state)
{
    size_t len;

    pkey = test_key(ALG_RS256);
    good_signature = (struct span){(const char *)good, test_sign(pkey, ALG_RS256, span_of(INPUT), good)};
    return EVP_Q_digest(NULL, "SHA256", NULL, INPUT, strlen(INPUT), sha256, &len) == 1 ? 0 : -1;
}

static int unmake(void **state)
{
    EVP_PKEY_free(pkey);
    return 0;
}

static bool says(const struct key *key, struct span signature)
{
    struct key_bench bench = {0};
    struct fault fault = {0};
    bool ok = key_bench_verify(&bench, key, sha256, span_of(INPUT), signature, &fault);

    assert_true(ok || fault.kind == FAULT_UNAUTHENTICATED);
    key_bench_clear(&bench);
    return ok;
}

/* Is such a key ours to judge? Whoever does must do it rightly. */
static bool is_ours(void)
{
    struct key key = {0};
    uint8_t forged[sizeof(good)];

    powers = 0;
    assert_true(key_init(&key, pkey, ALG_RS256, NULL, NULL));
    bool ours = key.rsa;
    wrong_at = RIGHT;
    assert_true(says(&key, good_signature));
    for (size_t i = 0; i < good_signature.len; i += 15) {
        memcpy(forged, good, sizeof(forged));
        forged[i] ^= 1;
        assert_false(says(&key, (struct span){(const char *)forged, good_signature.len}));
    }
    key_done(&key);
    return ours;
}

static void a_right_processor_is_used(void **state)
{
    supported = true;
    wrong_at = RIGHT;
    assert_true(is_ours());
    assert_true(powers > POWERS); /* the signatures', too */
}

static void one_wrong_limb_of_one_power_is_enough(void **state)
{
    supported = true;
    for (int power = 0; power < POWERS; power++)
        for (unsigned limb = 0; limb < LIMBS; limb += 13) {
            wrong_at = power;
            wrong_limb = limb;
            assert_false(is_ours());
            assert_int_equal(powers, power + 1); /* and it was not asked again */
        }
}

static void a_processor_without_it_is_not_asked(void **state)
{
    supported = false;
    wrong_at = RIGHT;
    assert_false(is_ours());
    assert_int_equal(powers, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_right_processor_is_used),
        cmocka_unit_test(one_wrong_limb_of_one_power_is_enough),
        cmocka_unit_test(a_processor_without_it_is_not_asked),
    };

    return cmocka_run_group_tests(tests, make, unmake);
}
