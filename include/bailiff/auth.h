/* Bearer tokens: who may issue them, with which keys, and whether one is good.
 *
 * A verifier is an immutable, counted snapshot of all issuers and their parsed keys. Verification is our own strict
 * reader of JWS compact serialization (RFC 7515, RFC 7519, RFC 8725) over OpenSSL EVP: the algorithm, and the curve, is
 * pinned by the key, never by the token. libjwt only issues. */
#ifndef BAILIFF_AUTH_H
#define BAILIFF_AUTH_H

#include "bailiff/fault.h"
#include "bailiff/log.h"
#include "bailiff/model.h"
#include "bailiff/ticket.h"

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

struct claim_rule {
    const char *pointer, *value; /* JSON pointer; the string that must stand there, exactly */
};

/* Keys that the provider publishes, fetched by a keyring (see below). All times in seconds; 0: the default. */
struct key_fetch_options {
    const char *discovery_url; /* of an OpenID provider's metadata, which names the JWKS; or … */
    const char *jwks_uri;      /* … of the JWKS itself. Both https; both NULL: nothing is fetched */
    const char *ca_file;       /* PEM: these CAs are believed, and no others; NULL: the system's */
    const char *proxy;         /* "http://host:port"; NULL: none, whatever the environment says */
    unsigned refresh_max_s;    /* longest time between two fetches, whatever Cache-Control says; 3600 */
    unsigned stale_max_s;      /* how long keys are good after the last fetch that succeeded; 86400 */
    unsigned refetch_s;        /* shortest time between two fetches for the sake of unknown keys; 30 */
};

struct issuer_options {           /* strings stay with the caller during verifier_new only */
    const char *issuer;           /* exact value of iss */
    const char *const *audiences; /* at least one; a token must name one of them */
    size_t audience_count;
    const char *jwks_file, *pem_file, *secret_file; /* public keys or, for HS, a secret: exactly one of these … */
    struct key_fetch_options fetch;                 /* … or keys that are fetched */
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
    const struct claim_rule *require_claims; /* all of them */
    size_t require_claim_count;
    const char *where; /* "bailiff.yaml:31": for faults */
};

enum { TOKEN_SIZE_MAX = 16384 };

struct verifier;
/* Reads and parses all keys. A key that is weak, malformed or of wrong use refuses to start; a JWKS may hold others. Issuers whose
 * keys are fetched have none yet: keyring_equip gives them what there is. */
must_check bool verifier_new(const struct issuer_options *issuers, size_t count, struct verifier **ret_verifier,
                             struct fault *fault);
/* The issuers' names (iss), in the order in which they were given. They belong to the verifier. */
size_t verifier_issuer_count(const struct verifier *v);
const char *verifier_issuer_name(const struct verifier *v, size_t index);
struct verifier *verifier_ref(struct verifier *v); /* any thread */
void verifier_unref(struct verifier *v);           /* NULL ok */

/* Judges a token. On refusal the fault is UNAUTHENTICATED, its message an error_description for the client (RFC 6750 §3:
 * no quotes, no backslash), its detail a short stable reason for log and audit ("expired", "bad signature", "unknown
 * key" …: all of them are in src/auth/refusal.h). presented: the client certificate of the connection that the token came by, or
 * NULL: a token that is bound to a certificate is good with no other. now_s is wall-clock time. Any thread. */
must_check bool verifier_check(const struct verifier *v, struct span token, const struct certificate *presented,
                               int64_t now_s, struct identity **ret_identity, struct fault *fault);

/* Was this refused token refused for want of a key that its issuer, whose keys are fetched, may have published meanwhile? The
 * issuer's name, which belongs to the verifier; NULL: it is refused for good. */
const char *verifier_missing_key(const struct verifier *v, struct span token, int64_t now_s);

/* Verified tokens, by the digest of what was signed; the very same signature is answered from memory, another one is
 * verified and leads to the same identity. At most `capacity` tokens (but at least 8), the longest unused go first; one
 * per loop, no locks. An entry lives until its token expires (with leeway), and only for the verifier that made it,
 * which the cache keeps alive. */
