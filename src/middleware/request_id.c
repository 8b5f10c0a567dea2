/* The first stage: names the exchange, pins policy and keys for its whole life, sets what every answer carries. */
#include "bailiff/middleware.h"
#include "bailiff/random.h"

enum { CLIENT_REQUEST_ID_MAX = 128 };

static void read_client_request_id(struct exchange *x)
{
    const struct header *h = exchange_header(x, "x-request-id");

    if (!h || h->value.len > CLIENT_REQUEST_ID_MAX || !text_is_visible_ascii(h->value))
        return;
    x->client_request_id = arena_strndup(&x->arena, h->value.data, h->value.len);
    exchange_set_header(x, "X-Client-Request-Id", x->client_request_id);
}

static void read_traceparent(struct exchange *x)
{
    const struct header *h = exchange_header(x, "traceparent");
    struct span trace_id, parent_id;
    uint8_t flags;

    if (h && exchange_header_count(x, "traceparent") == 1 &&
        traceparent_read(h->value, &trace_id, &parent_id, &flags) == HEADER_OK)
        x->trace_id = arena_strndup(&x->arena, trace_id.data, trace_id.len);
}

enum flow request_id_enter(struct exchange *x)
{
    uuid7_pooled(&x->bench->random, x->request_id);
    x->wire = x->services->wire;
    x->snapshot = snapshot_ref(x->bench->snapshot);
    exchange_cleanup(x, snapshot_unref, x->snapshot);

    exchange_set_header(x, "X-Request-Id", x->request_id);
    exchange_set_header(x, "X-Content-Type-Options", "nosniff");
    if (x->route->needs != PERM_PUBLIC)
        exchange_set_header(x, "Cache-Control", "no-store");
    if (x->secure)
        exchange_set_header(x, "Strict-Transport-Security", HSTS_VALUE);
    read_client_request_id(x);
    read_traceparent(x);
    return FLOW_NEXT;
}
