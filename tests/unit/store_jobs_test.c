/* A job from its submission to its end: running, ending, cancelling, skipping, recovery. */
#include "unit/store_jobs_fixture.h"

#include "store/txn.h"

static void a_ready_task_runs_to_its_end(void **state)
{
    struct fixture *f = *state;
    struct task task = fixture_create(f, DOUBLE);
    struct submit_input in = {.task_id = task.id, .force = true};
    struct job_start start;
    struct data_node doubled;
    struct job job;

    assert_true(fixture_apply(f, apply_submit, &in));
    assert_int_equal(in.job.status, JOB_PENDING);
    assert_string_equal(in.task.id, task.id);
    assert_int_equal(strncmp(in.job.id, "JOB_double_", 11), 0);
    assert_int_equal(strncmp(in.submission.id, "SUBMISSION_", 11), 0);
    assert_string_equal(in.submission.entity_type, "TASK");
    assert_string_equal(submission_status(f, in.submission.id), "PENDING");
    job = job_of(f, in.job.id);
    assert_true(job.force);
    assert_string_equal(job.submitted_by, "ben");
    assert_string_equal(job.submission_id, in.submission.id);
    assert_int_equal(job.attempt, 0);
    assert_null(job.worker);
    doubled = node_of(f, task.output_ids.items[0]);
    assert_true(doubled.edit_in_progress);
    assert_string_equal(doubled.editor_id, job.id);
    assert_int_equal(doubled.revision, 2);

    start = fixture_start(f, job.id);
    assert_false(start.skipped);
    assert_int_equal(start.attempt_number, 1);
    assert_int_equal(start.job.attempt, 1);
    assert_int_equal(start.input_count, 1);
    assert_string_equal(start.inputs[0].file, "defaults/nb.p");
    assert_string_equal(start.outputs[0].id, doubled.id);
    assert_string_equal(start.task.function_name, "double");
    assert_string_equal(submission_status(f, in.submission.id), "RUNNING");
    assert_string_equal(job_of(f, job.id).worker, "worker-1");

    fixture_end(f, &start, JOB_COMPLETED);
    job = job_of(f, job.id);
    assert_int_equal(job.status, JOB_COMPLETED);
    assert_true(job.exited);
    assert_false(job.signaled);
    assert_true(job.ended_at_ms >= job.started_at_ms && job.started_at_ms >= job.created_at_ms);
    assert_int_equal(job.duration_ms, job.ended_at_ms - job.started_at_ms);
    assert_string_equal(submission_status(f, in.submission.id), "COMPLETED");
    doubled = node_of(f, doubled.id);
    assert_string_equal(doubled.file, "results/1-0");
    assert_int_equal(doubled.last_edit_ms, job.ended_at_ms);
    assert_false(doubled.edit_in_progress);
    assert_null(doubled.editor_id);
    assert_int_equal(doubled.revision, 4); /* written, and free again */
    assert_string_equal(events_since(f, 0), "double:PENDING double:RUNNING double:COMPLETED");
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM data_node_lock"), 0);
}

static void wrong_moments_are_conflicts(void **state)
{
    struct fixture *f = *state;
    struct job job = fixture_submit(f, fixture_create(f, DOUBLE).id);
    struct job_start start = fixture_start(f, job.id);
    struct job_end late = {.job_id = job.id, .attempt = 1, .status = JOB_FAILED};

    assert_false(fixture_apply(f, apply_start, &(struct start_input){.job_id = job.id}));
    assert_int_equal(f->fault.kind, FAULT_CONFLICT);
    /* lost, and begun again: what the first attempt says now changes nothing */
    fixture_end(f, &start, JOB_PENDING);
    assert_status(f, job.id, PENDING);
    assert_int_equal(job_of(f, job.id).started_at_ms, 0);
    start = fixture_start(f, job.id);
    assert_int_equal(start.job.attempt, 2);
    assert_int_equal(start.attempt_number, 2);
    assert_false(fixture_apply(f, apply_end, &late));
    assert_int_equal(f->fault.kind, FAULT_CONFLICT);
    assert_status(f, job.id, RUNNING);
    fixture_end(f, &start, JOB_COMPLETED);
    late.attempt = 2;
    assert_false(fixture_apply(f, apply_end, &late));
    assert_int_equal(f->fault.kind, FAULT_CONFLICT);
    assert_status(f, job.id, COMPLETED);
    assert_false(cancel(f, job.id));
    assert_int_equal(f->fault.kind, FAULT_CONFLICT);
    assert_false(fixture_apply(f, apply_start, &(struct start_input){.job_id = "JOB_none_1"}));
    assert_int_equal(f->fault.kind, FAULT_NOT_FOUND);
    assert_false(fixture_apply(f, apply_submit, &(struct submit_input){.task_id = "TASK_none_1"}));
    assert_int_equal(f->fault.kind, FAULT_NOT_FOUND);
}

