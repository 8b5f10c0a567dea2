/* A request's way in: libh2o's request becomes an exchange, which lives in the request's memory and ends with it. */
#include "bailiff/clock.h"
#include "server/head.h"
#include "server/internal.h"

enum { LOGGED_PATH_MAX = 512 };

static struct span span_from(h2o_iovec_t v)
{
    return (struct span){v.base, v.len};
}

/* HTTP/2 arrives decoded; what head.c refuses in HTTP/1 is refused here. NULL: fine. */
static const char *http2_objection(const h2o_req_t *req)
{
    unsigned authorizations = 0;

    if (!head_method_valid(span_from(req->input.method)))
        return "The method is malformed.";
    if (!head_method_known(span_from(req->input.method)))
        return "The method is unknown here; methods are written in capitals.";
    if (!head_target_valid(span_from(req->input.method), span_from(req->input.path)))
        return "The request target is malformed: it must be a path.";
    if (!head_host_valid(span_from(req->input.authority)))
        return "The authority is missing or malformed.";
    if (req->headers.size > HEAD_FIELDS_MAX)
        return "The request has more than 64 header fields.";
    for (size_t i = 0; i < req->headers.size; i++) {
        const h2o_header_t *h = &req->headers.entries[i];
        if (!head_name_valid(span_from(*h->name)) || !head_value_valid(span_from(h->value)))
            return "A header field is malformed.";
        authorizations += h->name == &H2O_TOKEN_AUTHORIZATION->buf;
    }
    return authorizations > 1 ? "The request has more than one Authorization." : NULL;
}

static void log_access(const struct server_exchange *e)
{
    const struct exchange *x = &e->x;
    struct loop *loop = e->connection->loop;
    char method[HEAD_METHOD_MAX + 1] = "", path[LOGGED_PATH_MAX + 1] = "";
    const char *fault = x->fault.detail[0] ? x->fault.detail : x->fault.message;

    if (!loop->server->options.access_log || !log_enabled(loop->server->options.log, LOG_INFO))
        return;
    memcpy(method, x->method_text.data, MIN(x->method_text.len, (size_t)HEAD_METHOD_MAX));
    memcpy(path, x->path.data, MIN(x->path.len, (size_t)LOGGED_PATH_MAX));
    const struct log_field fields[] = {
        L_STR("request_id", x->request_id[0] ? x->request_id : NULL),
        L_STR("method", method),
        L_STR("path", path),
        L_STR("route", x->route ? x->route->path : NULL),
        L_INT("status", x->response.status),
        L_INT("bytes", e->req->bytes_sent),
        L_INT("duration_us", clock_mono_us() - x->started_us),
        L_STR("address", x->address),
        L_STR("subject", x->identity ? x->identity->subject : NULL),
        L_STR("issuer", x->identity ? x->identity->issuer : NULL),
        L_STR("certificate", x->certificate ? x->certificate->fingerprint : NULL),
        L_STR("certificate_subject", x->certificate ? x->certificate->subject : NULL),
        L_STR("protocol", e->req->version >= 0x200   ? "HTTP/2"
                          : e->req->version == 0x101 ? "HTTP/1.1"
                                                     : "HTTP/1.0"),
        L_STR("trace_id", x->trace_id),
        L_STR("fault", x->fault.kind != FAULT_NONE ? fault : NULL),
        L_STR("aborted", e->complete ? NULL : "true"),
    };
    loop_log(loop, LOG_INFO, "request", NULL, fields, ARRAY_LEN(fields));
}

/* The request is over: sent, or its client is gone. The last use of everything in it. */
static void exchange_dispose(void *arg)
{
    struct server_exchange *e = arg;
    struct connection *c = e->connection;

    ticket_abandon(e->turn);
    if (h2o_timeout_is_linked(&e->later))
        h2o_timeout_unlink(&e->later);
    if (h2o_timeout_is_linked(&e->patience))
        h2o_timeout_unlink(&e->patience);
    h2o_linklist_unlink(&e->link);
    budget_give_back_stream(e);
    if (!c->http2) { /* for the next request, or it is being closed */
        budget_give_back_body(c->loop->server, &c->body);
        connection_wait(c, WAIT_IDLE);
    }
    /* HTTP/2 has freed the body already. */
    e->x.body = (struct span){0};
    log_access(e);
    chain_finish(&e->x);
    text_done(&e->piece);
}

/* libh2o keeps Host and Content-Length to itself; a handler may want to know them. */
static void add_hidden_headers(h2o_req_t *req, struct header_list *list)
{
    if (req->input.authority.base != req->hostconf->authority.hostport.base)
        list->items[list->count++] = (struct header){SPAN("host"), span_from(req->input.authority)};
    if (req->entity.base) {
        char *length = h2o_mem_alloc_pool(&req->pool, sizeof(H2O_UINT64_LONGEST_STR));
        int len = sprintf(length, "%zu", req->entity.len);
        list->items[list->count++] = (struct header){SPAN("content-length"), {length, (size_t)len}};
    }
}

