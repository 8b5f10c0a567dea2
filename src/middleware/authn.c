/* Who is calling: the bearer token becomes an identity, or the answer is RFC 6750 §3's challenge. */
#include "bailiff/clock.h"
#include "middleware/refusals.h"

/* b64token of RFC 6750 §2.1, without judging what is inside. */
static bool is_b64token(struct span s)
{
    static const bool allowed[256] = {
        ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['-'] = true, ['.'] = true,
        ['_'] = true,         ['~'] = true,         ['+'] = true,         ['/'] = true,
    };
    size_t i = 0;

    while (i < s.len && allowed[(unsigned char)s.data[i]])
        i++;
    if (i == 0)
        return false;
    while (i < s.len && s.data[i] == '=')
        i++;
    return i == s.len;
}

static enum flow refuse(struct exchange *x, const struct fault *fault, const char *error)
{
    own(text_done) struct text challenge = {0};

    text_printf(&challenge, "Bearer realm=\"%s\", resource_metadata=\"%s/.well-known/oauth-protected-resource/api/v1\"",
                x->services->realm, x->services->public_url);
    if (error)
        text_printf(&challenge, ", error=\"%s\", error_description=\"%s\"", error, fault->message);
    exchange_set_header(x, "WWW-Authenticate", challenge.data);
    refusal_note(x, fault->detail[0] ? fault->detail : "not authenticated");
    if (x->address_own && (fault->kind == FAULT_UNAUTHENTICATED || fault->kind == FAULT_INVALID))
        refusal_count(x->services, x->address);
    return exchange_fail(x, fault);
}

static enum flow refuse_missing(struct exchange *x, const char *reason)
{
    struct fault fault = {0};

    fault_set(&fault, FAULT_UNAUTHENTICATED, "A bearer token is needed.");
    fault_detail(&fault, "%s", reason);
    return refuse(x, &fault, NULL);
}

static enum flow refuse_malformed(struct exchange *x, const char *message, const char *reason)
{
    struct fault fault = {0};

    fault_set(&fault, FAULT_INVALID, "%s", message);
    fault_detail(&fault, "%s", reason);
    x->response.close = true; /* whoever sent this is not to be understood: nothing more of it is read */
    return refuse(x, &fault, "invalid_request");
}

static enum flow refuse_token(struct exchange *x, const struct fault *fault)
{
    return refuse(x, fault, fault->kind == FAULT_UNAUTHENTICATED ? "invalid_token" : NULL);
}

static bool judge(struct exchange *x, struct span token, struct fault *fault)
{
    return token_cache_check(x->bench->tokens, x->snapshot->verifier, token, x->certificate, clock_wall_ms() / 1000,
                             &x->identity, fault);
}

/* The token itself; the head was judged before. */
static struct span bearer_of(const struct exchange *x)
{
    struct span rest = span_trim(exchange_header(x, "authorization")->value), scheme;

    return span_cut(&rest, ' ', &scheme) ? span_trim(rest) : (struct span){0};
}

/* Nothing was decided yet by the policy and keys pinned first, so newer ones may take their place. */
static enum flow keys_came(struct exchange *x)
{
    struct fault fault = {0};

    x->snapshot = services_pin(x->services);
    exchange_cleanup(x, snapshot_unref, x->snapshot);
    return judge(x, bearer_of(x), &fault) ? FLOW_NEXT : refuse_token(x, &fault);
}

/* Its key may have been published a moment ago: waits once, for a bounded time, while the issuer is asked. */
static bool await_keys(struct exchange *x, struct span token)
{
    const char *issuer =
        x->services->keyring ? verifier_missing_key(x->snapshot->verifier, token, clock_wall_ms() / 1000) : NULL;

    if (!issuer)
        return false;
    struct ticket *ticket = exchange_wait(x, keys_came);
    if (keyring_ask(x->services->keyring, issuer, ticket))
        return true;
    ticket_complete(ticket); /* nobody took it: keys_came will not run */
    return false;
}

static enum flow check_token(struct exchange *x, struct span token)
{
    struct fault fault = {0};

    /* a good token is a b64token, so only the others are looked through */
    if (judge(x, token, &fault))
        return FLOW_NEXT;
    if (!is_b64token(token))
        return refuse_malformed(x, "The Authorization header is not 'Bearer' and one token.", "malformed header");
    return await_keys(x, token) ? FLOW_WAIT : refuse_token(x, &fault);
}

bool authn_still_allows(const struct exchange *x)
{
    const struct snapshot *now = x->bench->snapshot;
    struct identity *identity = NULL;
    struct decision decision;
    struct scope scope;

    if (!token_cache_check(x->bench->tokens, now->verifier, bearer_of(x), x->certificate, clock_wall_ms() / 1000,
                           &identity, NULL))
        return false;
    policy_decide(now->policy, identity, proof_of(identity, x->certificate), x->route->needs, &decision, &scope);
    identity_unref(identity);
    return decision.allowed && scope.everything >= x->scope.everything;
}

enum flow authn_enter(struct exchange *x)
{
    size_t count = exchange_header_count(x, "authorization");

    if (count == 0)
        return x->route->needs == PERM_PUBLIC ? FLOW_NEXT : refuse_missing(x, "no token");
    if (count > 1)
        return refuse_malformed(x, "There is more than one Authorization header.", "two tokens");

    struct span rest = span_trim(exchange_header(x, "authorization")->value);
    struct span scheme;
    if (!span_cut(&rest, ' ', &scheme) || !span_ieq(scheme, SPAN("Bearer")))
        return refuse_missing(x, "other scheme");
    return check_token(x, bearer_of(x));
}
