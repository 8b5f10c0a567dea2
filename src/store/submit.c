/* Submitting a task: its submission, its job, the locks on what it will write. */
#include "store/rows.h"
#include "store/txn.h"

struct input { /* of a task that is submitted */
    int64_t seq;
    bool ready;
};

static bool look_at_input(struct store_txn *txn, const char *id, struct arena *arena, struct input *ret,
                          struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_DATA_NODE_READY);
    const char *path;

    query_text(&q, id);
    enum query_result result = query_step(&q);
    if (result == QUERY_ERROR)
        return query_fault(&q, fault);
    if (result != QUERY_ROW)
        return fault_internal(fault, "data node %s of a task cannot be read", id);
    ret->ready = query_column_int(&q, 0) != 0;
    ret->seq = query_column_int(&q, 1);
    path = query_column_int(&q, 2) == 0 ? query_column_text(&q, 3, arena) : NULL;
    query_done(&q);
    /* a file of the user's own came into being since the task was created; whether somebody is about to write it must be asked again */
    if (!path || !looker_file_is_there(txn->looker, path))
        return true;
    if (!txn_user_file_seen(txn, ret->seq, fault))
        return false;
    return look_at_input(txn, id, arena, ret, fault);
}

static bool look_at_inputs(struct store_txn *txn, const struct task *task, struct arena *arena,
                           struct input **ret_inputs, bool *ret_ready, struct fault *fault)
{
    struct input *inputs = arena_alloc(arena, task->input_ids.count * sizeof(*inputs));

    *ret_ready = true;
    for (size_t i = 0; i < task->input_ids.count; i++) {
        if (!look_at_input(txn, task->input_ids.items[i], arena, &inputs[i], fault))
            return false;
        *ret_ready = *ret_ready && inputs[i].ready;
    }
    *ret_inputs = inputs;
    return true;
}

static bool add_submission(struct store_txn *txn, struct submission *submission, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_SUBMISSION_ADD);

    query_text(&q, submission->id);
    query_text(&q, submission->entity_id);
    query_text(&q, submission->entity_type);
    query_text(&q, submission->entity_config_id);
    query_text(&q, submission->version);
    query_text(&q, submission->submitted_by);
    query_int(&q, submission->created_at_ms);
    if (!query_run_one(&q, fault))
        return false;
    submission->seq = sqlite3_last_insert_rowid(txn->db->handle);
    return true;
}

static bool add_job(struct store_txn *txn, struct job *job, const char *controls, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_JOB_ADD);

    query_text(&q, job->id);
    query_text(&q, job->task_config_id);
    query_text(&q, job->owner_id);
    query_text(&q, job->version);
    query_int(&q, job->created_at_ms);
    query_text(&q, job->task_id);
    query_text(&q, job_status_name(job->status));
    query_int(&q, job->revision);
    query_text(&q, job->submission_id);
    query_int(&q, job->force);
    query_text(&q, job->submitted_by);
    query_text(&q, txn->issuer ? txn->issuer : "");
    query_blob(&q, job->submitter, SUBMITTER_SIZE);
    job->controls.timeout_ms >= 0 ? query_int(&q, job->controls.timeout_ms) : query_null(&q);
    query_text(&q, controls);
    if (!query_run_one(&q, fault))
        return false;
    job->seq = sqlite3_last_insert_rowid(txn->db->handle);
    return txn_load_add(txn, job->submitted_by, fault);
}

/* A configuration may name a data node twice; once is enough here. */
static bool add_pair(struct store_txn *txn, enum sql sql, int64_t data_node_seq, int64_t job_seq, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, sql);

    query_int(&q, data_node_seq);
    query_int(&q, job_seq);
    return query_run(&q, fault);
}

bool txn_lock_outputs(struct store_txn *txn, const struct task *task, int64_t job_seq, struct fault *fault)
{
    for (size_t i = 0; i < task->output_ids.count; i++) {
        struct arena arena = {0};
        struct input output = {0};
        bool ok = look_at_input(txn, task->output_ids.items[i], &arena, &output, fault) &&
                  add_pair(txn, SQL_LOCK_ADD, output.seq, job_seq, fault) &&
                  txn_data_node_touch(txn, output.seq, fault);
        arena_done(&arena);
        if (!ok)
            return false;
    }
    return true;
}

