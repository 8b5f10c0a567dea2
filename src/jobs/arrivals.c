/* Files of the users' own that jobs wait for: nobody tells us of them, so they are looked for, a few at a time. */
#include "bailiff/clock.h"
#include "jobs/thread.h"

enum { LOOK_EVERY_MS = 1000, LOOKED_AT_ONCE = 64, LOOK_FOR_MS = 100, PAUSES_OF_A_LOOK = 3 };

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

/* Jobs that need none of the files must not notice how long a file system takes: looking ends with the first slow look, and its pause is longer
 * than it was. It goes on with the same file once more, whose answer may have come by then. */
static void look(struct jobs *jobs, const struct expected_file *rows, size_t count, int64_t begun_ms)
{
    int64_t last_seq = 0, spent_ms = 0;

    for (size_t i = 0; i < count && spent_ms < LOOK_FOR_MS; i++) {
        last_seq = rows[i].data_node_seq;
        if (store_file_is_there(jobs->store, rows[i].path))
            tell(jobs, last_seq);
        spent_ms = clock_mono_ms() - begun_ms;
    }
    bool slow = spent_ms >= LOOK_FOR_MS, again = slow && last_seq != jobs->arrivals_slow_seq;
    jobs->arrivals_ms = begun_ms + spent_ms + MAX(LOOK_EVERY_MS, PAUSES_OF_A_LOOK * spent_ms);
    jobs->arrivals_slow_seq = slow ? last_seq : 0;
    /* from the first on when these were the last */
    jobs->arrivals_seq = again ? last_seq - 1 : slow || count == LOOKED_AT_ONCE ? last_seq : 0;
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
    look(jobs, rows, count, clock_mono_ms());
}
