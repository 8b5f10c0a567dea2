/* Jobs: list, read, log, cancel. */
#include <errno.h>
#include <unistd.h>

#include "bailiff/handlers.h"
#include "handlers/change.h"
#include "handlers/entity.h"
#include "handlers/resource.h"
#include "handlers/watch.h"

static bool step(struct store_reader *reader, const struct scope *scope, const struct list_query *query,
                 struct list_position *position, size_t rows_max, struct arena *arena, void *ret_rows,
                 size_t *ret_count, struct fault *fault)
{
    return store_list_jobs(reader, scope, query, position, rows_max, arena, ret_rows, ret_count, fault);
}

static bool find(struct store_reader *reader, const struct scope *scope, const char *id, struct arena *arena,
                 void *ret_row, struct fault *fault)
{
    return store_find_job(reader, scope, id, arena, ret_row, fault);
}

static const char *const SORTS[] = {"creation_date", "id", "config_id", NULL};
static const struct resource RESOURCE = {
    .path = "/api/v1/jobs/",
    .key = "job",
    .members = &JOB_MEMBERS,
    .row_size = sizeof(struct job),
    .seq_at = offsetof(struct job, seq),
    .revision_at = offsetof(struct job, revision),
    .of_jobs = true,
    .sorts = SORTS,
    .step = step,
    .find = find,
};

enum flow jobs_list(struct exchange *x)
{
    return resource_list(x, &RESOURCE);
}

enum flow jobs_get(struct exchange *x)
{
    return resource_get(x, &RESOURCE);
}

/* ---- log ---- */

struct log_stream {
    struct body_source source;
    struct exchange *x;
    const char *job_id; /* exchange's */
    int fd;             /* -1: nothing was written yet */
    bool follow, last_round;
    struct watch watch;
};

static void log_free_stream(struct body_source *source)
{
    struct log_stream *s = container_of(source, struct log_stream, source);

    closep(&s->fd);
    free(s);
}

/* Nothing more to read now: is the job over? What it wrote before it ended is read in one more round. */
static enum source_state log_at_end(struct log_stream *s)
{
    struct exchange *x = s->x;
    own(arena_done) struct arena arena = {0};
    struct fault fault = {0};
    struct job job;

    if (!s->follow || s->last_round)
        return SOURCE_END;
    if (!store_find_job(x->bench->reader, &x->scope, s->job_id, &arena, &job, &fault))
        return SOURCE_FAILED;
    if (s->fd < 0 && job.attempt > 0 && !jobs_open_log(x->services->jobs, &job, &s->fd, &fault) &&
        fault.kind != FAULT_NOT_FOUND)
        return SOURCE_FAILED;
    s->last_round = job_status_final(job.status);
    if (s->last_round)
        return SOURCE_MORE;
    return SOURCE_LATER;
}

static enum source_state log_pull(struct body_source *source, struct text *out)
{
    struct log_stream *s = container_of(source, struct log_stream, source);
    char piece[16384];
    ssize_t n = 0;

    if (!watch_allows(&s->watch, s->x))
        return SOURCE_FAILED;
    if (s->fd >= 0) {
        do
            n = read(s->fd, piece, sizeof(piece));
        while (n < 0 && errno == EINTR);
    }
    if (n < 0)
        return SOURCE_FAILED;
    if (n == 0)
        return log_at_end(s);
    text_append(out, piece, (size_t)n);
    return SOURCE_MORE;
}

static bool parse_follow(const char *value, bool *ret_follow, struct fault *fault)
{
    if (value && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
        return fault_set(fault, FAULT_INVALID, "follow must be true or false.");
    *ret_follow = value && strcmp(value, "true") == 0;
    return true;
}

enum flow jobs_log(struct exchange *x)
{
    struct query_param params[] = {{"follow", NULL}};
    struct fault fault = {0};
    own(closep) int fd = -1;
    struct job job;
    bool follow = false;

    if (!exchange_query(x, params, ARRAY_LEN(params), &fault) || !parse_follow(params[0].value, &follow, &fault) ||
        !store_find_job(x->bench->reader, &x->scope, exchange_param(x, "id"), &x->arena, &job, &fault))
        return exchange_fail(x, &fault);
    if (job.attempt > 0 && !jobs_open_log(x->services->jobs, &job, &fd, &fault) && fault.kind != FAULT_NOT_FOUND)
        return exchange_fail(x, &fault);

    struct log_stream *s = xcalloc(1, sizeof(*s));
    s->source.pull = log_pull;
    s->source.free = log_free_stream;
    s->x = x;
    s->job_id = job.id;
    s->fd = fd;
    s->follow = follow;
    fd = -1;
    return exchange_answer_source(x, 200, "text/plain; charset=utf-8", &s->source, -1);
}

/* ---- cancel ---- */

struct cancel_input {
    struct change_input base;
    const char *id;
};

static bool cancel_apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    const struct cancel_input *input = change->input;
    struct job *job = arena_alloc(&change->arena, sizeof(*job));

    if (!txn_cancel_job(txn, &input->base.scope, input->id, &change->arena, job, fault))
        return false;
    change->outcome = job;
    return true;
}

static void cancel_render(struct change *change)
{
    const struct cancel_input *input = change->input;
    const struct job *job = change->outcome;

    if (!change->ok)
        change_render_fault(change);
    else if (input->base.wire == WIRE_TAIPY)
        change_render_message(change, 200, arena_printf(&change->arena, "Job %s was cancelled.", input->id));
    else if (job->status == JOB_RUNNING)
        change_render_message(change, 202, arena_printf(&change->arena, "Job %s is being stopped.", input->id));
    else
        change_render_json(change, 204, NULL);
}

enum flow jobs_cancel(struct exchange *x)
{
    struct fault fault = {0};

    if (!exchange_query(x, NULL, 0, &fault) || !body_is_ignorable(x, &fault))
        return exchange_fail(x, &fault);
    struct change *change = change_begin(x, sizeof(struct cancel_input));
    struct cancel_input *input = change->input;
    input->id = arena_strdup(&change->arena, exchange_param(x, "id"));
    change->apply = cancel_apply;
    change->render = cancel_render;
    return change_commit(x, change, "job.cancel", input->id, NULL);
}
