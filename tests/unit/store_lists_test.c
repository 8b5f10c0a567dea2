/* Lists: every order, every filter, in steps of every size, also while others write. */
#include <stdatomic.h>

#include "unit/store_fixture.h"

enum { ROWS_MAX = 4096 };

struct listing {
    const char *ids[ROWS_MAX];
    size_t count, steps;
};

/* All steps of a list of tasks, each in a loop turn of its own. */
static struct listing list_tasks(struct fixture *f, struct list_query query, size_t rows_max)
{
    struct list_position at = {0};
    struct listing listing = {0};
    struct task rows[500];
    size_t count;

    query.status = -1;
    while (!at.ended) {
        store_reader_turn_end(f->reader);
        if (!store_list_tasks(f->reader, &ALL, &query, &at, rows_max, &f->arena, rows, &count, &f->fault))
            fail_msg("%s (%s)", f->fault.message, f->fault.detail);
        assert_true(count <= rows_max);
        for (size_t i = 0; i < count; i++)
            listing.ids[listing.count++] = rows[i].id;
        assert_true(++listing.steps < 10000);
    }
    return listing;
}

static struct listing list_jobs(struct fixture *f, struct list_query query, size_t rows_max)
{
    struct list_position at = {0};
    struct listing listing = {0};
    struct job rows[500];
    size_t count;

    while (!at.ended) {
        store_reader_turn_end(f->reader);
        assert_true(store_list_jobs(f->reader, &ALL, &query, &at, rows_max, &f->arena, rows, &count, &f->fault));
        for (size_t i = 0; i < count; i++)
            listing.ids[listing.count++] = rows[i].id;
        assert_true(++listing.steps < 10000);
    }
    return listing;
}

/* What SQL itself says. */
static struct listing expected(struct fixture *f, const char *sql)
{
    struct listing listing = {0};
    sqlite3_stmt *statement;
    sqlite3 *db;

