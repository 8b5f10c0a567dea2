/* Who may begin next: by age, within limits, and without looking at everybody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "jobs/queue.h"

static void add(struct queue *q, int64_t seq, char config, unsigned limit, uint8_t submitter)
{
    const uint8_t who[SUBMITTER_SIZE] = {submitter};
    char id[32], name[2] = {config, '\0'};

    snprintf(id, sizeof id, "JOB_%lld", (long long)seq);
    queue_add(q, &(struct queue_entry){seq, id, name, limit, who});
}

static struct lane *take(struct queue *q, int64_t seq)
{
    struct queue_place place;
    char id[32];

    assert_true(queue_take(q, &place));
    assert_int_equal(place.seq, seq);
    snprintf(id, sizeof id, "JOB_%lld", (long long)seq);
    assert_string_equal(place.job_id, id);
    free(place.job_id);
    return place.lane;
}

static void assert_nothing(struct queue *q)
{
    struct queue_place place;

    assert_false(queue_take(q, &place));
}

static void the_oldest_comes_first(void **state)
{
    struct queue *q = queue_new(0);

    add(q, 5, 'a', 0, 1);
    add(q, 3, 'b', 0, 2);
    add(q, 9, 'a', 0, 1);
    struct lane *lanes[] = {take(q, 3), take(q, 5)};
    add(q, 2, 'b', 0, 1); /* it was BLOCKED for a while */
    queue_leave(q, lanes[0]);
    queue_leave(q, lanes[1]);
    queue_leave(q, take(q, 2));
    queue_leave(q, take(q, 9));
    assert_nothing(q);
    queue_free(q);
}

static void a_full_configuration_holds_up_nobody_else(void **state)
{
    struct queue *q = queue_new(0);

    for (int64_t seq = 1; seq <= 5; seq++)
        add(q, seq, 'a', 2, 1);
    add(q, 6, 'b', 0, 1);
    struct lane *first = take(q, 1), *second = take(q, 2);
    queue_leave(q, take(q, 6));
    assert_nothing(q);
    queue_leave(q, first);
    struct lane *third = take(q, 3);
    assert_nothing(q);
    queue_leave(q, second);
    queue_leave(q, third);
    queue_leave(q, take(q, 4));
    queue_leave(q, take(q, 5));
    assert_nothing(q);
    queue_free(q);
}

static void a_submitter_at_the_limit_leaves_room_for_others(void **state)
{
    struct queue *q = queue_new(1);

    for (int64_t seq = 1; seq <= 3; seq++)
        add(q, seq, 'a', 0, 1);
    add(q, 4, 'a', 0, 2);
    add(q, 5, 'a', 0, 0); /* nobody's: no limit */
    add(q, 6, 'b', 0, 0);
    struct lane *ann = take(q, 1), *ben = take(q, 4);
    queue_leave(q, take(q, 5));
    queue_leave(q, take(q, 6));
    assert_nothing(q);
    queue_leave(q, ben);
    assert_nothing(q);
    queue_leave(q, ann);
    queue_leave(q, take(q, 2));
    queue_leave(q, take(q, 3));
    queue_free(q);
}

/* Ann holds the only place of configuration a; her other jobs wait at her own gate, those of others at that of a. */
static void two_limits_at_once(void **state)
{
    struct queue *q = queue_new(1);

    add(q, 1, 'a', 1, 1);
    add(q, 2, 'b', 1, 1);
    add(q, 3, 'a', 1, 2);
    add(q, 4, 'a', 1, 3);
    add(q, 5, 'b', 1, 2);
    struct lane *ann_a = take(q, 1);
    struct lane *ben_b = take(q, 5);
    assert_nothing(q);
    queue_leave(q, ann_a);
    /* ann may go on, but b is full; the place of a is not ben's, who is busy: carl gets it */
    struct lane *carl_a = take(q, 4);
    assert_nothing(q);
    queue_leave(q, ben_b);
    struct lane *ann_b = take(q, 2);
    assert_nothing(q);
    queue_leave(q, carl_a);
    queue_leave(q, take(q, 3));
    queue_leave(q, ann_b);
    assert_nothing(q);
    queue_free(q);
}

static void later_ones_come_when_they_are_due(void **state)
{
    struct queue *q = queue_new(0);
    const uint8_t who[SUBMITTER_SIZE] = {1};

    queue_add_later(q, &(struct queue_entry){1, "JOB_1", "a", 1, who}, 2000);
    queue_add_later(q, &(struct queue_entry){2, "JOB_2", "a", 1, who}, 1000);
    assert_int_equal(queue_due_ms(q), 1000);
    queue_step(q, 999);
    assert_nothing(q);
    queue_step(q, 1000);
    assert_int_equal(queue_due_ms(q), 2000);
    struct lane *lane = take(q, 2);
    queue_step(q, 5000);
    assert_int_equal(queue_due_ms(q), INT64_MAX);
    assert_nothing(q); /* it is due, but its configuration is full */
    queue_return(q, &(struct queue_place){2, (char *)"JOB_2", lane}, 9000);
    lane = take(q, 1);
    queue_leave(q, lane);
    assert_int_equal(queue_due_ms(q), 9000);
    queue_step(q, 9000);
    lane = take(q, 2);
    queue_return(q, &(struct queue_place){2, (char *)"JOB_2", lane}, 0);
    queue_leave(q, take(q, 2));
    queue_free(q);
}

