/* The command line: help, mistakes, and the subcommands that need no server. */
#include "app_kit.h"

#include "app/commands.h"
#include "bailiff/auth.h"
#include "bailiff/clock.h"

struct said {
    int status;
    char *out, *err;
};

static void said_done(struct said *s)
{
    free(s->out);
    free(s->err);
}

/* Words separated by single blanks; "@" is the folder. */
static struct said run(const char *words, const struct folder *f)
{
    own(freep) char *line = f ? text_replaced(words, "@", f->path) : xstrdup(words);
    char *argv[32], *word, *rest = line;
    struct said s = {0};
    size_t out_len, err_len;
    FILE *out = open_memstream(&s.out, &out_len), *err = open_memstream(&s.err, &err_len);
    int argc = 0;

    while ((word = strsep(&rest, " ")) && argc < 31)
        argv[argc++] = word;
    argv[argc] = NULL;
    s.status = commands_run_to(argc, argv, out, err);
    fclose(out);
    fclose(err);
    return s;
}

static void assert_said(const char *words, int status, const char *out, const char *err)
{
    own(said_done) struct said s = run(words, NULL);

    assert_string_equal(s.err, err);
    assert_string_equal(s.out, out);
    assert_int_equal(s.status, status);
}

/* ---- help ---- */
static void test_help(void **state)
{
    static const char *const ASKED[] = {"bailiff help",
                                        "bailiff help serve",
                                        "bailiff help check-config",
                                        "bailiff help token issue",
                                        "bailiff help token keygen",
                                        "bailiff help policy matrix",
                                        "bailiff help policy permissions",
                                        "bailiff help audit verify",
                                        "bailiff help runner",
                                        "bailiff help keeper",
                                        "bailiff help tasks list",
                                        "bailiff help tasks show",
                                        "bailiff help tasks create",
                                        "bailiff help tasks submit",
                                        "bailiff help tasks delete",
                                        "bailiff help jobs list",
                                        "bailiff help jobs show",
                                        "bailiff help jobs log",
                                        "bailiff help jobs events",
                                        "bailiff help jobs create",
                                        "bailiff help jobs submit",
                                        "bailiff help jobs cancel",
                                        "bailiff help jobs delete",
                                        "bailiff help submissions list",
                                        "bailiff help submissions show",
                                        "bailiff help queue status",
                                        "bailiff help queue pause",
                                        "bailiff help queue resume"};
    own(text_done) struct text all = {0};

    for (size_t i = 0; i < ARRAY_LEN(ASKED); i++) {
        own(said_done) struct said s = run(ASKED[i], NULL);

        assert_int_equal(s.status, 0);
        assert_string_equal(s.err, "");
        text_printf(&all, "$ %s\n%s\n", ASKED[i], s.out);
    }
    own(freep) char *unversioned = text_replaced(all.data, BAILIFF_VERSION, "VERSION");
    assert_golden("commands_help.txt", unversioned);
}

static void test_other_ways_to_ask(void **state)
{
    own(said_done) struct said help = run("bailiff help", NULL), dashes = run("bailiff --help", NULL),
                               bare = run("bailiff", NULL);
    own(said_done) struct said one = run("bailiff help token issue", NULL),
                               other = run("bailiff token issue --help", NULL);

    assert_string_equal(dashes.out, help.out);
    assert_string_equal(bare.out, "");
    assert_string_equal(bare.err, help.out);
    assert_int_equal(bare.status, 2);
    assert_string_equal(one.out, other.out);
    assert_said("bailiff --version", 0, "bailiff " BAILIFF_VERSION "\n", "");
}

