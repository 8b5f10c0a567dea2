/* Faults as RFC 9457 problems: the only place that knows which fault is which status. */
#include <stdio.h>

#include "http/parts.h"

struct problem {
    int status;
    const char *name, *title;
};

static const struct problem PROBLEMS[] = {
    [FAULT_NONE] = {500, "internal", "Internal Server Error"}, /* failing without a reason is a bug of ours */
    [FAULT_INVALID] = {400, "invalid-request", "Bad Request"},
    [FAULT_UNAUTHENTICATED] = {401, "unauthenticated", "Unauthorized"},
    [FAULT_FORBIDDEN] = {403, "forbidden", "Forbidden"},
    [FAULT_NOT_FOUND] = {404, "not-found", "Not Found"},
    [FAULT_METHOD] = {405, "method-not-allowed", "Method Not Allowed"},
    [FAULT_CONFLICT] = {409, "conflict", "Conflict"},
    [FAULT_PRECONDITION] = {412, "precondition-failed", "Precondition Failed"},
    [FAULT_TOO_LARGE] = {413, "content-too-large", "Content Too Large"},
    [FAULT_UNSUPPORTED_MEDIA] = {415, "unsupported-media-type", "Unsupported Media Type"},
    [FAULT_UNPROCESSABLE] = {422, "unprocessable-content", "Unprocessable Content"},
    [FAULT_TOO_MANY] = {429, "too-many-requests", "Too Many Requests"},
    [FAULT_UNAVAILABLE] = {503, "unavailable", "Service Unavailable"},
    [FAULT_INTERNAL] = {500, "internal", "Internal Server Error"},
};

static const struct problem *problem_of(const struct fault *fault)
{
    return &PROBLEMS[(unsigned)fault->kind < ARRAY_LEN(PROBLEMS) ? fault->kind : FAULT_INTERNAL];
}

int fault_status(const struct fault *fault)
{
    return problem_of(fault)->status;
}

/* ---- headers ---- */

static const char *content_type(enum wire wire)
{
    return wire == WIRE_TAIPY ? "application/json; charset=utf-8" : "application/problem+json";
}

/* RFC 6750 §3 without a realm: the authn and authz stages know it, and set a better one before. */
static const char *challenge(const struct fault *fault)
{
    switch (fault->kind) {
    case FAULT_UNAUTHENTICATED:
        return "Bearer";
    case FAULT_FORBIDDEN:
        return "Bearer error=\"insufficient_scope\"";
    default:
        return NULL;
    }
}

/* Seconds; 0: the header is not for this fault. */
static unsigned retry_after_s(const struct fault *fault)
{
    if (fault->kind != FAULT_TOO_MANY && fault->kind != FAULT_UNAVAILABLE)
        return 0;
    return fault->retry_after_s > 0 ? fault->retry_after_s : 1;
}

/* ---- body ---- */

/* What a bug was is for the log alone, even if somebody wrote it into the message. */
static const char *message_of(const struct fault *fault)
{
    const struct problem *problem = problem_of(fault);

    if (problem->status == 500)
        return "The server could not complete the request.";
    return fault->message[0] ? fault->message : problem->title;
}

static void write_refusal(struct text *out, const struct decision *decision, const char *roles)
{
    struct span rest = span_of(roles), role;

    if (decision->permission > PERM_ANY && decision->permission < PERM_COUNT)
        jw_member_string(out, "permission", permission_name(decision->permission));
    if (roles) {
        jw_key(out, "roles");
        jw_open(out, '[');
        while (span_cut(&rest, ' ', &role))
            if (role.len > 0)
                jw_string_len(out, role.data, role.len);
        jw_close(out, ']');
    }
    if (decision->wanting != PROOF_TOKEN)
        jw_member_string(out, "requires", proof_name(decision->wanting));
    if (decision->id[0])
        jw_member_string(out, "decision_id", decision->id);
}

static void write_body(enum wire wire, const struct fault *fault, const char *request_id,
                       const struct decision *decision, const char *roles, struct text *out)
{
    const struct problem *problem = problem_of(fault);
    const char *message = message_of(fault);
    char uri[64];

    jw_open(out, '{');
    if (wire == WIRE_DOCUMENTED) {
        snprintf(uri, sizeof(uri), "urn:bailiff:problem:%s", problem->name);
        jw_member_string(out, "type", uri);
        jw_member_string(out, "title", problem->title);
        jw_member_int(out, "status", problem->status);
        jw_member_string(out, "detail", message);
        if (request_id && request_id[0]) {
            snprintf(uri, sizeof(uri), "urn:uuid:%s", request_id);
            jw_member_string(out, "instance", uri);
        }
        if (fault->kind == FAULT_FORBIDDEN && decision)
            write_refusal(out, decision, roles);
    }
    jw_member_string(out, "message", message);
    jw_close(out, '}');
}

/* ---- the two ways out ---- */

enum flow exchange_fail_forbidden(struct exchange *x, const struct fault *fault, const char *roles)
{
    own(text_done) struct text allow = {0};
    char seconds[16];

    if (fault != &x->fault)
        x->fault = *fault;
    response_begin(x, fault_status(&x->fault));
    response_drop_representation(x);
    write_body(x->wire, &x->fault, x->request_id, &x->decision, roles, &x->response.body);
    exchange_set_header(x, "Content-Type", content_type(x->wire));
    if (challenge(&x->fault) && !header_find(&x->response.headers, "WWW-Authenticate"))
        exchange_set_header(x, "WWW-Authenticate", challenge(&x->fault));
    if (x->fault.kind == FAULT_METHOD) {
        route_allow_text(x->allow, &allow);
        exchange_set_header(x, "Allow", allow.data ? allow.data : "");
    }
    if (retry_after_s(&x->fault) > 0) {
        snprintf(seconds, sizeof(seconds), "%u", retry_after_s(&x->fault));
        exchange_set_header(x, "Retry-After", seconds);
    }
    return FLOW_ANSWERED;
}

enum flow exchange_fail(struct exchange *x, const struct fault *fault)
{
    return exchange_fail_forbidden(x, fault, NULL);
}

void problem_render(enum wire wire, const struct fault *fault, const char *request_id, const struct decision *decision,
                    const char *roles, struct arena *arena, int *ret_status, const char **ret_headers,
                    const char **ret_body, size_t *ret_body_len)
{
    own(text_done) struct text headers = {0}, body = {0};

    text_printf(&headers, "Content-Type: %s\n", content_type(wire));
    if (challenge(fault))
        text_printf(&headers, "WWW-Authenticate: %s\n", challenge(fault));
    if (retry_after_s(fault) > 0)
        text_printf(&headers, "Retry-After: %u\n", retry_after_s(fault));
    write_body(wire, fault, request_id, decision, roles, &body);
    *ret_status = fault_status(fault);
    *ret_headers = arena_strndup(arena, headers.data, headers.len);
    *ret_body = arena_strndup(arena, body.data, body.len);
    *ret_body_len = body.len;
}
