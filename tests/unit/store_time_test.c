/* A clock that jumps: forward and back again, by little and by much. For most the clock itself stays, and the stored times are moved instead. */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "store/txn.h"
#include "unit/store_jobs_fixture.h"

static const int64_t HOUR_MS = 3600000;
static _Atomic int64_t hours_ahead; /* of the wall's clock */

/* In libc's place. */
int clock_gettime(clockid_t id, struct timespec *ret)
{
    int rc = (int)syscall(SYS_clock_gettime, id, ret);

    if (id == CLOCK_REALTIME)
        ret->tv_sec += hours_ahead * 3600;
    return rc;
}

/* As if the clock had been ahead so far. */
static void was_ahead(struct fixture *f, int64_t by_ms)
{
    static const char *const columns[][2] = {{"task", "created_at"},     {"data_node", "created_at"},
                                             {"data_node", "last_edit"}, {"job", "created_at"},
                                             {"job", "started_at"},      {"idempotency", "created_at"}};

    fixture_close(f);
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        fixture_sql(f, arena_printf(&f->arena, "UPDATE %s SET %s = %s + %lld WHERE %s > 0", columns[i][0],
                                    columns[i][1], columns[i][1], (long long)by_ms, columns[i][1]));
    fixture_open(f);
}

static bool is_now(int64_t time_ms)
{
    int64_t now_ms = clock_wall_ms();

    return time_ms <= now_ms && time_ms > now_ms - HOUR_MS / 2;
}

static void a_clock_that_is_a_little_behind_is_waited_for(void **state)
{
    struct fixture *f = *state;
    int64_t latest_ms = fixture_create(f, DOUBLE).created_at_ms + 240000;

    was_ahead(f, 240000);
    assert_int_equal(fixture_create(f, DOUBLE).created_at_ms, latest_ms);
    assert_int_equal(fixture_number(f, "SELECT max(time) FROM audit"), latest_ms);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM clock_back"), 0);
}

static void a_clock_that_ran_ahead_does_no_harm_for_ever(void **state)
{
    struct fixture *f = *state;
    const char *log_file = fixture_path(f, "log");
    struct text log = {0};
    FILE *out = fopen(log_file, "w");

    f->options.log = log_new(fileno(out), LOG_JSON, LOG_INFO);
    fixture_create(f, DOUBLE);
    was_ahead(f, 10000 * HOUR_MS);
    for (int i = 0; i < 3; i++)
        assert_true(is_now(fixture_create(f, DOUBLE).created_at_ms));
    assert_true(is_now(fixture_number(f, "SELECT max(time) FROM audit")));
    assert_int_equal(fixture_number(f, "SELECT seq FROM clock_back WHERE name = 'task'"), 1);
    assert_int_equal(fixture_number(f, "SELECT seq FROM clock_back WHERE name = 'data_node'"), 2);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM clock_back"), 2); /* there are no jobs */
    fixture_close(f);
    assert_true(file_read(log_file, MIB(1), &log, &f->fault));
    const char *said = strstr(log.data, "store.clock_back");
    assert_non_null(said);
    assert_null(strstr(said + 1, "store.clock_back")); /* once */
    text_done(&log);
    log_free(f->options.log);
    f->options.log = NULL;
    fclose(out);
}

/* A transaction that failed has not moved the time either. */
static bool apply_break_the_transaction(struct store_txn *txn, struct change *change, struct fault *fault)
{
    return database_exec(txn->db, "ROLLBACK", fault) && fault_set(fault, FAULT_CONFLICT, "on purpose");
}

static void a_jump_is_noted_even_if_the_first_transaction_fails(void **state)
{
    struct fixture *f = *state;

    fixture_create(f, DOUBLE);
    was_ahead(f, 10 * HOUR_MS);
    assert_false(fixture_apply(f, apply_break_the_transaction, NULL));
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM clock_back"), 0);
    assert_true(is_now(fixture_create(f, DOUBLE).created_at_ms));
    assert_int_equal(fixture_number(f, "SELECT seq FROM clock_back WHERE name = 'task'"), 1);
}

/* ---- what is compared with the clock ---- */

static bool apply_nothing(struct store_txn *txn, struct change *change, struct fault *fault)
{
    return true;
}

static void render_answer(struct change *change)
{
    change->answer = (struct stored_answer){.status = 201, .body = "", .keep = true};
}

static bool run_idempotent(struct fixture *f, int key)
{
    struct change *change = change_new();
    bool replayed;

    change->class = CHANGE_JOB;
    change->apply = apply_nothing;
    change->render = render_answer;
    change->idempotent = true;
    change->idempotency_key[0] = (uint8_t)key;
    assert_true(store_submit_wait(f->store, change, &f->fault));
    replayed = change->replayed;
    change_free(change);
    store_reader_turn_end(f->reader);
    return replayed;
}

static void answers_are_kept_and_expire(void **state)
{
    struct fixture *f = *state;
    uint8_t key[32] = {1}, request[32];
    struct stored_answer answer;

    fixture_create(f, DOUBLE);
    assert_false(run_idempotent(f, 1));
    was_ahead(f, 10 * HOUR_MS);
    fixture_sql(f, "UPDATE idempotency SET created_at = created_at - 7200000"); /* two hours old by then */
    assert_true(run_idempotent(f, 1));
    assert_true(store_find_answer(f->reader, key, &f->arena, request, &answer, &f->fault));
    assert_true(fixture_number(f, "SELECT created_at FROM idempotency") <= clock_wall_ms() - 2 * HOUR_MS);
    assert_true(fixture_number(f, "SELECT created_at FROM idempotency") >= clock_wall_ms() - 3 * HOUR_MS);
}

