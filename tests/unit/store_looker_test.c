/* Looks at files whose file system does not answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "bailiff/file.h"
#include "store/looker.h"

enum { PATIENCE_MS = 300, FAR_MS = 60000 };

/* Whatever lies below /dead is held until the gate opens, the file system of /odd fails; every file is there. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    unsigned looks, held;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int64_t gated_time(const char *path)
{
    pthread_mutex_lock(&gate.lock);
    gate.looks++;
    if (strncmp(path, "/dead", 5) == 0) {
        gate.held++;
        pthread_cond_broadcast(&gate.changed);
        while (!gate.open)
            pthread_cond_wait(&gate.changed, &gate.lock);
        gate.held--;
        pthread_cond_broadcast(&gate.changed);
    }
    pthread_mutex_unlock(&gate.lock);
    return strncmp(path, "/odd", 4) == 0 ? -1 : 7;
}

static void gate_open(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    while (gate.held > 0)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static unsigned looks(void)
{
    pthread_mutex_lock(&gate.lock);
    unsigned count = gate.looks;
    pthread_mutex_unlock(&gate.lock);
    return count;
}

/* A look that is held, however long its thread takes to begin. */
static void hold(struct looker *looker, const char *path)
{
    unsigned before = looks();
    int64_t time_ms, end_ms = clock_mono_ms() + FAR_MS;

    while (looks() == before) {
        assert_false(looker_file_time(looker, path, &time_ms));
        assert_true(clock_mono_ms() < end_ms);
    }
}

static int gate_close(void **state)
{
    gate.open = false;
    gate.looks = 0;
    return 0;
}

static struct looker *gated(unsigned patience_ms)
{
    return looker_new(&(struct looker_options){.patience_ms = patience_ms, .time_of = gated_time});
}

/* Of paths that answer: whoever waits for long enough is told. */
static void knows(struct looker *looker, const char *path, int64_t expected_ms)
{
    int64_t time_ms = -1, end_ms = clock_mono_ms() + FAR_MS;

    while (!looker_file_time(looker, path, &time_ms))
        if (clock_mono_ms() > end_ms)
            fail_msg("%s: nothing is known", path);
    assert_int_equal(time_ms, expected_ms);
}

static void what_is_there_is_told(void **state)
{
    char folder[] = "/tmp/bailiff-looker-XXXXXX";
    struct looker *looker = looker_new(&(struct looker_options){.patience_ms = FAR_MS});
    int64_t time_ms = -1;
    bool there = true;

    assert_non_null(mkdtemp(folder));
    own(freep) char *file = xprintf("%s/file", folder);
    assert_true(looker_file_time(looker, file, &time_ms));
    assert_int_equal(time_ms, 0);
    assert_true(looker_knows_file(looker, file, &there));
    assert_false(there);
    assert_false(looker_file_is_there(looker, file));
    assert_true(file_write_durable(file, "x", 1, 0600, NULL));
    struct timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 5000000}, {.tv_sec = 1000, .tv_nsec = 5000000}};
    assert_int_equal(utimensat(AT_FDCWD, file, times, 0), 0);
    assert_true(looker_file_time(looker, file, &time_ms));
    assert_int_equal(time_ms, 1000005);
    assert_true(looker_file_is_there(looker, file));
    assert_true(looker_file_time(looker, folder, &time_ms));
    assert_int_equal(time_ms, 0); /* a folder is no file */
    own(freep) char *below = xprintf("%s/below", file);
    assert_true(looker_file_time(looker, below, &time_ms));
    assert_int_equal(time_ms, 0);
    looker_free(looker);
    unlink(file);
    rmdir(folder);
}

