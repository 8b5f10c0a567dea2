/* Issuers whose keys are fetched: before there are any, with those that were kept on disk, and while nobody answers. */
#include <poll.h>
#include <sys/eventfd.h>

#include "auth/key_shelf.h"
#include "auth/keyring.h"
#include "auth/verifier.h"
#include "bailiff/clock.h"
#include "unit/auth_tokens.h"

#define NOWHERE "https://127.0.0.1:1/keys" /* nobody listens on port 1 */

static struct issuer_options fetched_options(void)
{
    struct issuer_options o = test_options();

    o.fetch.jwks_uri = NOWHERE;
    return o;
}

static struct keyring *keyring_of(const char *folder)
{
    const struct keyring_options options = {.folder = folder};
    struct keyring *k = NULL;
    struct fault fault = {0};

    if (!keyring_new(&options, &k, &fault))
        fail_msg("%s", fault.message);
    return k;
}

static char *jwks_of(EVP_PKEY *pkey, const char *kid)
{
    uint8_t x[32], y[32];
    BIGNUM *bx = NULL, *by = NULL;
    struct text json = {0};

    assert_int_equal(EVP_PKEY_get_bn_param(pkey, "qx", &bx), 1);
    assert_int_equal(EVP_PKEY_get_bn_param(pkey, "qy", &by), 1);
    assert_int_equal(BN_bn2binpad(bx, x, 32), 32);
    assert_int_equal(BN_bn2binpad(by, y, 32), 32);
    BN_free(bx);
    BN_free(by);
    text_printf(&json, "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"%s\",\"x\":\"", kid);
    base64url_encode(x, 32, &json);
    text_append_str(&json, "\",\"y\":\"");
    base64url_encode(y, 32, &json);
    text_append_str(&json, "\"}]}");
    return text_take(&json);
}

/* Puts keys on the shelf, as an earlier run would have. */
static void shelve(const char *folder, const struct issuer_options *o, EVP_PKEY *pkey, const char *kid, int64_t age_s)
{
    struct issuer *issuer = NULL;
    struct key_bundle *none = NULL;
    struct fault fault = {0};
    struct shelved shelved = {.fetched_at_ms = clock_wall_ms() - age_s * 1000};
    own(freep) char *json = jwks_of(pkey, kid);

    assert_true(issuer_new(o, &issuer, &none, &fault));
    assert_null(none);
    text_append_str(&shelved.document, json);
    assert_true(key_shelf_put(folder, issuer, &shelved, &fault));
    text_done(&shelved.document);
    issuer_unref(issuer);
}

static char *fresh_token(EVP_PKEY *pkey, const char *kid)
{
    long long now = clock_wall_ms() / 1000;
    own(freep) char *header = xprintf("{\"alg\":\"ES256\",\"kid\":\"%s\"}", kid);
    own(freep) char *claims =
        xprintf("{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"sub\":\"alice\",\"iat\":%lld,\"exp\":%lld}", now,
                now + 600);

    return test_token(pkey, ALG_ES256, header, claims);
}

static bool good(const struct verifier *v, const char *token, const char *reason)
{
    struct identity *identity = NULL;
    struct fault fault = {0};
    bool ok = verifier_check(v, span_of(token), NULL, clock_wall_ms() / 1000, &identity, &fault);

    identity_unref(identity);
    if (!ok)
        assert_string_equal(fault.detail, reason);
    return ok;
}

static void without_keys_tokens_are_refused(void **state)
{
    const struct issuer_options o = fetched_options();
    struct verifier *v = test_verifier(&o);
    EVP_PKEY *pkey = test_key(ALG_ES256);
    own(freep) char *token = test_good_token(pkey, ALG_ES256, "k1", NULL);

    test_refuse(v, token, "no keys");
    assert_string_equal(verifier_missing_key(v, span_of(token), NOW), ISSUER);
    assert_null(verifier_missing_key(v, span_of(token), NOW + 86400)); /* expired: worth no fetch */
    assert_null(verifier_missing_key(v, span_of("nonsense"), NOW));
    EVP_PKEY_free(pkey);
    verifier_unref(v);
}

