/* Cross-origin requests, for the origins in cors.origins only (the Fetch standard's CORS protocol). */
#include "bailiff/middleware.h"

static bool origin_allowed(const struct services *services, struct span origin)
{
    for (size_t i = 0; i < services->cors_origin_count; i++)
        if (span_is(origin, services->cors_origins[i]))
            return true;
    return false;
}

static const struct header *allowed_origin(const struct exchange *x)
{
    const struct header *origin = exchange_header(x, "origin");

    return origin && exchange_header_count(x, "origin") == 1 && origin_allowed(x->services, origin->value) ? origin
                                                                                                           : NULL;
}

static bool is_preflight(const struct exchange *x)
{
    return x->method == OPTIONS && exchange_header(x, "access-control-request-method");
}

/* A preflight carries no token, by the standard: it is answered before one is asked for, and says nothing but which methods the row has. */
enum flow preflight_enter(struct exchange *x)
{
    own(text_done) struct text methods = {0};

    if (!is_preflight(x) || !allowed_origin(x) || x->allow == 0)
        return FLOW_NEXT;
    route_allow_text(x->allow, &methods);
    exchange_set_header(x, "Access-Control-Allow-Methods", methods.data ? methods.data : "");
    exchange_set_header(x, "Access-Control-Allow-Headers",
                        "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer, X-Request-Id, "
                        "traceparent");
    exchange_set_header(x, "Access-Control-Max-Age", "600");
    return exchange_answer(x, 204);
}

enum flow cors_leave(struct exchange *x)
{
    if (x->services->cors_origin_count == 0)
        return FLOW_NEXT;
    exchange_set_header(x, "Vary", "Origin");
    const struct header *origin = allowed_origin(x);
    if (!origin)
        return FLOW_NEXT;
    exchange_set_header(x, "Access-Control-Allow-Origin",
                        arena_strndup(&x->arena, origin->value.data, origin->value.len));
    exchange_set_header(x, "Access-Control-Expose-Headers",
                        "ETag, Idempotency-Replayed, Link, Location, Preference-Applied, Retry-After, "
                        "WWW-Authenticate, X-Client-Request-Id, X-Request-Id");
    return FLOW_NEXT;
}
