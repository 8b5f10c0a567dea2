#include "http_kit.h"

static void test_headers_are_replaced_and_removed(void **state)
{
    struct exchange x = {0};
    char value[] = "one";

    exchange_set_header(&x, "ETag", value);
    value[0] = 'X'; /* it was copied */
    assert_string_equal(kit_response_header(&x, "etag"), "one");
    exchange_set_header(&x, "Vary", "Origin");
    exchange_set_header(&x, "etag", "two");
    assert_int_equal(x.response.headers.count, 2);
    assert_string_equal(kit_response_header(&x, "ETag"), "two");
    exchange_set_header(&x, "ETAG", NULL);
    exchange_set_header(&x, "Location", NULL);
    assert_int_equal(x.response.headers.count, 1);
    assert_string_equal(kit_response_header(&x, "Vary"), "Origin");
    kit_exchange_done(&x);
}

static void test_many_headers(void **state)
{
    static char names[100][8];
    struct exchange x = {0};

    for (size_t i = 0; i < 100; i++) {
        snprintf(names[i], sizeof(names[i]), "X-%zu", i);
        exchange_set_header(&x, names[i], names[i]);
    }
    assert_int_equal(x.response.headers.count, 100);
    for (size_t i = 0; i < 100; i++)
        assert_string_equal(kit_response_header(&x, names[i]), names[i]);
    kit_exchange_done(&x);
}

static void test_a_value_cannot_end_its_line(void **state)
{
    struct exchange x = {0};

    exchange_set_header(&x, "Location", "/a\r\nSet-Cookie: b\n\x7f\x01");
    assert_string_equal(kit_response_header(&x, "Location"), "/a  Set-Cookie: b   ");
    kit_exchange_done(&x);
}

static void test_json_is_taken_over(void **state)
{
    struct exchange x = {0};
    struct text json = {0};

    exchange_set_header(&x, "ETag", "\"1\"");
    text_append_str(&json, "{\"a\":1}");
    assert_int_equal(exchange_answer_json(&x, 201, &json), FLOW_ANSWERED);
    assert_null(json.data);
    assert_int_equal(x.response.status, 201);
    assert_string_equal(x.response.body.data, "{\"a\":1}");
    assert_string_equal(kit_response_header(&x, "Content-Type"), "application/json; charset=utf-8");
    assert_string_equal(kit_response_header(&x, "ETag"), "\"1\""); /* set before the first answer: belongs to it */

    /* written into the response itself */
    text_append_str(&x.response.body, " ");
    exchange_answer_json(&x, 200, &x.response.body);
    assert_string_equal(x.response.body.data, "{\"a\":1} ");
    kit_exchange_done(&x);
}

struct source {
    struct body_source base;
    unsigned *freed;
};

static void source_free(struct body_source *base)
{
    struct source *source = container_of(base, struct source, base);

    ++*source->freed;
    free(source);
}

static struct body_source *source_new(unsigned *freed)
{
    struct source *source = xcalloc(1, sizeof(*source));

    source->base.free = source_free;
    source->freed = freed;
    return &source->base;
}

static void test_an_answer_replaces_the_one_before(void **state)
{
    struct exchange x = {0};
    struct text json = {0};
    unsigned freed = 0;

    exchange_set_header(&x, "X-Request-Id", "r");
    assert_int_equal(exchange_answer_source(&x, 200, "text/csv", source_new(&freed), 12), FLOW_ANSWERED);
    exchange_set_header(&x, "Location", "/there");
    exchange_set_header(&x, "Preference-Applied", "wait=5");
    assert_int_equal(x.response.source_length, 12);
    assert_string_equal(kit_response_header(&x, "Content-Type"), "text/csv");

    text_append_str(&json, "{}");
    exchange_answer_json(&x, 200, &json);
    assert_int_equal(freed, 1);
    assert_null(x.response.source);
    assert_int_equal(x.response.source_length, -1);
    assert_null(kit_response_header(&x, "Location"));
    assert_null(kit_response_header(&x, "Preference-Applied"));
    assert_string_equal(kit_response_header(&x, "X-Request-Id"), "r");

    exchange_answer_source(&x, 200, "text/csv", source_new(&freed), -1);
    assert_int_equal(x.response.body.len, 0);
    exchange_answer(&x, 304);
    assert_int_equal(freed, 2);
    assert_int_equal(x.response.status, 304);
    assert_null(kit_response_header(&x, "Content-Type"));
    kit_exchange_done(&x);
}

static void test_a_stored_answer(void **state)
{
    struct exchange x = {0};

    exchange_answer(&x, 503);
    exchange_set_header(&x, "Retry-After", "1");
    assert_int_equal(exchange_answer_stored(&x, 201,
                                            "Content-Type: application/json; charset=utf-8\nLocation:/a:b \n"
                                            "no header\n: no name\nBad Name: x\nNo-Value:\n",
                                            "{\0}", 3),
                     FLOW_ANSWERED);
    assert_int_equal(x.response.status, 201);
    assert_int_equal(x.response.headers.count, 3);
    assert_string_equal(kit_response_header(&x, "Content-Type"), "application/json; charset=utf-8");
    assert_string_equal(kit_response_header(&x, "Location"), "/a:b");
    assert_string_equal(kit_response_header(&x, "No-Value"), "");
    assert_int_equal(x.response.body.len, 3);
    assert_memory_equal(x.response.body.data, "{\0}", 3);

    exchange_answer_stored(&x, 204, NULL, NULL, 0);
    assert_int_equal(x.response.status, 204);
    assert_int_equal(x.response.body.len, 0);
    assert_null(kit_response_header(&x, "Location"));
    kit_exchange_done(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers_are_replaced_and_removed),  cmocka_unit_test(test_many_headers),
        cmocka_unit_test(test_a_value_cannot_end_its_line),       cmocka_unit_test(test_json_is_taken_over),
        cmocka_unit_test(test_an_answer_replaces_the_one_before), cmocka_unit_test(test_a_stored_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
