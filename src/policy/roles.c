/* policies/roles.yaml into roles: every key, permission and role is known, and stands once. */
#include "policy/roles.h"
#include "policy/yaml.h"

/* every real one: not none, public or any */
#define X(name, text, help) | PERMISSION_BIT(name)
static const permission_set EVERY_PERMISSION = 0 PERMISSIONS(X);
#undef X

struct reader {
    struct policy *policy;
    struct yaml yaml;
    struct fault *fault;
};

#define refuse(r, at, format, ...) \
    fault_set((r)->fault, FAULT_INVALID, "%s:%u: " format, (r)->yaml.name, (at), ##__VA_ARGS__)

static void reader_done(struct reader *r)
{
    yaml_done(&r->yaml);
}

static bool next(struct reader *r)
{
    return yaml_next(&r->yaml, r->fault);
}

/* A word of the file as a message may show it: short, and without what could steer a terminal. */
static char *shown(struct reader *r, struct span word)
{
    bool cut = word.len > ROLE_NAME_MAX;
    char *s = arena_strndup(&r->policy->arena, word.data, cut ? ROLE_NAME_MAX : word.len);

    for (char *c = s; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f || (cut && (unsigned char)*c >= 0x80))
            *c = '?';
    return cut ? arena_printf(&r->policy->arena, "%s...", s) : s;
}

static bool expect(struct reader *r, enum yaml_kind kind, const char *what, const char *wanted)
{
    if (!next(r))
        return false;
    if (r->yaml.kind == kind)
        return true;
    return refuse(r, r->yaml.line, "%s must be %s.", what, wanted);
}

static const char *did_you_mean(struct reader *r, const char *word, const char *const *names, size_t count)
{
    const char *near = text_nearest(word, names, count);

    return near ? arena_printf(&r->policy->arena, "; did you mean %s?", near) : "";
}

/* A map's next key as an index into names; count at the map's end. Unknown keys and second ones are refused. */
static bool next_key(struct reader *r, const char *const *names, size_t count, unsigned *seen, size_t *ret_key)
{
    size_t i;

    if (!next(r))
        return false;
    if (r->yaml.kind == YAML_MAP_END) {
        *ret_key = count;
        return true;
    }
    if (r->yaml.kind != YAML_SCALAR)
        return refuse(r, r->yaml.line, "a key must be a word.");
    for (i = 0; i < count && !span_is(r->yaml.text, names[i]); i++)
        ;
    if (i == count) {
        const char *word = shown(r, r->yaml.text);
        const char *hint = did_you_mean(r, word, names, count);
        return refuse(r, r->yaml.line, "unknown key %s%s", word, hint[0] ? hint : "; take it away.");
    }
    if (*seen & 1u << i)
        return refuse(r, r->yaml.line, "%s stands here a second time; keep one.", names[i]);
    *seen |= 1u << i;
    *ret_key = i;
    return true;
}

static bool role_name_valid(struct span s)
{
    if (s.len == 0 || s.len > ROLE_NAME_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("_.:-", c))))
            return false;
    }
    return true;
}

/* ---- a role ---- */

static bool read_permission(struct reader *r, struct role *role, bool *everything)
{
    const char *names[PERM_COUNT];
    enum permission permission;
    const char *word = shown(r, r->yaml.text);

    if (*everything || (span_is(r->yaml.text, "*") && role->permissions))
        return refuse(r, r->yaml.line, "\"*\" is every permission and stands alone; take the others away.");
    if (span_is(r->yaml.text, "*")) {
        *everything = true;
        role->permissions = EVERY_PERMISSION;
        return true;
    }
    if (!permission_parse(word, &permission)) {
        size_t count = 0;
        for (unsigned p = PERM_ANY + 1; p < PERM_COUNT; p++)
            names[count++] = permission_name((enum permission)p);
        const char *hint = did_you_mean(r, word, names, count);
        return refuse(r, r->yaml.line, "role %s: unknown permission %s%s", role->name, word,
                      hint[0] ? hint : "; `bailiff policy permissions` lists all there are.");
    }
    if (role->permissions & PERMISSION_BIT(permission))
        return refuse(r, r->yaml.line, "role %s: %s stands here a second time; keep one.", role->name, word);
    role->permissions |= PERMISSION_BIT(permission);
    return true;
}

