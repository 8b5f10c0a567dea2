/* Jobs that are made, submitted, canceled and deleted by hand, and their submissions, through the real chain. */
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

static const char *const REPRESENTATION[] = {"prefer: return=representation", NULL};

static char *create_job(struct world *w, const char *token)
{
    own(reply_done) struct reply r = call(w, "POST", "/api/v1/jobs/?task_id=double", token, NULL, NULL);

    assert_int_equal(r.status, 201);
    own(freep) char *id = reply_string(&r, "/job/id");
    own(freep) char *message = reply_string(&r, "/message");
    own(freep) char *location = xprintf("Location: /api/v1/jobs/%s/", id);
    assert_string_equal(message, "Job was created.");
    assert_true(reply_has(&r, location));
    return give(id);
}

static void check_status(struct world *w, const char *method, const char *target, const char *token, int status)
{
    own(reply_done) struct reply r = call(w, method, target, token, NULL, NULL);

    if (r.status != status)
        fail_msg("%s %s: %d %s", method, target, r.status, r.body.data);
}

static void check_string(struct world *w, const char *target, const char *token, const char *pointer,
                         const char *wanted)
{
    own(reply_done) struct reply r = call(w, "GET", target, token, NULL, NULL);

    assert_int_equal(r.status, 200);
    own(freep) char *got = reply_string(&r, pointer);
    assert_string_equal(got, wanted);
}

static void test_life(void **state)
{
    struct world *w = *state;
    own(freep) char *editor = world_token(w, "edi", "TAIPY_EDITOR");
    own(freep) char *executor = world_token(w, "exe", "TAIPY_EXECUTOR");
    own(freep) char *id = create_job(w, editor);
    own(freep) char *path = xprintf("/api/v1/jobs/%s/", id);
    own(freep) char *submit = xprintf("/api/v1/jobs/submit/%s/", id);
    own(freep) char *cancel = xprintf("/api/v1/jobs/cancel/%s/", id);

    check_string(w, path, editor, "/job/status", "SUBMITTED");
    check_string(w, path, editor, "/job/submitted_by", "edi");
    check_status(w, "DELETE", path, editor, 409); /* it has not ended */
    check_status(w, "POST", submit, editor, 403);
    check_status(w, "DELETE", path, executor, 403);

    own(reply_done) struct reply submitted = call(w, "POST", submit, executor, REPRESENTATION, NULL);
    assert_int_equal(submitted.status, 202);
    own(freep) char *message = reply_string(&submitted, "/message");
    own(freep) char *wanted = xprintf("Job %s was submitted.", id);
    assert_string_equal(message, wanted);
    own(freep) char *submission = reply_string(&submitted, "/submission_id");
    own(freep) char *task = reply_string(&submitted, "/task/id");
    check_string(w, path, editor, "/job/status", "PENDING");
    check_string(w, path, editor, "/job/submitted_by", "exe");
    check_status(w, "POST", submit, executor, 409); /* once */

    own(freep) char *submission_path = xprintf("/api/v1/submissions/%s/", submission);
    check_string(w, submission_path, editor, "/submission/status", "PENDING");
    check_string(w, submission_path, editor, "/submission/job_ids/0", id);
    check_string(w, submission_path, editor, "/submission/entity_id", task);
    check_string(w, submission_path, editor, "/submission/submitted_by", "exe");

    check_status(w, "POST", cancel, executor, 204);
    check_string(w, submission_path, editor, "/submission/status", "CANCELED");
    check_status(w, "DELETE", path, editor, 200);
    check_status(w, "DELETE", path, editor, 404);
    check_status(w, "GET", path, editor, 404);
    check_status(w, "GET", submission_path, editor, 404); /* it went with its only job */
    own(freep) char *task_path = xprintf("/api/v1/tasks/%s/", task);
    check_status(w, "GET", task_path, editor, 200);
}

