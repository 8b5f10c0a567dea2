/* bailiff token revoke, bailiff token revocations: through the API of the running server, or in its data folder while none runs. */
#include <unistd.h>

#include "app/command.h"
#include "app/config.h"
#include "bailiff/caller.h"
#include "bailiff/clock.h"
#include "bailiff/file.h"
#include "bailiff/store.h"

static bool read_before(struct call *call, int64_t *ret_s)
{
    const char *text = call_value(call, "issued-before");
    int64_t ms = 0;

    if (text && (!time_parse(text, strlen(text), &ms) || ms < 1000 || ms > clock_wall_ms() + 300 * 1000)) {
        call_fail(call, STATUS_USAGE,
                  "--issued-before: \"%s\" is not a time in RFC 3339 that is past, such as 2026-01-02T03:04:05Z.",
                  text);
        return false;
    }
    *ret_s = (ms + 999) / 1000;
    return true;
}

static bool read_what(struct call *call, struct revocation *what)
{
    *what = (struct revocation){
        .issuer = call_value(call, "issuer"),
        .token_id = call_value(call, "jti"),
        .subject = call_value(call, "sub"),
        .reason = call_value(call, "reason"),
        .created_by = "bailiff",
    };
    if (!read_before(call, &what->issued_before_s))
        return false;
    if (what->token_id && what->subject)
        call_fail(call, STATUS_USAGE, "give either --jti or --sub, not both.");
    else if ((what->token_id || what->subject) && !what->issuer)
        call_fail(call, STATUS_USAGE, "--jti and --sub need the --issuer that gave them.");
    else if (!what->issuer && what->issued_before_s == 0)
        call_fail(call, STATUS_USAGE, "give --issuer, or --issued-before, or both.");
    else
        return true;
    return false;
}

static bool issuer_is_known(struct call *call, const struct config *c, const char *issuer)
{
    for (size_t i = 0; issuer && i < c->issuers.count; i++)
        if (str_eq(config_issuer(c, i)->issuer, issuer))
            return true;
    if (issuer)
        call_fail(
            call, STATUS_USAGE,
            "--issuer: no tokens of \"%s\" are accepted here, so there is nothing to revoke; is it written as in the "
            "tokens' iss?",
            issuer);
    return !issuer;
}

/* ---- while no server runs ---- */
struct revoking {
    struct revocation what;
    const char *undo; /* id, or NULL */
    struct revocation row;
    bool fresh;
};

static bool apply(struct store_txn *txn, struct change *change, struct fault *fault)
{
    static const struct scope everything = {.everything = true};
    struct revoking *r = change->input;

    if (r->undo ? !txn_unrevoke(txn, &everything, r->undo, &change->arena, &r->row, fault)
                : !txn_revoke(txn, &everything, &r->what, &change->arena, &r->row, &r->fresh, fault))
        return false;
    change->audit.target = r->row.id;
    return true;
}

static const char *audit_detail(struct arena *arena, const struct revoking *r)
{
    own(text_done) struct text json = {0};

    jw_open(&json, '{');
    jw_member_string(&json, "issuer", r->what.issuer);
    jw_member_string(&json, "token_id", r->what.token_id);
    jw_member_string(&json, "subject", r->what.subject);
    jw_member_time(&json, "issued_before", r->what.issued_before_s * 1000);
    jw_member_string(&json, "reason", r->what.reason);
    jw_member_int(&json, "uid", getuid());
    jw_close(&json, '}');
    return arena_strndup(arena, json.data, json.len);
}

static int revoke_here(struct call *call, const struct config *c, struct revoking *r)
{
    struct store *store = NULL;
    struct fault fault = {0};
    int status = STATUS_OK;

    if (!store_open(&(struct store_options){.folder = c->store.folder}, &store, &fault)) {
        if (fault.kind == FAULT_CONFLICT)
            return call_fail(
                call, STATUS_FAILED,
                "a server runs on %s; give --token-file with a token that may revoke (revocations:write), and "
                "it will be asked.",
                c->store.folder);
        return call_fail_fault(call, STATUS_FAILED, &fault);
    }
    struct change *change = change_new();
    change->class = CHANGE_JOB;
    change->audited = true;
    change->audit = (struct audit_draft){
        .action = r->undo ? "token.unrevoke" : "token.revoke",
        .subject = "bailiff",
        .target = arena_strdup(&change->arena, r->undo),
        .detail = audit_detail(&change->arena, r),
    };
    change->apply = apply;
    change->input = r;
    if (!store_submit_wait(store, change, &fault))
        status = call_fail_fault(call, STATUS_FAILED, &fault);
    else if (r->undo)
        fprintf(call->out, "%s is no longer in force.\n", r->undo);
    else
        fprintf(call->out, "%s is in force.\n", r->row.id);
    change_free(change);
    store_close(store);
    return status;
}

