/* The configuration: every mistake in its words, every default as documented, the machine's part too. */
#include "app_kit.h"

#include "app/config_schema.h"

static char *problems_text(struct problems *problems)
{
    char *said = NULL;
    size_t len;
    FILE *out = open_memstream(&said, &len);

    problems_print(problems, out);
    fclose(out);
    return said;
}

/* What is said of a file, with the folder's name left out. */
static char *complaints(const char *path, enum config_depth depth, const char *folder)
{
    struct problems problems;
    own(config_freep) struct config *c = config_load(path, depth, &problems);
    own(freep) char *said = problems_text(&problems);
    char *result = folder ? text_replaced(said, folder, "@") : xstrdup(said);

    problems_done(&problems);
    return result;
}

static char *printed(const char *path)
{
    struct problems problems;
    own(config_freep) struct config *c = config_load(path, CONFIG_TEXT, &problems);
    own(freep) char *said = problems_text(&problems);
    own(text_done) struct text out = {0};

    if (problems.mistakes > 0)
        fail_msg("%s", said);
    problems_done(&problems);
    config_print(c, &out);
    return text_replaced(out.data, c->folder, "@");
}

/* ---- text ---- */
static void test_every_mistake_is_listed(void **state)
{
    own(freep) char *said = complaints("tests/golden/config_mistakes.yaml", CONFIG_TEXT, NULL);

    assert_golden("config_mistakes.txt", said);
}

static void test_an_empty_file_lacks_what_is_needed(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *path = folder_file(&f, "bailiff.yaml");

    folder_write(&f, "bailiff.yaml", "# nothing yet\n", 0600);
    own(freep) char *said = complaints(path, CONFIG_TEXT, f.path);
    assert_golden("config_empty.txt", said);
}

static void test_no_file(void **state)
{
    own(freep) char *said = complaints("/nonexistent/bailiff.yaml", CONFIG_TEXT, NULL);

    assert_string_equal(
        said, "/nonexistent/bailiff.yaml: cannot be read: No such file or directory; name another with --config.\n");
}

static void test_a_list_is_no_configuration(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *path = folder_file(&f, "bailiff.yaml");

    folder_write(&f, "bailiff.yaml", "- server\n", 0600);
    own(freep) char *said = complaints(path, CONFIG_TEXT, f.path);
    assert_string_equal(said, "@/bailiff.yaml:1: must be a table of settings, not a list.\n");
}

/* ---- the packaged file is the documentation ---- */
static void test_the_packaged_file_is_good(void **state)
{
    own(freep) char *said = complaints("packaging/bailiff.yaml", CONFIG_TEXT, NULL);

    assert_string_equal(said, "");
}

static void test_effective_settings(void **state)
{
    own(freep) char *out = printed("packaging/bailiff.yaml");

    assert_golden("config_printed.txt", out);
}

/* What is printed reads the same. */
static void test_printed_settings_read_back(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *path = folder_file(&f, "bailiff.yaml"), *first = printed("packaging/bailiff.yaml");
    own(freep) char *moved = text_replaced(first, "@", f.path), *again = NULL;

    folder_write(&f, "bailiff.yaml", moved, 0600);
    again = printed(path);
    assert_string_equal(again, first);
}

#define REQUIRED_IN(folder)                                                                                          \
    "server:\n  public_url: https://localhost:8443\n"                                                                \
    "  listeners: [{address: 127.0.0.1, port: 8443, certificate: server.pem, key: server-key.pem}]\n"                \
    "store: {folder: " folder "}\napplication: app.toml\npolicy: {roles: roles.yaml}\n"                              \
    "issuers: [{issuer: \"https://localhost:8443\", audiences: [bailiff], jwks_file: signing-jwks.json, token_use: " \
    "access}]\n"
#define REQUIRED REQUIRED_IN("data")