static void test_create_from_nothing(void **state)
{
    struct world *w = *state;
    own(freep) char *editor = world_token(w, "edi", "TAIPY_EDITOR");
    own(freep) char *executor = world_token(w, "exe", "TAIPY_EXECUTOR");

    check_status(w, "POST", "/api/v1/jobs/", editor, 400);
    check_status(w, "POST", "/api/v1/jobs/?task_id=", editor, 400);
    check_status(w, "POST", "/api/v1/jobs/?task_id=nope", editor, 404);
    check_status(w, "POST", "/api/v1/jobs/?config_id=double", editor, 400);
    check_status(w, "POST", "/api/v1/jobs/?task_id=double", executor, 403);
    check_status(w, "POST", "/api/v1/jobs/submit/JOB_none/", executor, 404);
    check_status(w, "DELETE", "/api/v1/jobs/JOB_none/", editor, 404);
    check_status(w, "GET", "/api/v1/submissions/SUBMISSION_none/", editor, 404);
    own(reply_done) struct reply none = call(w, "GET", "/api/v1/jobs/", editor, NULL, NULL);
    assert_int_equal(reply_array_size(&none, "/results"), 0);
}

static void test_preconditions(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ann", "TAIPY_ADMIN");
    own(freep) char *id = create_job(w, admin);
    own(freep) char *path = xprintf("/api/v1/jobs/%s/", id);
    own(freep) char *cancel = xprintf("/api/v1/jobs/cancel/%s/", id);

    own(reply_done) struct reply before = call(w, "GET", path, admin, NULL, NULL);
    const char *at = strstr(before.headers.data, "\nETag: ");
    own(freep) char *match = xprintf("if-match: %.*s", (int)strcspn(at + 7, "\n"), at + 7);
    check_status(w, "POST", cancel, admin, 204);
    own(reply_done) struct reply stale = call(w, "DELETE", path, admin, (const char *[]){match, NULL}, NULL);
    assert_int_equal(stale.status, 412);
    own(reply_done) struct reply any = call(w, "DELETE", path, admin, (const char *[]){"if-match: *", NULL}, NULL);
    assert_int_equal(any.status, 200);
}

static void test_keys(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ann", "TAIPY_ADMIN");
    const char *const key[] = {"idempotency-key: \"once\"", NULL};
    own(reply_done) struct reply first = call(w, "POST", "/api/v1/jobs/?task_id=double", admin, key, NULL);
    own(reply_done) struct reply second = call(w, "POST", "/api/v1/jobs/?task_id=double", admin, key, NULL);

    assert_int_equal(first.status, 201);
    assert_int_equal(second.status, 201);
    assert_true(reply_has(&second, "Idempotency-Replayed: true"));
    assert_string_equal(first.body.data, second.body.data);
    own(freep) char *id = reply_string(&first, "/job/id");
    own(freep) char *submit = xprintf("/api/v1/jobs/submit/%s/", id);
    own(reply_done) struct reply third = call(w, "POST", submit, admin, key, NULL);
    own(reply_done) struct reply fourth = call(w, "POST", submit, admin, key, NULL);
    assert_int_equal(third.status, 204);
    assert_int_equal(fourth.status, 204); /* not 409 */
}

static void test_lists(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ann", "TAIPY_ADMIN");
    own(freep) char *one = create_job(w, admin);
    free(create_job(w, admin));
    own(freep) char *path = xprintf("/api/v1/jobs/%s/", one);
    own(reply_done) struct reply got = call(w, "GET", path, admin, NULL, NULL);
    own(freep) char *submission = reply_string(&got, "/job/submission_id");
    own(freep) char *task = reply_string(&got, "/job/task_id");
    own(freep) char *cancel = xprintf("/api/v1/jobs/cancel/%s/", one);
    const struct {
        char *target;
        size_t count;
    } cases[] = {
        {xprintf("/api/v1/jobs/"), 2},
        {xprintf("/api/v1/jobs/?submission_id=%s", submission), 1},
        {xprintf("/api/v1/jobs/?submission_id=%s&task_id=%s", submission, task), 1},
        {xprintf("/api/v1/jobs/?submission_id=%s&status=PENDING", submission), 0},
        {xprintf("/api/v1/submissions/"), 2},
        {xprintf("/api/v1/submissions/?limit=1"), 1},
        {xprintf("/api/v1/submissions/?sort=-id&fields=id,status"), 2},
        {xprintf("/api/v1/submissions/?entity_id=%s", task), 1},
        {xprintf("/api/v1/submissions/?config_id=double"), 2},
        {xprintf("/api/v1/submissions/?config_id=triple"), 0},
        {xprintf("/api/v1/submissions/?status=SUBMITTED"), 1},
        {xprintf("/api/v1/submissions/?status=CANCELED"), 1},
        {xprintf("/api/v1/submissions/?created_after=2020-01-01T00:00:00Z"), 2},
        {xprintf("/api/v1/submissions/?created_before=2020-01-01T00:00:00Z"), 0},
    };

    check_status(w, "POST", cancel, admin, 204);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        own(freep) char *target = cases[i].target;
        own(reply_done) struct reply r = call(w, "GET", target, admin, NULL, NULL);
        if (r.status != 200 || r.failed || reply_array_size(&r, "/results") != cases[i].count)
            fail_msg("%s: %d %s", target, r.status, r.body.data);
    }
    check_status(w, "GET", "/api/v1/submissions/?status=SKIPPED", admin, 400);
    check_status(w, "GET", "/api/v1/submissions/?owner_id=x", admin, 400);
    check_status(w, "GET", "/api/v1/submissions/?sort=config_id", admin, 400);
    check_status(w, "GET", "/api/v1/submissions/?fields=revision", admin, 400);
    check_status(w, "GET", "/api/v1/tasks/?status=SUBMITTED", admin, 400);
    check_status(w, "GET", "/api/v1/tasks/?submission_id=x", admin, 400);
}

