/* Being alone is seen from the kernel's lists of children, and nothing that lives hides from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "jobs/descendants.h"

enum { PATIENCE_MS = 60000 };

static int setup(void **state)
{
    struct census *census = calloc(1, sizeof *census);

    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_true(census_init(census, &(struct fault){0}));
    *state = census;
    return 0;
}

static int teardown(void **state)
{
    census_signal(*state, (struct spared){0}, SIGKILL);
    while (wait(NULL) > 0)
        ;
    census_done(*state);
    free(*state);
    return 0;
}

/* A child that does `what` and stays; back when it is done. */
static pid_t child_that(void (*what)(void))
{
    int ends[2];
    char done;

    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        what();
        if (write(ends[1], "x", 1) == 1)
            pause();
        _exit(0);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &done, 1), 1);
    close(ends[0]);
    return pid;
}

static void does_nothing(void)
{
}

static void forks(void)
{
    if (fork() == 0) {
        setsid();
        pause();
    }
}

/* A grandchild whose parent ends becomes the keeper's. */
static void forks_twice(void)
{
    pid_t middle = fork();

    if (middle == 0) {
        forks();
        _exit(0);
    }
    waitpid(middle, NULL, 0);
}

static void *thread_that_forks(void *arg)
{
    forks();
    pause();
    return arg;
}

static void forks_from_a_thread(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, thread_that_forks, NULL) != 0)
        _exit(1);
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
}

static void without_a_child_nobody_is_there(void **state)
{
    assert_true(census_alone(*state, 0));
    pid_t child = child_that(does_nothing);
    assert_false(census_alone(*state, 0));
    assert_true(census_alone(*state, child));
    kill(child, SIGKILL);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_false(census_alone(*state, 0)); /* dead, but its end was not taken note of */
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(census_alone(*state, 0));
}

static void a_child_of_the_child_is_seen(void **state)
{
    pid_t child = child_that(forks);

    assert_false(census_alone(*state, child));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_false(census_alone(*state, 0)); /* it is ours now */
    assert_int_equal(census_signal(*state, (struct spared){0}, 0), 1);
}

static void an_orphan_is_seen(void **state)
{
    pid_t child = child_that(forks_twice);

    assert_false(census_alone(*state, child));
}

static void another_child_is_seen(void **state)
{
    pid_t child = child_that(does_nothing);

    child_that(does_nothing);
    assert_false(census_alone(*state, child));
}

static void a_child_of_a_thread_is_seen(void **state)
{
    pid_t child = child_that(forks_from_a_thread);

    for (int64_t end = clock_mono_ms() + PATIENCE_MS; census_signal(*state, (struct spared){0}, 0) < 2;)
        assert_true(clock_mono_ms() < end);
    assert_false(census_alone(*state, child));
}

static void leaves_a_zombie(void)
{
    pid_t pid = fork();
    siginfo_t info;

    if (pid == 0)
        _exit(0);
    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
}

/* Users' code often does not take note of its processes' ends. */
static void a_dead_child_of_the_child_does_not_count(void **state)
{
    pid_t child = child_that(leaves_a_zombie);

    assert_true(census_alone(*state, child));
}

static int beats[2]; /* a pipe */

/* Always somebody else: forks and ends, in a session of its own, and says so each time. Should nobody end it, it ends by itself. */
static void runs_a_relay(void)
{
    if (fork() != 0)
        return;
    for (int runner = 0; runner < 20000; runner++) {
        pid_t next = fork();
        if (next > 0)
            _exit(0);
        if (next == 0 && (setsid() < 0 || (write(beats[1], "x", 1) < 0 && errno != EAGAIN)))
            _exit(1);
    }
    _exit(0);
}

/* No look at /proc is sure to meet it; when it is said to be gone, it is. */
static void a_relay_is_ended(void **state)
{
    char buffer[4096];

    for (int round = 0; round < 20; round++) {
        assert_int_equal(pipe2(beats, O_NONBLOCK), 0);
        pid_t child = child_that(runs_a_relay);
        kill(child, SIGKILL);
        for (int64_t end = clock_mono_ms() + PATIENCE_MS; !census_alone(*state, 0);) {
            assert_true(clock_mono_ms() < end);
            census_signal(*state, (struct spared){0}, SIGKILL);
            census_kill_children(*state, (struct spared){0});
            while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
        }
        close(beats[1]);
        while (read(beats[0], buffer, sizeof buffer) > 0)
            ;
        assert_int_equal(read(beats[0], buffer, sizeof buffer), 0); /* the end: nobody has its other end open */
        close(beats[0]);
    }
}

static void only_some_children(void **state)
{
    pid_t pids[] = {child_that(forks), child_that(does_nothing)};

    assert_true(census_only(*state, (struct spared){.pids = pids, .count = 2}));
    assert_false(census_only(*state, (struct spared){.pids = pids, .count = 1}));
    census_kill_children(*state, (struct spared){.pids = pids, .count = 1});
    assert_int_equal(waitpid(pids[1], NULL, 0), pids[1]);
    assert_true(census_only(*state, (struct spared){.pids = pids, .count = 1}));
    assert_int_equal(waitpid(pids[0], NULL, WNOHANG), 0);
}

static void a_birth_ends_the_quiet(void **state)
{
    struct census_mark before = census_mark(*state);
    if (before.last_pid == 0)
        skip(); /* a container's own /proc/loadavg */
    child_that(does_nothing);
    struct census_mark after = census_mark(*state);
    assert_false(census_quiet(&before, &after));
    assert_false(census_quiet(&(struct census_mark){0}, &after));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_child_nobody_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(a_child_of_the_child_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(an_orphan_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(another_child_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(a_child_of_a_thread_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dead_child_of_the_child_does_not_count, setup, teardown),
        cmocka_unit_test_setup_teardown(a_relay_is_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(only_some_children, setup, teardown),
        cmocka_unit_test_setup_teardown(a_birth_ends_the_quiet, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
