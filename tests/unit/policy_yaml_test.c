/* The YAML reader: what it passes on, and what it refuses before a file can mean more than it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

#include "policy/yaml.h"

/* Writes all that is read as "3{ 4=word 5} ."; false with the fault's message. */
static bool trace(struct span content, struct text *out, struct fault *fault)
{
    own(yaml_done) struct yaml y = {0};

    if (!yaml_begin(&y, content, "f.yaml", fault))
        return false;
    do {
        if (!yaml_next(&y, fault))
            return false;
        switch (y.kind) {
        case YAML_SCALAR:
            text_printf(out, "%u=%.*s ", y.line, (int)y.text.len, y.text.data);
            break;
        case YAML_MAP:
            text_printf(out, "%u{ ", y.line);
            break;
        case YAML_LIST:
            text_printf(out, "%u[ ", y.line);
            break;
        case YAML_MAP_END:
            text_append_str(out, "} ");
            break;
        case YAML_LIST_END:
            text_append_str(out, "] ");
            break;
        case YAML_END:
            text_append_str(out, ".");
            break;
        }
    } while (y.kind != YAML_END);
    return true;
}

static void test_events_and_lines(void **state)
{
    own(text_done) struct text out = {0};
    struct fault fault = {0};

    assert_true(trace(SPAN("a: 1\nb:\n- x\n- {c: \"d\"}\ne:\n"), &out, &fault));
    assert_string_equal(out.data, "1{ 1=a 1=1 2=b 3[ 3=x 4{ 4=c 4=d } ] 5=e 5= } .");
}

static void test_refusals(void **state)
{
    static const struct {
        struct span content;
        const char *message;
    } cases[] = {
        {{"", 0}, "f.yaml:1: the file is empty."},
        {SPAN("a: 1\nb: \xff\n"), "f.yaml:2: this is not UTF-8; save the file as UTF-8."},
        {SPAN("a: 1\nb: \0\n"), "f.yaml:2: a NUL byte stands here; this is no text file."},
        {SPAN("a: \"x\\0y\"\n"), "f.yaml:1: a NUL character stands in this value."},
        {SPAN("a: &x [1]\nb: *x\n"), "f.yaml:1: anchors (&name) are not allowed here; take it away."},
        {SPAN("a: &x {b: 1}\n"), "f.yaml:1: anchors (&name) are not allowed here; take it away."},
        {SPAN("a:\n  &x b: 1\n"), "f.yaml:2: anchors (&name) are not allowed here; take it away."},
        {SPAN("a: *x\n"), "f.yaml:1: aliases (*name) are not allowed here; write the value out (and \"*\" in quotes)."},
        {SPAN("a: !!binary aGk=\n"), "f.yaml:1: tags (!name) are not allowed here; take it away."},
        {SPAN("a: !x [1]\n"), "f.yaml:1: tags (!name) are not allowed here; take it away."},
        {SPAN("--- a\n--- b\n"), "f.yaml:2: a second document begins here; one file holds one."},
        {SPAN("a: b: c\n"), "f.yaml:1: not valid YAML: invalid nested block mapping on the same line."},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        own(text_done) struct text out = {0};
        struct fault fault = {0};
        assert_false(trace(cases[i].content, &out, &fault));
        assert_int_equal(fault.kind, FAULT_INVALID);
        assert_string_equal(fault.message, cases[i].message);
    }
}

static void test_syntax_errors_have_a_line(void **state)
{
    static const char *const bad[] = {"[", "{a", "a: [1, 2\nb: 3", "\"x", "a:\n\t- b", "*", "&", "!", "@x", "- a\nb"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        own(text_done) struct text out = {0};
        struct fault fault = {0};
        unsigned line = 0;
        if (trace(span_of(bad[i]), &out, &fault))
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(fault.kind, FAULT_INVALID);
        assert_int_equal(sscanf(fault.message, "f.yaml:%u: ", &line), 1);
        assert_true(line >= 1 && line <= 3);
    }
}

static void test_deep_nesting_ends(void **state)
{
    own(text_done) struct text out = {0};
    own(text_done) struct text deep = {0};
    struct fault fault = {0};

    for (unsigned i = 0; i < 100000; i++)
        text_append_char(&deep, '[');
    assert_false(trace(text_span(&deep), &out, &fault));
    assert_int_equal(fault.kind, FAULT_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_and_lines),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_syntax_errors_have_a_line),
        cmocka_unit_test(test_deep_nesting_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
