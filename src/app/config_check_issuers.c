/* Issuers, and the key that signs our own tokens. Only the file's own text is looked at. */
#include "app/config_schema.h"

static bool is_fetched(const struct config_issuer *s)
{
    return s->discovery || s->jwks_uri;
}

static void check_fetching(const struct config_issuer *s, struct problems *problems)
{
    static const char *const settings[] = {"ca_file", "proxy", "keys_refresh_max", "keys_stale_max",
                                           "keys_refetch_interval"};

    for (size_t i = 0; i < ARRAY_LEN(settings) && !is_fetched(s); i++)
        if (yaml_find(s->node, settings[i]))
            problems_add(problems, yaml_line(s->node, settings[i]),
                         "%s is for keys that are fetched; remove it, or set discovery or jwks_uri.", settings[i]);
    if (s->discovery && strcmp(s->discovery, "true") != 0 && strncmp(s->discovery, "https://", 8) != 0)
        problems_add(problems, yaml_line(s->node, "discovery"),
                     "discovery: \"%s\" is neither true nor an address that begins with https://.", s->discovery);
    else if (str_eq(s->discovery, "true") && s->issuer && strncmp(s->issuer, "https://", 8) != 0)
        problems_add(problems, yaml_line(s->node, "issuer"),
                     "discovery: true needs an issuer that begins with https://; give the address of its metadata.");
    if (s->jwks_uri && strncmp(s->jwks_uri, "https://", 8) != 0)
        problems_add(problems, yaml_line(s->node, "jwks_uri"),
                     "jwks_uri: \"%s\" does not begin with https://: whoever is on the way could sign tokens.",
                     s->jwks_uri);
}

static void check_demands(const struct config_issuer *s, struct problems *problems)
{
    for (size_t i = 0; i < s->require_claims.count; i++)
        if (s->require_claims.items[i].from[0] != '/')
            problems_add(problems, yaml_line(s->node, "require_claims"),
                         "require_claims: \"%s\" is not a JSON pointer; write \"/%s\".",
                         s->require_claims.items[i].from, s->require_claims.items[i].from);
}

static void check_keys(const struct config_issuer *s, struct problems *problems)
{
    int sources = !!s->jwks_file + !!s->pem_file + !!s->secret_file + !!s->discovery + !!s->jwks_uri;
    unsigned line = s->node->line;

    if (sources == 0)
        problems_add(problems, line,
                     "the issuer has no keys; set one of discovery, jwks_uri, jwks_file, pem_file and secret_file.");
    if (sources > 1)
        problems_add(problems, line,
                     "the issuer has more than one source of keys; keep one of discovery, jwks_uri, jwks_file, "
                     "pem_file and secret_file.");
    if ((s->jwks_file || is_fetched(s)) && s->key_id)
        problems_add(problems, yaml_line(s->node, "key_id"),
                     "key_id is for a PEM key or a secret; the keys of a JWKS name "
                     "themselves.");
}

/* Lists the names there are; `symmetric` picks which. */
static void algorithm_names(bool symmetric, struct text *out)
{
    for (int a = 0; a < ALG_COUNT; a++)
        if ((a >= ALG_HS256) == symmetric)
            text_printf(out, "%s%s", out->len > 0 ? ", " : "", jwt_algorithm_name((enum jwt_algorithm)a));
}

static void check_algorithm(const struct config_issuer *s, const char *key, const char *name, struct problems *problems)
{
    own(text_done) struct text names = {0};
    enum jwt_algorithm algorithm;
    bool secret = s->secret_file != NULL;
    bool known = jwt_algorithm_parse(span_of(name), &algorithm);

    if (known && (algorithm >= ALG_HS256) == secret)
        return;
    algorithm_names(secret, &names);
    if (!known)
        problems_add(problems, yaml_line(s->node, key), "%s: there is no algorithm \"%s\" here; there are %s.", key,
                     name, names.data);
    else if (s->jwks_file || s->pem_file || is_fetched(s) || secret)
        problems_add(problems, yaml_line(s->node, key), "%s: %s does not fit %s; fitting are %s.", key, name,
                     secret ? "a shared secret" : "public keys", names.data);
}

