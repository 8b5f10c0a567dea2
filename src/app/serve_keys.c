/* Keys that are fetched: how they come into force. */
#include "app/serve.h"

static void swap_snapshot(struct serving *s, struct snapshot *fresh)
{
    struct snapshot *old;

    pthread_mutex_lock(&s->snapshot_lock);
    old = s->snapshot;
    fresh->number = old ? old->number + 1 : 0;
    __atomic_store_n(&s->snapshot, fresh, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&s->snapshot_lock);
    snapshot_unref(old);
}

static struct snapshot *equip(struct serving *s, const struct snapshot *from)
{
    return snapshot_new(policy_ref(from->policy), keyring_equip(s->keyring, from->verifier));
}

/* On the keyring's thread. The policy in force stays. */
static void keys_changed(void *arg)
{
    struct serving *s = arg;

    pthread_mutex_lock(&s->swap_lock);
    struct snapshot *current = services_pin(&s->services);
    swap_snapshot(s, equip(s, current));
    pthread_mutex_unlock(&s->swap_lock);
    snapshot_unref(current);
}

void serve_put_in_force(struct serving *s, struct snapshot *fresh)
{
    pthread_mutex_lock(&s->swap_lock);
    swap_snapshot(s, equip(s, fresh));
    pthread_mutex_unlock(&s->swap_lock);
    snapshot_unref(fresh);
}

bool serve_make_keyring(struct serving *s, struct fault *fault)
{
    const struct keyring_options options = {
        .folder = arena_printf(&s->arena, "%s/keys", s->config->store.folder),
        .log = s->log,
        .changed = keys_changed,
        .changed_arg = s,
    };

    return keyring_new(&options, &s->keyring, fault);
}
