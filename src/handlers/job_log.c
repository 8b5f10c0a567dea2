/* What a job printed: all of it, or as it comes. */
#include <errno.h>
#include <unistd.h>

#include "bailiff/handlers.h"
#include "handlers/watch.h"

struct log_stream {
    struct body_source source;
    struct exchange *x;
    const char *job_id; /* exchange's */
    int fd;             /* -1: nothing was written yet */
    int attempt;        /* whose log that is */
    bool follow;
    bool last_round; /* the attempt is over: what is read now is the rest of its log */
    bool over;       /* and so is the job */
    struct watch watch;
};

static void log_free_stream(struct body_source *source)
{
    struct log_stream *s = container_of(source, struct log_stream, source);

    closep(&s->fd);
    free(s);
}

/* The log of the job's first attempt from this one on that has any. False: the log cannot be read. */
static bool log_open(struct log_stream *s, struct job *job, int attempt, struct fault *fault)
{
    int last = job->attempt;
    bool ok = true;

    for (job->attempt = attempt; ok && s->fd < 0 && job->attempt <= last; job->attempt++) {
        struct fault none = {0};

        s->attempt = job->attempt;
        ok = jobs_open_log(s->x->services->jobs, job, &s->fd, &none) || none.kind == FAULT_NOT_FOUND;
        if (!ok && fault)
            *fault = none;
    }
    job->attempt = last;
    return ok;
}

/* Nothing more to read now: is the attempt over, or the job? What was written before is read in one more round; then comes the log of
 * the next attempt. */
static enum source_state log_at_end(struct log_stream *s)
{
    struct exchange *x = s->x;
    own(arena_done) struct arena arena = {0};
    struct fault fault = {0};
    struct job job;

    if (!s->follow || s->over)
        return SOURCE_END;
    if (!store_find_job(x->bench->reader, &x->scope, s->job_id, &arena, &job, &fault))
        return SOURCE_FAILED;
    bool next = job.attempt > s->attempt;
    if (next && s->fd >= 0 && !s->last_round) {
        s->last_round = true;
        return SOURCE_MORE;
    }
    if (next || s->fd < 0) {
        closep(&s->fd);
        s->fd = -1;
        s->last_round = false;
        if (job.attempt > 0 && !log_open(s, &job, next ? s->attempt + 1 : s->attempt, &fault))
            return SOURCE_FAILED;
    }
    s->over = job_status_final(job.status) && s->attempt >= job.attempt;
    return s->over || (s->fd >= 0 && next) ? SOURCE_MORE : SOURCE_LATER;
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
    s->attempt = job.attempt;
    s->follow = follow;
    fd = -1;
    return exchange_answer_source(x, 200, "text/plain; charset=utf-8", &s->source, -1);
}
