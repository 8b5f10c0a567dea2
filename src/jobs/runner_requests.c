/* What the server asks of the runner. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bailiff/clock.h"
#include "jobs/runner.h"

enum { LOCK_WAIT_MS = 60000 }; /* a keeper's patience with an earlier attempt */

static void set_text(json_t *object, const char *key, const char *text)
{
    if (json_object_set_new(object, key, json_string(text)) < 0)
        abort(); /* no memory */
}

static bool storage_readable(const char *storage)
{
    if (!storage)
        return true;
    own(freep) char *results = xprintf("%s/results", storage);
    own(freep) char *defaults = xprintf("%s/defaults", storage);
    return access(results, X_OK) == 0 && access(defaults, X_OK) == 0;
}

static bool take_hello(struct runner *runner, const struct request *request, struct fault *fault)
{
    own(text_done) struct text json = {0};

    if (runner->greeted || request->protocol != PROTOCOL_VERSION)
        return fault_set(fault, FAULT_INVALID, "The server speaks another version of the protocol (%lld).",
                         (long long)request->protocol);
    runner->greeted = true;
    runner->python = xstrdup(request->python);
    runner->package = xstrdup(request->package);
    runner->workers_max = (size_t)MIN(request->workers_max, (int64_t)RUNNER_WORKERS_MAX);
    runner->log_max = request->log_max_bytes;
    jw_open(&json, '{');
    jw_member_string(&json, "op", "hello");
    jw_member_int(&json, "protocol", PROTOCOL_VERSION);
    jw_member_int(&json, "uid", geteuid());
    jw_member_int(&json, "pid", getpid());
    jw_member_string(&json, "work", runner->work);
    jw_member_bool(&json, "storage_readable", storage_readable(request->storage));
    jw_close(&json, '}');
    runner_reply(runner, &json);
    return true;
}

/* ---- attempts ---- */

static bool renew_folder(struct runner *runner, struct slot *slot, struct fault *fault)
{
    if (folders_renew(&runner->folders, slot->folder, &slot->folder_seal, fault))
        return true;
    if (access(slot->folder, F_OK) < 0)
        return false;
    /* What stands in its place cannot be moved away, something mounted for instance. Another keeper has another place. */
    slot_end(runner, slot);
    *fault = (struct fault){0};
    return fault_unavailable(fault, 1, "%s cannot be emptied or moved away; another folder will do.", slot->folder);
}

/* A folder for what needs one, and the outputs' files in it; then the keeper gets it. What has no outputs passes as it came. */
static bool start_send(struct runner *runner, struct slot *slot, const struct request *request, struct span body,
                       struct fault *fault)
{
    size_t outputs = json_array_size(request->outputs);

    if (outputs == 0)
        return (!request_is_command(request) || renew_folder(runner, slot, fault)) && slot_forward(slot, body, fault);
    own(freep) char *folder = xprintf("%s/attempts/%lld", runner->work, (long long)request->attempt);
    if (!folders_take(&runner->folders, folder, fault))
        return false;
    set_text(request->json, "work", folder);
    for (size_t i = 0; i < outputs; i++) {
        own(freep) char *file = xprintf("%s/out-%zu", folder, i);
        set_text(json_array_get(request->outputs, i), "path", file);
    }
    return slot_send(slot, request->json, fault);
}

static void take_start(struct runner *runner, const struct request *request, struct span body)
{
    struct fault fault = {0};
    struct slot *slot;

    for (size_t i = 0; i < runner->slot_count; i++)
        if (runner->slots[i]->use == SLOT_ATTEMPT && runner->slots[i]->number == request->attempt)
            return; /* it runs already, and its end will be told */
    if (!slot_take(runner, false, !request_is_command(request), &slot, &fault)) {
        reply_lost(runner, request->attempt, fault.kind == FAULT_UNAVAILABLE ? ATTEMPT_UNSTARTED : ATTEMPT_LOST,
                   fault.message);
        return;
    }
    if (!start_send(runner, slot, request, body, &fault)) {
        reply_lost(runner, request->attempt, fault.kind == FAULT_UNAVAILABLE ? ATTEMPT_UNSTARTED : ATTEMPT_FAILED,
                   fault.message);
        return;
    }
    slot->use = SLOT_ATTEMPT;
    slot->number = request->attempt;
    slot->grace_ms = request->grace_ms;
    slot->warm |= !request_is_command(request);
    if (request->timeout_ms > 0)
        slot->overdue_ms = clock_mono_ms() + LOCK_WAIT_MS + request->timeout_ms + request->grace_ms + RUNNER_SLACK_MS;
}

