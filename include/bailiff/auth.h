/* Bearer tokens: who may issue them, with which keys, and whether one is good.
 *
 * A verifier is an immutable, counted snapshot of all issuers and their parsed keys. Verification is our own strict
 * reader of JWS compact serialization (RFC 7515, RFC 7519, RFC 8725) over OpenSSL EVP: the algorithm, and the curve, is
 * pinned by the key, never by the token. libjwt only issues. */
#ifndef BAILIFF_AUTH_H
#define BAILIFF_AUTH_H

#include "bailiff/fault.h"
#include "bailiff/model.h"

/* X(enum name, JWA name): RFC 7518, RFC 8037 */
#define JWT_ALGORITHMS(X) \
    X(ALG_RS256, "RS256") \
    X(ALG_RS384, "RS384") \
    X(ALG_RS512, "RS512") \
    X(ALG_PS256, "PS256") \
    X(ALG_PS384, "PS384") \
    X(ALG_PS512, "PS512") \
    X(ALG_ES256, "ES256") \
    X(ALG_ES384, "ES384") \
    X(ALG_ES512, "ES512") X(ALG_EDDSA, "EdDSA") X(ALG_HS256, "HS256") X(ALG_HS384, "HS384") X(ALG_HS512, "HS512")
#define X(name, wire) name,
enum jwt_algorithm { JWT_ALGORITHMS(X) ALG_COUNT };
#undef X
const char *jwt_algorithm_name(enum jwt_algorithm a);
must_check bool jwt_algorithm_parse(struct span s, enum jwt_algorithm *ret);

enum token_profile {
    TOKEN_PROFILE_JWT,    /* typ absent, "JWT" or "at+jwt" (or with application/) */
    TOKEN_PROFILE_AT_JWT, /* RFC 9068: typ must be at+jwt or application/at+jwt */
};

struct role_mapping {
    const char *from, *to; /* the provider's name, ours */
};

struct issuer_options {           /* strings stay with the caller during verifier_new only */
    const char *issuer;           /* exact value of iss */
    const char *const *audiences; /* at least one; a token must name one of them */
    size_t audience_count;
    const char *jwks_file, *pem_file, *secret_file; /* exactly one; public keys or, for HS, a secret */
    /* Required for RSA keys (which fit six) and secrets that do not name theirs, unless `algorithms` leaves one. */
    const char *algorithm;
    const char *key_id;            /* kid of the PEM key or secret; NULL: any kid fits */
    const char *const *algorithms; /* allowed; none: every one that its keys pin */
    size_t algorithm_count;
    enum token_profile profile;
    const char *const *role_claims; /* JSON pointers; arrays of strings or space-separated strings; none: "/roles" */
    size_t role_claim_count;
    const struct role_mapping *role_map; /* none: names that are ours pass as they are */
    size_t role_map_count;
    const char *role_prefix; /* taken off before mapping; names without it are not for us and are dropped; NULL: none */
    unsigned roles_max;      /* more roles than this refuse the token; 0: 64 */
    unsigned leeway_s;       /* for exp, nbf, iat; at most 300 */
    unsigned lifetime_max_s; /* exp - iat; 0: 86400 */
    bool require_token_use;  /* our own issuer: token_use must be "access" */
    const char *where;       /* "bailiff.yaml:31": for faults */
};

enum { TOKEN_SIZE_MAX = 16384 };

struct verifier;
/* Reads and parses all keys. A key that is weak, malformed or of wrong use refuses to start; a JWKS may hold others. */
must_check bool verifier_new(const struct issuer_options *issuers, size_t count, struct verifier **ret_verifier,
                             struct fault *fault);
/* The issuers' names (iss), in the order in which they were given. They belong to the verifier. */
size_t verifier_issuer_count(const struct verifier *v);
const char *verifier_issuer_name(const struct verifier *v, size_t index);
struct verifier *verifier_ref(struct verifier *v); /* any thread */
void verifier_unref(struct verifier *v);           /* NULL ok */

/* Judges a token. On refusal the fault is UNAUTHENTICATED, its message an error_description for the client (RFC 6750 §3:
 * no quotes, no backslash), its detail a short stable reason for log and audit ("expired", "bad signature", "unknown
 * key" …: all of them are in src/auth/refusal.h). now_s is wall-clock time. Any thread. */
must_check bool verifier_check(const struct verifier *v, struct span token, int64_t now_s,
                               struct identity **ret_identity, struct fault *fault);

/* Verified tokens, by the digest of what was signed; the very same signature is answered from memory, another one is
 * verified and leads to the same identity. At most `capacity` tokens (but at least 8), the longest unused go first; one
 * per loop, no locks. An entry lives until its token expires (with leeway), and only for the verifier that made it,
 * which the cache keeps alive. */
struct token_cache;
struct token_cache *token_cache_new(size_t capacity);
void token_cache_free(struct token_cache *c); /* NULL ok */
/* verifier_check with memory in front of it. */
must_check bool token_cache_check(struct token_cache *c, const struct verifier *v, struct span token, int64_t now_s,
                                  struct identity **ret_identity, struct fault *fault);

/* ---- issuing (libjwt), for development and service accounts ---- */
struct token_request {
    const char *issuer, *audience, *subject;
    const char *const *roles;
    size_t role_count;
    unsigned ttl_s;
    const char *key_file; /* PEM private key (RSA ≥ 2048, EC P-256/384/521) or secret; must not be readable by others */
    const char *algorithm; /* NULL: from the key: RS256, ES256/384/512; required for a secret */
    const char *key_id;    /* NULL: RFC 7638 thumbprint of the public key; none for a secret */
};
/* iss, aud, sub, iat, exp, jti, roles, token_use=access; INVALID says what is wrong with the request. */
must_check bool token_issue(const struct token_request *request, int64_t now_s, char **ret_token, struct fault *fault);
/* Makes an EC P-256 key pair: private PEM (0600) and JWKS with the public key (0644). Refuses to overwrite either. */
must_check bool token_key_generate(const char *private_file, const char *jwks_file, struct fault *fault);

#endif
