/* Randomness, and names made of it. */
#ifndef BAILIFF_RANDOM_H
#define BAILIFF_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Cryptographically strong bytes from the kernel; never fails after boot. */
void random_bytes(void *out, size_t len);
enum { UUID_TEXT_SIZE = 37 };
/* RFC 9562 version 4. */
void uuid4(char out[static UUID_TEXT_SIZE]);
/* The same of bytes that the caller has drawn. */
void uuid4_of(const uint8_t random[static 16], char out[static UUID_TEXT_SIZE]);
/* RFC 9562 version 7: 48 bits of wall-clock milliseconds, the rest random. */
void uuid7(char out[static UUID_TEXT_SIZE]);
/* Bytes fetched in advance, for one thread that needs many: for names, not secrets. Zeroed, the pool is empty. */
struct random_pool {
    uint8_t bytes[640];
    size_t left;
};
const uint8_t *random_pooled(struct random_pool *pool, size_t len); /* at most its size; valid until the next call */
void uuid7_pooled(struct random_pool *pool, char out[static UUID_TEXT_SIZE]);

#endif
