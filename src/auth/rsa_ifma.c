/* Almost Montgomery multiplication: a × b / R mod n, up to one n too many.
 *
 * With a, b < 2n the result is less than (4n² + Rn) / R, and so less than 2n again, as R > 4n: nothing needs to be subtracted
 * between multiplications. */
#include "auth/rsa_ifma.h"

unsigned ifma_limbs(int bits)
{
    switch (bits) {
    case 2048:
        return 40;
    case 3072:
        return 64;
    case 4096:
        return 80;
    default:
        return 0;
    }
}

/* Each step doubles the number of bits that are right; an odd number is its own inverse modulo 8. */
uint64_t ifma_inverse(uint64_t lowest_limb)
{
    uint64_t inverse = lowest_limb;

    for (unsigned bits = 3; bits < IFMA_LIMB_BITS; bits *= 2)
        inverse *= 2 - lowest_limb * inverse;
    return -inverse & IFMA_LIMB_MASK;
}

bool ifma_is_reduced(const struct ifma_modulus *modulus, const uint64_t *x)
{
    for (unsigned i = modulus->limbs; i-- > 0;)
        if (x[i] != modulus->n[i])
            return x[i] < modulus->n[i];
    return false;
}

#if defined(__x86_64__)

#include <immintrin.h>

#define WITH_IFMA __attribute__((target("avx512f,avx512ifma,bmi2")))
#define INLINE_IFMA static inline __attribute__((always_inline, target("avx512f,avx512ifma,bmi2")))

enum { BLOCKS_MAX = IFMA_LIMBS_MAX / IFMA_LANES };
/* Unrolled, for only then the vectors stay in registers. */
#if defined(__clang__)
#define EACH_BLOCK(k) _Pragma("clang loop unroll(full)") for (unsigned k = 0; k < blocks; k++)
#else
#define EACH_BLOCK(k) _Pragma("GCC unroll 10") for (unsigned k = 0; k < blocks; k++)
#endif

typedef unsigned __int128 wide;

bool ifma_supported(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512ifma") && __builtin_cpu_supports("bmi2");
}

/* Lanes of up to 64 bits become limbs. After each lane has given its surplus to the next one, a lane has at most one bit too many;
 * such carries are added as one would add two binary numbers with a digit a lane: a lane that is full hands on what it gets. */
INLINE_IFMA void store_limbs(uint64_t *ret, __m512i *x, const unsigned blocks)
{
    const __m512i mask = _mm512_set1_epi64((long long)IFMA_LIMB_MASK);
    __m512i below = _mm512_setzero_si512();
    wide over = 0, full = 0;

    EACH_BLOCK(k)
    {
        __m512i surplus = _mm512_srli_epi64(x[k], IFMA_LIMB_BITS);
        x[k] = _mm512_add_epi64(_mm512_and_si512(x[k], mask), _mm512_alignr_epi64(surplus, below, IFMA_LANES - 1));
        below = surplus;
    }
    EACH_BLOCK(k)
    {
        over |= (wide)_mm512_cmpgt_epu64_mask(x[k], mask) << (IFMA_LANES * k);
        full |= (wide)_mm512_cmpeq_epu64_mask(x[k], mask) << (IFMA_LANES * k);
    }
    wide carries = ((over << 1) + full) ^ full;
    EACH_BLOCK(k)
    {
        __mmask8 here = (__mmask8)(carries >> (IFMA_LANES * k));
        x[k] = _mm512_and_si512(_mm512_mask_add_epi64(x[k], here, x[k], _mm512_set1_epi64(1)), mask);
        _mm512_storeu_si512(ret + IFMA_LANES * k, x[k]);
    }
}

/* One limb of b at a time: a × b[i] is added, and the multiple of n that makes the lowest limb zero; then all move down by one limb.
 *
 * The two lowest limbs are computed beside the vectors, for each multiple of n waits for the one before it: in the vectors a step
 * would take twice its time. Lane 0 of the vectors is never looked at. */