static bool wait_for_inputs(struct store_txn *txn, const struct input *inputs, size_t count, int64_t job_seq,
                            struct fault *fault)
{
    for (size_t i = 0; i < count; i++)
        if (!add_pair(txn, SQL_WAIT_ADD, inputs[i].seq, job_seq, fault))
            return false;
    return true;
}

bool txn_wait_for_inputs(struct store_txn *txn, const struct task *task, int64_t job_seq, struct arena *arena,
                         struct fault *fault)
{
    struct input *inputs;
    bool ready;

    return look_at_inputs(txn, task, arena, &inputs, &ready, fault) &&
           wait_for_inputs(txn, inputs, task->input_ids.count, job_seq, fault);
}

/* A job is run as it was agreed upon when it was submitted, whatever a later server's configuration says. */
void txn_job_agree(struct job *job, const struct task_submission *what)
{
    const struct task_config *config = what->manifest ? manifest_task(what->manifest, job->task_config_id) : NULL;

    job->force = job->force || what->force;
    job->controls = config ? controls_merge(&what->controls, &config->controls) : what->controls;
    memcpy(job->submitter, what->submitter, SUBMITTER_SIZE);
}

struct job txn_job_of_task(const struct store_txn *txn, const struct task *task, const struct submission *submission,
                           enum job_status status, struct arena *arena)
{
    char id[ENTITY_ID_SIZE];

    entity_id_make(txn->ids, "JOB", task->config_id, id);
    return (struct job){
        .revision = 1,
        .id = arena_strdup(arena, id),
        .task_id = task->id,
        .task_config_id = task->config_id,
        .submission_id = submission->id,
        .version = task->version,
        .owner_id = task->owner_id,
        .status = status,
        .created_at_ms = txn->now_ms,
        .submitted_by = submission->submitted_by,
        .controls = CONTROLS_UNSAID,
    };
}

struct submission txn_submission_of_task(const struct store_txn *txn, const struct task *task, const char *submitted_by,
                                         struct arena *arena)
{
    char id[ENTITY_ID_SIZE];

    entity_id_make(txn->ids, "SUBMISSION", NULL, id);
    return (struct submission){
        .id = arena_strdup(arena, id),
        .entity_id = task->id,
        .entity_type = "TASK",
        .entity_config_id = task->config_id,
        .version = task->version,
        .submitted_by = arena_strdup(arena, submitted_by),
        .created_at_ms = txn->now_ms,
    };
}

bool txn_submission_add(struct store_txn *txn, struct submission *submission, struct job *job, struct arena *arena,
                        struct fault *fault)
{
    unsigned counts[JOB_STATUS_COUNT] = {0};

    counts[job->status] = 1;
    submission->status = submission_status_of(counts);
    submission->job_ids = (struct id_list){arena_alloc(arena, sizeof(char *)), 1};
    submission->job_ids.items[0] = job->id;
    submission->revision = SUBMISSION_STATUS_COUNT + (int64_t)submission->status;
    return add_submission(txn, submission, fault) && add_job(txn, job, controls_text(&job->controls, arena), fault);
}

bool txn_submit_task(struct store_txn *txn, const struct scope *scope, const struct task_submission *what,
                     struct arena *arena, struct task *ret_task, struct job *ret_job, struct submission *ret_submission,
                     struct fault *fault)
{
    struct input *inputs;
    struct task task;
    bool ready;

    if (!find_task(txn->db, scope, what->id, arena, &task, fault) ||
        !txn_load_room(txn, what->submitted_by, 0, fault) || !look_at_inputs(txn, &task, arena, &inputs, &ready, fault))
        return false;
    struct submission submission = txn_submission_of_task(txn, &task, what->submitted_by, arena);
    /* Taipy goes SUBMITTED → PENDING or BLOCKED at once; both steps are one here. */
    struct job job = txn_job_of_task(txn, &task, &submission, ready ? JOB_PENDING : JOB_BLOCKED, arena);

    txn_job_agree(&job, what);
    if (!txn_submission_add(txn, &submission, &job, arena, fault) || !txn_lock_outputs(txn, &task, job.seq, fault))
        return false;
    if (!ready && !wait_for_inputs(txn, inputs, task.input_ids.count, job.seq, fault))
        return false;
    if (!ready && !find_job_by_seq(txn->db, job.seq, arena, &job, fault)) /* what it is blocked by */
        return false;
    if (!txn_job_event(txn, &job, JOB_SUBMITTED, fault))
        return false;
    *ret_task = task;
    *ret_job = job;
    *ret_submission = submission;
    return true;
}
