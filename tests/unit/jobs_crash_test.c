/* Whatever dies, states stay true: nothing runs twice at once, nothing is lost, nothing is RUNNING without a process. */
#include <sys/resource.h>
#include <sys/wait.h>

#include "unit/jobs_fixture.h"

/* Takes a lock that a second run of the same job would find taken, counts its runs, and waits until it may end. */
static const char GUARDED[] = "exec 9>%s/guard; flock -n 9 || echo overlap >>%s/overlap\n"
                              "echo run >>%s/runs\n"
                              "while [ ! -e %s/go ]; do sleep 0.01; done";

static void add_guarded(struct kit *kit)
{
    kit_add_command(kit, "guarded", arena_printf(&kit->arena, GUARDED, kit->app, kit->app, kit->app, kit->app));
}

static size_t runs(struct kit *kit)
{
    const char *content = kit_read(kit, kit_path(kit, "runs"));
    size_t count = 0;

    for (const char *c = content; c && *c; c++)
        count += *c == '\n';
    return count;
}

static void await_runs(struct kit *kit, size_t count)
{
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; runs(kit) < count; pause_ms(2))
        assert_true(clock_mono_ms() < end);
    assert_int_equal(runs(kit), count);
}

static void a_killed_runner_loses_nothing(void **state)
{
    struct kit *kit = *state;

    add_guarded(kit);
    kit_start(kit);
    const char *id = kit_submit(kit, "guarded");
    await_runs(kit, 1);
    kill(runner_pid(kit), SIGKILL);
    await_runs(kit, 2);
    assert_int_equal(kit_await(kit, id, JOB_RUNNING).attempt, 2);
    kit_write(kit, "go", "");
    struct job job = kit_await(kit, id, JOB_COMPLETED);
    assert_int_equal(job.attempt, 2);
    assert_false(kit_exists(kit_path(kit, "overlap")));
}

/* Whoever holds the lock of a job keeps its attempts from running. */
static void an_attempt_waits_for_the_lock_of_its_job(void **state)
{
    struct kit *kit = *state;
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    add_guarded(kit);
    kit_write(kit, "go", "");
    kit_start(kit);
    kit_await(kit, kit_submit(kit, "guarded"), JOB_COMPLETED);
    int locks = open(arena_printf(&kit->arena, "%s/jobs.lock", kit->work), O_RDWR | O_CLOEXEC);
    assert_true(locks >= 0);
    assert_int_equal(fcntl(locks, F_OFD_SETLK, &all), 0);
    const char *id = kit_submit(kit, "guarded");
    kit_await(kit, id, JOB_RUNNING);
    pause_ms(100);
    assert_int_equal(runs(kit), 1);
    close(locks);
    kit_await(kit, id, JOB_COMPLETED);
    assert_int_equal(runs(kit), 2);
}

static void attempts_of_lost_jobs_are_counted(void **state)
{
    struct kit *kit = *state;

    kit->options.attempts_max = 2;
    add_guarded(kit);
    kit_start(kit);
    const char *id = kit_submit(kit, "guarded");
    await_runs(kit, 1);
    kill(runner_pid(kit), SIGKILL);
    await_runs(kit, 2);
    kill(runner_pid(kit), SIGKILL);
    struct job job = kit_await(kit, id, JOB_FAILED);
    assert_int_equal(job.attempt, 2);
    assert_non_null(strstr(job.error, "the last of 2 attempts"));
}

/* What is said of the runner is asked by other threads, also while another one is greeted (seen by the thread sanitizer). */
static void health_is_asked_while_a_runner_comes(void **state)
{
    struct kit *kit = *state;
    struct jobs_health health;

    add_guarded(kit);
    kit_start(kit);
    pid_t first = runner_pid(kit);
    kill(first, SIGKILL);
    bool gone = false;
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; !gone || !health.runner_connected; pause_ms(1)) {
        assert_true(clock_mono_ms() < end);
        jobs_get_health(kit->jobs, &health);
        gone = gone || !health.runner_connected;
    }
    assert_true(health.same_user);
    assert_int_not_equal(runner_pid(kit), first);
}

