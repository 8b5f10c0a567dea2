/* Lists: whole ones streamed, or pages. Each step looks at a bounded number of rows, so that no list holds up the loop. */
#include "handlers/list_query.h"
#include "handlers/watch.h"

/* ---- whole lists ---- */

struct list_stream {
    struct body_source source;
    struct exchange *x;
    struct list_request request;
    struct arena arena; /* rows of one step */
    struct watch watch;
    bool begun, any; /* the opening bracket is out; a row is out */
};

static void stream_free(struct body_source *source)
{
    struct list_stream *s = container_of(source, struct list_stream, source);

    arena_done(&s->arena);
    free(s);
}

static bool put_step(struct exchange *x, struct list_request *r, size_t rows_max, struct arena *arena, struct text *out,
                     size_t *ret_count, struct fault *fault)
{
    const struct resource *resource = r->resource;
    char *rows = arena_alloc(arena, rows_max * resource->row_size);
    size_t count = 0;

    if (!resource->step(x->bench->reader, &x->scope, &r->query, &r->position, rows_max, arena, rows, &count, fault))
        return false;
    for (size_t i = 0; i < count; i++)
        members_put(out, resource->members, rows + i * resource->row_size, r->members, x->wire);
    *ret_count = count;
    return true;
}

static enum source_state stream_pull(struct body_source *source, struct text *out)
{
    struct list_stream *s = container_of(source, struct list_stream, source);
    struct exchange *x = s->x;
    struct fault fault = {0};
    /* a piece begins in the middle of the array: the writer places commas by the last byte it sees */
    own(text_done) struct text piece = {0};
    size_t count;

    if (!watch_allows(&s->watch, x))
        return SOURCE_FAILED;
    size_t skip = s->begun ? 1 : 0;
    text_append_str(&piece, s->any ? "}" : s->begun ? "[" : x->wire == WIRE_TAIPY ? "[" : "{\"results\":[");
    s->begun = true;
    bool ok = put_step(x, &s->request, LIST_STEP_ROWS, &s->arena, &piece, &count, &fault);
    arena_done(&s->arena);
    if (!ok) {
        x->fault = fault;
        return SOURCE_FAILED;
    }
    s->any |= count > 0;
    text_append(out, piece.data + skip, piece.len - skip);
    if (!s->request.position.ended)
        return SOURCE_MORE;
    text_append_str(out, x->wire == WIRE_TAIPY ? "]" : "]}");
    return SOURCE_END;
}

static enum flow answer_whole(struct exchange *x, const struct list_request *request)
{
    struct list_stream *s = xcalloc(1, sizeof(*s));

    s->source.pull = stream_pull;
    s->source.free = stream_free;
    s->x = x;
    s->request = *request;
    return exchange_answer_source(x, 200, "application/json; charset=utf-8", &s->source, -1);
}

/* ---- pages ---- */

struct page {
    struct list_request request;
    struct text rows; /* "[…" so far */
    unsigned count;
    bool full, more;           /* limit reached; and something matches behind it */
    struct list_position next; /* where the next page begins */
};

static void page_free(void *data)
{
    struct page *page = data;

    text_done(&page->rows);
    text_done(&page->request.kept);
}

static enum flow answer_page(struct exchange *x, struct page *page)
{
    struct text json = {0};
    own(text_done) struct text cursor = {0};

    if (x->wire == WIRE_TAIPY) {
        text_append(&json, page->rows.data, page->rows.len);
        text_append_char(&json, ']');
    } else {
        text_append_str(&json, "{\"results\":");
        text_append(&json, page->rows.data, page->rows.len);
        text_append_char(&json, ']');
    }
    if (page->more)
        cursor_seal(store_secret(x->services->store), &page->next, list_cursor_size(&page->request.query),
                    page->request.binding, &cursor);
    if (x->wire != WIRE_TAIPY) {
        jw_member_string(&json, "next", cursor.data);
        jw_close(&json, '}');
    }
    if (page->more) {
        own(text_done) struct text link = {0};
        text_printf(&link, "<%s%s?%scursor=%s>; rel=\"next\"", x->services->public_url, page->request.resource->path,
                    page->request.kept.data, cursor.data);
        exchange_set_header(x, "Link", link.data);
    }
    return exchange_answer_json(x, 200, &json);
}

/* One bounded step; true when the page is complete. */
static bool page_step(struct exchange *x, struct page *page, bool *ret_complete, struct fault *fault)
{
    struct list_request *r = &page->request;
    own(arena_done) struct arena arena = {0};
    size_t count = 0;

    if (!page->full) {
        size_t rows_max = MIN((size_t)(r->limit - page->count), (size_t)LIST_STEP_ROWS);
        if (!put_step(x, r, rows_max, &arena, &page->rows, &count, fault))
            return false;
        page->count += (unsigned)count;
        page->full = page->count == r->limit;
        page->next = r->position;
    } else { /* is there one more? */
        own(text_done) struct text unseen = {0};
        if (!put_step(x, r, LIST_STEP_ROWS, &arena, &unseen, &count, fault))
            return false;
        page->more = count > 0;
    }
    *ret_complete = r->position.ended || page->more;
    return true;
}

/* Steps until the page is complete, giving the loop back to others after a few. */
static enum flow page_go_on(struct exchange *x)
{
    enum { STEPS_A_TURN = 8 };
    struct page *page = x->handler_data;
    struct fault fault = {0};
    bool complete = false;

    for (int i = 0; i < STEPS_A_TURN && !complete; i++)
        if (!page_step(x, page, &complete, &fault))
            return exchange_fail(x, &fault);
    if (complete)
        return answer_page(x, page);
    ticket_complete(exchange_wait(x, page_go_on));
    return FLOW_WAIT;
}

enum flow resource_list(struct exchange *x, const struct resource *resource)
{
    struct list_request request;
    struct fault fault = {0};

    if (!list_request_parse(x, resource, &request, &fault))
        return exchange_fail(x, &fault);
    if (request.limit == 0) {
        text_done(&request.kept);
        return answer_whole(x, &request);
    }
    struct page *page = arena_alloc(&x->arena, sizeof(*page));
    page->request = request;
    text_append_char(&page->rows, '[');
    exchange_cleanup(x, page_free, page);
    x->handler_data = page;
    return page_go_on(x);
}
