#include "app/manifest_yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "app/manifest_defaults.h"
#include "app/yaml_form.h"
#include "bailiff/file.h"

static void refuse_unknown(const struct item *item, const char *const *names, size_t count)
{
    own(freep) char *where = xprintf("%s %s", item->kind, item->id);

    yaml_refuse_unknown(item->node, where, names, count, item->form->problems);
}

static bool is_relative_program(const char *s)
{
    return strchr(s, '/') && s[0] != '/' && strncmp(s, "./", 2) != 0;
}

/* ---- data nodes ---- */
static json_t *read_properties(const struct item *item)
{
    const struct yaml_node *node = yaml_find(item->node, "properties");
    json_t *properties = NULL;

    if (node && node->kind != YAML_MAP)
        item_bad(item, "properties", "must be a table, such as {has_header: true}.");
    else if (node && !(properties = yaml_to_json(node)))
        item_bad(item, "properties", "cannot be written as JSON.");
    return properties ? properties : json_object();
}

/* Values are read one after the other, not as arguments: what is said of a line is then in the same order everywhere. */
static json_t *read_data_node(const struct item *item)
{
    static const char *const NAMES[] = {"storage_type", "scope",           "default_path", "default_data",
                                        "path",         "validity_period", "properties"};
    const char *type = item_text(item, "storage_type"), *scope = item_text(item, "scope"),
               *path = item_text(item, "path");
    enum storage_type storage = STORAGE_JSON;
    enum data_scope unused_scope;
    const char *default_file;
    json_t *period;
    own(freep) char *resolved = path ? path_resolve(item->form->root, path) : NULL;

    refuse_unknown(item, NAMES, ARRAY_LEN(NAMES));
    if (!yaml_find(item->node, "storage_type"))
        item_bad(item, NULL, "storage_type is missing; it is pickle, json, csv or in_memory.");
    else if (type && !storage_type_parse(span_of(type), &storage))
        item_bad(item, "storage_type", "\"%s\" is not known here; choose pickle, json, csv or in_memory.", type);
    if (scope && !data_scope_parse(span_of(scope), &unused_scope))
        item_bad(item, "scope", "\"%s\" is not known here; choose SCENARIO, CYCLE or GLOBAL.", scope);
    if (path && storage == STORAGE_IN_MEMORY)
        item_bad(item, "path", "a data node in memory has no file.");
    default_file = form_read_default(item, storage);
    period = item_time(item, "validity_period");
    return json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:o, s:o}", "id", item->id, "scope", scope ? scope : "SCENARIO",
                     "storage_type", storage_type_name(storage), "default_file", default_file, "path", resolved,
                     "validity_period_ms", period, "properties", read_properties(item));
}

/* ---- tasks ---- */
static void read_function(const struct item *item, const char **ret_module, const char **ret_function)
{
    const char *name = item_text(item, "function"), *dot = name ? strrchr(name, '.') : NULL;

    if (name && (!dot || dot == name || dot[1] == '\0')) {
        item_bad(item, "function", "\"%s\" is not of the form module.function.", name);
    } else if (name) {
        *ret_module = arena_strndup(item->form->arena, name, (size_t)(dot - name));
        *ret_function = dot + 1;
    }
}

static json_t *read_environment(const struct item *item)
{
    const struct yaml_node *node = yaml_find(item->node, "environment");
    json_t *environment = json_object();

    if (node && node->kind != YAML_MAP)
        item_bad(item, "environment", "must be a table, such as {LANG: C}.");
    for (size_t i = 0; node && node->kind == YAML_MAP && i < node->count; i++) {
        if (!text_is_identifier(span_of(node->keys[i])))
            item_bad(item, "environment", "\"%s\" is not the name of a variable.", node->keys[i]);
        else if (strncmp(node->keys[i], "BAILIFF_", 8) == 0)
            item_bad(item, "environment", "%s: names that start with BAILIFF_ are bailiff's own.", node->keys[i]);
        else if (node->items[i]->kind != YAML_SCALAR)
            item_bad(item, "environment", "%s must be text.", node->keys[i]);
        else
            json_object_set_new(environment, node->keys[i], json_string(node->items[i]->text));
    }
    return environment;
}

