#include "http_kit.h"

#define REQUEST "01890a5d-ac96-774b-bcce-b302099a8057"
#define DECISION "01890a5d-ac96-7abc-8def-b302099a8057"

static struct fault fault_of(enum fault_kind kind, const char *message)
{
    struct fault fault = {0};

    fault_set(&fault, kind, "%s", message);
    return fault;
}

static void test_every_kind_has_its_status_and_body(void **state)
{
    static const struct {
        enum fault_kind kind;
        int status;
        const char *name, *title, *header, *value;
    } cases[] = {
        {FAULT_INVALID, 400, "invalid-request", "Bad Request", NULL, NULL},
        {FAULT_UNAUTHENTICATED, 401, "unauthenticated", "Unauthorized", "WWW-Authenticate", "Bearer"},
        {FAULT_FORBIDDEN, 403, "forbidden", "Forbidden", "WWW-Authenticate", "Bearer error=\"insufficient_scope\""},
        {FAULT_NOT_FOUND, 404, "not-found", "Not Found", NULL, NULL},
        {FAULT_METHOD, 405, "method-not-allowed", "Method Not Allowed", "Allow", "GET, HEAD, OPTIONS"},
        {FAULT_CONFLICT, 409, "conflict", "Conflict", NULL, NULL},
        {FAULT_PRECONDITION, 412, "precondition-failed", "Precondition Failed", NULL, NULL},
        {FAULT_TOO_LARGE, 413, "content-too-large", "Content Too Large", NULL, NULL},
        {FAULT_UNSUPPORTED_MEDIA, 415, "unsupported-media-type", "Unsupported Media Type", NULL, NULL},
        {FAULT_UNPROCESSABLE, 422, "unprocessable-content", "Unprocessable Content", NULL, NULL},
        {FAULT_TOO_MANY, 429, "too-many-requests", "Too Many Requests", "Retry-After", "1"},
        {FAULT_UNAVAILABLE, 503, "unavailable", "Service Unavailable", "Retry-After", "1"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct exchange x = {.request_id = REQUEST, .allow = 1 << GET | 1 << HEAD | 1 << OPTIONS};
        struct fault fault = fault_of(cases[i].kind, "Because \"x\"\n.");
        own(freep) char *expected =
            xprintf("{\"type\":\"urn:bailiff:problem:%s\",\"title\":\"%s\",\"status\":%d,\"detail\":\"Because "
                    "\\\"x\\\"\\n.\",\"instance\":\"urn:uuid:" REQUEST "\",\"message\":\"Because \\\"x\\\"\\n.\"}",
                    cases[i].name, cases[i].title, cases[i].status);
        assert_int_equal(fault_status(&fault), cases[i].status);
        assert_int_equal(exchange_fail(&x, &fault), FLOW_ANSWERED);
        assert_int_equal(x.response.status, cases[i].status);
        assert_string_equal(x.response.body.data, expected);
        assert_string_equal(kit_response_header(&x, "Content-Type"), "application/problem+json");
        assert_int_equal(x.response.headers.count, cases[i].header ? 2 : 1);
        if (cases[i].header)
            assert_string_equal(kit_response_header(&x, cases[i].header), cases[i].value);
        assert_int_equal(x.fault.kind, cases[i].kind);
        assert_string_equal(x.fault.message, fault.message);
        kit_exchange_done(&x);
    }
}

static void test_a_bug_tells_nothing(void **state)
{
    struct fault faults[] = {fault_of(FAULT_INTERNAL, "SELECT secret FROM keys"), {0}, {.kind = 999}};

    fault_detail(&faults[0], "/etc/shadow");
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        struct exchange x = {0};
        exchange_fail(&x, &faults[i]);
        assert_int_equal(x.response.status, 500);
        assert_string_equal(x.response.body.data,
                            "{\"type\":\"urn:bailiff:problem:internal\",\"title\":\"Internal Server Error\",\"status\":"
                            "500,\"detail\":\"The server could not complete the request.\",\"message\":\"The server "
                            "could not complete the request.\"}");
        kit_exchange_done(&x);
    }
}

static void test_a_detail_is_for_the_log_only(void **state)
{
    struct exchange x = {0};
    struct fault fault = fault_of(FAULT_UNAVAILABLE, "The store is full.");

    fault.retry_after_s = 30;
    fault_detail(&fault, "/var/lib/secret");
    exchange_fail(&x, &fault);
    assert_null(strstr(x.response.body.data, "secret"));
    assert_string_equal(x.fault.detail, "/var/lib/secret");
    assert_string_equal(kit_response_header(&x, "Retry-After"), "30");
    kit_exchange_done(&x);
}

