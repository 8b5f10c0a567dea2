/* The writer: what one change's end means for the others, for its record, its answer, its events; the queue's limits. */
#include <stdatomic.h>

#include "store/txn.h"
#include "unit/store_fixture.h"

/* ---- a gate: holds the writer inside a change, so that what comes behind it lands in one batch ---- */
struct gate {
    sem_t entered, open;
};

static bool apply_gate(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct gate *gate = change->input;

    sem_post(&gate->entered);
    while (sem_wait(&gate->open) != 0)
        ;
    return true;
}

static void gate_close(struct fixture *f, struct gate *gate)
{
    struct change *change = change_new();

    sem_init(&gate->entered, 0, 0);
    sem_init(&gate->open, 0, 0);
    change->class = CHANGE_JOB;
    change->apply = apply_gate;
    change->input = gate;
    change->done = (void (*)(struct change *))change_free;
    assert_true(store_submit(f->store, change, &f->fault));
    while (sem_wait(&gate->entered) != 0)
        ;
}

static void gate_open(struct gate *gate)
{
    sem_post(&gate->open);
}

/* ---- changes that are watched ---- */
enum { WATCHED_MAX = 64 };
struct watch {
    struct fixture *f;
    sem_t done;
    pthread_mutex_t lock;
    struct change *changes[WATCHED_MAX]; /* in the order of their done */
    size_t count, events_at_done;
};

static void watch_init(struct watch *watch, struct fixture *f)
{
    *watch = (struct watch){.f = f};
    sem_init(&watch->done, 0, 0);
    pthread_mutex_init(&watch->lock, NULL);
}

static void watch_done(struct change *change)
{
    struct watch *watch = change->done_arg;

    pthread_mutex_lock(&watch->lock);
    watch->changes[watch->count++] = change;
    pthread_mutex_unlock(&watch->lock);
    pthread_mutex_lock(&watch->f->lock);
    watch->events_at_done = watch->f->event_count;
    pthread_mutex_unlock(&watch->f->lock);
    sem_post(&watch->done);
}

static struct change *watched(struct watch *watch, apply_fn apply, void *input)
{
    struct change *change = change_new();

    change->class = CHANGE_REQUEST;
    change->apply = apply;
    change->input = input;
    change->outcome = watch->f;
    change->audited = true;
    change->audit.action = "test";
    change->done = watch_done;
    change->done_arg = watch;
    return change;
}

static void watch_wait(struct watch *watch, size_t count)
{
    while (count-- > 0)
        while (sem_wait(&watch->done) != 0)
            ;
    store_reader_turn_end(watch->f->reader);
}

static void watch_free(struct watch *watch)
{
    for (size_t i = 0; i < watch->count; i++)
        change_free(watch->changes[i]);
    pthread_mutex_destroy(&watch->lock);
    sem_destroy(&watch->done);
}

static void put(struct watch *watch, struct change *change)
{
    if (!store_submit(watch->f->store, change, &watch->f->fault))
        fail_msg("%s", watch->f->fault.message);
}

static bool apply_nothing(struct store_txn *txn, struct change *change, struct fault *fault)
{
    return true;
}

/* Does everything, then fails. */
static bool apply_create_and_fail(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct creation_input in = {.config = DOUBLE};
    struct submit_input submit;
    struct change inner = {.input = &in, .outcome = change->outcome};

    if (!apply_create(txn, &inner, fault))
        return false;
    submit = (struct submit_input){.task_id = in.task.id};
    inner.input = &submit;
    if (!apply_submit(txn, &inner, fault))
        return false;
    return fault_set(fault, FAULT_CONFLICT, "Changed my mind.");
}

/* ---- one change ---- */

