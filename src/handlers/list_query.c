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

/* One, or several with commas between them. */
static bool parse_status(const struct resource *resource, const char *value, struct list_query *query,
                         struct fault *fault)
{
    struct span rest = span_of(value), part;
    unsigned statuses = 0;
    int status = -1;

    if (!value)
        return true;
    while (span_cut(&rest, ',', &part)) {
        own(freep) char *name = xstrndup(part.data, part.len);

        if (!resource->status_parse(name, &status))
            return fault_set(fault, FAULT_INVALID, "status: there is no %s status '%.40s'.", resource->key, name);
        statuses |= 1u << status;
    }
    if (statuses == 1u << status) /* an index may serve it */
        query->status = status;
    else
        query->statuses = statuses;
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
    own(text_done) struct text names = {0};
    for (size_t i = 0; resource->sorts[i]; i++)
        text_printf(&names, "%s%s", i == 0 ? "" : resource->sorts[i + 1] ? ", " : " or ", resource->sorts[i]);
    return fault_set(fault, FAULT_INVALID,
                     "sort: only immutable members can be sorted by: %s, with '-' for falling order.", names.data);
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

/* Lists of every kind know the first ones; a resource's own filters follow. */
enum { AFTER, BEFORE, FIELDS, LIMIT, CURSOR, PLAIN_COUNT, COUNT_MAX = PLAIN_COUNT + 2 + LIST_FILTERS_MAX };
_Static_assert((int)COUNT_MAX <= (int)QUERY_PARAMS_MAX, "a list's parameters must fit");

struct parameters {
    struct query_param all[COUNT_MAX];
    size_t count, filters_at;
    struct query_param *sort, *status; /* NULL: the list has none */
};

/* A cursor continues this list only: of this caller, this route, these filters, this order. */
static void bind(const struct exchange *x, const struct resource *resource, const struct parameters *p,
                 uint8_t out[static 32])
{
    struct digest *d = digest_new();

    digest_add(d, span_of(resource->path));
    digest_add(d, span_of(x->identity->issuer));
    digest_add(d, span_of(x->identity->subject));
    for (size_t i = 0; i < p->count; i++)
        if (i != LIMIT && i != CURSOR)
            digest_add(d, p->all[i].value ? span_of(p->all[i].value) : SPAN("\1"));
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

static struct query_param *parameter_add(struct parameters *p, const char *name)
{
    struct query_param *added = &p->all[p->count++];

    added->name = name;
    return added;
}

static bool parameters_read(struct exchange *x, const struct resource *resource, struct parameters *p,
                            struct fault *fault)
{
    *p = (struct parameters){.count = PLAIN_COUNT};
    p->all[AFTER].name = "created_after";
    p->all[BEFORE].name = "created_before";
    p->all[FIELDS].name = "fields";
    p->all[LIMIT].name = "limit";
    p->all[CURSOR].name = "cursor";
    if (resource->sorts)
        p->sort = parameter_add(p, "sort");
    if (resource->status_parse)
        p->status = parameter_add(p, "status");
    p->filters_at = p->count;
    for (const struct list_filter *f = resource->filters; f && f->name; f++)
        parameter_add(p, f->name);
    if (!exchange_query(x, p->all, p->count, fault))
        return false;
    for (size_t i = 0; i < p->count; i++)
        if (p->all[i].value && !*p->all[i].value)
            return fault_set(fault, FAULT_INVALID, "%s is empty; leave it out.", p->all[i].name);
    return true;
}

static void set_filters(const struct resource *resource, const struct parameters *p, struct list_query *query)
{
    for (size_t i = p->filters_at; i < p->count; i++) {
        char *member = (char *)query + resource->filters[i - p->filters_at].at;
        memcpy(member, &p->all[i].value, sizeof(p->all[i].value));
    }
}

bool list_request_parse(struct exchange *x, const struct resource *resource, struct list_request *ret,
                        struct fault *fault)
{
    struct list_request r = {.resource = resource, .query = {.status = -1}};
    struct parameters p;

    if (!parameters_read(x, resource, &p, fault))
        return false;
    set_filters(resource, &p, &r.query);
    if (!parse_status(resource, p.status ? p.status->value : NULL, &r.query, fault) ||
        !parse_time("created_after", p.all[AFTER].value, &r.query.created_after_ms, fault) ||
        !parse_time("created_before", p.all[BEFORE].value, &r.query.created_before_ms, fault) ||
        !parse_sort(resource, p.sort ? p.sort->value : NULL, &r.query, fault) ||
        !members_parse(resource->members, p.all[FIELDS].value, &r.members, fault) ||
        !parse_limit(p.all[LIMIT].value, &r.limit, fault))
        return false;
    bind(x, resource, &p, r.binding);
    const char *cursor = p.all[CURSOR].value;
    if (cursor && r.limit == 0)
        return fault_set(fault, FAULT_INVALID, "cursor goes with limit.");
    if (cursor && !cursor_open(store_secret(x->services->store), span_of(cursor), r.binding, &r.position,
                               list_cursor_size(&r.query), fault))
        return false;
    for (size_t i = 0; i < p.count; i++)
        if (p.all[i].value && i != CURSOR)
            put_parameter(&r.kept, p.all[i].name, p.all[i].value);
    *ret = r;
    return true;
}
