/* A task's life through the real chain: created, read, listed, submitted, deleted; and what must be refused on the way. */
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

static char *create_task(struct world *w, const char *token)
{
    own(reply_done) struct reply r = call(w, "POST", "/api/v1/tasks/?config_id=double", token, NULL, NULL);

    assert_int_equal(r.status, 201);
    return reply_string(&r, "/task/id");
}

static void test_life(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ann", "TAIPY_ADMIN");
    own(freep) char *id = create_task(w, admin);
    own(freep) char *path = xprintf("/api/v1/tasks/%s/", id);
    own(freep) char *submit = xprintf("/api/v1/tasks/submit/%s/", id);

    assert_memory_equal(id, "TASK_double_", 12);
    own(reply_done) struct reply got = call(w, "GET", path, admin, NULL, NULL);
    assert_int_equal(got.status, 200);
    assert_true(reply_has(&got, "Content-Type: application/json; charset=utf-8"));
    assert_true(reply_has(&got, "Cache-Control: no-store"));
    assert_true(reply_has(&got, "X-Content-Type-Options: nosniff"));
    own(freep) char *by = reply_string(&got, "/task/created_by");
    assert_string_equal(by, "ann");

    own(reply_done) struct reply submitted =
        call(w, "POST", submit, admin, (const char *[]){"prefer: return=representation", NULL}, NULL);
    assert_int_equal(submitted.status, 202);
    assert_true(reply_has(&submitted, "Preference-Applied: return=representation"));
    own(freep) char *status = reply_string(&submitted, "/job/status");
    assert_string_equal(status, "PENDING");

    own(reply_done) struct reply busy = call(w, "DELETE", path, admin, NULL, NULL);
    assert_int_equal(busy.status, 409);

    own(freep) char *job = reply_string(&submitted, "/job/id");
    own(freep) char *cancel = xprintf("/api/v1/jobs/cancel/%s/", job);
    own(reply_done) struct reply canceled = call(w, "POST", cancel, admin, NULL, NULL);
    assert_int_equal(canceled.status, 204);
    own(reply_done) struct reply again = call(w, "POST", cancel, admin, NULL, NULL);
    assert_int_equal(again.status, 409);

    own(reply_done) struct reply deleted = call(w, "DELETE", path, admin, NULL, NULL);
    assert_int_equal(deleted.status, 200);
    own(reply_done) struct reply gone = call(w, "GET", path, admin, NULL, NULL);
    assert_int_equal(gone.status, 404);
    own(freep) char *job_path = xprintf("/api/v1/jobs/%s/", job);
    own(reply_done) struct reply kept = call(w, "GET", job_path, admin, NULL, NULL);
    assert_int_equal(kept.status, 200);
}

static void test_refusals_in_order(void **state)
{
    struct world *w = *state;
    own(freep) char *reader = world_token(w, "rea", "TAIPY_READER");

    /* 401 before 404 */
    own(reply_done) struct reply nobody = call(w, "GET", "/api/v1/tasks/TASK_none/", NULL, NULL, NULL);
    assert_int_equal(nobody.status, 401);
    assert_non_null(strstr(nobody.headers.data, "\nWWW-Authenticate: Bearer realm=\"bailiff\""));
    assert_null(strstr(nobody.headers.data, "error="));
    own(reply_done) struct reply unknown = call(w, "GET", "/nothing/here", NULL, NULL, NULL);
    assert_int_equal(unknown.status, 401);
    /* 403 before 404 */
    own(reply_done) struct reply denied = call(w, "DELETE", "/api/v1/tasks/TASK_none/", reader, NULL, NULL);
    assert_int_equal(denied.status, 403);
    own(freep) char *missing = reply_string(&denied, "/permission");
    assert_string_equal(missing, "tasks:delete");
    own(freep) char *decision = reply_string(&denied, "/decision_id");
    assert_int_equal(strlen(decision), 36);
    own(reply_done) struct reply bad = call(w, "GET", "/api/v1/tasks/", "abc.def.ghi", NULL, NULL);
    assert_int_equal(bad.status, 401);
    assert_non_null(strstr(bad.headers.data, "error=\"invalid_token\""));
    own(reply_done) struct reply two =
        call(w, "GET", "/api/v1/tasks/", reader, (const char *[]){"authorization: Bearer x", NULL}, NULL);
    assert_int_equal(two.status, 400);
    assert_non_null(strstr(two.headers.data, "error=\"invalid_request\""));
    own(reply_done) struct reply missing_page = call(w, "GET", "/nothing/here", reader, NULL, NULL);
    assert_int_equal(missing_page.status, 404);
    own(reply_done) struct reply method = call(w, "PUT", "/api/v1/tasks/", reader, NULL, NULL);
    assert_int_equal(method.status, 405);
    assert_true(reply_has(&method, "Allow: GET, HEAD, POST, OPTIONS"));
    own(reply_done) struct reply options = call(w, "OPTIONS", "/api/v1/tasks/", reader, NULL, NULL);
    assert_int_equal(options.status, 204);
}

