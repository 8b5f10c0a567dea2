/* Each call to the disk fails in turn: what was acknowledged is there, what was refused is not, also for whoever finds the disk as it
 * would be after a crash; and the store goes on by itself. */
#include "unit/allocation.h"
#include "unit/store_faulty_disk.h"
#include "unit/store_fixture.h"

enum { NTH_MAX = 60, HEALTHY_S = 20, BIG_BATCH_MAX = 200, BIG_BODY = 65536 };

struct plan {
    int calls;
    enum disk_file file;
    int rc;
};

static struct {
    struct plan plan;
    long nth;
} doing; /* for whoever reads that something failed */

/* What the script was told. */
struct told {
    int64_t tasks, jobs, ended, records, refused;
    bool doubt; /* a refusal left open whether the change was made */
};

static bool ask(struct fixture *f, struct told *told, apply_fn apply, void *input, int64_t *counter, int by)
{
    if (fixture_apply(f, apply, input)) {
        *counter += by;
        told->records++;
        return true;
    }
    if (f->fault.kind != FAULT_UNAVAILABLE || f->fault.retry_after_s == 0)
        fail_msg("refused with kind %d: %s (%s)", f->fault.kind, f->fault.message, f->fault.detail);
    told->refused++;
    told->doubt |= strstr(f->fault.message, "whether it was made") != NULL;
    return false;
}

/* Everything that changes something, once. */
static void script(struct fixture *f, struct told *told)
{
    struct creation_input kept = {.config = DOUBLE}, deleted = {.config = DOUBLE};
    struct submit_input submit = {0};
    struct start_input start = {0};
    struct delete_input delete = {.if_match = -1};

    if (ask(f, told, apply_create, &deleted, &told->tasks, 1)) {
        delete.id = deleted.task.id;
        ask(f, told, apply_delete, &delete, &told->tasks, -1);
    }
    if (!ask(f, told, apply_create, &kept, &told->tasks, 1))
        return;
    submit.task_id = kept.task.id;
    if (!ask(f, told, apply_submit, &submit, &told->jobs, 1))
        return;
    start.job_id = submit.job.id;
    if (!ask(f, told, apply_start, &start, &told->records, 0))
        return;
    struct job_output output = {start.start.outputs[0].id,
                                arena_printf(&f->arena, "results/%lld", (long long)start.start.attempt_number), false};
    struct job_end end = {.job_id = start.start.job.id,
                          .attempt = start.start.job.attempt,
                          .status = JOB_COMPLETED,
                          .failure.exited = true,
                          .outputs = &output,
                          .output_count = 1};
    ask(f, told, apply_end, &end, &told->ended, 1);
}

static void wait_healthy(struct fixture *f)
{
    for (int i = 0; i < HEALTHY_S * 100; i++) {
        if (store_healthy(f->store, NULL))
            return;
        usleep(10000);
    }
    fail_msg("the store does not recover");
}

static int64_t number_in(const char *path, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    int64_t n = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return n;
}

static void expect_number(const char *path, const char *sql, int64_t expected)
{
    int64_t n = number_in(path, sql);

    if (n != expected)
        fail_msg("%s: %lld, not %lld, in %s, after calls %d of file %d had failed with %d at its %ldth", sql,
                 (long long)n, (long long)expected, path, doing.plan.calls, doing.plan.file, doing.plan.rc, doing.nth);
}

