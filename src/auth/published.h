/* What providers publish: OpenID metadata and JWK Sets. It comes from outside: what cannot be used is left out, never fatal. Pure. */
#ifndef AUTH_PUBLISHED_H
#define AUTH_PUBLISHED_H

#include "auth/key_files.h"

/* OpenID Connect Discovery §3, §4.3: the document must name exactly this issuer, and its jwks_uri must be https. */
must_check bool metadata_read(struct span json, const char *issuer, char **ret_jwks_uri, struct fault *fault);

/* Called for each key that is left out. */
typedef void (*key_skipped)(void *arg, const char *key, const char *why);
/* At least one key must be usable. Takes a second at worst for honest keys, some for wrong ones. */
must_check bool published_keys_read(struct span json, const struct key_rules *rules, key_skipped skipped, void *arg,
                                    struct key_set *ret_keys, struct fault *fault);

#endif
