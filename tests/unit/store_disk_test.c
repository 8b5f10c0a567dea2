/* A disk that refuses: whole batches fail, nothing is half done, and it goes on by itself when there is room again. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "store/txn.h"
#include "unit/store_fixture.h"

#define CHECK(condition)                                                                              \
    do {                                                                                              \
        if (!(condition)) {                                                                           \
            fprintf(stderr, "%s:%d: %s (%s; %s)\n", __FILE__, __LINE__, #condition, f->fault.message, \
                    f->fault.detail);                                                                 \
            _exit(1);                                                                                 \
        }                                                                                             \
    } while (0)

/* ---- ways to fill a disk ---- */
struct disk {
    bool (*prepare)(struct fixture *f); /* false: not possible here */
    void (*fill)(struct fixture *f);
    void (*empty)(struct fixture *f);
    bool stays_full; /* not even a small transaction gets through */
};

/* A real one, in a mount namespace of the child's own. */
static bool tmpfs_prepare(struct fixture *f)
{
    return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", f->folder, "tmpfs", 0, "size=4m,mode=0700") == 0;
}
static void tmpfs_fill(struct fixture *f)
{
    static const char zeros[4096];
    int fd = open(fixture_path(f, "filler"), O_WRONLY | O_CREAT, 0600);

    while (write(fd, zeros, sizeof(zeros)) > 0)
        ;
    close(fd);
}
static void tmpfs_empty(struct fixture *f)
{
    unlink(fixture_path(f, "filler"));
}

/* Every write behind the first page is an I/O error. */
static bool limit_prepare(struct fixture *f)
{
    signal(SIGXFSZ, SIG_IGN);
    return true;
}
static void limit_set(rlim_t size)
{
    struct rlimit limit;

    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = size < limit.rlim_max ? size : limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
}
static void limit_fill(struct fixture *f)
{
    limit_set(4096);
}
static void limit_empty(struct fixture *f)
{
    limit_set(RLIM_INFINITY);
}

/* SQLite's own limit: SQLITE_FULL in the middle of a statement. */
static bool apply_page_limit(struct store_txn *txn, struct change *change, struct fault *fault)
{
    return database_exec(txn->db, change->input, fault);
}
static bool pages_prepare(struct fixture *f)
{
    return true;
}
static void pages_fill(struct fixture *f)
{
    char sql[] = "PRAGMA max_page_count = 1"; /* as many as it has */

    CHECK(fixture_apply(f, apply_page_limit, sql));
}
static void pages_empty(struct fixture *f)
{
    char sql[] = "PRAGMA max_page_count = 1000000";

    CHECK(fixture_apply(f, apply_page_limit, sql));
}

/* ---- the story ---- */
struct tally {
    struct fixture *f;
    atomic_int made, refused, ended, wrong, left;
};

static void tally_render(struct change *change)
{
    change->answer.status = change->ok ? 201 : change->fault.kind == FAULT_UNAVAILABLE ? 503 : 500;
    change->answer.body = "";
    change->answer.keep = change->ok;
}

static void tally_done(struct change *change)
{
    struct tally *tally = change->done_arg;

    if (change->ok)
        tally->made++;
    else if (change->fault.kind == FAULT_UNAVAILABLE && change->fault.retry_after_s > 0 &&
             strstr(change->fault.message, "disk")) /* the cause, not what followed from it */
        tally->refused++;
    if (change->answer.status != (change->ok ? 201 : 503)) /* what a client is told is what happened */
        tally->wrong++;
    tally->ended++;
    change_free(change);
}

static bool apply_create_here(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct task_creation creation = {.manifest = &application, .config = &task_configs[DOUBLE], .created_by = "ann"};
    struct task task;

    return txn_create_task(txn, &ALL, &creation, &change->arena, &task, fault);
}

/* Creates in flight all the time, until `enough` have been refused or `max` were sent. */
static int send_creates(struct fixture *f, struct tally *tally, int max, int enough)
{
    int sent = 0;

    while (sent < max && (enough == 0 || tally->refused < enough)) {
        struct change *change = change_new();
        change->class = CHANGE_JOB; /* which is tried even when the store is known to be sick */
        change->apply = apply_create_here;
        change->audited = change->idempotent = true;
        change->audit.action = "task.create";
        random_bytes(change->idempotency_key, 32);
        change->render = tally_render;
        change->done = tally_done;
        change->done_arg = tally;
        CHECK(store_submit(f->store, change, &f->fault));
        sent++;
        while (sent - tally->ended > 20)
            usleep(50);
    }
    while (tally->ended < sent)
        usleep(1000);
    return sent;
}