/* ---- mistakes ---- */
static void test_wrong_command_lines(void **state)
{
    assert_said("bailiff serv", 2, "",
                "bailiff: there is no command \"serv\"; did you mean \"serve\"? See: bailiff help\n");
    assert_said("bailiff token", 2, "",
                "bailiff: \"token\" needs a second word; there are: token issue, token keygen, token revoke, token "
                "revocations.\n");
    assert_said("bailiff token isue", 2, "",
                "bailiff: there is no command \"token isue\"; did you mean \"token issue\"? See: bailiff help\n");
    assert_said("bailiff frobnicate", 2, "", "bailiff: there is no command \"frobnicate\". See: bailiff help\n");
    assert_said("bailiff \x1b[2J", 2, "", "bailiff: there is no command \"?[2J\". See: bailiff help\n");
    assert_said("bailiff help polcy matrix", 2, "",
                "bailiff: there is no command \"polcy\"; did you mean \"policy matrix\"? See: bailiff help\n");
    assert_said("bailiff serve now", 2, "", "bailiff serve: \"now\" is not an option. See: bailiff help serve\n");
    assert_said("bailiff serve --confg x", 2, "",
                "bailiff serve: there is no option --confg; did you mean --config? See: bailiff help serve\n");
    assert_said("bailiff serve --xyzzy", 2, "", "bailiff serve: there is no option --xyzzy. See: bailiff help serve\n");
    assert_said("bailiff serve --config", 2, "",
                "bailiff serve: --config needs a value: FILE. See: bailiff help serve\n");
    assert_said("bailiff serve --config=", 2, "",
                "bailiff serve: --config needs a value: FILE. See: bailiff help serve\n");
    assert_said("bailiff serve --config a --config b", 2, "",
                "bailiff serve: --config is given twice. See: bailiff help serve\n");
    assert_said("bailiff check-config --print=yes", 2, "",
                "bailiff check-config: --print takes no value. See: bailiff help check-config\n");
    assert_said("bailiff token issue", 2, "",
                "bailiff token issue: --sub SUBJECT is missing: who the token is for. See: bailiff help token issue\n");
    assert_said(
        "bailiff token issue --sub s --key k", 2, "",
        "bailiff token issue: --key, --issuer and --audience belong together; give all three, or none of --key and "
        "--issuer.\n");
    assert_said(
        "bailiff tasks", 2, "",
        "bailiff: \"tasks\" needs a second word; there are: tasks list, tasks show, tasks create, tasks submit, "
        "tasks delete.\n");
    assert_said("bailiff tasks show", 2, "", "bailiff tasks show: TASK is missing. See: bailiff help tasks show\n");
    assert_said("bailiff tasks show a b", 2, "",
                "bailiff tasks show: \"b\" is one too many: it takes one TASK. See: bailiff help tasks show\n");
    assert_said("bailiff tasks show -a", 2, "",
                "bailiff tasks show: \"-a\" is not an option. See: bailiff help tasks show\n");
    assert_said("bailiff tasks list --all --limit 5", 2, "",
                "bailiff tasks list: give either --all or --limit, not both.\n");
    assert_said("bailiff tasks list --limit 0", 2, "",
                "bailiff tasks list: --limit must be at least 1; --all prints all.\n");
    assert_said("bailiff tasks list --created-after soon", 2, "",
                "bailiff tasks list: --created-after: \"soon\" is neither a time in RFC 3339, such as "
                "2026-01-02T03:04:05Z, nor how long ago, such as 90m.\n");
    assert_said("bailiff tasks submit T --wait soon", 2, "",
                "bailiff tasks submit: --wait: \"soon\" is no time, such as 30, 90s or 5m.\n");
    assert_said("bailiff tasks submit T --wait 5 --follow", 2, "",
                "bailiff tasks submit: give either --wait or --follow, not both.\n");
    assert_said("bailiff tasks submit T --json --follow", 2, "",
                "bailiff tasks submit: --follow prints the log; leave --json out.\n");
    assert_said("bailiff runner --work /tmp", 2, "", "bailiff runner: give one of --socket and --socket-fd.\n");
    assert_said("bailiff runner --work /tmp --socket-fd 999", 2, "",
                "bailiff runner: --socket-fd: descriptor 999 is not open; the server starts its own runner.\n");
    assert_said("bailiff runner --work /tmp --socket /tmp/s", 2, "",
                "bailiff runner: --socket needs --server-user: whoever else connects is refused.\n");
    assert_said("bailiff runner --work /tmp --socket /tmp/s --server-user bailiff-no-such-user", 2, "",
                "bailiff runner: --server-user: there is no user \"bailiff-no-such-user\".\n");
    assert_said("bailiff runner --work /tmp --socket /tmp/s --server-user 1 --uid 5", 2, "",
                "bailiff runner: --uid and --gid belong together.\n");
    assert_said("bailiff runner --work /tmp --socket /tmp/s --server-user 1 --pass-environment LD_PRELOAD", 2, "",
                "bailiff runner: --pass-environment: \"LD_PRELOAD\" cannot be passed on: it chooses the code that the "
                "runner and the interpreter load.\n");
    assert_said("bailiff policy matrix --roles a --config b", 2, "",
                "bailiff policy matrix: give either --roles or --config, not both.\n");
    assert_said("bailiff audit verify --store a --config b", 2, "",
                "bailiff audit verify: give either --store or --config, not both.\n");
}

