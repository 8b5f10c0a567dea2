/* Verified tokens, remembered.
 *
 * An entry is found by the SHA-256 of what was signed and holds the signature as it was sent. The very same token is
 * answered from memory. The same content with another signature (ES256 has two for each) is verified anew and gets the
 * identity that is here already, so that variants of a signature neither fill the cache nor become somebody else.
 *
 * Sets of WAYS entries; in a full set the expired go first, then the one that was not asked for the longest. Only
 * tokens of a good signature get in, so a stranger cannot push anybody out. */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "auth/claims.h"
#include "auth/jws.h"
#include "auth/refusal.h"
#include "auth/verifier.h"

enum { WAYS = 8, DIGEST_SIZE = 32, SEEN_SLOTS = 1 << 15 };

struct entry {
    uint8_t digest[DIGEST_SIZE];
    struct identity *identity; /* NULL: empty */
    char *signature;           /* as sent: base64url */
    size_t signature_len;
    const struct key_bundle *keys; /* the verifier's: they must be good too */
    uint64_t epoch;                /* of the revocations when it was last found not to be revoked */
};

/* What is asked of all entries of a set stands together, so that a token that is not here costs three lines of memory. */
struct set {
    uint32_t tags[WAYS];        /* pieces of the digests; 0: empty */
    int64_t good_until_s[WAYS]; /* 0: empty */
    uint64_t used[WAYS];        /* value of the cache's clock when it was last asked for */
    struct entry entries[WAYS];
};

struct token_cache {
    EVP_MD *md; /* NULL: the library has no SHA-256; every token is then verified */
    EVP_MD_CTX *ctx;
    struct verifier *verifier; /* that all entries are from; counted, so that its address cannot come back */
    const struct revocations *revocations; /* NULL: none are watched */
    uint64_t clock;
    size_t set_mask;
    uint64_t seen[SEEN_SLOTS]; /* pieces of digests: tokens that came once when there was no room */
    struct key_bench keys;
    struct set *sets;
};

struct token_cache *token_cache_new(size_t capacity)
{
    struct token_cache *c = xcalloc(1, sizeof(*c));
    size_t sets = 1;

    while (sets <= capacity / (2 * WAYS))
        sets *= 2;
    c->sets = xcalloc(sets, sizeof(*c->sets));
    c->set_mask = sets - 1;
    ERR_set_mark();
    c->md = EVP_MD_fetch(NULL, "SHA256", NULL);
    c->ctx = EVP_MD_CTX_new();
    ERR_pop_to_mark();
    return c;
}

static void entry_clear(struct set *set, unsigned way)
{
    struct entry *e = &set->entries[way];

    identity_unref(e->identity);
    free(e->signature);
    *e = (struct entry){0};
    set->tags[way] = 0;
    set->good_until_s[way] = 0;
}

static void clear(struct token_cache *c)
{
    for (size_t s = 0; s <= c->set_mask; s++)
        for (unsigned way = 0; way < WAYS; way++)
            if (c->sets[s].good_until_s[way] != 0)
                entry_clear(&c->sets[s], way);
    key_bench_clear(&c->keys);
}

void token_cache_free(struct token_cache *c)
{
    if (!c)
        return;
    clear(c);
    free(c->sets);
    verifier_unref(c->verifier);
    EVP_MD_CTX_free(c->ctx);
    EVP_MD_free(c->md);
    free(c);
}

void token_cache_watch(struct token_cache *c, const struct revocations *r)
{
    clear(c);
    c->revocations = r;
}

/* The epoch is read before the look-up: what is revoked meanwhile is then seen the next time. */
static bool is_revoked(const struct token_cache *c, const struct identity *identity, uint64_t *epoch)
{
    uint64_t now = c->revocations ? revocations_epoch(c->revocations) : 0;

    if (!c->revocations || now == *epoch)
        return false;
    *epoch = now;
    return revocations_hold(c->revocations, identity);
}

/* Entries of another verifier say nothing about this one. */
static void bind_verifier(struct token_cache *c, const struct verifier *v)
{
    if (c->verifier == v)
        return;
    clear(c);
    verifier_unref(c->verifier);
    c->verifier = verifier_ref((struct verifier *)v);
}

static bool digest_of(struct token_cache *c, struct span input, uint8_t out[static DIGEST_SIZE])
{
    unsigned len = 0;

    return c->md && c->ctx && EVP_DigestInit_ex2(c->ctx, c->md, NULL) == 1 &&
           EVP_DigestUpdate(c->ctx, input.data, input.len) == 1 && EVP_DigestFinal_ex(c->ctx, out, &len) == 1 &&
           len == DIGEST_SIZE;
}

static struct set *set_of(const struct token_cache *c, const uint8_t digest[static DIGEST_SIZE])
{
    uint64_t hash;

    memcpy(&hash, digest, sizeof(hash));
    return &c->sets[hash & c->set_mask];
}

static uint32_t tag_of(const uint8_t digest[static DIGEST_SIZE])
{
    uint32_t tag;

    memcpy(&tag, digest + sizeof(uint64_t), sizeof(tag)); /* behind what chose the set */
    return tag;
}

/* False: it is not here. */
static bool find(const struct set *set, const uint8_t digest[static DIGEST_SIZE], unsigned *ret_way)
{
    uint32_t tag = tag_of(digest);

    for (unsigned way = 0; way < WAYS; way++)
        if (set->tags[way] == tag && set->good_until_s[way] != 0 &&
            memcmp(set->entries[way].digest, digest, DIGEST_SIZE) == 0) {
            *ret_way = way;
            return true;
        }
    return false;
}

