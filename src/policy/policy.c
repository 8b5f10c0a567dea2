/* Snapshots and decisions. */
#include <openssl/evp.h>

#include "bailiff/file.h"
#include "policy/roles.h"

struct policy *policy_ref(struct policy *policy)
{
    __atomic_add_fetch(&policy->references, 1, __ATOMIC_RELAXED);
    return policy;
}

void policy_unref(struct policy *policy)
{
    if (!policy || __atomic_sub_fetch(&policy->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    arena_done(&policy->arena);
    free(policy);
}

static void policy_unrefp(struct policy **policy)
{
    policy_unref(*policy);
}

static int compare_names(const void *a, const void *b)
{
    const struct role *const *left = a, *const *right = b;

    return strcmp((*left)->name, (*right)->name);
}

bool policy_parse(struct span yaml, const char *name, struct policy **ret_policy, struct fault *fault)
{
    own(policy_unrefp) struct policy *policy = xcalloc(1, sizeof(*policy));
    uint8_t digest[EVP_MAX_MD_SIZE];

    policy->references = 1;
    if (yaml.len > POLICY_SIZE_MAX)
        return fault_set(fault, FAULT_INVALID, "%s: a roles file has at most %d bytes.", name, POLICY_SIZE_MAX);
    if (!roles_read(policy, yaml, name, fault) || !roles_resolve(policy, name, fault))
        return false;
    for (size_t i = 0; i < policy->role_count; i++)
        policy->by_name[i] = &policy->roles[i];
    qsort(policy->by_name, policy->role_count, sizeof(policy->by_name[0]), compare_names);
    if (!EVP_Digest(yaml.data, yaml.len, digest, NULL, EVP_sha256(), NULL))
        return fault_internal(fault, "EVP_Digest failed");
    hex_encode(digest, 32, policy->digest);
    *ret_policy = give(policy);
    return true;
}

bool policy_load(const char *path, struct policy **ret_policy, struct fault *fault)
{
    own(text_done) struct text content = {0};

    if (!file_read_trusted(path, POLICY_SIZE_MAX, &content, fault))
        return false;
    return policy_parse(text_span(&content), path, ret_policy, fault);
}

/* ---- decisions ---- */

static const struct role *find(const struct policy *policy, const char *name)
{
    size_t low = 0, high = policy->role_count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, policy->by_name[middle]->name);
        if (order == 0)
            return policy->by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

permission_set policy_role_permissions(const struct policy *policy, const char *role, enum proof proof)
{
    const struct role *found = find(policy, role);

    return found && (unsigned)proof < PROOF_COUNT ? found->given[proof] : 0;
}

permission_set policy_identity_permissions(const struct policy *policy, const struct identity *identity,
                                           enum proof proof)
{
    permission_set permissions = 0;

    for (size_t i = 0; identity && i < identity->role_count; i++)
        permissions |= policy_role_permissions(policy, identity->roles[i], proof);
    return permissions;
}

static enum proof wanted_by(const struct role *role, enum permission p)
{
    unsigned proof = PROOF_TOKEN;

    while (proof < PROOF_COUNT && !(role->given[proof] & PERMISSION_BIT(p)))
        proof++;
    return (enum proof)proof;
}

enum proof policy_role_wants(const struct policy *policy, const char *role, enum permission p)
{
    const struct role *found = find(policy, role);

    return found && (unsigned)p < PERM_COUNT ? wanted_by(found, p) : PROOF_COUNT;
}

/* The first of the caller's roles that grants it with this much proof; else the one that wants the least more, or NULL. */
static const struct role *granting_role(const struct policy *policy, const struct identity *identity,
                                        enum permission needed, enum proof proof, enum proof *ret_wanted)
{
    const struct role *best = NULL;

    *ret_wanted = PROOF_COUNT;
    for (size_t i = 0; i<identity->role_count && * ret_wanted> proof; i++) {
        const struct role *role = find(policy, identity->roles[i]);
        enum proof wanted = role ? wanted_by(role, needed) : PROOF_COUNT;
        if (wanted < *ret_wanted) {
            *ret_wanted = wanted;
            best = role;
        }
    }
    return best;
}

static bool decide_by_roles(const struct policy *policy, const struct identity *identity, enum proof proof,
                            enum permission needed, struct decision *ret)
{
    enum proof wanted;
    const struct role *role = granting_role(policy, identity, needed, proof, &wanted);

    ret->role = role ? role->name : NULL;
    ret->reason = !role                         ? "no role grants it"
                  : wanted <= proof             ? "granted"
                  : wanted == PROOF_CERTIFICATE ? "the role needs a client certificate"
                                                : "the role needs a token bound to the client certificate";
    if (role && wanted > proof)
        ret->wanting = wanted;
    return role && wanted <= proof;
}

static bool decide(const struct policy *policy, const struct identity *identity, enum proof proof,
                   enum permission needed, struct decision *ret)
{
    if (needed == PERM_PUBLIC) {
        ret->reason = "public";
        return true;
    }
    if (needed == PERM_NONE || (unsigned)needed >= PERM_COUNT) {
        ret->reason = "nobody may do this"; /* a route without a permission: administrators included */
        return false;
    }
    if (!identity) {
        ret->reason = "not authenticated";
        return false;
    }
    if (needed == PERM_ANY) {
        ret->reason = "authenticated";
        return true;
    }
    return decide_by_roles(policy, identity, proof, needed, ret);
}

void policy_decide(const struct policy *policy, const struct identity *identity, enum proof proof,
                   enum permission needed, struct decision *ret_decision, struct scope *ret_scope)
{
    *ret_decision = (struct decision){.permission = needed};
    ret_decision->allowed = decide(policy, identity, proof, needed, ret_decision);
    ret_scope->everything = ret_decision->allowed;
}

void policy_roles_granting(const struct policy *policy, enum permission p, struct text *out)
{
    const char *blank = "";

    if (p <= PERM_ANY || p >= PERM_COUNT)
        return;
    for (size_t i = 0; i < policy->role_count; i++) {
        if (policy->roles[i].given[PROOF_COUNT - 1] & PERMISSION_BIT(p)) {
            text_append_str(out, blank);
            text_append_str(out, policy->roles[i].name);
            blank = " ";
        }
    }
}

size_t policy_role_count(const struct policy *policy)
{
    return policy->role_count;
}

const char *policy_role_name(const struct policy *policy, size_t index)
{
    return index < policy->role_count ? policy->roles[index].name : NULL;
}

enum proof policy_role_requires(const struct policy *policy, size_t index, unsigned *ret_line)
{
    if (index >= policy->role_count)
        return PROOF_TOKEN;
    *ret_line = policy->roles[index].line;
    return policy->roles[index].require;
}

const char *policy_digest(const struct policy *policy)
{
    return policy->digest;
}
