/* Faults: filled once, never longer than their buffers, and cut only between characters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bailiff/fault.h"
#include "bailiff/text.h"

static void test_says_kind_and_message(void **state)
{
    struct fault fault = {0};

    assert_false(fault_set(&fault, FAULT_NOT_FOUND, "Task: %s does not exist.", "x"));
    assert_int_equal(fault.kind, FAULT_NOT_FOUND);
    assert_string_equal(fault.message, "Task: x does not exist.");
    assert_string_equal(fault.detail, "");
    assert_int_equal(fault.retry_after_s, 0);
}

static void test_the_first_cause_stays(void **state)
{
    struct fault fault = {0};

    fault_set(&fault, FAULT_CONFLICT, "first");
    assert_false(fault_set(&fault, FAULT_INVALID, "second"));
    assert_false(fault_internal(&fault, "third"));
    assert_false(fault_unavailable(&fault, 9, "fourth"));
    assert_int_equal(fault.kind, FAULT_CONFLICT);
    assert_string_equal(fault.message, "first");
    assert_string_equal(fault.detail, "");
    assert_int_equal(fault.retry_after_s, 0);
}

static void test_nobody_need_want_it(void **state)
{
    assert_false(fault_set(NULL, FAULT_INVALID, "x"));
    assert_false(fault_internal(NULL, "x"));
    assert_false(fault_unavailable(NULL, 1, "x"));
    assert_false(fault_detail(NULL, "x"));
}

static void test_when_to_come_back(void **state)
{
    struct fault many = {0}, away = {0}, full = {0};

    fault_set(&many, FAULT_TOO_MANY, "slow down");
    fault_set(&away, FAULT_UNAVAILABLE, "later");
    fault_unavailable(&full, 10, "disk full");
    assert_int_equal(many.retry_after_s, 1);
    assert_int_equal(away.retry_after_s, 1);
    assert_int_equal(full.retry_after_s, 10);
    assert_int_equal(full.kind, FAULT_UNAVAILABLE);
}

static void test_an_internal_fault_keeps_its_secret(void **state)
{
    struct fault fault = {0};

    assert_false(fault_internal(&fault, "SELECT failed in %s", "/var/lib/x"));
    assert_int_equal(fault.kind, FAULT_INTERNAL);
    assert_null(strstr(fault.message, "SELECT"));
    assert_null(strstr(fault.message, "/var"));
    assert_string_equal(fault.detail, "SELECT failed in /var/lib/x");
}

static void test_a_detail_is_added_once(void **state)
{
    struct fault fault = {0};

    fault_detail(&fault, "too early");
    assert_string_equal(fault.detail, "");
    fault_set(&fault, FAULT_UNAUTHENTICATED, "no");
    fault_detail(&fault, "expired at %d", 7);
    fault_detail(&fault, "again");
    assert_string_equal(fault.detail, "expired at 7");
}

/* The text must be a prefix of what was meant, as long as it can be, and whole characters. */
static void assert_cut_well(const char *got, const char *meant, size_t size)
{
    size_t len = strlen(got);

    assert_true(len < size);
    assert_memory_equal(got, meant, len);
    assert_true(utf8_valid(got, len));
    if (strlen(meant) >= size)
        assert_true(len + 4 >= size); /* no more than one character was given up */
    else
        assert_int_equal(len, strlen(meant));
}

static void test_long_texts_are_cut_between_characters(void **state)
{
    static const char *const characters[] = {"a", "é", "€", "😀"};
    const size_t size = sizeof(((struct fault *)NULL)->message);

    for (size_t c = 0; c < ARRAY_LEN(characters); c++) {
        for (size_t shift = 0; shift < 5; shift++) {
            for (size_t target = size - 6; target < size + 6; target++) {
                own(text_done) struct text meant = {0};
                struct fault fault = {0};
                for (size_t i = 0; i < shift; i++)
                    text_append_char(&meant, 'x');
                while (meant.len < target)
                    text_append_str(&meant, characters[c]);
                fault_set(&fault, FAULT_INVALID, "%s", meant.data);
                assert_cut_well(fault.message, meant.data, size);
                fault_detail(&fault, "%s", meant.data);
                assert_cut_well(fault.detail, meant.data, sizeof(fault.detail));
            }
        }
    }
}

static void test_exactly_full_is_not_cut(void **state)
{
    struct fault fault = {0};
    char text[sizeof(fault.message)];

    memset(text, 'a', sizeof(text) - 3);
    memcpy(text + sizeof(text) - 3, "é", 3); /* 511 bytes and a NUL */
    fault_set(&fault, FAULT_INVALID, "%s", text);
    assert_string_equal(fault.message, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_says_kind_and_message),
        cmocka_unit_test(test_the_first_cause_stays),
        cmocka_unit_test(test_nobody_need_want_it),
        cmocka_unit_test(test_when_to_come_back),
        cmocka_unit_test(test_an_internal_fault_keeps_its_secret),
        cmocka_unit_test(test_a_detail_is_added_once),
        cmocka_unit_test(test_long_texts_are_cut_between_characters),
        cmocka_unit_test(test_exactly_full_is_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
