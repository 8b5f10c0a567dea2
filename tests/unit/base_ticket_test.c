/* Inboxes and tickets, alone and with threads: everything comes home once, in order, and nothing is leaked or touched late. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#include "bailiff/ticket.h"

/* ---- one thread ---- */

struct waiter {
    unsigned wakes, resumed, freed;
};

static void count_wake(void *arg)
{
    ((struct waiter *)arg)->wakes++;
}

static void count_resume(void *arg)
{
    ((struct waiter *)arg)->resumed++;
}

static void count_free(void *arg)
{
    ((struct waiter *)arg)->freed++;
}

static void test_completed_then_abandoned(void **state)
{
    struct waiter w = {0};
    struct inbox *inbox = inbox_new(count_wake, &w);
    struct ticket *t = ticket_new(inbox, count_resume, &w);

    ticket_set_payload(t, &w, count_free);
    assert_false(ticket_abandoned(t));
    ticket_complete(t);
    assert_int_equal(w.wakes, 1);
    assert_int_equal(w.resumed, 0); /* never in the worker's call */
    assert_int_equal(inbox_drain(inbox), 1);
    assert_int_equal(w.resumed, 1);
    assert_ptr_equal(ticket_payload(t), &w);
    assert_int_equal(w.freed, 0);
    ticket_abandon(t);
    assert_int_equal(w.freed, 1);
    inbox_free(inbox);
}

static void test_abandoned_then_completed(void **state)
{
    struct waiter w = {0};
    struct inbox *inbox = inbox_new(count_wake, &w);
    struct ticket *t = ticket_new(inbox, count_resume, &w);

    ticket_abandon(t);
    assert_true(ticket_abandoned(t));
    ticket_set_payload(t, &w, count_free); /* the worker does not know, or does not care */
    ticket_complete(t);
    assert_int_equal(w.freed, 0);
    assert_int_equal(inbox_drain(inbox), 1);
    assert_int_equal(w.resumed, 0);
    assert_int_equal(w.freed, 1);
    inbox_free(inbox);
}

static void test_abandoned_on_its_way_home(void **state)
{
    struct waiter w = {0};
    struct inbox *inbox = inbox_new(count_wake, &w);
    struct ticket *t = ticket_new(inbox, count_resume, &w);

    ticket_set_payload(t, &w, count_free);
    ticket_complete(t);
    ticket_abandon(t);
    assert_int_equal(inbox_drain(inbox), 1);
    assert_int_equal(w.resumed, 0);
    assert_int_equal(w.freed, 1);
    inbox_free(inbox);
}

static void test_nothing_is_fine(void **state)
{
    struct waiter w = {0};
    struct inbox *inbox = inbox_new(count_wake, &w);

    ticket_abandon(NULL);
    assert_int_equal(inbox_drain(inbox), 0);
    assert_int_equal(w.wakes, 0);
    inbox_free(inbox);
    inbox_free(NULL);
}

struct numbered {
    struct parcel parcel;
    struct inbox *again; /* post once more from deliver */
    unsigned number, *next;
};

static void deliver_numbered(struct parcel *parcel)
{
    struct numbered *n = container_of(parcel, struct numbered, parcel);

    assert_int_equal(n->number, *n->next);
    ++*n->next;
    if (n->again) {
        struct inbox *again = give(n->again);
        n->number += 3;
        inbox_post(again, &n->parcel);
    }
}

static void test_order_and_what_is_posted_meanwhile(void **state)
{
    struct waiter w = {0};
    struct inbox *inbox = inbox_new(count_wake, &w);
    unsigned next = 0;
    struct numbered parcels[3];

    for (unsigned i = 0; i < 3; i++) {
        parcels[i] = (struct numbered){
            .parcel.deliver = deliver_numbered, .again = i == 0 ? inbox : NULL, .number = i, .next = &next};
        inbox_post(inbox, &parcels[i].parcel);
    }
    assert_int_equal(w.wakes, 1); /* one for all that lie there */
    assert_int_equal(inbox_drain(inbox), 3);
    assert_int_equal(w.wakes, 2); /* the one posted while draining waits for the next turn */
    assert_int_equal(next, 3);
    assert_int_equal(inbox_drain(inbox), 1);
    assert_int_equal(next, 4);
    inbox_free(inbox);
}

/* ---- threads ---- */

enum { WORKERS = 4, TICKETS = 2000 };

struct home {
    sem_t bell;
    struct inbox *inbox;
    unsigned resumed; /* owner's thread only */
    atomic_uint freed;
};

static void ring(void *arg)
{
    sem_post(&((struct home *)arg)->bell);
}

struct wait {
    struct home *home;
    struct ticket *ticket;
    bool resumed, abandoned;
};

static void on_resume(void *arg)
{
    struct wait *w = arg;

    assert_false(w->resumed);
    assert_false(w->abandoned);
    assert_int_equal(*(int *)ticket_payload(w->ticket), 42);
    w->resumed = true;
    w->home->resumed++;
    ticket_abandon(w->ticket);
}

