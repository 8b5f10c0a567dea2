/* Tokens of our own, made by libjwt: for development and service accounts. */
#include <errno.h>
#include <jwt.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "auth/key_files.h"
#include "auth/plain.h"
#include "auth/public_key.h"
#include "bailiff/file.h"
#include "bailiff/random.h"

enum { TTL_MAX_S = 366 * 86400, ROLES_ISSUED_MAX = 64 };

static void jwt_freep(jwt_t **jwt)
{
    jwt_free(*jwt);
}

static void bio_freep(BIO **bio)
{
    BIO_free(*bio);
}

/* What signs: the file's bytes as libjwt wants them, and what they are. */
struct signer {
    struct text content;
    struct span key; /* within content */
    enum jwt_algorithm algorithm;
    struct text id; /* kid; empty: none */
};

static void signer_done(struct signer *s)
{
    secret_text_done(&s->content);
    text_done(&s->id);
}

static bool check_request(const struct token_request *r, struct fault *fault)
{
    if (!r->issuer || !plain_text(r->issuer, URL_MAX_BYTES))
        return fault_set(fault, FAULT_INVALID, "The issuer must be 1 to %d bytes of text.", URL_MAX_BYTES);
    if (!r->audience || !plain_text(r->audience, URL_MAX_BYTES))
        return fault_set(fault, FAULT_INVALID, "The audience must be 1 to %d bytes of text.", URL_MAX_BYTES);
    if (!r->subject || !plain_text(r->subject, NAME_MAX_BYTES))
        return fault_set(fault, FAULT_INVALID, "The subject must be 1 to %d bytes of text without control characters.",
                         NAME_MAX_BYTES);
    if (r->key_id && !plain_text(r->key_id, NAME_MAX_BYTES))
        return fault_set(fault, FAULT_INVALID, "The key id must be 1 to %d bytes of text without control characters.",
                         NAME_MAX_BYTES);
    if (r->ttl_s == 0 || r->ttl_s > TTL_MAX_S)
        return fault_set(fault, FAULT_INVALID, "The time to live must be 1 s to %d s (366 days).", TTL_MAX_S);
    if (r->role_count > ROLES_ISSUED_MAX)
        return fault_set(fault, FAULT_INVALID, "A token holds at most %d roles.", ROLES_ISSUED_MAX);
    for (size_t i = 0; i < r->role_count; i++)
        if (!r->roles[i] || !plain_role(r->roles[i]))
            return fault_set(fault, FAULT_INVALID, "A role must be 1 to %d visible ASCII characters.", ROLE_MAX_BYTES);
    return true;
}

static bool requested_algorithm(const struct token_request *r, algorithm_set fitting, enum jwt_algorithm by_default,
                                enum jwt_algorithm *ret, struct fault *fault)
{
    enum jwt_algorithm a = by_default;

    if (r->algorithm && !jwt_algorithm_parse(span_of(r->algorithm), &a))
        return fault_set(fault, FAULT_INVALID, "The algorithm %s is unknown.", r->algorithm);
    if (!(fitting & ALGORITHM_BIT(a))) {
        own(text_done) struct text names = {0};
        algorithms_text(fitting, &names);
        return fault_set(fault, FAULT_INVALID, "%s: the key cannot issue with %s; it fits %s.", r->key_file,
                         jwt_algorithm_name(a), names.data);
    }
    *ret = a;
    return true;
}

/* Without asking a terminal for the passphrase of an encrypted key. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    return -1;
}

static bool read_private_key(const struct token_request *r, struct signer *s, struct fault *fault)
{
    own(bio_freep) BIO *bio = BIO_new_mem_buf(s->content.data, (int)s->content.len);
    own(pkey_freep) EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

    if (!pkey)
        return fault_set(fault, FAULT_INVALID, "%s: it is not a private key in PEM, or is encrypted.", r->key_file);
    if (!key_check(pkey, r->key_file, fault))
        return false;
    algorithm_set fits = key_algorithms(pkey);
    algorithm_set issued = fits & (algorithms_of_family(FAMILY_RSA) | algorithms_of_family(FAMILY_EC));
    if (!issued)
        return fault_set(fault, FAULT_INVALID, "%s: tokens are issued with RSA and EC keys; this is neither.",
                         r->key_file);
    enum jwt_algorithm first = (enum jwt_algorithm)__builtin_ctz(issued); /* RS256, or what the curve says */
    s->key = text_span(&s->content);
    if (!requested_algorithm(r, issued, first, &s->algorithm, fault))
        return false;
    if (r->key_id) {
        text_append_str(&s->id, r->key_id);
        return true;
    }
    return public_key_thumbprint(pkey, &s->id, fault);
}

