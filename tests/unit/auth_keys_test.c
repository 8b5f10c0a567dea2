/* Keys, secrets and options: what is too weak, unfit or contradictory refuses to start, with the words that help. */
#include "unit/auth_jwks.h"

#include <openssl/x509v3.h>

static EVP_PKEY *rsa, *p256;

static int make(void **state)
{
    rsa = test_key(ALG_RS256);
    p256 = test_key(ALG_ES256);
    return test_folder_make(state);
}

static int unmake(void **state)
{
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(p256);
    return test_folder_remove(state);
}

/* ---- weak and unfit keys ---- */

static EVP_PKEY *rsa_with(unsigned bits, unsigned long exponent)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *pkey = NULL;
    BIGNUM *e = BN_new();

    assert_true(BN_set_word(e, exponent));
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits), 1);
    assert_int_equal(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e), 1);
    assert_int_equal(EVP_PKEY_generate(ctx, &pkey), 1);
    EVP_PKEY_CTX_free(ctx);
    BN_free(e);
    return pkey;
}

static void refuse_pem(const char *pem, const char *algorithm, const char *words)
{
    own(freep) char *file = test_file("odd.pem", pem, strlen(pem), 0600);
    struct issuer_options options = test_options();

    options.pem_file = file;
    options.algorithm = algorithm;
    test_refuses_options(&options, words);
}

static void weak_rsa_keys(void **state)
{
    static const struct {
        unsigned bits;
        unsigned long exponent;
        const char *words;
    } cases[] = {{1024, 65537, "1024 bits is too weak"},
                 {2040, 65537, "2040 bits is too weak"},
                 {2048, 3, "exponent"},
                 {2048, 17, "exponent"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        EVP_PKEY *pkey = rsa_with(cases[i].bits, cases[i].exponent);
        own(freep) char *pem = test_pem(pkey, false), *jwk = rsa_jwk(pkey, ",\"alg\":\"RS256\",\"kid\":\"w\"");
        own(freep) char *words = xprintf("keys.json: key 1 (kid w)|%s", cases[i].words);
        refuse_pem(pem, "RS256", cases[i].words);
        refuse_jwks(jwk, words);
        EVP_PKEY_free(pkey);
    }
    /* too large ones and even ones need no real key */
    for (size_t bytes = 1025; bytes <= 2048; bytes += 1023) {
        own(freep) uint8_t *n = xmalloc(bytes);
        own(text_done) struct text jwk = {0};
        memset(n, 0xab, bytes);
        text_append_str(&jwk, "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"e\":\"AQAB\",\"n\":\"");
        base64url_encode(n, bytes, &jwk);
        text_append_str(&jwk, "\"}");
        refuse_jwks(jwk.data, "too slow to use");
    }
    uint8_t even[256];
    own(text_done) struct text jwk = {0};
    memset(even, 0xaa, sizeof(even));
    text_append_str(&jwk, "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"e\":\"AQAB\",\"n\":\"");
    base64url_encode(even, sizeof(even), &jwk);
    text_append_str(&jwk, "\"}");
    refuse_jwks(jwk.data, "do not make a valid public key");
}

static void keys_of_other_kinds(void **state)
{
    EVP_PKEY *k256 = EVP_EC_gen("secp256k1"), *x25519 = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    own(freep) char *k256_pem = test_pem(k256, false), *x25519_pem = test_pem(x25519, false);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
    EVP_PKEY *pss = NULL;

    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_generate(ctx, &pss), 1);
    own(freep) char *pss_pem = test_pem(pss, false);
    refuse_pem(k256_pem, NULL, "kind that signs no tokens");
    refuse_pem(x25519_pem, NULL, "kind that signs no tokens");
    refuse_pem(pss_pem, "PS256", "restricted to RSASSA-PSS");
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(pss);
    EVP_PKEY_free(k256);
    EVP_PKEY_free(x25519);
}

/* ---- PEM ---- */

