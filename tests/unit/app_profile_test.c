/* The client's profiles: which is taken, and every mistake with its line. */
#include "app_kit.h"

#include "app/profile.h"
#include "bailiff/caller.h"

static const char GOOD[] = "default: two\n"
                           "profiles:\n"
                           "  one: {url: 'https://one.example:8443', ca_file: ca.pem, token_file: /abs/one.jwt}\n"
                           "  two:\n"
                           "    url: https://two.example\n"
                           "    token_file: sub/two.jwt\n"
                           "    certificate: c.pem\n"
                           "    key: k.pem\n";

/* What is said, with "@" for the folder; NULL: all is well. */
static char *load(const struct folder *f, const char *content, unsigned mode, const char *name, struct arena *arena,
                  struct profile *ret)
{
    own(freep) char *file = folder_file(f, "client.yaml");
    struct problems problems;
    char *said = NULL;
    size_t len;

    if (content)
        folder_write(f, "client.yaml", content, mode);
    problems_init(&problems, file);
    if (!profile_load(file, name, arena, ret, &problems)) {
        FILE *out = open_memstream(&said, &len);

        problems_print(&problems, out);
        fclose(out);
        own(freep) char *whole = said;
        said = text_replaced(whole, f->path, "@");
    }
    problems_done(&problems);
    return said;
}

static void assert_mistakes(const char *content, const char *name, const char *expected)
{
    own(folder_done) struct folder f = folder_new();
    own(arena_done) struct arena arena = {0};
    struct profile p;
    own(freep) char *said = load(&f, content, 0600, name, &arena, &p);

    assert_non_null(said);
    assert_string_equal(said, expected);
}

static void test_the_default(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(arena_done) struct arena arena = {0};
    own(freep) char *token = folder_file(&f, "sub/two.jwt"), *key = folder_file(&f, "k.pem");
    struct profile p;

    assert_null(load(&f, GOOD, 0600, NULL, &arena, &p));
    assert_string_equal(p.name, "two");
    assert_string_equal(p.url, "https://two.example");
    assert_null(p.ca_file);
    assert_string_equal(p.token_file, token); /* seen from the file's folder */
    assert_string_equal(p.key, key);
}

static void test_a_named_one(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(arena_done) struct arena arena = {0};
    struct profile p;

    assert_null(load(&f, GOOD, 0600, "one", &arena, &p));
    assert_string_equal(p.url, "https://one.example:8443");
    assert_string_equal(p.token_file, "/abs/one.jwt");
    assert_null(p.key);
}

static void test_the_only_one_needs_no_default(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(arena_done) struct arena arena = {0};
    struct profile p;

    assert_null(load(&f, "profiles: {only: {url: 'unix:/run/b.sock'}}\n", 0600, NULL, &arena, &p));
    assert_string_equal(p.url, "unix:/run/b.sock");
}

static void test_who_can_read_it(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(arena_done) struct arena arena = {0};
    struct profile p;
    own(freep) char *said = load(&f, GOOD, 0640, NULL, &arena, &p);
    own(freep) char *missing = NULL;

    assert_non_null(said);
    assert_non_null(strstr(said, "others can read it (mode 0640); run: chmod 600 @/client.yaml"));
    own(freep) char *file = folder_file(&f, "client.yaml");
    unlink(file);
    missing = load(&f, NULL, 0, NULL, &arena, &p);
    assert_non_null(missing);
    assert_non_null(strstr(missing, "@/client.yaml: cannot be read: No such file or directory. Give --url"));
}

static void test_mistakes(void **state)
{
    assert_mistakes("", NULL, "@/client.yaml:1: profiles must be a table of at least one profile.\n");
    assert_mistakes("- a\n", NULL, "@/client.yaml:1: must be a table of settings, not a list.\n");
    assert_mistakes("profiles: {}\n", NULL, "@/client.yaml:1: profiles must be a table of at least one profile.\n");
    assert_mistakes("default: x\nprofiles: {a: {url: 'https://a'}}\n", NULL,
                    "@/client.yaml:1: default must be the name of a profile.\n");
    assert_mistakes(
        "profiles:\n  a: {url: 'https://a'}\n  b: {url: 'https://b'}\n", NULL,
        "@/client.yaml:1: says of none of its profiles that it is the default; add `default: NAME`, or give "
        "--profile.\n");
    assert_mistakes(GOOD, "tow", "@/client.yaml: has no profile \"tow\"; did you mean \"two\"?\n");
}

