/* Every algorithm: accepted with its own key, refused with anything else; and the vectors of the RFCs. */
#include "unit/auth_tokens.h"

#include "auth/key_files.h"

static void algorithm_names_round_trip(void **state)
{
    for (unsigned a = 0; a < ALG_COUNT; a++) {
        enum jwt_algorithm parsed;
        assert_true(jwt_algorithm_parse(span_of(jwt_algorithm_name((enum jwt_algorithm)a)), &parsed));
        assert_int_equal(parsed, a);
    }
    static const char *const unknown[] = {"none", "None", "rs256", "RS256 ", "ES256K", "HS1", "", "Ed25519", "RS257"};
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        enum jwt_algorithm parsed;
        assert_false(jwt_algorithm_parse(span_of(unknown[i]), &parsed));
    }
}

static void change_character(char *s, size_t at)
{
    s[at] = s[at] == 'A' ? 'B' : 'A';
}

static char *with_signature(const char *token, const uint8_t *signature, size_t len)
{
    struct text changed = {0};

    text_append(&changed, token, (size_t)(strrchr(token, '.') + 1 - token));
    base64url_encode(signature, len, &changed);
    return text_take(&changed);
}

/* Good; then each part changed, the signature shortened, lengthened and emptied. */
static void judge_variants(const struct verifier *v, const char *token)
{
    const char *second = strchr(token, '.') + 1, *third = strrchr(token, '.') + 1;
    own(freep) char *claims = xstrdup(token), *signature = xstrdup(token), *first = xstrdup(token);
    uint8_t bytes[1024] = {0};
    size_t len;

    identity_unref(test_accept(v, token));
    change_character(claims, (size_t)(second - token) + 60); /* within "iss" */
    struct identity *identity = NULL;
    assert_false(verifier_check(v, span_of(claims), NULL, NOW, &identity, NULL));
    change_character(signature, (size_t)(third - token) + 10);
    test_refuse(v, signature, "bad signature");
    change_character(first, (size_t)(third - token));
    test_refuse(v, first, "bad signature");

    assert_true(base64url_decode(span_of(third), bytes, sizeof(bytes) - 1, &len));
    own(freep) char *shorter = with_signature(token, bytes, len - 1), *longer = with_signature(token, bytes, len + 1);
    own(freep) char *empty = with_signature(token, bytes, 0), *later = with_signature(token, bytes + 1, len - 1);
    test_refuse(v, shorter, "bad signature");
    test_refuse(v, longer, "bad signature");
    test_refuse(v, later, "bad signature");
    test_refuse(v, empty, "malformed token");
}

static void every_algorithm_with_its_key(void **state)
{
    for (unsigned i = 0; i < ALG_COUNT; i++) {
        enum jwt_algorithm a = (enum jwt_algorithm)i;
        EVP_PKEY *pkey = test_key(a), *other = test_key(a);
        struct verifier *v = test_verifier_of(pkey, a, "k1", test_options());
        own(freep) char *token = test_good_token(pkey, a, "k1", NULL);
        own(freep) char *foreign = test_good_token(other, a, "k1", NULL);
        judge_variants(v, token);
        if (algorithm_get(a)->family != FAMILY_HMAC) /* there the other key is the same secret */
            test_refuse(v, foreign, "bad signature");
        verifier_unref(v);
        EVP_PKEY_free(pkey);
        EVP_PKEY_free(other);
    }
}

static void ed448_is_eddsa_too(void **state)
{
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
    struct verifier *v = test_verifier_of(pkey, ALG_EDDSA, NULL, test_options());
    own(freep) char *token = test_good_token(pkey, ALG_EDDSA, NULL, NULL);

    judge_variants(v, token);
    verifier_unref(v);
    EVP_PKEY_free(pkey);
}

