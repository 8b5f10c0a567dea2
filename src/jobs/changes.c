/* Changes that the job thread asks of the store without ever waiting for it. What one turn asks for goes there
 * together: the end of one attempt and the start of the next are one transaction. */
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

    transition->jobs = jobs;
    transition->subject = subject;
    transition->finished = finished;
    transition->parcel.deliver = transition_deliver;
    change->class = CHANGE_JOB;
    change->done = transition_done;
    change->done_arg = transition;
    change->next = NULL;
    jobs->in_flight++;
    *(jobs->changes ? jobs->changes_end : &jobs->changes) = change;
    jobs->changes_end = &change->next;
}

void transitions_flush(struct jobs *jobs)
{
    struct change *first = jobs->changes;
    struct fault fault = {0};

    jobs->changes = NULL;
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
