/* What keepers say, and what the server is told. */
#include <unistd.h>

#include "bailiff/file.h"
#include "jobs/runner.h"

enum { ERRORS_FILE_MAX = 512 * 1024 };

void runner_reply(struct runner *runner, struct text *json)
{
    if (runner->server.fd >= 0 && !link_send(&runner->server, text_span(json), NULL))
        runner->server.ended = true; /* the server must not wait for what cannot be said */
}

static void open_reply(struct text *json, const char *op, const char *what, int64_t number)
{
    jw_open(json, '{');
    jw_member_string(json, "op", op);
    jw_member_int(json, what, number);
}

void reply_lost(struct runner *runner, int64_t attempt, enum attempt_result result, const char *error)
{
    own(text_done) struct text json = {0};

    open_reply(&json, "ended", "attempt", attempt);
    jw_member_string(&json, "result", attempt_result_name(result));
    jw_member_string(&json, "error", error);
    jw_member_raw(&json, "outputs", "[]");
    jw_close(&json, '}');
    runner_reply(runner, &json);
}

static void reply_failure(struct runner *runner, const char *op, int64_t number, const char *kind, const char *error)
{
    own(text_done) struct text json = {0};

    open_reply(&json, op, "request", number);
    jw_member_bool(&json, "ok", false);
    jw_member_string(&json, "kind", kind);
    jw_member_string(&json, "error", error);
    jw_close(&json, '}');
    runner_reply(runner, &json);
}

void reply_pong(struct runner *runner, int64_t number)
{
    own(text_done) struct text json = {0};

    open_reply(&json, "pong", "request", number);
    jw_close(&json, '}');
    runner_reply(runner, &json);
}

void reply_not_read(struct runner *runner, const struct request *request, const char *error)
{
    reply_failure(runner, "read", request->number, "unavailable", error);
}

void reply_not_published(struct runner *runner, int64_t number, const char *error)
{
    reply_failure(runner, "published", number, NULL, error);
}

void reply_not_loaded(struct runner *runner, int64_t number, const char *file, const char *message)
{
    own(text_done) struct text json = {0};

    open_reply(&json, "loaded", "request", number);
    jw_member_bool(&json, "ok", false);
    jw_key(&json, "errors");
    jw_open(&json, '[');
    jw_open(&json, '{');
    jw_member_string(&json, "file", file);
    jw_member_int(&json, "line", 0);
    jw_member_string(&json, "message", message);
    jw_close(&json, '}');
    jw_close(&json, ']');
    jw_close(&json, '}');
    runner_reply(runner, &json);
}

/* The complaints that the application's reader wrote, or what ended it. */
static void reply_load_errors(struct runner *runner, int64_t number, const char *error)
{
    own(freep) char *path = xprintf("%s/loads/%lld/errors.json", runner->work, (long long)number);
    own(text_done) struct text content = {0}, json = {0};
    own(json_freep) json_t *errors = NULL;

    if (!file_read(path, ERRORS_FILE_MAX, &content, NULL) ||
        !json_read(text_span(&content), "errors.json", &errors, NULL) || !json_is_array(errors)) {
        reply_not_loaded(runner, number, NULL, error ? error : "The application could not be read.");
        return;
    }
    open_reply(&json, "loaded", "request", number);
    jw_member_bool(&json, "ok", false);
    jw_member_raw(&json, "errors", content.data);
    jw_close(&json, '}');
    runner_reply(runner, &json);
}

static void load_ended(struct runner *runner, struct slot *slot, const struct answer *answer)
{
    own(text_done) struct text json = {0};

    if (answer->result != ATTEMPT_COMPLETED) {
        reply_load_errors(runner, slot->number, answer->error);
        return;
    }
    own(freep) char *folder = xprintf("%s/loads/%lld", runner->work, (long long)slot->number);
    own(freep) char *manifest = xprintf("%s/manifest.json", folder);
    own(freep) char *defaults = xprintf("%s/defaults", folder);
    open_reply(&json, "loaded", "request", slot->number);
    jw_member_bool(&json, "ok", true);
    jw_member_string(&json, "manifest", manifest);
    jw_member_string(&json, "defaults", defaults);
    jw_close(&json, '}');
    runner_reply(runner, &json);
}

void reply_for_dead(struct runner *runner, const struct slot *slot)
{
    enum attempt_result result = slot->canceled ? ATTEMPT_CANCELED : ATTEMPT_LOST;

    switch (slot->use) {
    case SLOT_IDLE:
        break;
    case SLOT_ATTEMPT:
        reply_lost(runner, slot->number, result, slot->canceled ? NULL : "The process that looked after it was lost.");
        break;
    case SLOT_LOAD:
        reply_not_loaded(runner, slot->number, NULL, "The process that read the application was lost.");
        break;
    case SLOT_ERRAND:
        reply_failure(runner, slot->publishing ? "published" : "read", slot->number, "unavailable",
                      "The process that looked after it was lost.");
        break;
    }
}

/* Passed on as it stands: it was checked, and its members are the same on both links. */
static bool forward(struct runner *runner, struct frame frame, struct fault *fault)
{
    return runner->server.fd < 0 || link_send(&runner->server, frame.body, fault);
}

static bool take_message(struct runner *runner, struct slot *slot, struct frame frame, struct fault *fault)
{
    own(answer_done) struct answer answer = {0};

    if (!answer_read(frame.body, &answer, fault))
        return false;
    bool about_attempt = (slot->use == SLOT_ATTEMPT || slot->use == SLOT_LOAD) && answer.attempt == slot->number;
    bool about_errand = slot->use == SLOT_ERRAND && answer.number == slot->number;

    if (answer.op == ANSWER_ENDED && about_attempt) {
        if (slot->use == SLOT_LOAD)
            load_ended(runner, slot, &answer);
        else if (!forward(runner, frame, fault))
            return false;
        slot_rest(slot);
        return true;
    }
    if (answer.op == (slot->publishing ? ANSWER_PUBLISHED : ANSWER_READ) && about_errand) {
        if (!forward(runner, frame, fault))
            return false;
        slot_rest(slot);
        runner_next_errand(runner);
        return true;
    }
    return fault_set(fault, FAULT_INVALID, "A keeper spoke of what it was not given.");
}

bool runner_take_answer(struct runner *runner, struct slot *slot, struct frame frame, struct fault *fault)
{
    if (frame.type == FRAME_MESSAGE)
        return take_message(runner, slot, frame, fault);
    if (slot->use == SLOT_LOAD && frame.attempt == slot->number)
        return fd_write_all(STDERR_FILENO, frame.body.data, frame.body.len) ||
               true; /* what modules print when imported */
    if (slot->use != SLOT_ATTEMPT || frame.attempt != slot->number)
        return fault_set(fault, FAULT_INVALID, "A keeper forwarded output of what it was not given.");
    if (runner->server.fd >= 0)
        link_send_output(&runner->server, frame.attempt, frame.body);
    return true;
}
