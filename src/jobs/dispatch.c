/* Which job is next: PENDING ones in the order of their creation. Only a few ids are held here; the store has the
 * rest. */
#include "bailiff/clock.h"
#include "jobs/thread.h"

/* Takes the next ids from the store, but for those on their way already, whose new status may not be visible yet. */
static bool refill(struct jobs *jobs)
{
    int64_t after_seq = 0;

    jobs->pending_first = jobs->pending_count = 0;
    while (jobs->pending_more && jobs->pending_count == 0) {
        own(arena_done) struct arena arena = {0};
        struct job *rows = arena_alloc(&arena, PENDING_MAX * sizeof *rows);
        struct fault fault = {0};
        size_t count = 0;

        if (!store_next_pending(jobs->reader, after_seq, PENDING_MAX, &arena, rows, &count, &fault)) {
            log_write(jobs->log, LOG_ERROR, "jobs.queue", fault.message, L_STR("detail", fault.detail));
            return false;
        }
        jobs->pending_more = count == PENDING_MAX;
        for (size_t i = 0; i < count; i++) {
            after_seq = rows[i].seq;
            if (!attempt_of_job(jobs, rows[i].id))
                strcpy(jobs->pending[jobs->pending_count++], rows[i].id);
        }
    }
    /* Behind the last one there may be more, but only until an event says that there is something new before it. */
    atomic_store(&jobs->queued, (unsigned)jobs->pending_count);
    return true;
}

static const char *next_job(struct jobs *jobs)
{
    for (;;) {
        if (jobs->pending_count == 0 && (!jobs->pending_more || !refill(jobs) || jobs->pending_count == 0))
            return NULL;
        const char *id = jobs->pending[jobs->pending_first++];
        jobs->pending_count--;
        atomic_store(&jobs->queued, (unsigned)jobs->pending_count);
        if (!attempt_of_job(jobs, id))
            return id;
    }
}

void dispatch(struct jobs *jobs, int64_t now_ms)
{
    if (jobs->stopping || jobs->client.state != CLIENT_READY || now_ms < jobs->dispatch_ms)
        return;
    while (jobs->occupied < jobs->workers && jobs->attempt_count < jobs->workers + BACKLOG_MAX) {
        const char *id = next_job(jobs);
        if (!id)
            return;
        attempt_begin(jobs, id);
    }
}
