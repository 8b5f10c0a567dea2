#include "http_kit.h"

static void test_headers_are_found_in_any_case(void **state)
{
    struct exchange x = {0};

    assert_null(exchange_header(&x, "accept"));
    kit_request_header(&x, "Accept", "one");
    kit_request_header(&x, "ACCEPT", "two");
    kit_request_header(&x, "accept-language", "de");
    assert_span(exchange_header(&x, "aCCept")->value, "one");
    assert_int_equal(exchange_header_count(&x, "accept"), 2);
    assert_int_equal(exchange_header_count(&x, "accep"), 0);
    assert_null(exchange_header(&x, "accept-"));
    kit_exchange_done(&x);
}

static void test_params_by_name(void **state)
{
    struct exchange x = {.params = {{"id", "7"}, {"part", "8"}}};

    assert_string_equal(exchange_param(&x, "id"), "7");
    assert_string_equal(exchange_param(&x, "part"), "8");
    assert_null(exchange_param(&x, "i"));
    kit_exchange_done(&x);
}

static void test_a_json_body(void **state)
{
    struct exchange x = {.body = SPAN("{\"a\": [1, 2]}")};
    json_t *body = NULL;
    struct fault fault = {0};

    assert_true(exchange_json(&x, &body, &fault));
    assert_int_equal(json_array_size(json_object_get(body, "a")), 2);
    json_decref(body);
    kit_exchange_done(&x);
}

static void test_a_bad_json_body_says_where(void **state)
{
    struct exchange x = {.body = SPAN("{\n  \"a\": nul\n}")};
    json_t *body = NULL;
    struct fault fault = {0};

    assert_false(exchange_json(&x, &body, &fault));
    assert_null(body);
    assert_int_equal(fault.kind, FAULT_INVALID);
    assert_non_null(strstr(fault.message, "The body"));
    assert_non_null(strstr(fault.message, "line 2, column "));

    x.body = (struct span){0};
    fault = (struct fault){0};
    assert_false(exchange_json(&x, &body, &fault));
    assert_int_equal(fault.kind, FAULT_INVALID);
    assert_string_equal(fault.message, "The body is empty; a JSON document is expected.");

    static const char *const bad[] = {"{}x", "{\"a\":1,\"a\":2}", "\"\\u0000\"", "\"\xff\"", " ", "[1,]", "1e999"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        x.body = span_of(bad[i]);
        fault = (struct fault){0};
        assert_false(exchange_json(&x, &body, &fault));
        assert_int_equal(fault.kind, FAULT_INVALID);
    }
    kit_exchange_done(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers_are_found_in_any_case),
        cmocka_unit_test(test_params_by_name),
        cmocka_unit_test(test_a_json_body),
        cmocka_unit_test(test_a_bad_json_body_says_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
