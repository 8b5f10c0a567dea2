/* RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2.2), by arithmetic of our own where the processor has AVX-512 IFMA.
 *
 * Prepared once with its key, never changed, used by all threads. What is not taken here, OpenSSL judges: other sizes of keys,
 * other exponents, other processors. Keys, signatures and digests are public: nothing needs to take the same time. */
#ifndef AUTH_RSA_PUBLIC_H
#define AUTH_RSA_PUBLIC_H

#include <openssl/evp.h>

#include "auth/rsa_ifma.h"
#include "bailiff/text.h"

enum { RSA_PUBLIC_SIZE_MAX = 512 };

struct rsa_public {
    size_t size; /* of the modulus, and of every signature, in bytes */
    struct ifma_modulus modulus;
};

/* NULL: leave this key to OpenSSL. */
struct rsa_public *rsa_public_new(const EVP_PKEY *pkey);
/* The same of a modulus alone, which may be any odd number. */
struct rsa_public *rsa_public_of(const BIGNUM *n);
void rsa_public_free(struct rsa_public *key);

/* Any thread. False for all but the one signature of this digest. */
bool rsa_public_verify(const struct rsa_public *key, const uint8_t sha256[static 32], struct span signature);

/* base < n, and base^65537 mod n is exactly this; both have the size of the modulus, the highest byte first. */
bool rsa_public_power_is(const struct rsa_public *key, const uint8_t *base, const uint8_t *expected);
/* Does OpenSSL compute the same with this modulus? */
bool rsa_public_agrees(const struct rsa_public *key, const BIGNUM *n);

#endif
