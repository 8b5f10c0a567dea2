/* Applications in bailiff's own form. */
#include "app_kit.h"

#include "app/manifest_yaml.h"

static char *say(struct problems *problems, const char *folder)
{
    own(freep) char *said = NULL;
    size_t len;
    FILE *out = open_memstream(&said, &len);

    problems_print(problems, out);
    fclose(out);
    return text_replaced(said, folder, "@");
}

static struct manifest *read_good(const struct folder *f, const char *yaml, const char *storage)
{
    own(freep) char *path = folder_file(f, "app.yaml"), *said = NULL;
    struct manifest *m = NULL;
    struct problems problems;
    bool good;

    folder_write(f, "app.yaml", yaml, 0600);
    good = manifest_yaml_read(path, storage, false, &problems, &m);
    said = say(&problems, f->path);
    problems_done(&problems);
    if (!good)
        fail_msg("%s", said);
    assert_string_equal(said, "");
    return m;
}

static void assert_complaints(const char *yaml, const char *expected)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *path = folder_file(&f, "app.yaml"), *said = NULL;
    struct manifest *m = NULL;
    struct problems problems;

    folder_write(&f, "app.yaml", yaml, 0600);
    folder_write(&f, "data.csv", "a\n1\n", 0644);
    if (manifest_yaml_read(path, NULL, false, &problems, &m))
        manifest_free(m), m = NULL;
    said = say(&problems, f.path);
    problems_done(&problems);
    assert_null(m);
    assert_string_equal(said, expected);
}

#define NODES "data_nodes: {a: {storage_type: csv}, b: {storage_type: json}, c: {storage_type: json}}\n"

static void test_reads_everything(void **state)
{
    own(folder_done) struct folder f = folder_new();

    folder_write(&f, "readings.csv", "a,b\n1,2\n", 0644);
    own(manifest_freep) struct manifest *m =
        read_good(&f,
                  "application: {version: \"1.2\", workers: 4}\n"
                  "data_nodes:\n"
                  "  readings: {storage_type: csv, scope: GLOBAL, default_path: readings.csv, properties: {has_header: "
                  "true, n: 1.5}}\n"
                  "  clean: {storage_type: json, validity_period: 24h, default_data: {rows: [1, 0x1F, 007, null, true, "
                  "\"true\"]}}\n"
                  "  report: {storage_type: csv, path: out/../report.csv}\n"
                  "tasks:\n"
                  "  tidy: {command: [./tidy.sh, --fast, \"\"], inputs: [readings], outputs: [clean], timeout: 5m, "
                  "environment: {LANG: C}}\n"
                  "  print: {function: pkg.mod.name, inputs: [clean], outputs: [report], skippable: true}\n"
                  "scenarios:\n"
                  "  daily: {tasks: [tidy, print], frequency: DAILY, additional_data_nodes: [report], sequences: {all "
                  "of it: [tidy]}}\n",
                  NULL);
    const struct task_config *tidy = manifest_task(m, "tidy"), *print = manifest_task(m, "print");
    own(freep) char *report = folder_file(&f, "report.csv");

    assert_string_equal(m->version, "1.2");
    assert_string_equal(m->root, f.path);
    assert_int_equal(m->workers, 4);
    assert_int_equal(manifest_data_node(m, "readings")->scope, SCOPE_GLOBAL);
    assert_string_equal(manifest_data_node(m, "readings")->properties, "{\"has_header\":true,\"n\":1.5}");
    assert_int_equal(manifest_data_node(m, "clean")->scope, SCOPE_SCENARIO);
    assert_int_equal(manifest_data_node(m, "clean")->validity_period_ms, 86400000);
    assert_string_equal(manifest_data_node(m, "report")->path, report);
    assert_int_equal(tidy->command.count, 3);
    assert_string_equal(tidy->environment.items[0], "LANG=C");
    assert_int_equal(tidy->controls.timeout_ms, 300000);
    assert_string_equal(print->module, "pkg.mod");
    assert_string_equal(print->function, "name");
    assert_true(print->skippable);
    assert_string_equal(m->scenarios[0].sequences[0].name, "all of it");
}

