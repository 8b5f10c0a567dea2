/* Entities as JSON: the tables. */
#include <stdio.h>

#include "bailiff/clock.h"
#include "handlers/members.h"

/* Taipy writes enumerations as Python prints them: "Status.COMPLETED". */
static void put_enum(struct text *out, const char *type, const char *name, enum wire wire)
{
    char text[64];

    if (wire == WIRE_TAIPY)
        snprintf(text, sizeof(text), "%s.%s", type, name);
    jw_string(out, wire == WIRE_TAIPY ? text : name);
}

/* And dates of jobs as str(datetime): "2026-01-02 03:04:05.678000". */
static void put_job_time(struct text *out, int64_t ms, enum wire wire)
{
    char time[TIME_TEXT_SIZE];

    if (wire != WIRE_TAIPY || ms == 0) {
        jw_time(out, ms);
        return;
    }
    time_format(ms, time);
    time[10] = ' ';
    memcpy(time + 23, "000", 4);
    jw_string(out, time);
}

static void put_ids(struct text *out, const struct id_list *ids)
{
    jw_open(out, '[');
    for (size_t i = 0; i < ids->count; i++)
        jw_string(out, ids->items[i]);
    jw_close(out, ']');
}

static void put_interval(struct text *out, int64_t ms)
{
    if (ms == 0)
        jw_null(out);
    else
        jw_int(out, ms);
}

/* One small function a member. */
#define PUT(type, member, ...)                                                        \
    static void type##_##member(struct text *out, const void *entity, enum wire wire) \
    {                                                                                 \
        const struct type *e = entity;                                                \
        (void)e;                                                                      \
        (void)wire;                                                                   \
        __VA_ARGS__;                                                                  \
    }

PUT(task, id, jw_string(out, e->id))
PUT(task, config_id, jw_string(out, e->config_id))
PUT(task, owner_id, jw_string(out, e->owner_id))
PUT(task, parent_ids, put_ids(out, &e->parent_ids))
PUT(task, input_ids, put_ids(out, &e->input_ids))
PUT(task, output_ids, put_ids(out, &e->output_ids))
PUT(task, function_module, jw_string(out, e->function_module))
PUT(task, function_name, jw_string(out, e->function_name))
PUT(task, version, jw_string(out, e->version))
PUT(task, skippable, jw_bool(out, e->skippable))
PUT(task, created_at, jw_time(out, e->created_at_ms))
PUT(task, created_by, jw_string(out, e->created_by))

static const struct member task_members[] = {
    {"config_id", false, task_config_id},
    {"id", false, task_id},
    {"owner_id", false, task_owner_id},
    {"parent_ids", false, task_parent_ids},
    {"input_ids", false, task_input_ids},
    {"output_ids", false, task_output_ids},
    {"function_module", false, task_function_module},
    {"function_name", false, task_function_name},
    {"version", false, task_version},
    {"skippable", true, task_skippable},
    {"created_at", true, task_created_at},
    {"created_by", true, task_created_by},
};
const struct member_table TASK_MEMBERS = {task_members, ARRAY_LEN(task_members)};

PUT(job, id, jw_string(out, e->id))
PUT(job, task_id, jw_string(out, e->task_id))
PUT(job, status, put_enum(out, "Status", job_status_name(e->status), wire))
PUT(job, force, jw_bool(out, e->force))
PUT(job, creation_date, put_job_time(out, e->created_at_ms, wire))
PUT(job, subscribers, jw_raw(out, "[]", 2))
PUT(job, submission_id, jw_string(out, e->submission_id))
PUT(job, attempt, jw_int(out, e->attempt))
PUT(job, started_at, jw_time(out, e->started_at_ms))
PUT(job, ended_at, jw_time(out, e->ended_at_ms))
PUT(job, worker, jw_string(out, e->worker))
PUT(job, progress, jw_string(out, e->progress))
PUT(job, submitted_by, jw_string(out, e->submitted_by))
PUT(job, error, jw_string(out, e->error))
PUT(job, retries, jw_int(out, e->retries))
PUT(job, retries_max, jw_int(out, e->controls.retries.max))
PUT(job, retry_at, jw_time(out, e->retry_at_ms))

static void job_stacktrace(struct text *out, const void *entity, enum wire wire)
{
    const struct job *e = entity;

    (void)wire;
    jw_open(out, '['); /* Taipy's is a list of texts */
    if (e->stacktrace)
        jw_string(out, e->stacktrace);
    jw_close(out, ']');
}

static void job_exit_code(struct text *out, const void *entity, enum wire wire)
{
    const struct job *e = entity;

    (void)wire;
    if (e->exited)
        jw_int(out, e->exit_code);
    else
        jw_null(out);
}

