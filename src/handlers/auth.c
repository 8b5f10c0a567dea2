/* Who the caller is, and where its tokens come from. */
#include "bailiff/handlers.h"

static void put_certificate(struct text *json, const struct exchange *x)
{
    const struct certificate *c = x->certificate;

    jw_key(json, "certificate");
    if (!c) {
        jw_null(json);
        return;
    }
    jw_open(json, '{');
    jw_member_string(json, "subject", c->subject);
    jw_member_string(json, "issuer", c->issuer);
    jw_member_string(json, "serial", c->serial);
    jw_member_string(json, "sha256", c->fingerprint);
    jw_member_string(json, "x5t#S256", c->thumbprint);
    jw_member_time(json, "not_before", c->not_before_s * 1000);
    jw_member_time(json, "not_after", c->not_after_s * 1000);
    jw_member_bool(json, "token_bound", x->identity->bound);
    jw_close(json, '}');
}

/* What the caller's roles would give with more proof than there is. */
static void put_withheld(struct text *json, const struct exchange *x)
{
    const struct identity *i = x->identity;
    permission_set held = policy_identity_permissions(x->snapshot->policy, i, proof_of(i, x->certificate));

    jw_key(json, "withheld");
    jw_open(json, '[');
    for (unsigned p = PERM_ANY + 1; p < PERM_COUNT; p++) {
        struct decision decision;
        struct scope scope;
        if (held & PERMISSION_BIT(p))
            continue;
        policy_decide(x->snapshot->policy, i, proof_of(i, x->certificate), (enum permission)p, &decision, &scope);
        if (decision.wanting == PROOF_TOKEN)
            continue;
        jw_open(json, '{');
        jw_member_string(json, "permission", permission_name((enum permission)p));
        jw_member_string(json, "role", decision.role);
        jw_member_string(json, "requires", proof_name(decision.wanting));
        jw_close(json, '}');
    }
    jw_close(json, ']');
}

static void put_permissions(struct text *json, const struct policy *policy, const struct identity *identity,
                            enum proof proof)
{
    jw_key(json, "permissions");
    jw_open(json, '[');
    for (unsigned p = PERM_ANY + 1; p < PERM_COUNT; p++) {
        bool open = false;
        for (size_t r = 0; r < identity->role_count; r++) {
            if (!(policy_role_permissions(policy, identity->roles[r], proof) & PERMISSION_BIT(p)))
                continue;
            if (!open) {
                jw_open(json, '{');
                jw_member_string(json, "permission", permission_name((enum permission)p));
                jw_key(json, "granted_by");
                jw_open(json, '[');
                open = true;
            }
            jw_string(json, identity->roles[r]);
        }
        if (open) {
            jw_close(json, ']');
            jw_close(json, '}');
        }
    }
    jw_close(json, ']');
}

enum flow auth_me(struct exchange *x)
{
    const struct identity *i = x->identity;
    struct fault fault = {0};
    struct text json = {0};

    if (!exchange_query(x, NULL, 0, &fault))
        return exchange_fail(x, &fault);
    jw_open(&json, '{');
    jw_member_string(&json, "issuer", i->issuer);
    jw_member_string(&json, "subject", i->subject);
    jw_member_string(&json, "client", i->client);
    jw_member_string(&json, "token_id", i->token_id);
    jw_member_time(&json, "expires_at", i->expires_at_s * 1000);
    jw_key(&json, "roles");
    jw_open(&json, '[');
    for (size_t r = 0; r < i->role_count; r++)
        jw_string(&json, i->roles[r]);
    jw_close(&json, ']');
    put_certificate(&json, x);
    put_permissions(&json, x->snapshot->policy, i, proof_of(i, x->certificate));
    put_withheld(&json, x);
    jw_close(&json, '}');
    return exchange_answer_json(x, 200, &json);
}

/* RFC 9728: where a client that got our 401 learns who issues tokens for this API. */
enum flow resource_metadata(struct exchange *x)
{
    const struct services *s = x->services;
    struct fault fault = {0};
    struct text json = {0};

    if (!exchange_query(x, NULL, 0, &fault))
        return exchange_fail(x, &fault);
    jw_open(&json, '{');
    jw_member_string(&json, "resource", arena_printf(&x->arena, "%s/api/v1", s->public_url));
    jw_key(&json, "authorization_servers");
    jw_open(&json, '[');
    for (size_t i = 0; i < verifier_issuer_count(x->snapshot->verifier); i++)
        jw_string(&json, verifier_issuer_name(x->snapshot->verifier, i));
    jw_close(&json, ']');
    jw_key(&json, "scopes_supported");
    jw_open(&json, '[');
    for (unsigned p = PERM_ANY + 1; p < PERM_COUNT; p++)
        jw_string(&json, permission_name((enum permission)p));
    jw_close(&json, ']');
    jw_key(&json, "bearer_methods_supported");
    jw_raw(&json, "[\"header\"]", strlen("[\"header\"]"));
    jw_member_bool(&json, "tls_client_certificate_bound_access_tokens", s->client_certificates);
    jw_member_string(&json, "resource_name", "bailiff");
    jw_close(&json, '}');
    return exchange_answer_json(x, 200, &json);
}
