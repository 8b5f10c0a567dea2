/* Keys made ready for one thread.
 *
 * Copying a key's prepared context for a signature costs OpenSSL a dozen counters that all threads share, and the digest of
 * what was signed is known to the token cache already. So each cache keeps, for the keys that it meets, a context that judges
 * digests one after the other. Keys that we judge ourselves (auth/rsa_public.h) need none. */
#ifndef AUTH_KEY_BENCH_H
#define AUTH_KEY_BENCH_H

#include "auth/key.h"

enum { KEY_BENCH_SIZE = 16 };
struct key_bench {
    struct {
        const struct key *key; /* not ours: clear the bench before the key goes */
        EVP_PKEY_CTX *context;
    } places[KEY_BENCH_SIZE];
};
void key_bench_clear(struct key_bench *bench);

/* key_verify; sha256 is the digest of input. */
must_check bool key_bench_verify(struct key_bench *bench, const struct key *key, const uint8_t sha256[static 32],
                                 struct span input, struct span signature, struct fault *fault);

#endif
