/* Jobs that are made first and submitted later, and deleted in the end. */
#include "store/schema.h"
#include "unit/store_jobs_fixture.h"

struct made_input {
    int config;
    struct task task;
    struct job job;
    struct submission submission;
};
static bool apply_make(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct made_input *in = change->input;
    struct fixture *f = change->outcome;
    struct task_creation creation = {
        .manifest = &application, .config = &task_configs[in->config], .created_by = "ann"};

    return txn_create_job(txn, &ALL, &creation, &f->arena, &in->task, &in->job, &in->submission, fault);
}
static struct made_input make(struct fixture *f, int config)
{
    struct made_input in = {.config = config};

    if (!fixture_apply(f, apply_make, &in))
        fail_msg("make: %s (%s)", f->fault.message, f->fault.detail);
    return in;
}

struct submit_job_input {
    const char *id;
    bool force;
    struct task task;
    struct job job;
    struct submission submission;
};
static bool apply_submit_job(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct submit_job_input *in = change->input;
    struct fixture *f = change->outcome;

    const struct task_submission what = {.id = in->id, .force = in->force, .submitted_by = "ben"};

    return txn_submit_job(txn, &ALL, &what, &f->arena, &in->task, &in->job, &in->submission, fault);
}
static bool submit_job(struct fixture *f, const char *id)
{
    return fixture_apply(f, apply_submit_job, &(struct submit_job_input){.id = id});
}

/* A made job counts among its maker's unfinished ones, then among those of whoever has it run. */
static void a_job_counts_for_who_answers_for_it(void **state)
{
    struct fixture *f = *state;
    struct made_input made = make(f, DOUBLE), other;

    assert_int_equal(fixture_number(f, "SELECT unfinished FROM subject_load WHERE subject = 'ann'"), 1);
    assert_true(submit_job(f, made.job.id));
    assert_int_equal(fixture_number(f, "SELECT unfinished FROM subject_load WHERE subject = 'ann'"), 0);
    assert_int_equal(fixture_number(f, "SELECT unfinished FROM subject_load WHERE subject = 'ben'"), 1);
    other = make(f, DOUBLE);
    fixture_close(f);
    f->options.unfinished_jobs_max = 1;
    fixture_open(f);
    assert_false(submit_job(f, other.job.id));
    assert_int_equal(f->fault.kind, FAULT_TOO_MANY);
    assert_status(f, other.job.id, SUBMITTED);
    assert_false(fixture_apply(f, apply_make, &(struct made_input){.config = DOUBLE}));
    assert_int_equal(f->fault.kind, FAULT_TOO_MANY);
    assert_int_equal(fixture_number(f, "SELECT sum(unfinished) FROM subject_load"), 2);
    /* one that is its own already is none more */
    assert_true(cancel(f, made.job.id));
    fixture_sql(f, "UPDATE job SET submitted_by = 'ben' WHERE status = 'SUBMITTED';"
                   "UPDATE subject_load SET unfinished = subject = 'ben'");
    assert_true(submit_job(f, other.job.id));
    assert_int_equal(fixture_number(f, "SELECT unfinished FROM subject_load WHERE subject = 'ben'"), 1);
}

struct delete_job_input {
    const char *id;
    int64_t if_match;
    int attempts;
};
static bool apply_delete_job(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct delete_job_input *in = change->input;

    return txn_delete_job(txn, &ALL, in->id, in->if_match, &in->attempts, fault);
}
static bool delete_job(struct fixture *f, const char *id, int64_t if_match)
{
    return fixture_apply(f, apply_delete_job, &(struct delete_job_input){.id = id, .if_match = if_match});
}

