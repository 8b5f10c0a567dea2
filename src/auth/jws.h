/* A JWS in compact serialization (RFC 7515 §7.1), read strictly and not yet verified: nothing in it may be trusted.
 *
 * Reading costs no cryptography and allocates nothing. A large value on a stack of the caller's, not to be copied. */
#ifndef AUTH_JWS_H
#define AUTH_JWS_H

#include "auth/key.h"
#include "auth/value.h"
#include "bailiff/auth.h"

enum { HEADER_SIZE_MAX = 4096 };
struct jws {
    struct span input; /* header.payload: what is signed; within the token */
    enum jwt_algorithm algorithm;
    const struct value *claims;
    const char *key_id; /* kid; NULL: none; within header */
    const char *type;   /* typ; NULL: none; within header */
    size_t signature_len;
    uint8_t signature[SIGNATURE_SIZE_MAX];
    char header_bytes[HEADER_SIZE_MAX + 1], claims_bytes[TOKEN_SIZE_MAX / 4 * 3 + 1];
    struct values values; /* of the claims, in the end */
};

/* *jws need not be initialized. */
must_check bool jws_read(struct span token, struct jws *jws, struct fault *fault);

/* Cuts a token of three parts at its last dot. */
bool jws_cut(struct span token, struct span *ret_input, struct span *ret_signature);

#endif
