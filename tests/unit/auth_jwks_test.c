/* JWK Sets: which keys are used, which are left alone, and what refuses to start. */
#include "unit/auth_jwks.h"

static EVP_PKEY *rsa, *p256, *p384;

static int make(void **state)
{
    rsa = test_key(ALG_RS256);
    p256 = test_key(ALG_ES256);
    p384 = test_key(ALG_ES384);
    return test_folder_make(state);
}

static int unmake(void **state)
{
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(p256);
    EVP_PKEY_free(p384);
    return test_folder_remove(state);
}

static void jwks_of_all_kinds(void **state)
{
    EVP_PKEY *ed = test_key(ALG_EDDSA), *mac = test_key(ALG_HS512);
    uint8_t raw[32];
    size_t len = sizeof(raw);
    own(text_done) struct text x = {0}, k = {0};

    assert_int_equal(EVP_PKEY_get_raw_public_key(ed, raw, &len), 1);
    base64url_encode(raw, len, &x);
    base64url_encode((const uint8_t *)SECRET, strlen(SECRET), &k);
    own(freep) char *r = rsa_jwk(rsa, ",\"kid\":\"r\",\"alg\":\"PS512\",\"use\":\"sig\"");
    own(freep) char *e = ec_jwk(p256, "P-256", 32, ",\"kid\":\"e\",\"key_ops\":[\"verify\"]");
    own(freep) char *f = ec_jwk(p384, "P-384", 48, ",\"kid\":\"f\"");
    own(freep) char *keys = xprintf("%s,%s,%s,{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"o\",\"x\":\"%s\"},"
                                    "{\"kty\":\"oct\",\"kid\":\"s\",\"alg\":\"HS512\",\"k\":\"%s\"}",
                                    r, e, f, x.data, k.data);
    struct issuer_options options = jwks_options(keys);
    struct verifier *v = test_verifier(&options);
    const struct {
        EVP_PKEY *pkey;
        enum jwt_algorithm algorithm;
        const char *kid;
    } cases[] = {{rsa, ALG_PS512, "r"},
                 {p256, ALG_ES256, "e"},
                 {p384, ALG_ES384, "f"},
                 {ed, ALG_EDDSA, "o"},
                 {mac, ALG_HS512, "s"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        own(freep) char *by_id = test_good_token(cases[i].pkey, cases[i].algorithm, cases[i].kid, NULL);
        own(freep) char *alone = test_good_token(cases[i].pkey, cases[i].algorithm, NULL, NULL);
        own(freep) char *crossed = test_good_token(cases[i].pkey, cases[i].algorithm, cases[(i + 1) % 5].kid, NULL);
        identity_unref(test_accept(v, by_id));
        identity_unref(test_accept(v, alone)); /* one key of this algorithm */
        test_refuse(v, crossed, "wrong algorithm");
    }
    verifier_unref(v);
    EVP_PKEY_free(ed);
    EVP_PKEY_free(mac);
}

static void jwks_without_kid_is_no_choice(void **state)
{
    EVP_PKEY *second = test_key(ALG_ES256);
    own(freep) char *a = ec_jwk(p256, "P-256", 32, ",\"kid\":\"a\""),
                    *b = ec_jwk(second, "P-256", 32, ",\"kid\":\"b\"");
    own(freep) char *keys = xprintf("%s,%s", a, b);
    struct issuer_options options = jwks_options(keys);
    struct verifier *v = test_verifier(&options);
    own(freep) char *anonymous = test_good_token(p256, ALG_ES256, NULL, NULL);
    own(freep) char *named = test_good_token(second, ALG_ES256, "b", NULL);
    own(freep) char *wrong = test_good_token(second, ALG_ES256, "a", NULL);
    own(freep) char *other = test_good_token(p384, ALG_ES384, NULL, NULL);

    test_refuse(v, anonymous, "no key id");
    identity_unref(test_accept(v, named));
    test_refuse(v, wrong, "bad signature");
    test_refuse(v, other, "wrong algorithm");
    verifier_unref(v);
    EVP_PKEY_free(second);
}

static void jwks_key_without_kid_fits_no_named_token(void **state)
{
    own(freep) char *key = ec_jwk(p256, "P-256", 32, "");
    struct issuer_options options = jwks_options(key);
    struct verifier *v = test_verifier(&options);
    own(freep) char *named = test_good_token(p256, ALG_ES256, "k", NULL);
    own(freep) char *anonymous = test_good_token(p256, ALG_ES256, NULL, NULL);

    test_refuse(v, named, "unknown key");
    identity_unref(test_accept(v, anonymous));
    verifier_unref(v);
}

static void jwks_leaves_other_keys_alone(void **state)
{
    static const char *const others[] = {
        ",\"use\":\"enc\"",          ",\"key_ops\":[\"encrypt\"]",       ",\"key_ops\":[]",
        ",\"alg\":\"RSA-OAEP-256\"", ",\"use\":\"sig\",\"alg\":\"RS1\"",
    };
    own(freep) char *good = ec_jwk(p256, "P-256", 32, ",\"kid\":\"k\"");
    struct text keys = {0};

    text_append_str(&keys, good);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        own(freep) char *same_kid = xprintf("%s,\"kid\":\"k\"", others[i]); /* another use: no conflict */
        own(freep) char *jwk = rsa_jwk(rsa, same_kid);
        text_printf(&keys, ",%s", jwk);
        refuse_jwks(jwk, "keys.json|none of its 1 keys can verify");
    }
    text_append_str(&keys,
                    ",{\"kty\":\"LMS\",\"x\":\"1\"},{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AA\",\"y\":\"AA\"},"
                    "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AA\"}");
    struct issuer_options options = jwks_options(keys.data);
    struct verifier *v = test_verifier(&options);
    own(freep) char *token = test_good_token(p256, ALG_ES256, "k", NULL);
    identity_unref(test_accept(v, token));
    verifier_unref(v);
    text_done(&keys);
}