static bool read_permissions(struct reader *r, struct role *role)
{
    bool everything = false;

    if (!expect(r, YAML_LIST, "permissions", "a list, such as [tasks:read]"))
        return false;
    for (;;) {
        if (!next(r))
            return false;
        if (r->yaml.kind == YAML_LIST_END)
            return true;
        if (r->yaml.kind != YAML_SCALAR)
            return refuse(r, r->yaml.line, "role %s: a permission must be a word.", role->name);
        if (!read_permission(r, role, &everything))
            return false;
    }
}

static bool read_includes(struct reader *r, struct role *role)
{
    struct include **last = &role->includes;

    if (!expect(r, YAML_LIST, "includes", "a list of roles, such as [TAIPY_READER]"))
        return false;
    for (;;) {
        if (!next(r))
            return false;
        if (r->yaml.kind == YAML_LIST_END)
            return true;
        if (r->yaml.kind != YAML_SCALAR || !role_name_valid(r->yaml.text))
            return refuse(r, r->yaml.line, "role %s: includes must name roles.", role->name);
        for (struct include *i = role->includes; i; i = i->next)
            if (span_is(r->yaml.text, i->role))
                return refuse(r, r->yaml.line, "role %s: %s is included a second time; keep one.", role->name, i->role);
        struct include *include = arena_alloc(&r->policy->arena, sizeof(*include));
        include->role = arena_strndup(&r->policy->arena, r->yaml.text.data, r->yaml.text.len);
        include->line = r->yaml.line;
        *last = include;
        last = &include->next;
    }
}

static bool read_require(struct reader *r, struct role *role)
{
    const char *names[PROOF_COUNT];

    if (!expect(r, YAML_SCALAR, "require", "client_certificate or certificate_bound_token"))
        return false;
    if (proof_parse(r->yaml.text, &role->require) && role->require != PROOF_TOKEN)
        return true;
    for (unsigned p = PROOF_TOKEN + 1; p < PROOF_COUNT; p++)
        names[p - 1] = proof_name((enum proof)p);
    const char *word = shown(r, r->yaml.text);
    const char *hint = did_you_mean(r, word, names, PROOF_COUNT - 1);
    return refuse(r, r->yaml.line, "role %s: require: %s is not known%s", role->name, word,
                  hint[0] ? hint : "; there are client_certificate and certificate_bound_token.");
}

static bool read_role(struct reader *r, struct role *role)
{
    static const char *const KEYS[] = {"description", "includes", "permissions", "require"};
    unsigned seen = 0;
    size_t key = 0;

    if (!expect(r, YAML_MAP, "a role", "a map with description, includes and permissions"))
        return false;
    for (;;) {
        if (!next_key(r, KEYS, ARRAY_LEN(KEYS), &seen, &key))
            return false;
        switch (key) {
        case 0:
            if (!expect(r, YAML_SCALAR, "description", "text"))
                return false;
            break;
        case 1:
            if (!read_includes(r, role))
                return false;
            break;
        case 2:
            if (!read_permissions(r, role))
                return false;
            break;
        case 3:
            if (!read_require(r, role))
                return false;
            break;
        default:
            if (!role->includes && !role->permissions)
                return refuse(r, role->line, "role %s grants nothing; give it permissions or includes.", role->name);
            return true;
        }
    }
}

/* ---- the file ---- */

