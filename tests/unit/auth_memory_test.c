/* OpenSSL and jansson run out of memory at every place in turn: a token is accepted or refused, a key set is read whole or not at all.
 * Where the libraries say that memory was short, so do we; where they do not, what they judge is refused, and nothing is worse. */
#include "unit/allocation.h"
#include "unit/auth_jwks.h"

#include "auth/key_bench.h"
#include "auth/published.h"
#include "bailiff/json.h"

enum { NTH_MAX = 4000 };

static enum { OPENSSL, JANSSON } whose; /* which of them is short */

static struct {
    const char *file;
    int line;
} place; /* of OpenSSL, where it was short */

static bool openssl_is_short(const char *file, int line)
{
    if (whose != OPENSSL || !allocation_fails())
        return false;
    place.file = file;
    place.line = line;
    return true;
}
static void *openssl_malloc(size_t size, const char *file, int line)
{
    return openssl_is_short(file, line) ? NULL : malloc(size);
}
static void *openssl_realloc(void *p, size_t size, const char *file, int line)
{
    return openssl_is_short(file, line) ? NULL : realloc(p, size);
}
static void openssl_free(void *p, const char *file, int line)
{
    free(p);
}
static void *jansson_malloc(size_t size)
{
    return whose == JANSSON && allocation_fails() ? NULL : malloc(size);
}

static EVP_PKEY *keys[ALG_COUNT];

static int make(void **state)
{
    for (unsigned a = 0; a < ALG_COUNT; a++)
        keys[a] = test_key((enum jwt_algorithm)a);
    return test_folder_make(state);
}

static int unmake(void **state)
{
    for (unsigned a = 0; a < ALG_COUNT; a++)
        EVP_PKEY_free(keys[a]);
    return test_folder_remove(state);
}

/* Reading a PEM file takes thousands: beyond the first fifty only some, unless there is time. */
static long step(long nth)
{
    return getenv("BAILIFF_SOAK") ? 1 : 1 + nth / 50;
}

/* Runs `work` with every allocation failing in turn, alone and with all behind it; at least one must have failed. */
static void in_turn(bool (*work)(void *arg, struct fault *fault), void *arg, enum fault_kind otherwise)
{
    struct fault fault = {0};
    long failures = 0, said = 0;

    if (!work(arg, &fault)) /* what is made once is made here */
        fail_msg("%s (%s)", fault.message, fault.detail);
    for (whose = OPENSSL; whose <= JANSSON; whose++)
        for (int stays = 0; stays <= 1; stays++)
            for (long nth = 1; nth <= NTH_MAX; nth += step(nth)) {
                fault = (struct fault){0};
                allocation_arm(nth, stays);
                bool ok = work(arg, &fault);
                long failed = allocation_disarm();
                failures += failed > 0;
                said += !ok && fault.kind == FAULT_UNAVAILABLE;
                if (!ok && fault.kind != FAULT_UNAVAILABLE && fault.kind != FAULT_INTERNAL && fault.kind != otherwise)
                    fail_msg("allocation %ld (%s, %s): kind %d: %s (%s)", nth, whose == OPENSSL ? "OpenSSL" : "jansson",
                             stays ? "and all others" : "alone", fault.kind, fault.message, fault.detail);
                assert_true(ok || failed > 0);
                if (ERR_peek_error() != 0)
                    fail_msg("allocation %ld at %s:%d, %s: %s is left", nth, place.file, place.line,
                             ok ? "good" : fault.message, ERR_error_string(ERR_peek_error(), NULL));
                if (failed == 0)
                    break;
            }
    print_message("%ld failures, %ld times said\n", failures, said);
    assert_in_range(said, 1, failures);
    assert_true(work(arg, &fault));
}

struct token_work {
    struct verifier *verifier;
    const char *token;
};

static bool verify_token(void *arg, struct fault *fault)
{
    const struct token_work *work = arg;
    struct identity *identity = NULL;

    if (!verifier_check(work->verifier, span_of(work->token), NULL, NOW, &identity, fault))
        return false;
    assert_string_equal(identity->subject, "alice");
    assert_int_equal(identity->role_count, 2);
    identity_unref(identity);
    return true;
}

