/* The parameters of a list: parsed strictly, and bound into the cursor. */
#include "handlers/list_query.h"
#include "bailiff/clock.h"

static bool parse_time(const char *name, const char *value, int64_t *ret_ms, struct fault *fault)
{
    if (!value)
        return true;
    if (!time_parse(value, strlen(value), ret_ms))
        return fault_set(fault, FAULT_INVALID, "%s must be a time in RFC 3339, such as 2026-01-02T03:04:05Z.", name);
    *ret_ms = MAX(*ret_ms, (int64_t)1); /* 0 would say that it was not given; nothing was created that early */
    return true;
}

static bool parse_status(const char *value, int *ret_status, struct fault *fault)
{
    enum job_status status;

    if (!value)
        return true;
    if (!job_status_parse(span_of(value), &status))
        return fault_set(fault, FAULT_INVALID, "status: there is no job status '%.40s'.", value);
    *ret_status = (int)status;
    return true;
}

static bool parse_sort(const struct resource *resource, const char *value, struct list_query *query,
                       struct fault *fault)
{
    if (!value)
        return true;
    query->descending = *value == '-';
    const char *name = value + query->descending;
    for (size_t i = 0; resource->sorts[i]; i++) {
        if (strcmp(resource->sorts[i], name) == 0) {
            query->sort = (enum list_sort)i;
            return true;
        }
    }
    return fault_set(fault, FAULT_INVALID,
                     "sort: only immutable members can be sorted by: %s, %s or %s, with '-' for falling order.",
                     resource->sorts[0], resource->sorts[1], resource->sorts[2]);
}

static bool parse_limit(const char *value, unsigned *ret_limit, struct fault *fault)
{
    uint64_t limit;

    if (!value)
        return true;
    if (!span_to_u64(span_of(value), 1000, &limit) || limit == 0)
        return fault_set(fault, FAULT_INVALID, "limit must be a number from 1 to 1000.");
    *ret_limit = (unsigned)limit;
    return true;
}

/* Lists of every kind know the first ones. */
enum {
    AFTER,
    BEFORE,
    FIELDS,
    LIMIT,
    CURSOR,
    PLAIN_COUNT,
    CONFIG = PLAIN_COUNT,
    OWNER,
    VERSION,
    SORT,
    COMMON_COUNT,
    TASK = COMMON_COUNT,
    STATUS,
    COUNT
};

/* A cursor continues this list only: of this caller, this route, these filters, this order. */
static void bind(const struct exchange *x, const struct resource *resource, const struct query_param *params,
                 uint8_t out[static 32])
{
    struct digest *d = digest_new();

    digest_add(d, span_of(resource->path));
    digest_add(d, span_of(x->identity->issuer));
    digest_add(d, span_of(x->identity->subject));
    for (size_t i = 0; i < COUNT; i++)
        if (i != LIMIT && i != CURSOR)
            digest_add(d, params[i].value ? span_of(params[i].value) : SPAN("\1"));
    digest_end(d, out);
}

size_t list_cursor_size(const struct list_query *query)
{
    return query->sort == SORT_CREATED ? offsetof(struct list_position, key) : sizeof(struct list_position);
}

/* "name=value&", percent-encoded (RFC 3986 §2.1). */
static void put_parameter(struct text *out, const char *name, const char *value)
{
    text_append_str(out, name);
    text_append_char(out, '=');
    for (const unsigned char *p = (const unsigned char *)value; *p; p++) {
        bool plain =
            (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || strchr("-._~", *p);
        if (plain)
            text_append_char(out, (char)*p);
        else
            text_printf(out, "%%%02X", *p);
    }
    text_append_char(out, '&');
}

bool list_request_parse(struct exchange *x, const struct resource *resource, struct list_request *ret,
                        struct fault *fault)
{
    struct query_param all[COUNT] = {
        [CONFIG] = {"config_id", NULL},    [OWNER] = {"owner_id", NULL},        [VERSION] = {"version", NULL},
        [AFTER] = {"created_after", NULL}, [BEFORE] = {"created_before", NULL}, [SORT] = {"sort", NULL},
        [FIELDS] = {"fields", NULL},       [LIMIT] = {"limit", NULL},           [CURSOR] = {"cursor", NULL},
        [TASK] = {"task_id", NULL},        [STATUS] = {"status", NULL},
    };
    struct list_request r = {.resource = resource, .query = {.status = -1}};

    if (!exchange_query(x, all, resource->of_jobs ? COUNT : resource->sorts ? COMMON_COUNT : PLAIN_COUNT, fault))
        return false;
    for (size_t i = 0; i < COUNT; i++)
        if (all[i].value && !*all[i].value)
            return fault_set(fault, FAULT_INVALID, "%s is empty; leave it out.", all[i].name);
    r.query.config_id = all[CONFIG].value;
    r.query.owner_id = all[OWNER].value;
    r.query.version = all[VERSION].value;
    r.query.task_id = all[TASK].value;
    if (!parse_status(all[STATUS].value, &r.query.status, fault) ||
        !parse_time("created_after", all[AFTER].value, &r.query.created_after_ms, fault) ||
        !parse_time("created_before", all[BEFORE].value, &r.query.created_before_ms, fault) ||
        !parse_sort(resource, all[SORT].value, &r.query, fault) ||
        !members_parse(resource->members, all[FIELDS].value, &r.members, fault) ||
        !parse_limit(all[LIMIT].value, &r.limit, fault))
        return false;
    bind(x, resource, all, r.binding);
    if (all[CURSOR].value && r.limit == 0)
        return fault_set(fault, FAULT_INVALID, "cursor goes with limit.");
    if (all[CURSOR].value && !cursor_open(store_secret(x->services->store), span_of(all[CURSOR].value), r.binding,
                                          &r.position, list_cursor_size(&r.query), fault))
        return false;
    for (size_t i = 0; i < COUNT; i++)
        if (all[i].value && i != CURSOR)
            put_parameter(&r.kept, all[i].name, all[i].value);
    *ret = r;
    return true;
}
