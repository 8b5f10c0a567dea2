/* Jobs from PENDING to their ends, with a real store, runner, keepers and commands. */
#include <limits.h>

#include "unit/jobs_fixture.h"

static void commands_complete_and_fail(void **state)
{
    struct kit *kit = *state;

    kit_add_command(kit, "fine", "echo out; echo err >&2");
    kit_add_command(kit, "three", "exit 3");
    kit_add_command(kit, "segv", "kill -SEGV $$");
    kit_add_command(kit, "silent", "true");
    kit_start(kit);
    const char *fine = kit_submit(kit, "fine"), *three = kit_submit(kit, "three"), *segv = kit_submit(kit, "segv");
    const char *silent = kit_submit(kit, "silent");

    struct job job = kit_await(kit, fine, JOB_COMPLETED);
    assert_true(job.exited);
    assert_int_equal(job.exit_code, 0);
    assert_int_equal(job.attempt, 1);
    assert_null(job.error);
    assert_string_equal(kit_log(kit, fine), "out\nerr\n");
    job = kit_await(kit, three, JOB_FAILED);
    assert_true(job.exited);
    assert_int_equal(job.exit_code, 3);
    assert_string_equal(job.error, "The command ended with exit code 3.");
    job = kit_await(kit, segv, JOB_FAILED);
    assert_true(job.signaled);
    assert_false(job.exited);
    assert_int_equal(job.signal, SIGSEGV);
    kit_await(kit, silent, JOB_COMPLETED);
    assert_null(kit_log(kit, silent)); /* no file for what wrote nothing */
}

static void named_variables_reach_commands(void **state)
{
    static const char *const PASSED[] = {"WORD=a b=c", "BLANK="};
    struct kit *kit = *state;

    setenv("UNNAMED", "x", 1);
    kit->options.environment = PASSED;
    kit->options.environment_count = ARRAY_LEN(PASSED);
    kit_add_command(kit, "show", "echo \"$WORD/${BLANK-none}/${UNNAMED-none}/$LANG\"");
    kit_start(kit);
    const char *id = kit_submit(kit, "show");
    kit_await(kit, id, JOB_COMPLETED);
    assert_string_equal(kit_log(kit, id), "a b=c//none/C.UTF-8\n");
}

static void a_command_that_cannot_start_fails(void **state)
{
    struct kit *kit = *state;

    text_append_str(&kit->tasks,
                    "{\"id\":\"none\",\"module\":null,\"function\":null,\"command\":[\"no-such-program-anywhere\"],"
                    "\"environment\":{},\"inputs\":[],\"outputs\":[],\"skippable\":false,\"timeout_ms\":0}");
    kit_start(kit);
    struct job job = kit_await(kit, kit_submit(kit, "none"), JOB_FAILED);
    assert_non_null(strstr(job.error, "no-such-program-anywhere"));
    assert_non_null(strstr(job.error, "PATH"));
}

static void an_output_becomes_an_immutable_file(void **state)
{
    struct kit *kit = *state;
    struct stat st;

    kit_add_node(kit, "text", "json", NULL, NULL);
    kit_add_task(kit, "write", "echo \"$BAILIFF_JOB_ID $HOME $PWD\"; echo '{\"a\":1}' >\"$BAILIFF_OUTPUT_TEXT\"", NULL,
                 NULL, "text", 0);
    kit_start(kit);
    const char *id = kit_submit(kit, "write");
    kit_await(kit, id, JOB_COMPLETED);
    const char *file = kit_output(kit, id);
    assert_string_equal(kit_read(kit, file), "{\"a\":1}\n");
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0222, 0);
    assert_non_null(strstr(kit_log(kit, id), id));
}

