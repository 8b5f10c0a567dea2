/* What handlers and middleware need from everywhere, filled by app. Nobody calls upwards.
 *
 * A `struct services` is made once and shared by all loops; snapshots in it are swapped whole and pinned by each exchange. A
 * `struct bench` belongs to one loop. */
#ifndef BAILIFF_SERVICES_H
#define BAILIFF_SERVICES_H

#include <pthread.h>
#include <stdatomic.h>

#include "bailiff/auth.h"
#include "bailiff/event_hub.h"
#include "bailiff/http.h"
#include "bailiff/jobs.h"
#include "bailiff/policy.h"
#include "bailiff/random.h"
#include "bailiff/store.h"

/* What SIGHUP replaces, as one counted whole. */
struct snapshot {
    unsigned references;
    uint64_t number; /* each that comes into force has the one after its predecessor's */
    struct policy *policy;
    struct verifier *verifier;
};
struct snapshot *snapshot_new(struct policy *policy, struct verifier *verifier); /* takes both over */
struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(void *s); /* void *: an exchange's cleanup */

struct rate_limits {
    unsigned address_requests_per_s, address_burst; /* 0: no limit */
    unsigned address_refusals_a_minute, address_refusals_burst;
    unsigned subject_requests_per_s, subject_burst;
    unsigned subject_concurrent;         /* exchanges of one subject at once */
    unsigned refusals_recorded_a_minute; /* singly, by address prefix and reason; the rest is one counted record */
};

struct submit_limits { /* of what a submit's caller may ask for */
    int64_t timeout_ms, retry_delay_ms;
    unsigned retries;
};

struct services {
    struct log *log;
    struct store *store;
    struct jobs *jobs;
    struct event_hub *hub;
    unsigned heartbeat_ms; /* of streams of events */
    const struct manifest *manifest;
    enum wire wire;
    const char *public_url; /* no trailing slash */
    const char *realm;
    const char *const *cors_origins;
    size_t cors_origin_count;
    struct rate_limits limits;
    struct submit_limits submit_limits;
    bool same_user;           /* /readyz says so */
    bool client_certificates; /* some listener takes them */
    /* When the first revocation list of the listeners expires, in wall-clock seconds: from then on its CA's clients are refused.
     * INT64_MAX: there is none. NULL: nobody looks. */
    const atomic_int_fast64_t *revocation_lists_until_s;
    struct refusal_ledger *refusals; /* middleware's: counts what is not recorded singly */
    struct quota_ledger *quotas;     /* middleware's: by address and by subject */
    struct keyring *keyring;         /* NULL: no keys are fetched */
    struct revocations *revocations; /* NULL: none are watched */
    struct inflight_keys *inflight;  /* middleware's: Idempotency-Keys in progress */
    pthread_mutex_t *snapshot_lock;
    struct snapshot **snapshot; /* the current one */
};
struct snapshot *services_pin(const struct services *services); /* any thread; unref it */

struct bench {
    struct store_reader *reader;
    struct token_cache *tokens;
    struct random_pool random; /* for request ids */
    struct snapshot *snapshot; /* this loop's latest: refreshed once a turn, so that pinning costs no lock */
};

#endif
