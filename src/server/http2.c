/* What libh2o leaves open in an HTTP/2 request: how much of a body may be there before it is complete, and how long one that is half there, or
 * an answer that nobody takes, is waited for.
 *
 * libh2o buffers the bodies of a hundred requests a connection, and says nothing of them until they are complete; a frame of any kind
 * keeps such a connection alive. */
#include "server/internal.h"

/* In the request's memory, and gone with it. */
struct http2_wait {
    h2o_linklist_t link; /* among its connection's bodies; alone: an answer */
    h2o_timeout_entry_t patience;
    struct connection *connection;
    const h2o_req_t *req;
    struct body_room body;
    enum server_refusal refusal;
    const char *limit;
};

static void on_impatience(h2o_timeout_entry_t *entry)
{
    struct http2_wait *w = container_of(entry, struct http2_wait, patience);
    struct connection *c = w->connection;

    record_refusal(c->loop, w->refusal, &c->client, w->limit, NULL, 0);
    connection_reset(c);
}

static void stop_waiting(struct http2_wait *w)
{
    if (h2o_linklist_is_linked(&w->link))
        h2o_linklist_unlink(&w->link);
    if (h2o_timeout_is_linked(&w->patience))
        h2o_timeout_unlink(&w->patience);
}

static void dispose(void *arg)
{
    struct http2_wait *w = arg;

    stop_waiting(w);
    budget_give_back_body(w->connection->loop->server, &w->body);
}

static struct http2_wait *wait_begin(h2o_req_t *req, struct connection *c, h2o_timeout_t *timeout)
{
    struct http2_wait *w = h2o_mem_alloc_shared(&req->pool, sizeof(*w), dispose);

    *w = (struct http2_wait){.connection = c, .req = req, .patience.cb = on_impatience};
    h2o_timeout_link(c->loop->context.loop, timeout, &w->patience);
    return w;
}

/* Whatever its Content-Length says: libh2o compares only once all is there. */
const struct objection *http2_body_begins(h2o_req_t *req, struct connection *c)
{
    struct server *server = c->loop->server;
    const struct objection *objection;
    struct body_room room;
    struct client client;

    if (!request_find_client(req, c, &client))
        return &BAD_FORWARDED;
    objection = budget_take_body(server, &client, server->options.body_max, &room);
    if (objection)
        return objection;
    struct http2_wait *w = wait_begin(req, c, &c->loop->body_timeout);
    w->body = room;
    w->refusal = REFUSED_SLOW_BODY;
    w->limit = "limits.body_timeout";
    h2o_linklist_insert(&c->bodies, &w->link);
    return NULL;
}

void http2_body_is_there(const h2o_req_t *req, struct connection *c)
{
    for (h2o_linklist_t *node = c->bodies.next; node != &c->bodies; node = node->next) {
        struct http2_wait *w = container_of(node, struct http2_wait, link);
        if (w->req != req)
            continue;
        stop_waiting(w);
        budget_shrink_body(c->loop->server, &w->body, req->entity.len);
        return;
    }
}

void http2_answer_is_waited_for(h2o_req_t *req, struct connection *c)
{
    struct http2_wait *w = wait_begin(req, c, &c->loop->write_timeout);

    w->refusal = REFUSED_SLOW_READER;
    w->limit = "limits.write_timeout";
}