static void job_signal(struct text *out, const void *entity, enum wire wire)
{
    const struct job *e = entity;

    (void)wire;
    if (e->signaled)
        jw_int(out, e->signal);
    else
        jw_null(out);
}

static void job_duration_ms(struct text *out, const void *entity, enum wire wire)
{
    const struct job *e = entity;

    (void)wire;
    if (e->ended_at_ms > 0 && e->started_at_ms > 0)
        jw_int(out, e->duration_ms);
    else
        jw_null(out);
}

static void job_timeout_ms(struct text *out, const void *entity, enum wire wire)
{
    const struct job *e = entity;

    (void)wire;
    put_interval(out, MAX(e->controls.timeout_ms, 0));
}

static void job_blocked_by(struct text *out, const void *entity, enum wire wire)
{
    const struct job *e = entity;
    struct span rest = span_of(e->blocked_by), id;

    (void)wire;
    jw_open(out, '[');
    while (rest.len > 0 && span_cut(&rest, ' ', &id))
        jw_string_len(out, id.data, id.len);
    jw_close(out, ']');
}

static const struct member job_members[] = {
    {"id", false, job_id},
    {"task_id", false, job_task_id},
    {"status", false, job_status},
    {"force", false, job_force},
    {"creation_date", false, job_creation_date},
    {"subscribers", false, job_subscribers},
    {"stacktrace", false, job_stacktrace},
    {"submission_id", true, job_submission_id},
    {"attempt", true, job_attempt},
    {"retries", true, job_retries},
    {"retries_max", true, job_retries_max},
    {"retry_at", true, job_retry_at},
    {"timeout_ms", true, job_timeout_ms},
    {"blocked_by", true, job_blocked_by},
    {"exit_code", true, job_exit_code},
    {"signal", true, job_signal},
    {"error", true, job_error},
    {"started_at", true, job_started_at},
    {"ended_at", true, job_ended_at},
    {"duration_ms", true, job_duration_ms},
    {"worker", true, job_worker},
    {"progress", true, job_progress},
    {"submitted_by", true, job_submitted_by},
};
const struct member_table JOB_MEMBERS = {job_members, ARRAY_LEN(job_members)};

PUT(submission, id, jw_string(out, e->id))
PUT(submission, entity_id, jw_string(out, e->entity_id))
PUT(submission, entity_type, jw_string(out, e->entity_type))
PUT(submission, entity_config_id, jw_string(out, e->entity_config_id))
PUT(submission, version, jw_string(out, e->version))
PUT(submission, status, put_enum(out, "SubmissionStatus", submission_status_name(e->status), wire))
PUT(submission, job_ids, put_ids(out, &e->job_ids))
PUT(submission, creation_date, put_job_time(out, e->created_at_ms, wire))
PUT(submission, submitted_by, jw_string(out, e->submitted_by))

static const struct member submission_members[] = {
    {"id", false, submission_id},
    {"entity_id", false, submission_entity_id},
    {"entity_type", false, submission_entity_type},
    {"entity_config_id", false, submission_entity_config_id},
    {"version", false, submission_version},
    {"status", false, submission_status},
    {"job_ids", false, submission_job_ids},
    {"creation_date", false, submission_creation_date},
    {"submitted_by", true, submission_submitted_by},
};
const struct member_table SUBMISSION_MEMBERS = {submission_members, ARRAY_LEN(submission_members)};

PUT(event, job_id, jw_string(out, e->job_id))
PUT(event, status, put_enum(out, "Status", job_status_name(e->status), wire))
PUT(event, attempt, jw_int(out, e->attempt))
PUT(event, cancel_requested, jw_bool(out, e->cancel_requested))
PUT(event, task_id, jw_string(out, e->task_id))
PUT(event, task_config_id, jw_string(out, e->task_config_id))
PUT(event, submission_id, jw_string(out, e->submission_id))
PUT(event, submission_status, put_enum(out, "SubmissionStatus", submission_status_name(e->submission_status), wire))
PUT(event, time, jw_time(out, e->time_ms))

static const struct member event_members[] = {
    {"job_id", false, event_job_id},
    {"status", false, event_status},
    {"attempt", false, event_attempt},
    {"cancel_requested", false, event_cancel_requested},
    {"task_id", false, event_task_id},
    {"task_config_id", false, event_task_config_id},
    {"submission_id", false, event_submission_id},
    {"submission_status", false, event_submission_status},
    {"time", false, event_time},
};
const struct member_table EVENT_MEMBERS = {event_members, ARRAY_LEN(event_members)};

