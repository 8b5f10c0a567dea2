/* Tasks: create, list, read, delete, submit ("Paths for task" of Taipy's REST API). */
#include "bailiff/clock.h"
#include "bailiff/handlers.h"
#include "handlers/change.h"
#include "handlers/entity.h"
#include "handlers/resource.h"

static bool step(struct store_reader *reader, const struct scope *scope, const struct list_query *query,
                 struct list_position *position, size_t rows_max, struct arena *arena, void *ret_rows,
                 size_t *ret_count, struct fault *fault)
{
    return store_list_tasks(reader, scope, query, position, rows_max, arena, ret_rows, ret_count, fault);
}

static bool find(struct store_reader *reader, const struct scope *scope, const char *id, struct arena *arena,
                 void *ret_row, struct fault *fault)
{
    return store_find_task(reader, scope, id, arena, ret_row, fault);
}

static const char *const SORTS[] = {"created_at", "id", "config_id", NULL};
static const struct resource RESOURCE = {
    .path = "/api/v1/tasks/",
    .key = "task",
    .members = &TASK_MEMBERS,
    .row_size = sizeof(struct task),
    .seq_at = offsetof(struct task, seq),
    .revision_at = offsetof(struct task, revision),
    .sorts = SORTS,
    .step = step,
    .find = find,
};

enum flow tasks_list(struct exchange *x)
{
    return resource_list(x, &RESOURCE);
}

enum flow tasks_get(struct exchange *x)
{
    return resource_get(x, &RESOURCE);
}

/* ---- create ---- */

struct create_input {
    struct change_input base;
    const char *config_id;
    struct task_creation
        creation; /* its config is looked up on the way, so that a failure is recorded and kept like a success */
};

static bool create_apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct create_input *input = change->input;
    struct task *task = arena_alloc(&change->arena, sizeof(*task));

    if (!input->config_id || !*input->config_id)
        return fault_set(fault, FAULT_INVALID, "Config id is missing.");
    input->creation.config = manifest_task(input->creation.manifest, input->config_id);
    if (!input->creation.config)
        return fault_set(fault, FAULT_NOT_FOUND, "Task config: %.*s does not exist.", CONFIG_ID_MAX, input->config_id);

    if (!txn_create_task(txn, &input->base.scope, &input->creation, &change->arena, task, fault))
        return false;
    change->outcome = task;
    change->audit.target = task->id;
    return true;
}

static void create_render(struct change *change)
{
    const struct create_input *input = change->input;
    const struct task *task = change->outcome;
    struct text json = {0};
    char etag[ETAG_SIZE];

    if (!change->ok) {
        change_render_fault(change);
        return;
    }
    members_etag(task->seq, task->revision, ALL_MEMBERS, input->base.wire, etag);
    change_render_header(change, "Location", arena_printf(&change->arena, "/api/v1/tasks/%s/", task->id));
    change_render_header(change, "ETag", arena_printf(&change->arena, "\"%s\"", etag));
    jw_open(&json, '{');
    jw_member_string(&json, "message", "Task was created.");
    jw_key(&json, "task");
    members_put(&json, &TASK_MEMBERS, task, ALL_MEMBERS, input->base.wire);
    jw_close(&json, '}');
    change_render_json(change, 201, &json);
}

enum flow tasks_create(struct exchange *x)
{
    struct query_param params[] = {{"config_id", NULL}};
    struct fault fault = {0};

    if (!exchange_query(x, params, ARRAY_LEN(params), &fault) || !body_is_ignorable(x, &fault))
        return exchange_fail(x, &fault);
    struct change *change = change_begin(x, sizeof(struct create_input));
    struct create_input *input = change->input;
    input->config_id = arena_strdup(&change->arena, params[0].value);
    input->creation = (struct task_creation){
        .manifest = x->services->manifest,
        .created_by = input->base.subject,
        .reuse = x->wire == WIRE_TAIPY,
    };
    change->apply = create_apply;
    change->render = create_render;
    return change_commit(x, change, "task.create", NULL, NULL);
}

/* ---- delete ---- */

struct delete_input {
    struct change_input base;
    const char *id;
    int64_t if_match;
};

static bool delete_apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    const struct delete_input *input = change->input;

    return txn_delete_task(txn, &input->base.scope, input->id, input->if_match, fault);
}

static void delete_render(struct change *change)
{
    const struct delete_input *input = change->input;

    if (!change->ok)
        change_render_fault(change);
    else
        change_render_message(change, 200, arena_printf(&change->arena, "Task %s was deleted.", input->id));
}

/* The revision that If-Match allows; the writer tests it against the current one. */
static int64_t revision_matched(struct exchange *x, const char *id)
{
    const int64_t ANY = -1, NONE = INT64_MAX; /* none: no revision that there is */
    const struct header *h = exchange_header(x, "if-match");
    struct task task;
    char etag[ETAG_SIZE];

    if (!h)
        return ANY;
    if (exchange_header_count(x, "if-match") > 1)
        return NONE;
    if (!store_find_task(x->bench->reader, &x->scope, id, &x->arena, &task, NULL))
        return NONE; /* the writer says 404 first */
    members_etag(task.seq, task.revision, ALL_MEMBERS, x->wire, etag);
    return etag_list_matches(h->value, etag, false) ? task.revision : NONE;
}

enum flow tasks_delete(struct exchange *x)
{
    struct fault fault = {0};

    if (!exchange_query(x, NULL, 0, &fault))
        return exchange_fail(x, &fault);
    struct change *change = change_begin(x, sizeof(struct delete_input));
    struct delete_input *input = change->input;
    input->id = arena_strdup(&change->arena, exchange_param(x, "id"));
    input->if_match = revision_matched(x, input->id);
    change->apply = delete_apply;
    change->render = delete_render;
    return change_commit(x, change, "task.delete", input->id, NULL);
}

/* ---- submit ---- */

struct submit_input {
    struct change_input base;
    const char *id;
    bool force;
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

    if (!txn_submit_task(txn, &input->base.scope, input->id, input->force, input->base.subject, &change->arena,
                         &o->task, &o->job, &o->submission, fault))
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

static void put_submitted(struct text *json, const struct submit_outcome *o, const struct job *job, enum wire wire)
{
    own(text_done) struct text message = {0};

    text_printf(&message, "Task %s was submitted.", o->task.id);
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
    put_submitted(&json, o, &o->job, input->base.wire);
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
    put_submitted(&json, o, &job, x->wire);
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

enum flow tasks_submit(struct exchange *x)
{
    struct query_param params[] = {{"force", NULL}};
    struct fault fault = {0};
    bool force = false;

    if (!exchange_query(x, params, ARRAY_LEN(params), &fault) || !parse_force(params[0].value, &force, &fault) ||
        !body_is_ignorable(x, &fault))
        return exchange_fail(x, &fault);
    if (x->replay)
        return submit_replayed(x);
    struct change *change = change_begin(x, sizeof(struct submit_input));
    struct submit_input *input = change->input;
    input->id = arena_strdup(&change->arena, exchange_param(x, "id"));
    input->force = force;
    exchange_preferences(x, &input->preferences);
    change->apply = submit_apply;
    change->render = submit_render;
    return change_commit(x, change, "task.submit", input->id, submit_committed);
}
