/* An issuer whose tokens are accepted, as configured. Immutable once made, and counted: verifiers that differ in keys only
 * share it. Any thread. */
#ifndef AUTH_ISSUER_H
#define AUTH_ISSUER_H

#include "auth/key_bundle.h"
#include "auth/key_source.h"

struct string_list {
    char **items;
    size_t count;
};

struct role_pair {
    char *from, *to;
};

struct claim_demand {
    char *pointer, *value;
};

struct issuer {
    unsigned references; /* atomic */
    char *name;          /* exact value of iss */
    struct string_list audiences, role_claims;
    struct role_pair *role_map;
    size_t role_map_count;
    char *role_prefix; /* or NULL */
    struct claim_demand *demands;
    size_t demand_count;
    bool fetched; /* its keys come from `source` */
    struct key_source source;
    enum token_profile profile;
    unsigned roles_max, leeway_s, lifetime_max_s;
    bool require_token_use;
};

/* Checks the options; reads and parses the keys, or leaves *ret_keys alone if they are to be fetched. */
must_check bool issuer_new(const struct issuer_options *options, struct issuer **ret_issuer,
                           struct key_bundle **ret_keys, struct fault *fault);
struct issuer *issuer_ref(struct issuer *issuer);
void issuer_unref(struct issuer *issuer); /* NULL ok */
static inline void issuer_unrefp(struct issuer **issuer)
{
    issuer_unref(*issuer);
}

#endif