static void pem_that_is_no_public_key(void **state)
{
    own(freep) char *good = test_pem(p256, false), *private = test_pem(p256, true), *r = test_pem(rsa, false);
    own(freep) char *two = xprintf("%s%s", good, good), *cut = xstrndup(good, strlen(good) - 60);
    own(freep) char *both = xprintf("%s%s", good, private);

    refuse_pem(private, NULL, "odd.pem: it holds a private key");
    refuse_pem(both, NULL, "holds a private key");
    refuse_pem(two, NULL, "more than one key");
    refuse_pem(cut, NULL, "not a public key that can be read");
    refuse_pem("", NULL, "not PEM");
    refuse_pem("hello", NULL, "not PEM");
    refuse_pem("-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----\n", NULL,
               "only PUBLIC KEY and CERTIFICATE");
    refuse_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", NULL, "not a certificate");
    refuse_pem(r, NULL, "fits RS256, RS384, RS512, PS256, PS384, PS512");
    refuse_pem(r, "ES256", "does not fit \"algorithm\" ES256");
    refuse_pem(good, "ES384", "does not fit \"algorithm\" ES384");
    refuse_pem(r, "HS256", "does not fit \"algorithm\" HS256");
}

static char *certificate(EVP_PKEY *pkey, const char *usage)
{
    X509 *cert = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;

    assert_int_equal(X509_set_version(cert, 2), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), 3600));
    assert_int_equal(X509_set_pubkey(cert, pkey), 1);
    if (usage) {
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, usage);
        assert_non_null(extension);
        assert_int_equal(X509_add_ext(cert, extension, -1), 1);
        X509_EXTENSION_free(extension);
    }
    assert_true(X509_sign(cert, pkey, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
    long len = BIO_get_mem_data(bio, &data);
    char *pem = xstrndup(data, (size_t)len);
    BIO_free(bio);
    X509_free(cert);
    return pem;
}

static void certificates(void **state)
{
    own(freep) char *plain = certificate(p256, NULL), *signing = certificate(p256, "digitalSignature");
    own(freep) char *encrypting = certificate(p256, "keyAgreement");
    own(freep) char *token = test_good_token(p256, ALG_ES256, "any", NULL);
    const char *const accepted[] = {plain, signing};

    for (size_t i = 0; i < ARRAY_LEN(accepted); i++) {
        own(freep) char *file = test_file("cert.pem", accepted[i], strlen(accepted[i]), 0644);
        struct issuer_options options = test_options();
        options.pem_file = file;
        struct verifier *v = test_verifier(&options);
        identity_unref(test_accept(v, token));
        verifier_unref(v);
    }
    refuse_pem(encrypting, NULL, "key usage does not allow digital signatures");
}

/* ---- secrets ---- */

static void refuse_secret(const void *data, size_t len, mode_t mode, const char *algorithm, const char *words)
{
    own(freep) char *file = test_file("odd.secret", data, len, mode);
    struct issuer_options options = test_options();

    options.secret_file = file;
    options.algorithm = algorithm;
    test_refuses_options(&options, words);
}

static void secrets(void **state)
{
    own(freep) char *pem = test_pem(rsa, false);
    char same[64];
    memset(same, 'a', sizeof(same));

    refuse_secret(SECRET, 31, 0600, "HS256", "31 bytes is too short for HS256|at least 32");
    refuse_secret(SECRET, 47, 0600, "HS384", "too short for HS384|at least 48");
    refuse_secret(SECRET, 63, 0600, "HS512", "too short for HS512|at least 64");
    refuse_secret(SECRET "\n", 32, 0640, "HS256", "others can read it|chmod 600");
    refuse_secret(SECRET, 64, 0600, NULL, "fits HS256, HS384, HS512");
    refuse_secret(SECRET, 64, 0600, "RS256", "does not fit");
    refuse_secret("", 0, 0600, "HS256", "too short");
    refuse_secret(same, sizeof(same), 0600, "HS256", "repeats a few bytes");
    refuse_secret(pem, strlen(pem), 0600, "HS256", "a PEM file is no secret");
    own(freep) char *big = xcalloc(1, 5000);
    refuse_secret(big, 5000, 0600, "HS256", "odd.secret");
}

static void a_secret_ends_before_its_line_does(void **state)
{
    static const char *const ends[] = {"", "\n", "\r\n"};
    EVP_PKEY *mac = test_key(ALG_HS512);
    own(freep) char *token = test_good_token(mac, ALG_HS512, NULL, NULL);

    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        own(freep) char *content = xprintf("%s%s", SECRET, ends[i]);
        own(freep) char *file = test_file("line.secret", content, strlen(content), 0400);
        struct issuer_options options = test_options();
        options.secret_file = file;
        options.algorithm = "HS512";
        struct verifier *v = test_verifier(&options);
        identity_unref(test_accept(v, token));
        verifier_unref(v);
    }
    EVP_PKEY_free(mac);
}