    assert_int_equal(sqlite3_open(fixture_path(f, "bailiff.db"), &db), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    while (sqlite3_step(statement) == SQLITE_ROW)
        listing.ids[listing.count++] = arena_strdup(&f->arena, (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return listing;
}

static void same(const struct listing *got, const struct listing *wanted, const char *what)
{
    if (got->count != wanted->count)
        fail_msg("%s: %zu rows instead of %zu", what, got->count, wanted->count);
    for (size_t i = 0; i < got->count; i++)
        if (strcmp(got->ids[i], wanted->ids[i]) != 0)
            fail_msg("%s: row %zu is %s instead of %s", what, i, got->ids[i], wanted->ids[i]);
}

static void fill(struct fixture *f, int tasks)
{
    static const int kinds[] = {DOUBLE, CLEAN, DOUBLE, FETCH, DOUBLE, REPORT, CACHE};

    for (int i = 0; i < tasks; i++) {
        application.version = i % 3 == 0 ? "1.0" : "2.0";
        fixture_create(f, kinds[(size_t)i % ARRAY_LEN(kinds)]);
    }
    application.version = "1.0";
    /* times of their own, some of them equal; holes in seq */
    fixture_sql(f, "UPDATE task SET created_at = 1000000 + seq / 3 * 10; DELETE FROM task WHERE seq % 11 = 4;"
                   "DELETE FROM task WHERE seq BETWEEN 20 AND 26");
}

static void check_every_order_and_filter(struct fixture *f, bool clock_jumped)
{
    static const size_t sizes[] = {1, 2, 3, 7, 64, 500};
    const struct {
        struct list_query query;
        const char *where;
    } filters[] = {
        {{0}, "1"},
        {{.config_id = "double"}, "config_id = 'double'"},
        {{.config_id = "nothing"}, "0"},
        {{.version = "1.0"}, "version = '1.0'"},
        {{.version = "1.0", .config_id = "fetch"}, "version = '1.0' AND config_id = 'fetch'"},
        {{.owner_id = "SCENARIO_x"}, "0"},
        {{.created_after_ms = 1000050}, "created_at > 1000050"},
        {{.created_after_ms = 1000055}, "created_at > 1000055"},
        {{.created_before_ms = 1000100}, "created_at < 1000100"},
        {{.created_before_ms = 1000105}, "created_at < 1000105"},
        {{.created_after_ms = 1000050, .created_before_ms = 1000100}, "created_at > 1000050 AND created_at < 1000100"},
        {{.created_after_ms = 1000060, .created_before_ms = 1000090, .config_id = "double"},
         "created_at > 1000060 AND created_at < 1000090 AND config_id = 'double'"},
        {{.created_after_ms = 1}, "1"},
        {{.created_after_ms = 9000000}, "0"},
        {{.created_before_ms = 1}, "0"},
        {{.created_before_ms = 9000000}, "1"},
        {{.created_after_ms = 1000100, .created_before_ms = 1000050}, "0"},
    };

    fill(f, 60);
    if (clock_jumped) /* twice; the borders are holes, too */
        fixture_sql(f, "UPDATE task SET created_at = created_at + 100 WHERE seq <= 15;"
                       "UPDATE task SET created_at = created_at - 90 WHERE seq > 37;"
                       "INSERT INTO clock_back VALUES ('task', 15), ('task', 37), ('task', 26), ('job', 3);");
    for (size_t i = 0; i < ARRAY_LEN(filters); i++)
        for (int sort = SORT_CREATED; sort <= SORT_CONFIG_ID; sort++)
            for (int down = 0; down <= 1; down++) {
                struct list_query query = filters[i].query;
                const char *direction = down ? "DESC" : "ASC";
                const char *order = sort == SORT_ID          ? "id"
                                    : sort == SORT_CONFIG_ID ? (down ? "config_id DESC, seq" : "config_id, seq")
                                                             : "seq";
                const char *sql = arena_printf(&f->arena, "SELECT id FROM task WHERE %s ORDER BY %s %s",
                                               filters[i].where, order, direction);
                struct listing wanted = expected(f, sql);
                query.sort = (enum list_sort)sort;
                query.descending = down;
                for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
                    struct listing got = list_tasks(f, query, sizes[s]);
                    same(&got, &wanted, sql);
                }
            }
}

static void every_order_and_filter(void **state)
{
    check_every_order_and_filter(*state, false);
}

static void every_order_and_filter_after_the_clock_jumped(void **state)
{
    check_every_order_and_filter(*state, true);
}

static void an_empty_store(void **state)
{
    struct fixture *f = *state;

    for (int sort = SORT_CREATED; sort <= SORT_CONFIG_ID; sort++)
        for (int down = 0; down <= 1; down++) {
            struct listing got =
                list_tasks(f, (struct list_query){.sort = (enum list_sort)sort, .descending = down}, 10);
            assert_int_equal(got.count, 0);
        }
}

static void jobs_by_status_and_task(void **state)
{
    struct fixture *f = *state;
    struct task task = fixture_create(f, DOUBLE), other = fixture_create(f, FETCH);
    struct listing got, wanted;

    for (int i = 0; i < 30; i++) {
        struct job job = fixture_submit(f, i % 4 == 0 ? other.id : task.id);
        if (i % 3 == 0)
            continue;
        struct job_start start = fixture_start(f, job.id);
        if (i % 3 == 1)
            fixture_end(f, &start, JOB_COMPLETED);
    }
    for (int status = -1; status < JOB_STATUS_COUNT; status++)
        for (int with_task = 0; with_task <= 2; with_task++)
            for (int sort = SORT_CREATED; sort <= SORT_CONFIG_ID; sort++)
                for (int down = 0; down <= 1; down++) {
                    struct list_query query = {.sort = (enum list_sort)sort, .descending = down, .status = status};
                    const char *name = status < 0 ? "" : job_status_name((enum job_status)status);
                    query.task_id = with_task == 1 ? task.id : NULL;
                    query.config_id = with_task == 2 ? "double" : NULL;
                    const char *sql = arena_printf(
                        &f->arena,
                        "SELECT id FROM job WHERE ('%s' = '' OR status = '%s') AND ('%s' = '' OR task_id = '%s') AND "
                        "('%s' = '' OR task_config_id = '%s') ORDER BY %s %s",
                        name, name, query.task_id ? query.task_id : "", query.task_id ? query.task_id : "",
                        query.config_id ? query.config_id : "", query.config_id ? query.config_id : "",
                        sort == SORT_ID          ? "id"
                        : sort == SORT_CONFIG_ID ? (down ? "task_config_id DESC, seq" : "task_config_id, seq")
                                                 : "seq",
                        down ? "DESC" : "ASC");
                    wanted = expected(f, sql);
                    got = list_jobs(f, query, 4);
                    same(&got, &wanted, sql);
                }
    struct list_query several = {.status = -1, .statuses = 1u << JOB_RUNNING | 1u << JOB_COMPLETED, .descending = true};
    const char *sql = "SELECT id FROM job WHERE status IN ('RUNNING', 'COMPLETED') ORDER BY seq DESC";
    wanted = expected(f, sql);
    assert_true(wanted.count > 0 && wanted.count < 30);
    got = list_jobs(f, several, 4);
    same(&got, &wanted, sql);
}

static void data_nodes_have_their_parents(void **state)
{
    struct fixture *f = *state;
    struct task clean = fixture_create(f, CLEAN), report = fixture_create(f, REPORT);
    struct list_query query = {.status = -1, .config_id = "tidy"};
    struct list_position at = {0};
    struct data_node rows[8];
    size_t count;

    assert_true(store_list_data_nodes(f->reader, &ALL, &query, &at, 8, &f->arena, rows, &count, &f->fault));
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].parent_ids.count, 2);
    assert_string_equal(rows[0].parent_ids.items[0], clean.id);
    assert_string_equal(rows[0].parent_ids.items[1], report.id);
    assert_int_equal(rows[0].scope, SCOPE_GLOBAL);
    query = (struct list_query){.status = -1, .sort = SORT_CONFIG_ID, .descending = true};
    at = (struct list_position){0};
    assert_true(store_list_data_nodes(f->reader, &ALL, &query, &at, 8, &f->arena, rows, &count, &f->fault));
    assert_int_equal(count, 3);
    assert_string_equal(rows[0].config_id, "tidy");
    assert_string_equal(rows[2].config_id, "paper");
}