/* ---- through the running server ---- */
static void put_body(const struct revocation *what, struct text *json)
{
    jw_open(json, '{');
    if (what->issuer)
        jw_member_string(json, "issuer", what->issuer);
    if (what->token_id)
        jw_member_string(json, "token_id", what->token_id);
    if (what->subject)
        jw_member_string(json, "subject", what->subject);
    if (what->issued_before_s)
        jw_member_time(json, "issued_before", what->issued_before_s * 1000);
    if (what->reason)
        jw_member_string(json, "reason", what->reason);
    jw_close(json, '}');
}

/* What the server says: the id of what is in force, or why not. */
static int report(struct call *call, const struct revoking *r, const struct caller_answer *answer)
{
    own(json_freep) json_t *document = NULL;
    const char *id = NULL, *detail = NULL;

    if (answer->body.len > 0 && json_read(text_span(&answer->body), "The answer", &document, NULL)) {
        id = json_string_value(json_pointer(document, "/revocation/id"));
        detail = json_string_value(json_object_get(document, "detail"));
    }
    if (answer->status < 200 || answer->status > 299)
        return call_fail(call, STATUS_FAILED, "the server answers %d: %s", answer->status,
                         detail ? detail : "no reason is given.");
    if (r->undo)
        fprintf(call->out, "%s is no longer in force.\n", r->undo);
    else
        fprintf(call->out, "%s is in force.\n", id ? id : "The revocation");
    return STATUS_OK;
}

static int revoke_there(struct call *call, const struct config *c, const struct revoking *r)
{
    own(text_done) struct text token = {0}, body = {0};
    own(caller_answer_done) struct caller_answer answer = {0};
    own(caller_freep) struct caller *caller = NULL;
    own(freep) char *path = xprintf("/api/v1/revocations/%s%s", r->undo ? r->undo : "", r->undo ? "/" : "");
    struct fault fault = {0};

    if (!file_read_secret(call_value(call, "token-file"), TOKEN_SIZE_MAX, &token, &fault))
        return call_fail_fault(call, STATUS_FAILED, &fault);
    own(freep) char *bearer = xstrndup(token.data, strcspn(token.data, " \t\r\n"));
    if (!r->undo)
        put_body(&r->what, &body);
    const struct caller_options options = {
        .url = c->server.public_url,
        .ca_file = call_value(call, "ca"),
        .certificate = call_value(call, "certificate"),
        .key = call_value(call, "key"),
        .token = bearer,
    };
    const struct caller_request request = {.method = r->undo ? "DELETE" : "POST", .path = path, .body = body.data};
    if (!caller_new(&options, &caller, &fault))
        return call_fail_fault(call, STATUS_FAILED, &fault);
    if (caller_send(caller, &request, &answer, &fault) != CALLER_ANSWERED)
        return call_fail(call, STATUS_FAILED, "%s cannot be reached: %s", c->server.public_url, fault.message);
    return report(call, r, &answer);
}

static bool load(struct call *call, struct config **ret)
{
    struct problems problems;
    struct config *c = config_load(config_path(call_value(call, "config")), CONFIG_TEXT, &problems);
    bool good = c && problems.mistakes == 0;

    if (!good)
        problems_print(&problems, call->err);
    problems_done(&problems);
    *ret = c;
    return good;
}

