/* At start, when no attempt is alive. */
#include "store/rows.h"
#include "store/txn.h"

static bool jobs_in_status(struct store_txn *txn, enum job_status status, struct seq_list *list, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_JOB_SEQS_IN_STATUS);

    query_text(&q, job_status_name(status));
    return seq_list_read(&q, list, fault);
}

struct recovery {
    bool restart;
    unsigned attempts_max; /* 0: no limit */
    unsigned restarted, failed;
};

/* Perhaps it was the job that brought the server down. */
static bool was_last_attempt(const struct recovery *recovery, const struct job *job)
{
    return recovery->attempts_max > 0 && (unsigned)job->attempt >= recovery->attempts_max;
}

static void settle_lost(const struct store_txn *txn, const struct recovery *recovery, struct arena *arena,
                        struct job *job)
{
    job->ended_at_ms = txn->now_ms;
    if (job->cancel_requested) {
        job->status = JOB_CANCELED;
    } else if (recovery->restart && was_last_attempt(recovery, job)) {
        job->status = JOB_FAILED;
        job->error =
            arena_printf(arena, "The server stopped while the job ran. It was the last of %d attempts.", job->attempt);
    } else if (recovery->restart) {
        job->status = JOB_PENDING;
        job->started_at_ms = job->ended_at_ms = 0;
        job->worker = NULL;
    } else {
        job->status = JOB_FAILED;
        job->error = "The server stopped while the job ran.";
    }
}

static bool recover_running(struct store_txn *txn, int64_t job_seq, struct recovery *recovery, struct fault *fault)
{
    struct arena arena = {0};
    struct job job;
    bool ok = find_job_by_seq(txn->db, job_seq, &arena, &job, fault);

    if (ok) {
        settle_lost(txn, recovery, &arena, &job);
        ok = txn_job_store(txn, &job, JOB_RUNNING, fault);
    }
    if (ok && job_status_final(job.status))
        ok = txn_jobs_abandon(txn, job_seq, fault);
    if (ok) {
        recovery->restarted += job.status == JOB_PENDING;
        recovery->failed += job.status == JOB_FAILED;
    }
    arena_done(&arena);
    return ok;
}

/* Pairs of data node and job. */
static bool read_locks_left_behind(struct store_txn *txn, struct seq_list *nodes, struct seq_list *jobs,
                                   struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_LOCKS_LEFT_BEHIND);
    enum query_result result;

    while ((result = query_step(&q)) == QUERY_ROW) {
        seq_list_add(nodes, query_column_int(&q, 0));
        seq_list_add(jobs, query_column_int(&q, 1));
    }
    return result == QUERY_DONE || query_fault(&q, fault);
}

/* We leave none behind; but a lock that nobody holds would keep jobs BLOCKED for ever. */
static bool remove_locks_left_behind(struct store_txn *txn, struct fault *fault)
{
    own(seq_list_done) struct seq_list nodes = {0};
    own(seq_list_done) struct seq_list jobs = {0};

    if (!read_locks_left_behind(txn, &nodes, &jobs, fault))
        return false;
    for (size_t i = 0; i < nodes.count; i++)
        if (!txn_unlock(txn, nodes.items[i], jobs.items[i], fault))
            return false;
    return true;
}

bool txn_recover_jobs(struct store_txn *txn, bool restart, unsigned attempts_max, unsigned *ret_restarted,
                      unsigned *ret_failed, struct fault *fault)
{
    struct recovery recovery = {.restart = restart, .attempts_max = attempts_max};
    own(seq_list_done) struct seq_list running = {0};
    own(seq_list_done) struct seq_list blocked = {0};

    if (!jobs_in_status(txn, JOB_RUNNING, &running, fault))
        return false;
    for (size_t i = 0; i < running.count; i++)
        if (!recover_running(txn, running.items[i], &recovery, fault))
            return false;
    if (!remove_locks_left_behind(txn, fault) || !jobs_in_status(txn, JOB_BLOCKED, &blocked, fault))
        return false;
    for (size_t i = 0; i < blocked.count; i++)
        if (!txn_job_examine(txn, blocked.items[i], fault))
            return false;
    *ret_restarted = recovery.restarted;
    *ret_failed = recovery.failed;
    return true;
}
