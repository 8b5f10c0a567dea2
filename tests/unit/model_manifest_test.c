/* Manifests as the runner may send them: what is read, in which order, and every way in which one can be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

#include "bailiff/model.h"

/* ---- a small application, with holes for what a test wants to change ---- */
#define NODE(id, scope) "{\"id\":\"" id "\",\"scope\":\"" scope "\",\"storage_type\":\"pickle\"}"
#define FUNCTION "\"module\":\"fns\",\"function\":\"f\""
#define TASK(id, inputs, outputs) "{\"id\":\"" id "\"," FUNCTION ",\"inputs\":[" inputs "],\"outputs\":[" outputs "]}"
#define MANIFEST(nodes, tasks, scenarios)                                                                     \
    "{\"format\":1,\"version\":\"development\",\"root\":\"/srv/app\",\"workers\":null,\"data_nodes\":[" nodes \
    "],\"tasks\":[" tasks "],\"scenarios\":[" scenarios "]}"
#define THREE NODE("a", "SCENARIO") "," NODE("b", "CYCLE") "," NODE("c", "GLOBAL")

static struct manifest *read_good(const char *json)
{
    struct manifest *m = NULL;
    struct fault fault = {0};

    if (!manifest_read(span_of(json), &m, &fault))
        fail_msg("%s", fault.message);
    return m;
}

static void assert_bad(const char *json, const char *message)
{
    struct manifest *m = NULL;
    struct fault fault = {0};

    if (manifest_read(span_of(json), &m, &fault)) {
        manifest_free(m);
        fail_msg("read: %s", json);
    }
    assert_null(m);
    assert_int_equal(fault.kind, FAULT_INVALID);
    assert_string_equal(fault.message, message);
}

static void test_reads_everything(void **state)
{
    own(manifest_freep) struct manifest *m =
        read_good("{\"format\":1,\"version\":\"1.2\",\"root\":\"/srv/app\",\"workers\":2,\"data_nodes\":["
                  "{\"id\":\"nb\",\"scope\":\"CYCLE\",\"storage_type\":\"csv\",\"default_file\":\"nb.csv\",\"path\":\"/"
                  "srv/nb.csv\","
                  "\"validity_period_ms\":86400000,\"properties\":{\"has_header\":true,\"encoding\":\"utf-8\"}}],"
                  "\"tasks\":[{\"id\":\"double\",\"module\":\"pkg.fns\",\"function\":\"Math.double\",\"command\":null,"
                  "\"environment\":{},\"inputs\":[\"nb\"],\"outputs\":[],\"skippable\":true,\"timeout_ms\":5000}],"
                  "\"scenarios\":[{\"id\":\"calc\",\"tasks\":[\"double\"],\"additional_data_nodes\":[\"nb\"],"
                  "\"frequency\":\"DAILY\",\"sequences\":{\"math\":[\"double\"]}}]}");
    const struct data_node_config *nb = manifest_data_node(m, "nb");
    const struct task_config *task = manifest_task(m, "double");

    assert_string_equal(m->version, "1.2");
    assert_string_equal(m->root, "/srv/app");
    assert_int_equal(m->workers, 2);
    assert_non_null(nb);
    assert_int_equal(nb->scope, SCOPE_CYCLE);
    assert_int_equal(nb->storage_type, STORAGE_CSV);
    assert_string_equal(nb->default_file, "nb.csv");
    assert_string_equal(nb->path, "/srv/nb.csv");
    assert_int_equal(nb->validity_period_ms, 86400000);
    assert_string_equal(nb->properties, "{\"has_header\":true,\"encoding\":\"utf-8\"}");
    assert_non_null(task);
    assert_string_equal(task->module, "pkg.fns");
    assert_string_equal(task->function, "Math.double");
    assert_int_equal(task->input_count, 1);
    assert_ptr_equal(task->inputs[0], nb);
    assert_int_equal(task->output_count, 0);
    assert_true(task->skippable);
    assert_int_equal(task->controls.timeout_ms, 5000);
    assert_int_equal(m->scenario_count, 1);
    assert_string_equal(m->scenarios[0].frequency, "DAILY");
    assert_string_equal(m->scenarios[0].additional_data_nodes.items[0], "nb");
    assert_string_equal(m->scenarios[0].sequences[0].name, "math");
    assert_string_equal(m->scenarios[0].sequences[0].tasks.items[0], "double");
}