static json_t *read_retries(const struct item *item)
{
    const struct yaml_node *node = yaml_find(item->node, "retries");
    json_t *json = node ? yaml_to_json(node) : json_null();
    own(arena_done) struct arena arena = {0};
    struct retries retries;
    struct fault fault = {0};

    if (!node || (json && retries_read(json, "retries", &arena, &retries, &fault)))
        return json;
    problems_add(item->form->problems, yaml_line(item->node, "retries"), "task %s: %s", item->id,
                 json ? fault.message : "retries cannot be understood.");
    json_decref(json);
    return json_null();
}

static const char *read_lost_jobs(const struct item *item)
{
    const char *rule = item_text(item, "lost_jobs");
    enum lost_rule unused;

    if (rule && !lost_rule_parse(span_of(rule), &unused)) {
        item_bad(item, "lost_jobs", "\"%s\" is not known here; choose restart or fail.", rule);
        return NULL;
    }
    return rule;
}

static json_t *read_concurrency(const struct item *item)
{
    const char *text = item_text(item, "concurrency");
    uint64_t n;

    if (!text)
        return json_null();
    if (span_to_u64(span_of(text), CONCURRENCY_MAX, &n) && n > 0)
        return json_integer((json_int_t)n);
    item_bad(item, "concurrency", "\"%s\" is not a number from 1 to %d.", text, CONCURRENCY_MAX);
    return json_null();
}

static json_t *read_task(const struct item *item)
{
    static const char *const NAMES[] = {"command", "function",    "inputs",  "outputs",   "skippable",
                                        "timeout", "environment", "retries", "lost_jobs", "concurrency"};
    const char *module = NULL, *function = NULL, *program;
    bool has_command = yaml_find(item->node, "command"), has_function = yaml_find(item->node, "function");
    json_t *command = item_texts(item, "command"), *timeout = item_time(item, "timeout");
    json_t *inputs, *outputs, *retries;
    const char *lost_jobs;
    bool skippable;

    refuse_unknown(item, NAMES, ARRAY_LEN(NAMES));
    read_function(item, &module, &function);
    program = json_string_value(json_array_get(command, 0));
    if (!has_command && !has_function)
        item_bad(item, NULL, "a task needs a command, such as [./run.sh], or a function, such as module.name.");
    else if (has_command && has_function)
        item_bad(item, "function", "a task has a command or a function, not both; remove one.");
    else if (has_command && (!program || !program[0]))
        item_bad(item, "command", "must begin with a program, such as [./run.sh].");
    else if (has_command && is_relative_program(program))
        item_bad(item, "command",
                 "\"%s\" must be a plain name, an absolute path, or begin with \"./\", which is the application's "
                 "folder.",
                 program);
    if (has_function && yaml_find(item->node, "environment"))
        item_bad(item, "environment", "is for commands; a function runs in a process that it shares with others.");
    inputs = item_ids(item, "inputs", item->form->data_node_ids, "data node");
    outputs = item_ids(item, "outputs", item->form->data_node_ids, "data node");
    skippable = item_bool(item, "skippable");
    retries = read_retries(item);
    lost_jobs = read_lost_jobs(item);
    return json_pack("{s:s, s:s?, s:s?, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:s?, s:o}", "id", item->id, "module",
                     module, "function", function, "command", command, "environment", read_environment(item), "inputs",
                     inputs, "outputs", outputs, "skippable", (int)skippable, "timeout_ms", timeout, "retries", retries,
                     "lost_jobs", lost_jobs, "concurrency", read_concurrency(item));
}

/* ---- scenarios ---- */
static json_t *read_sequences(const struct item *item)
{
    const struct yaml_node *node = yaml_find(item->node, "sequences");
    json_t *sequences = json_object();

    if (node && node->kind != YAML_MAP)
        item_bad(item, "sequences", "must be a table, such as {morning: [tidy, print]}.");
    for (size_t i = 0; node && node->kind == YAML_MAP && i < node->count; i++) {
        if (node->items[i]->kind != YAML_LIST)
            item_bad(item, "sequences", "\"%s\" must be a list of tasks.", node->keys[i]);
        else
            json_object_set_new(sequences, node->keys[i],
                                form_ids(item, "sequences", node->items[i], item->form->task_ids, "task"));
    }
    return sequences;
}

