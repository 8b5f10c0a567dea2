/* The chain: down through the stages, the handler, and up again; each step may wait for work elsewhere. */
#include "bailiff/clock.h"
#include "http/parts.h"

struct exchange_ticket { /* came home; in the arena */
    struct ticket *ticket;
    struct exchange_ticket *next;
};

struct exchange_cleanup { /* in the arena; the last one made stands first */
    void (*fn)(void *arg);
    void *arg;
    struct exchange_cleanup *next;
};

static enum flow fail_internal(struct exchange *x, const char *what)
{
    struct fault fault = {0};

    fault_internal(&fault, "%s (%s)", what, x->route->path);
    return exchange_fail(x, &fault);
}

static enum flow step_enter(struct exchange *x)
{
    if (x->entered == x->chain->stage_count) {
        x->phase = PHASE_HANDLE;
        return x->route->handler(x);
    }
    /* Counted first: a stage that waits in enter may hold something already, so an abort runs its done. */
    const struct stage *stage = &x->chain->stages[x->entered++];
    return stage->enter ? stage->enter(x) : FLOW_NEXT;
}

static enum flow step_leave(struct exchange *x)
{
    const struct stage *stage = &x->chain->stages[--x->to_leave];

    return stage->leave ? stage->leave(x) : FLOW_NEXT;
}

/* Whatever a step says must agree with what it did: a lie would hang the client or send nothing, so it becomes a 500. */
static enum flow flow_checked(struct exchange *x, enum flow flow)
{
    if (flow == FLOW_WAIT && !x->ticket)
        return fail_internal(x, "a step waits for nothing");
    if (flow != FLOW_WAIT && x->ticket) { /* it found no worker for its ticket, and went on */
        ticket_abandon(x->ticket);
        x->ticket = NULL;
    }
    if (flow == FLOW_NEXT && x->phase == PHASE_HANDLE)
        return fail_internal(x, "a handler did not answer");
    if (flow == FLOW_ANSWERED && x->response.status == 0)
        return fail_internal(x, "a step said that it answered, and had not");
    return flow;
}

/* Goes on after a step said `flow`, until a step waits or the response is complete. x may be gone afterwards. */
static void chain_go_on(struct exchange *x, enum flow flow)
{
    while ((flow = flow_checked(x, flow)) != FLOW_WAIT) {
        if (flow == FLOW_ANSWERED && x->phase != PHASE_LEAVE) {
            x->phase = PHASE_LEAVE;
            x->to_leave = x->entered;
        }
        if (x->phase == PHASE_LEAVE && x->to_leave == 0) {
            x->phase = PHASE_SENT;
            x->answer(x);
            return;
        }
        flow = x->phase == PHASE_LEAVE ? step_leave(x) : step_enter(x);
    }
}

void chain_start(struct exchange *x)
{
    x->started_us = clock_mono_us();
    x->phase = PHASE_ENTER;
    x->response.source_length = -1;
    x->route = route_pick(x);
    chain_go_on(x, FLOW_NEXT);
}

/* ---- waiting ---- */

static void exchange_resume(void *waiter)
{
    struct exchange *x = waiter;
    struct exchange_ticket *home = arena_alloc(&x->arena, sizeof(*home));

    /* Kept to the end: a response may still point into its payload when a stage that is left later waits, too. */
    home->ticket = give(x->ticket);
    home->next = x->finished;
    x->finished = home;
    exchange_fn resume = give(x->resume);
    chain_go_on(x, resume(x));
}

struct ticket *exchange_wait(struct exchange *x, exchange_fn resume)
{
    ticket_abandon(x->ticket); /* one at a time */
    x->ticket = ticket_new(x->inbox, exchange_resume, x);
    x->resume = resume;
    return x->ticket;
}

void *exchange_payload(const struct exchange *x)
{
    return x->finished ? ticket_payload(x->finished->ticket) : NULL;
}

/* ---- the end ---- */

void exchange_cleanup(struct exchange *x, void (*fn)(void *arg), void *arg)
{
    struct exchange_cleanup *cleanup = arena_alloc(&x->arena, sizeof(*cleanup));

    *cleanup = (struct exchange_cleanup){fn, arg, x->cleanups};
    x->cleanups = cleanup;
}

void chain_finish(struct exchange *x)
{
    /* First, so that nothing resumes what is being taken down. */
    ticket_abandon(give(x->ticket));
    for (size_t i = x->entered; i-- > 0;)
        if (x->chain->stages[i].done)
            x->chain->stages[i].done(x);
    response_done(&x->response); /* its source may use what cleanups and payloads own */
    while (x->cleanups) {
        struct exchange_cleanup *cleanup = x->cleanups;
        x->cleanups = cleanup->next;
        cleanup->fn(cleanup->arg);
    }
    for (struct exchange_ticket *t = give(x->finished); t; t = t->next)
        ticket_abandon(t->ticket);
    identity_unref(give(x->identity));
    arena_done(&x->arena);
    x->response.headers = (struct header_list){0};
}
