/* The body against its row: how large it may be, and that it is JSON. */
#include "middleware/refusals.h"

static enum flow refuse(struct exchange *x, struct fault *fault, const char *reason)
{
    fault_detail(fault, "%s", reason);
    refusal_note(x, reason);
    return exchange_fail(x, fault);
}

static bool content_type_is_json(const struct exchange *x)
{
    const struct header *h = exchange_header(x, "content-type");

    if (!h || exchange_header_count(x, "content-type") > 1)
        return false;
    struct span rest = h->value, type, parameter;
    if (!span_cut(&rest, ';', &type) || !span_ieq(span_trim(type), SPAN("application/json")))
        return false;
    while (span_cut(&rest, ';', &parameter)) {
        struct span value = span_trim(parameter), name;
        if (value.len == 0)
            continue;
        if (span_cut(&value, '=', &name) && span_ieq(name, SPAN("charset")) && !span_ieq(value, SPAN("utf-8")) &&
            !span_ieq(value, SPAN("\"utf-8\"")))
            return false;
    }
    return true;
}

enum flow body_enter(struct exchange *x)
{
    struct fault fault = {0};

    if (x->body.len == 0 || route_is_builtin(x->route)) /* 404 and 405 say more than 413 */
        return FLOW_NEXT;
    if (x->body.len > x->route->body_max) {
        if (x->route->body_max == 0)
            fault_set(&fault, FAULT_TOO_LARGE, "This request takes no body.");
        else
            fault_set(&fault, FAULT_TOO_LARGE, "The body has %zu bytes; %zu are the limit.", x->body.len,
                      x->route->body_max);
        return refuse(x, &fault, "body too large");
    }
    if (!content_type_is_json(x)) {
        fault_set(&fault, FAULT_UNSUPPORTED_MEDIA, "A body must be application/json in UTF-8.");
        return refuse(x, &fault, "unsupported media type");
    }
    return FLOW_NEXT;
}
