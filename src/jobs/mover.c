#include "jobs/mover.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bailiff/random.h"
#include "bailiff/thread.h"

enum { COPY_SIZE = 131072, BATCH_MAX = 64 };

struct mover {
    int results;
    gid_t group;
    struct inbox *inbox;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct move *first, **last; /* guarded by mutex, as is stopping */
    bool stopping;
};

struct move *move_new(size_t count)
{
    struct move *move = xcalloc(1, sizeof *move);

    move->folder = -1;
    move->files = xcalloc(count, sizeof *move->files);
    move->count = count;
    for (size_t i = 0; i < count; i++)
        move->files[i].fd = -1;
    return move;
}

void move_free(struct move *move)
{
    if (!move)
        return;
    for (size_t i = 0; i < move->count; i++) {
        for (size_t j = 0; j < ARRAY_LEN(move->files[i].from); j++)
            free(move->files[i].from[j]);
        free(move->files[i].to);
        closep(&move->files[i].fd);
    }
    closep(&move->folder);
    free(move->files);
    free(move);
}

/* Descriptors or memory are short: that passes, and says nothing of the source. */
static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == EINTR || error == EAGAIN;
}

static bool cannot_open(int error, struct fault *fault)
{
    static const char FORMAT[] = "A file that was to be there cannot be opened: %s.";

    return is_shortage(error) ? fault_unavailable(fault, 5, FORMAT, strerror(error))
                              : fault_set(fault, FAULT_INVALID, FORMAT, strerror(error));
}

bool open_handed_over(int folder, char *const *names, uid_t owner, uint64_t size_max, int *ret_fd, struct fault *fault)
{
    own(closep) int fd = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    struct stat st;

    for (size_t i = 0; fd >= 0 && i < 3 && names[i]; i++) {
        bool last = i == 2 || !names[i + 1];
        int next =
            openat(fd, names[i], O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (last ? 0 : O_DIRECTORY));
        int error = errno;
        closep(&fd);
        fd = next;
        errno = error;
    }
    if (fd < 0 || fstat(fd, &st) < 0)
        return cannot_open(errno, fault);
    /* Another user's file under that name could only be one that the server may read and the runner may not. */
    if (!S_ISREG(st.st_mode) || st.st_uid != owner)
        return fault_set(fault, FAULT_INVALID, "What was written is no regular file of the runner's user.");
    if ((uint64_t)st.st_size > size_max)
        return fault_set(fault, FAULT_INVALID, "A file of %llu bytes is larger than the limit (%llu).",
                         (unsigned long long)st.st_size, (unsigned long long)size_max);
    *ret_fd = fd;
    fd = -1;
    return true;
}

