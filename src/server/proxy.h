/* Strict reading of the PROXY protocol's header, version 2 (its binary form). Pure: bytes in, verdict out. */
#ifndef BAILIFF_SERVER_PROXY_H
#define BAILIFF_SERVER_PROXY_H

#include "server/ip.h"

enum { PROXY_PREFIX_SIZE = 16, PROXY_PAYLOAD_MAX = 4096 };

struct proxy_header {
    size_t len;                                        /* of the whole header */
    enum { PROXY_LOCAL, PROXY_IP, PROXY_UNIX } source; /* LOCAL: the proxy speaks for itself */
    struct ip ip;                                      /* of PROXY_IP */
    const char *reason;                                /* static: why it is BAD */
};
enum proxy_verdict { PROXY_MORE, PROXY_OK, PROXY_BAD };

/* A wrong byte is refused as soon as it is there. */
enum proxy_verdict proxy_read(const uint8_t *buf, size_t len, struct proxy_header *ret);

#endif