static void test_an_empty_application(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(manifest_freep) struct manifest *m = read_good(&f, "tasks:\ndata_nodes:\n", NULL);

    assert_string_equal(m->version, "development");
    assert_int_equal(m->task_count, 0);
}

static char *content(const char *storage, const char *file)
{
    own(freep) char *path = xprintf("%s/%s", storage, file);
    struct text text = {0};

    assert_true(file_read(path, MIB(1), &text, NULL));
    return text_take(&text);
}

#define DEFAULTS                                                                                                     \
    "data_nodes:\n  table: {storage_type: csv, default_path: table.csv}\n  same: {storage_type: csv, default_path: " \
    "./table.csv}\n  value: {storage_type: json, default_data: {a: [1, 2.5, -3, no, ~, \"4\", 1e3, 00]}}\n"

static void test_first_values_are_stored(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *storage = folder_file(&f, "storage"), *table = NULL, *value = NULL;

    folder_write(&f, "table.csv", "a,b\n1,2\n", 0644);
    own(manifest_freep) struct manifest *m = read_good(&f, DEFAULTS, storage);
    table = content(storage, manifest_data_node(m, "table")->default_file);
    value = content(storage, manifest_data_node(m, "value")->default_file);
    assert_string_equal(table, "a,b\n1,2\n");
    assert_string_equal(value, "{\"a\":[1,2.5,-3,\"no\",null,\"4\",1000.0,\"00\"]}");
    assert_true(strncmp(manifest_data_node(m, "value")->default_file, "defaults/value-", 15) == 0);
}

/* A name stands for one content for ever: data nodes made earlier keep their value when the application changes. */
static void test_first_values_never_change_under_a_name(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *storage = folder_file(&f, "storage"), *old = NULL, *new = NULL;

    folder_write(&f, "table.csv", "old\n", 0644);
    own(manifest_freep) struct manifest *before = read_good(&f, DEFAULTS, storage);
    own(manifest_freep) struct manifest *again = read_good(&f, DEFAULTS, storage);
    folder_write(&f, "table.csv", "new\n", 0644);
    own(manifest_freep) struct manifest *after = read_good(&f, DEFAULTS, storage);

    assert_string_equal(manifest_data_node(before, "table")->default_file,
                        manifest_data_node(again, "table")->default_file);
    assert_string_not_equal(manifest_data_node(before, "table")->default_file,
                            manifest_data_node(after, "table")->default_file);
    old = content(storage, manifest_data_node(before, "table")->default_file);
    new = content(storage, manifest_data_node(after, "table")->default_file);
    assert_string_equal(old, "old\n");
    assert_string_equal(new, "new\n");
}

/* A start that was killed while it copied leaves half a file behind. */
static void test_half_a_first_value_is_replaced(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *storage = folder_file(&f, "storage"), *table = NULL, *value = NULL, *path = NULL, *path2 = NULL;

    folder_write(&f, "table.csv", "a,b\n1,2\n", 0644);
    own(manifest_freep) struct manifest *m = read_good(&f, DEFAULTS, storage);
    path = xprintf("storage/%s", manifest_data_node(m, "table")->default_file);
    path2 = xprintf("storage/%s", manifest_data_node(m, "value")->default_file);
    folder_write(&f, path, "a,b\n", 0600);
    folder_write(&f, path2, "{\"a\":[1,2.5,-3,\"no\",null,\"4\",1000.0,\"00\"]}   ", 0600);
    own(manifest_freep) struct manifest *again = read_good(&f, DEFAULTS, storage);
    table = content(storage, manifest_data_node(again, "table")->default_file);
    value = content(storage, manifest_data_node(again, "value")->default_file);
    assert_string_equal(table, "a,b\n1,2\n");
    assert_string_equal(value, "{\"a\":[1,2.5,-3,\"no\",null,\"4\",1000.0,\"00\"]}");
}

