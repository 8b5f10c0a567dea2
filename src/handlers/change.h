/* A handler's change on its way to the writer and back. */
#ifndef BAILIFF_HANDLERS_CHANGE_H
#define BAILIFF_HANDLERS_CHANGE_H

#include "handlers/resource.h"

/* What every change's apply and render know of their request; first member of each handler's own input. */
struct change_input {
    enum wire wire;
    struct scope scope;
    const char *request_id, *subject;
    void (*committed)(
        const struct change *change); /* NULL, or: the writer thread calls it once the change is durable */
};

/* A new change with an input of this size (its first member is a struct change_input, filled in), in the change's arena. */
struct change *change_begin(const struct exchange *x, size_t input_size);
/* Hands it to the writer and waits. Then: `finish`, if it succeeded (NULL: sends the rendered answer); a fault is answered as a
 * problem; a replay as it was stored. The change is the exchange's payload. */
enum flow change_commit(struct exchange *x, struct change *change, const char *action, const char *target,
                        exchange_fn finish);
enum flow change_send_answer(struct exchange *x); /* the rendered answer of the payload */

/* For render functions, on the writer thread. */
void change_render_fault(struct change *change);                               /* when !change->ok */
void change_render_json(struct change *change, int status, struct text *json); /* takes the text over */
void change_render_message(struct change *change, int status, const char *text);
/* 201 {"message": "Task was created.", "task": …} with Location and ETag. */
void change_render_created(struct change *change, const struct resource *resource, const char *id, const void *entity);
void change_render_header(struct change *change, const char *name, const char *value);

#endif
