/* Heads of HTTP/1 requests: whatever comes, the verdict is the same whole or in pieces, and points into the input. */
#include "server/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(struct span s, const char *buf, size_t len)
{
    if (s.data < buf || s.data + s.len > buf + len)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* In memory of exactly this size, so that reading beyond it is seen. */
    own(freep) char *buf = size ? xmalloc(size) : NULL;
    struct head whole, part;
    enum head_verdict verdict, piecewise = HEAD_MORE;

    if (size == 0)
        return 0;
    memcpy(buf, data, size);
    verdict = head_read(buf, size, 0, 1 << 20, &whole);
    for (size_t len = 1, seen = 0; piecewise == HEAD_MORE && len <= size; len = MIN(size, len + 1 + len % 7)) {
        piecewise = head_read(buf, len, seen, 1 << 20, &part);
        seen = len;
        if (len == size)
            break;
    }
    if (verdict != piecewise && !(verdict == HEAD_OK && piecewise == HEAD_OK))
        abort();
    if (verdict != HEAD_OK)
        return 0;
    if (whole.len != part.len || whole.len > size || whole.field_count > HEAD_FIELDS_MAX ||
        (whole.chunked && whole.has_length))
        abort();
    check_within(whole.method, buf, whole.len);
    check_within(whole.target, buf, whole.len);
    for (size_t i = 0; i < whole.field_count; i++) {
        check_within(whole.fields[i].name, buf, whole.len);
        check_within(whole.fields[i].value, buf, whole.len);
        if (!head_name_valid(whole.fields[i].name) || !head_value_valid(whole.fields[i].value))
            abort();
    }
    return 0;
}
