/* Connections: accepted, counted, through their TLS handshake, into libh2o, and closed. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/internal.h"

enum { LINGER_DISCARD_MAX = 1 << 20 };

static void count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

struct connection *connection_of(h2o_conn_t *conn)
{
    return conn->callbacks->get_socket(conn)->on_close.data;
}

static void connection_on_close(void *arg);

/* ---- closing ---- */

static void on_linger_end(h2o_timeout_entry_t *entry)
{
    h2o_socket_close(container_of(entry, struct connection, patience)->socket);
}

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
    c->patience.cb = on_linger_end;
    h2o_timeout_link(loop->context.loop, &loop->context.one_sec_timeout, &c->patience);
    h2o_socket_read_start(c->socket, on_linger_read);
}

static void connection_on_close(void *arg)
{
    struct connection *c = arg;

    if (c->linger_fd >= 0 && !c->loop->draining) {
        begin_lingering(c);
        return;
    }
    if (c->linger_fd >= 0)
        close(c->linger_fd);
    h2o_linklist_unlink(&c->link);
    c->loop->connection_count--;
    if (!c->loop->testing)
        atomic_fetch_sub_explicit(&c->loop->server->connections_open, 1, memory_order_relaxed);
    if (h2o_timeout_is_linked(&c->patience))
        h2o_timeout_unlink(&c->patience);
    SSL_CTX_free(c->tls);
    free(c);
}

/* IPv4 in its own form, also where it came through an IPv6 socket: limits and audit must not see two names of one client. */
static void format_address(h2o_socket_t *socket, char out[static INET6_ADDRSTRLEN])
{
    struct sockaddr_storage address = {0};

    strcpy(out, "unix");
    if (h2o_socket_getpeername(socket, (struct sockaddr *)&address) == 0)
        return;
    if (address.ss_family == AF_INET) {
        inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, out, INET6_ADDRSTRLEN);
    } else if (address.ss_family == AF_INET6) {
        const struct in6_addr *v6 = &((struct sockaddr_in6 *)&address)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(v6))
            inet_ntop(AF_INET, &v6->s6_addr[12], out, INET6_ADDRSTRLEN);
        else
            inet_ntop(AF_INET6, v6, out, INET6_ADDRSTRLEN);
    }
}

struct connection *connection_adopt(struct loop *loop, h2o_socket_t *socket, SSL_CTX *tls)
{
    struct connection *c = xcalloc(1, sizeof(*c));

    c->loop = loop;
    c->socket = socket;
    c->tls = tls;
    c->linger_fd = -1;
    format_address(socket, c->address);
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

static void serve(struct connection *c, bool http2)
{
    struct timeval now = *h2o_get_timestamp(&c->loop->context, NULL, NULL);

    c->http2 = http2;
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

static void on_handshake(h2o_socket_t *socket, const char *error)
{
    struct connection *c = socket->on_close.data;

    h2o_timeout_unlink(&c->patience);
    c->handshaking = false;
    if (error) {
        const struct log_field fields[] = {L_STR("address", c->address), L_STR("reason", error)};
        count(&c->loop->server->handshakes_failed);
        loop_log(c->loop, LOG_DEBUG, "tls.handshake_failed", NULL, fields, ARRAY_LEN(fields));
        h2o_socket_close(socket);
        return;
    }
    serve(c, c->offers_http2 && tls_is_http2(socket));
}

static void on_handshake_timeout(h2o_timeout_entry_t *entry)
{
    struct connection *c = container_of(entry, struct connection, patience);

    count(&c->loop->server->handshakes_failed);
    h2o_socket_close(c->socket);
}

/* Pins the listener's current TLS context. NULL: plain. */
static SSL_CTX *pin_context(struct server *server, const struct listener *l)
{
    if (!l->options.tls)
        return NULL;
    pthread_mutex_lock(&server->lock);
    SSL_CTX *tls = l->tls;
    SSL_CTX_up_ref(tls);
    pthread_mutex_unlock(&server->lock);
    return tls;
}

/* Counts a connection in, or as refused. */
static bool admit(struct server *server)
{
    uint_fast64_t open = atomic_fetch_add_explicit(&server->connections_open, 1, memory_order_relaxed);

    count(&server->connections);
    if (open < server->options.connections_max)
        return true;
    atomic_fetch_sub_explicit(&server->connections_open, 1, memory_order_relaxed);
    count(&server->refused_connections);
    return false;
}

static void begin(struct loop_listener *l, h2o_socket_t *socket)
{
    struct loop *loop = l->loop;

    if (!admit(loop->server)) {
        h2o_socket_close(socket);
        return;
    }
    unsigned patience_ms = loop->server->options.write_timeout_ms;
    if (l->listener->options.address[0] != '/')
        setsockopt(h2o_socket_get_fd(socket), IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof(patience_ms));
    struct connection *c = connection_adopt(loop, socket, pin_context(loop->server, l->listener));
    if (!c->tls) {
        serve(c, false);
        return;
    }
    c->offers_http2 = l->listener->options.client_ca_file != NULL;
    c->handshaking = true;
    c->patience.cb = on_handshake_timeout;
    h2o_timeout_link(loop->context.loop, &loop->context.handshake_timeout, &c->patience);
    h2o_socket_ssl_handshake(socket, c->tls, NULL, on_handshake);
}

static void on_retry(h2o_timeout_entry_t *entry)
{
    struct loop_listener *l = container_of(entry, struct loop_listener, retry);

    h2o_socket_read_start(l->socket, connection_on_accept);
}

void connection_on_accept(h2o_socket_t *listener, const char *error)
{
    struct loop_listener *l = listener->data;
    h2o_socket_t *socket;

    if (error)
        return;
    /* A few at a time, so that a flood of connections cannot starve those that are there. */
    for (int i = 0; i < 16; i++) {
        socket = h2o_evloop_socket_accept(listener);
        if (!socket)
            break;
        begin(l, socket);
    }
    if (!socket && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
        /* The listener stays readable: without a pause the loop would spin. */
        const struct log_field fields[] = {L_STR("reason", strerror(errno))};
        loop_log(l->loop, LOG_ERROR, "server.accept_failed", "Pausing for 100 ms.", fields, ARRAY_LEN(fields));
        h2o_socket_read_stop(listener);
        l->retry.cb = on_retry;
        h2o_timeout_link(l->loop->context.loop, &l->loop->context.hundred_ms_timeout, &l->retry);
    }
}
