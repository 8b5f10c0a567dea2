/* Keys as files hold them: JWK Sets (RFC 7517, 7518, 8037), PEM public keys and certificates, secrets.
 *
 * Blocking; at start and at reload. `where` begins every message ("bailiff.yaml:31: keys.json"). */
#ifndef AUTH_KEY_FILES_H
#define AUTH_KEY_FILES_H

#include "bailiff/json.h"

#include "auth/key.h"

enum { JWKS_SIZE_MAX = 1 << 20, PEM_SIZE_MAX = 1 << 16 };

/* One member of a set. *ret_use is false for keys of other use, kind or algorithm: those are left alone. */
must_check bool jwk_read(const json_t *jwk, const char *where, const struct key_rules *rules, struct key *ret_key,
                         bool *ret_use, struct fault *fault);
/* The public key that a JWK of kind RSA, EC or OKP describes; NULL in *ret_pkey: a curve that signs no tokens. */
must_check bool jwk_public(const json_t *jwk, const char *where, EVP_PKEY **ret_pkey, struct fault *fault);
/* A whole set. At least one key must be usable. *ret_secret: it holds symmetric keys, so its file must be guarded. */
must_check bool jwks_read(struct span json, const char *where, const struct key_rules *rules, struct key_set *ret_keys,
                          bool *ret_secret, struct fault *fault);

must_check bool key_file_jwks(const char *path, const char *where, const struct key_rules *rules,
                              struct key_set *ret_keys, struct fault *fault);
/* id: kid of the key; NULL: any kid fits. */
must_check bool key_file_pem(const char *path, const char *where, const struct key_rules *rules, const char *id,
                             struct key_set *ret_keys, struct fault *fault);
must_check bool key_file_secret(const char *path, const char *where, const struct key_rules *rules, const char *id,
                                struct key_set *ret_keys, struct fault *fault);

/* A secret as its file holds it: one line end behind it does not belong to it. */
struct span secret_of_file(const struct text *content);
/* text_done for what held a secret */
void secret_text_done(struct text *secret);

#endif
