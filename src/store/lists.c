/* Lists: keyset steps over one table, in one of three orders.
 *
 * The first step fixes last_seq, the newest row that belongs to the list; rows that come later are passed over. No step looks
 * at more than rows_max rows. Filters with an index (configuration, task, submission, unfinished status) choose the statement, the
 * others are tried on each row. In the order of creation times are found without looking at every row: see stretches.h. */
#include <stdio.h>

#include "store/reader.h"
#include "store/rows.h"
#include "store/stretches.h"

#define COMMON(T)                                                    \
    .max_seq = SQL_##T##_MAX_SEQ, .time_at = SQL_##T##_TIME_AT,      \
    .clock_back = {SQL_##T##_CLOCK_BACK, SQL_##T##_CLOCK_BACK_DOWN}, \
    .by_seq = {SQL_##T##_BY_SEQ, SQL_##T##_BY_SEQ_DOWN}, .by_id = {SQL_##T##_BY_ID_UP, SQL_##T##_BY_ID_DOWN}
#define BY_CONFIG(T)                                                                 \
    .by_config = true, .of_config = {SQL_##T##_OF_CONFIG, SQL_##T##_OF_CONFIG_DOWN}, \
    .next_config = {SQL_##T##_NEXT_CONFIG, SQL_##T##_NEXT_CONFIG_DOWN}
static const struct table TASKS = {COMMON(TASK), BY_CONFIG(TASK)}, JOBS = {COMMON(JOB), BY_CONFIG(JOB)},
                          DATA_NODES = {COMMON(DATA_NODE), BY_CONFIG(DATA_NODE)}, SUBMISSIONS = {COMMON(SUBMISSION)};
static const enum sql JOBS_OF_TASK[2] = {SQL_JOB_OF_TASK, SQL_JOB_OF_TASK_DOWN};
static const enum sql JOBS_OF_SUBMISSION[2] = {SQL_JOB_OF_SUBMISSION, SQL_JOB_OF_SUBMISSION_DOWN};
static const enum sql JOBS_OF_STATUS[2] = {SQL_JOB_OF_STATUS, SQL_JOB_OF_STATUS_DOWN};

/* Above every id there is. */
static const char LAST_KEY[] = "~";

static bool begin_list(struct step *step, struct fault *fault)
{
    own(query_done) struct query q = query_begin(step->db, step->table->max_seq);
    bool down = step->query->descending, found = false;
    struct list_position *at = &step->at;

    *at = (struct list_position){.started = true};
    if (!query_number(&q, &at->last_seq, &found, fault))
        return false;
    at->ended = !found;
    at->seq = down ? at->last_seq + 1 : 0;
    snprintf(at->key, sizeof(at->key), "%s", down ? LAST_KEY : "");
    return true;
}

/* ---- rows ---- */

static bool column_is(const struct query *row, int column, const char *wanted)
{
    return !wanted || span_is(query_column_span(row, column), wanted);
}

static bool row_wanted(struct step *step, const struct query *row)
{
    const struct list_query *query = step->query;
    int64_t created_ms = query_column_int(row, COL_CREATED_AT);

    return query_column_int(row, COL_SEQ) <= step->at.last_seq && column_is(row, COL_CONFIG_ID, query->config_id) &&
           column_is(row, COL_OWNER_ID, query->owner_id) && column_is(row, COL_VERSION, query->version) &&
           (query->created_after_ms == 0 || created_ms > query->created_after_ms) &&
           (query->created_before_ms == 0 || created_ms < query->created_before_ms);
}

/* In the order of creation nothing behind this row can be wanted, as far as its stretch goes. */
static bool row_is_beyond(const struct step *step, const struct query *row)
{
    const struct list_query *query = step->query;
    int64_t created_ms = query_column_int(row, COL_CREATED_AT);

    if (query->sort != SORT_CREATED)
        return false;
    return query->descending ? query->created_after_ms > 0 && created_ms <= query->created_after_ms
                             : query->created_before_ms > 0 && created_ms >= query->created_before_ms;
}

/* Looks at the rows of a query, from the position on. *ret_exhausted: there were fewer than asked for, or no more are wanted. */
static bool look_at_rows(struct step *step, struct query *q, bool *ret_exhausted, struct fault *fault)
{
    enum query_result result = QUERY_DONE;

    while (step->left > 0 && (result = query_step(q)) == QUERY_ROW) {
        struct list_position *at = &step->at;
        step->left--;
        at->seq = query_column_int(q, COL_SEQ);
        if (step->query->sort == SORT_ID)
            snprintf(at->key, sizeof(at->key), "%s", (const char *)sqlite3_column_text(q->statement, COL_ID));
        if (row_is_beyond(step, q)) {
            *ret_exhausted = true;
            return true;
        }
        if (row_wanted(step, q) && !step->take(step, q, fault))
            return false;
    }
    if (step->left > 0 && result == QUERY_ERROR)
        return query_fault(q, fault);
    *ret_exhausted = step->left > 0;
    return true;
}

/* ---- the three orders ---- */

/* A page by seq, of all rows or of those that have `value` where the statement looks for it. */
static bool step_by_seq(struct step *step, const struct stretch *stretch, enum sql sql, const char *value,
                        bool *ret_exhausted, struct fault *fault)
{
    own(query_done) struct query q = query_begin(step->db, sql);
    bool descending = step->query->descending;

    query_int(&q, descending ? stretch->first - 1 : step->at.seq);
    query_int(&q, descending ? step->at.seq - 1 : stretch->last);
    query_int(&q, (int64_t)step->left);
    if (value)
        query_text(&q, value);
    return look_at_rows(step, &q, ret_exhausted, fault);
}

/* The statement that looks at the fewest rows; *ret_value: what it looks for. */
static enum sql statement_by_seq(const struct step *step, const char **ret_value)
{
    const struct list_query *query = step->query;
    bool down = query->descending, jobs = step->table == &JOBS;

    if (query->submission_id && jobs) {
        *ret_value = query->submission_id;
        return JOBS_OF_SUBMISSION[down];
    }
    if (query->task_id && jobs) {
        *ret_value = query->task_id;
        return JOBS_OF_TASK[down];
    }
    if (query->config_id && step->table->by_config) {
        *ret_value = query->config_id;
        return step->table->of_config[down];
    }
    if (jobs && query->status >= 0 && !job_status_final((enum job_status)query->status)) {
        *ret_value = job_status_name((enum job_status)query->status);
        return JOBS_OF_STATUS[down];
    }
    *ret_value = NULL;
    return step->table->by_seq[down];
}

static bool list_by_seq(struct step *step, struct fault *fault)
{
    const char *value;
    const enum sql sql = statement_by_seq(step, &value);

    while (step->left > 0 && !step->at.ended) {
        struct stretch stretch;
        bool exhausted = false;
        if (!stretch_find(step, &stretch, fault) || !stretch_enter(step, &stretch, fault) ||
            !step_by_seq(step, &stretch, sql, value, &exhausted, fault))
            return false;
        if (exhausted)
            stretch_leave(step, &stretch);
    }
    return true;
}

static bool list_by_id(struct step *step, struct fault *fault)
{
    own(query_done) struct query q = query_begin(step->db, step->table->by_id[step->query->descending]);
    char from[ENTITY_ID_SIZE];

    memcpy(from, step->at.key, sizeof(from)); /* the position moves while the query reads its start */
    query_text(&q, from);
    query_int(&q, (int64_t)step->left);
    return look_at_rows(step, &q, &step->at.ended, fault);
}

/* Moves to the beginning of the next configuration; counts as one row looked at. */
static bool next_config(struct step *step, struct fault *fault)
{
    own(query_done) struct query q = query_begin(step->db, step->table->next_config[step->query->descending]);
    struct list_position *at = &step->at;
    char from[ENTITY_ID_SIZE];

    step->left--;
    memcpy(from, at->key, sizeof(from));
    query_text(&q, from);
    switch (query_step(&q)) {
    case QUERY_ROW:
        snprintf(at->key, sizeof(at->key), "%s", (const char *)sqlite3_column_text(q.statement, 0));
        at->seq = step->query->descending ? at->last_seq + 1 : 0;
        return true;
    case QUERY_DONE:
        at->ended = true;
        return true;
    default:
        return query_fault(&q, fault);
    }
}

static bool list_by_config(struct step *step, struct fault *fault)
{
    const enum sql sql = step->table->of_config[step->query->descending];
    const struct stretch whole = stretch_whole(step);

    while (step->left > 0 && !step->at.ended) {
        char config_id[ENTITY_ID_SIZE];
        bool exhausted = false;
        memcpy(config_id, step->at.key, sizeof(config_id));
        if (!step_by_seq(step, &whole, sql, config_id, &exhausted, fault))
            return false;
        if (exhausted && !next_config(step, fault))
            return false;
    }
    return true;
}

/* A position may have been in a client's hands. */
static void position_clamp(struct list_position *at)
{
    at->key[sizeof(at->key) - 1] = '\0';
    at->seq = at->seq < 0 ? 0 : MIN(at->seq, INT64_MAX - 1);
    at->last_seq = at->last_seq < 0 ? 0 : MIN(at->last_seq, INT64_MAX - 1);
}

static bool list_step(struct step *step, struct store_reader *reader, struct list_position *position,
                      struct fault *fault)
{
    enum list_sort sort = step->query->sort;
    bool ok;

    if (!reader_enter(reader, fault))
        return false;
    step->db = reader->db;
    step->at = *position;
    position_clamp(&step->at);
    if (!step->at.started && !begin_list(step, fault))
        return false;
    if (step->at.ended || step->left == 0)
        ok = true;
    else if (sort == SORT_ID)
        ok = list_by_id(step, fault);
    else if (sort == SORT_CONFIG_ID && !step->query->config_id && step->table->by_config)
        ok = list_by_config(step, fault);
    else /* with one configuration only, both other orders are that of creation */
        ok = list_by_seq(step, fault);
    if (ok)
        *position = step->at;
    return ok;
}

/* ---- tasks, jobs, data nodes ---- */

static bool take_task(struct step *step, struct query *row, struct fault *fault)
{
    struct task *task = (struct task *)step->rows + step->count;

    if (!row_task(row, step->arena, task, fault))
        return false;
    step->count += scope_allows(step->scope, task->owner_id);
    return true;
}

/* Of the status whose name stands in this column. */
static bool status_wanted(const struct list_query *query, const struct query *row)
{
    enum job_status status;

    if (query->status >= 0)
        return column_is(row, 7, job_status_name((enum job_status)query->status));
    return query->statuses == 0 ||
           (job_status_parse(query_column_span(row, 7), &status) && (query->statuses >> status & 1));
}

static bool take_job(struct step *step, struct query *row, struct fault *fault)
{
    struct job *job = (struct job *)step->rows + step->count;
    const struct list_query *query = step->query;

    if (!column_is(row, 6, query->task_id) || !column_is(row, 9, query->submission_id) || !status_wanted(query, row))
        return true;
    if (!row_job(row, step->arena, job, fault))
        return false;
    step->count += scope_allows(step->scope, job->owner_id);
    return true;
}

static bool take_submission(struct step *step, struct query *row, struct fault *fault)
{
    struct submission *submission = (struct submission *)step->rows + step->count;
    const struct list_query *query = step->query;

    if (!column_is(row, 6, query->entity_id))
        return true;
    if (!row_submission(row, step->arena, submission, fault))
        return false;
    if ((query->status >= 0 && submission->status != (enum submission_status)query->status) ||
        (query->statuses > 0 && !(query->statuses >> submission->status & 1)) ||
        !scope_allows(step->scope, NULL)) /* as in find_submission */
        return true;
    step->count++;
    return submission_read_jobs(step->db, step->arena, submission, fault);
}

static bool take_data_node(struct step *step, struct query *row, struct fault *fault)
{
    struct data_node *node = (struct data_node *)step->rows + step->count;

    if (!row_data_node(row, step->arena, node, fault))
        return false;
    if (!scope_allows(step->scope, node->owner_id))
        return true;
    step->count++;
    return data_node_read_parents(step->db, step->arena, node, fault);
}

bool store_list_tasks(struct store_reader *reader, const struct scope *scope, const struct list_query *query,
                      struct list_position *position, size_t rows_max, struct arena *arena, struct task *ret_rows,
                      size_t *ret_count, struct fault *fault)
{
    struct step step = {.table = &TASKS,
                        .scope = scope,
                        .query = query,
                        .left = rows_max,
                        .take = take_task,
                        .arena = arena,
                        .rows = ret_rows};

    if (!list_step(&step, reader, position, fault))
        return false;
    *ret_count = step.count;
    return true;
}

bool store_list_jobs(struct store_reader *reader, const struct scope *scope, const struct list_query *query,
                     struct list_position *position, size_t rows_max, struct arena *arena, struct job *ret_rows,
                     size_t *ret_count, struct fault *fault)
{
    struct step step = {.table = &JOBS,
                        .scope = scope,
                        .query = query,
                        .left = rows_max,
                        .take = take_job,
                        .arena = arena,
                        .rows = ret_rows};

    if (!list_step(&step, reader, position, fault))
        return false;
    *ret_count = step.count;
    return true;
}

bool store_list_submissions(struct store_reader *reader, const struct scope *scope, const struct list_query *query,
                            struct list_position *position, size_t rows_max, struct arena *arena,
                            struct submission *ret_rows, size_t *ret_count, struct fault *fault)
{
    struct step step = {.table = &SUBMISSIONS,
                        .scope = scope,
                        .query = query,
                        .left = rows_max,
                        .take = take_submission,
                        .arena = arena,
                        .rows = ret_rows};

    if (!list_step(&step, reader, position, fault))
        return false;
    *ret_count = step.count;
    return true;
}

bool store_list_data_nodes(struct store_reader *reader, const struct scope *scope, const struct list_query *query,
                           struct list_position *position, size_t rows_max, struct arena *arena,
                           struct data_node *ret_rows, size_t *ret_count, struct fault *fault)
{
    struct step step = {.table = &DATA_NODES,
                        .scope = scope,
                        .query = query,
                        .left = rows_max,
                        .take = take_data_node,
                        .arena = arena,
                        .rows = ret_rows};

    if (!list_step(&step, reader, position, fault))
        return false;
    *ret_count = step.count;
    return true;
}