static void test_optional_members_have_defaults(void **state)
{
    own(manifest_freep) struct manifest *m =
        read_good(MANIFEST(THREE, TASK("t", "\"c\"", "\"b\""), "{\"id\":\"s\",\"tasks\":[\"t\"]}"));
    const struct data_node_config *a = manifest_data_node(m, "a");

    assert_int_equal(m->workers, 0);
    assert_null(a->default_file);
    assert_null(a->path);
    assert_int_equal(a->validity_period_ms, 0);
    assert_string_equal(a->properties, "{}");
    assert_false(m->tasks[0].skippable);
    assert_int_equal(m->tasks[0].controls.timeout_ms, -1);
    assert_int_equal(m->tasks[0].command.count, 0);
    assert_null(m->scenarios[0].frequency);
    assert_int_equal(m->scenarios[0].sequence_count, 0);
}

static void test_a_validity_of_nothing_is_not_for_ever(void **state)
{
    own(manifest_freep) struct manifest *m = read_good(
        MANIFEST("{\"id\":\"a\",\"scope\":\"GLOBAL\",\"storage_type\":\"json\",\"validity_period_ms\":0}", "", ""));

    assert_int_equal(m->data_nodes[0].validity_period_ms, 1);
}

static void test_a_command(void **state)
{
    own(manifest_freep) struct manifest *m =
        read_good(MANIFEST(THREE,
                           "{\"id\":\"t\",\"module\":null,\"function\":null,\"command\":[\"./run.sh\",\"\",\"--x=1\"],"
                           "\"environment\":{\"LANG\":\"C\",\"EMPTY\":\"\"},\"inputs\":[\"a\"],\"outputs\":[\"b\"]}",
                           ""));

    assert_null(m->tasks[0].module);
    assert_int_equal(m->tasks[0].command.count, 3);
    assert_string_equal(m->tasks[0].command.items[0], "./run.sh");
    assert_string_equal(m->tasks[0].command.items[1], "");
    assert_int_equal(m->tasks[0].environment.count, 2);
    assert_string_equal(m->tasks[0].environment.items[0], "LANG=C");
    assert_string_equal(m->tasks[0].environment.items[1], "EMPTY=");
}

static void test_the_narrowest_scope_is_the_task_s(void **state)
{
    own(manifest_freep) struct manifest *m =
        read_good(MANIFEST(THREE,
                           TASK("none", "", "") "," TASK("wide", "\"c\"", "") "," TASK(
                               "middle", "\"c\"", "\"b\"") "," TASK("narrow", "\"c\",\"b\"", "\"a\""),
                           ""));

    assert_int_equal(manifest_task(m, "none")->scope, SCOPE_GLOBAL);
    assert_int_equal(manifest_task(m, "wide")->scope, SCOPE_GLOBAL);
    assert_int_equal(manifest_task(m, "middle")->scope, SCOPE_CYCLE);
    assert_int_equal(manifest_task(m, "narrow")->scope, SCOPE_SCENARIO);
}

static void test_elements_are_sorted_and_found(void **state)
{
    own(manifest_freep) struct manifest *m =
        read_good(MANIFEST(NODE("z", "GLOBAL") "," NODE("B", "GLOBAL") "," NODE("m", "GLOBAL"),
                           TASK("t2", "\"z\"", "\"m\"") "," TASK("t10", "\"B\"", "\"z\""), ""));

    assert_string_equal(m->data_nodes[0].id, "B");
    assert_string_equal(m->data_nodes[2].id, "z");
    assert_string_equal(m->tasks[0].id, "t10");
    assert_string_equal(manifest_task(m, "t2")->inputs[0]->id, "z");
    assert_null(manifest_task(m, "t"));
    assert_null(manifest_data_node(m, ""));
}

static void test_an_empty_application_is_one(void **state)
{
    own(manifest_freep) struct manifest *m = read_good(MANIFEST("", "", ""));

    assert_null(manifest_task(m, "t"));
    assert_null(manifest_data_node(m, "a"));
}

static void test_the_head(void **state)
{
    assert_bad("[]", "the manifest: is not a JSON object.");
    assert_bad("{\"format\":2,\"news\":1}", "the manifest: has format 2; this program reads format 1. bailiff and its "
                                            "package bailiff_runner must be of the "
                                            "same version.");
    assert_bad("{\"format\":\"1\"}", "the manifest: \"format\" is not an integer from 0 to 2147483647.");
    assert_bad("{\"format\":1,\"extra\":1}", "the manifest: has an unknown member.");
    assert_bad("{\"format\":1,\"version\":\"\",\"root\":\"/a\"}",
               "the manifest: \"version\" must be text of 1 to 512 bytes without control characters.");
    for (const char *const *root = (const char *const[]){"a", "/a/../b", "/a//b", "/a/", "/./a", "/a\\n", NULL}; *root;
         root++) {
        own(freep) char *json = xprintf("{\"format\":1,\"version\":\"1\",\"root\":\"%s\"}", *root);

        assert_bad(json, "the manifest: \"root\" must be the application's folder as an absolute path.");
    }
    assert_bad("{\"format\":1,\"version\":\"1\",\"root\":\"/\",\"workers\":0}",
               "the manifest: \"workers\" is not an integer from 1 to 1024.");
    assert_bad("{\"format\":1,\"version\":\"1\",\"root\":\"/\",\"data_nodes\":{}}",
               "the manifest: \"data_nodes\" is missing or not an array.");
}

