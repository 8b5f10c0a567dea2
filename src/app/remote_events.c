/* bailiff jobs events: what becomes of jobs, as it happens; over broken connections, without gap or doublet. */
#include "app/remote.h"
#include "app/sse.h"

enum { SILENCE_S = 90 }; /* the server says that it lives more often */

struct watching {
    struct remote *remote;
    const char *path;
    struct sse sse;
    struct table table;
    const char *job_id; /* NULL: all jobs */
    bool follow;        /* else: of one job, what was so far … */
    json_t *until;      /* … up to this state of it */
    bool over;          /* there is nothing more to print */
    struct patience patience;
};

/* ---- what comes ---- */
static void print_event(struct watching *w, json_t *event, const char *id)
{
    own(text_done) struct text time = {0}, attempt = {0};
    const char *at = json_string_value(json_object_get(event, "time"));

    if (w->remote->json) {
        if (json_object_set_new(event, "id", json_string(id)) < 0)
            abort();
        remote_print_json(w->remote, event);
        return;
    }
    if (at)
        shown_time(&time, at, false);
    text_printf(&attempt, "%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(event, "attempt")));
    table_cell(&w->table, time.data);
    table_cell(&w->table, json_string_value(json_object_get(event, "job_id")));
    table_cell(&w->table, attempt.data);
    table_cell(&w->table, job_status_shown(event));
    table_print(&w->table, w->remote->call->out);
}

static bool same_state(const json_t *event, const json_t *job)
{
    return strcmp(job_status_shown(event), job_status_shown(job)) == 0 &&
           json_integer_value(json_object_get(event, "attempt")) == json_integer_value(json_object_get(job, "attempt"));
}

static bool take_event(void *arg, const struct sse_event *event)
{
    struct watching *w = arg;
    own(json_freep) json_t *document = NULL;

    if (!event->data.data || strcmp(event->type, "reset") == 0) {
        if (event->data.data)
            remote_note(w->remote, "Events are missing here: the server does not keep them any more.");
        w->over = !w->follow; /* a heartbeat: all that there was has come */
        return w->follow;
    }
    if (event->type[0] || !json_read(event->data, "The event", &document, NULL) || !json_is_object(document))
        return true; /* of a kind that is not known yet */
    w->patience.until_ms = 0;
    print_event(w, document, event->id);
    FILE *out = w->remote->call->out;
    if (fflush(out) != 0 || ferror(out))
        return false;
    w->over = w->until ? same_state(document, w->until) : w->job_id && job_has_ended(document);
    return !w->over;
}

static bool take_piece(void *arg, const char *data, size_t len)
{
    struct watching *w = arg;

    w->remote->reached = true;
    return sse_feed(&w->sse, (struct span){data, len});
}

/* ---- watching ---- */
/* The stream ended, well or not: to be asked for again, behind the last event, unless it is over. */
static int watch_once(struct watching *w, bool *ret_again)
{
    struct remote *r = w->remote;
    own(caller_answer_done) struct caller_answer answer = {0};
    own(freep) char *behind = xprintf("Last-Event-ID: %s", w->sse.id.data);
    const char *fields[] = {"Accept: text/event-stream", behind};
    const struct caller_request request = {.method = "GET",
                                           .path = w->path,
                                           .fields = fields,
                                           .field_count = w->sse.id.len > 0 ? 2 : 1,
                                           .take = take_piece,
                                           .arg = w,
                                           .silence_s = SILENCE_S};
    struct fault fault = {0};

    sse_restart(&w->sse);
    enum caller_end end = caller_send(r->caller, &request, &answer, &fault);
    *ret_again = false;
    if (w->over || (end == CALLER_ANSWERED && answer.status == 204))
        return STATUS_OK;
    if (ferror(r->call->out))
        return STATUS_FAILED; /* whoever read it is gone */
    bool ended = end == CALLER_ANSWERED && answer.status == 200;
    if (ended || answer_is_passing(end, &answer)) {
        *ret_again = patience_left(r, &w->patience);
        if (*ret_again)
            return STATUS_OK;
        if (ended)
            fault_set(&fault, FAULT_INVALID, "it ends a stream again and again without an event");
    }
    return end == CALLER_ANSWERED && !ended ? remote_refused(r, &answer)
                                            : remote_unreached(r, ended ? CALLER_REFUSED : end, &fault);
}

static int watch(struct watching *w)
{
    bool again = true;
    int status = STATUS_OK;

    while (status == STATUS_OK && again)
        status = watch_once(w, &again);
    return status;
}

static int watch_job(struct watching *w)
{
    own(json_freep) json_t *job = NULL;
    int status = remote_read_job(w->remote, w->job_id, &job);

    if (status != STATUS_OK)
        return status;
    w->until = w->follow ? NULL : job;
    status = watch(w);
    w->until = NULL;
    if (status != STATUS_OK || !w->follow)
        return status;
    json_decref(job);
    job = NULL;
    status = remote_read_job(w->remote, w->job_id, &job);
    return status == STATUS_OK ? remote_judge(w->remote, job) : status;
}

static const char *all_events(struct remote *r)
{
    static const char *const FILTERS[][2] = {
        {"config-id", "config_id"}, {"task-id", "task_id"}, {"submission-id", "submission_id"}, {"status", "status"}};
    own(text_done) struct text path = {0};

    text_append_str(&path, "/api/v1/events/");
    for (size_t i = 0; i < ARRAY_LEN(FILTERS); i++)
        if (call_has(r->call, FILTERS[i][0]))
            query_add(&path, FILTERS[i][1], call_value(r->call, FILTERS[i][0]));
    return arena_strdup(&r->arena, path.data);
}

static bool options_fit(struct call *call)
{
    bool filtered = call_has(call, "config-id") || call_has(call, "task-id") || call_has(call, "submission-id") ||
                    call_has(call, "status");
    const char *after = call_value(call, "after");
    uint64_t id;

    if (!call->operand && !call_has(call, "follow"))
        call_fail(call, STATUS_USAGE, "name a JOB, or give --follow: those of all jobs are told from now on.");
    else if (call->operand && (filtered || after))
        call_fail(call, STATUS_USAGE, "filters and --after are for the events of all jobs; leave JOB out.");
    else if (after && !span_to_u64(span_of(after), INT64_MAX, &id))
        call_fail(call, STATUS_USAGE, "--after: \"%s\" is not the id of an event (see --json).", after);
    else
        return true;
    return false;
}

static int run_events(struct call *call)
{
    static const char *const TITLES[] = {"TIME", "JOB", "ATTEMPT", "STATUS"};
    struct remote r = {0};
    struct watching w = {.remote = &r, .job_id = call->operand, .follow = call_has(call, "follow")};
    int status;

    if (!options_fit(call))
        return STATUS_USAGE;
    sse_init(&w.sse, take_event, &w);
    if (call_has(call, "after"))
        text_append_str(&w.sse.id, call_value(call, "after"));
    table_init(&w.table, TITLES, ARRAY_LEN(TITLES));
    status = remote_open(&r, call);
    if (status == STATUS_OK) {
        w.path = w.job_id ? remote_path(&r, "jobs", w.job_id, "events/") : all_events(&r);
        status = !w.path ? STATUS_USAGE : w.job_id ? watch_job(&w) : watch(&w);
    }
    table_done(&w.table);
    sse_done(&w.sse);
    remote_done(&r);
    return status;
}

static const struct command_option OPTIONS[] = {
    {"follow", NULL, false, false, "go on: of one job to its end, of all jobs for ever"},
    {"after", "EVENT", false, false, "begin behind this event (its id stands in --json), not now"},
    {"config-id", "ID", false, false, "of jobs of this task configuration"},
    {"task-id", "ID", false, false, "of jobs of this task"},
    {"submission-id", "ID", false, false, "of jobs of this submission"},
    {"status", "STATUS", false, false, "of jobs that come into this status"},
    CLIENT_OPTIONS,
};

const struct command COMMAND_JOBS_EVENTS = {
    .name = "jobs events",
    .summary = "prints what becomes of a job, or of all, as it happens",
    .about = "One line an event; with --json one document a line. Broken connections are taken up again without a gap. "
             "With\n"
             "JOB and --follow the exit status says how the job ended.\n",
    .operand = "JOB",
    .operand_optional = true,
    .client = true,
    .options = OPTIONS,
    .option_count = ARRAY_LEN(OPTIONS),
    .run = run_events,
};
