/* An attempt of a job: from PENDING to what the runner says of it. */
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "jobs/thread.h"

enum { EXCEPTIONS_MAX = 64 };

struct attempt *attempt_of_job(struct jobs *jobs, const char *job_id)
{
    for (struct attempt *attempt = jobs->attempts; attempt; attempt = attempt->next)
        if (strcmp(attempt->job_id, job_id) == 0)
            return attempt;
    return NULL;
}

struct attempt *attempt_numbered(struct jobs *jobs, int64_t number)
{
    for (struct attempt *attempt = jobs->attempts; attempt; attempt = attempt->next)
        if (attempt->number == number)
            return attempt;
    return NULL;
}

struct start_input {
    char job_id[ENTITY_ID_SIZE];
    char worker[48];
};

/* Writer thread. */
static bool start_apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    const struct start_input *input = change->input;

    return txn_start_job(txn, input->job_id, input->worker, &change->arena, change->outcome, fault);
}

/* Hands a job that is RUNNING to the runner. */
static void send_start(struct attempt *attempt)
{
    struct jobs *jobs = attempt->jobs;
    own(text_done) struct text json = {0};
    struct fault fault = {0};

    attempt->phase = PHASE_RUNNING;
    if (attempt->cancel) {
        attempt_finish(attempt, JOB_CANCELED, NULL);
        return;
    }
    if (jobs->client.state != CLIENT_READY || jobs->stopping) {
        attempt_lost(attempt, "The runner was lost.");
        return;
    }
    if (!start_message(attempt, &json, &fault) || !link_send(&jobs->client.link, text_span(&json), &fault)) {
        attempt_failed(attempt, CAUSE_ERROR, fault.message);
        return;
    }
    attempt->generation = jobs->client.generation;
}

static void start_finished(struct jobs *jobs, void *subject, struct change *change)
{
    struct attempt *attempt = subject;

    if (!change->ok) {
        if (change->fault.kind != FAULT_CONFLICT && change->fault.kind != FAULT_NOT_FOUND) {
            attempt->again = true; /* it is PENDING still */
        }
        if (attempt->again && !atomic_load(&jobs->paused)) {
            jobs->dispatch_ms = jobs_backoff(&jobs->dispatch_failures, clock_mono_ms());
            log_write(jobs->log, LOG_WARNING, "job.start", change->fault.message, L_STR("job", attempt->job_id),
                      L_STR("detail", change->fault.detail[0] ? change->fault.detail : NULL));
        }
        change_free(change); /* otherwise it was canceled before: nothing is to be done */
        attempt_free(attempt);
        return;
    }
    jobs->dispatch_failures = 0;
    attempt->start = change;
    struct job_start *started = change->outcome;
    if (started->skipped) {
        attempt_free(attempt);
        return;
    }
    attempt->started = started;
    attempt->number = started->attempt_number;
    atomic_fetch_add(&jobs->running, 1);
    send_start(attempt);
}

void attempt_begin(struct jobs *jobs, struct queue_place *place)
{
    struct attempt *attempt = xcalloc(1, sizeof *attempt);
    struct change *change = change_new();
    struct start_input *input = arena_alloc(&change->arena, sizeof *input);

    attempt->jobs = jobs;
    attempt->log = -1;
    attempt->started_ms = clock_mono_ms();
    attempt->job_seq = place->seq;
    attempt->lane = place->lane;
    snprintf(attempt->job_id, sizeof attempt->job_id, "%s", place->job_id);
    free(place->job_id);
    attempt->next = jobs->attempts;
    jobs->attempts = attempt;
    jobs->attempt_count++;
    atomic_store(&jobs->active, jobs->attempt_count);
    jobs->occupied++;

    snprintf(input->job_id, sizeof input->job_id, "%s", attempt->job_id);
    snprintf(input->worker, sizeof input->worker, "runner-%lld", (long long)jobs->client.runner_pid);
    change->input = input;
    change->outcome = arena_alloc(&change->arena, sizeof(struct job_start));
    change->apply = start_apply;
    jobs->starts_waiting++;
    transition_submit(jobs, change, attempt, start_finished);
}

static void send_cancel(struct attempt *attempt)
{
    if (attempt->phase != PHASE_RUNNING || attempt->cancel_sent || attempt->jobs->client.state != CLIENT_READY)
        return;
    attempt->cancel_sent = true;
    client_number(attempt->jobs, "cancel", "attempt", attempt->number);
}

void attempt_cancel(struct attempt *attempt)
{
    attempt->cancel = true;
    send_cancel(attempt);
}

/* The paths must be those that the protocol names: others could be anything that the server may read. */
static bool outputs_fit(struct attempt *attempt, const struct answer *answer)
{
    size_t count = attempt->started->output_count;

    if (json_array_size(answer->outputs) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        own(freep) char *path =
            xprintf("%s/attempts/%lld/out-%zu", attempt->jobs->client.work, (long long)attempt->number, i);
        if (!str_eq(path, json_string_value(json_array_get(answer->outputs, i))))
            return false;
    }
    return true;
}