/* A token may say what it likes: the key has one algorithm. */
static void algorithm_is_the_keys(void **state)
{
    EVP_PKEY *rsa = test_key(ALG_RS256);
    own(freep) char *pem = test_pem(rsa, false);

    for (unsigned k = ALG_RS256; k <= ALG_PS512; k++) {
        struct verifier *v = test_verifier_of(rsa, (enum jwt_algorithm)k, "k1", test_options());
        for (unsigned t = 0; t < ALG_COUNT; t++) {
            own(freep) char *token = NULL;
            if (t == k)
                continue;
            if (t <= ALG_PS512) { /* correctly signed, by this very key */
                token = test_good_token(rsa, (enum jwt_algorithm)t, "k1", NULL);
            } else if (t >= ALG_HS256) { /* the public key as a secret */
                EVP_PKEY *mac = EVP_PKEY_new_raw_private_key_ex(NULL, "HMAC", NULL, (uint8_t *)pem, strlen(pem));
                token = test_good_token(mac, (enum jwt_algorithm)t, "k1", NULL);
                EVP_PKEY_free(mac);
            } else {
                EVP_PKEY *other = test_key((enum jwt_algorithm)t);
                token = test_good_token(other, (enum jwt_algorithm)t, "k1", NULL);
                EVP_PKEY_free(other);
            }
            test_refuse(v, token, "wrong algorithm");
        }
        verifier_unref(v);
    }
    EVP_PKEY_free(rsa);
}

static void ecdsa_signatures_at_the_edges(void **state)
{
    static const char order_hex[] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    EVP_PKEY *pkey = test_key(ALG_ES256);
    struct verifier *v = test_verifier_of(pkey, ALG_ES256, NULL, test_options());
    own(freep) char *token = test_good_token(pkey, ALG_ES256, NULL, NULL);
    uint8_t zero[64] = {0}, order[64], big[64], der[160];

    own(freep) char *zeros = with_signature(token, zero, sizeof(zero));
    test_refuse(v, zeros, "bad signature"); /* CVE-2022-21449 */
    assert_true(hex_decode(SPAN(order_hex), order, 32) && hex_decode(SPAN(order_hex), order + 32, 32));
    own(freep) char *orders = with_signature(token, order, sizeof(order));
    test_refuse(v, orders, "bad signature");
    memset(big, 0xff, sizeof(big));
    own(freep) char *bigs = with_signature(token, big, sizeof(big));
    test_refuse(v, bigs, "bad signature");

    /* DER, as OpenSSL makes it, is not what JWS has */
    struct span input = {token, (size_t)(strrchr(token, '.') - token)};
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = sizeof(der);
    assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, pkey, NULL), 1);
    assert_int_equal(EVP_DigestSign(ctx, der, &len, (const uint8_t *)input.data, input.len), 1);
    EVP_MD_CTX_free(ctx);
    own(freep) char *as_der = with_signature(token, der, len);
    test_refuse(v, as_der, "bad signature");
    verifier_unref(v);
    EVP_PKEY_free(pkey);
}

static void pss_salt_must_be_as_long_as_the_digest(void **state)
{
    EVP_PKEY *pkey = test_key(ALG_PS256);
    struct verifier *v = test_verifier_of(pkey, ALG_PS256, NULL, test_options());
    own(freep) char *token = test_good_token(pkey, ALG_PS256, NULL, NULL);
    struct span input = {token, (size_t)(strrchr(token, '.') - token)};
    static const int lengths[] = {0, 20, 31, 33, 222};

    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        EVP_PKEY_CTX *pkey_ctx;
        uint8_t signature[256];
        size_t len = sizeof(signature);
        assert_int_equal(EVP_DigestSignInit_ex(ctx, &pkey_ctx, "SHA256", NULL, NULL, pkey, NULL), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pkey_ctx, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey_ctx, lengths[i]), 1);
        assert_int_equal(EVP_DigestSign(ctx, signature, &len, (const uint8_t *)input.data, input.len), 1);
        EVP_MD_CTX_free(ctx);
        own(freep) char *odd = with_signature(token, signature, len);
        test_refuse(v, odd, "bad signature");
    }
    verifier_unref(v);
    EVP_PKEY_free(pkey);
}

/* ---- vectors: RFC 7515 appendix A, RFC 7520 section 4, RFC 8037 appendix A ---- */

#define COOKBOOK_PAYLOAD                                                                                              \
    "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5" \
    "kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by" \
    "4"
#define COOKBOOK_RSA                                                                                                   \
    "{\"kty\":\"RSA\",\"kid\":\"bilbo.baggins@hobbiton.example\",\"use\":\"sig\",\"n\":\"n4EPtAOCc9AlkeQHPzHStgAbgs7b" \
    "TZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dAp" \
    "r5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FV"  \
    "bb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw\",\"e\":\"AQAB\"}"
#define RFC7515_PAYLOAD "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

