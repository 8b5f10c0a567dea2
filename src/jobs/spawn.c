#include "jobs/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILES_MAX = 4096 };

/* As Linux 6.12 has it, whose headers may be newer than those here. */
struct scope_attributes {
    uint64_t fs, net, scoped;
};
#define SCOPED_SIGNAL (UINT64_C(1) << 1)

int spawn_scope_open(void)
{
    const struct scope_attributes attributes = {.scoped = SCOPED_SIGNAL};

    return (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0U);
}

/* Runs in the child while it borrows its parent's memory: system calls only, and nothing written but *error. */
static void child_become(const struct spawn *spawn, pid_t parent, volatile int *error)
{
    sigset_t none;

    sigemptyset(&none);
    setsid();
    if (spawn->scope >= 0)
        /* It fails only beneath more scopes than the kernel counts. */
        syscall(SYS_landlock_restrict_self, spawn->scope, 0U);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && dup2(spawn->null, 0) == 0 &&
        dup2(spawn->output, 1) == 1 && dup2(spawn->output, 2) == 2 &&
        (spawn->socket < 0 || dup2(spawn->socket, 3) == 3) &&
        syscall(SYS_close_range, spawn->socket < 0 ? 3U : 4U, ~0U, 0U) == 0 && chdir(spawn->folder) == 0 &&
        sigprocmask(SIG_SETMASK, &none, NULL) == 0)
        execve(spawn->file, spawn->argv, spawn->environment);
    *error = errno;
    _exit(127);
}

/* What the kernel says of a program, and what its author can do about it. */
static bool refuse_file(const char *file, int error, struct fault *fault)
{
    const char *remedy = "";

    if (error == EACCES)
        remedy = " The user that runs tasks must be able to reach and execute it (chmod a+x).";
    else if (error == ENOEXEC)
        remedy = " A script begins with a line such as #!/bin/sh.";
    else if (error == ENOENT && access(file, F_OK) == 0)
        remedy = " It is there; the interpreter that it names is not.";
    return fault_set(fault, FAULT_INVALID, "%s cannot be started: %s.%s", file, strerror(error), remedy);
}

bool spawn_process(const struct spawn *spawn, pid_t *ret_pid, struct fault *fault)
{
    volatile int error = 0;
    pid_t parent = getpid();

    pid_t pid = vfork();
    if (pid == 0)
        child_become(spawn, parent, &error);
    if (pid < 0)
        return fault_unavailable(fault, 1, "No process can be started: %s.", strerror(errno));
    if (error != 0) {
        waitpid(pid, NULL, 0); /* it has ended, or is about to */
        return refuse_file(spawn->file, error, fault);
    }
    *ret_pid = pid;
    return true;
}

static bool is_program(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *spawn_find(struct arena *arena, const char *name, const char *root, const char *path)
{
    struct span rest = span_of(path), folder;

    if (strncmp(name, "./", 2) == 0)
        return arena_printf(arena, "%s/%s", root, name + 2);
    if (strchr(name, '/'))
        return arena_strdup(arena, name);
    while (span_cut(&rest, ':', &folder)) {
        char *file = arena_printf(arena, "%.*s/%s", (int)folder.len, folder.data, name);
        if (folder.len > 0 && is_program(file))
            return file;
    }
    return NULL;
}

bool spawn_confine(struct fault *fault)
{
    struct rlimit files;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) < 0 ||
        getrlimit(RLIMIT_NOFILE, &files) < 0)
        return fault_internal(fault, "Limits of processes cannot be set: %s.", strerror(errno));
    files.rlim_max = MIN(files.rlim_max, (rlim_t)FILES_MAX);
    files.rlim_cur = MIN(files.rlim_cur, files.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        return fault_internal(fault, "The limit of open files cannot be set: %s.", strerror(errno));
    return true;
}

uint64_t spawn_mark(const char *work)
{
    return UINT64_C(1) << 61 |
           hash_bytes(HASH_BEGIN, work, strlen(work)) >> 3; /* nobody's choice, and never "unlimited" */
}

void spawn_set_mark(const char *work)
{
    rlim_t mark = spawn_mark(work);

    (void)!setrlimit(RLIMIT_LOCKS, &(struct rlimit){mark, mark}); /* without it the environment has to do */
}

void strings_add(struct strings *strings, struct arena *arena, const char *text)
{
    /* grown to the next power of two, so that a list costs a few allocations only */
    if ((strings->count & (strings->count + 1)) == 0) {
        char **items = arena_alloc(arena, (2 * strings->count + 2) * sizeof *items);
        if (strings->count > 0)
            memcpy(items, strings->items, strings->count * sizeof *items);
        strings->items = items;
    }
    strings->items[strings->count++] = arena_strdup(arena, text);
    strings->items[strings->count] = NULL;
}

void strings_set(struct strings *strings, struct arena *arena, const char *name, const char *value)
{
    size_t len = strlen(name);
    char *entry = arena_printf(arena, "%s=%s", name, value);

    for (size_t i = 0; i < strings->count; i++)
        if (strncmp(strings->items[i], entry, len + 1) == 0) {
            strings->items[i] = entry;
            return;
        }
    strings_add(strings, arena, entry);
}
