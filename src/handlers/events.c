/* Events as a stream (Server-Sent Events, WHATWG HTML §9.2): of one job, or of all that the caller may see.
 *
 * An event's id is its place in the order of the commits. A stream goes on behind Last-Event-ID without gap or doublet, after
 * a restart too, as long as what came since is kept; if it is not, an event `reset` says so, and the client reads the lists anew. */
#include "bailiff/clock.h"
#include "bailiff/handlers.h"
#include "handlers/members.h"
#include "handlers/watch.h"

enum { STEP_ROWS = 64, RECONNECT_MS = 2000 };

struct event_stream {
    struct body_source source;
    struct exchange *x;
    struct watch watch;
    struct event_place *place;
    struct event_query query;
    const char *job_id; /* of one job's stream: exchange's; else NULL */
    int64_t position;   /* what is up to here was looked at … */
    int64_t told;       /* … and the client was told of it */
    int64_t spoke_ms;   /* monotonic: when it last said something */
    bool begun;
    bool more;  /* there may be more at once */
    bool reset; /* nothing follows what the client has without a gap */
};

/* ---- the form ---- */

static void put_id(struct event_stream *s, struct text *out)
{
    text_printf(out, "id: %lld\n", (long long)s->position);
    s->told = s->position;
}

static void put_event(struct event_stream *s, const struct event *event, struct text *out)
{
    own(text_done) struct text json = {0};

    members_put(&json, &EVENT_MEMBERS, event, ALL_MEMBERS, s->x->wire);
    text_printf(out, "id: %lld\ndata: ", (long long)event->seq);
    text_append(out, json.data, json.len);
    text_append_str(out, "\n\n");
    s->told = event->seq;
}

static void put_reset(struct event_stream *s, struct text *out)
{
    text_append_str(out, "event: reset\n");
    put_id(s, out);
    text_append_str(
        out, "data: {\"detail\":\"Events behind your Last-Event-ID are not kept any more. Read the state anew; what "
             "follows is what happens from here on.\"}\n\n");
}

/* A comment keeps the connection alive; an id without data moves the client's place on, so that it resumes there. */
static void put_heartbeat(struct event_stream *s, struct text *out)
{
    text_append_str(out, ":\n");
    if (s->told != s->position)
        put_id(s, out);
    text_append_str(out, "\n");
}

/* ---- the stream ---- */

static void stream_free(struct body_source *source)
{
    struct event_stream *s = container_of(source, struct event_stream, source);

    event_place_free(s->place);
    free(s);
}

static void stream_await(struct body_source *source, struct ticket *ticket)
{
    struct event_stream *s = container_of(source, struct event_stream, source);

    if (s->more) /* nothing of the last steps was wanted: on to the next ones */
        ticket_complete(ticket);
    else
        event_place_await(s->place, ticket);
}

/* A job that has ended or was deleted has nothing more to tell. */
static bool job_is_over(struct event_stream *s, bool *ret_over, struct fault *fault)
{
    struct exchange *x = s->x;
    own(arena_done) struct arena arena = {0};
    struct fault none = {0};
    struct job job;

    if (!store_find_job(x->bench->reader, &x->scope, s->job_id, &arena, &job, &none)) {
        *fault = none;
        *ret_over = true;
        return none.kind == FAULT_NOT_FOUND;
    }
    *ret_over = job_status_final(job.status);
    return true;
}

static bool put_step(struct event_stream *s, struct text *out, bool *ret_over, struct fault *fault)
{
    own(arena_done) struct arena arena = {0};
    struct event *rows = arena_alloc(&arena, STEP_ROWS * sizeof(*rows));
    struct event_step step = {.position = s->position, .rows_max = STEP_ROWS};
    struct exchange *x = s->x;

    /* the view of this turn may be older than what was told of since */
    store_reader_turn_end(x->bench->reader);
    event_place_look(s->place);
    if (!store_read_events(x->bench->reader, &x->scope, &s->query, &step, &arena, rows, fault))
        return false;
    s->position = step.position;
    for (size_t i = 0; i < step.count; i++) {
        put_event(s, &rows[i], out);
        *ret_over |= s->job_id && job_status_final(rows[i].status);
    }
    if (step.lost)
        put_reset(s, out);
    s->more = step.more;
    if (*ret_over || step.more || !s->job_id || step.count > 0)
        return true;
    return job_is_over(s, ret_over, fault);
}

static void put_beginning(struct event_stream *s, struct text *out)
{
    text_printf(out, "retry: %d\n", RECONNECT_MS);
    if (s->reset) {
        put_reset(s, out);
    } else {
        put_id(s, out);
        text_append_str(out, "\n");
    }
    s->begun = true;
}

static enum source_state stream_pull(struct body_source *source, struct text *out)
{
    struct event_stream *s = container_of(source, struct event_stream, source);
    struct fault fault = {0};
    bool over = false;
    int64_t now_ms = clock_mono_ms();

