/* Jobs: list, read, create, delete, cancel. */
#include "bailiff/handlers.h"
#include "handlers/creation.h"
#include "handlers/entity.h"
#include "handlers/resource.h"

static bool step(struct store_reader *reader, const struct scope *scope, const struct list_query *query,
                 struct list_position *position, size_t rows_max, struct arena *arena, void *ret_rows,
                 size_t *ret_count, struct fault *fault)
{
    return store_list_jobs(reader, scope, query, position, rows_max, arena, ret_rows, ret_count, fault);
}

static bool find(struct store_reader *reader, const struct scope *scope, const char *id, struct arena *arena,
                 void *ret_row, struct fault *fault)
{
    return store_find_job(reader, scope, id, arena, ret_row, fault);
}

static bool parse_status(const char *value, int *ret)
{
    enum job_status status;

    if (!job_status_parse(span_of(value), &status))
        return false;
    *ret = (int)status;
    return true;
}

/* Data nodes are written while it stays BLOCKED. */
static uint32_t variant(const void *row)
{
    const struct job *job = row;
    uint32_t hash = 2166136261u;

    for (const char *c = job->blocked_by; c && *c; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    return job->blocked_by ? hash : 0;
}

static const char *const SORTS[] = {"creation_date", "id", "config_id", NULL};
static const struct list_filter FILTERS[] = {
    {"config_id", offsetof(struct list_query, config_id)},
    {"owner_id", offsetof(struct list_query, owner_id)},
    {"version", offsetof(struct list_query, version)},
    {"task_id", offsetof(struct list_query, task_id)},
    {"submission_id", offsetof(struct list_query, submission_id)},
    {NULL, 0},
};
static const struct resource RESOURCE = {
    .path = "/api/v1/jobs/",
    .key = "job",
    .members = &JOB_MEMBERS,
    .row_size = sizeof(struct job),
    .seq_at = offsetof(struct job, seq),
    .revision_at = offsetof(struct job, revision),
    .status_parse = parse_status,
    .filters = FILTERS,
    .variant = variant,
    .sorts = SORTS,
    .step = step,
    .find = find,
};

enum flow jobs_list(struct exchange *x)
{
    return resource_list(x, &RESOURCE);
}

enum flow jobs_get(struct exchange *x)
{
    return resource_get(x, &RESOURCE);
}

/* ---- create ---- */

struct create_outcome {
    struct task task;
    struct job job;
    struct submission submission;
};

static bool create_apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct creation_input *input = change->input;
    struct create_outcome *o = arena_alloc(&change->arena, sizeof(*o));
    own(text_done) struct text detail = {0};

    if (!creation_find_config(input, fault) ||
        !txn_create_job(txn, &input->base.scope, &input->creation, &change->arena, &o->task, &o->job, &o->submission,
                        fault))
        return false;
    change->outcome = o;
    change->audit.target = o->job.id;
    jw_open(&detail, '{');
    jw_member_string(&detail, "task_id", o->task.id);
    jw_member_string(&detail, "submission_id", o->submission.id);
    jw_close(&detail, '}');
    change->audit.detail = arena_strndup(&change->arena, detail.data, detail.len);
    return true;
}

static void create_render(struct change *change)
{
    const struct create_outcome *o = change->outcome;

    if (!change->ok)
        change_render_fault(change);
    else
        change_render_created(change, &RESOURCE, o->job.id, &o->job);
}

/* As Taipy documents it, task_id names a task's configuration. */
enum flow jobs_create(struct exchange *x)
{
    return creation_start(x, "task_id", "job.create", create_apply, create_render);
}

/* ---- delete ---- */

struct delete_input {
    struct change_input base;
    struct jobs *jobs;
    const char *id;
    int64_t if_match;
    int attempts; /* that it had */
};

static bool delete_apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct delete_input *input = change->input;

    return txn_delete_job(txn, &input->base.scope, input->id, input->if_match, &input->attempts, fault);
}

static void delete_render(struct change *change)
{
    const struct delete_input *input = change->input;

    if (!change->ok)
        change_render_fault(change);
    else
        change_render_message(change, 200, arena_printf(&change->arena, "Job %s was deleted.", input->id));
}

static void delete_committed(const struct change *change)
{
    const struct delete_input *input = change->input;

    jobs_forget(input->jobs, input->id, input->attempts);
}

enum flow jobs_delete(struct exchange *x)
{
    struct fault fault = {0};

    if (!exchange_query(x, NULL, 0, &fault))
        return exchange_fail(x, &fault);
    struct change *change = change_begin(x, sizeof(struct delete_input));
    struct delete_input *input = change->input;
    input->base.committed = delete_committed;
    input->jobs = x->services->jobs;
    input->id = arena_strdup(&change->arena, exchange_param(x, "id"));
    input->if_match = resource_revision_matched(x, &RESOURCE, input->id);
    change->apply = delete_apply;
    change->render = delete_render;
    return change_commit(x, change, "job.delete", input->id, NULL);
}

/* ---- cancel ---- */

struct cancel_input {
    struct change_input base;
    const char *id;
};

static bool cancel_apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    const struct cancel_input *input = change->input;
    struct job *job = arena_alloc(&change->arena, sizeof(*job));

    if (!txn_cancel_job(txn, &input->base.scope, input->id, &change->arena, job, fault))
        return false;
    change->outcome = job;
    return true;
}

static void cancel_render(struct change *change)
{
    const struct cancel_input *input = change->input;
    const struct job *job = change->outcome;

    if (!change->ok)
        change_render_fault(change);
    else if (input->base.wire == WIRE_TAIPY)
        change_render_message(change, 200, arena_printf(&change->arena, "Job %s was cancelled.", input->id));
    else if (job->status == JOB_RUNNING)
        change_render_message(change, 202, arena_printf(&change->arena, "Job %s is being stopped.", input->id));
    else
        change_render_json(change, 204, NULL);
}

enum flow jobs_cancel(struct exchange *x)
{
    struct fault fault = {0};

    if (!exchange_query(x, NULL, 0, &fault) || !body_is_ignorable(x, &fault))
        return exchange_fail(x, &fault);
    struct change *change = change_begin(x, sizeof(struct cancel_input));
    struct cancel_input *input = change->input;
    input->id = arena_strdup(&change->arena, exchange_param(x, "id"));
    change->apply = cancel_apply;
    change->render = cancel_render;
    return change_commit(x, change, "job.cancel", input->id, NULL);
}
