/* A set-associative table of token buckets: a stranger with many addresses can push others' idle buckets out, but never grow memory. */
#include <pthread.h>
#include <stdatomic.h>

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
    atomic_int_fast64_t empty_until_ms; /* by then every bucket has a token again */
    struct shard shards[SHARDS];
};

struct limiter *limiter_new(double per_second, unsigned burst, unsigned concurrent)
{
    struct limiter *l = xcalloc(1, sizeof(*l));

    l->per_ms = per_second / 1000.0;
    l->burst = burst > 0 ? burst : MAX(per_second, 1.0);
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

static void fill(const struct limiter *l, struct bucket *b, int64_t now_ms)
{
    b->tokens += (double)(now_ms - b->seen_ms) * l->per_ms;
    if (b->tokens > l->burst)
        b->tokens = l->burst;
    b->seen_ms = now_ms;
}

static unsigned seconds_to_a_token(const struct limiter *l, const struct bucket *b)
{
    return (unsigned)((1 - b->tokens) / l->per_ms / 1000) + 1;
}

/* The bucket has been emptied. */
static void note_empty(struct limiter *l, const struct bucket *b)
{
    int_fast64_t known = atomic_load_explicit(&l->empty_until_ms, memory_order_relaxed);
    int_fast64_t until = b->seen_ms + (int64_t)((1 - b->tokens) / l->per_ms) + 1;

    while (known < until && !atomic_compare_exchange_weak_explicit(&l->empty_until_ms, &known, until,
                                                                   memory_order_relaxed, memory_order_relaxed))
        ;
}

static bool take(struct limiter *l, struct bucket *b, uint64_t key, int64_t now_ms, unsigned *ret_retry_after_s)
{
    if (b->key != key)
        *b = (struct bucket){.key = key, .seen_ms = now_ms, .tokens = l->burst};
    fill(l, b, now_ms);
    if (l->concurrent > 0 && b->under_way >= l->concurrent) {
        *ret_retry_after_s = 1;
        return false;
    }
    if (l->per_ms > 0) {
        if (b->tokens < 1) {
            *ret_retry_after_s = seconds_to_a_token(l, b);
            return false;
        }
        b->tokens -= 1;
        if (b->tokens < 1)
            note_empty(l, b);
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

bool limiter_has_empty(const struct limiter *l, int64_t now_ms)
{
    return now_ms < atomic_load_explicit(&l->empty_until_ms, memory_order_relaxed);
}

bool limiter_is_empty(struct limiter *l, uint64_t key, int64_t now_ms, unsigned *ret_retry_after_s)
{
    struct shard *s = shard_of(l, key |= 1);
    bool empty = false;

    if (!limiter_has_empty(l, now_ms))
        return false;
    pthread_mutex_lock(&s->mutex);
    struct bucket *b = find(set_of(s, key), key);
    if (b && b->key == key) {
        fill(l, b, now_ms);
        empty = b->tokens < 1;
        if (empty)
            *ret_retry_after_s = seconds_to_a_token(l, b);
    }
    pthread_mutex_unlock(&s->mutex);
    return empty;
}
