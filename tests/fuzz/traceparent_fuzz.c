/* traceparent: what is taken has the ids that stand in it. */
#include "bailiff/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span trace = {0}, parent = {0};
    uint8_t flags = 0;

    switch (traceparent_read((struct span){(const char *)data, size}, &trace, &parent, &flags)) {
    case HEADER_OK:
        if (trace.len != 32 || parent.len != 16 || trace.data != (const char *)data + 3 ||
            parent.data != (const char *)data + 36 || !text_is_visible_ascii((struct span){(const char *)data, 55}) ||
            memcmp(data, "ff", 2) == 0 || (size > 55 && memcmp(data, "00", 2) == 0))
            abort();
        break;
    case HEADER_BAD:
        if (trace.data || parent.data || flags)
            abort();
        break;
    case HEADER_NONE:
        if (data)
            abort();
    }
    return 0;
}