static void test_data_nodes(void **state)
{
#define WITH(members) MANIFEST("{\"id\":\"a\",\"scope\":\"GLOBAL\",\"storage_type\":\"json\"" members "}", "", "")
    assert_bad(MANIFEST("1", "", ""), "data node 1 of the manifest: is not an object.");
    assert_bad(
        MANIFEST("{\"id\":\"\\u00e9\"}", "", ""),
        "data node 1 of the manifest: its id must be 1 to 128 letters, digits and \"_\" of ASCII, not starting with a "
        "digit.");
    assert_bad(MANIFEST(NODE("a", "WIDE"), "", ""), "data node \"a\": its scope must be SCENARIO, CYCLE or GLOBAL.");
    assert_bad(MANIFEST("{\"id\":\"a\",\"scope\":\"CYCLE\",\"storage_type\":\"sql\"}", "", ""),
               "data node \"a\": its storage type must be pickle, json, csv or in_memory.");
    assert_bad(MANIFEST("{\"id\":\"a\"}", "", ""), "data node \"a\": its scope must be SCENARIO, CYCLE or GLOBAL.");
    assert_bad(WITH(",\"owner\":1"), "data node \"a\": has an unknown member.");
    assert_bad(WITH(",\"path\":\"x.json\""),
               "data node \"a\": \"path\" must be an absolute path, and in_memory has none.");
    assert_bad(WITH(",\"validity_period_ms\":-1"),
               "data node \"a\": \"validity_period_ms\" is not an integer from 0 to 3155760000000.");
    assert_bad(WITH(",\"validity_period_ms\":1.5"),
               "data node \"a\": \"validity_period_ms\" is not an integer from 0 to 3155760000000.");
    assert_bad(WITH(",\"properties\":[]"), "data node \"a\": \"properties\" is not an object.");
    assert_bad(MANIFEST(NODE("a", "GLOBAL") "," NODE("b", "GLOBAL") "," NODE("a", "CYCLE"), "", ""),
               "the manifest: has the data node \"a\" twice.");
#undef WITH
}

/* The file is opened by a process that may read much more than the one that wrote the name. */
static void test_defaults_cannot_leave_their_folder(void **state)
{
    static const char *const NAMES[] = {"",     "/etc/passwd", "..",    "../x", "a/../../x", "a/..",
                                        "a//b", "./x",         "a/./b", "a/",   "a\\nb",     "defaults/../../x"};

    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        own(freep) char *json = xprintf("{\"format\":1,\"version\":\"1\",\"root\":\"/a\",\"tasks\":[],\"scenarios\":[],"
                                        "\"data_nodes\":[{\"id\":\"a\",\"scope\":\"GLOBAL\",\"storage_type\":\"json\","
                                        "\"default_file\":\"%s\"}]}",
                                        NAMES[i]);

        assert_bad(json, "data node \"a\": \"default_file\" must be the name of a file below the folder of defaults.");
    }
    own(manifest_freep) struct manifest *m = read_good(MANIFEST(
        "{\"id\":\"a\",\"scope\":\"GLOBAL\",\"storage_type\":\"json\",\"default_file\":\"defaults/..a\"}", "", ""));
    assert_string_equal(m->data_nodes[0].default_file, "defaults/..a");
}

