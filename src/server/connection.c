/* Connections: what they are waited for, their way into libh2o, and their end. */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/internal.h"

enum { LINGER_DISCARD_MAX = 1 << 20 };

struct connection *connection_of(h2o_conn_t *conn)
{
    return conn->callbacks->get_socket(conn)->on_close.data;
}

static void connection_on_close(void *arg);

/* ---- closing ---- */

static void on_linger_read(h2o_socket_t *socket, const char *error)
{
    struct connection *c = socket->on_close.data;

    c->discarded += socket->input->size;
    h2o_buffer_consume(&socket->input, socket->input->size);
    if (error || c->discarded > LINGER_DISCARD_MAX)
        h2o_socket_close(socket);
}

void connection_linger(struct connection *c)
{
    if (!c->loop->testing && c->linger_fd < 0)
        c->linger_fd = fcntl(h2o_socket_get_fd(c->socket), F_DUPFD_CLOEXEC, 3);
}

/* libh2o has closed its descriptor; ours still holds the connection. It counts as one until it really ends. */
static void begin_lingering(struct connection *c)
{
    struct loop *loop = c->loop;

    shutdown(c->linger_fd, SHUT_WR);
    c->socket = h2o_evloop_socket_create(loop->context.loop, c->linger_fd, 0);
    c->linger_fd = -1;
    c->socket->on_close.cb = connection_on_close;
    c->socket->on_close.data = c;
    connection_wait(c, WAIT_LINGER);
    h2o_socket_read_start(c->socket, on_linger_read);
}

static void connection_on_close(void *arg)
{
    struct connection *c = arg;

    c->ssl = NULL; /* the socket's, and gone with it */
    if (h2o_linklist_is_linked(&c->certified_link))
        h2o_linklist_unlink(&c->certified_link);
    budget_give_back_body(c->loop->server, &c->body);
    if (c->linger_fd >= 0 && !c->loop->draining) {
        begin_lingering(c);
        return;
    }
    if (c->linger_fd >= 0)
        close(c->linger_fd);
    h2o_linklist_unlink(&c->link);
    c->loop->connection_count--;
    handshake_over(c);
    if (c->counted)
        tally_give_back(c->loop->server->addresses, ip_prefix(&c->client.ip).bytes, 1);
    if (!c->loop->testing)
        atomic_fetch_sub_explicit(&c->loop->server->connections_open, 1, memory_order_relaxed);
    if (h2o_timeout_is_linked(&c->patience))
        h2o_timeout_unlink(&c->patience);
    tls_unref(c->tls);
    certificate_free(c->certificate);
    free(c);
}

void connection_set_ip(struct connection *c, const struct ip *ip)
{
    const struct trusted_proxies *trusted = &c->loop->server->trusted;

    c->has_ip = ip != NULL;
    if (ip) {
        c->client.ip = *ip;
        ip_format(ip, c->client.address);
        c->trusted = trusted_proxies_have(trusted, ip);
    } else {
        strcpy(c->client.address, "unix");
        c->trusted = trusted->unix_sockets;
    }
    c->client.own = c->has_ip && !c->trusted;
}

bool connection_find_client(const struct connection *c, const struct span *values, size_t count, struct client *ret)
{
    const struct trusted_proxies *trusted = &c->loop->server->trusted;
    struct ip ip = c->client.ip;

    *ret = c->client;
    if (!c->trusted || count == 0)
        return true;
    if (!forwarded_client(trusted, values, count, &ip))
        return false;
    ret->ip = ip;
    ip_format(&ip, ret->address);
    ret->forwarded = true;
    ret->own = !trusted_proxies_have(trusted, &ip);
    return true;
}

bool client_is_barred(struct loop *loop, const struct client *client)
{
    const struct server_options *options = &loop->server->options;
    unsigned retry_after_s;

    return client->own && options->is_barred && options->is_barred(options->services, client->address, &retry_after_s);
}

struct connection *connection_adopt(struct loop *loop, const struct listener *listener, h2o_socket_t *socket,
                                    struct tls *tls)
{
    struct connection *c = xcalloc(1, sizeof(*c));

