/* The last good key set of each issuer, on disk: keys/<SHA-256 of the issuer>.json. Blocking. */
#ifndef AUTH_KEY_SHELF_H
#define AUTH_KEY_SHELF_H

#include "auth/issuer.h"

struct shelved {
    struct text document;  /* the JWK Set, as it was published */
    int64_t fetched_at_ms; /* wall clock */
};
/* NOT_FOUND: there is none of this issuer from this address. */
must_check bool key_shelf_get(const char *folder, const struct issuer *issuer, struct shelved *ret,
                              struct fault *fault);
must_check bool key_shelf_put(const char *folder, const struct issuer *issuer, const struct shelved *shelved,
                              struct fault *fault);

#endif
