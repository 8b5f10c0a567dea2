#include "bailiff/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "bailiff/clock.h"

void random_bytes(void *out, size_t len)
{
    char *p = out;

    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            abort(); /* no randomness: nothing that we promise could be kept */
        p += n;
        len -= (size_t)n;
    }
}

static void uuid_format(const uint8_t b[16], char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = digits[b[i] >> 4];
        *out++ = digits[b[i] & 15];
    }
    *out = '\0';
}

void uuid4(char out[static UUID_TEXT_SIZE])
{
    uint8_t b[16];

    random_bytes(b, sizeof(b));
    uuid4_of(b, out);
}

void uuid4_of(const uint8_t random[static 16], char out[static UUID_TEXT_SIZE])
{
    uint8_t b[16];

    memcpy(b, random, sizeof(b));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    uuid_format(b, out);
}

static void uuid7_from(const uint8_t random[static 10], char *out)
{
    uint8_t b[16];
    uint64_t ms = (uint64_t)clock_wall_ms();

    memcpy(b + 6, random, 10);
    for (int i = 0; i < 6; i++)
        b[i] = (uint8_t)(ms >> (40 - 8 * i));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x70);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    uuid_format(b, out);
}

void uuid7(char out[static UUID_TEXT_SIZE])
{
    uint8_t random[10];

    random_bytes(random, sizeof(random));
    uuid7_from(random, out);
}

const uint8_t *random_pooled(struct random_pool *pool, size_t len)
{
    if (pool->left < len) {
        random_bytes(pool->bytes, sizeof(pool->bytes));
        pool->left = sizeof(pool->bytes);
    }
    pool->left -= len;
    return pool->bytes + pool->left;
}

void uuid7_pooled(struct random_pool *pool, char out[static UUID_TEXT_SIZE])
{
    uuid7_from(random_pooled(pool, 10), out);
}
