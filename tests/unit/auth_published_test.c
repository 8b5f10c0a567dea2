/* What providers publish: metadata and key sets from outside. */
#include "auth/published.h"
#include "unit/auth_jwks.h"

static void metadata_fails(const char *json, const char *words)
{
    struct fault fault = {0};
    char *uri = (char *)0x1;

    if (metadata_read(span_of(json), ISSUER, &uri, &fault))
        fail_msg("accepted: %s", json);
    assert_ptr_equal(uri, (char *)0x1);
    if (!strstr(fault.message, words))
        fail_msg("\"%s\" does not hold \"%s\"", fault.message, words);
}

static void metadata_names_exactly_this_issuer(void **state)
{
    struct fault fault = {0};
    char *uri = NULL;

    assert_true(metadata_read(span_of("{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://idp.example.com/keys?x=1\"}"),
                              ISSUER, &uri, &fault));
    assert_string_equal(uri, "https://idp.example.com/keys?x=1");
    free(uri);
    metadata_fails("{\"issuer\":\"" ISSUER "/\",\"jwks_uri\":\"https://idp.example.com/keys\"}", "another issuer");
    metadata_fails("{\"issuer\":[\"" ISSUER "\"],\"jwks_uri\":\"https://idp.example.com/keys\"}", "none is named");
    metadata_fails("{\"jwks_uri\":\"https://idp.example.com/keys\"}", "none is named");
    metadata_fails("[]", "none is named");
    metadata_fails("{\"issuer\":\"x\",\"issuer\":\"" ISSUER "\"}", "the metadata");
    metadata_fails("<html>", "the metadata");
    metadata_fails("", "the metadata");
}

static void metadata_leads_nowhere_unsafe(void **state)
{
    static const char *const uris[] = {"\"http://idp.example.com/keys\"",
                                       "\"file:///etc/passwd\"",
                                       "\"https://\"",
                                       "\"https:///keys\"",
                                       "\"https://user@idp.example.com/keys\"",
                                       "\"https://idp.example.com/keys#x\"",
                                       "\"https://idp.example.com/ke ys\"",
                                       "\"HTTPS://idp.example.com/keys\"",
                                       "\"\"",
                                       "7",
                                       "null"};

    for (size_t i = 0; i < ARRAY_LEN(uris); i++) {
        own(freep) char *json = xprintf("{\"issuer\":\"" ISSUER "\",\"jwks_uri\":%s}", uris[i]);
        metadata_fails(json, "jwks_uri");
    }
}

/* ---- keys ---- */

struct seen {
    struct text text;
    unsigned count;
};

static void note_skipped(void *arg, const char *key, const char *why)
{
    struct seen *seen = arg;

    text_printf(&seen->text, "%s|%s\n", key, why);
    seen->count++;
}

static const struct key_rules ANY = {.allowed = ALGORITHMS_ALL};

#define GOOD_X \
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define GOOD(kid) "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"" kid "\"," GOOD_X "}"

static void keys_that_cannot_be_used_are_left_out(void **state)
{
    static const char json[] = "{\"keys\":[" GOOD("one") ",\"no key\"," GOOD(
        "one") ","
               "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"enc\",\"use\":\"enc\"," GOOD_X "},"
               "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"private\",\"d\":\"AA\"," GOOD_X "},"
               "{\"kty\":\"EC\",\"crv\":\"P-384\",\"kid\":\"curve\"," GOOD_X "},"
               "{\"kty\":\"oct\",\"kid\":\"secret\",\"alg\":\"HS256\",\"k\":\"AAAA\"},"
               "{\"kty\":\"RSA\",\"kid\":\"weak\",\"alg\":\"RS256\",\"e\":\"AQAB\",\"n\":\"wwwwwwww\"},"
               "{\"kid\":\"untyped\"},{\"kty\":\"new\",\"kid\":\"new\"}," GOOD("two") "]}";
    static const char *const skipped[] = {"key 2|",       "kid one)|",  "kid enc)|",     "kid private)|", "kid curve)|",
                                          "kid secret)|", "kid weak)|", "kid untyped)|", "kid new)|"};
    struct seen seen = {0};
    struct key_set keys = {0};
    struct fault fault = {0};

    assert_true(published_keys_read(span_of(json), &ANY, note_skipped, &seen, &keys, &fault));
    assert_int_equal(keys.count, 2);
    assert_string_equal(keys.items[0].id, "one");
    assert_string_equal(keys.items[1].id, "two");
    assert_int_equal(seen.count, ARRAY_LEN(skipped));
    for (size_t i = 0; i < ARRAY_LEN(skipped); i++)
        if (!strstr(seen.text.data, skipped[i]))
            fail_msg("\"%s\" is not in \"%s\"", skipped[i], seen.text.data);
    key_set_done(&keys);
    text_done(&seen.text);
}

