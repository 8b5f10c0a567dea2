/* A response's way out.
 *
 * Whole bodies are pulled, so that head and body leave in one TLS record. Sources are pushed a piece at a time: libh2o asks for
 * the next (`proceed`) when the one before has been written, so a slow reader holds one piece in memory. */
#include <poll.h>

#include "server/internal.h"

enum { EMPTY_PULLS_MAX = 16 };

static void source_send(struct server_exchange *e);
static void source_resume(void *waiter);

const char *status_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return status < 300 ? "OK" : status < 400 ? "Redirect" : "Error";
}

/* ---- head ---- */

/* Framing is the server's own business. */
static bool is_framing(struct span name)
{
    return span_ieq(name, SPAN("content-length")) || span_ieq(name, SPAN("transfer-encoding")) ||
           span_ieq(name, SPAN("connection"));
}

static bool splits_lines(struct span s)
{
    return s.len > 0 && (memchr(s.data, '\r', s.len) || memchr(s.data, '\n', s.len) || memchr(s.data, '\0', s.len));
}

static h2o_iovec_t lower(h2o_mem_pool_t *pool, struct span name)
{
    h2o_iovec_t copy = h2o_strdup(pool, name.data, name.len);

    h2o_strtolower(copy.base, copy.len);
    return copy;
}

static void set_headers(struct server_exchange *e)
{
    const struct header_list *list = &e->x.response.headers;
    h2o_req_t *req = e->req;

    for (size_t i = 0; i < list->count; i++) {
        struct span name = list->items[i].name, value = list->items[i].value;
        if (is_framing(name) || splits_lines(name) || splits_lines(value))
            continue;
        h2o_iovec_t written = h2o_iovec_init(name.data, name.len);
        if (req->version >= 0x200) /* RFC 9113 §8.2: lower case only */
            written = lower(&req->pool, name);
        h2o_add_header_by_str(&req->pool, &req->res.headers, written.base, written.len, 0, NULL, value.data, value.len);
    }
}

static bool status_has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static void set_length(struct server_exchange *e)
{
    const struct response *r = &e->x.response;
    h2o_req_t *req = e->req;

    if (!status_has_body(r->status))
        return;
    if (!r->source)
        req->res.content_length = r->body.len;
    else if (r->source_length >= 0)
        req->res.content_length = (size_t)r->source_length;
    else if (req->version < 0x101)
        req->http1_is_persistent = 0; /* HTTP/1.0: the end of the connection is the end of the body */
}

/* ---- readers ---- */

/* libh2o has been given something: the client has until the timeout to take it. */
static void expect_reader(struct server_exchange *e)
{
    struct loop *loop = e->connection->loop;

    if (h2o_timeout_is_linked(&e->patience))
        h2o_timeout_unlink(&e->patience);
    h2o_timeout_link(loop->context.loop, &loop->write_timeout, &e->patience);
}

void answer_on_impatience(h2o_timeout_entry_t *entry)
{
    struct server_exchange *e = container_of(entry, struct server_exchange, patience);

    record_refusal(e->connection->loop, REFUSED_SLOW_READER, &e->client, "limits.write_timeout", e->x.request_id, 0);
    connection_reset(e->connection);
}

/* ---- whole bodies ---- */

static h2o_send_state_t pull_body(h2o_generator_t *generator, h2o_req_t *req, h2o_iovec_t *buf)
{
    struct server_exchange *e = container_of(generator, struct server_exchange, generator);
    const struct text *body = &e->x.response.body;
    size_t n = MIN(buf->len, body->len - e->sent);

    expect_reader(e);
    memcpy(buf->base, body->data + e->sent, n);
    buf->len = n;
    e->sent += n;
    e->complete = e->sent == body->len;
    return e->complete ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS;
}

static void send_whole(struct server_exchange *e, bool with_body)
{
    const struct text *body = &e->x.response.body;
    h2o_ostream_t *top = e->req->_ostr_top;

    if (with_body && body->len > 0 && top->start_pull) {
        top->start_pull(top, pull_body);
        return;
    }
    h2o_iovec_t buf = h2o_iovec_init(body->data, body->len);
    e->complete = true;
    expect_reader(e);
    h2o_send(e->req, &buf, with_body && body->len > 0 ? 1 : 0, H2O_SEND_STATE_FINAL);
}

/* ---- sources ---- */

void answer_abort(struct server_exchange *e)
{
    if (e->req->version < 0x200)
        connection_reset(e->connection);
    e->req->http1_is_persistent = 0;
    h2o_send(e->req, NULL, 0, H2O_SEND_STATE_ERROR);
}