static void an_end_must_fit_the_outputs(void **state)
{
    struct fixture *f = *state;
    struct job job = fixture_submit(f, fixture_create(f, DOUBLE).id);
    struct job_start start = fixture_start(f, job.id);
    struct job_output wrong = {.data_node_id = start.inputs[0].id, .file = "results/x"};
    struct job_end end = {.job_id = job.id, .attempt = 1, .status = JOB_COMPLETED};

    assert_false(fixture_apply(f, apply_end, &end));
    assert_int_equal(f->fault.kind, FAULT_INTERNAL);
    end.outputs = &wrong;
    end.output_count = 1;
    assert_false(fixture_apply(f, apply_end, &end));
    assert_status(f, job.id, RUNNING); /* nothing half done */
    assert_string_equal(node_of(f, start.inputs[0].id).file, "defaults/nb.p");
    end = (struct job_end){.job_id = job.id, .attempt = 1, .status = JOB_BLOCKED};
    assert_false(fixture_apply(f, apply_end, &end));
    assert_int_equal(f->fault.kind, FAULT_CONFLICT);
}

static void what_a_program_says_is_kept_to_a_limit(void **state)
{
    struct fixture *f = *state;
    struct job job = fixture_submit(f, fixture_create(f, DOUBLE).id);
    struct job_start start = fixture_start(f, job.id);
    char *error = arena_alloc(&f->arena, 100001), *stack = arena_alloc(&f->arena, 200001);
    struct job_end end = {.job_id = job.id,
                          .attempt = start.job.attempt,
                          .status = JOB_FAILED,
                          .failure.signaled = true,
                          .failure.signal = 9,
                          .error = error,
                          .stacktrace = stack};

    memset(error, 'e', 100000);
    memset(stack, 's', 200000);
    memcpy(error + 4095, "\xc3\xa9", 2); /* a character across the limit */
    memcpy(stack + 200000 - 5, "cause", 5);
    assert_true(fixture_apply(f, apply_end, &end));
    job = job_of(f, job.id);
    assert_int_equal(strlen(job.error), 4095);
    assert_int_equal(strlen(job.stacktrace), 65536);
    assert_string_equal(job.stacktrace + 65531, "cause");
    assert_true(job.signaled);
    assert_int_equal(job.signal, 9);
    assert_false(job.exited);
}

static void cancelling(void **state)
{
    struct fixture *f = *state;
    struct task fetch = fixture_create(f, FETCH), clean = fixture_create(f, CLEAN);
    struct job waiting = fixture_submit(f, fetch.id), blocked = fixture_submit(f, clean.id), running;
    struct cancel_input in = {.job_id = waiting.id};
    struct job_start start;
    size_t before;

    assert_true(fixture_apply(f, apply_cancel, &in));
    assert_int_equal(in.job.status, JOB_CANCELED);
    assert_status(f, blocked.id, ABANDONED);
    assert_string_equal(submission_status(f, waiting.submission_id), "CANCELED");
    assert_false(fixture_apply(f, apply_start, &(struct start_input){.job_id = waiting.id}));

    blocked = fixture_submit(f, clean.id); /* itself BLOCKED: its waits go with it */
    assert_true(cancel(f, blocked.id));
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM job_wait"), 0);

    running = fixture_submit(f, fetch.id);
    start = fixture_start(f, running.id);
    before = event_count(f);
    in.job_id = running.id;
    assert_true(fixture_apply(f, apply_cancel, &in));
    assert_int_equal(in.job.status, JOB_RUNNING);
    assert_true(in.job.cancel_requested);
    assert_true(fixture_apply(f, apply_cancel, &in)); /* again: the same answer, no second event */
    assert_string_equal(events_since(f, before), "fetch:RUNNING!");
    fixture_end(f, &start, JOB_PENDING); /* lost: it would begin again, but nobody wants it */
    assert_status(f, running.id, CANCELED);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM data_node_lock"), 0);
}

