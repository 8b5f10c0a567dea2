/* What the caller may do: the row's permission becomes a decision and a scope. Denies by default. */
#include "bailiff/random.h"
#include "middleware/refusals.h"

/* What the caller lacks besides its token. */
static const char *missing_proof(enum proof wanting)
{
    return wanting == PROOF_BOUND_TOKEN ? "a token that is bound to your client certificate" : "a client certificate";
}

static enum flow refuse(struct exchange *x)
{
    own(text_done) struct text roles = {0};
    own(text_done) struct text challenge = {0};
    struct fault fault = {0};
    const char *name = permission_name(x->route->needs);
    const char *wanting = x->decision.wanting != PROOF_TOKEN ? missing_proof(x->decision.wanting) : NULL;

    refusal_note(x, wanting ? proof_name(x->decision.wanting) : "missing permission");
    if (x->refused_singly) /* the id is that of a record */
        uuid7(x->decision.id);
    policy_roles_granting(x->snapshot->policy, x->route->needs, &roles);
    text_printf(&challenge, "Bearer realm=\"%s\", error=\"insufficient_scope\", error_description=\"The permission %s ",
                x->services->realm, name);
    if (wanting)
        text_printf(&challenge, "needs %s.\", scope=\"%s\"", wanting, name);
    else
        text_printf(&challenge, "is missing.\", scope=\"%s\"", name);
    exchange_set_header(x, "WWW-Authenticate", challenge.data);
    if (wanting)
        fault_set(&fault, FAULT_FORBIDDEN, "This needs the permission %s, which your role %s gives only with %s.", name,
                  x->decision.role, wanting);
    else
        fault_set(&fault, FAULT_FORBIDDEN, "This needs the permission %s, which none of your roles has.", name);
    fault_detail(&fault, "%s", wanting ? x->decision.reason : "missing permission");
    return exchange_fail_forbidden(x, &fault, roles.data ? roles.data : "");
}

enum flow authz_enter(struct exchange *x)
{
    policy_decide(x->snapshot->policy, x->identity, proof_of(x->identity, x->certificate), x->route->needs,
                  &x->decision, &x->scope);
    return x->decision.allowed ? FLOW_NEXT : refuse(x);
}
