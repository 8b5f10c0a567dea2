/* A job's way from PENDING to its end. */
#include <limits.h>

#include "store/rows.h"
#include "store/txn.h"

static const struct scope EVERYTHING = {.everything = true}; /* the job thread is no caller */

/* ---- starting ---- */

static bool read_data_nodes(struct store_txn *txn, const struct id_list *ids, struct arena *arena,
                            struct data_node **ret, struct fault *fault)
{
    struct data_node *list = arena_alloc(arena, ids->count * sizeof(*list));

    for (size_t i = 0; i < ids->count; i++)
        if (!find_data_node(txn->db, &EVERYTHING, ids->items[i], arena, &list[i], fault))
            return false;
    *ret = list;
    return true;
}

/* When the value last changed, 0: there is none. A user may have written a file of his own since. False: nobody knows. */
static bool edit_time(const struct store_txn *txn, const struct data_node *node, int64_t *ret_ms)
{
    bool users = node->path && !node->file;
    int64_t user_ms = 0;

    if (users && !looker_file_time(txn->looker, node->path, &user_ms))
        return false;
    *ret_ms = users && user_ms == 0 ? 0 : user_ms > node->last_edit_ms ? user_ms : node->last_edit_ms;
    return true;
}

/* Taipy's rule: all outputs are there, valid and not older than the inputs. */
static bool can_skip(const struct store_txn *txn, const struct job_start *start)
{
    int64_t oldest_output = INT64_MAX, newest_input = 0;

    if (start->job.force || !start->task.skippable || start->output_count == 0)
        return false;
    for (size_t i = 0; i < start->output_count; i++) {
        int64_t edited, valid = start->outputs[i].validity_period_ms;
        if (!edit_time(txn, &start->outputs[i], &edited) || edited == 0 || (valid > 0 && txn->now_ms - edited >= valid))
            return false;
        if (edited > txn->now_ms + CLOCK_BACK_MAX_MS) /* a file of a time to come: nobody knows what it is newer than */
            return false;
        oldest_output = edited < oldest_output ? edited : oldest_output;
    }
    for (size_t i = 0; i < start->input_count; i++) {
        int64_t edited;
        if (!edit_time(txn, &start->inputs[i], &edited))
            return false;
        newest_input = edited > newest_input ? edited : newest_input;
    }
    return oldest_output >= newest_input;
}

static bool read_attempt_number(struct store_txn *txn, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_ATTEMPT_NUMBER);
    bool found = false;

    if (!query_number(&q, &txn->attempt_number, &found, fault))
        return false;
    return found || fault_internal(fault, "the store has lost its attempt counter");
}

static bool next_attempt_number(struct store_txn *txn, int64_t *ret, struct fault *fault)
{
    if (txn->attempt_number == 0 && !read_attempt_number(txn, fault))
        return false;
    *ret = ++txn->attempt_number;
    return true;
}

bool txn_attempts_keep(struct store_txn *txn, struct fault *fault)
{
    if (txn->attempt_number == 0)
        return true;
    own(query_done) struct query q = query_begin(txn->db, SQL_ATTEMPT_SET);
    query_int(&q, txn->attempt_number);
    return query_run_one(&q, fault);
}

/* Its outputs are written, or need no writing: frees them (all, or `kept` not) and lets those go on who waited. */
static bool release_written(struct store_txn *txn, int64_t job_seq, const struct seq_list *kept, struct fault *fault);

static bool skip(struct store_txn *txn, struct job *job, struct fault *fault)
{
    enum job_status before = job->status;

    job->status = JOB_SKIPPED;
    job->ended_at_ms = txn->now_ms;
    return txn_job_store(txn, job, before, fault) && release_written(txn, job->seq, NULL, fault);
}

static bool begin_attempt(struct store_txn *txn, struct job *job, const char *worker, struct fault *fault)
{
    enum job_status before = job->status;

    job->status = JOB_RUNNING;
    job->attempt++;
    job->started_at_ms = txn->now_ms;
    job->worker = worker;
    job->exited = job->signaled = false; /* what an earlier attempt left */
    job->error = job->stacktrace = NULL;
    job->retry_at_ms = job->retry_delay_ms = 0;
    return txn_job_store(txn, job, before, fault);
}

bool txn_start_job(struct store_txn *txn, const char *id, const char *worker, struct arena *arena,
                   struct job_start *ret_start, struct fault *fault)
{
    struct job_start start = {0};