static void kept_keys_are_used(void **state)
{
    own(freep) char *folder = test_path("shelf");
    const struct issuer_options o = fetched_options();
    EVP_PKEY *pkey = test_key(ALG_ES256), *other = test_key(ALG_ES256);
    own(freep) char *token = fresh_token(pkey, "k1"), *forged = fresh_token(other, "k1"),
                    *unknown = fresh_token(other, "k2");
    struct verifier *bare = test_verifier(&o);
    struct keyring *k = keyring_of(folder);
    int64_t now_s = clock_wall_ms() / 1000;

    shelve(folder, &o, pkey, "k1", 3600);
    struct verifier *v = keyring_equip(k, bare);
    assert_false(good(bare, token, "no keys")); /* snapshots do not change */
    assert_true(good(v, token, NULL));
    assert_false(good(v, forged, "bad signature"));
    assert_false(good(v, unknown, "unknown key"));
    assert_null(verifier_missing_key(v, span_of(forged), now_s));
    assert_string_equal(verifier_missing_key(v, span_of(unknown), now_s), ISSUER);

    struct verifier *again = keyring_equip(k, v); /* nothing changed */
    assert_true(good(again, token, NULL));
    verifier_unref(again);
    verifier_unref(v);
    verifier_unref(bare);
    keyring_free(k);
    EVP_PKEY_free(pkey);
    EVP_PKEY_free(other);
}

static void kept_keys_have_a_bound(void **state)
{
    own(freep) char *folder = test_path("old");
    struct issuer_options o = fetched_options();
    EVP_PKEY *pkey = test_key(ALG_ES256);
    own(freep) char *token = fresh_token(pkey, "k1");
    struct verifier *bare = test_verifier(&o);
    struct keyring *k = keyring_of(folder);
    struct token_cache *cache = token_cache_new(8);
    struct identity *identity = NULL;
    struct fault fault = {0};
    int64_t now_s = clock_wall_ms() / 1000;

    shelve(folder, &o, pkey, "k1", 86400 - 300); /* five minutes are left */
    struct verifier *v = keyring_equip(k, bare);
    assert_true(token_cache_check(cache, v, span_of(token), NULL, now_s, &identity, &fault));
    identity_unref(identity);
    assert_false(token_cache_check(cache, v, span_of(token), NULL, now_s + 301, &identity, &fault)); /* from memory */
    assert_string_equal(fault.detail, "stale keys");
    fault = (struct fault){0};
    assert_false(token_cache_check(cache, v, span_of(token), NULL, now_s + 301, &identity, &fault)); /* verified */
    assert_string_equal(fault.detail, "stale keys");
    assert_string_equal(verifier_missing_key(v, span_of(token), now_s + 301), ISSUER);
    token_cache_free(cache);
    verifier_unref(v);
    verifier_unref(bare);
    keyring_free(k);
    EVP_PKEY_free(pkey);
}

static void keys_of_another_address_or_issuer_are_not_used(void **state)
{
    own(freep) char *folder = test_path("moved");
    struct issuer_options o = fetched_options(), moved = fetched_options();
    EVP_PKEY *pkey = test_key(ALG_ES256);
    own(freep) char *token = fresh_token(pkey, "k1");
    struct keyring *k = keyring_of(folder);

    moved.fetch.jwks_uri = "https://127.0.0.1:1/others";
    shelve(folder, &o, pkey, "k1", 0);
    struct verifier *bare = test_verifier(&moved), *v = keyring_equip(k, bare);
    assert_false(good(v, token, "no keys"));
    verifier_unref(bare);
    verifier_unref(v);

    /* a reload that goes back to the first address, and one that allows other algorithms only */
    bare = test_verifier(&o);
    v = keyring_equip(k, bare);
    assert_false(good(v, token, "no keys")); /* what the keyring knows of the issuer counts, not what lies on disk */
    verifier_unref(bare);
    verifier_unref(v);
    keyring_free(k);
    EVP_PKEY_free(pkey);
}

