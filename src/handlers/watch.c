#include "handlers/watch.h"

#include "bailiff/clock.h"
#include "bailiff/middleware.h"

enum { LATE_S = 30 };

/* A token may be accepted a little after its expiry, for clocks differ; an answer that began then has a moment to end. The first
 * look is at the set whatever its epoch: the revocation may have come between the token's check and the answer. */
bool watch_allows(struct watch *w, const struct exchange *x)
{
    const struct revocations *r = x->services->revocations;
    int64_t now_s = clock_wall_ms() / 1000;

    if (!x->identity)
        return true;
    uint64_t epoch = r ? revocations_epoch(r) : 0;
    bool look = r && (w->until_s == 0 || w->epoch != epoch);
    if (w->until_s == 0) {
        w->until_s = MAX(x->identity->good_until_s, now_s + LATE_S);
        w->number = x->snapshot->number;
    }
    if (now_s >= w->until_s)
        return false;
    if (x->bench->snapshot->number > w->number) { /* the loop's may also be older: keys that came made a newer one */
        if (!authn_still_allows(x))
            return false;
        w->number = x->bench->snapshot->number;
    }
    w->epoch = epoch;
    return !look || !revocations_hold(r, x->identity);
}
