/* Verification with what the cache needs to know besides the identity. */
#ifndef AUTH_VERIFIER_H
#define AUTH_VERIFIER_H

#include "bailiff/auth.h"

/* verifier_check, and until when (wall clock, leeway included) the token is good. */
must_check bool verifier_judge(const struct verifier *v, struct span token, int64_t now_s,
                               struct identity **ret_identity, int64_t *ret_good_until_s, struct fault *fault);

#endif