static void a_step_looks_at_no_more_than_it_may(void **state)
{
    struct fixture *f = *state;
    struct listing got;

    fill(f, 60);
    got = list_tasks(f, (struct list_query){.version = "nothing"}, 5);
    assert_int_equal(got.count, 0);
    assert_true(got.steps >= (size_t)fixture_number(f, "SELECT count(*) FROM task") / 5);
    /* but a time is found without looking at what is before it */
    got = list_tasks(f, (struct list_query){.created_after_ms = 1000190}, 5);
    assert_true(got.steps <= 2);
    got = list_tasks(f, (struct list_query){.created_before_ms = 1000010, .descending = true}, 5);
    assert_true(got.steps <= 2);
}

static void a_cursor_that_was_tampered_with_does_no_harm(void **state)
{
    struct fixture *f = *state;
    struct list_query query = {.status = -1, .sort = SORT_ID};
    struct list_position at = {.started = true, .last_seq = INT64_MAX, .seq = INT64_MIN};
    struct task rows[4];
    size_t count;

    fixture_create(f, DOUBLE);
    memset(at.key, 0xff, sizeof(at.key)); /* not terminated */
    for (int sort = SORT_CREATED; sort <= SORT_CONFIG_ID; sort++) {
        struct list_position copy = at;
        query.sort = (enum list_sort)sort;
        query.descending = !query.descending;
        assert_true(store_list_tasks(f->reader, &ALL, &query, &copy, 4, &f->arena, rows, &count, &f->fault));
    }
}

/* ---- stability: what existed and matched throughout appears exactly once ---- */
struct churn {
    struct fixture *f;
    atomic_bool stop;
    char *doomed[200]; /* ids that the other thread deletes */
    size_t doomed_count;
};

static bool apply_churn(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct task_creation creation = {.manifest = &application, .config = &task_configs[DOUBLE], .created_by = "new"};
    const char *doomed = change->input;
    struct task task;

    return txn_create_task(txn, &ALL, &creation, &change->arena, &task, fault) &&
           (!doomed || txn_delete_task(txn, &ALL, doomed, -1, fault));
}

