#include "jobs/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "bailiff/jobs.h"
#include "jobs/folders.h"
#include "jobs/spawn.h"

enum { RUNNER_DESCRIPTOR = 3 };

static void keeper_done(struct keeper *keeper)
{
    link_done(&keeper->runner);
    link_done(&keeper->worker_link);
    keeper_close_output(&keeper->worker);
    keeper_close_output(&keeper->command);
    closep(&keeper->signals);
    closep(&keeper->null);
    closep(&keeper->scope);
    closep(&keeper->locks);
    closep(&keeper->presence);
    census_done(&keeper->census);
    request_done(&keeper->request);
    free(keeper->outcome.error);
    free(keeper->outcome.stacktrace);
    free(keeper->outcome.kind);
    json_decref(keeper->outcome.exceptions);
    free(keeper->python);
    free(keeper->package);
    free(keeper->work);
    free(keeper->folder);
}

static bool keeper_init(struct keeper *keeper, struct fault *fault)
{
    sigset_t watched;

    *keeper = (struct keeper){.worker = {.output = -1, .holding = -1},
                              .command = {.output = -1, .holding = -1},
                              .locks = -1,
                              .signals = -1,
                              .null = -1,
                              .presence = -1,
                              .scope = -1};
    keeper->worker_link.fd = -1;
    keeper->census.last = -1;
    link_init(&keeper->runner, RUNNER_DESCRIPTOR);
    sigfillset(&watched);
    if (sigprocmask(SIG_SETMASK, &watched, NULL) < 0)
        return fault_internal(fault, "Signals cannot be blocked: %s.", strerror(errno));
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    keeper->signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    keeper->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    /* Not dumpable: users' code, which is of the same user, cannot attach to it. The runner's end ends it, too. */
    if (keeper->signals < 0 || keeper->null < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
        return fault_internal(fault, "The keeper cannot be set up: %s.", strerror(errno));
    keeper->scope = spawn_scope_open();
    return spawn_confine(fault) && census_init(&keeper->census, fault);
}

void keeper_reply(struct keeper *keeper, struct text *json)
{
    struct fault fault = {0};

    /* All that a reply quotes is bounded, so it fits. If it does not, the runner must not wait for it. */
    if (!link_send(&keeper->runner, text_span(json), &fault))
        keeper->runner.ended = true;
}

static bool lock_file_open(struct keeper *keeper, const char *name, int *ret_fd, struct fault *fault)
{
    own(freep) char *path = xprintf("%s/%s", keeper->work, name);

    *ret_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return *ret_fd >= 0 || fault_set(fault, FAULT_INVALID, "%s cannot be opened: %s.", path, strerror(errno));
}

static bool locks_open(struct keeper *keeper, struct fault *fault)
{
    struct flock shared = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

    if (!lock_file_open(keeper, "keepers.lock", &keeper->presence, fault) ||
        !lock_file_open(keeper, "jobs.lock", &keeper->locks, fault))
        return false;
    /* A lock of the process, not of the file: so that one can ask who holds it. */
    return fcntl(keeper->presence, F_SETLK, &shared) == 0 ||
           fault_set(fault, FAULT_INVALID, "%s/keepers.lock cannot be locked: %s.", keeper->work, strerror(errno));
}

static bool greet(struct keeper *keeper, const struct request *request, struct fault *fault)
{
    if (keeper->work || !request->work)
        return fault_set(fault, FAULT_INVALID, "A keeper is greeted once, with its work folder.");
    keeper->python = xstrdup(request->python);
    keeper->package = xstrdup(request->package);
    keeper->work = xstrdup(request->work);
    keeper->folder = keeper_folder_path(keeper->work, getpid());
    keeper->log_max = (uint64_t)request->log_max_bytes;
    spawn_set_mark(keeper->work);
    return locks_open(keeper, fault);
}

static bool take_request(struct keeper *keeper, struct request *request, struct fault *fault)
{
    if (!keeper->work && request->op != REQUEST_HELLO)
        return fault_set(fault, FAULT_INVALID, "The runner did not greet its keeper.");
    switch (request->op) {
    case REQUEST_HELLO:
        return greet(keeper, request, fault);
    case REQUEST_CANCEL:
        keeper_cancel(keeper, request->attempt);
        return true;
    case REQUEST_PUBLISH:
        keeper_publish(keeper, request);
        return true;
    case REQUEST_START:
    case REQUEST_READ:
        if (keeper->state != KEEPER_IDLE || (request->op == REQUEST_READ && !request->result))
            break;
        keeper_start(keeper, request);
        return true;
    default:
        break;
    }
    return fault_set(fault, FAULT_INVALID, "The runner asked for what cannot be done now.");
}

static bool hear_runner(struct keeper *keeper, struct fault *fault)
{
    struct frame frame;

    if (!link_fill(&keeper->runner, fault))
        return false;
    for (bool got;;) {
        own(request_done) struct request request = {0};
        if (!link_next(&keeper->runner, &frame, &got, fault))
            return false;
        if (!got)
            return !keeper->runner.ended;
        if (frame.type != FRAME_MESSAGE || !request_read(frame.body, &request, fault) ||
            !take_request(keeper, &request, fault))
            return false;
    }
}

/* False when the keeper is told to go. */
static bool hear_signals(struct keeper *keeper)
{
    struct signalfd_siginfo infos[4]; /* of each signal that is waited for there is one at most */
    ssize_t len = read(keeper->signals, infos, sizeof infos);
    int status;

    for (ssize_t i = 0; i * (ssize_t)sizeof *infos < len; i++)
        if (infos[i].ssi_signo == SIGTERM)
            return false;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        keeper_child_exited(keeper, pid, status);
    return true;
}

static bool keeper_turn(struct keeper *keeper, struct fault *fault)
{
    struct child *speaker = keeper_speaker(keeper);
    bool worker = keeper->worker_link.fd >= 0 && keeper->hangup_ms == 0;
    struct pollfd fds[] = {
        {.fd = RUNNER_DESCRIPTOR, .events = link_events(&keeper->runner)},
        {.fd = keeper->signals, .events = POLLIN},
        {.fd = worker ? keeper->worker_link.fd : -1, .events = worker ? link_events(&keeper->worker_link) : 0},
        {.fd = speaker ? speaker->output : -1, .events = POLLIN},
    };

    if (poll(fds, ARRAY_LEN(fds), keeper_timeout(keeper, clock_mono_ms())) < 0 && errno != EINTR)
        return fault_internal(fault, "poll: %s", strerror(errno));
    /* The worker first: an attempt that has ended by itself is not canceled any more. */
    if (fds[2].revents) {
        keeper_worker_hear(keeper);
        if (keeper->worker_link.fd >= 0)
            (void)!link_flush(&keeper->worker_link, NULL);
    }
    if (fds[1].revents && !hear_signals(keeper))
        return false;
    if (fds[3].revents)
        keeper_read_output(keeper);
    if ((fds[0].revents & ~POLLOUT) && !hear_runner(keeper, fault))
        return false;
    keeper_step(keeper, clock_mono_ms());
    return !keeper->runner.ended && link_flush(&keeper->runner, fault);
}

int keeper_run(void)
{
    own(keeper_done) struct keeper keeper;
    struct fault fault = {0};

    bool ready = keeper_init(&keeper, &fault);
    while (ready && keeper_turn(&keeper, &fault))
        ;
    if (keeper.census.proc)
        keeper_end_everything(&keeper);
    return fault.kind == FAULT_NONE || fault.kind == FAULT_UNAVAILABLE ? 0 : 1;
}