/* The packaged file shows each default; leaving them all out must make no difference. */
static void test_the_packaged_file_shows_the_defaults(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *path = folder_file(&f, "bailiff.yaml");

    folder_write(&f, "bailiff.yaml",
                 REQUIRED_IN("/var/lib/bailiff") "execution: {socket: /run/bailiff/runner.sock}\n"
                                                 "signing: {issuer: \"https://localhost:8443\", audience: bailiff, "
                                                 "key: signing-key.pem}\n",
                 0600);
    own(freep) char *defaults = printed(path), *packaged = printed("packaging/bailiff.yaml");
    assert_string_equal(defaults, packaged);
}

static void test_proxies_and_memory_are_checked(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *path = folder_file(&f, "bailiff.yaml");
    static const char text[] = "server:\n  public_url: https://localhost:8443\n"
                               "  listeners:\n"
                               "    - {address: 127.0.0.1, port: 1, certificate: a, key: b}\n"
                               "    - {address: 127.0.0.1, port: 2, certificate: a, key: b, proxy_protocol: v2}\n"
                               "    - {address: 127.0.0.1, port: 3, tls: false, ocsp_file: c, proxy_protocol: v1}\n"
                               "%s"
                               "limits:\n  connections: 100000\n  memory_budget: %s\n"
                               "  address: {refusals_per_minute: 0, refusals_burst: 5, bodies: %s}\n"
                               "store: {folder: data}\napplication: app.toml\npolicy: {roles: roles.yaml}\n"
                               "issuers: [{issuer: \"https://localhost:8443\", audiences: [bailiff], jwks_file: j}]\n"
                               "execution: {socket: /run/bailiff/runner.sock}\n";
    own(freep) char *none = xprintf(text, "", "8GiB", "127KiB");
    own(freep) char *bad =
        xprintf(text, "  trusted_proxies: [10.0.0.0/8, 10.0.0.1/8, everybody, 0.0.0.0/0, unix]\n", "1GiB", "2GiB");

    folder_write(&f, "bailiff.yaml", none, 0600);
    own(freep) char *said = complaints(path, CONFIG_TEXT, f.path);
    assert_non_null(
        strstr(said, "bailiff.yaml:5: proxy_protocol: v2 takes connections of server.trusted_proxies only"));
    assert_non_null(strstr(said, "bailiff.yaml:6: server.listeners[2].proxy_protocol: \"v1\" is not known here"));
    assert_non_null(strstr(
        said, "bailiff.yaml:6: tls: false, yet there is a certificate, key, client_ca, client_crl or ocsp_file"));
    assert_null(strstr(said, "memory_budget"));
    assert_non_null(strstr(said, "bailiff.yaml:10: limits.address.refusals_burst limits nothing with "
                                 "refusals_per_minute: 0; set that too."));
    assert_non_null(strstr(
        said, "bailiff.yaml:10: limits.address.bodies is too small: one body of the largest size takes 128 KiB"));
    folder_write(&f, "bailiff.yaml", bad, 0600);
    own(freep) char *more = complaints(path, CONFIG_TEXT, f.path);
    assert_non_null(
        strstr(more, "bailiff.yaml:7: server.trusted_proxies: \"10.0.0.1/8\" has bits set behind its prefix."));
    assert_non_null(strstr(more, "bailiff.yaml:7: server.trusted_proxies: \"everybody\" is neither an address, nor"));
    assert_non_null(strstr(more, "bailiff.yaml:7: server.trusted_proxies: \"0.0.0.0/0\" would trust everybody."));
    assert_null(strstr(more, "\"10.0.0.0/8\""));
    assert_null(strstr(more, "trusted_proxies: \"unix\""));
    assert_non_null(strstr(more, "bailiff.yaml:10: limits.memory_budget is too small: 100000 connections may need "));
    assert_non_null(strstr(more, "bailiff.yaml:11: warning: limits.address.bodies limits nothing"));
}

static void check_documented(const struct setting_table *table, const char *file)
{
    for (size_t i = 0; i < table->count; i++) {
        own(freep) char *key = xprintf("%s:", table->rows[i].name);

        if (!strstr(file, key))
            fail_msg("packaging/bailiff.yaml does not mention %s", key);
        if (table->rows[i].section)
            check_documented(table->rows[i].section, file);
    }
}

