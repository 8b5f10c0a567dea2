/* The parameters of a list. */
#ifndef BAILIFF_HANDLERS_LIST_QUERY_H
#define BAILIFF_HANDLERS_LIST_QUERY_H

#include "handlers/resource.h"

struct list_request { /* strings belong to the exchange */
    const struct resource *resource;
    struct list_query query;
    struct list_position position; /* from the cursor; zeroed: the beginning */
    member_set members;
    unsigned limit; /* 0: the whole list */
    uint8_t binding[32];
    struct text kept; /* the parameters but for the cursor, as a query that ends with '&'; the caller's to free */
};
must_check bool list_request_parse(struct exchange *x, const struct resource *resource, struct list_request *ret,
                                   struct fault *fault);

/* How much of a position a cursor carries: the sort key only where there is one. */
size_t list_cursor_size(const struct list_query *query);

#endif
