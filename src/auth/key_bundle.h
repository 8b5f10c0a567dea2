/* The keys of one issuer as they were read together, counted: verifiers share them. Immutable, but for how long they are
 * good: a fetch that finds the same keys again prolongs them, and nothing need be made anew. Any thread. */
#ifndef AUTH_KEY_BUNDLE_H
#define AUTH_KEY_BUNDLE_H

#include "auth/key.h"

struct key_bundle {
    unsigned references;  /* atomic */
    int64_t good_until_s; /* atomic; wall clock; INT64_MAX: for good */
    struct key_set set;
};

/* Takes the keys over. */
struct key_bundle *key_bundle_new(struct key_set *keys, int64_t good_until_s);
struct key_bundle *key_bundle_ref(struct key_bundle *b); /* NULL stays NULL */
void key_bundle_unref(struct key_bundle *b);             /* NULL ok */
static inline void key_bundle_unrefp(struct key_bundle **b)
{
    key_bundle_unref(*b);
}

static inline int64_t key_bundle_good_until(const struct key_bundle *b)
{
    return __atomic_load_n(&b->good_until_s, __ATOMIC_RELAXED);
}
static inline void key_bundle_prolong(struct key_bundle *b, int64_t good_until_s)
{
    __atomic_store_n(&b->good_until_s, good_until_s, __ATOMIC_RELAXED);
}

/* The key that a token's header (alg, kid or NULL) leads to. The algorithm must be the key's own. */
must_check bool key_bundle_find(const struct key_bundle *b, enum jwt_algorithm algorithm, const char *id,
                                const struct key **ret_key, struct fault *fault);

#endif
