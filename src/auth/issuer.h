/* An issuer whose tokens are accepted, as configured, with its keys parsed. Immutable once made; any thread. */
#ifndef AUTH_ISSUER_H
#define AUTH_ISSUER_H

#include "auth/key.h"

struct string_list {
    char **items;
    size_t count;
};

struct role_pair {
    char *from, *to;
};

struct issuer {
    char *name; /* exact value of iss */
    struct string_list audiences, role_claims;
    struct role_pair *role_map;
    size_t role_map_count;
    char *role_prefix; /* or NULL */
    struct key_set keys;
    enum token_profile profile;
    unsigned roles_max, leeway_s, lifetime_max_s;
    bool require_token_use;
};

/* Checks the options, reads and parses the keys. */
must_check bool issuer_init(struct issuer *issuer, const struct issuer_options *options, struct fault *fault);
void issuer_done(struct issuer *issuer);

/* The key that a token's header (alg, kid or NULL) leads to. The algorithm must be the key's own. */
must_check bool issuer_find_key(const struct issuer *issuer, enum jwt_algorithm algorithm, const char *id,
                                const struct key **ret_key, struct fault *fault);

#endif
