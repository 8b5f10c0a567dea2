/* Revocations through the whole chain: the next request is refused, the list, the way back, and what cannot be meant. */
#include "chain/fixture.h"

#define AT "/api/v1/revocations/"
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

static int status_of(struct world *w, const char *method, const char *target, const char *token, const char *body)
{
    struct reply r = call(w, method, target, token, body ? JSON : NULL, body);
    int status = r.status;

    reply_done(&r);
    return status;
}

static char *jti_of(struct world *w, const char *token)
{
    struct reply r = call(w, "GET", "/api/v1/auth/me/", token, NULL, NULL);
    char *jti = reply_string(&r, "/token_id");

    reply_done(&r);
    return jti;
}

static void test_one_token(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "root", "TAIPY_ADMIN"), *alice = world_token(w, "alice", "TAIPY_READER"),
                    *other = world_token(w, "alice", "TAIPY_READER"), *jti = jti_of(w, alice);
    own(freep) char *body =
        xprintf("{\"issuer\":\"https://issuer.test\",\"token_id\":\"%s\",\"reason\":\"lost\"}", jti);

    struct reply r = call(w, "POST", AT, admin, JSON, body);
    assert_int_equal(r.status, 201);
    own(freep) char *id = reply_string(&r, "/revocation/id"), *by = reply_string(&r, "/revocation/created_by");
    assert_string_equal(by, "root");
    reply_done(&r);

    r = call(w, "GET", "/api/v1/auth/me/", alice, NULL, NULL);
    assert_int_equal(r.status, 401);
    assert_non_null(
        strstr(r.headers.data, "error=\"invalid_token\", error_description=\"The token has been revoked.\""));
    reply_done(&r);
    assert_int_equal(status_of(w, "GET", "/api/v1/auth/me/", other, NULL), 200);

    assert_int_equal(status_of(w, "POST", AT, admin, body), 200); /* it is revoked already */
    r = call(w, "GET", AT, admin, NULL, NULL);
    assert_int_equal(reply_array_size(&r, "/results"), 1);
    reply_done(&r);

    own(freep) char *target = xprintf(AT "%s/", id);
    assert_int_equal(status_of(w, "DELETE", target, admin, NULL), 200);
    assert_int_equal(status_of(w, "DELETE", target, admin, NULL), 404);
    assert_int_equal(status_of(w, "GET", "/api/v1/auth/me/", alice, NULL), 200);
}

static void test_a_subject_and_a_time(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "root", "TAIPY_ADMIN"), *alice = world_token(w, "alice", "TAIPY_READER"),
                    *bob = world_token(w, "bob", "TAIPY_READER");

    assert_int_equal(status_of(w, "POST", AT, admin,
                               "{\"issuer\":\"https://issuer.test\",\"subject\":\"alice\","
                               "\"issued_before\":\"2020-01-01T00:00:00Z\"}"),
                     201);
    assert_int_equal(status_of(w, "GET", "/api/v1/tasks/", alice, NULL), 200); /* it was issued later */
    assert_int_equal(status_of(w, "POST", AT, admin, "{\"issuer\":\"https://issuer.test\",\"subject\":\"alice\"}"),
                     200);
    assert_int_equal(status_of(w, "GET", "/api/v1/tasks/", alice, NULL), 401);
    assert_int_equal(status_of(w, "GET", "/livez", alice, NULL), 401); /* a bad token is bad everywhere */
    assert_int_equal(status_of(w, "GET", "/api/v1/tasks/", bob, NULL), 200);
    assert_int_equal(status_of(w, "POST", AT, admin, "{\"issuer\":\"https://issuer.test\"}"), 201);
    assert_int_equal(status_of(w, "GET", "/api/v1/tasks/", bob, NULL), 401);
    assert_int_equal(status_of(w, "GET", AT, admin, NULL), 401); /* one's own too */
}

static void test_what_cannot_be_meant(void **state)
{
    static const char *const bad[] = {
        "{}",
        "[]",
        "{\"issuer\":\"https://nobody.test\"}",
        "{\"issuer\":\"https://issuer.test\",\"token_id\":\"a\",\"subject\":\"b\"}",
        "{\"token_id\":\"a\"}",
        "{\"subject\":\"a\",\"issued_before\":\"2020-01-01T00:00:00Z\"}",
        "{\"issuer\":\"https://issuer.test\",\"token_id\":\"\"}",
        "{\"issuer\":\"https://issuer.test\",\"token_id\":7}",
        "{\"issuer\":\"https://issuer.test\",\"jti\":\"a\"}",
        "{\"issuer\":\"https://issuer.test\",\"issued_before\":\"yesterday\"}",
        "{\"issuer\":\"https://issuer.test\",\"issued_before\":\"2999-01-01T00:00:00Z\"}",
        "{\"issuer\":\"https://issuer.test\",\"subject\":\"a\\nb\"}",
        "{\"issuer\":\"https://issuer.test\",\"issuer\":\"https://issuer.test\"}",
    };
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "root", "TAIPY_ADMIN");

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (status_of(w, "POST", AT, admin, bad[i]) != 400)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(status_of(w, "GET", AT "?config_id=x", admin, NULL), 400);
    assert_int_equal(status_of(w, "GET", AT "?sort=id", admin, NULL), 400);
    struct reply r = call(w, "GET", AT, admin, NULL, NULL);
    assert_int_equal(reply_array_size(&r, "/results"), 0);
    reply_done(&r);
}

static void test_pages(void **state)
{
    struct world *w = *state;
    own(freep) char *admin = world_token(w, "root", "TAIPY_ADMIN");

    for (int i = 0; i < 5; i++) {
        own(freep) char *body = xprintf("{\"issuer\":\"https://issuer.test\",\"subject\":\"s%d\"}", i);
        assert_int_equal(status_of(w, "POST", AT, admin, body), 201);
    }
    struct reply r = call(w, "GET", AT "?limit=3&fields=subject", admin, NULL, NULL);
    assert_int_equal(reply_array_size(&r, "/results"), 3);
    own(freep) char *cursor = reply_string(&r, "/next"), *last = reply_string(&r, "/results/2/subject");
    assert_string_equal(last, "s2");
    reply_done(&r);
    own(freep) char *target = xprintf(AT "?limit=3&fields=subject&cursor=%s", cursor);
    r = call(w, "GET", target, admin, NULL, NULL);
    assert_int_equal(reply_array_size(&r, "/results"), 2);
    reply_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_subject_and_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_meant, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pages, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
