/* Counting fields in HPACK: never beyond the block; a longer block never has fewer, and no block has more fields than bytes. */
#include "server/hpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count(const uint8_t *data, size_t size)
{
    size_t n = 0;

    while (!hpack_has_at_most(data, size, n))
        n++;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t least = 0;

    if (size > 512)
        size = 512;
    for (size_t len = 0; len <= size; len++) {
        own(freep) uint8_t *copy = xmalloc(len ? len : 1);
        memcpy(copy, data, len);
        size_t fields = count(copy, len);
        if (fields < least || fields > len)
            abort();
        least = fields;
    }
    return 0;
}