static void test_pages(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ann", "TAIPY_ADMIN");
    enum { TASKS = 7 };

    for (int i = 0; i < TASKS; i++)
        free(create_task(w, admin));
    own(reply_done) struct reply whole = call(w, "GET", "/api/v1/tasks/", admin, NULL, NULL);
    assert_int_equal(whole.status, 200);
    assert_false(whole.failed);
    assert_int_equal(reply_array_size(&whole, "/results"), TASKS);

    own(freep) char *path = xstrdup("/api/v1/tasks/?limit=3&sort=-id&fields=id");
    size_t seen = 0;
    for (int page = 0; path; page++) {
        own(reply_done) struct reply r = call(w, "GET", path, admin, NULL, NULL);
        assert_int_equal(r.status, 200);
        seen += reply_array_size(&r, "/results");
        const char *link = strstr(r.headers.data, "\nLink: <https://bailiff.test");
        assert_true((page < 2) == (link != NULL));
        free(path);
        path = NULL;
        if (link) {
            link += strlen("\nLink: <https://bailiff.test");
            path = xstrndup(link, strcspn(link, ">"));
        }
        assert_true(page < 3);
    }
    assert_int_equal(seen, TASKS);

    own(reply_done) struct reply empty = call(w, "GET", "/api/v1/tasks/?config_id=none", admin, NULL, NULL);
    assert_string_equal(empty.body.data, "{\"results\":[]}");
    static const char *const bad[] = {
        "limit=0",         "limit=1001",         "limit=x",    "sort=status", "fields=nope",
        "status=RUNNING",  "cursor=abc&limit=1", "cursor=abc", "nope=1",      "created_after=yesterday",
        "limit=1&limit=2", "config_id=%zz"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        own(freep) char *target = xprintf("/api/v1/tasks/?%s", bad[i]);
        own(reply_done) struct reply r = call(w, "GET", target, admin, NULL, NULL);
        if (r.status != 400)
            fail_msg("%s: %d", target, r.status);
    }
}

static void test_conditions(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "ann", "TAIPY_ADMIN");
    own(freep) char *id = create_task(w, admin);
    own(freep) char *path = xprintf("/api/v1/tasks/%s/", id);
    own(reply_done) struct reply got = call(w, "GET", path, admin, NULL, NULL);
    const char *etag = strstr(got.headers.data, "\nETag: ");

    assert_non_null(etag);
    etag += strlen("\nETag: ");
    own(freep) char *none_match = xprintf("if-none-match: %.*s", (int)strcspn(etag, "\n"), etag);
    own(freep) char *match = xprintf("if-match: %.*s", (int)strcspn(etag, "\n"), etag);
    own(reply_done) struct reply same = call(w, "GET", path, admin, (const char *[]){none_match, NULL}, NULL);
    assert_int_equal(same.status, 304);
    own(reply_done) struct reply other =
        call(w, "DELETE", path, admin, (const char *[]){"if-match: \"other\"", NULL}, NULL);
    assert_int_equal(other.status, 412);
    own(reply_done) struct reply done = call(w, "DELETE", path, admin, (const char *[]){match, NULL}, NULL);
    assert_int_equal(done.status, 200);
}