static void test_etag_of_a_submission(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ann", "TAIPY_ADMIN");
    own(freep) char *id = create_job(w, admin);
    own(freep) char *job = xprintf("/api/v1/jobs/%s/", id);
    own(freep) char *cancel = xprintf("/api/v1/jobs/cancel/%s/", id);
    own(reply_done) struct reply got = call(w, "GET", job, admin, NULL, NULL);
    own(freep) char *submission = reply_string(&got, "/job/submission_id");
    own(freep) char *path = xprintf("/api/v1/submissions/%s/", submission);
    own(reply_done) struct reply first = call(w, "GET", path, admin, NULL, NULL);
    const char *at = strstr(first.headers.data, "\nETag: ");
    own(freep) char *match = xprintf("if-none-match: %.*s", (int)strcspn(at + 7, "\n"), at + 7);

    own(reply_done) struct reply same = call(w, "GET", path, admin, (const char *[]){match, NULL}, NULL);
    assert_int_equal(same.status, 304);
    check_status(w, "POST", cancel, admin, 204);
    own(reply_done) struct reply changed = call(w, "GET", path, admin, (const char *[]){match, NULL}, NULL);
    assert_int_equal(changed.status, 200);
}

static void test_wire_taipy(void **state)
{
    struct world *w = *state;
    w->services.wire = WIRE_TAIPY;
    own(freep) char *admin = world_token(w, "ann", "TAIPY_ADMIN");
    own(freep) char *one = create_job(w, admin);
    own(freep) char *two = create_job(w, admin);
    own(freep) char *path = xprintf("/api/v1/jobs/%s/", one);
    own(freep) char *other = xprintf("/api/v1/jobs/%s/", two);
    own(freep) char *submit = xprintf("/api/v1/jobs/submit/%s/", one);

    assert_string_not_equal(one, two);
    own(reply_done) struct reply first = call(w, "GET", path, admin, NULL, NULL);
    own(freep) char *task = reply_string(&first, "/job/task_id");
    check_string(w, path, admin, "/job/status", "Status.SUBMITTED");
    check_string(w, other, admin, "/job/task_id", task); /* Taipy's server takes the task that there is */
    own(reply_done) struct reply submitted = call(w, "POST", submit, admin, REPRESENTATION, NULL);
    assert_int_equal(submitted.status, 200);
    own(freep) char *wanted = xprintf("{\"message\":\"Job %s was submitted.\"}", one);
    assert_string_equal(submitted.body.data, wanted);
    own(reply_done) struct reply list = call(w, "GET", "/api/v1/submissions/", admin, NULL, NULL);
    assert_int_equal(reply_array_size(&list, ""), 2);
    own(freep) char *status = reply_string(&list, "/0/status");
    assert_string_equal(status, "SubmissionStatus.PENDING");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_create_from_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_preconditions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_etag_of_a_submission, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wire_taipy, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
