/* Streams of events, of one job and of all, through the real chain: where they begin, what they tell, when they end. */
#include "chain/fixture.h"

static int setup(void **state)
{
    *state = world_new();
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

/* ---- what becomes of jobs ---- */

struct step {
    const char *job_id;
    int attempt;
    enum job_status to;
};

static bool apply_step(struct store_txn *txn, struct change *change, struct fault *fault)
{
    static const struct scope all = {.everything = true};
    const struct step *step = change->input;
    struct job_start start;
    struct job job;

    if (step->to == JOB_RUNNING)
        return txn_start_job(txn, step->job_id, "w1", &change->arena, &start, fault);
    if (step->to == JOB_CANCELED)
        return txn_cancel_job(txn, &all, step->job_id, &change->arena, &job, fault);
    return txn_end_job(txn, &(struct job_end){.job_id = step->job_id, .attempt = step->attempt, .status = step->to},
                       &change->arena, &job, fault);
}

static void move(struct world *w, const char *job_id, int attempt, enum job_status to)
{
    struct step step = {job_id, attempt, to};
    struct change *change = change_new();
    struct fault fault = {0};

    change->apply = apply_step;
    change->input = &step;
    must(store_submit_wait(w->services.store, change, &fault), &fault);
    change_free(change);
}

/* SUBMITTED, PENDING; the first two events of each. */
static char *new_job(struct world *w, const char *token)
{
    own(reply_done) struct reply made = call(w, "POST", "/api/v1/jobs/?task_id=double", token, NULL, NULL);
    own(freep) char *id = reply_string(&made, "/job/id");
    own(freep) char *submit = xprintf("/api/v1/jobs/submit/%s/", id);
    own(reply_done) struct reply submitted = call(w, "POST", submit, token, NULL, NULL);

    assert_int_equal(submitted.status, 204);
    return give(id);
}

static char *failed_job(struct world *w, const char *token)
{
    char *id = new_job(w, token);

    move(w, id, 0, JOB_RUNNING);
    move(w, id, 1, JOB_FAILED);
    return id;
}

/* ---- a stream ---- */

struct stream {
    struct world *w;
    struct request request;
    struct text said; /* since the last look */
    bool over;
};

static void stream_open(struct stream *s, struct world *w, const char *target, const char *token, const char *last_id)
{
    own(freep) char *header = last_id ? xprintf("last-event-id: %s", last_id) : NULL;
    const char *const headers[] = {header, NULL};

    *s = (struct stream){.w = w};
    request_start(&s->request, w, "GET", target, token, headers, NULL);
    assert_int_equal(s->request.x.response.status, 200);
    assert_non_null(s->request.x.response.source);
}

/* All that it says now. */
static void stream_read(struct stream *s)
{
    struct body_source *source = s->request.x.response.source;
    enum source_state state;

    do
        state = source->pull(source, &s->said);
    while (state == SOURCE_MORE);
    assert_int_not_equal(state, SOURCE_FAILED);
    s->over = state == SOURCE_END;
    store_reader_turn_end(s->w->bench.reader);
}

static void stream_close(struct stream *s)
{
    request_finish(&s->request, s->w);
    text_done(&s->said);
}

/* What follows `word` at the start of a line, up to its end; the one after `from`. NULL: nothing does. */
static const char *line_of(const char *from, const char *word, struct span *ret)
{
    for (; from && *from; from = strchr(from, '\n') ? strchr(from, '\n') + 1 : NULL)
        if (strncmp(from, word, strlen(word)) == 0) {
            const char *value = from + strlen(word);
            *ret = (struct span){value, strcspn(value, "\n")};
            return value;
        }
    return NULL;
}

/* "STATUS STATUS …" of its events, "reset" for a reset; "" for none. The last id of all goes to ret_id. */
static char *told(struct stream *s, char ret_id[static 24])
{
    own(text_done) struct text t = {0};
    struct span value;

    s->said.len = 0;
    stream_read(s);
    text_append_char(&s->said, '\0');
    for (const char *at = s->said.data; (at = line_of(at, "data: ", &value));) {
        struct fault fault = {0};
        own(json_freep) json_t *body = NULL;
        must(json_read(value, "The event", &body, &fault), &fault);
        const char *status = json_string_value(json_object_get(body, "status"));
        text_printf(&t, "%s%s", t.len > 0 ? " " : "", status ? status : "reset");
    }
    for (const char *at = s->said.data; (at = line_of(at, "id: ", &value));)
        snprintf(ret_id, 24, "%.*s", (int)value.len, value.data);
    return xstrdup(t.data ? t.data : "");
}

static void says(struct stream *s, const char *wanted)
{
    char id[24];
    own(freep) char *got = told(s, id);

    assert_string_equal(got, wanted);
}

/* A stream that is opened, read once and closed. */
static void is_told(struct world *w, const char *target, const char *token, const char *last_id, const char *wanted)
{
    struct stream s;

    stream_open(&s, w, target, token, last_id);
    says(&s, wanted);
    stream_close(&s);
}

static void is_answered(struct world *w, const char *target, const char *token, const char *const *headers, int status)
{
    own(reply_done) struct reply r = call(w, "GET", target, token, headers, NULL);

    if (r.status != status)
        fail_msg("GET %s: %d %s", target, r.status, r.body.data);
}

/* ---- where it begins ---- */

static const char ALL[] = "/api/v1/events/";
static const char LIFE[] = "SUBMITTED PENDING RUNNING FAILED";

static void test_catching_up(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ada", "TAIPY_ADMIN");
    own(freep) char *id = failed_job(w, admin);
    own(freep) char *path = xprintf("/api/v1/jobs/%s/events/", id);
    struct stream s;

    is_told(w, ALL, admin, NULL, ""); /* from now on */
    is_told(w, ALL, admin, "0", LIFE);
    is_told(w, ALL, admin, "2", "RUNNING FAILED");
    is_told(w, ALL, admin, "4", "");
    is_told(w, path, admin, NULL, LIFE); /* from its creation on */
    is_told(w, path, admin, "3", "FAILED");
    is_answered(w, path, admin, (const char *const[]){"last-event-id: 4", NULL}, 204);

    stream_open(&s, w, ALL, admin, "3");
    says(&s, "FAILED");
    own(freep) char *next = new_job(w, admin);
    says(&s, "SUBMITTED PENDING"); /* and no event twice */
    says(&s, "");
    assert_false(s.over);
    stream_close(&s);
}

static void test_who_has_no_id_yet(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ada", "TAIPY_ADMIN");
    own(freep) char *id = failed_job(w, admin);
    own(freep) char *path = xprintf("/api/v1/jobs/%s/events/", id);

    is_told(w, ALL, admin, "", ""); /* as without the header */
    is_told(w, path, admin, "", LIFE);
}

static void test_what_is_no_id(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ada", "TAIPY_ADMIN");
    own(freep) char *id = failed_job(w, admin);
    own(freep) char *path = xprintf("/api/v1/jobs/%s/events/", id);
    const char *const targets[] = {ALL, path};
    static const char *const bad[][3] = {
        {"last-event-id: x"},
        {"last-event-id: -1"},
        {"last-event-id: 1 "},
        {"last-event-id: 9223372036854775808"},
        {"last-event-id: 1", "last-event-id: 1"},
        {"last-event-id: ", "last-event-id: 1"},
        {"last-event-id: ", "last-event-id: "},
    };

    for (size_t t = 0; t < ARRAY_LEN(targets); t++)
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
            is_answered(w, targets[t], admin, bad[i], 400);
}

static void test_an_id_of_the_future(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ada", "TAIPY_ADMIN");
    own(freep) char *ended = failed_job(w, admin), *waiting = new_job(w, admin);
    own(freep) char *of_ended = xprintf("/api/v1/jobs/%s/events/", ended);
    own(freep) char *of_waiting = xprintf("/api/v1/jobs/%s/events/", waiting);
    struct stream s;
    char id[24];

    is_told(w, ALL, admin, "7", "reset"); /* 6 is the newest: the id is of another database */
    is_told(w, of_ended, admin, "7", "reset");
    stream_open(&s, w, of_waiting, admin, "7");
    own(freep) char *first = told(&s, id);
    assert_string_equal(first, "reset");
    assert_string_equal(id, "6"); /* with it the client resumes */
    move(w, waiting, 0, JOB_CANCELED);
    says(&s, "CANCELED");
    assert_true(s.over);
    stream_close(&s);
}

/* ---- what is not kept any more ---- */

/* The store keeps only the newest two. */
static void keep_two(struct world *w)
{
    struct fault fault = {0};
    own(freep) char *folder = world_path(w, "data");
    int64_t before, last;

    store_reader_free(w->bench.reader);
    store_close(w->services.store);
    const struct store_options options = {
        .folder = folder, .on_jobs = world_on_jobs, .on_jobs_arg = w->services.hub, .events_max = 2};
    must(store_open(&options, &w->services.store, &fault), &fault);
    must(store_reader_open(w->services.store, &w->bench.reader, &fault), &fault);
    struct change *change = change_new(); /* whoever writes takes the old ones along */
    must(store_submit_wait(w->services.store, change, &fault), &fault);
    change_free(change);
    must(store_event_ends(w->bench.reader, &before, &last, &fault), &fault);
    assert_int_equal(last - before, 2);
    store_reader_turn_end(w->bench.reader);
}

static void test_what_was_pruned(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ada", "TAIPY_ADMIN");
    own(freep) char *old = failed_job(w, admin), *id = failed_job(w, admin);
    own(freep) char *of_old = xprintf("/api/v1/jobs/%s/events/", old);
    own(freep) char *path = xprintf("/api/v1/jobs/%s/events/", id);
    struct stream s;
    char last[24];

    keep_two(w); /* 7 and 8 */
    is_told(w, ALL, admin, "5", "reset");
    is_told(w, ALL, admin, "6", "RUNNING FAILED"); /* nothing is missing */
    is_told(w, path, admin, NULL, "RUNNING FAILED");
    is_told(w, path, admin, "5", "reset");
    is_answered(w, path, admin, (const char *const[]){"last-event-id: 8", NULL}, 204);

    /* of the old one nothing but that can be told: once, then its client is told to stop */
    is_told(w, of_old, admin, "3", "reset");
    stream_open(&s, w, of_old, admin, NULL);
    own(freep) char *got = told(&s, last);
    assert_string_equal(got, "reset");
    assert_true(s.over);
    stream_close(&s);
    own(freep) char *header = xprintf("last-event-id: %s", last);
    is_answered(w, of_old, admin, (const char *const[]){header, NULL}, 204);
}

static void test_pruned_while_it_reads(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ada", "TAIPY_ADMIN");
    own(freep) char *id = failed_job(w, admin);
    struct stream s;

    stream_open(&s, w, ALL, admin, "0");
    keep_two(w); /* before it was read from at all */
    says(&s, "reset");
    assert_false(s.over);
    own(freep) char *next = new_job(w, admin);
    says(&s, "SUBMITTED PENDING");
    stream_close(&s);
}

/* ---- what it tells ---- */

static void test_filters(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ada", "TAIPY_ADMIN");
    own(freep) char *first = failed_job(w, admin), *second = new_job(w, admin);
    own(freep) char *path = xprintf("/api/v1/jobs/%s/", second);
    own(reply_done) struct reply job = call(w, "GET", path, admin, NULL, NULL);
    own(freep) char *task = reply_string(&job, "/job/task_id");
    own(freep) char *submission = reply_string(&job, "/job/submission_id");
    own(freep) char *of_task = xprintf("%s?task_id=%s", ALL, task);
    own(freep) char *of_submission = xprintf("%s?submission_id=%s", ALL, submission);
    own(freep) char *of_both = xprintf("%s?task_id=%s&status=PENDING", ALL, task);

    is_told(w, of_task, admin, "0", "SUBMITTED PENDING");
    is_told(w, of_submission, admin, "0", "SUBMITTED PENDING");
    is_told(w, of_both, admin, "0", "PENDING");
    is_told(w, "/api/v1/events/?status=FAILED", admin, "0", "FAILED");
    is_told(w, "/api/v1/events/?config_id=double", admin, "3", "FAILED SUBMITTED PENDING");
    is_told(w, "/api/v1/events/?config_id=none", admin, "0", "");
    is_answered(w, "/api/v1/events/?status=ENDED", admin, NULL, 400);
    is_answered(w, "/api/v1/events/?role=x", admin, NULL, 400);
    is_answered(w, "/api/v1/events/?status=FAILED&status=FAILED", admin, NULL, 400);

    own(freep) char *of_job = xprintf("/api/v1/jobs/%s/events/?status=FAILED", first);
    is_answered(w, of_job, admin, NULL, 400);
}

/* A place moves on over what is not wanted: a client that resumes does not read it again. */
static void test_silence_moves_on(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ada", "TAIPY_ADMIN");
    struct stream s;

    stream_open(&s, w, "/api/v1/events/?status=COMPLETED", admin, NULL);
    says(&s, "");
    own(freep) char *job = failed_job(w, admin);
    says(&s, "");
    s.said.len = 0;
    w->services.heartbeat_ms = 0; /* it was silent for long enough */
    struct body_source *source = s.request.x.response.source;
    assert_int_equal(source->pull(source, &s.said), SOURCE_MORE);
    assert_true(text_span(&s.said).len == 9 && memcmp(s.said.data, ":\nid: 4\n\n", 9) == 0);
    stream_close(&s);
}

static void test_who_may_see_it(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ada", "TAIPY_ADMIN");
    own(freep) char *reader = world_token(w, "rea", "TAIPY_READER");
    own(freep) char *nobody = world_token(w, "nob", "NO_SUCH_ROLE");
    own(freep) char *id = failed_job(w, admin);
    own(freep) char *path = xprintf("/api/v1/jobs/%s/events/", id);

    is_told(w, ALL, reader, "0", LIFE);
    is_told(w, path, reader, NULL, LIFE);
    is_answered(w, ALL, nobody, NULL, 403);
    is_answered(w, path, nobody, NULL, 403);
    is_answered(w, ALL, NULL, NULL, 401);
    is_answered(w, "/api/v1/jobs/JOB_none/events/", nobody, NULL, 403); /* nobody learns whether there is such a job */
    is_answered(w, "/api/v1/jobs/JOB_none/events/", reader, NULL, 404);
}

static void test_its_head(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ada", "TAIPY_ADMIN");
    struct reply head = {0};
    struct stream s;

    stream_open(&s, w, ALL, admin, NULL);
    request_headers_sent(&s.request, &head.headers);
    assert_true(reply_has(&head, "Content-Type: text/event-stream"));
    assert_true(reply_has(&head, "Cache-Control: no-store"));
    assert_true(reply_has(&head, "X-Accel-Buffering: no"));
    stream_close(&s);
    reply_done(&head);
}

/* ---- when it ends ---- */

static void test_with_its_job(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ada", "TAIPY_ADMIN");
    own(freep) char *id = new_job(w, admin);
    own(freep) char *path = xprintf("/api/v1/jobs/%s/events/", id), *job = xprintf("/api/v1/jobs/%s/", id);
    struct stream s, other;

    stream_open(&s, w, path, admin, NULL);
    stream_open(&other, w, path, admin, NULL);
    says(&s, "SUBMITTED PENDING");
    says(&other, "SUBMITTED PENDING");
    assert_false(s.over);
    move(w, id, 0, JOB_RUNNING);
    move(w, id, 1, JOB_FAILED);
    says(&s, "RUNNING FAILED");
    assert_true(s.over);
    own(reply_done) struct reply deleted = call(w, "DELETE", job, admin, NULL, NULL);
    assert_int_equal(deleted.status, 200);
    says(&other, "reset"); /* what it had not told was deleted with the job */
    assert_true(other.over);
    stream_close(&s);
    stream_close(&other);
}

static void test_with_its_token(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ada", "TAIPY_ADMIN"), *reader = world_token(w, "rea", "TAIPY_READER");
    struct stream s, other;

    stream_open(&s, w, ALL, reader, NULL);
    stream_open(&other, w, ALL, admin, NULL);
    says(&s, "");
    says(&other, "");
    const struct revocation gone = {.issuer = "https://issuer.test", .subject = "rea"};
    revocations_add(w->services.revocations, &gone);
    own(freep) char *id = new_job(w, admin);
    says(&s, "");
    assert_true(s.over);
    says(&other, "SUBMITTED PENDING");
    assert_false(other.over);
    stream_close(&s);
    stream_close(&other);
}

static void test_with_the_server(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ada", "TAIPY_ADMIN");
    struct stream s;

    stream_open(&s, w, ALL, admin, NULL);
    says(&s, "");
    s.request.x.draining = true;
    own(freep) char *id = new_job(w, admin);
    says(&s, "");
    assert_true(s.over); /* what it has not told comes behind its last id */
    stream_close(&s);
}

/* ---- who sleeps is woken ---- */

static void woken(void *awake)
{
    *(bool *)awake = true;
}

static void test_waking(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ada", "TAIPY_ADMIN");
    own(freep) char *one = new_job(w, admin), *another = new_job(w, admin);
    own(freep) char *path = xprintf("/api/v1/jobs/%s/events/", one);
    bool awake = false;
    struct stream s;

    stream_open(&s, w, path, admin, NULL);
    says(&s, "SUBMITTED PENDING");
    struct ticket *ticket = ticket_new(w->inbox, woken, &awake);
    struct body_source *source = s.request.x.response.source;
    source->await(source, ticket);
    move(w, another, 0, JOB_CANCELED); /* not its job's */
    inbox_drain(w->inbox);
    assert_false(awake);
    move(w, one, 0, JOB_CANCELED);
    while (!awake)
        world_turn(w);
    ticket_abandon(ticket);
    says(&s, "CANCELED");
    assert_true(s.over);
    stream_close(&s);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_catching_up),     T(test_who_has_no_id_yet),
        T(test_what_is_no_id),   T(test_an_id_of_the_future),
        T(test_what_was_pruned), T(test_pruned_while_it_reads),
        T(test_filters),         T(test_silence_moves_on),
        T(test_who_may_see_it),  T(test_its_head),
        T(test_with_its_job),    T(test_with_its_token),
        T(test_with_the_server), T(test_waking),
    };

    return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
