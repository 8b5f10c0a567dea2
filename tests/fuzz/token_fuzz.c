/* Tokens from strangers: a verifier with a key of every algorithm. The corpus holds tokens that these keys signed. */
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/claims.h"
#include "auth/jws.h"
#include "auth/plain.h"
#include "auth/verifier.h"
#include "bailiff/auth.h"
#include "bailiff/file.h"
#include "fuzz/token_fuzz_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t NOW = 1767323045;

struct bench {
    struct verifier *verifier;
    struct token_cache *cache;
    struct issuer *issuer;
};

static void demand(bool truth)
{
    if (!truth)
        abort();
}

static void bench_make(struct bench *b)
{
    static const char *const audiences[] = {"bailiff"}, *const claims[] = {"/roles", "/realm_access/roles", "/scope"};
    char path[64];
    struct key_bundle *keys = NULL;
    int fd = memfd_create("keys", MFD_CLOEXEC);
    struct fault fault = {0};

    demand(fd >= 0 && fchmod(fd, 0600) == 0 && fd_write_all(fd, TOKEN_FUZZ_KEYS, strlen(TOKEN_FUZZ_KEYS)));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct issuer_options options = {.issuer = "https://idp.example.com/realm",
                                     .audiences = audiences,
                                     .audience_count = 1,
                                     .jwks_file = path,
                                     .role_claims = claims,
                                     .role_claim_count = ARRAY_LEN(claims),
                                     .leeway_s = 30};
    demand(verifier_new(&options, 1, &b->verifier, &fault) && issuer_new(&options, &b->issuer, &keys, &fault));
    key_bundle_unref(keys);
    b->cache = token_cache_new(8);
    close(fd);
}

static void check_identity(const struct identity *i)
{
    demand(i->references >= 1 && str_eq(i->issuer, "https://idp.example.com/realm"));
    demand(plain_text(i->subject, 256) && i->expires_at_s > NOW - 30);
    demand((!i->token_id || plain_text(i->token_id, 256)) && (!i->client || plain_text(i->client, 256)));
    for (size_t r = 0; r < i->role_count; r++)
        demand(plain_role(i->roles[r]) && (r == 0 || strcmp(i->roles[r - 1], i->roles[r]) < 0));
}

static void check_refusal(const struct fault *fault)
{
    demand(fault->kind == FAULT_UNAUTHENTICATED && fault->detail[0] != '\0');
    for (const char *p = fault->message; *p; p++)
        demand(*p >= 0x20 && *p <= 0x7e && *p != '"' && *p != '\\');
}

/* The claims as if the signature were good: else nothing behind it would ever be reached. */
static void judge_unsigned(const struct bench *b, struct span token)
{
    struct jws jws;
    own(identity_unrefp) struct identity *identity = NULL;
    struct fault fault = {0};

    struct certificate own_one = {.digest = {0}}, other = own_one;

    if (jws_read(token, &jws, &fault) && claims_judge(b->issuer, jws.claims, jws.type, NOW, &fault) &&
        claims_identity(b->issuer, jws.claims, &identity, &fault)) {
        check_identity(identity);
        memcpy(own_one.digest, identity->bound_to, sizeof(own_one.digest));
        memcpy(other.digest, identity->bound_to, sizeof(other.digest));
        other.digest[0] ^= 1;
        demand(binding_holds(identity, &own_one, NULL));
        demand(binding_holds(identity, &other, NULL) == !identity->bound);
        demand(binding_holds(identity, NULL, NULL) == !identity->bound);
    } else {
        check_refusal(&fault);
    }
}

/* With a certificate that some of the corpus' tokens are bound to: it opens only to those, and shuts out nobody else. */
static void check_with_certificate(struct bench *b, struct span token, bool good)
{
    struct certificate certificate = {.digest = {0}};
    struct identity *plain = NULL, *cached = NULL;

    for (unsigned i = 0; i < sizeof(certificate.digest); i++)
        certificate.digest[i] = (uint8_t)i;
    bool with = verifier_check(b->verifier, token, &certificate, NOW, &plain, NULL);
    demand(token_cache_check(b->cache, b->verifier, token, &certificate, NOW, &cached, NULL) == with);
    demand(with || !good);
    if (with && !good)
        demand(plain->bound && cached->bound &&
               memcmp(plain->bound_to, certificate.digest, sizeof(plain->bound_to)) == 0);
    if (good)
        demand(!plain->bound);
    identity_unref(plain);
    identity_unref(cached);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bench b; /* keys are parsed once, as in the server */
    struct span token = {(const char *)data, size};
    struct identity *plain = NULL, *cached = NULL, *again = NULL;
    struct fault plain_fault = {0}, cached_fault = {0};

    if (!b.verifier)
        bench_make(&b);
    bool good = verifier_check(b.verifier, token, NULL, NOW, &plain, &plain_fault);
    demand(token_cache_check(b.cache, b.verifier, token, NULL, NOW, &cached, &cached_fault) == good);
    demand(token_cache_check(b.cache, b.verifier, token, NULL, NOW, &again, NULL) == good);
    if (good) {
        check_identity(plain);
        check_identity(cached);
        demand(str_eq(plain->subject, cached->subject) && str_eq(cached->subject, again->subject));
    } else {
        check_refusal(&plain_fault);
        demand(str_eq(plain_fault.detail, cached_fault.detail) && !plain && !cached && !again);
    }
    identity_unref(plain);
    identity_unref(cached);
    identity_unref(again);
    check_with_certificate(&b, token, good);
    judge_unsigned(&b, token);
    return 0;
}
