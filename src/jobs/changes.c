/* Changes that the job thread asks of the store without ever waiting for it. What one turn asks for goes there
 * together: the end of one attempt and the start of the next are one transaction. */
#include "bailiff/clock.h"
#include "jobs/thread.h"

/* Of group commit: how many attempts must be about to end, which is to say, begin just now or have begun so shortly ago; and how long an end
 * waits for them at most. */
enum { COMPANY_MIN = 3, COMPANY_AGE_MS = 8, COMPANY_WAIT_US = 2000 };

static void transition_deliver(struct parcel *parcel)
{
    struct transition *transition = container_of(parcel, struct transition, parcel);

    transition->jobs->in_flight--;
    transition->finished(transition->jobs, transition->subject, transition->change);
    free(transition);
}

/* Writer thread. */
static void transition_done(struct change *change)
{
    struct transition *transition = change->done_arg;

    transition->change = change;
    /* Not jobs_post: the thread does not end before everything in flight has come back. */
    inbox_post(transition->jobs->inbox, &transition->parcel);
}

void transition_submit(struct jobs *jobs, struct change *change, void *subject,
                       void (*finished)(struct jobs *jobs, void *subject, struct change *change))
{
    struct transition *transition = xcalloc(1, sizeof *transition);

    transition->jobs = jobs;
    transition->subject = subject;
    transition->finished = finished;
    transition->parcel.deliver = transition_deliver;
    change->class = CHANGE_JOB;
    change->done = transition_done;
    change->done_arg = transition;
    change->next = NULL;
    jobs->in_flight++;
    if (!jobs->changes)
        jobs->changes_us = clock_mono_us();
    *(jobs->changes ? jobs->changes_end : &jobs->changes) = change;
    jobs->changes_end = &change->next;
}

/* A transaction of eight changes costs little more than one of a single change. Where short attempts end one after the other, the first
 * waits for others, until as many have ended as are still to: so one half is written while the other half runs, and neither the disk nor the
 * processors wait. An attempt that runs alone, or beside long ones, waits for nobody. */
static bool company_comes(const struct jobs *jobs, int64_t now_us)
{
    unsigned coming = 0;

    if (jobs->stopping || jobs->ends_waiting == 0 || now_us - jobs->changes_us >= COMPANY_WAIT_US)
        return false;
    for (const struct attempt *attempt = jobs->attempts; attempt; attempt = attempt->next)
        coming += attempt->phase == PHASE_STARTING ||
                  (attempt->phase == PHASE_RUNNING && attempt->started_ms + COMPANY_AGE_MS > now_us / 1000);
    coming -= jobs->starts_waiting;
    return coming >= COMPANY_MIN && jobs->ends_waiting < coming;
}

void transitions_flush(struct jobs *jobs)
{
    struct change *first = jobs->changes;
    struct fault fault = {0};

    if (first && company_comes(jobs, clock_mono_us()))
        return;
    jobs->changes = NULL;
    jobs->starts_waiting = jobs->ends_waiting = 0;
    if (!first || store_submit_all(jobs->store, first, &fault))
        return;
    while (first) {
        struct change *change = first;
        first = first->next;
        change->ok = false;
        change->fault = fault;
        transition_done(change);
    }
}
