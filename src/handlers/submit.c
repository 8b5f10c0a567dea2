/* Having something executed: a task, with a new job, or a job that was made before. */
#include "bailiff/handlers.h"
#include "handlers/change.h"
#include "handlers/entity.h"
#include "handlers/members.h"
#include "handlers/submission.h"

struct submit_input {
    struct change_input base;
    bool of_job; /* what.id is a job's that was made before; else a task's */
    struct task_submission what;
    struct preferences preferences;
};

struct submit_outcome {
    struct task task;
    struct job job;
    struct submission submission;
};

static bool submit_apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    const struct submit_input *input = change->input;
    struct submit_outcome *o = arena_alloc(&change->arena, sizeof(*o));
    bool ok = (input->of_job ? txn_submit_job : txn_submit_task)(txn, &input->base.scope, &input->what, &change->arena,
                                                                 &o->task, &o->job, &o->submission, fault);

    if (!ok)
        return false;
    change->outcome = o;
    struct text detail = {0};
    jw_open(&detail, '{');
    jw_member_string(&detail, "job_id", o->job.id);
    jw_member_string(&detail, "submission_id", o->submission.id);
    jw_close(&detail, '}');
    change->audit.detail = arena_strndup(&change->arena, detail.data, detail.len);
    text_done(&detail);
    return true;
}

static void put_submitted(struct text *json, const struct submit_input *input, const struct submit_outcome *o,
                          const struct job *job)
{
    own(text_done) struct text message = {0};
    enum wire wire = input->base.wire;

    text_printf(&message, "%s %s was submitted.", input->of_job ? "Job" : "Task", input->what.id);
    jw_open(json, '{');
    jw_member_string(json, "message", message.data);
    if (wire != WIRE_TAIPY) {
        jw_key(json, "task");
        members_put(json, &TASK_MEMBERS, &o->task, ALL_MEMBERS, wire);
        jw_key(json, "job");
        members_put(json, &JOB_MEMBERS, job, ALL_MEMBERS, wire);
        jw_member_string(json, "submission_id", o->submission.id);
    }
    jw_close(json, '}');
}

static void render_applied(struct change *change, const struct preferences *p)
{
    if (p->wait_s >= 0)
        change_render_header(
            change, "Preference-Applied",
            arena_printf(&change->arena, "%swait=%d", p->representation ? "return=representation, " : "", p->wait_s));
    else if (p->representation)
        change_render_header(change, "Preference-Applied", "return=representation");
    else if (p->minimal)
        change_render_header(change, "Preference-Applied", "return=minimal");
}

static void submit_render(struct change *change)
{
    const struct submit_input *input = change->input;
    const struct submit_outcome *o = change->outcome;
    struct text json = {0};
    bool taipy = input->base.wire == WIRE_TAIPY;

    if (!change->ok) {
        change_render_fault(change);
        return;
    }
    change_render_header(change, "Location", arena_printf(&change->arena, "/api/v1/jobs/%s/", o->job.id));
    if (!taipy)
        render_applied(change, &input->preferences);
    if (!taipy && !input->preferences.representation && input->preferences.wait_s < 0) {
        change_render_json(change, 204, NULL);
        return;
    }
    put_submitted(&json, input, o, &o->job);
    change_render_json(change, taipy ? 200 : 202, &json);
}

/* Prefer: wait — the job has ended, or the time is over. The change is the payload before this one: its outcome was kept. */
static enum flow submit_waited(struct exchange *x)
{
    const struct change *change = x->handler_data;
    const struct submit_outcome *o = change->outcome;
    own(text_done) struct text json = {0};
    struct fault fault = {0};
    struct job job;

    if (!store_find_job(x->bench->reader, &x->scope, o->job.id, &x->arena, &job, &fault))
        return exchange_fail(x, &fault);
    put_submitted(&json, change->input, o, &job);
    return exchange_answer_stored(x, job_status_final(job.status) ? 200 : 202, change->answer.headers, json.data,
                                  json.len);
}

