/* Inboxes and tickets. */
#include <pthread.h>
#include <stdatomic.h>

#include "bailiff/ticket.h"

struct inbox {
    pthread_mutex_t mutex;
    struct parcel *first, **last;
    void (*wake)(void *arg);
    void *arg;
};

struct inbox *inbox_new(void (*wake)(void *arg), void *arg)
{
    struct inbox *inbox = xcalloc(1, sizeof(*inbox));

    pthread_mutex_init(&inbox->mutex, NULL);
    inbox->last = &inbox->first;
    inbox->wake = wake;
    inbox->arg = arg;
    return inbox;
}

void inbox_free(struct inbox *inbox)
{
    if (!inbox)
        return;
    pthread_mutex_destroy(&inbox->mutex);
    free(inbox);
}

void inbox_post(struct inbox *inbox, struct parcel *parcel)
{
    parcel->next = NULL;
    pthread_mutex_lock(&inbox->mutex);
    bool was_empty = !inbox->first;
    *inbox->last = parcel;
    inbox->last = &parcel->next;
    /* Inside the lock: once the owner has seen its last parcel it may free the inbox. */
    if (was_empty)
        inbox->wake(inbox->arg);
    pthread_mutex_unlock(&inbox->mutex);
}

size_t inbox_drain(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->mutex);
    struct parcel *parcel = inbox->first;
    inbox->first = NULL;
    inbox->last = &inbox->first;
    pthread_mutex_unlock(&inbox->mutex);

    size_t count = 0;
    while (parcel) {
        struct parcel *next = parcel->next;
        parcel->deliver(parcel);
        parcel = next;
        count++;
    }
    return count;
}

struct ticket {
    struct parcel parcel;
    struct inbox *home;
    void (*resume)(void *waiter);
    void *waiter;
    void *payload;
    void (*free_payload)(void *payload);
    atomic_bool abandoned; /* written by the waiter's thread only */
    bool delivered;        /* waiter's thread only: resume ran or was skipped */
};

static void ticket_free(struct ticket *ticket)
{
    if (ticket->free_payload)
        ticket->free_payload(ticket->payload);
    free(ticket);
}

/* On the waiter's thread, so that delivery and abandonment cannot race. */
static void ticket_deliver(struct parcel *parcel)
{
    struct ticket *ticket = container_of(parcel, struct ticket, parcel);

    ticket->delivered = true;
    if (atomic_load_explicit(&ticket->abandoned, memory_order_relaxed))
        ticket_free(ticket);
    else
        ticket->resume(ticket->waiter);
}

struct ticket *ticket_new(struct inbox *home, void (*resume)(void *waiter), void *waiter)
{
    struct ticket *ticket = xcalloc(1, sizeof(*ticket));

    ticket->parcel.deliver = ticket_deliver;
    ticket->home = home;
    ticket->resume = resume;
    ticket->waiter = waiter;
    return ticket;
}

void ticket_set_payload(struct ticket *ticket, void *payload, void (*free_payload)(void *payload))
{
    ticket->payload = payload;
    ticket->free_payload = free_payload;
}

void *ticket_payload(const struct ticket *ticket)
{
    return ticket->payload;
}

void ticket_complete(struct ticket *ticket)
{
    inbox_post(ticket->home, &ticket->parcel);
}

void ticket_abandon(struct ticket *ticket)
{
    if (!ticket)
        return;
    if (ticket->delivered)
        ticket_free(ticket);
    else
        atomic_store_explicit(&ticket->abandoned, true, memory_order_relaxed);
}

bool ticket_abandoned(const struct ticket *ticket)
{
    return atomic_load_explicit(&ticket->abandoned, memory_order_relaxed);
}