static void is_what_was_told(const char *folder, const struct told *told)
{
    struct audit_report report;
    struct fault fault = {0};
    char path[128];

    snprintf(path, sizeof(path), "%s/bailiff.db", folder);
    expect_number(path, "SELECT count(*) FROM task", told->tasks);
    expect_number(path, "SELECT count(*) FROM job", told->jobs);
    expect_number(path, "SELECT count(*) FROM job WHERE status = 'COMPLETED'", told->ended);
    expect_number(path, "SELECT count(*) FROM audit WHERE outcome = 'done'", told->records);
    expect_number(path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'", 0);
    if (!store_verify_audit(folder, &report, &fault))
        fail_msg("%s (%s)", fault.message, fault.detail);
    assert_true(report.records >= told->records); /* what failed by itself has a record, too */
}

/* As after a crash in this moment. */
static void copy_image(struct fixture *f, const char *image)
{
    static const char *const names[] = {"bailiff.db", "bailiff.db-wal", "audit.key"};

    nftw(image, fixture_remove, 16, FTW_DEPTH | FTW_PHYS);
    assert_int_equal(mkdir(image, 0700), 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        own(freep) char *from = xprintf("%s/%s", f->folder, names[i]), *to = xprintf("%s/%s", image, names[i]);
        uint64_t size;
        f->fault = (struct fault){0};
        if (!file_copy_durable(from, to, UINT32_MAX, 0600, &size, &f->fault))
            fail_msg("%s", f->fault.message);
    }
}

/* A server that finds the image starts, and finds what clients were told. */
static void image_is_what_was_told(const char *image, const struct told *told)
{
    struct store_options options = {.folder = image};
    struct fault fault = {0};
    struct store *store;

    if (!store_open(&options, &store, &fault))
        fail_msg("%s (%s)", fault.message, fault.detail);
    store_close(store);
    is_what_was_told(image, told);
}

/* False: it makes fewer than n such calls. */
static bool fails(struct fixture *f, struct told *told, const struct plan *plan, long nth, bool stays,
                  const char *image)
{
    doing.plan = *plan;
    doing.nth = nth;
    faulty_disk_arm(plan->calls, plan->file, plan->rc, nth, stays);
    script(f, told);
    if (stays)
        copy_image(f, image);
    long failed = faulty_disk_disarm();
    if (!stays)
        copy_image(f, image);
    wait_healthy(f);
    is_what_was_told(f->folder, told);
    if (failed > 0 || nth == 1)
        image_is_what_was_told(image, told);
    arena_done(&f->arena);
    return failed > 0;
}

static void each_call_in_turn(void **state)
{
    static const struct plan plans[] = {
        {DISK_WRITE, DISK_LOG, SQLITE_IOERR_WRITE},    {DISK_WRITE, DISK_LOG, SQLITE_FULL},
        {DISK_SYNC, DISK_LOG, SQLITE_IOERR_FSYNC},     {DISK_READ, DISK_LOG, SQLITE_IOERR_READ},
        {DISK_LOCK, DISK_DATABASE, SQLITE_IOERR_LOCK}, {DISK_READ, DISK_DATABASE, SQLITE_IOERR_READ},
    };
    struct fixture *f = *state;
    own(freep) char *image = xprintf("%s/image", f->folder);
    struct told told = {0};

    f->options.probe_interval_ms = 20;
    fixture_open(f);
    script(f, &told);
    for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
        for (long nth = 1; nth <= NTH_MAX && fails(f, &told, &plans[i], nth, false, image); nth += 1 + nth / 8)
            ;
        fails(f, &told, &plans[i], 1, true, image);
        fails(f, &told, &plans[i], 7, true, image);
    }
    assert_true(told.refused > 50);
}

/* The COMMIT is written but not synced, and then nothing can be written any more: nobody knows, and so it is said. */
static void what_is_not_known_is_not_promised(void **state)
{
    static const struct plan plan = {DISK_WRITE | DISK_SYNC, DISK_LOG, 0};
    struct fixture *f = *state;
    struct told told = {0};
    int doubts = 0;

    f->options.probe_interval_ms = 20;
    fixture_open(f);
    for (long nth = 1; nth <= NTH_MAX; nth++) {
        doing.plan = plan;
        doing.nth = nth;
        told.doubt = false;
        faulty_disk_arm(plan.calls, plan.file, 0, nth, true);
        script(f, &told);
        faulty_disk_disarm();
        doubts += told.doubt;
        wait_healthy(f);
        is_what_was_told(f->folder, &told); /* as long as it lives, the answer is no */
    }
    assert_in_range(doubts, 1, NTH_MAX / 2);
}

/* ---- a batch that begins again ---- */

static bool apply_create_and_refuse(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct creation_input in = {.config = DOUBLE};
    struct change inner = {.input = &in, .outcome = change->outcome};

    return apply_create(txn, &inner, fault) && fault_set(fault, FAULT_CONFLICT, "too late");
}

static bool apply_create_another(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct creation_input in = {.config = DOUBLE};
    struct change inner = {.input = &in, .outcome = change->outcome};

    return apply_create(txn, &inner, fault);
}

static void render_big(struct change *change)
{
    change->answer = (struct stored_answer){200, NULL, change->input, strlen(change->input), true};
}

static void post(struct change *change)
{
    sem_post(change->done_arg);
}

/* Together; the last one fails after it has written something. */
static void big_batch(struct fixture *f, struct told *told, size_t count, const char *body)
{
    struct change *changes[BIG_BATCH_MAX] = {0};
    sem_t done;

    sem_init(&done, 0, 0);
    for (size_t i = 0; i < count; i++) {
        struct change *change = changes[i] = change_new();
        change->class = CHANGE_JOB;
        change->apply = i + 1 == count ? apply_create_and_refuse : apply_create_another;
        change->input = (void *)body;
        change->outcome = f;
        change->audited = change->idempotent = true;
        change->audit.action = "test";
        change->render = render_big;
        random_bytes(change->idempotency_key, sizeof(change->idempotency_key));
        change->done = post;
        change->done_arg = &done;
        if (i > 0)
            changes[i - 1]->next = change;
    }
    assert_true(store_submit_all(f->store, changes[0], &f->fault));
    for (size_t i = 0; i < count; i++)
        while (sem_wait(&done) != 0)
            ;
    bool made = changes[0]->ok;
    told->refused += !made;
    for (size_t i = 0; i < count; i++) {
        bool late = i + 1 == count;
        assert_int_equal(changes[i]->ok, made && !late);
        if (!changes[i]->ok)
            assert_int_equal(changes[i]->fault.kind, made ? FAULT_CONFLICT : FAULT_UNAVAILABLE);
        told->tasks += changes[i]->ok;
        told->records += changes[i]->ok;
        change_free(changes[i]);
    }
    sem_destroy(&done);
}

