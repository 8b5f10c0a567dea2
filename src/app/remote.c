/* Where the server is, asking it, and what to say when it says no. */
#include "app/remote.h"

#include <stdarg.h>
#include <unistd.h>

#include "app/problems.h"
#include "app/profile.h"
#include "bailiff/auth.h"
#include "bailiff/file.h"
#include "bailiff/model.h"
#include "bailiff/random.h"

/* ---- opening ---- */
static const char *from_environment(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] ? value : NULL;
}

/* Every setting from the first that has it: option, named profile or else environment, default profile. An address that is given by itself
 * takes nothing from the default profile: its token is not for others. */
static int find_server(struct remote *r, struct profile *ret)
{
    struct call *call = r->call;
    bool named = call_has(call, "profile");
    const char *url = call_value(call, "url"), *ca = call_value(call, "ca"), *token = call_value(call, "token-file");
    const char *name = named ? call_value(call, "profile") : from_environment("BAILIFF_PROFILE");
    const char *file = profile_path(&r->arena);

    if (!named) {
        url = url ? url : from_environment("BAILIFF_URL");
        ca = ca ? ca : from_environment("BAILIFF_CA");
        token = token ? token : from_environment("BAILIFF_TOKEN_FILE");
    }
    *ret = (struct profile){0};
    if (name || !url) {
        struct problems problems;

        if (!file)
            return call_fail(call, STATUS_USAGE, "give --url and --token-file: without a home there is no profile.");
        problems_init(&problems, file);
        bool good = profile_load(file, name, &r->arena, ret, &problems);
        if (!good)
            problems_print(&problems, call->err);
        problems_done(&problems);
        if (!good)
            return STATUS_USAGE;
    }
    ret->url = url ? url : ret->url;
    ret->ca_file = ca ? ca : ret->ca_file;
    ret->token_file = token ? token : ret->token_file;
    return STATUS_OK;
}

static int connect_with(struct remote *r, const struct profile *p)
{
    own(text_done) struct text token = {0}, key = {0};
    struct fault fault = {0};
    const char *wrong = caller_url_fault(p->url);

    if (wrong)
        return call_fail(r->call, STATUS_USAGE, "\"%s\" cannot be called: %s.", p->url, wrong);
    if (!p->token_file && !p->certificate)
        return call_fail(r->call, STATUS_USAGE,
                         "there is no token for %s; give --token-file, or token_file in the profile.", p->url);
    if ((p->token_file && !file_read_secret(p->token_file, TOKEN_SIZE_MAX, &token, &fault)) ||
        (p->key && !file_read_secret(p->key, KIB(64), &key, &fault)))
        return call_fail_fault(r->call, STATUS_USAGE, &fault);
    while (token.len > 0 && strchr(" \t\r\n", token.data[token.len - 1]))
        token.data[--token.len] = '\0';
    if (p->token_file && !text_is_visible_ascii(text_span(&token)))
        return call_fail(r->call, STATUS_USAGE,
                         "%s holds no token: it is empty, or has blanks or odd characters in it.", p->token_file);
    const struct caller_options options = {.url = p->url,
                                           .ca_file = p->ca_file,
                                           .certificate = p->certificate,
                                           .key = p->key,
                                           .token = p->token_file ? token.data : NULL};
    bool good = caller_new(&options, &r->caller, &fault);
    if (token.data)
        explicit_bzero(token.data, token.len);
    if (key.data)
        explicit_bzero(key.data, key.len);
    return good ? STATUS_OK : call_fail_fault(r->call, STATUS_FAILED, &fault);
}

int remote_open(struct remote *r, struct call *call)
{
    struct profile profile;
    int status;

    *r = (struct remote){.call = call, .json = call_takes(call, "json") && call_has(call, "json")};
    status = find_server(r, &profile);
    if (status != STATUS_OK)
        return status;
    r->where = profile.url;
    r->token_file = profile.token_file;
    return connect_with(r, &profile);
}

void remote_done(struct remote *r)
{
    caller_free(r->caller);
    arena_done(&r->arena);
    *r = (struct remote){0};
}

/* ---- what is said ---- */
void remote_note(struct remote *r, const char *format, ...)
{
    own(text_done) struct text shown = {0};
    own(freep) char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        abort();
    va_end(args);
    shown_append(&shown, span_of(text));
    fprintf(r->call->err, "%s\n", shown.data);
}

static int fail_shown(struct remote *r, int status, const struct text *what)
{
    own(text_done) struct text shown = {0};

    shown_append(&shown, text_span(what));
    fprintf(r->call->err, "bailiff %s: %s\n", r->call->command->name, shown.data);
    return status;
}

int remote_unreached(struct remote *r, enum caller_end end, const struct fault *fault)
{
    own(text_done) struct text what = {0};
    const char *reason = fault->kind == FAULT_INTERNAL ? fault->detail : fault->message;

    if (end == CALLER_UNREACHED)
        text_printf(&what, "%s cannot be reached: %s.", r->where, reason);
    else if (end == CALLER_BROKEN)
        text_printf(&what, "%s did not answer: %s.", r->where, reason);
    else
        text_printf(&what, "the answer of %s cannot be used: %s.", r->where, reason);
    return fail_shown(r, STATUS_FAILED, &what);
}

