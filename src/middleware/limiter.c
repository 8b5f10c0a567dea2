/* A set-associative table of token buckets: a stranger with many addresses can push others' idle buckets out, but never grow memory. */
#include <pthread.h>

#include "middleware/limiter.h"

enum { SHARDS = 16, SETS = 256, WAYS = 8 };

struct bucket {
    uint64_t key; /* 0: free */
    int64_t seen_ms;
    double tokens;
    unsigned under_way;
};

struct shard {
    pthread_mutex_t mutex;
    struct bucket sets[SETS][WAYS];
};

struct limiter {
    double per_ms, burst;
    unsigned concurrent;
    struct shard shards[SHARDS];
};

struct limiter *limiter_new(unsigned per_second, unsigned burst, unsigned concurrent)
{
    struct limiter *l = xcalloc(1, sizeof(*l));

    l->per_ms = per_second / 1000.0;
    l->burst = burst > 0 ? burst : per_second;
    l->concurrent = concurrent;
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&l->shards[i].mutex, NULL);
    return l;
}

void limiter_free(struct limiter *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_destroy(&l->shards[i].mutex);
    free(l);
}

bool limiter_is_off(const struct limiter *l)
{
    return l->per_ms == 0 && l->concurrent == 0;
}

static struct shard *shard_of(struct limiter *l, uint64_t key)
{
    return &l->shards[key / 2 % SHARDS]; /* the lowest bit is always set */
}

static struct bucket *set_of(struct shard *s, uint64_t key)
{
    return s->sets[key / (2 * SHARDS) % SETS];
}

/* The key's bucket; else the free one, else the one idle for longest that nobody holds; NULL if all are held. */
static struct bucket *find(struct bucket *set, uint64_t key)
{
    struct bucket *best = NULL;

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        if (set[i].under_way == 0 && (!best || set[i].seen_ms < best->seen_ms))
            best = &set[i];
    }
    return best;
}

static bool take(const struct limiter *l, struct bucket *b, uint64_t key, int64_t now_ms, unsigned *ret_retry_after_s)
{
    if (b->key != key)
        *b = (struct bucket){.key = key, .seen_ms = now_ms, .tokens = l->burst};
    b->tokens += (double)(now_ms - b->seen_ms) * l->per_ms;
    if (b->tokens > l->burst)
        b->tokens = l->burst;
    b->seen_ms = now_ms;
    if (l->concurrent > 0 && b->under_way >= l->concurrent) {
        *ret_retry_after_s = 1;
        return false;
    }
    if (l->per_ms > 0) {
        if (b->tokens < 1) {
            *ret_retry_after_s = (unsigned)((1 - b->tokens) / l->per_ms / 1000) + 1;
            return false;
        }
        b->tokens -= 1;
    }
    if (l->concurrent > 0)
        b->under_way++;
    return true;
}

bool limiter_take(struct limiter *l, uint64_t key, int64_t now_ms, unsigned *ret_retry_after_s)
{
    struct shard *s = shard_of(l, key |= 1);
    bool taken = false;

    *ret_retry_after_s = 1;
    pthread_mutex_lock(&s->mutex);
    struct bucket *b = find(set_of(s, key), key);
    if (b)
        taken = take(l, b, key, now_ms, ret_retry_after_s);
    pthread_mutex_unlock(&s->mutex);
    return taken;
}

void limiter_release(struct limiter *l, uint64_t key)
{
    struct shard *s = shard_of(l, key |= 1);

    if (l->concurrent == 0)
        return;
    pthread_mutex_lock(&s->mutex);
    struct bucket *b = find(set_of(s, key), key);
    if (b && b->key == key && b->under_way > 0)
        b->under_way--;
    pthread_mutex_unlock(&s->mutex);
}
