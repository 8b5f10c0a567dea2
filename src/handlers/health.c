/* Is it alive, is it ready. Public; the reasons are for those who may see them. */
#include "bailiff/handlers.h"

enum flow health_live(struct exchange *x)
{
    struct text json = {0};

    text_append_str(&json, "{\"status\":\"ok\"}");
    return exchange_answer_json(x, 200, &json);
}

static bool may_see_details(const struct exchange *x)
{
    struct decision decision;
    struct scope scope;

    policy_decide(x->snapshot->policy, x->identity, HEALTH_DETAILS, &decision, &scope);
    return decision.allowed;
}

static void put_check(struct text *json, const char *name, bool ok, const char *reason)
{
    jw_open(json, '{');
    jw_member_string(json, "check", name);
    jw_member_string(json, "status", ok ? "ok" : "failed");
    jw_member_string(json, "reason", reason);
    jw_close(json, '}');
}

static void put_details(struct text *json, const struct services *s, bool store_ok, const struct fault *store_fault,
                        const struct jobs_health *jobs)
{
    jw_key(json, "checks");
    jw_open(json, '[');
    put_check(json, "store", store_ok, store_ok ? NULL : store_fault->message);
    put_check(json, "runner", jobs->runner_connected, jobs->runner_connected ? NULL : "The runner process is not connected.");
    jw_close(json, ']');
    jw_member_int(json, "jobs_running", jobs->running);
    jw_key(json, "warnings");
    jw_open(json, '[');
    if (s->same_user)
        jw_string(json, "execution.same_user is unsafe: users' code can read the server's keys and memory.");
    jw_close(json, ']');
}

enum flow health_ready(struct exchange *x)
{
    struct fault fault = {0};
    struct jobs_health jobs = {0};
    struct text json = {0};

    jobs_get_health(x->services->jobs, &jobs);
    bool store_ok = store_healthy(x->services->store, &fault);
    bool ready = store_ok && jobs.runner_connected;
    jw_open(&json, '{');
    jw_member_string(&json, "status", ready ? "ready" : "not ready");
    if (may_see_details(x))
        put_details(&json, x->services, store_ok, &fault, &jobs);
    jw_close(&json, '}');
    exchange_set_header(x, "Cache-Control", "no-store");
    if (!ready)
        exchange_set_header(x, "Retry-After", "5");
    return exchange_answer_json(x, ready ? 200 : 503, &json);
}
