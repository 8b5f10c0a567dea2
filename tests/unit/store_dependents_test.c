/* Jobs that wait for each other: blocking, going on, giving up, publishing. */
#include "unit/store_jobs_fixture.h"

static void a_job_waits_for_its_inputs(void **state)
{
    struct fixture *f = *state;
    struct task fetch = fixture_create(f, FETCH), clean = fixture_create(f, CLEAN), report = fixture_create(f, REPORT);
    struct job reporting = fixture_submit(f, report.id), fetching = fixture_submit(f, fetch.id),
               cleaning = fixture_submit(f, clean.id);
    struct job_start start;
    size_t before;

    assert_int_equal(fetching.status, JOB_PENDING);
    assert_int_equal(cleaning.status, JOB_BLOCKED);
    assert_int_equal(reporting.status, JOB_BLOCKED); /* submitted before anybody promised its input */
    assert_string_equal(submission_status(f, cleaning.submission_id), "BLOCKED");
    start = fixture_start(f, fetching.id);
    before = event_count(f);
    fixture_end(f, &start, JOB_COMPLETED);
    assert_string_equal(events_since(f, before), "fetch:COMPLETED clean:PENDING");
    assert_string_equal(submission_status(f, cleaning.submission_id), "PENDING");
    assert_status(f, reporting.id, BLOCKED);
    start = fixture_start(f, cleaning.id);
    assert_string_equal(start.inputs[0].file, "results/1-0");
    fixture_end(f, &start, JOB_COMPLETED);
    assert_status(f, reporting.id, PENDING);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM job_wait"), 0);
}

static void only_earlier_writers_block(void **state)
{
    struct fixture *f = *state;
    struct task fetch = fixture_create(f, FETCH), clean = fixture_create(f, CLEAN);
    struct job first = fixture_submit(f, fetch.id), before, second, after;
    struct job_start start = fixture_start(f, first.id);

    fixture_end(f, &start, JOB_COMPLETED);
    before = fixture_submit(f, clean.id); /* the value is there */
    second = fixture_submit(f, fetch.id); /* and will be written anew */
    after = fixture_submit(f, clean.id);  /* waits for the new one */
    assert_int_equal(before.status, JOB_PENDING);
    assert_int_equal(after.status, JOB_BLOCKED);
    /* both cleaning jobs will write tidy: the first is its editor */
    assert_string_equal(node_of(f, clean.output_ids.items[0]).editor_id, before.id);
    start = fixture_start(f, second.id);
    fixture_end(f, &start, JOB_COMPLETED);
    assert_status(f, after.id, PENDING);
}

static void failure_abandons_those_who_waited(void **state)
{
    struct fixture *f = *state;
    struct task fetch = fixture_create(f, FETCH), clean = fixture_create(f, CLEAN), report = fixture_create(f, REPORT);
    struct job fetching = fixture_submit(f, fetch.id), cleaning = fixture_submit(f, clean.id),
               reporting = fixture_submit(f, report.id), other = fixture_submit(f, fixture_create(f, DOUBLE).id);
    struct job_start start = fixture_start(f, fetching.id);
    size_t before = event_count(f);

    fixture_end(f, &start, JOB_FAILED);
    assert_string_equal(events_since(f, before), "fetch:FAILED clean:ABANDONED report:ABANDONED");
    assert_status(f, other.id, PENDING);
    assert_string_equal(submission_status(f, cleaning.submission_id), "UNDEFINED");
    assert_int_not_equal(job_of(f, reporting.id).ended_at_ms, 0);
    assert_false(node_of(f, clean.output_ids.items[0]).edit_in_progress);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM data_node_lock"), 1);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM job_wait"), 0);
    /* and all of it can be tried again */
    fetching = fixture_submit(f, fetch.id);
    cleaning = fixture_submit(f, clean.id);
    start = fixture_start(f, fetching.id);
    fixture_end(f, &start, JOB_COMPLETED);
    assert_status(f, cleaning.id, PENDING);
}

static void a_writer_that_ends_takes_only_its_own_with_it(void **state)
{
    struct fixture *f = *state;
    struct task fetch = fixture_create(f, FETCH), clean = fixture_create(f, CLEAN);
    struct job early = fixture_submit(f, clean.id), first = fixture_submit(f, fetch.id),
               second = fixture_submit(f, fetch.id), late = fixture_submit(f, clean.id);
    struct job_start start;

    assert_true(cancel(f, second.id));
    assert_status(f, second.id, CANCELED);
    assert_status(f, late.id, ABANDONED); /* it would have read what `second` does not write now */
    assert_status(f, early.id, BLOCKED);  /* `first` will still write */
    start = fixture_start(f, first.id);
    fixture_end(f, &start, JOB_FAILED);
    assert_status(f, early.id, ABANDONED); /* nobody is left to write */
}