static void test_idempotency(void **state)
{
    struct world *w = *state;
    own(freep) char *ann = world_token(w, "ann", "TAIPY_ADMIN");
    own(freep) char *bob = world_token(w, "bob", "TAIPY_ADMIN");
    const char *const key[] = {"idempotency-key: \"k-1\"", NULL};
    const char *const bare[] = {"idempotency-key: k-1", NULL};
    const char *const bad[] = {"idempotency-key: \"\"", NULL};

    own(reply_done) struct reply first = call(w, "POST", "/api/v1/tasks/?config_id=double", ann, key, NULL);
    own(reply_done) struct reply second = call(w, "POST", "/api/v1/tasks/?config_id=double", ann, bare, NULL);
    own(reply_done) struct reply others = call(w, "POST", "/api/v1/tasks/?config_id=double", bob, key, NULL);
    own(reply_done) struct reply changed = call(w, "POST", "/api/v1/tasks/?config_id=double", ann, key, "{\"a\":1}");
    own(reply_done) struct reply malformed = call(w, "POST", "/api/v1/tasks/?config_id=double", ann, bad, NULL);

    assert_int_equal(first.status, 201);
    assert_false(reply_has(&first, "Idempotency-Replayed: true"));
    assert_int_equal(second.status, 201);
    assert_true(reply_has(&second, "Idempotency-Replayed: true"));
    assert_string_equal(first.body.data, second.body.data);
    assert_int_equal(others.status, 201);
    assert_string_not_equal(first.body.data, others.body.data);
    assert_int_equal(changed.status, 415); /* a body needs its type; with it, 422 */
    const char *const typed[] = {"idempotency-key: k-1", "content-type: application/json", NULL};
    own(reply_done) struct reply unprocessable =
        call(w, "POST", "/api/v1/tasks/?config_id=double", ann, typed, "{\"a\":1}");
    assert_int_equal(unprocessable.status, 422);
    assert_int_equal(malformed.status, 400);
    own(reply_done) struct reply list = call(w, "GET", "/api/v1/tasks/", ann, NULL, NULL);
    assert_int_equal(reply_array_size(&list, "/results"), 2);
}

static void repeat(struct world *w)
{
    own(freep) char *ann = world_token(w, "ann", "TAIPY_ADMIN");
    const char *const key[] = {"idempotency-key: k-2", NULL};
    own(reply_done) struct reply again = call(w, "POST", "/api/v1/tasks/?config_id=double", ann, key, NULL);

    assert_int_equal(again.status, 201);
    assert_true(reply_has(&again, "Idempotency-Replayed: true"));
}

/* A client that has its answer may be quicker than the server is with clearing up. */
static void test_a_repeat_as_soon_as_there_is_an_answer(void **state)
{
    struct world *w = *state;
    own(freep) char *ann = world_token(w, "ann", "TAIPY_ADMIN");
    const char *const key[] = {"idempotency-key: k-2", NULL};

    w->when_answered = repeat;
    own(reply_done) struct reply first = call(w, "POST", "/api/v1/tasks/?config_id=double", ann, key, NULL);
    assert_int_equal(first.status, 201);
    assert_null(w->when_answered);
}

static void test_cors(void **state)
{
    struct world *w = *state;
    const char *const preflight[] = {"origin: https://portal.test", "access-control-request-method: POST", NULL};
    const char *const stranger[] = {"origin: https://evil.test", "access-control-request-method: POST", NULL};

    own(reply_done) struct reply ok = call(w, "OPTIONS", "/api/v1/tasks/", NULL, preflight, NULL);
    assert_int_equal(ok.status, 204);
    assert_true(reply_has(&ok, "Access-Control-Allow-Origin: https://portal.test"));
    own(reply_done) struct reply no = call(w, "OPTIONS", "/api/v1/tasks/", NULL, stranger, NULL);
    assert_int_equal(no.status, 401);
    assert_null(strstr(no.headers.data, "Access-Control-Allow-Origin"));
}

/* Every refusal and every change has its record, and the chain holds. */
static void test_audit(void **state)
{
    struct world *w = *state;
    struct audit_report before = {0}, after = {0};
    struct fault fault = {0};
    own(freep) char *folder = world_path(w, "data");
    own(freep) char *admin = world_token(w, "ann", "TAIPY_ADMIN");
    own(freep) char *reader = world_token(w, "rea", "TAIPY_READER");

    must(store_verify_audit(folder, &before, &fault), &fault);
    for (int i = 0; i < 3; i++) {
        own(reply_done) struct reply a = call(w, "GET", "/api/v1/tasks/", NULL, NULL, NULL);
        own(reply_done) struct reply b = call(w, "POST", "/api/v1/tasks/?config_id=double", reader, NULL, NULL);
        own(reply_done) struct reply c = call(w, "POST", "/api/v1/tasks/?config_id=double", admin, NULL, NULL);
        own(reply_done) struct reply d = call(w, "DELETE", "/api/v1/tasks/TASK_none/", admin, NULL, NULL);
        own(reply_done) struct reply e =
            call(w, "GET", "/api/v1/tasks/", admin, NULL, NULL); /* reading is not recorded */
        assert_int_equal(a.status, 401);
        assert_int_equal(b.status, 403);
        assert_int_equal(c.status, 201);
        assert_int_equal(d.status, 404);
        assert_int_equal(e.status, 200);
    }
    must(store_verify_audit(folder, &after, &fault), &fault);
    assert_int_equal(after.records - before.records, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_conditions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idempotency, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_repeat_as_soon_as_there_is_an_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