/* ---- policy ---- */
static void test_permissions(void **state)
{
    own(said_done) struct said s = run("bailiff policy permissions", NULL);

    assert_int_equal(s.status, 0);
#define X(name, text, help) assert_non_null(strstr(s.out, text));
    PERMISSIONS(X)
#undef X
    assert_null(strstr(s.out, "public"));
}

static void test_the_matrix(void **state)
{
    own(said_done) struct said s = run("bailiff policy matrix --roles policies/roles.yaml", NULL);

    assert_int_equal(s.status, 0);
    assert_string_equal(s.err, "");
    assert_golden("policy_matrix.txt", s.out);
}

static void test_what_is_not_granted_is_denied(void **state)
{
    own(folder_done) struct folder f = folder_new();

    folder_write(&f, "roles.yaml", "version: 1\nroles: {SMALL: {permissions: [configs:read]}}\n", 0644);
    own(said_done) struct said s = run("bailiff policy matrix --roles @/roles.yaml", &f);
    assert_int_equal(s.status, 0);
    for (char *line, *rest = s.out; (line = strsep(&rest, "\n")) && line[0];)
        if (strstr(line, "tasks:") || strstr(line, "jobs:"))
            assert_non_null(strstr(line, " 401   403"));
    own(said_done) struct said missing = run("bailiff policy matrix --roles @/none.yaml", &f);
    assert_int_equal(missing.status, 1);
    assert_string_equal(missing.out, "");
}

/* ---- tokens ---- */
#define CONFIG                                                                                                        \
    "server: {public_url: https://a.example, listeners: [{address: 127.0.0.1, port: 1, tls: false}]}\n"               \
    "store: {folder: data}\napplication: app.toml\npolicy: {roles: roles.yaml}\nexecution: {same_user: unsafe}\n"     \
    "issuers:\n  - {issuer: me, audiences: [bailiff, other], jwks_file: jwks.json, token_use: access, lifetime_max: " \
    "2h}\n"
#define SIGNING "signing: {issuer: me, audience: bailiff, key: key.pem}\n"

static struct folder token_folder(const char *config)
{
    struct folder f = folder_new();
    own(said_done) struct said s = run("bailiff token keygen --private @/key.pem --jwks @/jwks.json", &f);

    assert_string_equal(s.err, "");
    assert_int_equal(s.status, 0);
    folder_write(&f, "bailiff.yaml", config, 0600);
    folder_write(&f, "roles.yaml", "version: 1\nroles: {READER: {permissions: [tasks:read]}}\n", 0644);
    return f;
}

/* Reads the token as the server would. */
static struct identity *accept_token(const struct folder *f, const char *audience, const char *token)
{
    own(freep) char *jwks = folder_file(f, "jwks.json");
    const struct issuer_options issuer = {.issuer = "me",
                                          .audiences = &audience,
                                          .audience_count = 1,
                                          .jwks_file = jwks,
                                          .lifetime_max_s = 7200,
                                          .require_token_use = true};
    struct verifier *verifier = NULL;
    struct identity *identity = NULL;
    struct fault fault = {0};

    if (!verifier_new(&issuer, 1, &verifier, &fault) ||
        !verifier_check(verifier, span_of(token), NULL, clock_wall_ms() / 1000, &identity, &fault))
        fail_msg("%s", fault.message);
    verifier_unref(verifier);
    return identity;
}