static void check_algorithms(const struct config_issuer *s, struct problems *problems)
{
    bool listed = s->algorithms.count == 0;

    if (s->secret_file && !s->algorithm)
        problems_add(problems, yaml_line(s->node, "secret_file"),
                     "a shared secret needs its algorithm: set algorithm: HS256, "
                     "HS384 or HS512.");
    if (s->algorithm)
        check_algorithm(s, "algorithm", s->algorithm, problems);
    for (size_t i = 0; i < s->algorithms.count; i++) {
        check_algorithm(s, "algorithms", s->algorithms.items[i], problems);
        listed = listed || (s->algorithm && strcmp(s->algorithms.items[i], s->algorithm) == 0);
    }
    if (s->algorithm && !listed)
        problems_add(problems, yaml_line(s->node, "algorithms"),
                     "algorithms does not list %s, which algorithm says the key is "
                     "for: no token would ever be good.",
                     s->algorithm);
}

static void check_roles(const struct config_issuer *s, struct problems *problems)
{
    for (size_t i = 0; i < s->role_claims.count; i++)
        if (s->role_claims.items[i][0] != '/')
            problems_add(problems, yaml_line(s->node, "role_claims"),
                         "role_claims: \"%s\" is not a JSON pointer; write \"/%s\".", s->role_claims.items[i],
                         s->role_claims.items[i]);
}

static bool list_has(const struct id_list *list, const char *s)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], s) == 0)
            return true;
    return false;
}

static const struct config_issuer *find_issuer(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->issuers.count; i++)
        if (str_eq(config_issuer(c, i)->issuer, name))
            return config_issuer(c, i);
    return NULL;
}

/* A token that the server would refuse need not be made. */
static void check_signing(const struct config *c, struct problems *problems)
{
    const struct config_signing *s = &c->signing;
    const struct config_issuer *issuer;

    if (!s->node)
        return;
    if (!s->issuer || !s->audience || !s->key) {
        problems_add(problems, s->node->line,
                     "signing needs issuer, audience and key; give all three, or remove the section.");
        return;
    }
    issuer = find_issuer(c, s->issuer);
    if (!issuer)
        problems_add(problems, yaml_line(s->node, "issuer"),
                     "signing.issuer: \"%s\" is not among the issuers: no token of it "
                     "would be accepted.",
                     s->issuer);
    else if (!list_has(&issuer->audiences, s->audience))
        problems_add(problems, yaml_line(s->node, "audience"),
                     "signing.audience: \"%s\" is not among that issuer's audiences.", s->audience);
}

static void check_unique(const struct config *c, const struct config_issuer *s, struct problems *problems)
{
    const struct config_issuer *first = s->issuer ? find_issuer(c, s->issuer) : s;

    if (first != s && first->node)
        problems_add(problems, yaml_line(s->node, "issuer"),
                     "the issuer \"%s\" stands in line %u already; whose keys are right "
                     "could not be told.",
                     s->issuer, first->node->line);
}

void config_check_issuers(struct config *c, struct problems *problems)
{
    for (size_t i = 0; i < c->issuers.count; i++) {
        struct config_issuer *s = (struct config_issuer *)c->issuers.items + i;
        size_t before = problems->mistakes;

        if (!s->node) /* not a table: that was said */
            continue;
        check_keys(s, problems);
        check_fetching(s, problems);
        check_demands(s, problems);
        check_algorithms(s, problems);
        check_roles(s, problems);
        check_unique(c, s, problems);
        s->sound = problems->mistakes == before && s->issuer && s->audiences.count > 0;
    }
    check_signing(c, problems);
}
