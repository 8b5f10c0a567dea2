/* Listening sockets: TCP, one a loop (SO_REUSEPORT), or one Unix socket for all. Made in the starting thread as plain
 * descriptors; each loop takes its own over. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/internal.h"

enum {
    BACKLOG = 1024,
    /* The loop reads all that is there at once, so this is what a connection can make it hold in one turn. The kernel doubles it. */
    RECEIVE_MAX = 32 << 10,
};

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t len;
};

static const char *where(const struct listener *l)
{
    return l->options.where ? l->options.where : "listener";
}

static bool fault_listen(const struct listener *l, int error, struct fault *fault)
{
    if (error == EADDRINUSE)
        return fault_set(fault, FAULT_CONFLICT,
                         "%s: %s is in use by another process. Stop that process or choose another address.", where(l),
                         l->name);
    if (error == EACCES)
        return fault_set(
            fault, FAULT_INVALID,
            "%s: may not listen on %s. Ports below 1024 need CAP_NET_BIND_SERVICE; folders must be writable.", where(l),
            l->name);
    return fault_set(fault, FAULT_INVALID, "%s: cannot listen on %s: %s.", where(l), l->name, strerror(error));
}

static bool address_parse(const struct listener *l, struct address *ret, struct fault *fault)
{
    unsigned port = l->options.port;

    *ret = (struct address){0};
    if (inet_pton(AF_INET, l->options.address, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons((uint16_t)port);
        ret->len = sizeof(ret->v4);
    } else if (inet_pton(AF_INET6, l->options.address, &ret->v6.sin6_addr) == 1) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons((uint16_t)port);
        ret->len = sizeof(ret->v6);
    } else {
        return fault_set(fault, FAULT_INVALID, "%s: \"%s\" is neither an IP address nor an absolute path.", where(l),
                         l->options.address);
    }
    if (port > 65535)
        return fault_set(fault, FAULT_INVALID, "%s: %u is no port.", where(l), port);
    return true;
}

static bool is_loopback(const struct address *a)
{
    return a->any.sa_family == AF_INET ? ntohl(a->v4.sin_addr.s_addr) >> 24 == 127
                                       : IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

static void set_option(int fd, int level, int name)
{
    int on = 1;

    setsockopt(fd, level, name, &on, sizeof(on));
}

/* -1 and errno. shared: others of this process may listen there too. */
static int tcp_listen(const struct address *a, bool shared)
{
    own(closep) int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int receive_max = RECEIVE_MAX;
    int only_v6 = a->any.sa_family == AF_INET6 && !IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);

    if (fd < 0)
        return -1;
    set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_max, sizeof(receive_max)); /* accepted sockets inherit it */
    if (a->any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof(only_v6));
    if (shared)
        set_option(fd, SOL_SOCKET, SO_REUSEPORT);
    if (bind(fd, &a->any, a->len) < 0 || listen(fd, BACKLOG) < 0)
        return -1;
    int ret = fd;
    fd = -1;
    return ret;
}

/* SO_REUSEPORT would silently share the port with any process of the same user. So the port is first taken by a socket that
 * does not share, which then begins to: from that moment until the loops' own sockets listen, one of ours always does. */
static int tcp_probe(struct address *a)
{
    own(closep) int fd = tcp_listen(a, false);
    socklen_t len = sizeof(a->v6);

    if (fd < 0 || getsockname(fd, &a->any, &len) < 0)
        return -1;
    set_option(fd, SOL_SOCKET, SO_REUSEPORT);
    int ret = fd;
    fd = -1;
    return ret;
}

static void tcp_name(struct listener *l, unsigned port)
{
    bool v6 = strchr(l->options.address, ':');

    free(l->name);
    l->name = xprintf("%s%s%s:%u", v6 ? "[" : "", l->options.address, v6 ? "]" : "", port);
}

