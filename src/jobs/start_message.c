/* The `start` message: all that an executor needs to know of a job. */
#include "jobs/thread.h"

/* Where a data node's value lies now: the user's own file, if it has one. NULL: nowhere yet. */
const char *node_path(struct jobs *jobs, struct arena *arena, const struct data_node *node)
{
    if (node->path)
        return node->path;
    return node->file ? arena_printf(arena, "%s/%s", jobs->options.storage_folder, node->file) : NULL;
}

static void write_node(struct text *json, const struct data_node *node, const char *path)
{
    jw_open(json, '{');
    jw_member_string(json, "id", node->id);
    jw_member_string(json, "config_id", node->config_id);
    jw_member_string(json, "storage_type", storage_type_name(node->storage_type));
    jw_member_string(json, "path", path);
    jw_member_raw(json, "properties", node->properties ? node->properties : "{}");
    jw_close(json, '}');
}

static bool write_nodes(struct attempt *attempt, struct text *json, struct fault *fault)
{
    const struct job_start *started = attempt->started;

    jw_key(json, "inputs");
    jw_open(json, '[');
    for (size_t i = 0; i < started->input_count; i++) {
        const char *path = node_path(attempt->jobs, &attempt->arena, &started->inputs[i]);
        if (!path)
            return fault_set(fault, FAULT_CONFLICT, "The input %s was never written.", started->inputs[i].config_id);
        write_node(json, &started->inputs[i], path);
    }
    jw_close(json, ']');
    jw_key(json, "outputs");
    jw_open(json, '[');
    for (size_t i = 0; i < started->output_count; i++)
        write_node(json, &started->outputs[i], NULL);
    jw_close(json, ']');
    return true;
}

static bool write_command(const struct task_config *config, struct text *json, struct fault *fault)
{
    jw_member_string(json, "kind", "command");
    jw_key(json, "argv");
    jw_open(json, '[');
    for (size_t i = 0; i < config->command.count; i++)
        jw_string(json, config->command.items[i]);
    jw_close(json, ']');
    if (config->environment.count == 0)
        return true;
    jw_key(json, "environment");
    jw_open(json, '{');
    for (size_t i = 0; i < config->environment.count; i++) {
        struct span value = span_of(config->environment.items[i]), name;
        own(freep) char *key = NULL;
        if (!span_cut(&value, '=', &name) || !text_is_identifier(name))
            return fault_set(fault, FAULT_INVALID, "Task config %s has an environment variable with no proper name.",
                             config->id);
        key = xstrndup(name.data, name.len);
        jw_key(json, key);
        jw_string_len(json, value.data ? value.data : "", value.len);
    }
    jw_close(json, '}');
    return true;
}

bool start_message(struct attempt *attempt, struct text *json, struct fault *fault)
{
    struct jobs *jobs = attempt->jobs;
    const struct task *task = &attempt->started->task;
    const struct task_config *config = manifest_task(jobs->manifest, task->config_id);

    if (!config) /* what its job was promised when it was submitted does not help: nobody knows what to run */
        return fault_set(fault, FAULT_NOT_FOUND, "Task config: %s does not exist in the application that is loaded.",
                         task->config_id);
    const struct controls controls = controls_merge(&attempt->started->job.controls, &config->controls);
    jw_open(json, '{');
    jw_member_string(json, "op", "start");
    jw_member_int(json, "attempt", attempt->number);
    jw_member_string(json, "job", attempt->job_id);
    jw_member_int(json, "nth", attempt->started->job.attempt);
    jw_member_string(json, "root", jobs->manifest->root);
    jw_member_int(json, "timeout_ms", MAX(controls.timeout_ms, 0));
    jw_member_int(json, "grace_ms", jobs->options.grace_ms);
    if (config->command.count > 0) {
        if (!write_command(config, json, fault))
            return false;
    } else {
        jw_member_string(json, "kind", "python");
        jw_member_string(json, "module", task->function_module);
        jw_member_string(json, "function", task->function_name);
    }
    if (!write_nodes(attempt, json, fault))
        return false;
    jw_close(json, '}');
    attempt->foldered = attempt->started->output_count > 0;
    return true;
}
