/* What the tokens of well-known providers look like, as they document it. A preset fills in what the file does not say. */
#include "app/config_schema.h"

struct preset {
    const char *algorithms[4], *role_claims[4];
    const char *pointer, *value; /* a claim that only access tokens have; or NULL */
    const char *issuer;          /* what an issuer of it looks like */
    bool (*fits)(const char *issuer);
};

static bool ends_with(const char *s, const char *end)
{
    size_t len = strlen(s), n = strlen(end);

    return len > n && strcmp(s + len - n, end) == 0;
}

static bool fits_keycloak(const char *issuer)
{
    return strstr(issuer, "/realms/") && !ends_with(issuer, "/");
}

/* The addresses of all tenants together ("common" and its like) issue tokens of any tenant. */
static bool fits_entra(const char *issuer)
{
    return ends_with(issuer, "/v2.0") && !strstr(issuer, "/common/") && !strstr(issuer, "/organizations/") &&
           !strstr(issuer, "/consumers/") && !strchr(issuer, '{');
}

static bool fits_okta(const char *issuer)
{
    return strstr(issuer, "/oauth2/") && !ends_with(issuer, "/");
}

static bool fits_auth0(const char *issuer)
{
    return ends_with(issuer, "/");
}

static bool fits_google(const char *issuer)
{
    return strcmp(issuer, "https://accounts.google.com") == 0;
}

static const struct preset PRESET_FACTS[PRESET_COUNT] = {
    /* access tokens say typ "Bearer" among their claims, ID tokens "ID", both typ "JWT" in the header */
    [PRESET_KEYCLOAK] = {{"RS256", "ES256", "PS256"},
                         {"/realm_access/roles"},
                         "/typ",
                         "Bearer",
                         "https://HOST/realms/REALM",
                         fits_keycloak},
    [PRESET_ENTRA] =
        {{"RS256"}, {"/roles"}, "/ver", "2.0", "https://login.microsoftonline.com/TENANT-ID/v2.0", fits_entra},
    [PRESET_OKTA] = {{"RS256"}, {"/groups"}, NULL, NULL, "https://HOST/oauth2/SERVER", fits_okta},
    [PRESET_AUTH0] =
        {{"RS256"}, {"/permissions"}, NULL, NULL, "https://TENANT.auth0.com/ with a slash at its end", fits_auth0},
    /* ID tokens: Google's access tokens are opaque */
    [PRESET_GOOGLE] = {{"RS256"}, {"/hd"}, NULL, NULL, "https://accounts.google.com", fits_google},
};

static bool is_given(const struct config_issuer *s, const char *name)
{
    return yaml_find(s->node, name) != NULL;
}

static void add_text(struct config *c, struct id_list *list, const char *text)
{
    const char **items = arena_alloc(&c->arena, (list->count + 2) * sizeof(*items));

    if (list->count > 0)
        memcpy(items, list->items, list->count * sizeof(*items));
    items[list->count] = text;
    list->items = items;
    list->count++;
}

static void fill_list(struct config *c, struct id_list *list, const char *const *texts)
{
    *list = (struct id_list){0};
    for (; *texts; texts++)
        add_text(c, list, *texts);
}

/* RFC 6901 §3 */
static const char *pointer_token(struct config *c, const char *name)
{
    own(text_done) struct text token = {0};

    for (; *name; name++) {
        if (*name == '~' || *name == '/')
            text_append_str(&token, *name == '~' ? "~0" : "~1");
        else
            text_append_char(&token, *name);
    }
    return arena_strndup(&c->arena, token.data ? token.data : "", token.len);
}

/* Keycloak: roles of a client stand apart from those of the realm. */
static void add_client_roles(struct config *c, struct config_issuer *s)
{
    for (size_t i = 0; i < s->audiences.count && s->role_claims.count < 16; i++)
        add_text(c, &s->role_claims,
                 arena_printf(&c->arena, "/resource_access/%s/roles", pointer_token(c, s->audiences.items[i])));
}

/* What the file demands of the same claim goes before what the preset does. */
static void add_demand(struct config *c, struct config_issuer *s, const struct preset *p)
{
    struct role_mapping *items = arena_alloc(&c->arena, (s->require_claims.count + 1) * sizeof(*items));

    for (size_t i = 0; i < s->require_claims.count; i++) {
        items[i] = s->require_claims.items[i];
        if (strcmp(items[i].from, p->pointer) == 0)
            return;
    }
    items[s->require_claims.count] = (struct role_mapping){p->pointer, p->value};
    s->require_claims.items = items;
    s->require_claims.count++;
}

static void apply(struct config *c, struct config_issuer *s, struct problems *problems)
{
    const struct preset *p = &PRESET_FACTS[s->preset];

    if (!is_given(s, "algorithms"))
        fill_list(c, &s->algorithms, p->algorithms);
    if (!is_given(s, "role_claims")) {
        fill_list(c, &s->role_claims, p->role_claims);
        if (s->preset == PRESET_KEYCLOAK)
            add_client_roles(c, s);
    }
    if (p->pointer)
        add_demand(c, s, p);
    if (!is_given(s, "discovery") && !is_given(s, "jwks_uri") && !is_given(s, "jwks_file") && !is_given(s, "pem_file"))
        s->discovery = "true";
    if (s->issuer && !p->fits(s->issuer))
        problems_add(problems, yaml_line(s->node, "issuer"), "issuer: \"%s\" is not what this preset's look like: %s.",
                     s->issuer, p->issuer);
}

void config_apply_presets(struct config *c, struct problems *problems)
{
    for (size_t i = 0; i < c->issuers.count; i++) {
        struct config_issuer *s = (struct config_issuer *)c->issuers.items + i;

        if (s->node && s->preset != PRESET_NONE)
            apply(c, s, problems);
    }
}