/* The loops' way: they keep what OpenSSL prepared for a key. */
static bool verify_token_on_a_loop(void *arg, struct fault *fault)
{
    const struct token_work *work = arg;
    struct token_cache *cache = token_cache_new(16);
    struct identity *identity = NULL;
    bool ok = token_cache_check(cache, work->verifier, span_of(work->token), NULL, NOW, &identity, fault);

    if (ok)
        assert_string_equal(identity->subject, "alice");
    identity_unref(identity);
    token_cache_free(cache);
    return ok;
}

static void a_token_of_every_algorithm(void **state)
{
    for (unsigned a = 0; a < ALG_COUNT; a++) {
        own(freep) char *token =
            test_good_token(keys[a], (enum jwt_algorithm)a, "k1", ",\"roles\":[\"TAIPY_READER\",\"TAIPY_EDITOR\"]");
        struct token_work work = {test_verifier_of(keys[a], (enum jwt_algorithm)a, "k1", test_options()), token};
        in_turn(verify_token, &work, FAULT_UNAUTHENTICATED);
        in_turn(verify_token_on_a_loop, &work, FAULT_UNAUTHENTICATED);
        verifier_unref(work.verifier);
    }
}

/* A forged token is refused whatever else fails. */
static void a_forged_token(void **state)
{
    EVP_PKEY *other = test_key(ALG_ES256);
    own(freep) char *token = test_good_token(other, ALG_ES256, "k1", NULL);
    struct verifier *verifier = test_verifier_of(keys[ALG_ES256], ALG_ES256, "k1", test_options());

    for (whose = OPENSSL; whose <= JANSSON; whose++)
        for (long nth = 1; nth <= NTH_MAX; nth++) {
            struct identity *identity = NULL;
            struct fault fault = {0};
            allocation_arm(nth, false);
            bool ok = verifier_check(verifier, span_of(token), NULL, NOW, &identity, &fault);
            long failed = allocation_disarm();
            assert_false(ok);
            assert_true(fault.kind == FAULT_UNAUTHENTICATED || (failed > 0 && fault.kind == FAULT_UNAVAILABLE));
            if (failed == 0)
                break;
        }
    verifier_unref(verifier);
    EVP_PKEY_free(other);
}

/* The same on a loop, by arithmetic of our own where there is any. */
static void a_forged_token_on_a_loop(void **state)
{
    EVP_PKEY *other = test_key(ALG_RS256);
    own(freep) char *token = test_good_token(other, ALG_RS256, "k1", NULL);
    struct token_work work = {test_verifier_of(keys[ALG_RS256], ALG_RS256, "k1", test_options()), token};

    whose = OPENSSL;
    for (int stays = 0; stays <= 1; stays++)
        for (long nth = 1; nth <= NTH_MAX; nth++) {
            struct fault fault = {0};
            allocation_arm(nth, stays);
            bool ok = verify_token_on_a_loop(&work, &fault);
            long failed = allocation_disarm();
            assert_false(ok);
            assert_true(fault.kind == FAULT_UNAUTHENTICATED || (failed > 0 && fault.kind == FAULT_UNAVAILABLE));
            if (failed == 0)
                break;
        }
    verifier_unref(work.verifier);
    EVP_PKEY_free(other);
}

static bool says(const struct key *key, struct span input, const uint8_t *signature, size_t len)
{
    struct key_bench bench = {0};
    uint8_t sha256[32];
    size_t digest_len;

    assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, input.data, input.len, sha256, &digest_len), 1);
    bool ok = key_bench_verify(&bench, key, sha256, input, (struct span){(const char *)signature, len}, NULL);
    key_bench_clear(&bench);
    return ok;
}

