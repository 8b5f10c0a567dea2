/* Limits: by address before any cryptography, by issuer and subject behind it. 429 with Retry-After. */
#include "bailiff/clock.h"
#include "bailiff/middleware.h"
#include "middleware/address.h"
#include "middleware/limiter.h"
#include "middleware/refusals.h"

struct quota_ledger {
    struct keyed_hash hash;
    struct limiter *addresses, *subjects;
};

struct quota_ledger *quota_ledger_new(const struct rate_limits *limits)
{
    struct quota_ledger *l = xmalloc(sizeof(*l));

    l->hash = keyed_hash_new();
    l->addresses = limiter_new(limits->address_requests_per_s, limits->address_burst, 0);
    l->subjects = limiter_new(limits->subject_requests_per_s, limits->subject_burst, limits->subject_concurrent);
    return l;
}

void quota_ledger_free(struct quota_ledger *l)
{
    if (!l)
        return;
    limiter_free(l->addresses);
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

enum flow peer_limits_enter(struct exchange *x)
{
    struct quota_ledger *l = x->services->quotas;
    unsigned retry_after_s;
    char prefix[ADDRESS_PREFIX_SIZE];

    if (limiter_is_off(l->addresses))
        return FLOW_NEXT;
    address_prefix(x->address, prefix);
    if (limiter_take(l->addresses, keyed_hash_of(&l->hash, prefix, strlen(prefix)), clock_mono_ms(), &retry_after_s))
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
