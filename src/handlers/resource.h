/* What lists and reads of single entities have in common: a resource by a table, one implementation for all of them. */
#ifndef BAILIFF_HANDLERS_RESOURCE_H
#define BAILIFF_HANDLERS_RESOURCE_H

#include "bailiff/services.h"
#include "handlers/members.h"

enum { LIST_STEP_ROWS = 128 };

struct list_filter { /* ?name=text */
    const char *name;
    size_t at; /* of the member in struct list_query that takes it */
};
enum { LIST_FILTERS_MAX = 8 };

struct resource {
    const char *path; /* "/api/v1/tasks/" */
    const char *key;  /* "task": the member that holds one */
    const struct member_table *members;
    size_t row_size, seq_at, revision_at; /* of the entity's struct, and of these members in it */
    uint32_t (*variant)(
        const void *row); /* what changes without a revision of its own, for the ETag; NULL: nothing does */
    const struct list_filter
        *filters; /* of its list, besides those that all lists have; the last has no name. NULL: none */
    bool (*status_parse)(const char *value, int *ret); /* of ?status=; NULL: it has none */
    const char *const *sorts; /* names for ?sort=, in the order of enum list_sort; NULL-terminated. NULL: one order */
    bool (*step)(struct store_reader *reader, const struct scope *scope, const struct list_query *query,
                 struct list_position *position, size_t rows_max, struct arena *arena, void *ret_rows,
                 size_t *ret_count, struct fault *fault);
    bool (*find)(struct store_reader *reader, const struct scope *scope, const char *id, struct arena *arena,
                 void *ret_row, struct fault *fault);
};

/* The whole list, streamed; or a page, if ?limit= is given. */
enum flow resource_list(struct exchange *x, const struct resource *resource);
/* The one that {id} names, with its ETag; 304 if the caller has it. */
enum flow resource_get(struct exchange *x, const struct resource *resource);
/* The revision that If-Match allows, for the writer to test against the current one; -1: any. */
int64_t resource_revision_matched(struct exchange *x, const struct resource *resource, const char *id);

#endif
