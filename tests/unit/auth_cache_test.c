/* The cache of verified tokens: what it remembers, what it must not, and how it forgets. */
#include "unit/auth_tokens.h"

#include <openssl/bn.h>
#include <pthread.h>

static EVP_PKEY *p256, *mac;
static struct verifier *ec, *hs;

static int make(void **state)
{
    if (test_folder_make(state) != 0)
        return -1;
    p256 = test_key(ALG_ES256);
    mac = test_key(ALG_HS256);
    ec = test_verifier_of(p256, ALG_ES256, NULL, test_options());
    hs = test_verifier_of(mac, ALG_HS256, NULL, test_options());
    return 0;
}

static int unmake(void **state)
{
    verifier_unref(ec);
    verifier_unref(hs);
    EVP_PKEY_free(p256);
    EVP_PKEY_free(mac);
    return test_folder_remove(state);
}

/* A borrowed identity: with the cache's own reference it stays alive for the comparison of addresses. */
static struct identity *look(struct token_cache *c, const struct verifier *v, const char *token, int64_t now_s)
{
    struct identity *identity = NULL;
    struct fault fault = {0};

    if (!token_cache_check(c, v, span_of(token), NULL, now_s, &identity, &fault))
        fail_msg("refused: %s (%s)", fault.message, fault.detail);
    identity_unref(identity);
    return identity;
}

static void look_refused(struct token_cache *c, const struct verifier *v, struct span token, int64_t now_s,
                         const char *reason)
{
    struct identity *identity = (struct identity *)0x1;
    struct fault fault = {0};

    assert_false(token_cache_check(c, v, token, NULL, now_s, &identity, &fault));
    assert_ptr_equal(identity, (struct identity *)0x1);
    test_is_refusal(&fault, reason);
}

static char *numbered_token(unsigned n)
{
    own(freep) char *more = xprintf(",\"jti\":\"%u\"", n);

    return test_good_token(mac, ALG_HS256, NULL, more);
}

static void a_hit_is_the_same_identity(void **state)
{
    struct token_cache *c = token_cache_new(64);
    own(freep) char *token = numbered_token(1), *other = numbered_token(2);
    struct identity *first = look(c, hs, token, NOW);

    assert_ptr_equal(look(c, hs, token, NOW), first);
    assert_ptr_not_equal(look(c, hs, other, NOW), first);
    assert_ptr_equal(look(c, hs, token, NOW + 1), first);
    assert_int_equal(first->references, 1); /* the cache's own */
    struct identity *kept = NULL;
    assert_true(token_cache_check(c, hs, span_of(token), NULL, NOW, &kept, NULL));
    token_cache_free(c);
    assert_string_equal(kept->token_id, "1"); /* outlives the cache */
    identity_unref(kept);
    token_cache_free(NULL);
}

/* What is remembered of a token says nothing about the connection that it comes by. */
static void a_bound_token_is_good_with_its_certificate_only(void **state)
{
    struct token_cache *c = token_cache_new(64);
    own(freep) char *token = test_good_token(mac, ALG_HS256, NULL,
                                             ",\"cnf\":{\"x5t#S256\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}");
    own(freep) char *free_token = numbered_token(1);
    struct certificate right = {.digest = {0}}, wrong = right;
    struct identity *first = NULL, *again = NULL, *never = NULL;
    struct fault fault = {0};

    for (unsigned i = 0; i < sizeof(right.digest); i++)
        right.digest[i] = (uint8_t)i;
    look_refused(c, hs, span_of(token), NOW, "no client certificate"); /* it is in the cache now */
    assert_true(token_cache_check(c, hs, span_of(token), &right, NOW, &first, NULL));
    assert_true(first->bound);
    assert_memory_equal(first->bound_to, right.digest, sizeof(right.digest));
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < sizeof(right.digest); i++) { /* each bit counts */
            wrong = right;
            wrong.digest[i] ^= (uint8_t)(1u << i % 8);
            fault = (struct fault){0};
            assert_false(token_cache_check(c, hs, span_of(token), &wrong, NOW, &never, &fault));
            test_is_refusal(&fault, "other client certificate");
        }
        look_refused(c, hs, span_of(token), NOW, "no client certificate");
        assert_true(token_cache_check(c, hs, span_of(token), &right, NOW, &again, NULL));
        assert_ptr_equal(again, first); /* a refusal pushes nobody out */
        identity_unref(again);
    }
    assert_null(never);
    assert_true(verifier_check(hs, span_of(token), &right, NOW, &again, NULL));
    identity_unref(again);
    fault = (struct fault){0};
    assert_false(verifier_check(hs, span_of(token), &wrong, NOW, &never, &fault));
    test_is_refusal(&fault, "other client certificate");
    /* An unbound one is good with any, or none. */
    assert_true(token_cache_check(c, hs, span_of(free_token), &wrong, NOW, &again, NULL));
    assert_false(again->bound);
    identity_unref(again);
    look(c, hs, free_token, NOW);
    identity_unref(first);
    token_cache_free(c);
}

