/* What the operator says of tasks goes before what the application says of them, and that before the defaults. */
#include "app/serve.h"

static const struct config_task *find_task(const struct config *c, const char *id)
{
    for (size_t i = 0; i < c->execution.tasks.count; i++)
        if (strcmp(config_task(c, i)->name, id) == 0)
            return config_task(c, i);
    return NULL;
}

static struct controls operators(const struct config_task *t)
{
    struct controls controls = CONTROLS_UNSAID;

    if (!t)
        return controls;
    if (t->timeout_ms > 0)
        controls.timeout_ms = (int64_t)t->timeout_ms;
    controls.has_retries = t->retries.given;
    controls.retries = t->retries.retries;
    controls.lost = (enum lost_rule)t->lost_jobs;
    return controls;
}

static void apply(const struct config *c, struct task_config *task)
{
    const struct config_task *said = find_task(c, task->id);
    const struct controls above = operators(said);
    const struct controls defaults = {
        .timeout_ms = (int64_t)c->execution.defaults.timeout_ms,
        .has_retries = c->execution.defaults.retries.given,
        .retries = c->execution.defaults.retries.retries,
    };
    const struct controls below = controls_merge(&task->controls, &defaults);

    task->controls = controls_merge(&above, &below);
    if (said && said->concurrency > 0)
        task->concurrency = said->concurrency;
    else if (task->concurrency == 0)
        task->concurrency = c->execution.limits.per_task;
}

static bool check_name(const struct serving *s, const struct config_task *t, struct fault *fault)
{
    const struct manifest *m = s->manifest;
    own(freep) const char **ids = xcalloc(m->task_count + 1, sizeof(*ids));
    const char *near;

    if (manifest_task(m, t->name))
        return true;
    for (size_t i = 0; i < m->task_count; i++)
        ids[i] = m->tasks[i].id;
    near = text_nearest(t->name, ids, m->task_count);
    return fault_set(fault, FAULT_INVALID, "%s:%u: execution.tasks.%s: the application has no such task%s%s%s.",
                     s->config->file, yaml_line(yaml_find(s->config->execution.node, "tasks"), t->name), t->name,
                     near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

bool serve_apply_controls(struct serving *s, struct fault *fault)
{
    for (size_t i = 0; i < s->config->execution.tasks.count; i++)
        if (!check_name(s, config_task(s->config, i), fault))
            return false;
    for (size_t i = 0; i < s->manifest->task_count; i++)
        apply(s->config, &s->manifest->tasks[i]);
    return true;
}
