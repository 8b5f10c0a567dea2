/* The runner's beginnings: its user, its folder, and the end of whatever an earlier runner left alive. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "bailiff/file.h"
#include "jobs/runner.h"
#include "jobs/spawn.h"

enum { PREDECESSOR_TIMEOUT_MS = 60000, KEEPERS_PATIENCE_MS = 5000, BACKLOG = 4, EMPTY_LOOKS = 3 };

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* Makes the folder ours, while we may still be root. Never through a link: an earlier runner's user could have laid
 * one. */
static bool work_folder_make(struct runner *runner, struct fault *fault)
{
    const struct runner_options *options = runner->options;

    if (!folder_make(options->work_folder, runner->folder_mode, fault))
        return false;
    own(closep) int fd = open(options->work_folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fault_set(fault, FAULT_INVALID, "The work folder %s cannot be opened: %s.", options->work_folder,
                         strerror(errno));
    if (options->run_as_uid != 0 && fchown(fd, options->run_as_uid, options->run_as_gid) < 0)
        return fault_set(fault, FAULT_INVALID, "The work folder %s cannot be given to user %u: %s.",
                         options->work_folder, (unsigned)options->run_as_uid, strerror(errno));
    runner->work = realpath(options->work_folder, NULL);
    if (!runner->work || strlen(runner->work) > 2000)
        return fault_set(fault, FAULT_INVALID, "The work folder's path %s cannot be used.", options->work_folder);
    return true;
}

static bool become_user(const struct runner_options *options, struct fault *fault)
{
    uid_t uid = options->run_as_uid, real, effective, saved;
    gid_t gid = options->run_as_gid, real_gid, effective_gid, saved_gid;

    if (uid == 0)
        return true;
    if (gid == 0)
        return fault_set(fault, FAULT_INVALID, "The runner's group may not be root's.");
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return fault_set(fault, FAULT_INVALID, "The runner cannot become user %u: %s.", (unsigned)uid, strerror(errno));
    if (getresuid(&real, &effective, &saved) < 0 || getresgid(&real_gid, &effective_gid, &saved_gid) < 0 ||
        real != uid || effective != uid || saved != uid || real_gid != gid || effective_gid != gid ||
        saved_gid != gid || getgroups(0, NULL) != 0 || setuid(0) == 0)
        return fault_set(fault, FAULT_INVALID, "The runner is still privileged after becoming user %u.", (unsigned)uid);
    return true;
}

/* The runner before this one may need a moment to go. */
static bool work_folder_lock(struct runner *runner, struct fault *fault)
{
    own(freep) char *path = xprintf("%s/lock", runner->work);
    int64_t deadline = clock_mono_ms() + PREDECESSOR_TIMEOUT_MS;

    runner->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (runner->lock < 0)
        return fault_set(fault, FAULT_INVALID, "%s cannot be opened: %s.", path, strerror(errno));
    while (flock(runner->lock, LOCK_EX | LOCK_NB) < 0) {
        if (clock_mono_ms() > deadline)
            return fault_set(fault, FAULT_CONFLICT, "Another runner uses the work folder %s.", runner->work);
        sleep_ms(10);
    }
    return true;
}

/* Keepers end theirs when their runner has gone. One that does not in time (it may have been stopped) is killed. */
static bool old_keepers_end(struct runner *runner, struct fault *fault)
{
    own(freep) char *path = xprintf("%s/keepers.lock", runner->work);
    own(closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int64_t begin = clock_mono_ms();

    if (fd < 0)
        return fault_set(fault, FAULT_INVALID, "%s cannot be opened: %s.", path, strerror(errno));
    for (;; sleep_ms(5)) {
        struct flock other = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        if (fcntl(fd, F_GETLK, &other) < 0)
            return fault_set(fault, FAULT_INVALID, "%s cannot be asked for its holders: %s.", path, strerror(errno));
        if (other.l_type == F_UNLCK)
            return true;
        int64_t waited = clock_mono_ms() - begin;
        if (waited > PREDECESSOR_TIMEOUT_MS)
            return fault_set(fault, FAULT_CONFLICT, "A keeper of an earlier runner does not end (process %d).",
                             (int)other.l_pid);
        if (waited > KEEPERS_PATIENCE_MS && other.l_pid > 0)
            kill(other.l_pid, SIGKILL);
    }
}

static bool leftovers_end(struct runner *runner, struct fault *fault)
{
    own(freep) char *entry = xprintf("BAILIFF_WORK=%s", runner->work);
    int64_t deadline = clock_mono_ms() + PREDECESSOR_TIMEOUT_MS;

    for (unsigned empty_looks = 0;; sleep_ms(2)) {
        struct census_mark before = census_mark(&runner->census);
        size_t found = census_kill_marked(&runner->census, entry, spawn_mark(runner->work));
        struct census_mark after = census_mark(&runner->census);
        if (found == 0 && (census_quiet(&before, &after) || ++empty_looks == EMPTY_LOOKS))
            return true; /* nobody was born while we looked, or it was looked often enough */
        if (found == 0)
            continue;
        empty_looks = 0;
        log_write(runner->options->log, LOG_WARNING, "runner.leftovers", "Ended processes of an earlier runner.",
                  L_INT("count", found));
        if (clock_mono_ms() > deadline)
            return fault_set(fault, FAULT_CONFLICT, "Processes of an earlier runner do not end.");
    }
}

static bool subfolder_make(struct runner *runner, const char *name, bool fresh, struct fault *fault)
{
    own(freep) char *path = xprintf("%s/%s", runner->work, name);

    if (fresh)
        trash_throw(&runner->trash, path);
    if (mkdir(path, runner->folder_mode) < 0 && errno != EEXIST)
        return fault_set(fault, FAULT_INVALID, "%s cannot be made: %s.", path, strerror(errno));
    return true;
}

static bool subfolders_make(struct runner *runner, struct fault *fault)
{
    own(freep) char *trash = xprintf("%s/trash", runner->work);

    folders_init(&runner->folders, &runner->trash, (mode_t)runner->folder_mode);
    return trash_init(&runner->trash, trash, fault) && subfolder_make(runner, "attempts", true, fault) &&
           subfolder_make(runner, "reads", true, fault) && subfolder_make(runner, "loads", true, fault) &&
           subfolder_make(runner, "home", false, fault);
}

bool runner_setup(struct runner *runner, struct fault *fault)
{
    const struct runner_options *options = runner->options;
    sigset_t watched;

    /* Only a server of another user than ours needs to be let in by the group. */
    runner->folder_mode = options->socket_fd >= 0 ? 0700 : 0750;
    umask(options->socket_fd >= 0 ? 077 : 027);
    if (!work_folder_make(runner, fault) || !become_user(options, fault))
        return false;
    sigfillset(&watched);
    sigprocmask(SIG_SETMASK, &watched, NULL);
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    runner->signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    runner->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (runner->signals < 0 || runner->null < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ||
        prctl(PR_SET_DUMPABLE, 0) < 0)
        return fault_internal(fault, "The runner cannot be set up: %s.", strerror(errno));
    return census_init(&runner->census, fault) && work_folder_lock(runner, fault) && old_keepers_end(runner, fault) &&
           leftovers_end(runner, fault) && subfolders_make(runner, fault);
}

bool runner_listen(struct runner *runner, struct fault *fault)
{
    const char *path = runner->options->socket_path;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static const char FRESH[] = ".new";
    struct stat st;

    if (!path || strlen(path) + strlen(FRESH) >= sizeof address.sun_path)
        return fault_set(fault, FAULT_INVALID, "The runner's socket path is missing or too long (%zu bytes at most).",
                         sizeof address.sun_path - 1 - strlen(FRESH));
    snprintf(address.sun_path, sizeof address.sun_path, "%s%s", path, FRESH);
    own(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* We hold the work folder, so a socket that is there is an earlier runner's. Ours has its name when it can be connected to: a server
     * that starts at the same time finds the one or none. */
    if (lstat(address.sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(address.sun_path);
    if ((lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode) && (errno = EADDRINUSE)) || fd < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || chmod(address.sun_path, 0666) < 0 ||
        listen(fd, BACKLOG) < 0 || rename(address.sun_path, path) < 0)
        return fault_set(fault, FAULT_INVALID, "The runner cannot listen on %s: %s.", path, strerror(errno));
    runner->listener = fd;
    fd = -1;
    return true;
}

bool runner_accept(struct runner *runner, int *ret_fd, struct fault *fault)
{
    struct pollfd fds[] = {{.fd = runner->listener, .events = POLLIN}, {.fd = runner->signals, .events = POLLIN}};
    struct signalfd_siginfo info;
    struct ucred peer;
    socklen_t size = sizeof peer;

    *ret_fd = -1;
    if (poll(fds, ARRAY_LEN(fds), trash_sweep(&runner->trash, 256) ? 0 : -1) < 0 && errno != EINTR)
        return fault_internal(fault, "poll: %s", strerror(errno));
    while (read(runner->signals, &info, sizeof info) == sizeof info)
        runner->stopping |= info.ssi_signo != SIGCHLD;
    own(closep) int fd = accept4(runner->listener, NULL, NULL, SOCK_CLOEXEC);
    if (runner->stopping || fd < 0)
        return true;
    /* Anybody may knock; only the server's user is let in. */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid != runner->options->server_uid) {
        log_write(runner->options->log, LOG_WARNING, "runner.stranger", "Refused a connection of another user.",
                  L_INT("uid", peer.uid));
        return true;
    }
    *ret_fd = fd;
    fd = -1;
    return true;
}
