/* Accepting: connections are counted in, or refused before they cost anything. */
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "server/internal.h"

enum {
    UNSENT_MAX = 128 << 10, /* in the kernel: a client that reads slowly shall not make it hold megabytes */
    KEEPALIVE_S = 30,
    KEEPALIVE_AGAIN_S = 10, /* whoever is gone without a word is known to be */
};

/* Pins the listener's current TLS context. NULL: plain. */
static struct tls *pin_tls(struct server *server, const struct listener *l)
{
    if (!l->options.tls)
        return NULL;
    pthread_mutex_lock(&server->lock);
    struct tls *tls = tls_ref(l->tls);
    pthread_mutex_unlock(&server->lock);
    return tls;
}

/* Counts a connection in, or as refused. */
static bool admit(struct loop *loop)
{
    struct server *server = loop->server;
    uint_fast64_t open = atomic_fetch_add_explicit(&server->connections_open, 1, memory_order_relaxed);

    atomic_fetch_add_explicit(&server->connections, 1, memory_order_relaxed);
    if (open < server->options.connections_max)
        return true;
    atomic_fetch_sub_explicit(&server->connections_open, 1, memory_order_relaxed);
    record_refusal(loop, REFUSED_CONNECTIONS, NULL, "limits.connections", NULL, 0);
    return false;
}

/* False: a Unix socket's. */
static bool peer_ip(h2o_socket_t *socket, struct ip *ret)
{
    struct sockaddr_storage address = {0};

    if (h2o_socket_getpeername(socket, (struct sockaddr *)&address) == 0)
        return false;
    if (address.ss_family == AF_INET)
        *ret = ip_from_v4(&((struct sockaddr_in *)&address)->sin_addr);
    else if (address.ss_family == AF_INET6)
        *ret = ip_from_v6(&((struct sockaddr_in6 *)&address)->sin6_addr);
    else
        return false;
    return true;
}

static void set_socket_options(const struct server *server, int fd)
{
    unsigned patience_ms = server->options.write_timeout_ms;
    int unsent = UNSENT_MAX, on = 1, idle_s = KEEPALIVE_S, again_s = KEEPALIVE_AGAIN_S;

    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof(patience_ms));
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &again_s, sizeof(again_s));
}

static void begin(struct loop_listener *l, h2o_socket_t *socket)
{
    struct loop *loop = l->loop;
    struct ip ip;

    if (!admit(loop)) {
        h2o_socket_close(socket);
        return;
    }
    bool has_ip = peer_ip(socket, &ip);
    if (has_ip)
        set_socket_options(loop->server, h2o_socket_get_fd(socket));
    struct connection *c = connection_adopt(loop, l->listener, socket, pin_tls(loop->server, l->listener));
    connection_set_ip(c, has_ip ? &ip : NULL);
    handshake_begin(c);
}

static void on_retry(h2o_timeout_entry_t *entry)
{
    struct loop_listener *l = container_of(entry, struct loop_listener, retry);

    h2o_socket_read_start(l->socket, accept_on_readable);
}

void accept_on_readable(h2o_socket_t *listener, const char *error)
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