static void a_set_without_a_usable_key_is_refused(void **state)
{
    static const char *const sets[] = {
        "{\"keys\":[]}", "{\"keys\":{}}", "[]", "{}", "", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}"};

    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        struct seen seen = {0};
        struct key_set keys = {0};
        struct fault fault = {0};

        assert_false(published_keys_read(span_of(sets[i]), &ANY, note_skipped, &seen, &keys, &fault));
        assert_int_equal(fault.kind, FAULT_INVALID);
        assert_int_equal(keys.count, 0);
        text_done(&seen.text);
    }
}

/* ---- what a set may cost ---- */

/* RSA keys of one modulus; an even one is wrong. */
static void add_keys(struct text *keys, EVP_PKEY *rsa, unsigned count, const char *kid, const char *more, bool wrong)
{
    for (unsigned i = 0; i < count; i++) {
        own(freep) char *members =
            xprintf(",\"alg\":\"RS256\",\"kid\":\"%s%u\"%s", kid, str_eq(kid, "same") ? 0 : i, more);
        own(freep) char *jwk = rsa_jwk(rsa, members);
        if (wrong) {
            char *end = strchr(strstr(jwk, "\"n\":\"") + 5, '"') - 1;
            end[-1] = end[0] = 'A';
        }
        text_printf(keys, "%s%s", keys->len > 0 ? "," : "", jwk);
    }
}

/* How many are taken; `seen` says which are not. */
static size_t take_set(struct text *keys, struct seen *seen)
{
    own(freep) char *json = xprintf("{\"keys\":[%s]}", keys->data);
    own(key_set_done) struct key_set set = {0};
    struct fault fault = {0};

    text_done(keys);
    text_done(&seen->text);
    seen->count = 0;
    if (!published_keys_read(span_of(json), &ANY, note_skipped, seen, &set, &fault))
        assert_int_equal(fault.kind, FAULT_INVALID);
    return set.count;
}

static unsigned count_words(const struct seen *seen, const char *words)
{
    unsigned count = 0;

    for (const char *at = seen->text.data; at && (at = strstr(at, words)); at += strlen(words))
        count++;
    return count;
}

static void a_set_costs_no_more_than_is_honest(void **state)
{
    EVP_PKEY *usual = EVP_RSA_gen(2048), *large = EVP_RSA_gen(4096);
    struct text keys = {0};
    struct seen seen = {0};

    add_keys(&keys, usual, 100, "usual", "", false);
    assert_int_equal(take_set(&keys, &seen), 100);
    assert_int_equal(seen.count, 0);

    /* those for other uses are not checked and cost nothing */
    add_keys(&keys, large, 40, "enc", ",\"use\":\"enc\"", false);
    add_keys(&keys, large, 12, "sig", ",\"use\":\"sig\"", false);
    assert_int_equal(take_set(&keys, &seen), 12);
    assert_int_equal(count_words(&seen, "too long"), 0);

    add_keys(&keys, large, 26, "large", "", false);
    add_keys(&keys, usual, 1, "usual", "", false);
    text_append_str(&keys, "," GOOD("ec"));
    assert_int_equal(take_set(&keys, &seen), 26);
    assert_int_equal(seen.count, 2);
    assert_int_equal(count_words(&seen, "too long"), 2);
    assert_int_equal(count_words(&seen, "kid large25"), 2); /* its name, and in the reason */

    /* one that is there again is looked at once, one that is wrong twice */
    add_keys(&keys, large, 25, "same", "", false);
    assert_int_equal(take_set(&keys, &seen), 1);
    assert_int_equal(count_words(&seen, "the same kid"), 24);
    add_keys(&keys, large, 12, "wrong", "", true);
    add_keys(&keys, large, 2, "right", "", false);
    assert_int_equal(take_set(&keys, &seen), 1);
    assert_int_equal(count_words(&seen, "too long"), 1);

    text_done(&seen.text);
    EVP_PKEY_free(usual);
    EVP_PKEY_free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata_names_exactly_this_issuer),
        cmocka_unit_test(metadata_leads_nowhere_unsafe),
        cmocka_unit_test(keys_that_cannot_be_used_are_left_out),
        cmocka_unit_test(a_set_without_a_usable_key_is_refused),
        cmocka_unit_test(a_set_costs_no_more_than_is_honest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