static void test_tasks(void **state)
{
#define WITH(members) MANIFEST(THREE, "{\"id\":\"t\"," members "}", "")
    assert_bad(WITH("\"inputs\":[]"), "task \"t\": it needs a function with its module, or a command.");
    assert_bad(WITH("\"function\":\"f\""), "task \"t\": it needs a function with its module, or a command.");
    assert_bad(WITH("\"module\":\"../x\",\"function\":\"f\""),
               "task \"t\": its module and function must be names of Python.");
    assert_bad(WITH("\"module\":\"x\",\"function\":\"f..g\""),
               "task \"t\": its module and function must be names of Python.");
    assert_bad(WITH(FUNCTION ",\"command\":[\"x\"]"), "task \"t\": it has both a function and a command.");
    assert_bad(WITH("\"command\":[\"\"]"), "task \"t\": its command must begin with the name of a program.");
    assert_bad(WITH("\"command\":[\"bin/x\"]"),
               "task \"t\": its program must be a plain name, an absolute path, or begin with \"./\", which is the "
               "application's folder.");
    assert_bad(WITH("\"command\":[1]"), "task \"t\": \"command\" has an element that is not a string.");
    assert_bad(WITH("\"command\":\"x\""), "task \"t\": \"command\" is not an array.");
    assert_bad(WITH("\"command\":[\"x\"],\"environment\":{\"A=B\":\"\"}"),
               "task \"t\": \"environment\" has a name that is not letters, digits and \"_\".");
    assert_bad(WITH("\"command\":[\"x\"],\"environment\":{\"BAILIFF_ROOT\":\"/\"}"),
               "task \"t\": \"environment\" sets BAILIFF_ROOT; names that start with BAILIFF_ are bailiff's own.");
    assert_bad(WITH("\"command\":[\"x\"],\"environment\":{\"A\":1}"),
               "task \"t\": \"environment\" must give A text of at most 32768 bytes.");
    assert_bad(WITH(FUNCTION ",\"inputs\":[\"d\"]"),
               "task \"t\": \"inputs\" names a data node that does not exist: \"d\".");
    assert_bad(WITH(FUNCTION ",\"inputs\":[\"\\u001b[2J\"]"),
               "task \"t\": \"inputs\" names a data node that does not exist: \"?\".");
    assert_bad(WITH(FUNCTION ",\"outputs\":[\"a\",\"b\",\"a\"]"), "task \"t\": \"outputs\" names \"a\" twice.");
    assert_bad(WITH(FUNCTION ",\"inputs\":[\"a\"],\"outputs\":[\"a\"]"), "task \"t\": \"a\" is both input and output.");
    assert_bad(WITH(FUNCTION ",\"skippable\":1"), "task \"t\": \"skippable\" is neither true nor false.");
    assert_bad(WITH(FUNCTION ",\"timeout_ms\":2592000001"),
               "task \"t\": \"timeout_ms\" is not an integer from 0 to 2592000000.");
    assert_bad(MANIFEST("", TASK("t", "", "") "," TASK("t", "", ""), ""), "the manifest: has the task \"t\" twice.");
    assert_bad(MANIFEST(NODE("x", "GLOBAL") "," NODE("X", "GLOBAL"),
                        "{\"id\":\"t\",\"command\":[\"run\"],\"inputs\":[\"x\",\"X\"]}", ""),
               "task \"t\": \"x\" and \"X\" would be the same variable in the command's environment.");
#undef WITH
}

static void test_cycles_are_named(void **state)
{
    assert_bad(MANIFEST(THREE, TASK("t1", "\"a\"", "\"b\"") "," TASK("t2", "\"b\"", "\"a\""), ""),
               "task \"t1\": the graph has a cycle: t1 → b → t2 → a → t1.");
    /* Not where the search begins, and behind a branch that is fine. */
    assert_bad(
        MANIFEST(THREE "," NODE("d", "GLOBAL"),
                 TASK("t0", "\"d\"", "\"c\",\"a\"") "," TASK("t1", "\"a\"", "\"b\"") "," TASK("t2", "\"b\"", "\"a\""),
                 ""),
        "data node \"a\": the graph has a cycle: a → t1 → b → t2 → a.");
    /* A diamond is no cycle. */
    manifest_free(read_good(MANIFEST(
        THREE "," NODE("d", "GLOBAL"),
        TASK("t1", "\"a\"", "\"b\",\"c\"") "," TASK("t2", "\"b\"", "\"d\"") "," TASK("t3", "\"c\",\"d\"", ""), "")));
}

