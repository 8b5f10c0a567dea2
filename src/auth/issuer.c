/* Issuers: options checked and copied, keys read, keys found. */
#include "auth/issuer.h"

#include "auth/key_files.h"
#include "auth/plain.h"
#include "auth/refusal.h"

enum {
    LIST_MAX = 64,
    ROLE_MAP_MAX = 1024,
    ROLES_MAX = 1024,
    ROLES_DEFAULT = 64,
    LEEWAY_MAX_S = 300,
    LIFETIME_DEFAULT_S = 86400,
    LIFETIME_LIMIT_S = 366 * 86400
};

static void list_done(struct string_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

void issuer_done(struct issuer *issuer)
{
    free(issuer->name);
    free(issuer->role_prefix);
    list_done(&issuer->audiences);
    list_done(&issuer->role_claims);
    for (size_t i = 0; i < issuer->role_map_count; i++) {
        free(issuer->role_map[i].from);
        free(issuer->role_map[i].to);
    }
    free(issuer->role_map);
    key_set_done(&issuer->keys);
    *issuer = (struct issuer){0};
}

static bool copy_list(struct string_list *list, const char *const *items, size_t count, const char *what,
                      const char *where, struct fault *fault)
{
    if (count > LIST_MAX)
        return fault_set(fault, FAULT_INVALID, "%s: at most %d %s are accepted.", where, LIST_MAX, what);
    list->items = xcalloc(count + 1, sizeof(*list->items));
    for (size_t i = 0; i < count; i++) {
        if (!items[i] || !plain_text(items[i], URL_MAX_BYTES))
            return fault_set(fault, FAULT_INVALID,
                             "%s: each of %s must be 1 to %d bytes of text without control characters.", where, what,
                             URL_MAX_BYTES);
        list->items[list->count++] = xstrdup(items[i]);
    }
    return true;
}

static bool copy_role_claims(struct issuer *issuer, const struct issuer_options *o, const char *where,
                             struct fault *fault)
{
    static const char *const by_default[] = {"/roles"};
    const char *const *claims = o->role_claim_count > 0 ? o->role_claims : by_default;
    size_t count = o->role_claim_count > 0 ? o->role_claim_count : 1;

    if (!copy_list(&issuer->role_claims, claims, count, "role_claims", where, fault))
        return false;
    for (size_t i = 0; i < count; i++)
        if (claims[i][0] != '/')
            return fault_set(fault, FAULT_INVALID,
                             "%s: role_claims: \"%s\" is no JSON pointer; it must begin with a slash, as in /roles or "
                             "/realm_access/roles.",
                             where, claims[i]);
    return true;
}

static bool copy_role_map(struct issuer *issuer, const struct issuer_options *o, const char *where, struct fault *fault)
{
    if (o->role_map_count > ROLE_MAP_MAX)
        return fault_set(fault, FAULT_INVALID, "%s: role_map has more than %d entries.", where, ROLE_MAP_MAX);
    issuer->role_map = xcalloc(o->role_map_count + 1, sizeof(*issuer->role_map));
    for (size_t i = 0; i < o->role_map_count; i++) {
        const struct role_mapping *m = &o->role_map[i];
        if (!m->from || !plain_text(m->from, NAME_MAX_BYTES) || !m->to || !plain_role(m->to))
            return fault_set(
                fault, FAULT_INVALID,
                "%s: role_map: an entry needs a provider's name (at most %d bytes) and a role of ours (visible "
                "ASCII, at most %d bytes).",
                where, NAME_MAX_BYTES, ROLE_MAX_BYTES);
        issuer->role_map[issuer->role_map_count++] = (struct role_pair){xstrdup(m->from), xstrdup(m->to)};
    }
    return true;
}

static bool copy_limits(struct issuer *issuer, const struct issuer_options *o, const char *where, struct fault *fault)
{
    if (o->leeway_s > LEEWAY_MAX_S)
        return fault_set(fault, FAULT_INVALID, "%s: leeway is %u s; at most %d s are accepted.", where, o->leeway_s,
                         LEEWAY_MAX_S);
    if (o->lifetime_max_s > LIFETIME_LIMIT_S)
        return fault_set(fault, FAULT_INVALID, "%s: lifetime_max is %u s; at most %d s (366 days) are accepted.", where,
                         o->lifetime_max_s, LIFETIME_LIMIT_S);
    if (o->roles_max > ROLES_MAX)
        return fault_set(fault, FAULT_INVALID, "%s: roles_max is %u; at most %d are accepted.", where, o->roles_max,
                         ROLES_MAX);
    if (o->profile != TOKEN_PROFILE_JWT && o->profile != TOKEN_PROFILE_AT_JWT)
        return fault_set(fault, FAULT_INVALID, "%s: the profile is neither jwt nor at+jwt.", where);
    if (o->role_prefix && !plain_text(o->role_prefix, ROLE_MAX_BYTES))
        return fault_set(fault, FAULT_INVALID,
                         "%s: role_prefix must be 1 to %d bytes of text without control characters.", where,
                         ROLE_MAX_BYTES);
    issuer->leeway_s = o->leeway_s;
    issuer->lifetime_max_s = o->lifetime_max_s ? o->lifetime_max_s : LIFETIME_DEFAULT_S;
    issuer->roles_max = o->roles_max ? o->roles_max : ROLES_DEFAULT;
    issuer->profile = o->profile;
    issuer->require_token_use = o->require_token_use;
    issuer->role_prefix = o->role_prefix ? xstrdup(o->role_prefix) : NULL;
    return true;
}

/* `algorithm` and `algorithms` as sets; what contradicts itself is a fault. */
static bool read_rules(const struct issuer_options *o, const char *where, struct key_rules *rules, struct fault *fault)
{
    enum jwt_algorithm a;

    *rules = (struct key_rules){.algorithm = o->algorithm, .allowed = o->algorithm_count ? 0 : ALGORITHMS_ALL};
    for (size_t i = 0; i < o->algorithm_count; i++) {
        if (!jwt_algorithm_parse(span_of(o->algorithms[i]), &a)) {
            own(text_done) struct text all = {0};
            algorithms_text(ALGORITHMS_ALL, &all);
            return fault_set(fault, FAULT_INVALID, "%s: algorithms: \"%s\" is unknown; there are %s.", where,
                             o->algorithms[i] ? o->algorithms[i] : "", all.data);
        }
        rules->allowed |= ALGORITHM_BIT(a);
    }
    if (!o->algorithm)
        return true;
    if (!jwt_algorithm_parse(span_of(o->algorithm), &a)) {
        own(text_done) struct text all = {0};
        algorithms_text(ALGORITHMS_ALL, &all);
        return fault_set(fault, FAULT_INVALID, "%s: algorithm \"%s\" is unknown; there are %s.", where, o->algorithm,
                         all.data);
    }
    if (!(rules->allowed & ALGORITHM_BIT(a)))
        return fault_set(fault, FAULT_INVALID, "%s: algorithm %s is not among algorithms.", where, o->algorithm);
    return true;
}

static bool read_keys(struct issuer *issuer, const struct issuer_options *o, const char *where, struct fault *fault)
{
    const char *path = o->jwks_file ? o->jwks_file : o->pem_file ? o->pem_file : o->secret_file;
    struct key_rules rules;

    if (!!o->jwks_file + !!o->pem_file + !!o->secret_file != 1)
        return fault_set(fault, FAULT_INVALID, "%s: exactly one of jwks_file, pem_file and secret_file is needed.",
                         where);
    if (o->key_id && !plain_text(o->key_id, NAME_MAX_BYTES))
        return fault_set(fault, FAULT_INVALID, "%s: key_id must be 1 to %d bytes of text without control characters.",
                         where, NAME_MAX_BYTES);
    if (o->key_id && o->jwks_file)
        return fault_set(fault, FAULT_INVALID, "%s: key_id is for pem_file and secret_file; a JWKS has its own kids.",
                         where);
    if (!read_rules(o, where, &rules, fault))
        return false;
    own(freep) char *place = xprintf("%s: %s", where, path);
    if (o->jwks_file)
        return key_file_jwks(path, place, &rules, &issuer->keys, fault);
    if (o->pem_file)
        return key_file_pem(path, place, &rules, o->key_id, &issuer->keys, fault);
    return key_file_secret(path, place, &rules, o->key_id, &issuer->keys, fault);
}

bool issuer_init(struct issuer *issuer, const struct issuer_options *o, struct fault *fault)
{
    own(issuer_done) struct issuer made = {0};
    const char *where = o->where ? o->where : "issuers";

    if (!o->issuer || !plain_text(o->issuer, URL_MAX_BYTES))
        return fault_set(fault, FAULT_INVALID, "%s: issuer must be 1 to %d bytes of text without control characters.",
                         where, URL_MAX_BYTES);
    if (o->audience_count == 0)
        return fault_set(fault, FAULT_INVALID,
                         "%s: audiences is empty; name what this server is called in its tokens' aud.", where);
    made.name = xstrdup(o->issuer);
    if (!copy_list(&made.audiences, o->audiences, o->audience_count, "audiences", where, fault) ||
        !copy_role_claims(&made, o, where, fault) || !copy_role_map(&made, o, where, fault) ||
        !copy_limits(&made, o, where, fault) || !read_keys(&made, o, where, fault))
        return false;
    *issuer = made;
    made = (struct issuer){0};
    return true;
}

/* Without a kid the algorithm must lead to exactly one key: trying several would let the token choose. */
static bool find_only_key(const struct issuer *issuer, enum jwt_algorithm algorithm, const struct key **ret_key,
                          struct fault *fault)
{
    const struct key *found = NULL;

    for (size_t i = 0; i < issuer->keys.count; i++) {
        const struct key *key = &issuer->keys.items[i];
        if (key->algorithm != algorithm)
            continue;
        if (found)
            return refuse(fault, REFUSED_NO_KEY);
        found = key;
    }
    if (!found)
        return refuse(fault, REFUSED_KEY_ALGORITHM);
    *ret_key = found;
    return true;
}

bool issuer_find_key(const struct issuer *issuer, enum jwt_algorithm algorithm, const char *id,
                     const struct key **ret_key, struct fault *fault)
{
    if (!id)
        return find_only_key(issuer, algorithm, ret_key, fault);
    for (size_t i = 0; i < issuer->keys.count; i++) {
        const struct key *key = &issuer->keys.items[i];
        if (!key->any_id && !str_eq(key->id, id))
            continue;
        if (key->algorithm != algorithm)
            return refuse(fault, REFUSED_KEY_ALGORITHM);
        *ret_key = key;
        return true;
    }
    return refuse(fault, REFUSED_KEY);
}
