/* Bodies: taken as one JSON document that can be written and read again, or refused with line and column. */
#include "bailiff/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct exchange x = {.body = {(const char *)data, size}};
    json_t *body = NULL, *again = NULL;
    struct fault fault = {0};

    if (!exchange_json(&x, &body, &fault)) {
        if (body || fault.kind != FAULT_INVALID || (size > 0 && !strstr(fault.message, " line ")))
            abort();
        return 0;
    }
    own(freep) char *text = json_dumps(body, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    if (!text)
        abort();
    x.body = span_of(text);
    if (!exchange_json(&x, &again, &fault) || !json_equal(body, again))
        abort();
    json_decref(body);
    json_decref(again);
    return 0;
}
