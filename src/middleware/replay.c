/* Idempotency-Key: a repeat gets the first answer again. This stage only looks; the writer stores the answer in the transaction of the
 * change, and looks again there. */
#include <pthread.h>

#include "middleware/refusals.h"

enum { INFLIGHT_BUCKETS = 1024 };

struct inflight {
    struct inflight *next;
    uint8_t key[32];
};

struct inflight_keys {
    pthread_mutex_t mutex;
    struct inflight *buckets[INFLIGHT_BUCKETS]; /* the keys are digests: their first bytes are the hash */
};

struct inflight_keys *inflight_keys_new(void)
{
    struct inflight_keys *k = xcalloc(1, sizeof(*k));

    pthread_mutex_init(&k->mutex, NULL);
    return k;
}

void inflight_keys_free(struct inflight_keys *k)
{
    if (!k)
        return;
    pthread_mutex_destroy(&k->mutex);
    free(k);
}

static struct inflight **inflight_find(struct inflight_keys *k, const uint8_t key[static 32])
{
    struct inflight **at = &k->buckets[(key[0] | key[1] << 8) % INFLIGHT_BUCKETS];

    while (*at && memcmp((*at)->key, key, 32) != 0)
        at = &(*at)->next;
    return at;
}

static bool inflight_add(struct inflight_keys *k, const uint8_t key[static 32])
{
    pthread_mutex_lock(&k->mutex);
    struct inflight **at = inflight_find(k, key);
    bool added = !*at;
    if (added) {
        *at = xcalloc(1, sizeof(**at));
        memcpy((*at)->key, key, 32);
    }
    pthread_mutex_unlock(&k->mutex);
    return added;
}

static void inflight_remove(struct inflight_keys *k, const uint8_t key[static 32])
{
    pthread_mutex_lock(&k->mutex);
    struct inflight **at = inflight_find(k, key);
    struct inflight *found = *at;
    if (found)
        *at = found->next;
    pthread_mutex_unlock(&k->mutex);
    free(found);
}

static struct span without_slash(struct span path)
{
    if (path.len > 1 && path.data[path.len - 1] == '/')
        path.len--;
    return path;
}

/* A key belongs to who used it, where, on what: nobody can fetch another's answer by guessing a key. */
static void compute_digests(struct exchange *x, struct span key)
{
    struct digest *d = digest_new();
    digest_add(d, span_of(x->identity->issuer));
    digest_add(d, span_of(x->identity->subject));
    digest_add(d, x->method_text);
    digest_add(d, without_slash(x->path));
    digest_add(d, key);
    digest_end(d, x->idempotency_key);

    d = digest_new();
    digest_add(d, x->query);
    digest_add(d, x->body);
    digest_end(d, x->idempotency_request);
}

/* What is stored of a submit is the answer of the moment; who prefers to wait gets the job's end, now as the first time. */
static bool waits_for_an_end(const struct exchange *x, const struct stored_answer *answer)
{
    struct preferences preferences;

    exchange_preferences(x, &preferences);
    return answer->status == 202 && preferences.wait_s > 0;
}

static enum flow replay(struct exchange *x, const struct stored_answer *answer)
{
    if (waits_for_an_end(x, answer)) {
        struct stored_answer *copy = arena_alloc(&x->arena, sizeof(*copy));
        *copy = *answer;
        x->replay = copy;
        return FLOW_NEXT;
    }
    exchange_set_header(x, "Idempotency-Replayed", "true");
    return exchange_answer_stored(x, answer->status, answer->headers, answer->body, answer->body_len);
}

static enum flow look_up(struct exchange *x)
{
    struct stored_answer answer;
    struct fault fault = {0};
    uint8_t request[32];

    if (!store_find_answer(x->bench->reader, x->idempotency_key, &x->arena, request, &answer, &fault))
        return fault.kind == FAULT_NOT_FOUND ? FLOW_NEXT : exchange_fail(x, &fault);
    if (memcmp(request, x->idempotency_request, 32) != 0) {
        fault_set(&fault, FAULT_UNPROCESSABLE, "This Idempotency-Key was used before with another request.");
        return exchange_fail(x, &fault);
    }
    return replay(x, &answer);
}

/* Every POST that changes something; what deals in credentials takes no part, or its answers would be kept. */
static bool takes_keys(const struct route *route)
{
    return strncmp(route->path, "/api/v1/auth/", 13) != 0 && strncmp(route->path, "/oauth/", 7) != 0;
}

enum flow replay_enter(struct exchange *x)
{
    struct fault fault = {0};
    struct span key;

    if (x->method != POST || !x->identity || !takes_keys(x->route))
        return FLOW_NEXT;
    switch (idempotency_key_read(x, &key)) {
    case HEADER_NONE:
        return FLOW_NEXT;
    case HEADER_BAD:
        fault_set(&fault, FAULT_INVALID, "Idempotency-Key must be one string of 1 to 255 visible ASCII characters.");
        return exchange_fail(x, &fault);
    case HEADER_OK:
        break;
    }
    compute_digests(x, key);
    if (!inflight_add(x->services->inflight, x->idempotency_key)) {
        fault_set(&fault, FAULT_CONFLICT, "A request with this Idempotency-Key is still in progress.");
        return exchange_fail(x, &fault);
    }
    x->idempotent = true;
    return look_up(x);
}

static void let_go(struct exchange *x)
{
    if (x->idempotent)
        inflight_remove(x->services->inflight, x->idempotency_key);
    x->idempotent = false;
}

/* Before the client can have the answer: whoever has it may ask again, and what is to be replayed is stored by now. */
enum flow replay_leave(struct exchange *x)
{
    let_go(x);
    return FLOW_NEXT;
}

void replay_done(struct exchange *x)
{
    let_go(x); /* it was given up before there was an answer */
}
