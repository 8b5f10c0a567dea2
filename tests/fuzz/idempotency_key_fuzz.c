/* Idempotency-Key and lists of entity tags, which share their quotes. */
#include "bailiff/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span value = {(const char *)data, size};
    struct header header = {SPAN("idempotency-key"), value};
    struct exchange x = {.request_headers = {&header, 1, 1}};
    struct span key = {0};

    switch (idempotency_key_read(&x, &key)) {
    case HEADER_OK:
        if (key.len == 0 || key.len > 510 || key.data < value.data || key.data + key.len > value.data + size)
            abort();
        for (size_t i = 0; i < key.len; i++)
            if (key.data[i] < 0x20 || key.data[i] > 0x7e)
                abort();
        break;
    case HEADER_BAD:
        if (key.data)
            abort();
        break;
    case HEADER_NONE:
        abort();
    }
    /* what matches strongly matches weakly */
    if (etag_list_matches(value, "1", false) && !etag_list_matches(value, "1", true))
        abort();
    return 0;
}