static void copy_headers(h2o_req_t *req, struct header_list *list)
{
    list->cap = req->headers.size + 2;
    list->items = h2o_mem_alloc_pool(&req->pool, list->cap * sizeof(*list->items));
    for (size_t i = 0; i < req->headers.size; i++)
        list->items[list->count++] =
            (struct header){span_from(*req->headers.entries[i].name), span_from(req->headers.entries[i].value)};
    add_hidden_headers(req, list);
}

static struct span request_target(const h2o_req_t *req, const struct connection *c)
{
    return req->version >= 0x200 ? span_from(req->input.path)
                                 : (struct span){c->socket->input->bytes + c->target_at, c->target_len};
}

/* All spans point into memory that libh2o leaves alone until the request is disposed of. */
static struct exchange *exchange_make(h2o_req_t *req, struct connection *c, const struct client *client)
{
    const struct server_options *options = &c->loop->server->options;
    struct server_exchange *e = h2o_mem_alloc_shared(&req->pool, sizeof(*e), exchange_dispose);
    struct exchange *x = &e->x;
    struct span rest = request_target(req, c);

    memset(e, 0, sizeof(*e));
    e->req = req;
    e->connection = c;
    e->later.cb = answer_later;
    e->patience.cb = answer_on_impatience;
    h2o_linklist_insert(&c->loop->exchanges, &e->link);
    x->chain = options->chain;
    x->services = options->services;
    x->bench = c->loop->bench;
    x->inbox = c->loop->inbox;
    x->method_text = span_from(req->input.method);
    x->method = method_parse(x->method_text);
    span_cut(&rest, '?', &x->path);
    x->query = rest;
    x->body = span_from(req->entity);
    copy_headers(req, &x->request_headers);
    e->client = *client;
    x->address = e->client.address;
    x->address_own = client->own;
    x->proxied = c->trusted;
    x->secure = c->tls != NULL;
    x->certificate = client->forwarded ? NULL : c->certificate;
    x->answer = answer_exchange;
    x->server_data = e;
    x->started_us = clock_mono_us();
    return x;
}

const struct objection BAD_FORWARDED = {400, REFUSED_FORWARDED,
                                        "X-Forwarded-For is malformed or has more than 32 entries."};

bool request_find_client(const h2o_req_t *req, const struct connection *c, struct client *ret)
{
    struct span values[FORWARDED_MAX + 1]; /* one more than may be read */
    size_t count = 0;

    for (size_t i = 0; c->trusted && i < req->headers.size && count < ARRAY_LEN(values); i++) {
        const h2o_header_t *h = &req->headers.entries[i];
        if (h2o_memis(h->name->base, h->name->len, H2O_STRLIT("x-forwarded-for")))
            values[count++] = span_from(h->value);
    }
    return connection_find_client(c, values, count, ret);
}

static void begin_exchange(h2o_req_t *req, struct connection *c)
{
    struct client client;

    if (!request_find_client(req, c, &client)) {
        refusal_answer(req, &client, BAD_FORWARDED.refusal, BAD_FORWARDED.status, BAD_FORWARDED.reason);
        return;
    }
    atomic_fetch_add_explicit(&c->loop->server->requests, 1, memory_order_relaxed);
    chain_start(exchange_make(req, c, &client));
}

static void http1_body_is_there(const h2o_req_t *req, struct connection *c)
{
    budget_shrink_body(c->loop->server, &c->body, req->entity.len);
    connection_wait(c, WAIT_ANSWER);
}

int request_handle(h2o_handler_t *handler, h2o_req_t *req)
{
    struct connection *c = connection_of(req->conn);

    if (c->http2)
        http2_body_is_there(req, c);
    else
        http1_body_is_there(req, c);
    if (req->version < 0x200 && c->refusal_status) {
        refusal_answer(req, &c->refusal_client, c->refusal, c->refusal_status, c->refusal_reason);
        return 0;
    }
    if (!clients_still_admit(c)) {
        refusal_answer(req, &c->client, REFUSED_CERTIFICATE, 401, "The client certificate is not good any more.");
        return 0;
    }
    const char *objection = req->version >= 0x200 ? http2_objection(req) : NULL;
    if (objection || c->loop->testing) {
        refusal_answer(req, &c->client, REFUSED_PARSER, objection ? 400 : 500,
                       objection ? objection : "Not serving yet.");
        return 0;
    }
    begin_exchange(req, c);
    return 0;
}
