/* Tasks: create, list, read, delete ("Paths for task" of Taipy's REST API); submit.c has the rest. */
#include "bailiff/handlers.h"
#include "handlers/creation.h"
#include "handlers/entity.h"
#include "handlers/resource.h"
#include "handlers/submission.h"

static bool step(struct store_reader *reader, const struct scope *scope, const struct list_query *query,
                 struct list_position *position, size_t rows_max, struct arena *arena, void *ret_rows,
                 size_t *ret_count, struct fault *fault)
{
    return store_list_tasks(reader, scope, query, position, rows_max, arena, ret_rows, ret_count, fault);
}

static bool find(struct store_reader *reader, const struct scope *scope, const char *id, struct arena *arena,
                 void *ret_row, struct fault *fault)
{
    return store_find_task(reader, scope, id, arena, ret_row, fault);
}

static const char *const SORTS[] = {"created_at", "id", "config_id", NULL};
static const struct list_filter FILTERS[] = {
    {"config_id", offsetof(struct list_query, config_id)},
    {"owner_id", offsetof(struct list_query, owner_id)},
    {"version", offsetof(struct list_query, version)},
    {NULL, 0},
};
static const struct resource RESOURCE = {
    .path = "/api/v1/tasks/",
    .key = "task",
    .members = &TASK_MEMBERS,
    .row_size = sizeof(struct task),
    .seq_at = offsetof(struct task, seq),
    .revision_at = offsetof(struct task, revision),
    .filters = FILTERS,
    .sorts = SORTS,
    .step = step,
    .find = find,
};

enum flow tasks_list(struct exchange *x)
{
    return resource_list(x, &RESOURCE);
}

enum flow tasks_get(struct exchange *x)
{
    return resource_get(x, &RESOURCE);
}

/* ---- create ---- */

static bool create_apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct creation_input *input = change->input;
    struct task *task = arena_alloc(&change->arena, sizeof(*task));

    if (!creation_find_config(input, fault))
        return false;
    if (!txn_create_task(txn, &input->base.scope, &input->creation, &change->arena, task, fault))
        return false;
    change->outcome = task;
    change->audit.target = task->id;
    return true;
}

static void create_render(struct change *change)
{
    const struct task *task = change->outcome;

    if (!change->ok)
        change_render_fault(change);
    else
        change_render_created(change, &RESOURCE, task->id, task);
}

enum flow tasks_create(struct exchange *x)
{
    return creation_start(x, "config_id", "task.create", create_apply, create_render);
}

/* ---- delete ---- */

struct delete_input {
    struct change_input base;
    const char *id;
    int64_t if_match;
};

static bool delete_apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    const struct delete_input *input = change->input;

    return txn_delete_task(txn, &input->base.scope, input->id, input->if_match, fault);
}

static void delete_render(struct change *change)
{
    const struct delete_input *input = change->input;

    if (!change->ok)
        change_render_fault(change);
    else
        change_render_message(change, 200, arena_printf(&change->arena, "Task %s was deleted.", input->id));
}

enum flow tasks_delete(struct exchange *x)
{
    struct fault fault = {0};

    if (!exchange_query(x, NULL, 0, &fault))
        return exchange_fail(x, &fault);
    struct change *change = change_begin(x, sizeof(struct delete_input));
    struct delete_input *input = change->input;
    input->id = arena_strdup(&change->arena, exchange_param(x, "id"));
    input->if_match = resource_revision_matched(x, &RESOURCE, input->id);
    change->apply = delete_apply;
    change->render = delete_render;
    return change_commit(x, change, "task.delete", input->id, NULL);
}
