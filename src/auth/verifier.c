/* The verifier: all issuers and keys of one configuration, and the order in which a token is judged.
 *
 * What is cheap comes first: no signature is computed for a token that is malformed, of an unknown issuer or key,
 * expired, or not meant for us. That is safe, for a forger learns nothing from what he wrote himself, and no identity
 * leaves this file before its signature was found good. */
#include "auth/verifier.h"

#include "auth/claims.h"
#include "auth/jws.h"
#include "auth/refusal.h"

enum { ISSUERS_MAX = 64 };

struct verifier {
    unsigned references; /* atomic */
    size_t count;
    struct issuer issuers[];
};

static void verifier_unrefp(struct verifier **v)
{
    verifier_unref(*v);
}

size_t verifier_issuer_count(const struct verifier *v)
{
    return v->count;
}

const char *verifier_issuer_name(const struct verifier *v, size_t index)
{
    return v->issuers[index].name;
}

struct verifier *verifier_ref(struct verifier *v)
{
    __atomic_add_fetch(&v->references, 1, __ATOMIC_RELAXED);
    return v;
}

void verifier_unref(struct verifier *v)
{
    if (!v || __atomic_sub_fetch(&v->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < v->count; i++)
        issuer_done(&v->issuers[i]);
    free(v);
}

static const struct issuer *find_issuer(const struct verifier *v, const char *name)
{
    for (size_t i = 0; i < v->count; i++)
        if (strcmp(v->issuers[i].name, name) == 0)
            return &v->issuers[i];
    return NULL;
}

bool verifier_new(const struct issuer_options *issuers, size_t count, struct verifier **ret_verifier,
                  struct fault *fault)
{
    if (count == 0)
        return fault_set(fault, FAULT_INVALID, "issuers is empty: nobody could sign in; name at least one issuer.");
    if (count > ISSUERS_MAX)
        return fault_set(fault, FAULT_INVALID, "issuers: at most %d are accepted.", ISSUERS_MAX);
    own(verifier_unrefp) struct verifier *v = xcalloc(1, sizeof(*v) + count * sizeof(v->issuers[0]));
    v->references = 1;
    for (size_t i = 0; i < count; i++) {
        const char *where = issuers[i].where ? issuers[i].where : "issuers";
        if (issuers[i].issuer && find_issuer(v, issuers[i].issuer))
            return fault_set(fault, FAULT_INVALID, "%s: issuer %s is there twice; put its keys into one JWKS.", where,
                             issuers[i].issuer);
        if (!issuer_init(&v->issuers[i], &issuers[i], fault))
            return false;
        v->count++;
    }
    *ret_verifier = give(v);
    return true;
}

/* The issuer that the token names: not believed yet, only good for choosing among keys. */
static bool issuer_of(const struct verifier *v, const json_t *claims, const struct issuer **ret_issuer,
                      struct fault *fault)
{
    const json_t *name = json_object_get(claims, "iss");

    if (!json_is_string(name))
        return refuse(fault, REFUSED_NO_ISSUER);
    const struct issuer *issuer = find_issuer(v, json_string_value(name));
    if (!issuer)
        return refuse(fault, REFUSED_ISSUER);
    *ret_issuer = issuer;
    return true;
}

bool verifier_judge(const struct verifier *v, struct span token, int64_t now_s, struct identity **ret_identity,
                    int64_t *ret_good_until_s, struct fault *fault)
{
    own(jws_done) struct jws jws = {0};
    own(identity_unrefp) struct identity *identity = NULL;
    const struct issuer *issuer = NULL;
    const struct key *key = NULL;

    if (!jws_read(token, &jws, fault) || !issuer_of(v, jws.claims, &issuer, fault) ||
        !issuer_find_key(issuer, jws.algorithm, jws.key_id, &key, fault) ||
        !claims_judge(issuer, jws.claims, jws.type, now_s, fault))
        return false;
    if (!key_verify(key, jws.input, (struct span){(const char *)jws.signature, jws.signature_len}))
        return refuse(fault, REFUSED_SIGNATURE);
    if (!claims_identity(issuer, jws.claims, &identity, fault))
        return false;
    identity->good_until_s = *ret_good_until_s = identity->expires_at_s + issuer->leeway_s;
    *ret_identity = give(identity);
    return true;
}

bool verifier_check(const struct verifier *v, struct span token, int64_t now_s, struct identity **ret_identity,
                    struct fault *fault)
{
    int64_t ignored;

    return verifier_judge(v, token, now_s, ret_identity, &ignored, fault);
}