    if (!txn_queue_open(txn, fault) || !find_job(txn->db, &EVERYTHING, id, arena, &start.job, fault))
        return false;
    if (start.job.status != JOB_PENDING)
        return fault_set(fault, FAULT_CONFLICT, "Job %s is %s, not PENDING.", id, job_status_name(start.job.status));
    if (!find_task(txn->db, &EVERYTHING, start.job.task_id, arena, &start.task, fault) ||
        !read_data_nodes(txn, &start.task.input_ids, arena, &start.inputs, fault) ||
        !read_data_nodes(txn, &start.task.output_ids, arena, &start.outputs, fault))
        return false;
    start.input_count = start.task.input_ids.count;
    start.output_count = start.task.output_ids.count;
    start.skipped = can_skip(txn, &start);
    if (start.skipped) {
        if (!skip(txn, &start.job, fault))
            return false;
    } else if (!next_attempt_number(txn, &start.attempt_number, fault) ||
               !begin_attempt(txn, &start.job, arena_strdup(arena, worker), fault)) {
        return false;
    }
    *ret_start = start;
    return true;
}

/* ---- ending ---- */

struct locked { /* an output that the job holds */
    int64_t data_node_seq;
    const char *id, *path;
};

static bool read_locked(struct store_txn *txn, int64_t job_seq, struct arena *arena, struct locked **ret,
                        size_t *ret_count, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_LOCKS_OF_JOB);
    own(freep) struct locked *list = NULL;
    enum query_result result;
    size_t count = 0, cap = 0;

    query_int(&q, job_seq);
    while ((result = query_step(&q)) == QUERY_ROW) {
        if (count == cap) {
            cap = cap ? 2 * cap : 8;
            list = xrealloc(list, cap * sizeof(*list));
        }
        list[count++] =
            (struct locked){query_column_int(&q, 0), query_column_text(&q, 1, arena), query_column_text(&q, 2, arena)};
    }
    if (result == QUERY_ERROR)
        return query_fault(&q, fault);
    *ret = arena_alloc(arena, count * sizeof(*list));
    if (count > 0)
        memcpy(*ret, list, count * sizeof(*list));
    *ret_count = count;
    return true;
}

static bool release_written(struct store_txn *txn, int64_t job_seq, const struct seq_list *kept, struct fault *fault)
{
    own(seq_list_done) struct seq_list freed = {0};
    struct arena arena = {0};
    struct locked *locked;
    size_t count = 0;
    bool ok = read_locked(txn, job_seq, &arena, &locked, &count, fault);

    for (size_t i = 0; ok && i < count; i++) {
        bool keep = false;
        for (size_t k = 0; kept && k < kept->count; k++)
            keep = keep || kept->items[k] == locked[i].data_node_seq;
        if (keep)
            continue;
        ok = txn_unlock(txn, locked[i].data_node_seq, job_seq, fault);
        seq_list_add(&freed, locked[i].data_node_seq);
    }
    ok = ok && txn_jobs_unblock(txn, &freed, fault);
    arena_done(&arena);
    return ok;
}

static bool add_intent(struct store_txn *txn, int64_t data_node_seq, int64_t job_seq, const char *file,
                       struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_INTENT_ADD);

    query_int(&q, data_node_seq);
    query_int(&q, job_seq);
    query_text(&q, file);
    return query_run_one(&q, fault);
}

static const struct job_output *output_of(const struct job_end *end, const char *data_node_id)
{
    for (size_t i = 0; i < end->output_count; i++)
        if (str_eq(end->outputs[i].data_node_id, data_node_id))
            return &end->outputs[i];
    return NULL;
}

/* Points the data nodes to the new files, or writes down that they must be brought to the user's own paths. */
static bool take_outputs(struct store_txn *txn, const struct job_end *end, int64_t job_seq, struct fault *fault)
{
    own(seq_list_done) struct seq_list to_publish = {0};
    struct arena arena = {0};
    struct locked *locked;
    size_t count = 0;
    bool ok = read_locked(txn, job_seq, &arena, &locked, &count, fault);

    if (ok && end->output_count != count)
        ok = fault_internal(fault, "%s ended with %zu outputs instead of %zu", end->job_id, end->output_count, count);
    for (size_t i = 0; ok && i < count; i++) {
        const struct job_output *output = output_of(end, locked[i].id);
        if (!output) {
            ok = fault_internal(fault, "%s ended without its output %s", end->job_id, locked[i].id);
        } else if (output->publish) {
            seq_list_add(&to_publish, locked[i].data_node_seq);
            ok = add_intent(txn, locked[i].data_node_seq, job_seq, output->file, fault);
        } else {
            ok = txn_data_node_written(txn, locked[i].data_node_seq, txn->now_ms, output->file, fault);
        }
    }
    ok = ok && (count == 0 || release_written(txn, job_seq, &to_publish, fault));
    arena_done(&arena);
    return ok;
}

