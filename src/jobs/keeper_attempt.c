/* An attempt from its start to its outcome. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "jobs/keeper.h"

enum { LOCK_RETRY_MS = 10, HANGUP_MS = 1000 };

void keeper_conclude(struct keeper *keeper, enum attempt_result result, const char *error, const char *stacktrace)
{
    if (keeper->state != KEEPER_LOCKING && keeper->state != KEEPER_RUNNING)
        return;
    bool stopped = result == ATTEMPT_CANCELED || result == ATTEMPT_TIMED_OUT;
    int64_t grace = MIN(keeper->request.grace_ms, (int64_t)KEEPER_GRACE_MAX_MS);

    keeper->outcome.result = result;
    keeper->outcome.error = error ? xstrdup(error) : NULL;
    keeper->outcome.stacktrace = stacktrace ? xstrndup(stacktrace, strnlen(stacktrace, KEEPER_TEXT_MAX)) : NULL;
    keeper->kill_ms = stopped ? clock_mono_ms() + grace : 0;
    if (stopped && !request_is_command(&keeper->request) && keeper->state == KEEPER_RUNNING)
        keeper->worker_spent = true; /* its function is still on its stack */
    keeper->state = KEEPER_ENDING;
    keeper->rounds = 0;
    keeper->gone = false;
}

/* Of a read: what it failed of. */
static void conclude_kind(struct keeper *keeper, const char *kind, const char *error)
{
    keeper_conclude(keeper, ATTEMPT_FAILED, error, NULL);
    if (!keeper->outcome.kind)
        keeper->outcome.kind = xstrdup(kind);
}

/* The job's byte of the lock file. Two jobs that met there would only wait for each other. */
static off_t lock_place(const char *job)
{
    return (off_t)(hash_bytes(HASH_BEGIN, job, strlen(job)) >> 2);
}

static bool lock_set(struct keeper *keeper, short type)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = lock_place(keeper->request.job), .l_len = 1};

    return fcntl(keeper->locks, F_OFD_SETLK, &range) == 0;
}

/* Takes the lock of the job's attempts. False: another process has it, or *ret_error says why it cannot be had. */
static bool lock_take(struct keeper *keeper, char **ret_error)
{
    keeper->locked = lock_set(keeper, F_WRLCK);
    if (!keeper->locked && errno != EAGAIN && errno != EACCES)
        *ret_error = xprintf("The job's lock cannot be taken: %s.", strerror(errno));
    return keeper->locked;
}

void keeper_unlock(struct keeper *keeper)
{
    if (keeper->locked && !lock_set(keeper, F_UNLCK))
        keeper->runner.ended = true; /* never seen; if it ever is, the lock goes with the keeper */
    keeper->locked = false;
}

static void run(struct keeper *keeper)
{
    struct fault fault = {0};
    bool command = request_is_command(&keeper->request);
    int64_t limit = keeper_is_reading(keeper) ? KEEPER_READ_TIMEOUT_MS : keeper->request.timeout_ms;

    keeper->state = KEEPER_RUNNING;
    keeper->deadline_ms = limit > 0 ? clock_mono_ms() + limit : 0;
    if (command ? keeper_run_command(keeper, &fault) : keeper_run_worker(keeper, &fault))
        return;
    if (keeper_is_reading(keeper))
        conclude_kind(keeper, "unavailable", fault.message);
    else /* descriptors or processes that are short are not the task's fault, and pass */
        keeper_conclude(keeper, fault.kind == FAULT_UNAVAILABLE ? ATTEMPT_UNSTARTED : ATTEMPT_FAILED, fault.message,
                        NULL);
}

static void lock_step(struct keeper *keeper, int64_t now_ms)
{
    own(freep) char *error = NULL;

    if (lock_take(keeper, &error))
        run(keeper);
    else if (error)
        keeper_conclude(keeper, ATTEMPT_FAILED, error, NULL);
    else if (now_ms >= keeper->deadline_ms)
        keeper_conclude(keeper, ATTEMPT_LOST, "An earlier attempt of the job does not end.", NULL);
}

