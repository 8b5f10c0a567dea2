#include "jobs/runner.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bailiff/clock.h"

enum { SWEEP_BUDGET = 256, BURY_PAUSE_MS = 10 };

static void runner_done(struct runner *runner)
{
    link_done(&runner->server);
    for (size_t i = 0; i < runner->slot_count; i++)
        slot_free(runner->slots[i]);
    errands_done(runner);
    folders_done(&runner->folders);
    trash_done(&runner->trash);
    census_done(&runner->census);
    closep(&runner->listener);
    closep(&runner->signals);
    closep(&runner->null);
    closep(&runner->lock);
    free(runner->python);
    free(runner->package);
    free(runner->work);
}

static void log_fault(struct runner *runner, const char *event, const struct fault *fault)
{
    log_write(runner->options->log, LOG_ERROR, event, fault->message,
              L_STR("detail", fault->detail[0] ? fault->detail : NULL));
}

void slot_hear(struct runner *runner, struct slot *slot)
{
    struct fault fault = {0};
    struct frame frame;
    bool got = true, ok = true;

    while (slot->link.fd >= 0 && !slot->link.ended && got) {
        size_t before = slot->link.in.len - slot->link.in_begin;
        ok = link_fill(&slot->link, &fault);
        got = ok && slot->link.in.len - slot->link.in_begin - before == LINK_READ_MAX;
        for (bool whole = true; ok && whole;) {
            ok = link_next(&slot->link, &frame, &whole, &fault);
            if (ok && whole)
                ok = runner_take_answer(runner, slot, frame, &fault);
        }
        if (!ok || link_queued(&runner->server) > RUNNER_QUEUE_MAX)
            break;
    }
    if (!ok && slot->link.fd >= 0) {
        if (fault.kind != FAULT_UNAVAILABLE) /* a broken connection: it died */
            log_fault(runner, "runner.keeper", &fault);
        slot_end(runner, slot);
    } else if (slot->link.ended && !slot->dying)
        slot_end(runner, slot);
}

static bool hear_server(struct runner *runner, struct fault *fault)
{
    struct frame frame;

    if (!link_fill(&runner->server, fault))
        return false;
    for (bool got;;) {
        if (!link_next(&runner->server, &frame, &got, fault))
            return false;
        if (!got)
            return true;
        if (!runner_take_request(runner, frame, fault))
            return false;
    }
}

static void hear_signals(struct runner *runner)
{
    struct signalfd_siginfo info;

    while (read(runner->signals, &info, sizeof info) == sizeof info)
        runner->stopping |= info.ssi_signo != SIGCHLD;
}

/* How long until a keeper is overdue; -1: none is awaited. */
static int64_t check_overdue(struct runner *runner)
{
    int64_t now_ms = clock_mono_ms(), least = -1;

    for (size_t i = 0; i < runner->slot_count; i++) {
        struct slot *slot = runner->slots[i];
        if (slot->overdue_ms == 0 || slot->dying)
            continue;
        int64_t left = slot->overdue_ms - now_ms;
        if (left <= 0) {
            log_write(runner->options->log, LOG_WARNING, "runner.keeper",
                      "A keeper did not answer in time and was ended.", L_INT("pid", slot->pid));
            slot_end(runner, slot);
        } else if (least < 0 || left < least)
            least = left;
    }
    return least;
}

static int turn_timeout(struct runner *runner)
{
    int64_t timeout = check_overdue(runner);

    if (trash_sweep(&runner->trash, SWEEP_BUDGET))
        return 0;
    if (runner->burying && (timeout < 0 || timeout > BURY_PAUSE_MS))
        timeout = BURY_PAUSE_MS;
    return (int)MIN(timeout, (int64_t)INT32_MAX);
}

/* Waits for something to happen and hears keepers and signals; *ret_server says whether the server is to be heard,
 * too. */