static void test_nothing_is_stored_of_a_faulty_application(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *storage = folder_file(&f, "storage"), *path = folder_file(&f, "app.yaml");
    struct manifest *m = NULL;
    struct problems problems;
    struct stat st;

    folder_write(&f, "table.csv", "a\n", 0644);
    folder_write(&f, "app.yaml", DEFAULTS "tasks: {t: {command: [x], inputs: [nothing]}}\n", 0600);
    assert_false(manifest_yaml_read(path, storage, false, &problems, &m));
    problems_done(&problems);
    assert_int_equal(stat(storage, &st), -1);
}

/* ---- the server reads for the application's author only what that one could read ---- */
static void assert_default(const struct folder *f, const char *path, bool same_user, const char *expected)
{
    own(freep) char *application = folder_file(f, "app/app.yaml"), *storage = folder_file(f, "storage"), *said = NULL;
    own(freep) char *yaml = xprintf("data_nodes: {n: {storage_type: csv, default_path: \"%s\"}}\n", path);
    own(manifest_freep) struct manifest *m = NULL;
    struct problems problems;

    folder_write(f, "app/app.yaml", yaml, 0644);
    bool good = manifest_yaml_read(application, storage, same_user, &problems, &m);
    said = say(&problems, f->path);
    problems_done(&problems);
    if (!strstr(said, expected) || good != (expected[0] == '\0'))
        fail_msg("\"%s\" is not in \"%s\"", expected, said);
    if (!good)
        return;
    own(freep) char *value = content(storage, manifest_data_node(m, "n")->default_file);
    assert_string_equal(value, "content\n");
}

static void make_application(const struct folder *f)
{
    own(freep) char *app = folder_file(f, "app"), *sub = folder_file(f, "app/sub"), *beside = folder_file(f, "app2");

    assert_int_equal(mkdir(app, 0755) | mkdir(sub, 0755) | mkdir(beside, 0755), 0);
    folder_write(f, "signing-key.pem", "secret\n", 0644);
    folder_write(f, "app2/f.csv", "secret\n", 0644);
    folder_write(f, "app/f.csv", "content\n", 0644);
    folder_write(f, "app/sub/f.csv", "content\n", 0644);
}

static void link_to(const struct folder *f, const char *target, const char *name)
{
    own(freep) char *path = folder_file(f, name);

    assert_int_equal(symlink(target, path), 0);
}

static void test_first_values_lie_in_the_folder(void **state)
{
    own(folder_done) struct folder f = folder_new();
    own(freep) char *key = folder_file(&f, "signing-key.pem"), *inside = folder_file(&f, "app/sub/f.csv"),
                    *beside = folder_file(&f, "app2/f.csv");

    make_application(&f);
    link_to(&f, "../signing-key.pem", "app/relative.csv");
    link_to(&f, key, "app/absolute.csv");
    link_to(&f, "../app2", "app/folder");
    link_to(&f, "sub/f.csv", "app/fine.csv");
    for (int same_user = 0; same_user < 2; same_user++) {
        assert_default(&f, "f.csv", same_user, "");
        assert_default(&f, "sub/../f.csv", same_user, "");
        assert_default(&f, inside, same_user, "");
        assert_default(&f, "fine.csv", same_user, "");
        assert_default(&f, "../signing-key.pem", same_user,
                       "default_path: \"../signing-key.pem\" is not in the application's folder; copy the file there.");
        assert_default(&f, key, same_user, "is not in the application's folder");
        assert_default(&f, beside, same_user, "is not in the application's folder");
        assert_default(&f, "../app2/f.csv", same_user, "is not in the application's folder");
        assert_default(&f, "/etc/passwd", same_user, "is not in the application's folder");
        assert_default(&f, "relative.csv", same_user, "relative.csv leads out of the folder");
        assert_default(&f, "absolute.csv", same_user, "absolute.csv leads out of the folder");
        assert_default(&f, "folder/f.csv", same_user, "folder/f.csv leads out of the folder");
        assert_default(&f, "sub", same_user, "sub is not a regular file");
        assert_default(&f, "..", same_user, "is not in the application's folder");
    }
}