static json_t *read_scenario(const struct item *item)
{
    static const char *const NAMES[] = {"tasks", "additional_data_nodes", "frequency", "sequences"};
    static const char *const FREQUENCIES[] = {"DAILY", "WEEKLY", "MONTHLY", "QUARTERLY", "YEARLY"};
    const char *frequency = item_text(item, "frequency");
    json_t *tasks, *additional;
    size_t f = 0;

    refuse_unknown(item, NAMES, ARRAY_LEN(NAMES));
    while (frequency && f < ARRAY_LEN(FREQUENCIES) && strcmp(frequency, FREQUENCIES[f]) != 0)
        f++;
    if (f == ARRAY_LEN(FREQUENCIES))
        item_bad(item, "frequency", "\"%s\" is not known here; choose DAILY, WEEKLY, MONTHLY, QUARTERLY or YEARLY.",
                 frequency);
    tasks = item_ids(item, "tasks", item->form->task_ids, "task");
    additional = item_ids(item, "additional_data_nodes", item->form->data_node_ids, "data node");
    return json_pack("{s:s, s:o, s:o, s:s?, s:o}", "id", item->id, "tasks", tasks, "additional_data_nodes", additional,
                     "frequency", frequency, "sequences", read_sequences(item));
}

/* ---- the file ---- */
static const struct yaml_node *find_map(struct form *form, const struct yaml_node *root, const char *key)
{
    const struct yaml_node *node = yaml_find(root, key);

    if (!node || node->kind == YAML_MAP || yaml_is_null(node))
        return node && node->kind == YAML_MAP ? node : NULL;
    problems_add(form->problems, yaml_line(root, key), "%s must be a table, one entry for each id, not %s.", key,
                 yaml_kind_name(node));
    return NULL;
}

static json_t *ids_of(struct form *form, const struct yaml_node *map, const char *kind)
{
    json_t *ids = json_object();

    for (size_t i = 0; map && i < map->count; i++) {
        if (!text_is_identifier(span_of(map->keys[i])))
            problems_add(form->problems, map->lines[i],
                         "\"%s\" is no id for a %s; an id has 1 to %d letters, digits and \"_\", and "
                         "does not start with a digit.",
                         map->keys[i], kind, CONFIG_ID_MAX);
        json_object_set_new(ids, map->keys[i], json_true());
    }
    return ids;
}

static json_t *read_items(struct form *form, const struct yaml_node *map, const char *kind,
                          json_t *(*read)(const struct item *item))
{
    json_t *array = json_array();

    for (size_t i = 0; map && i < map->count; i++) {
        struct item item = {form, kind, map->keys[i], map->items[i]};
        const struct yaml_node empty = {.kind = YAML_MAP, .line = map->lines[i]};

        if (yaml_is_null(item.node))
            item.node = &empty;
        if (item.node->kind != YAML_MAP)
            problems_add(form->problems, map->lines[i], "%s %s must be a table, not %s.", kind, item.id,
                         yaml_kind_name(item.node));
        else if (json_array_append_new(array, read(&item)) < 0)
            problems_add(form->problems, map->lines[i], "%s %s cannot be written as JSON.", kind, item.id);
    }
    return array;
}

static const char *const SECTIONS[] = {"application", "data_nodes", "tasks", "scenarios"};