static void test_a_token_is_all_that_is_printed(void **state)
{
    own(folder_done) struct folder f = token_folder(CONFIG SIGNING);
    own(said_done) struct said s =
        run("bailiff token issue --config @/bailiff.yaml --sub ci --role READER --role=READER --ttl 90m", &f);

    assert_string_equal(s.err, "");
    assert_int_equal(s.status, 0);
    assert_int_equal(strchr(s.out, '\n') - s.out, strlen(s.out) - 1);
    s.out[strlen(s.out) - 1] = '\0';
    struct identity *identity = accept_token(&f, "bailiff", s.out);
    assert_string_equal(identity->subject, "ci");
    assert_int_equal(identity->role_count, 1);
    assert_string_equal(identity->roles[0], "READER");
    assert_int_equal(identity->expires_at_s - identity->issued_at_s, 5400);
    identity_unref(identity);
}

static void test_a_key_of_ones_own(void **state)
{
    own(folder_done) struct folder f = token_folder("");
    own(said_done) struct said s =
        run("bailiff token issue --key @/key.pem --issuer me --audience elsewhere --sub x --role ANY_ROLE", &f);

    assert_string_equal(s.err, "");
    assert_int_equal(s.status, 0);
    s.out[strlen(s.out) - 1] = '\0';
    struct identity *identity = accept_token(&f, "elsewhere", s.out);
    assert_int_equal(identity->expires_at_s - identity->issued_at_s, 3600);
    identity_unref(identity);
}

static void assert_no_token(const struct folder *f, const char *words, int status, const char *reason)
{
    own(said_done) struct said s = run(words, f);

    assert_string_equal(s.out, "");
    if (!strstr(s.err, reason))
        fail_msg("\"%s\" says nothing of \"%s\"", s.err, reason);
    assert_int_equal(s.status, status);
}

static void test_tokens_that_would_be_refused_are_not_made(void **state)
{
    own(folder_done) struct folder f = token_folder(CONFIG SIGNING);
    own(folder_done) struct folder unsigned_folder = token_folder(CONFIG), broken = token_folder("server: 1\n");

#define ISSUE "bailiff token issue --config @/bailiff.yaml --sub s "
    assert_no_token(&f, ISSUE "--ttl 3h", 2, "--ttl: 3h is longer than the 2h that the server accepts");
    assert_no_token(&f, ISSUE "--ttl 0", 2, "is not a time of at least a second");
    assert_no_token(&f, ISSUE "--ttl 1500ms", 2, "is not a time of at least a second");
    assert_no_token(&f, ISSUE "--audience x", 2, "that is not among the issuer's audiences");
    assert_no_token(&f, ISSUE "--role WRITER", 2, "--role: there is no role \"WRITER\" in ");
    assert_no_token(&unsigned_folder, ISSUE, 2, "\"\" is not an option");
    assert_no_token(&unsigned_folder, ISSUE "--ttl 1h", 3, "has no section `signing`");
    assert_no_token(&broken, ISSUE "--ttl 1h", 3, "server must be a table of settings");
    own(freep) char *key = folder_file(&f, "key.pem");
    assert_int_equal(chmod(key, 0644), 0);
    assert_no_token(&f, ISSUE "--ttl 1h", 1, "holds a secret but others can read it");
#undef ISSUE
}

static void test_keygen_overwrites_nothing(void **state)
{
    own(folder_done) struct folder f = token_folder("");
    own(freep) char *key = folder_file(&f, "key.pem");
    own(text_done) struct text before = {0}, after = {0};
    struct stat st;

    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(file_read(key, KIB(64), &before, NULL));
    own(said_done) struct said s = run("bailiff token keygen --private @/key.pem --jwks @/other.json", &f);
    assert_int_equal(s.status, 1);
    assert_true(file_read(key, KIB(64), &after, NULL));
    assert_string_equal(before.data, after.data);
}

