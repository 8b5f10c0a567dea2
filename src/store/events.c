/* The events of jobs: read by their seq, which is the order of the commits; the oldest go. */
#include "store/reader.h"
#include "store/rows.h"
#include "store/txn.h"

bool txn_events_expire(struct store_txn *txn, const struct event_bounds *bounds, int64_t max, int64_t *ret_deleted,
                       struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_EVENTS_EXPIRE);

    query_int(&q, txn->now_ms - bounds->ttl_ms);
    query_int(&q, bounds->max);
    query_int(&q, max);
    if (!query_run(&q, fault))
        return false;
    *ret_deleted = sqlite3_changes(txn->db->handle);
    return true;
}

bool txn_events_forget(struct store_txn *txn, int64_t job_seq, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_EVENTS_FORGET);

    query_int(&q, job_seq);
    return query_run(&q, fault);
}

/* ---- reading ---- */

bool store_event_ends(struct store_reader *reader, int64_t *ret_before, int64_t *ret_last, struct fault *fault)
{
    if (!reader_enter(reader, fault))
        return false;
    own(query_done) struct query q = query_begin(reader->db, SQL_EVENT_ENDS);

    if (query_step(&q) != QUERY_ROW)
        return query_fault(&q, fault);
    *ret_before = MAX(query_column_int(&q, 0) - 1, (int64_t)0);
    *ret_last = query_column_int(&q, 1);
    return true;
}

static bool row_event(struct query *q, struct arena *arena, struct event *ret, struct fault *fault)
{
    enum submission_status submission_status;
    enum job_status status;

    if (!job_status_parse(query_column_span(q, 2), &status) ||
        !submission_status_read(query_column_span(q, 3), &submission_status))
        return fault_internal(fault, "an event has an impossible status");
    *ret = (struct event){
        .seq = query_column_int(q, 0),
        .time_ms = query_column_int(q, 1),
        .status = status,
        .submission_status = submission_status,
        .attempt = (int)query_column_int(q, 4),
        .cancel_requested = query_column_int(q, 5) != 0,
        .job_id = query_column_text(q, 6, arena),
        .task_id = query_column_text(q, 7, arena),
        .task_config_id = query_column_text(q, 8, arena),
        .submission_id = query_column_text(q, 9, arena),
        .owner_id = query_column_text(q, 10, arena),
    };
    return true;
}

static bool is(const char *value, const char *wanted)
{
    return !wanted || str_eq(value, wanted);
}

static bool event_wanted(const struct event *event, const struct scope *scope, const struct event_query *query)
{
    return event->job_id && scope_allows(scope, event->owner_id) && is(event->task_id, query->task_id) &&
           is(event->task_config_id, query->config_id) && is(event->submission_id, query->submission_id) &&
           (query->status < 0 || (int)event->status == query->status);
}

static bool read_rows(struct store_reader *reader, const struct scope *scope, const struct event_query *query,
                      struct event_step *step, struct arena *arena, struct event *ret_rows, size_t *ret_looked,
                      struct fault *fault)
{
    own(query_done) struct query q = query_begin(reader->db, query->job_seq > 0 ? SQL_EVENTS_OF_JOB : SQL_EVENTS_FROM);
    enum query_result result;

    query_int(&q, step->position);
    query_int(&q, (int64_t)step->rows_max);
    if (query->job_seq > 0)
        query_int(&q, query->job_seq);
    while ((result = query_step(&q)) == QUERY_ROW) {
        struct event *event = &ret_rows[step->count];
        if (!row_event(&q, arena, event, fault))
            return false;
        step->position = event->seq;
        step->count += event_wanted(event, scope, query);
        (*ret_looked)++;
    }
    return result == QUERY_DONE || query_fault(&q, fault);
}

bool store_read_events(struct store_reader *reader, const struct scope *scope, const struct event_query *query,
                       struct event_step *step, struct arena *arena, struct event *ret_rows, struct fault *fault)
{
    int64_t before, last;
    size_t looked = 0;

    step->count = 0;
    if (!store_event_ends(reader, &before, &last, fault))
        return false;
    step->lost = step->position < before || step->position > last;
    if (step->lost) {
        step->position = last;
        step->more = false;
        return true;
    }
    if (!read_rows(reader, scope, query, step, arena, ret_rows, &looked, fault))
        return false;
    step->more = looked == step->rows_max;
    if (!step->more) /* none behind these */
        step->position = last;
    return true;
}
