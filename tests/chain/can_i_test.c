/* POST /auth/can-i: the same answer as the request itself would get, without doing it. */
#include "chain/fixture.h"

#define AT "/api/v1/auth/can-i/"
static const char *const JSON[] = {"content-type: application/json", NULL};

static int set_up(void **state)
{
    *state = world_new();
    return 0;
}

static int tear_down(void **state)
{
    world_free(*state);
    return 0;
}

static void check(struct world *w, const char *token, const char *question, bool allowed, const char *words)
{
    struct reply r = call(w, "POST", AT, token, JSON, question);

    assert_int_equal(r.status, 200);
    if (!strstr(r.body.data, allowed ? "\"allowed\":true" : "\"allowed\":false") || !strstr(r.body.data, words))
        fail_msg("%s gets %s", question, r.body.data);
    reply_done(&r);
}

static void test_it_says_what_would_be(void **state)
{
    struct world *w = *state;
    own(freep) char *reader = world_token(w, "alice", "TAIPY_READER"), *admin = world_token(w, "root", "TAIPY_ADMIN");

    check(w, reader, "{\"method\":\"GET\",\"path\":\"/api/v1/tasks/\"}", true, "\"granted_by\":\"TAIPY_READER\"");
    check(w, reader, "{\"method\":\"HEAD\",\"path\":\"/api/v1/tasks\"}", true, "tasks:read");
    check(w, reader, "{\"method\":\"POST\",\"path\":\"/api/v1/tasks/\"}", false, "\"TAIPY_EDITOR\"");
    check(w, reader, "{\"method\":\"DELETE\",\"path\":\"/api/v1/tasks/TASK_x/\"}", false, "tasks:delete");
    check(w, admin, "{\"method\":\"DELETE\",\"path\":\"/api/v1/tasks/TASK_x/\"}", true, "tasks:delete");
    check(w, reader, "{\"method\":\"GET\",\"path\":\"/livez\"}", true, "public");
    check(w, reader, "{\"method\":\"GET\",\"path\":\"/api/v1/auth/me/\"}", true, "any");
    check(w, admin, "{\"method\":\"GET\",\"path\":\"/nowhere/\"}", false, "no such path");
    check(w, admin, "{\"method\":\"GET\",\"path\":\"/api/v1/../v1/tasks/\"}", false, "no such path");
    check(w, admin, "{\"method\":\"PUT\",\"path\":\"/api/v1/tasks/\"}", false, "no such method");
    check(w, admin, "{\"method\":\"BREW\",\"path\":\"/api/v1/tasks/\"}", false, "no such method");
    check(w, reader, "{\"permission\":\"jobs:cancel\"}", false, "TAIPY_EXECUTOR");
    check(w, reader, "{\"permission\":\"jobs:read\",\"resource\":\"JOB_x\"}", true, "jobs:read");
    struct reply r = call(w, "GET", "/api/v1/tasks/", admin, NULL, NULL);
    assert_int_equal(reply_array_size(&r, "/results"), 0); /* nothing was done */
    reply_done(&r);
}

static void test_questions_that_make_no_sense(void **state)
{
    static const char *const bad[] = {
        "{}",
        "[]",
        "{\"method\":\"GET\"}",
        "{\"path\":\"/livez\"}",
        "{\"method\":\"GET\",\"path\":\"/livez\",\"permission\":\"jobs:read\"}",
        "{\"permission\":\"jobs:destroy\"}",
        "{\"permission\":\"any\"}",
        "{\"permission\":7}",
        "{\"resource\":\"JOB_x\"}",
        "{\"permission\":\"jobs:read\",\"resource\":\"../x\"}",
        "{\"permission\":\"jobs:read\",\"who\":\"bob\"}",
        "",
    };
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "root", "TAIPY_ADMIN");

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct reply r = call(w, "POST", AT, admin, JSON, bad[i]);
        if (r.status != 400)
            fail_msg("%s gets %d", bad[i], r.status);
        reply_done(&r);
    }
    struct reply r = call(w, "POST", AT, NULL, JSON, "{\"permission\":\"jobs:read\"}");
    assert_int_equal(r.status, 401);
    reply_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_says_what_would_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_questions_that_make_no_sense, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
