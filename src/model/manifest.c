#include "model/manifest_graph.h"
#include "model/manifest_reader.h"

struct manifest *manifest_new(void)
{
    return xcalloc(1, sizeof(struct manifest));
}

void manifest_free(struct manifest *m)
{
    if (!m)
        return;
    arena_done(&m->arena);
    free(m);
}

/* ---- looking up: all three arrays are sorted by id, which is the first member of each of their elements ---- */
_Static_assert(offsetof(struct data_node_config, id) == 0 && offsetof(struct task_config, id) == 0 &&
                   offsetof(struct scenario_config, id) == 0,
               "element_compare and element_find look for the id at the start");

static int element_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const void *element_find(const void *elements, size_t count, size_t size, const char *id)
{
    return count > 0 ? bsearch(&id, elements, count, size, element_compare) : NULL;
}

const struct task_config *manifest_task(const struct manifest *m, const char *config_id)
{
    return element_find(m->tasks, m->task_count, sizeof(*m->tasks), config_id);
}

const struct data_node_config *manifest_data_node(const struct manifest *m, const char *config_id)
{
    return element_find(m->data_nodes, m->data_node_count, sizeof(*m->data_nodes), config_id);
}

/* ---- reading ---- */
static bool sort_elements(struct manifest_reader *r, const char *kind, void *elements, size_t count, size_t size)
{
    r->where[0] = '\0';
    if (count == 0)
        return true;
    qsort(elements, count, size, element_compare);
    for (size_t i = 1; i < count; i++) {
        const char *const *id = (const void *)((char *)elements + i * size);

        if (element_compare((const char *)id - size, id) == 0)
            return reader_bad(r, "has the %s \"%s\" twice.", kind, *id);
    }
    return true;
}

static bool read_array(struct manifest_reader *r, const json_t *root, const char *key, size_t max, json_t **ret_array)
{
    json_t *array = json_object_get(root, key);

    if (!json_is_array(array))
        return reader_bad(r, "\"%s\" is missing or not an array.", key);
    if (json_array_size(array) > max)
        return reader_bad(r, "\"%s\" has %zu elements; at most %zu are allowed.", key, json_array_size(array), max);
    *ret_array = array;
    return true;
}

static bool read_data_nodes(struct manifest_reader *r, const json_t *root)
{
    struct manifest *m = r->m;
    json_t *array, *value;
    size_t i;

    if (!read_array(r, root, "data_nodes", DATA_NODES_MAX, &array))
        return false;
    m->data_node_count = json_array_size(array);
    m->data_nodes = arena_alloc(&m->arena, (m->data_node_count + 1) * sizeof(*m->data_nodes));
    json_array_foreach (array, i, value)
        if (!manifest_read_data_node(r, value, i, &m->data_nodes[i]))
            return false;
    return sort_elements(r, "data node", m->data_nodes, m->data_node_count, sizeof(*m->data_nodes));
}

static bool read_tasks(struct manifest_reader *r, const json_t *root)
{
    struct manifest *m = r->m;
    json_t *array, *value;
    size_t i;

    if (!read_array(r, root, "tasks", TASKS_MAX, &array))
        return false;
    m->task_count = json_array_size(array);
    m->tasks = arena_alloc(&m->arena, (m->task_count + 1) * sizeof(*m->tasks));
    json_array_foreach (array, i, value)
        if (!manifest_read_task(r, value, i, &m->tasks[i]))
            return false;
    return sort_elements(r, "task", m->tasks, m->task_count, sizeof(*m->tasks));
}

static bool read_scenarios(struct manifest_reader *r, const json_t *root)
{
    struct manifest *m = r->m;
    json_t *array, *value;
    size_t i;

    if (!read_array(r, root, "scenarios", SCENARIOS_MAX, &array))
        return false;
    m->scenario_count = json_array_size(array);
    m->scenarios = arena_alloc(&m->arena, (m->scenario_count + 1) * sizeof(*m->scenarios));
    json_array_foreach (array, i, value)
        if (!manifest_read_scenario(r, value, i, &m->scenarios[i]))
            return false;
    return sort_elements(r, "scenario", m->scenarios, m->scenario_count, sizeof(*m->scenarios));
}

static bool read_head(struct manifest_reader *r, const json_t *root)
{
    static const char *const MEMBERS[] = {"format", "version", "root", "workers", "data_nodes", "tasks", "scenarios"};
    int64_t format, workers;

    /* The format first: a later one may well have members that are unknown here. */
    if (!json_is_object(root))
        return reader_bad(r, "is not a JSON object.");
    if (!reader_int(r, root, "format", 0, INT32_MAX, 0, &format))
        return false;
    if (format != 1)
        return reader_bad(
            r,
            "has format %lld; this program reads format 1. bailiff and its package bailiff_runner must be of "
            "the same version.",
            (long long)format);
    if (!reader_members(r, root, MEMBERS, ARRAY_LEN(MEMBERS)) || !reader_string(r, root, "version", &r->m->version) ||
        !reader_string(r, root, "root", &r->m->root) || !reader_int(r, root, "workers", 1, WORKERS_MAX, 0, &workers))
        return false;
    if (!r->m->version || !name_is_clean(r->m->version, NAME_BYTES_MAX))
        return reader_bad(r, "\"version\" must be text of 1 to %d bytes without control characters.", NAME_BYTES_MAX);
    if (!r->m->root || !path_is_absolute(r->m->root))
        return reader_bad(r, "\"root\" must be the application's folder as an absolute path.");
    r->m->workers = (unsigned)workers;
    return true;
}

bool manifest_read(struct span json, struct manifest **ret, struct fault *fault)
{
    own(manifest_freep) struct manifest *m = manifest_new();
    own(json_freep) json_t *root = NULL;
    struct manifest_reader r = {.m = m, .fault = fault};

    if (json.len > MANIFEST_SIZE_MAX)
        return fault_set(fault, FAULT_INVALID, "the manifest is larger than %d MiB.", MANIFEST_SIZE_MAX >> 20);
    if (!json_read(json, "the manifest", &root, fault))
        return false;
    if (!read_head(&r, root) || !read_data_nodes(&r, root) || !read_tasks(&r, root) || !read_scenarios(&r, root) ||
        !manifest_check_acyclic(m, fault))
        return false;
    *ret = give(m);
    return true;
}
