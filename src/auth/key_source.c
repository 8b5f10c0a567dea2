#include "auth/key_source.h"

#include "auth/plain.h"

enum {
    REFRESH_DEFAULT_S = 3600,
    REFRESH_LIMIT_S = 86400,
    STALE_DEFAULT_S = 86400,
    STALE_LIMIT_S = 30 * 86400,
    REFETCH_DEFAULT_S = 30,
    REFETCH_LIMIT_S = 3600
};

void key_source_done(struct key_source *source)
{
    free(source->discovery_url);
    free(source->jwks_uri);
    free(source->ca_file);
    free(source->proxy);
    free(source->algorithm);
    *source = (struct key_source){0};
}

static bool check_url(const char *url, const char *name, const char *where, struct fault *fault)
{
    return !url || plain_https_url(url) ||
           fault_set(fault, FAULT_INVALID,
                     "%s: %s must be an address that begins with https://, at most %d bytes long, without a user, a "
                     "fragment or blanks.",
                     where, name, URL_MAX_BYTES);
}

static bool check_proxy(const char *proxy, const char *where, struct fault *fault)
{
    if (!proxy || ((strncmp(proxy, "http://", 7) == 0 || strncmp(proxy, "https://", 8) == 0) &&
                   text_is_visible_ascii(span_of(proxy)) && strlen(proxy) <= URL_MAX_BYTES && !strchr(proxy, '@')))
        return true;
    return fault_set(fault, FAULT_INVALID, "%s: proxy must be written as http://host:port, without a password.", where);
}

static bool check_times(const struct key_source *s, const char *where, struct fault *fault)
{
    if (s->refresh_max_s > REFRESH_LIMIT_S || s->stale_max_s > STALE_LIMIT_S || s->refetch_s > REFETCH_LIMIT_S)
        return fault_set(fault, FAULT_INVALID,
                         "%s: at most 24h are accepted for keys_refresh_max, 720h for keys_stale_max, 1h for "
                         "keys_refetch_interval.",
                         where);
    if (s->stale_max_s <= s->refresh_max_s)
        return fault_set(fault, FAULT_INVALID,
                         "%s: keys_stale_max (%u s) must be longer than keys_refresh_max (%u s), or good keys would "
                         "be dropped before they are fetched again.",
                         where, s->stale_max_s, s->refresh_max_s);
    return true;
}

static char *copy(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

bool key_source_init(struct key_source *source, const struct key_fetch_options *options, const struct key_rules *rules,
                     const char *where, struct fault *fault)
{
    own(key_source_done) struct key_source made = {
        .discovery_url = copy(options->discovery_url),
        .jwks_uri = copy(options->jwks_uri),
        .ca_file = copy(options->ca_file),
        .proxy = copy(options->proxy),
        .algorithm = copy(rules->algorithm),
        .allowed = rules->allowed & ~algorithms_of_family(FAMILY_HMAC), /* a published secret is none */
        .refresh_max_s = options->refresh_max_s ? options->refresh_max_s : REFRESH_DEFAULT_S,
        .stale_max_s = options->stale_max_s ? options->stale_max_s : STALE_DEFAULT_S,
        .refetch_s = options->refetch_s ? options->refetch_s : REFETCH_DEFAULT_S,
    };

    if (!check_url(made.discovery_url, "discovery", where, fault) ||
        !check_url(made.jwks_uri, "jwks_uri", where, fault) || !check_proxy(made.proxy, where, fault) ||
        !check_times(&made, where, fault))
        return false;
    if (!made.allowed)
        return fault_set(fault, FAULT_INVALID,
                         "%s: keys that are fetched are public, so algorithms must name one of RS, PS, ES or EdDSA.",
                         where);
    *source = made;
    made = (struct key_source){0};
    return true;
}