/* Of all profiles, also those that are not wanted now. */
static void test_every_mistake_is_named(void **state)
{
    assert_mistakes(
        "default: a\n"
        "profile: 1\n"
        "profiles:\n"
        "  a:\n"
        "    url: http://elsewhere.example\n"
        "    token: ey\n"
        "    ca_file: ~/ca.pem\n"
        "  b: {token_file: x}\n"
        "  c: text\n"
        "  d: {url: 'https://d', key: [k]}\n"
        "  e: {url: 'https://u:p@e', certificate: c}\n",
        NULL,
        "@/client.yaml:2: the file has no setting \"profile\"; did you mean \"profiles\"?\n"
        "@/client.yaml:5: profile a: url \"http://elsewhere.example\": without TLS (http://) only this very "
        "machine is called; use https://.\n"
        "@/client.yaml:6: profile a has no setting \"token\"; did you mean \"token_file\"?\n"
        "@/client.yaml:7: profile a: ca_file: \"~\" means nothing here; write the whole path, or one seen from "
        "this file's folder.\n"
        "@/client.yaml:8: profile b has no url, such as https://bailiff.example.com:8443.\n"
        "@/client.yaml:9: profile c must be a table of settings, not a single value.\n"
        "@/client.yaml:10: profile d: key must be a text.\n"
        "@/client.yaml:11: profile e: url \"https://u:p@e\": it is no address such as "
        "https://bailiff.example.com:8443.\n"
        "@/client.yaml:11: profile e: certificate and key belong together; give both or none.\n");
}

static void test_addresses(void **state)
{
    static const char *const GOOD_ONES[] = {"https://a.example",
                                            "https://a.example:443/prefix/",
                                            "https://a.example/api",
                                            "https://a.example/api/v1/prefix",
                                            "https://[2001:db8::1]:8443",
                                            "http://localhost:80",
                                            "http://127.0.0.9",
                                            "http://[::1]:1",
                                            "unix:/run/x"};
    static const char *const BAD_ONES[] = {"",
                                           "a.example",
                                           "ftp://a",
                                           "file:///etc/passwd",
                                           "https://",
                                           "https://u@a",
                                           "https://a?q",
                                           "https://a#f",
                                           "https://a/?",
                                           "https://a/api/v1",
                                           "https://a/prefix/api/v1//",
                                           "http://a.example",
                                           "http://10.0.0.1",
                                           "unix:x",
                                           "unix:",
                                           "https://a b",
                                           "https://a\x1b[2J",
                                           "http://localhost.evil.example"};

    for (size_t i = 0; i < ARRAY_LEN(GOOD_ONES); i++)
        assert_null(caller_url_fault(GOOD_ONES[i]));
    for (size_t i = 0; i < ARRAY_LEN(BAD_ONES); i++)
        if (!caller_url_fault(BAD_ONES[i]))
            fail_msg("\"%s\" is taken for an address", BAD_ONES[i]);
}

static void test_where_it_is(void **state)
{
    own(arena_done) struct arena arena = {0};

    setenv("BAILIFF_CLIENT", "/x/mine.yaml", 1);
    setenv("XDG_CONFIG_HOME", "/xdg", 1);
    setenv("HOME", "/home/u", 1);
    assert_string_equal(profile_path(&arena), "/x/mine.yaml");
    unsetenv("BAILIFF_CLIENT");
    assert_string_equal(profile_path(&arena), "/xdg/bailiff/client.yaml");
    setenv("XDG_CONFIG_HOME", "relative", 1);
    assert_string_equal(profile_path(&arena), "/home/u/.config/bailiff/client.yaml");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("HOME");
    assert_null(profile_path(&arena));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_default),
        cmocka_unit_test(test_a_named_one),
        cmocka_unit_test(test_the_only_one_needs_no_default),
        cmocka_unit_test(test_who_can_read_it),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_every_mistake_is_named),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_where_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
