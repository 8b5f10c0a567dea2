/* Ending what an attempt left behind, and only then saying that it ended. */
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "jobs/keeper.h"

/* What there is not is not said: two processes would read it for nothing. */
static void write_code(struct text *json, const char *key, bool there, int code)
{
    if (there)
        jw_member_int(json, key, code);
}

static void write_line(struct text *json, const char *key, const char *line)
{
    if (line)
        jw_member_string(json, key, line);
}

static void write_outputs(struct text *json, const struct keeper *keeper)
{
    size_t count = json_array_size(keeper->request.outputs);

    if (keeper->outcome.result != ATTEMPT_COMPLETED || count == 0)
        return;
    jw_key(json, "outputs");
    jw_open(json, '[');
    for (size_t i = 0; i < count; i++)
        jw_string(json, json_string_value(json_object_get(json_array_get(keeper->request.outputs, i), "path")));
    jw_close(json, ']');
}

static void write_exceptions(struct text *json, const json_t *names)
{
    if (json_array_size(names) == 0)
        return;
    jw_key(json, "exceptions");
    jw_open(json, '[');
    for (size_t i = 0; i < json_array_size(names) && i < KEEPER_EXCEPTIONS_MAX; i++)
        jw_string_len(json, json_string_value(json_array_get(names, i)),
                      MIN(json_string_length(json_array_get(names, i)), (size_t)KEEPER_EXCEPTION_BYTES_MAX));
    jw_close(json, ']');
}

static void reply_ended(struct keeper *keeper)
{
    const struct outcome *outcome = &keeper->outcome;
    own(text_done) struct text json = {0};

    jw_open(&json, '{');
    jw_member_string(&json, "op", "ended");
    jw_member_int(&json, "attempt", keeper->request.attempt);
    jw_member_string(&json, "result", attempt_result_name(outcome->result));
    write_code(&json, "exit_code", outcome->exited, outcome->exit_code);
    write_code(&json, "signal", outcome->signaled, outcome->signal);
    write_line(&json, "error", outcome->error);
    write_line(&json, "stacktrace", outcome->stacktrace);
    write_outputs(&json, keeper);
    write_exceptions(&json, outcome->exceptions);
    jw_close(&json, '}');
    keeper_reply(keeper, &json);
}

static void reply_read(struct keeper *keeper)
{
    const struct outcome *outcome = &keeper->outcome;
    bool ok = outcome->result == ATTEMPT_COMPLETED;
    own(text_done) struct text json = {0};

    jw_open(&json, '{');
    jw_member_string(&json, "op", "read");
    jw_member_int(&json, "request", keeper->request.number);
    jw_member_bool(&json, "ok", ok);
    jw_member_string(&json, "path", ok ? keeper->request.result : NULL);
    jw_member_string(&json, "kind", ok ? NULL : outcome->kind);
    jw_member_string(&json, "error", outcome->error);
    jw_close(&json, '}');
    keeper_reply(keeper, &json);
}

static void outcome_done(struct outcome *outcome)
{
    free(outcome->error);
    free(outcome->stacktrace);
    free(outcome->kind);
    json_decref(outcome->exceptions);
    *outcome = (struct outcome){0};
}

static void finish(struct keeper *keeper)
{
    keeper_unlock(keeper);
    if (keeper_is_reading(keeper))
        reply_read(keeper);
    else
        reply_ended(keeper);
    request_done(&keeper->request);
    outcome_done(&keeper->outcome);
    keeper_close_output(&keeper->command);
    keeper->deadline_ms = 0;
    keeper->state = KEEPER_IDLE;
}

/* Seen without looking at every process of the machine: nothing but a worker is alive. */
static bool nobody_left(struct keeper *keeper, const struct census_mark *now)
{
    return (keeper->worker.pid > 0 && census_quiet(&keeper->clean, now)) ||
           census_alone(&keeper->census, keeper->worker.pid);
}

/* True when nothing but a worker that may stay is alive. */
static bool end_descendants(struct keeper *keeper, int64_t now_ms)
{
    bool stays = keeper->worker.pid > 0 && !keeper->worker_spent;
    bool worker_goes = keeper->worker.pid > 0 && keeper->worker_spent;
    struct spared spared = {.pids = &keeper->worker.pid, .count = stays};
    struct census_mark now = {0}; /* before anything is looked at: who is born meanwhile is seen the next time */

    if (stays)
        now = census_mark(&keeper->census);
    if (keeper->command.pid == 0 && !worker_goes && nobody_left(keeper, &now)) {
        keeper->clean = now;
        return true;
    }
    /* SIGTERM once; whoever is born after it has until the same time. */
    int signal = now_ms >= keeper->kill_ms ? SIGKILL : keeper->rounds == 0 ? SIGTERM : 0;
    size_t alive = census_signal(&keeper->census, spared, signal);
    if (signal == SIGTERM)
        census_signal(&keeper->census, spared, SIGCONT); /* a stopped process could not heed it */
    if (signal == SIGKILL)
        census_kill_children(&keeper->census, spared);
    keeper->rounds++;
    /* That none was found is not enough where it can be proved: the next look does. */
    if (alive > 0 || keeper->command.pid > 0 || worker_goes || !stays || census_can_tell(&keeper->census))
        return false;
    keeper->clean = now;
    return true;
}

void keeper_end_step(struct keeper *keeper, int64_t now_ms)
{
    int waiting = 0;

    if (!keeper->gone) {
        if (!end_descendants(keeper, now_ms))
            return;
        keeper->gone = true;
        /* What is in the pipe now was written before the end. A worker's pipe stays open, and what its threads add is
         * not ours. */
        struct child *speaker = request_is_command(&keeper->request) ? &keeper->command : &keeper->worker;
        if (speaker->output < 0 || ioctl(speaker->output, FIONREAD, &waiting) < 0)
            waiting = 0;
        keeper->drain_left = waiting;
    }
    while (keeper->drain_left > 0 && keeper_speaker(keeper))
        keeper_read_output(keeper);
    if (keeper->drain_left <= 0)
        finish(keeper);
}

void keeper_end_everything(struct keeper *keeper)
{
    pid_t ended;

    do {
        census_signal(&keeper->census, (struct spared){0}, SIGKILL);
        census_kill_children(&keeper->census, (struct spared){0});
        while ((ended = waitpid(-1, NULL, WNOHANG)) > 0)
            ;
        if (ended == 0)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    } while (ended == 0); /* until there is no child, and so no descendant */
    keeper_unlock(keeper);
}
