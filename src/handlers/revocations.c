/* Revoked tokens: what is committed is in force before it is answered, on every loop. */
#include <stdio.h>

#include "bailiff/clock.h"
#include "bailiff/handlers.h"
#include "handlers/change.h"
#include "handlers/resource.h"

enum { NAME_MAX_LEN = 256, ISSUER_MAX_LEN = 1024, REASON_MAX_LEN = 512, CLOCKS_APART_S = 300 };

struct revoke_input {
    struct change_input base;
    struct revocations *revocations;
    struct revocation what;
    const char *id; /* of unrevoke */
};

struct revoke_outcome {
    struct revocation row;
    bool fresh;
};

/* ---- what is to be revoked ---- */

static bool plain(const char *s, size_t max)
{
    size_t len = strlen(s);

    if (len == 0 || len > max)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

static bool read_name(const json_t *body, const char *name, size_t max, struct arena *arena, const char **ret,
                      struct fault *fault)
{
    bool ok = true;
    const char *value = json_member_string(body, name, &ok);

    if (!ok || (value && !plain(value, max)))
        return fault_set(fault, FAULT_INVALID, "%s must be a string of 1 to %zu bytes without control characters.",
                         name, max);
    *ret = arena_strdup(arena, value);
    return true;
}

static bool read_before(const json_t *body, int64_t *ret_s, struct fault *fault)
{
    bool ok = true;
    const char *value = json_member_string(body, "issued_before", &ok);
    int64_t ms = 0;

    if (!ok || (value && !time_parse(value, strlen(value), &ms)) || (value && ms < 1000))
        return fault_set(fault, FAULT_INVALID,
                         "issued_before must be a time in RFC 3339, such as 2026-01-02T03:04:05Z.");
    if (ms > clock_wall_ms() + CLOCKS_APART_S * 1000)
        return fault_set(fault, FAULT_INVALID,
                         "issued_before lies in the future: tokens that are yet to be issued would be refused too.");
    *ret_s = (ms + 999) / 1000;
    return true;
}

static bool refuse_unknown(json_t *body, struct fault *fault)
{
    static const char *const known[] = {"issuer", "token_id", "subject", "issued_before", "reason"};
    const char *name;
    json_t *value;

    json_object_foreach (body, name, value) {
        size_t i = 0;
        while (i < ARRAY_LEN(known) && strcmp(known[i], name) != 0)
            i++;
        if (i == ARRAY_LEN(known))
            return fault_set(fault, FAULT_INVALID,
                             "There is no member '%.40s'; there are issuer, token_id, subject, issued_before, reason.",
                             name);
    }
    return true;
}

static bool issuer_is_known(const struct exchange *x, const char *issuer)
{
    const struct verifier *v = x->snapshot->verifier;

    for (size_t i = 0; i < verifier_issuer_count(v); i++)
        if (strcmp(verifier_issuer_name(v, i), issuer) == 0)
            return true;
    return false;
}

static bool check_whole(const struct exchange *x, const struct revocation *what, struct fault *fault)
{
    if (what->token_id && what->subject)
        return fault_set(fault, FAULT_INVALID, "Give either token_id or subject, not both.");
    if ((what->token_id || what->subject) && !what->issuer)
        return fault_set(fault, FAULT_INVALID, "token_id and subject need the issuer that gave them.");
    if (!what->issuer && what->issued_before_s == 0)
        return fault_set(fault, FAULT_INVALID, "Give issuer, or issued_before, or both.");
    if (what->issuer && !issuer_is_known(x, what->issuer))
        return fault_set(
            fault, FAULT_INVALID,
            "No tokens of this issuer are accepted here, so there is nothing to revoke; is it written as in "
            "the tokens' iss?");
    return true;
}

static bool read_body(struct exchange *x, struct arena *arena, struct revocation *ret, struct fault *fault)
{
    own(json_freep) json_t *body = NULL;

    if (!exchange_json(x, &body, fault))
        return false;
    if (!json_is_object(body))
        return fault_set(fault, FAULT_INVALID, "The body must be an object.");
    return refuse_unknown(body, fault) && read_name(body, "issuer", ISSUER_MAX_LEN, arena, &ret->issuer, fault) &&
           read_name(body, "token_id", NAME_MAX_LEN, arena, &ret->token_id, fault) &&
           read_name(body, "subject", NAME_MAX_LEN, arena, &ret->subject, fault) &&
           read_name(body, "reason", REASON_MAX_LEN, arena, &ret->reason, fault) &&
           read_before(body, &ret->issued_before_s, fault) && check_whole(x, ret, fault);
}

/* ---- create ---- */

static bool revoke_apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    const struct revoke_input *input = change->input;
    struct revoke_outcome *outcome = arena_alloc(&change->arena, sizeof(*outcome));

    if (!txn_revoke(txn, &input->base.scope, &input->what, &change->arena, &outcome->row, &outcome->fresh, fault))
        return false;
    change->outcome = outcome;
    change->audit.target = outcome->row.id;
    return true;
}

