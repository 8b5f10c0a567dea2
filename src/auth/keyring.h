/* The keyring's own parts. `lock` guards providers and what they hold, but for what says otherwise. Loops ask under it: nobody
 * reads keys or files meanwhile. Which providers there are, and their issuers, is changed by keyring_equip alone; it may look at
 * these without the lock. What is under way is never freed. */
#ifndef AUTH_KEYRING_H
#define AUTH_KEYRING_H

#include <pthread.h>

#include "auth/fetcher.h"
#include "auth/verifier.h"

enum { WAITING_MAX = 4096, REFRESH_DEFAULT_MS = 600 * 1000, REFRESH_MIN_MS = 60 * 1000, BACK_OFF_MAX_MS = 300 * 1000 };

struct waiting { /* a token that waits for its key */
    struct waiting *next;
    struct ticket *ticket;
    int64_t since_ms; /* monotonic */
};

struct provider {
    struct provider *next;
    struct issuer *issuer;   /* counted */
    struct key_bundle *keys; /* counted; NULL: none yet */
    struct text document;    /* the JWK Set that they are from */
    int64_t fetched_at_ms;   /* wall clock; 0: never */
    char *jwks_uri;          /* as the metadata said last; NULL: ask it again */
    bool gone;               /* not configured any more; freed when nothing is under way */

    bool unshelved; /* the keys are not on disk yet */
    bool under_way;
    bool discard;            /* what is under way is not wanted any more */
    bool of_metadata;        /* what is under way */
    bool for_token;          /* somebody's key was unknown when it began */
    bool wanted;             /* the same for the next one */
    int64_t due_ms;          /* monotonic: the next fetch */
    int64_t asked_ms;        /* monotonic: the latest fetch for a token's sake began; INT64_MIN: never */
    unsigned failures;       /* in a row */
    char problem[256];       /* of the latest fetch; "": none */
    struct waiting *waiting; /* the latest first */
};

struct keyring {
    char *folder;
    struct log *log;
    void (*changed)(void *arg);
    void *changed_arg;
    pthread_mutex_t lock;
    pthread_t thread;
    bool started, stopping;
    struct fetcher *fetcher; /* the thread's, but for waking it */
    struct provider *providers;
    size_t waiting_count;
};

static inline void keyring_unlock(struct keyring **k)
{
    pthread_mutex_unlock(&(*k)->lock);
}
#define LOCKED(k)                                             \
    own(keyring_unlock) struct keyring *locked_keyring = (k); \
    pthread_mutex_lock(&locked_keyring->lock)

/* provider.c, without the lock: reading keys may take long */
/* With the keys that were kept; not among the keyring's yet. */
struct provider *provider_new(const struct keyring *k, struct issuer *issuer);
/* The issuer was configured anew: its keys are judged by the new rules, if they are from the same address. */
void provider_renew(struct keyring *k, struct provider *p, struct issuer *issuer);
/* Goes on with what came; true: new keys are there. */
bool provider_take(struct keyring *k, struct provider *p, struct fetched *fetched, int64_t now_ms);

/* provider.c; under the lock */
void provider_free(struct provider *p);
/* When the next fetch may begin; monotonic. */
int64_t provider_due_ms(const struct provider *p);
/* Begins it. */
void provider_begin(struct keyring *k, struct provider *p, int64_t now_ms);

#endif
