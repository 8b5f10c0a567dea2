/* The job thread's loop: an inbox, the runner's socket, and the clock. It waits for nothing else. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "jobs/thread.h"

enum {
    TICK_MS = 1000,    /* for what need not be exact */
    TICK_BUSY_MS = 20, /* while something is about to happen that nobody announces */
    STOP_SLACK_MS = 20000,
};

int64_t jobs_backoff(unsigned *failures, int64_t now_ms)
{
    unsigned doublings = MIN(*failures, 10U);
    int64_t pause = (int64_t)RETRY_MIN_MS << doublings;

    (*failures)++;
    return now_ms + MIN(pause, (int64_t)RETRY_MAX_MS);
}

static int turn_timeout(struct jobs *jobs, int64_t now_ms)
{
    int64_t timeout = TICK_MS, wait = waits_timeout(jobs, now_ms);

    if (wait >= 0 && wait < timeout)
        timeout = wait;
    for (const struct attempt *attempt = jobs->attempts; attempt; attempt = attempt->next)
        if (attempt->phase == PHASE_UNSTORED && attempt->retry_ms - now_ms < timeout)
            timeout = attempt->retry_ms - now_ms;
    if (queue_due_ms(jobs->queue) - now_ms < timeout)
        timeout = queue_due_ms(jobs->queue) - now_ms;
    if (jobs->changes)
        timeout = MIN(timeout, 1); /* they wait for company */
    /* A child that is going, a connection to be made again, a dispatch put off. */
    if ((jobs->client.state == CLIENT_DOWN || jobs->stopping || jobs->dispatch_ms > now_ms) && timeout > TICK_BUSY_MS)
        timeout = TICK_BUSY_MS;
    return (int)(timeout < 0 ? 0 : timeout);
}

static void turn(struct jobs *jobs)
{
    struct client *client = &jobs->client;
    struct pollfd fds[] = {{.fd = jobs->wake, .events = POLLIN}, {.fd = -1}};
    uint64_t wakes;

    if (client->state != CLIENT_DOWN)
        fds[1] = (struct pollfd){.fd = client->link.fd, .events = link_events(&client->link)};
    if (poll(fds, ARRAY_LEN(fds), turn_timeout(jobs, clock_mono_ms())) < 0 && errno != EINTR)
        usleep(TICK_BUSY_MS * 1000); /* the kernel has no memory for it: do not ask without a pause */
    /* Whatever the completions speak of is to be seen by the reads that follow. */
    store_reader_turn_end(jobs->reader);
    if (fds[0].revents && read(jobs->wake, &wakes, sizeof wakes) < 0 && errno != EAGAIN)
        log_write(jobs->log, LOG_ERROR, "jobs.wake", strerror(errno));
    inbox_drain(jobs->inbox);
    if ((fds[1].revents & ~POLLOUT) && client->state != CLIENT_DOWN)
        client_hear(jobs);

    int64_t now_ms = clock_mono_ms();
    attempts_step(jobs, now_ms);
    readings_step(jobs, now_ms);
    waits_step(jobs, now_ms);
    publish_step(jobs, now_ms);
    arrivals_step(jobs, now_ms);
    dispatch(jobs, now_ms);
    transitions_flush(jobs);
    collect_step(jobs, now_ms);
    old_logs_step(jobs);
    client_step(jobs, now_ms);
    store_reader_turn_end(jobs->reader);
}

/* Everything has come to its end, or the disk refuses for too long: then start-up finds the jobs RUNNING and knows
 * what to do. */
static bool finished(struct jobs *jobs)
{
    int64_t now_ms = clock_mono_ms();

    if (!jobs->stopping || jobs->in_flight > 0)
        return false;
    if (now_ms >= jobs->stop_ms && jobs->client.state != CLIENT_DOWN) {
        struct fault fault = {0};
        fault_unavailable(&fault, 0, "Attempts did not end in time; their runner is ended.");
        client_broken(jobs, &fault);
    }
    return jobs->attempt_count == 0 || now_ms >= jobs->stop_ms + STOP_SLACK_MS;
}

void *jobs_thread(void *arg)
{
    struct jobs *jobs = arg;

    while (!finished(jobs))
        turn(jobs);
    pthread_mutex_lock(&jobs->gate);
    jobs->closed = true;
    pthread_mutex_unlock(&jobs->gate);
    inbox_drain(jobs->inbox);
    readings_unavailable(jobs, "the server is stopping.");
    waits_done(jobs);
    return NULL;
}
