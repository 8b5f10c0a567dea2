/* Creating and deleting tasks, with the data nodes that they use. */
#include "bailiff/json.h"
#include "store/rows.h"
#include "store/txn.h"

struct used_node { /* a data node that the new task uses, once, however often its configuration names it */
    const char *config_id, *id;
    int64_t seq;
    bool shared;
};
struct used_nodes {
    struct used_node *items;
    size_t count;
};

static bool find_shared(struct store_txn *txn, const struct task_creation *creation,
                        const struct data_node_config *config, struct arena *arena, struct used_node *ret,
                        bool *ret_found, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_DATA_NODE_SHARED);
    enum query_result result;

    query_text(&q, config->id);
    query_text(&q, creation->manifest->version);
    result = query_step(&q);
    if (result == QUERY_ERROR)
        return query_fault(&q, fault);
    *ret_found = result == QUERY_ROW;
    if (*ret_found) {
        ret->seq = query_column_int(&q, 0);
        ret->id = query_column_text(&q, 1, arena);
        ret->shared = true;
    }
    return true;
}

/* Taipy's name of a data node is a property like others, but told on its own. */
static const char *name_of(const struct data_node_config *config, struct arena *arena)
{
    own(json_freep) json_t *properties = NULL;
    bool ok = true;

    if (!config->properties || strcmp(config->properties, "{}") == 0 ||
        !json_read(span_of(config->properties), "properties", &properties, &(struct fault){0}))
        return NULL;
    return arena_strdup(arena, json_member_string(properties, "name", &ok));
}

/* Whether its value is the user's file. Where there is a default, nobody would ask again: so it must be known. */
static bool look_for_user_file(struct store_txn *txn, const struct data_node_config *config, bool *ret,
                               struct fault *fault)
{
    *ret = false;
    if (!config->path || looker_knows_file(txn->looker, config->path, ret) || !config->default_file)
        return true;
    return fault_unavailable(
        fault, 5, "Whether the file of data node config %s exists is not known: its file system does not answer.",
        config->id);
}

/* A data node begins written if it has a default, or if the user's file is there already. */
static bool add_data_node(struct store_txn *txn, const struct task_creation *creation,
                          const struct data_node_config *config, struct arena *arena, struct used_node *ret,
                          struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_DATA_NODE_ADD);
    char id[ENTITY_ID_SIZE];
    bool user_file;

    if (!look_for_user_file(txn, config, &user_file, fault))
        return false;
    const char *file = user_file ? NULL : config->default_file;
    entity_id_make(txn->ids, "DATANODE", config->id, id);
    query_text(&q, id);
    query_text(&q, config->id);
    query_null(&q); /* created through a task of its own: nobody owns it */
    query_text(&q, creation->manifest->version);
    query_int(&q, txn->now_ms);
    query_text(&q, name_of(config, arena));
    query_text(&q, data_scope_name(config->scope));
    query_text(&q, storage_type_name(config->storage_type));
    query_int(&q, user_file || file ? txn->now_ms : 0);
    query_int(&q, config->validity_period_ms);
    query_text(&q, file);
    query_text(&q, config->path);
    query_text(&q, config->properties ? config->properties : "{}");
    if (!query_run_one(&q, fault))
        return false;
    ret->id = arena_strdup(arena, id);
    ret->seq = sqlite3_last_insert_rowid(txn->db->handle);
    return true;
}

static bool use_data_node(struct store_txn *txn, const struct task_creation *creation,
                          const struct data_node_config *config, struct arena *arena, struct used_nodes *used,
                          const char **ret_id, struct fault *fault)
{
    struct used_node *node;
    bool found = false;

    for (size_t i = 0; i < used->count; i++)
        if (str_eq(used->items[i].config_id, config->id)) {
            *ret_id = used->items[i].id;
            return true;
        }
    node = &used->items[used->count];
    node->config_id = config->id;
    /* without a scenario there is no cycle: CYCLE is shared by all of the version, as GLOBAL is */
    if (config->scope != SCOPE_SCENARIO && !find_shared(txn, creation, config, arena, node, &found, fault))
        return false;
    if (!found && !add_data_node(txn, creation, config, arena, node, fault))
        return false;
    used->count++;
    *ret_id = node->id;
    return true;
}

static bool use_data_nodes(struct store_txn *txn, const struct task_creation *creation,
                           const struct data_node_config *const *configs, size_t count, struct arena *arena,
                           struct used_nodes *used, struct id_list *ret, struct fault *fault)
{
    struct id_list list = {arena_alloc(arena, count * sizeof(*list.items)), count};

    for (size_t i = 0; i < count; i++)
        if (!use_data_node(txn, creation, configs[i], arena, used, &list.items[i], fault))
            return false;
    *ret = list;
    return true;
}

