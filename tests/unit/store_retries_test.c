/* What becomes of jobs whose attempts fail or are lost. */
#include "unit/store_jobs_fixture.h"

static const char *CAUSES[] = {"error", "lost", "exit:75"};

/* Retries of one cause, by its place in CAUSES. */
static struct controls retried(unsigned max, size_t cause)
{
    return (struct controls){.timeout_ms = -1,
                             .has_retries = true,
                             .retries = {.max = max,
                                         .delay_ms = 60000,
                                         .delay_max_ms = 3600000,
                                         .backoff = 2 * THOUSANDTHS,
                                         .on = {&CAUSES[cause], 1}}};
}

static struct job submit(struct fixture *f, int config, struct controls controls)
{
    struct submit_input in = {.task_id = fixture_create(f, config).id, .controls = controls};

    if (!fixture_apply(f, apply_submit, &in))
        fail_msg("submit: %s", f->fault.message);
    return in.job;
}

static struct job end_failed(struct fixture *f, const struct job_start *start, struct failure failure,
                             struct loss_rules rules)
{
    struct job_end end = {.job_id = start->job.id,
                          .attempt = start->job.attempt,
                          .status = JOB_FAILED,
                          .failure = failure,
                          .losses = rules,
                          .error = "It broke."};

    if (!fixture_apply(f, apply_end, &end))
        fail_msg("end: %s", f->fault.message);
    return job_of(f, start->job.id);
}

static const struct loss_rules RESTART = {true, 3}, FAIL = {false, 3};
static const struct failure BROKEN = {.exited = true, .exit_code = 3}, LOST = {.cause = CAUSE_LOST};

static void a_failed_attempt_is_followed_by_another(void **state)
{
    struct fixture *f = *state;
    struct job job = submit(f, DOUBLE, retried(2, 0));
    size_t before = event_count(f);

    assert_int_equal(job.controls.retries.max, 2);
    job = job_of(f, job.id);
    assert_int_equal(job.controls.retries.max, 2);
    for (unsigned retry = 1; retry <= 2; retry++) {
        struct job_start start = fixture_start(f, job.id);
        assert_int_equal(start.job.retry_at_ms, 0);
        job = end_failed(f, &start, BROKEN, RESTART);
        assert_int_equal(job.status, JOB_PENDING);
        assert_int_equal(job.attempt, retry);
        assert_int_equal(job.retries, retry);
        assert_int_equal(job.retry_delay_ms, 60000 * retry);
        assert_true(job.retry_at_ms > job.created_at_ms + 60000 * retry - 1);
        assert_string_equal(job.error, "It broke."); /* why it waits */
        assert_true(job.exited && job.exit_code == 3);
        assert_int_equal(job.started_at_ms + job.ended_at_ms, 0);
        assert_null(job.worker);
        /* it keeps its locks: nobody else may think that its output is what it was */
        assert_int_equal(fixture_number(f, "SELECT count(*) FROM data_node_lock"), 1);
        assert_string_equal(submission_status(f, job.submission_id), "PENDING");
    }
    struct job_start start = fixture_start(f, job.id);
    assert_int_equal(start.job.attempt, 3);
    assert_null(start.job.error);
    job = end_failed(f, &start, BROKEN, RESTART);
    assert_int_equal(job.status, JOB_FAILED);
    assert_int_equal(job.retries, 2);
    assert_int_equal(job.retry_at_ms, 0);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM data_node_lock"), 0);
    assert_string_equal(events_since(f, before),
                        "double:RUNNING double:PENDING double:RUNNING double:PENDING double:RUNNING double:FAILED");
}

static void only_on_chosen_failures(void **state)
{
    struct fixture *f = *state;
    const struct failure other = {.exited = true, .exit_code = 1}, chosen = {.exited = true, .exit_code = 75},
                         timeout = {.cause = CAUSE_TIMEOUT};
    const struct failure *ends[] = {&other, &timeout};

    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct job job = submit(f, DOUBLE, retried(5, 2));
        struct job_start start = fixture_start(f, job.id);
        assert_int_equal(end_failed(f, &start, *ends[i], RESTART).status, JOB_FAILED);
    }
    struct job job = submit(f, DOUBLE, retried(5, 2));
    struct job_start start = fixture_start(f, job.id);
    assert_int_equal(end_failed(f, &start, chosen, RESTART).status, JOB_PENDING);
}

