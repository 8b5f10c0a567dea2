/* What handlers of single entities share. */
#include "handlers/entity.h"

#include <stdio.h>

#include "handlers/resource.h"

/* Sets ETag; true if If-None-Match has it. */
static bool not_modified(struct exchange *x, const char *etag)
{
    const struct header *h = exchange_header(x, "if-none-match");

    exchange_set_header(x, "ETag", arena_printf(&x->arena, "\"%s\"", etag));
    return h && exchange_header_count(x, "if-none-match") == 1 && etag_list_matches(h->value, etag, true);
}

static int64_t number_at(const char *row, size_t offset)
{
    int64_t number;

    memcpy(&number, row + offset, sizeof(number));
    return number;
}

enum { ENTITY_SIZE = 1000 }; /* most are smaller */

enum flow resource_get(struct exchange *x, const struct resource *resource)
{
    struct query_param params[] = {{"fields", NULL}};
    char *row = arena_alloc(&x->arena, resource->row_size);
    struct fault fault = {0};
    member_set members;
    char etag[ETAG_SIZE];

    if (!exchange_query(x, params, ARRAY_LEN(params), &fault) ||
        !members_parse(resource->members, params[0].value, &members, &fault) ||
        !resource->find(x->bench->reader, &x->scope, exchange_param(x, "id"), &x->arena, row, &fault))
        return exchange_fail(x, &fault);
    members_etag(number_at(row, resource->seq_at), number_at(row, resource->revision_at), members, x->wire, etag);
    uint32_t variant = resource->variant ? resource->variant(row) : 0;
    if (variant != 0)
        snprintf(etag + strlen(etag), sizeof(etag) - strlen(etag), ".%x", variant);
    if (not_modified(x, etag))
        return exchange_answer(x, 304);

    struct text json = {0};
    text_reserve(&json, ENTITY_SIZE);
    jw_open(&json, '{');
    jw_key(&json, resource->key);
    members_put(&json, resource->members, row, members, x->wire);
    jw_close(&json, '}');
    return exchange_answer_json(x, 200, &json);
}

int64_t resource_revision_matched(struct exchange *x, const struct resource *resource, const char *id)
{
    const int64_t ANY = -1, NONE = INT64_MAX; /* none: no revision that there is */
    const struct header *h = exchange_header(x, "if-match");
    char *row = arena_alloc(&x->arena, resource->row_size);
    char etag[ETAG_SIZE];

    if (!h)
        return ANY;
    if (exchange_header_count(x, "if-match") > 1)
        return NONE;
    if (!resource->find(x->bench->reader, &x->scope, id, &x->arena, row, NULL))
        return NONE; /* the writer says 404 first */
    int64_t revision = number_at(row, resource->revision_at);
    members_etag(number_at(row, resource->seq_at), revision, ALL_MEMBERS, x->wire, etag);
    return etag_list_matches(h->value, etag, false) ? revision : NONE;
}

bool body_object(struct exchange *x, json_t **ret_body, const char *what, struct fault *fault)
{
    own(json_freep) json_t *body = NULL;

    if (!exchange_json(x, &body, fault))
        return false;
    if (!json_is_object(body))
        return fault_set(fault, FAULT_INVALID, "%s must be a JSON object.", what);
    *ret_body = give(body);
    return true;
}

bool body_is_ignorable(struct exchange *x, struct fault *fault)
{
    own(json_freep) json_t *body = NULL;

    return x->body.len == 0 || body_object(x, &body, "The body", fault);
}
