#include <strings.h>

#include "model/manifest_reader.h"

static const int64_t VALIDITY_MS_MAX = INT64_C(36525) * 24 * 3600 * 1000;

/* ---- data nodes ---- */
bool manifest_read_data_node(struct manifest_reader *r, const json_t *object, size_t index, struct data_node_config *n)
{
    static const char *const MEMBERS[] = {
        "id", "scope", "storage_type", "default_file", "path", "validity_period_ms", "properties"};
    const char *scope, *type;
    json_t *properties = json_object_get(object, "properties");

    if (!reader_id(r, object, "data node", index, &n->id) || !reader_members(r, object, MEMBERS, ARRAY_LEN(MEMBERS)) ||
        !reader_string(r, object, "scope", &scope) || !reader_string(r, object, "storage_type", &type) ||
        !reader_string(r, object, "default_file", &n->default_file) || !reader_string(r, object, "path", &n->path) ||
        !reader_int(r, object, "validity_period_ms", 0, VALIDITY_MS_MAX, -1, &n->validity_period_ms))
        return false;
    if (!data_scope_parse(span_of(scope), &n->scope))
        return reader_bad(r, "its scope must be SCENARIO, CYCLE or GLOBAL.");
    if (!storage_type_parse(span_of(type), &n->storage_type))
        return reader_bad(r, "its storage type must be pickle, json, csv or in_memory.");
    if (n->default_file && !path_is_below(n->default_file))
        return reader_bad(r, "\"default_file\" must be the name of a file below the folder of defaults.");
    if (n->path && (!path_is_absolute(n->path) || n->storage_type == STORAGE_IN_MEMORY))
        return reader_bad(r, "\"path\" must be an absolute path, and in_memory has none.");
    /* In the model 0 means "for ever"; a period of nothing at all is as short as it can be. */
    n->validity_period_ms = n->validity_period_ms < 0 ? 0 : n->validity_period_ms == 0 ? 1 : n->validity_period_ms;

    if (properties && !json_is_null(properties) && !json_is_object(properties))
        return reader_bad(r, "\"properties\" is not an object.");
    own(freep) char *text = json_is_object(properties) ? json_dumps(properties, JSON_COMPACT) : xstrdup("{}");
    if (!text || strlen(text) > PROPERTIES_BYTES_MAX)
        return reader_bad(r, "its properties take more than %d bytes.", PROPERTIES_BYTES_MAX);
    n->properties = arena_strdup(&r->m->arena, text);
    return true;
}

/* ---- tasks ---- */
static bool read_task_nodes(struct manifest_reader *r, const json_t *object, const char *key,
                            const struct data_node_config ***ret_nodes, size_t *ret_count)
{
    struct id_list names;
    const struct data_node_config **nodes;

    if (!reader_list(r, object, key, TASK_NODES_MAX, CONFIG_ID_MAX, &names))
        return false;
    nodes = arena_alloc(&r->m->arena, (names.count + 1) * sizeof(*nodes));
    for (size_t i = 0; i < names.count; i++) {
        if (!text_is_identifier(span_of(names.items[i])) || !(nodes[i] = manifest_data_node(r->m, names.items[i])))
            return reader_bad(r, "\"%s\" names a data node that does not exist: \"%s\".", key,
                              text_is_identifier(span_of(names.items[i])) ? names.items[i] : "?");
        for (size_t j = 0; j < i; j++)
            if (nodes[j] == nodes[i])
                return reader_bad(r, "\"%s\" names \"%s\" twice.", key, names.items[i]);
    }
    *ret_nodes = nodes;
    *ret_count = names.count;
    return true;
}

static bool read_environment(struct manifest_reader *r, const json_t *object, struct id_list *ret)
{
    json_t *environment = json_object_get(object, "environment"), *value;
    const char *name;

    if (environment && !json_is_null(environment) && !json_is_object(environment))
        return reader_bad(r, "\"environment\" is not an object.");
    if (json_object_size(environment) > ENVIRONMENT_MAX)
        return reader_bad(r, "\"environment\" has more than %d variables.", ENVIRONMENT_MAX);
    ret->items = arena_alloc(&r->m->arena, (json_object_size(environment) + 1) * sizeof(*ret->items));
    json_object_foreach (environment, name, value) {
        if (!text_is_identifier(span_of(name)))
            return reader_bad(r, "\"environment\" has a name that is not letters, digits and \"_\".");
        if (strncmp(name, "BAILIFF_", 8) == 0)
            return reader_bad(r, "\"environment\" sets %s; names that start with BAILIFF_ are bailiff's own.", name);
        if (!json_is_string(value) || json_string_length(value) > ARGUMENT_BYTES_MAX)
            return reader_bad(r, "\"environment\" must give %s text of at most %d bytes.", name, ARGUMENT_BYTES_MAX);
        ret->items[ret->count++] = arena_printf(&r->m->arena, "%s=%s", name, json_string_value(value));
    }
    return true;
}

