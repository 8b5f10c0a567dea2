/* Tokens of our own: issued by libjwt, judged by us; and ours judged by libjwt. Keys made, files guarded. */
#include "unit/auth_tokens.h"

#include <jwt.h>

#include "auth/public_key.h"
#include "bailiff/json.h"

static const char *const ROLES[] = {"TAIPY_READER", "TAIPY_EXECUTOR"};

static struct token_request request_with(const char *key_file)
{
    return (struct token_request){.issuer = ISSUER,
                                  .audience = AUDIENCE,
                                  .subject = "svc-nightly",
                                  .roles = ROLES,
                                  .role_count = ARRAY_LEN(ROLES),
                                  .ttl_s = 3600,
                                  .key_file = key_file};
}

static char *issue(const struct token_request *request)
{
    char *token = NULL;
    struct fault fault = {0};

    if (!token_issue(request, NOW, &token, &fault))
        fail_msg("token_issue: %s %s", fault.message, fault.detail);
    return token;
}

static void refuse_issue(const struct token_request *request, const char *words)
{
    char *token = (char *)0x1;
    struct fault fault = {0};

    if (token_issue(request, NOW, &token, &fault))
        fail_msg("issued, but should say: %s", words);
    assert_ptr_equal(token, (char *)0x1);
    assert_int_equal(fault.kind, FAULT_INVALID);
    if (!strstr(fault.message, words))
        fail_msg("\"%s\" does not hold \"%s\"", fault.message, words);
    assert_int_equal(ERR_peek_error(), 0);
}

/* One part of a token as JSON */
static json_t *part_of(const char *token, unsigned index)
{
    struct span rest = span_of(token), part;
    uint8_t bytes[4096];
    size_t len;
    json_t *value = NULL;

    for (unsigned i = 0; i <= index; i++)
        assert_true(span_cut(&rest, '.', &part));
    assert_true(base64url_decode(part, bytes, sizeof(bytes), &len));
    assert_true(json_read((struct span){(char *)bytes, len}, "part", &value, NULL));
    return value;
}

static void strict_issuer(struct issuer_options *options)
{
    options->require_token_use = true;
    options->leeway_s = 0;
    options->lifetime_max_s = 3600;
}

