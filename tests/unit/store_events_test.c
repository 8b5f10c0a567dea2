/* Events of jobs: written with each transition, read in steps, kept within bounds; and who is woken by them. */
#include <sys/eventfd.h>

#include "bailiff/event_hub.h"
#include "unit/store_jobs_fixture.h"

static const struct event_query ANY = {.status = -1};

/* All behind `from` as "config:STATUS/SUBMISSION_STATUS …", each seq above the one before. */
static const char *told_since(struct fixture *f, const struct event_query *query, int64_t from, size_t rows_max)
{
    struct event_step step = {.position = from, .rows_max = rows_max};
    struct text t = {0};
    struct event rows[64];

    store_reader_turn_end(f->reader);
    do {
        int64_t before = step.position;
        assert_true(store_read_events(f->reader, &ALL, query, &step, &f->arena, rows, &f->fault));
        assert_false(step.lost);
        for (size_t i = 0; i < step.count; i++) {
            assert_true(rows[i].seq > before);
            before = rows[i].seq;
            text_printf(&t, "%s%s:%s/%s", t.len > 0 ? " " : "", rows[i].task_config_id, job_status_name(rows[i].status),
                        submission_status_name(rows[i].submission_status));
        }
    } while (step.more);
    const char *copy = arena_strdup(&f->arena, t.data ? t.data : "");
    text_done(&t);
    return copy;
}

static int64_t last_event(struct fixture *f)
{
    int64_t before, last;

    store_reader_turn_end(f->reader);
    assert_true(store_event_ends(f->reader, &before, &last, &f->fault));
    return last;
}

static struct job complete(struct fixture *f, const char *task_id)
{
    struct job job = fixture_submit(f, task_id);
    struct job_start start = fixture_start(f, job.id);

    fixture_end(f, &start, JOB_COMPLETED);
    return job;
}

static void each_transition_is_an_event(void **state)
{
    struct fixture *f = *state;
    struct task task = fixture_create(f, DOUBLE);
    struct event_step step = {.rows_max = 16};
    struct event rows[16];

    assert_int_equal(last_event(f), 0);
    struct job job = complete(f, task.id);
    static const char all[] = "double:PENDING/PENDING double:RUNNING/RUNNING double:COMPLETED/COMPLETED";
    for (size_t rows_max = 1; rows_max < 6; rows_max++)
        assert_string_equal(told_since(f, &ANY, 0, rows_max), all);
    assert_string_equal(told_since(f, &ANY, 1, 64), strchr(all, ' ') + 1);
    assert_string_equal(told_since(f, &ANY, 3, 64), "");

    assert_true(store_read_events(f->reader, &ALL, &ANY, &step, &f->arena, rows, &f->fault));
    assert_int_equal(step.count, 3);
    assert_int_equal(step.position, 3);
    assert_string_equal(rows[1].job_id, job.id);
    assert_string_equal(rows[1].task_id, task.id);
    assert_string_equal(rows[1].submission_id, job.submission_id);
    assert_int_equal(rows[0].attempt, 0);
    assert_int_equal(rows[1].attempt, 1);
    assert_true(rows[0].time_ms >= task.created_at_ms && rows[2].time_ms >= rows[0].time_ms);
    assert_false(rows[1].cancel_requested);
}

static void a_cancel_that_is_asked_for_is_an_event(void **state)
{
    struct fixture *f = *state;
    struct job job = fixture_submit(f, fixture_create(f, DOUBLE).id);
    struct job_start start = fixture_start(f, job.id);
    struct event_step step = {.position = last_event(f), .rows_max = 16};
    struct event rows[16];

    assert_true(cancel(f, job.id));
    assert_true(store_read_events(f->reader, &ALL, &ANY, &step, &f->arena, rows, &f->fault));
    assert_int_equal(step.count, 1);
    assert_int_equal(rows[0].status, JOB_RUNNING);
    assert_int_equal(rows[0].submission_status, SUBMISSION_RUNNING);
    assert_true(rows[0].cancel_requested);
    fixture_end(f, &start, JOB_CANCELED);
    assert_string_equal(told_since(f, &ANY, step.position, 16), "double:CANCELED/CANCELED");
}

static void what_fails_is_no_event(void **state)
{
    struct fixture *f = *state;
    struct job job = complete(f, fixture_create(f, DOUBLE).id);
    int64_t last = last_event(f);

    assert_false(cancel(f, job.id));
    assert_false(fixture_apply(f, apply_start, &(struct start_input){.job_id = job.id}));
    assert_int_equal(last_event(f), last);
}

