/* Who waits for whom: locks on the data nodes that a job will write, and what its end means for the jobs that wait for them. */
#include "store/rows.h"
#include "store/txn.h"

void seq_list_done(struct seq_list *list)
{
    free(list->items);
    *list = (struct seq_list){0};
}

void seq_list_add(struct seq_list *list, int64_t seq)
{
    if (list->count == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 16;
        list->items = xrealloc(list->items, list->cap * sizeof(*list->items));
    }
    list->items[list->count++] = seq;
}

bool seq_list_read(struct query *q, struct seq_list *list, struct fault *fault)
{
    enum query_result result;

    while ((result = query_step(q)) == QUERY_ROW)
        seq_list_add(list, query_column_int(q, 0));
    return result == QUERY_DONE || query_fault(q, fault);
}

static int compare_seq(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void seq_list_sort_unique(struct seq_list *list)
{
    size_t kept = 0;

    if (list->count == 0)
        return;
    qsort(list->items, list->count, sizeof(*list->items), compare_seq);
    for (size_t i = 1; i < list->count; i++)
        if (list->items[i] != list->items[kept])
            list->items[++kept] = list->items[i];
    list->count = kept + 1;
}

static bool run_on_seq(struct store_txn *txn, enum sql sql, int64_t seq, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, sql);

    query_int(&q, seq);
    return query_run(&q, fault);
}

static bool read_on_seq(struct store_txn *txn, enum sql sql, int64_t seq, struct seq_list *list, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, sql);

    query_int(&q, seq);
    return seq_list_read(&q, list, fault);
}

bool txn_unlock(struct store_txn *txn, int64_t data_node_seq, int64_t job_seq, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_LOCK_REMOVE);

    query_int(&q, data_node_seq);
    query_int(&q, job_seq);
    return query_run_one(&q, fault) && txn_data_node_touch(txn, data_node_seq, fault);
}

/* ---- going on ---- */

/* Files of the user's own may have come into being since the job was submitted; those are added to `seen`. */
static bool look_at_user_files(struct store_txn *txn, int64_t job_seq, struct seq_list *seen, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_WAITED_PATHS);
    enum query_result result;
    size_t first = seen->count;

    query_int(&q, job_seq);
    while ((result = query_step(&q)) == QUERY_ROW) {
        const char *path = (const char *)sqlite3_column_text(q.statement, 1);
        if (path && looker_file_is_there(txn->looker, path))
            seq_list_add(seen, query_column_int(&q, 0));
    }
    if (result == QUERY_ERROR)
        return query_fault(&q, fault);
    for (size_t i = first; i < seen->count; i++)
        if (!txn_data_node_written(txn, seen->items[i], txn->now_ms, NULL, fault))
            return false;
    return true;
}

static bool waits_left(struct store_txn *txn, int64_t job_seq, bool *ret_left, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_WAITS_LEFT);
    int64_t one;

    query_int(&q, job_seq);
    return query_number(&q, &one, ret_left, fault);
}

bool txn_job_is_ready(struct store_txn *txn, int64_t job_seq, struct seq_list *seen, bool *ret_ready,
                      struct fault *fault)
{
    bool left;

    if (!look_at_user_files(txn, job_seq, seen, fault) || !waits_left(txn, job_seq, &left, fault))
        return false;
    *ret_ready = !left;
    return true;
}

bool txn_waits_remove(struct store_txn *txn, int64_t job_seq, struct fault *fault)
{
    return run_on_seq(txn, SQL_WAITS_REMOVE, job_seq, fault);
}

static bool examine(struct store_txn *txn, int64_t job_seq, struct seq_list *seen, struct fault *fault)
{
    struct arena arena = {0};
    struct job job;
    bool ready, ok;

    if (!txn_job_is_ready(txn, job_seq, seen, &ready, fault))
        return false;
    if (!ready)
        return true;
    ok = find_job_by_seq(txn->db, job_seq, &arena, &job, fault);
    if (ok) {
        enum job_status before = job.status;
        job.status = JOB_PENDING;
        ok = txn_waits_remove(txn, job_seq, fault) && txn_job_store(txn, &job, before, fault);
    }
    arena_done(&arena);
    return ok;
}

