/* What lists and reads of single entities have in common: a resource by a table, one implementation for all of them. */
#ifndef BAILIFF_HANDLERS_RESOURCE_H
#define BAILIFF_HANDLERS_RESOURCE_H

#include "bailiff/services.h"
#include "handlers/members.h"

enum { LIST_STEP_ROWS = 128 };

struct resource {
    const char *path; /* "/api/v1/tasks/" */
    const char *key;  /* "task": the member that holds one */
    const struct member_table *members;
    size_t row_size, seq_at, revision_at; /* of the entity's struct, and of these members in it */
    bool of_jobs;                         /* its list has ?status= and ?task_id= */
    const char *const
        *sorts; /* names for ?sort=, in the order of enum list_sort; NULL-terminated. NULL: an entity without
                                             configuration, owner and version; its list has no filters but the times, and one order */
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

#endif
