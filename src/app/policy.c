/* bailiff policy: what the roles file and the route table mean together. */
#include "app/command.h"
#include "app/config.h"
#include "app/routes.h"

static void policy_unrefp(struct policy **policy)
{
    policy_unref(*policy);
}

/* ---- policy matrix ---- */
/* What a caller with exactly this role gets; NULL: no token at all. Other than allowed it is what more it needs, or the status of the
 * refusal. */
static const char *cell(const struct policy *policy, const char *role, enum permission needs)
{
    char *roles[] = {(char *)role};
    struct identity caller = {
        .references = 1, .issuer = (char *)"", .subject = (char *)"", .roles = roles, .role_count = 1};
    struct decision decision;
    struct scope scope;

    policy_decide(policy, role ? &caller : NULL, PROOF_TOKEN, needs, &decision, &scope);
    if (decision.wanting != PROOF_TOKEN)
        return decision.wanting == PROOF_BOUND_TOKEN ? "bound" : "cert";
    return decision.allowed ? "allow" : role ? "403" : "401";
}

static void print_matrix(const struct policy *policy, FILE *out)
{
    const struct route_table *table = &BAILIFF_CHAIN.routes;
    size_t roles = policy_role_count(policy);
    int path_width = 4;

    for (size_t i = 0; i < table->count; i++)
        if ((int)strlen(table->routes[i].path) > path_width)
            path_width = (int)strlen(table->routes[i].path);
    fprintf(out, "%-7s %-*s %-17s %-5s", "METHOD", path_width, "PATH", "NEEDS", "none");
    for (size_t r = 0; r < roles; r++)
        fprintf(out, " %s", policy_role_name(policy, r));
    fputc('\n', out);
    for (size_t i = 0; i < table->count; i++) {
        const struct route *route = &table->routes[i];

        fprintf(out, "%-7s %-*s %-17s %-5s", method_name(route->method), path_width, route->path,
                permission_name(route->needs), cell(policy, NULL, route->needs));
        for (size_t r = 0; r < roles; r++) {
            const char *role = policy_role_name(policy, r);
            int width = r + 1 < roles ? (int)strlen(role) : 0; /* no blanks at the end of a line */

            fprintf(out, " %-*s", width, cell(policy, role, route->needs));
        }
        fputc('\n', out);
    }
}

/* The roles file named, else the configuration's. */
static bool find_policy(struct call *call, struct policy **ret_policy, int *ret_status)
{
    const char *file = call_value(call, "roles");
    struct problems problems;
    struct fault fault = {0};
    bool good;

    if (file) {
        good = policy_load(file, ret_policy, &fault);
        *ret_status = good ? STATUS_OK : call_fail_fault(call, STATUS_FAILED, &fault);
        return good;
    }
    own(config_freep) struct config *c = config_load(config_path(call_value(call, "config")), CONFIG_TEXT, &problems);
    good = c && config_load_policy(c, &problems, ret_policy);
    if (!good)
        problems_print(&problems, call->err);
    problems_done(&problems);
    *ret_status = good ? STATUS_OK : STATUS_CONFIG;
    return good;
}

static int run_matrix(struct call *call)
{
    own(policy_unrefp) struct policy *policy = NULL;
    int status;

    if (call_has(call, "roles") && call_has(call, "config"))
        return call_fail(call, STATUS_USAGE, "give either --roles or --config, not both.");
    if (find_policy(call, &policy, &status))
        print_matrix(policy, call->out);
    return status;
}

static const struct command_option MATRIX_OPTIONS[] = {
    {"roles", "FILE", false, false, "the roles file, instead of the configuration's"},
    CONFIG_OPTION,
};

const struct command COMMAND_POLICY_MATRIX = {
    .name = "policy matrix",
    .summary = "prints which role may call which route",
    .about =
        "One row a route, one column a role; `none` is a caller without a token. `allow`, or the status of the\n"
        "refusal; `cert`: allowed with a client certificate, `bound`: with a token that is bound to it (else 403).\n",
    .options = MATRIX_OPTIONS,
    .option_count = ARRAY_LEN(MATRIX_OPTIONS),
    .run = run_matrix,
};

/* ---- policy permissions ---- */
static int run_permissions(struct call *call)
{
    for (int p = PERM_ANY + 1; p < PERM_COUNT; p++)
        fprintf(call->out, "%-18s %s\n", permission_name((enum permission)p), permission_help((enum permission)p));
    return STATUS_OK;
}

const struct command COMMAND_POLICY_PERMISSIONS = {
    .name = "policy permissions",
    .summary = "lists the permissions that a roles file can grant",
    .about = "The names go into the lists `permissions` of a roles file (policies/roles.yaml).\n",
    .run = run_permissions,
};