static json_t *read_file(struct form *form, const struct yaml_node *root)
{
    static const char *const NAMES[] = {"version", "workers"};
    const struct yaml_node empty = {.kind = YAML_MAP, .line = root->line};
    const struct yaml_node *application = find_map(form, root, "application");
    const struct yaml_node *data_nodes = find_map(form, root, "data_nodes"), *tasks = find_map(form, root, "tasks");
    struct item head = {form, "the", "application", application ? application : &empty};
    json_t *node_array, *task_array;
    const char *version, *workers;
    uint64_t n = 0;

    yaml_refuse_unknown(root, "the file", SECTIONS, ARRAY_LEN(SECTIONS), form->problems);
    yaml_refuse_unknown(head.node, "application", NAMES, ARRAY_LEN(NAMES), form->problems);
    version = item_text(&head, "version");
    workers = item_text(&head, "workers");
    if (workers && (!span_to_u64(span_of(workers), 1024, &n) || n == 0))
        item_bad(&head, "workers", "\"%s\" is not a number from 1 to 1024.", workers);
    form->data_node_ids = ids_of(form, data_nodes, "data node");
    form->task_ids = ids_of(form, tasks, "task");
    form->defaults = arena_alloc(form->arena, ((data_nodes ? data_nodes->count : 0) + 1) * sizeof(*form->defaults));
    node_array = read_items(form, data_nodes, "data node", read_data_node);
    task_array = read_items(form, tasks, "task", read_task);
    return json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:o}", "format", 1, "version", version ? version : "development",
                     "root", form->root, "workers", n ? json_integer((json_int_t)n) : json_null(), "data_nodes",
                     node_array, "tasks", task_array, "scenarios",
                     read_items(form, find_map(form, root, "scenarios"), "scenario", read_scenario));
}

/* The validator's faults begin with the kind and id of what is wrong: task "tidy": … */
static unsigned line_of_fault(const struct yaml_node *root, const char *message)
{
    static const struct {
        const char *start, *section;
    } KINDS[] = {{"data node \"", "data_nodes"}, {"task \"", "tasks"}, {"scenario \"", "scenarios"}};

    for (size_t k = 0; k < ARRAY_LEN(KINDS); k++) {
        size_t len = strlen(KINDS[k].start);

        if (strncmp(message, KINDS[k].start, len) == 0) {
            own(freep) char *id = xstrndup(message + len, strcspn(message + len, "\""));

            return yaml_line(yaml_find(root, KINDS[k].section), id);
        }
    }
    return 0;
}

static bool validate(json_t *json, const struct yaml_node *root, struct problems *problems, struct manifest **ret)
{
    own(freep) char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    struct fault fault = {0};

    if (!text)
        return problems_add(problems, 0, "cannot be written as JSON.");
    if (!manifest_read(span_of(text), ret, &fault))
        return problems_add(problems, line_of_fault(root, fault.message), "%s", fault.message);
    return true;
}

bool manifest_yaml_named(const char *path)
{
    const char *dot = strrchr(path, '.');

    return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static char *real_folder(const char *path)
{
    char *real = realpath(path, NULL), *slash = real ? strrchr(real, '/') : NULL;

    if (slash)
        *(slash == real ? slash + 1 : slash) = '\0';
    return real;
}

bool manifest_yaml_read(const char *path, const char *storage_folder, bool same_user, struct problems *problems,
                        struct manifest **ret_manifest)
{
    own(arena_done) struct arena arena = {0};
    own(text_done) struct text content = {0};
    own(freep) char *root_folder = real_folder(path);
    own(closep) int folder = root_folder ? open(root_folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    own(manifest_freep) struct manifest *manifest = NULL;
    struct form form = {
        .arena = &arena, .problems = problems, .root = root_folder, .folder = folder, .same_user = same_user};
    struct yaml_node *root = NULL;
    struct fault fault = {0};

    problems_init(problems, path);
    if (folder < 0)
        return problems_add(problems, 0, "cannot be read: %s.", strerror(errno));
    if (!file_read(path, YAML_SIZE_MAX, &content, &fault))
        return problems_add(problems, 0, "cannot be used: %s", fault.message);
    if (!yaml_read(text_span(&content), &arena, problems, &root))
        return false;
    if (root->kind != YAML_MAP)
        return problems_add(problems, root->line, "must be a table with data_nodes and tasks, not %s.",
                            yaml_kind_name(root));
    own(json_freep) json_t *json = read_file(&form, root);
    json_decref(form.data_node_ids);
    json_decref(form.task_ids);
    if (problems->mistakes > 0 || !validate(json, root, problems, &manifest) ||
        (storage_folder && !form_store_defaults(&form, storage_folder)))
        return false;
    *ret_manifest = give(manifest);
    return true;
}