static void a_reload_judges_keys_anew(void **state)
{
    static const char *const rs[] = {"RS256"};
    own(freep) char *folder = test_path("reload");
    struct issuer_options o = fetched_options(), strict = fetched_options();
    EVP_PKEY *pkey = test_key(ALG_ES256);
    own(freep) char *token = fresh_token(pkey, "k1");
    struct keyring *k = keyring_of(folder);

    strict.algorithms = rs;
    strict.algorithm_count = 1;
    shelve(folder, &o, pkey, "k1", 0);
    struct verifier *bare = test_verifier(&o), *v = keyring_equip(k, bare);
    assert_true(good(v, token, NULL));
    verifier_unref(bare);
    verifier_unref(v);
    bare = test_verifier(&o); /* the same settings, read again */
    v = keyring_equip(k, bare);
    assert_true(good(v, token, NULL));
    verifier_unref(bare);
    verifier_unref(v);
    bare = test_verifier(&strict);
    v = keyring_equip(k, bare);
    assert_false(good(v, token, "no keys"));
    verifier_unref(bare);
    verifier_unref(v);
    keyring_free(k);
    EVP_PKEY_free(pkey);
}

/* ---- waiting ---- */

static void wake(void *fd)
{
    uint64_t one = 1;

    if (write(*(int *)fd, &one, sizeof(one)) < 0)
        abort();
}

static void resumed(void *arg)
{
    *(bool *)arg = true;
}

static void who_waits_is_let_go(void **state)
{
    own(freep) char *folder = test_path("down");
    const struct issuer_options o = fetched_options();
    struct verifier *bare = test_verifier(&o);
    struct keyring *k = keyring_of(folder);
    struct verifier *v = keyring_equip(k, bare);
    struct fault fault = {0};
    int fd = eventfd(0, EFD_CLOEXEC);
    struct inbox *inbox = inbox_new(wake, &fd);
    bool done = false;
    struct ticket *ticket = ticket_new(inbox, resumed, &done);
    struct arena arena = {0};
    struct keyring_status *rows;
    struct pollfd p = {fd, POLLIN, 0};

    assert_false(keyring_ask(k, ISSUER, ticket)); /* nobody fetches */
    assert_true(keyring_start(k, &fault));
    assert_false(keyring_ask(k, "https://nobody.example.com", ticket));
    assert_true(keyring_ask(k, ISSUER, ticket));
    assert_int_equal(poll(&p, 1, 60000), 1);
    inbox_drain(inbox);
    assert_true(done);
    ticket_abandon(ticket);

    assert_int_equal(keyring_list(k, &arena, &rows), 1);
    assert_string_equal(rows[0].issuer, ISSUER);
    assert_int_equal(rows[0].keys, 0);
    assert_non_null(rows[0].problem);
    keyring_stop(k);
    keyring_free(k);
    arena_done(&arena);
    verifier_unref(v);
    verifier_unref(bare);
    inbox_free(inbox);
    close(fd);
}

static void options_are_checked(void **state)
{
    struct issuer_options o;

#define REFUSE(change, words)            \
    do {                                 \
        o = fetched_options();           \
        change;                          \
        test_refuses_options(&o, words); \
    } while (0)
    static const char *const hs[] = {"HS256"};
    REFUSE(o.fetch.jwks_uri = "http://idp.example.com/keys", "jwks_uri|https://");
    REFUSE(o.fetch.jwks_uri = "https://a@idp.example.com/keys", "jwks_uri");
    REFUSE(o.fetch.discovery_url = "https://idp.example.com/", "exactly one of");
    REFUSE(o.jwks_file = "x", "exactly one of");
    REFUSE(o.fetch.proxy = "socks5://x", "proxy");
    REFUSE(o.fetch.proxy = "http://user:password@proxy:3128", "proxy");
    REFUSE(o.fetch.refresh_max_s = 86401, "keys_refresh_max");
    REFUSE((o.fetch.refresh_max_s = 60, o.fetch.stale_max_s = 60), "keys_stale_max|longer");
    REFUSE((o.algorithms = hs, o.algorithm_count = 1), "public");
    REFUSE(o.key_id = "k1", "key_id");
#undef REFUSE
}