static bool read_roles(struct reader *r)
{
    struct policy *policy = r->policy;

    if (!expect(r, YAML_MAP, "roles", "a map of role names"))
        return false;
    for (;;) {
        if (!next(r))
            return false;
        if (r->yaml.kind == YAML_MAP_END)
            break;
        if (r->yaml.kind != YAML_SCALAR || !role_name_valid(r->yaml.text))
            return refuse(r, r->yaml.line, "a role's name has 1 to %d of the characters A-Z a-z 0-9 _ . : -",
                          ROLE_NAME_MAX);
        for (size_t i = 0; i < policy->role_count; i++)
            if (span_is(r->yaml.text, policy->roles[i].name))
                return refuse(r, r->yaml.line, "role %s is defined twice; it stands in line %u already.",
                              policy->roles[i].name, policy->roles[i].line);
        if (policy->role_count == ROLES_MAX)
            return refuse(r, r->yaml.line, "more than %d roles.", ROLES_MAX);
        struct role *role = &policy->roles[policy->role_count++];
        role->name = arena_strndup(&policy->arena, r->yaml.text.data, r->yaml.text.len);
        role->line = r->yaml.line;
        if (!read_role(r, role))
            return false;
    }
    return policy->role_count > 0 || refuse(r, r->yaml.line, "no role is defined; nobody could do anything.");
}

static bool read_version(struct reader *r)
{
    if (!expect(r, YAML_SCALAR, "version", "1"))
        return false;
    return span_is(r->yaml.text, "1") || refuse(r, r->yaml.line, "version must be 1.");
}

bool roles_read(struct policy *policy, struct span yaml, const char *name, struct fault *fault)
{
    static const char *const KEYS[] = {"version", "roles"};
    own(reader_done) struct reader r = {.policy = policy, .fault = fault};
    unsigned seen = 0;
    size_t key = 0;

    if (!yaml_begin(&r.yaml, yaml, name, fault) || !expect(&r, YAML_MAP, "the file", "a map with version and roles"))
        return false;
    while (key != ARRAY_LEN(KEYS)) {
        if (!next_key(&r, KEYS, ARRAY_LEN(KEYS), &seen, &key))
            return false;
        if ((key == 0 && !read_version(&r)) || (key == 1 && !read_roles(&r)))
            return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(KEYS); i++)
        if (!(seen & 1u << i))
            return refuse(&r, 1u, "the key %s is missing.", KEYS[i]);
    return next(&r); /* to the end: a second document is refused */
}

/* ---- includes ---- */

static struct role *find(struct policy *policy, const char *name)
{
    for (size_t i = 0; i < policy->role_count; i++)
        if (strcmp(policy->roles[i].name, name) == 0)
            return &policy->roles[i];
    return NULL;
}

static bool fault_unknown_role(struct policy *policy, const char *file, const struct role *role,
                               const struct include *include, struct fault *fault)
{
    const char *names[ROLES_MAX];
    const char *near;

    for (size_t i = 0; i < policy->role_count; i++)
        names[i] = policy->roles[i].name;
    near = text_nearest(include->role, names, policy->role_count);
    return fault_set(fault, FAULT_INVALID, "%s:%u: role %s includes %s, which is not defined%s%s%s", file,
                     include->line, role->name, include->role, near ? "; did you mean " : "", near ? near : "",
                     near ? "?" : ".");
}

/* Recurses at most once a role. */
static bool resolve(struct policy *policy, struct role *role, const char *file, struct fault *fault)
{
    if (role->state == ROLE_RESOLVED)
        return true;
    role->state = ROLE_RESOLVING;
    for (unsigned p = role->require; p < PROOF_COUNT; p++)
        role->given[p] = role->permissions;
    for (const struct include *include = role->includes; include; include = include->next) {
        struct role *other = find(policy, include->role);
        if (!other)
            return fault_unknown_role(policy, file, role, include, fault);
        if (other == role)
            return fault_set(fault, FAULT_INVALID, "%s:%u: role %s includes itself; take that away.", file,
                             include->line, role->name);
        if (other->state == ROLE_RESOLVING)
            return fault_set(fault, FAULT_INVALID,
                             "%s:%u: role %s includes %s, which includes %s in turn; take one of the two away.", file,
                             include->line, role->name, other->name, role->name);
        if (!resolve(policy, other, file, fault))
            return false;
        for (unsigned p = role->require; p < PROOF_COUNT; p++)
            role->given[p] |= other->given[p];
    }
    role->state = ROLE_RESOLVED;
    return true;
}

bool roles_resolve(struct policy *policy, const char *name, struct fault *fault)
{
    for (size_t i = 0; i < policy->role_count; i++)
        if (!resolve(policy, &policy->roles[i], name, fault))
            return false;
    return true;
}
