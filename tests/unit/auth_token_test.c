/* The form of a token: every way to be malformed, every header member that is refused, and how a key is found. */
#include "unit/auth_tokens.h"

static EVP_PKEY *mac;
static struct verifier *verifier;

#define CLAIMS "{\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"sub\":\"alice\",\"exp\":1767323145}"
#define GOOD_HEADER "{\"alg\":\"HS256\",\"kid\":\"k1\"}"

static int make(void **state)
{
    if (test_folder_make(state) != 0)
        return -1;
    mac = test_key(ALG_HS256);
    verifier = test_verifier_of(mac, ALG_HS256, "k1", test_options());
    return 0;
}

static int unmake(void **state)
{
    verifier_unref(verifier);
    EVP_PKEY_free(mac);
    return test_folder_remove(state);
}

static void refuse_parts(struct span header, struct span claims, const char *reason)
{
    own(freep) char *token = test_token_bytes(mac, ALG_HS256, header, claims);

    test_refuse(verifier, token, reason);
}

static void good_token_is_an_identity(void **state)
{
    own(freep) char *token =
        test_good_token(mac, ALG_HS256, "k1", ",\"jti\":\"t-1\",\"azp\":\"portal\",\"roles\":[\"TAIPY_READER\"]");
    struct identity *i = test_accept(verifier, token);

    assert_string_equal(i->issuer, ISSUER);
    assert_string_equal(i->subject, "alice");
    assert_string_equal(i->token_id, "t-1");
    assert_string_equal(i->client, "portal");
    assert_int_equal(i->issued_at_s, NOW - 60);
    assert_int_equal(i->expires_at_s, NOW + 600);
    assert_int_equal(i->role_count, 1);
    assert_string_equal(i->roles[0], "TAIPY_READER");
    assert_int_equal(i->references, 1);
    identity_unref(i);
}

static void what_may_be_absent_is_null(void **state)
{
    own(freep) char *token = test_token(mac, ALG_HS256, GOOD_HEADER, CLAIMS);
    struct identity *i = test_accept(verifier, token);

    assert_null(i->token_id);
    assert_null(i->client);
    assert_int_equal(i->issued_at_s, 0);
    assert_int_equal(i->role_count, 0);
    identity_unref(i);
}

static void anything_around_or_between_is_refused(void **state)
{
    own(freep) char *token = test_token(mac, ALG_HS256, GOOD_HEADER, CLAIMS);
    static const char *const formats[] = {" %s",   "%s ",    "%s\n",           "\t%s", "%s.",
                                          ".%s",   "%s.e30", "%s.e30.e30",     "%s=",  "Bearer %s",
                                          "%s,%s", "\"%s\"", "%s\xe2\x80\x8b", "%s;",  "%s%%20"};

    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        own(freep) char *odd = xprintf(formats[i], token, token);
#pragma GCC diagnostic pop
        test_refuse(verifier, odd, "malformed token");
    }
    test_refuse_span(verifier, (struct span){token, strlen(token) + 1}, "malformed token"); /* a NUL behind it */
    test_refuse_span(verifier, (struct span){NULL, 0}, "malformed token");
    static const char *const shapes[] = {"",        ".",         "..",   "...", "a",   "a.b",
                                         "a.b.c.d", "a.b.c.d.e", "....", "{}",  "null"};
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
        test_refuse(verifier, shapes[i], "malformed token");
}

static void every_cut_of_a_token_is_refused(void **state)
{
    own(freep) char *token = test_token(mac, ALG_HS256, GOOD_HEADER, CLAIMS);
    struct identity *identity = NULL;

    for (size_t len = 0; len < strlen(token); len++)
        assert_false(verifier_check(verifier, (struct span){token, len}, NULL, NOW, &identity, NULL));
    for (size_t from = 1; from < strlen(token); from++)
        assert_false(verifier_check(verifier, span_of(token + from), NULL, NOW, &identity, NULL));
}

