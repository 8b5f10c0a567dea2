/* Retries, time limits and limits on how many run, with a real store, runner, keepers and commands. */
#include <sqlite3.h>

#include "unit/jobs_fixture.h"

static struct retries retries(unsigned max, int64_t delay_ms, const char **on, size_t count)
{
    return (struct retries){
        .max = max, .delay_ms = delay_ms, .delay_max_ms = MAX(delay_ms, 1), .backoff = THOUSANDTHS, .on = {on, count}};
}

static const char *kit_submit_as(struct kit *kit, const char *config, const struct controls *controls,
                                 uint8_t submitter)
{
    struct kit_change in = {.config = config, .controls = controls, .submitter = submitter};
    struct fault fault = {0};

    if (!kit_change(kit, kit_apply_submit, &in, &fault))
        fail_msg("submit %s: %s (%s)", config, fault.message, fault.detail);
    return in.job.id;
}

/* Fails with 75 until it has run so many times. */
static void add_flaky(struct kit *kit, int failures)
{
    kit_add_command(kit, "flaky",
                    arena_printf(&kit->arena, "echo run >>%s; [ $(wc -l <%s) -gt %d ] || exit 75",
                                 kit_path(kit, "runs"), kit_path(kit, "runs"), failures));
}

static void it_is_tried_until_it_works(void **state)
{
    struct kit *kit = *state;
    const char *on[] = {"exit:75"};
    struct controls controls = {.timeout_ms = -1, .has_retries = true, .retries = retries(3, 20, on, 1)};

    add_flaky(kit, 2);
    kit_start(kit);
    const char *id = kit_submit_as(kit, "flaky", &controls, 0);
    struct job job = {0};
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; job.status != JOB_COMPLETED; pause_ms(2)) {
        job = kit_job(kit, id);
        assert_true(clock_mono_ms() < end && job.status != JOB_FAILED);
    }
    assert_int_equal(job.attempt, 3);
    assert_int_equal(job.retries, 2);
    assert_null(job.error);
    assert_string_equal(kit_read(kit, kit_path(kit, "runs")), "run\nrun\nrun\n");
}

static void what_was_not_chosen_fails_at_once(void **state)
{
    struct kit *kit = *state;
    const char *on[] = {"exit:7", "timeout"};
    struct controls controls = {.timeout_ms = -1, .has_retries = true, .retries = retries(3, 20, on, 2)};

    add_flaky(kit, 2);
    kit_start(kit);
    struct job job = kit_await(kit, kit_submit_as(kit, "flaky", &controls, 0), JOB_FAILED);
    assert_int_equal(job.attempt, 1);
    assert_int_equal(job.exit_code, 75);
}

static void a_time_limit_of_the_submit_is_retried(void **state)
{
    struct kit *kit = *state;
    const char *on[] = {"timeout"};
    struct controls controls = {.timeout_ms = 150, .has_retries = true, .retries = retries(1, 0, on, 1)};

    kit_add_command(kit, "slow", "sleep 1000");
    kit_start(kit);
    struct job job = {0};
    const char *id = kit_submit_as(kit, "slow", &controls, 0);
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; job.status != JOB_FAILED; pause_ms(2)) {
        job = kit_job(kit, id);
        assert_true(clock_mono_ms() < end);
    }
    assert_int_equal(job.attempt, 2);
    assert_string_equal(job.error, "The task ran longer than its limit of 0.15 s.");
}

/* The wait for a retry is in the store: it goes on with the next server, and holds nothing up meanwhile. */
static void a_retry_waits_through_a_restart(void **state)
{
    struct kit *kit = *state;
    const char *on[] = {"error"};
    struct controls controls = {.timeout_ms = -1, .has_retries = true, .retries = retries(1, 3600000, on, 1)};
    struct job job = {0};

    kit->options.workers_max = 1;
    add_flaky(kit, 1);
    kit_add_command(kit, "quick", "true");
    kit_start(kit);
    const char *id = kit_submit_as(kit, "flaky", &controls, 0);
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; job.retries == 0; pause_ms(2)) {
        job = kit_job(kit, id);
        assert_true(clock_mono_ms() < end);
    }
    assert_int_equal(job.status, JOB_PENDING);
    kit_await(kit, kit_submit(kit, "quick"), JOB_COMPLETED);
    struct manifest *manifest = kit->manifest;
    kit->manifest = NULL;
    kit_stop(kit);
    kit->manifest = manifest;
    kit_start(kit);
    kit_await(kit, kit_submit(kit, "quick"), JOB_COMPLETED);
    job = kit_job(kit, id);
    assert_int_equal(job.status, JOB_PENDING);
    assert_int_equal(job.attempt, 1);
    assert_true(kit_cancel(kit, id));
    kit_await(kit, id, JOB_CANCELED);
}