static void jwks_algorithms_narrow(void **state)
{
    static const char *const only_es256[] = {"ES256"}, *const rs_es[] = {"RS384", "ES256"},
                             *const only_hs[] = {"HS256"};
    own(freep) char *r = rsa_jwk(rsa, ",\"kid\":\"r\""), *e = ec_jwk(p256, "P-256", 32, ",\"kid\":\"e\"");
    own(freep) char *keys = xprintf("%s,%s", r, e);
    own(freep) char *rs384 = test_good_token(rsa, ALG_RS384, "r", NULL),
                    *es256 = test_good_token(p256, ALG_ES256, "e", NULL);
    own(freep) char *rs256 = test_good_token(rsa, ALG_RS256, "r", NULL);
    struct issuer_options options = jwks_options(keys);

    test_refuses_options(&options, "bailiff.yaml:31: |keys.json: key 1 (kid r)|RS256, RS384, RS512, PS256|algorithm");
    options.algorithm = "RS256";
    struct verifier *v = test_verifier(&options);
    identity_unref(test_accept(v, rs256));
    identity_unref(test_accept(v, es256));
    test_refuse(v, rs384, "wrong algorithm");
    verifier_unref(v);

    options.algorithm = NULL;
    options.algorithms = rs_es;
    options.algorithm_count = 2;
    v = test_verifier(&options);
    identity_unref(test_accept(v, rs384));
    identity_unref(test_accept(v, es256));
    test_refuse(v, rs256, "wrong algorithm");
    verifier_unref(v);

    options.algorithms = only_es256;
    options.algorithm_count = 1;
    v = test_verifier(&options);
    identity_unref(test_accept(v, es256));
    test_refuse(v, rs384, "unknown key");
    verifier_unref(v);
    options.algorithms = only_hs;
    test_refuses_options(&options, "none of its 2 keys");
    options.algorithm = "RS256";
    test_refuses_options(&options, "algorithm RS256 is not among algorithms");
}

static void jwks_that_leaks_private_keys(void **state)
{
    static const char *const members[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};

    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        own(freep) char *more = xprintf(",\"kid\":\"leak\",\"alg\":\"RS256\",\"%s\":\"AQAB\"", members[i]);
        own(freep) char *jwk = rsa_jwk(rsa, more);
        refuse_jwks(jwk, "key 1 (kid leak)|holds a private key|replace the key");
    }
    own(freep) char *ec = ec_jwk(p256, "P-256", 32, ",\"d\":\"AAAA\"");
    own(freep) char *enc = rsa_jwk(rsa, ",\"use\":\"enc\",\"d\":\"AAAA\""); /* also what we would not use */
    refuse_jwks(ec, "key 1: |private key");
    refuse_jwks(enc, "private key");
    refuse_jwks("{\"kty\":\"LMS\",\"d\":\"AAAA\"}", "private key");
}

static void jwks_with_secrets_must_be_guarded(void **state)
{
    own(text_done) struct text k = {0};
    base64url_encode((const uint8_t *)SECRET, strlen(SECRET), &k);
    own(freep) char *jwk = xprintf("{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"%s\"}", k.data);
    struct issuer_options options = jwks_options(jwk);

    verifier_unref(test_verifier(&options));
    assert_int_equal(chmod(options.jwks_file, 0644), 0);
    test_refuses_options(&options, "bailiff.yaml:31|keys.json|others can read it|chmod");
}

