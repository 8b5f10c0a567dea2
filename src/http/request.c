/* Reading a request: headers, path parameters, body. */
#include "http/parts.h"

bool is_token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

struct header *header_find(const struct header_list *list, const char *name)
{
    const struct span wanted = span_of(name);

    for (size_t i = 0; i < list->count; i++)
        if (span_ieq(list->items[i].name, wanted))
            return &list->items[i];
    return NULL;
}

const struct header *exchange_header(const struct exchange *x, const char *name)
{
    return header_find(&x->request_headers, name);
}

size_t exchange_header_count(const struct exchange *x, const char *name)
{
    const struct span wanted = span_of(name);
    size_t count = 0;

    for (size_t i = 0; i < x->request_headers.count; i++)
        count += span_ieq(x->request_headers.items[i].name, wanted);
    return count;
}

const char *exchange_param(const struct exchange *x, const char *name)
{
    for (size_t i = 0; i < ROUTE_PARAMS_MAX && x->params[i].name; i++)
        if (strcmp(x->params[i].name, name) == 0)
            return x->params[i].value;
    return NULL;
}

bool exchange_json(struct exchange *x, json_t **ret_body, struct fault *fault)
{
    if (x->body.len == 0)
        return fault_set(fault, FAULT_INVALID, "The body is empty; a JSON document is expected.");
    return json_read(x->body, "The body", ret_body, fault);
}
