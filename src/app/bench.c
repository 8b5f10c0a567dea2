#include "app/bench.h"

enum { TOKENS_MAX = 16384 };

struct loop_bench {
    struct bench bench;
    const struct services *services;
};

struct bench *bench_new(const struct services *services, struct fault *fault)
{
    struct loop_bench *l = xcalloc(1, sizeof(*l));

    if (!store_reader_open(services->store, &l->bench.reader, fault)) {
        free(l);
        return NULL;
    }
    l->services = services;
    l->bench.tokens = token_cache_new(TOKENS_MAX);
    if (services->revocations)
        token_cache_watch(l->bench.tokens, services->revocations);
    l->bench.snapshot = services_pin(services);
    return &l->bench;
}

void bench_free(struct bench *bench)
{
    if (!bench)
        return;
    store_reader_free(bench->reader);
    token_cache_free(bench->tokens);
    snapshot_unref(bench->snapshot);
    free(container_of(bench, struct loop_bench, bench));
}

void bench_turn_end(struct bench *bench)
{
    const struct loop_bench *l = container_of(bench, struct loop_bench, bench);

    store_reader_turn_end(bench->reader);
    /* Comparing the address is enough: we hold the old one, so a new one cannot have it. */
    if (__atomic_load_n(l->services->snapshot, __ATOMIC_ACQUIRE) == bench->snapshot)
        return;
    struct snapshot *old = bench->snapshot;
    bench->snapshot = services_pin(l->services);
    snapshot_unref(old);
}
