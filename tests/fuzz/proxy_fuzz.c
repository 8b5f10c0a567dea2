/* PROXY headers: whatever comes, the verdict is the same whole or in pieces, and never reaches beyond the header. */
#include "server/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header whole, part;
    enum proxy_verdict verdict = size ? proxy_read(data, size, &whole) : PROXY_MORE;

    for (size_t len = 1; len <= size; len++) {
        /* In memory of exactly this size, so that reading beyond it is seen. */
        own(freep) uint8_t *buf = xmalloc(len);
        memcpy(buf, data, len);
        enum proxy_verdict now = proxy_read(buf, len, &part);
        if (now == PROXY_BAD && !part.reason)
            abort();
        if (now == PROXY_MORE)
            continue;
        if (now != verdict || part.len != whole.len || part.source != whole.source || part.len > len ||
            memcmp(&part.ip, &whole.ip, sizeof(part.ip)) != 0)
            abort();
        return 0;
    }
    if (verdict != PROXY_MORE)
        abort();
    return 0;
}
