/* The claims: every one that is required, and its limits. */
#include "unit/auth_tokens.h"

static EVP_PKEY *mac;

static int make(void **state)
{
    mac = test_key(ALG_HS256);
    return test_folder_make(state);
}

static int unmake(void **state)
{
    EVP_PKEY_free(mac);
    return test_folder_remove(state);
}

static struct verifier *verifier_with(struct issuer_options options)
{
    return test_verifier_of(mac, ALG_HS256, NULL, options);
}

#define BASE "\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\",\"sub\":\"alice\""

/* Judges claims given as members without their braces; reason NULL: they must be accepted. */
static void judge(const struct verifier *v, const char *header, const char *members, const char *reason)
{
    own(freep) char *claims = xprintf("{%s}", members);
    own(freep) char *token = test_token(mac, ALG_HS256, header, claims);

    if (reason)
        test_refuse(v, token, reason);
    else
        identity_unref(test_accept(v, token));
}

#define HS "{\"alg\":\"HS256\"}"
#define AT_JWT "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}"

/* "%lld" in a format is NOW plus the offset */
static void judge_at(const struct verifier *v, const char *name, int64_t offset, const char *reason)
{
    own(freep) char *members = str_eq(name, "exp") ? xprintf(BASE ",\"exp\":%lld", (long long)(NOW + offset))
                                                   : xprintf(BASE ",\"exp\":%lld,\"%s\":%lld", (long long)NOW + 1000,
                                                             name, (long long)(NOW + offset));
    judge(v, HS, members, reason);
}

static void times_with_leeway(void **state)
{
    struct verifier *v = verifier_with(test_options()); /* leeway 30 s, lifetime 86400 s */

    judge_at(v, "exp", 1, NULL);
    judge_at(v, "exp", -29, NULL);
    judge_at(v, "exp", -30, "expired");
    judge_at(v, "exp", -1000000, "expired");
    judge_at(v, "nbf", 30, NULL);
    judge_at(v, "nbf", 31, "not yet valid");
    judge_at(v, "iat", 30, NULL);
    judge_at(v, "iat", 31, "issued in the future");
    judge_at(v, "iat", 1000, "issued in the future");
    judge_at(v, "iat", -85400, NULL); /* exp - iat is 86400 */
    judge_at(v, "iat", -85401, "lifetime too long");
    judge_at(v, "exp", 86430, NULL); /* without iat, from now on */
    judge_at(v, "exp", 86431, "lifetime too long");
    judge_at(v, "exp", 1000000000, "lifetime too long");
    verifier_unref(v);
}

static void times_without_leeway(void **state)
{
    struct issuer_options options = test_options();
    options.leeway_s = 0;
    options.lifetime_max_s = 2000;
    struct verifier *v = verifier_with(options);

    judge_at(v, "exp", 1, NULL);
    judge_at(v, "exp", 0, "expired"); /* RFC 7519 §4.1.4: on or after */
    judge_at(v, "nbf", 0, NULL);
    judge_at(v, "nbf", 1, "not yet valid");
    judge_at(v, "iat", -1000, NULL);
    judge_at(v, "iat", -1001, "lifetime too long");
    verifier_unref(v);
}

static void times_must_be_sensible_numbers(void **state)
{
    static const char *const bad[] = {"\"1767323145\"", "null",         "true",  "[1767323145]",        "{}",  "-1",
                                      "-0.5",           "253402300800", "1e300", "9223372036854775807", "\"\""};
    static const char *const names[] = {"exp", "nbf", "iat"};
    struct verifier *v = verifier_with(test_options());

    for (size_t n = 0; n < ARRAY_LEN(names); n++) {
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
            own(freep) char *members = str_eq(names[n], "exp")
                                           ? xprintf(BASE ",\"exp\":%s", bad[i])
                                           : xprintf(BASE ",\"exp\":1767323145,\"%s\":%s", names[n], bad[i]);
            judge(v, HS, members, "malformed time");
        }
    }
    judge(v, HS, BASE, "missing expiry");
    judge(v, HS, BASE ",\"exp\":99999999999999999999", "malformed claims");
    judge(v, HS, BASE ",\"exp\":1767323145.75,\"iat\":1767323000.25,\"nbf\":1767323000.5", NULL);
    judge(v, HS, BASE ",\"exp\":1.767323145e9", NULL);
    judge(v, HS, BASE ",\"exp\":1767323040,\"iat\":1767323040", "malformed time"); /* ends as it begins */
    verifier_unref(v);
}

