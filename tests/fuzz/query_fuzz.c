/* Queries: what is taken is UTF-8 without control characters; what is refused leaves the table as it was. */
#include "bailiff/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"config_id", "limit", "cursor", "a"};
    struct query_param params[ARRAY_LEN(names)];
    struct exchange x = {.query = {(const char *)data, size}};
    struct fault fault = {0};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        params[i] = (struct query_param){names[i], "before"};
    bool ok = exchange_query(&x, params, ARRAY_LEN(params), &fault);
    if (ok == (fault.kind != FAULT_NONE))
        abort();
    for (size_t i = 0; i < ARRAY_LEN(params); i++) {
        const char *value = params[i].value;
        if (!ok && strcmp(value, "before") != 0)
            abort();
        if (value && !utf8_valid(value, strlen(value)))
            abort();
        for (; value && *value; value++)
            if ((unsigned char)*value < 0x20 || *value == 0x7f)
                abort();
    }
    if (!ok && !utf8_valid(fault.message, strlen(fault.message)))
        abort();
    arena_done(&x.arena);
    return 0;
}