static void test_every_setting_is_documented(void **state)
{
    own(text_done) struct text file = {0};

    assert_true(file_read("packaging/bailiff.yaml", MIB(1), &file, NULL));
    check_documented(&CONFIG_SCHEMA, file.data);
}

/* ---- addresses ---- */
static void test_origins(void **state)
{
    static const char *const GOOD[] = {"https://portal.example.com", "https://portal.example.com:8443",
                                       "http://localhost:3000", "https://[2001:db8::1]:8443", "https://10.0.0.1"};
    static const char *const BAD[] = {"",
                                      "*",
                                      "null",
                                      "portal.example.com",
                                      "ftp://portal.example.com",
                                      "HTTPS://portal.example.com",
                                      "https://",
                                      "https://*.example.com",
                                      "https://Portal.example.com",
                                      "https://portal.example.com/",
                                      "https://portal.example.com/x",
                                      "https://portal.example.com?x",
                                      "https://user@portal.example.com",
                                      "https://portal.example.com:443",
                                      "http://portal.example.com:80",
                                      "https://portal.example.com:",
                                      "https://portal.example.com:0",
                                      "https://portal.example.com:08443",
                                      "https://portal.example.com:65536",
                                      "https://portal..example.com",
                                      "https://.example.com",
                                      "https://[::1",
                                      "https://[::1]x",
                                      "https://[]",
                                      "https://a b"};
    bool loopback;

    for (size_t i = 0; i < ARRAY_LEN(GOOD); i++)
        assert_null(origin_fault(GOOD[i], false, &loopback));
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++)
        if (!origin_fault(BAD[i], false, &loopback))
            fail_msg("\"%s\" passed", BAD[i]);
    assert_null(origin_fault("https://a.example/path", true, &loopback));
    assert_non_null(origin_fault("https://a.example/path/", true, &loopback));
    assert_non_null(origin_fault("https://a.example/path?q", true, &loopback));
}

static void test_loopback(void **state)
{
    bool loopback = false;

    assert_true(address_is_loopback("127.0.0.1"));
    assert_true(address_is_loopback("127.255.0.9"));
    assert_true(address_is_loopback("::1"));
    assert_true(address_is_loopback("::ffff:127.0.0.1"));
    assert_false(address_is_loopback("0.0.0.0"));
    assert_false(address_is_loopback("::"));
    assert_false(address_is_loopback("128.0.0.1"));
    assert_false(address_is_loopback("localhost.example.com"));
    assert_null(origin_fault("http://localhost", false, &loopback));
    assert_true(loopback);
    assert_null(origin_fault("http://localhost.example.com", false, &loopback));
    assert_false(loopback);
    assert_null(origin_fault("http://[::1]:80800", false, &loopback) ? NULL : "");
}

/* ---- the machine ---- */
static void write_machine(const struct folder *f)
{
    own(freep) char *package = folder_file(f, "bailiff_runner"), *program = folder_file(f, "python");

    assert_int_equal(mkdir(package, 0755), 0);
    folder_write(f, "bailiff_runner/__main__.py", "", 0644);
    folder_write(f, "python", "#!/bin/sh\n", 0755);
    own(freep) char *make = xprintf("certs/make-dev --dir %s --client alice >/dev/null", f->path);
    assert_int_equal(system(make), 0);
    folder_write(f, "signing-key.pem", "-----BEGIN PRIVATE KEY-----\n", 0600);
    folder_write(f, "app.toml", "", 0644);
    folder_write(f, "roles.yaml", "version: 1\nroles: {TAIPY_READER: {permissions: [tasks:read]}}\n", 0644);
}

#define EXECUTION(python, more) \
    "limits: {connections: 10}\nexecution: {python: " python ", package: ., same_user: unsafe" more "}\n"
