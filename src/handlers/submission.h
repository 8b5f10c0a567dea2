/* What a submit's caller may say of how its job is run. */
#ifndef BAILIFF_HANDLERS_SUBMISSION_H
#define BAILIFF_HANDLERS_SUBMISSION_H

#include "bailiff/services.h"

/* Who submits, with which application, and the body's wishes:
 *   {"force": true, "timeout": "5m", "retries": {"max": 3, "on": ["timeout"]}}
 * each of which may be left out, like the body itself. INVALID: unknown members, or more than the operator allows. In wire taipy the
 * body is ignored. `ret->id` is left to the caller; texts live in `arena`. */
must_check bool submission_read(struct exchange *x, struct arena *arena, struct task_submission *ret,
                                struct fault *fault);

/* The digest by which limits count issuer and subject as one. */
void submitter_of(const struct exchange *x, uint8_t out[static SUBMITTER_SIZE]);

#endif
