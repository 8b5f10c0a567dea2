/* An attempt's end: its outputs into storage, then one transition that makes all of it true at once. Whatever the
 * disk refuses is kept and tried again; until then the job is RUNNING in the store, because its result is not safe. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "jobs/thread.h"

void attempt_free(struct attempt *attempt)
{
    struct jobs *jobs = attempt->jobs;
    struct attempt **place = &jobs->attempts;

    while (*place != attempt)
        place = &(*place)->next;
    *place = attempt->next;
    jobs->attempt_count--;
    atomic_store(&jobs->active, jobs->attempt_count);
    if (attempt->phase == PHASE_STARTING || attempt->phase == PHASE_RUNNING)
        jobs->occupied--;
    if (attempt->started)
        atomic_fetch_sub(&jobs->running, 1);
    if (attempt->again)
        queue_return(jobs->queue, &(struct queue_place){attempt->job_seq, attempt->job_id, attempt->lane},
                     attempt->again_ms);
    else
        queue_leave(jobs->queue, attempt->lane);
    closep(&attempt->log);
    arena_done(&attempt->arena);
    change_free(attempt->start);
    free(attempt);
}

static void try_again(struct attempt *attempt, const struct fault *fault)
{
    struct jobs *jobs = attempt->jobs;

    attempt->phase = PHASE_UNSTORED;
    attempt->retry_ms = jobs_backoff(&attempt->failures, clock_mono_ms());
    log_write(jobs->log, LOG_ERROR, "job.end", fault->message, L_STR("job", attempt->job_id),
              L_STR("detail", fault->detail[0] ? fault->detail : NULL), L_INT("tries", attempt->failures));
}

/* ---- the transition ---- */

/* Writer thread. The attempt does not change while its end is on its way. */
static bool end_apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    const struct attempt *attempt = change->input;
    struct job job = {0};

    if (!txn_end_job(txn, &attempt->end, &change->arena, &job, fault))
        return false;
    own(text_done) struct text detail = {0};
    jw_open(&detail, '{');
    jw_member_string(&detail, "status", job_status_name(job.status));
    jw_member_int(&detail, "attempt", attempt->end.attempt);
    if (job.retry_at_ms != 0)
        jw_member_time(&detail, "retry_at", job.retry_at_ms);
    jw_close(&detail, '}');
    change->audit.detail = arena_strdup(&change->arena, detail.data);
    return true;
}

static void after_commit(struct attempt *attempt)
{
    struct jobs *jobs = attempt->jobs;

    for (size_t i = 0; i < attempt->end.output_count; i++) {
        const struct data_node *node = &attempt->started->outputs[i];
        if (node->file)
            collect_add(jobs, node->file);
        if (attempt->outputs[i].publish)
            publish_add(jobs, node->id, attempt->outputs[i].file, node->path);
    }
}

static void end_finished(struct jobs *jobs, void *subject, struct change *change)
{
    struct attempt *attempt = subject;
    struct fault fault = change->fault;
    bool ok = change->ok;

    change_free(change);
    if (!ok && fault.kind != FAULT_CONFLICT && fault.kind != FAULT_NOT_FOUND) {
        try_again(attempt, &fault);
        return;
    }
    if (ok)
        after_commit(attempt);
    else { /* the job is not this attempt's any more: what it made belongs to nobody */
        log_write(jobs->log, LOG_WARNING, "job.end", fault.message, L_STR("job", attempt->job_id));
        for (size_t i = 0; i < attempt->end.output_count; i++)
            collect_add(jobs, attempt->outputs[i].file);
    }
    if (attempt->foldered)
        client_number(jobs, "release", "attempt", attempt->number);
    attempt_free(attempt);
}