static void claims_can_be_demanded(void **state)
{
    static const struct claim_rule rules[] = {{"/tid", "tenant"}, {"/a/b", "c"}};
    struct issuer_options o = test_options();
    EVP_PKEY *pkey = test_key(ALG_ES256);

    o.require_claims = rules;
    o.require_claim_count = 2;
    struct verifier *v = test_verifier_of(pkey, ALG_ES256, "k1", o);
    static const char *const bad[] = {"",
                                      ",\"tid\":\"tenant\"",
                                      ",\"tid\":\"tenant\",\"a\":{\"b\":\"C\"}",
                                      ",\"tid\":\"tenants\",\"a\":{\"b\":\"c\"}",
                                      ",\"tid\":[\"tenant\"],\"a\":{\"b\":\"c\"}",
                                      ",\"tid\":null,\"a\":{\"b\":\"c\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        own(freep) char *token = test_good_token(pkey, ALG_ES256, "k1", bad[i]);
        test_refuse(v, token, "claim rule");
    }
    own(freep) char *token = test_good_token(pkey, ALG_ES256, "k1", ",\"tid\":\"tenant\",\"a\":{\"b\":\"c\"}");
    identity_unref(test_accept(v, token));
    verifier_unref(v);
    EVP_PKEY_free(pkey);
}

/* A fetch that has ended, with these keys or none; how long until the next one. */
static int64_t next_fetch_after(struct keyring *k, struct provider *p, const char *keys, int64_t max_age_s)
{
    struct fetched fetched = {.ok = keys != NULL, .max_age_s = max_age_s};
    int64_t now_ms = clock_mono_ms();

    if (keys)
        text_append_str(&fetched.body, keys);
    else
        fault_unavailable(&fetched.fault, 0, "the answer is 500");
    (void)provider_take(k, p, &fetched, now_ms);
    fetched_done(&fetched);
    return provider_due_ms(p) - now_ms;
}

static void keys_are_fetched_again_as_cache_control_says(void **state)
{
    static const struct {
        int64_t max_age_s;
        int64_t wait_s;
    } cases[] = {{-1, 600},    {0, 60},      {1, 60},       {60, 60},          {120, 120},
                 {3000, 3000}, {3600, 3600}, {86400, 3600}, {UINT32_MAX, 3600}};
    EVP_PKEY *pkey = test_key(ALG_ES256);
    own(freep) char *keys = jwks_of(pkey, "k1"), *folder = xprintf("%s/fetched", test_folder);
    struct keyring *k = keyring_of(folder);
    struct issuer_options o = fetched_options();
    struct key_bundle *none = NULL;
    struct issuer *issuer = NULL;
    struct fault fault = {0};

    assert_true(issuer_new(&o, &issuer, &none, &fault));
    struct provider *p = provider_new(k, issuer);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t wait_ms = next_fetch_after(k, p, keys, cases[i].max_age_s);
        if (wait_ms > cases[i].wait_s * 1000 || wait_ms < cases[i].wait_s * 950)
            fail_msg("max-age %lld: %lld ms", (long long)cases[i].max_age_s, (long long)wait_ms);
        assert_string_equal(p->problem, "");
        assert_int_equal(p->keys->set.count, 1);
    }
    /* A provider that fails is asked again soon, then less and less often; its keys stay. */
    for (unsigned i = 0; i < 20; i++) {
        int64_t most_ms = MIN(INT64_C(1000) << i, (int64_t)BACK_OFF_MAX_MS), wait_ms = next_fetch_after(k, p, NULL, -1);
        assert_true(wait_ms <= most_ms && wait_ms >= most_ms / 2);
        assert_string_equal(p->problem, "the answer is 500");
        assert_int_equal(p->keys->set.count, 1);
    }
    assert_true(next_fetch_after(k, p, keys, 60) >= 57000); /* and is believed again */
    assert_string_equal(p->problem, "");
    provider_free(p);
    issuer_unref(issuer);
    keyring_free(k);
    EVP_PKEY_free(pkey);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_fetched_again_as_cache_control_says),
        cmocka_unit_test(without_keys_tokens_are_refused),
        cmocka_unit_test(kept_keys_are_used),
        cmocka_unit_test(kept_keys_have_a_bound),
        cmocka_unit_test(keys_of_another_address_or_issuer_are_not_used),
        cmocka_unit_test(a_reload_judges_keys_anew),
        cmocka_unit_test(who_waits_is_let_go),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(claims_can_be_demanded),
    };

    return cmocka_run_group_tests(tests, test_folder_make, test_folder_remove);
}
