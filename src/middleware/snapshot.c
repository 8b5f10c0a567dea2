/* Snapshots: policy and keys as one counted whole, so that a reload never mixes an old policy with new keys. */
#include "bailiff/services.h"

struct snapshot *snapshot_new(struct policy *policy, struct verifier *verifier)
{
    struct snapshot *s = xmalloc(sizeof(*s));

    *s = (struct snapshot){.references = 1, .policy = policy, .verifier = verifier};
    return s;
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
    __atomic_add_fetch(&s->references, 1, __ATOMIC_RELAXED);
    return s;
}

void snapshot_unref(void *snapshot)
{
    struct snapshot *s = snapshot;

    if (!s || __atomic_sub_fetch(&s->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    policy_unref(s->policy);
    verifier_unref(s->verifier);
    free(s);
}

struct snapshot *services_pin(const struct services *services)
{
    pthread_mutex_lock(services->snapshot_lock);
    struct snapshot *s = snapshot_ref(*services->snapshot);
    pthread_mutex_unlock(services->snapshot_lock);
    return s;
}
