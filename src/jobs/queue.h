/* The jobs that wait to begin: the oldest first, as far as the limits of its task configuration and of its submitter allow.
 *
 * Jobs of one configuration and submitter share a lane, a heap by age. Lanes that may have something to begin are a heap by the age
 * of their first job; a lane that a limit holds back waits at that limit's gate, and costs nothing until a place is given back there.
 * So whatever waits, taking the next one is a matter of logarithms. Jobs that are to begin later (retries) wait in a heap by time.
 * Job thread; nothing here is durable, all of it is in the store. */
#ifndef JOBS_QUEUE_H
#define JOBS_QUEUE_H

#include "bailiff/model.h"

struct queue;
struct lane;

struct queue_entry {
    int64_t seq;
    const char *job_id;
    const char *config_id;
    unsigned config_limit;    /* 0: none */
    const uint8_t *submitter; /* SUBMITTER_SIZE bytes; zeros: nobody's */
};
struct queue_place { /* a job that is to begin; its lane's limits count it until queue_leave */
    int64_t seq;
    char *job_id; /* the caller's now */
    struct lane *lane;
};

struct queue *queue_new(unsigned submitter_limit); /* 0: none */
void queue_free(struct queue *queue);              /* NULL ok */
void queue_add(struct queue *queue, const struct queue_entry *entry);
void queue_add_later(struct queue *queue, const struct queue_entry *entry, int64_t due_mono_ms);
/* False: nothing may begin now. */
bool queue_take(struct queue *queue, struct queue_place *ret_place);
void queue_leave(struct queue *queue, struct lane *lane);
/* Leaves, and waits anew; due_mono_ms 0: from now on. job_id is copied. */
void queue_return(struct queue *queue, const struct queue_place *place, int64_t due_mono_ms);
/* Takes what is due into the lanes. */
void queue_step(struct queue *queue, int64_t now_mono_ms);
int64_t queue_due_ms(const struct queue *queue); /* when the next one is; INT64_MAX: none */

#endif