static void a_failed_change_undoes_itself_only(void **state)
{
    struct fixture *f = *state;
    struct creation_input one = {.config = DOUBLE}, two = one;
    struct watch watch;
    struct gate gate;

    watch_init(&watch, f);
    gate_close(f, &gate);
    put(&watch, watched(&watch, apply_create, &one));
    put(&watch, watched(&watch, apply_create_and_fail, NULL));
    put(&watch, watched(&watch, apply_create, &two));
    gate_open(&gate);
    watch_wait(&watch, 3);
    assert_true(watch.changes[0]->ok);
    assert_false(watch.changes[1]->ok);
    assert_true(watch.changes[2]->ok);
    assert_int_equal(watch.changes[1]->fault.kind, FAULT_CONFLICT);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM task"), 2);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM job"), 0);
    assert_int_equal(f->event_count, 0); /* what was undone is not told */
    assert_int_equal(
        fixture_number(f, "SELECT count(*) FROM audit WHERE outcome = 'failed' AND reason = 'Changed my mind.'"), 1);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM audit WHERE outcome = 'done'"), 2);
    watch_free(&watch);
}

struct counted_creation {
    struct creation_input in;
    int runs;
};

static bool apply_create_counted(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct counted_creation *counted = change->input;
    struct change inner = {.input = &counted->in, .outcome = change->outcome};

    counted->runs++;
    assert_null(change->audit.detail); /* nothing is left of the first time */
    change->audit.detail = "{}";
    return apply_create(txn, &inner, fault);
}

/* How often the first of a batch ran whose second change fails so. */
static int runs_beside(struct fixture *f, apply_fn failing)
{
    struct counted_creation first = {.in = {.config = DOUBLE}}, last = first;
    int64_t tasks = fixture_number(f, "SELECT count(*) FROM task");
    int64_t records = fixture_number(f, "SELECT count(*) FROM audit");
    struct watch watch;
    struct gate gate;

    watch_init(&watch, f);
    gate_close(f, &gate);
    put(&watch, watched(&watch, apply_create_counted, &first));
    put(&watch, watched(&watch, failing, NULL));
    put(&watch, watched(&watch, apply_create_counted, &last));
    gate_open(&gate);
    watch_wait(&watch, 3);
    assert_true(watch.changes[0]->ok && !watch.changes[1]->ok && watch.changes[2]->ok);
    assert_int_equal(last.runs, 1);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM task"), tasks + 2);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM audit"), records + 3);
    watch_free(&watch);
    return first.runs;
}

static bool apply_fail_silently(struct store_txn *txn, struct change *change, struct fault *fault)
{
    return false;
}

static void a_failure_always_has_a_reason(void **state)
{
    struct fixture *f = *state;

    assert_false(fixture_apply(f, apply_fail_silently, NULL));
    assert_int_equal(f->fault.kind, FAULT_INTERNAL);
}

static const char *wanted_task;
static bool apply_submit_wanted(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct submit_input in = {.task_id = wanted_task};
    struct change inner = {.input = &in, .outcome = change->outcome};

    return apply_submit(txn, &inner, fault);
}

/* Anybody can have too many jobs, and ask for one more: that must not cost others anything. */
static void a_subject_with_too_many_jobs_disturbs_nobody(void **state)
{
    struct fixture *f = *state;
    struct submit_input in = {.task_id = fixture_create(f, DOUBLE).id};

    fixture_close(f);
    f->options.unfinished_jobs_max = 1;
    fixture_open(f);
    wanted_task = in.task_id;
    assert_true(fixture_apply(f, apply_submit, &in));
    assert_int_equal(runs_beside(f, apply_submit_wanted), 1);
    assert_int_equal(fixture_number(f, "SELECT unfinished FROM subject_load"), 1);
}

/* Savepoints are made only where they are needed, and then for a while. */
static void what_failed_late_makes_all_begin_again(void **state)
{
    enum { CAREFUL_BATCHES = 64 };
    struct fixture *f = *state;

    assert_int_equal(runs_beside(f, apply_fail_silently), 1); /* it had written nothing */
    assert_int_equal(runs_beside(f, apply_create_and_fail), 2);
    assert_int_equal(runs_beside(f, apply_create_and_fail), 1);
    for (int i = 0; i < CAREFUL_BATCHES; i++)
        assert_true(fixture_apply(f, apply_nothing, NULL));
    assert_int_equal(runs_beside(f, apply_create_and_fail), 2);
    struct audit_walk head = {0};
    store_audit_head(f->store, &head);
    assert_int_equal(head.seq, fixture_number(f, "SELECT max(seq) FROM audit"));
}

