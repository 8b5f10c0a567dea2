/* How a job's row changes: legal transitions only, with the event that tells of it. */
#include <stdio.h>

#include "store/rows.h"
#include "store/txn.h"

enum { ERROR_MAX = 4096, STACKTRACE_MAX = 65536 };

/* The row that streams of events read. */
static bool add_event(struct store_txn *txn, const struct job *job, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_EVENT_ADD);

    query_int(&q, job->seq);
    query_int(&q, txn->now_ms);
    query_text(&q, job_status_name(job->status));
    query_int(&q, job->attempt);
    query_int(&q, job->cancel_requested);
    return query_run_one(&q, fault);
}

bool txn_job_event(struct store_txn *txn, const struct job *job, enum job_status before, struct fault *fault)
{
    struct job_event *event;

    if (!add_event(txn, job, fault))
        return false;
    if (txn->event_count == txn->event_cap) {
        txn->event_cap = txn->event_cap ? 2 * txn->event_cap : 64;
        txn->events = xrealloc(txn->events, txn->event_cap * sizeof(*txn->events));
    }
    event = &txn->events[txn->event_count++];
    *event = (struct job_event){.seq = job->seq,
                                .status = job->status,
                                .before = before,
                                .cancel_requested = job->cancel_requested,
                                .revision = job->revision,
                                .retry_delay_ms = job->status == JOB_PENDING ? job->retry_delay_ms : 0};
    memcpy(event->submitter, job->submitter, SUBMITTER_SIZE);
    snprintf(event->job_id, sizeof(event->job_id), "%s", job->id);
    snprintf(event->task_config_id, sizeof(event->task_config_id), "%s", job->task_config_id);
    return true;
}

/* What a user's program says is kept to a limit: of an error its beginning, of a stack trace its end, where the cause stands. */
static const char *head_of(const char *s, size_t max, char *buffer)
{
    size_t len = s ? strnlen(s, max + 1) : 0;

    if (len <= max)
        return s;
    for (len = max; len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80;)
        len--;
    memcpy(buffer, s, len);
    buffer[len] = '\0';
    return buffer;
}

static const char *tail_of(const char *s, size_t max)
{
    size_t len = s ? strlen(s) : 0;

    if (len <= max)
        return s;
    for (s += len - max; ((unsigned char)*s & 0xc0) == 0x80;)
        s++;
    return s;
}

static bool job_update(struct store_txn *txn, const struct job *job, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_JOB_SET);
    char error[ERROR_MAX + 1];

    query_int(&q, job->seq);
    query_text(&q, job_status_name(job->status));
    query_int(&q, job->revision);
    query_int(&q, job->cancel_requested);
    query_int(&q, job->attempt);
    job->exited ? query_int(&q, job->exit_code) : query_null(&q);
    job->signaled ? query_int(&q, job->signal) : query_null(&q);
    query_int(&q, job->started_at_ms);
    query_int(&q, job->ended_at_ms);
    query_text(&q, job->worker);
    query_text(&q, head_of(job->error, ERROR_MAX, error));
    query_text(&q, tail_of(job->stacktrace, STACKTRACE_MAX));
    query_int(&q, job->retries);
    query_int(&q, job->losses);
    query_int(&q, job->retry_at_ms);
    query_int(&q, job->retry_delay_ms);
    return query_run_one(&q, fault);
}

bool txn_job_store(struct store_txn *txn, struct job *job, enum job_status before, struct fault *fault)
{
    if (job->status != before && !job_transition_legal(before, job->status))
        return fault_set(fault, FAULT_CONFLICT, "Job %s is %s; it cannot become %s.", job->id, job_status_name(before),
                         job_status_name(job->status));
    if (job_status_final(job->status) != (job->ended_at_ms != 0)) /* the statements tell by the time of the end */
        return fault_internal(fault, "job %s is %s and has %s", job->id, job_status_name(job->status),
                              job->ended_at_ms != 0 ? "ended" : "not ended");
    job->revision++;
    if (!job_update(txn, job, fault))
        return false;
    if (job->status != before && job_status_final(job->status) && !txn_load_remove(txn, job->seq, fault))
        return false;
    return txn_job_event(txn, job, before, fault);
}
