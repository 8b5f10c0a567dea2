/* What the application offers: its configurations. */
#include "bailiff/handlers.h"

static void put_list(struct text *json, const char *key, const struct id_list *ids)
{
    jw_key(json, key);
    jw_open(json, '[');
    for (size_t i = 0; i < ids->count; i++)
        jw_string(json, ids->items[i]);
    jw_close(json, ']');
}

static void put_nodes(struct text *json, const char *key, const struct data_node_config *const *nodes, size_t count)
{
    jw_key(json, key);
    jw_open(json, '[');
    for (size_t i = 0; i < count; i++)
        jw_string(json, nodes[i]->id);
    jw_close(json, ']');
}

static void put_controls(struct text *json, const struct task_config *c)
{
    jw_key(json, "timeout_ms");
    c->controls.timeout_ms > 0 ? jw_int(json, c->controls.timeout_ms) : jw_null(json);
    jw_key(json, "retries");
    c->controls.has_retries ? retries_write(json, &c->controls.retries) : jw_null(json);
    jw_member_string(json, "lost_jobs", lost_rule_name(c->controls.lost));
    jw_key(json, "concurrency");
    c->concurrency > 0 ? jw_int(json, c->concurrency) : jw_null(json);
}

static void put_task(struct text *json, const struct task_config *c)
{
    jw_open(json, '{');
    jw_member_string(json, "kind", "task");
    jw_member_string(json, "id", c->id);
    jw_member_string(json, "function_module", c->module);
    jw_member_string(json, "function_name", c->function);
    jw_member_string(json, "command",
                     c->command.count > 0 ? c->command.items[0] : NULL); /* arguments may hold secrets */
    put_nodes(json, "inputs", c->inputs, c->input_count);
    put_nodes(json, "outputs", c->outputs, c->output_count);
    jw_member_bool(json, "skippable", c->skippable);
    put_controls(json, c);
    jw_close(json, '}');
}

static void put_data_node(struct text *json, const struct data_node_config *c)
{
    jw_open(json, '{');
    jw_member_string(json, "kind", "data_node");
    jw_member_string(json, "id", c->id);
    jw_member_string(json, "scope", data_scope_name(c->scope));
    jw_member_string(json, "storage_type", storage_type_name(c->storage_type));
    jw_member_bool(json, "has_default", c->default_file != NULL);
    jw_close(json, '}');
}

static void put_scenario(struct text *json, const struct scenario_config *c)
{
    jw_open(json, '{');
    jw_member_string(json, "kind", "scenario");
    jw_member_string(json, "id", c->id);
    put_list(json, "tasks", &c->tasks);
    put_list(json, "additional_data_nodes", &c->additional_data_nodes);
    jw_member_string(json, "frequency", c->frequency);
    jw_key(json, "sequences");
    jw_open(json, '{');
    for (size_t i = 0; i < c->sequence_count; i++) {
        jw_string(json, c->sequences[i].name);
        text_append_char(json, ':');
        jw_open(json, '[');
        for (size_t t = 0; t < c->sequences[i].tasks.count; t++)
            jw_string(json, c->sequences[i].tasks.items[t]);
        jw_close(json, ']');
    }
    jw_close(json, '}');
    jw_close(json, '}');
}

enum flow configs_list(struct exchange *x)
{
    const struct manifest *m = x->services->manifest;
    struct fault fault = {0};
    struct text json = {0};

    if (!exchange_query(x, NULL, 0, &fault))
        return exchange_fail(x, &fault);
    jw_open(&json, '{');
    jw_key(&json, "results");
    jw_open(&json, '[');
    for (size_t i = 0; i < m->task_count; i++)
        put_task(&json, &m->tasks[i]);
    for (size_t i = 0; i < m->data_node_count; i++)
        put_data_node(&json, &m->data_nodes[i]);
    for (size_t i = 0; i < m->scenario_count; i++)
        put_scenario(&json, &m->scenarios[i]);
    jw_close(&json, ']');
    jw_close(&json, '}');
    return exchange_answer_json(x, 200, &json);
}