static void base64url_has_one_spelling(void **state)
{
    own(freep) char *token = test_token(mac, ALG_HS256, GOOD_HEADER, CLAIMS);
    size_t last = strlen(token) - 1; /* 32 bytes: the last character has two unused bits */
    struct identity *identity = NULL;
    unsigned accepted = 0;

    for (int c = 1; c < 256; c++) {
        own(freep) char *odd = xstrdup(token);
        odd[last] = (char)c;
        if (verifier_check(verifier, span_of(odd), NULL, NOW, &identity, NULL)) {
            accepted++;
            assert_int_equal(odd[last], token[last]);
            identity_unref(identity);
        }
    }
    assert_int_equal(accepted, 1);
    own(freep) char *plus = xstrdup(token), *slash = xstrdup(token), *padded = xprintf("%s=", token);
    plus[last - 5] = '+';
    slash[last - 5] = '/';
    test_refuse(verifier, plus, "malformed token");
    test_refuse(verifier, slash, "malformed token");
    test_refuse(verifier, padded, "malformed token");
}

static void size_is_limited(void **state)
{
    own(freep) char *filler = xmalloc(65537);

    memset(filler, 'x', 65536);
    filler[65536] = '\0';
    own(freep) char *fits = xprintf(",\"filler\":\"%.*s\"", 11900, filler);
    own(freep) char *huge = xprintf(",\"filler\":\"%.*s\"", 49152, filler);
    own(freep) char *token = test_good_token(mac, ALG_HS256, "k1", fits);
    own(freep) char *too_large = test_good_token(mac, ALG_HS256, "k1", huge);
    assert_true(strlen(token) <= TOKEN_SIZE_MAX && strlen(token) > TOKEN_SIZE_MAX - 500);
    identity_unref(test_accept(verifier, token));
    test_refuse(verifier, too_large, "token too large");
    test_refuse_span(verifier, (struct span){filler, TOKEN_SIZE_MAX + 1}, "token too large");
    test_refuse_span(verifier, (struct span){filler, TOKEN_SIZE_MAX}, "malformed token");
    own(freep) char *header = xprintf("{\"alg\":\"HS256\",\"kid\":\"k1\",\"x\":\"%.*s\"}", 5000, filler);
    refuse_parts(span_of(header), SPAN(CLAIMS), "malformed token");
}

static void header_must_be_a_strict_json_object(void **state)
{
    static const char *const headers[] = {
        "",
        "null",
        "[]",
        "\"HS256\"",
        "{}",
        "{\"alg\":\"HS256\"",
        "{\"alg\":\"HS256\"}}",
        "{\"alg\":\"HS256\"} {}",
        "{\"alg\":\"HS256\",}",
        "{'alg':'HS256'}",
        "{\"alg\":\"HS256\",\"alg\":\"HS256\"}",
        "{\"alg\":\"none\",\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}",
        "{\"alg\":256}",
        "{\"alg\":null}",
        "{\"alg\":[\"HS256\"]}",
        "{\"alg\":\"\"}",
        "{\"alg\":\"HS256\",\"kid\":1}",
        "{\"alg\":\"HS256\",\"kid\":\"\"}",
        "{\"alg\":\"HS256\",\"kid\":null}",
        "{\"alg\":\"HS256\",\"kid\":\"a\\nb\"}",
        "{\"alg\":\"HS256\",\"kid\":\"k1\\u0000\"}",
        "{\"alg\":\"HS256\",\"kid\":\"k1\",\"typ\":7}",
        "{\"alg\":\"HS256\",\"kid\":\"\xff\"}",
        "{\"alg\":\"HS256\",\"kid\":\"\xed\xa0\x80\"}",
        "{\"alg\":\"HS256\",\"kid\":\"\\ud800\"}",
        "\xef\xbb\xbf{\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"n\":1e999}",
        "{\"alg\":\"HS256\",\"n\":NaN}",
    };

    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        refuse_parts(span_of(headers[i]), SPAN(CLAIMS), "malformed header");
    refuse_parts((struct span){"{\"alg\":\"HS256\"}\0", 16}, SPAN(CLAIMS), "malformed header");
    own(freep) char *long_kid = xmalloc(301);
    memset(long_kid, 'k', 300);
    long_kid[300] = '\0';
    own(freep) char *header = xprintf("{\"alg\":\"HS256\",\"kid\":\"%s\"}", long_kid);
    refuse_parts(span_of(header), SPAN(CLAIMS), "malformed header");
    struct text deep = {0};
    text_append_str(&deep, "{\"alg\":\"HS256\",\"x\":");
    for (int i = 0; i < 1000; i++)
        text_append_char(&deep, '[');
    refuse_parts(text_span(&deep), SPAN(CLAIMS), "malformed header");
    text_done(&deep);
}

