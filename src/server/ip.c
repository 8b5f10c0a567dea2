/* IP addresses as values. */
#include "server/ip.h"

#include <arpa/inet.h>

static const uint8_t V4_PREFIX[12] = {[10] = 0xff, [11] = 0xff};

static bool is_v4(const struct ip *ip)
{
    return memcmp(ip->bytes, V4_PREFIX, sizeof(V4_PREFIX)) == 0;
}

struct ip ip_from_v4(const struct in_addr *a)
{
    struct ip ip;

    memcpy(ip.bytes, V4_PREFIX, sizeof(V4_PREFIX));
    memcpy(ip.bytes + sizeof(V4_PREFIX), a, sizeof(*a));
    return ip;
}

struct ip ip_from_v6(const struct in6_addr *a)
{
    struct ip ip;

    memcpy(ip.bytes, a, sizeof(ip.bytes));
    return ip;
}

bool ip_parse(struct span s, struct ip *ret)
{
    char text[INET6_ADDRSTRLEN];
    struct in_addr v4;
    struct in6_addr v6;

    if (s.len == 0 || s.len >= sizeof(text) || memchr(s.data, '\0', s.len))
        return false;
    memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    if (inet_pton(AF_INET, text, &v4) == 1)
        *ret = ip_from_v4(&v4);
    else if (inet_pton(AF_INET6, text, &v6) == 1)
        *ret = ip_from_v6(&v6);
    else
        return false;
    return true;
}

void ip_format(const struct ip *ip, char out[static INET6_ADDRSTRLEN])
{
    if (is_v4(ip))
        inet_ntop(AF_INET, ip->bytes + sizeof(V4_PREFIX), out, INET6_ADDRSTRLEN);
    else
        inet_ntop(AF_INET6, ip->bytes, out, INET6_ADDRSTRLEN);
}

struct ip ip_prefix(const struct ip *ip)
{
    struct ip prefix = *ip;

    if (!is_v4(ip))
        memset(prefix.bytes + 8, 0, 8);
    return prefix;
}

/* ---- ranges ---- */

static bool bits_equal(const struct ip *a, const struct ip *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a->bytes, b->bytes, whole) != 0)
        return false;
    return rest == 0 || (a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest) == 0;
}

/* 10.1.2.3/8 is more likely a slip than a range. */
static bool only_zeros_behind(const struct ip *ip, unsigned bits)
{
    for (unsigned bit = bits; bit < 128; bit++)
        if (ip->bytes[bit / 8] & (0x80 >> bit % 8))
            return false;
    return true;
}

/* IPv4 addresses are IPv6 addresses here (::ffff:0:0/96): ::/64 has them all. */
static bool has_all_v4(const struct ip_range *range)
{
    struct ip first = {0};

    memcpy(first.bytes, V4_PREFIX, sizeof(V4_PREFIX));
    return range->bits <= 96 && bits_equal(&range->base, &first, range->bits);
}

static bool range_parse(struct span s, struct ip_range *ret, const char **ret_wrong)
{
    struct span address = s, bits = {0};
    const char *slash = memchr(s.data, '/', s.len);
    uint64_t n = 0;

    if (slash) {
        address.len = (size_t)(slash - s.data);
        bits = (struct span){slash + 1, s.len - address.len - 1};
    }
    *ret_wrong = "is neither an address, nor a range such as 10.0.0.0/8, nor \"unix\"";
    if (!ip_parse(address, &ret->base))
        return false;
    bool v4 = memchr(address.data, ':', address.len) == NULL;
    unsigned max = v4 ? 32 : 128;
    if (slash && !span_to_u64(bits, max, &n))
        return false;
    ret->bits = (slash ? (unsigned)n : max) + (v4 ? 96 : 0);
    *ret_wrong = "has bits set behind its prefix";
    if (!only_zeros_behind(&ret->base, ret->bits))
        return false;
    *ret_wrong = n == 0 ? "would trust everybody" : "would trust everybody who has an IPv4 address";
    return !has_all_v4(ret);
}

