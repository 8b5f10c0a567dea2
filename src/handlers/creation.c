#include "handlers/creation.h"
#include "handlers/entity.h"

enum flow creation_start(struct exchange *x, const char *parameter, const char *action,
                         bool (*apply)(struct store_txn *txn, struct change *change, struct fault *fault),
                         void (*render)(struct change *change))
{
    struct query_param params[] = {{parameter, NULL}};
    struct fault fault = {0};

    if (!exchange_query(x, params, ARRAY_LEN(params), &fault) || !body_is_ignorable(x, &fault))
        return exchange_fail(x, &fault);
    struct change *change = change_begin(x, sizeof(struct creation_input));
    struct creation_input *input = change->input;
    input->config_id = arena_strdup(&change->arena, params[0].value);
    input->creation = (struct task_creation){
        .manifest = x->services->manifest,
        .created_by = input->base.subject,
        .reuse = x->wire == WIRE_TAIPY,
    };
    change->apply = apply;
    change->render = render;
    return change_commit(x, change, action, NULL, NULL);
}

bool creation_find_config(struct creation_input *input, struct fault *fault)
{
    const char *id = input->config_id;

    if (!id || !*id)
        return fault_set(fault, FAULT_INVALID, "Config id is missing.");
    input->creation.config = manifest_task(input->creation.manifest, id);
    return input->creation.config ||
           fault_set(fault, FAULT_NOT_FOUND, "Task config: %.*s does not exist.", CONFIG_ID_MAX, id);
}