    /* Every end is a clean one: what is missing comes behind the last id, to who may still ask for it. */
    if (s->x->draining || !watch_allows(&s->watch, s->x))
        return SOURCE_END;
    size_t before = out->len;
    if (!s->begun)
        put_beginning(s, out);
    if (!put_step(s, out, &over, &fault)) {
        s->x->fault = fault;
        return SOURCE_FAILED;
    }
    if (over)
        return SOURCE_END;
    if (out->len == before && now_ms - s->spoke_ms >= s->x->services->heartbeat_ms)
        put_heartbeat(s, out);
    if (out->len > before)
        s->spoke_ms = now_ms;
    return s->more || out->len > before ? SOURCE_MORE : SOURCE_LATER;
}

static enum flow answer_stream(struct exchange *x, const struct event_query *query, const char *job_id,
                               int64_t position, bool reset)
{
    struct event_stream *s = xcalloc(1, sizeof(*s));

    s->source.pull = stream_pull;
    s->source.await = stream_await;
    s->source.free = stream_free;
    s->x = x;
    s->query = *query;
    s->job_id = job_id;
    s->position = position;
    s->reset = reset;
    s->place = event_place_new(x->services->hub, job_id);
    exchange_set_header(x, "X-Accel-Buffering", "no"); /* nginx would keep events back */
    return exchange_answer_source(x, 200, "text/event-stream", &s->source, -1);
}

/* ---- where it begins ---- */

/* *ret_position: -1 without the header. */
static bool read_last_id(const struct exchange *x, int64_t *ret_position, struct fault *fault)
{
    const struct header *h = exchange_header(x, "last-event-id");
    uint64_t id;

    *ret_position = -1;
    if (!h || (h->value.len == 0 && exchange_header_count(x, "last-event-id") == 1)) /* an EventSource without an id */
        return true;
    if (exchange_header_count(x, "last-event-id") > 1 || !span_to_u64(h->value, INT64_MAX, &id))
        return fault_set(fault, FAULT_INVALID, "Last-Event-ID must be the id of an event of this server.");
    *ret_position = (int64_t)id;
    return true;
}

static bool parse_status(const char *value, int *ret_status, struct fault *fault)
{
    enum job_status status;

    *ret_status = -1;
    if (!value)
        return true;
    if (!job_status_parse(span_of(value), &status))
        return fault_set(fault, FAULT_INVALID, "status: there is no job status '%.40s'.", value);
    *ret_status = (int)status;
    return true;
}

/* Without Last-Event-ID: from now on. */
enum flow events_stream(struct exchange *x)
{
    struct query_param params[] = {{"task_id", NULL}, {"config_id", NULL}, {"submission_id", NULL}, {"status", NULL}};
    struct event_query query = {0};
    struct fault fault = {0};
    int64_t position, before, last;

    if (!exchange_query(x, params, ARRAY_LEN(params), &fault) ||
        !parse_status(params[3].value, &query.status, &fault) || !read_last_id(x, &position, &fault) ||
        !store_event_ends(x->bench->reader, &before, &last, &fault))
        return exchange_fail(x, &fault);
    query.task_id = params[0].value;
    query.config_id = params[1].value;
    query.submission_id = params[2].value;
    bool reset = position >= 0 && (position < before || position > last);
    return answer_stream(x, &query, NULL, position < 0 || reset ? last : position, reset);
}

/* Without Last-Event-ID: from the job's creation on. With it, and when there is nothing more to come: 204, which tells an
 * EventSource to stop (§9.2.3). */
enum flow jobs_events(struct exchange *x)
{
    struct event_step step = {.rows_max = 1};
    struct event_query query = {.status = -1};
    struct fault fault = {0};
    int64_t position, before, last;
    struct event next;
    struct job job;

    if (!exchange_query(x, NULL, 0, &fault) || !read_last_id(x, &position, &fault) ||
        !store_find_job(x->bench->reader, &x->scope, exchange_param(x, "id"), &x->arena, &job, &fault) ||
        !store_event_ends(x->bench->reader, &before, &last, &fault))
        return exchange_fail(x, &fault);
    query.job_seq = job.seq;
    bool resumes = position >= 0, reset = resumes && (position < before || position > last);
    step.position = resumes && !reset ? position : before;
    if (!store_read_events(x->bench->reader, &x->scope, &query, &step, &x->arena, &next, &fault))
        return exchange_fail(x, &fault);
    bool done = job_status_final(job.status) && step.count == 0;
    if (done && resumes && !reset)
        return exchange_answer(x, 204);
    /* of a job whose events are gone nothing but that can be told */
    if (reset || done)
        return answer_stream(x, &query, job.id, last, true);
    return answer_stream(x, &query, job.id, resumes ? position : before, false);
}
