/* What comes before HTTP: the PROXY header where one is asked for, the share of the address, the TLS handshake. One time limit for
 * all of it. */
#include "server/internal.h"
#include "server/proxy.h"

static void refuse(struct connection *c, enum server_refusal refusal, const char *reason)
{
    record_refusal(c->loop, refusal, &c->client, reason, NULL, 0);
    h2o_socket_close(c->socket);
}

static void on_timeout(h2o_timeout_entry_t *entry)
{
    struct connection *c = container_of(entry, struct connection, patience);

    refuse(c, c->tls && c->socket->ssl ? REFUSED_HANDSHAKE : REFUSED_PROXY, "too slow");
}

void handshake_over(struct connection *c)
{
    if (!h2o_linklist_is_linked(&c->handshake_link))
        return;
    h2o_linklist_unlink(&c->handshake_link);
    c->loop->handshake_count--;
}

/* An honest handshake takes a moment, so the oldest is the likeliest to be held up on purpose. */
static void make_room(struct loop *loop)
{
    unsigned share = MAX(loop->server->options.handshakes_max / loop->server->loop_count, 1U);

    if (loop->handshake_count < share)
        return;
    struct connection *oldest = container_of(loop->handshakes.next, struct connection, handshake_link);
    refuse(oldest, REFUSED_PUSHED_OUT, "limits.handshakes");
}

static void on_tls(h2o_socket_t *socket, const char *error)
{
    struct connection *c = socket->on_close.data;

    if (error && c->certificate_fault) {
        record_client_refusal(c, c->certificate_fault, false);
        h2o_socket_close(socket);
        return;
    }
    if (error) {
        refuse(c, REFUSED_HANDSHAKE, error);
        return;
    }
    if (c->listener->options.client_ca_file && !clients_admit(c))
        return;
    handshake_over(c);
    connection_serve(c, listener_offers_http2(&c->listener->options) && tls_is_http2(socket));
}

/* The address is known: may it have a connection? If it may not, the connection is gone. */
static bool take_share(struct connection *c)
{
    struct ip prefix;

    if (!c->has_ip || c->trusted)
        return true;
    if (client_is_barred(c->loop, &c->client)) {
        refuse(c, REFUSED_BARRED, "limits.address.refusals_per_minute");
        return false;
    }
    prefix = ip_prefix(&c->client.ip);
    c->counted = tally_take(c->loop->server->addresses, prefix.bytes, 1);
    if (c->counted)
        return true;
    refuse(c, REFUSED_ADDRESS, "limits.connections_per_address");
    return false;
}

static void begin_protocol(struct connection *c)
{
    if (!take_share(c))
        return;
    if (c->tls) {
        h2o_socket_ssl_handshake(c->socket, c->tls->context, NULL, on_tls);
        return;
    }
    handshake_over(c);
    connection_serve(c, false);
}

/* A proxy before this one may be trusted too, and say more in X-Forwarded-For; whoever came to it through a Unix socket of its own
 * machine is no proxy of ours. */
static void take_source(struct connection *c, const struct proxy_header *header)
{
    if (header->source == PROXY_LOCAL)
        return;
    connection_set_ip(c, header->source == PROXY_IP ? &header->ip : NULL);
    if (header->source == PROXY_UNIX)
        c->trusted = false;
}

static void on_proxy_read(h2o_socket_t *socket, const char *error)
{
    struct connection *c = socket->on_close.data;
    struct proxy_header header = {0};

    if (error && socket->input->size == 0) { /* a load balancer that looks whether somebody listens */
        h2o_socket_close(socket);
        return;
    }
    if (error) {
        refuse(c, REFUSED_PROXY, error);
        return;
    }
    switch (proxy_read((const uint8_t *)socket->input->bytes, socket->input->size, &header)) {
    case PROXY_MORE:
        return;
    case PROXY_BAD:
        refuse(c, REFUSED_PROXY, header.reason);
        return;
    case PROXY_OK:
        break;
    }
    h2o_socket_read_stop(socket);
    h2o_buffer_consume(&socket->input, header.len);
    take_source(c, &header);
    begin_protocol(c); /* what came behind the header is the first of it */
}

void handshake_begin(struct connection *c)
{
    struct loop *loop = c->loop;
    bool proxied = c->listener->options.proxy_protocol;

    if (proxied && !c->trusted) {
        refuse(c, REFUSED_PROXY, "not one of server.trusted_proxies");
        return;
    }
    if (c->tls || proxied) {
        make_room(loop);
        h2o_linklist_insert(&loop->handshakes, &c->handshake_link);
        loop->handshake_count++;
        c->waits_for = WAIT_HANDSHAKE;
        c->patience.cb = on_timeout;
        h2o_timeout_link(loop->context.loop, &loop->context.handshake_timeout, &c->patience);
    }
    if (proxied)
        h2o_socket_read_start(c->socket, on_proxy_read);
    else
        begin_protocol(c);
}