static void a_skipped_job_lets_others_go_on(void **state)
{
    struct fixture *f = *state;
    struct task fetch, clean;
    struct job job, waiting;
    struct job_start start;

    task_configs[FETCH].skippable = true;
    fetch = fixture_create(f, FETCH);
    task_configs[FETCH].skippable = false;
    clean = fixture_create(f, CLEAN);
    job = fixture_submit(f, fetch.id);
    start = fixture_start(f, job.id);
    fixture_end(f, &start, JOB_COMPLETED);
    job = fixture_submit(f, fetch.id);
    waiting = fixture_submit(f, clean.id);
    assert_int_equal(waiting.status, JOB_BLOCKED);
    assert_true(fixture_start(f, job.id).skipped);
    assert_status(f, waiting.id, PENDING);
}

static bool apply_published(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct job_output *output = change->input;

    return txn_published(txn, output->data_node_id, output->file, fault);
}

static void publishing_keeps_the_lock_until_it_is_done(void **state)
{
    struct fixture *f = *state;
    struct publish_intent *intents;
    size_t count;
    bool in_use;

    node_configs[RAW].path = fixture_path(f, "raw.csv");
    struct task fetch = fixture_create(f, FETCH), clean = fixture_create(f, CLEAN);
    struct job job = fixture_submit(f, fetch.id), waiting = fixture_submit(f, clean.id);
    struct job_start start = fixture_start(f, job.id);
    struct job_output output = {start.outputs[0].id, "results/1-0", true};
    struct job_end end = {
        .job_id = job.id, .attempt = 1, .status = JOB_COMPLETED, .outputs = &output, .output_count = 1};
    node_configs[RAW].path = NULL;

    assert_true(fixture_apply(f, apply_end, &end));
    assert_status(f, job.id, COMPLETED);
    assert_status(f, waiting.id, BLOCKED);
    assert_true(node_of(f, output.data_node_id).edit_in_progress);
    fixture_close(f); /* the intent outlives the server */
    fixture_open(f);
    assert_true(store_publish_intents(f->reader, &f->arena, &intents, &count, &f->fault));
    assert_int_equal(count, 1);
    assert_string_equal(intents[0].data_node_id, output.data_node_id);
    assert_string_equal(intents[0].file, "results/1-0");
    assert_non_null(strstr(intents[0].path, "/raw.csv"));
    assert_true(store_file_in_use(f->reader, "results/1-0", &in_use, &f->fault));
    assert_true(in_use);

    assert_false(fixture_apply(f, apply_published, &(struct job_output){output.data_node_id, "results/9-9", true}));
    assert_int_equal(f->fault.kind, FAULT_CONFLICT);
    assert_true(fixture_apply(f, apply_published, &output));
    assert_status(f, waiting.id, PENDING);
    assert_false(node_of(f, output.data_node_id).edit_in_progress);
    assert_int_not_equal(node_of(f, output.data_node_id).last_edit_ms, 0);
    assert_null(node_of(f, output.data_node_id).file);
    assert_true(store_file_in_use(f->reader, "results/1-0", &in_use, &f->fault));
    assert_false(in_use);
    assert_true(store_file_in_use(f->reader, "defaults/nb.p", &in_use, &f->fault));
    assert_false(in_use); /* no data node nb was made here */
    assert_false(fixture_apply(f, apply_published, &output));
}

static void a_users_file_that_appears_is_seen(void **state)
{
    struct fixture *f = *state;
    const char *path = fixture_path(f, "raw.csv");
    struct recover_input in = {.restart = true};

    node_configs[RAW].path = path;
    struct task clean = fixture_create(f, CLEAN);
    node_configs[RAW].path = NULL;
    struct job blocked = fixture_submit(f, clean.id), next;
    assert_int_equal(blocked.status, JOB_BLOCKED);
    assert_true(file_write_durable(path, "a\n1\n", 4, 0600, &f->fault));
    assert_true(fixture_apply(f, apply_recover, &in)); /* at the next start */
    assert_status(f, blocked.id, PENDING);
    next = fixture_submit(f, clean.id);
    assert_int_equal(next.status, JOB_PENDING);
}

/* Whoever sees the file first: a job of the same data node must not wait for ever for what is there. */
static void a_users_file_that_one_job_sees_is_there_for_all(void **state)
{
    struct fixture *f = *state;
    const char *path = fixture_path(f, "raw.csv");

    node_configs[RAW].path = path;
    struct task clean = fixture_create(f, CLEAN);
    node_configs[RAW].path = NULL;
    struct job blocked = fixture_submit(f, clean.id);
    assert_int_equal(blocked.status, JOB_BLOCKED);
    assert_true(file_write_durable(path, "a\n1\n", 4, 0600, &f->fault));
    size_t before = event_count(f);
    assert_int_equal(fixture_submit(f, clean.id).status, JOB_PENDING);
    assert_string_equal(events_since(f, before), "clean:PENDING clean:PENDING");
    assert_status(f, blocked.id, PENDING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        T(a_job_waits_for_its_inputs),        T(only_earlier_writers_block),
        T(failure_abandons_those_who_waited), T(a_writer_that_ends_takes_only_its_own_with_it),
        T(a_skipped_job_lets_others_go_on),   T(publishing_keeps_the_lock_until_it_is_done),
        T(a_users_file_that_appears_is_seen), T(a_users_file_that_one_job_sees_is_there_for_all),
    };

    return cmocka_run_group_tests_name("store_dependents", tests, NULL, NULL);
}
