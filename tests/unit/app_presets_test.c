/* Presets: what each sets, what of it the file may say otherwise, and issuers that cannot be meant. */
#include "app_kit.h"

#include "app/config_schema.h"

/* The effective settings of one issuer, or what is wrong with it. */
static char *issuer_settings(const char *issuer)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *path = folder_file(&f, "bailiff.yaml"), *said = NULL;
    own(freep) char *yaml =
        xprintf("server:\n  public_url: https://localhost:8443\n"
                "  listeners: [{address: 127.0.0.1, port: 8443, certificate: server.pem, key: server-key.pem}]\n"
                "store: {folder: data}\napplication: app.toml\npolicy: {roles: roles.yaml}\n"
                "execution: {socket: /run/bailiff/runner.sock}\n"
                "issuers:\n  - %s\n",
                issuer);
    own(text_done) struct text out = {0};
    struct problems problems;
    size_t len;

    folder_write(&f, "bailiff.yaml", yaml, 0600);
    own(config_freep) struct config *c = config_load(path, CONFIG_TEXT, &problems);
    FILE *file = open_memstream(&said, &len);
    problems_print(&problems, file);
    fclose(file);
    problems_done(&problems);
    if (said[0])
        return text_replaced(said, path, "@");
    config_print(c, &out);
    const char *from = strstr(out.data, "issuers:\n"), *to = strstr(out.data, "cors:\n");
    return xstrndup(from, (size_t)(to - from));
}

static void test_what_each_sets(void **state)
{
    static const char *const issuers[] = {
        "{preset: keycloak, issuer: https://sso.example.com/realms/main, audiences: [bailiff, a/b]}",
        "{preset: entra, issuer: https://login.microsoftonline.com/7d3c0000-0000-0000-0000-000000000000/v2.0, "
        "audiences: [6f1e0000-0000-0000-0000-000000000000]}",
        "{preset: okta, issuer: https://example.okta.com/oauth2/default, audiences: [\"api://default\"]}",
        "{preset: auth0, issuer: https://example.eu.auth0.com/, audiences: [https://bailiff.example.com]}",
        "{preset: google, issuer: https://accounts.google.com, audiences: [x.apps.googleusercontent.com], "
        "role_map: {example.com: TAIPY_READER}}",
    };
    own(text_done) struct text all = {0};

    for (size_t i = 0; i < ARRAY_LEN(issuers); i++) {
        own(freep) char *settings = issuer_settings(issuers[i]);
        text_append_str(&all, settings);
    }
    assert_golden("config_presets.txt", all.data);
}

static void test_what_is_given_stays(void **state)
{
    own(freep) char *s = issuer_settings(
        "{preset: keycloak, issuer: https://sso.example.com/realms/main, audiences: [bailiff], algorithms: [EdDSA], "
        "role_claims: [/groups], jwks_uri: https://sso.example.com/keys, require_claims: {/typ: DPoP, /azp: portal}, "
        "profile: at+jwt}");

    assert_non_null(strstr(s, "algorithms: [EdDSA]"));
    assert_non_null(strstr(s, "role_claims: [/groups]"));
    assert_non_null(strstr(s, "jwks_uri: https://sso.example.com/keys"));
    assert_non_null(strstr(s, "profile: at+jwt"));
    assert_non_null(strstr(s, "require_claims: {/typ: DPoP, /azp: portal}"));
    assert_null(strstr(s, "discovery"));
}

static void check_refused(const char *issuer, const char *words)
{
    own(freep) char *said = issuer_settings(issuer);

    if (!strstr(said, "@:") || !strstr(said, words))
        fail_msg("\"%s\" does not hold \"%s\"", said, words);
}

static void test_issuers_that_cannot_be_meant(void **state)
{
    static const char *const bad[] = {
        "{preset: keycloak, issuer: https://sso.example.com/realms/main/, audiences: [b]}",
        "{preset: keycloak, issuer: https://sso.example.com, audiences: [b]}",
        "{preset: entra, issuer: https://login.microsoftonline.com/common/v2.0, audiences: [b]}",
        "{preset: entra, issuer: https://sts.windows.net/7d3c0000-0000-0000-0000-000000000000/, audiences: [b]}",
        "{preset: okta, issuer: https://example.okta.com, audiences: [b]}",
        "{preset: auth0, issuer: https://example.auth0.com, audiences: [b]}",
        "{preset: google, issuer: accounts.google.com, audiences: [b]}",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        check_refused(bad[i], "is not what this preset's look like");
}

static void test_fetching_is_checked(void **state)
{
    check_refused("{issuer: https://i.example.com, audiences: [b], jwks_uri: http://i.example.com/keys}",
                  "does not begin with https://");
    check_refused("{issuer: https://i.example.com, audiences: [b], discovery: yes}", "neither true nor an address");
    check_refused("{issuer: corp, audiences: [b], discovery: true}", "needs an issuer that begins with https://");
    check_refused("{issuer: https://i.example.com, audiences: [b], discovery: true, jwks_file: x.json}",
                  "more than one source of keys");
    check_refused("{issuer: https://i.example.com, audiences: [b], jwks_file: x.json, keys_stale_max: 1h}",
                  "keys_stale_max is for keys that are fetched");
    check_refused("{issuer: https://i.example.com, audiences: [b], discovery: true, algorithms: [HS256]}",
                  "does not fit public keys");
    check_refused("{issuer: https://i.example.com, audiences: [b], discovery: true, require_claims: {tid: x}}",
                  "is not a JSON pointer");
    check_refused("{issuer: https://i.example.com, audiences: [b], discovery: true, keys_refresh_max: 25h}",
                  "is out of range");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_each_sets),
        cmocka_unit_test(test_what_is_given_stays),
        cmocka_unit_test(test_issuers_that_cannot_be_meant),
        cmocka_unit_test(test_fetching_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
