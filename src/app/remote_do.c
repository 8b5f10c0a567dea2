/* What the commands of several resources do alike. */
#include "app/remote.h"

int remote_show(struct call *call, const char *collection, const char *key)
{
    own(json_freep) json_t *document = NULL;
    struct remote r = {0};
    int status = remote_open(&r, call);
    const char *path = status == STATUS_OK ? remote_path(&r, collection, call->operand, "") : NULL;

    if (status == STATUS_OK)
        status = path ? remote_get(&r, path, &document) : STATUS_USAGE;
    if (status == STATUS_OK && r.json)
        remote_print_json(&r, document);
    else if (status == STATUS_OK)
        remote_print_entity(&r, json_object_get(document, key) ? json_object_get(document, key) : document);
    remote_done(&r);
    return status;
}

int remote_create(struct call *call, const char *path, const char *parameter, const char *key)
{
    own(json_freep) json_t *document = NULL;
    own(text_done) struct text query = {0};
    struct remote r = {0};
    int status = remote_open(&r, call);

    text_append_str(&query, path);
    query_add(&query, parameter, call->operand);
    if (status == STATUS_OK)
        status = remote_ask(&r, &(struct caller_request){.method = "POST", .path = query.data}, &document);
    const char *id = json_string_value(json_object_get(json_object_get(document, key), "id"));
    if (status == STATUS_OK && (r.json || !id))
        remote_print_json(&r, document);
    else if (status == STATUS_OK) {
        own(text_done) struct text shown = {0};

        shown_append(&shown, span_of(id));
        fprintf(call->out, "%s\n", shown.data);
    }
    remote_done(&r);
    return status;
}

int remote_delete(struct call *call, const char *collection)
{
    own(json_freep) json_t *document = NULL;
    struct remote r = {0};
    int status = remote_open(&r, call);
    const char *path = status == STATUS_OK ? remote_path(&r, collection, call->operand, "") : NULL;

    if (status == STATUS_OK)
        status =
            path ? remote_ask(&r, &(struct caller_request){.method = "DELETE", .path = path}, &document) : STATUS_USAGE;
    if (status == STATUS_OK)
        remote_print_message(&r, document);
    remote_done(&r);
    return status;
}

static bool submit_body(struct call *call, struct text *body)
{
    const char *timeout = call_value(call, "timeout");
    uint64_t retries = 0;

    if (!call_unsigned(call, "retries", UINT32_MAX, 0, &retries))
        return false;
    if (!timeout && !call_has(call, "retries"))
        return true;
    jw_open(body, '{');
    if (timeout)
        jw_member_string(body, "timeout", timeout);
    if (call_has(call, "retries")) {
        jw_key(body, "retries");
        jw_open(body, '{');
        jw_member_int(body, "max", (int64_t)retries);
        jw_close(body, '}');
    }
    jw_close(body, '}');
    return true;
}

int remote_submit_to(struct call *call, const char *collection)
{
    own(text_done) struct text body = {0};
    struct submitting how;
    struct remote r = {0};
    int status;

    if (!submitting_read(call, &how) || !submit_body(call, &body))
        return STATUS_USAGE;
    status = remote_open(&r, call);
    own(freep) char *parent = xprintf("%s/submit", collection);
    const char *force = call_has(call, "force") ? "?force=true" : "";
    const char *path = status == STATUS_OK ? remote_path(&r, parent, call->operand, force) : NULL;
    if (status == STATUS_OK)
        status = path ? remote_submit(&r, path, body.data, &how) : STATUS_USAGE;
    remote_done(&r);
    return status;
}
