/* One row by its id. */
#include "store/rows.h"

/* Steps to the only row. False with NOT_FOUND ("Task: X does not exist.") or what SQLite says. */
static bool query_one(struct query *q, const char *kind, const char *id, struct fault *fault)
{
    switch (query_step(q)) {
    case QUERY_ROW:
        return true;
    case QUERY_DONE:
        return fault_set(fault, FAULT_NOT_FOUND, "%s: %s does not exist.", kind, id);
    default:
        return query_fault(q, fault);
    }
}

bool find_task(struct database *db, const struct scope *scope, const char *id, struct arena *arena, struct task *ret,
               struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, SQL_TASK_BY_ID);
    struct task task;

    query_text(&q, id);
    if (!query_one(&q, "Task", id, fault) || !row_task(&q, arena, &task, fault))
        return false;
    if (!scope_allows(scope, task.owner_id))
        return fault_set(fault, FAULT_NOT_FOUND, "Task: %s does not exist.", id);
    *ret = task;
    return true;
}

bool find_job(struct database *db, const struct scope *scope, const char *id, struct arena *arena, struct job *ret,
              struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, SQL_JOB_BY_ID);
    struct job job;

    query_text(&q, id);
    if (!query_one(&q, "Job", id, fault) || !row_job(&q, arena, &job, fault))
        return false;
    if (!scope_allows(scope, job.owner_id))
        return fault_set(fault, FAULT_NOT_FOUND, "Job: %s does not exist.", id);
    *ret = job;
    return true;
}

bool find_job_by_seq(struct database *db, int64_t seq, struct arena *arena, struct job *ret, struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, SQL_JOB_AT);

    query_int(&q, seq);
    enum query_result result = query_step(&q);
    if (result == QUERY_ERROR)
        return query_fault(&q, fault);
    if (result != QUERY_ROW)
        return fault_internal(fault, "job %lld cannot be read", (long long)seq);
    return row_job(&q, arena, ret, fault);
}

bool data_node_read_parents(struct database *db, struct arena *arena, struct data_node *ret, struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, SQL_DATA_NODE_PARENTS);

    query_int(&q, ret->seq);
    query_int(&q, PARENTS_MAX);
    return query_id_list(&q, arena, &ret->parent_ids, fault);
}

bool find_data_node(struct database *db, const struct scope *scope, const char *id, struct arena *arena,
                    struct data_node *ret, struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, SQL_DATA_NODE_BY_ID);
    struct data_node data_node;

    query_text(&q, id);
    if (!query_one(&q, "DataNode", id, fault) || !row_data_node(&q, arena, &data_node, fault))
        return false;
    if (!scope_allows(scope, data_node.owner_id))
        return fault_set(fault, FAULT_NOT_FOUND, "DataNode: %s does not exist.", id);
    if (!data_node_read_parents(db, arena, &data_node, fault))
        return false;
    *ret = data_node;
    return true;
}

bool submission_read_jobs(struct database *db, struct arena *arena, struct submission *ret, struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, SQL_SUBMISSION_JOBS);

    query_text(&q, ret->id);
    if (!query_id_list(&q, arena, &ret->job_ids, fault))
        return false;
    ret->revision = (int64_t)ret->job_ids.count * SUBMISSION_STATUS_COUNT + ret->status;
    return true;
}

bool find_submission(struct database *db, const struct scope *scope, const char *id, struct arena *arena,
                     struct submission *ret, struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, SQL_SUBMISSION_BY_ID);
    struct submission submission;

    query_text(&q, id);
    if (!query_one(&q, "Submission", id, fault) || !row_submission(&q, arena, &submission, fault))
        return false;
    /* a submission has no owner: who may see it follows from its jobs' entity, and today that is everything or nothing */
    if (!scope_allows(scope, NULL))
        return fault_set(fault, FAULT_NOT_FOUND, "Submission: %s does not exist.", id);
    if (!submission_read_jobs(db, arena, &submission, fault))
        return false;
    *ret = submission;
    return true;
}
