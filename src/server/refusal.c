/* Requests that never become exchanges: heads that were refused, bodies whose framing is broken, and whatever else
 * libh2o answers by itself. They get problem details like any other answer, are counted and logged, and end the connection. */
#include "bailiff/random.h"
#include "server/internal.h"

struct refusal_text {
    char *json;
    size_t len;
    char id[UUID_TEXT_SIZE];
};

/* In the request's memory. reason is ours or libh2o's: plain ASCII without quotes or backslashes needs no care, but is escaped anyway. */
static struct refusal_text *refusal_render(h2o_req_t *req, int status, const char *reason)
{
    struct refusal_text *r = h2o_mem_alloc_pool(&req->pool, sizeof(*r));
    own(text_done) struct text t = {0};

    uuid7(r->id);
    jw_open(&t, '{');
    jw_member_string(&t, "type", "about:blank");
    jw_member_string(&t, "title", status_reason(status));
    jw_member_int(&t, "status", status);
    jw_member_string(&t, "detail", reason);
    jw_key(&t, "instance");
    text_printf(&t, "\"urn:uuid:%s\"", r->id);
    jw_member_string(&t, "message", reason);
    jw_close(&t, '}');
    r->len = t.len;
    r->json = h2o_strdup(&req->pool, t.data, t.len).base;
    return r;
}

static void refusal_headers(h2o_req_t *req, const struct refusal_text *r)
{
    h2o_headers_t *headers = &req->res.headers;

    h2o_add_header(&req->pool, headers, H2O_TOKEN_CONTENT_TYPE, NULL, H2O_STRLIT("application/problem+json"));
    h2o_add_header(&req->pool, headers, H2O_TOKEN_CACHE_CONTROL, NULL, H2O_STRLIT("no-store"));
    h2o_add_header_by_str(&req->pool, headers, H2O_STRLIT("x-content-type-options"), 0, NULL, H2O_STRLIT("nosniff"));
    if (connection_of(req->conn)->tls)
        h2o_add_header_by_str(&req->pool, headers, H2O_STRLIT("strict-transport-security"), 0, NULL,
                              H2O_STRLIT(HSTS_VALUE));
    h2o_add_header_by_str(&req->pool, headers, H2O_STRLIT("x-request-id"), 0, NULL, r->id, UUID_TEXT_SIZE - 1);
    if (req->res.status == 503 || req->res.status == 429)
        h2o_add_header_by_str(&req->pool, headers, H2O_STRLIT("retry-after"), 0, NULL, H2O_STRLIT("1"));
}

static void refusal_record(h2o_req_t *req, const struct client *client, enum server_refusal refusal,
                           const struct refusal_text *r, int status, const char *reason)
{
    struct connection *c = connection_of(req->conn);

    record_refusal(c->loop, refusal, client, reason, r->id, status);
    if (c->loop->testing)
        return;
    if (c->http2) { /* does not end with the answer */
        http2_answer_is_waited_for(req, c);
        if (client_is_barred(c->loop, &c->client))
            connection_reset(c);
        return;
    }
    connection_linger(c);
    connection_wait(c, WAIT_READER);
}

void refusal_answer(h2o_req_t *req, const struct client *client, enum server_refusal refusal, int status,
                    const char *reason)
{
    struct refusal_text *r = refusal_render(req, status, reason);

    refusal_record(req, client, refusal, r, status, reason);
    req->http1_is_persistent = 0;
    req->res.status = status;
    req->res.reason = status_reason(status);
    req->res.content_length = r->len;
    refusal_headers(req, r);
    h2o_send_inline(req, r->json, r->len);
}

/* ---- libh2o's own answers: through the fallback path, which no exchange uses ---- */

struct rewriter {
    h2o_ostream_t super;
    struct refusal_text *text;
};

static void rewriter_send(h2o_ostream_t *self, h2o_req_t *req, h2o_iovec_t *bufs, size_t count, h2o_send_state_t state)
{
    struct rewriter *rewriter = container_of(self, struct rewriter, super);
    h2o_iovec_t body = h2o_iovec_init(rewriter->text->json, rewriter->text->len);

    /* libh2o sends its texts whole, and none for HEAD. */
    h2o_ostream_send_next(self, req, &body, count > 0 ? 1 : 0, state);
}

static void rewriter_setup(h2o_filter_t *self, h2o_req_t *req, h2o_ostream_t **slot)
{
    struct connection *c = connection_of(req->conn);
    const struct objection *objection = c->to_body;
    const char *reason = objection                ? objection->reason
                         : req->res.status == 413 ? "The body is larger than any route takes."
                         : req->version < 0x200   ? "The framing of the body is malformed."
                                                  : "A header field is malformed.";
    struct rewriter *rewriter = (struct rewriter *)h2o_add_ostream(req, sizeof(*rewriter), slot);
    struct client client;

    if (objection)
        req->res.status = objection->status;
    (void)!request_find_client(req, c, &client);

    rewriter->text = refusal_render(req, req->res.status, reason);
    rewriter->super.do_send = rewriter_send;
    refusal_record(req, &client, objection ? objection->refusal : REFUSED_PARSER, rewriter->text, req->res.status,
                   reason);
    memset(&req->res.headers, 0, sizeof(req->res.headers));
    refusal_headers(req, rewriter->text);
    req->res.reason = status_reason(req->res.status);
    req->res.content_length = rewriter->text->len;
    c->to_body = NULL;
    h2o_setup_next_ostream(req, &rewriter->super.next);
}

void refusal_register(h2o_pathconf_t *fallback)
{
    h2o_create_filter(fallback, sizeof(h2o_filter_t))->on_setup_ostream = rewriter_setup;
}
