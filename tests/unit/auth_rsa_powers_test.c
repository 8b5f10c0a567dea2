/* Powers modulo whatever may be a modulus: the same as OpenSSL's. */
#include "unit/auth_tokens.h"

#include <openssl/bn.h>

#include "auth/rsa_public.h"

enum { SIZE_MAX_TESTED = RSA_PUBLIC_SIZE_MAX };
static const int SIZES[] = {2048, 3072, 4096};

static void without_ifma(void)
{
    if (!ifma_supported())
        skip(); /* nothing here is used on such a machine; what OpenSSL does instead is tested by the others */
}

struct numbers {
    BN_CTX *ctx;
    BIGNUM *n, *x, *e, *power, *other;
    struct rsa_public *key;
};

static void numbers_init(struct numbers *t)
{
    *t = (struct numbers){BN_CTX_new(), BN_new(), BN_new(), BN_new(), BN_new(), BN_new(), NULL};
    assert_true(t->ctx && t->n && t->x && t->e && t->power && t->other);
    assert_int_equal(BN_set_word(t->e, 65537), 1);
}

static void numbers_done(struct numbers *t)
{
    rsa_public_free(t->key);
    BN_free(t->n);
    BN_free(t->x);
    BN_free(t->e);
    BN_free(t->power);
    BN_free(t->other);
    BN_CTX_free(t->ctx);
}

static void use_modulus(struct numbers *t)
{
    rsa_public_free(t->key);
    t->key = rsa_public_of(t->n);
    assert_non_null(t->key);
}

static bool power_is(const struct numbers *t, const BIGNUM *x, const BIGNUM *expected)
{
    uint8_t base[SIZE_MAX_TESTED], power[SIZE_MAX_TESTED];
    int size = (int)t->key->size;

    assert_int_equal(BN_bn2binpad(x, base, size), size);
    assert_int_equal(BN_bn2binpad(expected, power, size), size);
    return rsa_public_power_is(t->key, base, power);
}

/* The power of t->x, and none beside it. */
static void compare(struct numbers *t)
{
    assert_int_equal(BN_mod_exp(t->power, t->x, t->e, t->n, t->ctx), 1);
    assert_true(power_is(t, t->x, t->power));
    assert_int_equal(BN_add(t->other, t->power, t->n), 1); /* the same number, not reduced */
    if (BN_num_bytes(t->other) <= (int)t->key->size)
        assert_false(power_is(t, t->x, t->other));
    int bit = (int)(BN_get_word(t->power) % (unsigned)BN_num_bits(t->n));
    if (BN_is_bit_set(t->power, bit))
        assert_int_equal(BN_clear_bit(t->power, bit), 1);
    else
        assert_int_equal(BN_set_bit(t->power, bit), 1);
    assert_false(power_is(t, t->x, t->power));
}

/* x and n + x have the same power; only the first one is a signature. */
static void compare_beyond(struct numbers *t)
{
    assert_int_equal(BN_mod_exp(t->power, t->x, t->e, t->n, t->ctx), 1);
    assert_int_equal(BN_add(t->other, t->x, t->n), 1);
    if (BN_num_bytes(t->other) <= (int)t->key->size)
        assert_false(power_is(t, t->other, t->power));
}

/* Bits in runs of up to `longest`: limbs of nothing but ones or zeros, carries through many of them. */
static void set_runs(BIGNUM *number, int bits, unsigned longest)
{
    bool one = true;

    BN_zero(number);
    for (int at = bits - 1; at >= 0; one = !one)
        for (unsigned run = 1 + (unsigned)rand() % longest; run > 0 && at >= 0; run--, at--)
            if (one)
                assert_int_equal(BN_set_bit(number, at), 1);
}

static void compare_chosen(struct numbers *t)
{
    int bits = BN_num_bits(t->n);

    BN_zero(t->x);
    compare(t);
    compare_beyond(t);
    for (BN_ULONG word = 1; word < 4; word++) {
        assert_int_equal(BN_set_word(t->x, word), 1);
        compare(t);
        compare_beyond(t);
        assert_int_equal(BN_sub(t->x, t->n, t->x), 1);
        compare(t);
    }
    for (int k = 1; k < bits - 1; k += k % IFMA_LIMB_BITS == 0 ? 1 : 17) {
        BN_zero(t->x);
        assert_int_equal(BN_set_bit(t->x, k), 1);
        compare(t);
        assert_int_equal(BN_sub_word(t->x, 1), 1); /* limbs of ones */
        compare(t);
    }
}

static void compare_random(struct numbers *t, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (i % 2)
            assert_int_equal(BN_rand_range(t->x, t->n), 1);
        else
            set_runs(t->x, BN_num_bits(t->n) - 1, 10 + 30 * i);
        compare(t);
        compare_beyond(t);
    }
}