static int run_revoke(struct call *call)
{
    struct revoking r = {.undo = call_value(call, "undo")};
    own(config_freep) struct config *c = NULL;

    if (r.undo && (call_has(call, "issuer") || call_has(call, "jti") || call_has(call, "sub") ||
                   call_has(call, "issued-before") || call_has(call, "reason")))
        return call_fail(call, STATUS_USAGE, "--undo takes the id alone; leave the other options out.");
    if (r.undo && !entity_id_valid(span_of(r.undo)))
        return call_fail(call, STATUS_USAGE, "--undo: that is no id; `bailiff token revocations` lists them.");
    if (call_has(call, "certificate") != call_has(call, "key"))
        return call_fail(call, STATUS_USAGE, "--certificate and --key belong together; give both or none.");
    if ((call_has(call, "ca") || call_has(call, "key")) && !call_has(call, "token-file"))
        return call_fail(call, STATUS_USAGE,
                         "--ca, --certificate and --key are for asking a server; give --token-file, too.");
    if (!r.undo && !read_what(call, &r.what))
        return STATUS_USAGE;
    if (!load(call, &c))
        return STATUS_CONFIG;
    if (!issuer_is_known(call, c, r.what.issuer))
        return STATUS_USAGE;
    return call_has(call, "token-file") ? revoke_there(call, c, &r) : revoke_here(call, c, &r);
}

static const struct command_option REVOKE_OPTIONS[] = {
    {"issuer", "ISSUER", false, false, "whose tokens (iss); alone: all of them"},
    {"jti", "ID", false, false, "the one token of this id"},
    {"sub", "SUBJECT", false, false, "all tokens of this subject"},
    {"issued-before", "TIME", false, false, "of those, only what was issued before (RFC 3339)"},
    {"reason", "TEXT", false, false, "why; it stands in the audit log"},
    {"undo", "ID", false, false, "take a revocation back"},
    {"token-file", "FILE", false, false, "ask the running server, with the token in this file"},
    {"ca", "FILE", false, false, "the CAs that its certificate is checked by"},
    {"certificate", "FILE", false, false, "the certificate to show to a server that asks for one"},
    {"key", "FILE", false, false, "its private key"},
    CONFIG_OPTION,
};

const struct command COMMAND_TOKEN_REVOKE = {
    .name = "token revoke",
    .summary = "refuses tokens from now on: one, a subject's, an issuer's",
    .about = "Asks the running server, and is in force on the next request:\n"
             "    bailiff token revoke --issuer https://sso.example.com --sub alice --token-file admin.jwt\n"
             "Without --token-file it writes into the data folder itself, which works only while no server runs.\n",
    .options = REVOKE_OPTIONS,
    .option_count = ARRAY_LEN(REVOKE_OPTIONS),
    .run = run_revoke,
};

/* ---- token revocations ---- */
static void print_member(FILE *out, const char *name, const char *value)
{
    if (!value)
        return;
    fprintf(out, "  %s=", name);
    print_harmless(out, value);
}

static void print_row(void *arg, const struct revocation *row)
{
    FILE *out = arg;
    char created[TIME_TEXT_SIZE], before[TIME_TEXT_SIZE];

    time_format(row->created_at_ms, created);
    time_format(row->issued_before_s * 1000, before);
    fprintf(out, "%s  %s", row->id, created);
    print_member(out, "issuer", row->issuer);
    print_member(out, "jti", row->token_id);
    print_member(out, "sub", row->subject);
    print_member(out, "issued-before", row->issued_before_s ? before : NULL);
    print_member(out, "by", row->created_by);
    print_member(out, "reason", row->reason);
    fputc('\n', out);
}

static int run_revocations(struct call *call)
{
    own(config_freep) struct config *c = NULL;
    struct fault fault = {0};

    if (!load(call, &c))
        return STATUS_CONFIG;
    if (!store_each_revocation(c->store.folder, print_row, call->out, &fault))
        return call_fail_fault(call, STATUS_FAILED, &fault);
    return STATUS_OK;
}

static const struct command_option REVOCATIONS_OPTIONS[] = {
    CONFIG_OPTION,
};

const struct command COMMAND_TOKEN_REVOCATIONS = {
    .name = "token revocations",
    .summary = "lists what is revoked",
    .about = "Reads the data folder, whether or not a server runs. One line each: id, when, what, by whom, why.\n",
    .options = REVOCATIONS_OPTIONS,
    .option_count = ARRAY_LEN(REVOCATIONS_OPTIONS),
    .run = run_revocations,
};
