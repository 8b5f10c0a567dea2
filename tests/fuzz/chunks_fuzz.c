/* Chunked bodies: the same body and verdict whole or in pieces; never longer than what came. */
#include "bailiff/text.h"
#include "server/chunks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As libh2o does: new bytes behind what is decoded, each time as many as `step`. */
static ssize_t decode(const uint8_t *data, size_t size, size_t step, struct text *body)
{
    struct phr_chunked_decoder decoder = {0};
    ssize_t ret = -2;

    text_append(body, "", 0);
    for (size_t at = 0; ret == -2 && at < size; at += step) {
        size_t n = MIN(step, size - at), kept = body->len, decoded = n;
        own(freep) char *piece = xmalloc(n);
        memcpy(piece, data + at, n);
        ret = chunks_read(&decoder, piece, &decoded);
        if (decoded > n || (ret >= 0 && decoded + (size_t)ret > n))
            abort();
        text_append(body, piece, decoded);
        if (body->len != kept + decoded)
            abort();
    }
    return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    own(text_done) struct text whole = {0}, single = {0}, odd = {0};
    ssize_t a = decode(data, size, size ? size : 1, &whole), b = decode(data, size, 1, &single),
            c = decode(data, size, 7, &odd);

    if ((a < 0 ? a : 0) != (b < 0 ? b : 0) || (a < 0 ? a : 0) != (c < 0 ? c : 0))
        abort();
    if (a != -1 && (!span_eq(text_span(&whole), text_span(&single)) || !span_eq(text_span(&whole), text_span(&odd))))
        abort();
    return 0;
}
