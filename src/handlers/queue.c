/* The queue: whether anything begins at all. */
#include "bailiff/handlers.h"
#include "handlers/change.h"
#include "handlers/entity.h"

enum { REASON_MAX = 512 };

static void put_queue(struct text *json, const struct queue_state *state, struct jobs *jobs)
{
    struct jobs_health health;

    jobs_get_health(jobs, &health);
    jw_key(json, "queue");
    jw_open(json, '{');
    jw_member_bool(json, "paused", state->paused);
    jw_member_time(json, "changed_at", state->changed_at_ms);
    jw_member_string(json, "changed_by", state->changed_by);
    jw_member_string(json, "reason", state->reason);
    jw_member_int(json, "queued", health.queued);
    jw_member_int(json, "running", health.running);
    jw_member_int(json, "workers", health.workers);
    jw_close(json, '}');
}

enum flow queue_get(struct exchange *x)
{
    struct queue_state state;
    struct fault fault = {0};
    struct text json = {0};

    if (!exchange_query(x, NULL, 0, &fault) || !store_queue_state(x->bench->reader, &x->arena, &state, &fault))
        return exchange_fail(x, &fault);
    jw_open(&json, '{');
    put_queue(&json, &state, x->services->jobs);
    jw_close(&json, '}');
    return exchange_answer_json(x, 200, &json);
}

struct set_input {
    struct change_input base;
    struct jobs *jobs;
    bool paused;
    const char *reason;
};

static bool set_apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    const struct set_input *input = change->input;
    struct queue_state *state = arena_alloc(&change->arena, sizeof(*state));

    change->outcome = state;
    if (input->reason) {
        own(text_done) struct text detail = {0};
        jw_open(&detail, '{');
        jw_member_string(&detail, "reason", input->reason);
        jw_close(&detail, '}');
        change->audit.detail = arena_strdup(&change->arena, detail.data);
    }
    return txn_queue_set(txn, input->paused, input->base.subject, input->reason, &change->arena, state, fault);
}

/* Writer thread: so that the job thread hears of two callers' wishes in the order in which they are stored. */
static void set_committed(const struct change *change)
{
    const struct set_input *input = change->input;

    jobs_set_paused(input->jobs, input->paused);
}

static void set_render(struct change *change)
{
    const struct set_input *input = change->input;
    struct text json = {0};

    if (!change->ok) {
        change_render_fault(change);
        return;
    }
    jw_open(&json, '{');
    jw_member_string(&json, "message",
                     input->paused ? "The queue is paused: nothing begins, what runs goes on." : "The queue goes on.");
    put_queue(&json, change->outcome, input->jobs);
    jw_close(&json, '}');
    change_render_json(change, 200, &json);
}

static bool read_reason(struct exchange *x, const char **ret, struct fault *fault)
{
    own(json_freep) json_t *body = NULL;
    const char *name, *reason;
    json_t *value;
    bool ok = true;

    if (x->body.len == 0)
        return true;
    if (!body_object(x, &body, "The body", fault))
        return false;
    json_object_foreach (body, name, value)
        if (strcmp(name, "reason") != 0)
            return fault_set(fault, FAULT_INVALID, "There is no member '%.40s'; there is reason.", name);
    reason = json_member_string(body, "reason", &ok);
    for (const char *c = reason; ok && c && *c; c++)
        ok = (unsigned char)*c >= 0x20 && *c != 0x7f;
    if (!ok || (reason && (!*reason || strlen(reason) > REASON_MAX)))
        return fault_set(fault, FAULT_INVALID, "reason must be a string of 1 to %d bytes without control characters.",
                         REASON_MAX);
    *ret = arena_strdup(&x->arena, reason);
    return true;
}

static enum flow set(struct exchange *x, bool paused)
{
    struct fault fault = {0};
    const char *reason = NULL;

    if (!exchange_query(x, NULL, 0, &fault) || !read_reason(x, &reason, &fault))
        return exchange_fail(x, &fault);
    struct change *change = change_begin(x, sizeof(struct set_input));
    struct set_input *input = change->input;
    input->base.committed = set_committed;
    input->jobs = x->services->jobs;
    input->paused = paused;
    input->reason = arena_strdup(&change->arena, reason);
    change->apply = set_apply;
    change->render = set_render;
    return change_commit(x, change, paused ? "queue.pause" : "queue.resume", "queue", NULL);
}

enum flow queue_pause(struct exchange *x)
{
    return set(x, true);
}

enum flow queue_resume(struct exchange *x)
{
    return set(x, false);
}
