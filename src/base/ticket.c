/* Inboxes and tickets. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "bailiff/ticket.h"

struct inbox {
    pthread_mutex_t mutex;
    struct parcel *first, **last;
    atomic_uint posting; /* threads that may still wake the owner */
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
    /* Whoever posted the last parcel may not be back from its wake. */
    while (atomic_load(&inbox->posting) > 0)
        sched_yield();
    pthread_mutex_destroy(&inbox->mutex);
    free(inbox);
}

static void post_chain(struct inbox *inbox, struct parcel *first, struct parcel **last)
{
    atomic_fetch_add(&inbox->posting, 1);
    pthread_mutex_lock(&inbox->mutex);
    bool was_empty = !inbox->first;
    *inbox->last = first;
    inbox->last = last;
    pthread_mutex_unlock(&inbox->mutex);
    /* Outside the lock, on which the owner would only wait. */
    if (was_empty)
        inbox->wake(inbox->arg);
    atomic_fetch_sub(&inbox->posting, 1);
}

/* What this thread keeps back until inboxes_release. */
enum { HELD_MAX = 16 };
static __thread struct {
    bool on;
    size_t count;
    struct held {
        struct inbox *inbox;
        struct parcel *first, **last;
    } items[HELD_MAX];
} held;

static struct held *held_for(struct inbox *inbox)
{
    for (size_t i = 0; i < held.count; i++)
        if (held.items[i].inbox == inbox)
            return &held.items[i];
    if (!held.on || held.count == HELD_MAX)
        return NULL;
    struct held *item = &held.items[held.count++];
    *item = (struct held){.inbox = inbox, .last = &item->first};
    return item;
}

void inbox_post(struct inbox *inbox, struct parcel *parcel)
{
    struct held *item = held_for(inbox);

    parcel->next = NULL;
    if (!item) {
        post_chain(inbox, parcel, &parcel->next);
        return;
    }
    *item->last = parcel;
    item->last = &parcel->next;
}

void inboxes_hold(void)
{
    held.on = true;
}

void inboxes_release(void)
{
    for (size_t i = 0; i < held.count; i++)
        post_chain(held.items[i].inbox, held.items[i].first, held.items[i].last);
    held.count = 0;
    held.on = false;
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