static void audience(void **state)
{
    static const struct {
        const char *aud, *reason;
    } cases[] = {
        {"\"bailiff\"", NULL},
        {"\"https://bailiff.example.com\"", NULL},
        {"[\"bailiff\"]", NULL},
        {"[\"other\",\"bailiff\",\"third\"]", NULL},
        {"\"other\"", "wrong audience"},
        {"\"Bailiff\"", "wrong audience"},
        {"\"bailiff \"", "wrong audience"},
        {"\"bailiff other\"", "wrong audience"},
        {"\"\"", "wrong audience"},
        {"[\"other\"]", "wrong audience"},
        {"[]", "malformed audience"},
        {"null", "malformed audience"},
        {"1", "malformed audience"},
        {"{\"bailiff\":1}", "malformed audience"},
        {"[\"bailiff\",1]", "malformed audience"},
        {"[[\"bailiff\"]]", "malformed audience"},
    };
    struct verifier *v = verifier_with(test_options());

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        own(freep) char *members =
            xprintf("\"iss\":\"" ISSUER "\",\"sub\":\"alice\",\"exp\":1767323145,\"aud\":%s", cases[i].aud);
        judge(v, HS, members, cases[i].reason);
    }
    judge(v, HS, "\"iss\":\"" ISSUER "\",\"sub\":\"alice\",\"exp\":1767323145", "missing audience");
    struct text many = {0};
    text_append_str(&many, "\"iss\":\"" ISSUER "\",\"sub\":\"alice\",\"exp\":1767323145,\"aud\":[\"bailiff\"");
    for (int i = 0; i < 64; i++)
        text_append_str(&many, ",\"x\"");
    text_append_str(&many, "]");
    judge(v, HS, many.data, "malformed audience");
    text_done(&many);
    verifier_unref(v);
}

static char *repeat(char c, size_t count)
{
    char *s = xmalloc(count + 1);

    memset(s, c, count);
    s[count] = '\0';
    return s;
}

static void names(void **state)
{
    static const struct {
        const char *claim, *reason;
    } kinds[] = {{"sub", "malformed subject"},
                 {"jti", "malformed token id"},
                 {"azp", "malformed client"},
                 {"client_id", "malformed client"}};
    static const char *const bad[] = {
        "\"\"", "1", "null", "[\"a\"]", "\"a\\nb\"", "\"a\\u007fb\"", "\"a\\u0085b\"", "\"\\u001b[2J\""};
    own(freep) char *longest = repeat('x', 256), *too_long = repeat('x', 257);
    struct verifier *v = verifier_with(test_options());

    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        bool subject = str_eq(kinds[k].claim, "sub");
        const char *base = subject ? "\"iss\":\"" ISSUER "\",\"aud\":\"bailiff\"" : BASE;
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
            own(freep) char *members = xprintf("%s,\"exp\":1767323145,\"%s\":%s", base, kinds[k].claim, bad[i]);
            judge(v, HS, members, kinds[k].reason);
        }
        own(freep) char *fits = xprintf("%s,\"exp\":1767323145,\"%s\":\"%s\"", base, kinds[k].claim, longest);
        own(freep) char *exceeds = xprintf("%s,\"exp\":1767323145,\"%s\":\"%s\"", base, kinds[k].claim, too_long);
        judge(v, HS, fits, NULL);
        judge(v, HS, exceeds, kinds[k].reason);
    }
    judge(v, HS, "\"iss\":\"" ISSUER "\",\"aud\":\"bailiff\",\"exp\":1767323145", "missing subject");
    judge(v, HS, "\"iss\":\"" ISSUER "\",\"aud\":\"bailiff\",\"sub\":\"Zo\xc3\xab M\xc3\xbcller\",\"exp\":1767323145",
          NULL);
    verifier_unref(v);
}

static void client_id_goes_before_azp(void **state)
{
    struct verifier *v = verifier_with(test_options());
    own(freep) char *token = test_good_token(mac, ALG_HS256, NULL, ",\"azp\":\"a\",\"client_id\":\"c\"");
    struct identity *i = test_accept(v, token);

    assert_string_equal(i->client, "c");
    identity_unref(i);
    verifier_unref(v);
}

static void types(void **state)
{
    static const struct {
        const char *type;
        bool jwt, at_jwt;
    } cases[] = {
        {NULL, true, false},
        {"JWT", true, false},
        {"jwt", true, false},
        {"application/jwt", true, false},
        {"at+jwt", true, true},
        {"AT+JWT", true, true},
        {"application/at+jwt", true, true},
        {"Application/AT+JWT", true, true},
        {"JOSE", false, false},
        {"dpop+jwt", false, false},
        {"logout+jwt", false, false},
        {"application/", false, false},
        {"text/jwt", false, false},
        {"at+jwt ", false, false},
        {"secevent+jwt", false, false},
    };
    struct issuer_options options = test_options();
    struct verifier *jwt = verifier_with(options);
    options.profile = TOKEN_PROFILE_AT_JWT;
    struct verifier *at_jwt = verifier_with(options);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        own(freep) char *header =
            cases[i].type ? xprintf("{\"alg\":\"HS256\",\"typ\":\"%s\"}", cases[i].type) : xstrdup(HS);
        judge(jwt, header, BASE ",\"exp\":1767323145", cases[i].jwt ? NULL : "wrong type");
        judge(at_jwt, header, BASE ",\"exp\":1767323145", cases[i].at_jwt ? NULL : "wrong type");
    }
    verifier_unref(jwt);
    verifier_unref(at_jwt);
}