static void powers_of_random_moduli(void **state)
{
    struct numbers t;

    without_ifma();
    numbers_init(&t);
    for (size_t i = 0; i < ARRAY_LEN(SIZES); i++)
        for (unsigned j = 0; j < 25; j++) {
            assert_int_equal(BN_rand(t.n, SIZES[i], BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
            use_modulus(&t);
            compare_random(&t, 12);
        }
    numbers_done(&t);
}

static void powers_of_moduli_in_runs(void **state)
{
    struct numbers t;

    without_ifma();
    numbers_init(&t);
    srand(1);
    for (size_t i = 0; i < ARRAY_LEN(SIZES); i++)
        for (unsigned j = 0; j < 25; j++) {
            set_runs(t.n, SIZES[i], 1 + 29 * j);
            assert_int_equal(BN_set_bit(t.n, 0), 1);
            use_modulus(&t);
            compare_random(&t, 12);
        }
    numbers_done(&t);
}

/* 2^bits - small and 2^(bits - 1) + small: as much and as little as there can be. */
static void powers_of_extreme_moduli(void **state)
{
    struct numbers t;

    without_ifma();
    numbers_init(&t);
    for (size_t i = 0; i < ARRAY_LEN(SIZES); i++)
        for (BN_ULONG odd = 1; odd < 8; odd += 2) {
            BN_zero(t.n);
            assert_int_equal(BN_set_bit(t.n, SIZES[i]), 1);
            assert_int_equal(BN_sub_word(t.n, odd), 1);
            use_modulus(&t);
            compare_chosen(&t);
            compare_random(&t, 50);
            BN_zero(t.n);
            assert_int_equal(BN_set_bit(t.n, SIZES[i] - 1), 1);
            assert_int_equal(BN_add_word(t.n, odd), 1);
            use_modulus(&t);
            compare_chosen(&t);
            compare_random(&t, 50);
        }
    numbers_done(&t);
}

/* x is a multiple of the modulus's root: its powers are 0. Between multiplications that is exactly n, not 0. */
static void powers_that_are_zero(void **state)
{
    struct numbers t;

    without_ifma();
    numbers_init(&t);
    for (size_t i = 0; i < ARRAY_LEN(SIZES); i++)
        for (unsigned j = 0; j < 20; j++) {
            assert_int_equal(BN_rand(t.other, SIZES[i] / 2, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD), 1);
            assert_int_equal(BN_sqr(t.n, t.other, t.ctx), 1);
            use_modulus(&t);
            assert_true(BN_copy(t.x, t.other) && BN_mul_word(t.x, 1 + 2 * j) == 1);
            assert_int_equal(BN_mod_exp(t.power, t.x, t.e, t.n, t.ctx), 1);
            assert_true(BN_is_zero(t.power));
            compare(&t);
            compare_beyond(&t);
            assert_false(power_is(&t, t.n, t.n)); /* not reduced */
        }
    numbers_done(&t);
}

static void other_moduli_are_left_to_openssl(void **state)
{
    static const int others[] = {0, 1, 1024, 2040, 2047, 2049, 2056, 3071, 3073, 4095, 4097, 8192};
    struct numbers t;

    numbers_init(&t);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_int_equal(BN_rand(t.n, others[i], BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), others[i] > 0);
        assert_null(rsa_public_of(t.n));
    }
    assert_int_equal(BN_rand(t.n, 2048, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
    BN_set_negative(t.n, 1);
    assert_null(rsa_public_of(t.n));
    BN_set_negative(t.n, 0);
    assert_int_equal(BN_clear_bit(t.n, 0), 1);
    assert_null(rsa_public_of(t.n));
    numbers_done(&t);
}

/* Whatever were wrong with what is prepared, or with the arithmetic, the key would not be used. */
static void a_wrong_preparation_is_noticed(void **state)
{
    struct numbers t;

    without_ifma();
    numbers_init(&t);
    for (size_t i = 0; i < ARRAY_LEN(SIZES); i++) {
        assert_int_equal(BN_rand(t.n, SIZES[i], BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
        use_modulus(&t);
        struct ifma_modulus *m = &t.key->modulus, good = *m;
        for (unsigned limb = 0; limb < m->limbs; limb++) {
            m->n[limb] ^= 2;
            assert_false(rsa_public_agrees(t.key, t.n));
            *m = good;
            m->r_squared[limb] ^= 1;
            assert_false(rsa_public_agrees(t.key, t.n));
            *m = good;
        }
        m->inverse ^= 4;
        assert_false(rsa_public_agrees(t.key, t.n));
        *m = good;
        assert_true(rsa_public_agrees(t.key, t.n));
    }
    numbers_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(powers_of_random_moduli),          cmocka_unit_test(powers_of_moduli_in_runs),
        cmocka_unit_test(powers_of_extreme_moduli),         cmocka_unit_test(powers_that_are_zero),
        cmocka_unit_test(other_moduli_are_left_to_openssl), cmocka_unit_test(a_wrong_preparation_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
