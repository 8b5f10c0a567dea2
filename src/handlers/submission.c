#include "handlers/submission.h"

#include "bailiff/quantity.h"
#include "handlers/entity.h"

static bool refuse_unknown(json_t *body, struct fault *fault)
{
    const char *name;
    json_t *value;

    json_object_foreach (body, name, value)
        if (strcmp(name, "force") != 0 && strcmp(name, "timeout") != 0 && strcmp(name, "retries") != 0)
            return fault_set(fault, FAULT_INVALID, "There is no member '%.40s'; there are force, timeout and retries.",
                             name);
    return true;
}

static bool read_timeout(const json_t *body, const struct submit_limits *limits, int64_t *ret_ms, struct fault *fault)
{
    const json_t *value = json_object_get(body, "timeout");
    own(text_done) struct text most = {0};
    uint64_t ms;

    if (!value)
        return true;
    if (!json_is_string(value) || !duration_parse(span_of(json_string_value(value)), &ms) || ms == 0)
        return fault_set(fault, FAULT_INVALID,
                         "timeout must be a time: a whole number with its unit, such as 500ms, 10s, 5m or 24h.");
    duration_format((uint64_t)limits->timeout_ms, &most);
    if (ms > (uint64_t)limits->timeout_ms)
        return fault_set(fault, FAULT_INVALID, "timeout must be at most %s here.", most.data);
    *ret_ms = (int64_t)ms;
    return true;
}

static bool read_retries(const json_t *body, const struct submit_limits *limits, struct arena *arena,
                         struct controls *ret, struct fault *fault)
{
    const json_t *value = json_object_get(body, "retries");
    struct retries *retries = &ret->retries;
    own(text_done) struct text most = {0};

    if (!value)
        return true;
    if (!retries_read(value, "retries", arena, retries, fault))
        return false;
    duration_format((uint64_t)limits->retry_delay_ms, &most);
    if (retries->max > limits->retries)
        return fault_set(fault, FAULT_INVALID, "retries.max must be at most %u here.", limits->retries);
    if (retries->delay_ms > limits->retry_delay_ms ||
        (retries->delay_max_ms > limits->retry_delay_ms && json_object_get(value, "delay_max")))
        return fault_set(fault, FAULT_INVALID, "retries.delay and retries.delay_max must be at most %s here.",
                         most.data);
    retries->delay_max_ms = MIN(retries->delay_max_ms, limits->retry_delay_ms);
    ret->has_retries = true;
    return true;
}

static bool read_body(struct exchange *x, struct arena *arena, struct task_submission *ret, struct fault *fault)
{
    const struct submit_limits *limits = &x->services->submit_limits;
    own(json_freep) json_t *body = NULL;
    bool ok = true;

    if (x->body.len == 0)
        return true;
    if (!body_object(x, &body, "The body", fault))
        return false;
    if (x->wire == WIRE_TAIPY)
        return true;
    if (!refuse_unknown(body, fault))
        return false;
    ret->force = json_member_bool(body, "force", false, &ok);
    if (!ok)
        return fault_set(fault, FAULT_INVALID, "force must be true or false.");
    return read_timeout(body, limits, &ret->controls.timeout_ms, fault) &&
           read_retries(body, limits, arena, &ret->controls, fault);
}

void submitter_of(const struct exchange *x, uint8_t out[static SUBMITTER_SIZE])
{
    struct digest *d = digest_new();
    uint8_t digest[32];

    digest_add(d, span_of(x->identity->issuer));
    digest_add(d, span_of(x->identity->subject));
    digest_end(d, digest);
    memcpy(out, digest, SUBMITTER_SIZE);
}

bool submission_read(struct exchange *x, struct arena *arena, struct task_submission *ret, struct fault *fault)
{
    struct task_submission what = {
        .submitted_by = arena_strdup(arena, x->identity->subject),
        .manifest = x->services->manifest,
        .controls = CONTROLS_UNSAID,
    };

    if (!read_body(x, arena, &what, fault))
        return false;
    submitter_of(x, what.submitter);
    *ret = what;
    return true;
}