static void *churn_main(void *arg)
{
    struct churn *churn = arg;

    for (size_t i = 0; !churn->stop && i < 2000; i++) {
        struct change *change = change_new();
        struct fault fault = {0};
        bool ok;
        change->class = CHANGE_JOB;
        change->apply = apply_churn;
        change->input = i < churn->doomed_count ? churn->doomed[i] : NULL;
        ok = store_submit_wait(churn->f->store, change, &fault);
        change_free(change);
        if (!ok)
            return churn; /* failed */
    }
    return NULL;
}

static void lists_are_stable_under_writes(void **state)
{
    struct fixture *f = *state;
    struct churn churn = {.f = f};
    struct task tasks[300];
    pthread_t thread;
    void *result;

    for (size_t i = 0; i < ARRAY_LEN(tasks); i++) {
        tasks[i] = fixture_create(f, i % 2 ? DOUBLE : FETCH);
        if (i % 3 == 0)
            churn.doomed[churn.doomed_count++] = (char *)(uintptr_t)tasks[i].id;
    }
    assert_int_equal(pthread_create(&thread, NULL, churn_main, &churn), 0);
    for (int sort = SORT_CREATED; sort <= SORT_CONFIG_ID; sort++)
        for (int down = 0; down <= 1; down++) {
            struct listing got =
                list_tasks(f, (struct list_query){.sort = (enum list_sort)sort, .descending = down}, 3);
            for (size_t i = 0; i < ARRAY_LEN(tasks); i++) {
                size_t seen = 0;
                for (size_t k = 0; k < got.count; k++)
                    seen += strcmp(got.ids[k], tasks[i].id) == 0;
                if (i % 3 == 0 ? seen > 1 : seen != 1)
                    fail_msg("sort %d, down %d: %s was seen %zu times", sort, down, tasks[i].id, seen);
            }
        }
    churn.stop = true;
    pthread_join(thread, &result);
    assert_null(result);
}

static void what_comes_later_is_not_in_the_list(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 10; i++)
        fixture_create(f, i % 2 ? CLEAN : FETCH);
    for (int sort = SORT_CREATED; sort <= SORT_CONFIG_ID; sort++)
        for (int down = 0; down <= 1; down++) {
            struct list_query query = {.sort = (enum list_sort)sort, .descending = down, .status = -1};
            int64_t before = fixture_number(f, "SELECT count(*) FROM task");
            struct list_position at = {0};
            size_t total = 0, count;
            while (!at.ended) {
                struct task rows[2];
                store_reader_turn_end(f->reader);
                assert_true(store_list_tasks(f->reader, &ALL, &query, &at, 2, &f->arena, rows, &count, &f->fault));
                if (total == 0)
                    for (int i = 0; i < 20; i++)
                        fixture_create(f, i % 2 ? DOUBLE : CACHE);
                total += count;
            }
            assert_int_equal(total, before);
        }
}

static void a_turn_sees_one_state(void **state)
{
    struct fixture *f = *state;
    struct task first = fixture_create(f, DOUBLE), read;
    struct change *change = change_new();

    assert_true(store_find_task(f->reader, &ALL, first.id, &f->arena, &read, &f->fault));
    change->class = CHANGE_JOB;
    change->apply = apply_delete;
    change->input = &(struct delete_input){first.id, -1};
    assert_true(store_submit_wait(f->store, change, &f->fault));
    change_free(change);
    assert_true(store_find_task(f->reader, &ALL, first.id, &f->arena, &read, &f->fault)); /* still the same turn */
    store_reader_turn_end(f->reader);
    assert_false(store_find_task(f->reader, &ALL, first.id, &f->arena, &read, &f->fault));
    store_reader_turn_end(f->reader);
    store_reader_turn_end(f->reader); /* harmless */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        T(every_order_and_filter),
        T(every_order_and_filter_after_the_clock_jumped),
        T(an_empty_store),
        T(jobs_by_status_and_task),
        T(data_nodes_have_their_parents),
        T(a_step_looks_at_no_more_than_it_may),
        T(a_cursor_that_was_tampered_with_does_no_harm),
        T(lists_are_stable_under_writes),
        T(what_comes_later_is_not_in_the_list),
        T(a_turn_sees_one_state),
    };

    return cmocka_run_group_tests_name("store_lists", tests, NULL, NULL);
}