#define SIGNING "signing: {issuer: \"https://localhost:8443\", audience: bailiff, key: signing-key.pem}\n"
#define UNSAFE                                                                                                      \
    "@/bailiff.yaml:9: warning: execution.same_user: unsafe lets users' code run as the server's own user: it can " \
    "read "                                                                                                         \
    "the server's keys and memory. For development only.\n"

static char *machine_complaints(const struct folder *f, const char *yaml)
{
    own(freep) char *path = folder_file(f, "bailiff.yaml"), *placed = text_replaced(yaml, "PYTHON", f->path);

    folder_write(f, "bailiff.yaml", placed, 0600);
    return complaints(path, CONFIG_MACHINE, f->path);
}

static void test_a_good_machine(void **state)
{
    own(folder_done) struct folder f = folder_new();

    write_machine(&f);
    own(freep) char *said = machine_complaints(&f, REQUIRED EXECUTION("PYTHON/python", "") SIGNING);
    assert_string_equal(said, UNSAFE);
}

/* The files are tried as the server will: not only each for itself. */
static void test_files_that_do_not_fit(void **state)
{
    static const struct {
        const char *listener, *said;
    } cases[] = {
        {"certificate: server.pem, key: client-alice-key.pem", "is not the key of the certificate"},
        {"certificate: server.pem, key: server-key.pem, client_ca: client-alice.pem", "a certificate that is no CA's"},
        {"certificate: server.pem, key: server-key.pem, client_ca: clients-ca.pem, client_crl: [none.pem]",
         "client_crl: @/none.pem: No such file"},
        {"certificate: server.pem, key: server-key.pem, client_ca: clients-ca.pem, client_crl: [server.pem]",
         "@/server.pem holds no revocation list in PEM form"},
    };
    own(folder_done) struct folder f = folder_new();

    write_machine(&f);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        own(freep) char *yaml = xprintf(
            "server:\n  public_url: https://localhost:8443\n  listeners: [{address: 127.0.0.1, port: 8443, %s}]\n"
            "store: {folder: data}\napplication: app.toml\npolicy: {roles: roles.yaml}\n"
            "issuers: [{issuer: \"https://localhost:8443\", audiences: [bailiff], jwks_file: "
            "signing-jwks.json}]\n" EXECUTION("PYTHON/python", ""),
            cases[i].listener);
        own(freep) char *said = machine_complaints(&f, yaml);
        if (!strstr(said, cases[i].said) || strncmp(said, "@/bailiff.yaml:3: ", 18) != 0)
            fail_msg("%s is not in: %s", cases[i].said, said);
    }
}

static void test_a_bare_machine(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *said = machine_complaints(&f, REQUIRED EXECUTION("PYTHON/python", "") SIGNING);

    assert_golden("config_machine.txt", said);
}

static void test_files_that_others_can_read(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *data = folder_file(&f, "data");

    write_machine(&f);
    folder_write(&f, "server-key.pem", "-----BEGIN PRIVATE KEY-----\n", 0644);
    folder_write(&f, "signing-key.pem", "-----BEGIN PRIVATE KEY-----\n", 0666);
    assert_int_equal(mkdir(data, 0755), 0);
    own(freep) char *said = machine_complaints(&f, REQUIRED EXECUTION("PYTHON/python", "") SIGNING);
    assert_string_equal(
        said,
        "@/bailiff.yaml:3: key: @/server-key.pem holds a secret but others can read it (mode 0644); run: chmod 600 "
        "@/server-key.pem\n"
        "@/bailiff.yaml:4: store.folder: others can look into @/data (mode 0755); run: chmod 700 @/data\n" UNSAFE
        "@/bailiff.yaml:10: signing.key: others can read @/signing-key.pem (mode 0666): whoever can may be anyone; "
        "run: "
        "chmod 600 "
        "@/signing-key.pem, and make a new key if it was so for long.\n");
}

