/* What handlers of single entities share. */
#include "handlers/entity.h"

bool entity_not_modified(struct exchange *x, const char *etag)
{
    const struct header *h = exchange_header(x, "if-none-match");

    exchange_set_header(x, "ETag", arena_printf(&x->arena, "\"%s\"", etag));
    return h && exchange_header_count(x, "if-none-match") == 1 && etag_list_matches(h->value, etag, true);
}

bool body_is_ignorable(struct exchange *x, struct fault *fault)
{
    own(json_freep) json_t *body = NULL;

    if (x->body.len == 0)
        return true;
    if (!exchange_json(x, &body, fault))
        return false;
    if (!json_is_object(body))
        return fault_set(fault, FAULT_INVALID, "The body must be a JSON object.");
    return true;
}
