/* May the caller do this? Answered without doing it, by the rows and the policy that would decide. */
#include "bailiff/handlers.h"

struct question {
    const char *method, *path;         /* either both … */
    const char *permission, *resource; /* … or the first of these */
};

static bool read_member(const json_t *body, const char *name, const char **ret, struct fault *fault)
{
    bool ok = true;
    const char *value = json_member_string(body, name, &ok);

    if (!ok || (value && (value[0] == '\0' || strlen(value) > ROUTE_PATH_MAX)))
        return fault_set(fault, FAULT_INVALID, "%s must be a string of 1 to %d bytes.", name, ROUTE_PATH_MAX);
    *ret = value;
    return true;
}

static bool refuse_unknown(json_t *body, struct fault *fault)
{
    const char *name;
    json_t *value;

    json_object_foreach (body, name, value)
        if (strcmp(name, "method") != 0 && strcmp(name, "path") != 0 && strcmp(name, "permission") != 0 &&
            strcmp(name, "resource") != 0)
            return fault_set(fault, FAULT_INVALID,
                             "There is no member '%.40s'; there are method and path, permission and resource.", name);
    return true;
}

static bool read_question(json_t *body, struct question *q, struct fault *fault)
{
    if (!json_is_object(body))
        return fault_set(fault, FAULT_INVALID, "The body must be an object.");
    if (!refuse_unknown(body, fault) || !read_member(body, "method", &q->method, fault) ||
        !read_member(body, "path", &q->path, fault) || !read_member(body, "permission", &q->permission, fault) ||
        !read_member(body, "resource", &q->resource, fault))
        return false;
    if (!!q->method != !!q->path || !!q->method == !!q->permission || (q->resource && !q->permission))
        return fault_set(fault, FAULT_INVALID,
                         "Ask either for method and path, or for permission and perhaps resource.");
    if (q->resource && !entity_id_valid(span_of(q->resource)))
        return fault_set(fault, FAULT_INVALID, "resource must be the id of a task, job or data node.");
    return true;
}

/* The row that such a request would meet; NULL: none, and *ret_why says why. */
static const struct route *find_row(struct exchange *x, const struct question *q, const char **ret_why)
{
    struct route_param params[ROUTE_PARAMS_MAX];
    const struct route *route = NULL;
    unsigned allow;

    switch (route_find(&x->chain->routes, method_parse(span_of(q->method)), span_of(q->path), &x->arena, &route, params,
                       &allow)) {
    case ROUTE_FOUND:
        return route;
    case ROUTE_WRONG_METHOD:
        *ret_why = "the path has no such method";
        return NULL;
    default:
        *ret_why = "there is no such path";
        return NULL;
    }
}

static enum flow answer(struct exchange *x, enum permission needed)
{
    struct decision decision;
    struct scope scope;
    struct text json = {0};
    own(text_done) struct text roles = {0};

    policy_decide(x->snapshot->policy, x->identity, proof_of(x->identity, x->certificate), needed, &decision, &scope);
    if (needed > PERM_ANY)
        policy_roles_granting(x->snapshot->policy, needed, &roles);
    jw_open(&json, '{');
    jw_member_bool(&json, "allowed", decision.allowed);
    jw_member_string(&json, "permission", permission_name(needed));
    jw_member_string(&json, "reason", decision.reason);
    jw_member_string(&json, "granted_by", decision.allowed ? decision.role : NULL);
    jw_member_string(&json, "requires", decision.wanting != PROOF_TOKEN ? proof_name(decision.wanting) : NULL);
    jw_key(&json, "roles_that_grant");
    jw_open(&json, '[');
    struct span rest = text_span(&roles), role;
    while (rest.len > 0 && span_cut(&rest, ' ', &role))
        jw_string_len(&json, role.data, role.len);
    jw_close(&json, ']');
    jw_close(&json, '}');
    return exchange_answer_json(x, 200, &json);
}

static enum flow answer_no_row(struct exchange *x, const char *why)
{
    struct text json = {0};

    jw_open(&json, '{');
    jw_member_bool(&json, "allowed", false);
    jw_member_string(&json, "permission", NULL);
    jw_member_string(&json, "reason", why);
    jw_close(&json, '}');
    return exchange_answer_json(x, 200, &json);
}

/* Whether an entity is there is not said: a scope may hide it, and a permission is held for all entities or none. */
enum flow auth_can_i(struct exchange *x)
{
    own(json_freep) json_t *body = NULL;
    struct question q = {0};
    struct fault fault = {0};
    enum permission needed;
    const char *why = NULL;

    if (!exchange_query(x, NULL, 0, &fault) || !exchange_json(x, &body, &fault) || !read_question(body, &q, &fault))
        return exchange_fail(x, &fault);
    if (q.method) {
        const struct route *row = find_row(x, &q, &why);
        return row ? answer(x, row->needs) : answer_no_row(x, why);
    }
    if (!permission_parse(q.permission, &needed)) {
        fault_set(&fault, FAULT_INVALID, "There is no permission '%.40s'.", q.permission);
        return exchange_fail(x, &fault);
    }
    return answer(x, needed);
}