static void batches_that_begin_again(struct fixture *f, struct told *told, size_t count, const char *body, long factor)
{
    static const struct plan plans[] = {
        {DISK_WRITE, DISK_LOG, SQLITE_FULL},           {DISK_WRITE, DISK_LOG, SQLITE_IOERR_WRITE},
        {DISK_SYNC, DISK_LOG, SQLITE_IOERR_FSYNC},     {DISK_READ, DISK_LOG, SQLITE_IOERR_READ},
        {DISK_READ, DISK_LOG, SQLITE_IOERR_CORRUPTFS}, {DISK_READ, DISK_DATABASE, SQLITE_IOERR_CORRUPTFS}};
    own(freep) char *image = xprintf("%s/image", f->folder);

    for (size_t i = 0; i < ARRAY_LEN(plans); i++)
        for (long nth = 1, failed = 1; failed > 0; nth = nth * factor + 1) {
            fixture_close(f);
            fixture_open(f); /* without savepoints, and nothing in the cache */
            doing.plan = plans[i];
            doing.nth = nth;
            faulty_disk_arm(plans[i].calls, plans[i].file, plans[i].rc, nth, false);
            big_batch(f, told, count, body);
            failed = faulty_disk_disarm();
            copy_image(f, image);
            wait_healthy(f);
            is_what_was_told(f->folder, told);
            image_is_what_was_told(image, told);
            arena_done(&f->arena);
        }
}

static void what_begins_again_is_whole_too(void **state)
{
    struct fixture *f = *state;
    struct told told = {0};

    f->options.probe_interval_ms = 20;
    fixture_open(f);
    batches_that_begin_again(f, &told, 3, "{}", 1);
    assert_in_range(told.refused, 10, INT32_MAX);
}

/* More than the cache holds: some of it is in the log before the COMMIT, and before all begins again. */
static void what_is_larger_than_the_cache_is_whole_too(void **state)
{
    struct fixture *f = *state;
    own(freep) char *body = xcalloc(1, BIG_BODY + 1);
    struct told told = {0};

    memset(body, 'x', BIG_BODY);
    f->options.probe_interval_ms = 20;
    fixture_open(f);
    batches_that_begin_again(f, &told, BIG_BATCH_MAX, body, 40);
    assert_in_range(told.refused, 5, INT32_MAX);
}

static void create_tasks(struct fixture *f, int count)
{
    for (int i = 0; i < count; i++)
        fixture_create(f, DOUBLE);
}

/* What is committed is in the log; that it cannot be brought into the database file is told, and has an end. */
static void a_database_file_that_refuses(void **state)
{
    struct fixture *f = *state;
    struct fault why = {0};

    f->options.probe_interval_ms = 20;
    f->options.log_pages_max = 1000;
    fixture_open(f);
    assert_false(store_strained(f->store, &why));
    faulty_disk_arm(DISK_WRITE, DISK_DATABASE, SQLITE_IOERR_WRITE, 1, true);
    create_tasks(f, 30);
    assert_true(store_healthy(f->store, NULL));
    assert_true(store_strained(f->store, &why));
    assert_non_null(strstr(why.message, "log"));
    why = (struct fault){0};
    for (int i = 0; store_healthy(f->store, NULL); i++) { /* these are the job thread's: they are always tried */
        create_tasks(f, 10);
        assert_in_range(i, 0, 100);
    }
    struct change *change = change_new();
    assert_false(store_submit_wait(f->store, change, &why));
    assert_int_equal(why.kind, FAULT_UNAVAILABLE);
    change_free(change);
    int64_t before = fixture_number(f, "SELECT count(*) FROM task");
    assert_in_range(before, 50, 1000);
    faulty_disk_disarm();
    wait_healthy(f);
    create_tasks(f, 1);
    assert_false(store_strained(f->store, &why));
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM task"), before + 1);
}