static void a_made_job_waits_for_its_submit(void **state)
{
    struct fixture *f = *state;
    struct made_input made = make(f, DOUBLE);
    struct submit_job_input in = {.id = made.job.id, .force = true};

    assert_int_equal(made.job.status, JOB_SUBMITTED);
    assert_status(f, made.job.id, SUBMITTED);
    assert_string_equal(submission_status(f, made.submission.id), "SUBMITTED");
    assert_false(node_of(f, made.task.output_ids.items[0]).edit_in_progress); /* nobody is about to write */
    assert_false(fixture_apply(f, apply_start, &(struct start_input){.job_id = made.job.id}));
    assert_int_equal(f->fault.kind, FAULT_CONFLICT);

    assert_true(fixture_apply(f, apply_submit_job, &in));
    assert_int_equal(in.job.status, JOB_PENDING);
    assert_true(job_of(f, made.job.id).force);
    assert_string_equal(job_of(f, made.job.id).submitted_by, "ben");
    assert_string_equal(in.submission.submitted_by, "ben");
    assert_int_equal(in.submission.status, SUBMISSION_PENDING);
    assert_string_equal(node_of(f, made.task.output_ids.items[0]).editor_id, made.job.id);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM job_wait"), 0);
    assert_false(submit_job(f, made.job.id));
    assert_int_equal(f->fault.kind, FAULT_CONFLICT);

    struct job_start start = fixture_start(f, made.job.id);
    fixture_end(f, &start, JOB_COMPLETED);
    assert_status(f, made.job.id, COMPLETED);
    assert_string_equal(submission_status(f, made.submission.id), "COMPLETED");
    assert_string_equal(events_since(f, 0), "double:SUBMITTED double:PENDING double:RUNNING double:COMPLETED");
}

static void a_made_job_blocks_nobody(void **state)
{
    struct fixture *f = *state;
    struct made_input fetch = make(f, FETCH);
    struct job clean = fixture_submit(f, fixture_create(f, CLEAN).id);

    assert_status(f, clean.id, BLOCKED); /* for want of a value, not because of the job that was made */
    struct job other = fixture_submit(f, fixture_create(f, FETCH).id);
    struct job_start start = fixture_start(f, other.id);
    fixture_end(f, &start, JOB_COMPLETED);
    assert_status(f, clean.id, PENDING);
    assert_status(f, fetch.job.id, SUBMITTED);
}

static void it_waits_for_its_inputs(void **state)
{
    struct fixture *f = *state;
    struct made_input clean = make(f, CLEAN);
    struct job fetch;

    assert_true(submit_job(f, clean.job.id));
    assert_status(f, clean.job.id, BLOCKED);
    assert_string_equal(submission_status(f, clean.submission.id), "BLOCKED");
    fetch = fixture_submit(f, fixture_create(f, FETCH).id);
    struct job_start start = fixture_start(f, fetch.id);
    fixture_end(f, &start, JOB_COMPLETED);
    assert_status(f, clean.job.id, PENDING);
}

static void it_keeps_its_place(void **state)
{
    struct fixture *f = *state;
    struct made_input early = make(f, FETCH);
    struct job fetch = fixture_submit(f, fixture_create(f, FETCH).id);
    struct job_start start = fixture_start(f, fetch.id);

    fixture_end(f, &start, JOB_COMPLETED);
    struct job clean = fixture_submit(f, fixture_create(f, CLEAN).id);
    assert_status(f, clean.id, PENDING); /* its input is there and nobody is writing it */
    assert_true(submit_job(f, early.job.id));
    assert_status(f, early.job.id, PENDING);
    struct job later = fixture_submit(f, fixture_create(f, CLEAN).id);
    assert_status(f, later.id, BLOCKED); /* on the one that was made before it */
    start = fixture_start(f, early.job.id);
    fixture_end(f, &start, JOB_COMPLETED);
    assert_status(f, later.id, PENDING);
}

static void canceled_before_it_was_submitted(void **state)
{
    struct fixture *f = *state;
    struct made_input made = make(f, DOUBLE);

    assert_true(cancel(f, made.job.id));
    assert_status(f, made.job.id, CANCELED);
    assert_false(submit_job(f, made.job.id));
    assert_int_equal(f->fault.kind, FAULT_CONFLICT);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM data_node_lock"), 0);
}

static void its_task_stays_with_it(void **state)
{
    struct fixture *f = *state;
    struct made_input made = make(f, DOUBLE);

    assert_false(fixture_apply(f, apply_delete, &(struct delete_input){made.task.id, -1}));
    assert_int_equal(f->fault.kind, FAULT_CONFLICT);
    assert_true(cancel(f, made.job.id));
    assert_true(fixture_apply(f, apply_delete, &(struct delete_input){made.task.id, -1}));
}