bool copy_handed_over(int from, int to, uint64_t size_max, uint64_t *ret_size, struct fault *fault)
{
    own(freep) char *piece = xmalloc(COPY_SIZE);
    uint64_t size = 0;

    for (;;) {
        ssize_t got = read(from, piece, COPY_SIZE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fault_set(fault, FAULT_INVALID, "A file cannot be read: %s.", strerror(errno));
        if (got == 0)
            break;
        size += (uint64_t)got;
        if (size > size_max) /* it grew meanwhile */
            return fault_set(fault, FAULT_INVALID, "A file is larger than the limit (%llu).",
                             (unsigned long long)size_max);
        for (ssize_t done = 0; done < got;) {
            ssize_t put = write(to, piece + done, (size_t)(got - done));
            if (put < 0 && errno != EINTR)
                return fault_unavailable(fault, 5, "Storage cannot be written: %s.", strerror(errno));
            done += put > 0 ? put : 0;
        }
    }
    *ret_size = size;
    return true;
}

/* Some file systems, overlays among them, have no files without a name: those are unlinked at once. */
static int temporary_open(struct mover *mover)
{
    char name[UUID_TEXT_SIZE + 1] = ".";
    int fd = openat(mover->results, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
        return fd;
    uuid4(name + 1);
    fd = openat(mover->results, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        unlinkat(mover->results, name, 0);
    return fd;
}

static bool target_open(struct mover *mover, struct moved_file *file, struct fault *fault)
{
    if (file->to) {
        unlinkat(mover->results, file->to, 0); /* of a try that failed: the name is this attempt's own */
        file->fd = openat(mover->results, file->to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    } else
        file->fd = temporary_open(mover);
    if (file->fd < 0)
        return fault_unavailable(fault, 5, "A file cannot be made in storage: %s.", strerror(errno));
    if (!file->to)
        return true;
    /* Without the right to give the file to that group it stays ours; whether the runner can read was asked at the
     * start. */
    if (mover->group != 0 && fchown(file->fd, (uid_t)-1, mover->group) < 0 && errno != EPERM)
        return fault_unavailable(fault, 5, "A file's group cannot be set: %s.", strerror(errno));
    if (fchmod(file->fd, 0440) < 0)
        return fault_unavailable(fault, 5, "A file's mode cannot be set: %s.", strerror(errno));
    return true;
}

static bool move_copy(struct mover *mover, struct move *move, struct fault *fault)
{
    if (move->folder < 0)
        return fault_unavailable(fault, 5, "The runner's folder cannot be opened once more; descriptors are short.");
    for (size_t i = 0; i < move->count; i++) {
        struct moved_file *file = &move->files[i];
        own(closep) int from = -1;
        if (!open_handed_over(move->folder, file->from, move->owner, move->size_max, &from, fault) ||
            !target_open(mover, file, fault) || !copy_handed_over(from, file->fd, move->size_max, &file->size, fault))
            return false;
    }
    return true;
}

static bool move_sync(struct move *move, struct fault *fault)
{
    for (size_t i = 0; i < move->count; i++)
        if (move->files[i].to && fsync(move->files[i].fd) < 0)
            return fault_unavailable(fault, 5, "Storage cannot be written: %s.", strerror(errno));
    return true;
}

static void move_undo(struct mover *mover, struct move *move)
{
    for (size_t i = 0; i < move->count; i++)
        if (move->files[i].to && move->files[i].fd >= 0)
            unlinkat(mover->results, move->files[i].to, 0);
}

/* Copies all, then syncs all: the first sync of a journaling file system carries most of the others with it. */
static void batch_run(struct mover *mover, struct move *first)
{
    bool named = false;

    for (struct move *move = first; move; move = move->next)
        move->ok = move_copy(mover, move, &move->fault);
    for (struct move *move = first; move; move = move->next) {
        move->ok = move->ok && move_sync(move, &move->fault);
        named |= move->ok && move->count > 0 && move->files[0].to;
    }
    bool durable = !named || fsync(mover->results) == 0;
    for (struct move *move = first, *next; move; move = next) {
        next = move->next;
        if (!durable && move->ok)
            move->ok = fault_unavailable(&move->fault, 5, "Storage cannot be written.");
        if (!move->ok)
            move_undo(mover, move);
        inbox_post(mover->inbox, &move->parcel); /* gone from here on */
    }
}

static struct move *batch_take(struct mover *mover)
{
    struct move *first = mover->first, *last = first;

    for (size_t i = 1; last && last->next && i < BATCH_MAX; i++)
        last = last->next;
    if (!last)
        return NULL;
    mover->first = last->next;
    if (!mover->first)
        mover->last = &mover->first;
    last->next = NULL;
    return first;
}

static void *mover_thread(void *arg)
{
    struct mover *mover = arg;

    pthread_mutex_lock(&mover->mutex);
    for (;;) {
        struct move *batch = batch_take(mover);
        if (batch) {
            pthread_mutex_unlock(&mover->mutex);
            batch_run(mover, batch);
            pthread_mutex_lock(&mover->mutex);
        } else if (mover->stopping)
            break;
        else
            pthread_cond_wait(&mover->changed, &mover->mutex);
    }
    pthread_mutex_unlock(&mover->mutex);
    return NULL;
}

bool mover_new(const char *results, gid_t group, struct inbox *inbox, struct mover **ret_mover, struct fault *fault)
{
    own(closep) int fd = open(results, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return fault_set(fault, FAULT_INVALID, "%s cannot be opened: %s.", results, strerror(errno));
    struct mover *mover = xcalloc(1, sizeof *mover);
    mover->results = fd;
    mover->group = group;
    mover->inbox = inbox;
    mover->last = &mover->first;
    pthread_mutex_init(&mover->mutex, NULL);
    pthread_cond_init(&mover->changed, NULL);
    int error = thread_begin(&mover->thread, "mover", mover_thread, mover);
    if (error != 0) {
        pthread_cond_destroy(&mover->changed);
        pthread_mutex_destroy(&mover->mutex);
        free(mover);
        return fault_unavailable(fault, 1, "A thread cannot be started: %s.", strerror(error));
    }
    fd = -1;
    *ret_mover = mover;
    return true;
}

void mover_free(struct mover *mover)
{
    if (!mover)
        return;
    pthread_mutex_lock(&mover->mutex);
    mover->stopping = true;
    pthread_cond_signal(&mover->changed);
    pthread_mutex_unlock(&mover->mutex);
    pthread_join(mover->thread, NULL);
    pthread_cond_destroy(&mover->changed);
    pthread_mutex_destroy(&mover->mutex);
    closep(&mover->results);
    free(mover);
}

void mover_submit(struct mover *mover, struct move *move)
{
    move->next = NULL;
    pthread_mutex_lock(&mover->mutex);
    *mover->last = move;
    mover->last = &move->next;
    pthread_cond_signal(&mover->changed);
    pthread_mutex_unlock(&mover->mutex);
}
