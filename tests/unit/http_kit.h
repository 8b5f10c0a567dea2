/* What the tests of http share: cmocka, and exchanges without a server. */
#ifndef HTTP_KIT_H
#define HTTP_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "bailiff/http.h"

#define assert_span(s, text)                                    \
    do {                                                        \
        struct span kit_span = (s);                             \
        assert_int_equal(kit_span.len, strlen(text));           \
        assert_memory_equal(kit_span.data, text, kit_span.len); \
    } while (0)

/* Adds a request header; name and value must outlive the exchange. */
static inline void kit_request_header(struct exchange *x, const char *name, const char *value)
{
    struct header_list *list = &x->request_headers;

    if (list->count == list->cap) {
        struct header *items = arena_alloc(&x->arena, (list->cap + 8) * sizeof(*items));
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof(*items));
        list->items = items;
        list->cap += 8;
    }
    list->items[list->count++] = (struct header){span_of(name), span_of(value)};
}

/* The value of a response header; NULL: there is none; more than one fails. */
static inline const char *kit_response_header(const struct exchange *x, const char *name)
{
    const char *found = NULL;

    for (size_t i = 0; i < x->response.headers.count; i++) {
        if (span_ieq(x->response.headers.items[i].name, span_of(name))) {
            assert_null(found);
            found = x->response.headers.items[i].value.data;
        }
    }
    return found;
}

/* For an exchange that never went through a chain. */
static inline void kit_exchange_done(struct exchange *x)
{
    static const struct chain none = {0};

    x->chain = &none;
    chain_finish(x);
}

#endif
