/* Token buckets, concurrency, and the keyed hash under them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

#include "middleware/address.h"
#include "middleware/limiter.h"

static void test_bucket_empties_and_fills(void **state)
{
    struct limiter *l = limiter_new(10, 3, 0);
    unsigned retry;

    for (int i = 0; i < 3; i++)
        assert_true(limiter_take(l, 7, 1000, &retry));
    assert_false(limiter_take(l, 7, 1000, &retry));
    assert_int_equal(retry, 1);
    assert_true(limiter_take(l, 8, 1000, &retry)); /* another's bucket is full */
    assert_false(limiter_take(l, 7, 1050, &retry));
    assert_true(limiter_take(l, 7, 1150, &retry)); /* 10 a second: one in 100 ms */
    assert_false(limiter_take(l, 7, 1150, &retry));
    for (int i = 0; i < 3; i++)
        assert_true(limiter_take(l, 7, 100000, &retry)); /* never more than the burst */
    assert_false(limiter_take(l, 7, 100000, &retry));
    limiter_free(l);
}

static void test_retry_after_is_when_one_is_there(void **state)
{
    struct limiter *l = limiter_new(1, 1, 0);
    unsigned retry;

    assert_true(limiter_take(l, 7, 0, &retry));
    assert_false(limiter_take(l, 7, 0, &retry));
    assert_true(retry >= 1);
    assert_true(limiter_take(l, 7, (int64_t)retry * 1000, &retry));
    limiter_free(l);
}

static void test_concurrency(void **state)
{
    struct limiter *l = limiter_new(0, 0, 2);
    unsigned retry;

    assert_false(limiter_is_off(l));
    assert_true(limiter_take(l, 7, 0, &retry));
    assert_true(limiter_take(l, 7, 0, &retry));
    assert_false(limiter_take(l, 7, 0, &retry));
    limiter_release(l, 7);
    assert_true(limiter_take(l, 7, 0, &retry));
    limiter_free(l);
}

/* Looking takes nothing; it makes no bucket, and pushes none out. */
static void test_an_empty_bucket_is_seen(void **state)
{
    struct limiter *l = limiter_new(1.0 / 60, 2, 0);
    unsigned retry = 0;

    assert_false(limiter_has_empty(l, 1000));
    assert_true(limiter_take(l, 7, 1000, &retry));
    assert_false(limiter_has_empty(l, 1000));
    assert_false(limiter_is_empty(l, 7, 1000, &retry));
    assert_true(limiter_take(l, 7, 1000, &retry));
    assert_true(limiter_has_empty(l, 1000));
    for (int i = 0; i < 5; i++)
        assert_true(limiter_is_empty(l, 7, 1000, &retry));
    assert_in_range(retry, 60, 61);
    for (uint64_t other = 9; other < 1000; other += 2)
        assert_false(limiter_is_empty(l, other << 13 | 7, 1000, &retry)); /* its whole set is asked for */
    assert_true(limiter_is_empty(l, 7, 60000, &retry));
    assert_in_range(retry, 1, 2);
    assert_false(limiter_is_empty(l, 7, 61001, &retry));
    assert_false(limiter_has_empty(l, 61002));
    assert_true(limiter_take(l, 7, 61002, &retry));
    assert_true(limiter_has_empty(l, 61002));
    limiter_free(l);
}

/* Held buckets are never pushed out: with a whole set held, a newcomer is refused, and nobody's count is lost. */
static void test_held_buckets_stay(void **state)
{
    struct limiter *l = limiter_new(0, 0, 1);
    unsigned retry;
    unsigned taken = 0;

    for (uint64_t key = 0; key < 200000; key++)
        taken += limiter_take(l, key << 13, 0, &retry); /* all in one set */
    assert_true(taken >= 1 && taken <= 8);
    assert_false(limiter_take(l, 0, 0, &retry));
    limiter_free(l);
}

static void test_off(void **state)
{
    struct limiter *l = limiter_new(0, 0, 0);

    assert_true(limiter_is_off(l));
    limiter_free(l);
}

/* Vectors of the SipHash paper's appendix: key 00..0f, message 00..0e and its prefixes. */
static void test_siphash_vectors(void **state)
{
    const struct keyed_hash h = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    uint8_t message[15];

    for (uint8_t i = 0; i < 15; i++)
        message[i] = i;
    assert_true(keyed_hash_of(&h, message, 15) == 0xa129ca6149be45e5);
    assert_true(keyed_hash_of(&h, message, 0) == 0x726fdb47dd0e0e31);
    assert_true(keyed_hash_of(&h, message, 8) == 0x93f5f5799a932462);
}

static void test_address_prefix(void **state)
{
    char prefix[ADDRESS_PREFIX_SIZE];

    address_prefix("192.0.2.7", prefix);
    assert_string_equal(prefix, "192.0.2.7");
    address_prefix("2001:db8:1:2:3:4:5:6", prefix);
    assert_string_equal(prefix, "2001:db8:1:2::/64");
    address_prefix(NULL, prefix);
    assert_string_equal(prefix, "local");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bucket_empties_and_fills),
        cmocka_unit_test(test_retry_after_is_when_one_is_there),
        cmocka_unit_test(test_concurrency),
        cmocka_unit_test(test_an_empty_bucket_is_seen),
        cmocka_unit_test(test_held_buckets_stay),
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_siphash_vectors),
        cmocka_unit_test(test_address_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