static bool healthy_within(struct fixture *f, bool wanted, int seconds)
{
    for (int i = 0; i < seconds * 100; i++) {
        struct fault why = {0};
        if (store_healthy(f->store, &why) == wanted)
            return wanted || why.kind == FAULT_UNAVAILABLE;
        usleep(10000);
    }
    return false;
}

static void requests_are_refused_at_once(struct fixture *f)
{
    struct change *change = change_new();

    change->audited = true;
    change->audit.action = "test";
    CHECK(!store_submit_wait(f->store, change, &f->fault));
    CHECK(f->fault.kind == FAULT_UNAVAILABLE && f->fault.retry_after_s > 0);
    change_free(change);
    f->fault = (struct fault){0};
}

static void story(struct fixture *f, const struct disk *disk)
{
    struct tally before = {.f = f}, full = {.f = f}, after = {.f = f};
    struct audit_report report;
    int64_t records;
    int sent;

    fixture_open(f);
    send_creates(f, &before, 50, 0);
    CHECK(before.made == 50 && before.wrong == 0);
    disk->fill(f);
    sent = send_creates(f, &full, 5000, 100);
    CHECK(full.refused >= 100 && full.made + full.refused == sent && full.wrong == 0);
    if (disk->stays_full) {
        CHECK(healthy_within(f, false, 5));
        requests_are_refused_at_once(f);
        sleep(2); /* a probe or two change nothing */
        CHECK(healthy_within(f, false, 1));
    }
    disk->empty(f);
    CHECK(healthy_within(f, true, 10));
    send_creates(f, &after, 50, 0);
    CHECK(after.made == 50 && after.wrong == 0);

    CHECK(store_verify_audit(f->folder, &report, &f->fault));
    records = report.records;
    fixture_close(f);
    fixture_open(f); /* the chain's end holds, too */
    CHECK(fixture_number(f, "SELECT count(*) FROM task") == before.made + full.made + after.made);
    CHECK(fixture_number(f, "SELECT count(*) FROM idempotency") == before.made + full.made + after.made);
    CHECK(fixture_number(f, "SELECT count(*) FROM audit WHERE action = 'task.create'") ==
          before.made + full.made + after.made);
    CHECK(fixture_number(f, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'") == 0);
    CHECK(store_verify_audit(f->folder, &report, &f->fault) && report.records == records);
    fixture_close(f);
}

/* In a child: limits and mounts belong to a process. */
static void tell(struct fixture *f, const struct disk *disk)
{
    enum { NOT_HERE = 77 };
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        if (!disk->prepare(f))
            _exit(NOT_HERE);
        story(f, disk);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NOT_HERE)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_full_disk(void **state)
{
    tell(*state, &(struct disk){tmpfs_prepare, tmpfs_fill, tmpfs_empty, false});
}

static void an_io_error(void **state)
{
    tell(*state, &(struct disk){limit_prepare, limit_fill, limit_empty, true});
}

static void sqlite_is_full(void **state)
{
    tell(*state, &(struct disk){pages_prepare, pages_fill, pages_empty, false});
}

/* Nobody else should write to the database; if somebody does, changes wait for a while and are then refused. */
static void another_program_holds_the_database(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db;

    fixture_open(f);
    fixture_create(f, DOUBLE);
    assert_int_equal(sqlite3_open(fixture_path(f, "bailiff.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_false(fixture_apply(f, apply_create, &(struct creation_input){.config = DOUBLE}));
    assert_int_equal(f->fault.kind, FAULT_UNAVAILABLE);
    assert_false(store_healthy(f->store, &f->fault));
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_true(healthy_within(f, true, 10));
    fixture_create(f, DOUBLE);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM task"), 2);
    assert_int_equal(fixture_number(f, "SELECT max(seq) FROM audit"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_prepare, fixture_teardown)
        T(a_full_disk),
        T(an_io_error),
        T(sqlite_is_full),
        T(another_program_holds_the_database),
    };

    return cmocka_run_group_tests_name("store_disk", tests, NULL, NULL);
}