static void a_hit_ends_with_the_token(void **state)
{
    struct token_cache *c = token_cache_new(64);
    own(freep) char *token = numbered_token(1); /* expires at NOW + 600, leeway 30 */

    look(c, hs, token, NOW);
    look(c, hs, token, NOW + 629);
    look_refused(c, hs, span_of(token), NOW + 630, "expired");
    look_refused(c, hs, span_of(token), NOW + 630, "expired");
    look(c, hs, token, NOW); /* was forgotten, is verified again */
    token_cache_free(c);
}

static void refused_tokens_are_not_remembered(void **state)
{
    struct token_cache *c = token_cache_new(64);
    own(freep) char *token = numbered_token(1), *forged = xstrdup(token);
    char *last = forged + strlen(forged) - 10;

    *last = *last == 'A' ? 'B' : 'A';
    look_refused(c, hs, span_of(forged), NOW, "bad signature");
    look_refused(c, hs, span_of(forged), NOW, "bad signature");
    struct identity *good = look(c, hs, token, NOW);
    look_refused(c, hs, span_of(forged), NOW, "bad signature"); /* also when the content is known */
    assert_ptr_equal(look(c, hs, token, NOW), good);
    look_refused(c, hs, (struct span){token, strlen(token) - 2}, NOW, "malformed token");
    own(freep) char *longer = xprintf("%sA", token);
    look_refused(c, hs, span_of(longer), NOW, "bad signature");
    look_refused(c, hs, (struct span){token, (size_t)(strrchr(token, '.') - token)}, NOW, "malformed token");
    look_refused(c, hs, (struct span){NULL, 0}, NOW, "malformed token");
    look_refused(c, hs, SPAN("no dot at all"), NOW, "malformed token");
    token_cache_free(c);
}

