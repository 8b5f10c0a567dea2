/* IP addresses as values: read, grouped, and looked up in the ranges of trusted proxies. Pure. */
#ifndef BAILIFF_SERVER_IP_H
#define BAILIFF_SERVER_IP_H

#include <netinet/in.h>

#include "bailiff/fault.h"
#include "bailiff/text.h"

/* IPv4 in its IPv6 form (::ffff:a.b.c.d), so that one client has one spelling wherever it came through. */
struct ip {
    uint8_t bytes[16];
};

struct ip ip_from_v4(const struct in_addr *a);
struct ip ip_from_v6(const struct in6_addr *a);
must_check bool ip_parse(struct span s, struct ip *ret); /* an address alone: no port, no brackets, no zone */
void ip_format(const struct ip *ip, char out[static INET6_ADDRSTRLEN]);
/* What limits count as one client: an IPv4 address, or the /64 that one customer usually has. */
struct ip ip_prefix(const struct ip *ip);

struct ip_range {
    struct ip base;
    unsigned bits;
};
struct trusted_proxies {
    struct ip_range *ranges;
    size_t count;
    bool unix_sockets; /* who connects through one of ours is a proxy */
};
/* Each entry is an address, a range such as 10.0.0.0/8, or "unix". */
must_check bool trusted_proxies_read(const char *const *entries, size_t count, struct trusted_proxies *ret,
                                     struct fault *fault);
void trusted_proxies_done(struct trusted_proxies *t);
bool trusted_proxies_have(const struct trusted_proxies *t, const struct ip *ip);

/* The client behind a trusted proxy, by its X-Forwarded-For: from the right, the first address that is no trusted proxy's; if all
 * are, the leftmost. What stands left of it anybody may have written, and is not looked at. False: more than FORWARDED_MAX
 * entries, or one that had to be read is no address. *ret is untouched if there are no entries. */
enum { FORWARDED_MAX = 32 };
must_check bool forwarded_client(const struct trusted_proxies *t, const struct span *values, size_t count,
                                 struct ip *ret);

#endif