static bool add_task_row(struct store_txn *txn, struct task *task, struct arena *arena, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_TASK_ADD);

    query_text(&q, task->id);
    query_text(&q, task->config_id);
    query_text(&q, task->owner_id);
    query_text(&q, task->version);
    query_int(&q, task->created_at_ms);
    query_int(&q, task->revision);
    query_text(&q, task->function_module);
    query_text(&q, task->function_name);
    query_text(&q, id_list_join(&task->parent_ids, arena));
    query_text(&q, id_list_join(&task->input_ids, arena));
    query_text(&q, id_list_join(&task->output_ids, arena));
    query_int(&q, task->skippable);
    query_text(&q, task->created_by);
    if (!query_run_one(&q, fault))
        return false;
    task->seq = sqlite3_last_insert_rowid(txn->db->handle);
    return true;
}

static bool link_data_node(struct store_txn *txn, int64_t task_seq, const struct used_node *node, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_LINK_ADD);

    query_int(&q, task_seq);
    query_int(&q, node->seq);
    if (!query_run(&q, fault))
        return false;
    return !node->shared || txn_data_node_touch(txn, node->seq, fault); /* it has one more parent now */
}

static bool create_task(struct store_txn *txn, const struct task_creation *creation, struct arena *arena,
                        struct task *ret_task, struct fault *fault)
{
    const struct task_config *config = creation->config;
    bool command = config->command.count > 0;
    char id[ENTITY_ID_SIZE];
    struct used_nodes used = {
        .items = arena_alloc(arena, (config->input_count + config->output_count) * sizeof(*used.items))};

    entity_id_make(txn->ids, "TASK", config->id, id);
    struct task task = {
        .revision = 1,
        .id = arena_strdup(arena, id),
        .config_id = arena_strdup(arena, config->id),
        .version = arena_strdup(arena, creation->manifest->version),
        .function_module = command || !config->module ? "" : arena_strdup(arena, config->module),
        .function_name = arena_strdup(arena, command ? config->command.items[0] : config->function),
        .skippable = config->skippable,
        .created_at_ms = txn->now_ms,
        .created_by = arena_strdup(arena, creation->created_by),
    };
    if (!use_data_nodes(txn, creation, config->inputs, config->input_count, arena, &used, &task.input_ids, fault) ||
        !use_data_nodes(txn, creation, config->outputs, config->output_count, arena, &used, &task.output_ids, fault) ||
        !add_task_row(txn, &task, arena, fault))
        return false;
    for (size_t i = 0; i < used.count; i++)
        if (!link_data_node(txn, task.seq, &used.items[i], fault))
            return false;
    *ret_task = task;
    return true;
}

static bool find_task_to_reuse(struct store_txn *txn, const struct task_creation *creation, struct arena *arena,
                               struct task *ret_task, bool *ret_found, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_TASK_TO_REUSE);
    enum query_result result;

    query_text(&q, creation->config->id);
    query_text(&q, creation->manifest->version);
    result = query_step(&q);
    if (result == QUERY_ERROR)
        return query_fault(&q, fault);
    *ret_found = result == QUERY_ROW;
    return !*ret_found || row_task(&q, arena, ret_task, fault);
}

bool txn_create_task(struct store_txn *txn, const struct scope *scope, const struct task_creation *creation,
                     struct arena *arena, struct task *ret_task, struct fault *fault)
{
    bool found = false;

    if (!scope_allows(scope, NULL))
        return fault_set(fault, FAULT_FORBIDDEN, "You may not create tasks that nobody owns.");
    if (creation->reuse && !find_task_to_reuse(txn, creation, arena, ret_task, &found, fault))
        return false;
    return found || create_task(txn, creation, arena, ret_task, fault);
}

static bool task_is_busy(struct store_txn *txn, const char *id, bool *ret_busy, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_TASK_IS_BUSY);
    int64_t one;

    query_text(&q, id);
    return query_number(&q, &one, ret_busy, fault);
}

static bool run_on_task(struct store_txn *txn, enum sql sql, int64_t task_seq, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, sql);

    query_int(&q, task_seq);
    return query_run(&q, fault);
}

bool txn_delete_task(struct store_txn *txn, const struct scope *scope, const char *id, int64_t if_match,
                     struct fault *fault)
{
    struct arena arena = {0};
    struct task task = {0};
    bool busy = false;
    bool ok = find_task(txn->db, scope, id, &arena, &task, fault);

    arena_done(&arena); /* only numbers are needed of it */
    if (!ok)
        return false;
    if (if_match >= 0 && task.revision != if_match)
        return fault_set(fault, FAULT_PRECONDITION, "Task %s has changed since you read it; read it again.", id);
    if (!task_is_busy(txn, id, &busy, fault))
        return false;
    if (busy)
        return fault_set(fault, FAULT_CONFLICT, "Task %s has an unfinished job; cancel it or wait for its end.", id);
    /* its links go with it */
    return run_on_task(txn, SQL_LINKED_TOUCH, task.seq, fault) && run_on_task(txn, SQL_TASK_DELETE, task.seq, fault);
}
