/* The end of a loop: no new connections, idle ones go at once, requests in flight end, what is left at the deadline is cut. */
#include <sys/socket.h>

#include "bailiff/clock.h"
#include "server/internal.h"

enum {
    HANDSHAKE_GRACE_MS = 1000, /* for connections that were being made when the drain began */
    FORCED_GRACE_MS = 5000,    /* for cut connections to notice */
};

/* Connections that the kernel has accepted already may carry requests: they are served too. */
static void stop_listening(struct loop *loop)
{
    for (size_t i = 0; i < loop->server->listener_count; i++) {
        struct loop_listener *l = &loop->listeners[i];
        if (h2o_timeout_is_linked(&l->retry))
            h2o_timeout_unlink(&l->retry);
        for (int turn = 0; turn < 64; turn++)
            accept_on_readable(l->socket, NULL);
        if (h2o_timeout_is_linked(&l->retry))
            h2o_timeout_unlink(&l->retry);
        h2o_socket_read_stop(l->socket);
        h2o_socket_close(l->socket);
        l->socket = NULL;
    }
}

/* libh2o lets idle HTTP/1 connections linger for the whole request timeout; an end of input makes it close them. HTTP/2
 * connections have been told to go away and do so by themselves. */
static void let_idle_go(struct loop *loop, int64_t now_ms)
{
    for (h2o_linklist_t *node = loop->connections.next; node != &loop->connections; node = node->next) {
        struct connection *c = container_of(node, struct connection, link);
        int fd = h2o_socket_get_fd(c->socket);
        if (c->waits_for == WAIT_HANDSHAKE && now_ms - loop->drain_started_ms >= HANDSHAKE_GRACE_MS)
            shutdown(fd, SHUT_RD);
        else if (c->waits_for != WAIT_HANDSHAKE && !c->http2 && connection_is_idle(c))
            shutdown(fd, SHUT_RD);
    }
}

/* HTTP/1 neither reads nor writes while a handler works or a source has nothing, so it has to be pushed to notice. */
static void cut_exchange(struct server_exchange *e)
{
    if (e->req->version >= 0x200 || e->complete)
        return;
    if (!e->answered) {
        e->answered = true;
        e->req->http1_is_persistent = 0;
        e->req->res.status = 503;
        e->req->res.reason = status_reason(503);
        e->req->res.content_length = 0;
        h2o_start_response(e->req, &e->generator);
        h2o_send(e->req, NULL, 0, H2O_SEND_STATE_FINAL);
    } else if (h2o_timeout_is_linked(&e->later)) {
        h2o_timeout_unlink(&e->later);
        ticket_abandon(e->turn);
        e->turn = NULL;
        answer_abort(e);
    }
}

static void cut_all(struct loop *loop, int64_t now_ms)
{
    loop->forced = true;
    loop->drain_until_ms = now_ms + FORCED_GRACE_MS;
    const struct log_field fields[] = {L_INT("connections", loop->connection_count)};
    loop_log(loop, LOG_WARNING, "server.drain_timeout", "Cutting the connections that are left.", fields,
             ARRAY_LEN(fields));
    for (h2o_linklist_t *node = loop->connections.next; node != &loop->connections; node = node->next)
        connection_reset(container_of(node, struct connection, link));
    for (h2o_linklist_t *node = loop->exchanges.next, *next; node != &loop->exchanges; node = next) {
        next = node->next; /* cutting one disposes of that one at most */
        cut_exchange(container_of(node, struct server_exchange, link));
    }
}

static void on_tick(h2o_timeout_entry_t *entry)
{
    struct loop *loop = container_of(entry, struct loop, tick);
    int64_t now_ms = clock_mono_ms();

    if (loop->connection_count == 0 || (loop->forced && now_ms >= loop->drain_until_ms)) {
        loop->ended = true;
        return;
    }
    if (!loop->forced && now_ms >= loop->drain_until_ms)
        cut_all(loop, now_ms);
    else if (!loop->forced)
        let_idle_go(loop, now_ms);
    h2o_timeout_link(loop->context.loop, &loop->context.hundred_ms_timeout, &loop->tick);
}

void drain_begin(struct loop *loop)
{
    loop->draining = true;
    loop->drain_started_ms = clock_mono_ms();
    loop->drain_until_ms = loop->drain_started_ms + loop->server->options.drain_timeout_ms;
    stop_listening(loop);
    h2o_context_request_shutdown(&loop->context);
    loop->tick.cb = on_tick;
    on_tick(&loop->tick);
}