/* Said before anything is started. As root, which may make folders anywhere, it is tried as somebody else. */
static void test_a_folder_that_cannot_be_made(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *sub = folder_file(&f, "sub"), *give = xprintf("chown -R 65534 %s", f.path);
    bool root = geteuid() == 0;

    write_machine(&f);
    folder_write(&f, "bailiff.yaml", "", 0600);
    if (root)
        assert_int_equal(system(give), 0);
    assert_int_equal(mkdir(sub, 0555), 0);
    assert_int_equal(root ? seteuid(65534) : 0, 0);
    own(freep) char *said = machine_complaints(&f, REQUIRED_IN("sub/data") EXECUTION("PYTHON/python", "") SIGNING);
    assert_int_equal(root ? seteuid(0) : 0, 0);
    assert_string_equal(said,
                        "@/bailiff.yaml:4: store.folder: this user cannot make @/sub/data: Permission denied; make "
                        "it, and chown it to this user.\n" UNSAFE);
}

static void test_files_that_others_can_write(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *package = folder_file(&f, "bailiff_runner");

    write_machine(&f);
    folder_write(&f, "server.pem", "-----BEGIN CERTIFICATE-----\n", 0664);
    folder_write(&f, "app.toml", "", 0646);
    folder_write(&f, "python", "#!/bin/sh\n", 0775);
    assert_int_equal(chmod(package, 0777), 0);
    own(freep) char *said = machine_complaints(&f, REQUIRED EXECUTION("PYTHON/python", "") SIGNING);
#define WRITE "others than its owner can write @/"
#define CHOOSE "), and so choose the code that is run; run: chmod go-w @/"
    assert_string_equal(
        said, "@/bailiff.yaml:3: certificate: @/server.pem is trusted, but others than its owner can write it (mode "
              "0664); run: chmod go-w @/server.pem\n"
              "@/bailiff.yaml:5: warning: application: " WRITE "app.toml (mode 0646" CHOOSE "app.toml\n" UNSAFE
              "@/bailiff.yaml:9: warning: execution.python: " WRITE "python (mode 0775" CHOOSE "python\n"
              "@/bailiff.yaml:9: warning: execution.package: " WRITE "./bailiff_runner (mode 0777" CHOOSE
              "./bailiff_runner\n");
}

static void test_a_folder_that_others_can_write(void **state)
{
    own(folder_done) struct folder f = folder_new();

    write_machine(&f);
    assert_int_equal(chmod(f.path, 0770), 0);
    own(freep) char *said = machine_complaints(&f, REQUIRED EXECUTION("PYTHON/python", "") SIGNING);
    assert_non_null(strstr(said, "application: others than its owner can write @ (mode 0770), "));
    assert_non_null(strstr(said, "execution.package: others than its owner can write @/. (mode 0770), "));
}

static void test_a_configuration_that_others_can_write(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *path = folder_file(&f, "bailiff.yaml");

    folder_write(&f, "bailiff.yaml", REQUIRED, 0664);
    own(freep) char *said = complaints(path, CONFIG_TEXT, f.path);
    assert_string_equal(said, "@/bailiff.yaml: cannot be used: @/bailiff.yaml is trusted, but others than its owner "
                              "can write it (mode 0664); run: chmod go-w @/bailiff.yaml\n");
}

