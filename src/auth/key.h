/* One key that may verify tokens: its algorithm is fixed when it is read, its OpenSSL context is made once.
 *
 * A key is immutable and used by all threads: a verification copies the prepared context, so nothing is parsed or
 * fetched for a token. */
#ifndef AUTH_KEY_H
#define AUTH_KEY_H

#include <openssl/evp.h>

#include "auth/algorithm.h"
#include "auth/rsa_public.h"

enum {
    RSA_BITS_MIN = 2048,
    RSA_BITS_MAX = 8192,
    SIGNATURE_SIZE_MAX = RSA_BITS_MAX / 8,
    SECRET_SIZE_MAX = 4096,
};

struct key {
    enum jwt_algorithm algorithm;
    char *id;               /* kid, or NULL */
    bool any_id;            /* configured without a kid: fits tokens of any */
    size_t signature_size;  /* the only one that this key makes */
    EVP_MD_CTX *prepared;   /* never changed after it was made */
    struct rsa_public *rsa; /* RS256 without OpenSSL; NULL: not this key, not on this machine, or no memory */
};

/* Which algorithms a key may be used with. */
struct key_rules {
    const char *algorithm; /* for keys that do not say themselves; NULL: not given */
    algorithm_set allowed;
};

/* The algorithms that fit this kind of public key; none: not a key for signatures. */
algorithm_set key_algorithms(EVP_PKEY *pkey);
/* Strong enough, well-formed, on a named curve. `where` begins the message. */
must_check bool key_check(EVP_PKEY *pkey, const char *where, struct fault *fault);
/* The same for a secret: long enough for the algorithm and not evidently weak. */
must_check bool secret_check(struct span secret, enum jwt_algorithm algorithm, const char *where, struct fault *fault);
/* Narrows what fits to one algorithm. *ret_use is false if the rules allow none; more than one is a fault. */
must_check bool key_rules_pin(const struct key_rules *rules, algorithm_set fitting, const char *where,
                              enum jwt_algorithm *ret_algorithm, bool *ret_use, struct fault *fault);

must_check bool key_init(struct key *key, EVP_PKEY *pkey, enum jwt_algorithm algorithm, const char *id,
                         struct fault *fault);
must_check bool key_init_secret(struct key *key, struct span secret, enum jwt_algorithm algorithm, const char *id,
                                struct fault *fault);
void key_done(struct key *key);

/* Any thread. False for every signature that this key did not make over exactly this input. */
must_check bool key_verify(const struct key *key, struct span input, struct span signature, struct fault *fault);

/* For keys that sign SHA-256 digests: a context of the caller's, for one thread at a time. NULL: not such a key, or no memory. */
EVP_PKEY_CTX *key_digest_context(const struct key *key);
/* key_verify with the digest of the input in its place. A key that has `rsa` needs no context. */
must_check bool key_verify_digest(const struct key *key, EVP_PKEY_CTX *context, const uint8_t sha256[static 32],
                                  struct span signature, struct fault *fault);

/* ---- several ---- */
enum { KEY_SET_MAX = 100 };
struct key_set {
    struct key *items;
    size_t count;
};
void key_set_done(struct key_set *set);
/* Takes the key over. A second one with the same kid is a fault: which is meant would be the token's choice. */
must_check bool key_set_add(struct key_set *set, struct key *key, const char *where, struct fault *fault);

static inline void pkey_freep(EVP_PKEY **pkey)
{
    EVP_PKEY_free(*pkey);
}

#endif
