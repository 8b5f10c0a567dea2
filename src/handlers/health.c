/* Is it alive, is it ready. Public; the reasons are for those who may see them. */
#include "bailiff/clock.h"
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

    policy_decide(x->snapshot->policy, x->identity, proof_of(x->identity, x->certificate), HEALTH_DETAILS, &decision,
                  &scope);
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

/* A provider that is down is no reason to send callers elsewhere: the other issuers' tokens are good, and so are its own for a
 * while. */
static void put_keys(struct text *json, const struct services *s, struct arena *arena)
{
    struct keyring_status *rows = NULL;
    size_t count = s->keyring ? keyring_list(s->keyring, arena, &rows) : 0;

    for (size_t i = 0; i < count; i++) {
        const struct keyring_status *r = &rows[i];
        bool usable = r->keys > 0 && clock_wall_ms() < r->good_until_ms;
        jw_open(json, '{');
        jw_member_string(json, "check", "keys");
        jw_member_string(json, "issuer", r->issuer);
        jw_member_string(json, "status", usable && !r->problem ? "ok" : "failed");
        jw_member_string(json, "reason", r->problem ? r->problem : usable ? NULL : "They were not fetched yet.");
        jw_member_bool(json, "usable", usable);
        jw_member_int(json, "keys", (int64_t)r->keys);
        jw_member_time(json, "fetched_at", r->fetched_at_ms);
        jw_member_time(json, "good_until", r->good_until_ms);
        jw_close(json, '}');
    }
}

/* Its clients are kept out, but others need not be: no reason to send everybody elsewhere. */
static void put_revocation_lists(struct text *json, const struct services *s)
{
    int64_t until_s = s->revocation_lists_until_s ? atomic_load(s->revocation_lists_until_s) : INT64_MAX;
    bool good = clock_wall_ms() / 1000 < until_s;

    if (until_s == INT64_MAX)
        return;
    jw_open(json, '{');
    jw_member_string(json, "check", "client_crl");
    jw_member_string(json, "status", good ? "ok" : "failed");
    jw_member_string(json, "reason",
                     good ? NULL : "A revocation list has expired: clients with certificates of its CA are refused.");
    jw_member_time(json, "good_until", until_s * 1000);
    jw_close(json, '}');
}

static void put_details(struct text *json, const struct services *s, bool store_ok, const struct fault *store_fault,
                        const struct jobs_health *jobs, struct arena *arena)
{
    struct fault strain;

    jw_key(json, "checks");
    jw_open(json, '[');
    put_check(json, "store", store_ok, store_ok ? NULL : store_fault->message);
    put_check(json, "runner", jobs->runner_connected,
              jobs->runner_connected ? NULL : "The runner process is not connected.");
    if (jobs->holding)
        put_check(json, "shutdown", false, "The server is stopping; running jobs may end.");
    put_keys(json, s, arena);
    put_revocation_lists(json, s);
    jw_close(json, ']');
    jw_member_int(json, "jobs_running", jobs->running);
    jw_member_int(json, "jobs_queued", jobs->queued);
    jw_member_bool(json, "queue_paused", jobs->paused);
    jw_key(json, "warnings");
    jw_open(json, '[');
    if (store_strained(s->store, &strain))
        jw_string(json, strain.message);
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
    bool ready = store_ok && jobs.runner_connected && !jobs.holding;
    jw_open(&json, '{');
    jw_member_string(&json, "status", ready ? "ready" : "not ready");
    if (may_see_details(x))
        put_details(&json, x->services, store_ok, &fault, &jobs, &x->arena);
    jw_close(&json, '}');
    exchange_set_header(x, "Cache-Control", "no-store");
    if (!ready)
        exchange_set_header(x, "Retry-After", "5");
    return exchange_answer_json(x, ready ? 200 : 503, &json);
}
