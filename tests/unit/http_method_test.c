#include "http_kit.h"

static void test_names_and_values_agree(void **state)
{
    for (unsigned m = 0; m < METHOD_OTHER; m++)
        assert_int_equal(method_parse(span_of(method_name((enum method)m))), m);
    assert_string_equal(method_name(METHOD_OTHER), "OTHER");
}

static void test_what_is_no_method_of_ours_is_other(void **state)
{
    static const char *const others[] = {"get", "Get", "GETS", "GE", "", "TRACE", "CONNECT", "OTHER", "GET "};

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(method_parse(span_of(others[i])), METHOD_OTHER);
    assert_int_equal(method_parse((struct span){"GET\0", 4}), METHOD_OTHER);
    assert_int_equal(method_parse((struct span){0}), METHOD_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_values_agree),
        cmocka_unit_test(test_what_is_no_method_of_ours_is_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
