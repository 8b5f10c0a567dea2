/* Strict reading of the PROXY protocol's header, version 2. */
#include "server/proxy.h"

static const uint8_t SIGNATURE[12] = "\r\n\r\n\0\r\nQUIT\n";

enum {
    COMMAND_LOCAL = 0x20, /* version 2 in the upper half */
    COMMAND_PROXY = 0x21,
    TCP_OVER_IPV4 = 0x11,
    TCP_OVER_IPV6 = 0x21,
    UNIX_STREAM = 0x31,
    TLV_HEADER_SIZE = 3,
};

static enum proxy_verdict bad(struct proxy_header *ret, const char *reason)
{
    ret->reason = reason;
    return PROXY_BAD;
}

/* How long the addresses of a family are; 0: not one that a stream can have. */
static size_t addresses_size(uint8_t family)
{
    switch (family) {
    case TCP_OVER_IPV4:
        return 12;
    case TCP_OVER_IPV6:
        return 36;
    case UNIX_STREAM:
        return 216;
    default:
        return 0;
    }
}

/* What they say is not used, but they must fill the rest exactly: else proxy and we disagree about where the stream begins. */
static bool tlvs_fit(const uint8_t *at, size_t len)
{
    while (len > 0) {
        if (len < TLV_HEADER_SIZE)
            return false;
        size_t size = TLV_HEADER_SIZE + ((size_t)at[1] << 8 | at[2]);
        if (size > len)
            return false;
        at += size;
        len -= size;
    }
    return true;
}

static void take_source(const uint8_t *payload, uint8_t family, struct proxy_header *ret)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (family == TCP_OVER_IPV4) {
        memcpy(&v4, payload, sizeof(v4));
        ret->ip = ip_from_v4(&v4);
    } else if (family == TCP_OVER_IPV6) {
        memcpy(&v6, payload, sizeof(v6));
        ret->ip = ip_from_v6(&v6);
    }
    ret->source = family == UNIX_STREAM ? PROXY_UNIX : PROXY_IP;
}

enum proxy_verdict proxy_read(const uint8_t *buf, size_t len, struct proxy_header *ret)
{
    *ret = (struct proxy_header){0};
    if (memcmp(buf, SIGNATURE, MIN(len, sizeof(SIGNATURE))) != 0)
        return bad(ret, "The connection does not begin with a PROXY header of version 2.");
    if (len > 12 && buf[12] != COMMAND_LOCAL && buf[12] != COMMAND_PROXY)
        return bad(ret, "The PROXY header has another version or an unknown command.");
    if (len < PROXY_PREFIX_SIZE)
        return PROXY_MORE;

    uint8_t family = buf[13];
    size_t payload = (size_t)buf[14] << 8 | buf[15], addresses = addresses_size(family);
    bool local = buf[12] == COMMAND_LOCAL;
    if (payload > PROXY_PAYLOAD_MAX)
        return bad(ret, "The PROXY header is longer than 4 KiB.");
    if (!local && addresses == 0)
        return bad(ret, "The PROXY header names no TCP or Unix stream.");
    if (!local && payload < addresses)
        return bad(ret, "The PROXY header is too short for its addresses.");
    if (len < PROXY_PREFIX_SIZE + payload)
        return PROXY_MORE;
    ret->len = PROXY_PREFIX_SIZE + payload;
    if (local) /* §2.2: whatever it says of addresses is to be skipped */
        return PROXY_OK;
    if (!tlvs_fit(buf + PROXY_PREFIX_SIZE + addresses, payload - addresses))
        return bad(ret, "The PROXY header's additions do not fill it.");
    take_source(buf + PROXY_PREFIX_SIZE, family, ret);
    return PROXY_OK;
}
