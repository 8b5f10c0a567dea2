/* Client addresses as limits and audit group them. */
#ifndef BAILIFF_MIDDLEWARE_ADDRESS_H
#define BAILIFF_MIDDLEWARE_ADDRESS_H

enum { ADDRESS_PREFIX_SIZE = 64 };

/* IPv4: the address; IPv6: its /64; a Unix socket (NULL or empty): "local". */
void address_prefix(const char *address, char out[static ADDRESS_PREFIX_SIZE]);

#endif