#define DIGEST "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" /* of the bytes 0 to 31 */

static const struct {
    const char *cnf, *reason;
} confirmations[] = {
    {"{\"x5t#S256\":\"" DIGEST "\"}", "no client certificate"},
    {"{\"x5t#S256\":\"" DIGEST "=\"}", "sender-constrained"},
    {"{\"x5t#S256\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9\"}", "sender-constrained"}, /* unused bits */
    {"{\"x5t#S256\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg\"}", "sender-constrained"},
    {"{\"x5t#S256\":\"" DIGEST "AA\"}", "sender-constrained"},
    {"{\"x5t#S256\":\"\"}", "sender-constrained"},
    {"{\"x5t#S256\":7}", "sender-constrained"},
    {"{\"x5t#S256\":null}", "sender-constrained"},
    {"{\"x5t#S256\":[\"" DIGEST "\"]}", "sender-constrained"},
    {"{\"x5t#s256\":\"" DIGEST "\"}", "sender-constrained"},
    {"{\"x5t\":\"" DIGEST "\"}", "sender-constrained"},
    {"{\"x5t#S256\":\"" DIGEST "\",\"jkt\":\"x\"}", "sender-constrained"},
    {"{\"jwk\":{},\"x5t#S256\":\"" DIGEST "\"}", "sender-constrained"},
    {"{}", "sender-constrained"},
    {"[]", "sender-constrained"},
    {"[{\"x5t#S256\":\"" DIGEST "\"}]", "sender-constrained"},
    {"\"" DIGEST "\"", "sender-constrained"},
    {"true", "sender-constrained"},
};

static void confirmation_and_use(void **state)
{
    struct issuer_options options = test_options();
    struct verifier *any = verifier_with(options);
    options.require_token_use = true;
    struct verifier *access = verifier_with(options);

    judge(any, AT_JWT, BASE ",\"exp\":1767323145,\"cnf\":{\"jkt\":\"x\"}", "sender-constrained");
    judge(any, HS, BASE ",\"exp\":1767323145,\"cnf\":null", "sender-constrained");
    for (size_t i = 0; i < ARRAY_LEN(confirmations); i++) {
        own(freep) char *claims = xprintf(BASE ",\"exp\":1767323145,\"cnf\":%s", confirmations[i].cnf);
        judge(any, HS, claims, confirmations[i].reason);
    }
    judge(any, HS, BASE ",\"exp\":1767323145,\"token_use\":\"id\"", NULL);
    judge(access, HS, BASE ",\"exp\":1767323145,\"token_use\":\"access\"", NULL);
    judge(access, HS, BASE ",\"exp\":1767323145,\"token_use\":\"id\"", "wrong token use");
    judge(access, HS, BASE ",\"exp\":1767323145,\"token_use\":[\"access\"]", "wrong token use");
    judge(access, HS, BASE ",\"exp\":1767323145", "wrong token use");
    verifier_unref(any);
    verifier_unref(access);
}

/* Cheap things first: a wrong claim is told before a signature is looked at, a bad signature before roles. */
static void order_of_judgement(void **state)
{
    struct verifier *v = verifier_with(test_options());
    own(freep) char *token = test_good_token(mac, ALG_HS256, NULL, ",\"roles\":7");
    char *signature = strrchr(token, '.') + 1;

    test_refuse(v, token, "malformed roles");
    signature[0] = signature[0] == 'A' ? 'B' : 'A';
    test_refuse(v, token, "bad signature");
    own(freep) char *late = test_token(mac, ALG_HS256, HS, "{" BASE ",\"exp\":1}");
    signature = strrchr(late, '.') + 1;
    signature[0] = signature[0] == 'A' ? 'B' : 'A';
    test_refuse(v, late, "expired");
    verifier_unref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_with_leeway),
        cmocka_unit_test(times_without_leeway),
        cmocka_unit_test(times_must_be_sensible_numbers),
        cmocka_unit_test(audience),
        cmocka_unit_test(names),
        cmocka_unit_test(client_id_goes_before_azp),
        cmocka_unit_test(types),
        cmocka_unit_test(confirmation_and_use),
        cmocka_unit_test(order_of_judgement),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
