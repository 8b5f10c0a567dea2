#include <errno.h>
#include <time.h>

#include "store/queue.h"

void change_queue_init(struct change_queue *queue, unsigned max)
{
    pthread_condattr_t attributes;

    *queue = (struct change_queue){0};
    pthread_mutex_init(&queue->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->filled, &attributes);
    pthread_condattr_destroy(&attributes);
    queue->end = &queue->first;
    queue->limits[CHANGE_REQUEST] = max;
    queue->limits[CHANGE_REFUSAL] = max < 4 ? 1 : max / 4;
}

void change_queue_done(struct change_queue *queue)
{
    pthread_cond_destroy(&queue->filled);
    pthread_mutex_destroy(&queue->lock);
}

static bool has_room(const struct change_queue *queue, const size_t *more)
{
    for (size_t i = 0; i < CHANGE_CLASS_COUNT; i++)
        if (queue->limits[i] != 0 && more[i] > 0 && queue->counts[i] + more[i] > queue->limits[i])
            return false;
    return true;
}

/* Counts the linked changes by class; returns where the next one would be linked. */
static struct change **count_changes(struct change *first, size_t *counts)
{
    struct change **end = &first->next;

    counts[first->class]++;
    for (; *end; end = &(*end)->next)
        counts[(*end)->class]++;
    return end;
}

bool change_queue_put(struct change_queue *queue, struct change *first, struct fault *fault)
{
    size_t more[CHANGE_CLASS_COUNT] = {0};
    struct change **end = count_changes(first, more);
    bool closed, room, wake = false;

    pthread_mutex_lock(&queue->lock);
    closed = queue->closed;
    room = has_room(queue, more);
    if (!closed && room) {
        wake = queue->first == NULL;
        *queue->end = first;
        queue->end = end;
        for (size_t i = 0; i < CHANGE_CLASS_COUNT; i++)
            queue->counts[i] += more[i];
    }
    pthread_mutex_unlock(&queue->lock);
    if (wake)
        pthread_cond_signal(&queue->filled);
    if (closed)
        return fault_unavailable(fault, 5, "The server is stopping.");
    return room || fault_unavailable(fault, 1, "Too many changes are waiting for the disk; try again.");
}

size_t change_queue_length(struct change_queue *queue)
{
    size_t length = 0;

    pthread_mutex_lock(&queue->lock);
    for (size_t i = 0; i < CHANGE_CLASS_COUNT; i++)
        length += queue->counts[i];
    pthread_mutex_unlock(&queue->lock);
    return length;
}

void change_queue_close(struct change_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_mutex_unlock(&queue->lock);
    pthread_cond_signal(&queue->filled);
}

static struct timespec time_after(int wait_ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += wait_ms / 1000;
    t.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

/* The lock is held. */
static void wait_for_change(struct change_queue *queue, int wait_ms)
{
    struct timespec until = time_after(wait_ms < 0 ? 0 : wait_ms);
    int rc = 0;

    while (!queue->first && !queue->closed && rc != ETIMEDOUT)
        rc = wait_ms < 0 ? pthread_cond_wait(&queue->filled, &queue->lock)
                         : pthread_cond_timedwait(&queue->filled, &queue->lock, &until);
}

struct change *change_queue_take(struct change_queue *queue, size_t max, int wait_ms, bool *ret_closed)
{
    struct change *first, **link;

    pthread_mutex_lock(&queue->lock);
    wait_for_change(queue, wait_ms);
    first = queue->first;
    link = &queue->first;
    for (size_t i = 0; i < max && *link; i++) {
        queue->counts[(*link)->class]--;
        link = &(*link)->next;
    }
    queue->first = *link;
    if (!queue->first)
        queue->end = &queue->first;
    if (first == queue->first)
        first = NULL; /* there was nothing */
    else
        *link = NULL;
    *ret_closed = queue->closed;
    pthread_mutex_unlock(&queue->lock);
    return first;
}