static const struct vector {
    const char *name, *jwk;
    enum jwt_algorithm algorithm;
    const char *input, *signature;
} VECTORS[] = {
    {"RFC 7515 A.1",
     "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
     "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}",
     ALG_HS256, "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC7515_PAYLOAD,
     "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
    {"RFC 7515 A.2",
     "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"
     "4qPCJrcS2mJPMEzP1Pt0B"
     "m4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQ"
     "OS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkML"
     "s91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}",
     ALG_RS256, "eyJhbGciOiJSUzI1NiJ9." RFC7515_PAYLOAD,
     "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t"
     "1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12j"
     "zDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUP"
     "QGe77Rw"},
    {"RFC 7515 A.3",
     "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_"
     "tue65"
     "9LNpXW6pCyStikYjKIWI5a0\"}",
     ALG_ES256, "eyJhbGciOiJFUzI1NiJ9." RFC7515_PAYLOAD,
     "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    {"RFC 7520 4.1", COOKBOOK_RSA, ALG_RS256,
     "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." COOKBOOK_PAYLOAD,
     "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA"
     "78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQ"
     "dLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y1"
     "8kDquDg"},
    {"RFC 7520 4.2", COOKBOOK_RSA, ALG_PS384,
     "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." COOKBOOK_PAYLOAD,
     "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcb"
     "UrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8I"
     "mUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM"
     "-X72Eaw"},
    {"RFC 7520 4.3",
     "{\"kty\":\"EC\",\"kid\":\"bilbo.baggins@hobbiton.example\",\"use\":\"sig\",\"crv\":\"P-521\",\"x\":"
     "\"AHKZLLOsCOzz5cY97e"
     "wNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt\",\"y\":\"AdymlHvOiLxXkEhayXQnNCvDX4h9htZa"
     "CJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1\"}",
     ALG_ES512, "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." COOKBOOK_PAYLOAD,
     "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxX"
     "Pn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2"},
    {"RFC 7520 4.4",
     "{\"kty\":\"oct\",\"kid\":\"018c0ae5-4d9b-471b-bfd6-eef314bc7037\",\"use\":\"sig\",\"alg\":\"HS256\",\"k\":"
     "\"hJtXIZ2uSN5"
     "kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg\"}",
     ALG_HS256, "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9." COOKBOOK_PAYLOAD,
     "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0"},
    {"RFC 8037 A.4", "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
     ALG_EDDSA, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
     "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
};

static void vectors_of_the_rfcs(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(VECTORS); i++) {
        const struct vector *t = &VECTORS[i];
        struct key_rules rules = {.algorithm = jwt_algorithm_name(t->algorithm), .allowed = ALGORITHMS_ALL};
        own(json_freep) json_t *jwk = NULL;
        own(key_done) struct key key = {0};
        uint8_t signature[512];
        size_t len;
        bool use = false;

        assert_true(json_read(span_of(t->jwk), "jwk", &jwk, NULL));
        if (!jwk_read(jwk, t->name, &rules, &key, &use, NULL) || !use)
            fail_msg("%s: key", t->name);
        assert_int_equal(key.algorithm, t->algorithm);
        assert_true(base64url_decode(span_of(t->signature), signature, sizeof(signature), &len));
        struct span bytes = {(const char *)signature, len};
        if (!key_verify(&key, span_of(t->input), bytes, NULL))
            fail_msg("%s: signature", t->name);
        assert_false(key_verify(&key, (struct span){t->input, strlen(t->input) - 1}, bytes, NULL));
        signature[len / 2] ^= 1;
        assert_false(key_verify(&key, span_of(t->input), bytes, NULL));
        assert_false(key_verify(&key, span_of(t->input), (struct span){bytes.data, len - 1}, NULL));
        assert_false(key_verify(&key, span_of(t->input), (struct span){bytes.data, 0}, NULL));
        assert_int_equal(ERR_peek_error(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(algorithm_names_round_trip),
        cmocka_unit_test(every_algorithm_with_its_key),
        cmocka_unit_test(ed448_is_eddsa_too),
        cmocka_unit_test(algorithm_is_the_keys),
        cmocka_unit_test(ecdsa_signatures_at_the_edges),
        cmocka_unit_test(pss_salt_must_be_as_long_as_the_digest),
        cmocka_unit_test(vectors_of_the_rfcs),
    };
    return cmocka_run_group_tests(tests, test_folder_make, test_folder_remove);
}
