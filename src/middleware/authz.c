/* What the caller may do: the row's permission becomes a decision and a scope. Denies by default. */
#include "bailiff/file.h"
#include "middleware/refusals.h"

static enum flow refuse(struct exchange *x)
{
    own(text_done) struct text roles = {0};
    own(text_done) struct text challenge = {0};
    struct fault fault = {0};
    const char *name = permission_name(x->route->needs);

    refusal_note(x, "missing permission");
    if (x->refused_singly) /* the id is that of a record */
        uuid7(x->decision.id);
    policy_roles_granting(x->snapshot->policy, x->route->needs, &roles);
    text_printf(&challenge,
                "Bearer realm=\"%s\", error=\"insufficient_scope\", error_description=\"The permission %s is "
                "missing.\", scope=\"%s\"",
                x->services->realm, name, name);
    exchange_set_header(x, "WWW-Authenticate", challenge.data);
    fault_set(&fault, FAULT_FORBIDDEN, "This needs the permission %s, which none of your roles has.", name);
    fault_detail(&fault, "missing permission");
    return exchange_fail_forbidden(x, &fault, roles.data ? roles.data : "");
}

enum flow authz_enter(struct exchange *x)
{
    policy_decide(x->snapshot->policy, x->identity, x->route->needs, &x->decision, &x->scope);
    return x->decision.allowed ? FLOW_NEXT : refuse(x);
}
