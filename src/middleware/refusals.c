/* The ledger of refusals: the first few a minute of one caller and reason are recorded singly, the rest is counted. So neither strangers
 * nor callers with a token can fill the disk with records of their failures. */
#include <pthread.h>

#include "bailiff/clock.h"
#include "middleware/address.h"
#include "middleware/limiter.h"
#include "middleware/refusals.h"

enum { SETS = 512, WAYS = 4, REASON_SIZE = 64, WINDOW_MS = 60000, CALLERS_SINGLY = 100 };
enum { ISSUER_SIZE = 1024 + 1, SUBJECT_SIZE = 256 + 1 }; /* whole: tokens with longer names are refused */
enum { COUNTS_A_WINDOW = 100 /* of callers without a name, who may have any number of addresses */ };

struct caller {
    char address[ADDRESS_PREFIX_SIZE]; /* of callers without a name */
    char issuer[ISSUER_SIZE], subject[SUBJECT_SIZE];
    char reason[REASON_SIZE];
};

struct entry {
    uint64_t key; /* 0: free */
    int64_t since_ms;
    uint64_t singly, counted;
    int64_t
        counting_ms; /* since when there is something counted: it is written when a window is over, even if no end is in sight */
    struct caller caller;
};

struct refusal_ledger {
    pthread_mutex_t mutex;
    struct keyed_hash hash;
    struct entry sets[SETS][WAYS];
    struct entry
        all; /* its singly: of all callers together; its counted: refusals that have no counted record of their own */
    int64_t counts_ms;
    unsigned counts; /* counted records of callers without a name since then */
};

struct refusal_ledger *refusal_ledger_new(void)
{
    struct refusal_ledger *l = xcalloc(1, sizeof(*l));

    pthread_mutex_init(&l->mutex, NULL);
    l->hash = keyed_hash_new();
    l->all = (struct entry){.key = 1, .caller = {.address = "many", .reason = "many"}};
    return l;
}

void refusal_ledger_free(struct refusal_ledger *l)
{
    if (!l)
        return;
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

static void count(struct entry *e, uint64_t refusals, int64_t now_ms)
{
    if (e->counted == 0)
        e->counting_ms = now_ms;
    e->counted += refusals;
}

/* The key's entry; else a free one, else the oldest, whose count moves on. */
static struct entry *find(struct refusal_ledger *l, uint64_t key, int64_t now_ms)
{
    struct entry *set = l->sets[key / 2 % SETS];
    struct entry *other = &set[0];

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        if (other->key != 0 && (set[i].key == 0 || set[i].since_ms < other->since_ms))
            other = &set[i];
    }
    if (other->counted > 0)
        count(&l->all, other->counted, now_ms);
    *other = (struct entry){0};
    return other;
}

static void copy_text(char *out, size_t size, const char *s)
{
    size_t len = strnlen(s, size - 1);

    memcpy(out, s, len);
    out[len] = '\0';
}

static void caller_fill(struct caller *c, const struct identity *identity, const char *address, const char *reason)
{
    c->address[0] = c->issuer[0] = c->subject[0] = '\0';
    if (identity) {
        copy_text(c->issuer, sizeof(c->issuer), identity->issuer);
        copy_text(c->subject, sizeof(c->subject), identity->subject);
    } else {
        address_prefix(address, c->address);
    }
    copy_text(c->reason, sizeof(c->reason), reason);
}

static uint64_t caller_key(const struct keyed_hash *hash, const struct caller *c)
{
    const char *const texts[] = {c->address, c->issuer, c->subject, c->reason};
    char joined[sizeof(*c)];
    size_t len = 0;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        size_t size = strlen(texts[i]) + 1; /* each with its NUL, so that they cannot run into each other */
        memcpy(joined + len, texts[i], size);
        len += size;
    }
    return keyed_hash_of(hash, joined, len) | 1;
}

static void window_move(struct entry *e, int64_t now_ms)
{
    if (now_ms - e->since_ms >= WINDOW_MS) {
        e->since_ms = now_ms;
        e->singly = 0;
    }
}

static bool entry_is_over(const struct entry *e, int64_t now_ms)
{
    return now_ms - e->since_ms >= WINDOW_MS;
}

/* True: a record of its own. False: it has been counted. */
static bool ledger_note(struct refusal_ledger *l, const struct caller *caller, unsigned singly_a_minute)
{
    int64_t now = clock_mono_ms();
    uint64_t key = caller_key(&l->hash, caller);

    pthread_mutex_lock(&l->mutex);
    struct entry *e = find(l, key, now);
    if (e->key == 0)
        *e = (struct entry){.key = key, .since_ms = now, .caller = *caller};
    window_move(e, now);
    window_move(&l->all, now);
    bool singly = e->singly < singly_a_minute && l->all.singly < (uint64_t)singly_a_minute * CALLERS_SINGLY;
    if (singly) {
        e->singly++;
        l->all.singly++;
    } else {
        count(e, 1, now);
    }
    pthread_mutex_unlock(&l->mutex);
    return singly;
}

