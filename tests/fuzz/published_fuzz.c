/* What providers publish, and what is kept of it: metadata, and key sets of which only the good keys are taken. */
#include <openssl/err.h>

#include "auth/plain.h"
#include "auth/published.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool truth)
{
    if (!truth)
        abort();
}

static void read_metadata(struct span json)
{
    struct fault fault = {0};
    char *uri = NULL;

    if (metadata_read(json, "https://idp.example.com/realm", &uri, &fault))
        demand(plain_https_url(uri));
    else
        demand(fault.kind == FAULT_INVALID && !uri);
    free(uri);
}

static void count_skipped(void *arg, const char *key, const char *why)
{
    demand(key && why && why[0] != '\0');
    ++*(size_t *)arg;
}

static void read_keys(struct span json)
{
    static const struct key_rules rules = {.allowed = ALGORITHMS_ALL};
    own(key_set_done) struct key_set set = {0};
    struct fault fault = {0};
    size_t skipped = 0;

    if (!published_keys_read(json, &rules, count_skipped, &skipped, &set, &fault)) {
        demand(fault.kind == FAULT_INVALID && set.count == 0);
        return;
    }
    demand(set.count > 0 && set.count + skipped <= KEY_SET_MAX);
    for (size_t i = 0; i < set.count; i++) {
        demand(set.items[i].algorithm < ALG_HS256 && !set.items[i].any_id);
        for (size_t j = 0; j < i; j++)
            demand(!set.items[i].id || !str_eq(set.items[i].id, set.items[j].id));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span json = {(const char *)data, size};

    read_metadata(json);
    read_keys(json);
    demand(ERR_peek_error() == 0);
    return 0;
}
