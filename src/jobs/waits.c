/* Requests that wait for a job's end. */
#include <stdio.h>

#include "bailiff/clock.h"
#include "jobs/thread.h"

enum { CHECK_EVERY_MS = 50 };

static struct wait **bucket_of(struct jobs *jobs, const char *job_id)
{
    uint32_t hash = 2166136261u;

    for (const char *c = job_id; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    return &jobs->waits[hash % ARRAY_LEN(jobs->waits)];
}

static void complete(struct jobs *jobs, struct wait **place)
{
    struct wait *wait = *place;

    *place = wait->next;
    jobs->wait_count--;
    ticket_complete(wait->ticket);
    free(wait);
}

static void wait_deliver(struct parcel *parcel)
{
    struct wait *wait = container_of(parcel, struct wait, parcel);
    struct jobs *jobs = wait->jobs;
    struct wait **place = bucket_of(jobs, wait->job_id);
    own(arena_done) struct arena arena = {0};
    struct job job;

    wait->next = *place;
    *place = wait;
    jobs->wait_count++;
    /* Its end may have come before this; and a job that cannot be found will never end. */
    const struct scope everything = {.everything = true};
    if (jobs->stopping || !jobs->reader ||
        !store_find_job(jobs->reader, &everything, wait->job_id, &arena, &job, NULL) || job_status_final(job.status))
        complete(jobs, place);
}

void jobs_wait(struct jobs *jobs, const char *job_id, unsigned timeout_ms, struct ticket *ticket)
{
    struct wait *wait = xcalloc(1, sizeof *wait);

    wait->parcel.deliver = wait_deliver;
    wait->jobs = jobs;
    wait->ticket = ticket;
    wait->deadline_ms = clock_mono_ms() + timeout_ms;
    snprintf(wait->job_id, sizeof wait->job_id, "%s", job_id);
    if (jobs_post(jobs, &wait->parcel))
        return;
    ticket_complete(ticket);
    free(wait);
}

void waits_job_ended(struct jobs *jobs, const char *job_id)
{
    for (struct wait **place = bucket_of(jobs, job_id); *place;)
        if (strcmp((*place)->job_id, job_id) == 0)
            complete(jobs, place);
        else
            place = &(*place)->next;
}

void waits_step(struct jobs *jobs, int64_t now_ms)
{
    if (jobs->wait_count == 0 || now_ms - jobs->waits_checked_ms < CHECK_EVERY_MS)
        return;
    jobs->waits_checked_ms = now_ms;
    for (size_t i = 0; i < ARRAY_LEN(jobs->waits); i++)
        for (struct wait **place = &jobs->waits[i]; *place;)
            if (now_ms >= (*place)->deadline_ms || ticket_abandoned((*place)->ticket))
                complete(jobs, place);
            else
                place = &(*place)->next;
}

int64_t waits_timeout(const struct jobs *jobs, int64_t now_ms)
{
    int64_t left = jobs->waits_checked_ms + CHECK_EVERY_MS - now_ms;

    return jobs->wait_count == 0 ? -1 : left < 0 ? 0 : left;
}

void waits_done(struct jobs *jobs)
{
    for (size_t i = 0; i < ARRAY_LEN(jobs->waits); i++)
        while (jobs->waits[i])
            complete(jobs, &jobs->waits[i]);
}
