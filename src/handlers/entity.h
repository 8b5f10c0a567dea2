/* What handlers of single entities share. */
#ifndef BAILIFF_HANDLERS_ENTITY_H
#define BAILIFF_HANDLERS_ENTITY_H

#include "bailiff/services.h"

/* The body as a JSON object; what names it in the fault. */
must_check bool body_object(struct exchange *x, json_t **ret_body, const char *what, struct fault *fault);
/* Taipy's clients may send a body where none is used: it must be a JSON object, and is not looked at. */
must_check bool body_is_ignorable(struct exchange *x, struct fault *fault);

#endif
