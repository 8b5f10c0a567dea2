/* The processes below a keeper: a persistent Python worker, or a command. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "jobs/keeper.h"
#include "jobs/spawn.h"

static const char *search_path(void)
{
    const char *path = getenv("PATH");

    return path && path[0] ? path : "/usr/local/bin:/usr/bin:/bin";
}

/* The keeper's own environment is what the runner made for it: nothing but these and what the operator passes on. */
static void common_environment(struct strings *strings, struct arena *arena, const char *home)
{
    for (char **variable = environ; *variable; variable++)
        strings_add(strings, arena, *variable);
    strings_set(strings, arena, "PATH", search_path());
    strings_set(strings, arena, "HOME", home);
    strings_set(strings, arena, "LANG", "C.UTF-8");
}

void keeper_close_output(struct child *child)
{
    closep(&child->output);
    closep(&child->holding);
}

/* A new pipe each time: users' code may have changed the mode, flags or locks of one that it had, or given it to a process of another attempt,
 * which would read and write what the next one says. */
static bool child_start(struct spawn *spawn, struct child *child, struct fault *fault)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return fault_unavailable(fault, 1, "No pipe can be made: %s.", strerror(errno));
    keeper_close_output(child);
    child->output = ends[0];
    child->holding = ends[1];
    fcntl(child->output, F_SETFL, O_NONBLOCK);
    spawn->output = child->holding;
    if (spawn_process(spawn, &child->pid, fault))
        return true;
    keeper_close_output(child);
    return false;
}

static void node_environment(struct strings *strings, struct arena *arena, const char *prefix, const json_t *nodes)
{
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        struct node_message node;
        if (!node_message_read(json_array_get(nodes, i), &node) || !node.path)
            continue;
        char *name = arena_printf(arena, "%s%s", prefix, node.config_id);
        for (char *c = name; *c; c++)
            *c = (char)toupper((unsigned char)*c);
        strings_set(strings, arena, name, node.path);
    }
}

static const char *command_folder(const struct keeper *keeper)
{
    return keeper->request.work ? keeper->request.work : keeper->folder;
}

static void command_environment(struct keeper *keeper, struct strings *strings, struct arena *arena)
{
    const struct request *request = &keeper->request;
    const char *name;
    json_t *value;

    common_environment(strings, arena, command_folder(keeper));
    json_object_foreach (request->environment, name, value)
        if (strncmp(name, "BAILIFF_", 8) != 0)
            strings_set(strings, arena, name, json_string_value(value));
    strings_set(strings, arena, "BAILIFF_WORK", keeper->work);
    strings_set(strings, arena, "BAILIFF_JOB_ID", request->job);
    strings_set(strings, arena, "BAILIFF_ATTEMPT", arena_printf(arena, "%lld", (long long)request->nth));
    strings_set(strings, arena, "BAILIFF_ROOT", request->root);
    node_environment(strings, arena, "BAILIFF_INPUT_", request->inputs);
    node_environment(strings, arena, "BAILIFF_OUTPUT_", request->outputs);
}

bool keeper_run_command(struct keeper *keeper, struct fault *fault)
{
    const struct request *request = &keeper->request;
    own(arena_done) struct arena arena = {0};
    struct strings argv = {0}, environment = {0};

    for (size_t i = 0; i < json_array_size(request->argv); i++)
        strings_add(&argv, &arena, json_string_value(json_array_get(request->argv, i)));
    command_environment(keeper, &environment, &arena);
    char *file = spawn_find(&arena, argv.items[0], request->root, search_path());
    if (!file)
        return fault_set(fault, FAULT_INVALID, "The command %s is not found on the runner's PATH (%s).", argv.items[0],
                         search_path());
    struct spawn spawn = {.file = file,
                          .argv = argv.items,
                          .environment = environment.items,
                          .folder = command_folder(keeper),
                          .null = keeper->null,
                          .scope = keeper->scope,
                          .socket = -1};
    return child_start(&spawn, &keeper->command, fault);
}

static bool worker_start(struct keeper *keeper, struct fault *fault)
{
    own(arena_done) struct arena arena = {0};
    struct strings argv = {0}, environment = {0};
    int ends[2];

    if (!keeper->python || !keeper->package)
        return fault_internal(fault, "The keeper was not told where Python is.");
    strings_add(&argv, &arena, keeper->python);
    strings_add(&argv, &arena, "-I");
    strings_add(&argv, &arena, arena_printf(&arena, "%s/bailiff_runner", keeper->package));
    strings_add(&argv, &arena, "worker");
    char *home = arena_printf(&arena, "%s/home", keeper->work);
    common_environment(&environment, &arena, home);
    strings_set(&environment, &arena, "BAILIFF_WORK", keeper->work); /* by it a later runner finds what this one left */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return fault_unavailable(fault, 1, "No socket can be made: %s.", strerror(errno));
    own(closep) int theirs = ends[1];
    own(closep) int ours = ends[0];
    struct spawn spawn = {.file = keeper->python,
                          .argv = argv.items,
                          .environment = environment.items,
                          .folder = home,
                          .null = keeper->null,
                          .scope = keeper->scope,
                          .socket = theirs};
    if (!child_start(&spawn, &keeper->worker, fault))
        return false;
    closep(&keeper->worker.holding); /* a worker's output may end before it does */
    link_done(&keeper->worker_link);
    link_init(&keeper->worker_link, ours);
    ours = -1;
    return true;
}

/* The request as the worker wants it. */
static json_t *worker_request(const struct request *request)
{
    if (request->op == REQUEST_READ)
        return json_pack("{ss ss ss ss sO sO ss}", "op", "read", "root", request->root, "storage_type",
                         request->storage_type, "path", request->path, "properties", request->properties, "filter",
                         request->filter ? request->filter : json_null(), "result", request->result);
    return json_pack("{ss ss sI ss ss ss sO sO}", "op", "run", "job", request->job, "nth", (json_int_t)request->nth,
                     "root", request->root, "module", request->module, "function", request->function, "inputs",
                     request->inputs, "outputs", request->outputs);
}

bool keeper_run_worker(struct keeper *keeper, struct fault *fault)
{
    if (keeper->worker.pid == 0) {
        struct census_mark before = census_mark(&keeper->census);
        if (!worker_start(keeper, fault))
            return false;
        census_prove(&keeper->census, &before);
    }
    own(json_freep) json_t *message = worker_request(&keeper->request);
    own(freep) char *json = message ? json_dumps(message, JSON_COMPACT) : NULL;
    if (!json)
        return fault_internal(fault, "The request to the worker could not be written.");
    if (!link_send(&keeper->worker_link, span_of(json), fault))
        return false;
    /* A worker that has gone shows by its exit, which says more than a broken connection. */
    (void)!link_flush(&keeper->worker_link, NULL);
    return true;
}

void keeper_forget_worker(struct keeper *keeper)
{
    keeper->worker.pid = 0;
    keeper->worker_spent = false;
    keeper->hangup_ms = 0;
    link_done(&keeper->worker_link);
}
