/* The runner as a child of the server. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jobs/spawn.h"
#include "jobs/thread.h"

enum { RUNNER_DESCRIPTOR = 3 };

/* Nothing of the server's goes along but one socket and stderr: no environment but what the operator named, no descriptor, no signal mask, no
 * terminal. */
static int spawn(const char *program, char *const *argv, char *const *environment, int socket, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t signals;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, socket, RUNNER_DESCRIPTOR);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, 2, 1);
    posix_spawn_file_actions_addclosefrom_np(&actions, RUNNER_DESCRIPTOR + 1);
    posix_spawnattr_init(&attributes);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    int error = posix_spawn(ret_pid, program, &actions, &attributes, argv, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static void fill_arguments(const struct jobs_options *options, struct arena *arena, struct strings *argv)
{
    const char *first[] = {"bailiff", "runner", "--socket-fd", "3", "--work", options->work_folder};

    for (size_t i = 0; i < ARRAY_LEN(first); i++)
        strings_add(argv, arena, first[i]);
    if (options->run_as_uid != 0) {
        strings_add(argv, arena, "--uid");
        strings_add(argv, arena, arena_printf(arena, "%u", (unsigned)options->run_as_uid));
        strings_add(argv, arena, "--gid");
        strings_add(argv, arena, arena_printf(arena, "%u", (unsigned)options->run_as_gid));
    }
    /* Only the names: everybody can read a process's arguments. */
    for (size_t i = 0; i < options->environment_count; i++) {
        const char *variable = options->environment[i];

        strings_add(argv, arena, "--pass-environment");
        strings_add(argv, arena, arena_printf(arena, "%.*s", (int)strcspn(variable, "="), variable));
    }
}

static void fill_environment(const struct jobs_options *options, struct arena *arena, struct strings *environment)
{
    for (size_t i = 0; i < options->environment_count; i++)
        strings_add(environment, arena, options->environment[i]);
    strings_set(environment, arena, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    strings_set(environment, arena, "HOME", options->work_folder);
    strings_set(environment, arena, "LANG", "C.UTF-8");
}

bool child_spawn(struct jobs *jobs, int *ret_fd, struct fault *fault)
{
    const struct jobs_options *options = &jobs->options;
    own(arena_done) struct arena arena = {0};
    struct strings argv = {0}, environment = {0};
    int ends[2];

    fill_arguments(options, &arena, &argv);
    fill_environment(options, &arena, &environment);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return fault_unavailable(fault, 1, "No socket can be made: %s.", strerror(errno));
    own(closep) int theirs = ends[1];
    own(closep) int ours = ends[0];
    int error = spawn(options->program, argv.items, environment.items, theirs, &jobs->client.pid);
    if (error != 0) {
        jobs->client.pid = 0;
        return fault_unavailable(fault, 1, "The runner (%s) cannot be started: %s.", options->program, strerror(error));
    }
    *ret_fd = ours;
    ours = -1;
    return true;
}

void child_reap(struct jobs *jobs)
{
    int status;

    if (jobs->client.pid > 0 && waitpid(jobs->client.pid, &status, WNOHANG) == jobs->client.pid)
        jobs->client.pid = 0;
}