static void put_row(struct text *json, const struct revocation *row)
{
    jw_open(json, '{');
    jw_key(json, "revocation");
    members_put(json, &REVOCATION_MEMBERS, row, ALL_MEMBERS, WIRE_DOCUMENTED);
    jw_close(json, '}');
}

static void revoke_render(struct change *change)
{
    const struct revoke_outcome *outcome = change->outcome;
    struct text json = {0};

    if (!change->ok) {
        change_render_fault(change);
        return;
    }
    put_row(&json, &outcome->row);
    change_render_json(change, outcome->fresh ? 201 : 200, &json);
}

/* On the writer thread, as it became durable, whether or not somebody still waits for the answer. */
static void revoke_committed(const struct change *change)
{
    const struct revoke_input *input = change->input;
    const struct revoke_outcome *outcome = change->outcome;

    revocations_add(input->revocations, &outcome->row);
}

/* What exactly was revoked is told by the record, also when the row is long gone. */
static const char *audit_detail(struct arena *arena, const struct revocation *what)
{
    own(text_done) struct text json = {0};

    jw_open(&json, '{');
    jw_member_string(&json, "issuer", what->issuer);
    jw_member_string(&json, "token_id", what->token_id);
    jw_member_string(&json, "subject", what->subject);
    jw_member_time(&json, "issued_before", what->issued_before_s * 1000);
    jw_member_string(&json, "reason", what->reason);
    jw_close(&json, '}');
    return arena_strndup(arena, json.data, json.len);
}

enum flow revocations_create(struct exchange *x)
{
    struct change *change = change_begin(x, sizeof(struct revoke_input));
    struct revoke_input *input = change->input;
    struct fault fault = {0};

    if (!exchange_query(x, NULL, 0, &fault) || !read_body(x, &change->arena, &input->what, &fault)) {
        change_free(change);
        return exchange_fail(x, &fault);
    }
    if (revocations_count(x->services->revocations) >= REVOCATIONS_MAX) {
        change_free(change);
        fault_set(&fault, FAULT_CONFLICT,
                  "%d revocations are the limit; delete those whose tokens have expired, or revoke by issued_before.",
                  REVOCATIONS_MAX);
        return exchange_fail(x, &fault);
    }
    input->what.created_by = input->base.subject;
    input->revocations = x->services->revocations;
    input->base.committed = revoke_committed;
    change->apply = revoke_apply;
    change->render = revoke_render;
    change->audit.detail = audit_detail(&change->arena, &input->what);
    return change_commit(x, change, "token.revoke", NULL, NULL);
}

/* ---- delete ---- */

static bool unrevoke_apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    const struct revoke_input *input = change->input;
    struct revoke_outcome *outcome = arena_alloc(&change->arena, sizeof(*outcome));

    if (!txn_unrevoke(txn, &input->base.scope, input->id, &change->arena, &outcome->row, fault))
        return false;
    change->outcome = outcome;
    change->audit.detail = audit_detail(&change->arena, &outcome->row);
    return true;
}

static void unrevoke_render(struct change *change)
{
    const struct revoke_input *input = change->input;

    if (change->ok)
        change_render_message(change, 200, arena_printf(&change->arena, "Revocation %s was deleted.", input->id));
    else
        change_render_fault(change);
}

static void unrevoke_committed(const struct change *change)
{
    const struct revoke_input *input = change->input;
    const struct revoke_outcome *outcome = change->outcome;

    revocations_remove(input->revocations, &outcome->row);
}

enum flow revocations_delete(struct exchange *x)
{
    struct fault fault = {0};

    if (!exchange_query(x, NULL, 0, &fault))
        return exchange_fail(x, &fault);
    struct change *change = change_begin(x, sizeof(struct revoke_input));
    struct revoke_input *input = change->input;
    input->id = arena_strdup(&change->arena, exchange_param(x, "id"));
    input->revocations = x->services->revocations;
    input->base.committed = unrevoke_committed;
    change->apply = unrevoke_apply;
    change->render = unrevoke_render;
    return change_commit(x, change, "token.unrevoke", input->id, NULL);
}

/* ---- list ---- */

static bool list_step(struct store_reader *reader, const struct scope *scope, const struct list_query *query,
                      struct list_position *position, size_t rows_max, struct arena *arena, void *ret_rows,
                      size_t *ret_count, struct fault *fault)
{
    return store_list_revocations(reader, scope, query, position, rows_max, arena, ret_rows, ret_count, fault);
}

enum flow revocations_list(struct exchange *x)
{
    static const struct resource revocations = {
        .path = "/api/v1/revocations/",
        .members = &REVOCATION_MEMBERS,
        .row_size = sizeof(struct revocation),
        .step = list_step,
    };

    return resource_list(x, &revocations);
}