/* What roles and keys say is said by whoever can write them. */
static void test_roles_and_keys_that_others_can_write(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *path = folder_file(&f, "bailiff.yaml"), *said = NULL, *placed = NULL;
    struct policy *policy = NULL;
    struct verifier *verifier = NULL;
    struct problems problems;

    folder_write(&f, "roles.yaml", "version: 1\nroles: {TAIPY_READER: {permissions: [tasks:read]}}\n", 0666);
    folder_write(&f, "signing-jwks.json", "{}", 0666);
    folder_write(&f, "key.pem", "-----BEGIN PUBLIC KEY-----\n", 0660);
    folder_write(&f, "bailiff.yaml",
                 "server:\n  public_url: https://localhost:8443\n"
                 "  listeners: [{address: 127.0.0.1, port: 8443, certificate: server.pem, key: server-key.pem}]\n"
                 "store: {folder: data}\napplication: app.toml\npolicy: {roles: roles.yaml}\nissuers:\n"
                 "  - {issuer: a, audiences: [bailiff], jwks_file: signing-jwks.json}\n"
                 "  - {issuer: b, audiences: [bailiff], pem_file: key.pem}\n"
                 "execution: {socket: /run/runner}\n",
                 0644);
    own(config_freep) struct config *c = config_load(path, CONFIG_TEXT, &problems);
    assert_int_equal(problems.mistakes, 0);
    assert_false(config_load_policy(c, &problems, &policy));
    assert_false(config_load_verifier(c, &problems, &verifier));
    said = problems_text(&problems);
    problems_done(&problems);
    placed = text_replaced(said, f.path, "@");
    assert_non_null(strstr(placed, "@/bailiff.yaml:6: @/roles.yaml is trusted, but others"));
    assert_non_null(strstr(placed, "run: chmod go-w @/roles.yaml\n"));
    assert_non_null(strstr(placed, "run: chmod go-w @/signing-jwks.json\n"));
    assert_non_null(strstr(placed, "run: chmod go-w @/key.pem\n"));
}

static void test_variables_that_cannot_be_passed_on(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *path = folder_file(&f, "bailiff.yaml");

    folder_write(&f, "bailiff.yaml",
                 REQUIRED "execution:\n  socket: /run/runner\n  environment:\n    - TZ\n    - _x1\n    - A-B\n    - "
                          "1A\n    - A=B\n    - PATH\n    - HOME\n    - LD_PRELOAD\n    - PYTHONPATH\n    - "
                          "BAILIFF_WORK\n",
                 0600);
    own(freep) char *said = complaints(path, CONFIG_TEXT, f.path);
#define ENVIRONMENT(line, name) "@/bailiff.yaml:" #line ": execution.environment: \"" name "\" "
#define LOADED " cannot be passed on: it chooses the code that the runner and the interpreter load.\n"
    assert_string_equal(
        said, "@/bailiff.yaml:10: warning: execution.environment has no effect: the runner behind execution.socket has "
              "its own; start it with --pass-environment NAME.\n" /* and the list's lines follow */
        ENVIRONMENT(13, "A-B") "is not the name of a variable.\n" ENVIRONMENT(
            14,
            "1A") "is not the name of a "
                  "variable.\n" ENVIRONMENT(15, "A=B") "is not the name of a variable.\n" ENVIRONMENT(
                      16,
                      "PATH") "cannot be passed on: bailiff sets it itself.\n" ENVIRONMENT(17,
                                                                                           "HOME") "cannot be passed "
                                                                                                   "on: bailiff sets "
                                                                                                   "it itself.\n"
                                                                                                   "@/"
                                                                                                   "bailiff.yaml:18: "
                                                                                                   "execution."
                                                                                                   "environment: "
                                                                                                   "\"LD_"
                                                                                                   "PRELOAD\"" LOADED
                                                                                                   "@/"
                                                                                                   "bailiff.yaml:19: "
                                                                                                   "execution."
                                                                                                   "environment: "
                                                                                                   "\"PYTHONPATH"
                                                                                                   "\"" LOADED
                                                                                                       ENVIRONMENT(
                                                                                                           20,
                                                                                                           "BAILIFF_"
                                                                                                           "WORK") "ca"
                                                                                                                   "nn"
                                                                                                                   "ot"
                                                                                                                   " b"
                                                                                                                   "e "
                                                                                                                   "pa"
                                                                                                                   "ss"
                                                                                                                   "ed"
                                                                                                                   " o"
                                                                                                                   "n:"
                                                                                                                   " n"
                                                                                                                   "am"
                                                                                                                   "es"
                                                                                                                   " t"
                                                                                                                   "ha"
                                                                                                                   "t "
                                                                                                                   "st"
                                                                                                                   "ar"
                                                                                                                   "t "
                                                                                                                   "wi"
                                                                                                                   "th"
                                                                                                                   " B"
                                                                                                                   "AI"
                                                                                                                   "LI"
                                                                                                                   "FF"
                                                                                                                   "_ "
                                                                                                                   "ar"
                                                                                                                   "e "
                                                                                                                   "ba"
                                                                                                                   "il"
                                                                                                                   "if"
                                                                                                                   "f'"
                                                                                                                   "s "
                                                                                                                   "ow"
                                                                                                                   "n."
                                                                                                                   "\n");
}

