/* Setting the response. */
#include "http/parts.h"

/* Headers that describe the thing that was answered … */
static const char *const REPRESENTATION[] = {
    "Content-Type", "Content-Disposition", "ETag",          "Last-Modified",        "Location",
    "Link",         "Preference-Applied",  "Accept-Ranges", "Idempotency-Replayed",
};
/* … and those that say why nothing was. */
static const char *const REFUSAL[] = {"WWW-Authenticate", "Allow", "Retry-After"};

static void header_drop(struct header_list *list, const char *name)
{
    struct header *header = header_find(list, name);

    if (!header)
        return;
    size_t index = (size_t)(header - list->items);
    memmove(header, header + 1, (list->count - index - 1) * sizeof(*header));
    list->count--;
}

void exchange_set_header(struct exchange *x, const char *name, const char *value)
{
    struct header_list *list = &x->response.headers;
    struct header *header = header_find(list, name);

    if (!value) {
        header_drop(list, name);
        return;
    }
    if (!header) {
        if (list->count == list->cap) {
            size_t cap = list->cap ? 2 * list->cap : 16;
            struct header *items = arena_alloc(&x->arena, cap * sizeof(*items));
            if (list->count > 0)
                memcpy(items, list->items, list->count * sizeof(*items));
            list->items = items;
            list->cap = cap;
        }
        header = &list->items[list->count++];
        header->name = span_of(name);
    }
    /* A line break in a value would be a header of somebody else's (RFC 9110 §5.5 replaces it so, too). */
    char *copy = arena_strdup(&x->arena, value);
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    header->value = span_of(copy);
}

void response_drop_representation(struct exchange *x)
{
    for (size_t i = 0; i < ARRAY_LEN(REPRESENTATION); i++)
        header_drop(&x->response.headers, REPRESENTATION[i]);
}

void response_done(struct response *response)
{
    if (response->source)
        response->source->free(response->source);
    response->source = NULL;
    response->source_length = -1;
    text_done(&response->body);
}

void response_begin(struct exchange *x, int status)
{
    if (x->response.status != 0) {
        response_drop_representation(x);
        for (size_t i = 0; i < ARRAY_LEN(REFUSAL); i++)
            header_drop(&x->response.headers, REFUSAL[i]);
    }
    response_done(&x->response);
    x->response.status = status;
}

enum flow exchange_answer(struct exchange *x, int status)
{
    response_begin(x, status);
    return FLOW_ANSWERED;
}

enum flow exchange_answer_json(struct exchange *x, int status, struct text *json)
{
    struct text body = *json; /* first: it may be the response's own */

    *json = (struct text){0};
    response_begin(x, status);
    x->response.body = body;
    exchange_set_header(x, "Content-Type", "application/json; charset=utf-8");
    return FLOW_ANSWERED;
}

enum flow exchange_answer_source(struct exchange *x, int status, const char *content_type, struct body_source *source,
                                 int64_t length)
{
    response_begin(x, status);
    x->response.source = source;
    x->response.source_length = length;
    exchange_set_header(x, "Content-Type", content_type);
    return FLOW_ANSWERED;
}

/* One "Name: value" line; what is none is left out. */
static void set_line(struct exchange *x, struct span line)
{
    struct span name;

    if (!span_cut(&line, ':', &name) || !line.data || name.len == 0)
        return;
    for (size_t i = 0; i < name.len; i++)
        if (!is_token_char(name.data[i]))
            return;
    struct span value = span_trim(line);
    exchange_set_header(x, arena_strndup(&x->arena, name.data, name.len),
                        arena_strndup(&x->arena, value.data, value.len));
}

enum flow exchange_answer_stored(struct exchange *x, int status, const char *headers, const char *body, size_t body_len)
{
    struct span rest = span_of(headers), line;

    response_begin(x, status);
    while (span_cut(&rest, '\n', &line))
        set_line(x, line);
    if (body_len > 0)
        text_append(&x->response.body, body, body_len);
    return FLOW_ANSWERED;
}