static void header_members_that_are_refused(void **state)
{
    static const char *const members[] = {"\"crit\":[]",
                                          "\"crit\":[\"exp\"]",
                                          "\"crit\":null",
                                          "\"jku\":\"https://evil.example.com/jwks.json\"",
                                          "\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}",
                                          "\"x5u\":\"https://evil.example.com/c.pem\"",
                                          "\"x5c\":[]",
                                          "\"b64\":false",
                                          "\"b64\":true",
                                          "\"zip\":\"DEF\"",
                                          "\"cty\":\"JWT\"",
                                          "\"enc\":\"A256GCM\""};

    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        own(freep) char *header = xprintf("{\"alg\":\"HS256\",\"kid\":\"k1\",%s}", members[i]);
        refuse_parts(span_of(header), SPAN(CLAIMS), "unsupported header member");
    }
    /* others say nothing that we act on (RFC 7515 §4: they must be ignored) */
    own(freep) char *token =
        test_token(mac, ALG_HS256, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"x5t\":\"abc\",\"nonce\":\"1\"}", CLAIMS);
    identity_unref(test_accept(verifier, token));
}

static void algorithms_that_do_not_exist_here(void **state)
{
    static const char *const names[] = {"none",   "None",   "NONE", "nOnE",   "none ",   "hs256",       "HS256 ", "HS1",
                                        "ES256K", "RSA1_5", "dir",  "A256KW", "Ed25519", "RS256,HS256", "HS2567"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        own(freep) char *header = xprintf("{\"alg\":\"%s\",\"kid\":\"k1\"}", names[i]);
        refuse_parts(span_of(header), SPAN(CLAIMS), "unsupported algorithm");
    }
    /* as the attack sends it: no signature at all, or a dot only */
    struct text bare = {0};
    base64url_encode((const uint8_t *)"{\"alg\":\"none\"}", 14, &bare);
    text_append_char(&bare, '.');
    base64url_encode((const uint8_t *)CLAIMS, strlen(CLAIMS), &bare);
    test_refuse_span(verifier, text_span(&bare), "malformed token");
    text_append_char(&bare, '.');
    test_refuse_span(verifier, text_span(&bare), "malformed token");
    text_done(&bare);
}

static void claims_must_be_a_strict_json_object(void **state)
{
    static const char *const claims[] = {
        "",
        "null",
        "[]",
        "1",
        "\"alice\"",
        CLAIMS "}",
        CLAIMS "\n{}",
        "{\"iss\":\"" ISSUER "\",\"iss\":\"" ISSUER "\",\"aud\":\"bailiff\",\"sub\":\"alice\",\"exp\":1767323145}",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"bailiff\",\"sub\":\"alice\",\"sub\":\"root\",\"exp\":1767323145}",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"bailiff\",\"sub\":\"alice\",\"exp\":1767323145,\"x\":{\"a\":1,\"a\":2}}",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"bailiff\",\"sub\":\"alice\",\"exp\":1e400}",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"bailiff\",\"sub\":\"alice\",\"exp\":Infinity}",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"bailiff\",\"sub\":\"\xc0\xaf\",\"exp\":1767323145}",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"bailiff\",\"sub\":\"\\udc00\",\"exp\":1767323145}",
        "{\"iss\":\"" ISSUER "\",\"aud\":\"bailiff\",\"sub\":\"alice\\u0000\",\"exp\":1767323145}",
    };

    for (size_t i = 0; i < ARRAY_LEN(claims); i++)
        refuse_parts(SPAN(GOOD_HEADER), span_of(claims[i]), "malformed claims");
    own(freep) char *nested = test_token(mac, ALG_HS256, GOOD_HEADER, CLAIMS);
    refuse_parts(SPAN(GOOD_HEADER), span_of(nested), "malformed claims");
}

