/* Many threads at once: writers of changes, readers of their own, one that verifies. Meant for the thread sanitizer. */
#include <stdatomic.h>

#include "unit/store_fixture.h"

enum { WRITERS = 4, READERS = 3, CHANGES = 150 };

struct crowd {
    struct fixture *f;
    atomic_int made, wrong;
    atomic_bool stop;
};

static bool apply_life(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct task_creation creation = {.manifest = &application, .config = &task_configs[CLEAN], .created_by = "ann"};
    struct submission submission;
    struct task task;
    struct job job;

    if (!txn_create_task(txn, &ALL, &creation, &change->arena, &task, fault) ||
        !txn_submit_task(txn, &ALL, &(struct task_submission){.id = task.id, .submitted_by = "ben"}, &change->arena,
                         &task, &job, &submission, fault))
        return false;
    change->outcome = arena_strdup(&change->arena, job.id);
    return true;
}

static bool apply_cancel_it(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct job job;

    return txn_cancel_job(txn, &ALL, change->input, &change->arena, &job, fault);
}

static bool run(struct crowd *crowd, apply_fn apply, void *input, char *ret_id)
{
    struct change *change = change_new();
    struct fault fault = {0};
    bool ok;

    change->apply = apply;
    change->input = input;
    change->audited = true;
    change->audit.action = "test";
    ok = store_submit_wait(crowd->f->store, change, &fault);
    if (ok && ret_id)
        snprintf(ret_id, ENTITY_ID_SIZE, "%s", (const char *)change->outcome);
    change_free(change);
    return ok;
}

static void *writer(void *arg)
{
    struct crowd *crowd = arg;
    char id[ENTITY_ID_SIZE];

    for (int i = 0; i < CHANGES; i++) {
        if (!run(crowd, apply_life, NULL, id))
            crowd->wrong++;
        else
            crowd->made++;
        if (i % 2 == 0 && !run(crowd, apply_cancel_it, id, NULL))
            crowd->wrong++;
    }
    return NULL;
}

static void *reader(void *arg)
{
    struct crowd *crowd = arg;
    struct store_reader *own_reader;
    struct fault fault = {0};

    if (!store_reader_open(crowd->f->store, &own_reader, &fault)) {
        crowd->wrong++;
        return NULL;
    }
    while (!crowd->stop) {
        struct list_query query = {.status = -1, .sort = SORT_ID};
        struct list_position at = {0};
        struct arena arena = {0};
        struct job rows[16];
        size_t count;
        while (!at.ended && fault.kind == FAULT_NONE) {
            if (!store_list_jobs(own_reader, &ALL, &query, &at, ARRAY_LEN(rows), &arena, rows, &count, &fault))
                crowd->wrong++;
            store_reader_turn_end(own_reader);
        }
        arena_done(&arena);
        if (!store_healthy(crowd->f->store, &fault) || store_queue_length(crowd->f->store) > WRITERS)
            crowd->wrong++;
    }
    store_reader_free(own_reader);
    return NULL;
}

static void *verifier(void *arg)
{
    struct crowd *crowd = arg;

    while (!crowd->stop) {
        struct audit_report report;
        struct fault fault = {0};
        if (!store_verify_audit(crowd->f->folder, &report, &fault))
            crowd->wrong++;
    }
    return NULL;
}

static void many_at_once(void **state)
{
    struct fixture *f = *state;
    struct crowd crowd = {.f = f};
    pthread_t writers[WRITERS], others[READERS + 1];
    struct audit_report report;

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(pthread_create(&others[i], NULL, i < READERS ? reader : verifier, &crowd), 0);
    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, writer, &crowd), 0);
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    crowd.stop = true;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        pthread_join(others[i], NULL);
    assert_int_equal(crowd.wrong, 0);
    assert_int_equal(crowd.made, WRITERS * CHANGES);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM task"), WRITERS * CHANGES);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM data_node"), 2); /* shared by all of them, made once */
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM job WHERE status = 'CANCELED'"), WRITERS * CHANGES / 2);
    assert_true(store_verify_audit(f->folder, &report, &f->fault));
    assert_int_equal(report.records, WRITERS * CHANGES * 3 / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_at_once, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests_name("store_threads", tests, NULL, NULL);
}
