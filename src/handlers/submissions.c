/* Submissions: list, read. */
#include "bailiff/handlers.h"
#include "handlers/resource.h"

static bool step(struct store_reader *reader, const struct scope *scope, const struct list_query *query,
                 struct list_position *position, size_t rows_max, struct arena *arena, void *ret_rows,
                 size_t *ret_count, struct fault *fault)
{
    return store_list_submissions(reader, scope, query, position, rows_max, arena, ret_rows, ret_count, fault);
}

static bool find(struct store_reader *reader, const struct scope *scope, const char *id, struct arena *arena,
                 void *ret_row, struct fault *fault)
{
    return store_find_submission(reader, scope, id, arena, ret_row, fault);
}

static bool parse_status(const char *value, int *ret)
{
    enum submission_status status;

    if (!submission_status_parse(span_of(value), &status))
        return false;
    *ret = (int)status;
    return true;
}

static const char *const SORTS[] = {"creation_date", "id", NULL};
static const struct list_filter FILTERS[] = {
    {"config_id", offsetof(struct list_query, config_id)},
    {"entity_id", offsetof(struct list_query, entity_id)},
    {"version", offsetof(struct list_query, version)},
    {NULL, 0},
};
static const struct resource RESOURCE = {
    .path = "/api/v1/submissions/",
    .key = "submission",
    .members = &SUBMISSION_MEMBERS,
    .row_size = sizeof(struct submission),
    .seq_at = offsetof(struct submission, seq),
    .revision_at = offsetof(struct submission, revision),
    .filters = FILTERS,
    .status_parse = parse_status,
    .sorts = SORTS,
    .step = step,
    .find = find,
};

enum flow submissions_list(struct exchange *x)
{
    return resource_list(x, &RESOURCE);
}

enum flow submissions_get(struct exchange *x)
{
    return resource_get(x, &RESOURCE);
}