/* A key that memory was short for is not taken, or judges as any other: half prepared it would be OpenSSL's. */
static void a_key_made_in_need(void **state)
{
    uint8_t signature[1024];
    size_t len = test_sign(keys[ALG_RS256], ALG_RS256, SPAN("a.b"), signature);
    unsigned left_to_openssl = 0;

    whose = OPENSSL;
    for (int stays = 0; stays <= 1; stays++)
        for (long nth = 1; nth <= NTH_MAX; nth++) {
            struct key key = {0};
            struct fault fault = {0};
            allocation_arm(nth, stays);
            bool ok = key_init(&key, keys[ALG_RS256], ALG_RS256, NULL, &fault);
            long failed = allocation_disarm();
            assert_true(ok || (failed > 0 && (fault.kind == FAULT_UNAVAILABLE || fault.kind == FAULT_INTERNAL)));
            assert_true(ERR_peek_error() == 0);
            if (ok) {
                left_to_openssl += !key.rsa;
                assert_true(says(&key, SPAN("a.b"), signature, len));
                assert_false(says(&key, SPAN("a.c"), signature, len));
                signature[7] ^= 1;
                assert_false(says(&key, SPAN("a.b"), signature, len));
                signature[7] ^= 1;
            }
            key_done(&key);
            if (failed == 0)
                break;
        }
    assert_true(left_to_openssl > 0);
}

static char *key_set_json(void)
{
    own(freep) char *rsa = rsa_jwk(keys[ALG_RS256], ",\"kid\":\"r\",\"alg\":\"RS256\"");
    own(freep) char *ec = ec_jwk(keys[ALG_ES384], "P-384", 48, ",\"kid\":\"e\"");

    return xprintf("%s,%s", rsa, ec);
}

static bool read_issuer(void *arg, struct fault *fault)
{
    struct verifier *verifier = NULL;

    if (!verifier_new(arg, 1, &verifier, fault))
        return false;
    verifier_unref(verifier);
    return true;
}

static void key_files(void **state)
{
    own(freep) char *json = key_set_json();
    struct issuer_options options = jwks_options(json);

    in_turn(read_issuer, &options, FAULT_INVALID);
    own(freep) char *pem = test_pem(keys[ALG_RS256], false);
    own(freep) char *path = test_file("key.pem", pem, strlen(pem), 0600);
    options.jwks_file = NULL;
    options.pem_file = path;
    options.algorithm = "RS256";
    in_turn(read_issuer, &options, FAULT_INVALID);
}

static void nothing_is_skipped(void *arg, const char *name, const char *why)
{
    allocation_disarm();
    fail_msg("%s is left out: %s", name, why);
}

/* All of it or nothing: a key that memory was short for is not left out. */
static bool read_published(void *arg, struct fault *fault)
{
    static const struct key_rules rules = {.allowed = ~(algorithm_set)0};
    own(key_set_done) struct key_set set = {0};

    if (!published_keys_read(span_of(arg), &rules, nothing_is_skipped, NULL, &set, fault))
        return false;
    assert_int_equal(set.count, 2);
    return true;
}

static void published_keys(void **state)
{
    own(freep) char *keys_json = key_set_json();
    own(freep) char *json = xprintf("{\"keys\":[%s]}", keys_json);

    in_turn(read_published, json, FAULT_INVALID);
}

static bool read_body(void *arg, struct fault *fault)
{
    json_t *value = NULL;

    if (!json_read(span_of(arg), "The body", &value, fault))
        return false;
    assert_int_equal(json_array_size(json_object_get(value, "list")), 4);
    json_decref(value);
    return true;
}

static void a_body(void **state)
{
    char body[] = "{\"text\":\"\\u00fc and more\",\"list\":[1,2.5,true,{\"a\":null}],\"deep\":{\"er\":[[[\"x\"]]]}}";

    in_turn(read_body, body, FAULT_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_of_every_algorithm),
        cmocka_unit_test(a_forged_token),
        cmocka_unit_test(a_forged_token_on_a_loop),
        cmocka_unit_test(a_key_made_in_need),
        cmocka_unit_test(key_files),
        cmocka_unit_test(published_keys),
        cmocka_unit_test(a_body),
    };

    if (!CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free))
        return 1; /* too late: something has used it already */
    json_set_alloc_funcs(jansson_malloc, free);
    return cmocka_run_group_tests_name("auth_memory", tests, make, unmake);
}
