/* Data nodes: list, read, and the data itself. */
#include <errno.h>
#include <unistd.h>

#include "bailiff/handlers.h"
#include "handlers/entity.h"
#include "handlers/resource.h"
#include "handlers/submission.h"
#include "handlers/watch.h"

static bool step(struct store_reader *reader, const struct scope *scope, const struct list_query *query,
                 struct list_position *position, size_t rows_max, struct arena *arena, void *ret_rows,
                 size_t *ret_count, struct fault *fault)
{
    return store_list_data_nodes(reader, scope, query, position, rows_max, arena, ret_rows, ret_count, fault);
}

static bool find(struct store_reader *reader, const struct scope *scope, const char *id, struct arena *arena,
                 void *ret_row, struct fault *fault)
{
    return store_find_data_node(reader, scope, id, arena, ret_row, fault);
}

static const char *const SORTS[] = {"created_at", "id", "config_id", NULL};
static const struct list_filter FILTERS[] = {
    {"config_id", offsetof(struct list_query, config_id)},
    {"owner_id", offsetof(struct list_query, owner_id)},
    {"version", offsetof(struct list_query, version)},
    {NULL, 0},
};
static const struct resource RESOURCE = {
    .path = "/api/v1/datanodes/",
    .key = "datanode",
    .members = &DATA_NODE_MEMBERS,
    .row_size = sizeof(struct data_node),
    .seq_at = offsetof(struct data_node, seq),
    .revision_at = offsetof(struct data_node, revision),
    .filters = FILTERS,
    .sorts = SORTS,
    .step = step,
    .find = find,
};

enum flow datanodes_list(struct exchange *x)
{
    return resource_list(x, &RESOURCE);
}

enum flow datanodes_get(struct exchange *x)
{
    return resource_get(x, &RESOURCE);
}

/* ---- data ---- The value comes as a file of JSON from a Python worker: unpickling runs code. */

struct data_stream {
    struct body_source source;
    const struct exchange *x;
    struct watch watch;
    int fd;
    uint64_t left;
    bool opened;
};

static void data_free(struct body_source *source)
{
    struct data_stream *s = container_of(source, struct data_stream, source);

    closep(&s->fd);
    free(s);
}

static enum source_state data_pull(struct body_source *source, struct text *out)
{
    struct data_stream *s = container_of(source, struct data_stream, source);
    char piece[16384];

    if (!watch_allows(&s->watch, s->x))
        return SOURCE_FAILED;
    if (!s->opened) {
        text_append_str(out, "{\"data\":");
        s->opened = true;
    }
    if (s->left == 0) {
        text_append_char(out, '}');
        return SOURCE_END;
    }
    ssize_t n;
    do
        n = read(s->fd, piece, MIN(s->left, (uint64_t)sizeof(piece)));
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return SOURCE_FAILED; /* shorter than it was: better no answer than half of one */
    text_append(out, piece, (size_t)n);
    s->left -= (uint64_t)n;
    return SOURCE_MORE;
}

static enum flow data_read(struct exchange *x)
{
    struct data_reading *reading = exchange_payload(x);

    if (!reading->ok)
        return exchange_fail(x, &reading->fault);
    struct data_stream *s = xcalloc(1, sizeof(*s));
    s->source.pull = data_pull;
    s->source.free = data_free;
    s->x = x;
    s->fd = reading->fd;
    reading->fd = -1;
    s->left = reading->size;
    return exchange_answer_source(x, 200, "application/json; charset=utf-8", &s->source,
                                  (int64_t)(reading->size + strlen("{\"data\":}")));
}

static bool read_filter(struct exchange *x, const char **ret_filter, struct fault *fault)
{
    own(json_freep) json_t *body = NULL;

    *ret_filter = NULL;
    if (x->body.len == 0)
        return true;
    if (!body_object(x, &body, "The filter", fault))
        return false;
    if (json_object_size(body) > 0)
        *ret_filter = arena_strndup(&x->arena, x->body.data, x->body.len);
    return true;
}

enum flow datanodes_read(struct exchange *x)
{
    struct fault fault = {0};
    struct data_node node;
    const char *filter;
    uint8_t reader[SUBMITTER_SIZE];

    if (!exchange_query(x, NULL, 0, &fault) || !read_filter(x, &filter, &fault) ||
        !store_find_data_node(x->bench->reader, &x->scope, exchange_param(x, "id"), &x->arena, &node, &fault))
        return exchange_fail(x, &fault);
    if (node.last_edit_ms == 0) { /* never written: as Taipy says it */
        struct text json = {0};
        text_append_str(&json, "{\"data\":null}");
        return exchange_answer_json(x, 200, &json);
    }
    struct ticket *ticket = exchange_wait(x, data_read);
    submitter_of(x, reader);
    if (!jobs_read_data(x->services->jobs, &node, reader, filter, ticket, &fault)) {
        struct data_reading *reading = xcalloc(1, sizeof(*reading));
        reading->fault = fault;
        reading->fd = -1;
        ticket_set_payload(ticket, reading, free);
        ticket_complete(ticket);
    }
    return FLOW_WAIT;
}