static void skipping(void **state)
{
    struct fixture *f = *state;
    struct task task = fixture_create(f, CACHE);
    struct job job = fixture_submit(f, task.id);
    struct job_start start = fixture_start(f, job.id);
    struct submit_input forced = {.task_id = task.id, .force = true};

    assert_false(start.skipped); /* never written */
    fixture_end(f, &start, JOB_COMPLETED);
    job = fixture_submit(f, task.id);
    start = fixture_start(f, job.id);
    assert_true(start.skipped);
    assert_int_equal(start.job.status, JOB_SKIPPED);
    assert_int_equal(start.job.attempt, 0);
    assert_status(f, job.id, SKIPPED);
    assert_string_equal(submission_status(f, job.submission_id), "COMPLETED");
    assert_false(node_of(f, task.output_ids.items[0]).edit_in_progress);

    assert_true(fixture_apply(f, apply_submit, &forced));
    start = fixture_start(f, forced.job.id);
    assert_false(start.skipped);
    fixture_end(f, &start, JOB_COMPLETED);

    /* an input that is newer than the output */
    fixture_sql(f, "UPDATE data_node SET last_edit = last_edit - 1000 WHERE config_id = 'cached'; "
                   "UPDATE data_node SET last_edit = last_edit + 1 WHERE config_id = 'nb'");
    fixture_sql(f,
                "UPDATE data_node SET last_edit = (SELECT max(last_edit) FROM data_node) + 1 WHERE config_id = 'nb'");
    job = fixture_submit(f, task.id);
    start = fixture_start(f, job.id);
    assert_false(start.skipped);
    fixture_end(f, &start, JOB_COMPLETED);

    /* an output that is valid no more */
    fixture_sql(f, "UPDATE data_node SET last_edit = last_edit - 3600000");
    job = fixture_submit(f, task.id);
    start = fixture_start(f, job.id);
    assert_false(start.skipped);
}

static void pending_jobs_are_found_in_order(void **state)
{
    struct fixture *f = *state;
    struct job made[5], found[3];
    int64_t after = 0;
    size_t count, seen = 0;

    for (size_t i = 0; i < ARRAY_LEN(made); i++)
        made[i] = fixture_submit(f, fixture_create(f, DOUBLE).id);
    fixture_start(f, made[1].id);
    const size_t expected[] = {0, 2, 3, 4};
    do {
        store_reader_turn_end(f->reader);
        assert_true(store_next_pending(f->reader, after, ARRAY_LEN(found), &f->arena, found, &count, &f->fault));
        for (size_t i = 0; i < count; i++)
            assert_string_equal(found[i].id, made[expected[seen++]].id);
        after = count ? found[count - 1].seq : after;
    } while (count > 0);
    assert_int_equal(seen, 4);
}

static void recovery(void **state)
{
    struct fixture *f = *state;
    struct job lost = fixture_submit(f, fixture_create(f, FETCH).id), waiting, unwanted, still;
    struct recover_input in = {.restart = true};
    struct job_start start = fixture_start(f, lost.id);

    waiting = fixture_submit(f, fixture_create(f, CLEAN).id);
    unwanted = fixture_submit(f, fixture_create(f, DOUBLE).id);
    still = fixture_submit(f, fixture_create(f, DOUBLE).id);
    fixture_start(f, unwanted.id);
    assert_true(cancel(f, unwanted.id));
    fixture_close(f);
    fixture_open(f);
    assert_true(fixture_apply(f, apply_recover, &in));
    assert_int_equal(in.restarted, 1);
    assert_int_equal(in.failed, 0);
    assert_status(f, lost.id, PENDING);
    assert_status(f, waiting.id, BLOCKED);
    assert_status(f, unwanted.id, CANCELED);
    assert_status(f, still.id, PENDING);

    start = fixture_start(f, lost.id);
    assert_int_equal(start.job.attempt, 2);
    assert_true(start.attempt_number > 2); /* numbers are never used again */
    in.restart = false;
    assert_true(fixture_apply(f, apply_recover, &in));
    assert_int_equal(in.restarted, 0);
    assert_int_equal(in.failed, 1);
    assert_status(f, lost.id, FAILED);
    assert_non_null(job_of(f, lost.id).error);
    assert_status(f, waiting.id, ABANDONED);

    /* a lock that nobody holds would block for ever */
    fixture_sql(f, "INSERT INTO data_node_lock (data_node_seq, job_seq) SELECT d.seq, j.seq FROM data_node AS d, job "
                   "AS j WHERE d.config_id = 'raw' AND j.task_config_id = 'fetch'");
    assert_true(fixture_apply(f, apply_recover, &in));
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM data_node_lock AS l JOIN data_node AS d ON d.seq = "
                                       "l.data_node_seq WHERE d.config_id = 'raw'"),
                     0);
}