/* A file of the server's own, linked in or left in the folder. */
static void test_first_values_are_no_secrets(void **state)
{
    static const unsigned SECRET[] = {0600, 0400, 0640, 0660, 0751};
    own(folder_done) struct folder f = folder_new();
    own(freep) char *key = folder_file(&f, "key.pem"), *linked = folder_file(&f, "app/linked.csv");

    make_application(&f);
    folder_write(&f, "key.pem", "content\n", 0600);
    assert_int_equal(link(key, linked), 0);
    assert_default(&f, "linked.csv", false, "linked.csv is not readable by others (mode 0600)");
    for (size_t i = 0; i < ARRAY_LEN(SECRET); i++) {
        folder_write(&f, "app/f.csv", "content\n", SECRET[i]);
        assert_default(&f, "f.csv", false, "if it is no secret, run: chmod o+r @/app/f.csv");
        assert_default(&f, "f.csv", true, "");
    }
}

static void test_mistakes(void **state)
{
    own(text_done) struct text file = {0};

    assert_true(file_read("tests/golden/application_mistakes.yaml", MIB(1), &file, NULL));
    own(folder_done) struct folder f = folder_new();
    own(freep) char *path = folder_file(&f, "app.yaml"), *said = NULL;
    struct manifest *m = NULL;
    struct problems problems;

    folder_write(&f, "app.yaml", file.data, 0600);
    folder_write(&f, "data.csv", "a\n1\n", 0644);
    assert_false(manifest_yaml_read(path, NULL, false, &problems, &m));
    assert_null(m);
    said = say(&problems, f.path);
    problems_done(&problems);
    assert_golden("application_mistakes.txt", said);
}

/* Found by the validator that judges the runner's manifests too; the lines are this file's. */
static void test_what_the_validator_finds(void **state)
{
    assert_complaints(NODES "tasks:\n  one: {command: [x], inputs: [a], outputs: [b]}\n"
                            "  two: {command: [x], inputs: [b], outputs: [a]}\n",
                      "@/app.yaml:3: task \"one\": the graph has a cycle: one → b → two → a → one.\n");
    assert_complaints(NODES "tasks:\n  one: {command: [x], inputs: [a], outputs: [a]}\n",
                      "@/app.yaml:3: task \"one\": \"a\" is both input and output.\n");
    assert_complaints(
        NODES "tasks: {one: {command: [x], outputs: [a]}, two: {command: [x], outputs: [a]}}\n"
              "scenarios:\n  both:\n    tasks: [one, two]\n",
        "@/app.yaml:4: scenario \"both\": the data node \"a\" is written by more than one task: one, two.\n");
    assert_complaints("tasks:\n  one: {command: [x], timeout: 9000h}\n",
                      "@/app.yaml:2: task \"one\": \"timeout_ms\" is not an integer from 0 to 2592000000.\n");
}

static void test_no_file(void **state)
{
    struct manifest *m = NULL;
    struct problems problems;

    assert_false(manifest_yaml_read("/nonexistent/app.yaml", NULL, false, &problems, &m));
    assert_int_equal(problems.mistakes, 1);
    problems_done(&problems);
}

static void test_names(void **state)
{
    assert_true(manifest_yaml_named("a.yaml"));
    assert_true(manifest_yaml_named("/b/a.yml"));
    assert_false(manifest_yaml_named("a.toml"));
    assert_false(manifest_yaml_named("yaml"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_everything),
        cmocka_unit_test(test_an_empty_application),
        cmocka_unit_test(test_first_values_are_stored),
        cmocka_unit_test(test_first_values_never_change_under_a_name),
        cmocka_unit_test(test_half_a_first_value_is_replaced),
        cmocka_unit_test(test_nothing_is_stored_of_a_faulty_application),
        cmocka_unit_test(test_first_values_lie_in_the_folder),
        cmocka_unit_test(test_first_values_are_no_secrets),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_what_the_validator_finds),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