static void take_cancel(struct runner *runner, const struct request *request)
{
    for (size_t i = 0; i < runner->slot_count; i++) {
        struct slot *slot = runner->slots[i];
        if (slot->use != SLOT_ATTEMPT || slot->number != request->attempt)
            continue;
        slot->canceled = true;
        int64_t overdue = clock_mono_ms() + slot->grace_ms + RUNNER_SLACK_MS;
        if (slot->overdue_ms == 0 || overdue < slot->overdue_ms)
            slot->overdue_ms = overdue;
        if (!slot->dying && !slot_send(slot, request->json, NULL))
            slot_end(runner, slot);
    }
}

static void take_release(struct runner *runner, const struct request *request)
{
    for (size_t i = 0; i < runner->slot_count; i++)
        if (runner->slots[i]->use == SLOT_ATTEMPT && runner->slots[i]->number == request->attempt)
            return; /* it is not the server's to release yet */
    own(freep) char *folder = xprintf("%s/attempts/%lld", runner->work, (long long)request->attempt);
    folders_give_back(&runner->folders, folder);
}

/* ---- an application's manifest: a command like another ---- */

static json_t *load_start(struct runner *runner, const struct request *request, const char *folder)
{
    own(freep) char *package = xprintf("%s/bailiff_runner", runner->package);
    own(freep) char *job = xprintf("load-%lld", (long long)request->number);

    return json_pack("{ss sI ss si ss ss s[] s[] si si s[ssssss] s{} ss}", "op", "start", "attempt",
                     (json_int_t)request->number, "job", job, "nth", 1, "kind", "command", "root", "/", "inputs",
                     "outputs", "timeout_ms", (int)RUNNER_LOAD_TIMEOUT_MS, "grace_ms", 1000, "argv", runner->python,
                     "-I", package, "manifest", request->application, folder, "environment", "work", folder);
}

static bool load(struct runner *runner, const struct request *request, struct fault *fault)
{
    own(freep) char *folder = xprintf("%s/loads/%lld", runner->work, (long long)request->number);
    own(json_freep) json_t *start = load_start(runner, request, folder);
    struct slot *slot;

    if (!start)
        return fault_internal(fault, "The application's path cannot be passed on.");
    if (!folders_take(&runner->folders, folder, fault) || !slot_take(runner, false, false, &slot, fault) ||
        !slot_send(slot, start, fault))
        return false;
    slot->use = SLOT_LOAD;
    slot->number = request->number;
    slot->overdue_ms = clock_mono_ms() + LOCK_WAIT_MS + RUNNER_LOAD_TIMEOUT_MS + RUNNER_SLACK_MS;
    return true;
}

static void take_load(struct runner *runner, const struct request *request)
{
    struct fault fault = {0};

    if (!load(runner, request, &fault))
        reply_not_loaded(runner, request->number, request->application, fault.message);
}

/* ---- reads and publications: one after the other ---- */

static void refuse_errand(struct runner *runner, const struct request *request, const char *error)
{
    if (request->op == REQUEST_READ)
        reply_not_read(runner, request, error);
    else
        reply_not_published(runner, request->number, error);
}

/* Publications go before reads, of which anybody may ask for many, and which may take long. */
static void queue_errand(struct runner *runner, struct request *request)
{
    bool publishing = request->op == REQUEST_PUBLISH;
    struct errand **place = publishing ? &runner->errands : runner->errands_end;

    if (!publishing && runner->errand_count >= RUNNER_ERRANDS_MAX) {
        refuse_errand(runner, request, "Too many data nodes are being read.");
        return;
    }
    while (*place && (*place)->request.op == REQUEST_PUBLISH)
        place = &(*place)->next;
    struct errand *errand = xcalloc(1, sizeof *errand);
    errand->request = *request;
    *request = (struct request){0};
    errand->next = *place;
    *place = errand;
    if (!errand->next)
        runner->errands_end = &errand->next;
    runner->errand_count++;
}