static int status_of(int http)
{
    return http == 401 || http == 403 ? STATUS_DENIED : http == 404 ? STATUS_MISSING : STATUS_FAILED;
}

int remote_refused(struct remote *r, const struct caller_answer *answer)
{
    own(json_freep) json_t *problem = NULL;
    own(text_done) struct text what = {0};
    struct span id = caller_answer_field(answer, "X-Request-Id"), retry = caller_answer_field(answer, "Retry-After");
    const char *detail = NULL;

    if (answer->body.len > 0 && json_read(text_span(&answer->body), "The answer", &problem, NULL)) {
        detail = json_string_value(json_object_get(problem, "detail"));
        detail = detail ? detail : json_string_value(json_object_get(problem, "message")); /* Taipy's wire */
    }
    text_printf(&what, "%s answers %d: %s", r->where, answer->status, detail ? detail : "it gives no reason.");
    if (answer->status == 401 && r->token_file)
        text_printf(&what, " The token is that of %s.", r->token_file);
    if (retry.len > 0)
        text_printf(&what, " Try again in %.*s s.", (int)retry.len, retry.data);
    if (id.len > 0)
        text_printf(&what, " (request %.*s)", (int)id.len, id.data);
    return fail_shown(r, status_of(answer->status), &what);
}

/* ---- asking ---- */
static bool key_valid(const char *key)
{
    return strlen(key) <= 255 && text_is_visible_ascii(span_of(key)) && !strpbrk(key, "\"\\");
}

int remote_send(struct remote *r, const struct caller_request *request, struct caller_answer *ret)
{
    enum { FIELDS_MAX = 8 };
    const char *fields[FIELDS_MAX], *key = NULL;
    struct caller_request sent = *request;
    own(freep) char *field = NULL;
    char random[UUID_TEXT_SIZE];
    struct fault fault = {0};
    bool post = strcmp(request->method, "POST") == 0;

    for (size_t i = 0; i < request->field_count; i++)
        fields[i] = request->fields[i];
    if (post) {
        uuid4(random);
        key = call_value(r->call, "idempotency-key");
        if (key && !key_valid(key))
            return call_fail(r->call, STATUS_USAGE,
                             "--idempotency-key must be 1 to 255 visible characters without quotes and backslashes.");
        field = xprintf("Idempotency-Key: \"%s\"", key ? key : random);
        fields[sent.field_count++] = field;
    }
    sent.fields = fields;
    enum caller_end end = caller_send(r->caller, &sent, ret, &fault);
    if (end == CALLER_BROKEN && (post || strcmp(request->method, "GET") == 0)) {
        fault = (struct fault){0};
        end = caller_send(r->caller, &sent, ret, &fault);
    }
    if (end != CALLER_ANSWERED) {
        int status = remote_unreached(r, end, &fault);

        if (end == CALLER_BROKEN && strcmp(request->method, "GET") != 0)
            remote_note(r, "It may or may not have been done.");
        return status;
    }
    r->reached = true;
    return ret->status >= 200 && ret->status <= 299 ? STATUS_OK : remote_refused(r, ret);
}

int remote_ask(struct remote *r, const struct caller_request *request, json_t **ret_document)
{
    own(caller_answer_done) struct caller_answer answer = {0};
    struct fault fault = {0};
    json_t *document = NULL;
    int status = remote_send(r, request, &answer);

    if (status != STATUS_OK)
        return status;
    if (answer.body.len > 0 && !json_read(text_span(&answer.body), "the answer", &document, &fault))
        return remote_unreached(r, CALLER_REFUSED, &fault);
    *ret_document = document;
    return STATUS_OK;
}

int remote_get(struct remote *r, const char *path, json_t **ret_document)
{
    return remote_ask(r, &(struct caller_request){.method = "GET", .path = path}, ret_document);
}

const char *remote_path(struct remote *r, const char *collection, const char *id, const char *more)
{
    if (!entity_id_valid(span_of(id))) {
        call_fail(r->call, STATUS_USAGE, "\"%s\" is no id: those are letters, digits, \"_\" and \"-\".", id);
        return NULL;
    }
    return arena_printf(&r->arena, "/api/v1/%s/%s/%s", collection, id, more);
}

void query_add(struct text *path, const char *name, const char *value)
{
    text_append_char(path, memchr(path->data, '?', path->len) ? '&' : '?');
    text_append_str(path, name);
    text_append_char(path, '=');
    for (const unsigned char *p = (const unsigned char *)value; *p; p++) {
        bool plain =
            (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || strchr("-._~", *p);

        if (plain)
            text_append_char(path, (char)*p);
        else
            text_printf(path, "%%%02X", *p);
    }
}