/* The other of the two signatures that every ECDSA signature is: (r, n - s). */
static char *malleate(const char *token)
{
    const char *encoded = strrchr(token, '.') + 1;
    uint8_t signature[64];
    size_t len;
    BIGNUM *n = NULL, *s, *other = BN_new();
    struct text out = {0};

    assert_true(base64url_decode(span_of(encoded), signature, sizeof(signature), &len));
    assert_true(BN_hex2bn(&n, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"));
    s = BN_bin2bn(signature + 32, 32, NULL);
    assert_true(BN_sub(other, n, s));
    assert_int_equal(BN_bn2binpad(other, signature + 32, 32), 32);
    BN_free(n);
    BN_free(s);
    BN_free(other);
    text_append(&out, token, (size_t)(encoded - token));
    base64url_encode(signature, sizeof(signature), &out);
    return text_take(&out);
}

static void a_malleated_signature_is_no_second_identity(void **state)
{
    struct token_cache *c = token_cache_new(8); /* one set: a second entry would push something out */
    own(freep) char *token = test_good_token(p256, ALG_ES256, NULL, NULL), *variant = malleate(token);
    struct identity *others[7];
    char *tokens[7];

    assert_string_not_equal(token, variant);
    identity_unref(test_accept(ec, variant)); /* it is a valid signature */
    struct identity *first = look(c, ec, token, NOW);
    for (unsigned i = 0; i < 7; i++) {
        own(freep) char *more = xprintf(",\"jti\":\"%u\"", i);
        tokens[i] = test_good_token(p256, ALG_ES256, NULL, more);
        others[i] = look(c, ec, tokens[i], NOW);
    }
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(look(c, ec, variant, NOW), first);
        assert_ptr_equal(look(c, ec, token, NOW), first);
    }
    for (unsigned i = 0; i < 7; i++)
        assert_ptr_equal(look(c, ec, tokens[i], NOW), others[i]);
    look_refused(c, ec, span_of(variant), NOW + 630, "expired");
    token_cache_free(c);
    for (unsigned i = 0; i < 7; i++)
        free(tokens[i]);
}

static void a_full_set_forgets_the_longest_unused(void **state)
{
    struct token_cache *c = token_cache_new(0); /* 8 at least: one set */
    char *tokens[9];
    struct identity *kept[9];

    for (unsigned i = 0; i < 9; i++)
        tokens[i] = numbered_token(i);
    for (unsigned i = 0; i < 8; i++) {
        kept[i] = look(c, hs, tokens[i], NOW);
        assert_true(
            token_cache_check(c, hs, span_of(tokens[i]), NULL, NOW, &kept[i], NULL)); /* keeps its address taken */
    }
    look(c, hs, tokens[0], NOW); /* now 1 is the oldest */
    look(c, hs, tokens[8], NOW); /* comes once: pushes nobody out */
    for (unsigned i = 0; i < 8; i++)
        if (i != 1)
            assert_ptr_equal(look(c, hs, tokens[i], NOW), kept[i]);
    kept[8] = look(c, hs, tokens[8], NOW); /* comes again: is worth a place */
    for (unsigned i = 0; i < 9; i++)
        if (i != 1)
            assert_ptr_equal(look(c, hs, tokens[i], NOW), kept[i]);
    assert_ptr_not_equal(look(c, hs, tokens[1], NOW), kept[1]);
    token_cache_free(c);
    for (unsigned i = 0; i < 9; i++) {
        if (i < 8)
            identity_unref(kept[i]);
        free(tokens[i]);
    }
}

static void a_full_set_forgets_the_expired_first(void **state)
{
    struct token_cache *c = token_cache_new(8);
    own(freep) char *claims =
        xprintf("{\"iss\":\"" ISSUER "\",\"aud\":\"bailiff\",\"sub\":\"brief\",\"exp\":%lld}", (long long)NOW + 10);
    own(freep) char *brief = test_token(mac, ALG_HS256, "{\"alg\":\"HS256\"}", claims);
    char *tokens[8];
    struct identity *kept[8];

    for (unsigned i = 0; i < 7; i++) {
        tokens[i] = numbered_token(i);
        assert_true(token_cache_check(c, hs, span_of(tokens[i]), NULL, NOW, &kept[i], NULL));
    }
    look(c, hs, brief, NOW); /* the youngest of all */
    tokens[7] = numbered_token(7);
    look(c, hs, tokens[7], NOW + 100);
    for (unsigned i = 0; i < 7; i++)
        assert_ptr_equal(look(c, hs, tokens[i], NOW + 100), kept[i]);
    token_cache_free(c);
    for (unsigned i = 0; i < 8; i++) {
        if (i < 7)
            identity_unref(kept[i]);
        free(tokens[i]);
    }
}

static void capacity_is_a_bound(void **state)
{
    enum { CAPACITY = 100, TOKENS = 400 };
    struct token_cache *c = token_cache_new(CAPACITY);
    struct identity *seen[TOKENS];
    unsigned alive = 0;

    for (unsigned i = 0; i < TOKENS; i++) {
        own(freep) char *token = numbered_token(i);
        assert_true(token_cache_check(c, hs, span_of(token), NULL, NOW, &seen[i], NULL));
    }
    for (unsigned i = 0; i < TOKENS; i++)
        alive += seen[i]->references == 2;
    assert_in_range(alive, CAPACITY / 2, CAPACITY);
    token_cache_free(c);
    for (unsigned i = 0; i < TOKENS; i++) {
        assert_int_equal(seen[i]->references, 1);
        identity_unref(seen[i]);
    }
}

static void another_verifier_starts_anew(void **state)
{
    struct token_cache *c = token_cache_new(64);
    struct issuer_options options = test_options();
    options.require_token_use = true;
    struct verifier *again = test_verifier_of(mac, ALG_HS256, NULL, test_options());
    struct verifier *stricter = test_verifier_of(mac, ALG_HS256, NULL, options);
    own(freep) char *token = numbered_token(1);
    struct identity *first = NULL;

    assert_true(token_cache_check(c, hs, span_of(token), NULL, NOW, &first, NULL));
    assert_ptr_not_equal(look(c, again, token, NOW), first);
    look_refused(c, stricter, span_of(token), NOW, "wrong token use");
    look_refused(c, ec, span_of(token), NOW, "wrong algorithm");
    /* the cache keeps its verifier alive, so that another one cannot come to lie at its address */
    look(c, again, token, NOW);
    verifier_unref(again);
    look(c, again, token, NOW);
    verifier_unref(stricter);
    identity_unref(first);
    token_cache_free(c);
}

/* One verifier, a cache a thread: what the loops do. Good under tsan. */
static void *loop(void *arg)
{
    const char *const *tokens = arg;
    struct token_cache *c = token_cache_new(8);
    uintptr_t failures = 0;

    for (int i = 0; i < 50; i++) {
        struct identity *identity = NULL;
        if (token_cache_check(c, i % 2 ? hs : ec, span_of(tokens[i % 2]), NULL, NOW, &identity, NULL))
            identity_unref(identity);
        else
            failures++;
    }
    token_cache_free(c);
    return (void *)failures;
}

static void verifiers_are_shared_by_threads(void **state)
{
    own(freep) char *e = test_good_token(p256, ALG_ES256, NULL, NULL), *h = numbered_token(1);
    const char *tokens[] = {e, h};
    pthread_t threads[4];

    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, loop, tokens), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *failures = NULL;
        assert_int_equal(pthread_join(threads[i], &failures), 0);
        assert_null(failures);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hit_is_the_same_identity),
        cmocka_unit_test(a_bound_token_is_good_with_its_certificate_only),
        cmocka_unit_test(a_hit_ends_with_the_token),
        cmocka_unit_test(refused_tokens_are_not_remembered),
        cmocka_unit_test(a_malleated_signature_is_no_second_identity),
        cmocka_unit_test(a_full_set_forgets_the_longest_unused),
        cmocka_unit_test(a_full_set_forgets_the_expired_first),
        cmocka_unit_test(capacity_is_a_bound),
        cmocka_unit_test(another_verifier_starts_anew),
        cmocka_unit_test(verifiers_are_shared_by_threads),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
