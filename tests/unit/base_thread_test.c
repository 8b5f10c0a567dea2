/* A thread of ours: its name, its signals, its refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>

#include "bailiff/thread.h"

static void *look_around(void *arg)
{
    sigset_t blocked;
    int *ret_open = arg;

    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    *ret_open = !sigismember(&blocked, SIGTERM) + !sigismember(&blocked, SIGHUP) + !sigismember(&blocked, SIGINT);
    return NULL;
}

static void signals_stay_with_main(void **state)
{
    sigset_t before, after;
    pthread_t thread;
    int open = -1;

    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(thread_begin(&thread, "looks", look_around, &open), 0);
    pthread_join(thread, NULL);
    assert_int_equal(open, 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int signal = 1; signal < 32; signal++)
        assert_int_equal(sigismember(&before, signal), sigismember(&after, signal));
}

static void *wait_for_lock(void *lock)
{
    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    return NULL;
}

static void it_has_its_name(void **state)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    char name[16];
    pthread_t thread;

    pthread_mutex_lock(&lock);
    assert_int_equal(thread_begin(&thread, "waits", wait_for_lock, &lock), 0);
    assert_int_equal(pthread_getname_np(thread, name, sizeof(name)), 0);
    assert_string_equal(name, "waits");
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_stay_with_main),
        cmocka_unit_test(it_has_its_name),
    };

    return cmocka_run_group_tests_name("base_thread", tests, NULL, NULL);
}