struct token_cache;
struct token_cache *token_cache_new(size_t capacity);
void token_cache_free(struct token_cache *c); /* NULL ok */
/* verifier_check with memory in front of it; the certificate is looked at each time. */
must_check bool token_cache_check(struct token_cache *c, const struct verifier *v, struct span token,
                                  const struct certificate *presented, int64_t now_s, struct identity **ret_identity,
                                  struct fault *fault);

/* ---- revocation ----
 * What is revoked, in memory, by digest: any number of entries costs a token the same. Any thread. The epoch rises with each
 * entry, after the entry is there: who saw an identity pass at an epoch need not look again until it has changed. */
enum { REVOCATIONS_MAX = 4000000 };
struct revocations;
struct revocations *revocations_new(void);
void revocations_free(struct revocations *r); /* NULL ok */
void revocations_add(struct revocations *r, const struct revocation *what);
void revocations_remove(struct revocations *r, const struct revocation *what);
size_t revocations_count(const struct revocations *r);
uint64_t revocations_epoch(const struct revocations *r);
bool revocations_hold(const struct revocations *r, const struct identity *identity); /* is it revoked? */
/* From now on the cache refuses what is revoked: a token from memory is looked up again when the epoch has changed. */
void token_cache_watch(struct token_cache *c, const struct revocations *r);

/* ---- keys from providers ----
 * A keyring fetches what the issuers of a verifier publish, on a thread of its own, over verified TLS, within limits of time and
 * size, following no redirect. It keeps the last good set of each issuer in a folder, so that a restart needs no provider. A key
 * that is weak, malformed, private, there twice, or more than a set may take to check is skipped with a line in the log. */
struct keyring;
struct keyring_options {
    const char *folder; /* made if missing: keys/ of the store */
    struct log *log;
    /* New keys are there: make the current verifier anew with keyring_equip, and put it in force. On the keyring's thread. */
    void (*changed)(void *arg);
    void *changed_arg;
};
/* Before any other thread is started: libcurl demands it. */
must_check bool keyring_new(const struct keyring_options *options, struct keyring **ret_keyring, struct fault *fault);
/* The same verifier with the keys that are known now; from here on its issuers are looked after, and no others. Any thread, one
 * at a time. */
struct verifier *keyring_equip(struct keyring *k, const struct verifier *v);
must_check bool keyring_start(struct keyring *k, struct fault *fault); /* fetches what is due, and goes on */
void keyring_stop(struct keyring *k); /* joins the thread; completes all tickets; NULL ok */
void keyring_free(struct keyring *k); /* NULL ok */

/* A token names a key of this issuer that is not known: asks for a fetch, one for all who ask, at most one in refetch_s. True: the
 * ticket is completed when it has ended, or after KEYRING_PATIENCE_MS. False: there will be none in that time. Any thread. */
enum { KEYRING_PATIENCE_MS = 3000 };
must_check bool keyring_ask(struct keyring *k, const char *issuer, struct ticket *ticket);

struct keyring_status {
    const char *issuer;
    size_t keys;           /* 0: none yet */
    int64_t fetched_at_ms; /* wall clock; 0: never */
    int64_t good_until_ms; /* afterwards its tokens are refused */
    const char *problem;   /* what the latest fetch failed of; NULL: it succeeded, or none was made yet */
};
size_t keyring_list(struct keyring *k, struct arena *arena, struct keyring_status **ret_rows); /* any thread */

/* ---- issuing (libjwt), for development and service accounts ---- */
struct token_request {
    const char *issuer, *audience, *subject;
    const char *const *roles;
    size_t role_count;
    unsigned ttl_s;
    const char *key_file; /* PEM private key (RSA ≥ 2048, EC P-256/384/521) or secret; must not be readable by others */
    const char *algorithm; /* NULL: from the key: RS256, ES256/384/512; required for a secret */
    const char
        *certificate_file; /* PEM: the token is good only with this client certificate; NULL: with any, or none */
    const char *key_id;    /* NULL: RFC 7638 thumbprint of the public key; none for a secret */
};
/* iss, aud, sub, iat, exp, jti, roles, token_use=access; INVALID says what is wrong with the request. */
must_check bool token_issue(const struct token_request *request, int64_t now_s, char **ret_token, struct fault *fault);
/* Makes an EC P-256 key pair: private PEM (0600) and JWKS with the public key (0644). Refuses to overwrite either. */
must_check bool token_key_generate(const char *private_file, const char *jwks_file, struct fault *fault);

#endif
