/* kill -9 in the middle of work: what was acknowledged is there, once; the chain is whole; nothing is half done. */
#include <signal.h>
#include <sys/wait.h>

#include "unit/store_fixture.h"

enum { ROUNDS = 10, WINDOW = 40, ACKNOWLEDGED_MAX = 100000 };

struct acknowledgement {
    char id[ENTITY_ID_SIZE]; /* of a task or a job */
};

struct shared { /* of the child */
    int pipe;
    sem_t window;
};

/* Every other change also submits its task; half of those start. */
static bool apply_work(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct task_creation creation = {.manifest = &application, .config = &task_configs[DOUBLE], .created_by = "ann"};
    size_t number = (size_t)(uintptr_t)change->input;
    struct acknowledgement *ack = arena_alloc(&change->arena, sizeof(*ack));
    struct submission submission;
    struct job_start start;
    struct task task;
    struct job job;

    change->outcome = ack;
    if (!txn_create_task(txn, &ALL, &creation, &change->arena, &task, fault))
        return false;
    snprintf(ack->id, sizeof(ack->id), "%s", task.id);
    if (number % 2 == 0)
        return true;
    if (!txn_submit_task(txn, &ALL, &(struct task_submission){.id = task.id, .submitted_by = "ben"}, &change->arena,
                         &task, &job, &submission, fault))
        return false;
    snprintf(ack->id, sizeof(ack->id), "%s", job.id);
    return number % 4 == 1 || txn_start_job(txn, job.id, "w", &change->arena, &start, fault);
}

static void work_done(struct change *change)
{
    struct shared *shared = change->done_arg;

    if (!change->ok || !fd_write_all(shared->pipe, change->outcome, sizeof(struct acknowledgement)))
        _exit(3);
    change_free(change);
    sem_post(&shared->window);
}

static void child_main(struct fixture *f, int pipe_end)
{
    struct shared shared = {.pipe = pipe_end};

    if (!store_open(&f->options, &f->store, &f->fault))
        _exit(2);
    sem_init(&shared.window, 0, WINDOW);
    for (size_t i = 0;; i++) {
        struct change *change = change_new();
        while (sem_wait(&shared.window) != 0)
            ;
        change->apply = apply_work;
        change->input = (void *)(uintptr_t)i;
        change->audited = true;
        change->audit.action = "work";
        change->done = work_done;
        change->done_arg = &shared;
        if (!store_submit(f->store, change, &f->fault))
            _exit(4);
    }
}

/* Kills the child after some time and reads what it had acknowledged; a last torn one was not. */
static size_t one_round(struct fixture *f, unsigned lifetime_us, struct acknowledgement *acks, size_t max)
{
    size_t count = 0, filled = 0;
    int64_t end_us;
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        child_main(f, ends[1]);
    }
    close(ends[1]);
    end_us = 0;
    for (;;) {
        ssize_t n = read(ends[0], (char *)&acks[count] + filled, sizeof(*acks) - filled);
        if (n <= 0)
            break;
        filled += (size_t)n;
        if (filled == sizeof(*acks)) {
            filled = 0;
            assert_true(++count < max);
        }
        if (end_us == 0)
            end_us = clock_mono_us() + lifetime_us; /* from its first word on */
        if (clock_mono_us() >= end_us)
            kill(child, SIGKILL); /* what is in the pipe is still read */
    }
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return count;
}

static void acknowledged_is_there(struct fixture *f, const struct acknowledgement *ack)
{
    struct arena arena = {0};
    struct task task;
    struct job job;
    bool found = strncmp(ack->id, "JOB_", 4) == 0 ? store_find_job(f->reader, &ALL, ack->id, &arena, &job, &f->fault)
                                                  : store_find_task(f->reader, &ALL, ack->id, &arena, &task, &f->fault);

    if (!found)
        fail_msg("%s was acknowledged: %s", ack->id, f->fault.message);
    arena_done(&arena);
}

struct recover_input {
    unsigned restarted, failed;
};
static bool apply_recover(struct store_txn *txn, struct change *change, struct fault *fault)
{
    struct recover_input *in = change->input;

    return txn_recover_jobs(txn, &(struct loss_rules){true, 0}, &in->restarted, &in->failed, fault);
}

static void whole(struct fixture *f)
{
    static const char *const never[] = {
        /* a change is all or nothing: its rows, its record */
        "SELECT count(*) FROM task WHERE (SELECT count(*) FROM task_data_node WHERE task_seq = task.seq) <> 2",
        "SELECT abs((SELECT count(*) FROM task) - (SELECT count(*) FROM audit WHERE action = 'work'))",
        "SELECT abs((SELECT count(*) FROM job) - (SELECT count(*) FROM data_node_lock))",
        "SELECT abs((SELECT count(*) FROM job) - (SELECT count(*) FROM submission))",
        "SELECT count(*) FROM job WHERE (ended_at = 0) <> (status IN ('SUBMITTED', 'BLOCKED', 'PENDING', 'RUNNING'))",
        "SELECT count(*) FROM job WHERE (status = 'RUNNING') <> (attempt = 1)",
        "SELECT count(*) FROM pragma_foreign_key_check",
        "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    };

    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        if (fixture_number(f, never[i]) != 0)
            fail_msg("%s", never[i]);
}

static void what_was_acknowledged_survives(void **state)
{
    struct fixture *f = *state;
    struct acknowledgement *acks = calloc(ACKNOWLEDGED_MAX, sizeof(*acks));
    struct recover_input recovered = {0};
    size_t count = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct audit_report report;
        size_t before = count;
        count += one_round(f, 5000 + 17777 * round, acks + count, ACKNOWLEDGED_MAX - count);
        assert_true(count > before);
        assert_true(store_verify_audit(f->folder, &report, &f->fault)); /* before anybody has opened it to write */
        fixture_open(f);
        for (size_t i = 0; i < count; i++)
            acknowledged_is_there(f, &acks[i]);
        fixture_close(f);
        whole(f);
        assert_true(store_verify_audit(f->folder, &report, &f->fault));
        assert_true(report.records >= (int64_t)count);
    }
    fixture_open(f);
    assert_true(fixture_apply(f, apply_recover, &recovered));
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM job WHERE status = 'RUNNING'"), 0);
    assert_int_equal(recovered.restarted, fixture_number(f, "SELECT count(*) FROM job WHERE attempt = 1"));
    free(acks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_acknowledged_survives, fixture_prepare, fixture_teardown),
    };

    return cmocka_run_group_tests_name("store_crash", tests, NULL, NULL);
}
