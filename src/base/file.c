/* Bounded reading, durable writing, locks. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bailiff/file.h"

static bool fault_errno(struct fault *fault, const char *what, const char *path)
{
    int error = errno;
    bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;

    return full ? fault_unavailable(fault, 10, "%s %s: %s.", what, path, strerror(error))
                : fault_set(fault, FAULT_INVALID, "%s %s: %s.", what, path, strerror(error));
}

/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
enum { OPEN_READING = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, RACES_MAX = 16 };

static bool open_regular(const char *path, int flags, int *ret_fd, struct stat *ret_stat, struct fault *fault)
{
    own(closep) int fd = open(path, OPEN_READING | flags);

    if (fd < 0 || fstat(fd, ret_stat) < 0)
        return fault_errno(fault, "Cannot read", path);
    if (!S_ISREG(ret_stat->st_mode))
        return fault_set(fault, FAULT_INVALID, "%s is not a regular file.", path);
    *ret_fd = fd;
    fd = -1;
    return true;
}

static bool read_all(int fd, const char *path, size_t max, struct text *ret_content, struct fault *fault)
{
    own(text_done) struct text content = {0};
    char piece[16384];

    for (;;) {
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fault_errno(fault, "Cannot read", path);
        if (n == 0)
            break;
        if ((size_t)n > max - content.len)
            return fault_set(fault, FAULT_INVALID, "%s is larger than %zu bytes.", path, max);
        text_append(&content, piece, (size_t)n);
    }
    text_append(&content, "", 0); /* terminated even when empty */
    *ret_content = content;
    content = (struct text){0};
    return true;
}

bool file_read(const char *path, size_t max, struct text *ret_content, struct fault *fault)
{
    own(closep) int fd = -1;
    struct stat st;

    return open_regular(path, 0, &fd, &st, fault) && read_all(fd, path, max, ret_content, fault);
}

bool file_read_trusted(const char *path, size_t max, struct text *ret_content, struct fault *fault)
{
    own(closep) int fd = -1;
    struct stat st;

    if (!open_regular(path, 0, &fd, &st, fault))
        return false;
    if (st.st_mode & 022)
        return fault_set(fault, FAULT_INVALID,
                         "%s is trusted, but others than its owner can write it (mode %04o); run: chmod go-w %s", path,
                         st.st_mode & 07777, path);
    return read_all(fd, path, max, ret_content, fault);
}

bool file_open_beneath(int folder, const char *path, int *ret_fd, struct stat *ret_stat, struct fault *fault)
{
    struct open_how how = {.flags = OPEN_READING, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    own(closep) int fd = -1;

    /* EAGAIN: something was renamed meanwhile, and the kernel could not be sure. */
    for (int i = 0; i < RACES_MAX && (i == 0 || (fd < 0 && errno == EAGAIN)); i++)
        fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));
    if (fd < 0 && errno == ENOSYS)
        return fault_set(fault, FAULT_INVALID,
                         "Cannot read %s: this system cannot keep a file's path in its folder; Linux 5.6 or later can.",
                         path);
    if (fd < 0 && errno == EXDEV)
        return fault_set(fault, FAULT_INVALID, "%s leads out of the folder.", path);
    if (fd < 0 || fstat(fd, ret_stat) < 0)
        return fault_errno(fault, "Cannot read", path);
    if (!S_ISREG(ret_stat->st_mode))
        return fault_set(fault, FAULT_INVALID, "%s is not a regular file.", path);
    *ret_fd = fd;
    fd = -1;
    return true;
}

bool file_read_secret(const char *path, size_t max, struct text *ret_content, struct fault *fault)
{
    own(closep) int fd = -1;
    struct stat st;

    if (!open_regular(path, 0, &fd, &st, fault))
        return false;
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return fault_set(fault, FAULT_INVALID, "%s holds a secret but belongs to another user; chown it to this one.",
                         path);
    unsigned forbidden = st.st_uid == 0 && geteuid() != 0 ? 037 : 077;
    if (st.st_mode & forbidden)
        return fault_set(fault, FAULT_INVALID, "%s holds a secret but others can read it (mode %04o); run: chmod %s %s",
                         path, st.st_mode & 07777, forbidden == 077 ? "600" : "640", path);
    return read_all(fd, path, max, ret_content, fault);
}

