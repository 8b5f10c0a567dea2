/* Changes on their way to the writer: bounded by class, taken in batches. Any thread; one taker. */
#ifndef BAILIFF_STORE_QUEUE_H
#define BAILIFF_STORE_QUEUE_H

#include <pthread.h>

#include "bailiff/store.h"

enum { CHANGE_CLASS_COUNT = CHANGE_JOB + 1 };

struct change_queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct change *first, **end;
    size_t counts[CHANGE_CLASS_COUNT];
    size_t limits[CHANGE_CLASS_COUNT]; /* 0: none */
    bool closed;
};

void change_queue_init(struct change_queue *queue, unsigned max);
void change_queue_done(struct change_queue *queue); /* must be empty */
must_check bool change_queue_put(struct change_queue *queue, struct change *first,
                                 struct fault *fault); /* all that are linked, or none */
size_t change_queue_length(struct change_queue *queue);
void change_queue_close(struct change_queue *queue); /* takes nothing more; what is in it is still handed out */

/* Waits until there is something, wait_ms have passed (-1: for ever), or the queue is closed. Up to max changes, linked; NULL: none. */
struct change *change_queue_take(struct change_queue *queue, size_t max, int wait_ms, bool *ret_closed);

#endif
