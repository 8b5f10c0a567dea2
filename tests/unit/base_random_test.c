/* Randomness, and names made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "bailiff/clock.h"
#include "bailiff/random.h"

static void assert_uuid(const char *uuid, char version)
{
    assert_int_equal(strlen(uuid), UUID_TEXT_SIZE - 1);
    for (size_t i = 0; i < 36; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23)
            assert_int_equal(uuid[i], '-');
        else
            assert_non_null(strchr("0123456789abcdef", uuid[i]));
    }
    assert_int_equal(uuid[14], version);
    assert_non_null(strchr("89ab", uuid[19]));
}

static void test_uuids(void **state)
{
    char a[UUID_TEXT_SIZE], b[UUID_TEXT_SIZE];

    uuid4(a);
    uuid4(b);
    assert_uuid(a, '4');
    assert_uuid(b, '4');
    assert_string_not_equal(a, b);

    int64_t before = clock_wall_ms();
    uuid7(a);
    int64_t after = clock_wall_ms();
    assert_uuid(a, '7');
    char time[13] = {0};
    memcpy(time, a, 8);
    memcpy(time + 8, a + 9, 4);
    int64_t ms = (int64_t)strtoll(time, NULL, 16);
    assert_in_range(ms, before, after);
    uuid7(b);
    assert_string_not_equal(a, b);
}

/* More than the pool holds at once: whatever is drawn is new. */
static void test_a_pool_gives_nothing_twice(void **state)
{
    enum { MANY = 200, EACH = 16 };
    struct random_pool pool = {0};
    uint8_t drawn[MANY][EACH];

    for (int i = 0; i < MANY; i++) {
        memcpy(drawn[i], random_pooled(&pool, EACH), EACH);
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(drawn[i], drawn[j], EACH);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uuids),
        cmocka_unit_test(test_a_pool_gives_nothing_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
