/* Roles of a token: by pointer, prefix and mapping, within limits. */
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

static char *repeat(char c, size_t count)
{
    char *s = xmalloc(count + 1);

    memset(s, c, count);
    s[count] = '\0';
    return s;
}

/* Roles of a token with these further claims, joined with spaces; or the refusal that is expected. */
static void judge_roles(const struct verifier *v, const char *more, const char *expected, const char *reason)
{
    own(freep) char *token = test_good_token(mac, ALG_HS256, NULL, more);
    own(text_done) struct text joined = {0};

    if (reason) {
        test_refuse(v, token, reason);
        return;
    }
    struct identity *identity = test_accept(v, token);
    for (size_t i = 0; i < identity->role_count; i++)
        text_printf(&joined, "%s%s", i ? " " : "", identity->roles[i]);
    assert_string_equal(joined.data ? joined.data : "", expected);
    identity_unref(identity);
}

static void roles_of_the_default_claim(void **state)
{
    struct verifier *v = verifier_with(test_options());

    judge_roles(v, "", "", NULL);
    judge_roles(v, ",\"roles\":[]", "", NULL);
    judge_roles(v, ",\"roles\":\"\"", "", NULL);
    judge_roles(v, ",\"roles\":[\"B\",\"A\",\"B\",\"C\",\"A\"]", "A B C", NULL);
    judge_roles(v, ",\"roles\":\"  B A  B \"", "A B", NULL);
    judge_roles(v, ",\"roles\":[\"two words\",\"\",\"ok\",\"t\\tab\",\"\xc3\xa9\"]", "ok", NULL);
    judge_roles(v, ",\"roles\":1", NULL, "malformed roles");
    judge_roles(v, ",\"roles\":null", NULL, "malformed roles");
    judge_roles(v, ",\"roles\":true", NULL, "malformed roles");
    judge_roles(v, ",\"roles\":{\"A\":true}", NULL, "malformed roles");
    judge_roles(v, ",\"roles\":[\"A\",1]", NULL, "malformed roles");
    judge_roles(v, ",\"roles\":[[\"A\"]]", NULL, "malformed roles");
    own(freep) char *longest = repeat('R', 128);
    own(freep) char *more = xprintf(",\"roles\":[\"%s\",\"%sX\"]", longest, longest);
    judge_roles(v, more, longest, NULL);
    verifier_unref(v);
}

static void roles_of_nested_claims(void **state)
{
    static const char *const claims[] = {"/realm_access/roles", "/https:~1~1example.com~1groups", "/scope", "/list/1"};
    struct issuer_options options = test_options();
    options.role_claims = claims;
    options.role_claim_count = ARRAY_LEN(claims);
    struct verifier *v = verifier_with(options);

    judge_roles(v, ",\"roles\":[\"NOT_ASKED_FOR\"]", "", NULL);
    judge_roles(v,
                ",\"realm_access\":{\"roles\":[\"A\"]},\"https://example.com/groups\":[\"B\"],\"scope\":\"C "
                "D\",\"list\":[0,\"E\"]",
                "A B C D E", NULL);
    judge_roles(v, ",\"realm_access\":\"A\"", "", NULL);
    judge_roles(v, ",\"realm_access\":{\"roles\":7},\"scope\":\"C\"", NULL, "malformed roles");
    verifier_unref(v);
}

static void roles_mapped(void **state)
{
    static const struct role_mapping map[] = {{"Data Analysts", "TAIPY_READER"},
                                              {"editors", "TAIPY_EDITOR"},
                                              {"editors", "TAIPY_READER"},
                                              {"ops", "TAIPY_EXECUTOR"}};
    struct issuer_options options = test_options();
    options.role_map = map;
    options.role_map_count = ARRAY_LEN(map);
    struct verifier *v = verifier_with(options);

    judge_roles(v, ",\"roles\":[\"Data Analysts\"]", "TAIPY_READER", NULL);
    judge_roles(v, ",\"roles\":[\"editors\",\"ops\",\"others\"]", "TAIPY_EDITOR TAIPY_EXECUTOR TAIPY_READER", NULL);
    judge_roles(v, ",\"roles\":[\"TAIPY_ADMIN\",\"Editors\",\"editors \"]", "",
                NULL); /* ours by name is not ours by map */
    verifier_unref(v);
}

static void roles_prefixed(void **state)
{
    static const struct role_mapping map[] = {{"read", "TAIPY_READER"}};
    struct issuer_options options = test_options();
    options.role_prefix = "bailiff-";
    struct verifier *v = verifier_with(options);

    judge_roles(
        v, ",\"roles\":[\"bailiff-TAIPY_READER\",\"TAIPY_ADMIN\",\"other-TAIPY_ADMIN\",\"bailiff-\",\"BAILIFF-X\"]",
        "TAIPY_READER", NULL);
    verifier_unref(v);
    options.role_map = map;
    options.role_map_count = 1;
    v = verifier_with(options);
    judge_roles(v, ",\"roles\":\"bailiff-read read bailiff-TAIPY_ADMIN\"", "TAIPY_READER", NULL);
    verifier_unref(v);
}

static void roles_limited(void **state)
{
    struct issuer_options options = test_options();
    struct verifier *v = verifier_with(options);
    struct text more = {0};

    text_append_str(&more, ",\"roles\":\"A");
    for (int i = 1; i < 64; i++)
        text_append_str(&more, " A");
    text_append_str(&more, "\"");
    judge_roles(v, more.data, "A", NULL); /* 64, whatever they are */
    more.data[more.len - 1] = ' ';
    text_append_str(&more, "A\"");
    judge_roles(v, more.data, NULL, "too many roles");
    verifier_unref(v);
    options.roles_max = 2;
    v = verifier_with(options);
    judge_roles(v, ",\"roles\":[\"A\",\"B\"]", "A B", NULL);
    judge_roles(v, ",\"roles\":[\"A\",\"B\",\"C\"]", NULL, "too many roles");
    verifier_unref(v);
    text_done(&more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_of_the_default_claim),
        cmocka_unit_test(roles_of_nested_claims),
        cmocka_unit_test(roles_mapped),
        cmocka_unit_test(roles_prefixed),
        cmocka_unit_test(roles_limited),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
