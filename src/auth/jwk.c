/* One JWK: what is it for, may we use it, and with which algorithm? */
#include <openssl/crypto.h>

#include "auth/key_files.h"
#include "auth/plain.h"

enum jwk_kind { KIND_UNKNOWN, KIND_RSA, KIND_EC, KIND_OKP, KIND_SECRET };

/* Members that have another type than RFC 7517 says are faults: guessing what was meant would be dangerous. */
static bool optional_string(const json_t *jwk, const char *name, const char *where, const char **ret_value,
                            struct fault *fault)
{
    const json_t *member = json_object_get(jwk, name);

    if (member && !json_is_string(member))
        return fault_set(fault, FAULT_INVALID, "%s: \"%s\" must be a string.", where, name);
    *ret_value = json_string_value(member);
    return true;
}

/* A private key in a file that is there to be published has leaked, or soon will. */
static bool refuse_private(const json_t *jwk, const char *where, struct fault *fault)
{
    static const char *const members[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};

    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (json_object_get(jwk, members[i]))
            return fault_set(fault, FAULT_INVALID,
                             "%s: it holds a private key (member \"%s\"); a JWKS is for public keys: remove it, and "
                             "replace the key if the file was published.",
                             where, members[i]);
    return true;
}

/* `use` and `key_ops` (RFC 7517 §4.2, §4.3): is it for verifying signatures? */
static bool is_for_verifying(const json_t *jwk, const char *where, bool *ret_use, struct fault *fault)
{
    const json_t *operations = json_object_get(jwk, "key_ops"), *operation;
    const char *use = NULL;
    bool verify = false;
    size_t i;

    if (!optional_string(jwk, "use", where, &use, fault))
        return false;
    if (operations && !json_is_array(operations))
        return fault_set(fault, FAULT_INVALID, "%s: \"key_ops\" must be an array of strings.", where);
    json_array_foreach (operations, i, operation) {
        if (!json_is_string(operation))
            return fault_set(fault, FAULT_INVALID, "%s: \"key_ops\" must be an array of strings.", where);
        verify |= str_eq(json_string_value(operation), "verify");
    }
    *ret_use = (!use || str_eq(use, "sig")) && (!operations || verify);
    return true;
}

/* Narrows `fitting` to the algorithm that the key names. Empty: one that we do not have, so for something else. */
static bool apply_algorithm(const json_t *jwk, const char *where, algorithm_set *fitting, struct fault *fault)
{
    const char *name = NULL;
    enum jwt_algorithm algorithm;

    if (!optional_string(jwk, "alg", where, &name, fault))
        return false;
    if (!name)
        return true;
    if (!jwt_algorithm_parse(span_of(name), &algorithm)) {
        *fitting = 0;
        return true;
    }
    if (!(*fitting & ALGORITHM_BIT(algorithm)))
        return fault_set(fault, FAULT_INVALID, "%s: \"alg\" is %s, which does not fit the key's type or curve.", where,
                         jwt_algorithm_name(algorithm));
    *fitting = ALGORITHM_BIT(algorithm);
    return true;
}

static bool read_public(const json_t *jwk, const char *where, const struct key_rules *rules, const char *id,
                        struct key *ret_key, bool *ret_use, struct fault *fault)
{
    own(pkey_freep) EVP_PKEY *pkey = NULL;
    enum jwt_algorithm algorithm;
    bool use = false;

    if (!jwk_public(jwk, where, &pkey, fault))
        return false;
    if (pkey) {
        algorithm_set fitting = key_algorithms(pkey);
        if (!apply_algorithm(jwk, where, &fitting, fault) ||
            !key_rules_pin(rules, fitting, where, &algorithm, &use, fault))
            return false;
    }
    if (use && (!key_check(pkey, where, fault) || !key_init(ret_key, pkey, algorithm, id, fault)))
        return false;
    *ret_use = use;
    return true;
}

static bool read_secret(const json_t *jwk, const char *where, const struct key_rules *rules, const char *id,
                        struct key *ret_key, bool *ret_use, struct fault *fault)
{
    const json_t *k = json_object_get(jwk, "k");
    algorithm_set fitting = algorithms_of_family(FAMILY_HMAC);
    uint8_t bytes[SECRET_SIZE_MAX];
    enum jwt_algorithm algorithm;
    size_t len;
    bool use;

