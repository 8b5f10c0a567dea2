/* The subset of YAML that bailiff's own files are written in. */
#include "app_kit.h"

#include "app/yaml.h"

struct reading {
    struct arena arena;
    struct problems problems;
    struct yaml_node *root;
    bool read;
};

static struct reading read_span(struct span text)
{
    struct reading r = {0};

    problems_init(&r.problems, "f");
    r.read = yaml_read(text, &r.arena, &r.problems, &r.root);
    return r;
}

static void reading_done(struct reading *r)
{
    arena_done(&r->arena);
    problems_done(&r->problems);
}

static void assert_complaint(struct span text, const char *expected)
{
    own(reading_done) struct reading r = read_span(text);
    own(freep) char *said = NULL;
    size_t len;
    FILE *out = open_memstream(&said, &len);

    problems_print(&r.problems, out);
    fclose(out);
    assert_string_equal(said, expected);
}

static void test_a_tree_with_lines(void **state)
{
    own(reading_done) struct reading r =
        read_span(SPAN("# comment\na: 1\nb:\n  - x\n  - 'true'\n\nc: {d: , e: ~, \"f\": |\n"));
    own(reading_done) struct reading good =
        read_span(SPAN("# comment\na: 1\nb:\n  - x\n  - 'true'\n\nc: {d: , e: ~, \"f\": g}\n"));
    const struct yaml_node *b, *c;

    assert_false(r.read);
    assert_true(good.read);
    assert_int_equal(good.problems.mistakes, 0);
    assert_int_equal(good.root->kind, YAML_MAP);
    assert_int_equal(good.root->count, 3);
    assert_int_equal(yaml_line(good.root, "a"), 2);
    assert_string_equal(yaml_find(good.root, "a")->text, "1");
    b = yaml_find(good.root, "b");
    assert_int_equal(yaml_line(good.root, "b"), 3);
    assert_int_equal(b->kind, YAML_LIST);
    assert_int_equal(b->items[1]->line, 5);
    assert_true(b->items[0]->plain);
    assert_false(b->items[1]->plain);
    c = yaml_find(good.root, "c");
    assert_true(yaml_is_null(yaml_find(c, "d")));
    assert_int_equal(yaml_find(c, "d")->line, 7);
    assert_true(yaml_is_null(yaml_find(c, "e")));
    assert_false(yaml_is_null(yaml_find(c, "f")));
    assert_null(yaml_find(c, "g"));
    assert_int_equal(yaml_line(c, "g"), 7);
}

static void test_an_empty_file_is_an_empty_map(void **state)
{
    const struct span FILES[] = {SPAN(""), SPAN("\n\n"), SPAN("# nothing\n"), SPAN("---\n")};

    for (size_t i = 0; i < ARRAY_LEN(FILES); i++) {
        own(reading_done) struct reading r = read_span(FILES[i]);

        assert_true(r.read);
        assert_int_equal(r.root->kind, YAML_MAP);
        assert_int_equal(r.root->count, 0);
    }
}

static void test_what_surprises_is_refused(void **state)
{
    assert_complaint(SPAN("a: &x 1\n"),
                     "f:1: anchors (&name) are not used here; write the value where it is needed.\n");
    assert_complaint(SPAN("a: 1\nb: *x\n"), "f:2: aliases (*name) are not used here; write the value itself.\n");
    assert_complaint(SPAN("a: !!str 1\n"), "f:1: tags (!name) are not used here; leave it out.\n");
    assert_complaint(SPAN("--- 1\n--- 2\n"), "f:2: a second document starts here; a file holds one.\n");
    assert_complaint(SPAN("? [a]\n: 1\n"), "f:1: a key must be plain text.\n");
    assert_complaint(SPAN("a: 1\nb: 2\na: 3\n"), "f:3: \"a\" stands here and in line 1; remove one of them.\n");
    assert_complaint(SPAN("a:\n\t- b\n"),
                     "f:2: is not YAML: tab character may not be used as indentation (column 1).\n");
    assert_complaint(SPAN("a: [1\nb: 2\n"), "f:3: is not YAML: flow sequence without a closing bracket (column 1).\n");
    assert_complaint(SPAN("a: 1\nb: \"\\e[2J\"\n"), "f:2: a value has a control character; remove it.\n");
    assert_complaint(SPAN("a: 1\nb: \x1b\n"), "f:2: has the control character 0x1b; remove it.\n");
    assert_complaint(SPAN("a: 1\0\n"), "f:1: has the control character 0x00; remove it.\n");
    assert_complaint(SPAN("a: 1\nb: \xff\n"), "f:2: is not UTF-8; save the file in that encoding.\n");
}

/* Every repetition is reported, not only the first. */
static void test_repeated_keys_anywhere(void **state)
{
    assert_complaint(SPAN("a:\n  x: 1\n  x: 2\nb: [{y: 1, y: 2}]\na: 3\n"),
                     "f:3: \"x\" stands here and in line 2; remove one of them.\n"
                     "f:4: \"y\" stands here and in line 4; remove one of them.\n"
                     "f:5: \"a\" stands here and in line 1; remove one of them.\n");
}

static void test_limits(void **state)
{
    own(text_done) struct text deep = {0}, large = {0};

    for (int i = 0; i < 30; i++)
        text_append_char(&deep, '[');
    assert_complaint(text_span(&deep), "f:1: is nested more than 20 deep.\n");
    for (int i = 0; i < (1 << 20); i++)
        text_append_char(&large, i % 64 ? 'x' : '\n');
    text_append_char(&large, '\n');
    assert_complaint(text_span(&large), "f: is larger than 1024 KiB; no such file is written by hand.\n");
}

static void test_many_keys(void **state)
{
    own(text_done) struct text text = {0};

    for (int i = 0; i < 5000; i++)
        text_printf(&text, "key%d: %d\n", i, i);
    own(reading_done) struct reading r = read_span(text_span(&text));
    assert_true(r.read);
    assert_int_equal(r.root->count, 5000);
    assert_string_equal(yaml_find(r.root, "key4999")->text, "4999");
    assert_int_equal(yaml_line(r.root, "key4999"), 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_tree_with_lines),
        cmocka_unit_test(test_an_empty_file_is_an_empty_map),
        cmocka_unit_test(test_what_surprises_is_refused),
        cmocka_unit_test(test_repeated_keys_anywhere),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_many_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