void refusal_note(struct exchange *x, const char *reason)
{
    struct caller caller;

    caller_fill(&caller, x->identity, x->address, reason);
    x->refused = true;
    x->refused_singly = ledger_note(x->services->refusals, &caller, x->services->limits.refusals_recorded_a_minute);
}

/* ---- records that nobody waits for ---- */

/* A count that could not be written goes back. */
static void counted_done(struct change *change)
{
    struct refusal_ledger *l = change->done_arg;

    if (!change->ok) {
        pthread_mutex_lock(&l->mutex);
        count(&l->all, change->audit.count, clock_mono_ms());
        pthread_mutex_unlock(&l->mutex);
    }
    change_free(change);
}

static struct change *refusal_change(struct refusal_ledger *l, const struct caller *c, uint64_t count)
{
    struct change *change = change_new();

    change->class = CHANGE_REFUSAL;
    change->audited = change->refused = true;
    change->audit.action = "request.refuse";
    change->audit.address = c->address[0] ? arena_strdup(&change->arena, c->address) : NULL;
    change->audit.issuer = c->issuer[0] ? arena_strdup(&change->arena, c->issuer) : NULL;
    change->audit.subject = c->subject[0] ? arena_strdup(&change->arena, c->subject) : NULL;
    change->audit.reason = arena_strdup(&change->arena, c->reason);
    change->audit.count = count;
    change->done = counted_done;
    change->done_arg = l;
    return change;
}

static bool submit(struct store *store, struct change *change)
{
    struct fault fault = {0};

    if (store_submit(store, change, &fault))
        return true;
    change_free(change);
    return false;
}

/* Whose it is was not proved: so it is a detail, and not the record's certificate. */
static const char *shown_detail(const struct certificate *c, struct arena *arena)
{
    own(text_done) struct text json = {0};

    jw_open(&json, '{');
    jw_key(&json, "shown");
    jw_open(&json, '{');
    jw_member_string(&json, "sha256", c->fingerprint);
    jw_member_string(&json, "subject", c->subject);
    jw_member_string(&json, "issuer", c->issuer);
    jw_member_string(&json, "serial", c->serial);
    jw_close(&json, '}');
    jw_close(&json, '}');
    return arena_strndup(arena, json.data, json.len);
}

void refusal_before_chain(const struct services *services, const char *address, const char *reason, int status,
                          const char *request_id, const struct certificate *shown)
{
    struct caller caller;

    caller_fill(&caller, NULL, address, reason);
    if (!ledger_note(services->refusals, &caller,
                     request_id || shown ? services->limits.refusals_recorded_a_minute : 0))
        return;
    struct change *change = refusal_change(services->refusals, &caller, 1);
    change->audit.address = arena_strdup(&change->arena, address);
    change->audit.request_id = arena_strdup(&change->arena, request_id);
    change->audit.status = status;
    if (!request_id)
        change->audit.action = "connection.refuse";
    if (shown)
        change->audit.detail = shown_detail(shown, &change->arena);
    if (!submit(services->store, change)) {
        struct refusal_ledger *l = services->refusals;
        pthread_mutex_lock(&l->mutex);
        count(&l->all, 1, clock_mono_ms());
        pthread_mutex_unlock(&l->mutex);
    }
}

/* Whoever has a name has but one; addresses are to be had by the thousand, and shall not fill the disk with their counts. */
static bool has_record_of_its_own(struct refusal_ledger *l, const struct entry *e, int64_t now_ms)
{
    if (e == &l->all || e->caller.issuer[0])
        return true;
    if (now_ms - l->counts_ms >= WINDOW_MS) {
        l->counts_ms = now_ms;
        l->counts = 0;
    }
    return l->counts < COUNTS_A_WINDOW;
}

static void flush_count(struct refusal_ledger *l, struct entry *e, struct store *store, int64_t now_ms)
{
    if (!has_record_of_its_own(l, e, now_ms)) {
        count(&l->all, e->counted, now_ms);
    } else if (submit(store, refusal_change(l, &e->caller, e->counted))) {
        l->counts += e != &l->all && !e->caller.issuer[0];
    } else {
        return;
    }
    e->counted = 0;
}

static void flush_entry(struct refusal_ledger *l, struct entry *e, struct store *store, int64_t now, bool everything)
{
    if (e->counted > 0 && (everything || now - e->counting_ms >= WINDOW_MS))
        flush_count(l, e, store, now);
    if (e->counted == 0 && entry_is_over(e, now) && e != &l->all)
        *e = (struct entry){0};
}

void refusal_ledger_flush(struct refusal_ledger *l, struct store *store, bool everything)
{
    int64_t now = clock_mono_ms();

    pthread_mutex_lock(&l->mutex);
    for (size_t s = 0; s < SETS; s++)
        for (size_t w = 0; w < WAYS; w++)
            if (l->sets[s][w].key != 0)
                flush_entry(l, &l->sets[s][w], store, now, everything);
    flush_entry(l, &l->all, store, now, everything);
    pthread_mutex_unlock(&l->mutex);
}
