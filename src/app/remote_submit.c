/* Submitting, and waiting for the job's end. */
#include <unistd.h>

#include "app/remote.h"
#include "bailiff/clock.h"
#include "bailiff/model.h"
#include "bailiff/quantity.h"

enum { SERVER_WAITS_S = 60, POLL_FIRST_MS = 200, POLL_LAST_MS = 2000 };

bool submitting_read(struct call *call, struct submitting *ret)
{
    const char *text = call_value(call, "wait");
    struct submitting s = {.wait = text != NULL, .follow = call_has(call, "follow")};
    uint64_t seconds;

    if (text && span_to_u64(span_of(text), UINT32_MAX, &seconds))
        s.wait_ms = seconds * 1000;
    else if (text && !duration_parse(span_of(text), &s.wait_ms)) {
        call_fail(call, STATUS_USAGE, "--wait: \"%s\" is no time, such as 30, 90s or 5m.", text);
        return false;
    }
    if (s.wait && s.follow)
        call_fail(call, STATUS_USAGE, "give either --wait or --follow, not both.");
    else if (s.follow && call_has(call, "json"))
        call_fail(call, STATUS_USAGE, "--follow prints the log; leave --json out.");
    else {
        *ret = s;
        return true;
    }
    return false;
}

/* ---- what became of a job ---- */
static const char *member(const json_t *job, const char *name)
{
    return json_string_value(json_object_get(job, name));
}

const char *job_status_shown(const json_t *job)
{
    const char *name = plain_name(member(job, "status"));

    return name ? name : "?";
}

bool job_has_ended(const json_t *job)
{
    enum job_status status;

    return job_status_parse(span_of(job_status_shown(job)), &status) && job_status_final(status);
}

/* Its last line says what it was. */
static struct span why(const json_t *job)
{
    const char *trace = json_string_value(json_array_get(json_object_get(job, "stacktrace"), 0));
    const char *error = member(job, "error");
    struct span rest = span_of(error ? error : trace ? trace : ""), line, last = {"", 0};

    while (rest.len > 0 && span_cut(&rest, '\n', &line))
        if (span_trim(line).len > 0)
            last = span_trim(line);
    return last;
}

int remote_judge(struct remote *r, const json_t *job)
{
    const char *status = job_status_shown(job), *id = member(job, "id");
    struct span reason = why(job);

    if (str_eq(status, "COMPLETED") || str_eq(status, "SKIPPED"))
        return STATUS_OK;
    if (!job_has_ended(job)) {
        remote_note(r, "bailiff %s: %s is still %s.", r->call->command->name, id, status);
        return STATUS_JOB_OPEN;
    }
    remote_note(r, "bailiff %s: %s is %s%s%.*s", r->call->command->name, id, status, reason.len > 0 ? ": " : ".",
                (int)reason.len, reason.data);
    return STATUS_JOB_BAD;
}

static void append_outcome(struct text *out, const json_t *job)
{
    const json_t *duration = json_object_get(job, "duration_ms");

    shown_append(out, span_of(member(job, "id")));
    text_append_str(out, "  ");
    shown_append(out, span_of(job_status_shown(job)));
    if (json_is_integer(duration)) {
        text_append_str(out, "  ");
        shown_duration(out, json_integer_value(duration));
    }
}

/* ---- waiting ---- */
static int poll_end(struct remote *r, const char *job_id, int64_t deadline_ms, json_t **ret_job)
{
    int64_t pause_ms = POLL_FIRST_MS;

    for (;;) {
        own(json_freep) json_t *job = NULL;
        int status = remote_read_job(r, job_id, &job);

        if (status != STATUS_OK)
            return status;
        int64_t left_ms = deadline_ms - clock_mono_ms();
        if (job_has_ended(job) || left_ms <= 0) {
            *ret_job = give(job);
            return STATUS_OK;
        }
        usleep((useconds_t)(MIN(pause_ms, left_ms) * 1000));
        pause_ms = MIN(pause_ms * 3 / 2, (int64_t)POLL_LAST_MS);
    }
}

static int wait_end(struct remote *r, const char *job_id, int64_t deadline_ms, json_t *document)
{
    own(json_freep) json_t *job = json_incref(json_object_get(document, "job"));

    if (!job || !job_has_ended(job)) {
        json_decref(job);
        job = NULL;
        int status = poll_end(r, job_id, deadline_ms, &job);
        if (status != STATUS_OK)
            return status;
    }
    if (r->json) {
        own(json_freep) json_t *shown = document ? json_incref(document) : json_object();

        if (json_object_set(shown, "job", job) < 0)
            abort();
        remote_print_json(r, shown);
    } else {
        own(text_done) struct text outcome = {0};

        append_outcome(&outcome, job);
        fprintf(r->call->out, "%s\n", outcome.data);
    }
    return remote_judge(r, job);
}

/* The log goes to the output, all else beside it. */
int remote_follow(struct remote *r, const char *job_id)
{
    own(json_freep) json_t *job = NULL;
    own(text_done) struct text outcome = {0};
    int status;

    status = remote_log(r, job_id, true);
    if (status == STATUS_OK)
        status = poll_end(r, job_id, clock_mono_ms() + POLL_LAST_MS, &job);
    if (status != STATUS_OK)
        return status;
    append_outcome(&outcome, job);
    remote_note(r, "%s", outcome.data);
    return remote_judge(r, job);
}

/* ---- submitting ---- */
static const char *new_job(struct remote *r, const struct caller_answer *answer)
{
    struct span rest = caller_answer_field(answer, "Location"), part, id = {"", 0};

    while (rest.len > 0 && span_cut(&rest, '/', &part))
        if (part.len > 0)
            id = part;
    return entity_id_valid(id) ? arena_strndup(&r->arena, id.data, id.len) : NULL;
}

int remote_submit(struct remote *r, const char *path, const char *body, const struct submitting *how)
{
    uint64_t wait_s = MIN((how->wait_ms + 999) / 1000, (uint64_t)SERVER_WAITS_S);
    int64_t deadline_ms = clock_mono_ms() + (int64_t)how->wait_ms;
    own(freep) char *prefer = how->wait && wait_s > 0
                                  ? xprintf("Prefer: return=representation, wait=%u", (unsigned)wait_s)
                                  : xstrdup("Prefer: return=representation");
    const char *fields[] = {prefer};
    const struct caller_request request = {.method = "POST",
                                           .path = path,
                                           .body = body,
                                           .fields = fields,
                                           .field_count = ARRAY_LEN(fields),
                                           .timeout_ms = 30000 + (unsigned)wait_s * 1000};
    own(caller_answer_done) struct caller_answer answer = {0};
    own(json_freep) json_t *document = NULL;
    struct fault fault = {0};
    int status = remote_send(r, &request, &answer);

    if (status != STATUS_OK)
        return status;
    const char *job_id = new_job(r, &answer);
    if (!job_id) {
        fault_set(&fault, FAULT_INVALID, "it names no job");
        return remote_unreached(r, CALLER_REFUSED, &fault);
    }
    if (answer.body.len > 0 && !json_read(text_span(&answer.body), "the answer", &document, &fault))
        return remote_unreached(r, CALLER_REFUSED, &fault);
    if (how->follow) {
        remote_note(r, "%s is submitted.", job_id);
        return remote_follow(r, job_id);
    }
    if (how->wait)
        return wait_end(r, job_id, deadline_ms, document);
    if (r->json && document)
        remote_print_json(r, document);
    else
        fprintf(r->call->out, "%s\n", job_id);
    return STATUS_OK;
}