static void test_files_that_are_something_else(void **state)
{
    own(folder_done) struct folder f = folder_new();

    write_machine(&f);
    folder_write(&f, "server.pem", "not PEM\n", 0644);
    folder_write(&f, "server-key.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n", 0600);
    folder_write(&f, "python", "#!/bin/sh\n", 0644);
    folder_write(&f, "data", "", 0600);
    own(freep) char *said = machine_complaints(&f, REQUIRED EXECUTION("PYTHON/python", "") SIGNING);
    assert_string_equal(
        said, "@/bailiff.yaml:3: certificate: @/server.pem has no certificate in PEM (-----BEGIN CERTIFICATE-----).\n"
              "@/bailiff.yaml:3: key: @/server-key.pem is encrypted, and nobody is there to type a passphrase; decrypt "
              "it, and let only "
              "its owner read it.\n"
              "@/bailiff.yaml:4: store.folder: @/data is not a folder.\n" UNSAFE
              "@/bailiff.yaml:9: execution.python: @/python is not a program that can be run.\n");
}

static void test_work_and_store_are_apart(void **state)
{
    own(folder_done) struct folder f = folder_new();
    static const char *const WORK[] = {"data", "data/work", "./data", "data/../data/work"};
    own(freep) char *data = folder_file(&f, "data");

    write_machine(&f);
    assert_int_equal(mkdir(data, 0700), 0);
    for (size_t i = 0; i < ARRAY_LEN(WORK); i++) {
        own(freep) char *yaml = xprintf(REQUIRED EXECUTION("PYTHON/python", ", work_folder: %s"), WORK[i]);
        own(freep) char *said = machine_complaints(&f, yaml);

        if (!strstr(said, "execution.work_folder and store.folder must not lie in each other"))
            fail_msg("%s passed: %s", WORK[i], said);
    }
}

static void test_an_unknown_user(void **state)
{
    own(folder_done) struct folder f = folder_new();

    write_machine(&f);
    own(freep) char *said = machine_complaints(&f, REQUIRED EXECUTION("PYTHON/python", ", user: bailiff-no-such-user"));
    assert_non_null(strstr(said, "execution.user: there is no user \"bailiff-no-such-user\" on this machine."));
}

/* ---- roles and keys ---- */
static void test_roles_that_do_not_exist(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *path = folder_file(&f, "bailiff.yaml"), *said = NULL;
    struct policy *policy = NULL;
    struct problems problems;

    write_machine(&f);
    folder_write(&f, "bailiff.yaml",
                 "server: {public_url: https://a.example, listeners: [{address: 127.0.0.1, port: 1, tls: false}]}\n"
                 "store: {folder: data}\napplication: app.toml\npolicy: {roles: roles.yaml}\n"
                 "execution: {same_user: unsafe}\n"
                 "issuers:\n  - issuer: i\n    audiences: [a]\n    jwks_file: j\n    role_map:\n"
                 "      good: TAIPY_READER\n      typo: TAIPY_REDER\n      none: NOBODY_AT_ALL\n",
                 0600);
    own(config_freep) struct config *c = config_load(path, CONFIG_TEXT, &problems);
    assert_int_equal(problems.mistakes, 0);
    assert_false(config_load_policy(c, &problems, &policy));
    assert_null(policy);
    said = problems_text(&problems);
    own(freep) char *short_said = text_replaced(said, f.path, "@");
    assert_non_null(strstr(short_said,
                           "@/bailiff.yaml:12: role_map: @/roles.yaml has no role \"TAIPY_REDER\"; did you mean "
                           "\"TAIPY_READER\"?\n"
                           "@/bailiff.yaml:13: role_map: @/roles.yaml has no role \"NOBODY_AT_ALL\".\n"));
    problems_done(&problems);
}

