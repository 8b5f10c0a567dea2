/* The whole table of transitions, what a submission's status follows from, and all names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bailiff/model.h"

/* Row: from; column: to. The columns stand in the order of the enumeration. */
/* clang-format off */
static const char *const legal[JOB_STATUS_COUNT] = {
    /*                  S B P R C F O K A   (COMPLETED is O, SKIPPED is K) */
    [JOB_SUBMITTED] = ". x x . x . . . x",
    [JOB_BLOCKED] =   ". . x . x . . . x",
    [JOB_PENDING] =   ". x . x x . . x x",
    [JOB_RUNNING] =   ". . x . x x x . .",
    [JOB_CANCELED] =  ". . . . . . . . .",
    [JOB_FAILED] =    ". . . . . . . . .",
    [JOB_COMPLETED] = ". . . . . . . . .",
    [JOB_SKIPPED] =   ". . . . . . . . .",
    [JOB_ABANDONED] = ". . . . . . . . .",
};
/* clang-format on */

static void test_every_transition(void **state)
{
    for (unsigned from = 0; from < JOB_STATUS_COUNT; from++) {
        for (unsigned to = 0; to < JOB_STATUS_COUNT; to++) {
            bool wanted = legal[from][2 * to] == 'x';
            if (job_transition_legal(from, to) != wanted)
                fail_msg("%s → %s is %s", job_status_name(from), job_status_name(to), wanted ? "forbidden" : "allowed");
        }
    }
}

static void test_final_is_where_nothing_follows(void **state)
{
    for (unsigned from = 0; from < JOB_STATUS_COUNT; from++) {
        bool way_on = false;
        for (unsigned to = 0; to < JOB_STATUS_COUNT; to++)
            way_on |= job_transition_legal(from, to);
        assert_int_equal(job_status_final(from), !way_on);
    }
}

static enum submission_status status_of(const enum job_status *jobs, size_t count)
{
    unsigned counts[JOB_STATUS_COUNT] = {0};

    for (size_t i = 0; i < count; i++)
        counts[jobs[i]]++;
    return submission_status_of(counts);
}

static void test_submission_of_one_job(void **state)
{
    static const enum submission_status expected[JOB_STATUS_COUNT] = {
        [JOB_SUBMITTED] = SUBMISSION_SUBMITTED, [JOB_BLOCKED] = SUBMISSION_BLOCKED,
        [JOB_PENDING] = SUBMISSION_PENDING,     [JOB_RUNNING] = SUBMISSION_RUNNING,
        [JOB_CANCELED] = SUBMISSION_CANCELED,   [JOB_FAILED] = SUBMISSION_FAILED,
        [JOB_COMPLETED] = SUBMISSION_COMPLETED, [JOB_SKIPPED] = SUBMISSION_COMPLETED,
        [JOB_ABANDONED] = SUBMISSION_UNDEFINED,
    };

    for (enum job_status s = 0; s < JOB_STATUS_COUNT; s++)
        assert_int_equal(status_of(&s, 1), expected[s]);
    assert_int_equal(status_of(NULL, 0), SUBMISSION_UNDEFINED);
}

static void test_submission_of_many_jobs(void **state)
{
    /* each status is seen over all that stand behind it */
    static const enum job_status order[] = {JOB_FAILED,  JOB_CANCELED,  JOB_RUNNING,   JOB_PENDING,
                                            JOB_BLOCKED, JOB_SUBMITTED, JOB_ABANDONED, JOB_COMPLETED};

    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        enum submission_status alone = status_of(&order[i], 1);
        assert_int_equal(status_of(order + i, ARRAY_LEN(order) - i), alone);
    }
    assert_int_equal(status_of((enum job_status[]){JOB_COMPLETED, JOB_SKIPPED, JOB_COMPLETED}, 3),
                     SUBMISSION_COMPLETED);
}

/* ---- names ---- */

static void test_names_come_back(void **state)
{
    for (unsigned i = 0; i < JOB_STATUS_COUNT; i++) {
        enum job_status s = JOB_STATUS_COUNT;
        assert_true(job_status_parse(span_of(job_status_name(i)), &s));
        assert_int_equal(s, i);
    }
    for (unsigned i = 0; i < SCOPE_COUNT; i++) {
        enum data_scope s = SCOPE_COUNT;
        assert_true(data_scope_parse(span_of(data_scope_name(i)), &s));
        assert_int_equal(s, i);
    }
    for (unsigned i = 0; i < STORAGE_TYPE_COUNT; i++) {
        enum storage_type s = STORAGE_TYPE_COUNT;
        assert_true(storage_type_parse(span_of(storage_type_name(i)), &s));
        assert_int_equal(s, i);
        assert_non_null(storage_type_extension(i));
    }
    for (unsigned i = 0; i < SUBMISSION_STATUS_COUNT; i++)
        assert_non_null(submission_status_name(i));
}

static void test_other_names_are_none(void **state)
{
    static const char *const bad[] = {"", "running", "RUNNING ", "Status.RUNNING", "RUN", "GLOBAL:SCOPE", "excel"};
    enum job_status status = JOB_STATUS_COUNT;
    enum data_scope scope = SCOPE_COUNT;
    enum storage_type type = STORAGE_TYPE_COUNT;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(job_status_parse(span_of(bad[i]), &status));
        assert_false(data_scope_parse(span_of(bad[i]), &scope));
        assert_false(storage_type_parse(span_of(bad[i]), &type));
    }
    assert_int_equal(status, JOB_STATUS_COUNT);
}

static void test_permissions(void **state)
{
    for (unsigned p = PERM_ANY + 1; p < PERM_COUNT; p++) {
        enum permission back = PERM_NONE;
        assert_true(permission_parse(permission_name(p), &back));
        assert_int_equal(back, p);
        assert_true(strlen(permission_help(p)) > 0);
        for (unsigned q = PERM_NONE; q < p; q++)
            assert_string_not_equal(permission_name(p), permission_name(q));
    }
    static const char *const bad[] = {"", "public", "any", "none", "*", "tasks", "tasks:", "tasks:READ", "tasks:read "};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        enum permission none = PERM_COUNT;
        assert_false(permission_parse(bad[i], &none));
        assert_int_equal(none, PERM_COUNT);
    }
    assert_int_equal(PERM_NONE, 0); /* a forgotten cell denies */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_transition),      cmocka_unit_test(test_final_is_where_nothing_follows),
        cmocka_unit_test(test_submission_of_one_job), cmocka_unit_test(test_submission_of_many_jobs),
        cmocka_unit_test(test_names_come_back),       cmocka_unit_test(test_other_names_are_none),
        cmocka_unit_test(test_permissions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