/* ---- options ---- */

static void options_that_contradict(void **state)
{
    own(freep) char *jwk = ec_jwk(p256, "P-256", 32, "");
    const struct issuer_options good = jwks_options(jwk);
    static const char *const none[] = {"none"}, *const no_pointer[] = {"roles"}, *const empty[] = {""};
    static const struct role_mapping bad_role[] = {{"a", "two words"}}, no_from[] = {{NULL, "A"}};
    struct issuer_options o;

#define REFUSE(change, words)                               \
    do {                                                    \
        o = good;                                           \
        change;                                             \
        test_refuses_options(&o, "bailiff.yaml:31|" words); \
    } while (0)
    verifier_unref(test_verifier(&good));
    REFUSE(o.issuer = NULL, "issuer must be");
    REFUSE(o.issuer = "", "issuer must be");
    REFUSE(o.issuer = "a\nb", "issuer must be");
    REFUSE(o.audience_count = 0, "audiences is empty");
    REFUSE(o.audiences = empty; o.audience_count = 1, "audiences");
    REFUSE(o.jwks_file = NULL, "exactly one of");
    REFUSE(o.pem_file = "x.pem", "exactly one of");
    REFUSE(o.secret_file = "x", "exactly one of");
    REFUSE(o.jwks_file = "/nonexistent/keys.json", "/nonexistent/keys.json|No such file");
    REFUSE(o.jwks_file = "/tmp", "not a regular file");
    REFUSE(o.key_id = "k", "key_id is for pem_file");
    REFUSE(o.algorithm = "none", "\"none\" is unknown|RS256");
    REFUSE(o.algorithms = none; o.algorithm_count = 1, "\"none\" is unknown|RS256");
    REFUSE(o.role_claims = no_pointer; o.role_claim_count = 1, "\"roles\" is no JSON pointer|/roles");
    REFUSE(o.role_map = bad_role; o.role_map_count = 1, "role_map");
    REFUSE(o.role_map = no_from; o.role_map_count = 1, "role_map");
    REFUSE(o.role_prefix = "", "role_prefix");
    REFUSE(o.roles_max = 1025, "roles_max is 1025");
    REFUSE(o.leeway_s = 301, "leeway is 301 s");
    REFUSE(o.lifetime_max_s = 366 * 86400 + 1, "lifetime_max");
    REFUSE(o.profile = (enum token_profile)7, "profile");
#undef REFUSE
    struct verifier *v = NULL;
    struct fault fault = {0};
    const struct issuer_options twice[] = {good, good};
    assert_false(verifier_new(twice, 2, &v, &fault));
    assert_non_null(strstr(fault.message, "is there twice"));
    fault = (struct fault){0};
    assert_false(verifier_new(twice, 0, &v, &fault));
    assert_non_null(strstr(fault.message, "issuers is empty"));
    assert_null(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weak_rsa_keys),
        cmocka_unit_test(keys_of_other_kinds),
        cmocka_unit_test(pem_that_is_no_public_key),
        cmocka_unit_test(certificates),
        cmocka_unit_test(secrets),
        cmocka_unit_test(a_secret_ends_before_its_line_does),
        cmocka_unit_test(options_that_contradict),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