static void the_server_may_insist_on_the_end(void **state)
{
    struct fixture *f = *state;
    struct job job = submit(f, DOUBLE, retried(5, 0));
    struct job_start start = fixture_start(f, job.id);
    struct job_end end = {.job_id = job.id, .attempt = 1, .status = JOB_FAILED, .final = true};

    assert_true(fixture_apply(f, apply_end, &end));
    assert_status(f, start.job.id, FAILED);
}

static void one_that_waits_to_be_retried_can_be_canceled(void **state)
{
    struct fixture *f = *state;
    struct job job = submit(f, FETCH, retried(5, 0));
    struct job_start start = fixture_start(f, job.id);

    job = end_failed(f, &start, BROKEN, RESTART);
    assert_int_equal(job.status, JOB_PENDING);
    assert_true(cancel(f, job.id));
    job = job_of(f, job.id);
    assert_int_equal(job.status, JOB_CANCELED);
    assert_int_equal(job.retry_at_ms, 0);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM data_node_lock"), 0);
    assert_false(fixture_apply(f, apply_start, &(struct start_input){.job_id = job.id}));
}

static void one_whose_end_was_asked_for_is_not_retried(void **state)
{
    struct fixture *f = *state;
    struct job job = submit(f, DOUBLE, retried(5, 0));
    struct job_start start = fixture_start(f, job.id);

    assert_true(cancel(f, job.id));
    job = end_failed(f, &start, BROKEN, RESTART);
    assert_int_equal(job.status, JOB_CANCELED);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM data_node_lock"), 0);
}

static void losses_are_not_failures(void **state)
{
    struct fixture *f = *state;
    struct job job = submit(f, DOUBLE, retried(1, 0));

    for (unsigned loss = 1; loss <= 2; loss++) {
        struct job_start start = fixture_start(f, job.id);
        job = end_failed(f, &start, LOST, RESTART);
        assert_int_equal(job.status, JOB_PENDING);
        assert_int_equal(job.losses, loss);
        assert_int_equal(job.retries, 0);
        assert_int_equal(job.retry_at_ms, 0); /* at once */
    }
    struct job_start start = fixture_start(f, job.id);
    job = end_failed(f, &start, BROKEN, RESTART); /* a failure of its own is retried all the same */
    assert_int_equal(job.status, JOB_PENDING);
    assert_int_equal(job.retries, 1);
    start = fixture_start(f, job.id);
    job = end_failed(f, &start, LOST, RESTART);
    assert_int_equal(job.status, JOB_FAILED);
    assert_string_equal(job.error, "It broke. It was the last of 4 attempts.");
}

static void a_job_may_have_its_own_rule_for_losses(void **state)
{
    struct fixture *f = *state;
    struct controls fails = CONTROLS_UNSAID, restarts = CONTROLS_UNSAID;
    struct job job;
    struct job_start start;

    fails.lost = LOST_FAIL;
    restarts.lost = LOST_RESTART;
    job = submit(f, DOUBLE, fails);
    start = fixture_start(f, job.id);
    assert_int_equal(end_failed(f, &start, LOST, RESTART).status, JOB_FAILED);
    job = submit(f, DOUBLE, restarts);
    start = fixture_start(f, job.id);
    assert_int_equal(end_failed(f, &start, LOST, FAIL).status, JOB_PENDING);
}

static void a_loss_may_be_retried_after_a_while(void **state)
{
    struct fixture *f = *state;
    struct controls controls = retried(1, 1);
    struct job job;
    struct job_start start;

    controls.lost = LOST_FAIL;
    job = submit(f, DOUBLE, controls);
    start = fixture_start(f, job.id);
    job = end_failed(f, &start, LOST, RESTART);
    assert_int_equal(job.status, JOB_PENDING);
    assert_int_equal(job.retries, 1);
    assert_int_equal(job.retry_delay_ms, 60000);
    start = fixture_start(f, job.id);
    assert_int_equal(end_failed(f, &start, LOST, RESTART).status, JOB_FAILED);
}

static void recovery_goes_by_each_jobs_rule(void **state)
{
    struct fixture *f = *state;
    struct controls fails = CONTROLS_UNSAID, delayed = retried(1, 1);
    struct recover_input in = {.restart = true, .attempts_max = 3};

    fails.lost = LOST_FAIL;
    delayed.lost = LOST_FAIL;
    struct job plain = submit(f, DOUBLE, CONTROLS_UNSAID), failing = submit(f, DOUBLE, fails),
               later = submit(f, DOUBLE, delayed), waiting = submit(f, DOUBLE, retried(1, 0));
    fixture_start(f, plain.id);
    fixture_start(f, failing.id);
    fixture_start(f, later.id);
    struct job_start start = fixture_start(f, waiting.id);
    end_failed(f, &start, BROKEN, RESTART);
    const int64_t due_ms = job_of(f, waiting.id).retry_at_ms;

    fixture_close(f);
    fixture_open(f);
    assert_true(fixture_apply(f, apply_recover, &in));
    assert_int_equal(in.restarted, 2);
    assert_int_equal(in.failed, 1);
    assert_status(f, plain.id, PENDING);
    assert_int_equal(job_of(f, plain.id).losses, 1);
    assert_status(f, failing.id, FAILED);
    assert_status(f, later.id, PENDING);
    assert_true(job_of(f, later.id).retry_at_ms > 0);
    assert_int_equal(job_of(f, waiting.id).retry_at_ms, due_ms); /* it waits on, through the restart */
}