/* A job that brings the whole server down must not do so for ever. */
static void recovery_counts_attempts(void **state)
{
    struct fixture *f = *state;
    struct job job = fixture_submit(f, fixture_create(f, FETCH).id), waiting;
    struct recover_input in = {.restart = true, .attempts_max = 3};

    waiting = fixture_submit(f, fixture_create(f, CLEAN).id);
    for (int attempt = 1; attempt <= 3; attempt++) {
        assert_status(f, job.id, PENDING);
        assert_int_equal(fixture_start(f, job.id).job.attempt, attempt);
        fixture_close(f);
        fixture_open(f);
        assert_true(fixture_apply(f, apply_recover, &in));
        assert_int_equal(in.restarted, attempt < 3);
        assert_int_equal(in.failed, attempt == 3);
    }
    assert_status(f, job.id, FAILED);
    assert_string_equal(job_of(f, job.id).error,
                        "The server stopped while the job ran. It was the last of 3 attempts.");
    assert_status(f, waiting.id, ABANDONED);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM data_node_lock"), 0);

    /* cancelled, it is that */
    job = fixture_submit(f, fixture_create(f, DOUBLE).id);
    fixture_start(f, job.id);
    assert_true(cancel(f, job.id));
    in.attempts_max = 1;
    assert_true(fixture_apply(f, apply_recover, &in));
    assert_int_equal(in.failed, 0);
    assert_status(f, job.id, CANCELED);
}

static bool apply_submit_of_acme(struct store_txn *txn, struct change *change, struct fault *fault)
{
    txn->issuer = "https://acme.example";
    return apply_submit(txn, change, fault);
}

/* Unfinished jobs of one subject of an issuer; each that ends, however it does, makes room. */
static void a_subject_may_have_so_many_unfinished_jobs(void **state)
{
    struct fixture *f = *state;
    struct submit_input in = {.task_id = fixture_create(f, DOUBLE).id};
    struct job_start start;
    struct job first, second;

    fixture_close(f);
    f->options.unfinished_jobs_max = 2;
    fixture_open(f);
    first = fixture_submit(f, in.task_id);
    second = fixture_submit(f, in.task_id);
    assert_false(fixture_apply(f, apply_submit, &in));
    assert_int_equal(f->fault.kind, FAULT_TOO_MANY);
    assert_true(f->fault.retry_after_s > 0);
    assert_non_null(strstr(f->fault.message, "2 unfinished jobs"));
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM job"), 2); /* nothing of it is left */
    assert_int_equal(fixture_number(f, "SELECT unfinished FROM subject_load"), 2);
    assert_true(fixture_apply(f, apply_submit_of_acme, &in)); /* another issuer's "ben" is somebody else */
    /* lost and begun again: it is as unfinished as before */
    start = fixture_start(f, first.id);
    fixture_end(f, &start, JOB_PENDING);
    assert_false(fixture_apply(f, apply_submit, &in));
    start = fixture_start(f, first.id);
    fixture_end(f, &start, JOB_FAILED);
    assert_true(fixture_apply(f, apply_submit, &in));
    assert_false(fixture_apply(f, apply_submit, &in));
    assert_true(cancel(f, second.id));
    assert_true(fixture_apply(f, apply_submit, &in));
    assert_false(fixture_apply(f, apply_submit, &in));
    /* and the count is on disk */
    fixture_close(f);
    fixture_open(f);
    assert_false(fixture_apply(f, apply_submit, &in));
    assert_int_equal(fixture_number(f, "SELECT sum(unfinished) FROM subject_load"),
                     fixture_number(f, "SELECT count(*) FROM job WHERE status IN ('PENDING', 'BLOCKED', 'RUNNING')"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        T(a_ready_task_runs_to_its_end),
        T(wrong_moments_are_conflicts),
        T(an_end_must_fit_the_outputs),
        T(what_a_program_says_is_kept_to_a_limit),
        T(cancelling),
        T(skipping),
        T(pending_jobs_are_found_in_order),
        T(recovery),
        T(recovery_counts_attempts),
        T(a_subject_may_have_so_many_unfinished_jobs),
    };

    return cmocka_run_group_tests_name("store_jobs", tests, NULL, NULL);
}
