/* Which job is next. The store says which ones wait; the queue, which of them may begin. */
#include "bailiff/clock.h"
#include "jobs/thread.h"

enum { LOAD_ROWS = 500 };

static unsigned limit_of(const struct jobs *jobs, const char *config_id)
{
    const struct task_config *config = manifest_task(jobs->manifest, config_id);

    return config ? config->concurrency : 0;
}

/* Of a retry's delay at most so much is left, whatever became of the clock since it was written down. */
static int64_t left_ms(const struct job *job)
{
    int64_t left = job->retry_at_ms - clock_wall_ms();

    return job->retry_at_ms == 0 ? 0 : MIN(MAX(left, 0), job->retry_delay_ms);
}

static void wait_for_turn(struct jobs *jobs, const struct queue_entry *entry, int64_t delay_ms)
{
    if (delay_ms > 0)
        queue_add_later(jobs->queue, entry, clock_mono_ms() + delay_ms);
    else
        queue_add(jobs->queue, entry);
}

bool dispatch_load(struct jobs *jobs, struct fault *fault)
{
    int64_t after_seq = 0;
    unsigned waiting = 0;
    size_t count = LOAD_ROWS;

    queue_free(jobs->queue);
    jobs->queue = queue_new(jobs->options.submitter_limit);
    while (count == LOAD_ROWS) {
        own(arena_done) struct arena arena = {0};
        struct job *rows = arena_alloc(&arena, LOAD_ROWS * sizeof *rows);

        if (!store_next_pending(jobs->reader, after_seq, LOAD_ROWS, &arena, rows, &count, fault))
            return false;
        for (size_t i = 0; i < count; i++) {
            struct queue_entry entry = {rows[i].seq, rows[i].id, rows[i].task_config_id,
                                        limit_of(jobs, rows[i].task_config_id), rows[i].submitter};
            wait_for_turn(jobs, &entry, left_ms(&rows[i]));
            after_seq = rows[i].seq;
        }
        waiting += (unsigned)count;
    }
    atomic_store(&jobs->queued, waiting);
    return true;
}

void dispatch_event(struct jobs *jobs, const struct job_event *event)
{
    if (event->status == event->before)
        return;
    if (event->before == JOB_PENDING)
        atomic_fetch_sub(&jobs->queued, 1);
    if (event->status != JOB_PENDING)
        return;
    atomic_fetch_add(&jobs->queued, 1);
    struct attempt *attempt = attempt_of_job(jobs, event->job_id);
    if (attempt) { /* the one that has just ended; it is forgotten in a moment */
        attempt->again = true;
        attempt->again_ms = event->retry_delay_ms > 0 ? clock_mono_ms() + event->retry_delay_ms : 0;
        return;
    }
    struct queue_entry entry = {event->seq, event->job_id, event->task_config_id, limit_of(jobs, event->task_config_id),
                                event->submitter};
    wait_for_turn(jobs, &entry, event->retry_delay_ms);
}

void dispatch(struct jobs *jobs, int64_t now_ms)
{
    struct queue_place place;

    queue_step(jobs->queue, now_ms);
    if (jobs->stopping || atomic_load(&jobs->paused) || atomic_load(&jobs->holding) ||
        jobs->client.state != CLIENT_READY || now_ms < jobs->dispatch_ms)
        return;
    while (jobs->occupied < jobs->workers && jobs->attempt_count < jobs->workers + BACKLOG_MAX &&
           queue_take(jobs->queue, &place))
        attempt_begin(jobs, &place);
}