void keeper_start(struct keeper *keeper, struct request *request)
{
    int64_t now_ms = clock_mono_ms();

    keeper->request = *request;
    *request = (struct request){0};
    keeper->logged = 0;
    keeper->log_cut = false;
    keeper->deadline_ms = now_ms + KEEPER_LOCK_TIMEOUT_MS;
    keeper->state = KEEPER_LOCKING;
    if (keeper_is_reading(keeper))
        run(keeper); /* reads may be repeated: they need no lock */
    else
        lock_step(keeper, now_ms);
}

void keeper_cancel(struct keeper *keeper, int64_t attempt)
{
    if (keeper->state != KEEPER_IDLE && keeper->request.op == REQUEST_START && keeper->request.attempt == attempt)
        keeper_conclude(keeper, ATTEMPT_CANCELED, NULL, NULL);
}

/* The first output that was not written, or NULL. */
static const char *output_missing(const struct request *request)
{
    for (size_t i = 0; i < json_array_size(request->outputs); i++) {
        struct node_message node;
        struct stat st;
        if (!node_message_read(json_array_get(request->outputs, i), &node) || !node.path || lstat(node.path, &st) < 0 ||
            !S_ISREG(st.st_mode))
            return json_string_value(json_object_get(json_array_get(request->outputs, i), "config_id"));
    }
    return NULL;
}

static void conclude_success(struct keeper *keeper)
{
    const char *missing = output_missing(&keeper->request);
    own(freep) char *error = missing ? xprintf("The task ended without writing its output %s.", missing) : NULL;

    keeper_conclude(keeper, missing ? ATTEMPT_FAILED : ATTEMPT_COMPLETED, error, NULL);
}

static void conclude_exit(struct keeper *keeper, const char *who, int status)
{
    own(freep) char *error = NULL;

    if (keeper->state == KEEPER_RUNNING) {
        keeper->outcome.exited = WIFEXITED(status);
        keeper->outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
        keeper->outcome.signaled = WIFSIGNALED(status);
        keeper->outcome.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    }
    if (WIFSIGNALED(status)) {
        const char *name = sigdescr_np(WTERMSIG(status));
        error = xprintf("The %s was ended by signal %d (%s).", who, WTERMSIG(status), name ? name : "unknown");
    } else
        error = xprintf("The %s ended with exit code %d.", who, WEXITSTATUS(status));
    if (keeper_is_reading(keeper))
        conclude_kind(keeper, "unreadable", error);
    else
        keeper_conclude(keeper, ATTEMPT_FAILED, error, NULL);
}

void keeper_child_exited(struct keeper *keeper, pid_t pid, int status)
{
    bool command = request_is_command(&keeper->request);

    if (pid == keeper->command.pid) {
        keeper->command.pid = 0;
        if (keeper->state != KEEPER_RUNNING)
            return;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
            keeper->outcome.exited = true;
            conclude_success(keeper);
        } else
            conclude_exit(keeper, "command", status);
    } else if (pid == keeper->worker.pid) {
        keeper_worker_hear(keeper); /* it may have answered before it went */
        keeper_forget_worker(keeper);
        if (keeper->state == KEEPER_RUNNING && !command)
            conclude_exit(keeper, "worker process", status);
    }
}

static void worker_broke(struct keeper *keeper, const char *how)
{
    bool concerned = keeper->state == KEEPER_RUNNING && !request_is_command(&keeper->request);

    keeper->worker_spent = true;
    if (keeper->worker.pid > 0)
        kill(keeper->worker.pid, SIGKILL); /* our own child, not reaped yet: the number is still its own */
    if (concerned && keeper_is_reading(keeper))
        conclude_kind(keeper, "unreadable", how);
    else if (concerned)
        keeper_conclude(keeper, ATTEMPT_FAILED, how, NULL);
}