bool trusted_proxies_read(const char *const *entries, size_t count, struct trusted_proxies *ret, struct fault *fault)
{
    struct trusted_proxies t = {.ranges = xcalloc(count + 1, sizeof(*t.ranges))};
    const char *wrong;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(entries[i], "unix") == 0) {
            t.unix_sockets = true;
        } else if (range_parse(span_of(entries[i]), &t.ranges[t.count], &wrong)) {
            t.count++;
        } else {
            trusted_proxies_done(&t);
            return fault_set(fault, FAULT_INVALID, "trusted_proxies: \"%s\" %s.", entries[i], wrong);
        }
    }
    *ret = t;
    return true;
}

void trusted_proxies_done(struct trusted_proxies *t)
{
    free(t->ranges);
    *t = (struct trusted_proxies){0};
}

bool trusted_proxies_have(const struct trusted_proxies *t, const struct ip *ip)
{
    for (size_t i = 0; i < t->count; i++)
        if (bits_equal(&t->ranges[i].base, ip, t->ranges[i].bits))
            return true;
    return false;
}

/* ---- X-Forwarded-For ---- */

/* "1.2.3.4", "1.2.3.4:567", "2001:db8::1", "[2001:db8::1]" or "[2001:db8::1]:567": some proxies add the port. */
static bool entry_parse(struct span s, struct ip *ret)
{
    const char *end, *colon;
    uint64_t port;

    if (s.len > 0 && s.data[0] == '[') {
        end = memchr(s.data, ']', s.len);
        if (!end)
            return false;
        struct span rest = {end + 1, s.len - (size_t)(end + 1 - s.data)};
        if (rest.len > 0 &&
            (rest.data[0] != ':' || !span_to_u64((struct span){rest.data + 1, rest.len - 1}, 65535, &port)))
            return false;
        s = (struct span){s.data + 1, (size_t)(end - s.data - 1)};
        return memchr(s.data, ':', s.len) && ip_parse(s, ret);
    }
    colon = memchr(s.data, ':', s.len);
    if (colon && memchr(s.data, '.', (size_t)(colon - s.data))) { /* IPv4 with a port */
        struct span text = {colon + 1, s.len - (size_t)(colon + 1 - s.data)};
        if (!span_to_u64(text, 65535, &port))
            return false;
        s.len = (size_t)(colon - s.data);
    }
    return ip_parse(s, ret);
}

static size_t count_entries(const struct span *values, size_t count)
{
    size_t entries = 0;

    for (size_t i = 0; i < count; i++) {
        entries++;
        for (size_t k = 0; k < values[i].len; k++)
            entries += values[i].data[k] == ',';
    }
    return entries;
}

/* The last entry of *rest, which loses it. False: there is none. */
static bool cut_last(struct span *rest, bool *done, struct span *ret)
{
    if (*done)
        return false;
    const char *comma = memrchr(rest->data, ',', rest->len);
    if (comma) {
        *ret = (struct span){comma + 1, rest->len - (size_t)(comma + 1 - rest->data)};
        rest->len = (size_t)(comma - rest->data);
    } else {
        *ret = *rest;
        *done = true;
    }
    *ret = span_trim(*ret);
    return true;
}

bool forwarded_client(const struct trusted_proxies *t, const struct span *values, size_t count, struct ip *ret)
{
    struct ip ip;

    if (count_entries(values, count) > FORWARDED_MAX)
        return false;
    for (size_t i = count; i-- > 0;) {
        struct span rest = values[i], entry;
        bool done = false;
        while (cut_last(&rest, &done, &entry)) {
            if (entry.len == 0 || !entry_parse(entry, &ip))
                return false;
            *ret = ip;
            if (!trusted_proxies_have(t, &ip))
                return true;
        }
    }
    return true;
}