    c->loop = loop;
    c->listener = listener;
    c->socket = socket;
    c->tls = tls;
    c->linger_fd = -1;
    h2o_linklist_init_anchor(&c->bodies);
    h2o_linklist_insert(&loop->connections, &c->link);
    loop->connection_count++;
    socket->on_close.cb = connection_on_close;
    socket->on_close.data = c;
    return c;
}

void connection_reset(struct connection *c)
{
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    int fd = h2o_socket_get_fd(c->socket);

    /* TCP answers "disconnect" with a reset at once; a Unix socket can only be shut. */
    if (connect(fd, &none, sizeof(none)) < 0)
        shutdown(fd, SHUT_RDWR);
}

/* Nothing of a request has reached us, neither libh2o's buffer nor the kernel's. */
bool connection_is_idle(struct connection *c)
{
    int waiting = 0;

    return h2o_socket_is_reading(c->socket) && !h2o_socket_is_writing(c->socket) && c->socket->input->size == 0 &&
           ioctl(h2o_socket_get_fd(c->socket), FIONREAD, &waiting) == 0 && waiting == 0;
}

/* ---- waiting ---- */

static void lose_patience(struct connection *c, enum server_refusal refusal, const char *reason)
{
    record_refusal(c->loop, refusal, &c->client, reason, NULL, 0);
    connection_reset(c);
}

/* libh2o closes the connection when it notices; only while lingering it is ours. */
static void on_impatience(h2o_timeout_entry_t *entry)
{
    struct connection *c = container_of(entry, struct connection, patience);

    switch (c->waits_for) {
    case WAIT_IDLE:
        shutdown(h2o_socket_get_fd(c->socket), SHUT_RD);
        break;
    case WAIT_HEAD:
        lose_patience(c, REFUSED_SLOW_HEAD, "limits.head_timeout");
        break;
    case WAIT_BODY:
        lose_patience(c, REFUSED_SLOW_BODY, "limits.body_timeout");
        break;
    case WAIT_READER:
        lose_patience(c, REFUSED_SLOW_READER, "limits.write_timeout");
        break;
    case WAIT_LINGER:
        h2o_socket_close(c->socket);
        break;
    case WAIT_HANDSHAKE: /* handshake.c's */
    case WAIT_ANSWER:
        break;
    }
}

static h2o_timeout_t *timeout_of(struct loop *loop, int waits_for)
{
    switch (waits_for) {
    case WAIT_IDLE:
        return &loop->idle_timeout;
    case WAIT_HEAD:
        return &loop->head_timeout;
    case WAIT_BODY:
        return &loop->body_timeout;
    case WAIT_READER:
        return &loop->write_timeout;
    case WAIT_LINGER:
        return &loop->context.one_sec_timeout;
    default:
        return NULL;
    }
}

void connection_wait(struct connection *c, int waits_for)
{
    h2o_timeout_t *timeout = timeout_of(c->loop, waits_for);

    if (h2o_timeout_is_linked(&c->patience))
        h2o_timeout_unlink(&c->patience);
    c->waits_for = waits_for;
    c->patience.cb = on_impatience;
    if (timeout)
        h2o_timeout_link(c->loop->context.loop, timeout, &c->patience);
}

/* ---- into libh2o ---- */

void connection_serve(struct connection *c, bool http2)
{
    struct timeval now = *h2o_get_timestamp(&c->loop->context, NULL, NULL);

    c->http2 = http2;
    connection_wait(c, http2 ? WAIT_ANSWER : WAIT_IDLE);
    if (http2) {
        h2o_http2_accept(&c->loop->accept, c->socket, now);
        return;
    }
    /* Whole TLS records from the first byte on: libh2o's default is one a packet for the first 200 KB. */
    c->socket->_latency_optimization.state = H2O_SOCKET_LATENCY_OPTIMIZATION_STATE_NEEDS_UPDATE;
    c->socket->_latency_optimization.suggested_tls_payload_size = 16384;
    c->socket->_latency_optimization.suggested_write_size = SIZE_MAX;
    h2o_http1_accept(&c->loop->accept, c->socket, now);
}
