#include "store/rows.h"

#include <limits.h>

struct id_list id_list_split(struct span text, struct arena *arena)
{
    struct id_list list = {0};
    char *p;

    if (text.len == 0)
        return list;
    p = arena_strndup(arena, text.data, text.len);
    list.count = 1;
    for (size_t i = 0; i < text.len; i++)
        list.count += p[i] == ' ';
    list.items = arena_alloc(arena, list.count * sizeof(*list.items));
    for (size_t i = 0; i < list.count; i++) {
        list.items[i] = p;
        p = strchrnul(p, ' ');
        if (*p)
            *p++ = '\0';
    }
    return list;
}

const char *id_list_join(const struct id_list *list, struct arena *arena)
{
    size_t len = 1;
    char *text, *end;

    for (size_t i = 0; i < list->count; i++)
        len += strlen(list->items[i]) + 1;
    end = text = arena_alloc(arena, len);
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            *end++ = ' ';
        end = stpcpy(end, list->items[i]);
    }
    return text;
}

bool query_id_list(struct query *q, struct arena *arena, struct id_list *ret, struct fault *fault)
{
    struct id_list list = {0};
    own(freep) const char **items = NULL;
    enum query_result result;
    size_t cap = 0;

    while ((result = query_step(q)) == QUERY_ROW) {
        if (list.count == cap) {
            cap = cap ? 2 * cap : 8;
            items = xrealloc(items, cap * sizeof(*items));
        }
        items[list.count++] = query_column_text(q, 0, arena);
    }
    if (result == QUERY_ERROR)
        return query_fault(q, fault);
    if (list.count > 0) {
        list.items = arena_alloc(arena, list.count * sizeof(*list.items));
        memcpy(list.items, items, list.count * sizeof(*list.items));
    }
    *ret = list;
    return true;
}

static bool row_damaged(const struct query *q, const char *column, struct fault *fault)
{
    return fault_internal(fault, "row %lld has an impossible %s: %s", (long long)query_column_int(q, COL_SEQ), column,
                          sqlite3_sql(q->statement));
}

bool row_task(struct query *q, struct arena *arena, struct task *ret, struct fault *fault)
{
    *ret = (struct task){
        .seq = query_column_int(q, COL_SEQ),
        .id = query_column_text(q, COL_ID, arena),
        .config_id = query_column_text(q, COL_CONFIG_ID, arena),
        .owner_id = query_column_text(q, COL_OWNER_ID, arena),
        .version = query_column_text(q, COL_VERSION, arena),
        .created_at_ms = query_column_int(q, COL_CREATED_AT),
        .revision = query_column_int(q, 6),
        .function_module = query_column_text(q, 7, arena),
        .function_name = query_column_text(q, 8, arena),
        .parent_ids = id_list_split(query_column_span(q, 9), arena),
        .input_ids = id_list_split(query_column_span(q, 10), arena),
        .output_ids = id_list_split(query_column_span(q, 11), arena),
        .skippable = query_column_int(q, 12) != 0,
        .created_by = query_column_text(q, 13, arena),
    };
    return ret->id && ret->config_id ? true : row_damaged(q, "id", fault);
}

bool row_job(struct query *q, struct arena *arena, struct job *ret, struct fault *fault)
{
    enum job_status status;

    if (!job_status_parse(query_column_span(q, 7), &status))
        return row_damaged(q, "status", fault);
    *ret = (struct job){
        .seq = query_column_int(q, COL_SEQ),
        .id = query_column_text(q, COL_ID, arena),
        .task_config_id = query_column_text(q, COL_CONFIG_ID, arena),
        .owner_id = query_column_text(q, COL_OWNER_ID, arena),
        .version = query_column_text(q, COL_VERSION, arena),
        .created_at_ms = query_column_int(q, COL_CREATED_AT),
        .task_id = query_column_text(q, 6, arena),
        .status = status,
        .revision = query_column_int(q, 8),
        .submission_id = query_column_text(q, 9, arena),
        .force = query_column_int(q, 10) != 0,
        .cancel_requested = query_column_int(q, 11) != 0,
        .attempt = (int)query_column_int(q, 12),
        .exited = !query_column_is_null(q, 13),
        .exit_code = (int)query_column_int(q, 13),
        .signaled = !query_column_is_null(q, 14),
        .signal = (int)query_column_int(q, 14),
        .started_at_ms = query_column_int(q, 15),
        .ended_at_ms = query_column_int(q, 16),
        .worker = query_column_text(q, 17, arena),
        .progress = query_column_text(q, 18, arena),
        .submitted_by = query_column_text(q, 19, arena),
        .error = query_column_text(q, 20, arena),
        .stacktrace = query_column_text(q, 21, arena),
        .retries = (unsigned)query_column_int(q, 22),
        .losses = (unsigned)query_column_int(q, 23),
        .retry_at_ms = query_column_int(q, 24),
        .retry_delay_ms = query_column_int(q, 25),
        .blocked_by = query_column_text(q, 29, arena),
    };
    if (!controls_read(query_column_span(q, 27), arena, &ret->controls, fault))
        return false;
    ret->controls.timeout_ms = query_column_is_null(q, 26) ? -1 : query_column_int(q, 26);
    if (sqlite3_column_bytes(q->statement, 28) == SUBMITTER_SIZE)
        memcpy(ret->submitter, sqlite3_column_blob(q->statement, 28), SUBMITTER_SIZE);
    if (ret->started_at_ms && ret->ended_at_ms)
        ret->duration_ms = MAX(ret->ended_at_ms - ret->started_at_ms, 0); /* the clock may have been set back */
    return ret->id && ret->task_config_id ? true : row_damaged(q, "id", fault);
}

