/* What each JWA algorithm demands of key and signature: one constant table. Pure. */
#ifndef AUTH_ALGORITHM_H
#define AUTH_ALGORITHM_H

#include "bailiff/auth.h"

enum key_family { FAMILY_RSA, FAMILY_PSS, FAMILY_EC, FAMILY_EDDSA, FAMILY_HMAC };

struct algorithm {
    const char *name;
    enum key_family family;
    const char *digest; /* OpenSSL's name; NULL: the scheme hashes by itself */
    size_t digest_size;
    const char *curve;      /* EC: JWK's name */
    const char *group;      /* EC: OpenSSL's name */
    size_t coordinate_size; /* EC: bytes of r, s, x and y */
};
const struct algorithm *algorithm_get(enum jwt_algorithm a);

typedef unsigned algorithm_set; /* 1 << enum jwt_algorithm */
#define ALGORITHM_BIT(a) (1u << (a))
enum { ALGORITHMS_ALL = (1u << ALG_COUNT) - 1 };

algorithm_set algorithms_of_family(enum key_family family);
/* "RS256, RS384": for messages */
void algorithms_text(algorithm_set set, struct text *out);

#endif
