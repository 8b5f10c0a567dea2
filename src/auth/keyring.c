/* The keyring: who is asked, who waits, and the thread that fetches. */
#include "auth/keyring.h"

#include "auth/key_shelf.h"
#include "bailiff/clock.h"
#include "bailiff/thread.h"

bool keyring_new(const struct keyring_options *options, struct keyring **ret_keyring, struct fault *fault)
{
    struct keyring *k = xcalloc(1, sizeof(*k));

    k->folder = xstrdup(options->folder);
    k->log = options->log;
    k->changed = options->changed;
    k->changed_arg = options->changed_arg;
    pthread_mutex_init(&k->lock, NULL);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        fault_internal(fault, "libcurl cannot be initialized");
    else if (fetcher_new(&k->fetcher, fault)) {
        *ret_keyring = k;
        return true;
    }
    keyring_free(k);
    return false;
}

void keyring_free(struct keyring *k)
{
    if (!k)
        return;
    fetcher_free(k->fetcher);
    while (k->providers) {
        struct provider *p = k->providers;
        k->providers = p->next;
        provider_free(p);
    }
    pthread_mutex_destroy(&k->lock);
    free(k->folder);
    free(k);
}

/* ---- those who wait ---- */

/* Completes the tickets of those who came before `before_ms`. */
static void release(struct keyring *k, struct provider *p, int64_t before_ms)
{
    struct waiting **at = &p->waiting;

    while (*at) {
        struct waiting *w = *at;
        if (w->since_ms >= before_ms) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        ticket_complete(w->ticket);
        free(w);
        k->waiting_count--;
    }
}

static struct provider *find_provider(struct keyring *k, const char *issuer)
{
    for (struct provider *p = k->providers; p; p = p->next)
        if (!p->gone && strcmp(p->issuer->name, issuer) == 0)
            return p;
    return NULL;
}

bool keyring_ask(struct keyring *k, const char *issuer, struct ticket *ticket)
{
    int64_t now_ms = clock_mono_ms();
    LOCKED(k);
    struct provider *p = find_provider(k, issuer);

    if (!p || !k->started || k->stopping)
        return false;
    bool served = p->under_way && p->for_token;
    if (!p->waiting || (!served && !p->wanted))
        fetcher_wake(k->fetcher); /* it may have gone to sleep for longer than this token waits */
    p->wanted |= !served;
    if (k->waiting_count >= WAITING_MAX || (!served && provider_due_ms(p) - now_ms >= KEYRING_PATIENCE_MS))
        return false;
    struct waiting *w = xcalloc(1, sizeof(*w));
    *w = (struct waiting){p->waiting, ticket, now_ms};
    p->waiting = w;
    k->waiting_count++;
    return true;
}

/* ---- the issuers that are looked after ---- */

static bool is_listed(const struct verifier *v, const struct provider *p)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->items[i].issuer->fetched && strcmp(v->items[i].issuer->name, p->issuer->name) == 0)
            return true;
    return false;
}

static void drop_others(struct keyring *k, const struct verifier *v)
{
    struct provider **at = &k->providers;
    LOCKED(k);

    while (*at) {
        struct provider *p = *at;
        p->gone |= !is_listed(v, p);
        if (p->gone)
            release(k, p, INT64_MAX);
        if (p->gone && !p->under_way) {
            *at = p->next;
            provider_free(p);
        } else {
            at = &p->next;
        }
    }
}

/* Its keys, counted, or NULL. */
static struct key_bundle *look_after(struct keyring *k, struct issuer *issuer)
{
    struct provider *p = find_provider(k, issuer->name);
    bool is_new = !p;

    if (!p)
        p = provider_new(k, issuer);
    else if (p->issuer != issuer)
        provider_renew(k, p, issuer);
    LOCKED(k);
    if (is_new) {
        p->next = k->providers;
        k->providers = p;
    }
    return key_bundle_ref(p->keys);
}

struct verifier *keyring_equip(struct keyring *k, const struct verifier *v)
{
    struct verifier *equipped = verifier_copy(v);

    drop_others(k, v);
    for (size_t i = 0; i < equipped->count; i++) {
        struct trusted *t = &equipped->items[i];
        if (!t->issuer->fetched)
            continue;
        key_bundle_unref(t->keys);
        t->keys = look_after(k, t->issuer);
    }
    fetcher_wake(k->fetcher);
    return equipped;
}

