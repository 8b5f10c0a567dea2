/* The runner's keepers: starting, resting, ending. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "jobs/runner.h"
#include "jobs/spawn.h"

enum { KEEPER_DESCRIPTOR = 3 };

/* All that is in it reaches users' code: see keeper_children.c. */
static void keeper_environment(struct runner *runner, struct arena *arena, struct strings *environment)
{
    const struct runner_options *options = runner->options;
    const char *path = getenv("PATH");

    for (size_t i = 0; i < options->environment_count; i++)
        strings_add(environment, arena, options->environment[i]);
    strings_set(environment, arena, "PATH", path && path[0] ? path : "/usr/local/bin:/usr/bin:/bin");
    strings_set(environment, arena, "HOME", arena_printf(arena, "%s/home", runner->work));
    strings_set(environment, arena, "LANG", "C.UTF-8");
}

static bool keeper_spawn(struct runner *runner, int theirs, pid_t *ret_pid, struct fault *fault)
{
    own(arena_done) struct arena arena = {0};
    char *argv[] = {(char *)"bailiff", (char *)"keeper", NULL};
    struct strings environment = {0};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t signals;

    keeper_environment(runner, &arena, &environment);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, runner->null, 0);
    posix_spawn_file_actions_adddup2(&actions, theirs, KEEPER_DESCRIPTOR);
    posix_spawn_file_actions_addclosefrom_np(&actions, KEEPER_DESCRIPTOR + 1);
    posix_spawnattr_init(&attributes);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    int error = posix_spawn(ret_pid, runner->options->program, &actions, &attributes, argv, environment.items);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0)
        return fault_unavailable(fault, 1, "A keeper (%s) cannot be started: %s.", runner->options->program,
                                 strerror(error));
    return true;
}

static bool greet(struct runner *runner, struct slot *slot, struct fault *fault)
{
    own(text_done) struct text json = {0};

    jw_open(&json, '{');
    jw_member_string(&json, "op", "hello");
    jw_member_int(&json, "protocol", PROTOCOL_VERSION);
    jw_member_string(&json, "python", runner->python);
    jw_member_string(&json, "package", runner->package);
    jw_member_string(&json, "work", runner->work);
    jw_member_int(&json, "workers_max", 1);
    jw_member_int(&json, "log_max_bytes", runner->log_max);
    jw_close(&json, '}');
    return link_send(&slot->link, text_span(&json), fault);
}

void slot_free(struct slot *slot)
{
    link_done(&slot->link);
    free(slot->folder);
    free(slot);
}

static bool slot_make(struct runner *runner, struct slot **ret_slot, struct fault *fault)
{
    int ends[2];

    if (runner->slot_count == ARRAY_LEN(runner->slots))
        return fault_unavailable(fault, 1, "There are too many keepers.");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return fault_unavailable(fault, 1, "No socket can be made: %s.", strerror(errno));
    own(closep) int theirs = ends[1];
    struct slot *slot = xcalloc(1, sizeof *slot);
    link_init(&slot->link, ends[0]);
    if (!keeper_spawn(runner, theirs, &slot->pid, fault)) {
        slot_free(slot);
        return false;
    }
    slot->folder = keeper_folder_path(runner->work, slot->pid);
    runner->slots[runner->slot_count++] = slot;
    *ret_slot = slot;
    return greet(runner, slot, fault);
}

bool slot_take(struct runner *runner, bool for_errands, bool warm, struct slot **ret_slot, struct fault *fault)
{
    struct slot *best = NULL;
    size_t others = 0;

    for (size_t i = 0; i < runner->slot_count; i++) {
        struct slot *slot = runner->slots[i];
        if (slot->for_errands != for_errands)
            continue;
        others++;
        if (slot->use == SLOT_IDLE && !slot->dying && (!best || (slot->warm == warm && best->warm != warm)))
            best = slot;
    }
    if (!best) {
        if (others >= (for_errands ? 1 : runner->workers_max))
            return fault_unavailable(fault, 1, "No keeper is free.");
        if (!slot_make(runner, &best, fault))
            return false;
        best->for_errands = for_errands;
    }
    *ret_slot = best;
    return true;
}

bool slot_forward(struct slot *slot, struct span message, struct fault *fault)
{
    if (!link_send(&slot->link, message, fault))
        return false;
    (void)!link_flush(&slot->link, NULL); /* a keeper that has gone shows by its end */
    return true;
}

bool slot_send(struct slot *slot, json_t *message, struct fault *fault)
{
    own(freep) char *json = json_dumps(message, JSON_COMPACT);

    return json ? slot_forward(slot, span_of(json), fault)
                : fault_internal(fault, "A message to a keeper could not be written.");
}

void slot_rest(struct slot *slot)
{
    slot->use = SLOT_IDLE;
    slot->number = slot->overdue_ms = 0;
    slot->canceled = slot->publishing = false;
}

void slot_end(struct runner *runner, struct slot *slot)
{
    if (slot->pid > 0)
        kill(slot->pid, SIGKILL); /* our child, not reaped: the number is its own */
    link_done(&slot->link);
    slot->dying = true;
}

void slots_close(struct runner *runner)
{
    for (size_t i = 0; i < runner->slot_count; i++) {
        struct slot *slot = runner->slots[i];
        if (slot->dying)
            continue;
        link_done(&slot->link);
        slot->overdue_ms = clock_mono_ms() + RUNNER_SLACK_MS;
    }
}

void runner_reap(struct runner *runner)
{
    for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;)
        for (size_t i = 0; i < runner->slot_count; i++)
            if (runner->slots[i]->pid == pid) {
                runner->slots[i]->pid = 0;
                slot_hear(runner, runner->slots[i]); /* it may have answered before it went */
                runner->slots[i]->dying = true;
            }
}

bool runner_bury(struct runner *runner)
{
    pid_t living[ARRAY_LEN(runner->slots)];
    size_t living_count = 0, dead_count = 0;

    for (size_t i = 0; i < runner->slot_count; i++)
        if (runner->slots[i]->pid > 0)
            living[living_count++] = runner->slots[i]->pid;
        else
            dead_count++;
    if (dead_count == 0)
        return false;
    /* What a dead keeper leaves behind becomes our child: all that is not below a living keeper is without a master. */
    struct spared spared = {.pids = living, .count = living_count, .descendants = true};
    bool some = census_signal(&runner->census, spared, SIGKILL) > 0;
    census_kill_children(&runner->census, spared);
    if (some || (census_can_tell(&runner->census) && !census_only(&runner->census, spared)))
        return true;
    for (size_t i = runner->slot_count; i-- > 0;) {
        struct slot *slot = runner->slots[i];
        if (slot->pid > 0)
            continue;
        runner->slots[i] = runner->slots[--runner->slot_count];
        reply_for_dead(runner, slot);
        trash_throw(&runner->trash, slot->folder);
        slot_free(slot);
    }
    runner_next_errand(runner);
    return false;
}
