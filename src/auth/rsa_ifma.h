/* Powers modulo an RSA modulus, with AVX-512 IFMA: eight products of 52 bits at a time.
 *
 * Numbers are limbs of 52 bits, the lowest first. Nothing here is secret, and nothing takes the same time for all numbers:
 * this is for public keys only. */
#ifndef AUTH_RSA_IFMA_H
#define AUTH_RSA_IFMA_H

#include "bailiff/common.h"

enum {
    IFMA_LANES = 8, /* of a vector */
    IFMA_LIMB_BITS = 52,
    IFMA_LIMBS_MAX = 80,
};
#define IFMA_LIMB_MASK (((uint64_t)1 << IFMA_LIMB_BITS) - 1)

/* n is odd, and less than R / 4, where R = 2^(52 × limbs). Never changed after it was made. */
struct ifma_modulus {
    unsigned limbs; /* 40, 64 or 80 */
    uint64_t n[IFMA_LIMBS_MAX];
    uint64_t r_squared[IFMA_LIMBS_MAX]; /* R² mod n */
    uint64_t inverse;                   /* -1 / n mod 2^52 */
};

/* Of this machine: both the processor and the system. All else here needs it. */
bool ifma_supported(void);
/* How many limbs a modulus of so many bits has; 0: such moduli are not taken. */
unsigned ifma_limbs(int bits);
/* -1 / n mod 2^52 */
uint64_t ifma_inverse(uint64_t lowest_limb);
/* x < n? */
bool ifma_is_reduced(const struct ifma_modulus *modulus, const uint64_t *x);
/* x^65537 mod n, fully reduced. x < n. */
void ifma_power(const struct ifma_modulus *modulus, const uint64_t *x, uint64_t *ret);

#endif