size_t keyring_list(struct keyring *k, struct arena *arena, struct keyring_status **ret_rows)
{
    size_t count = 0;
    LOCKED(k);

    for (const struct provider *p = k->providers; p; p = p->next)
        count += !p->gone;
    struct keyring_status *rows = arena_alloc(arena, (count + 1) * sizeof(*rows));
    count = 0;
    for (const struct provider *p = k->providers; p; p = p->next) {
        if (p->gone)
            continue;
        rows[count++] = (struct keyring_status){
            .issuer = arena_strdup(arena, p->issuer->name),
            .keys = p->keys ? p->keys->set.count : 0,
            .fetched_at_ms = p->fetched_at_ms,
            .good_until_ms = p->keys ? key_bundle_good_until(p->keys) * 1000 : 0,
            .problem = p->problem[0] ? arena_strdup(arena, p->problem) : NULL,
        };
    }
    *ret_rows = rows;
    return count;
}

/* ---- the thread ---- */

/* Begins what is due, lets go who has waited long enough; says for how long there is nothing else to do. */
static int begin_due(struct keyring *k)
{
    int64_t now_ms = clock_mono_ms(), next_ms = now_ms + 60 * 1000;

    for (struct provider *p = k->providers; p; p = p->next) {
        release(k, p, now_ms - KEYRING_PATIENCE_MS + 1);
        for (const struct waiting *w = p->waiting; w; w = w->next)
            next_ms = MIN(next_ms, w->since_ms + KEYRING_PATIENCE_MS);
        if (p->gone || p->under_way)
            continue;
        if (provider_due_ms(p) <= now_ms)
            provider_begin(k, p, now_ms);
        if (!p->under_way)
            next_ms = MIN(next_ms, provider_due_ms(p));
    }
    return (int)MAX(next_ms - now_ms, (int64_t)1);
}

/* What has ended, and whose keys are new. Those who wait are let go when the new keys are in force. */
static bool take_ended(struct keyring *k)
{
    struct fetched fetched;
    bool fresh = false;

    while (fetcher_next(k->fetcher, &fetched)) {
        struct provider *p = fetched.owner;
        fresh |= provider_take(k, p, &fetched, clock_mono_ms());
        fetched_done(&fetched);
    }
    return fresh;
}

/* A fetch that began before somebody's key was asked for may have been answered before that key was published: it waits for the next. */
static void release_served(struct keyring *k)
{
    LOCKED(k);

    for (struct provider *p = k->providers; p; p = p->next)
        if (!p->under_way && !p->wanted)
            release(k, p, INT64_MAX);
}

/* Writes what is new to disk, without the lock: tokens that ask must not wait for a disk. False: there is nothing to write. */
static bool shelve_next(struct keyring *k)
{
    struct shelved shelved = {0};
    struct issuer *issuer = NULL;
    struct fault fault = {0};

    pthread_mutex_lock(&k->lock);
    for (struct provider *p = k->providers; p && !issuer; p = p->next) {
        if (!p->unshelved || !p->document.data)
            continue;
        issuer = issuer_ref(p->issuer);
        text_append_span(&shelved.document, text_span(&p->document));
        shelved.fetched_at_ms = p->fetched_at_ms;
        p->unshelved = false;
    }
    pthread_mutex_unlock(&k->lock);
    if (!issuer)
        return false;
    if (!key_shelf_put(k->folder, issuer, &shelved, &fault))
        log_write(k->log, LOG_WARNING, "keys.not_kept", "The keys of an issuer could not be kept for the next start.",
                  L_STR("issuer", issuer->name), L_STR("reason", fault.message));
    issuer_unref(issuer);
    text_done(&shelved.document);
    return true;
}

static void *run(void *arg)
{
    struct keyring *k = arg;

    pthread_mutex_lock(&k->lock);
    while (!k->stopping) {
        int timeout_ms = begin_due(k);
        pthread_mutex_unlock(&k->lock);
        fetcher_poll(k->fetcher, timeout_ms);
        if (take_ended(k) && k->changed)
            k->changed(k->changed_arg);
        release_served(k);
        while (shelve_next(k))
            ;
        pthread_mutex_lock(&k->lock);
    }
    for (struct provider *p = k->providers; p; p = p->next)
        release(k, p, INT64_MAX);
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

bool keyring_start(struct keyring *k, struct fault *fault)
{
    k->started = thread_begin(&k->thread, "keys", run, k) == 0;
    return k->started || fault_internal(fault, "the keyring's thread cannot be started");
}

void keyring_stop(struct keyring *k)
{
    if (!k || !k->started)
        return;
    pthread_mutex_lock(&k->lock);
    k->stopping = true;
    pthread_mutex_unlock(&k->lock);
    fetcher_wake(k->fetcher);
    pthread_join(k->thread, NULL);
    k->started = false;
}
