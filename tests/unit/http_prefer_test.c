#include "http_kit.h"

static struct preferences read_two(const char *first, const char *second)
{
    struct exchange x = {0};
    struct preferences p;

    if (first)
        kit_request_header(&x, "Prefer", first);
    kit_request_header(&x, "Preferred", "return=minimal, wait=5");
    if (second)
        kit_request_header(&x, "prefer", second);
    exchange_preferences(&x, &p);
    kit_exchange_done(&x);
    return p;
}

static void expect(const char *first, const char *second, bool representation, bool minimal, int wait_s)
{
    struct preferences p = read_two(first, second);

    if (p.representation != representation || p.minimal != minimal || p.wait_s != wait_s)
        fail_msg("Prefer: %s | %s gave %d %d %d", first ? first : "", second ? second : "", p.representation, p.minimal,
                 p.wait_s);
}

static void test_known_preferences(void **state)
{
    expect(NULL, NULL, false, false, -1);
    expect("return=representation", NULL, true, false, -1);
    expect("return=minimal", NULL, false, true, -1);
    expect("wait=10", NULL, false, false, 10);
    expect("wait=0", NULL, false, false, 0);
    expect("return=representation, wait=10", NULL, true, false, 10);
    expect("return=representation", "wait=7", true, false, 7);
    expect("RETURN = \"representation\" ; foo=bar;x , WAIT\t=\t\"9\"", NULL, true, false, 9);
    expect("respond-async, wait=3, handling=lenient", NULL, false, false, 3);
    expect("foo=\"a, wait=5\", wait=6", NULL, false, false, 6);
    expect("foo=\"a\\\", wait=5\", wait=6", NULL, false, false, 6);
    expect("return=\"repre\\sentation\"", NULL, true, false, -1);
    expect(",, ,wait=4,", NULL, false, false, 4);
}

static void test_waiting_is_clamped(void **state)
{
    expect("wait=60", NULL, false, false, 60);
    expect("wait=61", NULL, false, false, 60);
    expect("wait=99999999999999999999999999", NULL, false, false, 60);
}

static void test_the_first_of_a_name_wins(void **state)
{
    expect("return=minimal, return=representation", NULL, false, true, -1);
    expect("wait=1", "wait=2", false, false, 1);
    expect("wait=x, wait=2", NULL, false, false, -1);
    expect("return=everything", "return=minimal", false, false, -1);
}

static void test_what_is_malformed_is_not_honoured(void **state)
{
    static const char *const bad[] = {
        "wait",
        "wait=",
        "wait=-1",
        "wait=1.5",
        "wait= ",
        "wait=+5",
        "wait=\"5",
        "wait=\"5\\",
        "wait 5",
        "return",
        "=5",
        "wait=5 6",
        "wait=5=6",
        "return=REPRESENTATION",
        "wait=\"5\"6",
        "return=\"minimal",
        ";wait=5",
        "\"wait\"=5",
        "wait=0x10",
        "(wait=5)",
        "",
        "return=representationrepresentationrepresentation",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect(bad[i], NULL, false, false, -1);
    expect("wait 5, return=minimal", NULL, false, true, -1); /* the next element is read again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_preferences),
        cmocka_unit_test(test_waiting_is_clamped),
        cmocka_unit_test(test_the_first_of_a_name_wins),
        cmocka_unit_test(test_what_is_malformed_is_not_honoured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
