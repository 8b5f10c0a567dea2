#include "jobs/descendants.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "bailiff/text.h"

enum {
    QUIET_MAX_US = 1000000, /* process numbers cannot come round to the same one in so short a time */
    ENVIRONMENT_MAX = 1 << 20,
    CHILDREN_BYTES_MAX = 16384,
    CHILDREN_MAX = CHILDREN_BYTES_MAX / 2,
};

bool census_init(struct census *census, struct fault *fault)
{
    struct statfs fs;

    *census = (struct census){.proc = opendir("/proc"), .last = -1};
    if (!census->proc || fstatfs(dirfd(census->proc), &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
        return fault_set(fault, FAULT_UNAVAILABLE, "/proc is not mounted: processes could not be ended reliably.");
    census->last = openat(dirfd(census->proc), "loadavg", O_RDONLY | O_CLOEXEC);
    /* Containers may lay a file of their own making over it. */
    if (census->last >= 0 && (fstatfs(census->last, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC))
        closep(&census->last);
    return true;
}

void census_done(struct census *census)
{
    if (census->proc)
        closedir(census->proc);
    closep(&census->last);
    free(census->list);
    *census = (struct census){.last = -1};
}

/* "pid (name, which may hold anything) state ppid …": fields are counted from behind the last ')'. */
static bool stat_parse(const char *text, struct process *ret_process)
{
    const char *rest = strrchr(text, ')');
    char state;
    int parent;
    long threads;
    unsigned long long started;

    if (!rest || sscanf(rest + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %llu",
                        &state, &parent, &threads, &started) != 4)
        return false;
    ret_process->parent = parent;
    ret_process->started = started;
    /* A zombie whose other threads live on is not dead. */
    ret_process->dead = (state == 'Z' || state == 'X') && threads <= 1;
    return true;
}

/* The beginning of what the kernel says of the process, as text. */
static bool process_read(struct census *census, pid_t pid, const char *name, char *ret_text, size_t size)
{
    char path[32];

    snprintf(path, sizeof path, "%d/%s", (int)pid, name);
    own(closep) int fd = openat(dirfd(census->proc), path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, ret_text, size - 1);
    if (len <= 0)
        return false;
    ret_text[len] = '\0';
    return true;
}

static bool process_look(struct census *census, pid_t pid, struct process *ret_process)
{
    char content[1024];

    if (!process_read(census, pid, "stat", content, sizeof content))
        return false;
    *ret_process = (struct process){.pid = pid};
    return stat_parse(content, ret_process);
}

static int by_pid(const void *a, const void *b)
{
    const struct process *x = a, *y = b;

    return (x->pid > y->pid) - (x->pid < y->pid);
}

static void census_take(struct census *census)
{
    uint64_t pid;

    census->count = 0;
    rewinddir(census->proc);
    for (struct dirent *entry; (entry = readdir(census->proc));) {
        struct process process;
        if (!span_to_u64(span_of(entry->d_name), INT32_MAX, &pid) || !process_look(census, (pid_t)pid, &process))
            continue;
        if (census->count == census->cap) {
            census->cap = census->cap ? 2 * census->cap : 256;
            census->list = xrealloc(census->list, census->cap * sizeof *census->list);
        }
        census->list[census->count++] = process;
    }
    if (census->count > 1)
        qsort(census->list, census->count, sizeof *census->list, by_pid);
}

static bool is_spared(struct spared spared, pid_t pid)
{
    for (size_t i = 0; i < spared.count; i++)
        if (spared.pids[i] == pid)
            return true;
    return false;
}

/* Marks every descendant of this process, following the tree until nothing new is found. */
static void mark_descendants(struct census *census, struct spared spared)
{
    pid_t self = getpid();

    for (bool found = census->count > 0; found;) {
        found = false;
        for (size_t i = 0; i < census->count; i++) {
            struct process *process = &census->list[i];
            if (process->marked || (spared.descendants && is_spared(spared, process->pid)))
                continue;
            struct process key = {.pid = process->parent};
            struct process *parent = bsearch(&key, census->list, census->count, sizeof key, by_pid);
            if (process->parent == self || (parent && parent->marked))
                process->marked = found = true;
        }
    }
}

static void process_signal(struct census *census, const struct process *process, int signal)
{
    own(closep) int fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    struct process now;

    if (fd < 0 && errno == ESRCH)
        return;
    if (!process_look(census, process->pid, &now) || now.started != process->started)
        return;
    if (fd >= 0)
        syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
    else
        kill(process->pid, signal); /* a sandbox without pidfds */
}

size_t census_signal(struct census *census, struct spared spared, int signal)
{
    size_t alive = 0;

    census_take(census);
    mark_descendants(census, spared);
    for (size_t i = 0; i < census->count; i++) {
        struct process *process = &census->list[i];
        if (!process->marked || process->dead || is_spared(spared, process->pid))
            continue;
        alive++;
        if (signal != 0)
            process_signal(census, process, signal);
    }
    return alive;
}

static bool environment_has(struct census *census, pid_t pid, const char *entry)
{
    char path[32];
    own(text_done) struct text content = {0};
    size_t len = strlen(entry) + 1; /* entries end with a NUL */

    snprintf(path, sizeof path, "%d/environ", (int)pid);
    own(closep) int fd = openat(dirfd(census->proc), path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    for (char piece[4096]; content.len < ENVIRONMENT_MAX;) {
        ssize_t got = read(fd, piece, sizeof piece);
        if (got <= 0)
            break;
        text_append(&content, piece, (size_t)got);
    }
    for (size_t at = 0; at + len <= content.len; at += strlen(content.data + at) + 1)
        if (memcmp(content.data + at, entry, len) == 0)
            return true;
    return false;
}

/* The environment of a process that is not dumpable cannot be read, and belongs to root. */
static bool is_marked_by_environment(struct census *census, pid_t pid, const char *entry)
{
    char path[32];
    struct stat owner;

    snprintf(path, sizeof path, "%d", (int)pid);
    return fstatat(dirfd(census->proc), path, &owner, 0) == 0 && owner.st_uid == geteuid() &&
           environment_has(census, pid, entry);
}

/* "Max file locks            soft                 hard                 locks" */
static bool is_marked_by_limit(struct census *census, pid_t pid, uint64_t mark)
{
    char content[4096];
    unsigned long long hard;

    if (!process_read(census, pid, "limits", content, sizeof content))
        return false;
    const char *line = strstr(content, "\nMax file locks ");
    return line && sscanf(line + strlen("\nMax file locks "), " %*s %llu", &hard) == 1 && hard == mark &&
           kill(pid, 0) == 0; /* of our own user */
}

size_t census_kill_marked(struct census *census, const char *entry, uint64_t mark)
{
    size_t found = 0;

    census_take(census);
    for (size_t i = 0; i < census->count; i++) {
        struct process *process = &census->list[i];
        if (process->dead || process->pid == getpid() ||
            (!is_marked_by_limit(census, process->pid, mark) && !is_marked_by_environment(census, process->pid, entry)))
            continue;
        found++;
        process_signal(census, process, SIGKILL);
    }
    return found;
}

struct census_mark census_mark(struct census *census)
{
    struct census_mark mark = {.at_us = clock_mono_us()};
    char content[128];
    uint64_t last;

    ssize_t len = census->last < 0 ? -1 : pread(census->last, content, sizeof content - 1, 0);
    if (len <= 0)
        return (struct census_mark){0};
    if (content[len - 1] == '\n')
        len--;
    content[len] = '\0';
    const char *number = strrchr(content, ' ');
    if (!number || !span_to_u64(span_of(number + 1), INT32_MAX, &last))
        return (struct census_mark){0};
    mark.last_pid = (int64_t)last;
    return mark;
}

bool census_quiet(const struct census_mark *since, const struct census_mark *now)
{
    return since->last_pid != 0 && now->last_pid == since->last_pid && now->at_us - since->at_us < QUIET_MAX_US;
}

void census_prove(struct census *census, const struct census_mark *since)
{
    struct census_mark now = census_mark(census);

    if (census_quiet(since, &now))
        closep(&census->last);
}

/* ---- the kernel's own lists ---- */

/* The thread's children, or -1: they cannot be told. What we are the parent of stays in our list until we take note of its
 * end, so that nobody can leave it while it is read. */
static int children_read(struct census *census, pid_t pid, const char *tid, pid_t *ret_pids)
{
    char path[64], content[CHILDREN_BYTES_MAX];
    size_t len = 0;
    int count = 0;

    snprintf(path, sizeof path, "%d/task/%s/children", (int)pid, tid);
    own(closep) int fd = openat(dirfd(census->proc), path, O_RDONLY | O_CLOEXEC);
    for (ssize_t got = 1; got > 0; len += (size_t)got)
        if (fd < 0 || len == sizeof content || (got = read(fd, content + len, sizeof content - len)) < 0)
            return -1;
    struct span rest = {content, len}, word;
    uint64_t number;
    while (span_cut(&rest, ' ', &word)) /* "12 345 " */
        if (span_to_u64(word, INT32_MAX, &number))
            ret_pids[count++] = (pid_t)number;
    return count;
}

static int own_children_read(struct census *census, pid_t *ret_pids)
{
    char self[16];

    snprintf(self, sizeof self, "%d", (int)getpid());
    return children_read(census, getpid(), self, ret_pids);
}

/* A child that has ended has no children any more, even if its parent does not care to know. */
static bool none_lives(struct census *census, const pid_t *pids, int count)
{
    for (int i = 0; i < count; i++) {
        struct process process;
        if (process_look(census, pids[i], &process) && !process.dead)
            return false;
    }
    return count >= 0;
}

static bool is_childless(struct census *census, pid_t pid)
{
    pid_t children[CHILDREN_MAX];
    char path[32];
    bool childless = true;

    snprintf(path, sizeof path, "%d/task", (int)pid);
    int fd = openat(dirfd(census->proc), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *threads = fd < 0 ? NULL : fdopendir(fd);
    if (!threads) {
        closep(&fd);
        return false;
    }
    for (struct dirent *entry; childless && (entry = readdir(threads));)
        childless = entry->d_name[0] == '.' ||
                    none_lives(census, children, children_read(census, pid, entry->d_name, children));
    closedir(threads);
    return childless;
}

bool census_alone(struct census *census, pid_t child)
{
    siginfo_t info;

    /* Whoever loses its parent becomes ours, we being the subreaper: without a child there is no descendant. */
    if (child == 0)
        return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
    /* First the child's own: one that it had and that lost its parent since then is found among ours. */
    return is_childless(census, child) && census_only(census, (struct spared){.pids = &child, .count = 1});
}

bool census_only(struct census *census, struct spared spared)
{
    pid_t children[CHILDREN_MAX];
    int count = own_children_read(census, children);

    for (int i = 0; i < count; i++)
        if (!is_spared(spared, children[i]))
            return false;
    return count >= 0;
}

bool census_can_tell(struct census *census)
{
    pid_t children[CHILDREN_MAX];

    return own_children_read(census, children) >= 0;
}

void census_kill_children(struct census *census, struct spared spared)
{
    pid_t children[CHILDREN_MAX];
    int count = own_children_read(census, children);

    for (int i = 0; i < count; i++)
        if (!is_spared(spared, children[i]))
            kill(children[i], SIGKILL); /* not reaped yet: the number is its own */
}