INLINE_IFMA void multiply(const struct ifma_modulus *modulus, const uint64_t *a, const uint64_t *b, uint64_t *ret,
                          const unsigned blocks)
{
    const uint64_t a0 = a[0], a1 = a[1], n0 = modulus->n[0], n1 = modulus->n[1], inverse = modulus->inverse;
    __m512i av[BLOCKS_MAX], nv[BLOCKS_MAX], high[BLOCKS_MAX], x[BLOCKS_MAX + 1];
    uint64_t lowest = 0;

    EACH_BLOCK(k)
    {
        av[k] = _mm512_loadu_si512(a + IFMA_LANES * k);
        nv[k] = _mm512_loadu_si512(modulus->n + IFMA_LANES * k);
        x[k] = _mm512_setzero_si512();
    }
    x[blocks] = _mm512_setzero_si512();
    for (unsigned i = 0; i < IFMA_LANES * blocks; i++) {
        wide sum = (wide)a0 * b[i] + lowest;
        const uint64_t m = (uint64_t)sum * inverse & IFMA_LIMB_MASK;
        const uint64_t second = (uint64_t)_mm_extract_epi64(_mm512_castsi512_si128(x[0]), 1);
        const __m512i bv = _mm512_set1_epi64((long long)b[i]), mv = _mm512_set1_epi64((long long)m);

        sum += (wide)m * n0;
        lowest = (uint64_t)(sum >> IFMA_LIMB_BITS) + second + (a1 * b[i] & IFMA_LIMB_MASK) + (m * n1 & IFMA_LIMB_MASK);
        EACH_BLOCK(k) high[k] = _mm512_madd52hi_epu64(_mm512_setzero_si512(), av[k], bv);
        EACH_BLOCK(k) x[k] = _mm512_madd52lo_epu64(x[k], av[k], bv);
        EACH_BLOCK(k) x[k] = _mm512_madd52lo_epu64(x[k], nv[k], mv);
        EACH_BLOCK(k) high[k] = _mm512_madd52hi_epu64(high[k], nv[k], mv);
        EACH_BLOCK(k) x[k] = _mm512_add_epi64(_mm512_alignr_epi64(x[k + 1], x[k], 1), high[k]);
    }
    x[0] = _mm512_mask_set1_epi64(x[0], 1, (long long)lowest);
    store_limbs(ret, x, blocks);
}

static void subtract(uint64_t *a, const uint64_t *b, unsigned limbs)
{
    uint64_t borrow = 0;

    for (unsigned i = 0; i < limbs; i++) {
        uint64_t difference = a[i] - b[i] - borrow;
        borrow = difference >> 63;
        a[i] = difference & IFMA_LIMB_MASK;
    }
}

/* x × R; squared sixteen times; and the last factor, which has no R, takes it away again. */
INLINE_IFMA void power(const struct ifma_modulus *modulus, const uint64_t *x, uint64_t *ret, const unsigned blocks)
{
    multiply(modulus, x, modulus->r_squared, ret, blocks);
    for (unsigned i = 0; i < 16; i++)
        multiply(modulus, ret, ret, ret, blocks);
    multiply(modulus, ret, x, ret, blocks);
    if (!ifma_is_reduced(modulus, ret)) /* once is enough: it is less than 2n */
        subtract(ret, modulus->n, IFMA_LANES * blocks);
}

WITH_IFMA void ifma_power(const struct ifma_modulus *modulus, const uint64_t *x, uint64_t *ret)
{
    switch (modulus->limbs) {
    case 40:
        power(modulus, x, ret, 5);
        return;
    case 64:
        power(modulus, x, ret, 8);
        return;
    default:
        power(modulus, x, ret, 10);
        return;
    }
}

#else

bool ifma_supported(void)
{
    return false;
}

void ifma_power(const struct ifma_modulus *modulus, const uint64_t *x, uint64_t *ret)
{
    abort();
}

#endif