static int64_t missing_from(struct fixture *f, const char *index)
{
    own(freep) char *sql = xprintf("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check LIKE "
                                   "'%% missing from index %s'",
                                   index);

    return fixture_number(f, sql);
}

/* SQLite leaves half of what a statement did where the database is damaged, and counts nothing of it. */
static void what_a_statement_left_behind_is_undone(void **state)
{
    struct fixture *f = *state;
    struct submit_input submit = {.task_id = fixture_create(f, DOUBLE).id};

    assert_true(fixture_apply(f, apply_submit, &submit));
    /* a row of the index as one of a table is taken away; the statement finds out when it has changed the other index */
    fixture_sql(
        f,
        "PRAGMA writable_schema = ON;"
        "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) SELECT 'table', 'damage', 'damage', rootpage, "
        "'CREATE TABLE damage (task_id TEXT, seq INTEGER, PRIMARY KEY (task_id, seq)) WITHOUT ROWID' "
        "FROM sqlite_schema WHERE name = 'job_unfinished_task'");
    fixture_sql(f, "DELETE FROM damage");
    fixture_sql(f, "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'damage'");
    assert_int_equal(missing_from(f, "job_unfinished_task"), 1);
    assert_false(fixture_apply(f, apply_cancel, &(struct cancel_input){.job_id = submit.job.id}));
    assert_int_equal(f->fault.kind, FAULT_INTERNAL);
    assert_int_equal(missing_from(f, "job_unfinished_task"), 1);
    assert_int_equal(missing_from(f, "job_unfinished"), 0);
}

static void render_full(struct change *change)
{
    change->audit.target = "TASK_x";
    change->audit.status = 201;
}

static void the_record_says_everything(void **state)
{
    struct fixture *f = *state;
    struct change *change = change_new();

    change->class = CHANGE_REFUSAL;
    change->audited = change->refused = true;
    change->render = render_full;
    change->audit = (struct audit_draft){.action = "request.refuse",
                                         .issuer = "iss",
                                         .subject = "sub",
                                         .token_id = "jti",
                                         .roles = "A B",
                                         .address = "::1",
                                         .request_id = "rid",
                                         .client_request_id = "crid",
                                         .method = "POST",
                                         .path = "/p",
                                         .permission = "tasks:create",
                                         .decision_id = "did",
                                         .reason = "no role grants it",
                                         .detail = "{}",
                                         .count = 7};
    assert_true(store_submit_wait(f->store, change, &f->fault));
    change_free(change);
    assert_int_equal(
        fixture_number(f,
                       "SELECT count(*) FROM audit WHERE seq = 1 AND outcome = 'refused' AND action = "
                       "'request.refuse' AND target = 'TASK_x' AND issuer = 'iss' AND subject = 'sub' AND token_id = "
                       "'jti' AND roles = 'A B' AND address = '::1' AND request_id = 'rid' AND client_request_id = "
                       "'crid' AND method = 'POST' AND path = '/p' AND permission = 'tasks:create' AND decision_id = "
                       "'did' AND reason = 'no role grants it' AND detail = '{}' AND status = 201 AND count = 7 AND "
                       "time > 0 AND length(hash) = 32 AND previous = zeroblob(32)"),
        1);
}

/* ---- idempotency ---- */

static void render_answer(struct change *change)
{
    change->answer =
        (struct stored_answer){.status = change->ok ? 201 : 409, .keep = change->fault.kind != FAULT_UNPROCESSABLE};
    change->answer.headers = change->ok ? "Location: /here\n" : NULL;
    change->answer.body = change->ok ? "made\0it" : "no";
    change->answer.body_len = change->ok ? 7 : 2;
    change->audit.status = change->answer.status;
}

static struct change *idempotent(struct watch *watch, apply_fn apply, void *input, int key, int request)
{
    struct change *change = watched(watch, apply, input);

    change->idempotent = true;
    change->idempotency_key[0] = (uint8_t)key;
    change->idempotency_request[0] = (uint8_t)request;
    change->render = render_answer;
    return change;
}

