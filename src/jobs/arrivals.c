/* Files of the users' own that jobs wait for: nobody tells us of them, so they are looked for, a few at a time. */
#include "bailiff/clock.h"
#include "jobs/thread.h"

enum { LOOK_EVERY_MS = 1000, LOOKED_AT_ONCE = 64 };

/* Writer thread. */
static bool arrived_apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    return txn_file_arrived(txn, *(const int64_t *)change->input, fault);
}

static void arrived_finished(struct jobs *jobs, void *subject, struct change *change)
{
    jobs->arrivals_told--;
    if (!change->ok) /* it is looked for again */
        log_write(jobs->log, LOG_WARNING, "data_node.arrived", change->fault.message);
    change_free(change);
}

static void tell(struct jobs *jobs, int64_t data_node_seq)
{
    struct change *change = change_new();
    int64_t *seq = arena_alloc(&change->arena, sizeof *seq);

    *seq = data_node_seq;
    change->input = seq;
    change->apply = arrived_apply;
    jobs->arrivals_told++;
    transition_submit(jobs, change, NULL, arrived_finished);
}

void arrivals_step(struct jobs *jobs, int64_t now_ms)
{
    own(arena_done) struct arena arena = {0};
    struct expected_file rows[LOOKED_AT_ONCE];
    struct fault fault = {0};
    size_t count = 0;

    if (jobs->stopping || jobs->arrivals_told > 0 || now_ms < jobs->arrivals_ms)
        return;
    jobs->arrivals_ms = now_ms + LOOK_EVERY_MS;
    if (!store_expected_files(jobs->reader, jobs->arrivals_seq, LOOKED_AT_ONCE, &arena, rows, &count, &fault)) {
        log_write(jobs->log, LOG_ERROR, "data_node.arrived", fault.message, L_STR("detail", fault.detail));
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (store_file_is_there(jobs->store, rows[i].path))
            tell(jobs, rows[i].data_node_seq);
    /* the next ones in a second; from the first on when these were the last */
    jobs->arrivals_seq = count == LOOKED_AT_ONCE ? rows[count - 1].data_node_seq : 0;
}
