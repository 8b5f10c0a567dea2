/* The outermost stage: a refusal stands in the audit log, on disk, before it is answered; one that cannot be recorded becomes 503. */
#include "bailiff/file.h"
#include "middleware/refusals.h"

static const char *text_of(struct arena *arena, struct span s, size_t max)
{
    return arena_strndup(arena, s.data ? s.data : "", MIN(s.len, max));
}

static const char *roles_text(const struct identity *identity, struct arena *arena)
{
    own(text_done) struct text roles = {0};

    for (size_t i = 0; i < identity->role_count; i++) {
        if (i > 0)
            text_append_char(&roles, ' ');
        text_append_str(&roles, identity->roles[i]);
    }
    return arena_strndup(arena, roles.data ? roles.data : "", roles.len);
}

void audit_draft_fill(const struct exchange *x, struct arena *arena, struct audit_draft *draft)
{
    enum { TEXT_MAX = 1024 };

    draft->address = arena_strdup(arena, x->address);
    draft->request_id = arena_strdup(arena, x->request_id);
    draft->client_request_id = arena_strdup(arena, x->client_request_id);
    draft->method = text_of(arena, x->method_text, 32);
    draft->path = text_of(arena, x->path, TEXT_MAX);
    draft->permission = permission_name(x->route->needs);
    draft->decision_id = x->decision.id[0] ? arena_strdup(arena, x->decision.id) : NULL;
    draft->reason =
        x->fault.kind != FAULT_NONE ? arena_strdup(arena, x->fault.detail) : arena_strdup(arena, x->decision.reason);
    draft->status = x->response.status;
    if (x->certificate) {
        draft->certificate = arena_strdup(arena, x->certificate->fingerprint);
        draft->certificate_subject = arena_strdup(arena, x->certificate->subject);
    }
    if (x->identity) {
        draft->issuer = arena_strdup(arena, x->identity->issuer);
        draft->subject = arena_strdup(arena, x->identity->subject);
        draft->token_id = arena_strdup(arena, x->identity->token_id);
        draft->roles = roles_text(x->identity, arena);
    }
}

static enum flow unrecorded(struct exchange *x, const struct fault *cause)
{
    struct fault fault = {0};

    fault_unavailable(&fault, 5, "The audit log cannot be written now; nothing is answered without it.");
    fault_detail(&fault, "%s", cause->detail[0] ? cause->detail : cause->message);
    exchange_fail(x, &fault);
    return FLOW_NEXT;
}

static void recorded(struct change *change)
{
    ticket_complete(change->done_arg);
}

static enum flow resumed(struct exchange *x)
{
    const struct change *change = exchange_payload(x);

    return change->ok ? FLOW_NEXT : unrecorded(x, &change->fault);
}

static enum flow record(struct exchange *x)
{
    struct change *change = change_new();
    struct fault fault = {0};

    change->class = CHANGE_REFUSAL;
    change->audited = change->refused = true;
    audit_draft_fill(x, &change->arena, &change->audit);
    change->audit.action = "request.refuse";
    struct ticket *ticket = exchange_wait(x, resumed);
    change->done = recorded;
    change->done_arg = ticket;
    ticket_set_payload(ticket, change, change_free);
    if (store_submit(x->services->store, change, &fault))
        return FLOW_WAIT;
    change->fault = fault;
    ticket_complete(ticket); /* comes back at once, and resumed() sees that it failed */
    return FLOW_WAIT;
}

/* Unknown paths and wrong methods are answered by http itself, which knows nothing of audit. */
static bool is_refusal_of_http(const struct exchange *x)
{
    return route_is_builtin(x->route) && x->response.status >= 400;
}

enum flow audit_leave(struct exchange *x)
{
    if (!x->refused && is_refusal_of_http(x))
        refusal_note(x, x->response.status == 405 ? "wrong method" : "unknown path");
    if (!x->refused || !x->refused_singly || x->audited)
        return FLOW_NEXT;
    x->audited = true;
    return record(x);
}
