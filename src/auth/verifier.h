/* Verification with what the cache needs to know besides the identity. */
#ifndef AUTH_VERIFIER_H
#define AUTH_VERIFIER_H

#include "auth/issuer.h"
#include "auth/key_bench.h"

/* One issuer with its keys. */
struct trusted {
    struct issuer *issuer;   /* counted */
    struct key_bundle *keys; /* counted; NULL: not fetched yet */
};

struct verifier {
    unsigned references; /* atomic */
    size_t count;
    struct trusted items[];
};

/* A verifier that trusts the same issuers; the keys are to be filled in. */
struct verifier *verifier_copy(const struct verifier *v);

struct judgement {
    struct identity *identity;     /* counted */
    int64_t good_until_s;          /* wall clock, leeway included */
    const struct key_bundle *keys; /* the verifier's */
};
/* What a cache brings along; NULL: nobody has it. */
struct bench_of_cache {
    struct key_bench *keys;
    const uint8_t *sha256; /* of what was signed */
};
/* verifier_check with what the cache needs to know besides the identity. */
must_check bool verifier_judge(const struct verifier *v, struct span token, const struct bench_of_cache *bench,
                               int64_t now_s, struct judgement *ret, struct fault *fault);

/* Is the token presented with the certificate that it is bound to, if it is? Asked anew for each request: what was remembered of a
 * token says nothing about the connection that it comes by. */
must_check bool binding_holds(const struct identity *identity, const struct certificate *presented,
                              struct fault *fault);

#endif
