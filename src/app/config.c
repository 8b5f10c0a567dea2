#include "app/config.h"

#include <errno.h>
#include <unistd.h>

#include "app/config_schema.h"
#include "bailiff/file.h"
#include "bailiff/server.h"

const char *config_path(const char *named)
{
    const char *set = named ? NULL : secure_getenv("BAILIFF_CONFIG");

    return named ? named : set && set[0] ? set : "/etc/bailiff/bailiff.yaml";
}

void config_free(struct config *c)
{
    if (!c)
        return;
    arena_done(&c->arena);
    free(c);
}

/* The folder that relative paths are relative to. Links are followed: a configuration that is linked to stands among its files. */
static bool find_folder(struct config *c, struct problems *problems)
{
    own(freep) char *real = realpath(c->file, NULL);
    char *slash;

    if (!real)
        return problems_add(problems, 0, "cannot be read: %s; name another with --config.", strerror(errno));
    slash = strrchr(real, '/');
    *(slash == real ? slash + 1 : slash) = '\0';
    c->folder = arena_strdup(&c->arena, real);
    return true;
}

struct config *config_load(const char *path, enum config_depth depth, struct problems *problems)
{
    own(config_freep) struct config *c = xcalloc(1, sizeof(*c));
    own(text_done) struct text content = {0};
    struct yaml_node *root = NULL;
    struct fault fault = {0};

    c->file = arena_strdup(&c->arena, path);
    problems_init(problems, path);
    if (!find_folder(c, problems))
        return NULL;
    if (!file_read_trusted(path, YAML_SIZE_MAX, &content, &fault)) {
        problems_add(problems, 0, "cannot be used: %s", fault.message);
        return NULL;
    }
    if (!yaml_read(text_span(&content), &c->arena, problems, &root))
        return NULL;
    if (root->kind != YAML_MAP) {
        problems_add(problems, root->line, "must be a table of settings, not %s.", yaml_kind_name(root));
        return NULL;
    }
    c->node = root;
    config_read_section(c, problems, &CONFIG_SCHEMA, root, "", c);
    config_apply_presets(c, problems);
    config_check_server(c, problems);
    config_check_issuers(c, problems);
    config_check_cors(c, problems);
    if (depth == CONFIG_MACHINE)
        config_check_machine(c, problems);
    return give(c);
}

void config_listener_options(const struct config *c, size_t index, struct arena *arena, struct listener_options *ret)
{
    const struct config_listener *l = config_listener(c, index);

    *ret = (struct listener_options){
        .address = l->address,
        .port = l->port,
        .tls = l->tls,
        .certificate_file = l->certificate,
        .key_file = l->key,
        .client_ca_file = l->client_ca,
        .client_certificate_optional = l->client_certificate == CLIENT_CERTIFICATE_OPTIONAL,
        .client_crl_files = l->client_crl.items,
        .client_crl_count = l->client_crl.count,
        .ocsp_file = l->ocsp_file,
        .proxy_protocol = l->proxy_protocol,
        .where = arena_printf(arena, "%s:%u", c->file, l->node->line),
    };
}

/* ---- what SIGHUP replaces ---- */
/* A role that asks for what no listener can give would be given to nobody. */
static bool check_role_proofs(const struct config *c, const struct policy *policy, struct problems *problems)
{
    bool good = true;

    for (size_t i = 0; i < policy_role_count(policy) && !config_takes_client_certificates(c); i++) {
        struct fault fault = {0};
        unsigned line = 0;
        enum proof wanted = policy_role_requires(policy, i, &line);

        if (wanted == PROOF_TOKEN)
            continue;
        fault_set(&fault, FAULT_INVALID,
                  "%s:%u: role %s requires %s, but no listener takes client certificates; give one a client_ca.",
                  c->policy.roles, line, policy_role_name(policy, i), proof_name(wanted));
        good = problems_add_fault(problems, yaml_line(c->policy.node, "roles"), &fault);
    }
    return good;
}

static bool check_role_map(const struct config *c, const struct policy *policy, struct problems *problems)
{
    size_t before = problems->mistakes, count = policy_role_count(policy);
    own(freep) const char **names = xcalloc(count + 1, sizeof(*names));

    for (size_t i = 0; i < count; i++)
        names[i] = policy_role_name(policy, i);
    for (size_t i = 0; i < c->issuers.count; i++) {
        const struct config_issuer *s = config_issuer(c, i);

        for (size_t m = 0; m < s->role_map.count; m++) {
            const struct role_mapping *mapping = &s->role_map.items[m];
            size_t n = 0;

            while (n < count && strcmp(names[n], mapping->to) != 0)
                n++;
            if (n < count)
                continue;
            const char *near = text_nearest(mapping->to, names, count);
            problems_add(problems, yaml_line(yaml_find(s->node, "role_map"), mapping->from),
                         "role_map: %s has no role \"%s\"%s%s%s", c->policy.roles, mapping->to,
                         near ? "; did you mean \"" : ".", near ? near : "", near ? "\"?" : "");
        }
    }
    return problems->mistakes == before;
}

