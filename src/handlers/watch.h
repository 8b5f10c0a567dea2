/* May a caller whose answer is still under way go on receiving it? */
#ifndef BAILIFF_HANDLERS_WATCH_H
#define BAILIFF_HANDLERS_WATCH_H

#include "bailiff/services.h"

/* Streams end when their token does, or within a moment of its revocation, or of a reload that takes its key, its issuer or its roles'
 * permission away. A value in the stream; zeroed at the start. */
struct watch {
    uint64_t epoch;  /* of the revocations when they were looked at last */
    uint64_t number; /* of the policy and keys by which it was allowed */
    int64_t until_s; /* wall clock; 0: it has not begun */
};
bool watch_allows(struct watch *w, const struct exchange *x);

#endif
