/* Where an issuer's keys are fetched from, and how often. Part of an issuer: immutable once made. */
#ifndef AUTH_KEY_SOURCE_H
#define AUTH_KEY_SOURCE_H

#include "auth/key.h"

struct key_source {
    char *discovery_url, *jwks_uri; /* one of them */
    char *ca_file, *proxy;          /* or NULL */
    char *algorithm;                /* for keys that do not say themselves, or NULL */
    algorithm_set allowed;
    unsigned refresh_max_s, stale_max_s, refetch_s;
};

/* Checks and copies. */
must_check bool key_source_init(struct key_source *source, const struct key_fetch_options *options,
                                const struct key_rules *rules, const char *where, struct fault *fault);
void key_source_done(struct key_source *source);
/* The configured address. */
static inline const char *key_source_url(const struct key_source *source)
{
    return source->discovery_url ? source->discovery_url : source->jwks_uri;
}

#endif
