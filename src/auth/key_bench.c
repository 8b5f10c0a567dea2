#include "auth/key_bench.h"

void key_bench_clear(struct key_bench *bench)
{
    for (size_t i = 0; i < KEY_BENCH_SIZE; i++)
        EVP_PKEY_CTX_free(bench->places[i].context);
    *bench = (struct key_bench){0};
}

/* NULL: the key is of another kind, or OpenSSL has no memory. */
static EVP_PKEY_CTX *context_of(struct key_bench *bench, const struct key *key)
{
    size_t place = (uintptr_t)key / sizeof(*key) % KEY_BENCH_SIZE;

    if (bench->places[place].key == key)
        return bench->places[place].context;
    EVP_PKEY_CTX *context = key_digest_context(key);
    if (!context)
        return NULL;
    EVP_PKEY_CTX_free(bench->places[place].context);
    bench->places[place].key = key;
    bench->places[place].context = context;
    return context;
}

bool key_bench_verify(struct key_bench *bench, const struct key *key, const uint8_t sha256[static 32],
                      struct span input, struct span signature, struct fault *fault)
{
    if (key->rsa)
        return key_verify_digest(key, NULL, sha256, signature, fault);
    EVP_PKEY_CTX *context = context_of(bench, key);
    return context ? key_verify_digest(key, context, sha256, signature, fault)
                   : key_verify(key, input, signature, fault);
}
