/* Revocations: what each kind means, the cache that watches them, many of them, and threads that ask meanwhile. */
#include <pthread.h>

#include "bailiff/clock.h"
#include "unit/auth_tokens.h"

static struct identity who(const char *issuer, const char *token_id, const char *subject, int64_t issued_at_s)
{
    return (struct identity){.references = 1,
                             .issuer = (char *)issuer,
                             .token_id = (char *)token_id,
                             .subject = (char *)subject,
                             .issued_at_s = issued_at_s};
}

static bool held(const struct revocations *r, const char *issuer, const char *token_id, const char *subject,
                 int64_t issued_at_s)
{
    const struct identity i = who(issuer, token_id, subject, issued_at_s);

    return revocations_hold(r, &i);
}

static void nothing_is_revoked_at_first(void **state)
{
    struct revocations *r = revocations_new();

    assert_int_equal(revocations_count(r), 0);
    assert_false(held(r, "i", "t", "s", 0));
    assert_false(held(r, "i", NULL, "s", 0));
    revocations_free(r);
    revocations_free(NULL);
}

static void each_kind_means_what_it_says(void **state)
{
    struct revocations *r = revocations_new();

    revocations_add(r, &(struct revocation){.issuer = "i", .token_id = "t"});
    assert_true(held(r, "i", "t", "s", 100));
    assert_false(held(r, "i", "u", "s", 100));
    assert_false(held(r, "j", "t", "s", 100));
    assert_false(held(r, "i", NULL, "s", 100));
    assert_false(held(r, "i", NULL, "t", 100)); /* a subject is no token id */

    revocations_add(r, &(struct revocation){.issuer = "i", .subject = "mallory"});
    assert_true(held(r, "i", "v", "mallory", 100));
    assert_true(held(r, "i", NULL, "mallory", INT64_MAX - 1));
    assert_false(held(r, "j", "v", "mallory", 100));
    assert_false(held(r, "im", "v", "allory", 100)); /* names do not run into each other */

    revocations_add(r, &(struct revocation){.issuer = "old", .issued_before_s = 1000});
    assert_true(held(r, "old", "v", "s", 999));
    assert_true(held(r, "old", "v", "s", 0)); /* a token that does not say when */
    assert_false(held(r, "old", "v", "s", 1000));

    revocations_add(r, &(struct revocation){.issuer = "i", .subject = "bob", .issued_before_s = 50});
    assert_true(held(r, "i", NULL, "bob", 49));
    assert_false(held(r, "i", NULL, "bob", 50));

    assert_false(held(r, "any", NULL, "one", 9));
    revocations_add(r, &(struct revocation){.issued_before_s = 10});
    assert_true(held(r, "any", NULL, "one", 9));
    assert_false(held(r, "any", NULL, "one", 10));
    assert_int_equal(revocations_count(r), 5);
    revocations_free(r);
}

static void the_furthest_counts(void **state)
{
    struct revocations *r = revocations_new();
    const struct revocation near = {.issuer = "i", .issued_before_s = 10}, far = {.issuer = "i", .issued_before_s = 20},
                            all = {.issuer = "i"};

    revocations_add(r, &far);
    revocations_add(r, &near);
    assert_true(held(r, "i", NULL, "s", 19));
    revocations_add(r, &all);
    revocations_add(r, &far);
    assert_true(held(r, "i", NULL, "s", 1000));
    assert_int_equal(revocations_count(r), 1);
    revocations_remove(r, &far);
    assert_false(held(r, "i", NULL, "s", 5));
    revocations_remove(r, &far); /* again: nothing */
    assert_int_equal(revocations_count(r), 0);
    revocations_free(r);
}

static void the_epoch_rises_after_the_entry_is_there(void **state)
{
    struct revocations *r = revocations_new();
    uint64_t before = revocations_epoch(r);

    revocations_add(r, &(struct revocation){.issuer = "i"});
    assert_true(revocations_epoch(r) > before);
    revocations_free(r);
}

/* Entries come and go; what is left is found, what has gone is not, wherever probing has put it. */
static void many_come_and_go(void **state)
{
    enum { MANY = 20000 };
    struct revocations *r = revocations_new();
    char id[32];

    for (int n = 0; n < MANY; n++) {
        snprintf(id, sizeof(id), "t%d", n);
        revocations_add(r, &(struct revocation){.issuer = "i", .token_id = id});
        if (n % 3 == 0) {
            snprintf(id, sizeof(id), "t%d", n / 2);
            revocations_remove(r, &(struct revocation){.issuer = "i", .token_id = id});
        }
    }
    size_t left = 0;
    for (int n = 0; n < MANY; n++) {
        bool gone = false;
        for (int m = 2 * n; m <= 2 * n + 1; m++) /* who took n out, after it was there */
            gone |= m < MANY && m % 3 == 0 && m >= n;
        snprintf(id, sizeof(id), "t%d", n);
        assert_int_equal(held(r, "i", id, "s", 0), !gone);
        left += !gone;
    }
    assert_int_equal(revocations_count(r), left);
    revocations_free(r);
}

