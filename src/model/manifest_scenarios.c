#include "model/manifest_reader.h"

static const char *const FREQUENCIES[] = {"DAILY", "WEEKLY", "MONTHLY", "QUARTERLY", "YEARLY"};

static const char *shown(const char *name)
{
    return text_is_identifier(span_of(name)) ? name : "?";
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The first name that stands twice in the list, or NULL. */
static const char *find_repeated(const struct id_list *names)
{
    own(freep) const char **sorted = xcalloc(names->count + 1, sizeof(*sorted));

    for (size_t i = 0; i < names->count; i++)
        sorted[i] = names->items[i];
    qsort(sorted, names->count, sizeof(*sorted), name_compare);
    for (size_t i = 1; i < names->count; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            return sorted[i];
    return NULL;
}

static bool read_tasks(struct manifest_reader *r, const json_t *object, struct id_list *ret)
{
    const char *twice;

    if (!reader_list(r, object, "tasks", TASKS_MAX, CONFIG_ID_MAX, ret))
        return false;
    for (size_t i = 0; i < ret->count; i++)
        if (!manifest_task(r->m, ret->items[i]))
            return reader_bad(r, "\"tasks\" names a task that does not exist: \"%s\".", shown(ret->items[i]));
    if ((twice = find_repeated(ret)))
        return reader_bad(r, "\"tasks\" names \"%s\" twice.", twice);
    return true;
}

/* Within a scenario a data node is written by one task, or nobody could say whose value it holds. */
static bool check_writers(struct manifest_reader *r, const struct id_list *tasks)
{
    own(freep) const char **writers = xcalloc(r->m->data_node_count + 1, sizeof(*writers));

    for (size_t i = 0; i < tasks->count; i++) {
        const struct task_config *task = manifest_task(r->m, tasks->items[i]);

        for (size_t o = 0; o < task->output_count; o++) {
            const char **writer = &writers[task->outputs[o] - r->m->data_nodes];

            if (*writer)
                return reader_bad(r, "the data node \"%s\" is written by more than one task: %s, %s.",
                                  task->outputs[o]->id, *writer, task->id);
            *writer = task->id;
        }
    }
    return true;
}

static bool read_additional(struct manifest_reader *r, const json_t *object, struct id_list *ret)
{
    const char *twice;

    if (!reader_list(r, object, "additional_data_nodes", DATA_NODES_MAX, CONFIG_ID_MAX, ret))
        return false;
    for (size_t i = 0; i < ret->count; i++)
        if (!manifest_data_node(r->m, ret->items[i]))
            return reader_bad(r, "\"additional_data_nodes\" names a data node that does not exist: \"%s\".",
                              shown(ret->items[i]));
    if ((twice = find_repeated(ret)))
        return reader_bad(r, "\"additional_data_nodes\" names \"%s\" twice.", twice);
    return true;
}

static bool read_sequence(struct manifest_reader *r, const json_t *sequences, const char *name, const bool *in_scenario,
                          struct sequence_config *ret)
{
    const char *twice;

    if (!name_is_clean(name, NAME_BYTES_MAX) || strchr(name, '/'))
        return reader_bad(r, "a sequence's name must be 1 to %d bytes without \"/\" and control characters.",
                          NAME_BYTES_MAX);
    ret->name = arena_strdup(&r->m->arena, name);
    if (!reader_list(r, sequences, name, TASKS_MAX, CONFIG_ID_MAX, &ret->tasks))
        return false;
    for (size_t i = 0; i < ret->tasks.count; i++) {
        const struct task_config *task = manifest_task(r->m, ret->tasks.items[i]);

        if (!task || !in_scenario[task - r->m->tasks])
            return reader_bad(r, "the sequence \"%s\" names a task that the scenario does not have: \"%s\".", name,
                              shown(ret->tasks.items[i]));
    }
    if ((twice = find_repeated(&ret->tasks)))
        return reader_bad(r, "the sequence \"%s\" names \"%s\" twice.", name, twice);
    return true;
}

static bool read_sequences(struct manifest_reader *r, const json_t *object, struct scenario_config *s)
{
    json_t *sequences = json_object_get(object, "sequences"), *tasks;
    own(freep) bool *in_scenario = xcalloc(r->m->task_count + 1, sizeof(*in_scenario));
    const char *name;

    if (sequences && !json_is_null(sequences) && !json_is_object(sequences))
        return reader_bad(r, "\"sequences\" is not an object.");
    if (json_object_size(sequences) > SEQUENCES_MAX)
        return reader_bad(r, "has more than %d sequences.", SEQUENCES_MAX);
    for (size_t i = 0; i < s->tasks.count; i++)
        in_scenario[manifest_task(r->m, s->tasks.items[i]) - r->m->tasks] = true;
    s->sequences = arena_alloc(&r->m->arena, (json_object_size(sequences) + 1) * sizeof(*s->sequences));
    json_object_foreach (sequences, name, tasks)
        if (!read_sequence(r, sequences, name, in_scenario, &s->sequences[s->sequence_count++]))
            return false;
    return true;
}

bool manifest_read_scenario(struct manifest_reader *r, const json_t *object, size_t index, struct scenario_config *s)
{
    static const char *const MEMBERS[] = {"id", "tasks", "additional_data_nodes", "frequency", "sequences"};
    size_t f = 0;

    if (!reader_id(r, object, "scenario", index, &s->id) || !reader_members(r, object, MEMBERS, ARRAY_LEN(MEMBERS)) ||
        !read_tasks(r, object, &s->tasks) || !check_writers(r, &s->tasks) ||
        !read_additional(r, object, &s->additional_data_nodes) ||
        !reader_string(r, object, "frequency", &s->frequency) || !read_sequences(r, object, s))
        return false;
    while (s->frequency && f < ARRAY_LEN(FREQUENCIES) && strcmp(s->frequency, FREQUENCIES[f]) != 0)
        f++;
    if (s->frequency && f == ARRAY_LEN(FREQUENCIES))
        return reader_bad(r, "its frequency must be DAILY, WEEKLY, MONTHLY, QUARTERLY or YEARLY.");
    return true;
}
