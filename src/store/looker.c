#include "store/looker.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "bailiff/clock.h"
#include "bailiff/thread.h"

enum { PATIENCE_MS = 1000, LATE_ANSWER_MS = 5000, WARN_EVERY_MS = 60000, TIME_UNKNOWN = -1, HURRY = 10 };

struct look {
    char *path;
    enum { LOOK_WAITS, LOOK_RUNS, LOOK_ANSWERED } state;
    bool given_up; /* nobody waits for it */
    int64_t time_ms;
    int64_t answered_ms; /* monotonic */
    struct look *next;
};

struct looker {
    struct looker_options options;
    pthread_mutex_t lock;
    pthread_cond_t asked, answered;
    struct look *looks; /* the oldest first */
    unsigned thread_count, idle;
    int64_t warned_ms; /* monotonic; 0: never */
    bool closing;
    bool left; /* by its owner: the last thread ends it */
};

/* Nothing is there that we could ever read; other errors are troubles of the file system's, and say nothing of the file. */
static bool says_absent(int error)
{
    return error == ENOENT || error == ENOTDIR || error == EACCES || error == ELOOP || error == ENAMETOOLONG;
}

static int64_t modification_time(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return says_absent(errno) ? 0 : TIME_UNKNOWN;
    if (!S_ISREG(st.st_mode))
        return 0;
    int64_t time_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    return time_ms > 0 ? time_ms : 1;
}

struct looker *looker_new(const struct looker_options *options)
{
    struct looker *looker = xcalloc(1, sizeof(*looker));
    pthread_condattr_t attributes;

    looker->options = *options;
    if (looker->options.patience_ms == 0)
        looker->options.patience_ms = PATIENCE_MS;
    if (!looker->options.time_of)
        looker->options.time_of = modification_time;
    pthread_mutex_init(&looker->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&looker->asked, &attributes);
    pthread_cond_init(&looker->answered, &attributes);
    pthread_condattr_destroy(&attributes);
    return looker;
}

/* ---- with the lock held ---- */

static void look_remove(struct looker *looker, struct look *look)
{
    struct look **place = &looker->looks;

    while (*place != look)
        place = &(*place)->next;
    *place = look->next;
    free(look->path);
    free(look);
}

static struct look *look_add(struct looker *looker, const char *path)
{
    struct look **end = &looker->looks, *look = xcalloc(1, sizeof(*look));

    while (*end)
        end = &(*end)->next;
    look->path = xstrdup(path);
    *end = look;
    return look;
}

/* Late answers that have become old. */
static void forget_old(struct looker *looker, int64_t now_ms)
{
    for (struct look *look = looker->looks, *next; look; look = next) {
        next = look->next;
        if (look->given_up && look->state == LOOK_ANSWERED && now_ms - look->answered_ms >= LATE_ANSWER_MS)
            look_remove(looker, look);
    }
}

static unsigned waiting_count(const struct looker *looker)
{
    unsigned count = 0;

    for (const struct look *look = looker->looks; look; look = look->next)
        count += look->state == LOOK_WAITS;
    return count;
}

static unsigned held_count(const struct looker *looker)
{
    unsigned count = 0;

    for (const struct look *look = looker->looks; look; look = look->next)
        count += look->given_up && look->state != LOOK_ANSWERED;
    return count;
}

static bool in_same_folder(const char *a, const char *b)
{
    const char *name_a = strrchr(a, '/'), *name_b = strrchr(b, '/');
    size_t length = name_a ? (size_t)(name_a - a) : 0;

    return name_a && name_b && length == (size_t)(name_b - b) && memcmp(a, b, length) == 0;
}

/* A thread is held there already: another one would be, too. */
static bool is_held(const struct looker *looker, const char *path)
{
    for (const struct look *look = looker->looks; look; look = look->next)
        if (look->given_up && look->state != LOOK_ANSWERED && in_same_folder(look->path, path))
            return true;
    return false;
}

static const struct look *late_answer(const struct looker *looker, const char *path)
{
    const struct look *latest = NULL;

    for (const struct look *look = looker->looks; look; look = look->next)
        if (look->given_up && look->state == LOOK_ANSWERED && str_eq(look->path, path))
            latest = look;
    return latest;
}

static bool is_looked_at(const struct looker *looker, const char *path)
{
    for (const struct look *look = looker->looks; look; look = look->next)
        if (look->state == LOOK_RUNS && in_same_folder(look->path, path))
            return true;
    return false;
}

/* One at a time in a folder: it may be found dead by the first. */
static struct look *look_begin_next(struct looker *looker)
{
    for (struct look *look = looker->looks; look; look = look->next)
        if (look->state == LOOK_WAITS && !is_looked_at(looker, look->path)) {
            look->state = LOOK_RUNS;
            return look;
        }
    return NULL;
}

/* ---- threads ---- */

/* The lock is held; afterwards there may be no looker. */
static void unlock_or_end(struct looker *looker)
{
    bool last = looker->left && looker->thread_count == 0;

    pthread_mutex_unlock(&looker->lock);
    if (!last)
        return;
    while (looker->looks)
        look_remove(looker, looker->looks);
    pthread_cond_destroy(&looker->answered);
    pthread_cond_destroy(&looker->asked);
    pthread_mutex_destroy(&looker->lock);
    free(looker);
}

