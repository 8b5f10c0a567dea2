#include "app/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "bailiff/store.h"

static bool probe_ip(const struct config *c, const struct config_listener *l, struct fault *fault)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)l->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)l->port)};
    bool is_v4 = inet_pton(AF_INET, l->address, &v4.sin_addr) == 1;
    int on = 1;

    if (!is_v4 && inet_pton(AF_INET6, l->address, &v6.sin6_addr) != 1)
        return true;
    own(closep) int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) /* perhaps there is no IPv6 here: let the server say */
        return true;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (!is_v4)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    /* No SO_REUSEPORT: it would let us in beside another server. */
    if (bind(fd, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6, is_v4 ? sizeof(v4) : sizeof(v6)) == 0)
        return true;
    if (errno == EADDRINUSE)
        return fault_set(fault, FAULT_CONFLICT,
                         "%s:%u: port %u of %s is in use by another program; stop that, or choose another port.",
                         c->file, yaml_line(l->node, "port"), l->port, l->address);
    if (errno == EACCES)
        return fault_set(
            fault, FAULT_INVALID,
            "%s:%u: this user may not listen on port %u; choose one from 1024 on, or grant CAP_NET_BIND_SERVICE.",
            c->file, yaml_line(l->node, "port"), l->port);
    return fault_set(fault, FAULT_INVALID, "%s:%u: cannot listen on %s: %s.", c->file, yaml_line(l->node, "address"),
                     l->address, strerror(errno));
}

static bool probe_unix(const struct config *c, const struct config_listener *l, struct fault *fault)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    own(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    size_t len = strlen(l->address);

    if (fd < 0 || len >= sizeof(address.sun_path))
        return true;
    memcpy(address.sun_path, l->address, len);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno != EAGAIN)
        return true;
    return fault_set(fault, FAULT_CONFLICT, "%s:%u: another program listens on %s; stop that, or choose another path.",
                     c->file, yaml_line(l->node, "address"), l->address);
}

static bool probe_store(const struct config *c, struct fault *fault)
{
    own(closep) int fd = -1;
    struct stat st;

    return stat(c->store.folder, &st) < 0 || store_lock(c->store.folder, &fd, fault);
}

bool probe_start(const struct config *c, struct fault *fault)
{
    /* The folder first: whoever starts a server twice has port and folder taken, and the folder says what happened. */
    if (!probe_store(c, fault))
        return false;
    for (size_t i = 0; i < c->server.listeners.count; i++) {
        const struct config_listener *l = config_listener(c, i);

        if (l->address[0] == '/' ? !probe_unix(c, l, fault) : !probe_ip(c, l, fault))
            return false;
    }
    return true;
}
