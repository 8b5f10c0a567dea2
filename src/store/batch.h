/* One transaction of the writer: all of its changes, or none of them. Writer thread only. */
#ifndef BAILIFF_STORE_BATCH_H
#define BAILIFF_STORE_BATCH_H

#include "store/txn.h"

/* What goes on from transaction to transaction. */
struct ledger {
    struct database *db;
    struct audit_walk head; /* as committed */
    uint8_t audit_key[AUDIT_KEY_SIZE];
    int64_t latest_ms;       /* the last change's time */
    struct clock_pair taken; /* when the last transaction was begun */
    int64_t
        clock_back_ms; /* by how much the clock was set back in the last transaction that was committed; 0: it was not */
    int64_t expire_again_ms; /* monotonic: when to look for expired answers */
    int64_t expire_events_again_ms;
    struct event_bounds event_bounds;
    unsigned idempotency_ttl_s, unfinished_jobs_max;
    unsigned savepoints_left; /* batches whose changes have savepoints */
    int checkpoint_error;     /* SQLite's reason why the WAL could not be brought into the database file; SQLITE_OK */
    int log_pages;            /* of the WAL */
    struct id_source ids;
    struct looker *looker;
    struct job_event *events; /* of the last transaction that was committed */
    size_t event_count, event_cap;
};

/* Runs and commits the linked changes; each has its ok, fault and answer afterwards. False: nothing of them happened, each has
 * failed with UNAVAILABLE, and fault says why. */
must_check bool batch_run(struct ledger *ledger, struct change *first, struct fault *fault);
/* Brings the WAL into the database file whenever it is long enough, and remembers what came of it; the ledger must stay where it is. */
void batch_watch_log(struct ledger *ledger);
/* A small transaction of no consequence: can we write? */
must_check bool batch_probe(struct ledger *ledger, struct fault *fault);

#endif
