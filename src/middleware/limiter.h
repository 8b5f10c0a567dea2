/* Token buckets and concurrency counts by a 64-bit key, in a table of fixed size. Any thread. */
#ifndef BAILIFF_MIDDLEWARE_LIMITER_H
#define BAILIFF_MIDDLEWARE_LIMITER_H

#include "bailiff/common.h"

struct limiter;
struct limiter *limiter_new(double per_second /* 0: no limit */, unsigned burst, unsigned concurrent /* 0: no limit */);
void limiter_free(struct limiter *l); /* NULL ok */
bool limiter_is_off(const struct limiter *l);

/* Takes one; false if the bucket is empty or too many are under way: try again in *ret_retry_after_s.
 * A true answer with `concurrent` set must be given back with limiter_release. */
must_check bool limiter_take(struct limiter *l, uint64_t key, int64_t now_ms, unsigned *ret_retry_after_s);
void limiter_release(struct limiter *l, uint64_t key);
/* Whether limiter_take would find the bucket empty. Takes nothing and pushes nobody's bucket out; while no bucket is empty, it costs one
 * comparison. */
bool limiter_is_empty(struct limiter *l, uint64_t key, int64_t now_ms, unsigned *ret_retry_after_s);
/* Before the key is even made: whether any bucket may be empty. */
bool limiter_has_empty(const struct limiter *l, int64_t now_ms);

/* SipHash-2-4 of data under a key that nobody outside knows, so that nobody can aim at another's bucket. */
struct keyed_hash {
    uint64_t k0, k1;
};
struct keyed_hash keyed_hash_new(void);
uint64_t keyed_hash_of(const struct keyed_hash *h, const void *data, size_t len);

#endif
