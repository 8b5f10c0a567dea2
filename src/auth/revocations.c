/* Revocations as a hash table of digests, by linear probing.
 *
 * A token is looked up by each kind of entry that there is: its own id, its subject, its issuer, everybody. An entry says
 * before when the tokens that it means were issued, so that one look-up answers both questions. */
#include <openssl/evp.h>
#include <pthread.h>

#include "bailiff/auth.h"

enum kind { KIND_TOKEN, KIND_SUBJECT, KIND_ISSUER, KIND_ALL, KIND_COUNT };
enum { KEY_SIZE = 16, SLOTS_MIN = 64 };

struct slot {
    uint8_t key[KEY_SIZE];
    int64_t before_s; /* 0: the slot is empty */
};

struct revocations {
    EVP_MD *md;
    pthread_rwlock_t lock;
    uint64_t epoch;            /* atomic */
    size_t counts[KIND_COUNT]; /* atomic: kinds without entries cost nothing */
    size_t count, mask;
    struct slot *slots;
};

struct revocations *revocations_new(void)
{
    struct revocations *r = xcalloc(1, sizeof(*r));

    r->md = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!r->md)
        abort(); /* nothing works without it */
    pthread_rwlock_init(&r->lock, NULL);
    r->mask = SLOTS_MIN - 1;
    r->slots = xcalloc(SLOTS_MIN, sizeof(*r->slots));
    return r;
}

void revocations_free(struct revocations *r)
{
    if (!r)
        return;
    pthread_rwlock_destroy(&r->lock);
    EVP_MD_free(r->md);
    free(r->slots);
    free(r);
}

size_t revocations_count(const struct revocations *r)
{
    size_t count = 0;

    for (int k = 0; k < KIND_COUNT; k++)
        count += __atomic_load_n(&r->counts[k], __ATOMIC_RELAXED);
    return count;
}

uint64_t revocations_epoch(const struct revocations *r)
{
    return __atomic_load_n(&r->epoch, __ATOMIC_ACQUIRE);
}

/* ---- keys ---- */

/* kind, length of the issuer, issuer, value: two different names never make the same text. */
static bool key_of(const struct revocations *r, enum kind kind, const char *issuer, const char *value,
                   uint8_t ret_key[static KEY_SIZE])
{
    const struct span i = span_of(issuer ? issuer : ""), v = span_of(value ? value : "");
    uint8_t digest[32];
    uint8_t head[9] = {(uint8_t)kind};
    unsigned len = 0;

    for (int b = 0; b < 8; b++)
        head[1 + b] = (uint8_t)(i.len >> (8 * b));
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex2(ctx, r->md, NULL) == 1 && EVP_DigestUpdate(ctx, head, sizeof(head)) == 1 &&
              EVP_DigestUpdate(ctx, i.data, i.len) == 1 && EVP_DigestUpdate(ctx, v.data, v.len) == 1 &&
              EVP_DigestFinal_ex(ctx, digest, &len) == 1 && len == sizeof(digest);
    EVP_MD_CTX_free(ctx);
    if (ok)
        memcpy(ret_key, digest, KEY_SIZE);
    return ok;
}

static enum kind kind_of(const struct revocation *what)
{
    return what->token_id ? KIND_TOKEN : what->subject ? KIND_SUBJECT : what->issuer ? KIND_ISSUER : KIND_ALL;
}

static void key_of_revocation(const struct revocations *r, const struct revocation *what, enum kind kind,
                              uint8_t ret_key[static KEY_SIZE])
{
    if (!key_of(r, kind, what->issuer, what->token_id ? what->token_id : what->subject, ret_key))
        abort(); /* a revocation that is not in force must not be acknowledged */
}

/* ---- the table ---- */

static size_t home_of(const uint8_t key[static KEY_SIZE], size_t mask)
{
    uint64_t hash;

    memcpy(&hash, key, sizeof(hash));
    return hash & mask;
}

