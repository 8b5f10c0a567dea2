/* Changes that the job thread asks of the store without ever waiting for it. */
#include "jobs/thread.h"

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
    struct fault fault = {0};

    transition->jobs = jobs;
    transition->subject = subject;
    transition->finished = finished;
    transition->parcel.deliver = transition_deliver;
    change->class = CHANGE_JOB;
    change->done = transition_done;
    change->done_arg = transition;
    jobs->in_flight++;
    if (store_submit(jobs->store, change, &fault))
        return;
    change->ok = false;
    change->fault = fault;
    transition_done(change);
}