static void a_repeat_gives_the_first_answer(void **state)
{
    struct fixture *f = *state;
    struct creation_input in = {.config = DOUBLE};
    uint8_t key[32] = {1}, request[32];
    struct stored_answer answer;
    struct watch watch;
    struct gate gate;

    watch_init(&watch, f);
    gate_close(f, &gate); /* in the same batch … */
    put(&watch, idempotent(&watch, apply_create, &in, 1, 1));
    put(&watch, idempotent(&watch, apply_create, &in, 1, 1));
    put(&watch, idempotent(&watch, apply_create, &in, 1, 2));
    gate_open(&gate);
    watch_wait(&watch, 3);
    put(&watch, idempotent(&watch, apply_create, &in, 1, 1)); /* … and in a later one */
    watch_wait(&watch, 1);
    assert_false(watch.changes[0]->replayed);
    for (size_t i = 1; i < 4; i += 2) {
        assert_true(watch.changes[i]->ok);
        assert_true(watch.changes[i]->replayed);
        assert_int_equal(watch.changes[i]->answer.status, 201);
        assert_string_equal(watch.changes[i]->answer.headers, "Location: /here\n");
        assert_int_equal(watch.changes[i]->answer.body_len, 7);
        assert_memory_equal(watch.changes[i]->answer.body, "made\0it", 7);
    }
    assert_false(watch.changes[2]->ok);
    assert_int_equal(watch.changes[2]->fault.kind, FAULT_UNPROCESSABLE);
    assert_int_equal(watch.changes[2]->answer.status, 409); /* rendered */
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM task"), 1);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM audit"), 2); /* the first, and the one that was another */
    assert_true(store_find_answer(f->reader, key, &f->arena, request, &answer, &f->fault));
    assert_int_equal(request[0], 1);
    assert_int_equal(answer.status, 201);
    key[0] = 2;
    assert_false(store_find_answer(f->reader, key, &f->arena, request, &answer, &f->fault));
    assert_int_equal(f->fault.kind, FAULT_NOT_FOUND);
    watch_free(&watch);
}

static void a_failure_is_kept_only_if_its_answer_says_so(void **state)
{
    struct fixture *f = *state;
    struct watch watch;

    watch_init(&watch, f);
    put(&watch, idempotent(&watch, apply_create_and_fail, NULL, 1, 1));
    put(&watch, idempotent(&watch, apply_create_and_fail, NULL, 1, 1));
    watch_wait(&watch, 2);
    assert_true(watch.changes[1]->replayed);
    assert_int_equal(watch.changes[1]->answer.status, 409);
    struct change *first = idempotent(&watch, apply_nothing, NULL, 2, 1);
    first->render = NULL; /* no answer to keep */
    put(&watch, first);
    put(&watch, idempotent(&watch, apply_nothing, NULL, 2, 1));
    watch_wait(&watch, 2);
    assert_false(watch.changes[3]->replayed);
    watch_free(&watch);
}

static void answers_expire(void **state)
{
    struct fixture *f = *state;
    uint8_t key[32] = {1}, request[32];
    struct stored_answer answer;
    struct watch watch;

    watch_init(&watch, f);
    put(&watch, idempotent(&watch, apply_nothing, NULL, 1, 1));
    put(&watch, idempotent(&watch, apply_nothing, NULL, 2, 1));
    watch_wait(&watch, 2);
    fixture_sql(f, "UPDATE idempotency SET created_at = created_at - 86400000");
    assert_false(store_find_answer(f->reader, key, &f->arena, request, &answer, &f->fault));
    assert_int_equal(f->fault.kind, FAULT_NOT_FOUND);
    put(&watch, idempotent(&watch, apply_nothing, NULL, 1, 2)); /* an old key may be used anew */
    watch_wait(&watch, 1);
    assert_true(watch.changes[2]->ok);
    assert_false(watch.changes[2]->replayed);
    assert_true(store_find_answer(f->reader, key, &f->arena, request, &answer, NULL));
    assert_int_equal(request[0], 2);
    for (int i = 0; i < 50 && fixture_number(f, "SELECT count(*) FROM idempotency") > 1; i++) {
        usleep(100000); /* the writer sweeps once a second */
        assert_true(fixture_apply(f, apply_nothing, NULL));
    }
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM idempotency"), 1);
    watch_free(&watch);
}

/* ---- the queue ---- */