static void settle_end(const struct store_txn *txn, const struct job_end *end, struct arena *arena, struct job *job)
{
    const struct failure *failure = &end->failure;

    job->exited = failure->exited;
    job->exit_code = failure->exit_code;
    job->signaled = failure->signaled;
    job->signal = failure->signal;
    job->error = end->error;
    job->stacktrace = end->stacktrace;
    job->ended_at_ms = txn->now_ms;
    job->status = end->status;
    if (end->status == JOB_FAILED && !end->final)
        job_settle_failure(txn, failure, &end->losses, end->random, arena, job);
    else if (end->status == JOB_PENDING && job->cancel_requested)
        job->status = JOB_CANCELED;
    else if (end->status == JOB_PENDING)
        job_begin_again(job);
}

bool txn_end_job(struct store_txn *txn, const struct job_end *end, struct arena *arena, struct job *ret_job,
                 struct fault *fault)
{
    struct job job;
    bool ok = find_job(txn->db, &EVERYTHING, end->job_id, arena, &job, fault);

    if (ok && (job.status != JOB_RUNNING || job.attempt != end->attempt))
        ok = fault_set(fault, FAULT_CONFLICT, "Attempt %d of job %s is over: it is %s, attempt %d.", end->attempt,
                       end->job_id, job_status_name(job.status), job.attempt);
    if (ok) {
        settle_end(txn, end, arena, &job);
        ok = txn_job_store(txn, &job, JOB_RUNNING, fault);
    }
    if (ok && job.status == JOB_COMPLETED)
        ok = take_outputs(txn, end, job.seq, fault);
    else if (ok && job_status_final(job.status))
        ok = txn_jobs_abandon(txn, job.seq, fault);
    if (ok)
        *ret_job = job;
    return ok;
}

bool txn_cancel_job(struct store_txn *txn, const struct scope *scope, const char *id, struct arena *arena,
                    struct job *ret_job, struct fault *fault)
{
    enum job_status before;
    struct job job;

    if (!find_job(txn->db, scope, id, arena, &job, fault))
        return false;
    before = job.status;
    if (job_status_final(before))
        return fault_set(fault, FAULT_CONFLICT, "Job %s has ended already: it is %s.", id, job_status_name(before));
    if (before == JOB_RUNNING) {
        bool first = !job.cancel_requested;
        job.cancel_requested = true;
        if (first && !txn_job_store(txn, &job, before, fault))
            return false;
    } else {
        job.status = JOB_CANCELED;
        job.ended_at_ms = txn->now_ms;
        job.retry_at_ms = job.retry_delay_ms = 0;
        if (!txn_job_store(txn, &job, before, fault) || !txn_jobs_abandon(txn, job.seq, fault))
            return false;
    }
    *ret_job = job;
    return true;
}

/* ---- publishing ---- */

struct intent {
    int64_t seq, data_node_seq, job_seq;
};

static bool find_intent(struct store_txn *txn, const char *data_node_id, const char *file, struct intent *ret,
                        struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_INTENT_FIND);

    query_text(&q, data_node_id);
    query_text(&q, file);
    switch (query_step(&q)) {
    case QUERY_ROW:
        *ret = (struct intent){query_column_int(&q, 0), query_column_int(&q, 1), query_column_int(&q, 2)};
        return true;
    case QUERY_DONE:
        return fault_set(fault, FAULT_CONFLICT, "Nothing of DataNode %s waits to be published.", data_node_id);
    default:
        return query_fault(&q, fault);
    }
}

static bool remove_intent(struct store_txn *txn, int64_t seq, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_INTENT_REMOVE);

    query_int(&q, seq);
    return query_run_one(&q, fault);
}

bool txn_published(struct store_txn *txn, const char *data_node_id, const char *file, struct fault *fault)
{
    own(seq_list_done) struct seq_list freed = {0};
    struct intent intent = {0};

    if (!find_intent(txn, data_node_id, file, &intent, fault) || !remove_intent(txn, intent.seq, fault) ||
        /* the value is at the user's own path now */
        !txn_data_node_written(txn, intent.data_node_seq, txn->now_ms, NULL, fault) ||
        !txn_unlock(txn, intent.data_node_seq, intent.job_seq, fault))
        return false;
    seq_list_add(&freed, intent.data_node_seq);
    return txn_jobs_unblock(txn, &freed, fault);
}