/* Files of a command are named in its environment by config ids in upper case. */
static bool check_variable_names(struct manifest_reader *r, const struct data_node_config *const *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcasecmp(nodes[i]->id, nodes[j]->id) == 0)
                return reader_bad(r, "\"%s\" and \"%s\" would be the same variable in the command's environment.",
                                  nodes[j]->id, nodes[i]->id);
    return true;
}

static bool check_work(struct manifest_reader *r, const struct task_config *t)
{
    const char *program = t->command.count ? t->command.items[0] : NULL;

    if (!program) {
        if (!t->module || !t->function)
            return reader_bad(r, "it needs a function with its module, or a command.");
        if (!name_is_dotted(t->module) || !name_is_dotted(t->function))
            return reader_bad(r, "its module and function must be names of Python.");
        return true;
    }
    if (t->module || t->function)
        return reader_bad(r, "it has both a function and a command.");
    if (!name_is_clean(program, PATH_BYTES_MAX))
        return reader_bad(r, "its command must begin with the name of a program.");
    if (strchr(program, '/') && program[0] != '/' && strncmp(program, "./", 2) != 0)
        return reader_bad(
            r, "its program must be a plain name, an absolute path, or begin with \"./\", which is the application's "
               "folder.");
    return check_variable_names(r, t->inputs, t->input_count) && check_variable_names(r, t->outputs, t->output_count);
}

static size_t nodes_bytes(const struct data_node_config *const *nodes, size_t count)
{
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++)
        bytes += strlen(nodes[i]->properties) + (nodes[i]->path ? strlen(nodes[i]->path) : 0);
    return bytes;
}

static bool check_start_size(struct manifest_reader *r, const struct task_config *t)
{
    size_t bytes = nodes_bytes(t->inputs, t->input_count) + nodes_bytes(t->outputs, t->output_count);

    for (size_t i = 0; i < t->command.count; i++)
        bytes += strlen(t->command.items[i]);
    for (size_t i = 0; i < t->environment.count; i++)
        bytes += strlen(t->environment.items[i]);
    if (bytes > START_BYTES_MAX)
        return reader_bad(
            r, "its command, environment and the properties of its data nodes take more than %d bytes together.",
            START_BYTES_MAX);
    return true;
}

/* Taipy's rule: a task belongs where its narrowest data node belongs. */
static enum data_scope narrowest_scope(const struct task_config *t)
{
    enum data_scope scope = SCOPE_GLOBAL;

    for (size_t i = 0; i < t->input_count; i++)
        scope = MIN(scope, t->inputs[i]->scope);
    for (size_t i = 0; i < t->output_count; i++)
        scope = MIN(scope, t->outputs[i]->scope);
    return scope;
}
_Static_assert(SCOPE_SCENARIO < SCOPE_CYCLE && SCOPE_CYCLE < SCOPE_GLOBAL, "scopes are in order, the narrowest first");

static bool read_controls(struct manifest_reader *r, const json_t *object, struct task_config *t)
{
    const json_t *retries = json_object_get(object, "retries");
    struct fault fault = {0};
    const char *lost;
    int64_t concurrency;

    if (!reader_int(r, object, "timeout_ms", 0, TIMEOUT_MS_MAX, -1, &t->controls.timeout_ms) ||
        !reader_int(r, object, "concurrency", 1, CONCURRENCY_MAX, 0, &concurrency) ||
        !reader_string(r, object, "lost_jobs", &lost))
        return false;
    t->concurrency = (unsigned)concurrency;
    if (lost && !lost_rule_parse(span_of(lost), &t->controls.lost))
        return reader_bad(r, "\"lost_jobs\" must be restart or fail.");
    if (!retries || json_is_null(retries))
        return true;
    t->controls.has_retries = true;
    return retries_read(retries, "retries", &r->m->arena, &t->controls.retries, &fault) ||
           reader_bad(r, "%s", fault.message);
}

bool manifest_read_task(struct manifest_reader *r, const json_t *object, size_t index, struct task_config *t)
{
    static const char *const MEMBERS[] = {"id",      "module",    "function",   "command", "environment", "inputs",
                                          "outputs", "skippable", "timeout_ms", "retries", "concurrency", "lost_jobs"};

    if (!reader_id(r, object, "task", index, &t->id) || !reader_members(r, object, MEMBERS, ARRAY_LEN(MEMBERS)) ||
        !reader_string(r, object, "module", &t->module) || !reader_string(r, object, "function", &t->function) ||
        !reader_list(r, object, "command", ARGUMENTS_MAX, ARGUMENT_BYTES_MAX, &t->command) ||
        !read_environment(r, object, &t->environment) ||
        !read_task_nodes(r, object, "inputs", &t->inputs, &t->input_count) ||
        !read_task_nodes(r, object, "outputs", &t->outputs, &t->output_count) ||
        !reader_bool(r, object, "skippable", &t->skippable) || !read_controls(r, object, t))
        return false;
    for (size_t i = 0; i < t->output_count; i++)
        for (size_t j = 0; j < t->input_count; j++)
            if (t->outputs[i] == t->inputs[j])
                return reader_bad(r, "\"%s\" is both input and output.", t->outputs[i]->id);
    t->scope = narrowest_scope(t);
    return check_work(r, t) && check_start_size(r, t);
}