static void an_output_not_written_is_a_failure(void **state)
{
    struct kit *kit = *state;

    kit_add_node(kit, "text", "json", NULL, NULL);
    kit_add_node(kit, "link", "json", NULL, NULL);
    kit_add_node(kit, "huge", "json", NULL, NULL);
    kit_add_task(kit, "nothing", "true", NULL, NULL, "text", 0);
    kit_add_task(kit, "linked", "ln -s /etc/passwd \"$BAILIFF_OUTPUT_LINK\"", NULL, NULL, "link", 0);
    kit_add_task(kit, "too_large", "head -c 2000000 /dev/zero >\"$BAILIFF_OUTPUT_HUGE\"", NULL, NULL, "huge", 0);
    kit_start(kit);
    const char *nothing = kit_submit(kit, "nothing"), *linked = kit_submit(kit, "linked"),
               *huge = kit_submit(kit, "too_large");

    struct job job = kit_await(kit, nothing, JOB_FAILED);
    assert_non_null(strstr(job.error, "text"));
    assert_null(kit_output(kit, nothing));
    kit_await(kit, linked, JOB_FAILED);
    job = kit_await(kit, huge, JOB_FAILED);
    assert_non_null(strstr(job.error, "larger than the limit"));
}

static void inputs_are_handed_over(void **state)
{
    struct kit *kit = *state;

    kit_write(kit, "mine.json", "[1,2]");
    kit_add_node(kit, "mine", "json", NULL, kit_path(kit, "mine.json"));
    kit_add_node(kit, "copy", "json", NULL, NULL);
    kit_add_task(kit, "make", "echo '[3]' >\"$BAILIFF_OUTPUT_MINE\"", NULL, NULL, "mine", 0);
    kit_start(kit);
    const char *id = kit_submit(kit, "make");
    kit_await(kit, id, JOB_COMPLETED);
    /* published to the user's own path after the commit */
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; strcmp(kit_read(kit, kit_path(kit, "mine.json")), "[3]\n") != 0;
         pause_ms(2))
        assert_true(clock_mono_ms() < end);
}

static size_t intents(struct kit *kit)
{
    struct publish_intent *list;
    size_t count;

    store_reader_turn_end(kit->reader);
    assert_true(store_publish_intents(kit->reader, &kit->arena, &list, &count, NULL));
    store_reader_turn_end(kit->reader);
    return count;
}

/* What could not be published for a while is published in the order in which it was made. */
static void the_newest_value_stays_at_the_users_path(void **state)
{
    struct kit *kit = *state;
    const char *path = kit_path(kit, "later/mine.json");

    kit_add_node(kit, "mine", "json", NULL, path);
    kit_add_task(kit, "make", arena_printf(&kit->arena, "cat %s >\"$BAILIFF_OUTPUT_MINE\"", kit_path(kit, "value")),
                 NULL, NULL, "mine", 0);
    kit_start(kit);
    for (const char *value = "123"; *value; value++) {
        kit_write(kit, "value", (char[]){*value, '\0'});
        kit_await(kit, kit_submit(kit, "make"), JOB_COMPLETED);
    }
    assert_int_equal(intents(kit), 3); /* the folder is missing */
    kit_stop(kit);
    assert_int_equal(mkdir(kit_path(kit, "later"), 0755), 0);
    kit_start(kit);
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; intents(kit) > 0; pause_ms(2))
        assert_true(clock_mono_ms() < end);
    assert_string_equal(kit_read(kit, path), "3");
}

static void a_path_may_have_the_longest_name(void **state)
{
    struct kit *kit = *state;
    char name[NAME_MAX + 1] = {0};

    memset(name, 'n', NAME_MAX);
    const char *path = kit_path(kit, name);
    kit_add_node(kit, "mine", "json", NULL, path);
    kit_add_task(kit, "make", "echo '[3]' >\"$BAILIFF_OUTPUT_MINE\"", NULL, NULL, "mine", 0);
    kit_start(kit);
    kit_await(kit, kit_submit(kit, "make"), JOB_COMPLETED);
    kit_await_file(path);
    assert_string_equal(kit_read(kit, path), "[3]\n");
}

static void a_time_limit_ends_it(void **state)
{
    struct kit *kit = *state;

    kit_add_task(kit, "slow", "trap '' TERM; while :; do sleep 0.05; done", NULL, NULL, NULL, 200);
    kit_start(kit);
    struct job job = kit_await(kit, kit_submit(kit, "slow"), JOB_FAILED);
    assert_string_equal(job.error, "The task ran longer than its limit of 0.2 s.");
}

static void output_is_capped(void **state)
{
    struct kit *kit = *state;

    kit_add_command(kit, "chatty", "head -c 5000000 /dev/zero | tr '\\0' x");
    kit_start(kit);
    const char *id = kit_submit(kit, "chatty");
    kit_await(kit, id, JOB_COMPLETED);
    const char *log = kit_log(kit, id);
    assert_in_range(strlen(log), 100000, 100080);
    assert_non_null(strstr(log, "\n[log cut at 100000 bytes]\n"));
}

