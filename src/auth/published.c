#include "auth/published.h"

#include "auth/plain.h"

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

static bool take_key(const json_t *jwk, const char *name, const struct key_rules *rules, struct key_set *set,
                     struct fault *fault)
{
    own(key_done) struct key key = {0};
    bool use = false;

    if (str_eq(json_string_value(json_object_get(jwk, "kty")), "oct"))
        return fault_set(fault, FAULT_INVALID, "%s: a secret, which is none once it is published.", name);
    if (!jwk_read(jwk, name, rules, &key, &use, fault))
        return false;
    if (!use)
        return fault_set(fault, FAULT_INVALID,
                         "%s: not for verifying tokens here (kty, use, key_ops, alg, algorithms).", name);
    return key_set_add(set, &key, name, fault);
}

bool published_keys_read(struct span json, const struct key_rules *rules, key_skipped skipped, void *arg,
                         struct key_set *ret_keys, struct fault *fault)
{
    own(json_freep) json_t *document = NULL;
    own(key_set_done) struct key_set set = {0};
    const json_t *jwk;
    size_t i;

    if (!json_read(json, "the key set", &document, fault))
        return false;
    const json_t *keys = json_object_get(document, "keys");
    if (!json_is_array(keys))
        return fault_set(fault, FAULT_INVALID, "the key set is no object whose member \"keys\" is an array");
    if (json_array_size(keys) > KEY_SET_MAX)
        return fault_set(fault, FAULT_INVALID, "the key set has more than %d keys", KEY_SET_MAX);
    json_array_foreach (keys, i, jwk) {
        own(freep) char *name = key_name(jwk, i);
        struct fault why = {0};
        /* OpenSSL does not always say that memory was short: a key that is wrong is wrong twice. */
        if (take_key(jwk, name, rules, &set, &(struct fault){0}) || take_key(jwk, name, rules, &set, &why))
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