static void a_dead_folder_holds_one_look(void **state)
{
    struct looker *looker = gated(PATIENCE_MS);
    int64_t time_ms;

    hold(looker, "/dead/a");
    assert_int_equal(looks(), 1);
    assert_false(looker_file_time(looker, "/dead/a", &time_ms));
    assert_false(looker_file_is_there(looker, "/dead/b"));
    assert_int_equal(looks(), 1); /* nobody else is held */
    knows(looker, "/well/a", 7);
    gate_open();
    knows(looker, "/dead/b", 7);
    looker_free(looker);
}

static void *ask_in_vain(void *arg)
{
    int64_t time_ms;

    assert_false(looker_file_time(arg, "/dead/b", &time_ms));
    return NULL;
}

/* The writer and the job thread ask at the same time, before it is known that nothing comes. */
static void a_dead_folder_holds_one_look_whoever_asks(void **state)
{
    struct looker *looker = gated(PATIENCE_MS);
    pthread_t threads[2 * LOOKER_THREADS];

    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_in_vain, looker), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    assert_true(looks() <= 1);
    knows(looker, "/well/a", 7);
    gate_open();
    knows(looker, "/dead/a", 7);
    looker_free(looker);
}

static void an_answer_that_comes_late_is_one(void **state)
{
    struct looker *looker = gated(PATIENCE_MS);

    hold(looker, "/dead/a");
    gate_open();
    gate_close(NULL);
    /* it may not have been written down yet; and while it has not, its folder is held */
    for (int64_t end_ms = clock_mono_ms() + FAR_MS; !looker_file_is_there(looker, "/dead/a");)
        assert_true(clock_mono_ms() < end_ms);
    hold(looker, "/dead/a"); /* its time is another matter: it must be new */
    gate_open();
    looker_free(looker);
}

static void a_file_system_that_fails_tells_nothing(void **state)
{
    struct looker *looker = gated(FAR_MS);
    int64_t time_ms;
    bool there;

    assert_false(looker_file_time(looker, "/odd/a", &time_ms));
    assert_false(looker_knows_file(looker, "/odd/a", &there));
    assert_false(looker_file_is_there(looker, "/odd/a"));
    assert_true(looker_knows_file(looker, "/well/a", &there));
    assert_true(there);
    looker_free(looker);
}

static void nothing_is_known_once_all_threads_are_held(void **state)
{
    struct looker *looker = gated(PATIENCE_MS);
    int64_t time_ms;

    for (unsigned i = 0; i < LOOKER_THREADS; i++) {
        own(freep) char *path = xprintf("/dead%u/a", i);
        knows(looker, "/well/a", 7);
        hold(looker, path);
    }
    unsigned before = looks();
    assert_false(looker_file_time(looker, "/well/a", &time_ms));
    assert_int_equal(looks(), before);
    gate_open();
    knows(looker, "/well/a", 7);
    looker_free(looker);
}

static void the_end_waits_for_nobody_who_is_held(void **state)
{
    struct looker *looker = gated(PATIENCE_MS);

    hold(looker, "/dead/a");
    knows(looker, "/well/a", 7);
    looker_free(looker);
    looker_free(NULL);
    gate_open();
}

static void *ask_often(void *arg)
{
    for (int i = 0; i < 200; i++)
        knows(arg, i % 2 ? "/well/a" : "/fine/b", 7);
    return NULL;
}

static void many_may_ask(void **state)
{
    struct looker *looker = gated(FAR_MS);
    pthread_t threads[3 * LOOKER_THREADS];

    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, looker), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(looks(), 200 * ARRAY_LEN(threads));
    looker_free(looker);
}

int main(void)
{
#define GATED(test) cmocka_unit_test_setup(test, gate_close)
    const struct CMUnitTest tests[] = {
        GATED(what_is_there_is_told),
        GATED(a_dead_folder_holds_one_look),
        GATED(a_dead_folder_holds_one_look_whoever_asks),
        GATED(an_answer_that_comes_late_is_one),
        GATED(a_file_system_that_fails_tells_nothing),
        GATED(nothing_is_known_once_all_threads_are_held),
        GATED(the_end_waits_for_nobody_who_is_held),
        GATED(many_may_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
