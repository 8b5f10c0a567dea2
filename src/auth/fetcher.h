/* Several HTTPS transfers at once on one thread, so that a slow provider holds up nobody but itself. */
#ifndef AUTH_FETCHER_H
#define AUTH_FETCHER_H

#include "auth/https.h"

struct fetcher;
must_check bool fetcher_new(struct fetcher **ret_fetcher, struct fault *fault);
void fetcher_free(struct fetcher *f); /* ends what is under way; NULL ok */

/* Begins to GET. */
must_check bool fetcher_get(struct fetcher *f, const struct https_target *target, void *owner, struct fault *fault);

struct fetched { /* a transfer that has ended; own(fetched_done) */
    void *owner;
    bool ok; /* status 200, and all of the body is here */
    struct fault fault;
    struct text body;
    int64_t max_age_s; /* -1: not said */
};
void fetched_done(struct fetched *fetched);
/* The next one that has ended; false: none. */
bool fetcher_next(struct fetcher *f, struct fetched *ret);
/* Goes on until something has ended or may have, at most timeout_ms. */
void fetcher_poll(struct fetcher *f, int timeout_ms);
void fetcher_wake(struct fetcher *f); /* any thread: ends fetcher_poll */

#endif
