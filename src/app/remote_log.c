/* A job's log: copied as it grows, over broken connections, harmless on a terminal. */
#include <unistd.h>

#include "app/remote.h"
#include "bailiff/clock.h"

/* ---- patience ---- */
bool patience_left(const struct remote *r, struct patience *p)
{
    enum { ALL_MS = 30000, STEP_MS = 500 };
    int64_t now = clock_mono_ms();

    p->until_ms = p->until_ms ? p->until_ms : now + ALL_MS;
    if (!r->reached || now >= p->until_ms)
        return false;
    usleep(STEP_MS * 1000);
    return true;
}

bool answer_is_passing(enum caller_end end, const struct caller_answer *answer)
{
    return end == CALLER_UNREACHED || end == CALLER_BROKEN ||
           (end == CALLER_ANSWERED && (answer->status == 429 || (answer->status >= 502 && answer->status <= 504)));
}

int remote_read_job(struct remote *r, const char *job_id, json_t **ret_job)
{
    const char *path = remote_path(r, "jobs", job_id, "");
    struct patience patience = {0};

    if (!path)
        return STATUS_USAGE;
    for (;;) {
        const struct caller_request request = {.method = "GET", .path = path};
        own(caller_answer_done) struct caller_answer answer = {0};
        own(json_freep) json_t *document = NULL;
        struct fault fault = {0};
        enum caller_end end = caller_send(r->caller, &request, &answer, &fault);

        r->reached |= end == CALLER_ANSWERED;
        if (answer_is_passing(end, &answer) && patience_left(r, &patience))
            continue;
        if (end != CALLER_ANSWERED)
            return remote_unreached(r, end, &fault);
        if (answer.status != 200)
            return remote_refused(r, &answer);
        if (!json_read(text_span(&answer.body), "the answer", &document, &fault))
            return remote_unreached(r, CALLER_REFUSED, &fault);
        json_t *job = json_object_get(document, "job");
        if (!json_is_object(job) || !json_is_string(json_object_get(job, "status"))) {
            fault_set(&fault, FAULT_INVALID, "it is no job");
            return remote_unreached(r, CALLER_REFUSED, &fault);
        }
        *ret_job = json_incref(job);
        return STATUS_OK;
    }
}

/* ---- copying ---- */
struct copying {
    struct remote *remote;
    const char *job_id, *path;
    bool follow, harmless;
    struct shown_stream shown;
    uint64_t had;  /* bytes of this attempt's log that are out */
    uint64_t skip; /* bytes of what comes that are */
    int64_t attempt;
    struct patience patience;
};

static bool put(struct copying *l, struct span piece)
{
    FILE *out = l->remote->call->out;

    if (l->harmless) {
        own(text_done) struct text shown = {0};

        shown_stream_append(&l->shown, &shown, piece);
        fwrite(shown.data ? shown.data : "", 1, shown.len, out);
    } else {
        fwrite(piece.data, 1, piece.len, out);
    }
    return fflush(out) == 0 && !ferror(out);
}

static bool take(void *arg, const char *data, size_t len)
{
    struct copying *l = arg;
    size_t known = (size_t)MIN(l->skip, (uint64_t)len);

    l->skip -= known;
    if (len == known)
        return true;
    l->had += len - known;
    l->remote->reached = true;
    l->patience.until_ms = 0; /* it goes on */
    return put(l, (struct span){data + known, len - known});
}

/* Which attempt the log is of: another one begins its own. 0: the first has not begun yet; it is what will be read. */
static int find_attempt(struct copying *l)
{
    own(json_freep) json_t *job = NULL;
    int status = remote_read_job(l->remote, l->job_id, &job);

    if (status != STATUS_OK)
        return status;
    int64_t attempt = json_integer_value(json_object_get(job, "attempt"));
    if (l->had > 0 && attempt > MAX(l->attempt, 1)) {
        remote_note(l->remote, "Attempt %lld begins.", (long long)attempt);
        l->had = 0;
    }
    l->attempt = attempt;
    l->skip = l->had;
    return STATUS_OK;
}

static int copy_log(struct copying *l)
{
    struct remote *r = l->remote;
    int status = l->follow ? find_attempt(l) : STATUS_OK;

    while (status == STATUS_OK) {
        const struct caller_request request = {.method = "GET", .path = l->path, .take = take, .arg = l};
        own(caller_answer_done) struct caller_answer answer = {0};
        struct fault fault = {0};
        enum caller_end end = caller_send(r->caller, &request, &answer, &fault);

        if (end == CALLER_ANSWERED && answer.status == 200)
            return STATUS_OK;
        if (ferror(r->call->out))
            return STATUS_FAILED; /* whoever read it is gone */
        bool broken = l->had > 0 && l->patience.until_ms == 0;
        if (answer_is_passing(end, &answer) && patience_left(r, &l->patience)) {
            if (broken)
                remote_note(r, "The connection broke: %s. Going on where it was.", fault.message);
            status = find_attempt(l);
        } else {
            status = end == CALLER_ANSWERED ? remote_refused(r, &answer) : remote_unreached(r, end, &fault);
        }
    }
    return status;
}

int remote_log(struct remote *r, const char *job_id, bool follow)
{
    bool raw = call_has(r->call, "raw");
    int fd = fileno(r->call->out);
    struct copying l = {
        .remote = r,
        .job_id = job_id,
        .path = remote_path(r, "jobs", job_id, follow ? "log/?follow=true" : "log/"),
        .follow = follow,
        .harmless = !raw && fd >= 0 && isatty(fd),
    };
    own(text_done) struct text rest = {0};
    int status = l.path ? copy_log(&l) : STATUS_USAGE;

    shown_stream_end(&l.shown, &rest);
    fwrite(rest.data ? rest.data : "", 1, rest.len, r->call->out);
    (void)fflush(r->call->out);
    return status;
}
