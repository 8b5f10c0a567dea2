/* Ids in Taipy's form, and what cannot be one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bailiff/random.h"
#include "bailiff/model.h"

static void test_form(void **state)
{
    struct id_source ids = {0};
    char task[ENTITY_ID_SIZE], submission[ENTITY_ID_SIZE], again[ENTITY_ID_SIZE];

    entity_id_make(&ids, "TASK", "double", task);
    assert_memory_equal(task, "TASK_double_", 12);
    assert_int_equal(strlen(task), 12 + UUID_TEXT_SIZE - 1);
    assert_int_equal(task[12 + 14], '4'); /* uuid4 */
    entity_id_make(&ids, "TASK", "double", again);
    assert_string_not_equal(task, again);
    entity_id_make(&ids, "SUBMISSION", NULL, submission);
    assert_memory_equal(submission, "SUBMISSION_", 11);
    assert_int_equal(strlen(submission), 11 + UUID_TEXT_SIZE - 1);
    assert_true(entity_id_valid(span_of(task)));
    assert_true(entity_id_valid(span_of(submission)));
}

/* More than the pool holds at once: what is drawn anew goes on as before. */
static void test_groups(void **state)
{
    enum { MANY = 200 };
    struct id_source ids = {0};
    char made[MANY][ENTITY_ID_SIZE];

    for (int i = 0; i < MANY; i++) {
        if (i % (MANY / 2) == 0)
            id_group_begin(&ids);
        entity_id_make(&ids, "JOB", NULL, made[i]);
        assert_int_equal(made[i][4 + 14], '4');
        assert_non_null(strchr("89ab", made[i][4 + 19]));
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(made[i] + 4 + 8, made[j] + 4 + 8);
            assert_int_equal(memcmp(made[i], made[j], 4 + 8) == 0, i / (MANY / 2) == j / (MANY / 2));
        }
    }
}

static void test_the_longest_fits(void **state)
{
    struct id_source ids = {0};
    char id[ENTITY_ID_SIZE], config[CONFIG_ID_MAX + 1];

    memset(config, 'c', CONFIG_ID_MAX);
    config[CONFIG_ID_MAX] = '\0';
    entity_id_make(&ids, "DATANODE", config, id);
    assert_int_equal(strlen(id), 9 + CONFIG_ID_MAX + 1 + UUID_TEXT_SIZE - 1); /* nothing was cut */
    assert_true(entity_id_valid(span_of(id)));
}

static void test_what_can_exist(void **state)
{
    char longest[ENTITY_ID_MAX + 2];

    memset(longest, 'a', sizeof(longest));
    assert_true(entity_id_valid((struct span){longest, ENTITY_ID_MAX}));
    assert_false(entity_id_valid((struct span){longest, ENTITY_ID_MAX + 1}));
    assert_true(entity_id_valid(SPAN("aZ09_-")));
    static const char *const bad[] = {"",    " ",  "a b", "a/b", "..", "a.b", "a%2f", "é", "a'",
                                      "a\"", "a;", "a\n", "a:",  "a@", "a[",  "a`",   "a{"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(entity_id_valid(span_of(bad[i])));
    assert_false(entity_id_valid(SPAN("a\0")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_the_longest_fits),
        cmocka_unit_test(test_what_can_exist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
