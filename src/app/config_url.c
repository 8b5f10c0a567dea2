/* Addresses: of listeners, of ourselves, of web pages. Pure. */
#include <arpa/inet.h>

#include "app/config_schema.h"

bool address_is_loopback(const char *address)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, address, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, address, &v6) != 1)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

static bool host_is_name(struct span host)
{
    if (host.len == 0 || host.len > 253 || host.data[0] == '.' || host.data[0] == '-' || host.data[host.len - 1] == '.')
        return false;
    for (size_t i = 0; i < host.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789.-", host.data[i]) ||
            (host.data[i] == '.' && host.data[i - 1] == '.'))
            return false;
    return true;
}

static bool host_is_v6(struct span host) /* with its brackets */
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr v6;

    if (host.len < 4 || host.len - 2 >= sizeof(text) || host.data[0] != '[' || host.data[host.len - 1] != ']')
        return false;
    memcpy(text, host.data + 1, host.len - 2);
    text[host.len - 2] = '\0';
    return inet_pton(AF_INET6, text, &v6) == 1;
}

static bool host_is_loopback(struct span host)
{
    char text[INET6_ADDRSTRLEN];
    size_t bracket = host.data[0] == '[';

    if (span_is(host, "localhost"))
        return true;
    if (host.len - 2 * bracket >= sizeof(text))
        return false;
    memcpy(text, host.data + bracket, host.len - 2 * bracket);
    text[host.len - 2 * bracket] = '\0';
    return address_is_loopback(text);
}

static const char *port_fault(struct span port, bool https)
{
    uint64_t n;

    if (!span_to_u64(port, 65535, &n) || n == 0 || port.data[0] == '0')
        return "its port is not a number from 1 to 65535";
    if (n == (https ? 443 : 80))
        return "its port is the usual one, which is never sent; leave it out";
    return NULL;
}

static const char *path_fault(struct span path)
{
    if (path.data[path.len - 1] == '/')
        return "it ends with a slash; leave that out";
    for (size_t i = 0; i < path.len; i++)
        if (path.data[i] <= 0x20 || path.data[i] == 0x7f || (unsigned char)path.data[i] >= 0x80 ||
            strchr("?#\"<>\\^`{|}", path.data[i]))
            return "it has a query, a fragment or an odd character; leave that out";
    return NULL;
}

const char *origin_fault(const char *url, bool path_allowed, bool *ret_loopback)
{
    bool https = strncmp(url, "https://", 8) == 0;
    const char *fault = NULL;
    struct span host, port = {0}, path;

    if (!https && strncmp(url, "http://", 7) != 0)
        return "it does not begin with https://";
    host.data = url + (https ? 8 : 7);
    host.len = strcspn(host.data, "/?#");
    path = span_of(host.data + host.len);
    if (host.len > 0 && host.data[0] == '[') {
        const char *end = memchr(host.data, ']', host.len);
        size_t len = end ? (size_t)(end + 1 - host.data) : host.len;

        if (len < host.len)
            port = (struct span){host.data + len, host.len - len};
        host.len = len;
    } else {
        const char *colon = memchr(host.data, ':', host.len);

        if (colon) {
            port = (struct span){colon, host.len - (size_t)(colon - host.data)};
            host.len = (size_t)(colon - host.data);
        }
    }
    if (!host_is_name(host) && !host_is_v6(host))
        return "its host is not a name in lower case or an IP address";
    if (port.len > 0 && port.data[0] != ':')
        return "its host is not a name in lower case or an IP address";
    if (port.len > 0 && (fault = port_fault((struct span){port.data + 1, port.len - 1}, https)))
        return fault;
    if (path.len > 0 && !path_allowed)
        return "it has something behind the host; an origin ends there, without a slash";
    if (path.len > 0 && (fault = path_fault(path)))
        return fault;
    *ret_loopback = host_is_loopback(host);
    return NULL;
}
