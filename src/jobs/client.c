/* The server's end of the connection to the runner. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "jobs/thread.h"

enum {
    GREETING_TIMEOUT_MS = 150000, /* a runner first waits until an earlier one's processes are gone */
    CHILD_EXIT_MS = 15000,
    SILENCE_MAX_MS = 120000,
    SILENCE_ASK_MS = 15000, /* then it is asked whether it lives */
    LOST_MAX_MS = 30000,    /* how long attempts may stay RUNNING without word from a new runner */
};

static bool connect_to(const char *path, int *ret_fd, struct fault *fault)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof address.sun_path)
        return fault_set(fault, FAULT_INVALID, "The path of the runner's socket, %s, is too long.", path);
    strcpy(address.sun_path, path);
    own(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* With a full backlog it would block; another server has the runner then. */
    if (fd >= 0)
        fcntl(fd, F_SETFL, O_NONBLOCK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return fault_unavailable(fault, 5,
                                 "The runner cannot be reached at %s: %s. Is `bailiff runner --socket %s` running?",
                                 path, strerror(errno), path);
    *ret_fd = fd;
    fd = -1;
    return true;
}

/* Whose process it is decides what its files may be, and whether it may be at all. */
static bool check_user(struct jobs *jobs, int fd, struct fault *fault)
{
    const struct jobs_options *options = &jobs->options;
    struct ucred peer = {.uid = options->run_as_uid != 0 ? options->run_as_uid : geteuid(),
                         .gid = options->run_as_uid != 0 ? options->run_as_gid : getegid()};
    socklen_t size = sizeof peer;

    if (options->socket_path && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return fault_internal(fault, "The runner's user cannot be found out: %s.", strerror(errno));
    bool same_user = peer.uid == geteuid();
    atomic_store(&jobs->same_user, same_user);
    if ((same_user || peer.uid == 0) && !options->allow_same_user)
        return fault_set(
            fault, FAULT_INVALID,
            "Users' code would run as the server's own user and could read its keys: set execution.user or "
            "execution.socket, or, for development only, execution.same_user: unsafe.");
    jobs->client.uid = peer.uid;
    jobs->client.group = same_user ? 0 : peer.gid;
    return true;
}

static void greet(struct jobs *jobs)
{
    const struct jobs_options *options = &jobs->options;
    own(text_done) struct text json = {0};

    jw_open(&json, '{');
    jw_member_string(&json, "op", "hello");
    jw_member_int(&json, "protocol", PROTOCOL_VERSION);
    jw_member_string(&json, "python", options->python);
    jw_member_string(&json, "package", options->package);
    jw_member_string(&json, "storage", options->storage_folder);
    jw_member_int(&json, "workers_max", options->workers_max ? options->workers_max : WORKERS_MAX);
    jw_member_int(&json, "log_max_bytes", (int64_t)options->log_max_bytes);
    jw_close(&json, '}');
    client_send(jobs, &json);
}

bool client_open(struct jobs *jobs, struct fault *fault)
{
    struct client *client = &jobs->client;
    own(closep) int fd = -1;

    if (!(jobs->options.socket_path ? connect_to(jobs->options.socket_path, &fd, fault)
                                    : child_spawn(jobs, &fd, fault)))
        return false;
    client->kill_ms = 0;
    client->generation++;
    link_init(&client->link, fd);
    client->state = CLIENT_GREETING;
    client->deadline_ms = clock_mono_ms() + GREETING_TIMEOUT_MS;
    if (!check_user(jobs, fd, fault)) {
        fd = -1;
        client_close(jobs);
        return false;
    }
    fd = -1;
    greet(jobs);
    return true;
}

static void client_drop(struct client *client)
{
    link_done(&client->link);
    closep(&client->folder);
    free(client->work);
    client->work = NULL;
    client->state = CLIENT_DOWN;
}

void client_broken(struct jobs *jobs, const struct fault *fault)
{
    struct client *client = &jobs->client;
    int64_t now_ms = clock_mono_ms();

    if (client->state == CLIENT_DOWN)
        return;
    log_write(jobs->log, LOG_ERROR, "runner.lost", fault->message,
              L_STR("detail", fault->detail[0] ? fault->detail : NULL));
    if (client->state == CLIENT_READY)
        client->lost_ms = now_ms;
    client_drop(client);
    atomic_store(&jobs->connected, false);
    client->retry_ms = jobs_backoff(&client->failures, now_ms);
    client->kill_ms = now_ms + CHILD_EXIT_MS; /* without its socket it ends its own and goes */
    publish_connection_lost(jobs);
    readings_unavailable(jobs, "The runner was lost.");
}

/* The runner says that nothing is alive of what an earlier one started. */
static bool take_hello(struct jobs *jobs, const struct answer *answer, struct fault *fault)
{
    struct client *client = &jobs->client;
    struct stat st;

    if (client->state != CLIENT_GREETING || answer->protocol != PROTOCOL_VERSION)
        return fault_set(fault, FAULT_INVALID, "The runner speaks another version of the protocol.");
    if (answer->uid != (int64_t)client->uid)
        return fault_set(fault, FAULT_INVALID, "The runner's user is %lld, not %u as it should be.",
                         (long long)answer->uid, (unsigned)client->uid);
    own(closep) int folder = open(answer->work, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0 || fstat(folder, &st) < 0 || st.st_uid != client->uid)
        return fault_set(fault, FAULT_INVALID, "The runner's work folder %s cannot be opened or is not its own.",
                         answer->work);
    if (!answer->storage_readable)
        return fault_set(
            fault, FAULT_INVALID,
            "The runner's user cannot reach %s: give its group the right to enter (x) the folders that lead there.",
            jobs->options.storage_folder);
    client->folder = folder;
    folder = -1;
    client->work = xstrdup(answer->work);
    client->runner_pid = answer->pid;
    client->state = CLIENT_READY;
    client->failures = 0;
    client->lost_ms = 0;
    client->heard_ms = clock_mono_ms();
    client->asked_ms = 0;
    atomic_store(&jobs->connected, true);
    attempts_connection_lost(jobs);
    log_write(jobs->log, LOG_INFO, "runner.ready", "The runner is ready.", L_INT("pid", answer->pid),
              L_INT("uid", answer->uid));
    return true;
}

static bool take_message(struct jobs *jobs, struct span body, struct fault *fault)
{
    own(answer_done) struct answer answer = {0};
    struct attempt *attempt;

    if (!answer_read(body, &answer, fault))
        return false;
    if (answer.op != ANSWER_HELLO && jobs->client.state != CLIENT_READY)
        return fault_set(fault, FAULT_INVALID, "The runner did not greet first.");
    switch (answer.op) {
    case ANSWER_HELLO:
        return take_hello(jobs, &answer, fault);
    case ANSWER_LOADED:
        if (jobs->load.number == 0 || jobs->load.answered || answer.number != jobs->load.number)
            break;
        jobs->load.answer = answer;
        jobs->load.answered = true;
        answer.json = NULL;
        break;
    case ANSWER_ENDED:
        attempt = attempt_numbered(jobs, answer.attempt);
        if (attempt && attempt->phase == PHASE_RUNNING)
            attempt_ended(attempt, &answer);
        break;
    case ANSWER_READ:
        readings_answered(jobs, &answer);
        break;
    case ANSWER_PUBLISHED:
        publish_answered(jobs, &answer);
        break;
    case ANSWER_PONG:
    case ANSWER_OP_COUNT:
        break;
    }
    return true;
}

static bool take_frame(struct jobs *jobs, const struct frame *frame, struct fault *fault)
{
    if (frame->type == FRAME_MESSAGE)
        return take_message(jobs, frame->body, fault);
    struct attempt *attempt = attempt_numbered(jobs, frame->attempt);
    if (attempt && attempt->phase == PHASE_RUNNING)
        attempt_log(attempt, frame->body);
    return true;
}

void client_hear(struct jobs *jobs)
{
    struct client *client = &jobs->client;
    struct fault fault = {0};
    struct frame frame;
    bool ok = link_fill(&client->link, &fault);

    client->heard_ms = clock_mono_ms();
    client->asked_ms = 0;
    for (bool got = true; ok && got;) {
        ok = link_next(&client->link, &frame, &got, &fault);
        if (ok && got)
            ok = take_frame(jobs, &frame, &fault);
    }
    if (ok && client->link.ended)
        ok = fault_unavailable(&fault, 1, "The runner closed the connection.");
    if (!ok)
        client_broken(jobs, &fault);
}

void client_send(struct jobs *jobs, struct text *json)
{
    /* Whoever sends may be in the midst of what was received: the connection is given up by client_step. */
    if (jobs->client.state != CLIENT_DOWN && !link_send(&jobs->client.link, text_span(json), NULL))
        jobs->client.link.ended = true;
}

void client_number(struct jobs *jobs, const char *op, const char *what, int64_t number)
{
    own(text_done) struct text json = {0};

    jw_open(&json, '{');
    jw_member_string(&json, "op", op);
    jw_member_int(&json, what, number);
    jw_close(&json, '}');
    client_send(jobs, &json);
}

/* Users' code that is of its user can stop it, and then nothing would ever end, nor be seen not to. */
static void ask_whether_it_lives(struct jobs *jobs, int64_t now_ms)
{
    struct client *client = &jobs->client;
    int64_t max_ms = jobs->options.silence_max_ms ? jobs->options.silence_max_ms : SILENCE_MAX_MS;
    struct fault fault = {0};

    if (client->state != CLIENT_READY)
        return;
    if (client->asked_ms == 0 && now_ms - client->heard_ms >= MIN((int64_t)SILENCE_ASK_MS, max_ms / 4)) {
        client->asked_ms = now_ms;
        client_number(jobs, "ping", "request", ++jobs->last_request);
    } else if (client->asked_ms != 0 && now_ms - client->asked_ms >= max_ms) {
        fault_unavailable(&fault, 1, "The runner does not answer any more.");
        client_broken(jobs, &fault);
        client->kill_ms = now_ms; /* it will not go by itself */
    }
}

void client_step(struct jobs *jobs, int64_t now_ms)
{
    struct client *client = &jobs->client;
    struct fault fault = {0};

    ask_whether_it_lives(jobs, now_ms);

    if (client->state == CLIENT_GREETING && now_ms >= client->deadline_ms) {
        fault_unavailable(&fault, 1, "The runner did not greet in time.");
        client_broken(jobs, &fault);
    }
    /* A runner that cannot be had again: its keepers ended theirs when it went, so what it ran is not running. While a
     * new one greets it is making sure of that itself. */
    if (client->state == CLIENT_DOWN && client->lost_ms != 0 && now_ms >= client->lost_ms + LOST_MAX_MS) {
        client->lost_ms = 0;
        attempts_connection_lost(jobs);
    }
    if (client->state != CLIENT_DOWN) {
        if (!link_flush(&client->link, &fault) ||
            (client->link.ended && !fault_unavailable(&fault, 1, "The runner's connection ended.")))
            client_broken(jobs, &fault);
        return;
    }
    child_reap(jobs);
    if (client->pid > 0 && client->kill_ms != 0 && now_ms >= client->kill_ms)
        kill(client->pid, SIGKILL); /* ours and not reaped: the number is its own */
    if (client->pid == 0 && now_ms >= client->retry_ms && !jobs->stopping && !client_open(jobs, &fault)) {
        client->retry_ms = jobs_backoff(&client->failures, now_ms);
        log_write(jobs->log, LOG_ERROR, "runner.lost", fault.message);
    }
}

bool client_greeted(const struct jobs *jobs)
{
    return jobs->client.state == CLIENT_READY;
}

bool client_pump(struct jobs *jobs, bool (*done)(const struct jobs *jobs), int64_t timeout_ms, struct fault *fault)
{
    struct client *client = &jobs->client;
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;

    while (!done(jobs)) {
        int64_t left = deadline_ms - clock_mono_ms();
        if (left <= 0)
            return fault_unavailable(fault, 5, "The runner did not answer in time.");
        if (!link_flush(&client->link, NULL))
            return fault_unavailable(fault, 5, "The runner ended; its log says why.");
        struct pollfd polled = {.fd = client->link.fd, .events = link_events(&client->link)};
        if (poll(&polled, 1, (int)MIN(left, (int64_t)1000)) > 0)
            client_hear(jobs);
        if (client->state == CLIENT_DOWN)
            return fault_unavailable(fault, 5, "The runner ended or misbehaved; the log says why.");
    }
    return true;
}

void client_close(struct jobs *jobs)
{
    struct client *client = &jobs->client;
    int64_t deadline_ms = clock_mono_ms() + CHILD_EXIT_MS;

    client_drop(client);
    atomic_store(&jobs->connected, false);
    for (child_reap(jobs); client->pid > 0; child_reap(jobs)) {
        if (clock_mono_ms() > deadline_ms)
            kill(client->pid, SIGKILL);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
}
