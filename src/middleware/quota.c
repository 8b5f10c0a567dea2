/* Limits: requests and refusals by address before any cryptography, requests by issuer and subject behind it. 429 with Retry-After. */
#include "bailiff/clock.h"
#include "bailiff/middleware.h"
#include "middleware/address.h"
#include "middleware/limiter.h"
#include "middleware/refusals.h"

struct quota_ledger {
    struct keyed_hash hash;
    struct limiter *addresses, *refusals, *subjects;
};

struct quota_ledger *quota_ledger_new(const struct rate_limits *limits)
{
    struct quota_ledger *l = xmalloc(sizeof(*l));

    l->hash = keyed_hash_new();
    l->addresses = limiter_new(limits->address_requests_per_s, limits->address_burst, 0);
    l->refusals = limiter_new(limits->address_refusals_a_minute / 60.0, limits->address_refusals_burst, 0);
    l->subjects = limiter_new(limits->subject_requests_per_s, limits->subject_burst, limits->subject_concurrent);
    return l;
}

void quota_ledger_free(struct quota_ledger *l)
{
    if (!l)
        return;
    limiter_free(l->addresses);
    limiter_free(l->refusals);
    limiter_free(l->subjects);
    free(l);
}

static enum flow refuse(struct exchange *x, unsigned retry_after_s, const char *message, const char *reason)
{
    struct fault fault = {0};

    fault_set(&fault, FAULT_TOO_MANY, "%s", message);
    fault_detail(&fault, "%s", reason);
    fault.retry_after_s = retry_after_s;
    refusal_note(x, reason);
    return exchange_fail(x, &fault);
}

static uint64_t address_key(const struct quota_ledger *l, const char *address)
{
    char prefix[ADDRESS_PREFIX_SIZE];

    address_prefix(address, prefix);
    return keyed_hash_of(&l->hash, prefix, strlen(prefix));
}

void refusal_count(const struct services *services, const char *address)
{
    struct quota_ledger *l = services->quotas;
    unsigned ignored;

    if (!limiter_is_off(l->refusals))
        (void)!limiter_take(l->refusals, address_key(l, address), clock_mono_ms(), &ignored);
}

bool address_is_barred(const struct services *services, const char *address, unsigned *ret_retry_after_s)
{
    struct quota_ledger *l = services->quotas;
    int64_t now_ms = clock_mono_ms();

    return limiter_has_empty(l->refusals, now_ms) &&
           limiter_is_empty(l->refusals, address_key(l, address), now_ms, ret_retry_after_s);
}

/* What it sends is not worth an answer's work; new connections of it are closed before their handshake. */
static enum flow refuse_barred(struct exchange *x, unsigned retry_after_s)
{
    x->response.close = !x->proxied;
    return refuse(x, retry_after_s, "Too many requests from this address were refused.", "address barred");
}

enum flow peer_limits_enter(struct exchange *x)
{
    struct quota_ledger *l = x->services->quotas;
    unsigned retry_after_s;

    if (x->address_own && address_is_barred(x->services, x->address, &retry_after_s))
        return refuse_barred(x, retry_after_s);
    if (limiter_is_off(l->addresses) ||
        limiter_take(l->addresses, address_key(l, x->address), clock_mono_ms(), &retry_after_s))
        return FLOW_NEXT;
    return refuse(x, retry_after_s, "Too many requests from this address.", "address limit");
}

static uint64_t subject_key(const struct quota_ledger *l, const struct exchange *x)
{
    own(text_done) struct text key = {0};

    text_append_str(&key, x->identity->issuer);
    text_append_char(&key, '\0');
    text_append_str(&key, x->identity->subject);
    return keyed_hash_of(&l->hash, key.data, key.len);
}

enum flow quota_enter(struct exchange *x)
{
    struct quota_ledger *l = x->services->quotas;
    unsigned retry_after_s;

    if (!x->identity || limiter_is_off(l->subjects))
        return FLOW_NEXT;
    if (!limiter_take(l->subjects, subject_key(l, x), clock_mono_ms(), &retry_after_s))
        return refuse(x, retry_after_s, "Too many requests of this subject.", "subject limit");
    x->quota_held = true;
    return FLOW_NEXT;
}

void quota_done(struct exchange *x)
{
    if (x->quota_held)
        limiter_release(x->services->quotas->subjects, subject_key(x->services->quotas, x));
}