static void jwks_malformed(void **state)
{
    own(freep) char *good = ec_jwk(p256, "P-256", 32, ",\"kid\":\"k\"");
    own(freep) char *twice = xprintf("%s,%s", good, good);
    own(freep) char *crossed = rsa_jwk(rsa, ",\"alg\":\"ES256\""),
                    *curve = ec_jwk(p256, "P-256", 32, ",\"alg\":\"ES384\"");
    own(freep) char *wide = ec_jwk(p256, "P-256", 33, ""), *wrong_curve = ec_jwk(p256, "P-384", 48, "");
    own(freep) char *bad_use = rsa_jwk(rsa, ",\"use\":1"), *bad_ops = rsa_jwk(rsa, ",\"key_ops\":\"verify\"");
    own(freep) char *bad_op = rsa_jwk(rsa, ",\"key_ops\":[1]"), *bad_alg = rsa_jwk(rsa, ",\"alg\":null");
    own(freep) char *bad_kid = rsa_jwk(rsa, ",\"kid\":7"), *odd_kid = rsa_jwk(rsa, ",\"kid\":\"a\\nb\"");

    refuse_jwks(twice, "key 2 (kid k)|same kid");
    refuse_jwks(crossed, "\"alg\" is ES256|does not fit");
    refuse_jwks(curve, "\"alg\" is ES384|does not fit");
    refuse_jwks(wide, "\"x\"|too long");
    refuse_jwks(wrong_curve, "do not make a valid public key");
    refuse_jwks(bad_use, "\"use\" must be a string");
    refuse_jwks(bad_ops, "\"key_ops\" must be an array");
    refuse_jwks(bad_op, "\"key_ops\" must be an array");
    refuse_jwks(bad_alg, "\"alg\" must be a string");
    refuse_jwks(bad_kid, "\"kid\" must be a string");
    refuse_jwks(odd_kid, "\"kid\" must be 1 to 256 bytes");
    refuse_jwks("", "none of its 0 keys");
    refuse_jwks("1", "key 1: |must be an object");
    refuse_jwks("{}", "\"kty\" is missing");
    refuse_jwks("{\"kty\":\"RSA\",\"alg\":\"RS256\"}", "\"n\" is missing");
    refuse_jwks("{\"kty\":\"RSA\",\"alg\":\"RS256\",\"n\":\"AQ+B\",\"e\":\"AQAB\"}",
                "\"n\" is too long or not base64url");
    refuse_jwks("{\"kty\":\"RSA\",\"alg\":\"RS256\",\"n\":\"AAAA\",\"e\":\"AQAB\"}", "zero");
    refuse_jwks("{\"kty\":\"EC\",\"x\":\"AA\"}", "\"crv\" is missing");
    refuse_jwks("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}", "\"x\" has 3 bytes|needs 32");
    refuse_jwks("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}", "\"x\" has 3 bytes|needs 32");
    refuse_jwks("{\"kty\":\"oct\",\"alg\":\"HS256\"}", "\"k\" must be base64url");
    refuse_jwks("{\"kty\":\"oct\",\"k\":\"AAAA\"}", "HS256, HS384, HS512");
    refuse_jwks("{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"AAAA\"}", "too short for HS256");

    static const char *const documents[][2] = {
        {"", "keys.json|not valid JSON"},
        {"[]", "\"keys\" is an array"},
        {"{}", "\"keys\" is an array"},
        {"{\"keys\":{}}", "\"keys\" is an array"},
        {"{\"keys\":[],\"keys\":[]}", "stands twice"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"kty\":\"EC\"}]}", "stands twice"},
        {"{\"keys\":[]} x", "not valid JSON"},
        {"-----BEGIN PUBLIC KEY-----", "not valid JSON"},
    };
    for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
        own(freep) char *file = test_file("keys.json", documents[i][0], strlen(documents[i][0]), 0644);
        struct issuer_options options = test_options();
        options.jwks_file = file;
        test_refuses_options(&options, documents[i][1]);
    }
    struct text many = {0};
    for (int i = 0; i < 101; i++)
        text_printf(&many, "%s{\"kty\":\"x\"}", i ? "," : "");
    refuse_jwks(many.data, "more than 100 keys");
    text_done(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jwks_of_all_kinds),
        cmocka_unit_test(jwks_without_kid_is_no_choice),
        cmocka_unit_test(jwks_key_without_kid_fits_no_named_token),
        cmocka_unit_test(jwks_leaves_other_keys_alone),
        cmocka_unit_test(jwks_algorithms_narrow),
        cmocka_unit_test(jwks_that_leaks_private_keys),
        cmocka_unit_test(jwks_with_secrets_must_be_guarded),
        cmocka_unit_test(jwks_malformed),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