/* Whoever starts on a disk that fails is told of the disk: what lies on it may be whole. */
static void a_start_on_a_disk_that_fails(void **state)
{
    static const int calls[] = {DISK_READ, DISK_READ, DISK_SIZE, DISK_LOCK, DISK_WRITE, DISK_SYNC};
    static const int reasons[] = {SQLITE_IOERR_CORRUPTFS, SQLITE_IOERR_READ,  SQLITE_IOERR_FSTAT,
                                  SQLITE_IOERR_LOCK,      SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC};
    struct fixture *f = *state;
    struct store *store = NULL;
    int refused = 0;

    fixture_open(f);
    create_tasks(f, 30);
    own(freep) char *image = xprintf("%s/image", f->folder);
    copy_image(f, image); /* with its log: as after a crash */
    fixture_close(f);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        for (int file = DISK_DATABASE; file <= DISK_LOG; file++)
            for (long nth = 1, failed = 1; failed > 0; nth++) {
                own(freep) char *again = xprintf("%s/again", f->folder);
                own(freep) char *copy = xprintf("rm -rf %s && cp -a %s %s", again, image, again);
                struct fault fault = {0};

                assert_int_equal(system(copy), 0);
                faulty_disk_arm(calls[i], file, reasons[i], nth, true);
                bool ok = store_open(&(struct store_options){.folder = again}, &store, &fault);
                failed = faulty_disk_disarm();
                if (ok) {
                    store_close(store);
                    continue;
                }
                refused++;
                if (fault.kind != FAULT_UNAVAILABLE || strstr(fault.message, "backup"))
                    fail_msg("call %d of file %d, the %ldth: kind %d: %s (%s)", calls[i], file, nth, fault.kind,
                             fault.message, fault.detail);
            }
    assert_in_range(refused, 10, 10000);
}

/* ---- memory ---- */

static sqlite3_mem_methods plain_memory;

static void *short_malloc(int size)
{
    return allocation_fails() ? NULL : plain_memory.xMalloc(size);
}
static void *short_realloc(void *p, int size)
{
    return allocation_fails() ? NULL : plain_memory.xRealloc(p, size);
}

static int short_memory_install(void)
{
    sqlite3_mem_methods methods;

    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plain_memory) != SQLITE_OK)
        return -1;
    methods = plain_memory;
    methods.xMalloc = short_malloc;
    methods.xRealloc = short_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK ? 0 : -1;
}

/* What is read is whole, or refused. */
static void read_all(struct fixture *f, const struct told *told)
{
    struct list_query query = {.status = -1};
    struct list_position position = {0};
    struct task rows[16];
    int64_t seen = 0;

    f->fault = (struct fault){0};
    while (!position.ended) {
        size_t count = 0;
        if (!store_list_tasks(f->reader, &ALL, &query, &position, ARRAY_LEN(rows), &f->arena, rows, &count,
                              &f->fault)) {
            assert_int_equal(f->fault.kind, FAULT_UNAVAILABLE);
            store_reader_turn_end(f->reader);
            return;
        }
        for (size_t i = 0; i < count; i++) {
            assert_non_null(rows[i].id);
            assert_int_equal(rows[i].input_ids.count, 1);
            assert_int_equal(rows[i].output_ids.count, 1);
        }
        seen += (int64_t)count;
    }
    store_reader_turn_end(f->reader);
    assert_int_equal(seen, told->tasks);
}

/* On connections of every age: a new one prepares its statements, an old one has them. */
static void memory_runs_out(void **state)
{
    struct fixture *f = *state;
    struct told told = {0};

    f->options.probe_interval_ms = 20;
    fixture_open(f);
    for (int old = 0; old <= 1; old++)
        for (int stays = 0; stays <= 1; stays++)
            for (long nth = 1, failed = 1; failed > 0; nth += 1 + nth / 8) {
                if (!old) {
                    fixture_close(f);
                    fixture_open(f);
                }
                allocation_arm(nth, stays);
                script(f, &told);
                read_all(f, &told);
                failed = allocation_disarm();
                wait_healthy(f);
                is_what_was_told(f->folder, &told);
                arena_done(&f->arena);
                assert_in_range(nth, 1, 100000);
            }
    assert_in_range(told.refused, 20, INT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_call_in_turn, fixture_prepare, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_not_known_is_not_promised, fixture_prepare, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_begins_again_is_whole_too, fixture_prepare, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_larger_than_the_cache_is_whole_too, fixture_prepare, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_database_file_that_refuses, fixture_prepare, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_start_on_a_disk_that_fails, fixture_prepare, fixture_teardown),
        cmocka_unit_test_setup_teardown(memory_runs_out, fixture_prepare, fixture_teardown),
    };

    if (short_memory_install() != 0 || faulty_disk_install() != 0)
        return 1;
    return cmocka_run_group_tests_name("store_faults", tests, NULL, NULL);
}
