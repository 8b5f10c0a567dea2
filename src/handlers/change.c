/* A handler's change on its way to the writer and back. */
#include "handlers/change.h"
#include "bailiff/middleware.h"
#include "bailiff/random.h"

struct change *change_begin(const struct exchange *x, size_t input_size)
{
    struct change *change = change_new();
    struct change_input *input = arena_alloc(&change->arena, input_size);

    input->wire = x->wire;
    input->scope = x->scope;
    input->request_id = arena_strdup(&change->arena, x->request_id);
    input->subject = arena_strdup(&change->arena, x->identity->subject);
    change->input = input;
    return change;
}

static void committed(struct change *change)
{
    const struct change_input *input = change->input;

    if (change->ok && !change->replayed && input->committed)
        input->committed(change);
    ticket_complete(change->done_arg);
}

static enum flow finished(struct exchange *x)
{
    const struct change *change = exchange_payload(x);

    if (change->replayed) {
        exchange_set_header(x, "Idempotency-Replayed", "true");
        return change_send_answer(x);
    }
    if (!change->ok)
        return exchange_fail(x, &change->fault);
    exchange_fn finish = x->after_commit;
    return finish ? finish(x) : change_send_answer(x);
}

enum flow change_commit(struct exchange *x, struct change *change, const char *action, const char *target,
                        exchange_fn finish)
{
    struct fault fault = {0};

    uuid7(x->decision.id);
    change->class = CHANGE_REQUEST;
    change->audited = true;
    audit_draft_fill(x, &change->arena, &change->audit);
    change->audit.action = action;
    change->audit.target = arena_strdup(&change->arena, target);
    change->idempotent = x->idempotent;
    memcpy(change->idempotency_key, x->idempotency_key, 32);
    memcpy(change->idempotency_request, x->idempotency_request, 32);

    x->after_commit = finish;
    struct ticket *ticket = exchange_wait(x, finished);
    change->done = committed;
    change->done_arg = ticket;
    ticket_set_payload(ticket, change, change_free);
    x->audited = true;
    if (!store_submit(x->services->store, change, &fault)) {
        change->fault = fault;
        ticket_complete(ticket); /* comes back at once, and finished() answers the fault */
    }
    return FLOW_WAIT;
}

enum flow change_send_answer(struct exchange *x)
{
    const struct change *change = exchange_payload(x);
    const struct stored_answer *a = &change->answer;

    return exchange_answer_stored(x, a->status, a->headers, a->body, a->body_len);
}

/* Refusals and the server's own troubles are not for keeping: a repeat may fare better. */
static bool worth_keeping(int status)
{
    return status < 500 && status != 401 && status != 403 && status != 413 && status != 429;
}

void change_render_fault(struct change *change)
{
    const struct change_input *input = change->input;
    struct stored_answer *a = &change->answer;

    problem_render(input->wire, &change->fault, input->request_id, NULL, NULL, &change->arena, &a->status, &a->headers,
                   &a->body, &a->body_len);
    a->keep = worth_keeping(a->status);
    change->audit.status = a->status;
    change->audit.reason = arena_strdup(&change->arena, change->fault.message);
}

void change_render_json(struct change *change, int status, struct text *json)
{
    struct stored_answer *a = &change->answer;

    if (json) {
        a->body_len = json->len;
        a->body = arena_strndup(&change->arena, json->data, json->len);
        text_done(json);
        change_render_header(change, "Content-Type", "application/json; charset=utf-8");
    }
    a->status = status;
    a->keep = worth_keeping(status);
    change->audit.status = status;
}

void change_render_message(struct change *change, int status, const char *text)
{
    struct text json = {0};

    jw_open(&json, '{');
    jw_member_string(&json, "message", text);
    jw_close(&json, '}');
    change_render_json(change, status, &json);
}

static int64_t number_at(const void *entity, size_t offset)
{
    int64_t number;

    memcpy(&number, (const char *)entity + offset, sizeof(number));
    return number;
}

void change_render_created(struct change *change, const struct resource *resource, const char *id, const void *entity)
{
    const struct change_input *input = change->input;
    struct text json = {0};
    char etag[ETAG_SIZE];

    members_etag(number_at(entity, resource->seq_at), number_at(entity, resource->revision_at), ALL_MEMBERS,
                 input->wire, etag);
    change_render_header(change, "Location", arena_printf(&change->arena, "%s%s/", resource->path, id));
    change_render_header(change, "ETag", arena_printf(&change->arena, "\"%s\"", etag));
    jw_open(&json, '{');
    jw_member_string(&json, "message",
                     arena_printf(&change->arena, "%c%s was created.", *resource->key - 'a' + 'A', resource->key + 1));
    jw_key(&json, resource->key);
    members_put(&json, resource->members, entity, ALL_MEMBERS, input->wire);
    jw_close(&json, '}');
    change_render_json(change, 201, &json);
}

void change_render_header(struct change *change, const char *name, const char *value)
{
    const char *before = change->answer.headers ? change->answer.headers : "";

    change->answer.headers = arena_printf(&change->arena, "%s%s: %s\n", before, name, value);
}
