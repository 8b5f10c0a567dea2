/* The public half of a key in JSON: its thumbprint and its JWK. RSA and EC. */
#ifndef AUTH_PUBLIC_KEY_H
#define AUTH_PUBLIC_KEY_H

#include "auth/key.h"

/* RFC 7638 with SHA-256, base64url. */
must_check bool public_key_thumbprint(EVP_PKEY *pkey, struct text *out, struct fault *fault);
/* A JWKS that holds this key alone. */
must_check bool public_key_jwks(EVP_PKEY *pkey, enum jwt_algorithm algorithm, const char *id, struct text *out,
                                struct fault *fault);

#endif
