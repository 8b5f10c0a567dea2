#include "http_kit.h"

struct reading {
    struct exchange x;
    struct query_param params[3];
    struct fault fault;
};

static bool read_query(struct reading *r, const char *query)
{
    arena_done(&r->x.arena);
    *r = (struct reading){.params = {{"config_id", NULL}, {"limit", NULL}, {"force", NULL}}};
    r->x.query = span_of(query);
    return exchange_query(&r->x, r->params, 3, &r->fault);
}

static void test_known_parameters_are_decoded(void **state)
{
    struct reading r = {0};

    assert_true(read_query(&r, ""));
    assert_null(r.params[0].value);
    assert_true(read_query(&r, "limit=10&config_id=a%20b+c%C3%A9%2B%26"));
    assert_string_equal(r.params[0].value, "a b c\xc3\xa9+&");
    assert_string_equal(r.params[1].value, "10");
    assert_null(r.params[2].value);
    assert_true(read_query(&r, "force&limit="));
    assert_string_equal(r.params[1].value, "");
    assert_string_equal(r.params[2].value, "");
    assert_true(read_query(&r, "limi%74=a=b"));
    assert_string_equal(r.params[1].value, "a=b");
    kit_exchange_done(&r.x);
}

static void test_no_query_at_all(void **state)
{
    struct exchange x = {0};
    struct fault fault = {0};

    assert_true(exchange_query(&x, NULL, 0, &fault));
    x.query = SPAN("a=1");
    assert_false(exchange_query(&x, NULL, 0, &fault));
    assert_string_equal(fault.message, "Unknown query parameter: a. This request takes none.");
    kit_exchange_done(&x);
}

static void test_anything_else_is_refused_with_its_reason(void **state)
{
    static const struct {
        const char *query, *message;
    } cases[] = {
        {"limt=1", "Unknown query parameter: limt. Did you mean limit?"},
        {"zzzzzzzzz=1", "Unknown query parameter: zzzzzzzzz. This request takes config_id, limit, force."},
        {"a%20b=1", "Unknown query parameter: (unreadable). This request takes config_id, limit, force."},
        {"limit=1&limit=1", "Query parameter limit stands twice; give it once."},
        {"limit=1&=2", "Query parameter number 2 has no name."},
        {"limit=1&", "Query parameter number 2 has no name."},
        {"&", "Query parameter number 1 has no name."},
        {"limit=%", "The value of query parameter limit is not percent-encoded UTF-8 without control characters."},
        {"limit=%1", "The value of query parameter limit is not percent-encoded UTF-8 without control characters."},
        {"limit=%zz", "The value of query parameter limit is not percent-encoded UTF-8 without control characters."},
        {"limit=%00", "The value of query parameter limit is not percent-encoded UTF-8 without control characters."},
        {"limit=%0a", "The value of query parameter limit is not percent-encoded UTF-8 without control characters."},
        {"limit=%7f", "The value of query parameter limit is not percent-encoded UTF-8 without control characters."},
        {"limit=%ff", "The value of query parameter limit is not percent-encoded UTF-8 without control characters."},
        {"limit=%c0%80", "The value of query parameter limit is not percent-encoded UTF-8 without control characters."},
        {"limit=\xc3\xa9",
         "The value of query parameter limit is not percent-encoded UTF-8 without control characters."},
        {"limit=a b", "The value of query parameter limit is not percent-encoded UTF-8 without control characters."},
        {"%ff=1", "The name of query parameter number 1 is not percent-encoded UTF-8 without control characters."},
    };
    struct reading r = {0};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_false(read_query(&r, cases[i].query));
        assert_int_equal(r.fault.kind, FAULT_INVALID);
        assert_string_equal(r.fault.message, cases[i].message);
        assert_null(r.params[1].value); /* untouched, also when a good one stood before the bad one */
    }
    kit_exchange_done(&r.x);
}

static void test_a_table_that_is_too_large_is_a_bug(void **state)
{
    struct exchange x = {0};
    struct query_param params[QUERY_PARAMS_MAX + 1] = {{0}};
    struct fault fault = {0};

    assert_false(exchange_query(&x, params, ARRAY_LEN(params), &fault));
    assert_int_equal(fault.kind, FAULT_INTERNAL);
    kit_exchange_done(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_parameters_are_decoded),
        cmocka_unit_test(test_no_query_at_all),
        cmocka_unit_test(test_anything_else_is_refused_with_its_reason),
        cmocka_unit_test(test_a_table_that_is_too_large_is_a_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