static void lost_jobs_may_be_failed_instead(void **state)
{
    struct kit *kit = *state;

    kit->options.restart_lost = false;
    add_guarded(kit);
    kit_start(kit);
    const char *id = kit_submit(kit, "guarded");
    await_runs(kit, 1);
    kill(runner_pid(kit), SIGKILL);
    kit_await(kit, id, JOB_FAILED);
    assert_int_equal(runs(kit), 1);
}

/* The keeper of our runner: the only child of it. */
static pid_t keeper_pid(struct kit *kit)
{
    pid_t runner = runner_pid(kit), found = 0;
    DIR *proc = opendir("/proc");

    for (struct dirent *entry; (entry = readdir(proc));) {
        char path[300], content[512];
        int parent;
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
            continue;
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        int fd = open(path, O_RDONLY);
        ssize_t len = fd < 0 ? -1 : read(fd, content, sizeof content - 1);
        if (fd >= 0)
            close(fd);
        if (len <= 0)
            continue;
        content[len] = '\0';
        if (sscanf(strrchr(content, ')') + 1, " %*c %d", &parent) == 1 && parent == runner)
            found = atoi(entry->d_name);
    }
    closedir(proc);
    return found;
}

static void a_killed_keeper_takes_everything_along(void **state)
{
    struct kit *kit = *state;
    const char *mark = kit_path(kit, "alive"), *word = arena_printf(&kit->arena, "orphan-%d", getpid());

    kit->options.restart_lost = false;
    kit_add_command(
        kit, "orphans",
        arena_printf(&kit->arena,
                     "setsid env -i sh -c 'trap \"\" TERM; touch %s; while :; do sleep 0.05; done' %s & sleep 1000",
                     mark, word));
    kit_start(kit);
    const char *id = kit_submit(kit, "orphans");
    kit_await_file(mark);
    pid_t keeper = keeper_pid(kit);
    const char *folder = arena_printf(&kit->arena, "%s/attempts/keeper-%d", kit->work, (int)keeper);
    assert_true(kit_exists(folder));
    kill(keeper, SIGKILL);
    kit_await(kit, id, JOB_FAILED);
    assert_int_equal(process_count(word, NULL), 0);
    for (int64_t deadline = clock_mono_ms() + PATIENCE_MS; kit_exists(folder) && clock_mono_ms() < deadline;)
        pause_ms(2);
    assert_false(kit_exists(folder));
}

static void a_stopped_keeper_does_not_hold_up_a_cancel(void **state)
{
    struct kit *kit = *state;
    const char *mark = kit_path(kit, "alive"), *word = arena_printf(&kit->arena, "stopped-%d", getpid());

    kit_add_command(kit, "sleepy",
                    arena_printf(&kit->arena, "touch %s; exec sh -c 'while :; do sleep 0.05; done' %s", mark, word));
    kit_start(kit);
    const char *id = kit_submit(kit, "sleepy");
    kit_await_file(mark);
    kill(keeper_pid(kit), SIGSTOP);
    assert_true(kit_cancel(kit, id));
    kit_await(kit, id, JOB_CANCELED);
    assert_int_equal(process_count(word, NULL), 0);
}

static void stopping_makes_running_jobs_wait_again(void **state)
{
    struct kit *kit = *state;

    add_guarded(kit);
    kit_start(kit);
    const char *id = kit_submit(kit, "guarded");
    await_runs(kit, 1);
    jobs_stop(kit->jobs);
    assert_int_equal(kit_job(kit, id).status, JOB_PENDING);
    struct manifest *manifest = kit->manifest;
    kit->manifest = NULL;
    kit_stop(kit);
    kit->manifest = manifest;
    kit_start(kit);
    await_runs(kit, 2);
    kit_write(kit, "go", "");
    kit_await(kit, id, JOB_COMPLETED);
    assert_false(kit_exists(kit_path(kit, "overlap")));
}