static bool tcp_open(struct listener *l, unsigned loops, struct fault *fault)
{
    struct address a;

    if (!address_parse(l, &a, fault))
        return false;
    if (!l->options.tls && !is_loopback(&a))
        return fault_set(fault, FAULT_INVALID,
                         "%s: %s would serve without TLS to other machines. Set tls: true, or listen on 127.0.0.1.",
                         where(l), l->name);
    own(closep) int probe = tcp_probe(&a);
    if (probe < 0)
        return fault_listen(l, errno, fault);
    l->port = ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
    tcp_name(l, l->port);
    for (unsigned i = 0; i < loops; i++) {
        l->fds[i] = tcp_listen(&a, true);
        if (l->fds[i] < 0)
            return fault_listen(l, errno, fault);
    }
    return true;
}

/* A socket file that nobody listens on may go; anything else at that path may not. */
static bool unix_path_free(const struct listener *l, const struct sockaddr_un *a, struct fault *fault)
{
    struct stat st;

    if (lstat(a->sun_path, &st) < 0)
        return errno == ENOENT || fault_listen(l, errno, fault);
    if (!S_ISSOCK(st.st_mode))
        return fault_set(fault, FAULT_CONFLICT, "%s: %s exists and is no socket. Move it away or choose another path.",
                         where(l), l->name);
    own(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fault_listen(l, errno, fault);
    if (connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0 || errno != ECONNREFUSED)
        return fault_listen(l, EADDRINUSE, fault);
    return true;
}

static bool unix_open(struct listener *l, unsigned loops, struct fault *fault)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX}, fresh = a;
    struct stat st;

    /* Made beside it and renamed, so that it is never there with wrong permissions, nor ever missing. */
    int len = snprintf(fresh.sun_path, sizeof(fresh.sun_path), "%s.%d", l->options.address, (int)getpid());
    if (len < 0 || (size_t)len >= sizeof(fresh.sun_path))
        return fault_set(fault, FAULT_INVALID, "%s: %s is too long for a socket's path.", where(l), l->name);
    strcpy(a.sun_path, l->options.address);
    if (!unix_path_free(l, &a, fault))
        return false;

    own(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(fresh.sun_path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&fresh, sizeof(fresh)) < 0)
        return fault_listen(l, errno, fault);
    if (chmod(fresh.sun_path, 0660) < 0 || listen(fd, BACKLOG) < 0 || lstat(fresh.sun_path, &st) < 0 ||
        rename(fresh.sun_path, a.sun_path) < 0) {
        int error = errno;
        unlink(fresh.sun_path);
        return fault_listen(l, error, fault);
    }
    l->device = st.st_dev;
    l->inode = st.st_ino;
    for (unsigned i = 0; i < loops; i++) {
        l->fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (l->fds[i] < 0)
            return fault_listen(l, errno, fault);
    }
    return true;
}

bool listener_open(struct listener *l, unsigned loops, struct fault *fault)
{
    const char *address = l->options.address;

    l->fds = xmalloc(loops * sizeof(*l->fds));
    for (unsigned i = 0; i < loops; i++)
        l->fds[i] = -1;
    if (address[0] == '/') {
        l->name = xstrdup(address);
        return unix_open(l, loops, fault);
    }
    tcp_name(l, l->options.port);
    return tcp_open(l, loops, fault);
}

void listener_close(struct listener *l, unsigned loops)
{
    struct stat st;

    for (unsigned i = 0; l->fds && i < loops; i++)
        closep(&l->fds[i]);
    if (l->inode && lstat(l->options.address, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode)
        unlink(l->options.address);
    tls_unref(l->tls);
    free(l->fds);
    free(l->name);
    free((char *)l->options.address);
    free((char *)l->options.certificate_file);
    free((char *)l->options.key_file);
    free((char *)l->options.client_ca_file);
    for (size_t i = 0; i < l->options.client_crl_count; i++)
        free((char *)l->options.client_crl_files[i]);
    free((char **)l->options.client_crl_files);
    free((char *)l->options.ocsp_file);
    free((char *)l->options.where);
}
