/* How much of something each client has at this moment. */
#include "server/tally.h"

#include <pthread.h>

#include "bailiff/random.h"

enum { BUCKETS_MIN = 1024 };

struct entry {
    struct entry *next;
    uint8_t key[TALLY_KEY_SIZE];
    uint64_t amount;
};

struct tally {
    pthread_mutex_t mutex;
    uint64_t max_each;
    uint64_t secret[2];
    struct entry **buckets;
    size_t bucket_count /* a power of two */, keys;
};

struct tally *tally_new(uint64_t max_each)
{
    struct tally *t = xcalloc(1, sizeof(*t));

    pthread_mutex_init(&t->mutex, NULL);
    t->max_each = max_each;
    random_bytes(t->secret, sizeof(t->secret));
    t->bucket_count = BUCKETS_MIN;
    t->buckets = xcalloc(t->bucket_count, sizeof(*t->buckets));
    return t;
}

void tally_free(struct tally *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->bucket_count; i++) {
        for (struct entry *e = t->buckets[i], *next; e; e = next) {
            next = e->next;
            free(e);
        }
    }
    free(t->buckets);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}

/* Keyed, so that nobody outside can choose addresses which all fall into one bucket. */
static struct entry **bucket_of(const struct tally *t, const uint8_t key[static TALLY_KEY_SIZE])
{
    uint64_t a, b;

    memcpy(&a, key, sizeof(a));
    memcpy(&b, key + sizeof(a), sizeof(b));
    unsigned __int128 product = (unsigned __int128)(a ^ t->secret[0]) * (b ^ t->secret[1]);
    return &t->buckets[(uint64_t)(product ^ product >> 64) & (t->bucket_count - 1)];
}

static struct entry **find(const struct tally *t, const uint8_t key[static TALLY_KEY_SIZE])
{
    struct entry **at = bucket_of(t, key);

    while (*at && memcmp((*at)->key, key, TALLY_KEY_SIZE) != 0)
        at = &(*at)->next;
    return at;
}

static void grow(struct tally *t)
{
    struct entry **old = t->buckets;
    size_t old_count = t->bucket_count;

    t->bucket_count *= 2;
    t->buckets = xcalloc(t->bucket_count, sizeof(*t->buckets));
    for (size_t i = 0; i < old_count; i++) {
        for (struct entry *e = old[i], *next; e; e = next) {
            struct entry **bucket = bucket_of(t, e->key);
            next = e->next;
            e->next = *bucket;
            *bucket = e;
        }
    }
    free(old);
}

static struct entry **find_or_add(struct tally *t, const uint8_t key[static TALLY_KEY_SIZE])
{
    struct entry **at = find(t, key);

    if (*at)
        return at;
    if (t->keys++ == t->bucket_count) {
        grow(t);
        at = find(t, key);
    }
    *at = xcalloc(1, sizeof(**at));
    memcpy((*at)->key, key, TALLY_KEY_SIZE);
    return at;
}

/* Who has nothing has no entry. */
static void forget_if_empty(struct tally *t, struct entry **at)
{
    struct entry *e = *at;

    if (e->amount > 0)
        return;
    *at = e->next;
    t->keys--;
    free(e);
}

bool tally_take(struct tally *t, const uint8_t key[static TALLY_KEY_SIZE], uint64_t amount)
{
    if (t->max_each == 0)
        return true;
    pthread_mutex_lock(&t->mutex);
    struct entry **at = find_or_add(t, key);
    bool taken = amount <= t->max_each - (*at)->amount;
    if (taken)
        (*at)->amount += amount;
    forget_if_empty(t, at);
    pthread_mutex_unlock(&t->mutex);
    return taken;
}

void tally_give_back(struct tally *t, const uint8_t key[static TALLY_KEY_SIZE], uint64_t amount)
{
    if (t->max_each == 0)
        return;
    pthread_mutex_lock(&t->mutex);
    struct entry **at = find(t, key);
    if (*at) {
        (*at)->amount -= MIN(amount, (*at)->amount);
        forget_if_empty(t, at);
    }
    pthread_mutex_unlock(&t->mutex);
}

size_t tally_keys(struct tally *t)
{
    pthread_mutex_lock(&t->mutex);
    size_t keys = t->keys;
    pthread_mutex_unlock(&t->mutex);
    return keys;
}
