/* Memory that runs out when it is told to: behind SQLite, OpenSSL and jansson, which give way, unlike our own allocations. */
#ifndef ALLOCATION_H
#define ALLOCATION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

static struct {
    atomic_long countdown; /* the allocation that fails; 0: none */
    atomic_bool stays;     /* and all behind it */
    atomic_long failed;
} allocation;

static inline void allocation_arm(long nth, bool stays)
{
    allocation.failed = 0;
    allocation.stays = stays;
    allocation.countdown = nth;
}

/* How many have failed. */
static inline long allocation_disarm(void)
{
    allocation.countdown = 0;
    return allocation.failed;
}

static inline bool allocation_fails(void)
{
    long left = allocation.countdown;

    if (left == 0)
        return false;
    if (left > 1) {
        atomic_compare_exchange_strong(&allocation.countdown, &left, left - 1);
        return false;
    }
    if (!allocation.stays)
        allocation.countdown = 0;
    allocation.failed++;
    return true;
}

#endif