static void the_queue_has_limits(void **state)
{
    struct fixture *f = *state;
    struct watch watch;
    struct gate gate;
    size_t sent = 0;

    fixture_close(f);
    f->options.queue_max = 8;
    fixture_open(f);
    watch_init(&watch, f);
    gate_close(f, &gate);
    for (int class = CHANGE_REQUEST; class <= CHANGE_JOB; class ++) {
        static const size_t limits[] = {[CHANGE_REQUEST] = 8, [CHANGE_REFUSAL] = 2, [CHANGE_JOB] = 20};
        for (size_t i = 0; i < limits[class]; i++, sent++) {
            struct change *change = watched(&watch, apply_nothing, NULL);
            change->class = (enum change_class) class;
            put(&watch, change);
        }
        if (class == CHANGE_JOB)
            continue;
        struct change *change = watched(&watch, apply_nothing, NULL);
        change->class = (enum change_class) class;
        f->fault = (struct fault){0};
        assert_false(store_submit(f->store, change, &f->fault));
        assert_int_equal(f->fault.kind, FAULT_UNAVAILABLE);
        assert_true(f->fault.retry_after_s > 0);
        change_free(change); /* stayed ours */
    }
    assert_int_equal(store_queue_length(f->store), sent);
    gate_open(&gate);
    watch_wait(&watch, sent);
    assert_int_equal(store_queue_length(f->store), 0);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM audit"), sent);
    watch_free(&watch);
}

static void batches_keep_the_order(void **state)
{
    struct fixture *f = *state;
    struct creation_input in[20];
    struct watch watch;
    struct gate gate;

    fixture_close(f);
    f->options.batch_max = 3;
    fixture_open(f);
    watch_init(&watch, f);
    gate_close(f, &gate);
    for (size_t i = 0; i < ARRAY_LEN(in); i++) {
        in[i] = (struct creation_input){.config = FETCH};
        put(&watch, watched(&watch, apply_create, &in[i]));
    }
    gate_open(&gate);
    watch_wait(&watch, ARRAY_LEN(in));
    for (size_t i = 0; i < ARRAY_LEN(in); i++) {
        assert_ptr_equal(watch.changes[i]->input, &in[i]);
        assert_int_equal(in[i].task.seq, (int64_t)i + 1);
        /* ids of one transaction begin alike, and only those */
        size_t uuid = strlen(in[i].task.id) - (UUID_TEXT_SIZE - 1);
        for (size_t j = 0; j < i; j++)
            assert_int_equal(memcmp(in[i].task.id + uuid, in[j].task.id + uuid, 8) == 0, i / 3 == j / 3);
    }
    watch_free(&watch);
}

static void closing_finishes_what_is_queued(void **state)
{
    struct fixture *f = *state;
    struct creation_input in = {.config = DOUBLE};
    struct watch watch;

    watch_init(&watch, f);
    for (size_t i = 0; i < 20; i++)
        put(&watch, watched(&watch, apply_create, &in));
    fixture_close(f);
    assert_int_equal(watch.count, 20);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM task"), 20);
    watch_free(&watch);
}

static void events_come_before_the_answer(void **state)
{
    struct fixture *f = *state;
    struct task task = fixture_create(f, DOUBLE);
    struct submit_input in = {.task_id = task.id};
    struct watch watch;

    watch_init(&watch, f);
    put(&watch, watched(&watch, apply_submit, &in));
    watch_wait(&watch, 1);
    assert_int_equal(watch.events_at_done, 1);
    assert_string_equal(f->events[0].job_id, in.job.id);
    assert_int_equal(f->events[0].revision, 1);
    watch_free(&watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        T(a_failed_change_undoes_itself_only),
        T(what_failed_late_makes_all_begin_again),
        T(what_a_statement_left_behind_is_undone),
        T(a_subject_with_too_many_jobs_disturbs_nobody),
        T(a_failure_always_has_a_reason),
        T(the_record_says_everything),
        T(a_repeat_gives_the_first_answer),
        T(a_failure_is_kept_only_if_its_answer_says_so),
        T(answers_expire),
        T(the_queue_has_limits),
        T(batches_keep_the_order),
        T(closing_finishes_what_is_queued),
        T(events_come_before_the_answer),
    };

    return cmocka_run_group_tests_name("store_writer", tests, NULL, NULL);
}