bool config_load_policy(const struct config *c, struct problems *problems, struct policy **ret_policy)
{
    struct policy *policy = NULL;
    struct fault fault = {0};

    if (!c->policy.roles)
        return false;
    if (!policy_load(c->policy.roles, &policy, &fault))
        return problems_add_fault(problems, yaml_line(c->policy.node, "roles"), &fault);
    bool mapped = check_role_map(c, policy, problems);
    if (!check_role_proofs(c, policy, problems) || !mapped) {
        policy_unref(policy);
        return false;
    }
    *ret_policy = policy;
    return true;
}

/* OpenID Connect Discovery §4: the metadata stands below the issuer. */
static const char *discovery_url(const struct config_issuer *s, struct arena *arena)
{
    size_t len = strlen(s->issuer);

    if (!str_eq(s->discovery, "true"))
        return s->discovery;
    return arena_printf(arena, "%.*s/.well-known/openid-configuration", (int)(len - (s->issuer[len - 1] == '/')),
                        s->issuer);
}

static void claim_rules(const struct config_issuer *s, struct arena *arena, struct issuer_options *o)
{
    struct claim_rule *rules = arena_alloc(arena, (s->require_claims.count + 1) * sizeof(*rules));

    for (size_t i = 0; i < s->require_claims.count; i++)
        rules[i] = (struct claim_rule){s->require_claims.items[i].from, s->require_claims.items[i].to};
    o->require_claims = rules;
    o->require_claim_count = s->require_claims.count;
}

static void issuer_options(const struct config *c, const struct config_issuer *s, struct arena *arena,
                           struct issuer_options *o)
{
    *o = (struct issuer_options){
        .issuer = s->issuer,
        .audiences = s->audiences.items,
        .audience_count = s->audiences.count,
        .jwks_file = s->jwks_file,
        .pem_file = s->pem_file,
        .secret_file = s->secret_file,
        .fetch =
            {
                .discovery_url = discovery_url(s, arena),
                .jwks_uri = s->jwks_uri,
                .ca_file = s->ca_file,
                .proxy = s->proxy,
                .refresh_max_s = (unsigned)(s->keys_refresh_max_ms / 1000),
                .stale_max_s = (unsigned)(s->keys_stale_max_ms / 1000),
                .refetch_s = s->keys_refetch_ms / 1000,
            },
        .algorithm = s->algorithm,
        .key_id = s->key_id,
        .algorithms = s->algorithms.items,
        .algorithm_count = s->algorithms.count,
        .profile = (enum token_profile)s->profile,
        .role_claims = s->role_claims.items,
        .role_claim_count = s->role_claims.count,
        .role_map = s->role_map.items,
        .role_map_count = s->role_map.count,
        .role_prefix = s->role_prefix,
        .roles_max = s->roles_max,
        .leeway_s = (s->leeway_ms + 999) / 1000,
        .lifetime_max_s = (unsigned)(s->lifetime_max_ms / 1000),
        .require_token_use = s->token_use == 1,
        .where = arena_printf(arena, "%s:%u", c->file, s->node->line),
    };
    claim_rules(s, arena, o);
}

bool config_load_verifier(const struct config *c, struct problems *problems, struct verifier **ret_verifier)
{
    own(arena_done) struct arena arena = {0};
    struct issuer_options *options = arena_alloc(&arena, (c->issuers.count + 1) * sizeof(*options));
    size_t before = problems->mistakes;
    struct fault fault = {0};

    /* One at a time first, so that the mistakes of all are seen. */
    for (size_t i = 0; i < c->issuers.count; i++) {
        struct verifier *alone = NULL;

        if (!config_issuer(c, i)->sound)
            continue;
        issuer_options(c, config_issuer(c, i), &arena, &options[i]);
        fault = (struct fault){0};
        if (verifier_new(&options[i], 1, &alone, &fault))
            verifier_unref(alone);
        else
            problems_add_fault(problems, config_issuer(c, i)->node->line, &fault);
    }
    for (size_t i = 0; i < c->issuers.count; i++)
        if (!config_issuer(c, i)->sound)
            return false;
    if (problems->mistakes > before || c->issuers.count == 0)
        return false;
    fault = (struct fault){0};
    return verifier_new(options, c->issuers.count, ret_verifier, &fault) || problems_add_fault(problems, 0, &fault);
}