/* The shell, a child that ignores SIGTERM, and a grandchild of another session with an empty environment. */
static const char STUBBORN[] = "trap '' TERM\n"
                               "setsid env -i sh -c 'trap \"\" TERM HUP; touch %s; while :; do sleep 0.05; done' %s &\n"
                               "while :; do sleep 0.05; done";

static void canceled_means_that_nothing_is_alive(void **state)
{
    struct kit *kit = *state;
    const char *mark = kit_path(kit, "alive"), *word = arena_printf(&kit->arena, "stubborn-%d", getpid());

    kit_add_command(kit, "stubborn", arena_printf(&kit->arena, STUBBORN, mark, word));
    kit_start(kit);
    const char *id = kit_submit(kit, "stubborn");
    kit_await_file(mark);
    kit_await(kit, id, JOB_RUNNING);
    assert_true(process_count(word, NULL) > 0);
    assert_true(kit_cancel(kit, id));
    struct job job = kit_await(kit, id, JOB_CANCELED);
    assert_int_equal(process_count(word, NULL), 0);
    assert_false(job.exited);
}

static void strays_end_with_their_job(void **state)
{
    struct kit *kit = *state;
    const char *mark = kit_path(kit, "alive"), *word = arena_printf(&kit->arena, "stray-%d", getpid());

    kit_add_command(kit, "leaving",
                    arena_printf(&kit->arena,
                                 "(trap '' TERM; setsid sh -c 'touch %s; while :; do sleep 0.05; done' %s) & while [ ! "
                                 "-e %s ]; do sleep 0.01; done",
                                 mark, word, mark));
    kit_start(kit);
    kit_await(kit, kit_submit(kit, "leaving"), JOB_COMPLETED);
    assert_true(kit_exists(mark));
    assert_int_equal(process_count(word, NULL), 0);
}

static void a_cancel_at_any_moment_is_heeded(void **state)
{
    struct kit *kit = *state;

    kit_add_command(kit, "sleep", "sleep 1000");
    kit_start(kit);
    for (int i = 0; i < 30; i++) {
        const char *id = kit_submit(kit, "sleep");
        if (i % 3 == 1)
            kit_await(kit, id, JOB_RUNNING);
        if (i % 3 == 2)
            pause_ms(i);
        assert_true(kit_cancel(kit, id));
        kit_await(kit, id, JOB_CANCELED);
    }
}

static void many_jobs_run_in_order_and_within_their_number(void **state)
{
    struct kit *kit = *state;
    const char *ids[300];

    kit->options.workers_max = 1;
    kit_add_command(kit, "count", arena_printf(&kit->arena, "echo \"$BAILIFF_JOB_ID\" >>%s", kit_path(kit, "order")));
    kit_add_command(kit, "hold",
                    arena_printf(&kit->arena, "while [ ! -e %s ]; do sleep 0.01; done", kit_path(kit, "go")));
    kit_start(kit);
    const char *hold = kit_submit(kit, "hold");
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        ids[i] = kit_submit(kit, "count");
    kit_write(kit, "go", "");
    kit_await(kit, hold, JOB_COMPLETED);
    struct text expected = {0};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        kit_await(kit, ids[i], JOB_COMPLETED);
        text_printf(&expected, "%s\n", ids[i]);
    }
    assert_string_equal(kit_read(kit, kit_path(kit, "order")), expected.data);
    text_done(&expected);
}

static int tests(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
    const struct CMUnitTest all[] = {
        T(commands_complete_and_fail),
        T(named_variables_reach_commands),
        T(a_command_that_cannot_start_fails),
        T(an_output_becomes_an_immutable_file),
        T(an_output_not_written_is_a_failure),
        T(inputs_are_handed_over),
        T(the_newest_value_stays_at_the_users_path),
        T(a_path_may_have_the_longest_name),
        T(a_time_limit_ends_it),
        T(output_is_capped),
        T(canceled_means_that_nothing_is_alive),
        T(strays_end_with_their_job),
        T(a_cancel_at_any_moment_is_heeded),
        T(many_jobs_run_in_order_and_within_their_number),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return jobs_fixture_main(argc, argv, tests);
}