static void test_a_refusal_names_permission_roles_and_decision(void **state)
{
    struct exchange x = {.request_id = REQUEST, .decision = {.permission = TASKS_DELETE, .id = DECISION}};
    struct fault fault = fault_of(FAULT_FORBIDDEN, "You may not delete tasks.");

    exchange_fail_forbidden(&x, &fault, "TAIPY_EDITOR TAIPY_ADMIN");
    assert_string_equal(x.response.body.data,
                        "{\"type\":\"urn:bailiff:problem:forbidden\",\"title\":\"Forbidden\",\"status\":403,\"detail\":"
                        "\"You may not delete tasks.\",\"instance\":\"urn:uuid:" REQUEST
                        "\",\"permission\":\"tasks:delete\",\"roles\":[\"TAIPY_EDITOR\",\"TAIPY_ADMIN\"],\"decision_"
                        "id\":\"" DECISION "\",\"message\":\"You may not delete tasks.\"}");
    exchange_fail_forbidden(&x, &fault, "");
    assert_non_null(strstr(x.response.body.data, "\"roles\":[]"));
    /* a permission that is none is not named */
    x.decision.permission = PERM_NONE;
    exchange_fail(&x, &fault);
    assert_null(strstr(x.response.body.data, "\"permission\""));
    assert_null(strstr(x.response.body.data, "\"roles\""));
    kit_exchange_done(&x);
}

static void test_a_challenge_that_was_set_stays(void **state)
{
    struct exchange x = {0};
    struct fault fault = fault_of(FAULT_UNAUTHENTICATED, "No token.");

    exchange_set_header(&x, "WWW-Authenticate", "Bearer realm=\"bailiff\"");
    exchange_fail(&x, &fault);
    assert_string_equal(kit_response_header(&x, "WWW-Authenticate"), "Bearer realm=\"bailiff\"");
    /* but not when a stage that is left replaces the answer by one of another kind */
    fault = fault_of(FAULT_UNAVAILABLE, "Not now.");
    exchange_fail(&x, &fault);
    assert_null(kit_response_header(&x, "WWW-Authenticate"));
    assert_string_equal(kit_response_header(&x, "Retry-After"), "1");
    kit_exchange_done(&x);
}

static void test_what_described_a_success_is_taken_back(void **state)
{
    struct exchange x = {0};
    struct fault fault = fault_of(FAULT_NOT_FOUND, "Gone.");

    exchange_set_header(&x, "ETag", "\"1\"");
    exchange_set_header(&x, "Location", "/there");
    exchange_set_header(&x, "X-Request-Id", "r");
    exchange_fail(&x, &fault);
    assert_null(kit_response_header(&x, "ETag"));
    assert_null(kit_response_header(&x, "Location"));
    assert_string_equal(kit_response_header(&x, "X-Request-Id"), "r");
    /* failing with one's own fault is fine */
    exchange_fail(&x, &x.fault);
    assert_string_equal(x.fault.message, "Gone.");
    kit_exchange_done(&x);
}

static void test_taipy_wire(void **state)
{
    struct exchange x = {.wire = WIRE_TAIPY, .request_id = REQUEST};
    struct fault fault = fault_of(FAULT_NOT_FOUND, "Task: \xff does not exist.");

    x.decision.permission = TASKS_READ;
    exchange_fail(&x, &fault);
    assert_int_equal(x.response.status, 404);
    assert_string_equal(x.response.body.data, "{\"message\":\"Task: \xef\xbf\xbd does not exist.\"}");
    assert_string_equal(kit_response_header(&x, "Content-Type"), "application/json; charset=utf-8");
    kit_exchange_done(&x);
}

static void test_rendered_as_bytes(void **state)
{
    struct arena arena = {0};
    struct fault fault = fault_of(FAULT_FORBIDDEN, "No.");
    struct decision decision = {.permission = TASKS_READ};
    const char *headers, *body;
    size_t body_len;
    int status;

    problem_render(WIRE_DOCUMENTED, &fault, REQUEST, &decision, "A", &arena, &status, &headers, &body, &body_len);
    assert_int_equal(status, 403);
    assert_string_equal(headers, "Content-Type: application/problem+json\n"
                                 "WWW-Authenticate: Bearer error=\"insufficient_scope\"\n");
    assert_int_equal(body_len, strlen(body));
    assert_non_null(strstr(body, "\"permission\":\"tasks:read\",\"roles\":[\"A\"],\"message\":\"No.\"}"));

    fault = fault_of(FAULT_UNAVAILABLE, "Later.");
    fault.retry_after_s = 0;
    problem_render(WIRE_TAIPY, &fault, NULL, NULL, NULL, &arena, &status, &headers, &body, &body_len);
    assert_int_equal(status, 503);
    assert_string_equal(headers, "Content-Type: application/json; charset=utf-8\nRetry-After: 1\n");
    assert_string_equal(body, "{\"message\":\"Later.\"}");
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_has_its_status_and_body),
        cmocka_unit_test(test_a_bug_tells_nothing),
        cmocka_unit_test(test_a_detail_is_for_the_log_only),
        cmocka_unit_test(test_a_refusal_names_permission_roles_and_decision),
        cmocka_unit_test(test_a_challenge_that_was_set_stays),
        cmocka_unit_test(test_what_described_a_success_is_taken_back),
        cmocka_unit_test(test_taipy_wire),
        cmocka_unit_test(test_rendered_as_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