bool row_data_node(struct query *q, struct arena *arena, struct data_node *ret, struct fault *fault)
{
    enum data_scope scope;
    enum storage_type storage_type;

    if (!data_scope_parse(query_column_span(q, 8), &scope))
        return row_damaged(q, "scope", fault);
    if (!storage_type_parse(query_column_span(q, 9), &storage_type))
        return row_damaged(q, "storage_type", fault);
    *ret = (struct data_node){
        .seq = query_column_int(q, COL_SEQ),
        .id = query_column_text(q, COL_ID, arena),
        .config_id = query_column_text(q, COL_CONFIG_ID, arena),
        .owner_id = query_column_text(q, COL_OWNER_ID, arena),
        .version = query_column_text(q, COL_VERSION, arena),
        .created_at_ms = query_column_int(q, COL_CREATED_AT),
        .revision = query_column_int(q, 6),
        .name = query_column_text(q, 7, arena),
        .scope = scope,
        .storage_type = storage_type,
        .last_edit_ms = query_column_int(q, 10),
        .validity_period_ms = query_column_int(q, 11),
        .file = query_column_text(q, 12, arena),
        .path = query_column_text(q, 13, arena),
        .properties = query_column_text(q, 14, arena),
        .editor_id = query_column_text(q, 15, arena),
    };
    ret->edit_in_progress = ret->editor_id != NULL;
    return ret->id && ret->config_id ? true : row_damaged(q, "id", fault);
}

bool submission_status_read(struct span statuses, enum submission_status *ret)
{
    unsigned counts[JOB_STATUS_COUNT] = {0};
    enum job_status status;
    struct span one;

    while (span_cut(&statuses, ' ', &one)) {
        if (!job_status_parse(one, &status))
            return false;
        counts[status]++;
    }
    *ret = submission_status_of(counts);
    return true;
}

bool row_submission(struct query *q, struct arena *arena, struct submission *ret, struct fault *fault)
{
    enum submission_status status;

    if (!submission_status_read(query_column_span(q, 9), &status))
        return row_damaged(q, "status", fault);
    *ret = (struct submission){
        .seq = query_column_int(q, COL_SEQ),
        .id = query_column_text(q, COL_ID, arena),
        .entity_config_id = query_column_text(q, COL_CONFIG_ID, arena),
        .version = query_column_text(q, COL_VERSION, arena),
        .created_at_ms = query_column_int(q, COL_CREATED_AT),
        .entity_id = query_column_text(q, 6, arena),
        .entity_type = query_column_text(q, 7, arena),
        .submitted_by = query_column_text(q, 8, arena),
        .status = status,
    };
    return true;
}

static bool hash_column(const struct query *q, int column, uint8_t *ret)
{
    const void *data = sqlite3_column_blob(q->statement, column);

    if (!data || sqlite3_column_bytes(q->statement, column) != AUDIT_HASH_SIZE)
        return false;
    memcpy(ret, data, AUDIT_HASH_SIZE);
    return true;
}

/* What the hash does not tell apart, but whoever searches the table does: text behind a NUL, a value of another type, a number that only the
 * half of it is read of. */
static const char *audit_text(const struct query *q, int column, struct arena *arena, bool *ok)
{
    int type = sqlite3_column_type(q->statement, column);
    struct span s = query_column_span(q, column);

    *ok &= type == SQLITE_NULL || (type == SQLITE_TEXT && !(s.len > 0 && memchr(s.data, '\0', s.len)));
    return s.data ? arena_strndup(arena, s.data, s.len) : NULL;
}

static int64_t audit_number(const struct query *q, int column, int64_t min, int64_t max, bool *ok)
{
    bool number = sqlite3_column_type(q->statement, column) == SQLITE_INTEGER;
    int64_t value = number ? query_column_int(q, column) : min;

    *ok &= number && value >= min && value <= max;
    return value;
}

bool row_audit(struct query *q, struct arena *arena, struct audit_record *ret_record,
               uint8_t ret_previous[static AUDIT_HASH_SIZE], uint8_t ret_hash[static AUDIT_HASH_SIZE],
               struct fault *fault)
{
    bool ok = true;
    struct audit_record record = {.seq = query_column_int(q, 0),
                                  .time_ms = audit_number(q, 1, INT64_MIN, INT64_MAX, &ok)};
    const char *outcome = audit_text(q, 2, arena, &ok);
    int column = 3;

    while (record.outcome < AUDIT_OUTCOME_COUNT && !str_eq(outcome, audit_outcome_name(record.outcome)))
        record.outcome++;
#define X(member, max) record.draft.member = audit_text(q, column++, arena, &ok);
    AUDIT_TEXTS(X)
#undef X
    record.draft.status = (int)audit_number(q, column++, INT_MIN, INT_MAX, &ok);
    record.draft.count = (uint64_t)audit_number(q, column++, 1, INT64_MAX, &ok);
    int hashes = column;
    column += 2;
#define X(member, max) record.draft.member = audit_text(q, column++, arena, &ok);
    AUDIT_TEXTS_2(X)
#undef X
    if (!ok || record.outcome == AUDIT_OUTCOME_COUNT || !hash_column(q, hashes, ret_previous) ||
        !hash_column(q, hashes + 1, ret_hash))
        return fault_set(fault, FAULT_INVALID, "The audit chain is broken: record %lld is not one that bailiff writes.",
                         (long long)record.seq);
    *ret_record = record;
    return true;
}