static void worker_answered(struct keeper *keeper, const struct worker_answer *answer)
{
    if (keeper->state != KEEPER_RUNNING || request_is_command(&keeper->request)) {
        if (keeper->state == KEEPER_ENDING && keeper->worker_spent)
            return; /* too late */
        worker_broke(keeper, "The worker answered without being asked.");
        return;
    }
    keeper->worker_spent |= answer->restart;
    if (keeper_is_reading(keeper)) {
        if (answer->ok)
            keeper_conclude(keeper, ATTEMPT_COMPLETED, NULL, NULL);
        else
            conclude_kind(keeper, answer->kind ? answer->kind : "unreadable", answer->error);
    } else if (answer->ok)
        conclude_success(keeper);
    else {
        keeper->outcome.exceptions = json_incref(answer->exceptions);
        keeper_conclude(keeper, ATTEMPT_FAILED, answer->error ? answer->error : "The function failed.",
                        answer->stacktrace);
    }
}

/* Takes what was received; false if it is not the protocol. */
static bool worker_take(struct keeper *keeper, struct fault *fault)
{
    struct frame frame;

    for (bool got;;) {
        if (!link_next(&keeper->worker_link, &frame, &got, fault))
            return false;
        if (!got)
            return true;
        own(worker_answer_done) struct worker_answer answer = {0};
        if (frame.type != FRAME_MESSAGE)
            return fault_set(fault, FAULT_INVALID, "output on the wrong connection");
        if (!worker_answer_read(frame.body, &answer, fault))
            return false;
        worker_answered(keeper, &answer);
    }
}

void keeper_worker_hear(struct keeper *keeper)
{
    struct fault fault = {0};
    struct link *link = &keeper->worker_link;
    int waiting = 0;

    if (link->fd < 0 || keeper->hangup_ms != 0)
        return;
    do {
        if (!link_fill(link, &fault))
            link->ended = true; /* reset by a dying worker */
        else if (!worker_take(keeper, &fault)) {
            worker_broke(keeper, "The worker does not keep to its protocol.");
            link->ended = true;
        }
    } while (!link->ended && ioctl(link->fd, FIONREAD, &waiting) == 0 && waiting > 0);
    if (link->ended)
        keeper->hangup_ms = clock_mono_ms() + HANGUP_MS;
}

void keeper_step(struct keeper *keeper, int64_t now_ms)
{
    if (keeper->hangup_ms != 0 && now_ms >= keeper->hangup_ms) {
        keeper->hangup_ms = now_ms + HANGUP_MS;
        worker_broke(keeper, "The function closed its worker's connection.");
    }
    if (keeper->state == KEEPER_LOCKING)
        lock_step(keeper, now_ms);
    if (keeper->state == KEEPER_RUNNING && keeper->deadline_ms != 0 && now_ms >= keeper->deadline_ms) {
        own(freep) char *error =
            xprintf("The task ran longer than its limit of %g s.", (double)keeper->request.timeout_ms / 1000);
        if (keeper_is_reading(keeper))
            worker_broke(keeper, "Reading the data node took longer than a minute.");
        else
            keeper_conclude(keeper, ATTEMPT_TIMED_OUT, error, NULL);
    }
    if (keeper->state == KEEPER_ENDING)
        keeper_end_step(keeper, now_ms);
}

int keeper_timeout(const struct keeper *keeper, int64_t now_ms)
{
    int64_t until = INT32_MAX;

    if (keeper->hangup_ms != 0)
        until = keeper->hangup_ms - now_ms;
    if (keeper->state == KEEPER_LOCKING)
        until = MIN(until, (int64_t)LOCK_RETRY_MS);
    if (keeper->state == KEEPER_RUNNING && keeper->deadline_ms != 0)
        until = MIN(until, keeper->deadline_ms - now_ms);
    if (keeper->state == KEEPER_ENDING && !keeper->gone) {
        int64_t pause = (int64_t)1 << (keeper->rounds < 5 ? keeper->rounds : 5); /* 32 ms at most */
        until = MIN(until, pause);
        if (keeper->kill_ms > now_ms)
            until = MIN(until, keeper->kill_ms - now_ms);
    }
    return until == INT32_MAX ? -1 : (int)(until < 0 ? 0 : until);
}
