#include "auth/published.h"

#include "auth/plain.h"

/* A check of an RSA key takes milliseconds, growing with the square of its length and more. */
enum { EFFORT_MAX = KEY_SET_MAX * RSA_BITS_MIN * RSA_BITS_MIN };

bool metadata_read(struct span json, const char *issuer, char **ret_jwks_uri, struct fault *fault)
{
    own(json_freep) json_t *document = NULL;

    if (!json_read(json, "the metadata", &document, fault))
        return false;
    const char *named = json_string_value(json_object_get(document, "issuer"));
    const char *uri = json_string_value(json_object_get(document, "jwks_uri"));
    if (!named || strcmp(named, issuer) != 0)
        return fault_set(fault, FAULT_INVALID, "the metadata is of another issuer (%.200s)",
                         named && plain_text(named, URL_MAX_BYTES) ? named : "none is named");
    if (!uri || !plain_https_url(uri))
        return fault_set(fault, FAULT_INVALID, "the metadata has no jwks_uri that begins with https://");
    *ret_jwks_uri = xstrdup(uri);
    return true;
}

/* How a key is called in the log. */
static char *key_name(const json_t *jwk, size_t index)
{
    const char *id = json_string_value(json_object_get(jwk, "kid"));

    return id && plain_text(id, NAME_MAX_BYTES) ? xprintf("key %zu (kid %s)", index + 1, id)
                                                : xprintf("key %zu", index + 1);
}

/* What it costs to check a key, by its length; `n` is RSA's alone, other kinds are checked in no time. */
static size_t effort_of(const json_t *jwk)
{
    size_t bits = json_string_length(json_object_get(jwk, "n")) * 3 / 4 * 8; /* of base64url */

    bits = MIN(bits, (size_t)RSA_BITS_MAX); /* longer ones are refused unseen */
    return bits * bits;
}

static bool read_key(const json_t *jwk, const char *name, const struct key_rules *rules, size_t *effort_left,
                     struct key *ret_key, struct fault *fault)
{
    size_t effort = effort_of(jwk);
    bool use = false;

    if (str_eq(json_string_value(json_object_get(jwk, "kty")), "oct"))
        return fault_set(fault, FAULT_INVALID, "%s: a secret, which is none once it is published.", name);
    if (effort > *effort_left)
        return fault_set(fault, FAULT_INVALID,
                         "%s: the RSA keys of the set take too long to check; all together may take what %d of %d bits "
                         "do, %d of %d, or %d of %d.",
                         name, KEY_SET_MAX, RSA_BITS_MIN, KEY_SET_MAX / 4, 2 * RSA_BITS_MIN, KEY_SET_MAX / 16,
                         RSA_BITS_MAX);
    bool ok = jwk_read(jwk, name, rules, ret_key, &use, fault);
    if (!ok || use)
        *effort_left -= effort;
    if (ok && !use)
        return fault_set(fault, FAULT_INVALID,
                         "%s: not for verifying tokens here (kty, use, key_ops, alg, algorithms).", name);
    return ok;
}

bool published_keys_read(struct span json, const struct key_rules *rules, key_skipped skipped, void *arg,
                         struct key_set *ret_keys, struct fault *fault)
{
    own(json_freep) json_t *document = NULL;
    own(key_set_done) struct key_set set = {0};
    size_t effort_left = EFFORT_MAX, i;
    const json_t *jwk;

    if (!json_read(json, "the key set", &document, fault))
        return false;
    const json_t *keys = json_object_get(document, "keys");
    if (!json_is_array(keys))
        return fault_set(fault, FAULT_INVALID, "the key set is no object whose member \"keys\" is an array");
    if (json_array_size(keys) > KEY_SET_MAX)
        return fault_set(fault, FAULT_INVALID, "the key set has more than %d keys", KEY_SET_MAX);
    json_array_foreach (keys, i, jwk) {
        own(freep) char *name = key_name(jwk, i);
        own(key_done) struct key key = {0};
        struct fault why = {0};
        /* OpenSSL does not always say that memory was short: a key that is wrong is wrong twice. */
        bool ok = read_key(jwk, name, rules, &effort_left, &key, &(struct fault){0}) ||
                  read_key(jwk, name, rules, &effort_left, &key, &why);
        if (ok && key_set_add(&set, &key, name, &why))
            continue;
        if (why.kind != FAULT_INVALID) { /* it is not the key's fault: all of them again, later */
            *fault = why;
            return false;
        }
        skipped(arg, name, why.message);
    }
    if (set.count == 0)
        return fault_set(fault, FAULT_INVALID, "none of the %zu keys of the key set can verify tokens here",
                         json_array_size(keys));
    *ret_keys = set;
    set = (struct key_set){0};
    return true;
}