static void *looker_main(void *arg)
{
    struct looker *looker = arg;

    pthread_mutex_lock(&looker->lock);
    while (!looker->closing) {
        struct look *look = look_begin_next(looker);
        if (!look) {
            looker->idle++;
            pthread_cond_wait(&looker->asked, &looker->lock);
            looker->idle--;
            continue;
        }
        pthread_mutex_unlock(&looker->lock);
        int64_t time_ms = looker->options.time_of(look->path); /* nobody removes it while it runs */
        pthread_mutex_lock(&looker->lock);
        look->time_ms = time_ms;
        look->answered_ms = clock_mono_ms();
        look->state = LOOK_ANSWERED;
        pthread_cond_broadcast(&looker->answered);
    }
    looker->thread_count--;
    pthread_cond_broadcast(&looker->answered);
    unlock_or_end(looker);
    return NULL;
}

/* The lock is held. Without a thread the look waits for one of the others. */
static void wake_or_start(struct looker *looker)
{
    pthread_t thread;

    if (waiting_count(looker) <= looker->idle || looker->thread_count == LOOKER_THREADS)
        pthread_cond_signal(&looker->asked);
    else if (thread_begin(&thread, "looker", looker_main, looker) == 0) {
        pthread_detach(thread); /* it may be held when the others end */
        looker->thread_count++;
    }
}

/* ---- asking ---- */

static struct timespec time_at(int64_t mono_ms)
{
    return (struct timespec){.tv_sec = mono_ms / 1000, .tv_nsec = mono_ms % 1000 * 1000000};
}

/* The lock is held. */
static void warn(struct looker *looker, const char *path, int64_t now_ms)
{
    if (looker->warned_ms != 0 && now_ms - looker->warned_ms < WARN_EVERY_MS)
        return;
    looker->warned_ms = now_ms;
    log_write(looker->options.log, LOG_WARNING, "data_node.path",
              "The file system of a path does not answer; jobs that need it wait.", L_STR("path", path),
              L_INT("held", held_count(looker)));
}

/* Where one folder is dead, others of the same mount will be; whoever waited for each as long would hold up everybody. */
static unsigned patience_ms(const struct looker *looker)
{
    return held_count(looker) == 0 ? looker->options.patience_ms : (looker->options.patience_ms + HURRY - 1) / HURRY;
}

/* The lock is held. */
static int64_t look_and_wait(struct looker *looker, const char *path)
{
    int64_t until_ms = clock_mono_ms() + patience_ms(looker);
    struct timespec until = time_at(until_ms);
    struct look *look = look_add(looker, path);

    wake_or_start(looker);
    for (int rc = 0; look->state != LOOK_ANSWERED && rc != ETIMEDOUT;)
        rc = pthread_cond_timedwait(&looker->answered, &looker->lock, &until);
    if (look->state == LOOK_RUNS) {
        look->given_up = true;
        warn(looker, path, until_ms);
        return TIME_UNKNOWN;
    }
    int64_t time_ms = look->state == LOOK_ANSWERED ? look->time_ms : TIME_UNKNOWN;
    look_remove(looker, look);
    return time_ms;
}

static bool ask(struct looker *looker, const char *path, bool late_will_do, int64_t *ret_ms)
{
    int64_t time_ms = TIME_UNKNOWN;
    const struct look *late;

    pthread_mutex_lock(&looker->lock);
    forget_old(looker, clock_mono_ms());
    late = late_will_do ? late_answer(looker, path) : NULL;
    if (late)
        time_ms = late->time_ms;
    else if (!is_held(looker, path) && held_count(looker) < LOOKER_THREADS)
        time_ms = look_and_wait(looker, path);
    pthread_mutex_unlock(&looker->lock);
    if (time_ms == TIME_UNKNOWN)
        return false;
    *ret_ms = time_ms;
    return true;
}

bool looker_file_time(struct looker *looker, const char *path, int64_t *ret_ms)
{
    return ask(looker, path, false, ret_ms);
}

bool looker_knows_file(struct looker *looker, const char *path, bool *ret_there)
{
    int64_t time_ms;

    if (!ask(looker, path, true, &time_ms))
        return false;
    *ret_there = time_ms != 0;
    return true;
}

bool looker_file_is_there(struct looker *looker, const char *path)
{
    bool there;

    return looker_knows_file(looker, path, &there) && there;
}

/* ---- end ---- */

void looker_free(struct looker *looker)
{
    if (!looker)
        return;
    struct timespec until = time_at(clock_mono_ms() + looker->options.patience_ms);

    pthread_mutex_lock(&looker->lock);
    looker->closing = true;
    pthread_cond_broadcast(&looker->asked);
    for (int rc = 0; looker->thread_count > 0 && rc != ETIMEDOUT;)
        rc = pthread_cond_timedwait(&looker->answered, &looker->lock, &until);
    looker->left = true;
    unlock_or_end(looker);
}