/* The free or expired entry, else the one not asked for for longest. */
static unsigned find_victim(const struct set *set, int64_t now_s, bool *ret_is_room)
{
    unsigned victim = 0;

    for (unsigned way = 0; way < WAYS; way++) {
        if (now_s >= set->good_until_s[way]) {
            *ret_is_room = true;
            return way;
        }
        if (set->used[way] < set->used[victim])
            victim = way;
    }
    *ret_is_room = false;
    return victim;
}

/* The signature is what makes the token a credential: compared in constant time, or it could be guessed bytewise. */
static bool same_signature(const struct entry *e, struct span signature)
{
    return e->signature_len == signature.len && CRYPTO_memcmp(e->signature, signature.data, signature.len) == 0;
}

/* A token that would push another out must have come before: tokens that are used once do not cost those that are used often. */
static bool came_before(struct token_cache *c, const uint8_t digest[static DIGEST_SIZE])
{
    uint64_t piece;

    memcpy(&piece, digest + DIGEST_SIZE - sizeof(piece), sizeof(piece));
    uint64_t *slot = &c->seen[piece % SEEN_SLOTS];
    if (*slot == piece)
        return true;
    *slot = piece;
    return false;
}

/* Verified, and not revoked. *epoch: of the revocations, as they were looked at. */
static bool judge(const struct token_cache *c, const struct verifier *v, struct span token,
                  const struct bench_of_cache *bench, int64_t now_s, struct judgement *ret, uint64_t *ret_epoch,
                  struct fault *fault)
{
    uint64_t epoch = UINT64_MAX; /* they were never looked at */
    struct judgement judgement;

    if (!verifier_judge(v, token, bench, now_s, &judgement, fault))
        return false;
    if (is_revoked(c, judgement.identity, &epoch)) {
        identity_unref(judgement.identity);
        return refuse(fault, REFUSED_REVOKED);
    }
    *ret = judgement;
    *ret_epoch = epoch;
    return true;
}

static struct entry *put(struct set *set, unsigned way, const uint8_t digest[static DIGEST_SIZE], struct span signature,
                         const struct judgement *judgement)
{
    struct entry *e = &set->entries[way];

    entry_clear(set, way);
    set->tags[way] = tag_of(digest);
    set->good_until_s[way] = judgement->good_until_s;
    *e = (struct entry){.identity = identity_ref(judgement->identity),
                        .signature = xstrndup(signature.data, signature.len),
                        .signature_len = signature.len,
                        .keys = judgement->keys};
    memcpy(e->digest, digest, DIGEST_SIZE);
    return e;
}

static bool verify_and_keep(struct token_cache *c, struct span token, struct span signature,
                            const uint8_t digest[static DIGEST_SIZE], int64_t now_s, struct identity **ret_identity,
                            struct fault *fault)
{
    const struct bench_of_cache bench = {&c->keys, digest};
    struct set *set = set_of(c, digest);
    struct judgement judgement = {0};
    bool is_room = true;
    uint64_t epoch = 0;
    unsigned way;

    if (!judge(c, c->verifier, token, &bench, now_s, &judgement, &epoch, fault))
        return false;
    own(identity_unrefp) struct identity *identity = judgement.identity;
    bool found = find(set, digest, &way);
    if (!found)
        way = find_victim(set, now_s, &is_room);
    if (!found && !is_room && !came_before(c, digest)) {
        *ret_identity = give(identity);
        return true;
    }
    struct entry *e = found ? &set->entries[way] : put(set, way, digest, signature, &judgement);
    e->epoch = epoch;
    set->used[way] = ++c->clock;
    *ret_identity = identity_ref(e->identity);
    return true;
}

static bool verify_only(const struct token_cache *c, const struct verifier *v, struct span token, int64_t now_s,
                        struct identity **ret_identity, struct fault *fault)
{
    struct judgement judgement = {0};
    uint64_t epoch = 0;

    if (!judge(c, v, token, NULL, now_s, &judgement, &epoch, fault))
        return false;
    *ret_identity = judgement.identity;
    return true;
}

/* Is what was found good once, still good? */
static bool still_good(const struct token_cache *c, struct set *set, unsigned way, int64_t now_s, struct fault *fault)
{
    struct entry *e = &set->entries[way];

    if (now_s >= set->good_until_s[way])
        return refuse(fault, REFUSED_EXPIRED);
    if (now_s >= key_bundle_good_until(e->keys))
        return refuse(fault, REFUSED_STALE_KEYS);
    return !is_revoked(c, e->identity, &e->epoch) || refuse(fault, REFUSED_REVOKED);
}

static bool check(struct token_cache *c, const struct verifier *v, struct span token, int64_t now_s,
                  struct identity **ret_identity, struct fault *fault)
{
    uint8_t digest[DIGEST_SIZE];
    struct span input, signature;

    if (token.len > TOKEN_SIZE_MAX || !jws_cut(token, &input, &signature) || !digest_of(c, input, digest))
        return verify_only(c, v, token, now_s, ret_identity, fault);
    bind_verifier(c, v);
    struct set *set = set_of(c, digest);
    unsigned way;
    if (!find(set, digest, &way) || !same_signature(&set->entries[way], signature))
        return verify_and_keep(c, token, signature, digest, now_s, ret_identity, fault);
    if (!still_good(c, set, way, now_s, fault)) {
        entry_clear(set, way);
        return false;
    }
    set->used[way] = ++c->clock;
    *ret_identity = identity_ref(set->entries[way].identity);
    return true;
}

bool token_cache_check(struct token_cache *c, const struct verifier *v, struct span token,
                       const struct certificate *presented, int64_t now_s, struct identity **ret_identity,
                       struct fault *fault)
{
    own(identity_unrefp) struct identity *identity = NULL;

    if (!check(c, v, token, now_s, &identity, fault) || !binding_holds(identity, presented, fault))
        return false;
    *ret_identity = give(identity);
    return true;
}
