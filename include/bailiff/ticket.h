/* How finished work finds its way back to the thread that waits for it.
 *
 * An inbox belongs to one thread; anybody may post parcels to it. A ticket is a parcel with two holders: the waiter (an
 * exchange on its loop) and the worker (the writer, the job thread …). The worker completes it from any thread, once;
 * then resume runs on the waiter's thread, unless the waiter has abandoned the ticket before. Whatever the work produced is the
 * ticket's payload, freed with the ticket. So a request that dies while its work is under way is neither touched nor leaked. */
#ifndef BAILIFF_TICKET_H
#define BAILIFF_TICKET_H

#include "bailiff/common.h"

struct parcel {
    struct parcel *next;
    void (*deliver)(struct parcel *parcel); /* on the inbox's thread; owns the parcel from here on */
};

struct inbox;
/* wake is called from any thread after a post to an empty inbox; it must make the owner call inbox_drain soon. */
struct inbox *inbox_new(void (*wake)(void *arg), void *arg);
void inbox_free(struct inbox *inbox);                        /* must be empty, nobody posts any more */
void inbox_post(struct inbox *inbox, struct parcel *parcel); /* any thread; order of posts is kept */
/* Between the two, what this thread posts is kept back: whoever is woken then finds all of it, and is woken once. Not nested. */
void inboxes_hold(void);
void inboxes_release(void);
size_t inbox_drain(struct inbox *inbox); /* owner's thread; delivers all there is at entry; returns how many */

struct ticket;
/* Waiter's thread. The new ticket has both holders: the caller keeps one hand on it and gives the other to the worker. */
struct ticket *ticket_new(struct inbox *home, void (*resume)(void *waiter), void *waiter);
/* The payload may be set by whoever holds the ticket before it is completed, and read by resume. */
void ticket_set_payload(struct ticket *ticket, void *payload, void (*free_payload)(void *payload));
void *ticket_payload(const struct ticket *ticket);
void ticket_complete(struct ticket *ticket); /* worker, any thread, exactly once: gives up the worker's hold */
void ticket_abandon(
    struct ticket *ticket); /* waiter's thread, before or after resume: gives up the waiter's hold; NULL ok */
bool ticket_abandoned(const struct ticket *ticket); /* a hint for the worker: nobody waits any more */

#endif