static void generated_keys_issue_tokens_that_verify(void **state)
{
    own(freep) char *private = test_path("signing-key.pem"), *jwks = test_path("signing-jwks.json");
    struct fault fault = {0};
    struct stat st;

    if (!token_key_generate(private, jwks, &fault))
        fail_msg("%s %s", fault.message, fault.detail);
    assert_int_equal(stat(private, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(jwks, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);

    struct token_request request = request_with(private);
    own(freep) char *token = issue(&request), *second = issue(&request);
    struct issuer_options options = test_options();
    options.jwks_file = jwks;
    strict_issuer(&options);
    struct verifier *v = test_verifier(&options);
    struct identity *i = test_accept(v, token);
    assert_string_equal(i->issuer, ISSUER);
    assert_string_equal(i->subject, "svc-nightly");
    assert_int_equal(i->issued_at_s, NOW);
    assert_int_equal(i->expires_at_s, NOW + 3600);
    assert_int_equal(strlen(i->token_id), 36);
    assert_int_equal(i->role_count, 2);
    assert_string_equal(i->roles[0], "TAIPY_EXECUTOR");
    assert_string_equal(i->roles[1], "TAIPY_READER");
    struct identity *j = test_accept(v, second);
    assert_string_not_equal(i->token_id, j->token_id);
    identity_unref(i);
    identity_unref(j);
    verifier_unref(v);

    own(json_freep) json_t *header = part_of(token, 0), *claims = part_of(token, 1), *set = NULL;
    own(text_done) struct text content = {0};
    assert_true(file_read(jwks, 65536, &content, NULL) && json_read(text_span(&content), "jwks", &set, NULL));
    assert_string_equal(json_string_value(json_object_get(header, "alg")), "ES256");
    assert_string_equal(json_string_value(json_object_get(header, "kid")),
                        json_string_value(json_pointer(set, "/keys/0/kid")));
    assert_null(json_pointer(set, "/keys/0/d"));
    assert_string_equal(json_string_value(json_object_get(claims, "token_use")), "access");
}

static void generating_never_overwrites(void **state)
{
    own(freep) char *private = test_path("once.pem"), *jwks = test_path("once.json");
    own(freep) char *other = test_path("other.pem"), *link = test_path("link.pem"), *target = test_path("target.pem");
    own(freep) char *taken = test_file("taken.json", "mine", 4, 0644), *nowhere = test_path("no/such/key.pem");
    own(text_done) struct text before = {0}, after = {0};
    struct fault fault = {0};

    assert_true(token_key_generate(private, jwks, NULL));
    assert_true(file_read(private, 65536, &before, NULL));
    assert_false(token_key_generate(private, other, &fault));
    assert_int_equal(fault.kind, FAULT_CONFLICT);
    assert_non_null(strstr(fault.message, private));
    assert_int_equal(access(other, F_OK), -1);
    assert_true(file_read(private, 65536, &after, NULL));
    assert_true(span_eq(text_span(&before), text_span(&after)));

    assert_false(token_key_generate(other, taken, NULL)); /* none of the two, then */
    assert_int_equal(access(other, F_OK), -1);
    assert_int_equal(symlink(target, link), 0);
    assert_false(token_key_generate(link, other, NULL));
    assert_int_equal(access(target, F_OK), -1);
    fault = (struct fault){0};
    assert_false(token_key_generate(nowhere, other, &fault));
    assert_non_null(strstr(fault.message, nowhere));
}

static void libjwt_and_we_agree(void **state)
{
    static const enum jwt_algorithm algorithms[] = {ALG_RS256, ALG_RS384, ALG_RS512, ALG_ES256, ALG_ES384,
                                                    ALG_ES512, ALG_HS256, ALG_HS384, ALG_HS512};

    for (size_t n = 0; n < ARRAY_LEN(algorithms); n++) {
        enum jwt_algorithm a = algorithms[n];
        bool secret = a >= ALG_HS256;
        EVP_PKEY *pkey = test_key(a);
        own(freep) char *key = secret ? xstrdup(SECRET) : test_pem(pkey, true);
        own(freep) char *public = secret ? xstrdup(SECRET) : test_pem(pkey, false);
        own(freep) char *file = test_file("issue.key", key, strlen(key), 0600);
        struct token_request request = request_with(file);
        struct issuer_options options = test_options();
        struct verifier *v = test_verifier_of(pkey, a, NULL, options);
        jwt_t *jwt = NULL;

        /* libjwt signs, we judge */
        request.algorithm = jwt_algorithm_name(a);
        own(freep) char *issued = issue(&request);
        identity_unref(test_accept(v, issued));
        /* the test signs, both judge; libjwt too judges what it issued */
        own(freep) char *made = test_good_token(pkey, a, "k", NULL);
        identity_unref(test_accept(v, made));
        assert_int_equal(jwt_decode(&jwt, made, (const unsigned char *)public, (int)strlen(public)), 0);
        assert_string_equal(jwt_get_grant(jwt, "sub"), "alice");
        assert_string_equal(jwt_alg_str(jwt_get_alg(jwt)), jwt_algorithm_name(a));
        jwt_free(jwt);
        jwt = NULL;
        assert_int_equal(jwt_decode(&jwt, issued, (const unsigned char *)public, (int)strlen(public)), 0);
        assert_string_equal(jwt_get_grant(jwt, "sub"), "svc-nightly");
        jwt_free(jwt);
        verifier_unref(v);
        EVP_PKEY_free(pkey);
        ERR_clear_error();
    }
}

/* What libjwt would let pass, and why it does not judge our tokens. */
static void what_libjwt_accepts_we_refuse(void **state)
{
    EVP_PKEY *rsa = test_key(ALG_RS256);
    own(freep) char *pem = test_pem(rsa, false);
    EVP_PKEY *mac = EVP_PKEY_new_raw_private_key_ex(NULL, "HMAC", NULL, (uint8_t *)pem, strlen(pem));
    own(freep) char *confused = test_good_token(mac, ALG_HS256, NULL, NULL);
    struct verifier *v = test_verifier_of(rsa, ALG_RS256, NULL, test_options());
    jwt_t *jwt = NULL;

    assert_int_equal(jwt_decode(&jwt, confused, (const unsigned char *)pem, (int)strlen(pem)), 0);
    jwt_free(jwt);
    test_refuse(v, confused, "wrong algorithm");
    verifier_unref(v);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(mac);
}

static void the_key_chooses_the_algorithm(void **state)
{
    static const enum jwt_algorithm algorithms[] = {ALG_RS256, ALG_ES256, ALG_ES384, ALG_ES512};

    for (size_t n = 0; n < ARRAY_LEN(algorithms); n++) {
        EVP_PKEY *pkey = test_key(algorithms[n]);
        own(freep) char *pem = test_pem(pkey, true);
        own(freep) char *file = test_file("choose.pem", pem, strlen(pem), 0600);
        struct token_request request = request_with(file);
        own(freep) char *token = issue(&request);
        own(json_freep) json_t *header = part_of(token, 0);
        own(text_done) struct text id = {0};
        assert_true(public_key_thumbprint(pkey, &id, NULL));
        assert_string_equal(json_string_value(json_object_get(header, "alg")), jwt_algorithm_name(algorithms[n]));
        assert_string_equal(json_string_value(json_object_get(header, "kid")), id.data);
        request.key_id = "k-2026";
        own(freep) char *named = issue(&request);
        own(json_freep) json_t *named_header = part_of(named, 0);
        assert_string_equal(json_string_value(json_object_get(named_header, "kid")), "k-2026");
        EVP_PKEY_free(pkey);
    }
}

static void a_secret_leaves_no_thumbprint(void **state)
{
    own(freep) char *file = test_file("hs.secret", SECRET "\n", strlen(SECRET) + 1, 0600);
    struct token_request request = request_with(file);

    refuse_issue(&request, "name the algorithm");
    request.algorithm = "HS512";
    own(freep) char *token = issue(&request);
    own(json_freep) json_t *header = part_of(token, 0);
    assert_null(json_object_get(header, "kid"));
    struct issuer_options options = test_options();
    options.secret_file = file;
    options.algorithm = "HS512";
    struct verifier *v = test_verifier(&options);
    identity_unref(test_accept(v, token));
    verifier_unref(v);
}

static void thumbprint_of_rfc_7638(void **state)
{
    static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0vx7agoebGcQSuuPiLJX\n"
                              "ZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tS\n"
                              "oc/BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ/2W+5JsGY4Hc5n9yBXArwl93lqt\n"
                              "7/RN5w6Cf0h4QyQ5v+65YGjQR0/FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0\n"
                              "zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt+bFTWhAI4vMQFh6WeZu0f\n"
                              "M4lFd2NcRwr3XPksINHaQ+G/xBniIqbw0Ls1jF44+csFCur+kEgU8awapJzKnqDK\n"
                              "gwIDAQAB\n"
                              "-----END PUBLIC KEY-----\n";
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    own(text_done) struct text thumbprint = {0};

    assert_non_null(pkey);
    assert_true(public_key_thumbprint(pkey, &thumbprint, NULL));
    assert_string_equal(thumbprint.data, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    EVP_PKEY_free(pkey);
    BIO_free(bio);
}

static void requests_that_are_refused(void **state)
{
    EVP_PKEY *p256 = test_key(ALG_ES256), *ed = test_key(ALG_EDDSA), *weak = EVP_RSA_gen(1024);
    own(freep) char *pem = test_pem(p256, true), *ed_pem = test_pem(ed, true), *weak_pem = test_pem(weak, true);
    own(freep) char *public = test_pem(p256, false);
    own(freep) char *file = test_file("r.pem", pem, strlen(pem), 0600);
    own(freep) char *open_file = test_file("open.pem", pem, strlen(pem), 0644);
    own(freep) char *ed_file = test_file("ed.pem", ed_pem, strlen(ed_pem), 0600);
    own(freep) char *weak_file = test_file("weak.pem", weak_pem, strlen(weak_pem), 0600);
    own(freep) char *public_file = test_file("public.pem", public, strlen(public), 0600);
    own(freep) char *short_file = test_file("short.secret", SECRET, 20, 0600);
    static const char *const odd_roles[] = {"two words"}, *const empty_role[] = {""};
    own(freep) char *long_subject = xmalloc(258);
    memset(long_subject, 's', 257);
    long_subject[257] = '\0';
    struct token_request r;

#define REFUSE(change, words)    \
    do {                         \
        r = request_with(file);  \
        change;                  \
        refuse_issue(&r, words); \
    } while (0)
    REFUSE(r.issuer = "", "issuer");
    REFUSE(r.audience = NULL, "audience");
    REFUSE(r.subject = "", "subject");
    REFUSE(r.subject = NULL, "subject");
    REFUSE(r.subject = "a\nb", "subject");
    REFUSE(r.subject = "\xff", "subject");
    REFUSE(r.subject = long_subject, "subject");
    REFUSE(r.roles = odd_roles; r.role_count = 1, "role");
    REFUSE(r.roles = empty_role; r.role_count = 1, "role");
    REFUSE(r.role_count = 65, "64 roles");
    REFUSE(r.ttl_s = 0, "time to live");
    REFUSE(r.ttl_s = 366 * 86400 + 1, "time to live");
    REFUSE(r.key_id = "", "key id");
    REFUSE(r.key_file = NULL, "key file");
    REFUSE(r.key_file = "/nonexistent.pem", "/nonexistent.pem");
    REFUSE(r.key_file = open_file, "chmod 600");
    REFUSE(r.key_file = ed_file, "RSA and EC");
    REFUSE(r.key_file = weak_file, "1024 bits");
    REFUSE(r.key_file = public_file, "not a private key");
    REFUSE(r.key_file = short_file; r.algorithm = "HS256", "too short");
    REFUSE(r.algorithm = "ES384", "cannot issue with ES384; it fits ES256");
    REFUSE(r.algorithm = "PS256", "cannot issue with PS256");
    REFUSE(r.algorithm = "HS256", "cannot issue with HS256");
    REFUSE(r.algorithm = "none", "unknown");
#undef REFUSE
    EVP_PKEY_free(p256);
    EVP_PKEY_free(ed);
    EVP_PKEY_free(weak);
}

static void an_encrypted_key_asks_no_terminal(void **state)
{
    EVP_PKEY *p256 = test_key(ALG_ES256);
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;

    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, p256, EVP_aes_256_cbc(), "secret", 6, NULL, NULL), 1);
    long len = BIO_get_mem_data(bio, &data);
    own(freep) char *file = test_file("encrypted.pem", data, (size_t)len, 0600);
    struct token_request request = request_with(file);
    refuse_issue(&request, "encrypted");
    BIO_free(bio);
    EVP_PKEY_free(p256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generated_keys_issue_tokens_that_verify),
        cmocka_unit_test(generating_never_overwrites),
        cmocka_unit_test(libjwt_and_we_agree),
        cmocka_unit_test(what_libjwt_accepts_we_refuse),
        cmocka_unit_test(the_key_chooses_the_algorithm),
        cmocka_unit_test(a_secret_leaves_no_thumbprint),
        cmocka_unit_test(thumbprint_of_rfc_7638),
        cmocka_unit_test(requests_that_are_refused),
        cmocka_unit_test(an_encrypted_key_asks_no_terminal),
    };
    return cmocka_run_group_tests(tests, test_folder_make, test_folder_remove);
}