static bool examine_waiting(struct store_txn *txn, const struct seq_list *data_nodes, struct seq_list *seen,
                            struct fault *fault)
{
    own(seq_list_done) struct seq_list waiting = {0};

    for (size_t i = 0; i < data_nodes->count; i++)
        if (!read_on_seq(txn, SQL_WAITING_FOR, data_nodes->items[i], &waiting, fault))
            return false;
    seq_list_sort_unique(&waiting);
    for (size_t i = 0; i < waiting.count; i++)
        if (!examine(txn, waiting.items[i], seen, fault))
            return false;
    return true;
}

bool txn_jobs_unblock(struct store_txn *txn, const struct seq_list *data_nodes, struct fault *fault)
{
    own(seq_list_done) struct seq_list seen = {0};
    bool ok = examine_waiting(txn, data_nodes, &seen, fault);

    /* A file is seen once, and others than the job over which it was seen may wait for it. */
    while (ok && seen.count > 0) {
        own(seq_list_done) struct seq_list more = seen;
        seen = (struct seq_list){0};
        ok = examine_waiting(txn, &more, &seen, fault);
    }
    return ok;
}

bool txn_job_examine(struct store_txn *txn, int64_t job_seq, struct fault *fault)
{
    own(seq_list_done) struct seq_list seen = {0};

    return examine(txn, job_seq, &seen, fault) && txn_jobs_unblock(txn, &seen, fault);
}

bool txn_user_file_seen(struct store_txn *txn, int64_t data_node_seq, struct fault *fault)
{
    own(seq_list_done) struct seq_list seen = {0};

    seq_list_add(&seen, data_node_seq);
    return txn_data_node_written(txn, data_node_seq, txn->now_ms, NULL, fault) && txn_jobs_unblock(txn, &seen, fault);
}

/* ---- giving up ---- */

static bool read_dependents(struct store_txn *txn, int64_t data_node_seq, int64_t job_seq, struct seq_list *list,
                            struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_DEPENDENTS);

    query_int(&q, data_node_seq);
    query_int(&q, job_seq);
    return seq_list_read(&q, list, fault);
}

/* Frees what the job would have written and tells who waited for it. */
static bool release_outputs(struct store_txn *txn, int64_t job_seq, struct seq_list *dependents, struct fault *fault)
{
    own(seq_list_done) struct seq_list outputs = {0};

    if (!read_on_seq(txn, SQL_LOCKS_OF_JOB, job_seq, &outputs, fault))
        return false;
    for (size_t i = 0; i < outputs.count; i++)
        if (!txn_unlock(txn, outputs.items[i], job_seq, fault) ||
            !read_dependents(txn, outputs.items[i], job_seq, dependents, fault))
            return false;
    seq_list_sort_unique(dependents);
    return true;
}

static bool abandon(struct store_txn *txn, int64_t job_seq, struct fault *fault)
{
    struct arena arena = {0};
    struct job job;
    bool ok = txn_waits_remove(txn, job_seq, fault) && find_job_by_seq(txn->db, job_seq, &arena, &job, fault);

    if (ok) {
        enum job_status before = job.status;
        job.status = JOB_ABANDONED;
        job.ended_at_ms = txn->now_ms;
        ok = txn_job_store(txn, &job, before, fault);
    }
    arena_done(&arena);
    return ok;
}

bool txn_jobs_abandon(struct store_txn *txn, int64_t job_seq, struct fault *fault)
{
    own(seq_list_done) struct seq_list ended = {
        0}; /* in the order in which they fell; those behind i are still to be looked at */

    if (!txn_waits_remove(txn, job_seq, fault)) /* it may have waited itself, if it was canceled */
        return false;
    seq_list_add(&ended, job_seq);
    for (size_t i = 0; i < ended.count; i++) {
        own(seq_list_done) struct seq_list dependents = {0};
        if (!release_outputs(txn, ended.items[i], &dependents, fault))
            return false;
        for (size_t n = 0; n < dependents.count; n++) {
            if (!abandon(txn, dependents.items[n], fault))
                return false;
            seq_list_add(&ended, dependents.items[n]);
        }
    }
    return true;
}