/* The slot of the key, or the empty one where it would be. */
static struct slot *find(struct slot *slots, size_t mask, const uint8_t key[static KEY_SIZE])
{
    size_t at = home_of(key, mask);

    while (slots[at].before_s != 0 && memcmp(slots[at].key, key, KEY_SIZE) != 0)
        at = (at + 1) & mask;
    return &slots[at];
}

static void grow(struct revocations *r)
{
    size_t mask = 2 * r->mask + 1;
    struct slot *slots = xcalloc(mask + 1, sizeof(*slots));

    for (size_t i = 0; i <= r->mask; i++)
        if (r->slots[i].before_s != 0)
            *find(slots, mask, r->slots[i].key) = r->slots[i];
    free(r->slots);
    r->slots = slots;
    r->mask = mask;
}

void revocations_add(struct revocations *r, const struct revocation *what)
{
    enum kind kind = kind_of(what);
    int64_t before_s = what->issued_before_s ? what->issued_before_s : INT64_MAX;
    uint8_t key[KEY_SIZE];

    key_of_revocation(r, what, kind, key);
    pthread_rwlock_wrlock(&r->lock);
    if (2 * (r->count + 1) > r->mask)
        grow(r);
    struct slot *slot = find(r->slots, r->mask, key);
    if (slot->before_s == 0) {
        memcpy(slot->key, key, KEY_SIZE);
        r->count++;
        __atomic_add_fetch(&r->counts[kind], 1, __ATOMIC_RELAXED);
    }
    slot->before_s = MAX(slot->before_s, before_s);
    pthread_rwlock_unlock(&r->lock);
    __atomic_add_fetch(&r->epoch, 1, __ATOMIC_RELEASE);
}

/* Closes the gap, so that whoever was put further for its sake is found without it. */
static void take_out(struct revocations *r, size_t gap)
{
    for (size_t at = (gap + 1) & r->mask; r->slots[at].before_s != 0; at = (at + 1) & r->mask) {
        size_t home = home_of(r->slots[at].key, r->mask);
        if (((at - home) & r->mask) < ((at - gap) & r->mask))
            continue; /* it is behind its home, and its home is behind the gap */
        r->slots[gap] = r->slots[at];
        gap = at;
    }
    r->slots[gap] = (struct slot){0};
}

void revocations_remove(struct revocations *r, const struct revocation *what)
{
    enum kind kind = kind_of(what);
    uint8_t key[KEY_SIZE];

    key_of_revocation(r, what, kind, key);
    pthread_rwlock_wrlock(&r->lock);
    struct slot *slot = find(r->slots, r->mask, key);
    if (slot->before_s != 0) {
        take_out(r, (size_t)(slot - r->slots));
        r->count--;
        __atomic_sub_fetch(&r->counts[kind], 1, __ATOMIC_RELAXED);
    }
    pthread_rwlock_unlock(&r->lock);
}

/* ---- asking ---- */

static bool holds(struct revocations *r, enum kind kind, const struct identity *identity, const char *value)
{
    uint8_t key[KEY_SIZE];

    if (__atomic_load_n(&r->counts[kind], __ATOMIC_RELAXED) == 0)
        return false;
    if (!key_of(r, kind, kind == KIND_ALL ? NULL : identity->issuer, value, key))
        return true; /* what cannot be looked up is not let in */
    pthread_rwlock_rdlock(&r->lock);
    int64_t before_s = find(r->slots, r->mask, key)->before_s;
    pthread_rwlock_unlock(&r->lock);
    return identity->issued_at_s < before_s;
}

bool revocations_hold(const struct revocations *revocations, const struct identity *identity)
{
    struct revocations *r = (struct revocations *)revocations; /* for the lock */

    return (identity->token_id && holds(r, KIND_TOKEN, identity, identity->token_id)) ||
           holds(r, KIND_SUBJECT, identity, identity->subject) || holds(r, KIND_ISSUER, identity, NULL) ||
           holds(r, KIND_ALL, identity, NULL);
}