static void filters(void **state)
{
    struct fixture *f = *state;
    struct task task = fixture_create(f, DOUBLE);
    struct job one = complete(f, task.id), two = complete(f, task.id);
    (void)complete(f, fixture_create(f, FETCH).id);
    const struct {
        struct event_query query;
        const char *wanted;
    } cases[] = {
        {{.status = -1, .job_seq = job_of(f, one.id).seq},
         "double:PENDING/PENDING double:RUNNING/RUNNING double:COMPLETED/COMPLETED"},
        {{.status = JOB_COMPLETED, .job_seq = job_of(f, two.id).seq}, "double:COMPLETED/COMPLETED"},
        {{.status = JOB_COMPLETED, .task_id = task.id}, "double:COMPLETED/COMPLETED double:COMPLETED/COMPLETED"},
        {{.status = JOB_RUNNING, .config_id = "fetch"}, "fetch:RUNNING/RUNNING"},
        {{.status = JOB_RUNNING, .submission_id = two.submission_id}, "double:RUNNING/RUNNING"},
        {{.status = JOB_FAILED}, ""},
        {{.status = -1, .task_id = "TASK_none"}, ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t rows_max = 1; rows_max < 12; rows_max += 5)
            assert_string_equal(told_since(f, &cases[i].query, 0, rows_max), cases[i].wanted);
    struct event_step step = {.rows_max = 16};
    struct event rows[16];
    const struct scope nothing = {0};
    assert_true(store_read_events(f->reader, &nothing, &ANY, &step, &f->arena, rows, &f->fault));
    assert_int_equal(step.count, 0);
}

static void a_position_that_cannot_be_followed(void **state)
{
    struct fixture *f = *state;
    struct event_step step = {.position = 1, .rows_max = 16};
    struct event rows[16];

    /* of another database */
    assert_true(store_read_events(f->reader, &ALL, &ANY, &step, &f->arena, rows, &f->fault));
    assert_true(step.lost);
    assert_int_equal(step.position, 0);
    (void)complete(f, fixture_create(f, DOUBLE).id);
    step.position = 4;
    assert_true(store_read_events(f->reader, &ALL, &ANY, &step, &f->arena, rows, &f->fault));
    assert_true(step.lost);
    assert_int_equal(step.position, 3);
    /* of what is gone */
    fixture_sql(f, "DELETE FROM event WHERE seq = 1");
    store_reader_turn_end(f->reader);
    step.position = 0;
    assert_true(store_read_events(f->reader, &ALL, &ANY, &step, &f->arena, rows, &f->fault));
    assert_true(step.lost);
    assert_int_equal(step.position, 3);
    step.position = 1; /* the last that is gone: nothing is missing behind it */
    assert_true(store_read_events(f->reader, &ALL, &ANY, &step, &f->arena, rows, &f->fault));
    assert_false(step.lost);
    assert_int_equal(step.count, 2);
}

struct delete_job_input {
    const char *id;
    int attempts;
};
static bool apply_delete_job(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct delete_job_input *in = change->input;

    return txn_delete_job(txn, &ALL, in->id, -1, &in->attempts, fault);
}

static void a_deleted_job_takes_its_events_along(void **state)
{
    struct fixture *f = *state;
    struct task task = fixture_create(f, DOUBLE);
    struct job one = complete(f, task.id), two = complete(f, task.id);

    assert_true(fixture_apply(f, apply_delete_job, &(struct delete_job_input){.id = one.id}));
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM event"), 3);
    assert_true(fixture_apply(f, apply_delete_job, &(struct delete_job_input){.id = two.id}));
    /* the newest stays, so that no number is given twice; but it is not told */
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM event"), 1);
    assert_string_equal(told_since(f, &ANY, 5, 16), "");
    (void)complete(f, task.id);
    assert_int_equal(last_event(f), 9);
    assert_string_equal(told_since(f, &ANY, 6, 2),
                        "double:PENDING/PENDING double:RUNNING/RUNNING double:COMPLETED/COMPLETED");
}

static void they_survive_a_restart(void **state)
{
    struct fixture *f = *state;
    struct job job = fixture_submit(f, fixture_create(f, DOUBLE).id);
    struct recover_input recovery = {.restart = true};

    (void)fixture_start(f, job.id);
    int64_t last = last_event(f);
    fixture_close(f);
    fixture_open(f);
    assert_true(fixture_apply(f, apply_recover, &recovery));
    assert_string_equal(told_since(f, &ANY, last, 16), "double:PENDING/PENDING");
    assert_int_equal(last_event(f), last + 1);
}

/* ---- bounds ---- */

static bool apply_nothing(struct store_txn *txn, struct change *change, struct fault *fault)
{
    return true;
}

/* Expiry looks again after a second; then every transaction takes a share. */
static void pass_time(struct fixture *f, const char *until)
{
    for (int i = 0; i < 600 && fixture_number(f, until) == 0; i++) {
        assert_true(fixture_apply(f, apply_nothing, NULL));
        usleep(20000);
    }
    assert_true(fixture_number(f, until) != 0);
}

static void no_more_than_so_many(void **state)
{
    struct fixture *f = *state;
    struct task task;

    f->options.events_max = 5;
    fixture_open(f);
    task = fixture_create(f, DOUBLE);
    for (int i = 0; i < 40; i++)
        (void)complete(f, task.id);
    pass_time(f, "SELECT count(*) <= 5 FROM event");
    assert_int_equal(fixture_number(f, "SELECT max(seq) FROM event"), 120);
    assert_int_equal(fixture_number(f, "SELECT min(seq) FROM event"), 116);
}

static void no_longer_than_so_long(void **state)
{
    struct fixture *f = *state;

    f->options.events_ttl_s = 3600;
    fixture_open(f);
    (void)complete(f, fixture_create(f, DOUBLE).id);
    fixture_sql(f, "UPDATE event SET time = time - 3600001");
    pass_time(f, "SELECT count(*) = 1 FROM event"); /* the newest stays */
    assert_int_equal(fixture_number(f, "SELECT seq FROM event"), 3);
}

/* What a batch deletes is bounded, and more than it adds. */
static void a_step_of_expiry_is_bounded(void **state)
{
    struct fixture *f = *state;

    f->options.events_ttl_s = 3600;
    fixture_open(f);
    (void)complete(f, fixture_create(f, DOUBLE).id);
    fixture_sql(
        f, "UPDATE event SET time = 1; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
           "INSERT INTO event (job_seq, time, status, attempt, cancel_requested) SELECT 1, 1, "
           "'RUNNING', 1, 0 FROM n");
    int64_t before = 1003;
    for (int i = 0; i < 600 && before > 1; i++) {
        assert_true(fixture_apply(f, apply_nothing, NULL));
        int64_t now = fixture_number(f, "SELECT count(*) FROM event");
        assert_true(before - now <= 64);
        if (now == before)
            usleep(20000);
        before = now;
    }
    assert_int_equal(before, 1);
}

/* ---- waking ---- */

struct sleeper {
    struct inbox *inbox;
    int woken;
};

static void no_wake(void *arg)
{
}

static void on_woken(void *arg)
{
    ((struct sleeper *)arg)->woken++;
}

static struct ticket *sleep_on(struct sleeper *s, struct event_place *place)
{
    struct ticket *ticket = ticket_new(s->inbox, on_woken, s);

    event_place_await(place, ticket);
    return ticket;
}

static int woken(struct sleeper *s)
{
    inbox_drain(s->inbox);
    return s->woken;
}

static void who_waits_is_woken(void **state)
{
    struct event_hub *hub = event_hub_new();
    struct sleeper any = {.inbox = inbox_new(no_wake, NULL)}, one = {.inbox = any.inbox}, other = {.inbox = any.inbox};
    struct event_place *of_any = event_place_new(hub, NULL), *of_one = event_place_new(hub, "JOB_1"),
                       *of_other = event_place_new(hub, "JOB_2");
    struct ticket *tickets[] = {sleep_on(&any, of_any), sleep_on(&one, of_one), sleep_on(&other, of_other)};
    const struct job_event event = {.job_id = "JOB_1"};

    assert_int_equal(woken(&any) + one.woken + other.woken, 0);
    event_hub_tell(hub, &event, 1);
    event_hub_tell(hub, &event, 1); /* while they are on their way */
    assert_int_equal(woken(&any), 1);
    assert_int_equal(one.woken, 1);
    assert_int_equal(other.woken, 0);
    ticket_abandon(tickets[0]);
    /* news came since the last look: no sleep */
    tickets[0] = sleep_on(&any, of_any);
    assert_int_equal(woken(&any), 2);
    event_place_look(of_any);
    ticket_abandon(tickets[0]);
    tickets[0] = sleep_on(&any, of_any);
    assert_int_equal(woken(&any), 2);
    /* whoever waits anew gives the earlier ticket up */
    ticket_abandon(tickets[2]);
    tickets[2] = sleep_on(&other, of_other);
    assert_int_equal(woken(&other), 0);
    event_place_free(of_any); /* wakes, for nothing is to be left behind */
    event_place_free(of_one);
    event_place_free(of_other);
    assert_int_equal(woken(&any), 3);
    event_hub_tell(hub, &event, 1);
    for (size_t i = 0; i < ARRAY_LEN(tickets); i++)
        ticket_abandon(tickets[i]);
    event_hub_free(hub);
    inbox_free(any.inbox);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
#define P(test) cmocka_unit_test_setup_teardown(test, fixture_prepare, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(each_transition_is_an_event),
        T(a_cancel_that_is_asked_for_is_an_event),
        T(what_fails_is_no_event),
        T(filters),
        T(a_position_that_cannot_be_followed),
        T(a_deleted_job_takes_its_events_along),
        T(they_survive_a_restart),
        P(no_more_than_so_many),
        P(no_longer_than_so_long),
        P(a_step_of_expiry_is_bounded),
        cmocka_unit_test(who_waits_is_woken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
