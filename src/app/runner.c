/* bailiff runner, bailiff keeper: the processes between the server and the users' code. */
#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

#include "app/command.h"
#include "app/notify.h"
#include "app/passed.h"
#include "bailiff/jobs.h"

/* A number, or the name of a user. */
static bool read_user(struct call *call, const char *option, uint64_t *ret_uid)
{
    const char *text = call_value(call, option);
    struct passwd *user;

    if (span_to_u64(span_of(text), UINT32_MAX - 1, ret_uid))
        return true;
    user = getpwnam(text);
    if (!user) {
        call_fail(call, STATUS_USAGE, "--%s: there is no user \"%s\".", option, text);
        return false;
    }
    *ret_uid = user->pw_uid;
    return true;
}

static bool read_options(struct call *call, struct runner_options *options)
{
    const char *fd_text = call_value(call, "socket-fd"), *path = call_value(call, "socket");
    uint64_t fd = 0, uid = 0, gid = 0, server_uid = 0;

    if (!fd_text == !path) {
        call_fail(call, STATUS_USAGE, "give one of --socket and --socket-fd.");
        return false;
    }
    if (!call_unsigned(call, "socket-fd", 65535, 0, &fd) || !call_unsigned(call, "uid", UINT32_MAX - 1, 0, &uid) ||
        !call_unsigned(call, "gid", UINT32_MAX - 1, 0, &gid))
        return false;
    if (fd_text && fcntl((int)fd, F_GETFD) < 0) {
        call_fail(call, STATUS_USAGE, "--socket-fd: descriptor %s is not open; the server starts its own runner.",
                  fd_text);
        return false;
    }
    if (path && !call_has(call, "server-user")) {
        call_fail(call, STATUS_USAGE, "--socket needs --server-user: whoever else connects is refused.");
        return false;
    }
    if (path && !read_user(call, "server-user", &server_uid))
        return false;
    if (call_has(call, "uid") != call_has(call, "gid")) {
        call_fail(call, STATUS_USAGE, "--uid and --gid belong together.");
        return false;
    }
    options->socket_fd = fd_text ? (int)fd : -1;
    options->socket_path = path;
    options->server_uid = (uid_t)server_uid;
    options->run_as_uid = (uid_t)uid;
    options->run_as_gid = (gid_t)gid;
    return true;
}

static bool read_environment(struct call *call, struct runner_options *options)
{
    const struct id_list *names = call_values(call, "pass-environment");
    struct id_list variables, unset;

    for (size_t i = 0; i < names->count; i++) {
        const char *why = passed_name_fault(names->items[i]);

        if (why) {
            call_fail(call, STATUS_USAGE, "--pass-environment: \"%s\" %s.", names->items[i], why);
            return false;
        }
    }
    passed_collect(names, &call->arena, &variables, &unset);
    options->environment = variables.items;
    options->environment_count = variables.count;
    return true;
}

/* To the service manager: whatever is started after the runner will find it. */
static void tell_listening(void)
{
    notify_ready("Waiting for the server.");
}

static int run_runner(struct call *call)
{
    struct runner_options options = {
        .work_folder = call_value(call, "work"),
        .program = "/proc/self/exe",
        .listening = tell_listening,
    };
    const char *format = call_value(call, "log-format");
    int status;

    if (format && strcmp(format, "text") != 0 && strcmp(format, "json") != 0)
        return call_fail(call, STATUS_USAGE, "--log-format must be text or json.");
    if (!read_options(call, &options) || !read_environment(call, &options))
        return STATUS_USAGE;
    if (options.socket_path && geteuid() == 0 && !options.run_as_uid)
        return call_fail(call, STATUS_USAGE,
                         "users' code must not run as root; start the runner as a user of its own, or give --uid "
                         "and --gid.");
    options.log = log_new(STDERR_FILENO, format && strcmp(format, "json") == 0 ? LOG_JSON : LOG_TEXT, LOG_INFO);
    status = runner_run(&options);
    log_free(options.log);
    return status;
}

static const struct command_option RUNNER_OPTIONS[] = {
    {"work", "FOLDER", true, false, "the runner's own folder; made if missing"},
    {"socket", "PATH", false, false, "listen on this Unix socket for the server"},
    {"server-user", "USER", false, false, "the server's user, by name or number; nobody else may connect"},
    {"socket-fd", "N", false, false, "talk over this descriptor instead; given by the server"},
    {"uid", "UID", false, false, "become this user first; given by the server"},
    {"gid", "GID", false, false, "become this group first; given by the server"},
    {"pass-environment", "NAME", false, true,
     "a variable of its environment that users' code gets, too; may be repeated"},
    {"log-format", "FORMAT", false, false, "text (default) or json"},
};

const struct command COMMAND_RUNNER = {
    .name = "runner",
    .summary = "runs users' code for a server, as a user of its own",
    .about = "The server starts one itself, unless execution.socket names the socket of a runner that was started on "
             "its own:\n"
             "    runuser -u bailiff-runner -- bailiff runner --socket /run/bailiff/runner.sock --work "
             "/var/lib/bailiff-runner \\\n"
             "        --server-user bailiff\n",
    .options = RUNNER_OPTIONS,
    .option_count = ARRAY_LEN(RUNNER_OPTIONS),
    .run = run_runner,
};

static int run_keeper(struct call *call)
{
    if (fcntl(3, F_GETFD) < 0)
        return call_fail(call, STATUS_USAGE, "is started by the runner, with a socket as descriptor 3.");
    return keeper_run();
}

const struct command COMMAND_KEEPER = {
    .name = "keeper",
    .summary = "looks after one process of users' code (started by the runner)",
    .about = "Not to be started by hand: it expects the runner's socket as descriptor 3.\n",
    .run = run_keeper,
};
