/* Client addresses as limits and audit group them. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "middleware/address.h"

void address_prefix(const char *address, char out[static ADDRESS_PREFIX_SIZE])
{
    struct in6_addr six;

    if (address && strchr(address, ':') && inet_pton(AF_INET6, address, &six) == 1) {
        char text[INET6_ADDRSTRLEN];
        memset(six.s6_addr + 8, 0, 8); /* one customer usually has a /64 */
        inet_ntop(AF_INET6, &six, text, sizeof(text));
        snprintf(out, ADDRESS_PREFIX_SIZE, "%s/64", text);
    } else {
        snprintf(out, ADDRESS_PREFIX_SIZE, "%s", address && *address ? address : "local");
    }
}