/* A server in a process of its own, which submits one job and is killed while that runs. */
static void a_killed_server_loses_nothing(void **state)
{
    struct kit *kit = *state;

    add_guarded(kit);
    pid_t server = fork();
    if (server == 0) {
        kit_start(kit);
        const char *id = kit_submit(kit, "guarded");
        kit_write(kit, "id", id);
        for (;;)
            pause();
    }
    await_runs(kit, 1);
    kit_await_file(kit_path(kit, "id"));
    kill(server, SIGKILL);
    assert_int_equal(waitpid(server, NULL, 0), server);
    kit_start(kit);
    await_runs(kit, 2);
    kit_write(kit, "go", "");
    kit_await(kit, kit_read(kit, kit_path(kit, "id")), JOB_COMPLETED);
    assert_false(kit_exists(kit_path(kit, "overlap")));
}

/* Kills everything at once: only the job itself survives, in a session of its own. */
static void leftovers_do_not_run_beside_the_next(struct kit *kit)
{
    kit_start(kit);
    const char *id = kit_submit(kit, "guarded");
    await_runs(kit, 1);
    pid_t runner = runner_pid(kit), keeper = keeper_pid(kit);
    kill(keeper, SIGSTOP); /* it cannot clean up when its runner goes */
    kill(runner, SIGKILL);
    kill(keeper, SIGKILL);
    await_runs(kit, 2);
    kit_write(kit, "go", "");
    kit_await(kit, id, JOB_COMPLETED);
    assert_false(kit_exists(kit_path(kit, "overlap")));
}

static void leftovers_are_ended_before_anything_begins_again(void **state)
{
    struct kit *kit = *state;

    add_guarded(kit);
    leftovers_do_not_run_beside_the_next(kit);
}

/* And with an environment of its own. */
static void leftovers_with_another_environment_are_ended_too(void **state)
{
    struct kit *kit = *state;
    char *guarded = arena_printf(&kit->arena, GUARDED, kit->app, kit->app, kit->app, kit->app);

    kit_write(kit, "guarded.sh", guarded);
    kit_add_command(kit, "guarded",
                    arena_printf(&kit->arena, "env -i /bin/sh -c 'PATH=/usr/bin:/bin; . %s'; exit $?",
                                 kit_path(kit, "guarded.sh")));
    leftovers_do_not_run_beside_the_next(kit);
}

static void a_stopped_runner_is_given_up(void **state)
{
    struct kit *kit = *state;

    kit->options.silence_max_ms = 2000; /* a busy machine may need some of it to answer */
    add_guarded(kit);
    kit_start(kit);
    const char *id = kit_submit(kit, "guarded");
    await_runs(kit, 1);
    pid_t runner = runner_pid(kit);
    pause_ms(3500); /* that nobody had to say anything is no silence */
    assert_int_equal(runs(kit), 1);
    kill(runner, SIGSTOP);
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; runs(kit) < 2 && clock_mono_ms() < end;)
        pause_ms(5);
    kill(runner, SIGCONT); /* where it was not given up */
    await_runs(kit, 2);
    kit_write(kit, "go", "");
    kit_await(kit, id, JOB_COMPLETED);
    assert_false(kit_exists(kit_path(kit, "overlap")));
}

/* Descriptors are short, in the keeper's process. */
static void a_shortage_is_waited_for(void **state)
{
    struct kit *kit = *state;
    struct rlimit none = {.rlim_cur = 4, .rlim_max = 4096}, many = {4096, 4096};

    kit->options.workers_max = 1;
    kit_add_command(kit, "fine", "true");
    /* whoever comes after this one needs a pipe of its own */
    kit_add_command(kit, "spoiler", "exec perl -e 'use Fcntl; fcntl(STDOUT, F_SETFL, O_WRONLY | O_NONBLOCK) or die'");
    kit_start(kit);
    kit_await(kit, kit_submit(kit, "spoiler"), JOB_COMPLETED);
    assert_int_equal(prlimit(keeper_pid(kit), RLIMIT_NOFILE, &none, NULL), 0);
    const char *id = kit_submit(kit, "fine");
    for (int64_t end = clock_mono_ms() + PATIENCE_MS; kit_job(kit, id).attempt < 5; pause_ms(5)) {
        assert_false(job_status_final(kit_job(kit, id).status));
        assert_true(clock_mono_ms() < end);
    }
    assert_int_equal(prlimit(keeper_pid(kit), RLIMIT_NOFILE, &many, NULL), 0);
    struct job job = kit_await(kit, id, JOB_COMPLETED);
    assert_int_equal(job.losses, 0);
    assert_null(job.error);
}

