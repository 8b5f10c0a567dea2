/* The verifier: all issuers and keys of one configuration, and the order in which a token is judged.
 *
 * What is cheap comes first: no signature is computed for a token that is malformed, of an unknown issuer or key,
 * expired, or not meant for us. That is safe, for a forger learns nothing from what he wrote himself, and no identity
 * leaves this file before its signature was found good. */
#include "auth/verifier.h"

#include <openssl/crypto.h>

#include "auth/claims.h"
#include "auth/jws.h"
#include "auth/refusal.h"

enum { ISSUERS_MAX = 64 };

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
    return v->items[index].issuer->name;
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
    for (size_t i = 0; i < v->count; i++) {
        issuer_unref(v->items[i].issuer);
        key_bundle_unref(v->items[i].keys);
    }
    free(v);
}

static const struct trusted *find_issuer(const struct verifier *v, const char *name)
{
    for (size_t i = 0; i < v->count; i++)
        if (strcmp(v->items[i].issuer->name, name) == 0)
            return &v->items[i];
    return NULL;
}

static struct verifier *verifier_alloc(size_t count)
{
    struct verifier *v = xcalloc(1, sizeof(*v) + count * sizeof(v->items[0]));

    v->references = 1;
    return v;
}

struct verifier *verifier_copy(const struct verifier *v)
{
    struct verifier *copy = verifier_alloc(v->count);

    for (; copy->count < v->count; copy->count++)
        copy->items[copy->count] =
            (struct trusted){issuer_ref(v->items[copy->count].issuer), key_bundle_ref(v->items[copy->count].keys)};
    return copy;
}

bool verifier_new(const struct issuer_options *issuers, size_t count, struct verifier **ret_verifier,
                  struct fault *fault)
{
    if (count == 0)
        return fault_set(fault, FAULT_INVALID, "issuers is empty: nobody could sign in; name at least one issuer.");
    if (count > ISSUERS_MAX)
        return fault_set(fault, FAULT_INVALID, "issuers: at most %d are accepted.", ISSUERS_MAX);
    own(verifier_unrefp) struct verifier *v = verifier_alloc(count);
    for (size_t i = 0; i < count; i++) {
        const char *where = issuers[i].where ? issuers[i].where : "issuers";
        if (issuers[i].issuer && find_issuer(v, issuers[i].issuer))
            return fault_set(fault, FAULT_INVALID, "%s: issuer %s is there twice; put its keys into one JWKS.", where,
                             issuers[i].issuer);
        if (!issuer_new(&issuers[i], &v->items[i].issuer, &v->items[i].keys, fault))
            return false;
        v->count++;
    }
    *ret_verifier = give(v);
    return true;
}

/* The issuer that the token names: not believed yet, only good for choosing among keys. */
static bool issuer_of(const struct verifier *v, const struct value *claims, const struct trusted **ret_trusted,
                      struct fault *fault)
{
    const char *name = value_text(value_member(claims, SPAN("iss")));

    if (!name)
        return refuse(fault, REFUSED_NO_ISSUER);
    const struct trusted *trusted = find_issuer(v, name);
    if (!trusted)
        return refuse(fault, REFUSED_ISSUER);
    *ret_trusted = trusted;
    return true;
}

static bool key_of(const struct trusted *trusted, const struct jws *jws, int64_t now_s, const struct key **ret_key,
                   struct fault *fault)
{
    if (!trusted->keys)
        return refuse(fault, REFUSED_NO_KEYS);
    if (now_s >= key_bundle_good_until(trusted->keys))
        return refuse(fault, REFUSED_STALE_KEYS);
    return key_bundle_find(trusted->keys, jws->algorithm, jws->key_id, ret_key, fault);
}

static bool is_signed(const struct key *key, const struct jws *jws, const struct bench_of_cache *bench,
                      struct fault *fault)
{
    struct span signature = {(const char *)jws->signature, jws->signature_len};

    return bench ? key_bench_verify(bench->keys, key, bench->sha256, jws->input, signature, fault)
                 : key_verify(key, jws->input, signature, fault);
}

bool verifier_judge(const struct verifier *v, struct span token, const struct bench_of_cache *bench, int64_t now_s,
                    struct judgement *ret, struct fault *fault)
{
    struct jws jws;
    own(identity_unrefp) struct identity *identity = NULL;
    const struct trusted *trusted = NULL;
    const struct key *key = NULL;

    if (!jws_read(token, &jws, fault) || !issuer_of(v, jws.claims, &trusted, fault) ||
        !key_of(trusted, &jws, now_s, &key, fault) ||
        !claims_judge(trusted->issuer, jws.claims, jws.type, now_s, fault))
        return false;
    if (!is_signed(key, &jws, bench, fault))
        return false;
    if (!claims_identity(trusted->issuer, jws.claims, &identity, fault))
        return false;
    identity->good_until_s = identity->expires_at_s + trusted->issuer->leeway_s;
    *ret = (struct judgement){
        .good_until_s = identity->good_until_s,
        .keys = trusted->keys,
    };
    ret->identity = give(identity);
    return true;
}

bool binding_holds(const struct identity *identity, const struct certificate *presented, struct fault *fault)
{
    if (!identity->bound)
        return true;
    if (!presented)
        return refuse(fault, REFUSED_NO_CERTIFICATE);
    return CRYPTO_memcmp(identity->bound_to, presented->digest, CERTIFICATE_DIGEST_SIZE) == 0 ||
           refuse(fault, REFUSED_OTHER_CERTIFICATE);
}

bool verifier_check(const struct verifier *v, struct span token, const struct certificate *presented, int64_t now_s,
                    struct identity **ret_identity, struct fault *fault)
{
    struct judgement judgement;

    if (!verifier_judge(v, token, NULL, now_s, &judgement, fault))
        return false;
    own(identity_unrefp) struct identity *identity = judgement.identity;
    if (!binding_holds(identity, presented, fault))
        return false;
    *ret_identity = give(identity);
    return true;
}

/* Claims that would be refused anyway are worth no fetch. */
const char *verifier_missing_key(const struct verifier *v, struct span token, int64_t now_s)
{
    struct jws jws;
    const struct trusted *trusted = NULL;

    if (!jws_read(token, &jws, NULL) || !issuer_of(v, jws.claims, &trusted, NULL) || !trusted->issuer->fetched ||
        !claims_judge(trusted->issuer, jws.claims, jws.type, now_s, NULL))
        return NULL;
    if (!trusted->keys || now_s >= key_bundle_good_until(trusted->keys))
        return trusted->issuer->name;
    for (size_t i = 0; jws.key_id && i < trusted->keys->set.count; i++)
        if (str_eq(trusted->keys->set.items[i].id, jws.key_id))
            return NULL; /* known: it was refused for another reason */
    return jws.key_id ? trusted->issuer->name : NULL;
}
