/* Why a token is refused: every reason there is, with its sentence for the client.
 *
 * The sentence becomes an error_description (RFC 6750 §3), so it is constant and has no quotes and no backslash:
 * nothing of the token is ever repeated. The reason is stable: logs, audit records and tests name it. */
#ifndef AUTH_REFUSAL_H
#define AUTH_REFUSAL_H

#include "bailiff/fault.h"

/* X(enum name, reason, sentence) */
#define REFUSALS(X)                                                                                                    \
    X(REFUSED_TOO_LARGE, "token too large", "The token is too large.")                                                 \
    X(REFUSED_MALFORMED, "malformed token", "The token is not a signed JWT in compact form.")                          \
    X(REFUSED_HEADER, "malformed header", "The header of the token is not a valid JOSE header.")                       \
    X(REFUSED_CRITICAL, "unsupported header member", "The header of the token has a member that is not accepted.")     \
    X(REFUSED_TYPE, "wrong type", "The type of the token (typ) is not accepted.")                                      \
    X(REFUSED_ALGORITHM, "unsupported algorithm", "The algorithm of the token is not accepted.")                       \
    X(REFUSED_CLAIMS, "malformed claims", "The claims of the token are not a valid JSON object.")                      \
    X(REFUSED_NO_ISSUER, "missing issuer", "The token does not name its issuer (iss).")                                \
    X(REFUSED_ISSUER, "unknown issuer", "The issuer of the token is not trusted here.")                                \
    X(REFUSED_KEY, "unknown key", "The key of the token (kid) is not known.")                                          \
    X(REFUSED_NO_KEYS, "no keys", "The keys of the issuer are not known here yet.")                                    \
    X(REFUSED_STALE_KEYS, "stale keys", "The keys of the issuer could not be fetched for too long.")                   \
    X(REFUSED_NO_KEY, "no key id", "The token does not say which key signed it (kid).")                                \
    X(REFUSED_KEY_ALGORITHM, "wrong algorithm", "The algorithm of the token is not that of its key.")                  \
    X(REFUSED_SIGNATURE, "bad signature", "The signature of the token is not valid.")                                  \
    X(REFUSED_CONFIRMATION, "sender-constrained", "The token is bound to a key that cannot be checked here (cnf).")    \
    X(REFUSED_NO_CERTIFICATE, "no client certificate", "The token is good only with its client certificate.")          \
    X(REFUSED_OTHER_CERTIFICATE, "other client certificate", "The token is bound to another client certificate.")      \
    X(REFUSED_NO_EXPIRY, "missing expiry", "The token does not say when it expires (exp).")                            \
    X(REFUSED_TIME, "malformed time", "A time in the token (exp, nbf, iat) is not a sensible number.")                 \
    X(REFUSED_EXPIRED, "expired", "The token has expired.")                                                            \
    X(REFUSED_EARLY, "not yet valid", "The token is not valid yet (nbf).")                                             \
    X(REFUSED_FUTURE, "issued in the future", "The token was issued in the future (iat).")                             \
    X(REFUSED_LIFETIME, "lifetime too long", "The token is valid for longer than is accepted.")                        \
    X(REFUSED_NO_AUDIENCE, "missing audience", "The token does not name its audience (aud).")                          \
    X(REFUSED_AUDIENCE_SHAPE, "malformed audience", "The audience of the token is no string and no list of strings.")  \
    X(REFUSED_AUDIENCE, "wrong audience", "The token is meant for another audience.")                                  \
    X(REFUSED_NO_SUBJECT, "missing subject", "The token does not name its subject (sub).")                             \
    X(REFUSED_SUBJECT, "malformed subject", "The subject of the token is not a plain string of at most 256 bytes.")    \
    X(REFUSED_TOKEN_ID, "malformed token id", "The id of the token (jti) is not a plain string of at most 256 bytes.") \
    X(REFUSED_CLIENT, "malformed client", "The client of the token (azp, client_id) is not a plain string.")           \
    X(REFUSED_USE, "wrong token use", "The token is not an access token (token_use).")                                 \
    X(REFUSED_RULE, "claim rule", "A claim of the token is not what is demanded of this issuer.")                      \
    X(REFUSED_REVOKED, "revoked", "The token has been revoked.")                                                       \
    X(REFUSED_ROLES, "malformed roles", "The roles in the token are no list of strings and no string.")                \
    X(REFUSED_ROLE_COUNT, "too many roles", "The token names more roles than are accepted.")

#define X(name, reason, sentence) name,
enum refusal { REFUSALS(X) REFUSAL_COUNT };
#undef X

/* Fills the fault (UNAUTHENTICATED) and returns false. */
bool refuse(struct fault *fault, enum refusal why);

#endif