static void the_cache_looks_again(void **state)
{
    EVP_PKEY *pkey = test_key(ALG_ES256);
    struct verifier *v = test_verifier_of(pkey, ALG_ES256, "k1", test_options());
    struct token_cache *cache = token_cache_new(8);
    struct revocations *r = revocations_new();
    own(freep) char *one = test_good_token(pkey, ALG_ES256, "k1", ",\"jti\":\"1\"");
    own(freep) char *two = test_good_token(pkey, ALG_ES256, "k1", ",\"jti\":\"2\"");
    struct identity *identity = NULL;
    struct fault fault = {0};

    token_cache_watch(cache, r);
    for (int i = 0; i < 2; i++) {
        assert_true(token_cache_check(cache, v, span_of(one), NULL, NOW, &identity, &fault));
        identity_unref(identity);
        assert_true(token_cache_check(cache, v, span_of(two), NULL, NOW, &identity, &fault));
        identity_unref(identity);
    }
    const struct revocation first = {.issuer = ISSUER, .token_id = "1"};
    revocations_add(r, &first);
    for (int i = 0; i < 2; i++) { /* from memory, then anew */
        fault = (struct fault){0};
        assert_false(token_cache_check(cache, v, span_of(one), NULL, NOW, &identity, &fault));
        test_is_refusal(&fault, "revoked");
        assert_true(token_cache_check(cache, v, span_of(two), NULL, NOW, &identity, NULL));
        identity_unref(identity);
    }
    revocations_remove(r, &first);
    assert_true(token_cache_check(cache, v, span_of(one), NULL, NOW, &identity, NULL));
    identity_unref(identity);
    token_cache_free(cache);
    revocations_free(r);
    verifier_unref(v);
    EVP_PKEY_free(pkey);
}

/* ES256 signatures have a sister (r, n - s) that is as good: revoking a token revokes both. */
static void a_malleated_signature_is_the_same_token(void **state)
{
    static const char order[] = "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551";
    EVP_PKEY *pkey = test_key(ALG_ES256);
    struct verifier *v = test_verifier_of(pkey, ALG_ES256, "k1", test_options());
    struct token_cache *cache = token_cache_new(8);
    struct revocations *r = revocations_new();
    own(freep) char *token = test_good_token(pkey, ALG_ES256, "k1", ",\"jti\":\"1\"");
    struct identity *identity = NULL, *sister = NULL;
    struct text other = {0};
    struct fault fault = {0};
    uint8_t signature[64];
    size_t len;
    BIGNUM *n = NULL, *s;

    char *dot = strrchr(token, '.');
    assert_true(base64url_decode(span_of(dot + 1), signature, sizeof(signature), &len));
    assert_int_equal(BN_hex2bn(&n, order), strlen(order));
    s = BN_bin2bn(signature + 32, 32, NULL);
    assert_int_equal(BN_sub(s, n, s), 1);
    assert_int_equal(BN_bn2binpad(s, signature + 32, 32), 32);
    BN_free(s);
    BN_free(n);
    text_append(&other, token, (size_t)(dot + 1 - token));
    base64url_encode(signature, 64, &other);

    token_cache_watch(cache, r);
    assert_true(token_cache_check(cache, v, span_of(token), NULL, NOW, &identity, &fault));
    assert_true(token_cache_check(cache, v, text_span(&other), NULL, NOW, &sister, &fault));
    assert_ptr_equal(identity, sister);
    revocations_add(r, &(struct revocation){.issuer = ISSUER, .token_id = "1"});
    assert_false(token_cache_check(cache, v, text_span(&other), NULL, NOW, &sister, NULL));
    assert_false(token_cache_check(cache, v, span_of(token), NULL, NOW, &sister, NULL));
    identity_unref(identity);
    identity_unref(sister);
    text_done(&other);
    token_cache_free(cache);
    revocations_free(r);
    verifier_unref(v);
    EVP_PKEY_free(pkey);
}

/* ---- threads ---- */

struct race {
    struct revocations *r;
    unsigned added; /* atomic: ids below it are revoked */
    bool wrong;     /* atomic */
};

static void *ask(void *arg)
{
    struct race *race = arg;
    char id[32];

    for (unsigned n; (n = __atomic_load_n(&race->added, __ATOMIC_ACQUIRE)) < 5000;) {
        if (n == 0)
            continue;
        snprintf(id, sizeof(id), "t%u", n - 1);
        if (!held(race->r, "i", id, "s", 0))
            __atomic_store_n(&race->wrong, true, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void what_was_added_is_seen_by_all(void **state)
{
    struct race race = {.r = revocations_new()};
    pthread_t threads[2];
    char id[32];

    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &race), 0);
    for (unsigned n = 0; n < 5000; n++) {
        snprintf(id, sizeof(id), "t%u", n);
        revocations_add(race.r, &(struct revocation){.issuer = "i", .token_id = id});
        __atomic_store_n(&race.added, n + 1, __ATOMIC_RELEASE);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    assert_false(race.wrong);
    revocations_free(race.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_revoked_at_first),
        cmocka_unit_test(each_kind_means_what_it_says),
        cmocka_unit_test(the_furthest_counts),
        cmocka_unit_test(the_epoch_rises_after_the_entry_is_there),
        cmocka_unit_test(many_come_and_go),
        cmocka_unit_test(the_cache_looks_again),
        cmocka_unit_test(a_malleated_signature_is_the_same_token),
        cmocka_unit_test(what_was_added_is_seen_by_all),
    };

    return cmocka_run_group_tests(tests, test_folder_make, test_folder_remove);
}