/* ---- against the plainest implementation there is ---- */

enum { MODEL_JOBS = 400, CONFIGS = 4, SUBMITTERS = 5 };
struct model_job {
    int64_t seq;
    unsigned config, submitter;
    bool waits;
    struct lane *lane; /* NULL: does not run */
};

static const unsigned CONFIG_LIMITS[CONFIGS] = {0, 1, 2, 3};

static const struct model_job *model_next(const struct model_job *jobs, const unsigned *configs,
                                          const unsigned *submitters, unsigned submitter_limit)
{
    const struct model_job *next = NULL;

    for (size_t i = 0; i < MODEL_JOBS; i++) {
        const struct model_job *job = &jobs[i];
        bool fits = (CONFIG_LIMITS[job->config] == 0 || configs[job->config] < CONFIG_LIMITS[job->config]) &&
                    (submitter_limit == 0 || job->submitter == 0 || submitters[job->submitter] < submitter_limit);
        if (job->waits && fits && (!next || job->seq < next->seq))
            next = job;
    }
    return next;
}

static void it_does_what_the_plainest_queue_does(void **state)
{
    srandom(7);
    for (unsigned submitter_limit = 0; submitter_limit < 4; submitter_limit++) {
        struct model_job jobs[MODEL_JOBS];
        unsigned configs[CONFIGS] = {0}, submitters[SUBMITTERS] = {0}, taken = 0;
        struct queue *q = queue_new(submitter_limit);
        for (size_t i = 0; i < MODEL_JOBS; i++)
            jobs[i] = (struct model_job){(int64_t)i + 1, (unsigned)random() % CONFIGS, (unsigned)random() % SUBMITTERS,
                                         false, NULL};
        for (int step = 0; step < 60000; step++) {
            struct model_job *job = &jobs[random() % MODEL_JOBS];
            if (random() % 3 != 0 && !job->waits && !job->lane) {
                job->waits = true;
                add(q, job->seq, (char)('a' + job->config), CONFIG_LIMITS[job->config], (uint8_t)job->submitter);
            } else if (random() % 3 == 0) {
                const struct model_job *expected = model_next(jobs, configs, submitters, submitter_limit);
                if (!expected) {
                    assert_nothing(q);
                    continue;
                }
                struct model_job *next = &jobs[expected->seq - 1];
                next->lane = take(q, next->seq);
                next->waits = false;
                configs[next->config]++;
                submitters[next->submitter]++;
                taken++;
            } else if (job->lane) {
                configs[job->config]--;
                submitters[job->submitter]--;
                queue_leave(q, job->lane);
                job->lane = NULL;
            }
        }
        assert_true(taken > 300);
        queue_free(q);
    }
}

/* 200,000 jobs of 10,000 submitters before a configuration of one place: each step costs what it would cost with few. */
static void a_crowd_slows_nothing_down(void **state)
{
    enum { CROWD = 200000, PEOPLE = 10000 };
    struct queue *q = queue_new(1);

    for (int64_t seq = 1; seq <= CROWD; seq++) {
        uint32_t person = (uint32_t)(seq % PEOPLE) + 1;
        uint8_t who[SUBMITTER_SIZE] = {0};
        char id[32];
        memcpy(who, &person, sizeof person);
        snprintf(id, sizeof id, "JOB_%lld", (long long)seq);
        queue_add(q, &(struct queue_entry){seq, id, "a", 1, who});
    }
    for (int64_t seq = 1; seq <= CROWD; seq++) {
        struct lane *lane = take(q, seq);
        assert_nothing(q);
        queue_leave(q, lane);
    }
    assert_nothing(q);
    queue_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_comes_first),
        cmocka_unit_test(a_full_configuration_holds_up_nobody_else),
        cmocka_unit_test(a_submitter_at_the_limit_leaves_room_for_others),
        cmocka_unit_test(two_limits_at_once),
        cmocka_unit_test(later_ones_come_when_they_are_due),
        cmocka_unit_test(it_does_what_the_plainest_queue_does),
        cmocka_unit_test(a_crowd_slows_nothing_down),
    };

    return cmocka_run_group_tests_name("jobs_queue", tests, NULL, NULL);
}