/* Sends what is in the piece. The exchange may be gone when this returns. */
static void send_piece(struct server_exchange *e, bool final)
{
    h2o_iovec_t buf = h2o_iovec_init(e->piece.data, e->piece.len);

    e->sent += e->piece.len;
    e->begun = true;
    e->complete = final;
    expect_reader(e);
    h2o_send(e->req, &buf, e->piece.len > 0 ? 1 : 0, final ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

/* The head alone: whoever follows what is silent knows that it is followed. h2o_send would keep it back with a piece of nothing, for
 * between ostreams (the encoder of chunks) that is passed over; the last one, HTTP/1's own, writes the head all the same. */
static void send_head(struct server_exchange *e)
{
    h2o_ostream_t *last = e->req->_ostr_top;

    while (last->next)
        last = last->next;
    e->begun = true;
    expect_reader(e);
    last->do_send(last, e->req, NULL, 0, H2O_SEND_STATE_IN_PROGRESS);
}

/* Pulls until there is something to send or to say. */
static enum source_state source_pull(struct server_exchange *e)
{
    struct body_source *source = e->x.response.source;
    enum source_state state = SOURCE_MORE;

    text_clear(&e->piece);
    for (int i = 0; i < EMPTY_PULLS_MAX && state == SOURCE_MORE && e->piece.len == 0; i++)
        state = source->pull(source, &e->piece);
    return state == SOURCE_MORE && e->piece.len == 0 ? SOURCE_LATER : state;
}

/* While there is nothing to send, no write fails and libh2o does not read: nobody would notice that an HTTP/1 client has hung up, and its
 * stream would be held as long as its token is good. One whose machine is gone is found by TCP's keep-alive (accept.c). */
static bool client_is_gone(const struct connection *c)
{
    struct pollfd p = {.fd = h2o_socket_get_fd(c->socket), .events = POLLRDHUP};

    return !c->http2 && poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* Asks again when the source says so, or when the time has come. */
static void wait_for_source(struct server_exchange *e)
{
    struct body_source *source = e->x.response.source;
    h2o_context_t *context = &e->connection->loop->context;

    h2o_timeout_link(context->loop, source->await ? &context->one_sec_timeout : &context->hundred_ms_timeout,
                     &e->later);
    if (!source->await)
        return;
    ticket_abandon(e->turn);
    e->turn = ticket_new(e->connection->loop->inbox, source_resume, e);
    source->await(source, e->turn);
}

static void source_send(struct server_exchange *e)
{
    const struct response *r = &e->x.response;
    e->x.draining = e->connection->loop->draining;
    enum source_state state = source_pull(e);
    bool known = r->source_length >= 0;
    size_t left = known ? (size_t)r->source_length - e->sent : SIZE_MAX;

    /* Never more or less than was promised. */
    if (state == SOURCE_FAILED || e->piece.len > left || (state == SOURCE_END && known && e->piece.len < left)) {
        answer_abort(e);
        return;
    }
    if (state == SOURCE_END || (known && e->piece.len == left)) {
        send_piece(e, true);
        return;
    }
    if (e->piece.len > 0) {
        send_piece(e, false);
        return;
    }
    if (client_is_gone(e->connection)) {
        answer_abort(e);
        return;
    }
    if (!e->begun && !e->connection->http2) {
        send_head(e);
        return;
    }
    wait_for_source(e);
}

void answer_later(h2o_timeout_entry_t *entry)
{
    struct server_exchange *e = container_of(entry, struct server_exchange, later);

    ticket_abandon(e->turn);
    e->turn = NULL;
    source_send(e);
}

static void source_resume(void *waiter)
{
    struct server_exchange *e = waiter;

    if (h2o_timeout_is_linked(&e->later))
        h2o_timeout_unlink(&e->later);
    source_send(e);
}

/* The next piece goes in the loop's next turn: to a reader that keeps up, libh2o would have us send them all in this one, and nobody
 * else on the loop would be served meanwhile. */
static void source_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    struct server_exchange *e = container_of(generator, struct server_exchange, generator);

    if (h2o_timeout_is_linked(&e->patience))
        h2o_timeout_unlink(&e->patience);
    ticket_abandon(e->turn);
    e->turn = ticket_new(e->connection->loop->inbox, source_resume, e);
    ticket_complete(e->turn);
}

/* Too many at once: the answer becomes a refusal. */
static void admit_stream(struct server_exchange *e)
{
    struct fault fault = {0};
    bool of_subject;
    const char *objection = budget_take_stream(e, &of_subject);

    if (!objection)
        return;
    fault_set(&fault, of_subject ? FAULT_TOO_MANY : FAULT_UNAVAILABLE, "%s", objection);
    fault.retry_after_s = 1;
    record_refusal(e->connection->loop, REFUSED_STREAMS, &e->client,
                   of_subject ? "limits.subject.streams" : "limits.streams", e->x.request_id, of_subject ? 429 : 503);
    exchange_fail(&e->x, &fault);
}

/* ---- all ---- */

void answer_exchange(struct exchange *x)
{
    struct server_exchange *e = container_of(x, struct server_exchange, x);
    h2o_req_t *req = e->req;
    struct response *r = &x->response;

    if (e->answered) /* cut at the end of a drain, while its work went on */
        return;
    if (r->status < 200 || r->status > 599)
        r->status = 500;
    bool with_body = status_has_body(r->status) && x->method != HEAD;
    if (r->source && with_body)
        admit_stream(e);
    e->answered = true;
    req->res.status = r->status;
    req->res.reason = status_reason(r->status);
    if (r->close || atomic_load(&e->connection->loop->server->stopping))
        req->http1_is_persistent = 0;
    set_headers(e);
    set_length(e);

    if (r->source && with_body) {
        e->generator.proceed = source_proceed;
        h2o_start_response(req, &e->generator);
        source_send(e);
        return;
    }
    h2o_start_response(req, &e->generator);
    send_whole(e, with_body && !r->source);
}