static void submit_end(struct attempt *attempt)
{
    struct change *change = change_new();

    attempt->phase = PHASE_ENDING;
    change->apply = end_apply;
    change->input = attempt;
    change->audited = true;
    change->audit.action = "job.end";
    change->audit.target = arena_strdup(&change->arena, attempt->job_id);
    change->audit.detail = arena_printf(&change->arena, "{\"status\":\"%s\",\"attempt\":%d}",
                                        job_status_name(attempt->end.status), attempt->end.attempt);
    attempt->jobs->ends_waiting++;
    transition_submit(attempt->jobs, change, attempt, end_finished);
}

/* ---- outputs ---- */

/* The runner's folder goes with the runner. */
static bool sources_gone(const struct attempt *attempt)
{
    const struct client *client = &attempt->jobs->client;

    return client->state != CLIENT_READY || attempt->generation != client->generation;
}

static void stored(struct parcel *parcel)
{
    struct move *move = container_of(parcel, struct move, parcel);
    struct attempt *attempt = move->subject;
    struct jobs *jobs = attempt->jobs;

    jobs->in_flight--;
    if (move->ok) {
        attempt->stored = true;
        submit_end(attempt);
    } else if (move->fault.kind == FAULT_UNAVAILABLE)
        try_again(attempt, &move->fault);
    else {
        attempt->end.outputs = NULL;
        attempt->end.output_count = 0;
        if (sources_gone(attempt))
            attempt_lost(attempt, "The runner was lost before its results were stored.");
        else
            attempt_failed(attempt, CAUSE_ERROR, move->fault.message);
    }
    move_free(move);
}

static void name_outputs(struct attempt *attempt)
{
    size_t count = attempt->started->output_count;

    if (attempt->outputs)
        return;
    attempt->outputs = arena_alloc(&attempt->arena, (count + 1) * sizeof *attempt->outputs);
    for (size_t i = 0; i < count; i++) {
        const struct data_node *node = &attempt->started->outputs[i];
        attempt->outputs[i] = (struct job_output){
            .data_node_id = node->id,
            .file = arena_printf(&attempt->arena, "results/%lld-%zu.%s", (long long)attempt->number, i,
                                 storage_type_extension(node->storage_type)),
            .publish = node->path != NULL,
        };
    }
    attempt->end.outputs = attempt->outputs;
    attempt->end.output_count = count;
}

static void store_outputs(struct attempt *attempt)
{
    struct jobs *jobs = attempt->jobs;
    size_t count = attempt->started->output_count;

    attempt->phase = PHASE_STORING;
    if (sources_gone(attempt)) {
        attempt_lost(attempt, "The runner was lost before its results were stored.");
        return;
    }
    struct move *move = move_new(count);
    name_outputs(attempt);
    move->parcel.deliver = stored;
    move->subject = attempt;
    move->folder = fcntl(jobs->client.folder, F_DUPFD_CLOEXEC, 0);
    move->owner = jobs->client.uid;
    move->size_max = jobs->options.output_max_bytes;
    for (size_t i = 0; i < count; i++) {
        move->files[i].from[0] = xstrdup("attempts");
        move->files[i].from[1] = xprintf("%lld", (long long)attempt->number);
        move->files[i].from[2] = xprintf("out-%zu", i);
        move->files[i].to = xstrdup(strchr(attempt->outputs[i].file, '/') + 1);
    }
    jobs->in_flight++;
    mover_submit(jobs->mover, move);
}

/* Also called again, with the same status, after the disk refused. */
void attempt_finish(struct attempt *attempt, enum job_status status, const char *error)
{
    struct jobs *jobs = attempt->jobs;

    if (attempt->phase == PHASE_STARTING || attempt->phase == PHASE_RUNNING)
        jobs->occupied--;
    closep(&attempt->log);
    attempt->end.job_id = attempt->job_id;
    attempt->end.attempt = attempt->started->job.attempt;
    attempt->end.status = status;
    if (error) {
        own(text_done) struct text line = {0};
        message_one_line(&line, error);
        attempt->end.error = arena_strdup(&attempt->arena, line.data);
    }
    if (status == JOB_COMPLETED && attempt->started->output_count > 0 && !attempt->stored)
        store_outputs(attempt);
    else
        submit_end(attempt);
}