static void answers_outlive_a_clock_that_jumps_ahead(void **state)
{
    struct fixture *f = *state;

    assert_false(run_idempotent(f, 1));
    hours_ahead = 100 * 24;
    assert_true(run_idempotent(f, 1));
    assert_true(run_idempotent(f, 1));
    assert_false(run_idempotent(f, 2));
    hours_ahead = 0; /* it was wrong */
    assert_true(run_idempotent(f, 1));
    assert_true(run_idempotent(f, 2));
    assert_true(is_now(fixture_number(f, "SELECT max(created_at) FROM idempotency")));
}

static void durations_are_never_negative(void **state)
{
    struct fixture *f = *state;
    struct job job = fixture_submit(f, fixture_create(f, DOUBLE).id);
    struct job_start start = fixture_start(f, job.id);

    was_ahead(f, 10 * HOUR_MS);
    fixture_end(f, &start, JOB_COMPLETED);
    job = job_of(f, job.id);
    assert_true(is_now(job.ended_at_ms));
    assert_true(job.started_at_ms > job.ended_at_ms);
    assert_int_equal(job.duration_ms, 0);
}

/* An input that was written after the clock was set right is newer than an output of the time before. */
static void skipping_goes_by_what_happened(void **state)
{
    struct fixture *f = *state;
    struct task task = fixture_create(f, CACHE);
    struct job_start start = fixture_start(f, fixture_submit(f, task.id).id);
    int64_t revision;

    fixture_end(f, &start, JOB_COMPLETED);
    revision = node_of(f, task.output_ids.items[0]).revision;
    was_ahead(f, 10 * HOUR_MS);
    assert_true(fixture_start(f, fixture_submit(f, task.id).id).skipped); /* nothing has changed */
    assert_true(is_now(node_of(f, task.output_ids.items[0]).last_edit_ms));
    assert_true(node_of(f, task.output_ids.items[0]).revision > revision);
    fixture_sql(f, arena_printf(&f->arena, "UPDATE data_node SET last_edit = %lld WHERE config_id = 'nb'",
                                (long long)clock_wall_ms() + 1));
    assert_false(fixture_start(f, fixture_submit(f, task.id).id).skipped);
}

static void an_output_of_the_future_is_made_again(void **state)
{
    struct fixture *f = *state;
    struct task task = fixture_create(f, CACHE);
    struct job_start start = fixture_start(f, fixture_submit(f, task.id).id);

    fixture_end(f, &start, JOB_COMPLETED);
    fixture_sql(f, "UPDATE data_node SET last_edit = last_edit + 36000000 WHERE config_id = 'cached'");
    assert_false(fixture_start(f, fixture_submit(f, task.id).id).skipped);
}

/* ---- lists ---- */

static size_t count_tasks(struct fixture *f, struct list_query query, size_t rows_max, size_t *ret_steps)
{
    struct list_position at = {0};
    struct task rows[64];
    size_t total = 0, count;

    query.status = -1;
    for (*ret_steps = 0; !at.ended; ++*ret_steps) {
        store_reader_turn_end(f->reader);
        assert_true(store_list_tasks(f->reader, &ALL, &query, &at, rows_max, &f->arena, rows, &count, &f->fault));
        total += count;
        assert_true(*ret_steps < 1000);
    }
    return total;
}

static void lists_find_what_was_created_before_and_after(void **state)
{
    struct fixture *f = *state;
    int64_t now_ms = clock_wall_ms();
    size_t steps;

    for (int i = 0; i < 20; i++)
        fixture_create(f, DOUBLE);
    was_ahead(f, 10 * HOUR_MS);
    for (int i = 0; i < 7; i++)
        fixture_create(f, DOUBLE);
    for (int down = 0; down <= 1; down++)
        for (size_t size = 1; size <= 64; size *= 4) {
            struct list_query late = {.descending = down, .created_after_ms = now_ms + HOUR_MS};
            struct list_query early = {.descending = down, .created_before_ms = now_ms + HOUR_MS};
            struct list_query none = {.descending = down, .created_after_ms = now_ms + 20 * HOUR_MS};
            assert_int_equal(count_tasks(f, late, size, &steps), 20);
            assert_int_equal(count_tasks(f, early, size, &steps), 7);
            assert_int_equal(count_tasks(f, none, size, &steps), 0);
            assert_true(steps <= 4); /* they are not looked for one by one */
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        T(a_clock_that_is_a_little_behind_is_waited_for),
        T(a_clock_that_ran_ahead_does_no_harm_for_ever),
        T(a_jump_is_noted_even_if_the_first_transaction_fails),
        T(answers_are_kept_and_expire),
        T(answers_outlive_a_clock_that_jumps_ahead),
        T(durations_are_never_negative),
        T(skipping_goes_by_what_happened),
        T(an_output_of_the_future_is_made_again),
        T(lists_find_what_was_created_before_and_after),
    };

    return cmocka_run_group_tests_name("store_time", tests, NULL, NULL);
}