static void take_exceptions(struct attempt *attempt, const json_t *names)
{
    struct id_list *list = &attempt->end.failure.exceptions;
    size_t count = MIN(json_array_size(names), (size_t)EXCEPTIONS_MAX);

    list->items = arena_alloc(&attempt->arena, (count + 1) * sizeof *list->items);
    for (list->count = 0; list->count < count; list->count++)
        list->items[list->count] = arena_strdup(&attempt->arena, json_string_value(json_array_get(names, list->count)));
}

/* Nothing of it ever ran: the job waits for better times, and this is none of its losses. */
static void attempt_unstarted(struct attempt *attempt, const char *why)
{
    struct jobs *jobs = attempt->jobs;

    if (attempt->cancel || jobs->stopping) {
        attempt_lost(attempt, why);
        return;
    }
    jobs->dispatch_ms = jobs_backoff(&jobs->unstarted, clock_mono_ms());
    log_write(jobs->log, LOG_WARNING, "job.start", why, L_STR("job", attempt->job_id));
    attempt_finish(attempt, JOB_PENDING, why);
}

void attempt_ended(struct attempt *attempt, const struct answer *answer)
{
    struct job_end *end = &attempt->end;

    if (answer->result != ATTEMPT_UNSTARTED)
        attempt->jobs->unstarted = 0;
    end->failure.exited = answer->exited;
    end->failure.exit_code = (int)answer->exit_code;
    end->failure.signaled = answer->signaled;
    end->failure.signal = (int)answer->signal;
    take_exceptions(attempt, answer->exceptions);
    end->stacktrace = arena_strdup(&attempt->arena, answer->stacktrace);
    switch (answer->result) {
    case ATTEMPT_COMPLETED:
        if (outputs_fit(attempt, answer))
            attempt_finish(attempt, JOB_COMPLETED, NULL);
        else
            attempt_failed(attempt, CAUSE_ERROR, "The runner did not hand over the outputs that belong to the task.");
        break;
    case ATTEMPT_FAILED:
        attempt_failed(attempt, CAUSE_ERROR, answer->error ? answer->error : "The task failed.");
        break;
    case ATTEMPT_TIMED_OUT:
        attempt_failed(attempt, CAUSE_TIMEOUT, answer->error ? answer->error : "The task ran longer than its limit.");
        break;
    case ATTEMPT_CANCELED:
        if (attempt->cancel)
            attempt_finish(attempt, JOB_CANCELED, NULL);
        else /* by jobs_stop, or by nobody we know */
            attempt_lost(attempt, "The attempt was stopped.");
        break;
    case ATTEMPT_UNSTARTED:
        attempt_unstarted(attempt, answer->error ? answer->error : "The attempt could not be begun.");
        break;
    case ATTEMPT_LOST:
    case ATTEMPT_RESULT_COUNT:
        attempt_lost(attempt, answer->error ? answer->error : "The attempt was lost.");
        break;
    }
}

/* Whether it begins again is decided where its end is stored: see failures.c. */
void attempt_failed(struct attempt *attempt, enum failure_cause cause, const char *error)
{
    const struct jobs_options *options = &attempt->jobs->options;

    attempt->end.failure.cause = cause;
    attempt->end.losses = (struct loss_rules){options->restart_lost, options->attempts_max};
    if (getrandom(&attempt->end.random, sizeof attempt->end.random, 0) < 0)
        attempt->end.random = (uint32_t)clock_mono_us(); /* it only has to differ from others */
    attempt_finish(attempt, JOB_FAILED, error);
}

void attempt_lost(struct attempt *attempt, const char *why)
{
    attempt->end.failure = (struct failure){0};
    if (attempt->cancel)
        attempt_finish(attempt, JOB_CANCELED, NULL);
    else if (attempt->jobs->stopping && attempt->jobs->options.stop_fails) {
        attempt->end.final = true;
        attempt_finish(attempt, JOB_FAILED, "The server was stopped while the job ran.");
    } else if (attempt->jobs->stopping)
        attempt_finish(attempt, JOB_PENDING, NULL);
    else
        attempt_failed(attempt, CAUSE_LOST, why);
}

void attempts_connection_lost(struct jobs *jobs)
{
    for (struct attempt *attempt = jobs->attempts, *next; attempt; attempt = next) {
        next = attempt->next;
        if (attempt->phase == PHASE_RUNNING &&
            (jobs->client.state != CLIENT_READY || attempt->generation != jobs->client.generation))
            attempt_lost(attempt, "The runner was lost.");
    }
}

void attempts_step(struct jobs *jobs, int64_t now_ms)
{
    for (struct attempt *attempt = jobs->attempts, *next; attempt; attempt = next) {
        next = attempt->next;
        if (attempt->phase == PHASE_UNSTORED && now_ms >= attempt->retry_ms)
            attempt_finish(attempt, attempt->end.status, NULL);
        else if (jobs->stopping && attempt->phase == PHASE_RUNNING) {
            if (jobs->client.state == CLIENT_READY && now_ms < jobs->stop_ms)
                send_cancel(attempt);
            else if (jobs->client.state == CLIENT_DOWN && jobs->client.pid == 0)
                attempt_lost(attempt, "The server was stopped.");
        }
    }
}