static struct errand *unqueue_errand_at(struct runner *runner, struct errand **place)
{
    struct errand *errand = *place;

    if (!errand)
        return NULL;
    *place = errand->next;
    if (!errand->next)
        runner->errands_end = place;
    runner->errand_count--;
    return errand;
}

static struct errand *unqueue_errand(struct runner *runner)
{
    return unqueue_errand_at(runner, &runner->errands);
}

static void errand_freep(struct errand **errand)
{
    if (*errand)
        request_done(&(*errand)->request);
    free(*errand);
}

void errands_done(struct runner *runner)
{
    for (struct errand *errand; (errand = unqueue_errand(runner)); errand_freep(&errand))
        ;
}

static bool errand_busy(const struct runner *runner)
{
    for (size_t i = 0; i < runner->slot_count; i++)
        if (runner->slots[i]->for_errands && (runner->slots[i]->use != SLOT_IDLE || runner->slots[i]->dying))
            return true;
    return false;
}

void runner_next_errand(struct runner *runner)
{
    while (runner->errands && !errand_busy(runner)) {
        own(errand_freep) struct errand *errand = unqueue_errand(runner);
        struct request *request = &errand->request;
        struct fault fault = {0};
        struct slot *slot;

        if (request->op == REQUEST_READ) {
            own(freep) char *result = xprintf("%s/reads/%lld", runner->work, (long long)request->number);
            set_text(request->json, "result", result);
        }
        if (!slot_take(runner, true, true, &slot, &fault) || !slot_send(slot, request->json, &fault)) {
            refuse_errand(runner, request, fault.message);
            continue;
        }
        slot->use = SLOT_ERRAND;
        slot->number = request->number;
        slot->publishing = request->op == REQUEST_PUBLISH;
        slot->overdue_ms = clock_mono_ms() + RUNNER_SLACK_MS +
                           (slot->publishing ? RUNNER_PUBLISH_TIMEOUT_MS : 60000 + RUNNER_SLACK_MS);
    }
}

/* A read that has not begun need not begin. */
static void take_forget(struct runner *runner, const struct request *request)
{
    for (struct errand **place = &runner->errands; *place; place = &(*place)->next)
        if ((*place)->request.op == REQUEST_READ && (*place)->request.number == request->number) {
            struct errand *errand = unqueue_errand_at(runner, place);
            errand_freep(&errand);
            return;
        }
    own(freep) char *result = xprintf("%s/reads/%lld", runner->work, (long long)request->number);

    trash_throw(&runner->trash, result);
}

bool runner_take_request(struct runner *runner, struct frame frame, struct fault *fault)
{
    own(request_done) struct request request = {0};

    if (frame.type != FRAME_MESSAGE)
        return fault_set(fault, FAULT_INVALID, "The server sent output.");
    if (!request_read(frame.body, &request, fault))
        return false;
    if (!runner->greeted && request.op != REQUEST_HELLO)
        return fault_set(fault, FAULT_INVALID, "The server did not greet first.");
    switch (request.op) {
    case REQUEST_HELLO:
        return take_hello(runner, &request, fault);
    case REQUEST_LOAD:
        take_load(runner, &request);
        break;
    case REQUEST_START:
        take_start(runner, &request, frame.body);
        break;
    case REQUEST_CANCEL:
        take_cancel(runner, &request);
        break;
    case REQUEST_READ:
    case REQUEST_PUBLISH:
        queue_errand(runner, &request);
        runner_next_errand(runner);
        break;
    case REQUEST_RELEASE:
        take_release(runner, &request);
        break;
    case REQUEST_FORGET:
        take_forget(runner, &request);
        break;
    case REQUEST_PING:
        reply_pong(runner, request.number);
        break;
    case REQUEST_OP_COUNT:
        break;
    }
    return true;
}