    if (!apply_algorithm(jwk, where, &fitting, fault) || !key_rules_pin(rules, fitting, where, &algorithm, &use, fault))
        return false;
    if (!use) {
        *ret_use = false;
        return true;
    }
    if (!json_is_string(k) ||
        !base64url_decode((struct span){json_string_value(k), json_string_length(k)}, bytes, sizeof(bytes), &len))
        return fault_set(fault, FAULT_INVALID, "%s: \"k\" must be base64url of at most %d bytes.", where,
                         SECRET_SIZE_MAX);
    struct span secret = {(const char *)bytes, len};
    bool ok = secret_check(secret, algorithm, where, fault) && key_init_secret(ret_key, secret, algorithm, id, fault);
    OPENSSL_cleanse(bytes, sizeof(bytes));
    if (ok)
        *ret_use = true;
    return ok;
}

static enum jwk_kind kind_of(const char *type)
{
    return str_eq(type, "RSA")   ? KIND_RSA
           : str_eq(type, "EC")  ? KIND_EC
           : str_eq(type, "OKP") ? KIND_OKP
           : str_eq(type, "oct") ? KIND_SECRET
                                 : KIND_UNKNOWN;
}

bool jwk_read(const json_t *jwk, const char *where, const struct key_rules *rules, struct key *ret_key, bool *ret_use,
              struct fault *fault)
{
    const char *type = NULL, *id = NULL;
    bool use = false;

    if (!json_is_object(jwk))
        return fault_set(fault, FAULT_INVALID, "%s: a key must be an object.", where);
    if (!optional_string(jwk, "kty", where, &type, fault) || !optional_string(jwk, "kid", where, &id, fault))
        return false;
    if (!type)
        return fault_set(fault, FAULT_INVALID, "%s: \"kty\" is missing.", where);
    if (id && !plain_text(id, NAME_MAX_BYTES))
        return fault_set(fault, FAULT_INVALID, "%s: \"kid\" must be 1 to %d bytes without control characters.", where,
                         NAME_MAX_BYTES);
    enum jwk_kind kind = kind_of(type);
    if (kind != KIND_SECRET && !refuse_private(jwk, where, fault))
        return false;
    if (!is_for_verifying(jwk, where, &use, fault))
        return false;
    if (kind == KIND_UNKNOWN || !use) {
        *ret_use = false;
        return true;
    }
    return kind == KIND_SECRET ? read_secret(jwk, where, rules, id, ret_key, ret_use, fault)
                               : read_public(jwk, where, rules, id, ret_key, ret_use, fault);
}

static bool all_of_set(const json_t *keys, const char *where, const struct key_rules *rules, struct key_set *set,
                       bool *ret_secret, struct fault *fault)
{
    const json_t *jwk;
    bool secret = false;
    size_t i;

    json_array_foreach (keys, i, jwk) {
        const char *id = json_string_value(json_object_get(jwk, "kid"));
        bool named = id && plain_text(id, NAME_MAX_BYTES), use;
        own(freep) char *place =
            named ? xprintf("%s: key %zu (kid %s)", where, i + 1, id) : xprintf("%s: key %zu", where, i + 1);
        own(key_done) struct key key = {0};
        if (!jwk_read(jwk, place, rules, &key, &use, fault) || (use && !key_set_add(set, &key, place, fault)))
            return false;
        secret |= str_eq(json_string_value(json_object_get(jwk, "kty")), "oct");
    }
    *ret_secret = secret;
    return true;
}

bool jwks_read(struct span json, const char *where, const struct key_rules *rules, struct key_set *ret_keys,
               bool *ret_secret, struct fault *fault)
{
    own(json_freep) json_t *document = NULL;
    own(key_set_done) struct key_set set = {0};

    if (!json_read(json, where, &document, fault))
        return false;
    const json_t *keys = json_object_get(document, "keys");
    if (!json_is_array(keys))
        return fault_set(fault, FAULT_INVALID, "%s: a JWK Set is an object whose member \"keys\" is an array.", where);
    if (json_array_size(keys) > KEY_SET_MAX)
        return fault_set(fault, FAULT_INVALID, "%s: more than %d keys.", where, KEY_SET_MAX);
    if (!all_of_set(keys, where, rules, &set, ret_secret, fault))
        return false;
    if (set.count == 0)
        return fault_set(
            fault, FAULT_INVALID,
            "%s: none of its %zu keys can verify tokens here (kty, use, key_ops, alg, and \"algorithms\").", where,
            json_array_size(keys));
    *ret_keys = set;
    set = (struct key_set){0};
    return true;
}
