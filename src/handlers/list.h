/* Lists: whole ones streamed in constant memory, or pages with a cursor. One implementation for every resource. */
#ifndef BAILIFF_HANDLERS_LIST_H
#define BAILIFF_HANDLERS_LIST_H

#include "bailiff/services.h"
#include "handlers/members.h"

enum { LIST_STEP_ROWS = 128 };

struct list_resource {
    const char *path;      /* "/api/v1/tasks/" */
    const struct member_table *members;
    size_t row_size;
    bool of_jobs;          /* has ?status= and ?task_id= */
    const char *const *sorts; /* names for ?sort=, in the order of enum list_sort; NULL-terminated. NULL: an entity without
                                 configuration, owner and version; its list has no filters but the times, and one order */
    bool (*step)(struct store_reader *reader, const struct scope *scope, const struct list_query *query,
                 struct list_position *position, size_t rows_max, struct arena *arena, void *ret_rows, size_t *ret_count,
                 struct fault *fault);
};

enum flow list_answer(struct exchange *x, const struct list_resource *resource);

#endif