static void it_survives_a_restart(void **state)
{
    struct fixture *f = *state;
    struct made_input made = make(f, DOUBLE);
    struct recover_input recovery = {.restart = true};

    fixture_close(f);
    fixture_open(f);
    assert_true(fixture_apply(f, apply_recover, &recovery));
    assert_status(f, made.job.id, SUBMITTED);
    assert_true(submit_job(f, made.job.id));
    assert_status(f, made.job.id, PENDING);
}

static void deleting_takes_the_submission_too(void **state)
{
    struct fixture *f = *state;
    struct job job = fixture_submit(f, fixture_create(f, DOUBLE).id);
    struct delete_job_input in = {.id = job.id, .if_match = -1};
    struct job_start start;

    assert_false(delete_job(f, job.id, -1));
    assert_int_equal(f->fault.kind, FAULT_CONFLICT);
    start = fixture_start(f, job.id);
    assert_false(delete_job(f, job.id, -1));
    assert_int_equal(f->fault.kind, FAULT_CONFLICT);
    fixture_end(f, &start, JOB_PENDING); /* lost, and begun again */
    start = fixture_start(f, job.id);
    fixture_end(f, &start, JOB_COMPLETED);
    assert_false(delete_job(f, job.id, job_of(f, job.id).revision - 1));
    assert_int_equal(f->fault.kind, FAULT_PRECONDITION);
    in.if_match = job_of(f, job.id).revision;
    assert_true(fixture_apply(f, apply_delete_job, &in));
    assert_int_equal(in.attempts, 2);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM job"), 0);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM submission"), 0);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM task"), 1);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    assert_false(delete_job(f, job.id, -1));
    assert_int_equal(f->fault.kind, FAULT_NOT_FOUND);
}

static void not_while_its_result_is_on_its_way(void **state)
{
    struct fixture *f = *state;
    struct job job = fixture_submit(f, fixture_create(f, DOUBLE).id);
    struct job_start start = fixture_start(f, job.id);
    struct job_output output = {start.outputs[0].id, "results/1-0", true};
    struct job_end end = {
        .job_id = job.id, .attempt = 1, .status = JOB_COMPLETED, .outputs = &output, .output_count = 1};

    assert_true(fixture_apply(f, apply_end, &end));
    assert_false(delete_job(f, job.id, -1));
    assert_int_equal(f->fault.kind, FAULT_CONFLICT);
    assert_status(f, job.id, COMPLETED);
}

static void a_job_that_exists(void **state)
{
    struct fixture *f = *state;
    struct made_input made = make(f, DOUBLE);
    bool exists = false;

    assert_true(store_job_exists(f->reader, made.job.id, &exists, &f->fault));
    assert_true(exists);
    assert_true(store_job_exists(f->reader, "JOB_none", &exists, &f->fault));
    assert_false(exists);
}

/* Submissions of a database of before are listed by time, too. */
static void where_times_of_submissions_went_back(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 6; i++)
        (void)make(f, DOUBLE);
    fixture_close(f);
    fixture_sql(f, "UPDATE submission SET created_at = CASE WHEN seq <= 3 THEN 9000 + seq ELSE 1000 + seq END;"
                   "DELETE FROM clock_back");
    fixture_sql(f, SCHEMA.sql[2]);
    fixture_open(f);
    assert_int_equal(fixture_number(f, "SELECT seq FROM clock_back WHERE name = 'submission'"), 3);
    struct list_query query = {.status = -1, .created_before_ms = 1006};
    struct list_position at = {0};
    struct submission rows[16];
    size_t count, found = 0;
    while (!at.ended) {
        assert_true(store_list_submissions(f->reader, &ALL, &query, &at, 2, &f->arena, rows, &count, &f->fault));
        found += count;
    }
    assert_int_equal(found, 2);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(a_job_counts_for_who_answers_for_it),
        T(a_made_job_waits_for_its_submit),
        T(a_made_job_blocks_nobody),
        T(it_waits_for_its_inputs),
        T(it_keeps_its_place),
        T(canceled_before_it_was_submitted),
        T(its_task_stays_with_it),
        T(it_survives_a_restart),
        T(deleting_takes_the_submission_too),
        T(not_while_its_result_is_on_its_way),
        T(a_job_that_exists),
        T(where_times_of_submissions_went_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