static void test_keys_of_all_issuers_are_tried(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *path = folder_file(&f, "bailiff.yaml"), *said = NULL;
    struct verifier *verifier = NULL;
    struct problems problems;

    folder_write(&f, "short", "0123456789", 0600);
    folder_write(&f, "open", "0123456789012345678901234567890123456789", 0644);
    folder_write(&f, "bailiff.yaml",
                 "server: {public_url: https://a.example, listeners: [{address: 127.0.0.1, port: 1, tls: false}]}\n"
                 "store: {folder: data}\napplication: app.toml\npolicy: {roles: roles.yaml}\n"
                 "execution: {same_user: unsafe}\n"
                 "issuers:\n"
                 "  - {issuer: one, audiences: [a], jwks_file: missing.json}\n"
                 "  - {issuer: two, audiences: [a], secret_file: short, algorithm: HS256}\n"
                 "  - {issuer: three, audiences: [a], secret_file: open, algorithm: HS256}\n",
                 0600);
    own(config_freep) struct config *c = config_load(path, CONFIG_TEXT, &problems);
    assert_int_equal(problems.mistakes, 0);
    assert_false(config_load_verifier(c, &problems, &verifier));
    assert_null(verifier);
    assert_int_equal(problems.mistakes, 3);
    said = problems_text(&problems);
    for (int line = 7; line <= 9; line++) {
        own(freep) char *place = xprintf("%s:%d: ", path, line);

        if (!strstr(said, place))
            fail_msg("nothing is said of line %d: %s", line, said);
    }
    problems_done(&problems);
}

static void test_the_path(void **state)
{
    unsetenv("BAILIFF_CONFIG");
    assert_string_equal(config_path(NULL), "/etc/bailiff/bailiff.yaml");
    setenv("BAILIFF_CONFIG", "", 1);
    assert_string_equal(config_path(NULL), "/etc/bailiff/bailiff.yaml");
    setenv("BAILIFF_CONFIG", "/a/b.yaml", 1);
    assert_string_equal(config_path(NULL), "/a/b.yaml");
    assert_string_equal(config_path("c.yaml"), "c.yaml");
    unsetenv("BAILIFF_CONFIG");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_mistake_is_listed),
        cmocka_unit_test(test_an_empty_file_lacks_what_is_needed),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_a_list_is_no_configuration),
        cmocka_unit_test(test_the_packaged_file_is_good),
        cmocka_unit_test(test_effective_settings),
        cmocka_unit_test(test_printed_settings_read_back),
        cmocka_unit_test(test_the_packaged_file_shows_the_defaults),
        cmocka_unit_test(test_proxies_and_memory_are_checked),
        cmocka_unit_test(test_every_setting_is_documented),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_a_good_machine),
        cmocka_unit_test(test_files_that_do_not_fit),
        cmocka_unit_test(test_a_bare_machine),
        cmocka_unit_test(test_files_that_others_can_read),
        cmocka_unit_test(test_a_folder_that_cannot_be_made),
        cmocka_unit_test(test_files_that_others_can_write),
        cmocka_unit_test(test_a_folder_that_others_can_write),
        cmocka_unit_test(test_a_configuration_that_others_can_write),
        cmocka_unit_test(test_roles_and_keys_that_others_can_write),
        cmocka_unit_test(test_variables_that_cannot_be_passed_on),
        cmocka_unit_test(test_files_that_are_something_else),
        cmocka_unit_test(test_work_and_store_are_apart),
        cmocka_unit_test(test_an_unknown_user),
        cmocka_unit_test(test_roles_that_do_not_exist),
        cmocka_unit_test(test_keys_of_all_issuers_are_tried),
        cmocka_unit_test(test_the_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