struct payload {
    int value;
    struct home *home;
};

static void payload_free(void *p)
{
    struct payload *payload = p;

    atomic_fetch_add(&payload->home->freed, 1);
    free(payload);
}

struct work {
    pthread_t thread;
    struct home *home;
    struct ticket *tickets[TICKETS];
};

static void *complete_all(void *arg)
{
    struct work *work = arg;

    for (size_t i = 0; i < TICKETS; i++) {
        struct payload *payload = xmalloc(sizeof(*payload));
        *payload = (struct payload){42, work->home};
        (void)ticket_abandoned(work->tickets[i]);
        ticket_set_payload(work->tickets[i], payload, payload_free);
        ticket_complete(work->tickets[i]);
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    struct home home = {0};
    struct work *works = xcalloc(WORKERS, sizeof(*works));
    struct wait *waits = xcalloc((size_t)WORKERS * TICKETS, sizeof(*waits));
    unsigned abandoned = 0;
    size_t delivered = 0;

    sem_init(&home.bell, 0, 0);
    home.inbox = inbox_new(ring, &home);
    for (size_t i = 0; i < (size_t)WORKERS * TICKETS; i++) {
        waits[i].home = &home;
        waits[i].ticket = ticket_new(home.inbox, on_resume, &waits[i]);
        works[i / TICKETS].tickets[i % TICKETS] = waits[i].ticket;
    }
    for (size_t w = 0; w < WORKERS; w++) {
        works[w].home = &home;
        assert_int_equal(pthread_create(&works[w].thread, NULL, complete_all, &works[w]), 0);
    }
    for (size_t at = 0; delivered < (size_t)WORKERS * TICKETS;) {
        /* while they work, one in three is given up, if it has not come home yet */
        for (size_t n = 0; n < 50 && at < (size_t)WORKERS * TICKETS; n++, at++) {
            if (at % 3 == 0 && !waits[at].resumed) {
                waits[at].abandoned = true;
                ticket_abandon(waits[at].ticket);
                abandoned++;
            }
        }
        if (at == (size_t)WORKERS * TICKETS)
            sem_wait(&home.bell);
        delivered += inbox_drain(home.inbox);
    }
    for (size_t w = 0; w < WORKERS; w++)
        pthread_join(works[w].thread, NULL);
    assert_int_equal(inbox_drain(home.inbox), 0);
    assert_int_equal(home.resumed + abandoned, WORKERS * TICKETS);
    assert_int_equal(atomic_load(&home.freed), WORKERS * TICKETS);
    inbox_free(home.inbox);
    sem_destroy(&home.bell);
    free(works);
    free(waits);
}

struct note {
    struct parcel parcel;
    unsigned *log, value;
};

static void note_deliver(struct parcel *parcel)
{
    struct note *note = container_of(parcel, struct note, parcel);

    *note->log = *note->log * 10 + note->value;
}

/* What is held back comes at once, in its order, with one wake for each inbox; more inboxes than can be held get theirs directly. */
static void test_held_back(void **state)
{
    enum { INBOXES = 40 };
    struct waiter w[INBOXES] = {0};
    struct inbox *inboxes[INBOXES];
    struct note notes[INBOXES][3];
    unsigned logs[INBOXES] = {0}, held = 0;

    for (size_t i = 0; i < INBOXES; i++)
        inboxes[i] = inbox_new(count_wake, &w[i]);
    inboxes_hold();
    for (unsigned n = 0; n < 3; n++)
        for (size_t i = 0; i < INBOXES; i++) {
            notes[i][n] = (struct note){{.deliver = note_deliver}, &logs[i], n + 1};
            inbox_post(inboxes[i], &notes[i][n].parcel);
        }
    for (size_t i = 0; i < INBOXES; i++)
        held += w[i].wakes == 0;
    assert_in_range(held, 2, INBOXES - 1);
    assert_int_equal(inbox_drain(inboxes[0]), 0);
    inboxes_release();
    for (size_t i = 0; i < INBOXES; i++) {
        assert_int_equal(w[i].wakes, 1);
        assert_int_equal(inbox_drain(inboxes[i]), 3);
        assert_int_equal(logs[i], 123);
    }
    inbox_post(inboxes[0], &notes[0][0].parcel); /* the hold is over */
    assert_int_equal(w[0].wakes, 2);
    assert_int_equal(inbox_drain(inboxes[0]), 1);
    for (size_t i = 0; i < INBOXES; i++)
        inbox_free(inboxes[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_completed_then_abandoned),
        cmocka_unit_test(test_abandoned_then_completed),
        cmocka_unit_test(test_abandoned_on_its_way_home),
        cmocka_unit_test(test_nothing_is_fine),
        cmocka_unit_test(test_order_and_what_is_posted_meanwhile),
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_held_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
