/* What handlers of single entities share. */
#ifndef BAILIFF_HANDLERS_ENTITY_H
#define BAILIFF_HANDLERS_ENTITY_H

#include "bailiff/http.h"

/* Sets ETag; true if If-None-Match has it: answer 304. */
bool entity_not_modified(struct exchange *x, const char *etag);
/* Taipy's clients may send a body where none is used: it must be a JSON object, and is not looked at. */
must_check bool body_is_ignorable(struct exchange *x, struct fault *fault);

#endif