static void test_scenarios(void **state)
{
#define TWO TASK("t1", "\"a\"", "\"b\"") "," TASK("t2", "\"c\"", "\"b\"")
#define WITH(members) MANIFEST(THREE, TWO, "{\"id\":\"s\"," members "}")
    assert_bad(WITH("\"tasks\":[\"t\"]"), "scenario \"s\": \"tasks\" names a task that does not exist: \"t\".");
    assert_bad(WITH("\"tasks\":[\"t1\",\"t1\"]"), "scenario \"s\": \"tasks\" names \"t1\" twice.");
    assert_bad(WITH("\"tasks\":[\"t1\",\"t2\"]"),
               "scenario \"s\": the data node \"b\" is written by more than one task: t1, t2.");
    assert_bad(WITH("\"additional_data_nodes\":[\"x\"]"),
               "scenario \"s\": \"additional_data_nodes\" names a data node that does not exist: \"x\".");
    assert_bad(WITH("\"frequency\":\"HOURLY\""),
               "scenario \"s\": its frequency must be DAILY, WEEKLY, MONTHLY, QUARTERLY or YEARLY.");
    assert_bad(WITH("\"tasks\":[\"t1\"],\"sequences\":{\"q\":[\"t2\"]}"),
               "scenario \"s\": the sequence \"q\" names a task that the scenario does not have: \"t2\".");
    assert_bad(WITH("\"tasks\":[\"t1\"],\"sequences\":{\"q\":[\"t1\",\"t1\"]}"),
               "scenario \"s\": the sequence \"q\" names \"t1\" twice.");
    assert_bad(WITH("\"sequences\":{\"a/b\":[]}"),
               "scenario \"s\": a sequence's name must be 1 to 512 bytes without \"/\" and control characters.");
    assert_bad(WITH("\"sequences\":[]"), "scenario \"s\": \"sequences\" is not an object.");
#undef WITH
#undef TWO
}

/* ---- limits ---- */
static void append_nodes(struct text *json, size_t count)
{
    text_append_str(json, "{\"format\":1,\"version\":\"1\",\"root\":\"/a\",\"scenarios\":[],\"data_nodes\":[");
    for (size_t i = 0; i < count; i++)
        text_printf(json, "%s{\"id\":\"n%zu\",\"scope\":\"GLOBAL\",\"storage_type\":\"json\"}", i ? "," : "", i);
    text_append_str(json, "],\"tasks\":[");
}

static void test_limits(void **state)
{
    own(text_done) struct text nodes = {0}, inputs = {0}, properties = {0};

    append_nodes(&nodes, 10001);
    text_append_str(&nodes, "]}");
    assert_bad(nodes.data, "the manifest: \"data_nodes\" has 10001 elements; at most 10000 are allowed.");

    append_nodes(&inputs, 257);
    text_append_str(&inputs, "{\"id\":\"t\"," FUNCTION ",\"inputs\":[");
    for (size_t i = 0; i < 257; i++)
        text_printf(&inputs, "%s\"n%zu\"", i ? "," : "", i);
    text_append_str(&inputs, "]}]}");
    assert_bad(inputs.data, "task \"t\": \"inputs\" has 257 elements; at most 256 are allowed.");

    append_nodes(&properties, 0);
    properties.len -= strlen("],\"tasks\":[");
    text_append_str(&properties,
                    "{\"id\":\"a\",\"scope\":\"GLOBAL\",\"storage_type\":\"json\",\"properties\":{\"x\":\"");
    for (size_t i = 0; i < 66000; i++)
        text_append_char(&properties, 'x');
    text_append_str(&properties, "\"}}],\"tasks\":[]}");
    assert_bad(properties.data, "data node \"a\": its properties take more than 65536 bytes.");
}

/* 10,000 tasks in a row: deep, but no reason to use up the stack. */
static void test_a_long_chain(void **state)
{
    own(text_done) struct text json = {0};

    append_nodes(&json, 10000);
    for (size_t i = 0; i + 1 < 10000; i++)
        text_printf(&json, "%s{\"id\":\"t%zu\"," FUNCTION ",\"inputs\":[\"n%zu\"],\"outputs\":[\"n%zu\"]}",
                    i ? "," : "", i, i, i + 1);
    text_append_str(&json, "]}");
    manifest_free(read_good(json.data));
}

static void test_not_json(void **state)
{
    struct manifest *m = NULL;
    struct fault fault = {0};

    assert_false(manifest_read(SPAN(""), &m, &fault));
    assert_int_equal(fault.kind, FAULT_INVALID);
    assert_false(manifest_read(SPAN("{\"format\":1,\"format\":1}"), &m, &fault));
    assert_null(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_everything),
        cmocka_unit_test(test_optional_members_have_defaults),
        cmocka_unit_test(test_a_validity_of_nothing_is_not_for_ever),
        cmocka_unit_test(test_a_command),
        cmocka_unit_test(test_the_narrowest_scope_is_the_task_s),
        cmocka_unit_test(test_elements_are_sorted_and_found),
        cmocka_unit_test(test_an_empty_application_is_one),
        cmocka_unit_test(test_the_head),
        cmocka_unit_test(test_data_nodes),
        cmocka_unit_test(test_defaults_cannot_leave_their_folder),
        cmocka_unit_test(test_tasks),
        cmocka_unit_test(test_cycles_are_named),
        cmocka_unit_test(test_scenarios),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_a_long_chain),
        cmocka_unit_test(test_not_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
