/* Retries as anybody may write them: what is read is within bounds, and what is written of it reads the same. */
#include "bailiff/controls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct retries *r)
{
    const char *name = "ConnectionError";
    const struct failure failures[] = {{.cause = CAUSE_ERROR, .exited = true, .exit_code = 75},
                                       {.cause = CAUSE_ERROR, .signaled = true, .signal = 9},
                                       {.cause = CAUSE_ERROR, .exceptions = {&name, 1}},
                                       {.cause = CAUSE_TIMEOUT},
                                       {.cause = CAUSE_LOST}};

    if (r->max > RETRIES_MAX || r->delay_ms < 0 || r->delay_max_ms < r->delay_ms ||
        r->delay_max_ms > RETRY_DELAY_MS_MAX || r->backoff < THOUSANDTHS || r->jitter > THOUSANDTHS ||
        r->on.count < 1 || r->on.count > RETRY_CAUSES_MAX)
        abort();
    for (size_t i = 0; i < ARRAY_LEN(failures); i++)
        if (retries_allow(r, r->max, &failures[i]))
            abort();
    for (unsigned used = 0; used < r->max; used++)
        for (uint32_t random = 0; random < 2; random++) {
            int64_t delay = retries_delay_ms(r, used, random * UINT32_MAX);
            if (delay < 0 || delay > r->delay_max_ms)
                abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    own(arena_done) struct arena arena = {0};
    own(json_freep) json_t *object = NULL, *again = NULL;
    own(text_done) struct text first = {0}, second = {0};
    struct fault fault = {0};
    struct retries r;

    if (!json_read((struct span){(const char *)data, size}, "It", &object, &fault) ||
        !retries_read(object, "retries", &arena, &r, &fault))
        return 0;
    check(&r);
    retries_write(&first, &r);
    if (!json_read(text_span(&first), "It", &again, &fault) || !retries_read(again, "retries", &arena, &r, &fault))
        abort();
    retries_write(&second, &r);
    if (strcmp(first.data, second.data) != 0)
        abort();
    return 0;
}