PUT(data_node, id, jw_string(out, e->id))
PUT(data_node, config_id, jw_string(out, e->config_id))
PUT(data_node, scope, put_enum(out, "Scope", data_scope_name(e->scope), wire))
PUT(data_node, storage_type, jw_string(out, storage_type_name(e->storage_type)))
PUT(data_node, name, jw_string(out, e->name))
PUT(data_node, owner_id, jw_string(out, e->owner_id))
PUT(data_node, parent_ids, put_ids(out, &e->parent_ids))
PUT(data_node, last_edit_date, jw_time(out, e->last_edit_ms))
PUT(data_node, version, jw_string(out, e->version))
PUT(data_node, edit_in_progress, jw_bool(out, e->edit_in_progress))
PUT(data_node, editor_id, jw_string(out, e->editor_id))
PUT(data_node, properties,
    jw_raw(out, e->properties ? e->properties : "{}", strlen(e->properties ? e->properties : "{}")))
PUT(data_node, validity_days, put_interval(out, e->validity_period_ms / 86400000))
PUT(data_node, validity_seconds, put_interval(out, e->validity_period_ms % 86400000 / 1000))
PUT(data_node, created_at, jw_time(out, e->created_at_ms))

static const struct member data_node_members[] = {
    {"id", false, data_node_id},
    {"config_id", false, data_node_config_id},
    {"scope", false, data_node_scope},
    {"storage_type", false, data_node_storage_type},
    {"name", false, data_node_name},
    {"owner_id", false, data_node_owner_id},
    {"parent_ids", false, data_node_parent_ids},
    {"last_edit_date", false, data_node_last_edit_date},
    {"version", false, data_node_version},
    {"validity_days", false, data_node_validity_days},
    {"validity_seconds", false, data_node_validity_seconds},
    {"edit_in_progress", false, data_node_edit_in_progress},
    {"data_node_properties", false, data_node_properties},
    {"editor_id", true, data_node_editor_id},
    {"created_at", true, data_node_created_at},
};
const struct member_table DATA_NODE_MEMBERS = {data_node_members, ARRAY_LEN(data_node_members)};

PUT(revocation, id, jw_string(out, e->id))
PUT(revocation, issuer, jw_string(out, e->issuer))
PUT(revocation, token_id, jw_string(out, e->token_id))
PUT(revocation, subject, jw_string(out, e->subject))
PUT(revocation, issued_before, jw_time(out, e->issued_before_s * 1000))
PUT(revocation, created_at, jw_time(out, e->created_at_ms))
PUT(revocation, created_by, jw_string(out, e->created_by))
PUT(revocation, reason, jw_string(out, e->reason))

static const struct member revocation_members[] = {
    {"id", false, revocation_id},
    {"issuer", false, revocation_issuer},
    {"token_id", false, revocation_token_id},
    {"subject", false, revocation_subject},
    {"issued_before", false, revocation_issued_before},
    {"created_at", false, revocation_created_at},
    {"created_by", false, revocation_created_by},
    {"reason", false, revocation_reason},
};
const struct member_table REVOCATION_MEMBERS = {revocation_members, ARRAY_LEN(revocation_members)};

bool members_parse(const struct member_table *table, const char *fields, member_set *ret, struct fault *fault)
{
    struct span rest = span_of(fields), name;
    member_set set = 0;

    if (!fields) {
        *ret = ALL_MEMBERS;
        return true;
    }
    while (span_cut(&rest, ',', &name)) {
        size_t i = 0;
        while (i < table->count && !span_is(name, table->items[i].name))
            i++;
        if (i == table->count)
            return fault_set(fault, FAULT_INVALID, "fields: there is no member '%.*s'.", (int)MIN(name.len, (size_t)64),
                             name.data);
        set |= (member_set)1 << i;
    }
    *ret = set;
    return true;
}

void members_put(struct text *out, const struct member_table *table, const void *entity, member_set set, enum wire wire)
{
    jw_open(out, '{');
    for (size_t i = 0; i < table->count; i++) {
        const struct member *m = &table->items[i];
        if (!(set >> i & 1) || (m->ours && wire == WIRE_TAIPY))
            continue;
        jw_key(out, m->name);
        m->put(out, entity, wire);
    }
    jw_close(out, '}');
}

void members_etag(int64_t seq, int64_t revision, member_set set, enum wire wire, char out[static ETAG_SIZE])
{
    int len = snprintf(out, ETAG_SIZE, "%llx-%llx%s", (unsigned long long)seq, (unsigned long long)revision,
                       wire == WIRE_TAIPY ? "t" : "");
    if (set != ALL_MEMBERS)
        snprintf(out + len, ETAG_SIZE - (size_t)len, "-%llx", (unsigned long long)set);
}
