/* The ledger of refusals: the first few a minute of an address prefix and reason are recorded singly, the rest is counted. */
#include <pthread.h>

#include "bailiff/clock.h"
#include "middleware/address.h"
#include "middleware/limiter.h"
#include "middleware/refusals.h"

enum { SETS = 512, WAYS = 4, REASON_SIZE = 64, WINDOW_MS = 60000 };

struct entry {
    uint64_t key; /* 0: free */
    int64_t since_ms;
    uint64_t singly, counted;
    char prefix[ADDRESS_PREFIX_SIZE], reason[REASON_SIZE];
};

struct refusal_ledger {
    pthread_mutex_t mutex;
    struct keyed_hash hash;
    struct entry sets[SETS][WAYS];
    struct entry others; /* counted refusals whose entries were pushed out by a flood from many addresses */
};

struct refusal_ledger *refusal_ledger_new(void)
{
    struct refusal_ledger *l = xcalloc(1, sizeof(*l));

    pthread_mutex_init(&l->mutex, NULL);
    l->hash = keyed_hash_new();
    l->others = (struct entry){.key = 1, .prefix = "many", .reason = "many"};
    return l;
}

void refusal_ledger_free(struct refusal_ledger *l)
{
    if (!l)
        return;
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

/* The key's entry; else a free one, else the oldest, whose count moves on to the others. */
static struct entry *find(struct refusal_ledger *l, uint64_t key)
{
    struct entry *set = l->sets[key / 2 % SETS];
    struct entry *oldest = &set[0];

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == key || set[i].key == 0)
            return &set[i];
        if (set[i].since_ms < oldest->since_ms)
            oldest = &set[i];
    }
    l->others.counted += oldest->counted;
    *oldest = (struct entry){0};
    return oldest;
}

static void copy_text(char *out, size_t size, const char *s)
{
    size_t len = strnlen(s, size - 1);

    memcpy(out, s, len);
    out[len] = '\0';
}

bool refusal_ledger_record(struct refusal_ledger *l, const char *address, const char *reason, unsigned singly_a_minute)
{
    char name[ADDRESS_PREFIX_SIZE + REASON_SIZE];
    int64_t now = clock_mono_ms();

    memset(name, 0, sizeof(name));
    address_prefix(address, name);
    copy_text(name + ADDRESS_PREFIX_SIZE, REASON_SIZE, reason);
    uint64_t key = keyed_hash_of(&l->hash, name, sizeof(name)) | 1;

    pthread_mutex_lock(&l->mutex);
    struct entry *e = find(l, key);
    if (e->key == 0) {
        e->key = key;
        e->since_ms = now;
        memcpy(e->prefix, name, ADDRESS_PREFIX_SIZE);
        memcpy(e->reason, name + ADDRESS_PREFIX_SIZE, REASON_SIZE);
    }
    if (now - e->since_ms >= WINDOW_MS) {
        e->since_ms = now;
        e->singly = 0;
    }
    bool singly = e->singly < singly_a_minute;
    if (singly)
        e->singly++;
    else
        e->counted++;
    pthread_mutex_unlock(&l->mutex);
    return singly;
}

static void change_done(struct change *change)
{
    change_free(change);
}

static bool submit_count(struct store *store, const struct entry *e)
{
    struct change *c = change_new();
    struct fault fault = {0};

    c->class = CHANGE_REFUSAL;
    c->audited = c->refused = true;
    c->audit.action = "request.refuse";
    c->audit.address = arena_strdup(&c->arena, e->prefix);
    c->audit.reason = arena_strdup(&c->arena, e->reason);
    c->audit.count = e->counted;
    c->done = change_done;
    if (store_submit(store, c, &fault))
        return true;
    change_free(c); /* the count stays in the ledger, for the next time */
    return false;
}

static void flush_entry(struct entry *e, struct store *store, int64_t now, bool everything)
{
    if (e->counted > 0 && (everything || now - e->since_ms >= WINDOW_MS) && submit_count(store, e))
        e->counted = 0;
    if (e->counted == 0 && now - e->since_ms >= WINDOW_MS && e->key != 1)
        *e = (struct entry){0};
}

void refusal_ledger_flush(struct refusal_ledger *l, struct store *store, bool everything)
{
    int64_t now = clock_mono_ms();

    pthread_mutex_lock(&l->mutex);
    for (size_t s = 0; s < SETS; s++)
        for (size_t w = 0; w < WAYS; w++)
            if (l->sets[s][w].key != 0)
                flush_entry(&l->sets[s][w], store, now, everything);
    flush_entry(&l->others, store, now, everything);
    pthread_mutex_unlock(&l->mutex);
}