static void issuer_is_matched_exactly(void **state)
{
    static const char *const issuers[] = {ISSUER "/", "https://idp.example.com", "HTTPS://idp.example.com/realm",
                                          (" " ISSUER), "x"};

    for (size_t i = 0; i < ARRAY_LEN(issuers); i++) {
        own(freep) char *claims =
            xprintf("{\"iss\":\"%s\",\"aud\":\"bailiff\",\"sub\":\"alice\",\"exp\":1767323145}", issuers[i]);
        refuse_parts(SPAN(GOOD_HEADER), span_of(claims), "unknown issuer");
    }
    refuse_parts(SPAN(GOOD_HEADER), SPAN("{\"aud\":\"bailiff\",\"sub\":\"alice\",\"exp\":1767323145}"),
                 "missing issuer");
    refuse_parts(SPAN(GOOD_HEADER),
                 SPAN("{\"iss\":[\"" ISSUER "\"],\"aud\":\"bailiff\",\"sub\":\"a\",\"exp\":1767323145}"),
                 "missing issuer");
}

static void key_is_found_by_kid(void **state)
{
    own(freep) char *unknown = test_good_token(mac, ALG_HS256, "k2", NULL);
    own(freep) char *prefix = test_good_token(mac, ALG_HS256, "k", NULL);
    own(freep) char *none = test_good_token(mac, ALG_HS256, NULL, NULL);
    own(freep) char *other = test_good_token(mac, ALG_HS512, NULL, NULL);
    struct verifier *any = test_verifier_of(mac, ALG_HS256, NULL, test_options());

    test_refuse(verifier, unknown, "unknown key");
    test_refuse(verifier, prefix, "unknown key");
    identity_unref(test_accept(verifier, none)); /* only one key fits */
    test_refuse(verifier, other, "wrong algorithm");
    identity_unref(test_accept(any, unknown)); /* configured without a kid */
    identity_unref(test_accept(any, none));
    verifier_unref(any);
}

static void issuers_do_not_share_keys(void **state)
{
    EVP_PKEY *a = test_key(ALG_ES256), *b = test_key(ALG_ES256);
    own(freep) char *pem_a = test_pem(a, false), *pem_b = test_pem(b, false);
    own(freep) char *file_a = test_file("a.pem", pem_a, strlen(pem_a), 0644);
    own(freep) char *file_b = test_file("b.pem", pem_b, strlen(pem_b), 0644);
    struct issuer_options options[2] = {test_options(), test_options()};
    struct verifier *v = NULL;
    struct fault fault = {0};

    options[0].pem_file = file_a;
    options[1].pem_file = file_b;
    options[1].issuer = "https://other.example.com";
    assert_true(verifier_new(options, 2, &v, &fault));
    own(freep) char *good = test_good_token(a, ALG_ES256, NULL, NULL);
    own(freep) char *crossed = test_good_token(b, ALG_ES256, NULL, NULL);
    identity_unref(test_accept(v, good));
    test_refuse(v, crossed, "bad signature");
    verifier_unref(verifier_ref(v));
    verifier_unref(v);
    verifier_unref(NULL);
    EVP_PKEY_free(a);
    EVP_PKEY_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_token_is_an_identity),
        cmocka_unit_test(what_may_be_absent_is_null),
        cmocka_unit_test(anything_around_or_between_is_refused),
        cmocka_unit_test(every_cut_of_a_token_is_refused),
        cmocka_unit_test(base64url_has_one_spelling),
        cmocka_unit_test(size_is_limited),
        cmocka_unit_test(header_must_be_a_strict_json_object),
        cmocka_unit_test(header_members_that_are_refused),
        cmocka_unit_test(algorithms_that_do_not_exist_here),
        cmocka_unit_test(claims_must_be_a_strict_json_object),
        cmocka_unit_test(issuer_is_matched_exactly),
        cmocka_unit_test(key_is_found_by_kid),
        cmocka_unit_test(issuers_do_not_share_keys),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
