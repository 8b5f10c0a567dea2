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
    const struct loss_rules *rules;
    unsigned restarted, failed;
};

static bool recover_running(struct store_txn *txn, int64_t job_seq, struct recovery *recovery, struct fault *fault)
{
    const struct failure lost = {.cause = CAUSE_LOST};
    struct arena arena = {0};
    struct job job;
    bool ok = find_job_by_seq(txn->db, job_seq, &arena, &job, fault);

    if (ok) {
        job.error = "The server stopped while the job ran.";
        job.ended_at_ms = txn->now_ms;
        /* Spread, so that those that wait before they begin again do not all come at once. */
        job_settle_failure(txn, &lost, recovery->rules, (uint32_t)job_seq * 2654435761U, &arena, &job);
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

bool txn_recover_jobs(struct store_txn *txn, const struct loss_rules *rules, unsigned *ret_restarted,
                      unsigned *ret_failed, struct fault *fault)
{
    struct recovery recovery = {.rules = rules};
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