static enum flow submit_committed(struct exchange *x)
{
    struct change *change = exchange_payload(x);
    const struct submit_input *input = change->input;
    const struct submit_outcome *o = change->outcome;

    if (input->preferences.wait_s <= 0 || x->wire == WIRE_TAIPY)
        return change_send_answer(x);
    x->handler_data = change;
    jobs_wait(x->services->jobs, o->job.id, (unsigned)input->preferences.wait_s * 1000,
              exchange_wait(x, submit_waited));
    return FLOW_WAIT;
}

/* A repeat of a submit whose caller prefers to wait: the stored answer, with the job as it is in the end. */
static enum flow replay_waited(struct exchange *x)
{
    const struct stored_answer *answer = x->replay;
    json_t *body = x->handler_data;
    own(text_done) struct text rendered = {0};
    own(json_freep) json_t *current = NULL;
    struct fault fault = {0};
    struct job job;

    if (!store_find_job(x->bench->reader, &x->scope, json_string_value(json_pointer(body, "/job/id")), &x->arena, &job,
                        &fault))
        return exchange_fail(x, &fault);
    members_put(&rendered, &JOB_MEMBERS, &job, ALL_MEMBERS, x->wire);
    if (!json_read(text_span(&rendered), "The job", &current, &fault) || json_object_set(body, "job", current) < 0)
        return exchange_fail(x, &fault);
    own(freep) char *json = json_dumps(body, JSON_COMPACT | JSON_PRESERVE_ORDER);
    exchange_set_header(x, "Idempotency-Replayed", "true");
    return exchange_answer_stored(x, job_status_final(job.status) ? 200 : 202, answer->headers, json ? json : "",
                                  json ? strlen(json) : 0);
}

static void decref(void *json)
{
    json_decref(json);
}

static enum flow submit_replayed(struct exchange *x)
{
    const struct stored_answer *answer = x->replay;
    struct preferences preferences;
    struct fault fault = {0};
    json_t *body = NULL;

    if (!json_read((struct span){answer->body, answer->body_len}, "The stored answer", &body, &fault))
        return exchange_fail(x, &fault);
    exchange_cleanup(x, decref, body);
    x->handler_data = body;
    const char *job_id = json_string_value(json_pointer(body, "/job/id"));
    if (!job_id) {
        fault_internal(&fault, "a stored answer of a submit names no job");
        return exchange_fail(x, &fault);
    }
    exchange_preferences(x, &preferences);
    jobs_wait(x->services->jobs, job_id, (unsigned)preferences.wait_s * 1000, exchange_wait(x, replay_waited));
    return FLOW_WAIT;
}

static bool parse_force(const char *value, bool *ret_force, struct fault *fault)
{
    if (!value || strcmp(value, "false") == 0)
        *ret_force = false;
    else if (strcmp(value, "true") == 0)
        *ret_force = true;
    else
        return fault_set(fault, FAULT_INVALID, "force must be true or false.");
    return true;
}

static enum flow submit(struct exchange *x, bool of_job)
{
    struct query_param params[] = {{"force", NULL}};
    struct fault fault = {0};
    bool force = false;

    if (!exchange_query(x, params, ARRAY_LEN(params), &fault) || !parse_force(params[0].value, &force, &fault))
        return exchange_fail(x, &fault);
    struct change *change = change_begin(x, sizeof(struct submit_input));
    struct submit_input *input = change->input;
    if (!submission_read(x, &change->arena, &input->what, &fault) || x->replay) {
        change_free(change);
        return fault.kind != FAULT_NONE ? exchange_fail(x, &fault) : submit_replayed(x);
    }
    input->of_job = of_job;
    input->what.id = arena_strdup(&change->arena, exchange_param(x, "id"));
    input->what.force |= force;
    exchange_preferences(x, &input->preferences);
    change->apply = submit_apply;
    change->render = submit_render;
    return change_commit(x, change, of_job ? "job.submit" : "task.submit", input->what.id, submit_committed);
}

enum flow tasks_submit(struct exchange *x)
{
    return submit(x, false);
}

enum flow jobs_submit(struct exchange *x)
{
    return submit(x, true);
}
