/* Changes on their way in and out. */
#include <pthread.h>

#include "store/store.h"
#include "store/txn.h"

struct change *change_new(void)
{
    return xcalloc(1, sizeof(struct change));
}

void change_free(void *p)
{
    struct change *change = p;

    if (!change)
        return;
    arena_done(&change->arena);
    free(change);
}

int64_t txn_now_ms(const struct store_txn *txn)
{
    return txn->now_ms;
}

bool store_submit(struct store *store, struct change *change, struct fault *fault)
{
    change->next = NULL;
    return store_submit_all(store, change, fault);
}

bool store_submit_all(struct store *store, struct change *first, struct fault *fault)
{
    return writer_put(store->writer, first, fault);
}

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done;
};

static void wake_waiting(struct change *change)
{
    struct waiting *waiting = change->done_arg;

    pthread_mutex_lock(&waiting->lock);
    waiting->done = true;
    pthread_cond_signal(&waiting->ended); /* under the lock: it is gone as soon as the waiter has seen it */
    pthread_mutex_unlock(&waiting->lock);
}

bool store_submit_wait(struct store *store, struct change *change, struct fault *fault)
{
    struct waiting waiting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    bool queued;

    change->done = wake_waiting;
    change->done_arg = &waiting;
    queued = store_submit(store, change, fault);
    pthread_mutex_lock(&waiting.lock);
    while (queued && !waiting.done)
        pthread_cond_wait(&waiting.ended, &waiting.lock);
    pthread_mutex_unlock(&waiting.lock);
    pthread_cond_destroy(&waiting.ended);
    pthread_mutex_destroy(&waiting.lock);
    change->done = NULL;
    change->done_arg = NULL;
    if (queued && !change->ok && fault && fault->kind == FAULT_NONE)
        *fault = change->fault;
    return queued && change->ok;
}
