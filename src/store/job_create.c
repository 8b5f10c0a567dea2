/* Jobs that are made first and submitted later, and the end of jobs that nobody needs any more. */
#include "store/rows.h"
#include "store/txn.h"

bool txn_create_job(struct store_txn *txn, const struct scope *scope, const struct task_creation *creation,
                    struct arena *arena, struct task *ret_task, struct job *ret_job, struct submission *ret_submission,
                    struct fault *fault)
{
    struct task task;

    if (scope_allows(scope, NULL) && !txn_load_room(txn, creation->created_by, 0, fault)) /* else: forbidden */
        return false;
    if (!txn_create_task(txn, scope, creation, arena, &task, fault))
        return false;
    struct submission submission = txn_submission_of_task(txn, &task, creation->created_by, arena);
    struct job job = txn_job_of_task(txn, &task, &submission, JOB_SUBMITTED, arena);
    if (!txn_submission_add(txn, &submission, &job, arena, fault) || !txn_job_event(txn, &job, JOB_SUBMITTED, fault))
        return false;
    *ret_task = task;
    *ret_job = job;
    *ret_submission = submission;
    return true;
}

/* Who has it run answers for it. */
static bool take_over(struct store_txn *txn, const struct job *job, struct arena *arena, struct fault *fault)
{
    own(query_done) struct query of_job = query_begin(txn->db, SQL_JOB_TAKE_OVER);
    own(query_done) struct query of_submission = query_begin(txn->db, SQL_SUBMISSION_BY);

    query_int(&of_job, job->seq);
    query_int(&of_job, job->force);
    query_text(&of_job, job->submitted_by);
    query_text(&of_job, txn->issuer ? txn->issuer : "");
    query_blob(&of_job, job->submitter, SUBMITTER_SIZE);
    job->controls.timeout_ms >= 0 ? query_int(&of_job, job->controls.timeout_ms) : query_null(&of_job);
    query_text(&of_job, controls_text(&job->controls, arena));
    query_text(&of_submission, job->submission_id);
    query_text(&of_submission, job->submitted_by);
    return txn_load_remove(txn, job->seq, fault) && query_run_one(&of_job, fault) &&
           query_run_one(&of_submission, fault) && txn_load_add(txn, job->submitted_by, fault);
}

/* BLOCKED with what it waits for, or PENDING. */
static bool settle_begin(struct store_txn *txn, const struct task *task, struct job *job, struct arena *arena,
                         struct fault *fault)
{
    own(seq_list_done) struct seq_list seen = {0};
    bool ready;

    if (!txn_lock_outputs(txn, task, job->seq, fault) || !txn_wait_for_inputs(txn, task, job->seq, arena, fault) ||
        !txn_job_is_ready(txn, job->seq, &seen, &ready, fault))
        return false;
    if (ready && !txn_waits_remove(txn, job->seq, fault))
        return false;
    job->status = ready ? JOB_PENDING : JOB_BLOCKED;
    return txn_job_store(txn, job, JOB_SUBMITTED, fault) && txn_jobs_unblock(txn, &seen, fault);
}

bool txn_submit_job(struct store_txn *txn, const struct scope *scope, const struct task_submission *what,
                    struct arena *arena, struct task *ret_task, struct job *ret_job, struct submission *ret_submission,
                    struct fault *fault)
{
    const char *id = what->id;
    struct submission submission;
    struct task task;
    struct job job;

    if (!find_job(txn->db, scope, id, arena, &job, fault))
        return false;
    if (job.status != JOB_SUBMITTED)
        return fault_set(fault, FAULT_CONFLICT, "Job %s was submitted already: it is %s.", id,
                         job_status_name(job.status));
    if (!find_task(txn->db, scope, job.task_id, arena, &task, fault) ||
        !txn_load_room(txn, what->submitted_by, job.seq, fault))
        return false;
    txn_job_agree(&job, what);
    job.submitted_by = arena_strdup(arena, what->submitted_by);
    if (!take_over(txn, &job, arena, fault) || !settle_begin(txn, &task, &job, arena, fault) ||
        !find_submission(txn->db, scope, job.submission_id, arena, &submission, fault) ||
        !find_job_by_seq(txn->db, job.seq, arena, &job, fault)) /* what it is blocked by */
        return false;
    *ret_task = task;
    *ret_job = job;
    *ret_submission = submission;
    return true;
}

/* ---- deleting ---- */

static bool is_being_published(struct store_txn *txn, int64_t job_seq, bool *ret, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_JOB_IS_PUBLISHED);
    int64_t one;

    query_int(&q, job_seq);
    return query_number(&q, &one, ret, fault);
}

/* A submission goes with its last job. */
static bool delete_rows(struct store_txn *txn, const struct job *job, struct fault *fault)
{
    own(query_done) struct query of_job = query_begin(txn->db, SQL_JOB_DELETE);
    own(query_done) struct query of_submission = query_begin(txn->db, SQL_SUBMISSION_DELETE);

    query_int(&of_job, job->seq);
    query_text(&of_submission, job->submission_id);
    return query_run_one(&of_job, fault) && query_run(&of_submission, fault) && txn_events_forget(txn, job->seq, fault);
}

bool txn_delete_job(struct store_txn *txn, const struct scope *scope, const char *id, int64_t if_match,
                    int *ret_attempts, struct fault *fault)
{
    own(arena_done) struct arena arena = {0};
    bool publishes = false;
    struct job job;

    if (!find_job(txn->db, scope, id, &arena, &job, fault))
        return false;
    if (if_match >= 0 && job.revision != if_match)
        return fault_set(fault, FAULT_PRECONDITION, "Job %s has changed since you read it; read it again.", id);
    if (!job_status_final(job.status))
        return fault_set(fault, FAULT_CONFLICT, "Job %s is %s; cancel it or wait for its end.", id,
                         job_status_name(job.status));
    if (!is_being_published(txn, job.seq, &publishes, fault))
        return false;
    if (publishes)
        return fault_set(fault, FAULT_CONFLICT,
                         "Job %s is still bringing a result to its place; try again in a moment.", id);
    *ret_attempts = job.attempt;
    return delete_rows(txn, &job, fault);
}
