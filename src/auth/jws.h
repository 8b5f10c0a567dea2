/* A JWS in compact serialization (RFC 7515 §7.1), read strictly and not yet verified: nothing in it may be trusted.
 *
 * Reading costs no cryptography. A value on a stack of the caller's; jws_done frees what it holds. */
#ifndef AUTH_JWS_H
#define AUTH_JWS_H

#include "auth/key.h"
#include "bailiff/json.h"

struct jws {
    struct span input; /* header.payload: what is signed; within the token */
    enum jwt_algorithm algorithm;
    json_t *header, *claims;
    const char *key_id; /* kid; NULL: none; within header */
    const char *type;   /* typ; NULL: none; within header */
    size_t signature_len;
    uint8_t signature[SIGNATURE_SIZE_MAX];
};

must_check bool jws_read(struct span token, struct jws *jws, struct fault *fault);
void jws_done(struct jws *jws);

/* Cuts a token of three parts at its last dot. */
bool jws_cut(struct span token, struct span *ret_input, struct span *ret_signature);

#endif