/* ---- check-config ---- */
static void test_check_config_counts(void **state)
{
    own(folder_done) struct folder f = token_folder(CONFIG "api: {wire: x}\nlog: {level: y}\n");
    own(said_done) struct said s = run("bailiff check-config --config @/bailiff.yaml", &f);
    own(freep) char *out = text_replaced(s.out, f.path, "@");

    assert_int_equal(s.status, 1);
    assert_string_equal(s.err, "");
    assert_non_null(
        strstr(out, "@/bailiff.yaml:8: api.wire: \"x\" is not known here; choose \"documented\" or \"taipy\".\n"));
    assert_non_null(strstr(out, "@/bailiff.yaml:9: log.level: \"y\" is not known here;"));
    assert_non_null(strstr(out, "@/bailiff.yaml:5: warning: execution.same_user: unsafe"));
    assert_non_null(strstr(out, "@/bailiff.yaml: 4 mistakes, 1 warning\n")); /* and no application, no bailiff_runner */
}

static void test_check_config_is_silent_about_nothing(void **state)
{
    own(folder_done) struct folder f = token_folder(
        "server: {public_url: https://a.example, listeners: [{address: 127.0.0.1, port: 1, tls: false}]}\n"
        "limits: {connections: 10}\nstore: {folder: data}\napplication: app.yaml\npolicy: {roles: roles.yaml}\n"
        "execution: {same_user: unsafe, package: ., python: /bin/sh}\n"
        "issuers:\n  - {issuer: me, audiences: [bailiff], jwks_file: jwks.json}\n");
    own(freep) char *package = folder_file(&f, "bailiff_runner");

    assert_int_equal(mkdir(package, 0755), 0);
    folder_write(&f, "bailiff_runner/__main__.py", "", 0644);
    folder_write(&f, "app.yaml", "tasks: {t: {command: [true]}}\n", 0644);
    own(said_done) struct said good = run("bailiff check-config --config @/bailiff.yaml", &f);
    assert_non_null(strstr(good.out, ": OK, 1 warning\n"));
    assert_int_equal(good.status, 0);

    own(said_done) struct said print = run("bailiff check-config --print --config @/bailiff.yaml", &f);
    assert_int_equal(print.status, 0);
    assert_true(strncmp(print.out, "server:\n  public_url: https://a.example\n", 40) == 0);
    assert_non_null(strstr(print.err, ": OK, 1 warning\n"));

    folder_write(&f, "app.yaml", "tasks: {t: {comand: [true]}}\n", 0644);
    folder_write(&f, "roles.yaml", "version: 1\nroles: {READER: {permissions: [tasks:raed]}}\n", 0644);
    own(said_done) struct said bad = run("bailiff check-config --config @/bailiff.yaml", &f);
    assert_non_null(strstr(bad.out, "app.yaml:1: task t has no setting \"comand\"; did you mean \"command\"?\n"));
    assert_non_null(strstr(bad.out, "tasks:raed"));
    assert_int_equal(bad.status, 1);
}

/* ---- audit ---- */
static void test_audit_verify_without_a_store(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(said_done) struct said s = run("bailiff audit verify --store @/none", &f);
    own(freep) char *made = folder_file(&f, "none");
    struct stat st;

    assert_int_equal(s.status, 1);
    assert_string_equal(s.out, "");
    assert_non_null(strstr(s.err, "/none/bailiff.db: No such file or directory; give the data folder"));
    assert_int_equal(stat(made, &st), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_other_ways_to_ask),
        cmocka_unit_test(test_wrong_command_lines),
        cmocka_unit_test(test_permissions),
        cmocka_unit_test(test_the_matrix),
        cmocka_unit_test(test_what_is_not_granted_is_denied),
        cmocka_unit_test(test_a_token_is_all_that_is_printed),
        cmocka_unit_test(test_a_key_of_ones_own),
        cmocka_unit_test(test_tokens_that_would_be_refused_are_not_made),
        cmocka_unit_test(test_keygen_overwrites_nothing),
        cmocka_unit_test(test_check_config_counts),
        cmocka_unit_test(test_check_config_is_silent_about_nothing),
        cmocka_unit_test(test_audit_verify_without_a_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