static void interrupted_by_us_is_neither(void **state)
{
    struct fixture *f = *state;
    struct job job = submit(f, DOUBLE, retried(1, 0));
    struct job_start start = fixture_start(f, job.id);

    fixture_end(f, &start, JOB_PENDING);
    job = job_of(f, job.id);
    assert_int_equal(job.status, JOB_PENDING);
    assert_int_equal(job.retries + job.losses, 0);
    assert_int_equal(job.retry_at_ms, 0);
}

static void a_blocked_job_tells_what_it_waits_for(void **state)
{
    struct fixture *f = *state;
    struct task fetch = fixture_create(f, FETCH), clean = fixture_create(f, CLEAN);
    struct job first = fixture_submit(f, fetch.id);
    struct submit_input in = {.task_id = clean.id};
    struct job_start start;

    assert_null(first.blocked_by);
    assert_true(fixture_apply(f, apply_submit, &in));
    assert_int_equal(in.job.status, JOB_BLOCKED);
    assert_string_equal(in.job.blocked_by, fetch.output_ids.items[0]);
    assert_string_equal(job_of(f, in.job.id).blocked_by, fetch.output_ids.items[0]);
    start = fixture_start(f, first.id);
    fixture_end(f, &start, JOB_COMPLETED);
    assert_status(f, in.job.id, PENDING);
    assert_null(job_of(f, in.job.id).blocked_by);
}

struct pause_input {
    bool paused;
    const char *reason;
    struct queue_state state;
};
static bool apply_pause(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct pause_input *in = change->input;
    struct fixture *f = change->outcome;

    return txn_queue_set(txn, in->paused, "ann", in->reason, &f->arena, &in->state, fault);
}

static void while_paused_nothing_begins(void **state)
{
    struct fixture *f = *state;
    struct pause_input in = {.paused = true, .reason = "moving"};
    struct job running = submit(f, DOUBLE, CONTROLS_UNSAID), waiting = submit(f, DOUBLE, CONTROLS_UNSAID);
    struct job_start start = fixture_start(f, running.id);
    struct queue_state queue;

    assert_true(store_queue_state(f->reader, &f->arena, &queue, &f->fault));
    assert_false(queue.paused);
    assert_int_equal(queue.changed_at_ms, 0);
    assert_true(fixture_apply(f, apply_pause, &in));
    assert_true(in.state.paused);
    assert_false(fixture_apply(f, apply_start, &(struct start_input){.job_id = waiting.id}));
    assert_int_equal(f->fault.kind, FAULT_UNAVAILABLE);
    assert_status(f, waiting.id, PENDING);
    fixture_end(f, &start, JOB_COMPLETED); /* what runs goes on */
    assert_status(f, running.id, COMPLETED);
    fixture_close(f);
    fixture_open(f);
    assert_true(store_queue_state(f->reader, &f->arena, &queue, &f->fault));
    assert_true(queue.paused && queue.changed_at_ms > 0);
    assert_string_equal(queue.changed_by, "ann");
    assert_string_equal(queue.reason, "moving");
    in = (struct pause_input){0};
    assert_true(fixture_apply(f, apply_pause, &in));
    fixture_start(f, waiting.id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        T(a_failed_attempt_is_followed_by_another),
        T(only_on_chosen_failures),
        T(the_server_may_insist_on_the_end),
        T(one_that_waits_to_be_retried_can_be_canceled),
        T(one_whose_end_was_asked_for_is_not_retried),
        T(losses_are_not_failures),
        T(a_job_may_have_its_own_rule_for_losses),
        T(a_loss_may_be_retried_after_a_while),
        T(recovery_goes_by_each_jobs_rule),
        T(interrupted_by_us_is_neither),
        T(a_blocked_job_tells_what_it_waits_for),
        T(while_paused_nothing_begins),
    };

    return cmocka_run_group_tests_name("store_retries", tests, NULL, NULL);
}
