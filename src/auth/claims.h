/* The claims of a token against what its issuer may say (RFC 7519 §4.1, RFC 8725 §3). Pure. */
#ifndef AUTH_CLAIMS_H
#define AUTH_CLAIMS_H

#include "auth/issuer.h"
#include "auth/value.h"

/* Everything but the roles, which cost allocations: before the signature is checked. */
must_check bool claims_judge(const struct issuer *issuer, const struct value *claims, const char *type, int64_t now_s,
                             struct fault *fault);
/* Who the token speaks of; for claims that were judged, and whose signature is good. */
must_check bool claims_identity(const struct issuer *issuer, const struct value *claims, struct identity **ret_identity,
                                struct fault *fault);
/* Roles by the issuer's pointers, prefix and mapping; sorted, without duplicates. */
must_check bool claims_roles(const struct issuer *issuer, const struct value *claims, struct identity *identity,
                             struct fault *fault);

static inline void identity_unrefp(struct identity **identity)
{
    identity_unref(*identity);
}

#endif
