/* Role names of a token into roles of ours.
 *
 * Every name of every claim goes the same way: without the prefix it belongs to somebody else; with a mapping only what
 * is mapped counts; what could not be one of our role names is dropped. */
#include "auth/claims.h"
#include "auth/plain.h"
#include "auth/refusal.h"

struct role_bag {
    const struct issuer *issuer;
    char **roles;
    size_t count, cap;
    unsigned seen; /* names looked at, wanted or not */
};

static void bag_done(struct role_bag *bag)
{
    for (size_t i = 0; i < bag->count; i++)
        free(bag->roles[i]);
    free(bag->roles);
}

static void bag_put(struct role_bag *bag, char *role)
{
    if (bag->count == bag->cap) {
        bag->cap = bag->cap ? 2 * bag->cap : 8;
        bag->roles = xrealloc(bag->roles, bag->cap * sizeof(*bag->roles));
    }
    bag->roles[bag->count++] = role;
}

static void put_name(struct role_bag *bag, struct span name)
{
    const struct issuer *issuer = bag->issuer;
    struct span prefix = span_of(issuer->role_prefix);

    if (prefix.len > 0) {
        if (name.len <= prefix.len || memcmp(name.data, prefix.data, prefix.len) != 0)
            return;
        name.data += prefix.len;
        name.len -= prefix.len;
    }
    if (issuer->role_map_count == 0) {
        if (name.len <= ROLE_MAX_BYTES && text_is_visible_ascii(name))
            bag_put(bag, xstrndup(name.data, name.len));
        return;
    }
    for (size_t i = 0; i < issuer->role_map_count; i++)
        if (span_is(name, issuer->role_map[i].from))
            bag_put(bag, xstrdup(issuer->role_map[i].to));
}

static bool take_name(struct role_bag *bag, struct span name, struct fault *fault)
{
    if (++bag->seen > bag->issuer->roles_max)
        return refuse(fault, REFUSED_ROLE_COUNT);
    put_name(bag, name);
    return true;
}

/* As in "scope" (RFC 6749 §3.3): names with spaces between them. */
static bool take_words(struct role_bag *bag, struct span words, struct fault *fault)
{
    struct span name;

    while (span_cut(&words, ' ', &name))
        if (name.len > 0 && !take_name(bag, name, fault))
            return false;
    return true;
}

static bool take_claim(struct role_bag *bag, const struct value *claim, struct fault *fault)
{
    if (claim->type == VALUE_STRING)
        return take_words(bag, claim->text, fault);
    if (claim->type != VALUE_ARRAY)
        return refuse(fault, REFUSED_ROLES);
    for (const struct value *item = claim->first; item; item = item->next) {
        if (item->type != VALUE_STRING)
            return refuse(fault, REFUSED_ROLES);
        if (!take_name(bag, item->text, fault))
            return false;
    }
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_unique(struct role_bag *bag)
{
    size_t kept = 0;

    if (bag->count == 0)
        return;
    qsort(bag->roles, bag->count, sizeof(*bag->roles), compare_names);
    for (size_t i = 1; i < bag->count; i++) {
        if (strcmp(bag->roles[kept], bag->roles[i]) == 0)
            free(bag->roles[i]);
        else
            bag->roles[++kept] = bag->roles[i];
    }
    bag->count = kept + 1;
}

bool claims_roles(const struct issuer *issuer, const struct value *claims, struct identity *identity,
                  struct fault *fault)
{
    own(bag_done) struct role_bag bag = {.issuer = issuer};

    for (size_t i = 0; i < issuer->role_claims.count; i++) {
        const struct value *claim = value_at(claims, issuer->role_claims.items[i]);
        if (claim && !take_claim(&bag, claim, fault))
            return false;
    }
    sort_unique(&bag);
    identity->roles = bag.roles;
    identity->role_count = bag.count;
    bag = (struct role_bag){0};
    return true;
}