static bool read_secret(const struct token_request *r, struct signer *s, struct fault *fault)
{
    if (!r->algorithm)
        return fault_set(fault, FAULT_INVALID,
                         "%s: it is no PEM key; for a secret name the algorithm (HS256, HS384 or HS512).", r->key_file);
    s->key = secret_of_file(&s->content);
    if (!requested_algorithm(r, algorithms_of_family(FAMILY_HMAC), ALG_HS256, &s->algorithm, fault) ||
        !secret_check(s->key, s->algorithm, r->key_file, fault))
        return false;
    if (r->key_id) /* never a thumbprint: it would be a digest of the secret */
        text_append_str(&s->id, r->key_id);
    return true;
}

static bool read_signer(const struct token_request *r, struct signer *s, struct fault *fault)
{
    if (!r->key_file)
        return fault_set(fault, FAULT_INVALID, "A key file to sign with is needed.");
    if (!file_read_secret(r->key_file, PEM_SIZE_MAX, &s->content, fault))
        return false;
    bool is_pem = s->content.len == strlen(s->content.data) && strstr(s->content.data, "-----BEGIN ");

    ERR_set_mark();
    bool ok = is_pem ? read_private_key(r, s, fault) : read_secret(r, s, fault);
    ERR_pop_to_mark();
    return ok;
}

static void x509_freep(X509 **certificate)
{
    X509_free(*certificate);
}

/* x5t#S256 of the certificate that the token shall be bound to; empty: none. */
static bool read_thumbprint(const struct token_request *r, struct text *out, struct fault *fault)
{
    own(text_done) struct text pem = {0};
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (!r->certificate_file)
        return true;
    if (!file_read(r->certificate_file, PEM_SIZE_MAX, &pem, fault))
        return false;
    ERR_set_mark();
    own(bio_freep) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    own(x509_freep) X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
    bool ok = certificate && X509_digest(certificate, EVP_sha256(), digest, &len) == 1;
    ERR_pop_to_mark();
    if (!ok)
        return fault_set(fault, FAULT_INVALID, "%s: it holds no certificate in PEM.", r->certificate_file);
    base64url_encode(digest, len, out);
    return true;
}

static void write_claims(const struct token_request *r, const struct text *thumbprint, int64_t now_s, struct text *out)
{
    char id[UUID_TEXT_SIZE];

    uuid4(id);
    jw_open(out, '{');
    jw_member_string(out, "iss", r->issuer);
    jw_member_string(out, "aud", r->audience);
    jw_member_string(out, "sub", r->subject);
    jw_member_int(out, "iat", now_s);
    jw_member_int(out, "exp", now_s + r->ttl_s);
    jw_member_string(out, "jti", id);
    jw_member_string(out, "token_use", "access");
    if (thumbprint->len > 0) {
        jw_key(out, "cnf");
        jw_open(out, '{');
        jw_member_string(out, "x5t#S256", thumbprint->data);
        jw_close(out, '}');
    }
    jw_key(out, "roles");
    jw_open(out, '[');
    for (size_t i = 0; i < r->role_count; i++)
        jw_string(out, r->roles[i]);
    jw_close(out, ']');
    jw_close(out, '}');
}

bool token_issue(const struct token_request *request, int64_t now_s, char **ret_token, struct fault *fault)
{
    own(signer_done) struct signer signer = {0};
    own(text_done) struct text claims = {0}, thumbprint = {0};
    own(jwt_freep) jwt_t *jwt = NULL;

    if (!check_request(request, fault) || !read_signer(request, &signer, fault) ||
        !read_thumbprint(request, &thumbprint, fault))
        return false;
    write_claims(request, &thumbprint, now_s, &claims);
    jwt_alg_t algorithm = jwt_str_alg(jwt_algorithm_name(signer.algorithm));
    if (algorithm == JWT_ALG_INVAL || jwt_new(&jwt) != 0 ||
        jwt_set_alg(jwt, algorithm, (const unsigned char *)signer.key.data, (int)signer.key.len) != 0 ||
        jwt_add_grants_json(jwt, claims.data) != 0 ||
        (signer.id.len > 0 && jwt_add_header(jwt, "kid", signer.id.data) != 0))
        return fault_internal(fault, "libjwt cannot prepare a token");
    ERR_set_mark();
    char *token = jwt_encode_str(jwt);
    ERR_pop_to_mark();
    if (!token)
        return fault_internal(fault, "libjwt cannot sign with %s: %s", request->key_file, strerror(errno));
    if (strlen(token) > TOKEN_SIZE_MAX) {
        free(token);
        return fault_set(fault, FAULT_INVALID, "The token would be larger than %d bytes; name fewer roles.",
                         TOKEN_SIZE_MAX);
    }
    *ret_token = token;
    return true;
}
