/* bailiff queue. */
#include "app/remote.h"

static int ask_queue(struct call *call, const char *method, const char *path, const char *body)
{
    own(json_freep) json_t *document = NULL;
    struct remote r = {0};
    const struct caller_request request = {.method = method, .path = path, .body = body};
    int status = remote_open(&r, call);

    if (status == STATUS_OK)
        status = remote_ask(&r, &request, &document);
    if (status == STATUS_OK && json_object_get(document, "message"))
        remote_print_message(&r, document);
    else if (status == STATUS_OK && r.json)
        remote_print_json(&r, document);
    else if (status == STATUS_OK)
        remote_print_entity(&r, json_object_get(document, "queue"));
    remote_done(&r);
    return status;
}

static int run_status(struct call *call)
{
    return ask_queue(call, "GET", "/api/v1/queue/", NULL);
}

static int change_queue(struct call *call, const char *path)
{
    const char *reason = call_value(call, "reason");
    own(text_done) struct text body = {0};

    if (reason && !utf8_valid(reason, strlen(reason)))
        return call_fail(call, STATUS_USAGE, "--reason is not UTF-8.");
    if (reason) {
        jw_open(&body, '{');
        jw_member_string(&body, "reason", reason);
        jw_close(&body, '}');
    }
    return ask_queue(call, "POST", path, body.data);
}

static int run_pause(struct call *call)
{
    return change_queue(call, "/api/v1/queue/pause/");
}

static int run_resume(struct call *call)
{
    return change_queue(call, "/api/v1/queue/resume/");
}

static const struct command_option STATUS_OPTIONS[] = {CLIENT_OPTIONS};
static const struct command_option CHANGE_OPTIONS[] = {
    {"reason", "TEXT", false, false, "why; the queue's status says it, and the audit log"},
    KEY_OPTION,
    CLIENT_OPTIONS,
};

const struct command COMMAND_QUEUE_STATUS = {
    .name = "queue status",
    .summary = "shows whether the queue is paused, and how much waits and runs",
    .about = SHOW_ABOUT,
    .client = true,
    .options = STATUS_OPTIONS,
    .option_count = ARRAY_LEN(STATUS_OPTIONS),
    .run = run_status,
};

const struct command COMMAND_QUEUE_PAUSE = {
    .name = "queue pause",
    .summary = "lets nothing begin any more; what runs goes on",
    .about = "It lasts until `bailiff queue resume`, also when the server starts anew.\n",
    .client = true,
    .options = CHANGE_OPTIONS,
    .option_count = ARRAY_LEN(CHANGE_OPTIONS),
    .run = run_pause,
};

const struct command COMMAND_QUEUE_RESUME = {
    .name = "queue resume",
    .summary = "lets jobs begin again",
    .about = "The opposite of `bailiff queue pause`.\n",
    .client = true,
    .options = CHANGE_OPTIONS,
    .option_count = ARRAY_LEN(CHANGE_OPTIONS),
    .run = run_resume,
};