static void execute(struct kit *kit, const char *sql)
{
    sqlite3 *db;
    char *error = NULL;

    assert_int_equal(sqlite3_open(arena_printf(&kit->arena, "%s/data/bailiff.db", kit->folder), &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
    sqlite3_close(db);
}

/* What is left of a delay is bounded by the delay, should the clock have been set back since it was written down. */
static void a_clock_that_was_set_delays_no_retry_for_long(void **state)
{
    struct kit *kit = *state;
    const char *on[] = {"error"};
    struct controls controls = {.timeout_ms = -1, .has_retries = true, .retries = retries(1, 200, on, 1)};
    struct job job = {0};

    add_flaky(kit, 1);
    kit_start(kit);
    const char *id = kit_submit_as(kit, "flaky", &controls, 0);
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; job.retries == 0; pause_ms(1)) {
        job = kit_job(kit, id);
        assert_true(clock_mono_ms() < end);
    }
    struct manifest *manifest = kit->manifest;
    kit->manifest = NULL;
    kit_stop(kit);
    kit->manifest = manifest;
    execute(kit,
            "UPDATE job SET status = 'PENDING', retry_at = retry_at + 86400000, retry_delay = 200, started_at = 0, "
            "ended_at = 0 WHERE attempt = 1");
    kit_start(kit);
    kit_await(kit, id, JOB_COMPLETED);
}

static size_t count_lines(struct kit *kit, const char *name)
{
    const char *content = kit_read(kit, kit_path(kit, name));
    size_t count = 0;

    for (const char *c = content; c && *c; c++)
        count += *c == '\n';
    return count;
}

static void await_lines(struct kit *kit, const char *name, size_t count)
{
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; count_lines(kit, name) < count; pause_ms(2))
        assert_true(clock_mono_ms() < end);
    assert_int_equal(count_lines(kit, name), count);
}

/* Each says that it runs and waits for the gate. */
static void add_gated(struct kit *kit, const char *id, unsigned concurrency)
{
    kit_add_command(kit, id,
                    arena_printf(&kit->arena, "echo \"$BAILIFF_JOB_ID\" >>%s; while [ ! -e %s ]; do sleep 0.01; done",
                                 kit_path(kit, id), kit_path(kit, "go")));
    if (concurrency > 0) { /* the last task's closing bracket */
        kit->tasks.data[--kit->tasks.len] = '\0';
        text_printf(&kit->tasks, ",\"concurrency\":%u}", concurrency);
    }
}

static size_t running_of(struct kit *kit, const char *config)
{
    struct list_query query = {.config_id = config, .status = -1};
    struct list_position position = {0};
    struct job rows[100];
    size_t count = 0, running = 0;
    struct fault fault = {0};

    assert_true(store_list_jobs(kit->reader, &EVERYTHING, &query, &position, ARRAY_LEN(rows), &kit->arena, rows, &count,
                                &fault));
    store_reader_turn_end(kit->reader);
    for (size_t i = 0; i < count; i++)
        running += rows[i].status == JOB_RUNNING;
    return running;
}

static void limits_hold_and_hold_up_nobody_else(void **state)
{
    struct kit *kit = *state;
    const char *narrow[4], *others[3];

    kit->options.workers_max = 6;
    kit->options.submitter_limit = 2;
    add_gated(kit, "narrow", 1);
    add_gated(kit, "wide", 0);
    kit_add_command(kit, "quick", "true");
    kit_start(kit);
    for (size_t i = 0; i < ARRAY_LEN(narrow); i++)
        narrow[i] = kit_submit_as(kit, "narrow", NULL, 1);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        others[i] = kit_submit_as(kit, "wide", NULL, 2);
    await_lines(kit, "narrow", 1);
    await_lines(kit, "wide", 2);
    kit_await(kit, kit_submit_as(kit, "quick", NULL, 1), JOB_COMPLETED); /* the other place of the first submitter */
    kit_await(kit, kit_submit_as(kit, "quick", NULL, 3), JOB_COMPLETED);
    assert_int_equal(running_of(kit, "narrow"), 1);
    assert_int_equal(running_of(kit, "wide"), 2);
    assert_int_equal(count_lines(kit, "wide"), 2);
    kit_write(kit, "go", "");
    for (size_t i = 0; i < ARRAY_LEN(narrow); i++) {
        while (!job_status_final(kit_job(kit, narrow[i]).status)) {
            assert_true(running_of(kit, "narrow") <= 1);
            pause_ms(1);
        }
        kit_await(kit, narrow[i], JOB_COMPLETED);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        kit_await(kit, others[i], JOB_COMPLETED);
    struct text expected = {0};
    for (size_t i = 0; i < ARRAY_LEN(narrow); i++)
        text_printf(&expected, "%s\n", narrow[i]);
    assert_string_equal(kit_read(kit, kit_path(kit, "narrow")), expected.data); /* the oldest first */
    text_done(&expected);
}

static int tests(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
    const struct CMUnitTest all[] = {
        T(it_is_tried_until_it_works),
        T(what_was_not_chosen_fails_at_once),
        T(a_time_limit_of_the_submit_is_retried),
        T(a_retry_waits_through_a_restart),
        T(a_clock_that_was_set_delays_no_retry_for_long),
        T(limits_hold_and_hold_up_nobody_else),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return jobs_fixture_main(argc, argv, tests);
}
