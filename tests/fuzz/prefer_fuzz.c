/* Prefer: one header field a line. Never an error, always within bounds. */
#include "bailiff/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct header headers[8];
    struct exchange x = {.request_headers = {headers, 0, ARRAY_LEN(headers)}};
    struct span rest = {(const char *)data, size}, line;
    struct preferences p;

    while (size > 0 && x.request_headers.count < ARRAY_LEN(headers) && span_cut(&rest, '\n', &line))
        headers[x.request_headers.count++] = (struct header){SPAN("prefer"), line};
    exchange_preferences(&x, &p);
    if (p.wait_s < -1 || p.wait_s > 60 || (p.representation && p.minimal))
        abort();
    return 0;
}
