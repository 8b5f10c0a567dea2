/* Keys that belong together, and finding one among them. */
#include "auth/key_bundle.h"

#include "auth/refusal.h"

struct key_bundle *key_bundle_new(struct key_set *keys, int64_t good_until_s)
{
    struct key_bundle *b = xcalloc(1, sizeof(*b));

    b->references = 1;
    b->good_until_s = good_until_s;
    b->set = *keys;
    *keys = (struct key_set){0};
    return b;
}

struct key_bundle *key_bundle_ref(struct key_bundle *b)
{
    if (b)
        __atomic_add_fetch(&b->references, 1, __ATOMIC_RELAXED);
    return b;
}

void key_bundle_unref(struct key_bundle *b)
{
    if (!b || __atomic_sub_fetch(&b->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    key_set_done(&b->set);
    free(b);
}

/* Without a kid the algorithm must lead to exactly one key: trying several would let the token choose. */
static bool find_only_key(const struct key_set *keys, enum jwt_algorithm algorithm, const struct key **ret_key,
                          struct fault *fault)
{
    const struct key *found = NULL;

    for (size_t i = 0; i < keys->count; i++) {
        const struct key *key = &keys->items[i];
        if (key->algorithm != algorithm)
            continue;
        if (found)
            return refuse(fault, REFUSED_NO_KEY);
        found = key;
    }
    if (!found)
        return refuse(fault, REFUSED_KEY_ALGORITHM);
    *ret_key = found;
    return true;
}

bool key_bundle_find(const struct key_bundle *b, enum jwt_algorithm algorithm, const char *id,
                     const struct key **ret_key, struct fault *fault)
{
    if (!id)
        return find_only_key(&b->set, algorithm, ret_key, fault);
    for (size_t i = 0; i < b->set.count; i++) {
        const struct key *key = &b->set.items[i];
        if (!key->any_id && !str_eq(key->id, id))
            continue;
        if (key->algorithm != algorithm)
            return refuse(fault, REFUSED_KEY_ALGORITHM);
        *ret_key = key;
        return true;
    }
    return refuse(fault, REFUSED_KEY);
}