static bool runner_turn(struct runner *runner, bool *ret_server, struct fault *fault)
{
    struct pollfd fds[ARRAY_LEN(runner->slots) + 2];
    struct slot *polled[ARRAY_LEN(runner->slots)];
    bool crowded = link_queued(&runner->server) > RUNNER_QUEUE_MAX;
    size_t count = 0;

    int timeout = turn_timeout(runner);
    fds[0] = (struct pollfd){.fd = runner->signals, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = runner->server.fd, .events = link_events(&runner->server)};
    for (size_t i = 0; i < runner->slot_count; i++) {
        struct slot *slot = runner->slots[i];
        if (slot->link.fd < 0)
            continue;
        short events = link_events(&slot->link);
        polled[count] = slot;
        fds[2 + count++] = (struct pollfd){.fd = crowded && !(events & POLLOUT) ? -1 : slot->link.fd,
                                           .events = (short)(crowded ? events & ~POLLIN : events)};
    }
    if (poll(fds, 2 + count, timeout) < 0 && errno != EINTR)
        return fault_internal(fault, "poll: %s", strerror(errno));
    for (size_t i = 0; i < count; i++) {
        short happened = fds[2 + i].revents;
        if (happened & ~POLLOUT)
            slot_hear(runner, polled[i]);
        if ((happened & POLLOUT) && polled[i]->link.fd >= 0)
            (void)!link_flush(&polled[i]->link, NULL); /* its end shows when it is heard */
    }
    if (fds[0].revents) {
        hear_signals(runner);
        runner_reap(runner);
    }
    runner->burying = runner_bury(runner);
    *ret_server = (fds[1].revents & ~POLLOUT) != 0;
    return true;
}

/* Nobody is left of what this server's jobs started when it returns. */
static void end_session(struct runner *runner)
{
    struct fault fault = {0};
    bool server;

    link_done(&runner->server);
    errands_done(runner);
    slots_close(runner);
    while (runner->slot_count > 0 && runner_turn(runner, &server, &fault))
        ;
    freep(&runner->python);
    freep(&runner->package);
    runner->python = runner->package = NULL;
    runner->greeted = false;
}

static void serve(struct runner *runner, int fd)
{
    struct fault fault = {0};
    bool ok = true, server = false;

    link_init(&runner->server, fd);
    while (ok && !runner->stopping && !runner->server.ended) {
        ok = runner_turn(runner, &server, &fault);
        if (ok && server)
            ok = hear_server(runner, &fault);
        ok = ok && link_flush(&runner->server, &fault);
    }
    if (!ok && fault.kind != FAULT_UNAVAILABLE)
        log_fault(runner, "runner.server", &fault);
    end_session(runner);
}

static bool listen_and_serve(struct runner *runner, struct fault *fault)
{
    int fd;

    if (!runner_listen(runner, fault))
        return false;
    log_write(runner->options->log, LOG_INFO, "runner.listening", "Waiting for the server.",
              L_STR("socket", runner->options->socket_path));
    if (runner->options->listening)
        runner->options->listening();
    while (!runner->stopping) {
        if (!runner_accept(runner, &fd, fault))
            return false;
        if (fd >= 0)
            serve(runner, fd);
    }
    unlink(runner->options->socket_path);
    return true;
}

int runner_run(const struct runner_options *options)
{
    own(runner_done) struct runner runner = {
        .options = options,
        .lock = -1,
        .signals = -1,
        .listener = -1,
        .null = -1,
        .server.fd = -1,
        .census.last = -1,
        .trash.fd = -1,
    };
    struct fault fault = {0};

    runner.errands_end = &runner.errands;
    bool ok = runner_setup(&runner, &fault);
    if (ok && options->socket_fd >= 0)
        serve(&runner, options->socket_fd);
    else if (ok)
        ok = listen_and_serve(&runner, &fault);
    if (!ok)
        log_fault(&runner, "runner.failed", &fault);
    return ok ? 0 : 1;
}
