/* Issuers: options checked and copied, keys read. */
#include "auth/issuer.h"

#include "auth/key_files.h"
#include "auth/plain.h"

enum {
    LIST_MAX = 64,
    ROLE_MAP_MAX = 1024,
    DEMANDS_MAX = 32,
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

struct issuer *issuer_ref(struct issuer *issuer)
{
    __atomic_add_fetch(&issuer->references, 1, __ATOMIC_RELAXED);
    return issuer;
}

void issuer_unref(struct issuer *issuer)
{
    if (!issuer || __atomic_sub_fetch(&issuer->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    free(issuer->name);
    free(issuer->role_prefix);
    list_done(&issuer->audiences);
    list_done(&issuer->role_claims);
    for (size_t i = 0; i < issuer->role_map_count; i++) {
        free(issuer->role_map[i].from);
        free(issuer->role_map[i].to);
    }
    free(issuer->role_map);
    for (size_t i = 0; i < issuer->demand_count; i++) {
        free(issuer->demands[i].pointer);
        free(issuer->demands[i].value);
    }
    free(issuer->demands);
    key_source_done(&issuer->source);
    free(issuer);
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

static bool copy_demands(struct issuer *issuer, const struct issuer_options *o, const char *where, struct fault *fault)
{
    if (o->require_claim_count > DEMANDS_MAX)
        return fault_set(fault, FAULT_INVALID, "%s: require_claims has more than %d entries.", where, DEMANDS_MAX);
    issuer->demands = xcalloc(o->require_claim_count + 1, sizeof(*issuer->demands));
    for (size_t i = 0; i < o->require_claim_count; i++) {
        const struct claim_rule *r = &o->require_claims[i];
        if (!r->pointer || r->pointer[0] != '/' || !plain_text(r->pointer, URL_MAX_BYTES) || !r->value ||
            !plain_text(r->value, URL_MAX_BYTES))
            return fault_set(fault, FAULT_INVALID,
                             "%s: require_claims: an entry needs a JSON pointer, such as /tid, and the text that must "
                             "stand there.",
                             where);
        issuer->demands[issuer->demand_count++] = (struct claim_demand){xstrdup(r->pointer), xstrdup(r->value)};
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

static bool read_key_file(const struct issuer_options *o, const char *where, const struct key_rules *rules,
                          struct key_set *keys, struct fault *fault)
{
    const char *path = o->jwks_file ? o->jwks_file : o->pem_file ? o->pem_file : o->secret_file;
    own(freep) char *place = xprintf("%s: %s", where, path);

    if (o->jwks_file)
        return key_file_jwks(path, place, rules, keys, fault);
    if (o->pem_file)
        return key_file_pem(path, place, rules, o->key_id, keys, fault);
    return key_file_secret(path, place, rules, o->key_id, keys, fault);
}

static bool read_keys(struct issuer *issuer, const struct issuer_options *o, const char *where,
                      struct key_bundle **ret_keys, struct fault *fault)
{
    bool file = o->pem_file || o->secret_file;
    own(key_set_done) struct key_set keys = {0};
    struct key_rules rules;

    if (!!o->jwks_file + !!o->pem_file + !!o->secret_file + !!o->fetch.discovery_url + !!o->fetch.jwks_uri != 1)
        return fault_set(fault, FAULT_INVALID,
                         "%s: exactly one of discovery, jwks_uri, jwks_file, pem_file and secret_file is needed.",
                         where);
    if (o->key_id && !plain_text(o->key_id, NAME_MAX_BYTES))
        return fault_set(fault, FAULT_INVALID, "%s: key_id must be 1 to %d bytes of text without control characters.",
                         where, NAME_MAX_BYTES);
    if (o->key_id && !file)
        return fault_set(fault, FAULT_INVALID, "%s: key_id is for pem_file and secret_file; a JWKS has its own kids.",
                         where);
    if (!read_rules(o, where, &rules, fault))
        return false;
    issuer->fetched = o->fetch.discovery_url || o->fetch.jwks_uri;
    if (issuer->fetched)
        return key_source_init(&issuer->source, &o->fetch, &rules, where, fault);
    if (!read_key_file(o, where, &rules, &keys, fault))
        return false;
    *ret_keys = key_bundle_new(&keys, INT64_MAX);
    return true;
}

bool issuer_new(const struct issuer_options *o, struct issuer **ret_issuer, struct key_bundle **ret_keys,
                struct fault *fault)
{
    own(issuer_unrefp) struct issuer *made = xcalloc(1, sizeof(*made));
    const char *where = o->where ? o->where : "issuers";

    made->references = 1;
    if (!o->issuer || !plain_text(o->issuer, URL_MAX_BYTES))
        return fault_set(fault, FAULT_INVALID, "%s: issuer must be 1 to %d bytes of text without control characters.",
                         where, URL_MAX_BYTES);
    if (o->audience_count == 0)
        return fault_set(fault, FAULT_INVALID,
                         "%s: audiences is empty; name what this server is called in its tokens' aud.", where);
    made->name = xstrdup(o->issuer);
    if (!copy_list(&made->audiences, o->audiences, o->audience_count, "audiences", where, fault) ||
        !copy_role_claims(made, o, where, fault) || !copy_role_map(made, o, where, fault) ||
        !copy_demands(made, o, where, fault) || !copy_limits(made, o, where, fault) ||
        !read_keys(made, o, where, ret_keys, fault))
        return false;
    *ret_issuer = give(made);
    return true;
}