bool fd_write_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return xstrdup(".");
    return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

bool file_sync_folder(const char *path, struct fault *fault)
{
    own(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return fault_errno(fault, "Cannot sync folder", path);
    return true;
}

static bool sync_parent(const char *path, struct fault *fault)
{
    own(freep) char *folder = folder_of(path);

    return file_sync_folder(folder, fault);
}

bool file_write_durable(const char *path, const void *data, size_t len, unsigned mode, struct fault *fault)
{
    own(freep) char *temporary = xprintf("%s.tmp-%d", path, (int)getpid());
    own(closep) int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);

    if (fd < 0)
        return fault_errno(fault, "Cannot write", temporary);
    if (!fd_write_all(fd, data, len) || fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(temporary, path) < 0) {
        fault_errno(fault, "Cannot write", path);
        unlink(temporary);
        return false;
    }
    return sync_parent(path, fault);
}

static bool copy_bytes(int from, int to, const char *path, uint64_t max, uint64_t *ret_size, struct fault *fault)
{
    char piece[65536];
    uint64_t size = 0;

    for (;;) {
        ssize_t n = read(from, piece, sizeof(piece));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fault_errno(fault, "Cannot read", path);
        if (n == 0)
            break;
        if ((uint64_t)n > max - size)
            return fault_set(fault, FAULT_TOO_LARGE, "%s is larger than %llu bytes.", path, (unsigned long long)max);
        if (!fd_write_all(to, piece, (size_t)n))
            return fault_errno(fault, "Cannot copy", path);
        size += (uint64_t)n;
    }
    *ret_size = size;
    return true;
}

bool file_copy_open(int from, const char *name, const char *to, uint64_t max, unsigned mode, uint64_t *ret_size,
                    struct fault *fault)
{
    uint64_t size = 0;
    own(closep) int target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

    if (target < 0)
        return fault_errno(fault, "Cannot write", to);
    bool copied = copy_bytes(from, target, name, max, &size, fault);
    if (copied && (fchmod(target, mode) < 0 || fsync(target) < 0))
        copied = fault_errno(fault, "Cannot write", to);
    if (!copied) {
        unlink(to);
        return false;
    }
    if (!sync_parent(to, fault))
        return false;
    if (ret_size)
        *ret_size = size;
    return true;
}

bool file_copy_durable(const char *from, const char *to, uint64_t max, unsigned mode, uint64_t *ret_size,
                       struct fault *fault)
{
    own(closep) int source = -1;
    struct stat st;

    return open_regular(from, O_NOFOLLOW, &source, &st, fault) &&
           file_copy_open(source, from, to, max, mode, ret_size, fault);
}

bool folder_make(const char *path, unsigned mode, struct fault *fault)
{
    own(freep) char *copy = xstrdup(path);
    struct stat st;

    for (char *p = copy + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            return fault_errno(fault, "Cannot make folder", copy);
        *p = '/';
    }
    if (mkdir(copy, mode) < 0 && errno != EEXIST)
        return fault_errno(fault, "Cannot make folder", copy);
    if (stat(copy, &st) < 0)
        return fault_errno(fault, "Cannot use folder", copy);
    if (!S_ISDIR(st.st_mode))
        return fault_set(fault, FAULT_INVALID, "%s is not a folder.", copy);
    return true;
}

bool file_lock(const char *path, int *ret_fd, struct fault *fault)
{
    own(closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return fault_errno(fault, "Cannot open lock", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? fault_set(fault, FAULT_CONFLICT, "%s is locked by another process.", path)
                                    : fault_errno(fault, "Cannot lock", path);
    *ret_fd = fd;
    fd = -1;
    return true;
}
