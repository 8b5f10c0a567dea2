/* Cursors: nothing that was not sealed is opened. The sealed one of this secret is known by its bytes. */
#include "bailiff/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t secret[32] = {1, 2, 3}, binding[32] = {4, 5, 6};
    static const char position[] = "a position of some length";
    char opened[sizeof(position)], untouched[sizeof(position)];
    own(text_done) struct text sealed = {0};
    struct fault fault = {0};

    memset(opened, 0x5a, sizeof(opened));
    memset(untouched, 0x5a, sizeof(untouched));
    cursor_seal(secret, position, sizeof(position), binding, &sealed);
    bool genuine = span_eq(text_span(&sealed), (struct span){(const char *)data, size});
    bool ok = cursor_open(secret, (struct span){(const char *)data, size}, binding, opened, sizeof(opened), &fault);
    if (ok != genuine || ok != (fault.kind == FAULT_NONE) ||
        memcmp(opened, ok ? position : untouched, sizeof(opened)) != 0)
        abort();
    return 0;
}