static void results_of_nobody_are_removed_at_the_start(void **state)
{
    struct kit *kit = *state;

    kit_add_node(kit, "text", "json", NULL, NULL);
    kit_add_task(kit, "write", "echo 1 >\"$BAILIFF_OUTPUT_TEXT\"", NULL, NULL, "text", 0);
    kit_start(kit);
    const char *id = kit_submit(kit, "write");
    kit_await(kit, id, JOB_COMPLETED);
    const char *kept = kit_output(kit, id), *orphan = arena_printf(&kit->arena, "%s/results/99-0.json", kit->storage);
    assert_true(file_write_durable(orphan, "x", 1, 0600, NULL));
    struct manifest *manifest = kit->manifest;
    kit->manifest = NULL;
    kit_stop(kit);
    kit->manifest = manifest;
    kit_start(kit);
    assert_true(kit_exists(kept));
    assert_false(kit_exists(orphan));
}

/* A disk that is full, for this process only: no file may grow. */
static void set_disk_full(bool full)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = full ? 0 : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_delays_the_end_and_loses_nothing(void **state)
{
    struct kit *kit = *state;

    signal(SIGXFSZ, SIG_IGN);
    kit_add_node(kit, "text", "json", NULL, NULL);
    kit_add_task(kit, "write",
                 arena_printf(&kit->arena, "while [ ! -e %s ]; do sleep 0.01; done; echo 1 >\"$BAILIFF_OUTPUT_TEXT\"",
                              kit_path(kit, "go")),
                 NULL, NULL, "text", 0);
    kit_add_command(kit, "plain",
                    arena_printf(&kit->arena, "while [ ! -e %s ]; do sleep 0.01; done", kit_path(kit, "go")));
    kit_start(kit);
    const char *write = kit_submit(kit, "write"), *plain = kit_submit(kit, "plain");
    kit_await(kit, write, JOB_RUNNING);
    kit_await(kit, plain, JOB_RUNNING);
    set_disk_full(true);
    assert_int_equal(mkdir(kit_path(kit, "go"), 0700), 0);
    pause_ms(500);
    enum job_status during[] = {kit_job(kit, write).status, kit_job(kit, plain).status};
    set_disk_full(false);
    assert_int_equal(during[0], JOB_RUNNING);
    assert_int_equal(during[1], JOB_RUNNING);
    assert_int_equal(kit_await(kit, write, JOB_COMPLETED).attempt, 1);
    assert_int_equal(kit_await(kit, plain, JOB_COMPLETED).attempt, 1);
    assert_string_equal(kit_read(kit, kit_output(kit, write)), "1\n");
}

static int tests(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
    const struct CMUnitTest all[] = {
        T(a_killed_runner_loses_nothing),
        T(an_attempt_waits_for_the_lock_of_its_job),
        T(attempts_of_lost_jobs_are_counted),
        T(health_is_asked_while_a_runner_comes),
        T(lost_jobs_may_be_failed_instead),
        T(a_killed_keeper_takes_everything_along),
        T(a_stopped_keeper_does_not_hold_up_a_cancel),
        T(stopping_makes_running_jobs_wait_again),
        T(a_killed_server_loses_nothing),
        T(leftovers_are_ended_before_anything_begins_again),
        T(leftovers_with_another_environment_are_ended_too),
        T(a_stopped_runner_is_given_up),
        T(a_shortage_is_waited_for),
        T(a_full_disk_delays_the_end_and_loses_nothing),
        T(results_of_nobody_are_removed_at_the_start),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return jobs_fixture_main(argc, argv, tests);
}
